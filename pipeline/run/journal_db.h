/* journal_db: ordered keys and values on disk. The one place that knows LMDB.
 *
 * WHAT   One LMDB environment in a folder, one table in it. A write transaction is all or nothing, and durable when
 *        db_commit has returned. Readers see the state at their beginning for as long as they stay, and stop nobody.
 * WHO    db_begin(write): one thread. Readers: any thread, and other processes. A cursor belongs to its transaction.
 * OWNS   Values are borrowed from the map until the transaction ends (of a write transaction: until its next change).
 * FAILS  -E_SPACE: the map is full: abort, db_grow, and do it again. -E_IO: the system said no. -E_FORMAT: the file is damaged.
 *        The why has LMDB's words. After an error of a write transaction, abort it.
 * COST   put, get: a descent. commit: the changed pages and one fdatasync.
 */
#ifndef WEIR_RUN_JOURNAL_DB_H
#define WEIR_RUN_JOURNAL_DB_H

#include "pipeline/base/errors.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sizes of the journal are divided by 2^this: tests build it with more, so that slices, compaction and growth happen all the time. */
#ifndef JOURNAL_SHRINK
#define JOURNAL_SHRINK 0
#endif

struct db;
struct db_txn;
struct db_cursor;
struct db_item {
    const uint8_t *key, *value;
    size_t key_len, value_len;
};

/* All pages are checked before they are used. -E_FORMAT: damaged, or the disk cannot read it; -E_NOENT: a reader finds none. */
int db_open(const char *folder, bool read_only, struct db **out, struct why *why) MUST_CHECK;
void db_close(struct db **db);                           /* NULL inside allowed */
/* A larger map. No transaction of this process may be open in the calling thread; waits for those of others. */
int db_grow(struct db *db, struct why *why) MUST_CHECK;
/* Pages that were read count as this process's memory until the system wants them; this lets go of them. Between transactions. */
void db_forget(struct db *db);
/* Of the file, and of what is in use there, in octets: a file does not become smaller, what is free is used again. 0: not open. */
struct db_size {
    size_t file, used;
};
struct db_size db_size(struct db *db);

int db_begin(struct db *db, bool write, struct db_txn **out, struct why *why) MUST_CHECK;
int db_commit(struct db_txn **txn, struct why *why) MUST_CHECK; /* the transaction is gone, also on failure */
void db_abort(struct db_txn **txn);                      /* NULL inside allowed */
/* The value can be read: see db_readable. */
int db_get(struct db_txn *txn, const uint8_t *key, size_t key_len, struct db_item *out, struct why *why) MUST_CHECK;
/* A cursor's value lies in the map, and what the disk cannot read would be a SIGBUS there. -E_FORMAT: it cannot; with 0 it is in memory. */
int db_readable(struct db_txn *txn, const struct db_item *item, struct why *why) MUST_CHECK;
int db_put(struct db_txn *txn, const uint8_t *key, size_t key_len, const uint8_t *value, size_t len, struct why *why) MUST_CHECK;
int db_del(struct db_txn *txn, const uint8_t *key, size_t key_len, struct why *why) MUST_CHECK; /* not there: 0 */

int db_cursor_open(struct db_txn *txn, struct db_cursor **out, struct why *why) MUST_CHECK;
void db_cursor_close(struct db_cursor **cursor);         /* before its transaction ends */
int db_seek(struct db_cursor *cursor, const uint8_t *key, size_t key_len, struct db_item *out, struct why *why) MUST_CHECK; /* first at or behind; -E_NOENT */
/* Deletes what it is at; db_next then gives what came behind that. */
int db_cursor_del(struct db_cursor *cursor, struct why *why) MUST_CHECK;
int db_next(struct db_cursor *cursor, struct db_item *out, struct why *why) MUST_CHECK; /* -E_NOENT: that was the last */

#endif
