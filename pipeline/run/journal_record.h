/* journal_record: what the journal's values are made of. Private to pipeline/run/journal*.c and their tests.
 *
 * WHAT   Keys, and values to structs and back. journal.c has the story. Every value ends with a checksum over its key
 *        and all before it, so a value that was damaged, or stands in another one's place, is not taken.
 * OWNS   What is read borrows from the octets it was read from.
 * FAILS  -E_FORMAT with a why. Octets from anywhere are safe to read (tests/fuzz/journal_fuzz.c).
 */
#ifndef WEIR_RUN_JOURNAL_RECORD_H
#define WEIR_RUN_JOURNAL_RECORD_H

#include "pipeline/base/growbuf.h"
#include "pipeline/run/journal.h"
#include "pipeline/run/journal_db.h"
#include "pipeline/zone/octets.h"

enum { JOURNAL_FORMAT = 1, JOURNAL_KEY_MAX = NAME_MAX_OCTETS + 1 };

/* The first octet of a key. */
enum journal_kind {
    JOURNAL_CHUNK = 'C',               /* image u64 | number u32: nodes of an image */
    JOURNAL_VERSION = 'F',             /* nothing, or 2 u8, its copy: the format */
    JOURNAL_HELD = 'H',                /* zone u64: the held candidate */
    JOURNAL_STEP = 'S',                /* zone u64 | step u64: one change */
    JOURNAL_TIMERS = 'T',              /* zone u64 */
    JOURNAL_ROW = 'Z',                 /* name in lower case: the zone's row */
};
struct journal_key {
    uint8_t octets[JOURNAL_KEY_MAX];
    size_t len;
};
struct journal_key journal_key(enum journal_kind kind);                 /* where a kind begins */
struct journal_key journal_key_format(unsigned copy);                   /* 0 or 1 */
struct journal_key journal_key_id(enum journal_kind kind, uint64_t id); /* 'H', 'T', or where an id's rows begin */
struct journal_key journal_key_step(uint64_t zone, uint64_t step);
struct journal_key journal_key_chunk(uint64_t image, uint32_t number);
struct journal_key journal_key_row(const uint8_t *name);
/* Is it of this kind, and has it an id? */
bool journal_key_has_id(const struct db_item *item, enum journal_kind kind, uint64_t *id, uint64_t *rest);

/* Ends a value. */
void journal_seal(struct growbuf *value, const struct journal_key *key);
/* Checks the sum; the reader is on what is before it. */
int journal_unseal(const struct db_item *item, struct rbuf *out, struct why *why) MUST_CHECK;

/* One of the zone's streams of versions: its input, or what a changing stage makes of it. Its newest version is the
 * image and all steps behind image_step. */
struct journal_layer {
    uint64_t image, image_step, image_octets;
    uint64_t step_octets;              /* in the steps behind the image */
    uint32_t chunks;
};
struct journal_row {
    uint64_t zone;                     /* never used again for another one */
    uint64_t oldest, newest;           /* steps; newest 0: none yet */
    uint32_t history;                  /* so many of the newest steps, without a gap, lead to what is served */
    unsigned nlayers;                  /* the last one is served */
    struct journal_layer layer[JOURNAL_LAYERS_MAX];
};
void journal_row_save(const struct journal_row *row, const uint8_t *about, size_t about_len, struct growbuf *out);
int journal_row_load(struct rbuf *in, struct journal_row *row, struct rbuf *about, struct why *why) MUST_CHECK;

/* What is known of the accepted version beside its records. */
struct journal_stage {
    const char *name;                  /* name_len octets */
    size_t name_len;
    unsigned layer;                    /* its output */
    int64_t wake_at, good_until, serve_until;
    bool state_lost;                   /* it had one that its stage cannot save */
    const uint8_t *state;              /* NULL: none */
    size_t state_len;
};
struct journal_about {
    int64_t accepted_at;
    char origin[96];
    const char *chain;                 /* as chain_print has it; chain_len octets */
    size_t chain_len;
    unsigned nstages;
    struct journal_stage stage[JOURNAL_STAGES_MAX];
    struct rbuf findings;              /* for findings_load */
};
int journal_about_load(struct rbuf *in, struct journal_about *about, struct why *why) MUST_CHECK;
/* `layer` is the index of each stage's output among the version's layers. */
void journal_about_save(const struct version *v, const unsigned *layer, struct growbuf *out);

struct journal_step {
    uint64_t step;
    int64_t at;
    bool has_from;
    uint32_t from, to, input;          /* serials: served before, served now, of the input */
    char origin[96];
    uint64_t notes, names, records;    /* of what is served */
    unsigned nlayers;
    bool has_delta[JOURNAL_LAYERS_MAX];
    uint64_t octets;                   /* of all deltas */
};
/* The deltas come behind it, those of layers that have one. */
void journal_step_save(const struct journal_step *step, struct growbuf *out);
int journal_step_load(struct rbuf *in, struct journal_step *step, struct why *why) MUST_CHECK;

/* Findings of a version. Stages and codes that are no longer known are left out. */
void journal_findings_save(const struct findings *f, struct growbuf *out);
struct findings *journal_findings_load(struct rbuf *in);   /* NULL: malformed */

#endif
