/* signer: see the header.
 *
 * First the names: every name that is neither glue nor hidden, from a walk that remembers the last
 * cut or DNAME. Then denial: NSEC directly; NSEC3 by listing each name and all its ancestors below
 * the apex, hashing and sorting. Each node is built twice: without signatures, to have the rrsets
 * that are signed, then with them.
 */
#include "tests/lib/signer.h"
#include "tests/lib/types.h"

#include "pipeline/base/alloc.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

struct name {                /* a name of the zone that denial speaks of */
    const struct node *node; /* NULL: an empty non-terminal */
    const uint8_t *name;
    bool cut, insecure;
    uint8_t hash[20];
};
struct signing {
    const struct signer *signer;
    const uint8_t *apex;
    const struct snapshot *plain, *before;
    struct edit *out;
    struct node_builder *builder;
    struct dnssec_scratch *scratch;
    uint32_t ttl; /* of denial */
    size_t names;
    struct name *name;
    uint32_t rrsets; /* so many were signed */
};

/* --- keys --- */

/* half: octets of a coordinate. */
static EVP_PKEY *key_ec(int curve, size_t half, const uint8_t secret[32], uint8_t *public)
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(curve);
    EC_POINT *point = EC_POINT_new(group);
    BIGNUM *d = BN_bin2bn(secret, 32, NULL);
    uint8_t octets[1 + 2 * 48];
    size_t len = 1 + 2 * half;
    int ok =
        EC_POINT_mul(group, point, d, NULL, NULL, NULL) &&
        EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, octets, len, NULL) == len;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    ok = ok &&
         OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, OBJ_nid2sn(curve), 0) &&
         OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, d) &&
         OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, octets, len);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *key = NULL;
    ok = ok && EVP_PKEY_fromdata_init(ctx) == 1 &&
         EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) == 1;
    ASSERT(ok);
    memcpy(public, octets + 1, len - 1);
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    BN_free(d);
    EC_POINT_free(point);
    EC_GROUP_free(group);
    return key;
}

static EVP_PKEY *key_ed25519(const uint8_t secret[32], uint8_t public[32])
{
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret, 32);
    size_t len = 32;
    int ok = key && EVP_PKEY_get_raw_public_key(key, public, &len) == 1;
    ASSERT(ok && len == 32);
    return key;
}

/* RFC 3110 2: one octet of length, exponent, modulus. */
static EVP_PKEY *key_rsa(uint8_t *public, size_t *len)
{
    static EVP_PKEY *only;
    BIGNUM *n = NULL, *e = NULL;
    if (!only)
        only = EVP_RSA_gen(2048);
    int ok = only && EVP_PKEY_up_ref(only) &&
             EVP_PKEY_get_bn_param(only, OSSL_PKEY_PARAM_RSA_N, &n) &&
             EVP_PKEY_get_bn_param(only, OSSL_PKEY_PARAM_RSA_E, &e);
    ASSERT(ok);
    public[0] = (uint8_t)BN_bn2bin(e, public + 1);
    *len = 1u + public[0];
    *len += (size_t)BN_bn2bin(n, public + *len);
    BN_free(n);
    BN_free(e);
    return only;
}

static EVP_PKEY *key_ed448(const uint8_t secret[32], uint8_t public[57])
{
    uint8_t long_secret[57] = {0};
    memcpy(long_secret, secret, 32);
    EVP_PKEY *key =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED448, NULL, long_secret, sizeof(long_secret));
    size_t len = 57;
    int ok = key && EVP_PKEY_get_raw_public_key(key, public, &len) == 1;
    ASSERT(ok && len == 57);
    return key;
}

static const EVP_MD *digest_of(uint8_t algorithm)
{
    switch (algorithm) {
    case ALG_RSASHA1:
    case ALG_RSASHA1_NSEC3:
        return EVP_sha1();
    case ALG_RSASHA512:
        return EVP_sha512();
    case ALG_ECDSAP384:
        return EVP_sha384();
    case ALG_ED25519:
    case ALG_ED448:
        return NULL;
    default:
        return EVP_sha256();
    }
}

