/* Zones and their templates.
 *
 * A zone is read from a row of up to two groups: its own and its template's. A key of its own wins
 * whole; lists and groups are not merged. Where two keys exclude each other (primaries and file,
 * mode and chain), having either of them wins over both of the template's: a zone that says chain
 * does not want its template's mode.
 *
 * Templates are read once by themselves, as if they were zones with nothing required, so that a
 * mistake in one is refused even when no zone uses it.
 */
#include "pipeline/run/config_part.h"

#include "pipeline/run/registry.h"

#include <inttypes.h>
#include <stdlib.h>

#define FIELD(field) offsetof(struct zone_conf, field)
#define DAYS(n)      ((n)*INT64_C(86400))
static const struct option zone_options[] = {
    {"max_records", OPTION_INT, FIELD(max_records), "20000000", 1, INT64_C(4294967296), NULL,
     "A transfer in with more records is refused."},
    {"max_bytes", OPTION_BYTES, FIELD(max_bytes), "4G", 1024, INT64_C(1) << 40, NULL,
     "A transfer in of more octets is refused."},
    {"max_time", OPTION_SECONDS, FIELD(max_time_s), "2h", 1, DAYS(7), NULL,
     "A transfer in that takes longer is cut."},
    {"min_rate", OPTION_BYTES, FIELD(min_rate), "1k", 0, INT64_C(1) << 30, NULL,
     "A transfer in that brings fewer octets a second, averaged over 10 s, is cut; 0 is never."},
    {"refresh_min", OPTION_SECONDS, FIELD(refresh_min_s), "2s", 1, DAYS(365), NULL,
     "The SOA's refresh is taken for no less."},
    {"refresh_max", OPTION_SECONDS, FIELD(refresh_max_s), "4w", 1, DAYS(365), NULL,
     "The SOA's refresh is taken for no more."},
    {"retry_min", OPTION_SECONDS, FIELD(retry_min_s), "1s", 1, DAYS(365), NULL,
     "The SOA's retry is taken for no less."},
    {"retry_max", OPTION_SECONDS, FIELD(retry_max_s), "2w", 1, DAYS(365), NULL,
     "The SOA's retry is taken for no more."},
    {"expire_max", OPTION_SECONDS, FIELD(expire_max_s), "0", 0, DAYS(3650), NULL,
     "The SOA's expire is taken for no more; 0 is as the SOA says."},
    {"primary_pin", OPTION_BOOL, FIELD(primary_pin), "false", 0, 0, NULL,
     "Differences are taken only from the primary that the version held came from; another one is "
     "asked for the whole zone first."},
    {"keep_findings", OPTION_INT, FIELD(keep_findings), "1000", 1, 1000000, NULL,
     "Findings of one run that are kept with their words; all are counted."},
    {"notify_retries", OPTION_INT, FIELD(notify_retries), "5", 0, 20, NULL,
     "How often a NOTIFY that is not answered is sent again."},
    {"notify_timeout", OPTION_SECONDS, FIELD(notify_timeout_s), "1m", 1, 3600, NULL,
     "Time to wait for the answer to a NOTIFY."},
    {"ixfr_history", OPTION_INT, FIELD(ixfr_history), "200", 0, 10000, NULL,
     "Differences between accepted versions that are kept for IXFR out; 0: every IXFR is answered "
     "in full."},
    {"ixfr_history_bytes", OPTION_BYTES, FIELD(ixfr_history_bytes), "64M", 0, INT64_C(1) << 40,
     NULL,
     "Memory that they may take; the oldest go first. On the wire they are never more than the "
     "zone itself."},
    {"ixfr_history_age", OPTION_SECONDS, FIELD(ixfr_history_age_s), "1w", 0, DAYS(3650), NULL,
     "Those of older versions go when the next one is accepted; 0 is never."},
    {.name = NULL},
};
static const char *const zone_words[] = {"name",  "template", "primaries",      "file",
                                         "mode",  "notify",   "allow_transfer", "allow_notify",
                                         "chain", "keys",     "signers"};

