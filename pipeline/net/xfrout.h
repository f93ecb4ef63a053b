/* xfrout: one transfer out, message by message.
 *
 * WHAT   SOA, every record of one pinned version in canonical order of owners (occluded ones too), SOA. Messages are filled
 *        up to the buffer (16 to 64 KiB), names compressed against octet-equal names only, so case is kept.
 * WHO    One thread at a time. Holds a reference on the version until the end or xfrout_free.
 * COST   linear in what is sent.
 * SPEC   RFC 5936 2.2, 3.4; RFC 1995 4 (an IXFR answered in AXFR form).
 */
#ifndef WEIR_NET_XFROUT_H
#define WEIR_NET_XFROUT_H

#include "pipeline/run/chain.h"
#include "pipeline/zone/message.h"

struct xfrout;
struct xfrout *xfrout_new(const struct version *version, uint16_t id, const uint8_t *qname, uint16_t qtype, bool edns);
void xfrout_free(struct xfrout **x);
/* The next message into buf (no length prefix); 0: there are no more. w is the thread's writer. */
size_t xfrout_next(struct xfrout *x, struct msg_writer *w, uint8_t *buf, size_t cap);

struct xfrout_stats {
    size_t messages, records, bytes;
};
void xfrout_stats(const struct xfrout *x, struct xfrout_stats *out);

#endif
