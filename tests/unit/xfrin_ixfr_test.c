/* xfrin, transfers by IXFR: when differences are asked for, what happens when they cannot be had, connections that are kept, and
 * EDNS EXPIRE. The streams themselves are in transfer_ixfr_test.c. */
#include "tests/lib/rounds.h"

#include "pipeline/base/alloc.h"
#include "pipeline/base/json.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SERVER "server = { listen = (\"127.0.0.1@15499\"); };\n"
#define BOTH_REMOTES                                                                               \
    SERVER "remotes = ( { name = \"p1\"; address = \"" P1 "\"; },\n"                               \
           "            { name = \"p2\"; address = \"" P2 "\"; } );\n"
#define ONE BOTH_REMOTES "zones = ( { name = \"" Z "\"; primaries = (\"p1\"); chain = (); } );"
#define BOTH                                                                                       \
    BOTH_REMOTES "zones = ( { name = \"" Z "\"; primaries = (\"p1\", \"p2\"); chain = (); } );"
#define PINNED                                                                                     \
    BOTH_REMOTES "zones = ( { name = \"" Z                                                         \
                 "\"; primaries = (\"p1\", \"p2\"); primary_pin = true; chain = (); } );"
#define ONE_AT_P2                                                                                  \
    BOTH_REMOTES "zones = ( { name = \"" Z "\"; primaries = (\"p2\"); chain = (); } );"
#define NO_IXFR                                                                                    \
    SERVER "remotes = ( { name = \"p1\"; address = \"" P1 "\"; ixfr = false; } );\n"               \
           "zones = ( { name = \"" Z "\"; primaries = (\"p1\"); chain = (); } );"

static void quick_gap(struct xfrin_tuning *t)
{
    no_gap(t);
    t->notify_gap_ms = 60000;
}

static struct primary_play by(uint32_t serial, enum primary_ixfr how)
{
    struct primary_play p = primary_good;
    p.serial = serial;
    p.ixfr = how;
    return p;
}

static void begin(const char *config, void (*tune)(struct xfrin_tuning *))
{
    p1 = primary_start(P1);
    play(p1, by(10, PRIMARY_IXFR_SENDS));
    if (strstr(config, "\"p2\""))
        p2 = primary_start(P2);
    if (p2)
        play(p2, by(10, PRIMARY_IXFR_SENDS));
    daemon_open(&d, 1, config, tune);
    arrived(10);
    ck_assert_uint_eq(p1->axfr, 1);
    ck_assert_uint_eq(p1->ixfr, 0);
    ck_assert_uint_eq(counters()->transfers_axfr, 1);
}

/* Serial `serial` is there, and NOTIFY says so, with or without the number. */
static void news(struct primary_play is, bool hint)
{
    play(p1, is);
    daemon_notify(&d, Z, P1, hint ? &is.serial : NULL);
}

/* RFC 1995 3: our serial goes with the query. One connection serves all. */
START_TEST(differences_are_asked_for)
{
    begin(ONE, no_gap);
    news(by(11, PRIMARY_IXFR_SENDS), false);
    arrived(11);
    ck_assert_uint_eq(p1->ixfr, 1);
    ck_assert_uint_eq(p1->ixfr_serial, 10);
    ck_assert_uint_eq(p1->axfr, 1);
    ck_assert_uint_eq(p1->soa_udp, 2);
    ck_assert_uint_eq(counters()->transfers_ixfr, 1);
    ck_assert_uint_eq(counters()->transfers_ok, 2);
    ck_assert_uint_eq(p1->connections, 1);
    ck_assert_uint_eq(daemon_said(&d, "serial=11 asked=IXFR got=IXFR messages=1 records=0 octets="),
                      1);
    struct version *v = zone_version(daemon_zone(&d, Z));
    ck_assert_uint_eq(v->served->records, 7);
    version_unref(v);
    char *brought = xfrin_brought(d.server.xfrin, daemon_zone(&d, Z));
    ck_assert_ptr_nonnull(strstr(brought, "serial 10 to 11 in 1 differences, 0 records deleted"));
    mem_free(&brought);
    end();
}
END_TEST

/* RFC 5936 2.1.1: one question, nothing in answer and authority, 2.1.5: at most OPT beside it; RFC 1995 3: but our SOA in an IXFR, whose
 * serial is ours; 4.2: transfers over TCP alone. SOA over UDP and TCP, AXFR, IXFR; with OPT and, to who does not know it, without. */
