/* dnssec_key: from DNSKEY rdata to a key that verifies.
 *
 * The algorithms that weir knows are the rows of one table; what is not in it is unsupported, never
 * bogus.
 *
 * Key material comes from strangers, so its size is bounded before OpenSSL sees it: an RSA modulus
 * of 16,384 bits with an exponent as long would cost seconds a signature, a million times a zone.
 * An exponent of 1 makes every signature forgeable, an even modulus breaks Montgomery's arithmetic;
 * both are refused here by name. Points are checked to lie on their curve by OpenSSL when the key
 * is made.
 */
#include "pipeline/zone/dnssec_parts.h"
#include "pipeline/base/alloc.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <stdatomic.h>
#include <stdio.h>

enum { RSA_MIN_BITS = 512 };

static const uint8_t p256_order[32] = {
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
};
static const uint8_t p384_order[48] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf,
    0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
};

/* RFC 5702 2.2 asks for 1,024 bits at least with RSA/SHA-512; the other RSA algorithms start at
 * 512. */
static const struct algorithm algorithms[] = {
    {ALG_RSASHA1, FAMILY_RSA, DIGEST_SHA1, RSA_MIN_BITS, 0, "RSASHA1", "RSA", NULL},
    {ALG_RSASHA1_NSEC3, FAMILY_RSA, DIGEST_SHA1, RSA_MIN_BITS, 0, "RSASHA1-NSEC3-SHA1", "RSA",
     NULL},
    {ALG_RSASHA256, FAMILY_RSA, DIGEST_SHA256, RSA_MIN_BITS, 0, "RSASHA256", "RSA", NULL},
    {ALG_RSASHA512, FAMILY_RSA, DIGEST_SHA512, 1024, 0, "RSASHA512", "RSA", NULL},
    {ALG_ECDSAP256, FAMILY_ECDSA, DIGEST_SHA256, 256, 64, "ECDSAP256SHA256", "P-256", p256_order},
    {ALG_ECDSAP384, FAMILY_ECDSA, DIGEST_SHA384, 384, 96, "ECDSAP384SHA384", "P-384", p384_order},
    {ALG_ED25519, FAMILY_EDDSA, DIGEST_NONE, 256, 32, "ED25519", "ED25519", NULL},
    {ALG_ED448, FAMILY_EDDSA, DIGEST_NONE, 456, 57, "ED448", "ED448", NULL},
};

const struct algorithm *algorithm_get(uint8_t code)
{
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
        if (algorithms[i].code == code)
            return &algorithms[i];
    return NULL;
}

bool dnssec_supported(uint8_t algorithm)
{
    return algorithm_get(algorithm) != NULL;
}

const char *dnssec_algorithm_text(uint8_t algorithm)
{
    const struct algorithm *a = algorithm_get(algorithm);
    return a ? a->mnemonic : "unknown";
}

/* RFC 4034 appendix B; B.1 has its own rule for algorithm 1 (RSA/MD5): 16 bits of the modulus. */
uint16_t dnssec_key_tag(const uint8_t *rdata, size_t len)
{
    if (len >= DNSKEY_HEAD + 3 && rdata[3] == 1)
        return get_u16(rdata + len - 3);
    uint32_t sum = 0;
    for (size_t i = 0; i < len; i++)
        sum += i & 1 ? rdata[i] : (uint32_t)rdata[i] << 8;
    sum += sum >> 16;
    return (uint16_t)sum;
}

static EVP_PKEY *pkey_from_params(const char *type, OSSL_PARAM *params)
{
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (!ctx || EVP_PKEY_fromdata_init(ctx) <= 0 ||
        EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) <= 0)
        pkey = NULL;
    EVP_PKEY_CTX_free(ctx);
    return pkey;
}

static EVP_PKEY *rsa_pkey(const uint8_t *e, size_t e_len, const uint8_t *n, size_t n_len)
{
    EVP_PKEY *pkey = NULL;
    BIGNUM *bn_e = BN_bin2bn(e, (int)e_len, NULL), *bn_n = BN_bin2bn(n, (int)n_len, NULL);
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    if (bn_e && bn_n && bld && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, bn_n) &&
        OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, bn_e) &&
        (params = OSSL_PARAM_BLD_to_param(bld)))
        pkey = pkey_from_params("RSA", params);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(bld);
    BN_free(bn_e);
    BN_free(bn_n);
    return pkey;
}

static unsigned bits_of(const uint8_t *n, size_t len)
{
    unsigned top = 8;
    while (top && !(n[0] >> (top - 1)))
        top--;
    return (unsigned)(len - 1) * 8 + top;
}

/* RFC 3110 2: length of the exponent in one octet, or in two after a zero octet; the exponent; the
 * modulus. Leading zero octets are prohibited in both. */