struct template
{
    const char *name;
    const setting *group;
};
struct reader {
    const struct source *src;
    struct config *config;
    struct why *why;
    struct words known; /* in a zone or template, stages of modes included */
    size_t ntemplates;
    struct template *template; /* in name order */
};
struct row {
    const setting *own, *base; /* base: the template's group, or NULL */
};

static const setting *row_get(const struct row *row, const char *word)
{
    const setting *s = config_setting_get_member(row->own, word);
    return s || !row->base ? s : config_setting_get_member(row->base, word);
}

/* One of two words that exclude each other; *out NULL: neither is there. */
static int row_either(const struct reader *r, const struct row *row, const char *a, const char *b,
                      const setting **out)
{
    const setting *groups[] = {row->own, row->base};
    *out = NULL;
    for (int i = 0; i < 2 && groups[i] && !*out; i++) {
        const setting *x = config_setting_get_member(groups[i], a);
        const setting *y = config_setting_get_member(groups[i], b);
        if (x && y)
            return setting_refuse(r->src, x->line > y->line ? x : y, r->why,
                                  "%s and %s: expected one of them, not both", a, b);
        *out = x ? x : y;
    }
    return 0;
}

static bool is_stage_word(const char *word)
{
    for (size_t i = 0; i < sizeof zone_words / sizeof *zone_words; i++)
        if (strcmp(word, zone_words[i]) == 0)
            return false;
    return preset_any_has(word) || registry_find(word);
}

/* Words that nobody knows, and the options of the table. */
static int read_options(const struct reader *r, const setting *group, struct zone_conf *z)
{
    int err = 0;
    for (unsigned i = 0; !err && i < setting_count(group); i++) {
        const setting *s = setting_at(group, i);
        if (option_find(zone_options, s->name))
            err = setting_apply(r->src, s, zone_options, z, r->why);
        else if (strcmp(s->name, "tsig") == 0)
            err = setting_refuse(r->src, s, r->why,
                                 "tsig: expected in the remotes that the zone names, and as "
                                 "\"key:NAME\" in allow_transfer and allow_notify");
        else if (!words_has(&r->known, s->name) && !is_stage_word(s->name))
            err = setting_unknown(r->src, s, &r->known, r->why);
    }
    return err;
}

static int check_order(const struct reader *r, const struct row *row, const char *min_word,
                       int64_t min, const char *max_word, int64_t max)
{
    if (min <= max)
        return 0;
    const setting *s = row_get(row, min_word);
    if (s)
        return setting_unexpected(r->src, s, r->why, "expected no more than %s (%" PRId64 " s)",
                                  max_word, max);
    return setting_unexpected(r->src, row_get(row, max_word), r->why,
                              "expected no less than %s (%" PRId64 " s)", min_word, min);
}

static int read_name(const struct reader *r, const setting *own, struct zone_conf *z)
{
    const setting *s = config_setting_get_member(own, "name");
    if (!s)
        return setting_refuse(r->src, own, r->why, "zone: expected name = \"example.com.\"");
    const char *text;
    struct why reason = {""};
    int err = setting_string(r->src, s, &text, r->why);
    if (err)
        return err;
    if (*text == '\0')
        return setting_unexpected(r->src, s, r->why, "expected a domain name");
    uint8_t name[NAME_MAX_OCTETS];
    if (name_parse(text, name, &reason) < 0)
        return setting_unexpected(r->src, s, r->why, "expected a domain name: %s", reason.text);
    char printed[NAME_TEXT_MAX];
    z->name = mem_dup(name, name_len(name));
    z->text = mem_strdup(name_print(name, printed));
    return 0;
}

static int read_file(const struct reader *r, const setting *s, struct zone_conf *z)
{
    const char *path;
    int err = setting_string(r->src, s, &path, r->why);
    if (err)
        return err;
    if (*path == '\0')
        return setting_unexpected(r->src, s, r->why, "expected a path");
    z->file = mem_strdup(path);
    source_resolve(r->src, &z->file);
    return 0;
}