START_TEST(what_is_asked)
{
    begin(ONE, no_gap);
    for (uint32_t serial = 11; serial <= 12; serial++) {
        news(by(serial, PRIMARY_IXFR_SENDS), false);
        arrived(serial);
        ck_assert_uint_eq(p1->ixfr_serial, serial - 1);
    }
    struct primary_play old = by(13, PRIMARY_IXFR_NOTIMP);
    old.soa = PRIMARY_TRUNCATES;
    old.tcp_formerr = true;
    news(old, false);
    arrived(13);
    ck_assert(p1->soa_udp == 4 && p1->soa_tcp > 1 && p1->ixfr > 2 && p1->axfr == 2);
    ck_assert_uint_eq(p1->odd, 0);
    end();
}
END_TEST

/* RFC 1996 3.7, 3.8: the serial in a NOTIFY is a hint. It saves the check when it is true … */
START_TEST(notify_with_a_newer_serial_goes_straight_to_ixfr)
{
    begin(ONE, no_gap);
    for (uint32_t serial = 11; serial <= 15; serial++) {
        news(by(serial, PRIMARY_IXFR_SENDS), true);
        arrived(serial);
    }
    ck_assert_uint_eq(p1->ixfr, 5);
    ck_assert_uint_eq(p1->soa_udp, 1);
    ck_assert_uint_eq(p1->connections, 1);
    ck_assert_uint_eq(counters()->checks_ok, 1);
    end();
}
END_TEST

/* … and costs an IXFR over the kept connection, one over a fresh one (the first may lead to a process with an older zone), and a
 * check when it is not; the next one has to wait. */
START_TEST(notify_that_lies_is_not_believed_twice)
{
    begin(ONE, quick_gap);
    daemon_notify(&d, Z, P1, &(uint32_t){99});
    UNTIL(&d, counters()->checks_ok == 2 && daemon_idle(&d, Z));
    ck_assert_uint_eq(p1->ixfr, 2);
    ck_assert_uint_eq(p1->soa_udp, 2);
    for (uint32_t i = 0; i < 20; i++)
        daemon_notify(&d, Z, P1, &(uint32_t){100 + i});
    for (int i = 0; i < 20; i++)
        daemon_turn(&d);
    ck_assert_uint_eq(p1->ixfr, 2);
    ck_assert_uint_eq(p1->soa_udp, 2);
    ck_assert_uint_eq(counters()->transfers_failed, 0);
    end();
}
END_TEST

/* A kept connection may lead to a process that the primary has replaced (NSD's children outlive a reload). What it has is taken; as it
 * is less than the NOTIFY told, the rest is asked for over a fresh one. */
START_TEST(kept_connection_leads_to_an_older_zone)
{
    begin(ONE, quick_gap);
    news(by(12, PRIMARY_IXFR_BEHIND), true);
    arrived(12);
    ck_assert_uint_eq(p1->ixfr, 2);
    ck_assert_uint_eq(p1->connections, 2);
    ck_assert_uint_eq(counters()->transfers_ixfr, 2);
    news(by(13, PRIMARY_IXFR_BEHIND), true);
    arrived(13);
    ck_assert_uint_eq(p1->ixfr, 3);
    end();
}
END_TEST

