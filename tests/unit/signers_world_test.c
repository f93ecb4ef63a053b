/* signers: several signers of one zone, their parent, and every cache that there can be, over random joins, leaves and rollovers (RFC 8901 6).
 *
 * The world knows nothing of steps. Each side has a DNSKEY set with the KSK that signs it, a ZSK that signs all else, and an NS set. A resolver
 * asks whom an NS set names that is in its cache, the parent's or any side's; what it was given stays in its cache for its TTL. At every
 * moment, of all that can be in a cache, in any combination:
 *
 *   each DS set × each DNSKEY set:      the DS set names a KSK that signs the DNSKEY set
 *   each DNSKEY set × each signature:   its key is in the DNSKEY set
 *
 * We have the book and the keyring, and a stage that serves late. The others do what they should, when they come to it: they import keys,
 * take over the NS set, roll their own ZSK and KSK with the waits of RFC 8901 6.2, stop answering when asked to. Servers are silent, answers
 * are forged, the second server lags, clocks jump, the machine and the book are started anew, signers come, leave and come again.
 */
#include "tests/lib/crypto_memo.h"
#include "tests/lib/random.h"
#include "tests/lib/signersplay.h"
#include "tests/lib/suite.h"

#include "pipeline/base/alloc.h"
#include "pipeline/run/keyring_p.h"

enum { SIDES = PLAY_OTHERS + 1, STATES = 64, SETS = 512 };
#define KEY(side, index) ((side)*SIGNER_KEYS + (index))

/* What a side serves; also what its slow secondaries still do. */
struct served {
    uint32_t dnskey, ksks; /* the set, and who signs it */
    unsigned zsk, ns;      /* ns: sides whose servers it names */
    int64_t until;         /* < 0: now */
};
struct cached {
    uint32_t set, ksks;
    int64_t until;
};
struct roll {
    int phase;
    unsigned key;
    int64_t since;
};
struct world {
    struct random random;
    struct play play;
    struct keyring_policy keys;
    bool current; /* what is served was made of the last keysets */
    int64_t t;
    struct served served[SIDES][STATES];
    unsigned nserved[SIDES];
    int64_t reach[SIDES]; /* a cache may lead there until then */
    int64_t zone[SIDES * SIGNER_KEYS];
    unsigned ndnskey, nds;
    struct cached dnskey[SETS], ds[SETS];
    int64_t has_since[SIDES][SIDES * SIGNER_KEYS]; /* in the side's set since; < 0: is not */
    int64_t gone_at[SIDES * SIGNER_KEYS];          /* left its own side's set */
    int64_t left_at[SIDES];
    struct roll zsk[SIDES], ksk[SIDES];
    bool silent[SIDES], stopped[SIDES], back[SIDES]; /* back: as before it ever joined */
    bool frozen;
    unsigned joined, left, rolled, backs;
};

/* ---- keys as bits */

static struct play_side *side_of(struct world *w, unsigned side)
{
    return side ? &w->play.other[side - 1].side : &w->play.us;
}

static struct rdata key_of(struct world *w, unsigned id)
{
    return provider_key(&side_of(w, id / SIGNER_KEYS)->signer, id % SIGNER_KEYS);
}

static unsigned key_id(struct world *w, const uint8_t *rdata, uint16_t len)
{
    for (unsigned s = 0; s <= w->play.n; s++)
        for (unsigned i = 0; i < side_of(w, s)->signer.keys; i++) {
            struct rdata r = provider_key(&side_of(w, s)->signer, i);
            if (r.len == len && memcmp(r.data, rdata, len) == 0)
                return KEY(s, i);
        }
    ck_abort_msg("a key that nobody made");
}

static uint32_t mask_of(struct world *w, const struct node *node, uint16_t type)
{
    struct rrset set;
    struct rdata r;
    uint32_t mask = 0;
    if (!node_rrset(node, type, 0, &set))
        return 0;
    for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &r);)
        mask |= 1u << key_id(w, r.data, r.len);
    return mask;
}

