/* dnssec_ds: the DS examples of the RFCs, and each of them spoilt; trust anchors as an operator writes them. */
#include "tests/lib/stageplay.h"
#include "tests/lib/suite.h"
#include "tests/lib/vectors.h"

#include "pipeline/run/registry.h"
#include "pipeline/zone/dnssec.h"

#include <string.h>

static const struct pair {
    const char *dnskey, *ds;
} pairs[] = {
    /* RFC 4509 2.3 */
    {"dskey.example.com. 86400 IN DNSKEY 256 3 5 "
     "AQOeiiR0GOMYkDshWoSKz9XzfwJr1AYtsmx3TGkJaNXVbfi/2pHm822aJ5iI9BMzNXxeYCmZDRD99WYwYqUSdjMmmAph"
     "XdvxegXd/M5+X7OrzKBaMbCVdFLUUh6DhweJBjEVv5f2wwjM9XzcnOf+EPbtG9DMBmADjFDc2w/rljwvFw==",
     "dskey.example.com. 86400 IN DS 60485 5 2 "
     "D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A"},
    /* RFC 6605 6.1, 6.2 */
    {"example.net. 3600 IN DNSKEY 257 3 13 "
     "GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
     "example.net. 3600 IN DS 55648 13 2 "
     "b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17"},
    {"example.net. 3600 IN DNSKEY 257 3 14 "
     "xKYaNhWdGOfJ+nPrL8/arkwf2EY3MDJ+SErKivBVSum1w/egsXvSADtNJhyem5RCOpgQ6K8X1DRSEkrbYQ+OB+v8/uX4"
     "5NBwY8rp65F6Glur8I/mlVNgF6W/qTI37m40",
     "example.net. 3600 IN DS 10771 14 4 "
     "72d7b62976ce06438e9c0bf319013cf801f09ecc84b8d7e9495f27e305c6a9b0563a9b5f4d288405c3008a946df98"
     "3"
     "d6"},
};

static enum dnssec_result match(const struct record *dnskey, const struct record *ds)
{
    return dnssec_ds_matches(dnskey->owner, dnskey->rdata, dnskey->len, ds->rdata, ds->len);
}

START_TEST(test_examples)
{
    struct record dnskey = record_of(pairs[_i].dnskey), ds = record_of(pairs[_i].ds);
    ck_assert_int_eq(match(&dnskey, &ds), DNSSEC_VALID);
    uint8_t made[DNSSEC_DS_MAX];
    ck_assert_uint_eq(dnssec_ds_make(dnskey.owner, dnskey.rdata, dnskey.len, ds.rdata[3], made),
                      ds.len);
    ck_assert_mem_eq(made, ds.rdata, ds.len);
    for (unsigned i = 0; i < ds.len; i++) {
        ds.rdata[i] ^= 1;
        enum dnssec_result want = i == 3 ? DNSSEC_UNSUPPORTED : DNSSEC_BOGUS;
        ck_assert_msg(match(&dnskey, &ds) == want, "octet %u of the DS", i);
        ds.rdata[i] ^= 1;
    }
    for (unsigned i = 0; i < dnskey.len; i++) {
        dnskey.rdata[i] ^= 1;
        ck_assert_msg(match(&dnskey, &ds) == DNSSEC_BOGUS, "octet %u of the DNSKEY", i);
        dnskey.rdata[i] ^= 1;
    }
    for (uint16_t len = 0; len < ds.len; len++)
        ck_assert_int_eq(dnssec_ds_matches(dnskey.owner, dnskey.rdata, dnskey.len, ds.rdata, len),
                         DNSSEC_BOGUS);
    ck_assert_int_eq(dnssec_ds_matches(name_root, dnskey.rdata, dnskey.len, ds.rdata, ds.len),
                     DNSSEC_BOGUS);
    dnskey.owner[1] = (uint8_t)(dnskey.owner[1] & ~0x20); /* the owner's case is nothing */
    ck_assert_int_eq(match(&dnskey, &ds), DNSSEC_VALID);
    record_free(&dnskey);
    record_free(&ds);
}
END_TEST

