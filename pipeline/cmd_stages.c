/* weir stages: what chains can be made of. */
#include "pipeline/command.h"

#include "pipeline/base/json.h"
#include "pipeline/run/registry.h"

#include <stdio.h>
#include <stdlib.h>

static int stages(int argc, char **argv)
{
    bool json = false;
    const struct command_option options[] = {{"--json", NULL, &json}, {NULL, NULL, NULL}};
    int err = command_options(&command_stages, &argc, argv, options);
    if (err)
        return err;
    const char *name = argc > 1 ? argv[1] : NULL;
    if (argc > 2)
        return command_usage(&command_stages, "unexpected word \"%s\"", argv[2]);
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
