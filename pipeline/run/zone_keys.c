/* One turn: lock the folder, gather the facts, step, write, hand over, tell.
 */
#include "pipeline/run/zone_keys.h"

#include "pipeline/base/log.h"
#include "pipeline/run/keyring_store.h"
#include "pipeline/run/zone_book.h"
#include "pipeline/run/zone_parent.h"

#include <stdio.h>
#include <string.h>

enum {
    LOCK_WAIT_MS = 10000,
    RETRY_S = 30,        /* after a turn that failed, and while a private key is missing */
    CLOCK_SAVE_S = 1800, /* so much of a wait is lost at most when the machine goes down */
    ALARM_EVERY_S = 86400,
};

struct zone_keys {
    struct job job; /* first: the pool hands it back */
    struct zone *zone;
    struct zone_shared *shared;
    struct zone_book *book;
    struct keyring_store store;            /* of the turn */
    int64_t saved, waiting_since, alarmed; /* ticks; < 0: never */
    bool told_missing, told_failed, told_offline;

    pthread_mutex_t lock; /* for what follows */
    bool queued, again;
    bool idle;                /* the ring waits for nothing that a version brings */
    struct parent_view *view; /* said, and not yet taken in */
    struct keyset *ds; /* all keys, and whether their DS may be somewhere; NULL: not known yet */
    int64_t due;       /* tick at which a turn is due; 0: never */
};

static void keys_job(struct job *job);

struct zone_keys *zone_keys_new(struct zone *z, struct zone_shared *shared)
{
    struct zone_keys *zk = mem_zalloc(sizeof *zk);
    zk->job.run = keys_job;
    zk->zone = z;
    zk->shared = shared;
    zk->book = zone_book_new();
    zk->saved = zk->waiting_since = zk->alarmed = -1;
    keyring_store_init(&zk->store, shared->state, z->name);
    pthread_mutex_init(&zk->lock, NULL);
    return zk;
}

void zone_keys_free(struct zone_keys **zk)
{
    if (!*zk)
        return;
    keyring_store_clear(&(*zk)->store);
    zone_book_free(&(*zk)->book);
    parent_view_unref((*zk)->view);
    keyset_unref((*zk)->ds);
    pthread_mutex_destroy(&(*zk)->lock);
    mem_free(zk);
}

/* ---- facts
 * ----------------------------------------------------------------------------------------------- */

struct seen {
    struct version *version; /* held: dnskey points into it */
    struct rrset dnskey;
    struct key_uses uses;
    struct keyring_facts facts;
};

static void facts_gather(struct zone_keys *zk, struct seen *out)
{
    struct zone *z = zk->zone;
    struct keyring_facts *f = &out->facts;
    *out = (struct seen){.version = zone_version(z), .facts = {.time = keyring_time_now()}};
    struct version *v = out->version;
    if (!v)
        return;
    f->served = true;
    if (node_rrset(snapshot_apex(v->served), RR_DNSKEY, 0, &out->dnskey))
        f->dnskey = &out->dnskey;
    f->negative_ttl = v->soa.minimum < v->soa.ttl ? v->soa.minimum : v->soa.ttl;
    f->uses = version_keys_used(v, &out->uses) ? &out->uses : NULL;
    pthread_mutex_lock(&z->lock);
    f->current = v->keys && keyset_same(v->keys, z->keys);
    pthread_mutex_unlock(&z->lock);
}

static bool parent_take(struct zone_keys *zk)
{
    pthread_mutex_lock(&zk->lock);
    struct parent_view *v = zk->view;
    zk->view = NULL;
    pthread_mutex_unlock(&zk->lock);
    bool known = v && v->complete;
    if (known) {
        struct rrset all = parent_set_rrset(&v->all), any = parent_set_rrset(&v->any);
        bool kept = keyring_fact_parent(zk->store.ring,
                                        &(struct keyring_parent){.all = v->all.n ? &all : NULL,
                                                                 .any = v->any.n ? &any : NULL,
                                                                 .ttl = v->any.ttl,
                                                                 .time = keyring_time_now()});
        if (!kept)
            log_warn(
                "a DS that was at the parent is no longer on all of its servers: what waits for "
                "it waits anew",
                LOG_KV("zone", LOG_S(zk->zone->text)));
    }
    parent_view_unref(v);
    return known;
}

