/* dnssec_private: keys that are made or read, and what they sign. */
#include "pipeline/base/alloc.h"
#include "pipeline/zone/dnssec_parts.h"
#include "tests/lib/random.h"
#include "tests/lib/suite.h"

#include <pthread.h>

static const uint8_t algorithms[] = {8, 10, 13, 14, 15, 16};
enum { ALGORITHMS = sizeof(algorithms) };

static struct dnssec_private *made(uint8_t algorithm, unsigned bits)
{
    struct dnssec_private *key = NULL;
    struct why why = {""};
    ck_assert_msg(dnssec_private_generate(algorithm, bits, &key, &why) == 0, "%s", why.text);
    return key;
}

static struct dnssec_key *public_of(const struct dnssec_private *key)
{
    struct dnssec_key *public = NULL;
    struct why why = {""};
    uint16_t len;
    uint8_t *rdata = dnssec_private_dnskey(key, DNSKEY_ZONE, &len);
    ck_assert(dnssec_private_fits(key, rdata, len));
    rdata[1] = DNSKEY_SEP;
    ck_assert(dnssec_private_fits(key, rdata, len));
    ck_assert(!dnssec_private_fits(key, rdata, len - 1u));
    rdata[len - 1] ^= 1;
    ck_assert(!dnssec_private_fits(key, rdata, len));
    rdata[len - 1] ^= 1;
    rdata[3] ^= 1;
    ck_assert(!dnssec_private_fits(key, rdata, len));
    rdata[3] ^= 1;
    ck_assert_msg(dnssec_key_open(rdata, len, &public, &why) == 0, "%s", why.text);
    mem_free(&rdata);
    return public;
}

/* ---- signing ---- */

static void check_signs(struct dnssec_signer *signer, const struct dnssec_private *key,
                        struct random *random, unsigned times)
{
    struct dnssec_key *public = public_of(key);
    struct dnssec_scratch *scratch = dnssec_scratch_new();
    for (unsigned i = 0; i < times; i++) {
        uint8_t octets[600], signature[DNSSEC_SIGNATURE_MAX];
        size_t len = 1 + random_below(random, sizeof(octets)), signature_len;
        struct why why = {""};
        random_octets(random, octets, len);
        ck_assert_msg(dnssec_sign(signer, key, octets, len, signature, &signature_len, &why) == 0,
                      "%s", why.text);
        ck_assert_uint_eq(signature_len, dnssec_private_signature_len(key));
        ck_assert_int_eq(
            dnssec_verify_octets(scratch, public, octets, len, signature, signature_len),
            DNSSEC_VALID);
        octets[random_below(random, len)] ^= 0x10;
        ck_assert_int_eq(
            dnssec_verify_octets(scratch, public, octets, len, signature, signature_len),
            DNSSEC_BOGUS);
    }
    dnssec_scratch_free(&scratch);
    dnssec_key_close(&public);
}

/* One of 256 signatures has an r or s with a zero octet at its front, and half have one with the
 * top bit set: 2,000 meet all that. */
START_TEST(test_every_algorithm_signs)
{
    static const size_t signature_len[ALGORITHMS] = {256, 256, 64, 96, 64, 114};
    static const unsigned times[ALGORITHMS] = {20, 20, 2000, 600, 200, 100};
    struct random random = random_open();
    struct dnssec_signer *signer = dnssec_signer_new();
    for (unsigned i = 0; i < ALGORITHMS; i++) {
        struct dnssec_private *key = made(algorithms[i], 0);
        ck_assert_uint_eq(dnssec_private_algorithm(key), algorithms[i]);
        ck_assert_uint_eq(dnssec_private_signature_len(key), signature_len[i]);
        check_signs(signer, key, &random, times[i]);
        dnssec_private_unref(key);
    }
    dnssec_signer_free(&signer);
    ck_assert_ptr_null(signer);
}
END_TEST

/* More keys in turn than a signer has places for, some of them let go and made anew where the old
 * ones were in memory: each signature is its own key's. */
START_TEST(test_signer_of_many_keys)
{
    enum { KEYS = DNSSEC_SIGNER_KEYS + 3 };
    struct random random = random_open();
    struct dnssec_signer *signer = dnssec_signer_new();
    struct dnssec_private *key[KEYS];
    for (unsigned i = 0; i < KEYS; i++)
        key[i] = made(i % 3 ? ALG_ECDSAP256 : ALG_ED25519, 0);
    for (unsigned round = 0; round < 200; round++) {
        unsigned i = random_below(&random, KEYS);
        if (round % 4 == 0) {
            dnssec_private_unref(key[i]);
            key[i] = made(ALG_ECDSAP256, 0);
        }
        check_signs(signer, key[i], &random, 1);
    }
    /* a signer may outlive the keys it met */
    for (unsigned i = 0; i < KEYS; i++)
        dnssec_private_unref(key[i]);
    dnssec_signer_free(&signer);
}
END_TEST

