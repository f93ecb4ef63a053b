/* owner: what may be at a name, and what of it must be signed.
 *
 *                    authoritative        cut (NS below the apex)      occluded (glue, below DNAME)
 *   must be signed   all but RRSIG        DS, NSEC, NSEC3              nothing
 *   no RRSIG over    RRSIG, what is not   NS, glue, what is not        anything
 *                    there                there
 *   NSEC             yes (nsec.c)         yes (nsec.c)                 no, nor NSEC3
 *
 * An NSEC3 at a cut belongs to another name: whoever can register a name can register one that is a hash.
 *
 * What may stand beside and below aliases and cuts is in alias.c and delegation.c. RFC 4035 2.2
 * to 2.4.
 */
#include "stages/validate/validate.h"

#include <stdio.h>

static bool owner_answers_for(enum name_status status, uint16_t type)
{
    if (status == NAME_AUTHORITATIVE)
        return type != RR_RRSIG;
    return status == NAME_CUT && (type == RR_DS || type == RR_NSEC || type == RR_NSEC3);
}

/* Is this RRSIG set over something that is here, and the zone's own? */
static void owner_check_rrsig(struct check *check, const struct item *item,
                              const struct rrset *sigs)
{
    const uint8_t *owner = node_name(item->node);
    char type[RRTYPE_TEXT_MAX], text[96];
    rrtype_print(sigs->covered, type);
    struct rrset set;
    if (sigs->covered == RR_RRSIG || item->status == NAME_OCCLUDED ||
        (item->status == NAME_CUT && !owner_answers_for(item->status, sigs->covered) &&
         node_rrset(item->node, sigs->covered, 0, &set))) {
        snprintf(text, sizeof(text), "%s%s", type,
                 sigs->covered == RR_RRSIG       ? ", which is never signed"
                 : item->status == NAME_OCCLUDED ? ", which a delegation or DNAME above hides"
                 : sigs->covered == RR_NS        ? " of a delegation"
                                                 : " at a delegation");
        finding_add(check->run->findings, SIG_MISPLACED, owner, RR_RRSIG, 0, 0, text);
    } else if (!node_rrset(item->node, sigs->covered, 0, &set)) {
        finding_add(check->run->findings, SIG_ORPHAN, owner, RR_RRSIG, 0, 0, type);
    } else if (sigs->ttl != set.ttl) {
        finding_add(check->run->findings, SIG_TTL, owner, sigs->covered, sigs->ttl, set.ttl, NULL);
    }
}

void owner_check(struct check *check, struct worker *worker, const struct item *item)
{
    const uint8_t *owner = node_name(item->node);
    worker->visited++;
    if (check->scope.all)
        claims_count(&worker->claims, item->node, 1);
    for (unsigned i = 0; i < item->node->nrrsets; i++) {
        struct rrset set;
        node_rrset_at(item->node, i, &set);
        if (set.type == RR_RRSIG)
            owner_check_rrsig(check, item, &set);
        else if (owner_answers_for(item->status, set.type))
            signatures_add(check, worker, item, &set);
        if (set.ttl_mixed && set.type != RR_RRSIG)
            finding_add(check->run->findings, TTL_MIXED, owner, set.type, set.ttl, 0, NULL);
        if (set.type == RR_NSEC &&
            (item->status == NAME_OCCLUDED || item->nsec3_only || !check->nsec))
            finding_add(check->run->findings, NSEC_MISPLACED, owner, RR_NSEC, 0, 0,
                        item->status == NAME_OCCLUDED ? "a delegation or DNAME above hides the name"
                                                      : "the zone has none at its apex");
        if (set.type == RR_NSEC3 && item->status == NAME_OCCLUDED)
            finding_add(check->run->findings, NSEC3_OWNER, owner, RR_NSEC3, 0, 0, NULL);
    }
    alias_check(check, item);
    delegation_check(check, worker, item);
    if (check->nsec && item->status != NAME_OCCLUDED && !item->nsec3_only)
        nsec_check(check, worker, item);
}
