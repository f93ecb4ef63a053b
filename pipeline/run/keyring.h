/* keyring: which key does what, and when it may go on to the next thing.
 *
 *        policy, keys, facts, now ─▶ keyring_step ─▶ keys' next cells, what is missing, wake_at ─▶ keyring_keyset ─▶ the stage `sign`
 *
 * WHAT   Of every key there are three things that resolvers cache: its DNSKEY, its signatures over the zone, its DS at the parent. Each is
 *        a cell in one of four states:
 *
 *          ABSENT ──▶ COMING ──▶ PRESENT ──▶ GOING ──▶ ABSENT
 *            in no      in some     in every    in some
 *            cache      caches      cache       caches
 *
 *        Two of the arrows are decisions, which are taken when a rule allows them (keyring.c: the rules) and which change what is served.
 *        The other two are facts and time: the thing is seen where it should be (or is seen no longer), and from then on the
 *        largest TTL under which something else can be in a cache has passed, and the propagation delay. Every rollover, of a
 *        KSK, a ZSK, a CSK, an algorithm, or from one kind to another, is nothing but wanted and unwanted keys and these rules.
 *        What is seen to be otherwise than it should be sets a cell back, so a lost fact or an older version restored delays
 *        and never hastens.
 *        Waits are counted on a clock of the ring's own, which goes on only by what a steady clock has measured: a clock that
 *        is set, forwards or back, moves nothing, and time across a reboot of the machine counts for nothing.
 * WHO    One caller at a time (run/zone_keys.c). Pure: no I/O, no clock, no random numbers.
 * OWNS   A ring owns its keys' rdata and holds a reference on their private halves.
 * SPEC   RFC 7583 (states, times, 3.2.1 pre-publication, 3.3.1 double-KSK, 3.3.2 double-DS), RFC 6781 4.1.4, RFC 7344, RFC 8078 4.
 *        The cells are those of "Flexible and Robust Key Rollover in DNSSEC" (Schaeffer, Overeinder, Mekking; SATIN 2012).
 */
#ifndef WEIR_RUN_KEYRING_H
#define WEIR_RUN_KEYRING_H

#include "pipeline/base/growbuf.h"
#include "pipeline/zone/keyset.h"

enum { KEYRING_KEYS_MAX = 24, KEYRING_REMOVED_KEPT = 8 };
enum keyring_role { KEYRING_KSK = 1, KEYRING_ZSK = 2, KEYRING_CSK = 3 };      /* bits: a CSK is both */
enum keyring_cell_state { CELL_ABSENT, CELL_COMING, CELL_PRESENT, CELL_GOING };
enum keyring_wish { KEYRING_ENABLED, KEYRING_DISABLED, KEYRING_DELETED };     /* the operator's */
/* RFC 7583 3.1, told from the cells. */
enum keyring_state { KEY_GENERATED, KEY_PUBLISHED, KEY_READY, KEY_ACTIVE, KEY_RETIRED, KEY_DEAD, KEY_REMOVED, KEY_STATES };

struct keyring_policy {
    uint8_t algorithm;
    bool csk;                            /* one key for both tasks */
    bool double_ds;                      /* KSK: the DS before the DNSKEY; a CSK's DNSKEY always comes first */
    bool offline_ksk;                    /* the ring has ZSKs only; what else is in the DNSKEY set is made elsewhere */
    bool generate;                       /* a zone without keys gets them by itself */
    unsigned bits;                       /* RSA */
    int64_t zsk_lifetime_s, ksk_lifetime_s; /* active for so long, then rolled; 0: only when the operator says so */
    int64_t propagation_delay_s;         /* until all secondaries have what weir serves */
    int64_t ds_ttl_s;                    /* of the DS at the parent, while it was not seen */
};

