/* One question to one of the parent's servers.
 *
 *   UDP try 1 ─1.5 s─▶ try 2 ─3 s─▶ try 3 ─6 s─▶ TCP ─▶ given up
 *      └─ TC, or ICMP says nobody is there ───────▶ TCP
 *
 * As the serial check of xfrin_soa.c, and for the same reasons: all tries share one connected socket (so a random port) and one random
 * ID; what does not carry our ID and question is dropped and counted while the wait goes on; an answer to a signed question that is
 * not proved is not believed, but sends us to TCP. No TCP connection is kept: the next question is an hour away. */
#include "pipeline/net/parent_p.h"

#include "pipeline/base/alloc.h"
#include "pipeline/net/capture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_MAX = 4096, EDNS_SIZE = 1232, READS_MAX = 64 };

struct parent_query {
    struct parent_question *of;
    int fd; /* -1: over TCP now */
    ev_io readable;
    ev_timer timer;
    unsigned tries, ignored;
    uint16_t id;
    uint8_t octets[XFRIN_QUERY_MAX];
    size_t len;
    struct tsig_chain *tsig; /* or NULL: the server has no key */
    struct xfrin_stream *stream;
    struct parent_set set; /* over TCP, while the stream ends: what came … */
    bool told, plain;      /* … or that the server knows no EDNS */
    bool heard;            /* something came that was an answer */
};

static struct parent *parent_of(const struct parent_query *q)
{
    return q->of->pz->p;
}

static const uint8_t *zone_name(const struct parent_query *q)
{
    return q->of->pz->zone->name;
}

static void query_build(struct parent_query *q)
{
    struct msg_writer *w = &parent_of(q)->writer;
    q->id = (uint16_t)arc4random();
    msg_begin(w, q->octets, sizeof q->octets, q->id, 0);
    bool fits = msg_put_question(w, zone_name(q), RR_DS, CLASS_IN) &&
                (q->of->peer->no_edns || msg_put_opt(w, EDNS_SIZE, 0, false, NULL, 0));
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

void query_stop(struct parent_question *of)
{
    struct parent_query *q = of->query;
    if (!q)
        return;
    of->query = NULL;
    ev_timer_stop(parent_of(q)->ev, &q->timer);
    if (q->fd >= 0) {
        ev_io_stop(parent_of(q)->ev, &q->readable);
        close(q->fd);
    }
    stream_close(&q->stream);
    tsig_chain_free(&q->tsig);
    parent_set_clear(&q->set);
    mem_free(&q);
}

static void query_done(struct parent_query *q, struct parent_set *set)
{
    struct parent_question *of = q->of;
    struct parent_set taken = *set;
    *set = (struct parent_set){0};
    query_stop(of);
    question_end(of, &taken, false, NULL);
}

static void query_failed(struct parent_query *q, struct why *why)
{
    struct parent_question *of = q->of;
    bool silent = !q->heard;
    if (q->ignored)
        why_add(why, "; %u datagrams with another ID or question were ignored", q->ignored);
    query_stop(of);
    question_end(of, NULL, silent, why);
}

/* ---- answers */

/* What is to be done about a message. */
enum step { STEP_DONE, STEP_FOREIGN, STEP_UNPROVED, STEP_CUT, STEP_PLAIN, STEP_BAD };

static enum step message_take(struct parent_query *q, const uint8_t *msg, size_t len,
                              struct why *why)
{
    struct parent *p = parent_of(q);
    if (!parent_answer_is_ours(&p->reader, msg, len, zone_name(q), q->id)) {
        (void)why_set(why, 0, "it answered with another ID or another question");
        return STEP_FOREIGN;
    }
    q->heard = true;
    if (q->tsig && tsig_chain_take(q->tsig, msg, len, (uint64_t)time(NULL), why)) {
        atomic_fetch_add(&q->of->pz->zone->counters.tsig_failed, 1);
        return STEP_UNPROVED;
    }
    switch (parent_answer_read(&p->reader, zone_name(q), !q->of->peer->no_edns, &q->set, why)) {
    case PARENT_WORD_SET:
        return STEP_DONE;
    case PARENT_WORD_CUT:
        return STEP_CUT;
    case PARENT_WORD_PLAIN:
        return STEP_PLAIN;
    case PARENT_WORD_BAD:
        return STEP_BAD;
    }
    UNREACHABLE();
}

/* ---- TCP */

static void tcp_start(struct parent_query *q);

static int tcp_message(void *ctx, const uint8_t *msg, size_t len, struct why *why)
{
    struct parent_query *q = ctx;
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
    struct parent_query *q = ctx;
    struct why said = *why;
    bool octets = stream_heard(q->stream);
    stream_close(&q->stream);
    if (q->told) {
        query_done(q, &q->set);
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

static void tcp_start(struct parent_query *q)
{
    struct parent *p = parent_of(q);
    ev_timer_stop(p->ev, &q->timer);
    if (q->fd >= 0) {
        ev_io_stop(p->ev, &q->readable);
        close(q->fd);
        q->fd = -1;
    }
    query_build(q); /* the answer that was cut may have used up what verifies the next one */
    q->stream = stream_open(&(struct xfrin_stream_config){
        .x = p->server->xfrin,
        .to = &q->of->peer->address,
        .source = &q->of->peer->source,
        .query = q->octets,
        .query_len = q->len,
        .max_s = p->tuning.tcp_ms / 1e3,
        .max_name = "the time for a question over TCP",
        .ctx = q,
        .message = tcp_message,
        .end = tcp_end,
    });
}

/* ---- UDP */

static void capture(struct parent_query *q, bool from_peer, const uint8_t *data, size_t len)
{
    struct capture *cap = parent_of(q)->server->capture;
    struct address local = {.len = sizeof local.v6};
    if (!cap || getsockname(q->fd, &local.sa, &local.len))
        return;
    const struct address *peer = &q->of->peer->address;
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    capture_datagram(cap, from_peer ? peer : &local, from_peer ? &local : peer, data, len, &at);
}

/* Sends the next try, or goes on to TCP. */
static void udp_try(struct parent_query *q)
{
    struct parent *p = parent_of(q);
    if (q->tries == p->tuning.tries) {
        tcp_start(q);
        return;
    }
    double wait = p->tuning.timeout_ms / 1e3 * (double)(1u << q->tries);
    q->tries++;
    if (send(q->fd, q->octets, q->len, MSG_NOSIGNAL) < 0 && errno != EAGAIN && errno != ENOBUFS &&
        errno != EINTR) {
        tcp_start(q); /* an ICMP error of the try before, or no way there: TCP will tell which */
        return;
    }
    capture(q, false, q->octets, q->len);
    ev_timer_stop(p->ev, &q->timer);
    ev_now_update(p->ev);
    ev_timer_set(&q->timer, wait, 0);
    ev_timer_start(p->ev, &q->timer);
}

/* True: the question has ended, or goes on in another way. */
static bool udp_take(struct parent_query *q, const uint8_t *msg, size_t len)
{
    struct why why = {""};
    capture(q, true, msg, len);
    switch (message_take(q, msg, len, &why)) {
    case STEP_DONE:
        query_done(q, &q->set);
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
    struct parent_query *q = w->data;
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

void query_start(struct parent_question *of)
{
    struct parent_query *q = mem_zalloc(sizeof *q);
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
    ev_io_start(parent_of(q)->ev, &q->readable);
    udp_try(q);
}
