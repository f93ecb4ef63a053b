/* Any text is a configuration or a refusal with words, never a crash, a leak or a cut-off number.
 */
#include "pipeline/run/config.h"

#include "pipeline/base/alloc.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libconfig 1.5 drops the string that it holds when the next token is a syntax error. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfig.so";
}

enum { TEXT_MAX = 16384 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > TEXT_MAX)
        return 0;
    /* A copy of its own size, so that reading past the end is seen. */
    char *exact = mem_dup(data, size);
    struct config *config = NULL;
    struct why why = {""};
    int err = config_parse(exact, size, "fuzz/t.conf", &config, &why);
    ASSERT(err == 0 || (err == -E_CONF && !config));
    ASSERT(err == 0 || strncmp(why.text, "fuzz/t.conf:", 12) == 0);
    if (!err) {
        for (size_t i = 0; i < config->nzones; i++) {
            const struct zone_conf *z = &config->zones[i];
            ASSERT(config_zone(config, z->name) == z);
            ASSERT(z->chain && (z->nprimaries != 0) != (z->file != NULL));
            ASSERT(z->max_records >= 1 && z->refresh_min_s <= z->refresh_max_s);
        }
        config_unref(config);
    }
    mem_free(&exact);
    return 0;
}
