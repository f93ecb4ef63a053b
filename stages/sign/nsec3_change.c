/* nsec3_change: what a change asks of a chain.
 *
 * Before anything of the output changes (begin), and when all names have been made:
 *
 *   names     that changed, came or went, or lie where a delegation or DNAME came or went, and the empty non-terminals above them:
 *             has it a record, and had it one? Both follow from the version as it comes in, now and last time.
 *   records   that come or go, and the ones before them, which now lead elsewhere; those whose name changed, for their types.
 *
 * All other names and records are as they were, and none of them is looked at. What opt-out leaves out above a million delegations
 * is found in one descent: such a non-terminal has a record if any node below it is signed, and nodes with signatures are marked in
 * the output's trie (zone/snapshot.h).
 *
 * A name that is a hash's label takes its record along when it goes or is made anew; that is put back, with the types it had.
 */
#include "stages/sign/nsec3.h"

#include <stdlib.h>

/* --- names --- */

static int name_order(const void *a, const void *b)
{
    const uint8_t *const *x = a, *const *y = b;
    return *x == *y ? 0 : name_cmp(*x, *y);
}

/* The names that the change is about, in order, each once. The apex is among them: what its record lists changes with the keys. */
static void names_collect(struct nsec3_change *c)
{
    const struct changeset *delta = c->s->run->delta;
    const struct owners *owners = &c->s->touched;
    size_t n = 0;
    c->name = arena_alloc(c->s->run->scratch, (delta->n + owners->n + 1) * sizeof(c->name[0]));
    c->name[n++] = c->s->apex_name;
    for (size_t i = 0; i < delta->n; i++)
        c->name[n++] = change_name(&delta->change[i]);
    for (size_t i = 0; i < owners->n; i++)
        c->name[n++] = node_name(owners->owner[i].node);
    qsort(c->name, n, sizeof(c->name[0]), name_order);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || !name_equal(c->name[i], c->name[i - 1]))
            c->name[c->names++] = c->name[i];
}

/* Has the name a record in a version that comes in as `in` and goes out as `out`? *node: what is there, if so. */
static bool name_has_record(const struct signing *s, const struct snapshot *in,
                            const struct snapshot *out, const uint8_t *name,
                            const struct node **node)
{
    struct locate at;
    snapshot_locate(in, name, &at);
    if (at.dname || (at.cut && at.cut != at.node) || !at.exists)
        return false;
    *node = at.node;
    if (at.node)
        return !at.cut || !nsec3_is_insecure(s, at.cut);
    if (!s->conf->opt_out)
        return true;
    const struct node *is_signed = snapshot_signed_after(out, name);
    return is_signed && name_at_or_below(node_name(is_signed), name);
}

static struct nsec3_touch *touch_add(struct nsec3_change *c)
{
    struct nsec3_touch *t = &c->touch[c->touched++];
    *t = (struct nsec3_touch){.had = false};
    return t;
}

static void touch_add_name(struct nsec3_change *c, const uint8_t *name)
{
    const struct node *was;
    struct nsec3_touch *t = touch_add(c);
    t->link.name = name;
    t->had = name_has_record(c->s, c->s->run->prev, c->view, name, &was);
}

/* Is the name a hash that has a record? */
static void touch_add_owner(struct nsec3_change *c, const uint8_t *name)
{
    uint8_t hash[HASH];
    const struct node *node = dnssec_nsec3_parse(name, hash) ? snapshot_get(c->view, name) : NULL;
    const struct nsec3_types *types = nsec3_types_of(c->s->run->scratch, node);
    if (!types)
        return;
    struct nsec3_touch *t = touch_add(c);
    memcpy(t->link.hash, hash, HASH);
    t->lost = types;
}

/* A name, and the empty non-terminals above it that the name before it did not add. */
static void names_touch(struct nsec3_change *c)
{
    const struct snapshot *next = c->s->run->next;
    unsigned apex_labels = name_labels(c->s->apex_name);
    const uint8_t *before = c->s->apex_name;
    size_t room = 0;
    for (size_t i = 0; i < c->names; i++)
        room += name_labels(c->name[i]) - apex_labels + 2u;
    c->touch = arena_alloc(c->s->run->scratch, room * sizeof(c->touch[0]));
    for (size_t i = 0; i < c->names; before = c->name[i++]) {
        const uint8_t *name = c->name[i];
        unsigned labels = name_labels(name);
        for (unsigned d = name_common_labels(before, name) + 1; d < labels; d++) {
            const uint8_t *above = name_strip(name, labels - d);
            if (!snapshot_get(next, above))
                touch_add_name(c, above);
        }
        touch_add_name(c, name);
        touch_add_owner(c, name);
    }
}

