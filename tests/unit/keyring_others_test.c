/* keyring, where others sign the zone too (RFC 8901 6.2): which step waits until they serve our key, for how long, and which does not. One
 * rule a test; tests/unit/keyring_test.c has resolvers that mix at random.
 *
 * All that the ring asks for is done at once: a version has the keys and signatures of the keyset. TTLs are 10 s of ours and 100 s of theirs,
 * and there is no delay; so a wait is 11 s, or 101 s.
 */
#include "tests/lib/suite.h"

#include "pipeline/base/alloc.h"
#include "pipeline/run/keyring.h"

#include <string.h>

static const uint8_t apex[] = "\4ring\4test";
enum { KEYS = 6, OCTETS = 12, OURS = 10, THEIRS = 100 };

struct walk {
    struct keyring *ring;
    struct keyring_policy policy;
    struct keyring_time time;
    struct keyring_plan plan;
    unsigned nkeys;
    uint8_t rdata[KEYS][OCTETS];
    struct keyring_others others;
    uint32_t ttl; /* of our DNSKEY set */
    bool joined;  /* others are told */
    bool unknown; /* no version is known */
};

static struct walk walk_open(bool csk)
{
    return (struct walk){
        .ring = keyring_new(apex),
        .policy = {.algorithm = 13, .csk = csk, .generate = true, .ds_ttl_s = OURS},
        .time = {.now = 1000, .tick = 5, .boot = 1},
        .ttl = OURS,
        .others = {.dnskey_ttl = THEIRS}};
}

/* Keys differ in one octet, and so do their tags. */
static void key_make(struct walk *w, enum keyring_role role)
{
    struct keyring_key *k;
    struct why why;
    uint8_t *rdata = w->rdata[w->nkeys];
    ck_assert_uint_lt(w->nkeys, KEYS);
    memcpy(rdata, (uint8_t[OCTETS]){1, role != KEYRING_ZSK, 3, 13}, OCTETS);
    rdata[4] = (uint8_t)++w->nkeys;
    int err = keyring_add(w->ring, role, rdata, OCTETS, NULL, false, w->time.now, &k, &why);
    ck_assert_msg(!err, "%s", why.text);
}

static void step_once(struct walk *w)
{
    struct growbuf set = {0};
    struct keyset *keys = keyring_keyset(w->ring, &w->policy);
    struct key_uses uses = {.rrsets = 3, .ttl_max = OURS};
    for (unsigned i = 0; i < keys->n; i++) {
        const struct keyset_key *k = &keys->key[i];
        uses.use[uses.n++] = (struct key_use){
            .tag = k->tag, .algorithm = k->algorithm, .signatures = k->signs_zone ? 3 : 0};
        if (!k->publish)
            continue;
        growbuf_u16(&set, k->len);
        growbuf_put(&set, k->rdata, k->len);
    }
    struct rrset dnskey = {
        .type = RR_DNSKEY, .ttl = w->ttl, .rdata = set.p, .end = set.p + set.len};
    struct keyring_facts facts = {.time = w->time,
                                  .dnskey = set.len ? &dnskey : NULL,
                                  .served = !w->unknown,
                                  .current = true,
                                  .uses = &uses,
                                  .others = w->joined ? &w->others : NULL};
    keyring_step(w->ring, &w->policy, &facts, &w->plan);
    keyset_unref(keys);
    mem_free(&set.p);
}

/* Until nothing moves any more, at this moment. */
static void step(struct walk *w)
{
    struct why why;
    for (int i = 0; i < 10; i++) {
        step_once(w);
        for (unsigned j = 0; j < w->plan.generate; j++)
            key_make(w, w->plan.missing[j]);
        (void)!keyring_ds_seen(w->ring, &w->time, &why);
        (void)!keyring_ds_gone(w->ring, &w->time, &why);
    }
}

static void pass(struct walk *w, int64_t s)
{
    step(w);
    w->time.tick += s;
    w->time.now += s;
    step(w);
}

