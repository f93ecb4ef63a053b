/* zone_parent: the seam between a zone's keys, which wait for a DS to come or to go, or its other signers, which wait for NS, and
 * net/parent, which asks the parent's servers.
 *
 *          keyring waits ─▶ zone_parent_want(z, true) ─▶ listener (net) asks ─▶ zone_parent_told(z, view) ─▶ keys step with the view
 *          signers wait ──▶ zone_parent_want_ns(z, true) ─┘
 *
 * WHO    Any thread. The listener is called on the thread that wants.
 * OWNS   The zone keeps the last view.
 */
#ifndef WEIR_RUN_ZONE_PARENT_H
#define WEIR_RUN_ZONE_PARENT_H

#include "pipeline/run/parent_view.h"
#include "pipeline/run/zone_table.h"

/* Its keys wait for a DS to come or to go, or no longer. The configuration may name no servers: then nobody is asked. */
void zone_parent_want(struct zone *z, bool want);
/* The same of its guard (zone_guard.h), beside the keys. */
void zone_parent_want_guard(struct zone *z, bool want);
static inline bool zone_parent_wanted(const struct zone *z)
{
    return atomic_load(&z->parent_wanted) || atomic_load(&z->parent_guard_wanted);
}
/* The same, of the NS of its delegation; views have no NS unless this is so. */
void zone_parent_want_ns(struct zone *z, bool want);
static inline bool zone_parent_ns_wanted(const struct zone *z)
{
    return atomic_load(&z->parent_ns_wanted);
}
/* What the servers said last, a reference; NULL: they were not asked yet. */
struct parent_view *zone_parent_view(struct zone *z);

/* ---- net */
void zone_parent_told(struct zone *z, const struct parent_view *view);
void zone_table_listen_parent(struct zone_table *t, void (*fn)(void *ctx, struct zone *zone), void *ctx);

#endif
