/* zone_signers: the seam between a zone's keys, whose book says what the zone's other signers do, and net/signer, which asks their servers.
 *
 *          book waits ─▶ zone_signers_want(z, true) ─▶ listener (net) asks often ─▶ zone_signers_told(z, view) ─▶ keys step with the view
 *
 * WHO    Any thread. The listener is the parent's (zone_parent.h), called on the thread that wants: whom to ask has changed.
 */
#ifndef WEIR_RUN_ZONE_SIGNERS_H
#define WEIR_RUN_ZONE_SIGNERS_H

#include "pipeline/run/signer_view.h"
#include "pipeline/run/signers.h"
#include "pipeline/run/zone_table.h"

/* A step of one of them waits for what their servers say, or no longer. They are asked in any case, but not as often. */
void zone_signers_want(struct zone *z, bool want);
static inline bool zone_signers_wanted(const struct zone *z)
{
    return atomic_load(&z->signers_wanted);
}
/* A round of one of them has ended. */
void zone_signers_told(struct zone *z, const struct signer_view *view);

/* The book as the last turn left it, a copy that the caller frees; NULL: the zone has, and had, no other signers. */
struct signers *zone_signers_book(struct zone *z);

/* ---- the configuration, as the book has it. Borrows from the zone's. */
struct signers_conf {
    struct signers_policy policy;        /* points into `signer`: not to be copied */
    struct signer_policy signer[SIGNERS_MAX];
};
void signers_conf_of(const struct zone_conf *zone, struct signers_conf *out);

#endif
