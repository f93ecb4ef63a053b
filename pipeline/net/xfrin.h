/* xfrin: how zones come in.
 *
 * WHAT   Per zone: when to ask, whom to ask, and the asking. SOA query first (UDP, then TCP), then IXFR over TCP when the primary
 *        has something newer, and AXFR when there is nothing that a difference could change, or it did not fit. A NOTIFY that
 *        names a newer serial is answered by IXFR at once; the ordered list of primaries with failover; SOA refresh, retry and expire with
 *        back-off and jitter; NOTIFYs; files. A finished transfer is submitted to the zone's chain.
 *
 *          idle ─timer/NOTIFY/retransfer─▶ soa ─newer─▶ ixfr, axfr ─complete─▶ chain (worker) ─▶ idle
 *            ▲                              │ same: idle    │ error: next primary; after the last: retry timer
 *            └──────────────────────────────┴───────────────┘
 *
 *        A content that was refused is not fetched again until its serial changes, the configuration changes, the
 *        operator says so, or the (backed-off) retry time comes; another primary is tried when there is one.
 * WHO    The control loop. xfrin_notify, xfrin_notify_dropped: any thread.
 * FAILS  Nothing is returned: errors are logged (zone, primary, message number, record, rule), counted, and kept for
 *        status in zone->last_error.
 * SPEC   RFC 1034 4.3.5, RFC 1995, RFC 1996 3.10, 3.11, 4.4, RFC 5936, RFC 7314, RFC 1982; lessons.md 32-45, 49.
 */
#ifndef WEIR_NET_XFRIN_H
#define WEIR_NET_XFRIN_H

#include "pipeline/net/server.h"

struct json;

enum { XFRIN_CHECKS = 256, XFRIN_KEPT = 64 };        /* serial checks at one time; connections kept for the next query */
struct xfrin *xfrin_new(struct server *server);
void xfrin_free(struct xfrin **x);                   /* cuts what is going on */
void xfrin_add(struct xfrin *x, struct zone *zone);
void xfrin_drop(struct xfrin *x, struct zone *zone);
void xfrin_change(struct xfrin *x, struct zone *zone);      /* its configuration may differ; file zones are read again */
void xfrin_retransfer(struct xfrin *x, struct zone *zone);  /* now, whatever the serial */
void xfrin_notify(struct xfrin *x, struct zone *zone, const struct address *from, bool has_serial, uint32_t serial);
/* One that is not believed: the log has one line in ten seconds of either kind (RFC 1996 3.10). Any thread.
 * unproved: it is from a primary that should have signed it. */
void xfrin_notify_dropped(const struct zone *zone, const struct address *from, bool unproved);
/* The chain has spoken; on the control loop. */
void xfrin_outcome(struct xfrin *x, const struct zone_event *event);
/* What the zone is doing now, for status: "idle", "asking 127.0.0.1@53 for its serial", "transferring from …, 1200 records". Caller frees. */
char *xfrin_doing(struct xfrin *x, struct zone *zone);
char *xfrin_brought(struct xfrin *x, struct zone *zone);  /* the last transfer: "IXFR from …"; NULL: none since start. Caller frees. */
void xfrin_json(struct xfrin *x, struct zone *zone, struct json *json);   /* fields into the open object */

#endif
