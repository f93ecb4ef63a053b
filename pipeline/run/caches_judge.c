/* May a version follow on what is in caches? What a resolver can put together, and what must hold of it:
 *
 *   a cached DNSKEY set, a new signature   every key that signs the new version is in every cached set; no algorithm of these sets is without one
 *   the new DNSKEY set, a cached signature every key whose signatures may be cached is in the new set; the new set has no algorithm by which
 *                                          what is cached is not signed
 *   a cached DS set, the new DNSKEY set    the DS leads to a key that signs the set, for each algorithm that it names (RFC 4035 2.2)
 *   a cached DS set, the new zone unsigned there is no such DS set
 *
 * Where no DS can be in a cache, nobody validates, and all is allowed. What was not good with the version that is served is not made worse by
 * the next one, and is not asked of it. Of keys that the version before had and signed nothing with, as far as is known here, the
 * owner is another signer whose answers do not come by here: they are not for a switch to take away.
 */
#include "pipeline/run/caches_p.h"

#include <string.h>

struct judge {
    const struct caches *c;
    const struct caches_version *v;
    const struct caches_policy *policy;
    struct caches_plan *plan;
    bool cached[256]; /* algorithms of DNSKEY sets that may be in caches */
    bool next[256];   /* … of the new one */
};

static void point(struct judge *j, enum caches_step step, enum caches_code code, uint16_t tag,
                  uint8_t algorithm, int64_t in)
{
    struct caches_plan *plan = j->plan;
    bool met = in == 0;
    for (unsigned i = 0; i < plan->n; i++)
        if (plan->point[i].code == code && plan->point[i].tag == tag &&
            plan->point[i].algorithm == algorithm && plan->point[i].met == met)
            return;
    if (!met) {
        plan->in = plan->allowed ? in : plan->in < 0 || in < 0 ? -1 : in > plan->in ? in : plan->in;
        plan->allowed = false;
    }
    if (plan->n < CACHES_POINTS_MAX)
        plan->point[plan->n++] = (struct caches_point){step, code, met, tag, algorithm, in};
}

/* Seconds until what is so since then is so in every cache. */
static int64_t left(const struct judge *j, int64_t since, int64_t wait)
{
    int64_t in = since < 0 ? 0 : since + wait - j->c->clock;
    return in > 0 ? in : 0;
}

static const struct caches_key *served(const struct caches *c, uint16_t tag, uint8_t algorithm)
{
    for (unsigned i = 0; i < c->nkeys; i++)
        if (c->key[i].in && c->key[i].tag == tag && c->key[i].algorithm == algorithm)
            return &c->key[i];
    return NULL;
}

static bool next_has(const struct judge *j, uint16_t tag, uint8_t algorithm)
{
    struct rdata r;
    for (const uint8_t *p = j->v->dnskey.rdata; rrset_next(&j->v->dnskey, &p, &r);)
        if (r.data[3] == algorithm && dnssec_key_tag(r.data, r.len) == tag)
            return true;
    return false;
}

static void algorithms(struct judge *j)
{
    const struct caches *c = j->c;
    struct rdata r;
    for (unsigned i = 0; i < c->nkeys; i++)
        if (c->key[i].in || left(j, c->key[i].left, wait_dnskey(c, j->policy->delay_s)))
            j->cached[c->key[i].algorithm] = true;
    for (const uint8_t *p = j->v->dnskey.rdata; rrset_next(&j->v->dnskey, &p, &r);)
        j->next[r.data[3]] = true;
}

/* Since when all that is served has had a signature of this algorithm; < 0: always. False: it has none. */
static bool signed_since(const struct caches *c, uint8_t algorithm, int64_t *since)
{
    bool any = false, more = true;
    for (unsigned i = 0; i < c->nsigners; i++) {
        const struct caches_signer *s = &c->signer[i];
        if (s->algorithm != algorithm || !s->in)
            continue;
        *since = any && *since < s->since ? *since : s->since;
        any = true;
    }
    while (any && more) { /* by one that ended when another had begun */
        more = false;
        for (unsigned i = 0; i < c->nsigners; i++) {
            const struct caches_signer *s = &c->signer[i];
            if (s->algorithm == algorithm && !s->in && s->until >= *since && s->since < *since) {
                *since = s->since;
                more = true;
            }
        }
    }
    return any;
}

