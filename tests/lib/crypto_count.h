/* crypto_count: counts public key operations of OpenSSL and SHA-1 hashes, by standing between weir and libcrypto.
 *
 * Included by one file of a test program: it defines the functions.
 */
#ifndef WEIR_TESTS_CRYPTO_COUNT_H
#define WEIR_TESTS_CRYPTO_COUNT_H

#define OPENSSL_SUPPRESS_DEPRECATED
#include <check.h>
#include <dlfcn.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdint.h>

static uint64_t operations, hashes;

static void *library_function(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    ck_assert_ptr_nonnull(found);
    return found;
}

int EVP_PKEY_verify(EVP_PKEY_CTX *ctx, const unsigned char *sig, size_t siglen,
                    const unsigned char *tbs, size_t tbslen)
{
    int (*real)(EVP_PKEY_CTX *, const unsigned char *, size_t, const unsigned char *, size_t);
    *(void **)&real = library_function("EVP_PKEY_verify");
    operations++;
    return real(ctx, sig, siglen, tbs, tbslen);
}

int EVP_DigestVerify(EVP_MD_CTX *ctx, const unsigned char *sig, size_t siglen,
                     const unsigned char *tbs, size_t tbslen)
{
    int (*real)(EVP_MD_CTX *, const unsigned char *, size_t, const unsigned char *, size_t);
    *(void **)&real = library_function("EVP_DigestVerify");
    operations++;
    return real(ctx, sig, siglen, tbs, tbslen);
}

int SHA1_Final(unsigned char *md, SHA_CTX *ctx)
{
    int (*real)(unsigned char *, SHA_CTX *);
    *(void **)&real = library_function("SHA1_Final");
    hashes++;
    return real(md, ctx);
}

#endif
