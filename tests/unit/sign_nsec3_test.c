/* sign with NSEC3: random histories of small zones that are nothing but corners.
 *
 * Names lie below each other; hosts, delegations with and without DS, aliases and DNAMEs come and go at them, now and then a DNAME at
 * the apex; and some are the very hashes of others, as anybody may register them. After each step the version that goes out from the
 * last one is compared with one that is made from nothing, and its chain with that of tests/lib/signer.c, which knows no change; and
 * validate judges it, from nothing and as a change.
 *
 * Now and then the zone's negative TTL changes, and with it all records.
 *
 * In half of the histories hashes are so short that names collide: then both ways must say so, and nothing may go out. (validate is
 * not asked there: it takes a record at a name's hash for that name's.)
 */
#include "pipeline/run/chain.h"
#include "pipeline/run/option.h"
#include "pipeline/run/registry.h"
#include "pipeline/zone/transfer.h"
#include "tests/lib/keyplay.h"
#include "tests/lib/random.h"
#include "tests/lib/signer.h"
#include "tests/lib/stageplay.h"
#include "tests/lib/suite.h"
#include "tests/lib/zonegen.h"

#include <stdio.h>
#include <string.h>

enum { NOW = 1700000000, STEPS = 60, NAMES_MAX = 64 };

static const uint8_t apex[] = "\4weir\4test";

/* --- hashes that collide --- */

static bool weak;

void __real_dnssec_nsec3_hash(const uint8_t *name, uint16_t iterations, const uint8_t *salt,
                              size_t salt_len, uint8_t out[20]);
void __wrap_dnssec_nsec3_hash(const uint8_t *name, uint16_t iterations, const uint8_t *salt,
                              size_t salt_len, uint8_t out[20]);
void __wrap_dnssec_nsec3_hash(const uint8_t *name, uint16_t iterations, const uint8_t *salt,
                              size_t salt_len, uint8_t out[20])
{
    __real_dnssec_nsec3_hash(name, iterations, salt, salt_len, out);
    if (!weak)
        return;
    out[1] &= 0x80; /* nine bits are left */
    memset(out + 2, 0, 18);
}

/* --- a zone --- */

enum kind { NOTHING, HOST, INSECURE, SECURE, ALIAS, DNAME, KINDS };
static const char *const kind_names[] = {"nothing", "host", "insecure", "secure", "alias", "dname"};

struct place {
    uint8_t name[NAME_MAX_OCTETS];
    enum kind kind;
};
struct options {
    const char *text;
    bool opt_out;
    uint16_t iterations;
    uint8_t salt_len, salt[4];
};
static const struct options variants[] = {
    {"denial=nsec3", false, 0, 0, {0}},
    {"denial=nsec3 opt_out=true", true, 0, 0, {0}},
    {"denial=nsec3 opt_out=true nsec3_iterations=2 nsec3_salt=0BadCafe",
     true,
     2,
     4,
     {0x0b, 0xad, 0xca, 0xfe}},
};
struct world {
    struct random random;
    const struct options *options;
    unsigned n, named; /* places; those that are no hashes come first */
    struct place place[NAMES_MAX];
    uint32_t serial, minimum;
    struct family *family, *judged;
    struct snapshot *plain;
    struct keyplay keys;
    struct keyset *set;
    struct stageplay sign, fresh, judge, judge_fresh;
    unsigned accepted, collided, with_hash_owner;
};

static void place_add(struct world *w, const char *text)
{
    ck_assert_uint_lt(w->n, NAMES_MAX);
    ck_assert_int_gt(name_parse(text, w->place[w->n++].name, NULL), 0);
}

/* The hash of a place as a place, and a name below that. */
static void place_add_hash(struct world *w, unsigned of)
{
    uint8_t hash[20];
    const struct options *o = w->options;
    char text[DNSSEC_NSEC3_TEXT + 1], owner[80];
    dnssec_nsec3_hash(w->place[of].name, o->iterations, o->salt, o->salt_len, hash);
    dnssec_nsec3_print(hash, text);
    snprintf(owner, sizeof(owner), "%s.weir.test.", text);
    place_add(w, owner);
    snprintf(owner, sizeof(owner), "below.%s.weir.test.", text);
    place_add(w, owner);
}

