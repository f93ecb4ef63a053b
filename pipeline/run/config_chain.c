/* Chains: rows of stages with their options, and modes, which are chains that come ready-made.
 *
 * A stage's row in the file holds its options beside three words of the chain itself: `stage`
 * (which one), `observe` and `on`. For a stage of a mode the same group, without `stage`, is named
 * after it.
 */
#include "pipeline/run/config_part.h"

#include "pipeline/run/registry.h"

struct preset_stage {
    const char *stage;
    const char *switched_on;   /* an option that the mode turns on, or NULL */
    const char *option, *word; /* an option that has another default in this mode, or NULL */
    const char *elsewhere;     /* one that it turns on when the KSK is elsewhere, or NULL */
    bool rekeys;               /* it is there only if the zone names a file of DNSKEY sets */
};
enum { PRESET_MAX = 4 };
struct preset {
    const char *name;
    bool keeps_records;
    struct preset_stage stage[PRESET_MAX + 1];
};
static const struct preset presets[] = {
    {"pre-signed", true, {{.stage = "rekey", .rekeys = true}, {.stage = "validate"}}},
    /* What sign makes is judged before anybody sees it, whatever kind of denial it was asked for. */
    {"live",
     false,
     {{.stage = "strip"},
      {.stage = "sign"},
      {.stage = "validate", .option = "denial", .word = "any"}}},
    {"multi-signer",
     false,
     {{.stage = "strip", .switched_on = "keep_apex_dnskey", .elsewhere = "keep_key_sets"},
      {.stage = "multisigner"},
      {.stage = "sign"},
      {.stage = "validate", .option = "denial", .word = "any"}}},
    {.name = NULL},
};

static int read_observe(const struct source *src, const setting *s, bool *out, struct why *why)
{
    if (config_setting_type(s) != CONFIG_TYPE_BOOL)
        return setting_unexpected(src, s, why, "expected true or false");
    *out = config_setting_get_bool(s);
    return 0;
}

static unsigned count_findings(const struct stage_type *type)
{
    unsigned n = 0;
    while (type->findings && type->findings[n].code)
        n++;
    return n;
}

static int refuse_code(const struct source *src, const setting *s, const struct stage_type *type,
                       struct why *why)
{
    struct words codes = {0};
    for (unsigned i = 0; i < count_findings(type); i++)
        words_add(&codes, type->findings[i].code);
    const char *near = words_nearest(&codes, s->name);
    if (near)
        return setting_refuse(src, s, why, "%s: stage %s has no such finding; is %s meant?",
                              s->name, type->name, near);
    return setting_refuse(src, s, why,
                          "%s: stage %s has no such finding; `weir stages %s` lists them", s->name,
                          type->name, type->name);
}

/* on = { rrsig-expired = "hold"; } */
static int read_policy(const struct source *src, const setting *group,
                       const struct stage_type *type, enum verdict **out, struct why *why)
{
    int err = setting_is_group(src, group, why);
    if (err)
        return err;
    unsigned n = count_findings(type);
    if (!*out)
        *out = mem_array(n + 1, sizeof **out);
    for (unsigned i = 0; i < n; i++)
        (*out)[i] = type->findings[i].verdict;
    for (unsigned i = 0; i < setting_count(group); i++) {
        const setting *s = setting_at(group, i);
        int code = registry_finding(type, s->name);
        if (code < 0)
            return refuse_code(src, s, type, why);
        if (config_setting_type(s) != CONFIG_TYPE_STRING ||
            verdict_parse(config_setting_get_string(s), &(*out)[code]))
            return setting_unexpected(src, s, why,
                                      "expected one of \"note\", \"hold\", \"retry\", \"reject\"");
    }
    return 0;
}

