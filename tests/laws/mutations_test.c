/* mutations: a zone that is right, and one thing in it made wrong, in more than eighty ways.
 *
 * Each is judged three times: from nothing, as a transfer of the whole zone would bring it; as a change of the version that is
 * right; and the right one again as a change of it, which must pass, as it must when the wrong one was let through. What
 * refuses it must be exactly what the table says. With NSEC and with NSEC3, by one key, by a KSK and a ZSK, and by two
 * algorithms; signatures by every algorithm there is.
 */
#include "tests/lib/mutation.h"
#include "tests/lib/stageplay.h"
#include "tests/lib/suite.h"

#include "pipeline/run/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOW = 1700000000 };

static const char zone_text[] =
    "@ 300 SOA ns1 hostmaster 1 3600 600 86400 300\n"
    "@ 300 NS ns1\n@ 300 NS ns.other.test.\n@ 300 MX 10 www\n"
    "ns1 300 A 192.0.2.1\n"
    "www 300 A 192.0.2.2\nwww 300 A 192.0.2.3\nwww 300 AAAA 2001:db8::2\nwww 300 TXT web\n"
    "*.wild 300 TXT wild\n"
    "deep.mid 300 TXT below\n"
    "alias 300 CNAME www\n"
    "moved 300 DNAME elsewhere.test.\n"
    "child 300 NS ns.child\nchild 300 NS ns.other.test.\n"
    "child 300 DS 1 13 2 C988EC423E3880EB8DD8A46FE06CA230EE23F35B578D64E78B29C3E1C83D245A\n"
    "ns.child 300 A 192.0.2.9\n"
    "plain 300 NS ns.other.test.\n"
    "odd 300 TYPE65400 \\# 4 DEADBEEF\n";

enum {
    NSEC = 1,
    NSEC3 = 2,
    BOTH = NSEC | NSEC3,
    OPT_OUT = 4,
    ONE_KEY = 8,
    TWO_ALGORITHMS = 16,
    ALL_ALGORITHMS = 32
};

#define BELOW_DNAME "add x.moved 300 A 192.0.2.9"
#define DIGEST384                                                                                  \
    "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F202122232425262728292A2B2C2D" \
    "2E2F"

