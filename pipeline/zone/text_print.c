/* text_print: nodes as master-file lines.
 *
 * One record a line: owner, TTL, class, type, rdata, with tabs between, everything absolute, so
 * that lines can be cut out, sorted and compared.
 */
#include "pipeline/base/alloc.h"
#include "pipeline/zone/name.h"
#include "pipeline/zone/rrtype.h"
#include "pipeline/zone/text.h"
#include "pipeline/zone/text_rdata.h"

char *text_print_rr(const uint8_t *owner, uint16_t type, uint32_t ttl, const uint8_t *rdata,
                    uint16_t len)
{
    char name[NAME_TEXT_MAX], mnemonic[RRTYPE_TEXT_MAX];
    struct text_rdata *t = text_rdata_new();
    char *line = mem_printf("%s\t%u\tIN\t%s\t%s", name_print(owner, name), ttl,
                            rrtype_print(type, mnemonic), text_rdata_print(t, type, rdata, len));
    text_rdata_free(&t);
    return line;
}

static void print_rrset(FILE *out, struct text_rdata *t, const char *owner, const struct rrset *set)
{
    char mnemonic[RRTYPE_TEXT_MAX];
    struct rdata r;
    rrtype_print(set->type, mnemonic);
    for (const uint8_t *p = set->rdata; rrset_next(set, &p, &r);)
        fprintf(out, "%s\t%u\tIN\t%s\t%s\n", owner, set->ttl, mnemonic,
                text_rdata_print(t, set->type, r.data, r.len));
}

/* All sets, or all but the SOA. */
static void print_node(FILE *out, struct text_rdata *t, const struct node *node, bool soa)
{
    char owner[NAME_TEXT_MAX];
    struct rrset set;
    name_print(node_name(node), owner);
    for (unsigned i = 0; i < node->nrrsets; i++) {
        node_rrset_at(node, i, &set);
        if (soa || set.type != RR_SOA)
            print_rrset(out, t, owner, &set);
    }
}

void text_print_node(FILE *out, const struct node *node)
{
    struct text_rdata *t = text_rdata_new();
    print_node(out, t, node, true);
    text_rdata_free(&t);
}

void text_print_snapshot(FILE *out, const struct snapshot *s)
{
    struct text_rdata *t = text_rdata_new();
    const struct node *apex = snapshot_apex(s);
    struct rrset soa;
    char owner[NAME_TEXT_MAX];
    if (apex && node_rrset(apex, RR_SOA, 0, &soa))
        print_rrset(out, t, name_print(node_name(apex), owner), &soa);
    struct snapshot_iter it;
    for (const struct node *node = snapshot_first(&it, s); node; node = snapshot_next(&it))
        print_node(out, t, node, node != apex);
    text_rdata_free(&t);
}
