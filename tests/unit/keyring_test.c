/* keyring: a zone, its secondaries, its parent and every cache that there can be, over random rollovers.
 *
 * The world below knows nothing of the ring's cells. It has what is served (a DNSKEY set, and for each of some rrsets the keys whose
 * signatures it has), what each of the parent's servers has, and how long each of these was to be had. At every moment, whatever was to be had not
 * longer ago than its TTL and the delay of its servers can be in a cache, in any combination, and none of them may be bogus:
 *
 *   each DS set × each DNSKEY set:      for each algorithm of the DS, a key that both have
 *   each DNSKEY set × each rrset's:     for each algorithm of the DNSKEYs, a signature by one of them (while there is a DS in some cache)
 *
 * In some worlds another signer has joined (RFC 8901 6.2): then a resolver may also take the DNSKEY set from it and the answer from us,
 *
 *   each of its DNSKEY sets × each rrset's:  a signature by some key that is in both
 *
 * It copies our keys when it comes to it, drops some that do not sign yet, and changes its TTL. Joined means what the book (run/signers.h) sees
 * to: until then it was not asked, and by then all that caches have from it has the keys that sign.
 *
 * The stage is played: it takes the keyset late, or not for a while, and replaces signatures one by one. The clock jumps, facts get lost,
 * weir and the machine are started anew, and the operator and the policy change their minds.
 */
#include "tests/lib/random.h"
#include "tests/lib/suite.h"

#include "pipeline/base/alloc.h"
#include "pipeline/run/keyring.h"

static const uint8_t apex[] = "\4ring\4test";

enum { RRSETS = 5, KEYS = 32, SERVERS = 2, PAST = 4096, COPIES = 256 };
/* While minds change no more keys than that are made, so that in the end there are some for what was begun. */
enum { KEYS_RESTLESS = KEYS - 8 };

/* Sets are masks of keys in the order in which they were made. */
struct past {
    uint32_t set[PAST];
    int64_t from[PAST], until[PAST]; /* it was to be had; until < 0: it is now */
    unsigned n;
};

/* The other signer: what it has of our keys. */
struct copy {
    uint32_t set, ttl;
    int64_t until; /* < 0: it is served now */
};
struct other {
    bool exists, joined;
    struct copy copy[COPIES]; /* newest last */
    unsigned n;
    uint32_t ttl, ttl_told; /* now; the largest since the ring was last told */
    bool
        dropped; /* some, and the ring was not told since: nobody can see what was between two looks */
    unsigned joins, drops;
};

struct world {
    struct random random;
    struct keyring *ring;
    struct keyring_policy policy;
    struct keyset *keys;     /* that the ring gave last */
    uint32_t publish, signs; /* of the keyset that the served version was made with */
    bool current;
    int64_t t; /* the true time */
    int64_t wall_error;
    uint64_t boot;
    int64_t boot_at;
    uint32_t dnskey_ttl, zone_ttl, ds_ttl;
    unsigned nkeys;
    uint8_t rdata[KEYS][12];
    struct past dnskey, rrset[RRSETS], ds[SERVERS];
    struct other other;
    unsigned rolled; /* keys that were removed after they had been in use */
    unsigned kinds;  /* … of which kinds, a bit each */
    unsigned idle;   /* keys that were in a keyset and did nothing */
    bool frozen;     /* nobody changes his mind any more */
    bool trace;      /* WEIR_TRACE: print what the ring says */
};

/* ---- the past */

static void past_put(struct past *p, uint32_t set, int64_t t)
{
    if (p->n && p->set[p->n - 1] == set)
        return;
    if (p->n == PAST) {
        memmove(p->set, p->set + PAST / 2, PAST / 2 * sizeof p->set[0]);
        memmove(p->from, p->from + PAST / 2, PAST / 2 * sizeof p->from[0]);
        memmove(p->until, p->until + PAST / 2, PAST / 2 * sizeof p->until[0]);
        p->n = PAST / 2;
    }
    if (p->n)
        p->until[p->n - 1] = t;
    p->set[p->n] = set;
    p->from[p->n] = t;
    p->until[p->n++] = -1;
}

static uint32_t past_now(const struct past *p)
{
    return p->n ? p->set[p->n - 1] : 0;
}

