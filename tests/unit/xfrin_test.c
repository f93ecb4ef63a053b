/* xfrin: rounds against primaries that behave, misbehave, lag, lie and die. What bounds transfers, checks and time is in
 * xfrin_limits_test.c, files are in xfrin_file_test.c. */
#include "tests/lib/rounds.h"

#include "pipeline/base/alloc.h"
#include "pipeline/base/json.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REMOTES                                                                                    \
    "server = { listen = (\"127.0.0.1@15499\"); };\n"                                              \
    "remotes = ( { name = \"p1\"; address = \"" P1 "\"; },\n"                                      \
    "            { name = \"p2\"; address = \"" P2 "\"; source = \"127.0.0.9\"; } );\n"
#define ONE  REMOTES "zones = ( { name = \"" Z "\"; primaries = (\"p1\"); chain = (); } );"
#define BOTH REMOTES "zones = ( { name = \"" Z "\"; primaries = (\"p1\", \"p2\"); chain = (); } );"

static struct primary_play soa(uint32_t serial, enum primary_soa how)
{
    struct primary_play p = good(serial);
    p.soa = how;
    return p;
}

static struct primary_play axfr(uint32_t serial, enum primary_axfr how)
{
    struct primary_play p = good(serial);
    p.axfr = how;
    p.records = 200;
    return p;
}

/* The first round is over: serial 10 is there. */
static void begin(const char *config, void (*tune)(struct xfrin_tuning *))
{
    p1 = primary_start(P1);
    p2 = primary_start(P2);
    daemon_open(&d, 1, config, tune);
    arrived(10);
}

/* ---- the serial check */

START_TEST(first_load)
{
    p1 = primary_start(P1);
    time_t before = time(NULL);
    daemon_open(&d, 1, ONE, patient);
    arrived(10);
    ck_assert_uint_eq(p1->soa_udp, 1);
    ck_assert_uint_eq(p1->edns, 1);
    ck_assert_uint_eq(p1->soa_tcp, 0);
    ck_assert_uint_eq(p1->axfr, 1);
    struct zone *z = daemon_zone(&d, Z);
    ck_assert_uint_eq(z->counters.checks_ok, 1);
    ck_assert_uint_eq(z->counters.transfers_ok, 1);
    ck_assert_uint_eq(z->counters.accepted, 1);
    ck_assert_int_ge(z->checked_at, before);
    ck_assert_int_ge(z->check_at, before + 3240 - 1); /* refresh 3600 ± 10 % */
    ck_assert_int_le(z->check_at, time(NULL) + 3960 + 1);
    ck_assert_int_eq(z->expires_at, z->checked_at + 86400);
    ck_assert_ptr_null(z->last_error);
    struct version *v = zone_version(z);
    ck_assert_str_eq(v->origin, home(P1));
    ck_assert_uint_eq(v->served->records, 7);
    version_unref(v);
    ck_assert_uint_eq(daemon_said(&d, "info transfer complete zone=a.example. primary=" P1), 1);
    end();
}
END_TEST

START_TEST(same_serial_is_not_fetched)
{
    begin(ONE, patient);
    daemon_notify(&d, Z, P1, NULL);
    UNTIL(&d, counters()->checks_ok == 2 && daemon_idle(&d, Z));
    ck_assert_uint_eq(p1->axfr, 1);
    play(p1, good(11));
    daemon_notify(&d, Z, P1, &(uint32_t){11});
    UNTIL(&d, daemon_serves(&d, Z, 11));
    ck_assert_uint_eq(p1->axfr, 2);
    end();
}
END_TEST

START_TEST(serials_wrap)
{
    p1 = primary_start(P1);
    play(p1, good(4294967290u));
    daemon_open(&d, 1, ONE, no_gap);
    arrived(4294967290u);
    play(p1, good(5));
    daemon_notify(&d, Z, P1, NULL);
    arrived(5);
    play(p1, good(5 + 0x80000000u)); /* neither newer nor older */
    daemon_notify(&d, Z, P1, NULL);
    UNTIL(&d, counters()->checks_ok == 3 && daemon_idle(&d, Z));
    ck_assert(daemon_serves(&d, Z, 5));
    ck_assert_uint_eq(p1->axfr, 2);
    end();
}
END_TEST

START_TEST(failover_from_a_dead_host)
{
    p2 = primary_start(P2);
    daemon_open(&d, 1, BOTH, patient);
    UNTIL(&d, daemon_serves(&d, Z, 10));
    ck_assert_uint_eq(daemon_said(&d, "warn serial check failed zone=a.example. primary=" P1
                                      " why=\"cannot connect: Connection refused\""),
                      1);
    ck_assert_uint_eq(counters()->checks_failed, 1);
    end();
}
END_TEST