static void places_make(struct world *w)
{
    static const char *const texts[] = {
        "weir.test.",         "ns.weir.test.",    "a.weir.test.",       "b.weir.test.",
        "x.b.weir.test.",     "y.x.b.weir.test.", "z.y.x.b.weir.test.", "*.b.weir.test.",
        "1.e.e.e.weir.test.", "2.e.e.weir.test.", "3.e.e.weir.test.",   "e.weir.test.",
        "i.j.weir.test.",     "k.j.weir.test.",   "l.j.weir.test.",     "*.j.weir.test.",
        "e.e.weir.test.",     "e.e.e.weir.test.", "j.weir.test.",
    };
    for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        place_add(w, texts[i]);
    unsigned named = w->named = w->n;
    place_add_hash(w, 0);
    place_add_hash(w, 2);
    place_add_hash(w, named - 1);
    place_add_hash(w, named - 2);
    place_add_hash(w, w->n - 1);
}

static void put(struct edit *e, const uint8_t *owner, uint16_t type, const void *rdata, size_t len)
{
    struct why why;
    int rc = edit_add(e, owner, type, 300, rdata, (uint16_t)len, &why);
    ck_assert_msg(rc == 0, "%s", why.text);
}

static void put_place(struct edit *e, const struct place *place)
{
    static const uint8_t ns[] = "\2ns\4weir\4test", ds[4 + 32] = {0, 1, 13, 2};
    switch (place->kind) {
    case HOST:
        put(e, place->name, RR_A, "\300\0\2\1", 4);
        break;
    case SECURE:
        put(e, place->name, RR_DS, ds, sizeof(ds));
        put(e, place->name, RR_NS, ns, sizeof(ns));
        break;
    case INSECURE:
        put(e, place->name, RR_NS, ns, sizeof(ns));
        break;
    case ALIAS:
        put(e, place->name, RR_CNAME, ns, sizeof(ns));
        break;
    case DNAME:
        put(e, place->name, RR_DNAME, "\3alt\7example", 13);
        break;
    default:
        break;
    }
}

static void plain_make(struct world *w)
{
    static const uint8_t ns[] = "\2ns\4weir\4test";
    struct edit *e = edit_open(w->family, NULL, w->plain);
    struct snapshot *next;
    uint8_t soa[2 + 20] = {0};
    put_u32(soa + 2, ++w->serial);
    put_u32(soa + 18, w->minimum);
    put(e, apex, RR_SOA, soa, sizeof(soa));
    put(e, apex, RR_NS, ns, sizeof(ns));
    /* A DNAME at the apex hides all other names, and weir's judge wants nothing but NSEC3 at a hash then. */
    unsigned n = w->place[0].kind == DNAME ? w->named : w->n;
    for (unsigned i = 0; i < n; i++)
        put_place(e, &w->place[i]);
    ck_assert_int_eq(edit_seal(&e, &next, NULL, NULL), 0);
    snapshot_unref(w->plain);
    w->plain = next;
}

/* A few places become something else; more of them something than nothing. */
static void places_change(struct world *w, unsigned changes)
{
    for (; changes > 0; changes--) {
        struct place *place = &w->place[random_below(&w->random, w->n)];
        bool is_apex = place == &w->place[0];
        place->kind = (enum kind)random_below(&w->random, KINDS);
        if (is_apex)
            place->kind = random_below(&w->random, 4) == 0 ? DNAME : HOST;
    }
}

/* --- what is checked --- */

static char *story_of(const struct world *w)
{
    static char story[NAMES_MAX * 100];
    size_t n = 0;
    for (unsigned i = 0; i < w->n; i++) {
        char text[NAME_TEXT_MAX];
        if (w->place[i].kind != NOTHING)
            n += (size_t)snprintf(story + n, sizeof(story) - n, "%s %s\n",
                                  name_print(w->place[i].name, text), kind_names[w->place[i].kind]);
    }
    return story;
}

/* The same sets, signatures over the same of them, but for the serial. */
static void expect_same(const struct world *w, const struct snapshot *a, const struct snapshot *b)
{
    struct snapshot_iter i, j;
    const struct node *x = snapshot_first(&i, a), *y = snapshot_first(&j, b);
    for (; x && y; x = snapshot_next(&i), y = snapshot_next(&j)) {
        char name[NAME_TEXT_MAX];
        name_print(node_name(x), name);
        ck_assert_msg(name_equal(node_name(x), node_name(y)) && x->nrrsets == y->nrrsets, "%s\n%s",
                      name, story_of(w));
        for (unsigned k = 0; k < x->nrrsets; k++) {
            struct rrset p, q;
            node_rrset_at(x, k, &p);
            node_rrset_at(y, k, &q);
            ck_assert_msg(p.type == q.type && p.covered == q.covered &&
                              (p.type == RR_RRSIG || p.type == RR_SOA || rrset_equal(&p, &q, true)),
                          "%s: type %u\n%s", name, p.type, story_of(w));
        }
    }
    ck_assert_msg(!x && !y, "%s", story_of(w));
}