static int rsa_open(struct dnssec_key *key, const uint8_t *p, size_t len, struct why *why)
{
    struct rbuf r = rbuf_open(p, len);
    size_t e_len = rbuf_u8(&r);
    bool wide = e_len == 0;
    if (wide)
        e_len = rbuf_u16(&r);
    if (!r.bad && e_len > RSA_EXPONENT_MAX_OCTETS)
        return why_set(why, -E_UNSUPPORTED, "RSA exponent of %zu octets, at most %d are accepted",
                       e_len, RSA_EXPONENT_MAX_OCTETS);
    const uint8_t *e = rbuf_take(&r, e_len);
    if (r.bad || e_len == 0 || rbuf_left(&r) == 0)
        return why_set(why, -E_FORMAT, "RSA key ends inside its exponent or has no modulus");
    if (wide)
        return why_set(why, -E_FORMAT, "RSA exponent's length is not in its short form");
    const uint8_t *n = r.p;
    size_t n_len = rbuf_left(&r);
    if (e[0] == 0 || n[0] == 0)
        return why_set(why, -E_FORMAT, "RSA %s begins with a zero octet",
                       e[0] ? "modulus" : "exponent");
    if (!(e[e_len - 1] & 1) || (e_len == 1 && e[0] < 3))
        return why_set(why, -E_FORMAT, "RSA exponent is even or 1");
    if (n_len > RSA_MAX_BITS / 8)
        return why_set(why, -E_UNSUPPORTED,
                       "RSA modulus of %zu octets, at most %d bits are accepted", n_len,
                       RSA_MAX_BITS);
    key->info.bits = bits_of(n, n_len);
    if (key->info.bits < key->algorithm->min_bits)
        return why_set(why, -E_UNSUPPORTED, "RSA modulus of %u bits, %s needs %u at least",
                       key->info.bits, key->algorithm->mnemonic, key->algorithm->min_bits);
    if (!(n[n_len - 1] & 1))
        return why_set(why, -E_FORMAT, "RSA modulus is even");
    key->signature_len = (uint16_t)n_len;
    key->pkey = rsa_pkey(e, e_len, n, n_len);
    return key->pkey ? 0 : why_set(why, -E_FORMAT, "OpenSSL does not take the RSA key");
}

static int curve_open(struct dnssec_key *key, const uint8_t *p, size_t len, struct why *why)
{
    const struct algorithm *a = key->algorithm;
    if (len != a->key_len)
        return why_set(why, -E_FORMAT, "%s key of %zu octets, not %u", a->mnemonic, len,
                       a->key_len);
    key->info.bits = a->min_bits;
    key->signature_len = (uint16_t)(2 * (a->family == FAMILY_ECDSA ? len / 2 : len));
    if (a->family == FAMILY_EDDSA) {
        key->pkey = EVP_PKEY_new_raw_public_key_ex(NULL, a->group, NULL, p, len);
        return key->pkey ? 0
                         : why_set(why, -E_FORMAT, "OpenSSL does not take the %s key", a->mnemonic);
    }
    uint8_t point[1 + 2 * EC_FIELD_MAX_OCTETS];
    point[0] = POINT_CONVERSION_UNCOMPRESSED;
    memcpy(point + 1, p, len);
    char group[8];
    snprintf(group, sizeof(group), "%s", a->group);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, len + 1),
        OSSL_PARAM_construct_end(),
    };
    key->pkey = pkey_from_params("EC", params);
    if (!key->pkey)
        return why_set(why, -E_FORMAT, "%s key is not a point on the curve", a->mnemonic);
    if (a->code == ALG_ECDSAP256)
        memcpy(key->point, p, sizeof(key->point));
    return 0;
}

int dnssec_key_open(const uint8_t *rdata, size_t len, struct dnssec_key **out, struct why *why)
{
    static _Atomic uint64_t serial;
    if (len < DNSKEY_HEAD)
        return why_set(why, -E_FORMAT, "DNSKEY of %zu octets", len);
    const struct algorithm *a = algorithm_get(rdata[3]);
    if (!a)
        return why_set(why, -E_UNSUPPORTED, "algorithm %u is not supported", rdata[3]);

    struct dnssec_key *key = mem_zalloc(sizeof(*key));
    key->algorithm = a;
    key->info = (struct dnssec_key_info){
        .flags = get_u16(rdata),
        .tag = dnssec_key_tag(rdata, len),
        .protocol = rdata[2],
        .algorithm = rdata[3],
    };
    key->serial = atomic_fetch_add(&serial, 1) + 1;

    ERR_set_mark(); /* what a stranger's key leaves in OpenSSL's queue is nobody's error */
    int err = a->family == FAMILY_RSA
                  ? rsa_open(key, rdata + DNSKEY_HEAD, len - DNSKEY_HEAD, why)
                  : curve_open(key, rdata + DNSKEY_HEAD, len - DNSKEY_HEAD, why);
    ERR_pop_to_mark();
    if (err) {
        dnssec_key_close(&key);
        return err;
    }
    *out = key;
    return 0;
}

void dnssec_key_close(struct dnssec_key **key)
{
    if (!*key)
        return;
    p256_tables_free(&(*key)->tables);
    EVP_PKEY_free((*key)->pkey);
    mem_free(key);
}

const struct dnssec_key_info *dnssec_key_info(const struct dnssec_key *key)
{
    return &key->info;
}

void dnssec_key_expect(struct dnssec_key *key, size_t signatures)
{
    if (key->algorithm->code == ALG_ECDSAP256 && !key->tables && signatures >= P256_TABLES_PAY_AT)
        key->tables = p256_tables_new(key->point);
}
