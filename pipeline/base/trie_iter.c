/* trie_iter: standing on a leaf and walking from there.
 *
 * The cursor keeps the branches above its leaf and the index taken in each, so next and prev climb
 * to the nearest branch with a sibling and go down its edge. Seeking goes down blindly, like
 * trie_get, and then looks at the first digit where the key and the leaf reached differ. Above that
 * digit's level the path is the key's own; the subtree just below lies as a whole before or behind
 * the key, unless a branch tests exactly that digit: then some of its twigs lie before and the rest
 * behind.
 */
#include "pipeline/base/trie_p.h"

static void iter_nowhere(struct trie_iter *it)
{
    it->depth = 0;
    it->leaf = NULL;
}

static void iter_push(struct trie_iter *it, const struct branch *b, unsigned index)
{
    it->stack[it->depth].branch = (uintptr_t)b;
    it->stack[it->depth++].index = (uint8_t)index;
}

/* To the first (or last) leaf under a twig, which hangs below the top of the stack. */
static const void *iter_down(struct trie_iter *it, uintptr_t twig, bool last)
{
    while (twig_is_branch(twig)) {
        const struct branch *b = twig_branch(twig);
        unsigned index = last ? b->count - 1u : 0;
        iter_push(it, b, index);
        twig = b->twig[index];
    }
    return it->leaf = twig_leaf(twig);
}

static const void *iter_down_from(struct trie_iter *it, const struct branch *b, unsigned index,
                                  bool last)
{
    iter_push(it, b, index);
    return iter_down(it, b->twig[index], last);
}

/* Climbs past what is done and goes down the next twig. */
static const void *iter_forward(struct trie_iter *it)
{
    while (it->depth > 0) {
        const struct branch *b = (const struct branch *)it->stack[--it->depth].branch;
        unsigned index = it->stack[it->depth].index;
        if (index + 1u < b->count)
            return iter_down_from(it, b, index + 1, false);
    }
    return it->leaf = NULL;
}

static const void *iter_back(struct trie_iter *it)
{
    while (it->depth > 0) {
        const struct branch *b = (const struct branch *)it->stack[--it->depth].branch;
        unsigned index = it->stack[it->depth].index;
        if (index > 0)
            return iter_down_from(it, b, index - 1, true);
    }
    return it->leaf = NULL;
}

/* What a seek finds out: below stack[0..depth-1] lies either a branch that tests the digit that
 * differs, or a subtree that is before or behind the key as a whole. */
struct fork {
    const struct branch *at; /* or NULL */
    unsigned rank;           /* in `at`: twigs before the key */
    uintptr_t twig;          /* the subtree when `at` is NULL */
    bool before;             /* it is smaller than the key */
};

/* The twig below the top of the stack. */
static uintptr_t iter_twig(const struct trie_iter *it)
{
    if (it->depth == 0)
        return it->trie->root;
    const struct branch *b = (const struct branch *)it->stack[it->depth - 1].branch;
    return b->twig[it->stack[it->depth - 1].index];
}

/* True: the cursor stands on the key. */
static bool iter_seek(struct trie_iter *it, const struct trie *trie, const struct trie_key *key,
                      struct fork *fork)
{
    uintptr_t twig = trie->root;
    it->trie = trie;
    it->depth = 0;
    while (twig_is_branch(twig)) {
        const struct branch *b = twig_branch(twig);
        unsigned digit = key_digit(key, b->offset);
        unsigned index = branch_has(b, digit) ? branch_rank(b, digit) : 0;
        iter_push(it, b, index);
        twig = b->twig[index];
    }
    struct trie_key near;
    trie->pool->leaf->key(twig_leaf(twig), &near);
    unsigned differ = key_common(key, &near);
    if (differ == KEY_SAME) {
        it->leaf = twig_leaf(twig);
        return true;
    }
    while (it->depth > 0) {
        const struct branch *b = (const struct branch *)it->stack[it->depth - 1].branch;
        if (b->offset < differ)
            break;
        it->depth--;
    }
    twig = iter_twig(it);
    fork->at = NULL;
    fork->twig = twig;
    fork->before = key_digit(&near, differ) < key_digit(key, differ);
    if (twig_is_branch(twig) && twig_branch(twig)->offset == differ) {
        fork->at = twig_branch(twig);
        fork->rank = branch_rank(fork->at, key_digit(key, differ));
    }
    return false;
}

