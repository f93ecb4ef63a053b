/* alias: CNAME and DNAME, and what may stand beside and below them.
 *
 *   CNAME   one; beside it only what says something about the name itself: RRSIG, NSEC, and KEY,
 *           SIG, NXT of old (RFC 1034 3.6.2, RFC 2181 10.1, RFC 4035 2.5). An NSEC3 there belongs
 *           to the name that hashes to it.
 *   DNAME   one (RFC 6672 2.4); beside it no CNAME, and at a delegation none at all (2.3).
 *   below   RFC 6672 2.4 wants no records below a DNAME, and in the same breath lets a server load
 *           a zone that has some: they are occluded (RFC 2136 7.18), a transfer carries them (RFC
 *           5936 3.5), and nobody is ever answered from them. So such a name is a note; that it has
 *           neither signatures nor NSEC is owner.c's business.
 */
#include "stages/validate/validate.h"

static bool cname_tolerates(uint16_t type)
{
    return type == RR_CNAME || type == RR_RRSIG || type == RR_NSEC || type == RR_NSEC3 ||
           type == RR_KEY || type == RR_SIG || type == RR_NXT;
}

static void cname_check(struct check *check, const struct node *node, const struct rrset *cname)
{
    struct findings *findings = check->run->findings;
    if (cname->count > 1)
        finding_add(findings, CNAME_MULTIPLE, node_name(node), RR_CNAME, cname->count, 0, NULL);
    unsigned others = 0;
    uint16_t first = 0;
    for (unsigned i = 0; i < node->nrrsets; i++) {
        uint16_t type = node->head[i].type;
        if (!cname_tolerates(type) && others++ == 0)
            first = type;
    }
    if (others == 0)
        return;
    char text[RRTYPE_TEXT_MAX];
    finding_add(findings, CNAME_OTHER_DATA, node_name(node), RR_CNAME, others, 0,
                rrtype_print(first, text));
}

void alias_check(struct check *check, const struct item *item)
{
    struct findings *findings = check->run->findings;
    const uint8_t *owner = node_name(item->node);
    struct rrset set;
    if (item->status == NAME_OCCLUDED) {
        char text[NAME_TEXT_MAX];
        if (!item->nsec3_only && !item_below_cut(check, item))
            finding_add(findings, DNAME_OCCLUDES, owner, 0, 0, 0,
                        name_print(node_name(item->over), text));
        return;
    }
    if (node_rrset(item->node, RR_CNAME, 0, &set))
        cname_check(check, item->node, &set);
    if (!node_rrset(item->node, RR_DNAME, 0, &set))
        return;
    if (set.count > 1)
        finding_add(findings, DNAME_MULTIPLE, owner, RR_DNAME, set.count, 0, NULL);
    if (item->status == NAME_CUT)
        finding_add(findings, DNAME_AT_DELEGATION, owner, RR_DNAME, 0, 0, NULL);
}
