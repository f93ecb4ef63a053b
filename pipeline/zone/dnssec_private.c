/* dnssec_private: private keys, from wherever they come to something that signs.
 *
 * Whoever brings a key (a generator, a file, an HSM), it goes through one door, private_from_pkey:
 * the kind of key is the algorithm's, the public half is one that our own verifier takes
 * (dnssec_key_open has the bounds of sizes and exponents), and a signature made with the private
 * half verifies with it. So a file whose halves disagree, or a token that holds another key under
 * the same label, is found when it is opened and not by a resolver.
 *
 * What a key is made of stays inside OpenSSL, which wipes it when the last reference is gone.
 */
#include "pipeline/zone/dnssec_hsm.h"
#include "pipeline/zone/dnssec_parts.h"
#include "pipeline/base/alloc.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <stdatomic.h>

enum { RSA_SIGN_MIN_BITS = 1024, RSA_NEW_MIN_BITS = 2048 };

const char *openssl_reason(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *text = code ? ERR_reason_error_string(code) : NULL;
    return text ? text : "no reason given";
}

const struct algorithm *private_algorithm(uint8_t code, struct why *why)
{
    const struct algorithm *a = algorithm_get(code);
    if (a && a->digest != DIGEST_SHA1)
        return a;
    if (a)
        why_set(why, 0, "%s is not signed with any more (RFC 8624 3.1)", a->mnemonic);
    else
        why_set(why, 0, "algorithm %u is not supported", code);
    return NULL;
}

/* ---- the public half ---- */

static bool rsa_public(const EVP_PKEY *pkey, struct dnssec_private *key, struct why *why)
{
    BIGNUM *n = NULL, *e = NULL;
    bool ok = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &n) &&
              EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e);
    if (!ok)
        why_set(why, 0, "the RSA key has no modulus or exponent");
    if (ok && (BN_num_bits(n) > RSA_MAX_BITS || BN_num_bits(n) < RSA_SIGN_MIN_BITS)) {
        ok = false;
        why_set(why, 0, "RSA key of %d bits, from %d to %d are accepted", BN_num_bits(n),
                RSA_SIGN_MIN_BITS, RSA_MAX_BITS);
    }
    if (ok && BN_num_bytes(e) > RSA_EXPONENT_MAX_OCTETS) {
        ok = false;
        why_set(why, 0, "RSA exponent of %d octets, at most %d are accepted", BN_num_bytes(e),
                RSA_EXPONENT_MAX_OCTETS);
    }
    if (ok) { /* RFC 3110 2 */
        key->public[0] = (uint8_t)BN_bn2bin(e, key->public + 1);
        key->public_len = (uint16_t)(1 + key->public[0]);
        key->public_len += (uint16_t)BN_bn2bin(n, key->public + key->public_len);
    }
    BN_free(n);
    BN_free(e);
    return ok;
}

static bool ec_public(const EVP_PKEY *pkey, struct dnssec_private *key, struct why *why)
{
    const struct algorithm *a = key->algorithm;
    char group[32];
    size_t len;
    if (EVP_PKEY_get_group_name(pkey, group, sizeof(group), &len) <= 0) {
        why_set(why, 0, "the key's curve has no name");
        return false;
    }
    int nid = OBJ_sn2nid(group), want = EC_curve_nist2nid(a->group);
    if (nid == NID_undef)
        nid = EC_curve_nist2nid(group);
    if (nid != want) {
        why_set(why, 0, "the key is on the curve %s, %s is on %s", group, a->mnemonic, a->group);
        return false;
    }
    BIGNUM *x = NULL, *y = NULL;
    int half = a->key_len / 2;
    bool ok = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_EC_PUB_X, &x) &&
              EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, &y) &&
              BN_bn2binpad(x, key->public, half) == half &&
              BN_bn2binpad(y, key->public + half, half) == half;
    BN_free(x);
    BN_free(y);
    unsigned char *point = NULL;
    if (!ok) { /* an engine's key gives its point as one string */
        ok = i2d_PublicKey(pkey, &point) == 1 + a->key_len &&
             point[0] == POINT_CONVERSION_UNCOMPRESSED;
        if (ok)
            memcpy(key->public, point + 1, a->key_len);
        OPENSSL_free(point);
    }
    key->public_len = a->key_len;
    if (!ok)
        why_set(why, 0, "the key has no public point");
    return ok;
}

