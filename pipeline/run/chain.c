/* chain: one run, stage after stage.
 *
 * A run owns nothing that exists: it reads the accepted version, opens edits on the families of the
 * changing stages' last outputs, and puts all it makes into a fresh struct version. Whatever the
 * verdict, the way back is to drop that struct: references fall, snapshots die, families reap.
 * Hence there is no undo code.
 *
 * What a stage sees as `prev` is what the stage before it gave out at the last accepted run, by the
 * same chain. A version made by another chain (the operator changed the configuration) is no base
 * for stage states or deltas, so everything is judged from nothing; only the difference that goes
 * out to secondaries is still made against what was served.
 */
#include "pipeline/run/chain.h"

#include "pipeline/run/identity.h"
#include "pipeline/run/option.h"

#include <stdio.h>
#include <string.h>

enum { ORIGIN_MAX = sizeof((struct candidate *)0)->origin - 1 };

struct stage_state {
    _Atomic uint32_t refs;
    const struct stage_type *type;
    void *state;
};

/* What the chain itself finds. */
enum { CORE_NO_SOA, CORE_OUTPUT_NO_SOA, CORE_OUTPUT, CORE_IDENTITY };
static const struct finding_type core_findings[] = {
    [CORE_NO_SOA] = {"no-soa", STAGE_REJECT, "the zone has no SOA record at its apex",
                     "Every zone starts with one SOA record at its apex. The input is not a zone."},
    [CORE_OUTPUT_NO_SOA] =
        {"output-no-soa", STAGE_REJECT, "stage {text} took the SOA record away",
         "A stage of the chain removed the SOA record. Look at its configuration."},
    [CORE_OUTPUT] =
        {"output", STAGE_REJECT, "what a stage made cannot be put together: {text}",
         "A stage of the chain produced more than a zone can hold. Look at its configuration."},
    [CORE_IDENTITY] =
        {"identity", STAGE_REJECT, "stage {text}",
         "A stage that has to do with DNSSEC only made other changes to the zone. That is a fault "
         "of weir, not of the zone: please report it. What is served stays as it was."},
    {NULL, STAGE_PASS, NULL, NULL},
};
static const struct stage_type core_type = {.name = "chain",
                                            .summary = "the chain itself",
                                            .flags = STAGE_CHECK_ONLY,
                                            .findings = core_findings};

struct chain *chain_new(unsigned n, size_t keep_findings)
{
    struct chain *c = mem_zalloc(sizeof *c + n * sizeof c->stage[0]);
    c->refs = 1;
    c->n = n;
    c->keep_findings = keep_findings;
    return c;
}

struct chain *chain_ref(const struct chain *c)
{
    struct chain *kept = (struct chain *)(uintptr_t)c;
    atomic_fetch_add_explicit(&kept->refs, 1, memory_order_relaxed);
    return kept;
}

void chain_unref(struct chain *c)
{
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (unsigned i = 0; i < c->n; i++) {
        struct chain_stage *s = &c->stage[i];
        if (s->conf && s->type->conf_close)
            s->type->conf_close(s->conf);
        if (s->conf)
            option_conf_free(s->type->options, &s->conf);
        mem_free(&s->verdicts);
    }
    mem_free(&c);
}

bool chain_changes_records(const struct chain *c)
{
    for (unsigned i = 0; i < c->n; i++)
        if (!(c->stage[i].type->flags & STAGE_CHECK_ONLY))
            return true;
    return false;
}

static enum verdict stage_policy(const struct chain_stage *s, unsigned code)
{
    return s->verdicts ? s->verdicts[code] : s->type->findings[code].verdict;
}

static bool chain_stage_alike(const struct chain_stage *a, const struct chain_stage *b)
{
    if (a->type != b->type || a->observe != b->observe)
        return false;
    for (unsigned i = 0; a->type->findings && a->type->findings[i].code; i++)
        if (stage_policy(a, i) != stage_policy(b, i))
            return false;
    return true;
}

static bool chain_stage_same(const struct chain_stage *a, const struct chain_stage *b)
{
    return chain_stage_alike(a, b) && option_conf_equal(a->type->options, a->conf, b->conf);
}

static bool chain_stage_follows(const struct chain_stage *a, const struct chain_stage *b)
{
    return chain_stage_alike(a, b) &&
           option_conf_equal_but(a->type->options, a->type->later, a->conf, b->conf);
}

