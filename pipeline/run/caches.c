/* The memory: what went out, and what the parent had. What may follow on it is judged in caches_judge.c.
 */
#include "pipeline/run/caches_p.h"

#include "pipeline/base/alloc.h"

#include <string.h>

const char *caches_world_text(enum caches_world world)
{
    static const char *const text[WORLDS] = {
        [WORLD_UNKNOWN] = "unknown",   [WORLD_PASSED] = "pre-signed",
        [WORLD_OURS] = "live",         [WORLD_SHARED] = "multi-signer",
        [WORLD_STRIPPED] = "unsigned", [WORLD_REKEYED] = "pre-signed, rekeyed",
    };
    return text[world];
}

struct caches *caches_new(void)
{
    struct caches *c = mem_zalloc(sizeof *c);
    c->tick = c->asked = c->watched = c->switched_at = -1;
    return c;
}

static void *list_copy(const void *list, size_t bytes)
{
    return bytes ? mem_dup(list, bytes) : NULL;
}

struct caches_key *caches_key_room(struct caches *c)
{
    c->key = mem_resize(c->key, (c->nkeys + 1) * sizeof *c->key);
    return &c->key[c->nkeys++];
}

struct caches_signer *caches_signer_room(struct caches *c)
{
    c->signer = mem_resize(c->signer, (c->nsigners + 1) * sizeof *c->signer);
    return &c->signer[c->nsigners++];
}

struct caches_ds *caches_ds_room(struct caches *c)
{
    c->ds = mem_resize(c->ds, (c->nds + 1) * sizeof *c->ds);
    return &c->ds[c->nds++];
}

void caches_ksk_set(struct caches *c, const struct caches_id *ksk, unsigned n)
{
    mem_free(&c->ksk);
    c->ksk = list_copy(ksk, n * sizeof *ksk);
    c->nksk = n;
}

struct caches *caches_copy(const struct caches *from)
{
    struct caches *c = mem_dup(from, sizeof *from);
    c->ksk = list_copy(from->ksk, c->nksk * sizeof *c->ksk);
    c->key = list_copy(from->key, c->nkeys * sizeof *c->key);
    c->signer = list_copy(from->signer, c->nsigners * sizeof *c->signer);
    c->ds = list_copy(from->ds, c->nds * sizeof *c->ds);
    for (unsigned i = 0; i < c->nkeys; i++)
        c->key[i].rdata = mem_dup(from->key[i].rdata, from->key[i].len);
    for (unsigned i = 0; i < c->nds; i++)
        c->ds[i].set.octets =
            from->ds[i].set.len ? mem_dup(from->ds[i].set.octets, from->ds[i].set.len) : NULL;
    return c;
}

void caches_free(struct caches **c)
{
    if (!*c)
        return;
    for (unsigned i = 0; i < (*c)->nkeys; i++)
        mem_free(&(*c)->key[i].rdata);
    for (unsigned i = 0; i < (*c)->nds; i++)
        parent_set_clear(&(*c)->ds[i].set);
    mem_free(&(*c)->ksk);
    mem_free(&(*c)->key);
    mem_free(&(*c)->signer);
    mem_free(&(*c)->ds);
    mem_free(c);
}

bool caches_any(const struct caches *c)
{
    return c->nkeys || c->nsigners || c->nds || c->overflow;
}

/* How long a reboot took nobody knows: it counts for nothing in a wait, and what the parent did meanwhile was not seen. */
void caches_advance(struct caches *c, const struct keyring_time *time)
{
    if (c->tick >= 0 && c->boot != time->boot)
        c->watched = -1;
    c->clock += keyring_passed(&c->tick, &c->boot, time);
}

/* ---- what went out
 * -------------------------------------------------------------------------------------------- */

bool caches_set_has(const struct rrset *set, const uint8_t *rdata, uint16_t len)
{
    struct rdata r;
    for (const uint8_t *p = set->rdata; rrset_next(set, &p, &r);)
        if (r.len == len && memcmp(r.data, rdata, len) == 0)
            return true;
    return false;
}

bool caches_ids_have(const struct caches_id *ids, unsigned n, uint16_t tag, uint8_t algorithm)
{
    for (unsigned i = 0; i < n; i++)
        if (ids[i].tag == tag && ids[i].algorithm == algorithm)
            return true;
    return false;
}

