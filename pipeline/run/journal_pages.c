/* LMDB's pages, looked at before they are trusted.
 *
 *   page     u64 number | u16 - | u16 flags | u16 lower, u16 upper (or u32 pages of a large value) | u16 offsets of nodes …
 *            free room is [lower, upper), nodes lie behind it
 *   node     u16, u16 size of the value, low part first (in a branch, with the flags: the page below) | u16 flags | u16 key size
 *            | key | value, or the u64 page where a large one begins
 *   meta     pages 0 and 1, behind their heads: u32 magic | u32 version | u64 address | u64 map size | two trees, free pages first
 *            | u64 last page | u64 transaction
 *   tree     u32 page size | u16 flags | u16 depth | u64 branch, leaf, large-value pages | u64 entries | u64 root
 *
 * All in the machine's own order. Every page may be used once, so a walk ends, whatever it finds. */
#include "pipeline/run/journal_pages.h"

#include "pipeline/base/alloc.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

enum {
    PAGE_HEAD = 16,
    NODE_HEAD = 8,
    FLAG_BRANCH = 0x01,
    FLAG_LEAF = 0x02,
    FLAG_LARGE = 0x04,
    FLAG_META = 0x08,
    NODE_LARGE = 0x01,
    DEPTH_MAX = 32,
    KEY_MAX = 511,
    TREE_OCTETS = 48,
    INTEGER_KEYS = 0x08,
    UNWRITTEN_MAX = 1 << 20, /* free pages behind the end of the file that are believed */
};
static const uint32_t MAGIC = 0xBEEFC0DE;
static const uint64_t NO_PAGE = UINT64_MAX;

struct tree {
    uint16_t flags, depth;
    uint64_t branches, leaves, large, entries, root;
};

struct walk {
    const struct pages_file *file;
    uint8_t *page[DEPTH_MAX + 1]; /* the one that is looked at on each level */
    size_t page_size;
    uint64_t pages;         /* in use at all: last page + 1 */
    uint64_t there;         /* of them, in the file */
    uint8_t *used;          /* a bit a page */
    struct tree tree, seen; /* as it says, and as it is */
    bool free_pages;        /* it is LMDB's own tree */
    struct why *why;
};

static uint16_t at16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static uint32_t at32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static uint64_t at64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static int wrong(const struct walk *w, uint64_t page, const char *rule)
{
    return why_set(w->why, -E_FORMAT, "page %" PRIu64 " of %" PRIu64 ": %s", page, w->pages, rule);
}

/* Takes n pages from `page` on for one use; end: of those that can be. */
static int take(struct walk *w, uint64_t page, uint64_t n, uint64_t end)
{
    if (page < 2 || page >= end || n > end - page)
        return wrong(w, page, "is named, and lies outside the file");
    for (uint64_t i = page; i < page + n; i++) {
        if (w->used[i / 8] & 1u << i % 8)
            return wrong(w, i, "is used twice");
        w->used[i / 8] |= (uint8_t)(1u << i % 8);
    }
    return 0;
}

static int page_read(struct walk *w, uint64_t page, unsigned level, const uint8_t **out)
{
    uint8_t **room = &w->page[level];
    if (!*room)
        *room = mem_alloc(w->page_size);
    *out = *room;
    return w->file->read(w->file->ctx, page * w->page_size, *room, w->page_size, w->why);
}

/* A list of free pages: how many, then their numbers, the largest first. A page that was taken and given back in one transaction
 * was never written, so it may lie behind the end of the file. */
static int free_list(struct walk *w, uint64_t page, const uint8_t *value, size_t len)
{
    uint64_t n = len >= 8 ? at64(value) : 0;
    if (len < 8 || n > len / 8 - 1)
        return wrong(w, page, "a list of free pages is longer than its room");
    for (uint64_t i = 1; i <= n; i++) {
        uint64_t number = at64(value + 8 * i);
        if (i > 1 && number >= at64(value + 8 * (i - 1)))
            return wrong(w, page, "a list of free pages is not in order");
        int err = take(w, number, 1, w->pages);
        if (err)
            return err;
    }
    return 0;
}

/* A value that was put again in its transaction, and was smaller then, has more pages than it needs. */
static int large_value(struct walk *w, uint64_t page, uint64_t first, size_t len)
{
    if (first < 2 || first >= w->there)
        return wrong(w, first, "is named, and lies outside the file");
    uint8_t p[PAGE_HEAD];
    uint64_t at = first * w->page_size;
    int err = w->file->read(w->file->ctx, at, p, sizeof p, w->why);
    if (err)
        return err;
    uint64_t n = at32(p + 12);
    if (at64(p) != first || at16(p + 10) != FLAG_LARGE ||
        n < (PAGE_HEAD - 1 + len) / w->page_size + 1)
        return wrong(w, first, "should begin a large value");
    err = take(w, first, n, w->there);
    w->seen.large += n;
    if (err || !w->free_pages)
        return err;
    uint8_t *list = mem_alloc(len);
    err = w->file->read(w->file->ctx, at + PAGE_HEAD, list, len, w->why);
    if (!err)
        err = free_list(w, page, list, len);
    mem_free(&list);
    return err;
}

