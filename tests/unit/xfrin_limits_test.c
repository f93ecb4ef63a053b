/* xfrin: what bounds it. Time, speed and size of a transfer; how many go on at once and who goes first; expiry; and how
 * often the log repeats itself. */
#include "tests/lib/rounds.h"

#include "pipeline/net/capture.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define REMOTES                                                                                    \
    "remotes = ( { name = \"p1\"; address = \"" P1 "\"; },\n"                                      \
    "            { name = \"p2\"; address = \"" P2 "\"; } );\n"
#define SERVER(more) "server = { listen = (\"127.0.0.1@15499\"); " more " };\n" REMOTES
#define ONE(more)                                                                                  \
    SERVER("")                                                                                     \
    "zones = ( { name = \"" Z "\"; primaries = (\"p1\"); chain = (); " more " } );"

static struct primary_play axfr(enum primary_axfr how, unsigned records)
{
    struct primary_play p = primary_good;
    p.axfr = how;
    p.records = records;
    return p;
}

/* ---- one transfer */

static void short_window(struct xfrin_tuning *t)
{
    no_gap(t);
    t->rate_window_ms = 300;
}

START_TEST(slow_primary)
{
    p1 = primary_start(P1);
    play(p1, axfr(PRIMARY_DRIPS, 20));
    daemon_open(&d, 1, ONE("min_rate = 1000;"), short_window);
    UNTIL(&d, counters()->transfers_failed == 1);
    ck_assert_uint_eq(daemon_said(&d, "slower than min_rate: "), 1);
    ck_assert_uint_eq(daemon_said(&d, "at least 1000 are wanted"), 1);
    end();
}
END_TEST

/* A dripping primary that is fast enough: an octet every 10 ms, one octet a second wanted. */
START_TEST(slow_but_fast_enough)
{
    p1 = primary_start(P1);
    play(p1, axfr(PRIMARY_DRIPS, 1));
    daemon_open(&d, 1, ONE("min_rate = 1;"), short_window);
    UNTIL(&d, daemon_serves(&d, Z, 10));
    ck_assert_uint_eq(counters()->transfers_failed, 0);
    end();
}
END_TEST

START_TEST(longer_than_max_time)
{
    p1 = primary_start(P1);
    play(p1, axfr(PRIMARY_DRIPS, 100));
    daemon_open(&d, 1, ONE("min_rate = 0; max_time = 1;"), no_gap);
    UNTIL(&d, counters()->transfers_failed == 1);
    ck_assert_uint_eq(daemon_said(&d, "not complete after 1 s (max_time)"), 1);
    end();
}
END_TEST

static void short_idle(struct xfrin_tuning *t)
{
    no_gap(t);
    t->idle_ms = 200;
}

START_TEST(silence)
{
    p1 = primary_start(P1);
    play(p1, axfr(PRIMARY_STALLS, 100));
    daemon_open(&d, 1, ONE("min_rate = 0;"), short_idle);
    UNTIL(&d, counters()->transfers_failed == 1);
    ck_assert_uint_eq(daemon_said(&d, "not an octet in "), 1);
    ck_assert_uint_eq(p1->transfers_most, 1);
    end();
}
END_TEST

START_TEST(size)
{
    static const struct {
        const char *conf, *why;
    } row[] = {
        {ONE("max_records = 100;"), "more than max_records, 100"},
        {ONE("max_bytes = 1500;"), "max_bytes"},
    };
    p1 = primary_start(P1);
    play(p1, axfr(PRIMARY_SENDS, 200));
    daemon_open(&d, 1, row[_i].conf, no_gap);
    UNTIL(&d, counters()->transfers_failed == 1);
    ck_assert_uint_eq(daemon_said(&d, row[_i].why), 1);
    ck_assert_uint_eq(d.events[ZONE_ACCEPTED], 0);
    end();
}
END_TEST

/* Messages cut at every place by the reads, and a buffer that has to grow. */
START_TEST(many_records)
{
    p1 = primary_start(P1);
    play(p1, axfr(PRIMARY_SENDS, 50000));
    daemon_open(&d, 1, ONE(""), no_gap);
    UNTIL(&d, daemon_serves(&d, Z, 10));
    struct version *v = zone_version(daemon_zone(&d, Z));
    ck_assert_uint_eq(v->served->records, 50002);
    version_unref(v);
    end();
}
END_TEST

/* ---- many zones */

