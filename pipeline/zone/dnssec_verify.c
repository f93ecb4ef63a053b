/* dnssec_verify: one signature, one answer.
 *
 * OpenSSL is told everything it would rather find out by itself, once: digests are fetched when a
 * scratch is made, and each scratch keeps a verification context for the keys it met last. A zone
 * has a handful of keys, so the steady state is a hash and one public key operation.
 *
 * DNSSEC writes an ECDSA signature as r and s side by side (RFC 6605 4), OpenSSL wants DER: the
 * translation checks 0 < r, s < order, so the answer does not hang on how OpenSSL treats odd
 * integers. EdDSA hashes in its own way and has no context to keep.
 *
 * An error inside OpenSSL after the key was accepted is BOGUS: the signature is what it choked on.
 * A context that cannot be set up at all (a policy of the system forbids SHA-1, say) is
 * UNSUPPORTED.
 */
#include "pipeline/zone/dnssec_parts.h"
#include "pipeline/base/alloc.h"

#include <openssl/err.h>
#include <openssl/rsa.h>

static const char *const digest_name[DIGEST_COUNT] = {
    [DIGEST_SHA1] = "SHA1",
    [DIGEST_SHA256] = "SHA256",
    [DIGEST_SHA384] = "SHA384",
    [DIGEST_SHA512] = "SHA512",
};

const char *digest_text(enum digest_id id)
{
    return digest_name[id];
}

struct dnssec_scratch *dnssec_scratch_new(void)
{
    struct dnssec_scratch *s = mem_zalloc(sizeof(*s));
    for (unsigned i = 0; i < DIGEST_COUNT; i++)
        s->digest[i] = EVP_MD_fetch(NULL, digest_name[i], NULL); /* NULL: dnssec_digest says no */
    s->hash = EVP_MD_CTX_new();
    s->eddsa = EVP_MD_CTX_new();
    ASSERT(s->hash && s->eddsa);
    return s;
}

void dnssec_scratch_free(struct dnssec_scratch **scratch)
{
    struct dnssec_scratch *s = *scratch;
    if (!s)
        return;
    for (unsigned i = 0; i < DNSSEC_SCRATCH_KEYS; i++)
        EVP_PKEY_CTX_free(s->slot[i].ctx);
    for (unsigned i = 0; i < DIGEST_COUNT; i++)
        EVP_MD_free(s->digest[i]);
    EVP_MD_CTX_free(s->hash);
    EVP_MD_CTX_free(s->eddsa);
    p256_batch_free(&s->p256);
    mem_free(&s->input);
    mem_free(scratch);
}

bool dnssec_digest(struct dnssec_scratch *scratch, enum digest_id id, const uint8_t *octets,
                   size_t len, uint8_t *out)
{
    unsigned out_len;
    return scratch->digest[id] &&
           EVP_DigestInit_ex2(scratch->hash, scratch->digest[id], NULL) > 0 &&
           EVP_DigestUpdate(scratch->hash, octets, len) > 0 &&
           EVP_DigestFinal_ex(scratch->hash, out, &out_len) > 0;
}

static EVP_PKEY_CTX *verify_ctx_new(struct dnssec_scratch *scratch, const struct dnssec_key *key)
{
    const EVP_MD *md = scratch->digest[key->algorithm->digest];
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
    if (ctx && md && EVP_PKEY_verify_init(ctx) > 0 &&
        (key->algorithm->family != FAMILY_RSA ||
         EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) > 0) &&
        EVP_PKEY_CTX_set_signature_md(ctx, md) > 0)
        return ctx;
    EVP_PKEY_CTX_free(ctx);
    return NULL;
}

static EVP_PKEY_CTX *verify_ctx(struct dnssec_scratch *scratch, const struct dnssec_key *key)
{
    for (unsigned i = 0; i < DNSSEC_SCRATCH_KEYS; i++)
        if (scratch->slot[i].serial == key->serial)
            return scratch->slot[i].ctx;
    EVP_PKEY_CTX *ctx = verify_ctx_new(scratch, key);
    if (!ctx)
        return NULL;
    struct verify_slot *slot = &scratch->slot[scratch->next_slot];
    scratch->next_slot = (scratch->next_slot + 1) % DNSSEC_SCRATCH_KEYS;
    EVP_PKEY_CTX_free(slot->ctx);
    *slot = (struct verify_slot){key->serial, ctx};
    return ctx;
}

/* One INTEGER of DER from n octets, unsigned. Returns the octets written, at most n + 3. */
static size_t der_integer(uint8_t *out, const uint8_t *p, size_t n)
{
    while (n > 1 && p[0] == 0) {
        p++;
        n--;
    }
    size_t pad = p[0] >> 7;
    out[0] = 0x02;
    out[1] = (uint8_t)(n + pad);
    out[2] = 0;
    memcpy(out + 2 + pad, p, n);
    return 2 + pad + n;
}

