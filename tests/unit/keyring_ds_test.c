/* keyring_ds: what a registrar is given, against DS that are in the world, and the types of the fields in JSON. keyring: the states of a
 * zone's DNSSEC and the operator's word.
 */
#include "tests/lib/suite.h"

#include "pipeline/run/keyring_ds.h"

#include <stdlib.h>

static const uint8_t ksk[68] = {
    0x01, 0x01, 0x03, 0x0d, 0x99, 0xdb, 0x2c, 0xc1, 0x4c, 0xab, 0xdc, 0x33, 0xd6, 0xd7,
    0x7d, 0xa6, 0x3a, 0x2f, 0x15, 0xf7, 0x11, 0x12, 0x58, 0x4f, 0x23, 0x4e, 0x8d, 0x1d,
    0xc4, 0x28, 0xe3, 0x9e, 0x8a, 0x4a, 0x97, 0xe1, 0xaa, 0x27, 0x1a, 0x55, 0x5d, 0xc9,
    0x07, 0x01, 0xe1, 0x7e, 0x2a, 0x4c, 0x4b, 0x6f, 0x12, 0x0b, 0x7c, 0x32, 0xd4, 0x4f,
    0x4a, 0xc0, 0x2b, 0xd8, 0x94, 0xcf, 0x2d, 0x4b, 0xe7, 0x77, 0x8a, 0x19};

static const struct vector {
    const char *owner;
    uint8_t digest;
    const char *hex;
} vectors[] = {
    {"cloudflare.com.", 2, "32996839A6D808AFE3EB4A795A0E6A7A39A76FC52FF228B22B76F6D63826F2B9"},
    {"multisigner.info.", 2, "227B4C7FF3E1D49D59BAF39BDA54CA0839DE700DD9896076AA3E6AD719A0CF55"},
    {"soleur.ai.", 2, "3EDA296C18ABFBD581F7DE282C61ED8634B27651F1740EA68C9FF9FAF6D1A66D"},
    {"example.com.", 2, "C988EC423E3880EB8DD8A46FE06CA230EE23F35B578D64E78B29C3E1C83D245A"},
    {"example.com.", 4,
     "DA0163A25F5219588189215E44B444102848E853AE6A78B96AE5C75A4DF7C90BD1FBCD5761BD2AA4A477C5FE0B514"
     "31"
     "2"},
};

static struct keyring *ring_of(const char *owner)
{
    uint8_t name[NAME_MAX_OCTETS];
    struct keyring_key *k;
    struct why why;
    ck_assert_int_gt(name_parse(owner, name, &why), 0);
    struct keyring *ring = keyring_new(name);
    ck_assert_int_eq(keyring_add(ring, KEYRING_CSK, ksk, sizeof ksk, NULL, false, 1, &k, &why), 0);
    ck_assert_uint_eq(k->tag, 2371);
    return ring;
}

START_TEST(test_ds_lines_are_those_of_the_world)
{
    const struct vector *v = &vectors[_i];
    struct keyring *ring = ring_of(v->owner);
    char *line = keyring_ds_line(ring->apex, &ring->key[0], v->digest);
    char *want = mem_printf("%s 3600 IN DS 2371 13 %u %s", v->owner, v->digest, v->hex);
    ck_assert_str_eq(line, want);
    mem_free(&line);
    mem_free(&want);
    keyring_free(&ring);
}
END_TEST

static char *json_of(const struct keyring *ring)
{
    struct chain *chain = chain_new(0, 1);
    char owner[] = "example.com.";
    struct zone_conf zone = {.text = owner, .chain = chain};
    struct json *json = json_new();
    json_object(json, NULL);
    keyring_ds_json(ring, &zone, 0, json);
    json_end(json);
    char *text = mem_strdup(json_text(json, NULL));
    json_free(&json);
    chain_unref(chain);
    return text;
}

START_TEST(test_json_has_the_types_that_registrars_tools_know)
{
    static const char *const field[] = {
        "\"algorithm\":\"13\",",
        "\"digest\":\"C988EC423E3880EB8DD8A46FE06CA230EE23F35B578D64E78B29C3E1C83D245A\",",
        "\"digest_algorithm\":\"SHA256\",",
        "\"digest_type\":\"2\",",
        "\"ds\":\"example.com. 3600 IN DS 2371 13 2 "
        "C988EC423E3880EB8DD8A46FE06CA230EE23F35B578D64E78B29C3E1C83D245A\",",
        "\"flags\":257,",
        "\"key_tag\":2371,",
        "\"key_type\":\"ECDSAP256SHA256\",",
        "\"public_key\":\"mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+"
        "KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==\",",
        "\"status\":\"pending\",",
        "\"dnssec_multi_signer\":false,",
        "\"dnssec_presigned\":false,",
        "\"dnssec_use_nsec3\":false,",
    };
    static const char *const nulls[] = {
        "algorithm", "digest",  "digest_algorithm", "digest_type", "ds",
        "flags",     "key_tag", "key_type",         "public_key",  "modified_on"};
    struct keyring *ring = ring_of("example.com.");
    char *text = json_of(ring);
    for (size_t i = 0; i < sizeof field / sizeof field[0]; i++)
        ck_assert_msg(strstr(text, field[i]) != NULL, "%s is not in %s", field[i], text);
    mem_free(&text);
    keyring_free(&ring);
    text = json_of(NULL);
    for (size_t i = 0; i < sizeof nulls / sizeof nulls[0]; i++) {
        char *want = mem_printf("\"%s\":null,", nulls[i]);
        ck_assert_msg(strstr(text, want) != NULL, "%s is not in %s", want, text);
        mem_free(&want);
    }
    mem_free(&text);
}
END_TEST

