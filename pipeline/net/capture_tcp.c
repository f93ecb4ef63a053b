/* capture_tcp: connections out of segments.
 *
 * Each direction has the number of the octet that comes next. A segment that begins there is handed on; one that lies
 * before it is a retransmission; one that lies after it waits in a list ordered by number until the gap is filled.
 * First come, first served: an octet that was handed on is never replaced by a later copy. All numbers are compared
 * modulo 2^32, and what lies further off than any window reaches is not part of the stream.
 *
 * A gap that is still there when the connection ends, or when more waits than the bounds of capture_p.h allow, is loss.
 * Gaps at the very end show, too: by the number of the FIN, by what the other side acknowledged. After loss, and
 * when the connection began before the capture, a direction is not *aligned*: its octets cannot be cut into messages until a
 * segment begins with one that can be recognised, which is what a server's first answer to a transfer query does.
 *
 * A connection that is over stays as a mark, so that late copies of its packets are not taken for a new one; the oldest
 * marks go when room is needed, then the connections that have been silent for longest.
 */
#include "pipeline/net/capture_p.h"

#include "pipeline/base/alloc.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { BUCKET_BITS = 14, WINDOW_MAX = 1 << 30, RESET_BEHIND = 65536 };

struct piece {
    struct piece *next;
    uint32_t seq;
    size_t len;
    struct timespec at;
    uint8_t data[];
};
struct direction {
    bool known;    /* next is set */
    bool began;    /* with a SYN that is in the capture, and first is its number + 1 */
    bool aligned;  /* octets are handed on */
    bool has_fin;  /* fin is the number after the last octet */
    bool finished; /* nothing more is read */
    bool snapped;  /* packets were captured without their ends */
    uint32_t first, next, fin;
    uint32_t end;      /* beyond the last octet that is known to exist */
    uint64_t at_octet; /* of next, counted from the first one known */
    struct piece *pending, *pending_last;
    size_t npending, pending_bytes;
};
struct connection {
    struct connection *hash_next, *older, *newer;
    unsigned bucket;
    bool over;
    struct address side[2];
    struct direction dir[2];
    struct dns_connection *dns; /* NULL: over */
};
struct list { /* ordered by the last packet, or by when they were over */
    struct connection *oldest, *newest;
};
struct tcp_reader {
    struct dns_reader *dns;
    struct capture_summary *summary;
    struct connection *bucket[1 << BUCKET_BITS];
    struct list open, over;
    size_t connections, pending_bytes;
};

struct tcp_reader *tcp_reader_new(struct dns_reader *dns, struct capture_summary *summary)
{
    struct tcp_reader *r = mem_zalloc(sizeof *r);
    r->dns = dns;
    r->summary = summary;
    return r;
}

/* ---- directions ------------------------------------------------------------------------------------------ */

static int32_t distance(uint32_t to, uint32_t from)
{
    return (int32_t)(to - from);
}

static bool in_reach(const struct direction *d, uint32_t seq)
{
    int32_t ahead = distance(seq, d->next);
    return ahead >= -WINDOW_MAX && ahead <= WINDOW_MAX;
}

static size_t piece_bytes(size_t len)
{
    return sizeof(struct piece) + len;
}

/* The first piece, now the caller's. */
static struct piece *piece_pop(struct tcp_reader *r, struct direction *d)
{
    struct piece *p = d->pending;
    d->pending = p->next;
    if (!d->pending)
        d->pending_last = NULL;
    d->npending--;
    d->pending_bytes -= piece_bytes(p->len);
    r->pending_bytes -= piece_bytes(p->len);
    return p;
}

static void pieces_free(struct tcp_reader *r, struct direction *d)
{
    while (d->pending) {
        struct piece *p = piece_pop(r, d);
        mem_free(&p);
    }
}

static void direction_begin(struct connection *c, int side, uint32_t seq)
{
    struct direction *d = &c->dir[side];
    d->known = d->began = d->aligned = true;
    d->first = d->next = d->end = seq;
    d->at_octet = 0;
    dns_align(c->dns, side, true);
}

