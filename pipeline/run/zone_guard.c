/* Between a zone's runs and the memory of what resolvers may have.
 */
#include "pipeline/run/zone_guard_p.h"

#include "pipeline/base/log.h"
#include "pipeline/run/keyring_store.h"
#include "pipeline/run/zone_keys.h"
#include "pipeline/run/zone_parent.h"
#include "pipeline/run/zone_run_p.h"

#include <string.h>

/* In the order of enum caches_code. */
enum { GUARD_ENDS = CACHES_CODES };
#define HELP_KEYS                                                                                  \
    "Resolvers put DNSKEY sets and signatures from their caches together with new ones. `weir "    \
    "dnssec ZONE modes` has the steps; the version waits, and goes out by itself when all of "     \
    "them are done. `weir approve` publishes it all the same."
#define HELP_DS                                                                                    \
    "The DS at the parent, and those that caches still have, must lead to a key that signs the "   \
    "zone's DNSKEY set. `weir dnssec ZONE modes` has the steps; `weir approve` publishes the "     \
    "version all the same."
static const struct finding_type guard_findings[] = {
    [POINT_SIGNER_UNSEEN] = {"signer-unseen", STAGE_HOLD, "{text}", HELP_KEYS},
    [POINT_SIGNER_WITHDRAWN] = {"signer-withdrawn", STAGE_HOLD, "{text}", HELP_KEYS},
    [POINT_FOREIGN_WITHDRAWN] = {"foreign-withdrawn", STAGE_HOLD, "{text}", HELP_KEYS},
    [POINT_ALGORITHM_NEW] = {"algorithm-new", STAGE_HOLD, "{text}", HELP_KEYS},
    [POINT_ALGORITHM_LOST] = {"algorithm-lost", STAGE_HOLD, "{text}", HELP_KEYS},
    [POINT_DS_UNMATCHED] = {"ds-unmatched", STAGE_HOLD, "{text}", HELP_DS},
    [POINT_DS_UNKNOWN] = {"ds-unknown", STAGE_HOLD, "{text}", HELP_DS},
    [POINT_UNSIGNED] = {"goes-unsigned", STAGE_HOLD, "{text}", HELP_DS},
    [POINT_TOO_MANY] = {"too-many-keys", STAGE_HOLD, "{text}", HELP_KEYS},
    [GUARD_ENDS] = {"served-ends", STAGE_PASS,
                    "signatures of the version that is served end in {n0} s, and it waits for this "
                    "one",
                    "While a switch is held nothing makes new signatures. Go back to the mode "
                    "that the zone had, or have the version published."},
    {NULL, STAGE_PASS, NULL, NULL},
};
static const struct stage_type guard_stage = {.name = "transition",
                                              .summary = "changes of who signs a zone",
                                              .flags = STAGE_CHECK_ONLY,
                                              .findings = guard_findings};
enum { ENDS_SOON_S = 86400 };

/* Takes what f holds. NULL: nothing waits. */
static void waiting_set(struct zone_guard *g, const struct facts *f)
{
    if (g->waiting)
        guard_facts_clear(g->waiting);
    mem_free(&g->waiting);
    g->waiting = f ? mem_dup(f, sizeof *f) : NULL;
}

struct zone_guard *zone_guard_new(struct zone *z)
{
    (void)z;
    struct zone_guard *g = mem_zalloc(sizeof *g);
    pthread_mutex_init(&g->lock, NULL);
    g->caches = caches_new();
    return g;
}

void zone_guard_free(struct zone_guard **g)
{
    waiting_set(*g, NULL);
    caches_free(&(*g)->caches);
    pthread_mutex_destroy(&(*g)->lock);
    mem_free(g);
}

/* ---- facts
 * ----------------------------------------------------------------------------------------------- */

void guard_facts_clear(struct facts *f)
{
    node_unref(f->apex);
    keyset_unref(f->own);
    mem_free(&f->room);
    *f = (struct facts){.apex = NULL};
}

static enum caches_world world_of(const struct chain *c)
{
    if (chain_signs(c))
        return chain_has(c, "multisigner") ? WORLD_SHARED : WORLD_OURS;
    if (chain_has(c, "rekey"))
        return WORLD_REKEYED;
    return chain_has(c, "strip") ? WORLD_STRIPPED : WORLD_PASSED;
}

