/* dnssec_input: the octets that a signature covers.
 *
 * RFC 4034 3.1.8.1: the RRSIG's rdata without the signature, its signer in lower case, then every
 * record of the set:
 *
 *      owner | type | class | original TTL | rdata length | rdata
 *
 * with the owner in lower case (or the wildcard it was made from, when the labels field says so)
 * and the rdata in canonical form, in canonical order, each once. A node holds its records in that
 * very order already, without duplicates, so nothing is sorted here: one pass, one copy.
 */
#include "pipeline/zone/dnssec_parts.h"
#include "pipeline/base/alloc.h"
#include "pipeline/zone/rrtype.h"

enum { RRSIG_FIXED = 18, CLASS_IN = 1 };

bool rrsig_parse(const uint8_t *rdata, size_t len, struct rrsig *out)
{
    if (len > UINT16_MAX || len < RRSIG_FIXED)
        return false;
    int name = name_valid(rdata + RRSIG_FIXED, len - RRSIG_FIXED);
    if (name < 0 || RRSIG_FIXED + (size_t)name >= len)
        return false;
    struct rbuf r = rbuf_open(rdata, len);
    struct rrsig s = {.covered = rbuf_u16(&r)};
    s.algorithm = rbuf_u8(&r);
    s.labels = rbuf_u8(&r);
    s.original_ttl = rbuf_u32(&r);
    s.expiration = rbuf_u32(&r);
    s.inception = rbuf_u32(&r);
    s.tag = rbuf_u16(&r);
    s.signer = r.p;
    s.head_len = (uint16_t)(RRSIG_FIXED + name);
    s.signature = rdata + s.head_len;
    s.signature_len = (uint16_t)(len - s.head_len);
    *out = s;
    return true;
}

/* The owner that was signed, canonical; 0: the labels field is larger than the owner's. */
static size_t signed_owner(const uint8_t *owner, unsigned labels, uint8_t out[NAME_MAX_OCTETS])
{
    unsigned have = name_labels(owner);
    unsigned countable = have - (name_is_wildcard(owner) ? 1 : 0);
    if (labels > countable)
        return 0;
    if (labels == countable)
        return name_copy_lower(out, owner);
    /* At least one label goes, so "*." never makes the name longer. */
    out[0] = 1;
    out[1] = '*';
    return 2 + name_copy_lower(out + 2, name_strip(owner, have - labels));
}

static uint8_t *input_reserve(struct dnssec_scratch *scratch, size_t need)
{
    if (need > scratch->input_cap) {
        size_t cap = scratch->input_cap ? scratch->input_cap : 4096;
        while (cap < need)
            cap *= 2;
        scratch->input = mem_resize(scratch->input, cap);
        scratch->input_cap = cap;
    }
    return scratch->input;
}

const uint8_t *dnssec_input(struct dnssec_scratch *scratch, const uint8_t *owner,
                            const struct rrset *set, const struct rrsig *sig,
                            const uint8_t *rrsig_rdata, size_t *len)
{
    uint8_t fixed[NAME_MAX_OCTETS + 8]; /* what every record begins with */
    size_t n = signed_owner(owner, sig->labels, fixed);
    if (!n)
        return NULL;
    put_u16(fixed + n, set->type);
    put_u16(fixed + n + 2, CLASS_IN);
    put_u32(fixed + n + 4, sig->original_ttl);
    n += 8;

    size_t need = sig->head_len + set->count * n + (size_t)(set->end - set->rdata);
    uint8_t *start = input_reserve(scratch, need), *p = start;
    memcpy(p, rrsig_rdata, RRSIG_FIXED);
    p += RRSIG_FIXED;
    p += name_copy_lower(p, sig->signer);

    struct rdata r;
    for (const uint8_t *at = set->rdata; rrset_next(set, &at, &r);) {
        memcpy(p, fixed, n);
        p += n;
        put_u16(p, r.len);
        rdata_canonical(set->type, r.data, r.len, p + 2);
        p += 2 + (size_t)r.len;
    }
    ASSERT((size_t)(p - start) == need);
    *len = need;
    return start;
}