static uint32_t set_mask(struct world *w, const struct play_set *set)
{
    uint32_t mask = 0;
    for (unsigned i = 0; i < set->n; i++)
        mask |= 1u << key_id(w, set->key[i].data, set->key[i].len);
    return mask;
}

static unsigned ns_mask(const struct play_names *ns)
{
    unsigned mask = 0;
    for (unsigned i = 0; i < ns->n; i++)
        for (unsigned s = 0; s < SIDES; s++)
            for (int j = 0; j < 2; j++)
                if (name_equal(ns->name[i], play_servers[s][j]))
                    mask |= 1u << s;
    return mask;
}

static bool chance(struct world *w, unsigned of)
{
    return random_below(&w->random, of) == 0;
}

/* ---- what is served */

static struct served *now_of(struct world *w, unsigned side)
{
    return &w->served[side][w->nserved[side] - 1];
}

static void serve(struct world *w, unsigned side, struct served s)
{
    struct served *p = w->served[side];
    unsigned n = w->nserved[side];
    s.until = -1;
    bool trace = w->play.trace && n;
    if (n && p[n - 1].dnskey == s.dnskey && p[n - 1].ksks == s.ksks && p[n - 1].zsk == s.zsk &&
        p[n - 1].ns == s.ns)
        return;
    if (trace)
        printf("%ld side %u: t %ld DNSKEY %x by %x, signatures %u, NS %x\n", (long)w->play.tick,
               side, (long)w->t, s.dnskey, s.ksks, s.zsk, s.ns);
    if (n)
        p[n - 1].until = w->t + (int64_t)random_below(
                                    &w->random, (uint64_t)w->play.policy.propagation_delay_s + 1);
    if (n == STATES) {
        memmove(p, p + STATES / 2, STATES / 2 * sizeof p[0]);
        n = STATES / 2;
    }
    p[n] = s;
    w->nserved[side] = n + 1;
    for (unsigned i = 0; i < SIDES * SIGNER_KEYS; i++) {
        bool in = s.dnskey >> i & 1;
        if (!in && i / SIGNER_KEYS == side && w->has_since[side][i] >= 0)
            w->gone_at[i] = w->t;
        w->has_since[side][i] = !in ? -1 : w->has_since[side][i] < 0 ? w->t : w->has_since[side][i];
    }
}

static void serve_other(struct world *w, unsigned side)
{
    struct play_side *s = side_of(w, side);
    serve(w, side,
          (struct served){set_mask(w, &s->dnskey), 1u << KEY(side, s->ksk), KEY(side, s->zsk),
                          ns_mask(&s->ns), -1});
}

/* ---- caches */

static void cache_put(struct cached *c, unsigned *n, uint32_t set, uint32_t ksks, int64_t until,
                      int64_t t)
{
    for (unsigned i = 0; i < *n; i++)
        if (c[i].set == set && c[i].ksks == ksks) {
            c[i].until = until > c[i].until ? until : c[i].until;
            return;
        }
    for (unsigned i = *n; *n == SETS && i-- > 0;)
        if (c[i].until < t)
            c[i] = c[--*n];
    ck_assert_uint_lt(*n, SETS);
    c[(*n)++] = (struct cached){set, ksks, until};
}

static void reach(struct world *w, unsigned ns, int64_t until)
{
    for (unsigned s = 0; s <= w->play.n; s++)
        if (ns >> s & 1 && w->reach[s] < until)
            w->reach[s] = until;
}

static void ask(struct world *w, unsigned side)
{
    const struct play_side *s = side_of(w, side);
    if (w->reach[side] < w->t || w->stopped[side])
        return;
    for (unsigned i = 0; i < w->nserved[side]; i++) {
        const struct served *p = &w->served[side][i];
        if (p->until >= 0 && p->until < w->t)
            continue;
        reach(w, p->ns, w->t + s->ns_ttl);
        cache_put(w->dnskey, &w->ndnskey, p->dnskey, p->ksks, w->t + s->dnskey_ttl, w->t);
        if (w->zone[p->zsk] < w->t + w->play.zone_ttl)
            w->zone[p->zsk] = w->t + w->play.zone_ttl;
    }
}

