/* journal_fuzz: what the journal reads, out of hostile octets. Sums are put on as they should be, so that what is behind them is reached.
 *
 *   | kind u8 | value |          Z row, S step, C chunk, H held candidate: the value without its sum
 *   | M | octets |             what resolvers may have of a zone, as it ends a row
 *   | P | file |                 LMDB's pages
 *
 * Held against what is read: values that are taken give themselves again when they are written; a file whose pages are found to be right
 * can be read by LMDB from its first key to its last, changed, and is right afterwards. */
#include "pipeline/run/caches.h"
#include "pipeline/run/journal_pages.h"
#include "pipeline/run/journal_record.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t apex[] = "\7example";

static void caches_take(const uint8_t *p, size_t len)
{
    struct growbuf out = {0}, again = {0};
    struct caches *c = caches_load(p, len);
    if (!c)
        return;
    caches_save(c, &out);
    struct caches *same = caches_load(out.p, out.len);
    ASSERT(same);
    caches_save(same, &again);
    ASSERT(again.len == out.len && memcmp(again.p, out.p, out.len) == 0);
    mem_free(&out.p);
    mem_free(&again.p);
    caches_free(&same);
    caches_free(&c);
}

static void row_take(struct rbuf in)
{
    struct journal_row row;
    struct journal_about about;
    struct rbuf rest;
    const uint8_t *all = in.p;
    size_t len = rbuf_left(&in);
    if (journal_row_load(&in, &row, &rest, NULL))
        return;
    struct growbuf again = {0};
    journal_row_save(&row, rest.p, rbuf_left(&rest), &again);
    ASSERT(again.len == len && memcmp(again.p, all, len) == 0);
    mem_free(&again.p);
    if (journal_about_load(&rest, &about, NULL))
        return;
    struct findings *f = journal_findings_load(&about.findings);
    findings_unref(f);
    size_t n = f && rbuf_left(&about.findings) ? rbuf_u32(&about.findings) : 0;
    const uint8_t *octets = n ? rbuf_take(&about.findings, n) : NULL;
    if (octets)
        caches_take(octets, n);
}

static void changeset_take(struct rbuf *in)
{
    struct changeset *c, *same;
    if (changeset_load(in, apex, &c, NULL))
        return;
    struct growbuf out = {0}, again = {0};
    changeset_save(c, &out);
    struct rbuf back = rbuf_open(out.p, out.len);
    ASSERT(changeset_load(&back, apex, &same, NULL) == 0 && rbuf_left(&back) == 0);
    changeset_save(same, &again);
    ASSERT(again.len == out.len && memcmp(again.p, out.p, out.len) == 0);
    mem_free(&out.p);
    mem_free(&again.p);
    changeset_unref(same);
    changeset_unref(c);
}

static void step_take(struct rbuf in)
{
    struct journal_step step, same;
    if (journal_step_load(&in, &step, NULL))
        return;
    struct growbuf out = {0};
    journal_step_save(&step, &out);
    struct rbuf back = rbuf_open(out.p, out.len);
    ASSERT(journal_step_load(&back, &same, NULL) == 0 && same.step == step.step &&
           same.nlayers == step.nlayers && strcmp(same.origin, step.origin) == 0);
    mem_free(&out.p);
    for (unsigned i = 0; i < step.nlayers && !in.bad; i++)
        if (step.has_delta[i])
            changeset_take(&in);
}

static void chunk_take(struct rbuf in)
{
    struct node *node, *same;
    for (uint32_t n = rbuf_u32(&in); n; n--) {
        if (node_load(&in, apex, &node, NULL))
            return;
        struct growbuf out = {0};
        node_save(node, &out);
        struct rbuf back = rbuf_open(out.p, out.len);
        ASSERT(node_load(&back, apex, &same, NULL) == 0 && node_equal(node, same));
        mem_free(&out.p);
        node_unref(same);
        node_unref(node);
    }
}

static void held_take(struct rbuf in)
{
    rbuf_u64(&in);
    size_t n = rbuf_u8(&in);
    if (rbuf_take(&in, n))
        changeset_take(&in);
}