struct keyring_cell {
    enum keyring_cell_state state;
    int64_t at;                          /* COMING, GOING: seen to be so since then, on the ring's clock; < 0: not yet */
};
struct keyring_key {
    uint8_t *rdata;                      /* DNSKEY */
    uint16_t len, tag;
    uint8_t algorithm;
    enum keyring_role role;
    bool wanted;                         /* else it leaves as soon as it may */
    bool roll;                           /* the operator wants a successor */
    bool covers;                         /* zone COMING: where a signature by it is missing there is one by a key that is GOING */
    bool lacking;                        /* it signs the zone, or is going to, and not every other signer serves its DNSKEY */
    bool published;                      /* it was, ever */
    struct keyring_cell dnskey, zone, ds;
    int64_t active_at;                   /* on the ring's clock: it signs the zone, or its DS is there, since then; < 0: not yet */
    enum keyring_state state;
    time_t created, publish, ready, active, retire, dead, remove;   /* by the wall's clock, for people; 0: not yet */
    struct dnssec_private *private;      /* NULL: not to be had now */
    bool hsm;                            /* it is in an HSM: one from a file is not to take its place unasked; not kept */
};
struct keyring_ttl {
    uint32_t served;                     /* now */
    uint32_t ttl;                        /* the largest that can be in a cache, … */
    int64_t until;                       /* … and until then, on the ring's clock, one that is larger than `served` can be in one */
};
struct keyring {
    uint8_t apex[NAME_MAX_OCTETS];
    enum keyring_wish wish;
    time_t wish_at;
    int64_t clock;                       /* seconds */
    int64_t tick;                        /* the steady clock at the last step; < 0: not known */
    uint64_t boot;                       /* whose ticks those are */
    struct keyring_ttl dnskey_ttl, zone_ttl, ds_ttl;
    bool others;                         /* at the last step other signers counted (struct keyring_others) … */
    struct keyring_ttl others_ttl;       /* … and of their DNSKEY sets; those can be in caches when they count no longer */
    time_t ds_checked;                   /* the parent was last heard of at; 0: never */
    uint32_t resigns;                    /* so often an operator had all signatures made anew (keyset.resigns), … */
    time_t resigned_at;                  /* … the last time at */
    unsigned n;
    struct keyring_key key[KEYRING_KEYS_MAX];       /* oldest first */
};
struct keyring *keyring_new(const uint8_t *apex);
void keyring_free(struct keyring **ring);
/* A key from now on. in_use: it signs this zone already, elsewhere, and the parent has its DS. rdata is copied, private referenced. The wanted
 * keys of its role that are there are its predecessors. Refused: the same or one of the same tag and algorithm is there (-E_EXISTS);
 * there is no room (-E_LIMIT); a rollover is going on (-E_AGAIN). */
int keyring_add(struct keyring *ring, enum keyring_role role, const uint8_t *rdata, uint16_t len, struct dnssec_private *private,
                bool in_use, time_t now, struct keyring_key **out, struct why *why) MUST_CHECK;
bool keyring_has_tag(const struct keyring *ring, uint8_t algorithm, uint16_t tag);

struct keyring_time {
    time_t now;                          /* of the wall's clock: only written down */
    int64_t tick;                        /* seconds of a steady clock that goes on while the process does not run, … */
    uint64_t boot;                       /* … and a number that is another one when it began anew */
};
/* Seconds that have surely passed since *tick of *boot, which become t's: none when the machine began anew in between. */
int64_t keyring_passed(int64_t *tick, uint64_t *boot, const struct keyring_time *t);
/* From now on `served` is served; what was before was so until now. True: the largest is another one, and is to be saved. */
bool keyring_ttl_note(struct keyring_ttl *t, uint32_t served, int64_t clock, int64_t delay);
/* What the zone's other signers serve (run/signers.h): resolvers mix their DNSKEY sets with our signatures (RFC 8901 6.2). Where there are
 * such resolvers, and others that sign the zone, there is a DS for somebody's KSK: it matters no longer whether there is one for ours. */
