/* sign's arithmetic: the cursor's pace, serials, when signatures end, options that cannot be kept, and states that damage reads. */
#include "tests/lib/random.h"
#include "tests/lib/suite.h"

#include "pipeline/run/option.h"
#include "stages/sign/sign.h"

#include <stdlib.h>

enum { BEGIN = 1700000000, DAY = 86400 };

/* --- the cursor --- */

/* A round of so many rrsets, woken when due, late by up to `late` seconds: it ends when its period does, and each hundredth of the
 * period has its share. */
static void round_play(struct random *random, uint64_t rrsets, int64_t period, int64_t late)
{
    struct cursor c;
    cursor_begin(&c, period, BEGIN);
    int64_t now = BEGIN;
    while (c.behind < rrsets) {
        int64_t due = cursor_due(&c, rrsets);
        ck_assert_int_le(due, BEGIN + period);
        now = due > now ? due : now + 1;
        now += (int64_t)random_below(random, (uint64_t)late + 1);
        uint64_t quota = cursor_quota(&c, rrsets, now), left = rrsets - c.behind;
        ck_assert_uint_gt(quota, 0);
        c.behind += quota < left ? quota : left;
        double by_plan = (double)rrsets * (double)(now - BEGIN) / (double)period;
        if (now < BEGIN + period)
            ck_assert(c.behind <= by_plan + 1 && c.behind + 1 >= by_plan - 1);
    }
    ck_assert_int_ge(now, BEGIN + period);
    ck_assert_int_le(now, BEGIN + period + late + 1);
    cursor_turn(&c, period, now);
    ck_assert_int_eq(c.began, BEGIN + period);
    ck_assert_uint_eq(c.behind, 0);
    ck_assert_uint_eq(c.at_len, 0);
}

START_TEST(test_round)
{
    static const uint64_t sizes[] = {1, 2, 31, 32, 33, 1000, 4096, 100000, 3000000};
    struct random random = random_open();
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        round_play(&random, sizes[i], 9 * DAY, 0);
        round_play(&random, sizes[i], 9 * DAY, 60);
        round_play(&random, sizes[i], 40, 0);
    }
}
END_TEST

/* A batch is bounded whatever the zone's size. */
START_TEST(test_batch)
{
    for (uint64_t rrsets = 1; rrsets < 1u << 30; rrsets *= 2) {
        struct cursor c;
        cursor_begin(&c, 9 * DAY, BEGIN);
        int64_t due = cursor_due(&c, rrsets);
        uint64_t quota = cursor_quota(&c, rrsets, due);
        uint64_t a_second = rrsets / (9 * DAY) + 1;
        if (rrsets > 1)
            ck_assert_uint_le(quota, 1000 + a_second);
        ck_assert_uint_ge(quota * 128, rrsets < 128000 ? rrsets : 128000);
    }
}
END_TEST

/* A shorter round begins where the cursor is, and brings no rush; a longer one when nothing was made to last for the shorter only. */
START_TEST(test_round_of_another_length)
{
    struct cursor c;
    cursor_begin(&c, 10 * DAY, BEGIN);
    c.behind = 50;
    cursor_pace(&c, 100, 2 * DAY, BEGIN + 5 * DAY);
    ck_assert_int_eq(c.period, 2 * DAY);
    ck_assert_uint_eq(cursor_quota(&c, 100, BEGIN + 5 * DAY), 0);
    ck_assert_uint_eq(cursor_quota(&c, 100, BEGIN + 5 * DAY + DAY / 2), 25);
    ck_assert_uint_eq(cursor_quota(&c, 100, BEGIN + 6 * DAY), UINT64_MAX);
    c.behind = 100;
    cursor_turn(&c, 2 * DAY, BEGIN + 6 * DAY);
    ck_assert_int_eq(c.began, BEGIN + 6 * DAY);

    cursor_begin(&c, 2 * DAY, BEGIN);
    c.behind = 50;
    for (int i = 0; i < 3; i++)
        cursor_pace(&c, 100, 10 * DAY, BEGIN + DAY);
    ck_assert_uint_eq(cursor_quota(&c, 100, BEGIN + DAY + DAY / 2), 25);
    cursor_turn(&c, 10 * DAY, BEGIN + 2 * DAY);
    ck_assert_int_eq(c.period, 2 * DAY);
    cursor_pace(&c, 100, 10 * DAY, BEGIN + 2 * DAY);
    cursor_turn(&c, 10 * DAY, BEGIN + 4 * DAY);
    ck_assert_int_eq(c.period, 10 * DAY);
    ck_assert_int_eq(c.began, BEGIN + 4 * DAY);

    c = (struct cursor){.began = BEGIN, .behind = 50}; /* a weir that kept no length */
    cursor_pace(&c, 100, 10 * DAY, BEGIN + 5 * DAY);
    ck_assert_int_eq(c.began, BEGIN);
    ck_assert_int_eq(c.after, 10 * DAY);
}
END_TEST

