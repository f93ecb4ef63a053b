/* weir dnssec: whether a zone is signed, what its registrar must be given, and the operator's word.
 *
 * All that is known is in the zone's folder of keys, so this works with and without a running weir; a running one is told to look.
 */
#include "pipeline/key_turn.h"

#include "pipeline/run/keyring_ds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int word_apply(struct key_turn *t, const char *word, struct why *why)
{
    struct keyring *ring = t->store.ring;
    struct keyring_time time = keyring_time_now();
    if (!strcmp(word, "enable"))
        return keyring_enable(ring, time.now, why);
    if (!strcmp(word, "disable"))
        return keyring_disable(ring, time.now, why);
    if (!strcmp(word, "delete"))
        return keyring_delete(ring, time.now, why);
    if (!strcmp(word, "ds-seen"))
        return keyring_ds_seen(ring, &time, why);
    if (!strcmp(word, "ds-gone"))
        return keyring_ds_gone(ring, &time, why);
    if (!strcmp(word, "resign"))
        return keyring_resign(ring, time.now, why);
    return why_set(why, -E_CONF,
                   "unknown word \"%s\": expected enable, disable, delete, ds-seen, ds-gone, "
                   "resign, ask-parent or modes",
                   word);
}

static void show(const struct key_turn *t, bool as_json)
{
    const struct keyring *ring = t->store.ring;
    char *parent = t->zone->nparent ? key_turn_parent(t, as_json) : NULL;
    char *foreign = t->zone->shared ? key_turn_foreign(t, as_json) : NULL;
    char *signers = t->zone->nsigners || t->store.book ? key_turn_signers(t, as_json) : NULL;
    char *modes = key_turn_modes(t, false, as_json);
    if (!as_json) {
        if (t->zone->prepares)
            printf("zone %s is served as its primary signs it; its keys here sign nothing yet:\n",
                   t->zone->text);
        keyring_ds_text(ring, t->zone, time(NULL), stdout);
        printf("%s%s%s%s", foreign ? foreign : "", signers ? signers : "", parent ? parent : "",
               modes ? modes : "");
        free(modes);
        free(signers);
        free(foreign);
        free(parent);
        return;
    }
    struct json *json = json_new();
    json_object(json, NULL);
    keyring_ds_json(ring, t->zone, time(NULL), json);
    if (foreign)
        json_raw(json, "foreign_keys", foreign);
    if (signers)
        json_raw(json, "signers", signers);
    if (parent)
        json_raw(json, "parent", parent);
    if (modes)
        json_raw(json, "modes", modes);
    json_end(json);
    printf("%s\n", json_text(json, NULL));
    json_free(&json);
    free(signers);
    free(modes);
    free(foreign);
    free(parent);
}

/* Of any zone, also one that weir has no keys for. */
static int show_modes(const char *path, const char *zone, bool as_json, struct why *why)
{
    uint8_t name[NAME_MAX_OCTETS];
    struct key_turn t = {0};
    int err = config_load(command_config_path(path), &t.config, why);
    if (!err && name_parse(zone, name, why) < 0)
        err = -E_FORMAT;
    t.zone = err ? NULL : config_zone(t.config, name);
    if (!err && !t.zone)
        err = why_set(why, -E_NOENT, "%s: zone %s is not in it", t.config->path, zone);
    char *text = err ? NULL : key_turn_modes(&t, true, as_json);
    if (!err && !text)
        err = why_set(why, -E_NOENT,
                      "weir is not running with this configuration, or does not have the zone: "
                      "what is in caches is known to a running one only");
    if (!err)
        fputs(text, stdout);
    free(text);
    key_turn_close(&t);
    return err;
}

static int dnssec(int argc, char **argv)
{
    const char *path = NULL;
    bool json = false;
    const struct command_option options[] = {
        {"-c", &path, NULL}, {"--json", NULL, &json}, {NULL, NULL, NULL}};
    struct why why;
    struct key_turn t;
    int code = command_options(&command_dnssec, &argc, argv, options);
    if (code)
        return code;
    if (argc < 2)
        return command_usage(&command_dnssec, "which zone?");
    if (argc > 3)
        return command_usage(&command_dnssec, "unexpected word \"%s\"", argv[3]);
    bool ask = argc > 2 && !strcmp(argv[2], "ask-parent"), word = argc > 2 && !ask;
    if (word && !strcmp(argv[2], "modes")) {
        if (!show_modes(path, argv[1], json, &why))
            return EXIT_YES;
        command_fail("dnssec", &why);
        return EXIT_CANNOT;
    }
    t = (struct key_turn){0};
    int err = ask ? key_turn_ask_parent(path, argv[1], &why) : 0;
    if (!err)
        err = key_turn_open(&t, path, argv[1], word, &why);
    if (!err && word)
        err = word_apply(&t, argv[2], &why);
    if (!err && word)
        err = key_turn_save(&t, &why);
    if (!err)
        show(&t, json);
    key_turn_close(&t);
    if (!err)
        return EXIT_YES;
    command_fail("dnssec", &why);
    return err == -E_MISMATCH || err == -E_AGAIN ? EXIT_NO : EXIT_CANNOT;
}

const struct command_type command_dnssec = {
    "dnssec",
    "[-c FILE] ZONE [enable | disable | delete | ds-seen | ds-gone | resign | ask-parent | modes] "
    "[--json]",
    "the state of a zone's DNSSEC, and the DS for its registrar; enable, disable, delete; say that "
    "the parent has the DS, or has it no longer; make all signatures anew; ask its servers now; "
    "how "
    "to go on to another mode",
    dnssec};
