/* xfrin: zones from files, read by a worker. */
#include "tests/lib/rounds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64], path[128], conf[1024];

static void setup(void)
{
    snprintf(dir, sizeof dir, "/tmp/weir-file-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/zone", dir);
    snprintf(conf, sizeof conf,
             "server = { listen = (\"127.0.0.1@15499\"); };\n"
             "zones = ( { name = \"" Z "\"; file = \"%s\"; chain = (); } );",
             path);
}

static void teardown(void)
{
    unlink(path);
    rmdir(dir);
}

static void file_write(const char *text)
{
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    ck_assert_int_eq(fclose(f), 0);
}

static void zone_write(unsigned serial, unsigned records)
{
    char text[65536];
    int n = snprintf(text, sizeof text, "$TTL 300\n@ SOA ns h %u 1 1 1 1\n@ NS ns\n", serial);
    for (unsigned i = 0; i < records; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "h%u A 192.0.2.%u\n", i, i & 255);
    file_write(text);
}

/* _i: worker threads; 0 is the loop's own. */
START_TEST(load_and_reload)
{
    zone_write(10, 5);
    daemon_open(&d, (unsigned)_i, conf, NULL);
    arrived(10);
    struct zone *z = daemon_zone(&d, Z);
    ck_assert_int_eq(z->expires_at, 0); /* a file does not go stale */
    ck_assert_int_eq(z->check_at, 0);
    ck_assert_int_gt(z->checked_at, 0);
    struct version *v = zone_version(z);
    ck_assert_str_eq(v->origin, path);
    version_unref(v);
    daemon_reload(&d, conf);
    UNTIL(&d, d.events[ZONE_UNCHANGED] == 1 && daemon_idle(&d, Z));
    zone_write(11, 6);
    daemon_reload(&d, conf);
    arrived(11);
    zone_write(12, 7);
    xfrin_retransfer(d.server.xfrin, z);
    arrived(12);
    end();
}
END_TEST

/* Taken as it is, with a warning. */
START_TEST(serial_did_not_rise)
{
    zone_write(10, 5);
    daemon_open(&d, 1, conf, NULL);
    arrived(10);
    zone_write(10, 6);
    daemon_reload(&d, conf);
    UNTIL(&d, d.events[ZONE_ACCEPTED] == 2 && daemon_idle(&d, Z));
    ck_assert_uint_eq(daemon_said(&d, "warn zone file has changed but its serial did not rise"), 1);
    zone_write(5, 6);
    daemon_reload(&d, conf);
    arrived(5);
    ck_assert_uint_eq(daemon_said(&d, "serial=5 serial_before=10"), 1);
    end();
}
END_TEST

START_TEST(bad_files)
{
    static const struct {
        const char *text, *why;
    } row[] = {
        {"$TTL 300\n@ SOA ns h 11 1 1 1 1\n@ NS ns\nh A 192.0.2.300\n", "/zone:4: "},
        {"$TTL 300\n@ NS ns\n", "/zone: it has no SOA record at the apex"},
        {NULL, "No such file or directory"},
    };
    zone_write(10, 5);
    daemon_open(&d, 1, conf, NULL);
    arrived(10);
    if (row[_i].text)
        file_write(row[_i].text);
    else
        unlink(path);
    daemon_reload(&d, conf);
    struct zone *z = daemon_zone(&d, Z);
    UNTIL(&d, z->counters.transfers_failed == 1 && daemon_idle(&d, Z));
    ck_assert_uint_eq(daemon_said(&d, row[_i].why), 1);
    ck_assert_uint_eq(daemon_said(&d, "warn zone file was not taken zone=a.example. file=/tmp/"),
                      1);
    ck_assert_ptr_nonnull(strstr(z->last_error, row[_i].why));
    ck_assert(daemon_serves(&d, Z, 10));
    zone_write(12, 5);
    daemon_reload(&d, conf);
    arrived(12);
    ck_assert_ptr_null(z->last_error);
    end();
}
END_TEST