static void id_add(struct caches_id *ids, unsigned *n, uint16_t tag, uint8_t algorithm)
{
    for (unsigned i = 0; i < *n; i++)
        if (ids[i].tag == tag && ids[i].algorithm == algorithm)
            return;
    if (*n < CACHES_SIGNERS_MAX)
        ids[(*n)++] = (struct caches_id){tag, algorithm};
}

/* Who signs what is at the apex: with every version that has another serial, each key that signs what changes is among them. */
static void apex_signers(const struct node *apex, struct caches_version *out)
{
    struct rrset set;
    struct rdata r;
    struct rrsig sig;
    for (unsigned i = 0; i < apex->nrrsets; i++) {
        node_rrset_at(apex, i, &set);
        out->ttl_max = set.ttl > out->ttl_max ? set.ttl : out->ttl_max;
        if (set.type != RR_RRSIG || set.covered == RR_CDS || set.covered == RR_CDNSKEY)
            continue;
        bool keys = set.covered == RR_DNSKEY;
        for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &r);)
            if (rrsig_parse(r.data, r.len, &sig))
                id_add(keys ? out->ksk : out->signer, keys ? &out->nksk : &out->nsigners, sig.tag,
                       sig.algorithm);
    }
}

/* A KSK beside ZSKs, whose signatures that are counted are those over CDS and CDNSKEY. */
static bool signs_cds_only(const struct caches_version *v, const struct key_use *use)
{
    struct rdata r;
    bool sep = false;
    for (const uint8_t *p = v->dnskey.rdata; rrset_next(&v->dnskey, &p, &r);)
        sep |= r.data[3] == use->algorithm && dnssec_key_tag(r.data, r.len) == use->tag &&
               get_u16(r.data) & DNSKEY_SEP;
    for (unsigned i = 0; i < v->nsigners; i++)
        if (v->signer[i].algorithm == use->algorithm && v->signer[i].tag != use->tag)
            return sep;
    return false;
}

void guard_facts_apex(const struct node *apex, const struct soa *soa, struct facts *out)
{
    struct caches_version *v = &out->v;
    out->apex = node_ref(apex);
    v->apex = node_name(apex);
    v->negative_ttl = soa->minimum < soa->ttl ? soa->minimum : soa->ttl;
    if (!node_rrset(apex, RR_DNSKEY, 0, &v->dnskey))
        v->dnskey = (struct rrset){.type = RR_DNSKEY};
    apex_signers(apex, v);
}

void guard_facts_of(const struct version *made, const struct snapshot *served, struct facts *out)
{
    struct soa soa;
    struct key_uses uses;
    *out = (struct facts){.own = made->keys ? keyset_ref(made->keys) : NULL};
    struct caches_version *v = &out->v;
    v->own = out->own;
    v->world = world_of(made->chain);
    bool has_soa = snapshot_soa(served, &soa);
    ASSERT(has_soa);
    guard_facts_apex(snapshot_apex(served), &soa, out);
    bool ours = v->world == WORLD_OURS || v->world == WORLD_SHARED;
    if (!(ours ? version_keys_used(made, &uses) : version_signed_by(made, &uses)))
        return;
    v->ttl_max = uses.ttl_max > v->ttl_max ? uses.ttl_max : v->ttl_max;
    for (unsigned i = 0; i < uses.n; i++)
        if (uses.use[i].signatures && !(!ours && signs_cds_only(v, &uses.use[i])))
            id_add(v->signer, &v->nsigners, uses.use[i].tag, uses.use[i].algorithm);
}

struct guard_zone guard_zone_of(struct zone *z)
{
    pthread_mutex_lock(&z->lock);
    struct config *config = config_ref(atomic_load(&z->config)->config);
    pthread_mutex_unlock(&z->lock);
    const struct zone_conf *conf = config_zone(config, z->name);
    struct guard_zone out = {.prepares = false};
    if (conf)
        out = (struct guard_zone){
            .policy = {.delay_s = conf->keys.policy.propagation_delay_s,
                       .ds_ttl_s = conf->keys.policy.ds_ttl_s,
                       .parent_known = conf->nparent > 0,
                       .parent_gap_s = 2 * conf->parent_check_s + 60},
            .prepares = conf->prepares,
        };
    config_unref(config);
    return out;
}

void guard_advance(struct zone *z, const struct keyset *ds)
{
    struct keyring_time now = keyring_time_now();
    caches_advance(z->guard->caches, &now);
    if (ds)
        caches_ring(z->guard->caches, ds);
}

