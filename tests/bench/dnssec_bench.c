/* dnssec: signatures a second on one core. Verified (P-256): by tables and batches against
 * EVP_PKEY_verify. Made: dnssec_sign, from the octets to r and s, against a loop of EVP_PKEY_sign, as
 * `openssl speed` has it, over a digest that is there already, in turns.
 */
#include "pipeline/base/alloc.h"
#include "pipeline/zone/dnssec_parts.h"
#include "pipeline/zone/node.h"

#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SIGNATURES = 4096, RRSIG_HEAD = 18 + 9, RRSIG_LEN = RRSIG_HEAD + 64 };

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "dnssec_bench: %s\n", what);
    exit(EXIT_FAILURE);
}

static struct node *ds_node(unsigned i)
{
    uint8_t owner[32], rdata[36] = {0, 1, 13, 2};
    int n = snprintf((char *)owner + 1, 16, "name%07u", i);
    owner[0] = (uint8_t)n;
    memcpy(owner + 1 + n, "\7example", 9);
    put_u32(rdata + 4, i);
    struct node_builder *b = node_builder_new();
    node_builder_begin(b, owner);
    if (node_builder_add(b, RR_DS, 3600, rdata, sizeof(rdata)))
        fail("node_builder_add");
    struct node *node = node_builder_seal(b);
    node_builder_free(&b);
    return node;
}

/* DNSKEY rdata of a new key. */
static EVP_PKEY *make_key(uint8_t dnskey[68])
{
    uint8_t point[65];
    size_t len;
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    if (!pkey || !EVP_PKEY_get_octet_string_param(pkey, "pub", point, sizeof(point), &len))
        fail("no P-256 key");
    memcpy(dnskey, "\1\0\3\15", 4);
    memcpy(dnskey + 4, point + 1, 64);
    return pkey;
}

static void sign(EVP_PKEY *pkey, struct dnssec_scratch *scratch, const uint8_t *owner,
                 const struct rrset *set, uint8_t rrsig[RRSIG_LEN])
{
    static const uint8_t head[RRSIG_HEAD] = {0, RR_DS, 13,  2,   0,   0,   14,  16,  0,
                                             0, 0,     2,   0,   0,   0,   1,   0,   7,
                                             7, 'e',   'x', 'a', 'm', 'p', 'l', 'e', 0};
    memcpy(rrsig, head, sizeof(head));
    memset(rrsig + RRSIG_HEAD, 1, 64);
    struct rrsig view;
    size_t len, der_len = 80;
    uint8_t digest[32], der[80];
    if (!rrsig_parse(rrsig, RRSIG_LEN, &view))
        fail("rrsig_parse");
    const uint8_t *in = dnssec_input(scratch, owner, set, &view, rrsig, &len);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
    if (!EVP_Digest(in, len, digest, NULL, EVP_sha256(), NULL) || EVP_PKEY_sign_init(ctx) != 1 ||
        EVP_PKEY_sign(ctx, der, &der_len, digest, 32) != 1)
        fail("EVP_PKEY_sign");
    const uint8_t *p = der;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)der_len);
    BN_bn2binpad(ECDSA_SIG_get0_r(sig), rrsig + RRSIG_HEAD, 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(sig), rrsig + RRSIG_HEAD + 32, 32);
    ECDSA_SIG_free(sig);
    EVP_PKEY_CTX_free(ctx);
}

static double rate(struct dnssec_scratch *scratch, struct dnssec_job *jobs, int rounds)
{
    double best = 0;
    for (int i = 0; i < rounds; i++) {
        double start = seconds();
        dnssec_verify_batch(scratch, jobs, SIGNATURES);
        double now = SIGNATURES / (seconds() - start);
        best = now > best ? now : best;
        for (unsigned j = 0; j < SIGNATURES; j++)
            if (jobs[j].result != DNSSEC_VALID)
                fail("a valid signature does not verify");
    }
    return best;
}

/* ---- signing ---- */

static const uint8_t signed_octets[240]; /* as much as an RRSIG's head and a small rrset */

static double speed_rate(const struct dnssec_private *key, unsigned n)
{
    uint8_t out[DNSSEC_SIGNATURE_MAX], digest[64] = {1};
    size_t len,
        digest_len =
            (size_t)EVP_MD_get_size(EVP_get_digestbyname(digest_text(key->algorithm->digest)));
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key->pkey, NULL);
    if (EVP_PKEY_sign_init(ctx) != 1)
        fail("EVP_PKEY_sign_init");
    if (key->algorithm->family == FAMILY_RSA &&
        (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) != 1 ||
         EVP_PKEY_CTX_set_signature_md(
             ctx, EVP_get_digestbyname(digest_text(key->algorithm->digest))) != 1))
        fail("RSA padding");
    double start = seconds();
    for (unsigned i = 0; i < n; i++) {
        len = sizeof(out);
        if (EVP_PKEY_sign(ctx, out, &len, digest, digest_len) != 1)
            fail("EVP_PKEY_sign");
    }
    double rate = n / (seconds() - start);
    EVP_PKEY_CTX_free(ctx);
    return rate;
}