static bool eddsa_public(const EVP_PKEY *pkey, struct dnssec_private *key, struct why *why)
{
    size_t len = key->algorithm->key_len;
    if (EVP_PKEY_get_raw_public_key(pkey, key->public, &len) != 1 ||
        len != key->algorithm->key_len) {
        why_set(why, 0, "the key has no public half");
        return false;
    }
    key->public_len = key->algorithm->key_len;
    return true;
}

static int public_half(const EVP_PKEY *pkey, struct dnssec_private *key, struct why *why)
{
    static const char *const type[] = {[FAMILY_RSA] = "RSA", [FAMILY_ECDSA] = "EC"};
    const struct algorithm *a = key->algorithm;
    const char *want = a->family == FAMILY_EDDSA ? a->group : type[a->family];
    if (!EVP_PKEY_is_a(pkey, want)) {
        const char *is = EVP_PKEY_get0_type_name(pkey);
        if (!is)
            is = OBJ_nid2sn(EVP_PKEY_get_base_id(pkey));
        return why_set(why, -E_FORMAT, "a key of type %s, %s needs %s", is ? is : "unknown",
                       a->mnemonic, want);
    }
    bool ok = a->family == FAMILY_RSA     ? rsa_public(pkey, key, why)
              : a->family == FAMILY_ECDSA ? ec_public(pkey, key, why)
                                          : eddsa_public(pkey, key, why);
    if (!ok)
        return a->family == FAMILY_RSA ? -E_UNSUPPORTED : -E_FORMAT;
    key->signature_len = a->family == FAMILY_RSA     ? (uint16_t)EVP_PKEY_get_size(pkey)
                         : a->family == FAMILY_ECDSA ? a->key_len
                                                     : (uint16_t)(2 * a->key_len);
    return 0;
}

static int hsm_public_half(EVP_PKEY *pkey, void *arg, struct why *why)
{
    static const uint8_t usual[] = {ALG_RSASHA256, ALG_ECDSAP256, ALG_ECDSAP384, ALG_ED25519,
                                    ALG_ED448};
    struct dnssec_private *key = arg;
    if (key->algorithm)
        return public_half(pkey, key, why);
    for (size_t i = 0; i < sizeof(usual); i++) {
        key->algorithm = algorithm_get(usual[i]);
        if (public_half(pkey, key, why) == 0)
            return 0;
    }
    key->algorithm = NULL;
    return why_set(why, -E_UNSUPPORTED, "no algorithm of DNSSEC has keys of its kind or size");
}

/* ---- the door ---- */

/* What RSA is sped up with must fit, too: OpenSSL notices each time that it does not, and takes the
 * slow way. The primes are not proved to be primes: then no signature would verify. */
