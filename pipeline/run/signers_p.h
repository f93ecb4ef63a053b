/* signers_p: what the parts of the book of other signers share. Private to pipeline/run/signers*.c.
 *
 *        signers.c          the steps of a turn, and the operator's word
 *        signers_facts.c    what views, files, the parent and our own version say
 *        signers_wait.c     what each step waits for
 *        signers_keyset.c   what the stages and the keyring are told
 *        signers_report.c   for people
 *        signers_text.c     kept
 */
#ifndef WEIR_RUN_SIGNERS_P_H
#define WEIR_RUN_SIGNERS_P_H

#include "pipeline/run/signers.h"

enum { BOOK_KEYS_MAX = SIGNERS_MAX * SIGNER_KEYS_MAX, BOOK_WORDS = 160, BOOK_CLAIMS_MAX = 4, BOOK_NAME_MAX = 63 };
enum { OWNER_NOBODY = -1 };
/* By what it is known whose a key is: the last counts most. */
enum owner_by { BY_NOTHING, BY_FIRST, BY_CDS, BY_FILE, BY_SIGNATURE };

/* A DNSKEY that somebody shows. A mask has a bit for each slot of signers. */
struct book_key {
    uint8_t *rdata;
    uint16_t len, tag;
    uint8_t algorithm;
    bool ours;
    int8_t owner;                        /* slot; OWNER_NOBODY */
    enum owner_by by;
    uint8_t all, any;                    /* in the DNSKEY set of all, of some servers of these signers when they were last seen whole */
    uint8_t zone, keys;                  /* signs the SOA, the DNSKEY set there */
    uint8_t cds;                         /* CDS or CDNSKEY there name it */
    uint8_t file;                        /* in these signers' files */
    uint8_t claims;                      /* signs the DNSKEY set of a server there that nothing proves */
    uint8_t claimed;                     /* … before the view that is being read */
    uint8_t pinned;                      /* the operator took such a claim for true */
    bool member;                         /* it was in its owner's set */
    bool fits;                           /* for our DNSKEY set */
    bool ds;                             /* the parent had its DS when it was last heard of */
    bool gone;                           /* it has left our set */
    int64_t known_at;                    /* it was seen first, on the book's clock */
    int64_t idle_at;                     /* not in its owner's set and no signature by it there since then; nobody's: in nobody's; < 0: in use */
    uint32_t ttl;
    time_t since;                        /* of the wall's clock */
};
struct book_signer {
    char *name;                          /* NULL: the slot is free */
    enum signer_wish wish;
    enum signer_step step;
    time_t step_since;
    int64_t step_at;                     /* clock */
    bool unconfigured;                   /* that is why it leaves */
    bool taken;                          /* its keys are in our set */
    bool asks_ds;                        /* our CDS and CDNSKEY name its KSKs */
    bool exposed;                        /* its servers may be found by resolvers */
    bool stopped;                        /* it leaves, and LEAVE_STOP_ANSWERING is over */
    bool waited;                         /* JOIN_WAIT_CACHES is over */
    uint32_t forced;                     /* steps whose wait the operator took for over: bits */
    enum signer_step forced_step;        /* the last one, … */
    time_t forced_at;                    /* … and when; 0: never */
    int64_t keys_at, ds_at, ns_at, stop_at, gone_at; /* what a wait is counted from, on the clock; < 0: it is not so */
    time_t seen_at;                      /* all servers answered, and were proved, last; 0: never */
    int64_t seen;                        /* the same on the clock; < 0 */
    bool polled;                         /* it has servers, or had while it was configured */
    bool lies;                           /* … and what is wrong with it is what a server said */
    bool filed;                          /* its file was read */
    bool has_cds;                        /* it publishes CDS or CDNSKEY, or did */
    bool ns_agreed;                      /* all its servers have the NS set below */
    struct keyring_ttl dnskey_ttl, ns_ttl;
    unsigned nns, nown;
    uint8_t *ns[SIGNER_NS_MAX], *own[SIGNER_NS_MAX]; /* its NS set; those of it that are servers of its own. Lower case */
    char error[BOOK_WORDS];              /* why its last view does not count; "": it does */
    char alarm[BOOK_WORDS];              /* "": none */
    int64_t alarm_at;                    /* told last */
    char waits[BOOK_WORDS];              /* for what */
    int64_t due;                         /* time alone brings it then; < 0: it does not */
    struct node *proved;                 /* DNSKEY, CDS, CDNSKEY and their RRSIGs as one server had them when it was last seen whole; NULL */
    int64_t broken_at;                   /* joined, and not all that should be so is, since then; < 0: it is */
    /* Of this turn only. */
    bool urgent;                         /* a key that signs is not where it must be */
    const struct signer_policy *policy;  /* NULL: it is configured no longer */
};
struct signers {
    uint8_t apex[NAME_MAX_OCTETS];
    int64_t clock, tick;                 /* as in struct keyring */
    uint64_t boot;
    struct keyring_ttl dnskey_ttl, ns_ttl, zone_ttl, ds_ttl, parent_ns_ttl;  /* the first three: of what we serve */
    time_t parent_at;                    /* of the parent's view that was taken in last */
    int64_t parent_ds, parent_ns;        /* on the clock: all its servers told the DS, the NS, last; < 0: never */
    struct book_signer signer[SIGNERS_MAX];
    unsigned nkeys;
    struct book_key *key;
    bool counting;                       /* somebody counts; then: */
    struct keyring_others others;
};

