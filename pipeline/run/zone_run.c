/* zone_run: what a zone is asked to judge, and the job that does it.
 *
 *        pending input ──▶ chain_run ──▶ verdict ──▶ zone_outcome.c
 *        (a newer one replaces it)
 *
 * Query threads read the version pointer under RCU; everybody else takes a reference under the zone's lock.
 */
#include "pipeline/run/zone_run_p.h"

#include "pipeline/base/log.h"
#include "pipeline/run/parent_view.h"
#include "pipeline/run/zone_guard.h"
#include "pipeline/run/zone_journal.h"
#include "pipeline/run/zone_keys.h"

#include <stdio.h>
#include <string.h>

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
    mem_free(&s->state);
}

void zone_shared_enter(struct zone_shared *s)
{
    pthread_mutex_lock(&s->lock);
    s->busy++;
    pthread_mutex_unlock(&s->lock);
}

void zone_shared_leave(struct zone_shared *s)
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

static struct pending *pending_new(const struct snapshot *input, const char *origin)
{
    struct pending *p = mem_zalloc(sizeof *p);
    p->input = snapshot_ref(input);
    snprintf(p->origin, sizeof p->origin, "%s", origin);
    return p;
}

static void pending_free(struct pending **pp)
{
    struct pending *p = *pp;
    if (!p)
        return;
    snapshot_unref(p->input);
    snapshot_unref(p->since);
    changeset_unref(p->changes);
    mem_free(pp);
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
    zone_shared_leave(shared);
}

static void reap_hand_over(void *ctx, struct family *family)
{
    struct reap *reap = mem_zalloc(sizeof *reap);
    reap->job.run = reap_job;
    reap->shared = ctx;
    reap->family = family_ref(family);
    zone_shared_enter(reap->shared);
    pool_submit(reap->shared->pool, &reap->job);
}

static void zone_job(struct job *job);

static struct history_limits history_limits_of(const struct zone_conf *conf)
{
    return (struct history_limits){.steps = (uint64_t)conf->ixfr_history,
                                   .bytes = (uint64_t)conf->ixfr_history_bytes,
                                   .age_s = (time_t)conf->ixfr_history_age_s};
}

/* One block: there may be ten thousands of zones. */
struct zone_block {
    struct zone zone;
    struct zone_run run;
    char names[]; /* printed, then in wire form */
};

