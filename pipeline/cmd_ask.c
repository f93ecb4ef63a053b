/* weir status, retransfer, reload …: words for a running weir, over its control socket. */
#include "pipeline/command.h"

#include "pipeline/net/control.h"

#include <stdio.h>
#include <string.h>

int command_ask(int argc, char **argv)
{
    const char *path = NULL;
    struct why why;
    /* -c is ours, all other words are the server's to judge. */
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-c") != 0)
            continue;
        if (i + 1 == argc) {
            fprintf(stderr, "weir %s: -c needs a file\n", argv[0]);
            return EXIT_CANNOT;
        }
        path = argv[i + 1];
        memmove(&argv[i], &argv[i + 2], (size_t)(argc - i - 1) * sizeof argv[0]);
        argc -= 2;
        break;
    }
    struct config *config;
    /* The zones of the file may be wrong: then `weir reload` is for the running weir to refuse, and
     * `weir status` must still work. */
    if (config_load_server(command_config_path(path), &config, &why))
        return command_fail(argv[0], &why);
    int code;
    if (!config->server.control)
        code = why_set(&why, -E_CONF, "%s has no server.control: there is no socket to ask",
                       config->path);
    else
        code = control_ask(config->server.control, argc, argv, stdout, &why);
    config_unref(config);
    if (code < 0)
        return command_fail(argv[0], &why);
    return code;
}
