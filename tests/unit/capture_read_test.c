/* capture_read: link types, headers, files that cannot be read; and everything at once, at random. */
#include <stdlib.h>

#include "pipeline/base/alloc.h"
#include "tests/lib/packet_case.h"
#include "tests/lib/random.h"

/* ---- files ----------------------------------------------------------------------------------------------- */

static void read_wrapped(int link, bool v6, void (*change)(struct tape *))
{
    tape_free(&tape);
    tape_begin(&tape, link);
    if (change)
        change(&tape);
    talk = v6 ? talk_between(&tape, "2001:db8::1@4000", "2001:db8::53@53", 1, 2)
              : talk_between(&tape, CLIENT, SERVER, 1, 2);
    ask();
    put_answer(80, answer.len);
    put_answer(0, 80);
    expect_the_one();
    ck_assert_uint_eq(play.summary.ignored_packets, 0);
    play_free(&play);
}

static void with_padding(struct tape *t)
{
    t->padding = 6;
}
static void without_length(struct tape *t)
{
    t->no_length = true;
}
static void with_vlans(struct tape *t)
{
    t->vlans = 2;
}
static void with_extensions(struct tape *t)
{
    t->extensions = true;
}

START_TEST(test_every_link_type)
{
    static const int links[] = {DLT_EN10MB, DLT_LINUX_SLL, DLT_LINUX_SLL2,
                                DLT_NULL,   DLT_LOOP,      DLT_RAW};
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++)
        for (int v6 = 0; v6 < 2; v6++) {
            read_wrapped(links[i], v6, NULL);
            read_wrapped(links[i], v6, with_padding);
            read_wrapped(links[i], v6, without_length);
        }
    read_wrapped(DLT_IPV4, false, NULL);
    read_wrapped(DLT_IPV6, true, NULL);
    read_wrapped(DLT_EN10MB, false, with_vlans);
    read_wrapped(DLT_EN10MB, true, with_vlans);
    read_wrapped(DLT_RAW, true, with_extensions);
}
END_TEST

START_TEST(test_files_that_cannot_be_read)
{
    ask();
    talk_say(&talk, 1, answer.octets, answer.len);
    tape_end(&tape);
    /* cut within a packet: what came before counts, and the error says where */
    play_octets(&play, tape.octets, tape.len - 10);
    ck_assert_int_eq(play.err, -E_FORMAT);
    ck_assert_ptr_nonnull(strstr(play.why.text, "tape: after packet 4: "));
    ck_assert_uint_eq(play.n, 1);
    expect_problem(0, "the capture ends before the transfer does");
    play_free(&play);
    play_octets(&play, tape.octets, 10);
    ck_assert_int_eq(play.err, -E_FORMAT);
    play_free(&play);
    play_octets(&play, "no capture at all, but long enough", 34);
    ck_assert_int_eq(play.err, -E_FORMAT);
    play_free(&play);
    tape_free(&tape);
    tape_begin(&tape, DLT_IEEE802_11);
    play_tape(&play, &tape);
    ck_assert_int_eq(play.err, -E_UNSUPPORTED);
    ck_assert_str_eq(play.why.text, "tape: link type 105 (IEEE802_11) is not one that weir reads");
    struct capture_summary summary;
    struct why why;
    ck_assert_int_eq(capture_read("/nonexistent/x.pcap", NULL, NULL, &summary, &why), -E_IO);
    ck_assert_str_eq(why.text, "/nonexistent/x.pcap: No such file or directory");
}
END_TEST

/* ---- random ---------------------------------------------------------------------------------------------- */

enum { ROUNDS = 300, TRANSFERS = 4, SEGMENTS = 400 };

struct cut {
    int side;
    size_t at, len;
    uint64_t place; /* in the tape */
};

static int cut_cmp(const void *a, const void *b)
{
    uint64_t x = ((const struct cut *)a)->place, y = ((const struct cut *)b)->place;
    return (x > y) - (x < y);
}

/* Transfers with IDs 1 to TRANSFERS, their messages mixed. */
static void make_stream(struct random *r, struct script *asks, struct script *all,
                        struct script want[TRANSFERS])
{
    unsigned left[TRANSFERS], open = TRANSFERS;
    bool begun[TRANSFERS] = {false};
    char zone[32], records[400];
    for (unsigned i = 0; i < TRANSFERS; i++) {
        snprintf(zone, sizeof zone, "z%u.example.", i);
        script_query(asks, (uint16_t)(i + 1), zone, RR_AXFR);
        left[i] = 1 + (unsigned)random_below(r, 6);
    }
    while (open) {
        unsigned i = (unsigned)random_below(r, TRANSFERS);
        if (!left[i])
            continue;
        int n = snprintf(records, sizeof records, begun[i] ? " " : "S%u ", i);
        for (uint64_t k = random_below(r, 20); k > 0; k--)
            n += snprintf(records + n, sizeof records - (size_t)n, "R%u ", (unsigned)k);
        if (--left[i] == 0) {
            snprintf(records + n, sizeof records - (size_t)n, "S%u", i);
            open--;
        }
        snprintf(zone, sizeof zone, "z%u.example.", i);
        script_answer(&want[i], (uint16_t)(i + 1), zone, begun[i] ? 0 : RR_AXFR, 0, records);
        script_answer(all, (uint16_t)(i + 1), zone, begun[i] ? 0 : RR_AXFR, 0, records);
        begun[i] = true;
    }
}

