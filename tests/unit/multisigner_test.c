/* multisigner: which keys of other signers join a zone, and what becomes of them behind `sign` (RFC 8901 3, 4, 8).
 *
 * The other signer's keys come with the transfer, from elsewhere, or both ways.
 */
#include "tests/lib/keyplay.h"
#include "tests/lib/stageplay.h"
#include "tests/lib/suite.h"

#include "pipeline/run/registry.h"

#include <string.h>

enum { NOW = 1700000000, TTL_OWN = 3600 };

static const uint8_t apex[] = "\1z", www[] = "\3www\1z";
static const uint8_t address[4] = {192, 0, 2, 1};

enum way { BY_TRANSFER, ELSEWHERE, BOTH_WAYS, WAYS };

struct world {
    struct family *family;
    struct keyplay own, foreign;
    struct keyset *keys;
    struct stageplay merge, sign;
    struct stageresult merged, made;
};

static void put(struct edit *e, const uint8_t *owner, uint16_t type, uint32_t ttl,
                const uint8_t *rdata, uint16_t len)
{
    struct why why = {""};
    int err = edit_add(e, owner, type, ttl, rdata, len, &why);
    ck_assert_msg(err == 0, "%s", why.text);
}

static struct snapshot *input(struct world *w, uint32_t ttl, bool with_keys)
{
    static const uint8_t soa[24] = "\1m\0\0\0\0\0\1", ns[] = "\2ns\1m";
    struct edit *e = edit_open(w->family, NULL, NULL);
    struct snapshot *s;
    struct why why;
    put(e, apex, RR_SOA, 300, soa, sizeof soa);
    put(e, apex, RR_NS, 300, ns, sizeof ns);
    put(e, www, RR_A, 300, address, 4);
    for (unsigned i = 0; with_keys && i < w->foreign.n; i++)
        put(e, apex, RR_DNSKEY, ttl, w->foreign.key[i].rdata, w->foreign.key[i].len);
    ck_assert_int_eq(edit_seal(&e, &s, NULL, &why), 0);
    return s;
}

/* Our keys, and what is known of the others' beside the transfer. */
static struct keyset *keys_of(const struct world *w, uint32_t ttl, bool with_foreign)
{
    unsigned n = with_foreign ? w->foreign.n : 0;
    struct keyset *k = keyset_new(w->own.n, 0, n);
    for (unsigned i = 0; i < w->own.n; i++) {
        const struct keyset_key *own = &w->own.key[i];
        k->key[i] = *own;
        k->key[i].rdata = mem_dup(own->rdata, own->len);
        k->key[i].private = own->private ? dnssec_private_ref(own->private) : NULL;
    }
    for (unsigned i = 0; i < n; i++) {
        const struct keyset_key *key = &w->foreign.key[i];
        k->foreign[i] = (struct keyset_foreign){.rdata = mem_dup(key->rdata, key->len),
                                                .len = key->len,
                                                .ttl = ttl,
                                                .publish = true,
                                                .ds = get_u16(key->rdata) & DNSKEY_SEP};
    }
    keyset_seal(k);
    return k;
}

static void world_open(struct world *w, const char *options)
{
    struct why why = {""};
    *w = (struct world){.family = family_new(apex)};
    keyplay_make(&w->own, DNSKEY_ZONE | DNSKEY_SEP, ALG_ECDSAP256, "pkd");
    keyplay_make(&w->own, DNSKEY_ZONE, ALG_ECDSAP256, "pz");
    int err = stageplay_open(&w->merge, registry_find("multisigner"), apex, options, &why);
    ck_assert_msg(err == 0, "%s", why.text);
    err = stageplay_open(&w->sign, registry_find("sign"), apex, NULL, &why);
    ck_assert_msg(err == 0, "%s", why.text);
}

static void world_drop(struct world *w)
{
    stageplay_drop(&w->merge, &w->merged);
    if (w->made.findings)
        stageplay_drop(&w->sign, &w->made);
    w->made = (struct stageresult){0};
    keyset_unref(w->keys);
    w->keys = NULL;
}

static void world_close(struct world *w)
{
    stageplay_close(&w->merge);
    stageplay_close(&w->sign);
    keyplay_close(&w->own);
    keyplay_close(&w->foreign);
    family_unref(w->family);
}

