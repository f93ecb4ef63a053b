/* laws: what every stage must keep (pipeline/stage.h, docs/design.md "A stage"), for every stage that is built in, over
 * random histories of zones, unsigned and signed.
 *
 * At each version the stage is run in four ways: from the last accepted version (twice), from nothing, and, every other
 * time, from the version before that, stepping over one. A version is accepted if it would be served: PASS. What is
 * found from the last accepted version is among what is found from nothing, and where it is refused from nothing, it is
 * refused from there; and it asks to be woken no later. Now and then time passes until the stage wants to be woken; then
 * both must find the same. Of a stage that is INEXACT (a signer) equivalent output is wanted: the same data, and the same sets signed
 * by the same keys; when it wants to be woken is its own business.
 *
 * WEIR_STEPS=N build/tests/laws/laws_test goes on until validate judged N versions of signed zones, and tells what
 * these were.
 */
#include "tests/lib/keyplay.h"
#include "tests/lib/zone_history.h"
#include "tests/lib/signer.h"
#include "tests/lib/stageplay.h"
#include "tests/lib/suite.h"
#include "tests/lib/zonegen.h"

#include "pipeline/run/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct variant {
    const char *stage, *options;
} variants[] = {
    {"strip", "keep_apex_dnskey=true"},
    {"chaos", "seed=7 calm=80 wake=60"},
    {"chaos", "seed=8 calm=20"},
    {"validate", "denial=any"},
    {"validate", "denial=any signatures=any-key"},
    {"sign", "validity=2d refresh=12h jitter=0 serial=keep"},
    {"sign", "denial=nsec3 validity=2d refresh=12h opt_out=true"},
    {"multisigner", "include=zsk ns=union csync=waiting"},
    {"multisigner", "max_foreign_keys=3 ns=union csync=always"},
};
enum { SHARED_SETS = 6 };
static struct keyset *keys; /* that a stage that signs is given */
static struct keyset
    *shared[SHARED_SETS]; /* multisigner's: one after the other, version by version */

/* A DNSKEY set that somebody else made. One period: what is given is the same all the time, as the laws want it. */
static struct keyset *keys_given(const uint8_t *apex)
{
    enum { UNTIL = 1700000000 + 10 * 365 * 86400, KEY = 36, SIG = 18 + 8 };
    uint8_t key[KEY] = {1, 1, 3, ALG_ED25519}, sig[SIG + NAME_MAX_OCTETS] = {0, RR_DNSKEY};
    struct node_builder *b = node_builder_new();
    struct keyset *given = keyset_new(0, 1, 0);
    put_u32(sig + 8, UNTIL);
    size_t len = 18 + name_copy(sig + 18, apex) + 8;
    node_builder_begin(b, apex);
    int bad = node_builder_add(b, RR_DNSKEY, 60, key, KEY) ||
              node_builder_add(b, RR_RRSIG, 60, sig, (uint16_t)len);
    ck_assert_int_eq(bad, 0);
    given->prepared[0] = (struct keyset_prepared){0, UNTIL, node_builder_seal(b)};
    given->ksk_elsewhere = true;
    node_builder_free(&b);
    return given;
}

static const struct history_kind kinds[] = {
    {.slots = 30, .changes = 3},
    {.slots = 12, .changes = 2, .damage = 20},
    {.sign = true, .slots = 30, .changes = 3, .damage = 25, .turns = 15},
    {.sign = true, .slots = 12, .changes = 1, .damage = 40, .turns = 5},
    {.sign = true, .slots = 20, .changes = 3, .damage = 25, .turns = 15, .nsec3 = true},
    {.sign = true,
     .slots = 20,
     .changes = 2,
     .damage = 25,
     .turns = 5,
     .nsec3 = true,
     .opt_out = true},
    {.sign = true,
     .slots = 12,
     .changes = 2,
     .damage = 10,
     .faults = 20,
     .turns = 70,
     .blemishes = 20},
    {.sign = true,
     .slots = 12,
     .changes = 1,
     .damage = 10,
     .faults = 20,
     .turns = 70,
     .blemishes = 20,
     .nsec3 = true},
    {.sign = true,
     .slots = 16,
     .changes = 1,
     .damage = 10,
     .faults = 40,
     .turns = 40,
     .delegations = 60,
     .nsec3 = true,
     .opt_out = true},
};

