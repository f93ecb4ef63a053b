/* trial: see the header.
 *
 * What a row asks for beside keys and denial (an option of the stage, a record that the right version has) makes ground of
 * its own: another right version, signed once, when the first row asks for it.
 */
#include "tests/lib/trial.h"

#include "tests/lib/mutation.h"
#include "tests/lib/place.h"
#include "tests/lib/stageplay.h"
#include "tests/lib/zonegen.h"

#include "pipeline/base/alloc.h"
#include "pipeline/run/registry.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOW = 1700000000, GROUNDS = 16, WANTED = 8, WORD = 256, FINDINGS_SHOWN = 24 };

static const char small_zone[] =
    "@ 300 SOA ns1 hostmaster 1 3600 600 86400 300\n"
    "@ 300 NS ns1\n@ 300 NS ns.other.test.\n@ 300 MX 10 www\n"
    "ns1 300 A 192.0.2.1\n"
    "www 300 A 192.0.2.2\nwww 300 A 192.0.2.3\nwww 300 AAAA 2001:db8::2\nwww 300 TXT web\n"
    "*.wild 300 TXT wild\n"
    "deep.mid 300 TXT below\n"
    "alias 300 CNAME www\n"
    "moved 300 DNAME elsewhere.test.\n"
    "x.moved 300 A 192.0.2.9\n"
    "child 300 NS ns.child\nchild 300 NS ns.other.test.\n"
    "child 300 DS 1 13 2 C988EC423E3880EB8DD8A46FE06CA230EE23F35B578D64E78B29C3E1C83D245A\n"
    "ns.child 300 A 192.0.2.9\n"
    "plain 300 NS ns.other.test.\n"
    "odd 300 TYPE65400 \\# 4 DEADBEEF\n";

enum { SEP = DNSKEY_ZONE | DNSKEY_SEP };
const struct trial_keys trial_keys[] = {
    {"one key", false, {{SEP, ALG_ECDSAP256}}},
    {"KSK and ZSK", false, {{SEP, ALG_ED25519}, {DNSKEY_ZONE, ALG_ED25519}}},
    {"two algorithms", false, {{SEP, ALG_ECDSAP256}, {SEP, ALG_ED25519}}},
    {"RSASHA1", true, {{SEP, ALG_RSASHA1_NSEC3}}},
    {"RSASHA256", true, {{SEP, ALG_RSASHA256}}},
    {"RSASHA512", true, {{SEP, ALG_RSASHA512}}},
    {"P-384", true, {{SEP, ALG_ECDSAP384}}},
    {"Ed448", true, {{SEP, ALG_ED448}}},
};
const size_t trial_keys_n = sizeof(trial_keys) / sizeof(trial_keys[0]);

static const struct setup {
    unsigned flag;
    const char *options;
    const char *plain, *script; /* done to every version before and after it is signed */
} setups[] = {
    {ANY_KEY, "signatures=any-key", "", ""},
    {UNKNOWN_KEY, "signatures=any-key", "add @ 300 DNSKEY 256 3 200 AAAA", ""},
    {FEW_KEYS, "max_keys=2", "", ""},
    {ANCHORED, "signatures=any-key", "", ""},
    {TWINS, "", "twin 1 0; twin 1 1", ""},
    {DIGEST, "zonemd=require",
     "add @ 300 ZONEMD 0 1 1 "
     "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
     "000",
     "digest"},
};

struct ground {
    unsigned flags;
    const struct setup *setup; /* NULL: none */
    struct snapshot *plain, *good, *next;
    struct places *places;
    struct stageplay play, fresh;
    uint8_t *state; /* after good */
    size_t state_len;
    size_t notes;
    const struct finding_type *note[64]; /* what good passes with */
};
struct trial {
    struct trial_zone zone;
    char name[128];
    struct random random;
    struct signer signer;
    struct family *plain_family, *family;
    struct snapshot *plain;
    unsigned grounds;
    struct ground ground[GROUNDS];
};

