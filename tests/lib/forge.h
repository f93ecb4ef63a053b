/* forge: a zone that looks signed.
 *
 * WHAT   Adds to a plain version what a signer adds: NSEC or NSEC3 chain with right bitmaps, and an RRSIG for every
 *        authoritative rrset. The signatures are octets made up from the owner: no key ever saw them. For tests and
 *        benches of what passes records on and does not verify them.
 * OWNS   The result is the caller's; the family is that of the plain version.
 */
#ifndef WEIR_TESTS_FORGE_H
#define WEIR_TESTS_FORGE_H

#include "pipeline/zone/snapshot.h"

enum forge_denial { FORGE_NSEC, FORGE_NSEC3, FORGE_OPTOUT };

struct snapshot *forge_sign(const struct snapshot *plain, enum forge_denial denial);

#endif
