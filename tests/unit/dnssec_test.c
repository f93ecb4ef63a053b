/* dnssec: keys, digest input and verification, against what others published. */
#include "pipeline/base/alloc.h"
#include "pipeline/zone/dnssec_parts.h"
#include "tests/lib/random.h"
#include "tests/lib/suite.h"
#include "tests/lib/vectors.h"

#include <ldns/ldns.h>

static struct dnssec_key *key_open(const struct record *dnskey)
{
    struct dnssec_key *key = NULL;
    struct why why = {""};
    ck_assert_msg(dnssec_key_open(dnskey->rdata, dnskey->len, &key, &why) == 0, "%s", why.text);
    return key;
}

/* ---- key tags ---- */

static void check_tag(const char *line, unsigned tag)
{
    struct record r = record_of(line);
    ck_assert_uint_eq(dnssec_key_tag(r.rdata, r.len), tag);
    record_free(&r);
}

START_TEST(test_key_tags)
{
    check_tag("example.com. DNSKEY 257 3 13 "
              "mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLU"
              "T0rAK9iUzy1L53eKGQ==",
              2371);
    check_tag("example.com. DNSKEY 256 3 13 "
              "koPbw9wmYZ7ggcjnQ6ayHyhHaDNMYELKTqT+qRGrZpWSccr/lBcrm10Z1PuQHB3Azhii"
              "+sb0PYFkH1ruxLhe5g==",
              35273);
    check_tag("example.com. DNSKEY 256 3 13 "
              "oJMRESz5E4gYzS/q6XDrvU1qMPYIjCWzJaOau8XNEZeqCYKD5ar0IRd8KqXXFJkqmVfR"
              "vMGPmM1x8fGAa2XhSA==",
              34505);
    /* RFC 4034 5.4 */
    check_tag("dskey.example.com. DNSKEY 256 3 5 "
              "AQOeiiR0GOMYkDshWoSKz9XzfwJr1AYtsmx3TGkJaNXVbfi/2pHm822aJ5iI9BMz"
              "NXxeYCmZDRD99WYwYqUSdjMmmAphXdvxegXd/"
              "M5+X7OrzKBaMbCVdFLUUh6DhweJBjEVv5f2wwjM9XzcnOf+EPbtG9DMBmAD"
              "jFDc2w/rljwvFw==",
              60485);
    /* algorithm 1 has a rule of its own */
    const uint8_t md5[] = {1, 0, 3, 1, 1, 3, 0xaa, 0xbb, 0xcc, 0xdd};
    ck_assert_uint_eq(dnssec_key_tag(md5, sizeof(md5)), 0xbbcc);
    ck_assert_uint_eq(dnssec_key_tag(md5, 4), 0x0100 + 0x0301);
    ck_assert_uint_eq(dnssec_key_tag(md5, 0), 0);
}
END_TEST

START_TEST(test_key_tag_equals_ldns)
{
    struct random random = random_open();
    for (int i = 0; i < 2000; i++) {
        uint8_t rdata[300];
        size_t len = 4 + random_below(&random, sizeof(rdata) - 3);
        random_octets(&random, rdata, len);
        if (rdata[3] == 1)
            continue;
        ck_assert_uint_eq(dnssec_key_tag(rdata, len), ldns_calc_keytag_raw(rdata, len));
    }
}
END_TEST

/* ---- examples of the RFCs ---- */

static void check_example(const char *dnskey, unsigned tag, const char *record, const char *rrsig)
{
    struct record k = record_of(dnskey), r = record_of(record), s = record_of(rrsig);
    struct node *node = node_of(&r, 1);
    struct rrset set;
    ck_assert(node_rrset(node, r.type, 0, &set));
    struct dnssec_key *key = key_open(&k);
    struct dnssec_scratch *scratch = dnssec_scratch_new();
    ck_assert_uint_eq(dnssec_key_info(key)->tag, tag);
    ck_assert_uint_eq(dnssec_key_info(key)->protocol, 3);
    ck_assert_int_eq(dnssec_verify(scratch, key, r.owner, &set, s.rdata, s.len), DNSSEC_VALID);
    r.owner[1] ^= 1;
    ck_assert_int_eq(dnssec_verify(scratch, key, r.owner, &set, s.rdata, s.len), DNSSEC_BOGUS);
    dnssec_scratch_free(&scratch);
    dnssec_key_close(&key);
    ck_assert_ptr_null(key);
    node_unref(node);
    record_free(&k);
    record_free(&r);
    record_free(&s);
}

