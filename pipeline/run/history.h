/* history: how the version that is served came about, for IXFR out.
 *
 * WHAT   An immutable array of steps, oldest first. A step is the changeset of the served zone from one accepted version
 *        to the next; the last one leads to the version that holds the history:
 *
 *          step 0: 7 ─▶ 8     step 1: 8 ─▶ 11     step 2: 11 ─▶ 12     the version's serial is 12
 *
 *        Serials rise from step to step, all of them are older than the newest (RFC 1982), and each step begins where the
 *        one before ended; so a serial leads to at most one place, and whatever lies between it and the newest version is
 *        there. history_append() makes the history of a next version; what breaks this rule starts an empty one.
 *        No difference that can be made of it is larger on the wire than the zone itself (RFC 1995 5), and none takes more
 *        work than to send the zone (history_changes_max): the oldest steps are dropped until that holds, and for the
 *        bounds in struct history_limits.
 * WHO    Any thread that holds it, without a lock: it hangs on struct version, so who pins a version has the history that
 *        leads to it. Made on the zone's worker, when a version is accepted.
 * OWNS   Refcounted; a reference on each changeset, and so on every node that was replaced. NULL is the empty history.
 *        The last unref may be a slow reader's: what it frees is freed on rcu's thread (the caller is registered there).
 * UNITS  Octets. wire_bytes: of the changed records in an answer, owners as pointers, SOAs left out. kept_bytes: of the
 *        replaced nodes and the changeset, which nothing else may keep alive.
 *        history_walk_next() reads all steps from one on as if they were one changeset, pair by pair, so that an answer can
 *        be made as its reader takes it and nothing is composed beforehand.
 * COST   append: the changes of the step, and O(steps). find: O(log steps). walk: O(changes · log steps) from its first to its
 *        last pair; no memory but the cursors.
 * SPEC   RFC 1995 5; RFC 1982.
 */
#ifndef WEIR_RUN_HISTORY_H
#define WEIR_RUN_HISTORY_H

#include "pipeline/base/rcu.h"
#include "pipeline/zone/changeset.h"

#include <time.h>

struct history_step {
    struct changeset *changes;           /* of the served zone; never without serials */
    time_t at;                           /* when what it leads to was accepted */
    uint64_t wire_bytes, kept_bytes;
};
struct history {
    _Atomic uint32_t refs;
    struct rcu_item rcu;
    unsigned n;                          /* never 0 */
    uint64_t wire_bytes, kept_bytes;     /* of all steps */
    size_t changes;
    struct history_step step[];
};
struct history_limits {
    uint64_t steps;                      /* 0: no history is kept */
    uint64_t bytes;                      /* of kept_bytes */
    time_t age_s;                        /* 0: however old */
};

struct history *history_ref(const struct history *h);      /* NULL gives NULL */
void history_unref(struct history *h);                     /* NULL allowed */

/* The history of `served`, the version that `changes` leads to, accepted at `at`; was: of the version before. One reference
 * for the caller; NULL: empty. Age is looked at here alone: a zone that does not change keeps what it has. */
struct history *history_append(const struct history *was, const struct changeset *changes,
                               const struct snapshot *served, time_t at, const struct history_limits *limits);

/* The step that leads away from `serial`, or h->n: it is not known. */
unsigned history_find(const struct history *h, uint32_t serial);

/* Steps `first` to the last, condensed: the names that change in any of them, in canonical order. Borrows all. */
struct history_cursor {
    const struct change *at, *end;
    uint64_t key;                        /* the first octets of the name that decide its order */
    unsigned step;
};
struct history_walk {
    struct history_cursor *heap;
    unsigned n;
    size_t apex_len;
    uint64_t visited;                    /* changes that were looked at, so far */
};
/* cursors: room for one a step. */
void history_walk_begin(struct history_walk *w, const struct history *h, unsigned first, struct history_cursor *cursors);
/* The next name: its node before `first` and its node now, either NULL. Unlike in a changeset, the two may be equal, and
 * both may be NULL, when what one step does the next undoes. False: there are no more. */
bool history_walk_next(struct history_walk *w, struct change *out);

/* A version's octets on the wire, counted as wire_bytes are. O(1), near enough to tell what is larger. */
uint64_t history_zone_bytes(const struct snapshot *served);
/* Octets that a history of it may keep, whatever is configured: ten thousand small zones that change all day would keep
 * fifty times what they are. */
uint64_t history_kept_max(const struct snapshot *served);
/* Changes that a history of it may have in all. To send one takes 0.7 to 0.8 us, to send the zone about 1 ns an octet
 * (xfrout_bench); and a few are always allowed. */
size_t history_changes_max(const struct snapshot *served);

#endif
