/* A connection, step by step.
 *
 *   readable ─▶ one recv, unless a whole message waits already
 *   drained  ─▶ a burst: replies to what waits (at most tcp_pipeline), then messages of the transfers in turn
 *   burst    ─▶ one send; what the kernel does not take is kept, and the next burst waits until it is gone
 *
 * So a client is served no faster than it reads, whatever it asks: at most one whole query waits in
 * the input, at most one burst in the output. While a transfer goes on, the connection is still
 * read from between two bursts; the replies to what came in go ahead of the transfer's next
 * message.
 *
 * A burst is made in the thread's one buffer, and what the kernel does not take of it is copied.
 * What waits for a client is that and what the kernel holds without being able to send it, since the
 * client's window is closed. Of all connections together that is no more than tcp_memory: who would
 * be one too many makes room by cutting the one whose last burst is longest ago. A client that reads
 * has a new one all the time. Only connections of the same thread can be cut, and if there is none,
 * the one that asks for room is.
 *
 * Transfers share the time between two polls: with many of them a burst is shorter, so that UDP on
 * the same loop is not kept waiting.
 *
 * Timers: a connection has one, set to the earliest of its deadlines; it is moved when a deadline
 * becomes earlier, and otherwise finds out when it fires that there is nothing to do yet.
 *
 *   output waits          tcp_slow_s after that began, and then every tcp_slow_s: reset, unless the
 *                         client took tcp_min_rate octets a second meanwhile
 *   a transfer goes on    transfer_out_max_s after it began: reset; its version's memory is released
 *   neither               tcp_idle_s after the last whole query: closed
 *
 * What the client took is what it acknowledged: octets go to the kernel in lumps as large as its
 * buffer, which may be half a minute of a slow client's reading. A client that has made room is not
 * slow, whatever it took: we are.
 *
 * A reset (not a close) for those who do not read: otherwise the kernel would keep their data for
 * as long again.
 *
 * Every function that may close the connection says so by returning false; it is gone then. */
#include "pipeline/net/tcp_conn.h"

#include <errno.h>
#include <linux/sockios.h>
#include <math.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "pipeline/base/alloc.h"
#include "pipeline/base/log.h"
#include "pipeline/net/tcp_limits.h"
#include "pipeline/net/tsig_count.h"
#include "pipeline/net/xfrin.h"
#include "pipeline/net/xfrout_report.h"

enum {
    RCODE_BITS = 0x0f,
    LOG_EVERY_S = 10,
    HEADER_RCODE_AT = 3,
};
static const double timer_slack_s = 0.01; /* a timer that fires a little early must not spin */

double tcp_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

const struct server_conf *tcp_conf(const struct tcp *tcp)
{
    return &rcu_read(&tcp->thread->server->config)->server;
}

static bool conn_drained(const struct tcp_conn *conn)
{
    return conn->kept_begin == conn->kept_end;
}

bool tcp_conn_idle(const struct tcp_conn *conn)
{
    return conn_drained(conn) && conn->transfers.n == 0 && !tcp_input_waits(&conn->in);
}

/* The list is in order of the last query, so its old end is where idle connections are found. */
static void list_remove(struct tcp_conn *conn)
{
    struct tcp *tcp = conn->tcp;
    *(conn->older ? &conn->older->newer : &tcp->oldest) = conn->newer;
    *(conn->newer ? &conn->newer->older : &tcp->newest) = conn->older;
}

static void list_append(struct tcp_conn *conn)
{
    struct tcp *tcp = conn->tcp;
    conn->older = tcp->newest;
    conn->newer = NULL;
    *(tcp->newest ? &tcp->newest->newer : &tcp->oldest) = conn;
    tcp->newest = conn;
}

/* ---- output that waits */

static void held_set(struct tcp_conn *conn, size_t n)
{
    tcp_limits_hold(conn->tcp->thread->server->tcp_limits, (int64_t)n - (int64_t)conn->held);
    conn->held = n;
}

/* What waits for the client now. The rest that is kept was a whole block of memory from the start. */
static size_t held_now(const struct tcp_conn *conn)
{
    int unsent = 0;
    return ioctl(conn->io.fd, SIOCOUTQNSD, &unsent) || unsent < 0 ? conn->kept_end
                                                                  : conn->kept_end + (size_t)unsent;
}

static void held_remove(struct tcp_conn *conn)
{
    struct tcp *tcp = conn->tcp;
    if (!conn->held)
        return;
    *(conn->held_before ? &conn->held_before->held_after : &tcp->held_first) = conn->held_after;
    *(conn->held_after ? &conn->held_after->held_before : &tcp->held_last) = conn->held_before;
    held_set(conn, 0);
}

