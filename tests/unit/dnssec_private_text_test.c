/* dnssec_private: keys as text, written by others and by weir, and what is no key. */
#include "pipeline/base/alloc.h"
#include "pipeline/zone/dnssec_parts.h"
#include "pipeline/zone/text.h"
#include "tests/lib/shell.h"
#include "tests/lib/suite.h"
#include "tests/lib/vectors.h"

#include <malloc.h>
#include <openssl/crypto.h>

static const struct {
    uint8_t code;
    const char *mnemonic;
} algorithm[] = {{8, "RSASHA256"},        {10, "RSASHA512"}, {13, "ECDSAP256SHA256"},
                 {14, "ECDSAP384SHA384"}, {15, "ED25519"},   {16, "ED448"}};
enum { ALGORITHMS = sizeof(algorithm) / sizeof(algorithm[0]) };

static struct dnssec_private *parsed(const char *text, uint8_t code)
{
    struct dnssec_private *key = NULL;
    struct why why = {""};
    ck_assert_msg(dnssec_private_parse(text, strlen(text), code, &key, &why) == 0, "%s", why.text);
    return key;
}

static void refused(const char *text, uint8_t code, int err, const char *words)
{
    struct dnssec_private *key = NULL;
    struct why why = {""};
    int got = dnssec_private_parse(text, strlen(text), code, &key, &why);
    ck_assert_msg(got == err && strstr(why.text, words), "%d, not %d: %s\n%s", got, err, why.text,
                  text);
    ck_assert_ptr_null(key);
}

static void same_key(const struct dnssec_private *a, const struct dnssec_private *b)
{
    uint16_t len;
    uint8_t *rdata = dnssec_private_dnskey(a, DNSKEY_ZONE, &len);
    ck_assert(dnssec_private_fits(b, rdata, len));
    mem_free(&rdata);
}

/* ---- what others write ---- */

/* The pair of files with that base name. */
static void check_pair(const struct shell *s, const char *base, uint8_t code)
{
    char name[128];
    size_t len;
    snprintf(name, sizeof(name), "%s.private", base);
    char *private = shell_read(s, name, &len);
    snprintf(name, sizeof(name), "%s.key", base);
    char *line = shell_run(s, "grep -v '^;' %s", name);
    struct record dnskey = record_of(line);
    for (int i = 0; i < 2; i++) {
        struct dnssec_private *key = parsed(private, i ? code : 0);
        ck_assert_uint_eq(dnssec_private_algorithm(key), code);
        ck_assert_msg(dnssec_private_fits(key, dnskey.rdata, dnskey.len), "%s", base);
        dnssec_private_unref(key);
    }
    record_free(&dnskey);
    free(private);
    free(line);
}

START_TEST(test_keys_of_dnssec_keygen)
{
    struct shell s = shell_open("keys");
    for (unsigned i = 0; i < ALGORITHMS; i++) {
        bool rsa = algorithm[i].code < 13;
        char *base = shell_run(&s, "dnssec-keygen -q -a %s %s example.", algorithm[i].mnemonic,
                               rsa ? "-b 2048" : "");
        base[strcspn(base, "\n")] = '\0';
        check_pair(&s, base, algorithm[i].code);
        free(base);
    }
    shell_close(&s);
}
END_TEST

START_TEST(test_keys_of_ldns_keygen)
{
    struct shell s = shell_open("keys");
    for (unsigned i = 0; i < ALGORITHMS; i++) {
        char *base = shell_run(&s, "ldns-keygen -a %s -b %u -k -r /dev/urandom example.",
                               algorithm[i].mnemonic, algorithm[i].code == 8 ? 1024 : 2048);
        base[strcspn(base, "\n")] = '\0';
        check_pair(&s, base, algorithm[i].code);
        free(base);
    }
    shell_close(&s);
}
END_TEST

/* Knot keeps PKCS#8; the algorithm is in its database. */
START_TEST(test_keys_of_keymgr)
{
    struct shell s = shell_open("keys");
    for (unsigned i = 0; i < ALGORITHMS; i++) {
        char *id = shell_run(&s, "keymgr -D . example. generate algorithm=%u | tail -n 1",
                             algorithm[i].code);
        id[strcspn(id, "\n")] = '\0';
        char *line = shell_run(&s, "keymgr -D . example. dnskey %s", id);
        char *text = shell_run(&s, "cat keys/%s.pem", id);
        struct record dnskey = record_of(line);
        struct dnssec_private *key = parsed(text, algorithm[i].code);
        ck_assert(dnssec_private_fits(key, dnskey.rdata, dnskey.len));
        dnssec_private_unref(key);
        key = parsed(text, 0);
        ck_assert_uint_eq(dnssec_private_algorithm(key),
                          algorithm[i].code == 10 ? 8 : algorithm[i].code);
        dnssec_private_unref(key);
        record_free(&dnskey);
        free(text);
        free(line);
        free(id);
    }
    shell_close(&s);
}
END_TEST

