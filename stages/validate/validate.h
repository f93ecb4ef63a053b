/* validate: what the parts of this stage share. Nothing outside stages/validate/ includes it.
 *
 *        validate.c     the stage: options, one run, state and wake-up
 *        findings.c     the table of findings
 *        keys.c         the apex DNSKEY set, ready to verify
 *        anchor.c       trust anchors
 *        cds.c          CDS and CDNSKEY
 *        zonemd.c       the digest of the zone
 *        signatures.c   an rrset and its RRSIGs
 *        owner.c        what may be at a name, and what of it must be signed
 *        alias.c        CNAME and DNAME
 *        delegation.c   cuts, and the addresses of name servers
 *        denial.c       which kind of denial the zone has, and may have
 *        bitmap.c       type bitmaps against the types that are there
 *        nsec.c         the NSEC at a name
 *        nsec3*.c       the NSEC3 chains of a version (nsec3.h)
 *        tally.c        what is told once for the zone, with a count
 *        scope.c        what a change, or time, can have made wrong
 *        walk.c         which names to look at
 *        claims.c       how many signatures claim to be by which key
 *        doubts.c       where signatures are that were not found good
 *        state.c        what is kept from run to run
 *
 * WHO    One run on one thread; signatures, owner and nsec also from par_map bodies, each with its
 *        own worker.
 * OWNS   All of struct check lives in the run's arena, save the keys and scratches that check_close
 *        releases.
 */
#ifndef WEIR_VALIDATE_H
#define WEIR_VALIDATE_H

#include "pipeline/stage.h"

struct check;
enum validate_denial { DENIAL_NSEC_ONLY, DENIAL_NSEC3_ONLY, DENIAL_ANY };
enum validate_zonemd { ZONEMD_REQUIRE, ZONEMD_IF_PRESENT, ZONEMD_IGNORE };
enum validate_at_expiry { EXPIRY_SERVE, EXPIRY_SERVFAIL };
enum validate_signatures { SIGNATURES_PER_ALGORITHM, SIGNATURES_ANY_KEY };

struct validate_conf {
    int denial;     /* enum validate_denial */
    int signatures; /* enum validate_signatures */
    int zonemd;     /* enum validate_zonemd */
    int at_expiry;  /* enum validate_at_expiry */
    int64_t max_clock_skew, min_remaining;
    int64_t max_keys, max_keys_per_tag, max_signatures, max_iterations;
    struct option_list trust_anchor;
    /* made of it by anchors_open: */
    size_t anchors;
    struct trust_anchor *anchor;
};

/* In the order of findings.c. */
enum validate_code {
    SOA_MISSING,
    SOA_MULTIPLE,
    SOA_MISPLACED,
    NS_MISSING,
    DNSKEY_MISSING,
    DNSKEY_TOO_MANY,
    DNSKEY_MALFORMED,
    DNSKEY_PROTOCOL,
    DNSKEY_NO_ZONE_KEY,
    DNSKEY_LIMITS,
    DNSKEY_NOT_ZONE_KEY,
    DNSKEY_UNSUPPORTED,
    DNSKEY_UNSUPPORTED_ONLY,
    DNSKEY_SAME_TAG,
    DNSKEY_TAG_FLOOD,
    DNSKEY_REVOKED,
    DNSKEY_SEP_UNSIGNED,
    TRUST_ANCHOR_MISSING,
    TRUST_ANCHOR_UNSIGNED,
    DENIAL_MISSING,
    DENIAL_MIXED,
    DENIAL_IS_NSEC,
    DENIAL_IS_NSEC3,
    SIG_MISSING,
    SIG_ALGORITHM_MISSING,
    SIG_TOO_MANY,
    SIG_SIGNER,
    SIG_LABELS,
    SIG_ORIGINAL_TTL,
    SIG_EXPIRED,
    SIG_EARLY,
    SIG_UNKNOWN_KEY,
    SIG_REVOKED_KEY,
    SIG_BOGUS,
    SIG_TRIES,
    SIG_UNSUPPORTED,
    SIG_EXTRA,
    SIG_EXPIRING,
    SIG_ORPHAN,
    SIG_MISPLACED,
    SIG_TTL,
    SIG_END_BEFORE_REFRESH,
    TTL_MIXED,
    DS_MISPLACED,
    DELEGATION_OTHER_DATA,
    NS_NO_ADDRESS,
    CNAME_MULTIPLE,
    CNAME_OTHER_DATA,
    DNAME_MULTIPLE,
    DNAME_AT_DELEGATION,
    DNAME_OCCLUDES,
    CDS_MISPLACED,
    CDS_NO_KEY,
    CDS_DISAGREE,
    CDS_TOO_MANY,
    ZONEMD_MISSING,
    ZONEMD_SERIAL,
    ZONEMD_MISMATCH,
    ZONEMD_DUPLICATE,
    ZONEMD_UNSUPPORTED,
    ZONEMD_UNVERIFIED,
    ZONEMD_EXTRA,
    NSEC_MISSING,
    NSEC_MULTIPLE,
    NSEC_NEXT,
    NSEC_BITMAP,
    NSEC_MISPLACED,
    NSEC_TTL,
    NSEC3_PARAM,
    NSEC3_PARAM_MANY,
    NSEC3_ITERATIONS,
    NSEC3_ITERATIONS_HIGH,
    NSEC3_WORK,
    NSEC3_CHAIN_MISSING,
    NSEC3_MISSING,
    NSEC3_NEXT,
    NSEC3_BITMAP,
    NSEC3_FLAGS,
    NSEC3_EXTRA,
    NSEC3_OWNER,
    NSEC3_MULTIPLE,
    NSEC3_STRAY,
    NSEC3_TTL,
};
extern const struct finding_type validate_findings[];

