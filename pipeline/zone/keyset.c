/* keyset: order, equality and the end of sets of keys; what the roles mean is keyset.h's story.
 */
#include "pipeline/zone/keyset.h"

#include "pipeline/base/alloc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct keyset *keyset_new(unsigned keys, unsigned prepared, unsigned foreign)
{
    ASSERT(keys <= KEYSET_KEYS_MAX);
    struct keyset *k = mem_zalloc(sizeof *k);
    k->refs = 1;
    k->n = keys;
    k->nprepared = prepared;
    k->nforeign = foreign;
    k->key = mem_zalloc((keys + 1) * sizeof k->key[0]);
    k->prepared = mem_zalloc((prepared + 1) * sizeof k->prepared[0]);
    k->foreign = mem_zalloc((foreign + 1) * sizeof k->foreign[0]);
    return k;
}

struct keyset_foreign *keyset_add_foreign(struct keyset *k, const uint8_t *rdata, uint16_t len,
                                          uint32_t ttl)
{
    k->foreign = mem_resize(k->foreign, (k->nforeign + 1) * sizeof k->foreign[0]);
    struct keyset_foreign *added = &k->foreign[k->nforeign++];
    *added = (struct keyset_foreign){.rdata = mem_dup(rdata, len), .len = len, .ttl = ttl};
    return added;
}

void keyset_add_ns(struct keyset *k, const uint8_t *name)
{
    k->ns = mem_resize(k->ns, (k->nns + 1) * sizeof k->ns[0]);
    k->ns[k->nns++] = mem_dup(name, name_len(name));
}

static int rdata_order(const uint8_t *a, uint16_t a_len, const uint8_t *b, uint16_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return order ? order : (int)a_len - (int)b_len;
}

static int key_order(const void *x, const void *y)
{
    const struct keyset_key *a = x, *b = y;
    if (a->algorithm != b->algorithm)
        return (int)a->algorithm - (int)b->algorithm;
    if (a->tag != b->tag)
        return (int)a->tag - (int)b->tag;
    return rdata_order(a->rdata, a->len, b->rdata, b->len);
}

static int foreign_order(const void *x, const void *y)
{
    const struct keyset_foreign *a = x, *b = y;
    return rdata_order(a->rdata, a->len, b->rdata, b->len);
}

static int prepared_order(const void *x, const void *y)
{
    const struct keyset_prepared *a = x, *b = y;
    return a->from < b->from ? -1 : a->from > b->from;
}

/* Names that differ in letters only are the same name; which of them stays must not depend on who came first. */
static int ns_order(const void *x, const void *y)
{
    const uint8_t *a = *(uint8_t *const *)x, *b = *(uint8_t *const *)y;
    int order = name_cmp(a, b);
    return order ? order : memcmp(a, b, name_len(a));
}

static void foreign_seal(struct keyset *k)
{
    qsort(k->foreign, k->nforeign, sizeof k->foreign[0], foreign_order);
    unsigned n = 0;
    for (unsigned i = 0; i < k->nforeign; i++) {
        struct keyset_foreign *key = &k->foreign[i], *kept = n ? &k->foreign[n - 1] : NULL;
        if (!kept || foreign_order(kept, key) != 0) {
            k->foreign[n++] = *key;
            continue;
        }
        kept->ttl = kept->ttl > key->ttl ? kept->ttl : key->ttl;
        kept->publish |= key->publish;
        kept->ds |= key->ds;
        kept->csk |= key->csk;
        mem_free(&key->rdata);
    }
    k->nforeign = n;
}

static void ns_seal(struct keyset *k)
{
    qsort(k->ns, k->nns, sizeof k->ns[0], ns_order);
    unsigned n = 0;
    for (unsigned i = 0; i < k->nns; i++)
        if (n == 0 || !name_equal(k->ns[n - 1], k->ns[i]))
            k->ns[n++] = k->ns[i];
        else
            mem_free(&k->ns[i]);
    k->nns = n;
}

void keyset_seal(struct keyset *k)
{
    ASSERT(!k->unsigned_zone || k->n == 0);
    for (unsigned i = 0; i < k->n; i++) {
        ASSERT(k->key[i].rdata && k->key[i].len > 4);
        k->key[i].tag = dnssec_key_tag(k->key[i].rdata, k->key[i].len);
        k->key[i].algorithm = k->key[i].rdata[3];
    }
    qsort(k->key, k->n, sizeof k->key[0], key_order);
    foreign_seal(k);
    if (k->nns)
        ns_seal(k);
    qsort(k->prepared, k->nprepared, sizeof k->prepared[0], prepared_order);
}

struct keyset *keyset_ref(const struct keyset *k)
{
    struct keyset *kept = (struct keyset *)(uintptr_t)k;
    atomic_fetch_add_explicit(&kept->refs, 1, memory_order_relaxed);
    return kept;
}

void keyset_unref(struct keyset *k)
{
    if (!k || atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (unsigned i = 0; i < k->n; i++) {
        mem_free(&k->key[i].rdata);
        dnssec_private_unref(k->key[i].private);
    }
    for (unsigned i = 0; i < k->nprepared; i++)
        node_unref(k->prepared[i].node);
    for (unsigned i = 0; i < k->nforeign; i++)
        mem_free(&k->foreign[i].rdata);
    for (unsigned i = 0; i < k->nns; i++)
        mem_free(&k->ns[i]);
    mem_free(&k->ns);
    mem_free(&k->foreign);
    mem_free(&k->key);
    mem_free(&k->prepared);
    mem_free(&k);
}

static bool key_same(const struct keyset_key *a, const struct keyset_key *b)
{
    return a->len == b->len && memcmp(a->rdata, b->rdata, a->len) == 0 &&
           a->publish == b->publish && a->signs_keys == b->signs_keys &&
           a->signs_zone == b->signs_zone && a->ds == b->ds && !a->private == !b->private;
}

static bool foreign_same(const struct keyset_foreign *a, const struct keyset_foreign *b)
{
    return a->len == b->len && memcmp(a->rdata, b->rdata, a->len) == 0 && a->ttl == b->ttl &&
           a->publish == b->publish && a->ds == b->ds && a->csk == b->csk;
}

static bool ns_same(const uint8_t *a, const uint8_t *b)
{
    size_t len = name_len(a);
    return len == name_len(b) && memcmp(a, b, len) == 0;
}

static bool prepared_same(const struct keyset_prepared *a, const struct keyset_prepared *b)
{
    return a->from == b->from && a->until == b->until && node_equal(a->node, b->node);
}

bool keyset_same(const struct keyset *a, const struct keyset *b)
{
    if (!a || !b)
        return a == b;
    bool same = a->unsigned_zone == b->unsigned_zone && a->ksk_elsewhere == b->ksk_elsewhere &&
                a->cds_delete == b->cds_delete && a->resigns == b->resigns && a->n == b->n &&
                a->nprepared == b->nprepared && a->nforeign == b->nforeign && a->nns == b->nns &&
                a->csync == b->csync;
    for (unsigned i = 0; same && i < a->n; i++)
        same = key_same(&a->key[i], &b->key[i]);
    for (unsigned i = 0; same && i < a->nforeign; i++)
        same = foreign_same(&a->foreign[i], &b->foreign[i]);
    for (unsigned i = 0; same && i < a->nns; i++)
        same = ns_same(a->ns[i], b->ns[i]);
    for (unsigned i = 0; same && i < a->nprepared; i++)
        same = prepared_same(&a->prepared[i], &b->prepared[i]);
    return same;
}
