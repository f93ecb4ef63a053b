/* Findings: policy, what is kept and in which order, and the words. */
#include "pipeline/run/finding.h"

#include "pipeline/base/json.h"
#include "tests/lib/random.h"
#include "tests/lib/suite.h"

#include <pthread.h>

enum { NOTE, HELD, AGAIN, BAD, NCODES };
static const struct finding_type types[] = {
    [NOTE] = {"note", STAGE_PASS, "seen {n0} of {n1}: {text}", "h"},
    [HELD] = {"held", STAGE_HOLD, "held", "h"},
    [AGAIN] = {"again", STAGE_RETRY, "{n0}{n0}{n2}{", "h"},
    [BAD] = {"bad", STAGE_REJECT, "signature by key {n0} expired {n1} s ago", "h"},
    {NULL, STAGE_PASS, NULL, NULL},
};
static const struct stage_type first = {.name = "first", .summary = "s", .findings = types};
static const struct stage_type second = {.name = "second", .summary = "s", .findings = types};

static const uint8_t *name(const char *text)
{
    static uint8_t room[8][NAME_MAX_OCTETS];
    static unsigned next;
    uint8_t *out = room[next++ % 8];
    ck_assert_int_gt(name_parse(text, out, NULL), 0);
    return out;
}

START_TEST(default_verdicts_add_up)
{
    struct findings *f = findings_new(10);
    findings_stage(f, &first, NULL, false);
    ck_assert_int_eq(findings_stage_verdict(f), STAGE_PASS);
    finding_add(f, NOTE, NULL, 0, 0, 0, NULL);
    ck_assert_int_eq(findings_stage_verdict(f), STAGE_PASS);
    finding_add(f, HELD, NULL, 0, 0, 0, NULL);
    finding_add(f, NOTE, NULL, 0, 0, 0, NULL);
    ck_assert_int_eq(findings_stage_verdict(f), STAGE_HOLD);
    findings_stage(f, &second, NULL, false);
    ck_assert_int_eq(findings_stage_verdict(f), STAGE_PASS);
    ck_assert_int_eq(f->verdict, STAGE_HOLD);
    finding_add(f, BAD, NULL, 0, 0, 0, NULL);
    finding_add(f, AGAIN, NULL, 0, 0, 0, NULL);
    ck_assert_int_eq(findings_stage_verdict(f), STAGE_REJECT);
    findings_close(f);
    ck_assert_int_eq(f->verdict, STAGE_REJECT);
    ck_assert_uint_eq(f->total, 5);
    ck_assert_uint_eq(f->n, 5);
    size_t want[4] = {2, 1, 1, 1};
    ck_assert_mem_eq(f->by_verdict, want, sizeof want);
    findings_unref(f);
}
END_TEST

START_TEST(policy_changes_verdicts)
{
    static const enum verdict lenient[NCODES] = {STAGE_REJECT, STAGE_HOLD, STAGE_RETRY, STAGE_PASS};
    struct findings *f = findings_new(10);
    findings_stage(f, &first, lenient, false);
    finding_add(f, BAD, NULL, 0, 0, 0, NULL);
    ck_assert_int_eq(f->verdict, STAGE_PASS);
    finding_add(f, NOTE, NULL, 0, 0, 0, NULL);
    ck_assert_int_eq(f->verdict, STAGE_REJECT);
    findings_close(f);
    ck_assert(!f->list[0].observed);
    findings_unref(f);
}
END_TEST

START_TEST(observe_reports_and_never_decides)
{
    struct findings *f = findings_new(10);
    findings_stage(f, &first, NULL, true);
    finding_add(f, BAD, NULL, 0, 0, 0, NULL);
    ck_assert_int_eq(findings_stage_verdict(f), STAGE_PASS);
    findings_close(f);
    ck_assert_int_eq(f->verdict, STAGE_PASS);
    ck_assert_uint_eq(f->by_verdict[STAGE_PASS], 1);
    ck_assert_int_eq(f->list[0].verdict, STAGE_PASS);
    ck_assert(f->list[0].observed);
    ck_assert_int_eq(f->list[0].would, STAGE_REJECT);
    findings_unref(f);
}
END_TEST

