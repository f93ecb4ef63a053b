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
 *
 * Where others sign the zone too (RFC 8901), our signatures meet their DNSKEY sets as well as ours. So for a key that signs the zone "its DNSKEY
 * is in every cache" means: in ours and in theirs (others_see). A KSK signs our DNSKEY set and no other, and is none of their business.
 */
#include "pipeline/run/keyring_p.h"

#include "pipeline/base/alloc.h"

#include <string.h>

struct step {
    struct keyring *ring;
    const struct keyring_policy *policy;
    struct keyring_plan *plan;
};

/* May a resolver have a DS of ours? An offline KSK's DS is somebody else's business: take it for there. */
static bool secure(const struct step *s)
{
    return s->policy->offline_ksk || keyring_is_secure(s->ring);
}

/* … or a DS of anybody's, and so look at our signatures? */
static bool validated(const struct step *s)
{
    return s->ring->others || secure(s);
}

static void say(struct step *s, const struct keyring_key *k, enum keyring_event_kind kind)
{
    s->plan->changed = true;
    if (s->plan->nevents < KEYRING_EVENTS_MAX)
        s->plan->event[s->plan->nevents++] =
            (struct keyring_event){kind, k->tag, k->algorithm, k->role};
}

/* ---- time
 * ------------------------------------------------------------------------------------------------ */

/* What was served before was so until now. True: the largest is another one; it is to be saved, for one that rises and sinks again would
 * else be forgotten with a crash. */
bool keyring_ttl_note(struct keyring_ttl *t, uint32_t ttl, int64_t clock, int64_t delay)
{
    uint32_t was = t->ttl;
    if (t->served >= t->ttl || clock >= t->until) {
        t->ttl = t->served;
        t->until = clock + t->served + delay;
    } else if (ttl < t->served && t->until < clock + t->served + delay) {
        t->until = clock + t->served + delay; /* it sinks anew before the largest has gone */
    }
    if (ttl >= t->ttl) {
        t->ttl = ttl;
        t->until = clock + ttl + delay;
    }
    t->served = ttl;
    return t->ttl != was;
}

enum wait_of { WAIT_DNSKEY, WAIT_DNSKEY_EVERYWHERE, WAIT_ZONE, WAIT_DS };

