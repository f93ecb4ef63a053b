/* The journal: format, reading, and why a crash loses nothing.
 *
 * Format. One LMDB table (journal_db.c), keys by kind (journal_record.c has the octets of each value):
 *
 *   F                        the format's number, twice; another one is refused at the start
 *   Z name                   the zone's row: where its layers are, which steps there are, and all that is known of the accepted
 *                            version beside its records: when, from whom, by which chain, findings, every stage's state
 *   C image number           a chunk of an image: whole nodes, in order
 *   S zone step              one accepted change: when, serials, and for every layer its change (nodes before and after)
 *   T zone                   when the zone was last seen to be current, and when it expires
 *   H zone                   the candidate that is held, as a change of the accepted input
 *
 * A layer is the zone's input, or what a changing stage makes of it; the last one is served. A chain that only checks has one.
 * Zones and images have numbers that are not used twice.
 *
 *                image of step 7          8     9    10      the row: image 31, image step 7, newest 10, history 6
 *   layer 0   ▐████████████████████▌   ◂─┼──▸◂─┼──▸◂─┼──▸     5, 6, 7 are kept for IXFR alone
 *
 * Reading a zone (journal_load.c): the row; for each layer all chunks of its image, then the changes of the steps behind image_step
 * up to newest, each of which must fit to what is there; the history is the changes of the last `history` steps. Nothing is verified
 * or signed: the stages get their states back. What is not as it was written (sums, order, fit) is an error that costs this zone
 * its journal, not its service: it is fetched again. Of a step that every image has already, only the history before it is lost.
 *
 * Writing. One thread has all write transactions. Whatever waits when a transaction begins goes into it, so its one fdatasync is shared
 * (group commit). A version becomes visible after it (`done`). With durability = "async" it is visible before, and the disk follows.
 *
 * The crash argument. A transaction is there as a whole or not at all (LMDB: new pages, fdatasync, then the meta page, fdatasync).
 * Every transaction takes the table from one consistent state to another: a row names only chunks and steps that were written in the
 * same transaction or an earlier one, and that no earlier one deletes. (1) An accepted version is one put of its step and its row: before
 * that commit the zone is at the old version, after it at the new. Secondaries and queries see the new one only after the commit, so
 * nobody has seen what a crash can take back; and what was held and is approved, or superseded, goes in that same commit. (2) An image is
 * written over many transactions, but no row names it until the last one is committed; until then it is garbage, and may be begun
 * before it is known whether its version will be accepted (journal_ahead.c). (3) The old image and steps are deleted only in
 * transactions after the one that let go of them. (4) At the start, chunks, steps, timers and held candidates whose number no row has
 * are deleted: that is all that a crash can leave behind. A failed transaction is taken back in memory, too (undo), and done again.
 *
 * Compaction. When a layer's steps outgrow half of its image, a new image is made from the snapshot in memory, SLICE_OCTETS
 * a transaction, or less if the disk is slow, with the versions of all zones in between; so a change waits for one slice at most,
 * which should not be felt (SLICE_US). */
#include "pipeline/run/journal_p.h"

#include "pipeline/base/log.h"
#include "pipeline/base/rcu.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A retry costs one transaction that fails, and who waits for it is a zone: so the last pause is short, too. */
enum { BACKOFF_FIRST_US = 1000000 >> JOURNAL_SHRINK, BACKOFF_DOUBLINGS = 2, GROW_TRIES = 40 };

/* ---- small things ---- */

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void journal_damaged(struct journal *j, const uint8_t *zone, const char *what,
                     const struct why *why)
{
    char text[NAME_TEXT_MAX];
    pthread_mutex_lock(&j->lock);
    j->stats.damaged++;
    pthread_mutex_unlock(&j->lock);
    log_error(what, LOG_KV("zone", LOG_S(zone ? name_print(zone, text) : "?")),
              LOG_KV("why", LOG_S(why->text)));
}

