/* One walker for every option table, so that defaults, refusals and help cannot disagree.
 *
 * A default goes the same way as what an operator writes: it is text, turned into a value by the
 * row's kind and put through option_set(). A default that is refused there is our bug, as is a row
 * that does not fit its struct; both stop weir at once, and tests/unit/registry_test.c walks every
 * table that is built in.
 */
#include "pipeline/run/option.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const struct unit {
    const char *text;
    int64_t factor;
} second_units[] = {{"w", 604800}, {"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}, {NULL, 0}},
  byte_units[] = {{"T", INT64_C(1) << 40},
                  {"G", INT64_C(1) << 30},
                  {"M", INT64_C(1) << 20},
                  {"k", INT64_C(1) << 10},
                  {"", 1},
                  {NULL, 0}};

/* Digits and one unit letter of the list, either case. */
static bool parse_unit(const char *s, const struct unit *units, int64_t *out)
{
    int64_t v = 0;
    const char *p = s;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *p - '0', &v))
            return false;
    if (p == s)
        return false;
    if (*p == '\0') {
        *out = v;
        return true;
    }
    for (; units->text; units++)
        if (strcasecmp(p, units->text) == 0) {
            if (__builtin_mul_overflow(v, units->factor, &v))
                return false;
            *out = v;
            return true;
        }
    return false;
}

/* 300 as "5m": the largest unit that divides it. */
static void print_unit(int64_t v, const struct unit *units, char out[32])
{
    while (units[1].text && (v == 0 || v % units->factor))
        units++;
    snprintf(out, 32, "%" PRId64 "%s", v / units->factor, units->text);
}

#define SECONDS_EXAMPLES "such as 30, \"30s\", \"5m\", \"2h\", \"1d\" or \"1w\""
#define BYTES_EXAMPLES   "such as 4096, \"64k\", \"1M\" or \"2G\""

int option_parse_seconds(const char *s, int64_t *out, struct why *why)
{
    if (!parse_unit(s, second_units, out))
        return why_set(why, -E_CONF, "\"%.64s\": expected a duration, " SECONDS_EXAMPLES, s);
    return 0;
}

int option_parse_bytes(const char *s, int64_t *out, struct why *why)
{
    if (!parse_unit(s, byte_units, out))
        return why_set(why, -E_CONF, "\"%.64s\": expected a size, " BYTES_EXAMPLES, s);
    return 0;
}

static size_t kind_size(enum option_kind kind)
{
    switch (kind) {
    case OPTION_BOOL:
        return sizeof(bool);
    case OPTION_INT:
    case OPTION_SECONDS:
    case OPTION_BYTES:
        return sizeof(int64_t);
    case OPTION_STRING:
        return sizeof(char *);
    case OPTION_ENUM:
        return sizeof(int);
    case OPTION_LIST:
        return sizeof(struct option_list);
    }
    UNREACHABLE();
}

static bool is_number(enum option_kind kind)
{
    return kind == OPTION_INT || kind == OPTION_SECONDS || kind == OPTION_BYTES;
}

static void *field(const struct option *option, void *conf)
{
    return (char *)conf + option->offset;
}

/* What a value must be, as a phrase: "an integer 1..64". */
static void print_expected(const struct option *o, char *out, size_t cap)
{
    char min[32], max[32];
    const struct unit *units = o->kind == OPTION_SECONDS ? second_units : byte_units;
    switch (o->kind) {
    case OPTION_BOOL:
        snprintf(out, cap, "true or false");
        return;
    case OPTION_INT:
        snprintf(out, cap, "an integer %" PRId64 "..%" PRId64, o->min, o->max);
        return;
    case OPTION_SECONDS:
    case OPTION_BYTES:
        print_unit(o->min, units, min);
        print_unit(o->max, units, max);
        snprintf(out, cap, "a %s %s..%s", o->kind == OPTION_SECONDS ? "duration" : "size", min,
                 max);
        return;
    case OPTION_STRING:
        snprintf(out, cap, "a string");
        return;
    case OPTION_LIST:
        snprintf(out, cap, "a list of strings");
        return;
    case OPTION_ENUM:
        break;
    }
    size_t n = (size_t)snprintf(out, cap, "one of");
    for (const char *const *w = o->words; *w && n < cap; w++)
        n += (size_t)snprintf(out + n, cap - n, "%s \"%s\"", w == o->words ? "" : ",", *w);
}

char *option_describe(const struct option *option, char *out, size_t cap)
{
    char expected[400];
    print_expected(option, expected, sizeof expected);
    const char *phrase = expected;
    if (strncmp(phrase, "a ", 2) == 0)
        phrase += 2;
    else if (strncmp(phrase, "an ", 3) == 0)
        phrase += 3;
    if (!option->fallback)
        snprintf(out, cap, "%s", phrase);
    else if (option->kind == OPTION_STRING || option->kind == OPTION_ENUM)
        snprintf(out, cap, "%s, default \"%s\"", phrase, option->fallback);
    else
        snprintf(out, cap, "%s, default %s", phrase, option->fallback);
    return out;
}