/* The other signer has these keys of ours, and no other: the i-th that was made is bit i. */
static void copies(struct walk *w, unsigned mask)
{
    w->others.n = 0;
    for (unsigned i = 0; i < w->nkeys; i++)
        if (mask >> i & 1)
            w->others.shown[w->others.n++] = (struct keyring_shown){w->rdata[i], OCTETS};
}

static struct keyring_key *key(struct walk *w, unsigned i)
{
    ck_assert_uint_lt(i, w->ring->n);
    return &w->ring->key[i];
}

static void expect_wait(struct walk *w, unsigned i, const char *reason, int64_t in)
{
    struct keyring_wait wait = keyring_waits(w->ring, &w->policy, key(w, i), w->time.now);
    ck_assert_str_eq(wait.reason, reason);
    ck_assert_int_eq(wait.until, in ? w->time.now + in : 0);
}

/* KSK 0 and ZSK 1, or CSK 0, in use, with a DS; the other signer has them, and counts. */
static struct walk joined(bool csk)
{
    struct walk w = walk_open(csk);
    for (int i = 0; i < 4; i++)
        pass(&w, OURS + 1);
    for (unsigned i = 0; i < w.nkeys; i++)
        ck_assert_int_eq(key(&w, i)->state, KEY_ACTIVE);
    ck_assert_uint_eq(w.nkeys, csk ? 1 : 2);
    w.joined = true;
    copies(&w, 3);
    step(&w);
    return w;
}

static void roll(struct walk *w, enum keyring_role role)
{
    struct why why;
    int err = keyring_roll(w->ring, role, &why);
    ck_assert_msg(!err, "%s", why.text);
    step(w);
}

static void walk_close(struct walk *w)
{
    keyring_free(&w->ring);
}

static const char not_there[] = "its DNSKEY must be served by all other signers of the zone, too";
static const char not_everywhere[] =
    "its DNSKEY must reach every cache, from all signers of the zone";

START_TEST(test_key_waits_until_all_others_serve_it)
{
    bool csk = _i;
    unsigned next = csk ? 1 : 2;
    struct walk w = joined(csk);
    roll(&w, csk ? KEYRING_CSK : KEYRING_ZSK);
    pass(&w, 10000);
    ck_assert_int_eq(key(&w, next)->dnskey.state, CELL_COMING);
    ck_assert_int_eq(key(&w, next)->zone.state, CELL_ABSENT);
    expect_wait(&w, next, not_there, 0);
    copies(&w, 7);
    step(&w);
    expect_wait(&w, next, not_everywhere, THEIRS + 1);
    pass(&w, THEIRS);
    ck_assert_int_eq(key(&w, next)->zone.state, CELL_ABSENT);
    ck_assert_int_eq(w.plan.wake_in, 1);
    pass(&w, 1);
    ck_assert_int_ne(key(&w, next)->zone.state, CELL_ABSENT);
    walk_close(&w);
}
END_TEST

/* Nobody counts: our own TTL is all that is waited for. */
START_TEST(test_without_others_a_key_waits_as_ever)
{
    struct walk w = joined(false);
    w.joined = false;
    pass(&w, THEIRS + 1);
    roll(&w, KEYRING_ZSK);
    expect_wait(&w, 2, "its DNSKEY must reach every cache", OURS + 1);
    pass(&w, OURS);
    ck_assert_int_eq(key(&w, 2)->zone.state, CELL_ABSENT);
    pass(&w, 1);
    ck_assert_int_ne(key(&w, 2)->zone.state, CELL_ABSENT);
    walk_close(&w);
}
END_TEST

/* What others had is in caches for as long as it said, also when their TTL has sunk, and when they count no longer. */
START_TEST(test_ttl_of_theirs_is_remembered)
{
    bool gone = _i;
    struct walk w = joined(false);
    pass(&w, 1000);
    w.others.dnskey_ttl = 1;
    w.joined = !gone;
    roll(&w, KEYRING_ZSK);
    copies(&w, 7);
    pass(&w, THEIRS - 1);
    ck_assert_int_eq(key(&w, 2)->zone.state, CELL_ABSENT);
    pass(&w, 1); /* by now nothing with the TTL that was is in a cache */
    ck_assert_int_ne(key(&w, 2)->zone.state, CELL_ABSENT);
    for (int i = 0; i < 4; i++)
        pass(&w, OURS + 1);
    roll(&w, KEYRING_ZSK);
    copies(&w, 12);
    pass(&w, OURS);
    ck_assert_int_eq(key(&w, 3)->zone.state, CELL_ABSENT);
    pass(&w, 1);
    ck_assert_int_ne(key(&w, 3)->zone.state, CELL_ABSENT);
    walk_close(&w);
}
END_TEST

