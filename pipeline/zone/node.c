/* node: how records become one block, and how the block is read.
 *
 * The builder keeps an array of entries (type, covered, TTL, where the rdata lies) and one growing
 * run of rdata octets; both are kept from name to name, so a load allocates once a name: the node.
 *
 * Entries [0, sorted) are in order, without duplicates; what was added since is a tail in order of
 * arrival. Sealing sorts the tail (insertion for a few, merge for many: n log n whatever comes) and
 * merges it in. The merge is stable, so of equal records the first spelling stays. A removal looks
 * into the sorted part by halving and through a short tail; it only marks, and the next merge
 * sweeps. So neither a name with 65 k records nor adding and removing in turn makes anything
 * quadratic.
 *
 * Counts in a block lie where they fall: they are read by memcpy.
 */
#include "pipeline/zone/node.h"
#include "pipeline/base/alloc.h"
#include "pipeline/base/assert.h"
#include "pipeline/zone/name.h"

#include <stdatomic.h>
#include <string.h>

enum {
    INSERTION_MAX = 12, /* below this many, insertion sort is the faster one */
    TAIL_MAX = 256,     /* a removal looks through this many; a longer tail is merged first */
};

struct entry {
    uint16_t type, covered;
    uint32_t ttl;
    uint32_t at; /* in octets */
    uint16_t len;
    bool mixed, dead;
};

struct node_builder {
    struct entry *entry, *spare; /* spare: as large, for merging */
    size_t n, sorted, cap;
    uint8_t *octets;
    size_t used, room;
    uint8_t owner[NAME_MAX_OCTETS];
    uint8_t owner_len;  /* 0: not begun */
    bool mixed_removed; /* a record was taken out of a set that had come with different TTLs */
};

void node_rrset_at(const struct node *node, unsigned index, struct rrset *out)
{
    ASSERT(index < node->nrrsets);
    const struct rrset_head *h = &node->head[index];
    const uint8_t *block = (const uint8_t *)node;
    const uint8_t *p = block + (h->at & ~NODE_TTL_MIXED);
    out->type = h->type;
    out->covered = h->covered;
    out->ttl = h->ttl;
    out->ttl_mixed = h->at & NODE_TTL_MIXED;
    memcpy(&out->count, p, sizeof out->count);
    out->rdata = p + sizeof out->count;
    out->end = block + (index + 1u < node->nrrsets ? h[1].at & ~NODE_TTL_MIXED : node->bytes);
}

/* Index of the first rrset at or after (type, covered); nrrsets when there is none. */
static unsigned head_find(const struct node *node, uint16_t type, uint16_t covered)
{
    uint32_t want = (uint32_t)type << 16 | covered;
    unsigned lo = 0, hi = node->nrrsets;
    while (hi - lo > 8) {
        unsigned mid = (lo + hi) / 2;
        const struct rrset_head *h = &node->head[mid];
        if (((uint32_t)h->type << 16 | h->covered) < want)
            lo = mid + 1;
        else
            hi = mid;
    }
    while (lo < hi && ((uint32_t)node->head[lo].type << 16 | node->head[lo].covered) < want)
        lo++;
    return lo;
}

bool node_rrset(const struct node *node, uint16_t type, uint16_t covered, struct rrset *out)
{
    unsigned i = head_find(node, type, covered);
    if (i == node->nrrsets || node->head[i].type != type || node->head[i].covered != covered)
        return false;
    node_rrset_at(node, i, out);
    return true;
}

bool node_has(const struct node *node, uint16_t type)
{
    unsigned i = head_find(node, type, 0);
    return i < node->nrrsets && node->head[i].type == type;
}

bool rrset_equal(const struct rrset *a, const struct rrset *b, bool exact)
{
    if (a->type != b->type || a->covered != b->covered || a->ttl != b->ttl || a->count != b->count)
        return false;
    size_t n = (size_t)(a->end - a->rdata);
    if (n == (size_t)(b->end - b->rdata) && memcmp(a->rdata, b->rdata, n) == 0)
        return true;
    if (exact)
        return false;
    const uint8_t *pa = a->rdata, *pb = b->rdata;
    struct rdata ra, rb;
    while (rrset_next(a, &pa, &ra) && rrset_next(b, &pb, &rb))
        if (rdata_cmp(a->type, ra.data, ra.len, rb.data, rb.len))
            return false;
    return true;
}

