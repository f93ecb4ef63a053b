/* caches: each switch of who signs a zone, too early, in time, and forced; and a world of caches over random switches.
 *
 * The world knows nothing of what is tested. It has what is served (a DNSKEY set, who signs it, who signs the rest), what each of the parent's servers
 * has, and since when and until when each of these was to be had. Whatever was to be had not longer ago than its TTL and the delay of its
 * servers can be in a cache, in any combination, and none may be bogus. The operator changes the mode whenever he likes, prepares it or not, has the
 * primary publish our keys or take them away; weir is started anew, with what was kept. He is careful at the parent only: no version can make up for a
 * DS that is wrong.
 */
#include "tests/lib/random.h"
#include "tests/lib/suite.h"

#include "pipeline/base/alloc.h"
#include "pipeline/run/caches.h"

#include <inttypes.h>

static const uint8_t apex[] = "\5modes\4test";

/* A key is a bit. */
enum { OUR_KSK = 1, OUR_ZSK = 2, THEIR_KSK = 4, THEIR_ZSK = 8, KEYS = 4, OTHER_ALGORITHM = 16 };
enum { OURS = OUR_KSK | OUR_ZSK, THEIRS = THEIR_KSK | THEIR_ZSK };

static struct key {
    uint8_t rdata[12];
    struct caches_id id;
} key[KEYS + 1];

static void keys_make(void)
{
    for (unsigned i = 0; i <= KEYS; i++) {
        uint8_t made[12] = {
            1, i == 0 || i == 2 || i == 4, 3, i == 4 ? 15 : 13, 7, 7, (uint8_t)(i + 1)};
        memcpy(key[i].rdata, made, sizeof made);
        key[i].id = (struct caches_id){dnssec_key_tag(key[i].rdata, sizeof made), key[i].rdata[3]};
    }
}

struct shown {
    enum caches_world world;
    unsigned dnskey, ksk, signer; /* masks */
};

struct play {
    struct caches *c;
    struct caches_policy policy;
    struct keyring_time time;
    uint32_t dnskey_ttl, zone_ttl, ds_ttl;
    struct keyset *own;
    uint8_t room[256];
};

static struct keyset *keyset_of(unsigned mask)
{
    unsigned n = 0;
    struct keyset *set = keyset_new(KEYS + 1, 0, 0);
    for (unsigned i = 0; i <= KEYS; i++)
        if (mask >> i & 1)
            set->key[n++] = (struct keyset_key){.rdata = mem_dup(key[i].rdata, 12), .len = 12};
    set->n = n;
    keyset_seal(set);
    return set;
}

static unsigned ids_of(unsigned mask, struct caches_id *out)
{
    unsigned n = 0;
    for (unsigned i = 0; i <= KEYS; i++)
        if (mask >> i & 1)
            out[n++] = key[i].id;
    return n;
}

static struct caches_version version_of(struct play *p, struct shown s)
{
    struct caches_version v = {
        .apex = apex, .world = s.world, .negative_ttl = 1, .ttl_max = p->zone_ttl, .own = p->own};
    size_t len = 0;
    for (unsigned i = 0; i <= KEYS; i++)
        if (s.dnskey >> i & 1) {
            put_u16(p->room + len, 12);
            memcpy(p->room + len + 2, key[i].rdata, 12);
            len += 14;
            v.dnskey.count++;
        }
    v.dnskey.type = RR_DNSKEY;
    v.dnskey.ttl = p->dnskey_ttl;
    v.dnskey.rdata = p->room;
    v.dnskey.end = p->room + len;
    v.nksk = ids_of(s.ksk, v.ksk);
    v.nsigners = ids_of(s.signer, v.signer);
    return v;
}

static struct play play_open(void)
{
    struct play p = {
        .c = caches_new(),
        .policy = {.delay_s = 2, .ds_ttl_s = 30, .parent_known = true, .parent_gap_s = 5},
        .time = {.now = 1000, .tick = 100, .boot = 1},
        .dnskey_ttl = 10,
        .zone_ttl = 20,
        .ds_ttl = 30,
        .own = NULL};
    keys_make();
    p.own = keyset_of(OURS);
    return p;
}

