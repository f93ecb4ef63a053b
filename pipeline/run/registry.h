/* registry: the stages that are built in (stages/stages.def, then EXTRA_STAGES). */
#ifndef WEIR_RUN_REGISTRY_H
#define WEIR_RUN_REGISTRY_H

#include "pipeline/stage.h"

struct json;

const struct stage_type *registry_find(const char *name);     /* NULL */
const struct stage_type *registry_at(unsigned index);         /* NULL past the end */
/* Index of a finding code in a stage's table, or -1. */
int registry_finding(const struct stage_type *type, const char *code);
/* `weir stages [NAME]`: summary, options with ranges and defaults, findings with default verdicts, as text or JSON.
 * Caller frees. NULL: no stage of that name. */
char *registry_describe(const char *name_or_null);
void registry_json(struct json *json);

#endif
