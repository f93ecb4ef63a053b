/* golden: what each stage says and makes of zones kept as text.
 *
 * tests/golden/STAGE/CASE/ holds
 *   conf     "name = value" lines: the stage's options, and now = TIME, zone = APEX (default example.), later = TIME (of b.zone);
 *            keys = TAG:ROLES,… of tests/golden/keys (keyplay's roles, x: the private half is not there, w: it is another key's; or
 *            unsigned; - among them: CDS asks for removal), keys_later for b.zone; no keys at all if there is no such line;
 *            ksk = elsewhere: the keyset says so, and may have no keys; prepared = FROM-UNTIL of the DNSKEY set and signatures in
 *            prepared.zone, prepared_later of prepared_later.zone for b.zone;
 *            foreign = TAG:ROLES,… of the DNSKEY in foreign.zone that are known without the transfer (p: published, d: DS, c: a CSK),
 *            servers = NAME,… of other signers, asks = csync: the parent is to take the NS set over; each with _later for b.zone;
 *            then = STAGE that has the output, too, with the same keys, for what the two make of it
 *   a.zone   the first version; b.zone, if it is there, the next one
 *   want     what comes out: for each version verdict and findings, and for a stage that changes records its output (the
 *            first time all of it, then what changed; signatures without their octets where no two runs make the same)
 * GEN=1 writes `want` anew. Run at the top of the tree.
 */
#include "tests/lib/keyplay.h"
#include "tests/lib/stageplay.h"
#include "tests/lib/suite.h"

#include "pipeline/run/registry.h"
#include "pipeline/zone/text.h"

#include <glob.h>
#include <string.h>

struct golden {
    char folder[256];
    const struct stage_type *type;
    char options[512];
    uint8_t apex[NAME_MAX_OCTETS];
    time_t now, later;
    char keys[128], keys_later[128];
    char foreign[128], foreign_later[128], servers[128], servers_later[128], asks[16],
        asks_later[16];
    const struct stage_type *then;
    struct golden_period {
        time_t from, until; /* of what is prepared; 0: nothing is */
    } prepared, prepared_later;
    bool ksk_elsewhere;
    bool generate;
};

static char *file_read(const char *folder, const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *in = fopen(path, "r");
    if (!in)
        return NULL;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    for (int c; (c = fgetc(in)) != EOF;)
        fputc(c, out);
    fclose(in);
    fclose(out);
    return text;
}

/* A line that says what the keyset is made of. False: it is another one. */
static bool golden_word(struct golden *g, const char *name, const char *value)
{
    const struct {
        const char *name;
        char *to;
        size_t size;
    } words[] = {
        {"keys", g->keys, sizeof(g->keys)},
        {"keys_later", g->keys_later, sizeof(g->keys_later)},
        {"foreign", g->foreign, sizeof(g->foreign)},
        {"foreign_later", g->foreign_later, sizeof(g->foreign_later)},
        {"servers", g->servers, sizeof(g->servers)},
        {"servers_later", g->servers_later, sizeof(g->servers_later)},
        {"asks", g->asks, sizeof(g->asks)},
        {"asks_later", g->asks_later, sizeof(g->asks_later)},
    };
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(name, words[i].name) != 0)
            continue;
        ck_assert_uint_lt(strlen(value), words[i].size);
        memcpy(words[i].to, value, strlen(value) + 1);
        return true;
    }
    return false;
}

static void golden_period(char *value, struct golden_period *out)
{
    char *until = strchr(value, '-');
    ck_assert_ptr_nonnull(until);
    *until++ = '\0';
    ck_assert(text_time(value, &out->from) == 0 && text_time(until, &out->until) == 0);
}