void garbage_add(struct journal *j, enum journal_kind kind, uint64_t id, uint64_t from, uint64_t to)
{
    if (j->ngarbage == j->garbage_cap) {
        j->garbage_cap = j->garbage_cap ? 2 * j->garbage_cap : 16;
        j->garbage = mem_resize(j->garbage, j->garbage_cap * sizeof j->garbage[0]);
    }
    j->garbage[j->ngarbage++] = (struct journal_garbage){kind, id, from, to};
}

void row_change(struct journal *j, struct journal_zone *jz, const struct journal_row *row)
{
    if (j->nundo == j->undo_cap) {
        j->undo_cap = j->undo_cap ? 2 * j->undo_cap : 16;
        j->undo = mem_resize(j->undo, j->undo_cap * sizeof j->undo[0]);
    }
    j->undo[j->nundo++] = (struct undo){jz, jz->row};
    jz->row = row_pack(row);
}

int value_put(struct journal *j, struct db_txn *txn, const struct journal_key *key,
              struct growbuf *value, struct why *why)
{
    journal_seal(value, key);
    j->octets += value->len;
    return db_put(txn, key->octets, key->len, value->p, value->len, why);
}

/* ---- one transaction ---- */

static void rows_settle(struct journal *j, bool back)
{
    for (; j->nundo; j->nundo--) {
        struct undo *u = &j->undo[j->nundo - 1];
        struct journal_kept_row *now = u->zone->row;
        if (back)
            u->zone->row = u->row;
        mem_free(back ? &now : &u->row);
    }
}

static void transacting(struct journal *j, bool now)
{
    pthread_mutex_lock(&j->lock);
    j->transacting = now;
    j->transactions += now;
    pthread_cond_broadcast(&j->transacted);
    pthread_mutex_unlock(&j->lock);
}

static int transact_once(struct journal *j, transaction_fn *fn, void *arg, struct why *why)
{
    struct db_txn *txn;
    size_t ngarbage = j->ngarbage;
    j->octets = 0;
    int err = db_begin(j->db, true, &txn, why);
    if (err)
        return err;
    err = fn(j, txn, arg, why);
    if (err)
        db_abort(&txn);
    else
        err = db_commit(&txn, why);
    rows_settle(j, err != 0);
    if (err)
        j->ngarbage = ngarbage;
    return err;
}

int journal_transact(struct journal *j, transaction_fn *fn, void *arg, struct why *why)
{
    uint64_t began = now_us();
    int err = -E_SPACE;
    for (int i = 0; err == -E_SPACE && i < GROW_TRIES; i++) {
        transacting(j, true);
        err = transact_once(j, fn, arg, why);
        transacting(j, false);
        if (err == -E_SPACE && db_grow(j->db, why))
            break;
    }
    uint64_t took = now_us() - began;
    j->mapped += err ? 0 : j->octets;
    pthread_mutex_lock(&j->lock);
    if (err) {
        j->stats.failures++;
        if (!j->stats.error[0])
            j->stats.error_at = time(NULL);
        snprintf(j->stats.error, sizeof j->stats.error, "%s", why->text);
    } else {
        j->stats.commits++;
        j->stats.octets += j->octets;
        j->stats.error[0] = 0;
        if (took > j->stats.slowest_us)
            j->stats.slowest_us = took;
    }
    pthread_mutex_unlock(&j->lock);
    return err;
}

int slice_transact(struct journal *j, transaction_fn *fn, void *arg, struct why *why)
{
    uint64_t began = now_us();
    int err = journal_transact(j, fn, arg, why);
    uint64_t took = now_us() - began;
    if (took > SLICE_US && j->slice > SLICE_LEAST)
        j->slice /= 2;
    else if (took < SLICE_US / 2 && j->slice < SLICE_OCTETS)
        j->slice *= 2;
    return err;
}

/* ---- versions ---- */

struct batch {
    struct journal_write *end; /* the first that is not in it */
};

static int batch_apply(struct journal *j, struct db_txn *txn, void *arg, struct why *why)
{
    struct batch *batch = arg;
    struct journal_write *w = j->ready;
    for (; w && j->octets < BATCH_OCTETS; w = w->next) {
        int err = write_apply(j, txn, w, why);
        if (err)
            return err;
    }
    batch->end = w;
    return 0;
}

