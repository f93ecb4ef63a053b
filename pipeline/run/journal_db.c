/* The journal's file.
 *
 * LMDB is a copy-on-write B+tree in a map: a commit writes new pages, makes them durable, and only then one of two
 * meta pages that point to them. So a crash, of the process or the machine, leaves the state of the last commit, and there is
 * nothing to repair or replay. What it does not stand is damage: it follows page numbers without looking twice. Therefore all pages
 * are checked when the file is opened (journal_pages.c), and values carry sums of their own (journal_record.c).
 *
 * The map has a size, and a full one is an error of the write that did not fit. It can be made larger while no transaction of this
 * process is open, which the lock sees to: transactions hold it for reading, db_grow for writing.
 *
 * A write that fails while a meta page is written leaves LMDB unwilling to do more (MDB_PANIC); then the next write begins with
 * opening the environment anew. So it does when the disk could not read a page of the map (journal_map.c), and then all pages are
 * checked once more. */
#include "pipeline/run/journal_db.h"

#include "pipeline/base/alloc.h"
#include "pipeline/run/journal_map.h"
#include "pipeline/run/journal_pages.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAP_FIRST = (1 << 26) >> JOURNAL_SHRINK, READERS_MAX = 510 };

struct db {
    MDB_env *env;
    MDB_dbi table;
    char *folder;
    bool read_only;
    _Atomic bool panic;    /* the next write opens the environment anew */
    _Atomic bool doubtful; /* … and checks its pages */
    struct map watch;
    size_t map;            /* its map, at least: what had to grow is not opened smaller again */
    pthread_rwlock_t lock; /* held for reading by every transaction */
};
struct db_txn {
    struct db *db;
    MDB_txn *txn;
    bool write;
};
struct db_cursor {
    struct db_txn *txn;
    MDB_cursor *cursor;
};

static int db_fail(struct why *why, const char *doing, int rc)
{
    int code = rc == MDB_MAP_FULL   ? -E_SPACE
               : rc == MDB_NOTFOUND ? -E_NOENT
               : rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND || rc == MDB_INVALID ||
                       rc == MDB_VERSION_MISMATCH || rc == MDB_INCOMPATIBLE
                   ? -E_FORMAT
                   : -E_IO;
    return why_set(why, code, "%s: %s", doing, mdb_strerror(rc));
}

/* ---- open ---- */

/* -E_FORMAT: the disk cannot give what lies there, so that is as good as damaged. */
static int read_fail(struct why *why, uint64_t at, int error)
{
    return why_set(why, error == EIO ? -E_FORMAT : -E_IO, "cannot read the file at octet %llu: %s",
                   (unsigned long long)at, error ? strerror(error) : "it ends there");
}

static int file_read(void *ctx, uint64_t at, uint8_t *to, size_t n, struct why *why)
{
    const int *fd = ctx;
    while (n) {
        ssize_t got = pread(*fd, to, n, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return read_fail(why, at, got ? errno : 0);
        to += got;
        at += (uint64_t)got;
        n -= (size_t)got;
    }
    return 0;
}

/* Before LMDB sees the file. */
static int head_check(const char *file, struct why *why)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;                    /* LMDB says why, or makes it */
    uint8_t head[PAGES_HEAD_OCTETS]; /* on the stack: this is where memory may be short */
    ssize_t n = pread(fd, head, PAGES_HEAD_OCTETS, 0);
    int err = n < 0 ? read_fail(why, 0, errno) : pages_head_check(head, (size_t)n, why);
    close(fd);
    return err;
}

static int env_open(const char *folder, bool read_only, size_t map, MDB_env **out, struct why *why)
{
    MDB_env *env;
    struct stat st;
    char *file = mem_printf("%s/data.mdb", folder);
    int rc = 0, odd = head_check(file, why);
    if (!odd)
        rc = mdb_env_create(&env);
    if (odd || rc) {
        mem_free(&file);
        return odd ? odd : db_fail(why, "cannot open the journal", rc);
    }
    mdb_env_set_maxreaders(env, READERS_MAX);
    if (stat(file, &st) == 0)
        while (map < (size_t)st.st_size)
            map *= 2;
    mem_free(&file);
    mdb_env_set_mapsize(env, map);
    rc = mdb_env_open(env, folder, MDB_NOTLS | MDB_NORDAHEAD | (read_only ? MDB_RDONLY : 0u), 0640);
    if (rc) {
        mdb_env_close(env);
        char *doing = mem_printf("cannot open the journal in %s", folder);
        int err = db_fail(why, doing, rc);
        mem_free(&doing);
        return err;
    }
    *out = env;
    return 0;
}