/* Three tries over UDP, one over TCP, all of them without an answer. */
START_TEST(failover_from_a_silent_host)
{
    p1 = primary_start(P1);
    p2 = primary_start(P2);
    struct primary_play silent = soa(10, PRIMARY_SILENT);
    silent.gate_soa = true;
    play(p1, silent);
    daemon_open(&d, 1, BOTH, impatient);
    daemon_in(&d, Z)->x->tuning.connect_ms = 200;
    UNTIL(&d, daemon_serves(&d, Z, 10));
    ck_assert_uint_eq(p1->soa_udp, 3);
    ck_assert_uint_eq(p1->soa_tcp, 1);
    ck_assert_uint_eq(daemon_said(&d, "primary=" P1), 1);
    ck_assert_uint_eq(daemon_said(&d, "serial check failed"), 1);
    end();
}
END_TEST

START_TEST(udp_lost_tcp_answers)
{
    p1 = primary_start(P1);
    play(p1, soa(10, PRIMARY_SILENT));
    daemon_open(&d, 1, ONE, impatient);
    UNTIL(&d, daemon_serves(&d, Z, 10));
    ck_assert_uint_eq(p1->soa_udp, 3);
    ck_assert_uint_eq(p1->soa_tcp, 1);
    end();
}
END_TEST

START_TEST(cut_answer_is_asked_again_over_tcp)
{
    p1 = primary_start(P1);
    play(p1, soa(10, PRIMARY_TRUNCATES));
    daemon_open(&d, 1, ONE, patient);
    UNTIL(&d, daemon_serves(&d, Z, 10));
    ck_assert_uint_eq(p1->soa_udp, 1);
    ck_assert_uint_eq(p1->soa_tcp, 1);
    end();
}
END_TEST

START_TEST(wrong_id_does_not_end_the_wait)
{
    p1 = primary_start(P1);
    play(p1, soa(10, PRIMARY_WRONG_ID));
    daemon_open(&d, 1, ONE, patient);
    UNTIL(&d, daemon_serves(&d, Z, 10));
    ck_assert_uint_eq(counters()->checks_failed, 0);
    ck_assert_uint_eq(p1->soa_tcp, 0);
    end();
}
END_TEST

START_TEST(wrong_question_over_udp_and_tcp)
{
    p1 = primary_start(P1);
    play(p1, soa(10, PRIMARY_WRONG_QUESTION));
    daemon_open(&d, 1, ONE, impatient);
    UNTIL(&d, counters()->checks_failed == 1);
    ck_assert_uint_eq(daemon_said(&d,
                                  "it answered another question; 3 datagrams with another ID or "
                                  "question were ignored"),
                      1);
    end();
}
END_TEST

START_TEST(server_without_edns)
{
    p1 = primary_start(P1);
    play(p1, soa(10, PRIMARY_KNOWS_NO_EDNS));
    daemon_open(&d, 1, ONE, no_gap);
    arrived(10);
    ck_assert_uint_eq(p1->soa_udp, 2);
    ck_assert_uint_eq(p1->edns, 1);
    daemon_notify(&d, Z, P1, NULL); /* it is remembered */
    UNTIL(&d, counters()->checks_ok == 2);
    ck_assert_uint_eq(p1->edns, 1);
    end();
}
END_TEST

START_TEST(lame_primaries)
{
    static const struct {
        enum primary_soa how;
        const char *why;
    } row[] = {
        {PRIMARY_NO_SOA, "its answer has no SOA record: it does not serve the zone"},
        {PRIMARY_SAYS_REFUSED, "it answered with RCODE REFUSED"},
    };
    p1 = primary_start(P1);
    p2 = primary_start(P2);
    play(p1, soa(10, row[_i].how));
    daemon_open(&d, 1, BOTH, patient);
    UNTIL(&d, daemon_serves(&d, Z, 10));
    ck_assert_uint_eq(daemon_said(&d, row[_i].why), 1);
    ck_assert_uint_eq(p1->axfr, 0);
    end();
}
END_TEST

/* RFC 5936 2.2.1 wants AA; who forgets it has the zone all the same. */
START_TEST(answer_without_aa_is_taken_and_noted_once)
{
    p1 = primary_start(P1);
    play(p1, soa(10, PRIMARY_NO_AA));
    daemon_open(&d, 1, ONE, no_gap);
    arrived(10);
    daemon_notify(&d, Z, P1, NULL);
    UNTIL(&d, counters()->checks_ok == 2);
    ck_assert_uint_eq(daemon_said(&d, "without the AA bit"), 1);
    end();
}
END_TEST