/* Sets that can be in a cache at t. */
static unsigned past_cached(const struct past *p, int64_t t, int64_t age, uint32_t *out)
{
    unsigned n = 0;
    for (unsigned i = p->n; i-- > 0;) {
        if (p->until[i] >= 0 && p->until[i] + age <= t)
            break;
        bool known = false;
        for (unsigned j = 0; j < n; j++)
            known = known || out[j] == p->set[i];
        if (!known)
            out[n++] = p->set[i];
    }
    return n;
}

/* ---- the other signer */

static uint32_t other_now(const struct world *w)
{
    const struct other *o = &w->other;
    return o->n ? o->copy[o->n - 1].set : 0;
}

static void other_serve(struct world *w, uint32_t set, uint32_t ttl)
{
    struct other *o = &w->other;
    if (o->n && o->copy[o->n - 1].set == set && o->ttl == ttl)
        return;
    if (o->n == COPIES) {
        memmove(o->copy, o->copy + COPIES / 2, COPIES / 2 * sizeof o->copy[0]);
        o->n = COPIES / 2;
    }
    if (o->n)
        o->copy[o->n - 1].until = w->t;
    o->copy[o->n++] = (struct copy){set, ttl, -1};
    o->ttl = ttl;
    o->ttl_told = o->ttl_told > ttl ? o->ttl_told : ttl;
}

/* Not all hangs on it: it does not sign yet, or beside one of the algorithm before, which all have. */
static bool is_idle(const struct keyring *ring, const struct keyring_key *k)
{
    for (unsigned i = 0; k->wanted && i < ring->n; i++) {
        const struct keyring_key *o = &ring->key[i];
        if (!o->wanted && o->algorithm != k->algorithm && o->zone.state == CELL_PRESENT &&
            o->dnskey.state == CELL_PRESENT)
            return true;
    }
    return k->zone.state == CELL_ABSENT;
}

/* Keys that sign the zone or are going to; or, idle, those of them that a signer may lose without doing harm, by the ring's word. */
static uint32_t zone_keys(const struct world *w, bool idle)
{
    uint32_t set = 0;
    for (unsigned i = 0; i < w->ring->n; i++) {
        const struct keyring_key *k = &w->ring->key[i];
        if (k->state == KEY_REMOVED || !(k->role & KEYRING_ZSK))
            continue;
        if (idle ? !is_idle(w->ring, k) : k->dnskey.state == CELL_ABSENT)
            continue;
        for (unsigned j = 0; j < w->nkeys; j++)
            set |= memcmp(w->rdata[j], k->rdata, sizeof w->rdata[j]) == 0 ? 1u << j : 0;
    }
    return set;
}

static bool copy_cached(const struct world *w, const struct copy *c)
{
    return c->until < 0 || c->until + c->ttl + w->policy.propagation_delay_s > w->t;
}

/* Joined when the parent has a DS of ours, and in all that can be in a cache of its there are all our keys, and a key for all that can be in a
 * cache of ours. */
static void other_join(struct world *w)
{
    struct other *o = &w->other;
    uint32_t ours = zone_keys(w, false), set[PAST], ttl = 0;
    for (int r = 0; r < RRSETS; r++) {
        unsigned n =
            past_cached(&w->rrset[r], w->t, w->zone_ttl + w->policy.propagation_delay_s, set);
        for (unsigned i = 0; i < n; i++)
            if (!(set[i] & ours))
                return;
    }
    for (unsigned i = 0; i < o->n; i++) {
        if (!copy_cached(w, &o->copy[i]))
            continue;
        if (ours & ~o->copy[i].set)
            return;
        ttl = ttl > o->copy[i].ttl ? ttl : o->copy[i].ttl;
    }
    if (!ours || !o->n || !keyring_is_secure(w->ring))
        return;
    o->joined = true;
    o->joins++;
    o->ttl_told = ttl;
}

static void other_go(struct world *w)
{
    struct other *o = &w->other;
    struct random *r = &w->random;
    if (!o->exists)
        return;
    if (!o->dropped && random_below(r, 8) == 0)
        other_serve(w, past_now(&w->dnskey), o->ttl);
    else if (!w->frozen && random_below(r, 20) == 0) {
        uint32_t drop = other_now(w) & zone_keys(w, true);
        o->drops += o->joined && drop;
        o->dropped |= drop != 0;
        other_serve(w, other_now(w) & ~drop, o->ttl);
    } else if (o->joined && random_below(r, 40) == 0)
        other_serve(w, other_now(w), (uint32_t)random_below(r, 400));
    if (!o->joined)
        other_join(w);
    else if (!w->frozen && random_below(r, 600) == 0)
        o->joined = false; /* resolvers do not ask it any more */
}