static int64_t wait_s(const struct keyring *ring, const struct keyring_policy *policy,
                      enum wait_of what)
{
    int64_t ttl = what == WAIT_ZONE ? ring->zone_ttl.ttl
                  : what == WAIT_DS ? ring->ds_ttl.ttl
                                    : ring->dnskey_ttl.ttl;
    if (what == WAIT_DNSKEY_EVERYWHERE && ttl < ring->others_ttl.ttl)
        ttl = ring->others_ttl.ttl;
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
    bool everywhere = k->role & KEYRING_ZSK && c->state == CELL_COMING;
    enum wait_of what = c == &k->zone ? WAIT_ZONE
                        : c == &k->ds ? WAIT_DS
                        : everywhere  ? WAIT_DNSKEY_EVERYWHERE
                                      : WAIT_DNSKEY;
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

static bool is_shown(const struct keyring_others *o, const struct keyring_key *k)
{
    for (unsigned i = 0; i < o->n; i++)
        if (o->shown[i].len == k->len && memcmp(o->shown[i].rdata, k->rdata, k->len) == 0)
            return true;
    return false;
}

/* Do the others let its DNSKEY count as seen? When every one of them serves it; one that takes it out again makes it wait anew, as long as
 * waiting helps: while it does not sign, or signs beside the key of another algorithm. Once all hangs on it, what they do changes nothing here:
 * its signatures are in caches, no cell that is set back calls them in again, and the key before it, to which one would have to return, may
 * be gone; but all that rests on the cell (a CSK's DS, the old key's way out) would stand still. That a signer has lost a key in use is for
 * people to mend, there; run/signers.h raises the alarm. */
static bool others_see(struct step *s, const struct keyring_key *k)
{
    if (!k->lacking)
        return true;
    if (!present(&k->dnskey))
        return false;
    EACH_KEY(s->ring, o)
    if (o != k && is_in(&o->zone))
        return false;
    return true;
}

/* What every other signer serves of our keys: also when no version of ours is known, for that they lacked a key must not be missed. */
static void others_look(struct step *s, const struct keyring_others *o)
{
    struct keyring *ring = s->ring;
    s->plan->changed |= ring->others != (o != NULL);
    ring->others = o != NULL;
    s->plan->changed |= keyring_ttl_note(&ring->others_ttl, o ? o->dnskey_ttl : 0, ring->clock,
                                         s->policy->propagation_delay_s);
    EACH_KEY(ring, k)
    {
        bool lacking = o && k->role & KEYRING_ZSK && k->wanted && !is_shown(o, k);
        s->plan->changed |= lacking != k->lacking;
        k->lacking = lacking;
    }
    EACH_KEY(ring, k)
    if (is_in(&k->dnskey) && !others_see(s, k))
        note_seen(s, k, &k->dnskey, false, true);
}

static void observe(struct step *s, const struct keyring_facts *f)
{
    struct keyring *ring = s->ring;
    int64_t delay = s->policy->propagation_delay_s;
    uint32_t ttl = f->dnskey && f->dnskey->ttl > f->negative_ttl ? f->dnskey->ttl : f->negative_ttl;
    s->plan->changed |= keyring_ttl_note(&ring->dnskey_ttl, ttl, ring->clock, delay);
    EACH_KEY(ring, k)
    {
        bool seen = set_has(f->dnskey, k->rdata, k->len);
        note_seen(s, k, &k->dnskey, seen && (!is_in(&k->dnskey) || others_see(s, k)), f->current);
    }
    if (!f->uses)
        return;
    s->plan->changed |= keyring_ttl_note(&ring->zone_ttl, f->uses->ttl_max, ring->clock, delay);
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

bool keyring_fact_parent(struct keyring *ring, const struct keyring_parent *parent)
{
    keyring_advance(ring, &parent->time);
    if (parent->any) {
        keyring_ttl_note(&ring->ds_ttl, parent->ttl, ring->clock, 0);
        ring->ds_checked = parent->time.now;
    }
    bool lost = false;
    EACH_KEY(ring, k)
    {
        if (!(k->role & KEYRING_KSK))
            continue;
        bool was = present(&k->ds);
        bool all = ds_in(ring, k, parent->all), any = ds_in(ring, k, parent->any);
        /* Somebody was there before us: the parent has the DS of a key that is to stay. */
        if (absent(&k->ds) && k->wanted && any && ring->wish == KEYRING_ENABLED)
            cell_set(&k->ds, CELL_COMING);
        cell_see(&k->ds, is_in(&k->ds) ? all : any, true, ring->clock);
        lost = lost || (was && !present(&k->ds));
    }
    return !lost;
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
    if (!validated(s))
        return true;
    if (ds_goes_first(s, k) && !present(&k->ds))
        return false;
    bool any = false;
    EACH_KEY(s->ring, o)
    {
        any = any || is_in(&o->dnskey);
        if (o != k && o->algorithm == k->algorithm && is_in(&o->dnskey))
            return true;
    }
    return !any || covered(s->ring, k->algorithm); /* the first of all, beside an offline KSK */
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
    if (before && (before->wanted || (validated(s) && !present(&k->dnskey))))
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
    if (!validated(s))
        return true;
    return verifiable(ring, next) &&
           (s->policy->offline_ksk || !secure(s) || path_beside(ring, NULL, next));
}

static bool stop(struct step *s, struct keyring_key *k)
{
    if (k->wanted || !is_in(&k->zone) || wanted_signer(s->ring, k->algorithm) ||
        !algorithm_may_go(s, k->algorithm))
        return false;
    if (validated(s))
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

static int64_t lifetime(const struct keyring_policy *p, const struct keyring_key *k)
{
    return k->role & KEYRING_KSK ? p->ksk_lifetime_s : p->zsk_lifetime_s;
}

static bool expired(const struct step *s, const struct keyring_key *k)
{
    int64_t life = lifetime(s->policy, k);
    return s->policy->generate && !k->hsm && life && k->active_at >= 0 && keyring_settled(k) &&
           s->ring->clock - k->active_at >= life;
}

static void goals(struct step *s)
{
    struct keyring *ring = s->ring;
    enum keyring_role role[2];
    unsigned n = roles_needed(s->policy, role), have = 0;
    if (ring->wish == KEYRING_DELETED)
        return;
    for (unsigned i = 0; i < n; i++) {
        struct keyring_key *k = keyring_wanted(ring, role[i], s->policy->algorithm);
        have += k != NULL;
        bool make = k ? (k->roll || expired(s, k)) && !keyring_busy(ring, role[i])
                      : s->policy->generate && !keyring_busy(ring, KEYRING_CSK);
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
    keyring_advance(ring, &facts->time);
    others_look(&s, facts->others);
    if (facts->served)
        observe(&s, facts);
    ripen(&s);
    goals(&s);
    while (ring->wish != KEYRING_DELETED && decide(&s))
        out->changed = true;
    states(&s, facts->time.now);
    out->wake_in = wake_in(&s);
}

/* What it does now. One that does nothing has no private half either: that the file goes makes no difference. */
static struct keyset_key key_now(const struct keyring *ring, const struct keyring_key *k)
{
    bool there = !gone(k);
    struct keyset_key now = {
        .rdata = mem_dup(k->rdata, k->len),
        .len = k->len,
        .publish = there && is_in(&k->dnskey),
        .signs_keys = there && is_in(&k->dnskey) && k->role & KEYRING_KSK,
        .signs_zone = there && is_in(&k->zone),
        .ds = there && is_in(&k->ds) && ring->wish == KEYRING_ENABLED,
    };
    if (k->private && (now.publish || now.signs_zone || now.ds))
        now.private = dnssec_private_ref(k->private);
    return now;
}

struct keyset *keyring_keyset(const struct keyring *ring, const struct keyring_policy *policy)
{
    bool unsigned_zone = ring->wish == KEYRING_DELETED;
    struct keyset *set = keyset_new(unsigned_zone ? 0 : ring->n, 0, 0);
    set->unsigned_zone = unsigned_zone;
    set->resigns = ring->resigns;
    set->ksk_elsewhere = policy->offline_ksk && !unsigned_zone;
    set->cds_delete = ring->wish == KEYRING_DISABLED && !policy->offline_ksk;
    for (unsigned i = 0; i < set->n; i++)
        set->key[i] = key_now(ring, &ring->key[i]);
    keyset_seal(set);
    return set;
}
