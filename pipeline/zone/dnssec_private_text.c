/* dnssec_private_text: keys as text, in two forms that are read and one that is written.
 *
 * PKCS#8 of an ECDSA key is put together here: OpenSSL leaves the secret in memory that it gives back
 * when it does so. All that varies between keys of one curve are the number and the point.
 */
#include "pipeline/zone/dnssec_parts.h"
#include "pipeline/base/alloc.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>

static bool is_bind(const char *text, size_t len)
{
    static const char head[] = "Private-key-format:";
    return len >= sizeof(head) - 1 && memcmp(text, head, sizeof(head) - 1) == 0;
}

/* A line of PEM's frame: what is before it is a comment. */
static bool is_pem(const char *text, size_t len)
{
    static const char frame[] = "-----BEGIN ";
    const char *at = memmem(text, len, frame, sizeof(frame) - 1);
    return at && (at == text || at[-1] == '\n');
}

int dnssec_private_parse(const char *text, size_t len, uint8_t algorithm,
                         struct dnssec_private **out, struct why *why)
{
    const struct algorithm *want = NULL;
    if (algorithm && !(want = private_algorithm(algorithm, why)))
        return -E_UNSUPPORTED;
    if (len > INT_MAX)
        return why_set(why, -E_LIMIT, "a private key of %zu octets", len);
    struct private_numbers numbers = {.algorithm = NULL};
    EVP_PKEY *pkey = NULL;
    int err;
    ERR_set_mark();
    if (is_bind(text, len))
        err = private_bind_read(text, len, want, &numbers, why);
    else if (is_pem(text, len))
        err = private_pem_read(text, len, want, &numbers, why);
    else
        err = why_set(why, -E_FORMAT, "neither PEM nor BIND's private key format");
    if (!err)
        err = private_numbers_pkey(&numbers, &pkey, why);
    const struct algorithm *a = numbers.algorithm;
    OPENSSL_cleanse(&numbers, sizeof(numbers));
    ERR_pop_to_mark();
    return err ? err : private_from_pkey(pkey, NULL, a, out, why);
}

/* PrivateKeyInfo, version 0: ecPublicKey, curve; ECPrivateKey, version 1: number, [1] point. */
static const uint8_t p256_head[] = {0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06,
                                    0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
                                    0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
                                    0x04, 0x6d, 0x30, 0x6b, 0x02, 0x01, 0x01, 0x04, 0x20};
static const uint8_t p256_middle[] = {0xa1, 0x44, 0x03, 0x42, 0x00, 0x04};
static const uint8_t p384_head[] = {0x30, 0x81, 0xb6, 0x02, 0x01, 0x00, 0x30, 0x10, 0x06,
                                    0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
                                    0x05, 0x2b, 0x81, 0x04, 0x00, 0x22, 0x04, 0x81, 0x9e,
                                    0x30, 0x81, 0x9b, 0x02, 0x01, 0x01, 0x04, 0x30};
static const uint8_t p384_middle[] = {0xa1, 0x64, 0x03, 0x62, 0x00, 0x04};

static bool ec_pem(const struct dnssec_private *key, BIO *out)
{
    bool small = key->algorithm->code == ALG_ECDSAP256;
    const uint8_t *head = small ? p256_head : p384_head;
    const uint8_t *middle = small ? p256_middle : p384_middle;
    size_t half = key->public_len / 2u, head_len = small ? sizeof(p256_head) : sizeof(p384_head);
    uint8_t der[256], *p = der;
    BIGNUM *d = BN_secure_new();
    bool ok = d && EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_PRIV_KEY, &d);
    memcpy(p, head, head_len);
    p += head_len;
    ok = ok && BN_bn2binpad(d, p, (int)half) == (int)half;
    p += half;
    memcpy(p, middle, sizeof(p256_middle));
    p += sizeof(p256_middle);
    memcpy(p, key->public, key->public_len);
    p += key->public_len;
    ok = ok && PEM_write_bio(out, PEM_STRING_PKCS8INF, "", der, p - der) > 0;
    BN_clear_free(d);
    OPENSSL_cleanse(der, sizeof(der));
    return ok;
}

int dnssec_private_pem(const struct dnssec_private *key, char **out, size_t *len, struct why *why)
{
    ERR_set_mark();
    BIO *bio = BIO_new(BIO_s_secmem()); /* wiped as it grows and when it is freed */
    ASSERT(bio);
    int err = 0;
    bool ok = key->hsm ? false
              : key->algorithm->family == FAMILY_ECDSA
                  ? ec_pem(key, bio)
                  : PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL, NULL) == 1;
    if (ok) {
        char *text;
        long n = BIO_get_mem_data(bio, &text);
        *out = mem_alloc((size_t)n + 1);
        memcpy(*out, text, (size_t)n);
        (*out)[n] = '\0';
        *len = (size_t)n;
    } else {
        err = why_set(why, -E_UNSUPPORTED, "the key cannot be written as PEM: %s",
                      key->hsm ? "it does not leave its HSM" : openssl_reason());
    }
    BIO_free(bio);
    ERR_pop_to_mark();
    return err;
}
