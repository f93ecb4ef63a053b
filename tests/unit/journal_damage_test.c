/* journal, record by record: an octet of each value in turn is not what was written. What it costs is what hangs on that record, of that zone alone,
 * it is counted and said in the log, and the next start finds nothing wrong.
 *
 * The journal is built with small sizes here (JOURNAL_SHRINK), so that a zone has old steps, that its image has already. */
#include "pipeline/base/log.h"
#include "pipeline/run/journal_record.h"
#include "tests/faults/faults.h"
#include "tests/lib/expect.h"
#include "tests/lib/journal_world.h"
#include "tests/lib/suite.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROUNDS = 12, RECORDS_MAX = 4000 };

struct zone_state {
    struct expected is;
    time_t checked_at;
    bool held;
};

static struct world world_with_all(struct random *random, struct zone_state state[ALL_ZONES])
{
    static const unsigned slots[ALL_ZONES] = {12, 25, 12, 60, 12};
    struct world w = world_make();
    world_enter(&w);
    for (unsigned i = 0; i < ALL_ZONES; i++) {
        struct source s = source_make(random, i, slots[i]);
        for (unsigned n = 1; n < ROUNDS || s.gen.serial % 5;
             n++) { /* the last one of the last zone is held */
            hand_in(world_zone(&w, i), &s);
            zone_table_drain(w.table);
            source_step(&s, 3);
        }
        hand_in(world_zone(&w, i), &s);
        zone_table_drain(w.table);
        struct zone *z = world_zone(&w, i);
        z->checked_at = time(NULL) - 1000;
        atomic_store(&z->expires_at, time(NULL) + 5000);
        zone_timers_keep(z);
        source_free(&s);
        world_expect(&w, i, &state[i].is);
        state[i].checked_at = z->checked_at;
        state[i].held = z->held != NULL;
    }
    ck_assert(state[ZONE_HOLDS].held);
    journal_wait(w.journal); /* nothing is left that is nobody's */
    world_leave(&w);
    return w;
}

/* ---- the records of a file ---- */

struct record {
    uint8_t key[JOURNAL_KEY_MAX];
    size_t key_len, len;
    int zone; /* -1: of none */
    bool old; /* a step that every image has already */
};
static struct record record[RECORDS_MAX];
static size_t nrecords;

static int row_zone(const struct db_item *item)
{
    uint8_t name[NAME_MAX_OCTETS];
    for (int i = 0; i < ALL_ZONES; i++)
        if (name_parse(world_names[i], name, NULL) > 0 && name_equal(name, item->key + 1))
            return i;
    ck_abort_msg("a row of no zone");
}

struct rows {
    struct journal_row of[ALL_ZONES];
};

static void rows_read(struct db_txn *txn, struct rows *rows)
{
    struct journal_key key = journal_key(JOURNAL_ROW);
    struct db_cursor *c;
    struct db_item item;
    struct rbuf in, about;
    ck_assert_int_eq(db_cursor_open(txn, &c, NULL), 0);
    for (int err = db_seek(c, key.octets, key.len, &item, NULL); !err;
         err = db_next(c, &item, NULL)) {
        ck_assert_int_eq(journal_unseal(&item, &in, NULL), 0);
        ck_assert_int_eq(journal_row_load(&in, &rows->of[row_zone(&item)], &about, NULL), 0);
    }
    db_cursor_close(&c);
}

static void record_place(struct record *r, const struct db_item *item, const struct rows *rows)
{
    uint64_t id, rest;
    r->zone = -1;
    if (item->key[0] == JOURNAL_ROW)
        r->zone = row_zone(item);
    for (int i = 0; i < ALL_ZONES; i++) {
        const struct journal_row *row = &rows->of[i];
        if (journal_key_has_id(item, JOURNAL_CHUNK, &id, &rest))
            for (unsigned k = 0; k < row->nlayers; k++)
                r->zone = row->layer[k].image == id ? i : r->zone;
        if ((journal_key_has_id(item, JOURNAL_STEP, &id, &rest) ||
             journal_key_has_id(item, JOURNAL_TIMERS, &id, NULL) ||
             journal_key_has_id(item, JOURNAL_HELD, &id, NULL)) &&
            row->zone == id)
            r->zone = i;
        if (item->key[0] != JOURNAL_STEP || r->zone != i || row->zone != id)
            continue;
        r->old = true;
        for (unsigned k = 0; k < row->nlayers; k++)
            r->old &= rest <= row->layer[k].image_step;
    }
}

