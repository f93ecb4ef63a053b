/* touched: the names at which a change may have altered status, denial or signatures.
 *
 * WHAT   After a change these are: the names that changed; before each of them the name whose NSEC leads to it, or past the place
 *        where it was; and where a delegation or a DNAME came or went, all below it, for there every name's status turned. Names
 *        between are untouched, and so is what their records must be.
 * WHO    Any thread; what is found lives in the arena and borrows nodes from the version.
 * COST   O(d log n) for d changed names, and what lies below the cuts and DNAMEs that came or went.
 * SPEC   RFC 4034 4, RFC 4035 2.3, RFC 6672 2.4.
 */
#ifndef WEIR_ZONE_TOUCHED_H
#define WEIR_ZONE_TOUCHED_H

#include "pipeline/base/arena.h"
#include "pipeline/zone/changeset.h"

struct touched_name {
    const struct node *node;
    bool neighbour;                   /* did not change: only its NSEC leads to what did */
};
struct touched_list {                      /* in canonical order, each once */
    size_t n, room;
    struct touched_name *name;
};
/* delta leads to `next`. neighbours: also those whose NSEC leads to a name that changed. */
struct touched_list touched_find(const struct snapshot *next, const struct changeset *delta, bool neighbours, struct arena *arena);

/* Nothing but a hash's NSEC3 and its signature: no name of the zone itself, whose NSECs pass it. */
bool nsec3_only(const struct node *node);
/* Is it a delegation, or a DNAME? NULL: no. */
bool node_hides(const struct node *node, const uint8_t *apex);
/* The next name behind a visible one that owns an NSEC; NULL: none, so the apex. What is hidden is jumped over. */
const struct node *nsec_owner_after(const struct snapshot *s, const struct node *node);

#endif