struct thread {
    pthread_t id;
    const struct dnssec_private *key[ALGORITHMS];
    unsigned seed, failed;
};

static void *sign_in_thread(void *arg)
{
    struct thread *t = arg;
    struct dnssec_signer *signer = dnssec_signer_new();
    struct dnssec_scratch *scratch = dnssec_scratch_new();
    for (unsigned i = 0; i < ALGORITHMS * 20; i++) {
        struct dnssec_private *key = dnssec_private_ref(t->key[i % ALGORITHMS]);
        uint8_t octets[64] = {0}, signature[DNSSEC_SIGNATURE_MAX];
        size_t len;
        uint16_t dnskey_len;
        struct dnssec_key *public;
        put_u32(octets, t->seed + i);
        uint8_t *dnskey = dnssec_private_dnskey(key, DNSKEY_ZONE, &dnskey_len);
        if (dnssec_key_open(dnskey, dnskey_len, &public, NULL)) {
            t->failed++;
        } else {
            if (dnssec_sign(signer, key, octets, sizeof(octets), signature, &len, NULL) ||
                dnssec_verify_octets(scratch, public, octets, sizeof(octets), signature, len) !=
                    DNSSEC_VALID)
                t->failed++;
            dnssec_key_close(&public);
        }
        mem_free(&dnskey);
        dnssec_private_unref(key);
    }
    dnssec_scratch_free(&scratch);
    dnssec_signer_free(&signer);
    return NULL;
}

START_TEST(test_threads_share_keys)
{
    enum { THREADS = 4 };
    struct dnssec_private *key[ALGORITHMS];
    struct thread thread[THREADS] = {0};
    for (unsigned i = 0; i < ALGORITHMS; i++)
        key[i] = made(algorithms[i], 0);
    for (unsigned t = 0; t < THREADS; t++) {
        memcpy(thread[t].key, key, sizeof(key));
        thread[t].seed = t * 1000;
        ck_assert_int_eq(pthread_create(&thread[t].id, NULL, sign_in_thread, &thread[t]), 0);
    }
    for (unsigned t = 0; t < THREADS; t++) {
        pthread_join(thread[t].id, NULL);
        ck_assert_uint_eq(thread[t].failed, 0);
    }
    for (unsigned i = 0; i < ALGORITHMS; i++)
        dnssec_private_unref(key[i]);
}
END_TEST

/* ---- making ---- */

static void refused(uint8_t algorithm, unsigned bits, const char *words)
{
    struct dnssec_private *key = NULL;
    struct why why = {""};
    ck_assert_int_eq(dnssec_private_generate(algorithm, bits, &key, &why), -E_UNSUPPORTED);
    ck_assert_ptr_null(key);
    ck_assert_msg(strstr(why.text, words), "%s", why.text);
}

START_TEST(test_what_is_not_made)
{
    refused(ALG_RSASHA1, 0, "RSASHA1 is not signed with");
    refused(ALG_RSASHA1_NSEC3, 0, "not signed with");
    refused(12, 0, "algorithm 12 is not supported");
    refused(ALG_RSASHA256, 1024, "RSA key of 1024 bits");
    refused(ALG_RSASHA256, 4104, "from 2048 to 4096");
    refused(ALG_ECDSAP256, 384, "ECDSAP256SHA256 has 256");
    dnssec_private_unref(made(ALG_ECDSAP384, 384));
    dnssec_private_unref(NULL);
}
END_TEST

START_TEST(test_rsa_of_other_sizes)
{
    struct random random = random_open();
    struct dnssec_signer *signer = dnssec_signer_new();
    static const unsigned bits[] = {2056, 3072};
    for (unsigned i = 0; i < 2; i++) {
        struct dnssec_private *key = made(ALG_RSASHA512, bits[i]);
        ck_assert_uint_eq(dnssec_private_signature_len(key), bits[i] / 8);
        check_signs(signer, key, &random, 3);
        dnssec_private_unref(key);
    }
    dnssec_signer_free(&signer);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("dnssec_private");
    suite_add(s, test_every_algorithm_signs);
    suite_add(s, test_signer_of_many_keys);
    suite_add(s, test_threads_share_keys);
    suite_add(s, test_what_is_not_made);
    suite_add(s, test_rsa_of_other_sizes);
    return suite_run(s);
}
