/* Asking a primary for its serial.
 *
 *   UDP try 1 ─1.5 s─▶ try 2 ─3 s─▶ try 3 ─6 s─▶ TCP ─▶ next primary
 *      └─ TC, or ICMP says nobody is there ───────▶ TCP
 *
 * All tries share one connected socket and one ID, so a late answer to the first try counts when the
 * second is out. Whatever does not carry our ID and question is dropped and counted, and the wait
 * goes on: a forged answer must guess port, ID and name, and cannot end the check by guessing wrong.
 * Over TCP nobody forges, and a wrong ID or question is the primary's fault.
 * When the query was signed, an answer over UDP whose signature is missing or wrong is not believed either (RFC 8945 5.4), not
 * even what it says is wrong with ours; but instead of waiting for one that is better, TCP tells at once.
 *
 * FORMERR or NOTIMP to a query with EDNS means a server from before 1999 (RFC 6891 7): once more
 * without, and never again with, until weir is started anew. The EDNS that is sent asks for EXPIRE (RFC 7314): a
 * primary that is a secondary itself tells how long its own copy is good for. */
#include "pipeline/net/xfrin_p.h"

#include "pipeline/base/alloc.h"
#include "pipeline/base/log.h"
#include "pipeline/net/capture.h"
#include "pipeline/zone/message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_MAX = 4096, EDNS_SIZE = 1232, READS_MAX = 64 };

struct xfrin_check {
    struct xfrin_zone *xz;
    int fd; /* -1: over TCP now */
    ev_io readable;
    ev_timer timer;
    unsigned tries, ignored;
    uint16_t id;
    uint8_t query[XFRIN_QUERY_MAX];
    size_t query_len;
    struct tsig_chain *tsig; /* or NULL: the primary has no key */
    bool answered, plain;    /* over TCP: with a serial; with FORMERR, since it knows no EDNS */
    struct xfrin_told told;
    struct xfrin_stream *stream;
};

/* What an answer comes to. */
enum answer {
    ANSWER_SERIAL,
    ANSWER_FOREIGN,
    ANSWER_UNPROVED,
    ANSWER_CUT,
    ANSWER_WITHOUT_EDNS,
    ANSWER_BAD
};

static struct server *server_of(const struct xfrin_check *c)
{
    return c->xz->x->server;
}

size_t xfrin_query(struct xfrin_zone *xz, uint16_t type, const struct snapshot *from, uint16_t id,
                   uint8_t query[XFRIN_QUERY_MAX])
{
    static const uint8_t expire[] = {0, EDNS_EXPIRE, 0, 0};
    struct msg_writer *w = &xz->x->writer;
    struct rrset soa;
    msg_begin(w, query, XFRIN_QUERY_MAX, id, 0);
    bool fits = msg_put_question(w, xz->zone->name, type, CLASS_IN);
    if (from && node_rrset(snapshot_apex(from), RR_SOA, 0, &soa))
        fits = fits && msg_put_rrset(w, SECTION_AUTHORITY, xz->zone->name, &soa);
    if (!round_primary(xz)->no_edns)
        fits = fits && msg_put_opt(w, EDNS_SIZE, 0, false, expire, sizeof expire);
    ASSERT(fits);
    return msg_end(w);
}

static void query_build(struct xfrin_check *c)
{
    c->id = (uint16_t)arc4random();
    size_t len = xfrin_query(c->xz, RR_SOA, NULL, c->id, c->query);
    c->query_len = xfrin_sign(c->xz, c->query, len, &c->tsig);
}

/* ---- reading the answer */

static bool question_is_ours(const struct xfrin_check *c)
{
    struct msg_reader *r = &c->xz->x->reader;
    uint8_t name[NAME_MAX_OCTETS];
    uint16_t type, class;
    struct why why;
    return r->count[SECTION_QUESTION] == 1 && msg_question(r, name, &type, &class, &why) > 0 &&
           type == RR_SOA && class == CLASS_IN && name_equal(name, c->xz->zone->name);
}

static enum answer find_serial(struct xfrin_check *c, struct xfrin_told *told, struct why *why)
{
    struct rr rr;
    struct edns edns = {0};
    int more;
    bool found = false;
    while ((more = msg_next(&c->xz->x->reader, &rr, why)) > 0) {
        if (rr.type == RR_OPT)
            msg_edns(&edns, &rr);
        if (rr.section != SECTION_ANSWER || rr.type != RR_SOA || rr.class != CLASS_IN ||
            !name_equal(rr.owner, c->xz->zone->name))
            continue;
        told->serial = get_u32(rr.rdata + rr.len - 20);
        found = true;
    }
    if (more < 0)
        return ANSWER_BAD;
    told->has_expire = edns.has_expire && !edns.bad;
    told->expire_s = edns.expire_s;
    if (found)
        return ANSWER_SERIAL;
    (void)why_set(why, 0, "its answer has no SOA record: it does not serve the zone");
    return ANSWER_BAD;
}

