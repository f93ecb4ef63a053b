/* zone_table: who is held, found by name without a lock.
 *
 * The table is an immutable open-addressing index that a reload replaces as a whole; readers see
 * the old or the new one. Each zone's own story, from input to published version, is in zone_run.c and zone_outcome.c.
 */
#include "pipeline/run/zone_table.h"
#include "pipeline/run/zone_parent.h"
#include "pipeline/run/zone_run.h"

#include "pipeline/base/log.h"

#include <string.h>

struct zone_index {
    struct rcu_item rcu;
    size_t n, mask;
    unsigned max_labels;  /* of a zone name: longer suffixes of a query name need no look-up */
    struct zone **sorted; /* n, in name order; one reference each */
    struct {
        uint32_t hash;
        struct zone *zone;
    } slot[];
};

struct zone_table {
    struct zone_index *_Atomic index;
    struct zone_shared shared;
};

/* Hashes of all suffixes in one pass from the root, so that a look-up costs one step a label. */
static uint32_t label_hash(uint32_t seed, const uint8_t *label)
{
    uint32_t h = seed ^ (label[0] * 0x9e3779b1u);
    for (unsigned i = 1; i <= label[0]; i++)
        h = (h ^ name_lower_table[label[i]]) * 0x01000193u;
    return h ^ h >> 15;
}

static unsigned suffixes(const uint8_t *name, const uint8_t *at[NAME_MAX_LABELS + 1],
                         uint32_t hash[NAME_MAX_LABELS + 1])
{
    unsigned n = 0;
    for (const uint8_t *p = name; *p; p = name_parent(p))
        at[n++] = p;
    uint32_t h = 0x811c9dc5u;
    at[n] = name_root;
    hash[n] = h;
    for (unsigned i = n; i-- > 0;)
        hash[i] = h = label_hash(h, at[i]);
    return n;
}

static struct zone *index_get(const struct zone_index *x, const uint8_t *name, uint32_t hash)
{
    for (size_t i = hash & x->mask; x->slot[i].zone; i = (i + 1) & x->mask)
        if (x->slot[i].hash == hash && name_equal(x->slot[i].zone->name, name))
            return x->slot[i].zone;
    return NULL;
}

static struct zone_index *index_new(size_t n)
{
    size_t slots = 8;
    while (slots < 2 * n)
        slots *= 2;
    struct zone_index *x = mem_zalloc(sizeof *x + slots * sizeof x->slot[0]);
    x->mask = slots - 1;
    x->sorted = mem_array(n + 1, sizeof x->sorted[0]);
    return x;
}

/* Takes over one reference. Zones come in name order. */
static void index_add(struct zone_index *x, struct zone *z)
{
    const uint8_t *at[NAME_MAX_LABELS + 1];
    uint32_t hash[NAME_MAX_LABELS + 1];
    unsigned labels = suffixes(z->name, at, hash);
    size_t i = hash[0] & x->mask;
    while (x->slot[i].zone)
        i = (i + 1) & x->mask;
    x->slot[i].hash = hash[0];
    x->slot[i].zone = z;
    x->sorted[x->n++] = z;
    if (labels > x->max_labels)
        x->max_labels = labels;
}

static void index_free(struct zone_index *x)
{
    for (size_t i = 0; i < x->n; i++)
        zone_unref(x->sorted[i]);
    mem_free(&x->sorted);
    mem_free(&x);
}

static void index_free_deferred(struct rcu_item *item)
{
    index_free((struct zone_index *)((char *)item - offsetof(struct zone_index, rcu)));
}

struct zone_table *zone_table_new(struct pool *pool)
{
    struct zone_table *t = mem_zalloc(sizeof *t);
    zone_shared_init(&t->shared, pool);
    atomic_store(&t->index, index_new(0));
    return t;
}

void zone_table_free(struct zone_table **tp)
{
    struct zone_table *t = *tp;
    if (!t)
        return;
    zone_table_drain(t);
    index_free(atomic_load(&t->index));
    zone_table_drain(t); /* what the zones left to be freed */
    zone_shared_fini(&t->shared);
    mem_free(tp);
}

void zone_table_listen(struct zone_table *t, void (*fn)(void *ctx, const struct zone_event *event),
                       void *ctx)
{
    t->shared.listen = fn;
    t->shared.listen_ctx = ctx;
}

void zone_table_listen_parent(struct zone_table *t, void (*fn)(void *ctx, struct zone *zone),
                              void *ctx)
{
    t->shared.parent_listen = fn;
    t->shared.parent_ctx = ctx;
}

