/* sign: keys that fail, change places or are elsewhere; clocks; states that were lost. */
#include "tests/lib/hosts.h"
#include "tests/lib/keyplay.h"
#include "tests/lib/stageplay.h"
#include "tests/lib/suite.h"

#include "pipeline/base/alloc.h"
#include "pipeline/run/registry.h"
#include "pipeline/zone/edit.h"
#include "pipeline/zone/transfer.h"

#include <string.h>

enum { NOW = 1700000000, DAY = 86400, NAMES = 40 };

/* --- signing that fails --- */

static int fail_after = -1; /* so many signatures are made yet; below 0: all */
int __real_dnssec_sign(struct dnssec_signer *signer, const struct dnssec_private *key,
                       const uint8_t *octets, size_t len, uint8_t *out, size_t *out_len,
                       struct why *why);
int __wrap_dnssec_sign(struct dnssec_signer *signer, const struct dnssec_private *key,
                       const uint8_t *octets, size_t len, uint8_t *out, size_t *out_len,
                       struct why *why);
int __wrap_dnssec_sign(struct dnssec_signer *signer, const struct dnssec_private *key,
                       const uint8_t *octets, size_t len, uint8_t *out, size_t *out_len,
                       struct why *why)
{
    if (fail_after == 0)
        return why_set(why, -E_IO, "the token was pulled");
    fail_after -= fail_after > 0;
    return __real_dnssec_sign(signer, key, octets, len, out, out_len, why);
}

/* --- a zone --- */

struct world {
    struct hosts hosts;
    struct keyplay keys;
    struct keyset *set;
    struct stageplay sign, judge;
    time_t now;
};

static void keys_set(struct world *w)
{
    keyset_unref(w->set);
    w->sign.keys = w->judge.keys = w->set = keyplay_set(&w->keys, 0);
}

static void world_open(struct world *w, const char *options)
{
    struct why why;
    *w = (struct world){.now = NOW};
    fail_after = -1;
    hosts_open(&w->hosts, "test.", NAMES);
    int rc = stageplay_open(&w->sign, registry_find("sign"), w->hosts.apex, options, &why);
    ck_assert_msg(rc == 0, "%s", why.text);
    rc = stageplay_open(&w->judge, registry_find("validate"), w->hosts.apex, "denial=any", &why);
    ck_assert_msg(rc == 0, "%s", why.text);
    keyplay_make(&w->keys, DNSKEY_ZONE | DNSKEY_SEP, ALG_ED25519, "pkd");
    keyplay_make(&w->keys, DNSKEY_ZONE, ALG_ED25519, "pz");
    keys_set(w);
}

static void world_close(struct world *w)
{
    stageplay_close(&w->sign);
    stageplay_close(&w->judge);
    hosts_close(&w->hosts);
    keyset_unref(w->set);
    keyplay_close(&w->keys);
}

/* One run that is accepted, and right; returns how many names changed. */
static size_t step(struct world *w, bool woken)
{
    struct stageresult result = stageplay_run(&w->sign, w->hosts.version, w->now, woken, NULL);
    if (result.verdict != STAGE_PASS)
        ck_abort_msg("%.2000s", stageresult_print(&result));
    stageplay_forget(&w->judge);
    struct stageresult judged = stageplay_run(&w->judge, result.out, w->now, false, NULL);
    if (judged.verdict != STAGE_PASS)
        ck_abort_msg("%.2000s", stageresult_print(&judged));
    stageplay_drop(&w->judge, &judged);
    size_t n = result.changes->n;
    stageplay_accept(&w->sign, &result);
    return n;
}

/* One run that is refused, with this code and these words. */
static void refused(struct world *w, enum verdict verdict, const char *code, const char *words)
{
    struct stageresult result = stageplay_run(&w->sign, w->hosts.version, w->now, false, NULL);
    char *text = stageresult_print(&result);
    ck_assert_int_eq(result.verdict, verdict);
    ck_assert_msg(strstr(text, code) && strstr(text, words), "%s", text);
    ck_assert_uint_eq(result.findings->total, 1);
    free(text);
    stageplay_drop(&w->sign, &result);
}