enum { VERSIONS = 16, ROUNDS = 1, MANY = 20000, FEW = 1000, MOST_WAKES = 1000, FEW_WAKES = 3 };

/* What validate judged of signed zones, by what was done to the version. Events are string literals. */
enum { EVENTS_MAX = 100 };
static struct count {
    const char *event;
    unsigned long judged, accepted;
} counts[EVENTS_MAX];
static unsigned long judged, accepted, woken_up, merged;

static void count_add(const char *event, bool good)
{
    unsigned i = 0;
    while (counts[i].event && strcmp(counts[i].event, event) != 0)
        ck_assert_uint_lt(++i, EVENTS_MAX);
    counts[i].event = event;
    counts[i].judged++;
    counts[i].accepted += good;
    judged++;
    accepted += good;
}

static void counts_print(void)
{
    for (unsigned i = 0; i < EVENTS_MAX && counts[i].event; i++)
        printf("%7lu judged, %7lu accepted: %s\n", counts[i].judged, counts[i].accepted,
               counts[i].event[0] ? counts[i].event : "names changed");
    printf("%lu judged, %lu accepted, %lu refused; %lu times woken in between\n", judged, accepted,
           judged - accepted, woken_up);
}

/* What was done to the versions so far, and what became of them: told when a law is broken. */
static char story[HISTORY_MAX * 80];

static void story_add(const struct zone_history *h, unsigned i, enum verdict verdict)
{
    size_t n = strlen(story);
    snprintf(story + n, sizeof(story) - n, "%u %s: %s\n", i, h->event[i], verdict_text(verdict));
}

/* Case of names and all octets count: fn is called for each node in order. */
static uint64_t digest_of(const struct snapshot *s)
{
    uint64_t digest = 0xcbf29ce484222325;
    struct snapshot_iter it;
    for (const struct node *node = s ? snapshot_first(&it, s) : NULL; node;
         node = snapshot_next(&it)) {
        const uint8_t *p = (const uint8_t *)node->head;
        for (const uint8_t *end = (const uint8_t *)node + node->bytes; p < end; p++)
            digest = (digest ^ *p) * 0x100000001b3;
    }
    return digest;
}

/* Is what differs at a name only what two runs of a signer make differently: octets and times of signatures, and the serial? */
static void expect_equivalent(void *ctx, const uint8_t *owner, const struct rrset *was,
                              const struct rrset *now)
{
    const char *law = ctx;
    char name[NAME_TEXT_MAX];
    struct rdata x, y;
    ck_assert_msg(was && now, "%s: %s: a set of type %u is there once only", law,
                  name_print(owner, name), was ? was->type : now->type);
    if (was->type == RR_SOA)
        return;
    ck_assert_msg(was->type == RR_RRSIG && was->count == now->count && was->ttl == now->ttl,
                  "%s: %s: sets of type %u differ", law, name_print(owner, name), was->type);
    const uint8_t *p = was->rdata, *q = now->rdata;
    while (rrset_next(was, &p, &x) && rrset_next(now, &q, &y)) {
        struct rrsig a, b;
        ck_assert(rrsig_parse(x.data, x.len, &a) && rrsig_parse(y.data, y.len, &b));
        ck_assert_msg(a.algorithm == b.algorithm && a.tag == b.tag &&
                          a.original_ttl == b.original_ttl && a.labels == b.labels,
                      "%s: %s: signatures by other keys", law, name_print(owner, name));
    }
}