static void write_end(struct journal *j, struct journal_write *w, int err, const struct why *why)
{
    if (w->kind == WRITE_ACCEPT) {
        pthread_mutex_lock(&j->lock);
        w->zone->waiting--;
        j->stats.waiting--;
        j->stats.versions += !err;
        pthread_mutex_unlock(&j->lock);
    }
    if (w->kind == WRITE_PURGE)
        purge_end(j, w->zone, err, why);
    if (w->done)
        w->done(w->ctx, err, why);
    write_free(&w);
}

static struct journal_write *ready_take(struct journal *j)
{
    struct journal_write *w = j->ready;
    j->ready = w->next;
    if (!j->ready)
        j->ready_end = &j->ready;
    return w;
}

static int ready_commit(struct journal *j, struct why *why)
{
    struct batch batch = {NULL};
    int err = journal_transact(j, batch_apply, &batch, why);
    while (!err && j->ready != batch.end) {
        struct journal_write *w = ready_take(j);
        write_compact(j, w);
        write_end(j, w, 0, NULL);
    }
    return err;
}

/* While nothing can be written, a zone may hold one version after the other: only the last word on it counts. */
static void ready_drop_held(struct journal *j, const struct journal_zone *jz)
{
    for (struct journal_write **at = &j->ready, *w; (w = *at);) {
        if (w->zone != jz || (w->kind != WRITE_HOLD && w->kind != WRITE_UNHOLD)) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        if (j->ready_end == &w->next)
            j->ready_end = at;
        write_free(&w);
    }
}

static void ready_add(struct journal *j, struct journal_write *w)
{
    if (w->kind == WRITE_HOLD || w->kind == WRITE_UNHOLD)
        ready_drop_held(j, w->zone);
    w->next = NULL;
    *j->ready_end = w;
    j->ready_end = &w->next;
}

/* ---- images ---- */

static void images_drop_first(struct journal *j)
{
    struct journal_image *im = j->images;
    j->images = im->next;
    if (!j->images)
        j->images_end = &j->images;
    image_free(&im);
}

/* The first image that this write still lacks is begun. False: it lacks none. */
static bool image_begin(struct journal *j, struct journal_write *w)
{
    for (unsigned i = 0; i < w->nlayers; i++) {
        struct write_layer *l = &w->layer[i];
        if (!l->image || l->imaged || l->snapshot->bytes <= SMALL_OCTETS)
            continue;
        struct journal_image *im = ahead_take(j, w->zone, l->snapshot);
        if (!im)
            im = image_new(j, l->snapshot);
        im->write = w;
        im->layer = i;
        *j->images_end = im;
        j->images_end = &im->next;
        w->zone->imaging = w;
        return true;
    }
    return false;
}

/* A zone's writes are done in the order in which they came: while one waits for an image, the later ones wait behind it. */
static void write_prepare(struct journal *j, struct journal_write *w)
{
    struct journal_zone *jz = w->zone;
    w->next = NULL;
    if (w->kind == WRITE_AHEAD || w->kind == WRITE_AHEAD_DROP) {
        if (w->kind == WRITE_AHEAD)
            ahead_begin(j, jz, w->layer[0].snapshot);
        else
            ahead_drop(j, jz);
        write_free(&w);
    } else if (jz->imaging) {
        *jz->behind_end = w;
        jz->behind_end = &w->next;
    } else if (!image_begin(j, w)) {
        ready_add(j, w);
    }
}

/* It has all its images, or will get none. */
static void write_imaged(struct journal *j, struct journal_write *w)
{
    struct journal_zone *jz = w->zone;
    struct journal_write *behind = jz->behind, *next;
    jz->imaging = NULL;
    jz->behind = NULL;
    jz->behind_end = &jz->behind;
    ready_add(j, w);
    for (; behind; behind = next) {
        next = behind->next;
        write_prepare(j, behind);
    }
}

static int slice_apply(struct journal *j, struct db_txn *txn, void *arg, struct why *why)
{
    struct journal_image *next = arg;
    *next = *j->images;
    return image_write(j, txn, next, j->slice, why);
}

