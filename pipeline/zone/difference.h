/* difference: records to be deleted and added, collected and applied.
 *
 * WHAT   An IXFR names records one by one, a thousand times the same owner perhaps. They are kept until DIFFERENCE_BATCH of
 *        them are there or the stream is whole, then sorted by owner, and each owner's node is opened, changed and
 *        built once. Within one owner the order is that of arrival.
 *        A record to be deleted must be there; its TTL says nothing. One to be added must not be there, unless with another
 *        TTL: then it changes that.
 * WHO    One thread at a time.
 * FAILS  -E_UNFIT, -E_LIMIT with a why that names message, record and owner.
 * COST   d log d for d records of a batch, one trie path an owner, and the records of the owners that change. A batch bounds the
 *        memory, and makes what many records at one name cost n / DIFFERENCE_BATCH nodes, not n.
 * SPEC   RFC 1995 4; RFC 2181 5.2 (TTLs)
 */
#ifndef WEIR_ZONE_DIFFERENCE_H
#define WEIR_ZONE_DIFFERENCE_H

#include "pipeline/zone/edit.h"

enum { DIFFERENCE_BATCH = 4096, DIFFERENCE_BYTES = 4 << 20 };

struct difference_record {
    const uint8_t *owner, *rdata;      /* copied */
    uint16_t type, len;
    uint32_t ttl;
    bool add;
    size_t message;                    /* where it stood, for words */
    unsigned record;
};
struct difference;
struct difference *difference_new(void);
void difference_free(struct difference **d);              /* NULL inside allowed */
void difference_put(struct difference *d, const struct difference_record *r);
bool difference_full(const struct difference *d);         /* a batch is together: apply it */
int difference_apply(struct difference *d, struct edit *e, struct why *why) MUST_CHECK; /* then it is empty */

#endif