static const struct row {
    const char *what;
    unsigned where;
    const char *plain;  /* done before the zone is signed */
    const char *script; /* done after */
    const char *
        want; /* the codes that refuse it, sorted; "note CODE": it passes with that; a final "…": and others */
} rows[] = {
    /* signatures */
    {"a signature lost", BOTH, "", "del www RRSIG:A", "rrsig-missing"},
    {"the SOA's signature lost", BOTH, "", "del @ RRSIG:SOA", "rrsig-missing"},
    {"the DNSKEY set's signature lost", BOTH, "", "del @ RRSIG:DNSKEY", "rrsig-missing"},
    {"a DS's signature lost", BOTH, "", "del child RRSIG:DS", "rrsig-missing …"},
    {"a wildcard's signature lost", BOTH, "", "del *.wild RRSIG:TXT", "rrsig-missing …"},
    {"an NSEC's signature lost", NSEC, "", "del child RRSIG:NSEC", "rrsig-missing"},
    {"an NSEC3's signature lost", NSEC3, "", "del #mid RRSIG:NSEC3", "rrsig-missing"},
    {"a signature's octet", BOTH | ALL_ALGORITHMS, "", "sig www A octet", "rrsig-bogus"},
    {"a signature one octet short", BOTH | ALL_ALGORITHMS, "", "sig www A short", "rrsig-bogus"},
    {"the apex NS's signature's octet", BOTH, "", "sig @ NS octet", "rrsig-bogus"},
    {"a wildcard's signature's octet", BOTH, "", "sig *.wild TXT octet", "rrsig-bogus"},
    {"an unknown type's signature's octet", BOTH, "", "sig odd TYPE65400 octet", "rrsig-bogus"},
    {"the DNSKEY set's signature's octet", BOTH, "", "sig @ DNSKEY octet", "rrsig-bogus"},
    {"data's octet", BOTH | ALL_ALGORITHMS, "", "octet www A -1", "rrsig-bogus"},
    {"a DS's octet", BOTH, "", "octet child DS -1", "rrsig-bogus"},
    {"a record more", BOTH, "", "add www 300 A 192.0.2.77", "rrsig-bogus"},
    {"a record less", BOTH, "", "one www A", "rrsig-bogus"},
    {"labels too few", BOTH, "", "sig www A labels 1", "rrsig-labels"},
    {"labels too many", BOTH, "", "sig www A labels 3", "rrsig-labels"},
    {"a wildcard's labels", BOTH, "", "sig *.wild TXT labels 3", "rrsig-labels"},
    {"original TTL", BOTH, "", "sig www A ttl 299", "rrsig-original-ttl"},
    {"TTL", BOTH, "", "ttl www A 299", "rrsig-original-ttl"},
    {"expired", BOTH, "", "sig www A expiration 1699999999", "rrsig-expired"},
    {"not valid yet", BOTH, "", "sig www A inception 1700003600", "rrsig-not-yet-valid"},
    {"another key tag", BOTH, "", "sig www A tag 1", "rrsig-unknown-key"},
    {"another algorithm", BOTH | ONE_KEY, "", "sig www A algorithm 200",
     "rrsig-algorithm-missing rrsig-unknown-key"},
    {"another signer", BOTH, "", "sig www A signer", "rrsig-signer"},
    {"another type covered", BOTH, "", "sig www A covered AAAA", "rrsig-missing"},
    {"a signature over glue", BOTH, "", "sign ns.child", "rrsig-misplaced"},
    {"a signature over a delegation", BOTH, "", "sign child", "rrsig-misplaced"},
    {"a signature over a signature", BOTH, "",
     "add www 300 RRSIG RRSIG 13 2 300 20260101000000 20200101000000 1 example. AAAA",
     "rrsig-misplaced"},
    {"a signature over nothing", BOTH, "",
     "add www 300 RRSIG HINFO 13 2 300 20260101000000 20200101000000 1 example. AAAA",
     "rrsig-orphan"},
    {"a signature below a DNAME", BOTH, BELOW_DNAME, "sign x.moved", "rrsig-misplaced"},
    {"a signature's own TTL", BOTH, "", "ttl www RRSIG:A 299", "note rrsig-ttl"},
    {"a bad signature beside the good one", BOTH, "", "double www A", "note rrsig-extra"},
    {"too many signatures", BOTH | ONE_KEY, "", "flood www A 40", "rrsig-too-many …"},
    {"an algorithm does not sign an rrset", BOTH | TWO_ALGORITHMS, "", "without www A 15",
     "rrsig-algorithm-missing"},
    /* keys */
    {"no keys", BOTH, "", "del @ DNSKEY", "dnskey-missing"},
    {"a key's octet", BOTH | ONE_KEY, "", "octet @ DNSKEY -1", "rrsig-unknown-key …"},
    {"a key without the zone flag", BOTH | ONE_KEY, "", "octet @ DNSKEY 0", "dnskey-no-zone-key"},
    {"a key of another protocol", BOTH | ONE_KEY, "", "octet @ DNSKEY 2",
     "dnskey-no-zone-key dnskey-protocol"},
    {"a key of another algorithm", BOTH | ONE_KEY, "", "octet @ DNSKEY 3", "rrsig-unknown-key …"},
    {"a key that cannot be one", BOTH, "", "add @ 300 DNSKEY 256 3 13 AAAA; sign @",
     "dnskey-malformed …"},
    {"a key that is not the zone's", BOTH, "", "add @ 300 DNSKEY 0 3 13 AAAA; sign @",
     "note dnskey-not-zone-key"},
    {"a key of an algorithm that signs nothing", BOTH | ONE_KEY, "",
     "add @ 300 DNSKEY 256 3 15 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=; sign @",
     "rrsig-algorithm-missing"},
    {"too many keys", BOTH, "", "keys 40; sign @", "dnskey-too-many"},
    /* NSEC */
    {"an NSEC lost", NSEC, "", "del ns1 NSEC; del ns1 RRSIG:NSEC", "nsec-missing"},
    {"the apex's NSEC lost", NSEC, "", "del @ NSEC; del @ RRSIG:NSEC",
     "denial-missing nsec-misplaced"},
    {"a delegation's NSEC lost", NSEC, "", "del plain NSEC; del plain RRSIG:NSEC", "nsec-missing"},
    {"an NSEC at an empty non-terminal", NSEC, "",
     "add mid 300 NSEC deep.mid.example. RRSIG NSEC; sign mid", "nsec-next"},
    {"an NSEC at glue", NSEC, "", "add ns.child 300 NSEC deep.mid.example. A RRSIG NSEC",
     "nsec-misplaced"},
    {"an NSEC below a DNAME", NSEC, BELOW_DNAME, "add x.moved 300 NSEC ns1.example. A RRSIG NSEC",
     "nsec-misplaced"},
    {"an NSEC leads too far", NSEC, "", "set ns1 NSEC plain.example. A RRSIG NSEC; sign ns1",
     "nsec-next"},
    {"an NSEC leads to what is not there", NSEC, "",
     "set ns1 NSEC ns2.example. A RRSIG NSEC; sign ns1", "nsec-next"},
    {"the last NSEC does not lead to the apex", NSEC, "",
     "set www NSEC zzz.example. A TXT AAAA RRSIG NSEC; sign www", "nsec-next"},
    {"an NSEC leads to glue", NSEC, "",
     "set child NSEC ns.child.example. NS DS RRSIG NSEC; signcut child", "nsec-next"},
    {"a bitmap lacks a type", NSEC, "", "set www NSEC example. A TXT RRSIG NSEC; sign www",
     "nsec-bitmap"},
    {"a bitmap lacks RRSIG", NSEC, "", "set www NSEC example. A TXT AAAA NSEC; sign www",
     "nsec-bitmap"},
    {"a bitmap lists a type", NSEC, "", "set www NSEC example. A MX TXT AAAA RRSIG NSEC; sign www",
     "nsec-bitmap"},
    {"a bitmap lists an unknown type", NSEC, "",
     "set www NSEC example. A TXT AAAA RRSIG NSEC TYPE65280; sign www", "nsec-bitmap"},
    {"a bitmap lacks an unknown type", NSEC, "", "set odd NSEC plain.example. RRSIG NSEC; sign odd",
     "nsec-bitmap"},
    {"a delegation's bitmap lists glue", NSEC, "",
     "set child NSEC deep.mid.example. A NS DS RRSIG NSEC; signcut child", "nsec-bitmap"},
    {"a delegation's bitmap lacks DS", NSEC, "",
     "set child NSEC deep.mid.example. NS RRSIG NSEC; signcut child", "nsec-bitmap"},
    {"a wildcard's bitmap lists a type (slack.com 2021)", NSEC, "",
     "set *.wild NSEC www.example. A TXT RRSIG NSEC; sign *.wild", "nsec-bitmap"},
    {"two NSEC at a name", NSEC, "", "add www 300 NSEC example. A; sign www", "nsec-multiple …"},
    {"an NSEC's TTL", NSEC, "", "ttl www NSEC 200; sign www", "note nsec-ttl"},
    {"a name more", NSEC, "", "add new 300 A 192.0.2.5; sign new", "nsec-missing nsec-next"},
    {"a name less", NSEC, "", "del odd *", "nsec-next"},
    {"a delegation less", NSEC, "", "del plain *", "nsec-next"},
    {"glue that became authoritative", NSEC, "", "del child *",
     "nsec-missing nsec-next rrsig-missing"},
    {"a delegation above names", NSEC, "", "add mid 300 NS ns.other.test.",
     "nsec-misplaced nsec-missing nsec-next rrsig-misplaced"},
    {"NSEC3PARAM beside NSEC", NSEC, "", "add @ 300 NSEC3PARAM 1 0 0 -; sign @",
     "denial-mixed nsec-bitmap nsec3-chain-missing"},
    {"an NSEC3 in an NSEC zone", NSEC, "",
     "add u04nhqk8k2j3ce5l6g92o6m5nlkonre6 300 NSEC3 1 0 0 - u04nhqk8k2j3ce5l6g92o6m5nlkonre7 A; "
     "sign u04nhqk8k2j3ce5l6g92o6m5nlkonre6",
     "nsec3-stray"},
    /* NSEC3 */
    {"an NSEC3 lost", NSEC3, "", "del #www *", "nsec3-missing nsec3-next"},
    {"a non-terminal's NSEC3 lost", NSEC3, "", "del #mid *", "nsec3-missing nsec3-next"},
    {"a wildcard's NSEC3 lost", NSEC3, "", "del #*.wild *", "nsec3-missing nsec3-next"},
    {"an insecure delegation's NSEC3 lost", NSEC3, "", "del #plain *", "nsec3-missing nsec3-next"},
    {"a secure delegation's NSEC3 lost under opt-out", NSEC3 | OPT_OUT, "", "del #child *",
     "nsec3-missing nsec3-next"},
    {"an NSEC3 for a name that is not there", NSEC3, "", "copy3 #www #nosuch",
     "nsec3-extra nsec3-next"},
    {"an NSEC3 for glue", NSEC3, "", "copy3 #www #ns.child", "nsec3-extra nsec3-next"},
    {"an NSEC3 for a name below a DNAME", NSEC3, BELOW_DNAME, "copy3 #www #x.moved",
     "nsec3-extra nsec3-next"},
    {"an NSEC3 leads elsewhere", NSEC3, "", "octet #www NSEC3 8; sign #www", "nsec3-next"},
    {"an NSEC3's flags", NSEC3, "", "flag #www 2; sign #www", "nsec3-flags"},
    {"an NSEC3's bitmap", NSEC3, "", "octet #www NSEC3 -1; sign #www", "nsec3-bitmap"},
    {"an NSEC3's iterations", NSEC3, "", "octet #www NSEC3 3; sign #www",
     "nsec3-missing nsec3-next nsec3-stray"},
    {"an NSEC3's algorithm", NSEC3, "", "octet #www NSEC3 0; sign #www",
     "nsec3-missing nsec3-next nsec3-stray"},
    {"an NSEC3's TTL", NSEC3, "", "ttl #www NSEC3 200; sign #www", "note nsec3-ttl"},
    {"two NSEC3 at a hash", NSEC3, "", "copy3 #ns1 #www", "nsec3-multiple …"},
    {"an NSEC3 at what is no hash", NSEC3, "",
     "copy3 #www #www; add hash 300 NSEC3 1 0 0 - u04nhqk8k2j3ce5l6g92o6m5nlkonre7 A; sign hash",
     "nsec3-owner"},
    {"no NSEC3PARAM", NSEC3, "", "del @ NSEC3PARAM; del @ RRSIG:NSEC3PARAM",
     "denial-missing nsec3-stray"},
    {"NSEC3PARAM of another chain", NSEC3, "", "set @ NSEC3PARAM 1 0 7 -; sign @",
     "nsec3-chain-missing nsec3-stray"},
    {"NSEC3PARAM's flags", NSEC3, "", "set @ NSEC3PARAM 1 1 0 -; sign @", "nsec3-param"},
    {"NSEC3PARAM of many iterations", NSEC3, "", "set @ NSEC3PARAM 1 0 500 -; sign @",
     "nsec3-iterations"},
    {"a second NSEC3PARAM without a chain", NSEC3, "", "add @ 0 NSEC3PARAM 1 0 1 -; sign @",
     "nsec3-chain-missing"},
    {"three NSEC3PARAM", NSEC3, "",
     "add @ 0 NSEC3PARAM 1 0 1 -; add @ 0 NSEC3PARAM 1 0 2 -; sign @", "nsec3-param-many"},
    {"an NSEC in an NSEC3 zone", NSEC3, "", "add www 300 NSEC example. A; sign www",
     "nsec-misplaced nsec3-bitmap"},
    {"a name more", NSEC3, "", "add new 300 A 192.0.2.5; sign new", "nsec3-missing"},
    {"a name less", NSEC3, "", "del odd *", "nsec3-extra"},
    {"a type more", NSEC3, "", "add odd 300 A 192.0.2.5; sign odd", "nsec3-bitmap"},
    {"a delegation above names", NSEC3, "", "add deep 300 NS ns.other.test.", "nsec3-missing"},
    {"opt-out ends above an insecure delegation", NSEC3 | OPT_OUT, "", "flags 0", "nsec3-missing"},
    {"DS for a delegation that opt-out covers", NSEC3 | OPT_OUT, "",
     "add plain 300 DS 1 13 2 "
     "C988EC423E3880EB8DD8A46FE06CA230EE23F35B578D64E78B29C3E1C83D245A; signcut plain",
     "nsec3-missing"},
    /* delegations, aliases, the apex */
    {"DS where no delegation is", BOTH,
     "add www 300 DS 1 13 2 C988EC423E3880EB8DD8A46FE06CA230EE23F35B578D64E78B29C3E1C83D245A", "",
     "ds-misplaced"},
    {"DS at the apex", BOTH,
     "add @ 300 DS 1 13 2 C988EC423E3880EB8DD8A46FE06CA230EE23F35B578D64E78B29C3E1C83D245A", "",
     "ds-misplaced"},
    {"the NS under a DS gone", BOTH, "del child NS", "", "ds-misplaced"},
    {"CNAME and other data", BOTH, "add alias 300 TXT x", "", "cname-other-data"},
    {"two CNAMEs", BOTH, "add alias 300 CNAME ns1", "", "cname-multiple"},
    {"two DNAMEs", BOTH, "add moved 300 DNAME other.test.", "", "dname-multiple"},
    {"a DNAME at a delegation", BOTH, "add child 300 DNAME other.test.", "", "dname-at-delegation"},
    {"SOA below the apex", BOTH, "add www 300 SOA ns1 hostmaster 1 1 1 1 1", "", "soa-misplaced"},
    {"two SOA records", BOTH, "add @ 300 SOA ns1 other 1 3600 600 86400 300", "", "soa-multiple"},
    {"no SOA", BOTH, "", "del @ SOA; del @ RRSIG:SOA", "soa-missing"},
    {"no NS at the apex", BOTH, "del @ NS", "", "ns-missing"},
    {"other data at a delegation", BOTH, "add plain 300 TXT x", "", "note delegation-other-data"},
    {"glue lost", BOTH, "del ns.child *", "", "note ns-no-address"},
    {"a name below a DNAME", BOTH, BELOW_DNAME, "", "note dname-occludes"},
    {"CDS below the apex", BOTH,
     "add www 300 CDS 1 13 2 C988EC423E3880EB8DD8A46FE06CA230EE23F35B578D64E78B29C3E1C83D245A", "",
     "note cds-misplaced"},
    {"CDS for no key", BOTH,
     "add @ 300 CDS 1 13 2 C988EC423E3880EB8DD8A46FE06CA230EE23F35B578D64E78B29C3E1C83D245A", "",
     "note cds-no-key"},
    {"TTLs that differ", BOTH, "", "add www 200 A 192.0.2.88; ttl www RRSIG:A 200; sign www",
     "note ttl-mixed …"},
    {"the zone's digest is another's", BOTH, "add @ 300 ZONEMD 1 1 1 " DIGEST384, "",
     "zonemd-mismatch"},
    {"the zone's digest is of another serial", BOTH, "add @ 300 ZONEMD 2 1 1 " DIGEST384, "",
     "zonemd-serial …"},
    {"two digests of a kind", BOTH,
     "add @ 300 ZONEMD 1 1 1 " DIGEST384 "; add @ 300 ZONEMD 1 1 1 00" DIGEST384, "",
     "zonemd-duplicate …"},
};