static bool rsa_parts_agree(const EVP_PKEY *pkey)
{
    static const char *const name[] = {
        OSSL_PKEY_PARAM_RSA_N,
        OSSL_PKEY_PARAM_RSA_D,
        OSSL_PKEY_PARAM_RSA_FACTOR1,
        OSSL_PKEY_PARAM_RSA_FACTOR2,
        OSSL_PKEY_PARAM_RSA_EXPONENT1,
        OSSL_PKEY_PARAM_RSA_EXPONENT2,
        OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
    };
    enum { N, D, P, Q, DP, DQ, QINV, PARTS };
    BIGNUM *v[PARTS] = {NULL}, *t = BN_secure_new(), *u = BN_secure_new();
    BN_CTX *ctx = BN_CTX_secure_new();
    bool ok = t && u && ctx;
    for (unsigned i = 0; ok && i < PARTS; i++) {
        v[i] = BN_secure_new();
        ok = v[i] && EVP_PKEY_get_bn_param(pkey, name[i], &v[i]);
    }
    ok = ok && !BN_is_zero(v[P]) && !BN_is_one(v[P]) && !BN_is_zero(v[Q]) && !BN_is_one(v[Q]) &&
         BN_mul(t, v[P], v[Q], ctx) && BN_cmp(t, v[N]) == 0 && BN_sub(u, v[P], BN_value_one()) &&
         BN_mod(t, v[D], u, ctx) && BN_cmp(t, v[DP]) == 0 && BN_sub(u, v[Q], BN_value_one()) &&
         BN_mod(t, v[D], u, ctx) && BN_cmp(t, v[DQ]) == 0 &&
         BN_mod_mul(t, v[Q], v[QINV], v[P], ctx) && BN_is_one(t);
    for (unsigned i = 0; i < PARTS; i++)
        BN_clear_free(v[i]);
    BN_clear_free(t);
    BN_clear_free(u);
    BN_CTX_free(ctx);
    return ok;
}

/* What a signature by the private half is worth to who has the public one. */
static int halves_agree(const struct dnssec_private *key, struct why *why)
{
    static const uint8_t octets[] = "weir asks whether the two halves of this key agree";
    uint8_t signature[DNSSEC_SIGNATURE_MAX];
    size_t len;
    uint16_t dnskey_len;
    uint8_t *dnskey = dnssec_private_dnskey(key, DNSKEY_ZONE, &dnskey_len);
    struct dnssec_key *public = NULL;
    int err = dnssec_key_open(dnskey, dnskey_len, &public, why);
    mem_free(&dnskey);
    if (err)
        return err;
    struct dnssec_signer *signer = dnssec_signer_new();
    err = dnssec_sign(signer, key, octets, sizeof(octets), signature, &len, why);
    dnssec_signer_free(&signer);
    if (!err) {
        struct dnssec_scratch *scratch = dnssec_scratch_new();
        if (dnssec_verify_octets(scratch, public, octets, sizeof(octets), signature, len) !=
            DNSSEC_VALID)
            err = why_set(why, -E_FORMAT, "the key's private and public half disagree");
        dnssec_scratch_free(&scratch);
    }
    dnssec_key_close(&public);
    return err;
}

static int hsm_same(EVP_PKEY *pkey, void *arg, struct why *why)
{
    const struct dnssec_private *key = arg;
    struct dnssec_private now = {.algorithm = key->algorithm};
    int err = public_half(pkey, &now, why);
    if (!err &&
        (now.public_len != key->public_len || memcmp(now.public, key->public, now.public_len) != 0))
        err = why_set(why, -E_MISMATCH, "the HSM has another key under that name now");
    return err;
}

int private_from_pkey(EVP_PKEY *pkey, struct hsm_key *hsm, const struct algorithm *a,
                      struct dnssec_private **out, struct why *why)
{
    static _Atomic uint64_t serial;
    struct dnssec_private *key = mem_zalloc(sizeof(*key));
    atomic_init(&key->refs, 1);
    key->algorithm = a;
    key->pkey = pkey;
    key->hsm = hsm;
    key->serial = atomic_fetch_add(&serial, 1) + 1;
    ERR_set_mark();
    int err = hsm ? hsm_use(hsm, hsm_public_half, key, why) : public_half(pkey, key, why);
    if (!err && !hsm && a->family == FAMILY_RSA && !rsa_parts_agree(pkey))
        err = why_set(why, -E_FORMAT, "the parts of the RSA key disagree, or some are missing");
    if (!err && hsm)
        hsm_expect(hsm, hsm_same, key);
    if (!err)
        err = halves_agree(key, why);
    ERR_pop_to_mark();
    if (err) {
        dnssec_private_unref(key);
        return err;
    }
    *out = key;
    return 0;
}