unsigned signer_add_key(struct signer *signer, uint16_t flags, uint8_t algorithm, uint32_t seed)
{
    ASSERT(signer->keys < SIGNER_KEYS);
    struct signer_key *key = &signer->key[signer->keys];
    *key = (struct signer_key){.publish = true, .sign = true};
    uint8_t secret[32], from[8];
    put_u32(from, seed);
    put_u32(from + 4, algorithm);
    SHA256(from, sizeof(from), secret);
    put_u16(key->rdata, flags);
    key->rdata[2] = 3;
    key->rdata[3] = algorithm;
    if (algorithm == ALG_ECDSAP256) {
        key->private = key_ec(NID_X9_62_prime256v1, 32, secret, key->rdata + 4);
        key->len = 4 + 64;
    } else if (algorithm == ALG_ED25519) {
        key->private = key_ed25519(secret, key->rdata + 4);
        key->len = 4 + 32;
    } else if (algorithm == ALG_ECDSAP384) {
        key->private = key_ec(NID_secp384r1, 48, secret, key->rdata + 4);
        key->len = 4 + 96;
    } else if (algorithm == ALG_ED448) {
        key->private = key_ed448(secret, key->rdata + 4);
        key->len = 4 + 57;
    } else {
        size_t len;
        key->private = key_rsa(key->rdata + 4, &len);
        key->len = (uint16_t)(4 + len);
    }
    key->tag = dnssec_key_tag(key->rdata, key->len);
    return signer->keys++;
}

void signer_remove_key(struct signer *signer, unsigned index)
{
    ASSERT(index < signer->keys);
    EVP_PKEY_free(signer->key[index].private);
    signer->keys--;
    memmove(&signer->key[index], &signer->key[index + 1],
            (signer->keys - index) * sizeof(signer->key[0]));
}

void signer_revoke_key(struct signer *signer, unsigned index)
{
    struct signer_key *key = &signer->key[index];
    key->rdata[1] |= DNSKEY_REVOKE;
    key->tag = dnssec_key_tag(key->rdata, key->len);
}

void signer_same_tag(uint16_t flags, uint8_t algorithm, bool revoked, uint32_t from,
                     uint32_t out[2])
{
    uint32_t *seen = mem_zalloc(65536 * sizeof(*seen)); /* 0 is none: seeds are odd */
    struct signer signer = {0};
    out[0] = 0;
    for (uint32_t seed = from | 1; out[0] == 0; seed += 2) {
        struct signer_key *key = &signer.key[signer_add_key(&signer, flags, algorithm, seed)];
        uint16_t tag = key->tag;
        if (revoked)
            signer_revoke_key(&signer, 0);
        out[0] = revoked ? (seen[key->tag] ? seed : 0) : seen[tag];
        out[1] = revoked ? seen[key->tag] : seed;
        seen[tag] = seed;
        signer_remove_key(&signer, 0);
    }
    mem_free(&seen);
}

struct signer signer_open(time_t now, uint32_t seed)
{
    struct signer signer = {
        .inception = (uint32_t)now - 86400, .expiration = (uint32_t)now + 14 * 86400, .nsec = true};
    signer_add_key(&signer, DNSKEY_ZONE | DNSKEY_SEP, ALG_ECDSAP256, seed);
    return signer;
}

void signer_close(struct signer *signer)
{
    while (signer->keys > 0)
        signer_remove_key(signer, 0);
}

static bool key_signs(const struct signer *signer, const struct signer_key *key, uint16_t type)
{
    bool sep = key->rdata[1] & DNSKEY_SEP, other = false;
    for (unsigned i = 0; i < signer->keys; i++)
        other |= signer->key[i].sign && signer->key[i].rdata[3] == key->rdata[3] &&
                 !(signer->key[i].rdata[1] & DNSKEY_SEP) == sep;
    return key->sign && (!other || (type == RR_DNSKEY) == sep);
}

/* --- signatures --- */

static size_t sign_octets(EVP_PKEY *key, uint8_t algorithm, const uint8_t *octets, size_t len,
                          uint8_t out[SIGNATURE_MAX])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t n = SIGNATURE_MAX;
    int ok = EVP_DigestSignInit(ctx, NULL, digest_of(algorithm), NULL, key) == 1 &&
             EVP_DigestSign(ctx, out, &n, octets, len) == 1;
    ASSERT(ok);
    EVP_MD_CTX_free(ctx);
    if (algorithm != ALG_ECDSAP256 && algorithm != ALG_ECDSAP384)
        return n;
    const uint8_t *der = out;
    int half = algorithm == ALG_ECDSAP256 ? 32 : 48;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);
    ok = BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, half) == half &&
         BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + half, half) == half;
    ASSERT(ok);
    ECDSA_SIG_free(sig);
    return 2 * (size_t)half;
}

