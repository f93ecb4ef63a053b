/* private_fuzz: text of a private key out of hostile octets; the first one is the algorithm that it should be of, 0: any.
 *
 * Held against what comes back: a refusal says why; a key has signed already (dnssec_private_parse sees to that), what it
 * writes as PEM is the same key, and its public half is one that verifies.
 */
#include "pipeline/base/alloc.h"
#include "pipeline/zone/dnssec_private.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_key(const struct dnssec_private *key, uint8_t algorithm)
{
    struct dnssec_private *again = NULL;
    struct dnssec_key *public = NULL;
    struct why why = {""};
    char *pem;
    size_t len;
    uint16_t dnskey_len;
    uint8_t code = dnssec_private_algorithm(key);
    ASSERT(!algorithm || code == algorithm);
    int err = dnssec_private_pem(key, &pem, &len, &why);
    ASSERT(err == 0 && strlen(pem) == len);
    err = dnssec_private_parse(pem, len, code, &again, &why);
    ASSERT(err == 0);
    uint8_t *dnskey = dnssec_private_dnskey(key, DNSKEY_ZONE, &dnskey_len);
    ASSERT(dnssec_private_fits(again, dnskey, dnskey_len));
    err = dnssec_key_open(dnskey, dnskey_len, &public, &why);
    ASSERT(err == 0 && dnssec_private_signature_len(key) <= DNSSEC_SIGNATURE_MAX);
    dnssec_key_close(&public);
    dnssec_private_unref(again);
    mem_free(&dnskey);
    mem_free(&pem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dnssec_private *key = NULL;
    struct why why = {""};
    if (!size)
        return 0;
    char *text = malloc(size); /* of its own: a sanitizer sees what is read behind it */
    if (!text)
        abort();
    memcpy(text, data + 1, size - 1);
    int err = dnssec_private_parse(text, size - 1, data[0], &key, &why);
    ASSERT(err ? err < 0 && why.text[0] && !key : key != NULL);
    if (!err)
        check_key(key, data[0]);
    dnssec_private_unref(key);
    free(text);
    return 0;
}
