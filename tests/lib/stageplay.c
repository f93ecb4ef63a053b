/* stageplay: see the header. */
#include "tests/lib/stageplay.h"

#include "pipeline/run/option.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEEP_FINDINGS = 4000 };

/* "a~b,c": the strings "a b" and "c". */
static int stageplay_set_list(const struct option *option, void *conf, char *text, struct why *why)
{
    const char *item[16];
    struct option_value value = {.kind = VALUE_LIST, .list = item};
    char *rest = NULL;
    for (char *p = text; (p = strchr(p, '~'));)
        *p = ' ';
    for (char *word = strtok_r(text, ",", &rest); word && value.n < 16;
         word = strtok_r(NULL, ",", &rest))
        item[value.n++] = word;
    return option_set(option, conf, &value, why);
}

static int stageplay_set(const struct stage_type *type, void *conf, char *word, struct why *why)
{
    char *equals = strchr(word, '=');
    if (!equals)
        return why_set(why, -E_CONF, "%s: no value", word);
    *equals = '\0';
    char *text = equals + 1;
    const struct option *option = type->options ? option_find(type->options, word) : NULL;
    if (!option)
        return why_set(why, -E_CONF, "%s has no option %s", type->name, word);
    if (option->kind == OPTION_LIST)
        return stageplay_set_list(option, conf, text, why);
    struct option_value value = {.kind = VALUE_STRING, .s = text};
    char *end;
    value.i = strtoll(text, &end, 10);
    if (*text && !*end)
        value.kind = VALUE_INT;
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
        value.kind = VALUE_BOOL;
        value.b = *text == 't';
    }
    return option_set(option, conf, &value, why);
}

int stageplay_conf(const struct stage_type *type, const uint8_t *apex, const char *options,
                   void **out, struct why *why)
{
    void *conf = type->options ? option_conf_new(type->options, type->conf_size) : NULL;
    char *words = mem_strdup(options ? options : ""), *rest = NULL;
    int rc = 0;
    for (char *word = strtok_r(words, " \n", &rest); word && rc == 0;
         word = strtok_r(NULL, " \n", &rest))
        rc = stageplay_set(type, conf, word, why);
    mem_free(&words);
    if (rc == 0 && type->conf_check)
        rc = type->conf_check(conf, apex, why);
    if (rc != 0) {
        if (conf && type->conf_close)
            type->conf_close(conf);
        if (conf)
            option_conf_free(type->options, &conf);
    }
    *out = conf;
    return rc;
}

int stageplay_open(struct stageplay *play, const struct stage_type *type, const uint8_t *apex,
                   const char *options, struct why *why)
{
    *play = (struct stageplay){.type = type, .family = family_new(apex)};
    int rc = stageplay_conf(type, apex, options, &play->conf, why);
    if (rc != 0)
        family_unref(play->family);
    return rc;
}

void stageplay_forget(struct stageplay *play)
{
    snapshot_unref(play->prev);
    snapshot_unref(play->out);
    if (play->state)
        play->type->state_free(play->state);
    play->prev = play->out = NULL;
    play->state = NULL;
}

void stageplay_resume(struct stageplay *play, const struct snapshot *prev, const uint8_t *octets,
                      size_t len)
{
    ASSERT(play->type->flags & STAGE_CHECK_ONLY);
    stageplay_forget(play);
    play->prev = snapshot_ref(prev);
    play->state = play->type->state_load(octets, len);
    ASSERT(play->state);
}

void stageplay_close(struct stageplay *play)
{
    stageplay_forget(play);
    if (play->conf && play->type->conf_close)
        play->type->conf_close(play->conf);
    if (play->conf)
        option_conf_free(play->type->options, &play->conf);
    family_unref(play->family);
}

