/* anchor: the keys that the world begins with, as the operator gives them.
 *
 *      "TAG ALGORITHM DIGESTTYPE HEX"          a DS, as the parent has it
 *      "FLAGS PROTOCOL ALGORITHM BASE64"       a DNSKEY
 *
 * The second word tells them apart: the protocol of a DNSKEY is 3, and 3 is no algorithm that DNSSEC
 * still has. HEX and BASE64 may be in several words. What could never be met is refused here, not
 * found out at the first transfer: an algorithm or digest that cannot be checked, SHA-1, a key that
 * may not sign.
 *
 * That the zone chains to an anchor means that a key of the DNSKEY set is one, and signs the set
 * (RFC 4035 5). One is enough; an anchor without a key is the standby of a rollover.
 */
#include "stages/validate/validate.h"

#include <stdlib.h>
#include <string.h>

enum { ANCHOR_HEAD = 4, ANCHOR_MAX = 4096, DNSKEY_PROTOCOL_DNSSEC = 3 };

struct blob {
    uint8_t octet[ANCHOR_MAX];
    size_t n;
};

/* Decimal digits, no more than max; -1: something else. */
static long number_parse(const char *word, long max)
{
    char *end;
    if (!word || strlen(word) > 5 || strspn(word, "0123456789") != strlen(word) || !*word)
        return -1;
    long n = strtol(word, &end, 10);
    return n <= max ? n : -1;
}

static int digit_value(char c, const char *digits)
{
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

static bool hex_parse(struct blob *out, const char *text)
{
    static const char digits[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";
    for (; text[0]; text += 2) {
        int high = digit_value(text[0], digits), low = digit_value(text[1], digits);
        high = high < 0 ? digit_value(text[0], upper) : high;
        low = low < 0 ? digit_value(text[1], upper) : low;
        if (high < 0 || low < 0 || out->n == ANCHOR_MAX)
            return false;
        out->octet[out->n++] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool base64_parse(struct blob *out, const char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t len = strlen(text), pad = 0;
    while (pad < 2 && pad < len && text[len - 1 - pad] == '=')
        pad++;
    if (len % 4 != 0)
        return false;
    unsigned bits = 0, held = 0;
    for (size_t i = 0; i < len - pad; i++) {
        int value = digit_value(text[i], digits);
        if (value < 0 || out->n == ANCHOR_MAX)
            return false;
        bits = (bits << 6 | (unsigned)value) & 0xffff;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out->octet[out->n++] = (uint8_t)(bits >> held);
        }
    }
    return true;
}

static int ds_check(const struct blob *ds, const char *text, struct why *why)
{
    uint8_t type = ds->octet[3];
    if (type == 1)
        return why_set(why, -E_CONF,
                       "trust_anchor \"%.60s\": digest type 1 (SHA-1) is refused, use 2 or 4",
                       text);
    size_t len = dnssec_ds_digest_len(type);
    if (len == 0)
        return why_set(why, -E_CONF, "trust_anchor \"%.60s\": digest type %u, expected 2 or 4",
                       text, type);
    if (ds->n != ANCHOR_HEAD + len)
        return why_set(why, -E_CONF,
                       "trust_anchor \"%.60s\": a digest of %zu octets, type %u has %zu", text,
                       ds->n - ANCHOR_HEAD, type, len);
    if (!dnssec_supported(ds->octet[2]))
        return why_set(why, -E_CONF, "trust_anchor \"%.60s\": algorithm %u cannot be checked here",
                       text, ds->octet[2]);
    return 0;
}

static int dnskey_check(const struct blob *dnskey, const char *text, struct why *why)
{
    uint16_t flags = get_u16(dnskey->octet);
    struct dnssec_key *key;
    struct why inner;
    if (!(flags & DNSKEY_ZONE) || flags & DNSKEY_REVOKE)
        return why_set(why, -E_CONF, "trust_anchor \"%.60s\": a key with flags %u may not sign",
                       text, flags);
    int rc = dnssec_key_open(dnskey->octet, dnskey->n, &key, &inner);
    if (rc != 0)
        return why_set(why, -E_CONF, "trust_anchor \"%.60s\": %s", text, inner.text);
    dnssec_key_close(&key);
    return 0;
}

static int anchor_parse(const char *text, struct anchor *out, struct why *why)
{
    struct blob blob = {.n = ANCHOR_HEAD};
    char *words = mem_strdup(text), *data = mem_strdup(text), *rest = NULL;
    long first = number_parse(strtok_r(words, " \t", &rest), UINT16_MAX);
    long second = number_parse(strtok_r(NULL, " \t", &rest), UINT8_MAX);
    long third = number_parse(strtok_r(NULL, " \t", &rest), UINT8_MAX);
    data[0] = '\0';
    for (char *word; (word = strtok_r(NULL, " \t", &rest));)
        strcat(data, word);
    bool is_ds = second != DNSKEY_PROTOCOL_DNSSEC;
    bool good = first >= 0 && second >= 0 && third >= 0 && data[0] &&
                (is_ds ? hex_parse(&blob, data) : base64_parse(&blob, data));
    mem_free(&words);
    mem_free(&data);
    if (!good)
        return why_set(
            why, -E_CONF,
            "trust_anchor \"%.60s\": expected \"TAG ALGORITHM DIGESTTYPE HEX\" or \"FLAGS "
            "3 ALGORITHM BASE64\"",
            text);
    put_u16(blob.octet, (uint16_t)first);
    blob.octet[2] = (uint8_t)second;
    blob.octet[3] = (uint8_t)third;
    int rc = is_ds ? ds_check(&blob, text, why) : dnskey_check(&blob, text, why);
    if (rc != 0)
        return rc;
    *out = (struct anchor){.is_ds = is_ds, .len = blob.n, .rdata = mem_alloc(blob.n)};
    memcpy(out->rdata, blob.octet, blob.n);
    return 0;
}

int anchors_open(struct validate_conf *conf, struct why *why)
{
    if (conf->trust_anchor.n == 0)
        return 0;
    conf->anchor = mem_array(conf->trust_anchor.n, sizeof(conf->anchor[0]));
    for (size_t i = 0; i < conf->trust_anchor.n; i++) {
        int rc = anchor_parse(conf->trust_anchor.text[i], &conf->anchor[i], why);
        if (rc != 0)
            return rc;
        conf->anchors++;
    }
    return 0;
}

void anchors_close(struct validate_conf *conf)
{
    for (size_t i = 0; i < conf->anchors; i++)
        mem_free(&conf->anchor[i].rdata);
    conf->anchors = 0;
    mem_free(&conf->anchor);
}

bool anchors_name(const struct check *check, struct rdata dnskey)
{
    const struct validate_conf *conf = check->conf;
    for (size_t i = 0; i < conf->anchors; i++) {
        const struct anchor *anchor = &conf->anchor[i];
        if (anchor->is_ds
                ? dnssec_ds_matches(check->apex_name, dnskey.data, dnskey.len, anchor->rdata,
                                    anchor->len) == DNSSEC_VALID
                : anchor->len == dnskey.len && memcmp(anchor->rdata, dnskey.data, dnskey.len) == 0)
            return true;
    }
    return false;
}
