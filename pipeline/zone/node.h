/* node: everything at one owner name.
 *
 * WHAT   One immutable, reference-counted block of memory:
 *
 *          refs size | name_len nrrsets | rrset heads, sorted by (type, covered) | name as received | rdata …
 *
 *        An rrset's rdata: its records in canonical order (RFC 4034 6.3), duplicates left out, each as a
 *        16-bit length in network order and the uncompressed rdata. An RRSIG set is its own rrset, keyed
 *        by the type it covers (`covered`; 0 for all other types).
 * WHO    Any thread may read, ref and unref.
 * OWNS   node_ref/unref. Views (struct rrset) borrow from the node.
 * UNITS  at most 65,535 records and 2^28 octets a node; node_builder_add refuses more. Duplicates count until they
 *        are sorted out, which is promised up to 49,151 records.
 * COST   find an rrset: a scan of a few heads. build: n log n in the records of the name. One allocation.
 */
#ifndef WEIR_ZONE_NODE_H
#define WEIR_ZONE_NODE_H

#include "pipeline/base/buf.h"
#include "pipeline/base/errors.h"
#include "pipeline/base/trie.h"
#include "pipeline/zone/rrtype.h"

enum { NODE_RECORDS_MAX = 65535, NODE_BYTES_MAX = 1 << 28 };
#define NODE_TTL_MIXED (1u << 31)

struct rrset_head {                 /* private layout, here for inline access */
    uint16_t type, covered;
    uint32_t ttl;
    uint32_t at;                    /* offset in the node of u16 count (host order), then the records; top bit: mixed TTLs */
};

struct node {
    _Atomic uint32_t refs;
    uint32_t bytes;                 /* of the whole block */
    uint32_t records;
    uint16_t nrrsets;
    uint8_t name_len;
    uint8_t reserved;
    struct rrset_head head[];
};

struct rrset {                      /* a view; copy freely while the node is held */
    uint16_t type, covered;
    uint32_t ttl;
    uint16_t count;
    bool ttl_mixed;                 /* records came with different TTLs; ttl is the smallest */
    const uint8_t *rdata;           /* count times (u16 length, octets) */
    const uint8_t *end;
};

struct rdata {
    const uint8_t *data;
    uint16_t len;
};

static inline const uint8_t *node_name(const struct node *node)
{
    return (const uint8_t *)(node->head + node->nrrsets);
}
void node_rrset_at(const struct node *node, unsigned index, struct rrset *out); /* index < nrrsets */
/* False: there is none (out untouched). covered = 0 unless type is RRSIG (or SIG). */
bool node_rrset(const struct node *node, uint16_t type, uint16_t covered, struct rrset *out);
bool node_has(const struct node *node, uint16_t type);                 /* any covered */

/* for (struct rdata r, *i = rrset_begin(...)) is not C; so: const uint8_t *p = s.rdata; while (rrset_next(&s, &p, &r)) … */
static inline bool rrset_next(const struct rrset *set, const uint8_t **p, struct rdata *out)
{
    if (*p >= set->end)
        return false;
    out->len = get_u16(*p);
    out->data = *p + 2;
    *p += 2 + (size_t)out->len;
    return true;
}
static inline bool rrset_first(const struct rrset *set, struct rdata *out)
{
    const uint8_t *p = set->rdata;
    return rrset_next(set, &p, out);
}
/* Same records (canonical form compared) and same TTL. exact: octet for octet. */
bool rrset_equal(const struct rrset *a, const struct rrset *b, bool exact);

struct node *node_ref(const struct node *node);   /* returns it, for keeping */
void node_unref(struct node *node);               /* NULL allowed */
bool node_equal(const struct node *a, const struct node *b); /* octet for octet, name's case included */

enum { NODE_MARK_NSEC3, NODE_MARK_SIGNED }; /* marks in a trie: has NSEC3; has a signature */
extern const struct trie_leaf_ops node_leaf_ops;

/* Collects the records of one owner, in any order, duplicates allowed; then makes the node. Reusable. */
struct node_builder;
struct node_builder *node_builder_new(void);
void node_builder_free(struct node_builder **b);
void node_builder_begin(struct node_builder *b, const uint8_t *owner);
void node_builder_rename(struct node_builder *b, const uint8_t *owner);   /* the same name in other letters */
/* All rrsets of an existing node, except those for which skip(ctx, set) is true (skip may be NULL). That one node's
 * records fit is known; who adds several nodes or sets here answers for the bounds (seal asserts them). */
void node_builder_add_node(struct node_builder *b, const struct node *node,
                           bool (*skip)(void *ctx, const struct rrset *set), void *ctx);
void node_builder_add_rrset(struct node_builder *b, const struct rrset *set);
/* One record; rdata is copied. Valid rdata (rdata_valid) is the caller's duty. -E_LIMIT: too many. */
int node_builder_add(struct node_builder *b, uint16_t type, uint32_t ttl, const uint8_t *rdata, uint16_t len) MUST_CHECK;
/* Takes out one record (compared in canonical form, TTL ignored). False: it was not there. */
bool node_builder_remove(struct node_builder *b, uint16_t type, const uint8_t *rdata, uint16_t len);
/* Is the record there? Its TTL then, and whether its set had come with different ones, of which that is the smallest. */
bool node_builder_find(struct node_builder *b, uint16_t type, const uint8_t *rdata, uint16_t len, uint32_t *ttl, bool *mixed);
/* Records were taken out of such a set, and others of it stay (of any such set of this name): under which TTL, nobody knows. */
bool node_builder_ttl_unknown(const struct node_builder *b);
/* The node, one reference for the caller; NULL when no record was added. The builder is empty afterwards,
 * for the same owner until node_builder_begin. */
struct node *node_builder_seal(struct node_builder *b);

#endif