START_TEST(test_round_after_a_pause)
{
    struct cursor c;
    cursor_begin(&c, DAY, BEGIN);
    c.behind = 10;
    ck_assert_uint_eq(cursor_quota(&c, 100, BEGIN + DAY / 2), 40);
    ck_assert_uint_eq(cursor_quota(&c, 100, BEGIN + DAY), UINT64_MAX); /* to the end */
    ck_assert_uint_eq(cursor_quota(&c, 100, BEGIN - 5), 0);
    cursor_turn(&c, DAY, BEGIN + DAY + 100);
    ck_assert_int_eq(c.began, BEGIN + DAY); /* no drift */
    cursor_turn(&c, DAY, BEGIN + 10 * DAY);
    ck_assert_int_eq(
        c.began,
        BEGIN + 9 * DAY); /* what was missed by more is not made up for, a round at a time */
    ck_assert_int_eq(cursor_due(&c, 0), BEGIN + 10 * DAY);
}
END_TEST

/* --- serials --- */

START_TEST(test_serials)
{
    static const struct {
        enum sign_serial policy;
        uint32_t input;
        bool serves;
        uint32_t served, want;
    } cases[] = {
        {SERIAL_KEEP, 7, false, 0, 7},
        {SERIAL_KEEP, 7, true, 6, 7},
        {SERIAL_KEEP, 7, true, 7, 8},
        {SERIAL_KEEP, 7, true, 100,
         101}, /* renewals have overtaken the primary, or it was set up anew */
        {SERIAL_KEEP, 5, true, 0xfffffff0, 5},
        {SERIAL_KEEP, 0x80000007, true, 7, 8}, /* undefined by RFC 1982: not after */
        {SERIAL_KEEP, 0x80000006, true, 7, 0x80000006},
        {SERIAL_INCREMENT, 7, false, 0, 7},
        {SERIAL_INCREMENT, 7, true, 3, 4},
        {SERIAL_INCREMENT, 1, true, 0xffffffff, 1}, /* 0 is stepped over */
        {SERIAL_UNIXTIME, 7, false, 0, BEGIN},
        {SERIAL_UNIXTIME, 7, true, 7, BEGIN},
        {SERIAL_UNIXTIME, 7, true, BEGIN, BEGIN + 1},
        {SERIAL_UNIXTIME, 7, true, BEGIN + 50, BEGIN + 51},
        {SERIAL_DATE, 7, false, 0, 2023111400},
        {SERIAL_DATE, 7, true, 2023111400, 2023111401},
        {SERIAL_DATE, 7, true, 2023111399, 2023111400},
        {SERIAL_DATE, 7, true, 2023111599, 2023111600}, /* more than a hundred versions a day */
        {SERIAL_DATE, 7, true, 1, 2023111400},
        {SERIAL_DATE, 7, true, 3000000000, 3000000001}, /* 2023111400 is before it */
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t served = cases[i].served;
        uint32_t next =
            serial_next(cases[i].policy, cases[i].input, cases[i].serves ? &served : NULL, BEGIN);
        ck_assert_msg(next == cases[i].want, "case %u: %u", i, next);
        ck_assert(!cases[i].serves || serial_after(next, served));
    }
}
END_TEST

/* Whatever there is, what goes out is after what is served. */
START_TEST(test_serials_never_go_back)
{
    struct random random = random_open();
    for (unsigned i = 0; i < 100000; i++) {
        uint32_t served = (uint32_t)random_u64(&random), input = (uint32_t)random_u64(&random);
        time_t now = BEGIN + (time_t)random_below(&random, 1u << 31);
        for (int policy = SERIAL_KEEP; policy <= SERIAL_DATE; policy++)
            ck_assert(
                serial_after(serial_next((enum sign_serial)policy, input, &served, now), served));
    }
}
END_TEST

/* --- ends --- */

START_TEST(test_expiries)
{
    struct random random = random_open();
    enum { N = 1000, WIDTH = 37800, SPAN = 14 * DAY };
    static uint32_t end[N];
    struct expiries e = {.width = WIDTH, .far_from = NEVER};
    for (unsigned i = 0; i < N; i++) {
        end[i] = BEGIN + (uint32_t)random_below(&random, SPAN);
        expiries_add(&e, end[i], 1);
    }
    for (unsigned left = N; left > 0; left--) {
        int64_t first = INT64_MAX, said = expiries_first(&e, BEGIN);
        for (unsigned i = 0; i < left; i++)
            first = end[i] < first ? end[i] : first;
        ck_assert(said <= first && first < said + WIDTH);
        expiries_add(&e, end[left - 1], -1);
    }
    ck_assert_int_eq(expiries_first(&e, BEGIN), NEVER);
}
END_TEST

