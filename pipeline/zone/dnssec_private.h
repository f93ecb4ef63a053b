/* dnssec_private: private keys, and signing with them.
 *
 * WHAT   Makes a private key, or reads one (PEM; BIND's Private-key-format v1.2 and v1.3; a URI of an OpenSSL store, for HSMs), gives
 *        the public key as it is in a DNSKEY, and signs octets as RRSIGs have them. OpenSSL lives here.
 * WHO    A key may be used by many threads at once; a dnssec_signer belongs to one thread.
 * OWNS   dnssec_private_ref/unref. The secret is never printed and is wiped with the last reference; a signer that used a key holds
 *        one of the secret until it is freed or has met DNSSEC_SIGNER_KEYS other keys.
 * FAILS  -E_FORMAT: not a key, or not of that algorithm (why says how); -E_UNSUPPORTED: algorithm or size; -E_IO: the store or HSM
 *        cannot be reached (signing may give it, too: an HSM can go at any time). why says what, never which key: the caller knows.
 *        No key is handed out whose halves disagree: it has signed, and that signature was verified.
 * COST   sign: one private key operation; a signer keeps OpenSSL's contexts of the last DNSSEC_SIGNER_KEYS keys. Generating RSA takes
 *        from tenths of a second (2,048 bits) to some seconds.
 * SPEC   RFC 5702 3; RFC 6605 4; RFC 8080 4; RFC 3110. Algorithms 8, 10, 13, 14, 15, 16; SHA-1's are verified only (RFC 8624 3.1).
 */
#ifndef WEIR_ZONE_DNSSEC_PRIVATE_H
#define WEIR_ZONE_DNSSEC_PRIVATE_H

#include "pipeline/base/errors.h"
#include "pipeline/zone/dnssec.h"

enum {
    DNSSEC_PUBLIC_MAX = 1 + 8 + 512,   /* octets of a public key field: RSA of 4,096 bits, exponent of 8 octets */
    DNSSEC_SIGNATURE_MAX = 512,
    DNSSEC_SIGNER_KEYS = 8,
};

struct dnssec_private;
/* bits: of RSA, from 2048 to 4096, 0 means 2048; otherwise 0 or what the curve has. */
int dnssec_private_generate(uint8_t algorithm, unsigned bits, struct dnssec_private **out, struct why *why) MUST_CHECK;
/* Text of a PEM or BIND private file. algorithm 0: as the file says (BIND), or as the key's type has it (PEM; RSA: 8). */
int dnssec_private_parse(const char *text, size_t len, uint8_t algorithm, struct dnssec_private **out, struct why *why) MUST_CHECK;
/* "pkcs11:…" (RFC 7512), through a provider of OpenSSL or its engine pkcs11, and other URIs that providers open. The PIN is in a file
 * that the URI names (pin-source=file:…), for its owner only; module-path= is heeded. An HSM that goes gives -E_IO from dnssec_sign,
 * and is opened anew when it is asked again, at most once a second. A PIN that it refused is not tried again until its file changes. */
int dnssec_private_open(const char *uri, uint8_t algorithm, struct dnssec_private **out, struct why *why) MUST_CHECK;
/* As PEM (PKCS#8). The caller wipes and frees. -E_UNSUPPORTED: the key does not leave its HSM. */
int dnssec_private_pem(const struct dnssec_private *key, char **out, size_t *len, struct why *why) MUST_CHECK;
struct dnssec_private *dnssec_private_ref(const struct dnssec_private *key);
void dnssec_private_unref(struct dnssec_private *key);     /* NULL allowed */
/* The others below are of the public half, and cost nothing. */
uint8_t dnssec_private_algorithm(const struct dnssec_private *key);
/* DNSKEY rdata of it, mem_alloc'ed; flags as given. */
uint8_t *dnssec_private_dnskey(const struct dnssec_private *key, uint16_t flags, uint16_t *len);
/* Is this DNSKEY the public half? Flags do not count. */
bool dnssec_private_fits(const struct dnssec_private *key, const uint8_t *dnskey_rdata, size_t len);
size_t dnssec_private_signature_len(const struct dnssec_private *key);

struct dnssec_signer;                  /* one thread's contexts and buffers */
struct dnssec_signer *dnssec_signer_new(void);
void dnssec_signer_free(struct dnssec_signer **signer);
/* Signs octets (dnssec_input's) into out, which has room for DNSSEC_SIGNATURE_MAX. *out_len is dnssec_private_signature_len. */
int dnssec_sign(struct dnssec_signer *signer, const struct dnssec_private *key, const uint8_t *octets, size_t len,
                uint8_t *out, size_t *out_len, struct why *why) MUST_CHECK;

#endif
