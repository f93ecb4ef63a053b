/* server: the daemon's parts, put together once.
 *
 *          query threads (server.threads) ── each: one loop, UDP + TCP sockets (SO_REUSEPORT), answer(), AXFR out
 *          control loop (the main thread) ── xfrin, NOTIFY out, control socket, signals, timers
 *          worker pool (server.workers)   ── chains, signatures, freeing
 *
 * WHO    server_start … server_stop on the main thread. `config` is RCU.
 * FAILS  server_start: -E_CONF / -E_IO with a why that names address, path or user; nothing is left running.
 */
#ifndef WEIR_NET_SERVER_H
#define WEIR_NET_SERVER_H

#include "pipeline/net/loop.h"
#include "pipeline/run/zone_table.h"

struct udp;
struct tcp;
struct tcp_limits;
struct xfrin;
struct notify;
struct parent;
struct signer_poller;
struct control;
struct capture;
struct server_signals;

struct query_counters {             /* one per query thread, written by it alone, read by anyone */
    _Atomic uint64_t udp_queries, udp_replies, udp_dropped, udp_truncated;
    _Atomic uint64_t tcp_queries, tcp_connections, tcp_refused, tcp_timeouts;
    _Atomic uint64_t tcp_open;       /* connections now; the others count ever */
    _Atomic uint64_t tcp_cut_for_memory;
    _Atomic uint64_t tcp_rests;      /* no descriptors left: accepted nothing for a while */
    _Atomic uint64_t rcode[16];
    _Atomic uint64_t tsig_good, tsig_badkey, tsig_badsig, tsig_badtime, tsig_badtrunc; /* queries that were signed */
    _Atomic uint64_t transfers, transfers_failed, transfer_messages, transfer_bytes;
};
static inline void counter_add(_Atomic uint64_t *counter, uint64_t n) /* by the one thread that writes it */
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}
struct query_thread {
    struct server *server;
    struct loop *loop;
    struct udp *udp;
    struct tcp *tcp;
    struct query_counters counters;
};
struct server {
    struct config *_Atomic config;
    char *config_path;
    struct pool *pool;
    struct journal *journal;
    struct zone_table *zones;
    struct loop *control_loop;
    unsigned nquery;
    struct query_thread *query;
    struct tcp_limits *tcp_limits;
    _Atomic int64_t tcp_room;       /* TCP clients that there are descriptors for */
    struct xfrin *xfrin;
    struct notify *notify;
    struct parent *parent;
    struct signer_poller *signers;
    struct control *control;
    struct capture *capture;        /* NULL: not wanted */
    struct server_signals *signals; /* watched from server_start until server_run returns */
    time_t started_at;
    uint64_t reloads, reloads_failed;
    uint64_t control_rests;         /* as tcp_rests, of the control socket */
};
/* Opens sockets, drops privileges, applies the configuration, starts threads. */
int server_start(struct server **out, struct config *config, struct why *why) MUST_CHECK;
void server_run(struct server *server);            /* the control loop, until SIGTERM or SIGINT */
void server_stop(struct server **server);          /* orderly: no new work, transfers out cut, threads joined */
/* Reads the configuration again; on error the old one stays. On the control loop. */
int server_reload(struct server *server, struct why *why) MUST_CHECK;

#endif