START_TEST(closed_list_is_in_order)
{
    struct findings *f = findings_new(10);
    findings_stage(f, &first, NULL, false);
    finding_add(f, NOTE, name("z.example."), 1, 0, 0, "5");
    findings_stage(f, &second, NULL, false);
    finding_add(f, BAD, name("b.example."), 1, 0, 0, "4");
    finding_add(f, NOTE, name("b.example."), 1, 0, 0, "3");
    finding_add(f, NOTE, name("b.example."), 0, 0, 0, "2");
    finding_add(f, NOTE, name("z.b.example."), 0, 0, 0, "6");
    finding_add(f, NOTE, name("example."), 16, 0, 0, "1");
    finding_add(f, NOTE, NULL, 0, 0, 0, "0");
    findings_close(f);
    static const char *const want[] = {"5", "0", "1", "2", "3", "4", "6"};
    ck_assert_uint_eq(f->n, 7);
    for (int i = 0; i < 7; i++)
        ck_assert_str_eq(f->list[i].text, want[i]);
    findings_unref(f);
}
END_TEST

START_TEST(what_decides_is_kept_over_notes)
{
    struct findings *f = findings_new(3);
    findings_stage(f, &first, NULL, false);
    for (int i = 0; i < 100; i++)
        finding_add(f, NOTE, NULL, 0, i, 0, NULL);
    findings_stage(f, &second, NULL, true);
    finding_add(f, BAD, NULL, 0, 1, 0, NULL); /* observed: before notes, behind what decides */
    findings_stage(f, &second, NULL, false);
    finding_add(f, HELD, name("b."), 0, 0, 0, NULL);
    finding_add(f, BAD, name("c."), 0, 3, 0, NULL);
    findings_close(f);
    ck_assert_uint_eq(f->total, 103);
    ck_assert_uint_eq(f->n, 3);
    ck_assert(f->list[0].observed);
    ck_assert_str_eq(f->list[1].type->code, "held");
    ck_assert_str_eq(f->list[2].type->code, "bad");
    findings_unref(f);
}
END_TEST

START_TEST(of_equals_the_first_in_order_are_kept)
{
    static const char *const owners[] = {"c.", "e.", "a.", "d.", "b."};
    struct findings *f = findings_new(2);
    findings_stage(f, &first, NULL, false);
    for (int i = 0; i < 5; i++)
        finding_add(f, BAD, name(owners[i]), 0, 0, 0, owners[i]);
    findings_close(f);
    ck_assert_uint_eq(f->n, 2);
    ck_assert_str_eq(f->list[0].text, "a.");
    ck_assert_str_eq(f->list[1].text, "b.");
    findings_unref(f);
}
END_TEST

START_TEST(keep_0_counts_only)
{
    struct findings *f = findings_new(0);
    findings_stage(f, &first, NULL, false);
    finding_add(f, BAD, name("a."), 1, 0, 0, "x");
    findings_close(f);
    ck_assert_uint_eq(f->n, 0);
    ck_assert_uint_eq(f->total, 1);
    ck_assert_int_eq(f->verdict, STAGE_REJECT);
    findings_unref(f);
}
END_TEST

/* A made-up finding: everything about it follows from one number. */
static void add_numbered(struct findings *f, unsigned v)
{
    char text[40];
    snprintf(text, sizeof text, "%c%u.Example.", v & 64 ? 'N' : 'n', v / 16 % 8);
    uint8_t owner[NAME_MAX_OCTETS];
    ck_assert_int_gt(name_parse(text, owner, NULL), 0);
    finding_add(f, v % NCODES, v % 7 ? owner : NULL, (uint16_t)(v / 4 % 3), v / 128 % 3, v % 5,
                v % 3 ? text : NULL);
}

