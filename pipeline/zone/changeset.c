/* changeset: pairs in order, merged like any two sorted lists.
 */
#include "pipeline/zone/changeset.h"

#include "pipeline/base/alloc.h"

#include <stdatomic.h>
#include <string.h>

struct changeset *changeset_new(size_t room)
{
    struct changeset *c = mem_zalloc(sizeof *c + room * sizeof c->change[0]);
    atomic_init(&c->refs, 1);
    return c;
}

struct changeset *changeset_ref(const struct changeset *c)
{
    /* Counting is the one thing that holders of a const changeset change. */
    struct changeset *own = (struct changeset *)(uintptr_t)c;
    uint32_t was = atomic_fetch_add_explicit(&own->refs, 1, memory_order_relaxed);
    ASSERT(was > 0 && was < UINT32_MAX);
    return own;
}

/* A changeset refers to nodes without changing them; only their count is its own. */
static void change_unref(const struct node *node)
{
    node_unref((struct node *)(uintptr_t)node);
}

void changeset_unref(struct changeset *c)
{
    if (!c)
        return;
    uint32_t was = atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel);
    ASSERT(was > 0);
    if (was > 1)
        return;
    for (size_t i = 0; i < c->n; i++) {
        change_unref(c->change[i].was);
        change_unref(c->change[i].now);
    }
    mem_free(&c);
}

static void changeset_add(struct changeset *c, const struct node *was, const struct node *now)
{
    if (was == now || (was && now && node_equal(was, now)))
        return;
    c->change[c->n++] = (struct change){was ? node_ref(was) : NULL, now ? node_ref(now) : NULL};
}

struct changeset *changeset_compose(const struct changeset *a, const struct changeset *b)
{
    struct changeset *c = changeset_new(a->n + b->n);
    c->has_from = a->has_from;
    c->from = a->from;
    c->has_to = b->has_to;
    c->to = b->to;
    size_t i = 0, j = 0;
    while (i < a->n || j < b->n) {
        const struct change *x = i < a->n ? &a->change[i] : NULL;
        const struct change *y = j < b->n ? &b->change[j] : NULL;
        int order = !x ? 1 : !y ? -1 : name_cmp(change_name(x), change_name(y));
        /* Between them they must agree on the version in the middle. */
        ASSERT(order != 0 || !x->now == !y->was);
        changeset_add(c, order <= 0 ? x->was : y->was, order >= 0 ? y->now : x->now);
        i += order <= 0;
        j += order >= 0;
    }
    return mem_resize(c, sizeof *c + c->n * sizeof c->change[0]);
}

struct changeset *changeset_invert(const struct changeset *c)
{
    struct changeset *inverse = changeset_new(c->n);
    inverse->has_from = c->has_to;
    inverse->from = c->to;
    inverse->has_to = c->has_from;
    inverse->to = c->from;
    for (size_t i = 0; i < c->n; i++)
        changeset_add(inverse, c->change[i].now, c->change[i].was);
    return inverse;
}

static int rrset_order(const struct rrset *a, const struct rrset *b)
{
    if (a->type != b->type)
        return a->type < b->type ? -1 : 1;
    return a->covered == b->covered ? 0 : a->covered < b->covered ? -1 : 1;
}

void change_rrsets(const struct change *c, change_rrset_fn *fn, void *ctx)
{
    unsigned was_n = c->was ? c->was->nrrsets : 0, now_n = c->now ? c->now->nrrsets : 0;
    unsigned i = 0, j = 0;
    while (i < was_n || j < now_n) {
        struct rrset was = {0}, now = {0};
        if (i < was_n)
            node_rrset_at(c->was, i, &was);
        if (j < now_n)
            node_rrset_at(c->now, j, &now);
        int order = i == was_n ? 1 : j == now_n ? -1 : rrset_order(&was, &now);
        if (order != 0 || !rrset_equal(&was, &now, true))
            fn(ctx, change_name(c), order <= 0 ? &was : NULL, order >= 0 ? &now : NULL);
        i += order <= 0;
        j += order >= 0;
    }
}

void record_walk_begin(struct record_walk *w, const struct node *a, const struct node *b)
{
    bool apart = !a || !b || a->name_len != b->name_len ||
                 memcmp(node_name(a), node_name(b), a->name_len) != 0;
    *w = (struct record_walk){.a = a, .b = apart ? NULL : b};
}

/* Opens a's next rrset that b does not have in the same octets. */
static bool record_walk_open(struct record_walk *w)
{
    while (w->a && w->a != w->b && w->i < w->a->nrrsets) {
        int order = -1;
        node_rrset_at(w->a, w->i++, &w->set);
        while (w->b && w->j < w->b->nrrsets) {
            node_rrset_at(w->b, w->j, &w->other);
            order = rrset_order(&w->other, &w->set);
            if (order >= 0)
                break;
            w->j++;
        }
        if (order == 0 && rrset_equal(&w->set, &w->other, true))
            continue;
        if (order != 0 || w->set.ttl != w->other.ttl)
            w->other = (struct rrset){0};
        w->p = w->set.rdata;
        w->q = w->other.rdata;
        return true;
    }
    return false;
}

/* Is it in the other set? Both are in canonical order, so q only goes on. */
static bool record_walk_skips(struct record_walk *w, const struct rdata *r)
{
    while (w->q < w->other.end) {
        const uint8_t *next = w->q;
        struct rdata other;
        rrset_next(&w->other, &next, &other);
        int order = rdata_cmp(w->set.type, other.data, other.len, r->data, r->len);
        if (order >= 0)
            return order == 0 && memcmp(other.data, r->data, r->len) == 0;
        w->q = next;
    }
    return false;
}

bool record_walk_next(struct record_walk *w, struct rdata *out)
{
    for (;;) {
        while (w->p && rrset_next(&w->set, &w->p, out))
            if (!record_walk_skips(w, out))
                return true;
        if (!record_walk_open(w))
            return false;
    }
}
