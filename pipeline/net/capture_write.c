/* capture_write: what came in, as packets that any tool reads.
 *
 * Raw IP (LINKTYPE_RAW), with IP, TCP and UDP headers made up around the octets: a handshake at the start of a
 * stream, consistent sequence and acknowledgement numbers, checksums that are right, FIN or RST at its end. Data is cut into
 * SEGMENT_MAX octets. A file that cannot be written is given up with one line in the log: a capture must never harm the daemon.
 */
#include "pipeline/net/capture.h"

#include "pipeline/base/alloc.h"
#include "pipeline/base/buf.h"
#include "pipeline/base/log.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SEGMENT_MAX = 32768,
    TCP_FIN = 1,
    TCP_SYN = 2,
    TCP_RST = 4,
    TCP_PSH = 8,
    TCP_ACK = 16,
    WINDOW = 65535
};

struct capture {
    char *dir;
    size_t max_bytes, bytes;
    unsigned files;
    bool broken;
    pcap_t *pcap;
    pcap_dumper_t *file;
    struct timespec last;
    size_t streams;
};
struct capture_stream {
    struct capture *capture;
    struct address side[2]; /* 0: local, who opened it; 1: peer */
    uint32_t seq[2];        /* of the next octet of each side */
};

static void file_close(struct capture *c)
{
    if (c->file)
        pcap_dump_close(c->file);
    c->file = NULL;
}

static void give_up(struct capture *c, const char *what, const char *path)
{
    log_error("capturing stops: the capture cannot be written", LOG_KV("what", LOG_S(what)),
              LOG_KV("path", LOG_S(path)),
              LOG_KV("error", LOG_S(errno ? strerror(errno) : pcap_geterr(c->pcap))));
    file_close(c);
    c->broken = true;
}

static bool file_open(struct capture *c)
{
    struct timespec now;
    struct tm tm;
    char day[32], path[4096];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(day, sizeof day, "%Y%m%d%H%M%S", &tm);
    snprintf(path, sizeof path, "%s/weir-%s.%03ld-%u.pcap", c->dir, day, now.tv_nsec / 1000000,
             c->files++);
    errno = 0;
    c->file = pcap_dump_open(c->pcap, path);
    c->bytes = 24;
    if (!c->file)
        give_up(c, "open", path);
    return c->file != NULL;
}

int capture_open(const char *dir, size_t max_bytes, struct capture **out, struct why *why)
{
    if (access(dir, W_OK | X_OK))
        return why_set(why, -E_IO, "server.capture: cannot write into %s: %s", dir,
                       strerror(errno));
    struct capture *c = mem_zalloc(sizeof *c);
    c->dir = mem_strdup(dir);
    c->max_bytes = max_bytes;
    c->pcap = pcap_open_dead(DLT_RAW, 262144);
    ASSERT(c->pcap);
    *out = c;
    return 0;
}

static void capture_release(struct capture *c)
{
    file_close(c);
    pcap_close(c->pcap);
    mem_free(&c->dir);
    mem_free(&c);
}

void capture_close(struct capture **cp)
{
    struct capture *c = *cp;
    if (!c)
        return;
    ASSERT(c->streams == 0);
    capture_release(c);
    *cp = NULL;
}

/* ---- headers ------------------------------------------------------------------------------------------- */

static uint32_t sum_add(uint32_t sum, const uint8_t *p, size_t n)
{
    for (; n > 1; p += 2, n -= 2)
        sum += get_u16(p);
    if (n)
        sum += (uint32_t)p[0] << 8;
    return sum;
}

