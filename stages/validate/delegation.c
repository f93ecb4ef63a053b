/* delegation: what belongs at a cut and nowhere else, and whether name servers can be reached.
 *
 *              apex        below it    cut                            below a cut, or a DNAME
 *   SOA        one         no          no                             left alone: nobody sees it
 *   DS         no          no          yes                            left alone
 *   CDS        yes         note        note (the child's apex's)      left alone
 *   other                              note: the child's, never seen  left alone
 *                                      (A and AAAA are glue)
 *
 * A name server inside the zone must have an address, or the delegation leads nowhere: one at or
 * below its own cut by glue, an authoritative one by its own records or a wildcard's. A name server
 * below another cut is that child's to answer for; glue for it is welcome, not needed (RFC
 * 9471 3). That is a note: it was so before this version as often as not, and other name servers of
 * the delegation may do. It is told of the NS set, so what it says stays true of an NS set that did
 * not change only until the address goes.
 */
#include "stages/validate/validate.h"

#include <stdio.h>

bool item_below_cut(const struct check *check, const struct item *item)
{
    return item->over && item->over != check->apex && node_has(item->over, RR_NS);
}

static bool node_has_address(const struct node *node)
{
    return node && (node_has(node, RR_A) || node_has(node, RR_AAAA));
}

/* The wildcard that answers for a name that is not there. */
static bool wildcard_has_address(const struct snapshot *s, const uint8_t *name,
                                 const struct locate *at)
{
    uint8_t wildcard[NAME_MAX_OCTETS];
    const uint8_t *encloser = name_strip(name, name_labels(name) - at->encloser_labels);
    return name_wildcard_of(encloser, wildcard) && node_has_address(snapshot_get(s, wildcard));
}

/* What is wrong with a name server, in words; NULL: nothing, or it is not this zone's business. */
static const char *server_fault(const struct check *check, const struct item *item,
                                const uint8_t *server)
{
    if (!name_at_or_below(server, check->apex_name))
        return NULL;
    struct locate at;
    snapshot_locate(check->run->next, server, &at);
    if (at.cut)
        return at.cut != item->node || node_has_address(at.node)
                   ? NULL
                   : "has no address beside the delegation to it";
    if (at.dname)
        return "is below a DNAME";
    if (at.node && node_has(at.node, RR_CNAME))
        return "is an alias";
    if (node_has_address(at.node))
        return NULL;
    if (!at.exists && wildcard_has_address(check->run->next, server, &at))
        return NULL;
    return at.exists ? "has no address" : "does not exist";
}

static void servers_check(struct check *check, struct worker *worker, const struct item *item)
{
    struct rrset set;
    struct rdata rdata;
    if (!node_rrset(item->node, RR_NS, 0, &set))
        return;
    for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &rdata);) {
        worker->visited++;
        const char *fault = server_fault(check, item, rdata.data);
        if (!fault)
            continue;
        char name[NAME_TEXT_MAX], text[NAME_TEXT_MAX + 64];
        snprintf(text, sizeof(text), "%s %s", name_print(rdata.data, name), fault);
        finding_add(check->run->findings, NS_NO_ADDRESS, node_name(item->node), RR_NS, 0, 0, text);
    }
}

static void type_check(struct check *check, const struct item *item, uint16_t type)
{
    struct findings *findings = check->run->findings;
    const uint8_t *owner = node_name(item->node);
    bool cut = item->status == NAME_CUT;
    switch (type) {
    case RR_SOA:
        finding_add(findings, SOA_MISPLACED, owner, type, 0, 0, NULL);
        break;
    case RR_CDS:
    case RR_CDNSKEY:
        finding_add(findings, CDS_MISPLACED, owner, type, 0, 0, NULL);
        break;
    case RR_DS:
        if (!cut)
            finding_add(findings, DS_MISPLACED, owner, type, 0, 0, NULL);
        break;
    case RR_NS:
    case RR_NSEC:
    case RR_NSEC3:
    case RR_RRSIG:
    case RR_A:
    case RR_AAAA:
    case RR_CNAME: /* alias.c */
    case RR_DNAME:
        break;
    default:
        if (cut)
            finding_add(findings, DELEGATION_OTHER_DATA, owner, type, 0, 0, NULL);
        break;
    }
}

void delegation_check(struct check *check, struct worker *worker, const struct item *item)
{
    if (item->status == NAME_OCCLUDED)
        return;
    if (item->node == check->apex) {
        if (node_has(item->node, RR_DS))
            finding_add(check->run->findings, DS_MISPLACED, check->apex_name, RR_DS, 0, 0, NULL);
        servers_check(check, worker, item);
        return;
    }
    for (unsigned i = 0; i < item->node->nrrsets; i++)
        type_check(check, item, item->node->head[i].type);
    if (item->status == NAME_CUT)
        servers_check(check, worker, item);
}