/* Whatever is wrong with the answer to IXFR, the zone comes in full, in the same round; no failure is counted, what was wrong is. */
static const struct {
    enum primary_ixfr how;
    bool refused;
    unsigned asked, connections;
    const char *says;
} wrong[] = {
    {PRIMARY_IXFR_NOTIMP, true, 1, 1,
     "notice primary does not answer IXFR, so zones come from it in full zone=a.example. "
     "primary=" P1 " why=\"message 1: the primary answered NOTIMP\""},
    {PRIMARY_IXFR_FORMERR, true, 1, 1, "why=\"message 1: the primary answered FORMERR\""},
    /* Knot, with a journal that does not fit together (github.com/NLnetLabs/nsd issue 479) */
    {PRIMARY_IXFR_SERVFAIL, true, 1, 1, "why=\"message 1: the primary answered SERVFAIL\""},
    {PRIMARY_IXFR_REFUSED, true, 1, 1, "why=\"message 1: the primary answered REFUSED\""},
    {PRIMARY_IXFR_ABSENT, false, 1, 1,
     "warn answer to IXFR dropped: the whole zone is fetched instead zone=a.example. primary=" P1
     " kind=\"does not fit\" why=\"message 1, record 3 (h999999.a.example. A): to be deleted, but "
     "we do not have it\""},
    /* over the kept connection, over a fresh one, and after a hint once more after the check */
    {PRIMARY_IXFR_CURRENT, false, 2, 2,
     "warn answer to IXFR is an SOA that is not newer than ours, though the primary had told a "
     "newer one: the whole zone is fetched instead"},
    /* over the kept connection, over a fresh one; AXFR */
    {PRIMARY_IXFR_CLOSES, false, 2, 3, "kind=closed"},
};
/* RFC 1995 2 (who does not know it), 4 (what does not fit) */
START_TEST(answer_to_ixfr_is_wrong)
{
    for (int hint = 0; hint < 2; hint++) {
        begin(ONE, no_gap);
        news(by(11, wrong[_i].how), hint);
        arrived(11);
        bool again = wrong[_i].how == PRIMARY_IXFR_CURRENT && hint;
        ck_assert_uint_eq(p1->ixfr, wrong[_i].asked + again);
        ck_assert_uint_eq(p1->axfr, 2);
        ck_assert_uint_eq(counters()->transfers_failed, 0);
        ck_assert_uint_eq(counters()->transfers_axfr, 2);
        ck_assert_uint_eq(counters()->ixfr_refused, wrong[_i].refused);
        ck_assert_uint_eq(counters()->ixfr_dropped, !wrong[_i].refused);
        ck_assert_msg(daemon_said(&d, home(wrong[_i].says)) == 1, "%s", daemon_log(&d));
        ck_assert_uint_eq(p1->connections, wrong[_i].connections);
        /* and differences are asked for again the next time */
        news(by(12, PRIMARY_IXFR_SENDS), false);
        arrived(12);
        ck_assert_uint_eq(counters()->transfers_ixfr, 1);
        ck_assert_uint_eq(p1->axfr, 2);
        end();
    }
}
END_TEST

/* RFC 1995 4: an answer in the form of AXFR is an answer. */
START_TEST(answered_in_full)
{
    begin(ONE, no_gap);
    news(by(11, PRIMARY_IXFR_FULL), true);
    arrived(11);
    ck_assert_uint_eq(p1->ixfr, 1);
    ck_assert_uint_eq(p1->axfr, 1);
    ck_assert_uint_eq(counters()->transfers_axfr, 2);
    ck_assert_uint_eq(counters()->ixfr_dropped + counters()->ixfr_refused, 0);
    ck_assert_uint_eq(daemon_said(&d, "serial=11 asked=IXFR got=AXFR "), 1);
    end();
}
END_TEST

/* RFC 1995 4, RFC 5936 2.3: nothing is applied before the closing SOA. A cut is the network's, not a reason to ask for more at once; the next transfer is in full (knot 3.2.4). */
START_TEST(cut_ixfr_is_followed_by_axfr_in_the_next_round)
{
    begin(ONE, no_gap);
    news(by(11, PRIMARY_IXFR_DIES), false);
    UNTIL(&d, counters()->transfers_failed == 1 && daemon_idle(&d, Z));
    ck_assert(daemon_serves(&d, Z, 10));
    ck_assert_uint_eq(p1->axfr, 1);
    daemon_notify(&d, Z, P1, NULL);
    arrived(11);
    ck_assert_uint_eq(p1->ixfr, 1);
    ck_assert_uint_eq(p1->axfr, 2);
    news(by(12, PRIMARY_IXFR_SENDS), false);
    arrived(12);
    ck_assert_uint_eq(p1->ixfr, 2);
    ck_assert_uint_eq(p1->axfr, 2);
    end();
}
END_TEST

START_TEST(remote_without_ixfr)
{
    begin(NO_IXFR, no_gap);
    news(by(11, PRIMARY_IXFR_SENDS), true);
    arrived(11);
    ck_assert_uint_eq(p1->ixfr, 0);
    ck_assert_uint_eq(p1->axfr, 2);
    ck_assert_uint_eq(p1->soa_udp, 2);
    end();
}
END_TEST