int dnssec_private_open(const char *uri, uint8_t algorithm, struct dnssec_private **out,
                        struct why *why)
{
    const struct algorithm *a = NULL;
    struct hsm_key *hsm = NULL;
    if (algorithm && !(a = private_algorithm(algorithm, why)))
        return -E_UNSUPPORTED;
    int err = hsm_key_new(uri, &hsm, why);
    return err ? err : private_from_pkey(NULL, hsm, a, out, why);
}

int dnssec_private_generate(uint8_t algorithm, unsigned bits, struct dnssec_private **out,
                            struct why *why)
{
    const struct algorithm *a = private_algorithm(algorithm, why);
    if (!a)
        return -E_UNSUPPORTED;
    if (a->family == FAMILY_RSA && !bits)
        bits = RSA_NEW_MIN_BITS;
    if (a->family == FAMILY_RSA && (bits < RSA_NEW_MIN_BITS || bits > RSA_MAX_BITS))
        return why_set(why, -E_UNSUPPORTED, "an RSA key of %u bits: new ones have from %d to %d",
                       bits, RSA_NEW_MIN_BITS, RSA_MAX_BITS);
    if (a->family != FAMILY_RSA && bits && bits != a->min_bits)
        return why_set(why, -E_UNSUPPORTED, "a key of %u bits: %s has %u", bits, a->mnemonic,
                       a->min_bits);
    ERR_set_mark();
    EVP_PKEY *pkey = a->family == FAMILY_RSA     ? EVP_RSA_gen(bits)
                     : a->family == FAMILY_ECDSA ? EVP_EC_gen(a->group)
                                                 : EVP_PKEY_Q_keygen(NULL, NULL, a->group);
    if (!pkey)
        why_set(why, 0, "OpenSSL makes no %s key: %s", a->mnemonic, openssl_reason());
    ERR_pop_to_mark();
    return pkey ? private_from_pkey(pkey, NULL, a, out, why) : -E_IO;
}

/* ---- what it is ---- */

struct dnssec_private *dnssec_private_ref(const struct dnssec_private *key)
{
    struct dnssec_private *kept = (struct dnssec_private *)(uintptr_t)key;
    atomic_fetch_add_explicit(&kept->refs, 1, memory_order_relaxed);
    return kept;
}

void dnssec_private_unref(struct dnssec_private *key)
{
    if (!key || atomic_fetch_sub_explicit(&key->refs, 1, memory_order_acq_rel) != 1)
        return;
    EVP_PKEY_free(key->pkey);
    hsm_key_free(&key->hsm);
    mem_free(&key);
}

uint8_t dnssec_private_algorithm(const struct dnssec_private *key)
{
    return key->algorithm->code;
}

uint8_t *dnssec_private_dnskey(const struct dnssec_private *key, uint16_t flags, uint16_t *len)
{
    uint8_t *rdata = mem_alloc(DNSKEY_HEAD + key->public_len);
    put_u16(rdata, flags);
    rdata[2] = 3;
    rdata[3] = key->algorithm->code;
    memcpy(rdata + DNSKEY_HEAD, key->public, key->public_len);
    *len = (uint16_t)(DNSKEY_HEAD + key->public_len);
    return rdata;
}

bool dnssec_private_fits(const struct dnssec_private *key, const uint8_t *dnskey_rdata, size_t len)
{
    return len == DNSKEY_HEAD + (size_t)key->public_len && dnskey_rdata[2] == 3 &&
           dnskey_rdata[3] == key->algorithm->code &&
           memcmp(dnskey_rdata + DNSKEY_HEAD, key->public, key->public_len) == 0;
}

size_t dnssec_private_signature_len(const struct dnssec_private *key)
{
    return key->signature_len;
}
