/* validate_bounds: what a zone made to be slow costs validate (KeyTrap, CVE-2023-50387; NSEC3, CVE-2023-50868), against a
 * zone that is well made.
 *
 * Counted: public key operations of OpenSSL and SHA-1 hashes, by standing between weir and libcrypto. 100 hashes are taken
 * for one operation. Each zone's cost a record is compared with the well-made zone's; three times it is the bound.
 */
#include "tests/lib/crypto_count.h"
#include "tests/lib/signer.h"
#include "tests/lib/stageplay.h"
#include "tests/lib/suite.h"

#include "pipeline/run/registry.h"

#include <string.h>

enum { NAMES = 200, NOW = 1700000000, HASHES_AN_OPERATION = 100, FACTOR = 3 };

/* --- zones --- */

struct zone {
    uint8_t apex[NAME_MAX_OCTETS];
    struct family *family;
    struct signer signer;
    struct snapshot *version;
};

static void add(struct edit *e, const char *owner, uint16_t type, const void *rdata, uint16_t len)
{
    uint8_t name[NAME_MAX_OCTETS];
    struct why why;
    ck_assert_int_gt(name_parse(owner, name, &why), 0);
    ck_assert_int_eq(edit_add(e, name, type, 300, rdata, len, NULL), 0);
}

/* names of one A record each, `labels` below the apex; unsigned. */
static struct snapshot *zone_plain(struct zone *z, unsigned labels)
{
    static const uint8_t soa[] =
        "\2ns\4test\0\1h\4test\0\0\0\0\1\0\0\16\20\0\0\2\130\0\1\121\200\0\0\1"
        "\54";
    static const uint8_t ns[] = "\2ns\5other";
    struct edit *e = edit_open(z->family, NULL, NULL);
    struct snapshot *plain;
    add(e, "bound.test.", RR_SOA, soa, sizeof(soa) - 1);
    add(e, "bound.test.", RR_NS, ns, sizeof(ns));
    for (unsigned i = 0; i < NAMES; i++) {
        char owner[NAME_TEXT_MAX] = "";
        for (unsigned k = 1; k < labels; k++)
            strcat(owner, "a.");
        snprintf(owner + strlen(owner), 64, "host%u.bound.test.", i);
        add(e, owner, RR_A, "\300\0\2\1", 4);
    }
    ck_assert_int_eq(edit_seal(&e, &plain, NULL, NULL), 0);
    return plain;
}

static struct zone zone_open(uint8_t algorithm)
{
    struct zone z = {0};
    name_parse("bound.test.", z.apex, NULL);
    z.family = family_new(z.apex);
    z.signer = signer_open(NOW, 1);
    signer_remove_key(&z.signer, 0);
    signer_add_key(&z.signer, DNSKEY_ZONE | DNSKEY_SEP, algorithm, 1);
    return z;
}

static void zone_sign(struct zone *z, unsigned labels)
{
    struct snapshot *plain = zone_plain(z, labels);
    z->version = signer_sign(&z->signer, plain, z->family, NULL);
    snapshot_unref(plain);
}

static void zone_close(struct zone *z)
{
    snapshot_unref(z->version);
    signer_close(&z->signer);
    family_unref(z->family);
}

/* Three keys of one tag instead of the one there is, found by trying. */
static void zone_same_tags(struct zone *z)
{
    enum { TRIES = 20000 };
    static uint32_t first[65536], second[65536];
    uint8_t algorithm = z->signer.key[0].rdata[3];
    memset(first, 0, sizeof(first));
    memset(second, 0, sizeof(second));
    signer_remove_key(&z->signer, 0);
    for (uint32_t seed = 1; seed < TRIES; seed++) {
        unsigned index = signer_add_key(&z->signer, DNSKEY_ZONE | DNSKEY_SEP, algorithm, seed);
        uint16_t tag = z->signer.key[index].tag;
        if (first[tag] && second[tag]) {
            signer_add_key(&z->signer, DNSKEY_ZONE | DNSKEY_SEP, algorithm, first[tag]);
            signer_add_key(&z->signer, DNSKEY_ZONE | DNSKEY_SEP, algorithm, second[tag]);
            return;
        }
        *(first[tag] ? &second[tag] : &first[tag]) = seed;
        signer_remove_key(&z->signer, index);
    }
    ck_abort_msg("no three keys of one tag");
}