/* A TTL that sinks, and sinks again before the first has gone: what has the one between is in caches when nothing has the first any more. */
START_TEST(test_ttl_that_sinks_twice_is_remembered)
{
    struct walk w = joined(false);
    uint32_t *ttl = _i ? &w.others.dnskey_ttl : &w.ttl;
    *ttl = 1000;
    pass(&w, 5000);
    *ttl = 900;
    pass(&w, 900);
    *ttl = 1;
    roll(&w, KEYRING_ZSK);
    copies(&w, 7);
    pass(&w, 899);
    ck_assert_int_eq(key(&w, 2)->zone.state, CELL_ABSENT);
    pass(&w, 2);
    ck_assert_int_ne(key(&w, 2)->zone.state, CELL_ABSENT);
    walk_close(&w);
}
END_TEST

/* A signer that takes the key out again before it signs lets it wait anew, for it may be missing in caches again. */
START_TEST(test_key_that_does_not_sign_yet_is_set_back)
{
    struct walk w = joined(false);
    key_make(&w, KEYRING_ZSK);
    copies(&w, 7);
    pass(&w, THEIRS);
    copies(&w, 3);
    pass(&w, 1000);
    ck_assert_int_eq(key(&w, 2)->dnskey.state, CELL_COMING);
    expect_wait(&w, 2, not_there, 0);
    copies(&w, 7);
    pass(&w, THEIRS);
    ck_assert_int_eq(key(&w, 2)->zone.state, CELL_ABSENT);
    pass(&w, 1);
    ck_assert_int_ne(key(&w, 2)->zone.state, CELL_ABSENT);
    walk_close(&w);
}
END_TEST

/* A signer lacks the key while no version of ours is known: that is not missed. The moment in which the key would begin is the worst. */
START_TEST(test_key_that_was_lacking_for_a_moment_waits_anew)
{
    struct walk w = joined(false);
    roll(&w, KEYRING_ZSK);
    copies(&w, 7);
    pass(&w, THEIRS);
    w.unknown = true;
    w.time.tick++;
    copies(&w, 3);
    step(&w);
    copies(&w, 7);
    step(&w);
    w.unknown = false;
    pass(&w, THEIRS);
    ck_assert_int_eq(key(&w, 2)->zone.state, CELL_ABSENT);
    pass(&w, 1);
    ck_assert_int_ne(key(&w, 2)->zone.state, CELL_ABSENT);
    walk_close(&w);
}
END_TEST

/* Its signatures are out, and nothing that the ring could do calls them in again: the rollover comes to its end. */
START_TEST(test_key_that_signs_is_not_set_back)
{
    struct walk w = joined(true);
    roll(&w, KEYRING_CSK);
    copies(&w, 3);
    pass(&w, THEIRS + 1);
    ck_assert_int_ne(key(&w, 1)->zone.state, CELL_ABSENT);
    copies(&w, 1);
    for (int i = 0; i < 8; i++)
        pass(&w, OURS + 1);
    ck_assert_int_eq(key(&w, 1)->state, KEY_ACTIVE);
    ck_assert_int_eq(key(&w, 1)->dnskey.state, CELL_PRESENT);
    ck_assert_int_eq(key(&w, 0)->state, KEY_REMOVED);
    walk_close(&w);
}
END_TEST

/* A KSK signs our DNSKEY set only, which no other signer has. */
START_TEST(test_ksk_does_not_wait_for_others)
{
    struct walk w = joined(false);
    roll(&w, KEYRING_KSK);
    expect_wait(&w, 2, "its DNSKEY must reach every cache", OURS + 1);
    for (int i = 0; i < 8; i++)
        pass(&w, OURS + 1);
    ck_assert_int_eq(key(&w, 2)->state, KEY_ACTIVE);
    ck_assert_int_eq(key(&w, 0)->state, KEY_REMOVED);
    walk_close(&w);
}
END_TEST