static void play_close(struct play *p)
{
    caches_free(&p->c);
    keyset_unref(p->own);
}

static void served(struct play *p, struct shown s)
{
    struct caches_version v = version_of(p, s);
    caches_observe(p->c, &v, &p->time, p->policy.delay_s);
}

static struct caches_plan judged(struct play *p, struct shown s)
{
    struct caches_plan plan;
    struct caches_version v = version_of(p, s);
    caches_advance(p->c, &p->time);
    caches_judge(p->c, &v, &p->policy, false, &plan);
    return plan;
}

static void view_fill(struct parent_view *view, const unsigned *ds, uint32_t ttl)
{
    for (unsigned s = 0; s < view->n; s++) {
        struct parent_server *server = &view->server[s];
        server->said = ds[s] ? PARENT_DS : PARENT_NO_DS;
        server->set.ttl = ttl;
        for (unsigned i = 0; i <= KEYS; i++) {
            uint8_t rdata[DNSSEC_DS_MAX];
            size_t len = dnssec_ds_make(apex, key[i].rdata, 12, 2, rdata);
            if (ds[s] >> i & 1)
                ck_assert_int_eq(parent_set_add(&server->set, rdata, (uint16_t)len, NULL), 0);
        }
    }
    parent_view_judge(view);
}

static void parent_says(struct play *p, unsigned a, unsigned b)
{
    unsigned ds[2] = {a, b};
    struct parent_view *view = parent_view_new(2);
    view_fill(view, ds, p->ds_ttl);
    caches_parent(p->c, view, &p->policy, &p->time);
    parent_view_unref(view);
}

static void pass(struct play *p, int64_t s)
{
    p->time.tick += s;
}

/* The parent is asked all the time, and says the same. */
static void pass_watched(struct play *p, int64_t s, unsigned ds)
{
    for (; s > 0; s--) {
        parent_says(p, ds, ds);
        pass(p, 1);
    }
    parent_says(p, ds, ds);
}

static const struct caches_point *unmet(const struct caches_plan *plan, enum caches_code code)
{
    for (unsigned i = 0; i < plan->n; i++)
        if (plan->point[i].code == code && !plan->point[i].met)
            return &plan->point[i];
    return NULL;
}

static void refused(struct caches_plan plan, enum caches_code code)
{
    ck_assert(plan.asked && !plan.allowed);
    ck_assert_msg(unmet(&plan, code) != NULL, "code %d is not among %u points", code, plan.n);
}

static const struct shown live = {WORLD_OURS, OURS, OUR_KSK, OUR_ZSK};
static const struct shown shared = {WORLD_SHARED, OURS | THEIRS, OUR_KSK, OUR_ZSK};
static const struct shown pre = {WORLD_PASSED, THEIRS, THEIR_KSK, THEIR_ZSK};
static const struct shown pre_with_ours = {WORLD_PASSED, THEIRS | OUR_ZSK, THEIR_KSK, THEIR_ZSK};
static const struct shown bare = {WORLD_STRIPPED, 0, 0, 0};

static void ring_says(struct play *p, unsigned knows, unsigned ds)
{
    struct keyset *keys = keyset_of(knows);
    for (unsigned i = 0; i < keys->n; i++)
        for (unsigned k = 0; k <= KEYS; k++)
            if (ds >> k & 1 && memcmp(keys->key[i].rdata, key[k].rdata, 12) == 0)
                keys->key[i].ds = true;
    caches_ring(p->c, keys);
    keyset_unref(keys);
}

/* Served for long, with that DS. */
static struct play settled(struct shown s, unsigned ds)
{
    struct play p = play_open();
    served(&p, s);
    ring_says(&p, OURS, ds);
    pass_watched(&p, 100, ds);
    return p;
}