/* Where the zone comes from. */
static int read_origin(const struct reader *r, const struct row *row, struct zone_conf *z)
{
    const setting *s;
    int err = row_either(r, row, "primaries", "file", &s);
    if (err || !s)
        return err;
    if (strcmp(s->name, "file") == 0)
        return read_file(r, s, z);
    err = remotes_pick(r->src, s, r->config, &z->primaries, &z->nprimaries, r->why);
    if (!err && z->nprimaries == 0)
        err = setting_unexpected(r->src, s, r->why, "expected at least one remote");
    return err;
}

static int read_acl(const struct reader *r, const setting *list, struct acl *acl)
{
    int err = setting_is_strings(r->src, list, r->why);
    if (err)
        return err;
    acl->rule = mem_array(setting_count(list), sizeof *acl->rule);
    for (unsigned i = 0; i < setting_count(list); i++) {
        const setting *s = setting_at(list, i);
        struct acl_rule *rule = &acl->rule[acl->n];
        const char *key;
        struct why reason = {""};
        if (acl_parse_rule(config_setting_get_string(s), rule, &key, &reason))
            return setting_unexpected(r->src, s, r->why, "%s", reason.text);
        err = key ? keys_pick(r->src, s, r->config, key, &rule->key, r->why) : 0;
        if (err)
            return err;
        acl->n++;
    }
    return 0;
}

static int read_peers(const struct reader *r, const struct row *row, struct zone_conf *z)
{
    const setting *s;
    int err = 0;
    if ((s = row_get(row, "notify")))
        err = remotes_pick(r->src, s, r->config, &z->notify, &z->nnotify, r->why);
    if (!err && (s = row_get(row, "allow_transfer")))
        err = read_acl(r, s, &z->allow_transfer);
    if (!err && (s = row_get(row, "allow_notify")))
        err = read_acl(r, s, &z->allow_notify);
    return err;
}

static int refuse_changing(const struct reader *r, const setting *s, const char *stage,
                           const struct preset *preset)
{
    return setting_refuse(r->src, s, r->why,
                          "%s: a %s zone is served as it was signed, and %s changes records; "
                          "expected no such stage",
                          stage, preset_name(preset), stage);
}

static bool changes_records(const char *stage)
{
    const struct stage_type *type = registry_find(stage);
    return type && !(type->flags & (STAGE_CHECK_ONLY | STAGE_KEY_SETS_ONLY));
}

/* Mode and chain exclude each other. But who adds a stage to a mode that keeps the records as they are is told what is
 * wrong with the stage, if that is so. */
static int check_kept(const struct reader *r, const setting *group)
{
    const setting *mode = config_setting_get_member(group, "mode");
    const setting *chain = config_setting_get_member(group, "chain");
    const struct preset *preset;
    struct why unused;
    if (!mode || !chain || preset_find(r->src, mode, &preset, &unused) ||
        !preset_keeps_records(preset))
        return 0;
    for (unsigned i = 0; i < setting_count(chain); i++) {
        const setting *row = setting_at(chain, i);
        const char *stage;
        if (config_setting_type(row) == CONFIG_TYPE_GROUP &&
            config_setting_lookup_string(row, "stage", &stage) && changes_records(stage))
            return refuse_changing(r, config_setting_get_member(row, "stage"), stage, preset);
    }
    return 0;
}

/* Groups that are named after a stage go with a mode that has the stage, and with nothing else.
 * preset NULL: a chain. */
static int check_stage_groups(const struct reader *r, const setting *group,
                              const struct preset *preset)
{
    for (unsigned i = 0; i < setting_count(group); i++) {
        const setting *s = setting_at(group, i);
        if (!is_stage_word(s->name) || (preset && preset_has(preset, s->name)))
            continue;
        if (!preset)
            return setting_refuse(r->src, s, r->why,
                                  "%s: expected in the chain: { stage = \"%s\"; ... }", s->name,
                                  s->name);
        if (preset_keeps_records(preset) && changes_records(s->name))
            return refuse_changing(r, s, s->name, preset);
        return setting_refuse(r->src, s, r->why, "%s: mode %s has no such stage", s->name,
                              preset_name(preset));
    }
    return 0;
}

