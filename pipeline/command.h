/* command: the subcommands of `weir`, one file each (pipeline/cmd_*.c).
 *
 * WHAT   A row of main.c's table; run() gets the words from the subcommand's name on and returns the exit code.
 *        Exit codes: 0 all well; 1 the answer is no (findings, refused, an error reply); 2 it could not be done
 *        (bad arguments, files, configuration).
 */
#ifndef WEIR_COMMAND_H
#define WEIR_COMMAND_H

#include "pipeline/run/config.h"

#include <stdio.h>
#include <time.h>

enum { EXIT_YES = 0, EXIT_NO = 1, EXIT_CANNOT = 2 };

struct command_type {
    const char *name, *args, *summary;
    int (*run)(int argc, char **argv);
};
extern const struct command_type command_serve, command_check, command_replay, command_stages, command_journal, command_dump,
                                  command_key, command_dnssec, command_multisigner;
/* status, retransfer, notify, reload, approve, discard: words for a running weir. */
int command_ask(int argc, char **argv);

/* "weir CMD: message" and the usage line on stderr; returns EXIT_CANNOT. */
int command_usage(const struct command_type *type, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int command_fail(const char *name, const struct why *why);     /* "weir NAME: why"; EXIT_CANNOT */
/* Reads options from argv (from argv[1] on) and takes them out, so that argv keeps the words; argv[0] stays. An option is "-c" or
 * "--zone"; one with value == NULL is a flag. 0, or EXIT_CANNOT after saying what is wrong. (getopt's own header has a
 * struct option, and so have stages.) */
struct command_option {
    const char *name;            /* NULL ends the list */
    const char **value;
    bool *flag;
};
int command_options(const struct command_type *type, int *argc, char **argv, const struct command_option *options);
/* The path of -c, or of the environment's WEIR_CONF, or weir.conf's usual place. */
const char *command_config_path(const char *given);

/* Judging offline, for check and replay: one zone, versions in the order they come, no sockets. */
struct judge;
struct judge_report {                /* of one input */
    enum verdict verdict;
    size_t findings;
    bool unchanged;
};
struct json;
/* state: the daemon's state folder, where a zone that weir signs has its keys; they are used as they are and stay so. One that has none gets
 * some for as long as it is judged. */
int judge_new(const struct zone_conf *zone, const char *state, struct pool *pool, struct judge **out, struct why *why) MUST_CHECK;
void judge_free(struct judge **j);
struct family *judge_family(struct judge *j);
const struct version *judge_version(const struct judge *j);      /* the last that passed, or NULL; borrowed */
/* Runs the chain over an input (borrowed) and writes the verdict and findings, as text to out or into the open JSON
 * object (out NULL). What passes becomes the version the next one is compared with. */
struct judge_report judge_input(struct judge *j, const struct snapshot *input, const char *origin, time_t at, FILE *out,
                                struct json *json);

#endif
