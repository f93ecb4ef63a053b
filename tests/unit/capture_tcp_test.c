/* capture_tcp: connections out of segments. Packets are made up one by one; what is handed over is compared octet for octet with what was said. */
#include <stdlib.h>

#include "tests/lib/packet_case.h"

/* ---- order ----------------------------------------------------------------------------------------------- */

START_TEST(test_plain)
{
    ask();
    talk_say(&talk, 1, answer.octets, answer.len);
    talk_close(&talk);
    expect_the_one();
    const struct capture_transfer *t = &play.transfer[0].about;
    char text[ADDRESS_TEXT_MAX], name[NAME_TEXT_MAX];
    ck_assert_str_eq(name_print(t->zone, name), ZONE);
    ck_assert_str_eq(address_print(&t->secondary, text), CLIENT);
    ck_assert_str_eq(address_print(&t->primary, text), SERVER);
    ck_assert_uint_eq(t->qtype, RR_AXFR);
    ck_assert_uint_eq(t->id, 7);
    ck_assert_int_eq(t->began.tv_sec, 1700000000);
    ck_assert_int_eq(t->began.tv_nsec, 3000000); /* after the handshake */
    ck_assert_int_eq(t->ended.tv_nsec, 4000000);
    ck_assert_uint_eq(play.summary.packets, 8);
    ck_assert_uint_eq(play.summary.connections, 1);
    ck_assert_uint_eq(play.summary.transfers, 1);
    ck_assert_uint_eq(play.summary.ignored_packets, 0);
    ck_assert_uint_eq(play.summary.retransmitted, 0);
    ck_assert_uint_eq(play.summary.reordered, 0);
    ck_assert_uint_eq(play.summary.headless, 0);
    ck_assert_uint_eq(play.summary.unread_octets, 0);
}
END_TEST

START_TEST(test_octet_by_octet)
{
    talk_open(&talk);
    for (size_t i = 0; i < query.len; i++)
        talk_say(&talk, 0, query.octets + i, 1);
    for (size_t i = 0; i < answer.len; i++)
        talk_say(&talk, 1, answer.octets + i, 1);
    expect_the_one();
}
END_TEST

START_TEST(test_reordered)
{
    ask();
    for (size_t at = answer.len; at > 0;) { /* backwards */
        size_t from = at > 13 ? at - 13 : 0;
        put_answer(from, at);
        at = from;
    }
    expect_the_one();
    ck_assert_uint_eq(play.summary.reordered, (answer.len - 1) / 13);
}
END_TEST

START_TEST(test_retransmitted)
{
    ask();
    talk_put(&talk, 0, 0, PACKET_ACK, query.octets, query.len);
    put_answer(0, 40);
    put_answer(0, 40);
    put_answer(80, 120); /* waits, and a copy of it */
    put_answer(80, 120);
    put_answer(10, 30);
    put_answer(40, 80);
    put_answer(120, answer.len);
    put_answer(0, answer.len);
    expect_the_one();
    ck_assert_uint_eq(play.summary.retransmitted, 5);
}
END_TEST

START_TEST(test_overlapping_copies_do_not_replace)
{
    uint8_t junk[200];
    memset(junk, 0xaa, sizeof junk);
    ask();
    put_answer(0, 50);
    talk_put(&talk, 1, 0, PACKET_ACK, junk, 50); /* a forger, too late */
    put_answer(30, 90);                          /* overlaps what was read */
    put_answer(120, 150);                        /* overlaps of what waits */
    put_answer(110, 140);
    talk_put(&talk, 1, 60, PACKET_ACK, junk, 20);
    put_answer(80, 130);
    put_answer(145, answer.len);
    expect_the_one();
}
END_TEST

START_TEST(test_numbers_wrap)
{
    for (uint32_t back = 0; back < answer.len + 2; back += 7) {
        tape_free(&tape);
        tape_begin(&tape, DLT_RAW);
        talk = talk_between(&tape, CLIENT, SERVER, 0u - (back % 20), 0u - back);
        ask();
        put_answer(100, answer.len);
        put_answer(50, 100);
        put_answer(0, 60);
        talk.said[1] = answer.len;
        talk_close(&talk);
        expect_the_one();
        play_free(&play);
    }
}
END_TEST