START_TEST(test_rfc5702)
{
    check_example(
        "example.net. DNSKEY 256 3 8 "
        "AwEAAcFcGsaxxdgiuuGmCkVImy4h99CqT7jwY3pexPGcnUFtR2Fh36BponcwtkZ4cA"
        "gtvd4Qs8PkxUdp6p/DlUmObdk=",
        9033, "www.example.net. 3600 IN A 192.0.2.91",
        "www.example.net. 3600 IN RRSIG A 8 3 3600 20300101000000 20000101000000 9033 example.net. "
        "kRCOH6u7l0QGy9qpC9l1sLncJcOKFLJ7GhiUOibu4teYp5VE9RncriShZNz85mwlMgNEacFYK/lPtPiVYP4bwg==");
    check_example("example.net. DNSKEY 256 3 10 "
                  "AwEAAdHoNTOW+et86KuJOWRDp1pndvwb6Y83nSVXXyLA3DLroROUkN6X0O6pnWnjJQ"
                  "ujX/AyhqFDxj13tOnD9u/1kTg7cV6rklMrZDtJCQ5PCl/"
                  "D7QNPsgVsMu1J2Q8gpMpztNFLpPBz1bWXjDtaR7ZQBlZ3PFY12ZTS"
                  "ncorffcGmhOL",
                  3740, "www.example.net. 3600 IN A 192.0.2.91",
                  "www.example.net. 3600 IN RRSIG A 10 3 3600 20300101000000 20000101000000 3740 "
                  "example.net. "
                  "tsb4wnjRUDnB1BUi+t6TMTXThjVnG+"
                  "eCkWqjvvjhzQL1d0YRoOe0CbxrVDYd0xDtsuJRaeUw1ep94PzEWzr0iGYgZBWm/zpq"
                  "+9fOuagYJRfDqfReKBzMweOLDiNa8iP5g9vMhpuv6OPlvpXwm9Sa9ZXIbNl1MBGk0fthPgxdDLw=");
}
END_TEST

START_TEST(test_rfc6605)
{
    check_example(
        "example.net. DNSKEY 257 3 13 "
        "GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+"
        "MAnLr+Wi9xMWyQLc8NAA==",
        55648, "www.example.net. 3600 IN A 192.0.2.1",
        "www.example.net. 3600 IN RRSIG A 13 3 3600 20100909100439 20100812100439 55648 "
        "example.net. "
        "qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3SNruPFKG7tZoLBLlUzGGus7ZwmwWep666VCw==");
    check_example("example.net. DNSKEY 257 3 14 "
                  "xKYaNhWdGOfJ+nPrL8/arkwf2EY3MDJ+SErKivBVSum1w/egsXvSADtNJhyem5RCOp"
                  "gQ6K8X1DRSEkrbYQ+OB+v8/uX45NBwY8rp65F6Glur8I/mlVNgF6W/qTI37m40",
                  10771, "www.example.net. 3600 IN A 192.0.2.1",
                  "www.example.net. 3600 IN RRSIG A 14 3 3600 20100909102025 20100812102025 10771 "
                  "example.net. "
                  "/L5hDKIvGDyI1fcARX3z65qrmPsVz73QD1Mr5CEqOiLP95hxQouuroGCeZOvzFaxsT8Glr74hbavRKay"
                  "JNuydCuzWTSSPdz7"
                  "wnqXL5bdcJzusdnI0RSMROxxwGipWcJm");
}
END_TEST