struct stageresult stageplay_run(struct stageplay *play, const struct snapshot *next, time_t now,
                                 bool woken, struct par *par)
{
    bool changes = !(play->type->flags & STAGE_CHECK_ONLY);
    struct stageresult result = {.next = snapshot_ref(next),
                                 .findings = findings_new(KEEP_FINDINGS)};
    struct changeset *delta = changeset_between(play->prev, next);
    struct arena *arena = arena_new();
    struct edit *out = changes ? edit_open(play->family, play->out, play->out) : NULL;
    struct soa served;
    bool serves = play->out && snapshot_soa(play->out, &served);
    struct stage_run run = {.conf = play->conf,
                            .state = play->state,
                            .prev = play->prev,
                            .next = next,
                            .delta = delta,
                            .keys = play->keys,
                            .served = serves ? &served : NULL,
                            .now = now,
                            .woken = woken,
                            .scratch = arena,
                            .par = par,
                            .out = out,
                            .findings = result.findings,
                            .next_state = play->state};
    findings_stage(result.findings, play->type, NULL, false);
    play->type->run(&run);
    result.verdict = findings_stage_verdict(result.findings);
    findings_close(result.findings);
    result.state = run.next_state;
    result.wake_at = run.wake_at;
    result.good_until = run.good_until;
    result.visited = run.visited;
    if (changes) {
        struct why why;
        int rc = edit_seal(&out, &result.out, &result.changes, &why);
        ASSERT(rc == 0);
    }
    arena_free(&arena);
    changeset_unref(delta);
    return result;
}

static void stageresult_fini(struct stageresult *result)
{
    findings_unref(result->findings);
    changeset_unref(result->changes);
    *result = (struct stageresult){.verdict = STAGE_PASS};
}

/* As a restart would find it again: through octets, and what is cut short or longer is refused. */
static void *state_again(const struct stage_type *type, void *state)
{
    size_t len, len_again;
    if (!state || !type->state_save)
        return state;
    uint8_t *octets = type->state_save(state, &len), *again;
    ASSERT(!type->state_load(octets, len - 1));
    void *loaded = type->state_load(octets, len);
    ASSERT(loaded);
    again = type->state_save(loaded, &len_again);
    ASSERT(len_again == len && memcmp(octets, again, len) == 0);
    mem_free(&octets);
    mem_free(&again);
    type->state_free(state);
    return loaded;
}

void stageplay_accept(struct stageplay *play, struct stageresult *result)
{
    void *kept = result->state == play->state ? play->state : NULL;
    if (kept)
        play->state = NULL;
    stageplay_forget(play);
    play->prev = result->next;
    play->out = result->out;
    play->state = state_again(play->type, result->state);
    stageresult_fini(result);
}

void stageplay_drop(struct stageplay *play, struct stageresult *result)
{
    if (result->state && result->state != play->state)
        play->type->state_free(result->state);
    snapshot_unref(result->next);
    snapshot_unref(result->out);
    stageresult_fini(result);
}

static bool finding_among(const struct findings *findings, const struct finding *wanted)
{
    for (size_t i = 0; i < findings->n; i++) {
        const struct finding *f = &findings->list[i];
        bool same_owner = !f->owner || !wanted->owner ? f->owner == wanted->owner
                                                      : name_equal(f->owner, wanted->owner);
        if (f->type == wanted->type && same_owner && f->rrtype == wanted->rrtype)
            return true;
    }
    return false;
}

const struct finding *stageresult_found_only(const struct stageresult *part,
                                             const struct stageresult *whole)
{
    if (whole->findings->total > whole->findings->n)
        return NULL; /* not all were kept */
    for (size_t i = 0; i < part->findings->n; i++) {
        const struct finding *f = &part->findings->list[i];
        if (f->verdict != STAGE_PASS && !finding_among(whole->findings, f))
            return f;
    }
    return NULL;
}

char *stageresult_print(const struct stageresult *result)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    ASSERT(out);
    for (size_t i = 0; i < result->findings->n; i++) {
        const struct finding *finding = &result->findings->list[i];
        char *words = finding_print(finding);
        fprintf(out, "%s %s: %s\n", verdict_text(finding->verdict), finding->type->code, words);
        free(words);
    }
    if (result->findings->total > result->findings->n)
        fprintf(out, "%zu more findings\n", result->findings->total - result->findings->n);
    fclose(out);
    return text;
}
