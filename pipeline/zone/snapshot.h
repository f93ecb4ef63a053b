/* snapshot: one immutable version of a zone.
 *
 * WHAT   A persistent trie of nodes in canonical order, with the numbers an operator asks for. Versions of
 *        one zone belong to a family (a trie pool) and share all that they have in common.
 * WHO    Reading: any thread that holds it. ref/unref: any thread. The memory of a dead snapshot belongs to
 *        its family, which has one writer at a time (an open edit): the last unref puts it on the family's
 *        list of dead, to be freed by whoever may write next: the open edit at its end; else the
 *        family's hand_over function (which should submit family_reap() to a worker); else on the spot.
 * COST   ref, unref O(1) + what nobody else shares, on the reaping thread.
 */
#ifndef WEIR_ZONE_SNAPSHOT_H
#define WEIR_ZONE_SNAPSHOT_H

#include "pipeline/zone/name.h"
#include "pipeline/zone/node.h"

struct family;
struct family *family_new(const uint8_t *apex);          /* one reference; apex is copied */
struct family *family_beside(struct family *family);     /* another one, of the same apex and hand_over */
struct family *family_ref(struct family *family);
void family_unref(struct family *family);
const uint8_t *family_apex(const struct family *family);
/* Called, on the thread of the last unref, when there are dead and nobody is writing; not again until something was
 * reaped. A job made there needs a reference of its own on the family. */
void family_set_hand_over(struct family *family, void (*fn)(void *ctx, struct family *family), void *ctx);
void family_reap(struct family *family);                 /* frees the dead unless an edit is open */
void family_stats(struct family *family, struct trie_stats *out); /* writer or quiet only */

struct snapshot {
    _Atomic uint32_t refs;
    struct family *family;
    struct trie trie;
    size_t names, records;
    size_t bytes;                     /* in nodes */
    struct snapshot *next_dead;       /* private */
};

struct snapshot *snapshot_ref(const struct snapshot *s);
void snapshot_unref(struct snapshot *s);                  /* NULL allowed */
static inline const uint8_t *snapshot_apex_name(const struct snapshot *s)
{
    return family_apex(s->family);
}

const struct node *snapshot_get(const struct snapshot *s, const uint8_t *name);  /* exact, or NULL */
const struct node *snapshot_apex(const struct snapshot *s);
/* SOA fields of the apex; false when there is no SOA. */
struct soa {
    uint32_t serial, refresh, retry, expire, minimum, ttl;
};
bool snapshot_soa(const struct snapshot *s, struct soa *out);

/* Where a name lies in a version. One descent. */
struct locate {
    const struct node *node;          /* exact match, or NULL */
    const struct node *cut;           /* topmost name with NS, below the apex, at or above the name; or NULL */
    const struct node *dname;         /* topmost name with DNAME strictly above the name; or NULL. Never both: whichever
                                         is higher hides the other (at one name, the cut) */
    const struct node *encloser;      /* longest existing proper ancestor that has a node */
    unsigned encloser_labels;         /* labels of the closest encloser, ENTs counted (RFC 4592 3.3.1); of the name
                                         itself when it exists */
    bool exists;                      /* node, or an empty non-terminal */
};
void snapshot_locate(const struct snapshot *s, const uint8_t *name, struct locate *out);
bool snapshot_has_below(const struct snapshot *s, const uint8_t *name); /* is there a node below the name? */

/* Is the name (of a node) authoritative here? */
enum name_status {
    NAME_AUTHORITATIVE,               /* apex or below it, above any cut */
    NAME_CUT,                         /* has NS, below the apex: NSEC and DS are authoritative */
    NAME_OCCLUDED,                    /* below a cut (glue) or below a DNAME */
};
enum name_status snapshot_status(const struct snapshot *s, const struct node *node);

/* In order. The iterator borrows s. */
struct snapshot_iter {
    struct trie_iter it;
};
const struct node *snapshot_first(struct snapshot_iter *it, const struct snapshot *s);
const struct node *snapshot_last(struct snapshot_iter *it, const struct snapshot *s);
const struct node *snapshot_next(struct snapshot_iter *it);
const struct node *snapshot_prev(struct snapshot_iter *it);
/* Largest name <= name / smallest >= name; exact tells which. NULL: none. */
const struct node *snapshot_seek_le(struct snapshot_iter *it, const struct snapshot *s, const uint8_t *name, bool *exact);
const struct node *snapshot_seek_ge(struct snapshot_iter *it, const struct snapshot *s, const uint8_t *name, bool *exact);
/* The nearest authoritative owner (or cut) strictly before name in canonical order, stepping over what cuts
 * and DNAMEs occlude in O(1) steps each; the apex when nothing else. NULL only in an empty zone. */
const struct node *snapshot_authoritative_before(const struct snapshot *s, const uint8_t *name);

/* The nearest node with NSEC3 before a name, at or before, behind; the first and the last. Whatever lies between costs nothing.
 * NULL: none. */
const struct node *snapshot_nsec3_before(const struct snapshot *s, const uint8_t *name);
const struct node *snapshot_nsec3_at_or_before(const struct snapshot *s, const uint8_t *name);
const struct node *snapshot_nsec3_after(const struct snapshot *s, const uint8_t *name);
const struct node *snapshot_nsec3_first(const struct snapshot *s);
const struct node *snapshot_nsec3_last(const struct snapshot *s);
/* The nearest node with a signature behind a name, at the same cost. */
const struct node *snapshot_signed_after(const struct snapshot *s, const uint8_t *name);

/* Walks a version in order and tells each node's status with O(1) state: no descents. */
struct status_walk {
    const uint8_t *apex;
    const struct node *over;          /* the cut or DNAME whose subtree we are in, or NULL */
};
void status_walk_begin(struct status_walk *w, const struct snapshot *s);
enum name_status status_walk_step(struct status_walk *w, const struct node *node);

#endif