/* Whatever validity is, what is made now is within reach of the slots. */
START_TEST(test_expiries_reach)
{
    for (int64_t validity = 32; validity < 2000; validity++) {
        struct sign_conf conf = {.validity = validity};
        struct expiries e = {.width = expiries_width(&conf), .far_from = NEVER};
        int64_t end = BEGIN + validity;
        expiries_add(&e, end, 1);
        int64_t said = expiries_first(&e, BEGIN);
        ck_assert_msg(said <= end && end < said + e.width, "of %ld s the end is said after %ld",
                      (long)validity, (long)(said - BEGIN));
    }
}
END_TEST

/* What is too far away for the slots is known to be far, and leaves nothing when it goes. */
START_TEST(test_expiries_far)
{
    struct expiries e = {.width = 1, .far_from = BEGIN + 48};
    expiries_add(&e, BEGIN + 14 * DAY, 1);
    expiries_add(&e, BEGIN + 48, 1);
    ck_assert_int_eq(expiries_first(&e, BEGIN), BEGIN + 48);
    expiries_add(&e, BEGIN + 32, 1);
    ck_assert_int_eq(expiries_first(&e, BEGIN), BEGIN + 32);
    expiries_add(&e, BEGIN + 48, -1);
    expiries_add(&e, BEGIN + 14 * DAY, -1);
    ck_assert_uint_eq(e.far, 0);
    expiries_add(&e, BEGIN + 32, -1);
    ck_assert_int_eq(expiries_first(&e, BEGIN), NEVER);
}
END_TEST

/* --- options --- */

static int conf_try(const char *name, const char *value, struct why *why)
{
    struct sign_conf *conf = option_conf_new(sign_options, sizeof(*conf));
    struct option_value v = {.kind = VALUE_STRING, .s = value};
    if (strcmp(value, "true") == 0)
        v = (struct option_value){.kind = VALUE_BOOL, .b = true};
    int rc = name ? option_set(option_find(sign_options, name), conf, &v, why) : 0;
    rc = rc ? rc : sign_conf_check(conf, (const uint8_t *)"", why);
    void *gone = conf;
    option_conf_free(sign_options, &gone);
    return rc;
}

START_TEST(test_options)
{
    static const struct {
        const char *name, *value, *because;
    } bad[] = {
        {"opt_out", "true", "denial"},      {"validity", "5d", "refresh"},
        {"refresh", "10d", "validity"},     {"refresh", "20d", "validity"},
        {"jitter", "7d", "jitter"},         {"dnskey_validity", "2h", "dnskey_ttl"},
        {"dnskey_ttl", "7d", "dnskey_ttl"},
    };
    struct why why = {""};
    ck_assert_int_eq(conf_try(NULL, "", &why), 0);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_int_eq(conf_try(bad[i].name, bad[i].value, &why), -E_CONF);
        ck_assert_msg(strstr(why.text, bad[i].because) != NULL, "%s", why.text);
    }
}
END_TEST

/* --- states --- */

/* Any octets: NULL, or a state that gives the same octets again. */
START_TEST(test_any_octets)
{
    struct random random = random_open();
    struct sign_conf *conf = option_conf_new(sign_options, sizeof(*conf));
    struct sign_state *state = sign_state_new(conf, BEGIN);
    state->nkeys = 3;
    state->nalgorithms = 2;
    state->cursor.at_len = (uint8_t)name_copy(state->cursor.at, (const uint8_t *)"\1a\4test");
    size_t len, again;
    uint8_t *octets = sign_state_save(state, &len);
    unsigned taken = 0;
    for (unsigned i = 0; i < 20000; i++) {
        size_t n = random_below(&random, 4) ? len : random_below(&random, len + 1);
        uint8_t *some = mem_dup(octets, n ? n : 1);
        for (unsigned k = (unsigned)random_below(&random, 4); k > 0 && n > 0; k--)
            some[random_below(&random, random_below(&random, 2) ? n
                                       : n < 64                 ? n
                                                : 64)] = (uint8_t)random_u64(&random);
        struct sign_state *loaded = sign_state_load(some, n);
        if (loaded) {
            struct key_uses uses = {0};
            sign_state_keys_used(loaded, &uses);
            ck_assert_uint_le(uses.n, KEYSET_KEYS_MAX);
            uint8_t *same = sign_state_save(loaded, &again);
            ck_assert_uint_eq(again, n);
            sign_state_free(loaded);
            mem_free(&same);
            taken++;
        }
        mem_free(&some);
    }
    ck_assert_uint_gt(taken, 1000);
    mem_free(&octets);
    sign_state_free(state);
    void *gone = conf;
    option_conf_free(sign_options, &gone);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("sign_pace");
    suite_add(s, test_round);
    suite_add(s, test_batch);
    suite_add(s, test_round_after_a_pause);
    suite_add(s, test_round_of_another_length);
    suite_add(s, test_serials);
    suite_add(s, test_serials_never_go_back);
    suite_add(s, test_expiries);
    suite_add(s, test_expiries_reach);
    suite_add(s, test_expiries_far);
    suite_add(s, test_options);
    suite_add(s, test_any_octets);
    return suite_run(s);
}