static void expect_chain_of_signer(const struct world *w, const struct snapshot *out)
{
    struct signer signer = signer_open(NOW, 1);
    signer.nsec = false;
    signer.nsec3 = true;
    signer.opt_out = w->options->opt_out;
    signer.iterations = w->options->iterations;
    signer.salt_len = w->options->salt_len;
    memcpy(signer.salt, w->options->salt, signer.salt_len);
    struct snapshot *theirs = signer_sign(&signer, w->plain, w->judged, NULL);
    const struct node *x = snapshot_nsec3_first(out), *y = snapshot_nsec3_first(theirs);
    while (x && y) {
        struct rrset p, q;
        node_rrset(x, RR_NSEC3, 0, &p);
        node_rrset(y, RR_NSEC3, 0, &q);
        ck_assert_msg(name_equal(node_name(x), node_name(y)) && rrset_equal(&p, &q, true), "%s",
                      story_of(w));
        x = snapshot_nsec3_after(out, node_name(x));
        y = snapshot_nsec3_after(theirs, node_name(y));
    }
    ck_assert_msg(!x && !y, "%s", story_of(w));
    snapshot_unref(theirs);
    signer_close(&signer);
}

static void expect_pass(const struct world *w, const struct stageresult *result, const char *whose)
{
    if (result->verdict != STAGE_PASS)
        ck_abort_msg("%s:\n%s\n%s", whose, stageresult_print(result), story_of(w));
}

static void expect_valid(struct world *w, const struct snapshot *out)
{
    struct stageresult delta = stageplay_run(&w->judge, out, NOW, false, NULL);
    struct stageresult whole = stageplay_run(&w->judge_fresh, out, NOW, false, NULL);
    expect_pass(w, &whole, "validate from nothing");
    expect_pass(w, &delta, "validate");
    stageplay_accept(&w->judge, &delta);
    stageplay_drop(&w->judge_fresh, &whole);
}

static bool says_collision(const struct stageresult *result)
{
    char *text = stageresult_print(result);
    bool says = strstr(text, "reject nsec3-collision") != NULL;
    mem_free(&text);
    return says;
}

static bool has_hash_owner(const struct snapshot *out)
{
    for (const struct node *node = snapshot_nsec3_first(out); node;
         node = snapshot_nsec3_after(out, node_name(node)))
        for (unsigned i = 0; i < node->nrrsets; i++)
            if (node->head[i].type != RR_RRSIG && node->head[i].type != RR_NSEC3)
                return true;
    return false;
}

static void step(struct world *w)
{
    struct stageresult result = stageplay_run(&w->sign, w->plain, NOW, false, NULL);
    struct stageresult whole = stageplay_run(&w->fresh, w->plain, NOW, false, NULL);
    if (weak && whole.verdict != STAGE_PASS) {
        ck_assert_msg(says_collision(&whole) && says_collision(&result), "%s", story_of(w));
        stageplay_drop(&w->sign, &result);
        stageplay_drop(&w->fresh, &whole);
        w->collided++;
        return;
    }
    expect_pass(w, &whole, "sign from nothing");
    expect_pass(w, &result, "sign");
    expect_same(w, result.out, whole.out);
    expect_chain_of_signer(w, result.out);
    if (!weak)
        expect_valid(w, result.out);
    w->with_hash_owner += has_hash_owner(result.out);
    w->accepted++;
    stageplay_accept(&w->sign, &result);
    stageplay_drop(&w->fresh, &whole);
}

/* --- histories --- */

static struct world *world_open(struct random *random, const struct options *options)
{
    struct world *w = mem_zalloc(sizeof(*w));
    struct why why;
    struct stageplay *plays[] = {&w->sign, &w->fresh, &w->judge, &w->judge_fresh};
    w->random = *random;
    random->state++;
    w->options = options;
    w->minimum = 300;
    w->family = family_new(apex);
    w->judged = family_new(apex);
    for (unsigned i = 0; i < 4; i++) {
        int rc = stageplay_open(plays[i], registry_find(i < 2 ? "sign" : "validate"), apex,
                                i < 2 ? options->text : "denial=nsec3-only", &why);
        ck_assert_msg(rc == 0, "%s", why.text);
    }
    keyplay_make(&w->keys, DNSKEY_ZONE | DNSKEY_SEP, ALG_ECDSAP256, "pkz");
    w->set = keyplay_set(&w->keys, 0);
    w->sign.keys = w->fresh.keys = w->set;
    return w;
}