/* The row leads to the new image from now on; what is known of the version stays as it is. */
static int compact_apply(struct journal *j, struct db_txn *txn, void *arg, struct why *why)
{
    struct journal_image *im = arg;
    struct journal_zone *jz = im->zone;
    struct journal_row stored;
    struct rbuf about;
    if (atomic_load(&jz->retired) || im->layer >= jz->row->nlayers ||
        jz->row->layer[im->layer].image != im->replaces) {
        garbage_add(j, JOURNAL_CHUNK, im->id, 0, UINT64_MAX);
        return 0;
    }
    int err = row_read(txn, jz->name, &stored, &about, why);
    if (err)
        return err;
    struct journal_row row = row_unpack(jz->row);
    struct journal_layer *l = &row.layer[im->layer];
    garbage_add(j, JOURNAL_CHUNK, l->image, 0, UINT64_MAX);
    uint64_t later = l->step_octets - im->step_octets;
    image_layer(im, im->step, l);
    l->step_octets = later;
    row_change(j, jz, &row);
    j->scratch.len = 0;
    journal_row_save(&row, about.p, rbuf_left(&about), &j->scratch);
    struct journal_key key = journal_key_row(jz->name);
    return value_put(j, txn, &key, &j->scratch, why);
}

static void image_end(struct journal *j)
{
    struct journal_image *im = j->images;
    pthread_mutex_lock(&j->lock);
    j->stats.images++;
    pthread_mutex_unlock(&j->lock);
    if (im->write) {
        struct write_layer *l = &im->write->layer[im->layer];
        image_layer(im, im->write->step, &l->made);
        l->imaged = true;
        if (!image_begin(j, im->write))
            write_imaged(j, im->write);
    } else {
        im->zone->compacting = false;
    }
    images_drop_first(j);
}

static int images_commit(struct journal *j, struct why *why)
{
    struct journal_image next;
    int err;
    if (j->images->node) {
        err = slice_transact(j, slice_apply, &next, why);
        if (!err)
            *j->images = next;
        if (err || next.node || !next.write)
            return err;
    } else if (j->images->zone) {
        err = journal_transact(j, compact_apply, j->images, why);
        if (err)
            return err;
    }
    image_end(j);
    return 0;
}

/* ---- garbage and timers ---- */

static struct journal_key garbage_key(const struct journal_garbage *g)
{
    return g->kind == JOURNAL_CHUNK  ? journal_key_chunk(g->id, (uint32_t)g->from)
           : g->kind == JOURNAL_STEP ? journal_key_step(g->id, g->from)
                                     : journal_key_id(g->kind, g->id);
}

/* Deletes some of the first range; it is shortened, or gone when nothing of it is left. */
static int garbage_apply(struct journal *j, struct db_txn *txn, void *arg, struct why *why)
{
    struct journal_garbage *g = arg;
    *g = j->garbage[0];
    struct journal_key key = garbage_key(g);
    struct db_cursor *cursor;
    struct db_item item;
    int err = db_cursor_open(txn, &cursor, why);
    if (err)
        return err;
    err = db_seek(cursor, key.octets, key.len, &item, why);
    for (int n = 0; !err && n < GARBAGE_SLICE; n++) {
        uint64_t id, rest = 0;
        if (!journal_key_has_id(&item, g->kind, &id, &rest) || id != g->id || rest >= g->to) {
            g->from = g->to;
            break;
        }
        g->from = rest + 1;
        err = db_cursor_del(cursor, why);
        if (!err)
            err = db_next(cursor, &item, why);
    }
    db_cursor_close(&cursor);
    if (err == -E_NOENT) {
        g->from = g->to;
        err = 0;
    }
    return err;
}

static int garbage_commit(struct journal *j, struct why *why)
{
    struct journal_garbage g;
    int err = journal_transact(j, garbage_apply, &g, why);
    if (err)
        return err;
    j->garbage[0] = g.from < g.to ? g : j->garbage[--j->ngarbage];
    return 0;
}