/* A row, at its places. */
struct wanted {
    char code[WORD], owner[WORD]; /* owner "": wherever */
    uint16_t type;                /* 0: whatever */
    bool optional, whole_only;
};
struct attempt {
    struct trial *t;
    struct ground *g;
    const struct mutation_kind *kind;
    struct signer signer; /* who signs the wrong version; borrows the trial's keys */
    char *plain, *script;
    bool passes;
    unsigned n;
    struct wanted wanted[WANTED];
    struct snapshot *bad;
};

/* --- zones --- */

static void keys_open(struct trial *t)
{
    t->signer = signer_open(NOW, 1);
    signer_remove_key(&t->signer, 0);
    for (unsigned i = 0; i < TRIAL_KEYS && t->zone.keys->key[i].flags; i++)
        signer_add_key(&t->signer, t->zone.keys->key[i].flags, t->zone.keys->key[i].algorithm,
                       (uint32_t)random_u64(&t->random));
}

/* So that the next tag is no other key's. */
static bool keys_apart(const struct signer *signer)
{
    for (unsigned i = 0; i < signer->keys; i++)
        for (unsigned j = 0; j < i; j++)
            if (abs((int)signer->key[i].tag - (int)signer->key[j].tag) < 2)
                return false;
    return true;
}

struct trial *trial_open(const struct trial_zone *zone, struct random *random)
{
    struct trial *t = mem_zalloc(sizeof(*t));
    uint8_t apex[NAME_MAX_OCTETS];
    t->zone = *zone;
    t->random = random_fork(random);
    snprintf(t->name, sizeof(t->name), "%s, %s%s, %u iterations, salt of %u, %u slots",
             zone->keys->name, zone->nsec3 ? "NSEC3" : "NSEC", zone->opt_out ? " with opt-out" : "",
             zone->iterations, zone->salt_len, zone->slots);
    for (keys_open(t); !keys_apart(&t->signer); keys_open(t))
        signer_close(&t->signer);
    t->signer.nsec = !zone->nsec3;
    t->signer.nsec3 = zone->nsec3;
    t->signer.opt_out = zone->opt_out;
    t->signer.iterations = (uint16_t)zone->iterations;
    t->signer.salt_len = (uint8_t)zone->salt_len;
    random_octets(&t->random, t->signer.salt, zone->salt_len);
    name_parse("example.", apex, NULL);
    t->plain_family = family_new(apex);
    t->family = family_new(apex);
    if (zone->slots) {
        struct zonegen gen = zonegen_open(&t->random, "example.", zone->slots);
        t->plain = zonegen_version(&gen, t->plain_family, NULL, 0);
    } else {
        t->plain = mutation_zone(small_zone, t->plain_family);
    }
    return t;
}

/* Changed, signed by `signer` and completed as the setup wants it. */
static struct snapshot *version_sign(struct trial *t, const struct ground *g, const char *script,
                                     const struct signer *signer)
{
    struct snapshot *changed = mutation_apply(script, g->plain, t->plain_family, &t->signer);
    struct snapshot *made = signer_sign(signer, changed, t->family, g->good);
    snapshot_unref(changed);
    if (!g->setup || !*g->setup->script)
        return made;
    struct snapshot *completed = mutation_apply(g->setup->script, made, t->family, signer);
    snapshot_unref(made);
    return completed;
}

static void anchor_print(const struct signer_key *key, char *out, size_t cap)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n =
        (size_t)snprintf(out, cap, " trust_anchor=%u~3~%u~", get_u16(key->rdata), key->rdata[3]);
    for (size_t i = 4; i < key->len; i += 3) {
        size_t left = key->len - i;
        uint32_t three = (uint32_t)key->rdata[i] << 16 |
                         (left > 1 ? (uint32_t)key->rdata[i + 1] << 8 : 0) |
                         (left > 2 ? key->rdata[i + 2] : 0);
        n += (size_t)snprintf(out + n, cap - n, "%c%c%c%c", digits[three >> 18],
                              digits[three >> 12 & 63], left > 1 ? digits[three >> 6 & 63] : '=',
                              left > 2 ? digits[three & 63] : '=');
    }
}

