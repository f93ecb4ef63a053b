/* dnssec_hsm: keys that live in an HSM. Shared by the files of dnssec; nobody else includes this.
 *
 * WHAT   A key is a URI, and an EVP_PKEY behind it that comes and goes with its HSM. Whoever wants to use the key hands a function in.
 * WHO    Many threads use keys at once. While the HSM is being opened anew, all wait.
 * FAILS  -E_IO: not to be had now; it is tried again, at most once in HSM_RETRY_MS. A PIN that was refused is not tried again before
 *        its file changes: a token that was told a wrong one a few times locks itself.
 */
#ifndef WEIR_ZONE_DNSSEC_HSM_H
#define WEIR_ZONE_DNSSEC_HSM_H

#include "pipeline/base/errors.h"

#include <openssl/evp.h>

enum { HSM_RETRY_MS = 1000 };

struct hsm_key;
/* -E_CONF: the URI, or its PIN's file. Does not look for the key yet. */
int hsm_key_new(const char *uri, struct hsm_key **out, struct why *why);
void hsm_key_free(struct hsm_key **key);
/* use: 0, -E_IO for what the HSM is to blame for (the key is opened anew and tried once more), anything else is final. */
typedef int hsm_use_fn(EVP_PKEY *pkey, void *arg, struct why *why);
int hsm_use(struct hsm_key *key, hsm_use_fn *use, void *arg, struct why *why);
/* From now on, when the key is opened anew, `check` must say 0 of it: another key may be under the same name then. Before the key
 * is shared. */
void hsm_expect(struct hsm_key *key, hsm_use_fn *check, void *arg);

#endif
