/* What `weir key` and `weir dnssec` do before and after.
 */
#include "pipeline/key_turn.h"

#include "pipeline/net/control.h"

#include <stdio.h>
#include <string.h>

enum { LOCK_WAIT_MS = 10000 };

static int zone_find(struct key_turn *t, const char *text, struct why *why)
{
    uint8_t name[NAME_MAX_OCTETS];
    if (name_parse(text, name, why) < 0)
        return -E_FORMAT;
    t->zone = config_zone(t->config, name);
    if (!t->zone)
        return why_set(why, -E_NOENT, "%s: zone %s is not in it", t->config->path, text);
    if (!t->zone->signs)
        return why_set(why, -E_CONF,
                       "%s: zone %s is not signed by weir: its chain has no such "
                       "stage; mode = \"live\" has",
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
    char word[] = "keys";
    char *words[] = {word, t->zone->text};
    struct why why;
    FILE *out = fopen("/dev/null", "w");
    if (!t->config->server.control || !out ||
        control_ask(t->config->server.control, 2, words, out, &why) != 0)
        fprintf(stderr, "weir is not running with this configuration, or does not have the zone: "
                        "it takes effect when it does\n");
    if (out)
        fclose(out);
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