static void address_change(struct world *w, unsigned i)
{
    uint8_t owner[NAME_MAX_OCTETS];
    struct edit *e = hosts_same_serial(&w->hosts);
    hosts_name(&w->hosts, owner, "h%u", i);
    hosts_add(e, owner, RR_A, "\300\0\2\7", 4);
    hosts_seal(&w->hosts, e);
}

static uint64_t signatures_by(const struct world *w, unsigned key)
{
    struct key_uses uses = {0};
    w->sign.type->keys_used(w->sign.state, &uses);
    for (unsigned i = 0; i < uses.n; i++)
        if (uses.use[i].tag == w->keys.key[key].tag)
            return uses.use[i].signatures;
    return 0;
}

/* --- an HSM that goes --- */

START_TEST(test_failing)
{
    struct world w;
    world_open(&w, "");
    for (int after = 0; after < 60; after += 7) { /* at any point of a first load */
        fail_after = after;
        refused(&w, STAGE_RETRY, "failed", "the token was pulled");
    }
    fail_after = -1;
    step(&w, false);
    address_change(&w, 3);
    for (int after = 0; after < 2; after++) {
        fail_after = after;
        refused(&w, STAGE_RETRY, "failed", "the token was pulled");
    }
    fail_after = -1;
    ck_assert_uint_eq(step(&w, false), 2);
    fail_after = 0;
    ck_assert_uint_eq(step(&w, false), 0); /* nothing to sign: nothing to fail */
    world_close(&w);
}
END_TEST

/* Failure in one of several threads is told once. */
START_TEST(test_failing_in_parallel)
{
    struct world w;
    struct pool *pool = pool_new(3);
    world_open(&w, "");
    fail_after = 0;
    struct stageresult result =
        stageplay_run(&w.sign, w.hosts.version, w.now, false, pool_par(pool));
    ck_assert_int_eq(result.verdict, STAGE_RETRY);
    ck_assert_uint_eq(result.findings->total, 1);
    stageplay_drop(&w.sign, &result);
    world_close(&w);
    pool_free(&pool);
}
END_TEST

/* --- keys of one tag --- */

/* Two keys of one tag: indexes into keys. */
static void keys_of_one_tag(struct world *w, uint16_t flags, unsigned *a, unsigned *b)
{
    enum { TRIES = 4000 };
    static struct dnssec_private *made[TRIES];
    static uint16_t tag[TRIES];
    struct why why;
    for (unsigned i = 0; i < TRIES; i++) {
        uint16_t len;
        int rc = dnssec_private_generate(ALG_ED25519, 0, &made[i], &why);
        ck_assert_int_eq(rc, 0);
        uint8_t *rdata = dnssec_private_dnskey(made[i], flags, &len);
        tag[i] = dnssec_key_tag(rdata, len);
        mem_free(&rdata);
        for (unsigned k = 0; k < i; k++)
            if (tag[k] == tag[i]) {
                *a = keyplay_take(&w->keys, dnssec_private_ref(made[k]), flags, "");
                *b = keyplay_take(&w->keys, dnssec_private_ref(made[i]), flags, "");
                for (unsigned m = 0; m <= i; m++)
                    dnssec_private_unref(made[m]);
                return;
            }
    }
    ck_abort_msg("no two of %u keys have one tag", TRIES);
}

START_TEST(test_namesakes)
{
    struct world w;
    unsigned a, b;
    world_open(&w, "");
    keys_of_one_tag(&w, DNSKEY_ZONE, &a, &b);
    keyplay_roles(&w.keys, 1, "");
    keyplay_roles(&w.keys, a, "pz");
    keys_set(&w);
    step(&w, false);
    keyplay_roles(&w.keys, b, "p");
    keys_set(&w);
    refused(&w, STAGE_REJECT, "key-same-tag", "two keys");
    /* one after the other: the signatures that are there name the new key's tag, and are not its own */
    keyplay_roles(&w.keys, a, "");
    keyplay_roles(&w.keys, b, "pz");
    keys_set(&w);
    ck_assert_uint_eq(step(&w, false), NAMES + 1);
    ck_assert_uint_eq(step(&w, false), 0);
    world_close(&w);
}
END_TEST

