/* zone_guard: no version that a resolver could find bogus, for what it has in its cache, goes out unasked.
 *
 *        chain_run ─▶ zone_guard_judge: findings `transition.…`, which hold the version ─▶ `weir approve`, or judged again when it is time
 *        accepted  ─▶ zone_guard_accepted: into the memory (run/caches.h), which is kept beside the version
 *        parent    ─▶ zone_guard_parent
 *
 * WHAT   However a switch of who signs a zone came about, by a reload, by a restart with another configuration or by a changed folder of keys,
 *        its first version meets this. While one is held for it the last good version stays, and the parent's servers are asked.
 * WHO    judge, accepted, keep, forced: the zone's run. restore: before the zone is known. The others: any thread.
 * OWNS   A zone owns its guard.
 */
#ifndef WEIR_RUN_ZONE_GUARD_H
#define WEIR_RUN_ZONE_GUARD_H

#include "pipeline/run/caches.h"
#include "pipeline/run/zone_table.h"

struct zone_guard *zone_guard_new(struct zone *z);
void zone_guard_free(struct zone_guard **guard);
/* caches NULL: nothing was kept; then v, which is served, is all that is known. */
void zone_guard_restore(struct zone *z, const struct version *v, const uint8_t *caches, size_t len);
void zone_guard_judge(void *zone, const struct version *made, const struct snapshot *served, struct findings *findings);
/* v->caches, as it is to be when v is served. */
void zone_guard_keep(struct zone *z, struct version *v);
void zone_guard_accepted(struct zone *z, const struct version *v);
/* The zone has another chain now: what waits is no longer what will come. */
void zone_guard_turned(struct zone *z);
/* The operator has a version published that was held: says so if it was held for this. */
void zone_guard_forced(const struct zone *z, const struct candidate *c);
void zone_guard_parent(struct zone *z, const struct parent_view *view);
/* When what is held may go out, if nothing else happens; 0: never, or nothing is held. */
time_t zone_guard_due(struct zone *z);

/* ---- for people (zone_guard_report.c) */
/* How the zone may go on from who signs it now: for each mode what is done, what is waited for until when, and what has to be done. all: also
 * where nothing is going on. Empty: there is nothing to tell. Caller frees. */
char *zone_guard_text(struct zone *z, bool all);
void zone_guard_json(struct zone *z, struct json *json);       /* fields into the open object */

#endif
