/* dnssec_sign: one signature.
 *
 * A signer keeps, for the keys it met last, an OpenSSL context that is ready to sign: what is left
 * for each signature is a hash of a few hundred octets and the private key operation, and none of it
 * is shared with other threads. EdDSA hashes in its own way; OpenSSL promises one EVP_DigestSign an
 * init, so that context begins anew each time, which is 1 of 40 µs.
 *
 * OpenSSL gives an ECDSA signature as DER, an RRSIG has r and s side by side (RFC 6605 4). The
 * reader here takes DER as OpenSSL and PKCS#11 engines write it and nothing else.
 *
 * A key in an HSM has no context that is kept (dnssec_hsm.c says why): there it is not what counts.
 *
 * A signature that cannot be made is always -E_IO: keys were tried when they were opened, so it is
 * the world that changed, not the key.
 */
#include "pipeline/zone/dnssec_hsm.h"
#include "pipeline/zone/dnssec_parts.h"
#include "pipeline/base/alloc.h"

#include <openssl/err.h>
#include <openssl/rsa.h>

struct sign_slot {
    uint64_t serial; /* 0: free */
    EVP_PKEY_CTX *ctx;
};
struct dnssec_signer {
    EVP_MD *digest[DIGEST_COUNT];
    EVP_MD_CTX *hash, *eddsa;
    struct sign_slot slot[DNSSEC_SIGNER_KEYS];
    unsigned next_slot;
};

struct dnssec_signer *dnssec_signer_new(void)
{
    struct dnssec_signer *s = mem_zalloc(sizeof(*s));
    for (unsigned i = 0; i < DIGEST_COUNT; i++)
        s->digest[i] = EVP_MD_fetch(NULL, digest_text(i), NULL); /* NULL: sign_digest says no */
    s->hash = EVP_MD_CTX_new();
    s->eddsa = EVP_MD_CTX_new();
    ASSERT(s->hash && s->eddsa);
    return s;
}

static void slot_close(struct sign_slot *slot)
{
    EVP_PKEY_CTX_free(slot->ctx);
    *slot = (struct sign_slot){0};
}

void dnssec_signer_free(struct dnssec_signer **signer)
{
    struct dnssec_signer *s = *signer;
    if (!s)
        return;
    for (unsigned i = 0; i < DNSSEC_SIGNER_KEYS; i++)
        slot_close(&s->slot[i]);
    for (unsigned i = 0; i < DIGEST_COUNT; i++)
        EVP_MD_free(s->digest[i]);
    EVP_MD_CTX_free(s->hash);
    EVP_MD_CTX_free(s->eddsa);
    mem_free(signer);
}

static EVP_PKEY_CTX *sign_ctx_new(EVP_PKEY *pkey, const struct algorithm *a, const EVP_MD *md)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    if (ctx && md && EVP_PKEY_sign_init(ctx) > 0 &&
        (a->family != FAMILY_RSA || EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) > 0) &&
        EVP_PKEY_CTX_set_signature_md(ctx, md) > 0)
        return ctx;
    EVP_PKEY_CTX_free(ctx);
    return NULL;
}

/* NULL: OpenSSL could not; it knows why. */
static EVP_PKEY_CTX *sign_ctx(struct dnssec_signer *s, const struct dnssec_private *key)
{
    for (unsigned i = 0; i < DNSSEC_SIGNER_KEYS; i++)
        if (s->slot[i].serial == key->serial)
            return s->slot[i].ctx;
    EVP_PKEY_CTX *ctx = sign_ctx_new(key->pkey, key->algorithm, s->digest[key->algorithm->digest]);
    if (!ctx)
        return NULL;
    struct sign_slot *slot = &s->slot[s->next_slot];
    s->next_slot = (s->next_slot + 1) % DNSSEC_SIGNER_KEYS;
    slot_close(slot);
    *slot = (struct sign_slot){key->serial, ctx};
    return ctx;
}

