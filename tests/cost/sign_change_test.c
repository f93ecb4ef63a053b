/* sign_change: what sign does for a change is the change's size, whatever the zone's; and so is what it does as time passes.
 *
 * Counted, in zones of a thousand and of many names (30,000; WEIR_COST_NAMES=1000000 for more), NSEC and NSEC3: names visited,
 * signatures made (by standing before dnssec_sign) and branches of the trie that were copied. One name gets another address; one comes
 * and one goes; a delegation comes over a name; a key is published, another signs; nothing changes, and signatures are renewed.
 */
#include "tests/lib/keyplay.h"
#include "tests/lib/stageplay.h"
#include "tests/lib/suite.h"

#include "pipeline/run/registry.h"
#include "pipeline/zone/edit.h"

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
    uint8_t apex[NAME_MAX_OCTETS];
    unsigned n, serial;
    struct family *family;
    struct snapshot *plain;
    struct keyplay keys;
    struct keyset *set;
    struct stageplay play;
    time_t now, wake_at;
};

static void name_of(const char *label, uint8_t owner[NAME_MAX_OCTETS])
{
    char text[64];
    snprintf(text, sizeof(text), "%s.cost.test.", label);
    ck_assert_int_gt(name_parse(text, owner, NULL), 0);
}

static void put_host(struct edit *e, const char *label, uint32_t address)
{
    uint8_t owner[NAME_MAX_OCTETS], rdata[4];
    name_of(label, owner);
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

static struct edit *plain_open(struct zone *z)
{
    struct edit *e = edit_open(z->family, z->plain, z->plain);
    put_soa(z, e);
    return e;
}

static void plain_seal(struct zone *z, struct edit *e)
{
    struct snapshot *next;
    ck_assert_int_eq(edit_seal(&e, &next, NULL, NULL), 0);
    snapshot_unref(z->plain);
    z->plain = next;
}

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
    struct stageresult result = stageplay_run(&z->play, z->plain, z->now, woken, NULL);
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
    *z = (struct zone){.n = n, .now = NOW};
    name_parse("cost.test.", z->apex, NULL);
    z->family = family_new(z->apex);
    struct edit *e = plain_open(z);
    ck_assert_int_eq(edit_add(e, z->apex, RR_NS, 300, (const uint8_t *)"\2ns\5other", 10, NULL), 0);
    for (unsigned i = 0; i < n; i++) {
        char label[32];
        snprintf(label, sizeof(label), "h%u", i);
        put_host(e, label, i);
    }
    plain_seal(z, e);
    int rc =
        stageplay_open(&z->play, registry_find("sign"), z->apex, nsec3 ? "denial=nsec3" : "", &why);
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
    snapshot_unref(z->plain);
    family_unref(z->family);
    keyset_unref(z->set);
    keyplay_close(&z->keys);
}

static const char *host_label(char out[32], unsigned i, const char *more)
{
    snprintf(out, 32, "h%u%s", i, more);
    return out;
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
    char label[32];
    uint8_t owner[NAME_MAX_OCTETS];
    struct edit *e = plain_open(z);
    put_host(e, host_label(label, z->n / 2, ""), ADDRESS);
    plain_seal(z, e);
    expect("another address", run(z, false), 2, 12); /* it and the SOA */

    e = plain_open(z);
    put_host(e, host_label(label, z->n / 3, "new"), ADDRESS);
    plain_seal(z, e);
    expect("a name comes", run(z, false), 4, 16); /* it, its denial, the one before, the SOA */

    e = plain_open(z);
    name_of(host_label(label, z->n / 4, ""), owner);
    ck_assert(edit_remove(e, owner));
    plain_seal(z, e);
    expect("a name goes", run(z, false), 2, 16);

    e = plain_open(z);
    name_of(host_label(label, z->n / 5, ""), owner);
    ck_assert_int_eq(edit_add(e, owner, RR_NS, 300, (const uint8_t *)"\2ns\5other", 10, NULL), 0);
    plain_seal(z, e);
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
    struct edit *e = plain_open(z);
    plain_seal(z, e);
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
