/* keyring_offline: DNSKEY, CDS and CDNSKEY sets that a KSK elsewhere has signed, for a weir that has ZSKs only.
 *
 *        ;; January                                      a line that begins with ;; parts one period from the next
 *        example. 3600 DNSKEY 257 3 13 …                 all keys of that time, weir's ZSKs with them
 *        example. 3600 RRSIG DNSKEY 13 1 3600 …          by the KSK
 *        example. 3600 CDS …, CDNSKEY …, RRSIG …         if there are to be some
 *        ;; February
 *        …
 *
 * WHAT   Reads such a file: master-file text, which BIND's (dnssec-ksr) and Knot's (keymgr offline) signed key responses are as well. A
 *        period is the time in which all its signatures are valid. Every set must have a signature that verifies by a SEP key of its own
 *        DNSKEY set.
 * FAILS  -E_IO; -E_FORMAT, -E_MISMATCH with the file, the line at which the period begins, and what is wrong: then nothing of it is used.
 */
#ifndef WEIR_RUN_KEYRING_OFFLINE_H
#define WEIR_RUN_KEYRING_OFFLINE_H

#include "pipeline/zone/keyset.h"

struct keyring_offline {
    unsigned n;
    struct keyset_prepared *period;
};
int keyring_offline_read(const char *path, const uint8_t *apex, struct keyring_offline *out, struct why *why) MUST_CHECK;
void keyring_offline_clear(struct keyring_offline *o);
/* Into a keyset that nobody else has yet; sealed again. */
void keyring_offline_attach(const struct keyring_offline *o, struct keyset *keys);
/* Beside these, sets that another signer serves (RFC 8901 model 1), a node with nothing else, judged as a period of a file is. -E_MISMATCH
 * with what is wrong: a signature, or that a key of `keys` that signs the zone is not among them. */
int keyring_offline_attach_node(const struct node *node, const uint8_t *apex, struct keyset *keys, struct why *why) MUST_CHECK;

#endif
