/* caches_p: what the parts of caches share. Private to pipeline/run/caches*.c.
 */
#ifndef WEIR_RUN_CACHES_P_H
#define WEIR_RUN_CACHES_P_H

#include "pipeline/run/caches.h"

/* One more of each, for the caller to fill in; it sees to the bounds. */
struct caches_key *caches_key_room(struct caches *c);
struct caches_signer *caches_signer_room(struct caches *c);
struct caches_ds *caches_ds_room(struct caches *c);
void caches_ksk_set(struct caches *c, const struct caches_id *ksk, unsigned n);

bool caches_set_has(const struct rrset *set, const uint8_t *rdata, uint16_t len);
bool caches_ids_have(const struct caches_id *ids, unsigned n, uint16_t tag, uint8_t algorithm);
bool caches_own(const struct keyset *keys, const uint8_t *rdata, uint16_t len);

/* From the moment at which something is there, or gone, until it is so in every cache. A second that has begun is not one that has passed. */
static inline int64_t wait_dnskey(const struct caches *c, int64_t delay_s)
{
    return c->dnskey_ttl.ttl + delay_s + 1;
}

static inline int64_t wait_zone(const struct caches *c, int64_t delay_s)
{
    return c->zone_ttl.ttl + delay_s + 1;
}

static inline int64_t wait_ds(const struct caches *c, const struct caches_policy *policy)
{
    int64_t ttl = 0;
    bool any = false;
    for (unsigned i = 0; i < c->nds; i++) {
        any = any || c->ds[i].set.n;
        ttl = c->ds[i].set.ttl > ttl ? c->ds[i].set.ttl : ttl;
    }
    return (any ? ttl : policy->ds_ttl_s) + policy->delay_s + 1;
}

static inline bool key_served(const struct caches *c, uint16_t tag, uint8_t algorithm)
{
    for (unsigned i = 0; i < c->nkeys; i++)
        if (c->key[i].in && c->key[i].tag == tag && c->key[i].algorithm == algorithm)
            return true;
    return false;
}

#endif