static void note_authority(struct xfrin_check *c)
{
    struct xfrin_primary *p = round_primary(c->xz);
    char who[ADDRESS_TEXT_MAX];
    bool authoritative = c->xz->x->reader.flags & MSG_AA;
    if (!authoritative && !p->said_not_authoritative)
        log_notice(
            "primary answers for its serial without the AA bit: is it a secondary that expired, "
            "or a resolver?",
            LOG_KV("zone", LOG_S(c->xz->zone->text)),
            LOG_KV("primary", LOG_S(address_print(primary_address(p), who))));
    p->said_not_authoritative = !authoritative;
}

static enum answer answer_read(struct xfrin_check *c, const uint8_t *msg, size_t len,
                               struct xfrin_told *told, struct why *why)
{
    struct msg_reader *r = &c->xz->x->reader;
    if (msg_open(r, msg, len, why) || r->id != c->id || !(r->flags & MSG_QR) ||
        msg_opcode(r->flags) != OPCODE_QUERY) {
        (void)why_set(why, 0, "it answered with another ID or with no answer");
        return ANSWER_FOREIGN;
    }
    if (xfrin_verify(c->xz, c->tsig, msg, len, why))
        return ANSWER_UNPROVED;
    unsigned rcode = msg_rcode(r->flags);
    bool refuses_edns = (rcode == RCODE_FORMERR || rcode == RCODE_NOTIMP) &&
                        r->count[SECTION_ADDITIONAL] == 0 && !round_primary(c->xz)->no_edns;
    if (refuses_edns)
        return ANSWER_WITHOUT_EDNS; /* some leave the question out of a FORMERR */
    if (!question_is_ours(c)) {
        (void)why_set(why, 0, "it answered another question");
        return ANSWER_FOREIGN;
    }
    if (rcode != RCODE_NOERROR) {
        (void)why_set(why, 0, "it answered with RCODE %s", rcode_text(rcode));
        return ANSWER_BAD;
    }
    if (r->flags & MSG_TC)
        return ANSWER_CUT;
    enum answer a = find_serial(c, told, why);
    if (a == ANSWER_SERIAL)
        note_authority(c);
    return a;
}

/* ---- ends */

void check_stop(struct xfrin_zone *xz)
{
    struct xfrin_check *c = xz->check;
    if (!c)
        return;
    xz->check = NULL;
    ev_timer_stop(xz->x->ev, &c->timer);
    if (c->fd >= 0) {
        ev_io_stop(xz->x->ev, &c->readable);
        close(c->fd);
    }
    stream_close(&c->stream);
    tsig_chain_free(&c->tsig);
    mem_free(&c);
}

static void check_done(struct xfrin_check *c, const struct xfrin_told *said)
{
    struct xfrin_zone *xz = c->xz;
    struct xfrin_told told = *said;
    round_primary(xz)->answered_at = time(NULL);
    check_stop(xz);
    round_answered(xz, &told);
}

static void check_failed(struct xfrin_check *c, struct why *why)
{
    struct xfrin_zone *xz = c->xz;
    if (c->ignored)
        why_add(why, "; %u datagrams with another ID or question were ignored", c->ignored);
    check_stop(xz);
    round_failed(xz, "serial check failed", why);
}

/* ---- TCP */

static void tcp_start(struct xfrin_check *c);

static int tcp_message(void *ctx, const uint8_t *msg, size_t len, struct why *why)
{
    struct xfrin_check *c = ctx;
    switch (answer_read(c, msg, len, &c->told, why)) {
    case ANSWER_SERIAL:
        c->answered = true;
        return 1;
    case ANSWER_CUT:
        return why_set(why, -E_FORMAT, "over TCP: its answer has TC set");
    case ANSWER_WITHOUT_EDNS:
        c->plain = true;
        return 1;
    case ANSWER_FOREIGN:
    case ANSWER_UNPROVED:
        return -E_MISMATCH;
    case ANSWER_BAD:
        return -E_REFUSED;
    }
    UNREACHABLE();
}

static void tcp_end(void *ctx, int err, const struct why *why)
{
    struct xfrin_check *c = ctx;
    struct why said = *why;
    if (c->answered || c->plain)
        stream_release(&c->stream);
    else
        stream_close(&c->stream);
    if (c->answered) {
        check_done(c, &c->told);
        return;
    }
    if (c->plain) {
        c->plain = false;
        round_primary(c->xz)->no_edns = true;
        query_build(c);
        tcp_start(c);
        return;
    }
    if (!err || err == -E_CLOSED)
        (void)why_set(&said, err, "over TCP: it closed the connection without an answer");
    check_failed(c, &said);
}

