/* Turns on a folder of keys, one at a time; what each file is, and when it is written, is the header's story.
 */
#include "pipeline/run/keyring_store.h"

#include "pipeline/base/alloc.h"
#include "pipeline/base/log.h"
#include "pipeline/run/zone_signers.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TAGS_TRIED = 64 };

void keyring_store_init(struct keyring_store *s, const char *state, const uint8_t *apex)
{
    *s = (struct keyring_store){.state = mem_strdup(state)};
    name_copy_lower(s->apex, apex);
}

void keyring_store_clear(struct keyring_store *s)
{
    keyring_store_unlock(s);
    keyring_store_forget(s);
    keyring_offline_clear(&s->offline);
    mem_free(&s->state);
}

void keyring_store_forget(struct keyring_store *s)
{
    keyring_free(&s->ring);
    mem_free(&s->text);
    signers_free(&s->book);
    mem_free(&s->book_text);
}

void keyring_store_unlock(struct keyring_store *s)
{
    key_folder_close(&s->folder);
}

/* ---- what is there
 * ---------------------------------------------------------------------------------------- */

static struct keyring_key *key_of(struct keyring *ring, const struct key_file *f)
{
    for (unsigned i = 0; f->rdata && i < ring->n; i++)
        if (ring->key[i].len == f->len && memcmp(ring->key[i].rdata, f->rdata, f->len) == 0)
            return &ring->key[i];
    return NULL;
}

/* Can it sign now, or is it going to? */
static bool needed(const struct keyring_key *k)
{
    return k->state != KEY_REMOVED;
}

static int privates_load(struct keyring_store *s, struct why *why)
{
    struct key_file *files;
    size_t n;
    int err = key_folder_list(s->folder, &files, &n, why);
    if (err)
        return err;
    for (unsigned i = 0; i < s->ring->n; i++) {
        dnssec_private_unref(s->ring->key[i].private);
        s->ring->key[i].private = NULL;
    }
    s->missing = 0;
    why_set(&s->missing_why, 0, "%s: a key's files are not there", key_folder_path(s->folder));
    for (size_t i = 0; i < n; i++) {
        struct keyring_key *k = key_of(s->ring, &files[i]);
        if (k)
            k->hsm = files[i].hsm;
        if (k && files[i].private)
            k->private = dnssec_private_ref(files[i].private);
        else if (k && needed(k) && !files[i].err)
            why_set(&s->missing_why, 0, "%s/%s: there is no private half",
                    key_folder_path(s->folder), files[i].name);
        else if (files[i].err && (!files[i].rdata || (k && needed(k))))
            s->missing_why = files[i].why;
    }
    for (unsigned i = 0; i < s->ring->n; i++)
        s->missing += needed(&s->ring->key[i]) && !s->ring->key[i].private;
    key_files_free(&files, n);
    return 0;
}

static int state_load(struct keyring_store *s, bool make, struct why *why)
{
    char *text = NULL;
    size_t len = 0;
    int err = key_folder_read(s->folder, "state", &text, &len, why);
    if (err == -E_NOENT && make) {
        keyring_free(&s->ring);
        mem_free(&s->text);
        s->ring = keyring_new(s->apex);
        s->missing = 0;
        return 0;
    }
    if (err)
        return err;
    if (s->ring && s->text && strcmp(s->text, text) == 0 && !s->missing) {
        mem_free(&text);
        return 0;
    }
    struct keyring *ring;
    struct why reason;
    err = keyring_parse(text, len, s->apex, &ring, &reason);
    if (err) {
        mem_free(&text);
        return why_set(why, err, "%s/state: %s", key_folder_path(s->folder), reason.text);
    }
    keyring_free(&s->ring);
    mem_free(&s->text);
    s->ring = ring;
    s->text = text;
    return privates_load(s, why);
}

