/* dnssec_p256: many ECDSA P-256 signatures by few keys.
 *
 * A signature (r, s) over a digest e is valid under the key Q when the point
 *
 *      R = (e/s)·G + (r/s)·Q           has   x(R) mod n = r
 *
 * Any library multiplies G, which never changes, from a table, and Q the slow way. A zone has few
 * keys and many signatures, so here Q gets a table too. OpenSSL can do that by its own means: a
 * second P-256 group whose generator is Q, and EC_GROUP_precompute_mult on it. What is left beside
 * the two multiplications is made cheap for a whole batch:
 *
 *   - one inversion for all s (Montgomery's trick): with P(i) = s(1)…s(i), 1/s(i) = P(i-1) / P(i),
 *     walking down from the one inverse of P(n);
 *   - no division to bring R to affine coordinates: x = X/Z², so r = x is asked as r·Z² = X. Since
 * x is below p and r below n < p, x mod n = r also when x = r + n, where that is still below p.
 *
 * Only public numbers are touched, so timing tells nobody anything. Wrong answers are what matters:
 * r and s are range-checked on entry, the point at infinity (Z = 0) is no match, EC_POINT_add
 * doubles where both points are the same, and whoever uses the batch has every "not valid"
 * confirmed by EVP before it is believed.
 *
 * The generator calls are deprecated in OpenSSL 3.0 without a successor; where a build leaves them
 * out, p256_tables_new gives NULL and EVP does all the work.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "pipeline/zone/dnssec_parts.h"
#include "pipeline/base/alloc.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>

#ifndef OPENSSL_NO_DEPRECATED_3_0

struct p256_tables {
    EC_GROUP *group; /* P-256 with the public key as its generator; read only, for all threads */
};

struct p256_entry {
    const struct p256_tables *tables;
    BIGNUM *e, *r, *s; /* s: in Montgomery's form */
    BIGNUM *product;   /* of this and all s before it, in Montgomery's form */
};

struct p256_batch {
    EC_GROUP *group; /* P-256 itself */
    BN_CTX *ctx;
    BN_MONT_CTX *mod_n, *mod_p;
    BIGNUM *n, *p, *p_minus_n;
    BIGNUM *inverse, *w, *u1, *u2, *x, *y, *z, *t;
    EC_POINT *by_g, *by_q;
    unsigned count;
    struct p256_entry entry[P256_BATCH];
};

struct p256_tables *p256_tables_new(const uint8_t point[64])
{
    uint8_t octets[65] = {POINT_CONVERSION_UNCOMPRESSED};
    memcpy(octets + 1, point, 64);
    ERR_set_mark();
    struct p256_tables *t = NULL;
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    EC_POINT *q = group ? EC_POINT_new(group) : NULL;
    if (q && EC_POINT_oct2point(group, q, octets, sizeof(octets), NULL) &&
        EC_GROUP_set_generator(group, q, EC_GROUP_get0_order(group), BN_value_one()) &&
        EC_GROUP_precompute_mult(group, NULL) && EC_GROUP_have_precompute_mult(group)) {
        t = mem_alloc(sizeof(*t));
        t->group = group;
        group = NULL;
    }
    EC_POINT_free(q);
    EC_GROUP_free(group);
    ERR_pop_to_mark();
    return t;
}

void p256_tables_free(struct p256_tables **tables)
{
    if (!*tables)
        return;
    EC_GROUP_free((*tables)->group);
    mem_free(tables);
}

static BIGNUM *number(void)
{
    BIGNUM *n = BN_new();
    ASSERT(n);
    return n;
}

struct p256_batch *p256_batch_new(void)
{
    struct p256_batch *b = mem_zalloc(sizeof(*b));
    BIGNUM **const own[] = {&b->n,  &b->p, &b->p_minus_n, &b->inverse, &b->w, &b->u1,
                            &b->u2, &b->x, &b->y,         &b->z,       &b->t};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        *own[i] = number();
    for (unsigned i = 0; i < P256_BATCH; i++) {
        struct p256_entry *e = &b->entry[i];
        e->e = number();
        e->r = number();
        e->s = number();
        e->product = number();
    }
    b->group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    b->ctx = BN_CTX_new();
    b->mod_n = BN_MONT_CTX_new();
    b->mod_p = BN_MONT_CTX_new();
    ASSERT(b->group && b->ctx && b->mod_n && b->mod_p);
    b->by_g = EC_POINT_new(b->group);
    b->by_q = EC_POINT_new(b->group);
    ASSERT(b->by_g && b->by_q);
    bool ok = EC_GROUP_get_curve(b->group, b->p, NULL, NULL, b->ctx) &&
              BN_copy(b->n, EC_GROUP_get0_order(b->group)) && BN_sub(b->p_minus_n, b->p, b->n) &&
              BN_MONT_CTX_set(b->mod_n, b->n, b->ctx) && BN_MONT_CTX_set(b->mod_p, b->p, b->ctx);
    ASSERT(ok);
    return b;
}

void p256_batch_free(struct p256_batch **batch)
{
    struct p256_batch *b = *batch;
    if (!b)
        return;
    BIGNUM *const own[] = {b->n,  b->p, b->p_minus_n, b->inverse, b->w, b->u1,
                           b->u2, b->x, b->y,         b->z,       b->t};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        BN_free(own[i]);
    for (unsigned i = 0; i < P256_BATCH; i++) {
        struct p256_entry *e = &b->entry[i];
        BN_free(e->e);
        BN_free(e->r);
        BN_free(e->s);
        BN_free(e->product);
    }
    EC_POINT_free(b->by_g);
    EC_POINT_free(b->by_q);
    EC_GROUP_free(b->group);
    BN_MONT_CTX_free(b->mod_n);
    BN_MONT_CTX_free(b->mod_p);
    BN_CTX_free(b->ctx);
    mem_free(batch);
}