static void records_read(const char *folder)
{
    struct db *db;
    struct db_txn *txn;
    struct db_cursor *c;
    struct db_item item;
    struct rows rows = {0};
    uint8_t first = 0;
    nrecords = 0;
    ck_assert_int_eq(db_open(folder, true, &db, NULL), 0);
    ck_assert_int_eq(db_begin(db, false, &txn, NULL), 0);
    rows_read(txn, &rows);
    ck_assert_int_eq(db_cursor_open(txn, &c, NULL), 0);
    for (int err = db_seek(c, &first, 1, &item, NULL); !err; err = db_next(c, &item, NULL)) {
        ck_assert_uint_lt(nrecords, RECORDS_MAX);
        struct record *r = &record[nrecords++];
        *r = (struct record){.key_len = item.key_len, .len = item.value_len};
        memcpy(r->key, item.key, item.key_len);
        record_place(r, &item, &rows);
    }
    db_cursor_close(&c);
    db_abort(&txn);
    db_close(&db);
}

/* A copy of the file, in which one octet of the record is another. */
static void damaged_copy(const struct world *from, const struct world *to, const struct record *r,
                         struct random *random)
{
    char command[256];
    struct db *db;
    struct db_txn *txn;
    struct db_item item;
    snprintf(command, sizeof command, "rm -rf %s.damaged && cp %s/data.mdb %s/", to->folder,
             from->folder, to->folder);
    ck_assert_int_eq(system(command), 0);
    ck_assert_int_eq(db_open(to->folder, false, &db, NULL), 0);
    ck_assert_int_eq(db_begin(db, true, &txn, NULL), 0);
    ck_assert_int_eq(db_get(txn, r->key, r->key_len, &item, NULL), 0);
    uint8_t *value = mem_dup(item.value, item.value_len);
    value[random_below(random, item.value_len)] ^= (uint8_t)(1u << random_below(random, 8));
    int err;
    while ((err = db_put(txn, r->key, r->key_len, value, r->len, NULL)) == -E_SPACE) {
        db_abort(&txn);
        ck_assert_int_eq(db_grow(db, NULL), 0);
        ck_assert_int_eq(db_begin(db, true, &txn, NULL), 0);
    }
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(db_commit(&txn, NULL), 0);
    db_close(&db);
    mem_free(&value);
}

/* ---- what it costs ---- */

static bool zone_lost(const struct record *r)
{
    return r->key[0] == JOURNAL_ROW || r->key[0] == JOURNAL_CHUNK ||
           (r->key[0] == JOURNAL_STEP && !r->old);
}

/* Its history is the end of what it was. */
static void found_with_less_history(struct world *w, unsigned i, const struct expected *want,
                                    unsigned *steps)
{
    struct expected is = {0};
    world_expect(w, i, &is);
    EXPECT_EQ(is.serial, want->serial);
    EXPECT(octets_same(&is.served, &want->served) && octets_same(&is.input, &want->input));
    EXPECT(is.history.len < want->history.len &&
           memcmp(is.history.p, want->history.p + want->history.len - is.history.len,
                  is.history.len) == 0);
    *steps += is.steps;
    expected_free(&is);
}

static void zone_found(struct world *w, unsigned i, const struct zone_state *want,
                       const struct record *r, unsigned *steps)
{
    bool its = r->zone == (int)i;
    struct zone *z = world_zone(w, i);
    struct version *v = zone_version(z);
    ck_assert_msg(!v == (its && zone_lost(r)), "zone %s, a record of kind %c", z->text, r->key[0]);
    version_unref(v);
    if (!v)
        return;
    if (its && r->old)
        found_with_less_history(w, i, &want->is, steps);
    else
        world_found_as(w, i, &want->is);
    EXPECT_EQ(z->checked_at, its && r->key[0] == JOURNAL_TIMERS ? 0 : want->checked_at);
    EXPECT_EQ(z->held != NULL, want->held && !(its && r->key[0] == JOURNAL_HELD));
}

static uint64_t damage_counted(const struct world *w)
{
    struct journal_stats stats;
    journal_stats(w->journal, &stats);
    return stats.damaged;
}

