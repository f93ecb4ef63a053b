/* zone_table: the zones that are held, and each zone's way from input to version.
 *
 * WHAT   A table of zones by name, read by query threads without a lock, and for every zone: the published version,
 *        the configuration in force, what was refused or held last, timers and counters.
 *        zone_submit() hands in a new input. One chain run a zone at a time, zones in parallel on the worker pool; a
 *        newer input that comes while one runs waits, and replaces another that waits. At the end: accepted (the
 *        one place where a version becomes visible: accept_publish), held, to be retried, or refused; the last good
 *        version is untouched by all but the first.
 *
 *          xfrin / file / wake-up ─▶ zone_submit ─▶ [worker: chain_run] ─▶ journal ─▶ pointer swap ─▶ listener
 *                                                          └─▶ refusal / hold recorded ────────────────▶ listener
 *
 * WHO    zone_table_find and the fields marked RCU: any online RCU reader. zone_submit: any thread. Fields under `lock`:
 *        hold it. The listener is called on a worker thread.
 * OWNS   Zones are refcounted; the table holds one reference each. `net` belongs to the net layer.
 * COST   find: one hash step a label of the query name.
 */
#ifndef WEIR_RUN_ZONE_TABLE_H
#define WEIR_RUN_ZONE_TABLE_H

#include "pipeline/run/config.h"
#include "pipeline/run/fetches.h"
#include "pipeline/run/journal.h"

#include <pthread.h>

enum zone_outcome {
    ZONE_ACCEPTED, ZONE_UNCHANGED, ZONE_HELD, ZONE_RETRY, ZONE_REFUSED,
    ZONE_KEYS,                          /* of no version: its keys were looked after (run/zone_keys.h) */
};

struct zone_counters {                  /* ever, since start; transfers out are counted in fetches */
    _Atomic uint64_t accepted, refused, held, retried, unchanged;
    _Atomic uint64_t transfers_ok, transfers_failed, checks_ok, checks_failed;
    _Atomic uint64_t tsig_failed;       /* answers of primaries and secondaries whose TSIG was wrong or missing */
    _Atomic uint64_t transfers_ixfr, transfers_axfr;    /* of transfers_ok: by differences, in full */
    _Atomic uint64_t ixfr_refused, ixfr_dropped;        /* by an RCODE; for what was said. AXFR followed */
    _Atomic uint64_t notify_in, notify_in_refused, notify_out, notify_out_failed;
};

struct zone_config;
struct parent_view;
struct zone {
    _Atomic uint32_t refs;
    struct family *family;              /* of inputs */
    const uint8_t *name;
    const char *text;                   /* the name, printed */
    struct version *_Atomic version;    /* RCU; NULL: none yet */
    struct zone_config *_Atomic config; /* RCU; see zone_conf_of */
    _Atomic bool expired;               /* set and cleared by net: answer SERVFAIL */
    _Atomic bool parent_wanted;         /* its keys wait for its parent: see zone_parent.h */
    _Atomic bool parent_guard_wanted;   /* … its guard */
    _Atomic bool parent_ns_wanted;      /* … its other signers for the NS there */
    _Atomic bool signers_wanted;        /* a step waits for its other signers: see zone_signers.h */
    _Atomic bool has_refused;           /* a refusal is on record that is newer than the version (for EDE) */
    struct zone_counters counters;
    struct fetches fetches;

    pthread_mutex_t lock;               /* for what follows */
    struct candidate *refused;          /* the last one refused or to be retried; NULL: none */
    struct candidate *held;             /* parked, complete; NULL: none */
    time_t checked_at;                  /* last good SOA check or transfer */
    time_t check_at;                    /* next one is due */
    _Atomic time_t expires_at;          /* 0: never (file zones); query threads read it without the lock */
    char *last_error;                   /* of checks and transfers; NULL: the last one went well */
    time_t last_error_at;
    struct keyset *keys;                /* for stages that sign; NULL: it has none */
    struct parent_view *parent;         /* what its parent's servers said of its DS last (zone_parent.h); NULL: nothing */
    struct zone_run *run;               /* private */
    struct zone_guard *guard;           /* judges versions against what resolvers may have */
    struct zone_keys *_Atomic ring;     /* who decides about `keys`; NULL: its chain never signed */
    struct journal_zone *journal;       /* NULL: there is no journal */

