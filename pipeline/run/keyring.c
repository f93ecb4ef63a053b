/* The rules, and nothing else that decides.
 *
 * What must hold at every moment once the parent has a DS, for whatever a resolver has in its cache: each DS set leads to each DNSKEY set by
 * a key that is in both; each DNSKEY set has a key for a signature of each rrset, of every algorithm in it. A thing that is PRESENT is in all of
 * these sets, one that is ABSENT in none, so the rules look at these two states only, and never at the time:
 *
 *   publish    a DNSKEY: at any time; of an algorithm that is new, when all rrsets everywhere have a signature of it
 *   sign       with a key in the place of another: when its DNSKEY is PRESENT. In addition to another, of a new algorithm: at any time
 *   submit     a DS: when its DNSKEY is PRESENT, and the zone is signed by that algorithm everywhere. Double-DS: when another key of the
 *              algorithm has both DNSKEY and DS PRESENT
 *   withdraw   a DS: when another key's DNSKEY is PRESENT, and its DS too, or is coming by the same visit to the parent
 *   unpublish  a DNSKEY: when its signatures and its DS are ABSENT, and another key has both. Double-DS: while both keys' DS are PRESENT, in the
 *              moment in which the other one is published. All keys of an algorithm at once: when all their DS are ABSENT
 *   stop       signatures of an algorithm: when all its DNSKEYs are ABSENT
 *
 * Before there is a DS, and after the last one is gone, nobody validates, and things go at once; but the first DS waits until what was
 * done meanwhile is in every cache.
 */
#include "pipeline/run/keyring.h"

#include "pipeline/base/alloc.h"

#include <string.h>

struct step {
    struct keyring *ring;
    const struct keyring_policy *policy;
    struct keyring_plan *plan;
};

static bool gone(const struct keyring_key *k)
{
    return k->state == KEY_REMOVED;
}

/* Shown, or about to be. */
static bool is_in(const struct keyring_cell *c)
{
    return c->state == CELL_COMING || c->state == CELL_PRESENT;
}

static bool present(const struct keyring_cell *c)
{
    return c->state == CELL_PRESENT;
}

static bool absent(const struct keyring_cell *c)
{
    return c->state == CELL_ABSENT;
}

#define EACH_KEY(ring, k)                                                                          \
    for (struct keyring_key *k = (ring)->key; k < (ring)->key + (ring)->n; k++)                    \
        if (!gone(k))

static bool ds_anywhere(struct keyring *ring)
{
    EACH_KEY(ring, k) if (!absent(&k->ds)) return true;
    return false;
}

/* An offline KSK's DS is somebody else's business: take it for there. */
static bool secure(const struct step *s)
{
    return s->policy->offline_ksk || ds_anywhere(s->ring);
}

static void say(struct step *s, const struct keyring_key *k, enum keyring_event_kind kind)
{
    s->plan->changed = true;
    if (s->plan->nevents < KEYRING_EVENTS_MAX)
        s->plan->event[s->plan->nevents++] =
            (struct keyring_event){kind, k->tag, k->algorithm, k->role};
}

static void cell_set(struct keyring_cell *c, enum keyring_cell_state state)
{
    *c = (struct keyring_cell){state, -1};
}

/* ---- time
 * ------------------------------------------------------------------------------------------------ */

static void clock_advance(struct keyring *ring, const struct keyring_time *t)
{
    if (ring->tick >= 0 && ring->boot == t->boot && t->tick > ring->tick)
        ring->clock += t->tick - ring->tick;
    ring->tick = t->tick;
    ring->boot = t->boot;
}

/* What was served before was so until now. */
static void ttl_note(struct keyring_ttl *t, uint32_t ttl, int64_t clock, int64_t delay)
{
    if (t->served >= t->ttl || clock >= t->until) {
        t->ttl = t->served;
        t->until = clock + t->served + delay;
    }
    if (ttl >= t->ttl) {
        t->ttl = ttl;
        t->until = clock + ttl + delay;
    }
    t->served = ttl;
}

enum wait_of { WAIT_DNSKEY, WAIT_ZONE, WAIT_DS };

