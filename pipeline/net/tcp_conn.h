/* tcp_conn: one connection of a client; private to tcp*.c.
 *
 *          recv ─▶ input ─▶ answer() ─▶ burst ─▶ send ─▶ what the kernel did not take: conn->kept
 *                             └▶ transfers ─▶ ┘
 *
 * WHAT   A connection is stepped: whenever the kernel has taken all output, the next burst is made:
 * replies to the queries that wait (at most tcp_pipeline), then messages of its transfers, in turn.
 * So output is produced as the client reads, and a connection that is idle owns no buffers. WHO The
 * query thread.
 * COST   Output that waits, of all connections: tcp_memory.
 */
#ifndef WEIR_NET_TCP_CONN_H
#define WEIR_NET_TCP_CONN_H

#include "pipeline/net/answer.h"
#include "pipeline/net/server.h"
#include "pipeline/net/tcp_input.h"
#include "pipeline/net/tcp_transfer.h"

enum { TCP_BURST_BYTES = 4 * 65536, TCP_MESSAGE_MAX = 2 + 65535 };

struct tcp_conn {
    ev_io io;
    ev_timer timer;
    struct tcp *tcp;
    struct tcp_conn *older, *newer; /* by the last query */
    struct address peer;
    struct tcp_input in;
    bool half_closed; /* the client will send no more; it gets what it asked for */
    uint8_t *kept;    /* output that the kernel did not take; NULL: none */
    size_t kept_begin, kept_end;
    size_t held; /* output that waits: kept, and in the kernel but not sent yet, as we know it */
    struct tcp_conn *held_before, *held_after; /* those for whom some waits, by their last burst */
    struct tcp_transfers transfers;
    double asked_at; /* last query */
    double timer_at; /* when the timer fires */
    uint64_t taken;  /* octets that the kernel took, ever */
    bool watched;    /* output waits; in the window that began at …, when the client had acknowledged … */
    double window_at;
    uint64_t window_acked;
};

struct tcp_listener {
    ev_io io;
    struct tcp *tcp;
};

struct tcp { /* one query thread's */
    struct query_thread *thread;
    struct ev_loop *ev;
    struct answer_work work;
    uint8_t *burst; /* TCP_BURST_BYTES; being made in one step, empty between two */
    struct tcp_conn *oldest, *newest;
    struct tcp_conn *held_first, *held_last; /* the first has let its output wait for longest */
    size_t active_transfers; /* of all connections: they share the time between two polls */
    size_t nlisteners;
    struct tcp_listener *listeners;
    ev_timer resume; /* accepting again, after descriptors ran out */
};

/* Takes over the descriptor and one admission of tcp_limits. */
void tcp_conn_open(struct tcp *tcp, int fd, const struct address *peer);
void tcp_conn_close(struct tcp_conn *conn, const char *reason); /* of the transfers that it cuts */
bool tcp_conn_idle(const struct tcp_conn *conn);           /* nothing asked that is not answered */
const struct server_conf *tcp_conf(const struct tcp *tcp); /* until the next return to the loop */
double tcp_now(void);                                      /* monotonic seconds */

#endif
