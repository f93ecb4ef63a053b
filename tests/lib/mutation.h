/* mutation: one thing made wrong in a zone that is right, told in a line of words.
 *
 * WHAT   A script of commands, separated by ';', applied to a version. Owners are relative to the apex, "@" is the apex; "#NAME" is
 *        the owner of NAME's NSEC3; "<NAME" is the last name before NAME that has an NSEC, "<#NAME" the last NSEC3 before NAME's.
 *        Names are looked up in the version as it came. TYPE may be "RRSIG:A", the signatures over A.
 *
 *          records
 *            del OWNER TYPE            the rrset goes; TYPE * : the whole name
 *            one OWNER TYPE            one record of it goes
 *            add OWNER TTL TYPE RDATA… a record as in a master file
 *            set OWNER TYPE RDATA…     the rrset becomes this one record, with its TTL
 *            ttl OWNER TYPE N          or +N
 *            octet OWNER TYPE N BITS   the last record's octet N has these bits turned (default 1); from the end if N < 0
 *          signatures
 *            sign OWNER                all that is there and the zone's own is signed anew
 *            oversign OWNER            all that is there, whether the zone's own or not
 *            unsign OWNER TYPE         the signatures over it go
 *            without OWNER TYPE N      those of algorithm N go
 *            sig OWNER TYPE FIELD N    covered algorithm labels ttl expiration inception tag signer octet short; N or +N, -N
 *            resig OWNER TYPE FIELD N  the same, and what the signature then says is signed by the key that signed before
 *            sigttl OWNER TYPE N       or +N: the TTL of the signatures
 *            flood OWNER TYPE N        beside each signature so many that are bogus
 *          denial; all but nsec and flags sign the owner's records anew
 *            bitmap OWNER TYPE         the NSEC or NSEC3 lists the type if it did not, and the other way round
 *            leads OWNER NAME          to another name, or to another hash if NAME is "#NAME"
 *            skip OWNER                to where the next one leads
 *            link #NAME                an NSEC3: it leads to the next one, and the one before to it
 *            flag OWNER BITS           the flags of an NSEC3 are turned
 *            flags BITS                of all NSEC3
 *            nsec OWNER TYPES…         an NSEC that leads to the next name that has one
 *            copy3 #NAME OWNER         the NSEC3 of the name at another owner as well
 *          keys
 *            keys N                    so many more DNSKEY records
 *            addkey FLAGS ALGORITHM N  one more, of seed N
 *            twin N I                  one more: the Nth, with its 16-bit words I and I + 1 exchanged: its tag is the same
 *            dropkey N                 the Nth key of the signer goes
 *            keysign N                 that key alone signs the DNSKEY set
 *            revoke N                  that key is revoked (RFC 5011), and alone signs the DNSKEY set
 *          last
 *            digest                    the apex's ZONEMD gets the digest of what is then there, and a signature
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

/* The name that a word of a script stands for. False: there is none. */
bool mutation_owner(const char *word, const struct snapshot *s, const struct signer *signer,
                    uint8_t out[NAME_MAX_OCTETS]);

#endif
