/* sign_peers: what other checkers say of what sign makes.
 *
 * ldns-verify-zone, BIND's dnssec-verify and Knot's kzonecheck read the version that goes out, as validate does, at its time, which is
 * now: real zones, their own DNSSEC taken out, signed in each way of denial; a zone that goes from one way to the next; and random
 * histories, each version made from the last one. A tool that is not there fails the test.
 */
#include "tests/lib/keyplay.h"
#include "tests/lib/stageplay.h"
#include "tests/lib/suite.h"
#include "tests/lib/vectors.h"
#include "tests/lib/zonegen.h"

#include "pipeline/run/registry.h"
#include "pipeline/zone/text.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

static const char *const variants[] = {
    "denial=nsec zonemd=sha384",  "denial=nsec3",
    "denial=nsec3 opt_out=true",  "denial=nsec3 nsec3_salt=5ca1ab1e nsec3_iterations=5",
    "denial=nsec3 zonemd=sha384",
};
/* For real zones not with iterations: ldns hashes each name of the root anew for each record. */
enum { VARIANTS = sizeof(variants) / sizeof(variants[0]), REAL_VARIANTS = 3 };

static const struct {
    const char *file, *apex;
} zones[] = {
    {"root-2024072600.zone.xz", "."},
    {"opendnssec.se-2013b.zone", "opendnssec.se."},
    {"nsd-nsec3-resalt-old.zone", "example.net."},
    {"uri.arpa-rfc8976.zone", "uri.arpa."},
};
enum { ZONES = sizeof(zones) / sizeof(zones[0]) };

struct world {
    uint8_t apex[NAME_MAX_OCTETS];
    struct keyplay keys;
    struct keyset *set;
    struct stageplay strip, sign, judge;
    struct pool *pool;
    bool nsec3_zonemd;
    char path[64], told[64];
};

static void play_open(struct world *w, struct stageplay *play, const char *stage,
                      const char *options)
{
    struct why why;
    int rc = stageplay_open(play, registry_find(stage), w->apex, options, &why);
    ck_assert_msg(rc == 0, "%s %s: %s", stage, options, why.text);
}

static struct world world_open(const char *apex, const char *options)
{
    struct world w = {.path = "/tmp/weir-peers-XXXXXX"};
    ck_assert_int_ge(name_parse(apex, w.apex, NULL), 0);
    int fd = mkstemp(w.path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    snprintf(w.told, sizeof(w.told), "%s.said", w.path);
    keyplay_make(&w.keys, DNSKEY_ZONE | DNSKEY_SEP, ALG_ECDSAP256, "pkd");
    keyplay_make(&w.keys, DNSKEY_ZONE, ALG_ECDSAP256, "pz");
    w.set = keyplay_set(&w.keys, 0);
    w.pool = pool_new(1);
    play_open(&w, &w.strip, "strip", "");
    play_open(&w, &w.judge, "validate", "denial=any");
    play_open(&w, &w.sign, "sign", options);
    w.sign.keys = w.set;
    w.nsec3_zonemd = strstr(options, "nsec3") && strstr(options, "zonemd");
    return w;
}

static void world_close(struct world *w)
{
    stageplay_close(&w->strip);
    stageplay_close(&w->judge);
    stageplay_close(&w->sign);
    keyset_unref(w->set);
    keyplay_close(&w->keys);
    pool_free(&w->pool);
    remove(w->path);
    remove(w->told);
}

/* --- what they say --- */

static void zone_write(const char *path, const struct snapshot *s)
{
    FILE *out = fopen(path, "w");
    struct snapshot_iter it;
    ck_assert_ptr_nonnull(out);
    for (const struct node *node = snapshot_first(&it, s); node; node = snapshot_next(&it))
        for (unsigned i = 0; i < node->nrrsets; i++) {
            struct rrset set;
            struct rdata rdata;
            node_rrset_at(node, i, &set);
            for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &rdata);) {
                char *line =
                    text_print_rr(node_name(node), set.type, set.ttl, rdata.data, rdata.len);
                fprintf(out, "%s\n", line);
                free(line);
            }
        }
    ck_assert_int_eq(fclose(out), 0);
}