/* One that is gone while we know it was not taken away by weir: it is written again. */
static int book_load(struct keyring_store *s, struct why *why)
{
    char *text = NULL;
    size_t len = 0;
    struct why reason;
    struct signers *book;
    int err = key_folder_read(s->folder, "signers", &text, &len, why);
    if (err == -E_NOENT) {
        mem_free(&s->book_text);
        return 0;
    }
    if (err)
        return err;
    if (s->book && s->book_text && strcmp(s->book_text, text) == 0) {
        mem_free(&text);
        return 0;
    }
    err = signers_parse(text, len, s->apex, &book, &reason);
    if (err) {
        mem_free(&text);
        return why_set(why, err, "%s/signers: %s", key_folder_path(s->folder), reason.text);
    }
    signers_free(&s->book);
    mem_free(&s->book_text);
    s->book = book;
    s->book_text = text;
    return 0;
}

int keyring_store_lock(struct keyring_store *s, bool make, unsigned wait_ms, struct why *why)
{
    int err = key_folder_open(s->state, s->apex, make, wait_ms, &s->folder, why);
    if (!err)
        err = state_load(s, make, why);
    if (!err)
        err = book_load(s, why);
    if (err)
        keyring_store_unlock(s);
    return err;
}

/* ---- keys that come
 * --------------------------------------------------------------------------------------- */

static uint16_t flags_of(enum keyring_role role)
{
    return role & KEYRING_KSK ? DNSKEY_ZONE | DNSKEY_SEP : DNSKEY_ZONE;
}

static int ring_take(struct keyring_store *s, enum keyring_role role,
                     const struct dnssec_private *private, bool in_use, time_t now,
                     struct keyring_key **out, struct why *why)
{
    uint16_t len;
    uint8_t *rdata = dnssec_private_dnskey(private, flags_of(role), &len);
    struct dnssec_private *held = dnssec_private_ref(private);
    int err = keyring_add(s->ring, role, rdata, len, held, in_use, now, out, why);
    dnssec_private_unref(held);
    mem_free(&rdata);
    return err;
}

int keyring_store_add(struct keyring_store *s, enum keyring_role role,
                      const struct dnssec_private *private, const char *uri, bool in_use,
                      time_t now, struct keyring_key **out, struct why *why)
{
    char name[KEY_NAME_MAX];
    int err = key_folder_add(s->folder, private, flags_of(role), uri, name, why);
    if (err)
        return err;
    err = ring_take(s, role, private, in_use, now, out, why);
    struct why unused;
    if (err)
        (void)!key_folder_remove(s->folder, name, &unused);
    return err;
}

/* A key whose maker died before the state was written. */
static bool orphan_take(struct keyring_store *s, uint8_t algorithm, enum keyring_role role,
                        time_t now, struct keyring_key **out)
{
    struct key_file *files;
    size_t n;
    struct why unused;
    bool taken = false;
    if (key_folder_list(s->folder, &files, &n, &unused))
        return false;
    for (size_t i = 0; i < n && !taken; i++) {
        struct key_file *f = &files[i];
        if (f->private && f->algorithm == algorithm && !f->hsm &&
            get_u16(f->rdata) == flags_of(role) && !keyring_has_tag(s->ring, algorithm, f->tag))
            taken = !ring_take(s, role, f->private, false, now, out, &unused);
    }
    key_files_free(&files, n);
    return taken;
}

int keyring_store_generate(struct keyring_store *s, const struct keyring_policy *policy,
                           enum keyring_role role, time_t now, struct keyring_key **out,
                           struct why *why)
{
    if (orphan_take(s, policy->algorithm, role, now, out))
        return 0;
    for (int i = 0; i < TAGS_TRIED; i++) {
        struct dnssec_private *private;
        int err = dnssec_private_generate(policy->algorithm, policy->bits, &private, why);
        if (err)
            return err;
        err = keyring_store_add(s, role, private, NULL, false, now, out, why);
        dnssec_private_unref(private);
        if (err != -E_EXISTS)
            return err;
    }
    return why_set(why, -E_LIMIT, "%d keys were made, and each had a tag that another one has",
                   TAGS_TRIED);
}

