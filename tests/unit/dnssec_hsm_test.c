/* dnssec_private: keys in an HSM, which SoftHSM plays: they sign, and the HSM goes and comes back. */
#include "pipeline/base/alloc.h"
#include "pipeline/zone/dnssec_parts.h"
#include "tests/lib/shell.h"
#include "tests/lib/suite.h"

#include <dlfcn.h>
#include <openssl/crypto.h>
#include <openssl/store.h>
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SOFTHSM "/usr/lib/softhsm/libsofthsm2.so"
enum { DEADLINE_S = 30 };

/* A token "weir" with the PIN 1234 and four keys, and files with that PIN and another. */
static struct shell token(void)
{
    struct shell s = shell_open("hsm");
    char conf[128];
    snprintf(conf, sizeof(conf), "%s/conf", s.dir);
    setenv("SOFTHSM2_CONF", conf, 1);
    shell_do(
        &s,
        "mkdir tokens && printf 'directories.tokendir = %s/tokens\\nlog.level = ERROR\\n' >conf",
        s.dir);
    shell_do(&s, "softhsm2-util --init-token --free --label weir --pin 1234 --so-pin 4321");
    static const char *const key[][2] = {{"p256", "EC:prime256v1"},
                                         {"p384", "EC:secp384r1"},
                                         {"rsa", "rsa:2048"},
                                         {"k1", "EC:secp256k1"}};
    for (unsigned i = 0; i < 4; i++)
        shell_do(&s,
                 "pkcs11-tool --module " SOFTHSM " --token-label weir --login --pin 1234 "
                 "--keypairgen --key-type %s --id 0%u --label %s",
                 key[i][1], i + 1, key[i][0]);
    shell_do(&s, "umask 077; printf 1234 >pin; printf 9999 >wrong-pin");
    return s;
}

static const char *uri_of(const struct shell *s, const char *module, const char *object,
                          const char *pin)
{
    static char uri[4][512];
    static unsigned turn;
    char *out = uri[turn++ % 4];
    snprintf(out, sizeof(uri[0]),
             "pkcs11:token=weir;object=%s;type=private?pin-source=file:%s/%s&module-path=%s",
             object, s->dir, pin, module);
    return out;
}

static struct dnssec_private *opened(const char *uri, uint8_t algorithm)
{
    struct dnssec_private *key = NULL;
    struct why why = {""};
    ck_assert_msg(dnssec_private_open(uri, algorithm, &key, &why) == 0, "%s: %s", uri, why.text);
    return key;
}

static void refused(const char *uri, uint8_t algorithm, int err, const char *words)
{
    struct dnssec_private *key = NULL;
    struct why why = {""};
    int got = dnssec_private_open(uri, algorithm, &key, &why);
    ck_assert_msg(got == err && strstr(why.text, words), "%s: %d, not %d: %s", uri, got, err,
                  why.text);
    ck_assert_ptr_null(key);
    ck_assert_ptr_null(strstr(why.text, "1234"));
    ck_assert_ptr_null(strstr(why.text, "9999"));
}