/* Of a KSK nothing is counted, and what CDS and CDNSKEY say may stay as it is when the key goes. */
START_TEST(test_ksk_namesakes)
{
    struct world w;
    unsigned a, b;
    world_open(&w, "");
    keys_of_one_tag(&w, DNSKEY_ZONE | DNSKEY_SEP, &a, &b);
    keyplay_roles(&w.keys, 0, "pd");
    keyplay_roles(&w.keys, a, "pk");
    keys_set(&w);
    step(&w, false);
    keyplay_roles(&w.keys, a, "");
    keyplay_roles(&w.keys, b, "pk");
    keys_set(&w);
    ck_assert_uint_eq(step(&w, false), 1);
    world_close(&w);
}
END_TEST

/* --- rolls --- */

/* Double-DS: CDS names the next KSK, which is no DNSKEY yet. Whoever has the keyset knows that it is meant, and says nothing of it. */
START_TEST(test_cds_before_the_key)
{
    struct world w;
    world_open(&w, "");
    keyplay_make(&w.keys, DNSKEY_ZONE | DNSKEY_SEP, ALG_ED25519, "d");
    keys_set(&w);
    step(&w, false);
    for (int known = 0; known < 2; known++) {
        w.judge.keys = known ? w.set : NULL;
        stageplay_forget(&w.judge);
        struct stageresult judged = stageplay_run(&w.judge, w.sign.out, w.now, false, NULL);
        char *text = stageresult_print(&judged);
        ck_assert_msg((strstr(text, "cds-no-key") == NULL) == known, "%s", text);
        free(text);
        stageplay_drop(&w.judge, &judged);
    }
    world_close(&w);
}
END_TEST

/* A ZSK that signs no more keeps its signatures until their time comes, or it is gone. */
START_TEST(test_zsk_roll)
{
    struct world w;
    world_open(&w, "");
    step(&w, false);
    uint64_t all = signatures_by(&w, 1);
    unsigned next = keyplay_make(&w.keys, DNSKEY_ZONE, ALG_ED25519, "p");
    keys_set(&w);
    ck_assert_uint_eq(step(&w, false), 1);
    keyplay_roles(&w.keys, 1, "p");
    keyplay_roles(&w.keys, next, "pz");
    keys_set(&w);
    ck_assert_uint_eq(step(&w, false), 0);
    address_change(&w, 3);
    ck_assert_uint_eq(step(&w, false), 2);
    ck_assert_uint_eq(signatures_by(&w, next), 2); /* the address, the SOA */
    for (unsigned wakes = 0; signatures_by(&w, 1) > 0; wakes++) {
        struct stageresult result = stageplay_run(&w.sign, w.hosts.version, w.now, false, NULL);
        w.now = result.wake_at;
        stageplay_drop(&w.sign, &result);
        step(&w, true);
        ck_assert_uint_lt(wakes, 100);
        ck_assert_int_lt(w.now, NOW + 10 * DAY);
    }
    ck_assert_uint_eq(signatures_by(&w, next), all);
    keyplay_roles(&w.keys, 1, "");
    keys_set(&w);
    ck_assert_uint_eq(step(&w, false), 1);
    world_close(&w);
}
END_TEST

/* An algorithm comes: its signatures are spread over a round, unless its key is in the DNSKEY set already. */
START_TEST(test_algorithm_comes)
{
    struct world w;
    world_open(&w, "");
    step(&w, false);
    uint64_t all = signatures_by(&w, 1);
    unsigned next = keyplay_make(&w.keys, DNSKEY_ZONE, ALG_ECDSAP256, "z");
    keys_set(&w);
    ck_assert_uint_le(step(&w, false), 1);
    ck_assert_uint_lt(signatures_by(&w, next), 10);
    keyplay_roles(&w.keys, next, "pz");
    keyplay_make(&w.keys, DNSKEY_ZONE | DNSKEY_SEP, ALG_ECDSAP256, "pkd");
    keys_set(&w);
    ck_assert_uint_eq(step(&w, false), NAMES + 1);
    ck_assert_uint_eq(signatures_by(&w, next), all);
    world_close(&w);
}
END_TEST

/* --- an offline KSK --- */