/* ---- judged
 * ---------------------------------------------------------------------------------------------- */

/* Somebody wants to know what the parent has: a switch waits, or was not long ago, or is under way: the keys of others are there, or ours are. */
static bool parent_matters(const struct zone_guard *g, const struct guard_zone *conf)
{
    const struct caches *c = g->caches;
    bool mixed = conf->prepares;
    for (unsigned i = 0; i < c->nkeys; i++)
        mixed |=
            c->key[i].in && !c->key[i].own && (c->world == WORLD_OURS || c->world == WORLD_SHARED);
    return g->waiting || mixed || caches_settled_in(c, conf->policy.delay_s) > 0;
}

static void report(struct zone *z, const struct facts *f, const struct caches_plan *plan,
                   struct findings *findings)
{
    struct version *v = zone_version(z);
    time_t now = time(NULL);
    findings_stage(findings, &guard_stage, NULL, false);
    for (unsigned i = 0; i < plan->n; i++) {
        const struct caches_point *p = &plan->point[i];
        char text[POINT_TEXT_MAX];
        bool ds = p->step == STEP_PUBLISH_DS;
        if (p->met)
            continue;
        guard_point_text(p, z->guard->caches->world, f->v.world, text);
        finding_add(findings, p->code, f->v.apex, ds ? RR_DS : RR_DNSKEY, p->tag, p->in, text);
    }
    if (v && v->good_until && v->good_until - now < ENDS_SOON_S)
        finding_add(findings, GUARD_ENDS, f->v.apex, RR_RRSIG,
                    v->good_until > now ? v->good_until - now : 0, 0, NULL);
    version_unref(v);
}

/* With the guard's lock held, while something waits. Who could make new signatures is not asked to any more. */
static void tell_end(struct zone *z)
{
    struct zone_guard *g = z->guard;
    struct version *v = zone_version(z);
    time_t end = v ? v->good_until : 0, now = time(NULL);
    version_unref(v);
    if (!end || end - now >= ENDS_SOON_S || g->alarmed == end)
        return;
    g->alarmed = end;
    log_warn("signatures of what is served end, and a change of who signs waits: go back to the "
             "mode that the zone had, or `weir approve`",
             LOG_KV("zone", LOG_S(z->text)), LOG_KV("end_in_s", LOG_I(end - now)));
}

void zone_guard_judge(void *zone, const struct version *made, const struct snapshot *served,
                      struct findings *findings)
{
    struct zone *z = zone;
    struct zone_guard *g = z->guard;
    struct guard_zone conf = guard_zone_of(z);
    struct keyset *ds = zone_keys_ds(z);
    struct caches_plan plan;
    struct facts f;
    guard_facts_of(made, served, &f);
    pthread_mutex_lock(&g->lock);
    guard_advance(z, ds);
    caches_judge(g->caches, &f.v, &conf.policy, false, &plan);
    if (!plan.allowed)
        report(z, &f, &plan, findings);
    waiting_set(g, plan.allowed ? NULL : &f);
    if (plan.allowed)
        guard_facts_clear(&f);
    bool want = parent_matters(g, &conf);
    if (g->waiting)
        tell_end(z);
    pthread_mutex_unlock(&g->lock);
    keyset_unref(ds);
    zone_parent_want_guard(z, want);
}

void zone_guard_turned(struct zone *z)
{
    struct zone_guard *g = z->guard;
    pthread_mutex_lock(&g->lock);
    waiting_set(g, NULL);
    pthread_mutex_unlock(&g->lock);
}

void zone_guard_forced(const struct zone *z, const struct candidate *c)
{
    for (size_t i = 0; i < c->findings->n; i++) {
        const struct finding *f = &c->findings->list[i];
        if (f->stage == &guard_stage && f->verdict == STAGE_HOLD)
            log_warn("who signs the zone changes by the operator's word: resolvers may find it "
                     "bogus",
                     LOG_KV("zone", LOG_S(z->text)), LOG_KV("code", LOG_S(f->type->code)),
                     LOG_KV("what", LOG_S(f->text)));
    }
}