/* Signs once; what it says is checked with the public half. */
static int sign_once(struct dnssec_signer *signer, const struct dnssec_private *key, uint32_t what,
                     struct why *why)
{
    uint8_t octets[64] = {0}, signature[DNSSEC_SIGNATURE_MAX];
    size_t len;
    uint16_t dnskey_len;
    put_u32(octets, what);
    int err = dnssec_sign(signer, key, octets, sizeof(octets), signature, &len, why);
    if (err)
        return err;
    struct dnssec_key *public = NULL;
    struct dnssec_scratch *scratch = dnssec_scratch_new();
    uint8_t *dnskey = dnssec_private_dnskey(key, DNSKEY_ZONE, &dnskey_len);
    err = dnssec_key_open(dnskey, dnskey_len, &public, NULL);
    if (!err && dnssec_verify_octets(scratch, public, octets, sizeof(octets), signature, len) !=
                    DNSSEC_VALID)
        err = why_set(why, -E_MISMATCH, "the signature is not valid");
    dnssec_key_close(&public);
    dnssec_scratch_free(&scratch);
    mem_free(&dnskey);
    return err;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void comes_back(struct dnssec_signer *signer, const struct dnssec_private *key)
{
    struct why why = {""};
    double end = seconds() + DEADLINE_S;
    while (sign_once(signer, key, 1, &why)) {
        ck_assert_msg(seconds() < end, "it does not sign again: %s", why.text);
        nanosleep(&(struct timespec){0, 20000000}, NULL);
    }
}

/* ---- signing ---- */

START_TEST(test_signs)
{
    static const struct {
        const char *object;
        uint8_t algorithm, is;
    } key[] = {{"p256", 13, 13}, {"p384", 14, 14}, {"rsa", 8, 8},
               {"rsa", 10, 10},  {"p384", 0, 14},  {"rsa", 0, 8}};
    struct shell s = token();
    struct dnssec_signer *signer = dnssec_signer_new();
    struct dnssec_private *k[6];
    for (unsigned i = 0; i < 6; i++) {
        struct why why = {""};
        char *pem;
        size_t len;
        k[i] = opened(uri_of(&s, SOFTHSM, key[i].object, "pin"), key[i].algorithm);
        ck_assert_uint_eq(dnssec_private_algorithm(k[i]), key[i].is);
        for (uint32_t n = 0; n < 20; n++)
            ck_assert_msg(sign_once(signer, k[i], n, &why) == 0, "%s", why.text);
        ck_assert_int_eq(dnssec_private_pem(k[i], &pem, &len, &why), -E_UNSUPPORTED);
        ck_assert_msg(strstr(why.text, "does not leave its HSM"), "%s", why.text);
    }
    for (unsigned i = 0; i < 6; i++)
        dnssec_private_unref(k[i]);
    /* all closed; and opened again */
    k[0] = opened(uri_of(&s, SOFTHSM, "p256", "pin"), 13);
    ck_assert_int_eq(sign_once(signer, k[0], 7, NULL), 0);
    dnssec_private_unref(k[0]);
    dnssec_signer_free(&signer);
    shell_close(&s);
}
END_TEST

START_TEST(test_what_is_refused)
{
    struct shell s = token();
    char uri[512];
    /* nobody is asked for a PIN that is not there */
    snprintf(uri, sizeof(uri), "pkcs11:token=weir;object=p256;type=private?module-path=%s",
             SOFTHSM);
    refused(uri, 13, -E_IO, "PIN");
    refused("", 13, -E_CONF, "not the URI of a key in an HSM");
    refused("p256", 13, -E_CONF, "not the URI");
    refused("/etc/passwd", 13, -E_CONF, "not the URI");
    refused("file:/etc/passwd", 13, -E_CONF, "not the URI");
    refused("pkcs11:token=weir;object=p256?pin-value=1234", 13, -E_CONF, "pin-source");
    refused("pkcs11:token=weir?module-path=/x&pin-value=1234", 13, -E_CONF, "pin-source");
    refused("tpm2:x", 13, -E_UNSUPPORTED, "OpenSSL has no provider for tpm2 URIs");
    refused(uri_of(&s, SOFTHSM, "p256", "no-pin"), 13, -E_CONF, "no-pin: No such file");
    shell_do(&s, "cp pin open-pin && chmod 644 open-pin && mkdir pin-folder");
    refused(uri_of(&s, SOFTHSM, "p256", "open-pin"), 13, -E_CONF, "mode 0644");
    refused(uri_of(&s, SOFTHSM, "p256", "open-pin"), 13, -E_CONF, "chmod 600 /tmp/");
    refused(uri_of(&s, SOFTHSM, "p256", "pin-folder"), 13, -E_CONF, "not a regular file");
    refused(uri_of(&s, "/nowhere.so", "p256", "pin"), 13, -E_IO, "/nowhere.so): Unable to load");
    refused(uri_of(&s, SOFTHSM, "nobody", "pin"), 13, -E_IO, "not found");
    refused(uri_of(&s, SOFTHSM, "p256", "pin"), 14, -E_FORMAT, "ECDSAP384SHA384 is on P-384");
    refused(uri_of(&s, SOFTHSM, "p256", "pin"), 8, -E_FORMAT, "RSASHA256 needs RSA");
    refused(uri_of(&s, SOFTHSM, "p256", "pin"), 5, -E_UNSUPPORTED, "not signed with");
    refused(uri_of(&s, SOFTHSM, "k1", "pin"), 0, -E_UNSUPPORTED, "no algorithm of DNSSEC");
    /* a pin's path may be written with percents, and without "file:" */
    snprintf(uri, sizeof(uri),
             "pkcs11:token=weir;object=p256;type=private?module-path=%s&pin-source=%s%%2Fpin",
             SOFTHSM, s.dir);
    dnssec_private_unref(opened(uri, 13));
    shell_close(&s);
}
END_TEST

/* ---- the HSM goes ---- */

START_TEST(test_goes_and_comes_back)
{
    struct shell s = token();
    struct dnssec_signer *signer = dnssec_signer_new();
    struct dnssec_private *p256 = opened(uri_of(&s, SOFTHSM, "p256", "pin"), 13);
    struct dnssec_private *rsa = opened(uri_of(&s, SOFTHSM, "rsa", "pin"), 8);
    for (unsigned round = 0; round < 2; round++) {
        struct why why = {""};
        ck_assert_int_eq(sign_once(signer, p256, round, NULL), 0);
        shell_do(&s, "mv tokens gone && mkdir tokens");
        ck_assert_int_eq(sign_once(signer, p256, round, &why), -E_IO);
        /* what was opened a moment ago is not opened anew at once */
        ck_assert_msg(strstr(why.text, "the key is not to be had from its HSM (") ||
                          (round && strstr(why.text, "key does not sign: ")),
                      "%s", why.text);
        ck_assert_int_eq(sign_once(signer, rsa, round, &why), -E_IO);
        ck_assert_msg(strlen(why.text) > 20, "%s", why.text);
        shell_do(&s, "rmdir tokens && mv gone tokens");
        comes_back(signer, p256);
        comes_back(signer, rsa);
    }
    dnssec_private_unref(p256);
    dnssec_private_unref(rsa);
    dnssec_signer_free(&signer);
    shell_close(&s);
}
END_TEST

/* One of two tokens goes, and comes back while the other one is in use. */
START_TEST(test_one_of_two_goes)
{
    struct shell s = token();
    char uri[512];
    struct dnssec_signer *signer = dnssec_signer_new();
    shell_do(&s,
             "ls tokens >first && softhsm2-util --init-token --free --label other --pin 1234 "
             "--so-pin 4321 && "
             "pkcs11-tool --module " SOFTHSM " --token-label other --login --pin 1234 --keypairgen "
             "--key-type EC:prime256v1 --id 01 --label p256");
    snprintf(uri, sizeof(uri),
             "pkcs11:token=other;object=p256;type=private?module-path=%s&pin-source=%s/pin",
             SOFTHSM, s.dir);
    struct dnssec_private *key = opened(uri_of(&s, SOFTHSM, "p256", "pin"), 13),
                          *other = opened(uri, 13);
    shell_do(&s, "mv tokens/$(cat first) gone");
    ck_assert_int_eq(sign_once(signer, key, 1, NULL), -E_IO);
    comes_back(signer, other);
    shell_do(&s, "mv gone tokens/$(cat first)");
    ck_assert_int_eq(sign_once(signer, other, 1, NULL), 0);
    comes_back(signer, key);
    comes_back(signer, other);
    dnssec_private_unref(key);
    dnssec_private_unref(other);
    dnssec_signer_free(&signer);
    shell_close(&s);
}
END_TEST

/* What comes back under the same name is another key: it does not sign. */
START_TEST(test_another_key_comes_back)
{
    struct shell s = token();
    struct dnssec_signer *signer = dnssec_signer_new();
    struct dnssec_private *key = opened(uri_of(&s, SOFTHSM, "p256", "pin"), 13);
    struct why why = {""};
    shell_do(&s, "mv tokens gone && mkdir tokens && softhsm2-util --init-token --free --label weir "
                 "--pin 1234 "
                 "--so-pin 4321 && pkcs11-tool --module " SOFTHSM
                 " --token-label weir --login --pin 1234 "
                 "--keypairgen --key-type EC:prime256v1 --id 01 --label p256");
    ck_assert_int_eq(sign_once(signer, key, 1, &why), -E_IO);
    ck_assert_msg(strstr(why.text, "another key under that name"), "%s", why.text);
    shell_do(&s, "rm -r tokens && mv gone tokens");
    comes_back(signer, key);
    dnssec_private_unref(key);
    dnssec_signer_free(&signer);
    shell_close(&s);
}
END_TEST

const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:pkcs11-spy.so";
}