static const struct keyring_others *other_tell(struct world *w, struct keyring_others *out)
{
    struct other *o = &w->other;
    o->dropped = false;
    if (!o->joined)
        return NULL;
    *out = (struct keyring_others){.dnskey_ttl = o->ttl_told};
    o->ttl_told = o->ttl;
    for (unsigned i = 0; i < w->nkeys && out->n < KEYRING_KEYS_MAX; i++)
        if (other_now(w) >> i & 1)
            out->shown[out->n++] = (struct keyring_shown){w->rdata[i], sizeof w->rdata[i]};
    return out;
}

/* ---- what resolvers would say */

static bool same_algorithm(const struct world *w, unsigned a, unsigned b)
{
    return w->rdata[a][3] == w->rdata[b][3];
}

/* Is there, for each algorithm of `of`, a key that is in both? */
static bool leads(const struct world *w, uint32_t of, uint32_t to)
{
    for (unsigned i = 0; i < w->nkeys; i++) {
        bool found = false;
        if (!(of >> i & 1))
            continue;
        for (unsigned j = 0; j < w->nkeys; j++)
            found = found || (same_algorithm(w, i, j) && (of & to) >> j & 1);
        if (!found)
            return false;
    }
    return true;
}

static void check_mixed(const struct world *w, const uint32_t *sets, unsigned n)
{
    const struct other *o = &w->other;
    for (unsigned i = 0; o->joined && i < o->n; i++) {
        const struct copy *c = &o->copy[i];
        if (!copy_cached(w, c))
            continue;
        for (unsigned j = 0; j < n; j++)
            if (!(c->set & sets[j]))
                ck_abort_msg("t %ld: a cache may have DNSKEY %x of the other signer, and "
                             "signatures by %x",
                             (long)w->t, c->set, sets[j]);
    }
}

static void check(const struct world *w)
{
    uint32_t ds[PAST], dnskey[PAST], sets[PAST];
    int64_t delay = w->policy.propagation_delay_s;
    unsigned nds = 0, nk = past_cached(&w->dnskey, w->t, w->dnskey_ttl + delay, dnskey);
    bool secure = false;
    for (int s = 0; s < SERVERS; s++)
        nds += past_cached(&w->ds[s], w->t, w->ds_ttl, ds + nds);
    for (unsigned i = 0; i < nds; i++) {
        secure = secure || ds[i];
        for (unsigned j = 0; ds[i] && j < nk; j++)
            if (!leads(w, ds[i], dnskey[j]))
                ck_abort_msg("t %ld: a cache may have DS %x and DNSKEY %x", (long)w->t, ds[i],
                             dnskey[j]);
    }
    for (int r = 0; (secure || w->other.joined) && r < RRSETS; r++) {
        unsigned n = past_cached(&w->rrset[r], w->t, w->zone_ttl + delay, sets);
        check_mixed(w, sets, n);
        for (unsigned i = 0; i < n; i++)
            for (unsigned j = 0; j < nk; j++)
                if (!leads(w, dnskey[j], sets[i]))
                    ck_abort_msg("t %ld: a cache may have DNSKEY %x and signatures by %x",
                                 (long)w->t, dnskey[j], sets[i]);
    }
}

/* ---- the stage */

static uint32_t key_mask(const struct world *w, const struct keyset_key *k)
{
    for (unsigned i = 0; i < w->nkeys; i++)
        if (memcmp(w->rdata[i], k->rdata, sizeof w->rdata[i]) == 0)
            return 1u << i;
    ck_abort_msg("a keyset has a key that nobody made");
}

/* A version with the keys of the last keyset. */
static void stage_run(struct world *w)
{
    uint32_t publish = 0, signs = 0;
    for (unsigned i = 0; i < w->keys->n; i++) {
        publish |= w->keys->key[i].publish ? key_mask(w, &w->keys->key[i]) : 0;
        signs |= w->keys->key[i].signs_zone ? key_mask(w, &w->keys->key[i]) : 0;
    }
    w->publish = publish;
    w->signs = signs;
    w->current = true;
    past_put(&w->dnskey, publish, w->t);
}