static const setting *find_stage_options(const void *ctx, const char *stage)
{
    return row_get(ctx, stage);
}

static int read_chain(const struct reader *r, const struct row *row, const uint8_t *apex,
                      struct zone_conf *z)
{
    const setting *s = NULL;
    int err = check_kept(r, row->own);
    if (!err)
        err = row_either(r, row, "mode", "chain", &s);
    if (err || !s)
        return err;
    const struct preset *preset = NULL;
    if (strcmp(s->name, "mode") == 0)
        err = preset_find(r->src, s, &preset, r->why);
    if (!err)
        err = check_stage_groups(r, row->own, preset);
    /* A zone with a mode or chain of its own leaves its template's, options and all. */
    if (!err && row->base && s->parent == row->base)
        err = check_stage_groups(r, row->base, preset);
    if (err)
        return err;
    size_t keep = (size_t)z->keep_findings;
    if (!preset)
        return chain_read(r->src, s, apex, keep, &z->chain, r->why);
    z->mode = mem_strdup(preset_name(preset));
    struct stage_options options = {
        .find = find_stage_options,
        .ctx = row,
        .ksk_elsewhere = ksk_is_elsewhere(row_get(row, "keys")),
        .rekeys = ksk_has_file(config_setting_get_member(row->own, "keys")),
    };
    return preset_read(r->src, s, preset, options, apex, keep, &z->chain, r->why);
}

static void chain_look(struct zone_conf *z)
{
    for (unsigned i = 0; z->chain && i < z->chain->n; i++) {
        z->signs = z->signs || z->chain->stage[i].type->keys_used;
        z->shared = z->shared || strcmp(z->chain->stage[i].type->name, "multisigner") == 0;
        z->rekeys = z->rekeys || strcmp(z->chain->stage[i].type->name, "rekey") == 0;
    }
}

/* Other signers are for a chain that takes their keys. A template may name them for those of its zones that have one. */
static int read_signers(const struct reader *r, const struct row *row, struct zone_conf *z)
{
    const setting *s = row_get(row, "signers");
    if (!s)
        return 0;
    bool takes = !z->chain || (z->shared && z->signs);
    if (!takes && s->parent == row->own)
        return setting_refuse(r->src, s, r->why,
                              "signers: expected a chain with the stages multisigner and sign, "
                              "such as mode = \"multi-signer\"");
    int err = signers_read(r->src, s, r->config, z, r->why);
    if (!err && !takes)
        signers_clear(z);
    return err;
}

/* Is there one that cannot be seen to have taken a key of ours? */
static bool by_hand(const struct zone_conf *z)
{
    for (unsigned i = 0; i < z->nsigners; i++)
        if (z->signers[i].nservers == 0)
            return true;
    return z->shared && z->nsigners == 0;
}

/* Keys are for a chain that signs. A template may have them for those of its zones that do. */
static int read_keys(const struct reader *r, const struct row *row, struct zone_conf *z)
{
    const setting *s = row_get(row, "keys");
    const setting *rekey = config_setting_get_member(row->own, "rekey");
    zone_keys_defaults(z, by_hand(z));
    if (z->chain && (rekey || z->rekeys) && !(z->rekeys && ksk_has_file(s)))
        return setting_refuse(r->src,
                              rekey ? rekey
                              : s   ? s
                                    : row->own,
                              r->why,
                              "rekey: expected keys = { offline_ksk = \"FILE\"; }, which has the "
                              "DNSKEY sets that take the place of the owner's");
    if (!s)
        return 0;
    /* One that is signed elsewhere may have keys that are to sign it one day. */
    bool own = s->parent == row->own, with_keys = z->signs || z->rekeys;
    z->prepares = own && z->chain && !with_keys && z->mode && !strcmp(z->mode, "pre-signed");
    if (z->chain && own && !with_keys && !z->prepares)
        return setting_refuse(r->src, s, r->why,
                              "keys: expected a chain that signs, such as mode = \"live\", or mode "
                              "= \"pre-signed\", for a zone that is to be signed here later, or "
                              "whose DNSKEY sets offline_ksk has");
    int err = zone_keys_read(r->src, s, r->config, z, r->why);
    if (!err && z->mode && z->shared && z->keys.policy.offline_ksk)
        err = ksk_check_include(r->src, row_get(row, "multisigner"), r->why);
    return err;
}