static void resolve(struct world *w)
{
    struct play *p = &w->play;
    reach(w, ns_mask(&p->parent_ns), w->t + p->parent_ns_ttl);
    for (unsigned round = 0; round <= p->n; round++)
        for (unsigned s = 0; s <= p->n; s++)
            ask(w, s);
    uint32_t ds = set_mask(w, &p->ds);
    cache_put(w->ds, &w->nds, ds, 0, w->t + p->ds_ttl, w->t);
    if (p->ds_split)
        cache_put(w->ds, &w->nds, set_mask(w, &p->ds_second), 0, w->t + p->ds_ttl, w->t);
}

static void fail_with(struct world *w, const char *what, uint32_t a, uint32_t b)
{
    char *text = signers_text(w->play.book, &w->play.policy, w->play.now);
    ck_abort_msg("t %ld: a cache may have %s: %x, %x\n%s", (long)w->t, what, a, b, text);
}

static void check(struct world *w)
{
    resolve(w);
    for (unsigned i = 0; i < w->ndnskey; i++) {
        const struct cached *k = &w->dnskey[i];
        if (k->until < w->t)
            continue;
        for (unsigned j = 0; j < w->nds; j++)
            if (w->ds[j].until >= w->t && !(w->ds[j].set & k->ksks))
                fail_with(w, "a DS set that does not name the KSK of a DNSKEY set", w->ds[j].set,
                          k->ksks);
        for (unsigned z = 0; z < SIDES * SIGNER_KEYS; z++)
            if (w->zone[z] >= w->t && !(k->set >> z & 1))
                fail_with(w, "a DNSKEY set without the key of a signature", k->set, z);
    }
}

/* ---- we: the ring, the book, the stage */

static void stage_run(struct world *w)
{
    struct play *p = &w->play;
    struct keyset *own = keyring_keyset(p->ring, &w->keys);
    uint32_t ksks = 0;
    p->us.dnskey = (struct play_set){0};
    p->us.cds = (struct play_set){0};
    for (unsigned i = 0; i < own->n; i++) {
        unsigned id = key_id(w, own->key[i].rdata, own->key[i].len);
        if (own->key[i].publish)
            set_put(&p->us.dnskey, key_of(w, id));
        if (own->key[i].ds)
            set_put(&p->us.cds, key_of(w, id));
        if (own->key[i].signs_zone)
            p->us.zsk = id % SIGNER_KEYS;
        if (own->key[i].publish && own->key[i].signs_keys)
            ksks |= 1u << id;
    }
    keyset_unref(own);
    struct play_set cds = p->us.cds;
    p->us.ns = p->ours_in;
    play_serve_cds(p, &cds);
    w->current = true;
    serve(w, 0,
          (struct served){mask_of(w, p->apex, RR_DNSKEY), ksks, KEY(0, p->us.zsk),
                          ns_mask(&p->us.ns), -1});
}

static void ring_step(struct world *w)
{
    struct play *p = &w->play;
    struct rrset dnskey;
    struct key_uses uses = {.rrsets = 1, .ttl_max = p->zone_ttl, .n = 1};
    struct rdata zsk = play_zsk(&p->us);
    uses.use[0] = (struct key_use){
        .tag = dnssec_key_tag(zsk.data, zsk.len), .algorithm = ALG_ED25519, .signatures = 1};
    ck_assert(node_rrset(p->apex, RR_DNSKEY, 0, &dnskey));
    struct keyring_facts facts = {.time = {p->now, p->tick, p->boot},
                                  .dnskey = &dnskey,
                                  .served = true,
                                  .current = w->current,
                                  .uses = &uses,
                                  .others = signers_others(p->book)};
    struct keyring_plan plan;
    keyring_step(p->ring, &w->keys, &facts, &plan);
    w->current = w->current && !plan.changed;
}