bool caches_own(const struct keyset *keys, const uint8_t *rdata, uint16_t len)
{
    for (unsigned i = 0; keys && i < keys->n; i++)
        if (keys->key[i].len == len && memcmp(keys->key[i].rdata, rdata, len) == 0)
            return true;
    return false;
}

static struct caches_signer *signer_find(struct caches *c, uint16_t tag, uint8_t algorithm)
{
    for (unsigned i = 0; i < c->nsigners; i++)
        if (c->signer[i].tag == tag && c->signer[i].algorithm == algorithm)
            return &c->signer[i];
    return NULL;
}

/* A key that is no longer in any cache, nor hangs anything on it. */
static void keys_forget(struct caches *c, int64_t delay_s)
{
    unsigned n = 0;
    for (unsigned i = 0; i < c->nkeys; i++) {
        struct caches_key *k = &c->key[i];
        if (k->in || k->left + wait_dnskey(c, delay_s) > c->clock)
            c->key[n++] = *k;
        else
            mem_free(&k->rdata);
    }
    c->nkeys = n;
}

static void signers_forget(struct caches *c, int64_t delay_s)
{
    unsigned n = 0;
    for (unsigned i = 0; i < c->nsigners; i++) {
        struct caches_signer *s = &c->signer[i];
        /* While its key is in the set it is known that its signatures are in no cache any more. */
        if (s->in || key_served(c, s->tag, s->algorithm) ||
            s->until + wait_zone(c, delay_s) > c->clock)
            c->signer[n++] = *s;
    }
    c->nsigners = n;
}

static void key_add(struct caches *c, struct rdata r, int64_t since)
{
    if (c->nkeys == CACHES_KEYS_MAX) {
        c->overflow = true;
        return;
    }
    *caches_key_room(c) = (struct caches_key){.rdata = mem_dup(r.data, r.len),
                                              .len = r.len,
                                              .tag = dnssec_key_tag(r.data, r.len),
                                              .algorithm = r.data[3],
                                              .in = true,
                                              .since = since};
}

static struct caches_key *key_of(struct caches *c, struct rdata r)
{
    for (unsigned i = 0; i < c->nkeys; i++)
        if (c->key[i].len == r.len && memcmp(c->key[i].rdata, r.data, r.len) == 0)
            return &c->key[i];
    return NULL;
}

/* first: nothing is known of before. A key that signs was good then; for one that does not there is no such proof. */
static void keys_observe(struct caches *c, const struct caches_version *v, bool first)
{
    struct rdata r;
    for (unsigned i = 0; i < c->nkeys; i++) {
        struct caches_key *k = &c->key[i];
        if (!k->in || caches_set_has(&v->dnskey, k->rdata, k->len))
            continue;
        k->in = false;
        k->left = c->clock;
    }
    for (const uint8_t *p = v->dnskey.rdata; rrset_next(&v->dnskey, &p, &r);) {
        struct caches_key *k = key_of(c, r);
        uint16_t tag = dnssec_key_tag(r.data, r.len);
        bool signs = caches_ids_have(v->signer, v->nsigners, tag, r.data[3]) ||
                     caches_ids_have(v->ksk, v->nksk, tag, r.data[3]);
        if (!k)
            key_add(c, r, first && signs ? -1 : c->clock);
        else if (!k->in) {
            k->in = true;
            k->since = c->clock;
        }
    }
    for (unsigned i = 0; i < c->nkeys; i++)
        c->key[i].own |= caches_own(v->own, c->key[i].rdata, c->key[i].len);
}

static void signers_observe(struct caches *c, const struct caches_version *v, bool first,
                            bool switched)
{
    for (unsigned i = 0; i < c->nsigners; i++) {
        struct caches_signer *s = &c->signer[i];
        if (!s->in || caches_ids_have(v->signer, v->nsigners, s->tag, s->algorithm))
            continue;
        s->in = false;
        s->until = c->clock;
        s->switched = switched;
    }
    for (unsigned i = 0; i < v->nsigners; i++) {
        struct caches_signer *s = signer_find(c, v->signer[i].tag, v->signer[i].algorithm);
        if (!s && c->nsigners == CACHES_SIGNERS_MAX) {
            c->overflow = true;
            continue;
        }
        if (!s) {
            s = caches_signer_room(c);
            *s = (struct caches_signer){.tag = v->signer[i].tag,
                                        .algorithm = v->signer[i].algorithm};
        }
        if (!s->in)
            s->since = first ? -1 : c->clock;
        s->in = true;
        s->switched = false;
    }
}

