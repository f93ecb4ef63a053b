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

/* What a signer may get wrong, and then sign. */
enum signer_fault {
    FAULT_NONE,
    FAULT_LEFT_OUT, /* a name has no record; the others lead past it */
    FAULT_EXTRA,    /* NSEC3: a record for a name that is not there */
    FAULT_OPT_OUT,  /* NSEC3: one record's opt-out is not as the others' */
    FAULT_BITMAP,
    FAULT_NEXT,           /* leads one too far */
    FAULT_BELOW_SIGNED,   /* what came to lie below a cut or DNAME is as it was before */
    FAULT_BELOW_UNSIGNED, /* what no longer does, too */
    FAULT_DS_UNSEEN, /* a delegation with DS is taken for one without: left to opt-out, or listed without RRSIG */
    FAULT_OLD_DENIAL,             /* NSEC or NSEC3 are as before, whatever names came or went */
    FAULT_NON_TERMINALS,          /* NSEC3: empty ones are as before, all else is right */
    FAULT_KEYS,                  /* those from here on have to do with keys: */
    FAULT_KEY_GONE = FAULT_KEYS, /* one that signs is not published */
    FAULT_KEY_IDLE,              /* one of another algorithm is published and signs nothing */
    FAULT_KEY_SKIPS,             /* one does not sign one rrset */
    FAULT_OLD_SIGNATURES, /* one rrset keeps those of the version before, by whatever key they are */
    FAULTS
};

enum {
    SIGNER_KEY_MAX = 4 + 4 + 256,
    SIGNATURE_MAX = 256,
    SIGNER_RRSIG_MAX = 18 + NAME_MAX_OCTETS + SIGNATURE_MAX
};

struct signer_key {
    void *private;                 /* EVP_PKEY */
    uint8_t rdata[SIGNER_KEY_MAX]; /* DNSKEY */
    uint16_t len, tag;
    bool publish, sign; /* both true by signer_add_key; either may come before the other */
};
struct
    signer_chain { /* of NSEC3, beside the first one: while the salt changes, or NSEC3 comes or goes */
    bool there, announced; /* by NSEC3PARAM */
    uint16_t iterations;
    uint8_t salt_len, salt[8];
};
struct signer {
    uint32_t inception, expiration;
    unsigned
        lazy; /* of a hundred rrsets that are as they were, so many keep their signatures, whoever made them */
    enum signer_fault fault;
    uint32_t fault_lot; /* where */
    bool spoil_to_come; /* some signatures by keys that are not published are bogus */
    bool nsec, nsec3, opt_out;
    uint16_t iterations;
    uint8_t salt_len, salt[8];
    struct signer_chain other; /* its parameters are not the first chain's */
    unsigned keys;
    struct signer_key key[SIGNER_KEYS];
};

/* One P-256 key that signs everything, NSEC, signatures from a day before `now` to 14 days after.
 */
struct signer signer_open(time_t now, uint32_t seed);
void signer_close(struct signer *signer);
/* flags: DNSKEY_ZONE, with DNSKEY_SEP or not. algorithm: all that dnssec_supported. RSA alone does not follow from the
 * seed: one key of 2048 bits, made when first asked for, serves all that are RSA. Returns its index. Where an algorithm
 * has keys with and without SEP, the one signs the DNSKEY set, the other all else. */
unsigned signer_add_key(struct signer *signer, uint16_t flags, uint8_t algorithm, uint32_t seed);
void signer_remove_key(struct signer *signer, unsigned index);
/* RFC 5011: it signs on, under another tag. */
void signer_revoke_key(struct signer *signer, unsigned index);
/* Two seeds whose keys have the same tag; revoked: when the first one is. */
void signer_same_tag(uint16_t flags, uint8_t algorithm, bool revoked, uint32_t from,
                     uint32_t out[2]);

/* The signed version. before: the last one, or NULL. The caller gets a reference. */
struct snapshot *signer_sign(const struct signer *signer, const struct snapshot *plain,
                             struct family *family, const struct snapshot *before);

/* Puts a node into `out` with its signatures made anew, as of an authoritative name or of a cut. */
void signer_put(const struct signer *signer, struct edit *out, const uint8_t *apex,
                const struct node *node, bool cut);
/* The RRSIG that one key makes over an rrset; returns its length. */
size_t signer_rrsig(const struct signer *signer, unsigned key, const uint8_t *apex, const uint8_t *owner,
                    const struct rrset *set, uint8_t rdata[SIGNER_RRSIG_MAX]);
/* Signs what rdata says up to the signature, whatever that is, and puts the signature behind it; returns the length of
 * both. labels must not be more than the owner's. */
size_t signer_rrsig_end(const struct signer *signer, unsigned key, const uint8_t *owner, const struct rrset *set,
                        uint8_t rdata[SIGNER_RRSIG_MAX], size_t head);
/* The owner of the name's NSEC3; out may be name. */
void signer_nsec3_owner(const struct signer *signer, const uint8_t *apex, const uint8_t *name,
                        uint8_t out[NAME_MAX_OCTETS]);

#endif
