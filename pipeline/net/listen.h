/* listen: the sockets that queries come in on.
 *
 * WHAT   Bound, non-blocking, close-on-exec; SO_REUSEPORT, so that every query thread has its own
 *        and the kernel spreads the clients; IPv6 sockets take IPv6 only. UDP: fragments are made
 *        and taken as the path wants, no path MTU that an ICMP message claims is believed (RFC 9715
 *        discusses the attacks).
 * FAILS  -E_IO with a why that names protocol, address and reason.
 */
#ifndef WEIR_NET_LISTEN_H
#define WEIR_NET_LISTEN_H

#include "pipeline/run/address.h"

/* Nobody, not even one who would share it, is bound to it. */
int listen_is_free(const struct address *at, struct why *why) MUST_CHECK;
int listen_udp(const struct address *at, int *fd, struct why *why) MUST_CHECK;
/* Of an accepted connection the kernel takes no more than LISTEN_UNSENT_BYTES ahead of what it could send, and says that
 * there is room when it has less than half of that. */
enum { LISTEN_UNSENT_BYTES = 512 * 1024 };
int listen_tcp(const struct address *at, int *fd, struct why *why) MUST_CHECK;
bool listen_is_wildcard(const struct address *at); /* 0.0.0.0 or :: */

/* accept() failed with this errno for want of descriptors or memory: the socket stays readable, so the loop must look away
 * for a while (LISTEN_REST_MS) or spin. */
enum { LISTEN_REST_MS = 250 };
bool listen_exhausted(int error);

#endif
