/* xfrout: one transfer out, message by message.
 *
 * WHAT   SOA, every record of one pinned version in canonical order of owners (occluded ones too), SOA; or, after
 *        xfrout_since(), the condensed difference from an older version to it. A message is
 *        filled up to XFROUT_FILL octets, or to one record if that is larger; names are compressed against octet-equal
 *        names only, so case is kept. The first message has the question (and OPT, if the query had it).
 * WHO    One thread at a time. Holds a reference on the version until xfrout_free.
 * FAILS  -E_LIMIT: a record (from a file) that fits no message; the transfer cannot go on.
 * COST   linear in what is sent, and for a difference in the changes of the steps that it takes in; of these at most a fixed
 *        number a call.
 * SPEC   RFC 5936 2.2, 3.4, 3.5; RFC 1995 4 (an IXFR answered in AXFR form); RFC 6891 6.1.1.
 */
#ifndef WEIR_NET_XFROUT_H
#define WEIR_NET_XFROUT_H

#include "pipeline/run/chain.h"
#include "pipeline/zone/message.h"

/* Where messages end. Past offset 16,383 a name cannot be pointed to, so longer messages repeat owners: on a
 * signed TLD zone of 1.25 M records 16 KiB cost 62.8 MB and 60 ns a record, 64 KiB 75.2 MB and 77 ns (xfrout_bench). */
enum { XFROUT_FILL = 16384 };

struct xfrout;
/* The version must have an SOA (a served one has). qname is as asked: it is echoed with its case. */
struct xfrout *xfrout_new(const struct version *version, uint16_t id, const uint8_t *qname, uint16_t qtype, bool edns);
void xfrout_free(struct xfrout **x);                /* NULL inside allowed */
/* Before the first message: send what changed since `serial`. False: the history does not know it; all of it goes out. */
bool xfrout_since(struct xfrout *x, uint32_t serial);
/* Where a message ends instead of XFROUT_FILL, for benches and tests. */
void xfrout_fill(struct xfrout *x, size_t octets);
/* The next message into buf (no length prefix): its length; 0: there are no more, or, unless xfrout_done(), none yet: changes
 * without anything to send were looked at for long enough, call again. w is the thread's writer. With cap < MSG_MAX a record
 * may fail that would have fitted. */
int xfrout_next(struct xfrout *x, struct msg_writer *w, uint8_t *buf, size_t cap, struct why *why) MUST_CHECK;
bool xfrout_done(const struct xfrout *x);

struct xfrout_stats {
    size_t messages, records, bytes;
};
void xfrout_stats(const struct xfrout *x, struct xfrout_stats *out);

#endif
