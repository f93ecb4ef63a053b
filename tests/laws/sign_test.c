/* sign: random histories of zones, keys and time, with another stage for a judge.
 *
 * Names, delegations, DNAMEs, wildcards and empty non-terminals come and go; keys roll in every way; time passes, wakes the stage, and
 * now and then weir was down. After every step the version that goes out
 *   - is accepted by validate, from nothing, at that time;
 *   - has the data that came in, and signatures over the same sets as one that was signed from nothing;
 *   - has no signature with less than the margin left, once what was late has been caught up with;
 *   - is what the state says of it: rrsets, signatures by key, the first end.
 * Letters and TTLs change, too, which is the same to a resolver, and not to a signature; weir starts anew with the state that it saved; and
 * versions are made that never go out.
 *
 * WEIR_KEEP=FOLDER: versions are written there, NUMBER-TIME.zone, for other checkers (tests/net/36-signed).
 */
#include "tests/lib/keyplay.h"
#include "tests/lib/stageplay.h"
#include "tests/lib/suite.h"
#include "tests/lib/zonegen.h"

#include "pipeline/run/registry.h"
#include "pipeline/zone/text.h"
#include "pipeline/zone/transfer.h"
#include "stages/sign/sign.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { VARIANTS = 7, BEGIN = 1700000000, STEPS = 60, VALIDITY = 14 * 86400, REFRESH = 4 * 86400 };

struct world {
    struct random *random;
    struct zonegen gen;
    struct family *family;
    struct snapshot *plain;
    struct keyplay keys;
    struct keyset *set;
    struct stageplay sign, fresh, judge;
    time_t now, wake_at;
    unsigned ksk, zsk;      /* in use */
    int next_ksk, next_zsk; /* that roll in, or -1 */
    bool new_algorithm;     /* of both that roll in */
    char story[STEPS * 2][96];
    unsigned told;
};

static void tell(struct world *w, const char *what)
{
    snprintf(w->story[w->told++ % (STEPS * 2)], sizeof(w->story[0]), "%ld %s", (long)w->now, what);
}

static void story_print(const struct world *w)
{
    for (unsigned i = w->told > STEPS * 2 ? w->told - STEPS * 2 : 0; i < w->told; i++)
        fprintf(stderr, "%s\n", w->story[i % (STEPS * 2)]);
}

static void keys_set(struct world *w)
{
    keyset_unref(w->set);
    w->set = keyplay_set(&w->keys, 0);
    w->sign.keys = w->fresh.keys = w->set;
}

/* --- what is checked of a version --- */

static bool is_key_set_at(const struct world *w, const struct node *node, uint16_t covered)
{
    return (covered == RR_DNSKEY || covered == RR_CDS || covered == RR_CDNSKEY) &&
           name_equal(node_name(node), w->gen.apex);
}

struct recount {
    uint64_t rrsets, signatures[KEYSET_KEYS_MAX];
    int64_t first, last[KEYSET_KEYS_MAX];
};

static void recount_sigs(const struct world *w, const struct rrset *sigs, struct recount *r)
{
    struct rdata rdata;
    struct rrsig sig;
    r->rrsets++;
    for (const uint8_t *p = sigs->rdata; rrset_next(sigs, &p, &rdata);) {
        ck_assert(rrsig_parse(rdata.data, rdata.len, &sig));
        r->first = sig.expiration < r->first ? sig.expiration : r->first;
        for (unsigned i = 0; i < w->keys.n; i++)
            if (w->keys.key[i].tag == sig.tag && w->keys.key[i].algorithm == sig.algorithm) {
                r->signatures[i]++;
                r->last[i] = sig.expiration > r->last[i] ? sig.expiration : r->last[i];
            }
    }
}

static struct recount recount_of(const struct world *w, const struct snapshot *out)
{
    struct recount r = {.first = INT64_MAX};
    struct snapshot_iter it;
    for (const struct node *node = snapshot_first(&it, out); node; node = snapshot_next(&it))
        for (unsigned i = 0; i < node->nrrsets; i++) {
            struct rrset set;
            node_rrset_at(node, i, &set);
            if (set.type == RR_RRSIG && !is_key_set_at(w, node, set.covered))
                recount_sigs(w, &set, &r);
        }
    return r;
}

