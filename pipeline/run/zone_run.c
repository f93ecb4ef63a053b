/* zone_run: from input to published version.
 *
 *        pending input ──▶ chain_run ──▶ verdict ─┬─ pass ───▶ zone_accept ─▶ journal ─▶ accept_publish: the pointer swap
 *        (a newer one replaces it)                ├─ hold ───▶ parked: approve publishes it, a
 * newer input replaces it └─ retry, reject ▶ on record, with findings; the version stays
 *
 * The version pointer changes under the zone's lock and in one function only, accept_publish. Query
 * threads read it under RCU; everybody else takes a reference under the lock. The version that was
 * replaced is dropped by rcu_defer, when no query can still read it.
 */
#include "pipeline/run/zone_run.h"

#include "pipeline/base/log.h"
#include "pipeline/base/pool.h"
#include "pipeline/run/zone_journal.h"
#include "pipeline/zone/transfer.h"

#include <stdio.h>
#include <string.h>

enum { LOGGED_FINDINGS = 10 };

struct pending {
    struct snapshot *input, *since;
    struct changeset *changes;
    bool woken;
    bool
        yields; /* an old input, to be judged again: a newer one that waits goes first and takes its place */
    char origin[96];
};

/* A version on its way to the disk: the run waits for it, and goes on from accept_kept. */
struct accepting {
    struct candidate *candidate;
    struct version *version;
    bool woken;
};

struct zone_run {
    struct job job; /* first: the pool hands it back */
    struct zone *zone;
    struct zone_shared *shared;
    struct chain *chain; /* in force; kept over reloads that do not change it */
    struct history_limits history;
    bool queued, retired;
    bool approve; /* the operator wants the held candidate */
    bool has_pending;
    struct pending pending;
    struct accepting accepting;
    bool
        rejudge; /* what is served may be another chain's: then it is judged when nothing newer waits */
};

void zone_shared_init(struct zone_shared *s, struct pool *pool)
{
    *s = (struct zone_shared){.pool = pool};
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->idle, NULL);
}

void zone_shared_fini(struct zone_shared *s)
{
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->idle);
}

static void shared_enter(struct zone_shared *s)
{
    pthread_mutex_lock(&s->lock);
    s->busy++;
    pthread_mutex_unlock(&s->lock);
}

static void shared_leave(struct zone_shared *s)
{
    pthread_mutex_lock(&s->lock);
    ASSERT(s->busy > 0);
    if (--s->busy == 0)
        pthread_cond_broadcast(&s->idle);
    pthread_mutex_unlock(&s->lock);
}

