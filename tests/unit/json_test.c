/* json: the text is what RFC 8259 allows, whatever octets go in; misuse stops at once. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/base/json.h"
#include "tests/lib/random.h"
#include "tests/lib/suite.h"

START_TEST(shapes)
{
    struct json *json = json_new();
    size_t len;
    json_object(json, NULL);
    json_string(json, "zone", "example.");
    json_uint(json, "serial", UINT64_MAX);
    json_array(json, "findings");
    json_object(json, NULL);
    json_end(json);
    json_array(json, NULL);
    json_end(json);
    json_object(json, NULL);
    json_int(json, "n", INT64_MIN);
    json_array(json, "list");
    json_bool(json, NULL, true);
    json_bool(json, NULL, false);
    json_string(json, NULL, NULL);
    json_end(json);
    json_real(json, "x", 0.5);
    json_end(json);
    json_end(json);
    json_string(json, "a \"key\"", "");
    json_raw(json, "raw", "{\"in\":[1]}");
    json_end(json);
    static const char want[] =
        "{\"zone\":\"example.\",\"serial\":18446744073709551615,\"findings\":[{},[],"
        "{\"n\":-9223372036854775808,\"list\":[true,false,null],\"x\":0.5}],"
        "\"a \\\"key\\\"\":\"\",\"raw\":{\"in\":[1]}}";
    ck_assert_str_eq(json_text(json, &len), want);
    ck_assert_uint_eq(len, sizeof want - 1);
    ck_assert_str_eq(json_text(json, NULL), want);
    json_free(&json);
    ck_assert_ptr_null(json);
    json_free(&json);
}
END_TEST

static const char *string_of(struct json **json, const char *value)
{
    json_free(json);
    *json = json_new();
    json_string(*json, NULL, value);
    return json_text(*json, NULL);
}

#define FFFD "\xef\xbf\xbd"

START_TEST(strings)
{
    static const struct {
        const char *value, *want;
    } cases[] = {
        {"\"\\/", "\"\\\"\\\\/\""},
        {"\b\t\n\f\r\x01\x1f\x7f", "\"\\b\\t\\n\\f\\r\\u0001\\u001f\x7f\""},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x8c\x8a", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x8c\x8a\""},
        {"\x80", "\"" FFFD "\""},
        {"\xff\xfe", "\"" FFFD FFFD "\""},
        {"\xc3", "\"" FFFD "\""},           /* ends too early */
        {"\xc3\"", "\"" FFFD "\\\"\""},     /* a quote is not swallowed */
        {"\xe2\x82\"", "\"" FFFD "\\\"\""}, /* one for the beginning of a sequence */
        {"\xf0\x9f\x8c\n", "\"" FFFD "\\n\""},
        {"\xc0\x80", "\"" FFFD FFFD "\""},          /* overlong zero */
        {"\xe0\x9f\xbf", "\"" FFFD FFFD FFFD "\""}, /* overlong */
        {"\xf0\x8f\xbf\xbf", "\"" FFFD FFFD FFFD FFFD "\""},
        {"\xed\xa0\x80", "\"" FFFD FFFD FFFD "\""}, /* surrogate */
        {"\xed\x9f\xbf\xee\x80\x80", "\"\xed\x9f\xbf\xee\x80\x80\""},
        {"\xf4\x8f\xbf\xbf", "\"\xf4\x8f\xbf\xbf\""},
        {"\xf4\x90\x80\x80", "\"" FFFD FFFD FFFD FFFD "\""}, /* above U+10FFFF */
        {"\xf5z", "\"" FFFD "z\""},
    };
    struct json *json = json_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_str_eq(string_of(&json, cases[i].value), cases[i].want);
    json_free(&json);
}
END_TEST

/* A second opinion without a decoder: every code point is encoded, and each beginning of an
 * encoding is marked, by its octets. 0: begins nothing; BEGINS: more must follow; WHOLE: a
 * character. */
enum { BEGINS = 1, WHOLE = 2 };
static unsigned char kind1[1 << 8], kind2[1 << 16], kind3[1 << 24];

static void kinds_fill(void)
{
    for (unsigned c = 0; c <= 0x10ffff; c++) {
        if (c < 0x80) {
            kind1[c] = WHOLE;
        } else if (c < 0x800) {
            kind1[0xc0 | c >> 6] = BEGINS;
            kind2[(0xc0 | c >> 6) << 8 | 0x80 | (c & 0x3f)] = WHOLE;
        } else if (c < 0x10000 && (c < 0xd800 || c > 0xdfff)) {
            unsigned two = (0xe0 | c >> 12) << 8 | 0x80 | (c >> 6 & 0x3f);
            kind1[two >> 8] = kind2[two] = BEGINS;
            kind3[two << 8 | 0x80 | (c & 0x3f)] = WHOLE;
        } else if (c >= 0x10000) {
            unsigned two = (0xf0 | c >> 18) << 8 | 0x80 | (c >> 12 & 0x3f);
            unsigned three = two << 8 | 0x80 | (c >> 6 & 0x3f);
            kind1[two >> 8] = kind2[two] = kind3[three] = BEGINS;
        }
    }
}

/* Octets to copy (or, negative, to replace by one U+FFFD) at p. */
static int model_step(const unsigned char *p)
{
    unsigned key = p[0];
    if (kind1[key] != BEGINS)
        return kind1[key] == WHOLE ? 1 : -1;
    key = key << 8 | p[1];
    if (kind2[key] != BEGINS)
        return kind2[key] == WHOLE ? 2 : -1;
    key = key << 8 | p[2];
    if (kind3[key] != BEGINS)
        return kind3[key] == WHOLE ? 3 : -2;
    return p[3] >= 0x80 && p[3] <= 0xbf ? 4 : -3;
}

