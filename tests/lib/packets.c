/* packets: captures made up packet by packet. Headers are written here by hand, not by capture_write, which is tested with the reader. */
#include "tests/lib/packets.h"

#include "pipeline/base/alloc.h"

#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

enum { PACKET_MAX = 200000, SNAP_MAX = 262144 };

struct tape_private {
    FILE *memory;
    pcap_t *pcap;
    pcap_dumper_t *dumper;
};

/* ---- tapes */

void tape_begin(struct tape *t, int link)
{
    *t = (struct tape){.link = link, .now = {.tv_sec = 1700000000}};
    t->private = mem_zalloc(sizeof *t->private);
    t->private->memory = open_memstream(&t->octets, &t->len);
    t->private->pcap =
        pcap_open_dead_with_tstamp_precision(link, SNAP_MAX, PCAP_TSTAMP_PRECISION_MICRO);
    ASSERT(t->private->memory && t->private->pcap);
    t->private->dumper = pcap_dump_fopen(t->private->pcap, t->private->memory);
    ASSERT(t->private->dumper);
}

void tape_end(struct tape *t)
{
    if (!t->private)
        return;
    pcap_dump_close(t->private->dumper);
    pcap_close(t->private->pcap);
    mem_free(&t->private);
}

void tape_free(struct tape *t)
{
    tape_end(t);
    free(t->octets);
    t->octets = NULL;
}

void tape_raw(struct tape *t, const void *packet, size_t len)
{
    struct pcap_pkthdr header = {.ts = {t->now.tv_sec, t->now.tv_nsec / 1000},
                                 .caplen = (bpf_u_int32)(t->snap && t->snap < len ? t->snap : len),
                                 .len = (bpf_u_int32)len};
    pcap_dump((u_char *)t->private->dumper, &header, packet);
    t->now.tv_nsec += 1000000;
    if (t->now.tv_nsec >= 1000000000) {
        t->now.tv_nsec -= 1000000000;
        t->now.tv_sec++;
    }
}

static void put_link(const struct tape *t, struct wbuf *w, bool v6)
{
    uint16_t type = v6 ? 0x86dd : 0x0800;
    static const uint8_t zeros[18];
    switch (t->link) {
    case DLT_EN10MB:
        wbuf_put(w, "\2\0\0\0\0\1\2\0\0\0\0\2", 12);
        for (unsigned i = 0; i < t->vlans; i++) {
            wbuf_u16(w, i + 1 == t->vlans ? 0x8100 : 0x88a8);
            wbuf_u16(w, 7);
        }
        wbuf_u16(w, type);
        break;
    case DLT_LINUX_SLL:
        wbuf_put(w, zeros, 14);
        wbuf_u16(w, type);
        break;
    case DLT_LINUX_SLL2:
        wbuf_u16(w, type);
        wbuf_put(w, zeros, 18);
        break;
    case DLT_NULL:
    case DLT_LOOP:
        wbuf_u32(w, v6 ? 30 : 2);
        break;
    default:
        break;
    }
}

void tape_ip(struct tape *t, const void *packet, size_t len)
{
    uint8_t *buf = mem_alloc(PACKET_MAX);
    struct wbuf w = wbuf_open(buf, PACKET_MAX);
    put_link(t, &w, *(const uint8_t *)packet >> 4 == 6);
    wbuf_put(&w, packet, len);
    for (size_t i = 0; i < t->padding; i++)
        wbuf_u8(&w, 0xee);
    ASSERT(!w.bad);
    tape_raw(t, buf, wbuf_len(&w));
    mem_free(&buf);
}

static void put_ipv4(const struct tape *t, struct wbuf *w, const struct address *from,
                     const struct address *to, size_t payload)
{
    wbuf_put(w, "\x46\0", 2); /* with an option, so that 20 is not enough to step over it */
    wbuf_u16(w, t->no_length ? 0 : (uint16_t)(24 + payload));
    wbuf_put(w, "\0\0\x40\0\x40\6\0\0", 8);
    wbuf_put(w, &from->v4.sin_addr, 4);
    wbuf_put(w, &to->v4.sin_addr, 4);
    wbuf_put(w, "\1\1\1\0", 4);
}

static void put_ipv6(const struct tape *t, struct wbuf *w, const struct address *from,
                     const struct address *to, size_t payload)
{
    static const uint8_t extensions[] = {
        43, 0, 1, 4, 0, 0, 0,    0,                                      /* hop-by-hop */
        44, 1, 0, 0, 0, 0, 0,    0, 1, 2, 3, 4, 5, 6, 7, 8,              /* routing */
        51, 0, 0, 0, 0, 0, 0,    1,                                      /* whole fragment */
        60, 4, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 1,                          /* authentication */
        1,  2, 3, 4, 5, 6, 7,    8, 9, 1, 2, 3, 6, 0, 1, 4, 0, 0, 0, 0}; /* destination */
    size_t more = t->extensions ? sizeof extensions : 0;
    wbuf_u32(w, 0x60000000);
    wbuf_u16(w, t->no_length ? 0 : (uint16_t)(payload + more));
    wbuf_u8(w, t->extensions ? 0 : 6);
    wbuf_u8(w, 64);
    wbuf_put(w, &from->v6.sin6_addr, 16);
    wbuf_put(w, &to->v6.sin6_addr, 16);
    wbuf_put(w, extensions, more);
}

