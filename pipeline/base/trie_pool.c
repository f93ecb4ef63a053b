/* trie_pool: where branches live.
 *
 * Millions of blocks of 32 to 416 octets, most of them of two to four twigs: malloc's 8 to 16
 * octets a block would be a third of the trie. So a pool takes pages of 512 octets and cuts blocks of
 * exactly the size that is asked for off the front one. A freed block goes to the list of its size;
 * a request looks there first, then splits a larger free block, then cuts fresh ground. Blocks of up
 * to nine twigs have a list a size. The larger ones are rare and share four lists: a list for each of
 * forty sizes would be most of what the pool of a tiny zone takes. In those a request looks at a few blocks only.
 *
 * Blocks know their size (`count` stays valid in a free slot), so a page can be walked. It counts
 * its live blocks; when the last one goes, its slots leave the free lists and the page goes back to
 * the system. Versions that were loaded whole lie in pages of their own, so dropping one returns
 * its memory; pages are small so that a server of many tiny zones wastes little.
 *
 * Pages are aligned to their size: the page of a block is found by masking the pointer. The last 16
 * octets are left to malloc's own header, so that aligned pages follow each other without a hole.
 */
#include "pipeline/base/alloc.h"
#include "pipeline/base/trie_p.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define POISON(p, n)   ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define POISON(p, n)   ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

enum {
    PAGE_ROOM = POOL_PAGE_BYTES - 16,
    HEAD_TWIGS =
        sizeof(struct branch) / sizeof(uintptr_t), /* a head takes as much as so many twigs */
    EXACT_MAX = 9, /* twigs of a block that has a list of its size */
    LOOK_MAX = 8,  /* blocks that are looked at in a list of several sizes */
};

struct page {
    struct page *next, *prev;
    uint32_t used; /* octets cut off so far, this head included */
    uint32_t live; /* blocks in use */
};

/* A free block: the first eight octets are a branch's, so that the size can be read. */
struct slot {
    uint32_t refs;
    uint16_t offset;
    uint16_t count;
    struct slot *next, *prev;
};
_Static_assert(sizeof(struct slot) <= sizeof(struct branch) + BRANCH_MIN * sizeof(uintptr_t),
               "a slot fits into the smallest block");
_Static_assert(offsetof(struct slot, count) == offsetof(struct branch, count),
               "sizes are read from either");

static struct page *page_of(const void *block)
{
    return (struct page *)((uintptr_t)block & ~(uintptr_t)(POOL_PAGE_BYTES - 1));
}

/* 2 … 9 one by one, 10-13, 14-21, 22-37, 38-50. */
static unsigned list_of(unsigned count)
{
    if (count <= EXACT_MAX)
        return count - BRANCH_MIN;
    return 6 + 31 - (unsigned)__builtin_clz(count - 6);
}

static void slot_link(struct trie_pool *pool, void *block, unsigned count)
{
    struct slot *s = block;
    unsigned list = list_of(count);
    s->refs = 0;
    s->count = (uint16_t)count;
    s->prev = NULL;
    s->next = pool->free[list];
    if (s->next)
        s->next->prev = s;
    pool->free[list] = s;
    pool->free_map |= 1u << list;
    POISON(s + 1, branch_bytes(count) - sizeof *s);
}

static void slot_unlink(struct trie_pool *pool, struct slot *s)
{
    unsigned list = list_of(s->count);
    if (s->prev)
        s->prev->next = s->next;
    else
        pool->free[list] = s->next;
    if (s->next)
        s->next->prev = s->prev;
    if (!pool->free[list])
        pool->free_map &= ~(1u << list);
    UNPOISON(s, branch_bytes(s->count));
}

static void page_link(struct trie_pool *pool, struct page *page)
{
    page->prev = NULL;
    page->next = pool->pages;
    if (page->next)
        page->next->prev = page;
    pool->pages = page;
}

/* Gives a new front page; what is left of the old one becomes a slot. */
static void page_take(struct trie_pool *pool)
{
    struct page *front = pool->pages;
    if (front && PAGE_ROOM - front->used >= branch_bytes(BRANCH_MIN)) {
        unsigned count = (PAGE_ROOM - front->used - sizeof(struct branch)) / sizeof(uintptr_t);
        ASSERT(count <= BRANCH_MAX);
        UNPOISON((char *)front + front->used, branch_bytes(count));
        slot_link(pool, (char *)front + front->used, count);
        front->used += branch_bytes(count);
    }
    struct page *page = pool->spare;
    pool->spare = NULL;
    if (!page) {
        page = mem_aligned(POOL_PAGE_BYTES, PAGE_ROOM);
        pool->stats.held_bytes += POOL_PAGE_BYTES;
    }
    page->used = sizeof *page;
    page->live = 0;
    page_link(pool, page);
    POISON(page + 1, PAGE_ROOM - sizeof *page);
}

/* The last live block of a page is gone. */
static void page_release(struct trie_pool *pool, struct page *page)
{
    char *p = (char *)(page + 1), *end = (char *)page + page->used;
    while (p < end) {
        struct slot *s = (struct slot *)p;
        p += branch_bytes(s->count);
        slot_unlink(pool, s);
    }
    if (page == pool->pages) { /* still being cut: starts over */
        page->used = sizeof *page;
        POISON(page + 1, PAGE_ROOM - sizeof *page);
        return;
    }
    page->prev->next = page->next;
    if (page->next)
        page->next->prev = page->prev;
    UNPOISON(page, PAGE_ROOM);
    if (!pool->spare) {
        pool->spare = page;
    } else {
        pool->stats.held_bytes -= POOL_PAGE_BYTES;
        mem_free(&page);
    }
}

