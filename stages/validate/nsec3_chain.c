/* nsec3_chain: a whole chain (RFC 5155 7.1).
 *
 * Two sorted lists are laid side by side:
 *
 *   wanted   the hash of each name of the zone, and of each empty non-terminal above one; sorted here
 *   there    the NSEC3 records with these parameters; already in order, for base32hex keeps it
 *
 * Same hash: the record must list what is at the name. Wanted only: a gap, unless the name is a
 * delegation without DS (or a non-terminal with nothing else below it) and the record whose span
 * covers the hash has opt-out. There only: left over. Each record must lead to the next one that is
 * there, the last to the first.
 *
 * The work is bounded before it is begun (CVE-2023-50868): max_iterations a hash; and what names of
 * 127 labels, each with its own non-terminals, or a salt of 255 octets would add to that: blocks of
 * SHA-1 a name of the zone, and hashes a name of the zone.
 */
#include "stages/validate/nsec3.h"

#include <stdlib.h>
#include <string.h>

enum { HASHES_PER_NAME = 16, HASHES_FREE = 100, BLOCK = 64, BLOCK_PADDING = 9, HASH_CHUNK = 256 };

/* --- what is wanted --- */

static void wanted_add(struct chain3 *chain, const uint8_t *name, const struct item *item)
{
    struct wanted *want = &chain->want[chain->wanted++];
    *want = (struct wanted){.name = name};
    if (!item) {
        want->optional = true; /* until a name below it is not */
        return;
    }
    want->node = item->node;
    want->cut = item->status == NAME_CUT;
    want->optional = want->cut && !node_has(item->node, RR_DS);
}

/* Walks the names in order and lists them, the empty non-terminals between included. `open` are the
 * non-terminals above the name at hand, by depth; they are wanted for certain as soon as one name
 * below is. With count_only it only counts. */
static size_t wanted_list(struct chain3 *chain, const struct items *items, bool count_only)
{
    size_t open[NAME_MAX_LABELS], nopen = 0, n = 0;
    unsigned depth[NAME_MAX_LABELS];
    const uint8_t *before = chain->check->apex_name;
    for (size_t i = 0; i < items->n; i++) {
        const struct item *item = &items->item[i];
        if (item->status == NAME_OCCLUDED || item->nsec3_only)
            continue;
        const uint8_t *name = node_name(item->node);
        unsigned labels = name_labels(name), shared = name_common_labels(before, name);
        while (nopen > 0 && depth[nopen - 1] > shared)
            nopen--;
        for (unsigned d = shared + 1; d < labels; d++) {
            n++;
            if (count_only)
                continue;
            depth[nopen] = d;
            open[nopen++] = chain->wanted;
            wanted_add(chain, name_strip(name, labels - d), NULL);
        }
        n++;
        before = name;
        if (count_only)
            continue;
        wanted_add(chain, name, item);
        bool optional = chain->want[chain->wanted - 1].optional;
        for (size_t o = nopen; !optional && o > 0 && chain->want[open[o - 1]].optional; o--)
            chain->want[open[o - 1]].optional = false;
    }
    return n;
}

void wanted_hash(const struct chain3 *chain, struct wanted *want)
{
    dnssec_nsec3_hash(want->name, chain->params.iterations, chain->params.salt,
                      chain->params.salt_len, want->hash);
}

static void wanted_hash_some(void *ctx, unsigned worker, size_t begin, size_t end)
{
    const struct chain3 *chain = ctx;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        wanted_hash(chain, &chain->want[i]);
}

static int wanted_cmp(const void *a, const void *b)
{
    return memcmp(((const struct wanted *)a)->hash, ((const struct wanted *)b)->hash, HASH);
}

/* Twice as many blocks of SHA-1 a name as max_iterations asks for (0 to 99: as 99; 200 blocks are about
 * two signatures), and so many hashes a name. */
bool chain_affordable(const struct chain3 *chain, size_t n)
{
    const struct check *check = chain->check;
    uint64_t names = check->run->next->names + HASHES_FREE;
    uint64_t iterations = check->conf->max_iterations > 99 ? check->conf->max_iterations : 99;
    uint64_t blocks = 1 + (HASH + chain->params.salt_len + BLOCK_PADDING - 1u) / BLOCK;
    return n <= HASHES_PER_NAME * names &&
           n * blocks * (chain->params.iterations + 1u) <= 2 * (iterations + 1) * names;
}

/* --- side by side --- */

static void there_list(struct chain3 *chain, const struct items *items)
{
    chain->have = arena_alloc(chain->check->run->scratch, (items->n + 1) * sizeof(chain->have[0]));
    for (size_t i = 0; i < items->n; i++) {
        struct there *there = &chain->have[chain->there];
        if (items->item[i].status == NAME_OCCLUDED ||
            !there_read(chain, items->item[i].node, there))
            continue;
        there_check(chain, there);
        chain->there++;
    }
}

static void chain_compare(struct chain3 *chain)
{
    size_t w = 0, t = 0;
    while (w < chain->wanted || t < chain->there) {
        int order = w == chain->wanted  ? 1
                    : t == chain->there ? -1
                                        : memcmp(chain->want[w].hash, chain->have[t].hash, HASH);
        if (order == 0) {
            wanted_check_match(chain, &chain->want[w++], &chain->have[t++]);
        } else if (order < 0) {
            /* have[t] is the first record behind the hash; so the one before it covers the hash */
            const struct there *cover = &chain->have[t > 0 ? t - 1 : chain->there - 1];
            if (!chain->want[w].optional || !nsec3_opt_out(&cover->nsec3))
                wanted_report_gap(chain, &chain->want[w]);
            w++;
        } else {
            there_report_extra(chain, &chain->have[t++]);
        }
    }
}

void chain_check(struct chain3 *chain, const struct items *items)
{
    struct check *check = chain->check;
    size_t n = wanted_list(chain, items, true);
    there_list(chain, items);
    if (chain->there == 0) {
        finding_add(check->run->findings, NSEC3_CHAIN_MISSING, check->apex_name, RR_NSEC3, 0, 0,
                    NULL);
        return;
    }
    if (!chain_affordable(chain, n)) {
        finding_add(check->run->findings, NSEC3_WORK, check->apex_name, RR_NSEC3, (int64_t)n,
                    (int64_t)check->run->next->names, NULL);
        return;
    }
    chain->want = arena_alloc(check->run->scratch, (n + 1) * sizeof(chain->want[0]));
    wanted_list(chain, items, false);
    ASSERT(chain->wanted == n);
    par_map(check->run->par, chain->wanted, HASH_CHUNK, wanted_hash_some, chain);
    check->run->visited += n;
    qsort(chain->want, chain->wanted, sizeof(chain->want[0]), wanted_cmp);
    for (size_t i = 0; i < chain->there; i++)
        there_check_link(chain, &chain->have[i], &chain->have[i + 1 < chain->there ? i + 1 : 0]);
    chain_compare(chain);
}