/* What a signer elsewhere makes: the key sets of a zone that is signed with all keys at that time. */
static struct node *prepared_at(struct world *w, time_t at)
{
    struct stageplay play;
    struct why why;
    int rc =
        stageplay_open(&play, registry_find("sign"), w->hosts.apex, "inception_offset=0", &why);
    ck_assert_msg(rc == 0, "%s", why.text);
    play.keys = w->set;
    struct stageresult result = stageplay_run(&play, w->hosts.version, at, false, NULL);
    ck_assert_int_eq(result.verdict, STAGE_PASS);
    const struct node *apex = snapshot_apex(result.out);
    struct node_builder *b = node_builder_new();
    node_builder_begin(b, w->hosts.apex);
    for (unsigned i = 0; i < apex->nrrsets; i++) {
        struct rrset set;
        node_rrset_at(apex, i, &set);
        uint16_t type = set.type == RR_RRSIG ? set.covered : set.type;
        if (type == RR_DNSKEY || type == RR_CDS || type == RR_CDNSKEY)
            node_builder_add_rrset(b, &set);
    }
    struct node *node = node_builder_seal(b);
    node_builder_free(&b);
    stageplay_drop(&play, &result);
    stageplay_close(&play);
    return node;
}

START_TEST(test_prepared)
{
    enum { SETS = 3, EACH = 10 * DAY };
    struct world w;
    world_open(&w, "prepared_warn=5d");
    struct keyset *offline = keyplay_set(&w.keys, SETS);
    for (unsigned i = 0; i < SETS; i++)
        offline->prepared[i] = (struct keyset_prepared){NOW + i * EACH, NOW + i * EACH + 14 * DAY,
                                                        prepared_at(&w, NOW + i * EACH)};
    for (unsigned i = 0; i < offline->n; i++)
        if (offline->key[i].signs_keys) {
            dnssec_private_unref(offline->key[i].private);
            offline->key[i].private = NULL;
        }
    keyset_seal(offline);
    w.sign.keys = offline;
    step(&w, false);
    bool warned = false;
    unsigned seen = 0;
    for (const struct node *last = NULL;;) {
        struct rrset set;
        bool any = node_rrset(snapshot_apex(w.sign.out), RR_RRSIG, RR_DNSKEY, &set);
        ck_assert(any);
        for (unsigned i = 0; i < SETS; i++) {
            struct rrset prepared;
            node_rrset(offline->prepared[i].node, RR_RRSIG, RR_DNSKEY, &prepared);
            if (rrset_equal(&set, &prepared, true) && last != offline->prepared[i].node) {
                last = offline->prepared[i].node;
                ck_assert_int_ge(w.now, offline->prepared[i].from);
                seen++;
            }
        }
        struct stageresult result = stageplay_run(&w.sign, w.hosts.version, w.now, true, NULL);
        w.now = result.wake_at;
        stageplay_drop(&w.sign, &result);
        result = stageplay_run(&w.sign, w.hosts.version, w.now, true, NULL);
        char *text = stageresult_print(&result);
        if (result.verdict != STAGE_PASS) {
            ck_assert_msg(strstr(text, "prepared-none"), "%s", text);
            ck_assert_int_eq(result.verdict, STAGE_RETRY);
            ck_assert_int_eq(w.now, NOW + 2 * EACH + 14 * DAY + 1);
            free(text);
            stageplay_drop(&w.sign, &result);
            break;
        }
        if (strstr(text, "prepared-ends")) {
            ck_assert_int_gt(w.now, NOW + 2 * EACH + 9 * DAY);
            warned = true;
        }
        free(text);
        stageplay_drop(&w.sign, &result);
        step(&w, true);
    }
    ck_assert_uint_eq(seen, SETS);
    ck_assert(warned);
    keyset_unref(offline);
    w.sign.keys = w.set;
    world_close(&w);
}
END_TEST

