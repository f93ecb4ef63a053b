/* nsec3_change: what a change can have made wrong in a chain.
 *
 * Hashes have no neighbours among the names, but each name's hash is known as soon as the name is, and each
 * record's neighbours in the chain are a descent away. The last version's chain was right, so these are looked at:
 *
 *   names     that changed, came, went, or lie where a delegation or DNAME came or went; and the
 *             non-terminals above them: is there a record at the hash if there must be, and none if not?
 *             does it list what is there?
 *   records   that changed, came or went, and the ones before them: do they lead to the next?
 *
 * Every other name has the record it had, unless a record at its hash changed with no name that would
 * explain it; and what no record matched is still covered by opt-out, unless the span around some record that
 * changed lost it. Both are seen at the records that changed, both are rare, and either sends the whole chain
 * to nsec3_chain.c: hashes of all names, but no signature.
 */
#include "stages/validate/nsec3.h"

#include <stdlib.h>
#include <string.h>

enum { FOREIGN_STEPS = 64, BELOW_STEPS = 4096 };

struct touched { /* a name */
    struct wanted want;
    bool wanted, matched, covered; /* by a record of its own; by one with opt-out */
    struct there there;
};
struct turned { /* a record */
    bool has_was, has_now;
    struct there was, now;
};
struct change3 {
    struct chain3 *chain;
    struct check *check;
    const struct snapshot *s;
    size_t names, touched, turned, links;
    const uint8_t **name;
    struct touched *touch;
    struct turned *turn;
    const struct node **link; /* whose next is to be checked */
    unsigned below_steps;
    bool lost; /* it takes the whole chain to tell */
};

/* --- names --- */

static int name_order(const void *a, const void *b)
{
    const uint8_t *const *x = a, *const *y = b;
    return *x == *y ? 0 : name_cmp(*x, *y);
}

static bool is_name(const struct node *node)
{
    return node && !nsec3_only(node);
}

/* The names that the change is about, sorted, each once. */
static void names_collect(struct change3 *c)
{
    const struct changeset *delta = c->check->run->delta;
    const struct items *fresh = &c->check->fresh;
    size_t n = 0;
    c->name = arena_alloc(c->check->run->scratch, (delta->n + fresh->n + 1) * sizeof(c->name[0]));
    for (size_t i = 0; i < delta->n; i++)
        if (is_name(delta->change[i].was) || is_name(delta->change[i].now))
            c->name[n++] = change_name(&delta->change[i]);
    for (size_t i = 0; i < fresh->n; i++)
        if (!fresh->item[i].nsec3_only && !fresh->item[i].neighbour)
            c->name[n++] = node_name(fresh->item[i].node);
    qsort(c->name, n, sizeof(c->name[0]), name_order);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || !name_equal(c->name[i], c->name[i - 1]))
            c->name[c->names++] = c->name[i];
}

/* Must it have a record? True also for a non-terminal; whether that is optional is seen when it has none. */
static bool name_wanted(struct change3 *c, const uint8_t *name, struct wanted *want)
{
    struct locate at;
    snapshot_locate(c->s, name, &at);
    if (at.dname || (at.cut && at.cut != at.node))
        return false;
    if (is_name(at.node)) {
        want->node = at.node;
        want->cut = at.cut == at.node;
        want->optional = want->cut && !node_has(at.node, RR_DS);
        return true;
    }
    if (!at.exists)
        return false;
    struct snapshot_iter it;
    bool exact;
    const struct node *node = snapshot_seek_ge(&it, c->s, name, &exact);
    for (; node && name_at_or_below(node_name(node), name); node = snapshot_next(&it)) {
        if (!nsec3_only(node))
            return true; /* nothing between the two can hide it */
        if (++c->below_steps > BELOW_STEPS)
            c->lost = true;
        if (c->lost)
            break;
    }
    return false;
}

/* Is nothing below the non-terminal but delegations without DS? What else is there has signatures, or is told of itself; so nodes without
 * are passed unseen, be they a million. */