/* ---- transfers that go wrong: the words an operator sees */

static const struct {
    enum primary_axfr how;
    const char *why;
} wrong[] = {
    {PRIMARY_DIES, "the stream ended"},
    {PRIMARY_DIES_BETWEEN, "the stream ended"},
    {PRIMARY_NOT_IT, "message 1, record 1 (h0.a.example. A): the first record is not the SOA"},
    {PRIMARY_OUTSIDE, "message 1, record 4 (h1.outside.invalid. A): owner is outside the zone"},
    {PRIMARY_CHAOS_CLASS, "message 1, record 4 (h1.a.example. A): class is 3, not IN"},
    {PRIMARY_RCODE, "SERVFAIL"},
    {PRIMARY_XFR_WRONG_ID, "message 1: "},
    {PRIMARY_XFR_WRONG_QUESTION, "message 1: question is other. class 1 AXFR, not what was asked"},
    {PRIMARY_TC, "message 2: "},
    {PRIMARY_OTHER_SERIAL_LAST, "a second SOA with serial 11; the transfer began with serial 10"},
    {PRIMARY_EMPTY_MESSAGE, "message 2: "},
    {PRIMARY_SHORT_RDATA, "message 1, record 4 ("},
};

/* RFC 5936 2.2, 6: whatever is wrong, nothing of it is used. */
START_TEST(wrong_transfer_is_refused_whole_and_the_next_primary_asked)
{
    p1 = primary_start(P1);
    p2 = primary_start(P2);
    play(p1, axfr(10, wrong[_i].how));
    play(p2, good(12));
    daemon_open(&d, 1, BOTH, no_gap);
    arrived(12);
    ck_assert_uint_eq(daemon_said(&d, wrong[_i].why), 1);
    ck_assert_uint_eq(daemon_said(&d, "warn transfer failed zone=a.example. primary=" P1 " why=\""),
                      1);
    ck_assert_uint_eq(counters()->transfers_failed, 1);
    ck_assert_uint_eq(counters()->transfers_ok, 1);
    ck_assert_uint_eq(counters()->accepted, 1);
    struct version *v = zone_version(daemon_zone(&d, Z));
    ck_assert_uint_eq(v->served->records, 7); /* nothing of the first one is in there */
    version_unref(v);
    end();
}
END_TEST

/* RFC 5936 6: the version that is held is untouched, and status says why it is not renewed. */
START_TEST(last_good_version_stays)
{
    begin(ONE, no_gap);
    time_t before = time(NULL);
    play(p1, axfr(11, PRIMARY_DIES));
    daemon_notify(&d, Z, P1, NULL);
    UNTIL(&d, counters()->transfers_failed == 1 && daemon_idle(&d, Z));
    ck_assert(daemon_serves(&d, Z, 10));
    struct zone *z = daemon_zone(&d, Z);
    ck_assert_ptr_eq(strstr(z->last_error, home("transfer failed: " P1 ": ")), z->last_error);
    ck_assert_int_le(z->check_at, time(NULL) + 660 + 1); /* retry 600 ± 10 % */
    ck_assert_int_ge(z->check_at, before + 540 - 1);
    struct json *j = json_new();
    json_object(j, NULL);
    xfrin_json(d.server.xfrin, z, j);
    json_end(j);
    ck_assert_ptr_nonnull(strstr(json_text(j, NULL), "\"error\":\"transfer failed: "));
    ck_assert_ptr_nonnull(strstr(json_text(j, NULL), "\"doing\":\"idle\""));
    json_free(&j);
    play(p1, good(11));
    daemon_notify(&d, Z, P1, NULL);
    arrived(11);
    ck_assert_ptr_null(z->last_error);
    ck_assert_uint_eq(daemon_said(&d, "primary answers again"), 1);
    end();
}
END_TEST

/* RFC 5936 2.3: an aborted transfer is begun again, but neither without end nor more and more often: after SOA retry, doubled each
 * time; and a primary that says NOTIFY all the while is asked once a second. */