/* ---- DNSKEY sets and signatures
 * ------------------------------------------------------------------------------- */

static void new_signers(struct judge *j)
{
    for (unsigned i = 0; i < j->v->nsigners; i++) {
        const struct caches_id *s = &j->v->signer[i];
        const struct caches_key *k = served(j->c, s->tag, s->algorithm);
        if (j->cached[s->algorithm])
            point(j, STEP_PUBLISH_KEYS, POINT_SIGNER_UNSEEN, s->tag, s->algorithm,
                  k ? left(j, k->since, wait_dnskey(j->c, j->policy->delay_s)) : -1);
    }
    for (unsigned a = 0; a < 256; a++) {
        bool by_it = false;
        for (unsigned i = 0; i < j->v->nsigners; i++)
            by_it |= j->v->signer[i].algorithm == a;
        if (j->cached[a] && !by_it)
            point(j, STEP_PUBLISH_KEYS, POINT_ALGORITHM_LOST, 0, (uint8_t)a, -1);
    }
}

/* Everything in caches is signed by some algorithm that the new set has, without this key. */
static bool does_without(const struct judge *j, uint8_t algorithm)
{
    int64_t since;
    for (unsigned a = 0; a < 256 && !j->next[algorithm]; a++)
        if (j->next[a] && signed_since(j->c, (uint8_t)a, &since) &&
            !left(j, since, wait_zone(j->c, j->policy->delay_s)))
            return true;
    return false;
}

static void old_signers(struct judge *j, bool of_switch_only)
{
    const struct caches *c = j->c;
    for (unsigned i = 0; i < c->nsigners; i++) {
        const struct caches_signer *s = &c->signer[i];
        int64_t in = s->in ? -1 : left(j, s->until, wait_zone(c, j->policy->delay_s));
        if (!in || (of_switch_only && !s->switched) || !served(c, s->tag, s->algorithm))
            continue;
        if (next_has(j, s->tag, s->algorithm) || does_without(j, s->algorithm))
            in = 0;
        point(j, STEP_PUBLISH_KEYS, POINT_SIGNER_WITHDRAWN, s->tag, s->algorithm, in);
    }
}

static void new_algorithms(struct judge *j)
{
    for (unsigned a = 0; a < 256; a++) {
        int64_t since, in = -1;
        if (!j->next[a])
            continue;
        if (signed_since(j->c, (uint8_t)a, &since))
            in = left(j, since, wait_zone(j->c, j->policy->delay_s));
        if (in) /* that all is well is no news */
            point(j, STEP_PUBLISH_KEYS, POINT_ALGORITHM_NEW, 0, (uint8_t)a, in);
    }
}

static bool is_sep(const struct caches_key *k)
{
    return get_u16(k->rdata) & DNSKEY_SEP;
}

/* A KSK of somebody who has ZSKs signs nothing else. */
static bool foreign_signs(const struct caches *c, const struct caches_key *k)
{
    for (unsigned i = 0; is_sep(k) && i < c->nkeys; i++)
        if (c->key[i].in && !c->key[i].own && c->key[i].algorithm == k->algorithm &&
            !is_sep(&c->key[i]))
            return false;
    return true;
}

static void foreign_keys(struct judge *j)
{
    const struct caches *c = j->c;
    for (unsigned i = 0; i < c->nkeys && c->world == WORLD_SHARED; i++) {
        const struct caches_key *k = &c->key[i];
        bool signer = false; /* of what came by here: then it is known until when */
        for (unsigned s = 0; s < c->nsigners; s++)
            signer |= c->signer[s].tag == k->tag && c->signer[s].algorithm == k->algorithm;
        if (k->in && !k->own && !signer && foreign_signs(c, k) &&
            !caches_set_has(&j->v->dnskey, k->rdata, k->len))
            point(j, STEP_PUBLISH_KEYS, POINT_FOREIGN_WITHDRAWN, k->tag, k->algorithm, -1);
    }
}

/* ---- DS sets
 * -------------------------------------------------------------------------------------------------- */

/* Is the key of this DS in the set, and does it sign it? */
static bool ds_leads_to(const uint8_t *apex, struct rdata ds, const uint8_t *key, uint16_t len,
                        const struct caches_id *ksk, unsigned nksk)
{
    return dnssec_ds_matches(apex, key, len, ds.data, ds.len) == DNSSEC_VALID &&
           caches_ids_have(ksk, nksk, dnssec_key_tag(key, len), key[3]);
}

