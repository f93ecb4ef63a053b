/* null: a stage that does nothing, to read and to copy.
 *
 * It looks at no record, finds nothing and keeps no state, so every version passes as it came. In a
 * chain it costs O(1), which makes it the yardstick of what the core itself costs (`make bench`).
 * Copy this file to begin a stage: stages/README.md says what to add, in the order in which one
 * needs it.
 */
#include "pipeline/stage.h"

static void null_run(struct stage_run *run)
{
    (void)run;
}

const struct stage_type stage_null = {
    .name = "null",
    .summary = "passes every version as it came",
    .flags = STAGE_CHECK_ONLY,
    .run = null_run,
};