/* --- zones --- */

enum { KEYS_MAX = 2 };
static const struct variant {
    const char *name;
    bool all; /* for rows of all algorithms only */
    struct {
        uint16_t flags;
        uint8_t algorithm;
    } key[KEYS_MAX];
} variants[] = {
    {"one key", false, {{DNSKEY_ZONE | DNSKEY_SEP, ALG_ECDSAP256}}},
    {"KSK and ZSK", false, {{DNSKEY_ZONE | DNSKEY_SEP, ALG_ED25519}, {DNSKEY_ZONE, ALG_ED25519}}},
    {"two algorithms",
     false,
     {{DNSKEY_ZONE | DNSKEY_SEP, ALG_ECDSAP256}, {DNSKEY_ZONE | DNSKEY_SEP, ALG_ED25519}}},
    {"RSASHA1", true, {{DNSKEY_ZONE | DNSKEY_SEP, ALG_RSASHA1_NSEC3}}},
    {"RSASHA256", true, {{DNSKEY_ZONE | DNSKEY_SEP, ALG_RSASHA256}}},
    {"RSASHA512", true, {{DNSKEY_ZONE | DNSKEY_SEP, ALG_RSASHA512}}},
    {"P-384", true, {{DNSKEY_ZONE | DNSKEY_SEP, ALG_ECDSAP384}}},
    {"Ed448", true, {{DNSKEY_ZONE | DNSKEY_SEP, ALG_ED448}}},
};
enum { ONE, TWO_KEYS, TWO };

