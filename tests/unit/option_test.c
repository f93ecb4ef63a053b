/* Option tables: defaults, every kind's values, refusals word for word. */
#include "pipeline/run/option.h"

#include "tests/lib/suite.h"

struct conf {
    bool on;
    int64_t count, wait_s, room_bytes;
    char *title;
    int mode;
    struct option_list names;
    char *unset;
};
static const char *const mode_words[] = {"nsec-only", "nsec3-only", "any", NULL};
static const struct option table[] = {
    {.name = "on",
     .kind = OPTION_BOOL,
     .offset = offsetof(struct conf, on),
     .fallback = "true",
     .help = "h"},
    {"count", OPTION_INT, offsetof(struct conf, count), "7", 1, INT64_C(4294967296), NULL, "h"},
    {"wait", OPTION_SECONDS, offsetof(struct conf, wait_s), "5m", 1, 604800, NULL, "h"},
    {"room", OPTION_BYTES, offsetof(struct conf, room_bytes), "64k", 0, INT64_C(1) << 40, NULL,
     "h"},
    {"title", OPTION_STRING, offsetof(struct conf, title), "none", 0, 0, NULL, "h"},
    {"mode", OPTION_ENUM, offsetof(struct conf, mode), "any", 0, 0, mode_words, "h"},
    {"names", OPTION_LIST, offsetof(struct conf, names), "a, b", 0, 0, NULL, "h"},
    {"unset", OPTION_STRING, offsetof(struct conf, unset), NULL, 0, 0, NULL, "h"},
    {.name = NULL},
};

static void *conf_new(void)
{
    return option_conf_new(table, sizeof(struct conf));
}

static int set(void *conf, const char *name, struct option_value v, struct why *why)
{
    const struct option *o = option_find(table, name);
    ck_assert_ptr_nonnull(o);
    return option_set(o, conf, &v, why);
}

#define INT(v)    ((struct option_value){.kind = VALUE_INT, .i = (v)})
#define STRING(v) ((struct option_value){.kind = VALUE_STRING, .s = (v)})
#define BOOL(v)   ((struct option_value){.kind = VALUE_BOOL, .b = (v)})
#define REAL(v)   ((struct option_value){.kind = VALUE_REAL, .r = (v)})

START_TEST(defaults)
{
    void *p = conf_new();
    struct conf *c = p;
    ck_assert(c->on);
    ck_assert_int_eq(c->count, 7);
    ck_assert_int_eq(c->wait_s, 300);
    ck_assert_int_eq(c->room_bytes, 65536);
    ck_assert_str_eq(c->title, "none");
    ck_assert_int_eq(c->mode, 2);
    ck_assert_uint_eq(c->names.n, 2);
    ck_assert_str_eq(c->names.text[0], "a");
    ck_assert_str_eq(c->names.text[1], "b");
    ck_assert_ptr_null(c->unset);
    option_conf_free(table, &p);
    ck_assert_ptr_null(p);
}
END_TEST

START_TEST(takes_every_kind_and_replaces)
{
    void *p = conf_new();
    struct conf *c = p;
    const char *words[] = {"x", "y", "z"};
    struct option_value list = {.kind = VALUE_LIST, .n = 3, .list = words};
    for (int round = 0; round < 2; round++) { /* the second time, what was set is released */
        ck_assert_int_eq(set(c, "on", BOOL(false), NULL), 0);
        ck_assert_int_eq(set(c, "count", INT(INT64_C(4294967296)), NULL), 0);
        ck_assert_int_eq(set(c, "wait", STRING("2h"), NULL), 0);
        ck_assert_int_eq(set(c, "room", STRING("1T"), NULL), 0);
        ck_assert_int_eq(set(c, "title", STRING("t"), NULL), 0);
        ck_assert_int_eq(set(c, "mode", STRING("nsec-only"), NULL), 0);
        ck_assert_int_eq(set(c, "names", list, NULL), 0);
    }
    ck_assert(!c->on);
    ck_assert_int_eq(c->count, INT64_C(4294967296));
    ck_assert_int_eq(c->wait_s, 7200);
    ck_assert_int_eq(c->room_bytes, INT64_C(1) << 40);
    ck_assert_str_eq(c->title, "t");
    ck_assert_int_eq(c->mode, 0);
    ck_assert_uint_eq(c->names.n, 3);
    ck_assert_str_eq(c->names.text[2], "z");
    ck_assert_int_eq(set(c, "wait", INT(30), NULL), 0);
    ck_assert_int_eq(c->wait_s, 30);
    list.n = 0;
    ck_assert_int_eq(set(c, "names", list, NULL), 0);
    ck_assert_uint_eq(c->names.n, 0);
    option_conf_free(table, &p);
}
END_TEST