static void world_close(struct world *w)
{
    stageplay_close(&w->sign);
    stageplay_close(&w->fresh);
    stageplay_close(&w->judge);
    stageplay_close(&w->judge_fresh);
    snapshot_unref(w->plain);
    family_unref(w->family);
    family_unref(w->judged);
    keyset_unref(w->set);
    keyplay_close(&w->keys);
    mem_free(&w);
}

static unsigned rounds(void)
{
    return getenv("WEIR_ROUNDS") ? (unsigned)atoi(getenv("WEIR_ROUNDS")) : 2;
}

START_TEST(test_corners)
{
    struct random random = random_open();
    unsigned accepted = 0, collided = 0, with_hash_owner = 0;
    weak = _i % 2;
    for (unsigned round = 0; round < rounds(); round++) {
        struct world *w = world_open(&random, &variants[_i / 2]);
        places_make(w);
        places_change(w, w->n / 2);
        for (unsigned i = 0; i < STEPS; i++) {
            places_change(w, i ? 1 + (unsigned)random_below(&w->random, 4) : 0);
            if (random_below(&w->random, 10) == 0)
                w->minimum = 200 + (uint32_t)random_below(&w->random, 3); /* of all records */
            plain_make(w);
            step(w);
        }
        accepted += w->accepted;
        collided += w->collided;
        with_hash_owner += w->with_hash_owner;
        world_close(w);
    }
    ck_assert_uint_gt(accepted, rounds() * STEPS / (weak ? 8 : 2));
    ck_assert_uint_gt(with_hash_owner, rounds() * STEPS / 16);
    ck_assert(weak == (collided > 0));
}
END_TEST

START_TEST(test_histories)
{
    struct random random = random_open();
    for (unsigned round = 0; round < rounds(); round++) {
        struct world *w = world_open(&random, &variants[_i]);
        struct zonegen gen = zonegen_open(&w->random, "weir.test.", 60);
        gen.delegations = 30;
        for (unsigned i = 0; i < STEPS; i++) {
            struct snapshot *next = zonegen_version(&gen, w->family, w->plain, 3);
            snapshot_unref(w->plain);
            w->plain = next;
            step(w);
        }
        world_close(w);
    }
}
END_TEST

/* --- from one way of denial to another --- */

static struct chain *chain_of(const char *const words[3][2])
{
    static const char *const names[] = {"sign", "validate"};
    struct chain *chain = chain_new(2, 100);
    for (unsigned i = 0; i < 2; i++) {
        struct chain_stage *stage = &chain->stage[i];
        stage->type = registry_find(names[i]);
        stage->conf = option_conf_new(stage->type->options, stage->type->conf_size);
    }
    for (unsigned i = 0; i < 3; i++) {
        const struct chain_stage *stage = &chain->stage[i / 2];
        struct option_value v = {.kind = VALUE_STRING, .s = words[i][1]};
        struct why why;
        if (words[i][1] && strcmp(words[i][1], "true") == 0)
            v = (struct option_value){.kind = VALUE_BOOL, .b = true};
        if (words[i][0])
            ck_assert_int_eq(
                option_set(option_find(stage->type->options, words[i][0]), stage->conf, &v, &why),
                0);
    }
    for (unsigned i = 0; i < 2; i++) {
        struct why why;
        const struct chain_stage *stage = &chain->stage[i];
        ck_assert_int_eq(stage->type->conf_check(stage->conf, apex, &why), 0);
    }
    return chain;
}

/* An operator turns from NSEC to NSEC3, to opt-out, to a salt, and back: each time one version goes out that is of the new way alone, with
 * a serial behind the last one's. */