static void golden_conf(struct golden *g)
{
    char *conf = file_read(g->folder, "conf"), *rest = NULL;
    ck_assert_msg(conf != NULL, "%s: no conf", g->folder);
    name_parse("example.", g->apex, NULL);
    for (char *line = strtok_r(conf, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char name[64], value[256];
        ck_assert_msg(sscanf(line, "%63s = %255s", name, value) == 2, "%s: %s", g->folder, line);
        if (strcmp(name, "now") == 0) {
            ck_assert_msg(text_time(value, &g->now) == 0, "%s: %s", g->folder, line);
        } else if (strcmp(name, "later") == 0) {
            ck_assert_msg(text_time(value, &g->later) == 0, "%s: %s", g->folder, line);
        } else if (strcmp(name, "ksk") == 0) {
            g->ksk_elsewhere = strcmp(value, "elsewhere") == 0;
        } else if (strcmp(name, "prepared") == 0) {
            golden_period(value, &g->prepared);
        } else if (strcmp(name, "prepared_later") == 0) {
            golden_period(value, &g->prepared_later);
        } else if (golden_word(g, name, value)) {
            continue;
        } else if (strcmp(name, "then") == 0) {
            g->then = registry_find(value);
            ck_assert_ptr_nonnull(g->then);
        } else if (strcmp(name, "zone") == 0) {
            ck_assert_int_gt(name_parse(value, g->apex, NULL), 0);
        } else {
            size_t n = strlen(g->options);
            snprintf(g->options + n, sizeof(g->options) - n, "%s=%s ", name, value);
        }
    }
    free(conf);
}

/* NULL: there is no such file. */
static struct snapshot *golden_version(const struct golden *g, struct family *family,
                                       const char *name)
{
    char path[512];
    struct why why;
    snprintf(path, sizeof(path), "%s/%s", g->folder, name);
    FILE *there = fopen(path, "r");
    if (!there)
        return NULL;
    fclose(there);
    struct edit *e = edit_open(family, NULL, NULL);
    struct snapshot *made;
    int rc = text_read(path, e, g->apex, &why);
    ck_assert_msg(rc == 0, "%s: %s", path, why.text);
    rc = edit_seal(&e, &made, NULL, &why);
    ck_assert_msg(rc == 0, "%s: %s", path, why.text);
    return made;
}

/* owner, TTL, class and type, then the fields of an RRSIG but for the last. */
enum { RRSIG_FIELDS = 4 + 8 };

static void cut_signature(char *line)
{
    for (unsigned n = 0; n < RRSIG_FIELDS; n++)
        line = line + strcspn(line, " \t") + strspn(line + strcspn(line, " \t"), " \t");
    line[-1] = '\0';
}

struct printer {
    FILE *out;
    bool inexact;
};

static void print_rrset(const struct printer *printer, char sign, const uint8_t *owner,
                        const struct rrset *set)
{
    struct rdata rdata;
    for (const uint8_t *p = set->rdata; rrset_next(set, &p, &rdata);) {
        char *line = text_print_rr(owner, set->type, set->ttl, rdata.data, rdata.len);
        FILE *out = printer->out;
        if (printer->inexact && set->type == RR_RRSIG)
            cut_signature(line);
        fprintf(out, "%c %s\n", sign, line);
        free(line);
    }
}

static void print_change(void *ctx, const uint8_t *owner, const struct rrset *was,
                         const struct rrset *now)
{
    if (was)
        print_rrset(ctx, '-', owner, was);
    if (now)
        print_rrset(ctx, '+', owner, now);
}

/* The apex of prepared.zone, or of prepared_later.zone. */
static void golden_prepare(const struct golden *g, bool later, struct keyset *set)
{
    const struct golden_period *period = later ? &g->prepared_later : &g->prepared;
    struct family *family = family_new(g->apex);
    struct snapshot *s = golden_version(g, family, later ? "prepared_later.zone" : "prepared.zone");
    set->prepared[0] =
        (struct keyset_prepared){period->from, period->until, node_ref(snapshot_apex(s))};
    snapshot_unref(s);
    family_unref(family);
}

/* Those of foreign.zone that the words name. */
static void golden_foreign(const struct golden *g, struct keyset *set, const char *words)
{
    char text[128], *rest = NULL;
    struct family *family = family_new(g->apex);
    struct snapshot *s = golden_version(g, family, "foreign.zone");
    struct rrset keys;
    struct rdata rdata;
    ck_assert_msg(s && node_rrset(snapshot_apex(s), RR_DNSKEY, 0, &keys), "%s: foreign.zone",
                  g->folder);
    snprintf(text, sizeof(text), "%s", words);
    for (char *word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        unsigned tag, n = set->nforeign;
        char roles[16];
        ck_assert_msg(sscanf(word, "%u:%15s", &tag, roles) == 2, "%s", words);
        for (const uint8_t *p = keys.rdata; rrset_next(&keys, &p, &rdata);) {
            if (dnssec_key_tag(rdata.data, rdata.len) != tag)
                continue;
            struct keyset_foreign *key = keyset_add_foreign(set, rdata.data, rdata.len, keys.ttl);
            key->publish = strchr(roles, 'p');
            key->ds = strchr(roles, 'd');
            key->csk = strchr(roles, 'c');
        }
        ck_assert_msg(set->nforeign == n + 1, "%s: foreign.zone has no key %u", g->folder, tag);
    }
    snapshot_unref(s);
    family_unref(family);
}

static void golden_servers(struct keyset *set, const char *words)
{
    char text[128], *rest = NULL;
    snprintf(text, sizeof(text), "%s", words);
    for (char *word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        uint8_t name[NAME_MAX_OCTETS];
        ck_assert_int_gt(name_parse(word, name, NULL), 0);
        keyset_add_ns(set, name);
    }
}

/* What is known of other signers. A word "-" later: nothing any more. */
static void golden_signers(const struct golden *g, struct keyset *set, bool later)
{
    const char *foreign = later && g->foreign_later[0] ? g->foreign_later : g->foreign;
    const char *servers = later && g->servers_later[0] ? g->servers_later : g->servers;
    const char *asks = later && g->asks_later[0] ? g->asks_later : g->asks;
    if (foreign[0] && strcmp(foreign, "-") != 0)
        golden_foreign(g, set, foreign);
    if (strcmp(servers, "-") != 0)
        golden_servers(set, servers);
    set->csync = strcmp(asks, "csync") == 0;
    keyset_seal(set);
}

static struct keyset *golden_keys(const struct golden *g, const char *words, bool later)
{
    char text[128], *rest = NULL;
    struct keyplay play = {.n = 0};
    if (strcmp(words, "unsigned") == 0) {
        struct keyset *none = keyset_new(0, 0, 0);
        none->unsigned_zone = true;
        return none;
    }
    snprintf(text, sizeof(text), "%s", words);
    for (char *word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        unsigned tag;
        char roles[16];
        ck_assert_msg(sscanf(word, "%u:%15s", &tag, roles) == 2, "%s", words);
        unsigned i = keyplay_read(&play, "tests/golden/keys", "example.", tag, roles);
        if (strchr(roles, 'x'))
            play.key[i].private = NULL;
        if (strchr(roles, 'w'))
            play.key[i].private = play.made[0];
    }
    struct keyset *set = keyplay_set(&play, g->prepared.from ? 1 : 0);
    if (g->prepared.from)
        golden_prepare(g, later && g->prepared_later.from, set);
    set->cds_delete = strchr(words, '-');
    set->ksk_elsewhere = g->ksk_elsewhere;
    keyplay_close(&play);
    return set;
}

/* One stage's run on a version: verdict, findings and changes go to `out`. False: it is refused, and nothing of it stays. */
static bool golden_stage(struct stageplay *play, const struct snapshot *version, time_t now,
                         const char *title, FILE *out)
{
    struct stageresult result = stageplay_run(play, version, now, false, NULL);
    bool passed = result.verdict == STAGE_PASS;
    char *findings = stageresult_print(&result);
    fprintf(out, "%s: %s\n%s", title, verdict_text(result.verdict), findings);
    for (size_t i = 0; result.changes && i < result.changes->n; i++)
        change_rrsets(&result.changes->change[i], print_change,
                      &(struct printer){out, play->type->flags & STAGE_INEXACT});
    free(findings);
    if (passed)
        stageplay_accept(play, &result);
    else
        stageplay_drop(play, &result);
    return passed;
}

static void golden_play(const struct golden *g, struct stageplay *play, struct stageplay *then,
                        const char *name, const struct snapshot *version, FILE *out)
{
    bool later = strcmp(name, "a") != 0;
    const char *words = later && play->prev && g->keys_later[0] ? g->keys_later : g->keys;
    struct keyset *keys = words[0] || g->ksk_elsewhere ? golden_keys(g, words, later) : NULL;
    time_t now = later && play->prev && g->later ? g->later : g->now;
    if (keys)
        golden_signers(g, keys, later);
    play->keys = then->keys = keys;
    if (golden_stage(play, version, now, name, out) && g->then) {
        char title[80];
        snprintf(title, sizeof(title), "%s, %s", name, g->then->name);
        golden_stage(then, play->out, now, title, out);
    }
    keyset_unref(keys);
}

static void golden_compare(const struct golden *g, const char *got)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/want", g->folder);
    if (g->generate) {
        FILE *out = fopen(path, "w");
        ck_assert_ptr_nonnull(out);
        fputs(got, out);
        fclose(out);
        return;
    }
    char *want = file_read(g->folder, "want");
    ck_assert_msg(want != NULL, "%s: no want (GEN=1 writes it)", g->folder);
    ck_assert_msg(strcmp(want, got) == 0, "%s: wanted\n%sgot\n%s", g->folder, want, got);
    free(want);
}