START_TEST(aborted_transfers_are_asked_for_again_less_and_less)
{
    double failed[5];
    p1 = primary_start(P1);
    struct primary_play dies = good(10);
    dies.retry = 1;
    play(p1, dies);
    daemon_open(&d, 1,
                REMOTES "zones = ( { name = \"" Z
                        "\"; primaries = (\"p1\"); chain = (); retry_min = 1; } );",
                patient);
    arrived(10);
    dies = axfr(11, PRIMARY_DIES);
    play(p1, dies);
    daemon_notify(&d, Z, P1, NULL);
    for (unsigned i = 0; i < 3; i++) {
        UNTIL(&d, counters()->transfers_failed == i + 1 && daemon_idle(&d, Z));
        failed[i] = daemon_now();
    }
    ck_assert(failed[1] - failed[0] > 0.85 && failed[2] - failed[1] > 1.7); /* 1 s, 2 s, ± 10 % */
    for (unsigned i = 3; i < 5; i++) {
        UNTIL(&d, (daemon_notify(&d, Z, P1, NULL), counters()->transfers_failed == i + 1) &&
                      daemon_idle(&d, Z));
        failed[i] = daemon_now();
    }
    ck_assert(failed[4] - failed[3] > 0.95);
    ck_assert_uint_eq(p1->axfr, 6);
    ck_assert(daemon_serves(&d, Z, 10));
    end();
}
END_TEST

/* A primary whose zone moves under its own transfers ends them with another SOA than it began (as that of ee. did): refused, and
 * fetched again by itself. */
START_TEST(zone_that_moves_under_its_transfer_is_fetched_again)
{
    p1 = primary_start(P1);
    struct primary_play moves = axfr(10, PRIMARY_OTHER_SERIAL_LAST);
    play(p1, moves);
    daemon_open(&d, 1, ONE, patient);
    UNTIL(&d, counters()->transfers_failed == 1 && daemon_idle(&d, Z));
    play(p1, good(11));
    arrived(11);
    ck_assert_uint_eq(p1->axfr, 2);
    end();
}
END_TEST

START_TEST(transfer_with_an_older_serial_than_told)
{
    begin(ONE, no_gap);
    play(p1, axfr(15, PRIMARY_SERVES_OLDER));
    daemon_notify(&d, Z, P1, NULL);
    UNTIL(&d, counters()->transfers_failed == 1 && daemon_idle(&d, Z));
    ck_assert_uint_eq(daemon_said(&d, "message 1: serial 10 is not newer than ours, 10"), 1);
    ck_assert_uint_eq(counters()->accepted, 1);
    end();
}
END_TEST

/* ---- serials that go back */

START_TEST(older_serial_is_followed_only_on_order)
{
    p1 = primary_start(P1);
    play(p1, good(20));
    daemon_open(&d, 1, ONE, no_gap);
    arrived(20);
    play(p1, good(15));
    daemon_notify(&d, Z, P1, NULL);
    UNTIL(&d, counters()->checks_ok == 2 && daemon_idle(&d, Z));
    ck_assert(daemon_serves(&d, Z, 20));
    ck_assert_uint_eq(p1->axfr, 1);
    ck_assert_uint_eq(
        daemon_said(&d, "warn serial of the primary is older than ours zone=a.example."), 1);
    ck_assert_uint_eq(daemon_said(&d, "it has serial 15 and we hold 20"), 1);
    ck_assert_ptr_nonnull(daemon_zone(&d, Z)->last_error);
    xfrin_retransfer(d.server.xfrin, daemon_zone(&d, Z));
    UNTIL(&d, daemon_serves(&d, Z, 15));
    end();
}
END_TEST

START_TEST(primary_that_lags_does_not_hide_one_that_does_not)
{
    p1 = primary_start(P1);
    p2 = primary_start(P2);
    play(p1, good(20));
    play(p2, good(20));
    daemon_open(&d, 1, BOTH, no_gap);
    arrived(20);
    play(p1, good(15));
    play(p2, good(21));
    daemon_notify(&d, Z, P1, NULL);
    UNTIL(&d, daemon_serves(&d, Z, 21));
    end();
}
END_TEST

START_TEST(retransfer_takes_the_same_serial_again)
{
    begin(ONE, patient);
    struct primary_play more = good(10);
    more.records = 30;
    play(p1, more);
    xfrin_retransfer(d.server.xfrin, daemon_zone(&d, Z));
    UNTIL(&d, d.events[ZONE_ACCEPTED] == 2 && daemon_idle(&d, Z));
    struct version *v = zone_version(daemon_zone(&d, Z));
    ck_assert_uint_eq(v->served->records, 32);
    version_unref(v);
    xfrin_retransfer(d.server.xfrin, daemon_zone(&d, Z));
    UNTIL(&d, d.events[ZONE_UNCHANGED] == 1 && daemon_idle(&d, Z));
    end();
}
END_TEST

