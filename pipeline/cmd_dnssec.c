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
                   "resign or ask-parent",
                   word);
}

static void show(const struct key_turn *t, bool as_json)
{
    const struct keyring *ring = t->store.ring;
    char *parent = t->zone->nparent ? key_turn_parent(t, as_json) : NULL;
    char *foreign = t->zone->shared ? key_turn_foreign(t, as_json) : NULL;
    char *signers = t->zone->nsigners || t->store.book ? key_turn_signers(t, as_json) : NULL;
    if (!as_json) {
        keyring_ds_text(ring, t->zone, time(NULL), stdout);
        printf("%s%s%s", foreign ? foreign : "", signers ? signers : "", parent ? parent : "");
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
    json_end(json);
    printf("%s\n", json_text(json, NULL));
    json_free(&json);
    free(signers);
    free(foreign);
    free(parent);
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
    "[-c FILE] ZONE [enable | disable | delete | ds-seen | ds-gone | resign | ask-parent] [--json]",
    "the state of a zone's DNSSEC, and the DS for its registrar; enable, disable, delete; say that "
    "the parent has the DS, or has it no longer; make all signatures anew; ask its servers now",
    dnssec};