/* The signature that the version before holds over the same rrset by this key, or false. */
static bool signature_kept(struct signing *s, const struct node *node, const struct rrset *set,
                           const uint8_t *head, size_t head_len)
{
    const struct node *was = s->before ? snapshot_get(s->before, node_name(node)) : NULL;
    struct rrset was_set, sigs;
    struct rdata rdata;
    if (!was || !node_rrset(was, set->type, 0, &was_set) || !rrset_equal(&was_set, set, true) ||
        !node_rrset(was, RR_RRSIG, set->type, &sigs))
        return false;
    for (const uint8_t *p = sigs.rdata; rrset_next(&sigs, &p, &rdata);)
        if (rdata.len > head_len && memcmp(rdata.data, head, head_len) == 0) {
            int rc = node_builder_add(s->builder, RR_RRSIG, set->ttl, rdata.data, rdata.len);
            ASSERT(rc == 0);
            return true;
        }
    return false;
}

static uint32_t lot_of(const struct node *node, uint16_t type)
{
    uint32_t lot = type * 2654435761u;
    for (const uint8_t *p = node_name(node); *p; p++)
        lot = (lot ^ *p) * 16777619u;
    return lot >> 8;
}

/* Is it the turn of a fault at one rrset? */
static bool fault_at_rrset(const struct signing *s, enum signer_fault fault)
{
    return s->signer->fault == fault && s->rrsets == s->signer->fault_lot % (2 * s->names);
}

/* All signatures that the version before holds over the same rrset, for those that the signer is lazy about. */
static bool signatures_kept(struct signing *s, const struct node *node, const struct rrset *set)
{
    const struct node *was = s->before ? snapshot_get(s->before, node_name(node)) : NULL;
    struct rrset was_set, sigs;
    bool lazy = set->type != RR_DNSKEY && lot_of(node, set->type) % 100 < s->signer->lazy;
    if (!(lazy || fault_at_rrset(s, FAULT_OLD_SIGNATURES)) || !was ||
        !node_rrset(was, set->type, 0, &was_set) || !rrset_equal(&was_set, set, true) ||
        !node_rrset(was, RR_RRSIG, set->type, &sigs))
        return false;
    node_builder_add_rrset(s->builder, &sigs);
    return true;
}

/* RRSIG rdata up to the signature; returns its length. */
static size_t rrsig_head(const struct signer *signer, const struct signer_key *key,
                         const uint8_t *apex, const uint8_t *owner, const struct rrset *set,
                         uint8_t rdata[SIGNER_RRSIG_MAX])
{
    struct wbuf w = wbuf_open(rdata, SIGNER_RRSIG_MAX);
    wbuf_u16(&w, set->type);
    wbuf_u8(&w, key->rdata[3]);
    wbuf_u8(&w, (uint8_t)(name_labels(owner) - name_is_wildcard(owner)));
    wbuf_u32(&w, set->ttl);
    wbuf_u32(&w, signer->expiration);
    wbuf_u32(&w, signer->inception);
    wbuf_u16(&w, key->tag);
    wbuf_put(&w, apex, name_len(apex));
    return wbuf_len(&w);
}

static size_t rrsig_end(struct dnssec_scratch *scratch, const struct signer_key *key,
                        const uint8_t *owner, const struct rrset *set,
                        uint8_t rdata[SIGNER_RRSIG_MAX], size_t head)
{
    struct rrsig view;
    rdata[head] = 0; /* a signature of some length, for rrsig_parse */
    bool ok = rrsig_parse(rdata, head + 1, &view);
    ASSERT(ok);
    size_t len;
    const uint8_t *octets = dnssec_input(scratch, owner, set, &view, rdata, &len);
    ASSERT(octets);
    return head + sign_octets(key->private, key->rdata[3], octets, len, rdata + head);
}

size_t signer_rrsig(const struct signer *signer, unsigned key, const uint8_t *apex,
                    const uint8_t *owner, const struct rrset *set, uint8_t rdata[SIGNER_RRSIG_MAX])
{
    size_t head = rrsig_head(signer, &signer->key[key], apex, owner, set, rdata);
    return signer_rrsig_end(signer, key, owner, set, rdata, head);
}

