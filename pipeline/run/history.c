/* history: an array that is copied with one step more and some fewer.
 *
 * The copy is what makes it free to read: a version and its history are one immutable thing, and a transfer that began in
 * an older version goes on in that one's. Steps are few (ixfr_history) and shared; a copy is one reference count each.
 *
 * The walk merges: each step's changes are in order of names, a heap has the step with the least name on top, and of
 * equal names the oldest step first. What the oldest replaced and what the newest left there is the pair.
 */
#include "pipeline/run/history.h"

#include "pipeline/base/alloc.h"
#include "pipeline/zone/transfer.h"

#include <stdatomic.h>
#include <stddef.h>

/* A record on the wire: a pointer for its owner, type, class, TTL, length; and rdata. */
enum { RECORD_OCTETS = 12 };
/* A change is as much work as so many octets of the zone; and that many changes take no time worth a word. */
enum { OCTETS_A_CHANGE = 768, FEW_CHANGES = 2048 };
enum { KEPT_FLOOR = 4096, KEPT_TIMES = 4 };

struct history *history_ref(const struct history *h)
{
    struct history *kept = (struct history *)(uintptr_t)h;
    if (kept)
        atomic_fetch_add_explicit(&kept->refs, 1, memory_order_relaxed);
    return kept;
}

static void history_release(struct rcu_item *item)
{
    struct history *h = (struct history *)(void *)((char *)item - offsetof(struct history, rcu));
    for (unsigned i = 0; i < h->n; i++)
        changeset_unref(h->step[i].changes);
    mem_free(&h);
}

void history_unref(struct history *h)
{
    if (h && atomic_fetch_sub_explicit(&h->refs, 1, memory_order_acq_rel) == 1)
        rcu_defer(&h->rcu, history_release);
}

uint64_t history_zone_bytes(const struct snapshot *served)
{
    /* A node's own head and its rrsets' take about the room that its records' fixed fields have on the wire. */
    return served->bytes;
}

/* Records of a that b has not, with the name that the first of them needs. */
static uint64_t gone_bytes(const struct node *a, const struct node *b)
{
    struct record_walk walk;
    struct rdata r;
    uint64_t bytes = 0;
    record_walk_begin(&walk, a, b);
    while (record_walk_next(&walk, &r))
        if (walk.set.type != RR_SOA)
            bytes += RECORD_OCTETS + (uint64_t)r.len;
    return bytes ? bytes + a->name_len : 0;
}

uint64_t history_kept_max(const struct snapshot *served)
{
    return KEPT_FLOOR + KEPT_TIMES * (uint64_t)served->bytes;
}

size_t history_changes_max(const struct snapshot *served)
{
    return FEW_CHANGES + history_zone_bytes(served) / OCTETS_A_CHANGE;
}

/* Does this step lead on, and up? A zone whose serial stands or falls starts again. */
static bool leads_up(const struct changeset *changes)
{
    return changes->has_from && changes->has_to && serial_newer(changes->to, changes->from);
}

static bool within(const struct history *h, const struct history_limits *limits,
                   const struct snapshot *served, time_t now)
{
    const struct history_step *oldest = &h->step[h->n - 1];
    return h->n <= limits->steps && h->kept_bytes <= limits->bytes &&
           h->kept_bytes <= history_kept_max(served) &&
           h->wire_bytes <= history_zone_bytes(served) &&
           h->changes <= history_changes_max(served) &&
           (!limits->age_s || now - oldest->at <= limits->age_s);
}

/* False: it is more than a history may have, of which there is no need to know how much. */
static bool step_measure(struct history_step *step, const struct history_limits *limits,
                         const struct snapshot *served)
{
    const struct changeset *c = step->changes;
    step->kept_bytes = sizeof *c + c->n * sizeof c->change[0];
    for (size_t i = 0; i < c->n; i++) {
        const struct change *x = &c->change[i];
        step->wire_bytes += gone_bytes(x->was, x->now) + gone_bytes(x->now, x->was);
        step->kept_bytes += x->was ? x->was->bytes : 0;
        if (step->kept_bytes > limits->bytes || step->wire_bytes > history_zone_bytes(served))
            return false;
    }
    return true;
}

/* h holds the steps newest first while it is put together. False: that one and all before it stay out. */
static bool take(struct history *h, const struct history_step *step, const struct snapshot *served,
                 time_t now, const struct history_limits *limits)
{
    h->step[h->n++] = *step;
    h->wire_bytes += step->wire_bytes;
    h->kept_bytes += step->kept_bytes;
    h->changes += step->changes->n;
    if (within(h, limits, served, now) && serial_newer(h->step[0].changes->to, step->changes->from))
        return true;
    h->n--;
    h->wire_bytes -= step->wire_bytes;
    h->kept_bytes -= step->kept_bytes;
    h->changes -= step->changes->n;
    return false;
}

static void reverse(struct history *h)
{
    for (unsigned i = 0, j = h->n; i + 1 < j; i++) {
        struct history_step step = h->step[i];
        h->step[i] = h->step[--j];
        h->step[j] = step;
    }
}