bool chain_same(const struct chain *a, const struct chain *b)
{
    if (a->n != b->n || a->keep_findings != b->keep_findings)
        return false;
    for (unsigned i = 0; i < a->n; i++)
        if (!chain_stage_same(&a->stage[i], &b->stage[i]))
            return false;
    return true;
}

char *chain_print(const struct chain *c, size_t *follows)
{
    struct growbuf out = {0};
    for (unsigned i = 0; i < c->n; i++) {
        const struct chain_stage *s = &c->stage[i];
        growbuf_put(&out, s->type->name, strlen(s->type->name));
        growbuf_u8(&out, s->observe ? '?' : '!');
        for (unsigned code = 0; s->type->findings && s->type->findings[code].code; code++)
            growbuf_u8(&out, (uint8_t)('0' + stage_policy(s, code)));
        growbuf_u8(&out, '{');
        option_conf_print(s->type->options, s->type->later, false, s->conf, &out);
        growbuf_u8(&out, '}');
    }
    growbuf_u8(&out, '\n');
    if (follows)
        *follows = out.len;
    for (unsigned i = 0; i < c->n; i++) {
        const struct chain_stage *s = &c->stage[i];
        option_conf_print(s->type->options, s->type->later, true, s->conf, &out);
        growbuf_u8(&out, ';');
    }
    growbuf_u8(&out, 0);
    return (char *)out.p;
}

static void stage_state_unref(struct stage_state *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (s->type->state_free)
        s->type->state_free(s->state);
    mem_free(&s);
}

struct version *version_ref(const struct version *v)
{
    struct version *kept = (struct version *)(uintptr_t)v;
    atomic_fetch_add_explicit(&kept->refs, 1, memory_order_relaxed);
    return kept;
}

