/* zone_model: see the header. */
#include "tests/lib/zone_model.h"

#include "tests/lib/expect.h"

#include <string.h>

static unsigned model_place(const struct zone_model *m, const uint8_t *name, bool *exact)
{
    unsigned i = 0;
    while (i < m->n && name_cmp(node_name(m->node[i]), name) < 0)
        i++;
    *exact = i < m->n && name_equal(node_name(m->node[i]), name);
    return i;
}

void model_copy(struct zone_model *dst, const struct zone_model *src)
{
    *dst = *src;
    for (unsigned i = 0; i < dst->n; i++)
        (void)node_ref(dst->node[i]);
}

void model_clear(struct zone_model *m)
{
    while (m->n > 0)
        node_unref(m->node[--m->n]);
}

const struct node *model_get(const struct zone_model *m, const uint8_t *name)
{
    bool exact;
    unsigned at = model_place(m, name, &exact);
    return exact ? m->node[at] : NULL;
}

void model_put(struct zone_model *m, struct node *node)
{
    bool exact;
    unsigned at = model_place(m, node_name(node), &exact);
    if (exact) {
        node_unref(m->node[at]);
    } else {
        EXPECT(m->n < MODEL_NODES_MAX);
        memmove(m->node + at + 1, m->node + at, (m->n - at) * sizeof m->node[0]);
        m->n++;
    }
    m->node[at] = node;
}

bool model_remove(struct zone_model *m, const uint8_t *name)
{
    bool exact;
    unsigned at = model_place(m, name, &exact);
    if (!exact)
        return false;
    node_unref(m->node[at]);
    m->n--;
    memmove(m->node + at, m->node + at + 1, (m->n - at) * sizeof m->node[0]);
    return true;
}

static struct node_builder *model_open(const struct zone_model *m, const uint8_t *owner)
{
    struct node_builder *b = node_builder_new();
    const struct node *old = model_get(m, owner);
    node_builder_begin(b, old ? node_name(old) : owner);
    if (old)
        node_builder_add_node(b, old, NULL, NULL);
    return b;
}

static void model_close(struct zone_model *m, struct node_builder *b, const uint8_t *owner)
{
    struct node *node = node_builder_seal(b);
    node_builder_free(&b);
    if (node)
        model_put(m, node);
    else
        model_remove(m, owner);
}

void model_add(struct zone_model *m, const uint8_t *owner, uint16_t type, uint32_t ttl,
               const uint8_t *rdata, uint16_t len)
{
    struct node_builder *b = model_open(m, owner);
    EXPECT(node_builder_add(b, type, ttl, rdata, len) == 0);
    model_close(m, b, owner);
}

bool model_del(struct zone_model *m, const uint8_t *owner, uint16_t type, const uint8_t *rdata,
               uint16_t len)
{
    struct node_builder *b = model_open(m, owner);
    bool found = node_builder_remove(b, type, rdata, len);
    model_close(m, b, owner);
    return found;
}

void model_expect_snapshot(const struct zone_model *m, const struct snapshot *s)
{
    struct snapshot_iter it;
    size_t records = 0, bytes = 0;
    unsigned i = 0;
    for (const struct node *node = snapshot_first(&it, s); node; node = snapshot_next(&it), i++) {
        EXPECT(i < m->n);
        EXPECT(node_equal(node, m->node[i]));
        EXPECT_PTR(snapshot_get(s, node_name(m->node[i])), node);
        records += node->records;
        bytes += node->bytes;
    }
    EXPECT_EQ(i, m->n);
    for (const struct node *node = snapshot_last(&it, s); node; node = snapshot_prev(&it))
        EXPECT(node_equal(node, m->node[--i]));
    EXPECT_EQ(i, 0);
    EXPECT_EQ(s->names, m->n);
    EXPECT_EQ(s->records, records);
    EXPECT_EQ(s->bytes, bytes);
}

static bool pair_same(const struct node *a, const struct node *b)
{
    return a == b || (a && b && node_equal(a, b));
}

void model_expect_changes(const struct zone_model *was, const struct zone_model *now,
                          const struct changeset *c)
{
    unsigned i = 0, j = 0;
    size_t n = 0;
    while (i < was->n || j < now->n) {
        const struct node *a = i < was->n ? was->node[i] : NULL;
        const struct node *b = j < now->n ? now->node[j] : NULL;
        int order = !a ? 1 : !b ? -1 : name_cmp(node_name(a), node_name(b));
        a = order <= 0 ? a : NULL;
        b = order >= 0 ? b : NULL;
        i += order <= 0;
        j += order >= 0;
        if (pair_same(a, b))
            continue;
        EXPECT(n < c->n);
        EXPECT(pair_same(c->change[n].was, a));
        EXPECT(pair_same(c->change[n].now, b));
        n++;
    }
    EXPECT_EQ(c->n, n);
}

void expect_changes_equal(const struct changeset *a, const struct changeset *b)
{
    EXPECT_EQ(a->n, b->n);
    EXPECT_EQ(a->has_from, b->has_from);
    EXPECT_EQ(a->has_to, b->has_to);
    EXPECT_EQ(a->from, b->from);
    EXPECT_EQ(a->to, b->to);
    for (size_t i = 0; i < a->n; i++) {
        EXPECT(pair_same(a->change[i].was, b->change[i].was));
        EXPECT(pair_same(a->change[i].now, b->change[i].now));
        EXPECT(a->change[i].was || a->change[i].now);
        if (i > 0)
            EXPECT(name_cmp(change_name(&a->change[i - 1]), change_name(&a->change[i])) < 0);
    }
}