static bool ds_in_served(const struct judge *j, struct rdata ds)
{
    for (unsigned i = 0; i < j->c->nkeys; i++)
        if (j->c->key[i].in && ds_leads_to(j->v->apex, ds, j->c->key[i].rdata, j->c->key[i].len,
                                           j->c->ksk, j->c->nksk))
            return true;
    return false;
}

static bool ds_in_next(const struct judge *j, struct rdata ds)
{
    struct rdata r;
    for (const uint8_t *p = j->v->dnskey.rdata; rrset_next(&j->v->dnskey, &p, &r);)
        if (ds_leads_to(j->v->apex, ds, r.data, r.len, j->v->ksk, j->v->nksk))
            return true;
    return false;
}

/* A DS that resolvers can use (RFC 4035 5.2, and SHA-1 proves nothing): a set without one leaves the zone insecure. */
static bool ds_usable(struct rdata ds)
{
    return ds.len > 4 && dnssec_ds_digest_len(ds.data[3]) && dnssec_supported(ds.data[2]);
}

static bool set_usable(const struct parent_set *set)
{
    struct rrset s = parent_set_rrset(set);
    struct rdata ds;
    for (const uint8_t *p = s.rdata; rrset_next(&s, &p, &ds);)
        if (ds_usable(ds))
            return true;
    return false;
}

/* Does the set lead to that DNSKEY set, for each algorithm that it names? Else *tag is that of one that should. */
static bool set_leads(const struct judge *j, const struct parent_set *set,
                      bool (*leads)(const struct judge *, struct rdata), uint16_t *tag,
                      uint8_t *algorithm)
{
    bool named[256] = {false}, led[256] = {false};
    struct rrset s = parent_set_rrset(set);
    struct rdata ds;
    for (const uint8_t *p = s.rdata; rrset_next(&s, &p, &ds);) {
        if (!ds_usable(ds))
            continue;
        named[ds.data[2]] = true;
        led[ds.data[2]] |= leads(j, ds);
    }
    for (const uint8_t *p = s.rdata; rrset_next(&s, &p, &ds);)
        if (named[ds.data[2]] && !led[ds.data[2]]) {
            *tag = get_u16(ds.data);
            *algorithm = ds.data[2];
            return false;
        }
    for (const uint8_t *p = s.rdata; rrset_next(&s, &p, &ds);)
        if (ds_usable(ds)) {
            *tag = get_u16(ds.data);
            *algorithm = ds.data[2];
        }
    return true;
}

/* Seconds for which it may be in a cache; < 0: the parent has it. */
static int64_t set_cached(const struct judge *j, const struct caches_ds *d)
{
    return d->in ? -1 : left(j, d->last, wait_ds(j->c, j->policy));
}

/* The set is signed by keys of the keyring, so no other DS leads to it than those that the keyring asked for. */
static bool keyring_knows_ds(const struct caches *c)
{
    bool all = c->world == WORLD_OURS && c->nksk > 0;
    for (unsigned i = 0; all && i < c->nksk; i++) {
        const struct caches_key *k = served(c, c->ksk[i].tag, c->ksk[i].algorithm);
        all = k && k->own;
    }
    return all;
}

/* Seconds until every DS set that may be in a cache is known. */
static int64_t ds_known_in(const struct judge *j)
{
    if (!j->policy->parent_known)
        return keyring_knows_ds(j->c) ? 0 : -1;
    int64_t wait = wait_ds(j->c, j->policy);
    bool stale = j->c->watched < 0 || j->c->clock - j->c->asked > j->policy->parent_gap_s;
    return stale ? wait : left(j, j->c->watched, wait);
}

/* No resolver can have a DS that leads to what is served. */
static bool insecure(const struct judge *j)
{
    bool none = keyring_knows_ds(j->c);
    for (unsigned i = 0; i < j->c->nkeys; i++)
        none = none && !j->c->key[i].ds;
    if (none)
        return true;
    if (!j->policy->parent_known || ds_known_in(j))
        return false;
    for (unsigned i = 0; i < j->c->nds; i++)
        if (set_cached(j, &j->c->ds[i]) && set_usable(&j->c->ds[i].set))
            return false;
    return true;
}

