/* capture_read: packets of a pcap file, down to their TCP segments.
 *
 * Every header is read through the latching reader of base/buf.h: a packet cut short within its headers is counted as
 * ignored, never read past its end. Lengths come from the IP header, so padding of short frames is no data; 0 means
 * that the network card was to fill it in (segmentation offload), or more than the field holds: then it is what is left of the packet.
 * IP fragments are not put together (DNS over TCP is not fragmented in practice: the TCP segment size sees to it); they
 * are counted as ignored, and what they carried shows up as loss. Checksums are not looked at: captures taken on
 * the sending host have none.
 */
#include "pipeline/net/capture_p.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <string.h>

enum {
    VLAN_MAX = 4,
    EXTENSIONS_MAX = 8,
    ETHER_IPV4 = 0x0800,
    ETHER_IPV6 = 0x86dd,
    ETHER_VLAN = 0x8100,
    ETHER_QINQ = 0x88a8,
    ETHER_QINQ_OLD = 0x9100,
    IP_HOP_BY_HOP = 0,
    IP_TCP = 6,
    IP_ROUTING = 43,
    IP_FRAGMENT = 44,
    IP_AUTH = 51,
    IP_DESTINATION = 60,
    TH_FIN = 1,
    TH_SYN = 2,
    TH_RST = 4,
    TH_ACK = 16
};

struct packet {
    struct rbuf r;
    size_t cut; /* octets of it that were not captured */
};

static size_t packet_left(const struct packet *p)
{
    return rbuf_left(&p->r) + p->cut;
}

static bool read_tcp(struct packet *p, struct segment *s, size_t ip_payload)
{
    const uint8_t *h = rbuf_take(&p->r, 20);
    if (!h)
        return false;
    size_t header = (size_t)(h[12] >> 4) * 4;
    if (header < 20 || header > ip_payload || !rbuf_take(&p->r, header - 20))
        return false;
    if (s->from.sa.sa_family == AF_INET) {
        memcpy(&s->from.v4.sin_port, h, 2);
        memcpy(&s->to.v4.sin_port, h + 2, 2);
    } else {
        memcpy(&s->from.v6.sin6_port, h, 2);
        memcpy(&s->to.v6.sin6_port, h + 2, 2);
    }
    s->seq = get_u32(h + 4);
    s->ack = get_u32(h + 8);
    s->fin = h[13] & TH_FIN;
    s->syn = h[13] & TH_SYN;
    s->reset = h[13] & TH_RST;
    s->has_ack = h[13] & TH_ACK;
    size_t payload = ip_payload - header;
    s->len = rbuf_left(&p->r) < payload ? rbuf_left(&p->r) : payload;
    s->missing = payload - s->len;
    s->data = p->r.p;
    return true;
}

static bool read_ipv4(struct packet *p, struct segment *s)
{
    size_t left = packet_left(p);
    const uint8_t *h = rbuf_take(&p->r, 20);
    if (!h || h[0] >> 4 != 4)
        return false;
    size_t header = (size_t)(h[0] & 15) * 4, total = get_u16(h + 2);
    bool fragment = get_u16(h + 6) & 0x3fff;
    if (total == 0)
        total = left;
    if (header < 20 || total < header || fragment || h[9] != IP_TCP ||
        !rbuf_take(&p->r, header - 20))
        return false;
    s->from.v4.sin_family = s->to.v4.sin_family = AF_INET;
    s->from.len = s->to.len = sizeof s->from.v4;
    memcpy(&s->from.v4.sin_addr, h + 12, 4);
    memcpy(&s->to.v4.sin_addr, h + 16, 4);
    return read_tcp(p, s, total - header);
}

/* Steps over extension headers; false when TCP does not follow. */
static bool read_extensions(struct packet *p, uint8_t next, size_t *payload)
{
    for (int i = 0; i < EXTENSIONS_MAX && next != IP_TCP; i++) {
        const uint8_t *e = rbuf_take(&p->r, 8);
        if (!e)
            return false;
        size_t more = 0;
        if (next == IP_HOP_BY_HOP || next == IP_ROUTING || next == IP_DESTINATION)
            more = (size_t)e[1] * 8;
        else if (next == IP_AUTH)
            more = (size_t)e[1] * 4;                             /* counts words, less two */
        else if (next != IP_FRAGMENT || get_u16(e + 2) & 0xfff9) /* one that is whole is fine */
            return false;
        if (*payload < 8 + more || !rbuf_take(&p->r, more))
            return false;
        next = e[0];
        *payload -= 8 + more;
    }
    return next == IP_TCP;
}