/* SEC 1 with and without its public half, with parameters before it, compressed; PKCS#1. */
START_TEST(test_traditional_pem)
{
    struct shell s = shell_open("keys");
    shell_do(&s, "openssl ecparam -name prime256v1 -genkey -out with-params.pem");
    shell_do(&s, "openssl ec -in with-params.pem -out sec1.pem");
    shell_do(&s, "openssl ec -in with-params.pem -no_public -out no-public.pem");
    shell_do(&s, "openssl ec -in with-params.pem -conv_form compressed -out compressed.pem");
    shell_do(&s, "openssl pkcs8 -topk8 -nocrypt -in sec1.pem -out pkcs8.pem");
    shell_do(&s, "{ echo 'a comment'; cat pkcs8.pem; } >comment.pem");
    shell_do(&s, "tr -d '\\r' <pkcs8.pem | sed 's/$/\\r/' >crlf.pem");
    shell_do(&s, "openssl genrsa -traditional -out pkcs1.pem 2048");
    size_t len;
    char *text = shell_read(&s, "sec1.pem", &len);
    ck_assert_ptr_nonnull(strstr(text, "BEGIN EC PRIVATE KEY"));
    struct dnssec_private *first = parsed(text, 0);
    ck_assert_uint_eq(dnssec_private_algorithm(first), ALG_ECDSAP256);
    free(text);
    static const char *const same[] = {"with-params.pem", "no-public.pem", "compressed.pem",
                                       "pkcs8.pem",       "comment.pem",   "crlf.pem"};
    for (unsigned i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        text = shell_read(&s, same[i], &len);
        struct dnssec_private *key = parsed(text, ALG_ECDSAP256);
        same_key(first, key);
        dnssec_private_unref(key);
        free(text);
    }
    text = shell_read(&s, "pkcs1.pem", &len);
    ck_assert_ptr_nonnull(strstr(text, "BEGIN RSA PRIVATE KEY"));
    dnssec_private_unref(parsed(text, ALG_RSASHA512));
    free(text);
    dnssec_private_unref(first);
    shell_close(&s);
}
END_TEST

/* ---- what weir writes ---- */

START_TEST(test_pem_comes_back)
{
    struct shell s = shell_open("keys");
    for (unsigned i = 0; i < ALGORITHMS; i++) {
        struct dnssec_private *key, *again;
        char *text;
        size_t len;
        ck_assert_int_eq(dnssec_private_generate(algorithm[i].code, 0, &key, NULL), 0);
        ck_assert_int_eq(dnssec_private_pem(key, &text, &len, NULL), 0);
        ck_assert_uint_eq(strlen(text), len);
        ck_assert(strncmp(text, "-----BEGIN PRIVATE KEY-----\n", 28) == 0);
        again = parsed(text, algorithm[i].code);
        same_key(key, again);
        shell_write(&s, "key.pem", text);
        shell_do(&s, "openssl pkey -in key.pem -noout -check");
        dnssec_private_unref(key);
        dnssec_private_unref(again);
        mem_free(&text);
    }
    shell_close(&s);
}
END_TEST

static void put_record(FILE *out, uint16_t type, const uint8_t *rdata, size_t len)
{
    static const uint8_t apex[] = "\7example";
    char *line = text_print_rr(apex, type, 3600, rdata, (uint16_t)len);
    fprintf(out, "%s\n", line);
    free(line);
}

