/* caches: what resolvers may have of a zone's DNSSEC, and whether a version may follow on that.
 *
 *        version accepted ─▶ caches_observe ─┐                       ┌─▶ points: met, or not, until when, and who has to do what
 *        parent's word    ─▶ caches_parent  ─┴─▶ memory ─▶ judge ────┤
 *        a version that is to follow ──────────────────────┘         └─▶ may it go out?
 *
 * WHAT   The memory of one zone: which DNSKEYs were served since when and until when, who signed what was served, under which TTLs, which DS
 *        sets the parent had. It does not matter who made them: weir, the primary, or another chain before a restart. A version
 *        is judged where who signs changes otherwise than the keyring plans it (run/keyring.h): another mode, another chain, keys that
 *        were lost; and for so long after such a switch as signatures of before may be in a cache. All else passes unasked.
 *        What may be in a cache: a DNSKEY set that lacks a key, until the key was served for the DNSKEY TTL; signatures by a key, until the
 *        zone's largest TTL after the last version with one; a DS set, until the DS TTL after the parent had it last. A resolver puts
 *        any of them together with any other and with the new version, and must find it good.
 * WHO    One caller at a time. Pure: no I/O, no clock. Time is the keyring's (struct keyring_time).
 * COST   O(keys) a version, whatever the zone's size.
 * SPEC   RFC 4035 2.2, 5; RFC 6781 4.3.5 (changing operators); RFC 6840 5.11; RFC 8901 6.
 */
#ifndef WEIR_RUN_CACHES_H
#define WEIR_RUN_CACHES_H

#include "pipeline/run/keyring.h"
#include "pipeline/run/parent_view.h"

enum { CACHES_KEYS_MAX = 64, CACHES_SIGNERS_MAX = 64, CACHES_DS_MAX = 16, CACHES_POINTS_MAX = 64 };

/* Who makes a version's DNSSEC. */
enum caches_world {
    WORLD_UNKNOWN,
    WORLD_PASSED,                        /* whoever made what comes in */
    WORLD_OURS,
    WORLD_SHARED,                        /* ours, beside other signers */
    WORLD_STRIPPED,                      /* nobody: what comes in loses it */
    WORLD_REKEYED,                       /* as PASSED, but the DNSKEY set is that of a KSK's holder */
};
enum { WORLDS = WORLD_REKEYED + 1 };
const char *caches_world_text(enum caches_world world);        /* "pre-signed", "live", "multi-signer", "unsigned", "pre-signed, rekeyed" */

struct caches_id {
    uint16_t tag;
    uint8_t algorithm;
};
struct caches_key {
    uint8_t *rdata;                      /* DNSKEY */
    uint16_t len, tag;
    uint8_t algorithm;
    bool in;                             /* it is in the set that is served, … */
    bool own;                            /* the keyring has it, or had */
    bool ds;                             /* … and says that its DS may be at the parent, or in a cache */
    int64_t since;                       /* … since then; < 0: since before it was looked at */
    int64_t left;                        /* not in: the last set with it was replaced then */
};
struct caches_signer {
    uint16_t tag;
    uint8_t algorithm;
    bool in;                             /* something in the version that is served is signed by it */
    bool switched;                       /* it stopped because the mode changed */
    int64_t since, until;                /* as of a key */
};
struct caches_ds {                       /* a DS set, as one server of the parent had it */
    struct parent_set set;
    bool in;                             /* one of them has it now */
    int64_t last;                        /* one of them had it last */
};
struct caches {
    int64_t clock, tick;                 /* as in struct keyring */
    uint64_t boot;
    enum caches_world world, before;     /* of the version that is served; of the one before the last switch */
    int64_t switched_at;                 /* < 0: never */
    bool overflow;                       /* there was more than can be remembered */
    struct keyring_ttl dnskey_ttl, zone_ttl;
    int64_t asked;                       /* all of the parent's servers answered last; < 0: never */
    int64_t watched;                     /* no DS set at the parent since then is unknown here; < 0: nothing is known */
    unsigned nkeys, nsigners, nksk, nds; /* of up to CACHES_…_MAX: most of ten thousands of zones have nothing to remember */
    struct caches_id *ksk;               /* who signs the DNSKEY set that is served */
    struct caches_key *key;
    struct caches_signer *signer;
    struct caches_ds *ds;
};
struct caches *caches_new(void);
struct caches *caches_copy(const struct caches *c);
void caches_free(struct caches **c);