static int read_word(const struct source *src, const setting *s, const struct stage_type *type,
                     struct chain_stage *out, struct why *why)
{
    if (strcmp(s->name, "observe") == 0)
        return read_observe(src, s, &out->observe, why);
    if (strcmp(s->name, "on") == 0)
        return read_policy(src, s, type, &out->verdicts, why);
    if (option_find(type->options, s->name))
        return setting_apply(src, s, type->options, out->conf, why);
    struct words known = {0};
    words_add_table(&known, type->options);
    words_add(&known, "observe");
    words_add(&known, "on");
    return setting_unknown(src, s, &known, why);
}

static void stage_begin(const struct stage_type *type, struct chain_stage *out)
{
    out->type = type;
    if (type->conf_size)
        out->conf = option_conf_new(type->options, type->conf_size);
}

/* `at` is where to point when the stage refuses the whole of its options. */
static int stage_finish(const struct source *src, const setting *at, const uint8_t *apex,
                        struct chain_stage *stage, struct why *why)
{
    struct why reason = {""};
    if (!apex || !stage->type->conf_check || !stage->type->conf_check(stage->conf, apex, &reason))
        return 0;
    return setting_refuse(src, at, why, "stage %s: %s", stage->type->name, reason.text);
}

/* The group's words, `stage` left out. */
static int stage_read(const struct source *src, const setting *group, struct chain_stage *out,
                      bool named, struct why *why)
{
    int err = 0;
    for (unsigned i = 0; !err && i < setting_count(group); i++) {
        const setting *s = setting_at(group, i);
        if (!(named && strcmp(s->name, "stage") == 0))
            err = read_word(src, s, out->type, out, why);
    }
    return err;
}

static int refuse_stage(const struct source *src, const setting *s, struct why *why)
{
    struct words known = {0};
    const struct stage_type *t;
    for (unsigned i = 0; (t = registry_at(i)); i++)
        if (!(t->flags & STAGE_TEST))
            words_add(&known, t->name);
    const char *near = words_nearest(&known, config_setting_get_string(s));
    if (near)
        return setting_unexpected(src, s, why, "no such stage is built in; is \"%s\" meant?", near);
    return setting_unexpected(src, s, why, "no such stage is built in; `weir stages` lists them");
}

static int find_stage(const struct source *src, const setting *group, const struct stage_type **out,
                      struct why *why)
{
    const setting *s = config_setting_get_member(group, "stage");
    if (!s)
        return setting_refuse(src, group, why, "chain: expected { stage = \"NAME\"; ... }");
    const char *name;
    int err = setting_string(src, s, &name, why);
    if (!err && !(*out = registry_find(name)))
        err = refuse_stage(src, s, why);
    return err;
}

int chain_read(const struct source *src, const setting *list, const uint8_t *apex,
               size_t keep_findings, struct chain **out, struct why *why)
{
    int err = setting_is_groups(src, list, "{ stage = \"NAME\"; ... }", why);
    if (err)
        return err;
    if (setting_count(list) > CHAIN_STAGES_MAX)
        return setting_unexpected(src, list, why, "expected at most %d stages", CHAIN_STAGES_MAX);
    unsigned changing = 0;
    /* Counted up as rows are begun, so that what a refusal leaves behind can be released. */
    struct chain *chain = chain_new(setting_count(list), keep_findings);
    chain->n = 0;
    for (unsigned i = 0; !err && i < setting_count(list); i++) {
        const setting *group = setting_at(list, i);
        struct chain_stage *stage = &chain->stage[i];
        const struct stage_type *type;
        err = find_stage(src, group, &type, why);
        if (err)
            break;
        stage_begin(type, stage);
        chain->n++;
        err = stage_read(src, group, stage, true, why);
        if (!err)
            err = stage_finish(src, group, apex, stage, why);
        changing += !(type->flags & STAGE_CHECK_ONLY);
        if (!err && changing > CHAIN_CHANGING_MAX)
            err = setting_unexpected(src, group, why,
                                     "expected at most %d stages that change records",
                                     CHAIN_CHANGING_MAX);
    }
    if (err) {
        chain_unref(chain);
        return err;
    }
    *out = chain;
    return 0;
}