/* Octets that do not lie beyond next, unless the direction is not aligned. */
static void direction_take(struct tcp_reader *r, struct connection *c, int side, uint32_t seq,
                           const uint8_t *data, size_t len, const struct timespec *at)
{
    struct direction *d = &c->dir[side];
    int32_t ahead = distance(seq, d->next);
    size_t old = ahead < 0 ? (size_t) - (int64_t)ahead : 0;
    if (old >= len)
        return;
    if (ahead > 0) {
        d->next = seq;
        d->at_octet += (uint32_t)ahead;
    }
    if (!d->aligned && old == 0 && dns_message_begins(r->dns, data, len)) {
        d->aligned = true;
        if (distance(d->end, d->next) < 0)
            d->end = d->next;
        dns_align(c->dns, side, false);
    }
    d->next += (uint32_t)(len - old);
    d->at_octet += len - old;
    if (d->aligned)
        dns_data(c->dns, side, data + old, len - old, at);
    else
        r->summary->unread_octets += len - old;
}

static void direction_drain(struct tcp_reader *r, struct connection *c, int side)
{
    struct direction *d = &c->dir[side];
    while (d->pending && (!d->aligned || distance(d->pending->seq, d->next) <= 0)) {
        struct piece *p = piece_pop(r, d);
        direction_take(r, c, side, p->seq, p->data, p->len, &p->at);
        mem_free(&p);
    }
}

/* `gap` octets after next will not come. */
static void direction_lose(struct tcp_reader *r, struct connection *c, int side, uint32_t gap)
{
    struct direction *d = &c->dir[side];
    char from[ADDRESS_TEXT_MAX], to[ADDRESS_TEXT_MAX];
    char *why = mem_printf(
        "%" PRIu32 " octets lost after octet %" PRIu64 " of the stream from %s to %s%s", gap,
        d->at_octet, address_print(&c->side[side], from), address_print(&c->side[!side], to),
        d->snapped ? " (packets were captured without their ends: snap length)" : "");
    r->summary->lost_octets += gap;
    d->aligned = false;
    dns_lost(c->dns, side, why);
    mem_free(&why);
    direction_drain(r, c, side);
}

/* What is still missing when nothing more comes. */
static void direction_settle(struct tcp_reader *r, struct connection *c, int side)
{
    struct direction *d = &c->dir[side];
    while (d->aligned && d->pending)
        direction_lose(r, c, side, d->pending->seq - d->next);
    if (!d->aligned || d->finished)
        return;
    int32_t gap = distance(d->has_fin ? d->fin : d->end, d->next);
    /* One more acknowledged than seen: that may as well have been a FIN. */
    if (gap > 1 || (gap == 1 && d->has_fin))
        direction_lose(r, c, side, (uint32_t)gap);
}

/* Where a piece goes in the list; NULL: it is there already. Most belong to the end. */
static struct piece **piece_place(struct direction *d, const struct segment *s)
{
    struct piece **at = &d->pending;
    if (d->pending_last && distance(s->seq, d->pending_last->seq) > 0)
        return &d->pending_last->next;
    while (*at && distance((*at)->seq, s->seq) < 0)
        at = &(*at)->next;
    return *at && (*at)->seq == s->seq && (*at)->len >= s->len ? NULL : at;
}

static void direction_keep(struct tcp_reader *r, struct connection *c, int side,
                           const struct segment *s)
{
    struct direction *d = &c->dir[side];
    size_t bytes = piece_bytes(s->len);
    struct piece **at = piece_place(d, s);
    if (!at) {
        r->summary->retransmitted++;
        return;
    }
    struct piece *p = mem_alloc(bytes);
    *p = (struct piece){.next = *at, .seq = s->seq, .len = s->len, .at = s->at};
    memcpy(p->data, s->data, s->len);
    *at = p;
    if (!p->next)
        d->pending_last = p;
    d->npending++;
    d->pending_bytes += bytes;
    r->pending_bytes += bytes;
    r->summary->reordered++;
    while (d->aligned && d->pending &&
           (d->npending > CAPTURE_PIECES || d->pending_bytes > CAPTURE_WAITING ||
            r->pending_bytes > CAPTURE_WAITING_ALL))
        direction_lose(r, c, side, d->pending->seq - d->next);
}

