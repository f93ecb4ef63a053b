/* trie: a persistent ordered map, the ground that every version of a zone stands on.
 *
 * WHAT   A qp-trie: a branch tests one digit of the key, holds a 64-bit map of the digits that occur
 *        there, and packs one pointer a digit. Leaves are the caller's objects; keys are never stored,
 *        the caller derives them from a leaf. Leaves may be marked in TRIE_MARKS ways, and the nearest one that is marked
 *        so is found without passing the others. Tries of one pool share branches: an edit copies only
 *        the branches on the path to a changed leaf, and changes in place what nobody else holds.
 *
 *              root ── branch(offset 3) ─┬─ digit 0 ── leaf
 *              (refs)                    ├─ digit 7 ── branch(offset 9) ── …      shared by versions
 *                                        └─ digit 31 ─ leaf
 *
 *        A key is a string of digits 0..TRIE_DIGITS-1, conceptually followed by endless zeros. Order is
 *        digit by digit. The caller promises that no key equals another key padded with zeros.
 *        (For DNS names zone/name.h makes such keys: their order is the canonical order of RFC 4034 6.1.)
 * WHO    A pool has one writer at a time: every function that takes a non-const trie or pool belongs to
 *        it. Functions on a const trie are for any thread, for as long as that root is held.
 * OWNS   Leaves are aligned to 8 octets at least. trie_init/copy take a reference on the root, trie_fini drops it. Leaves are counted through
 *        pool->leaf->ref/unref, which must be thread-safe.
 * FAILS  Never; out of memory aborts.
 * COST   find: O(key). insert/remove: O(key), and at most one branch copy a level on shared paths.
 *        copy (a new version): O(1). fini: O(what no other version shares). diff: O(what is not shared).
 *        Memory: 16 + 8 k octets a branch of k twigs, no malloc header (size-class slabs).
 * SPEC   Tony Finch's qp-trie for DNS; persistence as in design.md section 3.
 */
#ifndef WEIR_BASE_TRIE_H
#define WEIR_BASE_TRIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TRIE_DIGITS = 50, TRIE_KEY_MAX = 520, TRIE_MARKS = 2 };

struct trie_key {
    uint16_t len;
    uint8_t digit[TRIE_KEY_MAX];
};

struct trie_leaf_ops {
    void (*key)(const void *leaf, struct trie_key *out);
    void (*ref)(void *leaf);
    void (*unref)(void *leaf);
    unsigned (*marks)(const void *leaf); /* bit k: it has mark k, always the same for a leaf; NULL: none is marked */
};

struct trie_pool;
/* ops is borrowed for the pool's life. */
struct trie_pool *trie_pool_new(const struct trie_leaf_ops *ops);
void trie_pool_free(struct trie_pool **pool); /* every trie of it must be gone */

struct trie_stats {              /* of a pool; for tests and benches: design.md section 3 counts, not times */
    size_t branches;             /* live branches */
    size_t branch_bytes;         /* in live branches */
    size_t held_bytes;           /* taken from the system, free slots included */
    uint64_t copies;             /* branches copied because they were shared, ever */
};
void trie_pool_stats(const struct trie_pool *pool, struct trie_stats *out);

/* A root: a value of two words. {.root = 0} is the empty trie. */
struct trie {
    struct trie_pool *pool;
    uintptr_t root;
};

void trie_init(struct trie *trie, struct trie_pool *pool);
void trie_copy(struct trie *dst, const struct trie *src); /* a second holder of the same version; writer only */
void trie_fini(struct trie *trie);                        /* writer only */
static inline bool trie_empty(const struct trie *trie)
{
    return trie->root == 0;
}

void *trie_get(const struct trie *trie, const struct trie_key *key);   /* NULL: not there */

/* Puts leaf (one reference is taken over by the trie). Returns the leaf it replaces, whose reference
 * passes to the caller, or NULL. */
void *trie_put(struct trie *trie, const struct trie_key *key, void *leaf) __attribute__((warn_unused_result));
/* Removes; the leaf's reference passes to the caller. NULL: it was not there, and nothing was copied. */
void *trie_remove(struct trie *trie, const struct trie_key *key) __attribute__((warn_unused_result));

/* One descent, everything an answer needs: every leaf whose key is a prefix of `key`, shortest first, the
 * exact match included as the last. Here keys must be made of words, each of one or more digits that are not 0
 * and then one 0 (name keys are: a word is a label, a name has at most 127); then a leaf's key is a prefix of
 * another's exactly when its name is at or above the other. */
struct trie_path {
    unsigned n;
    const void *leaf[128];
    bool exact;                  /* leaf[n - 1] has this very key */
    uint16_t common;             /* digits that `key` shares with the key nearest to it: the most that any shares;
                                    key->len: it is there, or others lie below it */
};
void trie_find_path(const struct trie *trie, const struct trie_key *key, struct trie_path *out);

/* A cursor in key order. Holds no reference: the trie must be held, and not be edited, meanwhile. */
struct trie_iter {
    const struct trie *trie;
    const void *leaf;            /* where it stands; NULL: nowhere */
    unsigned depth;
    struct {
        uintptr_t branch;
        uint8_t index;
    } stack[TRIE_KEY_MAX];
};
/* Stands on the largest leaf <= key (NULL when all are larger). True: its key is equal. */
bool trie_seek_le(struct trie_iter *it, const struct trie *trie, const struct trie_key *key);
/* Stands on the smallest leaf >= key. True: its key is equal. */
bool trie_seek_ge(struct trie_iter *it, const struct trie *trie, const struct trie_key *key);
const void *trie_first(struct trie_iter *it, const struct trie *trie);
const void *trie_last(struct trie_iter *it, const struct trie *trie);
const void *trie_next(struct trie_iter *it);   /* NULL at the end, and from then on */
const void *trie_prev(struct trie_iter *it);

/* The nearest leaf that has the mark, before or behind a key, whatever lies between: O(key), for a branch knows whether there is one
 * below it. NULL: none. */
const void *trie_marked_lt(const struct trie *trie, const struct trie_key *key, unsigned mark);
const void *trie_marked_le(const struct trie *trie, const struct trie_key *key, unsigned mark);
const void *trie_marked_gt(const struct trie *trie, const struct trie_key *key, unsigned mark);
const void *trie_marked_first(const struct trie *trie, unsigned mark);
const void *trie_marked_last(const struct trie *trie, unsigned mark);

/* Calls fn for every key whose leaf differs (by pointer) between two tries of any pools, in key order:
 * (was, NULL) gone, (NULL, now) new, (was, now) replaced. Subtrees shared by pointer are skipped whole. */
typedef void trie_diff_fn(void *ctx, const void *was, const void *now);
void trie_diff(const struct trie *was, const struct trie *now, trie_diff_fn *fn, void *ctx);

#endif
