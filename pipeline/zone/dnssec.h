/* dnssec: keys, signatures and what they cover.
 *
 * WHAT   The arithmetic of DNSSEC over our own data shapes: key tags, DNSKEY rdata to public key, the octets a
 *        signature covers, verifying them. OpenSSL lives here. No policy: validate and sign decide.
 * WHO    A dnssec_key may be used by many threads at once; a dnssec_scratch belongs to one thread.
 * UNITS  times are seconds since 1970 mod 2^32, compared by RFC 1982 (RFC 4034 3.1.5).
 * FAILS  verify: DNSSEC_VALID, DNSSEC_BOGUS or DNSSEC_UNSUPPORTED; never anything in between.
 * COST   one digest input an rrset, one public key operation a signature. One scratch keeps OpenSSL's contexts of the
 *        last DNSSEC_SCRATCH_KEYS keys, so a signature costs no allocation of ours.
 * SPEC   RFC 4034 3.1.8.1, 5.1.4, 6, appendix B; RFC 5702; RFC 6605; RFC 8080; RFC 3110 (RSA key format); RFC 8976.
 */
#ifndef WEIR_ZONE_DNSSEC_H
#define WEIR_ZONE_DNSSEC_H

#include "pipeline/zone/node.h"
#include "pipeline/zone/name.h"

enum dnssec_algorithm {
    ALG_RSASHA1 = 5, ALG_RSASHA1_NSEC3 = 7, ALG_RSASHA256 = 8, ALG_RSASHA512 = 10,
    ALG_ECDSAP256 = 13, ALG_ECDSAP384 = 14, ALG_ED25519 = 15, ALG_ED448 = 16,
};
enum { DNSKEY_ZONE = 0x0100, DNSKEY_SEP = 0x0001, DNSKEY_REVOKE = 0x0080 };

bool dnssec_supported(uint8_t algorithm);
const char *dnssec_algorithm_text(uint8_t algorithm);      /* "ECDSAP256SHA256"; "ALG99" is not needed: "unknown" */
uint16_t dnssec_key_tag(const uint8_t *dnskey_rdata, size_t len);

struct dnssec_key;                     /* a public key ready to verify */
struct dnssec_key_info {
    uint16_t flags, tag;
    uint8_t protocol, algorithm;
    unsigned bits;
};
/* -E_FORMAT: the key's octets are wrong (why says how); -E_UNSUPPORTED: algorithm. */
int dnssec_key_open(const uint8_t *dnskey_rdata, size_t len, struct dnssec_key **out, struct why *why) MUST_CHECK;
void dnssec_key_close(struct dnssec_key **key);
const struct dnssec_key_info *dnssec_key_info(const struct dnssec_key *key);
/* Says how many signatures are going to be verified by this key, before it is shared between threads. Where
 * that pays, a table is made once (P-256: 20 ms, 150 kB) that makes dnssec_verify_batch four times as fast. */
void dnssec_key_expect(struct dnssec_key *key, size_t signatures);

struct rrsig {                         /* a view of RRSIG rdata */
    uint16_t covered, tag;
    uint8_t algorithm, labels;
    uint32_t original_ttl, expiration, inception;
    const uint8_t *signer;             /* name, uncompressed */
    const uint8_t *signature;
    uint16_t signature_len;
    uint16_t head_len;                 /* rdata octets before the signature */
};
bool rrsig_parse(const uint8_t *rdata, size_t len, struct rrsig *out);

enum { DNSSEC_SCRATCH_KEYS = 16 };
struct dnssec_scratch;
struct dnssec_scratch *dnssec_scratch_new(void);
void dnssec_scratch_free(struct dnssec_scratch **scratch);

enum dnssec_result { DNSSEC_VALID, DNSSEC_BOGUS, DNSSEC_UNSUPPORTED };
/* Does this signature over this rrset at this owner verify under this key? Only the mathematics, that algorithm and
 * type covered fit, and the labels field; times, signer and key flags are the caller's. A labels field smaller than
 * the owner's count is a wildcard's signature: valid here, as it is in an answer; a zone must not hold one. */
enum dnssec_result dnssec_verify(struct dnssec_scratch *scratch, const struct dnssec_key *key, const uint8_t *owner,
                                 const struct rrset *set, const uint8_t *rrsig_rdata, size_t rrsig_len);
