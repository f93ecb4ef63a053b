/* signer: signs test zones.
 *
 * WHAT   Makes a signed zone from an unsigned one: DNSKEY set, NSEC or NSEC3 chain, RRSIGs. Keys
 *        follow from a seed, so a test can be had again. A signature that the version before holds
 *        over the same rrset by the same key is kept, as real signers do, so two versions differ
 *        only where the zone does. How names, bitmaps and hashes are found is written apart from
 *        stages/validate, that neither hides the other's faults. The octets to sign are
 *        dnssec_input's; that these are right is shown by zones that others signed.
 * WHO    One thread.
 */
#ifndef WEIR_TESTS_SIGNER_H
#define WEIR_TESTS_SIGNER_H

#include "pipeline/zone/dnssec.h"
#include "pipeline/zone/edit.h"

#include <time.h>

enum { SIGNER_KEYS = 8 };

struct signer_key {
    void *private;         /* EVP_PKEY */
    uint8_t rdata[4 + 64]; /* DNSKEY */
    uint16_t len, tag;
    bool publish, sign; /* both true by signer_add_key */
};
struct signer {
    uint32_t inception, expiration;
    bool nsec, nsec3, opt_out;
    uint16_t iterations;
    uint8_t salt_len, salt[8];
    unsigned keys;
    struct signer_key key[SIGNER_KEYS];
};

/* One P-256 key that signs everything, NSEC, signatures from a day before `now` to 14 days after.
 */
struct signer signer_open(time_t now, uint32_t seed);
void signer_close(struct signer *signer);
/* flags: DNSKEY_ZONE, with DNSKEY_SEP or not. algorithm: ALG_ECDSAP256 or ALG_ED25519. Returns its
 * index. Where an algorithm has keys with and without SEP, the one signs the DNSKEY set, the other
 * all else. */
unsigned signer_add_key(struct signer *signer, uint16_t flags, uint8_t algorithm, uint32_t seed);
void signer_remove_key(struct signer *signer, unsigned index);

/* The signed version. before: the last one, or NULL. The caller gets a reference. */
struct snapshot *signer_sign(const struct signer *signer, const struct snapshot *plain,
                             struct family *family, const struct snapshot *before);

#endif