static void plan_join(struct keyring_plan *plan, const struct keyring_plan *more)
{
    plan->changed |= more->changed;
    plan->generate = more->generate;
    memcpy(plan->missing, more->missing, sizeof plan->missing);
    plan->wake_in = more->wake_in;
    for (unsigned i = 0; i < more->nevents && plan->nevents < KEYRING_EVENTS_MAX; i++)
        plan->event[plan->nevents++] = more->event[i];
}

int keyring_store_step(struct keyring_store *s, const struct keyring_policy *policy,
                       const struct keyring_facts *facts, struct keyring_plan *plan,
                       struct why *why)
{
    keyring_step(s->ring, policy, facts, plan);
    for (int i = 0; plan->generate && i < 2; i++) {
        struct keyring_plan more = {0};
        struct keyring_key *k;
        for (unsigned j = 0; j < plan->generate; j++) {
            int err = keyring_store_generate(s, policy, plan->missing[j], facts->time.now, &k, why);
            if (err)
                return err;
        }
        plan->changed = true;
        keyring_step(s->ring, policy, facts, &more);
        plan_join(plan, &more);
    }
    return 0;
}

/* ---- kept
 * ------------------------------------------------------------------------------------------------- */

static int files_remove(struct keyring_store *s, struct why *why)
{
    struct key_file *files;
    size_t n;
    int err = key_folder_list(s->folder, &files, &n, why);
    for (size_t i = 0; !err && i < n; i++) {
        const struct keyring_key *k = key_of(s->ring, &files[i]);
        if (k && k->state == KEY_REMOVED)
            err = key_folder_remove(s->folder, files[i].name, why);
    }
    key_files_free(&files, n);
    return err;
}

static bool any_removed(const struct keyring *ring)
{
    for (unsigned i = 0; i < ring->n; i++)
        if (ring->key[i].state == KEY_REMOVED && ring->key[i].private)
            return true;
    return false;
}

static int book_save(struct keyring_store *s, struct why *why)
{
    if (!s->book)
        return 0;
    char *text = signers_print(s->book);
    int err = 0;
    if (s->book_text && strcmp(s->book_text, text) == 0) {
        mem_free(&text);
        return 0;
    }
    err = key_folder_write(s->folder, "signers", text, strlen(text), why);
    if (err) {
        mem_free(&text);
        return err;
    }
    mem_free(&s->book_text);
    s->book_text = text;
    return 0;
}

static int state_save(struct keyring_store *s, struct why *why)
{
    char *text = keyring_print(s->ring);
    if (s->text && strcmp(s->text, text) == 0) {
        mem_free(&text);
        return 0;
    }
    int err = key_folder_write(s->folder, "state", text, strlen(text), why);
    if (err) {
        mem_free(&text);
        return err;
    }
    mem_free(&s->text);
    s->text = text;
    if (!any_removed(s->ring))
        return 0;
    err = files_remove(s, why);
    for (unsigned i = 0; !err && i < s->ring->n; i++)
        if (s->ring->key[i].state == KEY_REMOVED) {
            dnssec_private_unref(s->ring->key[i].private);
            s->ring->key[i].private = NULL;
        }
    return err;
}

int keyring_store_save(struct keyring_store *s, struct why *why)
{
    int err = book_save(s, why);
    return err ? err : state_save(s, why);
}

static int offline_look(struct keyring_store *s, const char *path, struct why *why)
{
    struct stat st;
    struct keyring_offline now;
    if (stat(path, &st))
        return why_set(why, -E_IO, "%s: %s", path, strerror(errno));
    if (s->offline.n && st.st_size == s->offline_len && st.st_mtim.tv_sec == s->offline_at.tv_sec &&
        st.st_mtim.tv_nsec == s->offline_at.tv_nsec)
        return 0;
    int err = keyring_offline_read(path, s->apex, &now, why);
    if (err)
        return err;
    keyring_offline_clear(&s->offline);
    s->offline = now;
    s->offline_at = st.st_mtim;
    s->offline_len = st.st_size;
    return 0;
}