/* A zone of one name, each rrset signed by the key; `text` has the records but for DNSKEY. */
static void zone_write(const struct shell *s, const struct dnssec_private *key,
                       const char *const *text, unsigned n)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/zone", s->dir);
    FILE *out = fopen(path, "w");
    struct dnssec_signer *signer = dnssec_signer_new();
    struct dnssec_scratch *scratch = dnssec_scratch_new();
    for (unsigned i = 0; i <= n; i++) {
        struct record r;
        if (i < n) {
            r = record_of(text[i]);
        } else {
            r = record_of("example. 3600 DNSKEY 257 3 15 AAAA");
            mem_free(&r.rdata);
            r.rdata = dnssec_private_dnskey(key, DNSKEY_ZONE | DNSKEY_SEP, &r.len);
        }
        uint16_t key_len;
        uint8_t *dnskey = dnssec_private_dnskey(key, DNSKEY_ZONE | DNSKEY_SEP, &key_len);
        uint8_t rrsig[18 + 9 + DNSSEC_SIGNATURE_MAX] = {0};
        put_u16(rrsig, r.type);
        rrsig[2] = dnssec_private_algorithm(key);
        rrsig[3] = 1;
        put_u32(rrsig + 4, 3600);
        put_u32(rrsig + 8, (uint32_t)time(NULL) + 1000000);
        put_u32(rrsig + 12, (uint32_t)time(NULL) - 3600);
        put_u16(rrsig + 16, dnssec_key_tag(dnskey, key_len));
        memcpy(rrsig + 18, "\7example", 9);
        struct node *node = node_of(&r, 1);
        struct rrset set;
        struct rrsig view;
        size_t len, signature_len;
        ck_assert(node_rrset(node, r.type, 0, &set));
        ck_assert(rrsig_parse(rrsig, sizeof(rrsig), &view));
        const uint8_t *octets = dnssec_input(scratch, r.owner, &set, &view, rrsig, &len);
        ck_assert_int_eq(dnssec_sign(signer, key, octets, len, rrsig + 27, &signature_len, NULL),
                         0);
        put_record(out, r.type, r.rdata, r.len);
        put_record(out, RR_RRSIG, rrsig, 27 + signature_len);
        mem_free(&dnskey);
        node_unref(node);
        record_free(&r);
    }
    dnssec_scratch_free(&scratch);
    dnssec_signer_free(&signer);
    ck_assert_int_eq(fclose(out), 0);
}

START_TEST(test_others_verify_what_is_signed)
{
    static const char *const text[] = {
        "example. 3600 IN SOA ns.other. host.other. 1 3600 900 604800 3600",
        "example. 3600 IN NS ns.other.",
        "example. 3600 IN NSEC example. NS SOA RRSIG NSEC DNSKEY",
    };
    struct shell s = shell_open("keys");
    for (unsigned i = 0; i < ALGORITHMS; i++) {
        struct dnssec_private *key;
        ck_assert_int_eq(dnssec_private_generate(algorithm[i].code, 0, &key, NULL), 0);
        zone_write(&s, key, text, 3);
        shell_do(&s, "ldns-verify-zone zone");
        shell_do(&s, "dnssec-verify -q -z -o example. zone");
        shell_do(&s, "kzonecheck -d on -o example. zone");
        /* and they can tell */
        shell_do(&s, "sed 's/ns[.]other[.]/ns2.other./' zone >bad");
        shell_do(&s, "! ldns-verify-zone bad && ! dnssec-verify -q -z -o example. bad && "
                     "! kzonecheck -d on -o example. bad");
        dnssec_private_unref(key);
    }
    shell_close(&s);
}
END_TEST

/* ---- what is no key ---- */

static const char *const ed25519 = "Private-key-format: v1.3\nAlgorithm: 15 (ED25519)\n"
                                   "PrivateKey: TSxRnXiM8WiNl7NvSyKtbjnw4/129Kt6J5eC4SPu2fg=\n";

