/* trie: finding and changing.
 *
 * Finding goes down blindly: each branch looks at one digit and skips the others, so the leaf at
 * the end is only the nearest one (it shares at least as many digits with the key as any other);
 * comparing keys once, there, decides.
 *
 * Changing first finds that nearest leaf and the first digit that differs, so it knows the place
 * before it touches anything; then it goes down a second time and makes every branch on the way its
 * own. A branch with one reference, under branches with one reference, belongs to this version
 * alone and is changed in place. A branch with more is copied: the copy takes a reference on each
 * child (so the next level sees that it is shared, too), the old one loses the reference from
 * above. So nothing that another version can see ever changes, and no flag or generation number
 * says what is shared: the counts do.
 *
 * A branch is exactly as large as its twigs need, so adding or removing a twig always makes a new
 * block; on a path of its own that is a move, not a copy, and children keep their counts.
 */
#include "pipeline/base/trie_p.h"

/* ---- references
 * ---------------------------------------------------------------------------------------- */

static void twig_ref(struct trie_pool *pool, uintptr_t twig)
{
    if (twig_is_branch(twig)) {
        ASSERT(twig_branch(twig)->refs < UINT32_MAX);
        twig_branch(twig)->refs++;
    } else {
        pool->leaf->ref(twig_leaf(twig));
    }
}

/* Offsets grow on the way down, so the recursion is at most TRIE_KEY_MAX deep. */
static void twig_unref(struct trie_pool *pool, uintptr_t twig)
{
    if (!twig_is_branch(twig)) {
        pool->leaf->unref(twig_leaf(twig));
        return;
    }
    struct branch *b = twig_branch(twig);
    if (--b->refs > 0)
        return;
    for (unsigned i = 0; i < b->count; i++) {
        if (i + 1 < b->count)
            __builtin_prefetch(twig_leaf(b->twig[i + 1]), 1);
        twig_unref(pool, b->twig[i]);
    }
    branch_free(pool, b);
}

/* The old block of a branch whose twigs were taken over by a new one, all but the one at `except`
 * (an index, or count for none). Alone: the block goes and its references moved. Shared: the new
 * one needs its own. */
static void branch_leave(struct trie_pool *pool, struct branch *b, unsigned except)
{
    if (b->refs == 1) {
        branch_free(pool, b);
        return;
    }
    for (unsigned i = 0; i < b->count; i++)
        if (i != except)
            twig_ref(pool, b->twig[i]);
    b->refs--;
    pool->stats.copies++;
}

/* ---- branches
 * ------------------------------------------------------------------------------------------ */

/* The branch at *slot as one that this version alone holds. */
static struct branch *branch_own(struct trie_pool *pool, uintptr_t *slot)
{
    struct branch *b = twig_branch(*slot);
    if (b->refs == 1)
        return b;
    struct branch *n = branch_new(pool, b->count);
    n->offset = b->offset;
    n->map = b->map;
    memcpy(n->twig, b->twig, b->count * sizeof b->twig[0]);
    branch_leave(pool, b, b->count);
    *slot = branch_twig(n, *slot & TWIG_MARKS);
    return n;
}

static void branch_add(struct trie_pool *pool, uintptr_t *slot, unsigned digit, uintptr_t twig)
{
    struct branch *b = twig_branch(*slot);
    struct branch *n = branch_new(pool, b->count + 1u);
    unsigned at = branch_rank(b, digit);
    n->offset = b->offset;
    n->map = b->map | digit_bit(digit);
    memcpy(n->twig, b->twig, at * sizeof b->twig[0]);
    n->twig[at] = twig;
    memcpy(n->twig + at + 1, b->twig + at, (b->count - at) * sizeof b->twig[0]);
    branch_leave(pool, b, b->count);
    *slot = branch_twig(n, (*slot | twig) & TWIG_MARKS);
}

/* Takes the twig at index `at` out, whose reference passes to the caller. The last but one twig
 * takes the branch's place. */
static void branch_drop(struct trie_pool *pool, uintptr_t *slot, unsigned at, unsigned digit)
{
    struct branch *b = twig_branch(*slot);
    if (b->refs > 1)
        twig_ref(pool, b->twig[at]);
    if (b->count == 2) {
        *slot = b->twig[1 - at];
        branch_leave(pool, b, at);
        return;
    }
    struct branch *n = branch_new(pool, b->count - 1u);
    n->offset = b->offset;
    n->map = b->map & ~digit_bit(digit);
    memcpy(n->twig, b->twig, at * sizeof b->twig[0]);
    memcpy(n->twig + at, b->twig + at + 1, (b->count - at - 1u) * sizeof b->twig[0]);
    branch_leave(pool, b, at);
    *slot = branch_twig(n, branch_marks(n));
}

/* A new branch of two: what is at *slot, and the leaf. */
static void branch_fork(struct trie_pool *pool, uintptr_t *slot, unsigned offset,
                        unsigned old_digit, unsigned new_digit, uintptr_t leaf)
{
    struct branch *n = branch_new(pool, 2);
    n->offset = (uint16_t)offset;
    n->map = digit_bit(old_digit) | digit_bit(new_digit);
    n->twig[old_digit > new_digit] = *slot;
    n->twig[new_digit > old_digit] = leaf;
    *slot = branch_twig(n, (*slot | leaf) & TWIG_MARKS);
}

/* A marked leaf has gone from under the slot: is there another one? All that belongs to this version alone is looked at again, along
 * the key; in what is shared nothing has gone. */
