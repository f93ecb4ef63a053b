/* The stages that this weir is built with, found by name and described from their tables: what
 * `weir stages` says is what the configuration accepts, since both read the same rows.
 */
#include "pipeline/run/registry.h"

#include "pipeline/base/json.h"
#include "pipeline/run/finding.h"
#include "pipeline/run/option.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define STAGE(symbol) extern const struct stage_type stage_##symbol;
#include "stages/stages.def"
#include "extra_stages.def"
#undef STAGE

static const struct stage_type *const registry[] = {
#define STAGE(symbol) &stage_##symbol,
#include "stages/stages.def"
#include "extra_stages.def"
#undef STAGE
    NULL,
};

const struct stage_type *registry_find(const char *name)
{
    for (const struct stage_type *const *t = registry; *t; t++)
        if (strcmp((*t)->name, name) == 0)
            return *t;
    return NULL;
}

const struct stage_type *registry_at(unsigned index)
{
    return index < sizeof registry / sizeof *registry ? registry[index] : NULL;
}

int registry_finding(const struct stage_type *type, const char *code)
{
    for (int i = 0; type->findings && type->findings[i].code; i++)
        if (strcmp(type->findings[i].code, code) == 0)
            return i;
    return -1;
}

/* "note" is what an operator reads for a finding that changes nothing; "pass" is a chain's word. */
static const char *finding_verdict_text(enum verdict v)
{
    return v == STAGE_PASS ? "note" : verdict_text(v);
}

enum { HELP_WIDTH = 88, HELP_INDENT = 6 };

/* Breaks a sentence at blanks. */
static void print_help(FILE *out, const char *text)
{
    while (*text) {
        size_t n = strlen(text);
        if (n > HELP_WIDTH) {
            for (n = HELP_WIDTH; n > 1 && text[n] != ' ';)
                n--;
            if (n == 1)
                n = strcspn(text, " ");
        }
        fprintf(out, "%*s%.*s\n", HELP_INDENT, "", (int)n, text);
        text += n;
        text += strspn(text, " ");
    }
}

static void describe_kind(FILE *out, const struct stage_type *t)
{
    if (t->flags & STAGE_CHECK_ONLY)
        fputs("  Checks only: what comes in is what goes out.\n", out);
    else
        fputs("  May change records.\n", out);
    if (t->flags & STAGE_WHOLE_ZONE)
        fputs("  Looks at the whole zone at every change.\n", out);
}

static void describe_one(FILE *out, const struct stage_type *t)
{
    fprintf(out, "%s: %s\n", t->name, t->summary);
    describe_kind(out, t);
    fputs("\nOptions\n", out);
    for (const struct option *o = t->options; o && o->name; o++) {
        char text[512];
        fprintf(out, "  %s  (%s)\n", o->name, option_describe(o, text, sizeof text));
        print_help(out, o->help);
    }
    fputs("  observe  (true or false, default false)\n", out);
    print_help(out, "Report findings and decide nothing.");
    fputs("\nFindings, with the verdict that they have unless the zone says on = { CODE = "
          "\"note\" | \"hold\" | \"retry\" | \"reject\"; }\n",
          out);
    for (const struct finding_type *f = t->findings; f && f->code; f++) {
        fprintf(out, "  %s.%s  %s\n", t->name, f->code, finding_verdict_text(f->verdict));
        if (f->help)
            print_help(out, f->help);
    }
    if (!t->findings || !t->findings->code)
        fputs("  none\n", out);
}

static void describe_all(FILE *out)
{
    int width = 0;
    for (const struct stage_type *const *t = registry; *t; t++)
        if (!((*t)->flags & STAGE_TEST) && (int)strlen((*t)->name) > width)
            width = (int)strlen((*t)->name);
    for (const struct stage_type *const *t = registry; *t; t++)
        if (!((*t)->flags & STAGE_TEST))
            fprintf(out, "%-*s  %s\n", width, (*t)->name, (*t)->summary);
}

char *registry_describe(const char *name_or_null)
{
    const struct stage_type *type = NULL;
    if (name_or_null && !(type = registry_find(name_or_null)))
        return NULL;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    ASSERT(out);
    if (type)
        describe_one(out, type);
    else
        describe_all(out);
    int bad = fclose(out);
    ASSERT(!bad);
    return text;
}

static const char *option_kind_text(enum option_kind kind)
{
    static const char *const words[] = {
        [OPTION_BOOL] = "bool",   [OPTION_INT] = "int",   [OPTION_SECONDS] = "seconds",
        [OPTION_BYTES] = "bytes", [OPTION_ENUM] = "word", [OPTION_STRING] = "string",
        [OPTION_LIST] = "list",
    };
    return words[kind];
}

static void option_json(const struct option *o, struct json *json)
{
    json_object(json, NULL);
    json_string(json, "name", o->name);
    json_string(json, "kind", option_kind_text(o->kind));
    json_string(json, "default", o->fallback);
    if (o->kind == OPTION_INT || o->kind == OPTION_SECONDS || o->kind == OPTION_BYTES) {
        json_int(json, "min", o->min);
        json_int(json, "max", o->max);
    }
    if (o->kind == OPTION_ENUM) {
        json_array(json, "words");
        for (const char *const *w = o->words; *w; w++)
            json_string(json, NULL, *w);
        json_end(json);
    }
    json_string(json, "help", o->help);
    json_end(json);
}

static void stage_json(const struct stage_type *t, struct json *json)
{
    json_object(json, NULL);
    json_string(json, "name", t->name);
    json_string(json, "summary", t->summary);
    json_bool(json, "check_only", t->flags & STAGE_CHECK_ONLY);
    json_bool(json, "whole_zone", t->flags & STAGE_WHOLE_ZONE);
    json_array(json, "options");
    for (const struct option *o = t->options; o && o->name; o++)
        option_json(o, json);
    json_end(json);
    json_array(json, "findings");
    for (const struct finding_type *f = t->findings; f && f->code; f++) {
        json_object(json, NULL);
        json_string(json, "code", f->code);
        json_string(json, "verdict", verdict_text(f->verdict));
        json_string(json, "message", f->message);
        json_string(json, "help", f->help);
        json_end(json);
    }
    json_end(json);
    json_end(json);
}

void registry_json(struct json *json)
{
    json_array(json, NULL);
    for (const struct stage_type *const *t = registry; *t; t++)
        if (!((*t)->flags & STAGE_TEST))
            stage_json(*t, json);
    json_end(json);
}