static void direction_data(struct tcp_reader *r, struct connection *c, int side,
                           const struct segment *s)
{
    struct direction *d = &c->dir[side];
    if (s->missing)
        d->snapped = true;
    if (!s->len)
        return;
    if (d->aligned && distance(s->seq, d->next) > 0) {
        direction_keep(r, c, side, s);
        return;
    }
    r->summary->retransmitted += distance(s->seq, d->next) < 0;
    direction_take(r, c, side, s->seq, s->data, s->len, &s->at);
    direction_drain(r, c, side);
}

/* What the segment tells besides its data. */
static void direction_note(struct direction *d, const struct segment *s)
{
    uint32_t end = s->seq + (uint32_t)(s->len + s->missing);
    if (d->aligned && distance(end, d->end) > 0)
        d->end = end;
    if (s->fin && !d->has_fin && distance(end, d->next) >= 0) {
        d->has_fin = true;
        d->fin = end;
    }
}

/* The other side's segment tells what of this direction has arrived there. */
static void direction_acked(struct connection *c, int side, const struct segment *s)
{
    struct direction *d = &c->dir[side];
    if (!s->has_ack || !d->aligned || !in_reach(d, s->ack))
        return;
    if (distance(s->ack, d->end) > 0)
        d->end = s->ack;
    dns_gap(c->dns, side, !d->has_fin && distance(s->ack, d->next) > 1); /* 1: a FIN */
}

static void direction_finish(struct connection *c, int side)
{
    struct direction *d = &c->dir[side];
    if (!d->has_fin || d->finished || (d->aligned && d->next != d->fin))
        return;
    d->finished = true;
    dns_finish(c->dns, side);
}

/* ---- connections ----------------------------------------------------------------------------------------- */

static bool same_place(const struct address *a, const struct address *b)
{
    if (a->sa.sa_family != b->sa.sa_family)
        return false;
    if (a->sa.sa_family == AF_INET)
        return a->v4.sin_port == b->v4.sin_port && a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    return a->v6.sin6_port == b->v6.sin6_port &&
           memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, 16) == 0;
}

static uint32_t port_of(const struct address *a)
{
    return a->sa.sa_family == AF_INET ? a->v4.sin_port : a->v6.sin6_port;
}

/* The same for both directions. */
static unsigned bucket_of(const struct segment *s)
{
    uint32_t a = port_of(&s->from), b = port_of(&s->to);
    uint32_t ports = a < b ? a << 16 | b : b << 16 | a;
    uint32_t hosts = address_hash_host(&s->from) ^ address_hash_host(&s->to);
    return ((hosts ^ ports) * 0x9e3779b1u) >> (32 - BUCKET_BITS);
}

static void list_add(struct list *l, struct connection *c)
{
    c->older = l->newest;
    c->newer = NULL;
    *(l->newest ? &l->newest->newer : &l->oldest) = c;
    l->newest = c;
}

static void list_remove(struct list *l, struct connection *c)
{
    *(c->older ? &c->older->newer : &l->oldest) = c->newer;
    *(c->newer ? &c->newer->older : &l->newest) = c->older;
}

/* Nothing more comes: why, as far as the transfers still open are concerned. */
static void connection_end(struct tcp_reader *r, struct connection *c, const char *why)
{
    if (c->over)
        return;
    for (int side = 0; side < 2; side++) {
        direction_settle(r, c, side);
        pieces_free(r, &c->dir[side]);
    }
    dns_close(&c->dns, why);
    c->over = true;
    list_remove(&r->open, c);
    list_add(&r->over, c);
}

/* Of one that is over. */
static void connection_free(struct tcp_reader *r, struct connection *c)
{
    struct connection **p = &r->bucket[c->bucket];
    while (*p != c)
        p = &(*p)->hash_next;
    *p = c->hash_next;
    list_remove(&r->over, c);
    r->connections--;
    mem_free(&c);
}

static struct connection *connection_new(struct tcp_reader *r, const struct segment *s,
                                         unsigned bucket)
{
    if (r->connections == CAPTURE_CONNECTIONS) {
        if (!r->over.oldest)
            connection_end(r, r->open.oldest, "given up: too many connections are open at once");
        connection_free(r, r->over.oldest);
    }
    struct connection *c = mem_zalloc(sizeof *c);
    c->side[0] = s->from;
    c->side[1] = s->to;
    c->bucket = bucket;
    c->hash_next = r->bucket[bucket];
    r->bucket[bucket] = c;
    c->dns = dns_open(r->dns, c->side);
    list_add(&r->open, c);
    r->connections++;
    r->summary->connections++;
    r->summary->headless += !s->syn;
    return c;
}