/* Only the key that comes last in the set signs: it is tried last. */
static void zone_sign_by_last(struct zone *z)
{
    unsigned last = 0;
    for (unsigned i = 1; i < z->signer.keys; i++)
        if (memcmp(z->signer.key[i].rdata, z->signer.key[last].rdata, z->signer.key[i].len) > 0)
            last = i;
    for (unsigned i = 0; i < z->signer.keys; i++)
        z->signer.key[i].sign = i == last;
}

/* One copy more of each signature, with other octets. Where it sorts is left to chance. */
static void spoil_node(struct edit *e, const struct node *node, unsigned copies, bool keep)
{
    for (unsigned i = 0; i < node->nrrsets; i++) {
        struct rrset set;
        struct rdata rdata = {0};
        uint8_t copy[512];
        node_rrset_at(node, i, &set);
        if (set.type != RR_RRSIG || set.covered == RR_DNSKEY)
            continue;
        ck_assert(rrset_first(&set, &rdata));
        memcpy(copy, rdata.data, rdata.len);
        if (!keep)
            ck_assert_int_eq(edit_del(e, node_name(node), RR_RRSIG, rdata.data, rdata.len, NULL),
                             0);
        for (unsigned c = 0; c < copies; c++) {
            copy[rdata.len - 60] = (uint8_t)(copy[rdata.len - 60] + 1);
            ck_assert_int_eq(edit_add(e, node_name(node), RR_RRSIG, set.ttl, copy, rdata.len, NULL),
                             0);
        }
    }
}

static void zone_spoil(struct zone *z, unsigned copies, bool keep)
{
    struct edit *e = edit_open(z->family, z->version, z->version);
    struct snapshot *spoilt;
    struct snapshot_iter it;
    for (const struct node *node = snapshot_first(&it, z->version); node; node = snapshot_next(&it))
        spoil_node(e, node, copies, keep);
    ck_assert_int_eq(edit_seal(&e, &spoilt, NULL, NULL), 0);
    snapshot_unref(z->version);
    z->version = spoilt;
}

/* --- costs --- */

/* A thousand times the operations a record. code: must be among the findings. */
static uint64_t cost(const struct zone *z, const char *options, enum verdict verdict,
                     const char *code)
{
    struct stageplay play;
    struct why why;
    int rc = stageplay_open(&play, registry_find("validate"), z->apex, options, &why);
    ck_assert_msg(rc == 0, "%s", why.text);
    operations = hashes = 0;
    struct stageresult result = stageplay_run(&play, z->version, NOW, false, NULL);
    uint64_t spent = operations * 1000 + hashes * 1000 / HASHES_AN_OPERATION;
    char *text = stageresult_print(&result);
    ck_assert_msg(result.verdict == verdict, "%.2000s", text);
    ck_assert_msg(!code || strstr(text, code), "no %s in %.2000s", code, text);
    free(text);
    stageplay_drop(&play, &result);
    stageplay_close(&play);
    return spent / z->version->records;
}

static uint64_t well_made(uint8_t algorithm, bool nsec3)
{
    struct zone z = zone_open(algorithm);
    z.signer.nsec = !nsec3;
    z.signer.nsec3 = nsec3;
    zone_sign(&z, 1);
    uint64_t spent = cost(&z, nsec3 ? "denial=nsec3-only" : "", STAGE_PASS, NULL);
    /* SOA, NS, DNSKEY, A of each name, NSEC of each and of the apex; each with its signature */
    if (!nsec3)
        ck_assert_uint_eq(z.version->records, 2 * (3 + NAMES + NAMES + 1));
    ck_assert_uint_ge(spent, 490);
    ck_assert_uint_le(spent, 520);
    zone_close(&z);
    return spent;
}

static const uint8_t algorithms[] = {ALG_ECDSAP256, ALG_ED25519};

