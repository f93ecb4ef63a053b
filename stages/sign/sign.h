/* sign: what the parts of this stage share. Nothing outside stages/sign/ includes it, but its tests.
 *
 *        sign.c         the stage, and what one run does
 *        options.c      what an operator may set
 *        findings.c     the table of findings
 *        keys.c         the zone's keys: may they sign, and whose signatures are kept
 *        prepared.c     DNSKEY, CDS and CDNSKEY sets that were signed elsewhere
 *        walk.c         which names are made anew, in which order
 *        batch.c        work shared out over the pool; the one door to the output, where all is counted
 *        rrset.c        the signatures over one rrset: kept or made
 *        name.c         one name of the output
 *        apex.c         DNSKEY, CDS, CDNSKEY, SOA, ZONEMD
 *        types.c        type bitmaps
 *        nsec.c         denial by NSEC
 *        nsec3*.c       denial by NSEC3
 *        renew.c        signatures whose time has come: cursor and sweep
 *        cursor.c       the pace of the cursor
 *        serial.c       the serial that goes out
 *        tally.c        what is counted: signatures by key, by algorithm, by when they end
 *        state.c        what is kept from run to run
 *
 * WHO    One run on one thread; build functions from par_map bodies, each with its own worker.
 * OWNS   All of struct signing lives in the run's arena, save what signing_close releases.
 */
#ifndef WEIR_SIGN_H
#define WEIR_SIGN_H

#include "pipeline/stage.h"

enum sign_denial { SIGN_NSEC, SIGN_NSEC3 };
enum sign_serial { SERIAL_KEEP, SERIAL_INCREMENT, SERIAL_UNIXTIME, SERIAL_DATE };
enum sign_zonemd { ZONEMD_NONE, ZONEMD_SHA384, ZONEMD_SHA512 };
enum sign_cds { CDS_SHA256, CDS_SHA384, CDS_BOTH };

enum { SIGN_SALT_MAX = 32 };

struct sign_conf {
    int denial;     /* enum sign_denial */
    int serial;     /* enum sign_serial */
    int zonemd;     /* enum sign_zonemd */
    int cds_digest; /* enum sign_cds */
    bool opt_out;   /* of NSEC3, as what follows */
    int64_t nsec3_iterations;
    char *nsec3_salt;
    /* made of it by sign_conf_check: */
    uint8_t salt_len, salt[SIGN_SALT_MAX];
    int64_t validity, refresh, jitter, inception_offset;
    int64_t dnskey_ttl, dnskey_validity, prepared_warn;
};
extern const struct option sign_options[];
int sign_conf_check(void *conf, const uint8_t *apex, struct why *why);

/* In the order of findings.c. */
enum sign_code {
    SIGN_SOA_MISSING,
    SIGN_INPUT_SIGNED,
    SIGN_TOO_MANY_RECORDS,
    SIGN_NO_KEYS,
    SIGN_NO_KSK,
    SIGN_NO_ZSK,
    SIGN_KEY_ABSENT,
    SIGN_KEY_UNFIT,
    SIGN_KEY_SAME_TAG,
    SIGN_FAILED,
    SIGN_CLOCK,
    SIGN_PREPARED_NONE,
    SIGN_PREPARED_ENDS,
    SIGN_PREPARED_KEY,
    SIGN_PREPARED_ALGORITHM,
    SIGN_NSEC3_COLLISION,
    SIGN_NSEC3_ITERATIONS,
    SIGN_NSEC3_SALT,
};
extern const struct finding_type sign_findings[];

/* --- state (state.c, tally.c) --- */

/* Signatures by when they end, in slots of `width` seconds: good enough to say when the first one ends, a slot early at most, and
 * small enough to be saved. Three quarters of the slots are for what has not ended. What ends later than those reach was made when validity
 * was longer: it is counted together, from a moment on that stays while there is some, and is moved when new signatures would come to it. */
