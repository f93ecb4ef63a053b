/* journal_db: LMDB files as random transactions leave them. Each committed state must pass pages_check, hold what a model holds, and open. */
#include "pipeline/run/journal_db.h"

#include "pipeline/base/alloc.h"
#include "pipeline/run/journal_pages.h"
#include "tests/lib/expect.h"
#include "tests/lib/random.h"
#include "tests/lib/suite.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, KEYS = 400, KEY_LEN_MAX = 256 };

struct place {
    char folder[64], file[96];
};

static struct place place_make(void)
{
    struct place p = {.folder = "/tmp/weir-journal-db-XXXXXX"};
    ck_assert_ptr_nonnull(mkdtemp(p.folder));
    snprintf(p.file, sizeof p.file, "%s/data.mdb", p.folder);
    return p;
}

static void place_end(const struct place *p)
{
    char command[160];
    snprintf(command, sizeof command, "rm -rf %s", p->folder);
    if (system(command))
        ck_abort_msg("rm");
}

static int pages_read(void *ctx, uint64_t at, uint8_t *to, size_t n, struct why *why)
{
    (void)why;
    memcpy(to, (const uint8_t *)ctx + at, n);
    return 0;
}

/* The file as it lies there, and the number of its newest transaction. */
static void check_file(const struct place *p, const char *when)
{
    int fd = open(p->file, O_RDONLY);
    struct stat st;
    ck_assert(fd >= 0 && fstat(fd, &st) == 0);
    size_t size = (size_t)st.st_size;
    uint8_t *file = mem_alloc(size);
    for (size_t got = 0; got < size;) {
        ssize_t n = read(fd, file + got, size - got);
        ck_assert_int_gt(n, 0);
        got += (size_t)n;
    }
    close(fd);
    uint64_t newest = 0;
    for (unsigned i = 0; i < 2; i++) {
        uint64_t txn;
        memcpy(&txn, file + i * PAGE + 16 + 24 + 96 + 8, sizeof txn);
        if (txn > newest)
            newest = txn;
    }
    struct why why = {""};
    struct pages_file pages = {pages_read, file, size};
    int err = pages_check(&pages, PAGE, newest, &why);
    ck_assert_msg(err == 0, "%s, transaction %llu: %s", when, (unsigned long long)newest, why.text);
    mem_free(&file);
}

/* What each key should have: `len` octets of `fill`. */
struct model {
    bool there[KEYS];
    uint8_t fill[KEYS];
    size_t len[KEYS];
};

/* Keys of all lengths, so that branches are of all shapes. */
static size_t key_make(unsigned i, uint8_t key[KEY_LEN_MAX])
{
    size_t len = 3 + (i * 7919u) % (KEY_LEN_MAX - 3);
    memset(key, (int)('a' + i % 3), len);
    key[0] = (uint8_t)(i * 31);
    key[1] = (uint8_t)(i >> 8);
    key[2] = (uint8_t)i;
    return len;
}

static size_t size_pick(struct random *random, unsigned kind)
{
    static const size_t at[] = {1, 8, 100, 1000, 1900, 2020, 2048, 4080, 4096, 8176, 20000, 70000};
    size_t n = at[random_below(random, kind)];
    return n + random_below(random, n / 2 + 2);
}

static void put(struct db_txn *txn, struct model *m, unsigned i, size_t len, uint8_t fill)
{
    static uint8_t value[1 << 20];
    uint8_t key[KEY_LEN_MAX];
    size_t key_len = key_make(i, key);
    memset(value, fill, len);
    ck_assert_int_eq(db_put(txn, key, key_len, value, len, NULL), 0);
    m->there[i] = true;
    m->len[i] = len;
    m->fill[i] = fill;
}

static void del(struct db_txn *txn, struct model *m, unsigned i)
{
    uint8_t key[KEY_LEN_MAX];
    size_t key_len = key_make(i, key);
    ck_assert_int_eq(db_del(txn, key, key_len, NULL), 0);
    m->there[i] = false;
}