static void expect_tool(const struct world *w, const char *tool, bool with_origin, const char *then)
{
    char command[2048 + NAME_TEXT_MAX], origin[NAME_TEXT_MAX], said[4096] = "";
    name_print(w->apex, origin);
    snprintf(command, sizeof(command), "%s %s %s >%s 2>&1%s%s", tool, with_origin ? origin : "",
             w->path, w->told, then, then[0] ? w->told : "");
    if (system(command) == 0)
        return;
    FILE *in = fopen(w->told, "r");
    if (in)
        said[fread(said, 1, sizeof(said) - 1, in)] = '\0';
    ck_abort_msg("%s:\n%s\n(the files are kept)", command, said);
}

/* Of kzonecheck only what it says of DNSSEC: that some name server has no address is the data's. */
static void expect_peers_pass(struct world *w, const struct snapshot *s)
{
    static const char of_data[] =
        "; [ $? -le 1 ] && ! grep -vE '^$|summary:|semantic error|missing glue|under DNAME' ";
    zone_write(w->path, s);
    if (!w->nsec3_zonemd) /* ldns 1.8.3 never comes back from a ZONEMD beside NSEC3 */
        expect_tool(w, "ldns-verify-zone", false, "");
    expect_tool(w, "dnssec-verify -q -o", true, "");
    expect_tool(w, "kzonecheck -d on -o", true, of_data);
}

/* Signs the version and has it judged. */
static void step(struct world *w, const struct snapshot *plain)
{
    time_t now = time(NULL);
    struct stageresult result = stageplay_run(&w->sign, plain, now, false, pool_par(w->pool));
    ck_assert_msg(result.verdict == STAGE_PASS, "sign: %s", stageresult_print(&result));
    stageplay_forget(&w->judge);
    struct stageresult judged = stageplay_run(&w->judge, result.out, now, false, pool_par(w->pool));
    ck_assert_msg(judged.verdict == STAGE_PASS, "validate: %s", stageresult_print(&judged));
    stageplay_drop(&w->judge, &judged);
    expect_peers_pass(w, result.out);
    stageplay_accept(&w->sign, &result);
}

/* --- zones --- */

static struct snapshot *zone_read(const struct world *w, struct family *family, const char *file)
{
    char from[256], unpacked[64] = "/tmp/weir-peers-zone-XXXXXX", command[512];
    struct why why;
    struct snapshot *made;
    struct edit *e = edit_open(family, NULL, NULL);
    snprintf(from, sizeof(from), "data/zones/%s", file);
    int fd = mkstemp(unpacked);
    ck_assert_int_ge(fd, 0);
    snprintf(command, sizeof(command), "%s '%s' >&%d", strstr(file, ".xz") ? "xz -dc" : "cat",
             shared_path(from), fd);
    ck_assert_msg(system(command) == 0, "%s", command);
    ck_assert_msg(text_read(unpacked, e, w->apex, &why) == 0, "%s: %s", file, why.text);
    ck_assert_int_eq(edit_seal(&e, &made, NULL, &why), 0);
    close(fd);
    remove(unpacked);
    return made;
}

START_TEST(test_real_zones)
{
    struct world w = world_open(zones[_i / REAL_VARIANTS].apex, variants[_i % REAL_VARIANTS]);
    struct family *family = family_new(w.apex);
    struct snapshot *was_signed = zone_read(&w, family, zones[_i / REAL_VARIANTS].file);
    struct stageresult stripped = stageplay_run(&w.strip, was_signed, time(NULL), false, NULL);
    ck_assert_int_eq(stripped.verdict, STAGE_PASS);
    step(&w, stripped.out);
    stageplay_drop(&w.strip, &stripped);
    snapshot_unref(was_signed);
    family_unref(family);
    world_close(&w);
}
END_TEST

/* Without what DNAMEs hide: Knot asks NSEC and NSEC3 for that, too. */
static void step_without_hidden(struct world *w, const struct snapshot *plain)
{
    struct edit *e = edit_open(plain->family, plain, plain);
    struct snapshot *visible;
    struct snapshot_iter it;
    for (const struct node *node = snapshot_first(&it, plain); node; node = snapshot_next(&it)) {
        struct locate at;
        snapshot_locate(plain, node_name(node), &at);
        if (at.dname)
            edit_remove(e, node_name(node));
    }
    ck_assert_int_eq(edit_seal(&e, &visible, NULL, NULL), 0);
    step(w, visible);
    snapshot_unref(visible);
}