/* apex NULL: a template, of which nothing is required. */
static int read_row(const struct reader *r, const struct row *row, const uint8_t *apex,
                    struct zone_conf *z)
{
    int err = row->base ? read_options(r, row->base, z) : 0;
    if (!err)
        err = read_options(r, row->own, z);
    if (!err)
        err = check_order(r, row, "refresh_min", z->refresh_min_s, "refresh_max", z->refresh_max_s);
    if (!err)
        err = check_order(r, row, "retry_min", z->retry_min_s, "retry_max", z->retry_max_s);
    if (!err)
        err = read_origin(r, row, z);
    if (!err)
        err = read_peers(r, row, z);
    if (!err)
        err = read_chain(r, row, apex, z);
    chain_look(z);
    if (!err)
        err = read_signers(r, row, z);
    if (!err)
        err = read_keys(r, row, z);
    return err;
}

static int check_whole(const struct reader *r, const setting *own, const struct zone_conf *z)
{
    if (!z->nprimaries && !z->file)
        return setting_refuse(r->src, own, r->why,
                              "zone %s: expected primaries = (\"REMOTE\", ...) or "
                              "file = \"PATH\"",
                              z->text);
    if (!z->chain)
        return setting_refuse(r->src, own, r->why,
                              "zone %s: expected mode = \"pre-signed\" (or another mode) or "
                              "chain = ( ... ); chain = () serves the zone as it comes",
                              z->text);
    return 0;
}

static void zone_clear(struct zone_conf *z)
{
    mem_free(&z->name);
    mem_free(&z->text);
    option_clear(zone_options, z);
    mem_free(&z->primaries);
    mem_free(&z->notify);
    mem_free(&z->parent);
    mem_free(&z->file);
    mem_free(&z->mode);
    acl_clear(&z->allow_transfer);
    acl_clear(&z->allow_notify);
    chain_unref(z->chain);
    z->chain = NULL;
    zone_keys_clear(&z->keys);
    signers_clear(z);
}

