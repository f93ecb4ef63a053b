/* shout: a stage that lives outside stages/, as somebody else's would. It refuses names that shout. */
#include "pipeline/stage.h"

#include <string.h>

struct shout_conf {
    int64_t max_capitals;
};
enum { SHOUTS };
static const struct finding_type shout_findings[] = {
    [SHOUTS] = {"shouts", STAGE_REJECT, "the name has {n0} capitals, at most {n1} are allowed",
                "Write it in small letters."},
    {NULL, STAGE_PASS, NULL, NULL},
};
static const struct option shout_options[] = {
    {.name = "max_capitals",
     .kind = OPTION_INT,
     .offset = offsetof(struct shout_conf, max_capitals),
     .fallback = "3",
     .min = 0,
     .max = 255,
     .help = "most capital letters in a name"},
    {.name = NULL},
};

static void shout_run(struct stage_run *run)
{
    const struct shout_conf *conf = run->conf;
    for (size_t i = 0; i < run->delta->n; i++) {
        const struct node *node = run->delta->change[i].now;
        int64_t capitals = 0;
        run->visited++;
        for (unsigned k = 0; node && k < node->name_len; k++)
            capitals += node_name(node)[k] >= 'A' && node_name(node)[k] <= 'Z';
        if (capitals > conf->max_capitals)
            finding_add(run->findings, SHOUTS, node_name(node), 0, capitals, conf->max_capitals,
                        NULL);
    }
}

extern const struct stage_type stage_shout;
const struct stage_type stage_shout = {.name = "shout",
                                       .summary = "refuses names that shout",
                                       .flags = STAGE_CHECK_ONLY,
                                       .conf_size = sizeof(struct shout_conf),
                                       .options = shout_options,
                                       .findings = shout_findings,
                                       .run = shout_run};
