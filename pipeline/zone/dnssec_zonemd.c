/* dnssec_zonemd: the digest of a whole zone (RFC 8976 3.3).
 *
 * All records in canonical form and order, each as it would be on the wire:
 *
 *      owner in lower case | type | class | TTL | rdata length | rdata in canonical form
 *
 * names in canonical order, at a name the rrsets by type, in an rrset the records by rdata, each
 * once. Glue and occluded records are in it; the ZONEMD set of the apex is not, nor the RRSIGs over
 * it. A node holds its rrsets and records in that order already: RRSIGs, kept by the type they
 * cover, are in the order of their rdata, for that begins with this type. So the digest is one
 * pass over the nodes through a buffer.
 */
#include "pipeline/zone/dnssec_parts.h"
#include "pipeline/base/alloc.h"
#include "pipeline/zone/rrtype.h"

enum { BUFFER_OCTETS = 1 << 17, RECORD_HEAD = 10, CLASS_IN = 1, ZONEMD_SHA384 = 1, ZONEMD_SHA512 };

struct dnssec_zonemd {
    EVP_MD_CTX *ctx;
    bool failed;
    uint8_t apex[NAME_MAX_OCTETS];
    size_t n;
    uint8_t buffer[BUFFER_OCTETS];
};
_Static_assert(NAME_MAX_OCTETS + RECORD_HEAD + UINT16_MAX < BUFFER_OCTETS, "a record fits");

size_t dnssec_zonemd_len(uint8_t hash)
{
    return hash == ZONEMD_SHA384 ? 48 : hash == ZONEMD_SHA512 ? 64 : 0;
}

struct dnssec_zonemd *dnssec_zonemd_begin(const uint8_t *apex, uint8_t hash)
{
    ASSERT(dnssec_zonemd_len(hash) > 0);
    struct dnssec_zonemd *z = mem_alloc(sizeof(*z));
    z->n = 0;
    name_copy(z->apex, apex);
    z->ctx = EVP_MD_CTX_new();
    z->failed =
        !z->ctx ||
        EVP_DigestInit_ex(z->ctx, hash == ZONEMD_SHA384 ? EVP_sha384() : EVP_sha512(), NULL) <= 0;
    return z;
}

static void zonemd_flush(struct dnssec_zonemd *z)
{
    z->failed = z->failed || EVP_DigestUpdate(z->ctx, z->buffer, z->n) <= 0;
    z->n = 0;
}

static void zonemd_add_rrset(struct dnssec_zonemd *z, const uint8_t *owner, size_t owner_len,
                             const struct rrset *set)
{
    struct rdata r;
    for (const uint8_t *at = set->rdata; rrset_next(set, &at, &r);) {
        if (z->n + owner_len + RECORD_HEAD + r.len > BUFFER_OCTETS)
            zonemd_flush(z);
        uint8_t *p = z->buffer + z->n;
        memcpy(p, owner, owner_len);
        p += owner_len;
        put_u16(p, set->type);
        put_u16(p + 2, CLASS_IN);
        put_u32(p + 4, set->ttl);
        put_u16(p + 8, r.len);
        rdata_canonical(set->type, r.data, r.len, p + RECORD_HEAD);
        z->n += owner_len + RECORD_HEAD + r.len;
    }
}

void dnssec_zonemd_add(struct dnssec_zonemd *z, const struct node *node)
{
    uint8_t owner[NAME_MAX_OCTETS];
    size_t owner_len = name_copy_lower(owner, node_name(node));
    bool apex = name_equal(owner, z->apex);
    for (unsigned i = 0; i < node->nrrsets; i++) {
        struct rrset set;
        node_rrset_at(node, i, &set);
        if (apex && (set.type == RR_ZONEMD || set.covered == RR_ZONEMD))
            continue;
        zonemd_add_rrset(z, owner, owner_len, &set);
    }
}

bool dnssec_zonemd_end(struct dnssec_zonemd **zonemd, uint8_t out[DNSSEC_ZONEMD_MAX])
{
    struct dnssec_zonemd *z = *zonemd;
    zonemd_flush(z);
    bool done = !z->failed && EVP_DigestFinal_ex(z->ctx, out, NULL) > 0;
    EVP_MD_CTX_free(z->ctx);
    mem_free(zonemd);
    return done;
}
