/* chain: a zone's stages in a row, and what comes out of them.
 *
 *        input ─▶ stage 0 ─▶ stage 1 ─▶ … ─▶ served
 *                   │ state     │ state            all of one chain run = a candidate; accepted = a version
 *
 * WHAT   chain_run() takes an input through every stage and gives a candidate with findings and a verdict. It
 *        changes nothing that exists: dropping the candidate leaves no trace. A candidate that is accepted becomes
 *        the version; it holds input, each changing stage's output, every stage's state, and what is served.
 *        REJECT and RETRY end the run at that stage (what follows would judge bad data); HOLD does not, so a later
 *        yes publishes at once.
 * WHO    One run per zone at a time (the zone table sees to it), any thread.
 * OWNS   chain: refcounted, immutable, made by config. version: refcounted; readers get it under RCU.
 * COST   what the stages cost on the delta; O(1) beside.
 */
#ifndef WEIR_RUN_CHAIN_H
#define WEIR_RUN_CHAIN_H

#include "pipeline/base/rcu.h"
#include "pipeline/run/finding.h"
#include "pipeline/run/history.h"

enum { CHAIN_STAGES_MAX = 64, CHAIN_CHANGING_MAX = 6 }; /* in one chain; of them, that change records */

struct chain_stage {
    const struct stage_type *type;
    void *conf;                          /* parsed options, or NULL */
    bool observe;                        /* reports and never decides */
    enum verdict *verdicts;              /* policy per finding code; NULL = defaults */
};
struct chain {
    _Atomic uint32_t refs;
    size_t keep_findings;
    unsigned n;
    struct chain_stage stage[];
};
struct chain *chain_new(unsigned n, size_t keep_findings);  /* stages zeroed, to be filled; one reference */
struct chain *chain_ref(const struct chain *c);
void chain_unref(struct chain *c);                          /* NULL allowed; releases confs and policies */
bool chain_changes_records(const struct chain *c);
/* Same stages, options and policy? Then a reload need not judge the zone again. */
bool chain_same(const struct chain *a, const struct chain *b);

/* Stages, options and policy in one way only: equal text, same chain. The first `follows` octets are without the options that concern
 * only what is made later: where these are equal a version that the one chain made can go on with the other. Caller frees. Not for people. */
char *chain_print(const struct chain *c, size_t *follows);

struct stage_state;                      /* refcounted: versions share it while a stage leaves it alone */
struct stage_result {
    struct snapshot *out;                /* what the next stage sees; a check stage passes its input on */
    struct stage_state *state;
    time_t wake_at, good_until, serve_until; /* as in struct stage_run; 0: never */
    uint64_t visited;
};
struct version {
    _Atomic uint32_t refs;
    struct rcu_item rcu;
    struct chain *chain;
    struct snapshot *input;
    struct snapshot *served;             /* the last stage's output */
    struct soa soa;                      /* of served */
    struct history *history;             /* what led to `served`; NULL: nothing that is known */
    struct keyset *keys;                 /* that it was made with; NULL: none, or not known since the restart */
    uint8_t *caches;                     /* what resolvers may have with it (run/caches.h), for the journal; NULL: nothing of note */
    size_t caches_len;
    time_t accepted_at;                  /* 0: a candidate */
    time_t good_until, serve_until;      /* the earliest of its stages; 0: never */
    const char *origin;                  /* "127.0.0.1@53", a file name, a capture; behind result[] */
    struct findings *findings;
    unsigned n;
    struct stage_result result[];
};
struct version *version_ref(const struct version *v);
void version_unref(struct version *v);                     /* NULL allowed */

/* A version as it was before a restart. Takes no references away: input and served get one each, and the caller fills in result[]
 * by version_restore_stage, and what else it knows. */
struct version *version_restore(const struct chain *chain, const struct snapshot *input, const struct snapshot *served,
                                const char *origin);
/* Stage i gave `out`, and had this state (NULL: none); a stage that cannot load it starts from nothing: false. */
bool version_restore_stage(struct version *v, unsigned i, const struct snapshot *out, const uint8_t *state, size_t len);
/* It was made with other values of options that concern what is made later: the stages that have some are woken. */
void version_restore_later(struct version *v, time_t now);
void version_times(struct version *v);                     /* good_until and serve_until, from its stages' */
/* The state of stage i for the journal. False: it has one, and cannot save it. Caller frees octets, NULL for none. */
bool version_state_save(const struct version *v, unsigned i, uint8_t **octets, size_t *len);

struct candidate {
    enum verdict verdict;
    struct version *version;             /* NULL when verdict is RETRY or REJECT */
    struct changeset *changes;           /* served before → served after; NULL when version is */
    struct findings *findings;
    int stage;                           /* that gave the verdict, or -1 */
    uint32_t serial;                     /* of the input */
    bool has_serial;
    bool woken;                          /* of the input that is served already, judged again */
    double seconds;                      /* wall time of the run, for status and log */
    time_t at;
    char origin[96];
};
struct chain_input {
    const struct snapshot *snapshot;
    const struct snapshot *since;        /* what `changes` leads from; NULL: from nothing */
    const struct changeset *changes;     /* NULL: the chain makes it itself when it needs it */
    const char *origin;
    bool woken;                          /* same input again because a stage's wake_at came, or the keys changed */
    const struct keyset *keys;           /* of the zone; NULL: none */
    /* After the last stage, unless the run has ended before: what it has made, and `served`, what would be served. Adds findings; may be NULL. */
    void (*judge)(void *ctx, const struct version *made, const struct snapshot *served, struct findings *findings);
    void *judge_ctx;
};
/* prev: the accepted version, or NULL. If it was made by another chain, stages that were there before, at the head of the chain, go on with what
 * they made, unless their policy or an option is another one that concerns it (struct stage_type, later); everything else is judged anew. */
struct candidate *chain_run(const struct chain *chain, const struct version *prev, const struct chain_input *input,
                            time_t now, struct par *par);
void candidate_free(struct candidate **c);
/* Takes the version out of a complete candidate. */
struct version *candidate_take(struct candidate *c);
time_t version_wake_at(const struct version *v);           /* earliest of its stages, 0: never */
/* What it shows of the zone's keys. False: no stage of it signs, or that one has no state. */
bool version_keys_used(const struct version *v, struct key_uses *out);
/* What signatures over its data there are, whoever made them. False: no stage knows. */
bool version_signed_by(const struct version *v, struct key_uses *out);
/* Has it a stage that signs; one of that name? */
bool chain_signs(const struct chain *c);
bool chain_has(const struct chain *c, const char *stage);

#endif
