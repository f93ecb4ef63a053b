/* zone_journal: between a zone and the journal. Private to the zone table.
 *
 * WHAT   Which layers a version has, what of them changed, and a version made of what the journal has. Without a journal all
 *        of it does nothing.
 * WHO    accept, hold: the zone's run. unhold: any thread. restore: before the zone is known.
 */
#ifndef WEIR_RUN_ZONE_JOURNAL_H
#define WEIR_RUN_ZONE_JOURNAL_H

#include "pipeline/run/zone_run.h"

/* The zone's first version may have this input: its image is begun while it is judged. The run drops it if nothing comes of it. */
void zone_journal_ahead(struct zone *z, const struct snapshot *input);
void zone_journal_ahead_drop(struct zone *z);
/* Must the zone's next version be on disk before it is visible? */
bool zone_journal_waits(struct zone *z);
/* before: the version it replaces, or NULL; served: what changes of what is served; unhold: what is held goes with the same commit.
 * done NULL: nobody waits. */
void zone_journal_accept(struct zone *z, const struct version *before, const struct version *v, const struct changeset *served,
                         bool unhold, journal_done_fn *done, void *ctx);
/* What leads to the candidate's input from what is accepted; NULL: there is no journal, or nothing accepted. */
struct changeset *zone_journal_held(struct zone *z, const struct candidate *held);
/* Under the zone's lock, as with unhold: then the journal hears of both in the order in which they were done. */
void zone_journal_hold(struct zone *z, const struct changeset *input, const char *origin);
void zone_journal_unhold(struct zone *z);

struct zone_restored {
    struct version *version;             /* a reference; NULL: nothing is known. Its chain is another one if it was then */
    struct snapshot *held;               /* a reference: the input of a candidate that was held, to be judged again */
    char held_origin[96];
    uint8_t *caches;                     /* see struct version; the caller frees it */
    size_t caches_len;
};
struct zone_restored zone_journal_restore(struct zone *z, const struct chain *chain, const struct history_limits *limits);

#endif