void journal_timers(struct journal_zone *jz, time_t checked_at, time_t expires_at)
{
    struct journal *j = jz->journal;
    pthread_mutex_lock(&j->lock);
    jz->checked_at = checked_at;
    jz->expires_at = expires_at;
    if (!jz->timers_dirty) {
        jz->timers_dirty = true;
        atomic_fetch_add_explicit(&jz->refs, 1, memory_order_relaxed);
        jz->next_dirty = j->dirty;
        j->dirty = jz;
    }
    pthread_mutex_unlock(&j->lock);
}

static int timers_apply(struct journal *j, struct db_txn *txn, void *arg, struct why *why)
{
    for (struct journal_zone *jz = arg; jz; jz = jz->next_dirty) {
        struct journal_key key = journal_key_id(JOURNAL_TIMERS, jz->row->zone);
        j->scratch.len = 0;
        pthread_mutex_lock(&j->lock);
        jz->kept_checked_at = jz->checked_at;
        jz->kept_expires_at = jz->expires_at;
        pthread_mutex_unlock(&j->lock);
        if (!jz->row->newest || atomic_load(&jz->retired))
            continue;
        growbuf_u64(&j->scratch, (uint64_t)jz->kept_checked_at);
        growbuf_u64(&j->scratch, (uint64_t)jz->kept_expires_at);
        int err = value_put(j, txn, &key, &j->scratch, why);
        if (err)
            return err;
    }
    return 0;
}

/* Those that could not be written, or have moved on since, are dirty again. */
static int timers_commit(struct journal *j, struct why *why)
{
    pthread_mutex_lock(&j->lock);
    struct journal_zone *dirty = j->dirty, *kept = NULL;
    j->dirty = NULL;
    pthread_mutex_unlock(&j->lock);
    if (!dirty)
        return 0;
    int err = journal_transact(j, timers_apply, dirty, why);
    pthread_mutex_lock(&j->lock);
    for (struct journal_zone *jz = dirty, *next; jz; jz = next) {
        next = jz->next_dirty;
        bool again =
            err || jz->checked_at != jz->kept_checked_at || jz->expires_at != jz->kept_expires_at;
        jz->timers_dirty = again;
        if (again) {
            jz->next_dirty = j->dirty;
            j->dirty = jz;
        } else {
            jz->next_kept = kept; /* next_dirty may be wanted as soon as the lock is free */
            kept = jz;
        }
    }
    pthread_mutex_unlock(&j->lock);
    for (struct journal_zone *next; kept; kept = next) {
        next = kept->next_kept;
        journal_zone_unref(kept);
    }
    return err;
}

/* ---- the thread ---- */

enum { CAUSES_MAX = 4 };

struct pace {
    unsigned failures;           /* in a row */
    uint64_t timers_at;          /* now_us at which timers are due */
    struct why said[CAUSES_MAX]; /* of these failures, the causes that the log has */
    unsigned nsaid;
    int given_up; /* the end is near, and nothing is written any more, for this error */
    struct why why;
};

/* Nothing can be written any more, and the end is near. Nor is it tried again: what comes now is made of what was given up. */
static void give_up(struct journal *j, int err, const struct why *why)
{
    size_t lost = 0;
    while (j->images) {
        if (j->images->write)
            write_imaged(j, j->images->write);
        else
            j->images->zone->compacting = false;
        images_drop_first(j);
    }
    ahead_drop_all(j);
    while (j->ready) {
        struct journal_write *w = ready_take(j);
        lost += w->kind == WRITE_ACCEPT && !w->done;
        write_end(j, w, err, why);
    }
    if (lost)
        log_error("journal is given up: versions that were served are not in it",
                  LOG_KV("folder", LOG_S(j->folder)), LOG_KV("versions", LOG_U(lost)),
                  LOG_KV("why", LOG_S(why->text)));
    j->ngarbage = 0;
    pthread_mutex_lock(&j->lock);
    struct journal_zone *dirty = j->dirty;
    j->dirty = NULL;
    pthread_mutex_unlock(&j->lock);
    for (struct journal_zone *next; dirty; dirty = next) {
        next = dirty->next_dirty;
        journal_zone_unref(dirty);
    }
}

