/* capture_dns: transfers out of the two streams of a connection.
 *
 * Either side may ask (RFC 7766 does not care who opened the connection), so each side's messages are cut by their
 * length prefixes; a query for AXFR or IXFR opens a transfer that waits for messages of the other side with its ID.
 *
 * Here is also decided when a transfer is over, without knowing zones: at its closing SOA, at an error code, at a record
 * that does not parse. What is right and wrong in between is zone/transfer's business, not ours, so a message that
 * the live reader would have choked on (shorter than a header, an ID that nobody asked with) is handed on, not dropped.
 *
 * Most messages lie whole in a segment and are read there. Only one that is cut gets memory, of exactly its size, until its
 * last octet is there.
 */
#include "pipeline/net/capture_p.h"

#include "pipeline/base/alloc.h"
#include "pipeline/zone/transfer.h"

#include <inttypes.h>
#include <string.h>

enum { PREFIX = 2, SOA_NUMBERS = 20, ASKED_MAX = 256 };

struct stream {
    bool aligned;  /* the next octet's place in a message is known */
    bool intact;   /* … and so was every one before */
    bool gap;      /* … but octets are missing just now */
    bool finished; /* closed in order */
    char *why;     /* not aligned: why not; NULL: the connection began before the capture */
    uint8_t prefix[PREFIX];
    uint8_t *cut; /* a message that is not whole yet, without its prefix */
    size_t have;  /* of prefix and message */
};
struct open_transfer {
    struct capture_transfer t;
    void *handle; /* the handler's */
    int answers;  /* the side that answers */
    bool orphan;  /* its query was not seen */
    bool blind;   /* asked for when the answering side could not be read, and nothing came since */
    uint32_t serial; /* of the opening SOA */
    size_t messages, records;
    enum { WHOLE, DELETING, ADDING } phase; /* the latter two: of an incremental answer */
    struct open_transfer *next;
};
struct dns_connection {
    struct dns_reader *reader;
    struct address side[2];
    struct stream stream[2];
    struct open_transfer *open; /* in the order of their queries */
    unsigned nopen;
    uint16_t asked[ASKED_MAX]; /* IDs of the latest queries, whatever they asked for */
    unsigned nasked;
    uint16_t early[ASKED_MAX]; /* IDs of transfers that were over before their query was seen */
    unsigned nearly;
};
struct dns_reader {
    const struct capture_handler *handler;
    void *ctx;
    struct capture_summary *summary;
    size_t nopen, cut_bytes;
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
    ASSERT((*r)->nopen == 0 && (*r)->cut_bytes == 0);
    mem_free(r);
}

struct dns_connection *dns_open(struct dns_reader *r, const struct address side[2])
{
    struct dns_connection *c = mem_zalloc(sizeof *c);
    c->reader = r;
    c->side[0] = side[0];
    c->side[1] = side[1];
    return c;
}

/* ---- transfers ------------------------------------------------------------------------------------------- */

static const char *unread_why(const struct stream *s)
{
    return s->why
               ? s->why
               : "the connection began before the capture, and where messages begin in it cannot "
                 "be told";
}

static void transfer_close(struct dns_connection *c, struct open_transfer **at, const char *problem)
{
    struct open_transfer *o = *at;
    struct dns_reader *r = c->reader;
    if (o->blind)
        problem = unread_why(&c->stream[o->answers]);
    *at = o->next;
    c->nopen--;
    r->nopen--;
    if (o->orphan && c->nearly < ASKED_MAX)
        c->early[c->nearly++] = o->t.id;
    if (o->handle)
        r->handler->end(r->ctx, o->handle, &o->t, problem);
    mem_free(&o);
}

/* Those that the side answers. */
static void transfers_close(struct dns_connection *c, int side, const char *problem)
{
    struct open_transfer **o = &c->open;
    while (*o) {
        if ((*o)->answers == side)
            transfer_close(c, o, problem);
        else
            o = &(*o)->next;
    }
}

static struct open_transfer **transfer_find(struct dns_connection *c, int side, uint16_t id)
{
    struct open_transfer **o = &c->open;
    while (*o && ((*o)->answers != side || (*o)->t.id != id))
        o = &(*o)->next;
    return o;
}

