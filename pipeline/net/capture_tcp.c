/* capture_tcp: connections out of segments.
 *
 * Each direction has the number of the octet that comes next. A segment that begins there is handed on; one that lies
 * before it is a retransmission; one that lies after it waits in a list ordered by number until the gap is filled.
 * First come, first served: an octet that was handed on is never replaced by a later copy. A gap that is still there
 * when the connection ends, or when more waits than PENDING_BYTES, is loss: the direction is told so, with the octet's place
 * in its stream, and closed. All numbers are compared modulo 2^32.
 */
#include "pipeline/net/capture_p.h"

#include "pipeline/base/alloc.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { BUCKETS = 1024, CONNECTIONS_MAX = 65536, PENDING_BYTES = 4 << 20, PENDING_ALL = 256 << 20 };

struct piece {
    struct piece *next;
    uint32_t seq;
    size_t len;
    struct timespec at;
    uint8_t data[];
};
struct direction {
    bool known; /* next is good */
    bool dead, finished;
    uint32_t next;
    uint64_t at_octet; /* of next, counted from the stream's first */
    bool has_fin;
    uint32_t fin; /* number after the last octet */
    struct piece *pending;
    size_t pending_bytes;
};
struct connection {
    struct connection *hash_next, *newer;
    struct address side[2];
    struct direction dir[2];
    struct dns_connection *dns;
};
struct tcp_reader {
    struct dns_reader *dns;
    struct capture_summary *summary;
    struct connection *bucket[BUCKETS];
    struct connection *oldest, **newest;
    size_t connections, pending_bytes;
};

struct tcp_reader *tcp_reader_new(struct dns_reader *dns, struct capture_summary *summary)
{
    struct tcp_reader *r = mem_zalloc(sizeof *r);
    r->dns = dns;
    r->summary = summary;
    r->newest = &r->oldest;
    return r;
}

static bool same_place(const struct address *a, const struct address *b)
{
    if (a->sa.sa_family != b->sa.sa_family)
        return false;
    if (a->sa.sa_family == AF_INET)
        return a->v4.sin_port == b->v4.sin_port && a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    return a->v6.sin6_port == b->v6.sin6_port &&
           memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, 16) == 0;
}

static uint16_t port_of(const struct address *a)
{
    return a->sa.sa_family == AF_INET ? a->v4.sin_port : a->v6.sin6_port;
}

static unsigned bucket_of(const struct segment *s)
{
    /* The same for both directions. */
    uint32_t h = address_hash_host(&s->from) ^ address_hash_host(&s->to) ^
                 ((uint32_t)port_of(&s->from) * port_of(&s->to));
    return (h ^ h >> 16) % BUCKETS;
}

static void pieces_free(struct tcp_reader *r, struct direction *d)
{
    while (d->pending) {
        struct piece *p = d->pending;
        d->pending = p->next;
        mem_free(&p);
    }
    r->pending_bytes -= d->pending_bytes;
    d->pending_bytes = 0;
}

static void direction_lose(struct tcp_reader *r, struct connection *c, int side, uint64_t missing)
{
    struct direction *d = &c->dir[side];
    char from[ADDRESS_TEXT_MAX], to[ADDRESS_TEXT_MAX], why[240];
    snprintf(why, sizeof why, "from %s to %s: %" PRIu64 " octets are missing after octet %" PRIu64,
             address_print(&c->side[side], from), address_print(&c->side[!side], to), missing,
             d->at_octet);
    r->summary->lost_octets += missing;
    d->dead = true;
    pieces_free(r, d);
    dns_lost(c->dns, why);
}

static void direction_give(struct connection *c, int side, const uint8_t *data, size_t len,
                           const struct timespec *at)
{
    struct direction *d = &c->dir[side];
    d->next += (uint32_t)len;
    d->at_octet += len;
    dns_data(c->dns, side, data, len, at);
}

static void direction_drain(struct tcp_reader *r, struct connection *c, int side)
{
    struct direction *d = &c->dir[side];
    while (d->pending && !d->dead) {
        struct piece *p = d->pending;
        int32_t ahead = (int32_t)(p->seq - d->next);
        if (ahead > 0)
            return;
        size_t old = (size_t) - (int64_t)ahead;
        d->pending = p->next;
        d->pending_bytes -= p->len;
        r->pending_bytes -= p->len;
        if (old < p->len)
            direction_give(c, side, p->data + old, p->len - old, &p->at);
        mem_free(&p);
    }
}

