/* provider: a node is built without signatures, for the sets as they are to be signed, and then again with them. */
#include "tests/lib/provider.h"

#include "pipeline/base/alloc.h"

#include <string.h>

struct rdata provider_key(const struct signer *signer, unsigned key)
{
    return (struct rdata){signer->key[key].rdata, signer->key[key].len};
}

static void add(struct node_builder *b, uint16_t type, uint32_t ttl, const uint8_t *rdata,
                size_t len)
{
    int err = node_builder_add(b, type, ttl, rdata, (uint16_t)len);
    ASSERT(!err);
}

static void put_soa(struct node_builder *b, const struct provider_apex *p)
{
    uint8_t rdata[2 * NAME_MAX_OCTETS + 20];
    size_t n = name_copy(rdata, p->apex);
    n += name_copy(rdata + n, p->apex);
    const uint32_t number[] = {p->serial, 3600, 600, 86400, 300};
    for (int i = 0; i < 5; i++, n += 4)
        put_u32(rdata + n, number[i]);
    add(b, RR_SOA, p->ns_ttl, rdata, n);
}

static void put_sets(struct node_builder *b, const struct provider_apex *p)
{
    uint8_t ds[DNSSEC_DS_MAX];
    for (unsigned i = 0; i < p->ndnskey; i++)
        add(b, RR_DNSKEY, p->dnskey_ttl, p->dnskey[i].data, p->dnskey[i].len);
    for (unsigned i = 0; i < p->ncds; i++) {
        add(b, RR_CDNSKEY, p->dnskey_ttl, p->cds[i].data, p->cds[i].len);
        add(b, RR_CDS, p->dnskey_ttl, ds,
            dnssec_ds_make(p->apex, p->cds[i].data, p->cds[i].len, 2, ds));
    }
    for (unsigned i = 0; i < p->nns; i++)
        add(b, RR_NS, p->ns_ttl, p->ns[i], name_len(p->ns[i]));
    put_soa(b, p);
}

struct node *provider_node(const struct provider_apex *p)
{
    uint8_t rrsig[SIGNER_RRSIG_MAX];
    struct node_builder *b = node_builder_new();
    struct rrset set;
    node_builder_begin(b, p->apex);
    put_sets(b, p);
    struct node *plain = node_builder_seal(b);
    node_builder_begin(b, p->apex);
    node_builder_add_node(b, plain, NULL, NULL);
    for (unsigned i = 0; i < plain->nrrsets; i++) {
        node_rrset_at(plain, i, &set);
        bool keys = set.type == RR_DNSKEY || set.type == RR_CDS || set.type == RR_CDNSKEY;
        size_t n = signer_rrsig(p->signer, keys ? p->ksk : p->zsk, p->apex, p->apex, &set, rrsig);
        add(b, RR_RRSIG, set.ttl, rrsig, n);
    }
    node_unref(plain);
    struct node *out = node_builder_seal(b);
    node_builder_free(&b);
    return out;
}

static bool is_covered(void *covered, const struct rrset *set)
{
    return set->type == RR_RRSIG && set->covered == *(uint16_t *)covered;
}

struct node *provider_spoil(struct node *node, uint16_t covered)
{
    uint8_t octets[SIGNER_RRSIG_MAX];
    struct rrset set;
    struct rdata r = {0};
    bool found = node_rrset(node, RR_RRSIG, covered, &set);
    ASSERT(found);
    struct node_builder *b = node_builder_new();
    node_builder_begin(b, node_name(node));
    node_builder_add_node(b, node, is_covered, &covered);
    for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &r);) {
        memcpy(octets, r.data, r.len);
        if (p >= set.end)
            octets[r.len - 1] ^= 1;
        add(b, RR_RRSIG, set.ttl, octets, r.len);
    }
    node_unref(node);
    node = node_builder_seal(b);
    node_builder_free(&b);
    return node;
}