/* A version, as far as it matters. Borrowed for the call. */
struct caches_version {
    const uint8_t *apex;
    enum caches_world world;
    struct rrset dnskey;                 /* count 0: none */
    uint32_t negative_ttl;               /* for which "no such set" may be cached */
    uint32_t ttl_max;                    /* of what is signed, as far as is known */
    unsigned nksk, nsigners;
    struct caches_id ksk[CACHES_SIGNERS_MAX];      /* who signs the DNSKEY set */
    struct caches_id signer[CACHES_SIGNERS_MAX];   /* who signs the rest */
    const struct keyset *own;            /* NULL: none, or not known */
};
void caches_observe(struct caches *c, const struct caches_version *v, const struct keyring_time *time, int64_t delay_s);

struct caches_policy {
    int64_t delay_s;                     /* keyring_policy.propagation_delay_s */
    int64_t ds_ttl_s;                    /* … ds_ttl_s */
    bool parent_known;                   /* the configuration names the parent's servers */
    int64_t parent_gap_s;                /* two words of theirs no further apart leave nothing out */
};
/* The keyring's word: all its keys, with `ds` for those whose DS may be somewhere. Of a key that it does not know it says nothing. */
void caches_ring(struct caches *c, const struct keyset *keys);
/* A view that is complete. */
void caches_parent(struct caches *c, const struct parent_view *view, const struct caches_policy *policy, const struct keyring_time *time);

enum caches_step { STEP_PUBLISH_KEYS, STEP_PUBLISH_DS, STEP_KEEP };
enum caches_code {                       /* transition.c has a finding for each, in this order */
    POINT_SIGNER_UNSEEN,                 /* it will sign, and its DNSKEY is not in every cache */
    POINT_SIGNER_WITHDRAWN,              /* its signatures may be in caches, and the new set has not its DNSKEY */
    POINT_FOREIGN_WITHDRAWN,             /* another signer's DNSKEY leaves, of whose answers nothing is known */
    POINT_ALGORITHM_NEW,                 /* the new set has it, and signatures in caches are not by it */
    POINT_ALGORITHM_LOST,                /* sets in caches have it, and nothing is signed by it any more */
    POINT_DS_UNMATCHED,                  /* a DS set that may be in a cache leads to no key that signs the new set */
    POINT_DS_UNKNOWN,                    /* what DS sets may be in caches */
    POINT_UNSIGNED,                      /* a DS may be in caches */
    POINT_TOO_MANY,                      /* keys to tell */
};
enum { CACHES_CODES = POINT_TOO_MANY + 1 };
struct caches_point {
    enum caches_step step;
    enum caches_code code;
    bool met;
    uint16_t tag;                        /* of the key, or of a DS of the set; 0: of none */
    uint8_t algorithm;
    int64_t in;                          /* seconds until it is met if all stays as it is; < 0: only if somebody does something */
};
struct caches_plan {
    bool asked;                          /* else who signs does not change, and nothing is asked */
    bool allowed;
    int64_t in;                          /* not allowed: seconds until it is if all stays as it is; < 0: somebody has to act */
    int64_t keep_signer_s, keep_ds_s;    /* after the switch: keys and DS of before are needed for so long */
    unsigned n;
    struct caches_point point[CACHES_POINTS_MAX];
};
/* May v follow? ask: as if who signs changed, whatever is so. */
void caches_judge(const struct caches *c, const struct caches_version *v, const struct caches_policy *policy, bool ask, struct caches_plan *out);
/* Seconds until nothing of before the last switch is in a cache; 0: nothing is. */
int64_t caches_settled_in(const struct caches *c, int64_t delay_s);
void caches_advance(struct caches *c, const struct keyring_time *time);
/* Is there anything that is worth keeping? */
bool caches_any(const struct caches *c);

/* ---- kept (caches_record.c), beside the version */
void caches_save(const struct caches *c, struct growbuf *out);
struct caches *caches_load(const uint8_t *octets, size_t len); /* NULL: none; any octets are safe */

#endif