static void check_model(struct db *db, const struct model *m)
{
    struct db_txn *txn;
    ck_assert_int_eq(db_begin(db, false, &txn, NULL), 0);
    for (unsigned i = 0; i < KEYS; i++) {
        uint8_t key[KEY_LEN_MAX];
        struct db_item item;
        size_t key_len = key_make(i, key);
        int err = db_get(txn, key, key_len, &item, NULL);
        EXPECT_EQ(err, m->there[i] ? 0 : -E_NOENT);
        if (err)
            continue;
        EXPECT_EQ(item.value_len, m->len[i]);
        EXPECT(item.value[0] == m->fill[i] && item.value[m->len[i] - 1] == m->fill[i]);
    }
    db_abort(&txn);
}

/* Some keys in a row, by one cursor: what it is at after each is what comes next. */
static void del_row(struct random *random, struct db_txn *txn, struct model *m)
{
    uint8_t key[KEY_LEN_MAX], at[KEY_LEN_MAX];
    size_t key_len = key_make((unsigned)random_below(random, KEYS), key), len = 0;
    struct db_cursor *cursor;
    struct db_item item;
    ck_assert_int_eq(db_cursor_open(txn, &cursor, NULL), 0);
    int err = db_seek(cursor, key, key_len, &item, NULL);
    for (size_t n = random_below(random, KEYS / 2); !err && n; n--) {
        unsigned i = (unsigned)item.key[1] << 8 | item.key[2];
        ck_assert_uint_lt(i, KEYS);
        EXPECT(m->there[i]);
        EXPECT(!len || memcmp(at, item.key, len < item.key_len ? len : item.key_len) < 0);
        len = item.key_len;
        memcpy(at, item.key, len);
        ck_assert_int_eq(db_cursor_del(cursor, NULL), 0);
        m->there[i] = false;
        err = db_next(cursor, &item, NULL);
    }
    EXPECT(!err || err == -E_NOENT);
    db_cursor_close(&cursor);
}

/* One transaction: a few changes, or many; of one key several times; all that is there deleted. */
static void change(struct random *random, struct db_txn *txn, struct model *m, unsigned kind)
{
    unsigned mode = (unsigned)random_below(random, 10);
    unsigned n = mode < 6 ? 1 + (unsigned)random_below(random, 4)
                          : 1 + (unsigned)random_below(random, 2 * KEYS);
    unsigned keys = mode == 5 ? 2 : KEYS, deletes = mode == 8 ? 90 : mode == 7 ? 10 : 45;
    for (; n; n--) {
        unsigned i = (unsigned)random_below(random, keys);
        if (random_below(random, 100) < deletes)
            del(txn, m, i);
        else
            put(txn, m, i, size_pick(random, kind), (uint8_t)random_below(random, 256));
    }
    if (mode == 6)
        del_row(random, txn, m);
    for (unsigned i = 0; mode == 9 && i < KEYS; i++)
        del(txn, m, i);
}

static void commit(struct db *db, struct random *random, struct model *m, unsigned kind)
{
    struct why why;
    struct db_txn *txn;
    ck_assert_int_eq(db_begin(db, true, &txn, &why), 0);
    change(random, txn, m, kind);
    int err = db_commit(&txn, &why);
    ck_assert_msg(err == 0, "%s", why.text);
}

static struct db *db_at(const struct place *p)
{
    struct db *db;
    struct why why = {""};
    ck_assert_msg(db_open(p->folder, false, &db, &why) == 0, "%s", why.text);
    return db;
}