static struct open_transfer **transfer_oldest(struct dns_connection *c, int side)
{
    struct open_transfer **o = &c->open;
    while (*o && (*o)->answers != side)
        o = &(*o)->next;
    return o;
}

/* NULL: over a bound, and said so. */
static struct open_transfer **transfer_open(struct dns_connection *c, int answers,
                                            struct capture_transfer *t)
{
    struct dns_reader *r = c->reader;
    struct open_transfer **last = &c->open, *o = mem_zalloc(sizeof *o);
    t->primary = c->side[answers];
    t->secondary = c->side[!answers];
    t->number = (unsigned)++r->summary->transfers;
    o->t = *t;
    o->answers = answers;
    o->blind = !c->stream[answers].aligned;
    o->handle = r->handler->begin(r->ctx, &o->t);
    while (*last)
        last = &(*last)->next;
    *last = o;
    c->nopen++;
    r->nopen++;
    if (c->nopen <= CAPTURE_OPEN && r->nopen <= CAPTURE_OPEN_ALL)
        return last;
    o->blind = false;
    transfer_close(c, last, "given up: too many transfers are open at once");
    return NULL;
}

/* ---- queries --------------------------------------------------------------------------------------------- */

/* The question, when it is the only one and asks for a transfer. */
static bool transfer_question(struct msg_reader *m, struct capture_transfer *t)
{
    uint16_t class;
    struct why why;
    return m->count[SECTION_QUESTION] == 1 && msg_opcode(m->flags) == OPCODE_QUERY &&
           msg_question(m, t->zone, &t->qtype, &class, &why) > 0 && class == CLASS_IN &&
           (t->qtype == RR_AXFR || t->qtype == RR_IXFR);
}

static uint32_t soa_serial(const struct rr *rr)
{
    return get_u32(rr->rdata + rr->len - SOA_NUMBERS);
}

static bool is_soa(const struct rr *rr)
{
    return rr->type == RR_SOA && rr->class == CLASS_IN && rr->len > SOA_NUMBERS;
}

/* RFC 1995 3: the serial that the secondary has is in the authority section. */
static bool query_serial(struct msg_reader *m, uint32_t *serial)
{
    struct rr rr;
    struct why why;
    while (msg_next(m, &rr, &why) == 1)
        if (rr.section == SECTION_AUTHORITY && is_soa(&rr)) {
            *serial = soa_serial(&rr);
            return true;
        }
    return false;
}

/* Packets may be captured in any order: the query of a transfer that is over. */
static bool query_is_late(struct dns_connection *c, uint16_t id)
{
    for (unsigned i = 0; i < c->nearly; i++)
        if (c->early[i] == id) {
            c->early[i] = c->early[--c->nearly];
            return true;
        }
    return false;
}

static void query_seen(struct dns_connection *c, int side, const struct timespec *at)
{
    struct msg_reader *m = &c->reader->msg;
    struct capture_transfer t = {.began = *at, .ended = *at, .id = m->id};
    c->asked[c->nasked++ % ASKED_MAX] = m->id;
    if (!transfer_question(m, &t))
        return;
    struct open_transfer **o = transfer_find(c, !side, m->id);
    if (*o && (*o)->orphan) { /* the packets were captured in another order */
        (*o)->orphan = false;
        return;
    }
    if (query_is_late(c, m->id))
        return;
    if (t.qtype == RR_IXFR)
        t.has_client_serial = query_serial(m, &t.client_serial);
    (void)transfer_open(c, !side, &t);
}

/* Was every query of that side seen up to now? */
static bool all_asked(const struct dns_connection *c, int side)
{
    return c->stream[side].intact && !c->stream[side].gap;
}

static bool was_asked(const struct dns_connection *c, uint16_t id)
{
    for (unsigned i = 0; i < c->nasked && i < ASKED_MAX; i++)
        if (c->asked[i] == id)
            return true;
    return false;
}

/* ---- answers --------------------------------------------------------------------------------------------- */

