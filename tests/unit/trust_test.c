/* trust: which DNSKEY sets are believed, and what is signed by their keys (RFC 4035 5.3.1). */
#include "tests/lib/provider.h"
#include "tests/lib/suite.h"

#include "pipeline/base/alloc.h"
#include "pipeline/zone/trust.h"

static const uint8_t apex[] = "\5trust\4test";
static const uint8_t *const ns[] = {(const uint8_t *)"\3ns1\4test"};
enum { NOW = 1764000000 };

/* A signer with a KSK (1) and a ZSK (2); key 0 of the library signs nothing. */
struct fixture {
    struct signer signer;
    struct rdata key[2];
    struct provider_apex p;
};

static void fixture_open(struct fixture *f)
{
    f->signer = signer_open(NOW, 1);
    unsigned ksk = signer_add_key(&f->signer, 257, ALG_ECDSAP256, 2),
             zsk = signer_add_key(&f->signer, 256, ALG_ECDSAP256, 3);
    f->key[0] = provider_key(&f->signer, ksk);
    f->key[1] = provider_key(&f->signer, zsk);
    f->p = (struct provider_apex){.apex = apex,
                                  .signer = &f->signer,
                                  .ksk = ksk,
                                  .zsk = zsk,
                                  .ndnskey = 2,
                                  .dnskey = f->key,
                                  .ncds = 1,
                                  .cds = f->key,
                                  .nns = 1,
                                  .ns = ns,
                                  .dnskey_ttl = 3600,
                                  .ns_ttl = 7200,
                                  .serial = 1};
}

/* by: 0 nothing, 1 a DS at the parent, 2 an anchor that is a DNSKEY, 4 one that is a DS; all of `key`. */
enum { BY_DS = 1, BY_DNSKEY = 2, BY_ANCHOR_DS = 4 };
static int prove(const struct node *node, time_t now, int by, struct rdata key, struct trust **t,
                 struct why *why)
{
    uint8_t ds[DNSSEC_DS_MAX], prefixed[2 + DNSSEC_DS_MAX], dnskey[SIGNER_KEY_MAX];
    memcpy(dnskey, key.data, key.len);
    size_t n = dnssec_ds_make(apex, key.data, key.len, 2, ds);
    struct trust_anchor anchor[2];
    unsigned anchors = 0;
    if (by & BY_DNSKEY)
        anchor[anchors++] = (struct trust_anchor){false, key.len, dnskey};
    if (by & BY_ANCHOR_DS)
        anchor[anchors++] = (struct trust_anchor){true, (uint16_t)n, ds};
    put_u16(prefixed, (uint16_t)n);
    memcpy(prefixed + 2, ds, n);
    struct rrset set = {.type = RR_DS, .count = 1, .rdata = prefixed, .end = prefixed + 2 + n};
    int rc = trust_open(node, now, t, why);
    ck_assert_int_eq(rc, 0);
    return trust_prove(*t, anchor, anchors, by & BY_DS ? &set : NULL, why);
}

static void check(const struct node *node, time_t now, int by, struct rdata key, int want,
                  const char *text)
{
    struct trust *t;
    struct why why = {""};
    ck_assert_int_eq(prove(node, now, by, key, &t, &why), want);
    ck_assert_msg(!text || strstr(why.text, text), "%s", why.text);
    trust_close(&t);
}

START_TEST(test_a_named_key_proves_the_set)
{
    struct fixture f;
    fixture_open(&f);
    struct node *node = provider_node(&f.p);
    check(node, NOW, 0, f.key[0], -E_NOENT, "there is no trust anchor, and no DS at the parent");
    check(node, NOW, BY_DS, f.key[0], 0, NULL);
    check(node, NOW, BY_DNSKEY, f.key[0], 0, NULL);
    check(node, NOW, BY_ANCHOR_DS, f.key[0], 0, NULL);
    /* The ZSK is in the set, and named, but has not signed it. */
    check(node, NOW, BY_DS, f.key[1], -E_MISMATCH, "no signature by such a key");
    struct rdata other = provider_key(&f.signer, 0);
    check(node, NOW, BY_DS, other, -E_NOENT, "none of its 2 keys is named by a DS at the parent");
    check(node, NOW, BY_DNSKEY, other, -E_NOENT, "named by a trust anchor");
    check(node, NOW, BY_DNSKEY | BY_DS, other, -E_NOENT, "a trust anchor or a DS at the parent");
    check(node, NOW + 15 * 86400, BY_DS, f.key[0], -E_MISMATCH, "ended 2025-12-08");
    check(node, NOW - 2 * 86400, BY_DS, f.key[0], -E_MISMATCH, "begins 2025-11-23");
    node = provider_spoil(node, RR_DNSKEY);
    check(node, NOW, BY_DS, f.key[0], -E_MISMATCH, "does not verify");
    node_unref(node);
    signer_close(&f.signer);
}
END_TEST

