/* tsig_key: keys, and the HMAC that they are used through.
 *
 * The secret is taken in once: the key keeps an HMAC that has it already, and each message is
 * digested with a copy of that, which costs no hashing of the secret. The octets themselves are kept
 * only to tell after a reload whether the key is the same; they and OpenSSL's copies are wiped.
 */
#include "pipeline/zone/tsig_parts.h"

#include "pipeline/base/alloc.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdio.h>
#include <strings.h>

struct algorithm {
    const char *text;
    const uint8_t *name;
    uint8_t name_len, mac_len;
    const char *digest;
};
#define WIRE(s) (const uint8_t *)(s), sizeof(s)
static const struct algorithm algorithms[] = {
    {"hmac-sha256", WIRE("\13hmac-sha256"), 32, "SHA256"},
    {"hmac-sha512", WIRE("\13hmac-sha512"), 64, "SHA512"},
    {"hmac-sha384", WIRE("\13hmac-sha384"), 48, "SHA384"},
    {"hmac-sha224", WIRE("\13hmac-sha224"), 28, "SHA224"},
    {"hmac-sha1", WIRE("\11hmac-sha1"), 20, "SHA1"},
};
#define ALGORITHMS_EXPECTED                                                                        \
    "\"hmac-sha256\", \"hmac-sha512\", \"hmac-sha384\", \"hmac-sha224\" or \"hmac-sha1\""

struct tsig_key {
    _Atomic uint32_t refs;
    const struct algorithm *algorithm;
    EVP_MAC_CTX *keyed;
    size_t secret_len;
    uint8_t secret[TSIG_SECRET_MAX];
    uint8_t name[NAME_MAX_OCTETS];
    char text[NAME_TEXT_MAX];
};

const char *tsig_error_text(unsigned error)
{
    static _Thread_local char other[16];
    switch (error) {
    case TSIG_BADSIG:
        return "BADSIG";
    case TSIG_BADKEY:
        return "BADKEY";
    case TSIG_BADTIME:
        return "BADTIME";
    case TSIG_BADTRUNC:
        return "BADTRUNC";
    default:
        snprintf(other, sizeof other, "error %u", error & 0xffff);
        return other;
    }
}

static int find_algorithm(const char *text, const struct algorithm **out, struct why *why)
{
    size_t len = strlen(text);
    if (len && text[len - 1] == '.')
        len--;
    for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++)
        if (strlen(algorithms[i].text) == len && strncasecmp(algorithms[i].text, text, len) == 0) {
            *out = &algorithms[i];
            return 0;
        }
    if (strncasecmp(text, "hmac-md5", 8) == 0)
        return why_set(why, -E_CONF,
                       "hmac-md5 is broken and must not be used; expected " ALGORITHMS_EXPECTED);
    return why_set(why, -E_CONF, "expected " ALGORITHMS_EXPECTED);
}

static EVP_MAC_CTX *hmac_with(const struct algorithm *algorithm, const uint8_t *secret, size_t len)
{
    char digest[16];
    snprintf(digest, sizeof digest, "%s", algorithm->digest);
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
    EVP_MAC_free(mac);
    if (ctx && EVP_MAC_init(ctx, secret, len, params) == 1)
        return ctx;
    EVP_MAC_CTX_free(ctx);
    return NULL;
}

int tsig_key_new(const uint8_t *name, const char *algorithm, const uint8_t *secret, size_t len,
                 struct tsig_key **out, struct why *why)
{
    const struct algorithm *a = NULL;
    int err = find_algorithm(algorithm, &a, why);
    if (err)
        return err;
    if (len == 0 || len > TSIG_SECRET_MAX)
        return why_set(why, -E_CONF, "expected a secret of 1..%d octets, this one has %zu",
                       TSIG_SECRET_MAX, len);
    EVP_MAC_CTX *keyed = hmac_with(a, secret, len);
    if (!keyed)
        return why_set(why, -E_UNSUPPORTED, "OpenSSL has no %s as it is set up here", a->text);
    struct tsig_key *key = mem_zalloc(sizeof *key);
    key->refs = 1;
    key->algorithm = a;
    key->keyed = keyed;
    key->secret_len = len;
    memcpy(key->secret, secret, len);
    name_copy_lower(key->name, name);
    name_print(key->name, key->text);
    *out = key;
    return 0;
}