static void ground_play(struct trial *t, struct ground *g, struct stageplay *play)
{
    char options[512];
    struct why why;
    int n = snprintf(options, sizeof(options), "%s%s", t->zone.nsec3 ? "denial=nsec3-only " : "",
                     g->setup ? g->setup->options : "");
    if (g->flags & ANCHORED)
        anchor_print(&t->signer.key[0], options + n, sizeof(options) - (size_t)n);
    int rc = stageplay_open(play, registry_find("validate"), snapshot_apex_name(t->plain), options,
                            &why);
    ck_assert_msg(rc == 0, "%s: %s", t->name, why.text);
}

/* The findings, or the first of them: all of a zone may be wrong. */
static char *findings_print(const struct stageresult *result)
{
    char *text = stageresult_print(result), *p = text;
    for (unsigned lines = 0; (p = strchr(p, '\n')); p++)
        if (++lines == FINDINGS_SHOWN) {
            strcpy(p + 1, strlen(p) > 4 ? "..." : "");
            break;
        }
    return text;
}

static void expect_pass(const struct trial *t, const struct mutation_kind *kind,
                        const struct stageresult *result, const char *way)
{
    if (result->verdict != STAGE_PASS)
        ck_abort_msg("%s\n(%s)\n%s:\n%s", kind->what, t->name, way, findings_print(result));
}

static struct ground *ground_for(struct trial *t, const struct mutation_kind *kind)
{
    unsigned flags = kind->where & SETUPS;
    for (unsigned i = 0; i < t->grounds; i++)
        if (t->ground[i].flags == flags)
            return &t->ground[i];
    ck_assert_uint_lt(t->grounds, GROUNDS);
    struct ground *g = &t->ground[t->grounds++];
    *g = (struct ground){.flags = flags};
    for (size_t i = 0; i < sizeof(setups) / sizeof(setups[0]); i++)
        if (setups[i].flag == flags)
            g->setup = &setups[i];
    ck_assert_msg(g->setup || !flags, "%s: no such setup", kind->what);
    g->plain =
        mutation_apply(g->setup ? g->setup->plain : "", t->plain, t->plain_family, &t->signer);
    g->good = version_sign(t, g, "", &t->signer);
    g->places = places_new(g->good, &t->signer, &t->random);
    char *more = places_fill(g->places, "add %free 300 TXT more");
    ck_assert(more);
    g->next = version_sign(t, g, more, &t->signer);
    free(more);
    ground_play(t, g, &g->play);
    ground_play(t, g, &g->fresh);
    struct stageresult result = stageplay_run(&g->play, g->good, NOW, false, NULL);
    expect_pass(t, kind, &result, "the zone that is right");
    for (size_t i = 0; i < result.findings->n && g->notes < 64; i++)
        g->note[g->notes++] = result.findings->list[i].type;
    stageplay_accept(&g->play, &result);
    g->state = g->play.type->state_save(g->play.state, &g->state_len);
    return g;
}

void trial_close(struct trial **trial)
{
    struct trial *t = *trial;
    for (unsigned i = 0; i < t->grounds; i++) {
        struct ground *g = &t->ground[i];
        stageplay_close(&g->play);
        stageplay_close(&g->fresh);
        places_free(&g->places);
        snapshot_unref(g->plain);
        snapshot_unref(g->good);
        snapshot_unref(g->next);
        mem_free(&g->state);
    }
    snapshot_unref(t->plain);
    signer_close(&t->signer);
    family_unref(t->plain_family);
    family_unref(t->family);
    mem_free(trial);
}

/* The same records in a version that shares nothing with any other; the names come in any order. */
static struct snapshot *version_again(struct trial *t, const struct snapshot *s)
{
    const struct node **node = mem_array(s->names, sizeof(node[0]));
    struct snapshot_iter it;
    size_t n = 0;
    for (const struct node *at = snapshot_first(&it, s); at; at = snapshot_next(&it))
        node[n++] = at;
    struct edit *e = edit_open(t->family, NULL, NULL);
    struct snapshot *made;
    for (; n > 0; n--) {
        size_t pick = (size_t)random_below(&t->random, n);
        struct rrset set;
        struct rdata rdata;
        for (unsigned i = 0; i < node[pick]->nrrsets; i++) {
            node_rrset_at(node[pick], i, &set);
            for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &rdata);) {
                /* of several TTLs the smallest is known; so the last record gets another */
                uint32_t ttl = set.ttl + (set.ttl_mixed && p == set.end);
                int rc =
                    edit_add(e, node_name(node[pick]), set.type, ttl, rdata.data, rdata.len, NULL);
                ck_assert_int_eq(rc, 0);
            }
        }
        node[pick] = node[n - 1];
    }
    mem_free(&node);
    ck_assert_int_eq(edit_seal(&e, &made, NULL, NULL), 0);
    return made;
}

