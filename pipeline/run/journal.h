/* journal: what was accepted, on disk.
 *
 * WHAT   Keeps for every zone the accepted version (its input, what each changing stage made of it, their states, findings), the
 *        changes that led to it (for IXFR), its timers, and a candidate that is held. One thread writes; all that waits goes
 *        into one transaction. journal.c tells the format and why a crash loses nothing.
 *
 *          zone's run ── journal_accept ──▶ queue ──▶ [journal's thread: one LMDB commit] ── done ──▶ the version becomes visible
 *
 * WHO    journal_open .. journal_close: the thread that owns it. journal_zone_new, journal_load: any thread, any number at once.
 *        journal_ahead, journal_accept, journal_hold, journal_unhold of one zone: one thread at a time (its run). journal_timers, journal_stats: any.
 *        `done` is called on the journal's thread, in the order of acceptance within a zone.
 * OWNS   struct journal_zone is refcounted: its zone and every write of it that waits hold one.
 * FAILS  A write that fails is tried again until it succeeds (a named error in log and status meanwhile), or, once journal_closing was
 *        called, given up: then `done` gets the error. A record that is damaged costs its zone, not the others.
 * COST   accept: encoding the change in the caller, O(d); a descent and a share of one fdatasync in the journal. A new image O(zone),
 *        in slices that take some 20 ms each, between which other zones' changes are committed.
 * SPEC   RFC 1995 2 (stable storage before it is served), design.md 6.
 */
#ifndef WEIR_RUN_JOURNAL_H
#define WEIR_RUN_JOURNAL_H

#include "pipeline/run/chain.h"

struct journal;
struct journal_zone;
enum { JOURNAL_LAYERS_MAX = CHAIN_CHANGING_MAX + 2, JOURNAL_STAGES_MAX = CHAIN_STAGES_MAX };

/* Opens, or makes, the journal in `folder`. What cannot be read is put aside (FOLDER.damaged) and a new one is begun. */
int journal_open(const char *folder, struct journal **out, struct why *why) MUST_CHECK;
void journal_closing(struct journal *j);                 /* from now on what fails is given up */
/* NULL inside allowed. Writes what waits. Before the zones are freed: the snapshots that it lets go of are theirs. */
void journal_close(struct journal **j);
void journal_wait(struct journal *j);                    /* until nothing waits, compaction included: tests */

struct journal_zone *journal_zone_new(struct journal *j, const uint8_t *name);
void journal_zone_unref(struct journal_zone *jz);        /* NULL allowed */
/* What of it is not written yet will not be, so that another one of the same name can begin with what is. */
void journal_zone_retire(struct journal_zone *jz);

/* Nothing of a zone that is not configured is kept; done soon, and said in the log. If it comes back before, it is not. -E_NOENT: there is
 * nothing of it. The thread that also makes zones. */
int journal_purge(struct journal *j, const uint8_t *name, struct why *why) MUST_CHECK;

struct journal_layer_change {
    const struct snapshot *snapshot;
    const struct changeset *delta;                       /* from the version accepted before; NULL: a new image is needed */
};
typedef void journal_done_fn(void *ctx, int err, const struct why *why);
struct journal_accept {
    const struct version *version;                       /* accepted_at and all else set */
    unsigned nlayers;                                    /* input, then each changing stage's output; the last is served */
    const struct journal_layer_change *layer;
    const unsigned *stage_layer;                         /* of each stage: index of the layer that is its output */
    unsigned history;                                    /* so many changes before this version are worth keeping, this one included */
    bool by_time;                                        /* no layer has changed: state and findings alone */
    bool unhold;                                         /* it is what was held, or takes its place: what is held goes in the same commit */
    journal_done_fn *done;                               /* may be NULL */
    void *ctx;
};
void journal_accept(struct journal_zone *jz, const struct journal_accept *what);
unsigned journal_waiting(struct journal_zone *jz);       /* versions of it that are not on disk yet */
/* So many versions of it, or so many octets of all zones, are seen before they are on disk that the next one has to wait. */
bool journal_behind(struct journal_zone *jz);

/* A version with this layer may be accepted soon, and will need an image of it: it is begun. The next accept of the zone
 * takes it over, or journal_ahead_drop deletes it. Costs nobody anything but the disk's time when nothing else waits. */
