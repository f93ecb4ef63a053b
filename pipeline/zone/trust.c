/* trust: anchors as text, and an apex that is proved from them.
 *
 * The second word tells the two forms of an anchor apart: the protocol of a DNSKEY is 3, and 3 is no algorithm that DNSSEC still has. HEX and
 * BASE64 may be in several words.
 *
 * A key may prove something when it has the zone flag, protocol 3, is not revoked and can be used here; what else is in the set is listed, and
 * proves nothing. Each set of the apex is judged by the signatures that come with it. Of what is wrong with them the first thing is told,
 * since a server that errs mostly errs in one way.
 */
#include "pipeline/zone/trust.h"

#include "pipeline/base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANCHOR_HEAD = 4, ANCHOR_MAX = 4096, PROTOCOL_DNSSEC = 3 };

/* ---- anchors */

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
        return why_set(why, -E_CONF, "\"%.60s\": digest type 1 (SHA-1) is refused, use 2 or 4",
                       text);
    size_t len = dnssec_ds_digest_len(type);
    if (len == 0)
        return why_set(why, -E_CONF, "\"%.60s\": digest type %u, expected 2 or 4", text, type);
    if (ds->n != ANCHOR_HEAD + len)
        return why_set(why, -E_CONF, "\"%.60s\": a digest of %zu octets, type %u has %zu", text,
                       ds->n - ANCHOR_HEAD, type, len);
    if (!dnssec_supported(ds->octet[2]))
        return why_set(why, -E_CONF, "\"%.60s\": algorithm %u cannot be checked here", text,
                       ds->octet[2]);
    return 0;
}

static int dnskey_check(const struct blob *dnskey, const char *text, struct why *why)
{
    uint16_t flags = get_u16(dnskey->octet);
    struct dnssec_key *key;
    struct why inner;
    if (!(flags & DNSKEY_ZONE) || flags & DNSKEY_REVOKE)
        return why_set(why, -E_CONF, "\"%.60s\": a key with flags %u may not sign", text, flags);
    int rc = dnssec_key_open(dnskey->octet, dnskey->n, &key, &inner);
    if (rc != 0)
        return why_set(why, -E_CONF, "\"%.60s\": %s", text, inner.text);
    dnssec_key_close(&key);
    return 0;
}

int trust_anchor_parse(const char *text, struct trust_anchor *out, struct why *why)
{
    struct blob blob = {.n = ANCHOR_HEAD};
    char *words = mem_strdup(text), *data = mem_strdup(text), *rest = NULL;
    long first = number_parse(strtok_r(words, " \t", &rest), UINT16_MAX);
    long second = number_parse(strtok_r(NULL, " \t", &rest), UINT8_MAX);
    long third = number_parse(strtok_r(NULL, " \t", &rest), UINT8_MAX);
    data[0] = '\0';
    for (char *word; (word = strtok_r(NULL, " \t", &rest));)
        strcat(data, word);
    bool is_ds = second != PROTOCOL_DNSSEC;
    bool good = first >= 0 && second >= 0 && third >= 0 && data[0] &&
                (is_ds ? hex_parse(&blob, data) : base64_parse(&blob, data));
    mem_free(&words);
    mem_free(&data);
    if (!good)
        return why_set(why, -E_CONF,
                       "\"%.60s\": expected \"TAG ALGORITHM DIGESTTYPE HEX\" or \"FLAGS 3 "
                       "ALGORITHM BASE64\"",
                       text);
    put_u16(blob.octet, (uint16_t)first);
    blob.octet[2] = (uint8_t)second;
    blob.octet[3] = (uint8_t)third;
    int rc = is_ds ? ds_check(&blob, text, why) : dnskey_check(&blob, text, why);
    if (rc != 0)
        return rc;
    *out = (struct trust_anchor){is_ds, (uint16_t)blob.n, mem_dup(blob.octet, blob.n)};
    return 0;
}

void trust_anchor_clear(struct trust_anchor *anchor)
{
    mem_free(&anchor->rdata);
    anchor->len = 0;
}