static void check_counts(const struct world *w, const struct snapshot *out, const void *state)
{
    struct key_uses uses = {0};
    struct recount r = recount_of(w, out);
    w->sign.type->keys_used(state, &uses);
    ck_assert_uint_eq(uses.rrsets, r.rrsets);
    for (unsigned i = 0; i < w->keys.n; i++) {
        uint64_t said = 0;
        int64_t last = 0;
        for (unsigned k = 0; k < uses.n; k++)
            if (uses.use[k].tag == w->keys.key[i].tag &&
                uses.use[k].algorithm == w->keys.key[i].algorithm) {
                said = uses.use[k].signatures;
                last = uses.use[k].last_expiration;
            }
        ck_assert_uint_eq(said, r.signatures[i]);
        ck_assert(last >= r.last[i]);
    }
    const struct sign_state *s = state;
    int64_t first = expiries_first(&s->expiries, w->now);
    ck_assert_msg(first <= r.first && r.first < first + s->expiries.width,
                  "first end %ld, said %ld", (long)r.first, (long)first);
}

static bool same_data(const struct rrset *a, const struct rrset *b)
{
    struct rdata x, y;
    if (a->type != RR_SOA && a->type != RR_ZONEMD) /* these have the serial */
        return rrset_equal(a, b, true);
    return rrset_first(a, &x) && rrset_first(b, &y) && x.len == y.len && a->ttl == b->ttl;
}

/* The same sets, signatures over the same of them. */
static void check_same(const struct snapshot *a, const struct snapshot *b)
{
    struct snapshot_iter i, j;
    const struct node *x = snapshot_first(&i, a), *y = snapshot_first(&j, b);
    for (; x && y; x = snapshot_next(&i), y = snapshot_next(&j)) {
        char name[NAME_TEXT_MAX];
        name_print(node_name(x), name);
        ck_assert_msg(name_equal(node_name(x), node_name(y)), "%s", name);
        ck_assert_msg(x->nrrsets == y->nrrsets, "%s: %u and %u sets", name, x->nrrsets, y->nrrsets);
        for (unsigned k = 0; k < x->nrrsets; k++) {
            struct rrset p, q;
            node_rrset_at(x, k, &p);
            node_rrset_at(y, k, &q);
            ck_assert_msg(p.type == q.type && p.covered == q.covered && p.ttl == q.ttl, "%s", name);
            ck_assert_msg(p.type == RR_RRSIG || same_data(&p, &q), "%s: type %u", name, p.type);
        }
    }
    ck_assert(!x && !y);
}

static void version_keep(const struct world *w, const struct snapshot *out)
{
    static unsigned number;
    const char *folder = getenv("WEIR_KEEP");
    char path[512];
    if (!folder)
        return;
    snprintf(path, sizeof(path), "%s/%d-%u-%ld.zone", folder, (int)getpid(), number++,
             (long)w->now);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    text_print_snapshot(file, out);
    ck_assert_int_eq(fclose(file), 0);
}

static void check_valid(struct world *w, const struct snapshot *out)
{
    stageplay_forget(&w->judge);
    struct stageresult result = stageplay_run(&w->judge, out, w->now, false, NULL);
    if (result.verdict != STAGE_PASS) {
        story_print(w);
        ck_abort_msg("validate: %.2000s", stageresult_print(&result));
    }
    stageplay_drop(&w->judge, &result);
    version_keep(w, out);
}

/* weir ends and starts again. */
static void restart(struct world *w)
{
    size_t len;
    if (!w->sign.state)
        return;
    uint8_t *saved = w->sign.type->state_save(w->sign.state, &len);
    void *loaded = w->sign.type->state_load(saved, len);
    mem_free(&saved);
    ck_assert_ptr_nonnull(loaded);
    w->sign.type->state_free(w->sign.state);
    w->sign.state = loaded;
}