void zone_shared_drain(struct zone_shared *s)
{
    pthread_mutex_lock(&s->lock);
    while (s->busy)
        pthread_cond_wait(&s->idle, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

static time_t shared_now(const struct zone_shared *s)
{
    return s->clock ? s->clock(s->clock_ctx) : time(NULL);
}

static void pending_clear(struct pending *p)
{
    snapshot_unref(p->input);
    snapshot_unref(p->since);
    changeset_unref(p->changes);
    *p = (struct pending){0};
}

static void config_release(struct rcu_item *item)
{
    struct zone_config *c =
        (struct zone_config *)(void *)((char *)item - offsetof(struct zone_config, rcu));
    config_unref(c->config);
    mem_free(&c);
}

static struct zone_config *config_hold(struct config *config, const struct zone_conf *conf)
{
    struct zone_config *c = mem_zalloc(sizeof *c);
    c->config = config_ref(config);
    c->zone = conf;
    return c;
}

/* The last reference to a snapshot fell on a thread that has better things to do. The job holds the
 * family alone: a version may outlive its zone. */
struct reap {
    struct job job; /* first: the pool hands it back */
    struct zone_shared *shared;
    struct family *family;
};

static void reap_job(struct job *job)
{
    struct reap *reap = (struct reap *)(void *)job;
    struct zone_shared *shared = reap->shared;
    family_reap(reap->family);
    family_unref(reap->family);
    mem_free(&reap);
    shared_leave(shared);
}

static void reap_hand_over(void *ctx, struct family *family)
{
    struct reap *reap = mem_zalloc(sizeof *reap);
    reap->job.run = reap_job;
    reap->shared = ctx;
    reap->family = family_ref(family);
    shared_enter(reap->shared);
    pool_submit(reap->shared->pool, &reap->job);
}

static void zone_job(struct job *job);
static void run_end(struct zone_run *run);
static bool run_retired(struct zone_run *run);
static void tell(struct zone_run *run, enum zone_outcome outcome, uint32_t serial);

static struct history_limits history_limits_of(const struct zone_conf *conf)
{
    return (struct history_limits){.steps = (uint64_t)conf->ixfr_history,
                                   .bytes = (uint64_t)conf->ixfr_history_bytes,
                                   .age_s = (time_t)conf->ixfr_history_age_s};
}

struct zone *zone_new(struct zone_shared *shared, struct config *config,
                      const struct zone_conf *conf)
{
    struct zone *z = mem_zalloc(sizeof *z);
    z->refs = 1;
    z->name = mem_dup(conf->name, name_len(conf->name));
    z->text = mem_strdup(conf->text);
    z->family = family_new(z->name);
    pthread_mutex_init(&z->lock, NULL);
    fetches_init(&z->fetches);
    atomic_store(&z->config, config_hold(config, conf));
    z->run = mem_zalloc(sizeof *z->run);
    z->run->job.run = zone_job;
    z->run->zone = z;
    z->run->shared = shared;
    z->run->chain = chain_ref(conf->chain);
    z->run->history = history_limits_of(conf);
    family_set_hand_over(z->family, reap_hand_over, shared);
    return z;
}

struct zone *zone_ref(struct zone *z)
{
    atomic_fetch_add_explicit(&z->refs, 1, memory_order_relaxed);
    return z;
}

void zone_unref(struct zone *z)
{
    if (!z || atomic_fetch_sub_explicit(&z->refs, 1, memory_order_acq_rel) != 1)
        return;
    pending_clear(&z->run->pending);
    candidate_free(&z->refused);
    candidate_free(&z->held);
    version_unref(atomic_load(&z->version));
    config_release(&atomic_load(&z->config)->rcu);
    chain_unref(z->run->chain);
    family_unref(z->family);
    journal_zone_unref(z->journal);
    pthread_mutex_destroy(&z->lock);
    mem_free(&z->last_error);
    mem_free(&z->text);
    mem_free(&z->name);
    fetches_fini(&z->fetches);
    mem_free(&z->run);
    mem_free(&z);
}

struct version *zone_version(struct zone *z)
{
    pthread_mutex_lock(&z->lock);
    struct version *v = atomic_load(&z->version);
    if (v)
        version_ref(v);
    pthread_mutex_unlock(&z->lock);
    return v;
}

/* With the lock held. True: the caller submits the job after letting go of the lock. */
static bool run_queue(struct zone_run *run)
{
    if (run->queued || run->retired)
        return false;
    run->queued = true;
    zone_ref(run->zone);
    shared_enter(run->shared);
    return true;
}

/* What is served, to be judged once more. */
static struct pending pending_again(const struct version *v)
{
    struct pending p = {.input = snapshot_ref(v->input),
                        .since = snapshot_ref(v->input),
                        .woken = true,
                        .yields = true};
    snprintf(p.origin, sizeof p.origin, "%s", v->origin);
    return p;
}

/* With the lock held. The version that is served, once more, if another chain made it. */
static bool rejudge_next(struct zone_run *run)
{
    struct version *v = atomic_load(&run->zone->version);
    if (!run->rejudge || run->retired)
        return false;
    run->rejudge = false;
    if (!v || v->chain == run->chain)
        return false;
    run->pending = pending_again(v);
    run->has_pending = true;
    return true;
}

static void run_submit(struct zone *z, struct pending *p)
{
    pthread_mutex_lock(&z->lock);
    bool submit = false;
    struct pending replaced = {0};
    if (!z->run->retired && !(p->yields && z->run->has_pending)) {
        replaced = z->run->pending;
        z->run->pending = *p;
        z->run->has_pending = true;
        submit = run_queue(z->run);
        *p = (struct pending){0};
    }
    pthread_mutex_unlock(&z->lock);
    pending_clear(&replaced);
    pending_clear(p);
    if (submit)
        pool_submit(z->run->shared->pool, &z->run->job);
}

void zone_submit(struct zone *z, const struct snapshot *input, const struct snapshot *since,
                 const struct changeset *changes, const char *origin)
{
    struct pending p = {
        .input = snapshot_ref(input),
        .since = since ? snapshot_ref(since) : NULL,
        .changes = changes ? changeset_ref(changes) : NULL,
    };
    snprintf(p.origin, sizeof p.origin, "%s", origin);
    run_submit(z, &p);
}

static void run_again(struct zone *z)
{
    struct version *v = zone_version(z);
    if (!v)
        return;
    struct pending p = pending_again(v);
    version_unref(v);
    run_submit(z, &p);
}

void zone_open(struct zone *z)
{
    struct zone_run *run = z->run;
    if (!run->shared->journal)
        return;
    z->journal = journal_zone_new(run->shared->journal, z->name);
    struct zone_restored r = zone_journal_restore(z, run->chain, &run->history);
    run->rejudge = true;
    atomic_store(&z->version, r.version);
    if (r.held) {
        run->pending = (struct pending){.input = r.held, .yields = true};
        snprintf(run->pending.origin, sizeof run->pending.origin, "%s", r.held_origin);
        run->has_pending = true;
    }
}

bool zone_run_async(const struct zone *z)
{
    return atomic_load(&z->run->shared->async);
}

void zone_begin(struct zone *z)
{
    pthread_mutex_lock(&z->lock);
    bool submit = (z->run->has_pending || rejudge_next(z->run)) && run_queue(z->run);
    pthread_mutex_unlock(&z->lock);
    if (submit)
        pool_submit(z->run->shared->pool, &z->run->job);
}

void zone_wake(struct zone *z)
{
    run_again(z);
}

time_t zone_wake_at(struct zone *z)
{
    struct version *v = zone_version(z);
    time_t at = v ? version_wake_at(v) : 0;
    version_unref(v);
    return at;
}

void zone_configure(struct zone *z, struct config *config, const struct zone_conf *conf)
{
    struct zone_config *old = rcu_swap(&z->config, config_hold(config, conf));
    rcu_defer(&old->rcu, config_release);
    pthread_mutex_lock(&z->lock);
    struct chain *gone = NULL;
    z->run->history = history_limits_of(conf);
    if (!chain_same(z->run->chain, conf->chain)) {
        gone = z->run->chain;
        z->run->chain = chain_ref(conf->chain);
        z->run->rejudge = true;
    }
    bool submit = gone && (z->run->has_pending || rejudge_next(z->run)) && run_queue(z->run);
    pthread_mutex_unlock(&z->lock);
    chain_unref(gone);
    if (submit)
        pool_submit(z->run->shared->pool, &z->run->job);
}

void zone_retire(struct zone *z)
{
    pthread_mutex_lock(&z->lock);
    struct pending p = z->run->pending;
    z->run->pending = (struct pending){0};
    z->run->has_pending = false;
    z->run->approve = false;
    z->run->retired = true;
    if (z->journal)
        journal_zone_retire(z->journal);
    pthread_mutex_unlock(&z->lock);
    pending_clear(&p);
}

/* ---- outcomes
 * ------------------------------------------------------------------------------------------- */

static void log_findings(const struct zone *z, const struct candidate *c, enum log_level level,
                         enum verdict least)
{
    size_t shown = 0, wanted = 0;
    for (int v = STAGE_REJECT; v >= (int)least; v--)
        for (size_t i = 0; i < c->findings->n; i++) {
            const struct finding *f = &c->findings->list[i];
            if (f->verdict != (enum verdict)v || wanted++ >= LOGGED_FINDINGS)
                continue;
            char code[128];
            snprintf(code, sizeof code, "%s.%s", f->stage->name, f->type->code);
            char *text = finding_print(f);
            log_line(level, "finding",
                     (const struct log_pair[]){LOG_KV("zone", LOG_S(z->text)),
                                               LOG_KV("serial", LOG_U(c->serial)),
                                               LOG_KV("code", LOG_S(code)),
                                               LOG_KV("verdict", LOG_S(verdict_text(f->verdict))),
                                               LOG_KV("what", LOG_S(text)),
                                               {0}});
            mem_free(&text);
            shown++;
        }
    size_t all = 0;
    for (int v = STAGE_REJECT; v >= (int)least; v--)
        all += c->findings->by_verdict[v];
    if (all > shown)
        log_line(level, "more findings are kept for `weir status ZONE --findings`",
                 (const struct log_pair[]){LOG_KV("zone", LOG_S(z->text)),
                                           LOG_KV("serial", LOG_U(c->serial)),
                                           LOG_KV("more", LOG_U(all - shown)),
                                           {0}});
}

static void drop_version(struct rcu_item *item)
{
    version_unref((struct version *)(void *)((char *)item - offsetof(struct version, rcu)));
}

/* A version with `serial` came from `origin` and is served: is this one still in question? It is when it is newer and
 * another primary has it. */
static bool in_question(const struct candidate *c, const char *origin, uint32_t serial)
{
    return c && c->has_serial && serial_newer(c->serial, serial) && strcmp(c->origin, origin) != 0;
}

/* With the lock held. The caller frees what comes back. */
static struct candidate *take_refused(struct zone *z)
{
    struct candidate *c = z->refused;
    z->refused = NULL;
    atomic_store(&z->has_refused, false);
    return c;
}

/* What led to v, which comes after old. To judge again what is served, and find it the same, is no step. */
static struct history *history_next(const struct version *old, const struct version *v,
                                    const struct changeset *changes,
                                    const struct history_limits *limits)
{
    if (!old)
        return NULL;
    ASSERT(changes->has_from && changes->from == old->soa.serial);
    if (changes->n == 0)
        return history_ref(old->history);
    return history_append(old->history, changes, v->served, v->accepted_at, limits);
}

/* The one place where a version becomes visible. What must be durable has been made so. */
static void accept_publish(struct zone *z, struct version *v, struct candidate *c, bool woken)
{
    pthread_mutex_lock(&z->lock);
    struct candidate *refused = NULL, *held = z->held;
    z->held = NULL;
    /* To judge again what is served says nothing about a newer input that was refused. */
    if (z->refused &&
        (z->refused->woken || (!woken && !in_question(z->refused, v->origin, c->serial))))
        refused = take_refused(z);
    struct version *old = rcu_swap(&z->version, v);
    pthread_mutex_unlock(&z->lock);

    atomic_fetch_add(&z->counters.accepted, 1);
    log_info("version accepted", LOG_KV("zone", LOG_S(z->text)),
             LOG_KV("serial", LOG_U(v->soa.serial)), LOG_KV("from", LOG_S(v->origin)),
             LOG_KV("names", LOG_U(v->served->names)), LOG_KV("records", LOG_U(v->served->records)),
             LOG_KV("changed_names", LOG_U(c->changes->n)),
             LOG_KV("ixfr_history", LOG_U(v->history ? v->history->n : 0)),
             LOG_KV("notes", LOG_U(c->findings->by_verdict[STAGE_PASS])),
             LOG_KV("chain_s", LOG_F(c->seconds)));
    /* What time alone brought up is an alarm: nobody else is going to look. */
    bool by_time = woken && old && old->chain == v->chain;
    log_findings(z, c, by_time ? LOG_WARN : LOG_INFO, STAGE_PASS);
    if (old)
        rcu_defer(&old->rcu, drop_version);
    bool held_stays = woken || in_question(held, v->origin, c->serial);
    candidate_free(&refused);
    if (!held)
        return;
    if (held_stays) {
        /* It was made beside the version that was just replaced: judge it beside the new one. */
        struct pending again = {.input = snapshot_ref(held->version->input), .yields = true};
        snprintf(again.origin, sizeof again.origin, "%s", held->origin);
        run_submit(z, &again);
    } else {
        log_notice("held version is superseded", LOG_KV("zone", LOG_S(z->text)),
                   LOG_KV("serial", LOG_U(held->serial)), LOG_KV("by", LOG_U(v->soa.serial)));
        zone_journal_unhold(z);
    }
    candidate_free(&held);
}

/* The journal has it, or gave it up because weir ends. On the journal's thread. */
static void accept_kept(void *ctx, int err, const struct why *why)
{
    struct zone_run *run = ctx;
    struct zone *z = run->zone;
    struct accepting a = run->accepting;
    run->accepting = (struct accepting){0};
    uint32_t serial = a.candidate->serial;
    if (err || run_retired(run)) {
        if (err)
            log_warn("version was good but is not accepted: it could not be written to the journal",
                     LOG_KV("zone", LOG_S(z->text)), LOG_KV("serial", LOG_U(serial)),
                     LOG_KV("why", LOG_S(why->text)));
        version_unref(a.version);
    } else {
        accept_publish(z, a.version, a.candidate, a.woken);
        tell(run, ZONE_ACCEPTED, serial);
    }
    candidate_free(&a.candidate);
    run_end(run);
}

/* Takes the candidate's version: into the journal, and then to where everybody sees it. False: that is still to come, and
 * accept_kept ends the run, perhaps before this returns. */
static bool zone_accept(struct zone *z, struct candidate **cp, time_t now, bool woken)
{
    struct candidate *c = *cp;
    struct version *v = candidate_take(c), *before = zone_version(z);
    *cp = NULL;
    v->accepted_at = now;
    pthread_mutex_lock(&z->lock);
    struct history_limits limits = z->run->history;
    pthread_mutex_unlock(&z->lock);
    v->history = history_next(before, v, c->changes, &limits);
    bool wait = zone_journal_waits(z);
    if (wait)
        z->run->accepting = (struct accepting){c, v, woken};
    zone_journal_accept(z, before, v, c->changes, wait ? accept_kept : NULL, z->run);
    version_unref(before);
    if (wait)
        return false;
    uint32_t serial = c->serial;
    accept_publish(z, v, c, woken);
    candidate_free(&c);
    tell(z->run, ZONE_ACCEPTED, serial);
    return true;
}

static void log_approval_void(const struct zone *z)
{
    log_warn("approval came too late: what was held then has been superseded",
             LOG_KV("zone", LOG_S(z->text)));
}

static void zone_hold(struct zone *z, struct candidate **cp)
{
    struct candidate *c = *cp;
    log_warn(
        "version held: it waits for `weir approve` or `weir discard`; the last good version stays",
        LOG_KV("zone", LOG_S(z->text)), LOG_KV("serial", LOG_U(c->serial)),
        LOG_KV("from", LOG_S(c->origin)),
        LOG_KV("findings", LOG_U(c->findings->by_verdict[STAGE_HOLD])));
    log_findings(z, c, LOG_WARN, STAGE_HOLD);
    atomic_fetch_add(&z->counters.held, 1);
    struct changeset *input = zone_journal_held(z, c);
    pthread_mutex_lock(&z->lock);
    struct candidate *before = z->held;
    bool approved = z->run->approve;
    z->held = c;
    z->run->approve = false; /* what the operator has seen is the one before, not this one */
    zone_journal_hold(z, input, c->origin);
    pthread_mutex_unlock(&z->lock); /* from here on zone_discard may free it */
    changeset_unref(input);
    if (approved)
        log_approval_void(z);
    *cp = NULL;
    candidate_free(&before);
}

/* v: what is served, or NULL. by_time: that is what was judged again, for nothing but time has passed. */
static const char *refused_words(const struct version *v, const struct candidate *c, bool by_time)
{
    bool retry = c->verdict == STAGE_RETRY;
    if (!v)
        return retry ? "version cannot be judged now: there is none to serve yet, it will be tried "
                       "again"
                     : "version refused: there is none to serve yet";
    if (retry)
        return "version cannot be judged now: the last good version stays, it will be tried again";
    if (!by_time)
        return "version refused: the last good version stays";
    return v->serve_until && v->serve_until < c->at
               ? "the version that is served is no longer good: SERVFAIL is answered until there "
                 "is a better one"
               : "the version that is served is no longer good: it is served on until there is a "
                 "better one";
}

static void zone_refuse(struct zone *z, struct candidate **cp)
{
    struct candidate *c = *cp;
    struct version *v = zone_version(z);
    bool retry = c->verdict == STAGE_RETRY;
    pthread_mutex_lock(&z->lock);
    bool by_time = c->woken && v && v->chain == z->run->chain; /* else the chain is another one */
    pthread_mutex_unlock(&z->lock);
    const char *say = refused_words(v, c, by_time);
    log_line(
        LOG_WARN, say,
        (const struct log_pair[]){LOG_KV("zone", LOG_S(z->text)),
                                  LOG_KV("serial", LOG_U(c->serial)),
                                  LOG_KV("from", LOG_S(c->origin)),
                                  LOG_KV("findings", LOG_U(c->findings->by_verdict[c->verdict])),
                                  LOG_KV("serving", v ? LOG_U(v->soa.serial) : LOG_S("none")),
                                  LOG_KV("chain_s", LOG_F(c->seconds)),
                                  {0}});
    log_findings(z, c, LOG_WARN, STAGE_HOLD);
    version_unref(v);
    atomic_fetch_add(retry ? &z->counters.retried : &z->counters.refused, 1);
    pthread_mutex_lock(&z->lock);
    struct candidate *before = z->refused;
    z->refused = c;
    atomic_store(&z->has_refused, true);
    pthread_mutex_unlock(&z->lock);
    *cp = NULL;
    candidate_free(&before);
}

/* False: the run goes on when the journal has the version. */
static bool settle(struct zone *z, struct candidate **c, time_t now, bool woken)
{
    enum zone_outcome outcome = ZONE_REFUSED;
    uint32_t serial = (*c)->serial;
    switch ((*c)->verdict) {
    case STAGE_PASS:
        return zone_accept(z, c, now, woken);
    case STAGE_HOLD:
        zone_hold(z, c);
        outcome = ZONE_HELD;
        break;
    case STAGE_RETRY:
        zone_refuse(z, c);
        outcome = ZONE_RETRY;
        break;
    case STAGE_REJECT:
        zone_refuse(z, c);
        break;
    }
    tell(z->run, outcome, serial);
    return true;
}

/* The input is what is served already: whatever was refused or held meanwhile is no longer what this
 * primary has. That the version itself is no longer good stays true. */
static void zone_unchanged(struct zone *z, const char *origin, uint32_t serial)
{
    struct candidate *refused = NULL, *held = NULL;
    atomic_fetch_add(&z->counters.unchanged, 1);
    pthread_mutex_lock(&z->lock);
    if (z->refused && !z->refused->woken && !in_question(z->refused, origin, serial))
        refused = take_refused(z);
    if (!in_question(z->held, origin, serial)) {
        held = z->held;
        z->held = NULL;
    }
    pthread_mutex_unlock(&z->lock);
    if (held)
        zone_journal_unhold(z);
    candidate_free(&refused);
    candidate_free(&held);
}

void zone_withdrawn(struct zone *z, const char *origin, uint32_t serial)
{
    struct candidate *c = NULL;
    pthread_mutex_lock(&z->lock);
    if (z->refused && !z->refused->woken && strcmp(z->refused->origin, origin) == 0)
        c = take_refused(z);
    pthread_mutex_unlock(&z->lock);
    if (c)
        log_notice("refused version was withdrawn: its primary has the one that is served",
                   LOG_KV("zone", LOG_S(z->text)), LOG_KV("serial", LOG_U(c->serial)),
                   LOG_KV("from", LOG_S(origin)), LOG_KV("serving", LOG_U(serial)));
    candidate_free(&c);
}

static void tell(struct zone_run *run, enum zone_outcome outcome, uint32_t serial)
{
    struct zone_event event = {.zone = run->zone, .outcome = outcome, .serial = serial};
    if (run->shared->listen)
        run->shared->listen(run->shared->listen_ctx, &event);
}

static bool run_retired(struct zone_run *run)
{
    pthread_mutex_lock(&run->zone->lock);
    bool retired = run->retired;
    pthread_mutex_unlock(&run->zone->lock);
    return retired;
}

/* False: see settle. */
static bool run_input(struct zone_run *run, struct pending *p, struct chain *chain,
                      struct version *prev)
{
    struct zone *z = run->zone;
    struct soa soa = {0};
    time_t now = shared_now(run->shared);
    if (prev && prev->chain == chain && !p->woken) {
        if (!p->changes || p->since != prev->input) {
            changeset_unref(p->changes);
            p->changes = changeset_between(prev->input, p->input);
            snapshot_unref(p->since);
            p->since = snapshot_ref(prev->input);
        }
        if (p->changes->n == 0) {
            snapshot_soa(p->input, &soa);
            zone_unchanged(z, p->origin, soa.serial);
            tell(run, ZONE_UNCHANGED, soa.serial);
            return true;
        }
    }
    struct chain_input input = {.snapshot = p->input,
                                .since = p->since,
                                .changes = p->changes,
                                .origin = p->origin,
                                .woken = p->woken};
    struct candidate *c = chain_run(chain, prev, &input, now, pool_par(run->shared->pool));
    if (run_retired(run)) {
        candidate_free(&c);
        return true;
    }
    return settle(z, &c, now, p->woken);
}

static bool run_approval(struct zone_run *run)
{
    struct zone *z = run->zone;
    pthread_mutex_lock(&z->lock);
    struct candidate *c = z->held;
    z->held = NULL;
    pthread_mutex_unlock(&z->lock);
    if (!c) {
        log_approval_void(z);
        return true;
    }
    log_notice("held version approved by the operator", LOG_KV("zone", LOG_S(z->text)),
               LOG_KV("serial", LOG_U(c->serial)));
    zone_journal_unhold(z);
    return zone_accept(z, &c, shared_now(run->shared), false);
}

/* What has come meanwhile goes to the end of the queue, so that zones take turns. */
static void run_end(struct zone_run *run)
{
    struct zone *z = run->zone;
    struct zone_shared *shared = run->shared;
    pthread_mutex_lock(&z->lock);
    bool more = !run->retired && (run->has_pending || run->approve || rejudge_next(run));
    run->queued = more;
    pthread_mutex_unlock(&z->lock);
    if (more) {
        pool_submit(shared->pool, &run->job);
        return;
    }
    zone_unref(z);
    shared_leave(shared);
}

static void zone_job(struct job *job)
{
    struct zone_run *run = (struct zone_run *)(void *)job;
    struct zone *z = run->zone;
    struct zone_shared *shared = run->shared;

    shared_enter(
        shared); /* the journal's thread may end the run before this function has let go of all */
    pthread_mutex_lock(&z->lock);
    bool approve = run->approve && !run->retired, input = !approve && run->has_pending;
    run->approve = false;
    struct pending p = {0};
    if (input) {
        p = run->pending;
        run->pending = (struct pending){0};
        run->has_pending = false;
    }
    struct chain *chain = chain_ref(run->chain);
    struct version *prev = atomic_load(&z->version);
    if (prev)
        version_ref(prev);
    pthread_mutex_unlock(&z->lock);

    bool done = true;
    if (approve)
        done = run_approval(run);
    if (input)
        done = run_input(run, &p, chain, prev);
    pending_clear(&p);
    version_unref(prev);
    chain_unref(chain);
    if (done) /* else the run is the journal's now, or over */
        run_end(run);
    shared_leave(shared);
}

/* ---- the operator's word
 * -------------------------------------------------------------------------------- */

static int held_check(const struct zone *z, const uint32_t *serial, struct why *why)
{
    if (!z->held)
        return why_set(why, -E_NOENT, "zone %s has no held version", z->text);
    if (serial && *serial != z->held->serial)
        return why_set(why, -E_MISMATCH, "zone %s: the held version has serial %u, not %u", z->text,
                       z->held->serial, *serial);
    return 0;
}

int zone_approve(struct zone *z, const uint32_t *serial, struct why *why)
{
    pthread_mutex_lock(&z->lock);
    int err = held_check(z, serial, why);
    bool submit = false;
    if (!err) {
        z->run->approve = true;
        submit = run_queue(z->run);
    }
    pthread_mutex_unlock(&z->lock);
    if (submit)
        pool_submit(z->run->shared->pool, &z->run->job);
    return err;
}

int zone_discard(struct zone *z, const uint32_t *serial, struct why *why)
{
    pthread_mutex_lock(&z->lock);
    int err = held_check(z, serial, why);
    struct candidate *c = NULL;
    if (!err) {
        c = z->held;
        z->held = NULL;
        z->run->approve = false;
        zone_journal_unhold(z); /* under the lock: the journal must not hear of a newer one first */
    }
    pthread_mutex_unlock(&z->lock);
    candidate_free(&c);
    return err;
}
