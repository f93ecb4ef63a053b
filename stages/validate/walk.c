/* walk: which names to look at.
 *
 * All of a version, in order, each with its status and the next name that owns an NSEC. Every name
 * is in the list, the occluded too, for they must carry neither signatures nor NSEC.
 */
#include "stages/validate/validate.h"

void walk_all(struct check *check)
{
    const struct snapshot *s = check->run->next;
    check->item = arena_alloc(check->run->scratch, (s->names + 1) * sizeof(check->item[0]));
    struct status_walk walk;
    status_walk_begin(&walk, s);
    struct item *before = NULL; /* the last name that owns an NSEC */
    struct snapshot_iter it;
    for (const struct node *node = snapshot_first(&it, s); node; node = snapshot_next(&it)) {
        ASSERT(check->items < s->names);
        struct item *item = &check->item[check->items++];
        *item = (struct item){
            .node = node, .status = status_walk_step(&walk, node), .nsec3_only = nsec3_only(node)};
        if (item->status == NAME_OCCLUDED || item->nsec3_only)
            continue;
        if (before)
            before->next = node;
        before = item;
    }
}