START_TEST(retransfer_is_in_full)
{
    begin(ONE, no_gap);
    xfrin_retransfer(d.server.xfrin, daemon_zone(&d, Z));
    UNTIL(&d, counters()->transfers_ok == 2 && daemon_idle(&d, Z));
    ck_assert_uint_eq(p1->ixfr, 0);
    ck_assert_uint_eq(p1->axfr, 2);
    end();
}
END_TEST

/* primary_pin: from another primary the whole zone comes first; without it, differences. */
START_TEST(pinned_to_the_primary)
{
    bool pinned = _i;
    begin(pinned ? PINNED : BOTH, no_gap);
    for (uint32_t serial = 11; serial <= 12; serial++) {
        play(p2, by(serial, PRIMARY_IXFR_SENDS));
        daemon_notify(&d, Z, P2, &serial);
        arrived(serial);
        ck_assert_uint_eq(p2->axfr, pinned);
        ck_assert_uint_eq(p2->ixfr, serial - 10 - pinned);
    }
    play(p1, by(13, PRIMARY_IXFR_SENDS));
    daemon_notify(&d, Z, P1, &(uint32_t){13});
    arrived(13);
    ck_assert_uint_eq(p1->axfr, 1 + pinned);
    ck_assert_uint_eq(p1->ixfr, !pinned);
    end();
}
END_TEST

/* RFC 5936 4.1.1: a primary may close a kept connection at any time: seen at once, or the query is asked again over a fresh one (RFC 7766 6.2.3). */
START_TEST(primary_closes_after_each_answer)
{
    begin(ONE, no_gap);
    for (uint32_t serial = 11; serial <= 15; serial++) {
        struct primary_play closes = by(serial, PRIMARY_IXFR_SENDS);
        closes.closes = true;
        news(closes, true);
        arrived(serial);
    }
    ck_assert_uint_eq(p1->connections, 5); /* the first one served the AXFR, too */
    ck_assert_uint_eq(counters()->transfers_failed, 0);
    UNTIL(&d, d.server.xfrin->kept == 0);
    end();
}
END_TEST

static void short_keep(struct xfrin_tuning *t)
{
    no_gap(t);
    t->keep_ms = 20;
}

START_TEST(kept_connections_end)
{
    begin(ONE, short_keep);
    UNTIL(&d, d.server.xfrin->kept == 0);
    news(by(11, PRIMARY_IXFR_SENDS), true);
    arrived(11);
    ck_assert_uint_eq(p1->connections, 2);
    end();
}
END_TEST

/* What comes behind the end makes the connection useless, not the zone. */
START_TEST(a_message_too_many)
{
    begin(ONE, no_gap);
    news(by(11, PRIMARY_IXFR_LATE_END), true);
    arrived(11);
    news(by(12, PRIMARY_IXFR_SENDS), true);
    arrived(12);
    ck_assert_uint_eq(counters()->transfers_ixfr, 2);
    ck_assert_uint_eq(counters()->transfers_failed, 0);
    ck_assert_uint_eq(p1->connections, 2);
    end();
}
END_TEST

/* RFC 5936 4.1.1: many zones of one primary share its connections; the check over TCP and the transfer, too. */
START_TEST(zones_share_connections)
{
    enum { ZONES = 30 };
    char conf[ZONES * 80 + 200], *p = conf;
    p += sprintf(p, "server = { listen = (\"127.0.0.1@15499\"); transfers_in_per_primary = 3; };\n"
                    "remotes = ( { name = \"p1\"; address = \"" P1 "\"; } );\nzones = (");
    for (int i = 0; i < ZONES; i++)
        p += sprintf(p, "%s { name = \"z%d.example.\"; primaries = (\"p1\"); chain = (); }",
                     i ? "," : "", i);
    sprintf(p, ");");
    p1 = primary_start(P1);
    struct primary_play truncates = by(10, PRIMARY_IXFR_SENDS);
    truncates.soa = PRIMARY_TRUNCATES;
    play(p1, truncates);
    daemon_open(&d, 1, conf, no_gap);
    for (int i = 0; i < ZONES; i++) {
        char name[32];
        sprintf(name, "z%d.example.", i);
        UNTIL(&d, daemon_serves(&d, name, 10) && daemon_idle(&d, name));
    }
    ck_assert_uint_eq(p1->axfr, ZONES);
    ck_assert_uint_eq(p1->soa_tcp, ZONES);
    ck_assert_uint_le(p1->transfers_most, 3);
    ck_assert_uint_le(p1->connections, ZONES + 3); /* checks all go out at once */
    unsigned before = p1->connections;
    play(p1, by(11, PRIMARY_IXFR_SENDS));
    for (int i = 0; i < ZONES; i++) {
        char name[32];
        sprintf(name, "z%d.example.", i);
        daemon_notify(&d, name, P1, &(uint32_t){11});
    }
    for (int i = 0; i < ZONES; i++) {
        char name[32];
        sprintf(name, "z%d.example.", i);
        UNTIL(&d, daemon_serves(&d, name, 11) && daemon_idle(&d, name));
    }
    ck_assert_uint_eq(p1->ixfr, ZONES);
    ck_assert_uint_eq(p1->connections, before);
    end();
}
END_TEST