START_TEST(test_fin_with_data_and_too_early)
{
    ask();
    /* the FIN comes first, with the last octets */
    talk_put(&talk, 1, 100, PACKET_ACK | PACKET_FIN, answer.octets + 100, answer.len - 100);
    put_answer(0, 100);
    expect_the_one();
}
END_TEST

START_TEST(test_syn_again_and_with_data)
{
    talk_put(&talk, 0, (size_t)-1, PACKET_SYN, NULL, 0);
    talk_put(&talk, 0, (size_t)-1, PACKET_SYN, NULL, 0);
    talk_put(&talk, 1, (size_t)-1, PACKET_SYN | PACKET_ACK, NULL, 0);
    talk_put(&talk, 1, (size_t)-1, PACKET_SYN | PACKET_ACK, NULL, 0);
    talk_say(&talk, 0, query.octets, query.len);
    talk_put(&talk, 0, (size_t)-1, PACKET_SYN, NULL, 0); /* late */
    talk_say(&talk, 1, answer.octets, answer.len);
    expect_the_one();
    ck_assert_uint_eq(play.summary.connections, 1);
    /* fast open: the query rides on the SYN */
    set_up_again(DLT_RAW);
    talk_put(&talk, 0, (size_t)-1, PACKET_SYN, query.octets, query.len);
    talk.said[0] = query.len;
    talk_put(&talk, 1, (size_t)-1, PACKET_SYN | PACKET_ACK, NULL, 0);
    talk_say(&talk, 1, answer.octets, answer.len);
    expect_the_one();
}
END_TEST

START_TEST(test_keepalives_and_far_off_numbers_are_nothing)
{
    ask();
    talk_put(&talk, 0, query.len - 1, PACKET_ACK, "x", 1);
    put_answer(0, 100);
    talk_put(&talk, 1, 99, PACKET_ACK, "", 1);
    talk_put(&talk, 1, (size_t)3 << 29, PACKET_ACK, "zz", 2); /* no window reaches that far */
    talk_put(&talk, 1, (size_t)1 << 31, PACKET_RST, NULL, 0);
    put_answer(100, answer.len);
    expect_the_one();
    ck_assert_uint_eq(play.summary.ignored_packets, 2);
}
END_TEST

/* ---- loss ------------------------------------------------------------------------------------------------ */

START_TEST(test_a_gap_is_loss)
{
    ask();
    put_answer(0, 50);
    put_answer(62, answer.len);
    talk.said[1] = answer.len;
    talk_close(&talk);
    play_tape(&play, &tape);
    ck_assert_uint_eq(play.n, 1);
    expect_problem(0, "12 octets lost after octet 50 of the stream from " SERVER " to " CLIENT);
    ck_assert_uint_eq(play.summary.lost_octets, 12);
    ck_assert_uint_eq(play.transfer[0].nmessages, 0);
}
END_TEST

/* The last segment is missing, and one thing or another tells. */
static void lose_the_end(size_t lost, bool fin, bool acked, bool rst)
{
    tape_free(&tape);
    set_up_again(DLT_RAW);
    ask();
    put_answer(0, answer.len - lost);
    talk.said[1] = answer.len;
    if (fin)
        talk_put(&talk, 1, answer.len, PACKET_FIN | PACKET_ACK, NULL, 0);
    talk.said[1] += fin;
    if (acked)
        talk_put(&talk, 0, talk.said[0], PACKET_ACK, NULL, 0);
    if (rst)
        talk_put(&talk, 1, answer.len, PACKET_RST, NULL, 0);
    play_tape(&play, &tape);
    ck_assert_uint_eq(play.n, 1);
}

START_TEST(test_the_last_octets_are_lost)
{
    char want[100];
    snprintf(want, sizeof want, "21 octets lost after octet %zu of", answer.len - 21);
    lose_the_end(21, true, true, false);
    expect_problem(0, want);
    lose_the_end(21, true, false, false);
    expect_problem(0, want);
    lose_the_end(21, false, true, false);
    expect_problem(0, want);
    ck_assert_uint_eq(play.summary.lost_octets, 21);
    lose_the_end(1, true, false, false);
    expect_problem(0, "1 octets lost after octet");
    lose_the_end(21, false, false, false);
    expect_problem(0, "the capture ends before the transfer does");
    lose_the_end(21, false, true, true);
    expect_problem(0, want);
    lose_the_end(21, false, false, true);
    expect_problem(0, "the connection was reset by " SERVER);
}
END_TEST

