/* place: where in a signed zone something can be made wrong, at random.
 *
 * WHAT   Scripts of mutation.h with words in the place of owners, "sig %set octet": each word becomes a random place of its
 *        kind. A word means the same place wherever it stands, until places_forget; with a digit behind it, another one of
 *        the kind.
 *
 *          %set     an owner and a type: an rrset that is signed, but DNSKEY
 *          %data    of these A, AAAA, TXT, DS, or a type without a name
 *          %many    of these one with several records, neither NSEC nor NSEC3
 *          %odd     of these one of a type above 255, and at a name with a bitmap
 *          %name    the apex or a name below it that is the zone's own, no alias
 *          %host    a name below the apex with A, no wildcard
 *          %leaf    a host with nothing below it
 *          %wild    a wildcard            %alias   a name with CNAME       %dname   with DNAME
 *          %cut     a delegation          %secure  with DS                 %insecure  without
 *          %bare    an insecure delegation with nothing below it
 *          %glue    a name with A below a delegation                      %hidden  a name below a DNAME
 *          %ent     an empty non-terminal; in an NSEC3 zone, with a record
 *          %nsec    a name with NSEC      %lower   one below the apex      %last    the last one
 *          %hashed  a name, empty or not, with an NSEC3
 *          %free    a name that is not there; if it were, it would be the zone's own
 */
#ifndef WEIR_TESTS_PLACE_H
#define WEIR_TESTS_PLACE_H

#include "tests/lib/random.h"
#include "tests/lib/signer.h"

struct places;

/* s, signer, random: borrowed. */
struct places *places_new(const struct snapshot *s, const struct signer *signer,
                          struct random *random);
void places_free(struct places **places);
void places_forget(struct places *places);
/* The script with places for words; NULL: the zone has none for one of them. The caller frees. */
char *places_fill(struct places *places, const char *script);

#endif