static int table_open(MDB_env *env, bool read_only, MDB_dbi *table, struct why *why)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(env, NULL, read_only ? MDB_RDONLY : 0, &txn);
    if (rc)
        return db_fail(why, "cannot open the journal", rc);
    rc = mdb_dbi_open(txn, NULL, 0, table);
    if (rc) {
        mdb_txn_abort(txn);
        return db_fail(why, "cannot open the journal", rc);
    }
    rc = mdb_txn_commit(txn);
    return rc ? db_fail(why, "cannot open the journal", rc) : 0;
}

/* A file that is shorter than it should be would be a SIGBUS, one with a wrong number in it anything at all. The transaction keeps
 * the state that is looked at from being written over, by another process, too. */
static int env_check(MDB_env *env, struct why *why)
{
    MDB_stat stat_all;
    struct stat st;
    mdb_filehandle_t fd;
    MDB_txn *txn;
    mdb_env_stat(env, &stat_all);
    int rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return db_fail(why, "cannot check the journal", rc);
    rc = mdb_env_get_fd(env, &fd);
    if (!rc && fstat(fd, &st))
        rc = errno;
    int err = rc ? db_fail(why, "cannot check the journal", rc) : 0;
    if (!err) {
        struct pages_file file = {file_read, &fd, (uint64_t)st.st_size};
        err = pages_check(&file, stat_all.ms_psize, mdb_txn_id(txn), why);
    }
    mdb_txn_abort(txn);
    return err;
}

static void env_watch(struct db *db)
{
    mdb_filehandle_t fd;
    if (!mdb_env_get_fd(db->env, &fd))
        map_watch(&db->watch, fd);
}

static void env_drop(struct db *db)
{
    map_unwatch(&db->watch);
    if (db->env)
        mdb_env_close(db->env);
    db->env = NULL;
}

int db_open(const char *folder, bool read_only, struct db **out, struct why *why)
{
    struct db *db = mem_zalloc(sizeof *db);
    db->map = MAP_FIRST;
    int err = env_open(folder, read_only, db->map, &db->env, why);
    if (!err)
        err = env_check(db->env, why);
    if (!err)
        err = table_open(db->env, read_only, &db->table, why);
    if (err) {
        env_drop(db);
        mem_free(&db);
        return err;
    }
    env_watch(db);
    db->folder = mem_strdup(folder);
    db->read_only = read_only;
    pthread_rwlock_init(&db->lock, NULL);
    *out = db;
    return 0;
}

void db_close(struct db **dbp)
{
    struct db *db = *dbp;
    if (!db)
        return;
    env_drop(db);
    pthread_rwlock_destroy(&db->lock);
    mem_free(&db->folder);
    mem_free(dbp);
}

/* A map that cannot be made larger is gone, and the environment with it; the next write opens another. */
int db_grow(struct db *db, struct why *why)
{
    MDB_envinfo info;
    int dead = 0;
    pthread_rwlock_wrlock(&db->lock);
    int rc = db->env ? mdb_env_info(db->env, &info) : EBADF;
    if (!rc)
        mdb_reader_check(db->env, &dead); /* one that was killed keeps pages from being used */
    if (!rc && !dead)
        rc = mdb_env_set_mapsize(db->env, info.me_mapsize * 2);
    if (!rc && !dead)
        db->map = info.me_mapsize * 2;
    if (rc && db->env) {
        env_drop(db);
        db->panic = true;
    }
    if (!rc && !dead)
        env_watch(db);
    pthread_rwlock_unlock(&db->lock);
    return rc ? db_fail(why, "cannot make the journal's map larger", rc) : 0;
}