START_TEST(test_snap_length_is_loss)
{
    ask();
    tape.snap = 24 + 32 + 70;
    put_answer(0, 100);
    tape.snap = 0;
    put_answer(100, answer.len);
    play_tape(&play, &tape);
    expect_problem(0, "30 octets lost after octet 70 of");
    expect_problem(0, "snap length");
}
END_TEST

START_TEST(test_snap_length_healed_by_a_copy)
{
    ask();
    tape.snap = 24 + 32 + 70;
    put_answer(0, 100);
    tape.snap = 0;
    put_answer(0, 100);
    put_answer(100, answer.len);
    expect_the_one();
}
END_TEST

START_TEST(test_packets_cut_in_their_headers)
{
    ask();
    for (size_t snap = 1; snap < 24 + 32; snap++) {
        tape.snap = snap;
        put_answer(0, answer.len);
    }
    play_tape(&play, &tape);
    ck_assert_int_eq(play.err, 0);
    ck_assert_uint_eq(play.summary.ignored_packets, 24 + 32 - 1);
    ck_assert_uint_eq(play.n, 1);
    expect_problem(0, "the capture ends before the transfer does");
}
END_TEST

/* A gap that is never filled, with more behind it than waits: the loss is told, and the next transfer on the connection is read. */
START_TEST(test_the_stream_is_found_again_after_loss)
{
    struct script second = {0}, filler = {0};
    static uint8_t big[60000];
    ask();
    put_answer(0, 50);
    size_t at = answer.len + 12;
    for (size_t n = 0; n < CAPTURE_WAITING; n += sizeof big, at += sizeof big)
        talk_put(&talk, 1, at, PACKET_ACK, big, sizeof big);
    talk.said[1] = at;
    script_query(&second, 8, "two.example.", RR_AXFR);
    talk_say(&talk, 0, second.octets, second.len);
    script_answer(&filler, 8, "two.example.", RR_AXFR, 0, "S1 R1 S1");
    talk_say(&talk, 1, filler.octets, filler.len);
    talk_say(&talk, 0, query.octets, query.len); /* and a third one, with another gap */
    at = talk.said[1];
    talk.said[1] += 20;
    talk_close(&talk);
    play_tape(&play, &tape);
    ck_assert_uint_eq(play.n, 3);
    char want[100];
    snprintf(want, sizeof want, "20 octets lost after octet %zu of", at);
    expect_problem(2, want);
    snprintf(want, sizeof want, "%zu octets lost after octet 50 of", answer.len + 12 - 50);
    expect_problem(0, want);
    expect_whole(1, &filler);
    ck_assert_uint_eq(play.transfer[0].ended_as, 1);
    script_free(&second);
    script_free(&filler);
}
END_TEST

START_TEST(test_many_small_pieces_wait_and_no_more)
{
    ask();
    for (size_t i = 0; i < CAPTURE_PIECES + 10; i++)
        talk_put(&talk, 1, 1 + 2 * i, PACKET_ACK, "x", 1);
    put_answer(0, answer.len); /* too late */
    play_tape(&play, &tape);
    expect_problem(0, "1 octets lost after octet 0 of");
}
END_TEST

START_TEST(test_loss_on_the_other_side_harms_nothing)
{
    ask();
    put_answer(0, 80);
    talk_put(&talk, 0, query.len + 100, PACKET_ACK, "abcdefgh",
             8); /* a gap in the client's stream */
    put_answer(80, answer.len);
    play_tape(&play, &tape);
    ck_assert_uint_eq(play.n, 1);
    expect_whole(0, &answer);
    ck_assert_uint_eq(play.summary.lost_octets, 100);
}
END_TEST

/* The query is lost, which the answer shows by what it acknowledges, and tells by itself what it is. */
START_TEST(test_a_lost_query)
{
    talk_open(&talk);
    talk.said[0] = query.len;
    talk_say(&talk, 1, answer.octets, answer.len);
    talk_close(&talk);
    play_tape(&play, &tape);
    ck_assert_int_eq(play.err, 0);
    ck_assert_uint_eq(play.n, 1);
    expect_whole(0, &answer);
    ck_assert_uint_eq(play.summary.lost_octets, query.len);
}
END_TEST

/* … or is only late in the capture. */
START_TEST(test_a_late_query)
{
    talk_open(&talk);
    talk.said[0] = query.len;
    size_t first = 2u + get_u16(answer.octets); /* a whole message */
    talk_say(&talk, 1, answer.octets, first);
    talk_put(&talk, 0, 0, PACKET_ACK, query.octets, query.len);
    talk_say(&talk, 1, answer.octets + first, answer.len - first);
    expect_the_one();
}
END_TEST