/* Some rrsets get the signatures that they need; a signature is kept while its key is published or signs. */
static void stage_sign(struct world *w, bool all)
{
    for (int r = 0; r < RRSETS; r++) {
        uint32_t set = past_now(&w->rrset[r]) & (w->publish | w->signs), due = 0;
        for (unsigned i = 0; i < w->nkeys; i++) {
            bool has = false;
            if (!(w->signs >> i & 1))
                continue;
            for (unsigned j = 0; j < w->nkeys; j++)
                has = has || (same_algorithm(w, i, j) && set >> j & 1);
            if (!has || all || random_below(&w->random, 4) == 0)
                due |= 1u << i;
        }
        /* A signature by an algorithm that signs is replaced by the key that does. */
        for (unsigned i = 0; i < w->nkeys; i++)
            for (unsigned j = 0; j < w->nkeys; j++)
                if (due >> i & 1 && i != j && same_algorithm(w, i, j))
                    set &= ~(1u << j);
        for (unsigned i = 0; i < w->nkeys;
             i++) /* … and one by an algorithm that does not goes in the end */
            if (set >> i & 1 && !(w->signs >> i & 1) && random_below(&w->random, 4) == 0) {
                bool signed_for = false;
                for (unsigned j = 0; j < w->nkeys; j++)
                    signed_for = signed_for || (w->signs >> j & 1 && same_algorithm(w, i, j));
                if (!signed_for && !(w->publish >> i & 1))
                    set &= ~(1u << i);
            }
        past_put(&w->rrset[r], set | due, w->t);
    }
}

static void uses_of(const struct world *w, struct key_uses *out)
{
    *out = (struct key_uses){.rrsets = RRSETS, .ttl_max = w->zone_ttl};
    for (unsigned i = 0; i < w->nkeys; i++) {
        struct key_use *use = &out->use[out->n++];
        *use = (struct key_use){.tag = dnssec_key_tag(w->rdata[i], sizeof w->rdata[i]),
                                .algorithm = w->rdata[i][3]};
        for (int r = 0; r < RRSETS; r++)
            use->signatures += past_now(&w->rrset[r]) >> i & 1;
    }
}

/* ---- the ring */

static void set_put(struct growbuf *b, const uint8_t *rdata, size_t len)
{
    growbuf_u16(b, (uint16_t)len);
    growbuf_put(b, rdata, len);
}

/* key_uses tells keys by tag and algorithm, so no two here have the same. */
static bool tag_taken(const struct world *w)
{
    uint16_t tag = dnssec_key_tag(w->rdata[w->nkeys], sizeof w->rdata[0]);
    for (unsigned i = 0; i < w->nkeys; i++)
        if (same_algorithm(w, i, w->nkeys) &&
            dnssec_key_tag(w->rdata[i], sizeof w->rdata[0]) == tag)
            return true;
    return false;
}

static void key_make(struct world *w, enum keyring_role role)
{
    struct keyring_key *k;
    struct why why;
    uint8_t *rdata = w->rdata[w->nkeys];
    do {
        random_octets(&w->random, rdata, sizeof w->rdata[0]);
        put_u16(rdata, role == KEYRING_ZSK ? 256 : 257);
        rdata[2] = 3;
        rdata[3] = w->policy.algorithm;
    } while (tag_taken(w));
    int err = keyring_add(w->ring, role, rdata, sizeof w->rdata[0], NULL, false, w->t, &k, &why);
    ck_assert_msg(!err, "%s", why.text);
    w->nkeys++;
}

static void events_count(struct world *w, const struct keyring_plan *plan)
{
    for (unsigned i = 0; w->trace && i < plan->nevents; i++)
        printf("%ld %s %u/%u: %s\n", (long)w->t, keyring_role_text(plan->event[i].role),
               plan->event[i].algorithm, plan->event[i].tag,
               keyring_event_text(plan->event[i].kind));
    for (unsigned i = 0; i < plan->nevents; i++)
        if (plan->event[i].kind == EVENT_REMOVED) {
            w->rolled++;
            w->kinds |= 1u << plan->event[i].role;
        }
}

static struct keyring_time time_of(const struct world *w)
{
    return (struct keyring_time){w->t + w->wall_error, w->t - w->boot_at, w->boot};
}

/* Another signer may send any of our keys: those that do nothing yet, and the last ones that are gone. They must not be taken for foreign ones.
 */