/* After a burst: to the end of the list. */
static void held_renew(struct tcp_conn *conn)
{
    struct tcp *tcp = conn->tcp;
    size_t n = held_now(conn);
    held_remove(conn);
    if (!n)
        return;
    held_set(conn, n);
    conn->held_before = tcp->held_last;
    conn->held_after = NULL;
    *(tcp->held_last ? &tcp->held_last->held_after : &tcp->held_first) = conn;
    tcp->held_last = conn;
}

void tcp_conn_close(struct tcp_conn *conn, const char *reason)
{
    struct tcp *tcp = conn->tcp;
    ev_io_stop(tcp->ev, &conn->io);
    ev_timer_stop(tcp->ev, &conn->timer);
    held_remove(conn);
    tcp_transfer_cut(conn, reason);
    list_remove(conn);
    close(conn->io.fd);
    tcp_limits_disconnect(tcp->thread->server->tcp_limits, &conn->peer);
    counter_add(&tcp->thread->counters.tcp_open, (uint64_t)-1);
    tcp_input_fini(&conn->in);
    mem_free(&conn->kept);
    mem_free(&conn);
}

static void conn_reset(struct tcp_conn *conn, const char *reason)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(conn->io.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    tcp_conn_close(conn, reason);
}

/* One send. Returns how many octets the kernel took, or -1: the connection is broken. */
static ssize_t conn_send(struct tcp_conn *conn, const uint8_t *p, size_t n)
{
    ssize_t sent;
    do
        sent = send(conn->io.fd, p, n, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
    conn->taken += (uint64_t)sent;
    return sent;
}

static bool conn_flush(struct tcp_conn *conn)
{
    if (conn_drained(conn))
        return true;
    ssize_t sent =
        conn_send(conn, conn->kept + conn->kept_begin, conn->kept_end - conn->kept_begin);
    if (sent < 0) {
        tcp_conn_close(conn, "the client went away");
        return false;
    }
    conn->kept_begin += (size_t)sent;
    if (conn_drained(conn)) {
        mem_free(&conn->kept);
        conn->kept_begin = conn->kept_end = 0;
    }
    return true;
}

static void cut_for_memory(struct tcp_conn *conn)
{
    static struct log_gate gate;
    uint64_t skipped = 0;
    char peer[ADDRESS_TEXT_MAX];
    counter_add(&conn->tcp->thread->counters.tcp_cut_for_memory, 1);
    if (log_gate_open(&gate, LOG_EVERY_S, &skipped))
        log_warn(
            "tcp_memory is reached: the client that has let its answers wait for longest is cut",
            LOG_KV("client", LOG_S(address_print(&conn->peer, peer))),
            LOG_KV("octets", LOG_U(conn->held)), LOG_KV("skipped", LOG_U(skipped)));
    conn_reset(conn, "tcp_memory is reached, and the client has let this wait for longest");
}

/* After a burst. False: it was this one that had to be cut. */
static bool held_make_room(struct tcp_conn *conn)
{
    struct tcp *tcp = conn->tcp;
    const struct tcp_limits *limits = tcp->thread->server->tcp_limits;
    int64_t most = tcp_conf(tcp)->tcp_memory_bytes;
    while (tcp->held_first && tcp_limits_held(limits) > most) {
        struct tcp_conn *first = tcp->held_first;
        size_t n = held_now(first);
        if (n < first->held) { /* it has taken some of it since: look again */
            if (n)
                held_set(first, n);
            else
                held_remove(first);
            continue;
        }
        cut_for_memory(first);
        if (first == conn)
            return false;
    }
    return true;
}

static void count_result(struct tcp_conn *conn, const struct answer_result *result)
{
    struct query_thread *thread = conn->tcp->thread;
    counter_add(&thread->counters.tcp_queries, 1);
    if (result->kind != ANSWER_DROP)
        counter_add(&thread->counters.rcode[result->rcode & RCODE_BITS], 1);
    if (result->tsig)
        tsig_count(thread, result, &conn->peer);
    if (result->fetch)
        xfrout_report_answer(result, &conn->peer);
    if (result->notify_dropped)
        xfrin_notify_dropped(result->zone, &conn->peer, result->notify_unproved);
    if (result->notify)
        xfrin_notify(thread->server->xfrin, result->zone, &conn->peer, result->has_serial,
                     result->serial);
}

/* Answers one query into buf, its length before it. Returns how many octets; a transfer that begins
 * gives 0; -1: what came is no query, and nothing after it can be trusted to be one. */
static int conn_answer(struct tcp_conn *conn, const uint8_t *msg, size_t len, uint8_t *buf)
{
    struct tcp *tcp = conn->tcp;
    struct answer_result result = {.kind = ANSWER_DROP};
    const struct answer_query query = {
        .zones = tcp->thread->server->zones,
        .conf = tcp_conf(tcp),
        .peer = &conn->peer,
        .tcp = true,
        .msg = msg,
        .len = len,
    };
    answer(&tcp->work, &query, buf + 2, MSG_MAX, &result);
    if (result.kind == ANSWER_TRANSFER) {
        unsigned rcode = tcp_transfer_begin(conn, &result);
        result.rcode = rcode;
        if (rcode != RCODE_NOERROR) {
            uint8_t *flags = buf + 2 + HEADER_RCODE_AT; /* the reply there says SERVFAIL */
            *flags = (uint8_t)((*flags & ~RCODE_BITS) | rcode);
            result.kind = ANSWER_REPLY;
            result.reply_len = answer_seal(&result, buf + 2, MSG_MAX);
        }
    }
    count_result(conn, &result);
    if (result.kind == ANSWER_DROP)
        return -1;
    if (result.kind == ANSWER_TRANSFER)
        return 0;
    ASSERT(result.reply_len >= MSG_HEADER && result.reply_len <= MSG_MAX);
    put_u16(buf, (uint16_t)result.reply_len);
    return 2 + (int)result.reply_len;
}

/* Replies to what waits, as long as there is room for one, and one message of a transfer. */
static int burst_replies(struct tcp_conn *conn, size_t *len)
{
    struct tcp *tcp = conn->tcp;
    int64_t most = tcp_conf(tcp)->tcp_pipeline;
    const uint8_t *msg;
    size_t msg_len;
    bool asked = false;
    for (int64_t i = 0; i < most && *len + 2 * (size_t)TCP_MESSAGE_MAX <= TCP_BURST_BYTES; i++) {
        if (!tcp_input_take(&conn->in, &msg, &msg_len))
            break;
        int put = conn_answer(conn, msg, msg_len, tcp->burst + *len);
        if (put < 0)
            return put;
        *len += (size_t)put;
        asked = true;
    }
    if (asked) {
        conn->asked_at = tcp_now();
        list_remove(conn);
        list_append(conn);
    }
    return 0;
}

static int burst_transfers(struct tcp_conn *conn, size_t *len, struct why *why)
{
    struct tcp *tcp = conn->tcp;
    size_t share = TCP_BURST_BYTES / (tcp->active_transfers ? tcp->active_transfers : 1);
    for (size_t put = 0; put < share && *len + TCP_MESSAGE_MAX <= TCP_BURST_BYTES;) {
        int n = tcp_transfer_next(conn, tcp->burst + *len, why);
        if (n <= 0)
            return n;
        *len += (size_t)n;
        put += (size_t)n;
    }
    return 0;
}

/* Makes a burst and sends it. False: closed. */
static bool conn_burst(struct tcp_conn *conn)
{
    struct why why = {""};
    size_t len = 0;
    int error = burst_replies(conn, &len);
    const char *fault = error ? "the client sent something that is no query" : NULL;
    if (!fault && burst_transfers(conn, &len, &why) < 0)
        fault = why.text;
    ssize_t sent = len ? conn_send(conn, conn->tcp->burst, len) : 0;
    if (sent < 0)
        fault = "the client went away";
    if (fault) {
        tcp_conn_close(conn, fault);
        return false;
    }
    if ((size_t)sent < len) {
        conn->kept_end = len - (size_t)sent;
        conn->kept = mem_dup(conn->tcp->burst + sent, conn->kept_end);
    }
    if (!len)
        return true;
    held_renew(conn);
    return held_make_room(conn);
}

/* ---- time */

/* Octets that the client's side has acknowledged, ever. */
static uint64_t conn_acked(const struct tcp_conn *conn)
{
    int unacked = 0;
    return ioctl(conn->io.fd, SIOCOUTQ, &unacked) || (uint64_t)unacked > conn->taken
               ? conn->taken
               : conn->taken - (uint64_t)unacked;
}

static void window_open(struct tcp_conn *conn)
{
    conn->watched = true;
    conn->window_at = tcp_now();
    conn->window_acked = conn_acked(conn);
}

/* At the end of a window. */
static bool conn_slow(const struct tcp_conn *conn, const struct server_conf *conf)
{
    struct pollfd room = {.fd = conn->io.fd, .events = POLLOUT};
    uint64_t want = (uint64_t)conf->tcp_min_rate * (uint64_t)conf->tcp_slow_s;
    return conn_acked(conn) - conn->window_acked < (want ? want : 1) && poll(&room, 1, 0) == 0;
}

/* The kernel may have taken all that was made and yet be full: a transfer waits for it with nothing kept here. */
static double conn_deadline(const struct tcp_conn *conn)
{
    const struct server_conf *conf = tcp_conf(conn->tcp);
    if (tcp_conn_idle(conn))
        return conn->asked_at + (double)conf->tcp_idle_s;
    return fmin(conn->window_at + (double)conf->tcp_slow_s,
                tcp_transfer_oldest(conn) + (double)conf->transfer_out_max_s);
}

static void timer_set(struct tcp_conn *conn, double deadline)
{
    double in_s = fmax(deadline - tcp_now(), 0) + timer_slack_s;
    conn->timer_at = deadline;
    ev_timer_stop(conn->tcp->ev, &conn->timer);
    ev_now_update(
        conn->tcp->ev); /* timers count from the loop's idea of now, which a burst makes old */
    ev_timer_set(&conn->timer, in_s, 0);
    ev_timer_start(conn->tcp->ev, &conn->timer);
}

/* Says to libev what we wait for. */
static void conn_wait(struct tcp_conn *conn)
{
    bool waits = tcp_input_waits(&conn->in);
    int events = 0;
    if (!conn->half_closed && !waits)
        events |= EV_READ;
    if (!conn_drained(conn) || conn->transfers.n || waits)
        events |= EV_WRITE;
    if (events != (conn->io.events & (EV_READ | EV_WRITE))) {
        int fd = conn->io.fd;
        ev_io_stop(conn->tcp->ev, &conn->io);
        ev_io_set(&conn->io, fd, events);
        ev_io_start(conn->tcp->ev, &conn->io);
    }
    bool idle = tcp_conn_idle(conn);
    if (!idle && !conn->watched)
        window_open(conn);
    conn->watched = !idle;
    double deadline = conn_deadline(conn);
    if (deadline < conn->timer_at)
        timer_set(conn, deadline);
}

static void conn_step(struct tcp_conn *conn)
{
    if (!conn_flush(conn))
        return;
    if (conn_drained(conn) && !conn_burst(conn))
        return;
    if (conn_drained(conn))
        tcp_transfer_settle(conn);
    if (conn->half_closed && tcp_conn_idle(conn)) {
        tcp_conn_close(conn, NULL);
        return;
    }
    tcp_input_relax(&conn->in);
    conn_wait(conn);
}

/* False: closed. */
static bool conn_read(struct tcp_conn *conn)
{
    if (conn->half_closed || tcp_input_waits(&conn->in))
        return true;
    uint8_t *p;
    size_t room = tcp_input_room(&conn->in, &p);
    ssize_t got = recv(conn->io.fd, p, room, 0);
    if (got > 0)
        tcp_input_filled(&conn->in, (size_t)got);
    else if (got == 0)
        conn->half_closed = true;
    else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        tcp_conn_close(conn, "the client went away");
        return false;
    }
    return true;
}

