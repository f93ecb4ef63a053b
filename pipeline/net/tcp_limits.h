/* tcp_limits: who holds how many connections and transfers, over all query threads.
 *
 * WHAT   Counts in all and a host; a host is an IPv4 address or an IPv6 /64, which is what one
 *        client owns. Each begin that returned TCP_ADMITTED is paired with an end.
 * WHO    Any thread; a mutex, taken once a connection or transfer, never once a query; tcp_limits_hold is atomic.
 * COST   O(1) expected. Memory: one entry a host that holds something.
 */
#ifndef WEIR_NET_TCP_LIMITS_H
#define WEIR_NET_TCP_LIMITS_H

#include "pipeline/run/address.h"

struct tcp_limits;
enum tcp_admission { TCP_ADMITTED, TCP_FULL, TCP_HOST_FULL };

struct tcp_limits *tcp_limits_new(void);
void tcp_limits_free(struct tcp_limits **limits); /* everything begun must have ended */

enum tcp_admission tcp_limits_connect(struct tcp_limits *l, const struct address *peer,
                                      int64_t most, int64_t most_per_host) MUST_CHECK;
void tcp_limits_disconnect(struct tcp_limits *l, const struct address *peer);
enum tcp_admission tcp_limits_transfer_begin(struct tcp_limits *l, const struct address *peer,
                                             int64_t most, int64_t most_per_host) MUST_CHECK;
/* Octets of output that wait for clients, of all threads. */
void tcp_limits_hold(struct tcp_limits *l, int64_t change);
int64_t tcp_limits_held(const struct tcp_limits *l);
void tcp_limits_transfer_end(struct tcp_limits *l, const struct address *peer);

#endif
