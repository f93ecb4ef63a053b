/* weir: a DNS zone-transfer gate. This file finds the subcommand. */
#include "pipeline/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct command_type asked[] = {
    {"status", "[-c FILE] [ZONE] [--findings] [--json]",
     "what a running weir serves, and what it refused and why", command_ask},
    {"retransfer", "[-c FILE] ZONE", "fetch a zone now, whatever its serial", command_ask},
    {"notify", "[-c FILE] ZONE", "send NOTIFY to a zone's secondaries now", command_ask},
    {"reload", "[-c FILE]", "read the configuration and zone files again", command_ask},
    {"approve", "[-c FILE] ZONE [SERIAL]", "publish a version that is held", command_ask},
    {"discard", "[-c FILE] ZONE [SERIAL]", "drop a version that is held", command_ask},
    {"purge", "[-c FILE] ZONE",
     "delete what the journal keeps of a zone that is no longer configured", command_ask},
};
static const struct command_type *const types[] = {
    &command_serve,   &command_check, &command_replay, &asked[0],       &asked[1],
    &asked[2],        &asked[3],      &asked[4],       &asked[5],       &asked[6],
    &command_journal, &command_dump,  &command_key,    &command_dnssec, &command_multisigner,
    &command_stages,
};
enum { TYPES = sizeof types / sizeof types[0] };

static void usage(FILE *out)
{
    fprintf(out, "weir: a DNS zone-transfer gate: takes zones in, passes every change through "
                 "stages, serves what is right\n\n");
    for (int i = 0; i < TYPES; i++)
        fprintf(out, "  weir %s %s\n      %s\n", types[i]->name, types[i]->args, types[i]->summary);
    fprintf(out, "\nWithout -c FILE: $WEIR_CONF, or /etc/weir/weir.conf.\n");
}

int command_usage(const struct command_type *type, const char *fmt, ...)
{
    va_list ap;
    fprintf(stderr, "weir %s: ", type->name);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\nusage: weir %s %s\n", type->name, type->args);
    return EXIT_CANNOT;
}

int command_fail(const char *name, const struct why *why)
{
    fprintf(stderr, "weir %s: %s\n", name, why->text);
    return EXIT_CANNOT;
}

static const struct command_option *option_of(const struct command_option *options,
                                              const char *word)
{
    for (const struct command_option *o = options; o->name; o++)
        if (!strcmp(o->name, word))
            return o;
    return NULL;
}

int command_options(const struct command_type *type, int *argc, char **argv,
                    const struct command_option *options)
{
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        if (argv[i][0] != '-' || !argv[i][1]) {
            argv[kept++] = argv[i];
            continue;
        }
        const struct command_option *o = option_of(options, argv[i]);
        if (!o)
            return command_usage(type, "there is no option \"%s\"", argv[i]);
        if (o->flag) {
            *o->flag = true;
            continue;
        }
        if (++i == *argc)
            return command_usage(type, "option %s needs a value", o->name);
        *o->value = argv[i];
    }
    argv[kept] = NULL;
    *argc = kept;
    return 0;
}

const char *command_config_path(const char *given)
{
    const char *env = getenv("WEIR_CONF");
    return given ? given : env && *env ? env : "/etc/weir/weir.conf";
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (!strcmp(name, "help") || !strcmp(name, "--help") || !strcmp(name, "-h")) {
        usage(stdout);
        return EXIT_YES;
    }
    for (int i = 0; i < TYPES; i++)
        if (!strcmp(types[i]->name, name))
            return types[i]->run(argc - 1, argv + 1);
    if (*name)
        fprintf(stderr, "weir: there is no command \"%s\"\n\n", name);
    usage(stderr);
    return EXIT_CANNOT;
}
