/* tsig_parts: what the files of tsig share; nobody else includes this. */
#ifndef WEIR_ZONE_TSIG_PARTS_H
#define WEIR_ZONE_TSIG_PARTS_H

#include "pipeline/zone/tsig.h"

#include <openssl/evp.h>

/* A keyed copy of the HMAC, nothing taken in yet; and one taken in, never NULL: OpenSSL fails here only without memory. */
EVP_MAC_CTX *tsig_mac_open(const struct tsig_key *key);
void tsig_mac_put(EVP_MAC_CTX *ctx, const void *p, size_t n);
void tsig_mac_put_prior(EVP_MAC_CTX *ctx, const struct tsig_mac *prior); /* NULL or empty: nothing */
void tsig_mac_close(EVP_MAC_CTX **ctx, struct tsig_mac *out);
size_t tsig_key_mac_len(const struct tsig_key *key);
const uint8_t *tsig_key_algorithm_name(const struct tsig_key *key, size_t *len);

struct tsig_variables {
    uint64_t time;
    uint16_t fudge, error, other_len;
    const uint8_t *other;
};
/* A message without its TSIG: header with the original ID and without its count, and the rest up to `end`. */
void tsig_mac_put_message(EVP_MAC_CTX *ctx, const uint8_t *msg, size_t end, uint16_t original_id, bool had_tsig);
void tsig_mac_put_variables(EVP_MAC_CTX *ctx, const struct tsig_key *key, const struct tsig_variables *v, bool timers_only);
/* Are name and algorithm those of the key? */
bool tsig_rr_is_by(const struct tsig_rr *rr, const struct tsig_key *key);
/* Compares in constant time; as tsig_verify, without key and time. */
int tsig_rr_check_mac(const struct tsig_rr *rr, const struct tsig_mac *want);
bool tsig_rr_in_time(const struct tsig_rr *rr, uint64_t now);
/* Appends a TSIG by key to a message. mac empty: an error that is not signed. The new length; 0: no room. */
size_t tsig_append(const uint8_t *name, const uint8_t *algorithm, size_t algorithm_len, const struct tsig_variables *v,
                   const struct tsig_mac *mac, uint8_t *msg, size_t len, size_t cap);

#endif