struct db_size db_size(struct db *db)
{
    MDB_envinfo info;
    MDB_stat all; /* of the one table */
    struct db_size size = {0};
    pthread_rwlock_rdlock(&db->lock);
    if (db->env && !mdb_env_info(db->env, &info) && !mdb_env_stat(db->env, &all)) {
        size.file = (info.me_last_pgno + 1) * all.ms_psize;
        size.used =
            (all.ms_branch_pages + all.ms_leaf_pages + all.ms_overflow_pages) * all.ms_psize;
    }
    pthread_rwlock_unlock(&db->lock);
    return size;
}

/* ---- transactions ---- */

static int env_and_table(struct db *db, bool read_only, struct why *why)
{
    int err = env_open(db->folder, read_only, db->map, &db->env, why);
    if (!err && db->doubtful)
        err = env_check(db->env, why);
    if (!err)
        err = table_open(db->env, read_only, &db->table, why);
    if (err)
        env_drop(db);
    else
        env_watch(db);
    return err;
}

/* An environment must not be open twice in one process (its locks are the process's), so the old one goes first. */
static int db_reopen(struct db *db, struct why *why)
{
    pthread_rwlock_wrlock(&db->lock);
    env_drop(db);
    int err = env_and_table(db, db->read_only, why);
    if (err && !db->read_only && !db->doubtful)
        (void)!env_and_table(db, true, NULL); /* zones can be read meanwhile */
    db->panic = err != 0;
    db->doubtful = db->doubtful && err;
    pthread_rwlock_unlock(&db->lock);
    return err;
}

/* Another process (a `weir dump`) may find that the map has grown. */
static int txn_begin(struct db *db, bool write, MDB_txn **out)
{
    int rc = mdb_txn_begin(db->env, NULL, write ? 0 : MDB_RDONLY, out);
    if (rc != MDB_MAP_RESIZED)
        return rc;
    rc = mdb_env_set_mapsize(db->env, 0);
    env_watch(db);
    return rc ? rc : mdb_txn_begin(db->env, NULL, write ? 0 : MDB_RDONLY, out);
}

void db_forget(struct db *db)
{
    struct why why;
    (void)!db_reopen(db, &why); /* the writer tries again */
}

int db_begin(struct db *db, bool write, struct db_txn **out, struct why *why)
{
    MDB_txn *txn;
    int err = write && db->panic ? db_reopen(db, why) : 0;
    if (err)
        return err;
    pthread_rwlock_rdlock(&db->lock);
    int dead, rc = db->env ? 0 : EBADF;
    if (!rc && write) /* a reader that was killed would keep all pages from being used again */
        rc = mdb_reader_check(db->env, &dead);
    if (!rc)
        rc = txn_begin(db, write, &txn);
    if (rc) {
        pthread_rwlock_unlock(&db->lock);
        if (write)
            db->panic = true;
        return db_fail(why, "cannot begin", rc);
    }
    struct db_txn *made = mem_zalloc(sizeof *made);
    *made = (struct db_txn){.db = db, .txn = txn, .write = write};
    *out = made;
    return 0;
}

static void txn_end(struct db_txn **txn)
{
    pthread_rwlock_unlock(&(*txn)->db->lock);
    mem_free(txn);
}

/* Something of what it has read may not have been what is in the file. */
static int db_lost(struct db_txn *txn, struct why *why)
{
    int err = map_lost(&txn->db->watch, why);
    if (err)
        txn->db->doubtful = txn->db->panic = true;
    return err;
}

void db_abort(struct db_txn **txn)
{
    if (!*txn)
        return;
    (void)!db_lost(*txn, NULL);
    mdb_txn_abort((*txn)->txn);
    txn_end(txn);
}

int db_commit(struct db_txn **txnp, struct why *why)
{
    struct db_txn *txn = *txnp;
    int err = db_lost(txn, why);
    if (err) {
        db_abort(txnp);
        return err;
    }
    map_commit_begin();
    int rc = mdb_txn_commit(txn->txn);
    map_commit_end();
    if (rc && rc != MDB_MAP_FULL && txn->write)
        txn->db->panic = true; /* it may be; opening it anew costs little */
    txn_end(txnp);
    return rc ? db_fail(why, "cannot commit", rc) : 0;
}

static int txn_fail(struct db_txn *txn, struct why *why, const char *doing, int rc)
{
    int err = db_lost(txn, why);
    return err ? err : db_fail(why, doing, rc);
}

static MDB_val val(const uint8_t *p, size_t n)
{
    return (MDB_val){n, (void *)(uintptr_t)p};
}