/* The first key: there is nothing that it could take the place of, and unsigned is no better. */
START_TEST(test_first_key_signs_at_once)
{
    struct walk w = walk_open(true);
    w.joined = true;
    step(&w);
    ck_assert_int_ne(key(&w, 0)->zone.state, CELL_ABSENT);
    walk_close(&w);
}
END_TEST

/* To disable is to ask the parent for the end of all DS (RFC 8078 4), those of others among them. Who comes later is not asked. */
static void disable(struct walk *w)
{
    struct why why;
    ck_assert_int_eq(keyring_disable(w->ring, w->time.now, &why), -E_MISMATCH);
    ck_assert_msg(strstr(why.text, "take their DS away"), "%s", why.text);
    w->joined = false;
    step(w);
    ck_assert_int_eq(keyring_disable(w->ring, w->time.now, &why), 0);
    w->joined = true;
    step(w);
}

/* Ours is no longer at the parent, but resolvers have the DS of others, and look at our signatures. */
START_TEST(test_others_ds_is_a_ds)
{
    struct why why;
    struct walk w = joined(false);
    disable(&w);
    for (int i = 0; i < 3; i++)
        pass(&w, OURS + 1);
    ck_assert(!keyring_is_secure(w.ring));
    key_make(&w, KEYRING_ZSK);
    pass(&w, 1000);
    ck_assert_int_eq(key(&w, 2)->zone.state, CELL_ABSENT);
    ck_assert_int_eq(keyring_delete(w.ring, w.time.now, &why), -E_MISMATCH);
    ck_assert_msg(strstr(why.text, "other signers"), "%s", why.text);
    w.joined = false;
    step(&w);
    ck_assert_int_eq(keyring_delete(w.ring, w.time.now, &why), 0);
    walk_close(&w);
}
END_TEST

static void restart(struct walk *w)
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
}

/* What is new of the ring outlives a restart: whether others count, their TTL, and which key they lack. */
START_TEST(test_others_are_kept)
{
    struct why why;
    struct walk w = joined(false);
    pass(&w, 1000);
    roll(&w, KEYRING_ZSK);
    restart(&w);
    expect_wait(&w, 2, not_there, 0);
    disable(&w);
    for (int i = 0; i < 3; i++)
        pass(&w, OURS + 1);
    restart(&w);
    ck_assert_int_eq(keyring_delete(w.ring, w.time.now, &why), -E_MISMATCH);
    w.others.dnskey_ttl = 1;
    w.joined = false;
    step(&w);
    restart(&w);
    ck_assert_uint_eq(w.ring->others_ttl.ttl, THEIRS);
    /* A zone that nobody else signs has the text that it always had. */
    pass(&w, THEIRS);
    step(&w);
    char *text = keyring_print(w.ring);
    ck_assert(!strstr(text, "others") && !strstr(text, "lacking"));
    mem_free(&text);
    walk_close(&w);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("keyring_others");
    tcase_add_loop_test(s.tcase, test_key_waits_until_all_others_serve_it, 0, 2);
    suite_add(s, test_without_others_a_key_waits_as_ever);
    tcase_add_loop_test(s.tcase, test_ttl_of_theirs_is_remembered, 0, 2);
    tcase_add_loop_test(s.tcase, test_ttl_that_sinks_twice_is_remembered, 0, 2);
    suite_add(s, test_key_that_does_not_sign_yet_is_set_back);
    suite_add(s, test_key_that_was_lacking_for_a_moment_waits_anew);
    suite_add(s, test_key_that_signs_is_not_set_back);
    suite_add(s, test_ksk_does_not_wait_for_others);
    suite_add(s, test_first_key_signs_at_once);
    suite_add(s, test_others_ds_is_a_ds);
    suite_add(s, test_others_are_kept);
    return suite_run(s);
}
