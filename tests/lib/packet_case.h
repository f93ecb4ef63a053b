/* packet_case: what the tests of the capture reader share: a tape, a talk on it between CLIENT and SERVER, and one transfer of ZONE.
 *
 * WHAT   set_up and tear_down are the fixture of each test; ask() opens the talk and says the query; expect_the_one() plays the
 *        tape and wants the transfer back, octet for octet.
 */
#ifndef WEIR_TESTS_PACKET_CASE_H
#define WEIR_TESTS_PACKET_CASE_H

#include "tests/lib/packets.h"
#include "tests/lib/suite.h"

#include <pcap/pcap.h>
#include <string.h>

#define CLIENT "192.0.2.1@4000"
#define SERVER "192.0.2.53@53"
#define ZONE   "example."

static struct tape tape;
static struct play play;
static struct talk talk;
static struct script query, answer;

/* One transfer in two messages, ID 7, and its query. */
static inline void set_up(void)
{
    tape_begin(&tape, DLT_RAW);
    talk = talk_between(&tape, CLIENT, SERVER, 1000, 5000);
    script_query(&query, 7, ZONE, RR_AXFR);
    script_answer(&answer, 7, ZONE, RR_AXFR, 0, "S9 R1 R2 R3");
    script_answer(&answer, 7, ZONE, 0, 0, "R4 R5 R6 S9");
}

static inline void tear_down(void)
{
    tape_free(&tape);
    play_free(&play);
    script_free(&query);
    script_free(&answer);
}

static inline void expect_whole(size_t i, const struct script *want)
{
    ck_assert_uint_lt(i, play.n);
    const struct played *t = &play.transfer[i];
    ck_assert_msg(!t->problem, "transfer %zu: %s", i + 1, t->problem);
    ck_assert_uint_eq(t->messages.len, want->len);
    ck_assert_mem_eq(t->messages.octets, want->octets, want->len);
}

static inline void expect_problem(size_t i, const char *part)
{
    ck_assert_uint_lt(i, play.n);
    const char *problem = play.transfer[i].problem;
    ck_assert_ptr_nonnull(problem);
    ck_assert_msg(strstr(problem, part) != NULL, "\"%s\" is not in \"%s\"", part, problem);
}

/* The tape so far gives the one transfer, whole. */
static inline void expect_the_one(void)
{
    play_tape(&play, &tape);
    ck_assert_int_eq(play.err, 0);
    ck_assert_uint_eq(play.n, 1);
    expect_whole(0, &answer);
    ck_assert_uint_eq(play.summary.lost_octets, 0);
}

static inline void ask(void)
{
    talk_open(&talk);
    talk_say(&talk, 0, query.octets, query.len);
}

/* [from, to) of the answer's stream, wherever the talk is. */
static inline void put_answer(size_t from, size_t to)
{
    talk_put(&talk, 1, from, PACKET_ACK, answer.octets + from, to - from);
}

/* Empties the stage for another tape in the same test. */
static inline void set_up_again(int link)
{
    tape_free(&tape);
    play_free(&play);
    tape_begin(&tape, link);
    talk.said[0] = talk.said[1] = 0;
}

#endif