static char *print_all(struct findings *f)
{
    findings_close(f);
    struct json *json = json_new();
    json_array(json, NULL);
    for (size_t i = 0; i < f->n; i++)
        finding_json(&f->list[i], json);
    json_end(json);
    char *text = mem_strdup(json_text(json, NULL));
    json_free(&json);
    findings_unref(f);
    return text;
}

enum { NUMBERS = 400 };

START_TEST(order_of_arrival_does_not_matter)
{
    struct random random = random_open();
    unsigned number[NUMBERS];
    for (unsigned i = 0; i < NUMBERS; i++)
        number[i] = (unsigned)random_below(&random, 1000);
    static const size_t keeps[] = {1, 2, 3, 10, 64, NUMBERS - 1, NUMBERS, 2 * NUMBERS};
    for (size_t k = 0; k < sizeof keeps / sizeof *keeps; k++) {
        char *want = NULL;
        for (int round = 0; round < 20; round++) {
            struct findings *f = findings_new(keeps[k]);
            findings_stage(f, &first, NULL, false);
            for (unsigned i = 0; i < NUMBERS; i++)
                add_numbered(f, number[i]);
            char *got = print_all(f);
            if (want)
                ck_assert_str_eq(got, want);
            else
                want = mem_strdup(got);
            mem_free(&got);
            for (unsigned i = NUMBERS - 1; i; i--) { /* shuffle for the next round */
                unsigned j = (unsigned)random_below(&random, i + 1), t = number[i];
                number[i] = number[j];
                number[j] = t;
            }
        }
        mem_free(&want);
    }
}
END_TEST

struct share {
    struct findings *f;
    unsigned from;
};

static void *add_share(void *arg)
{
    struct share *s = arg;
    for (unsigned i = s->from; i < 4000; i += 4)
        add_numbered(s->f, i);
    return NULL;
}

