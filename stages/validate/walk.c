/* walk: which names to look at.
 *
 * After a change, those that it can have made wrong (zone/touched.h says which these are).
 *
 * All of a version, in order, each with its status and the next name that owns an NSEC. Every name
 * is in the list, the occluded too, for they must carry neither signatures nor NSEC.
 */
#include "stages/validate/validate.h"

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

/* The node as it was at the last accepted run, if it was as visible as it is now. */
static const struct node *item_was(const struct check *check, const struct item *item)
{
    const struct snapshot *prev = check->run->prev;
    const struct node *was = snapshot_get(prev, node_name(item->node));
    return was && snapshot_status(prev, was) == item->status ? was : NULL;
}

static struct item item_at(const struct check *check, const struct touched_name *touched)
{
    const struct snapshot *s = check->run->next;
    const struct node *node = touched->node;
    struct locate at;
    snapshot_locate(s, node_name(node), &at);
    struct item item = {
        .node = node, .nsec3_only = nsec3_only(node), .neighbour = touched->neighbour};
    if (at.cut == node) {
        item.status = NAME_CUT;
    } else if ((at.cut || at.dname) && !apex_hash(check, node, at.dname)) {
        item.status = NAME_OCCLUDED;
        item.over = at.cut ? at.cut : at.dname;
    }
    item.was = item_was(check, &item);
    if (check->nsec && item.status != NAME_OCCLUDED && !item.nsec3_only)
        item.next = nsec_owner_after(s, node);
    return item;
}

struct items walk_changed(const struct check *check)
{
    const struct stage_run *run = check->run;
    struct touched_list touched = touched_find(run->next, run->delta, check->nsec, run->scratch);
    struct items fresh = {.item =
                              arena_alloc(run->scratch, (touched.n + 1) * sizeof(fresh.item[0]))};
    for (size_t i = 0; i < touched.n; i++)
        fresh.item[fresh.n++] = item_at(check, &touched.name[i]);
    return fresh;
}
