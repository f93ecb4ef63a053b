/* config_setting: one setting of a libconfig file, read with a reason to hand.
 *
 * WHAT   What the readers of server, remotes, zones and chains share: values into option tables, words that nobody
 *        knows, and refusals that begin with FILE:LINE. Private to pipeline/run/config*.c.
 */
#ifndef WEIR_RUN_CONFIG_SETTING_H
#define WEIR_RUN_CONFIG_SETTING_H

#include "pipeline/run/option.h"

#include <libconfig.h>

typedef config_setting_t setting;    /* libconfig's, as it is */

struct source {                      /* the file being read */
    const char *path;                /* as the operator named it: for messages */
    const char *folder;              /* of it: where relative paths start */
};

/* "FILE:LINE: …"; returns -E_CONF. */
int setting_refuse(const struct source *src, const setting *s, struct why *why, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* "FILE:LINE: word = value: expected …", the word being the key, or of an element the key of its list. */
int setting_unexpected(const struct source *src, const setting *s, struct why *why, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

/* Puts the setting into its row of the table. The key must be in it. */
int setting_apply(const struct source *src, const setting *s, const struct option *table, void *conf, struct why *why)
    MUST_CHECK;
int setting_string(const struct source *src, const setting *s, const char **out, struct why *why) MUST_CHECK;
/* The setting is a list or an array whose elements are all strings / all groups. */
int setting_is_strings(const struct source *src, const setting *s, struct why *why) MUST_CHECK;
int setting_is_groups(const struct source *src, const setting *s, const char *example, struct why *why) MUST_CHECK;
int setting_is_group(const struct source *src, const setting *s, struct why *why) MUST_CHECK;
static inline unsigned setting_count(const setting *s)
{
    return (unsigned)config_setting_length(s);
}
static inline setting *setting_at(const setting *s, unsigned index)
{
    return config_setting_get_elem(s, index);
}

/* The words that may stand somewhere, for "unknown word; is X meant?". */
struct words {
    unsigned n;
    const char *word[256];
};
void words_add(struct words *words, const char *word);
void words_add_table(struct words *words, const struct option *table);
bool words_has(const struct words *words, const char *word);
const char *words_nearest(const struct words *words, const char *typed); /* NULL: none is near */
int setting_unknown(const struct source *src, const setting *s, const struct words *known, struct why *why);

/* Replaces *path by one that starts at the configuration's folder, unless it is absolute or NULL. */
void source_resolve(const struct source *src, char **path);

#endif
