/* weir multisigner: how far a zone's other signers have joined or left, and the operator's word.
 *
 * As `weir key`: what is changed is changed in the zone's folder, under its lock, with and without a running weir, which is told to look.
 * A running one is asked first how things are: it knows what the signers' servers said a moment ago.
 */
#include "pipeline/key_turn.h"

#include "pipeline/run/zone_signers.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct signer_command {
    struct key_turn turn;
    struct signers_conf signers;
    const char *signer;
    bool json, force;
};

static void show(const struct signer_command *c)
{
    char *asked = key_turn_signers(&c->turn, c->json);
    struct signers *book = c->turn.store.book;
    if (asked) {
        fputs(asked, stdout);
    } else if (c->json) {
        struct json *json = json_new();
        json_object(json, NULL);
        if (book)
            signers_json(book, &c->signers.policy, time(NULL), json);
        json_end(json);
        printf("%s\n", json_text(json, NULL));
        json_free(&json);
    } else if (book) {
        char *text = signers_text(book, &c->signers.policy, time(NULL));
        fputs(text, stdout);
        mem_free(&text);
    } else {
        printf("zone %s: nothing is known of its signers yet: weir has not run with them\n",
               c->turn.zone->text);
    }
    free(asked);
}

/* A book knows the signers that are configured from its first step on. */
static struct signers *book_of(struct signer_command *c)
{
    struct keyring_store *store = &c->turn.store;
    struct signers_plan plan = {0};
    struct signers_facts facts = {.time = keyring_time_now(), .ring = store->ring};
    if (!store->book) {
        store->book = signers_new(store->apex);
        signers_step(store->book, &c->signers.policy, &facts, &plan);
    }
    return store->book;
}

static int change(struct signer_command *c, bool join, struct why *why)
{
    struct signers *book = book_of(c);
    time_t now = time(NULL);
    int err =
        join ? signers_join(book, c->signer, now, why) : signers_leave(book, c->signer, now, why);
    if (c->force && !err) /* what has changed in this book is not kept */
        return why_set(why, -E_MISMATCH,
                       "signer %s does not %s yet, so no step of it waits: first without --force",
                       c->signer, join ? "join" : "leave");
    if (c->force && err == -E_MISMATCH)
        err = signers_force(book, &c->signers.policy, c->signer, now, why);
    if (!err)
        err = key_turn_save(&c->turn, why);
    if (err)
        return err;
    c->turn.word = join ? "join" : "leave";
    c->turn.signer = c->signer;
    c->turn.force = c->force;
    if (c->force)
        printf("zone %s: what the present step of signer %s waits for is taken as given, on your "
               "word\n",
               c->turn.zone->text, c->signer);
    else
        printf("zone %s: signer %s %s; `weir multisigner %s status` says what is waited for\n",
               c->turn.zone->text, c->signer, join ? "joins" : "leaves", c->turn.zone->text);
    return 0;
}

static int multisigner(int argc, char **argv)
{
    struct signer_command c = {.json = false};
    const char *path = NULL;
    const struct command_option options[] = {{"-c", &path, NULL},
                                             {"--json", NULL, &c.json},
                                             {"--force", NULL, &c.force},
                                             {NULL, NULL, NULL}};
    struct why why;
    int code = command_options(&command_multisigner, &argc, argv, options);
    if (code)
        return code;
    if (argc < 2)
        return command_usage(&command_multisigner, "which zone?");
    const char *word = argc > 2 ? argv[2] : "status";
    bool join = !strcmp(word, "join"), leave = !strcmp(word, "leave");
    if (!join && !leave && strcmp(word, "status") != 0)
        return command_usage(&command_multisigner, "there is no \"%s\"", word);
    if (argc != (join || leave ? 4 : argc > 2 ? 3 : 2))
        return command_usage(&command_multisigner,
                             join || leave ? "which signer?" : "unexpected words");
    if ((c.force && !join && !leave) || (c.json && (join || leave)))
        return command_usage(&command_multisigner, "--force goes with join and leave, --json with "
                                                   "status");
    c.signer = join || leave ? argv[3] : NULL;
    int err = key_turn_open(&c.turn, path, argv[1], join || leave, &why);
    if (!err && !c.turn.zone->nsigners && !c.turn.store.book)
        err = why_set(&why, -E_CONF, "%s: zone %s has no other signers (signers)",
                      c.turn.config->path, c.turn.zone->text);
    if (!err)
        signers_conf_of(c.turn.zone, &c.signers);
    if (!err && (join || leave))
        err = change(&c, join, &why);
    else if (!err)
        show(&c);
    key_turn_close(&c.turn);
    if (!err)
        return EXIT_YES;
    command_fail("multisigner", &why);
    return err == -E_MISMATCH || err == -E_AGAIN || err == -E_EXISTS ? EXIT_NO : EXIT_CANNOT;
}

const struct command_type command_multisigner = {
    "multisigner", "[-c FILE] ZONE [status [--json] | (join | leave) SIGNER [--force]]",
    "how far a zone's other signers have joined or left, and what is waited for; begin it, or take "
    "what the present step waits for as given",
    multisigner};
