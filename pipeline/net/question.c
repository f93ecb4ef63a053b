/* One question to one server.
 *
 *   UDP try 1 ─1.5 s─▶ try 2 ─3 s─▶ try 3 ─6 s─▶ TCP ─▶ given up
 *      └─ TC, or ICMP says nobody is there ───────▶ TCP
 *
 * As the serial check of xfrin_soa.c, and for the same reasons: all tries share one connected socket (so a random port) and one random
 * ID; what does not carry our ID and question is dropped and counted while the wait goes on; an answer to a signed question that is
 * not proved is not believed, but sends us to TCP. No TCP connection is kept: most answers fit into a datagram, and the next round is
 * minutes away.
 *
 * The answer is read by the owner (rounds_ops.take), in the call that it came in. */
#include "pipeline/net/question.h"

#include "pipeline/base/alloc.h"
#include "pipeline/net/capture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_MAX = 4096, EDNS_SIZE = 1232, READS_MAX = 64 };

struct query {
    struct asked *of;
    int fd; /* -1: over TCP now */
    ev_io readable;
    ev_timer timer;
    unsigned tries, ignored;
    uint16_t id;
    uint8_t octets[XFRIN_QUERY_MAX];
    size_t len;
    struct tsig_chain *tsig; /* or NULL: the server has no key */
    struct xfrin_stream *stream;
    bool told,
        plain; /* over TCP, while the stream ends: the answer was taken; the server knows no EDNS */
    bool heard; /* something came that was an answer */
};

static struct asker *asker_of(const struct query *q)
{
    return q->of->of->asker;
}

static bool has_edns(const struct query *q)
{
    return q->of->question.dnssec || !q->of->peer->no_edns;
}

static void query_build(struct query *q)
{
    struct msg_writer *w = &asker_of(q)->writer;
    q->id = (uint16_t)arc4random();
    msg_begin(w, q->octets, sizeof q->octets, q->id, 0);
    const struct question *asks = &q->of->question;
    bool fits = msg_put_question(w, asks->name, asks->type, CLASS_IN) &&
                (!has_edns(q) || msg_put_opt(w, EDNS_SIZE, 0, asks->dnssec, NULL, 0));
    ASSERT(fits);
    q->len = msg_end(w);
    tsig_chain_free(&q->tsig);
    if (!q->of->key)
        return;
    struct tsig_mac mac;
    q->len = tsig_sign(q->of->key, q->octets, q->len, sizeof q->octets, (uint64_t)time(NULL), &mac);
    ASSERT(q->len);
    q->tsig = tsig_chain_new(q->of->key, &mac);
}

/* ---- ends */

void query_stop(struct asked *of)
{
    struct query *q = of->query;
    if (!q)
        return;
    of->query = NULL;
    ev_timer_stop(asker_of(q)->ev, &q->timer);
    if (q->fd >= 0) {
        ev_io_stop(asker_of(q)->ev, &q->readable);
        close(q->fd);
    }
    stream_close(&q->stream);
    tsig_chain_free(&q->tsig);
    mem_free(&q);
}

static void query_done(struct query *q)
{
    struct asked *of = q->of;
    query_stop(of);
    asked_end(of, false, NULL);
}

static void query_failed(struct query *q, struct why *why)
{
    struct asked *of = q->of;
    bool silent = !q->heard;
    if (q->ignored)
        why_add(why, "; %u datagrams with another ID or question were ignored", q->ignored);
    query_stop(of);
    asked_end(of, silent, why);
}

/* ---- answers */

/* What is to be done about a message. */
enum step { STEP_DONE, STEP_FOREIGN, STEP_UNPROVED, STEP_CUT, STEP_PLAIN, STEP_BAD };

static enum step message_take(struct query *q, const uint8_t *msg, size_t len, struct why *why)
{
    struct asker *a = asker_of(q);
    if (!question_answered(&a->reader, msg, len, &q->of->question, q->id)) {
        (void)why_set(why, 0, "it answered with another ID or another question");
        return STEP_FOREIGN;
    }
    q->heard = true;
    if (q->tsig && tsig_chain_take(q->tsig, msg, len, (uint64_t)time(NULL), why)) {
        atomic_fetch_add(&q->of->of->zone->counters.tsig_failed, 1);
        return STEP_UNPROVED;
    }
    switch (question_word(&a->reader, has_edns(q))) {
    case QUESTION_CUT:
        return STEP_CUT;
    case QUESTION_PLAIN:
        if (!q->of->question.dnssec)
            return STEP_PLAIN;
        (void)why_set(why, 0, "it answered EDNS with RCODE %s: it has no signatures",
                      rcode_text(msg_rcode(a->reader.flags)));
        return STEP_BAD;
    case QUESTION_WORD:
        return asked_take(q->of, &a->reader, why) ? STEP_BAD : STEP_DONE;
    }
    UNREACHABLE();
}

/* ---- TCP */

static void tcp_start(struct query *q);