static bool read_ipv6(struct packet *p, struct segment *s)
{
    const uint8_t *h = rbuf_take(&p->r, 40);
    if (!h || h[0] >> 4 != 6)
        return false;
    size_t payload = get_u16(h + 4);
    if (payload == 0)
        payload = packet_left(p);
    if (!read_extensions(p, h[6], &payload))
        return false;
    s->from.v6.sin6_family = s->to.v6.sin6_family = AF_INET6;
    s->from.len = s->to.len = sizeof s->from.v6;
    memcpy(&s->from.v6.sin6_addr, h + 8, 16);
    memcpy(&s->to.v6.sin6_addr, h + 24, 16);
    return read_tcp(p, s, payload);
}

static bool read_ip(struct packet *p, struct segment *s)
{
    if (!rbuf_left(&p->r))
        return false;
    return p->r.p[0] >> 4 == 6 ? read_ipv6(p, s) : read_ipv4(p, s);
}

static bool read_ethertype(struct packet *p, struct segment *s, uint16_t type)
{
    for (int i = 0;
         i < VLAN_MAX && (type == ETHER_VLAN || type == ETHER_QINQ || type == ETHER_QINQ_OLD);
         i++) {
        rbuf_u16(&p->r);
        type = rbuf_u16(&p->r);
    }
    return !p->r.bad && (type == ETHER_IPV4 || type == ETHER_IPV6) && read_ip(p, s);
}

static bool read_link(int link, struct packet *p, struct segment *s)
{
    switch (link) {
    case DLT_EN10MB:
        rbuf_take(&p->r, 12);
        return read_ethertype(p, s, rbuf_u16(&p->r));
    case DLT_LINUX_SLL:
        rbuf_take(&p->r, 14);
        return read_ethertype(p, s, rbuf_u16(&p->r));
    case DLT_LINUX_SLL2: {
        uint16_t type = rbuf_u16(&p->r);
        rbuf_take(&p->r, 18);
        return read_ethertype(p, s, type);
    }
    case DLT_NULL:
    case DLT_LOOP:
        /* The address family, in whichever octet order: the IP version says the same. */
        rbuf_take(&p->r, 4);
        return !p->r.bad && read_ip(p, s);
    default:
        return read_ip(p, s);
    }
}

static bool link_known(int link)
{
    static const int known[] = {DLT_EN10MB, DLT_LINUX_SLL, DLT_LINUX_SLL2, DLT_NULL,
                                DLT_LOOP,   DLT_RAW,       DLT_IPV4,       DLT_IPV6};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i] == link)
            return true;
    return false;
}

static int read_packets(pcap_t *pcap, const char *name, const struct capture_handler *handler,
                        void *ctx, struct capture_summary *summary, struct why *why)
{
    struct dns_reader *dns = dns_reader_new(handler, ctx, summary);
    struct tcp_reader *tcp = tcp_reader_new(dns, summary);
    int link = pcap_datalink(pcap), got, err = 0;
    struct pcap_pkthdr *header;
    const u_char *data;
    while ((got = pcap_next_ex(pcap, &header, &data)) == 1) {
        summary->packets++;
        struct packet p = {rbuf_open(data, header->caplen),
                           header->len > header->caplen ? header->len - header->caplen : 0};
        /* tv_usec holds nanoseconds: asked for when the file was opened */
        struct segment s = {.at = {header->ts.tv_sec, header->ts.tv_usec}};
        if (read_link(link, &p, &s))
            tcp_reader_segment(tcp, &s);
        else
            summary->ignored_packets++;
    }
    if (got == PCAP_ERROR)
        err = why_set(why, -E_FORMAT, "%s: after packet %zu: %s", name, summary->packets,
                      pcap_geterr(pcap));
    tcp_reader_free(&tcp);
    dns_reader_free(&dns);
    return err;
}

int capture_read_stream(FILE *file, const char *name, const struct capture_handler *handler,
                        void *ctx, struct capture_summary *summary, struct why *why)
{
    char error[PCAP_ERRBUF_SIZE] = "";
    *summary = (struct capture_summary){0};
    pcap_t *pcap =
        pcap_fopen_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, error);
    if (!pcap) {
        fclose(file);
        return why_set(why, -E_FORMAT, "%s: %s", name, error);
    }
    int link = pcap_datalink(pcap), err;
    if (link_known(link)) {
        err = read_packets(pcap, name, handler, ctx, summary, why);
    } else {
        const char *text = pcap_datalink_val_to_name(link);
        err = why_set(why, -E_UNSUPPORTED, "%s: link type %d (%s) is not one that weir reads", name,
                      link, text ? text : "unknown");
    }
    pcap_close(pcap);
    return err;
}

int capture_read(const char *path, const struct capture_handler *handler, void *ctx,
                 struct capture_summary *summary, struct why *why)
{
    FILE *file = fopen(path, "rbe");
    *summary = (struct capture_summary){0};
    if (!file)
        return why_set(why, -E_IO, "%s: %s", path, strerror(errno));
    return capture_read_stream(file, path, handler, ctx, summary, why);
}
