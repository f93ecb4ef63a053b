/* capture_dns: transfers out of the two streams of a connection.
 *
 * Either side may ask (RFC 7766 does not care who opened the connection), so each side's messages are cut by their
 * length prefixes; a query for AXFR or IXFR opens a transfer that waits for messages of the other side with its ID.
 * Here is also decided when a transfer is over, without knowing zones: at its second SOA with the first one's serial
 * at the end of a message. What is right and wrong in between is zone/transfer's business, not ours.
 */
#include "pipeline/net/capture_p.h"

#include "pipeline/base/alloc.h"

#include <stdio.h>
#include <string.h>

enum { OPEN_MAX = 64 };

struct stream {
    uint8_t *buf; /* one message and its prefix, grown as needed */
    size_t cap, len;
};
struct open_transfer {
    struct capture_transfer t;
    void *handle; /* the handler's */
    int answers;  /* the side that answers */
    bool has_serial;
    uint32_t serial;
    size_t soas; /* with that serial */
    size_t records;
    struct open_transfer *next;
};
struct dns_connection {
    struct dns_reader *reader;
    struct address side[2];
    bool from_start, lost;
    struct stream stream[2];
    struct open_transfer *open;
    unsigned nopen;
};
struct dns_reader {
    const struct capture_handler *handler;
    void *ctx;
    struct capture_summary *summary;
    struct msg_reader msg; /* 64 KiB: not on the stack */
};

struct dns_reader *dns_reader_new(const struct capture_handler *handler, void *ctx,
                                  struct capture_summary *summary)
{
    struct dns_reader *r = mem_zalloc(sizeof *r);
    r->handler = handler;
    r->ctx = ctx;
    r->summary = summary;
    return r;
}

void dns_reader_free(struct dns_reader **r)
{
    mem_free(r);
}

struct dns_connection *dns_open(struct dns_reader *r, const struct address side[2], bool from_start)
{
    struct dns_connection *c = mem_zalloc(sizeof *c);
    c->reader = r;
    c->side[0] = side[0];
    c->side[1] = side[1];
    c->from_start = from_start;
    return c;
}

static void transfer_close(struct dns_connection *c, struct open_transfer **at, const char *problem)
{
    struct open_transfer *t = *at;
    *at = t->next;
    c->nopen--;
    if (t->handle)
        c->reader->handler->end(c->reader->ctx, t->handle, &t->t, problem);
    mem_free(&t);
}

static void query_seen(struct dns_connection *c, int side, const struct timespec *at)
{
    struct msg_reader *m = &c->reader->msg;
    struct capture_transfer t = {.primary = c->side[!side],
                                 .secondary = c->side[side],
                                 .began = *at,
                                 .ended = *at,
                                 .id = m->id};
    uint16_t class;
    struct why why;
    if (m->count[SECTION_QUESTION] != 1 || msg_opcode(m->flags) != OPCODE_QUERY ||
        msg_question(m, t.zone, &t.qtype, &class, &why) < 0 || class != CLASS_IN ||
        (t.qtype != RR_AXFR && t.qtype != RR_IXFR) || c->nopen == OPEN_MAX)
        return;
    t.number = (unsigned)++c->reader->summary->transfers;
    struct open_transfer *o = mem_zalloc(sizeof *o);
    o->t = t;
    o->answers = !side;
    o->handle = c->reader->handler->begin(c->reader->ctx, &o->t);
    struct open_transfer **last = &c->open;
    while (*last)
        last = &(*last)->next;
    *last = o;
    c->nopen++;
}

/* Is the transfer over with this message? Malformed ones end it too: nothing after them can be told apart. */
static bool answer_ends(struct dns_reader *r, struct open_transfer *t)
{
    struct msg_reader *m = &r->msg;
    struct rr rr;
    struct why why;
    int got;
    bool last_is_soa = false;
    if (msg_rcode(m->flags))
        return true;
    while ((got = msg_next(m, &rr, &why)) == 1 && rr.section == SECTION_ANSWER) {
        t->records++;
        last_is_soa = rr.type == RR_SOA && rr.len >= 22;
        if (!last_is_soa)
            continue;
        uint32_t serial = get_u32(rr.rdata + rr.len - 20);
        if (!t->has_serial) {
            t->has_serial = true;
            t->serial = serial;
        }
        t->soas += serial == t->serial;
    }
    if (got < 0)
        return true;
    /* A lone SOA ends an IXFR (the client is up to date); AXFR goes on to the second. */
    return last_is_soa && (t->soas >= 2 || (t->t.qtype == RR_IXFR && t->records == 1));
}

static void answer_seen(struct dns_connection *c, int side, const uint8_t *msg, size_t len,
                        const struct timespec *at)
{
    struct open_transfer **o = &c->open;
    while (*o && ((*o)->answers != side || (*o)->t.id != c->reader->msg.id))
        o = &(*o)->next;
    if (!*o)
        return;
    (*o)->t.ended = *at;
    if ((*o)->handle)
        c->reader->handler->message(c->reader->ctx, (*o)->handle, &(*o)->t, msg, len);
    if (answer_ends(c->reader, *o))
        transfer_close(c, o, NULL);
}

static void message_seen(struct dns_connection *c, int side, const uint8_t *msg, size_t len,
                         const struct timespec *at)
{
    struct why why;
    if (msg_open(&c->reader->msg, msg, len, &why))
        return;
    if (c->reader->msg.flags & MSG_QR)
        answer_seen(c, side, msg, len, at);
    else
        query_seen(c, side, at);
}

static void stream_reserve(struct stream *s, size_t cap)
{
    if (s->cap < cap) {
        s->cap = cap < 4096 ? 4096 : cap;
        s->buf = mem_resize(s->buf, s->cap);
    }
}

void dns_data(struct dns_connection *c, int side, const uint8_t *data, size_t len,
              const struct timespec *at)
{
    struct stream *s = &c->stream[side];
    if (c->lost || !c->from_start)
        return;
    while (len) {
        size_t want = s->len < 2 ? 2 : 2u + get_u16(s->buf);
        size_t take = want - s->len < len ? want - s->len : len;
        stream_reserve(s, want);
        memcpy(s->buf + s->len, data, take);
        s->len += take;
        data += take;
        len -= take;
        if (s->len >= 2 && s->len == 2u + get_u16(s->buf)) {
            message_seen(c, side, s->buf + 2, s->len - 2, at);
            s->len = 0;
        }
    }
}

void dns_lost(struct dns_connection *c, const char *why)
{
    c->lost = true;
    while (c->open)
        transfer_close(c, &c->open, why);
}

void dns_close(struct dns_connection **cp)
{
    struct dns_connection *c = *cp;
    while (c->open)
        transfer_close(c, &c->open, "the capture or the connection ended before the transfer did");
    mem_free(&c->stream[0].buf);
    mem_free(&c->stream[1].buf);
    mem_free(cp);
}