static int tcp_message(void *ctx, const uint8_t *msg, size_t len, struct why *why)
{
    struct query *q = ctx;
    switch (message_take(q, msg, len, why)) {
    case STEP_DONE:
        q->told = true;
        return 1;
    case STEP_PLAIN:
        q->plain = true;
        return 1;
    case STEP_CUT:
        return why_set(why, -E_FORMAT, "over TCP: its answer has TC set");
    case STEP_FOREIGN:
    case STEP_UNPROVED:
        return -E_MISMATCH;
    case STEP_BAD:
        return -E_REFUSED;
    }
    UNREACHABLE();
}

static void tcp_end(void *ctx, int err, const struct why *why)
{
    struct query *q = ctx;
    struct why said = *why;
    bool octets = stream_heard(q->stream);
    stream_close(&q->stream);
    if (q->told) {
        query_done(q);
        return;
    }
    if (q->plain) {
        q->plain = false;
        q->of->peer->no_edns = true;
        tcp_start(q);
        return;
    }
    q->heard = q->heard || octets || err == -E_CLOSED;
    if (!err || err == -E_CLOSED)
        (void)why_set(&said, err, "over TCP: it closed the connection without an answer");
    query_failed(q, &said);
}

static void tcp_start(struct query *q)
{
    struct asker *a = asker_of(q);
    ev_timer_stop(a->ev, &q->timer);
    if (q->fd >= 0) {
        ev_io_stop(a->ev, &q->readable);
        close(q->fd);
        q->fd = -1;
    }
    query_build(q); /* the answer that was cut may have used up what verifies the next one */
    q->stream = stream_open(&(struct xfrin_stream_config){
        .x = a->server->xfrin,
        .to = &q->of->peer->address,
        .source = &q->of->peer->source,
        .query = q->octets,
        .query_len = q->len,
        .max_s = a->tuning.tcp_ms / 1e3,
        .max_name = "the time for a question over TCP",
        .ctx = q,
        .message = tcp_message,
        .end = tcp_end,
    });
}

/* ---- UDP */

static void capture(struct query *q, bool from_peer, const uint8_t *data, size_t len)
{
    struct capture *cap = asker_of(q)->server->capture;
    struct address local = {.len = sizeof local.v6};
    if (!cap || getsockname(q->fd, &local.sa, &local.len))
        return;
    const struct address *peer = &q->of->peer->address;
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    capture_datagram(cap, from_peer ? peer : &local, from_peer ? &local : peer, data, len, &at);
}

/* Sends the next try, or goes on to TCP. */
static void udp_try(struct query *q)
{
    struct asker *a = asker_of(q);
    if (q->tries == a->tuning.tries) {
        tcp_start(q);
        return;
    }
    double wait = a->tuning.timeout_ms / 1e3 * (double)(1u << q->tries);
    q->tries++;
    if (send(q->fd, q->octets, q->len, MSG_NOSIGNAL) < 0 && errno != EAGAIN && errno != ENOBUFS &&
        errno != EINTR) {
        tcp_start(q); /* an ICMP error of the try before, or no way there: TCP will tell which */
        return;
    }
    capture(q, false, q->octets, q->len);
    ev_timer_stop(a->ev, &q->timer);
    ev_now_update(a->ev);
    ev_timer_set(&q->timer, wait, 0);
    ev_timer_start(a->ev, &q->timer);
}

/* True: the question has ended, or goes on in another way. */
static bool udp_take(struct query *q, const uint8_t *msg, size_t len)
{
    struct why why = {""};
    capture(q, true, msg, len);
    switch (message_take(q, msg, len, &why)) {
    case STEP_DONE:
        query_done(q);
        return true;
    case STEP_FOREIGN:
        q->ignored++;
        return false;
    case STEP_UNPROVED:
    case STEP_CUT:
        tcp_start(q);
        return true;
    case STEP_PLAIN:
        q->of->peer->no_edns = true;
        query_build(q);
        q->tries = 0;
        udp_try(q);
        return true;
    case STEP_BAD:
        query_failed(q, &why);
        return true;
    }
    UNREACHABLE();
}

static void on_readable(struct ev_loop *ev, ev_io *w, int events)
{
    (void)ev;
    (void)events;
    struct query *q = w->data;
    uint8_t msg[ANSWER_MAX];
    for (int i = 0; i < READS_MAX; i++) {
        ssize_t n = recv(q->fd, msg, sizeof msg, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (n < 0) {
            tcp_start(q);
            return;
        }
        if (udp_take(q, msg, (size_t)n))
            return;
    }
}

static void on_timer(struct ev_loop *ev, ev_timer *w, int events)
{
    (void)ev;
    (void)events;
    udp_try(w->data);
}

void query_start(struct asked *of)
{
    struct query *q = mem_zalloc(sizeof *q);
    struct why why = {""};
    ASSERT(!of->query);
    of->query = q;
    q->of = of;
    q->fd = -1;
    q->timer.data = q->readable.data = q;
    ev_timer_init(&q->timer, on_timer, 0, 0);
    query_build(q);
    if (xfrin_connect(SOCK_DGRAM, &of->peer->address, &of->peer->source, &q->fd, &why)) {
        query_failed(q, &why);
        return;
    }
    ev_io_init(&q->readable, on_readable, q->fd, EV_READ);
    ev_io_start(asker_of(q)->ev, &q->readable);
    udp_try(q);
}
