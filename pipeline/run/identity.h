/* identity: what comes out of a stage that has to do with DNSSEC only says the same as what went in.
 *
 * WHAT   Compares input and output of a stage name by name, DNSSEC's own records left out (RRSIG, NSEC, NSEC3, NSEC3PARAM, DNSKEY, CDS,
 *        CDNSKEY, CSYNC, ZONEMD, DS at the apex) and the SOA's serial, octet for octet, TTLs and letters' case included. It looks at the
 *        names that changed on either side: the others were the same at the last accepted run and nobody touched them. So
 *        it is exact, keeps no state, and costs the change.
 *
 *        One stage adds data on purpose: the names of other signers' servers join the NS set at the apex (RFC 8901). Of it the set is wanted
 *        as it came in, or with all the names that the keyset has, under the TTL that it came with: nothing less, nothing else, and no set
 *        where none came in. The apex is looked at each time then, for the names change without the zone.
 *
 *        Another one, for a zone that its owner signed, may replace DNSKEY, CDS and CDNSKEY at the apex with their signatures, and nothing
 *        else: the serial, denial and all other signatures are the owner's, and wanted octet for octet, too.
 * COST   O(d log n) in the changes of both sides.
 * SPEC   RFC 4035 2 (signing adds records), design.md idea 2.
 */
#ifndef WEIR_RUN_IDENTITY_H
#define WEIR_RUN_IDENTITY_H

#include "pipeline/zone/changeset.h"
#include "pipeline/zone/keyset.h"

struct identity_breach {
    const uint8_t *owner;             /* borrowed from the versions */
    uint16_t type;
    const char *what;                 /* "is lacking", "was added", "was changed" */
};
struct identity_versions {
    const struct snapshot *in, *out;
    const struct changeset *in_changes, *out_changes; /* what led to them from the last accepted run */
    bool key_sets_only;               /* nothing but DNSKEY, CDS and CDNSKEY at the apex, and signatures over them, may differ */
    const struct keyset *joins;       /* the keyset of a stage that may let its names of servers join; NULL: it may not */
};
/* False: `breach` is the first one. */
bool identity_holds(const struct identity_versions *v, struct identity_breach *breach);

#endif
