/* weir check: is the configuration right; would this zone file pass? */
#include "pipeline/command.h"

#include "pipeline/base/json.h"
#include "pipeline/zone/text.h"

#include <stdio.h>
#include <unistd.h>

struct check {
    const char *config_path, *zone;
    time_t at;
    bool json;
};

static int check_files(const struct check *o, const char *state, const struct zone_conf *zone,
                       int n, char **files, struct why *why)
{
    struct judge *j;
    struct pool *pool = pool_new(
        (unsigned)(sysconf(_SC_NPROCESSORS_ONLN) > 1 ? sysconf(_SC_NPROCESSORS_ONLN) - 1 : 0));
    if (judge_new(zone, state, pool, &j, why)) {
        pool_free(&pool);
        return EXIT_CANNOT;
    }
    struct json *json = o->json ? json_new() : NULL;
    int code = EXIT_YES;
    if (json)
        json_array(json, NULL);
    for (int i = 0; i < n && code != EXIT_CANNOT; i++) {
        struct edit *e =
            edit_open(judge_family(j), NULL, judge_version(j) ? judge_version(j)->input : NULL);
        edit_limit(e, &(struct edit_limits){(size_t)zone->max_records, (size_t)zone->max_bytes});
        struct snapshot *s = NULL;
        int err = text_read(files[i], e, zone->name, why);
        if (err)
            edit_abort(&e);
        else
            err = edit_seal(&e, &s, NULL, why);
        if (err) {
            code = EXIT_CANNOT;
            break;
        }
        if (json)
            json_object(json, NULL);
        struct judge_report r = judge_input(j, s, files[i], o->at, json ? NULL : stdout, json);
        if (json)
            json_end(json);
        if (r.verdict != STAGE_PASS)
            code = EXIT_NO;
        snapshot_unref(s);
    }
    if (json) {
        json_end(json);
        if (code != EXIT_CANNOT)
            printf("%s\n", json_text(json, NULL));
        json_free(&json);
    }
    judge_free(&j);
    pool_free(&pool);
    return code;
}

static int check_zone(const struct check *o, const struct config *config, int n, char **files,
                      struct why *why)
{
    uint8_t name[NAME_MAX_OCTETS];
    if (name_parse(o->zone, name, why) < 0)
        return EXIT_CANNOT;
    const struct zone_conf *zone = config_zone(config, name);
    if (!zone) {
        why_set(why, -E_NOENT, "%s: zone %s is not in it", config->path, o->zone);
        return EXIT_CANNOT;
    }
    return check_files(o, config->server.state, zone, n, files, why);
}

static int check(int argc, char **argv)
{
    struct check o = {.at = time(NULL)};
    const char *at = NULL;
    const struct command_option options[] = {{"-c", &o.config_path, NULL},
                                             {"--zone", &o.zone, NULL},
                                             {"--at", &at, NULL},
                                             {"--json", NULL, &o.json},
                                             {NULL, NULL, NULL}};
    struct why why;
    int err = command_options(&command_check, &argc, argv, options);
    if (err)
        return err;
    if (at && text_time(at, &o.at))
        return command_usage(&command_check,
                             "--at %s: expected YYYYMMDDHHMMSS (UTC) or seconds since 1970", at);
    if ((o.zone != NULL) != (argc > 1))
        return command_usage(&command_check, "--zone and a zone file go together");
    struct config *config;
    if (config_load(command_config_path(o.config_path), &config, &why))
        return command_fail("check", &why);
    int code = EXIT_YES;
    if (o.zone) {
        rcu_thread_start();
        code = check_zone(&o, config, argc - 1, argv + 1, &why);
        rcu_thread_stop();
        if (code == EXIT_CANNOT)
            command_fail("check", &why);
    } else {
        size_t signers = 0;
        for (size_t i = 0; i < config->nzones; i++)
            signers += config->zones[i].nsigners;
        printf("%s: good: %zu zones, %zu remotes", config->path, config->nzones, config->nremotes);
        if (signers)
            printf(", %zu other signers of its zones", signers);
        printf("\n");
    }
    config_unref(config);
    return code;
}

const struct command_type command_check = {"check",
                                           "[-c FILE] [--zone ZONE [--at TIME] [--json] ZONEFILE…]",
                                           "check the configuration, or run a zone's chain over "
                                           "zone files: exit 0 pass, 1 refused or held, 2 cannot",
                                           check};
