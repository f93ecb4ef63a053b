/* weir key: a zone's keys, by hand. With and without a running weir: see key_turn.h. */
#include "pipeline/key_turn.h"

#include "pipeline/run/keyring_ds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct key_command {
    struct key_turn turn;
    const char *role; /* as typed, or NULL */
    bool json, in_use;
    int argc;
    char **argv; /* after the zone */
};

static int role_parse(const char *text, enum keyring_role *out, struct why *why)
{
    static const char *const words[] = {"ksk", "zsk", "csk"};
    for (int i = 0; text && i < 3; i++)
        if (strcmp(text, words[i]) == 0) {
            *out = (enum keyring_role)(i + 1);
            return 0;
        }
    return why_set(why, -E_CONF, "expected ksk, zsk or csk%s%s", text ? ", not " : "",
                   text ? text : "");
}

static struct keyring_key *wanted(struct keyring *ring, enum keyring_role role)
{
    struct keyring_key *found = NULL;
    for (unsigned i = 0; i < ring->n; i++)
        if (ring->key[i].wanted && ring->key[i].role == role && ring->key[i].state != KEY_REMOVED)
            found = &ring->key[i];
    return found;
}

static void say_added(const struct key_command *c, const struct keyring_key *k)
{
    printf("zone %s: %s %u, %s, is there\n", c->turn.zone->text, keyring_role_text(k->role), k->tag,
           dnssec_algorithm_text(k->algorithm));
}

/* A key in the place of one that is in use begins a rollover, which must be allowed now. */
static int place_check(struct keyring *ring, enum keyring_role role, struct why *why)
{
    struct keyring_key *k = wanted(ring, role);
    return k ? keyring_retire(ring, k, why) : 0;
}

static int do_generate(struct key_command *c, struct why *why)
{
    const struct keyring_policy *policy = &c->turn.zone->keys.policy;
    enum keyring_role role = policy->offline_ksk ? KEYRING_ZSK
                             : policy->csk       ? KEYRING_CSK
                                                 : KEYRING_KSK;
    struct keyring_key *k;
    int err = c->argc ? role_parse(c->argv[0], &role, why) : 0;
    if (!err)
        err = place_check(c->turn.store.ring, role, why);
    if (!err)
        err = keyring_store_generate(&c->turn.store, policy, role, time(NULL), &k, why);
    if (!err)
        err = key_turn_save(&c->turn, why);
    if (!err)
        say_added(c, k);
    return err;
}

/* The role that a key has by its flags, unless it was said. */
static int import_role(const struct key_command *c, uint16_t flags, enum keyring_role *out,
                       struct why *why)
{
    if (c->role)
        return role_parse(c->role, out, why);
    *out = !(flags & DNSKEY_SEP)           ? KEYRING_ZSK
           : c->turn.zone->keys.policy.csk ? KEYRING_CSK
                                           : KEYRING_KSK;
    return 0;
}

static int import_read(const struct key_command *c, const char *from, enum keyring_role *role,
                       struct dnssec_private **out, struct why *why)
{
    const struct zone_conf *zone = c->turn.zone;
    struct key_file file = {.err = 0};
    if (strncmp(from, "pkcs11:", 7) == 0) {
        int err = role_parse(c->role, role, why);
        if (err)
            return why_set(why, err,
                           "a key of an HSM does not say what it is for: expected --role");
        return dnssec_private_open(from, zone->keys.policy.algorithm, out, why);
    }
    int err = key_file_read(from, zone->name, &file, why);
    if (err && c->role)
        err = key_file_read_private(from, zone->name, 0,
                                    strcmp(c->role, "zsk") ? DNSKEY_ZONE | DNSKEY_SEP : DNSKEY_ZONE,
                                    &file, why);
    if (err)
        return err;
    if (file.err)
        err = why_set(why, file.err, "%s", file.why.text);
    else if (!file.private)
        err = why_set(why, -E_NOENT, "%s: there is no private half beside it", from);
    if (!err)
        err = import_role(c, get_u16(file.rdata), role, why);
    if (!err)
        *out = dnssec_private_ref(file.private);
    key_file_clear(&file);
    return err;
}