/* ---- states: a CSK, TTLs of 10 s, and no delay */

struct walk {
    struct keyring *ring;
    struct keyring_policy policy;
    struct keyring_time time;
    struct keyring_plan plan;
};

/* Everything that the keyset asks for is so, and s seconds pass. */
static void pass(struct walk *w, int s)
{
    struct keyset *keys = keyring_keyset(w->ring, &w->policy);
    uint8_t set[2 + sizeof ksk] = {0, sizeof ksk};
    memcpy(set + 2, ksk, sizeof ksk);
    bool there = keys->n == 1 && keys->key[0].publish;
    struct rrset dnskey = {.type = RR_DNSKEY, .ttl = 10, .rdata = set, .end = set + sizeof set};
    struct key_uses uses = {.rrsets = 3, .ttl_max = 10, .n = 1};
    uses.use[0] = (struct key_use){.tag = 2371, .algorithm = 13, .signatures = there ? 3 : 0};
    keyset_unref(keys);
    struct keyring_facts facts = {.time = w->time,
                                  .dnskey = there ? &dnskey : NULL,
                                  .served = true,
                                  .current = true,
                                  .uses = &uses};
    keyring_step(w->ring, &w->policy, &facts, &w->plan);
    w->time.tick += s;
    w->time.now += s;
    facts.time = w->time;
    keyring_step(w->ring, &w->policy, &facts, &w->plan);
}

static void expect_export(const struct walk *w, const char *want)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    ck_assert(out != NULL);
    keyring_export(w->ring, out);
    fclose(out);
    ck_assert_str_eq(text, want);
    free(text);
}

#define PUBLIC                                                                                     \
    "mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=="
#define EXPORTED(state)                                                                            \
    "; CSK, key tag 2371, " state "\nexample.com. 3600 IN DNSKEY 257 3 13 " PUBLIC "\n"

/* Another signer gets a key from the day it is made, and CDS and CDNSKEY as long as we show them. */
START_TEST(test_export_goes_with_the_states)
{
    struct why why;
    struct walk w = {.ring = ring_of("example.com."),
                     .policy = {.algorithm = 13, .csk = true, .ds_ttl_s = 10},
                     .time = {.now = 1000, .tick = 5, .boot = 1}};
    static const char cds[] = "example.com. 10 IN CDS 2371 13 2 "
                              "C988EC423E3880EB8DD8A46FE06CA230EE23F35B578D64E78B29C3E1C83D245A\n"
                              "example.com. 10 IN CDNSKEY 257 3 13 " PUBLIC "\n";
    static const char dnskey[] = "example.com. 10 IN DNSKEY 257 3 13 " PUBLIC "\n";
    expect_export(&w, EXPORTED("generated"));
    pass(&w, 0);
    pass(&w, 10);
    pass(&w, 1);
    char *want = mem_printf("; CSK, key tag 2371, ready\n%s%s", dnskey, cds);
    expect_export(&w, want);
    mem_free(&want);
    ck_assert_int_eq(keyring_ds_seen(w.ring, &w.time, &why), 0);
    pass(&w, 11);
    ck_assert_int_eq(keyring_disable(w.ring, w.time.now, &why), 0);
    want = mem_printf("; CSK, key tag 2371, active\n%s", dnskey);
    expect_export(&w, want);
    mem_free(&want);
    pass(&w, 10);
    ck_assert_int_eq(keyring_ds_gone(w.ring, &w.time, &why), 0);
    pass(&w, 11);
    pass(&w, 1);
    ck_assert_int_eq(keyring_delete(w.ring, w.time.now, &why), 0);
    expect_export(&w, "");
    keyring_free(&w.ring);
}
END_TEST

/* The word is kept over a restart, goes into the keyset, and is none for a zone that is not signed. */
START_TEST(test_resign_is_a_word_of_its_own)
{
    struct why why;
    struct walk w = {.ring = ring_of("example.com."),
                     .policy = {.algorithm = 13, .csk = true},
                     .time = {.now = 1000, .tick = 5, .boot = 1}};
    pass(&w, 0);
    struct keyset *before = keyring_keyset(w.ring, &w.policy);
    ck_assert_int_eq(keyring_resign(w.ring, 1764009418, &why), 0);
    char *text = keyring_print(w.ring);
    struct keyring *again;
    ck_assert_int_eq(keyring_parse(text, strlen(text), w.ring->apex, &again, &why), 0);
    ck_assert(again->resigns == 1 && again->resigned_at == 1764009418);
    struct keyset *after = keyring_keyset(again, &w.policy);
    ck_assert(!keyset_same(before, after) && before->resigns == 0 && after->resigns == 1);
    char *json = json_of(again);
    ck_assert_msg(strstr(json, "\"resigned_on\":\"2025-11-24T18:36:58Z\"") != NULL, "%s", json);
    again->wish = KEYRING_DELETED;
    ck_assert_int_eq(keyring_resign(again, 1764009418, &why), -E_MISMATCH);
    keyset_unref(before);
    keyset_unref(after);
    mem_free(&json);
    mem_free(&text);
    keyring_free(&again);
    keyring_free(&w.ring);
}
END_TEST