/* ---- NOTIFY */

/* RFC 1996 4.4: one check is outstanding; what comes meanwhile asks for one more, together. */
START_TEST(notifies_during_a_check_give_one_more)
{
    p1 = primary_start(P1);
    daemon_open(&d, 1, ONE, no_gap);
    arrived(10);
    struct primary_play shut = good(10);
    shut.gate_soa = true;
    play(p1, shut);
    daemon_notify(&d, Z, P1, NULL);
    UNTIL(&d, p1->soa_udp == 2);
    for (int i = 0; i < 50; i++)
        daemon_notify(&d, Z, P1, NULL);
    daemon_turn(&d);
    play(p1, good(10));
    UNTIL(&d, counters()->checks_ok == 3 && daemon_idle(&d, Z));
    for (int i = 0; i < 20; i++)
        daemon_turn(&d);
    ck_assert_uint_eq(p1->soa_udp, 3);
    end();
}
END_TEST

/* RFC 1996 4.4, 3.11 */
START_TEST(notify_during_a_transfer_gives_one_more_check)
{
    begin(ONE, no_gap);
    struct primary_play shut = good(11);
    shut.gate_axfr = true;
    play(p1, shut);
    daemon_notify(&d, Z, P1, NULL);
    UNTIL(&d, p1->axfr == 2);
    daemon_notify(&d, Z, P1, &(uint32_t){12});
    daemon_notify(&d, Z, P1, &(uint32_t){12});
    daemon_turn(&d);
    play(p1, good(11)); /* the transfer under way was of serial 11 */
    arrived(11);
    UNTIL(&d, counters()->checks_ok == 3 && daemon_idle(&d, Z));
    ck_assert_uint_eq(p1->soa_udp, 3);
    ck_assert_uint_eq(p1->axfr, 2);
    end();
}
END_TEST

/* RFC 1996 3.7, 4.4: a NOTIFY that led to nothing keeps the next one waiting, but not one with news. */
START_TEST(notifies_without_news_are_answered_once_a_second)
{
    begin(ONE, patient);
    daemon_notify(&d, Z, P1, &(uint32_t){10});
    UNTIL(&d, counters()->checks_ok == 2 && daemon_idle(&d, Z));
    int64_t first = p1->soa_at_us;
    daemon_notify(&d, Z, P1, &(uint32_t){10});
    UNTIL(&d, counters()->checks_ok == 3 && daemon_idle(&d, Z));
    ck_assert_int_ge(p1->soa_at_us - first, 990000);
    play(p1, good(11));
    daemon_notify(&d, Z, P1, &(uint32_t){11});
    daemon_turn(&d);
    ck_assert(!ev_is_active(&daemon_in(&d, Z)->due) || daemon_serves(&d, Z, 11)); /* at once */
    arrived(11);
    end();
}
END_TEST

/* One promise that is not kept is enough: the next one waits. */
START_TEST(notifies_that_lie_are_answered_once_a_second)
{
    begin(ONE, patient);
    daemon_notify(&d, Z, P1, &(uint32_t){99});
    UNTIL(&d, counters()->checks_ok == 2 && daemon_idle(&d, Z));
    int64_t first = p1->soa_at_us;
    daemon_notify(&d, Z, P1, &(uint32_t){100});
    UNTIL(&d, counters()->checks_ok == 3 && daemon_idle(&d, Z));
    ck_assert_int_ge(p1->soa_at_us - first, 990000);
    end();
}
END_TEST

/* RFC 1996 3.11: as if REFRESH had run out, and of the primary that said so. */
START_TEST(primary_that_notifies_is_asked_first)
{
    begin(BOTH, no_gap);
    ck_assert_uint_eq(p2->soa_udp, 0);
    play(p2, good(11));
    daemon_notify(&d, Z, "HOST2@40000", NULL);
    arrived(11);
    ck_assert_uint_eq(p1->soa_udp, 1);
    ck_assert_uint_eq(p2->axfr, 1);
    play(p1, good(12));
    daemon_notify(&d, Z, "192.0.2.1@53", NULL); /* allowed, but none of them */
    UNTIL(&d, daemon_serves(&d, Z, 12));
    ck_assert_uint_eq(p2->soa_udp, 1);
    end();
}
END_TEST

/* ---- what the chain says */