/* A ZSK signs no more, and is not in the next set though its signatures are still there and its key's state says that it is published. */
START_TEST(test_prepared_without)
{
    struct world w;
    world_open(&w, "");
    unsigned next = keyplay_make(&w.keys, DNSKEY_ZONE, ALG_ED25519, "p");
    keys_set(&w);
    struct node *with = prepared_at(&w, NOW);
    keyplay_roles(&w.keys, 1, "");
    keyplay_roles(&w.keys, next, "pz");
    keys_set(&w);
    struct node *without = prepared_at(&w, NOW + DAY);
    keyplay_roles(&w.keys, 1, "pz");
    keyplay_roles(&w.keys, next, "p");
    for (unsigned i = 0; i < 2; i++) {
        struct keyset *offline = keyplay_set(&w.keys, 2);
        offline->prepared[0] = (struct keyset_prepared){NOW, NOW + DAY - 1, node_ref(with)};
        offline->prepared[1] =
            (struct keyset_prepared){NOW + DAY, NOW + 9 * DAY, node_ref(without)};
        keyset_seal(offline);
        w.sign.keys = offline;
        step(&w, false);
        if (i == 1)
            w.now = NOW + DAY;
        step(&w, i == 1);
        keyplay_roles(&w.keys, 1, "p");
        keyplay_roles(&w.keys, next, "pz");
        w.sign.keys = w.set;
        keyset_unref(offline);
    }
    ck_assert_uint_eq(signatures_by(&w, 1), 0);
    node_unref(with);
    node_unref(without);
    world_close(&w);
}
END_TEST

/* --- states and clocks --- */

START_TEST(test_state_lost)
{
    struct world w;
    world_open(&w, "denial=nsec3");
    step(&w, false);
    uint64_t all = signatures_by(&w, 1);
    struct soa before, after;
    snapshot_soa(w.sign.out, &before);
    w.sign.type->state_free(w.sign.state);
    w.sign.state = NULL;
    address_change(&w, 3);
    step(&w, false);
    snapshot_soa(w.sign.out, &after);
    ck_assert(serial_newer(after.serial, before.serial));
    ck_assert_uint_eq(signatures_by(&w, 1), all);
    ck_assert_uint_eq(step(&w, false), 0);
    world_close(&w);
}
END_TEST

START_TEST(test_clock)
{
    struct world w;
    world_open(&w, "");
    step(&w, false);
    address_change(&w, 3);
    w.now = NOW - 3601;
    refused(&w, STAGE_RETRY, "clock", "the clock says");
    w.now = NOW - 3599; /* signatures that are there began already */
    step(&w, false);
    w.now = NOW + 400 * DAY; /* long after the last one ended */
    step(&w, true);
    world_close(&w);
}
END_TEST

static void options_set(struct world *w, const char *options)
{
    struct stageplay other;
    struct why why;
    int rc = stageplay_open(&other, registry_find("sign"), w->hosts.apex, options, &why);
    ck_assert_msg(rc == 0, "%s: %s", options, why.text);
    void *conf = w->sign.conf;
    w->sign.conf = other.conf;
    other.conf = conf;
    stageplay_close(&other);
}

/* Options that say when, and what the apex has, touch no signature that is there. */
START_TEST(test_options_that_come_later)
{
    static const char *const options[] = {"validity=30d",
                                          "validity=7d refresh=2d",
                                          "refresh=6d",
                                          "jitter=2h",
                                          "serial=unixtime",
                                          "inception_offset=2h",
                                          "dnskey_ttl=2",
                                          "dnskey_validity=20d",
                                          "cds_digest=both",
                                          "prepared_warn=2d",
                                          "validity=3d refresh=1d jitter=0"};
    struct world w;
    world_open(&w, "");
    step(&w, false);
    uint64_t all = signatures_by(&w, 1);
    for (unsigned i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        options_set(&w, options[i]);
        ck_assert_uint_le(step(&w, false), 1);
        ck_assert_uint_eq(step(&w, false), 0);
        ck_assert_uint_eq(signatures_by(&w, 1), all);
    }
    world_close(&w);
}
END_TEST

/* Woken as it asks for it, until then: each version is good, for as long as the margin, and never is a large part of the zone made at once. */
static void renew_until(struct world *w, time_t then, int64_t margin, size_t most)
{
    while (w->now < then) {
        struct stageresult result = stageplay_run(&w->sign, w->hosts.version, w->now, true, NULL);
        ck_assert_int_eq(result.verdict, STAGE_PASS);
        ck_assert_int_ge(result.good_until, w->now + margin);
        time_t next = result.wake_at;
        stageplay_drop(&w->sign, &result);
        size_t n = step(w, true);
        ck_assert_msg(n <= most, "%zu names at once, %.1f days after the beginning", n,
                      (double)(w->now - NOW) / DAY);
        ck_assert_int_gt(next, w->now);
        w->now = next;
    }
}