static void conn_ready(struct ev_loop *ev, ev_io *io, int events)
{
    (void)ev;
    struct tcp_conn *conn = io->data;
    if (events & EV_READ && !conn_read(conn))
        return;
    conn_step(conn);
}

static void conn_late(struct ev_loop *ev, ev_timer *timer, int events)
{
    (void)ev;
    (void)events;
    struct tcp_conn *conn = timer->data;
    double now = tcp_now(), deadline = conn_deadline(conn);
    if (now < deadline) {
        timer_set(conn, deadline);
        return;
    }
    const struct server_conf *conf = tcp_conf(conn->tcp);
    bool idle = tcp_conn_idle(conn),
         too_long = tcp_transfer_oldest(conn) + (double)conf->transfer_out_max_s <= now;
    if (!idle && !too_long && !conn_slow(conn, conf)) {
        window_open(conn);
        timer_set(conn, conn_deadline(conn));
        return;
    }
    counter_add(&conn->tcp->thread->counters.tcp_timeouts, 1);
    if (too_long)
        conn_reset(conn, "transfer_out_max_s has passed");
    else if (!idle)
        conn_reset(conn, "the client does not read, or slower than tcp_min_rate");
    else
        tcp_conn_close(conn, NULL);
}

void tcp_conn_open(struct tcp *tcp, int fd, const struct address *peer)
{
    struct tcp_conn *conn = mem_zalloc(sizeof *conn);
    /* For what the kernel still has when we have closed it: nobody else counts the time then. Until then we do, and
     * are first. */
    const unsigned give_up_ms = 2 * (unsigned)tcp_conf(tcp)->tcp_slow_s * 1000;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &give_up_ms, sizeof give_up_ms);
    conn->tcp = tcp;
    conn->peer = *peer;
    conn->asked_at = tcp_now();
    conn->timer_at = INFINITY;
    list_append(conn);
    counter_add(&tcp->thread->counters.tcp_open, 1);
    ev_io_init(&conn->io, conn_ready, fd, 0);
    ev_timer_init(&conn->timer, conn_late, 0, 0);
    conn->io.data = conn->timer.data = conn;
    conn_wait(conn);
}
