/* A version's layers, there and back.
 *
 *   input = layer 0 ─▶ check ─▶ check ─▶ changing = layer 1 ─▶ check ─▶ changing = layer 2, served
 *
 * A layer's change is found by comparing it with the same layer of the version before, which costs what is not shared. If that version
 * had other layers (another chain), the journal makes images; the change of what is served is told all the same, for the history. */
#include "pipeline/run/zone_journal.h"

#include "pipeline/base/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

struct layers {
    unsigned n;
    struct snapshot *snapshot[JOURNAL_LAYERS_MAX];
    unsigned of_stage[JOURNAL_STAGES_MAX];
};

/* A stage that changes records has an output of its own, unless it had nothing to change. */
static struct layers layers_of(const struct version *v)
{
    struct layers l = {.n = 1, .snapshot = {v->input}};
    ASSERT(v->n <= JOURNAL_STAGES_MAX);
    for (unsigned i = 0; i < v->n; i++) {
        if (v->result[i].out != l.snapshot[l.n - 1]) {
            ASSERT(l.n < JOURNAL_LAYERS_MAX);
            l.snapshot[l.n++] = v->result[i].out;
        }
        l.of_stage[i] = l.n - 1;
    }
    /* Restored under another chain: what is served is all that is known beside the input. */
    if (l.snapshot[l.n - 1] != v->served)
        l.snapshot[l.n++] = v->served;
    return l;
}

bool zone_journal_waits(struct zone *z)
{
    if (!z->journal)
        return false;
    return !zone_run_async(z) || journal_behind(z->journal) || !rcu_read(&z->version);
}

void zone_journal_ahead(struct zone *z, const struct snapshot *input)
{
    if (z->journal)
        journal_ahead(z->journal, input);
}

void zone_journal_ahead_drop(struct zone *z)
{
    if (z->journal)
        journal_ahead_drop(z->journal);
}

void zone_journal_accept(struct zone *z, const struct version *before, const struct version *v,
                         const struct changeset *served, bool unhold, journal_done_fn *done,
                         void *ctx)
{
    if (!z->journal)
        return;
    struct layers now = layers_of(v), was = before ? layers_of(before) : (struct layers){0};
    struct journal_layer_change change[JOURNAL_LAYERS_MAX];
    struct changeset *made[JOURNAL_LAYERS_MAX] = {NULL};
    bool same = before != NULL && was.n == now.n;
    bool changed = !same;
    for (unsigned i = 0; i < now.n; i++) {
        change[i] = (struct journal_layer_change){now.snapshot[i], NULL};
        if (i + 1 == now.n && before)
            change[i].delta = served; /* for the history, whatever the layers are */
        else if (same)
            change[i].delta = made[i] = changeset_between(was.snapshot[i], now.snapshot[i]);
        changed |= same && change[i].delta->n > 0;
    }
    struct journal_accept what = {
        .version = v,
        .nlayers = now.n,
        .layer = change,
        .stage_layer = now.of_stage,
        .history = v->history ? v->history->n : 0,
        .by_time = !changed,
        .unhold = unhold,
        .done = done,
        .ctx = ctx,
    };
    journal_accept(z->journal, &what);
    for (unsigned i = 0; i < now.n; i++)
        changeset_unref(made[i]);
}

struct changeset *zone_journal_held(struct zone *z, const struct candidate *held)
{
    struct version *v = z->journal ? zone_version(z) : NULL;
    if (!v)
        return NULL; /* without a version there is nothing to tell it by; it will be fetched again */
    struct changeset *input = changeset_between(v->input, held->version->input);
    version_unref(v);
    return input;
}

void zone_journal_hold(struct zone *z, const struct changeset *input, const char *origin)
{
    if (input)
        journal_hold(z->journal, input, origin);
}

void zone_journal_unhold(struct zone *z)
{
    if (z->journal)
        journal_unhold(z->journal);
}

void zone_timers_keep(struct zone *z)
{
    if (!z->journal)
        return;
    pthread_mutex_lock(&z->lock);
    time_t checked_at = z->checked_at, expires_at = atomic_load(&z->expires_at);
    pthread_mutex_unlock(&z->lock);
    journal_timers(z->journal, checked_at, expires_at);
}

/* ---- restart ---- */

/* The chain is another one than then. What was accepted is served until it has been judged by this one. */
static struct version *version_of_another_chain(const struct journal_loaded *l)
{
    struct chain *none = chain_new(0, 0);
    struct version *v = version_restore(none, l->input, l->served, l->origin);
    chain_unref(none);
    v->findings = findings_new(0);
    findings_close(v->findings);
    v->accepted_at = l->accepted_at;
    v->good_until = l->good_until;
    v->serve_until = l->serve_until;
    return v;
}

static struct history *history_restore(const struct journal_loaded *l,
                                       const struct history_limits *limits)
{
    struct history *h = NULL;
    for (size_t i = 0; i < l->nchanges; i++) {
        const struct changeset *c = l->change[i].changes;
        if (!c->has_from || c->n == 0)
            continue;
        if (h && h->step[h->n - 1].changes->to != c->from) {
            history_unref(h);
            h = NULL;
        }
        struct history *next = history_append(h, c, l->served, l->change[i].at, limits);
        history_unref(h);
        h = next;
    }
    return h;
}

/* Whatever the clock did since, a zone is not expired for longer than it would be, nor served for longer. */
static void timers_restore(struct zone *z, const struct journal_loaded *l)
{
    time_t now = time(NULL);
    z->checked_at = l->checked_at > now ? now : l->checked_at;
    time_t expires_at = l->expires_at;
    if (l->checked_at > now && expires_at)
        expires_at -= l->checked_at - now;
    atomic_store(&z->expires_at, expires_at);
    atomic_store(&z->expired, expires_at && expires_at <= now);
}

struct zone_restored zone_journal_restore(struct zone *z, const struct chain *chain,
                                          const struct history_limits *limits)
{
    struct zone_restored r = {.version = NULL};
    struct journal_loaded *l;
    struct why why;
    if (journal_load(z->journal, z->family, chain, &l, &why))
        return r;
    bool other = !l->version;
    r.version = other ? version_of_another_chain(l) : version_ref(l->version);
    r.version->history = history_restore(l, limits);
    r.held = l->held ? snapshot_ref(l->held) : NULL;
    memcpy(r.held_origin, l->held_origin, sizeof r.held_origin);
    r.caches = l->caches;
    r.caches_len = l->caches_len;
    l->caches = NULL;
    timers_restore(z, l);
    log_info(other ? "version restored from the journal; the chain has changed since, so it is "
                     "judged again"
                   : "version restored from the journal",
             LOG_KV("zone", LOG_S(z->text)), LOG_KV("serial", LOG_U(r.version->soa.serial)),
             LOG_KV("names", LOG_U(l->served->names)), LOG_KV("records", LOG_U(l->served->records)),
             LOG_KV("ixfr_history", LOG_U(r.version->history ? r.version->history->n : 0)),
             LOG_KV("accepted_at", LOG_I(l->accepted_at)),
             LOG_KV("expired", LOG_U(atomic_load(&z->expired))));
    journal_loaded_free(&l);
    return r;
}
