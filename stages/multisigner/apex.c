/* apex: the apex as it goes out, with what is of other signers: their DNSKEY, and CDS and CDNSKEY of their KSKs.
 *
 * A zone that goes out unsigned has none of these.
 */
#include "stages/multisigner/multisigner.h"

static bool is_merged(void *ctx, const struct rrset *set)
{
    const struct merge *m = ctx;
    uint16_t type = set->type == RR_RRSIG ? set->covered : set->type;
    return !m->imported && (type == RR_DNSKEY || type == RR_CDS || type == RR_CDNSKEY);
}

static void add(struct node_builder *builder, uint16_t type, uint32_t ttl, const uint8_t *rdata,
                size_t len)
{
    int rc = node_builder_add(builder, type, ttl, rdata, (uint16_t)len);
    ASSERT(rc == 0); /* foreign_judge has seen that there is room */
}

struct node *merge_apex(const struct merge *m)
{
    enum { SHA256 = 2 };
    struct node_builder *builder = node_builder_new();
    node_builder_begin(builder, node_name(m->apex));
    node_builder_add_node(builder, m->apex, is_merged, (void *)(uintptr_t)m);
    for (unsigned i = 0; i < m->n; i++) {
        struct rdata key = m->foreign[i];
        if (foreign_joins(m, key))
            add(builder, RR_DNSKEY, m->ttl, key.data, key.len);
        if (!foreign_wants_ds(key))
            continue;
        uint8_t ds[DNSSEC_DS_MAX];
        size_t len = dnssec_ds_make(m->apex_name, key.data, key.len, SHA256, ds);
        add(builder, RR_CDS, m->ttl, ds, len);
        add(builder, RR_CDNSKEY, m->ttl, key.data, key.len);
    }
    struct node *made = node_builder_seal(builder);
    node_builder_free(&builder);
    return made;
}