static int64_t wait_s(const struct keyring *ring, const struct keyring_policy *policy,
                      enum wait_of what)
{
    int64_t ttl = what == WAIT_DNSKEY ? ring->dnskey_ttl.ttl
                  : what == WAIT_ZONE ? ring->zone_ttl.ttl
                                      : ring->ds_ttl.ttl;
    if (what == WAIT_DS && ring->ds_checked == 0)
        ttl = policy->ds_ttl_s;
    return ttl + policy->propagation_delay_s +
           1; /* a second that has begun is not one that has passed */
}

int64_t keyring_due_in(const struct keyring *ring, const struct keyring_policy *policy,
                       const struct keyring_key *k, const struct keyring_cell *c)
{
    bool moving = c->state == CELL_COMING || c->state == CELL_GOING;
    if (!moving || c->at < 0)
        return -1;
    enum wait_of what = c == &k->dnskey ? WAIT_DNSKEY : c == &k->zone ? WAIT_ZONE : WAIT_DS;
    int64_t left = c->at + wait_s(ring, policy, what) - ring->clock;
    return left > 0 ? left : 0;
}

/* ---- facts
 * ----------------------------------------------------------------------------------------------- */

/* What is seen, against what the cell says. `absence` counts only when it is known to be the newest word. */
static bool cell_see(struct keyring_cell *c, bool seen, bool newest, int64_t clock)
{
    struct keyring_cell was = *c;
    switch (c->state) {
    case CELL_ABSENT:
        if (seen)
            cell_set(c, CELL_GOING);
        break;
    case CELL_COMING:
        if (!seen)
            c->at = -1;
        else if (c->at < 0)
            c->at = clock;
        break;
    case CELL_PRESENT:
        if (!seen)
            cell_set(c, CELL_COMING);
        break;
    case CELL_GOING:
        if (seen)
            c->at = -1;
        else if (newest && c->at < 0)
            c->at = clock;
        break;
    }
    return was.state != c->state || was.at != c->at;
}

static void note_seen(struct step *s, const struct keyring_key *k, struct keyring_cell *c,
                      bool seen, bool newest)
{
    bool was = present(c) || absent(c);
    if (!cell_see(c, seen, newest, s->ring->clock))
        return;
    s->plan->changed = true;
    if (was)
        say(s, k, EVENT_SET_BACK);
}

static bool set_has(const struct rrset *set, const uint8_t *rdata, uint16_t len)
{
    struct rdata r;
    if (!set)
        return false;
    for (const uint8_t *p = set->rdata; rrset_next(set, &p, &r);)
        if (r.len == len && memcmp(r.data, rdata, len) == 0)
            return true;
    return false;
}

static uint64_t signatures_by(const struct key_uses *uses, const struct keyring_key *k)
{
    for (unsigned i = 0; i < uses->n; i++)
        if (uses->use[i].tag == k->tag && uses->use[i].algorithm == k->algorithm)
            return uses->use[i].signatures;
    return 0;
}

static void observe(struct step *s, const struct keyring_facts *f)
{
    struct keyring *ring = s->ring;
    int64_t delay = s->policy->propagation_delay_s;
    uint32_t ttl = f->dnskey && f->dnskey->ttl > f->negative_ttl ? f->dnskey->ttl : f->negative_ttl;
    ttl_note(&ring->dnskey_ttl, ttl, ring->clock, delay);
    EACH_KEY(ring, k) note_seen(s, k, &k->dnskey, set_has(f->dnskey, k->rdata, k->len), f->current);
    if (!f->uses)
        return;
    ttl_note(&ring->zone_ttl, f->uses->ttl_max, ring->clock, delay);
    EACH_KEY(ring, k)
    {
        uint64_t n = signatures_by(f->uses, k);
        bool all = f->uses->rrsets > 0 && n >= f->uses->rrsets;
        note_seen(s, k, &k->zone, is_in(&k->zone) ? all : n > 0, f->current);
    }
}

static bool ds_in(const struct keyring *ring, const struct keyring_key *k, const struct rrset *set)
{
    struct rdata r;
    if (!set)
        return false;
    for (const uint8_t *p = set->rdata; rrset_next(set, &p, &r);)
        if (dnssec_ds_matches(ring->apex, k->rdata, k->len, r.data, r.len) == DNSSEC_VALID)
            return true;
    return false;
}