void version_unref(struct version *v)
{
    if (!v || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (unsigned i = 0; i < v->n; i++) {
        snapshot_unref(v->result[i].out);
        stage_state_unref(v->result[i].state);
    }
    snapshot_unref(v->served);
    snapshot_unref(v->input);
    keyset_unref(v->keys);
    history_unref(v->history);
    findings_unref(v->findings);
    chain_unref(v->chain);
    mem_free(&v->caches);
    mem_free(&v);
}

static struct version *version_new(const struct chain *chain, const struct snapshot *input,
                                   const char *origin)
{
    struct version *v = NULL;
    size_t room = sizeof *v + chain->n * sizeof v->result[0], n = strnlen(origin, ORIGIN_MAX);
    v = mem_zalloc(room + n + 1);
    v->refs = 1;
    v->chain = chain_ref(chain);
    v->n = chain->n;
    v->input = snapshot_ref(input);
    v->origin = memcpy((char *)v + room, origin, n);
    return v;
}

struct version *version_restore(const struct chain *chain, const struct snapshot *input,
                                const struct snapshot *served, const char *origin)
{
    struct version *v = version_new(chain, input, origin);
    v->served = snapshot_ref(served);
    bool has_soa = snapshot_soa(served, &v->soa);
    ASSERT(has_soa);
    return v;
}

bool version_restore_stage(struct version *v, unsigned i, const struct snapshot *out,
                           const uint8_t *state, size_t len)
{
    const struct stage_type *type = v->chain->stage[i].type;
    struct stage_result *r = &v->result[i];
    r->out = snapshot_ref(out);
    void *loaded = state && type->state_load ? type->state_load(state, len) : NULL;
    if (!loaded)
        return !state;
    r->state = mem_zalloc(sizeof *r->state);
    *r->state = (struct stage_state){.refs = 1, .type = type, .state = loaded};
    return true;
}

void version_restore_later(struct version *v, time_t now)
{
    for (unsigned i = 0; i < v->n; i++)
        if (v->chain->stage[i].type->later)
            v->result[i].wake_at = now;
}

bool version_state_save(const struct version *v, unsigned i, uint8_t **octets, size_t *len)
{
    const struct stage_type *type = v->chain->stage[i].type;
    const struct stage_state *s = v->result[i].state;
    *octets = s && type->state_save ? type->state_save(s->state, len) : NULL;
    return !s || *octets;
}

/* Of two times, 0 being never. */
static time_t earlier(time_t a, time_t b)
{
    return !a || (b && b < a) ? b : a;
}

void version_times(struct version *v)
{
    for (unsigned i = 0; i < v->n; i++) {
        v->good_until = earlier(v->good_until, v->result[i].good_until);
        v->serve_until = earlier(v->serve_until, v->result[i].serve_until);
    }
}

time_t version_wake_at(const struct version *v)
{
    time_t first = 0;
    for (unsigned i = 0; i < v->n; i++)
        first = earlier(first, v->result[i].wake_at);
    return first;
}

bool version_keys_used(const struct version *v, struct key_uses *out)
{
    for (unsigned i = v->n; i-- > 0;) {
        const struct stage_type *type = v->chain->stage[i].type;
        if (!type->keys_used || !v->result[i].state)
            continue;
        *out = (struct key_uses){0};
        type->keys_used(v->result[i].state->state, out);
        return true;
    }
    return false;
}

/* As a stage that judged it has counted them; else as the stage that made them. */
bool version_signed_by(const struct version *v, struct key_uses *out)
{
    for (unsigned i = v->n; i-- > 0;) {
        const struct stage_type *type = v->chain->stage[i].type;
        *out = (struct key_uses){0};
        if (type->signed_by && v->result[i].state &&
            type->signed_by(v->result[i].state->state, out))
            return true;
    }
    return version_keys_used(v, out);
}

bool chain_signs(const struct chain *c)
{
    for (unsigned i = 0; i < c->n; i++)
        if (c->stage[i].type->keys_used)
            return true;
    return false;
}

bool chain_has(const struct chain *c, const char *stage)
{
    for (unsigned i = 0; i < c->n; i++)
        if (strcmp(c->stage[i].type->name, stage) == 0)
            return true;
    return false;
}

void candidate_free(struct candidate **c)
{
    if (!*c)
        return;
    version_unref((*c)->version);
    changeset_unref((*c)->changes);
    findings_unref((*c)->findings);
    mem_free(c);
}

struct version *candidate_take(struct candidate *c)
{
    ASSERT(c->version);
    struct version *v = c->version;
    c->version = NULL;
    return v;
}

/* One run's moving parts: what the next stage sees. */
struct run {
    const struct chain *chain;
    const struct version
        *base;       /* the accepted version if it has to do with this chain, else NULL */
    unsigned shared; /* of its stages, so many from the first are those of this chain */
    struct version *made;
    const struct soa *served; /* of the accepted version, whichever chain made it, or NULL */
    struct findings *findings;
    struct arena *scratch;
    const struct snapshot *prev; /* what the next stage saw last time; borrowed */
    struct snapshot *next;       /* what it sees now; held */
    struct changeset *delta;     /* held */
};

/* Of stage i; NULL: it was not there. */
static const struct stage_result *stage_last(const struct run *r, unsigned i)
{
    return i < r->shared ? &r->base->result[i] : NULL;
}

static const struct snapshot *stage_last_out(const struct run *r, unsigned i)
{
    return i < r->shared ? r->base->result[i].out : NULL;
}

/* Nothing that it made before counts: it was not there, or it was told otherwise. */
static bool stage_is_fresh(const struct run *r, unsigned i)
{
    return i >= r->shared || (r->base->chain != r->chain &&
                              !chain_stage_follows(&r->base->chain->stage[i], &r->chain->stage[i]));
}

/* whole: the last output is no base for this one, only what it is compared with. */
static struct edit *stage_edit_open(const struct run *r, unsigned i, bool whole)
{
    const struct snapshot *last = stage_last_out(r, i);
    if (last && !whole)
        return edit_open(last->family, last, last);
    struct family *family = family_beside(r->next->family);
    struct edit *e = edit_open(family, NULL, last);
    family_unref(family);
    return e;
}

static void core_finding(struct run *r, unsigned code, const uint8_t *owner, uint16_t type,
                         const char *text)
{
    findings_stage(r->findings, &core_type, NULL, false);
    finding_add(r->findings, code, owner, type, 0, 0, text);
}

/* A stage that should touch DNSSEC's records only, and did more? */
static bool stage_kept_data(struct run *r, unsigned i, const struct snapshot *made,
                            const struct changeset *delta)
{
    const struct stage_type *type = r->chain->stage[i].type;
    struct identity_breach breach;
    struct identity_versions versions = {
        .in = r->next,
        .out = made,
        .in_changes = r->delta,
        .out_changes = delta,
        .key_sets_only = type->flags & STAGE_KEY_SETS_ONLY,
        .joins = type->flags & STAGE_JOINS_NS ? r->made->keys : NULL,
    };
    if (!(type->flags & (STAGE_DNSSEC_ONLY | STAGE_KEY_SETS_ONLY)) ||
        identity_holds(&versions, &breach))
        return true;
    char text[96];
    snprintf(text, sizeof text, "%s: this set %s", type->name, breach.what);
    core_finding(r, CORE_IDENTITY, breach.owner, breach.type, text);
    return false;
}

/* Seals what a changing stage made and moves the run on to it. */
static bool stage_edit_close(struct run *r, unsigned i, struct edit **out)
{
    struct snapshot *made;
    struct changeset *delta;
    struct why why;
    struct soa soa;
    if (edit_seal(out, &made, &delta, &why)) {
        core_finding(r, CORE_OUTPUT, NULL, RR_SOA, why.text);
        return false;
    }
    bool kept = stage_kept_data(r, i, made, delta);
    r->made->result[i].out = made;
    r->prev = stage_last_out(r, i);
    snapshot_unref(r->next);
    r->next = snapshot_ref(made);
    changeset_unref(r->delta);
    r->delta = delta;
    if (!snapshot_soa(made, &soa)) {
        core_finding(r, CORE_OUTPUT_NO_SOA, NULL, RR_SOA, r->chain->stage[i].type->name);
        return false;
    }
    return kept;
}

static void stage_keep_state(struct run *r, unsigned i, void *state, const struct stage_state *last)
{
    if (!state)
        return;
    struct stage_state *kept;
    if (last && last->state == state) {
        kept = (struct stage_state *)(uintptr_t)last;
        atomic_fetch_add_explicit(&kept->refs, 1, memory_order_relaxed);
    } else {
        kept = mem_zalloc(sizeof *kept);
        kept->refs = 1;
        kept->type = r->chain->stage[i].type;
        kept->state = state;
    }
    r->made->result[i].state = kept;
}

/* A stage that has had nothing to change so far, and has nothing to change now? If it has, it begins from nothing (whole): what went
 * out so far was its input, in which it has no part. */
static bool stage_passes(const struct run *r, unsigned i, const struct stage_run *call, bool *whole)
{
    const struct stage_type *type = r->chain->stage[i].type;
    const struct snapshot *last = stage_last_out(r, i);
    bool passed = type->passes && last && last == r->prev;
    *whole |= passed;
    return type->passes && (!last || passed) && type->passes(call);
}

/* *all: what the call's delta is then; the caller holds it until the call is over. */
static void call_from_nothing(const struct run *r, struct stage_run *call, struct changeset **all)
{
    call->prev = NULL;
    if (r->prev && !*all)
        *all = changeset_between(NULL, r->next);
    if (*all)
        call->delta = *all;
}

static void stage_call(struct run *r, unsigned i, struct stage_run *call, bool whole)
{
    const struct chain_stage *s = &r->chain->stage[i];
    const struct stage_result *last = stage_last(r, i);
    if (!(s->type->flags & STAGE_CHECK_ONLY))
        call->out = stage_edit_open(r, i, whole);
    findings_stage(r->findings, s->type, s->verdicts, s->observe);
    s->type->run(call);
    struct stage_result *result = &r->made->result[i];
    stage_keep_state(r, i, call->next_state, last ? last->state : NULL);
    result->wake_at = call->wake_at;
    result->good_until = call->good_until;
    result->serve_until = call->serve_until;
    result->visited = call->visited;
    r->made->good_until = earlier(r->made->good_until, call->good_until);
    r->made->serve_until = earlier(r->made->serve_until, call->serve_until);
}

/* Runs stage i. False: the run ends here. */
static bool stage_run_one(struct run *r, unsigned i, const struct chain_input *input, time_t now,
                          struct par *par)
{
    bool fresh = stage_is_fresh(r, i), whole = fresh;
    const struct stage_result *last = fresh ? NULL : stage_last(r, i);
    void *state = last && last->state ? last->state->state : NULL;
    struct changeset *all = NULL;
    struct stage_run call = {
        .conf = r->chain->stage[i].conf,
        .state = state,
        .prev = r->prev,
        .next = r->next,
        .delta = r->delta,
        .now = now,
        .woken = input->woken && last && last->wake_at && now >= last->wake_at,
        .keys = input->keys,
        .served = r->served,
        .scratch = r->scratch,
        .par = par,
        .findings = r->findings,
        .next_state = state,
    };
    if (fresh)
        call_from_nothing(r, &call, &all);
    bool passes = stage_passes(r, i, &call, &whole);
    if (!passes) {
        if (whole)
            call_from_nothing(r, &call, &all);
        stage_call(r, i, &call, whole);
    }
    changeset_unref(all);
    if (passes) {
        r->made->result[i].out = snapshot_ref(r->next);
        return true;
    }
    arena_reset(r->scratch);
    if (findings_stage_verdict(r->findings) >= STAGE_RETRY) {
        edit_abort(&call.out);
        return false;
    }
    if (call.out)
        return stage_edit_close(r, i, &call.out);
    r->made->result[i].out = snapshot_ref(r->next);
    return true;
}

static struct changeset *input_delta(const struct version *base, const struct chain_input *input)
{
    const struct snapshot *prev = base ? base->input : NULL;
    if (input->changes && input->since == prev)
        return changeset_ref(input->changes);
    return changeset_between(prev, input->snapshot);
}

static int run_stages(struct run *r, const struct chain_input *input, time_t now, struct par *par)
{
    struct soa soa;
    if (!snapshot_soa(input->snapshot, &soa)) {
        core_finding(r, CORE_NO_SOA, NULL, RR_SOA, NULL);
        return 0;
    }
    for (unsigned i = 0; i < r->chain->n; i++)
        if (!stage_run_one(r, i, input, now, par))
            return (int)i;
    return -1;
}

static double seconds_since(const struct timespec *began)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)(t.tv_sec - began->tv_sec) + (double)(t.tv_nsec - began->tv_nsec) / 1e9;
}