START_TEST(test_what_nobody_validates_may_change)
{
    struct shown all[] = {live, shared, pre, bare};
    for (int from = 0; from < 4; from++)
        for (int to = 0; to < 4; to++) {
            struct play p = settled(all[from], 0);
            ck_assert(judged(&p, all[to]).allowed);
            play_close(&p);
        }
    struct play p = settled(bare, THEIR_KSK); /* bogus already */
    ck_assert(judged(&p, live).allowed && judged(&p, pre).allowed);
    play_close(&p);
}
END_TEST

START_TEST(test_nobody_is_asked_while_who_signs_stays)
{
    struct play p = settled(pre, THEIR_KSK);
    struct shown other = {WORLD_PASSED, OTHER_ALGORITHM, OTHER_ALGORITHM, OTHER_ALGORITHM};
    ck_assert(!judged(&p, other).asked); /* the primary's affair */
    served(&p, other);
    ck_assert(!judged(&p, (struct shown){WORLD_PASSED, 0, 0, 0}).asked);
    play_close(&p);
    p = settled(live, OUR_KSK);
    struct shown rolled = {WORLD_OURS, OURS | OTHER_ALGORITHM, OUR_KSK, OTHER_ALGORITHM};
    keyset_unref(p.own);
    p.own = keyset_of(OURS | OTHER_ALGORITHM);
    ck_assert(!judged(&p, rolled).asked); /* the keyring's */
    play_close(&p);
}
END_TEST

START_TEST(test_from_live_to_multisigner_and_back)
{
    struct play p = settled(live, OUR_KSK);
    ck_assert(judged(&p, shared).asked && judged(&p, shared).allowed);
    served(&p, shared);
    struct caches_plan plan = judged(&p, live);
    refused(plan, POINT_FOREIGN_WITHDRAWN);
    ck_assert_int_eq(plan.in, -1);
    ck_assert_uint_eq(unmet(&plan, POINT_FOREIGN_WITHDRAWN)->tag, key[3].id.tag);
    served(&p, (struct shown){WORLD_SHARED, OURS, OUR_KSK, OUR_ZSK}); /* it left */
    ck_assert(judged(&p, live).allowed);
    play_close(&p);
}
END_TEST

START_TEST(test_from_live_to_presigned_takes_keys_and_ds)
{
    struct play p = settled(live, OUR_KSK);
    struct caches_plan plan = judged(&p, pre);
    refused(plan, POINT_SIGNER_UNSEEN);
    refused(plan, POINT_SIGNER_WITHDRAWN);
    refused(plan, POINT_DS_UNMATCHED);
    ck_assert_int_eq(plan.in, -1);
    served(&p, shared);
    pass_watched(&p, 12, OUR_KSK); /* DNSKEY TTL and delay */
    plan = judged(&p, pre_with_ours);
    refused(plan, POINT_SIGNER_UNSEEN);
    ck_assert_int_eq(unmet(&plan, POINT_SIGNER_UNSEEN)->in, 1);
    pass_watched(&p, 1, OUR_KSK);
    plan = judged(&p, pre_with_ours);
    ck_assert(!unmet(&plan, POINT_SIGNER_UNSEEN) && !unmet(&plan, POINT_SIGNER_WITHDRAWN));
    refused(plan, POINT_DS_UNMATCHED);
    ck_assert_int_eq(plan.in, -1);
    pass(&p, 1);
    parent_says(&p, OUR_KSK, OUR_KSK | THEIR_KSK); /* one server is enough to be wrong */
    ck_assert_int_eq(judged(&p, pre_with_ours).in, -1);
    parent_says(&p, OUR_KSK | THEIR_KSK, OUR_KSK | THEIR_KSK);
    plan = judged(&p, pre_with_ours);
    refused(plan, POINT_DS_UNMATCHED);
    ck_assert_int_eq(plan.in, 33); /* the DS set of before, in caches */
    pass_watched(&p, 32, OUR_KSK | THEIR_KSK);
    ck_assert_int_eq(judged(&p, pre_with_ours).in, 1);
    pass_watched(&p, 1, OUR_KSK | THEIR_KSK);
    ck_assert(judged(&p, pre_with_ours).allowed);
    plan = judged(&p, pre);
    refused(plan, POINT_SIGNER_WITHDRAWN);
    ck_assert_uint_eq(unmet(&plan, POINT_SIGNER_WITHDRAWN)->tag, key[1].id.tag);
    play_close(&p);
}
END_TEST