static void value_take(uint8_t kind, const uint8_t *p, size_t len)
{
    struct journal_key key = journal_key_id(JOURNAL_STEP, 7);
    struct growbuf value = {0};
    struct rbuf in;
    growbuf_put(&value, p, len);
    journal_seal(&value, &key);
    struct db_item item = {key.octets, value.p, key.len, value.len};
    ASSERT(journal_unseal(&item, &in, NULL) == 0 && rbuf_left(&in) == len);
    switch (kind) {
    case 'Z':
        row_take(in);
        break;
    case 'S':
        step_take(in);
        break;
    case 'C':
        chunk_take(in);
        break;
    case 'H':
        held_take(in);
        break;
    default:
        break;
    }
    mem_free(&value.p);
}

/* ---- pages ---- */

static const char *folder(void)
{
    static char path[] = "/dev/shm/weir-fuzz-XXXXXX";
    static bool made;
    if (!made && !mkdtemp(path))
        abort();
    made = true;
    return path;
}

static void folder_remove(void)
{
    char path[64];
    static const char *const file[] = {"data.mdb", "lock.mdb"};
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", folder(), file[i]);
        unlink(path);
    }
    rmdir(folder());
}

static void file_write(const uint8_t *p, size_t len)
{
    char path[64];
    static bool registered;
    if (!registered)
        atexit(folder_remove);
    registered = true;
    snprintf(path, sizeof path, "%s/data.mdb", folder());
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, p, len) != (ssize_t)len)
        abort();
    close(fd);
}

static void all_read(struct db *db)
{
    struct db_txn *txn;
    struct db_cursor *cursor;
    struct db_item item;
    uint64_t octets = 0;
    if (db_begin(db, false, &txn, NULL))
        abort();
    if (db_cursor_open(txn, &cursor, NULL))
        abort();
    int err = db_seek(cursor, (const uint8_t *)"", 1, &item, NULL);
    for (; !err; err = db_next(cursor, &item, NULL)) {
        for (size_t i = 0; i < item.key_len; i++)
            octets += item.key[i];
        for (size_t i = 0; i < item.value_len; i++)
            octets += item.value[i];
    }
    ASSERT(err == -E_NOENT && octets < UINT64_MAX);
    db_cursor_close(&cursor);
    db_abort(&txn);
}

static void some_written(struct db *db)
{
    static uint8_t value[9000];
    struct db_txn *txn;
    for (int i = 0; i < 3; i++) {
        struct journal_key key = journal_key_step(9, (uint64_t)i);
        if (db_begin(db, true, &txn, NULL))
            return;
        if (db_put(txn, key.octets, key.len, value, i ? sizeof value : 100, NULL) ||
            (i == 2 && db_del(txn, key.octets, key.len, NULL)))
            db_abort(&txn);
        else if (db_commit(&txn, NULL))
            return;
    }
}

static int pages_read(void *ctx, uint64_t at, uint8_t *to, size_t n, struct why *why)
{
    (void)why;
    memcpy(to, (const uint8_t *)ctx + at, n);
    return 0;
}

static void pages_take(const uint8_t *p, size_t len)
{
    struct db *db;
    struct why why;
    struct pages_file pages = {pages_read, (void *)(uintptr_t)p, len};
    for (uint64_t txn = 0; txn < 8; txn++)
        (void)!pages_check(&pages, 4096, txn, NULL);
    file_write(p, len);
    if (db_open(folder(), false, &db, NULL))
        return;
    all_read(db);
    some_written(db);
    db_close(&db);
    if (db_open(folder(), false, &db, &why)) {
        fprintf(stderr, "after a change: %s\n", why.text);
        abort();
    }
    db_close(&db);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    if (data[0] == 'P')
        pages_take(data + 1, size - 1);
    else if (data[0] == 'M')
        caches_take(data + 1, size - 1);
    else
        value_take(data[0], data + 1, size - 1);
    return 0;
}
