/* zone_run_p: what the two halves of a zone's run share. Private to zone_run.c (inputs, jobs) and zone_outcome.c (what becomes of them).
 */
#ifndef WEIR_RUN_ZONE_RUN_P_H
#define WEIR_RUN_ZONE_RUN_P_H

#include "pipeline/base/pool.h"
#include "pipeline/run/zone_run.h"

struct pending {
    struct snapshot *input, *since;
    struct changeset *changes;
    bool woken;
    bool yields;           /* an old input, to be judged again: a newer one that waits goes first and takes its place */
    char origin[96];
};

/* A version on its way to the disk: the run waits for it, and goes on when the journal has it. */
struct accepting {
    struct candidate *candidate;
    struct version *version;
    bool woken;
};

struct zone_run {
    struct job job;        /* first: the pool hands it back */
    struct zone *zone;
    struct zone_shared *shared;
    struct chain *chain;   /* in force; kept over reloads that do not change it */
    struct history_limits history;
    struct pending *pending; /* NULL: none */
    struct pending *unserved; /* what could not be judged while nothing is served: other keys may be all that it waits for */
    struct accepting accepting;
    bool queued, retired;
    bool approve;          /* the operator wants the held candidate */
    bool rejudge;          /* what is served may be another chain's: then it is judged when nothing newer waits */
};

/* ---- zone_run.c */
/* With the lock held. True: the caller submits the job after letting go of the lock. */
bool run_queue(struct zone_run *run);
bool run_retired(struct zone_run *run);
/* An old input, to be judged beside what is served now. */
void run_judge_beside(struct zone *z, const struct snapshot *input, const char *origin);
/* The last thing that a run does. What has come meanwhile goes to the end of the queue, so that zones take turns. */
void run_end(struct zone_run *run);

/* ---- zone_outcome.c */
/* What becomes of a candidate; it is taken. False: it is on its way to the disk, and the run goes on when the journal has it, perhaps
 * before this returns. */
bool outcome_settle(struct zone *z, struct candidate **c, time_t now, bool woken) MUST_CHECK;
/* … of the one that was held, and that the operator has approved. */
bool outcome_approve(struct zone *z, struct candidate **c, time_t now) MUST_CHECK;
/* … of an input that is what is served already. */
void outcome_unchanged(struct zone *z, const char *origin, uint32_t serial);
void outcome_approval_void(const struct zone *z);

#endif