#define SECONDS_WORDS ", such as 30, \"30s\", \"5m\", \"2h\", \"1d\" or \"1w\""
#define BYTES_WORDS   ", such as 4096, \"64k\", \"1M\" or \"2G\""
static const char *const two[] = {"a", "b"};
static const struct {
    const char *name;
    struct option_value value;
    const char *why;
} refusals[] = {
    {"on", {.kind = VALUE_INT, .i = 1}, "on = 1: expected true or false"},
    {"on", {.kind = VALUE_STRING, .s = "yes"}, "on = \"yes\": expected true or false"},
    {"count", {.kind = VALUE_INT, .i = 0}, "count = 0: expected an integer 1..4294967296"},
    {"count",
     {.kind = VALUE_INT, .i = INT64_C(4294967297)},
     "count = 4294967297: expected an integer 1..4294967296"},
    {"count",
     {.kind = VALUE_INT, .i = INT64_MIN},
     "count = -9223372036854775808: expected an integer 1..4294967296"},
    {"count", {.kind = VALUE_REAL, .r = 1.5}, "count = 1.5: expected an integer 1..4294967296"},
    {"count", {.kind = VALUE_STRING, .s = "5"}, "count = \"5\": expected an integer 1..4294967296"},
    {"count", {.kind = VALUE_BOOL, .b = true}, "count = true: expected an integer 1..4294967296"},
    {"wait", {.kind = VALUE_INT, .i = 0}, "wait = 0: expected a duration 1s..1w" SECONDS_WORDS},
    {"wait",
     {.kind = VALUE_STRING, .s = "8d"},
     "wait = \"8d\": expected a duration 1s..1w" SECONDS_WORDS},
    {"wait",
     {.kind = VALUE_STRING, .s = "5x"},
     "wait = \"5x\": expected a duration 1s..1w" SECONDS_WORDS},
    {"room", {.kind = VALUE_STRING, .s = "2T"}, "room = \"2T\": expected a size 0..1T" BYTES_WORDS},
    {"room", {.kind = VALUE_INT, .i = -1}, "room = -1: expected a size 0..1T" BYTES_WORDS},
    {"title", {.kind = VALUE_INT, .i = 3}, "title = 3: expected a string"},
    {"mode",
     {.kind = VALUE_STRING, .s = "nsec"},
     "mode = \"nsec\": expected one of \"nsec-only\", \"nsec3-only\", \"any\""},
    {"mode",
     {.kind = VALUE_INT, .i = 1},
     "mode = 1: expected one of \"nsec-only\", \"nsec3-only\", \"any\""},
    {"names",
     {.kind = VALUE_STRING, .s = "a"},
     "names = \"a\": expected a list of strings, such as (\"a\", \"b\")"},
    {"title", {.kind = VALUE_LIST, .n = 2, .list = two}, "title = (\"a\", ...): expected a string"},
    {"title", {.kind = VALUE_LIST}, "title = (): expected a string"},
};

START_TEST(refuses_in_words)
{
    void *p = conf_new(), *untouched = conf_new();
    struct why why = {""};
    ck_assert_int_eq(set(p, refusals[_i].name, refusals[_i].value, &why), -E_CONF);
    ck_assert_str_eq(why.text, refusals[_i].why);
    ck_assert(option_conf_equal(table, p, untouched));
    option_conf_free(table, &p);
    option_conf_free(table, &untouched);
}
END_TEST

