/* log: one line an event, for a person at 3 a.m. and for grep.
 *
 * WHAT   A line is: time, level, a sentence in plain words, then key=value pairs. Values with blanks,
 *        quotes, '=', control or non-ASCII octets are quoted and escaped by the logger, so remote text
 *        cannot forge a line. A line longer than 4096 octets is cut and ends with cut=1.
 *
 *          log_warn("transfer refused", LOG_KV("zone", LOG_S(zone)), LOG_KV("serial", LOG_U(n)));
 *          2026-11-24T05:45:49Z warn transfer refused zone=example. serial=7
 *
 * WHO    Any thread; a line is written with one write(2). Repeating remote-caused events are the
 *        caller's to limit: log_gate_open() is true at most once per so many seconds at its place
 *        and tells how many were kept back.
 * FAILS  Never; a full disk or closed stderr is ignored.
 */
#ifndef WEIR_BASE_LOG_H
#define WEIR_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARN, LOG_ERROR };

struct log_value {
    enum { LOG_STR, LOG_NUM, LOG_SIGNED, LOG_REAL } kind;
    union {
        const char *s;
        uint64_t u;
        int64_t i;
        double f;
    };
};
#define LOG_S(v) ((struct log_value){LOG_STR, {.s = (v)}})
#define LOG_U(v) ((struct log_value){LOG_NUM, {.u = (uint64_t)(v)}})
#define LOG_I(v) ((struct log_value){LOG_SIGNED, {.i = (int64_t)(v)}})
#define LOG_F(v) ((struct log_value){LOG_REAL, {.f = (v)}})  /* three decimals */

struct log_pair {
    const char *key;          /* NULL ends the list */
    struct log_value value;
};

/* Use through the macros: log_info("sentence", LOG_KV("zone", LOG_S(z)), LOG_KV("serial", LOG_U(n))); */
void log_line(enum log_level level, const char *sentence, const struct log_pair *pairs);

#ifdef __CPPCHECK__ /* it does not know __VA_OPT__, and braces in arguments mislead it */
#define LOG_KV(k, v) (v)
#define LOG_AT(level, ...) log_at_checked(level, __VA_ARGS__)
#else
#define LOG_KV(k, v) {(k), (v)}
#define LOG_AT(level, sentence, ...) \
    log_line((level), (sentence), (const struct log_pair[]){__VA_ARGS__ __VA_OPT__(, ) {0}})
#endif
#define log_debug(...)  LOG_AT(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)   LOG_AT(LOG_INFO, __VA_ARGS__)
#define log_notice(...) LOG_AT(LOG_NOTICE, __VA_ARGS__)
#define log_warn(...)   LOG_AT(LOG_WARN, __VA_ARGS__)
#define log_error(...)  LOG_AT(LOG_ERROR, __VA_ARGS__)

void log_open(enum log_level least, int fd); /* default: LOG_INFO to stderr; call before threads start */
int log_level_from_text(const char *s, enum log_level *out); /* -E_FORMAT: not a level */

/* A limiter for one place: `static struct log_gate gate; if (log_gate_open(&gate, 10)) log_warn(...)`.
 * *skipped (if not NULL) = how many were kept back since the last line. */
struct log_gate {
    _Atomic int64_t last_ms; /* monotonic; 0: never */
    _Atomic uint64_t skipped;
};
bool log_gate_open(struct log_gate *gate, int every_s, uint64_t *skipped);

#endif
