/* doubts: owners of signatures that were not verified, or did not verify, in a version that was accepted all the same.
 *
 * A bad signature beside a good one is a note, and so is one that expired or is not valid yet. Where all names are looked
 * at again, since a key or the time made that necessary, a signature that looks right is taken for the good
 * one that it was found to be; at these names it is verified. There are none in most zones, and few in the rest;
 * where there are more than there is room for, everything is verified again.
 */
#include "stages/validate/validate.h"

#include <stdlib.h>

void doubts_add(struct doubts *doubts, const uint8_t *owner)
{
    if (doubts->n > 0 && name_equal(doubts->owner[doubts->n - 1], owner))
        return;
    if (doubts->n == DOUBTS_MAX)
        doubts->overflow = true;
    else
        doubts->owner[doubts->n++] = owner;
}

void doubts_merge(struct doubts *doubts, const struct doubts *other)
{
    doubts->overflow |= other->overflow;
    for (unsigned i = 0; i < other->n; i++)
        doubts_add(doubts, other->owner[i]);
}

static int owner_order(const void *a, const void *b)
{
    const uint8_t *const *x = a, *const *y = b;
    return name_cmp(*x, *y);
}

void doubts_sort(struct doubts *doubts)
{
    unsigned n = 0;
    qsort(doubts->owner, doubts->n, sizeof(doubts->owner[0]), owner_order);
    for (unsigned i = 0; i < doubts->n; i++)
        if (n == 0 || !name_equal(doubts->owner[n - 1], doubts->owner[i]))
            doubts->owner[n++] = doubts->owner[i];
    doubts->n = n;
}

bool doubts_has(const struct doubts *doubts, const uint8_t *owner)
{
    return doubts && doubts->n > 0 &&
           bsearch(&owner, doubts->owner, doubts->n, sizeof(doubts->owner[0]), owner_order);
}