/* --- keys --- */
struct zone_key {
    struct dnssec_key *key; /* NULL: cannot be used here (algorithm, format) */
    uint16_t tag;
    uint8_t algorithm;
    bool may_sign; /* zone flag, protocol 3, not revoked */
    bool sep, revoked;
    bool anchor; /* a trust anchor names it */
};
struct keys {
    unsigned n;
    struct zone_key *key;
    unsigned
        algorithms; /* of keys that may sign: each must have signed every rrset (RFC 4035 2.2) */
    uint8_t algorithm[256];
    bool usable; /* at least one key can verify */
    bool has_sep;
    bool has_revoked;
    bool anchored; /* at least one is a trust anchor */
};

/* --- tallies --- */
enum tally_kind { TALLY_EXPIRING, TALLY_NSEC_TTL, TALLY_NSEC3_TTL, TALLIES };
struct tally {
    size_t n;
    int64_t value; /* of the case that comes first: the smallest, then by owner and type */
    const uint8_t *owner;
    uint16_t type;
};

/* --- claims: how many signatures say that they are by a key of this tag and algorithm. Those over the DNSKEY set, which
 * is always judged whole, are left out. --- */
enum { CLAIMS_MAX = 16 };
struct claims {
    bool overflow; /* there are more kinds than room: nothing is known */
    uint32_t ttl_max; /* no set that is signed has a larger TTL (it may be one that is gone) */
    unsigned n;
    struct claim {
        uint16_t tag;
        uint8_t algorithm;
        uint64_t signatures;
    } claim[CLAIMS_MAX];
};
/* sign: 1 or -1. */
void claims_count(struct claims *claims, const struct node *node, int sign);
void claims_merge(struct claims *claims, const struct claims *other);
bool claims_any(const struct claims *claims, uint16_t tag, uint8_t algorithm); /* may there be one? */

/* --- doubts: owners of signatures that were not verified, or did not verify, although all else about them was right
 * but for the time. Everywhere else a signature that looks right was found good. --- */
enum { DOUBTS_MAX = 256 };
struct doubts {
    bool overflow;
    unsigned n;
    const uint8_t *owner[DOUBTS_MAX]; /* in a state: sorted, and its own */
};
void doubts_add(struct doubts *doubts, const uint8_t *owner);
void doubts_merge(struct doubts *doubts, const struct doubts *other);
void doubts_sort(struct doubts *doubts); /* and leave out what is there twice */
bool doubts_has(const struct doubts *doubts, const uint8_t *owner); /* sorted; NULL: none */

/* --- state --- */
struct validate_state {
    int64_t earliest; /* when the first rrset runs out of good signatures, or before; NEVER */
    bool nsec, nsec3; /* what was judged */
    bool usable;      /* of struct keys */
    struct claims claims;
    struct doubts *doubts; /* NULL: none */
};
/* What is known after a run: earliest is the least of the workers'. */
struct validate_state *state_new(const struct check *check, int64_t earliest);
void state_free(void *state);
uint8_t *state_save(const void *state, size_t *len);
void *state_load(const uint8_t *octets, size_t len);
bool state_signed_by(const void *state, struct key_uses *out);

/* --- signatures --- */
struct signatures; /* one worker's batch */

struct worker {
    struct signatures *signatures;
    int64_t earliest; /* when the first rrset that it saw runs out of valid signatures */
    uint64_t visited;
    struct tally tally[TALLIES];
    struct claims claims;
    struct doubts doubts;
};