void journal_ahead(struct journal_zone *jz, const struct snapshot *layer);
void journal_ahead_drop(struct journal_zone *jz);

/* The candidate that is held: what leads to its input from the input that is accepted. */
void journal_hold(struct journal_zone *jz, const struct changeset *input, const char *origin);
void journal_unhold(struct journal_zone *jz);
/* Not urgent: written with the next transaction, or within TIMERS_S. */
void journal_timers(struct journal_zone *jz, time_t checked_at, time_t expires_at);

struct journal_change {                                  /* one step of what was served */
    time_t at;
    struct changeset *changes;
};
struct journal_loaded {
    struct version *version;                             /* NULL: see `input`, `served`: it was made by another chain */
    struct snapshot *input, *served;
    char origin[96];
    time_t accepted_at;
    time_t good_until, serve_until;                      /* as in struct version */
    uint8_t *caches;                                     /* … NULL: there is nothing */
    size_t caches_len;
    time_t checked_at, expires_at;                       /* 0: not known */
    size_t nchanges;                                     /* oldest first, without a gap */
    struct journal_change *change;
    struct snapshot *held;                               /* the input of the held candidate, or NULL */
    char held_origin[96];
};
/* Reads a zone. -E_NOENT: it has none. Others: named, counted, and the zone begins anew. family: of its inputs. */
int journal_load(struct journal_zone *jz, struct family *family, const struct chain *chain, struct journal_loaded **out,
                 struct why *why) MUST_CHECK;
void journal_loaded_free(struct journal_loaded **loaded);
void journal_loaded_all(struct journal *j);              /* what the loads read need not stay in memory */

struct journal_stats {
    uint64_t commits, versions, octets, images;          /* since start */
    uint64_t failures, damaged;                          /* writes that failed; what could not be read: a file, a zone, or a part of one */
    uint64_t slowest_us;                                 /* the longest that one transaction took */
    size_t waiting;                                      /* versions that wait */
    size_t behind_octets;                                /* of what waits, and nobody waits for */
    size_t size, used;                                   /* octets of the file, and of what is in use there */
    char error[sizeof(struct why)];                      /* of the last write; empty: it went well */
    time_t error_at;                                     /* when it began */
};
void journal_stats(struct journal *j, struct journal_stats *out);

/* For people, beside a daemon or without one: reads FOLDER from any process. */
struct journal_reader;
int journal_reader_open(const char *folder, struct journal_reader **out, struct why *why) MUST_CHECK;
void journal_reader_close(struct journal_reader **r);
struct journal_listed {                                  /* a version */
    uint32_t serial, input_serial, from_serial;          /* served; from_serial: what its change leads from */
    bool has_from;
    bool ixfr;                                           /* its change is part of the history for IXFR */
    time_t at;
    char origin[96];
    uint64_t names, records, change_octets, notes;
};
struct journal_listing {
    size_t n;
    struct journal_listed *version;                      /* newest first */
    struct why cut;                                      /* why older ones cannot be listed; empty: they are */
    uint64_t image_octets;
    time_t checked_at, expires_at;                       /* 0: not known */
    bool held;
};
/* -E_NOENT: it has nothing of the zone. The caller frees `version`. */
int journal_reader_list(struct journal_reader *r, const uint8_t *name, struct journal_listing *out, struct why *why) MUST_CHECK;
struct journal_zone_listed {
    uint8_t name[NAME_MAX_OCTETS];
    uint32_t serial;                                     /* served */
    uint64_t versions, octets;                           /* octets: of all that is kept of it */
    struct why damage;                                   /* empty: none was met */
};
struct journal_zones {
    size_t n;
    struct journal_zone_listed *zone;                    /* in no order that counts */
};
/* All zones that it has. The caller frees `zone`. */
int journal_reader_zones(struct journal_reader *r, struct journal_zones *out, struct why *why) MUST_CHECK;
/* The served version with this serial (NULL: the newest). One reference. */
int journal_reader_get(struct journal_reader *r, const uint8_t *name, const uint32_t *serial, struct snapshot **out,
                       struct why *why) MUST_CHECK;

#endif
