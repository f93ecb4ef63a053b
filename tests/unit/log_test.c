/* log: a line is one write, says what it was given, and no value can forge another.
 *
 * The descriptor is a SOCK_SEQPACKET pair: one write(2) is one packet, so each recv is one call's
 * line. */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "pipeline/base/errors.h"
#include "pipeline/base/log.h"
#include "tests/lib/random.h"
#include "tests/lib/suite.h"

enum { LINE_MAX_BYTES = 4096, ROOM = 65536 };

static int ends[2];
static char line[ROOM];

static void setup(enum log_level least)
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    log_open(least, ends[1]);
}

/* The next line, without its newline, after checks that hold for every line; NULL: nothing was
 * written. */
static const char *next_line(void)
{
    ssize_t n = recv(ends[0], line, sizeof line - 1, MSG_DONTWAIT);
    if (n < 0) {
        ck_assert_int_eq(errno, EAGAIN);
        return NULL;
    }
    ck_assert_int_gt(n, 0);
    ck_assert_int_le(n, LINE_MAX_BYTES);
    ck_assert_int_eq(line[n - 1], '\n');
    line[n - 1] = '\0';
    ck_assert_uint_eq(strlen(line), (size_t)n - 1);
    for (const char *p = line; *p; p++)
        if (*p < 0x20 || *p >= 0x7f)
            ck_abort_msg("octet %d in a line", *p);
    return line;
}

/* What follows the time. */
static const char *next_event(void)
{
    struct tm tm;
    const char *text = next_line(), *rest;
    ck_assert_ptr_nonnull(text);
    rest = strptime(text, "%Y-%m-%dT%H:%M:%SZ ", &tm);
    ck_assert_ptr_nonnull(rest);
    ck_assert_int_eq(rest - text, 21);
    time_t now = time(NULL), said = timegm(&tm);
    ck_assert_int_le(said, now + 1); /* time(2) reads a coarser clock */
    ck_assert_int_ge(said, now - 60);
    return rest;
}

START_TEST(plain_lines)
{
    setup(LOG_DEBUG);
    setenv("TZ", "Asia/Kathmandu", 1);
    tzset(); /* still UTC */
    log_warn("transfer refused", LOG_KV("zone", LOG_S("example.")), LOG_KV("serial", LOG_U(7)));
    ck_assert_str_eq(next_event(), "warn transfer refused zone=example. serial=7");
    log_info("started");
    ck_assert_str_eq(next_event(), "info started");
    log_debug("numbers", LOG_KV("u", LOG_U(UINT64_MAX)), LOG_KV("i", LOG_I(INT64_MIN)),
              LOG_KV("f", LOG_F(2.0005)), LOG_KV("n", LOG_F(NAN)));
    ck_assert_str_eq(next_event(),
                     "debug numbers u=18446744073709551615 i=-9223372036854775808 f=2.001 n=nan");
    log_error("large", LOG_KV("f", LOG_F(-1e308)));
    ck_assert_uint_eq(strlen(next_event()), strlen("error large f=-.000") + 309);
    ck_assert_ptr_null(next_line());
}
END_TEST

START_TEST(values)
{
    static const struct {
        const char *value, *want;
    } cases[] = {
        {"a.b-c_d/e:1@53", "v=a.b-c_d/e:1@53"},
        {"a\\032b.", "v=a\\032b."}, /* bare: every octet means itself */
        {NULL, "v=-"},
        {"-", "v=\"-\""},
        {"", "v=\"\""},
        {"two words", "v=\"two words\""},
        {"k=v", "v=\"k=v\""},
        {"say \"x\"", "v=\"say \\\"x\\\"\""},
        {"it's", "v=\"it's\""},
        {"back\\ slash", "v=\"back\\\\ slash\""},
        {"\n\r\t\001\033\177", "v=\"\\n\\r\\t\\x01\\x1b\\x7f\""},
        {"\xc3\xa9", "v=\"\\xc3\\xa9\""},
        {"x\n2026-11-24T05:45:49Z error zone lost zone=example.",
         "v=\"x\\n2026-11-24T05:45:49Z error zone lost zone=example.\""},
    };
    setup(LOG_INFO);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        log_info("it", LOG_KV("v", LOG_S(cases[i].value)));
        const char *got = next_event();
        ck_assert_str_eq(got + strlen("info it "), cases[i].want);
        ck_assert_ptr_null(next_line());
    }
    log_info("bad\nsentence \xff", LOG_KV("a key=\n", LOG_U(1)));
    ck_assert_str_eq(next_event(), "info bad\\nsentence \\xff a_key__=1");
}
END_TEST