/* SHA-1 names a key and proves nothing. */
START_TEST(test_sha1)
{
    struct record dnskey = record_of(pairs[0].dnskey);
    struct record ds = record_of("dskey.example.com. 86400 IN DS 60485 5 1 "
                                 "2BB183AF5F22588179A53B0A98631FAD1A292118");
    ck_assert_int_eq(match(&dnskey, &ds), DNSSEC_UNSUPPORTED);
    record_free(&dnskey);
    record_free(&ds);
}
END_TEST

#define SHA256_HEX "D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A"
static const struct anchor_case {
    const char *option;
    const char *why; /* NULL: taken */
} anchors[] = {
    {"trust_anchor=60485~5~2~" SHA256_HEX, NULL},
    {"trust_anchor=60485~5~2~D4B7D520~E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1~E4469DA50A",
     NULL},
    {"trust_anchor=257~3~15~dMYiQRekeEaK5RKfl2yf6XTNC+0kVoIZe1OXSfkvtC4=", NULL},
    {"trust_anchor=257~3~15~dMYiQRekeEaK5RKfl2yf6XTN~C+0kVoIZe1OXSfkvtC4=,60485~5~2~" SHA256_HEX,
     NULL},
    {"trust_anchor=60485~5~1~2BB183AF5F22588179A53B0A98631FAD1A292118", "SHA-1"},
    {"trust_anchor=60485~5~3~" SHA256_HEX, "digest type 3"},
    {"trust_anchor=60485~5~4~" SHA256_HEX, "a digest of 32 octets, type 4 has 48"},
    {"trust_anchor=60485~5~2~" SHA256_HEX "00", "a digest of 33 octets"},
    {"trust_anchor=60485~200~2~" SHA256_HEX, "algorithm 200"},
    {"trust_anchor=60485~5~2~" SHA256_HEX "0", "expected"},
    {"trust_anchor=60485~5~2~" SHA256_HEX "0g", "expected"},
    {"trust_anchor=65536~5~2~" SHA256_HEX, "expected"},
    {"trust_anchor=60485~256~2~" SHA256_HEX, "expected"},
    {"trust_anchor=-1~5~2~" SHA256_HEX, "expected"},
    {"trust_anchor=60485~5~2", "expected"},
    {"trust_anchor=60485", "expected"},
    {"trust_anchor=~", "expected"},
    {"trust_anchor=example.~IN~DS~60485~5~2~" SHA256_HEX, "expected"},
    {"trust_anchor=0~3~15~dMYiQRekeEaK5RKfl2yf6XTNC+0kVoIZe1OXSfkvtC4=", "flags 0"},
    {"trust_anchor=385~3~15~dMYiQRekeEaK5RKfl2yf6XTNC+0kVoIZe1OXSfkvtC4=", "flags 385"},
    {"trust_anchor=257~3~15~dMYiQRekeEaK5RKfl2yf6XTNC+0kVoIZe1OXSfkvtA==", "key of 31 octets"},
    {"trust_anchor=257~3~15~dMYiQRekeEaK5RKfl2yf6XTNC+0kVoIZe1OXSfkvtC4", "expected"},
    {"trust_anchor=257~3~15~dMYi*Rek", "expected"},
    {"trust_anchor=257~3~15~dM=iQRek", "expected"},
    {"trust_anchor=257~3~200~dMYiQRek", "algorithm 200"},
    {"trust_anchor=60485~5~2~" SHA256_HEX ",60485", "expected"},
};

START_TEST(test_anchors)
{
    const struct anchor_case *c = &anchors[_i];
    struct stageplay play;
    struct why why = {""};
    int rc = stageplay_open(&play, registry_find("validate"), name_root, c->option, &why);
    ck_assert_msg((rc == 0) == (c->why == NULL), "%s: %s", c->option, why.text);
    ck_assert_msg(!c->why || strstr(why.text, c->why), "%s: %s", c->option, why.text);
    if (rc == 0)
        stageplay_close(&play);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("dnssec_ds");
    tcase_add_loop_test(s.tcase, test_examples, 0, sizeof(pairs) / sizeof(pairs[0]));
    suite_add(s, test_sha1);
    tcase_add_loop_test(s.tcase, test_anchors, 0, sizeof(anchors) / sizeof(anchors[0]));
    return suite_run(s);
}
