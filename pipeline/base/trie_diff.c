/* trie_diff: what two versions do not share.
 *
 * Two subtrees are laid side by side. The same pointer: nothing to see. Otherwise each has a first
 * leaf, whose key stands for the digits that all keys below have in common, up to the subtree's own
 * offset (a leaf's is endless). If those digits part before the smaller of the two offsets, the
 * subtrees have no key in common and one lies before the other. Else the one with the smaller
 * offset is opened: against the other as a whole, which fits under one of its digits, or twig by
 * twig when both test the same digit.
 *
 * Every step either skips, emits, or opens a branch that only one version has; finding the first
 * leaf follows twig 0, which on average is about two steps, and the keys are only made when the
 * first leaves are not the same leaf. The recursion opens a larger offset each time, so it is at
 * most twice TRIE_KEY_MAX deep.
 */
#include "pipeline/base/trie_p.h"

struct diff {
    const struct trie_leaf_ops *was_leaf, *now_leaf;
    trie_diff_fn *fn;
    void *ctx;
    struct trie_key was_key, now_key;
};

/* How two subtrees lie to each other. */
struct meet {
    unsigned differ;               /* first digit that parts their first leaves; KEY_SAME */
    unsigned was_digit, now_digit; /* at min(differ, the smaller offset) */
};

static unsigned twig_offset(uintptr_t twig)
{
    return twig_is_branch(twig) ? twig_branch(twig)->offset : KEY_SAME;
}

static const void *twig_first(uintptr_t twig)
{
    while (twig_is_branch(twig))
        twig = twig_branch(twig)->twig[0];
    return twig_leaf(twig);
}

static void emit_all(const struct diff *d, uintptr_t twig, bool is_now)
{
    if (!twig)
        return;
    if (!twig_is_branch(twig)) {
        d->fn(d->ctx, is_now ? NULL : twig_leaf(twig), is_now ? twig_leaf(twig) : NULL);
        return;
    }
    const struct branch *b = twig_branch(twig);
    for (unsigned i = 0; i < b->count; i++)
        emit_all(d, b->twig[i], is_now);
}

/* Apart from diff_twigs, so that the recursion's frames stay small. */
__attribute__((noinline)) static struct meet twigs_meet(struct diff *d, uintptr_t was,
                                                        uintptr_t now, unsigned offset)
{
    struct meet m = {KEY_SAME, 0, 0};
    const void *was_first = twig_first(was), *now_first = twig_first(now);
    if (was_first == now_first && twig_offset(was) == twig_offset(now))
        return m;
    d->was_leaf->key(was_first, &d->was_key);
    if (was_first == now_first)
        d->now_key = d->was_key;
    else
        d->now_leaf->key(now_first, &d->now_key);
    m.differ = key_common(&d->was_key, &d->now_key);
    unsigned at = m.differ < offset ? m.differ : offset;
    m.was_digit = key_digit(&d->was_key, at);
    m.now_digit = key_digit(&d->now_key, at);
    return m;
}

static void diff_twigs(struct diff *d, uintptr_t was, uintptr_t now);

/* Both branches test the same digit, and the digits before it are the same. */
static void diff_siblings(struct diff *d, const struct branch *was, const struct branch *now)
{
    for (uint64_t map = was->map | now->map; map; map &= map - 1) {
        unsigned digit = (unsigned)__builtin_ctzll(map);
        diff_twigs(d, branch_has(was, digit) ? was->twig[branch_rank(was, digit)] : 0,
                   branch_has(now, digit) ? now->twig[branch_rank(now, digit)] : 0);
    }
}

/* `other` of the other version fits under one digit of b, which is the smaller offset. */
static void diff_under(struct diff *d, const struct branch *b, bool is_now, uintptr_t other,
                       unsigned other_digit)
{
    for (uint64_t map = b->map | digit_bit(other_digit); map; map &= map - 1) {
        unsigned digit = (unsigned)__builtin_ctzll(map);
        uintptr_t twig = branch_has(b, digit) ? b->twig[branch_rank(b, digit)] : 0;
        if (digit != other_digit)
            emit_all(d, twig, is_now);
        else if (is_now)
            diff_twigs(d, other, twig);
        else
            diff_twigs(d, twig, other);
    }
}

static void diff_twigs(struct diff *d, uintptr_t was, uintptr_t now)
{
    if (was == now)
        return;
    if (!was || !now) {
        emit_all(d, was ? was : now, !was);
        return;
    }
    unsigned was_offset = twig_offset(was), now_offset = twig_offset(now);
    unsigned offset = was_offset < now_offset ? was_offset : now_offset;
    struct meet m = twigs_meet(d, was, now, offset);
    if (m.differ < offset) {
        bool was_before = m.was_digit < m.now_digit;
        emit_all(d, was_before ? was : now, !was_before);
        emit_all(d, was_before ? now : was, was_before);
    } else if (offset == KEY_SAME) {
        d->fn(d->ctx, twig_leaf(was), twig_leaf(now));
    } else if (was_offset == now_offset) {
        diff_siblings(d, twig_branch(was), twig_branch(now));
    } else if (was_offset < now_offset) {
        diff_under(d, twig_branch(was), false, now, m.now_digit);
    } else {
        diff_under(d, twig_branch(now), true, was, m.was_digit);
    }
}

void trie_diff(const struct trie *was, const struct trie *now, trie_diff_fn *fn, void *ctx)
{
    struct diff d = {.was_leaf = was->pool ? was->pool->leaf : NULL,
                     .now_leaf = now->pool ? now->pool->leaf : NULL,
                     .fn = fn,
                     .ctx = ctx};
    diff_twigs(&d, was->root, now->root);
}