bool trie_seek_le(struct trie_iter *it, const struct trie *trie, const struct trie_key *key)
{
    struct fork fork;
    it->trie = trie;
    iter_nowhere(it);
    if (!trie->root)
        return false;
    if (iter_seek(it, trie, key, &fork))
        return true;
    if (fork.at && fork.rank > 0)
        iter_down_from(it, fork.at, fork.rank - 1, true);
    else if (!fork.at && fork.before)
        iter_down(it, fork.twig, true);
    else
        iter_back(it);
    return false;
}

bool trie_seek_ge(struct trie_iter *it, const struct trie *trie, const struct trie_key *key)
{
    struct fork fork;
    it->trie = trie;
    iter_nowhere(it);
    if (!trie->root)
        return false;
    if (iter_seek(it, trie, key, &fork))
        return true;
    if (fork.at && fork.rank < fork.at->count)
        iter_down_from(it, fork.at, fork.rank, false);
    else if (!fork.at && !fork.before)
        iter_down(it, fork.twig, false);
    else
        iter_forward(it);
    return false;
}

const void *trie_first(struct trie_iter *it, const struct trie *trie)
{
    it->trie = trie;
    iter_nowhere(it);
    return trie->root ? iter_down(it, trie->root, false) : NULL;
}

const void *trie_last(struct trie_iter *it, const struct trie *trie)
{
    it->trie = trie;
    iter_nowhere(it);
    return trie->root ? iter_down(it, trie->root, true) : NULL;
}

const void *trie_next(struct trie_iter *it)
{
    return iter_forward(it);
}

const void *trie_prev(struct trie_iter *it)
{
    return iter_back(it);
}

/* ---- marked leaves ------------------------------------------------------------------------------------- */

/* The nearest index with a marked twig, from `index` on in one direction; -1: none. */
static int marked_index(const struct branch *b, int index, bool back, unsigned mark)
{
    for (; index >= 0 && index < (int)b->count; index += back ? -1 : 1)
        if (twig_is_marked(b->twig[index], mark))
            return index;
    return -1;
}

/* The last (back) or first marked leaf under a marked twig. */
static const void *marked_down(uintptr_t twig, bool back, unsigned mark)
{
    while (twig_is_branch(twig)) {
        const struct branch *b = twig_branch(twig);
        int index = marked_index(b, back ? b->count - 1 : 0, back, mark);
        ASSERT(index >= 0);
        twig = b->twig[index];
    }
    return twig_leaf(twig);
}

/* The nearest one past where the cursor stands. */
static const void *marked_climb(struct trie_iter *it, bool back, unsigned mark)
{
    while (it->depth > 0) {
        const struct branch *b = (const struct branch *)it->stack[--it->depth].branch;
        int at = it->stack[it->depth].index;
        int index = marked_index(b, back ? at - 1 : at + 1, back, mark);
        if (index >= 0)
            return marked_down(b->twig[index], back, mark);
    }
    return NULL;
}

static const void *marked_near(const struct trie *trie, const struct trie_key *key, bool back,
                               bool equal, unsigned mark)
{
    struct trie_iter it;
    struct fork fork;
    if (!twig_is_marked(trie->root, mark))
        return NULL;
    if (iter_seek(&it, trie, key, &fork)) {
        bool marked = trie->pool->leaf->marks(it.leaf) >> mark & 1;
        return equal && marked ? it.leaf : marked_climb(&it, back, mark);
    }
    if (fork.at) {
        int index = marked_index(fork.at, back ? (int)fork.rank - 1 : (int)fork.rank, back, mark);
        if (index >= 0)
            return marked_down(fork.at->twig[index], back, mark);
    } else if (fork.before == back && twig_is_marked(fork.twig, mark)) {
        return marked_down(fork.twig, back, mark);
    }
    return marked_climb(&it, back, mark);
}

const void *trie_marked_lt(const struct trie *trie, const struct trie_key *key, unsigned mark)
{
    return marked_near(trie, key, true, false, mark);
}

const void *trie_marked_le(const struct trie *trie, const struct trie_key *key, unsigned mark)
{
    return marked_near(trie, key, true, true, mark);
}

const void *trie_marked_gt(const struct trie *trie, const struct trie_key *key, unsigned mark)
{
    return marked_near(trie, key, false, false, mark);
}

const void *trie_marked_first(const struct trie *trie, unsigned mark)
{
    return twig_is_marked(trie->root, mark) ? marked_down(trie->root, false, mark) : NULL;
}

const void *trie_marked_last(const struct trie *trie, unsigned mark)
{
    return twig_is_marked(trie->root, mark) ? marked_down(trie->root, true, mark) : NULL;
}