size_t signer_rrsig_end(const struct signer *signer, unsigned key, const uint8_t *owner,
                        const struct rrset *set, uint8_t rdata[SIGNER_RRSIG_MAX], size_t head)
{
    ASSERT(key < signer->keys);
    struct dnssec_scratch *scratch = dnssec_scratch_new();
    size_t len = rrsig_end(scratch, &signer->key[key], owner, set, rdata, head);
    dnssec_scratch_free(&scratch);
    return len;
}

static void sign_rrset(struct signing *s, const struct node *node, const struct rrset *set,
                       const struct signer_key *key)
{
    uint8_t rdata[SIGNER_RRSIG_MAX];
    size_t head = rrsig_head(s->signer, key, s->apex, node_name(node), set, rdata);
    if (signature_kept(s, node, set, rdata, head))
        return;
    size_t len = rrsig_end(s->scratch, key, node_name(node), set, rdata, head);
    if (s->signer->spoil_to_come && !key->publish && lot_of(node, set->type) % 5 == 0)
        rdata[len - 1] ^= 1;
    int rc = node_builder_add(s->builder, RR_RRSIG, set->ttl, rdata, (uint16_t)len);
    ASSERT(rc == 0);
}

/* What the builder holds, signed as far as it is the zone's own, and put. */
static void sign_node(struct signing *s, bool cut)
{
    struct node *node = node_builder_seal(s->builder);
    node_builder_begin(s->builder, node_name(node));
    node_builder_add_node(s->builder, node, NULL, NULL);
    for (unsigned i = 0; i < node->nrrsets; i++) {
        struct rrset set;
        node_rrset_at(node, i, &set);
        if (cut && set.type != RR_DS && set.type != RR_NSEC)
            continue;
        s->rrsets++;
        if (signatures_kept(s, node, &set))
            continue;
        unsigned skipped = fault_at_rrset(s, FAULT_KEY_SKIPS)
                               ? s->signer->fault_lot % s->signer->keys
                               : SIGNER_KEYS;
        for (unsigned k = 0; k < s->signer->keys; k++)
            if (k != skipped && key_signs(s->signer, &s->signer->key[k], set.type))
                sign_rrset(s, node, &set, &s->signer->key[k]);
    }
    edit_put(s->out, node_builder_seal(s->builder));
    node_unref(node);
}

/* --- bitmaps --- */

static void types_of(const struct signing *s, const struct name *name, struct types *t)
{
    memset(t, 0, sizeof(*t));
    if (!name->node)
        return;
    for (unsigned i = 0; i < name->node->nrrsets; i++) {
        uint16_t type = name->node->head[i].type;
        if (!name->cut || type == RR_NS || type == RR_DS)
            types_set(t, type);
    }
    bool apex = name_equal(name->name, s->apex);
    if (apex)
        types_set(t, RR_DNSKEY);
    if (apex && (s->signer->nsec3 || (s->signer->other.there && s->signer->other.announced)))
        types_set(t, RR_NSEC3PARAM);
    if (s->signer->nsec)
        types_set(t, RR_NSEC);
    if (s->signer->nsec || !name->insecure)
        types_set(t, RR_RRSIG);
}

/* --- names --- */

/* The first delegation with DS, from some name on, passes for one without. */
static void names_miss_ds(struct signing *s)
{
    for (size_t i = 0; i < s->names; i++) {
        struct name *name = &s->name[(s->signer->fault_lot + i) % s->names];
        if (!name->cut || name->insecure)
            continue;
        name->insecure = true;
        return;
    }
}

/* Names of the zone, in order, and copies of what is neither (glue, hidden names) to the output. */
static void names_list(struct signing *s, const struct snapshot *plain)
{
    s->name = mem_array(plain->names + 1, sizeof(s->name[0]));
    const uint8_t *over = NULL;
    struct snapshot_iter it;
    for (const struct node *node = snapshot_first(&it, plain); node; node = snapshot_next(&it)) {
        const uint8_t *name = node_name(node);
        const struct node *was = s->before ? snapshot_get(s->before, name) : NULL;
        if (over && name_at_or_below(name, over)) {
            bool as_before = s->signer->fault == FAULT_BELOW_SIGNED && was;
            edit_put(s->out, node_ref(as_before ? was : node));
            continue;
        }
        if (s->signer->fault == FAULT_BELOW_UNSIGNED && was && node_equal(was, node)) {
            edit_put(s->out, node_ref(node));
            continue;
        }
        bool cut = node_has(node, RR_NS) && !name_equal(name, s->apex);
        over = cut || node_has(node, RR_DNAME) ? name : NULL;
        s->name[s->names++] = (struct name){
            .node = node, .name = name, .cut = cut, .insecure = cut && !node_has(node, RR_DS)};
    }
    if (s->signer->fault == FAULT_DS_UNSEEN)
        names_miss_ds(s);
}

