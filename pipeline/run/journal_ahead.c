/* Images that are begun before their version is accepted.
 *
 * The first version of a large zone is judged for seconds, and its image takes part of one: encoding, and waiting for the disk. The
 * image of the input can be written meanwhile, for nobody's row names it and nothing is promised (journal.c, crash argument 2):
 * what comes of it is a version that takes it over, finished or not, or garbage.
 *
 *   journal_ahead ──▶ slices, while there is nothing that somebody waits for ──┬── a version with this layer: ahead_take
 *                                                                              └── journal_ahead_drop, no room, the end: deleted
 */
#include "pipeline/run/journal_p.h"

/* Out of the journal's list and the zone. */
static struct journal_image *ahead_unlink(struct journal *j, struct journal_zone *jz)
{
    struct journal_image *im = jz->ahead, **at = &j->ahead;
    while (*at != im)
        at = &(*at)->next;
    *at = im->next;
    im->next = NULL;
    jz->ahead = NULL;
    return im;
}

void ahead_begin(struct journal *j, struct journal_zone *jz, const struct snapshot *s)
{
    ahead_drop(j, jz);
    if (atomic_load(&jz->retired))
        return;
    struct journal_image *im = image_new(j, s);
    im->zone = jz;
    atomic_fetch_add_explicit(&jz->refs, 1, memory_order_relaxed);
    im->next = j->ahead;
    j->ahead = jz->ahead = im;
}

void ahead_drop(struct journal *j, struct journal_zone *jz)
{
    if (!jz->ahead)
        return;
    struct journal_image *im = ahead_unlink(j, jz);
    if (im->chunks)
        garbage_add(j, JOURNAL_CHUNK, im->id, 0, UINT64_MAX);
    image_free(&im); /* may be the last to hold the zone */
}

struct journal_image *ahead_take(struct journal *j, struct journal_zone *jz,
                                 const struct snapshot *s)
{
    if (!jz->ahead || jz->ahead->snapshot != s)
        return NULL;
    struct journal_image *im = ahead_unlink(j, jz);
    im->zone = NULL;
    journal_zone_unref(jz); /* the write that takes it has one */
    return im;
}

void ahead_drop_all(struct journal *j)
{
    while (j->ahead)
        ahead_drop(j, j->ahead->zone);
}

struct journal_image *ahead_next(const struct journal *j)
{
    struct journal_image *im = j->ahead;
    while (im && !im->node)
        im = im->next;
    return im;
}

static int ahead_apply(struct journal *j, struct db_txn *txn, void *arg, struct why *why)
{
    struct journal_image *next = arg;
    *next = *ahead_next(j);
    return image_write(j, txn, next, j->slice, why);
}

/* A failure is nobody's: the version, if it comes, has its image made as if this had not been. But what was written may be
 * what fills the disk, so it goes. */
void ahead_commit(struct journal *j)
{
    struct journal_image next, *im = ahead_next(j);
    struct why why;
    if (slice_transact(j, ahead_apply, &next, &why))
        ahead_drop(j, im->zone);
    else
        *im = next;
}