/* … so late that all of the answer was there before it. */
START_TEST(test_a_query_after_its_answer)
{
    talk_open(&talk);
    talk.said[0] = query.len;
    talk_say(&talk, 1, answer.octets, answer.len);
    talk_put(&talk, 0, 0, PACKET_ACK, query.octets, query.len);
    expect_the_one();
}
END_TEST

/* An answer that nobody asked for, as far as all is known, is none. */
START_TEST(test_an_answer_without_a_query)
{
    talk_open(&talk);
    talk_say(&talk, 1, answer.octets, answer.len);
    play_tape(&play, &tape);
    ck_assert_uint_eq(play.n, 0);
}
END_TEST

/* ---- ends ------------------------------------------------------------------------------------------------ */

START_TEST(test_the_primary_closes_early)
{
    struct script half = {0};
    ask();
    script_answer(&half, 7, ZONE, RR_AXFR, 0, "S9 R1");
    talk_say(&talk, 1, half.octets, half.len);
    talk_put(&talk, 1, half.len, PACKET_FIN | PACKET_ACK, NULL, 0);
    put_answer(half.len + 1, answer.len); /* after the FIN: nobody reads that */
    play_tape(&play, &tape);
    ck_assert_uint_eq(play.n, 1);
    expect_whole(0, &half); /* in order: that it is not a whole zone is zone/transfer's word */
    script_free(&half);
}
END_TEST

START_TEST(test_closed_within_a_message)
{
    ask();
    talk_say(&talk, 1, answer.octets, 60);
    talk_close(&talk);
    play_tape(&play, &tape);
    expect_problem(0, "closed in order within a message, after 58 of its");
    set_up_again(DLT_RAW);
    ask();
    talk_say(&talk, 1, answer.octets, 1);
    talk_close(&talk);
    play_tape(&play, &tape);
    expect_problem(0, "closed in order within a length prefix");
}
END_TEST

START_TEST(test_half_closed_by_the_secondary)
{
    ask();
    talk_put(&talk, 0, query.len, PACKET_FIN | PACKET_ACK, NULL, 0);
    talk_say(&talk, 1, answer.octets, answer.len);
    expect_the_one();
}
END_TEST

START_TEST(test_reset)
{
    ask();
    put_answer(0, 100);
    talk_put(&talk, 0, query.len, PACKET_RST, NULL, 0);
    put_answer(100, answer.len); /* was on its way */
    play_tape(&play, &tape);
    ck_assert_uint_eq(play.n, 1);
    expect_problem(0, "the connection was reset by " CLIENT);
    ck_assert_uint_eq(play.summary.connections, 1);
    ck_assert_uint_eq(play.summary.headless, 0);
}
END_TEST

START_TEST(test_never_answered)
{
    ask();
    play_tape(&play, &tape);
    ck_assert_uint_eq(play.n, 1);
    ck_assert_uint_eq(play.transfer[0].nmessages, 0);
    expect_problem(0, "the capture ends before the transfer does");
    set_up_again(DLT_RAW);
    ask();
    talk_close(&talk);
    play_tape(&play, &tape);
    ck_assert_ptr_null(play.transfer[0].problem);
    ck_assert_uint_eq(play.transfer[0].nmessages, 0);
}
END_TEST

START_TEST(test_ports_used_again)
{
    ask();
    put_answer(0, 100); /* and its end is missing */
    talk.first[0] += 77777;
    talk.first[1] += 88888;
    talk.said[0] = talk.said[1] = 0;
    ask();
    talk_say(&talk, 1, answer.octets, answer.len);
    talk_close(&talk);
    talk.said[0] = talk.said[1] = 0; /* the same numbers, after the end of that one */
    ask();
    talk_say(&talk, 1, answer.octets, answer.len);
    play_tape(&play, &tape);
    ck_assert_uint_eq(play.n, 3);
    ck_assert_uint_eq(play.summary.connections, 3);
    expect_problem(0, "a new connection took its ports");
    expect_whole(1, &answer);
    expect_whole(2, &answer);
}
END_TEST

/* ---- beginnings that are missing ------------------------------------------------------------------------- */