/* A free block of `least` to `most` twigs in the list where those of `least` are; NULL: none was seen. */
static struct slot *slot_look(const struct trie_pool *pool, unsigned least, unsigned most)
{
    struct slot *s = pool->free[list_of(least)];
    for (unsigned n = 0; s && n < LOOK_MAX; n++, s = s->next)
        if (s->count >= least && s->count <= most)
            return s;
    return NULL;
}

/* Cuts `count` twigs' worth off a larger free block whose rest is a block, too; NULL: there is
 * none. */
static void *slot_split(struct trie_pool *pool, unsigned count)
{
    unsigned least = count + BRANCH_MIN + HEAD_TWIGS;
    if (least > BRANCH_MAX)
        return NULL;
    struct slot *s = slot_look(pool, least, BRANCH_MAX);
    unsigned larger = pool->free_map >> list_of(least) >> 1;
    if (!s && larger) /* whatever is there is large enough */
        s = pool->free[list_of(least) + 1 + (unsigned)__builtin_ctz(larger)];
    if (!s)
        return NULL;
    unsigned rest = s->count - count - HEAD_TWIGS;
    slot_unlink(pool, s);
    slot_link(pool, (char *)s + branch_bytes(count), rest);
    return s;
}

/* Joins the free blocks that lie side by side in a page. */
static void page_join(struct trie_pool *pool, struct page *page)
{
    char *p = (char *)(page + 1), *end = (char *)page + page->used;
    struct slot *open = NULL; /* the free block before p */
    while (p < end) {
        struct slot *s = (struct slot *)p;
        unsigned joined = open ? open->count + s->count + HEAD_TWIGS : 0;
        p += branch_bytes(s->count);
        if (s->refs > 0) {
            open = NULL;
        } else if (!open || joined > BRANCH_MAX) {
            open = s;
        } else {
            slot_unlink(pool, s);
            slot_unlink(pool, open);
            slot_link(pool, open, joined);
        }
    }
}

/* A load makes branches grow in step, and what they grew out of is too small for what they grow
 * into. So before a page is taken, when a fair part of the pool is free, neighbours are joined. Not
 * again before as much was freed anew: a walk over all pages is paid for by the frees that led to
 * it. */
static bool pool_join(struct trie_pool *pool)
{
    size_t free_bytes = pool->stats.held_bytes - pool->stats.branch_bytes;
    if (free_bytes < pool->stats.held_bytes / 8 || pool->freed_bytes < pool->stats.held_bytes / 8)
        return false;
    pool->freed_bytes = 0;
    for (struct page *page = pool->pages; page; page = page->next)
        page_join(pool, page);
    return true;
}

static void *block_reuse(struct trie_pool *pool, unsigned count)
{
    struct slot *s = slot_look(pool, count, count);
    if (!s)
        return slot_split(pool, count);
    slot_unlink(pool, s);
    return s;
}

static void *block_cut(struct trie_pool *pool, size_t bytes)
{
    void *block = (char *)pool->pages + pool->pages->used;
    pool->pages->used += (uint32_t)bytes;
    UNPOISON(block, bytes);
    return block;
}

struct branch *branch_new(struct trie_pool *pool, unsigned count)
{
    size_t bytes = branch_bytes(count);
    struct branch *b = block_reuse(pool, count);
    if (!b && (!pool->pages || PAGE_ROOM - pool->pages->used < bytes)) {
        if (pool_join(pool))
            b = block_reuse(pool, count);
        if (!b)
            page_take(pool);
    }
    if (!b)
        b = block_cut(pool, bytes);
    b->refs = 1;
    b->count = (uint16_t)count;
    page_of(b)->live++;
    pool->stats.branches++;
    pool->stats.branch_bytes += bytes;
    return b;
}

void branch_free(struct trie_pool *pool, struct branch *b)
{
    struct page *page = page_of(b);
    size_t bytes = branch_bytes(b->count);
    pool->stats.branches--;
    pool->stats.branch_bytes -= bytes;
    pool->freed_bytes += bytes;
    slot_link(pool, b, b->count);
    if (--page->live == 0)
        page_release(pool, page);
}

struct trie_pool *trie_pool_new(const struct trie_leaf_ops *ops)
{
    struct trie_pool *pool = mem_zalloc(sizeof *pool);
    pool->leaf = ops;
    return pool;
}

void trie_pool_free(struct trie_pool **pool)
{
    struct trie_pool *p = *pool;
    if (!p)
        return;
    ASSERT(p->stats.branches == 0);
    while (p->pages) {
        struct page *page = p->pages;
        p->pages = page->next;
        UNPOISON(page, PAGE_ROOM);
        mem_free(&page);
    }
    if (p->spare)
        mem_free(&p->spare);
    mem_free(pool);
}

void trie_pool_stats(const struct trie_pool *pool, struct trie_stats *out)
{
    *out = pool->stats;
}
