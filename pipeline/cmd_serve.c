/* weir serve: the daemon, in the foreground. */
#include "pipeline/command.h"

#include "pipeline/base/log.h"
#include "pipeline/net/server.h"

#include <unistd.h>

static int serve(int argc, char **argv)
{
    const char *path = NULL;
    const struct command_option options[] = {{"-c", &path, NULL}, {NULL, NULL, NULL}};
    int err = command_options(&command_serve, &argc, argv, options);
    if (err)
        return err;
    if (argc > 1)
        return command_usage(&command_serve, "unexpected word \"%s\"", argv[1]);

    struct why why;
    struct config *config;
    if (config_load(command_config_path(path), &config, &why))
        return command_fail("serve", &why);
    log_open((enum log_level)config->server.log_level, STDERR_FILENO);
    struct server *server;
    err = server_start(&server, config, &why);
    config_unref(config);
    if (err)
        return command_fail("serve", &why);
    server_run(server);
    server_stop(&server);
    log_notice("weir has stopped");
    return EXIT_YES;
}

const struct command_type command_serve = {"serve", "[-c FILE]", "run the daemon in the foreground",
                                           serve};