char *option_value_print(const struct option_value *v, char out[OPTION_VALUE_TEXT_MAX])
{
    const size_t cap = OPTION_VALUE_TEXT_MAX;
    switch (v->kind) {
    case VALUE_BOOL:
        snprintf(out, cap, "%s", v->b ? "true" : "false");
        break;
    case VALUE_INT:
        snprintf(out, cap, "%" PRId64, v->i);
        break;
    case VALUE_REAL:
        snprintf(out, cap, "%g", v->r);
        break;
    case VALUE_STRING:
        snprintf(out, cap, "\"%.80s\"", v->s);
        break;
    case VALUE_LIST:
        if (v->n)
            snprintf(out, cap, "(\"%.72s\"%s)", v->list[0], v->n > 1 ? ", ..." : "");
        else
            snprintf(out, cap, "()");
        break;
    }
    return out;
}

char *option_expected(const struct option *option, char *out, size_t cap)
{
    const char *more = "";
    if (option->kind == OPTION_SECONDS)
        more = ", " SECONDS_EXAMPLES;
    else if (option->kind == OPTION_BYTES)
        more = ", " BYTES_EXAMPLES;
    else if (option->kind == OPTION_LIST)
        more = ", such as (\"a\", \"b\")";
    print_expected(option, out, cap);
    size_t n = strlen(out);
    snprintf(out + n, cap - n, "%s", more);
    return out;
}

static int refuse(const struct option *o, const struct option_value *v, struct why *why)
{
    if (!why)
        return -E_CONF;
    char value[OPTION_VALUE_TEXT_MAX], expected[400];
    return why_set(why, -E_CONF, "%s = %s: expected %s", o->name, option_value_print(v, value),
                   option_expected(o, expected, sizeof expected));
}

static bool take_number(const struct option *o, const struct option_value *v, int64_t *out)
{
    int64_t n = 0;
    if (v->kind == VALUE_INT)
        n = v->i;
    else if (v->kind == VALUE_STRING && o->kind == OPTION_SECONDS) {
        if (!parse_unit(v->s, second_units, &n))
            return false;
    } else if (v->kind == VALUE_STRING && o->kind == OPTION_BYTES) {
        if (!parse_unit(v->s, byte_units, &n))
            return false;
    } else
        return false;
    if (n < o->min || n > o->max)
        return false;
    *out = n;
    return true;
}

static bool take_word(const struct option *o, const struct option_value *v, int *out)
{
    if (v->kind != VALUE_STRING)
        return false;
    for (int i = 0; o->words[i]; i++)
        if (strcmp(o->words[i], v->s) == 0) {
            *out = i;
            return true;
        }
    return false;
}

static void list_clear(struct option_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        mem_free(&list->text[i]);
    mem_free(&list->text);
    list->n = 0;
}

static bool take_list(const struct option_value *v, struct option_list *out)
{
    if (v->kind != VALUE_LIST)
        return false;
    list_clear(out);
    if (v->n == 0)
        return true;
    out->text = mem_array(v->n, sizeof *out->text);
    out->n = v->n;
    for (size_t i = 0; i < v->n; i++)
        out->text[i] = mem_strdup(v->list[i]);
    return true;
}

static bool take_string(const struct option_value *v, char **out)
{
    if (v->kind != VALUE_STRING)
        return false;
    mem_free(out);
    *out = mem_strdup(v->s);
    return true;
}

static bool take(const struct option *o, void *at, const struct option_value *v)
{
    switch (o->kind) {
    case OPTION_BOOL:
        if (v->kind == VALUE_BOOL)
            *(bool *)at = v->b;
        return v->kind == VALUE_BOOL;
    case OPTION_INT:
    case OPTION_SECONDS:
    case OPTION_BYTES:
        return take_number(o, v, at);
    case OPTION_STRING:
        return take_string(v, at);
    case OPTION_ENUM:
        return take_word(o, v, at);
    case OPTION_LIST:
        return take_list(v, at);
    }
    UNREACHABLE();
}

int option_set(const struct option *option, void *conf, const struct option_value *value,
               struct why *why)
{
    return take(option, field(option, conf), value) ? 0 : refuse(option, value, why);
}

static void set_list_fallback(const struct option *o, void *conf)
{
    char *text = mem_strdup(o->fallback), *rest = NULL;
    const char *word[32];
    struct option_value v = {.kind = VALUE_LIST, .list = word};
    for (char *w = strtok_r(text, ", ", &rest); w; w = strtok_r(NULL, ", ", &rest)) {
        ASSERT(v.n < sizeof word / sizeof *word);
        word[v.n++] = w;
    }
    int bad = option_set(o, conf, &v, NULL);
    ASSERT(!bad);
    mem_free(&text);
}

