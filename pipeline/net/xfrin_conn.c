/* Connections to primaries that are kept for the next query.
 *
 *   stream ends in order ─▶ kept ─next query to the same address─▶ stream
 *                            └─ the primary closes it, says something, or keep_ms pass ─▶ closed
 *
 * One query at a time on each: the serial check over TCP, the IXFR that follows, the AXFR when that is refused, and whatever
 * another zone asks the same primary. Several at once use several connections, as many as transfers may go on at once.
 * A kept connection is only a guess that the primary still listens: it may close it at any time (RFC 7766 6.2.3), perhaps
 * while a query is on its way. So the stream asks again over a fresh one when a kept one breaks before the first
 * octet of an answer (xfrin_stream.c). It may also lead to a process that the primary has replaced since, and that has an older
 * zone: NSD leaves a child to the connections that it has, when it reloads. So an answer that is older than it should be is
 * asked for again over a fresh one (xfrin_axfr.c). */
#include "pipeline/net/xfrin_p.h"

#include "pipeline/base/alloc.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct xfrin_conn {
    struct xfrin_link link; /* first; in order of age */
    struct xfrin *x;
    struct address to, source;
    int fd;
    ev_io readable;
    ev_timer due;
};

static void conn_drop(struct xfrin_conn *c, bool close_it)
{
    ev_io_stop(c->x->ev, &c->readable);
    ev_timer_stop(c->x->ev, &c->due);
    link_remove(&c->link);
    c->x->kept--;
    if (close_it)
        close(c->fd);
    mem_free(&c);
}

/* Nothing is asked here, so whatever comes, octets or the end, makes it useless. */
static void on_readable(struct ev_loop *ev, ev_io *w, int events)
{
    (void)ev;
    (void)events;
    conn_drop(w->data, true);
}

static void on_due(struct ev_loop *ev, ev_timer *w, int events)
{
    (void)ev;
    (void)events;
    conn_drop(w->data, true);
}

static bool leads(const struct xfrin_conn *c, const struct address *to,
                  const struct address *source)
{
    return address_equal(&c->to, to) && address_equal(&c->source, source);
}

/* What the loop has not seen yet may be there already. */
static bool is_silent(int fd)
{
    char octet;
    ssize_t n = recv(fd, &octet, 1, MSG_PEEK | MSG_DONTWAIT);
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

int conn_take(struct xfrin *x, const struct address *to, const struct address *source)
{
    struct xfrin_link *before;
    for (struct xfrin_link *l = x->conns.prev; l != &x->conns; l = before) { /* the youngest */
        struct xfrin_conn *c = (struct xfrin_conn *)(void *)l;
        before = l->prev;
        if (!leads(c, to, source))
            continue;
        int fd = c->fd;
        bool good = is_silent(fd);
        conn_drop(c, !good);
        if (good)
            return fd;
    }
    return -1;
}

void conn_keep(struct xfrin *x, const struct address *to, const struct address *source, int fd)
{
    if (x->kept >= x->tuning.keep_max && x->kept)
        conn_drop((struct xfrin_conn *)(void *)x->conns.next, true);
    struct xfrin_conn *c = mem_zalloc(sizeof *c);
    c->x = x;
    c->to = *to;
    c->source = *source;
    c->fd = fd;
    link_init(&c->link);
    link_append(&x->conns, &c->link);
    x->kept++;
    c->readable.data = c->due.data = c;
    ev_io_init(&c->readable, on_readable, fd, EV_READ);
    ev_timer_init(&c->due, on_due, 0, 0);
    ev_io_start(x->ev, &c->readable);
    ev_now_update(x->ev);
    ev_timer_set(&c->due, x->tuning.keep_ms / 1e3, 0);
    ev_timer_start(x->ev, &c->due);
}

void conn_forget(struct xfrin *x, const struct address *to)
{
    struct xfrin_link *next;
    for (struct xfrin_link *l = x->conns.next; l != &x->conns; l = next) {
        struct xfrin_conn *c = (struct xfrin_conn *)(void *)l;
        next = l->next;
        if (address_equal(&c->to, to))
            conn_drop(c, true);
    }
}

void conn_close_all(struct xfrin *x)
{
    while (!link_alone(&x->conns))
        conn_drop((struct xfrin_conn *)(void *)x->conns.next, true);
}