static void ring_parent(struct world *w)
{
    struct play *p = &w->play;
    if (!p->parent || !p->parent->complete)
        return;
    struct rrset all = parent_set_rrset(&p->parent->all), any = parent_set_rrset(&p->parent->any);
    keyring_fact_parent(p->ring, &(struct keyring_parent){.all = &all,
                                                          .any = &any,
                                                          .ttl = p->ds_ttl,
                                                          .time = {p->now, p->tick, p->boot}});
}

static void events(struct world *w)
{
    const struct signers_plan *plan = &w->play.plan;
    for (unsigned i = 0; i < plan->nevents; i++) {
        w->joined += plan->event[i].step == JOINED && !plan->event[i].alarm;
        w->left += plan->event[i].step == LEFT;
        w->backs += plan->event[i].back;
    }
    if (plan->changed)
        w->current = false;
}

static void we_look(struct world *w)
{
    struct play *p = &w->play;
    for (unsigned i = 0; i < p->n; i++) {
        struct play_other *o = &p->other[i];
        bool forged = !w->frozen && chance(w, 12);
        o->unasked = !w->frozen && chance(w, 4);
        o->said = w->stopped[i + 1]  ? SIGNER_NOT_SERVED
                  : w->silent[i + 1] ? SIGNER_NO_ANSWER
                                     : SIGNER_ANSWERED;
        o->second = !w->frozen && chance(w, 10) ? SIGNER_NO_ANSWER : SIGNER_ANSWERED;
        o->lies = forged;
        o->lacks = (struct rdata){0};
        if (!w->frozen && chance(w, 6))
            o->lacks = o->side.dnskey.key[random_below(&w->random, o->side.dnskey.n)];
        if (o->lacks.len &&
            (get_u16(o->lacks.data) & DNSKEY_SEP || set_has(&o->side.cds, o->lacks) ||
             key_id(w, o->lacks.data, o->lacks.len) / SIGNER_KEYS == i + 1))
            o->lacks = (struct rdata){0};
    }
    p->parent_silent = !w->frozen && chance(w, 5);
    play_look(p);
    w->t++;
    events(w);
    ring_parent(w);
    ring_step(w);
}

/* ---- the others */

static enum signer_step step_of(struct world *w, unsigned side)
{
    struct book_signer *s = book_signer(w->play.book, w->play.other[side - 1].name);
    return s ? s->step : JOIN_PROVE;
}

/* Resolvers may mix its answers with the others', or are about to. */
static bool engaged(struct world *w, unsigned side)
{
    if (!side)
        return true;
    enum signer_step step = step_of(w, side);
    return w->reach[side] >= w->t || (step >= JOIN_EXCHANGE_KEYS && step <= LEAVE_STOP_ANSWERING);
}

static int64_t ttl_max(struct world *w)
{
    int64_t ttl = 0;
    for (unsigned s = 0; s <= w->play.n; s++)
        ttl = side_of(w, s)->dnskey_ttl > ttl ? side_of(w, s)->dnskey_ttl : ttl;
    return ttl;
}

static int64_t patience(struct world *w)
{
    return 2 * w->play.policy.propagation_delay_s + 5;
}

static void import(struct world *w, unsigned side)
{
    struct play_side *s = side_of(w, side);
    for (unsigned o = 0; o <= w->play.n; o++)
        for (unsigned i = 0; o != side && i < side_of(w, o)->signer.keys; i++) {
            unsigned id = KEY(o, i);
            struct rdata key = key_of(w, id);
            if (get_u16(key.data) & DNSKEY_SEP)
                continue;
            if (engaged(w, o) && now_of(w, o)->dnskey >> id & 1)
                set_put(&s->dnskey, key);
            bool left = o && step_of(w, o) == LEFT && w->left_at[o] + 1500 < w->t;
            bool gone = !(now_of(w, o)->dnskey >> id & 1) &&
                        w->gone_at[id] + w->play.zone_ttl + ttl_max(w) + patience(w) < w->t;
            if (left || gone)
                set_drop(&s->dnskey, key);
        }
}