static bool nonterminal_optional(struct change3 *c, const uint8_t *name)
{
    const struct node *node = snapshot_signed_after(c->s, name);
    for (; node && name_at_or_below(node_name(node), name);
         node = snapshot_signed_after(c->s, node_name(node))) {
        if (++c->below_steps > BELOW_STEPS) {
            c->lost = true;
            return false;
        }
        enum name_status status = snapshot_status(c->s, node);
        if (status != NAME_OCCLUDED && is_name(node) &&
            (status == NAME_AUTHORITATIVE || node_has(node, RR_DS)))
            return false;
    }
    return true;
}

/* Adds a name, and the empty non-terminals above it that the name before did not add. */
static void name_touch(struct change3 *c, const uint8_t *name, const uint8_t *before)
{
    unsigned labels = name_labels(name), shared = name_common_labels(before, name);
    if (shared < c->check->apex_labels)
        shared = c->check->apex_labels;
    for (unsigned d = shared + 1; d < labels; d++) {
        const uint8_t *above = name_strip(name, labels - d);
        if (!is_name(snapshot_get(c->s, above)))
            c->touch[c->touched++].want.name = above;
    }
    c->touch[c->touched++].want.name = name;
}

static void names_touch(struct change3 *c)
{
    size_t room = 0;
    const uint8_t *before = c->check->apex_name;
    for (size_t i = 0; i < c->names; i++)
        room += name_labels(c->name[i]) - c->check->apex_labels + 1u;
    c->touch = arena_zalloc(c->check->run->scratch, (room + 1) * sizeof(c->touch[0]));
    for (size_t i = 0; i < c->names; before = c->name[i++])
        name_touch(c, c->name[i], before);
}

/* --- records --- */

static bool record_at(const struct change3 *c, const struct node *node, struct there *out)
{
    *out = (struct there){.node = node};
    return node && nsec3_find(node, &c->chain->params, &out->nsec3) > 0 &&
           name_labels(node_name(node)) == c->check->apex_labels + 1 &&
           dnssec_nsec3_parse(node_name(node), out->hash);
}

enum seek { AT_OR_BEFORE, BEFORE, AFTER };

/* The nearest record of the chain, round the end if need be. False: there is none, or other chains' stand too thick
 * in between. */
static bool record_seek(struct change3 *c, const struct snapshot *s, const uint8_t *owner,
                        enum seek seek, struct there *out)
{
    const struct node *node = seek == AFTER    ? snapshot_nsec3_after(s, owner)
                              : seek == BEFORE ? snapshot_nsec3_before(s, owner)
                                               : snapshot_nsec3_at_or_before(s, owner);
    bool round = false;
    for (unsigned steps = 0; steps < FOREIGN_STEPS; steps++) {
        if (!node && round)
            return false;
        if (!node) {
            round = true;
            node = seek == AFTER ? snapshot_nsec3_first(s) : snapshot_nsec3_last(s);
        }
        if (node && record_at(c, node, out))
            return true;
        if (node)
            node = seek == AFTER ? snapshot_nsec3_after(s, node_name(node))
                                 : snapshot_nsec3_before(s, node_name(node));
    }
    return false;
}

/* Finds out what there is for a name. */
static void touched_look(struct change3 *c, struct touched *t)
{
    uint8_t owner[NAME_MAX_OCTETS];
    t->wanted = name_wanted(c, t->want.name, &t->want);
    wanted_hash(c->chain, &t->want);
    bool possible = dnssec_nsec3_owner(t->want.hash, c->check->apex_name, owner);
    t->matched = possible && record_at(c, snapshot_get(c->s, owner), &t->there);
    if (!t->wanted || t->matched || !possible)
        return;
    if (!t->want.node)
        t->want.optional = nonterminal_optional(c, t->want.name);
    struct there cover;
    if (!t->want.optional)
        return;
    if (record_seek(c, c->s, owner, BEFORE, &cover))
        t->covered = nsec3_opt_out(&cover.nsec3);
    else
        c->lost = true;
}

static int touched_order(const void *a, const void *b)
{
    return memcmp(((const struct touched *)a)->want.hash, ((const struct touched *)b)->want.hash,
                  HASH);
}

static bool turned_explained(const struct change3 *c, const struct turned *t)
{
    struct touched key = {0};
    memcpy(key.want.hash, t->has_now ? t->now.hash : t->was.hash, HASH);
    return bsearch(&key, c->touch, c->touched, sizeof(c->touch[0]), touched_order);
}