void keyring_fact_parent(struct keyring *ring, const struct keyring_parent *parent)
{
    clock_advance(ring, &parent->time);
    if (parent->any) {
        ttl_note(&ring->ds_ttl, parent->ttl, ring->clock, 0);
        ring->ds_checked = parent->time.now;
    }
    EACH_KEY(ring, k)
    {
        if (!(k->role & KEYRING_KSK))
            continue;
        bool all = ds_in(ring, k, parent->all), any = ds_in(ring, k, parent->any);
        /* Somebody was there before us: the parent has the DS of a key that is to stay. */
        if (absent(&k->ds) && k->wanted && any && ring->wish == KEYRING_ENABLED)
            cell_set(&k->ds, CELL_COMING);
        cell_see(&k->ds, is_in(&k->ds) ? all : any, true, ring->clock);
    }
}

static void ripe_dnskey(struct step *s, struct keyring_key *k)
{
    bool coming = k->dnskey.state == CELL_COMING;
    cell_set(&k->dnskey, coming ? CELL_PRESENT : CELL_ABSENT);
    if (coming)
        say(s, k, EVENT_READY);
    s->plan->changed = true;
}

static void ripe_zone(struct step *s, struct keyring_key *k)
{
    cell_set(&k->zone, k->zone.state == CELL_COMING ? CELL_PRESENT : CELL_ABSENT);
    k->covers = false;
    s->plan->changed = true;
}

static void ripe_ds(struct step *s, struct keyring_key *k)
{
    bool coming = k->ds.state == CELL_COMING;
    cell_set(&k->ds, coming ? CELL_PRESENT : CELL_ABSENT);
    say(s, k, coming ? EVENT_DS_SEEN : EVENT_DS_GONE);
}

/* Seen for long enough. */
static void ripen(struct step *s)
{
    EACH_KEY(s->ring, k)
    {
        if (keyring_due_in(s->ring, s->policy, k, &k->dnskey) == 0)
            ripe_dnskey(s, k);
        if (keyring_due_in(s->ring, s->policy, k, &k->zone) == 0)
            ripe_zone(s, k);
        if (keyring_due_in(s->ring, s->policy, k, &k->ds) == 0)
            ripe_ds(s, k);
    }
}

/* ---- what the rules ask
 * ---------------------------------------------------------------------------------- */

static bool wanted_signer(struct keyring *ring, uint8_t algorithm)
{
    EACH_KEY(ring, k)
    if (k->wanted && k->role & KEYRING_ZSK && k->algorithm == algorithm)
        return true;
    return false;
}

/* All rrsets in all caches have a signature of the algorithm. */
static bool covered(struct keyring *ring, uint8_t algorithm)
{
    EACH_KEY(ring, k)
    if (k->algorithm == algorithm &&
        (present(&k->zone) || (k->zone.state == CELL_COMING && k->covers)))
        return true;
    return false;
}

/* … and all DNSKEY sets in all caches have the key to it. */
static bool verifiable(struct keyring *ring, uint8_t algorithm)
{
    bool all = true;
    EACH_KEY(ring, k)
    {
        if (k->algorithm != algorithm || absent(&k->zone))
            continue;
        if (present(&k->zone) && present(&k->dnskey))
            return true;
        all = all && present(&k->dnskey);
    }
    return all && covered(ring, algorithm);
}

/* Another key that leads from every DS set to every DNSKEY set. algorithm 0: any. */
static bool path_beside(struct keyring *ring, const struct keyring_key *but, uint8_t algorithm)
{
    EACH_KEY(ring, k)
    if (k != but && k->role & KEYRING_KSK && (!algorithm || k->algorithm == algorithm) &&
        present(&k->ds) && present(&k->dnskey))
        return true;
    return false;
}

/* ---- decisions: each true when it was taken
 * -------------------------------------------------------------- */

static bool ds_goes_first(const struct step *s, const struct keyring_key *k)
{
    return s->policy->double_ds && k->role == KEYRING_KSK && secure(s) &&
           path_beside(s->ring, k, k->algorithm);
}