/* What a refused run made is thrown away by the chain: from nothing it is empty, as a change it is the old output. */
static void expect_same_output(const struct stage_type *type, const struct stageresult *a,
                               const struct stageresult *b, const char *law)
{
    if (!a->out || a->verdict >= STAGE_RETRY)
        return;
    if (type->flags & STAGE_INEXACT && !(type->flags & STAGE_TEST)) {
        struct changeset *differ = changeset_between(a->out, b->out);
        for (size_t i = 0; i < differ->n; i++)
            change_rrsets(&differ->change[i], expect_equivalent, (void *)(uintptr_t)law);
        changeset_unref(differ);
        return;
    }
    struct changeset *differ = changeset_between(a->out, b->out);
    ck_assert_msg(differ->n == 0, "%s: outputs differ at %zu names", law, differ->n);
    changeset_unref(differ);
}

static void expect_same_findings(const struct stageresult *a, const struct stageresult *b,
                                 const char *law)
{
    char *x = stageresult_print(a), *y = stageresult_print(b);
    ck_assert_msg(strcmp(x, y) == 0, "%s: findings differ:\n%s---\n%s", law, x, y);
    free(x);
    free(y);
}

static void expect_same_verdict(const struct stageresult *a, const struct stageresult *b,
                                const char *law, const char *event)
{
    if (a->verdict == b->verdict)
        return;
    char *x = stageresult_print(a), *y = stageresult_print(b);
    ck_abort_msg("%s: verdicts differ (%s): %s, %s\n%s---\n%s---\n%s", law, event,
                 verdict_text(a->verdict), verdict_text(b->verdict), x, y, story);
}

/* Nothing that refuses may be found from the last version alone. */
static void expect_found(const struct stageresult *part, const struct stageresult *whole,
                         const char *event)
{
    const struct finding *f = stageresult_found_only(part, whole);
    if (!f)
        return;
    char *x = stageresult_print(part), *y = stageresult_print(whole);
    ck_abort_msg("%s is found from the last version only (%s):\n%s---\n%s---\n%s", f->type->code,
                 event, x, y, story);
}

/* To be woken late is to serve what is no longer good. */
static void expect_wakes(const struct stageresult *part, const struct stageresult *whole)
{
    if (whole->verdict != STAGE_PASS || !whole->wake_at)
        return;
    ck_assert_msg(part->wake_at && part->wake_at <= whole->wake_at,
                  "wake_at %ld, from nothing %ld\n%s", (long)part->wake_at, (long)whole->wake_at,
                  story);
}

/* One stage with one set of options over one history. */
struct trial {
    const struct stage_type *type;
    const struct zone_history *history;
    struct keyset *given; /* NULL: as keys_for says */
    struct stageplay play, fresh, skipping;
    struct pool *pool;
    time_t wake_at; /* of the version that play accepted last; 0: it need not be woken */
};

static void trial_open(struct trial *t, const char *options)
{
    struct why why;
    struct stageplay *plays[] = {&t->play, &t->fresh, &t->skipping};
    if (t->type->flags & STAGE_KEY_SETS_ONLY)
        t->given = keys_given(t->history->apex);
    for (unsigned i = 0; i < 3; i++) {
        int rc = stageplay_open(plays[i], t->type, t->history->apex, options, &why);
        ck_assert_msg(rc == 0, "%s %s: %s", t->type->name, options, why.text);
    }
}

static const struct keyset *keys_for(const struct stage_type *type, unsigned version)
{
    if (type->flags & STAGE_JOINS_NS)
        return shared[version % SHARED_SETS];
    return type->flags & STAGE_INEXACT ? keys : NULL;
}

static void trial_close(struct trial *t)
{
    stageplay_close(&t->play);
    stageplay_close(&t->fresh);
    stageplay_close(&t->skipping);
    keyset_unref(t->given);
}

/* found: at the run before, which was accepted. Who takes in what the keyset has of others looks at the apex each time, since that may
 * have changed without the zone, and finds the same again. */
static void check_law_4(struct trial *t, const struct snapshot *version, time_t now,
                        const char *found)
{
    struct stageresult result = stageplay_run(&t->play, version, now, false, NULL);
    char *again = stageresult_print(&result);
    ck_assert_str_eq(again, t->type->flags & STAGE_JOINS_NS ? found : "");
    free(again);
    ck_assert_int_eq(result.verdict, STAGE_PASS);
    if (result.changes)
        ck_assert_uint_eq(result.changes->n, 0);
    stageplay_drop(&t->play, &result);
}