static void tcp_start(struct xfrin_check *c)
{
    const struct xfrin_primary *p = round_primary(c->xz);
    struct xfrin *x = c->xz->x;
    ev_timer_stop(x->ev, &c->timer);
    if (c->fd >= 0) {
        ev_io_stop(x->ev, &c->readable);
        close(c->fd);
        c->fd = -1;
    }
    query_build(c); /* the answer that was cut may have used up what verifies the next one */
    c->stream = stream_open(&(struct xfrin_stream_config){
        .x = x,
        .to = primary_address(p),
        .source = primary_source(c->xz, p),
        .query = c->query,
        .query_len = c->query_len,
        .max_s = x->tuning.connect_ms / 1e3,
        .max_name = "the time for a serial check over TCP",
        .ctx = c,
        .message = tcp_message,
        .end = tcp_end,
    });
}

/* ---- UDP */

static void capture(struct xfrin_check *c, bool from_peer, const uint8_t *data, size_t len)
{
    struct capture *cap = server_of(c)->capture;
    struct address local = {.len = sizeof local.v6};
    struct timespec at;
    if (!cap || getsockname(c->fd, &local.sa, &local.len))
        return;
    const struct address *peer = primary_address(round_primary(c->xz));
    clock_gettime(CLOCK_REALTIME, &at);
    capture_datagram(cap, from_peer ? peer : &local, from_peer ? &local : peer, data, len, &at);
}

/* Sends the next try, or goes on to TCP. */
static void udp_try(struct xfrin_check *c)
{
    struct xfrin *x = c->xz->x;
    if (c->tries == x->tuning.soa_tries) {
        tcp_start(c);
        return;
    }
    double wait = x->tuning.soa_timeout_ms / 1e3 * (double)(1u << c->tries);
    c->tries++;
    if (send(c->fd, c->query, c->query_len, MSG_NOSIGNAL) < 0 && errno != EAGAIN &&
        errno != ENOBUFS && errno != EINTR) {
        tcp_start(c); /* an ICMP error of the try before, or no way there: TCP will tell which */
        return;
    }
    capture(c, false, c->query, c->query_len);
    ev_timer_stop(x->ev, &c->timer);
    ev_now_update(x->ev);
    ev_timer_set(&c->timer, wait, 0);
    ev_timer_start(x->ev, &c->timer);
}

/* True: the check has ended, or goes on in another way. */
static bool udp_take(struct xfrin_check *c, const uint8_t *msg, size_t len)
{
    struct why why = {""};
    struct xfrin_told told;
    capture(c, true, msg, len);
    switch (answer_read(c, msg, len, &told, &why)) {
    case ANSWER_SERIAL:
        check_done(c, &told);
        return true;
    case ANSWER_FOREIGN:
        c->ignored++;
        return false;
    case ANSWER_UNPROVED:
    case ANSWER_CUT:
        tcp_start(c);
        return true;
    case ANSWER_WITHOUT_EDNS:
        round_primary(c->xz)->no_edns = true;
        query_build(c);
        c->tries = 0;
        udp_try(c);
        return true;
    case ANSWER_BAD:
        check_failed(c, &why);
        return true;
    }
    UNREACHABLE();
}

static void on_readable(struct ev_loop *ev, ev_io *w, int events)
{
    (void)ev;
    (void)events;
    struct xfrin_check *c = w->data;
    uint8_t msg[ANSWER_MAX];
    for (int i = 0; i < READS_MAX; i++) {
        ssize_t n = recv(c->fd, msg, sizeof msg, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (n < 0) {
            tcp_start(c);
            return;
        }
        if (udp_take(c, msg, (size_t)n))
            return;
    }
}

static void on_timer(struct ev_loop *ev, ev_timer *w, int events)
{
    (void)ev;
    (void)events;
    udp_try(w->data);
}

void check_start(struct xfrin_zone *xz)
{
    struct xfrin_primary *p = round_primary(xz);
    struct xfrin_check *c = mem_zalloc(sizeof *c);
    struct why why = {""};
    ASSERT(!xz->check);
    xz->check = c;
    c->xz = xz;
    c->fd = -1;
    c->timer.data = c->readable.data = c;
    ev_timer_init(&c->timer, on_timer, 0, 0);
    p->asked_at = time(NULL);
    query_build(c);
    if (xfrin_connect(SOCK_DGRAM, primary_address(p), primary_source(xz, p), &c->fd, &why)) {
        check_failed(c, &why);
        return;
    }
    ev_io_init(&c->readable, on_readable, c->fd, EV_READ);
    ev_io_start(xz->x->ev, &c->readable);
    udp_try(c);
}
