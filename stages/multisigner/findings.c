/* findings: what multisigner reports. Codes are stable; the order is that of enum multisigner_code.
 *
 * {n0} is a key's tag wherever a key is meant.
 */
#include "stages/multisigner/multisigner.h"

const struct finding_type multisigner_findings[] = {
    [FOREIGN_NONE] =
        {"foreign-none", STAGE_PASS, "no key of another signer came with the zone",
         "The apex has no DNSKEY of another signer, so answers signed by others do not "
         "validate with our "
         "DNSKEY set. That is right only as long as there is no other signer."},
    [FOREIGN_TOO_MANY] =
        {"foreign-too-many", STAGE_REJECT,
         "{n0} keys of other signers or more, at most {n1} are taken",
         "Every key makes the DNSKEY set larger, and with it each resolver's work. "
         "Have old keys removed "
         "at the signer that still sends them, or raise max_foreign_keys."},
    [FOREIGN_MALFORMED] = {"foreign-malformed", STAGE_REJECT,
                           "key {n0} of another signer cannot be read: {text}",
                           "The DNSKEY record's public key is not one of its algorithm."},
    [FOREIGN_PROTOCOL] = {"foreign-protocol", STAGE_REJECT,
                          "key {n0} of another signer has protocol {n1}, not 3",
                          "RFC 4034 2.1.2: no resolver uses such a key."},
    [FOREIGN_NOT_ZONE_KEY] = {"foreign-not-zone-key", STAGE_REJECT,
                              "key {n0} of another signer has flags {n1}: not a zone key",
                              "RFC 4034 2.1.1: only keys with the zone flag (256) sign zones."},
    [FOREIGN_REVOKED] = {"foreign-revoked", STAGE_REJECT, "key {n0} of another signer is revoked",
                         "Its owner says that it must not be used any more (RFC 5011 2.1). Have it "
                         "removed there."},
    [FOREIGN_ALGORITHM] =
        {"foreign-algorithm", STAGE_REJECT,
         "key {n0} of another signer has algorithm {n1}, which none of ours has",
         "All signers of a zone use the same algorithms (RFC 8901 4). Give the zone a key of that "
         "algorithm first, or have the other signer go back to ours."},
    [FOREIGN_SAME_TAG] = {"foreign-same-tag", STAGE_PASS,
                          "key {n0} of another signer has the tag of one of ours",
                          "Right, but each resolver may try both keys."},
    [OWN_KEYS_MISSING] = {"own-keys-missing", STAGE_RETRY, "the zone has no keys of ours yet",
                          "Keys of others can be judged only beside ours. `weir key list ZONE` "
                          "shows what there is."},
    [APEX_FULL] = {"apex-full", STAGE_REJECT,
                   "the apex has {n0} records: no room for keys of others",
                   "65,535 records are the limit at a name. Nobody can use so many: the primary's "
                   "data is broken."},
    {NULL, STAGE_PASS, NULL, NULL},
};
