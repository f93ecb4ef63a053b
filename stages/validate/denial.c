/* denial: which kind of denial the zone has, and whether it may.
 *
 * A zone's kind is what its apex says: an NSEC there, or an NSEC3PARAM (RFC 5155 4: present only
 * when a whole chain is). The policy allows one kind; only `any` allows both at once (a zone
 * that changes over), each whole, or none. What is there is judged all the same, save NSEC3 where
 * only NSEC may be: that is work for nothing.
 */
#include "stages/validate/validate.h"

void denial_decide(struct check *check)
{
    struct findings *findings = check->run->findings;
    bool has_nsec = node_has(check->apex, RR_NSEC),
         has_nsec3 = node_has(check->apex, RR_NSEC3PARAM);
    check->nsec = has_nsec;
    check->nsec3 = has_nsec3;
    check->nsec3_tolerated = check->conf->denial == DENIAL_ANY;
    if (check->conf->denial == DENIAL_ANY)
        return;
    if (has_nsec && has_nsec3) {
        finding_add(findings, DENIAL_MIXED, check->apex_name, 0, 0, 0, NULL);
    } else if (!has_nsec && !has_nsec3) {
        finding_add(findings, DENIAL_MISSING, check->apex_name, 0, 0, 0, NULL);
    } else if (has_nsec3 && check->conf->denial == DENIAL_NSEC_ONLY) {
        finding_add(findings, DENIAL_IS_NSEC3, check->apex_name, RR_NSEC3PARAM, 0, 0, NULL);
        check->nsec3 = false;
        check->nsec3_tolerated = true;
    } else if (has_nsec && check->conf->denial == DENIAL_NSEC3_ONLY) {
        finding_add(findings, DENIAL_IS_NSEC, check->apex_name, RR_NSEC, 0, 0, NULL);
    }
}