/* --- what is wanted --- */

/* "?code/owner type". False: no place for the owner. */
static bool want_read(struct attempt *a, const char *word)
{
    struct wanted *w = &a->wanted[a->n++];
    *w = (struct wanted){.optional = *word == '?', .whole_only = *word == '~'};
    word += w->optional || w->whole_only;
    const char *slash = strchr(word, '/');
    snprintf(w->code, sizeof(w->code), "%.*s", (int)strcspn(word, "/"), word);
    if (!slash)
        return true;
    char *place = places_fill(a->g->places, slash + 1), *type;
    if (!place)
        return false;
    if ((type = strchr(place, ' '))) {
        *type++ = '\0';
        ck_assert_msg(rrtype_parse(type, &w->type) == 0, "%s: %s", a->kind->what, type);
    }
    snprintf(w->owner, sizeof(w->owner), "%s", place);
    free(place);
    return true;
}

/* A word ends at a blank before a code: types are in upper case, and belong to the word before. */
static const char *word_end(const char *p)
{
    while (*p && !(*p == ' ' && !(p[1] >= 'A' && p[1] <= 'Z')))
        p++;
    return p;
}

static bool wants_read(struct attempt *a)
{
    bool all = true;
    for (const char *p = a->kind->want; *p; p += strspn(p, " ")) {
        char word[WORD];
        const char *end = word_end(p);
        snprintf(word, sizeof(word), "%.*s", (int)(end - p), p);
        p = end;
        ck_assert_uint_lt(a->n, WANTED);
        if (strcmp(word, "pass") == 0)
            a->passes = true;
        else
            all &= want_read(a, word);
    }
    return all;
}

static const struct finding_type *finding_type_of(const char *code)
{
    const struct finding_type *type = registry_find("validate")->findings;
    while (type->code && strcmp(type->code, code) != 0)
        type++;
    ck_assert_msg(type->code, "no finding %s", code);
    return type;
}

static bool finding_fits(const struct attempt *a, const struct wanted *w, const struct finding *f)
{
    uint8_t owner[NAME_MAX_OCTETS];
    if (strcmp(f->type->code, w->code) != 0 || (w->type && w->type != f->rrtype))
        return false;
    if (!*w->owner)
        return true;
    ck_assert_msg(mutation_owner(w->owner, a->bad, &a->signer, owner), "%s", w->owner);
    return f->owner && name_equal(f->owner, owner);
}

static bool code_wanted(const struct attempt *a, const struct finding *f)
{
    for (unsigned i = 0; i < a->n; i++)
        if (strcmp(f->type->code, a->wanted[i].code) == 0)
            return true;
    for (size_t i = 0; i < a->g->notes; i++)
        if (a->g->note[i] == f->type)
            return true;
    return f->verdict == STAGE_PASS && !a->passes; /* notes beside a refusal may be any */
}

/* NULL: all is as it should be; else what is not. */
static const char *result_fault(const struct attempt *a, const struct stageresult *result,
                                bool whole)
{
    enum verdict verdict = STAGE_PASS;
    for (unsigned i = 0; i < a->n; i++) {
        const struct wanted *w = &a->wanted[i];
        const struct finding_type *type = finding_type_of(w->code);
        if (!w->optional && type->verdict > verdict)
            verdict = type->verdict;
        bool found = w->optional || (w->whole_only && !whole);
        for (size_t k = 0; !found && k < result->findings->n; k++)
            found = finding_fits(a, w, &result->findings->list[k]);
        if (!found)
            return w->code;
    }
    for (size_t k = 0; k < result->findings->n; k++)
        if (!code_wanted(a, &result->findings->list[k]))
            return result->findings->list[k].type->code;
    return result->verdict == verdict ? NULL : "verdict";
}