/* Through both stages, from nothing, with w->keys. */
static void play_with(struct world *w, uint32_t ttl, bool by_transfer)
{
    w->merge.keys = w->sign.keys = w->keys;
    struct snapshot *in = input(w, ttl, by_transfer);
    w->merged = stageplay_run(&w->merge, in, NOW, false, NULL);
    if (w->merged.verdict == STAGE_PASS)
        w->made = stageplay_run(&w->sign, w->merged.out, NOW, false, NULL);
    snapshot_unref(in);
}

static void play(struct world *w, enum way way, uint32_t ttl)
{
    w->keys = keys_of(w, ttl, way != BY_TRANSFER);
    play_with(w, ttl, way != ELSEWHERE);
}

static bool set_has(const struct rrset *set, const uint8_t *rdata, size_t len)
{
    struct rdata r;
    for (const uint8_t *p = set->rdata; rrset_next(set, &p, &r);)
        if (r.len == len && memcmp(r.data, rdata, len) == 0)
            return true;
    return false;
}

static struct rrset served(const struct world *w, uint16_t type, uint16_t covered)
{
    struct rrset set = {.count = 0};
    node_rrset(snapshot_apex(w->made.out), type, covered, &set);
    return set;
}

/* A set with these keys and no others, and exactly one signature, by our KSK. */
static void expect_set(const struct world *w, uint16_t type, uint32_t ttl, unsigned n,
                       const struct keyset_key *const *keys)
{
    struct rrset set = served(w, type, 0), sigs = served(w, RR_RRSIG, type);
    struct rdata rdata;
    struct rrsig sig;
    ck_assert_uint_eq(set.count, n);
    ck_assert_uint_eq(set.ttl, ttl);
    for (unsigned i = 0; i < n; i++) {
        uint8_t ds[DNSSEC_DS_MAX];
        size_t len = dnssec_ds_make(apex, keys[i]->rdata, keys[i]->len, 2, ds);
        ck_assert(type == RR_CDS ? set_has(&set, ds, len)
                                 : set_has(&set, keys[i]->rdata, keys[i]->len));
    }
    ck_assert_uint_eq(sigs.count, 1);
    ck_assert(rrset_first(&sigs, &rdata) && rrsig_parse(rdata.data, rdata.len, &sig));
    ck_assert_uint_eq(sig.tag, w->own.key[0].tag);
    struct dnssec_key *key;
    struct dnssec_scratch *scratch = dnssec_scratch_new();
    ck_assert_int_eq(dnssec_key_open(w->own.key[0].rdata, w->own.key[0].len, &key, NULL), 0);
    ck_assert_int_eq(dnssec_verify(scratch, key, apex, &set, rdata.data, rdata.len), DNSSEC_VALID);
    dnssec_key_close(&key);
    dnssec_scratch_free(&scratch);
}

static void expect_findings(const struct stageresult *result, const char *want)
{
    char *text = stageresult_print(result);
    ck_assert_msg(*want ? strstr(text, want) != NULL : !*text, "wanted \"%s\", got \"%s\"", want,
                  text);
    mem_free(&text);
}

/* T4: own ∪ the others', under the largest TTL, signed by our KSK alone. T5: CDS and CDNSKEY ask for every KSK. */
START_TEST(all_keys_join)
{
    struct world w;
    world_open(&w, NULL);
    keyplay_make(&w.foreign, DNSKEY_ZONE, ALG_ECDSAP256, "p");
    keyplay_make(&w.foreign, DNSKEY_ZONE | DNSKEY_SEP, ALG_ECDSAP256, "p");
    const struct keyset_key *all[] = {&w.own.key[0], &w.own.key[1], &w.foreign.key[0],
                                      &w.foreign.key[1]};
    const struct keyset_key *ksks[] = {&w.own.key[0], &w.foreign.key[1]};
    static const uint32_t ttls[] = {600, 86400};
    for (unsigned i = 0; i < 2; i++)
        for (enum way way = 0; way < WAYS; way++) {
            uint32_t ttl = ttls[i] > TTL_OWN ? ttls[i] : TTL_OWN;
            play(&w, way, ttls[i]);
            expect_findings(&w.merged, "");
            expect_set(&w, RR_DNSKEY, ttl, 4, all);
            expect_set(&w, RR_CDS, ttl, 2, ksks);
            expect_set(&w, RR_CDNSKEY, ttl, 2, ksks);
            world_drop(&w);
        }
    world_close(&w);
}
END_TEST