START_TEST(test_rfc8080)
{
    const char *mx = "example.com. 3600 IN MX 10 mail.example.com.";
    check_example(
        "example.com. DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=", 3613, mx,
        "example.com. 3600 IN RRSIG MX 15 2 3600 1440021600 1438207200 3613 example.com. "
        "oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M3e23mRZ9VrbpMngwcrqNAg==");
    check_example(
        "example.com. DNSKEY 257 3 15 zPnZ/QwEe7S8C5SPz2OfS5RR40ATk2/rYnE9xHIEijs=", 35217, mx,
        "example.com. 3600 IN RRSIG MX 15 2 3600 1440021600 1438207200 35217 example.com. "
        "zXQ0bkYgQTEFyfLyi9QoiY6D8ZdYo4wyUhVioYZXFdT410QPRITQSqJSnzQoSm5poJ7gD7AQR0O7KuI5k2pcBg==");
    check_example("example.com. DNSKEY 257 3 16 "
                  "3kgROaDjrh0H2iuixWBrc8g2EpBBLCdGzHmn+G2MpTPhpj/OiBVHHSfPodx1FYYUcJK"
                  "m1MDpJtIA",
                  9713, mx,
                  "example.com. 3600 IN RRSIG MX 16 2 3600 1440021600 1438207200 9713 example.com. "
                  "3cPAHkmlnxcDHMyg7vFC34l0blBhuG1qpwLmjInI8w1CMB29FkEAIJUA0amxWndkmnBZ6SKiwZSAxGIL"
                  "n/NBtOXft0+Gj7FS"
                  "vOKxE/07+4RQvE581N3Aj/JtIyaiYVdnYtyMWbSNyGEY2213WKsJlwEA");
    check_example(
        "example.com. DNSKEY 257 3 16 "
        "kkreGWoccSDmUBGAe7+zsbG6ZAFQp+syPmYUurBRQc3tDjeMCJcVMRDmgcNLp5HlHAM"
        "y12VoISsA",
        38353, mx,
        "example.com. 3600 IN RRSIG MX 16 2 3600 1440021600 1438207200 38353 example.com. "
        "E1/oLjSGIbmLny/4fcgM1z4oL6aqo+izT3urCyHyvEp4Sp8Syg1eI+lJ57CSnZqjJP41O/"
        "9l4m0AsQ4f7qI1gVnML8vWWiyW"
        "2KXhT9kuAICUSxv5OWbf81Rq7Yu60npabODB0QFPb/rkW3kUZmQ0YQUA");
}
END_TEST

/* ---- Wycheproof ---- */

static struct dnssec_key *vector_key(uint8_t algorithm, const char *hex)
{
    struct record r = {.rdata = mem_alloc(256)};
    const uint8_t head[4] = {1, 1, 3, algorithm};
    memcpy(r.rdata, head, 4);
    /* an uncompressed point has its form octet first, which DNSKEY leaves out */
    size_t skip = algorithm == ALG_ECDSAP256 || algorithm == ALG_ECDSAP384 ? 2 : 0;
    r.len = (uint16_t)(4 + hex_decode(hex + skip, r.rdata + 4, 252));
    struct dnssec_key *key = key_open(&r);
    record_free(&r);
    return key;
}

/* The batch path alone, without EVP behind it: it must never say yes to what is invalid, and must
 * say yes to what is valid, or it would be of no use. */
static void check_tables(struct dnssec_scratch *scratch, struct dnssec_key *key, const uint8_t *msg,
                         size_t len, const uint8_t *sig, size_t sig_len, bool want, const char *id)
{
    uint8_t digest[DIGEST_MAX_OCTETS];
    bool valid[P256_BATCH] = {false};
    if (sig_len != 64)
        return;
    dnssec_key_expect(key, SIZE_MAX);
    ck_assert_ptr_nonnull(key->tables);
    if (!scratch->p256)
        scratch->p256 = p256_batch_new();
    ck_assert(dnssec_digest(scratch, DIGEST_SHA256, msg, len, digest));
    bool added = p256_batch_add(scratch->p256, key->tables, digest, sig);
    p256_batch_run(scratch->p256, valid);
    ck_assert_msg((added && valid[0]) == want, "test %s by tables", id);
}

static void check_wycheproof(const char *path, uint8_t algorithm, unsigned want_tests)
{
    char *text = shared_read(path), key_name[64], value[8192], id[16] = "";
    uint8_t msg[2048], sig[512];
    size_t msg_len = 0, sig_len = 0;
    unsigned tests = 0, valid = 0;
    struct dnssec_key *key = NULL;
    struct dnssec_scratch *scratch = dnssec_scratch_new();
    for (const char *p = text; json_pair(&p, key_name, sizeof(key_name), value, sizeof(value));) {
        if (!strcmp(key_name, "uncompressed") || !strcmp(key_name, "pk")) {
            dnssec_key_close(&key);
            key = vector_key(algorithm, value);
        } else if (!strcmp(key_name, "msg")) {
            msg_len = hex_decode(value, msg, sizeof(msg));
        } else if (!strcmp(key_name, "sig")) {
            sig_len = hex_decode(value, sig, sizeof(sig));
        } else if (!strcmp(key_name, "result")) {
            bool want = !strcmp(value, "valid");
            snprintf(id, sizeof(id), "%u", ++tests);
            valid += want;
            ck_assert_msg(dnssec_verify_octets(scratch, key, msg, msg_len, sig, sig_len) ==
                              (want ? DNSSEC_VALID : DNSSEC_BOGUS),
                          "%s: test %s", path, id);
            if (algorithm == ALG_ECDSAP256)
                check_tables(scratch, key, msg, msg_len, sig, sig_len, want, id);
        }
    }
    ck_assert_uint_eq(tests, want_tests);
    ck_assert_uint_gt(valid, tests / 2);
    ck_assert_uint_lt(valid, tests);
    dnssec_key_close(&key);
    dnssec_scratch_free(&scratch);
    mem_free(&text);
}

