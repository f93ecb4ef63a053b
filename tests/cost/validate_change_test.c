/* validate_change: what validate does for a change is the change's size, whatever the zone's.
 *
 * Counted, in zones of a thousand and of many names (30,000; WEIR_COST_NAMES=1000000 for more), NSEC and NSEC3: names
 * visited, public key operations and SHA-1 hashes, by standing between weir and libcrypto. Ten names get another address; five
 * come and five go; a standby key comes; nothing changes and time passes. The zones' first judgement verifies by tables, which
 * is not counted; the few signatures of a change are OpenSSL's to verify.
 */
#include "tests/lib/crypto_count.h"
#include "tests/lib/random.h"
#include "tests/lib/signer.h"
#include "tests/lib/stageplay.h"
#include "tests/lib/suite.h"

#include "pipeline/run/registry.h"

#include <stdlib.h>
#include <string.h>

enum { FEW = 1000, MANY = 30000, NOW = 1700000000, CHANGED = 10 };

/* --- a zone, and its changes --- */

struct zone {
    uint8_t apex[NAME_MAX_OCTETS];
    unsigned n, serial;
    struct family *plain_family, *family;
    struct signer signer;
    struct snapshot *plain;
    struct stageplay play;
};

static void put_host(struct edit *e, const char *label, uint32_t address)
{
    uint8_t owner[NAME_MAX_OCTETS], rdata[4];
    char text[64];
    snprintf(text, sizeof(text), "%s.cost.test.", label);
    ck_assert_int_gt(name_parse(text, owner, NULL), 0);
    put_u32(rdata, address);
    edit_remove(e, owner);
    ck_assert_int_eq(edit_add(e, owner, RR_A, 300, rdata, 4, NULL), 0);
}

static void put_soa(struct zone *z, struct edit *e)
{
    uint8_t soa[] = "\2ns\4test\0\1h\4test\0\0\0\0\1\0\0\16\20\0\0\2\130\0\1\121\200\0\0\1\54";
    uint16_t len = sizeof(soa) - 1;
    if (z->serial) {
        put_u32(soa + len - 20, z->serial);
        ck_assert_int_eq(edit_del(e, z->apex, RR_SOA, soa, len, NULL), 0);
    }
    put_u32(soa + len - 20, ++z->serial);
    ck_assert_int_eq(edit_add(e, z->apex, RR_SOA, 300, soa, len, NULL), 0);
}

static void plain_seal(struct zone *z, struct edit *e)
{
    struct snapshot *next;
    ck_assert_int_eq(edit_seal(&e, &next, NULL, NULL), 0);
    snapshot_unref(z->plain);
    z->plain = next;
}

static struct snapshot *signed_now(struct zone *z)
{
    return signer_sign(&z->signer, z->plain, z->family, z->play.prev);
}

static void zone_open(struct zone *z, unsigned n, bool nsec3)
{
    struct why why;
    *z = (struct zone){.n = n, .signer = signer_open(NOW, 1)};
    z->signer.nsec = !nsec3;
    z->signer.nsec3 = nsec3;
    name_parse("cost.test.", z->apex, NULL);
    z->plain_family = family_new(z->apex);
    z->family = family_new(z->apex);
    struct edit *e = edit_open(z->plain_family, NULL, NULL);
    put_soa(z, e);
    ck_assert_int_eq(edit_add(e, z->apex, RR_NS, 300, (const uint8_t *)"\2ns\5other", 10, NULL), 0);
    for (unsigned i = 0; i < n; i++) {
        char label[32];
        snprintf(label, sizeof(label), "h%u", i);
        put_host(e, label, i);
    }
    plain_seal(z, e);
    int rc = stageplay_open(&z->play, registry_find("validate"), z->apex,
                            nsec3 ? "denial=nsec3-only" : "", &why);
    ck_assert_msg(rc == 0, "%s", why.text);
    struct snapshot *first = signed_now(z);
    struct stageresult result = stageplay_run(&z->play, first, NOW, false, NULL);
    ck_assert_int_eq(result.verdict, STAGE_PASS);
    stageplay_accept(&z->play, &result);
    snapshot_unref(first);
}