static void direction_keep(struct tcp_reader *r, struct connection *c, int side,
                           const struct segment *s)
{
    struct direction *d = &c->dir[side];
    if (d->pending_bytes + s->len > PENDING_BYTES || r->pending_bytes + s->len > PENDING_ALL) {
        direction_lose(r, c, side,
                       d->pending ? (uint32_t)(d->pending->seq - d->next)
                                  : (uint32_t)(s->seq - d->next));
        return;
    }
    struct piece **at = &d->pending;
    while (*at && (int32_t)((*at)->seq - s->seq) <= 0)
        at = &(*at)->next;
    struct piece *p = mem_alloc(sizeof *p + s->len);
    p->next = *at;
    p->seq = s->seq;
    p->len = s->len;
    p->at = s->at;
    memcpy(p->data, s->data, s->len);
    *at = p;
    d->pending_bytes += s->len;
    r->pending_bytes += s->len;
    r->summary->reordered++;
}

static void connection_end(struct tcp_reader *r, struct connection *c)
{
    for (int side = 0; side < 2; side++) {
        struct direction *d = &c->dir[side];
        if (!d->dead && d->pending)
            direction_lose(r, c, side, (uint32_t)(d->pending->seq - d->next));
        else if (!d->dead && d->has_fin && d->known && d->fin != d->next)
            direction_lose(r, c, side, (uint32_t)(d->fin - d->next));
    }
    dns_close(&c->dns);
    pieces_free(r, &c->dir[0]);
    pieces_free(r, &c->dir[1]);
}

static void connection_remove(struct tcp_reader *r, struct connection *c, unsigned bucket)
{
    for (struct connection **p = &r->bucket[bucket]; *p; p = &(*p)->hash_next)
        if (*p == c) {
            *p = c->hash_next;
            break;
        }
    for (struct connection **p = &r->oldest; *p; p = &(*p)->newer)
        if (*p == c) {
            *p = c->newer;
            if (r->newest == &c->newer)
                r->newest = p;
            break;
        }
    r->connections--;
    mem_free(&c);
}

static struct connection *connection_of(struct tcp_reader *r, const struct segment *s,
                                        unsigned bucket)
{
    for (struct connection *c = r->bucket[bucket]; c; c = c->hash_next) {
        int side = same_place(&c->side[0], &s->from) && same_place(&c->side[1], &s->to)   ? 0
                   : same_place(&c->side[1], &s->from) && same_place(&c->side[0], &s->to) ? 1
                                                                                          : -1;
        if (side < 0)
            continue;
        /* The same two ports again, with another beginning: a new connection. */
        struct direction *d = &c->dir[side];
        bool over = d->has_fin && c->dir[!side].has_fin;
        if (s->syn && side == 0 && (over || (d->known && d->at_octet && s->seq + 1 != d->next))) {
            connection_end(r, c);
            connection_remove(r, c, bucket);
            break;
        }
        return c;
    }
    if (r->connections == CONNECTIONS_MAX)
        return NULL;
    struct connection *c = mem_zalloc(sizeof *c);
    c->side[0] = s->from;
    c->side[1] = s->to;
    c->hash_next = r->bucket[bucket];
    r->bucket[bucket] = c;
    *r->newest = c;
    r->newest = &c->newer;
    r->connections++;
    r->summary->connections++;
    c->dns = dns_open(r->dns, c->side, s->syn);
    return c;
}

void tcp_reader_segment(struct tcp_reader *r, const struct segment *in)
{
    unsigned bucket = bucket_of(in);
    struct connection *c = connection_of(r, in, bucket);
    if (!c) {
        r->summary->ignored_packets++;
        return;
    }
    struct segment s = *in;
    int side = same_place(&c->side[0], &s.from) ? 0 : 1;
    if (same_place(&c->side[0], &c->side[1]))
        side = 0;
    struct direction *d = &c->dir[side];
    if (s.syn)
        s.seq++;
    if (!d->known) {
        d->known = true;
        d->next = s.seq;
    }
    if (s.reset) {
        connection_end(r, c);
        connection_remove(r, c, bucket);
        return;
    }
    if (s.fin) {
        d->has_fin = true;
        d->fin = s.seq + (uint32_t)(s.len + s.missing);
    }
    if (d->dead)
        return;
    int32_t ahead = (int32_t)(s.seq - d->next);
    if (s.len && ahead > 0) {
        direction_keep(r, c, side, &s);
        return;
    }
    size_t old = (size_t) - (int64_t)ahead;
    if (s.len && old) {
        r->summary->retransmitted++;
        if (old >= s.len)
            return;
    }
    if (s.len)
        direction_give(c, side, s.data + old, s.len - old, &s.at);
    if (s.missing && !d->dead) {
        direction_lose(r, c, side, s.missing);
        return;
    }
    direction_drain(r, c, side);
}

void tcp_reader_free(struct tcp_reader **rp)
{
    struct tcp_reader *r = *rp;
    for (struct connection *c = r->oldest; c;) {
        struct connection *next = c->newer;
        connection_end(r, c);
        mem_free(&c);
        c = next;
    }
    mem_free(rp);
}
