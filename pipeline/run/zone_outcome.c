/* What becomes of a candidate.
 *
 *        verdict ─┬─ pass ───▶ version_accept ─▶ journal ─▶ accept_publish: the pointer swap
 *                 ├─ hold ───▶ parked: approve publishes it, a newer input replaces it
 *                 └─ retry, reject ▶ on record, with findings; the version stays
 *
 * The version pointer changes under the zone's lock and in one function only, accept_publish. The version that was replaced is
 * dropped by rcu_defer, when no query can still read it.
 */
#include "pipeline/run/zone_run_p.h"

#include "pipeline/base/log.h"
#include "pipeline/run/zone_guard.h"
#include "pipeline/run/zone_journal.h"
#include "pipeline/zone/transfer.h"

#include <stdio.h>
#include <string.h>

enum { LOGGED_FINDINGS = 10 };

/* known: what was told before, or NULL. */
static void log_findings(const struct zone *z, const struct candidate *c, enum log_level level,
                         enum verdict least, const struct findings *known)
{
    size_t shown = 0, wanted = 0, old = 0;
    for (int v = STAGE_REJECT; v >= (int)least; v--)
        for (size_t i = 0; i < c->findings->n; i++) {
            const struct finding *f = &c->findings->list[i];
            if (f->verdict != (enum verdict)v)
                continue;
            if (known && findings_has(known, f)) {
                old++;
                continue;
            }
            if (wanted++ >= LOGGED_FINDINGS)
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
    if (all > shown + old)
        log_line(level, "more findings are kept for `weir status ZONE --findings`",
                 (const struct log_pair[]){LOG_KV("zone", LOG_S(z->text)),
                                           LOG_KV("serial", LOG_U(c->serial)),
                                           LOG_KV("more", LOG_U(all - shown - old)),
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

/* A held candidate stays, to be judged beside the version that is accepted now. */
static bool held_stays(const struct candidate *held, const struct candidate *accepted, bool woken)
{
    return woken || in_question(held, accepted->origin, accepted->serial);
}

/* With the lock held. The caller frees what comes back. */
static struct candidate *take_refused(struct zone *z)
{
    struct candidate *c = z->refused;
    z->refused = NULL;
    atomic_store(&z->has_refused, false);
    return c;
}

static void tell(struct zone_run *run, enum zone_outcome outcome, uint32_t serial)
{
    struct zone_event event = {.zone = run->zone, .outcome = outcome, .serial = serial};
    if (run->shared->listen)
        run->shared->listen(run->shared->listen_ctx, &event);
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
    zone_guard_accepted(z, v);

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
    log_findings(z, c, by_time ? LOG_WARN : LOG_INFO, STAGE_PASS,
                 by_time && old ? old->findings : NULL);
    if (old)
        rcu_defer(&old->rcu, drop_version);
    candidate_free(&refused);
    if (!held)
        return;
    if (held_stays(held, c, woken)) {
        /* It was made beside the version that was just replaced: judge it beside the new one. */
        run_judge_beside(z, held->version->input, held->origin);
    } else {
        log_notice("held version is superseded", LOG_KV("zone", LOG_S(z->text)),
                   LOG_KV("serial", LOG_U(held->serial)), LOG_KV("by", LOG_U(v->soa.serial)));
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

/* Into the journal, and then to where everybody sees it. */
static bool version_accept(struct zone *z, struct candidate **cp, time_t now, bool woken,
                           bool was_held)
{
    struct candidate *c = *cp;
    struct version *v = candidate_take(c), *before = zone_version(z);
    *cp = NULL;
    v->accepted_at = now;
    pthread_mutex_lock(&z->lock);
    struct history_limits limits = z->run->history;
    bool unhold = was_held || (z->held && !held_stays(z->held, c, woken));
    pthread_mutex_unlock(&z->lock);
    v->history = history_next(before, v, c->changes, &limits);
    zone_guard_keep(z, v);
    bool wait = zone_journal_waits(z);
    if (wait)
        z->run->accepting = (struct accepting){c, v, woken};
    zone_journal_accept(z, before, v, c->changes, unhold, wait ? accept_kept : NULL, z->run);
    version_unref(before);
    if (wait)
        return false;
    uint32_t serial = c->serial;
    accept_publish(z, v, c, woken);
    candidate_free(&c);
    tell(z->run, ZONE_ACCEPTED, serial);
    return true;
}

bool outcome_approve(struct zone *z, struct candidate **c, time_t now)
{
    return version_accept(z, c, now, false, true);
}

void outcome_approval_void(const struct zone *z)
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
    log_findings(z, c, LOG_WARN, STAGE_HOLD, NULL);
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
        outcome_approval_void(z);
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
    log_findings(z, c, LOG_WARN, STAGE_HOLD, NULL);
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

/* What would hold it is what was found of the version that is served, too: the operator has said yes to that, and nothing but time
 * has passed since. Else a zone that is signed here would wait for him at each renewal of signatures, until they have ended. */
static bool hold_was_approved(struct zone *z, const struct candidate *c)
{
    struct version *v = zone_version(z);
    size_t known = 0;
    pthread_mutex_lock(&z->lock);
    bool same_policy = v && v->findings && v->chain == z->run->chain;
    pthread_mutex_unlock(&z->lock);
    for (size_t i = 0; same_policy && i < c->findings->n; i++)
        known += c->findings->list[i].verdict == STAGE_HOLD &&
                 findings_has(v->findings, &c->findings->list[i]);
    version_unref(v);
    return same_policy && known == c->findings->by_verdict[STAGE_HOLD];
}

bool outcome_settle(struct zone *z, struct candidate **c, time_t now, bool woken)
{
    enum zone_outcome outcome = ZONE_REFUSED;
    uint32_t serial = (*c)->serial;
    switch ((*c)->verdict) {
    case STAGE_PASS:
        return version_accept(z, c, now, woken, false);
    case STAGE_HOLD:
        if (woken && hold_was_approved(z, *c))
            return version_accept(z, c, now, woken, false);
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
void outcome_unchanged(struct zone *z, const char *origin, uint32_t serial)
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
    tell(z->run, ZONE_UNCHANGED, serial);
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
