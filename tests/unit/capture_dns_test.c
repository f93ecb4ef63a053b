/* capture_dns: transfers out of streams: interleaved, one after another, odd, ended in every way. */
#include <stdlib.h>

#include "pipeline/base/alloc.h"
#include "tests/lib/packet_case.h"

/* ---- messages -------------------------------------------------------------------------------------------- */

START_TEST(test_interleaved_by_id)
{
    struct script ask_all = {0}, all = {0}, a = {0}, b = {0}, half = {0};
    script_query(&ask_all, 1, "a.example.", RR_AXFR);
    script_query(&ask_all, 2, "b.example.", RR_AXFR);
    script_query(&ask_all, 3, "a.example.", RR_SOA);
    struct step {
        struct script *of;
        uint16_t id, type;
        const char *zone, *records;
    };
    const struct step steps[] = {
        {&b, 2, RR_AXFR, "b.example.", "S5 R1"}, {&a, 1, RR_AXFR, "a.example.", "S4"},
        {&half, 3, RR_SOA, "a.example.", "S4"},  {&a, 1, 0, "a.example.", "R1 R2"},
        {&b, 2, 0, "b.example.", "R3"},          {&b, 2, 0, "b.example.", "S5"},
        {&a, 1, 0, "a.example.", "S4"}};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        script_answer(steps[i].of, steps[i].id, steps[i].zone, steps[i].type, 0, steps[i].records);
        script_answer(&all, steps[i].id, steps[i].zone, steps[i].type, 0, steps[i].records);
    }
    talk_open(&talk);
    talk_say(&talk, 0, ask_all.octets, ask_all.len);
    talk_say(&talk, 1, all.octets, all.len);
    play_tape(&play, &tape);
    ck_assert_uint_eq(play.n, 2);
    expect_whole(0, &a);
    expect_whole(1, &b);
    ck_assert_uint_eq(play.transfer[0].ended_as, 2);
    ck_assert_uint_eq(play.transfer[1].ended_as, 1);
    script_free(&ask_all);
    script_free(&all);
    script_free(&a);
    script_free(&b);
    script_free(&half);
}
END_TEST

START_TEST(test_one_after_another_and_not_wanted)
{
    struct script q = {0}, a = {0};
    talk_open(&talk);
    for (unsigned i = 0; i < 5; i++) {
        q.len = a.len = 0;
        script_query(&q, 7, ZONE, RR_AXFR); /* the ID again and again */
        script_answer(&a, 7, ZONE, RR_AXFR, 0, "S1 R1 S1");
        talk_say(&talk, 0, q.octets, q.len);
        talk_say(&talk, 1, a.octets, a.len);
    }
    play.refuse = 3;
    play_tape(&play, &tape);
    ck_assert_uint_eq(play.n, 5);
    for (size_t i = 0; i < 5; i++)
        if (i != 2)
            expect_whole(i, &a);
    ck_assert_uint_eq(play.transfer[2].nmessages, 0);
    script_free(&q);
    script_free(&a);
}
END_TEST

/* Either side of a connection may be the primary. */
START_TEST(test_who_opened_answers)
{
    talk_open(&talk);
    talk_say(&talk, 1, query.octets, query.len);
    talk_say(&talk, 0, answer.octets, answer.len);
    expect_the_one();
    char text[ADDRESS_TEXT_MAX];
    ck_assert_str_eq(address_print(&play.transfer[0].about.primary, text), CLIENT);
}
END_TEST

/* What the live reader refuses is handed on to be refused, and ends the transfer. */
static void expect_handed(const struct script *odd)
{
    ask();
    talk_say(&talk, 1, odd->octets, odd->len);
    talk_say(&talk, 1, answer.octets, answer.len);
    play_tape(&play, &tape);
    ck_assert_uint_eq(play.n, 1);
    expect_whole(0, odd);
    set_up_again(DLT_RAW);
}

