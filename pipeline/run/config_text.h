/* config_text: an operator's text, made safe for libconfig. Private to pipeline/run/config*.c. */
#ifndef WEIR_RUN_CONFIG_TEXT_H
#define WEIR_RUN_CONFIG_TEXT_H

#include "pipeline/base/errors.h"

#include <stddef.h>

/* The text for config_read_string(), same lines; the caller frees. -E_CONF: "PATH:LINE: …". */
int config_text_prepare(const char *text, size_t len, const char *path, char **out, struct why *why) MUST_CHECK;

#endif
