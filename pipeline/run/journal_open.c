/* What a journal is found to be when it is opened.
 *
 * LMDB's pages have been checked (journal_pages.c). Then all keys are surveyed: rows that cannot be read cost their zones, and whatever has a
 * number that no row names was left behind by a crash and is deleted, in slices, while weir runs. Values are not read here: they are
 * when their zone is loaded. */
#include "pipeline/run/journal_p.h"

#include "pipeline/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Every id that a row names, sorted. */
struct ids {
    size_t n, cap;
    uint64_t *id;
};

static void ids_add(struct ids *ids, uint64_t id)
{
    if (ids->n == ids->cap) {
        ids->cap = ids->cap ? 2 * ids->cap : 64;
        ids->id = mem_resize(ids->id, ids->cap * sizeof ids->id[0]);
    }
    ids->id[ids->n++] = id;
}

static int id_cmp(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static bool ids_have(const struct ids *ids, uint64_t id)
{
    return ids->n && bsearch(&id, ids->id, ids->n, sizeof id, id_cmp);
}

enum { FORMAT_COPIES = 2 };

struct survey {
    uint32_t format[FORMAT_COPIES]; /* 0: is not there, or cannot be read */
    struct ids zones, images, bad;  /* bad: offsets of names in `names` */
    struct growbuf names;
};

static int rows_survey(struct journal *j, struct db_txn *txn, struct db_cursor *cursor,
                       struct survey *s, struct why *why)
{
    struct journal_key from = journal_key(JOURNAL_ROW);
    struct db_item item;
    int err = db_seek(cursor, from.octets, from.len, &item, why);
    for (; !err && item.key[0] == JOURNAL_ROW; err = db_next(cursor, &item, why)) {
        struct rbuf in, about;
        struct journal_row row;
        struct why bad;
        const uint8_t *name = item.key + 1;
        int name_octets = name_valid(name, item.key_len - 1);
        int odd = name_octets < 0 || (size_t)name_octets + 1 != item.key_len
                      ? why_set(&bad, -E_FORMAT, "its key is no name")
                      : db_readable(txn, &item, &bad);
        if (!odd)
            odd = journal_unseal(&item, &in, &bad);
        if (!odd)
            odd = journal_row_load(&in, &row, &about, &bad);
        if (odd) {
            journal_damaged(j, name_octets > 0 ? name : NULL, JOURNAL_ZONE_LOST, &bad);
            ids_add(&s->bad, s->names.len);
            growbuf_u16(&s->names, (uint16_t)item.key_len);
            growbuf_put(&s->names, item.key, item.key_len);
            continue;
        }
        ids_add(&s->zones, row.zone);
        for (unsigned i = 0; i < row.nlayers; i++)
            ids_add(&s->images, row.layer[i].image);
    }
    return err == -E_NOENT ? 0 : err;
}

/* Values whose id nobody names are garbage. */
static int kind_survey(struct journal *j, struct db_cursor *cursor, enum journal_kind kind,
                       const struct ids *known, _Atomic uint64_t *next, struct why *why)
{
    struct db_item item;
    for (uint64_t id = 0;; id++) {
        struct journal_key key = journal_key_id(kind, id);
        int err = db_seek(cursor, key.octets, key.len, &item, why);
        if (err == -E_NOENT || (!err && !journal_key_has_id(&item, kind, &id, NULL)))
            return 0;
        if (err)
            return err;
        if (!ids_have(known, id))
            garbage_add(j, kind, id, 0, UINT64_MAX);
        if (id >= atomic_load(next))
            atomic_store(next, id + 1);
        if (id == UINT64_MAX)
            return 0;
    }
}

static void next_after(_Atomic uint64_t *next, const struct ids *ids)
{
    if (ids->n && ids->id[ids->n - 1] >= atomic_load(next))
        atomic_store(next, ids->id[ids->n - 1] + 1);
}

static int all_survey(struct journal *j, struct survey *s, struct why *why)
{
    static const enum journal_kind of_zone[] = {JOURNAL_HELD, JOURNAL_STEP, JOURNAL_TIMERS};
    struct db_txn *txn;
    struct db_cursor *cursor;
    int err = db_begin(j->db, false, &txn, why);
    if (err)
        return err;
    err = db_cursor_open(txn, &cursor, why);
    if (!err) {
        err = rows_survey(j, txn, cursor, s, why);
        if (s->zones.n)
            qsort(s->zones.id, s->zones.n, sizeof s->zones.id[0], id_cmp);
        if (s->images.n)
            qsort(s->images.id, s->images.n, sizeof s->images.id[0], id_cmp);
        next_after(&j->next_zone, &s->zones);
        next_after(&j->next_image, &s->images);
        if (!err)
            err = kind_survey(j, cursor, JOURNAL_CHUNK, &s->images, &j->next_image, why);
        for (int i = 0; !err && i < 3; i++)
            err = kind_survey(j, cursor, of_zone[i], &s->zones, &j->next_zone, why);
        db_cursor_close(&cursor);
    }
    db_abort(&txn);
    return err;
}

/* The format's number, where it is missing or cannot be read; rows that cannot be read go. */
static int begin_apply(struct journal *j, struct db_txn *txn, void *arg, struct why *why)
{
    const struct survey *s = arg;
    int err = 0;
    for (unsigned i = 0; !err && i < FORMAT_COPIES; i++) {
        struct journal_key key = journal_key_format(i);
        if (s->format[i])
            continue;
        j->scratch.len = 0;
        growbuf_u32(&j->scratch, JOURNAL_FORMAT);
        err = value_put(j, txn, &key, &j->scratch, why);
    }
    for (size_t i = 0; !err && i < s->bad.n; i++) {
        const uint8_t *p = s->names.p + s->bad.id[i];
        err = db_del(txn, p + 2, get_u16(p), why);
    }
    return err;
}

static int format_get(struct db_txn *txn, unsigned copy, uint32_t *format, struct why *why)
{
    struct journal_key key = journal_key_format(copy);
    struct db_item item;
    struct rbuf in;
    int err = db_get(txn, key.octets, key.len, &item, why);
    if (err)
        return err;
    item.key = key.octets;
    err = journal_unseal(&item, &in, why);
    *format = err ? 0 : rbuf_u32(&in);
    return err;
}

/* It is the one value that all depends on, so it is there twice (in a journal of an earlier weir, once), and one is enough. */
static int formats_read(struct journal *j, struct db_txn *txn, struct survey *s, struct why *why)
{
    int err[FORMAT_COPIES];
    struct why bad;
    for (unsigned i = 0; i < FORMAT_COPIES; i++) {
        err[i] = format_get(txn, i, &s->format[i], &bad);
        if (err[i] && err[i] != -E_NOENT)
            *why = bad;
    }
    bool good = !err[0] || !err[1], none = err[0] == -E_NOENT && err[1] == -E_NOENT;
    if (!good && !none)
        return err[0] != -E_NOENT ? err[0] : err[1];
    for (unsigned i = 0; i < FORMAT_COPIES; i++) {
        if (err[i] && err[i] != -E_NOENT)
            journal_damaged(
                j, NULL,
                "journal: one of the two notes of its format cannot be read; it is written again",
                why);
        if (!err[i] && s->format[i] != JOURNAL_FORMAT)
            return why_set(why, -E_UNSUPPORTED,
                           "the journal has format %u, and this weir reads %d: start the weir that "
                           "wrote it, or put the folder aside",
                           s->format[i], JOURNAL_FORMAT);
    }
    return 0;
}

static int format_check(struct journal *j, struct survey *s, struct why *why)
{
    struct db_txn *txn;
    int err = db_begin(j->db, false, &txn, why);
    if (err)
        return err;
    err = formats_read(j, txn, s, why);
    db_abort(&txn);
    return err;
}

static int contents_open(struct journal *j, struct why *why)
{
    struct survey s = {0};
    int err = format_check(j, &s, why);
    if (!err)
        err = all_survey(j, &s, why);
    if (!err)
        err = journal_transact(j, begin_apply, &s, why);
    mem_free(&s.zones.id);
    mem_free(&s.images.id);
    mem_free(&s.bad.id);
    mem_free(&s.names.p);
    return err;
}

/* Some file systems cannot sync a folder, and say EINVAL. */
int folder_sync(const char *folder, struct why *why)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = fd < 0 || (fsync(fd) && errno != EINVAL);
    int err =
        failed ? why_set(why, -E_IO, "cannot sync folder %s: %s", folder, strerror(errno)) : 0;
    if (fd >= 0)
        close(fd);
    return err;
}