START_TEST(refused_content_is_not_fetched_again)
{
    begin(BOTH, no_gap);
    play(p1, good(19));
    play(p2, good(19));
    daemon_notify(&d, Z, P1, NULL);
    UNTIL(&d, d.events[ZONE_REFUSED] == 2 && daemon_idle(&d, Z)); /* one from each */
    ck_assert_uint_eq(p1->axfr + p2->axfr, 3);
    ck_assert_int_eq(daemon_zone(&d, Z)->expires_at, daemon_zone(&d, Z)->checked_at + 86400);
    for (unsigned i = 1; i <= 3; i++) {
        daemon_notify(&d, Z, P1, NULL);
        UNTIL(&d, p1->soa_udp + p2->soa_udp == 3 + 2 * i && daemon_idle(&d, Z));
    }
    ck_assert_uint_eq(p1->axfr + p2->axfr, 3);
    play(p2, good(20)); /* mended at one of them */
    daemon_notify(&d, Z, P1, NULL);
    arrived(20);
    ck_assert_uint_eq(p1->axfr + p2->axfr, 4);
    end();
}
END_TEST

/* A NOTIFY that told its serial was not wrong: it came, and is not asked for once more because of that word. */
START_TEST(refused_content_that_a_notify_told_of)
{
    begin(ONE, no_gap);
    play(p1, good(19));
    for (unsigned i = 0; i < 2; i++) {
        daemon_notify(&d, Z, P1, &(uint32_t){19});
        UNTIL(&d, d.events[ZONE_REFUSED] == 1 && daemon_idle(&d, Z));
        for (int turn = 0; turn < 20; turn++)
            daemon_turn(&d);
    }
    UNTIL(&d, daemon_idle(&d, Z));
    ck_assert_uint_eq(d.events[ZONE_REFUSED], 1);
    ck_assert_uint_eq(p1->axfr, 2);
    end();
}
END_TEST

/* … until the back-off is over, again and again, less and less often. */
START_TEST(refused_content_is_fetched_after_the_back_off)
{
    p1 = primary_start(P1);
    struct primary_play bad = good(19);
    bad.retry = 1;
    play(p1, bad);
    daemon_open(&d, 1, ONE, patient);
    UNTIL(&d, d.events[ZONE_REFUSED] == 1 && daemon_idle(&d, Z));
    double first = daemon_now();
    UNTIL(&d, d.events[ZONE_REFUSED] == 2 && daemon_idle(&d, Z));
    double second = daemon_now();
    UNTIL(&d, d.events[ZONE_REFUSED] == 3 && daemon_idle(&d, Z));
    double third = daemon_now();
    ck_assert(second - first > 0.85); /* 1 s ± 10 % */
    ck_assert(third - second > 1.7);  /* 2 s ± 10 % */
    ck_assert_uint_eq(p1->axfr, 3);
    end();
}
END_TEST

/* That another primary has what is served ends a round, but not the back-off. */
START_TEST(refused_content_is_not_fetched_again_while_another_primary_is_current)
{
    begin(BOTH, no_gap);
    play(p1, good(19));
    for (unsigned i = 1; i <= 4; i++) {
        daemon_notify(&d, Z, P1, NULL);
        UNTIL(&d, p2->soa_udp == i && daemon_idle(&d, Z));
    }
    ck_assert_uint_eq(p1->axfr, 2);
    ck_assert_uint_eq(counters()->refused, 1);
    ck_assert_ptr_nonnull(daemon_zone(&d, Z)->refused);
    play(p2, good(15)); /* a good one, not as new */
    daemon_notify(&d, Z, P1, NULL);
    arrived(15);
    daemon_notify(&d, Z, P1, NULL);
    UNTIL(&d, p2->soa_udp == 6 && daemon_idle(&d, Z));
    ck_assert_uint_eq(p1->axfr, 2);
    ck_assert_uint_eq(daemon_zone(&d, Z)->refused->serial, 19);
    play(p1, good(15)); /* taken back */
    daemon_notify(&d, Z, P1, NULL);
    UNTIL(&d, p1->soa_udp == 8 && daemon_idle(&d, Z));
    ck_assert_ptr_null(daemon_zone(&d, Z)->refused);
    ck_assert_uint_eq(daemon_said(&d, "refused version was withdrawn"), 1);
    end();
}
END_TEST

START_TEST(refused_content_is_fetched_on_order_and_on_reload)
{
    p1 = primary_start(P1);
    play(p1, good(19));
    daemon_open(&d, 1, ONE, patient);
    UNTIL(&d, d.events[ZONE_REFUSED] == 1 && daemon_idle(&d, Z));
    xfrin_retransfer(d.server.xfrin, daemon_zone(&d, Z));
    UNTIL(&d, d.events[ZONE_REFUSED] == 2 && daemon_idle(&d, Z));
    daemon_reload(&d, ONE);
    UNTIL(&d, d.events[ZONE_REFUSED] == 3 && daemon_idle(&d, Z));
    ck_assert_uint_eq(p1->axfr, 3);
    end();
}
END_TEST