    void *net;                          /* the control loop's own state for this zone: transfers in; only that loop touches it */
    void *net_keys;                     /* … the timer of its keys */
    void *net_notify;                   /* … and what its secondaries were told */
    void *net_parent;                   /* … and what its parent's servers say */
    void *net_signer;                   /* … and what its other signers' servers say */
};
struct zone_config {                    /* one zone's row of a configuration, kept alive with it */
    struct config *config;
    const struct zone_conf *zone;
    struct rcu_item rcu;
};
/* Valid until the reader goes offline. */
static inline const struct zone_conf *zone_conf_of(struct zone *z)
{
    return rcu_read(&z->config)->zone;
}
struct zone *zone_ref(struct zone *z);
void zone_unref(struct zone *z);
/* A reference on the current version, or NULL; from any registered thread, online or not. */
struct version *zone_version(struct zone *z);

struct zone_event {
    struct zone *zone;
    enum zone_outcome outcome;
    uint32_t serial;                    /* of the input it is about */
};
struct zone_table;
/* pool may have 0 threads: then submit runs the chain before it returns. */
struct zone_table *zone_table_new(struct pool *pool);
void zone_table_free(struct zone_table **t);
void zone_table_listen(struct zone_table *t, void (*fn)(void *ctx, const struct zone_event *event), void *ctx);
/* Before zones are made: what is accepted goes into the journal first (async: soon), and what is there is served from the start. */
void zone_table_journal(struct zone_table *t, struct journal *journal, bool async);
void zone_table_async(struct zone_table *t, bool async);
/* Before zones are made: the state folder, where the keys of zones that are signed are. NULL (default): nobody looks after keys. */
void zone_table_keys(struct zone_table *t, const char *state);
/* checked_at and expires_at have moved: the journal should know. */
void zone_timers_keep(struct zone *z);
/* The clock that chains see; default time(2). */
void zone_table_clock(struct zone_table *t, time_t (*fn)(void *ctx), void *ctx);

/* Brings the table in line with a configuration: makes new zones, drops gone ones, swaps configurations. added/dropped/
 * changed are called (any may be NULL) on the calling thread, after the table is switched. Chains that changed are run
 * anew over the input held. */
struct zone_table_diff {
    void (*added)(void *ctx, struct zone *z);
    void (*dropped)(void *ctx, struct zone *z);   /* still valid during the call */
    void (*changed)(void *ctx, struct zone *z);   /* config differs or may differ */
    void *ctx;
};
void zone_table_apply(struct zone_table *t, struct config *config, const struct zone_table_diff *diff);

/* The zone that is closest at or above qname. RCU reader. NULL: not held. */
struct zone *zone_table_find(const struct zone_table *t, const uint8_t *qname);
struct zone *zone_table_get(const struct zone_table *t, const uint8_t *name);    /* exact; RCU reader */
/* All zones in name order; a reference each; caller unrefs and frees the array. */
struct zone **zone_table_list(const struct zone_table *t, size_t *n);

/* Hands an input in. References are taken. origin is copied. `changes`, `since` as in chain_input. */
void zone_submit(struct zone *z, const struct snapshot *input, const struct snapshot *since, const struct changeset *changes,
                 const char *origin);
/* The primary that is `origin` tells the serial that is served: what was refused from there is no longer what it has. */
void zone_withdrawn(struct zone *z, const char *origin, uint32_t serial);
/* The keys from now on. If they are others than before, what is served is made again with them. */
void zone_set_keys(struct zone *z, const struct keyset *keys);
void zone_wake(struct zone *z);                        /* a stage's wake_at has come: judge the held input again */
time_t zone_wake_at(struct zone *z);                   /* 0: never */
/* The operator's word on a held candidate. -E_NOENT: none is held; -E_MISMATCH: another serial. serial NULL: whatever is held. */
int zone_approve(struct zone *z, const uint32_t *serial, struct why *why) MUST_CHECK;
int zone_discard(struct zone *z, const uint32_t *serial, struct why *why) MUST_CHECK;
void zone_table_drain(struct zone_table *t);           /* waits until no run is queued or going on: tests, replay, shutdown */

#endif