void tape_tcp(struct tape *t, const struct address *from, const struct address *to, uint32_t seq,
              uint32_t ack, unsigned flags, const void *data, size_t len)
{
    bool v4 = from->sa.sa_family == AF_INET;
    uint8_t *buf = mem_alloc(PACKET_MAX);
    struct wbuf w = wbuf_open(buf, PACKET_MAX);
    (v4 ? put_ipv4 : put_ipv6)(t, &w, from, to, 32 + len);
    wbuf_put(&w, v4 ? &from->v4.sin_port : &from->v6.sin6_port, 2);
    wbuf_put(&w, v4 ? &to->v4.sin_port : &to->v6.sin6_port, 2);
    wbuf_u32(&w, seq);
    wbuf_u32(&w, ack);
    wbuf_u8(&w, 8 << 4); /* with a time stamp option */
    wbuf_u8(&w, (uint8_t)flags);
    wbuf_put(&w, "\xff\xff\0\0\0\0\1\1\x8\xa\0\0\0\0\0\0\0\0", 18);
    wbuf_put(&w, data, len);
    ASSERT(!w.bad);
    tape_ip(t, buf, wbuf_len(&w));
    mem_free(&buf);
}

/* ---- talks */

struct talk talk_between(struct tape *tape, const char *client, const char *server, uint32_t first0,
                         uint32_t first1)
{
    struct talk k = {.tape = tape, .first = {first0, first1}};
    struct why why;
    bool bad = address_parse(client, 4000, &k.side[0], &why) < 0 ||
               address_parse(server, 53, &k.side[1], &why) < 0;
    ASSERT(!bad);
    return k;
}

void talk_put(struct talk *k, int side, size_t at, unsigned flags, const void *data, size_t len)
{
    tape_tcp(k->tape, &k->side[side], &k->side[!side], k->first[side] + (uint32_t)at,
             flags & PACKET_ACK ? k->first[!side] + (uint32_t)k->said[!side] : 0, flags, data, len);
}

void talk_open(struct talk *k)
{
    talk_put(k, 0, (size_t)-1, PACKET_SYN, NULL, 0);
    talk_put(k, 1, (size_t)-1, PACKET_SYN | PACKET_ACK, NULL, 0);
    talk_put(k, 0, 0, PACKET_ACK, NULL, 0);
}

void talk_say(struct talk *k, int side, const void *data, size_t len)
{
    talk_put(k, side, k->said[side], PACKET_ACK | PACKET_PSH, data, len);
    k->said[side] += len;
}

void talk_close(struct talk *k)
{
    for (int side = 1; side >= 0; side--) {
        talk_put(k, side, k->said[side], PACKET_ACK | PACKET_FIN, NULL, 0);
        k->said[side]++;
    }
    talk_put(k, 1, k->said[1], PACKET_ACK, NULL, 0);
}

/* ---- scripts */

void script_add(struct script *s, const uint8_t *msg, size_t len)
{
    while (s->len + 2 + len > s->cap) {
        s->cap = s->cap ? 2 * s->cap : 4096;
        s->octets = mem_resize(s->octets, s->cap);
    }
    put_u16(s->octets + s->len, (uint16_t)len);
    if (len)
        memcpy(s->octets + s->len + 2, msg, len);
    s->len += 2 + len;
}

static void put_name(struct wbuf *w, const char *text)
{
    uint8_t name[NAME_MAX_OCTETS];
    int len = name_parse(text, name, NULL);
    ASSERT(len > 0);
    wbuf_put(w, name, (size_t)len);
}

static void put_header(struct wbuf *w, uint16_t id, uint16_t flags, bool question, unsigned answers,
                       unsigned authority)
{
    wbuf_u16(w, id);
    wbuf_u16(w, flags);
    wbuf_u16(w, question);
    wbuf_u16(w, (uint16_t)answers);
    wbuf_u16(w, (uint16_t)authority);
    wbuf_u16(w, 0);
}