static void zone_close(struct zone *z)
{
    stageplay_close(&z->play);
    snapshot_unref(z->plain);
    signer_close(&z->signer);
    family_unref(z->plain_family);
    family_unref(z->family);
}

struct cost {
    uint64_t visited, operations, hashes;
};

static struct cost judged(struct zone *z, const struct snapshot *next, bool woken)
{
    operations = hashes = 0;
    struct stageresult result = stageplay_run(&z->play, next, NOW, woken, NULL);
    struct cost cost = {result.visited, operations, hashes};
    if (result.verdict != STAGE_PASS)
        ck_abort_msg("%s", stageresult_print(&result));
    stageplay_accept(&z->play, &result);
    return cost;
}

static struct cost changed(struct zone *z)
{
    struct snapshot *next = signed_now(z);
    struct cost cost = judged(z, next, false);
    snapshot_unref(next);
    return cost;
}

static struct cost addresses_change(struct zone *z)
{
    struct edit *e = edit_open(z->plain_family, z->plain, z->plain);
    put_soa(z, e);
    for (unsigned i = 0; i < CHANGED; i++) {
        char label[32];
        snprintf(label, sizeof(label), "h%u", z->n / CHANGED * i);
        put_host(e, label, 77777777 + i);
    }
    plain_seal(z, e);
    return changed(z);
}

static struct cost names_come_and_go(struct zone *z)
{
    struct edit *e = edit_open(z->plain_family, z->plain, z->plain);
    put_soa(z, e);
    for (unsigned i = 0; i < CHANGED / 2; i++) {
        char label[32], text[64];
        uint8_t owner[NAME_MAX_OCTETS];
        snprintf(label, sizeof(label), "h%unew", z->n / CHANGED * i);
        put_host(e, label, i);
        snprintf(text, sizeof(text), "h%u.cost.test.", z->n / CHANGED * i + 3);
        ck_assert_int_gt(name_parse(text, owner, NULL), 0);
        ck_assert(edit_remove(e, owner));
    }
    plain_seal(z, e);
    return changed(z);
}

static struct cost standby_key(struct zone *z)
{
    struct edit *e = edit_open(z->plain_family, z->plain, z->plain);
    put_soa(z, e);
    plain_seal(z, e);
    unsigned key = signer_add_key(&z->signer, DNSKEY_ZONE, ALG_ECDSAP256, 2);
    z->signer.key[key].sign = false;
    return changed(z);
}

static struct cost wake_up(struct zone *z)
{
    struct snapshot *same = snapshot_ref(z->play.prev);
    struct cost cost = judged(z, same, true);
    snapshot_unref(same);
    return cost;
}

START_TEST(test_flat)
{
    const char *wish = getenv("WEIR_COST_NAMES");
    unsigned size[] = {FEW, wish ? (unsigned)strtoul(wish, NULL, 10) : MANY};
    bool nsec3 = _i;
    for (unsigned i = 0; i < 2; i++) {
        struct zone z;
        zone_open(&z, size[i], nsec3);
        /* SOA, and each address; none of what did not change, not even beside it */
        struct cost cost = addresses_change(&z);
        ck_assert_uint_eq(cost.operations, CHANGED + 1);
        ck_assert_uint_le(cost.visited, 6 * CHANGED);
        ck_assert_uint_le(cost.hashes, nsec3 ? CHANGED + 1 : 0);
        /* SOA, five addresses, denial of and before five that come, before five that go */
        cost = names_come_and_go(&z);
        ck_assert_uint_eq(cost.operations, 1 + 4 * (CHANGED / 2));
        ck_assert_uint_le(cost.visited, 12 * CHANGED);
        ck_assert_uint_le(cost.hashes, nsec3 ? CHANGED + 1 : 0);
        /* SOA and the DNSKEY set */
        cost = standby_key(&z);
        ck_assert_uint_eq(cost.operations, 2);
        ck_assert_uint_le(cost.visited, 4);
        cost = wake_up(&z);
        ck_assert_uint_eq(cost.operations, 0);
        ck_assert_uint_eq(cost.hashes, 0);
        zone_close(&z);
    }
}
END_TEST

int main(void)
{
    struct suite s = suite_open("validate_change");
    tcase_add_loop_test(s.tcase, test_flat, 0, 2);
    return suite_run(s);
}
