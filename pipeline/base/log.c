/* Log lines: built in one buffer on the stack, written with one write(2).
 *
 *      2026-11-24T05:45:49Z warn transfer refused zone=example. reason="bad \"TTL\"\n" serial=7
 *      time                 level sentence        key=value …
 *
 * A value stands bare when it is printable ASCII without blank, quote or '='; then every octet
 * means itself. Otherwise it is quoted, and inside quotes \" \\ \n \r \t \xHH are the only escapes,
 * so that a line can be taken apart without guessing and no octet of a peer can end it or start
 * another. An absent string is a bare '-'; a string "-" is quoted. The sentence is ours, yet it is
 * cleaned too.
 *
 * A line has at most LINE_MAX_BYTES octets, newline included: that is PIPE_BUF, up to which a write
 * to a pipe is not mixed with others. What does not fit is cut between two octets of the value, an
 * open quote is closed, and " cut=1" ends the line. */
#include "pipeline/base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pipeline/base/assert.h"
#include "pipeline/base/errors.h"

enum { LINE_MAX_BYTES = 4096, CUT_ROOM = sizeof "\" cut=1\n" - 1 };

struct line {
    size_t len;
    bool cut;
    char text[LINE_MAX_BYTES];
};

static const char *const level_names[] = {"debug", "info", "notice", "warn", "error"};

static _Atomic int least_level = LOG_INFO;
static _Atomic int log_fd = STDERR_FILENO;

/* All of s or nothing of it, so that an escape is never cut in two. */
static void line_put(struct line *line, const char *s, size_t n)
{
    if (line->cut || n > sizeof line->text - CUT_ROOM - line->len) {
        line->cut = true;
        return;
    }
    memcpy(line->text + line->len, s, n);
    line->len += n;
}

static void line_text(struct line *line, const char *s)
{
    line_put(line, s, strlen(s));
}

static void line_octet(struct line *line, unsigned char c, bool quoted)
{
    static const char digits[] = "0123456789abcdef";
    if (quoted && (c == '"' || c == '\\'))
        line_put(line, (char[]){'\\', (char)c}, 2);
    else if (c >= 0x20 && c < 0x7f)
        line_put(line, (const char *)&c, 1);
    else if (c == '\n')
        line_put(line, "\\n", 2);
    else if (c == '\r')
        line_put(line, "\\r", 2);
    else if (c == '\t')
        line_put(line, "\\t", 2);
    else
        line_put(line, (char[]){'\\', 'x', digits[c >> 4], digits[c & 15]}, 4);
}

static bool stands_bare(const char *s)
{
    if (!*s || !strcmp(s, "-"))
        return false;
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c <= 0x20 || c >= 0x7f || c == '"' || c == '\'' || c == '=')
            return false;
    }
    return true;
}

static void line_string(struct line *line, const char *s)
{
    if (!s) {
        line_put(line, "-", 1);
    } else if (stands_bare(s)) {
        for (; *s && !line->cut; s++)
            line_put(line, s, 1);
    } else {
        line_put(line, "\"", 1);
        bool open = !line->cut;
        for (; *s && !line->cut; s++)
            line_octet(line, (unsigned char)*s, true);
        line_put(line, "\"", 1);
        if (open && line->cut)
            line->text[line->len++] = '"'; /* CUT_ROOM has it */
    }
}

static void line_value(struct line *line, const struct log_value *value)
{
    char number[352]; /* a double of 309 digits, and three decimals */
    switch (value->kind) {
    case LOG_STR:
        line_string(line, value->s);
        return;
    case LOG_NUM:
        snprintf(number, sizeof number, "%" PRIu64, value->u);
        break;
    case LOG_SIGNED:
        snprintf(number, sizeof number, "%" PRId64, value->i);
        break;
    case LOG_REAL:
        snprintf(number, sizeof number, "%.3f", value->f);
        break;
    default:
        UNREACHABLE();
    }
    line_text(line, number);
}

static void line_head(struct line *line, enum log_level level, const char *sentence)
{
    struct timespec now;
    struct tm tm;
    char time_text[40];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(time_text, sizeof time_text, "%Y-%m-%dT%H:%M:%SZ ", &tm);
    line_text(line, time_text);
    line_text(line, level_names[level]);
    line_put(line, " ", 1);
    for (; *sentence; sentence++)
        line_octet(line, (unsigned char)*sentence, false);
}

static void line_pair(struct line *line, const struct log_pair *pair)
{
    size_t before = line->len;
    line_put(line, " ", 1);
    for (const char *k = pair->key; *k; k++) {
        bool plain = (*k >= 'a' && *k <= 'z') || (*k >= 'A' && *k <= 'Z') ||
                     (*k >= '0' && *k <= '9') || *k == '_' || *k == '-' || *k == '.';
        line_put(line, plain ? k : "_", 1);
    }
    line_put(line, "=", 1);
    if (line->cut)
        line->len = before; /* half a key tells nothing */
    else
        line_value(line, &pair->value);
}

void log_line(enum log_level level, const char *sentence, const struct log_pair *pairs)
{
    ASSERT(level >= LOG_DEBUG && level <= LOG_ERROR);
    if ((int)level < atomic_load_explicit(&least_level, memory_order_relaxed))
        return;
    int saved = errno; /* a log line must not change what the caller sees */
    struct line line;
    line.len = 0;
    line.cut = false;
    line_head(&line, level, sentence);
    for (; pairs && pairs->key && !line.cut; pairs++)
        line_pair(&line, pairs);
    const char *end = line.cut ? " cut=1\n" : "\n";
    memcpy(line.text + line.len, end, strlen(end));
    line.len += strlen(end);
    int fd = atomic_load_explicit(&log_fd, memory_order_relaxed);
    while (write(fd, line.text, line.len) < 0 && errno == EINTR)
        ;
    errno = saved;
}

void log_open(enum log_level least, int fd)
{
    atomic_store_explicit(&least_level, (int)least, memory_order_relaxed);
    atomic_store_explicit(&log_fd, fd, memory_order_relaxed);
}

int log_level_from_text(const char *s, enum log_level *out)
{
    for (int i = LOG_DEBUG; i <= LOG_ERROR; i++)
        if (!strcmp(s, level_names[i])) {
            *out = (enum log_level)i;
            return 0;
        }
    return -E_FORMAT;
}

bool log_gate_open(struct log_gate *gate, int every_s, uint64_t *skipped)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    int64_t now =
        (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 + 1; /* never 0, which is "not yet" */
    int64_t last = atomic_load_explicit(&gate->last_ms, memory_order_relaxed);
    bool due = last == 0 || now - last >= (int64_t)every_s * 1000;
    /* Of several threads that find it due, the one whose exchange succeeds writes the line. */
    if (!due || !atomic_compare_exchange_strong_explicit(
                    &gate->last_ms, &last, now, memory_order_relaxed, memory_order_relaxed)) {
        atomic_fetch_add_explicit(&gate->skipped, 1, memory_order_relaxed);
        return false;
    }
    uint64_t kept_back = atomic_exchange_explicit(&gate->skipped, 0, memory_order_relaxed);
    if (skipped)
        *skipped = kept_back;
    return true;
}
