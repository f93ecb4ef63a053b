/* dnssec_hsm: keys that live in an HSM, through a provider of OpenSSL (OSSL_STORE) or its engine pkcs11.
 *
 * An HSM is a device that may be pulled out, a service that may be restarted, or a network. What is
 * left in this process then (sessions, handles, the state of being logged in) is worth nothing, and the
 * libraries between do not notice. So when an operation fails everything is closed down to
 * C_Finalize and opened anew, and the operation tried once more. Nobody may hold anything of the old
 * world at that moment: one lock, which users of keys hold for reading, sees to it, and no OpenSSL
 * context of such a key outlives one operation.
 *
 * PINs are read from the file that the URI names, by the library that opens it. A URI with a PIN in
 * it is refused: URIs are listed and logged.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "pipeline/zone/dnssec_hsm.h"
#include "pipeline/base/alloc.h"
#include "pipeline/zone/dnssec_parts.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>
#ifndef OPENSSL_NO_ENGINE
#include <openssl/engine.h>
#endif

enum { PATH_OCTETS = 4096 };

struct hsm_key {
    char *uri, *plain;  /* as it is, and without module-path, which the engine does not know */
    char *pin, *module; /* the files that it names, or NULL */
    hsm_use_fn *check;
    void *check_arg;
    EVP_PKEY *pkey; /* NULL: not open */
    uint64_t tried; /* ms: then it could not be opened, as why says; 0: never */
    struct why why;
    struct hsm_key *next;
};

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static struct hsm_key *keys; /* all; with what follows, under the lock */
static uint64_t opened;      /* so many times; an EVP_PKEY is of one of them */
static uint64_t closed_at;   /* ms */
static struct {              /* the PIN that was refused last, as the state of its file */
    char path[PATH_OCTETS];
    struct stat file;
} refused;
#ifndef OPENSSL_NO_ENGINE
static ENGINE *engine;
static char *engine_module;
#endif

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- URIs ---- */

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static const char separators[] = ";?&";

/* An attribute (RFC 7512 2.3): the separator before it, or NULL. */
static const char *attribute_find(const char *uri, const char *name)
{
    size_t n = strlen(name);
    const char *p = strchr(uri, ':');
    while (p && (strncmp(p + 1, name, n) != 0 || p[1 + n] != '='))
        p = strpbrk(p + 1, separators);
    return p;
}

/* Its value, decoded; NULL: it is not there. */
static char *attribute(const char *uri, const char *name)
{
    const char *p = attribute_find(uri, name);
    if (p) {
        const char *from = p + 2 + strlen(name);
        size_t len = strcspn(from, separators), out = 0;
        char *value = mem_alloc(len + 1);
        for (size_t i = 0; i < len; i++) {
            int high = from[i] == '%' && i + 2 < len ? hex(from[i + 1]) : -1;
            int low = high >= 0 ? hex(from[i + 2]) : -1;
            value[out++] = low >= 0 ? (char)(high << 4 | low) : from[i];
            i += low >= 0 ? 2 : 0;
        }
        value[out] = '\0';
        return value;
    }
    return NULL;
}

/* The URI without an attribute. */
static char *without(const char *uri, const char *name)
{
    const char *p = attribute_find(uri, name);
    if (!p)
        return mem_strdup(uri);
    const char *end = p + 1 + strcspn(p + 1, separators);
    if (*p != '&' && *end == '&') /* what separates now is what was before it */
        return mem_printf("%.*s%s", (int)(p + 1 - uri), uri, end + 1);
    return mem_printf("%.*s%s", (int)(p - uri), uri, end);
}