/* Cuts a stream into segments that overlap, come twice, and come late by up to `late` places. */
static size_t make_cuts(struct random *r, int side, size_t len, uint64_t late, struct cut *out)
{
    size_t n = 0, at = 0;
    while (at < len) {
        size_t most = random_below(r, 2) ? 30 : 700;
        size_t want = 1 + random_below(r, most), take = want < len - at ? want : len - at;
        size_t back = random_below(r, 4) ? 0 : random_below(r, at + 1) % 50;
        ck_assert_uint_lt(n + 2, SEGMENTS);
        for (int copies = random_below(r, 6) ? 1 : 2; copies > 0; copies--)
            out[n++] =
                (struct cut){side, at - back, take + back,
                             ((uint64_t)side << 40) + n * 10 + random_below(r, 10 * late + 1)};
        at += take;
    }
    qsort(out, n, sizeof out[0], cut_cmp);
    return n;
}

static void random_tape(struct random *r)
{
    static const int links[] = {DLT_EN10MB, DLT_LINUX_SLL, DLT_LINUX_SLL2, DLT_NULL, DLT_RAW};
    bool v6 = random_below(r, 2);
    tape_free(&tape);
    play_free(&play);
    tape_begin(&tape, links[random_below(r, 5)]);
    tape.vlans = (unsigned)random_below(r, 3);
    tape.extensions = random_below(r, 2);
    tape.padding = random_below(r, 2) * random_below(r, 20);
    talk = v6 ? talk_between(&tape, "2001:db8::1@4000", "2001:db8::53@53",
                             0u - (uint32_t)random_below(r, 2000), (uint32_t)random_u64(r))
              : talk_between(&tape, CLIENT, SERVER, (uint32_t)random_u64(r),
                             0u - (uint32_t)random_below(r, 2000));
    talk_open(&talk);
}

static void put_cuts(const struct cut *cuts, size_t n, const struct script *said)
{
    for (size_t i = 0; i < n; i++)
        talk_put(&talk, cuts[i].side, cuts[i].at, PACKET_ACK, said->octets + cuts[i].at,
                 cuts[i].len);
}

START_TEST(test_random_order)
{
    struct random r = random_open();
    static struct cut cuts[SEGMENTS];
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct script asks = {0}, all = {0}, want[TRANSFERS] = {{0}};
        make_stream(&r, &asks, &all, want);
        random_tape(&r);
        put_cuts(cuts, make_cuts(&r, 0, asks.len, 5, cuts), &asks);
        put_cuts(cuts, make_cuts(&r, 1, all.len, random_below(&r, 30), cuts), &all);
        talk.said[0] = asks.len;
        talk.said[1] = all.len;
        talk_close(&talk);
        play_tape(&play, &tape);
        ck_assert_uint_eq(play.n, TRANSFERS);
        ck_assert_uint_eq(play.summary.lost_octets, 0);
        ck_assert_uint_eq(play.summary.ignored_packets, 0);
        for (size_t i = 0; i < TRANSFERS; i++) {
            expect_whole(i, &want[i]);
            script_free(&want[i]);
        }
        script_free(&asks);
        script_free(&all);
    }
}
END_TEST

/* Where the first octet that no segment brought lies, and how many follow it. */
static size_t first_gap(const struct cut *cuts, size_t n, size_t len, size_t *size)
{
    uint8_t *seen = mem_zalloc(len);
    size_t at = 0, end;
    for (size_t i = 0; i < n; i++)
        memset(seen + cuts[i].at, 1, cuts[i].len);
    while (at < len && seen[at])
        at++;
    for (end = at; end < len && !seen[end];)
        end++;
    *size = end - at;
    mem_free(&seen);
    return at;
}

/* Some segments never come: every transfer is whole, or a beginning of it was handed over and the right gap is named. */
START_TEST(test_random_loss)
{
    struct random r = random_open();
    static struct cut cuts[SEGMENTS];
    size_t losses = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct script asks = {0}, all = {0}, want[TRANSFERS] = {{0}};
        make_stream(&r, &asks, &all, want);
        random_tape(&r);
        talk_say(&talk, 0, asks.octets, asks.len);
        size_t n = make_cuts(&r, 1, all.len, random_below(&r, 30), cuts), gap;
        size_t drop = random_below(&r, n), after = n - drop - 1 < 2 ? n - drop - 1 : 2;
        memmove(cuts + drop, cuts + drop + 1 + after, (n - drop - 1 - after) * sizeof cuts[0]);
        n -= 1 + after;
        put_cuts(cuts, n, &all);
        talk.said[1] = all.len;
        talk_close(&talk);
        play_tape(&play, &tape);
        ck_assert_uint_eq(play.n, TRANSFERS);
        size_t at = first_gap(cuts, n, all.len, &gap);
        char text[60];
        snprintf(text, sizeof text, "%zu octets lost after octet %zu of", gap, at);
        losses += gap > 0;
        for (size_t i = 0; i < TRANSFERS; i++) {
            const struct script *got = &play.transfer[i].messages;
            ck_assert_uint_le(got->len, want[i].len);
            if (got->len)
                ck_assert_mem_eq(got->octets, want[i].octets, got->len);
            if (got->len == want[i].len)
                ck_assert_ptr_null(play.transfer[i].problem);
            else
                expect_problem(i, text);
            script_free(&want[i]);
        }
        ck_assert(gap ? play.summary.lost_octets >= gap : play.summary.lost_octets == 0);
        script_free(&asks);
        script_free(&all);
    }
    ck_assert_uint_gt(losses, ROUNDS / 3); /* else nothing was tested */
}
END_TEST

int main(void)
{
    struct suite s = suite_open("capture_read");
    tcase_add_checked_fixture(s.tcase, set_up, tear_down);
    suite_add(s, test_every_link_type);
    suite_add(s, test_files_that_cannot_be_read);
    suite_add(s, test_random_order);
    suite_add(s, test_random_loss);
    return suite_run(s);
}