struct node *node_ref(const struct node *node)
{
    /* Counting is the one thing that holders of a const node change. */
    struct node *n = (struct node *)(uintptr_t)node;
    uint32_t was = atomic_fetch_add_explicit(&n->refs, 1, memory_order_relaxed);
    ASSERT(was > 0 && was < UINT32_MAX);
    return n;
}

void node_unref(struct node *node)
{
    if (!node)
        return;
    uint32_t was = atomic_fetch_sub_explicit(&node->refs, 1, memory_order_acq_rel);
    ASSERT(was > 0);
    if (was == 1)
        mem_free(&node);
}

bool node_equal(const struct node *a, const struct node *b)
{
    return a == b || (a->bytes == b->bytes &&
                      memcmp(&a->bytes, &b->bytes, a->bytes - offsetof(struct node, bytes)) == 0);
}

static void leaf_key(const void *leaf, struct trie_key *out)
{
    /* The name lies behind the heads, often in the next cache line: asked for together with the first. */
    __builtin_prefetch((const char *)leaf + 64);
    name_key(node_name(leaf), out);
}
static void leaf_ref(void *leaf)
{
    (void)node_ref(leaf);
}
static void leaf_unref(void *leaf)
{
    node_unref(leaf);
}
static unsigned leaf_marks(const void *leaf)
{
    return (unsigned)node_has(leaf, RR_NSEC3) << NODE_MARK_NSEC3 |
           (unsigned)node_has(leaf, RR_RRSIG) << NODE_MARK_SIGNED;
}

const struct trie_leaf_ops node_leaf_ops = {leaf_key, leaf_ref, leaf_unref, leaf_marks};

struct node_builder *node_builder_new(void)
{
    return mem_zalloc(sizeof(struct node_builder));
}

void node_builder_free(struct node_builder **b)
{
    if (!*b)
        return;
    mem_free(&(*b)->entry);
    mem_free(&(*b)->spare);
    mem_free(&(*b)->octets);
    mem_free(b);
}

void node_builder_begin(struct node_builder *b, const uint8_t *owner)
{
    b->n = b->sorted = b->used = 0;
    b->mixed_removed = false;
    b->owner_len = (uint8_t)name_copy(b->owner, owner);
}

void node_builder_rename(struct node_builder *b, const uint8_t *owner)
{
    ASSERT(b->owner_len && name_equal(b->owner, owner));
    b->owner_len = (uint8_t)name_copy(b->owner, owner);
}

static int entry_cmp(const struct node_builder *b, const struct entry *x, const struct entry *y)
{
    if (x->type != y->type)
        return x->type < y->type ? -1 : 1;
    if (x->covered != y->covered)
        return x->covered < y->covered ? -1 : 1;
    return rdata_cmp(x->type, b->octets + x->at, x->len, b->octets + y->at, y->len);
}

static void insertion_sort(const struct node_builder *b, struct entry *e, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct entry x = e[i];
        size_t j = i;
        for (; j > 0 && entry_cmp(b, &e[j - 1], &x) > 0; j--)
            e[j] = e[j - 1];
        e[j] = x;
    }
}

/* Merges e[0, mid) and e[mid, n), both in order, through the spare array; stable. */
static void merge(const struct node_builder *b, struct entry *e, size_t mid, size_t n)
{
    if (mid == 0 || mid == n || entry_cmp(b, &e[mid - 1], &e[mid]) <= 0)
        return;
    memcpy(b->spare, e, mid * sizeof *e);
    size_t i = 0, j = mid, k = 0;
    while (i < mid && j < n)
        e[k++] = entry_cmp(b, &b->spare[i], &e[j]) <= 0 ? b->spare[i++] : e[j++];
    memcpy(e + k, b->spare + i, (mid - i) * sizeof *e);
}

static void merge_sort(const struct node_builder *b, struct entry *e, size_t n)
{
    for (size_t i = 0; i < n; i += INSERTION_MAX)
        insertion_sort(b, e + i, n - i < INSERTION_MAX ? n - i : INSERTION_MAX);
    for (size_t width = INSERTION_MAX; width < n; width *= 2)
        for (size_t i = 0; i + width < n; i += 2 * width)
            merge(b, e + i, width, n - i < 2 * width ? n - i : 2 * width);
}

/* Everything in order, the dead and the duplicates gone. What two duplicates say of the TTL is
 * kept. */