/* Takes a value apart as the chapter comment of log.c says; gives what follows it. */
static const char *value_parse(const char *p, char *out)
{
    if (*p != '"') {
        while (*p && *p != ' ')
            *out++ = *p++;
        *out = '\0';
        return p;
    }
    for (p++; *p != '"'; p++) {
        ck_assert_int_ne(*p, 0);
        if (*p != '\\') {
            *out++ = *p;
            continue;
        }
        char hex[3] = "";
        switch (*++p) {
        case 'n':
            *out++ = '\n';
            break;
        case 'r':
            *out++ = '\r';
            break;
        case 't':
            *out++ = '\t';
            break;
        case 'x':
            memcpy(hex, p + 1, 2);
            *out++ = (char)strtoul(hex, NULL, 16);
            p += 2;
            break;
        default:
            ck_assert(*p == '"' || *p == '\\');
            *out++ = *p;
        }
    }
    *out = '\0';
    return p + 1;
}

static void random_value(struct random *random, char *out, size_t max)
{
    static const char nasty[] = " \"\\=\n\r\tn\\x41'-az";
    size_t n = random_below(random, max);
    bool any = random_below(random, 2);
    for (size_t i = 0; i < n; i++)
        out[i] = any ? (char)(1 + random_below(random, 255))
                     : nasty[random_below(random, sizeof nasty - 1)];
    out[n] = '\0';
}

/* Whatever two values hold, the line comes apart into just those two values; a cut one into
 * beginnings. */
START_TEST(values_come_back)
{
    struct random random = random_open();
    static char a[6000], b[6000], got[ROOM];
    setup(LOG_INFO);
    int cuts = 0;
    for (int i = 0; i < 4000; i++) {
        size_t max = random_below(&random, 20) == 0 ? sizeof a : 40;
        random_value(&random, a, max);
        random_value(&random, b, max);
        log_info("it", LOG_KV("a", LOG_S(a)), LOG_KV("b", LOG_S(b)));
        const char *p = next_event();
        size_t len = strlen(p);
        bool cut = len > 6 && !strcmp(p + len - 6, " cut=1");
        cuts += cut;
        ck_assert(!strncmp(p, "info it a=", 10));
        p = value_parse(p + 10, got);
        ck_assert(cut ? !strncmp(got, a, strlen(got)) : !strcmp(got, a));
        if (!strncmp(p, " b=", 3)) {
            ck_assert_str_eq(got, a);
            p = value_parse(p + 3, got);
            ck_assert(cut ? !strncmp(got, b, strlen(got)) : !strcmp(got, b));
        }
        ck_assert_str_eq(p, cut ? " cut=1" : "");
        ck_assert_ptr_null(next_line());
    }
    ck_assert_int_gt(cuts, 0);
}
END_TEST

/* Every length about the limit: never longer, whole as long as it fits. */
START_TEST(cut_at_the_limit)
{
    static char value[5000];
    setup(LOG_INFO);
    for (int quoted = 0; quoted < 2; quoted++) {
        for (size_t n = 4000; n < 4200; n++) {
            memset(value, quoted ? ' ' : 'x', n);
            value[n] = '\0';
            log_info("it", LOG_KV("v", LOG_S(value)), LOG_KV("w", LOG_U(12345)));
            size_t whole = 21 + strlen("info it v= w=12345\n") + n + (quoted ? 2 : 0);
            const char *p = next_event();
            bool cut = strstr(p, " cut=1") != NULL;
            if (!cut)
                ck_assert_uint_eq(21 + strlen(p) + 1, whole);
            ck_assert_int_eq(cut, whole > LINE_MAX_BYTES - 7); /* room is kept for the mark */
        }
    }
}
END_TEST

