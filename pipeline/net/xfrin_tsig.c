/* Queries to a primary whose remote has a key are signed, and so must their answers be.
 *
 *   xfrin_query ─▶ xfrin_sign ─▶ stream or datagram ─▶ xfrin_verify each message ─▶ xfrin_verify_end after the last
 *
 * What a message without a signature brings (RFC 8945 5.3.1 allows 99 between two that are signed) goes to the parser at once: it
 * has memory of its own, and nothing of it counts before xfrin_verify_end. */
#include "pipeline/net/xfrin_p.h"

#include <time.h>

size_t xfrin_sign(struct xfrin_zone *xz, uint8_t query[XFRIN_QUERY_MAX], size_t len,
                  struct tsig_chain **chain)
{
    const struct tsig_key *key = round_primary(xz)->key;
    struct tsig_mac mac;
    tsig_chain_free(chain);
    if (!key)
        return len;
    len = tsig_sign(key, query, len, XFRIN_QUERY_MAX, (uint64_t)time(NULL), &mac);
    ASSERT(len);
    *chain = tsig_chain_new(key, &mac);
    return len;
}

static int judge(struct xfrin_zone *xz, int err)
{
    if (err)
        atomic_fetch_add(&xz->zone->counters.tsig_failed, 1);
    return err;
}

int xfrin_verify(struct xfrin_zone *xz, struct tsig_chain *chain, const uint8_t *msg, size_t len,
                 struct why *why)
{
    if (!chain)
        return 0;
    return judge(xz, tsig_chain_take(chain, msg, len, (uint64_t)time(NULL), why));
}

int xfrin_verify_end(struct xfrin_zone *xz, const struct tsig_chain *chain, struct why *why)
{
    return chain ? judge(xz, tsig_chain_end(chain, why)) : 0;
}
