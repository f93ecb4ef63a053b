/* weir stages: what chains can be made of. */
#include "pipeline/command.h"

#include "pipeline/base/json.h"
#include "pipeline/run/registry.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static int stages(int argc, char **argv)
{
    static const struct option long_options[] = {{"json", no_argument, NULL, 'j'},
                                                 {NULL, 0, NULL, 0}};
    bool json = false;
    int c;
    while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (c != 'j')
            return command_usage(&command_stages, "that is not an option");
        json = true;
    }
    const char *name = optind < argc ? argv[optind] : NULL;
    if (optind + 1 < argc)
        return command_usage(&command_stages, "unexpected word \"%s\"", argv[optind + 1]);
    if (json) {
        struct json *j = json_new();
        registry_json(j);
        printf("%s\n", json_text(j, NULL));
        json_free(&j);
        return EXIT_YES;
    }
    char *text = registry_describe(name);
    if (!text) {
        fprintf(stderr, "weir stages: there is no stage \"%s\"\n", name);
        return EXIT_NO;
    }
    fputs(text, stdout);
    mem_free(&text);
    return EXIT_YES;
}

const struct command_type command_stages = {"stages", "[NAME] [--json]",
                                            "the stages a chain can be made of", stages};
