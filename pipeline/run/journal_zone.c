/* A zone's place in the journal: from when it is known, to when it is not, and to when nothing of it is kept.
 *
 * A zone that is no longer configured keeps its records, to be served at once if it comes back, until the operator has them purged. The purge
 * is a write as all others; it has a struct journal_zone of its own, which is retired when the zone comes back before it was done. */
#include "pipeline/run/journal_p.h"

#include "pipeline/base/log.h"

#include <string.h>

/* A transaction that began before may still write. */
void journal_zone_retire(struct journal_zone *jz)
{
    struct journal *j = jz->journal;
    pthread_mutex_lock(&j->lock);
    atomic_store(&jz->retired, true);
    j->retired_in = j->transactions;
    pthread_mutex_unlock(&j->lock);
}

static void retired_wait(struct journal *j)
{
    pthread_mutex_lock(&j->lock);
    while (j->transacting && j->transactions <= j->retired_in)
        pthread_cond_wait(&j->transacted, &j->lock);
    pthread_mutex_unlock(&j->lock);
}

struct journal_kept_row *row_pack(const struct journal_row *row)
{
    struct journal_kept_row *kept = mem_alloc(sizeof *kept + row->nlayers * sizeof kept->layer[0]);
    kept->zone = row->zone;
    kept->oldest = row->oldest;
    kept->newest = row->newest;
    kept->history = row->history;
    kept->nlayers = row->nlayers;
    memcpy(kept->layer, row->layer, row->nlayers * sizeof kept->layer[0]);
    return kept;
}

struct journal_row row_unpack(const struct journal_kept_row *kept)
{
    struct journal_row row = {.zone = kept->zone,
                              .oldest = kept->oldest,
                              .newest = kept->newest,
                              .history = kept->history,
                              .nlayers = kept->nlayers};
    memcpy(row.layer, kept->layer, kept->nlayers * sizeof kept->layer[0]);
    return row;
}

/* What waits to be purged is not, when its zone comes back. */
static void purges_cancel(struct journal *j, const uint8_t *name)
{
    pthread_mutex_lock(&j->lock);
    for (struct journal_zone *jz = j->purging; jz; jz = jz->next_purging)
        if (name_equal(jz->name, name)) {
            atomic_store(&jz->retired, true);
            j->retired_in = j->transactions;
        }
    pthread_mutex_unlock(&j->lock);
}

struct journal_zone *journal_zone_new(struct journal *j, const uint8_t *name)
{
    purges_cancel(j, name);
    retired_wait(j);
    struct journal_zone *jz = mem_zalloc(sizeof *jz + name_len(name));
    jz->refs = 1;
    jz->journal = j;
    jz->behind_end = &jz->behind;
    name_copy(jz->name, name);
    struct db_txn *txn;
    struct rbuf about;
    struct journal_row row = {0};
    struct why why;
    int err = db_begin(j->db, false, &txn, &why);
    if (!err) {
        err = row_read(txn, name, &row, &about, &why);
        db_abort(&txn);
    }
    if (err && err != -E_NOENT)
        journal_damaged(j, name, JOURNAL_ZONE_LOST, &why);
    if (err)
        row = (struct journal_row){.zone = atomic_fetch_add(&j->next_zone, 1), .oldest = 1};
    jz->row = row_pack(&row);
    jz->last_step = row.newest;
    return jz;
}

void journal_zone_unref(struct journal_zone *jz)
{
    if (!jz || atomic_fetch_sub_explicit(&jz->refs, 1, memory_order_acq_rel) != 1)
        return;
    mem_free(&jz->served_step);
    mem_free(&jz->row);
    mem_free(&jz);
}

/* ---- purge ---- */

int journal_purge(struct journal *j, const uint8_t *name, struct why *why)
{
    char text[NAME_TEXT_MAX];
    struct journal_zone *jz = journal_zone_new(j, name);
    bool there = jz->row->newest > 0;
    if (there) {
        pthread_mutex_lock(&j->lock);
        jz->next_purging = j->purging;
        j->purging = jz;
        pthread_mutex_unlock(&j->lock);
        write_purge(jz);
    }
    journal_zone_unref(jz); /* the write has its own */
    return there ? 0
                 : why_set(why, -E_NOENT, "the journal has nothing of zone %s",
                           name_print(name, text));
}

/* The row, and what is found by its number alone; the rest is nobody's from then on, now as after a crash. */
int purge_apply(struct journal *j, struct db_txn *txn, struct journal_zone *jz, struct why *why)
{
    const struct journal_key key[] = {journal_key_row(jz->name),
                                      journal_key_id(JOURNAL_TIMERS, jz->row->zone),
                                      journal_key_id(JOURNAL_HELD, jz->row->zone)};
    for (unsigned i = 0; i < sizeof key / sizeof key[0]; i++) {
        int err = db_del(txn, key[i].octets, key[i].len, why);
        if (err)
            return err;
    }
    for (unsigned i = 0; i < jz->row->nlayers; i++)
        garbage_add(j, JOURNAL_CHUNK, jz->row->layer[i].image, 0, UINT64_MAX);
    garbage_add(j, JOURNAL_STEP, jz->row->zone, 0, UINT64_MAX);
    struct journal_row gone = row_unpack(jz->row);
    gone.newest = 0;
    row_change(j, jz, &gone);
    return 0;
}

void purge_end(struct journal *j, struct journal_zone *jz, int err, const struct why *why)
{
    char text[NAME_TEXT_MAX];
    pthread_mutex_lock(&j->lock);
    struct journal_zone **at = &j->purging;
    while (*at != jz)
        at = &(*at)->next_purging;
    *at = jz->next_purging;
    pthread_mutex_unlock(&j->lock);
    if (err)
        log_warn("journal: a zone could not be purged",
                 LOG_KV("zone", LOG_S(name_print(jz->name, text))),
                 LOG_KV("why", LOG_S(why->text)));
    else if (!jz->row->newest)
        log_notice("journal: a zone was purged", LOG_KV("zone", LOG_S(name_print(jz->name, text))));
    else
        log_notice("journal: a zone is not purged, for it is configured again",
                   LOG_KV("zone", LOG_S(name_print(jz->name, text))));
}
