/* walk: the names that are made anew, a batch at a time.
 *
 * On a first load all names of the zone, in order, each with its status and the next name that owns an NSEC, both from a walk that
 * remembers one name. After a change the names that it touched (zone/touched.h), and those that went are removed. The apex is last,
 * in apex.c: its SOA depends on whether anything else changed.
 */
#include "stages/sign/sign.h"

struct names {
    const struct owner *owner;
};

/* The name in the output; what it was there is asked of the last version, which any thread may read. */
static struct node *name_build(void *ctx, struct signing *s, struct worker *w, size_t i)
{
    const struct names *names = ctx;
    const struct owner *owner = &names->owner[i];
    if (owner->node == s->apex)
        return NULL;
    if (owner->status == NAME_OCCLUDED)
        return node_ref(owner->node);
    const struct node *was = s->last ? snapshot_get(s->view, node_name(owner->node)) : NULL;
    struct rrset more;
    bool any = s->denial->at_name(s, w, owner, &more);
    return name_sign(s, w, owner->node, any ? &more : NULL, owner->status, was, keep_touched(s));
}

static bool names_batch(struct signing *s, const struct owner *owner, size_t n)
{
    struct names names = {owner};
    if (!batch_run(s, n, name_build, &names))
        return false;
    if (s->denial->names_made)
        s->denial->names_made(s, owner, n);
    return true;
}

/* One name behind the batch is known, for the last one's NSEC leads to it: the last name of a batch waits until the next that owns
 * an NSEC has come, with what is hidden in between. */
static bool names_sign_all(struct signing *s)
{
    const struct snapshot *next = s->run->next;
    struct owner *list = arena_alloc(s->run->scratch, BATCH_MAX * sizeof(list[0]));
    size_t n = 0;
    struct owner *before = NULL; /* the last name that owns an NSEC, in the list */
    struct status_walk walk;
    struct snapshot_iter it;
    status_walk_begin(&walk, next);
    for (const struct node *node = snapshot_first(&it, next); node; node = snapshot_next(&it)) {
        enum name_status status = status_walk_step(&walk, node);
        if (status != NAME_OCCLUDED && before)
            before->next = node;
        if (n == BATCH_MAX) {
            size_t whole = status != NAME_OCCLUDED || !before ? n : (size_t)(before - list);
            if (whole == 0) { /* more is hidden here than fits: it does not wait */
                whole = n;
                before->next = nsec_owner_after(next, before->node);
            }
            if (!names_batch(s, list, whole))
                return false;
            memmove(list, list + whole, (n - whole) * sizeof(list[0]));
            n -= whole;
            before = n > 0 ? list : NULL;
        }
        list[n] = (struct owner){.node = node, .status = status};
        if (status != NAME_OCCLUDED)
            before = &list[n];
        n++;
    }
    return names_batch(s, list, n);
}

static struct owner owner_at(const struct signing *s, const struct node *node)
{
    const struct snapshot *next = s->run->next;
    struct locate at;
    snapshot_locate(next, node_name(node), &at);
    struct owner owner = {.node = node};
    if (at.cut == node)
        owner.status = NAME_CUT;
    else if (at.cut || at.dname)
        owner.status = NAME_OCCLUDED;
    if (owner.status != NAME_OCCLUDED)
        owner.next = nsec_owner_after(next, node);
    return owner;
}

static bool names_sign_touched(struct signing *s)
{
    for (size_t i = 0; i < s->touched.n; i += BATCH_MAX) {
        size_t left = s->touched.n - i;
        if (!names_batch(s, s->touched.owner + i, left < BATCH_MAX ? left : BATCH_MAX))
            return false;
    }
    return true;
}

static void touched_find_all(struct signing *s)
{
    const struct stage_run *run = s->run;
    struct touched_list list =
        touched_find(run->next, run->delta, s->conf->denial == SIGN_NSEC, run->scratch);
    s->touched.owner = arena_alloc(run->scratch, (list.n + 1) * sizeof(s->touched.owner[0]));
    for (size_t i = 0; i < list.n; i++)
        s->touched.owner[s->touched.n++] = owner_at(s, list.name[i].node);
    s->run->visited += list.n;
}

bool names_sign(struct signing *s)
{
    const struct changeset *delta = s->run->delta;
    if (!s->all)
        touched_find_all(s);
    if (!s->all && s->denial->begin)
        s->denial->begin(s);
    for (size_t i = 0; i < delta->n && s->run->prev; i++)
        if (!delta->change[i].now)
            output_remove(s, change_name(&delta->change[i]));
    if (!(s->all ? names_sign_all(s) : names_sign_touched(s)))
        return false;
    s->empty = false;
    return !s->denial->finish || s->denial->finish(s);
}

/* What was signed goes first, with names that only NSEC3 brought; then everything once more. Else what changed. */
void names_mirror(struct signing *s)
{
    const struct stage_run *run = s->run;
    struct snapshot_iter it;
    if (s->all) {
        for (const struct node *node; (node = snapshot_first(&it, edit_view(run->out)));)
            output_remove(s, node_name(node));
        for (const struct node *node = snapshot_first(&it, run->next); node;
             node = snapshot_next(&it))
            if (node != s->apex)
                output_put(s, node_ref(node));
        s->run->visited += run->next->names;
        return;
    }
    for (size_t i = 0; i < run->delta->n; i++) {
        const struct change *change = &run->delta->change[i];
        if (!change->now)
            output_remove(s, change_name(change));
        else if (change->now != s->apex)
            output_put(s, node_ref(change->now));
    }
    s->run->visited += run->delta->n;
}
