/* changeset: what differs between two versions.
 *
 * WHAT   A sorted array of (was, now) node pairs. was NULL: the name appeared. now NULL: it went. Never
 *        both NULL, never equal. Names are in canonical order. It knows the serials it leads from and to
 *        (has_from false: from nothing, the first load).
 * OWNS   One reference on every node in it. changeset_ref/unref, any thread.
 * COST   compose O(a + b); invert O(d); rrset differences are read off a pair by walking two short lists.
 */
#ifndef WEIR_ZONE_CHANGESET_H
#define WEIR_ZONE_CHANGESET_H

#include "pipeline/zone/snapshot.h"

struct change {
    const struct node *was, *now;
};
struct changeset {
    _Atomic uint32_t refs;
    bool has_from, has_to;
    uint32_t from, to;                /* SOA serials */
    size_t n;
    struct change change[];
};

static inline const uint8_t *change_name(const struct change *c)
{
    return node_name(c->now ? c->now : c->was);
}
/* For who makes one: no change yet, and room for so many. */
struct changeset *changeset_new(size_t room);
struct changeset *changeset_ref(const struct changeset *c);
void changeset_unref(struct changeset *c);                /* NULL allowed */
/* a: x -> y, b: y -> z. Gives x -> z; pairs that cancel out vanish. */
struct changeset *changeset_compose(const struct changeset *a, const struct changeset *b);
struct changeset *changeset_invert(const struct changeset *c);
/* From two versions, linear only in what is not shared (zone/diff.c). was NULL: from nothing. */
struct changeset *changeset_between(const struct snapshot *was, const struct snapshot *now);

/* Rrset by rrset: calls fn(ctx, owner, was, now), either NULL, never equal octet for octet, in (type, covered) order. */
typedef void change_rrset_fn(void *ctx, const uint8_t *owner, const struct rrset *was, const struct rrset *now);
void change_rrsets(const struct change *c, change_rrset_fn *fn, void *ctx);

/* Record by record: what node a has and b has not, octet for octet, TTL and the case of the owner included. So the
 * deletions of a change are (was, now) and its additions (now, was), each in canonical order. Either may be NULL.
 * Borrows both; O(their records). */
struct record_walk {
    const struct node *a, *b;         /* b NULL: everything in a */
    unsigned i, j;                    /* the next rrset of each */
    struct rrset set;                 /* of the record that was given last */
    struct rrset other;               /* b's of the same type; count 0: none, or of another TTL */
    const uint8_t *p, *q;
};
void record_walk_begin(struct record_walk *w, const struct node *a, const struct node *b);
bool record_walk_next(struct record_walk *w, struct rdata *out);

#endif
