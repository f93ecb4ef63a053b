/* Settings: from libconfig's tree to option values and words for people.
 *
 * Every refusal leads with the file and line of the setting that is wrong, then the word and the
 * value as they were written, then what was expected. An operator who reads it at 3 a.m. needs
 * nothing else.
 */
#include "pipeline/run/config_setting.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char *key_of(const setting *s)
{
    while (s && !s->name)
        s = s->parent;
    return s ? s->name : "";
}

static void place(const struct source *src, const setting *s, char *out, size_t cap)
{
    unsigned line = config_setting_source_line(s);
    if (line)
        snprintf(out, cap, "%s:%u", src->path, line);
    else
        snprintf(out, cap, "%s", src->path);
}

int setting_refuse(const struct source *src, const setting *s, struct why *why, const char *fmt,
                   ...)
{
    char where[256], text[480];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    place(src, s, where, sizeof where);
    return why_set(why, -E_CONF, "%s: %s", where, text);
}

static bool all_strings(const setting *s)
{
    for (unsigned i = 0; i < setting_count(s); i++)
        if (config_setting_type(setting_at(s, i)) != CONFIG_TYPE_STRING)
            return false;
    return true;
}

/* Scalars and lists of strings; false for what no option takes. The caller frees *list. */
static bool to_value(const setting *s, struct option_value *v, const char ***list)
{
    *list = NULL;
    *v = (struct option_value){.kind = VALUE_BOOL};
    switch (config_setting_type(s)) {
    case CONFIG_TYPE_BOOL:
        v->b = config_setting_get_bool(s);
        return true;
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        v->kind = VALUE_INT;
        v->i = config_setting_get_int64(s);
        return true;
    case CONFIG_TYPE_FLOAT:
        v->kind = VALUE_REAL;
        v->r = config_setting_get_float(s);
        return true;
    case CONFIG_TYPE_STRING:
        v->kind = VALUE_STRING;
        v->s = config_setting_get_string(s);
        return true;
    case CONFIG_TYPE_ARRAY:
    case CONFIG_TYPE_LIST:
        if (!all_strings(s))
            return false;
        v->kind = VALUE_LIST;
        v->n = setting_count(s);
        *list = mem_array(v->n + 1, sizeof **list);
        for (unsigned i = 0; i < v->n; i++)
            (*list)[i] = config_setting_get_string(setting_at(s, i));
        v->list = *list;
        return true;
    default:
        return false;
    }
}

static void print(const setting *s, char out[OPTION_VALUE_TEXT_MAX])
{
    struct option_value v;
    const char **list;
    if (to_value(s, &v, &list))
        option_value_print(&v, out);
    else
        snprintf(out, OPTION_VALUE_TEXT_MAX, config_setting_is_group(s) ? "{ ... }" : "( ... )");
    mem_free(&list);
}

int setting_unexpected(const struct source *src, const setting *s, struct why *why, const char *fmt,
                       ...)
{
    char value[OPTION_VALUE_TEXT_MAX], text[480];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    print(s, value);
    return setting_refuse(src, s, why, "%s = %s: %s", key_of(s), value, text);
}

int setting_apply(const struct source *src, const setting *s, const struct option *table,
                  void *conf, struct why *why)
{
    const struct option *o = option_find(table, s->name);
    ASSERT(o);
    struct option_value v;
    const char **list;
    bool fits = to_value(s, &v, &list) && option_set(o, conf, &v, NULL) == 0;
    mem_free(&list);
    if (fits)
        return 0;
    char expected[400];
    return setting_unexpected(src, s, why, "expected %s",
                              option_expected(o, expected, sizeof expected));
}

int setting_string(const struct source *src, const setting *s, const char **out, struct why *why)
{
    if (config_setting_type(s) != CONFIG_TYPE_STRING)
        return setting_unexpected(src, s, why, "expected a string");
    *out = config_setting_get_string(s);
    return 0;
}

static bool is_list(const setting *s)
{
    return config_setting_is_list(s) || config_setting_is_array(s);
}

int setting_is_strings(const struct source *src, const setting *s, struct why *why)
{
    if (!is_list(s) || !all_strings(s))
        return setting_unexpected(src, s, why,
                                  "expected a list of strings, such as (\"a\", \"b\")");
    return 0;
}

int setting_is_groups(const struct source *src, const setting *s, const char *example,
                      struct why *why)
{
    if (!is_list(s))
        return setting_unexpected(src, s, why, "expected a list of groups: ( %s )", example);
    for (unsigned i = 0; i < setting_count(s); i++)
        if (!config_setting_is_group(setting_at(s, i)))
            return setting_unexpected(src, setting_at(s, i), why, "expected a group: %s", example);
    return 0;
}

int setting_is_group(const struct source *src, const setting *s, struct why *why)
{
    if (!config_setting_is_group(s))
        return setting_unexpected(src, s, why, "expected a group: { ... }");
    return 0;
}

void words_add(struct words *words, const char *word)
{
    ASSERT(words->n < sizeof words->word / sizeof *words->word);
    words->word[words->n++] = word;
}

void words_add_table(struct words *words, const struct option *table)
{
    for (const struct option *o = table; o && o->name; o++)
        words_add(words, o->name);
}

bool words_has(const struct words *words, const char *word)
{
    for (unsigned i = 0; i < words->n; i++)
        if (strcmp(words->word[i], word) == 0)
            return true;
    return false;
}

enum { WORD_MAX = 64 };

/* How many letters must be put in, taken out, changed or swapped with their neighbour. */
static unsigned distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    unsigned row[3][WORD_MAX + 1] = {{0}}; /* two before, one before, this */
    for (size_t j = 0; j <= m; j++)
        row[2][j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        memcpy(row[0], row[1], sizeof row[0]);
        memcpy(row[1], row[2], sizeof row[1]);
        row[2][0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned best = row[1][j - 1] + (a[i - 1] != b[j - 1]);
            if (row[1][j] + 1 < best)
                best = row[1][j] + 1;
            if (row[2][j - 1] + 1 < best)
                best = row[2][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                row[0][j - 2] + 1 < best)
                best = row[0][j - 2] + 1;
            row[2][j] = best;
        }
    }
    return row[2][m];
}

const char *words_nearest(const struct words *words, const char *typed)
{
    size_t len = strlen(typed);
    if (len > WORD_MAX)
        return NULL;
    const char *nearest = NULL;
    unsigned best = (unsigned)(len / 3) + 1; /* more than a third wrong is another word */
    for (unsigned i = 0; i < words->n; i++) {
        if (strlen(words->word[i]) > WORD_MAX)
            continue;
        unsigned d = distance(typed, words->word[i]);
        if (d < best || (d == best && !nearest && d < len)) {
            best = d;
            nearest = words->word[i];
        }
    }
    return nearest;
}

int setting_unknown(const struct source *src, const setting *s, const struct words *known,
                    struct why *why)
{
    const char *near = words_nearest(known, s->name);
    if (near)
        return setting_refuse(src, s, why, "%s: unknown word; is %s meant?", s->name, near);
    setting_refuse(src, s, why, "%s: unknown word; expected one of", s->name);
    for (unsigned i = 0; i < known->n; i++)
        why_add(why, "%s %s", i ? "," : "", known->word[i]);
    return -E_CONF;
}

void source_resolve(const struct source *src, char **path)
{
    if (!*path || **path == '/')
        return;
    char *whole = mem_printf("%s/%s", src->folder, *path);
    mem_free(path);
    *path = whole;
}