START_TEST(test_wycheproof_p256)
{
    check_wycheproof("data/vectors/ecdsa_secp256r1_sha256_p1363_test.json", ALG_ECDSAP256, 262);
}
END_TEST

START_TEST(test_wycheproof_p384)
{
    check_wycheproof("data/vectors/ecdsa_secp384r1_sha384_p1363_test.json", ALG_ECDSAP384, 280);
}
END_TEST

START_TEST(test_wycheproof_ed25519)
{
    check_wycheproof("data/vectors/ed25519_test.json", ALG_ED25519, 151);
}
END_TEST

/* ---- keys that are refused ---- */

static void check_refused(const uint8_t *rdata, size_t len, int code, const char *want)
{
    struct dnssec_key *key = NULL;
    struct why why = {""};
    ck_assert_int_eq(dnssec_key_open(rdata, len, &key, &why), code);
    ck_assert_ptr_null(key);
    ck_assert_msg(strstr(why.text, want) != NULL, "\"%s\" does not say \"%s\"", why.text, want);
}

static void check_rsa_refused(uint8_t algorithm, size_t e_len, const uint8_t *e, size_t n_len,
                              uint8_t first, uint8_t last, int code, const char *want)
{
    uint8_t rdata[2048] = {1, 0, 3, algorithm, (uint8_t)e_len};
    memcpy(rdata + 5, e, e_len);
    uint8_t *n = rdata + 5 + e_len;
    memset(n, 0xa5, n_len);
    n[0] = first;
    n[n_len - 1] = last;
    if (code) {
        check_refused(rdata, 5 + e_len + n_len, code, want);
        return;
    }
    struct dnssec_key *key;
    ck_assert_int_eq(dnssec_key_open(rdata, 5 + e_len + n_len, &key, NULL), 0);
    ck_assert_uint_eq(dnssec_key_info(key)->bits, (unsigned)atoi(want));
    dnssec_key_close(&key);
}

START_TEST(test_rsa_limits)
{
    const uint8_t f4[] = {1, 0, 1}, one[] = {1}, three[] = {3}, even[] = {1, 0, 0}, zero[] = {0, 3};
    const uint8_t e64[] = {0x80, 0, 0, 0, 0, 0, 0, 1}, e72[] = {1, 0, 0, 0, 0, 0, 0, 0, 1};
    check_rsa_refused(8, 3, f4, 64, 0x80, 1, 0, "512");
    check_rsa_refused(8, 1, three, 64, 0xff, 1, 0, "512");
    check_rsa_refused(8, 8, e64, 512, 0x80, 1, 0, "4096");
    check_rsa_refused(8, 3, f4, 65, 0x01, 1, 0, "513");
    check_rsa_refused(5, 3, f4, 64, 0x80, 1, 0, "512");
    check_rsa_refused(7, 3, f4, 128, 0x80, 1, 0, "1024");
    check_rsa_refused(10, 3, f4, 128, 0x80, 1, 0, "1024");
    check_rsa_refused(10, 3, f4, 128, 0x7f, 1, -E_UNSUPPORTED, "1023 bits, RSASHA512 needs 1024");
    check_rsa_refused(8, 3, f4, 64, 0x7f, 1, -E_UNSUPPORTED, "511 bits");
    check_rsa_refused(8, 3, f4, 513, 0x01, 1, -E_UNSUPPORTED, "at most 4096 bits");
    check_rsa_refused(8, 9, e72, 128, 0x80, 1, -E_UNSUPPORTED, "exponent of 9 octets");
    check_rsa_refused(8, 1, one, 128, 0x80, 1, -E_FORMAT, "even or 1");
    check_rsa_refused(8, 3, even, 128, 0x80, 1, -E_FORMAT, "even or 1");
    check_rsa_refused(8, 2, zero, 128, 0x80, 1, -E_FORMAT, "exponent begins with a zero");
    check_rsa_refused(8, 3, f4, 128, 0x00, 1, -E_FORMAT, "modulus begins with a zero");
    check_rsa_refused(8, 3, f4, 128, 0x80, 2, -E_FORMAT, "modulus is even");
}
END_TEST