/* ---- what people are told
 * --------------------------------------------------------------------------------- */

static void tell_steps(const struct zone_keys *zk, const struct keyring_plan *plan)
{
    for (unsigned i = 0; i < plan->nevents; i++) {
        const struct keyring_event *e = &plan->event[i];
        log_line(e->kind == EVENT_SET_BACK ? LOG_WARN : LOG_NOTICE, keyring_event_text(e->kind),
                 (const struct log_pair[]){
                     LOG_KV("zone", LOG_S(zk->zone->text)),
                     LOG_KV("role", LOG_S(keyring_role_text(e->role))),
                     LOG_KV("algorithm", LOG_S(dnssec_algorithm_text(e->algorithm))),
                     LOG_KV("key", LOG_U(e->tag)),
                     {0}});
    }
}

static void tell_missing(struct zone_keys *zk)
{
    bool missing = zk->store.missing > 0;
    if (missing && !zk->told_missing)
        log_warn("private keys cannot be had: what is signed is served on, but new signatures by "
                 "them cannot be made",
                 LOG_KV("zone", LOG_S(zk->zone->text)), LOG_KV("keys", LOG_U(zk->store.missing)),
                 LOG_KV("why", LOG_S(zk->store.missing_why.text)));
    if (!missing && zk->told_missing)
        log_notice("all private keys are there again", LOG_KV("zone", LOG_S(zk->zone->text)));
    zk->told_missing = missing;
}

static void tell_failed(struct zone_keys *zk, const struct why *why)
{
    if (why && !zk->told_failed)
        log_warn("the zone's keys cannot be looked after: they stay as they are, and it is tried "
                 "again",
                 LOG_KV("zone", LOG_S(zk->zone->text)), LOG_KV("why", LOG_S(why->text)));
    if (!why && zk->told_failed)
        log_notice("the zone's keys are looked after again", LOG_KV("zone", LOG_S(zk->zone->text)));
    zk->told_failed = why != NULL;
}

static void tell_offline(struct zone_keys *zk, const struct why *why)
{
    if (why && !zk->told_offline)
        log_warn("the sets that an offline KSK has signed cannot be read: those that were good "
                 "before stay",
                 LOG_KV("zone", LOG_S(zk->zone->text)), LOG_KV("why", LOG_S(why->text)));
    if (!why && zk->told_offline)
        log_notice("the sets that an offline KSK has signed are read again",
                   LOG_KV("zone", LOG_S(zk->zone->text)));
    zk->told_offline = why != NULL;
}

/* The DS has not come, or not gone, for a day. */
static void tell_waiting(struct zone_keys *zk, bool waits, int64_t tick)
{
    if (!waits) {
        zk->waiting_since = zk->alarmed = -1;
        return;
    }
    if (zk->waiting_since < 0)
        zk->waiting_since = zk->alarmed = tick;
    if (tick - zk->alarmed < ALARM_EVERY_S)
        return;
    zk->alarmed = tick;
    log_warn("the parent does not have the DS that it should have: see `weir dnssec`",
             LOG_KV("zone", LOG_S(zk->zone->text)),
             LOG_KV("waiting_s", LOG_I(tick - zk->waiting_since)));
}

/* ---- the turn
 * --------------------------------------------------------------------------------------------- */

struct needs {
    bool moving, parent;
};

static struct needs needs_of(const struct keyring *ring)
{
    struct needs n = {0};
    for (unsigned i = 0; i < ring->n; i++) {
        const struct keyring_key *k = &ring->key[i];
        const struct keyring_cell *cell[] = {&k->dnskey, &k->zone, &k->ds};
        if (k->state == KEY_REMOVED)
            continue;
        for (int j = 0; j < 3; j++) {
            bool moves = cell[j]->state == CELL_COMING || cell[j]->state == CELL_GOING;
            n.moving |= moves;
            n.parent |= moves && j == 2 && cell[j]->at < 0;
        }
    }
    return n;
}

struct plans {
    struct keyring_plan ring;
    struct signers_plan signers;
};