static int64_t first_end(struct world *w)
{
    struct stageresult result = stageplay_run(&w->sign, w->hosts.version, w->now, false, NULL);
    int64_t first = result.good_until;
    stageplay_drop(&w->sign, &result);
    return first;
}

/* Of the signatures that the options' validity is about. */
static int64_t last_end(const struct world *w)
{
    struct snapshot_iter it;
    int64_t last = 0;
    for (const struct node *node = snapshot_first(&it, w->sign.out); node;
         node = snapshot_next(&it))
        for (unsigned i = 0; i < node->nrrsets; i++) {
            struct rrset set;
            struct rdata rdata;
            struct rrsig sig;
            node_rrset_at(node, i, &set);
            bool of_keys =
                set.covered == RR_DNSKEY || set.covered == RR_CDS || set.covered == RR_CDNSKEY;
            if (set.type == RR_RRSIG && !of_keys && rrset_first(&set, &rdata) &&
                rrsig_parse(rdata.data, rdata.len, &sig) && sig.expiration > last)
                last = sig.expiration;
        }
    return last;
}

/* A zone that was signed at once, so that all of it ends at once; then signatures are to live longer, and shorter, and have more margin. */
START_TEST(test_validity_changes)
{
    enum { MOST = 6 };
    struct world w;
    world_open(&w, "");
    step(&w, false);
    options_set(&w, "validity=60d refresh=4d dnskey_validity=60d");
    renew_until(&w, NOW + 40 * DAY, 3 * DAY, MOST);
    ck_assert_int_gt(first_end(&w), w.now + 14 * DAY);
    options_set(&w, "validity=14d refresh=4d");
    renew_until(&w, NOW + 60 * DAY, 3 * DAY, MOST);
    options_set(&w, "validity=14d refresh=6d jitter=2h");
    renew_until(&w, NOW + 61 * DAY, 3 * DAY, NAMES / 2); /* what has less is late by that word */
    renew_until(&w, NOW + 70 * DAY, 5 * DAY, NAMES / 4);
    renew_until(&w, NOW + 90 * DAY, 5 * DAY, MOST);
    ck_assert_int_le(last_end(&w), w.now + 14 * DAY);
    world_close(&w);
}
END_TEST

/* Validity becomes so much shorter that all of it is less than a slot of the count by which ends were known before. What is new is not taken for
 * late beside it, and within two rounds nothing lasts longer than signatures do now. */
START_TEST(test_validity_becomes_far_shorter)
{
    static const struct {
        const char *options;
        int64_t validity, refresh, round;
    } to[] = {
        {"validity=32s refresh=16s jitter=1s dnskey_validity=32s dnskey_ttl=1", 32, 16, 11},
        {"validity=63s refresh=16s jitter=1s dnskey_validity=63s dnskey_ttl=1", 63, 16, 40},
        {"validity=2d refresh=1d jitter=1h", 2 * DAY, DAY, DAY},
    };
    enum { MOST = 6 };
    struct world w;
    world_open(&w, "validity=60d refresh=20d");
    step(&w, false);
    w.now += DAY;
    options_set(&w, to[_i].options);
    ck_assert_uint_le(step(&w, false), 1);
    for (unsigned round = 0; round < 8; round++) {
        renew_until(&w, w.now + to[_i].round, to[_i].refresh, MOST);
        if (round >= 2)
            ck_assert_int_le(last_end(&w), w.now + to[_i].validity);
    }
    world_close(&w);
}
END_TEST

static void resign(struct world *w)
{
    uint32_t resigns = w->set->resigns;
    keys_set(w);
    w->set->resigns = resigns + 1;
}

/* Not one signature that begins or ends as one made at another time than now would, whatever is left of it. */
static unsigned signatures_of_now(const struct world *w)
{
    struct snapshot_iter it;
    unsigned n = 0;
    for (const struct node *node = snapshot_first(&it, w->sign.out); node;
         node = snapshot_next(&it))
        for (unsigned i = 0; i < node->nrrsets; i++) {
            struct rrset set;
            struct rdata rdata;
            struct rrsig sig;
            node_rrset_at(node, i, &set);
            if (set.type != RR_RRSIG)
                continue;
            for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &rdata); n++) {
                ck_assert(rrsig_parse(rdata.data, rdata.len, &sig));
                ck_assert_int_eq(sig.inception, w->now - 3600);
                ck_assert_int_gt(sig.expiration, w->now + 13 * DAY);
                ck_assert_int_le(sig.expiration, w->now + 14 * DAY);
            }
        }
    return n;
}