int folder_make(const char *folder, struct why *why)
{
    if (mkdir(folder, 0750))
        return errno == EEXIST
                   ? 0
                   : why_set(why, -E_IO, "cannot make folder %s: %s", folder, strerror(errno));
    char *above = mem_printf("%s/..", folder);
    int err = folder_sync(above, why);
    mem_free(&above);
    return err;
}

/* The lock goes with the process, however it ends. */
int journal_own(struct journal *j, const char *folder, struct why *why)
{
    char *path = mem_printf("%s/owner", folder), pid[24] = "";
    j->owner = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    int err = 0;
    if (j->owner < 0) {
        err = why_set(why, -E_IO, "cannot open %s: %s", path, strerror(errno));
    } else if (flock(j->owner, LOCK_EX | LOCK_NB)) {
        ssize_t n = read(j->owner, pid, sizeof pid - 1);
        pid[n > 0 ? n : 0] = 0;
        err = why_set(why, -E_EXISTS, "another weir (process %s) uses the journal in %s",
                      *pid ? pid : "?", folder);
    } else {
        int n = snprintf(pid, sizeof pid, "%ld", (long)getpid());
        if (ftruncate(j->owner, 0) || pwrite(j->owner, pid, (size_t)n, 0) != n)
            log_warn("journal: cannot note who uses it", LOG_KV("file", LOG_S(path)),
                     LOG_KV("why", LOG_S(strerror(errno)))); /* the lock holds all the same */
    }
    mem_free(&path);
    return err;
}

/* A file that cannot be read is not thrown away: somebody may want to look. One such is kept. */
int journal_put_aside(const char *folder, struct why *why)
{
    char *aside = mem_printf("%s.damaged", folder);
    static const char *const file[] = {"data.mdb", "lock.mdb"};
    int err = folder_make(aside, why);
    for (int i = 0; !err && i < 2; i++) {
        char *from = mem_printf("%s/%s", folder, file[i]),
             *to = mem_printf("%s/%s", aside, file[i]);
        if (rename(from, to) && errno != ENOENT)
            err = why_set(why, -E_IO, "cannot put %s aside: %s", from, strerror(errno));
        mem_free(&from);
        mem_free(&to);
    }
    mem_free(&aside);
    return err;
}

int journal_file_open(struct journal *j, const char *folder, struct why *why)
{
    int err = db_open(folder, false, &j->db, why);
    if (!err)
        err = contents_open(j, why);
    return err;
}