/* A version that is made and then refused behind the stage: nothing of it may be left. */
static void refused(struct world *w)
{
    struct zonegen gen = w->gen; /* this one's steps are not the zone's */
    struct snapshot *next = zonegen_version(&gen, w->family, w->plain, 6);
    struct stageresult result = stageplay_run(
        &w->sign, next, w->now + 86400 * (time_t)random_below(w->random, 3), false, NULL);
    stageplay_drop(&w->sign, &result);
    snapshot_unref(next);
}

/* One run, accepted. */
static void step(struct world *w, bool woken)
{
    struct soa before = {0}, after = {0};
    bool had = w->sign.out && snapshot_soa(w->sign.out, &before);
    if (random_below(w->random, 4) == 0)
        restart(w);
    if (random_below(w->random, 8) == 0)
        refused(w);
    struct stageresult result = stageplay_run(&w->sign, w->plain, w->now, woken, NULL);
    if (result.verdict != STAGE_PASS) {
        story_print(w);
        ck_abort_msg("sign: %.2000s", stageresult_print(&result));
    }
    ck_assert(result.wake_at > w->now);
    w->wake_at = result.wake_at;
    ck_assert(snapshot_soa(result.out, &after));
    if (had && result.changes->n > 0)
        ck_assert(serial_newer(after.serial, before.serial));
    check_counts(w, result.out, result.state);
    if (!woken || result.changes->n > 8 || random_below(w->random, 4) == 0)
        check_valid(w, result.out);
    stageplay_accept(&w->sign, &result);
}

/* Until nothing is late. */
static void settle(struct world *w)
{
    for (unsigned i = 0; w->wake_at <= w->now + 1; i++) {
        ck_assert_uint_lt(i, 200);
        w->now = w->wake_at;
        step(w, true);
    }
    struct recount r = recount_of(w, w->sign.out);
    if (r.first - w->now < REFRESH) {
        story_print(w);
        ck_abort_msg("a signature has %ld s left", (long)(r.first - w->now));
    }
}

static void check_fresh(struct world *w)
{
    stageplay_forget(&w->fresh);
    struct stageresult result = stageplay_run(&w->fresh, w->plain, w->now, false, NULL);
    ck_assert_int_eq(result.verdict, STAGE_PASS);
    if (!w->new_algorithm)
        check_same(w->sign.out, result.out);
    stageplay_drop(&w->fresh, &result);
}

/* --- what happens --- */

static void names_change(struct world *w)
{
    unsigned changes = 1 + (unsigned)random_below(w->random, 4);
    bool style = random_below(w->random, 3) == 0;
    struct edit *e = edit_open(w->plain->family, w->plain, w->plain);
    struct snapshot *next;
    if (style)
        zonegen_restyle(&w->gen, e, changes);
    else
        zonegen_step(&w->gen, e, changes);
    ck_assert_int_eq(edit_seal(&e, &next, NULL, NULL), 0);
    snapshot_unref(w->plain);
    w->plain = next;
    tell(w, style ? "letters and TTLs change" : "names change");
}

static uint64_t signatures_by(const struct world *w, unsigned key)
{
    struct key_uses uses = {0};
    w->sign.type->keys_used(w->sign.state, &uses);
    for (unsigned k = 0; k < uses.n; k++)
        if (uses.use[k].tag == w->keys.key[key].tag &&
            uses.use[k].algorithm == w->keys.key[key].algorithm)
            return uses.use[k].signatures;
    return 0;
}

static bool signs_all(const struct world *w, unsigned key)
{
    struct key_uses uses = {0};
    w->sign.type->keys_used(w->sign.state, &uses);
    return signatures_by(w, key) == uses.rrsets;
}

static uint8_t algorithm_other(const struct world *w)
{
    static const uint8_t all[] = {ALG_ECDSAP256, ALG_ED25519, ALG_ECDSAP384, ALG_ED448};
    for (;;) {
        uint8_t a = all[random_below(w->random, 4)];
        if (a != w->keys.key[w->zsk].algorithm)
            return a;
    }
}

