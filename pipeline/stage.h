/* stage: everything that a stage includes.
 *
 * WHAT   A stage is a function from (what it saw before, what it sees now, the difference, its own state) to
 *        (changes to its output, findings, next state). It is described by one const struct stage_type, listed in
 *        stages/stages.def. stages/README.md writes one step by step; stages/null.c is the smallest.
 * WHO    run() is called by one thread at a time per zone, for many zones at once: no globals that change.
 * OWNS   Inputs are borrowed for the call. scratch is gone after it. next_state is handed to the chain, which
 *        passes it to state_free when the last version that has it dies.
 * FAILS  A stage has no error code. Bad zone data is a finding (finding_add). Bad configuration is refused in
 *        conf_check. It does no I/O, reads no clock and allocates through arena or mem_* (state only).
 * LAWS   1 same arguments, same result · 2 prev→next gives the output of NULL→next · 3 a→b, b→c gives a→c
 *        4 empty delta and no wake-up: nothing · 5 no verdict without a finding · 6 a dropped candidate leaves
 *        no trace · 7 work grows with the delta (unless STAGE_WHOLE_ZONE) · 8 inputs are borrowed.
 *        tests/laws runs them for every registered stage.
 */
#ifndef WEIR_STAGE_H
#define WEIR_STAGE_H

#include "pipeline/base/alloc.h"
#include "pipeline/base/arena.h"
#include "pipeline/base/assert.h"
#include "pipeline/base/buf.h"
#include "pipeline/base/checksum.h"
#include "pipeline/base/errors.h"
#include "pipeline/base/pool.h"
#include "pipeline/zone/changeset.h"
#include "pipeline/zone/dnssec.h"
#include "pipeline/zone/edit.h"
#include "pipeline/zone/keyset.h"
#include "pipeline/zone/snapshot.h"
#include "pipeline/zone/touched.h"
#include "pipeline/zone/trust.h"

#include <time.h>

enum verdict { STAGE_PASS, STAGE_HOLD, STAGE_RETRY, STAGE_REJECT }; /* a chain's verdict is its largest */

/* Options: a table; the core parses, range-checks, defaults and documents, the stage reads fields of its conf. */
enum option_kind {
    OPTION_BOOL,      /* bool */
    OPTION_INT,       /* int64_t, min..max */
    OPTION_SECONDS,   /* int64_t seconds; configuration takes 30, "30s", "5m", "2h", "1d", "1w" */
    OPTION_BYTES,     /* int64_t octets; configuration takes 4096, "64k", "1M", "2G" */
    OPTION_STRING,    /* char *, owned by the conf; NULL when unset and no default */
    OPTION_ENUM,      /* int, the index in `words` */
    OPTION_LIST,      /* struct option_list: strings */
};
struct option_list {
    size_t n;
    char **text;
};
struct option {
    const char *name;             /* NULL ends the table */
    enum option_kind kind;
    size_t offset;                /* offsetof(struct my_conf, field) */
    const char *fallback;         /* default, as in a configuration file but without quotes; a LIST's words between
                                   * commas; NULL: zero/unset */
    int64_t min, max;             /* INT, SECONDS, BYTES */
    const char *const *words;     /* ENUM: NULL-terminated */
    const char *help;             /* one sentence */
};

/* Findings: a table; codes are stable, "stage.code" in configuration, logs and JSON. */
struct finding_type {
    const char *code;             /* "rrsig-expired"; NULL ends the table */
    enum verdict verdict;         /* default; PASS = a note. Policy may change it per zone: on = { … } */
    const char *message;          /* what an operator reads; {n0}, {n1} and {text} are filled in */
    const char *help;             /* what it means and what to do, for `weir stages` and the manual */
};

struct findings;                  /* run/finding.h; a stage only adds */
/* `code` is the index in the stage's finding table. owner NULL: the zone as a whole. type 0: the name as a whole.
 * n0, n1: numbers for the message (key tag, seconds …). text: more words or NULL (copied). Any thread of a par_map.
 * Past a limit findings are counted, not kept. */