static void check_law_5(const struct stageresult *result)
{
    if (result->verdict != STAGE_PASS)
        ck_assert_uint_gt(result->findings->by_verdict[result->verdict], 0);
}

/* Time alone: the same is found as from nothing, and sooner or later there is nothing more to wait for. */
static void check_wake(struct trial *t, const struct snapshot *version, time_t at)
{
    bool ends =
        !(t->type->flags & STAGE_INEXACT); /* else there is always something to be renewed */
    for (unsigned wakes = 0; at && (ends || wakes < FEW_WAKES); wakes++) {
        struct stageresult woken = stageplay_run(&t->play, version, at, true, NULL);
        struct stageresult nothing = stageplay_run(&t->fresh, version, at, false, NULL);
        expect_same_verdict(&woken, &nothing, "woken", "");
        expect_same_findings(&woken, &nothing, "woken");
        ck_assert_uint_lt(wakes, MOST_WAKES);
        at = woken.wake_at > at && woken.verdict == STAGE_PASS ? woken.wake_at : 0;
        stageplay_drop(&t->play, &woken);
        stageplay_drop(&t->fresh, &nothing);
    }
}

/* What a zone does when time has come between two versions: the version is judged again, and what follows is judged from
 * there if that is well, else from what was. */
static void check_time(struct trial *t, time_t now)
{
    while (t->wake_at && t->wake_at <= now) {
        const struct snapshot *version = t->play.prev;
        struct stageresult woken = stageplay_run(&t->play, version, t->wake_at, true, NULL);
        struct stageresult nothing = stageplay_run(&t->fresh, version, t->wake_at, false, NULL);
        expect_same_verdict(&woken, &nothing, "woken between versions", "");
        expect_found(&woken, &nothing, "woken between versions");
        if (!(t->type->flags & STAGE_INEXACT))
            expect_wakes(&woken, &nothing);
        stageplay_drop(&t->fresh, &nothing);
        woken_up++;
        t->wake_at = woken.verdict == STAGE_PASS ? woken.wake_at : 0;
        if (woken.verdict == STAGE_PASS)
            stageplay_accept(&t->play, &woken);
        else
            stageplay_drop(&t->play, &woken);
    }
}

static void check_version(struct trial *t, unsigned i, struct par *par)
{
    const struct zone_history *h = t->history;
    const struct snapshot *next = h->version[i];
    if (!(t->type->flags & STAGE_TEST))
        check_time(t, h->now[i]);
    t->play.keys = t->fresh.keys = t->skipping.keys = t->given ? t->given : keys_for(t->type, i);
    uint64_t next_before = digest_of(next), prev_before = digest_of(t->play.prev);
    uint32_t next_refs = next->refs;
    struct trie_stats stats_before, stats_after;
    family_reap(t->play.family);
    family_stats(t->play.family, &stats_before);

    struct stageresult once = stageplay_run(&t->play, next, h->now[i], false, NULL);
    struct stageresult nothing = stageplay_run(&t->fresh, next, h->now[i], false, NULL);
    check_law_5(&once);
    expect_same_verdict(&once, &nothing, "law 2", h->event[i]);
    expect_same_output(t->type, &once, &nothing, "law 2");
    if (!(t->type->flags & STAGE_TEST)) {
        expect_found(&once, &nothing, h->event[i]);
        if (!(t->type->flags & STAGE_INEXACT))
            expect_wakes(&once, &nothing);
    }

    struct stageresult skipped = stageplay_run(&t->skipping, next, h->now[i], false, NULL);
    expect_same_verdict(&once, &skipped, "law 3", h->event[i]);
    expect_same_output(t->type, &once, &skipped, "law 3");

    stageplay_drop(&t->fresh, &nothing);
    if (i % 2 == 1 && once.verdict == STAGE_PASS)
        stageplay_accept(&t->skipping, &skipped);
    else
        stageplay_drop(&t->skipping, &skipped);

    /* law 6: the first run is dropped, and the second one sees nothing of it */
    struct stageresult again = stageplay_run(&t->play, next, h->now[i], false, par);
    expect_same_output(t->type, &once, &again, "law 1");
    expect_same_findings(&once, &again, "law 1");
    ck_assert_int_eq(once.wake_at, again.wake_at);
    stageplay_drop(&t->play, &once);
    enum verdict verdict = again.verdict;
    story_add(h, i, verdict);
    stageplay_drop(&t->play, &again);
    family_reap(t->play.family);
    family_stats(t->play.family, &stats_after);
    ck_assert_uint_eq(stats_before.branches, stats_after.branches);

    ck_assert_uint_eq(digest_of(next), next_before); /* law 8 */
    ck_assert_uint_eq(digest_of(t->play.prev), prev_before);
    if (verdict != STAGE_PASS) {
        ck_assert_uint_eq(next->refs, next_refs + (t->skipping.prev == next));
        return;
    }
    again = stageplay_run(&t->play, next, h->now[i], false, par);
    t->wake_at = again.wake_at;
    char *found = stageresult_print(&again);
    stageplay_accept(&t->play, &again);
    check_law_4(t, next, h->now[i], found);
    free(found);
    if (t->wake_at && i % 4 == 0 && !(t->type->flags & STAGE_TEST))
        check_wake(t, next, t->wake_at);
}

