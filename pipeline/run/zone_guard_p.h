/* zone_guard_p: what the halves of a zone's guard share. Private to pipeline/run/zone_guard*.c.
 */
#ifndef WEIR_RUN_ZONE_GUARD_P_H
#define WEIR_RUN_ZONE_GUARD_P_H

#include "pipeline/run/zone_guard.h"

/* A version as caches_judge sees it, with all that it borrows from. */
struct facts {
    struct node *apex;
    struct keyset *own;                  /* NULL: none */
    uint8_t *room;                       /* of a DNSKEY set that nobody has made yet */
    struct caches_version v;
};
void guard_facts_clear(struct facts *f);
/* What its apex alone says of a version that goes out as it comes. */
void guard_facts_apex(const struct node *apex, const struct soa *soa, struct facts *out);
/* Of a version that was made by this chain, and of which `served` goes out. */
void guard_facts_of(const struct version *made, const struct snapshot *served, struct facts *out);

struct zone_guard {
    pthread_mutex_t lock;
    struct caches *caches;
    struct facts *waiting;               /* … that is held; NULL: none */
    time_t alarmed;                      /* good_until of the version that is served meanwhile, when its end was told of */
};

struct guard_zone {                      /* of the configuration in force */
    struct caches_policy policy;
    bool prepares;
};
struct guard_zone guard_zone_of(struct zone *z);
/* With the guard's lock held: on to now. */
void guard_advance(struct zone *z, const struct keyset *ds);
enum { POINT_TEXT_MAX = 256 };
/* What a point says; to, from: who signs. */
const char *guard_point_text(const struct caches_point *p, enum caches_world from, enum caches_world to, char out[POINT_TEXT_MAX]);

#endif
