/* mutation_kinds: what can be wrong in one place of a zone, and what validate must say of it.
 *
 * WHAT   A table. Each row is done to a zone that is right: `plain` before it is signed, `script` after (mutation.h), at
 *        places of place.h. `want` is read from left to right:
 *
 *          CODE          refuses it, or holds it; no other code may
 *          pass CODE     it passes, with this note and no other that the right zone does not have, too
 *          ?CODE         may be there, too
 *          ~CODE         a note about what did not change: is there if all of the version is judged
 *          CODE/OWNER    is said of this owner ("CODE/%set": and type)
 */
#ifndef WEIR_TESTS_MUTATION_KINDS_H
#define WEIR_TESTS_MUTATION_KINDS_H

#include <stddef.h>

enum {
    /* zones it is for */
    NSEC = 1,
    NSEC3 = 2,
    BOTH = NSEC | NSEC3,
    OPT_OUT = 4,          /* NSEC3 with opt-out only */
    NO_OPT_OUT = 8,       /* … without */
    SALTED = 0x200,       /* with a salt */
    ONE_KEY = 0x10,       /* one P-256 key signs */
    KSK_ZSK = 0x20,       /* two keys of one algorithm */
    TWO_ALGORITHMS = 0x40,
    ALL_ALGORITHMS = 0x80, /* zones of all other algorithms, too */
    FIXED = 0x100,        /* names names of the zone that trial.c has */
    /* what else the zone or the stage is given */
    ANY_KEY = 0x1000,     /* signatures = any-key */
    UNKNOWN_KEY = 0x2000, /* any-key, and a key of an algorithm that nobody knows is published, tag 1224 */
    FEW_KEYS = 0x4000,    /* max_keys = 2 */
    ANCHORED = 0x8000,    /* any-key, and the first key is the trust anchor */
    TWINS = 0x10000,      /* two keys with the tag of the second are published */
    DIGEST = 0x20000,     /* it has a ZONEMD, which is required */
    SETUPS = ANY_KEY | UNKNOWN_KEY | FEW_KEYS | ANCHORED | TWINS | DIGEST,
    /* how the version that is wrong is signed */
    OTHER_DENIAL = 0x100000, /* NSEC for NSEC3, or the other way round */
    ITERATIONS = 0x200000,   /* NSEC3: more */
    OTHER_SALT = 0x400000,
};

struct mutation_kind {
    const char *what;
    unsigned where;
    const char *plain, *script, *want;
};
extern const struct mutation_kind mutation_kinds[];
extern const size_t mutation_kinds_n;

#endif