struct tsig_key *tsig_key_ref(const struct tsig_key *key)
{
    struct tsig_key *held = (struct tsig_key *)(uintptr_t)key;
    atomic_fetch_add_explicit(&held->refs, 1, memory_order_relaxed);
    return held;
}

void tsig_key_unref(struct tsig_key *key)
{
    if (!key || atomic_fetch_sub_explicit(&key->refs, 1, memory_order_acq_rel) != 1)
        return;
    EVP_MAC_CTX_free(key->keyed); /* wipes its copies */
    tsig_wipe(key->secret, sizeof key->secret);
    mem_free(&key);
}

const uint8_t *tsig_key_name(const struct tsig_key *key)
{
    return key->name;
}

const char *tsig_key_text(const struct tsig_key *key)
{
    return key->text;
}

const char *tsig_key_algorithm(const struct tsig_key *key)
{
    return key->algorithm->text;
}

size_t tsig_key_mac_len(const struct tsig_key *key)
{
    return key->algorithm->mac_len;
}

const uint8_t *tsig_key_algorithm_name(const struct tsig_key *key, size_t *len)
{
    *len = key->algorithm->name_len;
    return key->algorithm->name;
}

bool tsig_key_equal(const struct tsig_key *a, const struct tsig_key *b)
{
    if (!a || !b)
        return a == b;
    return a == b || (a->algorithm == b->algorithm && name_equal(a->name, b->name) &&
                      a->secret_len == b->secret_len &&
                      CRYPTO_memcmp(a->secret, b->secret, a->secret_len) == 0);
}

const struct tsig_key *tsig_keys_find(const struct tsig_keys *keys, const uint8_t *name)
{
    size_t low = 0, high = keys->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = name_cmp(name, keys->key[mid]->name);
        if (order == 0)
            return keys->key[mid];
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

/* ---- secrets */

void tsig_wipe(void *p, size_t n)
{
    OPENSSL_cleanse(p, n);
}

static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

int tsig_secret_parse(const char *text, size_t len, uint8_t out[TSIG_SECRET_MAX], size_t *n,
                      struct why *why)
{
    while (len && is_space(text[len - 1]))
        len--;
    while (len && is_space(*text))
        text++, len--;
    if (len == 0)
        return why_set(why, -E_CONF, "expected a secret in base64; there is none");
    if (len % 4)
        return why_set(why, -E_CONF,
                       "expected a secret in base64; %zu characters are not whole groups of four",
                       len);
    if (len / 4 * 3 > TSIG_SECRET_MAX)
        return why_set(why, -E_CONF, "expected a secret of at most %d octets", TSIG_SECRET_MAX);
    size_t pad = text[len - 1] != '=' ? 0 : text[len - 2] != '=' ? 1 : 2, done = 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < len; i++) {
        int v = i < len - pad ? sextet(text[i]) : 0;
        if (v < 0) {
            tsig_wipe(out, done);
            return why_set(why, -E_CONF,
                           "expected a secret in base64; character %zu is none of its letters",
                           i + 1);
        }
        bits = bits << 6 | (uint32_t)v;
        for (int k = 16; i % 4 == 3 && k >= 0; k -= 8)
            if (done < len / 4 * 3 - pad)
                out[done++] = (uint8_t)(bits >> k);
    }
    *n = done;
    return 0;
}

/* ---- the HMAC */

EVP_MAC_CTX *tsig_mac_open(const struct tsig_key *key)
{
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_dup(key->keyed);
    ASSERT(ctx);
    return ctx;
}

void tsig_mac_put(EVP_MAC_CTX *ctx, const void *p, size_t n)
{
    bool ok = n == 0 || EVP_MAC_update(ctx, p, n) == 1;
    ASSERT(ok);
}

void tsig_mac_put_prior(EVP_MAC_CTX *ctx, const struct tsig_mac *prior)
{
    if (!prior || prior->len == 0)
        return;
    const uint8_t len[2] = {0, prior->len};
    tsig_mac_put(ctx, len, sizeof len);
    tsig_mac_put(ctx, prior->octets, prior->len);
}

void tsig_mac_close(EVP_MAC_CTX **ctx, struct tsig_mac *out)
{
    size_t n = 0;
    bool ok = EVP_MAC_final(*ctx, out->octets, &n, sizeof out->octets) == 1;
    ASSERT(ok && n <= TSIG_MAC_MAX);
    out->len = (uint8_t)n;
    EVP_MAC_CTX_free(*ctx);
    *ctx = NULL;
}