static int pin_check(const char *path, struct why *why)
{
    struct stat st;
    if (stat(path, &st))
        return why_set(why, -E_CONF, "the PIN's file %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return why_set(why, -E_CONF, "the PIN's file %s is not a regular file", path);
    if (st.st_mode & 077)
        return why_set(why, -E_CONF,
                       "the PIN's file %s has mode %04o, and is for its owner alone: chmod 600 %s",
                       path, (unsigned)st.st_mode & 07777, path);
    return 0;
}

int hsm_key_new(const char *uri, struct hsm_key **out, struct why *why)
{
    size_t scheme = strspn(uri, "abcdefghijklmnopqrstuvwxyz0123456789+-.");
    if (!scheme || uri[scheme] != ':' || strncmp(uri, "file:", 5) == 0)
        return why_set(why, -E_CONF, "not the URI of a key in an HSM (pkcs11:…)");
    char *in_it = attribute(uri, "pin-value");
    if (in_it) {
        OPENSSL_cleanse(in_it, strlen(in_it));
        mem_free(&in_it);
        return why_set(why, -E_CONF,
                       "the URI has a PIN in it: put it into a file and name that (pin-source=…)");
    }
    struct hsm_key *key = mem_zalloc(sizeof(*key));
    key->uri = mem_strdup(uri);
    key->plain = without(uri, "module-path");
    key->module = attribute(uri, "module-path");
    char *pin = attribute(uri, "pin-source");
    if (pin)
        key->pin = mem_strdup(strncmp(pin, "file:", 5) == 0 ? pin + 5 : pin);
    mem_free(&pin);
    int err = key->pin ? pin_check(key->pin, why) : 0;
    if (err) {
        hsm_key_free(&key);
        return err;
    }
    pthread_rwlock_wrlock(&lock);
    key->next = keys;
    keys = key;
    pthread_rwlock_unlock(&lock);
    *out = key;
    return 0;
}

/* ---- PINs that were refused ---- */

static bool pin_refused(const struct hsm_key *key)
{
    struct stat st;
    return key->pin && strcmp(refused.path, key->pin) == 0 && stat(key->pin, &st) == 0 &&
           st.st_ino == refused.file.st_ino && st.st_size == refused.file.st_size &&
           st.st_mtim.tv_sec == refused.file.st_mtim.tv_sec &&
           st.st_mtim.tv_nsec == refused.file.st_mtim.tv_nsec;
}

static void pin_remember(const struct hsm_key *key)
{
    if (key->pin && strlen(key->pin) < PATH_OCTETS && stat(key->pin, &refused.file) == 0)
        strcpy(refused.path, key->pin);
}

/* All that OpenSSL has to say, the cause first. Says whether a PIN has to do with it. */
static bool reasons_take(struct why *why)
{
    const char *last = "";
    bool pin = false;
    for (unsigned long code; (code = ERR_get_error());) {
        const char *text = ERR_reason_error_string(code);
        if (!text || strcmp(text, last) == 0)
            continue;
        why_add(why, "%s%s", *last ? ", " : "", text);
        pin = pin || strstr(text, "PIN") || strstr(text, "pin incorrect");
        last = text;
    }
    if (!*last)
        why_add(why, "no reason given");
    return pin;
}

/* ---- opening and closing ---- */

static int no_reader(UI *ui, UI_STRING *string)
{
    (void)ui, (void)string;
    return 0;
}

/* Nobody sits before a daemon: who asks for a PIN gets none. */
static UI_METHOD *nobody(void)
{
    static UI_METHOD *method;
    if (!method && (method = UI_create_method("weir")))
        UI_method_set_reader(method, no_reader);
    ASSERT(method);
    return method;
}

static EVP_PKEY *store_load(const char *uri)
{
    EVP_PKEY *pkey = NULL;
    OSSL_STORE_CTX *store = OSSL_STORE_open(uri, nobody(), NULL, NULL, NULL);
    while (store && !pkey && !OSSL_STORE_eof(store)) {
        OSSL_STORE_INFO *info = OSSL_STORE_load(store);
        if (!info)
            continue;
        if (OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY)
            pkey = OSSL_STORE_INFO_get1_PKEY(info);
        OSSL_STORE_INFO_free(info);
    }
    if (store)
        OSSL_STORE_close(store);
    return pkey;
}

#ifndef OPENSSL_NO_ENGINE
static void engine_close(void)
{
    if (!engine)
        return;
    ENGINE_finish(engine);
    ENGINE_free(engine);
    engine = NULL;
    mem_free(&engine_module);
}

static int engine_open(const struct hsm_key *key, struct why *why)
{
    const char *module = key->module ? key->module : "";
    if (engine && strcmp(engine_module, module) == 0)
        return 0;
    if (engine)
        return why_set(why, -E_CONF, "PKCS#11 module %s: only one can be in use, and %s is",
                       *module ? module : "by default", *engine_module ? engine_module : "another");
    ENGINE *e = ENGINE_by_id("pkcs11");
    if (!e)
        return why_set(why, -E_UNSUPPORTED,
                       "OpenSSL has neither a provider nor an engine for pkcs11 (Debian: "
                       "libengine-pkcs11-openssl)");
    if (!ENGINE_ctrl_cmd_string(e, "QUIET", NULL, 1) ||
        (*module && !ENGINE_ctrl_cmd_string(e, "MODULE_PATH", module, 0)) || !ENGINE_init(e)) {
        why_set(why, 0, "PKCS#11 module %s: ", *module ? module : "by default");
        reasons_take(why);
        ENGINE_free(e);
        return -E_IO;
    }
    engine = e;
    engine_module = mem_strdup(module);
    return 0;
}

static int engine_load(struct hsm_key *key, struct why *why)
{
    if (strncmp(key->uri, "pkcs11:", 7) != 0)
        return why_set(why, -E_UNSUPPORTED, "OpenSSL has no provider for %.*s URIs",
                       (int)strcspn(key->uri, ":"), key->uri);
    int err = engine_open(key, why);
    if (err)
        return err;
    key->pkey = ENGINE_load_private_key(engine, key->plain, nobody(), NULL);
    /* The engine keeps each key that it gave, and the key the engine, which so would never finish.
     * The key's own methods, which do the work, stay. */
    if (key->pkey && EVP_PKEY_set1_engine(key->pkey, NULL))
        return 0;
    EVP_PKEY_free(key->pkey);
    key->pkey = NULL;
    why_set(why, 0, "the key is not to be had from its HSM (PKCS#11 module %s): ",
            key->module ? key->module : "by default");
    if (reasons_take(why))
        pin_remember(key);
    if (!key->pin)
        why_add(why, "; the URI names no file with a PIN (pin-source=…)");
    return -E_IO;
}
#else
static void engine_close(void)
{
}

static int engine_load(struct hsm_key *key, struct why *why)
{
    return why_set(why, -E_UNSUPPORTED, "OpenSSL has no provider for %.*s URIs",
                   (int)strcspn(key->uri, ":"), key->uri);
}
#endif

/* Under the lock, for writing. */
static void all_close(void)
{
    for (struct hsm_key *k = keys; k; k = k->next) {
        EVP_PKEY_free(k->pkey);
        k->pkey = NULL;
    }
    engine_close();
    opened++;
    closed_at = now_ms();
}

/* Under the lock, for writing. */
static int key_open(struct hsm_key *key, struct why *why)
{
    if (key->tried && now_ms() - key->tried < HSM_RETRY_MS)
        return why_set(why, -E_IO, "%s", key->why.text);
    int err = key->pin ? pin_check(key->pin, &key->why) : 0;
    if (!err && pin_refused(key))
        err = why_set(&key->why, -E_IO,
                      "the HSM refused the PIN in %s; it is not tried again before that file "
                      "changes, for the HSM would lock itself",
                      key->pin);
    if (!err && key->tried)
        all_close(); /* tokens are looked for when a module is opened: it must be, again */
    ERR_clear_error();
    if (!err && !(key->pkey = store_load(key->uri))) {
        ERR_clear_error();
        err = engine_load(key, &key->why);
    }
    if (!err && key->check && (err = key->check(key->pkey, key->check_arg, &key->why))) {
        EVP_PKEY_free(key->pkey);
        key->pkey = NULL;
        err = -E_IO;
    }
    ERR_clear_error();
    key->tried = err ? now_ms() : 0;
    if (err)
        why_set(why, 0, "%s", key->why.text);
    return err;
}

void hsm_key_free(struct hsm_key **key)
{
    struct hsm_key *k = *key;
    if (!k)
        return;
    pthread_rwlock_wrlock(&lock);
    for (struct hsm_key **at = &keys; *at; at = &(*at)->next)
        if (*at == k) {
            *at = k->next;
            break;
        }
    EVP_PKEY_free(k->pkey);
    if (!keys)
        engine_close();
    pthread_rwlock_unlock(&lock);
    mem_free(&k->uri);
    mem_free(&k->plain);
    mem_free(&k->pin);
    mem_free(&k->module);
    mem_free(key);
}

/* ---- using ---- */

static int use_once(struct hsm_key *key, hsm_use_fn *use, void *arg, uint64_t *when,
                    struct why *why)
{
    pthread_rwlock_rdlock(&lock);
    *when = opened;
    int err = key->pkey ? use(key->pkey, arg, why) : -E_AGAIN;
    pthread_rwlock_unlock(&lock);
    return err;
}

/* After a failure of what was opened at `when` (-E_AGAIN: it was closed): 0, when it is worth another
 * try. */
static int open_again(struct hsm_key *key, int failed, uint64_t when, struct why *why)
{
    pthread_rwlock_wrlock(&lock);
    int err = 0;
    if (failed == -E_IO && key->pkey && when == opened) {
        if (closed_at && now_ms() - closed_at < HSM_RETRY_MS)
            err = failed;
        else
            all_close();
    }
    if (!err && !key->pkey)
        err = key_open(key, why);
    pthread_rwlock_unlock(&lock);
    return err;
}

void hsm_expect(struct hsm_key *key, hsm_use_fn *check, void *arg)
{
    key->check = check;
    key->check_arg = arg;
}

int hsm_use(struct hsm_key *key, hsm_use_fn *use, void *arg, struct why *why)
{
    enum { TRIES = 3 }; /* it may be closed on others' behalf in between */
    for (int i = 1;; i++) {
        uint64_t when;
        int err = use_once(key, use, arg, &when, why);
        if (err != -E_IO && err != -E_AGAIN)
            return err;
        if (i == TRIES)
            return err == -E_AGAIN ? why_set(why, -E_IO, "the HSM is being opened anew") : err;
        err = open_again(key, err, when, why);
        if (err)
            return err;
    }
}