struct zone *zone_new(struct zone_shared *shared, struct config *config,
                      const struct zone_conf *conf)
{
    size_t text_len = strlen(conf->text) + 1, len = name_len(conf->name);
    struct zone_block *block = mem_zalloc(sizeof *block + text_len + len);
    struct zone *z = &block->zone;
    z->refs = 1;
    z->text = memcpy(block->names, conf->text, text_len);
    z->name = memcpy(block->names + text_len, conf->name, len);
    z->family = family_new(z->name);
    pthread_mutex_init(&z->lock, NULL);
    atomic_store(&z->config, config_hold(config, conf));
    z->run = &block->run;
    z->run->job.run = zone_job;
    z->run->zone = z;
    z->run->shared = shared;
    z->run->chain = chain_ref(conf->chain);
    z->run->history = history_limits_of(conf);
    family_set_hand_over(z->family, reap_hand_over, shared);
    z->guard = zone_guard_new(z);
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
    pending_free(&z->run->pending);
    pending_free(&z->run->unserved);
    candidate_free(&z->refused);
    candidate_free(&z->held);
    version_unref(atomic_load(&z->version));
    config_release(&atomic_load(&z->config)->rcu);
    chain_unref(z->run->chain);
    family_unref(z->family);
    keyset_unref(z->keys);
    parent_view_unref(z->parent);
    struct zone_keys *ring = atomic_load(&z->ring);
    zone_keys_free(&ring);
    zone_guard_free(&z->guard);
    journal_zone_unref(z->journal);
    pthread_mutex_destroy(&z->lock);
    mem_free(&z->last_error);
    fetches_fini(&z->fetches);
    struct zone_block *block = (struct zone_block *)(void *)z;
    mem_free(&block);
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

bool run_queue(struct zone_run *run)
{
    if (run->queued || run->retired)
        return false;
    run->queued = true;
    zone_ref(run->zone);
    zone_shared_enter(run->shared);
    return true;
}

/* What is served, to be judged once more. */
static struct pending *pending_again(const struct version *v)
{
    struct pending *p = pending_new(v->input, v->origin);
    p->since = snapshot_ref(v->input);
    p->woken = true;
    p->yields = true;
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
    return true;
}

/* Takes p. */
static void run_submit(struct zone *z, struct pending *p)
{
    pthread_mutex_lock(&z->lock);
    bool submit = false;
    if (!z->run->retired && !(p->yields && z->run->pending)) {
        struct pending *replaced = z->run->pending;
        z->run->pending = p;
        submit = run_queue(z->run);
        p = replaced;
    }
    pthread_mutex_unlock(&z->lock);
    pending_free(&p);
    if (submit)
        pool_submit(z->run->shared->pool, &z->run->job);
}

void zone_submit(struct zone *z, const struct snapshot *input, const struct snapshot *since,
                 const struct changeset *changes, const char *origin)
{
    struct pending *p = pending_new(input, origin);
    p->since = since ? snapshot_ref(since) : NULL;
    p->changes = changes ? changeset_ref(changes) : NULL;
    run_submit(z, p);
}

void run_judge_beside(struct zone *z, const struct snapshot *input, const char *origin)
{
    struct pending *p = pending_new(input, origin);
    p->yields = true;
    run_submit(z, p);
}

/* What is served, or, if another chain made that and this one's version is held, the input of the held one, which is newer. */
static void run_again(struct zone *z)
{
    struct pending *p = NULL;
    struct version *v = zone_version(z);
    if (!v)
        return;
    pthread_mutex_lock(&z->lock);
    if (z->held && v->chain != z->run->chain) {
        p = pending_new(z->held->version->input, z->held->origin);
        p->yields = true;
    }
    pthread_mutex_unlock(&z->lock);
    if (!p)
        p = pending_again(v);
    version_unref(v);
    run_submit(z, p);
}

/* Its keys are others now. With no version there may be an input that waits for just that: its primary would bring it again no earlier
 * than the next retry. */
static void run_with_other_keys(struct zone *z)
{
    pthread_mutex_lock(&z->lock);
    struct pending *p = z->run->unserved;
    z->run->unserved = NULL;
    pthread_mutex_unlock(&z->lock);
    if (p)
        run_submit(z, p);
    else
        run_again(z);
}

/* Keeps what could not be judged beside no version at all, until it can be; keys: that it was judged with. */
static void unserved_keep(struct zone *z, const struct pending *p, bool keep,
                          const struct keyset *keys)
{
    struct zone_run *run = z->run;
    struct pending *kept = NULL;
    if (keep) {
        kept = pending_new(p->input, p->origin);
        kept->yields = true;
    }
    pthread_mutex_lock(&z->lock);
    struct pending *before = run->unserved;
    run->unserved = kept;
    bool changed = kept && !run->retired && !keyset_same(z->keys, keys);
    if (changed) /* meanwhile: run_end sees that there is more to do */
        run->unserved = NULL;
    if (changed && !run->pending) {
        run->pending = kept;
        kept = NULL;
    }
    pthread_mutex_unlock(&z->lock);
    pending_free(&before);
    if (changed)
        pending_free(&kept);
}

/* A zone whose chain signs has keys from then on, even if its chain does not sign later. */
static struct zone_keys *ring_begin(struct zone *z, const struct zone_conf *conf)
{
    struct zone_shared *shared = z->run->shared;
    bool keys = conf->signs || conf->rekeys || conf->prepares;
    if (!atomic_load(&z->ring) && keys && shared->state)
        atomic_store(&z->ring, zone_keys_new(z, shared));
    return atomic_load(&z->ring);
}

static void journal_take(struct zone *z)
{
    struct zone_run *run = z->run;
    z->journal = journal_zone_new(run->shared->journal, z->name);
    struct zone_restored r = zone_journal_restore(z, run->chain, &run->history);
    run->rejudge = true;
    if (r.version)
        zone_guard_restore(z, r.version, r.caches, r.caches_len);
    mem_free(&r.caches);
    atomic_store(&z->version, r.version);
    if (r.held) {
        run->pending = pending_new(r.held, r.held_origin);
        run->pending->yields = true;
        snapshot_unref(r.held);
    }
}

void zone_open(struct zone *z)
{
    if (z->run->shared->journal)
        journal_take(z);
    struct zone_keys *ring = ring_begin(z, atomic_load(&z->config)->zone);
    if (ring)
        zone_keys_open(ring);
}

bool zone_retired(struct zone *z)
{
    return run_retired(z->run);
}

bool zone_run_async(const struct zone *z)
{
    return atomic_load(&z->run->shared->async);
}

void zone_begin(struct zone *z)
{
    pthread_mutex_lock(&z->lock);
    bool submit = (z->run->pending || rejudge_next(z->run)) && run_queue(z->run);
    pthread_mutex_unlock(&z->lock);
    if (submit)
        pool_submit(z->run->shared->pool, &z->run->job);
}

void zone_wake(struct zone *z)
{
    run_again(z);
}

void zone_set_keys(struct zone *z, const struct keyset *keys)
{
    pthread_mutex_lock(&z->lock);
    struct keyset *before = z->keys;
    bool other = !keyset_same(before, keys);
    if (other)
        z->keys = keyset_ref(keys);
    pthread_mutex_unlock(&z->lock);
    if (!other)
        return;
    keyset_unref(before);
    run_with_other_keys(z);
}

time_t zone_wake_at(struct zone *z)
{
    struct version *v = zone_version(z);
    time_t at = v ? version_wake_at(v) : 0, due = zone_guard_due(z);
    version_unref(v);
    return due && (!at || due < at) ? due : at;
}

/* With the lock held. If it is the chain that made what is served, that is as good as ever: nothing need be made anew, and what the chain in
 * between has held is for this one to judge. What it found wrong with what is served counts no more. */
static void chain_change(struct zone *z, const struct chain *chain, struct candidate *gone[2])
{
    struct zone_run *run = z->run;
    struct version *v = atomic_load(&z->version);
    bool back = v && chain_same(v->chain, chain);
    run->chain = chain_ref(back ? v->chain : chain);
    run->rejudge = true;
    if (back && z->refused && z->refused->woken) {
        gone[0] = z->refused;
        z->refused = NULL;
        atomic_store(&z->has_refused, false);
    }
    if (!back || !z->held)
        return;
    gone[1] = z->held;
    z->held = NULL;
    run->approve = false;
    zone_journal_unhold(z);
    if (!run->pending) {
        run->pending = pending_new(gone[1]->version->input, gone[1]->origin);
        run->pending->yields = true;
    }
}

void zone_configure(struct zone *z, struct config *config, const struct zone_conf *conf)
{
    pthread_mutex_lock(&z->lock);
    struct zone_config *old = rcu_swap(&z->config, config_hold(config, conf));
    struct chain *gone = NULL;
    struct candidate *dropped[2] = {NULL, NULL};
    z->run->history = history_limits_of(conf);
    if (!chain_same(z->run->chain, conf->chain)) {
        gone = z->run->chain;
        chain_change(z, conf->chain, dropped);
    }
    bool submit = gone && (z->run->pending || rejudge_next(z->run)) && run_queue(z->run);
    pthread_mutex_unlock(&z->lock);
    if (gone)
        zone_guard_turned(z);
    candidate_free(&dropped[0]);
    candidate_free(&dropped[1]);
    chain_unref(gone);
    rcu_defer(&old->rcu, config_release);
    if (submit)
        pool_submit(z->run->shared->pool, &z->run->job);
    ring_begin(z, conf);
    zone_keys_turn(z, false);
}

void zone_retire(struct zone *z)
{
    pthread_mutex_lock(&z->lock);
    struct pending *p = z->run->pending, *unserved = z->run->unserved;
    z->run->pending = z->run->unserved = NULL;
    z->run->approve = false;
    z->run->retired = true;
    if (z->journal)
        journal_zone_retire(z->journal);
    pthread_mutex_unlock(&z->lock);
    pending_free(&p);
    pending_free(&unserved);
}

/* ---- the run
 * ------------------------------------------------------------------------------------------------- */

bool run_retired(struct zone_run *run)
{
    pthread_mutex_lock(&run->zone->lock);
    bool retired = run->retired;
    pthread_mutex_unlock(&run->zone->lock);
    return retired;
}

/* False: see outcome_settle. */
static bool run_input(struct zone_run *run, struct pending *p, struct chain *chain,
                      struct version *prev)
{
    struct zone *z = run->zone;
    struct soa soa = {0};
    time_t now = shared_now(run->shared);
    pthread_mutex_lock(&z->lock);
    struct keyset *keys = z->keys ? keyset_ref(z->keys) : NULL;
    pthread_mutex_unlock(&z->lock);
    /* Other keys make another version of the same input. */
    if (prev && prev->chain == chain && !p->woken && (!keys || keyset_same(keys, prev->keys))) {
        if (!p->changes || p->since != prev->input) {
            changeset_unref(p->changes);
            p->changes = changeset_between(prev->input, p->input);
            snapshot_unref(p->since);
            p->since = snapshot_ref(prev->input);
        }
        if (p->changes->n == 0) {
            snapshot_soa(p->input, &soa);
            outcome_unchanged(z, p->origin, soa.serial);
            keyset_unref(keys);
            return true;
        }
    }
    struct chain_input input = {.snapshot = p->input,
                                .since = p->since,
                                .changes = p->changes,
                                .origin = p->origin,
                                .woken = p->woken,
                                .keys = keys,
                                .judge = zone_guard_judge,
                                .judge_ctx = z};
    bool ahead = !prev && chain->n > 0;
    if (ahead)
        zone_journal_ahead(z, p->input);
    struct candidate *c = chain_run(chain, prev, &input, now, pool_par(run->shared->pool));
    bool retired = run_retired(run);
    unserved_keep(z, p, !prev && !retired && c->verdict == STAGE_RETRY, keys);
    keyset_unref(keys);
    if (ahead && (retired || c->verdict != STAGE_PASS))
        zone_journal_ahead_drop(z);
    if (retired) {
        candidate_free(&c);
        return true;
    }
    return outcome_settle(z, &c, now, p->woken);
}

static bool run_approval(struct zone_run *run)
{
    struct zone *z = run->zone;
    pthread_mutex_lock(&z->lock);
    struct candidate *c = z->held;
    z->held = NULL;
    pthread_mutex_unlock(&z->lock);
    if (!c) {
        outcome_approval_void(z);
        return true;
    }
    log_notice("held version approved by the operator", LOG_KV("zone", LOG_S(z->text)),
               LOG_KV("serial", LOG_U(c->serial)));
    zone_guard_forced(z, c);
    return outcome_approve(z, &c, shared_now(run->shared));
}

void run_end(struct zone_run *run)
{
    struct zone *z = run->zone;
    struct zone_shared *shared = run->shared;
    pthread_mutex_lock(&z->lock);
    bool more = !run->retired && (run->pending || run->approve || rejudge_next(run));
    run->queued = more;
    pthread_mutex_unlock(&z->lock);
    if (more) {
        pool_submit(shared->pool, &run->job);
        return;
    }
    zone_unref(z);
    zone_shared_leave(shared);
}

static void zone_job(struct job *job)
{
    struct zone_run *run = (struct zone_run *)(void *)job;
    struct zone *z = run->zone;
    struct zone_shared *shared = run->shared;

    zone_shared_enter(
        shared); /* the journal's thread may end the run before this function has let go of all */
    pthread_mutex_lock(&z->lock);
    bool approve = run->approve && !run->retired;
    run->approve = false;
    struct pending *p = approve ? NULL : run->pending;
    if (p)
        run->pending = NULL;
    struct chain *chain = chain_ref(run->chain);
    struct version *prev = atomic_load(&z->version);
    if (prev)
        version_ref(prev);
    pthread_mutex_unlock(&z->lock);

    bool done = true;
    if (approve)
        done = run_approval(run);
    if (p)
        done = run_input(run, p, chain, prev);
    pending_free(&p);
    version_unref(prev);
    chain_unref(chain);
    if (done) /* else the run is the journal's now, or over */
        run_end(run);
    zone_shared_leave(shared);
}