static void check_history(const struct stage_type *type, const char *options,
                          const struct zone_history *history, struct pool *pool)
{
    struct trial t = {.type = type, .history = history, .pool = pool};
    snprintf(story, sizeof(story), "%s %s\n", type->name, options ? options : "");
    trial_open(&t, options);
    for (unsigned i = 0; i < history->n; i++) {
        check_version(&t, i, pool_par(pool));
        if (type == registry_find("validate") && history->sign)
            count_add(history->event[i], t.play.prev == history->version[i]);
        merged += type->flags & STAGE_JOINS_NS && t.play.prev == history->version[i];
    }
    trial_close(&t);
}

START_TEST(test_histories)
{
    struct random random = random_open();
    struct pool *pool = pool_new(2);
    const char *steps = getenv("WEIR_STEPS");
    unsigned long least = steps ? strtoul(steps, NULL, 10) : 0;
    for (unsigned round = 0; round < ROUNDS || judged < least; round++)
        for (unsigned k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
            struct zone_history history = zone_history_make(&random, &kinds[k], VERSIONS);
            const struct stage_type *type;
            for (unsigned i = 0; (type = registry_at(i)); i++)
                check_history(type, NULL, &history, pool);
            for (unsigned v = 0; v < sizeof(variants) / sizeof(variants[0]); v++)
                check_history(registry_find(variants[v].stage), variants[v].options, &history,
                              pool);
            zone_history_free(&history);
        }
    if (least)
        counts_print();
    ck_assert_uint_gt(accepted, ROUNDS * VERSIONS); /* else nothing was shown */
    ck_assert_uint_gt(merged, ROUNDS * VERSIONS);
    pool_free(&pool);
}
END_TEST

/* Law 7: the same number of changes in a small and in a large zone. */
static uint64_t visited_at(const struct stage_type *type, unsigned slots, size_t *changes)
{
    struct random random = {.state = 7};
    struct zonegen gen = zonegen_open(&random, "weir.test.", slots);
    struct family *family = family_new(gen.apex);
    struct stageplay play;
    struct why why;
    int rc = stageplay_open(&play, type, gen.apex, type->options ? "" : NULL, &why);
    ck_assert_int_eq(rc, 0);
    struct keyset *given = type->flags & STAGE_KEY_SETS_ONLY ? keys_given(gen.apex) : NULL;
    play.keys = given ? given : keys_for(type, 1);
    struct snapshot *first = zonegen_version(&gen, family, NULL, 0);
    struct stageresult result = stageplay_run(&play, first, 1700000000, false, NULL);
    stageplay_accept(&play, &result);
    struct snapshot *second = zonegen_version(&gen, family, first, 10);
    struct changeset *delta = changeset_between(first, second);
    *changes = delta->n;
    result = stageplay_run(&play, second, 1700000060, false, NULL);
    ck_assert(result.verdict == STAGE_PASS || !(type->flags & STAGE_JOINS_NS));
    if (result.changes)
        ck_assert_uint_le(result.changes->n,
                          delta->n * (type->flags & STAGE_INEXACT ? 4 : 1)); /* and neighbours */
    uint64_t visited = result.visited;
    stageplay_drop(&play, &result);
    changeset_unref(delta);
    snapshot_unref(first);
    snapshot_unref(second);
    stageplay_close(&play);
    keyset_unref(given);
    family_unref(family);
    return visited;
}