START_TEST(test_what_bind_files_say_wrongly)
{
#define V "Private-key-format: v1.3\n"
    refused("", 0, -E_FORMAT, "neither PEM nor");
    refused("hello\n", 0, -E_FORMAT, "neither PEM nor");
    refused("Private-key-format: v2.0\n", 0, -E_FORMAT, "line 1");
    refused("Private-key-format: v1.1\n", 0, -E_UNSUPPORTED, "line 1: a version before v1.2");
    refused("Private-key-format: v1.", 0, -E_FORMAT, "line 1: not");
    refused(V, 0, -E_FORMAT, "line 2: not \"Algorithm");
    refused(V "PrivateKey: AAAA\n", 0, -E_FORMAT, "line 2: not \"Algorithm");
    refused(V "Algorithm: 5 (RSASHA1)\n", 0, -E_UNSUPPORTED, "RSASHA1 is not signed with");
    refused(V "Algorithm: 269\n", 0, -E_UNSUPPORTED, "not supported");
    refused(V "Algorithm: x\n", 0, -E_UNSUPPORTED, "algorithm 0 is not supported");
    refused(V "Algorithm: 13\n", 0, -E_FORMAT, "PrivateKey is missing");
    refused(V "Algorithm: 15\nPrivateKey: AAA\n", 0, -E_FORMAT, "line 3: PrivateKey is not base64");
    refused(V "Algorithm: 15\nPrivateKey: A===\n", 0, -E_FORMAT, "line 3: PrivateKey is not");
    refused(V "Algorithm: 15\nPrivateKey: AA=A\n", 0, -E_FORMAT, "line 3: PrivateKey is not");
    refused(V "Algorithm: 15\nPrivateKey: AA-A\n", 0, -E_FORMAT, "line 3: PrivateKey is not");
    refused(V "Algorithm: 15\nPrivateKey:\n", 0, -E_FORMAT, "line 3: PrivateKey is not");
    refused(V "Algorithm: 15\nPrivateKey: AAAA\n", 0, -E_FORMAT, "of 3 octets, ED25519 has 32");
    refused(V "Algorithm: 13\nPrivateKey: AAAA\n", 0, -E_FORMAT,
            "the private number is zero, or not below the order");
    refused(V "Algorithm: 13\nPrivateKey: /////wAAAAD//////////7zm+q2nF56E87nKwvxjJVE=\n", 0,
            -E_FORMAT, "not below the order of P-256");
    refused(V "Algorithm: 15\nsecretvalue\n", 0, -E_FORMAT, "line 3: not \"name: value\"");
    refused(V "Algorithm: 13\nEngine: cGtjczExAA==\nLabel: cGtjczExOng=\n", 0, -E_UNSUPPORTED,
            "line 3: the key is in an HSM");
    refused(ed25519, ALG_ED448, -E_FORMAT, "line 2: the key is of ED25519, not of ED448");
    refused(ed25519, ALG_RSASHA1, -E_UNSUPPORTED, "not signed with");
    refused(ed25519, 3, -E_UNSUPPORTED, "algorithm 3 is not supported");
    char twice[512];
    snprintf(twice, sizeof(twice), "%s%s", ed25519, strstr(ed25519, "PrivateKey"));
    refused(twice, 0, -E_FORMAT, "line 4: PrivateKey is there twice");
    /* what is not ours is passed over, and the last line needs no end */
    snprintf(twice, sizeof(twice), "%s\n  \r\nCreated: 20261124184526\nNew: thing", ed25519);
    dnssec_private_unref(parsed(twice, 0));
}
END_TEST

/* Each number of an RSA key is turned in one bit; whichever it is, the key is refused. */
START_TEST(test_rsa_numbers_must_agree)
{
    struct shell s = shell_open("keys");
    shell_do(&s, "ldns-keygen -a RSASHA256 -b 1024 -r /dev/urandom example.");
    char *text = shell_run(&s, "cat K*.private");
    dnssec_private_unref(parsed(text, 0));
    unsigned numbers = 0;
    for (char *line = strchr(strchr(text, '\n') + 1, '\n') + 1; *line;
         line = strchr(line, '\n') + 1) {
        size_t len = strcspn(line, "\n"), name = strcspn(line, ":") + 2;
        for (int at = 0; at < 3; at++) {
            char *c = line + (at == 0   ? name + 2
                              : at == 1 ? (name + len) / 2
                                        : len - (line[len - 2] == '=' ? 4 : 3)),
                 was = *c;
            *c = was == 'Z' ? 'Y' : 'Z';
            struct dnssec_private *key = NULL;
            struct why why = {""};
            int err = dnssec_private_parse(text, strlen(text), 0, &key, &why);
            ck_assert_msg((err == -E_FORMAT || err == -E_UNSUPPORTED) && !key, "%.*s at %d: %d %s",
                          (int)name, line, at, err, why.text);
            *c = was;
        }
        char copy[4096];
        snprintf(copy, sizeof(copy), "%.*s%s", (int)(line - text), text, line + len + 1);
        refused(copy, 0, -E_FORMAT, "is missing");
        numbers++;
    }
    ck_assert_uint_eq(numbers, 8);
    free(text);
    shell_close(&s);
}
END_TEST