START_TEST(held_content_waits_for_the_operator)
{
    p1 = primary_start(P1);
    struct why why;
    daemon_open(&d, 1, ONE, no_gap);
    arrived(10);
    play(p1, good(18));
    daemon_notify(&d, Z, P1, NULL);
    UNTIL(&d, d.events[ZONE_HELD] == 1 && daemon_idle(&d, Z));
    daemon_notify(&d, Z, P1, NULL);
    UNTIL(&d, counters()->checks_ok == 3 && daemon_idle(&d, Z));
    ck_assert_uint_eq(p1->axfr, 2);
    time_t before = time(NULL);
    ck_assert_int_eq(zone_approve(daemon_zone(&d, Z), NULL, &why), 0);
    UNTIL(&d, daemon_serves(&d, Z, 18) && d.events[ZONE_ACCEPTED] == 2);
    ck_assert_int_ge(daemon_zone(&d, Z)->check_at, before + 3240 - 1);
    end();
}
END_TEST

START_TEST(content_that_cannot_be_judged_is_fetched_again)
{
    p1 = primary_start(P1);
    struct primary_play later = good(17);
    play(p1, later);
    daemon_open(&d, 1, ONE, patient);
    UNTIL(&d, d.events[ZONE_RETRY] == 2);
    ck_assert_uint_ge(p1->axfr, 2);
    end();
}
END_TEST

/* A NOTIFY that names the version which cannot be judged is no reason to fetch it again and again. */
START_TEST(content_that_cannot_be_judged_waits_though_it_was_announced)
{
    p1 = primary_start(P1);
    uint32_t serial = 17;
    play(p1, good(17));
    daemon_open(&d, 1, ONE, no_gap);
    UNTIL(&d, d.events[ZONE_RETRY] == 1 && daemon_idle(&d, Z));
    double before = xfrin_now();
    daemon_notify(&d, Z, P1, &serial);
    UNTIL(&d, d.events[ZONE_RETRY] >= 4);
    ck_assert_double_ge(xfrin_now() - before, 1.0);
    end();
}
END_TEST

START_TEST(stages_are_woken)
{
    p1 = primary_start(P1);
    play(p1, good(16));
    daemon_open(&d, 1, ONE, patient);
    UNTIL(&d, d.events[ZONE_ACCEPTED] >= 2);
    ck_assert(daemon_serves(&d, Z, 16));
    ck_assert_uint_eq(p1->axfr, 1);
    end();
}
END_TEST

/* Keys are looked after, inputs are refused, again and again: none of it is a wake-up that brought nothing. */
START_TEST(nothing_puts_a_wake_up_off)
{
    p1 = primary_start(P1);
    play(p1, good(16));
    daemon_open(&d, 1, ONE, patient);
    UNTIL(&d, daemon_serves(&d, Z, 16));
    for (unsigned i = 0; i < 20; i++) {
        xfrin_outcome(d.server.xfrin,
                      &(struct zone_event){.zone = daemon_zone(&d, Z), .outcome = ZONE_KEYS});
        xfrin_outcome(d.server.xfrin,
                      &(struct zone_event){.zone = daemon_zone(&d, Z), .outcome = ZONE_REFUSED});
    }
    UNTIL(&d, d.events[ZONE_ACCEPTED] == 2);
    end();
}
END_TEST

/* ---- reloads, drops, ends */

START_TEST(zone_is_dropped_in_the_middle)
{
    p1 = primary_start(P1);
    struct primary_play shut = good(10);
    shut.gate_soa = _i == 0;
    shut.gate_axfr = _i == 1;
    play(p1, shut);
    daemon_open(&d, 1, ONE, patient);
    UNTIL(&d, _i == 0 ? p1->soa_udp > 0 : p1->axfr > 0);
    daemon_reload(&d, REMOTES "zones = ();");
    play(p1, good(10));
    daemon_reload(&d, ONE);
    arrived(10);
    ck_assert_uint_eq(d.server.xfrin->checks, 0);
    ck_assert_uint_eq(d.server.xfrin->transfers, 0);
    end();
}
END_TEST