static bool in_range(const uint8_t *x, const uint8_t *order, size_t n)
{
    static const uint8_t zero[EC_FIELD_MAX_OCTETS];
    return memcmp(x, zero, n) != 0 && memcmp(x, order, n) < 0;
}

enum {
    DER_SIGNATURE_MAX = 2 + 2 * (EC_FIELD_MAX_OCTETS + 3)
}; /* below 128, so every length is one octet */

/* 0: r or s is out of range. */
static size_t der_signature(uint8_t out[DER_SIGNATURE_MAX], const uint8_t *signature, size_t n,
                            const uint8_t *order)
{
    if (!in_range(signature, order, n) || !in_range(signature + n, order, n))
        return 0;
    size_t len = der_integer(out + 2, signature, n);
    len += der_integer(out + 2 + len, signature + n, n);
    out[0] = 0x30;
    out[1] = (uint8_t)len;
    return 2 + len;
}

enum dnssec_result dnssec_verify_digest(struct dnssec_scratch *scratch,
                                        const struct dnssec_key *key, const uint8_t *digest,
                                        const uint8_t *signature, size_t signature_len)
{
    uint8_t der[DER_SIGNATURE_MAX];
    if (key->algorithm->family == FAMILY_ECDSA) {
        signature_len = der_signature(der, signature, signature_len / 2, key->algorithm->order);
        signature = der;
        if (!signature_len)
            return DNSSEC_BOGUS;
    }
    EVP_PKEY_CTX *ctx = verify_ctx(scratch, key);
    if (!ctx)
        return DNSSEC_UNSUPPORTED;
    size_t digest_len = (size_t)EVP_MD_get_size(scratch->digest[key->algorithm->digest]);
    int ok = EVP_PKEY_verify(ctx, signature, signature_len, digest, digest_len);
    return ok == 1 ? DNSSEC_VALID : DNSSEC_BOGUS;
}

static enum dnssec_result verify_eddsa(struct dnssec_scratch *scratch, const struct dnssec_key *key,
                                       const uint8_t *octets, size_t len, const uint8_t *signature,
                                       size_t signature_len)
{
    /* OpenSSL promises one EVP_DigestVerify an init, so no context is kept: 1 of 50 µs. */
    if (EVP_DigestVerifyInit_ex(scratch->eddsa, NULL, NULL, NULL, NULL, key->pkey, NULL) <= 0)
        return DNSSEC_UNSUPPORTED;
    int ok = EVP_DigestVerify(scratch->eddsa, signature, signature_len, octets, len);
    EVP_MD_CTX_reset(scratch->eddsa);
    return ok == 1 ? DNSSEC_VALID : DNSSEC_BOGUS;
}

enum dnssec_result dnssec_verify_octets(struct dnssec_scratch *scratch,
                                        const struct dnssec_key *key, const uint8_t *octets,
                                        size_t len, const uint8_t *signature, size_t signature_len)
{
    if (signature_len != key->signature_len)
        return DNSSEC_BOGUS;
    enum dnssec_result result = DNSSEC_UNSUPPORTED;
    uint8_t digest[DIGEST_MAX_OCTETS];
    ERR_set_mark();
    if (key->algorithm->family == FAMILY_EDDSA)
        result = verify_eddsa(scratch, key, octets, len, signature, signature_len);
    else if (dnssec_digest(scratch, key->algorithm->digest, octets, len, digest))
        result = dnssec_verify_digest(scratch, key, digest, signature, signature_len);
    ERR_pop_to_mark();
    return result;
}

enum dnssec_result dnssec_prepare(struct dnssec_scratch *scratch, const struct dnssec_key *key,
                                  const uint8_t *owner, const struct rrset *set,
                                  const uint8_t *rrsig_rdata, size_t rrsig_len, struct rrsig *sig,
                                  const uint8_t **octets, size_t *len)
{
    if (!rrsig_parse(rrsig_rdata, rrsig_len, sig))
        return DNSSEC_BOGUS;
    if (!dnssec_supported(sig->algorithm))
        return DNSSEC_UNSUPPORTED;
    if (sig->algorithm != key->info.algorithm || sig->covered != set->type ||
        sig->signature_len != key->signature_len)
        return DNSSEC_BOGUS;
    *octets = dnssec_input(scratch, owner, set, sig, rrsig_rdata, len);
    return *octets ? DNSSEC_VALID : DNSSEC_BOGUS;
}

enum dnssec_result dnssec_verify(struct dnssec_scratch *scratch, const struct dnssec_key *key,
                                 const uint8_t *owner, const struct rrset *set,
                                 const uint8_t *rrsig_rdata, size_t rrsig_len)
{
    struct rrsig sig;
    const uint8_t *octets;
    size_t len;
    enum dnssec_result result =
        dnssec_prepare(scratch, key, owner, set, rrsig_rdata, rrsig_len, &sig, &octets, &len);
    if (result != DNSSEC_VALID)
        return result;
    return dnssec_verify_octets(scratch, key, octets, len, sig.signature, sig.signature_len);
}