/* T4, of a zone with two algorithms: exactly one signature of a KSK of ours by each, over each of the three sets. */
START_TEST(one_signature_by_our_ksk_of_each_algorithm)
{
    static const uint16_t types[] = {RR_DNSKEY, RR_CDS, RR_CDNSKEY};
    struct world w;
    world_open(&w, NULL);
    unsigned ksk = keyplay_make(&w.own, DNSKEY_ZONE | DNSKEY_SEP, ALG_ED25519, "pkd");
    keyplay_make(&w.own, DNSKEY_ZONE, ALG_ED25519, "pz");
    keyplay_make(&w.foreign, DNSKEY_ZONE, ALG_ECDSAP256, "p");
    keyplay_make(&w.foreign, DNSKEY_ZONE | DNSKEY_SEP, ALG_ED25519, "p");
    for (enum way way = 0; way < WAYS; way++) {
        play(&w, way, TTL_OWN);
        ck_assert_uint_eq(served(&w, RR_DNSKEY, 0).count, 6);
        ck_assert_uint_eq(served(&w, RR_CDNSKEY, 0).count, 3);
        for (unsigned i = 0; i < 3; i++) {
            struct rrset sigs = served(&w, RR_RRSIG, types[i]);
            struct rdata rdata;
            unsigned by[2] = {0, 0};
            for (const uint8_t *p = sigs.rdata; rrset_next(&sigs, &p, &rdata);) {
                struct rrsig sig;
                ck_assert(rrsig_parse(rdata.data, rdata.len, &sig));
                by[0] += sig.algorithm == ALG_ECDSAP256 && sig.tag == w.own.key[0].tag;
                by[1] += sig.algorithm == ALG_ED25519 && sig.tag == w.own.key[ksk].tag;
            }
            ck_assert(sigs.count == 2 && by[0] == 1 && by[1] == 1);
        }
        world_drop(&w);
    }
    world_close(&w);
}
END_TEST

/* include = zsk: a KSK stays out, but the parent is asked for its DS; a key that does both tasks joins. */
START_TEST(keys_that_sign_the_zone_join)
{
    struct world w;
    world_open(&w, "include=zsk");
    unsigned zsk = keyplay_make(&w.foreign, DNSKEY_ZONE, ALG_ECDSAP256, "p");
    unsigned ksk = keyplay_make(&w.foreign, DNSKEY_ZONE | DNSKEY_SEP, ALG_ECDSAP256, "p");
    const struct keyset_key *some[] = {&w.own.key[0], &w.own.key[1], &w.foreign.key[zsk]};
    const struct keyset_key *ksks[] = {&w.own.key[0], &w.foreign.key[ksk]};
    play(&w, BY_TRANSFER, TTL_OWN);
    expect_set(&w, RR_DNSKEY, TTL_OWN, 3, some);
    expect_set(&w, RR_CDS, TTL_OWN, 2, ksks);
    world_drop(&w);
    keyplay_close(&w.foreign);
    memset(&w.foreign, 0, sizeof w.foreign);
    unsigned csk = keyplay_make(&w.foreign, DNSKEY_ZONE | DNSKEY_SEP, ALG_ECDSAP256, "p");
    some[2] = ksks[1] = &w.foreign.key[csk];
    play(&w, BY_TRANSFER, TTL_OWN);
    expect_set(&w, RR_DNSKEY, TTL_OWN, 3, some);
    expect_set(&w, RR_CDNSKEY, TTL_OWN, 2, ksks);
    world_drop(&w);
    world_close(&w);
}
END_TEST

/* What is wanted of a key from elsewhere, and what one that comes with the transfer gets by default: it gets both. DNSKEY, and CDS with
 * CDNSKEY, each without the other; a KSK is in the DNSKEY set by a policy that takes all, or if it signs the zone, too. */