static double speed_eddsa_rate(const struct dnssec_private *key, unsigned n)
{
    uint8_t out[DNSSEC_SIGNATURE_MAX];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (EVP_DigestSignInit(ctx, NULL, NULL, NULL, key->pkey) != 1)
        fail("EVP_DigestSignInit");
    double start = seconds();
    for (unsigned i = 0; i < n; i++) {
        size_t len = sizeof(out);
        if (EVP_DigestSign(ctx, out, &len, signed_octets, sizeof(signed_octets)) != 1)
            fail("EVP_DigestSign");
    }
    double rate = n / (seconds() - start);
    EVP_MD_CTX_free(ctx);
    return rate;
}

static double sign_rate(struct dnssec_signer *signer, const struct dnssec_private *key, unsigned n)
{
    uint8_t out[DNSSEC_SIGNATURE_MAX];
    size_t len;
    double start = seconds();
    for (unsigned i = 0; i < n; i++)
        if (dnssec_sign(signer, key, signed_octets, sizeof(signed_octets), out, &len, NULL))
            fail("dnssec_sign");
    return n / (seconds() - start);
}

static void sign_figure(const char *name, uint8_t algorithm, unsigned n)
{
    struct dnssec_private *key;
    if (dnssec_private_generate(algorithm, 0, &key, NULL))
        fail("dnssec_private_generate");
    struct dnssec_signer *signer = dnssec_signer_new();
    double ours = 0, speed = 0;
    for (int round = 0; round < 7; round++) {
        double a = sign_rate(signer, key, n);
        double b =
            key->algorithm->family == FAMILY_EDDSA ? speed_eddsa_rate(key, n) : speed_rate(key, n);
        ours = a > ours ? a : ours;
        speed = b > speed ? b : speed;
    }
    printf("%s_sign_per_s %.0f %.0f %.2f\n", name, ours, speed, ours / speed);
    dnssec_signer_free(&signer);
    dnssec_private_unref(key);
}

int main(void)
{
    uint8_t dnskey[68];
    EVP_PKEY *pkey = make_key(dnskey);
    struct dnssec_key *key;
    if (dnssec_key_open(dnskey, sizeof(dnskey), &key, NULL))
        fail("dnssec_key_open");
    struct dnssec_scratch *scratch = dnssec_scratch_new();
    struct dnssec_job *jobs = mem_array(SIGNATURES, sizeof(*jobs));
    struct node **node = mem_array(SIGNATURES, sizeof(*node));
    uint8_t(*rrsig)[RRSIG_LEN] = mem_array(SIGNATURES, RRSIG_LEN);
    for (unsigned i = 0; i < SIGNATURES; i++) {
        node[i] = ds_node(i);
        jobs[i] = (struct dnssec_job){
            .key = key, .owner = node_name(node[i]), .rrsig = rrsig[i], .rrsig_len = RRSIG_LEN};
        if (!node_rrset(node[i], RR_DS, 0, &jobs[i].set))
            fail("node_rrset");
        sign(pkey, scratch, jobs[i].owner, &jobs[i].set, rrsig[i]);
    }
    double evp = rate(scratch, jobs, 3);
    double start = seconds();
    dnssec_key_expect(key, SIGNATURES);
    double table_s = seconds() - start;
    double ours = rate(scratch, jobs, 5);
    printf("p256_verify_per_s %.0f %.0f %.2f\n", ours, evp, ours / evp);
    printf("p256_table_ms %.1f - -\n", table_s * 1e3);
    sign_figure("p256", ALG_ECDSAP256, 4000);
    sign_figure("p384", ALG_ECDSAP384, 150);
    sign_figure("ed25519", ALG_ED25519, 3000);
    sign_figure("ed448", ALG_ED448, 500);
    sign_figure("rsa2048_sha256", ALG_RSASHA256, 200);
    for (unsigned i = 0; i < SIGNATURES; i++)
        node_unref(node[i]);
    mem_free(&jobs);
    mem_free(&node);
    mem_free(&rrsig);
    dnssec_scratch_free(&scratch);
    dnssec_key_close(&key);
    EVP_PKEY_free(pkey);
    return 0;
}