/* A wrong PIN is told to the token once, however often the key is asked for, until its file changes. The spy sees every call. */
START_TEST(test_wrong_pin)
{
    struct shell s = token();
    char spy[] = "/usr/lib/x86_64-linux-gnu/pkcs11-spy.so", log[128];
    snprintf(log, sizeof(log), "%s/log", s.dir);
    /* it forgets memory each time that it is opened; loaded, it is known by its name */
    ck_assert_ptr_nonnull(dlopen(spy, RTLD_NOW | RTLD_NODELETE));
    setenv("PKCS11SPY", SOFTHSM, 1);
    setenv("PKCS11SPY_OUTPUT", log, 1);
    refused(uri_of(&s, spy, "p256", "wrong-pin"), 13, -E_IO, "PIN");
    for (unsigned i = 0; i < 5; i++)
        refused(uri_of(&s, spy, i % 2 ? "rsa" : "p256", "wrong-pin"), 0, -E_IO,
                "refused the PIN in /tmp/");
    shell_do(&s, "test $(grep -c C_Login log) = 1");
    shell_do(&s, "printf 1234 >wrong-pin");
    dnssec_private_unref(opened(uri_of(&s, spy, "p256", "wrong-pin"), 13));
    shell_close(&s);
}
END_TEST

/* ---- threads ---- */