struct book_turn {
    struct signers *book;
    const struct signers_policy *policy;
    const struct signers_facts *facts;
    struct signers_plan *plan;
};

#define EACH_SIGNER(book, s)                                                                       \
    for (__typeof__((book)->signer[0]) *s = (book)->signer; s < (book)->signer + SIGNERS_MAX; s++)  \
        if (s->name)
#define EACH_BOOK_KEY(book, k) for (struct book_key *k = (book)->key; k < (book)->key + (book)->nkeys; k++)

static inline uint8_t book_bit(const struct signers *book, const struct book_signer *s)
{
    return (uint8_t)(1u << (s - book->signer));
}
static inline bool book_owns(const struct signers *book, const struct book_signer *s, const struct book_key *k)
{
    return !k->ours && k->owner == s - book->signer;
}
static inline bool key_is_sep(const struct book_key *k)
{
    return get_u16(k->rdata) & DNSKEY_SEP;
}
static inline bool is_polled(const struct book_signer *s)
{
    return s->policy && s->policy->polled;
}

struct book_signer *book_signer(struct signers *book, const char *name);     /* NULL */
struct book_key *book_key(const struct signers *book, const uint8_t *rdata, uint16_t len); /* NULL */
/* NULL: no room. */
struct book_key *book_key_add(struct signers *book, const uint8_t *rdata, uint16_t len, time_t now);
void book_key_clear(struct book_key *k);
void book_signer_clear(struct book_signer *s);
/* Nothing of it is known any more. */
void book_signer_forget(struct signers *book, struct book_signer *s);

/* What comes when what the step waits for is so; NULL: it waits for nothing. */
const char *signer_step_next(enum signer_step step);
/* An event; and something is to be saved. */
void book_say(struct book_turn *t, struct book_signer *s, bool back, bool alarm, const char *fmt, ...) PRINTF_LIKE(5, 6);
/* Due at `at` on the clock: so the turn's wake_in. */
void book_wake(struct book_turn *t, int64_t at);

/* ---- signers_facts.c */
void book_take_facts(struct book_turn *t);
void names_clear(uint8_t **names, unsigned *n);
bool names_have(uint8_t *const *names, unsigned n, const uint8_t *name);
bool ns_set_has(const struct rrset *set, const uint8_t *name);
bool rrset_has(const struct rrset *set, const uint8_t *rdata, uint16_t len);

/* ---- signers_wait.c */
enum held { HOLDS, BROKEN, UNKNOWN };
/* Is what the step waits for so? Not: s->waits says what is not, s->due when time alone brings it. */
enum held book_held(struct book_turn *t, struct book_signer *s, enum signer_step step);
/* Do resolvers mix its answers with ours, or may they soon? */
bool book_counts(const struct book_signer *s);
int64_t book_dnskey_ttl(const struct signers *book);
/* It signs what is not the DNSKEY set: who serves the zone has to have it. */
bool key_signs_zone(const struct signers *book, const struct book_signer *owner, const struct book_key *k);
/* Its DS belongs at the parent while its signer asks for one. */
bool key_wants_ds(const struct signers *book, const struct book_signer *owner, const struct book_key *k);

/* ---- signers_keyset.c */
void book_others_make(struct signers *book);
/* In our DNSKEY set. */
bool key_is_published(const struct signers *book, const struct book_key *k);

#endif