/* Everybody with whom resolvers may mix has had it long enough. */
static bool known_everywhere(struct world *w, unsigned id)
{
    for (unsigned s = 0; s <= w->play.n; s++)
        if (engaged(w, s) &&
            (w->has_since[s][id] < 0 || w->has_since[s][id] + ttl_max(w) + patience(w) > w->t))
            return false;
    return true;
}

/* RFC 8901 6.2. */
static void roll_zsk(struct world *w, unsigned side)
{
    struct play_side *s = side_of(w, side);
    struct roll *r = &w->zsk[side];
    if (r->phase == 0 && !w->frozen && chance(w, 40) && s->signer.keys < SIGNER_KEYS &&
        step_of(w, side) != LEFT) {
        set_put(&s->dnskey, play_key_new(s, 256, &r->key));
        r->phase = 1;
    } else if (r->phase == 1 && known_everywhere(w, KEY(side, r->key))) {
        unsigned old = s->zsk;
        s->zsk = r->key;
        *r = (struct roll){2, old, w->t};
    } else if (r->phase == 2 && r->since + w->play.zone_ttl + patience(w) < w->t) {
        set_drop(&s->dnskey, provider_key(&s->signer, r->key));
        r->phase = 0;
        w->rolled++;
    }
}

static bool ds_everywhere(struct world *w, struct rdata key)
{
    return set_has(&w->play.ds, key) && (!w->play.ds_split || set_has(&w->play.ds_second, key));
}

static void roll_ksk(struct world *w, unsigned side)
{
    struct play_side *s = side_of(w, side);
    struct roll *r = &w->ksk[side];
    struct rdata key = provider_key(&s->signer, r->key);
    if (step_of(w, side) != JOINED)
        return;
    if (r->phase == 0 && !w->frozen && chance(w, 60) && s->signer.keys < SIGNER_KEYS) {
        key = play_key_new(s, 257, &r->key);
        set_put(&s->dnskey, key);
        set_put(&s->cds, key);
        r->phase = 1;
    } else if (r->phase == 1 && ds_everywhere(w, key)) {
        r->phase = 2;
        r->since = w->t;
    } else if (r->phase == 2 && !ds_everywhere(w, key)) {
        r->phase = 1;
    } else if (r->phase == 2 && r->since + w->play.ds_ttl + s->dnskey_ttl + patience(w) < w->t) {
        unsigned old = s->ksk;
        s->ksk = r->key;
        *r = (struct roll){3, old, w->t};
    } else if (r->phase == 3 && r->since + s->dnskey_ttl + patience(w) < w->t) {
        set_drop(&s->cds, key);
        set_drop(&s->dnskey, key);
        r->phase = 0;
        w->rolled++;
    }
}

static void other_ns(struct world *w, unsigned side)
{
    enum signer_step step = step_of(w, side);
    struct play_side *s = side_of(w, side);
    if (step >= JOIN_EXCHANGE_NS && step < LEAVE_STOP_ANSWERING)
        s->ns = w->play.us.ns;
}

/* The operator looks at its keys first. */
static void other_joins(struct world *w, unsigned side)
{
    struct play_other *o = &w->play.other[side - 1];
    struct rdata ksk = play_ksk(&o->side);
    struct why why;
    trust_anchor_clear(&o->anchor);
    o->anchor = (struct trust_anchor){false, ksk.len, mem_dup(ksk.data, ksk.len)};
    (void)!signers_join(w->play.book, o->name, w->play.now, &why);
    w->back[side] = false;
}