static struct version *version_begin(const struct chain *chain, const struct chain_input *input)
{
    struct version *v = version_new(chain, input->snapshot, input->origin ? input->origin : "");
    v->keys = input->keys ? keyset_ref(input->keys) : NULL;
    return v;
}

/* So many stages at the head of both chains are of one type. */
static unsigned stages_shared(const struct chain *a, const struct chain *b)
{
    unsigned n = 0;
    while (n < a->n && n < b->n && a->stage[n].type == b->stage[n].type)
        n++;
    return n;
}

struct candidate *chain_run(const struct chain *chain, const struct version *prev,
                            const struct chain_input *input, time_t now, struct par *par)
{
    struct timespec began;
    clock_gettime(CLOCK_MONOTONIC, &began);
    unsigned shared = prev ? stages_shared(prev->chain, chain) : 0;
    const struct version *base = shared || (prev && prev->chain == chain) ? prev : NULL;
    struct run r = {
        .chain = chain,
        .base = base,
        .shared = shared,
        .served = prev ? &prev->soa : NULL,
        .made = version_begin(chain, input),
        .findings = findings_new(chain->keep_findings),
        .scratch = arena_new(),
        .prev = base ? base->input : NULL,
        .next = snapshot_ref(input->snapshot),
        .delta = input_delta(base, input),
    };
    struct candidate *c = mem_zalloc(sizeof *c);
    struct soa soa;
    c->has_serial = snapshot_soa(input->snapshot, &soa);
    c->serial = c->has_serial ? soa.serial : 0;
    c->woken = input->woken;
    snprintf(c->origin, sizeof c->origin, "%s", r.made->origin);

    c->stage = run_stages(&r, input, now, par);
    if (c->stage < 0 && input->judge)
        input->judge(input->judge_ctx, r.made, r.next, r.findings);
    findings_close(r.findings);
    findings_share(&r.findings);
    c->verdict = r.findings->verdict;
    c->findings = r.findings;
    if (c->verdict < STAGE_RETRY) {
        r.made->served = r.next;
        r.made->findings = findings_ref(r.findings);
        snapshot_soa(r.next, &r.made->soa);
        c->version = r.made;
        bool whole = prev && (!base || shared != chain->n ||
                              shared != prev->n); /* the last is no stage of both */
        c->changes = whole ? changeset_between(prev->served, r.next) : changeset_ref(r.delta);
    } else {
        snapshot_unref(r.next);
        version_unref(r.made);
    }
    changeset_unref(r.delta);
    arena_free(&r.scratch);
    c->seconds = seconds_since(&began);
    c->at = now;
    return c;
}