static void keys_known(struct world *w, const struct keyset *keys)
{
    uint32_t known = 0;
    for (unsigned i = 0; i < keys->n; i++) {
        const struct keyset_key *k = &keys->key[i];
        known |= key_mask(w, k);
        w->idle += !(k->publish || k->signs_keys || k->signs_zone || k->ds);
        ck_assert(k->publish || k->signs_zone || k->ds || !k->private);
    }
    uint32_t newest = w->nkeys < KEYS ? (1u << w->nkeys) - 1 : UINT32_MAX;
    for (unsigned i = 0; i + KEYRING_REMOVED_KEPT < w->nkeys; i++)
        newest &= ~(1u << i); /* those that are here and gone are at least so many */
    ck_assert_msg(keys->unsigned_zone || (known & newest) == newest, "%x, and known are %x", newest,
                  known);
}

static void step(struct world *w)
{
    struct growbuf set = {0};
    struct key_uses uses;
    for (unsigned i = 0; i < w->nkeys; i++)
        if (past_now(&w->dnskey) >> i & 1)
            set_put(&set, w->rdata[i], sizeof w->rdata[i]);
    struct rrset dnskey = {
        .type = RR_DNSKEY, .ttl = w->dnskey_ttl, .rdata = set.p, .end = set.p + set.len};
    uses_of(w, &uses);
    bool lost = !w->frozen && random_below(&w->random, 8) == 0;
    struct keyring_facts facts = {.time = time_of(w),
                                  .dnskey = set.len ? &dnskey : NULL,
                                  .served =
                                      w->dnskey.n && (w->frozen || random_below(&w->random, 8)),
                                  .current = w->current,
                                  .negative_ttl = w->dnskey_ttl / 2,
                                  .uses = lost ? NULL : &uses};
    struct keyring_plan plan;
    struct keyring_others others;
    facts.others = other_tell(w, &others);
    keyring_step(w->ring, &w->policy, &facts, &plan);
    events_count(w, &plan);
    if (plan.generate && w->nkeys + plan.generate <= (w->frozen ? KEYS : KEYS_RESTLESS)) {
        for (unsigned i = 0; i < plan.generate; i++)
            key_make(w, plan.missing[i]);
        keyring_step(w->ring, &w->policy, &facts, &plan);
        events_count(w, &plan);
    }
    mem_free(&set.p);
    struct keyset *keys = keyring_keyset(w->ring, &w->policy);
    keys_known(w, keys);
    if (!keyset_same(keys, w->keys))
        w->current = false;
    keyset_unref(w->keys);
    w->keys = keys;
}

static void restart(struct world *w)
{
    struct keyring *again;
    struct why why;
    char *text = keyring_print(w->ring);
    int err = keyring_parse(text, strlen(text), apex, &again, &why);
    ck_assert_msg(!err, "%s in\n%s", why.text, text);
    char *printed = keyring_print(again);
    ck_assert_str_eq(text, printed);
    mem_free(&text);
    mem_free(&printed);
    keyring_free(&w->ring);
    w->ring = again;
    if (random_below(&w->random, 2) == 0) { /* the machine, too: nobody knows how long it was off */
        w->boot++;
        w->boot_at = w->t;
    }
}

/* ---- the parent */

static uint32_t ds_asked_for(const struct world *w)
{
    uint32_t set = 0;
    for (unsigned i = 0; i < w->keys->n; i++)
        set |= w->keys->key[i].ds ? key_mask(w, &w->keys->key[i]) : 0;
    return set;
}

/* A server takes what CDS says, or its deletion. No CDS means no change (RFC 7344 4). */
static void parent_take(struct world *w, int server)
{
    uint32_t asked = ds_asked_for(w);
    if (w->current && (asked || w->keys->cds_delete))
        past_put(&w->ds[server], asked, w->t);
}

static void parent_tell(struct world *w)
{
    uint32_t all = ~0u, any = 0;
    struct growbuf sets[2] = {0};
    for (int s = 0; s < SERVERS; s++) {
        all &= past_now(&w->ds[s]);
        any |= past_now(&w->ds[s]);
    }
    for (unsigned i = 0; i < w->nkeys; i++) {
        uint8_t ds[DNSSEC_DS_MAX];
        size_t len = dnssec_ds_make(apex, w->rdata[i], sizeof w->rdata[i], 2, ds);
        if (all >> i & 1)
            set_put(&sets[0], ds, len);
        if (any >> i & 1)
            set_put(&sets[1], ds, len);
    }
    struct rrset a = {.type = RR_DS, .rdata = sets[0].p, .end = sets[0].p + sets[0].len},
                 b = {.type = RR_DS, .rdata = sets[1].p, .end = sets[1].p + sets[1].len};
    keyring_fact_parent(w->ring, &(struct keyring_parent){.all = sets[0].len ? &a : NULL,
                                                          .any = sets[1].len ? &b : NULL,
                                                          .ttl = w->ds_ttl,
                                                          .time = time_of(w)});
    mem_free(&sets[0].p);
    mem_free(&sets[1].p);
}