/* Many at once, keys and algorithms mixed; the same results as one by one. Best in hundreds. */
struct dnssec_job {
    const struct dnssec_key *key;
    const uint8_t *owner;
    struct rrset set;
    const uint8_t *rrsig;
    uint16_t rrsig_len;
    enum dnssec_result result;         /* the answer */
};
void dnssec_verify_batch(struct dnssec_scratch *scratch, struct dnssec_job *jobs, size_t n);
/* What both stand on: a signature as it is in an RRSIG over octets that are ready. */
enum dnssec_result dnssec_verify_octets(struct dnssec_scratch *scratch, const struct dnssec_key *key,
                                        const uint8_t *octets, size_t len, const uint8_t *signature,
                                        size_t signature_len);
/* The octets that are signed: borrowed from scratch until its next use. NULL: labels field larger than the owner's
 * (the leftmost "*" does not count, RFC 4034 3.1.3). */
const uint8_t *dnssec_input(struct dnssec_scratch *scratch, const uint8_t *owner, const struct rrset *set,
                            const struct rrsig *sig, const uint8_t *rrsig_rdata, size_t *len);

/* Does the DS name this DNSKEY of owner (RFC 4034 5.1.4)? UNSUPPORTED: tag and algorithm fit, but the digest is neither
 * SHA-256 nor SHA-384; SHA-1 proves nothing any more. */
enum dnssec_result dnssec_ds_matches(const uint8_t *owner, const uint8_t *dnskey_rdata, size_t len,
                                     const uint8_t *ds_rdata, size_t ds_len);
size_t dnssec_ds_digest_len(uint8_t digest_type);          /* 0: unsupported */
/* The DS rdata of this DNSKEY of owner, by a digest type that is supported; returns its length. */
enum { DNSSEC_DS_MAX = 4 + 48 };
size_t dnssec_ds_make(const uint8_t *owner, const uint8_t *dnskey_rdata, size_t len, uint8_t digest_type,
                      uint8_t out[DNSSEC_DS_MAX]);

/* The digest of a zone (RFC 8976, scheme SIMPLE): begin, add every node in canonical order, end. The apex's ZONEMD and
 * the signatures over it are left out. end frees; false: OpenSSL could not. */
enum { DNSSEC_ZONEMD_MAX = 64 };
struct dnssec_zonemd;
size_t dnssec_zonemd_len(uint8_t hash);                    /* octets of the digest; 0: unsupported, not to begin with */
struct dnssec_zonemd *dnssec_zonemd_begin(const uint8_t *apex, uint8_t hash);
void dnssec_zonemd_add(struct dnssec_zonemd *zonemd, const struct node *node);
bool dnssec_zonemd_end(struct dnssec_zonemd **zonemd, uint8_t out[DNSSEC_ZONEMD_MAX]);

/* NSEC3 hash (RFC 5155 5), SHA-1. No zone may ask for more iterations: what RFC 5155 10.3 allows for RSA of 2,048 bits. A
 * resolver takes a zone of more than 150 (newer ones: 50) for unsigned, but only if it gets the records (RFC 9276 3.2), so answers
 * do without them no earlier than at what no signer had a reason for. */
enum { DNSSEC_NSEC3_ITERATIONS_MAX = 500, DNSSEC_NSEC3_HASH = 20, DNSSEC_NSEC3_TEXT = 32 };
void dnssec_nsec3_hash(const uint8_t *name, uint16_t iterations, const uint8_t *salt, size_t salt_len, uint8_t out[20]);
/* The hash as text, in the letters of its owner; and read off an owner's first label (false: that is no hash). */
void dnssec_nsec3_print(const uint8_t hash[DNSSEC_NSEC3_HASH], char out[DNSSEC_NSEC3_TEXT + 1]);
bool dnssec_nsec3_parse(const uint8_t *owner, uint8_t out[DNSSEC_NSEC3_HASH]);
/* The owner of the hash's NSEC3. False: it would be too long for a name. */
bool dnssec_nsec3_owner(const uint8_t hash[DNSSEC_NSEC3_HASH], const uint8_t *apex, uint8_t out[NAME_MAX_OCTETS]);

#endif