START_TEST(each_key_has_what_is_wanted_of_it)
{
    enum { PUBLISH = 1, DS = 2, CSK = 4, TOLD_WAYS = 8 };
    for (unsigned all = 0; all < 2; all++)
        for (unsigned told = 0; told < TOLD_WAYS; told++)
            for (unsigned came = 0; came < 2; came++) {
                struct world w;
                world_open(&w, all ? "include=all" : "include=zsk");
                unsigned zsk = keyplay_make(&w.foreign, DNSKEY_ZONE, ALG_ECDSAP256, "p");
                unsigned ksk =
                    keyplay_make(&w.foreign, DNSKEY_ZONE | DNSKEY_SEP, ALG_ECDSAP256, "p");
                const struct keyset_key *key = &w.foreign.key[ksk];
                w.keys = keys_of(&w, TTL_OWN, false);
                keyset_add_foreign(w.keys, w.foreign.key[zsk].rdata, w.foreign.key[zsk].len,
                                   TTL_OWN)
                    ->publish = true;
                struct keyset_foreign *f =
                    keyset_add_foreign(w.keys, key->rdata, key->len, TTL_OWN);
                f->publish = told & PUBLISH;
                f->ds = told & DS;
                f->csk = told & CSK;
                keyset_seal(w.keys);
                play_with(&w, TTL_OWN, came);
                bool wanted = told & PUBLISH || came;
                bool csk = told & CSK && told & (PUBLISH | DS); /* what does nothing is not known */
                bool in = wanted && (all || csk);
                const struct keyset_key *keys[] = {&w.own.key[0], &w.own.key[1],
                                                   &w.foreign.key[zsk], key};
                const struct keyset_key *ksks[] = {&w.own.key[0], key};
                expect_set(&w, RR_DNSKEY, TTL_OWN, 3 + in, keys);
                expect_set(&w, RR_CDS, TTL_OWN, 1 + (told & DS || came), ksks);
                expect_set(&w, RR_CDNSKEY, TTL_OWN, 1 + (told & DS || came), ksks);
                world_drop(&w);
                world_close(&w);
            }
}
END_TEST

/* A provider that publishes the others' ZSKs and leaves out their KSKs (dnsviz/dnsviz#103): its zone has our ZSK and not our KSK. Nothing
 * is missing, for each signs its DNSKEY set with a KSK of its own. */
START_TEST(a_provider_that_leaves_out_our_ksk)
{
    struct world w;
    world_open(&w, "include=zsk");
    unsigned zsk = keyplay_make(&w.foreign, DNSKEY_ZONE, ALG_ECDSAP256, "p");
    unsigned ksk = keyplay_make(&w.foreign, DNSKEY_ZONE | DNSKEY_SEP, ALG_ECDSAP256, "p");
    const struct keyset_key *keys[] = {&w.own.key[0], &w.own.key[1], &w.foreign.key[zsk]};
    const struct keyset_key *ksks[] = {&w.own.key[0], &w.foreign.key[ksk]};
    struct keyset_key shown[] = {w.foreign.key[zsk], w.foreign.key[ksk], w.own.key[1]};
    struct keyplay provider = w.foreign;
    memcpy(w.foreign.key, shown, sizeof shown);
    w.foreign.n = 3;
    play(&w, BY_TRANSFER, TTL_OWN);
    expect_findings(&w.merged, "");
    expect_findings(&w.made, "");
    w.foreign = provider;
    expect_set(&w, RR_DNSKEY, TTL_OWN, 3, keys);
    expect_set(&w, RR_CDS, TTL_OWN, 2, ksks);
    world_drop(&w);
    world_close(&w);
}
END_TEST

/* --- NS and CSYNC --- */

static const uint8_t ns_came[] = "\2ns\1m", ns_joins[] = "\2NS\3www\1z", ns_other[] = "\1o\1m";

static bool apex_has_ns(const struct snapshot *s, const uint8_t *name)
{
    struct rrset set;
    return node_rrset(snapshot_apex(s), RR_NS, 0, &set) && set_has(&set, name, name_len(name));
}