static int leaf_node(struct walk *w, uint64_t page, const uint8_t *node, size_t room)
{
    size_t len = at16(node) | (size_t)at16(node + 2) << 16, key = at16(node + 6);
    uint16_t flags = at16(node + 4);
    size_t here = flags == NODE_LARGE ? 8 : len;
    if (flags & ~NODE_LARGE || key == 0 || key > KEY_MAX || room < NODE_HEAD + key ||
        room - NODE_HEAD - key < here)
        return wrong(w, page, "a node reaches beyond its page, or is of no kind");
    if (w->free_pages && key != 8)
        return wrong(w, page, "a list of free pages has a key of another size");
    const uint8_t *value = node + NODE_HEAD + key;
    w->seen.entries++;
    if (flags == NODE_LARGE)
        return large_value(w, page, at64(value), len);
    return w->free_pages ? free_list(w, page, value, len) : 0;
}

static int key_order(const struct walk *w, const uint8_t *a, const uint8_t *b)
{
    size_t an = at16(a + 6), bn = at16(b + 6);
    if (w->tree.flags & INTEGER_KEYS) {
        uint64_t x = an == 8 ? at64(a + NODE_HEAD) : 0, y = bn == 8 ? at64(b + NODE_HEAD) : 0;
        return x < y ? -1 : x > y;
    }
    int order = memcmp(a + NODE_HEAD, b + NODE_HEAD, an < bn ? an : bn);
    return order ? order : an < bn ? -1 : an > bn;
}

static int page_walk(struct walk *w, uint64_t page, unsigned depth);

static int branch_node(struct walk *w, uint64_t page, const uint8_t *node, size_t room, bool first,
                       unsigned depth)
{
    size_t key = at16(node + 6);
    if (key > KEY_MAX || (key == 0 && !first) || room < NODE_HEAD + key)
        return wrong(w, page, "a node reaches beyond its page");
    uint64_t below = at16(node) | (uint64_t)at16(node + 2) << 16 | (uint64_t)at16(node + 4) << 32;
    return page_walk(w, below, depth + 1);
}

/* Where node i lies; NULL: outside the page's room for nodes. */
static const uint8_t *node_at(const struct walk *w, const uint8_t *p, unsigned i, size_t *room)
{
    size_t at = at16(p + PAGE_HEAD + 2 * i), upper = at16(p + 14);
    if (at < upper || at % 2 || at + NODE_HEAD > w->page_size)
        return NULL;
    *room = w->page_size - at;
    return p + at;
}

/* Nodes must not overlap: together they fill [upper, end). */
static bool nodes_fit(const struct walk *w, const uint8_t *p, unsigned n, bool branch)
{
    size_t sum = 0, room;
    for (unsigned i = 0; i < n; i++) {
        const uint8_t *node = node_at(w, p, i, &room);
        if (!node)
            return false;
        size_t len = branch                         ? 0
                     : at16(node + 4) == NODE_LARGE ? 8
                                                    : at16(node) | (size_t)at16(node + 2) << 16;
        size_t size = NODE_HEAD + at16(node + 6) + len;
        if (size > room)
            return false;
        sum += size + size % 2;
    }
    return sum == w->page_size - at16(p + 14);
}

static int page_walk(struct walk *w, uint64_t page, unsigned depth)
{
    const uint8_t *p;
    int err = take(w, page, 1, w->there);
    if (!err)
        err = page_read(w, page, depth, &p);
    if (err)
        return err;
    uint16_t flags = at16(p + 10), lower = at16(p + 12), upper = at16(p + 14);
    bool branch = depth < w->tree.depth;
    if (at64(p) != page || flags != (branch ? FLAG_BRANCH : FLAG_LEAF))
        return wrong(w, page, branch ? "should be a branch" : "should be a leaf");
    if (lower < PAGE_HEAD || lower % 2 || upper < lower || upper > w->page_size)
        return wrong(w, page, "its free room is wrong");
    unsigned n = (lower - PAGE_HEAD) / 2u;
    if (n < (branch ? 2u : 1u))
        return wrong(w, page, "has too few nodes");
    if (!nodes_fit(w, p, n, branch))
        return wrong(w, page, "its nodes overlap, or lie outside");
    w->seen.branches += branch;
    w->seen.leaves += !branch;
    const uint8_t *last = NULL;
    for (unsigned i = 0; i < n; i++) {
        size_t room = 0;
        const uint8_t *node = node_at(w, p, i, &room);
        err = branch ? branch_node(w, page, node, room, i == 0, depth)
                     : leaf_node(w, page, node, room);
        if (err)
            return err;
        if (last && !(branch && i == 1) && key_order(w, last, node) >= 0)
            return wrong(w, page, "its keys are not in order");
        last = node;
    }
    return 0;
}

