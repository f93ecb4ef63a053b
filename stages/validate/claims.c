/* claims: how many signatures claim to be by which key.
 *
 * An RRSIG names its key by tag and algorithm. When a DNSKEY record comes or goes, only signatures that name its
 * tag and algorithm change their meaning; if there are none, no name need be looked at. So a standby key, a key
 * that is published ahead of its use, one that is withdrawn after it, and all that KSKs do, cost nothing but the
 * DNSKEY set itself.
 *
 * The kinds are few (a key, or two while one rolls). Where there are more than there is room for, nothing is
 * known, and every change of keys looks at all names.
 */
#include "stages/validate/validate.h"

static void claims_add(struct claims *claims, uint16_t tag, uint8_t algorithm, int64_t signatures)
{
    for (unsigned i = 0; i < claims->n; i++) {
        struct claim *claim = &claims->claim[i];
        if (claim->tag != tag || claim->algorithm != algorithm)
            continue;
        claim->signatures += (uint64_t)signatures;
        if (claim->signatures == 0)
            *claim = claims->claim[--claims->n];
        return;
    }
    if (claims->n == CLAIMS_MAX || signatures < 0) {
        claims->overflow = true;
        return;
    }
    claims->claim[claims->n++] = (struct claim){tag, algorithm, (uint64_t)signatures};
}

void claims_count(struct claims *claims, const struct node *node, int sign)
{
    for (unsigned i = 0; i < node->nrrsets; i++) {
        struct rrset set;
        struct rdata rdata;
        struct rrsig view;
        if (node->head[i].type != RR_RRSIG || node->head[i].covered == RR_DNSKEY)
            continue;
        node_rrset_at(node, i, &set);
        for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &rdata);) {
            bool parsed = rrsig_parse(rdata.data, rdata.len, &view);
            ASSERT(parsed); /* what is in a snapshot is well formed */
            if (sign > 0 && view.original_ttl > claims->ttl_max)
                claims->ttl_max = view.original_ttl;
            if (!claims->overflow)
                claims_add(claims, view.tag, view.algorithm, sign);
        }
    }
}

void claims_merge(struct claims *claims, const struct claims *other)
{
    claims->overflow |= other->overflow;
    claims->ttl_max = other->ttl_max > claims->ttl_max ? other->ttl_max : claims->ttl_max;
    for (unsigned i = 0; i < other->n; i++)
        claims_add(claims, other->claim[i].tag, other->claim[i].algorithm,
                   (int64_t)other->claim[i].signatures);
}

bool claims_any(const struct claims *claims, uint16_t tag, uint8_t algorithm)
{
    for (unsigned i = 0; i < claims->n; i++)
        if (claims->claim[i].tag == tag && claims->claim[i].algorithm == algorithm)
            return true;
    return claims->overflow;
}