struct thread {
    pthread_t id;
    struct dnssec_private *key[3];
    unsigned signatures;
    struct why wrong; /* what should not have failed, or not so */
    _Atomic bool *end;
};

static void *sign_in_thread(void *arg)
{
    struct thread *t = arg;
    struct dnssec_signer *signer = dnssec_signer_new();
    for (uint32_t i = 0, last = 0; last < 30; i++) {
        struct why why = {""};
        bool steady = *t->end;
        int err = sign_once(signer, t->key[i % 3], i, &why);
        t->signatures += err == 0;
        if (err && (err != -E_IO || steady))
            t->wrong = why;
        last += steady;
    }
    dnssec_signer_free(&signer);
    return NULL;
}

/* Keys are used by many threads, and one time the HSM goes meanwhile. From `end` on all signs. */
START_TEST(test_threads)
{
    enum { THREADS = 4 };
    struct shell s = token();
    struct dnssec_private *key[3] = {opened(uri_of(&s, SOFTHSM, "p256", "pin"), 13),
                                     opened(uri_of(&s, SOFTHSM, "rsa", "pin"), 8),
                                     opened(uri_of(&s, SOFTHSM, "p384", "pin"), 14)};
    for (int goes = 0; goes < 2; goes++) {
        struct thread thread[THREADS] = {0};
        _Atomic bool end = !goes;
        for (unsigned t = 0; t < THREADS; t++) {
            memcpy(thread[t].key, key, sizeof(key));
            thread[t].end = &end;
            ck_assert_int_eq(pthread_create(&thread[t].id, NULL, sign_in_thread, &thread[t]), 0);
        }
        if (goes) {
            struct dnssec_signer *signer = dnssec_signer_new();
            shell_do(&s, "mv tokens gone && mkdir tokens");
            ck_assert_int_eq(sign_once(signer, key[0], 1, NULL), -E_IO);
            shell_do(&s, "rmdir tokens && mv gone tokens");
            for (unsigned i = 0; i < 3; i++)
                comes_back(signer, key[i]);
            dnssec_signer_free(&signer);
            end = true;
        }
        for (unsigned t = 0; t < THREADS; t++) {
            pthread_join(thread[t].id, NULL);
            ck_assert_str_eq(thread[t].wrong.text, "");
            ck_assert_uint_ge(thread[t].signatures, 30);
        }
    }
    for (unsigned i = 0; i < 3; i++)
        dnssec_private_unref(key[i]);
    shell_close(&s);
}
END_TEST