static char *many_zones(const char *server, unsigned n, const char *primaries)
{
    char *text;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    ck_assert_ptr_nonnull(f);
    fprintf(f, "server = { listen = (\"127.0.0.1@15499\"); %s };\n" REMOTES "zones = (\n", server);
    for (unsigned i = 0; i < n; i++)
        fprintf(f, "%s{ name = \"z%u.example.\"; primaries = (%s); chain = (); }", i ? ",\n" : "",
                i, primaries);
    fprintf(f, ");\n");
    fclose(f);
    return text;
}

static unsigned serving(unsigned n)
{
    unsigned yes = 0;
    for (unsigned i = 0; i < n; i++) {
        char name[32];
        snprintf(name, sizeof name, "z%u.example.", i);
        yes += daemon_serves(&d, name, primary_good.serial);
    }
    return yes;
}

static struct primary_play shut(bool soa, bool transfer)
{
    struct primary_play p = primary_good;
    p.gate_soa = soa;
    p.gate_axfr = transfer;
    return p;
}

START_TEST(transfers_in_all_and_per_primary)
{
    static const struct {
        const char *server;
        unsigned most;
    } row[] = {
        {"transfers_in = 4; transfers_in_per_primary = 3;", 3},
        {"transfers_in = 3; transfers_in_per_primary = 8;", 3},
        {"transfers_in = 9; transfers_in_per_primary = 2;", 2},
    };
    char *conf = many_zones(row[_i].server, 12, "\"p1\", \"p2\"");
    p1 = primary_start(P1);
    play(p1, shut(false, true));
    daemon_open(&d, 1, conf, no_gap);
    UNTIL(&d, p1->axfr == row[_i].most && d.server.xfrin->checks == 0);
    for (int i = 0; i < 20; i++)
        daemon_turn(&d);
    ck_assert_uint_eq(p1->axfr, row[_i].most);
    ck_assert_uint_eq(d.server.xfrin->transfers, row[_i].most);
    play(p1, primary_good);
    UNTIL(&d, serving(12) == 12);
    ck_assert_uint_le(p1->transfers_most, row[_i].most);
    ck_assert_uint_eq(d.server.xfrin->transfers, 0);
    free(conf);
    end();
}
END_TEST

/* A primary whose transfers stand still takes its share of the places, and no more. */
START_TEST(slow_primary_does_not_starve_the_other)
{
    char *one = many_zones("transfers_in = 4; transfers_in_per_primary = 3;", 20, "\"p1\"");
    char *end_of = strrchr(one, ')'), conf[8192];
    snprintf(conf, sizeof conf, "%.*s, %s %s );", (int)(end_of - one), one,
             "{ name = \"other1.example.\"; primaries = (\"p2\"); chain = (); },",
             "{ name = \"other2.example.\"; primaries = (\"p2\"); chain = (); }");
    free(one);
    p1 = primary_start(P1);
    p2 = primary_start(P2);
    play(p1, shut(false, true));
    daemon_open(&d, 1, conf, no_gap);
    UNTIL(&d, daemon_serves(&d, "other1.example.", 10) && daemon_serves(&d, "other2.example.", 10));
    UNTIL(&d, p1->axfr == 3);
    ck_assert_uint_eq(d.server.xfrin->transfers, 3);
    play(p1, primary_good);
    UNTIL(&d, serving(20) == 20);
    end();
}
END_TEST

static void few_checks(struct xfrin_tuning *t)
{
    no_gap(t);
    t->soa_timeout_ms = 60000;
    t->checks_max = 8;
    t->checks_stale_max = 6;
}

/* Three hundred zones at a primary that does not answer: six sockets, and two more for who has news. */
START_TEST(checks_are_bounded_and_notified_zones_go_first)
{
    char *conf = many_zones("", 300, "\"p1\"");
    p1 = primary_start(P1);
    play(p1, shut(true, false));
    daemon_open(&d, 1, conf, few_checks);
    UNTIL(&d, p1->soa_udp == 6);
    ck_assert_uint_eq(d.server.xfrin->checks, 6);
    daemon_notify(&d, "z299.example.", P1, NULL);
    daemon_notify(&d, "z298.example.", P1, NULL);
    daemon_notify(&d, "z297.example.", P1, NULL);
    UNTIL(&d, p1->soa_udp == 8);
    ck_assert_int_eq(daemon_in(&d, "z299.example.")->state, XFRIN_CHECK);
    ck_assert_int_eq(daemon_in(&d, "z298.example.")->state, XFRIN_CHECK);
    ck_assert_int_eq(daemon_in(&d, "z297.example.")->state, XFRIN_CHECK_WAIT);
    ck_assert_uint_eq(d.server.xfrin->checks, 8);
    play(p1, primary_good);
    UNTIL(&d, serving(300) == 300);
    ck_assert_uint_eq(d.server.xfrin->checks, 0);
    ck_assert_uint_eq(p1->axfr, 300);
    free(conf);
    end();
}
END_TEST

