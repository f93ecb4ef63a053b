/* trace: tells what changed, rrset by rrset.
 *
 * Every difference between the last accepted version and the one asked about becomes a note. The
 * stage itself writes nowhere: the core logs the notes and keeps them with the version, so `weir
 * status ZONE --findings` shows them too. A first version would be one note a record; it is
 * summarised in a single one.
 */
#include "pipeline/stage.h"

#include <inttypes.h>
#include <stdio.h>

enum { TRACE_LOADED, TRACE_ADDED, TRACE_REMOVED, TRACE_CHANGED };

static const struct finding_type trace_findings[] = {
    [TRACE_LOADED] =
        {"loaded", STAGE_PASS, "first version: {n0} names, {n1} records",
         "The zone had no version before, so there is nothing to compare with. No action needed."},
    [TRACE_ADDED] = {"added", STAGE_PASS, "{n0} records added{text}, TTL {n1}",
                     "An rrset that was not in the version before. No action needed."},
    [TRACE_REMOVED] = {"removed", STAGE_PASS, "{n0} records removed{text}, TTL {n1}",
                       "An rrset of the version before that is gone. No action needed."},
    [TRACE_CHANGED] =
        {"changed", STAGE_PASS, "{n0} records became {n1}{text}",
         "An rrset whose records or TTL differ from the version before. No action needed."},
    {NULL, STAGE_PASS, NULL, NULL},
};

struct trace_words {
    char text[128];
};

/* " (covers MX)" for signatures, " (TTL 60 became 300)" where it did, and nothing else. */
static struct trace_words trace_words(const struct rrset *set, uint32_t ttl_before)
{
    struct trace_words words = {""};
    char type[RRTYPE_TEXT_MAX];
    int n = 0;
    if (set->covered)
        n = snprintf(words.text, sizeof(words.text), " (covers %s)",
                     rrtype_print(set->covered, type));
    if (set->ttl != ttl_before)
        snprintf(words.text + n, sizeof(words.text) - (size_t)n,
                 " (TTL %" PRIu32 " became %" PRIu32 ")", ttl_before, set->ttl);
    return words;
}

static void trace_rrset(void *ctx, const uint8_t *owner, const struct rrset *was,
                        const struct rrset *now)
{
    struct findings *findings = ctx;
    if (was && now) {
        struct trace_words words = trace_words(now, was->ttl);
        finding_add(findings, TRACE_CHANGED, owner, now->type, was->count, now->count, words.text);
    } else if (now) {
        struct trace_words words = trace_words(now, now->ttl);
        finding_add(findings, TRACE_ADDED, owner, now->type, now->count, now->ttl, words.text);
    } else {
        struct trace_words words = trace_words(was, was->ttl);
        finding_add(findings, TRACE_REMOVED, owner, was->type, was->count, was->ttl, words.text);
    }
}

static void trace_run(struct stage_run *run)
{
    if (!run->prev) {
        finding_add(run->findings, TRACE_LOADED, NULL, 0, (int64_t)run->next->names,
                    (int64_t)run->next->records, NULL);
        return;
    }
    for (size_t i = 0; i < run->delta->n; i++)
        change_rrsets(&run->delta->change[i], trace_rrset, run->findings);
    run->visited = run->delta->n;
}

const struct stage_type stage_trace = {
    .name = "trace",
    .summary = "notes every rrset that changed",
    .flags = STAGE_CHECK_ONLY,
    .findings = trace_findings,
    .run = trace_run,
};