START_TEST(test_what_pem_says_wrongly)
{
    struct shell s = shell_open("keys");
    static const struct {
        const char *make;
        uint8_t code;
        int err;
        const char *words;
    } bad[] = {
        {"openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:512", 8, -E_UNSUPPORTED,
         "RSA key of 512 bits, from 1024 to 4096"},
        {"openssl genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048", 8, -E_FORMAT,
         "kind or curve is rsassaPss, not that of RSASHA256"},
        {"openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048", 13, -E_FORMAT,
         "kind or curve is rsaEncryption, not that of ECDSAP256SHA256"},
        {"openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1", 13, -E_FORMAT,
         "kind or curve is secp256k1, not that of ECDSAP256SHA256"},
        {"openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1", 0, -E_UNSUPPORTED,
         "no algorithm of DNSSEC has keys of kind or curve secp256k1"},
        {"openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384", 13, -E_FORMAT,
         "kind or curve is secp384r1"},
        {"openssl genpkey -algorithm ED25519", 16, -E_FORMAT,
         "kind or curve is ED25519, not that of ED448"},
        {"openssl genpkey -algorithm X25519", 0, -E_UNSUPPORTED, "no algorithm of DNSSEC"},
        {"openssl genpkey -algorithm ED25519 | openssl pkey -pubout", 0, -E_FORMAT,
         "no private key in the PEM"},
        {"openssl genpkey -algorithm ED25519 | openssl pkcs8 -topk8 -passout pass:x", 0,
         -E_UNSUPPORTED, "under a password"},
        {"openssl ecparam -name prime256v1 -genkey | openssl ec -aes128 -passout pass:x", 0,
         -E_UNSUPPORTED, "under a password"},
        {"openssl genpkey -algorithm ED25519 | head -n 1", 0, -E_FORMAT, "no private key"},
        {"openssl genpkey -algorithm ED25519 | tr A-M N-Z", 0, -E_FORMAT, "neither PEM"},
    };
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char *text = shell_run(&s, "%s", bad[i].make);
        refused(text, bad[i].code, bad[i].err, bad[i].words);
        free(text);
    }
    /* Two halves of two keys: SEC 1 carries both. The public one is the last 64 octets. */
    shell_do(&s, "for i in 1 2; do openssl ecparam -name prime256v1 -genkey -noout | openssl ec "
                 "-outform DER -out $i.der; done");
    shell_do(&s, "{ head -c -64 1.der; tail -c 64 2.der; } >mixed.der && { echo '-----BEGIN EC "
                 "PRIVATE KEY-----'; base64 mixed.der; echo '-----END EC PRIVATE KEY-----'; } "
                 ">mixed.pem");
    size_t len;
    char *text = shell_read(&s, "mixed.pem", &len);
    refused(text, 13, -E_FORMAT, "disagree");
    free(text);
    shell_close(&s);
}
END_TEST

/* ---- secrets ---- */

/* Memory that is given back is looked through for a secret: as it is, as OpenSSL's BIGNUMs have it,
 * and as text. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
void __libc_free(void *p);
enum { NEEDLES = 3, NEEDLE_MAX = 20 };
static struct {
    size_t len;
    char octets[NEEDLE_MAX];
} needle[NEEDLES];
static bool watching;
static unsigned spilt[NEEDLES], freed;

void free(void *p)
{
    if (watching && p) {
        freed++;
        for (unsigned i = 0; i < NEEDLES; i++)
            spilt[i] += needle[i].len &&
                        memmem(p, malloc_usable_size(p), needle[i].octets, needle[i].len) != NULL;
    }
    __libc_free(p);
}

static void watch(const uint8_t *secret, size_t len, const char *text)
{
    len = len < NEEDLE_MAX ? len : NEEDLE_MAX;
    for (size_t i = 0; i < len; i++) {
        needle[0].octets[i] = (char)secret[i];
        needle[1].octets[len - 1 - i] = (char)secret[i];
    }
    needle[0].len = needle[1].len = len;
    needle[2].len = strlen(text) < NEEDLE_MAX ? strlen(text) : NEEDLE_MAX;
    memcpy(needle[2].octets, text, needle[2].len);
    memset(spilt, 0, sizeof(spilt));
    freed = 0;
    watching = true;
}

static void watched(const char *what)
{
    watching = false;
    ck_assert_uint_gt(freed, 0);
    ck_assert_msg(!spilt[0] && !spilt[1] && !spilt[2], "%s: octets %u, number %u, text %u", what,
                  spilt[0], spilt[1], spilt[2]);
}

/* Does the watch see anything at all? */
START_TEST(test_watch_sees_a_secret)
{
    static const uint8_t secret[] = "0123456789abcdef";
    watch(secret, 16, "secret in words");
    char *leak = malloc(100);
    ck_assert_ptr_nonnull(leak);
    memcpy(leak + 50, secret, 16);
    __asm__ volatile("" : : "r"(leak) : "memory"); /* a compiler knows what free need not see */
    free(leak);
    watching = false;
    ck_assert_uint_eq(spilt[0], 1);
    ck_assert_uint_eq(spilt[1] + spilt[2], 0);
}
END_TEST