START_TEST(primaries_change_in_the_middle)
{
    p1 = primary_start(P1);
    p2 = primary_start(P2);
    struct primary_play shut = good(10);
    shut.gate_soa = _i == 0;
    shut.gate_axfr = _i == 1;
    play(p1, shut);
    play(p2, good(20));
    daemon_open(&d, 1, ONE, patient);
    UNTIL(&d, _i == 0 ? p1->soa_udp > 0 : p1->axfr > 0);
    daemon_reload(&d,
                  REMOTES "zones = ( { name = \"" Z "\"; primaries = (\"p2\"); chain = (); } );");
    arrived(20);
    ck_assert_uint_eq(d.server.xfrin->transfers, 0);
    end();
}
END_TEST

START_TEST(stop_in_the_middle)
{
    p1 = primary_start(P1);
    struct primary_play shut = good(10);
    shut.gate_soa = _i == 0;
    shut.gate_axfr = _i == 1;
    play(p1, shut);
    daemon_open(&d, 1, ONE, patient);
    UNTIL(&d, _i == 0 ? p1->soa_udp > 0 : p1->axfr > 0);
    char *doing = xfrin_doing(d.server.xfrin, daemon_zone(&d, Z));
    ck_assert_str_eq(doing, _i == 0 ? home("asking " P1 " for its serial")
                                    : strstr(doing, "transferring "));
    mem_free(&doing);
    daemon_notify(&d, Z, P1, NULL); /* still on its way when all is freed */
    end();
}
END_TEST

START_TEST(chain_in_the_loops_own_thread)
{
    p1 = primary_start(P1);
    daemon_open(&d, 0, ONE, no_gap);
    arrived(10);
    play(p1, good(19));
    daemon_notify(&d, Z, P1, NULL);
    UNTIL(&d, d.events[ZONE_REFUSED] == 1 && daemon_idle(&d, Z));
    end();
}
END_TEST

int main(void)
{
    struct suite s = suite_open("xfrin");
    suite_add(s, first_load);
    suite_add(s, same_serial_is_not_fetched);
    suite_add(s, serials_wrap);
    suite_add(s, failover_from_a_dead_host);
    suite_add(s, failover_from_a_silent_host);
    suite_add(s, udp_lost_tcp_answers);
    suite_add(s, cut_answer_is_asked_again_over_tcp);
    suite_add(s, wrong_id_does_not_end_the_wait);
    suite_add(s, wrong_question_over_udp_and_tcp);
    suite_add(s, server_without_edns);
    tcase_add_loop_test(s.tcase, lame_primaries, 0, 2);
    suite_add(s, answer_without_aa_is_taken_and_noted_once);
    tcase_add_loop_test(s.tcase, wrong_transfer_is_refused_whole_and_the_next_primary_asked, 0,
                        (int)(sizeof wrong / sizeof wrong[0]));
    suite_add(s, last_good_version_stays);
    suite_add(s, zone_that_moves_under_its_transfer_is_fetched_again);
    suite_add(s, aborted_transfers_are_asked_for_again_less_and_less);
    suite_add(s, transfer_with_an_older_serial_than_told);
    suite_add(s, older_serial_is_followed_only_on_order);
    suite_add(s, primary_that_lags_does_not_hide_one_that_does_not);
    suite_add(s, retransfer_takes_the_same_serial_again);
    suite_add(s, notifies_during_a_check_give_one_more);
    suite_add(s, notify_during_a_transfer_gives_one_more_check);
    suite_add(s, notifies_without_news_are_answered_once_a_second);
    suite_add(s, notifies_that_lie_are_answered_once_a_second);
    suite_add(s, primary_that_notifies_is_asked_first);
    suite_add(s, refused_content_is_not_fetched_again);
    suite_add(s, refused_content_that_a_notify_told_of);
    suite_add(s, refused_content_is_fetched_after_the_back_off);
    suite_add(s, refused_content_is_not_fetched_again_while_another_primary_is_current);
    suite_add(s, refused_content_is_fetched_on_order_and_on_reload);
    suite_add(s, held_content_waits_for_the_operator);
    suite_add(s, content_that_cannot_be_judged_is_fetched_again);
    suite_add(s, content_that_cannot_be_judged_waits_though_it_was_announced);
    suite_add(s, stages_are_woken);
    suite_add(s, nothing_puts_a_wake_up_off);
    tcase_add_loop_test(s.tcase, zone_is_dropped_in_the_middle, 0, 2);
    tcase_add_loop_test(s.tcase, primaries_change_in_the_middle, 0, 2);
    tcase_add_loop_test(s.tcase, stop_in_the_middle, 0, 2);
    suite_add(s, chain_in_the_loops_own_thread);
    return suite_run(s);
}