void finding_add(struct findings *f, unsigned code, const uint8_t *owner, uint16_t type, int64_t n0, int64_t n1,
                 const char *text);

struct stage_run {                /* lives for one call */
    const void *conf;             /* parsed options */
    const void *state;            /* next_state of the last accepted run, or NULL */
    const struct snapshot *prev;  /* seen at the last accepted run; NULL = first load */
    const struct snapshot *next;  /* asked about now */
    const struct changeset *delta;/* prev -> next; all of next on the first load */
    time_t now;                   /* the only clock a stage has */
    bool woken;                   /* its own wake_at has come (delta may be empty) */
    const struct keyset *keys;    /* of the zone, as its keyring has them now; NULL: it has none */
    const struct soa *served;     /* of the version that is served, whichever chain made it; NULL: none is */
    struct arena *scratch;
    struct par *par;              /* for par_map; may be NULL */
    struct edit *out;             /* opens as the last accepted output; NULL for a check-only stage */
    struct findings *findings;
    void *next_state;             /* starts as `state`: leave it to keep that, or set a new one, or NULL */
    time_t wake_at;               /* set by the stage: call again then; 0 = no need */
    time_t good_until;            /* set by the stage: what it vouches for is right until then; 0 = it does not end */
    time_t serve_until;           /* set by the stage: after that SERVFAIL is better than this version; 0 = it never is */
    uint64_t visited;             /* counted by the stage: nodes looked at (law 7) */
};

enum {
    STAGE_CHECK_ONLY = 1,         /* never changes records: out is NULL, output = input */
    STAGE_WHOLE_ZONE = 2,         /* cost grows with the zone (declared, law 7 not run) */
    STAGE_INEXACT = 4,            /* equal input may give equivalent, not identical output */
    STAGE_TEST = 8,               /* only in test builds: not offered to operators */
    STAGE_DNSSEC_ONLY = 16,       /* changes DNSSEC's records and the serial only: the chain holds it to that (run/identity.h) */
    STAGE_JOINS_NS = 32,          /* … and the names of servers in `keys` may join the NS set at the apex */
    STAGE_KEY_SETS_ONLY = 64,     /* changes DNSKEY, CDS and CDNSKEY at the apex and signatures over them only: the chain holds it to that */
};

struct stage_type {
    const char *name, *summary;
    unsigned flags;
    size_t conf_size;             /* of the stage's conf struct; 0 = no options */
    const struct option *options; /* NULL or NULL-terminated */
    /* Names of options of which another value concerns only what is made from then on, NULL-terminated, or NULL: the stage goes on with output
     * and state that there are. If another option changes all is judged and made anew. */
    const char *const *later;
    const struct finding_type *findings;
    /* All may be NULL but run. conf_check sees the parsed conf and the zone's apex; it refuses with a why. It may
     * also derive fields in conf that conf_close releases; conf_close must also cope with a conf that conf_check
     * refused or never saw (derived fields zero). */
    int (*conf_check)(void *conf, const uint8_t *apex, struct why *why);
    void (*conf_close)(void *conf);
    void (*run)(struct stage_run *run);
    /* For a stage that changes records, keeps no state and finds nothing: would it leave all names of run->delta as they are? As long
     * as it always would, run is not called, its output is its input, and memory and journal hold one of them. */
    bool (*passes)(const struct stage_run *run);
    void (*state_free)(void *state);
    /* A state as octets (mem_alloc'ed, the caller frees them) and back, for the journal: a stage that has none starts
     * from nothing after a restart. load gives NULL for octets that it does not know; it must take any. */
    uint8_t *(*state_save)(const void *state, size_t *len);
    void *(*state_load)(const uint8_t *octets, size_t len);
    /* What the output that goes with a state shows of the zone's keys. */
    void (*keys_used)(const void *state, struct key_uses *out);
    /* What the signatures in its input say that they are by, whoever made them (`rrsets` and times are left 0). False: they are not known. */
    bool (*signed_by)(const void *state, struct key_uses *out);
};

#endif