/* The clock was three years ahead and is right again. The operator's word gets out of it, once, and outlives a restart. */
START_TEST(test_resign)
{
    struct world w;
    struct soa before, after;
    size_t len;
    world_open(&w, _i ? "denial=nsec3" : "");
    w.now = NOW + 3 * 365 * DAY;
    step(&w, false);
    unsigned all = signatures_of_now(&w);
    snapshot_soa(w.sign.out, &before);
    w.now = NOW;
    refused(&w, STAGE_RETRY, "clock", "the clock says");
    resign(&w);
    ck_assert_uint_eq(step(&w, true), w.sign.out->names);
    ck_assert_uint_eq(signatures_of_now(&w), all);
    snapshot_soa(w.sign.out, &after);
    ck_assert(serial_newer(after.serial, before.serial));
    uint8_t *octets = w.sign.type->state_save(w.sign.state, &len);
    w.sign.type->state_free(w.sign.state);
    w.sign.state = w.sign.type->state_load(octets, len);
    mem_free(&octets);
    ck_assert_uint_eq(step(&w, true), 0);
    w.now += DAY;
    resign(&w);
    ck_assert_uint_eq(step(&w, false), w.sign.out->names);
    ck_assert_uint_eq(signatures_of_now(&w), all);
    world_close(&w);
}
END_TEST

static void octets_cut(uint8_t *octets, size_t *len, size_t at, size_t n)
{
    memmove(octets + at, octets + at + n, *len - at - n);
    *len -= n;
}

/* What a weir kept that knew of no such word, or of no ends that are far away: it is good, until there is one. */
START_TEST(test_state_of_an_older_weir)
{
    enum { FORMAT = 0, RESIGNS = 2, OCTETS = 4, PERIODS = 46, BOTH = 16, FAR = 76, FARS = 16 };
    struct world w;
    size_t len;
    world_open(&w, "");
    step(&w, false);
    uint8_t *octets = w.sign.type->state_save(w.sign.state, &len);
    octets[FORMAT] = (uint8_t)_i;
    octets_cut(octets, &len, FAR, FARS);
    if (_i == 1) {
        octets_cut(octets, &len, PERIODS, BOTH);
        octets_cut(octets, &len, RESIGNS, OCTETS);
    }
    w.sign.type->state_free(w.sign.state);
    w.sign.state = w.sign.type->state_load(octets, len);
    mem_free(&octets);
    ck_assert_ptr_nonnull(w.sign.state);
    w.now += DAY / 24;
    ck_assert_uint_eq(step(&w, false), 0);
    resign(&w);
    ck_assert_uint_eq(step(&w, false), w.sign.out->names);
    world_close(&w);
}
END_TEST

/* 2038, where signed 32 bits end, and 2106, where an RRSIG's times begin anew: a month of renewals over each. */
START_TEST(test_years_that_wrap)
{
    struct world w;
    int64_t wrap = _i ? INT64_C(1) << 32 : INT64_C(1) << 31;
    world_open(&w, "");
    w.now = wrap - 15 * DAY;
    step(&w, false);
    for (unsigned wakes = 0; w.now < wrap + 15 * DAY; wakes++) {
        struct stageresult result = stageplay_run(&w.sign, w.hosts.version, w.now, true, NULL);
        ck_assert_int_eq(result.verdict, STAGE_PASS);
        ck_assert_int_gt(result.wake_at, w.now);
        ck_assert_int_ge(result.good_until, w.now + 3 * DAY);
        ck_assert_int_le(result.good_until, w.now + 14 * DAY);
        ck_assert_uint_lt(wakes, 200);
        time_t next = result.wake_at;
        stageplay_drop(&w.sign, &result);
        step(&w, true);
        w.now = next;
    }
    world_close(&w);
}
END_TEST

