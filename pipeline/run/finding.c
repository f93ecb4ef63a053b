/* What a chain run has to say, bounded.
 *
 * A bad version of a large zone can give a finding a record, so past `keep` they are only counted.
 * Which ones are kept must not depend on how threads were scheduled, and a flood of notes from one
 * stage must not push out the one line that says why a later stage refused. So `list` is a heap
 * with the least wanted finding on top: less severe before more severe, and among equals the later
 * in order. A newcomer that is wanted more takes its place. The order is total over all that a
 * finding says, hence the set that is left is the same for every order of arrival. findings_close()
 * sorts what is left by (stage, owner, type, code).
 */
#include "pipeline/run/finding.h"

#include "pipeline/base/json.h"
#include "pipeline/run/registry.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct entry {              /* a kept finding and its stage's place in the chain */
    struct finding finding; /* first: `list` is made of these on closing */
    unsigned place, code;
};

struct findings_private {
    pthread_mutex_t lock;
    size_t keep, cap;
    struct entry *heap;
    /* the stage that is open */
    const struct stage_type *stage;
    const enum verdict *verdicts;
    unsigned place, ncodes;
    bool observe;
    enum verdict verdict;
};

struct findings *findings_new(size_t keep)
{
    struct findings *f = mem_zalloc(sizeof *f);
    f->refs = 1;
    f->private = mem_zalloc(sizeof *f->private);
    f->private->keep = keep;
    pthread_mutex_init(&f->private->lock, NULL);
    return f;
}

struct findings *findings_ref(const struct findings *f)
{
    struct findings *held = (struct findings *)(uintptr_t)f;
    atomic_fetch_add_explicit(&held->refs, 1, memory_order_relaxed);
    return held;
}

/* Of one that has not been closed. */
static struct findings_private *opened(const struct findings *f)
{
    ASSERT(f->private);
    return f->private;
}

static void finding_clear(struct finding *finding)
{
    mem_free(&finding->owner);
    mem_free(&finding->text);
}

void findings_unref(struct findings *f)
{
    if (!f || atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (f->private)
        findings_close(f);
    for (size_t i = 0; i < f->n; i++)
        finding_clear(&f->list[i]);
    mem_free(&f->list);
    mem_free(&f);
}

void findings_stage(struct findings *f, const struct stage_type *stage,
                    const enum verdict *verdicts, bool observe)
{
    struct findings_private *p = opened(f);
    p->place++;
    p->stage = stage;
    p->verdicts = verdicts;
    p->observe = observe;
    p->verdict = STAGE_PASS;
    for (p->ncodes = 0; stage->findings && stage->findings[p->ncodes].code;)
        p->ncodes++;
}

static bool owners_equal(const uint8_t *a, const uint8_t *b)
{
    return a && b ? name_equal(a, b) : a == b;
}

bool findings_has(const struct findings *f, const struct finding *finding)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct finding *other = &f->list[i];
        if (other->rrtype == finding->rrtype && owners_equal(other->owner, finding->owner) &&
            strcmp(other->type->code, finding->type->code) == 0 &&
            strcmp(other->stage->name, finding->stage->name) == 0)
            return true;
    }
    return false;
}

enum verdict findings_stage_verdict(const struct findings *f)
{
    return opened(f)->verdict;
}