START_TEST(test_our_key_stays_for_the_ttl_after_the_switch)
{
    struct play p = settled(shared, OUR_KSK | THEIR_KSK);
    served(&p, pre_with_ours);
    ck_assert_int_eq(caches_settled_in(p.c, 2), 23);
    ck_assert(judged(&p, pre_with_ours).allowed);
    struct caches_plan plan = judged(&p, pre);
    refused(plan, POINT_SIGNER_WITHDRAWN);
    ck_assert_int_eq(plan.in, 23);
    struct shown rolled = {WORLD_PASSED, THEIRS | OUR_ZSK | OTHER_ALGORITHM, THEIR_KSK,
                           OTHER_ALGORITHM};
    ck_assert(judged(&p, rolled).allowed); /* the owner's affair, whatever it is */
    pass_watched(&p, 22, OUR_KSK | THEIR_KSK);
    ck_assert(!judged(&p, pre).allowed);
    pass(&p, 1);
    ck_assert(judged(&p, pre).allowed);
    play_close(&p);
}
END_TEST

START_TEST(test_from_presigned_goes_by_way_of_multisigner)
{
    struct play p = settled(pre, THEIR_KSK);
    struct caches_plan plan = judged(&p, live);
    refused(plan, POINT_SIGNER_UNSEEN);
    refused(plan, POINT_SIGNER_WITHDRAWN);
    refused(plan, POINT_DS_UNMATCHED);
    served(&p, pre_with_ours);
    parent_says(
        &p, OURS,
        THEIRS); /* a zone with a key for each task has DS for KSKs only; others lead nowhere */
    pass_watched(&p, 40, OUR_KSK | THEIR_KSK);
    plan = judged(&p, live);
    refused(plan, POINT_SIGNER_WITHDRAWN);
    ck_assert_uint_eq(unmet(&plan, POINT_SIGNER_WITHDRAWN)->tag, key[3].id.tag);
    ck_assert(judged(&p, shared).allowed);
    served(&p, shared);
    plan = judged(&p, live);
    refused(plan, POINT_SIGNER_WITHDRAWN);
    ck_assert_int_eq(plan.in, 23);
    struct shown early = {WORLD_SHARED, OURS, OUR_KSK, OUR_ZSK};
    refused(judged(&p, early), POINT_SIGNER_WITHDRAWN); /* the primary takes its key away */
    pass_watched(&p, 23, OUR_KSK | THEIR_KSK);
    ck_assert(judged(&p, live).allowed); /* it is known that nobody signs with it any more */
    play_close(&p);
}
END_TEST

START_TEST(test_unsigned_waits_for_the_ds_to_go)
{
    struct shown all[] = {live, shared, pre};
    for (int i = 0; i < 3; i++) {
        struct play p = settled(all[i], i == 2 ? THEIR_KSK : OUR_KSK);
        struct caches_plan plan = judged(&p, bare);
        refused(plan, POINT_UNSIGNED);
        ck_assert_int_eq(plan.in, -1);
        parent_says(&p, 0, 0);
        ck_assert_int_eq(judged(&p, bare).in, 33);
        pass_watched(&p, 32, 0);
        ck_assert(!judged(&p, bare).allowed);
        pass_watched(&p, 1, 0);
        ck_assert(judged(&p, bare).allowed);
        play_close(&p);
    }
}
END_TEST

