/* dnssec_private_numbers: from the numbers of a private key to a key of OpenSSL.
 *
 * Whatever text a key came in, its numbers end here: eight of RSA, one of a curve, whose public half
 * is computed. They are in one block that the caller wipes, and go on as "secure" BIGNUMs, which
 * OpenSSL wipes wherever it copies them. Its own readers of keys (OSSL_DECODER, and all that stand on
 * it) are not used: they give memory back with the key in it.
 */
#include "pipeline/zone/dnssec_parts.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>

static const char *const rsa_param[PRIVATE_NUMBERS] = {
    OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
    OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
    OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
    OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
};

static EVP_PKEY *pkey_from(OSSL_PARAM_BLD *bld, const char *type)
{
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) <= 0 ||
        EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_KEYPAIR, params) <= 0)
        pkey = NULL;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params); /* wipes what came from secure numbers */
    return pkey;
}

static BIGNUM *secret_number(const struct private_number *n)
{
    BIGNUM *bn = BN_secure_new();
    if (bn)
        BN_set_flags(bn, BN_FLG_CONSTTIME);
    return bn && BN_bin2bn(n->octets, (int)n->len, bn) ? bn : (BN_clear_free(bn), NULL);
}

static EVP_PKEY *rsa_key(const struct private_numbers *f)
{
    BIGNUM *bn[PRIVATE_NUMBERS] = {NULL};
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    bool ok = bld != NULL;
    for (unsigned i = 0; ok && i < PRIVATE_NUMBERS; i++) {
        bn[i] = secret_number(&f->number[i]);
        ok = bn[i] && OSSL_PARAM_BLD_push_BN(bld, rsa_param[i], bn[i]);
    }
    EVP_PKEY *pkey = ok ? pkey_from(bld, "RSA") : NULL;
    OSSL_PARAM_BLD_free(bld);
    for (unsigned i = 0; i < PRIVATE_NUMBERS; i++)
        BN_clear_free(bn[i]);
    return pkey;
}

/* The point of a secret number; its octets are the DNSKEY's with a 4 before them. */
static bool ec_point(const EC_GROUP *group, const BIGNUM *d, uint8_t *out, size_t len)
{
    EC_POINT *point = EC_POINT_new(group);
    bool ok =
        point && EC_POINT_mul(group, point, d, NULL, NULL, NULL) &&
        EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, out, len, NULL) == len;
    EC_POINT_free(point);
    return ok;
}

/* The public half that was given, if any; of a compressed point, x and the parity of y. */
static bool public_fits(const struct private_numbers *f, const uint8_t *point, size_t len)
{
    size_t half = len / 2;
    if (!f->public_len)
        return true;
    if (f->public_len == len)
        return memcmp(f->public, point, len) == 0;
    return f->public_len == 1 + half && f->public[0] == 2 + (point[len - 1] & 1) &&
           memcmp(f->public + 1, point + 1, half) == 0;
}

static EVP_PKEY *ec_key(const struct private_numbers *f, struct why *why)
{
    const struct algorithm *a = f->algorithm;
    uint8_t point[1 + 2 * EC_FIELD_MAX_OCTETS];
    size_t point_len = 1u + a->key_len;
    EC_GROUP *group = EC_GROUP_new_by_curve_name(EC_curve_nist2nid(a->group));
    BIGNUM *d = secret_number(&f->number[0]);
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    EVP_PKEY *pkey = NULL;
    if (d && group && (BN_is_zero(d) || BN_cmp(d, EC_GROUP_get0_order(group)) >= 0))
        why_set(why, 0, "the private number is zero, or not below the order of %s", a->group);
    else if (d && group && ec_point(group, d, point, point_len) &&
             !public_fits(f, point, point_len))
        why_set(why, 0, "the key's private and public half disagree");
    else if (d && group && bld && ec_point(group, d, point, point_len) &&
             OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, a->group, 0) &&
             OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, d) &&
             OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, point_len))
        pkey = pkey_from(bld, "EC");
    OSSL_PARAM_BLD_free(bld);
    BN_clear_free(d);
    EC_GROUP_free(group);
    return pkey;
}

static EVP_PKEY *eddsa_key(const struct private_numbers *f, struct why *why)
{
    const struct algorithm *a = f->algorithm;
    const struct private_number *n = &f->number[0];
    if (n->len != a->key_len) {
        why_set(why, 0, "a private key of %zu octets, %s has %u", n->len, a->mnemonic, a->key_len);
        return NULL;
    }
    EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key_ex(NULL, a->group, NULL, n->octets, n->len);
    uint8_t public[sizeof(f->public)];
    size_t len = sizeof(public);
    if (!pkey || !f->public_len ||
        (EVP_PKEY_get_raw_public_key(pkey, public, &len) == 1 && len == f->public_len &&
         memcmp(public, f->public, len) == 0))
        return pkey;
    why_set(why, 0, "the key's private and public half disagree");
    EVP_PKEY_free(pkey);
    return NULL;
}

int private_numbers_pkey(const struct private_numbers *f, EVP_PKEY **out, struct why *why)
{
    why_set(why, 0, "OpenSSL does not take the %s key", f->algorithm->mnemonic);
    *out = f->algorithm->family == FAMILY_RSA     ? rsa_key(f)
           : f->algorithm->family == FAMILY_ECDSA ? ec_key(f, why)
                                                  : eddsa_key(f, why);
    return *out ? 0 : -E_FORMAT;
}
