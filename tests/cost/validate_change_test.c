/* validate_change: what validate does for a change is the change's size, whatever the zone's.
 *
 * Counted, in zones of a thousand and of many names (30,000; WEIR_COST_NAMES=1000000 for more), NSEC and NSEC3: names
 * visited, public key operations and SHA-1 hashes, by standing between weir and libcrypto. Ten names get another address; five
 * come and five go; a standby key comes; nothing changes and time passes. The zones' first judgement verifies by tables, which
 * is not counted; the few signatures of a change are OpenSSL's to verify.
 */
#include "tests/lib/crypto_count.h"
#include "tests/lib/hosts.h"
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
    struct hosts hosts;
    struct family *family; /* of what is signed */
    struct signer signer;
    struct stageplay play;
};

static struct snapshot *signed_now(struct zone *z)
{
    return signer_sign(&z->signer, z->hosts.version, z->family, z->play.prev);
}

static void zone_open(struct zone *z, unsigned n, bool nsec3)
{
    struct why why;
    *z = (struct zone){.signer = signer_open(NOW, 1)};
    z->signer.nsec = !nsec3;
    z->signer.nsec3 = nsec3;
    hosts_open(&z->hosts, "cost.test.", n);
    z->family = family_new(z->hosts.apex);
    int rc = stageplay_open(&z->play, registry_find("validate"), z->hosts.apex,
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
    hosts_close(&z->hosts);
    signer_close(&z->signer);
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
    struct hosts *h = &z->hosts;
    struct edit *e = hosts_next(h);
    for (unsigned i = 0; i < CHANGED; i++) {
        uint8_t owner[NAME_MAX_OCTETS];
        hosts_name(h, owner, "h%u", h->n / CHANGED * i);
        hosts_put(e, owner, 77777777 + i);
    }
    hosts_seal(h, e);
    return changed(z);
}

static struct cost names_come_and_go(struct zone *z)
{
    struct hosts *h = &z->hosts;
    struct edit *e = hosts_next(h);
    for (unsigned i = 0; i < CHANGED / 2; i++) {
        uint8_t owner[NAME_MAX_OCTETS];
        hosts_name(h, owner, "h%unew", h->n / CHANGED * i);
        hosts_put(e, owner, i);
        hosts_name(h, owner, "h%u", h->n / CHANGED * i + 3);
        ck_assert(edit_remove(e, owner));
    }
    hosts_seal(h, e);
    return changed(z);
}

static struct cost standby_key(struct zone *z)
{
    hosts_seal(&z->hosts, hosts_next(&z->hosts));
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