static void pace_failed(struct journal *j, struct pace *pace, const struct why *why)
{
    pace->failures++;
    for (unsigned i = 0; i < pace->nsaid; i++)
        if (strcmp(pace->said[i].text, why->text) == 0)
            return;
    if (pace->nsaid == CAUSES_MAX)
        return; /* the status has the last one */
    pace->said[pace->nsaid++] = *why;
    pthread_mutex_lock(&j->lock);
    size_t waiting = j->stats.waiting;
    pthread_mutex_unlock(&j->lock);
    log_error(
        "journal cannot be written: new versions wait, the last good ones stay; it is tried again",
        LOG_KV("folder", LOG_S(j->folder)), LOG_KV("why", LOG_S(why->text)),
        LOG_KV("waiting", LOG_U(waiting)));
}

static void pace_went_well(struct journal *j, struct pace *pace)
{
    if (pace->failures)
        log_notice("journal can be written again", LOG_KV("folder", LOG_S(j->folder)),
                   LOG_KV("failures", LOG_U(pace->failures)));
    pace->failures = 0;
    pace->nsaid = 0;
}

/* With the lock held: until there is something to do, or the back-off is over. */
static void thread_wait(struct journal *j, const struct pace *pace)
{
    bool idle = !j->ready && !j->images && !j->ngarbage && !ahead_next(j);
    uint64_t until = 0;
    if (pace->failures) {
        unsigned n = pace->failures - 1;
        until = now_us() +
                ((uint64_t)BACKOFF_FIRST_US << (n < BACKOFF_DOUBLINGS ? n : BACKOFF_DOUBLINGS));
    } else if (!idle) {
        return;
    } else {
        until = pace->timers_at;
    }
    struct timespec at = {(time_t)(until / 1000000), (long)(until % 1000000) * 1000};
    bool over = false;
    while (!over && !j->closing && (pace->failures || !j->queue)) {
        if (idle && !pace->failures && !j->queue) {
            j->busy = false;
            pthread_cond_broadcast(&j->quiet);
        }
        over = pthread_cond_timedwait(&j->work, &j->lock, &at) == ETIMEDOUT;
    }
    while (j->closing && !j->stop && idle && !pace->failures && !j->queue)
        pthread_cond_wait(&j->work, &j->lock);
}

static int thread_work(struct journal *j, struct pace *pace, bool stop, struct why *why)
{
    int err = j->ready ? ready_commit(j, why) : 0;
    if (!err && j->images)
        err = images_commit(j, why);
    else if (!err && !j->ready && !stop && ahead_next(j))
        ahead_commit(j);
    else if (!err && j->ngarbage && !j->ready && !stop)
        err = garbage_commit(j, why);
    if (!err && (stop || now_us() >= pace->timers_at)) {
        err = timers_commit(j, why);
        if (!err && j->mapped > FORGET_OCTETS && !j->ready && !j->images && !ahead_next(j) &&
            !j->ngarbage) {
            db_forget(j->db);
            mem_return(); /* writes that waited lay between what stays */
            j->mapped = 0;
        }
        pace->timers_at = now_us() + (uint64_t)TIMERS_S * 1000000;
    }
    return err;
}

static void *journal_thread(void *arg)
{
    struct journal *j = arg;
    struct pace pace = {.timers_at = now_us() + (uint64_t)TIMERS_S * 1000000};
    rcu_thread_start();
    rcu_offline();
    for (;;) {
        pthread_mutex_lock(&j->lock);
        thread_wait(j, &pace);
        struct journal_write *came = j->queue;
        j->queue = NULL;
        j->queue_end = &j->queue;
        bool closing = j->closing, stop = j->stop;
        j->busy = true;
        pthread_mutex_unlock(&j->lock);
        for (struct journal_write *next; came; came = next) {
            next = came->next;
            write_prepare(j, came);
        }
        if (!pace.given_up) {
            int err = thread_work(j, &pace, stop, &pace.why);
            if (!err)
                pace_went_well(j, &pace);
            else
                pace_failed(j, &pace, &pace.why);
            pace.given_up = closing ? err : 0;
        }
        if (pace.given_up) {
            give_up(j, pace.given_up, &pace.why);
            pace.failures = 0;
        }
        while (stop && j->images && !j->images->write)
            images_drop_first(j); /* what it has written is garbage at the next start */
        if (stop)
            ahead_drop_all(j);
        if (stop && !j->ready && !j->images)
            break;
    }
    rcu_online();
    rcu_thread_stop();
    return NULL;
}

