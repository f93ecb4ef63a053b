/* Images that are begun while their version is judged: taken over when it is accepted, gone when it is not. */
#include "pipeline/run/journal.h"
#include "pipeline/run/journal_db.h"
#include "pipeline/run/journal_record.h"
#include "tests/lib/expect.h"
#include "tests/lib/journal_world.h"
#include "tests/lib/suite.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- a stage that lets the journal go first, and says what it is told ---- */

static struct {
    struct journal *journal;
    unsigned code;               /* of the finding; NONE: it passes */
    bool no_room;                /* the disk is full until the journal has noticed */
    struct journal_stats before; /* that the stage ended */
} play;
enum { REFUSED, HELD, NONE };

static void disk_full(bool full)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = full ? 0 : limit.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void until_failed(void)
{
    for (int i = 0; i < 10000; i++) {
        journal_stats(play.journal, &play.before);
        if (play.before.failures)
            return;
        usleep(1000);
    }
    ck_abort_msg("the journal wrote to a full disk");
}

static void slow_run(struct stage_run *r)
{
    if (play.no_room) {
        until_failed();
        disk_full(false);
    }
    journal_wait(play.journal);
    journal_stats(play.journal, &play.before);
    if (play.code != NONE)
        finding_add(r->findings, play.code, NULL, 0, 0, 0, NULL);
}
static const struct finding_type findings[] = {{"refused", STAGE_REJECT, "refused", "-"},
                                               {"held", STAGE_HOLD, "held", "-"},
                                               {NULL, STAGE_PASS, NULL, NULL}};
static const struct stage_type slow = {.name = "slow",
                                       .summary = "-",
                                       .flags = STAGE_CHECK_ONLY,
                                       .findings = findings,
                                       .run = slow_run};

/* Zone 1 gets its first version. */
static struct world first_version(unsigned code, bool no_room, unsigned slots)
{
    static const struct stage_type *const types[3] = {&slow};
    struct random random = random_open();
    struct world w = world_make();
    signal(SIGXFSZ, SIG_IGN);
    w.other = chain_make(types);
    world_enter(&w);
    journal_wait(w.journal);
    play.journal = w.journal;
    play.code = code;
    play.no_room = no_room;
    struct source s = source_make(&random, 1, slots);
    disk_full(no_room);
    hand_in(world_zone(&w, 1), &s);
    zone_table_drain(w.table);
    journal_wait(w.journal);
    source_free(&s);
    return w;
}

static unsigned chunks_left(const char *folder)
{
    struct db *db;
    struct db_txn *txn;
    struct db_cursor *cursor;
    struct db_item item;
    struct why why;
    struct journal_key key = journal_key(JOURNAL_CHUNK);
    unsigned n = 0;
    ck_assert_int_eq(db_open(folder, true, &db, &why), 0);
    ck_assert_int_eq(db_begin(db, false, &txn, &why), 0);
    ck_assert_int_eq(db_cursor_open(txn, &cursor, &why), 0);
    int err = db_seek(cursor, key.octets, key.len, &item, &why);
    for (; !err && item.key[0] == JOURNAL_CHUNK; n++)
        err = db_next(cursor, &item, &why);
    db_cursor_close(&cursor);
    db_abort(&txn);
    db_close(&db);
    return n;
}

static void world_over(struct world *w)
{
    chain_unref(w->other);
    world_end(w);
}

/* What is served is found again at the next start. */
static void accepted_and_found(struct world *w)
{
    struct expected want = {0};
    struct journal_stats stats;
    world_expect(w, 1, &want);
    world_leave(w);
    world_enter(w);
    journal_stats(w->journal, &stats);
    EXPECT_EQ(stats.damaged, 0);
    world_found_as(w, 1, &want);
    expected_free(&want);
    world_leave(w);
    world_over(w);
}

START_TEST(test_taken_over)
{
    struct world w = first_version(NONE, false, 8000);
    struct journal_stats stats;
    journal_stats(w.journal, &stats);
    EXPECT(play.before.octets > 200000);
    EXPECT(stats.octets <
           play.before.octets + 1000); /* its row and its step, not its image again */
    EXPECT_EQ(play.before.images, 0);
    EXPECT_EQ(stats.images, 1);
    accepted_and_found(&w);
}
END_TEST

static void nothing_stays(unsigned code)
{
    struct world w = first_version(code, false, 8000);
    EXPECT(play.before.octets > 200000);
    ck_assert_ptr_null(zone_version(world_zone(&w, 1)));
    world_leave(&w);
    EXPECT_EQ(chunks_left(w.folder), 0);
    world_over(&w);
}

START_TEST(test_refused)
{
    nothing_stays(REFUSED);
}
END_TEST

START_TEST(test_held)
{
    nothing_stays(HELD);
}
END_TEST

/* It costs the head start, and the version waits for nothing. */
START_TEST(test_no_room)
{
    struct world w = first_version(NONE, true, 8000);
    struct journal_stats stats;
    journal_stats(w.journal, &stats);
    EXPECT(play.before.failures > 0);
    EXPECT(play.before.octets < 10000);
    EXPECT_EQ(stats.failures, play.before.failures);
    EXPECT(!stats.error[0]);
    EXPECT(stats.octets > 200000);
    accepted_and_found(&w);
}
END_TEST

/* One that goes with its version's own transaction needs no head start. */
START_TEST(test_small)
{
    struct world w = first_version(NONE, false, 3);
    EXPECT(play.before.octets < 1000);
    accepted_and_found(&w);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("journal_ahead");
    suite_add(s, test_taken_over);
    suite_add(s, test_refused);
    suite_add(s, test_held);
    suite_add(s, test_no_room);
    suite_add(s, test_small);
    return suite_run(s);
}
