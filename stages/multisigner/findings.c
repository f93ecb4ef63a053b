/* findings: what multisigner reports. Codes are stable; the order is that of enum multisigner_code.
 *
 * {n0} is a key's tag wherever a key is meant.
 */
#include "stages/multisigner/multisigner.h"

const struct finding_type multisigner_findings[] = {
    [FOREIGN_NONE] = {"foreign-none", STAGE_PASS, "no key of another signer is known",
                      "None came with the zone, and none is known from elsewhere, so answers "
                      "signed by others do "
                      "not validate with our DNSKEY set. That is right only as long as there is no "
                      "other signer."},
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
                   "the apex has {n0} records: no room for what is of other signers",
                   "65,535 records are the limit at a name. Nobody can use so many: the primary's "
                   "data is broken."},
    [IMPORTED_NONE] =
        {"imported-none", STAGE_RETRY,
         "the zone's KSK is elsewhere, and no DNSKEY set with its signature came with the zone",
         "The holder of the KSK has to give weir the DNSKEY set with its RRSIGs: in the zone that "
         "is "
         "transferred, or in the file that keys.offline_ksk names. In a chain of its own the stage "
         "strip needs keep_key_sets = true."},
    [IMPORTED_TOO_MANY] =
        {"imported-too-many", STAGE_REJECT,
         "{n0} {text} records or signatures over them, at most {n1} are taken",
         "More keys than max_foreign_keys and ours, or more signatures over a set than there are "
         "keys. "
         "Every one is work for each resolver: have old ones removed by the holder of the KSK."},
    [IMPORTED_BOGUS] = {"imported-bogus", STAGE_REJECT,
                        "the signature over the {text} set that came with the zone, by key {n0} of "
                        "algorithm {n1}, "
                        "does not verify",
                        "It is served as it came, so it must be right: made over just this set, by "
                        "a key that is in "
                        "the DNSKEY set. Somebody on the way changed the set, or took it from two "
                        "places. Have the "
                        "holder of the KSK sign it again."},
    [IMPORTED_UNSIGNED] =
        {"imported-unsigned", STAGE_REJECT,
         "the {text} set that came with the zone has no signature by a KSK (flags 257)",
         "No resolver can get from the DS to this set. Have the holder of the KSK sign it, or take "
         "it out."},
    [NS_TOO_MANY] =
        {"ns-too-many", STAGE_REJECT,
         "{n0} names in the NS set, those of other signers' servers counted, at most {n1} are "
         "taken",
         "No resolver asks so many, and the parent takes none over. Either the primary's data is "
         "broken, or a signer's: `weir multisigner ZONE status` shows whose names join."},
    [NS_NO_ADDRESS] =
        {"ns-no-address", STAGE_PASS, "a server of the zone, and no address of it is in the zone",
         "The name is in the zone, so nobody else has its address: resolvers do not reach this "
         "server, and the parent has no glue for it. Have A or AAAA put in at the primary."},
    [CSYNC_WITHHELD] =
        {"csync-withheld", STAGE_PASS, "no CSYNC: {n0} servers in the zone have no address there",
         "It would ask the parent to delegate to servers whose addresses are not in the zone (RFC "
         "7477 3.2.2). See ns-no-address for which they are; the CSYNC comes when they are "
         "mended."},
    [CSYNC_CAME] =
        {"csync-came", STAGE_PASS, "the CSYNC that came in was left out",
         "It speaks of a serial of its primary, not of the one served here (RFC 7477 2.1.1.1). The "
         "option csync says whether ours is published."},
    [APEX_WITHOUT_SOA] = {"soa-missing", STAGE_REJECT, "no SOA at the apex",
                          "Without SOA this is no zone: the transfer or the file is broken at its "
                          "source."},
    {NULL, STAGE_PASS, NULL, NULL},
};