static void histories(unsigned kinds, unsigned transactions)
{
    struct random random = random_open();
    struct place p = place_make();
    struct db *db;
    struct why why = {""};
    struct model m = {0};
    db = db_at(&p);
    for (unsigned n = 0; n < transactions; n++) {
        struct db_txn *reader = NULL;
        if (random_below(&random, 4) == 0) /* pages that a reader holds are freed later */
            ck_assert_int_eq(db_begin(db, false, &reader, &why), 0);
        unsigned during = 1 + (unsigned)random_below(&random, 4);
        for (unsigned k = 0; k < during; k++) {
            commit(db, &random, &m, kinds);
            check_file(&p, "a commit");
        }
        db_abort(&reader);
        if (random_below(&random, 20) == 0) {
            check_model(db, &m);
            db_close(&db);
            db = db_at(&p);
        }
    }
    check_model(db, &m);
    db_close(&db);
    place_end(&p);
}

START_TEST(test_small_values)
{
    histories(5, 150);
}
END_TEST

START_TEST(test_values_of_all_sizes)
{
    histories(12, 100);
}
END_TEST

/* A large value that is put again in its transaction, and is smaller then, keeps the pages that it had. */
START_TEST(test_put_again_smaller)
{
    struct place p = place_make();
    struct db *db;
    struct db_txn *txn;
    struct why why = {""};
    struct model *m = mem_zalloc(sizeof *m);
    db = db_at(&p);
    ck_assert_int_eq(db_begin(db, true, &txn, &why), 0);
    put(txn, m, 1, 40000, 'x');
    put(txn, m, 1, 9000, 'y');
    put(txn, m, 2, 40000, 'x');
    put(txn, m, 2, 10, 'y');
    ck_assert_int_eq(db_commit(&txn, &why), 0);
    check_file(&p, "smaller values");
    check_model(db, m);
    db_close(&db);
    db = db_at(&p);
    check_model(db, m);
    db_close(&db);
    mem_free(&m);
    place_end(&p);
}
END_TEST

/* A reader that was killed does not keep the file growing. */
START_TEST(test_killed_reader)
{
    struct place p = place_make();
    struct db *db;
    struct db_txn *txn;
    struct why why = {""};
    struct model *m = mem_zalloc(sizeof *m);
    int ready[2];
    uint8_t octet = 0;
    db = db_at(&p);
    db_close(&db);
    ck_assert_int_eq(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        if (db_open(p.folder, true, &db, &why) || db_begin(db, false, &txn, &why) ||
            write(ready[1], &octet, 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    ck_assert_int_eq(read(ready[0], &octet, 1), 1);
    db = db_at(&p);
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(db_begin(db, true, &txn, &why), 0);
        put(txn, m, 1, 70000, (uint8_t)i);
        ck_assert_int_eq(db_commit(&txn, &why), 0);
    }
    ck_assert_msg(db_size(db).file < 10 * 70000, "%zu octets", db_size(db).file);
    db_close(&db);
    close(ready[0]);
    close(ready[1]);
    mem_free(&m);
    place_end(&p);
}
END_TEST

/* A map that cannot grow is an error of that write; the next one finds all that was there. */
START_TEST(test_map_that_cannot_grow)
{
    struct place p = place_make();
    struct db *db;
    struct db_txn *txn;
    struct why why = {""};
    struct model *m = mem_zalloc(sizeof *m);
    struct rlimit limit;
    static uint8_t value[1 << 20];
    db = db_at(&p);
    ck_assert_int_eq(db_begin(db, true, &txn, &why), 0);
    put(txn, m, 1, 1000, 'x');
    ck_assert_int_eq(db_commit(&txn, &why), 0);
    ck_assert_int_eq(db_begin(db, true, &txn, &why), 0);
    int err = 0;
    for (uint8_t i = 0; !err && i < 100; i++)
        err = db_put(txn, &i, 1, value, sizeof value, &why);
    ck_assert_int_eq(err, -E_SPACE);
    db_abort(&txn);
    ck_assert_int_eq(getrlimit(RLIMIT_AS, &limit), 0);
    struct rlimit less = limit;
    less.rlim_cur = 1 << 20; /* less than there is: nothing can be mapped */
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &less), 0);
    ck_assert_int_eq(db_grow(db, &why), -E_IO);
    ck_assert_int_eq(db_begin(db, true, &txn, &why), -E_IO);
    ck_assert_int_eq(db_begin(db, false, &txn, &why), -E_IO);
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    ck_assert_msg(db_begin(db, true, &txn, &why) == 0, "%s", why.text);
    put(txn, m, 2, 1000, 'y');
    ck_assert_int_eq(db_commit(&txn, &why), 0);
    check_model(db, m);
    db_close(&db);
    mem_free(&m);
    place_end(&p);
}
END_TEST

