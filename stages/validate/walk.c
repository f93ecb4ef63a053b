/* walk: which names to look at.
 *
 * After a change, those that it can have made wrong: the names that changed; before each of them the name whose NSEC
 * leads to it, or past the place where it was; and where a delegation or a DNAME came or went, all below it, for there
 * every name's status turned. Names between are untouched, and so is what their records must be.
 *
 * All of a version, in order, each with its status and the next name that owns an NSEC. Every name
 * is in the list, the occluded too, for they must carry neither signatures nor NSEC.
 */
#include "stages/validate/validate.h"

#include <stdlib.h>
#include <string.h>

/* All hashes lie below the apex, so a DNAME there (RFC 6672 2.3 allows it) would hide every NSEC3; it cannot be meant to: they
 * speak of the apex itself. */
static bool apex_hash(const struct check *check, const struct node *node, const struct node *over)
{
    return over == check->apex && name_labels(node_name(node)) == check->apex_labels + 1 &&
           nsec3_only(node);
}

struct items walk_all(const struct check *check)
{
    const struct snapshot *s = check->run->next;
    struct items all = {.item =
                            arena_alloc(check->run->scratch, (s->names + 1) * sizeof(all.item[0]))};
    const struct items *fresh = &check->fresh;
    size_t seen = 0; /* of those that are fresh */
    struct status_walk walk;
    status_walk_begin(&walk, s);
    struct item *before = NULL; /* the last name that owns an NSEC */
    struct snapshot_iter it;
    for (const struct node *node = snapshot_first(&it, s); node; node = snapshot_next(&it)) {
        ASSERT(all.n < s->names);
        struct item *item = &all.item[all.n++];
        *item = (struct item){
            .node = node, .status = status_walk_step(&walk, node), .nsec3_only = nsec3_only(node)};
        if (item->status == NAME_OCCLUDED && apex_hash(check, node, walk.over))
            item->status = NAME_AUTHORITATIVE;
        item->over = item->status == NAME_OCCLUDED ? walk.over : NULL;
        if (seen < fresh->n && fresh->item[seen].node == node)
            item->was = fresh->item[seen++].was;
        else if (check->scope.trust)
            item->was = node;
        if (item->status == NAME_OCCLUDED || item->nsec3_only)
            continue;
        if (before)
            before->next = node;
        before = item;
    }
    ASSERT(seen == fresh->n);
    return all;
}

/* --- after a change --- */

enum { STEPS_MAX = 8 }; /* through what a name hides, before it is jumped over */

struct gather {
    const struct check *check;
    struct gathered {
        const struct node *node;
        bool neighbour;
    } * list;
    size_t n, room;
};

static void gather_add(struct gather *g, const struct node *node, bool neighbour)
{
    if (g->n == g->room) {
        size_t room = g->room ? 2 * g->room : 64;
        struct gathered *more = arena_alloc(g->check->run->scratch, room * sizeof(*more));
        if (g->n)
            memcpy(more, g->list, g->n * sizeof(*more));
        g->list = more;
        g->room = room;
    }
    g->list[g->n++] = (struct gathered){node, neighbour};
}

/* The last name before this one that owns an NSEC. */
static void gather_before(struct gather *g, const uint8_t *name)
{
    const struct snapshot *s = g->check->run->next;
    const struct node *node = snapshot_authoritative_before(s, name);
    while (node && nsec3_only(node) && node != g->check->apex)
        node = snapshot_authoritative_before(s, node_name(node));
    if (node)
        gather_add(g, node, true);
}

static void gather_below(struct gather *g, const uint8_t *name)
{
    struct snapshot_iter it;
    bool exact;
    const struct node *node = snapshot_seek_ge(&it, g->check->run->next, name, &exact);
    for (; node && name_at_or_below(node_name(node), name); node = snapshot_next(&it))
        gather_add(g, node, false);
}

/* Does the name hide what is below it? */
static bool hides(const struct check *check, const struct node *node)
{
    return node && (node_has(node, RR_DNAME) ||
                    (node_has(node, RR_NS) && !name_equal(node_name(node), check->apex_name)));
}