START_TEST(test_each_record)
{
    struct random random = random_open();
    struct zone_state want[ALL_ZONES] = {0};
    struct world w = world_with_all(&random, want), copy = world_make();
    unsigned steps = 0, old = 0, kinds[128] = {0};
    records_read(w.folder);
    for (size_t i = 0; i < nrecords; i++) {
        const struct record *r = &record[i];
        ck_assert(r->zone >= 0 || r->key[0] == JOURNAL_VERSION);
        damaged_copy(&w, &copy, r, &random);
        world_enter(&copy);
        zone_table_drain(copy.table);
        uint64_t damaged = damage_counted(&copy);
        /* An old step that no history names is there for `weir journal`. */
        bool listed_alone = r->old && damaged == 0;
        struct record none = {.zone = -1};
        for (unsigned k = 0; k < ALL_ZONES; k++)
            zone_found(&copy, k, &want[k], listed_alone ? &none : r, &steps);
        ck_assert_msg(listed_alone || damaged == 1, "a record of kind %c: %llu counted", r->key[0],
                      (unsigned long long)damaged);
        kinds[r->key[0]] += !listed_alone;
        old += r->old && !listed_alone;
        world_leave(&copy);
        if (r->key[0] != JOURNAL_VERSION && r->key[0] != JOURNAL_ROW)
            continue;
        world_enter(&copy); /* these were mended at once */
        EXPECT_EQ(damage_counted(&copy), 0);
        world_leave(&copy);
    }
    ck_assert_uint_eq(kinds['F'], 2);
    ck_assert_uint_eq(kinds['Z'], ALL_ZONES);
    ck_assert_uint_eq(kinds['T'], ALL_ZONES);
    ck_assert_uint_eq(kinds['H'], 1);
    ck_assert_msg(kinds['C'] > 10 && kinds['S'] > 10 && old > 5 && steps > 5,
                  "%u chunks, %u steps, %u of them old", kinds['C'], kinds['S'], old);
    printf("%zu records: %u chunks, %u steps, %u of them old\n", nrecords, kinds['C'], kinds['S'],
           old);
    for (unsigned i = 0; i < ALL_ZONES; i++)
        expected_free(&want[i].is);
    world_end(&copy);
    world_end(&w);
}
END_TEST

/* ---- the file and its folder ---- */

START_TEST(test_a_new_file_is_there_after_a_crash)
{
    struct world w = world_make();
    rmdir(w.folder);
    unsigned before = faults_folder_syncs();
    world_enter(&w);
    EXPECT_EQ(faults_folder_syncs(), before + 2); /* the folder in the one above, the file in it */
    world_leave(&w);
    world_end(&w);
}
END_TEST

/* ---- the log ---- */

static unsigned lines_with(const char *file, const char *a, const char *b)
{
    char line[1024];
    unsigned n = 0;
    FILE *f = fopen(file, "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f))
        n += strstr(line, a) && strstr(line, b);
    fclose(f);
    return n;
}

/* Two causes, in turn: each is said once, and where. */
START_TEST(test_two_causes)
{
    struct random random = random_open();
    struct world w = world_make();
    struct journal_stats stats;
    char file[96];
    snprintf(file, sizeof file, "%s.log", w.folder);
    log_open(LOG_INFO, open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600));
    world_enter(&w);
    struct source s = source_make(&random, 1, 12);
    faults_set("ENOSPC/EIO 1 1000000");
    hand_in(world_zone(&w, 1), &s);
    for (int i = 0; i < 10000; i++) {
        journal_stats(w.journal, &stats);
        if (stats.failures >= 12)
            break;
        usleep(1000);
    }
    ck_assert_uint_ge(stats.failures, 12);
    faults_set("");
    zone_table_drain(w.table);
    journal_wait(w.journal);
    EXPECT_EQ(lines_with(file, "journal cannot be written", "No space left"), 1);
    EXPECT_EQ(lines_with(file, "journal cannot be written", "Input/output"), 1);
    EXPECT_EQ(lines_with(file, "journal cannot be written", w.folder), 2);
    EXPECT_EQ(lines_with(file, "journal can be written again", w.folder), 1);
    world_leave(&w);
    source_free(&s);
    unlink(file);
    world_end(&w);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("journal_damage");
    suite_add(s, test_each_record);
    suite_add(s, test_a_new_file_is_there_after_a_crash);
    suite_add(s, test_two_causes);
    return suite_run(s);
}
