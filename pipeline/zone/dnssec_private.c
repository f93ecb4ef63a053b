/* dnssec_private: private keys. What a key is made of stays inside OpenSSL.
 */
#include "pipeline/zone/dnssec_private.h"

#include "pipeline/base/alloc.h"
#include "pipeline/zone/dnssec_parts.h"

#include <stdatomic.h>

struct dnssec_private {
    _Atomic uint32_t refs;
    const struct algorithm *algorithm;
    EVP_PKEY *pkey;
};

struct dnssec_private *dnssec_private_ref(const struct dnssec_private *key)
{
    struct dnssec_private *kept = (struct dnssec_private *)(uintptr_t)key;
    atomic_fetch_add_explicit(&kept->refs, 1, memory_order_relaxed);
    return kept;
}

void dnssec_private_unref(struct dnssec_private *key)
{
    if (!key || atomic_fetch_sub_explicit(&key->refs, 1, memory_order_acq_rel) != 1)
        return;
    EVP_PKEY_free(key->pkey);
    mem_free(&key);
}