static int do_import(struct key_command *c, struct why *why)
{
    enum keyring_role role;
    struct dnssec_private *private;
    struct keyring_key *k;
    if (c->argc != 1)
        return why_set(why, -E_CONF, "expected one file, or the URI of a key in an HSM");
    const char *uri = strncmp(c->argv[0], "pkcs11:", 7) == 0 ? c->argv[0] : NULL;
    int err = import_read(c, c->argv[0], &role, &private, why);
    if (err)
        return err;
    if (dnssec_private_algorithm(private) != c->turn.zone->keys.policy.algorithm)
        err = why_set(
            why, -E_MISMATCH,
            "it is a key of algorithm %u, and the zone's keys.algorithm is %u: a key of another "
            "algorithm would be rolled over at once",
            dnssec_private_algorithm(private), c->turn.zone->keys.policy.algorithm);
    else if (c->in_use && wanted(c->turn.store.ring, role))
        err = why_set(why, -E_MISMATCH, "--in-use: the zone has a %s already",
                      keyring_role_text(role));
    if (!err)
        err = place_check(c->turn.store.ring, role, why);
    if (!err)
        err = keyring_store_add(&c->turn.store, role, private, uri, c->in_use, time(NULL), &k, why);
    dnssec_private_unref(private);
    if (!err)
        err = key_turn_save(&c->turn, why);
    if (!err)
        say_added(c, k);
    return err;
}

/* A successor from a file is less than what there was. */
static int hsm_check(const struct keyring_key *k, struct why *why)
{
    return k && k->hsm
               ? why_set(why, -E_MISMATCH,
                         "%s %u is in an HSM: make the next one there, and `weir key import` "
                         "it, which begins the rollover",
                         keyring_role_text(k->role), k->tag)
               : 0;
}

static int do_roll(struct key_command *c, struct why *why)
{
    enum keyring_role role;
    int err = role_parse(c->argc ? c->argv[0] : NULL, &role, why);
    if (!err)
        err = hsm_check(wanted(c->turn.store.ring, role), why);
    if (!err)
        err = keyring_roll(c->turn.store.ring, role, why);
    if (!err)
        err = key_turn_save(&c->turn, why);
    if (!err)
        printf("zone %s: the %s is rolled over; `weir dnssec` says what is waited for\n",
               c->turn.zone->text, keyring_role_text(role));
    if (!err && c->turn.zone->keys.policy.offline_ksk)
        printf("the holder of the KSK must put the new key (`weir key export`) into the DNSKEY "
               "set: it signs when the set has had it for its TTL\n");
    else if (!err && c->turn.zone->mode && strcmp(c->turn.zone->mode, "multi-signer") == 0)
        printf("its other signers must show the new key (`weir key export`) before "
               "keys.propagation_delay is over: then it may sign\n");
    return err;
}

static int do_retire(struct key_command *c, struct why *why)
{
    struct keyring *ring = c->turn.store.ring;
    struct keyring_key *found = NULL;
    char *end = NULL;
    unsigned long tag = c->argc ? strtoul(c->argv[0], &end, 10) : 0;
    if (!c->argc || *end || tag > 65535)
        return why_set(why, -E_CONF, "expected the tag of a key, a number from 0 to 65535");
    for (unsigned i = 0; i < ring->n; i++) {
        if (ring->key[i].tag != tag || ring->key[i].state == KEY_REMOVED)
            continue;
        if (found)
            return why_set(why, -E_MISMATCH,
                           "two keys have the tag %lu: `weir key roll` takes a role", tag);
        found = &ring->key[i];
    }
    if (!found)
        return why_set(why, -E_NOENT, "the zone has no key with the tag %lu", tag);
    int err = hsm_check(found, why);
    if (!err)
        err = keyring_retire(ring, found, why);
    if (!err)
        err = key_turn_save(&c->turn, why);
    if (!err)
        printf("zone %s: %s %lu goes when another one has taken its place\n", c->turn.zone->text,
               keyring_role_text(found->role), tag);
    return err;
}

