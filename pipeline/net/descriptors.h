/* descriptors: how many files the system lets us have open, and who gets them.
 *
 * WHAT   Raises the soft limit (RLIMIT_NOFILE) to the hard one and shares it out:
 *
 *          base       sockets and loops of every thread, the log         without these there is no start
 *          work       control socket, serial checks, transfers in, NOTIFY, questions to parents, zone files, captures
 *          clients    the rest, for TCP clients: tcp_clients of them if there is room, else fewer
 *
 *        So a house full of clients leaves room for the zones to come in and for `weir status`.
 * WHO    The control loop.
 * FAILS  -E_IO: there are not even enough to start with; the why says how many there are and how many it takes.
 */
#ifndef WEIR_NET_DESCRIPTORS_H
#define WEIR_NET_DESCRIPTORS_H

#include "pipeline/run/config.h"

/* How many TCP clients may be let in: conf->tcp_clients, or fewer, which is logged. At start and at a reload. */
int descriptors_share(const struct server_conf *conf, int64_t workers, int64_t *clients, struct why *why) MUST_CHECK;

/* The arithmetic of it. limit: descriptors there are. */
struct descriptors {
    int64_t base, work, clients; /* that the configuration may need */
    int64_t let_in;              /* TCP clients that there is room for, at most tcp_clients; < 1: weir cannot start */
};
struct descriptors descriptors_plan(const struct server_conf *conf, int64_t workers, int64_t limit);

#endif