/* Is the transfer over with this record of the answer section? (RFC 5936 2.2, RFC 1995 4) */
static bool record_ends(struct open_transfer *o, const struct rr *rr)
{
    bool soa = is_soa(rr);
    o->records++;
    if (o->records == 1) {
        o->serial = soa ? soa_serial(rr) : 0;
        return !soa;
    }
    if (!soa)
        return false;
    if (o->records == 2 && o->t.qtype == RR_IXFR && soa_serial(rr) != o->serial) {
        o->phase = DELETING;
        return false;
    }
    if (o->phase == WHOLE || (o->phase == ADDING && soa_serial(rr) == o->serial))
        return true;
    o->phase = o->phase == DELETING ? ADDING : DELETING;
    return false;
}

/* Malformed messages end a transfer too: nothing after them can be told apart. */
static bool answer_ends(struct dns_reader *r, struct open_transfer *o)
{
    struct msg_reader *m = &r->msg;
    struct rr rr;
    struct why why;
    int got;
    if (msg_rcode(m->flags))
        return true;
    while ((got = msg_next(m, &rr, &why)) == 1 && rr.section == SECTION_ANSWER)
        if (record_ends(o, &rr))
            return true;
    /* A lone SOA that is no newer: "you are up to date". A newer one: the rest comes in the next message. */
    bool up_to_date = o->t.qtype == RR_IXFR && o->messages == 1 && o->records == 1 &&
                      (!o->t.has_client_serial || !serial_newer(o->serial, o->t.client_serial));
    return got < 0 || up_to_date;
}

static void answer_seen(struct dns_connection *c, struct open_transfer **at, bool has_header,
                        const uint8_t *msg, size_t len, const struct timespec *time)
{
    struct open_transfer *o = *at;
    o->t.ended = *time;
    o->blind = false;
    o->messages++;
    bool ours = has_header && o->t.id == c->reader->msg.id && (c->reader->msg.flags & MSG_QR);
    bool over = !ours || answer_ends(c->reader, o);
    if (o->handle)
        c->reader->handler->message(c->reader->ctx, o->handle, &o->t, msg, len);
    if (over)
        transfer_close(c, at, NULL);
}

/* An answer to AXFR or IXFR whose query is in a part of the stream that could not be read. NULL: it is none. */
static struct open_transfer **orphan_open(struct dns_connection *c, int side,
                                          const struct timespec *at)
{
    struct msg_reader *m = &c->reader->msg;
    struct capture_transfer t = {.began = *at, .ended = *at, .id = m->id};
    if (all_asked(c, !side) || was_asked(c, m->id) || !transfer_question(m, &t))
        return NULL;
    c->asked[c->nasked++ % ASKED_MAX] = m->id;
    struct open_transfer **o = transfer_open(c, side, &t);
    if (o)
        (*o)->orphan = true;
    return o;
}

static void message_seen(struct dns_connection *c, int side, const uint8_t *msg, size_t len,
                         const struct timespec *at)
{
    struct why why;
    struct msg_reader *m = &c->reader->msg;
    bool has_header = !msg_open(m, msg, len, &why);
    struct open_transfer **o =
        has_header ? transfer_find(c, side, m->id) : transfer_oldest(c, side);
    if (!*o && has_header && !(m->flags & MSG_QR)) {
        query_seen(c, side, at);
        return;
    }
    if (!*o && has_header) {
        struct open_transfer **orphan = orphan_open(c, side, at);
        if (orphan)
            o = orphan;
        else if (all_asked(c, !side) && !was_asked(c, m->id))
            o = transfer_oldest(c, side); /* which will not take it either */
    }
    if (*o)
        answer_seen(c, o, has_header, msg, len, at);
}

/* ---- streams --------------------------------------------------------------------------------------------- */

static void stream_reset(struct dns_connection *c, struct stream *s)
{
    if (s->cut)
        c->reader->cut_bytes -= get_u16(s->prefix);
    mem_free(&s->cut);
    s->have = 0;
}