/* The names join, CSYNC asks for them (RFC 7477), and sign and validate take both for the zone's data: signed by our ZSK, in the
 * bitmap. A server in the zone without address holds CSYNC back, until it has one. */
START_TEST(servers_join_and_the_parent_is_asked)
{
    struct world w;
    struct why why;
    struct stageplay judge;
    world_open(&w, "ns=union csync=waiting");
    ck_assert_int_eq(stageplay_open(&judge, registry_find("validate"), apex, NULL, &why), 0);
    keyplay_make(&w.foreign, DNSKEY_ZONE, ALG_ECDSAP256, "p");
    for (unsigned addressed = 0; addressed < 2; addressed++)
        for (unsigned asked = 0; asked < 2; asked++) {
            const uint8_t *joins = addressed ? www : ns_joins;
            w.keys = keys_of(&w, TTL_OWN, true);
            keyset_add_ns(w.keys, ns_other);
            keyset_add_ns(w.keys, joins);
            w.keys->csync = asked;
            keyset_seal(w.keys);
            play_with(&w, TTL_OWN, false);
            ck_assert_uint_eq(served(&w, RR_NS, 0).count, 3);
            ck_assert(apex_has_ns(w.made.out, ns_came) && apex_has_ns(w.made.out, joins) &&
                      apex_has_ns(w.made.out, ns_other));
            expect_findings(&w.merged, addressed ? "" : "ns-no-address");
            if (asked && !addressed)
                expect_findings(&w.merged, "csync-withheld");
            struct rrset csync = served(&w, RR_CSYNC, 0), sigs = served(&w, RR_RRSIG, RR_CSYNC);
            static const uint8_t want[] = {0, 0, 0, 0, 0, 1, 0, 4, 0x60, 0, 0, 8};
            ck_assert_uint_eq(csync.count, asked && addressed);
            ck_assert_uint_eq(sigs.count, asked && addressed);
            ck_assert(!csync.count || set_has(&csync, want, sizeof want));
            struct stageresult judged = stageplay_run(&judge, w.made.out, NOW, false, NULL);
            ck_assert_int_eq(judged.verdict, STAGE_PASS);
            stageplay_drop(&judge, &judged);
            world_drop(&w);
        }
    stageplay_close(&judge);
    world_close(&w);
}
END_TEST

/* Forty keys of another signer are more than anybody has: by the transfer, or from elsewhere. */
START_TEST(forty_keys)
{
    enum { MANY = 40 };
    static uint8_t keys[MANY][4 + 32];
    for (unsigned where = 0; where < 2; where++) {
        struct world w;
        struct why why;
        world_open(&w, NULL);
        w.keys = keys_of(&w, TTL_OWN, false);
        struct snapshot *in = input(&w, TTL_OWN, false), *more;
        struct edit *e = edit_open(w.family, in, in);
        for (unsigned i = 0; i < MANY; i++) {
            memcpy(keys[i], (uint8_t[]){1, 0, 3, ALG_ED25519, (uint8_t)i}, 5);
            if (where)
                keyset_add_foreign(w.keys, keys[i], sizeof keys[i], TTL_OWN)->publish = true;
            else
                put(e, apex, RR_DNSKEY, TTL_OWN, keys[i], sizeof keys[i]);
        }
        keyset_seal(w.keys);
        ck_assert_int_eq(edit_seal(&e, &more, NULL, &why), 0);
        w.merge.keys = w.keys;
        w.merged = stageplay_run(&w.merge, more, NOW, false, NULL);
        ck_assert_int_eq(w.merged.verdict, STAGE_REJECT);
        expect_findings(&w.merged, "17 keys of other signers or more, at most 16 are taken");
        world_drop(&w);
        snapshot_unref(in);
        snapshot_unref(more);
        world_close(&w);
    }
}
END_TEST