/* One INTEGER of DER at *p to n octets; moves *p behind it. */
static bool der_take(const uint8_t **p, const uint8_t *end, uint8_t *out, size_t n)
{
    const uint8_t *q = *p;
    if (end - q < 3 || q[0] != 0x02 || q[1] == 0 || q[1] > end - q - 2 || (q[2] & 0x80))
        return false;
    size_t len = q[1];
    q += 2;
    *p = q + len;
    if (q[0] == 0 && len > 1) {
        q++;
        len--;
    }
    if (len > n)
        return false;
    memset(out, 0, n - len);
    memcpy(out + n - len, q, len);
    return true;
}

static bool der_to_raw(const uint8_t *der, size_t len, uint8_t *out, size_t half)
{
    const uint8_t *p = der + 2, *end = der + len;
    return len > 2 && der[0] == 0x30 && der[1] == len - 2 && der_take(&p, end, out, half) &&
           der_take(&p, end, out + half, half) && p == end;
}

struct sign_job {
    struct dnssec_signer *signer;
    const struct dnssec_private *key;
    const uint8_t *octets;
    size_t len;
    uint8_t *out;
};

static bool sign_digest(const struct sign_job *job, EVP_PKEY_CTX *ctx)
{
    struct dnssec_signer *s = job->signer;
    const struct algorithm *a = job->key->algorithm;
    uint8_t digest[DIGEST_MAX_OCTETS], made[DNSSEC_SIGNATURE_MAX];
    unsigned digest_len;
    size_t made_len = sizeof(made), len = job->key->signature_len;
    if (!ctx || EVP_DigestInit_ex2(s->hash, s->digest[a->digest], NULL) <= 0 ||
        EVP_DigestUpdate(s->hash, job->octets, job->len) <= 0 ||
        EVP_DigestFinal_ex(s->hash, digest, &digest_len) <= 0 ||
        EVP_PKEY_sign(ctx, made, &made_len, digest, digest_len) <= 0)
        return false;
    if (a->family == FAMILY_ECDSA)
        return der_to_raw(made, made_len, job->out, len / 2);
    if (made_len != len)
        return false;
    memcpy(job->out, made, len);
    return true;
}

static bool sign_eddsa(const struct sign_job *job, EVP_PKEY *pkey)
{
    EVP_MD_CTX *ctx = job->signer->eddsa;
    size_t len = DNSSEC_SIGNATURE_MAX;
    bool ok = EVP_DigestSignInit_ex(ctx, NULL, NULL, NULL, NULL, pkey, NULL) > 0 &&
              EVP_DigestSign(ctx, job->out, &len, job->octets, job->len) > 0;
    EVP_MD_CTX_reset(ctx);
    return ok && len == job->key->signature_len;
}

static int said(const struct sign_job *job, bool ok, struct why *why)
{
    return ok ? 0
              : why_set(why, -E_IO, "the %s key does not sign: %s", job->key->algorithm->mnemonic,
                        openssl_reason());
}

static int sign_by_hsm(EVP_PKEY *pkey, void *arg, struct why *why)
{
    const struct sign_job *job = arg;
    const struct algorithm *a = job->key->algorithm;
    if (a->family == FAMILY_EDDSA)
        return said(job, sign_eddsa(job, pkey), why);
    EVP_PKEY_CTX *ctx = sign_ctx_new(pkey, a, job->signer->digest[a->digest]);
    bool ok = sign_digest(job, ctx);
    EVP_PKEY_CTX_free(ctx);
    return said(job, ok, why);
}

int dnssec_sign(struct dnssec_signer *signer, const struct dnssec_private *key,
                const uint8_t *octets, size_t len, uint8_t *out, size_t *out_len, struct why *why)
{
    struct sign_job job = {signer, key, octets, len, out};
    int err;
    ERR_set_mark();
    if (key->hsm)
        err = hsm_use(key->hsm, sign_by_hsm, &job, why);
    else if (key->algorithm->family == FAMILY_EDDSA)
        err = said(&job, sign_eddsa(&job, key->pkey), why);
    else
        err = said(&job, sign_digest(&job, sign_ctx(signer, key)), why);
    ERR_pop_to_mark();
    *out_len = key->signature_len;
    return err ? -E_IO : 0;
}
