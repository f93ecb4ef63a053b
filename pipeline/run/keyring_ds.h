/* keyring_ds: what an operator hands to the registrar, and what `weir dnssec` says besides.
 *
 * WHAT   The DS of a key in all the forms that registrars ask for; a ring as JSON and as text.
 * OWNS   The caller frees what is returned.
 */
#ifndef WEIR_RUN_KEYRING_DS_H
#define WEIR_RUN_KEYRING_DS_H

#include "pipeline/base/json.h"
#include "pipeline/run/config.h"
#include "pipeline/run/signers.h"

#include <stdio.h>

enum { DS_TTL_SHOWN = 3600 };
/* "example.com. 3600 IN DS 2371 13 2 C988…"; digest_type 2 or 4. */
char *keyring_ds_line(const uint8_t *apex, const struct keyring_key *key, uint8_t digest_type);
/* "example.com. 3600 IN DNSKEY 257 3 13 mdss…" */
char *keyring_dnskey_line(const uint8_t *apex, const struct keyring_key *key);
/* For the other signers of the zone (RFC 8901 9), as a zone file: our DNSKEY, as early as they are made, and the CDS and CDNSKEY that we show. */
void keyring_export(const struct keyring *ring, FILE *out);
/* Of a DNSKEY set that was made with these keys, those that are not ours: objects into the open array, or lines as of keyring_key_text.
 * book: who says whose they are; what it does not know came with the transfer. NULL: there is none. */
void keyring_foreign_json(const struct rrset *dnskey, const struct keyset *keys, const struct signers *book, struct json *json);
void keyring_foreign_text(const struct rrset *dnskey, const struct keyset *keys, const struct signers *book, FILE *out);
/* Fields into the open object. ring NULL: there are no keys yet. */
void keyring_ds_json(const struct keyring *ring, const struct zone_conf *zone, time_t now, struct json *json);
void keyring_ds_text(const struct keyring *ring, const struct zone_conf *zone, time_t now, FILE *out);
void keyring_key_json(const struct keyring *ring, const struct keyring_policy *policy, const struct keyring_key *key, time_t now,
                      struct json *json);
void keyring_key_text(const struct keyring *ring, const struct keyring_policy *policy, const struct keyring_key *key, time_t now,
                      FILE *out);

#endif