/* It is a signer of its own again. */
static void other_back(struct world *w, unsigned side)
{
    struct play_side *s = side_of(w, side);
    struct play_set kept = {0};
    if (w->reach[side] >= w->t)
        return;
    for (unsigned i = 0; i < s->dnskey.n; i++)
        if (key_id(w, s->dnskey.key[i].data, s->dnskey.key[i].len) / SIGNER_KEYS == side)
            set_put(&kept, s->dnskey.key[i]);
    s->dnskey = kept;
    s->ns = (struct play_names){0};
    for (int j = 0; j < 2; j++)
        names_put(&s->ns, play_servers[side][j]);
    w->stopped[side] = false;
    w->back[side] = true;
}

static void other_act(struct world *w, unsigned side)
{
    enum signer_step step = step_of(w, side);
    if (step == LEFT && w->left_at[side] < 0)
        w->left_at[side] = w->t;
    w->left_at[side] = step == LEFT ? w->left_at[side] : -1;
    if (!w->frozen && chance(w, 10))
        w->silent[side] = chance(w, 3);
    if (step >= JOIN_EXCHANGE_KEYS && step < LEFT && chance(w, 3))
        import(w, side);
    if (chance(w, 3))
        other_ns(w, side);
    if (step == LEAVE_STOP_ANSWERING && chance(w, 6))
        w->stopped[side] = true;
    if (step == LEFT && chance(w, 10))
        other_back(w, side);
    if (!w->stopped[side]) {
        roll_zsk(w, side);
        roll_ksk(w, side);
    }
    serve_other(w, side);
}

/* ---- the parent, and the operator */

static void parent_act(struct world *w)
{
    struct play *p = &w->play;
    uint32_t cds = mask_of(w, p->apex, RR_CDNSKEY);
    if (p->ds_split && chance(w, 2)) {
        p->ds_split = false;
    } else if (!p->ds_split && chance(w, 3) && cds && cds != set_mask(w, &p->ds)) {
        p->ds_second = p->ds;
        p->ds_split = chance(w, 2);
        play_parent_ds(p);
    }
    bool ns = false;
    for (unsigned s = 1; s <= p->n; s++)
        ns |= step_of(w, s) == JOIN_PARENT_NS || step_of(w, s) == LEAVE_PARENT_NS;
    if (ns && chance(w, 3))
        play_parent_ns(p);
}

static void ring_roll(struct world *w)
{
    struct play *p = &w->play;
    struct keyring_key *k;
    struct why why;
    unsigned index;
    enum keyring_role role = chance(w, 3) ? KEYRING_KSK : KEYRING_ZSK;
    if (keyring_busy(p->ring, role) || p->us.signer.keys == SIGNER_KEYS)
        return;
    struct rdata key = play_key_new(&p->us, role == KEYRING_KSK ? 257 : 256, &index);
    int err = keyring_add(p->ring, role, key.data, key.len, NULL, false, p->now, &k, &why);
    ck_assert_msg(!err, "%s", why.text);
}

static void mind_changes(struct world *w)
{
    struct play *p = &w->play;
    struct why why;
    const char *name = p->other[random_below(&w->random, p->n)].name;
    switch (random_below(&w->random, 8)) {
    case 0:
    case 1:
        ring_roll(w);
        break;
    case 2:
        p->now += (int64_t)random_below(&w->random, 400000) - 200000;
        break;
    case 3:
        p->boot++;
        p->tick = (int64_t)random_below(&w->random, 1000);
        play_restart(p);
        break;
    case 4:
        (void)!signers_leave(p->book, name, p->now, &why);
        w->current = false;
        break;
    case 5:
    case 6:
        for (unsigned i = 0; i < p->n; i++)
            if (step_of(w, i + 1) == LEFT && w->back[i + 1])
                other_joins(w, i + 1);
        w->current = false;
        break;
    default:
        play_restart(p);
    }
}

/* ---- worlds */

/* Some are much larger than others, so that each wait is the longest one somewhere. */
static uint32_t any_ttl(struct random *r)
{
    static const uint32_t below[] = {10, 300, 3000};
    return (uint32_t)random_below(r, below[random_below(r, 3)]);
}