enum { EXPIRY_SLOTS = 64, ALGORITHMS_MAX = 8, TALLY_KEYS_MAX = 2 * KEYSET_KEYS_MAX };
struct expiries {
    uint32_t width;
    int64_t far_from;              /* what does not end before is counted in `far`; NEVER: there is no such signature */
    uint64_t far;
    uint64_t count[EXPIRY_SLOTS];
};
uint32_t expiries_width(const struct sign_conf *conf);
void expiries_add(struct expiries *e, int64_t end, int sign);
/* Not after the first end, and less than `width` before it. NEVER: there is no signature. */
int64_t expiries_first(const struct expiries *e, int64_t now);

/* Where the renewal of signatures is: a round through all names in canonical order a period. */
struct cursor {
    int64_t began;                 /* of this round, as planned */
    int64_t period, after;         /* its length, and the next one's: as of the options, unless they became longer (cursor_pace) */
    uint64_t behind;               /* rrsets with signatures at names up to the cursor's */
    uint8_t at_len;                /* 0: before the first name */
    uint8_t at[NAME_MAX_OCTETS];
};
struct key_tally {
    struct key_use use;
    uint64_t print;                /* of its DNSKEY: another key may have its tag */
};
struct algorithm_tally {
    uint8_t algorithm;
    uint64_t rrsets;               /* that have a signature of it */
};
struct sign_state {
    bool is_signed;                /* else the zone went out without */
    int64_t seen;                  /* when the run was that left it */
    uint32_t resigns;              /* of the keyset that it was made with */
    int64_t keys_end;              /* of the first signature over DNSKEY, CDS and CDNSKEY; NEVER */
    uint32_t nsec_ttl;
    uint32_t ttl_max;
    uint64_t rrsets;               /* with signatures, other than DNSKEY, CDS and CDNSKEY */
    struct cursor cursor;
    bool sweeping;                 /* signatures that are late are looked for, behind `sweep` */
    uint8_t sweep_len;
    uint8_t sweep[NAME_MAX_OCTETS];
    struct expiries expiries;
    unsigned nalgorithms, nkeys;
    struct algorithm_tally algorithm[ALGORITHMS_MAX];
    struct key_tally key[TALLY_KEYS_MAX]; /* between runs as many as a keyset has at most; twice while all of them change */
};
struct sign_state *sign_state_new(const struct sign_conf *conf, int64_t now);
void sign_state_free(void *state);
uint8_t *sign_state_save(const void *state, size_t *len);
void *sign_state_load(const uint8_t *octets, size_t len);
void sign_state_keys_used(const void *state, struct key_uses *out);

#define NEVER INT64_MAX

/* --- keys (keys.c) --- */

struct sign_key {
    const struct keyset_key *key;
    uint64_t print;
    bool trusted;                  /* signatures in the last output that name its tag and algorithm are its own */
};
struct sign_keys {
    unsigned n;
    struct sign_key key[KEYSET_KEYS_MAX];
    unsigned nalgorithms;          /* of the keys that sign the zone */
    uint8_t algorithm[KEYSET_KEYS_MAX];
    const struct keyset_prepared *prepared; /* the set that is valid now; NULL: we sign it ourselves */
    struct keyset_prepared input;  /* that came in with the zone; node NULL: none did; held */
    int64_t prepared_next;         /* when another one takes its place; NEVER */
};

/* --- one run --- */

/* A name that is made anew. */
struct owner {
    const struct node *node;       /* as it comes in */
    const struct node *next;       /* the next name that owns an NSEC; NULL: the apex (matters if the status is not OCCLUDED) */
    enum name_status status;
};
struct owners {                    /* in canonical order, the apex with them */
    size_t n;
    struct owner *owner;
};

/* The types at a name. A zeroed one is empty. */
struct type_set {
    uint8_t last;                  /* window that is used */
    struct type_window {
        uint8_t len, bit[32];
    } window[256];
};

/* One thread's. */
struct worker {
    struct node_builder *builder;  /* NULL: not opened yet */
    struct dnssec_scratch *scratch;
    struct dnssec_signer *signer;
    uint64_t visited;
    bool failed;                   /* as the fields say; what comes after it does not count */
    enum sign_code code;
    uint8_t failed_at[NAME_MAX_OCTETS];
    uint16_t failed_type, failed_tag;
    uint8_t failed_algorithm;
    struct why why;
    struct type_set types;
    uint8_t set[2 + NAME_MAX_OCTETS + 256 * 34]; /* one record, as an rrset has it */
};