bool trust_anchor_names(const struct trust_anchor *anchor, const uint8_t *owner,
                        const uint8_t *dnskey, size_t len)
{
    if (anchor->is_ds)
        return dnssec_ds_matches(owner, dnskey, len, anchor->rdata, anchor->len) == DNSSEC_VALID;
    return anchor->len == len && memcmp(anchor->rdata, dnskey, len) == 0;
}

/* ---- an apex */

struct trust_key {
    struct rdata rdata;
    uint16_t tag;
    struct dnssec_key *open; /* NULL: it proves nothing */
};
struct trust {
    const struct node *apex;
    time_t now;
    struct dnssec_scratch *scratch;
    unsigned checks; /* made so far */
    unsigned n;
    struct trust_key key[TRUST_KEYS_MAX];
};

static struct trust_key key_open(struct rdata r)
{
    struct trust_key k = {.rdata = r};
    struct why why;
    if (r.len <= ANCHOR_HEAD)
        return k;
    uint16_t flags = get_u16(r.data);
    k.tag = dnssec_key_tag(r.data, r.len);
    bool may_sign =
        (flags & DNSKEY_ZONE) && !(flags & DNSKEY_REVOKE) && r.data[2] == PROTOCOL_DNSSEC;
    if (may_sign && dnssec_key_open(r.data, r.len, &k.open, &why) != 0)
        k.open = NULL;
    return k;
}

int trust_open(const struct node *apex, time_t now, struct trust **out, struct why *why)
{
    struct rrset set;
    struct rdata r;
    if (!node_rrset(apex, RR_DNSKEY, 0, &set))
        return why_set(why, -E_NOENT, "no DNSKEY set");
    if (set.count > TRUST_KEYS_MAX)
        return why_set(why, -E_LIMIT, "%u keys in the DNSKEY set, at most %d are looked at",
                       set.count, TRUST_KEYS_MAX);
    struct trust *t = mem_zalloc(sizeof *t);
    t->apex = apex;
    t->now = now;
    t->scratch = dnssec_scratch_new();
    for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &r);)
        t->key[t->n++] = key_open(r);
    *out = t;
    return 0;
}

void trust_close(struct trust **trust)
{
    struct trust *t = *trust;
    if (!t)
        return;
    for (unsigned i = 0; i < t->n; i++)
        if (t->key[i].open)
            dnssec_key_close(&t->key[i].open);
    dnssec_scratch_free(&t->scratch);
    mem_free(trust);
}

unsigned trust_keys(const struct trust *trust)
{
    return trust->n;
}

struct rdata trust_key(const struct trust *trust, unsigned key)
{
    return trust->key[key].rdata;
}

static const char *time_text(uint32_t at, char out[32])
{
    time_t t = (time_t)at;
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return out;
}

/* All but the mathematics. False: it cannot count, and why, unless something was said already. */
static bool signature_fits(const struct trust *t, const struct rrset *set, const struct rrsig *sig,
                           struct why *why)
{
    const uint8_t *owner = node_name(t->apex);
    char when[32], name[NAME_TEXT_MAX];
    int32_t begun = (int32_t)((uint32_t)t->now - sig->inception);
    int32_t left = (int32_t)(sig->expiration - (uint32_t)t->now);
    if (!name_equal(sig->signer, owner))
        why_set(why, 0, "a signature by %.200s", name_print(sig->signer, name));
    else if (sig->labels != name_labels(owner) - name_is_wildcard(owner))
        why_set(why, 0, "a signature over %u labels", sig->labels);
    else if (left < 0)
        why_set(why, 0, "the signature by key %u ended %s", sig->tag,
                time_text(sig->expiration, when));
    else if (begun < 0)
        why_set(why, 0, "the signature by key %u begins %s", sig->tag,
                time_text(sig->inception, when));
    else
        return sig->covered == set->type;
    return false;
}