static void stream_lose(struct dns_connection *c, int side, const char *why)
{
    struct stream *s = &c->stream[side];
    stream_reset(c, s);
    s->aligned = s->intact = false;
    mem_free(&s->why);
    s->why = mem_strdup(why);
    transfers_close(c, side, why);
}

void dns_align(struct dns_connection *c, int side, bool first)
{
    struct stream *s = &c->stream[side];
    stream_reset(c, s);
    s->aligned = true;
    s->intact = first;
}

/* Room for the message whose prefix is there. */
static bool stream_reserve(struct dns_connection *c, int side)
{
    struct stream *s = &c->stream[side];
    size_t len = get_u16(s->prefix);
    if (s->cut)
        return true;
    if (c->reader->cut_bytes + len > CAPTURE_CUT_ALL) {
        stream_lose(c, side, "given up: too many messages wait for the rest of them at once");
        return false;
    }
    c->reader->cut_bytes += len;
    s->cut = mem_alloc(len + 1);
    return true;
}

/* Takes in octets up to the end of a message at most; returns how many. */
static size_t stream_take(struct dns_connection *c, int side, const uint8_t *data, size_t len,
                          const struct timespec *at)
{
    struct stream *s = &c->stream[side];
    size_t n = 0;
    while (s->have < PREFIX && n < len)
        s->prefix[s->have++] = data[n++];
    if (s->have < PREFIX)
        return n;
    size_t size = get_u16(s->prefix), want = PREFIX + size - s->have;
    if (s->have == PREFIX && len - n >= size) {
        s->have = 0;
        message_seen(c, side, data + n, size, at);
        return n + size;
    }
    if (n == len)
        return n;
    if (!stream_reserve(c, side))
        return len;
    size_t take = want < len - n ? want : len - n;
    memcpy(s->cut + (s->have - PREFIX), data + n, take);
    s->have += take;
    if (take == want) {
        message_seen(c, side, s->cut, size, at);
        stream_reset(c, s);
    }
    return n + take;
}

void dns_data(struct dns_connection *c, int side, const uint8_t *data, size_t len,
              const struct timespec *at)
{
    while (len && c->stream[side].aligned) {
        size_t n = stream_take(c, side, data, len, at);
        data += n;
        len -= n;
    }
}

void dns_lost(struct dns_connection *c, int side, const char *why)
{
    stream_lose(c, side, why);
}

void dns_gap(struct dns_connection *c, int side, bool gap)
{
    c->stream[side].gap = gap;
}

void dns_finish(struct dns_connection *c, int side)
{
    struct stream *s = &c->stream[side];
    char *cut = s->have >= PREFIX
                    ? mem_printf("the stream was closed in order within a message, after "
                                 "%zu of its %u octets",
                                 s->have - PREFIX, get_u16(s->prefix))
                : s->have ? mem_printf("the stream was closed in order within a length prefix")
                          : NULL;
    s->finished = true;
    transfers_close(c, side, cut);
    mem_free(&cut);
}

void dns_close(struct dns_connection **cp, const char *why)
{
    struct dns_connection *c = *cp;
    while (c->open)
        transfer_close(c, &c->open, c->stream[c->open->answers].finished ? NULL : why);
    for (int side = 0; side < 2; side++) {
        stream_reset(c, &c->stream[side]);
        mem_free(&c->stream[side].why);
    }
    mem_free(cp);
}

bool dns_message_begins(struct dns_reader *r, const uint8_t *data, size_t len)
{
    struct msg_reader *m = &r->msg;
    struct capture_transfer t;
    uint16_t class;
    struct why why;
    if (len < PREFIX + MSG_HEADER)
        return false;
    size_t size = get_u16(data), have = len - PREFIX < size ? len - PREFIX : size;
    if (msg_open(m, data + PREFIX, have, &why))
        return false;
    if (m->flags & MSG_QR)
        return transfer_question(m, &t);
    return have == size && !(m->flags & ~(MSG_RD | MSG_AD | MSG_CD)) &&
           m->count[SECTION_QUESTION] == 1 && m->count[SECTION_ANSWER] == 0 &&
           msg_question(m, t.zone, &t.qtype, &class, &why) > 0 && class == CLASS_IN;
}