/* Who signs the set that is served signs the next one as well: whatever the parent has, it leads as far as it did. */
static bool same_ksks(const struct judge *j)
{
    for (unsigned i = 0; i < j->c->nksk; i++) {
        const struct caches_id *k = &j->c->ksk[i];
        const struct caches_key *key = served(j->c, k->tag, k->algorithm);
        if (key && (!caches_ids_have(j->v->ksk, j->v->nksk, k->tag, k->algorithm) ||
                    !caches_set_has(&j->v->dnskey, key->rdata, key->len)))
            return false;
    }
    return true;
}

static void ds_told(struct judge *j, bool goes_unsigned)
{
    for (unsigned i = 0; i < j->c->nds; i++) {
        const struct caches_ds *d = &j->c->ds[i];
        int64_t in = set_cached(j, d);
        uint16_t tag = 0;
        uint8_t algorithm = 0;
        if (!in || !set_usable(&d->set) || !set_leads(j, &d->set, ds_in_served, &tag, &algorithm))
            continue;
        if (goes_unsigned)
            point(j, STEP_PUBLISH_DS, POINT_UNSIGNED, tag, algorithm, in);
        else
            point(j, STEP_PUBLISH_DS, POINT_DS_UNMATCHED, tag, algorithm,
                  set_leads(j, &d->set, ds_in_next, &tag, &algorithm) ? 0 : in);
    }
}

/* Nobody can be asked: DS of ours that the keyring knows of. */
static void ds_of_ours(struct judge *j, bool goes_unsigned)
{
    for (unsigned i = 0; i < j->c->nkeys; i++) {
        const struct caches_key *k = &j->c->key[i];
        bool leads = caches_ids_have(j->v->ksk, j->v->nksk, k->tag, k->algorithm) &&
                     caches_set_has(&j->v->dnskey, k->rdata, k->len);
        if (k->ds)
            point(j, STEP_PUBLISH_DS, goes_unsigned ? POINT_UNSIGNED : POINT_DS_UNMATCHED, k->tag,
                  k->algorithm, leads ? 0 : -1);
    }
}

static void ds_sets(struct judge *j)
{
    bool goes_unsigned = !j->v->dnskey.count;
    if (!goes_unsigned && same_ksks(j))
        return;
    if (j->policy->parent_known)
        ds_told(j, goes_unsigned);
    else
        ds_of_ours(j, goes_unsigned);
    int64_t in = ds_known_in(j);
    if (in)
        point(j, STEP_PUBLISH_DS, POINT_DS_UNKNOWN, 0, 0, in);
}

/* ---- the whole
 * ------------------------------------------------------------------------------------------------ */

/* A key of ours that the keyring knows nothing of: its folder was changed, or lost. */
static bool keys_lost(const struct caches *c, const struct caches_version *v)
{
    bool ours = v->world == WORLD_OURS || v->world == WORLD_SHARED;
    for (unsigned i = 0; ours && v->own && !v->own->unsigned_zone && i < c->nkeys; i++)
        if (c->key[i].in && c->key[i].own && !caches_own(v->own, c->key[i].rdata, c->key[i].len))
            return true;
    return false;
}

static bool served_signed(const struct caches *c)
{
    for (unsigned i = 0; i < c->nkeys; i++)
        if (c->key[i].in)
            return true;
    return false;
}

void caches_judge(const struct caches *c, const struct caches_version *v,
                  const struct caches_policy *policy, bool ask, struct caches_plan *out)
{
    struct judge j = {.c = c, .v = v, .policy = policy, .plan = out};
    bool turned = ask || c->world != v->world || keys_lost(c, v);
    *out = (struct caches_plan){
        .asked = turned || caches_settled_in(c, policy->delay_s) > 0,
        .allowed = true,
        .keep_signer_s = wait_zone(c, policy->delay_s),
        .keep_ds_s = wait_dnskey(c, policy->delay_s),
    };
    if (!out->asked || !served_signed(c) || insecure(&j))
        return;
    algorithms(&j);
    if (!turned) {
        old_signers(&j, true);
        return;
    }
    if (c->overflow)
        point(&j, STEP_PUBLISH_KEYS, POINT_TOO_MANY, 0, 0, -1);
    if (v->dnskey.count) {
        new_signers(&j);
        old_signers(&j, false);
        new_algorithms(&j);
        foreign_keys(&j);
    }
    ds_sets(&j);
}