/* ---- open and close ---- */

static struct journal *journal_empty(void)
{
    struct journal *j = mem_zalloc(sizeof *j);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&j->lock, NULL);
    pthread_cond_init(&j->work, &attr);
    pthread_cond_init(&j->quiet, NULL);
    pthread_cond_init(&j->transacted, NULL);
    pthread_condattr_destroy(&attr);
    j->owner = -1;
    j->slice = SLICE_LEAST;
    j->queue_end = &j->queue;
    j->ready_end = &j->ready;
    j->images_end = &j->images;
    atomic_store(&j->next_image, 1);
    atomic_store(&j->next_zone, 1);
    return j;
}

int journal_open(const char *folder, struct journal **out, struct why *why)
{
    struct journal *j = journal_empty();
    j->folder = mem_strdup(folder);
    int err = folder_make(folder, why);
    if (!err)
        err = journal_own(j, folder, why);
    if (!err)
        err = journal_file_open(j, folder, why);
    if (err == -E_FORMAT) {
        log_error("journal is damaged: it is put aside, and every zone is fetched again",
                  LOG_KV("folder", LOG_S(folder)), LOG_KV("why", LOG_S(why->text)));
        db_close(&j->db);
        j->ngarbage = 0;
        j->stats.damaged++;
        err = journal_put_aside(folder, why);
        if (!err)
            err = journal_file_open(j, folder, why);
    }
    if (!err)
        err = folder_sync(folder, why); /* the file may be new in it */
    j->busy = true;                     /* until its thread has found nothing to do */
    if (!err && pthread_create(&j->thread, NULL, journal_thread, j))
        err = why_set(why, -E_IO, "cannot start the journal's thread");
    j->started = !err;
    if (err) {
        journal_close(&j);
        return err;
    }
    pthread_setname_np(j->thread, "weir-journal");
    *out = j;
    return 0;
}

void journal_closing(struct journal *j)
{
    pthread_mutex_lock(&j->lock);
    j->closing = true;
    pthread_cond_signal(&j->work);
    pthread_mutex_unlock(&j->lock);
}

void journal_close(struct journal **jp)
{
    struct journal *j = *jp;
    if (!j)
        return;
    if (j->started) {
        pthread_mutex_lock(&j->lock);
        j->closing = j->stop = true;
        pthread_cond_signal(&j->work);
        pthread_mutex_unlock(&j->lock);
        pthread_join(j->thread, NULL);
    }
    db_close(&j->db);
    if (j->owner >= 0)
        close(j->owner);
    pthread_mutex_destroy(&j->lock);
    pthread_cond_destroy(&j->work);
    pthread_cond_destroy(&j->quiet);
    pthread_cond_destroy(&j->transacted);
    mem_free(&j->garbage);
    mem_free(&j->undo);
    mem_free(&j->scratch.p);
    mem_free(&j->folder);
    mem_free(jp);
}

void journal_wait(struct journal *j)
{
    pthread_mutex_lock(&j->lock);
    while (j->queue || j->busy || j->stats.waiting)
        pthread_cond_wait(&j->quiet, &j->lock);
    pthread_mutex_unlock(&j->lock);
}

void journal_stats(struct journal *j, struct journal_stats *out)
{
    struct db_size size = db_size(j->db);
    pthread_mutex_lock(&j->lock);
    *out = j->stats;
    pthread_mutex_unlock(&j->lock);
    out->size = size.file;
    out->used = size.used;
}