static bool may_publish(const struct step *s, const struct keyring_key *k)
{
    if (!k->wanted || is_in(&k->dnskey))
        return false;
    if (!secure(s))
        return true;
    if (ds_goes_first(s, k) && !present(&k->ds))
        return false;
    EACH_KEY(s->ring, o)
    if (o != k && o->algorithm == k->algorithm && is_in(&o->dnskey))
        return true;
    return covered(s->ring, k->algorithm);
}

static bool publish(struct step *s, struct keyring_key *k)
{
    if (!may_publish(s, k))
        return false;
    cell_set(&k->dnskey, CELL_COMING);
    k->published = true;
    say(s, k, EVENT_PUBLISHED);
    return true;
}

static bool sign(struct step *s, struct keyring_key *k)
{
    if (!k->wanted || !(k->role & KEYRING_ZSK) || is_in(&k->zone))
        return false;
    struct keyring_key *before = NULL;
    bool any = false;
    EACH_KEY(s->ring, o)
    {
        any = any || !absent(&o->zone);
        if (o != k && o->algorithm == k->algorithm && is_in(&o->zone))
            before = o;
    }
    if (before && (before->wanted || (secure(s) && !present(&k->dnskey))))
        return false;
    if (!before && any && !absent(&k->zone))
        return false; /* it was taken away not long ago */
    cell_set(&k->zone, CELL_COMING);
    k->covers = before && present(&k->dnskey) && present(&before->dnskey) &&
                (present(&before->zone) || before->covers);
    if (before) {
        cell_set(&before->zone, CELL_GOING);
        say(s, before, EVENT_RETIRED);
    }
    say(s, k, EVENT_SIGNS);
    return true;
}

/* All keys of the algorithm are to leave: may their DNSKEYs, together? */
static bool algorithm_may_go(const struct step *s, uint8_t algorithm)
{
    struct keyring *ring = s->ring;
    uint8_t next = 0;
    EACH_KEY(ring, k)
    {
        if (k->algorithm == algorithm && (k->wanted || !absent(&k->ds)))
            return false;
        if (k->algorithm != algorithm && k->wanted && is_in(&k->zone))
            next = k->algorithm;
    }
    if (!next)
        return false;
    if (!secure(s))
        return true;
    return verifiable(ring, next) && (s->policy->offline_ksk || path_beside(ring, NULL, next));
}

static bool stop(struct step *s, struct keyring_key *k)
{
    if (k->wanted || !is_in(&k->zone) || wanted_signer(s->ring, k->algorithm) ||
        !algorithm_may_go(s, k->algorithm))
        return false;
    if (secure(s))
        EACH_KEY(s->ring, o)
    if (o->algorithm == k->algorithm && !absent(&o->dnskey))
        return false;
    cell_set(&k->zone, CELL_GOING);
    say(s, k, EVENT_RETIRED);
    return true;
}

static bool submit(struct step *s, struct keyring_key *k)
{
    struct keyring *ring = s->ring;
    if (!k->wanted || !(k->role & KEYRING_KSK) || is_in(&k->ds) || ring->wish != KEYRING_ENABLED)
        return false;
    if (!verifiable(ring, k->algorithm))
        return false;
    if (!present(&k->dnskey) && !(absent(&k->dnskey) && ds_goes_first(s, k)))
        return false;
    /* No DNSKEY set in a cache may name an algorithm that not all is signed with. */
    EACH_KEY(ring, o)
    if (o->algorithm != k->algorithm && !absent(&o->dnskey) && !verifiable(ring, o->algorithm))
        return false;
    cell_set(&k->ds, CELL_COMING);
    say(s, k, EVENT_SUBMITTED);
    return true;
}

static bool may_withdraw(const struct step *s, const struct keyring_key *k)
{
    EACH_KEY(s->ring, o)
    {
        if (o == k || !o->wanted || !(o->role & KEYRING_KSK) || !present(&o->dnskey) ||
            !verifiable(s->ring, o->algorithm))
            continue;
        if (present(&o->ds) || (is_in(&o->ds) && present(&k->dnskey)))
            return true;
    }
    return false;
}

static bool withdraw(struct step *s, struct keyring_key *k)
{
    if (k->wanted || !is_in(&k->ds) || !may_withdraw(s, k))
        return false;
    cell_set(&k->ds, CELL_GOING);
    say(s, k, EVENT_WITHDRAWN);
    return true;
}