START_TEST(levels)
{
    static const char *const names[] = {"debug", "info", "notice", "warn", "error"};
    setup(LOG_INFO);
    for (int least = LOG_DEBUG; least <= LOG_ERROR; least++) {
        enum log_level level = LOG_ERROR;
        ck_assert_int_eq(log_level_from_text(names[least], &level), 0);
        ck_assert_int_eq((int)level, least);
        log_open(level, ends[1]);
        for (int at = LOG_DEBUG; at <= LOG_ERROR; at++) {
            log_line((enum log_level)at, "x", NULL);
            if (at < least)
                ck_assert_ptr_null(next_line());
            else
                ck_assert(!strncmp(next_event(), names[at], strlen(names[at])));
        }
    }
    enum log_level untouched = LOG_WARN;
    static const char *const bad[] = {"", "INFO", "warning", "inf", "infos"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(log_level_from_text(bad[i], &untouched), -E_FORMAT);
    ck_assert_int_eq(untouched, LOG_WARN);
}
END_TEST

START_TEST(never_fails)
{
    setup(LOG_INFO);
    close(ends[1]);
    errno = ENOTTY;
    log_info("nobody hears this");
    ck_assert_int_eq(errno, ENOTTY);
}
END_TEST

/* Threads knock at one gate at the same moment, round after round; an hour goes by between two. */
enum { KNOCKERS = 4, ROUNDS = 500, KNOCKS = 5 };
static struct log_gate gate;
static _Atomic uint64_t opened, told;
static pthread_barrier_t start, stop;

static void *knock(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS * KNOCKS; i++) {
        uint64_t skipped = 0;
        if (i % KNOCKS == 0)
            pthread_barrier_wait(&start);
        if (log_gate_open(&gate, 3600, &skipped)) {
            atomic_fetch_add(&opened, 1);
            atomic_fetch_add(&told, skipped);
        }
        if (i % KNOCKS == KNOCKS - 1)
            pthread_barrier_wait(&stop);
    }
    return NULL;
}

START_TEST(gate_opens_once)
{
    pthread_t threads[KNOCKERS];
    pthread_barrier_init(&start, NULL, KNOCKERS + 1);
    pthread_barrier_init(&stop, NULL, KNOCKERS + 1);
    for (int i = 0; i < KNOCKERS; i++)
        pthread_create(&threads[i], NULL, knock, NULL);
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        pthread_barrier_wait(&start);
        pthread_barrier_wait(&stop);
        ck_assert_uint_eq(atomic_load(&opened), round);
        /* Nothing is lost: what was kept back was told, or will be. */
        ck_assert_uint_eq(opened + told + gate.skipped, round * KNOCKERS * KNOCKS);
        gate.last_ms -= 3600 * 1000;
    }
    for (int i = 0; i < KNOCKERS; i++)
        pthread_join(threads[i], NULL);
    uint64_t before = gate.skipped, skipped = 0;
    ck_assert_uint_gt(before, 0);
    ck_assert(log_gate_open(&gate, 3600, &skipped));
    ck_assert_uint_eq(skipped, before);
    gate.last_ms -= 3599 * 1000;
    ck_assert(!log_gate_open(&gate, 3600, NULL));
    ck_assert_uint_eq(gate.skipped, 1);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("log");
    signal(SIGPIPE, SIG_IGN);
    suite_add(s, plain_lines);
    suite_add(s, values);
    suite_add(s, values_come_back);
    suite_add(s, cut_at_the_limit);
    suite_add(s, levels);
    suite_add(s, never_fails);
    suite_add(s, gate_opens_once);
    return suite_run(s);
}