static void set_fallback(const struct option *o, void *conf)
{
    struct option_value v = {.kind = VALUE_STRING, .s = o->fallback};
    if (o->kind == OPTION_LIST) {
        set_list_fallback(o, conf);
        return;
    }
    if (o->kind == OPTION_BOOL) {
        v.kind = VALUE_BOOL;
        v.b = strcmp(o->fallback, "true") == 0;
        ASSERT(v.b || strcmp(o->fallback, "false") == 0);
    } else if (o->kind == OPTION_INT) {
        char *end;
        v.kind = VALUE_INT;
        v.i = strtoll(o->fallback, &end, 10);
        ASSERT(end != o->fallback && *end == '\0');
    }
    int bad = option_set(o, conf, &v, NULL);
    ASSERT(!bad);
}

/* A name that can be written as a key in a configuration file. */
static bool is_key(const char *name)
{
    if (*name < 'a' || *name > 'z')
        return false;
    return name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-")] == '\0';
}

static void check_row(const struct option *table, const struct option *o, size_t conf_size)
{
    ASSERT(is_key(o->name));
    ASSERT(option_find(table, o->name) == o);
    size_t size = kind_size(o->kind);
    ASSERT(o->offset <= conf_size && size <= conf_size - o->offset);
    ASSERT(o->offset % (size < sizeof(void *) ? size : sizeof(void *)) == 0);
    ASSERT(!is_number(o->kind) || o->min < o->max);
    ASSERT(o->kind != OPTION_ENUM || (o->words && o->words[0]));
    ASSERT(o->help && *o->help);
}

void option_defaults(const struct option *table, void *conf, size_t conf_size)
{
    for (const struct option *o = table; o && o->name; o++) {
        check_row(table, o, conf_size);
        if (o->fallback)
            set_fallback(o, conf);
    }
}

void *option_conf_new(const struct option *table, size_t conf_size)
{
    void *conf = mem_zalloc(conf_size);
    option_defaults(table, conf, conf_size);
    return conf;
}

void option_clear(const struct option *table, void *conf)
{
    for (const struct option *o = table; o && o->name; o++) {
        if (o->kind == OPTION_STRING)
            mem_free((char **)field(o, conf));
        else if (o->kind == OPTION_LIST)
            list_clear(field(o, conf));
    }
}

void option_conf_free(const struct option *table, void **conf)
{
    if (!*conf)
        return;
    option_clear(table, *conf);
    mem_free_ptr(conf);
}

static bool same_list(const struct option_list *a, const struct option_list *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->text[i], b->text[i]) != 0)
            return false;
    return true;
}

static bool same_string(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_value(const struct option *o, const void *a, const void *b)
{
    const void *x = (const char *)a + o->offset, *y = (const char *)b + o->offset;
    if (o->kind == OPTION_STRING)
        return same_string(*(char *const *)x, *(char *const *)y);
    if (o->kind == OPTION_LIST)
        return same_list(x, y);
    return memcmp(x, y, kind_size(o->kind)) == 0;
}

static bool is_one_of(const struct option *o, const char *const *names)
{
    for (; names && *names; names++)
        if (strcmp(*names, o->name) == 0)
            return true;
    return false;
}

bool option_conf_equal_but(const struct option *table, const char *const *but, const void *a,
                           const void *b)
{
    for (const struct option *o = table; o && o->name; o++)
        if (!is_one_of(o, but) && !same_value(o, a, b))
            return false;
    return true;
}

bool option_conf_equal(const struct option *table, const void *a, const void *b)
{
    return option_conf_equal_but(table, NULL, a, b);
}

static void print_word(const char *word, struct growbuf *out)
{
    growbuf_u8(out, '"');
    for (; *word; word++) {
        if (*word == '"' || *word == '\\')
            growbuf_u8(out, '\\');
        growbuf_u8(out, (uint8_t)*word);
    }
    growbuf_u8(out, '"');
}

static void print_option(const struct option *o, const void *at, struct growbuf *out)
{
    char number[32];
    const struct option_list *list = at;
    switch (o->kind) {
    case OPTION_BOOL:
        growbuf_u8(out, *(const bool *)at ? '1' : '0');
        return;
    case OPTION_INT:
    case OPTION_SECONDS:
    case OPTION_BYTES:
        growbuf_put(out, number,
                    (size_t)snprintf(number, sizeof number, "%" PRId64, *(const int64_t *)at));
        return;
    case OPTION_ENUM:
        growbuf_put(out, number, (size_t)snprintf(number, sizeof number, "%d", *(const int *)at));
        return;
    case OPTION_STRING:
        if (*(char *const *)at)
            print_word(*(char *const *)at, out);
        return;
    case OPTION_LIST:
        for (size_t i = 0; i < list->n; i++)
            print_word(list->text[i], out);
        return;
    }
    UNREACHABLE();
}

void option_conf_print(const struct option *table, const char *const *but, bool only,
                       const void *conf, struct growbuf *out)
{
    for (const struct option *o = table; o && o->name; o++) {
        if (is_one_of(o, but) != only)
            continue;
        growbuf_put(out, o->name, strlen(o->name));
        growbuf_u8(out, '=');
        print_option(o, (const char *)conf + o->offset, out);
        growbuf_u8(out, ';');
    }
}

const struct option *option_find(const struct option *table, const char *name)
{
    for (const struct option *o = table; o && o->name; o++)
        if (strcmp(o->name, name) == 0)
            return o;
    return NULL;
}
