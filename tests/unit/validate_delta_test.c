/* validate after a change that a signer would not make: a delegation appears over signed names, or goes from over glue,
 * and nothing below it is touched. What is told must be what is told about the whole version, and must name them; and the work must
 * not grow with the zone. */
#include "pipeline/run/registry.h"
#include "tests/lib/signer.h"
#include "tests/lib/stageplay.h"
#include "tests/lib/suite.h"

#include <stdio.h>
#include <string.h>

enum { NOW = 1700000000 };

static const uint8_t apex[] = "\4weir\4test";

static void name_of(const char *text, uint8_t out[NAME_MAX_OCTETS])
{
    struct why why;
    ck_assert_int_gt(name_parse(text, out, &why), 0);
}

static void put(struct edit *e, const char *owner, uint16_t type, const void *rdata, uint16_t len)
{
    uint8_t name[NAME_MAX_OCTETS];
    struct why why;
    name_of(owner, name);
    ck_assert_msg(edit_add(e, name, type, 300, rdata, len, &why) == 0, "%s", why.text);
}

static void put_ns(struct edit *e, const char *owner)
{
    uint8_t target[NAME_MAX_OCTETS];
    name_of("ns.weir.test.", target);
    put(e, owner, RR_NS, target, (uint16_t)name_len(target));
}

static struct snapshot *seal(struct edit *e)
{
    struct snapshot *s;
    struct why why;
    ck_assert_int_eq(edit_seal(&e, &s, NULL, &why), 0);
    return s;
}

/* `names` hosts h0 …, and a.x, b.x; with a delegation at x when delegated. */
static struct snapshot *plain(struct family *family, unsigned names, bool delegated)
{
    struct edit *e = edit_open(family, NULL, NULL);
    uint8_t soa[2 + 20] = {0};
    put_u32(soa + 2, 1);
    put_u32(soa + 18, 300);
    put(e, "weir.test.", RR_SOA, soa, sizeof soa);
    put_ns(e, "weir.test.");
    put(e, "ns.weir.test.", RR_A, "\300\0\2\1", 4);
    if (delegated)
        put_ns(e, "x.weir.test.");
    put(e, "a.x.weir.test.", RR_A, "\300\0\2\2", 4);
    put(e, "b.x.weir.test.", RR_A, "\300\0\2\3", 4);
    for (unsigned i = 0; i < names; i++) {
        char owner[64];
        snprintf(owner, sizeof owner, "h%u.weir.test.", i);
        put(e, owner, RR_A, "\300\0\2\4", 4);
    }
    return seal(e);
}

struct world {
    struct family *family;
    struct snapshot *plain, *good, *bad;
    struct stageplay play, fresh;
    struct stageresult part, whole;
};

/* Judges a signed zone, then the same with the delegation at x put there or taken away, and nothing else. */
static void world_open(struct world *w, unsigned names, bool delegated)
{
    struct why why;
    struct signer signer = signer_open(NOW, 1);
    const struct stage_type *type = registry_find("validate");
    w->family = family_new(apex);
    w->plain = plain(w->family, names, delegated);
    w->good = signer_sign(&signer, w->plain, w->family, NULL);
    signer_close(&signer);
    struct edit *e = edit_open(w->family, w->good, w->good);
    uint8_t x[NAME_MAX_OCTETS];
    name_of("x.weir.test.", x);
    if (delegated)
        ck_assert(edit_remove(e, x));
    else
        put_ns(e, "x.weir.test.");
    w->bad = seal(e);
    ck_assert_int_eq(stageplay_open(&w->play, type, apex, NULL, &why), 0);
    ck_assert_int_eq(stageplay_open(&w->fresh, type, apex, NULL, &why), 0);
    struct stageresult first = stageplay_run(&w->play, w->good, NOW, false, NULL);
    ck_assert_int_eq(first.verdict, STAGE_PASS);
    stageplay_accept(&w->play, &first);
    w->part = stageplay_run(&w->play, w->bad, NOW, false, NULL);
    w->whole = stageplay_run(&w->fresh, w->bad, NOW, false, NULL);
}