time_t zone_guard_due(struct zone *z)
{
    struct zone_guard *g = z->guard;
    struct guard_zone conf = guard_zone_of(z);
    struct keyset *ds = zone_keys_ds(z);
    struct caches_plan plan = {.in = -1};
    pthread_mutex_lock(&g->lock);
    guard_advance(z, ds);
    if (g->waiting)
        caches_judge(g->caches, &g->waiting->v, &conf.policy, false, &plan);
    bool due = g->waiting && (plan.allowed || plan.in >= 0);
    time_t at = due ? time(NULL) + (plan.allowed ? 0 : plan.in) : 0;
    struct version *v = g->waiting ? zone_version(z) : NULL;
    /* The alarm comes with a run. */
    if (v && v->good_until && v->good_until != g->alarmed &&
        (!at || v->good_until - ENDS_SOON_S + 1 < at))
        at = v->good_until - ENDS_SOON_S + 1;
    pthread_mutex_unlock(&g->lock);
    version_unref(v);
    keyset_unref(ds);
    return at;
}

/* ---- remembered
 * ------------------------------------------------------------------------------------------ */

static void observe(struct caches *c, const struct facts *f, const struct guard_zone *conf,
                    const struct keyset *ds)
{
    struct keyring_time now = keyring_time_now();
    caches_observe(c, &f->v, &now, conf->policy.delay_s);
    if (ds)
        caches_ring(c, ds);
}

void zone_guard_keep(struct zone *z, struct version *v)
{
    struct zone_guard *g = z->guard;
    struct guard_zone conf = guard_zone_of(z);
    struct keyset *ds = zone_keys_ds(z);
    struct growbuf out = {0};
    struct facts f;
    guard_facts_of(v, v->served, &f);
    pthread_mutex_lock(&g->lock);
    struct caches *c = caches_copy(g->caches);
    pthread_mutex_unlock(&g->lock);
    observe(c, &f, &conf, ds);
    if (caches_any(c))
        caches_save(c, &out);
    mem_free(&v->caches);
    v->caches = out.p;
    v->caches_len = out.len;
    caches_free(&c);
    keyset_unref(ds);
    guard_facts_clear(&f);
}

static void tell_switch(const struct zone *z, const struct caches *c, int64_t settled)
{
    log_notice("who signs the zone has changed", LOG_KV("zone", LOG_S(z->text)),
               LOG_KV("from", LOG_S(caches_world_text(c->before))),
               LOG_KV("to", LOG_S(caches_world_text(c->world))),
               LOG_KV("keys_of_before_stay_s", LOG_I(settled)));
}

void zone_guard_accepted(struct zone *z, const struct version *v)
{
    struct zone_guard *g = z->guard;
    struct guard_zone conf = guard_zone_of(z);
    struct keyset *ds = zone_keys_ds(z);
    struct facts f;
    guard_facts_of(v, v->served, &f);
    pthread_mutex_lock(&g->lock);
    int64_t before = g->caches->switched_at;
    observe(g->caches, &f, &conf, ds);
    if (g->caches->switched_at != before && g->caches->before != WORLD_UNKNOWN)
        tell_switch(z, g->caches, caches_settled_in(g->caches, conf.policy.delay_s));
    bool want = parent_matters(g, &conf);
    pthread_mutex_unlock(&g->lock);
    keyset_unref(ds);
    guard_facts_clear(&f);
    zone_parent_want_guard(z, want);
}

void zone_guard_restore(struct zone *z, const struct version *v, const uint8_t *caches, size_t len)
{
    struct zone_guard *g = z->guard;
    struct caches *kept = caches ? caches_load(caches, len) : NULL;
    if (kept) {
        caches_free(&g->caches);
        g->caches = kept;
        return;
    }
    struct guard_zone conf = guard_zone_of(z);
    struct facts f;
    guard_facts_of(v, v->served, &f);
    if (!v->chain->n) /* another chain's */
        f.v.world = WORLD_UNKNOWN;
    observe(g->caches, &f, &conf, NULL);
    guard_facts_clear(&f);
}

void zone_guard_parent(struct zone *z, const struct parent_view *view)
{
    struct zone_guard *g = z->guard;
    struct zone_shared *shared = z->run->shared;
    struct guard_zone conf = guard_zone_of(z);
    struct keyring_time now = keyring_time_now();
    if (!view->complete)
        return;
    pthread_mutex_lock(&g->lock);
    caches_parent(g->caches, view, &conf.policy, &now);
    bool waits = g->waiting != NULL;
    pthread_mutex_unlock(&g->lock);
    /* The timer looks when what waits is due now. */
    if (waits && shared->listen)
        shared->listen(shared->listen_ctx, &(struct zone_event){.zone = z, .outcome = ZONE_KEYS});
}