struct trial {
    const struct row *row;
    char name[256];
    uint8_t apex[NAME_MAX_OCTETS];
    struct family *plain_family, *family;
    struct signer signer;
    struct stageplay play;
};

static void trial_open(struct trial *t, const struct row *row, const struct variant *variant,
                       bool nsec3)
{
    struct why why;
    *t = (struct trial){.row = row, .signer = signer_open(NOW, 1)};
    snprintf(t->name, sizeof(t->name), "%s (%s, %s)", row->what, nsec3 ? "NSEC3" : "NSEC",
             variant->name);
    signer_remove_key(&t->signer, 0);
    for (unsigned i = 0; i < KEYS_MAX && variant->key[i].flags; i++)
        signer_add_key(&t->signer, variant->key[i].flags, variant->key[i].algorithm, i + 1);
    t->signer.nsec = !nsec3;
    t->signer.nsec3 = nsec3;
    t->signer.opt_out = row->where & OPT_OUT;
    name_parse("example.", t->apex, NULL);
    t->plain_family = family_new(t->apex);
    t->family = family_new(t->apex);
    int rc = stageplay_open(&t->play, registry_find("validate"), t->apex,
                            nsec3 ? "denial=nsec3-only" : "", &why);
    ck_assert_msg(rc == 0, "%s", why.text);
}