static void world_close(struct world *w)
{
    stageplay_drop(&w->play, &w->part);
    stageplay_drop(&w->fresh, &w->whole);
    stageplay_close(&w->play);
    stageplay_close(&w->fresh);
    snapshot_unref(w->bad);
    snapshot_unref(w->good);
    snapshot_unref(w->plain);
    family_unref(w->family);
}

static void expect(struct world *w, const char *code)
{
    char *part = stageresult_print(&w->part), *whole = stageresult_print(&w->whole), want[64];
    ck_assert_int_eq(w->part.verdict, STAGE_REJECT);
    ck_assert_str_eq(part, whole);
    static const char *const owners[] = {"a.x.weir.test.", "b.x.weir.test."};
    for (int i = 0; i < 2; i++) {
        snprintf(want, sizeof want, "%s: %s", code, owners[i]);
        ck_assert_msg(strstr(part, want) != NULL, "no \"%s\" in:\n%s", want, part);
    }
    mem_free(&part);
    mem_free(&whole);
}

START_TEST(test_cut_appears)
{
    struct world w;
    world_open(&w, 3, false);
    expect(&w, "rrsig-misplaced");
    expect(&w, "nsec-misplaced");
    world_close(&w);
}
END_TEST

START_TEST(test_cut_goes)
{
    struct world w;
    world_open(&w, 3, true);
    expect(&w, "rrsig-missing");
    expect(&w, "nsec-missing");
    world_close(&w);
}
END_TEST

START_TEST(test_cost)
{
    uint64_t visited[2];
    for (int i = 0; i < 2; i++) {
        struct world w;
        world_open(&w, i ? 2000 : 20, false);
        visited[i] = w.part.visited;
        ck_assert_uint_gt(w.whole.visited, i ? 2000 : 20);
        world_close(&w);
    }
    ck_assert_uint_eq(visited[0], visited[1]);
    ck_assert_uint_le(visited[0], 8);
}
END_TEST

/* A zone whose name leaves no room for a hash's label says that it has NSEC3. It is refused, and so is a change of it, whose
 * names are then looked for one by one. */
START_TEST(test_apex_too_long_for_nsec3)
{
    static const uint8_t param[] = {1, 0, 0, 0, 0};
    char text[NAME_TEXT_MAX];
    uint8_t long_apex[NAME_MAX_OCTETS];
    struct why why;
    snprintf(text, sizeof text, "%060d.%060d.%060d.%050d.", 0, 0, 0, 0);
    name_of(text, long_apex);
    struct family *family = family_new(long_apex);
    struct signer signer = signer_open(NOW, 1);
    struct edit *e = edit_open(family, NULL, NULL);
    uint8_t soa[2 + 20] = {0};
    put_u32(soa + 2, 1);
    put(e, text, RR_SOA, soa, sizeof soa);
    put_ns(e, text);
    struct snapshot *bare = seal(e), *made = signer_sign(&signer, bare, family, NULL);
    e = edit_open(family, made, made);
    put(e, text, RR_NSEC3PARAM, param, sizeof param);
    struct snapshot *first = seal(e);
    e = edit_open(family, first, first);
    put(e, text, RR_TXT, "\1x", 2);
    struct snapshot *second = seal(e), *all[] = {bare, made, first, second};
    struct stageplay play;
    ck_assert_int_eq(
        stageplay_open(&play, registry_find("validate"), long_apex, "denial=any", &why), 0);
    for (int i = 2; i < 4; i++) {
        struct stageresult result = stageplay_run(&play, all[i], NOW, false, NULL);
        char *found = stageresult_print(&result);
        ck_assert_int_eq(result.verdict, STAGE_REJECT);
        ck_assert_msg(strstr(found, i == 2 ? "nsec3-chain-missing" : "nsec3-missing") != NULL, "%s",
                      found);
        mem_free(&found);
        stageplay_accept(&play, &result); /* an operator's policy may let it through */
    }
    stageplay_close(&play);
    signer_close(&signer);
    for (int i = 0; i < 4; i++)
        snapshot_unref(all[i]);
    family_unref(family);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("validate_delta");
    suite_add(s, test_cut_appears);
    suite_add(s, test_cut_goes);
    suite_add(s, test_cost);
    suite_add(s, test_apex_too_long_for_nsec3);
    return suite_run(s);
}
