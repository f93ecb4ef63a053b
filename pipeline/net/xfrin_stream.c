/* One query over TCP, and the messages that come back.
 *
 *   connecting ─▶ the query goes out ─▶ | len | message | len | mess… ─▶ end ─▶ kept for another query, or closed
 *   or a kept connection ─┘       └─ broken before the first octet: once more, over a fresh one
 *
 * Octets are read straight into one buffer, messages are handed on where they lie in it, and what is
 * left of a cut one is moved to the front. The buffer starts with room for one message and grows once a
 * read has filled it, so small zones stay small.
 * The kernel's receive buffer is left to its own tuning: asking for a size (SO_RCVBUF) would end that,
 * and gives less than it grows to.
 *
 * A wake-up reads at most READ_MAX octets (about 1 ms of parsing), then the loop turns: other zones have
 * their turn, and libev comes back at once for what is left. Four times as much is not faster: measured at
 * 676 k records, the primary is what a transfer waits for.
 *
 * Time is bounded four times: the connect, all of it (max_s), silence (idle), and slowness: fewer than
 * min_rate octets a second over a window. A window that ends while octets lie unread in the kernel
 * was slow on our side, and does not count. */
#include "pipeline/net/xfrin_p.h"

#include "pipeline/base/alloc.h"
#include "pipeline/net/capture.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
    PREFIX = 2,
    BUFFER_FIRST = PREFIX + MSG_MAX,
    READ_MAX = 64 << 10,
    BUFFER_MAX = BUFFER_FIRST + READ_MAX,
};

struct xfrin_stream {
    struct xfrin_stream_config conf;
    struct address source;
    int fd;
    bool connected;
    bool reused; /* a kept connection, from which nothing has come yet */
    bool kept;   /* it began as one */
    bool heard;  /* an octet at least has come */
    bool clean;  /* ended with a whole message, and nothing behind it */
    ev_io io;
    ev_timer connecting, whole, idle, window, stillborn;
    struct why why; /* of a stillborn one */
    int err;
    uint8_t query[PREFIX + XFRIN_QUERY_MAX];
    size_t query_len, sent;
    uint8_t *buf;
    size_t cap, len;
    uint64_t in_window;
    struct capture_stream *capture;
};

int xfrin_connect(int type, const struct address *to, const struct address *source, int *fd,
                  struct why *why)
{
    char text[ADDRESS_TEXT_MAX];
    int s = socket(to->sa.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s < 0)
        return why_set(why, -E_IO, "socket: %s", strerror(errno));
    if (source->len) {
        struct address from = *source;
        int one = 1;
        if (from.sa.sa_family == AF_INET)
            from.v4.sin_port = 0;
        else
            from.v6.sin6_port = 0;
        if (type ==
            SOCK_STREAM) /* a port is needed once the peer is known, and is then unique to it */
            (void)setsockopt(s, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(s, &from.sa, from.len)) {
            int err = why_set(why, -E_IO, "cannot send from %s: %s",
                              address_print_host(&from, text), strerror(errno));
            close(s);
            return err;
        }
    }
    if (connect(s, &to->sa, to->len) && errno != EINPROGRESS) {
        int err = why_set(why, -E_IO, "cannot connect: %s", strerror(errno));
        close(s);
        return err;
    }
    *fd = s;
    return 0;
}

static void timer_start(struct xfrin_stream *s, ev_timer *t, double after_s, double repeat_s)
{
    struct ev_loop *ev = s->conf.x->ev;
    ev_timer_stop(ev, t);
    ev_now_update(ev);
    ev_timer_set(t, after_s, repeat_s);
    ev_timer_start(ev, t);
}

/* The owner may close the stream in there: nothing comes after it. */
static void stream_end(struct xfrin_stream *s, int err, const struct why *why)
{
    s->conf.end(s->conf.ctx, err, why);
}

static void stream_fail(struct xfrin_stream *s, int err, const char *what)
{
    struct why why;
    (void)why_set(&why, err, "%s", what);
    stream_end(s, err, &why);
}

static void stream_fail_errno(struct xfrin_stream *s, const char *what, int error)
{
    struct why why;
    (void)why_set(&why, -E_IO, "%s: %s", what, strerror(error));
    stream_end(s, -E_IO, &why);
}

/* ---- capture */

static void capture_open_stream(struct xfrin_stream *s)
{
    struct capture *cap = s->conf.x->server->capture;
    struct address local = {.len = sizeof local.v6};
    if (cap && s->conf.capture && !getsockname(s->fd, &local.sa, &local.len))
        s->capture = capture_stream_open(cap, &local, s->conf.to);
}

static void capture_octets(struct xfrin_stream *s, bool from_peer, const uint8_t *data, size_t len)
{
    struct timespec at;
    if (!s->capture)
        return;
    clock_gettime(CLOCK_REALTIME, &at);
    capture_stream_data(s->capture, from_peer, data, len, &at);
}

/* ---- connecting */

static void io_set(struct xfrin_stream *s, int events)
{
    ev_io_stop(s->conf.x->ev, &s->io);
    ev_io_set(&s->io, s->fd, events);
    ev_io_start(s->conf.x->ev, &s->io);
}