/* ---- providers ---- */

/* Where a provider (or, here, a loader) opens the scheme, it is asked first. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static EVP_PKEY *store_pkey;
static bool store_empty;
struct ossl_store_loader_ctx_st {
    bool done;
};

static OSSL_STORE_LOADER_CTX *store_open(const OSSL_STORE_LOADER *loader, const char *uri,
                                         const UI_METHOD *ui, void *data)
{
    (void)loader, (void)uri, (void)ui, (void)data;
    return mem_zalloc(sizeof(OSSL_STORE_LOADER_CTX));
}
static OSSL_STORE_INFO *store_load(OSSL_STORE_LOADER_CTX *ctx, const UI_METHOD *ui, void *data)
{
    (void)ui, (void)data;
    ctx->done = true;
    return store_empty || !EVP_PKEY_up_ref(store_pkey) ? NULL
                                                       : OSSL_STORE_INFO_new_PKEY(store_pkey);
}
static int store_eof(OSSL_STORE_LOADER_CTX *ctx)
{
    return ctx->done;
}
static int store_error(OSSL_STORE_LOADER_CTX *ctx)
{
    (void)ctx;
    return 0;
}
static int store_close(OSSL_STORE_LOADER_CTX *ctx)
{
    mem_free(&ctx);
    return 1;
}

START_TEST(test_store)
{
    OSSL_STORE_LOADER *loader = OSSL_STORE_LOADER_new(NULL, "weirstore");
    OSSL_STORE_LOADER_set_open(loader, store_open);
    OSSL_STORE_LOADER_set_load(loader, store_load);
    OSSL_STORE_LOADER_set_eof(loader, store_eof);
    OSSL_STORE_LOADER_set_error(loader, store_error);
    OSSL_STORE_LOADER_set_close(loader, store_close);
    ck_assert_int_eq(OSSL_STORE_register_loader(loader), 1);
    static const struct {
        const char *type;
        uint8_t algorithm;
    } kind[] = {{"ED25519", 15}, {"ED448", 16}};
    struct dnssec_signer *signer = dnssec_signer_new();
    for (unsigned i = 0; i < 2; i++) {
        store_pkey = EVP_PKEY_Q_keygen(NULL, NULL, kind[i].type);
        struct dnssec_private *key = opened("weirstore:a-key", 0);
        ck_assert_uint_eq(dnssec_private_algorithm(key), kind[i].algorithm);
        ck_assert_int_eq(sign_once(signer, key, 1, NULL), 0);
        dnssec_private_unref(key);
        EVP_PKEY_free(store_pkey);
    }
    store_empty = true;
    refused("weirstore:a-key", 0, -E_UNSUPPORTED, "no provider for weirstore URIs");
    dnssec_signer_free(&signer);
    OSSL_STORE_LOADER_free(OSSL_STORE_unregister_loader("weirstore"));
}
END_TEST
#pragma GCC diagnostic pop

int main(void)
{
    /* Else OpenSSL unloads the engine at exit, and LeakSanitizer misses what its variables pointed to. */
    if (!OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL))
        return EXIT_FAILURE;
    struct suite s = suite_open("dnssec_hsm");
    suite_add(s, test_signs);
    suite_add(s, test_what_is_refused);
    suite_add(s, test_goes_and_comes_back);
    suite_add(s, test_one_of_two_goes);
    suite_add(s, test_another_key_comes_back);
    suite_add(s, test_wrong_pin);
    suite_add(s, test_threads);
    suite_add(s, test_store);
    return suite_run(s);
}