/* Ten thousand zones of the same primary want to come in, and its transfers stand still: the one that has news is served at once, since a
 * part of the slots is kept for it. And so when they only want to be checked and the primary does not answer: P2's news comes. */
START_TEST(ten_thousand_zones_delay_nobody)
{
    enum { ZONES = 10000 };
    bool checks = _i;
    char *conf = malloc(ZONES * 90 + 400), *p = conf;
    p1 = primary_start(P1);
    p2 = primary_start(P2);
    play(p1, by(10, PRIMARY_IXFR_SENDS));
    play(p2, by(10, PRIMARY_IXFR_SENDS));
    daemon_open(&d, 1, checks ? ONE_AT_P2 : ONE, no_gap);
    arrived(10);
    struct primary_play stands = by(10, PRIMARY_IXFR_SENDS);
    stands.gate_axfr = !checks;
    stands.gate_soa = checks;
    play(p1, stands);
    p +=
        sprintf(p, BOTH_REMOTES "zones = ( { name = \"" Z "\"; primaries = (\"%s\"); chain = (); }",
                checks ? "p2" : "p1");
    for (int i = 0; i < ZONES; i++)
        p += sprintf(p, ", { name = \"z%d.example.\"; primaries = (\"p1\"); chain = (); }", i);
    sprintf(p, ");");
    daemon_reload(&d, conf);
    unsigned stale = checks ? d.server.xfrin->tuning.checks_stale_max : 6;
    UNTIL(&d, checks ? d.server.xfrin->checks == stale : d.server.xfrin->transfers == stale);
    if (!checks)
        UNTIL(&d, d.server.xfrin->checks == 0); /* all the others have been checked, and wait */
    struct primary_play news_ = stands;
    news_.serial = 11;
    news_.gate_soa = false;
    struct primary *from = checks ? p2 : p1;
    play(from, news_);
    double began = daemon_now();
    daemon_notify(&d, Z, checks ? P2 : P1, &news_.serial);
    UNTIL(&d, daemon_serves(&d, Z, 11));
    double took = daemon_now() - began;
    ck_assert_uint_eq(checks ? d.server.xfrin->checks : d.server.xfrin->transfers, stale);
    ck_assert_msg(took < 5, "%.3f s",
                  took); /* milliseconds; a sanitizer on a busy machine is slow */
    printf("served %.1f ms after the NOTIFY\n", took * 1e3);
    free(conf);
    end();
}
END_TEST

/* ---- a primary from before EDNS, over TCP: FORMERR without OPT, then the same without */

START_TEST(no_edns_over_tcp)
{
    p1 = primary_start(P1);
    struct primary_play old = by(10, PRIMARY_IXFR_NOTIMP);
    old.soa = PRIMARY_SILENT;
    old.tcp_formerr = true;
    play(p1, old);
    daemon_open(&d, 1, ONE, impatient);
    arrived(10);
    ck_assert_uint_eq(p1->soa_tcp, 2);
    ck_assert_uint_eq(p1->axfr, 1);
    end();
}
END_TEST

START_TEST(no_edns_in_axfr)
{
    p1 = primary_start(P1);
    struct primary_play old = by(10, PRIMARY_IXFR_NOTIMP);
    old.tcp_formerr = true;
    play(p1, old);
    daemon_open(&d, 1, ONE, no_gap);
    arrived(10);
    ck_assert_uint_eq(p1->axfr, 2);
    ck_assert_uint_eq(counters()->transfers_failed, 0);
    end();
}
END_TEST

/* ---- EDNS EXPIRE (RFC 7314) */

