/* findings: what validate reports. Codes are stable; the order is that of enum validate_code.
 *
 * {n0} is the key tag wherever a signature or key is meant, else what the message says.
 */
#include "stages/validate/validate.h"

#define RESIGN "Have the primary sign the zone again; until then the last good version is served."

const struct finding_type validate_findings[] = {
    [SOA_MISSING] =
        {"soa-missing", STAGE_REJECT, "no SOA at the apex",
         "Without SOA this is no zone: the transfer or the file is broken at its source."},
    [SOA_MULTIPLE] = {"soa-multiple", STAGE_REJECT, "{n0} SOA records at the apex",
                      "A zone has exactly one SOA. The primary's data is broken."},
    [SOA_MISPLACED] = {"soa-misplaced", STAGE_REJECT, "SOA below the apex",
                       "A zone has one SOA, at its apex. This one is a child zone's, or a name was "
                       "misspelt. Remove it at the primary."},
    [NS_MISSING] = {"ns-missing", STAGE_REJECT, "no NS at the apex",
                    "A zone without name servers of its own cannot be delegated to. Restore the NS "
                    "set at the primary."},
    [DNSKEY_MISSING] = {"dnskey-missing", STAGE_REJECT, "no DNSKEY at the apex",
                        "The zone is not signed, or its keys were lost on the way. If it is to be "
                        "unsigned, do not run "
                        "validate on it; if a DS is at the parent, every resolver would fail it."},
    [DNSKEY_TOO_MANY] =
        {"dnskey-too-many", STAGE_REJECT, "{n0} DNSKEY records, at most {n1} are allowed",
         "Each key multiplies what a resolver must try. Remove retired keys, or raise max_keys."},
    [DNSKEY_MALFORMED] =
        {"dnskey-malformed", STAGE_REJECT, "key {n0} of algorithm {n1} cannot be read: {text}",
         "The key's octets do not form a public key. Resolvers ignore it and what it signed."},
    [DNSKEY_PROTOCOL] = {"dnskey-protocol", STAGE_REJECT, "key {n0} has protocol {n1}, must be 3",
                         "RFC 4034 2.1.2: resolvers treat such a key as not there."},
    [DNSKEY_NO_ZONE_KEY] =
        {"dnskey-no-zone-key", STAGE_REJECT, "none of {n0} keys may sign zone data",
         "Each key lacks the zone flag (256), has another protocol than 3, or is revoked."},
    [DNSKEY_LIMITS] = {"dnskey-limits", STAGE_REJECT,
                       "key {n0} of algorithm {n1} is not accepted: {text}",
                       "Sizes that resolvers refuse, or that cost them too much to verify (RFC "
                       "5702 2). Roll to a "
                       "key of a usual size."},
    [DNSKEY_NOT_ZONE_KEY] = {"dnskey-not-zone-key", STAGE_PASS,
                             "key {n0} has flags {n1}: it is no zone key",
                             "RFC 4034 2.1.1: no signature is verified with it. It may go."},
    [DNSKEY_UNSUPPORTED] =
        {"dnskey-unsupported", STAGE_PASS,
         "key {n0} has algorithm {n1}, which cannot be checked here",
         "Its signatures must be there, but nobody here can say if they are right."},
    [DNSKEY_UNSUPPORTED_ONLY] =
        {"dnskey-unsupported-only", STAGE_HOLD, "no key of an algorithm that can be checked here",
         "The zone may be right, but weir cannot tell. Decide by hand, or upgrade."},
    [DNSKEY_SAME_TAG] =
        {"dnskey-same-tag", STAGE_PASS, "key tag {n0} is shared by {n1} keys",
         "Allowed, but it costs resolvers work and has hidden lost keys before (.de, 2026). Every "
         "signature is checked against each of them."},
    [DNSKEY_TAG_FLOOD] =
        {"dnskey-tag-flood", STAGE_REJECT, "key tag {n0} is shared by {n1} keys",
         "More than max_keys_per_tag: resolvers give up on such sets (CVE-2023-50387)."},
    [DNSKEY_REVOKED] = {"dnskey-revoked", STAGE_PASS, "key {n0} of algorithm {n1} is revoked",
                        "RFC 5011: it signs nothing but the DNSKEY set any more. No action if a "
                        "rollover is going on."},
    [DNSKEY_SEP_UNSIGNED] =
        {"dnskey-sep-unsigned", STAGE_HOLD,
         "no unrevoked key with the SEP flag signed the DNSKEY set",
         "The DS at the parent usually names such a key; if so, the zone would go dark. If your DS "
         "names a key without the flag, set this finding to pass."},
    [TRUST_ANCHOR_MISSING] =
        {"trust-anchor-missing", STAGE_REJECT, "none of {n1} keys is one of {n0} trust anchors",
         "With the DS at the parent as it is configured here, every resolver would fail the zone. "
         "Restore the key, or change trust_anchor if the parent's DS changed."},
    [TRUST_ANCHOR_UNSIGNED] =
        {"trust-anchor-unsigned", STAGE_REJECT, "no key of a trust anchor signed the DNSKEY set",
         "The key is published, but the chain from the parent ends at it. " RESIGN},

    [DENIAL_MISSING] = {"denial-missing", STAGE_REJECT, "neither NSEC nor NSEC3PARAM at the apex",
                        "Without them nobody can prove that a name is not there. " RESIGN},
    [DENIAL_MIXED] = {"denial-mixed", STAGE_REJECT, "both NSEC and NSEC3PARAM at the apex",
                      "A zone in the middle of a change of its denial. Wait for the signer to "
                      "finish, or allow it by "
                      "denial = any."},
    [DENIAL_IS_NSEC] = {"denial-nsec", STAGE_REJECT,
                        "the zone uses NSEC, the policy asks for NSEC3",
                        "Set denial = nsec-only or any if that is intended."},
    [DENIAL_IS_NSEC3] = {"denial-nsec3", STAGE_REJECT,
                         "the zone uses NSEC3, the policy asks for NSEC",
                         "Set denial = nsec3-only or any if that is intended."},

    [SIG_MISSING] =
        {"rrsig-missing", STAGE_REJECT, "not signed",
         "Authoritative data without any signature: resolvers will not accept it. " RESIGN},
    [SIG_ALGORITHM_MISSING] = {"rrsig-algorithm-missing", STAGE_REJECT,
                               "no signature of algorithm {n0}",
                               "RFC 4035 2.2: every algorithm of the DNSKEY set signs everything. "
                               "Resolvers need only one; "
                               "signatures = any-key accepts that."},
    [SIG_TOO_MANY] =
        {"rrsig-too-many", STAGE_REJECT, "{n0} signatures, at most {n1} are allowed",
         "Too many to try for resolvers (CVE-2023-50387). Only the first were looked at."},
    [SIG_SIGNER] = {"rrsig-signer", STAGE_REJECT,
                    "signature by key {n0} names {text} as its signer",
                    "The signer must be the zone itself. " RESIGN},
    [SIG_LABELS] = {"rrsig-labels", STAGE_REJECT,
                    "signature by key {n0} is for a name of {n1} labels",
                    "Made for a wildcard or another name, and copied here. " RESIGN},
    [SIG_ORIGINAL_TTL] =
        {"rrsig-original-ttl", STAGE_REJECT, "signature by key {n0} has original TTL {n1}, {text}",
         "Somebody changed the TTL after signing, or signed another version. " RESIGN},
    [SIG_EXPIRED] =
        {"rrsig-expired", STAGE_REJECT, "signature by key {n0} expired {n1} s ago",
         "Nobody accepts it any more. Check that the signer runs, and the clocks. " RESIGN},
    [SIG_EARLY] = {"rrsig-not-yet-valid", STAGE_REJECT,
                   "signature by key {n0} begins {n1} s in the future",
                   "The signer's clock or this one is wrong by more than max_clock_skew."},
    [SIG_UNKNOWN_KEY] = {"rrsig-unknown-key", STAGE_REJECT,
                         "signature by key {n0} of algorithm {n1}, which is not in the DNSKEY set",
                         "The key was not published, was withdrawn too early, or is revoked. "
                         "Publish it, or sign with one that is."},
    [SIG_REVOKED_KEY] =
        {"rrsig-revoked-key", STAGE_REJECT,
         "signature by key {n0} of algorithm {n1}, which is revoked",
         "RFC 5011: a revoked key signs the DNSKEY set to say that it is revoked, and vouches for "
         "nothing. Sign the set with a key that the DS at the parent names as well."},
    [SIG_BOGUS] = {"rrsig-bogus", STAGE_REJECT,
                   "signature by key {n0} of algorithm {n1} does not verify",
                   "The data was changed after signing, or was signed by another key of the same "
                   "tag. " RESIGN},
    [SIG_TRIES] =
        {"rrsig-too-many-tries", STAGE_REJECT,
         "signature by key {n0} of algorithm {n1} was not tried with every key of its tag",
         "Other signatures over the rrset do not verify under several keys, and used up "
         "what max_keys_per_tag allows (CVE-2023-50387). " RESIGN},
    [SIG_UNSUPPORTED] = {"rrsig-unsupported", STAGE_REJECT,
                         "signature by key {n0} of algorithm {n1} cannot be checked here",
                         "No signature of an algorithm that can be checked is there."},
    [SIG_EXTRA] = {"rrsig-extra", STAGE_PASS, "extra signature by key {n0} {text}",
                   "Good signatures are there as well, so resolvers are not harmed. The signer "
                   "should clean up."},
    [SIG_EXPIRING] = {"rrsig-expiring", STAGE_PASS,
                      "{n0} rrsets have less than min_remaining left, this one least: {n1} s",
                      "Their last good signatures end. If the primary does not sign again in time, "
                      "the zone goes dark, name by name."},
    [SIG_ORPHAN] = {"rrsig-orphan", STAGE_REJECT,
                    "a signature covers {text}, which is not at this name",
                    "The data was removed after signing, or lost on the way. " RESIGN},
    [SIG_MISPLACED] =
        {"rrsig-misplaced", STAGE_REJECT, "a signature covers {text}",
         "RFC 4035 2.2: such data is not the zone's own and must not be signed. " RESIGN},
    [SIG_TTL] = {"rrsig-ttl", STAGE_PASS, "signatures have TTL {n0}, what they cover has {n1}",
                 "RFC 4034 3 asks for the same. Resolvers take the smaller. No action needed."},
    [SIG_END_BEFORE_REFRESH] =
        {"signatures-end-before-refresh", STAGE_PASS,
         "the first signatures end in {n0} s, before refresh and retry ({n1} s) are over",
         "If the next refresh fails, secondaries serve signatures that have ended. Sign earlier, "
         "or refresh more often."},

    [TTL_MIXED] = {"ttl-mixed", STAGE_PASS, "records with different TTLs; the smallest is {n0}",
                   "RFC 2181 5.2: one rrset has one TTL. The smallest is served."},
    [DS_MISPLACED] =
        {"ds-misplaced", STAGE_REJECT, "DS where there is no delegation",
         "A DS belongs beside the NS of a child, never at the apex. Remove it, or restore the NS."},
    [DELEGATION_OTHER_DATA] =
        {"delegation-other-data", STAGE_PASS, "data beside a delegation that hides it",
         "Only NS, DS, NSEC and glue have a meaning here: nobody is ever answered from the rest. "
         "It belongs into the child zone."},
    [NS_NO_ADDRESS] = {"ns-no-address", STAGE_PASS, "name server {text}",
                       "The name server is inside the zone and cannot be reached. Add its address, "
                       "or remove the NS."},
    [CNAME_MULTIPLE] =
        {"cname-multiple", STAGE_REJECT, "{n0} CNAME records at one name",
         "A name is an alias of one other name (RFC 2181 10.1). Remove all but one."},
    [CNAME_OTHER_DATA] =
        {"cname-other-data", STAGE_REJECT,
         "CNAME beside other data: {n0} types, the first is {text}",
         "An alias has no data of its own (RFC 1034 3.6.2): name servers differ in what they "
         "answer. Remove the CNAME, or the rest."},
    [DNAME_MULTIPLE] = {"dname-multiple", STAGE_REJECT, "{n0} DNAME records at one name",
                        "There is at most one (RFC 6672 2.4). Remove all but one."},
    [DNAME_AT_DELEGATION] =
        {"dname-at-delegation", STAGE_REJECT, "DNAME beside the NS of a delegation",
         "RFC 6672 2.3: what is below the name is either the child's or redirected, not both."},
    [DNAME_OCCLUDES] = {"dname-occludes", STAGE_PASS, "hidden by the DNAME of {text}",
                        "Records below a DNAME are never answered (RFC 6672 2.4). They do no harm; "
                        "remove them, or the DNAME."},
    [CDS_MISPLACED] = {"cds-misplaced", STAGE_PASS,
                       "a request to the parent that is not at the apex",
                       "RFC 7344 4.1: CDS and CDNSKEY mean something at the apex only. Remove it."},
    [CDS_NO_KEY] = {"cds-no-key", STAGE_PASS,
                    "key {n0} of algorithm {n1} is to be in the DS set, but is not a DNSKEY here",
                    "If the parent does so, and all are like this, the zone goes dark (RFC 7344 "
                    "4.1). Publish the key first."},
    [CDS_DISAGREE] = {"cds-disagree", STAGE_PASS, "key {n0} of algorithm {n1} {text}",
                      "RFC 7344 4: CDS and CDNSKEY ask for the same. What a parent does depends on "
                      "which it reads."},
    [CDS_TOO_MANY] = {"cds-too-many", STAGE_PASS, "{n0} CDS and CDNSKEY records, not looked at",
                      "More than max_keys keys could ask for."},

    [ZONEMD_MISSING] = {"zonemd-missing", STAGE_REJECT, "no ZONEMD at the apex",
                        "The policy is zonemd = require. Have the primary publish one, or set "
                        "if-present."},
    [ZONEMD_SERIAL] = {"zonemd-serial", STAGE_REJECT,
                       "ZONEMD is for serial {n0}, the zone has {n1}",
                       "The zone was changed after the digest was made. Have the primary make it "
                       "again; until then the last good version is served."},
    [ZONEMD_MISMATCH] =
        {"zonemd-mismatch", STAGE_REJECT,
         "the zone does not have the digest that ZONEMD of scheme {n0}, hash {n1} says",
         "Records were lost, added or changed on the way, or after the digest was made; glue and "
         "TTLs count as well. Transfer it again, and compare with the primary."},
    [ZONEMD_DUPLICATE] = {"zonemd-duplicate", STAGE_REJECT,
                          "more than one ZONEMD of scheme {n0} and hash {n1}",
                          "RFC 8976 2: none of them can be used. Remove all but the right one."},
    [ZONEMD_UNSUPPORTED] = {"zonemd-unsupported", STAGE_PASS,
                            "ZONEMD of scheme {n0} and hash {n1} cannot be checked here",
                            "Scheme 1 with hash 1 (SHA-384) or 2 (SHA-512) can be. The record "
                            "passes as it is."},
    [ZONEMD_UNVERIFIED] = {"zonemd-unverified", STAGE_REJECT,
                           "none of {n0} ZONEMD records can be checked here",
                           "The policy is zonemd = require. Have the primary publish scheme 1 with "
                           "hash 1 or 2."},
    [ZONEMD_EXTRA] = {"zonemd-extra", STAGE_PASS, "another ZONEMD of scheme {n0}, hash {n1} {text}",
                      "One that is right is there as well, and is enough (RFC 8976 4). The primary "
                      "should clean up."},

    [NSEC_MISSING] = {"nsec-missing", STAGE_REJECT, "the name has no NSEC",
                      "The chain has a gap: the name before can be denied wrongly. " RESIGN},
    [NSEC_MULTIPLE] = {"nsec-multiple", STAGE_REJECT, "{n0} NSEC records at one name",
                       "There is exactly one. " RESIGN},
    [NSEC_NEXT] = {"nsec-next", STAGE_REJECT, "NSEC leads to {text}",
                   "The chain skips names, or leads to one that is not there: names can be denied "
                   "that exist. " RESIGN},
    [NSEC_BITMAP] = {"nsec-bitmap", STAGE_REJECT, "NSEC {text}",
                     "The list of types is not what is there: types can be denied that exist, or "
                     "promised that do not. " RESIGN},
    [NSEC_MISPLACED] = {"nsec-misplaced", STAGE_REJECT, "NSEC where none may be: {text}", RESIGN},
    [NSEC_TTL] = {"nsec-ttl", STAGE_PASS,
                  "{n0} NSEC have another TTL than {n1}; this is the first one",
                  "RFC 9077: the smaller of the SOA's TTL and its minimum, or denials live longer "
                  "than they should. Upgrade the signer."},

    [NSEC3_PARAM] = {"nsec3-param", STAGE_REJECT,
                     "NSEC3PARAM with hash algorithm {n0}, flags {n1} cannot be used",
                     "Hash algorithm 1 and flags 0 are the only ones (RFC 5155)."},
    [NSEC3_PARAM_MANY] = {"nsec3-param-many", STAGE_REJECT,
                          "{n0} NSEC3PARAM records, at most {n1} are checked",
                          "One is normal, two while a zone changes its salt."},
    [NSEC3_ITERATIONS] =
        {"nsec3-iterations", STAGE_REJECT, "{n0} NSEC3 iterations, at most {n1} are allowed",
         "Resolvers treat such zones as insecure or fail them (RFC 9276, CVE-2023-50868)."},
    [NSEC3_ITERATIONS_HIGH] = {"nsec3-iterations-high", STAGE_PASS,
                               "{n0} NSEC3 iterations; 0 is recommended",
                               "RFC 9276: they cost everybody work and protect nothing."},
    [NSEC3_WORK] = {"nsec3-work", STAGE_REJECT,
                    "{n0} names to hash in a zone of {n1}: the chain was not checked",
                    "Names so deep, or so many iterations and so long a salt, that hashing costs "
                    "more than max_iterations stands for (CVE-2023-50868). Sign with 0 iterations "
                    "and no salt (RFC 9276)."},
    [NSEC3_CHAIN_MISSING] = {"nsec3-chain-missing", STAGE_REJECT,
                             "no NSEC3 with the parameters of NSEC3PARAM",
                             "The chain was lost, or is not built yet. " RESIGN},
    [NSEC3_MISSING] = {"nsec3-missing", STAGE_REJECT, "the name has no NSEC3 ({text})",
                       "The name can be denied although it exists. Only delegations without DS may "
                       "be left out, and only "
                       "below an NSEC3 with opt-out. " RESIGN},
    [NSEC3_NEXT] = {"nsec3-next", STAGE_REJECT, "NSEC3 leads to {text}",
                    "The chain skips hashes, or leads to one that is not there. " RESIGN},
    [NSEC3_BITMAP] = {"nsec3-bitmap", STAGE_REJECT, "NSEC3 {text}",
                      "The list of types is not what is at the hashed name. " RESIGN},
    [NSEC3_FLAGS] = {"nsec3-flags", STAGE_REJECT, "NSEC3 with flags {n0}",
                     "Only opt-out (1) has a meaning; resolvers ignore the record."},
    [NSEC3_EXTRA] = {"nsec3-extra", STAGE_REJECT, "NSEC3 is the hash of no name in the zone",
                     "A name was removed, but not its NSEC3. " RESIGN},
    [NSEC3_OWNER] = {"nsec3-owner", STAGE_REJECT,
                     "NSEC3 at a name that is not a hash below the apex", RESIGN},
    [NSEC3_MULTIPLE] = {"nsec3-multiple", STAGE_REJECT,
                        "{n0} NSEC3 records with the same parameters", RESIGN},
    [NSEC3_STRAY] = {"nsec3-stray", STAGE_REJECT, "{n0} NSEC3 records of no announced chain",
                     "Left over from, or the beginning of, another chain. denial = any accepts "
                     "them beside a whole chain."},
    [NSEC3_TTL] = {"nsec3-ttl", STAGE_PASS,
                   "{n0} NSEC3 have another TTL than {n1}; this is the first one",
                   "RFC 9077: the smaller of the SOA's TTL and its minimum, or denials live longer "
                   "than they should. Upgrade the signer."},
    {NULL, STAGE_PASS, NULL, NULL},
};