/* Its DS and the one of a key that takes its place are in every cache. */
static bool double_ds_stands(const struct step *s, const struct keyring_key *k)
{
    if (!present(&k->ds))
        return false;
    EACH_KEY(s->ring, o)
    if (o != k && o->wanted && o->role & KEYRING_KSK && o->algorithm == k->algorithm &&
        is_in(&o->dnskey) && present(&o->ds))
        return true;
    return false;
}

static bool may_unpublish(const struct step *s, const struct keyring_key *k)
{
    struct keyring *ring = s->ring;
    if (!wanted_signer(ring, k->algorithm))
        return algorithm_may_go(s, k->algorithm);
    if (!absent(&k->zone))
        return false;
    bool replaced = false;
    EACH_KEY(ring, o)
    replaced = replaced || (o != k && o->wanted && o->algorithm == k->algorithm &&
                            (o->role & k->role) && is_in(&o->dnskey));
    if (!replaced)
        return false;
    if (!(k->role & KEYRING_KSK) || !secure(s))
        return true;
    return (absent(&k->ds) && path_beside(ring, k, 0)) || double_ds_stands(s, k);
}

static bool unpublish(struct step *s, struct keyring_key *k)
{
    if (k->wanted || !is_in(&k->dnskey) || !may_unpublish(s, k))
        return false;
    cell_set(&k->dnskey, CELL_GOING);
    say(s, k, EVENT_UNPUBLISHED);
    return true;
}

static bool removable(const struct keyring_key *k)
{
    return !k->wanted && absent(&k->dnskey) && absent(&k->zone) && absent(&k->ds);
}

static bool decide(struct step *s)
{
    static bool (*const decision[])(struct step *, struct keyring_key *) = {
        publish, sign, submit, withdraw, unpublish, stop};
    bool any = false;
    for (size_t i = 0; i < sizeof decision / sizeof decision[0]; i++)
        EACH_KEY(s->ring, k) any |= decision[i](s, k);
    return any;
}

/* ---- which keys are wanted
 * -------------------------------------------------------------------------------- */

static unsigned roles_needed(const struct keyring_policy *p, enum keyring_role out[2])
{
    if (p->offline_ksk || p->csk) {
        out[0] = p->offline_ksk ? KEYRING_ZSK : KEYRING_CSK;
        return 1;
    }
    out[0] = KEYRING_KSK;
    out[1] = KEYRING_ZSK;
    return 2;
}

/* A key with one of these tasks is on its way out. */
static bool busy(const struct keyring *ring, enum keyring_role role)
{
    for (const struct keyring_key *k = ring->key; k < ring->key + ring->n; k++)
        if (!gone(k) && !k->wanted && k->role & role)
            return true;
    return false;
}

static struct keyring_key *wanted_key(struct keyring *ring, enum keyring_role role,
                                      uint8_t algorithm)
{
    struct keyring_key *found = NULL;
    EACH_KEY(ring, k)
    if (k->wanted && k->role == role && (!algorithm || k->algorithm == algorithm))
        found = k;
    return found;
}

/* It does all that it is there for, everywhere. */
static bool settled(const struct keyring_key *k)
{
    return present(&k->dnskey) && (!(k->role & KEYRING_KSK) || present(&k->ds)) &&
           (!(k->role & KEYRING_ZSK) || present(&k->zone) || k->covers);
}

static int64_t lifetime(const struct keyring_policy *p, const struct keyring_key *k)
{
    return k->role & KEYRING_KSK ? p->ksk_lifetime_s : p->zsk_lifetime_s;
}

static bool expired(const struct step *s, const struct keyring_key *k)
{
    int64_t life = lifetime(s->policy, k);
    return s->policy->generate && life && k->active_at >= 0 && settled(k) &&
           s->ring->clock - k->active_at >= life;
}

