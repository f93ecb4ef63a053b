/* findings: what sign reports. Codes are stable; the order is that of enum sign_code.
 *
 * {n0} is a key's tag and {n1} its algorithm wherever a key is meant.
 */
#include "stages/sign/sign.h"

const struct finding_type sign_findings[] = {
    [SIGN_SOA_MISSING] = {"soa-missing", STAGE_REJECT, "no SOA at the apex",
                          "Without SOA this is no zone: the transfer or the file is broken at its "
                          "source."},
    [SIGN_INPUT_SIGNED] =
        {"input-signed", STAGE_REJECT, "{text} in what is to be signed",
         "Somebody else signed the zone, or a part of it. Put the stage strip before sign, or take "
         "the records out at the primary."},
    [SIGN_TOO_MANY_RECORDS] =
        {"too-many-records", STAGE_REJECT,
         "with its signatures the name has more records than one "
         "name can hold",
         "65,535 records are the limit, signatures included. Nobody can transfer or use so many: "
         "the primary's data is broken."},
    [SIGN_NO_KEYS] =
        {"no-keys", STAGE_RETRY, "the zone has no keys",
         "`weir key generate ZONE` makes them, `weir key import ZONE` takes those that "
         "there are; `weir key list ZONE` shows them. Until then the last good version "
         "is served, if there is one: never one without signatures."},
    [SIGN_NO_KSK] =
        {"no-ksk", STAGE_RETRY, "no key signs the DNSKEY set, and there is no set made elsewhere",
         "The zone wants a KSK or CSK that is in use (`weir key list ZONE` shows the states), or "
         "DNSKEY sets that a KSK elsewhere signed: in the file that keys.offline_ksk names, or "
         "with the transfer."},
    [SIGN_NO_ZSK] = {"no-zsk", STAGE_RETRY, "no key signs the zone's data",
                     "The zone wants a ZSK or CSK that is in use: `weir key list ZONE` shows the "
                     "states, `weir key generate ZONE` makes one."},
    [SIGN_KEY_ABSENT] =
        {"key-absent", STAGE_RETRY,
         "key {n0} of algorithm {n1} is to sign, and its private half is "
         "not here",
         "Its file cannot be read, or the HSM is gone. The last good version is served meanwhile, "
         "and its signatures end some day: see good_until in `weir status`."},
    [SIGN_KEY_UNFIT] = {"key-unfit", STAGE_REJECT,
                        "the private half of key {n0} of algorithm {n1} is not that of its DNSKEY",
                        "Signatures by it would be worth nothing. Two keys were mixed up, in the "
                        "key's folder or in "
                        "the HSM: put the right file back, or retire the key."},
    [SIGN_KEY_SAME_TAG] =
        {"key-same-tag", STAGE_REJECT, "two keys have the tag {n0} and algorithm {n1}",
         "Nobody could tell whose signature is whose. Retire one of them and generate another."},
    [SIGN_FAILED] =
        {"failed", STAGE_RETRY, "key {n0} of algorithm {n1} cannot sign: {text}",
         "Nothing of this version goes out half signed. An HSM that comes back needs no "
         "help: it will be tried again."},
    [SIGN_CLOCK] = {"clock", STAGE_RETRY, "the clock says {n0}, and {n1} was passed already",
                    "Seconds since 1970. Signatures that begin in the future are good for nobody: "
                    "set the clock "
                    "(NTP) right. Before 2020 it is believed in no case. If it is right now and "
                    "was ahead before, what is served was signed in that future: `weir dnssec ZONE "
                    "resign` signs all of it anew by the clock as it is."},
    [SIGN_PREPARED_NONE] =
        {"prepared-none", STAGE_RETRY,
         "none of the {n0} DNSKEY sets that were made elsewhere is valid now",
         "The KSK is elsewhere. Have its holder sign a DNSKEY set for the time to come, and give "
         "it "
         "to weir, in the file that keys.offline_ksk names or with the transfer. Nothing goes out "
         "with a DNSKEY set that has no valid signature."},
    [SIGN_PREPARED_ENDS] = {"prepared-ends", STAGE_PASS,
                            "the last of the DNSKEY sets that were made elsewhere ends in {n0} s",
                            "The KSK is elsewhere. Have its holder sign a DNSKEY set for the time "
                            "after, and give it to "
                            "weir. When it has ended no new version goes out."},
    [SIGN_PREPARED_KEY] =
        {"prepared-key", STAGE_RETRY,
         "key {n0} of algorithm {n1} signs, and is not in the DNSKEY set that was made elsewhere",
         "Signatures by it would not verify, so nothing new goes out. Give the key to the holder "
         "of "
         "the KSK (`weir key export ZONE` prints it), who signs a DNSKEY set that has it."},
    [SIGN_PREPARED_ALGORITHM] =
        {"prepared-algorithm", STAGE_RETRY,
         "key {n0} of the DNSKEY set that was made elsewhere has algorithm {n1}, and no key of "
         "ours "
         "that signs has",
         "Where the DNSKEY set has an algorithm, each set of the zone must be signed by it (RFC "
         "4035 2.2), so all signers use the same ones (RFC 8901 4). Set keys.algorithm, or have "
         "the "
         "holder of the KSK go back to ours."},
    [SIGN_NSEC3_COLLISION] =
        {"nsec3-collision", STAGE_REJECT, "the NSEC3 hash of this name is that of {text}",
         "RFC 5155 7.1: one record cannot speak of two names. Nobody meets this by accident. Set "
         "another nsec3_salt, or find out who registered the two."},
    [SIGN_NSEC3_ITERATIONS] =
        {"nsec3-iterations", STAGE_PASS, "nsec3_iterations is {n0}; it should be 0",
         "RFC 9276 3.1: more than one hash a name costs every server and resolver time, and hides "
         "nothing from who can hash a dictionary. Resolvers may take the zone for unsigned."},
    [SIGN_NSEC3_SALT] = {"nsec3-salt", STAGE_PASS, "there is a salt of {n0} octets; none is needed",
                         "RFC 9276 3.1: the zone's own name is in every hash already, so a salt "
                         "keeps nobody from preparing a dictionary who did not have to anyway."},
    {NULL, STAGE_PASS, NULL, NULL},
};