static int do_list(struct key_command *c, struct why *why)
{
    const struct keyring *ring = c->turn.store.ring;
    const struct keyring_policy *policy = &c->turn.zone->keys.policy;
    struct json *json = c->json ? json_new() : NULL;
    (void)why;
    if (json)
        json_array(json, NULL);
    for (unsigned i = 0; ring && i < ring->n; i++) {
        if (!json) {
            keyring_key_text(ring, policy, &ring->key[i], time(NULL), stdout);
            continue;
        }
        json_object(json, NULL);
        keyring_key_json(ring, policy, &ring->key[i], time(NULL), json);
        json_end(json);
    }
    if (json) {
        json_end(json);
        printf("%s\n", json_text(json, NULL));
        json_free(&json);
    }
    return 0;
}

/* The DS of all keys that are to be trusted, for the parent. */
static int do_ds(struct key_command *c, struct why *why)
{
    const struct keyring *ring = c->turn.store.ring;
    const struct keyring_key *k = ring ? keyring_ds_key(ring) : NULL;
    if (!k)
        return why_set(why, -E_NOENT, "zone %s has no key that a DS could name",
                       c->turn.zone->text);
    for (int type = 2; type <= 4; type += 2) {
        char *line = keyring_ds_line(ring->apex, k, (uint8_t)type);
        printf("%s\n", line);
        mem_free(&line);
    }
    return 0;
}

static int do_export(struct key_command *c, struct why *why)
{
    const struct keyring *ring = c->turn.store.ring;
    bool any = false;
    for (unsigned i = 0; ring && i < ring->n; i++)
        any |= ring->key[i].state != KEY_DEAD && ring->key[i].state != KEY_REMOVED;
    if (!any)
        return why_set(why, -E_NOENT, "zone %s has no keys that another signer could be given",
                       c->turn.zone->text);
    keyring_export(ring, stdout);
    return 0;
}

static const struct {
    const char *name;
    bool changes;
    int (*run)(struct key_command *c, struct why *why);
} words[] = {
    {"generate", true, do_generate}, {"import", true, do_import}, {"roll", true, do_roll},
    {"retire", true, do_retire},     {"list", false, do_list},    {"ds", false, do_ds},
    {"export", false, do_export},
};
enum { WORDS = sizeof words / sizeof words[0] };

static int key(int argc, char **argv)
{
    struct key_command c = {.json = false};
    const char *path = NULL;
    const struct command_option options[] = {{"-c", &path, NULL},
                                             {"--role", &c.role, NULL},
                                             {"--in-use", NULL, &c.in_use},
                                             {"--json", NULL, &c.json},
                                             {NULL, NULL, NULL}};
    struct why why;
    int code = command_options(&command_key, &argc, argv, options), word = 0;
    if (code)
        return code;
    if (argc < 3)
        return command_usage(&command_key, "what is to be done, and with which zone's keys?");
    while (word < WORDS && strcmp(words[word].name, argv[1]) != 0)
        word++;
    if (word == WORDS)
        return command_usage(&command_key, "there is no \"%s\"", argv[1]);
    c.argc = argc - 3;
    c.argv = argv + 3;
    int err = key_turn_open(&c.turn, path, argv[2], words[word].changes, &why);
    if (!err)
        err = words[word].run(&c, &why);
    key_turn_close(&c.turn);
    if (!err)
        return EXIT_YES;
    command_fail("key", &why);
    return err == -E_MISMATCH || err == -E_AGAIN || err == -E_EXISTS ? EXIT_NO : EXIT_CANNOT;
}

const struct command_type command_key = {"key",
                                         "[-c FILE] (list | ds | export) ZONE [--json] | generate "
                                         "ZONE [ksk | zsk | csk] | import ZONE FILE "
                                         "[--role "
                                         "ROLE] [--in-use] | roll ZONE ROLE | retire ZONE TAG",
                                         "a zone's keys: list, DS, and records for another signer; "
                                         "make or import one, roll a role over, let a key go",
                                         key};