void caches_observe(struct caches *c, const struct caches_version *v,
                    const struct keyring_time *time, int64_t delay_s)
{
    bool first = c->world == WORLD_UNKNOWN && !c->nkeys && !c->nsigners;
    bool switched = !first && c->world != v->world;
    caches_advance(c, time);
    uint32_t dnskey =
        v->dnskey.count && v->dnskey.ttl > v->negative_ttl ? v->dnskey.ttl : v->negative_ttl;
    keyring_ttl_note(&c->dnskey_ttl, dnskey, c->clock, delay_s);
    keyring_ttl_note(&c->zone_ttl, v->ttl_max, c->clock, delay_s);
    c->overflow = false;
    keys_forget(c, delay_s);
    signers_forget(c, delay_s);
    signers_observe(c, v, first, switched);
    keys_observe(c, v, first);
    caches_ksk_set(c, v->ksk, v->nksk);
    if (switched) {
        c->before = c->world;
        c->switched_at = c->clock;
    }
    c->world = v->world;
}

int64_t caches_settled_in(const struct caches *c, int64_t delay_s)
{
    int64_t in = 0;
    for (unsigned i = 0; i < c->nsigners; i++) {
        const struct caches_signer *s = &c->signer[i];
        int64_t left = s->until + wait_zone(c, delay_s) - c->clock;
        if (!s->in && s->switched && left > in)
            in = left;
    }
    return in;
}

void caches_ring(struct caches *c, const struct keyset *keys)
{
    for (unsigned i = 0; i < keys->n; i++) {
        struct caches_key *k = key_of(c, (struct rdata){keys->key[i].rdata, keys->key[i].len});
        if (k)
            k->ds = keys->key[i].ds;
    }
}

/* ---- the parent
 * --------------------------------------------------------------------------------------------- */

static bool ds_make_room(struct caches *c)
{
    unsigned oldest = c->nds;
    for (unsigned i = 0; i < c->nds; i++)
        if (!c->ds[i].in && (oldest == c->nds || c->ds[i].last < c->ds[oldest].last))
            oldest = i;
    if (c->nds < CACHES_DS_MAX)
        return true;
    if (oldest == c->nds)
        return false;
    parent_set_clear(&c->ds[oldest].set);
    c->ds[oldest] = c->ds[--c->nds];
    return true;
}

static void ds_seen(struct caches *c, const struct parent_set *set)
{
    struct caches_ds *d = NULL;
    for (unsigned i = 0; i < c->nds && !d; i++)
        if (parent_set_equal(&c->ds[i].set, set))
            d = &c->ds[i];
    if (!d) {
        if (!ds_make_room(c)) {
            c->watched = c->clock; /* as if it had not been looked */
            return;
        }
        d = caches_ds_room(c);
        *d = (struct caches_ds){.set = *set};
        d->set.octets = set->len ? mem_dup(set->octets, set->len) : NULL;
    }
    d->set.ttl = set->ttl > d->set.ttl ? set->ttl : d->set.ttl;
    d->in = true;
    d->last = c->clock;
}

static bool view_has(const struct parent_view *view, const struct parent_set *set)
{
    for (unsigned i = 0; i < view->n; i++)
        if (parent_set_equal(&view->server[i].set, set))
            return true;
    return false;
}

void caches_parent(struct caches *c, const struct parent_view *view,
                   const struct caches_policy *policy, const struct keyring_time *time)
{
    caches_advance(c, time);
    if (c->watched < 0 || c->clock - c->asked > policy->parent_gap_s)
        c->watched = c->clock;
    c->asked = c->clock;
    for (unsigned i = 0; i < c->nds; i++)
        if (c->ds[i].in && !view_has(view, &c->ds[i].set)) {
            c->ds[i].in = false;
            c->ds[i].last = c->clock; /* it may have been there until just now */
        }
    unsigned n = 0;
    for (unsigned i = 0; i < c->nds; i++) {
        struct caches_ds *d = &c->ds[i];
        if (d->in || d->last + wait_ds(c, policy) > c->clock)
            c->ds[n++] = *d;
        else
            parent_set_clear(&d->set);
    }
    c->nds = n;
    for (unsigned i = 0; i < view->n; i++)
        ds_seen(c, &view->server[i].set);
}
