/* journal_world: zones over a journal, for tests that leave them and come back.
 *
 * WHAT   A table of ALL_ZONES zones with a journal in a temporary folder. world_leave and world_enter are the end of weir and its next start.
 *        The chains, in the order of the zones: none; a check that counts its runs in its state; that and one that marks every name; two that mark, then the count;
 *        one that holds every version whose serial is divisible by 5.
 *        A source is a zone's primary: a random history.
 * WHO    One thread, beside the pool's.
 */
#ifndef WEIR_TESTS_JOURNAL_WORLD_H
#define WEIR_TESTS_JOURNAL_WORLD_H

#include "pipeline/base/growbuf.h"
#include "pipeline/base/pool.h"
#include "pipeline/run/journal.h"
#include "pipeline/run/zone_table.h"
#include "tests/lib/zonegen.h"

enum { ZONES = 4 /* those that hold nothing */, ZONE_HOLDS = ZONES, ALL_ZONES };
extern const char *const world_names[ALL_ZONES];
extern const struct stage_type stage_count;  /* a check that counts its runs in its state */
extern const struct stage_type stage_forget; /* … which it cannot save */
extern _Atomic int world_runs, world_fresh_runs; /* of these two; fresh: without a version before */

struct world {
    char folder[64];
    struct pool *pool;
    struct journal *journal;
    struct zone_table *table;
    struct config *config;
    struct chain *other; /* for zone 1, instead of its own */
    unsigned without;    /* bits: zones that are not configured */
    bool async;
    void (*listen)(void *ctx, const struct zone_event *event);
    void *listen_ctx;
};

struct chain *chain_make(const struct stage_type *const *types);
struct world world_make(void);
void world_enter(struct world *w);
void world_leave(struct world *w);
void world_end(struct world *w);
void world_configure(struct world *w, unsigned without); /* a reload */
struct zone *world_zone(struct world *w, unsigned i);

struct expected {
    struct growbuf served, input, history;
    unsigned steps;
    time_t good_until;
    uint32_t serial;
};
void snapshot_octets(const struct snapshot *s, struct growbuf *out);
bool octets_same(const struct growbuf *a, const struct growbuf *b);
void world_expect(struct world *w, unsigned i, struct expected *e); /* what it is now */
/* The version alone, for who made changes larger than their zone: those are in no journal's history. */
void world_serves_as(struct world *w, unsigned i, const struct expected *want);
void world_found_as(struct world *w, unsigned i, const struct expected *want);
void expected_free(struct expected *e);

struct source {
    struct zonegen gen;
    struct family *family;
    struct snapshot *now;
};
struct source source_make(struct random *random, unsigned i, unsigned slots);
void source_step(struct source *s, unsigned changes);
void source_free(struct source *s);
void hand_in(struct zone *z, const struct source *s); /* as a transfer would */

#endif