void zone_table_clock(struct zone_table *t, time_t (*fn)(void *ctx), void *ctx)
{
    t->shared.clock = fn;
    t->shared.clock_ctx = ctx;
}

void zone_table_drain(struct zone_table *t)
{
    zone_shared_drain(&t->shared);
}

struct zone *zone_table_get(const struct zone_table *t, const uint8_t *name)
{
    const uint8_t *at[NAME_MAX_LABELS + 1];
    uint32_t hash[NAME_MAX_LABELS + 1];
    suffixes(name, at, hash);
    return index_get(rcu_read(&t->index), name, hash[0]);
}

struct zone *zone_table_find(const struct zone_table *t, const uint8_t *qname)
{
    const struct zone_index *x = rcu_read(&t->index);
    const uint8_t *at[NAME_MAX_LABELS + 1];
    uint32_t hash[NAME_MAX_LABELS + 1];
    unsigned labels = suffixes(qname, at, hash);
    for (unsigned i = labels > x->max_labels ? labels - x->max_labels : 0; i <= labels; i++) {
        struct zone *z = index_get(x, at[i], hash[i]);
        if (z)
            return z;
    }
    return NULL;
}

struct zone **zone_table_list(const struct zone_table *t, size_t *n)
{
    /* Only zone_table_apply replaces the index; it and this run on the control thread. */
    const struct zone_index *x = rcu_read(&t->index);
    struct zone **list = mem_array(x->n + 1, sizeof list[0]);
    for (size_t i = 0; i < x->n; i++)
        list[i] = zone_ref(x->sorted[i]);
    *n = x->n;
    return list;
}

static const struct zone_conf *next_conf(const struct config *config, size_t i)
{
    return i < config->nzones ? &config->zones[i] : NULL;
}

static void zones_open_some(void *ctx, unsigned worker, size_t begin, size_t end)
{
    struct zone **list = ctx;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        zone_open(list[i]);
}

static void zones_open(struct zone_table *t, struct zone **list, size_t n)
{
    if (n == 0 || (!t->shared.journal && !t->shared.state))
        return;
    par_map(pool_par(t->shared.pool), n, 1, zones_open_some, list);
    if (t->shared.journal)
        journal_loaded_all(t->shared.journal);
}

void zone_table_journal(struct zone_table *t, struct journal *journal, bool async)
{
    t->shared.journal = journal;
    zone_table_async(t, async);
}

void zone_table_keys(struct zone_table *t, const char *state)
{
    t->shared.state = mem_strdup(state);
}

void zone_table_async(struct zone_table *t, bool async)
{
    atomic_store(&t->shared.async, async);
}

void zone_table_apply(struct zone_table *t, struct config *config,
                      const struct zone_table_diff *diff)
{
    struct zone_index *old = atomic_load(&t->index), *made = index_new(config->nzones);
    struct zone **dropped = mem_array(old->n + 1, sizeof dropped[0]);
    struct zone **changed = mem_array(config->nzones + 1, sizeof changed[0]);
    struct zone **added = mem_array(config->nzones + 1, sizeof added[0]);
    size_t ndropped = 0, nchanged = 0, nadded = 0;

    /* Both lists are in name order: one merge. */
    for (size_t i = 0, j = 0; i < old->n || j < config->nzones;) {
        const struct zone_conf *conf = next_conf(config, j);
        int order = i >= old->n ? 1 : !conf ? -1 : name_cmp(old->sorted[i]->name, conf->name);
        if (order < 0) {
            dropped[ndropped++] = zone_ref(old->sorted[i++]);
        } else if (order > 0) {
            index_add(made, added[nadded++] = zone_new(&t->shared, config, conf));
            j++;
        } else {
            index_add(made, zone_ref(changed[nchanged++] = old->sorted[i++]));
            j++;
        }
    }
    zones_open(t, added, nadded);
    old = rcu_swap(&t->index, made);
    for (size_t i = 0; i < nchanged; i++)
        zone_configure(changed[i], config, config_zone(config, changed[i]->name));

    for (size_t i = 0; i < ndropped; i++) {
        zone_retire(dropped[i]);
        if (diff && diff->dropped)
            diff->dropped(diff->ctx, dropped[i]);
        zone_unref(dropped[i]);
    }
    for (size_t i = 0; diff && diff->changed && i < nchanged; i++)
        diff->changed(diff->ctx, changed[i]);
    for (size_t i = 0; diff && diff->added && i < nadded; i++)
        diff->added(diff->ctx, added[i]);
    for (size_t i = 0; i < nadded; i++)
        zone_begin(added[i]);
    rcu_defer(&old->rcu, index_free_deferred);
    mem_free(&dropped);
    mem_free(&changed);
    mem_free(&added);
}