START_TEST(test_odd_messages_are_handed_on)
{
    struct script odd = {0};
    script_add(&odd, NULL, 0);
    expect_handed(&odd);
    odd.len = 0;
    script_add(&odd, (const uint8_t *)"\0\7\x80\0\0\0\0\1\0\0\0", 11);
    expect_handed(&odd);
    odd.len = 0;
    script_answer(&odd, 8, ZONE, RR_AXFR, 0, "S9"); /* nobody asked with that ID */
    expect_handed(&odd);
    odd.len = 0;
    script_answer(&odd, 7, ZONE, RR_AXFR, RCODE_REFUSED, "");
    expect_handed(&odd);
    odd.len = 0;
    script_answer(&odd, 7, ZONE, RR_AXFR, 0, "R1 S9");
    expect_handed(&odd);
    odd.len = 0;
    script_query(&odd, 7, ZONE, RR_AXFR); /* no answer at all: QR is not set */
    expect_handed(&odd);
    odd.len = 0;
    script_answer(&odd, 7, ZONE, RR_AXFR, 0, "S9 R1");
    odd.octets[odd.len - 5] = 0xff; /* the length of rdata */
    expect_handed(&odd);
    odd.len = 0;
    script_answer(&odd, 7, ZONE, RR_AXFR, 0, "S9 R1 S10"); /* closes with another serial */
    expect_handed(&odd);
    script_free(&odd);
}
END_TEST

START_TEST(test_largest_message)
{
    struct script big = {0};
    uint8_t *msg = mem_zalloc(MSG_MAX);
    memcpy(msg, "\0\7\x84\0\0\0\0\0\0\0\0", 11); /* no records: 65,523 octets left over */
    script_add(&big, msg, MSG_MAX);
    mem_free(&msg);
    talk_open(&talk);
    talk_say(&talk, 0, query.octets, query.len);
    for (size_t at = 0; at < big.len; at += 1000)
        talk_say(&talk, 1, big.octets + at, big.len - at < 1000 ? big.len - at : 1000);
    play_tape(&play, &tape);
    ck_assert_uint_eq(play.n, 1);
    expect_whole(0, &big);
    script_free(&big);
}
END_TEST

static void expect_ixfr(uint32_t has, const char *first, const char *second, bool ends_with_first)
{
    struct script q = {0}, a = {0}, after = {0};
    script_ixfr(&q, 7, ZONE, has);
    script_answer(&a, 7, ZONE, RR_IXFR, 0, first);
    if (second)
        script_answer(&a, 7, ZONE, 0, 0, second);
    script_answer(&after, 7, ZONE, 0, 0, "R99");
    ask();
    play_tape(&play, &tape); /* only to have a fresh one */
    set_up_again(DLT_RAW);
    talk_open(&talk);
    talk_say(&talk, 0, q.octets, q.len);
    talk_say(&talk, 1, a.octets, a.len);
    talk_say(&talk, 1, after.octets, after.len);
    play_tape(&play, &tape);
    ck_assert_uint_eq(play.n, 1);
    ck_assert_uint_eq(play.transfer[0].about.qtype, RR_IXFR);
    ck_assert_msg(!play.transfer[0].problem, "%s: %s", first, play.transfer[0].problem);
    if (ends_with_first)
        ck_assert_uint_eq(play.transfer[0].nmessages, 1);
    else
        expect_whole(0, &a);
    play_free(&play);
    tape_begin(&tape, DLT_RAW);
    script_free(&q);
    script_free(&a);
    script_free(&after);
}

START_TEST(test_ends_of_ixfr)
{
    expect_ixfr(9, "S9", NULL, false);          /* up to date */
    expect_ixfr(8, "S9", "R1 R2 S9", false);    /* the zone, its SOA in a message of its own */
    expect_ixfr(8, "S9 R1 R2 S9", NULL, false); /* the zone */
    expect_ixfr(8, "S9 S8 R1 S9 R2 S9", NULL, false);
    expect_ixfr(7, "S9 S7 R1 S8 R2", "S8 R3 S9 R4 S9", false);
    expect_ixfr(8, "S9 S8 R1 S9", "R2 S9",
                false); /* the first message ends with the new SOA, which begins the additions */
    expect_ixfr(7, "S9 S7 S8 S8 S9 S9", "R1", true);
    expect_ixfr(0xfffffffe, "S1", "R1 R2 S1", false); /* serials wrap: 1 is newer */
    expect_ixfr(1, "S4294967294", NULL, false);
    expect_ixfr(0xfffffffe, "S1 S4294967294 R1 S1 S1", NULL, false);
}
END_TEST