#define STATUS(w, text) ck_assert_str_eq(keyring_status((w).ring), text)

START_TEST(test_dnssec_goes_through_its_states_and_skips_none)
{
    struct why why;
    struct walk w = {.ring = ring_of("example.com."),
                     .policy = {.algorithm = 13, .csk = true, .ds_ttl_s = 10},
                     .time = {.now = 1000, .tick = 5, .boot = 1}};
    STATUS(w, "pending");
    pass(&w, 0);
    ck_assert_int_eq(keyring_ds_seen(w.ring, &w.time, &why), -E_MISMATCH);
    pass(&w, 10);
    ck_assert_int_eq(keyring_ds_seen(w.ring, &w.time, &why), -E_MISMATCH);
    pass(&w, 1); /* the second in which it began counts for nothing */
    ck_assert_int_eq(w.ring->key[0].ds.state, CELL_COMING);
    STATUS(w, "pending");
    ck_assert_int_eq(keyring_delete(w.ring, w.time.now, &why), -E_MISMATCH);
    ck_assert_int_eq(keyring_ds_seen(w.ring, &w.time, &why), 0);
    STATUS(w, "active");
    pass(&w, 11);
    ck_assert_int_eq(w.ring->key[0].state, KEY_ACTIVE);
    ck_assert_int_eq(keyring_delete(w.ring, w.time.now, &why), -E_MISMATCH);
    ck_assert_int_eq(keyring_disable(w.ring, w.time.now, &why), 0);
    struct keyset *keys = keyring_keyset(w.ring, &w.policy);
    ck_assert(keys->cds_delete && keys->n == 1 && keys->key[0].signs_zone && !keys->key[0].ds);
    keyset_unref(keys);
    STATUS(w, "pending-disabled");
    pass(&w, 1000);
    STATUS(w, "pending-disabled");
    ck_assert_int_eq(keyring_delete(w.ring, w.time.now, &why), -E_MISMATCH);
    ck_assert_int_eq(keyring_ds_gone(w.ring, &w.time, &why), 0);
    pass(&w, 10);
    STATUS(w, "pending-disabled");
    ck_assert_int_eq(keyring_delete(w.ring, w.time.now, &why), -E_MISMATCH);
    pass(&w, 1);
    STATUS(w, "disabled");
    ck_assert_int_eq(keyring_delete(w.ring, w.time.now, &why), 0);
    keys = keyring_keyset(w.ring, &w.policy);
    ck_assert(keys->unsigned_zone && !keys->cds_delete && keys->n == 0);
    keyset_unref(keys);
    STATUS(w, "disabled");
    ck_assert_int_eq(keyring_enable(w.ring, w.time.now, &why), 0);
    pass(&w, 0);
    ck_assert_uint_eq(w.plan.generate, 0); /* the policy makes none by itself */
    STATUS(w, "pending");
    keyring_free(&w.ring);
}
END_TEST

/* A clock that is set, or ticks of another boot, let no wait end. */
START_TEST(test_no_clock_shortens_a_wait)
{
    struct walk w = {.ring = ring_of("example.com."),
                     .policy = {.algorithm = 13, .csk = true, .ds_ttl_s = 10},
                     .time = {.now = 1000, .tick = 5, .boot = 1}};
    pass(&w, 0);
    w.time.now += 1000000;
    pass(&w, 5);
    w.time = (struct keyring_time){.now = 10, .tick = 4000000, .boot = 2};
    pass(&w, 5);
    w.time = (struct keyring_time){.now = 1000000000, .tick = 0, .boot = 3};
    pass(&w, 0);
    ck_assert_int_eq(w.ring->key[0].dnskey.state, CELL_COMING);
    pass(&w, 1);
    ck_assert_int_eq(w.ring->key[0].dnskey.state, CELL_PRESENT);
    keyring_free(&w.ring);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("keyring_ds");
    tcase_add_loop_test(s.tcase, test_ds_lines_are_those_of_the_world, 0,
                        (int)(sizeof vectors / sizeof vectors[0]));
    suite_add(s, test_json_has_the_types_that_registrars_tools_know);
    suite_add(s, test_dnssec_goes_through_its_states_and_skips_none);
    suite_add(s, test_export_goes_with_the_states);
    suite_add(s, test_no_clock_shortens_a_wait);
    suite_add(s, test_resign_is_a_word_of_its_own);
    return suite_run(s);
}