struct keyring_others {
    uint32_t dnskey_ttl;                 /* the largest that any of their DNSKEY sets has, or had while it can be in a cache */
    unsigned n;
    struct keyring_shown {
        const uint8_t *rdata;            /* a DNSKEY of ours that every one of them is known to serve now, at all of its servers */
        uint16_t len;
    } shown[KEYRING_KEYS_MAX];
};
/* What is so. Facts that are not known are left out, and then what hangs on them waits. */
struct keyring_facts {
    struct keyring_time time;
    const struct rrset *dnskey;          /* that is served; NULL: none */
    bool served;                         /* there is a version, so `dnskey` and the like are known */
    bool current;                        /* it was made with the keyset that the ring gave last */
    uint32_t negative_ttl;               /* for which "no such set" may be cached */
    const struct key_uses *uses;         /* of the version; NULL: not known */
    const struct keyring_others *others; /* NULL: nobody else signs the zone, or nobody that can be asked */
};
/* What the parent's servers say. all, any: the DS that every one of them has, and those that at least one has; either may be NULL for none. */
struct keyring_parent {
    const struct rrset *all, *any;
    uint32_t ttl;
    struct keyring_time time;            /* at which they were all known to say so */
};
enum keyring_event_kind {
    EVENT_PUBLISHED, EVENT_READY, EVENT_SIGNS, EVENT_SUBMITTED, EVENT_DS_SEEN, EVENT_ACTIVE, EVENT_ROLL, EVENT_WITHDRAWN, EVENT_RETIRED,
    EVENT_UNPUBLISHED, EVENT_DS_GONE, EVENT_REMOVED, EVENT_SET_BACK,
};
struct keyring_event {
    enum keyring_event_kind kind;
    uint16_t tag;
    uint8_t algorithm;
    enum keyring_role role;
};
const char *keyring_event_text(enum keyring_event_kind kind);
enum { KEYRING_EVENTS_MAX = 64 };
struct keyring_plan {
    bool changed;                        /* something is other than before, but for the clock */
    unsigned generate;                   /* so many keys are missing: make them, keyring_add, step again */
    enum keyring_role missing[2];
    int64_t wake_in;                     /* seconds until the next step can be due; 0: nothing is waited for that time alone brings */
    unsigned nevents;
    struct keyring_event event[KEYRING_EVENTS_MAX];
};
void keyring_step(struct keyring *ring, const struct keyring_policy *policy, const struct keyring_facts *facts, struct keyring_plan *out);
/* False: a DS that was there, and should be, is no longer on all of the servers. */
bool keyring_fact_parent(struct keyring *ring, const struct keyring_parent *parent);
/* Seconds until a cell that moves has arrived; -1: it does not move, or what it waits for was not seen yet. */
int64_t keyring_due_in(const struct keyring *ring, const struct keyring_policy *policy, const struct keyring_key *key,
                       const struct keyring_cell *cell);
/* What the keys do as things are: sealed; one reference. Every key that the ring knows is in it, also one that does nothing, not yet or no
 * longer: another signer may still send it (RFC 8901), and it must be known for ours. Of those that are removed the ring knows the last
 * KEYRING_REMOVED_KEPT. */
struct keyset *keyring_keyset(const struct keyring *ring, const struct keyring_policy *policy);

/* ---- the operator's word. Each -E_MISMATCH with a why when things are not so. */
int keyring_enable(struct keyring *ring, time_t now, struct why *why) MUST_CHECK;
int keyring_disable(struct keyring *ring, time_t now, struct why *why) MUST_CHECK;
/* Only when disabled, the DS gone, and no other signer counts: theirs would make of an unsigned zone a bogus one. */
int keyring_delete(struct keyring *ring, time_t now, struct why *why) MUST_CHECK;
/* All DS that should be there are, on all of the parent's servers; all that should go are gone. */
int keyring_ds_seen(struct keyring *ring, const struct keyring_time *time, struct why *why) MUST_CHECK;
int keyring_ds_gone(struct keyring *ring, const struct keyring_time *time, struct why *why) MUST_CHECK;
/* All signatures anew, at once. */
int keyring_resign(struct keyring *ring, time_t now, struct why *why) MUST_CHECK;
int keyring_roll(struct keyring *ring, enum keyring_role role, struct why *why) MUST_CHECK;
/* This key goes, once there is one that takes its place. */
int keyring_retire(struct keyring *ring, struct keyring_key *key, struct why *why) MUST_CHECK;

/* ---- for people (keyring_report.c) */
/* "pending", "active", "pending-disabled", "disabled"; deleted is "disabled" too (modes 1.4). */
const char *keyring_status(const struct keyring *ring);
bool keyring_is_secure(const struct keyring *ring);           /* a resolver may have a DS: from here on a mistake is an outage */
const char *keyring_role_text(enum keyring_role role);        /* "KSK" */
const char *keyring_state_text(enum keyring_state state);     /* "published" */
/* What a key waits for. */
struct keyring_wait {
    const char *reason;                  /* what must be so, "its DNSKEY is in every cache"; NULL: it waits for nothing */
    time_t until;                        /* time alone brings it then; 0: somebody or something has to do it */
    const char *next;                    /* what happens then */
};
struct keyring_wait keyring_waits(const struct keyring *ring, const struct keyring_policy *policy, const struct keyring_key *key,
                                  time_t now);
/* The key whose DS the operator hands to the parent: the newest wanted one. NULL: there is none. */
const struct keyring_key *keyring_ds_key(const struct keyring *ring);

/* ---- kept (keyring_text.c): all but the private halves. */
char *keyring_print(const struct keyring *ring);              /* caller frees */
/* -E_FORMAT with the line. The apex must be the one that is in the text. */
int keyring_parse(const char *text, size_t len, const uint8_t *apex, struct keyring **out, struct why *why) MUST_CHECK;

#endif