START_TEST(test_a_parent_that_was_not_watched)
{
    struct play p = settled(pre, 0);
    pass(&p, 1000); /* anything may have been there meanwhile */
    parent_says(&p, 0, 0);
    struct caches_plan plan = judged(&p, bare);
    refused(plan, POINT_DS_UNKNOWN);
    ck_assert_int_eq(plan.in, 33);
    pass_watched(&p, 33, 0);
    ck_assert(judged(&p, bare).allowed);
    play_close(&p);
    p = settled(pre, THEIR_KSK);
    p.policy.parent_known = false;
    plan = judged(&p, bare);
    refused(plan, POINT_DS_UNKNOWN);
    ck_assert_int_eq(plan.in, -1);
    play_close(&p);
}
END_TEST

START_TEST(test_without_a_parent_the_keyring_knows)
{
    struct play p = settled(live, OUR_KSK);
    p.policy.parent_known = false;
    refused(judged(&p, bare), POINT_UNSIGNED);
    ring_says(&p, OURS, 0);
    ck_assert(judged(&p, bare).allowed && judged(&p, pre).allowed);
    play_close(&p);
    p = settled(live,
                OUR_KSK); /* signed by a KSK that is elsewhere: it does not know that one's DS */
    served(&p, (struct shown){WORLD_OURS, OURS | THEIR_KSK, THEIR_KSK, OUR_ZSK});
    p.policy.parent_known = false;
    refused(judged(&p, bare), POINT_DS_UNKNOWN);
    play_close(&p);
}
END_TEST

START_TEST(test_another_algorithm)
{
    struct play p = settled(shared, OUR_KSK | THEIR_KSK);
    struct shown other = {WORLD_PASSED, OURS | THEIRS | OTHER_ALGORITHM,
                          THEIR_KSK | OTHER_ALGORITHM, THEIR_ZSK | OTHER_ALGORITHM};
    refused(judged(&p, other), POINT_ALGORITHM_NEW);
    other.dnskey = OTHER_ALGORITHM;
    other.signer = other.ksk = OTHER_ALGORITHM;
    refused(judged(&p, other), POINT_ALGORITHM_LOST);
    play_close(&p);
}
END_TEST

START_TEST(test_keys_that_were_lost)
{
    struct play p = settled(live, OUR_KSK);
    struct shown anew = {WORLD_OURS, THEIRS, THEIR_KSK, THEIR_ZSK};
    keyset_unref(p.own);
    p.own = keyset_of(THEIRS); /* the folder is gone, and the keyring began anew */
    ring_says(&p, THEIRS, 0);
    struct caches_plan plan = judged(&p, anew);
    refused(plan, POINT_SIGNER_UNSEEN);
    refused(plan, POINT_SIGNER_WITHDRAWN);
    refused(plan, POINT_DS_UNMATCHED);
    served(&p, anew); /* by force: from then on nothing is held for what is done */
    ck_assert(judged(&p, anew).allowed);
    play_close(&p);
}
END_TEST

START_TEST(test_forced_once_is_not_asked_again)
{
    struct play p = settled(live, OUR_KSK);
    ck_assert(!judged(&p, pre).allowed);
    served(&p, pre);
    ck_assert(judged(&p, pre).allowed);
    struct shown rolled = {WORLD_PASSED, OTHER_ALGORITHM, OTHER_ALGORITHM, OTHER_ALGORITHM};
    ck_assert(judged(&p, rolled).allowed);
    play_close(&p);
}
END_TEST

/* ---- kept */

static struct caches *kept(const struct caches *c)
{
    struct growbuf a = {0}, b = {0};
    caches_save(c, &a);
    struct caches *back = caches_load(a.p, a.len);
    ck_assert_ptr_nonnull(back);
    caches_save(back, &b);
    ck_assert(a.len == b.len && memcmp(a.p, b.p, a.len) == 0);
    mem_free(&a.p);
    mem_free(&b.p);
    return back;
}

