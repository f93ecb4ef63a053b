/* trust: what a DNSKEY set is believed by.
 *
 *      anchors, as an operator gives them    "TAG ALGORITHM DIGESTTYPE HEX"        a DS, as the parent has it
 *                                            "FLAGS 3 ALGORITHM BASE64"            a DNSKEY
 *      the DS set at the parent
 *
 *      anchors, DS ─▶ a key of the set that one of them names ─▶ its signature over the set ─▶ all keys of the set ─▶ other sets of the apex
 *
 * WHAT   Reads anchors, and proves an apex: a key that an anchor or a DS names has signed the DNSKEY set, and the signature is valid
 *        now (RFC 4035 5.3.1). One is enough. Then it says by which keys of the set the other sets beside it are signed.
 * WHO    One thread; a struct trust borrows its node.
 * FAILS  What could never be met is refused when an anchor is read, not found out at the first transfer: an algorithm or digest that
 *        cannot be checked, SHA-1, a key that may not sign.
 * COST   An apex from outside is hostile: at most TRUST_KEYS_MAX keys, and TRUST_CHECKS_MAX public key operations for all questions
 *        together (tags collide, by chance and by design: KeyTrap, CVE-2023-50387).
 * SPEC   RFC 4034 2.1, 5.1.4; RFC 4035 5.2, 5.3; RFC 6840 5.11.
 */
#ifndef WEIR_ZONE_TRUST_H
#define WEIR_ZONE_TRUST_H

#include "pipeline/zone/dnssec.h"

#include <time.h>

struct trust_anchor {
    bool is_ds;                        /* else a DNSKEY */
    uint16_t len;
    uint8_t *rdata;                    /* mem_alloc'ed */
};
/* -E_CONF: why begins with the text in quotes. */
int trust_anchor_parse(const char *text, struct trust_anchor *out, struct why *why) MUST_CHECK;
void trust_anchor_clear(struct trust_anchor *anchor);
/* Does it name this DNSKEY of owner? */
bool trust_anchor_names(const struct trust_anchor *anchor, const uint8_t *owner, const uint8_t *dnskey, size_t len);

enum { TRUST_KEYS_MAX = 64, TRUST_CHECKS_MAX = 96 };
struct trust;
/* -E_NOENT: no DNSKEY set; -E_LIMIT: it has more than TRUST_KEYS_MAX keys. */
int trust_open(const struct node *apex, time_t now, struct trust **out, struct why *why) MUST_CHECK;
void trust_close(struct trust **trust);
unsigned trust_keys(const struct trust *trust);
struct rdata trust_key(const struct trust *trust, unsigned key);
/* 0: the DNSKEY set is proved. ds: NULL, or the DS set at the parent.
 * -E_NOENT: no key of it is named; -E_MISMATCH: one is, but has not signed it, or not so that it is valid now; -E_LIMIT: too much work. */
int trust_prove(struct trust *trust, const struct trust_anchor *anchor, unsigned anchors, const struct rrset *ds, struct why *why) MUST_CHECK;
/* By which keys of the set is the apex's set of that type signed, validly now? by: a bit for each key.
 * -E_NOENT: there is no such set; -E_MISMATCH: by none, and why; -E_LIMIT: too much work. */
int trust_signers(struct trust *trust, uint16_t type, uint64_t *by, struct why *why) MUST_CHECK;

#endif
