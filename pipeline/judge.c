/* judge: a zone's chain without a daemon.
 *
 * check and replay hand in versions one after another, each with the time at which it is to be
 * judged; what passes is what the next one is compared with, exactly as in the daemon: the same
 * chain_run over the same store.
 */
#include "pipeline/command.h"

#include "pipeline/base/json.h"
#include "pipeline/run/keyring_store.h"

#include <stdlib.h>

struct judge {
    const struct zone_conf *zone;
    struct pool *pool;
    struct family *family;
    struct version *version;
    struct keyset *keys; /* NULL: weir does not sign it */
};

int judge_new(const struct zone_conf *zone, const char *state, struct pool *pool,
              struct judge **out, struct why *why)
{
    struct keyset *keys = NULL;
    int err = zone->signs || zone->rekeys ? keyring_store_borrow(state, zone, &keys, why) : 0;
    if (err)
        return err;
    struct judge *j = mem_zalloc(sizeof *j);
    j->keys = keys;
    j->zone = zone;
    j->pool = pool;
    j->family = family_new(zone->name);
    *out = j;
    return 0;
}

void judge_free(struct judge **j)
{
    if (!*j)
        return;
    version_unref((*j)->version);
    family_unref((*j)->family);
    keyset_unref((*j)->keys);
    mem_free(j);
}

struct family *judge_family(struct judge *j)
{
    return j->family;
}

const struct version *judge_version(const struct judge *j)
{
    return j->version;
}

static void print_text(FILE *out, const struct judge *j, const struct candidate *c,
                       const struct snapshot *input)
{
    fprintf(out, "%s serial %u from %s: %s: %zu records at %zu names, %zu findings, %.3f s\n",
            j->zone->text, c->serial, c->origin,
            c->verdict == STAGE_PASS   ? "PASS"
            : c->verdict == STAGE_HOLD ? "HOLD"
                                       : "REFUSED",
            input->records, input->names, c->findings->total, c->seconds);
    for (size_t i = 0; i < c->findings->n; i++) {
        const struct finding *f = &c->findings->list[i];
        char *text = finding_print(f);
        fprintf(out, "  %-6s  %s.%s  %s\n",
                f->observed                ? "observe"
                : f->verdict == STAGE_PASS ? "note"
                                           : verdict_text(f->verdict),
                f->stage->name, f->type->code, text);
        mem_free(&text);
    }
    if (c->findings->total > c->findings->n)
        fprintf(out, "  … and %zu more\n", c->findings->total - c->findings->n);
}

static void print_json(struct json *json, const struct judge *j, const struct candidate *c,
                       const struct snapshot *input)
{
    json_string(json, "zone", j->zone->text);
    json_uint(json, "serial", c->serial);
    json_string(json, "from", c->origin);
    json_int(json, "at", c->at);
    json_string(json, "verdict", verdict_text(c->verdict));
    json_uint(json, "records", input->records);
    json_uint(json, "names", input->names);
    json_real(json, "chain_seconds", c->seconds);
    json_uint(json, "findings_total", c->findings->total);
    json_array(json, "findings");
    for (size_t i = 0; i < c->findings->n; i++)
        finding_json(&c->findings->list[i], json);
    json_end(json);
}

struct judge_report judge_input(struct judge *j, const struct snapshot *input, const char *origin,
                                time_t at, FILE *out, struct json *json)
{
    struct chain_input in = {.snapshot = input, .origin = origin, .keys = j->keys};
    struct candidate *c = chain_run(j->zone->chain, j->version, &in, at, pool_par(j->pool));
    struct judge_report report = {.verdict = c->verdict, .findings = c->findings->total};
    if (out)
        print_text(out, j, c, input);
    else
        print_json(json, j, c, input);
    if (c->verdict == STAGE_PASS) {
        report.unchanged = c->changes->n == 0;
        version_unref(j->version);
        j->version = candidate_take(c);
        j->version->accepted_at = at;
    }
    candidate_free(&c);
    return report;
}