/* Is it the fault's turn, at one of n? */
static bool fault_at(const struct signing *s, enum signer_fault fault, size_t i, size_t n)
{
    return s->signer->fault == fault && n > 0 && i == s->signer->fault_lot % n;
}

static void types_spoil(struct types *t, uint32_t lot)
{
    t->bit[lot % 4] ^= (uint8_t)(1 << lot % 7);
    t->window[0] = true;
}

static struct signer_chain chain_first(const struct signer *signer)
{
    struct signer_chain first = {.there = signer->nsec3,
                                 .announced = true,
                                 .iterations = signer->iterations,
                                 .salt_len = signer->salt_len};
    memcpy(first.salt, signer->salt, signer->salt_len);
    return first;
}

static void put_nsec3param(struct signing *s, const struct signer_chain *chain)
{
    uint8_t param[5 + 8] = {1, 0};
    put_u16(param + 2, chain->iterations);
    param[4] = chain->salt_len;
    memcpy(param + 5, chain->salt, chain->salt_len);
    int rc = node_builder_add(s->builder, RR_NSEC3PARAM, 0, param, (uint16_t)(5 + chain->salt_len));
    ASSERT(rc == 0);
}

static void put_apex_extras(struct signing *s)
{
    for (unsigned i = 0; i < s->signer->keys; i++) {
        const struct signer_key *key = &s->signer->key[i];
        if (!key->publish || fault_at(s, FAULT_KEY_GONE, i, s->signer->keys))
            continue;
        int rc = node_builder_add(s->builder, RR_DNSKEY, 300, key->rdata, key->len);
        ASSERT(rc == 0);
    }
    if (s->signer->fault == FAULT_KEY_IDLE) {
        struct signer idle = {0};
        const struct signer_key *key = &idle.key[signer_add_key(
            &idle, DNSKEY_ZONE,
            s->signer->key[0].rdata[3] == ALG_ED25519 ? ALG_ECDSAP256 : ALG_ED25519,
            s->signer->fault_lot)];
        int rc = node_builder_add(s->builder, RR_DNSKEY, 300, key->rdata, key->len);
        ASSERT(rc == 0);
        signer_close(&idle);
    }
    struct signer_chain first = chain_first(s->signer);
    const struct signer_chain *chains[] = {&first, &s->signer->other};
    for (unsigned i = 0; i < 2; i++)
        if (chains[i]->there && chains[i]->announced)
            put_nsec3param(s, chains[i]);
}

/* What the builder holds gets the NSEC or NSEC3 that the version before had there, if it had any. */
static void put_old_denial(struct signing *s, const uint8_t *owner, uint16_t type)
{
    const struct node *was = snapshot_get(s->before, owner);
    struct rrset set;
    if (was && node_rrset(was, type, 0, &set))
        node_builder_add_rrset(s->builder, &set);
}

static bool denial_is_old(const struct signing *s)
{
    return s->signer->fault == FAULT_OLD_DENIAL && s->before;
}

static void put_names(struct signing *s)
{
    static uint8_t rdata[NAME_MAX_OCTETS + 256 * 34];
    struct types types;
    size_t left_out = s->signer->fault == FAULT_LEFT_OUT && s->names > 2
                          ? 1 + s->signer->fault_lot % (s->names - 1)
                          : s->names;
    for (size_t i = 0; i < s->names; i++) {
        const struct name *name = &s->name[i];
        node_builder_begin(s->builder, name->name);
        node_builder_add_node(s->builder, name->node, NULL, NULL);
        if (name_equal(name->name, s->apex))
            put_apex_extras(s);
        if (s->signer->nsec && denial_is_old(s)) {
            put_old_denial(s, name->name, RR_NSEC);
        } else if (s->signer->nsec && i != left_out) {
            struct wbuf w = wbuf_open(rdata, sizeof(rdata));
            size_t at = i + 1 + (i + 1 == left_out) + fault_at(s, FAULT_NEXT, i, s->names);
            const uint8_t *next = s->name[at < s->names ? at : 0].name;
            wbuf_put(&w, next, name_len(next));
            types_of(s, name, &types);
            if (fault_at(s, FAULT_BITMAP, i, s->names))
                types_spoil(&types, s->signer->fault_lot);
            types_write(&types, &w);
            int rc = node_builder_add(s->builder, RR_NSEC, s->ttl, rdata, (uint16_t)wbuf_len(&w));
            ASSERT(rc == 0);
        }
        sign_node(s, name->cut);
    }
}

