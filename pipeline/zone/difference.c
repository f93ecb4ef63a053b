/* difference: owners are opened once a batch.
 *
 * Records of one owner that follow each other make one visit, with the owner stored once; visits are sorted by owner and
 * arrival. A node's builder then takes all visits of its owner.
 *
 * TTLs. A deletion is matched by rdata in canonical form alone, as in RFC 2136 3.4.2.4 and in every peer: NSD, Knot and BIND
 * all write the old TTL there, but when the TTL of a set changed in several steps which of them is "old" is theirs
 * to know. A changed TTL comes in one of two ways: the set's records deleted and added again (BIND, Knot, NSD), or added
 * though they are there (who compares by rdata alone). Both are taken. The same record with the same TTL added again
 * is a difference from something that we do not have.
 *
 * A set whose records came with different TTLs is kept under the smallest (RFC 2181 5.2), and what each of them
 * had is gone. To take one out of it and to go on with that smallest TTL would give another zone than a full transfer gives,
 * so that is refused, unless nothing that was in the set before stays.
 */
#include "pipeline/zone/difference.h"

#include "pipeline/base/alloc.h"
#include "pipeline/base/arena.h"

#include <stdlib.h>
#include <string.h>

struct kept {
    struct kept *next;
    size_t message;
    uint32_t ttl, record;
    uint16_t type, len;
    bool add;
    uint8_t rdata[];
};
struct visit {
    size_t number; /* order of arrival: keeps the sort stable */
    struct kept *first, **end;
    uint8_t owner[];
};
struct difference {
    struct arena *arena;
    struct visit **visit;
    size_t n, room, records, bytes;
    struct node_builder *builder;
    size_t live; /* records in it */
};

struct difference *difference_new(void)
{
    struct difference *d = mem_zalloc(sizeof *d);
    d->arena = arena_new();
    d->builder = node_builder_new();
    return d;
}

void difference_free(struct difference **d)
{
    if (!*d)
        return;
    node_builder_free(&(*d)->builder);
    arena_free(&(*d)->arena);
    mem_free(&(*d)->visit);
    mem_free(d);
}

bool difference_full(const struct difference *d)
{
    return d->records >= DIFFERENCE_BATCH || d->bytes >= DIFFERENCE_BYTES;
}

static struct visit *visit_of(struct difference *d, const uint8_t *owner)
{
    size_t len = name_len(owner);
    struct visit *last = d->n ? d->visit[d->n - 1] : NULL;
    if (last && name_len(last->owner) == len && memcmp(last->owner, owner, len) == 0)
        return last; /* letters count: see owner_apply */
    if (d->n == d->room) {
        d->room = d->room ? d->room * 2 : 64;
        d->visit = mem_resize(d->visit, d->room * sizeof d->visit[0]);
    }
    struct visit *v = arena_alloc(d->arena, sizeof *v + len);
    v->number = d->n;
    v->first = NULL;
    v->end = &v->first;
    memcpy(v->owner, owner, len);
    d->bytes += sizeof *v + len;
    d->visit[d->n++] = v;
    return v;
}

void difference_put(struct difference *d, const struct difference_record *r)
{
    struct visit *v = visit_of(d, r->owner);
    struct kept *k = arena_alloc(d->arena, sizeof *k + r->len);
    *k = (struct kept){.message = r->message,
                       .ttl = r->ttl,
                       .record = r->record,
                       .type = r->type,
                       .len = r->len,
                       .add = r->add};
    if (r->len)
        memcpy(k->rdata, r->rdata, r->len);
    *v->end = k;
    v->end = &k->next;
    d->records++;
    d->bytes += sizeof *k + r->len;
}

/* ---- applying */

static int refuse(const uint8_t *owner, const struct kept *k, struct why *why, int code,
                  const char *what)
{
    char name[NAME_TEXT_MAX], type[RRTYPE_TEXT_MAX];
    return why_set(why, code, "message %zu, record %u (%.200s %s): %s", k->message, k->record,
                   name_print(owner, name), rrtype_print(k->type, type), what);
}

static int record_delete(struct difference *d, const uint8_t *owner, const struct kept *k,
                         struct why *why)
{
    if (node_builder_remove(d->builder, k->type, k->rdata, k->len)) {
        d->live--;
        return 0;
    }
    return refuse(owner, k, why, -E_UNFIT, "to be deleted, but we do not have it");
}

static int record_add(struct difference *d, const uint8_t *owner, const struct kept *k,
                      struct why *why)
{
    uint32_t ttl;
    bool mixed;
    if (node_builder_find(d->builder, k->type, k->rdata, k->len, &ttl, &mixed)) {
        if (ttl == k->ttl && !mixed)
            return refuse(owner, k, why, -E_UNFIT, "to be added, but we have it already");
        (void)node_builder_remove(d->builder, k->type, k->rdata, k->len);
        d->live--;
    }
    if (d->live++ == 0)
        node_builder_rename(d->builder, owner);
    if (node_builder_add(d->builder, k->type, k->ttl, k->rdata, k->len))
        return refuse(owner, k, why, -E_LIMIT, "more records than one name can hold");
    return 0;
}

/* All visits of one owner, [0, n), to its node. Its letters stay while a record does, as they would in a full transfer; when
 * all are replaced, those of the new ones count. */
static int owner_apply(struct difference *d, struct edit *e, struct visit *const *visit, size_t n,
                       struct why *why)
{
    const uint8_t *owner = visit[0]->owner;
    const struct node *old = edit_get(e, owner);
    const struct kept *last = NULL;
    d->live = old ? old->records : 0;
    node_builder_begin(d->builder, old ? node_name(old) : owner);
    if (old)
        node_builder_add_node(d->builder, old, NULL, NULL);
    for (size_t i = 0; i < n; i++)
        for (const struct kept *k = visit[i]->first; k; k = k->next) {
            int rc = k->add ? record_add(d, visit[i]->owner, k, why)
                            : record_delete(d, visit[i]->owner, k, why);
            if (rc < 0)
                return rc;
            last = k;
        }
    if (node_builder_ttl_unknown(d->builder))
        return refuse(owner, last, why, -E_UNFIT,
                      "records leave a set that came with different TTLs (RFC 2181 5.2): which of "
                      "them stays is not known");
    struct node *node = node_builder_seal(d->builder);
    if (node)
        edit_put(e, node);
    else
        edit_remove(e, owner);
    return 0;
}

static int visit_cmp(const void *a, const void *b)
{
    const struct visit *x = *(struct visit *const *)a, *y = *(struct visit *const *)b;
    int c = name_cmp(x->owner, y->owner);
    return c ? c : (x->number > y->number) - (x->number < y->number);
}

int difference_apply(struct difference *d, struct edit *e, struct why *why)
{
    int rc = 0;
    if (d->n)
        qsort(d->visit, d->n, sizeof d->visit[0], visit_cmp);
    for (size_t i = 0, j; i < d->n && !rc; i = j) {
        for (j = i + 1; j < d->n && name_equal(d->visit[i]->owner, d->visit[j]->owner); j++)
            ;
        rc = owner_apply(d, e, d->visit + i, j - i, why);
    }
    d->n = d->records = d->bytes = 0;
    arena_reset(d->arena);
    return rc;
}