static uint16_t sum_end(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static const uint8_t *host_of(const struct address *a, size_t *len)
{
    if (a->sa.sa_family == AF_INET) {
        *len = 4;
        return (const uint8_t *)&a->v4.sin_addr;
    }
    *len = 16;
    return (const uint8_t *)&a->v6.sin6_addr;
}

static const uint8_t *port_of(const struct address *a)
{
    return a->sa.sa_family == AF_INET ? (const uint8_t *)&a->v4.sin_port
                                      : (const uint8_t *)&a->v6.sin6_port;
}

/* The IP header for `payload` octets of protocol `proto`; returns its length. */
static size_t put_ip(uint8_t *h, const struct address *from, const struct address *to,
                     uint8_t proto, size_t payload)
{
    size_t n;
    if (from->sa.sa_family == AF_INET) {
        memset(h, 0, 20);
        h[0] = 0x45;
        put_u16(h + 2, (uint16_t)(20 + payload));
        h[6] = 0x40;
        h[8] = 64;
        h[9] = proto;
        memcpy(h + 12, host_of(from, &n), 4);
        memcpy(h + 16, host_of(to, &n), 4);
        put_u16(h + 10, sum_end(sum_add(0, h, 20)));
        return 20;
    }
    memset(h, 0, 40);
    h[0] = 0x60;
    put_u16(h + 4, (uint16_t)payload);
    h[6] = proto;
    h[7] = 64;
    memcpy(h + 8, host_of(from, &n), 16);
    memcpy(h + 24, host_of(to, &n), 16);
    return 40;
}

static uint16_t transport_sum(const struct address *from, const struct address *to, uint8_t proto,
                              const uint8_t *p, size_t len)
{
    size_t n;
    const uint8_t *a = host_of(from, &n), *b = host_of(to, &n);
    uint32_t sum = sum_add(sum_add(0, a, n), b, n) + proto + (uint32_t)len;
    return sum_end(sum_add(sum, p, len));
}

static void write_packet(struct capture *c, const uint8_t *packet, size_t len,
                         const struct timespec *at)
{
    if (c->broken)
        return;
    if (c->file && c->bytes + len + 16 > c->max_bytes && c->max_bytes)
        file_close(c);
    if (!c->file && !file_open(c))
        return;
    if (at->tv_sec > c->last.tv_sec ||
        (at->tv_sec == c->last.tv_sec && at->tv_nsec > c->last.tv_nsec))
        c->last = *at;
    struct pcap_pkthdr header = {.ts = {c->last.tv_sec, c->last.tv_nsec / 1000},
                                 .caplen = (bpf_u_int32)len,
                                 .len = (bpf_u_int32)len};
    pcap_dump((u_char *)c->file, &header, packet);
    c->bytes += len + 16;
    errno = 0;
    if (ferror(pcap_dump_file(c->file)))
        give_up(c, "write", c->dir);
}

static void write_tcp(struct capture_stream *s, int from, uint8_t flags, const uint8_t *data,
                      size_t len, const struct timespec *at)
{
    uint8_t packet[40 + 20 + SEGMENT_MAX];
    const struct address *a = &s->side[from], *b = &s->side[!from];
    size_t ip = put_ip(packet, a, b, 6, 20 + len);
    uint8_t *h = packet + ip;
    memset(h, 0, 20);
    memcpy(h, port_of(a), 2);
    memcpy(h + 2, port_of(b), 2);
    put_u32(h + 4, s->seq[from]);
    put_u32(h + 8, flags & TCP_ACK ? s->seq[!from] : 0);
    h[12] = 5 << 4;
    h[13] = flags;
    put_u16(h + 14, WINDOW);
    if (len)
        memcpy(h + 20, data, len);
    put_u16(h + 16, transport_sum(a, b, 6, h, 20 + len));
    write_packet(s->capture, packet, ip + 20 + len, at);
    s->seq[from] += (uint32_t)len + (flags & (TCP_SYN | TCP_FIN) ? 1 : 0);
}

static struct timespec now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t;
}

struct capture_stream *capture_stream_open(struct capture *c, const struct address *local,
                                           const struct address *peer)
{
    struct capture_stream *s = mem_zalloc(sizeof *s);
    struct timespec at = now();
    s->capture = c;
    c->streams++;
    s->side[0] = *local;
    s->side[1] = *peer;
    s->seq[0] = 1000;
    s->seq[1] = 2000;
    write_tcp(s, 0, TCP_SYN, NULL, 0, &at);
    write_tcp(s, 1, TCP_SYN | TCP_ACK, NULL, 0, &at);
    write_tcp(s, 0, TCP_ACK, NULL, 0, &at);
    return s;
}

void capture_stream_data(struct capture_stream *s, bool from_peer, const uint8_t *data, size_t len,
                         const struct timespec *at)
{
    while (len) {
        size_t n = len < SEGMENT_MAX ? len : SEGMENT_MAX;
        write_tcp(s, from_peer, TCP_PSH | TCP_ACK, data, n, at);
        write_tcp(s, !from_peer, TCP_ACK, NULL, 0, at);
        data += n;
        len -= n;
    }
}

void capture_stream_close(struct capture_stream **sp, bool reset)
{
    struct capture_stream *s = *sp;
    if (!s)
        return;
    struct timespec at = now();
    if (reset) {
        write_tcp(s, 0, TCP_RST | TCP_ACK, NULL, 0, &at);
    } else {
        write_tcp(s, 0, TCP_FIN | TCP_ACK, NULL, 0, &at);
        write_tcp(s, 1, TCP_FIN | TCP_ACK, NULL, 0, &at);
        write_tcp(s, 0, TCP_ACK, NULL, 0, &at);
    }
    /* Whoever opens the file now finds whole transfers in it. */
    if (s->capture->file)
        pcap_dump_flush(s->capture->file);
    s->capture->streams--;
    mem_free(sp);
}

void capture_datagram(struct capture *c, const struct address *from, const struct address *to,
                      const uint8_t *data, size_t len, const struct timespec *at)
{
    uint8_t packet[40 + 8 + 65507];
    if (len > 65507)
        return;
    size_t ip = put_ip(packet, from, to, 17, 8 + len);
    uint8_t *h = packet + ip;
    memcpy(h, port_of(from), 2);
    memcpy(h + 2, port_of(to), 2);
    put_u16(h + 4, (uint16_t)(8 + len));
    put_u16(h + 6, 0);
    memcpy(h + 8, data, len);
    uint16_t sum = transport_sum(from, to, 17, h, 8 + len);
    put_u16(h + 6, sum ? sum : 0xffff);
    write_packet(c, packet, ip + 8 + len, at);
}