START_TEST(parses_durations_and_sizes)
{
    static const struct {
        const char *text;
        int64_t seconds, bytes; /* -1: refused */
    } cases[] = {
        {"0", 0, 0},
        {"30", 30, 30},
        {"30s", 30, -1},
        {"5m", 300, 5 << 20},
        {"2h", 7200, -1},
        {"1d", 86400, -1},
        {"1w", 604800, -1},
        {"1W", 604800, -1},
        {"64k", -1, 65536},
        {"64K", -1, 65536},
        {"1G", -1, INT64_C(1) << 30},
        {"", -1, -1},
        {"m", -1, -1},
        {"-5m", -1, -1},
        {"5 m", -1, -1},
        {"5mm", -1, -1},
        {" 5", -1, -1},
        {"0x10", -1, -1},
        {"9223372036854775807", INT64_MAX, INT64_MAX},
        {"9223372036854775808", -1, -1},
        {"9223372036854775807m", -1, -1},
        {"99999999999999999999w", -1, -1},
        {"1.5h", -1, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t v = -1;
        struct why why;
        ck_assert_int_eq(option_parse_seconds(cases[i].text, &v, &why),
                         cases[i].seconds < 0 ? -E_CONF : 0);
        ck_assert_msg(v == cases[i].seconds || cases[i].seconds < 0, "%s", cases[i].text);
        v = -1;
        ck_assert_int_eq(option_parse_bytes(cases[i].text, &v, &why),
                         cases[i].bytes < 0 ? -E_CONF : 0);
        ck_assert_msg(v == cases[i].bytes || cases[i].bytes < 0, "%s", cases[i].text);
    }
    struct why why;
    int64_t v;
    ck_assert_int_eq(option_parse_seconds("5x", &v, &why), -E_CONF);
    ck_assert_str_eq(why.text, "\"5x\": expected a duration" SECONDS_WORDS);
    ck_assert_int_eq(option_parse_bytes("5x", &v, &why), -E_CONF);
    ck_assert_str_eq(why.text, "\"5x\": expected a size" BYTES_WORDS);
}
END_TEST

START_TEST(describes_for_help)
{
    static const char *const want[] = {
        "true or false, default true",
        "integer 1..4294967296, default 7",
        "duration 1s..1w, default 5m",
        "size 0..1T, default 64k",
        "string, default \"none\"",
        "one of \"nsec-only\", \"nsec3-only\", \"any\", default \"any\"",
        "list of strings, default a, b",
        "string",
    };
    char text[200];
    for (int i = 0; table[i].name; i++)
        ck_assert_str_eq(option_describe(&table[i], text, sizeof text), want[i]);
    char small[9];
    ck_assert_str_eq(option_describe(&table[5], small, sizeof small), "one of \"");
}
END_TEST

START_TEST(equal_sees_every_kind)
{
    static const struct {
        const char *name;
        struct option_value value;
    } change[] = {
        {"on", {.kind = VALUE_BOOL, .b = false}},
        {"count", {.kind = VALUE_INT, .i = 8}},
        {"wait", {.kind = VALUE_INT, .i = 8}},
        {"room", {.kind = VALUE_INT, .i = 8}},
        {"title", {.kind = VALUE_STRING, .s = "other"}},
        {"mode", {.kind = VALUE_STRING, .s = "nsec-only"}},
        {"names", {.kind = VALUE_LIST, .n = 1, .list = two}},
        {"unset", {.kind = VALUE_STRING, .s = ""}},
    };
    for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
        void *a = conf_new(), *b = conf_new();
        ck_assert(option_conf_equal(table, a, b));
        ck_assert_int_eq(set(b, change[i].name, change[i].value, NULL), 0);
        ck_assert_msg(!option_conf_equal(table, a, b), "%s", change[i].name);
        ck_assert_int_eq(set(a, change[i].name, change[i].value, NULL), 0);
        ck_assert(option_conf_equal(table, a, b));
        option_conf_free(table, &a);
        option_conf_free(table, &b);
    }
}
END_TEST

/* A wrong row must not wait for an operator to find it. */
START_TEST(wrong_rows_stop_weir)
{
    static const char *const no_words[] = {NULL};
    static const struct option wrong[] = {
        {"count", OPTION_INT, offsetof(struct conf, count), "0", 1, 9, NULL, "h"},
        {"count", OPTION_INT, offsetof(struct conf, count), "x", 1, 9, NULL, "h"},
        {"count", OPTION_INT, offsetof(struct conf, count), NULL, 0, 0, NULL, "h"},
        {"count", OPTION_INT, sizeof(struct conf), NULL, 1, 9, NULL, "h"},
        {"count", OPTION_INT, 4, NULL, 1, 9, NULL, "h"},
        {"mode", OPTION_ENUM, offsetof(struct conf, mode), NULL, 0, 0, no_words, "h"},
        {"mode", OPTION_ENUM, offsetof(struct conf, mode), "none", 0, 0, mode_words, "h"},
        {"on", OPTION_BOOL, offsetof(struct conf, on), "yes", 0, 0, NULL, "h"},
        {"wait", OPTION_SECONDS, offsetof(struct conf, wait_s), "5x", 1, 9, NULL, "h"},
        {"Big", OPTION_BOOL, offsetof(struct conf, on), NULL, 0, 0, NULL, "h"},
        {"two words", OPTION_BOOL, offsetof(struct conf, on), NULL, 0, 0, NULL, "h"},
        {"on", OPTION_BOOL, offsetof(struct conf, on), NULL, 0, 0, NULL, ""},
    };
    struct option rows[2] = {wrong[_i], {.name = NULL}};
    option_conf_new(rows, sizeof(struct conf));
}
END_TEST

START_TEST(a_name_twice_stops_weir)
{
    const struct option rows[] = {table[0], table[0], {.name = NULL}};
    option_conf_new(rows, sizeof(struct conf));
}
END_TEST

int main(void)
{
    struct suite s = suite_open("option");
    suite_add(s, defaults);
    suite_add(s, takes_every_kind_and_replaces);
    tcase_add_loop_test(s.tcase, refuses_in_words, 0, sizeof refusals / sizeof *refusals);
    suite_add(s, parses_durations_and_sizes);
    suite_add(s, describes_for_help);
    suite_add(s, equal_sees_every_kind);
    tcase_add_loop_test_raise_signal(s.aborts, wrong_rows_stop_weir, SIGABRT, 0, 12);
    suite_add_abort(s, a_name_twice_stops_weir);
    return suite_run(s);
}
