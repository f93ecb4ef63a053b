/* apex: the apex as it goes out, with what is of other signers: their DNSKEY, CDS and CDNSKEY of their KSKs, their servers.
 *
 * A zone that goes out unsigned has none of the keys. CSYNC is never the one that came in: that speaks of a serial which nobody sees
 * here (RFC 7477 2.1.1.1).
 */
#include "stages/multisigner/multisigner.h"

static bool is_made_here(void *ctx, const struct rrset *set)
{
    const struct merge *m = ctx;
    uint16_t type = set->type == RR_RRSIG ? set->covered : set->type;
    bool is_key_set = type == RR_DNSKEY || type == RR_CDS || type == RR_CDNSKEY;
    return type == RR_CSYNC || (is_key_set && !m->imported);
}

void merge_measure(struct merge *m)
{
    enum { EACH = 3 }; /* DNSKEY, CDS, CDNSKEY */
    uint64_t more = (uint64_t)EACH * m->n + m->servers.nmore + m->servers.csync;
    if (m->apex->records + more <= NODE_RECORDS_MAX && m->apex->bytes <= NODE_BYTES_MAX / 2)
        return;
    finding_add(m->run->findings, APEX_FULL, m->apex_name, 0, m->apex->records, 0, NULL);
    m->refused = true;
}

static void add(struct node_builder *builder, uint16_t type, uint32_t ttl, const uint8_t *rdata,
                size_t len)
{
    int rc = node_builder_add(builder, type, ttl, rdata, (uint16_t)len);
    ASSERT(rc == 0); /* merge_measure has seen that there is room */
}

struct node *merge_apex(const struct merge *m)
{
    enum { SHA256 = 2 };
    struct node_builder *builder = node_builder_new();
    node_builder_begin(builder, node_name(m->apex));
    node_builder_add_node(builder, m->apex, is_made_here, (void *)(uintptr_t)m);
    for (unsigned i = 0; i < m->n; i++) {
        const struct foreign *f = &m->foreign[i];
        if (foreign_joins(m, f))
            add(builder, RR_DNSKEY, m->ttl, f->key.data, f->key.len);
        if (!f->ds)
            continue;
        uint8_t ds[DNSSEC_DS_MAX];
        size_t len = dnssec_ds_make(m->apex_name, f->key.data, f->key.len, SHA256, ds);
        add(builder, RR_CDS, m->ttl, ds, len);
        add(builder, RR_CDNSKEY, m->ttl, f->key.data, f->key.len);
    }
    servers_add(m, builder);
    struct node *made = node_builder_seal(builder);
    node_builder_free(&builder);
    return made;
}