static void twig_remark(uintptr_t *slot, const struct trie_key *key)
{
    if (!twig_is_branch(*slot) || twig_branch(*slot)->refs > 1)
        return;
    struct branch *b = twig_branch(*slot);
    unsigned digit = key_digit(key, b->offset);
    if (branch_has(b, digit))
        twig_remark(&b->twig[branch_rank(b, digit)], key);
    *slot = branch_twig(b, branch_marks(b));
}

/* ---- the trie
 * ------------------------------------------------------------------------------------------ */

void trie_init(struct trie *trie, struct trie_pool *pool)
{
    *trie = (struct trie){pool, 0};
}

void trie_copy(struct trie *dst, const struct trie *src)
{
    *dst = *src;
    if (dst->root)
        twig_ref(dst->pool, dst->root);
}

void trie_fini(struct trie *trie)
{
    if (trie->root)
        twig_unref(trie->pool, trie->root);
    trie->root = 0;
}

void *trie_get(const struct trie *trie, const struct trie_key *key)
{
    if (!trie->root)
        return NULL;
    void *leaf = twig_nearest(trie->root, key);
    struct trie_key found;
    trie->pool->leaf->key(leaf, &found);
    return found.len == key->len && memcmp(found.digit, key->digit, key->len) == 0 ? leaf : NULL;
}

void *trie_put(struct trie *trie, const struct trie_key *key, void *leaf)
{
    const struct trie_leaf_ops *ops = trie->pool->leaf;
    ASSERT(leaf && ((uintptr_t)leaf & TWIG_TAGS) == 0);
    uintptr_t marks = ops->marks ? ops->marks(leaf) * TWIG_MARK : 0;
    uintptr_t twig = (uintptr_t)leaf | marks;
    if (!trie->root) {
        trie->root = twig;
        return NULL;
    }
    struct trie_key near;
    ops->key(twig_nearest(trie->root, key), &near);
    unsigned differ = key_common(key, &near);

    uintptr_t *slot = &trie->root;
    while (twig_is_branch(*slot) && twig_branch(*slot)->offset < differ) {
        struct branch *b = branch_own(trie->pool, slot);
        *slot |= marks;
        slot = &b->twig[branch_rank(b, key_digit(key, b->offset))];
    }
    if (differ == KEY_SAME) {
        void *old = twig_leaf(*slot);
        bool unmarked = *slot & ~marks & TWIG_MARKS;
        *slot = twig;
        if (unmarked)
            twig_remark(&trie->root, key);
        return old;
    }
    if (twig_is_branch(*slot) && twig_branch(*slot)->offset == differ)
        branch_add(trie->pool, slot, key_digit(key, differ), twig);
    else
        branch_fork(trie->pool, slot, differ, key_digit(&near, differ), key_digit(key, differ),
                    twig);
    return NULL;
}

void *trie_remove(struct trie *trie, const struct trie_key *key)
{
    void *leaf = trie_get(trie, key);
    if (!leaf)
        return NULL;
    uintptr_t *slot = &trie->root;
    if (!twig_is_branch(*slot)) {
        *slot = 0;
        return leaf;
    }
    for (;;) {
        struct branch *b = twig_branch(*slot);
        unsigned digit = key_digit(key, b->offset), at = branch_rank(b, digit);
        if (!twig_is_branch(b->twig[at])) {
            bool marked = b->twig[at] & TWIG_MARKS;
            branch_drop(trie->pool, slot, at, digit);
            if (marked)
                twig_remark(&trie->root, key);
            return leaf;
        }
        slot = &branch_own(trie->pool, slot)->twig[at];
    }
}

/* An ancestor of `key` is a leaf that ends where the key has the end of a word, at a branch where
 * the key goes on: the branch's twig of digit 0. No ancestor's memory is looked at: what comes
 * before the branch is the same for all below it, and the comparison with the nearest leaf tells
 * how far that is the key's, too. */
void trie_find_path(const struct trie *trie, const struct trie_key *key, struct trie_path *out)
{
    uint16_t ends[sizeof out->leaf / sizeof out->leaf[0]];
    const unsigned most = sizeof out->leaf / sizeof out->leaf[0];
    uintptr_t twig = trie->root;
    out->n = 0;
    out->common = 0;
    out->exact = false;
    if (!twig)
        return;
    while (twig_is_branch(twig)) {
        const struct branch *b = twig_branch(twig);
        branch_prefetch(b);
        unsigned offset = b->offset, digit = key_digit(key, offset), next = 0;
        if (offset < key->len && b->map & 1 && !twig_is_branch(b->twig[0]) &&
            (offset == 0 || key->digit[offset - 1] == 0) && out->n < most) {
            __builtin_prefetch(twig_leaf(b->twig[0]));
            ends[out->n] = (uint16_t)offset;
            out->leaf[out->n++] = twig_leaf(b->twig[0]);
        }
        if (branch_has(b, digit))
            next = branch_rank(b, digit);
        twig = b->twig[next];
    }
    const void *leaf = twig_leaf(twig);
    struct trie_key near;
    trie->pool->leaf->key(leaf, &near);
    unsigned differ = key_common(key, &near);
    while (out->n > 0 && ends[out->n - 1] > differ)
        out->n--;
    out->exact = differ == KEY_SAME;
    out->common = out->exact ? key->len : (uint16_t)(differ < key->len ? differ : key->len);
    bool ancestor = out->exact || (near.len < key->len && near.len <= differ);
    if (ancestor && out->n < most && !(out->n > 0 && out->leaf[out->n - 1] == leaf))
        out->leaf[out->n++] = leaf;
}