int preset_find(const struct source *src, const setting *mode, const struct preset **out,
                struct why *why)
{
    if (config_setting_type(mode) == CONFIG_TYPE_STRING)
        for (const struct preset *p = presets; p->name; p++)
            if (strcmp(p->name, config_setting_get_string(mode)) == 0) {
                *out = p;
                return 0;
            }
    return setting_unexpected(src, mode, why,
                              "expected one of \"pre-signed\", \"live\", \"multi-signer\"");
}

const char *preset_name(const struct preset *preset)
{
    return preset->name;
}

bool preset_keeps_records(const struct preset *preset)
{
    return preset->keeps_records;
}

bool preset_has(const struct preset *preset, const char *stage)
{
    for (const struct preset_stage *s = preset->stage; s->stage; s++)
        if (strcmp(s->stage, stage) == 0)
            return true;
    return false;
}

bool preset_any_has(const char *stage)
{
    for (const struct preset *p = presets; p->name; p++)
        if (preset_has(p, stage))
            return true;
    return false;
}

static void switch_on(struct chain_stage *stage, const char *name)
{
    const struct option *o = option_find(stage->type->options, name);
    ASSERT(o);
    struct option_value yes = {.kind = VALUE_BOOL, .b = true};
    int bad = option_set(o, stage->conf, &yes, NULL);
    ASSERT(!bad);
}

static void set_default(struct chain_stage *stage, const char *name, const char *word)
{
    const struct option *o = option_find(stage->type->options, name);
    ASSERT(o);
    struct option_value value = {.kind = VALUE_STRING, .s = word};
    int bad = option_set(o, stage->conf, &value, NULL);
    ASSERT(!bad);
}

static int preset_stage_read(const struct source *src, const setting *mode,
                             const struct preset_stage *row, struct stage_options options,
                             const uint8_t *apex, struct chain_stage *stage, struct why *why)
{
    const setting *group = options.find(options.ctx, row->stage), *s = NULL;
    int err = 0;
    if (group)
        err = setting_is_group(src, group, why);
    if (row->switched_on)
        switch_on(stage, row->switched_on);
    if (row->elsewhere && options.ksk_elsewhere)
        switch_on(stage, row->elsewhere);
    if (row->option)
        set_default(stage, row->option, row->word);
    if (row->switched_on && group && !err)
        s = config_setting_get_member(group, row->switched_on);
    if (s)
        return setting_unexpected(src, s, why, "expected no such word; the mode sets it to true");
    if (row->elsewhere && group && !err)
        s = config_setting_get_member(group, row->elsewhere);
    if (s)
        return setting_unexpected(src, s, why, "expected no such word; keys.ksk says it");
    if (group && !err)
        err = stage_read(src, group, stage, false, why);
    return err ? err : stage_finish(src, group ? group : mode, apex, stage, why);
}

int preset_read(const struct source *src, const setting *mode, const struct preset *preset,
                struct stage_options options, const uint8_t *apex, size_t keep_findings,
                struct chain **out, struct why *why)
{
    struct chain *chain = chain_new(PRESET_MAX, keep_findings);
    chain->n = 0;
    int err = 0;
    for (const struct preset_stage *row = preset->stage; !err && row->stage; row++) {
        const struct stage_type *type = registry_find(row->stage);
        if (row->rekeys && !options.rekeys)
            continue;
        if (!type) {
            err = setting_unexpected(src, mode, why,
                                     "it needs the stage %s, which is not built into this weir",
                                     row->stage);
            break;
        }
        struct chain_stage *stage = &chain->stage[chain->n++];
        stage_begin(type, stage);
        err = preset_stage_read(src, mode, row, options, apex, stage, why);
    }
    if (err) {
        chain_unref(chain);
        return err;
    }
    /* What makes a mode "pre-signed" is that not one octet is changed, but for a DNSKEY set that the operator gives. */
    for (unsigned i = 0; preset->keeps_records && i < chain->n; i++)
        ASSERT(chain->stage[i].type->flags & (STAGE_CHECK_ONLY | STAGE_KEY_SETS_ONLY));
    *out = chain;
    return 0;
}