static void trial_close(struct trial *t)
{
    stageplay_close(&t->play);
    signer_close(&t->signer);
    family_unref(t->plain_family);
    family_unref(t->family);
}

static struct snapshot *signed_zone(struct trial *t, const char *script,
                                    const struct snapshot *before)
{
    struct snapshot *plain = mutation_zone(zone_text, t->plain_family);
    struct snapshot *changed = mutation_apply(script, plain, t->plain_family, &t->signer);
    struct snapshot *made = signer_sign(&t->signer, changed, t->family, before);
    snapshot_unref(plain);
    snapshot_unref(changed);
    return made;
}

/* --- judging --- */

static int text_order(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

/* The codes that refuse, sorted, each once. */
static void codes_of(const struct stageresult *result, char *out, size_t cap)
{
    const char *code[64], *last = "";
    size_t n = 0, len = 0;
    for (size_t i = 0; i < result->findings->n && n < 64; i++)
        if (result->findings->list[i].verdict != STAGE_PASS)
            code[n++] = result->findings->list[i].type->code;
    qsort(code, n, sizeof(code[0]), text_order);
    *out = '\0';
    for (size_t i = 0; i < n; i++) {
        if (strcmp(code[i], last) != 0)
            len += (size_t)snprintf(out + len, cap - len, "%s%s", len ? " " : "", code[i]);
        last = code[i];
    }
}

static bool has_note(const struct stageresult *result, const char *code)
{
    for (size_t i = 0; i < result->findings->n; i++)
        if (strcmp(result->findings->list[i].type->code, code) == 0)
            return true;
    return false;
}

/* Is what was found what the row says? A note may be about what did not change, and then is told once, of the whole. */
static void expect_row(const struct trial *t, const struct stageresult *result, bool whole,
                       const char *way)
{
    char codes[1024], want[256];
    snprintf(want, sizeof(want), "%s", t->row->want);
    char *more = strstr(want, " …");
    if (more)
        *more = '\0';
    codes_of(result, codes, sizeof(codes));
    bool note = strncmp(want, "note ", 5) == 0;
    bool as_told = note   ? result->verdict == STAGE_PASS && (!whole || has_note(result, want + 5))
                   : more ? result->verdict == STAGE_REJECT && strstr(codes, want)
                          : result->verdict == STAGE_REJECT && strcmp(codes, want) == 0;
    if (as_told)
        return;
    ck_abort_msg("%s, %s: %s, not %s:\n%s", t->name, way, codes, t->row->want,
                 stageresult_print(result));
}

static void expect_pass(const struct trial *t, struct stageresult *result, const char *way)
{
    if (result->verdict != STAGE_PASS)
        ck_abort_msg("%s, %s:\n%s", t->name, way, stageresult_print(result));
}

static void row_try(const struct row *row, const struct variant *variant, bool nsec3)
{
    struct trial t;
    trial_open(&t, row, variant, nsec3);
    struct snapshot *good = signed_zone(&t, "", NULL);
    struct snapshot *whole = signed_zone(&t, row->plain, good);
    struct snapshot *bad = mutation_apply(row->script, whole, t.family, &t.signer);

    struct stageresult result = stageplay_run(&t.play, bad, NOW, false, NULL);
    expect_row(&t, &result, true, "from nothing");
    stageplay_drop(&t.play, &result);

    result = stageplay_run(&t.play, good, NOW, false, NULL);
    expect_pass(&t, &result, "the zone that is right");
    stageplay_accept(&t.play, &result);
    result = stageplay_run(&t.play, bad, NOW, false, NULL);
    expect_row(&t, &result, false, "as a change");

    /* let through all the same, and mended */
    stageplay_accept(&t.play, &result);
    result = stageplay_run(&t.play, good, NOW, false, NULL);
    expect_pass(&t, &result, "mended");
    stageplay_accept(&t.play, &result);
    result = stageplay_run(&t.play, bad, NOW, false, NULL);
    expect_row(&t, &result, false, "as a change of what was mended");
    stageplay_drop(&t.play, &result);

    snapshot_unref(good);
    snapshot_unref(whole);
    snapshot_unref(bad);
    trial_close(&t);
}

static bool row_fits(const struct row *row, const struct variant *variant)
{
    if (variant->all)
        return row->where & ALL_ALGORITHMS;
    if (row->where & ONE_KEY)
        return variant == &variants[ONE];
    return !(row->where & TWO_ALGORITHMS) || variant == &variants[TWO];
}

START_TEST(test_row)
{
    const struct row *row = &rows[_i];
    unsigned tried = 0;
    for (unsigned v = 0; v < sizeof(variants) / sizeof(variants[0]); v++)
        for (unsigned denial = NSEC; denial <= NSEC3; denial++)
            if (row->where & denial && row_fits(row, &variants[v])) {
                row_try(row, &variants[v], denial == NSEC3);
                tried++;
            }
    ck_assert_uint_gt(tried, 0);
}
END_TEST

/* --- the table --- */

/* What no single mutation of this zone brings about; golden cases show each. */
static const char *const elsewhere[] = {
    "dnskey-limits",
    "dnskey-unsupported",
    "dnskey-unsupported-only",
    "dnskey-same-tag",
    "dnskey-tag-flood",
    "dnskey-revoked",
    "dnskey-sep-unsigned",
    "trust-anchor-missing",
    "trust-anchor-unsigned",
    "denial-nsec",
    "denial-nsec3",
    "rrsig-too-many-tries",
    "rrsig-revoked-key",
    "rrsig-unsupported",
    "rrsig-expiring",
    "signatures-end-before-refresh",
    "cds-disagree",
    "cds-too-many",
    "zonemd-missing",
    "zonemd-unsupported",
    "zonemd-unverified",
    "zonemd-extra",
    "nsec3-iterations-high",
    "nsec3-work",
};

/* Every finding of the stage is some row's, or listed. */
START_TEST(test_all_codes)
{
    const struct finding_type *findings = registry_find("validate")->findings;
    for (; findings->code; findings++) {
        bool found = false;
        size_t len = strlen(findings->code);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
            for (const char *p = rows[i].want; (p = strstr(p, findings->code)); p += len)
                found |= (p[len] == '\0' || p[len] == ' ') && (p == rows[i].want || p[-1] == ' ');
        for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++)
            found |= strcmp(elsewhere[i], findings->code) == 0;
        ck_assert_msg(found, "no mutation shows %s", findings->code);
    }
}
END_TEST

int main(void)
{
    struct suite s = suite_open("mutations");
    tcase_add_loop_test(s.tcase, test_row, 0, (int)(sizeof(rows) / sizeof(rows[0])));
    suite_add(s, test_all_codes);
    return suite_run(s);
}