/* Which of the keys in `of` made it? */
static int signature_check(struct trust *t, const struct rrset *set, struct rdata rdata,
                           uint64_t of, uint64_t *by, struct why *first)
{
    struct rrsig sig;
    struct why why = {""};
    bool parsed = rrsig_parse(rdata.data, rdata.len, &sig), tried = false, good = false;
    bool fits = parsed && signature_fits(t, set, &sig, &why);
    for (unsigned i = 0; fits && i < t->n; i++) {
        struct trust_key *k = &t->key[i];
        if (!(of >> i & 1) || !k->open || k->tag != sig.tag || k->rdata.data[3] != sig.algorithm)
            continue;
        if (t->checks++ == TRUST_CHECKS_MAX)
            return -E_LIMIT;
        tried = true;
        if (dnssec_verify(t->scratch, k->open, node_name(t->apex), set, rdata.data, rdata.len) !=
            DNSSEC_VALID)
            continue;
        good = true;
        *by |= (uint64_t)1 << i;
    }
    if (!good && tried)
        why_set(&why, 0, "the signature by key %u does not verify", sig.tag);
    else if (!parsed)
        why_set(&why, 0, "a signature that is malformed");
    if (!first->text[0])
        *first = why;
    return 0;
}

static int set_check(struct trust *t, uint16_t type, uint64_t of, uint64_t *by, struct why *why)
{
    struct rrset set, signatures;
    struct rdata r;
    char mnemonic[RRTYPE_TEXT_MAX];
    struct why first = {""};
    rrtype_print(type, mnemonic);
    *by = 0;
    if (!node_rrset(t->apex, type, 0, &set))
        return why_set(why, -E_NOENT, "no %s set", mnemonic);
    if (!node_rrset(t->apex, RR_RRSIG, type, &signatures))
        return why_set(why, -E_MISMATCH, "the %s set is not signed", mnemonic);
    for (const uint8_t *p = signatures.rdata; rrset_next(&signatures, &p, &r);)
        if (signature_check(t, &set, r, of, by, &first) != 0)
            return why_set(why, -E_LIMIT,
                           "the signatures ask for more than %d checks: keys or signatures are "
                           "many with one tag",
                           TRUST_CHECKS_MAX);
    if (*by)
        return 0;
    return why_set(why, -E_MISMATCH, "%s set: %s", mnemonic,
                   first.text[0] ? first.text : "no signature by such a key");
}

int trust_signers(struct trust *trust, uint16_t type, uint64_t *by, struct why *why)
{
    return set_check(trust, type, UINT64_MAX, by, why);
}

static bool is_named(const struct trust *t, struct rdata key, const struct trust_anchor *anchor,
                     unsigned anchors, const struct rrset *ds)
{
    const uint8_t *owner = node_name(t->apex), *p = ds ? ds->rdata : NULL;
    struct rdata r;
    for (unsigned i = 0; i < anchors; i++)
        if (trust_anchor_names(&anchor[i], owner, key.data, key.len))
            return true;
    while (ds && rrset_next(ds, &p, &r))
        if (dnssec_ds_matches(owner, key.data, key.len, r.data, r.len) == DNSSEC_VALID)
            return true;
    return false;
}

int trust_prove(struct trust *trust, const struct trust_anchor *anchor, unsigned anchors,
                const struct rrset *ds, struct why *why)
{
    uint64_t named = 0, by;
    unsigned tag = 0;
    struct why inner = {""};
    for (unsigned i = 0; i < trust->n; i++)
        if (trust->key[i].open && is_named(trust, trust->key[i].rdata, anchor, anchors, ds)) {
            named |= (uint64_t)1 << i;
            tag = trust->key[i].tag;
        }
    if (!named && (anchors || ds))
        return why_set(why, -E_NOENT, "none of its %u keys is named by %s", trust->n,
                       !ds       ? "a trust anchor"
                       : anchors ? "a trust anchor or a DS at the parent"
                                 : "a DS at the parent");
    if (!named)
        return why_set(why, -E_NOENT, "there is no trust anchor, and no DS at the parent");
    int rc = set_check(trust, RR_DNSKEY, named, &by, &inner);
    if (rc)
        why_set(why, rc, "key %u is trusted, but: %s", tag, inner.text);
    return rc;
}
