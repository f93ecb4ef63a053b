/* udp: queries and replies in batches (recvmmsg, sendmmsg), one socket a listen address and thread (SO_REUSEPORT).
 *
 * WHO    Its query thread; udp_new binds, before privileges are dropped.
 * FAILS  udp_new: -E_IO with the address. Errors on single packets are counted.
 * COST   two system calls a batch of up to 64.
 */
#ifndef WEIR_NET_UDP_H
#define WEIR_NET_UDP_H

#include "pipeline/net/server.h"

int udp_new(struct query_thread *thread, const struct address *listen, size_t n, struct udp **out, struct why *why) MUST_CHECK;
void udp_free(struct udp **udp);

#endif
