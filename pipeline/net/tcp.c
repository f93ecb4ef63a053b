/* TCP of one query thread: its listening sockets and the list of its connections.
 *
 * Admission is counted over all threads (tcp_limits). When the house is full, the connection of
 * this thread that has been idle for longest makes room: a client that wants to keep a connection
 * open loses nothing by opening it again later, but one that cannot get in has nothing. Only when
 * nobody here is idle is the newcomer turned away. A host that has its own share filled is turned
 * away in any case.
 *
 * Running out of descriptors must not become a spin: the socket stays readable while accept()
 * fails. The same remedy is tried first; then all listening sockets of the thread rest for a while.
 */
#include "pipeline/net/tcp.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "pipeline/base/alloc.h"
#include "pipeline/base/log.h"
#include "pipeline/net/listen.h"
#include "pipeline/net/tcp_conn.h"
#include "pipeline/net/tcp_limits.h"

enum {
    ACCEPTS = 64,     /* between two polls */
    IDLE_SEARCH = 64, /* connections looked at, from the old end, for an idle one */
    LOG_EVERY_S = 10,
};

/* A query that has come in but was not read yet is one that is not answered. */
static bool silent(const struct tcp_conn *conn)
{
    int unread = 0;
    return ioctl(conn->io.fd, FIONREAD, &unread) == 0 && unread == 0;
}

static bool idle_close(struct tcp *tcp)
{
    struct tcp_conn *conn = tcp->oldest;
    for (unsigned i = 0; conn && i < IDLE_SEARCH; conn = conn->newer, i++)
        if (tcp_conn_idle(conn) && silent(conn)) {
            tcp_conn_close(conn, NULL);
            return true;
        }
    return false;
}

static bool admit(struct tcp *tcp, const struct address *peer)
{
    static struct log_gate gate;
    const struct server_conf *conf = tcp_conf(tcp);
    struct tcp_limits *limits = tcp->thread->server->tcp_limits;
    int64_t room = atomic_load_explicit(&tcp->thread->server->tcp_room, memory_order_relaxed),
            most = room < conf->tcp_clients ? room : conf->tcp_clients;
    enum tcp_admission a = tcp_limits_connect(limits, peer, most, conf->tcp_per_client);
    if (a == TCP_FULL && idle_close(tcp))
        a = tcp_limits_connect(limits, peer, most, conf->tcp_per_client);
    if (a == TCP_ADMITTED)
        return true;
    uint64_t skipped = 0;
    char text[ADDRESS_TEXT_MAX];
    counter_add(&tcp->thread->counters.tcp_refused, 1);
    if (log_gate_open(&gate, LOG_EVERY_S, &skipped))
        log_warn("connection turned away", LOG_KV("client", LOG_S(address_print(peer, text))),
                 LOG_KV("limit", LOG_S(a != TCP_FULL              ? "tcp_per_client"
                                       : most < conf->tcp_clients ? "open files"
                                                                  : "tcp_clients")),
                 LOG_KV("skipped", LOG_U(skipped)));
    return false;
}

static void rest(struct tcp *tcp, int error)
{
    static struct log_gate gate;
    uint64_t skipped = 0;
    counter_add(&tcp->thread->counters.tcp_rests, 1);
    if (log_gate_open(&gate, LOG_EVERY_S, &skipped))
        log_warn("cannot accept connections for a while", LOG_KV("reason", LOG_S(strerror(error))),
                 LOG_KV("skipped", LOG_U(skipped)));
    for (size_t i = 0; i < tcp->nlisteners; i++)
        ev_io_stop(tcp->ev, &tcp->listeners[i].io);
    ev_now_update(tcp->ev);
    ev_timer_set(&tcp->resume, LISTEN_REST_MS / 1e3, 0);
    ev_timer_start(tcp->ev, &tcp->resume);
}

static void resume(struct ev_loop *ev, ev_timer *timer, int events)
{
    (void)events;
    struct tcp *tcp = timer->data;
    for (size_t i = 0; i < tcp->nlisteners; i++)
        ev_io_start(ev, &tcp->listeners[i].io);
}

/* Only exhaustion concerns the thread; the rest (ECONNABORTED, network errors) concerns one client
 * that is gone. But nothing at all accepted in a whole turn is no client's doing. */
static void listener_ready(struct ev_loop *ev, ev_io *io, int events)
{
    (void)ev;
    (void)events;
    struct tcp *tcp = ((struct tcp_listener *)io->data)->tcp;
    unsigned accepted = 0;
    int error = 0;
    for (unsigned i = 0; i < ACCEPTS; i++) {
        struct address peer;
        memset(&peer, 0, sizeof peer);
        peer.len = sizeof peer.v6;
        int fd = accept4(io->fd, &peer.sa, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            accepted++;
            counter_add(&tcp->thread->counters.tcp_connections, 1);
            if (admit(tcp, &peer))
                tcp_conn_open(tcp, fd, &peer);
            else
                close(fd);
            continue;
        }
        error = errno;
        if (error == EAGAIN || error == EWOULDBLOCK)
            return;
        if (listen_exhausted(error) && !idle_close(tcp)) {
            rest(tcp, error);
            return;
        }
    }
    if (accepted == 0)
        rest(tcp, error);
}

int tcp_new(struct query_thread *thread, const struct address *listen, size_t n, struct tcp **out,
            struct why *why)
{
    struct tcp *tcp = mem_zalloc(sizeof *tcp);
    tcp->thread = thread;
    tcp->ev = loop_ev(thread->loop);
    tcp->burst = mem_alloc(TCP_BURST_BYTES);
    tcp->listeners = mem_array(n, sizeof *tcp->listeners);
    answer_work_init(&tcp->work);
    ev_timer_init(&tcp->resume, resume, 0, 0);
    tcp->resume.data = tcp;
    for (size_t i = 0; i < n; i++) {
        int fd, error = listen_tcp(&listen[i], &fd, why);
        if (error) {
            tcp_free(&tcp);
            return error;
        }
        struct tcp_listener *l = &tcp->listeners[tcp->nlisteners++];
        l->tcp = tcp;
        ev_io_init(&l->io, listener_ready, fd, EV_READ);
        l->io.data = l;
        ev_io_start(tcp->ev, &l->io);
    }
    *out = tcp;
    return 0;
}

void tcp_free(struct tcp **tcp)
{
    struct tcp *t = *tcp;
    if (!t)
        return;
    while (t->oldest)
        tcp_conn_close(t->oldest, "weir stops");
    ev_timer_stop(t->ev, &t->resume);
    for (size_t i = 0; i < t->nlisteners; i++) {
        ev_io_stop(t->ev, &t->listeners[i].io);
        close(t->listeners[i].io.fd);
    }
    mem_free(&t->listeners);
    mem_free(&t->burst);
    mem_free(tcp);
}
