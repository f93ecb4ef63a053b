/* touched: see the header. Names are collected as they come, then sorted, and those that came twice left out.
 */
#include "pipeline/zone/touched.h"

#include <stdlib.h>
#include <string.h>

enum { STEPS_MAX = 8 }; /* through what a name hides, before it is jumped over */

bool nsec3_only(const struct node *node)
{
    bool has = false;
    for (unsigned i = 0; i < node->nrrsets; i++) {
        uint16_t type = node->head[i].type == RR_RRSIG ? node->head[i].covered : node->head[i].type;
        if (type != RR_NSEC3)
            return false;
        has |= node->head[i].type == RR_NSEC3;
    }
    return has;
}

bool node_hides(const struct node *node, const uint8_t *apex)
{
    return node && (node_has(node, RR_DNAME) ||
                    (node_has(node, RR_NS) && !name_equal(node_name(node), apex)));
}

struct gather {
    const struct snapshot *s;
    const uint8_t *apex;
    struct arena *arena;
    struct touched_list out;
};

static void gather_add(struct gather *g, const struct node *node, bool neighbour)
{
    struct touched_list *t = &g->out;
    if (t->n == t->room) {
        t->room = t->room ? 2 * t->room : 64;
        struct touched_name *more = arena_alloc(g->arena, t->room * sizeof(*more));
        if (t->n)
            memcpy(more, t->name, t->n * sizeof(*more));
        t->name = more;
    }
    t->name[t->n++] = (struct touched_name){node, neighbour};
}

/* The last name before this one that owns an NSEC. */
static void gather_before(struct gather *g, const uint8_t *name)
{
    const struct node *node = snapshot_authoritative_before(g->s, name);
    while (node && nsec3_only(node) && !name_equal(node_name(node), g->apex))
        node = snapshot_authoritative_before(g->s, node_name(node));
    if (node)
        gather_add(g, node, true);
}

static void gather_below(struct gather *g, const uint8_t *name)
{
    struct snapshot_iter it;
    bool exact;
    const struct node *node = snapshot_seek_ge(&it, g->s, name, &exact);
    for (; node && name_at_or_below(node_name(node), name); node = snapshot_next(&it))
        gather_add(g, node, false);
}

/* Where a node is there twice, the one that changed comes first. */
static int touched_order(const void *a, const void *b)
{
    const struct touched_name *x = a, *y = b;
    return x->node == y->node ? (int)x->neighbour - (int)y->neighbour
                              : name_cmp(node_name(x->node), node_name(y->node));
}

struct touched_list touched_find(const struct snapshot *next, const struct changeset *delta,
                                 bool neighbours, struct arena *arena)
{
    struct gather g = {.s = next, .apex = snapshot_apex_name(next), .arena = arena};
    for (size_t i = 0; i < delta->n; i++) {
        const struct change *c = &delta->change[i];
        if (c->now)
            gather_add(&g, c->now, false);
        if (neighbours)
            gather_before(&g, change_name(c));
        if (node_hides(c->was, g.apex) != node_hides(c->now, g.apex))
            gather_below(&g, change_name(c));
    }
    struct touched_list *t = &g.out;
    if (t->n)
        qsort(t->name, t->n, sizeof(*t->name), touched_order);
    size_t kept = 0;
    for (size_t i = 0; i < t->n; i++)
        if (kept == 0 || t->name[i].node != t->name[kept - 1].node)
            t->name[kept++] = t->name[i];
    t->n = kept;
    return *t;
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

const struct node *nsec_owner_after(const struct snapshot *s, const struct node *node)
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