static void goals(struct step *s)
{
    struct keyring *ring = s->ring;
    enum keyring_role role[2];
    unsigned n = roles_needed(s->policy, role), have = 0;
    bool any = false;
    if (ring->wish == KEYRING_DELETED)
        return;
    EACH_KEY(ring, k) any = true;
    for (unsigned i = 0; i < n; i++) {
        struct keyring_key *k = wanted_key(ring, role[i], s->policy->algorithm);
        have += k != NULL;
        bool make = k ? (k->roll || expired(s, k)) && !busy(ring, role[i])
                      : (s->policy->generate || any) && !busy(ring, KEYRING_CSK);
        if (k && make && !k->roll) {
            k->roll = true;
            say(s, k, EVENT_ROLL);
        }
        if (make)
            s->plan->missing[s->plan->generate++] = role[i];
    }
    if (have < n)
        return;
    /* Keys of another kind or algorithm than the policy has. */
    EACH_KEY(ring, k)
    {
        bool needed = k->algorithm == s->policy->algorithm &&
                      (k->role == role[0] || (n == 2 && k->role == role[1]));
        if (k->wanted && !needed) {
            k->wanted = false;
            say(s, k, EVENT_ROLL);
        }
    }
}

/* ---- states and times of RFC 7583
 * ------------------------------------------------------------------------- */

static enum keyring_state state_of(const struct keyring_key *k)
{
    bool ksk = k->role & KEYRING_KSK, zsk = k->role & KEYRING_ZSK;
    if (removable(k))
        return KEY_REMOVED;
    if (!k->wanted) {
        bool used = is_in(&k->dnskey) || (zsk && !absent(&k->zone)) || (ksk && is_in(&k->ds));
        return used ? KEY_RETIRED : KEY_DEAD;
    }
    bool acts = ksk ? present(&k->ds) && present(&k->dnskey) : is_in(&k->zone);
    if (acts)
        return KEY_ACTIVE;
    if (present(&k->dnskey) || (ksk && present(&k->ds)))
        return KEY_READY;
    return is_in(&k->dnskey) || (ksk && is_in(&k->ds)) ? KEY_PUBLISHED : KEY_GENERATED;
}

static time_t *time_of(struct keyring_key *k, enum keyring_state state)
{
    switch (state) {
    case KEY_PUBLISHED:
        return &k->publish;
    case KEY_READY:
        return &k->ready;
    case KEY_ACTIVE:
        return &k->active;
    case KEY_RETIRED:
        return &k->retire;
    case KEY_DEAD:
        return &k->dead;
    case KEY_REMOVED:
        return &k->remove;
    case KEY_GENERATED:
    case KEY_STATES:
        break;
    }
    return &k->created;
}

static void states(struct step *s, time_t now)
{
    EACH_KEY(s->ring, k)
    {
        enum keyring_state state = state_of(k);
        if (state == KEY_ACTIVE && k->active_at < 0) {
            k->active_at = s->ring->clock;
            say(s, k, EVENT_ACTIVE);
        }
        if (state == k->state)
            continue;
        k->state = state;
        time_t *at = time_of(k, state);
        if (!*at)
            *at = now;
        s->plan->changed = true;
        if (state == KEY_REMOVED)
            say(s, k, EVENT_REMOVED);
    }
}

static void soonest(int64_t *in, int64_t s)
{
    if (s < 1)
        s = 1;
    if (!*in || s < *in)
        *in = s;
}

static int64_t wake_in(const struct step *s)
{
    int64_t in = 0;
    EACH_KEY(s->ring, k)
    {
        const struct keyring_cell *cell[] = {&k->dnskey, &k->zone, &k->ds};
        for (int i = 0; i < 3; i++) {
            int64_t due = keyring_due_in(s->ring, s->policy, k, cell[i]);
            if (due >= 0)
                soonest(&in, due);
        }
        int64_t life = lifetime(s->policy, k);
        if (life && k->wanted && !k->roll && k->active_at >= 0 && s->policy->generate)
            soonest(&in, k->active_at + life - s->ring->clock);
    }
    return in;
}

void keyring_step(struct keyring *ring, const struct keyring_policy *policy,
                  const struct keyring_facts *facts, struct keyring_plan *out)
{
    struct step s = {ring, policy, out};
    *out = (struct keyring_plan){0};
    clock_advance(ring, &facts->time);
    if (facts->served)
        observe(&s, facts);
    ripen(&s);
    goals(&s);
    while (ring->wish != KEYRING_DELETED && decide(&s))
        out->changed = true;
    states(&s, facts->time.now);
    out->wake_in = wake_in(&s);
}