START_TEST(test_law_7)
{
    const struct stage_type *type;
    unsigned counted = 0;
    for (unsigned i = 0; (type = registry_at(i)); i++) {
        if (type->flags & STAGE_WHOLE_ZONE)
            continue;
        size_t few, many;
        uint64_t small = visited_at(type, FEW, &few), large = visited_at(type, MANY, &many);
        ck_assert_msg(small <= 8 * few, "%s visits %lu names for %zu changes", type->name,
                      (unsigned long)small, few);
        ck_assert_msg(large <= 8 * many, "%s visits %lu names for %zu changes in a large zone",
                      type->name, (unsigned long)large, many);
        counted++;
    }
    ck_assert_uint_gt(counted, 0);
}
END_TEST

/* The version that the signer makes when only this key signs, until then. */
static struct snapshot *signed_by(struct signer *signer, unsigned key, uint32_t until,
                                  const struct snapshot *plain, struct family *family)
{
    for (unsigned i = 0; i < signer->keys; i++)
        signer->key[i].sign = i == key;
    signer->expiration = until;
    return signer_sign(signer, plain, family, NULL);
}

/* The signature over the DNSKEY set in `from` is added; taken out, if that is where it is from. */
static void move_dnskey_signature(struct edit *e, const struct snapshot *from, bool in)
{
    struct rrset sigs;
    struct rdata rdata;
    const uint8_t *apex = snapshot_apex_name(from);
    bool any =
        node_rrset(snapshot_apex(from), RR_RRSIG, RR_DNSKEY, &sigs) && rrset_first(&sigs, &rdata);
    ck_assert(any);
    int rc = in ? edit_add(e, apex, RR_RRSIG, sigs.ttl, rdata.data, rdata.len, NULL)
                : edit_del(e, apex, RR_RRSIG, rdata.data, rdata.len, NULL);
    ck_assert_int_eq(rc, 0);
}

/* A revoked key that has the tag of another one signs the DNSKEY set for longer than that one does, and the set must not be
 * taken to be good for so long: at no time is validate, woken, of another mind than from nothing. */
START_TEST(test_revoked_of_same_tag)
{
    enum { BEGIN = 1700000000, ENDS = BEGIN + 86400, LATER = ENDS + 86400 };
    uint32_t seed[2];
    struct random random = {.state = 3};
    struct zonegen gen = zonegen_open(&random, "weir.test.", 3);
    struct family *plain_family = family_new(gen.apex), *family = family_new(gen.apex);
    struct signer signer = {.inception = BEGIN - 3600, .nsec = true};
    signer_same_tag(DNSKEY_ZONE | DNSKEY_SEP, ALG_ED25519, true, 1, seed);
    signer_add_key(&signer, DNSKEY_ZONE | DNSKEY_SEP, ALG_ED25519, seed[0]);
    signer_add_key(&signer, DNSKEY_ZONE | DNSKEY_SEP, ALG_ED25519, seed[1]);
    signer_revoke_key(&signer, 0);
    ck_assert_uint_eq(signer.key[0].tag, signer.key[1].tag);
    struct snapshot *plain = zonegen_version(&gen, plain_family, NULL, 0), *made;
    struct snapshot *whole = signed_by(&signer, 1, LATER, plain, family);
    struct snapshot *revoked = signed_by(&signer, 0, LATER, plain, family);
    struct snapshot *early = signed_by(&signer, 1, ENDS, plain, family);
    struct edit *e = edit_open(family, whole, whole);
    move_dnskey_signature(e, whole, false);
    move_dnskey_signature(e, revoked, true);
    move_dnskey_signature(e, early, true);
    ck_assert_int_eq(edit_seal(&e, &made, NULL, NULL), 0);

    struct zone_history history = {0};
    name_copy(history.apex, gen.apex);
    struct trial t = {.type = registry_find("validate"), .history = &history};
    trial_open(&t, "");
    struct stageresult result = stageplay_run(&t.play, made, BEGIN, false, NULL);
    ck_assert_int_eq(result.verdict, STAGE_PASS);
    t.wake_at = result.wake_at;
    stageplay_accept(&t.play, &result);
    check_time(&t, ENDS + 1);
    ck_assert_int_eq(t.wake_at, 0); /* refused at its end */
    trial_close(&t);
    signer_close(&signer);
    struct snapshot *all[] = {plain, whole, revoked, early, made};
    for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        snapshot_unref(all[i]);
    family_unref(plain_family);
    family_unref(family);
}
END_TEST