/* Nothing of others: ours alone, and a note. Ours come back from another signer: they are no foreign keys, whatever we still do with them. */
START_TEST(our_keys_are_not_foreign)
{
    struct world w;
    world_open(&w, NULL);
    const struct keyset_key *ours[] = {&w.own.key[0], &w.own.key[1]};
    play(&w, BY_TRANSFER, TTL_OWN);
    expect_findings(&w.merged, "foreign-none");
    expect_set(&w, RR_DNSKEY, TTL_OWN, 2, ours);
    expect_set(&w, RR_CDS, TTL_OWN, 1, ours);
    world_drop(&w);
    unsigned old = keyplay_make(&w.own, DNSKEY_ZONE, ALG_ECDSAP256, "");
    w.foreign.n = 3;
    for (unsigned i = 0; i <= old; i++)
        w.foreign.key[i] = w.own.key[i];
    play(&w, BOTH_WAYS, TTL_OWN);
    expect_findings(&w.merged, "foreign-none");
    expect_set(&w, RR_DNSKEY, TTL_OWN, 2, ours);
    world_drop(&w);
    memset(&w.foreign, 0, sizeof w.foreign);
    world_close(&w);
}
END_TEST

/* T6, and all else that a key of another signer can be: nothing goes out, and the finding has the key's tag. */
static const struct refusal {
    const char *finding;
    uint16_t flags;
    uint8_t algorithm;
    int at, octet; /* what is spoilt; at < 0: nothing */
} refusals[] = {
    {"foreign-algorithm", DNSKEY_ZONE, ALG_ED25519, -1, 0},
    {"foreign-protocol", DNSKEY_ZONE, ALG_ECDSAP256, 2, 4},
    {"foreign-not-zone-key", 0, ALG_ECDSAP256, -1, 0},
    {"foreign-revoked", DNSKEY_ZONE | DNSKEY_REVOKE, ALG_ECDSAP256, -1, 0},
    {"foreign-malformed", DNSKEY_ZONE, ALG_ECDSAP256, 20, -1},
};
START_TEST(what_cannot_join_refuses_the_version)
{
    const struct refusal *r = &refusals[_i];
    for (enum way way = 0; way < WAYS; way++) {
        struct world w;
        char tag[32];
        world_open(&w, NULL);
        keyplay_make(&w.foreign, DNSKEY_ZONE, ALG_ECDSAP256, "p"); /* a good one beside it */
        struct keyset_key *bad =
            &w.foreign.key[keyplay_make(&w.foreign, r->flags, r->algorithm, "p")];
        if (r->at >= 0)
            bad->rdata[r->at] = (uint8_t)(r->octet < 0 ? bad->rdata[r->at] ^ 1 : r->octet);
        snprintf(tag, sizeof tag, "key %u ", dnssec_key_tag(bad->rdata, bad->len));
        play(&w, way, TTL_OWN);
        ck_assert_int_eq(w.merged.verdict, STAGE_REJECT);
        expect_findings(&w.merged, r->finding);
        expect_findings(&w.merged, tag);
        world_drop(&w);
        world_close(&w);
    }
}
END_TEST

/* A key tag is a sum of words: two of them change places, and another modulus has the same tag. */
START_TEST(the_same_tag_is_noted)
{
    struct world w;
    world_open(&w, NULL);
    unsigned own = keyplay_make(&w.own, DNSKEY_ZONE, ALG_RSASHA256, "pz");
    unsigned i = keyplay_make(&w.foreign, DNSKEY_ZONE, ALG_RSASHA256, "p");
    struct keyset_key *twin = &w.foreign.key[i];
    uint8_t word[2];
    ck_assert_uint_eq(twin->len, w.own.key[own].len);
    memcpy(twin->rdata, w.own.key[own].rdata, twin->len);
    memcpy(word, twin->rdata + 20, 2);
    memcpy(twin->rdata + 20, twin->rdata + 40, 2);
    memcpy(twin->rdata + 40, word, 2);
    ck_assert(memcmp(twin->rdata, w.own.key[own].rdata, twin->len) != 0);
    play(&w, BOTH_WAYS, TTL_OWN);
    ck_assert_int_eq(w.merged.verdict, STAGE_PASS);
    expect_findings(&w.merged, "foreign-same-tag");
    world_drop(&w);
    world_close(&w);
}
END_TEST