static bool in_group_range(const BIGNUM *x, const BIGNUM *n)
{
    return !BN_is_zero(x) && BN_cmp(x, n) < 0;
}

bool p256_batch_add(struct p256_batch *b, const struct p256_tables *tables,
                    const uint8_t digest[P256_OCTETS], const uint8_t signature[64])
{
    if (b->count == P256_BATCH)
        return false;
    struct p256_entry *e = &b->entry[b->count];
    e->tables = tables;
    if (!BN_bin2bn(digest, P256_OCTETS, e->e) || !BN_bin2bn(signature, P256_OCTETS, e->r) ||
        !BN_bin2bn(signature + P256_OCTETS, P256_OCTETS, e->s))
        return false;
    if (!in_group_range(e->r, b->n) || !in_group_range(e->s, b->n))
        return false;
    b->count++;
    return true;
}

/* s to Montgomery's form, the running products, and the inverse of the last of them. */
static bool batch_invert(struct p256_batch *b)
{
    for (unsigned i = 0; i < b->count; i++) {
        struct p256_entry *e = &b->entry[i];
        if (!BN_to_montgomery(e->s, e->s, b->mod_n, b->ctx))
            return false;
        bool ok = i == 0 ? BN_copy(e->product, e->s) != NULL
                         : BN_mod_mul_montgomery(e->product, b->entry[i - 1].product, e->s,
                                                 b->mod_n, b->ctx);
        if (!ok)
            return false;
    }
    return BN_from_montgomery(b->t, b->entry[b->count - 1].product, b->mod_n, b->ctx) &&
           BN_mod_inverse(b->inverse, b->t, b->n, b->ctx) &&
           BN_to_montgomery(b->inverse, b->inverse, b->mod_n, b->ctx);
}

/* Takes w = 1/s(i) off the running inverse, which then is that of the product before. */
static bool batch_take_inverse(struct p256_batch *b, unsigned i)
{
    if (i == 0)
        return BN_copy(b->w, b->inverse) != NULL;
    return BN_mod_mul_montgomery(b->w, b->inverse, b->entry[i - 1].product, b->mod_n, b->ctx) &&
           BN_mod_mul_montgomery(b->inverse, b->inverse, b->entry[i].s, b->mod_n, b->ctx);
}

/* Is r·Z² = X? z2 is Z² in Montgomery's form. */
static bool x_is(struct p256_batch *b, const BIGNUM *r, const BIGNUM *z2)
{
    return BN_mod_mul_montgomery(b->t, r, z2, b->mod_p, b->ctx) && BN_cmp(b->t, b->x) == 0;
}

static bool entry_valid(struct p256_batch *b, const struct p256_entry *e)
{
    /* e and r are plain and w is in Montgomery's form, so the products are plain */
    if (!BN_mod_mul_montgomery(b->u1, e->e, b->w, b->mod_n, b->ctx) ||
        !BN_mod_mul_montgomery(b->u2, e->r, b->w, b->mod_n, b->ctx) ||
        !EC_POINT_mul(b->group, b->by_g, b->u1, NULL, NULL, b->ctx) ||
        !EC_POINT_mul(e->tables->group, b->by_q, b->u2, NULL, NULL, b->ctx) ||
        !EC_POINT_add(b->group, b->by_g, b->by_g, b->by_q, b->ctx) ||
        EC_POINT_is_at_infinity(b->group, b->by_g) ||
        !EC_POINT_get_Jprojective_coordinates_GFp(b->group, b->by_g, b->x, b->y, b->z, b->ctx) ||
        !BN_to_montgomery(b->z, b->z, b->mod_p, b->ctx) ||
        !BN_mod_mul_montgomery(b->z, b->z, b->z, b->mod_p, b->ctx))
        return false;
    if (x_is(b, e->r, b->z))
        return true;
    return BN_cmp(e->r, b->p_minus_n) < 0 && BN_add(b->w, e->r, b->n) && x_is(b, b->w, b->z);
}

void p256_batch_run(struct p256_batch *b, bool valid[P256_BATCH])
{
    if (!b->count)
        return;
    bool ok = batch_invert(b);
    for (unsigned i = b->count; i-- > 0;) {
        ok = ok && batch_take_inverse(b, i);
        valid[i] = ok && entry_valid(b, &b->entry[i]);
    }
    b->count = 0;
}

#else

struct p256_tables *p256_tables_new(const uint8_t point[64])
{
    (void)point;
    return NULL;
}

void p256_tables_free(struct p256_tables **tables)
{
    ASSERT(!*tables);
}

struct p256_batch *p256_batch_new(void)
{
    UNREACHABLE();
}

void p256_batch_free(struct p256_batch **batch)
{
    ASSERT(!*batch);
}

bool p256_batch_add(struct p256_batch *b, const struct p256_tables *tables,
                    const uint8_t digest[P256_OCTETS], const uint8_t signature[64])
{
    (void)b, (void)tables, (void)digest, (void)signature;
    UNREACHABLE();
}

void p256_batch_run(struct p256_batch *b, bool valid[P256_BATCH])
{
    (void)b, (void)valid;
    UNREACHABLE();
}

#endif
