/* nsec: the NSEC at a name of the zone.
 *
 * One record; it leads to the next name that owns one, the last to the apex; it lists the types
 * that are there. Where NSEC may not be is owner.c's business. If every name's NSEC leads to the
 * next name, the chain is closed: nothing beside the single names need be looked at (RFC
 * 4034 4.1.1, RFC 4035 2.3).
 */
#include "stages/validate/validate.h"

#include <stdio.h>

void nsec_check(struct check *check, struct worker *worker, const struct item *item)
{
    struct findings *findings = check->run->findings;
    const uint8_t *owner = node_name(item->node);
    struct rrset set;
    if (!node_rrset(item->node, RR_NSEC, 0, &set)) {
        finding_add(findings, NSEC_MISSING, owner, RR_NSEC, 0, 0, NULL);
        return;
    }
    if (set.count != 1)
        finding_add(findings, NSEC_MULTIPLE, owner, RR_NSEC, set.count, 0, NULL);
    if (set.ttl != check->nsec_ttl)
        tally_add(&worker->tally[TALLY_NSEC_TTL], 0, owner, RR_NSEC);
    struct rdata rdata = {0};
    bool any = rrset_first(&set, &rdata);
    ASSERT(any);
    const uint8_t *next = item->next ? node_name(item->next) : check->apex_name;
    if (!name_equal(rdata.data, next)) {
        char is[NAME_TEXT_MAX], should[NAME_TEXT_MAX], text[2 * NAME_TEXT_MAX + 32];
        snprintf(text, sizeof(text), "%s, the next name is %s", name_print(rdata.data, is),
                 name_print(next, should));
        finding_add(findings, NSEC_NEXT, owner, RR_NSEC, 0, 0, text);
    }
    size_t at = name_len(rdata.data);
    char text[BITMAP_TEXT_MAX];
    if (!bitmap_check(item->node, item->status == NAME_CUT ? BITMAP_CUT : BITMAP_ALL, false,
                      rdata.data + at, rdata.len - at, text))
        finding_add(findings, NSEC_BITMAP, owner, RR_NSEC, 0, 0, text);
}
