/* zone_keys: the keys of a zone that weir signs, kept going.
 *
 *        a version was accepted ─┐
 *        a wait is over         ─┤                         ┌─▶ state on disk ─▶ zone_set_keys ─▶ what is served is made again
 *        the parent has spoken  ─┼─▶ [worker: one turn] ───┤
 *        another signer has     ─┤                         │
 *        `weir key`, `dnssec`   ─┘   lock, facts, step     └─▶ a line in the log for every step, an alarm for what hinders
 *
 * WHAT   Turns on the zone's keyring_store, one at a time, on workers. The state is on disk before a version that follows from it is made, so
 *        whoever is killed in between goes on where it was. At the end of a turn the table's listener gets ZONE_KEYS.
 * WHO    zone_keys_new, _open, _free: zone_run.c. The others: any thread; they only queue.
 * OWNS   A zone owns its zone_keys, which hold no reference on the zone but while a turn is queued.
 */
#ifndef WEIR_RUN_ZONE_KEYS_H
#define WEIR_RUN_ZONE_KEYS_H

#include "pipeline/run/parent_view.h"
#include "pipeline/run/signer_view.h"
#include "pipeline/run/zone_run.h"

struct zone_keys;
struct zone_keys *zone_keys_new(struct zone *z, struct zone_shared *shared);
void zone_keys_free(struct zone_keys **keys);              /* NULL inside allowed */
/* The first turn, here and now, before anybody knows of the zone. */
void zone_keys_open(struct zone_keys *keys);
/* Something may have changed. after_version: that a version was accepted, which is nothing to a ring that waits for nothing. */
void zone_keys_turn(struct zone *z, bool after_version);
void zone_keys_parent(struct zone *z, const struct parent_view *view);
void zone_keys_signer(struct zone *z, const struct signer_view *view);

/* All keys, as a keyset in which they do nothing, but for `ds`: it may be at the parent or in a cache. A reference; NULL: nothing is known (yet). */
struct keyset *zone_keys_ds(struct zone *z);

struct zone_keys_need {
    int64_t wake_in;                     /* seconds until zone_keys_turn is due; 0: never */
};
bool zone_keys_need(struct zone *z, struct zone_keys_need *out);   /* false: the zone has no keys of ours */

#endif
