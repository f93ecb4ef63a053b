/* keyset: the keys of a zone at one moment, and what each of them does then.
 *
 *                    publish  signs_keys  signs_zone   ds
 *        KSK            x          x                    x
 *        ZSK            x                      x
 *        CSK            x          x           x        x
 *        next ZSK       x                                    pre-published (RFC 7583 3.2.1)
 *        last ZSK       x                                    until its signatures have left the caches
 *        next KSK                                       x    double-DS (RFC 7583 3.3.2): the parent knows it first
 *        next algorithm            x           x             signatures first, the DNSKEY later (RFC 6781 4.1.4)
 *        any other                                           ours, and not a foreign one when another signer sends it (RFC 8901)
 *
 * WHAT   What the `sign` stage is told: it makes the DNSKEY, CDS and CDNSKEY sets and the signatures that this says, and knows
 *        nothing of policies, rollovers and parents. The keyring (run/keyring.h) decides, and makes a new one whenever
 *        something changes. What is of other signers is for the stage `multisigner`: foreign keys, NS names, CSYNC.
 * WHO    Immutable once handed out; any thread.
 * OWNS   keyset_ref/unref. A keyset owns its rdata and holds a reference on its private keys and nodes.
 * SPEC   RFC 4034 2; RFC 7583; RFC 7344, RFC 8078 4.
 */
#ifndef WEIR_ZONE_KEYSET_H
#define WEIR_ZONE_KEYSET_H

#include "pipeline/zone/dnssec_private.h"
#include "pipeline/zone/node.h"

#include <time.h>

enum { KEYSET_KEYS_MAX = 32 };

struct keyset_key {
    uint8_t *rdata;                    /* DNSKEY */
    uint16_t len, tag;
    uint8_t algorithm;
    struct dnssec_private *private;    /* NULL: not here (offline, in an HSM that is gone); then it cannot sign */
    bool publish;                      /* in the DNSKEY set */
    bool signs_keys;                   /* the DNSKEY, CDS and CDNSKEY sets */
    bool signs_zone;                   /* all else */
    bool ds;                           /* named by CDS and CDNSKEY */
};

/* The DNSKEY set (and CDS, CDNSKEY) with its signatures, made elsewhere, for a KSK that is offline. */
struct keyset_prepared {
    time_t from, until;                /* all its signatures are valid in [from, until] */
    struct node *node;                 /* at the apex: nothing but these sets and their RRSIGs */
};

/* A key of another signer of the zone (RFC 8901), from a file or from that signer's servers. Those that come with the transfer are not here. */
struct keyset_foreign {
    uint8_t *rdata;                    /* DNSKEY */
    uint16_t len;
    uint32_t ttl;                      /* of the set that it was in */
    bool publish;                      /* in the DNSKEY set; of a KSK, only if the stage's option `include` takes all */
    bool ds;                           /* named by CDS and CDNSKEY */
    bool csk;                          /* it has the SEP flag, and is known to sign the zone's data, too: no `include` keeps it out */
};

struct keyset {
    _Atomic uint32_t refs;
    bool unsigned_zone;                /* DNSSEC was deleted, or never begun: the zone goes out without (n is 0) */
    bool ksk_elsewhere;                /* DNSKEY, CDS and CDNSKEY are served as they were made elsewhere: prepared, or with what comes in */
    bool cds_delete;                   /* CDS and CDNSKEY ask the parent to take the DS away (RFC 8078 4) */
    uint32_t resigns;                  /* so often an operator has said: all signatures anew. No signature outlives a change of it */
    unsigned n, nprepared, nforeign;
    struct keyset_key *key;            /* ordered by algorithm, tag, rdata */
    struct keyset_prepared *prepared;  /* ordered by `from` */
    struct keyset_foreign *foreign;    /* ordered by rdata, none twice */
    unsigned nns;
    uint8_t **ns;                      /* names of servers that are in the apex NS set besides those that come in; ordered, none twice */
    bool csync;                        /* the parent is to take over the NS set (RFC 7477) */
};
/* All zero but refs (1) and the arrays; the caller fills it in, gives rdata that is mem_alloc'ed, and then keyset_seal orders it. */
struct keyset *keyset_new(unsigned keys, unsigned prepared, unsigned foreign);
/* Before it is sealed: one more, of which a copy is kept. The key does nothing until the caller says what; good until the next one is added. */
struct keyset_foreign *keyset_add_foreign(struct keyset *k, const uint8_t *rdata, uint16_t len, uint32_t ttl);
void keyset_add_ns(struct keyset *k, const uint8_t *name);
/* Sets tag and algorithm from the rdata, too. A foreign key that is there twice does what either does, under the larger TTL. */
void keyset_seal(struct keyset *k);
struct keyset *keyset_ref(const struct keyset *k);
void keyset_unref(struct keyset *k);                       /* NULL allowed */
/* The same keys in the same roles, and the same names of servers? A private key that came or went makes a difference. NULL is equal to NULL only. */
bool keyset_same(const struct keyset *a, const struct keyset *b);

/* What a version shows of the keys that signed it: the keyring lets no key go before this says that nothing hangs on it. */
struct key_use {
    uint16_t tag;
    uint8_t algorithm;
    uint64_t signatures;               /* by it, over rrsets other than DNSKEY, CDS and CDNSKEY */
    int64_t last_expiration;           /* no signature by it ends later (it may be one that is gone) */
};
struct key_uses {
    uint64_t rrsets;                   /* that are signed, other than DNSKEY, CDS and CDNSKEY: a key that signs all has so many */
    uint32_t ttl_max;                  /* no record that was served had a larger TTL, as far as is known */
    unsigned n;
    struct key_use use[KEYSET_KEYS_MAX];
};

#endif
