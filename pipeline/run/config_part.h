/* config_part: the parts of a configuration file, each read by its own .c. Private to pipeline/run/config*.c.
 *
 * WHAT   Readers get a setting, fill their part of struct config, and refuse with FILE:LINE and words. What they have
 *        filled is released by config_unref, also when they refuse half way.
 */
#ifndef WEIR_RUN_CONFIG_PART_H
#define WEIR_RUN_CONFIG_PART_H

#include "pipeline/run/config.h"
#include "pipeline/run/config_setting.h"

/* config_server.c */
int server_conf_read(const struct source *src, const setting *group, struct server_conf *out, struct why *why) MUST_CHECK;
void server_conf_clear(struct server_conf *server);

/* config_tsig.c */
int keys_read(const struct source *src, const setting *list, struct config *config, struct why *why) MUST_CHECK;
void keys_clear(struct server_conf *server);
/* The key of that name, a reference. s is the setting that says it. */
int keys_pick(const struct source *src, const setting *s, const struct config *config, const char *text, struct tsig_key **out,
              struct why *why) MUST_CHECK;

/* config_remote.c: remotes are kept in name order. */
int remotes_read(const struct source *src, const setting *list, struct config *config, struct why *why) MUST_CHECK;
void remotes_clear(struct config *config);
/* A list of names of remotes, each at most once. */
int remotes_pick(const struct source *src, const setting *names, const struct config *config,
                 const struct remote_conf ***out, size_t *n, struct why *why) MUST_CHECK;

/* config_signers.c. Of the setting `signers`. */
int signers_read(const struct source *src, const setting *list, const struct config *config, struct zone_conf *z,
                 struct why *why) MUST_CHECK;
void signers_clear(struct zone_conf *z);

/* config_keys.c. Defaults go first, into zeroed fields. by_hand: it has signers to whom somebody has to carry our keys. */
void zone_keys_defaults(struct zone_conf *z, bool by_hand);
int zone_keys_read(const struct source *src, const setting *group, const struct config *config, struct zone_conf *z,
                   struct why *why) MUST_CHECK;
void zone_keys_clear(struct keys_conf *keys);

/* config_ksk.c. group: the zone's `keys`, or NULL. */
bool ksk_is_elsewhere(const setting *group);
bool ksk_has_file(const setting *group);
/* What such a zone cannot have, or lacks. */
int ksk_check(const struct source *src, const setting *group, const struct zone_conf *z, struct why *why) MUST_CHECK;
/* multisigner: the options of the stage in the mode of such a zone, or NULL. */
int ksk_check_include(const struct source *src, const setting *multisigner, struct why *why) MUST_CHECK;

/* config_zone.c. Either list may be NULL. Zones are kept in name order. */
int zones_read(const struct source *src, const setting *zones, const setting *templates, struct config *config,
               struct why *why) MUST_CHECK;
void zones_clear(struct config *config);

/* config_chain.c. apex NULL: nobody's chain yet (a template's): conf_check is not asked. */
int chain_read(const struct source *src, const setting *list, const uint8_t *apex, size_t keep_findings,
               struct chain **out, struct why *why) MUST_CHECK;

/* A mode is a preset chain. `options` finds the group of options for a stage of the preset, or NULL. */
struct preset;
struct stage_options {
    const setting *(*find)(const void *ctx, const char *stage);
    const void *ctx;
    bool ksk_elsewhere;                  /* the zone's KSK is: its holder's sets are kept as they come */
    bool rekeys;                         /* the zone itself names a file of such sets, for whoever signs it */
};
/* mode is the setting whose value is the word. */
int preset_find(const struct source *src, const setting *mode, const struct preset **out, struct why *why) MUST_CHECK;
const char *preset_name(const struct preset *preset);
bool preset_has(const struct preset *preset, const char *stage);
bool preset_keeps_records(const struct preset *preset);       /* the zone is served as it came, but for a DNSKEY set that is given, or not at all */
bool preset_any_has(const char *stage);                        /* a stage of any mode, built in or not */
int preset_read(const struct source *src, const setting *mode, const struct preset *preset, struct stage_options options,
                const uint8_t *apex, size_t keep_findings, struct chain **out, struct why *why) MUST_CHECK;

#endif