static int template_cmp(const void *a, const void *b)
{
    const struct template *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int refuse_template(const struct reader *r, const setting *s)
{
    struct words names = {0};
    for (size_t i = 0; i < r->ntemplates && i < 200; i++)
        words_add(&names, r->template[i].name);
    const char *near = words_nearest(&names, config_setting_get_string(s));
    if (near)
        return setting_unexpected(r->src, s, r->why,
                                  "expected the name of a template; is \"%s\" meant?", near);
    return setting_unexpected(r->src, s, r->why, "expected the name of a template");
}

static int find_base(const struct reader *r, const setting *own, const setting **base)
{
    *base = NULL;
    const setting *s = config_setting_get_member(own, "template");
    if (!s)
        return 0;
    struct template key = {.group = NULL};
    int err = setting_string(r->src, s, &key.name, r->why);
    if (err)
        return err;
    const struct template *t = NULL;
    if (r->ntemplates)
        t = bsearch(&key, r->template, r->ntemplates, sizeof *r->template, template_cmp);
    if (!t)
        return refuse_template(r, s);
    *base = t->group;
    return 0;
}

static int read_template(const struct reader *r, const setting *group, struct template *out)
{
    const setting *name = config_setting_get_member(group, "name");
    const setting *nested = config_setting_get_member(group, "template");
    if (!name)
        return setting_refuse(r->src, group, r->why, "template: expected name = \"NAME\"");
    if (nested)
        return setting_unexpected(r->src, nested, r->why, "templates do not nest");
    *out = (struct template){.group = group};
    int err = setting_string(r->src, name, &out->name, r->why);
    if (err)
        return err;
    struct zone_conf *scratch = mem_zalloc(sizeof *scratch);
    option_defaults(zone_options, scratch, sizeof *scratch);
    err = read_row(r, &(struct row){group, NULL}, NULL, scratch);
    zone_clear(scratch);
    mem_free(&scratch);
    return err;
}

static int read_templates(struct reader *r, const setting *list)
{
    int err = setting_is_groups(r->src, list, "{ name = \"NAME\"; ... }", r->why);
    if (err)
        return err;
    unsigned n = setting_count(list);
    r->template = mem_array(n + 1, sizeof *r->template);
    for (unsigned i = 0; !err && i < n; i++)
        err = read_template(r, setting_at(list, i), &r->template[i]);
    if (err)
        return err;
    r->ntemplates = n;
    qsort(r->template, n, sizeof *r->template, template_cmp);
    for (unsigned i = 1; i < n; i++) {
        const struct template *a = &r->template[i - 1], *b = &r->template[i];
        if (strcmp(a->name, b->name) == 0) {
            const setting *later = a->group->line > b->group->line ? a->group : b->group;
            return setting_unexpected(r->src, config_setting_get_member(later, "name"), r->why,
                                      "expected each template once");
        }
    }
    return 0;
}

static int read_zone(const struct reader *r, const setting *own, struct zone_conf *z)
{
    struct row row = {.own = own};
    option_defaults(zone_options, z, sizeof *z);
    int err = find_base(r, own, &row.base);
    if (!err)
        err = read_name(r, own, z);
    if (!err)
        err = read_row(r, &row, z->name, z);
    return err ? err : check_whole(r, own, z);
}

struct placed {
    const struct zone_conf *zone;
    unsigned index; /* in the file */
};

static int placed_cmp(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    int order = name_cmp(x->zone->name, y->zone->name);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

/* Moves the zones, which are large, once. */
static int sort_zones(const struct reader *r, const setting *list)
{
    struct config *c = r->config;
    struct placed *order = mem_array(c->nzones + 1, sizeof *order);
    for (unsigned i = 0; i < c->nzones; i++)
        order[i] = (struct placed){&c->zones[i], i};
    qsort(order, c->nzones, sizeof *order, placed_cmp);
    int err = 0;
    for (size_t i = 1; !err && i < c->nzones; i++)
        if (name_equal(order[i - 1].zone->name, order[i].zone->name)) {
            const setting *first = setting_at(list, order[i - 1].index);
            const setting *again = setting_at(list, order[i].index);
            err = setting_unexpected(r->src, config_setting_get_member(again, "name"), r->why,
                                     "expected each zone once; it is in line %u already",
                                     config_setting_source_line(first));
        }
    if (!err && c->nzones) {
        struct zone_conf *sorted = mem_array(c->nzones, sizeof *sorted);
        for (size_t i = 0; i < c->nzones; i++)
            sorted[i] = *order[i].zone;
        mem_free(&c->zones);
        c->zones = sorted;
    }
    mem_free(&order);
    return err;
}

static int read_zones(struct reader *r, const setting *list)
{
    int err = setting_is_groups(r->src, list, "{ name = \"example.com.\"; ... }", r->why);
    if (err)
        return err;
    unsigned n = setting_count(list);
    r->config->zones = mem_array(n + 1, sizeof *r->config->zones);
    for (unsigned i = 0; i < n; i++) {
        r->config->nzones++;
        err = read_zone(r, setting_at(list, i), &r->config->zones[i]);
        if (err)
            return err;
    }
    return sort_zones(r, list);
}

int zones_read(const struct source *src, const setting *zones, const setting *templates,
               struct config *config, struct why *why)
{
    struct reader r = {.src = src, .config = config, .why = why};
    for (size_t i = 0; i < sizeof zone_words / sizeof *zone_words; i++)
        words_add(&r.known, zone_words[i]);
    words_add_table(&r.known, zone_options);
    int err = templates ? read_templates(&r, templates) : 0;
    if (!err && zones)
        err = read_zones(&r, zones);
    mem_free(&r.template);
    return err;
}

void zones_clear(struct config *config)
{
    for (size_t i = 0; i < config->nzones; i++)
        zone_clear(&config->zones[i]);
    mem_free(&config->zones);
    config->nzones = 0;
}