static void put_record(struct wbuf *w, const char *zone, bool soa, uint32_t serial)
{
    put_name(w, zone);
    wbuf_u16(w, soa ? RR_SOA : RR_A);
    wbuf_u16(w, CLASS_IN);
    wbuf_u32(w, 300);
    if (!soa) {
        wbuf_u16(w, 4);
        wbuf_u32(w, serial);
        return;
    }
    wbuf_u16(w, 2 + 20);
    wbuf_put(w, "\0\0", 2);
    wbuf_u32(w, serial);
    for (int i = 0; i < 4; i++)
        wbuf_u32(w, 300);
}

static void put_question(struct wbuf *w, const char *zone, uint16_t type)
{
    put_name(w, zone);
    wbuf_u16(w, type);
    wbuf_u16(w, CLASS_IN);
}

void script_query(struct script *s, uint16_t id, const char *zone, uint16_t type)
{
    uint8_t msg[512];
    struct wbuf w = wbuf_open(msg, sizeof msg);
    put_header(&w, id, 0, true, 0, 0);
    put_question(&w, zone, type);
    ASSERT(!w.bad);
    script_add(s, msg, wbuf_len(&w));
}

void script_ixfr(struct script *s, uint16_t id, const char *zone, uint32_t serial)
{
    uint8_t msg[512];
    struct wbuf w = wbuf_open(msg, sizeof msg);
    put_header(&w, id, 0, true, 0, 1);
    put_question(&w, zone, RR_IXFR);
    put_record(&w, zone, true, serial);
    ASSERT(!w.bad);
    script_add(s, msg, wbuf_len(&w));
}

void script_answer(struct script *s, uint16_t id, const char *zone, uint16_t type, unsigned rcode,
                   const char *records)
{
    uint8_t *msg = mem_alloc(MSG_MAX);
    struct wbuf w = wbuf_open(msg, MSG_MAX);
    unsigned n = 0;
    put_header(&w, id, (uint16_t)(MSG_QR | MSG_AA | rcode), type, 0, 0);
    if (type)
        put_question(&w, zone, type);
    for (const char *p = records; *p; p++) {
        if (*p == ' ')
            continue;
        char *end;
        uint32_t value = (uint32_t)strtoul(p + 1, &end, 10);
        put_record(&w, zone, *p == 'S', value);
        n++;
        p = end - 1;
    }
    ASSERT(!w.bad);
    put_u16(msg + 6, (uint16_t)n);
    script_add(s, msg, wbuf_len(&w));
    mem_free(&msg);
}

void script_free(struct script *s)
{
    mem_free(&s->octets);
    *s = (struct script){0};
}

/* ---- plays */

static void *on_begin(void *ctx, const struct capture_transfer *t)
{
    struct play *p = ctx;
    p->transfer = mem_resize(p->transfer, (p->n + 1) * sizeof *p->transfer);
    p->transfer[p->n] = (struct played){.about = *t};
    p->n++;
    ASSERT(p->n == t->number);
    /* handles are numbers: the array moves */
    return p->n == p->refuse ? NULL : (void *)(uintptr_t)p->n;
}

static struct played *played_of(struct play *p, void *handle, const struct capture_transfer *t)
{
    size_t number = (size_t)(uintptr_t)handle;
    ASSERT(number && number == t->number && number != p->refuse && !p->transfer[number - 1].ended);
    p->transfer[number - 1].about = *t;
    return &p->transfer[number - 1];
}

static void on_message(void *ctx, void *handle, const struct capture_transfer *t,
                       const uint8_t *msg, size_t len)
{
    struct played *d = played_of(ctx, handle, t);
    script_add(&d->messages, msg, len);
    d->nmessages++;
}

static void on_end(void *ctx, void *handle, const struct capture_transfer *t, const char *problem)
{
    struct play *p = ctx;
    struct played *d = played_of(p, handle, t);
    d->ended = true;
    d->ended_as = (unsigned)++p->ended;
    d->problem = problem ? mem_strdup(problem) : NULL;
}

void play_octets(struct play *p, const void *octets, size_t len)
{
    static const struct capture_handler handler = {on_begin, on_message, on_end};
    char *copy =
        mem_dup(octets, len ? len : 1); /* exactly as large: a sanitizer sees what is read */
    FILE *file = fmemopen(copy, len ? len : 1, "rb");
    ASSERT(file);
    p->err = capture_read_stream(file, "tape", &handler, p, &p->summary, &p->why);
    mem_free(&copy);
    for (size_t i = 0; i < p->n; i++)
        ASSERT(p->transfer[i].ended || i + 1 == p->refuse);
}

void play_tape(struct play *p, struct tape *t)
{
    tape_end(t);
    play_octets(p, t->octets, t->len);
    tape_free(t);
}

void play_free(struct play *p)
{
    for (size_t i = 0; i < p->n; i++) {
        script_free(&p->transfer[i].messages);
        mem_free(&p->transfer[i].problem);
    }
    mem_free(&p->transfer);
    *p = (struct play){0};
}