START_TEST(test_too_many_open)
{
    struct script q = {0};
    for (uint16_t id = 1; id <= CAPTURE_OPEN + 3; id++)
        script_query(&q, id, ZONE, RR_AXFR);
    talk_open(&talk);
    talk_say(&talk, 0, q.octets, q.len);
    play_tape(&play, &tape);
    ck_assert_uint_eq(play.n, CAPTURE_OPEN + 3);
    for (size_t i = 0; i < play.n; i++)
        expect_problem(i, i < CAPTURE_OPEN ? "the capture ends" : "too many transfers are open");
    script_free(&q);
}
END_TEST

START_TEST(test_other_traffic)
{
    static const char *const lines[] = {"GET / HTTP/1.1\r\nHost: example\r\n\r\n",
                                        "EHLO example\r\n"};
    static uint8_t udp[] = {0x45, 0, 0,   28, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0,
                            2,    1, 192, 0,  2, 2, 0, 1, 0,  2,  0, 8, 0,   0};
    static uint8_t fragment[] = {0x45, 0, 0,   40, 0,      0, 0x20, 0, 64, 6, 0, 0, 192, 0,
                                 2,    1, 192, 0,  2,      2, 0,    1, 0,  2, 0, 0, 0,   1,
                                 0,    0, 0,   1,  5 << 4, 2, 0,    0, 0,  0, 0, 0};
    struct talk other = talk_between(&tape, "192.0.2.1@5000", "192.0.2.9@80", 1, 1);
    talk_open(&other);
    for (size_t i = 0; i < 2; i++)
        talk_say(&other, 0, lines[i], strlen(lines[i]));
    tape_ip(&tape, udp, sizeof udp);
    tape_ip(&tape, fragment, sizeof fragment);
    tape_ip(&tape, "\x15", 1);
    ask();
    talk_say(&other, 1, "\xff\xff junk", 7);
    talk_say(&talk, 1, answer.octets, answer.len);
    expect_the_one();
    ck_assert_uint_eq(play.summary.connections, 2);
    ck_assert_uint_eq(play.summary.ignored_packets, 3);
}
END_TEST

/* More connections than are remembered: the silent ones are given up, the busy one is not. */
START_TEST(test_too_many_connections)
{
    struct talk silent = talk_between(&tape, "192.0.2.99@4000", SERVER, 50, 60);
    talk_open(&silent);
    talk_say(&silent, 0, query.octets, query.len);
    ask();
    talk_say(&talk, 1, answer.octets, 100);
    for (unsigned i = 0; i < CAPTURE_CONNECTIONS + 10; i++) {
        struct talk k = silent;
        k.tape = &tape;
        k.side[0].v4.sin_addr.s_addr = htonl(0x0a000000 + i);
        talk_put(&k, 0, (size_t)-1, PACKET_SYN, NULL, 0);
        if (i % 1000 == 0)
            talk_put(&talk, 0, query.len, PACKET_ACK, NULL, 0);
    }
    talk_say(&talk, 1, answer.octets + 100, answer.len - 100);
    play_tape(&play, &tape);
    ck_assert_uint_eq(play.n, 2);
    expect_problem(0, "given up: too many connections");
    expect_whole(1, &answer);
    ck_assert_uint_eq(play.summary.connections, CAPTURE_CONNECTIONS + 12);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("capture_dns");
    tcase_add_checked_fixture(s.tcase, set_up, tear_down);
    suite_add(s, test_interleaved_by_id);
    suite_add(s, test_one_after_another_and_not_wanted);
    suite_add(s, test_who_opened_answers);
    suite_add(s, test_odd_messages_are_handed_on);
    suite_add(s, test_largest_message);
    suite_add(s, test_ends_of_ixfr);
    suite_add(s, test_too_many_open);
    suite_add(s, test_other_traffic);
    suite_add(s, test_too_many_connections);
    return suite_run(s);
}
