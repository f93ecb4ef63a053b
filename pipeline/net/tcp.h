/* tcp: queries and transfers over TCP.
 *
 * WHAT   Length-prefixed messages, pipelined; replies go out in the order they are ready. A transfer out is produced one
 *        message at a time as the client reads, from one pinned version; other queries of the same connection go
 *        on between its messages. Idle clients, slow readers and greedy hosts meet limits (struct server_conf).
 * WHO    Its query thread. tcp_limits is shared by all of them.
 * FAILS  tcp_new: -E_IO with the address. A client's faults close its connection and are counted.
 * COST   Memory is bounded: a connection has one input message (64 KiB, when a client sends one that long) and at most
 *        256 KiB of output that the kernel has not taken, and 512 KiB that it has not sent; of output that waits all of
 *        them together have tcp_memory.
 * SPEC   RFC 7766; RFC 5936 4; RFC 9210.
 */
#ifndef WEIR_NET_TCP_H
#define WEIR_NET_TCP_H

#include "pipeline/net/server.h"

struct tcp_limits *tcp_limits_new(void);
void tcp_limits_free(struct tcp_limits **limits);
int tcp_new(struct query_thread *thread, const struct address *listen, size_t n, struct tcp **out, struct why *why) MUST_CHECK;
void tcp_free(struct tcp **tcp);                    /* closes every connection */

#endif