static struct primary_play expiring(uint32_t serial, uint32_t expire_s)
{
    struct primary_play p = by(serial, PRIMARY_IXFR_SENDS);
    p.has_expire = true;
    p.expire_in_s = expire_s;
    p.refresh = p.retry = 1;
    return p;
}

static time_t expires_in(void)
{
    struct zone *z = daemon_zone(&d, Z);
    return z->expires_at - z->checked_at;
}

/* Section 4: a transfer begins with the primary's time, be it less than the SOA's expire (86,400); more than that does not count. */
START_TEST(expire_of_a_transfer)
{
    begin(ONE, no_gap);
    ck_assert_int_eq(expires_in(), 86400);
    news(expiring(11, 5000), true);
    arrived(11);
    ck_assert_int_le(expires_in(), 5001);
    ck_assert_int_ge(expires_in(), 4999);
    news(expiring(12, 500000), true);
    arrived(12);
    ck_assert_int_eq(expires_in(), 86400);
    news(by(13, PRIMARY_IXFR_SENDS), true); /* no option: the SOA counts */
    arrived(13);
    ck_assert_int_eq(expires_in(), 86400);
    end();
}
END_TEST

/* Section 4: at a refresh the longer of the primary's time and what is left of ours. */
START_TEST(expire_of_a_refresh)
{
    begin(ONE, no_gap);
    news(expiring(11, 5000), true);
    arrived(11);
    time_t at = daemon_zone(&d, Z)->expires_at;
    news(expiring(11, 3000), false); /* less than ours: ours stays, though it was checked again */
    UNTIL(&d, counters()->checks_ok == 2 && daemon_idle(&d, Z));
    ck_assert_int_le(labs(daemon_zone(&d, Z)->expires_at - at), 1);
    news(expiring(11, 7000), false);
    UNTIL(&d, counters()->checks_ok == 3 && daemon_idle(&d, Z));
    ck_assert_int_ge(expires_in(), 6999);
    ck_assert_int_le(expires_in(), 7001);
    end();
}
END_TEST

/* A primary whose own copy dies in a second, and does: so does ours; when it is well again, we are. */
START_TEST(expire_is_obeyed)
{
    begin(ONE, no_gap);
    news(expiring(11, 1), true);
    arrived(11);
    struct primary_play gone = expiring(11, 0);
    play(p1, gone);
    UNTIL(&d, atomic_load(&daemon_zone(&d, Z)->expired));
    uint64_t checks = counters()->checks_ok;
    UNTIL(&d, counters()->checks_ok > checks && daemon_idle(&d, Z));
    ck_assert(atomic_load(&daemon_zone(&d, Z)->expired));
    play(p1, expiring(11, 1000));
    UNTIL(&d, !atomic_load(&daemon_zone(&d, Z)->expired));
    ck_assert_uint_eq(daemon_said(&d, "zone expired"), 1);
    end();
}
END_TEST

int main(void)
{
    struct suite s = suite_open("xfrin_ixfr");
    suite_add(s, differences_are_asked_for);
    suite_add(s, what_is_asked);
    suite_add(s, notify_with_a_newer_serial_goes_straight_to_ixfr);
    suite_add(s, notify_that_lies_is_not_believed_twice);
    tcase_add_loop_test(s.tcase, answer_to_ixfr_is_wrong, 0, sizeof wrong / sizeof *wrong);
    suite_add(s, kept_connection_leads_to_an_older_zone);
    suite_add(s, answered_in_full);
    suite_add(s, cut_ixfr_is_followed_by_axfr_in_the_next_round);
    suite_add(s, remote_without_ixfr);
    suite_add(s, retransfer_is_in_full);
    tcase_add_loop_test(s.tcase, pinned_to_the_primary, 0, 2);
    suite_add(s, primary_closes_after_each_answer);
    suite_add(s, kept_connections_end);
    suite_add(s, a_message_too_many);
    suite_add(s, zones_share_connections);
    tcase_add_loop_test(s.tcase, ten_thousand_zones_delay_nobody, 0, 2);
    suite_add(s, no_edns_over_tcp);
    suite_add(s, no_edns_in_axfr);
    suite_add(s, expire_of_a_transfer);
    suite_add(s, expire_of_a_refresh);
    suite_add(s, expire_is_obeyed);
    return suite_run(s);
}
