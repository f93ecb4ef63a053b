/* journal_p: what the files of the journal share. Private to pipeline/run/journal*.c. */
#ifndef WEIR_RUN_JOURNAL_P_H
#define WEIR_RUN_JOURNAL_P_H

#include "pipeline/run/journal.h"
#include "pipeline/run/journal_record.h"

#include <pthread.h>

enum {
    CHUNK_OCTETS = (1 << 16) >> JOURNAL_SHRINK, /* of an image, a value */
    SLICE_OCTETS = (1 << 22) >> JOURNAL_SHRINK, /* of an image, a transaction, … */
    SLICE_LEAST = SLICE_OCTETS / 4,    /* … or less, down to this, where it takes longer than SLICE_US */
    SLICE_US = 20000,
    SMALL_OCTETS = (1 << 18) >> JOURNAL_SHRINK, /* an image of up to so much goes with its version's own transaction */
    BATCH_OCTETS = (1 << 23) >> JOURNAL_SHRINK, /* of versions, a transaction */
    GARBAGE_SLICE = 256 >> JOURNAL_SHRINK / 2, /* values deleted in one transaction */
    TIMERS_S = 1,
    BEHIND_VERSIONS_MAX = 1000,        /* of a zone */
    BEHIND_OCTETS_MAX = (1 << 28) >> JOURNAL_SHRINK, /* of all zones; each may be beyond it by one version */
    EMPTY_MAX = 1000,                  /* steps among those of a history that change nothing of what is served */
    FORGET_OCTETS = 1 << 20,           /* so much was written: its pages are let go of when there is nothing to do */
};
static const uint64_t STEP_OCTETS_MAX = 1 << 30; /* a change that is larger is an image instead: a value ends at 4 GiB */

/* A version on its way to the disk. */
struct journal_write {
    struct journal_write *next;
    struct journal_zone *zone;         /* a reference */
    enum { WRITE_ACCEPT, WRITE_HOLD, WRITE_UNHOLD, WRITE_AHEAD, WRITE_AHEAD_DROP, WRITE_PURGE } kind;
    uint64_t step;                     /* 0: no layer changed */
    struct growbuf value;              /* of the step, or of what is held */
    struct growbuf about;
    size_t behind_octets;              /* as it counts for BEHIND_OCTETS_MAX */
    unsigned history;
    bool unhold;
    journal_done_fn *done;
    void *ctx;
    unsigned nlayers;                  /* ten thousands may wait, most with one layer */
    struct write_layer {
        struct snapshot *snapshot;     /* a reference */
        uint64_t octets;               /* of the delta */
        bool image;                    /* it needs one … */
        bool imaged;                   /* … and has it: */
        struct journal_layer made;
    } layer[];
};

/* An image that is being written, in slices. */
struct journal_image {
    struct journal_image *next;
    uint64_t id, octets;
    uint32_t chunks;
    struct snapshot *snapshot;         /* a reference */
    struct snapshot_iter it;
    const struct node *node;           /* the next to be written; NULL: it is whole */
    struct journal_write *write;       /* that needs it, or NULL: compaction, or ahead of its version */
    struct journal_zone *zone;         /* if so: a reference; for compaction … */
    unsigned layer;
    uint64_t step, step_octets, replaces; /* … the state of the layer when it began */
};

/* A zone's row as it is kept, with no more layers than it has: there may be ten thousands of zones. Replaced, never changed. */
struct journal_kept_row {
    uint64_t zone, oldest, newest;
    uint32_t history;
    unsigned nlayers;
    struct journal_layer layer[];
};

struct journal_zone {
    _Atomic uint32_t refs;
    bool compacting;                   /* the journal's thread */
    struct journal *journal;
    /* the journal's thread, after journal_zone_new */
    struct journal_kept_row *row;
    struct journal_write *imaging;     /* waits for an image; what came after it waits behind it: */
    struct journal_write *behind, **behind_end;
    struct journal_image *ahead;       /* of a version that may come, or NULL */
    /* the zone's run */
    uint64_t last_step;
    unsigned nlayers;                  /* of the last version handed in */
    uint64_t *served_step;             /* the steps that lead to what is served, without a gap, oldest first; those that change it */
    unsigned nserved, served_cap;
    /* the journal's lock */
    unsigned waiting;
    _Atomic bool retired;              /* the zone is gone: nothing of it is written any more */
    bool timers_dirty;
    int64_t checked_at, expires_at;
    struct journal_zone *next_dirty, *next_purging;
    /* the journal's thread: what was written last, and a list of its own */
    int64_t kept_checked_at, kept_expires_at;
    struct journal_zone *next_kept;
    uint8_t name[];
};

struct journal_garbage {               /* values to be deleted: of one id, from `from` up to, not including, `to` */
    enum journal_kind kind;
    uint64_t id, from, to;
};

struct journal {
    struct db *db;
    char *folder;
    int owner;                         /* the lock that says who writes; -1: not held */
    pthread_t thread;
    bool started;
    _Atomic uint64_t next_image, next_zone;

    pthread_mutex_t lock;              /* for what follows */
    pthread_cond_t work, quiet;
    struct journal_write *queue, **queue_end;
    struct journal_zone *dirty;        /* timers that changed; a reference each */
    struct journal_zone *purging;      /* whose purge waits; its write has the reference */
    bool closing, stop, busy;
    bool transacting;                  /* a transaction is going on … */
    uint64_t transactions;             /* … the number of which is this; */
    uint64_t retired_in;               /* the one that was going on when a zone was last retired */
    pthread_cond_t transacted;
    struct journal_stats stats;