/* What the guard is told of DS (zone_guard.h), before there is a version for it to judge. */
static void ds_tell(struct zone_keys *zk)
{
    const struct keyring *ring = zk->store.ring;
    struct keyset *set = keyset_new(ring->n, 0, 0);
    for (unsigned i = 0; i < ring->n; i++)
        set->key[i] = (struct keyset_key){.rdata = mem_dup(ring->key[i].rdata, ring->key[i].len),
                                          .len = ring->key[i].len,
                                          .ds = ring->key[i].ds.state != CELL_ABSENT};
    keyset_seal(set);
    pthread_mutex_lock(&zk->lock);
    struct keyset *before = zk->ds;
    zk->ds = set;
    pthread_mutex_unlock(&zk->lock);
    keyset_unref(before);
}

static int turn_locked(struct zone_keys *zk, const struct zone_conf *conf, struct plans *plan,
                       struct why *why)
{
    struct seen seen;
    bool told = parent_take(zk);
    facts_gather(zk, &seen);
    int64_t tick = seen.facts.time.tick;
    zone_book_step(zk->book, zk->zone, &zk->store, conf, &seen.facts, seen.version, &plan->signers);
    seen.facts.others = zk->store.book ? signers_others(zk->store.book) : NULL;
    int err = keyring_store_step(&zk->store, &conf->keys.policy, &seen.facts, &plan->ring, why);
    version_unref(seen.version);
    bool write = plan->ring.changed || plan->signers.changed || told || zk->saved < 0 ||
                 tick - zk->saved >= CLOCK_SAVE_S;
    if (!err && write) {
        err = keyring_store_save(&zk->store, why);
        zk->saved = tick;
    }
    if (err) {
        keyring_store_forget(&zk->store);
        return err;
    }
    struct keyset *keys;
    struct why offline;
    bool bad = keyring_store_keyset(&zk->store, conf, &keys, &offline);
    tell_offline(zk, bad ? &offline : NULL);
    ds_tell(zk);
    zone_set_keys(zk->zone, keys);
    keyset_unref(keys);
    return 0;
}

static int64_t sooner(int64_t a, int64_t b)
{
    return !a || (b && b < a) ? b : a;
}

static void turn_end(struct zone_keys *zk, const struct plans *plan, int err)
{
    struct needs needs = {.moving = true};
    int64_t in = RETRY_S, tick = keyring_time_now().tick;
    if (!err) {
        needs = needs_of(zk->store.ring);
        in = sooner(plan->ring.wake_in, plan->signers.wake_in);
        if (needs.moving || zk->store.book)
            in = sooner(in, CLOCK_SAVE_S);
        if (zk->store.offline.n)
            in = sooner(in, CLOCK_SAVE_S); /* its file may be another */
        if (zk->store.missing || zk->told_offline)
            in = sooner(in, RETRY_S);
        tell_waiting(zk, needs.parent, tick);
        zone_parent_want(zk->zone, needs.parent || plan->signers.ask_parent);
        zone_parent_want_ns(zk->zone, plan->signers.ask_parent_ns);
        zone_signers_want(zk->zone, plan->signers.ask_signers);
        zone_book_end(zk->book, zk->store.book);
    }
    pthread_mutex_lock(&zk->lock);
    zk->idle = !needs.moving && !zk->store.book;
    zk->due = in ? tick + in : 0;
    pthread_mutex_unlock(&zk->lock);
}

/* The zone's owner signs it: there are no keys of ours, only sets that take the place of his. */
static void turn_given(struct zone_keys *zk, const struct keys_conf *conf)
{
    struct keyset *keys;
    struct why why;
    bool bad = keyring_store_given(&zk->store, conf, &keys, &why);
    tell_offline(zk, bad ? &why : NULL);
    zone_set_keys(zk->zone, keys);
    keyset_unref(keys);
    pthread_mutex_lock(&zk->lock);
    zk->idle = true;
    zk->due =
        keyring_time_now().tick + (bad ? RETRY_S : CLOCK_SAVE_S); /* its file may be another */
    pthread_mutex_unlock(&zk->lock);
}

