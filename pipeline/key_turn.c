/* What `weir key` and `weir dnssec` do before and after.
 */
#include "pipeline/key_turn.h"

#include "pipeline/net/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    LOCK_WAIT_MS = 10000,
    ASK_WAIT_S =
        60, /* three tries over UDP and one over TCP take half of it, when nobody else waits */
    LOOK_EVERY_MS = 50,
};

static int zone_find(struct key_turn *t, const char *text, struct why *why)
{
    uint8_t name[NAME_MAX_OCTETS];
    if (name_parse(text, name, why) < 0)
        return -E_FORMAT;
    t->zone = config_zone(t->config, name);
    if (!t->zone)
        return why_set(why, -E_NOENT, "%s: zone %s is not in it", t->config->path, text);
    if (!t->zone->signs && !t->zone->prepares)
        return why_set(why, -E_CONF,
                       "%s: zone %s is not signed by weir: its chain has no such "
                       "stage; mode = \"live\" has (a pre-signed zone that is to be signed here "
                       "later has the group `keys`)",
                       t->config->path, t->zone->text);
    return 0;
}

int key_turn_open(struct key_turn *t, const char *config_path, const char *zone, bool to_change,
                  struct why *why)
{
    *t = (struct key_turn){0};
    int err = config_load(command_config_path(config_path), &t->config, why);
    if (!err)
        err = zone_find(t, zone, why);
    if (err)
        return err;
    keyring_store_init(&t->store, t->config->server.state, t->zone->name);
    err = keyring_store_lock(&t->store, to_change, LOCK_WAIT_MS, why);
    return err == -E_NOENT && !to_change ? 0 : err;
}

int key_turn_save(struct key_turn *t, struct why *why)
{
    int err = keyring_store_save(&t->store, why);
    t->changed = !err;
    return err;
}

/* It looks by itself when the next wait is over: not to reach it is no failure. */
static void daemon_tell(const struct key_turn *t)
{
    const char *said[] = {"keys", t->zone->text, t->word, t->signer, t->force ? "--force" : NULL};
    char *words[sizeof said / sizeof said[0]];
    int n = 0;
    struct why why;
    FILE *out = fopen("/dev/null", "w");
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++)
        if (said[i])
            words[n++] = mem_strdup(said[i]);
    if (!t->config->server.control || !out ||
        control_ask(t->config->server.control, n, words, out, &why) != 0)
        fprintf(stderr, "weir is not running with this configuration, or does not have the zone: "
                        "it takes effect when it does\n");
    if (out)
        fclose(out);
    while (n > 0)
        mem_free(&words[--n]);
}

void key_turn_close(struct key_turn *t)
{
    if (t->store.state)
        keyring_store_clear(&t->store); /* gives the lock back before the daemon wants it */
    if (t->changed)
        daemon_tell(t);
    if (t->config)
        config_unref(t->config);
}

/* ---- the parent
 * --------------------------------------------------------------------------------------------- */

/* One of the control socket's requests about a zone. */
static int request(const struct config *config, const char *what, const char *zone,
                   const char *flag, char **text, struct why *why)
{
    char *words[] = {mem_strdup(what), mem_strdup(zone), mem_strdup(flag ? flag : "-")};
    size_t len;
    FILE *out = open_memstream(text, &len);
    ASSERT(out);
    int code = config->server.control
                   ? control_ask(config->server.control, flag ? 3 : 2, words, out, why)
                   : why_set(why, -E_CONF, "%s: server.control is not set", config->path);
    fclose(out);
    if (code > 0) {
        (*text)[strcspn(*text, "\n")] = 0;
        code = why_set(why, -E_REFUSED, "%s", *text);
    }
    if (code) {
        free(*text);
        *text = NULL;
    }
    for (int i = 0; i < 3; i++)
        mem_free(&words[i]);
    return code;
}

static int parent_request(const struct config *config, const char *zone, const char *flag,
                          char **text, struct why *why)
{
    return request(config, "parent", zone, flag, text, why);
}

/* NULL: nobody who could answer. */
static char *ask_about(const struct key_turn *t, const char *what, bool json)
{
    char *text;
    struct why why;
    return request(t->config, what, t->zone->text, json ? "--json" : NULL, &text, &why) ? NULL
                                                                                        : text;
}

char *key_turn_foreign(const struct key_turn *t, bool json)
{
    return ask_about(t, "foreign", json);
}

char *key_turn_modes(const struct key_turn *t, bool all, bool json)
{
    char *text;
    struct why why;
    const char *flag = json ? "--json" : all ? "all" : NULL;
    return request(t->config, "modes", t->zone->text, flag, &text, &why) ? NULL : text;
}

char *key_turn_parent(const struct key_turn *t, bool json)
{
    return ask_about(t, "parent", json);
}

char *key_turn_signers(const struct key_turn *t, bool json)
{
    return ask_about(t, "signers", json);
}

static int parent_wait(const struct config *config, const char *zone, struct why *why)
{
    time_t until = time(NULL) + ASK_WAIT_S;
    for (;;) {
        char *text;
        int err = parent_request(config, zone, NULL, &text, why);
        if (err)
            return err;
        bool asking = strncmp(text, "asking: ", 8) == 0;
        free(text);
        if (!asking)
            return 0;
        if (time(NULL) > until)
            return why_set(why, -E_TIMEOUT,
                           "the parent's servers have not all answered or been given up within %d "
                           "s: others wait for them too",
                           ASK_WAIT_S);
        nanosleep(&(struct timespec){.tv_nsec = LOOK_EVERY_MS * 1000000L}, NULL);
    }
}

int key_turn_ask_parent(const char *config_path, const char *zone, struct why *why)
{
    struct key_turn t = {0};
    char *text;
    int err = config_load(command_config_path(config_path), &t.config, why);
    if (!err)
        err = zone_find(&t, zone, why);
    if (!err)
        err = parent_request(t.config, t.zone->text, "ask", &text, why);
    if (!err) {
        free(text);
        err = parent_wait(t.config, t.zone->text, why);
    }
    if (t.config)
        config_unref(t.config);
    return err;
}