START_TEST(notified_zones_are_transferred_first)
{
    char *conf = many_zones("transfers_in = 1;", 30, "\"p1\"");
    p1 = primary_start(P1);
    play(p1, shut(false, true));
    daemon_open(&d, 1, conf, no_gap);
    UNTIL(&d, p1->axfr == 1 && d.server.xfrin->checks == 0);
    daemon_notify(&d, "z29.example.", P1, NULL);
    daemon_turn(&d);
    play(p1, primary_good);
    UNTIL(&d, d.events[ZONE_ACCEPTED] >= 2);
    ck_assert(daemon_serves(&d, "z29.example.", 10)); /* it was the last in line */
    UNTIL(&d, serving(30) == 30);
    free(conf);
    end();
}
END_TEST

/* ---- expiry */

START_TEST(zone_expires_and_comes_back)
{
    p1 = primary_start(P1);
    daemon_open(&d, 1, ONE("expire_max = 1; refresh_min = 1; refresh_max = 1; retry_max = 1;"),
                no_gap);
    struct zone *z = daemon_zone(&d, Z);
    arrived(10);
    ck_assert_int_eq(z->expires_at, z->checked_at + 1);
    primary_stop(&p1);
    UNTIL(&d, atomic_load(&z->expired));
    ck_assert_uint_eq(daemon_said(&d, "error zone expired: "), 1);
    ck_assert_uint_eq(daemon_said(&d, "serial=10 soa_expire_s=86400"), 1);
    ck_assert(daemon_serves(&d, Z, 10)); /* kept, for when the primary is back */
    p1 = primary_start(P1);
    UNTIL(&d, !atomic_load(&z->expired));
    ck_assert_uint_eq(daemon_said(&d, "zone is no longer expired"), 1);
    ck_assert_uint_eq(p1->axfr, 0); /* the serial was enough */
    end();
}
END_TEST

/* A calendar that was years behind when the zone came in (no clock in the machine, then NTP) is no reason to expire it. */
START_TEST(the_calendar_expires_nothing)
{
    const char *conf = ONE("refresh_min = 60;");
    p1 = primary_start(P1);
    daemon_open(&d, 1, conf, no_gap);
    struct zone *z = daemon_zone(&d, Z);
    arrived(10);
    pthread_mutex_lock(&z->lock);
    z->checked_at -= 600000000;
    pthread_mutex_unlock(&z->lock);
    daemon_reload(&d, conf);
    ck_assert_int_gt(z->expires_at, time(NULL) + 80000);
    ck_assert_double_gt(ev_timer_remaining(d.server.xfrin->ev, &daemon_in(&d, Z)->expire), 80000);
    end();
}
END_TEST

/* … and an SOA expire shorter than the way to the next check neither. */
START_TEST(expire_allows_for_the_next_check)
{
    p1 = primary_start(P1);
    struct primary_play p = primary_good;
    p.expire = 0;
    p.refresh = p.retry = 1;
    play(p1, p);
    daemon_open(&d, 1, ONE("refresh_min = 1; refresh_max = 1; retry_min = 1;"), no_gap);
    struct zone *z = daemon_zone(&d, Z);
    arrived(10);
    unsigned asked = p1->soa_udp;
    UNTIL(&d, p1->soa_udp >= asked + 2 && daemon_idle(&d, Z));
    ck_assert_uint_eq(daemon_said(&d, "zone expired"), 0);
    primary_stop(&p1);
    UNTIL(&d, atomic_load(&z->expired));
    end();
}
END_TEST