START_TEST(test_began_before_the_capture)
{
    talk_put(&talk, 1, 0, PACKET_ACK, "some octets of a message before", 31);
    talk.said[1] = 31;
    talk.said[0] = 1234;
    talk_say(&talk, 0, query.octets, query.len);
    talk_say(&talk, 1, answer.octets, 90);
    talk_say(&talk, 1, answer.octets + 90, answer.len - 90);
    talk_close(&talk);
    expect_the_one();
    ck_assert_uint_eq(play.summary.headless, 1);
    ck_assert_uint_eq(play.summary.unread_octets, 31);
}
END_TEST

START_TEST(test_began_before_the_capture_and_cannot_be_read)
{
    talk_say(&talk, 0, query.octets, query.len);
    talk.said[1] = 40;
    talk_say(&talk, 1, answer.octets + 40, answer.len - 40);
    play_tape(&play, &tape);
    ck_assert_uint_eq(play.n, 1);
    expect_problem(0, "the connection began before the capture");
    ck_assert_uint_eq(play.summary.unread_octets, answer.len - 40);
}
END_TEST

START_TEST(test_query_before_the_capture)
{
    talk_say(&talk, 1, answer.octets, answer.len);
    expect_the_one();
    char text[ADDRESS_TEXT_MAX];
    ck_assert_str_eq(address_print(&play.transfer[0].about.primary, text), SERVER);
}
END_TEST

START_TEST(test_one_syn_is_missing)
{
    /* the client's; without the first message's question nothing could be recognised */
    struct script bare = {0};
    script_answer(&bare, 7, ZONE, 0, 0, "S9 R1 S9");
    talk_put(&talk, 1, (size_t)-1, PACKET_SYN | PACKET_ACK, NULL, 0);
    talk_say(&talk, 0, query.octets, query.len);
    talk_say(&talk, 1, bare.octets, bare.len);
    play_tape(&play, &tape);
    ck_assert_uint_eq(play.n, 1);
    expect_whole(0, &bare);
    ck_assert_uint_eq(play.summary.headless, 0);
    /* the server's */
    set_up_again(DLT_RAW);
    talk_put(&talk, 0, (size_t)-1, PACKET_SYN, NULL, 0);
    talk_say(&talk, 0, query.octets, query.len);
    talk_put(&talk, 1, 30, PACKET_ACK, bare.octets + 30, bare.len - 30);
    talk_put(&talk, 1, 0, PACKET_ACK, bare.octets, 30);
    play_tape(&play, &tape);
    ck_assert_uint_eq(play.n, 1);
    expect_whole(0, &bare);
    script_free(&bare);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("capture_tcp");
    tcase_add_checked_fixture(s.tcase, set_up, tear_down);
    suite_add(s, test_plain);
    suite_add(s, test_octet_by_octet);
    suite_add(s, test_reordered);
    suite_add(s, test_retransmitted);
    suite_add(s, test_overlapping_copies_do_not_replace);
    suite_add(s, test_numbers_wrap);
    suite_add(s, test_fin_with_data_and_too_early);
    suite_add(s, test_syn_again_and_with_data);
    suite_add(s, test_keepalives_and_far_off_numbers_are_nothing);
    suite_add(s, test_a_gap_is_loss);
    suite_add(s, test_the_last_octets_are_lost);
    suite_add(s, test_snap_length_is_loss);
    suite_add(s, test_snap_length_healed_by_a_copy);
    suite_add(s, test_packets_cut_in_their_headers);
    suite_add(s, test_the_stream_is_found_again_after_loss);
    suite_add(s, test_many_small_pieces_wait_and_no_more);
    suite_add(s, test_loss_on_the_other_side_harms_nothing);
    suite_add(s, test_a_lost_query);
    suite_add(s, test_a_late_query);
    suite_add(s, test_a_query_after_its_answer);
    suite_add(s, test_an_answer_without_a_query);
    suite_add(s, test_the_primary_closes_early);
    suite_add(s, test_closed_within_a_message);
    suite_add(s, test_half_closed_by_the_secondary);
    suite_add(s, test_reset);
    suite_add(s, test_never_answered);
    suite_add(s, test_ports_used_again);
    suite_add(s, test_began_before_the_capture);
    suite_add(s, test_began_before_the_capture_and_cannot_be_read);
    suite_add(s, test_query_before_the_capture);
    suite_add(s, test_one_syn_is_missing);
    return suite_run(s);
}
