/* forge: see forge.h. Two edits: the first adds the denial chain, the second the signatures over all of it.
 * NSEC3: iterations 1, salt "ab", so that both take part in the hash.
 */
#include "tests/lib/forge.h"

#include "pipeline/base/alloc.h"
#include "pipeline/zone/dnssec.h"
#include "pipeline/zone/edit.h"

#include <stdio.h>
#include <stdlib.h>

enum { SIGNATURE_OCTETS = 64, TAG = 4711, TTL = 3600, ITERATIONS = 1, HASH = 20 };
static const uint8_t salt[] = {0xab};

static void must(int err, const struct why *why)
{
    if (err) {
        fprintf(stderr, "forge: %s\n", why->text);
        abort();
    }
}

static struct snapshot *seal(struct edit **e)
{
    struct snapshot *out;
    struct why why;
    must(edit_seal(e, &out, NULL, &why), &why);
    return out;
}

/* ---- bitmaps ---- */

struct types {
    uint8_t octets[256][32]; /* by window; empty between uses */
    uint8_t used[256];
};

static void types_add(struct types *t, uint16_t type)
{
    unsigned window = type >> 8, bit = type & 255;
    t->octets[window][bit / 8] |= (uint8_t)(0x80 >> bit % 8);
    if (t->used[window] < bit / 8 + 1)
        t->used[window] = (uint8_t)(bit / 8 + 1);
}

static size_t types_take(struct types *t, uint8_t *out)
{
    size_t n = 0;
    for (unsigned window = 0; window < 256; window++) {
        unsigned used = t->used[window];
        if (!used)
            continue;
        out[n++] = (uint8_t)window;
        out[n++] = (uint8_t)used;
        memcpy(out + n, t->octets[window], used);
        memset(t->octets[window], 0, used);
        t->used[window] = 0;
        n += used;
    }
    return n;
}

/* At a cut only NS, DS and what the parent adds count. */
static size_t bitmap_of(const struct node *node, enum name_status status, bool nsec, uint8_t *out)
{
    static struct types t;
    bool is_signed = node && (nsec || status == NAME_AUTHORITATIVE);
    for (unsigned i = 0; node && i < node->nrrsets; i++) {
        uint16_t type = node->head[i].type;
        if (status == NAME_AUTHORITATIVE || type == RR_NS || type == RR_DS)
            types_add(&t, type);
        is_signed |= type == RR_DS;
    }
    if (nsec)
        types_add(&t, RR_NSEC);
    if (is_signed)
        types_add(&t, RR_RRSIG);
    return types_take(&t, out);
}

/* ---- the chain ---- */

static void add(struct edit *e, const uint8_t *owner, uint16_t type, const uint8_t *rdata,
                size_t len)
{
    struct why why;
    must(edit_add(e, owner, type, TTL, rdata, (uint16_t)len, &why), &why);
}

static void add_nsec(struct edit *e, const struct node *node, enum name_status status,
                     const uint8_t *next)
{
    uint8_t rdata[NAME_MAX_OCTETS + 256 * 34];
    size_t n = name_copy(rdata, next);
    n += bitmap_of(node, status, true, rdata + n);
    add(e, node_name(node), RR_NSEC, rdata, n);
}

static void chain_nsec(struct edit *e, const struct snapshot *s)
{
    struct snapshot_iter it;
    struct status_walk walk;
    status_walk_begin(&walk, s);
    const struct node *held = NULL;
    enum name_status held_status = NAME_AUTHORITATIVE;
    for (const struct node *n = snapshot_first(&it, s); n; n = snapshot_next(&it)) {
        enum name_status status = status_walk_step(&walk, n);
        if (status == NAME_OCCLUDED)
            continue;
        if (held)
            add_nsec(e, held, held_status, node_name(n));
        held = n;
        held_status = status;
    }
    add_nsec(e, held, held_status, snapshot_apex_name(s));
}

struct hashed {
    uint8_t hash[HASH];
    const struct node *node; /* NULL: an empty non-terminal */
    enum name_status status;
};
struct hashes {
    struct hashed *list;
    size_t n, cap;
};

static void hashes_add(struct hashes *h, const uint8_t *name, const struct node *node,
                       enum name_status status)
{
    if (h->n == h->cap) {
        h->cap = h->cap ? 2 * h->cap : 64;
        h->list = realloc(h->list, h->cap * sizeof *h->list);
        ASSERT(h->list);
    }
    struct hashed *x = &h->list[h->n++];
    dnssec_nsec3_hash(name, ITERATIONS, salt, sizeof salt, x->hash);
    x->node = node;
    x->status = status;
}

static int hashed_cmp(const void *a, const void *b)
{
    const struct hashed *x = a, *y = b;
    int d = memcmp(x->hash, y->hash, HASH);
    return d ? d : (y->node != NULL) - (x->node != NULL); /* a node before the ENT of its name */
}