static int side_of(const struct connection *c, const struct segment *s)
{
    return same_place(&c->side[0], &s->from) && same_place(&c->side[1], &s->to)   ? 0
           : same_place(&c->side[1], &s->from) && same_place(&c->side[0], &s->to) ? 1
                                                                                  : -1;
}

/* A SYN between the two places of a connection: is it the beginning of another one? */
static bool begins_another(const struct connection *c, int side, const struct segment *s)
{
    const struct direction *d = &c->dir[side];
    if (!s->syn || s->has_ack)
        return false;
    if (c->over)
        return true;
    if (d->began)
        return s->seq + 1 != d->first;             /* else it is the same once more */
    return d->known || c->dir[!side].at_octet > 0; /* else both sides opened at once */
}

static struct connection *connection_of(struct tcp_reader *r, const struct segment *s)
{
    unsigned bucket = bucket_of(s);
    for (struct connection *c = r->bucket[bucket]; c; c = c->hash_next) {
        int side = side_of(c, s);
        if (side < 0)
            continue;
        if (!begins_another(c, side, s))
            return c;
        connection_end(r, c, "its end is not in the capture: a new connection took its ports");
        connection_free(r, c);
        break;
    }
    /* What carries nothing begins nothing. */
    return (s->syn && !s->reset) || (s->len && !s->reset) ? connection_new(r, s, bucket) : NULL;
}

static void connection_reset(struct tcp_reader *r, struct connection *c, int side,
                             const struct segment *s)
{
    const struct direction *d = &c->dir[side];
    int32_t ahead = distance(s->seq, d->next);
    /* RFC 5961 3: a host only believes one that hits its window. */
    if (d->known && d->aligned && (ahead < -RESET_BEHIND || ahead > CAPTURE_WAITING)) {
        r->summary->ignored_packets++;
        return;
    }
    char from[ADDRESS_TEXT_MAX];
    char *why = mem_printf("the connection was reset by %s", address_print(&s->from, from));
    connection_end(r, c, why);
    mem_free(&why);
}

static void connection_segment(struct tcp_reader *r, struct connection *c, int side,
                               const struct segment *s)
{
    struct direction *d = &c->dir[side];
    if (s->reset) {
        connection_reset(r, c, side, s);
        return;
    }
    if (!d->known) { /* no SYN */
        d->known = true;
        d->next = s->seq;
    }
    if (!in_reach(d, s->seq)) {
        r->summary->ignored_packets++;
        return;
    }
    direction_acked(c, !side, s);
    direction_note(d, s);
    if (!d->finished)
        direction_data(r, c, side, s);
    direction_finish(c, side);
    if (c->dir[0].finished && c->dir[1].finished)
        connection_end(r, c, "the connection was closed");
}

void tcp_reader_segment(struct tcp_reader *r, const struct segment *in)
{
    struct connection *c = connection_of(r, in);
    if (!c) {
        r->summary->ignored_packets++;
        return;
    }
    if (c->over)
        return;
    list_remove(&r->open, c);
    list_add(&r->open, c);
    struct segment s = *in;
    int side = side_of(c, &s);
    struct direction *d = &c->dir[side];
    if (s.syn) {
        s.seq++;
        if (!d->began && !d->aligned && !d->finished)
            direction_begin(c, side, s.seq);
    }
    /* Who has sent nothing yet acknowledges the other's SYN and no more: where the other begins, if its SYN is lost. */
    if (s.has_ack && !s.reset && d->began && s.seq == d->first && !c->dir[!side].known)
        direction_begin(c, !side, s.ack);
    connection_segment(r, c, side, &s);
}

void tcp_reader_free(struct tcp_reader **rp)
{
    struct tcp_reader *r = *rp;
    while (r->open.oldest)
        connection_end(r, r->open.oldest, "the capture ends before the transfer does");
    while (r->over.oldest)
        connection_free(r, r->over.oldest);
    ASSERT(r->connections == 0 && r->pending_bytes == 0);
    mem_free(rp);
}