struct keyset *keyring_keyset(const struct keyring *ring, const struct keyring_policy *policy)
{
    unsigned n = 0;
    struct keyset *set = keyset_new(KEYRING_KEYS_MAX, 0, 0);
    set->unsigned_zone = ring->wish == KEYRING_DELETED;
    set->cds_delete = ring->wish == KEYRING_DISABLED && !policy->offline_ksk;
    for (const struct keyring_key *k = ring->key; k < ring->key + ring->n; k++) {
        bool ds = is_in(&k->ds) && ring->wish == KEYRING_ENABLED;
        if (gone(k) || set->unsigned_zone || !(is_in(&k->dnskey) || is_in(&k->zone) || ds))
            continue;
        set->key[n++] = (struct keyset_key){
            .rdata = mem_dup(k->rdata, k->len),
            .len = k->len,
            .private = k->private ? dnssec_private_ref(k->private) : NULL,
            .publish = is_in(&k->dnskey),
            .signs_keys = is_in(&k->dnskey) && k->role & KEYRING_KSK,
            .signs_zone = is_in(&k->zone),
            .ds = ds,
        };
    }
    set->n = n;
    keyset_seal(set);
    return set;
}

/* ---- keys come, and the operator's word
 * ------------------------------------------------------------------- */

struct keyring *keyring_new(const uint8_t *apex)
{
    struct keyring *ring = mem_zalloc(sizeof *ring);
    memcpy(ring->apex, apex, name_len(apex));
    ring->tick = -1;
    return ring;
}

static void key_clear(struct keyring_key *k)
{
    mem_free(&k->rdata);
    dnssec_private_unref(k->private);
    k->private = NULL;
}

void keyring_free(struct keyring **ring)
{
    if (!*ring)
        return;
    for (unsigned i = 0; i < (*ring)->n; i++)
        key_clear(&(*ring)->key[i]);
    mem_free(ring);
}

bool keyring_has_tag(const struct keyring *ring, uint8_t algorithm, uint16_t tag)
{
    for (unsigned i = 0; i < ring->n; i++)
        if (ring->key[i].algorithm == algorithm && ring->key[i].tag == tag)
            return true;
    return false;
}

/* The oldest of those that are removed is forgotten when they are many. */
static void forget_some(struct keyring *ring)
{
    unsigned removed = 0, oldest = ring->n;
    for (unsigned i = ring->n; i-- > 0;)
        if (gone(&ring->key[i])) {
            removed++;
            oldest = i;
        }
    if (removed <= KEYRING_REMOVED_KEPT)
        return;
    key_clear(&ring->key[oldest]);
    memmove(&ring->key[oldest], &ring->key[oldest + 1],
            (ring->n - oldest - 1) * sizeof ring->key[0]);
    ring->n--;
}

int keyring_add(struct keyring *ring, enum keyring_role role, const uint8_t *rdata, uint16_t len,
                struct dnssec_private *private, bool in_use, time_t now, struct keyring_key **out,
                struct why *why)
{
    uint16_t tag = dnssec_key_tag(rdata, len);
    if (keyring_has_tag(ring, rdata[3], tag))
        return why_set(why, -E_EXISTS, "a key of algorithm %u with tag %u is there already",
                       rdata[3], tag);
    if (busy(ring, role))
        return why_set(why, -E_AGAIN,
                       "a rollover of the %s is going on: a key is still on its way out",
                       keyring_role_text(role));
    forget_some(ring);
    if (ring->n == KEYRING_KEYS_MAX)
        return why_set(why, -E_LIMIT, "the zone has %d keys, which is as many as there may be",
                       KEYRING_KEYS_MAX);
    EACH_KEY(ring, k) if (k->wanted && k->role == role && k->algorithm == rdata[3])
    {
        k->wanted = false;
        k->roll = false;
    }
    struct keyring_key *k = &ring->key[ring->n++];
    *k = (struct keyring_key){.rdata = mem_dup(rdata, len),
                              .len = len,
                              .tag = tag,
                              .algorithm = rdata[3],
                              .role = role,
                              .wanted = true,
                              .created = now,
                              .active_at = -1,
                              .private = private ? dnssec_private_ref(private) : NULL};
    cell_set(&k->dnskey, in_use ? CELL_PRESENT : CELL_ABSENT);
    cell_set(&k->zone, in_use && role & KEYRING_ZSK ? CELL_COMING : CELL_ABSENT);
    cell_set(&k->ds, in_use && role & KEYRING_KSK ? CELL_PRESENT : CELL_ABSENT);
    k->covers = in_use && role & KEYRING_ZSK;
    k->published = in_use;
    *out = k;
    return 0;
}