static void expect_bound(const char *what, uint64_t slow, uint64_t well)
{
    ck_assert_msg(slow <= FACTOR * well, "%s: %lu, well made: %lu (thousandths a record)", what,
                  (unsigned long)slow, (unsigned long)well);
}

/* Right in every way, and two keys are tried in vain for each signature. */
START_TEST(test_same_tag)
{
    struct zone z = zone_open(algorithms[_i]);
    zone_same_tags(&z);
    zone_sign_by_last(&z);
    zone_sign(&z, 1);
    uint64_t slow = cost(&z, "", STAGE_PASS, "dnskey-same-tag"),
             well = well_made(algorithms[_i], false);
    ck_assert_uint_gt(slow, 2 * well); /* else this is no attack */
    expect_bound("three keys of one tag", slow, well);
    zone_close(&z);
}
END_TEST

/* Signatures that verify under none of three keys: 1, 2 and 16 of them; 15 beside a right one. */
START_TEST(test_bogus)
{
    static const struct {
        unsigned copies;
        bool keep;
    } cases[] = {{1, false}, {2, false}, {16, false}, {15, true}};
    uint64_t well = well_made(ALG_ED25519, false);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct zone z = zone_open(ALG_ED25519);
        zone_same_tags(&z);
        zone_sign_by_last(&z);
        zone_sign(&z, 1);
        zone_spoil(&z, cases[i].copies, cases[i].keep);
        bool tries = cases[i].copies > 1;
        uint64_t slow = cost(&z, "", STAGE_REJECT, tries ? "rrsig-too-many-tries" : "rrsig-bogus");
        expect_bound("bogus signatures", slow, well);
        zone_close(&z);
    }
}
END_TEST

/* More signatures than are allowed: those past the limit cost nothing. */
START_TEST(test_too_many)
{
    struct zone z = zone_open(ALG_ED25519);
    zone_sign(&z, 1);
    zone_spoil(&z, 200, false);
    uint64_t slow = cost(&z, "", STAGE_REJECT, "rrsig-too-many");
    ck_assert_uint_lt(slow, well_made(ALG_ED25519, false) / 4);
    zone_close(&z);
}
END_TEST

/* Iterations, salt and non-terminals. `limit` is told where it is past what is allowed, and then hashes cost nothing. */
START_TEST(test_nsec3)
{
    static const struct {
        unsigned iterations, labels;
        const char *limit;
    } cases[] = {{0, 1, NULL},
                 {100, 1, NULL},
                 {0, 100, "nsec3-work"},
                 {101, 1, "nsec3-iterations: "},
                 {100, 20, "nsec3-work"}};
    uint64_t well = well_made(ALG_ED25519, true);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct zone z = zone_open(ALG_ED25519);
        z.signer.nsec = false;
        z.signer.nsec3 = true;
        z.signer.iterations = (uint16_t)cases[i].iterations;
        zone_sign(&z, cases[i].labels);
        if (cases[i].limit &&
            cases[i].labels > 1) { /* the attacker leaves NSEC3 out that he need not make */
            struct edit *e = edit_open(z.family, z.version, z.version);
            struct snapshot *thin;
            struct snapshot_iter it;
            unsigned kept = 0;
            for (const struct node *node = snapshot_first(&it, z.version); node;
                 node = snapshot_next(&it))
                if (node_has(node, RR_NSEC3) && kept++ > 0)
                    edit_remove(e, node_name(node));
            ck_assert_int_eq(edit_seal(&e, &thin, NULL, NULL), 0);
            snapshot_unref(z.version);
            z.version = thin;
        }
        uint64_t slow = cost(&z, "denial=nsec3-only", cases[i].limit ? STAGE_REJECT : STAGE_PASS,
                             cases[i].limit);
        expect_bound("NSEC3", slow, well);
        ck_assert(!cases[i].limit || hashes == 0);
        zone_close(&z);
    }
}
END_TEST

int main(void)
{
    struct suite s = suite_open("validate_bounds");
    tcase_add_loop_test(s.tcase, test_same_tag, 0, sizeof(algorithms));
    suite_add(s, test_bogus);
    suite_add(s, test_too_many);
    suite_add(s, test_nsec3);
    return suite_run(s);
}