static void use_and_drop(const char *text, size_t len)
{
    struct dnssec_private *key;
    struct why why;
    char *pem;
    size_t pem_len;
    int err = dnssec_private_parse(text, len, 0, &key, &why);
    ck_assert_int_eq(err, 0);
    err = dnssec_private_pem(key, &pem, &pem_len, &why);
    ck_assert_int_eq(err, 0);
    OPENSSL_cleanse(pem, pem_len);
    mem_free(&pem);
    struct dnssec_signer *signer = dnssec_signer_new();
    uint8_t out[DNSSEC_SIGNATURE_MAX];
    err = dnssec_sign(signer, key, out, 1, out, &len, &why);
    ck_assert_int_eq(err, 0);
    dnssec_private_unref(key);
    dnssec_signer_free(&signer);
}

START_TEST(test_secrets_are_wiped)
{
    struct shell s = shell_open("keys");
    for (unsigned i = 0; i < ALGORITHMS; i++) {
        bool rsa = algorithm[i].code < 13;
        shell_do(&s, "rm -f K*; ldns-keygen -a %s -b 2048 -r /dev/urandom example.",
                 algorithm[i].mnemonic);
        static char bind[8192], pem[8192], value[2048];
        static uint8_t secret[512];
        char *text = shell_run(&s, "cat K*.private");
        snprintf(bind, sizeof(bind), "%s", text);
        free(text);
        text = shell_run(&s, "sed -n 's/^%s: //p' K*.private | tr -d '\\n'",
                         rsa ? "Prime1" : "PrivateKey");
        snprintf(value, sizeof(value), "%s", text);
        free(text);
        text = shell_run(&s, "sed -n 's/^%s: //p' K*.private | base64 -d | xxd -p | tr -d '\\n'",
                         rsa ? "Prime1" : "PrivateKey");
        size_t len = hex_decode(text, secret, sizeof(secret));
        free(text);
        struct dnssec_private *key = parsed(bind, 0);
        size_t pem_len;
        ck_assert_int_eq(dnssec_private_pem(key, &text, &pem_len, NULL), 0);
        snprintf(pem, sizeof(pem), "%s", text);
        mem_free(&text);
        dnssec_private_unref(key);
        watch(secret, len, value);
        use_and_drop(bind, strlen(bind));
        watched("BIND");
        watch(secret, len, strchr(pem, '\n') + 1 + 64);
        use_and_drop(pem, strlen(pem));
        watched("PEM");
        /* a file that breaks off behind the secret */
        watch(secret, len, value);
        char *line = strstr(bind, rsa ? "Prime2" : "PrivateKey");
        line[strlen(line) - 2] = '!';
        struct why why = {""};
        int err = dnssec_private_parse(bind, strlen(bind), 0, &key, &why);
        watching = false;
        ck_assert_int_eq(err, -E_FORMAT);
        ck_assert_ptr_null(strstr(why.text, value));
        ck_assert_uint_eq(spilt[0] + spilt[1] + spilt[2], 0);
    }
    shell_close(&s);
}
END_TEST
#endif

int main(void)
{
    struct suite s = suite_open("dnssec_private_text");
    suite_add(s, test_keys_of_dnssec_keygen);
    suite_add(s, test_keys_of_ldns_keygen);
    suite_add(s, test_keys_of_keymgr);
    suite_add(s, test_traditional_pem);
    suite_add(s, test_pem_comes_back);
    suite_add(s, test_others_verify_what_is_signed);
    suite_add(s, test_what_bind_files_say_wrongly);
    suite_add(s, test_rsa_numbers_must_agree);
    suite_add(s, test_what_pem_says_wrongly);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    suite_add(s, test_watch_sees_a_secret);
    suite_add(s, test_secrets_are_wiped);
#endif
    return suite_run(s);
}
