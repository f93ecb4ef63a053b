/* trie_p: the inside of the trie. For the trie's own files and for tests that count or check
 * branches.
 *
 * WHAT   A twig is a tagged pointer: bit 0 set = a branch, clear = a leaf of the caller's; bit 1 + k set = that leaf has
 * mark k, or some leaf below that branch has. Both point to what is aligned to 8 octets at least. A branch
 * is one block: 16 octets of head, then one twig a digit that occurs, packed in digit order. The
 * twig of digit d is number popcount(map & bits below d).
 *
 *          refs | offset | count | map … | twig 0 | twig 1 | …
 *
 *        `refs` counts the pointers to a branch, from other branches and from roots. It is a plain
 * integer: readers never look at it, so the pool's one writer may change it in a branch that they
 * are reading.
 */
#ifndef WEIR_BASE_TRIE_P_H
#define WEIR_BASE_TRIE_P_H

#include "pipeline/base/assert.h"
#include "pipeline/base/trie.h"

#include <limits.h>
#include <string.h>

struct branch {
    uint32_t refs;   /* 0: a free slot */
    uint16_t offset; /* of the digit tested here; grows strictly on the way down */
    uint16_t count;  /* twigs, >= 2; also the size of the block */
    uint64_t map;    /* bit d: digit d occurs */
    uintptr_t twig[];
};

enum { BRANCH_MIN = 2, BRANCH_MAX = TRIE_DIGITS };
enum { POOL_PAGE_BYTES = 512, POOL_LISTS = 12 };

struct slot;
struct page;

struct trie_pool {
    const struct trie_leaf_ops *leaf;
    struct slot *free[POOL_LISTS]; /* free blocks, by size */
    unsigned free_map;             /* bit k: free[k] is not empty */
    struct page *pages;            /* all of them; the first is the one that is cut from */
    struct page *spare; /* an empty one, kept so that a page is not returned and taken in turns */
    size_t freed_bytes; /* since free blocks were joined last */
    struct trie_stats stats;
};

struct branch *branch_new(struct trie_pool *pool,
                          unsigned count);                  /* refs 1; count set; the rest is not */
void branch_free(struct trie_pool *pool, struct branch *b); /* the block only */

static inline size_t branch_bytes(unsigned count)
{
    return sizeof(struct branch) + count * sizeof(uintptr_t);
}

enum {
    TWIG_BRANCH = 1,
    TWIG_MARK = 2, /* mark 0; the others in the bits above */
    TWIG_MARKS = ((1 << TRIE_MARKS) - 1) * TWIG_MARK,
    TWIG_TAGS = TWIG_BRANCH | TWIG_MARKS
};

static inline bool twig_is_branch(uintptr_t twig)
{
    return twig & TWIG_BRANCH;
}
static inline bool twig_is_marked(uintptr_t twig, unsigned mark)
{
    return twig & (uintptr_t)TWIG_MARK << mark;
}
static inline struct branch *twig_branch(uintptr_t twig)
{
    return (struct branch *)(twig & ~(uintptr_t)TWIG_TAGS);
}
static inline void *twig_leaf(uintptr_t twig)
{
    return (void *)(twig & ~(uintptr_t)TWIG_TAGS);
}
/* marks: of TWIG_MARKS. */
static inline uintptr_t branch_twig(struct branch *b, uintptr_t marks)
{
    return (uintptr_t)b | TWIG_BRANCH | marks;
}
/* The marks that some twig of the branch has. */
static inline uintptr_t branch_marks(const struct branch *b)
{
    uintptr_t all = 0;
    for (unsigned i = 0; i < b->count; i++)
        all |= b->twig[i];
    return all & TWIG_MARKS;
}

/* The compiler may not assume a popcnt instruction on a plain x86-64, and its library call is
 * slower. */
static inline unsigned bits_count(uint64_t v)
{
#ifdef __POPCNT__
    return (unsigned)__builtin_popcountll(v);
#else
    v -= v >> 1 & 0x5555555555555555u;
    v = (v & 0x3333333333333333u) + (v >> 2 & 0x3333333333333333u);
    v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (unsigned)(v * 0x0101010101010101u >> 56);
#endif
}
static inline uint64_t digit_bit(unsigned digit)
{
    return (uint64_t)1 << digit;
}
/* How many twigs have a smaller digit: the index of the digit's twig, or where it would be. */
static inline unsigned branch_rank(const struct branch *b, unsigned digit)
{
    return bits_count(b->map & (digit_bit(digit) - 1));
}
static inline bool branch_has(const struct branch *b, unsigned digit)
{
    return b->map >> digit & 1;
}

static inline unsigned key_digit(const struct trie_key *key, unsigned offset)
{
    return offset < key->len ? key->digit[offset] : 0;
}

/* The first offset where two keys differ; KEY_SAME when nowhere. */
enum { KEY_SAME = UINT16_MAX };
static inline unsigned key_common(const struct trie_key *a, const struct trie_key *b)
{
    unsigned n = a->len < b->len ? a->len : b->len, i = 0;
    uint64_t x, y;
    for (; i + 8 <= n; i += 8) {
        memcpy(&x, a->digit + i, 8);
        memcpy(&y, b->digit + i, 8);
        if (x != y)
            break;
    }
    while (i < n && a->digit[i] == b->digit[i])
        i++;
    if (i < n)
        return i;
    const struct trie_key *longer = a->len > n ? a : b;
    while (i < longer->len && longer->digit[i] == 0)
        i++;
    return i < longer->len ? i : KEY_SAME;
}

/* A branch seldom lies in one cache line: the twigs' line is asked for together with the head's. */
static inline void branch_prefetch(const struct branch *b)
{
    __builtin_prefetch((const char *)b + 56);
}

/* A leaf that shares at least as many digits with the key as any other. twig != 0. */
static inline void *twig_nearest(uintptr_t twig, const struct trie_key *key)
{
    while (twig_is_branch(twig)) {
        const struct branch *b = twig_branch(twig);
        branch_prefetch(b);
        unsigned digit = key_digit(key, b->offset);
        twig = b->twig[branch_has(b, digit) ? branch_rank(b, digit) : 0];
    }
    return twig_leaf(twig);
}

#endif