/* Where the KSK is elsewhere, another signer may serve what its holder has signed (RFC 8901 model 1). What is no good is no reason to do
 * without the rest; `weir multisigner` and the stages say what is missing. */
static void polled_attach(const struct keyring_store *s, const struct zone_conf *zone,
                          struct keyset *keys)
{
    struct why why;
    for (unsigned i = 0; i < zone->nsigners; i++) {
        time_t at;
        const struct node *node = signers_proved(s->book, zone->signers[i].name, &at);
        if (node && keyring_offline_attach_node(node, s->apex, keys, &why))
            log_debug("a signer's DNSKEY set cannot be served as ours",
                      LOG_KV("signer", LOG_S(zone->signers[i].name)),
                      LOG_KV("why", LOG_S(why.text)));
    }
}

int keyring_store_keyset(struct keyring_store *s, const struct zone_conf *zone, struct keyset **out,
                         struct why *why)
{
    const struct keys_conf *conf = &zone->keys;
    int err = conf->offline_ksk ? offline_look(s, conf->offline_ksk, why) : 0;
    *out = keyring_keyset(s->ring, &conf->policy);
    if (conf->offline_ksk)
        keyring_offline_attach(&s->offline, *out);
    if (s->book) {
        struct signers_conf signers;
        signers_conf_of(zone, &signers);
        signers_keyset(s->book, &signers.policy, *out);
        keyset_seal(*out);
        if (conf->policy.offline_ksk)
            polled_attach(s, zone, *out);
    }
    return err;
}

int keyring_store_given(struct keyring_store *s, const struct keys_conf *conf, struct keyset **out,
                        struct why *why)
{
    ASSERT(conf->offline_ksk);
    int err = offline_look(s, conf->offline_ksk, why);
    *out = keyset_new(0, 0, 0);
    (*out)->ksk_elsewhere = true;
    keyring_offline_attach(&s->offline, *out);
    return err;
}

/* The ticks of a boot are told from those of another by its ID. */
static uint64_t boot_id(void)
{
    char text[64] = {0};
    uint64_t h = 0xcbf29ce484222325u;
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text) : 0;
    if (fd >= 0)
        close(fd);
    for (ssize_t i = 0; i < n; i++)
        h = (h ^ (uint8_t)text[i]) * 0x100000001b3u;
    return h >> 2;
}

struct keyring_time keyring_time_now(void)
{
    struct timespec tick;
    clock_gettime(CLOCK_BOOTTIME, &tick);
    return (struct keyring_time){time(NULL), tick.tv_sec, boot_id()};
}

int keyring_store_borrow(const char *state, const struct zone_conf *zone, struct keyset **out,
                         struct why *why)
{
    struct keyring_store s;
    keyring_store_init(&s, state, zone->name);
    if (zone->rekeys && !zone->signs) {
        int bad = keyring_store_given(&s, &zone->keys, out, why);
        if (bad)
            keyset_unref(*out);
        keyring_store_clear(&s);
        return bad;
    }
    int err = keyring_store_lock(&s, false, 5000, why);
    if (err == -E_NOENT) {
        struct keyring_facts facts = {.time = keyring_time_now()};
        struct keyring_plan plan = {0};
        s.ring = keyring_new(zone->name);
        struct keyring_policy policy = zone->keys.policy;
        policy.generate = true;
        keyring_step(s.ring, &policy, &facts, &plan);
        err = 0;
        for (unsigned i = 0; !err && i < plan.generate; i++) {
            struct dnssec_private *private;
            struct keyring_key *k;
            err = dnssec_private_generate(policy.algorithm, policy.bits, &private, why);
            if (err)
                break;
            err = ring_take(&s, plan.missing[i], private, false, facts.time.now, &k, why);
            dnssec_private_unref(private);
        }
        keyring_step(s.ring, &policy, &facts, &plan);
    }
    struct keyset *keys = NULL;
    if (!err)
        err = keyring_store_keyset(&s, zone, &keys, why);
    if (err)
        keyset_unref(keys);
    else
        *out = keys;
    keyring_store_clear(&s);
    return err;
}