static uint8_t *file_keep(const struct place *p, size_t *size)
{
    struct stat st;
    int fd = open(p->file, O_RDONLY);
    ck_assert(fd >= 0 && fstat(fd, &st) == 0);
    *size = (size_t)st.st_size;
    uint8_t *file = mem_alloc(*size);
    ck_assert_int_eq(pread(fd, file, *size, 0), st.st_size);
    close(fd);
    return file;
}

static void file_put_back(const struct place *p, const uint8_t *file, size_t size)
{
    int fd = open(p->file, O_WRONLY);
    ck_assert(fd >= 0);
    ck_assert_int_eq(pwrite(fd, file, size, 0), (ssize_t)size);
    close(fd);
}

/* What the map can no longer give, as when the disk cannot read it, is an error with words, in a reader and in a writer; nothing
 * more is written until all of the file can be read again, and then all is there. */
START_TEST(test_map_that_cannot_be_read)
{
    struct place p = place_make();
    struct db *db = db_at(&p);
    struct db_txn *txn;
    struct db_item item;
    struct why why = {""};
    struct model *m = mem_zalloc(sizeof *m);
    uint8_t key[KEY_LEN_MAX];
    bool writes = _i;
    ck_assert_int_eq(db_begin(db, true, &txn, &why), 0);
    for (unsigned i = 0; i < KEYS; i++)
        put(txn, m, i, 1000, (uint8_t)i);
    ck_assert_int_eq(db_commit(&txn, &why), 0);
    size_t size, key_len = key_make(1, key);
    uint8_t *file = file_keep(&p, &size);
    ck_assert_int_eq(truncate(p.file, 2 * PAGE), 0); /* a SIGBUS as good as that of a bad sector */

    ck_assert_msg(db_begin(db, writes, &txn, &why) == 0, "%s", why.text);
    ck_assert_int_eq(writes ? db_put(txn, key, key_len, key, 1, &why)
                            : db_get(txn, key, key_len, &item, &why),
                     -E_FORMAT);
    ck_assert_msg(strstr(why.text, "cannot read the file at octet"), "%s", why.text);
    if (writes)
        ck_assert_int_eq(db_commit(&txn, &why), -E_FORMAT);
    else
        db_abort(&txn);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(db_begin(db, true, &txn, &why), -E_FORMAT);
        ck_assert_msg(strstr(why.text, "lies outside the file"), "%s", why.text);
    }

    file_put_back(&p, file, size);
    ck_assert_msg(db_begin(db, true, &txn, &why) == 0, "%s", why.text);
    put(txn, m, 1, 2000, 'y');
    ck_assert_int_eq(db_commit(&txn, &why), 0);
    check_model(db, m);
    check_file(&p, "put back");
    db_close(&db);
    mem_free(&file);
    mem_free(&m);
    place_end(&p);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("journal_db");
    suite_add(s, test_small_values);
    suite_add(s, test_values_of_all_sizes);
    suite_add(s, test_put_again_smaller);
    suite_add(s, test_killed_reader);
    tcase_add_loop_test(s.tcase, test_map_that_cannot_be_read, 0, 2);
#if !defined(__SANITIZE_ADDRESS__) &&                                                              \
    !defined(__SANITIZE_THREAD__) /* they need address space themselves */
    suite_add(s, test_map_that_cannot_grow);
#else
    (void)test_map_that_cannot_grow;
#endif
    return suite_run(s);
}