/* How a version denies what is not there. */
struct signing;
struct denial {
    /* After a change: the names that it touched are known, and the output is as it was. */
    void (*begin)(struct signing *s);
    /* At a name of the zone (not OCCLUDED): the set that it has beside what came in, if any. owner->node is the node as it is going to
     * be but for this set and signatures; of the apex it has the keys. From any thread: the set lives in worker->set. */
    bool (*at_name)(const struct signing *s, struct worker *w, const struct owner *owner, struct rrset *out);
    /* These names, a part of all or of those that were touched, were made (one thread). */
    void (*names_made)(struct signing *s, const struct owner *owner, size_t n);
    /* All names were: now what has names of its own. False: a finding was made. All but at_name may be NULL. */
    bool (*finish)(struct signing *s);
};
extern const struct denial denial_nsec, denial_nsec3;

enum { BATCH_MAX = 4096 };
struct signing {
    struct stage_run *run;
    const struct sign_conf *conf;
    const struct denial *denial;
    const uint8_t *apex_name;
    const struct node *apex;       /* as it comes in */
    struct soa soa;                /* as it comes in */
    uint32_t nsec_ttl;             /* RFC 9077 */
    struct sign_keys keys;
    const struct snapshot *view;   /* of the output as it is, while a batch is made */
    const struct sign_state *last; /* of the last output, whose signatures may be kept; NULL: there is none, `all` is from nothing */
    struct sign_state *state;      /* in the making */
    bool all;                      /* every name is made anew; else those that were touched */
    struct owners touched;         /* unless all: what is made anew */
    bool empty;                    /* while the output is made in order from nothing: no name of it is put twice */
    bool changed;                  /* something of the output */
    bool passing;                  /* the cursor: what lasts longer than what is made now is made anew, too */
    bool apex_passed;              /* by the cursor: the same holds when the apex is made */
    bool failed;                   /* a finding was made, and the run ends */
    unsigned workers;
    struct worker *worker;
    struct node **batch;           /* BATCH_MAX of them */
    void *nsec3;                   /* that part's own */
    const struct node *apex_plain; /* while names are made: the apex as it is going to be, without denial and signatures */
};

/* --- keys --- */
/* False: a finding says why nothing can be signed. */
bool sign_keys_open(struct signing *s);
/* Whose signature is it? NULL: a key's that neither is published nor signs. */
const struct sign_key *sign_keys_find(const struct sign_keys *keys, uint8_t algorithm, uint16_t tag);
/* From here on all signatures that are looked at were made, or kept, by this run. */
void sign_keys_trust(struct sign_keys *keys);
/* Is there a signature of which nothing may stay, or does a published algorithm lack some? Then all names are looked at. */
bool sign_keys_turned(const struct signing *s);

/* --- sets that were made elsewhere (prepared.c) --- */
/* The set that is served now. s->failed: a finding says why there is none. */
void prepared_choose(struct signing *s);
/* Is it a signature that may come in: over such a set? */
bool prepared_is_input(const struct signing *s, const struct rrset *set);

/* --- batch: the way to the output --- */
/* Makes the i-th node, with a reference for the caller; NULL: leave as it is. Failure is told by worker_fail. */
typedef struct node *build_fn(void *ctx, struct signing *s, struct worker *w, size_t i);
/* n nodes, BATCH_MAX at most, made in parallel and put in order. False: the run has failed. */
bool batch_run(struct signing *s, size_t n, build_fn *build, void *ctx);
void output_put(struct signing *s, struct node *node);     /* takes over the reference */
void output_remove(struct signing *s, const uint8_t *name);
struct worker *worker_first(struct signing *s);            /* for work that is not shared out */
void worker_fail(struct worker *w, enum sign_code code, const uint8_t *owner, uint16_t type, uint16_t tag, uint8_t algorithm,
                 const struct why *why);
bool signing_failed(struct signing *s);                    /* turns the first worker's failure into a finding */
void workers_close(struct signing *s);

