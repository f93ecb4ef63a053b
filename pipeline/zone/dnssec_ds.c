/* dnssec_ds: the DS of a DNSKEY, and whether a DS names it (RFC 4034 5.1.4)
 *
 *      digest = H(owner in lower case | DNSKEY rdata)
 *
 * SHA-256 (RFC 4509) and SHA-384 (RFC 6605). SHA-1 is a digest of the past: who can make two keys
 * with one digest has two keys that one DS trusts, so it says nothing here (RFC 8624 3.3).
 */
#include "pipeline/zone/dnssec_parts.h"

enum { DS_HEAD = 4, DS_SHA256 = 2, DS_SHA384 = 4 };

size_t dnssec_ds_digest_len(uint8_t digest_type)
{
    return digest_type == DS_SHA256 ? 32 : digest_type == DS_SHA384 ? 48 : 0;
}

static bool ds_digest(const uint8_t *owner, const uint8_t *dnskey, size_t len, uint8_t type,
                      uint8_t *out)
{
    uint8_t name[NAME_MAX_OCTETS];
    size_t name_octets = name_copy_lower(name, owner);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool done = ctx &&
                EVP_DigestInit_ex(ctx, type == DS_SHA256 ? EVP_sha256() : EVP_sha384(), NULL) > 0 &&
                EVP_DigestUpdate(ctx, name, name_octets) > 0 &&
                EVP_DigestUpdate(ctx, dnskey, len) > 0 && EVP_DigestFinal_ex(ctx, out, NULL) > 0;
    EVP_MD_CTX_free(ctx);
    return done;
}

size_t dnssec_ds_make(const uint8_t *owner, const uint8_t *dnskey, size_t len, uint8_t digest_type,
                      uint8_t out[DNSSEC_DS_MAX])
{
    size_t digest_len = dnssec_ds_digest_len(digest_type);
    ASSERT(digest_len && len >= DNSKEY_HEAD);
    put_u16(out, dnssec_key_tag(dnskey, len));
    out[2] = dnskey[3];
    out[3] = digest_type;
    bool done = ds_digest(owner, dnskey, len, digest_type, out + DS_HEAD);
    ASSERT(done); /* a digest that OpenSSL always has */
    return DS_HEAD + digest_len;
}

enum dnssec_result dnssec_ds_matches(const uint8_t *owner, const uint8_t *dnskey, size_t len,
                                     const uint8_t *ds, size_t ds_len)
{
    if (ds_len < DS_HEAD || len < DNSKEY_HEAD || ds[2] != dnskey[3] ||
        get_u16(ds) != dnssec_key_tag(dnskey, len))
        return DNSSEC_BOGUS;
    uint8_t digest[DIGEST_MAX_OCTETS];
    size_t digest_len = dnssec_ds_digest_len(ds[3]);
    if (digest_len == 0)
        return DNSSEC_UNSUPPORTED;
    if (ds_len != DS_HEAD + digest_len)
        return DNSSEC_BOGUS;
    if (!ds_digest(owner, dnskey, len, ds[3], digest))
        return DNSSEC_UNSUPPORTED;
    return memcmp(digest, ds + DS_HEAD, digest_len) == 0 ? DNSSEC_VALID : DNSSEC_BOGUS;
}