struct history *history_append(const struct history *was, const struct changeset *changes,
                               const struct snapshot *served, time_t at,
                               const struct history_limits *limits)
{
    if (!leads_up(changes) || !limits->steps)
        return NULL;
    unsigned before = was ? was->n : 0;
    ASSERT(!before || was->step[before - 1].changes->to == changes->from);
    struct history_step newest = {.changes = changeset_ref(changes), .at = at};
    struct history *h = mem_zalloc(sizeof *h + (before + 1) * sizeof h->step[0]);
    atomic_init(&h->refs, 1);
    if (changes->n > history_changes_max(served) || !step_measure(&newest, limits, served) ||
        !take(h, &newest, served, at, limits)) {
        changeset_unref(newest.changes);
        mem_free(&h);
        return NULL;
    }
    while (before > 0 && take(h, &was->step[before - 1], served, at, limits))
        changeset_ref(was->step[--before].changes);
    reverse(h);
    return mem_resize(h, sizeof *h + h->n * sizeof h->step[0]);
}

unsigned history_find(const struct history *h, uint32_t serial)
{
    unsigned lo = 0, hi = h->n;
    uint32_t newest = h->step[h->n - 1].changes->to;
    /* All are within 2^31 behind the newest, so that distance orders them. */
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        if (newest - h->step[mid].changes->from > newest - serial)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < h->n && h->step[lo].changes->from == serial ? lo : h->n;
}

/* The label next to the apex, lower case, its first eight octets: names in order have keys in order. */
static uint64_t cursor_key(const struct history_walk *w, const struct change *c)
{
    const uint8_t *name = change_name(c), *label = NULL;
    const uint8_t *apex = name + (c->now ? c->now : c->was)->name_len - w->apex_len;
    for (; name < apex; name += 1 + *name)
        label = name;
    uint64_t key = 0;
    for (unsigned i = 0; label && i < sizeof key; i++)
        key = key << 8 | (i < *label ? name_lower_table[label[1 + i]] : 0);
    return key;
}

/* What will be looked at next time: by then it is there. With many steps, each of them goes its own way through memory. */
static void change_prefetch(const struct change *c)
{
    const char *block[] = {(const char *)c->now, (const char *)c->was};
    for (unsigned i = 0; i < 2; i++)
        if (block[i]) {
            __builtin_prefetch(block[i]);
            __builtin_prefetch(block[i] + 64);
            __builtin_prefetch(block[i] + 128);
        }
}

static void cursor_set(const struct history_walk *w, struct history_cursor *c,
                       const struct change *at)
{
    c->at = at;
    c->key = cursor_key(w, at);
    if (at + 1 < c->end)
        change_prefetch(at + 1);
}

static bool cursor_before(const struct history_cursor *a, const struct history_cursor *b)
{
    if (a->key != b->key)
        return a->key < b->key;
    int order = name_cmp(change_name(a->at), change_name(b->at));
    return order ? order < 0 : a->step < b->step;
}

static void heap_sink(struct history_walk *w, unsigned i)
{
    struct history_cursor moved = w->heap[i];
    for (unsigned child; (child = 2 * i + 1) < w->n; i = child) {
        if (child + 1 < w->n && cursor_before(&w->heap[child + 1], &w->heap[child]))
            child++;
        if (!cursor_before(&w->heap[child], &moved))
            break;
        w->heap[i] = w->heap[child];
    }
    w->heap[i] = moved;
}

void history_walk_begin(struct history_walk *w, const struct history *h, unsigned first,
                        struct history_cursor *cursors)
{
    /* The apex changes in every step and comes first in each. */
    const struct change *apex = h->step[first].changes->change;
    *w = (struct history_walk){.heap = cursors, .apex_len = name_len(change_name(apex))};
    for (unsigned i = first; i < h->n; i++) {
        const struct changeset *c = h->step[i].changes;
        ASSERT(c->n > 0);
        cursors[w->n] = (struct history_cursor){.end = c->change + c->n, .step = i};
        cursor_set(w, &cursors[w->n++], c->change);
    }
    for (unsigned i = w->n / 2; i-- > 0;)
        heap_sink(w, i);
}

bool history_walk_next(struct history_walk *w, struct change *out)
{
    if (w->n == 0)
        return false;
    uint64_t key = w->heap[0].key;
    *out = *w->heap[0].at;
    const uint8_t *name = change_name(out);
    for (;;) {
        struct history_cursor *top = &w->heap[0];
        w->visited++;
        if (top->at + 1 == top->end)
            *top = w->heap[--w->n];
        else
            cursor_set(w, top, top->at + 1);
        if (w->n == 0)
            return true;
        heap_sink(w, 0);
        if (top->key != key || !name_equal(name, change_name(top->at)))
            return true;
        /* The same name in a later step. */
        ASSERT(!out->now == !top->at->was);
        out->now = top->at->now;
    }
}