static void item_set(struct db_item *out, const MDB_val *key, const MDB_val *value)
{
    *out = (struct db_item){key->mv_data, value->mv_data, key->mv_size, value->mv_size};
}

int db_get(struct db_txn *txn, const uint8_t *key, size_t key_len, struct db_item *out,
           struct why *why)
{
    MDB_val k = val(key, key_len), v;
    int rc = mdb_get(txn->txn, txn->db->table, &k, &v);
    if (rc)
        return txn_fail(txn, why, "cannot read", rc);
    item_set(out, &k, &v);
    return db_readable(txn, out, why);
}

/* Where it lies in the file is what its page's head says, and that has been read when the pages were checked. The map begins at a page of
 * the system's, so pages that are larger than those do not say where they begin. */
int db_readable(struct db_txn *txn, const struct db_item *item, struct why *why)
{
    enum { STEP = 1 << 15 };
    uint8_t room[STEP];
    uint64_t page;
    MDB_stat all;
    mdb_filehandle_t fd;
    if (txn->write)
        return 0; /* it may be this transaction's own, which is not in the file */
    int rc = mdb_env_stat(txn->db->env, &all);
    if (!rc)
        rc = mdb_env_get_fd(txn->db->env, &fd);
    if (rc)
        return db_fail(why, "cannot read", rc);
    size_t page_size = all.ms_psize, in_page = (uintptr_t)item->value & (page_size - 1);
    if (page_size > (size_t)sysconf(_SC_PAGESIZE))
        return 0;
    memcpy(&page, item->value - in_page, sizeof page);
    int err = 0;
    for (size_t done = 0; !err && done < item->value_len; done += STEP) {
        size_t n = item->value_len - done < STEP ? item->value_len - done : STEP;
        err = file_read(&fd, page * page_size + in_page + done, room, n, why);
    }
    return err;
}

int db_put(struct db_txn *txn, const uint8_t *key, size_t key_len, const uint8_t *value, size_t len,
           struct why *why)
{
    MDB_val k = val(key, key_len), v = val(value, len);
    int rc = mdb_put(txn->txn, txn->db->table, &k, &v, 0);
    return rc ? txn_fail(txn, why, "cannot write", rc) : 0;
}

int db_del(struct db_txn *txn, const uint8_t *key, size_t key_len, struct why *why)
{
    MDB_val k = val(key, key_len);
    int rc = mdb_del(txn->txn, txn->db->table, &k, NULL);
    return rc && rc != MDB_NOTFOUND ? txn_fail(txn, why, "cannot delete", rc) : 0;
}

/* ---- cursors ---- */

int db_cursor_open(struct db_txn *txn, struct db_cursor **out, struct why *why)
{
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(txn->txn, txn->db->table, &cursor);
    if (rc)
        return db_fail(why, "cannot read", rc);
    struct db_cursor *made = mem_zalloc(sizeof *made);
    made->txn = txn;
    made->cursor = cursor;
    *out = made;
    return 0;
}

void db_cursor_close(struct db_cursor **cursor)
{
    mdb_cursor_close((*cursor)->cursor);
    mem_free(cursor);
}

static int cursor_get(struct db_cursor *cursor, MDB_val *key, MDB_cursor_op op, struct db_item *out,
                      struct why *why)
{
    MDB_val v;
    int rc = mdb_cursor_get(cursor->cursor, key, &v, op);
    if (rc)
        return txn_fail(cursor->txn, why, "cannot read", rc);
    item_set(out, key, &v);
    return 0;
}

int db_seek(struct db_cursor *cursor, const uint8_t *key, size_t key_len, struct db_item *out,
            struct why *why)
{
    MDB_val k = val(key, key_len);
    return cursor_get(cursor, &k, MDB_SET_RANGE, out, why);
}

int db_cursor_del(struct db_cursor *cursor, struct why *why)
{
    int rc = mdb_cursor_del(cursor->cursor, 0);
    return rc ? txn_fail(cursor->txn, why, "cannot delete", rc) : 0;
}

int db_next(struct db_cursor *cursor, struct db_item *out, struct why *why)
{
    MDB_val k;
    return cursor_get(cursor, &k, MDB_NEXT, out, why);
}