/* A set with one key more than was signed is another set. */
START_TEST(test_what_was_not_signed_is_not_proved)
{
    struct fixture f;
    fixture_open(&f);
    struct node *node = provider_node(&f.p);
    struct rdata other = provider_key(&f.signer, 0);
    struct node_builder *b = node_builder_new();
    node_builder_begin(b, apex);
    node_builder_add_node(b, node, NULL, NULL);
    ck_assert_int_eq(node_builder_add(b, RR_DNSKEY, 3600, other.data, other.len), 0);
    struct node *more = node_builder_seal(b);
    check(more, NOW, BY_DS, f.key[0], -E_MISMATCH, "does not verify");
    node_unref(more);
    node_unref(node);
    node_builder_free(&b);
    signer_close(&f.signer);
}
END_TEST

START_TEST(test_keys_that_may_not_sign_prove_nothing)
{
    struct fixture f;
    fixture_open(&f);
    signer_revoke_key(&f.signer, f.p.ksk); /* RFC 5011 2.1 */
    f.key[0] = provider_key(&f.signer, f.p.ksk);
    struct node *node = provider_node(&f.p);
    check(node, NOW, BY_DS, f.key[0], -E_NOENT, "none of its 2 keys");
    node_unref(node);
    signer_close(&f.signer);
}
END_TEST

START_TEST(test_who_signed_what)
{
    struct fixture f;
    struct trust *t;
    struct why why = {""};
    uint64_t by, key[2] = {0};
    fixture_open(&f);
    struct node *node = provider_spoil(provider_node(&f.p), RR_NS);
    ck_assert_int_eq(prove(node, NOW, BY_DS, f.key[0], &t, &why), 0);
    for (unsigned i = 0; i < trust_keys(t); i++)
        for (int j = 0; j < 2; j++)
            if (trust_key(t, i).len == f.key[j].len &&
                memcmp(trust_key(t, i).data, f.key[j].data, f.key[j].len) == 0)
                key[j] = (uint64_t)1 << i;
    ck_assert(key[0] && key[1]);
    ck_assert_int_eq(trust_signers(t, RR_SOA, &by, &why), 0);
    ck_assert_uint_eq(by, key[1]);
    ck_assert_int_eq(trust_signers(t, RR_DNSKEY, &by, &why), 0);
    ck_assert_uint_eq(by, key[0]);
    ck_assert_int_eq(trust_signers(t, RR_CDS, &by, &why), 0);
    ck_assert_uint_eq(by, key[0]);
    ck_assert_int_eq(trust_signers(t, RR_NS, &by, &why), -E_MISMATCH);
    ck_assert_msg(strstr(why.text, "NS set: the signature by key"), "%s", why.text);
    ck_assert_int_eq(trust_signers(t, RR_CSYNC, &by, &why), -E_NOENT);
    ck_assert_str_eq(why.text, "no CSYNC set");
    trust_close(&t);
    node_unref(node);
    signer_close(&f.signer);
}
END_TEST

/* Many signatures that all name the key, and are all bad (KeyTrap): the work ends, and says so. */
START_TEST(test_work_is_bounded)
{
    struct fixture f;
    struct rrset set;
    struct rdata r;
    uint8_t octets[SIGNER_RRSIG_MAX];
    fixture_open(&f);
    struct node *node = provider_spoil(provider_node(&f.p), RR_DNSKEY);
    ck_assert(node_rrset(node, RR_RRSIG, RR_DNSKEY, &set) && rrset_first(&set, &r));
    struct node_builder *b = node_builder_new();
    node_builder_begin(b, apex);
    node_builder_add_node(b, node, NULL, NULL);
    memcpy(octets, r.data, r.len);
    for (unsigned i = 0; i < 2000; i++) {
        put_u16(octets + r.len - 2, (uint16_t)i);
        ck_assert_int_eq(node_builder_add(b, RR_RRSIG, set.ttl, octets, r.len), 0);
    }
    struct node *flood = node_builder_seal(b);
    check(flood, NOW, BY_DS, f.key[0], -E_LIMIT, "more than 96 checks");
    node_builder_begin(b, apex);
    for (unsigned i = 0; i <= TRUST_KEYS_MAX; i++) {
        uint8_t key[40] = {1, 1, 3, 15, (uint8_t)i};
        ck_assert_int_eq(node_builder_add(b, RR_DNSKEY, 60, key, 36), 0);
    }
    struct node *many = node_builder_seal(b);
    struct trust *t;
    struct why why;
    ck_assert_int_eq(trust_open(many, NOW, &t, &why), -E_LIMIT);
    ck_assert_str_eq(why.text, "65 keys in the DNSKEY set, at most 64 are looked at");
    node_unref(many);
    node_unref(flood);
    node_unref(node);
    node_builder_free(&b);
    signer_close(&f.signer);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("trust");
    suite_add(s, test_a_named_key_proves_the_set);
    suite_add(s, test_what_was_not_signed_is_not_proved);
    suite_add(s, test_keys_that_may_not_sign_prove_nothing);
    suite_add(s, test_who_signed_what);
    suite_add(s, test_work_is_bounded);
    return suite_run(s);
}
