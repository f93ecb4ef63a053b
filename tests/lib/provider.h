/* provider: the apex of a zone as another signer's servers answer it (RFC 8901).
 *
 * WHAT   DNSKEY, SOA, NS, CDS and CDNSKEY as the test says, each signed: what the KSK signs by one key, all else by another.
 * WHO    One thread.
 */
#ifndef WEIR_TESTS_PROVIDER_H
#define WEIR_TESTS_PROVIDER_H

#include "tests/lib/signer.h"

struct provider_apex {
    const uint8_t *apex;
    const struct signer *signer;
    unsigned ksk, zsk;             /* its keys that sign DNSKEY, CDS, CDNSKEY; and SOA, NS */
    unsigned ndnskey;
    const struct rdata *dnskey;    /* the set */
    unsigned ncds;
    const struct rdata *cds;       /* keys that CDS and CDNSKEY name */
    unsigned nns;
    const uint8_t *const *ns;
    uint32_t dnskey_ttl, ns_ttl, serial;
};
/* One reference. */
struct node *provider_node(const struct provider_apex *p);
/* The signer's key as a record. */
struct rdata provider_key(const struct signer *signer, unsigned key);
/* Flips one bit of the last signature over that type: the same node but for that. Takes the reference, gives one. */
struct node *provider_spoil(struct node *node, uint16_t covered);

#endif