/* A ZSK: published, then it signs and the last one stays for a while; or at once, in an emergency. */
static void zsk_roll(struct world *w)
{
    uint8_t algorithm = w->keys.key[w->zsk].algorithm;
    if (w->next_zsk < 0 && w->keys.n < KEYSET_KEYS_MAX - 2) {
        w->next_zsk = (int)keyplay_make(&w->keys, DNSKEY_ZONE, algorithm, "p");
        tell(w, "next ZSK published");
    } else if (w->next_zsk >= 0 && !w->keys.key[w->next_zsk].signs_zone) {
        bool emergency = random_below(w->random, 4) == 0;
        keyplay_roles(&w->keys, (unsigned)w->next_zsk, "pz");
        keyplay_roles(&w->keys, w->zsk, emergency ? "" : "p");
        tell(w, emergency ? "ZSK replaced at once" : "next ZSK signs");
    } else if (w->next_zsk >= 0 && signatures_by(w, w->zsk) == 0) {
        keyplay_roles(&w->keys, w->zsk, "");
        w->zsk = (unsigned)w->next_zsk;
        w->next_zsk = -1;
        tell(w, "last ZSK gone");
    }
    keys_set(w);
}

static void ksk_roll(struct world *w)
{
    uint8_t algorithm = w->keys.key[w->ksk].algorithm;
    if (w->next_ksk < 0 && w->keys.n < KEYSET_KEYS_MAX - 2) {
        w->next_ksk = (int)keyplay_make(&w->keys, DNSKEY_ZONE | DNSKEY_SEP, algorithm, "d");
        tell(w, "next KSK at the parent");
    } else if (w->next_ksk >= 0) {
        keyplay_roles(&w->keys, (unsigned)w->next_ksk, "pkd");
        keyplay_roles(&w->keys, w->ksk, "");
        w->ksk = (unsigned)w->next_ksk;
        w->next_ksk = -1;
        tell(w, "next KSK signs");
    }
    keys_set(w);
}

/* RFC 6781 4.1.4, conservative: signatures first, keys later; and out in the other order. */
static void algorithm_roll(struct world *w)
{
    if (!w->new_algorithm && w->next_zsk < 0 && w->next_ksk < 0 &&
        w->keys.n < KEYSET_KEYS_MAX - 3) {
        uint8_t algorithm = algorithm_other(w);
        w->next_zsk = (int)keyplay_make(&w->keys, DNSKEY_ZONE, algorithm, "z");
        w->next_ksk = (int)keyplay_make(&w->keys, DNSKEY_ZONE | DNSKEY_SEP, algorithm, "");
        w->new_algorithm = true;
        tell(w, "signatures of another algorithm begin");
    } else if (w->new_algorithm && !w->keys.key[w->next_zsk].publish) {
        bool early = random_below(w->random, 8) ==
                     0; /* not by the book: then the stage must sign all at once */
        if (!early && !signs_all(w, (unsigned)w->next_zsk))
            return;
        keyplay_roles(&w->keys, (unsigned)w->next_zsk, "pz");
        keyplay_roles(&w->keys, (unsigned)w->next_ksk, "pkd");
        tell(w, early ? "its keys are published early" : "its keys are published");
    } else if (w->new_algorithm && w->keys.key[w->zsk].publish) {
        keyplay_roles(&w->keys, w->zsk, "z");
        keyplay_roles(&w->keys, w->ksk, "");
        tell(w, "keys of the last algorithm are gone");
    } else if (w->new_algorithm) {
        keyplay_roles(&w->keys, w->zsk, "");
        w->zsk = (unsigned)w->next_zsk;
        w->ksk = (unsigned)w->next_ksk;
        w->next_zsk = w->next_ksk = -1;
        w->new_algorithm = false;
        tell(w, "signatures of the last algorithm are gone");
    }
    keys_set(w);
}

static void keys_change(struct world *w)
{
    if (w->new_algorithm || random_below(w->random, 4) == 0)
        algorithm_roll(w);
    else if (random_below(w->random, 2))
        zsk_roll(w);
    else
        ksk_roll(w);
}

/* As a zone that nothing happens to. */
static void time_passes(struct world *w, int64_t seconds)
{
    time_t until = w->now + seconds;
    tell(w, "time passes");
    while (w->wake_at <= until) {
        w->now = w->wake_at;
        step(w, true);
        settle(w);
    }
    w->now = until > w->now ? until : w->now;
}