static void golden_run(struct golden *g)
{
    struct stageplay play, then = {0};
    struct why why;
    golden_conf(g);
    int rc = stageplay_open(&play, g->type, g->apex, g->options, &why);
    if (rc == 0 && g->then)
        rc = stageplay_open(&then, g->then, g->apex, NULL, &why);
    ck_assert_msg(rc == 0, "%s: %s", g->folder, why.text);
    struct family *family = family_new(g->apex);
    char *got = NULL;
    size_t len;
    FILE *out = open_memstream(&got, &len);
    static const char *const names[] = {"a", "b"};
    for (unsigned i = 0; i < 2; i++) {
        char file[16];
        snprintf(file, sizeof(file), "%s.zone", names[i]);
        struct snapshot *version = golden_version(g, family, file);
        ck_assert_msg(version || i > 0, "%s: no a.zone", g->folder);
        if (version)
            golden_play(g, &play, &then, names[i], version, out);
        snapshot_unref(version);
    }
    fclose(out);
    golden_compare(g, got);
    free(got);
    stageplay_close(&play);
    if (g->then)
        stageplay_close(&then);
    family_unref(family);
}

/* Runs all cases; adds up in `seen` which finding codes of validate came out. */
static unsigned golden_run_all(void)
{
    glob_t found;
    ck_assert_int_eq(glob("tests/golden/*/*/conf", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct golden g = {.generate = getenv("GEN") != NULL};
        char stage[64];
        snprintf(g.folder, sizeof(g.folder), "%s", found.gl_pathv[i]);
        *strrchr(g.folder, '/') = '\0';
        ck_assert_int_eq(sscanf(g.folder, "tests/golden/%63[^/]", stage), 1);
        g.type = registry_find(stage);
        ck_assert_msg(g.type != NULL, "%s: there is no stage %s", g.folder, stage);
        golden_run(&g);
    }
    unsigned n = (unsigned)found.gl_pathc;
    globfree(&found);
    return n;
}

START_TEST(test_golden)
{
    ck_assert_uint_gt(golden_run_all(), 70);
}
END_TEST

/* What no file brings about: a key that breaks, a name of 65,536 records, two names of one hash. */
static bool golden_cannot(const char *stage, const char *code)
{
    static const char *const codes[][2] = {{"sign", "failed"},
                                           {"sign", "too-many-records"},
                                           {"sign", "nsec3-collision"},
                                           {"multisigner", "apex-full"}};
    for (unsigned i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (strcmp(stage, codes[i][0]) == 0 && strcmp(code, codes[i][1]) == 0)
            return true;
    return false;
}

/* Every finding that a stage with golden cases lists comes out in one of them, but for those that no file brings about. */
START_TEST(test_every_code_has_a_case)
{
    static const char *const stages[] = {"validate", "strip", "sign", "multisigner", "rekey"};
    for (unsigned s = 0; s < sizeof(stages) / sizeof(stages[0]); s++) {
        const struct stage_type *type = registry_find(stages[s]);
        for (const struct finding_type *f = type->findings; f && f->code; f++) {
            char pattern[128], word[96];
            glob_t found;
            bool seen = golden_cannot(stages[s], f->code);
            snprintf(pattern, sizeof(pattern), "tests/golden/%s/*/want", stages[s]);
            snprintf(word, sizeof(word), " %s: ", f->code);
            ck_assert_int_eq(glob(pattern, 0, NULL, &found), 0);
            for (size_t i = 0; i < found.gl_pathc && !seen; i++) {
                *strrchr(found.gl_pathv[i], '/') = '\0';
                char *want = file_read(found.gl_pathv[i], "want");
                seen = want && strstr(want, word);
                free(want);
            }
            globfree(&found);
            ck_assert_msg(seen, "no golden case gives %s.%s", stages[s], f->code);
        }
    }
}
END_TEST

int main(void)
{
    struct suite s = suite_open("golden");
    suite_add(s, test_golden);
    suite_add(s, test_every_code_has_a_case);
    return suite_run(s);
}