START_TEST(test_keys_refused)
{
    uint8_t rdata[200] = {1, 0, 3, 8};
    check_refused(rdata, 3, -E_FORMAT, "3 octets");
    check_refused(rdata, 4, -E_FORMAT, "exponent");
    rdata[4] = 3;
    check_refused(rdata, 6, -E_FORMAT, "exponent");
    check_refused(rdata, 8, -E_FORMAT, "no modulus");
    rdata[4] = 0, rdata[5] = 0, rdata[6] = 3, rdata[9] = 1;
    check_refused(rdata, 100, -E_FORMAT, "short form");
    rdata[5] = 1;
    check_refused(rdata, 100, -E_UNSUPPORTED, "exponent of 259 octets");
    rdata[3] = 12;
    check_refused(rdata, 36, -E_UNSUPPORTED, "algorithm 12");
    const struct {
        uint8_t algorithm;
        size_t len;
    } fixed[] = {{13, 64}, {14, 96}, {15, 32}, {16, 57}};
    for (size_t i = 0; i < 4; i++) {
        rdata[3] = fixed[i].algorithm;
        check_refused(rdata, 4 + fixed[i].len - 1, -E_FORMAT, "octets, not");
        check_refused(rdata, 4 + fixed[i].len + 1, -E_FORMAT, "octets, not");
    }
    memset(rdata + 4, 1, 96);
    rdata[3] = 13;
    check_refused(rdata, 4 + 64, -E_FORMAT, "not a point on the curve");
    rdata[3] = 14;
    check_refused(rdata, 4 + 96, -E_FORMAT, "not a point on the curve");
    for (unsigned a = 0; a < 256; a++)
        ck_assert_int_eq(dnssec_supported((uint8_t)a),
                         a == 5 || a == 7 || a == 8 || a == 10 || (a >= 13 && a <= 16));
    ck_assert_str_eq(dnssec_algorithm_text(13), "ECDSAP256SHA256");
    ck_assert_str_eq(dnssec_algorithm_text(3), "unknown");
}
END_TEST

START_TEST(test_rrsig_parse)
{
    struct record r =
        record_of("example.com. RRSIG MX 15 2 3600 1440021600 1438207200 3613 Example.com. AQID");
    struct rrsig s;
    ck_assert(rrsig_parse(r.rdata, r.len, &s));
    ck_assert_uint_eq(s.covered, RR_MX);
    ck_assert_uint_eq(s.algorithm, 15);
    ck_assert_uint_eq(s.labels, 2);
    ck_assert_uint_eq(s.original_ttl, 3600);
    ck_assert_uint_eq(s.expiration, 1440021600);
    ck_assert_uint_eq(s.inception, 1438207200);
    ck_assert_uint_eq(s.tag, 3613);
    ck_assert_uint_eq(s.head_len, 18 + 13);
    ck_assert_mem_eq(s.signer, "\7Example\3com", 13);
    ck_assert_uint_eq(s.signature_len, 3);
    ck_assert_mem_eq(s.signature, "\1\2\3", 3);
    for (size_t len = 0; len <= s.head_len; len++)
        ck_assert(!rrsig_parse(r.rdata, len, &s));
    r.rdata[18] = 0xc0;
    ck_assert(!rrsig_parse(r.rdata, r.len, &s));
    record_free(&r);
}
END_TEST

/* ---- octets and tables ---- */