int keyring_enable(struct keyring *ring, time_t now, struct why *why)
{
    if (ring->wish == KEYRING_ENABLED)
        return why_set(why, -E_MISMATCH, "DNSSEC is enabled already");
    ring->wish = KEYRING_ENABLED;
    ring->wish_at = now;
    return 0;
}

int keyring_disable(struct keyring *ring, time_t now, struct why *why)
{
    if (ring->wish != KEYRING_ENABLED)
        return why_set(why, -E_MISMATCH, "DNSSEC is disabled already");
    ring->wish = KEYRING_DISABLED;
    ring->wish_at = now;
    EACH_KEY(ring, k) if (is_in(&k->ds)) cell_set(&k->ds, CELL_GOING);
    return 0;
}

int keyring_delete(struct keyring *ring, time_t now, struct why *why)
{
    if (ring->wish == KEYRING_DELETED)
        return why_set(why, -E_MISMATCH, "DNSSEC is deleted already");
    if (ring->wish != KEYRING_DISABLED || ds_anywhere(ring))
        return why_set(why, -E_MISMATCH,
                       "DNSSEC is %s: first the DS must be gone from the parent and from the "
                       "caches of resolvers, or they would take the zone for bogus",
                       keyring_status(ring));
    ring->wish = KEYRING_DELETED;
    ring->wish_at = now;
    EACH_KEY(ring, k)
    {
        k->wanted = k->roll = k->covers = false;
        cell_set(&k->dnskey, CELL_ABSENT);
        cell_set(&k->zone, CELL_ABSENT);
        k->state = KEY_REMOVED;
        k->remove = now;
    }
    return 0;
}

/* Of all cells of DS that wait to be seen in that state. */
static bool said(struct keyring *ring, enum keyring_cell_state state)
{
    bool any = false;
    EACH_KEY(ring, k) if (k->ds.state == state)
    {
        any = true;
        if (k->ds.at < 0)
            k->ds.at = ring->clock;
    }
    return any;
}

int keyring_ds_seen(struct keyring *ring, const struct keyring_time *time, struct why *why)
{
    clock_advance(ring, time);
    if (said(ring, CELL_COMING))
        return 0;
    return why_set(why, -E_MISMATCH, "no DS is waited for");
}

int keyring_ds_gone(struct keyring *ring, const struct keyring_time *time, struct why *why)
{
    clock_advance(ring, time);
    if (said(ring, CELL_GOING))
        return 0;
    return why_set(why, -E_MISMATCH, "no DS is waited for to go");
}

static int may_roll(const struct keyring *ring, const struct keyring_key *k, struct why *why)
{
    const char *role = keyring_role_text(k->role);
    if (busy(ring, k->role))
        return why_set(why, -E_AGAIN,
                       "a rollover of the %s is going on: a key is still on its way out", role);
    if (ds_anywhere((struct keyring *)(uintptr_t)ring) && !settled(k))
        return why_set(why, -E_AGAIN, "%s %u is not fully in use yet: see `weir dnssec`", role,
                       k->tag);
    return 0;
}

int keyring_roll(struct keyring *ring, enum keyring_role role, struct why *why)
{
    struct keyring_key *k = wanted_key(ring, role, 0);
    if (!k)
        return why_set(why, -E_NOENT, "the zone has no %s", keyring_role_text(role));
    int err = may_roll(ring, k, why);
    k->roll |= !err;
    return err;
}

int keyring_retire(struct keyring *ring, struct keyring_key *key, struct why *why)
{
    if (!key->wanted)
        return why_set(why, -E_MISMATCH, "%s %u is on its way out already",
                       keyring_role_text(key->role), key->tag);
    int err = may_roll(ring, key, why);
    key->roll |= !err;
    return err;
}
