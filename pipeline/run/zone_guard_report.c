/* A switch of who signs a zone, as steps: publish keys, publish DS, wait, switch, keep, remove. Each is a point of the judgement that the version
 * itself would get, so what is shown and what is refused are the same.
 */
#include "pipeline/run/zone_guard_p.h"

#include "pipeline/run/zone_keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { TIME_TEXT_MAX = 32, TAGS_TEXT_MAX = 160, WHAT_MAX = 512 };

static const char *time_text(time_t t, char out[TIME_TEXT_MAX])
{
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(out, TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return out;
}

/* ---- points in words
 * ------------------------------------------------------------------------------------- */

struct words {
    const char *met, *waits, *act; /* time alone brings it; somebody has to */
};
static const struct words words[CACHES_CODES] = {
    [POINT_SIGNER_UNSEEN] = {"the DNSKEY of key %u, which will sign, is in every cache",
                             "key %u will sign, and its DNSKEY is not in every cache yet",
                             "key %u will sign, and its DNSKEY is not in the set that is served"},
    [POINT_SIGNER_WITHDRAWN] =
        {"key %u, whose signatures are in caches, stays in the DNSKEY set",
         "signatures by key %u are in caches, and the new DNSKEY set does not have it",
         "what is served is signed by key %u, and the new DNSKEY set does not have it"},
    [POINT_FOREIGN_WITHDRAWN] = {"", "",
                                 "key %u of another signer would leave the DNSKEY set: have that "
                                 "signer leave first, and take its key out where it comes from"},
    [POINT_ALGORITHM_NEW] = {"",
                             "the new DNSKEY set has algorithm %u, by which what is in caches is "
                             "not all signed yet",
                             "the new DNSKEY set has algorithm %u, by which what is served is not "
                             "signed: use the same algorithms on both sides"},
    [POINT_ALGORITHM_LOST] = {"", "",
                              "DNSKEY sets in caches have algorithm %u, by which nothing would be "
                              "signed: use the same algorithms on both sides"},
    [POINT_DS_UNMATCHED] =
        {"the DS set with key %u leads to a key that signs the new DNSKEY set",
         "a DS set in caches (key %u) leads to no key that signs the new DNSKEY set",
         "the DS set at the parent (key %u) leads to no key that signs the new DNSKEY set: have "
         "the parent add the DS of one that does"},
    [POINT_DS_UNKNOWN] = {"",
                          "the parent's servers have not been asked for long enough to know which "
                          "DS may be in caches",
                          "which DS the parent has is not known: name its servers (keys.parent)"},
    [POINT_UNSIGNED] = {"", "a DS in caches (key %u) says that the zone is signed",
                        "the DS at the parent (key %u) says that the zone is signed: have it "
                        "taken away first"},
    [POINT_TOO_MANY] = {"", "",
                        "there were more keys than are remembered: whether it may be so cannot be "
                        "told"},
};

/* What to do about a key that is not where it should be. */
static const char *advice(const struct caches_point *p, enum caches_world from,
                          enum caches_world to)
{
    if (p->met || p->in >= 0)
        return "";
    if (p->code == POINT_SIGNER_UNSEEN && to == WORLD_PASSED)
        return ": mode \"multi-signer\" takes it from what comes in";
    if (p->code == POINT_SIGNER_UNSEEN && from == WORLD_PASSED)
        return ": have the primary add it (`weir key export`)";
    if (p->code == POINT_SIGNER_WITHDRAWN && to == WORLD_PASSED)
        return ": have the primary add it (`weir key export`)";
    if (p->code == POINT_SIGNER_WITHDRAWN && to == WORLD_OURS)
        return ": go by way of mode \"multi-signer\", which keeps it";
    return "";
}

/* The number in the words is a key's tag, or an algorithm. */
const char *guard_point_text(const struct caches_point *p, enum caches_world from,
                             enum caches_world to, char out[POINT_TEXT_MAX])
{
    const struct words *w = &words[p->code];
    const char *form = p->met ? w->met : p->in < 0 ? w->act : w->waits, *at = strstr(form, "%u");
    bool algorithm = p->code == POINT_ALGORITHM_NEW || p->code == POINT_ALGORITHM_LOST;
    if (!at)
        snprintf(out, POINT_TEXT_MAX, "%s", form);
    else
        snprintf(out, POINT_TEXT_MAX, "%.*s%u%s%s", (int)(at - form), form,
                 algorithm ? (unsigned)p->algorithm : p->tag, at + 2, advice(p, from, to));
    return out;
}

/* ---- what would be
 * --------------------------------------------------------------------------------------- */

static void key_add(struct growbuf *room, struct caches_version *v, const uint8_t *rdata,
                    uint16_t len)
{
    struct rrset so_far = {.rdata = room->p, .end = room->p ? room->p + room->len : NULL};
    struct rdata r;
    for (const uint8_t *p = so_far.rdata; rrset_next(&so_far, &p, &r);)
        if (r.len == len && memcmp(r.data, rdata, len) == 0)
            return;
    growbuf_u16(room, len);
    growbuf_put(room, rdata, len);
    v->dnskey.count++;
}

/* As the stages would make it of the keys as they are. */
static void facts_if_ours(const struct version *served, const struct keyset *keys,
                          enum caches_world world, struct facts *out)
{
    struct growbuf room = {0};
    struct caches_version *v = &out->v;
    struct rrset in;
    struct rdata r;
    const struct node *apex = snapshot_apex(served->input);
    *out = (struct facts){.apex = node_ref(apex), .own = keyset_ref(keys)};
    v->apex = node_name(apex);
    v->world = world;
    v->own = out->own;
    v->dnskey = (struct rrset){.type = RR_DNSKEY};
    for (unsigned i = 0; i < keys->n; i++) {
        const struct keyset_key *k = &keys->key[i];
        if (k->publish)
            key_add(&room, v, k->rdata, k->len);
        if (k->publish && k->signs_keys && v->nksk < CACHES_SIGNERS_MAX)
            v->ksk[v->nksk++] = (struct caches_id){k->tag, k->algorithm};
        if (k->signs_zone && v->nsigners < CACHES_SIGNERS_MAX)
            v->signer[v->nsigners++] = (struct caches_id){k->tag, k->algorithm};
    }
    for (unsigned i = 0; world == WORLD_SHARED && i < keys->nforeign; i++)
        if (keys->foreign[i].publish)
            key_add(&room, v, keys->foreign[i].rdata, keys->foreign[i].len);
    if (world == WORLD_SHARED && node_rrset(apex, RR_DNSKEY, 0, &in))
        for (const uint8_t *p = in.rdata; rrset_next(&in, &p, &r);)
            key_add(&room, v, r.data, r.len);
    out->room = room.p;
    v->dnskey.rdata = room.p;
    v->dnskey.end = room.p ? room.p + room.len : NULL;
}

/* False: there is no such mode for this zone now. */
static bool facts_if(const struct version *served, const struct keyset *keys,
                     enum caches_world world, struct facts *out)
{
    const struct node *apex = snapshot_apex(served->input);
    bool comes_signed = node_has(apex, RR_DNSKEY);
    if (world == WORLD_OURS || world == WORLD_SHARED) {
        if (!keys || !keys->n)
            return false;
        facts_if_ours(served, keys, world, out);
        return true;
    }
    if (world == WORLD_REKEYED || (world == WORLD_PASSED && !comes_signed))
        return false; /* what a holder makes is not known before it is there */
    *out = (struct facts){.own = NULL};
    if (world == WORLD_PASSED) {
        guard_facts_apex(apex, &served->soa, out);
    } else {
        out->apex = node_ref(apex);
        out->v.apex = node_name(apex);
        out->v.dnskey = (struct rrset){.type = RR_DNSKEY};
    }
    out->v.world = world;
    return true;
}

/* ---- told
 * ------------------------------------------------------------------------------------------------ */

struct told {
    struct zone *zone;
    struct version *served; /* held */
    struct keyset *keys, *ds;
    struct guard_zone conf;
    time_t now;
};

static bool told_open(struct zone *z, struct told *t)
{
    *t = (struct told){.zone = z, .served = zone_version(z), .now = time(NULL)};
    if (!t->served)
        return false;
    t->ds = zone_keys_ds(z);
    t->conf = guard_zone_of(z);
    pthread_mutex_lock(&z->lock);
    t->keys = z->keys ? keyset_ref(z->keys) : NULL;
    pthread_mutex_unlock(&z->lock);
    return true;
}

static void told_close(struct told *t)
{
    version_unref(t->served);
    keyset_unref(t->keys);
    keyset_unref(t->ds);
}

/* With the guard's lock held. *held: that version waits to go out. */
static bool plan_of(const struct told *t, enum caches_world to, struct caches_plan *plan,
                    bool *held)
{
    const struct zone_guard *g = t->zone->guard;
    struct facts f;
    *held = g->waiting && g->waiting->v.world == to;
    if (*held) {
        caches_judge(g->caches, &g->waiting->v, &t->conf.policy, true, plan);
        return true;
    }
    if (g->caches->world == to || !facts_if(t->served, t->keys, to, &f))
        return false;
    caches_judge(g->caches, &f.v, &t->conf.policy, true, plan);
    guard_facts_clear(&f);
    return true;
}

static const char *step_text(enum caches_step step)
{
    return step == STEP_PUBLISH_DS ? "publish-ds" : "publish-keys";
}

/* "12, 345": of the keys that sign what is served, or of those that sign its DNSKEY set. */
static const char *tags_text(const struct caches *c, bool ksk, char out[TAGS_TEXT_MAX])
{
    int n = 0;
    out[0] = 0;
    for (unsigned i = 0; i < (ksk ? c->nksk : c->nsigners) && n < TAGS_TEXT_MAX - 8; i++)
        if (ksk || c->signer[i].in)
            n += snprintf(out + n, TAGS_TEXT_MAX - (size_t)n, "%s%u", n ? ", " : "",
                          (unsigned)(ksk ? c->ksk[i].tag : c->signer[i].tag));
    return out;
}

struct step {
    const char *step, *state;
    char what[WHAT_MAX];
    time_t until; /* 0: not known, or it does not matter */
    int64_t seconds;
};
typedef void step_fn(void *ctx, const struct step *step);

static void steps_of_switch(const struct caches *c, enum caches_world to, bool held,
                            const struct caches_plan *plan, step_fn *fn, void *ctx)
{
    char zone_keys[TAGS_TEXT_MAX], ds[TAGS_TEXT_MAX];
    struct step s = {.step = "switch", .state = plan->allowed ? "do" : "then"};
    tags_text(c, false, zone_keys);
    tags_text(c, true, ds);
    if (held)
        snprintf(s.what, WHAT_MAX,
                 "the version that is held goes out by itself when all is done (`weir approve` "
                 "publishes it at once)");
    else if (to == WORLD_STRIPPED)
        snprintf(s.what, WHAT_MAX, "`weir dnssec ZONE delete`, or a chain that strips; reload");
    else
        snprintf(s.what, WHAT_MAX, "mode = \"%s\"; reload", caches_world_text(to));
    fn(ctx, &s);
    if (to == WORLD_STRIPPED || !*zone_keys)
        return;
    s = (struct step){.step = "keep", .state = "then", .seconds = plan->keep_signer_s};
    snprintf(s.what, WHAT_MAX, "what signed before (%s) stays in the DNSKEY set for %" PRId64 " s",
             zone_keys, plan->keep_signer_s);
    fn(ctx, &s);
    s.seconds = plan->keep_ds_s;
    snprintf(s.what, WHAT_MAX, "the DS of %s stays at the parent for %" PRId64 " s", ds,
             plan->keep_ds_s);
    fn(ctx, &s);
    s = (struct step){.step = "remove", .state = "then"};
    snprintf(s.what, WHAT_MAX, "of these, what is not used any more");
    fn(ctx, &s);
}

static void steps(const struct told *t, enum caches_world to, bool held,
                  const struct caches_plan *plan, step_fn *fn, void *ctx)
{
    const struct caches *c = t->zone->guard->caches;
    for (unsigned i = 0; i < plan->n; i++) {
        const struct caches_point *p = &plan->point[i];
        char text[POINT_TEXT_MAX];
        struct step s = {.step = step_text(p->step),
                         .state = p->met      ? "done"
                                  : p->in < 0 ? "do"
                                              : "wait"};
        snprintf(s.what, WHAT_MAX, "%s", guard_point_text(p, c->world, to, text));
        s.until = !p->met && p->in > 0 ? t->now + p->in : 0;
        s.seconds = s.until ? p->in : 0;
        fn(ctx, &s);
    }
    steps_of_switch(c, to, held, plan, fn, ctx);
}

static void step_line(void *ctx, const struct step *s)
{
    char until[TIME_TEXT_MAX];
    fprintf(ctx, "  %-4s  %-12s  %s", s->state, s->step, s->what);
    if (s->until)
        fprintf(ctx, " (until %s)", time_text(s->until, until));
    fputc('\n', ctx);
}

static void step_json(void *ctx, const struct step *s)
{
    struct json *json = ctx;
    char until[TIME_TEXT_MAX];
    json_object(json, NULL);
    json_string(json, "step", s->step);
    json_string(json, "state", s->state);
    json_string(json, "what", s->what);
    json_string(json, "until", s->until ? time_text(s->until, until) : NULL);
    if (s->seconds)
        json_int(json, "seconds", s->seconds);
    json_end(json);
}

static void settled_line(const struct told *t, FILE *f)
{
    const struct caches *c = t->zone->guard->caches;
    int64_t in = caches_settled_in(c, t->conf.policy.delay_s);
    char until[TIME_TEXT_MAX];
    if (in > 0)
        fprintf(f,
                "modes: %s since %" PRId64 " s, %s before: keys that signed then stay in the "
                "DNSKEY set until %s\n",
                caches_world_text(c->world), c->clock - c->switched_at,
                caches_world_text(c->before), time_text(t->now + in, until));
}

/* Is a switch under way? */
static bool moves(const struct told *t)
{
    const struct caches *c = t->zone->guard->caches;
    bool foreign = false;
    for (unsigned i = 0; i < c->nkeys; i++)
        foreign |= c->key[i].in && !c->key[i].own && c->world == WORLD_SHARED;
    return t->conf.prepares || foreign;
}

char *zone_guard_text(struct zone *z, bool all)
{
    char *text = NULL;
    size_t len;
    struct told t;
    FILE *f = open_memstream(&text, &len);
    ASSERT(f);
    bool known = told_open(z, &t);
    pthread_mutex_lock(&z->guard->lock);
    if (known) {
        guard_advance(z, t.ds);
        settled_line(&t, f);
    }
    for (int to = WORLD_PASSED; known && to < WORLDS; to++) {
        struct caches_plan plan;
        bool held;
        if (!plan_of(&t, (enum caches_world)to, &plan, &held))
            continue;
        if (!held && !all && (z->guard->waiting || !moves(&t) || to == WORLD_STRIPPED))
            continue;
        fprintf(f, "from %s to %s: %s\n", caches_world_text(z->guard->caches->world),
                caches_world_text((enum caches_world)to),
                held           ? "held"
                : plan.allowed ? "may be switched now"
                               : "not yet");
        steps(&t, (enum caches_world)to, held, &plan, step_line, f);
    }
    pthread_mutex_unlock(&z->guard->lock);
    told_close(&t);
    fclose(f);
    return text;
}

void zone_guard_json(struct zone *z, struct json *json)
{
    struct told t;
    bool known = told_open(z, &t);
    pthread_mutex_lock(&z->guard->lock);
    const struct caches *c = z->guard->caches;
    if (known)
        guard_advance(z, t.ds);
    json_string(json, "mode", caches_world_text(c->world));
    int64_t settled = known ? caches_settled_in(c, t.conf.policy.delay_s) : 0;
    json_string(json, "before", settled ? caches_world_text(c->before) : NULL);
    json_int(json, "settled_in", settled);
    json_array(json, "transitions");
    for (int to = WORLD_PASSED; known && to < WORLDS; to++) {
        struct caches_plan plan;
        bool held;
        if (!plan_of(&t, (enum caches_world)to, &plan, &held))
            continue;
        json_object(json, NULL);
        json_string(json, "to", caches_world_text((enum caches_world)to));
        json_bool(json, "allowed", plan.allowed);
        json_bool(json, "held", held);
        json_int(json, "in", plan.allowed ? 0 : plan.in);
        json_array(json, "steps");
        steps(&t, (enum caches_world)to, held, &plan, step_json, json);
        json_end(json);
        json_end(json);
    }
    json_end(json);
    pthread_mutex_unlock(&z->guard->lock);
    told_close(&t);
}
