/* crypto_memo: remembers what OpenSSL said of an Ed25519 signature, by standing between weir and libcrypto.
 *
 * For tests that judge the same signatures thousands of times: the answer for the same key, signature and octets (told
 * by SHA-256) is the same. Included by one file of a test program: it defines the function.
 */
#ifndef WEIR_TESTS_CRYPTO_MEMO_H
#define WEIR_TESTS_CRYPTO_MEMO_H

#include "pipeline/base/assert.h"

#include <dlfcn.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdint.h>
#include <string.h>

enum { MEMO_SLOTS = 65536 };
static struct memo {
    uint8_t key[SHA256_DIGEST_LENGTH];
    int answer;
} memo[MEMO_SLOTS];

int EVP_DigestVerify(EVP_MD_CTX *ctx, const unsigned char *sig, size_t siglen,
                     const unsigned char *tbs, size_t tbslen)
{
    static int (*real)(EVP_MD_CTX *, const unsigned char *, size_t, const unsigned char *, size_t);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "EVP_DigestVerify");
    ASSERT(real);
    EVP_PKEY *pkey = EVP_PKEY_CTX_get0_pkey(EVP_MD_CTX_get_pkey_ctx(ctx));
    uint8_t octets[64 + 4096], digest[SHA256_DIGEST_LENGTH];
    size_t n = 32;
    if (EVP_PKEY_get_id(pkey) != EVP_PKEY_ED25519 || siglen != 64 || tbslen > 4000 ||
        EVP_PKEY_get_raw_public_key(pkey, octets, &n) != 1)
        return real(ctx, sig, siglen, tbs, tbslen);
    memcpy(octets + n, sig, siglen);
    memcpy(octets + n + siglen, tbs, tbslen);
    SHA256(octets, n + siglen + tbslen, digest);
    struct memo *m = &memo[(digest[0] << 8 | digest[1]) % MEMO_SLOTS];
    if (memcmp(m->key, digest, sizeof(digest)) != 0) {
        m->answer = real(ctx, sig, siglen, tbs, tbslen);
        memcpy(m->key, digest, sizeof(digest));
    }
    return m->answer;
}

#endif