static void builder_settle(struct node_builder *b)
{
    struct entry *e = b->entry;
    if (b->n == 0)
        return;
    merge_sort(b, e + b->sorted, b->n - b->sorted);
    merge(b, e, b->sorted, b->n);
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (e[i].dead)
            continue;
        if (n && entry_cmp(b, &e[n - 1], &e[i]) == 0) {
            struct entry *kept = &e[n - 1];
            kept->mixed |= e[i].mixed || kept->ttl != e[i].ttl;
            kept->ttl = kept->ttl < e[i].ttl ? kept->ttl : e[i].ttl;
            continue;
        }
        e[n++] = e[i];
    }
    b->n = b->sorted = n;
}

static uint16_t covered_of(uint16_t type, const uint8_t *rdata)
{
    return type == RR_RRSIG || type == RR_SIG ? get_u16(rdata) : 0;
}

static void builder_grow(struct node_builder *b, size_t more, size_t octets)
{
    if (b->n + more > b->cap) {
        b->cap = (b->n + more) * 2 < 16 ? 16 : (b->n + more) * 2;
        b->entry = mem_resize(b->entry, b->cap * sizeof *b->entry);
        b->spare = mem_resize(b->spare, b->cap * sizeof *b->spare);
    }
    if (!b->octets || b->used + octets > b->room) {
        b->room = (b->used + octets) * 2 < 1024 ? 1024 : (b->used + octets) * 2;
        b->octets = mem_resize(b->octets, b->room);
    }
}

static void builder_append(struct node_builder *b, uint16_t type, uint32_t ttl, bool mixed,
                           const uint8_t *rdata, uint16_t len)
{
    ASSERT(b->owner_len && b->used <= UINT32_MAX - len);
    builder_grow(b, 1, len);
    if (len)
        memcpy(b->octets + b->used, rdata, len);
    b->entry[b->n++] =
        (struct entry){type, covered_of(type, rdata), ttl, (uint32_t)b->used, len, mixed, false};
    b->used += len;
}

/* Octets that the node of all entries may need at most. */
static size_t bytes_at_most(const struct node_builder *b)
{
    return sizeof(struct node) + NAME_MAX_OCTETS + b->used + b->n * (sizeof(struct rrset_head) + 4);
}

int node_builder_add(struct node_builder *b, uint16_t type, uint32_t ttl, const uint8_t *rdata,
                     uint16_t len)
{
    if (b->n >= NODE_RECORDS_MAX) {
        /* Duplicates may have filled it; but settling for every record more is not to be had for
         * free. */
        builder_settle(b);
        if (b->n > NODE_RECORDS_MAX / 4 * 3)
            return -E_LIMIT;
    }
    if (bytes_at_most(b) + len + sizeof(struct rrset_head) + 4 > NODE_BYTES_MAX)
        return -E_LIMIT;
    builder_append(b, type, ttl, false, rdata, len);
    return 0;
}

void node_builder_add_rrset(struct node_builder *b, const struct rrset *set)
{
    const uint8_t *p = set->rdata;
    struct rdata r;
    while (rrset_next(set, &p, &r))
        builder_append(b, set->type, set->ttl, set->ttl_mixed, r.data, r.len);
}

void node_builder_add_node(struct node_builder *b, const struct node *node,
                           bool (*skip)(void *ctx, const struct rrset *set), void *ctx)
{
    bool first = b->n == 0;
    for (unsigned i = 0; i < node->nrrsets; i++) {
        struct rrset set;
        node_rrset_at(node, i, &set);
        if (!skip || !skip(ctx, &set))
            node_builder_add_rrset(b, &set);
    }
    if (first)
        b->sorted = b->n; /* a node's records are in order already */
}

/* Marks every live entry of e[from, to) that equals x, going up while they are equal or (scan) to
 * the end. */
static bool bury(struct node_builder *b, const struct entry *x, size_t from, size_t to, bool scan)
{
    bool found = false;
    for (size_t i = from; i < to; i++) {
        struct entry *e = &b->entry[i];
        if (entry_cmp(b, e, x) == 0) {
            found |= !e->dead;
            b->mixed_removed |= !e->dead && e->mixed;
            e->dead = true;
        } else if (!scan) {
            break;
        }
    }
    return found;
}

/* The wanted record stands behind the used octets for a moment, so that entries can be compared. Returns
 * the first entry of the sorted part that is not before it. */