/* --- names --- */
/* A record in w->set as an rrset of its own: its rdata is written in between. */
struct wbuf worker_set_begin(struct worker *w);
struct rrset worker_set_end(struct worker *w, uint16_t type, uint32_t ttl, const struct wbuf *rdata);
/* What of a name is signed: nothing, DS and denial, all. */
bool status_signs(enum name_status status, uint16_t type);
/* Signatures that end before are made anew: those that a change finds must have the margin, those that the cursor passes must have
 * it until it comes back. */
int64_t keys_margin(const struct sign_conf *conf);         /* what signatures over DNSKEY, CDS and CDNSKEY must have left */
int64_t keep_touched(const struct signing *s);
int64_t keep_passed(const struct signing *s);
/* Node with its signatures, and with one more set (NULL: none); was: whose signatures may be kept, or NULL. */
struct node *name_sign(struct signing *s, struct worker *w, const struct node *node, const struct rrset *more, enum name_status status,
                       const struct node *was, int64_t keep);
/* A node of the output with those of its signatures made anew that end before, or are by a wrong key. */
struct node *name_renew(struct signing *s, struct worker *w, const struct node *node, int64_t keep);
/* Adds the RRSIGs of one set to w->builder, which is at its owner. key_set: DNSKEY, CDS or CDNSKEY of the apex. */
bool rrset_sign(struct signing *s, struct worker *w, const uint8_t *owner, const struct rrset *set, const struct node *was, bool key_set,
                int64_t keep);
bool is_key_set(const struct signing *s, const struct node *node, uint16_t type);

/* --- types --- */
void typeset_begin(struct type_set *types);
void typeset_add(struct type_set *types, uint16_t type);
/* Those that came in and that denial lists; not NSEC and RRSIG. */
void typeset_add_node(struct type_set *types, const struct node *node, enum name_status status);
void typeset_write(const struct type_set *types, struct wbuf *out);

/* --- walk --- */
/* Makes names anew, all but the apex; removes those that went. */
bool names_sign(struct signing *s);
/* What was not signed at all goes out as it comes in. */
void names_mirror(struct signing *s);

/* --- apex --- */
/* False: a finding says that the apex has no room. */
bool apex_fits(struct signing *s);
/* The last thing of a run: here the serial changes, if anything else did. keep: as above. */
bool apex_sign(struct signing *s, int64_t keep);
/* Without denial and signatures, and with the serial that came in: for its types. A reference for the caller. */
struct node *apex_types(struct signing *s);
void apex_mirror(struct signing *s);                       /* of a zone that goes out unsigned */

/* --- renew --- */
/* Makes signatures anew whose turn has come. *apex_keep: what the apex's must have left. */
bool renew_run(struct signing *s, int64_t *apex_keep);
/* All signatures of the output are looked at. */
bool renew_all(struct signing *s);
time_t renew_wake_at(const struct signing *s);

/* --- pace: pure arithmetic --- */
int64_t cursor_period(const struct sign_conf *conf);       /* seconds a round */
/* How many rrsets the cursor should pass by now, beside those that it has. */
uint64_t cursor_quota(const struct cursor *c, uint64_t rrsets, int64_t now);
/* When it has enough to do to be woken for. */
int64_t cursor_due(const struct cursor *c, uint64_t rrsets);
/* The first round begins; the end was reached. */
void cursor_begin(struct cursor *c, int64_t period, int64_t now);
void cursor_turn(struct cursor *c, int64_t period, int64_t now);
/* The options may be others now. */
void cursor_pace(struct cursor *c, uint64_t rrsets, int64_t period, int64_t now);

/* --- serials: pure arithmetic --- */
bool serial_after(uint32_t a, uint32_t b);                 /* RFC 1982 */
/* For a version that differs from what is served (NULL: nothing is). Always after it. */
uint32_t serial_next(enum sign_serial policy, uint32_t input, const uint32_t *served, time_t now);

/* --- tally --- */
void tally_node(struct signing *s, const struct node *node, int sign);
/* Counts what the output has, by when it ends, in slots of the options' width: after they changed, and while some of it is too far away for these,
 * twice a validity. */
void tally_expiries(struct signing *s);

#endif