/* Here so that all is asked of the output before it changes. */
void nsec3_change_begin(struct signing *s)
{
    struct nsec3_change *c = arena_zalloc(s->run->scratch, sizeof(*c));
    s->nsec3 = c;
    c->s = s;
    c->view = edit_view(s->run->out);
    names_collect(c);
    names_touch(c);
}

static void names_hash(void *ctx, unsigned worker, size_t begin, size_t end)
{
    const struct nsec3_change *c = ctx;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        if (!c->touch[i].lost)
            nsec3_hash_name(c->s, c->touch[i].link.name, c->touch[i].link.hash);
}

/* Names with no record, before or now, are left out. */
static void names_look(struct nsec3_change *c)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->touched; i++) {
        struct nsec3_touch *t = &c->touch[i];
        if (!t->lost)
            t->has = name_has_record(c->s, c->s->run->next, c->view, t->link.name, &t->link.node);
        if (t->had || t->has || t->lost)
            c->touch[kept++] = *t;
    }
    c->touched = kept;
}

/* --- hashes --- */

static int touch_order(const void *a, const void *b)
{
    return nsec3_link_order(&((const struct nsec3_touch *)a)->link,
                            &((const struct nsec3_touch *)b)->link);
}

bool nsec3_there(const struct nsec3_change *c, const uint8_t hash[HASH])
{
    uint8_t owner[NAME_MAX_OCTETS];
    nsec3_owner_of(c->s, hash, owner);
    const struct node *node = snapshot_get(c->view, owner);
    return node && node_has(node, RR_NSEC3);
}

static void link_add(struct nsec3_change *c, const struct nsec3_link *link,
                     const struct nsec3_types *types)
{
    c->types[c->links] = types;
    c->link[c->links++] = *link;
}

/* All that is known of one hash: what becomes of its record? */
static void hash_settle(struct nsec3_change *c, const struct nsec3_touch *t, size_t n)
{
    const struct nsec3_touch *has = NULL, *lost = NULL;
    bool had = false;
    for (size_t i = 0; i < n; i++) {
        had |= t[i].had;
        if (t[i].lost)
            lost = &t[i];
        if (t[i].has && has)
            nsec3_collision(c->s, t->link.hash, t[i].link.name, has->link.name);
        else if (t[i].has)
            has = &t[i];
    }
    if (has && !had && (lost || nsec3_there(c, t->link.hash)))
        nsec3_collision(c->s, t->link.hash, has->link.name, NULL);
    if (has)
        link_add(c, &has->link, NULL);
    else if (had)
        c->leave[c->leaves++] = t->link;
    else if (lost)
        link_add(c, &lost->link, lost->lost);
}

static void hashes_settle(struct nsec3_change *c)
{
    struct arena *scratch = c->s->run->scratch;
    c->link = arena_alloc(scratch, c->touched * sizeof(c->link[0]));
    c->types = arena_alloc(scratch, c->touched * sizeof(c->types[0]));
    c->leave = arena_alloc(scratch, c->touched * sizeof(c->leave[0]));
    for (size_t i = 0, n; i < c->touched; i += n) {
        for (n = 1; i + n < c->touched && touch_order(&c->touch[i], &c->touch[i + n]) == 0; n++)
            ;
        hash_settle(c, &c->touch[i], n);
    }
}

static bool leaves_remove(struct nsec3_change *c)
{
    for (size_t i = 0; i < c->leaves && !c->s->failed; i++)
        if (nsec3_there(c, c->leave[i].hash) && nsec3_remove(c->s, c->leave[i].hash))
            c->view = edit_view(c->s->run->out);
    return !c->s->failed;
}

bool nsec3_change(struct signing *s)
{
    struct nsec3_change *c = s->nsec3;
    c->view = edit_view(s->run->out);
    names_look(c);
    s->run->visited += c->touched;
    par_map(s->run->par, c->touched, HASH_CHUNK, names_hash, c);
    qsort(c->touch, c->touched, sizeof(c->touch[0]), touch_order);
    hashes_settle(c);
    if (s->failed || !leaves_remove(c))
        return false;
    nsec3_makings(c);
    return nsec3_make(s, c->make, c->makings);
}