/* The octets themselves, spelled out. */
START_TEST(test_input_octets)
{
    struct record r[3] = {record_of("A.Example. 60 MX 20 B.Example."),
                          record_of("a.example. 60 MX 10 C.Example."),
                          record_of("a.example. 60 MX 20 b.EXAMPLE.")};
    struct record s = record_of("a.example. RRSIG MX 13 2 3600 2 1 7 EXAMPLE. AAAA");
    struct node *node = node_of(r, 3);
    struct rrset set;
    struct rrsig sig;
    ck_assert(node_rrset(node, RR_MX, 0, &set));
    ck_assert(rrsig_parse(s.rdata, s.len, &sig));
    struct dnssec_scratch *scratch = dnssec_scratch_new();
    static const char want[] = "\0\17\15\2\0\0\16\20\0\0\0\2\0\0\0\1\0\7\7example\0"
                               "\1a\7example\0\0\17\0\1\0\0\16\20\0\15\0\12\1c\7example\0"
                               "\1a\7example\0\0\17\0\1\0\0\16\20\0\15\0\24\1b\7example";
    size_t len;
    const uint8_t *got = dnssec_input(scratch, r[0].owner, &set, &sig, s.rdata, &len);
    ck_assert_uint_eq(len, sizeof(want));
    ck_assert_mem_eq(got, want, sizeof(want));
    dnssec_scratch_free(&scratch);
    node_unref(node);
    for (int i = 0; i < 3; i++)
        record_free(&r[i]);
    record_free(&s);
}
END_TEST

/* What the tables accept, over many random digests, is what EVP accepts: sign with a key of our
 * own. */
START_TEST(test_tables_random)
{
    struct random random = random_open();
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    uint8_t point[80];
    size_t point_len;
    ck_assert(EVP_PKEY_get_octet_string_param(pkey, "pub", point, sizeof(point), &point_len));
    ck_assert_uint_eq(point_len, 65);
    struct p256_tables *tables = p256_tables_new(point + 1);
    struct p256_batch *batch = p256_batch_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
    ck_assert(EVP_PKEY_sign_init(ctx) == 1);
    bool want[P256_BATCH], valid[P256_BATCH];
    for (int i = 0; i < P256_BATCH; i++) {
        uint8_t digest[32], der[80], raw[64];
        size_t der_len = sizeof(der);
        random_octets(&random, digest, 32);
        if (i % 16 == 0) /* digests at and above the order of the group */
            memset(digest, i % 32 ? 0xff : 0, 32);
        ck_assert(EVP_PKEY_sign(ctx, der, &der_len, digest, 32) == 1);
        const uint8_t *p = der;
        ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)der_len);
        BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, 32);
        BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + 32, 32);
        ECDSA_SIG_free(sig);
        want[i] = random_below(&random, 4) != 0;
        if (!want[i])
            raw[random_below(&random, 64)] ^= (uint8_t)(1 << random_below(&random, 8));
        if (!p256_batch_add(batch, tables, digest, raw)) {
            ck_assert(!want[i]); /* the flip made r or s too large */
            i--;
        }
    }
    uint8_t any[64] = {1};
    ck_assert(!p256_batch_add(batch, tables, any, any)); /* full */
    p256_batch_run(batch, valid);
    for (int i = 0; i < P256_BATCH; i++)
        ck_assert_msg(valid[i] == want[i], "signature %d", i);
    p256_batch_free(&batch);
    p256_tables_free(&tables);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(pkey);
}
END_TEST

/* ---- NSEC3 ---- */

static void check_nsec3(const char *name, const char *hash)
{
    struct record r = record_of(name);
    uint8_t salt[4], got[20];
    char text[40];
    hex_decode("aabbccdd", salt, 4);
    dnssec_nsec3_hash(r.owner, 12, salt, 4, got);
    ldns_b32_ntop_extended_hex(got, 20, text, sizeof(text));
    ck_assert_str_eq(text, hash);
    record_free(&r);
}