static void expect(const struct attempt *a, const struct stageresult *result, bool whole,
                   const char *way)
{
    const char *fault = result_fault(a, result, whole);
    if (fault)
        ck_abort_msg("%s\n(%s)\nbefore: %s\nthen: %s\n%s: %s is not as wanted (%s), but %s:\n%s",
                     a->kind->what, a->t->name, a->plain, a->script, way, fault, a->kind->want,
                     verdict_text(result->verdict), findings_print(result));
}

/* --- judging --- */

static void attempt_judge(struct attempt *a)
{
    struct ground *g = a->g;
    struct stageresult result = stageplay_run(&g->fresh, a->bad, NOW, false, NULL);
    expect(a, &result, true, "from nothing");
    stageplay_drop(&g->fresh, &result);

    stageplay_resume(&g->play, g->good, g->state, g->state_len);
    struct snapshot *again = version_again(a->t, a->bad);
    result = stageplay_run(&g->play, again, NOW, false, NULL);
    expect(a, &result, false, "as a transfer of the whole");
    stageplay_drop(&g->play, &result);
    snapshot_unref(again);

    result = stageplay_run(&g->play, a->bad, NOW, false, NULL);
    expect(a, &result, false, "as a change");

    /* let through all the same, and mended */
    stageplay_accept(&g->play, &result);
    result = stageplay_run(&g->play, g->good, NOW, false, NULL);
    expect_pass(a->t, a->kind, &result, "mended");
    stageplay_accept(&g->play, &result);
    result = stageplay_run(&g->play, a->bad, NOW, false, NULL);
    expect(a, &result, false, "as a change of what was mended");
    stageplay_drop(&g->play, &result);
    result = stageplay_run(&g->play, g->next, NOW, false, NULL);
    expect_pass(a->t, a->kind, &result, "another change of what was mended");
    stageplay_drop(&g->play, &result);
}

static void salt_other(struct signer *signer)
{
    signer->salt_len = signer->salt_len ? signer->salt_len : 1;
    signer->salt[0] ^= 0x55;
}

bool trial_run(struct trial *t, const struct mutation_kind *kind)
{
    struct attempt a = {.t = t, .g = ground_for(t, kind), .kind = kind, .signer = t->signer};
    places_forget(a.g->places);
    a.plain = places_fill(a.g->places, kind->plain);
    a.script = places_fill(a.g->places, kind->script);
    bool fits = wants_read(&a) && a.plain && a.script;
    if (fits) {
        if (kind->where & OTHER_DENIAL) {
            a.signer.nsec = !a.signer.nsec;
            a.signer.nsec3 = !a.signer.nsec3;
        }
        if (kind->where & ITERATIONS)
            a.signer.iterations++;
        if (kind->where & OTHER_SALT)
            salt_other(&a.signer);
        struct snapshot *whole = version_sign(t, a.g, a.plain, &a.signer);
        a.bad = mutation_apply(a.script, whole, t->family, &a.signer);
        snapshot_unref(whole);
        attempt_judge(&a);
        snapshot_unref(a.bad);
    }
    free(a.plain);
    free(a.script);
    return fits;
}

bool trial_fits(const struct trial_zone *zone, const struct mutation_kind *kind)
{
    unsigned where = kind->where;
    const struct trial_keys *keys = zone->keys;
    bool two = keys->key[1].flags, split = two && keys->key[0].algorithm == keys->key[1].algorithm;
    if (!(where & (zone->nsec3 ? NSEC3 : NSEC)) || (where & FIXED && zone->slots) ||
        (where & SALTED && !zone->salt_len) || (where & OPT_OUT && !zone->opt_out) ||
        (where & NO_OPT_OUT && zone->opt_out))
        return false;
    if (keys->other)
        return where & ALL_ALGORITHMS;
    if (where & ONE_KEY && two)
        return false;
    if (where & KSK_ZSK && !split)
        return false;
    return !(where & TWO_ALGORITHMS) || (two && !split);
}
