/* nsec3_link: who leads to whom after a change.
 *
 * Records that go have left the output. Those that come are in a sorted list beside it until all are made, so the neighbours of a hash
 * are the nearest of both; base32hex keeps the order of hashes, so in the output they are the nearest nodes with NSEC3.
 */
#include "stages/sign/nsec3.h"

#include <stdlib.h>

/* --- neighbours --- */

/* How many records of the list lie before the hash. */
static size_t links_before(const struct nsec3_change *c, const uint8_t hash[HASH])
{
    size_t low = 0, high = c->links;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (memcmp(c->link[mid].hash, hash, HASH) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static bool hash_of(const struct node *node, uint8_t out[HASH])
{
    return node && dnssec_nsec3_parse(node_name(node), out);
}

/* The next hash of the chain, round the end if need be. There is one: the apex's is always in the list or in the output. */
static void hash_after(const struct nsec3_change *c, const uint8_t hash[HASH], uint8_t out[HASH])
{
    uint8_t owner[NAME_MAX_OCTETS];
    nsec3_owner_of(c->s, hash, owner);
    size_t i = links_before(c, hash);
    i += i < c->links && memcmp(c->link[i].hash, hash, HASH) == 0;
    const uint8_t *listed = i < c->links ? c->link[i].hash : NULL;
    bool there = hash_of(snapshot_nsec3_after(c->view, owner), out);
    if (!there && !listed) {
        listed = c->link[0].hash;
        there = hash_of(snapshot_nsec3_first(c->view), out);
    }
    if (listed && (!there || memcmp(listed, out, HASH) < 0))
        memcpy(out, listed, HASH);
}

static void hash_before(const struct nsec3_change *c, const uint8_t hash[HASH], uint8_t out[HASH])
{
    uint8_t owner[NAME_MAX_OCTETS];
    nsec3_owner_of(c->s, hash, owner);
    size_t i = links_before(c, hash);
    const uint8_t *listed = i > 0 ? c->link[i - 1].hash : NULL;
    bool there = hash_of(snapshot_nsec3_before(c->view, owner), out);
    if (!there && !listed) {
        listed = c->link[c->links - 1].hash;
        there = hash_of(snapshot_nsec3_last(c->view), out);
    }
    if (listed && (!there || memcmp(listed, out, HASH) > 0))
        memcpy(out, listed, HASH);
}

/* --- records --- */

static void make_add(struct nsec3_change *c, const struct nsec3_link *link,
                     const struct nsec3_types *types)
{
    struct nsec3_making *m = &c->make[c->makings++];
    *m = (struct nsec3_making){.link = link, .types = types};
    hash_after(c, link->hash, m->next);
}

/* The record before one that comes or goes, unless that is made anyway. */
static void make_add_before(struct nsec3_change *c, const uint8_t hash[HASH])
{
    struct arena *scratch = c->s->run->scratch;
    uint8_t before[HASH], owner[NAME_MAX_OCTETS];
    hash_before(c, hash, before);
    size_t i = links_before(c, before);
    if (i < c->links && memcmp(c->link[i].hash, before, HASH) == 0)
        return;
    if (c->makings > 0 && memcmp(c->make[c->makings - 1].link->hash, before, HASH) == 0)
        return; /* many that went in a row had the same one before them */
    struct nsec3_link *link = arena_zalloc(scratch, sizeof(*link));
    memcpy(link->hash, before, HASH);
    nsec3_owner_of(c->s, before, owner);
    make_add(c, link, nsec3_types_of(scratch, snapshot_get(c->view, owner)));
}

static int making_order(const void *a, const void *b)
{
    return nsec3_link_order(((const struct nsec3_making *)a)->link,
                            ((const struct nsec3_making *)b)->link);
}

/* In order, each once: the same record may be before several. */
void nsec3_makings(struct nsec3_change *c)
{
    c->make = arena_alloc(c->s->run->scratch, (2 * c->links + c->leaves) * sizeof(c->make[0]));
    for (size_t i = 0; i < c->links; i++) {
        make_add(c, &c->link[i], c->types[i]);
        if (!nsec3_there(c, c->link[i].hash))
            make_add_before(c, c->link[i].hash);
    }
    for (size_t i = 0; i < c->leaves; i++)
        make_add_before(c, c->leave[i].hash);
    qsort(c->make, c->makings, sizeof(c->make[0]), making_order);
    size_t kept = 0;
    for (size_t i = 0; i < c->makings; i++)
        if (kept == 0 || making_order(&c->make[kept - 1], &c->make[i]) != 0)
            c->make[kept++] = c->make[i];
    c->makings = kept;
}