/* Each way of denial after the other, and some of them twice: another chain, which begins with nothing but the zone. */
START_TEST(test_turns)
{
    static const char *const turns[] = {
        "denial=nsec",
        "denial=nsec3",
        "denial=nsec3 nsec3_salt=a1",
        "denial=nsec3 opt_out=true nsec3_salt=a2",
        "denial=nsec3 opt_out=true",
        "denial=nsec3",
        "denial=nsec",
    };
    struct random random = random_open();
    struct world w = world_open("weir.test.", turns[0]);
    struct family *family = family_new(w.apex);
    struct zonegen gen = zonegen_open(&random, "weir.test.", 40);
    struct snapshot *plain = zonegen_version(&gen, family, NULL, 0);
    for (unsigned i = 0; i < sizeof(turns) / sizeof(turns[0]); i++) {
        stageplay_close(&w.sign);
        play_open(&w, &w.sign, "sign", turns[i]);
        w.sign.keys = w.set;
        for (unsigned k = 0; k < 2; k++) {
            step_without_hidden(&w, plain);
            struct snapshot *next = zonegen_version(&gen, family, plain, 3);
            snapshot_unref(plain);
            plain = next;
        }
    }
    snapshot_unref(plain);
    family_unref(family);
    world_close(&w);
}
END_TEST

START_TEST(test_histories)
{
    enum { STEPS = 15 };
    struct random random = random_open();
    unsigned rounds = getenv("WEIR_ROUNDS") ? (unsigned)atoi(getenv("WEIR_ROUNDS")) : 1;
    for (unsigned round = 0; round < rounds; round++) {
        struct world w = world_open("weir.test.", variants[_i]);
        struct family *family = family_new(w.apex);
        struct zonegen gen = zonegen_open(&random, "weir.test.", 40);
        struct snapshot *plain = zonegen_version(&gen, family, NULL, 0);
        for (unsigned i = 0; i < STEPS; i++) {
            step_without_hidden(&w, plain);
            struct snapshot *next = zonegen_version(&gen, family, plain, 3);
            snapshot_unref(plain);
            plain = next;
        }
        snapshot_unref(plain);
        family_unref(family);
        world_close(&w);
    }
}
END_TEST

/* Somebody registers a name that is the hash of another, with DS and without. */
START_TEST(test_name_that_is_a_hash)
{
    static const uint8_t ds[4 + 32] = {0, 1, 13, 2};
    struct random random = random_open();
    struct world w = world_open("weir.test.", variants[1]);
    struct family *family = family_new(w.apex);
    struct zonegen gen = zonegen_open(&random, "weir.test.", 10);
    struct snapshot *plain = zonegen_version(&gen, family, NULL, 0), *next;
    uint8_t hash[20], owner[NAME_MAX_OCTETS];
    dnssec_nsec3_hash(w.apex, 0, NULL, 0, hash);
    ck_assert(dnssec_nsec3_owner(hash, w.apex, owner));
    step_without_hidden(&w, plain);
    for (unsigned i = 0; i < 3; i++) {
        struct edit *e = edit_open(family, plain, plain);
        int rc = i == 0 ? edit_add(e, owner, RR_NS, 300, (const uint8_t *)"\2ns\7example", 12, NULL)
                 : i == 1 ? edit_add(e, owner, RR_DS, 300, ds, sizeof(ds), NULL)
                          : edit_remove(e, owner) - 1;
        ck_assert_int_eq(rc, 0);
        ck_assert_int_eq(edit_seal(&e, &next, NULL, NULL), 0);
        snapshot_unref(plain);
        plain = next;
        step_without_hidden(&w, plain);
    }
    snapshot_unref(plain);
    family_unref(family);
    world_close(&w);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("sign_peers");
    if (getenv("WEIR_ROUNDS"))
        tcase_set_timeout(s.tcase, 0);
    if (suite_wants("test_real_zones"))
        tcase_add_loop_test(s.tcase, test_real_zones, 0, ZONES * REAL_VARIANTS);
    suite_add(s, test_turns);
    suite_add(s, test_name_that_is_a_hash);
    if (suite_wants("test_histories"))
        tcase_add_loop_test(s.tcase, test_histories, 0, VARIANTS);
    return suite_run(s);
}
