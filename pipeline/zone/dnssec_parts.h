/* dnssec_parts: what the files of dnssec share; nobody else includes this.
 *
 * WHAT   The table of algorithms, the inside of keys and of a scratch, and the P-256 tables.
 */
#ifndef WEIR_ZONE_DNSSEC_PARTS_H
#define WEIR_ZONE_DNSSEC_PARTS_H

#include "pipeline/zone/dnssec.h"
#include "pipeline/zone/dnssec_private.h"

#include <openssl/evp.h>

enum algorithm_family { FAMILY_RSA, FAMILY_ECDSA, FAMILY_EDDSA };
enum digest_id {
    DIGEST_SHA1,
    DIGEST_SHA256,
    DIGEST_SHA384,
    DIGEST_SHA512,
    DIGEST_COUNT,
    DIGEST_NONE
};

enum { DIGEST_MAX_OCTETS = 64, EC_FIELD_MAX_OCTETS = 48 };

struct algorithm {
    uint8_t code;
    enum algorithm_family family;
    enum digest_id digest;
    uint16_t min_bits; /* RSA: of the modulus; else of the curve */
    uint16_t key_len;  /* octets of the public key; RSA: 0 */
    const char *mnemonic;
    const char *group;    /* OpenSSL's name of the curve or key type */
    const uint8_t *order; /* ECDSA: of the group, half a key long */
};
const struct algorithm *algorithm_get(uint8_t code); /* NULL: not supported */
const char *digest_text(enum digest_id id);          /* OpenSSL's name */

struct p256_tables;
struct dnssec_key {
    struct dnssec_key_info info;
    const struct algorithm *algorithm;
    EVP_PKEY *pkey;
    uint64_t serial; /* never used twice, so a scratch can tell a new key at an old address */
    uint16_t signature_len;
    uint8_t point[64]; /* P-256: the public key, x and y */
    struct p256_tables *tables;
};

struct verify_slot {
    uint64_t serial; /* 0: free */
    EVP_PKEY_CTX *ctx;
};
struct p256_batch;
struct dnssec_scratch {
    uint8_t *input;
    size_t input_cap;
    EVP_MD *digest[DIGEST_COUNT];
    EVP_MD_CTX *hash;
    EVP_MD_CTX *eddsa;
    struct verify_slot slot[DNSSEC_SCRATCH_KEYS];
    unsigned next_slot;
    struct p256_batch *p256; /* made at first use */
};

/* Everything before the public key operation: parses the RRSIG, checks algorithm, type covered,
 * lengths and labels, and makes the signed octets. VALID means "go on": *octets and *sig are set.
 */
enum dnssec_result dnssec_prepare(struct dnssec_scratch *scratch, const struct dnssec_key *key,
                                  const uint8_t *owner, const struct rrset *set,
                                  const uint8_t *rrsig_rdata, size_t rrsig_len, struct rrsig *sig,
                                  const uint8_t **octets, size_t *len);
/* False: OpenSSL could not. out has room for DIGEST_MAX_OCTETS. */
bool dnssec_digest(struct dnssec_scratch *scratch, enum digest_id id, const uint8_t *octets,
                   size_t len, uint8_t *out);
/* RSA and ECDSA, over a digest. */
enum dnssec_result dnssec_verify_digest(struct dnssec_scratch *scratch,
                                        const struct dnssec_key *key, const uint8_t *digest,
                                        const uint8_t *signature, size_t signature_len);

enum { DNSKEY_HEAD = 4, RSA_EXPONENT_MAX_OCTETS = 8, RSA_MAX_BITS = 4096 };

struct dnssec_private {
    _Atomic uint32_t refs;
    const struct algorithm *algorithm;
    EVP_PKEY *pkey;
    uint64_t serial; /* never used twice, as a dnssec_key's */
    struct hsm_key *hsm; /* then there is no pkey: hsm_use gives it */
    uint16_t signature_len, public_len;
    uint8_t public[DNSSEC_PUBLIC_MAX]; /* the DNSKEY's public key field */
};
/* Algorithms that weir makes signatures of: dnssec_supported without SHA-1's. */
const struct algorithm *private_algorithm(uint8_t code, struct why *why);
/* Takes pkey (NULL: of an HSM) or hsm, also when it fails: checks that it is a key of that algorithm
 * (NULL, of an HSM: of any), of a size that is accepted, and that its two halves agree, by signing
 * with the one and verifying with the other. */
struct hsm_key;
int private_from_pkey(EVP_PKEY *pkey, struct hsm_key *hsm, const struct algorithm *a,
                      struct dnssec_private **out, struct why *why);
/* A private key as numbers. Whoever has one wipes it. */
enum { PRIVATE_NUMBERS = 8, PRIVATE_NUMBER_MAX = RSA_MAX_BITS / 8 + 1 };
struct private_number {
    size_t len; /* 0: not there */
    uint8_t octets[PRIVATE_NUMBER_MAX];
};
struct private_numbers {
    const struct algorithm *algorithm;
    struct private_number number[PRIVATE_NUMBERS]; /* RSA: PKCS#1's, in its order; else the first */
    size_t public_len;                             /* of a curve, where it was given: to compare */
    uint8_t public[1 + 2 * EC_FIELD_MAX_OCTETS];
};
/* The readers of the two forms of text. want: NULL, or the algorithm it must be. */
int private_bind_read(const char *text, size_t len, const struct algorithm *want,
                      struct private_numbers *out, struct why *why);
int private_pem_read(const char *text, size_t len, const struct algorithm *want,
                     struct private_numbers *out, struct why *why);
int private_numbers_pkey(const struct private_numbers *f, EVP_PKEY **out, struct why *why);
/* What OpenSSL said last, in its words; they name functions and reasons, never contents. */
const char *openssl_reason(void);

/* P-256 with a table for the key. NULL where OpenSSL lacks the means; then EVP serves. */
enum { P256_OCTETS = 32, P256_BATCH = 256, P256_TABLES_PAY_AT = 1000 };
struct p256_tables *p256_tables_new(const uint8_t point[64]);
void p256_tables_free(struct p256_tables **tables);
struct p256_batch *p256_batch_new(void);
void p256_batch_free(struct p256_batch **batch);
/* Collects; false: full, or r or s out of range (then it is not in). */
bool p256_batch_add(struct p256_batch *batch, const struct p256_tables *tables,
                    const uint8_t digest[P256_OCTETS], const uint8_t signature[64]);
/* Verifies what was collected, in order of adding, and empties the batch. False means "not shown to
 * be valid". */
void p256_batch_run(struct p256_batch *batch, bool valid[P256_BATCH]);

#endif
