/* capture_read: packets of a pcap file, down to their TCP segments.
 *
 * Every header is read through the latching reader of base/buf.h: a packet cut short anywhere is counted as
 * ignored, never read past its end. IP fragments are not put together (DNS over TCP is not fragmented in practice: the
 * TCP segment size sees to it); they are counted as ignored, and what they carried shows up as loss.
 */
#include "pipeline/net/capture_p.h"

#include <pcap/pcap.h>
#include <string.h>

enum {
    VLAN_MAX = 4,
    EXTENSIONS_MAX = 8,
    ETHER_IPV4 = 0x0800,
    ETHER_IPV6 = 0x86dd,
    ETHER_VLAN = 0x8100,
    ETHER_QINQ = 0x88a8
};
enum { IP_TCP = 6, TH_FIN = 1, TH_SYN = 2, TH_RST = 4 };

static bool read_tcp(struct rbuf *r, struct segment *s, size_t ip_payload)
{
    const uint8_t *h = rbuf_take(r, 20);
    if (!h)
        return false;
    size_t header = (size_t)(h[12] >> 4) * 4;
    if (header < 20 || header > ip_payload || !rbuf_take(r, header - 20) || r->bad)
        return false;
    if (s->from.sa.sa_family == AF_INET) {
        memcpy(&s->from.v4.sin_port, h, 2);
        memcpy(&s->to.v4.sin_port, h + 2, 2);
    } else {
        memcpy(&s->from.v6.sin6_port, h, 2);
        memcpy(&s->to.v6.sin6_port, h + 2, 2);
    }
    s->seq = get_u32(h + 4);
    s->fin = h[13] & TH_FIN;
    s->syn = h[13] & TH_SYN;
    s->reset = h[13] & TH_RST;
    size_t payload = ip_payload - header;
    s->len = rbuf_left(r) < payload ? rbuf_left(r) : payload;
    s->missing = payload - s->len;
    s->data = r->p;
    return true;
}

static bool read_ipv4(struct rbuf *r, struct segment *s)
{
    const uint8_t *h = rbuf_take(r, 20);
    if (!h || h[0] >> 4 != 4)
        return false;
    size_t header = (size_t)(h[0] & 15) * 4, total = get_u16(h + 2);
    bool fragment = get_u16(h + 6) & 0x3fff;
    /* A length of 0: the network card was to fill it in (segmentation offload). */
    if (total == 0)
        total = rbuf_left(r) + 20;
    if (header < 20 || total < header || fragment || h[9] != IP_TCP || !rbuf_take(r, header - 20) ||
        r->bad)
        return false;
    s->from.v4.sin_family = s->to.v4.sin_family = AF_INET;
    s->from.len = s->to.len = sizeof s->from.v4;
    memcpy(&s->from.v4.sin_addr, h + 12, 4);
    memcpy(&s->to.v4.sin_addr, h + 16, 4);
    return read_tcp(r, s, total - header);
}

static bool read_ipv6(struct rbuf *r, struct segment *s)
{
    const uint8_t *h = rbuf_take(r, 40);
    if (!h || h[0] >> 4 != 6)
        return false;
    size_t payload = get_u16(h + 4);
    if (payload == 0)
        payload = rbuf_left(r);
    uint8_t next = h[6];
    for (int i = 0; i < EXTENSIONS_MAX && (next == 0 || next == 43 || next == 60); i++) {
        const uint8_t *e = rbuf_take(r, 8);
        if (!e)
            return false;
        size_t more = (size_t)e[1] * 8;
        if (payload < 8 + more || !rbuf_take(r, more) || r->bad)
            return false;
        next = e[0];
        payload -= 8 + more;
    }
    if (next != IP_TCP)
        return false;
    s->from.v6.sin6_family = s->to.v6.sin6_family = AF_INET6;
    s->from.len = s->to.len = sizeof s->from.v6;
    memcpy(&s->from.v6.sin6_addr, h + 8, 16);
    memcpy(&s->to.v6.sin6_addr, h + 24, 16);
    return read_tcp(r, s, payload);
}

static bool read_ip(struct rbuf *r, struct segment *s)
{
    if (!rbuf_left(r))
        return false;
    return r->p[0] >> 4 == 6 ? read_ipv6(r, s) : read_ipv4(r, s);
}

static bool read_ethertype(struct rbuf *r, struct segment *s, uint16_t type)
{
    for (int i = 0; i < VLAN_MAX && (type == ETHER_VLAN || type == ETHER_QINQ); i++) {
        rbuf_u16(r);
        type = rbuf_u16(r);
    }
    return !r->bad && (type == ETHER_IPV4 || type == ETHER_IPV6) && read_ip(r, s);
}

static bool read_link(int link, struct rbuf *r, struct segment *s)
{
    switch (link) {
    case DLT_EN10MB:
        rbuf_take(r, 12);
        return read_ethertype(r, s, rbuf_u16(r));
    case DLT_LINUX_SLL:
        rbuf_take(r, 14);
        return read_ethertype(r, s, rbuf_u16(r));
    case DLT_LINUX_SLL2: {
        uint16_t type = rbuf_u16(r);
        rbuf_take(r, 18);
        return read_ethertype(r, s, type);
    }
    case DLT_NULL:
    case DLT_LOOP:
        rbuf_take(
            r, 4); /* the address family, in whichever octet order: the IP version says the same */
        return !r->bad && read_ip(r, s);
    default:
        return read_ip(r, s);
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

static int read_packets(pcap_t *p, const char *path, const struct capture_handler *handler,
                        void *ctx, struct capture_summary *summary, struct why *why)
{
    struct dns_reader *dns = dns_reader_new(handler, ctx, summary);
    struct tcp_reader *tcp = tcp_reader_new(dns, summary);
    int link = pcap_datalink(p), got, err = 0;
    struct pcap_pkthdr *header;
    const u_char *data;
    while ((got = pcap_next_ex(p, &header, &data)) == 1) {
        summary->packets++;
        struct rbuf r = rbuf_open(data, header->caplen);
        struct segment s = {.at = {header->ts.tv_sec, header->ts.tv_usec * 1000}};
        if (read_link(link, &r, &s))
            tcp_reader_segment(tcp, &s);
        else
            summary->ignored_packets++;
    }
    if (got == PCAP_ERROR)
        err = why_set(why, -E_FORMAT, "%s: packet %zu: %s", path, summary->packets + 1,
                      pcap_geterr(p));
    tcp_reader_free(&tcp);
    dns_reader_free(&dns);
    return err;
}

int capture_read(const char *path, const struct capture_handler *handler, void *ctx,
                 struct capture_summary *summary, struct why *why)
{
    char error[PCAP_ERRBUF_SIZE] = "";
    *summary = (struct capture_summary){0};
    pcap_t *p = pcap_open_offline(path, error);
    if (!p)
        return why_set(why, -E_IO, "%s", error[0] ? error : path);
    int link = pcap_datalink(p), err;
    if (link_known(link))
        err = read_packets(p, path, handler, ctx, summary, why);
    else
        err = why_set(
            why, -E_UNSUPPORTED, "%s: link type %d (%s) is not one that weir reads", path, link,
            pcap_datalink_val_to_name(link) ? pcap_datalink_val_to_name(link) : "unknown");
    pcap_close(p);
    return err;
}