/* DNSSEC goes and comes back; NSEC3's names go with it, and the count of what was signed. */
START_TEST(test_unsigned)
{
    struct world w;
    world_open(&w, "denial=nsec3");
    step(&w, false);
    size_t names = w.sign.out->names;
    struct keyset *none = keyset_new(0, 0, 0);
    none->unsigned_zone = true;
    w.sign.keys = w.judge.keys = none;
    step(&w, false);
    ck_assert_uint_eq(w.sign.out->names, w.hosts.version->names);
    ck_assert_uint_eq(signatures_by(&w, 1), 0);
    ck_assert_uint_eq(step(&w, false), 0);
    address_change(&w, 3);
    ck_assert_uint_eq(step(&w, false), 2);
    w.sign.keys = w.judge.keys = w.set;
    step(&w, false);
    ck_assert_uint_eq(w.sign.out->names, names);
    keyset_unref(none);
    world_close(&w);
}
END_TEST

/* What nobody looked at while the zone went out as it came. */
START_TEST(test_signed_before_enabled)
{
    struct world w;
    uint8_t rrsig[64] = {0, 1, 15, 2}, owner[NAME_MAX_OCTETS];
    world_open(&w, "");
    struct keyset *none = keyset_new(0, 0, 0);
    none->unsigned_zone = true;
    struct edit *e = hosts_same_serial(&w.hosts);
    memcpy(rrsig + 18, w.hosts.apex, name_len(w.hosts.apex));
    hosts_name(&w.hosts, owner, "h3");
    hosts_add(e, owner, RR_RRSIG, rrsig, sizeof(rrsig));
    hosts_seal(&w.hosts, e);
    w.sign.keys = none;
    struct stageresult result = stageplay_run(&w.sign, w.hosts.version, w.now, false, NULL);
    ck_assert_int_eq(result.verdict, STAGE_PASS);
    stageplay_accept(&w.sign, &result);
    w.sign.keys = w.set;
    refused(&w, STAGE_REJECT, "input-signed", "h3.test. RRSIG");
    keyset_unref(none);
    world_close(&w);
}
END_TEST

/* --- bounds --- */

/* A primary may send as many records at the apex as one name can hold. */
START_TEST(test_full_apex)
{
    enum { SOME = 64 };
    struct world w;
    world_open(&w, _i ? "zonemd=sha384" : "");
    for (unsigned have = 2; have < NODE_RECORDS_MAX;) { /* SOA and NS are there */
        struct edit *e = hosts_same_serial(&w.hosts);
        unsigned until = have < NODE_RECORDS_MAX - SOME ? NODE_RECORDS_MAX - SOME : have + 1;
        for (; have < until; have++) {
            uint8_t text[5] = {4};
            put_u32(text + 1, have);
            hosts_add(e, w.hosts.apex, RR_TXT, text, sizeof(text));
        }
        hosts_seal(&w.hosts, e);
        struct stageresult result = stageplay_run(&w.sign, w.hosts.version, w.now, false, NULL);
        char *said = stageresult_print(&result);
        ck_assert_msg(result.verdict == STAGE_REJECT ? strstr(said, "too-many-records") != NULL
                                                     : result.verdict == STAGE_PASS,
                      "%s", said);
        ck_assert(have < NODE_RECORDS_MAX || result.verdict == STAGE_REJECT);
        free(said);
        stageplay_drop(&w.sign, &result);
    }
    world_close(&w);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("sign");
    suite_add(s, test_failing);
    suite_add(s, test_failing_in_parallel);
    suite_add(s, test_namesakes);
    suite_add(s, test_cds_before_the_key);
    suite_add(s, test_zsk_roll);
    suite_add(s, test_algorithm_comes);
    suite_add(s, test_prepared);
    suite_add(s, test_state_lost);
    suite_add(s, test_clock);
    tcase_add_loop_test(s.tcase, test_resign, 0, 2);
    suite_add(s, test_options_that_come_later);
    suite_add(s, test_validity_changes);
    tcase_add_loop_test(s.tcase, test_validity_becomes_far_shorter, 0, 3);
    tcase_add_loop_test(s.tcase, test_state_of_an_older_weir, 1, 3);
    suite_add(s, test_unsigned);
    tcase_add_loop_test(s.tcase, test_years_that_wrap, 0, 2);
    suite_add(s, test_ksk_namesakes);
    suite_add(s, test_prepared_without);
    suite_add(s, test_signed_before_enabled);
    tcase_add_loop_test(s.tcase, test_full_apex, 0, 2);
    return suite_run(s);
}
