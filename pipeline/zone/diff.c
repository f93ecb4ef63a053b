/* diff: a changeset read off two versions.
 *
 * The trie skips what the two share, so the work grows with what they do not. Nodes that were made anew but came
 * out the same are left out here.
 */
#include "pipeline/base/alloc.h"
#include "pipeline/zone/changeset.h"

#include <stdatomic.h>

struct collect {
    struct changeset *c;
    size_t room;
};

static void collect_change(void *ctx, const void *was, const void *now)
{
    struct collect *collect = ctx;
    struct changeset *c = collect->c;
    if (was && now && node_equal(was, now))
        return;
    if (c->n == collect->room) {
        collect->room = collect->room ? collect->room * 2 : 16;
        c = collect->c = mem_resize(c, sizeof *c + collect->room * sizeof c->change[0]);
    }
    c->change[c->n++] = (struct change){was ? node_ref(was) : NULL, now ? node_ref(now) : NULL};
}

struct changeset *changeset_between(const struct snapshot *was, const struct snapshot *now)
{
    static const struct trie nothing = {0};
    struct collect collect = {.c = mem_zalloc(sizeof *collect.c)};
    trie_diff(was ? &was->trie : &nothing, now ? &now->trie : &nothing, collect_change, &collect);

    struct changeset *c = mem_resize(collect.c, sizeof *c + collect.c->n * sizeof c->change[0]);
    struct soa soa;
    atomic_init(&c->refs, 1);
    c->has_from = was && snapshot_soa(was, &soa);
    c->from = c->has_from ? soa.serial : 0;
    c->has_to = now && snapshot_soa(now, &soa);
    c->to = c->has_to ? soa.serial : 0;
    return c;
}