START_TEST(test_nsec3_rfc5155)
{
    check_nsec3("example. A 192.0.2.1", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom");
    check_nsec3("A.Example. A 192.0.2.1", "35mthgpgcu1qg68fab165klnsnk3dpvl");
    check_nsec3("ai.example. A 192.0.2.1", "gjeqe526plbf1g8mklp59enfd789njgi");
    check_nsec3("*.w.example. A 192.0.2.1", "r53bq7cc2uvmubfu5ocmm6pers9tk9en");
    check_nsec3("2t7b4g4vsa5smi47k61mv5bv1a22bojr.example. A 192.0.2.1",
                "kohar7mbb8dc2ce8a9qvl8hon4k53uhi");
}
END_TEST

START_TEST(test_nsec3_owner)
{
    struct random random = random_open();
    uint8_t apex[NAME_MAX_OCTETS], owner[NAME_MAX_OCTETS], hash[20], back[20];
    ck_assert_int_gt(name_parse("Weir.test.", apex, NULL), 0);
    for (int i = 0; i < 200; i++) {
        char text[DNSSEC_NSEC3_TEXT + 1], want[40];
        random_octets(&random, hash, sizeof(hash));
        ldns_b32_ntop_extended_hex(hash, sizeof(hash), want, sizeof(want));
        dnssec_nsec3_print(hash, text);
        ck_assert_str_eq(text, want);
        ck_assert(dnssec_nsec3_owner(hash, apex, owner));
        ck_assert_int_eq(owner[0], 32);
        ck_assert_mem_eq(owner + 1, want, 32);
        ck_assert_mem_eq(owner + 33, apex, name_len(apex));
        owner[1 + random_below(&random, 32)] &= (uint8_t)~0x20; /* a capital, or no letter at all */
        if (dnssec_nsec3_parse(owner, back))
            ck_assert_mem_eq(back, hash, sizeof(hash));
    }
    ck_assert(!dnssec_nsec3_parse((const uint8_t *)"\37aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", back));
    ck_assert(dnssec_nsec3_parse((const uint8_t *)"\40vaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaA", back));
    ck_assert(!dnssec_nsec3_parse((const uint8_t *)"\40waaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", back));
    ck_assert(!dnssec_nsec3_parse((const uint8_t *)"\40-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", back));
}
END_TEST

/* An apex of 222 octets leaves room for the 33 of a hash's label; one more does not. */
START_TEST(test_nsec3_owner_too_long)
{
    for (size_t last = 28; last < 31; last++) {
        uint8_t apex[NAME_MAX_OCTETS], owner[NAME_MAX_OCTETS], hash[20] = {0};
        const uint8_t label[] = {63, 63, 63, (uint8_t)last};
        size_t n = 0;
        for (unsigned i = 0; i < 4; n += 1u + label[i++]) {
            apex[n] = label[i];
            memset(apex + n + 1, 'a', label[i]);
        }
        apex[n++] = 0;
        ck_assert_int_eq(dnssec_nsec3_owner(hash, apex, owner), n <= 222);
        if (n <= 222)
            ck_assert_uint_eq(name_len(owner), n + 33);
    }
}
END_TEST

START_TEST(test_nsec3_equals_ldns)
{
    struct random random = random_open();
    for (int i = 0; i < 200; i++) {
        char line[80];
        uint8_t salt[255], got[20];
        uint8_t salt_len = (uint8_t)random_below(&random, 256);
        uint16_t iterations = (uint16_t)random_below(&random, 50);
        random_octets(&random, salt, sizeof(salt));
        snprintf(line, sizeof(line), "N%dx.Example%d.Test. A 192.0.2.1", i,
                 (int)random_below(&random, 1000));
        struct record r = record_of(line);
        dnssec_nsec3_hash(r.owner, iterations, salt, salt_len, got);
        *strchr(line, ' ') = '\0';
        ldns_rdf *name = ldns_dname_new_frm_str(line);
        ldns_rdf *hash = ldns_nsec3_hash_name(name, LDNS_SHA1, iterations, salt_len, salt);
        char text[40];
        ldns_b32_ntop_extended_hex(got, 20, text, sizeof(text));
        ck_assert_mem_eq(text, ldns_rdf_data(hash) + 1, 32);
        ldns_rdf_deep_free(hash);
        ldns_rdf_deep_free(name);
        record_free(&r);
    }
}
END_TEST

int main(void)
{
    struct suite s = suite_open("dnssec");
    suite_add(s, test_key_tags);
    suite_add(s, test_key_tag_equals_ldns);
    suite_add(s, test_rfc5702);
    suite_add(s, test_rfc6605);
    suite_add(s, test_rfc8080);
    suite_add(s, test_wycheproof_p256);
    suite_add(s, test_wycheproof_p384);
    suite_add(s, test_wycheproof_ed25519);
    suite_add(s, test_rsa_limits);
    suite_add(s, test_keys_refused);
    suite_add(s, test_rrsig_parse);
    suite_add(s, test_input_octets);
    suite_add(s, test_tables_random);
    suite_add(s, test_nsec3_rfc5155);
    suite_add(s, test_nsec3_equals_ldns);
    suite_add(s, test_nsec3_owner);
    suite_add(s, test_nsec3_owner_too_long);
    return suite_run(s);
}