static size_t model_repair(const char *in, char *out)
{
    char *start = out;
    while (*in) {
        int step = model_step((const unsigned char *)in);
        int n = step < 0 ? 3 : step;
        memcpy(out, step < 0 ? FFFD : in, (size_t)n);
        out += n;
        in += step < 0 ? -step : step;
    }
    return (size_t)(out - start);
}

/* Undoes the escapes of a JSON string in place; gives its length. */
static size_t unquote(char *s, size_t n)
{
    static const char from[] = "\"\\bfnrt", to[] = "\"\\\b\f\n\r\t";
    char *out = s;
    ck_assert(n >= 2 && s[0] == '"' && s[n - 1] == '"');
    for (char *p = s + 1; p < s + n - 1; p++) {
        if ((unsigned char)*p < 0x20 || *p == '"')
            ck_abort_msg("octet %d in a string", *p);
        if (*p != '\\') {
            *out++ = *p;
        } else if (*++p == 'u') {
            char hex[5] = {p[1], p[2], p[3], p[4], 0};
            *out++ = (char)strtoul(hex, NULL, 16);
            p += 4;
        } else {
            const char *at = strchr(from, *p);
            if (!at || !*at)
                ck_abort_msg("escape %d", *p);
            *out++ = to[at - from];
        }
    }
    return (size_t)(out - s);
}

static void random_string(struct random *random, char *out)
{
    static const char *const pieces[] = {"\xc3\xa9",     "\xe2\x82\xac", "\xf0\x9f\x8c\x8a",
                                         "\xed\xa0\x80", "\xe2\x82",     "\xf0\x9f",
                                         "\xc3",         "\x80",         "a",
                                         "\"",           "\\",           "\x01"};
    bool any = random_below(random, 2);
    for (uint64_t i = random_below(random, 40); i > 0; i--) {
        char octet[2] = {(char)(1 + random_below(random, 255)), 0};
        bool high = random_below(random, 2); /* else whole characters would be rare */
        octet[0] = (char)(high ? octet[0] | 0x80 : octet[0]);
        out =
            stpcpy(out, any ? octet : pieces[random_below(random, sizeof pieces / sizeof *pieces)]);
    }
    *out = '\0';
}

START_TEST(any_octets)
{
    struct random random = random_open();
    struct json *json = json_new();
    kinds_fill();
    for (int round = 0; round < 50000; round++) {
        char value[200], got[1400], want[600];
        random_string(&random, value);
        size_t n = unquote(got, strlen(strcpy(got, string_of(&json, value))));
        ck_assert_uint_eq(n, model_repair(value, want));
        ck_assert_mem_eq(got, want, n);
    }
    json_free(&json);
}
END_TEST

START_TEST(reals)
{
    struct random random = random_open();
    static const double fixed[] = {0, -0.0, 1, 0.1, 1e300, DBL_MAX, DBL_MIN, DBL_TRUE_MIN, 1.0 / 3};
    for (size_t i = 0; i < 5000; i++) {
        double value;
        uint64_t bits = random_u64(&random);
        memcpy(&value, &bits, sizeof value);
        if (i < sizeof fixed / sizeof *fixed)
            value = fixed[i];
        struct json *json = json_new();
        json_real(json, NULL, value);
        const char *text = json_text(json, NULL);
        if (!isfinite(value)) {
            ck_assert_str_eq(text, "null");
        } else {
            char *end;
            double back = strtod(text, &end);
            ck_assert_int_eq(*end, 0);
            ck_assert_mem_eq(&back, &value, sizeof value);
        }
        json_free(&json);
    }
}
END_TEST

START_TEST(deep)
{
    struct json *json = json_new();
    for (int i = 0; i < 63; i++)
        json_array(json, NULL);
    for (int i = 0; i < 63; i++)
        json_end(json);
    ck_assert_uint_eq(strspn(json_text(json, NULL), "[]"), 126);
    json_free(&json);
}
END_TEST

/* Everything that must not be done, one a loop index. */
START_TEST(misuse)
{
    struct json *json = json_new();
    switch (_i) {
    case 0: /* nothing written */
        json_text(json, NULL);
        break;
    case 1: /* left open */
        json_object(json, NULL);
        json_text(json, NULL);
        break;
    case 2: /* nothing to close */
        json_end(json);
        break;
    case 3: /* closed twice */
        json_array(json, NULL);
        json_end(json);
        json_end(json);
        break;
    case 4: /* no key in an object */
        json_object(json, NULL);
        json_uint(json, NULL, 1);
        break;
    case 5: /* a key in an array */
        json_array(json, NULL);
        json_uint(json, "k", 1);
        break;
    case 6: /* a key at the top */
        json_bool(json, "k", true);
        break;
    case 7: /* two values at the top */
        json_uint(json, NULL, 1);
        json_uint(json, NULL, 2);
        break;
    case 8: /* a key in an array inside an object */
        json_object(json, NULL);
        json_array(json, "a");
        json_object(json, "k");
        break;
    case 9: /* too deep */
        for (int i = 0; i < 64; i++)
            json_array(json, NULL);
        break;
    default:
        break;
    }
}
END_TEST

int main(void)
{
    struct suite s = suite_open("json");
    suite_add(s, shapes);
    suite_add(s, strings);
    suite_add(s, any_octets);
    suite_add(s, reals);
    suite_add(s, deep);
    tcase_add_loop_test_raise_signal(s.aborts, misuse, SIGABRT, 0, 10);
    return suite_run(s);
}
