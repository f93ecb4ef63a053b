/* trial: a zone that is right, versions of it in which one thing is wrong, and what validate says of each.
 *
 * WHAT   The zone is a small one with every kind of name, or a random one (zonegen), signed as asked. trial_run makes one
 *        thing wrong in it (mutation_kinds.h), somewhere (place.h), and has the stage judge it
 *          from nothing, as the first transfer would bring it;
 *          as a change of the right version, sharing with it all that did not change;
 *          the same, sharing nothing, as a transfer of the whole zone would bring it after a restart;
 *        then, when it was let through all the same, the right version again, which must pass; another right version after
 *        that; and the wrong one once more.
 * FAILS  What is not as the table says ends the test, with kind, zone, script and findings.
 */
#ifndef WEIR_TESTS_TRIAL_H
#define WEIR_TESTS_TRIAL_H

#include "tests/lib/mutation_kinds.h"
#include "tests/lib/random.h"

#include <stdbool.h>
#include <stdint.h>

enum { TRIAL_KEYS = 2 };

struct trial_keys {
    const char *name;
    bool other; /* for the rows of ALL_ALGORITHMS only */
    struct {
        uint16_t flags; /* 0: no key */
        uint8_t algorithm;
    } key[TRIAL_KEYS];
};
/* One P-256 key; KSK and ZSK; two algorithms; then an algorithm each. */
extern const struct trial_keys trial_keys[];
extern const size_t trial_keys_n;

struct trial_zone {
    const struct trial_keys *keys;
    bool nsec3, opt_out;
    unsigned iterations, salt_len;
    unsigned slots; /* of zonegen; 0: the small zone */
};

struct trial;
struct trial *trial_open(const struct trial_zone *zone, struct random *random);
void trial_close(struct trial **trial);
/* Is the row for this zone? */
bool trial_fits(const struct trial_zone *zone, const struct mutation_kind *kind);
/* False: the zone has no place for it. */
bool trial_run(struct trial *trial, const struct mutation_kind *kind);

#endif