/* Where a node is there twice, the one that changed comes first. */
static int gathered_order(const void *a, const void *b)
{
    const struct gathered *x = a, *y = b;
    return x->node == y->node ? (int)x->neighbour - (int)y->neighbour
                              : name_cmp(node_name(x->node), node_name(y->node));
}

/* The smallest name behind all that is below this one: its first label and an octet 0. False: there is no such name. */
static bool name_behind(const uint8_t *name, uint8_t out[NAME_MAX_OCTETS])
{
    size_t len = name_len(name), label = name[0];
    if (label == 0 || label == 63 || len == NAME_MAX_OCTETS)
        return false;
    out[0] = (uint8_t)(label + 1);
    memcpy(out + 1, name + 1, label);
    out[1 + label] = 0;
    memcpy(out + 2 + label, name + 1 + label, len - 1 - label);
    return true;
}

/* The next name after a visible one that owns an NSEC; NULL: none. */
static const struct node *owner_after(const struct snapshot *s, const struct node *node)
{
    struct snapshot_iter it;
    struct status_walk walk;
    uint8_t behind[NAME_MAX_OCTETS];
    bool exact;
    unsigned steps = 0;
    status_walk_begin(&walk, s);
    node = snapshot_seek_ge(&it, s, node_name(node), &exact);
    ASSERT(node && exact);
    status_walk_step(&walk, node);
    node = snapshot_next(&it);
    while (node) {
        bool hidden = status_walk_step(&walk, node) == NAME_OCCLUDED;
        if (!hidden && !nsec3_only(node))
            return node;
        if (hidden && ++steps == STEPS_MAX && name_behind(node_name(walk.over), behind)) {
            node = snapshot_seek_ge(&it, s, behind, &exact);
            steps = 0;
        } else {
            node = snapshot_next(&it);
        }
    }
    return NULL;
}

/* The node as it was at the last accepted run, if it was as visible as it is now. */
static const struct node *item_was(const struct check *check, const struct item *item)
{
    const struct snapshot *prev = check->run->prev;
    const struct node *was = snapshot_get(prev, node_name(item->node));
    return was && snapshot_status(prev, was) == item->status ? was : NULL;
}

static struct item item_at(const struct check *check, const struct gathered *gathered)
{
    const struct snapshot *s = check->run->next;
    const struct node *node = gathered->node;
    struct locate at;
    snapshot_locate(s, node_name(node), &at);
    struct item item = {
        .node = node, .nsec3_only = nsec3_only(node), .neighbour = gathered->neighbour};
    if (at.cut == node) {
        item.status = NAME_CUT;
    } else if ((at.cut || at.dname) && !apex_hash(check, node, at.dname)) {
        item.status = NAME_OCCLUDED;
        item.over = at.cut ? at.cut : at.dname;
    }
    item.was = item_was(check, &item);
    if (check->nsec && item.status != NAME_OCCLUDED && !item.nsec3_only)
        item.next = owner_after(s, node);
    return item;
}

struct items walk_changed(const struct check *check)
{
    const struct changeset *delta = check->run->delta;
    struct gather g = {.check = check};
    for (size_t i = 0; i < delta->n; i++) {
        const struct change *c = &delta->change[i];
        if (c->now)
            gather_add(&g, c->now, false);
        if (check->nsec)
            gather_before(&g, change_name(c));
        if (hides(check, c->was) != hides(check, c->now))
            gather_below(&g, change_name(c));
    }
    if (g.n)
        qsort(g.list, g.n, sizeof(*g.list), gathered_order);
    struct items fresh = {.item =
                              arena_alloc(check->run->scratch, (g.n + 1) * sizeof(fresh.item[0]))};
    for (size_t i = 0; i < g.n; i++)
        if (i == 0 || g.list[i].node != g.list[i - 1].node)
            fresh.item[fresh.n++] = item_at(check, &g.list[i]);
    return fresh;
}