static void stream_connect(struct xfrin_stream *s)
{
    s->err = xfrin_connect(SOCK_STREAM, s->conf.to, s->conf.source, &s->fd, &s->why);
    if (s->err) {
        timer_start(s, &s->stillborn, 0, 0);
        return;
    }
    io_set(s, EV_WRITE);
    timer_start(s, &s->connecting, s->conf.x->tuning.connect_ms / 1e3, 0);
}

static void stream_connected(struct xfrin_stream *s, unsigned idle_ms)
{
    s->connected = true;
    s->idle.repeat = idle_ms / 1e3;
    ev_timer_again(s->conf.x->ev, &s->idle);
    if (s->conf.min_rate) {
        double window = s->conf.x->tuning.rate_window_ms / 1e3;
        timer_start(s, &s->window, window, window);
    }
    if (!s->reused)
        capture_open_stream(s);
}

/* A query over a kept connection enters the capture when it is answered: one that finds the connection dead is asked again, and is not
 * a transfer that failed. */
static void capture_reused(struct xfrin_stream *s)
{
    capture_open_stream(s);
    capture_octets(s, false, s->query, s->sent);
}

static void stream_disconnect(struct xfrin_stream *s)
{
    struct ev_loop *ev = s->conf.x->ev;
    ev_io_stop(ev, &s->io);
    ev_timer_stop(ev, &s->connecting);
    ev_timer_stop(ev, &s->idle);
    ev_timer_stop(ev, &s->window);
    if (s->capture)
        capture_stream_close(&s->capture, false);
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    s->connected = false;
}

/* A kept connection that the primary had given up: the query goes out over a fresh one. */
static bool stream_again(struct xfrin_stream *s)
{
    if (!s->reused)
        return false;
    stream_disconnect(s);
    s->reused = s->kept = false;
    s->sent = s->len = 0;
    stream_connect(s);
    return true;
}

/* ---- reading */

/* Hands on every whole message. 0: more is wanted; 1: done; < 0. */
static int messages_take(struct xfrin_stream *s, struct why *why)
{
    size_t at = 0;
    int err = 0;
    while (err == 0 && s->len - at >= PREFIX) {
        size_t len = get_u16(s->buf + at);
        if (s->len - at - PREFIX < len)
            break;
        err = s->conf.message(s->conf.ctx, s->buf + at + PREFIX, len, why);
        at += PREFIX + len;
    }
    s->clean = at == s->len;
    if (err == 0 && at) {
        s->len -= at;
        memmove(s->buf, s->buf + at, s->len);
    }
    return err;
}

static void buffer_grow(struct xfrin_stream *s)
{
    if (s->cap == BUFFER_MAX)
        return;
    s->cap = s->cap == 0 ? BUFFER_FIRST : BUFFER_MAX;
    s->buf = mem_resize(s->buf, s->cap);
}

/* The number of octets, 0 when there are none now; < 0: the stream has ended and told so, or it begins again. */
static ssize_t octets_read(struct xfrin_stream *s)
{
    ASSERT(s->len < s->cap);
    size_t room = s->cap - s->len;
    ssize_t n = recv(s->fd, s->buf + s->len, room < READ_MAX ? room : READ_MAX, 0);
    if (n > 0) {
        if (s->reused)
            capture_reused(s);
        capture_octets(s, true, s->buf + s->len, (size_t)n);
        s->len += (size_t)n;
        s->in_window += (uint64_t)n;
        s->reused = false;
        s->heard = true;
        if ((size_t)n == room)
            buffer_grow(s);
        return n;
    }
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return 0;
    if (stream_again(s))
        return -1;
    if (n < 0)
        stream_fail_errno(s, "connection broke", errno);
    else
        stream_fail(s, -E_CLOSED,
                    s->len ? "the primary closed the connection within a message"
                           : "the primary closed the connection");
    return -1;
}

static void on_readable(struct xfrin_stream *s)
{
    struct why why = {""};
    size_t done = 0;
    bool any = false;
    if (!s->buf)
        buffer_grow(s);
    while (done < READ_MAX) {
        size_t asked = s->cap - s->len;
        ssize_t n = octets_read(s);
        if (n < 0)
            return;
        if (n == 0)
            break;
        any = true;
        done += (size_t)n;
        int err = messages_take(s, &why);
        if (err) {
            stream_end(s, err < 0 ? err : 0, &why);
            return;
        }
        if ((size_t)n < asked && (size_t)n < READ_MAX)
            break; /* the kernel had no more */
    }
    if (any) {
        s->idle.repeat = s->conf.x->tuning.idle_ms / 1e3;
        ev_timer_again(s->conf.x->ev, &s->idle);
    }
}

/* ---- writing */