START_TEST(test_what_is_kept_is_the_same)
{
    struct play p = settled(shared, OUR_KSK | THEIR_KSK);
    served(&p, pre_with_ours);
    struct caches *back = kept(p.c);
    caches_free(&p.c);
    p.c = back;
    refused(judged(&p, pre), POINT_SIGNER_WITHDRAWN);
    pass(&p, 23);
    ck_assert(judged(&p, pre).allowed);
    struct growbuf text = {0};
    caches_save(p.c, &text);
    for (size_t n = 0; n < text.len; n++) {
        struct caches *cut = caches_load(text.p, n);
        ck_assert_ptr_null(cut);
        text.p[n] ^= 0x55;
        cut = caches_load(text.p, text.len);
        caches_free(&cut);
        text.p[n] ^= 0x55;
    }
    mem_free(&text.p);
    play_close(&p);
}
END_TEST

START_TEST(test_more_keys_than_are_remembered)
{
    struct play p = settled(shared, OUR_KSK);
    p.c->overflow = true;
    refused(judged(&p, pre_with_ours), POINT_TOO_MANY);
    play_close(&p);
}
END_TEST

/* ---- the world of caches */

enum { PAST = 8192 };
struct past {
    unsigned n;
    struct {
        unsigned set;
        int64_t from, until; /* until < 0: now */
    } row[PAST];
};

struct world {
    struct play p;
    struct random random;
    struct past dnskey, ksk, signer, ds[2]; /* dnskey and ksk change together */
    struct shown now;
    enum caches_world mode;       /* that the operator wants */
    bool ours_there, theirs_here; /* the primary has our ZSK; what it sends has its own keys */
    int64_t t;
    unsigned ds_now[2], switches, kinds, refusals, tries;
    bool watched;
};

static void past_put(struct past *p, unsigned set, int64_t t)
{
    if (p->n && p->row[p->n - 1].set == set)
        return;
    ck_assert_uint_lt(p->n, PAST);
    if (p->n)
        p->row[p->n - 1].until = t;
    p->row[p->n].set = set;
    p->row[p->n].from = t;
    p->row[p->n++].until = -1;
}

static bool cached(const struct past *p, unsigned i, int64_t t, int64_t age)
{
    return p->row[i].until < 0 || p->row[i].until + age >= t;
}

/* The first thing that a resolver can find bogus; NULL: there is none. */
static const char *bogus(const struct world *w)
{
    int64_t delay = w->p.policy.delay_s;
    bool secure = false;
    for (unsigned s = 0; s < 2; s++)
        for (unsigned d = w->ds[s].n; d-- > 0 && cached(&w->ds[s], d, w->t, w->p.ds_ttl + delay);) {
            unsigned ds = w->ds[s].row[d].set;
            secure |= ds != 0;
            for (unsigned k = w->dnskey.n;
                 ds && k-- > 0 && cached(&w->dnskey, k, w->t, w->p.dnskey_ttl + delay);)
                if (!(ds & w->dnskey.row[k].set & w->ksk.row[k].set))
                    return "a DS set leads to no key that signs the DNSKEY set";
        }
    for (unsigned k = w->dnskey.n;
         secure && k-- > 0 && cached(&w->dnskey, k, w->t, w->p.dnskey_ttl + delay);)
        for (unsigned r = w->signer.n;
             r-- > 0 && cached(&w->signer, r, w->t, w->p.zone_ttl + delay);)
            if (!(w->dnskey.row[k].set & w->signer.row[r].set))
                return "a signature is by no key of the DNSKEY set";
    return NULL;
}

static void put(struct world *w, struct shown s)
{
    w->now = s;
    /* One row of each for each version, so that they stand side by side. */
    if (w->dnskey.n && w->dnskey.row[w->dnskey.n - 1].set == s.dnskey &&
        w->ksk.row[w->ksk.n - 1].set == s.ksk && w->signer.row[w->signer.n - 1].set == s.signer)
        return;
    struct past *past[] = {&w->dnskey, &w->ksk, &w->signer};
    unsigned set[] = {s.dnskey, s.ksk, s.signer};
    for (int i = 0; i < 3; i++) {
        struct past *p = past[i];
        ck_assert_uint_lt(p->n, PAST);
        if (p->n)
            p->row[p->n - 1].until = w->t;
        p->row[p->n].set = set[i];
        p->row[p->n].from = w->t;
        p->row[p->n++].until = -1;
    }
}

