/* mutation: one thing made wrong in a zone that is right, told in a line of words.
 *
 * WHAT   A script of commands, separated by ';', applied to a version. Owners are relative to the apex, "@" is the apex; "#NAME" is
 *        the owner of NAME's NSEC3. TYPE may be "RRSIG:A", the signatures over A.
 *
 *          del OWNER TYPE            the rrset goes; TYPE * : the whole name
 *          one OWNER TYPE            one record of it goes
 *          add OWNER TTL TYPE RDATA… a record as in a master file
 *          set OWNER TYPE RDATA…     the rrset becomes this one record, with its TTL
 *          ttl OWNER TYPE N
 *          octet OWNER TYPE N        the last record's octet N gets another lowest bit; from the end if N < 0
 *          flag OWNER N              the flags of an NSEC3
 *          flags N                   the flags of all NSEC3, signed anew
 *          without OWNER TYPE N      the signatures of algorithm N go
 *          sig OWNER TYPE FIELD N    covered algorithm labels ttl expiration inception tag signer octet short
 *          double OWNER TYPE         beside each signature one that is bogus
 *          flood OWNER TYPE N        so many
 *          sign OWNER                all there is is signed anew; signcut: as at a delegation
 *          copy3 #NAME #NAME         the NSEC3 of the first at the hash of the second
 *          keys N                    so many more DNSKEY records
 *
 * FAILS  A script that does not fit the zone ends the test.
 */
#ifndef WEIR_TESTS_MUTATION_H
#define WEIR_TESTS_MUTATION_H

#include "tests/lib/signer.h"

/* A new reference. signer: whose keys sign; may be NULL where nothing is signed. */
struct snapshot *mutation_apply(const char *script, const struct snapshot *s, struct family *family,
                                const struct signer *signer);
/* An unsigned or signed version from the text of a master file. */
struct snapshot *mutation_zone(const char *text, struct family *family);

#endif