static void on_writable(struct xfrin_stream *s)
{
    if (!s->connected) {
        int error = 0;
        socklen_t len = sizeof error;
        if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) || error) {
            stream_fail_errno(s, "cannot connect", error ? error : errno);
            return;
        }
        ev_timer_stop(s->conf.x->ev, &s->connecting);
        stream_connected(s, s->conf.x->tuning.idle_ms);
    }
    ssize_t n = send(s->fd, s->query + s->sent, s->query_len - s->sent, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        int error = errno;
        if (!stream_again(s))
            stream_fail_errno(s, "connection broke", error);
        return;
    }
    if (n <= 0)
        return;
    capture_octets(s, false, s->query + s->sent, (size_t)n);
    s->sent += (size_t)n;
    if (s->sent == s->query_len)
        io_set(s, EV_READ);
}

static void on_io(struct ev_loop *ev, ev_io *w, int events)
{
    (void)ev;
    struct xfrin_stream *s = w->data;
    if (events & EV_WRITE)
        on_writable(s);
    else
        on_readable(s);
}

/* ---- time */

static void on_connecting(struct ev_loop *ev, ev_timer *w, int events)
{
    (void)ev;
    (void)events;
    stream_fail(w->data, -E_TIMEOUT, "cannot connect: time-out");
}

static void on_whole(struct ev_loop *ev, ev_timer *w, int events)
{
    (void)ev;
    (void)events;
    struct xfrin_stream *s = w->data;
    struct why why;
    (void)why_set(&why, -E_TIMEOUT, "not complete after %.0f s (%s)", s->conf.max_s,
                  s->conf.max_name);
    stream_end(s, -E_TIMEOUT, &why);
}

static void on_idle(struct ev_loop *ev, ev_timer *w, int events)
{
    (void)ev;
    (void)events;
    struct xfrin_stream *s = w->data;
    struct why why;
    if (stream_again(s))
        return;
    (void)why_set(&why, -E_TIMEOUT, "not an octet in %u s", s->conf.x->tuning.idle_ms / 1000);
    stream_end(s, -E_TIMEOUT, &why);
}

static void on_window(struct ev_loop *ev, ev_timer *w, int events)
{
    (void)ev;
    (void)events;
    struct xfrin_stream *s = w->data;
    double window = s->conf.x->tuning.rate_window_ms / 1e3,
           want = (double)s->conf.min_rate * window;
    uint64_t got = s->in_window;
    int unread = 0;
    struct why why;
    s->in_window = 0;
    if ((double)got >= want || (!ioctl(s->fd, FIONREAD, &unread) && unread > 0))
        return;
    (void)why_set(
        &why, -E_LIMIT,
        "slower than min_rate: %.0f octets a second over %.0f s, at least %lld are wanted",
        (double)got / window, window, (long long)s->conf.min_rate);
    stream_end(s, -E_LIMIT, &why);
}

static void on_stillborn(struct ev_loop *ev, ev_timer *w, int events)
{
    (void)ev;
    (void)events;
    struct xfrin_stream *s = w->data;
    stream_end(s, s->err, &s->why);
}

/* ---- open, close */

struct xfrin_stream *stream_open(const struct xfrin_stream_config *config)
{
    struct xfrin_stream *s = mem_zalloc(sizeof *s);
    s->conf = *config;
    s->conf.query = NULL;
    s->source = *config->source;
    s->conf.source = &s->source;
    ASSERT(config->query_len <= XFRIN_QUERY_MAX);
    put_u16(s->query, (uint16_t)config->query_len);
    memcpy(s->query + PREFIX, config->query, config->query_len);
    s->query_len = PREFIX + config->query_len;
    ev_init(&s->io, on_io);
    ev_init(&s->connecting, on_connecting);
    ev_init(&s->whole, on_whole);
    ev_init(&s->idle, on_idle);
    ev_init(&s->window, on_window);
    ev_init(&s->stillborn, on_stillborn);
    s->io.data = s->connecting.data = s->whole.data = s->idle.data = s->window.data =
        s->stillborn.data = s;
    timer_start(s, &s->whole, config->max_s, 0);
    s->fd = conn_take(config->x, config->to, config->source);
    if (s->fd < 0) {
        stream_connect(s);
        return s;
    }
    s->reused = s->kept =
        true; /* it may be dead and nobody told us: then it must not take as long as a silent primary may */
    stream_connected(s, config->x->tuning.connect_ms);
    io_set(s, EV_WRITE);
    return s;
}

bool stream_heard(const struct xfrin_stream *s)
{
    return s->heard;
}

bool stream_was_kept(const struct xfrin_stream *s)
{
    return s->kept;
}

void stream_close(struct xfrin_stream **sp)
{
    struct xfrin_stream *s = *sp;
    if (!s)
        return;
    stream_disconnect(s);
    ev_timer_stop(s->conf.x->ev, &s->whole);
    ev_timer_stop(s->conf.x->ev, &s->stillborn);
    mem_free(&s->buf);
    mem_free(sp);
}

void stream_release(struct xfrin_stream **sp)
{
    struct xfrin_stream *s = *sp;
    if (s && s->clean && s->connected && s->sent == s->query_len) {
        ev_io_stop(s->conf.x->ev, &s->io);
        conn_keep(s->conf.x, s->conf.to, s->conf.source, s->fd);
        s->fd = -1;
    }
    stream_close(sp);
}