/* --- NSEC3 --- */

static int hash_cmp(const void *a, const void *b)
{
    return memcmp(((const struct name *)a)->hash, ((const struct name *)b)->hash, 20);
}

static void hash_owner(const struct signing *s, const uint8_t hash[20],
                       uint8_t out[NAME_MAX_OCTETS])
{
    out[0] = 32;
    for (unsigned i = 0; i < 32; i++) {
        unsigned value = 0;
        for (unsigned bit = i * 5; bit < i * 5 + 5; bit++)
            value = value << 1 | (hash[bit / 8] >> (7 - bit % 8) & 1);
        out[1 + i] = (uint8_t)(value < 10 ? '0' + value : 'a' + value - 10);
    }
    name_copy(out + 33, s->apex);
}

enum { GONE_MAX = 256 };

static bool any_below(const struct snapshot *s, const uint8_t *name)
{
    struct snapshot_iter it;
    bool exact;
    const struct node *node = snapshot_seek_ge(&it, s, name, &exact);
    return node && name_at_or_below(node_name(node), name);
}

/* The fault's: non-terminals that were there before and are no longer. Room for `cap`; returns how many. */
static size_t hashes_list_gone(const struct signing *s, struct name *list, size_t cap)
{
    size_t n = 0;
    unsigned apex_labels = name_labels(s->apex);
    struct snapshot_iter it;
    for (const struct node *node = snapshot_first(&it, s->before); node;
         node = snapshot_next(&it)) {
        const uint8_t *up = node_name(node);
        while (name_labels(up) > apex_labels + 1) {
            up = name_parent(up);
            if (n < cap && !snapshot_get(s->before, up) && !any_below(s->plain, up))
                list[n++] = (struct name){.name = up};
        }
    }
    return n;
}

/* Each name and each of its ancestors below the apex; opt-out leaves insecure delegations out.
 * Sorted, each once. */
static size_t hashes_list(const struct signing *s, const struct signer_chain *chain,
                          struct name **out)
{
    size_t n = 0, cap = 2;
    unsigned apex_labels = name_labels(s->apex);
    for (size_t i = 0; i < s->names; i++)
        cap += 1 + name_labels(s->name[i].name) - apex_labels;
    bool stale = s->signer->fault == FAULT_NON_TERMINALS && s->before;
    struct name *list = mem_array(cap + GONE_MAX, sizeof(list[0]));
    for (size_t i = 0; i < s->names; i++) {
        if (s->signer->opt_out && s->name[i].insecure)
            continue;
        list[n++] = s->name[i];
        for (const uint8_t *up = s->name[i].name; name_labels(up) > apex_labels + 1;) {
            up = name_parent(up);
            if (!stale ||
                any_below(s->before, up)) /* gives way to a node of this name, if there is one */
                list[n++] = (struct name){.name = up};
        }
    }
    if (stale)
        n += hashes_list_gone(s, list + n, GONE_MAX);
    static uint8_t nosuch[NAME_MAX_OCTETS] = "\6nosuch";
    name_copy(nosuch + 7, s->apex);
    if (s->signer->fault == FAULT_EXTRA)
        list[n++] = (struct name){.name = nosuch};
    for (size_t i = 0; i < n; i++)
        dnssec_nsec3_hash(list[i].name, chain->iterations, chain->salt, chain->salt_len,
                          list[i].hash);
    qsort(list, n, sizeof(list[0]), hash_cmp);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (kept > 0 && hash_cmp(&list[kept - 1], &list[i]) == 0) {
            if (list[i].node)
                list[kept - 1] = list[i];
            continue;
        }
        list[kept++] = list[i];
    }
    *out = list;
    return kept;
}

static void put_old_nsec3(struct signing *s)
{
    for (const struct node *was = snapshot_nsec3_first(s->before); was;
         was = snapshot_nsec3_after(s->before, node_name(was))) {
        node_builder_begin(s->builder, node_name(was));
        put_old_denial(s, node_name(was), RR_NSEC3);
        sign_node(s, false);
    }
}