static void turn(struct zone_keys *zk)
{
    struct zone *z = zk->zone;
    struct why why;
    struct plans plan = {0};
    pthread_mutex_lock(&z->lock);
    struct config *config = config_ref(atomic_load(&z->config)->config);
    pthread_mutex_unlock(&z->lock);
    const struct zone_conf *conf = config_zone(config, z->name);
    bool signs = conf && conf->signs, kept = signs || (conf && conf->prepares);
    int err = kept ? keyring_store_lock(&zk->store, true, LOCK_WAIT_MS, &why) : 0;
    if (!err && kept) {
        err = turn_locked(zk, conf, &plan, &why);
        keyring_store_unlock(&zk->store);
    }
    if (!signs && conf && conf->rekeys)
        turn_given(zk, &conf->keys);
    config_unref(config);
    if (!kept)
        return;
    tell_failed(zk, err ? &why : NULL);
    if (!err) {
        tell_missing(zk);
        if (signs) /* else they do nothing yet, whatever they are ready for */
            tell_steps(zk, &plan.ring);
        zone_book_tell(z, &plan.signers);
    }
    turn_end(zk, &plan, err);
}

void zone_keys_open(struct zone_keys *zk)
{
    turn(zk);
}

static void keys_job(struct job *job)
{
    struct zone_keys *zk = (struct zone_keys *)(void *)job;
    struct zone *z = zk->zone;
    struct zone_shared *shared = zk->shared;
    turn(zk);
    if (shared->listen)
        shared->listen(shared->listen_ctx, &(struct zone_event){.zone = z, .outcome = ZONE_KEYS});
    pthread_mutex_lock(&zk->lock);
    bool again = zk->again && !zone_retired(z);
    zk->again = false;
    zk->queued = again;
    pthread_mutex_unlock(&zk->lock);
    if (again) {
        pool_submit(shared->pool, &zk->job);
        return;
    }
    zone_unref(z);
    zone_shared_leave(shared);
}

static void queue(struct zone_keys *zk)
{
    pthread_mutex_lock(&zk->lock);
    bool submit = !zk->queued;
    zk->again = !submit;
    zk->queued = true;
    pthread_mutex_unlock(&zk->lock);
    if (!submit)
        return;
    zone_ref(zk->zone);
    zone_shared_enter(zk->shared);
    pool_submit(zk->shared->pool, &zk->job);
}

void zone_keys_turn(struct zone *z, bool after_version)
{
    struct zone_keys *zk = z->ring;
    if (!zk || zone_retired(z))
        return;
    pthread_mutex_lock(&zk->lock);
    bool skip = after_version && zk->idle;
    pthread_mutex_unlock(&zk->lock);
    if (!skip)
        queue(zk);
}

void zone_keys_parent(struct zone *z, const struct parent_view *view)
{
    struct zone_keys *zk = z->ring;
    if (!zk || !view->complete)
        return;
    pthread_mutex_lock(&zk->lock);
    struct parent_view *before = zk->view;
    zk->view = parent_view_ref(view);
    pthread_mutex_unlock(&zk->lock);
    parent_view_unref(before);
    zone_keys_turn(z, false);
}

void zone_keys_signer(struct zone *z, const struct signer_view *view)
{
    struct zone_keys *zk = z->ring;
    if (!zk)
        return;
    zone_book_view(zk->book, view);
    zone_keys_turn(z, false);
}

struct signers *zone_signers_book(struct zone *z)
{
    struct zone_keys *zk = z->ring;
    return zk ? zone_book_copy(zk->book, z->name) : NULL;
}

struct keyset *zone_keys_ds(struct zone *z)
{
    struct zone_keys *zk = z->ring;
    if (!zk)
        return NULL;
    pthread_mutex_lock(&zk->lock);
    struct keyset *ds = zk->ds ? keyset_ref(zk->ds) : NULL;
    pthread_mutex_unlock(&zk->lock);
    return ds;
}

bool zone_keys_need(struct zone *z, struct zone_keys_need *out)
{
    struct zone_keys *zk = z->ring;
    if (!zk)
        return false;
    int64_t tick = keyring_time_now().tick;
    pthread_mutex_lock(&zk->lock);
    *out = (struct zone_keys_need){.wake_in = zk->due ? zk->due - tick : 0};
    if (zk->due && out->wake_in < 1)
        out->wake_in = 1;
    pthread_mutex_unlock(&zk->lock);
    return true;
}