/* What the chain of that mode makes of what comes in. */
static struct shown made(const struct world *w)
{
    struct shown s = {.world = w->mode};
    unsigned theirs = w->theirs_here ? THEIRS : 0, in = theirs | (w->ours_there ? OUR_ZSK : 0);
    if (w->mode == WORLD_PASSED && w->theirs_here)
        s = (struct shown){WORLD_PASSED, in, THEIR_KSK, THEIR_ZSK};
    if (w->mode == WORLD_OURS)
        s = (struct shown){WORLD_OURS, OURS, OUR_KSK, OUR_ZSK};
    if (w->mode == WORLD_SHARED)
        s = (struct shown){WORLD_SHARED, OURS | theirs, OUR_KSK, OUR_ZSK};
    return s;
}

static void ring_knows(struct world *w)
{
    unsigned somewhere = 0;
    for (unsigned s = 0; s < 2; s++)
        for (unsigned d = w->ds[s].n;
             d-- > 0 && cached(&w->ds[s], d, w->t, w->p.ds_ttl + w->p.policy.delay_s);)
            somewhere |= w->ds[s].row[d].set;
    ring_says(&w->p, OURS, somewhere & OUR_KSK);
}

/* A DS set that makes nothing bogus, with what is cached now and with what is served from now on. */
static void parent_changes(struct world *w)
{
    unsigned set = (unsigned)random_below(&w->random, 2) * OUR_KSK |
                   (unsigned)random_below(&w->random, 2) * THEIR_KSK,
             server = (unsigned)random_below(&w->random, 2);
    struct past *p = &w->ds[server];
    if (p->row[p->n - 1].set == set)
        return;
    past_put(p, set, w->t);
    if (!bogus(w)) {
        if (getenv("WEIR_TRACE"))
            fprintf(stderr, "%" PRId64 ": parent %u has %x (watched %d)\n", w->t, server, set,
                    w->watched);
        return;
    }
    p->n--; /* not that one */
    p->row[p->n - 1].until = -1;
}

/* Weir ends, and begins with what it kept at the last version; perhaps after a reboot. */
static void begins_anew(struct world *w, struct caches **at_version)
{
    caches_free(&w->p.c);
    w->p.c = kept(*at_version);
    if (random_below(&w->random, 3) == 0) {
        w->p.time.boot++;
        w->p.time.tick = (int64_t)random_below(&w->random, 1000);
    }
}

static void version_comes(struct world *w, struct caches **at_version)
{
    struct shown s = made(w);
    bool turned = s.world != w->now.world;
    struct caches_plan plan = judged(&w->p, s);
    w->tries += turned;
    /* What the owner does to a zone that goes through, or to its keys, is his own affair: here he does nothing that is wrong by itself. */
    if (!plan.allowed) {
        w->refusals += turned;
        return;
    }
    if (turned) {
        w->switches++;
        w->kinds |= 1u << (w->now.world * 5 + s.world);
    }
    if (getenv("WEIR_TRACE") && (turned || s.dnskey != w->now.dnskey))
        fprintf(stderr, "%" PRId64 ": %s, DNSKEY %x, DS %x %x, asked %d, %u points\n", w->t,
                caches_world_text(s.world), s.dnskey, w->ds[0].row[w->ds[0].n - 1].set,
                w->ds[1].row[w->ds[1].n - 1].set, plan.asked, plan.n);
    put(w, s);
    served(&w->p, s);
    caches_free(at_version);
    *at_version = caches_copy(w->p.c);
}