/* Empty non-terminals between a node and the apex: with their duplicates, which the chain then drops. */
static void hashes_collect(struct hashes *h, const struct snapshot *s, bool optout)
{
    struct snapshot_iter it;
    struct status_walk walk;
    status_walk_begin(&walk, s);
    for (const struct node *n = snapshot_first(&it, s); n; n = snapshot_next(&it)) {
        enum name_status status = status_walk_step(&walk, n);
        if (status == NAME_OCCLUDED || (optout && status == NAME_CUT && !node_has(n, RR_DS)))
            continue;
        hashes_add(h, node_name(n), n, status);
        if (name_equal(node_name(n), walk.apex))
            continue;
        for (const uint8_t *p = name_parent(node_name(n)); !name_equal(p, walk.apex);
             p = name_parent(p))
            if (!snapshot_get(s, p))
                hashes_add(h, p, NULL, NAME_AUTHORITATIVE);
    }
    qsort(h->list, h->n, sizeof *h->list, hashed_cmp);
}

static void hash_owner(const uint8_t hash[HASH], const uint8_t *apex, uint8_t out[NAME_MAX_OCTETS])
{
    unsigned bits = 0, have = 0;
    uint8_t *p = out;
    *p++ = 32;
    for (unsigned i = 0; i < HASH; i++)
        for (bits = bits << 8 | hash[i], have += 8; have >= 5; have -= 5)
            *p++ = (uint8_t) "0123456789abcdefghijklmnopqrstuv"[bits >> (have - 5) & 31];
    name_copy(p, apex);
}

static void chain_nsec3(struct edit *e, const struct snapshot *s, bool optout)
{
    struct hashes h = {0};
    hashes_collect(&h, s, optout);
    size_t n = 0;
    for (size_t i = 0; i < h.n; i++)
        if (i == 0 || memcmp(h.list[i].hash, h.list[n - 1].hash, HASH) != 0)
            h.list[n++] = h.list[i];
    for (size_t i = 0; i < n; i++) {
        const struct hashed *x = &h.list[i];
        uint8_t owner[NAME_MAX_OCTETS], rdata[64 + 256 * 34];
        uint8_t head[] = {1, optout, 0, ITERATIONS, sizeof salt, salt[0], HASH};
        memcpy(rdata, head, sizeof head);
        memcpy(rdata + sizeof head, h.list[(i + 1) % n].hash, HASH);
        size_t len = sizeof head + HASH;
        len += bitmap_of(x->node, x->status, false, rdata + len);
        hash_owner(x->hash, snapshot_apex_name(s), owner);
        add(e, owner, RR_NSEC3, rdata, len);
    }
    free(h.list);
}

/* ---- signatures ---- */

static void add_rrsig(struct edit *e, const uint8_t *apex, const struct node *node,
                      const struct rrset *set)
{
    static const uint8_t times[] = {0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 1, TAG >> 8, TAG & 255};
    uint8_t rdata[18 + NAME_MAX_OCTETS + SIGNATURE_OCTETS];
    put_u16(rdata, set->type);
    rdata[2] = ALG_ECDSAP256;
    rdata[3] = (uint8_t)(name_labels(node_name(node)) - name_is_wildcard(node_name(node)));
    put_u32(rdata + 4, set->ttl);
    memcpy(rdata + 8, times, sizeof times);
    size_t n = 18 + name_copy(rdata + 18, apex);
    uint32_t x = name_hash(node_name(node), set->type);
    for (unsigned i = 0; i < SIGNATURE_OCTETS; i++, x = x * 1664525 + 1013904223)
        rdata[n++] = (uint8_t)(x >> 24);
    struct why why;
    must(edit_add(e, node_name(node), RR_RRSIG, set->ttl, rdata, (uint16_t)n, &why), &why);
}

static void sign_all(struct edit *e, const struct snapshot *s)
{
    struct snapshot_iter it;
    struct status_walk walk;
    status_walk_begin(&walk, s);
    for (const struct node *n = snapshot_first(&it, s); n; n = snapshot_next(&it)) {
        enum name_status status = status_walk_step(&walk, n);
        for (unsigned i = 0; status != NAME_OCCLUDED && i < n->nrrsets; i++) {
            struct rrset set;
            node_rrset_at(n, i, &set);
            if (status == NAME_AUTHORITATIVE || set.type == RR_DS || set.type == RR_NSEC)
                add_rrsig(e, walk.apex, n, &set);
        }
    }
}

struct snapshot *forge_sign(const struct snapshot *plain, enum forge_denial denial)
{
    struct edit *e = edit_open(plain->family, plain, NULL);
    struct snapshot *with_param = NULL;
    if (denial != FORGE_NSEC) {
        /* The apex must have it before its bitmap is made. */
        const uint8_t param[] = {1, 0, 0, ITERATIONS, sizeof salt, salt[0]};
        add(e, snapshot_apex_name(plain), RR_NSEC3PARAM, param, sizeof param);
        with_param = seal(&e);
        e = edit_open(plain->family, with_param, NULL);
    }
    if (denial == FORGE_NSEC)
        chain_nsec(e, plain);
    else
        chain_nsec3(e, with_param, denial == FORGE_OPTOUT);
    struct snapshot *chained = seal(&e);
    e = edit_open(plain->family, chained, NULL);
    sign_all(e, chained);
    struct snapshot *out = seal(&e);
    snapshot_unref(chained);
    snapshot_unref(with_param);
    return out;
}