static void down(struct world *w)
{
    w->now += 86400 * (1 + (int64_t)random_below(w->random, 16));
    tell(w, "weir was down");
}

static struct world *world_open(struct random *random, unsigned slots, const char *options)
{
    struct world *w = mem_zalloc(sizeof(*w));
    struct why why;
    w->random = random;
    w->gen = zonegen_open(random, "weir.test.", slots);
    w->family = family_new(w->gen.apex);
    w->plain = zonegen_version(&w->gen, w->family, NULL, 0);
    w->now = BEGIN;
    w->next_ksk = w->next_zsk = -1;
    struct stageplay *plays[] = {&w->sign, &w->fresh};
    for (unsigned i = 0; i < 2; i++) {
        int rc = stageplay_open(plays[i], registry_find("sign"), w->gen.apex, options, &why);
        ck_assert_msg(rc == 0, "%s", why.text);
    }
    int rc = stageplay_open(&w->judge, registry_find("validate"), w->gen.apex, "denial=any", &why);
    ck_assert_msg(rc == 0, "%s", why.text);
    uint8_t algorithm = random_below(random, 2) ? ALG_ECDSAP256 : ALG_ED25519;
    w->ksk = keyplay_make(&w->keys, DNSKEY_ZONE | DNSKEY_SEP, algorithm, "pkd");
    w->zsk = keyplay_make(&w->keys, DNSKEY_ZONE, algorithm, "pz");
    keys_set(w);
    return w;
}

static void world_close(struct world *w)
{
    stageplay_close(&w->sign);
    stageplay_close(&w->fresh);
    stageplay_close(&w->judge);
    snapshot_unref(w->plain);
    family_unref(w->family);
    keyset_unref(w->set);
    keyplay_close(&w->keys);
    mem_free(&w);
}

START_TEST(test_histories)
{
    static const char *const options[VARIANTS] = {
        "",
        "serial=keep zonemd=sha384",
        "serial=unixtime jitter=1d",
        "serial=dateserial cds_digest=both",
        "denial=nsec3",
        "denial=nsec3 opt_out=true serial=keep zonemd=sha384",
        "denial=nsec3 opt_out=true nsec3_salt=0badcafe nsec3_iterations=3",
    };
    struct random random = random_open();
    unsigned rounds = getenv("WEIR_ROUNDS") ? (unsigned)atoi(getenv("WEIR_ROUNDS")) : 1;
    for (unsigned round = 0; round < rounds; round++) {
        struct world *w = world_open(&random, 10 + 12 * (unsigned)(_i % 4), options[_i]);
        step(w, false);
        for (unsigned i = 0; i < STEPS; i++) {
            switch (random_below(&random, 8)) {
            case 0:
            case 1:
            case 2:
                names_change(w);
                step(w, false);
                break;
            case 3:
            case 4:
            case 5:
                keys_change(w);
                step(w, false);
                break;
            case 6:
                time_passes(w, (int64_t)random_below(&random, 6 * 86400));
                continue;
            case 7:
                if (random_below(&random, 3) > 0)
                    continue;
                down(w);
                step(w, true);
                break;
            }
            settle(w);
            check_fresh(w);
        }
        world_close(w);
    }
}
END_TEST

/* --- a year --- */

enum { YEAR_DAYS = 365, YEAR_SLOTS = 900 };

static uint64_t signatures_new(const struct world *w, const struct changeset *changes)
{
    uint64_t n = 0;
    for (size_t i = 0; i < changes->n; i++) {
        const struct node *was = changes->change[i].was, *now = changes->change[i].now;
        struct record_walk walk;
        struct rdata rdata;
        if (!now || name_equal(node_name(now), w->gen.apex))
            continue;
        record_walk_begin(&walk, now, was);
        while (record_walk_next(&walk, &rdata))
            n += walk.set.type == RR_RRSIG;
    }
    return n;
}

struct days {
    int day;
    double least, most, all;
    uint64_t work;
};

static void days_until(struct days *d, time_t now)
{
    for (; (now - BEGIN) / 86400 > d->day; d->day++) {
        double work = (double)d->work;
        d->least = work < d->least ? work : d->least;
        d->most = work > d->most ? work : d->most;
        d->all += work;
        d->work = 0;
    }
}