static void operator_acts(struct world *w)
{
    switch (random_below(&w->random, 12)) {
    case 0:
        w->mode = (enum caches_world)(WORLD_PASSED + random_below(&w->random, 4));
        if (w->mode == WORLD_STRIPPED && random_below(&w->random, 4))
            w->mode = WORLD_SHARED; /* most of the time zones are signed */
        if (!w->theirs_here && w->mode == WORLD_PASSED)
            w->mode = WORLD_OURS;
        break;
    case 1:
        w->ours_there = !w->ours_there;
        break;
    case 2:
        w->watched = random_below(&w->random, 5) != 0;
        break;
    case 3:
    case 4: /* what it does between two words is not seen: here it waits, so that what is seen can be all */
        if (!w->dnskey.n)
            break; /* nothing is served yet */
        if (w->watched || w->p.c->clock - w->p.c->asked > w->p.policy.parent_gap_s)
            parent_changes(w);
        break;
    default:
        break;
    }
}

START_TEST(test_no_cache_ever_holds_what_is_bogus)
{
    struct random seeds = random_open();
    unsigned kinds = 0, switches = 0, refusals = 0;
    struct world *w = mem_zalloc(sizeof *w);
    for (int round = 0; round < 60; round++) {
        *w = (struct world){.p = play_open(), .random = random_fork(&seeds), .watched = true};
        w->p.dnskey_ttl = 1 + (uint32_t)random_below(&w->random, 12);
        w->p.zone_ttl = 1 + (uint32_t)random_below(&w->random, 12);
        w->p.ds_ttl = 1 + (uint32_t)random_below(&w->random, 12);
        w->p.policy.ds_ttl_s = w->p.ds_ttl;
        w->p.policy.delay_s = (int64_t)random_below(&w->random, 3);
        w->theirs_here = true;
        w->mode = (enum caches_world)(WORLD_PASSED + random_below(&w->random, 3));
        struct caches *at_version = caches_copy(w->p.c);
        past_put(&w->ds[0], 0, 0);
        past_put(&w->ds[1], 0, 0);
        for (int step = 0; step < 3000; step++) {
            operator_acts(w);
            if (random_below(&w->random, 150) == 0)
                begins_anew(w, &at_version);
            if (w->watched)
                parent_says(&w->p, w->ds[0].row[w->ds[0].n - 1].set,
                            w->ds[1].row[w->ds[1].n - 1].set);
            ring_knows(w);
            version_comes(w, &at_version);
            const char *what = bogus(w);
            ck_assert_msg(!what, "round %d, step %d: %s (mode %s)", round, step, what,
                          caches_world_text(w->now.world));
            w->t++;
            pass(&w->p, 1);
        }
        kinds |= w->kinds;
        switches += w->switches;
        refusals += w->refusals;
        caches_free(&at_version);
        play_close(&w->p);
    }
    printf("%u switches, %u times it was too early\n", switches, refusals);
    for (unsigned from = WORLD_PASSED; from <= WORLD_SHARED; from++)
        for (unsigned to = WORLD_PASSED; to <= WORLD_STRIPPED; to++)
            ck_assert_msg(from == to || kinds >> (from * 5 + to) & 1, "never from %s to %s",
                          caches_world_text((enum caches_world)from),
                          caches_world_text((enum caches_world)to));
    ck_assert_uint_gt(refusals, 1000);
    mem_free(&w);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("caches");
    suite_add(s, test_what_nobody_validates_may_change);
    suite_add(s, test_nobody_is_asked_while_who_signs_stays);
    suite_add(s, test_from_live_to_multisigner_and_back);
    suite_add(s, test_from_live_to_presigned_takes_keys_and_ds);
    suite_add(s, test_our_key_stays_for_the_ttl_after_the_switch);
    suite_add(s, test_from_presigned_goes_by_way_of_multisigner);
    suite_add(s, test_unsigned_waits_for_the_ds_to_go);
    suite_add(s, test_a_parent_that_was_not_watched);
    suite_add(s, test_without_a_parent_the_keyring_knows);
    suite_add(s, test_another_algorithm);
    suite_add(s, test_keys_that_were_lost);
    suite_add(s, test_forced_once_is_not_asked_again);
    suite_add(s, test_what_is_kept_is_the_same);
    suite_add(s, test_more_keys_than_are_remembered);
    suite_add(s, test_no_cache_ever_holds_what_is_bogus);
    return suite_run(s);
}
