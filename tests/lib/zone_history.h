/* zone_history: successive versions of a zone, for tests of stages.
 *
 * WHAT   Versions by zonegen, signed by signer where asked: between two of them names, kinds of denial, opt-out,
 *        salt and validity change, and keys roll, step by step over several versions, as real signers do it: ZSK
 *        published ahead or signing beside the old one, KSK, algorithm (signatures first, key first out), standby,
 *        revoked, of one tag; a salt by two chains, a kind of denial by way of both. For a while some names carry bad signatures beside the good ones. Some versions are
 *        damaged by one random blow, or signed by one who gets something wrong; the next one is whole again.
 *        Time goes on with them: `now[i]` is when version i arrives.
 */
#ifndef WEIR_TESTS_ZONE_HISTORY_H
#define WEIR_TESTS_ZONE_HISTORY_H

#include "pipeline/zone/snapshot.h"
#include "tests/lib/random.h"

#include <time.h>

enum { HISTORY_MAX = 64 };

struct history_kind {
    bool sign;
    unsigned slots, changes, delegations; /* zonegen's */
    unsigned damage;         /* percent of versions */
    unsigned faults;         /* percent of versions, more */
    unsigned turns;          /* percent of versions at which keys, denial or validity change */
    unsigned blemishes;      /* percent of versions at which bad signatures appear beside good ones, or go again */
    bool nsec3, opt_out;     /* to begin with */
};
struct zone_history {
    uint8_t apex[16];
    bool sign; /* as in its kind */
    struct family *plain, *family;
    unsigned n;
    struct snapshot *version[HISTORY_MAX];
    time_t now[HISTORY_MAX];
    const char *event[HISTORY_MAX]; /* what was done to it, for messages */
};

struct zone_history zone_history_make(struct random *random, const struct history_kind *kind,
                            unsigned versions);
void zone_history_free(struct zone_history *history);
/* One random blow to a version: a record lost, added or altered, a TTL changed, a name gone. New reference. */
struct snapshot *zone_history_damage(struct random *random, struct family *family,
                                const struct snapshot *s);

#endif