/* A primary that can be asked keeps the zone alive, whatever we think of its content. */
START_TEST(refused_content_does_not_expire_the_zone)
{
    p1 = primary_start(P1);
    struct primary_play p = primary_good;
    p.refresh = p.retry = 1;
    play(p1, p);
    daemon_open(&d, 1, ONE("expire_max = 2; refresh_min = 1; refresh_max = 1;"), no_gap);
    struct zone *z = daemon_zone(&d, Z);
    arrived(10);
    p.serial = 19;
    play(p1, p);
    unsigned asked = p1->soa_udp;
    UNTIL(&d, p1->soa_udp >= asked + 5 && daemon_idle(&d, Z));
    ck_assert(!atomic_load(&z->expired));
    ck_assert_uint_ge(z->counters.refused, 1);
    ck_assert_int_ge(z->expires_at, time(NULL));
    end();
}
END_TEST

/* ---- the log */

START_TEST(same_failure_is_logged_less_and_less)
{
    daemon_open(&d, 1, ONE("retry_min = 1; retry_max = 1;"), no_gap);
    struct zone *z = daemon_zone(&d, Z);
    for (unsigned i = 1; i <= 9; i++) {
        UNTIL(&d, z->counters.checks_failed == i && daemon_idle(&d, Z));
        xfrin_retransfer(d.server.xfrin, z);
    }
    ck_assert_uint_eq(daemon_said(&d, "warn serial check failed"), 4); /* 1, 2, 4, 8 */
    ck_assert_uint_eq(daemon_said(&d, " times=8"), 1);
    ck_assert_ptr_nonnull(z->last_error);
    end();
}
END_TEST

/* ---- capture */

struct seen {
    unsigned transfers, messages, problems;
};

static void *seen_begin(void *ctx, const struct capture_transfer *t)
{
    struct seen *seen = ctx;
    seen->transfers += t->qtype == RR_AXFR;
    return seen;
}

static void seen_message(void *ctx, void *transfer, const struct capture_transfer *t,
                         const uint8_t *msg, size_t len)
{
    (void)transfer;
    (void)t;
    (void)msg;
    ((struct seen *)ctx)->messages += len >= MSG_HEADER;
}

static void seen_end(void *ctx, void *transfer, const struct capture_transfer *t,
                     const char *problem)
{
    (void)transfer;
    (void)t;
    ((struct seen *)ctx)->problems += problem != NULL;
}

START_TEST(what_comes_in_is_captured)
{
    char dir[] = "/tmp/weir-capture-XXXXXX", path[600] = "";
    struct why why = {""};
    ck_assert_ptr_nonnull(mkdtemp(dir));
    p1 = primary_start(P1);
    play(p1, axfr(PRIMARY_SENDS, 200));
    daemon_open(&d, 1, SERVER("") "zones = ();", no_gap);
    ck_assert_int_eq(capture_open(dir, 1 << 20, &d.server.capture, &why), 0);
    daemon_reload(&d, ONE(""));
    UNTIL(&d, daemon_serves(&d, Z, 10));
    capture_close(&d.server.capture);
    DIR *list = opendir(dir);
    ck_assert_ptr_nonnull(list);
    for (struct dirent *e; (e = readdir(list));)
        if (strstr(e->d_name, ".pcap"))
            snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
    closedir(list);
    struct seen seen = {0};
    struct capture_summary summary;
    struct capture_handler handler = {seen_begin, seen_message, seen_end};
    if (capture_read(path, &handler, &seen, &summary, &why))
        ck_abort_msg("%s", why.text);
    ck_assert_uint_eq(seen.transfers, 1);
    ck_assert_uint_eq(seen.messages, 4);
    ck_assert_uint_eq(seen.problems, 0);
    unlink(path);
    rmdir(dir);
    end();
}
END_TEST

int main(void)
{
    struct suite s = suite_open("xfrin_limits");
    suite_add(s, slow_primary);
    suite_add(s, slow_but_fast_enough);
    suite_add(s, longer_than_max_time);
    suite_add(s, silence);
    tcase_add_loop_test(s.tcase, size, 0, 2);
    suite_add(s, many_records);
    tcase_add_loop_test(s.tcase, transfers_in_all_and_per_primary, 0, 3);
    suite_add(s, slow_primary_does_not_starve_the_other);
    suite_add(s, checks_are_bounded_and_notified_zones_go_first);
    suite_add(s, notified_zones_are_transferred_first);
    suite_add(s, zone_expires_and_comes_back);
    suite_add(s, the_calendar_expires_nothing);
    suite_add(s, expire_allows_for_the_next_check);
    suite_add(s, refused_content_does_not_expire_the_zone);
    suite_add(s, same_failure_is_logged_less_and_less);
    suite_add(s, what_comes_in_is_captured);
    return suite_run(s);
}
