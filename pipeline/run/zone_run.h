/* zone_run: one zone's way from input to version. Private to the zone table.
 *
 * WHAT   Each zone has at most one job on the pool. The job takes what is pending (an input, a wake-up, an operator's
 *        approval), one thing at a time, and submits itself again while there is more, so that zones take turns.
 * WHO    zone_new, zone_configure, zone_retire: the thread that applies configurations.
 */
#ifndef WEIR_RUN_ZONE_RUN_H
#define WEIR_RUN_ZONE_RUN_H

#include "pipeline/run/zone_table.h"

struct zone_shared {                     /* what all zones of a table have in common */
    struct pool *pool;
    struct journal *journal;             /* NULL: versions live in memory alone */
    char *state;                         /* the state folder; NULL: nobody looks after keys */
    _Atomic bool async;                  /* a version is visible before the journal has it */
    void (*listen)(void *ctx, const struct zone_event *event);
    void *listen_ctx;
    void (*parent_listen)(void *ctx, struct zone *zone); /* see zone_parent.h */
    void *parent_ctx;
    time_t (*clock)(void *ctx);
    void *clock_ctx;
    pthread_mutex_t lock;                /* for busy */
    pthread_cond_t idle;
    size_t busy;                         /* jobs queued or going on */
};
void zone_shared_init(struct zone_shared *s, struct pool *pool);
void zone_shared_fini(struct zone_shared *s);
void zone_shared_drain(struct zone_shared *s);
/* Around whatever a drain has to wait for. */
void zone_shared_enter(struct zone_shared *s);
void zone_shared_leave(struct zone_shared *s);

struct zone *zone_new(struct zone_shared *shared, struct config *config, const struct zone_conf *conf);
/* Brings back what the journal has of it, before anybody knows of the zone; any thread, many zones at once. */
void zone_open(struct zone *z);
bool zone_run_async(const struct zone *z);
bool zone_retired(struct zone *z);
/* Everybody knows of it now: what is left to be judged of what zone_open brought is. */
void zone_begin(struct zone *z);
void zone_configure(struct zone *z, struct config *config, const struct zone_conf *conf);
void zone_retire(struct zone *z);        /* no longer in the table: pending work is forgotten, nothing more is accepted */

#endif