START_TEST(threads_give_the_list_of_one)
{
    struct findings *one = findings_new(100), *many = findings_new(100);
    findings_stage(one, &first, NULL, false);
    findings_stage(many, &first, NULL, false);
    pthread_t thread[4];
    struct share share[4];
    for (unsigned i = 0; i < 4; i++) {
        share[i] = (struct share){many, i};
        ck_assert_int_eq(pthread_create(&thread[i], NULL, add_share, &share[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    for (unsigned i = 0; i < 4000; i++)
        add_numbered(one, i);
    ck_assert_uint_eq(many->total, 4000);
    ck_assert_mem_eq(many->by_verdict, one->by_verdict, sizeof one->by_verdict);
    char *a = print_all(one), *b = print_all(many);
    ck_assert_str_eq(a, b);
    mem_free(&a);
    mem_free(&b);
}
END_TEST

/* As finding_add of this one, printed. */
static char *printed(unsigned code, const uint8_t *owner, uint16_t type, int64_t n0, int64_t n1,
                     const char *text)
{
    struct findings *f = findings_new(1);
    findings_stage(f, &first, NULL, false);
    finding_add(f, code, owner, type, n0, n1, text);
    findings_close(f);
    char *line = finding_print(&f->list[0]);
    findings_unref(f);
    return line;
}

START_TEST(prints)
{
    static const struct {
        unsigned code;
        const char *owner;
        uint16_t type;
        int64_t n0, n1;
        const char *text, *want;
    } cases[] = {
        {BAD, "www.example.", 1, 1234, 3600, NULL,
         "www.example. A: signature by key 1234 expired 3600 s ago"},
        {NOTE, "www.example.", 0, -1, 2, "x", "www.example.: seen -1 of 2: x"},
        {NOTE, NULL, 0, INT64_MIN, INT64_MAX, NULL,
         "seen -9223372036854775808 of 9223372036854775807: "},
        {NOTE, NULL, 6, 0, 0, "{n0}", "SOA: seen 0 of 0: {n0}"},
        {AGAIN, NULL, 0, 7, 0, NULL, "77{n2}{"},
        {NOTE, NULL, 65400, 0, 0, "a\033[31m\n\177b",
         "TYPE65400: seen 0 of 0: a\\027[31m\\010\\127b"},
    };
    char *line = printed(cases[_i].code, cases[_i].owner ? name(cases[_i].owner) : NULL,
                         cases[_i].type, cases[_i].n0, cases[_i].n1, cases[_i].text);
    ck_assert_str_eq(line, cases[_i].want);
    mem_free(&line);
}
END_TEST

START_TEST(json_fields_are_stable)
{
    struct findings *f = findings_new(4);
    findings_stage(f, &first, NULL, false);
    finding_add(f, NOTE, NULL, 0, 1, 2, "t");
    findings_stage(f, &second, NULL, true);
    finding_add(f, BAD, name("www.example."), 46, 1234, 3600, NULL);
    char *text = print_all(f);
    ck_assert_str_eq(text, "[{\"stage\":\"first\",\"code\":\"first.note\",\"verdict\":\"pass\","
                           "\"observed\":false,\"would\":\"pass\",\"owner\":null,\"type\":null,"
                           "\"n0\":1,\"n1\":2,\"text\":\"t\",\"message\":\"seen 1 of 2: t\"},"
                           "{\"stage\":\"second\",\"code\":\"second.bad\",\"verdict\":\"pass\","
                           "\"observed\":true,\"would\":\"reject\",\"owner\":\"www.example.\","
                           "\"type\":\"RRSIG\",\"n0\":1234,\"n1\":3600,\"text\":null,"
                           "\"message\":\"signature by key 1234 expired 3600 s ago\"}]");
    mem_free(&text);
}
END_TEST

START_TEST(verdict_words)
{
    enum verdict v = STAGE_REJECT;
    ck_assert_int_eq(verdict_parse("note", &v), 0);
    ck_assert_int_eq(v, STAGE_PASS);
    for (int i = STAGE_PASS; i <= STAGE_REJECT; i++) {
        ck_assert_int_eq(verdict_parse(verdict_text((enum verdict)i), &v), 0);
        ck_assert_int_eq(v, i);
    }
    ck_assert_int_eq(verdict_parse("Hold", &v), -E_NOENT);
    ck_assert_int_eq(verdict_parse("", &v), -E_NOENT);
}
END_TEST

START_TEST(references_keep_it)
{
    struct findings *f = findings_new(4);
    findings_stage(f, &first, NULL, false);
    finding_add(f, NOTE, name("a."), 1, 0, 0, "x");
    struct findings *g = findings_ref(f);
    findings_close(f);
    findings_unref(f);
    ck_assert_str_eq(g->list[0].text, "x");
    findings_unref(g);
    findings_unref(NULL);
    f = findings_new(4); /* dropped before it is closed */
    findings_stage(f, &first, NULL, false);
    finding_add(f, NOTE, name("a."), 1, 0, 0, "x");
    findings_unref(f);
}
END_TEST

START_TEST(code_outside_the_table_stops_weir)
{
    struct findings *f = findings_new(4);
    findings_stage(f, &first, NULL, false);
    finding_add(f, NCODES, NULL, 0, 0, 0, NULL);
}
END_TEST

START_TEST(adding_after_close_stops_weir)
{
    struct findings *f = findings_new(4);
    findings_stage(f, &first, NULL, false);
    findings_close(f);
    finding_add(f, NOTE, NULL, 0, 0, 0, NULL);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("finding");
    suite_add(s, default_verdicts_add_up);
    suite_add(s, policy_changes_verdicts);
    suite_add(s, observe_reports_and_never_decides);
    suite_add(s, closed_list_is_in_order);
    suite_add(s, what_decides_is_kept_over_notes);
    suite_add(s, of_equals_the_first_in_order_are_kept);
    suite_add(s, keep_0_counts_only);
    suite_add(s, order_of_arrival_does_not_matter);
    suite_add(s, threads_give_the_list_of_one);
    tcase_add_loop_test(s.tcase, prints, 0, 6);
    suite_add(s, json_fields_are_stable);
    suite_add(s, verdict_words);
    suite_add(s, references_keep_it);
    suite_add_abort(s, code_outside_the_table_stops_weir);
    suite_add_abort(s, adding_after_close_stops_weir);
    return suite_run(s);
}