START_TEST(refused_file_is_read_again_on_reload)
{
    zone_write(19, 5);
    daemon_open(&d, 1, conf, NULL);
    UNTIL(&d, d.events[ZONE_REFUSED] == 1 && daemon_idle(&d, Z));
    daemon_reload(&d, conf);
    UNTIL(&d, d.events[ZONE_REFUSED] == 2 && daemon_idle(&d, Z));
    zone_write(20, 5);
    daemon_reload(&d, conf);
    UNTIL(&d, daemon_serves(&d, Z, 20));
    end();
}
END_TEST

/* The source changes while a job reads: its result is dropped, and the new source follows. */
START_TEST(file_becomes_a_primary_while_it_is_read)
{
    zone_write(10, 3000);
    p1 = primary_start(P1);
    struct primary_play play = primary_good;
    play.serial = 50;
    primary_play(p1, &play);
    daemon_open(&d, 1, conf, NULL);
    daemon_reload(&d, "server = { listen = (\"127.0.0.1@15499\"); };\n"
                      "remotes = ( { name = \"p1\"; address = \"" P1 "\"; } );\n"
                      "zones = ( { name = \"" Z "\"; primaries = (\"p1\"); chain = (); } );");
    arrived(50);
    ck_assert_uint_eq(d.events[ZONE_ACCEPTED], 1);
    ck_assert_int_ne(daemon_zone(&d, Z)->expires_at, 0);
    daemon_reload(&d, conf); /* and back */
    arrived(10);
    ck_assert_int_eq(daemon_zone(&d, Z)->expires_at, 0);
    end();
}
END_TEST

/* _i = 0: the zone is dropped while its file is read, 1: weir stops. */
START_TEST(ends_while_it_is_read)
{
    zone_write(10, 3000);
    daemon_open(&d, 1, conf, NULL);
    if (_i == 0) {
        daemon_reload(&d, "server = { listen = (\"127.0.0.1@15499\"); }; zones = ();");
        daemon_reload(&d, conf);
        UNTIL(&d, daemon_serves(&d, Z, 10));
    }
    end();
}
END_TEST

static void short_wait(struct xfrin_tuning *t)
{
    t->file_wait_ms = 50;
}

/* A pipe that nobody writes to holds its reader, and nothing else: other zones come in, and weir stops. */
START_TEST(pipe_that_nobody_writes_to)
{
    char both[2048];
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    p1 = primary_start(P1);
    snprintf(both, sizeof both,
             "server = { listen = (\"127.0.0.1@15499\"); };\n"
             "remotes = ( { name = \"p1\"; address = \"" P1 "\"; } );\n"
             "zones = ( { name = \"" Z "\"; file = \"%s\"; chain = (); },\n"
             "          { name = \"b.example.\"; primaries = (\"p1\"); chain = (); } );",
             path);
    daemon_open(&d, 1, both, short_wait);
    UNTIL(&d, daemon_serves(&d, "b.example.", 10));
    char *doing = xfrin_doing(d.server.xfrin, daemon_zone(&d, Z));
    ck_assert_ptr_eq(strstr(doing, "reading "), doing);
    free(doing);
    double began = daemon_now();
    end();
    ck_assert(daemon_now() - began < 20);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("xfrin_file");
    tcase_add_checked_fixture(s.tcase, setup, teardown);
    tcase_add_loop_test(s.tcase, load_and_reload, 0, 3);
    suite_add(s, serial_did_not_rise);
    tcase_add_loop_test(s.tcase, bad_files, 0, 3);
    suite_add(s, pipe_that_nobody_writes_to);
    suite_add(s, refused_file_is_read_again_on_reload);
    suite_add(s, file_becomes_a_primary_while_it_is_read);
    tcase_add_loop_test(s.tcase, ends_while_it_is_read, 0, 2);
    return suite_run(s);
}
