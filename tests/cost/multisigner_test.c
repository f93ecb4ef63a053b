/* multisigner: what is of other signers changes the apex, and costs the apex, whatever the zone's size.
 *
 * Counted, in zones of a thousand and of many names (30,000; WEIR_COST_NAMES=1000000 for more): names visited and branches of the trie that
 * were copied. A name gets another address; a key of another signer comes and goes, without the zone; servers join, one of them in the
 * zone, and CSYNC with them; nothing changes. In both zones it is the same, to the number.
 */
#include "tests/lib/hosts.h"
#include "tests/lib/keyplay.h"
#include "tests/lib/stageplay.h"
#include "tests/lib/suite.h"

#include "pipeline/run/registry.h"

enum { FEW = 1000, MANY = 30000, NOW = 1700000000, PATH = 12 };

struct zone {
    struct hosts hosts;
    struct keyplay own, foreign;
    struct keyset *set;
    struct stageplay play;
};

static void keys_set(struct zone *z, unsigned foreign, bool servers)
{
    uint8_t owner[NAME_MAX_OCTETS];
    keyset_unref(z->set);
    z->play.keys = z->set = keyplay_set(&z->own, 0);
    for (unsigned i = 0; i < foreign; i++) {
        const struct keyset_key *key = &z->foreign.key[i];
        struct keyset_foreign *f = keyset_add_foreign(z->set, key->rdata, key->len, 300);
        f->publish = true;
        f->ds = get_u16(key->rdata) & DNSKEY_SEP;
    }
    hosts_name(&z->hosts, owner, "h%u", z->hosts.n / 2);
    if (servers) {
        keyset_add_ns(z->set, (const uint8_t *)"\2ns\4else");
        keyset_add_ns(z->set, owner);
    }
    z->set->csync = servers;
    keyset_seal(z->set);
}

/* One run that is accepted, with so many visits and so many changed names. */
static void expect(struct zone *z, const char *what, uint64_t visits, size_t changes)
{
    struct trie_stats before, after;
    family_reap(z->play.family);
    family_stats(z->play.family, &before);
    struct stageresult result = stageplay_run(&z->play, z->hosts.version, NOW, false, NULL);
    family_stats(z->play.family, &after);
    ck_assert_msg(result.verdict == STAGE_PASS, "%s", what);
    ck_assert_msg(result.visited == visits, "%s: %lu names", what, (unsigned long)result.visited);
    ck_assert_msg(result.changes->n == changes, "%s: %zu changes", what, result.changes->n);
    ck_assert_msg(after.copies - before.copies <= PATH * changes, "%s: %lu branches copied", what,
                  (unsigned long)(after.copies - before.copies));
    stageplay_accept(&z->play, &result);
}

static void play(struct zone *z, unsigned n)
{
    struct why why;
    *z = (struct zone){.set = NULL};
    hosts_open(&z->hosts, "cost.test.", n);
    int rc = stageplay_open(&z->play, registry_find("multisigner"), z->hosts.apex,
                            "ns=union csync=waiting", &why);
    ck_assert_msg(rc == 0, "%s", why.text);
    keyplay_make(&z->own, DNSKEY_ZONE | DNSKEY_SEP, ALG_ED25519, "pkd");
    keyplay_make(&z->own, DNSKEY_ZONE, ALG_ED25519, "pz");
    keyplay_make(&z->foreign, DNSKEY_ZONE, ALG_ED25519, "p");
    keyplay_make(&z->foreign, DNSKEY_ZONE | DNSKEY_SEP, ALG_ED25519, "p");
    keys_set(z, 1, false);
    struct stageresult first = stageplay_run(&z->play, z->hosts.version, NOW, false, NULL);
    ck_assert_uint_eq(first.visited, n + 2);
    stageplay_accept(&z->play, &first);

    uint8_t owner[NAME_MAX_OCTETS];
    struct edit *e = hosts_next(&z->hosts);
    hosts_name(&z->hosts, owner, "h%u", n / 3);
    hosts_put(e, owner, 77777777);
    hosts_seal(&z->hosts, e);
    expect(z, "another address", 3, 2); /* it, and the apex: changed, and made */
    keys_set(z, 2, false);
    expect(z, "a key comes", 1, 1);
    keys_set(z, 2, true);
    expect(z, "servers join", 2, 1); /* and the one in the zone */
    expect(z, "nothing changes", 2, 0);
    keys_set(z, 0, false);
    expect(z, "all is gone", 1, 1);
}

START_TEST(test_flat)
{
    const char *wish = getenv("WEIR_COST_NAMES");
    unsigned size[] = {FEW, wish ? (unsigned)strtoul(wish, NULL, 10) : MANY};
    for (unsigned i = 0; i < 2; i++) {
        struct zone z;
        play(&z, size[i]);
        stageplay_close(&z.play);
        hosts_close(&z.hosts);
        keyset_unref(z.set);
        keyplay_close(&z.own);
        keyplay_close(&z.foreign);
    }
}
END_TEST

int main(void)
{
    struct suite s = suite_open("multisigner");
    if (getenv("WEIR_COST_NAMES"))
        tcase_set_timeout(s.tcase, 0);
    suite_add(s, test_flat);
    return suite_run(s);
}
