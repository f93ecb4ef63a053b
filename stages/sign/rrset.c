/* rrset: the signatures over one set.
 *
 * What is kept: a signature over the very same set by a key that is published or signs, that began and does not end too soon. For
 * each algorithm that signs the zone one such is enough; where there is none, each key of that algorithm makes one. So a ZSK that is
 * published but signs no more is replaced when its signatures' time comes, and a roll costs nothing at once. Where a signing
 * key's own signature is there, one by a key that no longer signs goes.
 *
 * DNSKEY, CDS and CDNSKEY have exactly the signatures of the keys that sign them. They are not counted by key (tally.c), so whether
 * a signature is its key's own or a namesake's follows from the DNSKEY set: where that changed, all three are signed anew.
 */
#include "stages/sign/sign.h"

enum { RRSIG_FIXED = 18, RRSIG_HEAD_MAX = RRSIG_FIXED + NAME_MAX_OCTETS };

struct wanted {
    const uint8_t *owner;
    const struct rrset *set;
    bool key_set;
    int64_t keep;
    bool own[KEYSET_KEYS_MAX]; /* by index in struct sign_keys: its good signature is there */
    unsigned nkept;            /* algorithms that have a good signature */
    uint8_t kept[KEYSET_KEYS_MAX];
};

static bool signs(const struct wanted *want, const struct keyset_key *key)
{
    return want->key_set ? key->signs_keys : key->signs_zone;
}

static bool has_signature(const struct wanted *want, unsigned i, uint8_t algorithm)
{
    return want->key_set ? want->own[i] : memchr(want->kept, algorithm, want->nkept) != NULL;
}

/* Times are compared as RRSIGs have them (RFC 4034 3.1.5). */
static bool in_time(const struct signing *s, const struct wanted *want, const struct rrsig *sig)
{
    uint32_t now = (uint32_t)s->run->now, last = (uint32_t)(s->run->now + s->conf->validity);
    return (int32_t)(now - sig->inception) >= 0 &&
           (int32_t)(sig->expiration - (uint32_t)want->keep) >= 0 &&
           (!s->passing || want->key_set || (int32_t)(last - sig->expiration) >= 0);
}

static bool rrsig_keep(struct worker *w, const struct rrset *set, struct rdata rdata)
{
    return node_builder_add(w->builder, RR_RRSIG, set->ttl, rdata.data, rdata.len) == 0;
}

/* One pass over the signatures that there were: those by keys that sign, or those by the others. */
static bool kept_pass(const struct signing *s, struct worker *w, struct wanted *want,
                      const struct rrset *sigs, bool signing)
{
    struct rdata rdata;
    unsigned before = want->nkept;
    uint8_t found[KEYSET_KEYS_MAX] = {0};
    unsigned n = 0;
    for (const uint8_t *p = sigs->rdata; rrset_next(sigs, &p, &rdata);) {
        struct rrsig sig;
        bool parsed = rrsig_parse(rdata.data, rdata.len, &sig);
        ASSERT(parsed); /* we made it */
        const struct sign_key *key = sign_keys_find(&s->keys, sig.algorithm, sig.tag);
        if (!key || !key->trusted || signs(want, key->key) != signing || !in_time(s, want, &sig) ||
            memchr(want->kept, sig.algorithm, before))
            continue;
        if (!rrsig_keep(w, want->set, rdata))
            return false;
        want->own[key - s->keys.key] = true;
        if (!memchr(found, sig.algorithm, n) && n < KEYSET_KEYS_MAX)
            found[n++] = sig.algorithm;
    }
    memcpy(want->kept + before, found, n);
    want->nkept += n;
    return true;
}

static uint32_t expiration(const struct signing *s, const struct wanted *want)
{
    int64_t end = s->run->now;
    if (want->key_set)
        return (uint32_t)(end + s->conf->dnskey_validity);
    uint32_t lot = name_hash(want->owner, want->set->type);
    return (uint32_t)(end + s->conf->validity - lot % (s->conf->jitter + 1));
}

static bool rrsig_make(struct signing *s, struct worker *w, const struct wanted *want,
                       const struct keyset_key *key)
{
    uint8_t rdata[RRSIG_HEAD_MAX + DNSSEC_SIGNATURE_MAX];
    unsigned labels = name_labels(want->owner) - name_is_wildcard(want->owner);
    uint32_t end = expiration(s, want), begin = (uint32_t)(s->run->now - s->conf->inception_offset);
    struct wbuf out = wbuf_open(rdata, sizeof(rdata));
    wbuf_u16(&out, want->set->type);
    wbuf_u8(&out, key->algorithm);
    wbuf_u8(&out, (uint8_t)labels);
    wbuf_u32(&out, want->set->ttl);
    wbuf_u32(&out, end);
    wbuf_u32(&out, begin);
    wbuf_u16(&out, key->tag);
    wbuf_put(&out, s->apex_name, name_len(s->apex_name));
    size_t head = wbuf_len(&out), len, signature_len;
    struct rrsig sig = {.labels = (uint8_t)labels,
                        .original_ttl = want->set->ttl,
                        .signer = rdata + RRSIG_FIXED,
                        .head_len = (uint16_t)head};
    const uint8_t *octets = dnssec_input(w->scratch, want->owner, want->set, &sig, rdata, &len);
    ASSERT(octets);
    struct why why;
    if (dnssec_sign(w->signer, key->private, octets, len, rdata + head, &signature_len, &why)) {
        worker_fail(w, SIGN_FAILED, want->owner, want->set->type, key->tag, key->algorithm, &why);
        return false;
    }
    if (node_builder_add(w->builder, RR_RRSIG, want->set->ttl, rdata,
                         (uint16_t)(head + signature_len)) == 0)
        return true;
    worker_fail(w, SIGN_TOO_MANY_RECORDS, want->owner, want->set->type, 0, 0, NULL);
    return false;
}

/* The signatures over the same set, as it was. */
static bool signatures_before(const struct node *was, const struct rrset *set, struct rrset *sigs)
{
    struct rrset before;
    return was && node_rrset(was, RR_RRSIG, set->type, sigs) &&
           node_rrset(was, set->type, 0, &before) && rrset_equal(&before, set, false);
}

bool rrset_sign(struct signing *s, struct worker *w, const uint8_t *owner, const struct rrset *set,
                const struct node *was, bool key_set, int64_t keep)
{
    struct wanted want = {.owner = owner, .set = set, .key_set = key_set, .keep = keep};
    struct rrset sigs;
    if (signatures_before(was, set, &sigs)) {
        bool good = kept_pass(s, w, &want, &sigs, true) &&
                    (key_set || kept_pass(s, w, &want, &sigs, false));
        if (!good) {
            worker_fail(w, SIGN_TOO_MANY_RECORDS, owner, set->type, 0, 0, NULL);
            return false;
        }
    }
    for (unsigned i = 0; i < s->keys.n; i++) {
        const struct keyset_key *key = s->keys.key[i].key;
        if (signs(&want, key) && !has_signature(&want, i, key->algorithm) &&
            !rrsig_make(s, w, &want, key))
            return false;
    }
    return true;
}