    /* the journal's thread */
    struct journal_write *ready, **ready_end;
    struct journal_image *images, **images_end;
    struct journal_image *ahead;       /* those of zones */
    struct journal_garbage *garbage;
    size_t ngarbage, garbage_cap;
    struct undo {
        struct journal_zone *zone;
        struct journal_kept_row *row;
    } *undo;                           /* rows as they were before the transaction */
    size_t nundo, undo_cap;
    struct growbuf scratch;
    size_t slice;                      /* octets of an image, the next transaction */
    uint64_t octets;                   /* written in this transaction … */
    uint64_t mapped;                   /* … and since the pages were let go of */
};

/* ---- journal.c */
/* Counts it, and says in the log what it costs. zone may be NULL: not known. */
#define JOURNAL_ZONE_LOST "journal: what is kept of a zone cannot be read; it is fetched again"
void journal_damaged(struct journal *j, const uint8_t *zone, const char *what, const struct why *why);
void garbage_add(struct journal *j, enum journal_kind kind, uint64_t id, uint64_t from, uint64_t to);
void row_change(struct journal *j, struct journal_zone *jz, const struct journal_row *row); /* in a transaction */
/* One transaction: fn fills it. It is done again when the map was too small; after a failure nothing has changed. */
typedef int transaction_fn(struct journal *j, struct db_txn *txn, void *arg, struct why *why);
int journal_transact(struct journal *j, transaction_fn *fn, void *arg, struct why *why) MUST_CHECK;
/* The same with a slice of an image, the next of which will be as large as the time that this one took allows. */
int slice_transact(struct journal *j, transaction_fn *fn, void *arg, struct why *why) MUST_CHECK;
int value_put(struct journal *j, struct db_txn *txn, const struct journal_key *key, struct growbuf *value, struct why *why) MUST_CHECK;

/* ---- journal_open.c */
/* Nobody else may write: -E_EXISTS names who does. */
int journal_own(struct journal *j, const char *folder, struct why *why) MUST_CHECK;
int journal_file_open(struct journal *j, const char *folder, struct why *why) MUST_CHECK;
/* A file that cannot be read is not thrown away: somebody may want to look. One such is kept. */
int journal_put_aside(const char *folder, struct why *why) MUST_CHECK;
int folder_make(const char *folder, struct why *why) MUST_CHECK;   /* there already: 0 */
/* What was made in it is found there after a crash. */
int folder_sync(const char *folder, struct why *why) MUST_CHECK;

/* ---- journal_write.c */
void served_step_add(struct journal_zone *jz, uint64_t step);
void write_free(struct journal_write **w);
int write_apply(struct journal *j, struct db_txn *txn, struct journal_write *w, struct why *why) MUST_CHECK;
/* After its commit: is a layer due for a new image? Then the images are begun. */
void write_compact(struct journal *j, const struct journal_write *w);

/* ---- journal_image.c */
struct journal_image *image_new(struct journal *j, const struct snapshot *s);
void image_free(struct journal_image **im);
/* Up to `most` octets more of it. */
int image_write(struct journal *j, struct db_txn *txn, struct journal_image *im, size_t most, struct why *why) MUST_CHECK;
void image_layer(const struct journal_image *im, uint64_t step, struct journal_layer *out);
bool image_due(const struct journal_layer *layer);       /* its steps have grown beyond what a restart should read */

/* ---- journal_ahead.c: the journal's thread */
void ahead_begin(struct journal *j, struct journal_zone *jz, const struct snapshot *s);
void ahead_drop(struct journal *j, struct journal_zone *jz);
/* The image of this snapshot that was begun for the zone, whole or not; NULL: there is none. */
struct journal_image *ahead_take(struct journal *j, struct journal_zone *jz, const struct snapshot *s);
void ahead_drop_all(struct journal *j);
struct journal_image *ahead_next(const struct journal *j); /* that is not whole yet, or NULL */
void ahead_commit(struct journal *j);                    /* a slice of it */

void write_purge(struct journal_zone *jz);

/* ---- journal_zone.c */
int purge_apply(struct journal *j, struct db_txn *txn, struct journal_zone *jz, struct why *why) MUST_CHECK;
void purge_end(struct journal *j, struct journal_zone *jz, int err, const struct why *why);

/* ---- journal_zone.c */
struct journal_kept_row *row_pack(const struct journal_row *row);
struct journal_row row_unpack(const struct journal_kept_row *kept);

/* ---- journal_load.c */
int value_get(struct db_txn *txn, const struct journal_key *key, struct rbuf *out, struct why *why) MUST_CHECK;
/* The step's head, and `in` at the changes. */
int step_read(struct db_txn *txn, const struct journal_row *row, uint64_t number, struct journal_step *step, struct rbuf *in,
              struct why *why) MUST_CHECK;
/* -E_NOENT: nothing is known yet. */
int timers_get(struct db_txn *txn, uint64_t zone, time_t *checked_at, time_t *expires_at, struct why *why) MUST_CHECK;
int change_apply(struct edit *e, struct changeset *c, struct why *why) MUST_CHECK;
/* All of a zone. j: that is told of damage, or NULL. */
int zone_records_read(struct journal *j, struct db *db, const uint8_t *name, struct family *family, const struct chain *chain,
                      struct journal_loaded **out, struct why *why) MUST_CHECK;
int row_read(struct db_txn *txn, const uint8_t *name, struct journal_row *row, struct rbuf *about, struct why *why) MUST_CHECK;

#endif