START_TEST(test_turns)
{
    static const struct {
        const char *words[3][2];
        unsigned flags;
        bool nsec3;
    } ways[] = {
        {{{"denial", "nsec"}, {0}, {"denial", "nsec-only"}}, 0, false},
        {{{"denial", "nsec3"}, {0}, {"denial", "nsec3-only"}}, 0, true},
        {{{"denial", "nsec3"}, {"opt_out", "true"}, {"denial", "nsec3-only"}}, 1, true},
        {{{"denial", "nsec3"}, {"nsec3_salt", "a1"}, {"denial", "nsec3-only"}}, 0, true},
        {{{"denial", "nsec"}, {0}, {"denial", "nsec-only"}}, 0, false},
    };
    struct random random = random_open();
    struct world *w = world_open(&random, &variants[0]);
    struct version *version = NULL;
    places_make(w);
    places_change(w, w->n);
    plain_make(w);
    for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        struct chain *chain = chain_of(ways[i].words);
        struct chain_input in = {
            .snapshot = w->plain, .since = version ? w->plain : NULL, .keys = w->set};
        struct candidate *c = chain_run(chain, version, &in, NOW, NULL);
        ck_assert_msg(c->verdict == STAGE_PASS, "%s",
                      c->findings->n ? finding_print(&c->findings->list[0]) : "");
        struct version *next = candidate_take(c);
        candidate_free(&c);
        ck_assert(!version || serial_newer(next->soa.serial, version->soa.serial));
        const struct node *node = snapshot_nsec3_first(next->served);
        ck_assert(ways[i].nsec3 == (node != NULL));
        ck_assert(ways[i].nsec3 != node_has(snapshot_apex(next->served), RR_NSEC));
        for (; node; node = snapshot_nsec3_after(next->served, node_name(node))) {
            struct rrset set;
            struct rdata rdata;
            node_rrset(node, RR_NSEC3, 0, &set);
            ck_assert(set.count == 1 && rrset_first(&set, &rdata) &&
                      rdata.data[1] == ways[i].flags);
        }
        version_unref(version);
        version = next;
        chain_unref(chain);
    }
    version_unref(version);
    world_close(w);
}
END_TEST

/* --- what an operator cannot have --- */

START_TEST(test_refused_options)
{
    static const struct {
        const char *options, *why;
    } cases[] = {
        {"opt_out=true", "opt_out is of NSEC3"},
        {"nsec3_salt=ab", "nsec3_salt is of NSEC3"},
        {"nsec3_iterations=1", "nsec3_iterations is of NSEC3"},
        {"denial=nsec3 nsec3_iterations=51", "expected an integer 0..50"},
        {"denial=nsec3 nsec3_salt=abc", "two digits each"},
        {"denial=nsec3 nsec3_salt=0g", "two digits each"},
        {"denial=nsec3 nsec3_salt=a\020", "two digits each"},
        {"denial=nsec3 nsec3_salt="
         "aa000000000000000000000000000000000000000000000000000000000000bb",
         NULL},
        {"denial=nsec3 nsec3_salt="
         "aa000000000000000000000000000000000000000000000000000000000000bbcc",
         "32 octets at most"},
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stageplay play;
        struct why why = {""};
        int rc = stageplay_open(&play, registry_find("sign"), apex, cases[i].options, &why);
        ck_assert_int_eq(rc, cases[i].why ? -E_CONF : 0);
        ck_assert_msg(!cases[i].why || strstr(why.text, cases[i].why), "%s: %s", cases[i].options,
                      why.text);
        if (rc == 0)
            stageplay_close(&play);
    }
}
END_TEST

/* A name of 222 octets leaves room for a hash; one of 223 does not, and NSEC is still to be had. */
START_TEST(test_zone_with_long_name)
{
    for (unsigned octets = 222; octets <= 223; octets++) {
        uint8_t name[NAME_MAX_OCTETS];
        struct stageplay play;
        struct why why = {""};
        size_t n = 0;
        for (unsigned label = 63; octets - 1 - n > 0; n += label + 1) {
            label = octets - 1 - n < 64 ? octets - 2 - (unsigned)n : 63;
            name[n] = (uint8_t)label;
            memset(name + n + 1, 'a', label);
        }
        name[n] = 0;
        ck_assert_uint_eq(name_len(name), octets);
        int rc = stageplay_open(&play, registry_find("sign"), name, "denial=nsec3", &why);
        ck_assert_int_eq(rc, octets == 222 ? 0 : -E_CONF);
        ck_assert_msg(rc == 0 || strstr(why.text, "223 octets"), "%s", why.text);
        if (rc)
            rc = stageplay_open(&play, registry_find("sign"), name, "", &why);
        ck_assert_int_eq(rc, 0);
        stageplay_close(&play);
    }
}
END_TEST

int main(void)
{
    struct suite s = suite_open("sign_nsec3");
    if (getenv("WEIR_ROUNDS"))
        tcase_set_timeout(s.tcase, 0);
    if (suite_wants("test_corners"))
        tcase_add_loop_test(s.tcase, test_corners, 0, 6);
    if (suite_wants("test_histories"))
        tcase_add_loop_test(s.tcase, test_histories, 0, 3);
    suite_add(s, test_turns);
    suite_add(s, test_refused_options);
    suite_add(s, test_zone_with_long_name);
    return suite_run(s);
}
