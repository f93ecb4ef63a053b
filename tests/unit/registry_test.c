/* Every stage that is built in keeps the rules of its tables, whatever stages.def lists. */
#include "pipeline/run/registry.h"

#include "pipeline/base/json.h"
#include "pipeline/run/option.h"
#include "tests/lib/suite.h"

#define WORD "abcdefghijklmnopqrstuvwxyz0123456789-"

static bool is_word(const char *s)
{
    return *s >= 'a' && *s <= 'z' && s[strspn(s, WORD)] == '\0';
}

/* Only {n0}, {n1} and {text} are filled in. */
static bool template_is_known(const char *message)
{
    for (const char *p = message; (p = strchr(p, '{')); p++)
        if (strncmp(p, "{n0}", 4) != 0 && strncmp(p, "{n1}", 4) != 0 &&
            strncmp(p, "{text}", 6) != 0)
            return false;
    return true;
}

START_TEST(every_stage_keeps_the_rules)
{
    const struct stage_type *t;
    for (unsigned i = 0; (t = registry_at(i)); i++) {
        ck_assert_msg(is_word(t->name), "%s", t->name);
        ck_assert_msg(registry_find(t->name) == t, "%s is there twice", t->name);
        ck_assert_msg(t->summary && *t->summary, "%s", t->name);
        ck_assert_msg(t->run != NULL, "%s", t->name);
        ck_assert_msg((t->options != NULL) == (t->conf_size != 0), "%s", t->name);
        /* Words that a chain's row uses itself, or that a zone has beside a preset's stages. */
        static const char *const reserved[] = {"stage", "observe", "on"};
        for (size_t r = 0; r < 3; r++)
            ck_assert_msg(!option_find(t->options, reserved[r]), "%s", t->name);
        if (t->options) {
            void *conf = option_conf_new(t->options, t->conf_size); /* asserts every row */
            ck_assert(option_conf_equal(t->options, conf, conf));
            option_conf_free(t->options, &conf);
        }
        for (const char *const *later = t->later; later && *later; later++)
            ck_assert_msg(option_find(t->options, *later), "%s: %s", t->name, *later);
        for (const struct finding_type *f = t->findings; f && f->code; f++) {
            ck_assert_msg(is_word(f->code), "%s.%s", t->name, f->code);
            ck_assert_msg(registry_finding(t, f->code) == f - t->findings, "%s.%s", t->name,
                          f->code);
            ck_assert_msg(f->verdict <= STAGE_REJECT, "%s.%s", t->name, f->code);
            ck_assert_msg(f->message && template_is_known(f->message), "%s.%s", t->name, f->code);
            ck_assert_msg(f->help && *f->help, "%s.%s", t->name, f->code);
        }
    }
    ck_assert_ptr_null(registry_at(100000));
}
END_TEST

START_TEST(unknown_names_are_not_found)
{
    ck_assert_ptr_null(registry_find("no-such-stage"));
    ck_assert_ptr_null(registry_find(""));
    ck_assert_ptr_null(registry_describe("no-such-stage"));
}
END_TEST

START_TEST(describes_every_stage)
{
    char *all = registry_describe(NULL);
    const struct stage_type *t;
    for (unsigned i = 0; (t = registry_at(i)); i++) {
        bool offered = !(t->flags & STAGE_TEST);
        ck_assert_msg((strstr(all, t->summary) != NULL) == offered, "%s", t->name);
        char *one = registry_describe(t->name);
        ck_assert_ptr_nonnull(strstr(one, t->summary));
        for (const struct option *o = t->options; o && o->name; o++)
            ck_assert_ptr_nonnull(strstr(one, o->name));
        for (const struct finding_type *f = t->findings; f && f->code; f++) {
            char code[128];
            snprintf(code, sizeof code, "  %s.%s  ", t->name, f->code);
            ck_assert_ptr_nonnull(strstr(one, code));
        }
        mem_free(&one);
    }
    mem_free(&all);
}
END_TEST

START_TEST(json_names_every_offered_stage)
{
    struct json *json = json_new();
    registry_json(json);
    const char *text = json_text(json, NULL);
    const struct stage_type *t;
    for (unsigned i = 0; (t = registry_at(i)); i++) {
        char name[128];
        snprintf(name, sizeof name, "{\"name\":\"%s\",\"summary\":", t->name);
        ck_assert_msg((strstr(text, name) != NULL) == !(t->flags & STAGE_TEST), "%s", t->name);
    }
    json_free(&json);
}
END_TEST

START_TEST(finding_codes_have_an_index)
{
    static const struct finding_type findings[] = {
        {"a", STAGE_PASS, "m", "h"}, {"b", STAGE_PASS, "m", "h"}, {NULL, STAGE_PASS, NULL, NULL}};
    static const struct stage_type with = {.name = "with", .findings = findings};
    static const struct stage_type without = {.name = "without"};
    ck_assert_int_eq(registry_finding(&with, "a"), 0);
    ck_assert_int_eq(registry_finding(&with, "b"), 1);
    ck_assert_int_eq(registry_finding(&with, "c"), -1);
    ck_assert_int_eq(registry_finding(&without, "a"), -1);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("registry");
    suite_add(s, every_stage_keeps_the_rules);
    suite_add(s, unknown_names_are_not_found);
    suite_add(s, describes_every_stage);
    suite_add(s, json_names_every_offered_stage);
    suite_add(s, finding_codes_have_an_index);
    return suite_run(s);
}