static void put_nsec3(struct signing *s, const struct signer_chain *chain)
{
    static uint8_t rdata[64 + 256 * 34];
    struct name *list;
    size_t n = hashes_list(s, chain, &list);
    if (s->signer->fault == FAULT_LEFT_OUT && n > 1) {
        size_t at = s->signer->fault_lot % n--;
        memmove(&list[at], &list[at + 1], (n - at) * sizeof(list[0]));
    }
    for (size_t i = 0; i < n; i++) {
        uint8_t owner[NAME_MAX_OCTETS];
        struct types types;
        struct wbuf w = wbuf_open(rdata, sizeof(rdata));
        wbuf_u8(&w, 1);
        wbuf_u8(&w, s->signer->opt_out != fault_at(s, FAULT_OPT_OUT, i, n));
        wbuf_u16(&w, chain->iterations);
        wbuf_u8(&w, chain->salt_len);
        wbuf_put(&w, chain->salt, chain->salt_len);
        wbuf_u8(&w, 20);
        wbuf_put(&w, list[(i + 1 + fault_at(s, FAULT_NEXT, i, n)) % n].hash, 20);
        types_of(s, &list[i], &types);
        if (fault_at(s, FAULT_BITMAP, i, n))
            types_spoil(&types, s->signer->fault_lot);
        types_write(&types, &w);
        hash_owner(s, list[i].hash, owner);
        node_builder_begin(s->builder, owner);
        int rc = node_builder_add(s->builder, RR_NSEC3, s->ttl, rdata, (uint16_t)wbuf_len(&w));
        ASSERT(rc == 0);
        sign_node(s, false);
    }
    mem_free(&list);
}

void signer_nsec3_owner(const struct signer *signer, const uint8_t *apex, const uint8_t *name,
                        uint8_t out[NAME_MAX_OCTETS])
{
    uint8_t hash[20];
    struct signing s = {.signer = signer, .apex = apex};
    dnssec_nsec3_hash(name, signer->iterations, signer->salt, signer->salt_len, hash);
    hash_owner(&s, hash, out);
}

/* --- all --- */

static bool skip_signatures(void *ctx, const struct rrset *set)
{
    (void)ctx;
    return set->type == RR_RRSIG;
}

void signer_put(const struct signer *signer, struct edit *out, const uint8_t *apex,
                const struct node *node, bool cut)
{
    struct signing s = {.signer = signer,
                        .apex = apex,
                        .out = out,
                        .builder = node_builder_new(),
                        .scratch = dnssec_scratch_new()};
    bool any = false;
    for (unsigned i = 0; i < node->nrrsets; i++)
        any |= node->head[i].type != RR_RRSIG;
    node_builder_begin(s.builder, node_name(node));
    node_builder_add_node(s.builder, node, skip_signatures, NULL);
    if (any)
        sign_node(&s, cut);
    else
        edit_remove(out, node_name(node)); /* there was nothing to sign */
    node_builder_free(&s.builder);
    dnssec_scratch_free(&s.scratch);
}

struct snapshot *signer_sign(const struct signer *signer, const struct snapshot *plain,
                             struct family *family, const struct snapshot *before)
{
    struct soa soa;
    bool has_soa = snapshot_soa(plain, &soa);
    ASSERT(has_soa);
    struct signing s = {.signer = signer,
                        .apex = snapshot_apex_name(plain),
                        .plain = plain,
                        .before = before,
                        .out = edit_open(family, NULL, before),
                        .builder = node_builder_new(),
                        .scratch = dnssec_scratch_new(),
                        .ttl = soa.minimum < soa.ttl ? soa.minimum : soa.ttl};
    names_list(&s, plain);
    put_names(&s);
    struct signer_chain first = chain_first(signer);
    if (denial_is_old(&s) && (first.there || signer->other.there)) {
        put_old_nsec3(&s);
    } else {
        if (first.there)
            put_nsec3(&s, &first);
        if (signer->other.there)
            put_nsec3(&s, &signer->other);
    }
    mem_free(&s.name);
    node_builder_free(&s.builder);
    dnssec_scratch_free(&s.scratch);
    struct snapshot *made;
    struct why why;
    int rc = edit_seal(&s.out, &made, NULL, &why);
    ASSERT(rc == 0);
    return made;
}