/* Did the span at this record lose opt-out? */
static bool turned_closes(struct change3 *c, const struct turned *t)
{
    const uint8_t *owner = node_name(t->has_now ? t->now.node : t->was.node);
    struct there before, now;
    if (!record_seek(c, c->check->run->prev, owner, AT_OR_BEFORE, &before) ||
        !record_seek(c, c->s, owner, AT_OR_BEFORE, &now))
        return true;
    return nsec3_opt_out(&before.nsec3) && !nsec3_opt_out(&now.nsec3);
}

static void turned_look(struct change3 *c, const struct turned *t)
{
    bool same = t->has_was && t->has_now && t->was.nsec3.bitmap_len == t->now.nsec3.bitmap_len &&
                memcmp(t->was.nsec3.bitmap, t->now.nsec3.bitmap, t->now.nsec3.bitmap_len) == 0;
    c->lost |= !same && !turned_explained(c, t);
    c->lost |= turned_closes(c, t);
    const uint8_t *owner = node_name(t->has_now ? t->now.node : t->was.node);
    struct there before;
    if (record_seek(c, c->s, owner, BEFORE, &before))
        c->link[c->links++] = before.node;
    else
        c->lost = true;
    if (t->has_now)
        c->link[c->links++] = t->now.node;
}

static void records_collect(struct change3 *c)
{
    const struct changeset *delta = c->check->run->delta;
    struct arena *scratch = c->check->run->scratch;
    c->turn = arena_alloc(scratch, (delta->n + 1) * sizeof(c->turn[0]));
    c->link = arena_alloc(scratch, (2 * delta->n + 1) * sizeof(c->link[0]));
    for (size_t i = 0; i < delta->n; i++) {
        struct turned *t = &c->turn[c->turned];
        t->has_was = record_at(c, delta->change[i].was, &t->was);
        t->has_now = record_at(c, delta->change[i].now, &t->now);
        c->turned += t->has_was || t->has_now;
    }
}

/* --- judging --- */

static void touched_judge(struct change3 *c, const struct touched *t)
{
    if (t->wanted && t->matched)
        wanted_check_match(c->chain, &t->want, &t->there);
    else if (t->wanted && !t->covered)
        wanted_report_gap(c->chain, &t->want);
    else if (!t->wanted && t->matched)
        there_report_extra(c->chain, &t->there);
}

static int node_pointer_order(const void *a, const void *b)
{
    const struct node *const *x = a, *const *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void links_judge(struct change3 *c)
{
    qsort(c->link, c->links, sizeof(c->link[0]), node_pointer_order);
    for (size_t i = 0; i < c->links; i++) {
        struct there here, next;
        if (i > 0 && c->link[i] == c->link[i - 1])
            continue;
        if (record_at(c, c->link[i], &here) &&
            record_seek(c, c->s, node_name(c->link[i]), AFTER, &next))
            there_check_link(c->chain, &here, &next);
    }
}

bool chain_check_change(struct chain3 *chain)
{
    struct check *check = chain->check;
    struct change3 c = {.chain = chain, .check = check, .s = check->run->next};
    if (node_has(check->apex, RR_DNAME))
        return false; /* it hides all other names, so what is left is little */
    names_collect(&c);
    names_touch(&c);
    if (!chain_affordable(chain, c.touched))
        return false;
    for (size_t i = 0; i < c.touched && !c.lost; i++)
        touched_look(&c, &c.touch[i]);
    if (c.lost)
        return false;
    qsort(c.touch, c.touched, sizeof(c.touch[0]), touched_order);
    records_collect(&c);
    for (size_t i = 0; i < c.turned && !c.lost; i++)
        turned_look(&c, &c.turn[i]);
    if (c.lost)
        return false;
    check->run->visited += c.touched + c.turned;
    for (size_t i = 0; i < c.touched; i++)
        touched_judge(&c, &c.touch[i]);
    for (size_t i = 0; i < check->fresh.n; i++) {
        const struct item *item = &check->fresh.item[i];
        struct there there;
        if (item->status != NAME_OCCLUDED && there_read(chain, item->node, &there))
            there_check(chain, &there);
    }
    links_judge(&c);
    return true;
}
