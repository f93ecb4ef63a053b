/* option: option tables at work.
 *
 * WHAT   Fills a conf struct from (name, value) pairs by a table of struct option (stage.h): defaults, kinds,
 *        ranges, words. The same code serves stages, the server block and zones.
 * OWNS   option_conf_free releases strings and lists in the conf, and the conf.
 * FAILS  -E_CONF with a why that names the option, the value and what was expected:
 *        `max_records = 0: expected an integer 1..4294967296`. A row or a default that is wrong stops weir (our bug).
 * COST   a scan of the table; tables are short.
 */
#ifndef WEIR_RUN_OPTION_H
#define WEIR_RUN_OPTION_H

#include "pipeline/base/growbuf.h"
#include "pipeline/stage.h"

struct option_value {
    enum { VALUE_BOOL, VALUE_INT, VALUE_REAL, VALUE_STRING, VALUE_LIST } kind;
    bool b;
    int64_t i;
    double r;
    const char *s;
    size_t n;                            /* LIST: of strings */
    const char *const *list;
};
void *option_conf_new(const struct option *table, size_t conf_size); /* zeroed, then defaults (a bad default is our bug) */
void option_conf_free(const struct option *table, void **conf);
/* The same for a struct that holds more than its options: defaults into zeroed fields; release of strings and lists. */
void option_defaults(const struct option *table, void *conf, size_t conf_size);
void option_clear(const struct option *table, void *conf);
bool option_conf_equal(const struct option *table, const void *a, const void *b); /* options only, not derived fields */
/* The same, but for these (names, NULL-terminated; or NULL). */
bool option_conf_equal_but(const struct option *table, const char *const *but, const void *a, const void *b);
/* All of them but these, or only these; name by name, one way only: equal text, equal options. Not for people. */
void option_conf_print(const struct option *table, const char *const *but, bool only, const void *conf, struct growbuf *out);
const struct option *option_find(const struct option *table, const char *name); /* NULL */
int option_set(const struct option *option, void *conf, const struct option_value *value, struct why *why) MUST_CHECK;
/* "5m" -> 300, "64k" -> 65536. -E_CONF. */
int option_parse_seconds(const char *s, int64_t *out, struct why *why) MUST_CHECK;
int option_parse_bytes(const char *s, int64_t *out, struct why *why) MUST_CHECK;
/* For help: "integer 1..64, default 2". Returns out. */
char *option_describe(const struct option *option, char *out, size_t cap);
/* For refusals: "an integer 1..64"; `a duration 1s..1h, such as 30, "30s" …`. Returns out. */
char *option_expected(const struct option *option, char *out, size_t cap);
enum { OPTION_VALUE_TEXT_MAX = 96 };
char *option_value_print(const struct option_value *value, char out[OPTION_VALUE_TEXT_MAX]); /* long ones are cut */

#endif