START_TEST(too_many_keys)
{
    struct world w;
    world_open(&w, "max_foreign_keys=2");
    for (unsigned i = 0; i < 2; i++)
        keyplay_make(&w.foreign, DNSKEY_ZONE, ALG_ECDSAP256, "p");
    play(&w, BOTH_WAYS, TTL_OWN);
    ck_assert_int_eq(w.merged.verdict, STAGE_PASS);
    world_drop(&w);
    keyplay_make(&w.foreign, DNSKEY_ZONE, ALG_ECDSAP256, "p");
    for (enum way way = 0; way < WAYS; way++) {
        play(&w, way, TTL_OWN);
        ck_assert_int_eq(w.merged.verdict, STAGE_REJECT);
        expect_findings(&w.merged, "foreign-too-many");
        world_drop(&w);
    }
    world_close(&w);
}
END_TEST

/* A primary may send as many records at the apex as a name can hold. */
START_TEST(full_apex)
{
    static const struct {
        const char *options;
        unsigned needed; /* DNSKEY, CDS, CDNSKEY; a name; CSYNC */
    } rows[] = {{NULL, 3}, {"ns=union", 4}, {"ns=union csync=always", 5}, {"csync=always", 4}};
    for (unsigned row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        struct world w;
        struct why why;
        world_open(&w, rows[row].options);
        keyplay_make(&w.foreign, DNSKEY_ZONE | DNSKEY_SEP, ALG_ECDSAP256, "p");
        w.merge.keys = w.keys = keys_of(&w, TTL_OWN, true);
        keyset_add_ns(w.keys, ns_other);
        for (unsigned spare = rows[row].needed - 1; spare <= rows[row].needed; spare++) {
            struct snapshot *in = input(&w, TTL_OWN, false), *full;
            struct edit *e = edit_open(w.family, in, in);
            for (unsigned i = 2 + spare; i < NODE_RECORDS_MAX; i++) { /* SOA and NS are there */
                uint8_t text[5] = {4};
                put_u32(text + 1, i);
                put(e, apex, RR_TXT, 300, text, sizeof text);
            }
            ck_assert_int_eq(edit_seal(&e, &full, NULL, &why), 0);
            struct stageresult result = stageplay_run(&w.merge, full, NOW, false, NULL);
            bool fits = spare >= rows[row].needed;
            ck_assert_int_eq(result.verdict, fits ? STAGE_PASS : STAGE_REJECT);
            if (!fits)
                expect_findings(&result, "apex-full");
            stageplay_drop(&w.merge, &result);
            snapshot_unref(full);
            snapshot_unref(in);
        }
        keyset_unref(w.keys);
        world_close(&w);
    }
}
END_TEST

START_TEST(without_keys_of_ours)
{
    struct world w;
    world_open(&w, NULL);
    w.own.n = 0;
    play(&w, BY_TRANSFER, TTL_OWN);
    ck_assert_int_eq(w.merged.verdict, STAGE_RETRY);
    expect_findings(&w.merged, "own-keys-missing");
    world_drop(&w);
    /* Such as were removed are no keys that others could be judged beside. */
    w.own.n = 2;
    for (unsigned i = 0; i < 2; i++)
        w.own.key[i].publish = w.own.key[i].signs_zone = false;
    keyplay_make(&w.foreign, DNSKEY_ZONE, ALG_ECDSAP256, "p");
    play(&w, BY_TRANSFER, TTL_OWN);
    ck_assert_int_eq(w.merged.verdict, STAGE_RETRY);
    expect_findings(&w.merged, "own-keys-missing");
    world_drop(&w);
    world_close(&w);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("multisigner");
    suite_add(s, all_keys_join);
    suite_add(s, one_signature_by_our_ksk_of_each_algorithm);
    suite_add(s, keys_that_sign_the_zone_join);
    suite_add(s, each_key_has_what_is_wanted_of_it);
    suite_add(s, a_provider_that_leaves_out_our_ksk);
    suite_add(s, servers_join_and_the_parent_is_asked);
    suite_add(s, forty_keys);
    suite_add(s, our_keys_are_not_foreign);
    tcase_add_loop_test(s.tcase, what_cannot_join_refuses_the_version, 0,
                        sizeof refusals / sizeof refusals[0]);
    suite_add(s, the_same_tag_is_noted);
    suite_add(s, too_many_keys);
    suite_add(s, full_apex);
    suite_add(s, without_keys_of_ours);
    return suite_run(s);
}