static int tree_check(struct walk *w, const uint8_t *p)
{
    w->tree = (struct tree){.flags = at16(p + 4),
                            .depth = at16(p + 6),
                            .branches = at64(p + 8),
                            .leaves = at64(p + 16),
                            .large = at64(p + 24),
                            .entries = at64(p + 32),
                            .root = at64(p + 40)};
    w->seen = (struct tree){0};
    if ((w->tree.flags & ~INTEGER_KEYS) || !(w->tree.flags & INTEGER_KEYS) != !w->free_pages)
        return wrong(w, w->tree.root, "is the root of a tree of another kind");
    if (w->tree.root == NO_PAGE)
        return w->tree.depth || w->tree.entries ? wrong(w, 0, "a tree without a root has entries")
                                                : 0;
    if (w->tree.depth == 0 || w->tree.depth > DEPTH_MAX)
        return wrong(w, w->tree.root, "is the root of a tree of an impossible depth");
    int err = page_walk(w, w->tree.root, 1);
    if (err)
        return err;
    if (w->seen.branches != w->tree.branches || w->seen.leaves != w->tree.leaves ||
        w->seen.large != w->tree.large || w->seen.entries != w->tree.entries)
        return wrong(w, w->tree.root, "is the root of a tree that has not what it says it has");
    return 0;
}

/* The meta page of the transaction; NULL: neither is. */
static int meta_find(struct walk *w, uint64_t txn, const uint8_t **out)
{
    *out = NULL;
    for (unsigned i = 0; i < 2 && (i + 1) * w->page_size <= w->file->size; i++) {
        const uint8_t *p, *meta;
        int err = page_read(w, i, 0, &p);
        if (err)
            return err;
        meta = p + PAGE_HEAD;
        if (at16(p + 10) == FLAG_META && at32(meta) == MAGIC && at32(meta + 4) == 1 &&
            at32(meta + 24) == w->page_size && at64(meta + 24 + 2 * TREE_OCTETS + 8) == txn) {
            *out = meta;
            return 0;
        }
    }
    return why_set(w->why, -E_FORMAT,
                   "neither of its two first pages is that of transaction %" PRIu64, txn);
}

int pages_head_check(const uint8_t *file, size_t size, struct why *why)
{
    enum { META_OCTETS = 24 + 2 * TREE_OCTETS + 16, PAGE_MIN = 512, PAGE_MAX = 1 << 16 };
    static const uint64_t FILE_MAX = (uint64_t)1 << 42;
    uint64_t page_size = 0;
    for (unsigned i = 0; i < 2 && size; i++) {
        size_t at = (size_t)(i * page_size);
        if (size < at + PAGE_HEAD + META_OCTETS)
            return why_set(why, -E_FORMAT, "the file was cut: it has %zu octets", size);
        const uint8_t *meta = file + at + PAGE_HEAD;
        uint32_t own = at32(meta + 24);
        if (own < PAGE_MIN || own > PAGE_MAX || (own & (own - 1)) || (i && own != page_size))
            return why_set(why, -E_FORMAT, "page %u says that pages have %u octets", i, own);
        page_size = own;
        if (at64(meta + 24 + 2 * TREE_OCTETS) >= FILE_MAX / page_size)
            return why_set(why, -E_FORMAT, "page %u has an impossible last page", i);
    }
    return 0;
}

static int trees_check(struct walk *w, uint64_t txn)
{
    const uint8_t *meta;
    int err = meta_find(w, txn, &meta); /* on level 0; the trees are on those above */
    if (err)
        return err;
    w->pages = at64(meta + 24 + 2 * TREE_OCTETS);
    w->there = w->file->size / w->page_size;
    if (w->pages >= 2 * w->there + UNWRITTEN_MAX)
        return why_set(w->why, -E_FORMAT,
                       "the file was cut: it has %" PRIu64 " octets, and its last page is %" PRIu64,
                       w->file->size, w->pages);
    w->pages++;
    if (w->there > w->pages)
        w->there = w->pages;
    w->used = mem_zalloc((size_t)(w->pages / 8 + 1));
    w->free_pages = true;
    err = tree_check(w, meta + 24);
    w->free_pages = false;
    return err ? err : tree_check(w, meta + 24 + TREE_OCTETS);
}

int pages_check(const struct pages_file *file, size_t page_size, uint64_t txn, struct why *why)
{
    struct walk w = {.file = file, .page_size = page_size, .why = why};
    int err = page_size < 512 ? why_set(why, -E_FORMAT, "pages of %zu octets", page_size)
                              : trees_check(&w, txn);
    for (unsigned i = 0; i <= DEPTH_MAX; i++)
        mem_free(&w.page[i]);
    mem_free(&w.used);
    return err;
}
