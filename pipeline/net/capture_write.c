/* capture_write: what came in, as packets that any tool reads.
 *
 * Raw IP (LINKTYPE_RAW), with IP, TCP and UDP headers made up around the octets: a handshake at the start of a
 * stream, consistent sequence and acknowledgement numbers, checksums that are right, FIN or RST at its end. Data is cut into
 * SEGMENT_MAX octets.
 *
 * A stream stays in the file in which it began, so every file holds whole transfers: one that is full takes no new streams and
 * is closed with its last one. Its size is therefore max_bytes and what the streams bring that were open in it then.
 *
 * A file that cannot be written is given up with one line in the log, and so is capturing: a capture must never harm
 * the daemon.
 */
#include "pipeline/net/capture.h"

#include "pipeline/base/alloc.h"
#include "pipeline/base/buf.h"
#include "pipeline/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    SEGMENT_MAX = 32768,
    PROTO_TCP = 6,
    PROTO_UDP = 17,
    TCP_FIN = 1,
    TCP_SYN = 2,
    TCP_RST = 4,
    TCP_PSH = 8,
    TCP_ACK = 16,
    WINDOW = 65535,
    PCAP_HEADER = 24, /* of the file */
    PCAP_PACKET = 16, /* of each packet in it */
    SNAP_LENGTH = 262144,
    MODE = 0640, /* zones are not everybody's business */
};

struct capture_file {
    char *path;
    pcap_dumper_t *dumper;
    size_t bytes, streams;
};
struct capture {
    char *dir;
    size_t max_bytes;
    unsigned files;
    bool broken;
    pcap_t *pcap;
    struct capture_file *file; /* for what begins now; NULL: none yet */
    size_t streams;
    uint32_t seq; /* for the next stream */
};
struct capture_stream {
    struct capture *capture;
    struct capture_file *file; /* NULL: could not be opened */
    struct address side[2];    /* 0: local, who opened it; 1: peer */
    uint32_t seq[2];           /* of the next octet of each side */
};

/* ---- files ----------------------------------------------------------------------------------------------- */

/* Said once: who calls this looks at broken before. */
static void give_up(struct capture *c, const char *path)
{
    log_error("capturing stops: the capture cannot be written", LOG_KV("path", LOG_S(path)),
              LOG_KV("error", LOG_S(strerror(errno ? errno : EIO))));
    c->broken = true;
}

/* Whoever opens the file now finds all that was written. */
static void file_flush(struct capture *c, struct capture_file *f)
{
    errno = 0;
    if (!c->broken && pcap_dump_flush(f->dumper))
        give_up(c, f->path);
}

static void file_close(struct capture *c, struct capture_file **fp)
{
    file_flush(c, *fp);
    pcap_dump_close((*fp)->dumper);
    mem_free(&(*fp)->path);
    mem_free(fp);
}

static char *file_path(struct capture *c)
{
    struct timespec now;
    struct tm tm;
    char day[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(day, sizeof day, "%Y%m%d%H%M%S", &tm);
    return mem_printf("%s/weir-%s.%03ld-%u.pcap", c->dir, day, now.tv_nsec / 1000000, c->files++);
}

static struct capture_file *file_open(struct capture *c)
{
    char *path = file_path(c);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, MODE);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "wb");
    pcap_dumper_t *dumper = file ? pcap_dump_fopen(c->pcap, file) : NULL;
    if (!dumper) {
        give_up(c, path);
        if (file)
            fclose(file);
        else if (fd >= 0)
            close(fd);
        mem_free(&path);
        return NULL;
    }
    struct capture_file *f = mem_zalloc(sizeof *f);
    f->path = path;
    f->dumper = dumper;
    f->bytes = PCAP_HEADER;
    return f;
}

static bool file_is_full(const struct capture *c, const struct capture_file *f)
{
    return c->max_bytes && f->bytes >= c->max_bytes;
}

/* Nothing begins in the current file any more; it lives on while streams do. */
static void file_leave(struct capture *c)
{
    if (c->file && c->file->streams == 0)
        file_close(c, &c->file);
    c->file = NULL;
}

/* The file for what begins now; NULL when there cannot be one. */
static struct capture_file *file_current(struct capture *c)
{
    if (c->broken)
        return NULL;
    if (c->file && file_is_full(c, c->file))
        file_leave(c);
    if (!c->file)
        c->file = file_open(c);
    return c->file;
}

int capture_open(const char *dir, size_t max_bytes, struct capture **out, struct why *why)
{
    struct stat st;
    int err = stat(dir, &st) ? errno : S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
    if (!err && faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS))
        err = errno;
    if (err)
        return why_set(why, -E_IO, "server.capture: cannot write into %s: %s", dir, strerror(err));
    struct capture *c = mem_zalloc(sizeof *c);
    c->dir = mem_strdup(dir);
    c->max_bytes = max_bytes;
    c->pcap = pcap_open_dead(DLT_RAW, SNAP_LENGTH);
    ASSERT(c->pcap);
    *out = c;
    return 0;
}

void capture_close(struct capture **cp)
{
    struct capture *c = *cp;
    if (!c)
        return;
    ASSERT(c->streams == 0);
    file_leave(c);
    pcap_close(c->pcap);
    mem_free(&c->dir);
    mem_free(cp);
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

static void write_packet(struct capture *c, struct capture_file *f, const uint8_t *packet,
                         size_t len, const struct timespec *at)
{
    if (c->broken || !f)
        return;
    struct pcap_pkthdr header = {.ts = {at->tv_sec, at->tv_nsec / 1000},
                                 .caplen = (bpf_u_int32)len,
                                 .len = (bpf_u_int32)len};
    errno = 0;
    pcap_dump((u_char *)f->dumper, &header, packet);
    f->bytes += len + PCAP_PACKET;
    if (ferror(pcap_dump_file(f->dumper)))
        give_up(c, f->path);
}

static void write_tcp(struct capture_stream *s, int from, uint8_t flags, const uint8_t *data,
                      size_t len, const struct timespec *at)
{
    uint8_t packet[40 + 20 + SEGMENT_MAX];
    const struct address *a = &s->side[from], *b = &s->side[!from];
    size_t ip = put_ip(packet, a, b, PROTO_TCP, 20 + len);
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
    put_u16(h + 16, transport_sum(a, b, PROTO_TCP, h, 20 + len));
    write_packet(s->capture, s->file, packet, ip + 20 + len, at);
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
    s->file = file_current(c);
    if (s->file)
        s->file->streams++;
    s->seq[0] = c->seq += 0x10001;
    s->seq[1] = ~c->seq;
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
    struct capture *c = s->capture;
    struct capture_file *f = s->file;
    if (f) {
        file_flush(c, f);
        if (--f->streams == 0 && f != c->file)
            file_close(c, &f);
    }
    c->streams--;
    mem_free(sp);
}

void capture_datagram(struct capture *c, const struct address *from, const struct address *to,
                      const uint8_t *data, size_t len, const struct timespec *at)
{
    uint8_t packet[40 + 8 + 65507];
    if (len > 65507)
        return;
    size_t ip = put_ip(packet, from, to, PROTO_UDP, 8 + len);
    uint8_t *h = packet + ip;
    memcpy(h, port_of(from), 2);
    memcpy(h + 2, port_of(to), 2);
    put_u16(h + 4, (uint16_t)(8 + len));
    put_u16(h + 6, 0);
    memcpy(h + 8, data, len);
    uint16_t sum = transport_sum(from, to, PROTO_UDP, h, 8 + len);
    put_u16(h + 6, sum ? sum : 0xffff);
    write_packet(c, file_current(c), packet, ip + 8 + len, at);
}