/* --- one run --- */
struct key_id {
    uint16_t tag;
    uint8_t algorithm;
};
struct scope {
    bool trust;     /* signatures that are as they were at the last accepted run are not verified again */
    bool all;       /* every name is looked at; else what changed */
    bool nsec3_all; /* the hashes of all names are compared */
    unsigned turned;
    struct key_id *key; /* of DNSKEY records that came or went: trust does not reach their signatures */
};
struct item { /* a name to look at */
    const struct node *node;
    const struct node
        *next; /* the next name that owns an NSEC; NULL: the apex (status says if it matters) */
    enum name_status status;
    const struct node *over; /* occluded: the cut or DNAME that hides it; else NULL */
    const struct node *was;  /* under trust: as it was, with the same status; NULL: it was not */
    bool nsec3_only; /* nothing but a hash's NSEC3 and its signature: no name of the zone itself */
    bool neighbour;  /* did not change: only its NSEC leads to what did */
};
struct items { /* in canonical order */
    size_t n;
    struct item *item;
};
struct check {
    struct stage_run *run;
    const struct validate_conf *conf;
    const uint8_t *apex_name;
    unsigned apex_labels;
    const struct node *apex;
    struct soa soa;
    uint32_t nsec_ttl; /* as it should be (RFC 9077) */
    struct keys keys;
    bool nsec, nsec3;     /* this kind of denial is judged */
    bool nsec3_tolerated; /* there may be NSEC3 without NSEC3PARAM */
    const struct validate_state *state; /* of the last accepted run, or NULL */
    struct scope scope;
    struct items fresh; /* what the change can have made wrong; none on a first load */
    struct items items; /* what is looked at */
    unsigned workers;
    struct worker *worker;
    /* of all workers, when they are done: */
    struct tally tally[TALLIES];
    struct claims claims;
    struct doubts doubts;
};

#define NEVER INT64_MAX

/* Reads the apex DNSKEY set. False: it cannot be judged any further (a finding says why). */
bool keys_open(struct check *check);
void keys_close(struct keys *keys);
/* That about so many signatures are about to be verified. */
void keys_expect(struct keys *keys, size_t signatures);

/* conf->anchor from conf->trust_anchor. -E_CONF */
int anchors_open(struct validate_conf *conf, struct why *why);
void anchors_close(struct validate_conf *conf);
bool anchors_name(const struct check *check, struct rdata dnskey);

void cds_check(struct check *check);
void zonemd_check(struct check *check);

struct signatures *signatures_new(void);
void signatures_free(struct signatures **signatures);
/* Takes the rrset up; it is judged by the time signatures_flush returns. */
void signatures_add(struct check *check, struct worker *worker, const struct item *item,
                    const struct rrset *set);
void signatures_flush(struct check *check, struct worker *worker);

void owner_check(struct check *check, struct worker *worker, const struct item *item);

void alias_check(struct check *check, const struct item *item);
void delegation_check(struct check *check, struct worker *worker, const struct item *item);
/* Is the name occluded by a delegation? Else by a DNAME. */
bool item_below_cut(const struct check *check, const struct item *item);

/* One more case. */
void tally_add(struct tally *tally, int64_t value, const uint8_t *owner, uint16_t type);
void tally_merge(struct tally *tally, const struct tally *other);
/* A finding with the count as {n0} at the first case; nothing if there is none. */
void tally_report(const struct check *check, enum tally_kind kind, enum validate_code code,
                  int64_t n1);

/* Settles check->nsec and check->nsec3 by policy and by what is at the apex. */
void denial_decide(struct check *check);

/* The types at a name that its NSEC or NSEC3 must list. */
enum bitmap_rule {
    BITMAP_ALL, /* authoritative: all that is there */
    BITMAP_CUT, /* NS, DS, NSEC and their RRSIG: not the glue */
};
/* Compares. False: they differ, and out says how: "lacks MX, lists A". node NULL: nothing may be
 * listed. */
enum { BITMAP_TEXT_MAX = 200 };
bool bitmap_check(const struct node *node, enum bitmap_rule rule, bool for_nsec3,
                  const uint8_t *bitmap, size_t len, char out[BITMAP_TEXT_MAX]);

void nsec_check(struct check *check, struct worker *worker, const struct item *item);
void nsec3_check_all(struct check *check);

void scope_decide(struct check *check);

/* Every name of the version. */
struct items walk_all(const struct check *check);
/* The names that the run's delta can have made wrong. */
struct items walk_changed(const struct check *check);

#endif