/* Nothing happens but that time passes: each day has its share of the work, from the first day on, and no signature ever has less than
 * the margin left. */
START_TEST(test_year)
{
    struct random random = {.state = 5};
    struct world *w = world_open(&random, YEAR_SLOTS, "");
    struct days d = {.least = 1e9};
    struct key_uses uses = {0};
    step(w, false);
    w->sign.type->keys_used(w->sign.state, &uses);
    ck_assert_uint_gt(uses.rrsets, 1000);
    for (unsigned wakes = 0; w->wake_at < BEGIN + YEAR_DAYS * 86400L; wakes++) {
        w->now = w->wake_at;
        days_until(&d, w->now);
        struct stageresult result = stageplay_run(&w->sign, w->plain, w->now, true, NULL);
        ck_assert_int_eq(result.verdict, STAGE_PASS);
        ck_assert_int_gt(result.wake_at, w->now);
        w->wake_at = result.wake_at;
        uint64_t work = signatures_new(w, result.changes);
        ck_assert_uint_le(work, uses.rrsets / 30);
        d.work += work;
        if (wakes % 8 == 0) {
            struct recount r = recount_of(w, result.out);
            ck_assert_msg(r.first - w->now >= REFRESH, "%ld s left", (long)(r.first - w->now));
        }
        if (wakes % 512 == 0)
            check_valid(w, result.out);
        stageplay_accept(&w->sign, &result);
    }
    double mean = d.all / d.day;
    ck_assert_msg(d.least > .8 * mean && d.most < 1.2 * mean,
                  "a day has from %.0f to %.0f, %.0f in the mean", d.least, d.most, mean);
    ck_assert_msg(mean * 9 > .9 * (double)uses.rrsets && mean * 9 < 1.1 * (double)uses.rrsets,
                  "%.0f a day of %lu", mean, (unsigned long)uses.rrsets);
    world_close(w);
}
END_TEST

/* --- growth --- */

enum { GROWN = 3000 };

static void names_added(struct world *w)
{
    struct edit *e = edit_open(w->family, w->plain, w->plain);
    struct snapshot *next;
    for (unsigned i = 0; i < GROWN; i++) {
        char text[64];
        uint8_t owner[NAME_MAX_OCTETS];
        snprintf(text, sizeof(text), "a%u.weir.test.", i); /* before all that there was */
        name_parse(text, owner, NULL);
        ck_assert_int_eq(edit_add(e, owner, RR_A, 300, (const uint8_t *)"\300\0\2\1", 4, NULL), 0);
    }
    ck_assert_int_eq(edit_seal(&e, &next, NULL, NULL), 0);
    snapshot_unref(w->plain);
    w->plain = next;
}

/* The zone becomes fifty times as large in front of the cursor, so what is behind comes last in this round, and much later than in the
 * one before: it is found in time all the same. */
START_TEST(test_growth)
{
    struct random random = {.state = 5};
    struct world *w = world_open(&random, 60, "");
    step(w, false);
    bool grown = false;
    while (w->now < BEGIN + 40 * 86400L) {
        struct recount r = recount_of(w, w->sign.out);
        ck_assert_msg(r.first - w->now >= REFRESH, "%ld s left", (long)(r.first - w->now));
        w->now = w->wake_at;
        if (!grown && w->now > BEGIN + 10 * 86400L) {
            grown = true;
            names_added(w);
        }
        struct stageresult result = stageplay_run(&w->sign, w->plain, w->now, true, NULL);
        ck_assert_int_eq(result.verdict, STAGE_PASS);
        w->wake_at = result.wake_at;
        stageplay_accept(&w->sign, &result);
    }
    check_valid(w, w->sign.out);
    check_counts(w, w->sign.out, w->sign.state);
    world_close(w);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("sign");
    tcase_set_timeout(s.tcase,
                      getenv("WEIR_ROUNDS") ? 0 : 600); /* a year is long on a busy machine */
    if (suite_wants("test_histories"))
        tcase_add_loop_test(s.tcase, test_histories, 0, VARIANTS);
    suite_add(s, test_year);
    suite_add(s, test_growth);
    return suite_run(s);
}
