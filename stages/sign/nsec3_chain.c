/* nsec3_chain: a whole chain, when the zone is signed from nothing, or the TTL of all its records changed.
 *
 * The names are listed in order, each behind the non-terminals that it is the first one to need, then hashed over the pool, then
 * sorted; each record leads to the one behind it. Under opt-out a non-terminal is listed when a name below it is, so those that are
 * above nothing but delegations without DS never are.
 */
#include "stages/sign/nsec3.h"

#include <stdlib.h>

/* Goes through the names and lists them. list NULL: only counts. */
static size_t names_list(const struct signing *s, struct nsec3_link *list)
{
    /* Of the name before, by depth: that part of it has been listed, or has a node and need not be. */
    bool known[NAME_MAX_LABELS + 1] = {0};
    unsigned apex_labels = name_labels(s->apex_name);
    const uint8_t *before = s->apex_name;
    struct status_walk walk;
    struct snapshot_iter it;
    size_t n = 0;
    status_walk_begin(&walk, s->run->next);
    for (const struct node *node = snapshot_first(&it, s->run->next); node;
         node = snapshot_next(&it)) {
        enum name_status status = status_walk_step(&walk, node);
        if (status == NAME_OCCLUDED)
            continue;
        const uint8_t *name = node_name(node);
        unsigned labels = name_labels(name);
        for (unsigned d = name_common_labels(before, name) + 1; d < labels; d++)
            known[d] = false;
        known[labels] = true;
        before = name;
        if (status == NAME_CUT && nsec3_is_insecure(s, node))
            continue;
        for (unsigned d = apex_labels + 1; d < labels; d++) {
            if (!known[d] && list)
                list[n] = (struct nsec3_link){.name = name_strip(name, labels - d)};
            n += !known[d];
            known[d] = true;
        }
        if (list)
            list[n] = (struct nsec3_link){.name = name, .node = node};
        n++;
    }
    return n;
}

struct hashing {
    const struct signing *s;
    struct nsec3_link *list;
};

static void names_hash(void *ctx, unsigned worker, size_t begin, size_t end)
{
    const struct hashing *h = ctx;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        nsec3_hash_name(h->s, h->list[i].name, h->list[i].hash);
}

static bool hashes_differ(struct signing *s, const struct nsec3_link *list, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (nsec3_link_order(&list[i - 1], &list[i]) == 0)
            nsec3_collision(s, list[i].hash, list[i].name, list[i - 1].name);
    return !s->failed;
}

/* Records of the last chain that are not in this one. */
static bool stale_remove(struct signing *s, const struct nsec3_link *list, size_t n)
{
    const struct node *node = s->last ? snapshot_nsec3_first(edit_view(s->run->out)) : NULL;
    while (node) {
        uint8_t owner[NAME_MAX_OCTETS];
        struct nsec3_link key = {.name = NULL};
        name_copy(owner, node_name(node));
        s->run->visited++;
        if (dnssec_nsec3_parse(owner, key.hash) &&
            !bsearch(&key, list, n, sizeof(list[0]), nsec3_link_order) &&
            !nsec3_remove(s, key.hash))
            return false;
        node = snapshot_nsec3_after(edit_view(s->run->out), owner);
    }
    return true;
}

static bool links_make(struct signing *s, const struct nsec3_link *list, size_t n)
{
    struct nsec3_making *making = arena_alloc(s->run->scratch, BATCH_MAX * sizeof(making[0]));
    for (size_t done = 0, k = 0; done < n; done += k) {
        for (k = 0; k < BATCH_MAX && done + k < n; k++) {
            making[k] = (struct nsec3_making){.link = &list[done + k]};
            memcpy(making[k].next, list[(done + k + 1) % n].hash, HASH);
        }
        if (!nsec3_make(s, making, k))
            return false;
    }
    return true;
}

static void params_note(struct signing *s)
{
    if (s->conf->nsec3_iterations > 0)
        finding_add(s->run->findings, SIGN_NSEC3_ITERATIONS, s->apex_name, RR_NSEC3PARAM,
                    s->conf->nsec3_iterations, 0, NULL);
    if (s->conf->salt_len > 0)
        finding_add(s->run->findings, SIGN_NSEC3_SALT, s->apex_name, RR_NSEC3PARAM,
                    s->conf->salt_len, 0, NULL);
}

bool nsec3_chain(struct signing *s)
{
    size_t n = names_list(s, NULL);
    struct nsec3_link *list = arena_alloc(s->run->scratch, n * sizeof(list[0]));
    struct hashing hashing = {s, list};
    names_list(s, list);
    par_map(s->run->par, n, HASH_CHUNK, names_hash, &hashing);
    qsort(list, n, sizeof(list[0]), nsec3_link_order);
    params_note(s);
    return hashes_differ(s, list, n) && stale_remove(s, list, n) && links_make(s, list, n);
}