/* The operator speaks the truth: he looks at what weir says of its keys, and at the parent. */
static void operator_tell(struct world *w)
{
    struct why why;
    struct keyring_time time = time_of(w);
    struct keyset *keys = keyring_keyset(w->ring, &w->policy);
    uint32_t asked = 0;
    bool is_so = true;
    for (unsigned i = 0; i < keys->n; i++)
        asked |= keys->key[i].ds ? key_mask(w, &keys->key[i]) : 0;
    for (int s = 0; s < SERVERS; s++)
        is_so = is_so && past_now(&w->ds[s]) == asked;
    keyset_unref(keys);
    if (!is_so)
        return;
    (void)!keyring_ds_seen(w->ring, &time, &why);
    (void)!keyring_ds_gone(w->ring, &time, &why);
}

static void policy_any(struct world *w)
{
    static const uint8_t algorithm[] = {8, 13, 13, 15};
    struct random *r = &w->random;
    w->policy.algorithm = algorithm[random_below(r, 4)];
    w->policy.csk = random_below(r, 2);
    w->policy.double_ds = random_below(r, 2);
    w->policy.zsk_lifetime_s = random_below(r, 2) ? 0 : 500 + (int64_t)random_below(r, 3000);
    w->policy.ksk_lifetime_s = random_below(r, 2) ? 0 : 500 + (int64_t)random_below(r, 5000);
}

static void mind_changes(struct world *w)
{
    struct random *r = &w->random;
    struct why why;
    switch (random_below(r, 12)) {
    case 0:
        policy_any(w);
        break;
    case 1:
    case 2:
    case 3:
        (void)!keyring_roll(w->ring, (enum keyring_role)(1 + random_below(r, 3)), &why);
        break;
    case 4:
        if (random_below(r, 4) == 0)
            (void)!keyring_disable(w->ring, w->t, &why);
        break;
    case 5:
        (void)!keyring_delete(w->ring, w->t, &why);
        break;
    case 6:
    case 7:
        (void)!keyring_enable(w->ring, w->t, &why);
        break;
    case 8:
        w->wall_error = (int64_t)random_below(r, 2000000) - 1000000;
        break;
    case 9:
    case 10:
        restart(w);
        break;
    default:
        if (w->ring->n)
            (void)!keyring_retire(w->ring, &w->ring->key[random_below(r, w->ring->n)], &why);
    }
}

static void world_open(struct world *w, struct random *random)
{
    *w = (struct world){.random = random_fork(random), .boot = 1, .t = 1000000};
    w->trace = getenv("WEIR_TRACE");
    w->ring = keyring_new(apex);
    policy_any(w);
    w->policy.generate = true;
    w->policy.propagation_delay_s = (int64_t)random_below(&w->random, 60);
    w->dnskey_ttl = (uint32_t)random_below(&w->random, 200);
    w->zone_ttl = (uint32_t)random_below(&w->random, 400);
    w->ds_ttl = (uint32_t)random_below(&w->random, 300);
    w->policy.ds_ttl_s = w->ds_ttl;
    for (int s = 0; s < SERVERS; s++)
        past_put(&w->ds[s], 0, w->t);
    w->other.exists = random_below(&w->random, 2);
    w->other.ttl = (uint32_t)random_below(&w->random, 400);
}

static void world_close(struct world *w)
{
    keyset_unref(w->keys);
    keyring_free(&w->ring);
}