static void world_open(struct world *w, struct random *random)
{
    *w = (struct world){.random = random_fork(random), .t = 1000};
    struct random *r = &w->random;
    struct play *p = &w->play;
    play_open(p, 1 + (unsigned)random_below(r, 2));
    p->policy.propagation_delay_s = (int64_t)random_below(r, 20);
    p->zone_ttl = 1 + any_ttl(r);
    p->ds_ttl = any_ttl(r);
    p->policy.ds_ttl_s = p->ds_ttl;
    p->parent_ns_ttl = any_ttl(r);
    w->keys = (struct keyring_policy){.algorithm = ALG_ED25519,
                                      .propagation_delay_s = p->policy.propagation_delay_s,
                                      .ds_ttl_s = p->ds_ttl};
    for (unsigned s = 0; s < SIDES; s++) {
        w->reach[s] = w->left_at[s] = -1;
        for (unsigned i = 0; i < SIDES * SIGNER_KEYS; i++)
            w->has_since[s][i] = w->gone_at[i] = w->zone[i] = -1;
    }
    for (unsigned s = 0; s <= p->n; s++) {
        side_of(w, s)->dnskey_ttl = any_ttl(r);
        side_of(w, s)->ns_ttl = any_ttl(r);
        if (s)
            serve_other(w, s);
    }
    play_turn(p);
    stage_run(w);
}

static void pass(struct world *w)
{
    int64_t s =
        (int64_t)(chance(w, 20) ? random_below(&w->random, 900) : random_below(&w->random, 25));
    w->t += s;
    play_pass(&w->play, s);
}

static void world_go(struct world *w)
{
    check(w);
    pass(w);
    check(w);
    if (chance(w, 2))
        we_look(w);
    else
        ring_step(w);
    check(w);
    if (chance(w, 2))
        stage_run(w);
    check(w);
    for (unsigned s = 1; s <= w->play.n; s++)
        if (chance(w, 3))
            other_act(w, s);
    check(w);
    if (chance(w, 4))
        parent_act(w);
    if (!w->frozen && chance(w, 25))
        mind_changes(w);
}

static bool at_rest(struct world *w)
{
    for (unsigned s = 1; s <= w->play.n; s++)
        if (step_of(w, s) != JOINED && step_of(w, s) != LEFT)
            return false;
    return true;
}

START_TEST(test_no_cache_is_ever_bogus)
{
    struct random random = random_open();
    const char *more = getenv("WEIR_ROUNDS");
    unsigned rounds = more ? (unsigned)atoi(more) : 8, joined = 0, left = 0, rolled = 0, backs = 0;
    for (unsigned i = 0; i < rounds; i++) {
        struct world *w = mem_zalloc(sizeof *w);
        world_open(w, &random);
        for (int n = 0; n < 1200; n++)
            world_go(w);
        /* Nobody disturbs any more: what was begun comes to its end. */
        w->frozen = true;
        w->play.now = 1764000000 + w->t;
        memset(w->silent, 0, sizeof w->silent);
        for (int n = 0; n < 1200 && !(n > 100 && at_rest(w)); n++)
            world_go(w);
        char *text = signers_text(w->play.book, &w->play.policy, w->play.now);
        ck_assert_msg(at_rest(w), "round %u: a signer does not get where it goes\n%s", i, text);
        mem_free(&text);
        joined += w->joined;
        left += w->left;
        rolled += w->rolled;
        backs += w->backs;
        play_close(&w->play);
        mem_free(&w);
    }
    printf("signers: %u joined, %u left, %u were set back, %u keys of theirs rolled in %u worlds\n",
           joined, left, backs, rolled, rounds);
    ck_assert_uint_gt(joined, rounds);
    ck_assert_uint_gt(left, rounds / 4);
    ck_assert_uint_gt(rolled, rounds / 4);
    ck_assert_uint_gt(backs, rounds / 8);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("signers_world");
    suite_add(s, test_no_cache_is_ever_bogus);
    return suite_run(s);
}