static size_t entry_want(struct node_builder *b, uint16_t type, const uint8_t *rdata, uint16_t len,
                         struct entry *x)
{
    if (b->n - b->sorted > TAIL_MAX)
        builder_settle(b);
    builder_grow(b, 0, len);
    if (len)
        memcpy(b->octets + b->used, rdata, len);
    *x = (struct entry){
        .type = type, .covered = covered_of(type, rdata), .at = (uint32_t)b->used, .len = len};
    size_t lo = 0, hi = b->sorted;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (entry_cmp(b, &b->entry[mid], x) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

bool node_builder_remove(struct node_builder *b, uint16_t type, const uint8_t *rdata, uint16_t len)
{
    struct entry x;
    size_t at = entry_want(b, type, rdata, len, &x);
    bool in_sorted = bury(b, &x, at, b->sorted, false);
    return bury(b, &x, b->sorted, b->n, true) || in_sorted;
}

bool node_builder_find(struct node_builder *b, uint16_t type, const uint8_t *rdata, uint16_t len,
                       uint32_t *ttl, bool *mixed)
{
    struct entry x;
    const struct entry *found = NULL;
    size_t at = entry_want(b, type, rdata, len, &x);
    for (size_t i = at; i < b->sorted && !found && entry_cmp(b, &b->entry[i], &x) == 0; i++)
        found = b->entry[i].dead ? NULL : &b->entry[i];
    for (size_t i = b->sorted; i < b->n && !found; i++)
        if (!b->entry[i].dead && entry_cmp(b, &b->entry[i], &x) == 0)
            found = &b->entry[i];
    if (!found)
        return false;
    *ttl = found->ttl;
    *mixed = found->mixed;
    return true;
}

bool node_builder_ttl_unknown(const struct node_builder *b)
{
    for (size_t i = 0; b->mixed_removed && i < b->n; i++)
        if (!b->entry[i].dead && b->entry[i].mixed)
            return true;
    return false;
}

static bool same_set(const struct entry *x, const struct entry *y)
{
    return x->type == y->type && x->covered == y->covered;
}

/* Writes the rrset of entries e[0, n) at `at` of the block; returns where it ends. */
static size_t seal_rrset(const struct node_builder *b, struct node *node, struct rrset_head *head,
                         size_t at, const struct entry *e, size_t n)
{
    ASSERT(n <= UINT16_MAX);
    uint16_t count = (uint16_t)n;
    uint8_t *block = (uint8_t *)node;
    *head = (struct rrset_head){e->type, e->covered, e->ttl, (uint32_t)at};
    memcpy(block + at, &count, sizeof count);
    at += sizeof count;
    for (size_t i = 0; i < n; i++) {
        if (e[i].mixed || e[i].ttl != e->ttl)
            head->at |= NODE_TTL_MIXED;
        if (e[i].ttl < head->ttl)
            head->ttl = e[i].ttl;
        put_u16(block + at, e[i].len);
        memcpy(block + at + 2, b->octets + e[i].at, e[i].len);
        at += 2u + e[i].len;
    }
    return at;
}

struct node *node_builder_seal(struct node_builder *b)
{
    ASSERT(b->owner_len);
    builder_settle(b);
    size_t nsets = 0, octets = 0, owner_len = b->owner_len;
    for (size_t i = 0; i < b->n; i++) {
        nsets += i == 0 || !same_set(&b->entry[i - 1], &b->entry[i]);
        octets += b->entry[i].len;
    }
    struct node *node = NULL;
    if (b->n) {
        size_t at = sizeof *node + nsets * sizeof *node->head + owner_len;
        size_t bytes = at + nsets * sizeof(uint16_t) + b->n * 2 + octets;
        ASSERT(bytes <= NODE_BYTES_MAX && nsets <= UINT16_MAX);
        node = mem_alloc(bytes);
        atomic_init(&node->refs, 1);
        node->bytes = (uint32_t)bytes;
        node->records = (uint32_t)b->n;
        node->nrrsets = (uint16_t)nsets;
        node->name_len = (uint8_t)owner_len;
        node->reserved = 0;
        memcpy(node->head + nsets, b->owner, owner_len);
        struct rrset_head *head = node->head;
        for (size_t i = 0, j; i < b->n; i = j) {
            for (j = i + 1; j < b->n && same_set(&b->entry[i], &b->entry[j]); j++)
                ;
            at = seal_rrset(b, node, head++, at, &b->entry[i], j - i);
        }
        ASSERT(at == bytes);
    }
    b->n = b->sorted = b->used = 0;
    return node;
}