static void world_go(struct world *w)
{
    struct random *r = &w->random;
    w->t += (int64_t)(random_below(r, 20) == 0 ? random_below(r, 1500) : random_below(r, 25));
    check(w);
    other_go(w);
    if (random_below(r, 3))
        step(w);
    if (w->keys && random_below(r, 3) == 0) {
        stage_run(w);
        stage_sign(w, false);
    } else if (random_below(r, 4) == 0) {
        stage_sign(w, false);
    }
    if (w->keys && random_below(r, 6) == 0)
        parent_take(w, (int)random_below(r, SERVERS));
    if (random_below(r, 6) == 0)
        parent_tell(w);
    if (w->keys && random_below(r, 20) == 0)
        operator_tell(w);
    if (!w->frozen && random_below(r, 30) == 0)
        mind_changes(w);
    check(w);
}

static unsigned leaving(const struct keyring *ring)
{
    unsigned n = 0;
    for (unsigned i = 0; i < ring->n; i++)
        n += !ring->key[i].wanted && ring->key[i].state != KEY_REMOVED;
    return n;
}

START_TEST(test_no_cache_is_ever_bogus)
{
    struct random random = random_open();
    const char *more = getenv("WEIR_ROUNDS");
    unsigned rounds = more ? (unsigned)atoi(more) : 60, rolled = 0, kinds = 0, idle = 0, joins = 0,
             drops = 0, mixed = 0;
    for (unsigned i = 0; i < rounds; i++) {
        struct world w;
        world_open(&w, &random);
        for (int n = 0; n < 3000; n++)
            world_go(&w);
        /* Nobody disturbs any more: what was begun comes to its end. */
        struct why why;
        w.frozen = true;
        w.policy.zsk_lifetime_s = w.policy.ksk_lifetime_s = 0;
        (void)!keyring_enable(w.ring, w.t, &why);
        for (int n = 0; n < 3000; n++)
            world_go(&w);
        char *text = keyring_print(w.ring);
        ck_assert_uint_lt(w.nkeys, KEYS);
        ck_assert_msg(leaving(w.ring) == 0, "round %u: a key does not get away\n%s", i, text);
        ck_assert_msg(strcmp(keyring_status(w.ring), "active") == 0, "round %u: %s\n%s", i,
                      keyring_status(w.ring), text);
        mem_free(&text);
        joins += w.other.joins;
        drops += w.other.drops;
        mixed += w.other.joins ? w.rolled : 0;
        rolled += w.rolled;
        kinds |= w.kinds;
        idle += w.idle;
        world_close(&w);
    }
    printf("keyring: %u keys came and went in %u worlds; other signers joined %u times and dropped "
           "keys %u times\n",
           rolled, rounds, joins, drops);
    ck_assert_uint_gt(rolled, 3 * rounds);
    ck_assert_uint_gt(joins, rounds / 4);
    ck_assert_uint_gt(drops, rounds / 4);
    ck_assert_uint_gt(mixed, rounds);
    ck_assert_uint_gt(idle, rounds);
    ck_assert_uint_eq(kinds, 1u << KEYRING_KSK | 1u << KEYRING_ZSK | 1u << KEYRING_CSK);
}
END_TEST

/* A text that is cut, or has one octet that is another, is refused, or is the text of another ring; never the half of one. */
START_TEST(test_text_is_taken_whole_or_refused)
{
    struct random random = random_open();
    struct world w;
    struct why why;
    struct keyring *ring;
    world_open(&w, &random);
    for (int n = 0; n < 200; n++)
        world_go(&w);
    char *text = keyring_print(w.ring);
    size_t len = strlen(text);
    ck_assert_uint_gt(w.ring->n, 0);
    for (size_t cut = 0; cut < len; cut++)
        ck_assert_int_eq(keyring_parse(text, cut, apex, &ring, &why), -E_FORMAT);
    ck_assert_int_eq(keyring_parse(text, len, (const uint8_t *)"\5other", &ring, &why), -E_FORMAT);
    ck_assert_str_eq(why.text, "line 2: expected other.");
    for (size_t i = 0; i < len; i++) {
        char kept = text[i];
        text[i] = (char)(kept ^ (1 << random_below(&random, 7)));
        if (!keyring_parse(text, len, apex, &ring, &why)) {
            char *again = keyring_print(ring);
            keyring_free(&ring);
            ck_assert_int_eq(keyring_parse(again, strlen(again), apex, &ring, &why), 0);
            mem_free(&again);
            keyring_free(&ring);
        }
        text[i] = kept;
    }
    mem_free(&text);
    world_close(&w);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("keyring");
    suite_add(s, test_text_is_taken_whole_or_refused);
    suite_add(s, test_no_cache_is_ever_bogus);
    return suite_run(s);
}