static int number_cmp(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int owner_cmp(const uint8_t *a, const uint8_t *b)
{
    if (!a || !b)
        return (a != NULL) - (b != NULL);
    int order = name_cmp(a, b);
    return order ? order : memcmp(a, b, name_len(a));
}

static int place_cmp(const struct entry *a, const struct entry *b)
{
    const struct finding *x = &a->finding, *y = &b->finding;
    int order = number_cmp(a->place, b->place);
    if (!order)
        order = owner_cmp(x->owner, y->owner);
    if (!order)
        order = number_cmp(x->rrtype, y->rrtype);
    if (!order)
        order = number_cmp(a->code, b->code);
    if (!order)
        order = number_cmp(x->n0, y->n0);
    if (!order)
        order = number_cmp(x->n1, y->n1);
    if (!order)
        order = strcmp(x->text ? x->text : "", y->text ? y->text : "");
    return order;
}

/* Is a to go before b when there is no room for both? */
static bool less_wanted(const struct entry *a, const struct entry *b)
{
    int order = number_cmp(a->finding.verdict, b->finding.verdict);
    if (!order)
        order = number_cmp(a->finding.would, b->finding.would);
    return order ? order < 0 : place_cmp(a, b) > 0;
}

static void swap(struct entry *a, struct entry *b)
{
    struct entry t = *a;
    *a = *b;
    *b = t;
}

static void sift_up(struct entry *heap, size_t i)
{
    for (; i && less_wanted(&heap[i], &heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&heap[i], &heap[(i - 1) / 2]);
}

static void sift_down(struct entry *heap, size_t n)
{
    for (size_t i = 0;;) {
        size_t child = 2 * i + 1;
        if (child >= n)
            return;
        if (child + 1 < n && less_wanted(&heap[child + 1], &heap[child]))
            child++;
        if (!less_wanted(&heap[child], &heap[i]))
            return;
        swap(&heap[i], &heap[child]);
        i = child;
    }
}

static struct entry own(const struct entry *borrowed)
{
    struct entry e = *borrowed;
    if (e.finding.owner)
        e.finding.owner = mem_dup(e.finding.owner, name_len(e.finding.owner));
    if (e.finding.text)
        e.finding.text = mem_strdup(e.finding.text);
    return e;
}

static void keep(struct findings *f, const struct entry *borrowed)
{
    struct findings_private *p = f->private;
    if (f->n < p->keep) {
        if (f->n == p->cap) {
            p->cap = p->cap ? 2 * p->cap : 16;
            p->heap = mem_resize(p->heap, p->cap * sizeof *p->heap);
        }
        p->heap[f->n] = own(borrowed);
        sift_up(p->heap, f->n++);
    } else if (p->keep && less_wanted(&p->heap[0], borrowed)) {
        finding_clear(&p->heap[0].finding);
        p->heap[0] = own(borrowed);
        sift_down(p->heap, f->n);
    }
}

void finding_add(struct findings *f, unsigned code, const uint8_t *owner, uint16_t type, int64_t n0,
                 int64_t n1, const char *text)
{
    struct findings_private *p = opened(f);
    ASSERT(p->stage && code < p->ncodes);
    enum verdict would = p->verdicts ? p->verdicts[code] : p->stage->findings[code].verdict;
    enum verdict verdict = p->observe ? STAGE_PASS : would;
    /* Borrowed until it is known whether it is kept. */
    struct entry e = {.finding = {.stage = p->stage,
                                  .type = &p->stage->findings[code],
                                  .verdict = verdict,
                                  .observed = p->observe,
                                  .would = would,
                                  .owner = (uint8_t *)(uintptr_t)owner,
                                  .rrtype = type,
                                  .n0 = n0,
                                  .n1 = n1,
                                  .text = (char *)(uintptr_t)text},
                      .place = p->place,
                      .code = code};
    pthread_mutex_lock(&p->lock);
    f->total++;
    f->by_verdict[verdict]++;
    if (verdict > f->verdict)
        f->verdict = verdict;
    if (verdict > p->verdict)
        p->verdict = verdict;
    keep(f, &e);
    pthread_mutex_unlock(&p->lock);
}

void findings_restore(struct findings *f, const char *stage, const char *code,
                      const struct finding *saved)
{
    struct entry e = {.finding = *saved, .place = (unsigned)f->n};
    e.finding.stage = registry_find(stage);
    int index = e.finding.stage ? registry_finding(e.finding.stage, code) : -1;
    if (index < 0)
        return;
    e.finding.type = &e.finding.stage->findings[index];
    keep(f, &e);
}

static int entry_cmp(const void *a, const void *b)
{
    return place_cmp(a, b);
}

void findings_close(struct findings *f)
{
    struct findings_private *p = opened(f);
    if (f->n) {
        qsort(p->heap, f->n, sizeof *p->heap, entry_cmp);
        f->list = mem_array(f->n, sizeof *f->list);
        for (size_t i = 0; i < f->n; i++)
            f->list[i] = p->heap[i].finding;
    }
    mem_free(&p->heap);
    pthread_mutex_destroy(&p->lock);
    mem_free(&f->private);
}

void findings_share(struct findings **f)
{
    static struct findings none = {.refs = 1}; /* never let go of */
    if ((*f)->total)
        return;
    findings_unref(*f);
    *f = findings_ref(&none);
}

/* A growing line of text. Control characters in what a zone brought along are escaped as in master
 * files, so that a finding on a terminal is one line and nothing else. */
struct line {
    char *text;
    size_t len, cap;
};

static void line_add(struct line *line, const char *s, size_t n)
{
    if (line->len + n + 1 > line->cap) {
        line->cap = 2 * (line->len + n + 1);
        line->text = mem_resize(line->text, line->cap);
    }
    memcpy(line->text + line->len, s, n);
    line->len += n;
    line->text[line->len] = '\0';
}

static void line_add_remote(struct line *line, const char *s)
{
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        char escaped[8];
        if (c >= ' ' && c != 127)
            line_add(line, s, 1);
        else
            line_add(line, escaped, (size_t)snprintf(escaped, sizeof escaped, "\\%03u", c));
    }
}

static void line_add_number(struct line *line, int64_t v)
{
    char digits[24];
    line_add(line, digits, (size_t)snprintf(digits, sizeof digits, "%" PRId64, v));
}

static bool starts(const char *s, const char *with)
{
    return strncmp(s, with, strlen(with)) == 0;
}

static void line_add_message(struct line *line, const struct finding *finding)
{
    for (const char *p = finding->type->message; *p;) {
        if (starts(p, "{n0}")) {
            line_add_number(line, finding->n0);
            p += 4;
        } else if (starts(p, "{n1}")) {
            line_add_number(line, finding->n1);
            p += 4;
        } else if (starts(p, "{text}")) {
            line_add_remote(line, finding->text ? finding->text : "");
            p += 6;
        } else {
            line_add(line, p++, 1);
        }
    }
}

char *finding_print(const struct finding *finding)
{
    struct line line = {0};
    char name[NAME_TEXT_MAX], type[RRTYPE_TEXT_MAX];
    line_add(&line, "", 0);
    if (finding->owner) {
        name_print(finding->owner, name);
        line_add(&line, name, strlen(name));
    }
    if (finding->rrtype) {
        rrtype_print(finding->rrtype, type);
        if (finding->owner)
            line_add(&line, " ", 1);
        line_add(&line, type, strlen(type));
    }
    if (line.len)
        line_add(&line, ": ", 2);
    line_add_message(&line, finding);
    return line.text;
}

void finding_json(const struct finding *finding, struct json *json)
{
    char code[128], name[NAME_TEXT_MAX], type[RRTYPE_TEXT_MAX];
    struct line message = {0};
    line_add(&message, "", 0);
    line_add_message(&message, finding);
    snprintf(code, sizeof code, "%s.%s", finding->stage->name, finding->type->code);
    json_object(json, NULL);
    json_string(json, "stage", finding->stage->name);
    json_string(json, "code", code);
    json_string(json, "verdict", verdict_text(finding->verdict));
    json_bool(json, "observed", finding->observed);
    json_string(json, "would", verdict_text(finding->would));
    json_string(json, "owner", finding->owner ? name_print(finding->owner, name) : NULL);
    json_string(json, "type", finding->rrtype ? rrtype_print(finding->rrtype, type) : NULL);
    json_int(json, "n0", finding->n0);
    json_int(json, "n1", finding->n1);
    json_string(json, "text", finding->text);
    json_string(json, "message", message.text);
    json_end(json);
    mem_free(&message.text);
}

static const char *const verdict_words[] = {"pass", "hold", "retry", "reject"};

const char *verdict_text(enum verdict v)
{
    ASSERT((unsigned)v < 4);
    return verdict_words[v];
}

int verdict_parse(const char *s, enum verdict *out)
{
    if (strcmp(s, "note") == 0) {
        *out = STAGE_PASS;
        return 0;
    }
    for (int i = 0; i < 4; i++)
        if (strcmp(s, verdict_words[i]) == 0) {
            *out = (enum verdict)i;
            return 0;
        }
    return -E_NOENT;
}