/* Ours are of every algorithm that a history's keys, the foreign ones, may have. Elsewhere signers come and go, with keys, servers and
 * wishes of their own; one has what ours must refuse, and the zone goes out unsigned for a while. */
static void shared_make(void)
{
    static const uint8_t algorithms[] = {ALG_RSASHA256, ALG_RSASHA512, ALG_ECDSAP256,
                                         ALG_ECDSAP384, ALG_ED25519,   ALG_ED448};
    static const uint8_t server[] = "\2ns\5other", inside[] = "\2ns\4weir\4test";
    struct keyplay ours = {.n = 0}, others = {.n = 0};
    for (unsigned i = 0; i < sizeof(algorithms); i++)
        keyplay_make(&ours, DNSKEY_ZONE, algorithms[i], "pz");
    for (unsigned i = 0; i < 4; i++)
        keyplay_make(&others, i % 2 ? DNSKEY_ZONE | DNSKEY_SEP : DNSKEY_ZONE, ALG_ED25519, "p");
    for (unsigned i = 0; i < SHARED_SETS; i++) {
        bool bare = i == SHARED_SETS - 1;
        struct keyset *set = shared[i] = bare ? keyset_new(0, 0, 0) : keyplay_set(&ours, 0);
        set->unsigned_zone = bare;
        set->csync = i % 2;
        for (unsigned k = 0; k < i && k < others.n; k++) {
            const struct keyset_key *key = &others.key[k];
            struct keyset_foreign *f = keyset_add_foreign(set, key->rdata, key->len, 300 * (i + k));
            f->publish = (i + k) % 3;
            f->ds = k % 2 && i % 2;
            f->csk = k == 3;
        }
        if (i == 3)
            set->foreign[0].rdata[2] = 4; /* a protocol that no key has */
        if (i >= 2)
            keyset_add_ns(set, server);
        if (i >= 4)
            keyset_add_ns(set, inside);
        keyset_seal(set);
    }
    keyplay_close(&ours);
    keyplay_close(&others);
}

int main(void)
{
    struct suite s = suite_open("laws");
    struct keyplay play = {.n = 0};
    keyplay_make(&play, DNSKEY_ZONE | DNSKEY_SEP, ALG_ED25519, "pkd");
    keyplay_make(&play, DNSKEY_ZONE, ALG_ED25519, "pz");
    keys = keyplay_set(&play, 0);
    keyplay_close(&play);
    shared_make();
    if (getenv("WEIR_STEPS"))
        tcase_set_timeout(s.tcase, 0); /* as long as that takes */
    suite_add(s, test_histories);
    suite_add(s, test_law_7);
    suite_add(s, test_revoked_of_same_tag);
    int rc = suite_run(s);
    keyset_unref(keys);
    for (unsigned i = 0; i < SHARED_SETS; i++)
        keyset_unref(shared[i]);
    return rc;
}
