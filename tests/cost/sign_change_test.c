/* sign_change: what sign does for a change is the change's size, whatever the zone's; and so is what it does as time passes.
 *
 * Counted, in zones of a thousand and of many names (30,000; WEIR_COST_NAMES=1000000 for more), NSEC and NSEC3: names visited,
 * signatures made (by standing before dnssec_sign) and branches of the trie that were copied. One name gets another address; one comes
 * and one goes; a delegation comes over a name; a key is published, another signs; nothing changes, and signatures are renewed.
 */
#include "tests/lib/hosts.h"
#include "tests/lib/keyplay.h"
#include "tests/lib/stageplay.h"
#include "tests/lib/suite.h"

#include "pipeline/run/registry.h"

#include <stdlib.h>
#include <string.h>

enum { FEW = 1000, MANY = 30000, NOW = 1700000000, ADDRESS = 77777777 };

static _Atomic uint64_t signatures;
int __real_dnssec_sign(struct dnssec_signer *signer, const struct dnssec_private *key,
                       const uint8_t *octets, size_t len, uint8_t *out, size_t *out_len,
                       struct why *why);
int __wrap_dnssec_sign(struct dnssec_signer *signer, const struct dnssec_private *key,
                       const uint8_t *octets, size_t len, uint8_t *out, size_t *out_len,
                       struct why *why);
int __wrap_dnssec_sign(struct dnssec_signer *signer, const struct dnssec_private *key,
                       const uint8_t *octets, size_t len, uint8_t *out, size_t *out_len,
                       struct why *why)
{
    signatures++;
    return __real_dnssec_sign(signer, key, octets, len, out, out_len, why);
}

struct zone {
    struct hosts hosts;
    struct keyplay keys;
    struct keyset *set;
    struct stageplay play;
    time_t now, wake_at;
};

static void keys_set(struct zone *z)
{
    keyset_unref(z->set);
    z->play.keys = z->set = keyplay_set(&z->keys, 0);
}

struct cost {
    uint64_t visited, signatures, copies;
};

static struct cost run(struct zone *z, bool woken)
{
    struct trie_stats before, after;
    signatures = 0;
    family_reap(z->play.family);
    family_stats(z->play.family, &before);
    struct stageresult result = stageplay_run(&z->play, z->hosts.version, z->now, woken, NULL);
    family_stats(z->play.family, &after);
    if (result.verdict != STAGE_PASS)
        ck_abort_msg("%.2000s", stageresult_print(&result));
    struct cost cost = {result.visited, signatures, after.copies - before.copies};
    z->wake_at = result.wake_at;
    stageplay_accept(&z->play, &result);
    return cost;
}

static void zone_open(struct zone *z, unsigned n, bool nsec3)
{
    struct why why;
    *z = (struct zone){.now = NOW};
    hosts_open(&z->hosts, "cost.test.", n);
    int rc = stageplay_open(&z->play, registry_find("sign"), z->hosts.apex,
                            nsec3 ? "denial=nsec3" : "", &why);
    ck_assert_msg(rc == 0, "%s", why.text);
    keyplay_make(&z->keys, DNSKEY_ZONE | DNSKEY_SEP, ALG_ED25519, "pkd");
    keyplay_make(&z->keys, DNSKEY_ZONE, ALG_ED25519, "pz");
    keyplay_make(&z->keys, DNSKEY_ZONE, ALG_ED25519, "");
    keys_set(z);
    struct cost cost = run(z, false);
    /* SOA, NS, NSEC or NSEC3 and NSEC3PARAM of the apex, DNSKEY, CDS, CDNSKEY; address and denial of the others */
    ck_assert_uint_eq(cost.signatures, 2 + (nsec3 ? 2 : 1) + 3 + 2 * n);
}

static void zone_close(struct zone *z)
{
    stageplay_close(&z->play);
    hosts_close(&z->hosts);
    keyset_unref(z->set);
    keyplay_close(&z->keys);
}

/* What a change cost: exactly so many signatures, and no more visits and copies than a few paths. */
static void expect(const char *what, struct cost cost, uint64_t made, uint64_t visits)
{
    ck_assert_msg(cost.signatures == made, "%s: %lu signatures", what,
                  (unsigned long)cost.signatures);
    ck_assert_msg(cost.visited <= visits, "%s: %lu names", what, (unsigned long)cost.visited);
    ck_assert_msg(cost.copies <= 60, "%s: %lu branches copied", what, (unsigned long)cost.copies);
}

static void names_change(struct zone *z)
{
    struct hosts *h = &z->hosts;
    uint8_t owner[NAME_MAX_OCTETS];
    struct edit *e = hosts_next(h);
    hosts_name(h, owner, "h%u", h->n / 2);
    hosts_put(e, owner, ADDRESS);
    hosts_seal(h, e);
    expect("another address", run(z, false), 2, 12); /* it and the SOA */

    e = hosts_next(h);
    hosts_name(h, owner, "h%unew", h->n / 3);
    hosts_put(e, owner, ADDRESS);
    hosts_seal(h, e);
    expect("a name comes", run(z, false), 4, 16); /* it, its denial, the one before, the SOA */

    e = hosts_next(h);
    hosts_name(h, owner, "h%u", h->n / 4);
    ck_assert(edit_remove(e, owner));
    hosts_seal(h, e);
    expect("a name goes", run(z, false), 2, 16);

    e = hosts_next(h);
    hosts_name(h, owner, "h%u", h->n / 5);
    hosts_add(e, owner, RR_NS, "\2ns\5other", 10);
    hosts_seal(h, e);
    expect("a name becomes a delegation", run(z, false), 2,
           16); /* its denial; the address is glue */
}

static void keys_change(struct zone *z)
{
    keyplay_roles(&z->keys, 2, "p");
    keys_set(z);
    expect("a key is published", run(z, false), 4, 4); /* DNSKEY, CDS, CDNSKEY and SOA */
    keyplay_roles(&z->keys, 1, "p");
    keyplay_roles(&z->keys, 2, "pz");
    keys_set(z);
    expect("another key signs", run(z, false), 0, 4);
    hosts_seal(&z->hosts, hosts_next(&z->hosts));
    expect("the serial that came in", run(z, false), 0, 8);
}

/* Batches are bounded, and flat. */
static void time_passes(struct zone *z)
{
    for (unsigned i = 0; i < 20; i++) {
        z->now = z->wake_at;
        struct cost cost = run(z, true);
        ck_assert_uint_le(cost.signatures, 1010);
        ck_assert_uint_le(cost.visited, 4100);
        if (i > 0)
            ck_assert_uint_gt(cost.signatures, 0);
    }
}

START_TEST(test_flat)
{
    const char *wish = getenv("WEIR_COST_NAMES");
    unsigned size[] = {FEW, wish ? (unsigned)strtoul(wish, NULL, 10) : MANY};
    bool nsec3 = _i;
    for (unsigned i = 0; i < 2; i++) {
        struct zone z;
        zone_open(&z, size[i], nsec3);
        names_change(&z);
        keys_change(&z);
        time_passes(&z);
        zone_close(&z);
    }
}
END_TEST

int main(void)
{
    struct suite s = suite_open("sign_change");
    if (getenv("WEIR_COST_NAMES"))
        tcase_set_timeout(s.tcase, 0);
    tcase_add_loop_test(s.tcase, test_flat, 0, 2);
    return suite_run(s);
}
