/* edit: a trie that is being changed, and the records that are not in it yet.
 *
 * Records come one by one, nodes are whole and immutable, so records wait in one of two places:
 *
 *   pending  the owner that is being added to. When another owner comes, its node is built and put. It begins
 *            empty when the owner is new, and with the old node's records when one is taken out of it (edit_del).
 *   late     records of an owner that has a node already: it had its turn, or base has it. Building the node again for each
 *            such visit would make a load of interleaved owners quadratic, so they wait in an arena, and at
 *            the seal (or before anybody looks) they are sorted by owner and every node is built again once.
 *
 * Most transfers come in canonical order. An owner that lies behind the last name of the trie cannot be in it, which
 * saves looking, and its twin in `since` is most likely the one behind the last twin, which saves a descent, too.
 *
 * A set that grows beyond what a node can hold may show up only when late records are merged, in a call that has no
 * way to say so. The first such error is kept and given by the next edit_add and by the seal.
 */
#include "pipeline/zone/edit.h"

#include "pipeline/base/alloc.h"
#include "pipeline/base/arena.h"
#include "pipeline/zone/family.h"

#include <stdlib.h>

struct late_record {
    struct late_record *next;
    uint32_t ttl;
    uint16_t type, len;
    uint8_t rdata[];
};
/* What came for one owner in one visit. */
struct late_visit {
    size_t number; /* order of arrival: keeps the sort stable */
    struct late_record *first, **end;
    uint8_t owner[];
};

enum pending {
    PENDING_NONE,
    PENDING_BUILD, /* the builder holds all of the owner's node, the trie holds none or an older one */
    PENDING_LATE, /* the owner's records go to the last visit */
};

/* What the bounds must allow for on top of the trie. Duplicates are counted until a node is built; with what is late, so is what
 * it costs to keep it, which is many times a small record under a long name. */
struct waiting {
    ptrdiff_t records, bytes;
};

struct edit {
    struct family *family;
    struct trie trie;
    struct snapshot *since;
    struct trie_iter twin; /* in since: behind the last twin found */

    size_t names, records, bytes; /* of the trie */
    struct waiting pending_more, late_more;
    size_t added;
    struct edit_limits limits;
    int error;
    struct why why;

    enum pending pending;
    struct node_builder *builder;
    uint8_t owner[NAME_MAX_OCTETS]; /* of what is pending */
    size_t owner_len;
    struct trie_key key;  /* the owner's */
    struct trie_key last; /* no key of the trie is larger */

    struct snapshot view; /* edit_view's */

    struct arena *arena; /* of the late; made at first need */
    struct late_visit **late;
    size_t late_n, late_room;
};

/* ---- the trie ------------------------------------------------------------------------------------------ */

static bool key_behind(const struct trie_key *a, const struct trie_key *b)
{
    int c = memcmp(a->digit, b->digit, a->len < b->len ? a->len : b->len);
    return c > 0 || (c == 0 && a->len > b->len);
}

static void edit_count(struct edit *e, const struct node *gone, const struct node *came)
{
    if (gone) {
        e->names--;
        e->records -= gone->records;
        e->bytes -= gone->bytes;
    }
    if (came) {
        e->names++;
        e->records += came->records;
        e->bytes += came->bytes;
    }
}

/* The node of the same name in `since`, or NULL. */
static const struct node *edit_twin(struct edit *e, const struct trie_key *key, const uint8_t *name)
{
    if (!e->since)
        return NULL;
    const struct node *guess = e->twin.leaf;
    if (!guess || !name_equal(node_name(guess), name)) {
        bool exact = trie_seek_ge(&e->twin, &e->since->trie, key);
        if (!exact)
            return NULL;
        guess = e->twin.leaf;
    }
    trie_next(&e->twin);
    return guess;
}

/* Takes over the node's reference. */
static void edit_put_node(struct edit *e, const struct trie_key *key, struct node *node)
{
    const struct node *twin = edit_twin(e, key, node_name(node));
    if (twin && node_equal(twin, node)) {
        node_unref(node);
        node = node_ref(twin);
    }
    if (key_behind(key, &e->last)) {
        e->last.len = key->len;
        memcpy(e->last.digit, key->digit, key->len);
    }
    struct node *old = trie_put(&e->trie, key, node);
    edit_count(e, old, node);
    node_unref(old);
}

static bool edit_remove_node(struct edit *e, const struct trie_key *key)
{
    struct node *old = trie_remove(&e->trie, key);
    edit_count(e, old, NULL);
    node_unref(old);
    return old != NULL;
}

static void edit_put_built(struct edit *e, const struct trie_key *key)
{
    struct node *node = node_builder_seal(e->builder);
    if (node)
        edit_put_node(e, key, node);
    else
        edit_remove_node(e, key);
}

/* Errors stay: an edit that left a record out must not be sealed. */
static int edit_fail(struct edit *e, struct why *why)
{
    return why_set(why, e->error, "%s", e->why.text);
}

static void edit_check_limits(struct edit *e, const uint8_t *owner)
{
    char text[NAME_TEXT_MAX];
    size_t records = e->records + (size_t)(e->pending_more.records + e->late_more.records);
    size_t bytes = e->bytes + (size_t)(e->pending_more.bytes + e->late_more.bytes);
    if (e->limits.max_records && records > e->limits.max_records)
        e->error = why_set(&e->why, -E_LIMIT, "%s: zone has more than %zu records",
                           name_print(owner, text), e->limits.max_records);
    else if (e->limits.max_bytes && bytes > e->limits.max_bytes)
        e->error = why_set(&e->why, -E_LIMIT, "%s: zone takes more than %zu octets",
                           name_print(owner, text), e->limits.max_bytes);
}

static void edit_build_add(struct edit *e, const uint8_t *owner, uint16_t type, uint32_t ttl,
                           const uint8_t *rdata, uint16_t len)
{
    char text[NAME_TEXT_MAX];
    if (node_builder_add(e->builder, type, ttl, rdata, len))
        e->error = why_set(&e->why, -E_LIMIT, "%s: more records than one name can hold",
                           name_print(owner, text));
}

/* ---- what waits ---------------------------------------------------------------------------------------- */

static int visit_cmp(const void *a, const void *b)
{
    const struct late_visit *x = *(struct late_visit *const *)a,
                            *y = *(struct late_visit *const *)b;
    int c = name_cmp(x->owner, y->owner);
    return c ? c : (x->number > y->number) - (x->number < y->number);
}

/* All visits of one owner, [0, n), into its node. */
static void late_merge(struct edit *e, struct late_visit *const *visit, size_t n)
{
    struct trie_key key;
    name_key(visit[0]->owner, &key);
    const struct node *old = trie_get(&e->trie, &key);
    node_builder_begin(e->builder, old ? node_name(old) : visit[0]->owner);
    if (old)
        node_builder_add_node(e->builder, old, NULL, NULL);
    for (size_t i = 0; i < n && !e->error; i++)
        for (const struct late_record *r = visit[i]->first; r && !e->error; r = r->next)
            edit_build_add(e, visit[0]->owner, r->type, r->ttl, r->rdata, r->len);
    edit_put_built(e, &key);
}

static void late_merge_all(struct edit *e)
{
    if (e->late_n == 0)
        return;
    qsort(e->late, e->late_n, sizeof e->late[0], visit_cmp);
    for (size_t i = 0, j; i < e->late_n; i = j) {
        for (j = i + 1; j < e->late_n && name_equal(e->late[i]->owner, e->late[j]->owner); j++)
            ;
        late_merge(e, e->late + i, j - i);
    }
    e->late_n = 0;
    e->late_more = (struct waiting){0};
    arena_reset(e->arena);
}

/* The pending owner's node goes into the trie; what is late stays. */
static void edit_settle(struct edit *e)
{
    if (e->pending == PENDING_BUILD)
        edit_put_built(e, &e->key);
    e->pending = PENDING_NONE;
    e->pending_more = (struct waiting){0};
}

static void edit_settle_all(struct edit *e)
{
    edit_settle(e);
    late_merge_all(e);
}

/* ---- one owner's turn ---------------------------------------------------------------------------------- */

static bool edit_is_owner(const struct edit *e, const uint8_t *owner)
{
    return e->pending != PENDING_NONE && owner[0] == e->owner[0] && name_equal(owner, e->owner);
}

static void edit_turn(struct edit *e, const uint8_t *owner, enum pending pending)
{
    e->pending = pending;
    e->owner_len = name_copy(e->owner, owner);
}

static void late_begin(struct edit *e)
{
    if (!e->arena)
        e->arena = arena_new();
    if (e->late_n == e->late_room) {
        e->late_room = e->late_room ? e->late_room * 2 : 64;
        e->late = mem_resize(e->late, e->late_room * sizeof e->late[0]);
    }
    struct late_visit *v = arena_alloc(e->arena, sizeof *v + e->owner_len);
    v->number = e->late_n;
    v->first = NULL;
    v->end = &v->first;
    memcpy(v->owner, e->owner, e->owner_len);
    e->late[e->late_n++] = v;
    e->late_more.bytes += (ptrdiff_t)(sizeof v + sizeof *v + e->owner_len);
}

static void late_add(struct edit *e, uint16_t type, uint32_t ttl, const uint8_t *rdata,
                     uint16_t len)
{
    struct late_visit *v = e->late[e->late_n - 1];
    struct late_record *r = arena_alloc(e->arena, sizeof *r + len);
    e->late_more.bytes += (ptrdiff_t)sizeof *r;
    *r = (struct late_record){.ttl = ttl, .type = type, .len = len};
    if (len)
        memcpy(r->rdata, rdata, len);
    *v->end = r;
    v->end = &r->next;
}

static void edit_turn_to_add(struct edit *e, const uint8_t *owner)
{
    edit_settle(e);
    name_key(owner, &e->key);
    bool fresh =
        trie_empty(&e->trie) || key_behind(&e->key, &e->last) || !trie_get(&e->trie, &e->key);
    edit_turn(e, owner, fresh ? PENDING_BUILD : PENDING_LATE);
    if (fresh)
        node_builder_begin(e->builder, owner);
    else
        late_begin(e);
}

/* ---- the interface ------------------------------------------------------------------------------------- */

struct edit *edit_open(struct family *family, const struct snapshot *base,
                       const struct snapshot *since)
{
    ASSERT(!base || base->family == family);
    struct edit *e = mem_zalloc(sizeof *e);
    struct trie_pool *pool = family_write_begin(family);
    e->family = family_ref(family);
    e->since = since ? snapshot_ref(since) : NULL;
    e->builder = node_builder_new();
    trie_init(&e->trie, pool);
    if (!base)
        return e;
    trie_copy(&e->trie, &base->trie);
    e->names = base->names;
    e->records = base->records;
    e->bytes = base->bytes;
    const struct node *last = trie_last(&e->twin, &e->trie);
    if (last)
        name_key(node_name(last), &e->last);
    e->twin.leaf = NULL;
    return e;
}

void edit_limit(struct edit *e, const struct edit_limits *limits)
{
    e->limits = *limits;
}

const struct node *edit_get(struct edit *e, const uint8_t *name)
{
    struct trie_key key;
    edit_settle_all(e);
    name_key(name, &key);
    return trie_get(&e->trie, &key);
}

const struct snapshot *edit_view(struct edit *e)
{
    edit_settle_all(e);
    e->view = (struct snapshot){.family = e->family,
                                .trie = e->trie,
                                .names = e->names,
                                .records = e->records,
                                .bytes = e->bytes};
    return &e->view;
}

void edit_put(struct edit *e, struct node *node)
{
    struct trie_key key;
    edit_settle_all(e);
    name_key(node_name(node), &key);
    edit_put_node(e, &key, node);
}

bool edit_remove(struct edit *e, const uint8_t *name)
{
    struct trie_key key;
    edit_settle_all(e);
    name_key(name, &key);
    return edit_remove_node(e, &key);
}

int edit_add(struct edit *e, const uint8_t *owner, uint16_t type, uint32_t ttl,
             const uint8_t *rdata, uint16_t len, struct why *why)
{
    if (e->error)
        return edit_fail(e, why);
    if (!edit_is_owner(e, owner))
        edit_turn_to_add(e, owner);
    struct waiting *more = e->pending == PENDING_LATE ? &e->late_more : &e->pending_more;
    more->records++;
    more->bytes += len + (ptrdiff_t)sizeof(uint16_t);
    e->added++;
    edit_check_limits(e, owner);
    if (e->error)
        return edit_fail(e, why);
    if (e->pending == PENDING_LATE)
        late_add(e, type, ttl, rdata, len);
    else
        edit_build_add(e, owner, type, ttl, rdata, len);
    return e->error ? edit_fail(e, why) : 0;
}

static void edit_turn_to_del(struct edit *e, const uint8_t *owner)
{
    edit_settle_all(e);
    name_key(owner, &e->key);
    const struct node *node = trie_get(&e->trie, &e->key);
    edit_turn(e, node ? node_name(node) : owner, PENDING_BUILD);
    node_builder_begin(e->builder, e->owner);
    if (node)
        node_builder_add_node(e->builder, node, NULL, NULL);
}

int edit_del(struct edit *e, const uint8_t *owner, uint16_t type, const uint8_t *rdata,
             uint16_t len, struct why *why)
{
    char text[NAME_TEXT_MAX], type_text[RRTYPE_TEXT_MAX];
    if (e->error)
        return edit_fail(e, why);
    if (!edit_is_owner(e, owner) || e->pending == PENDING_LATE)
        edit_turn_to_del(e, owner);
    if (!node_builder_remove(e->builder, type, rdata, len))
        return why_set(why, -E_NOENT, "%s %s: no such record", name_print(owner, text),
                       rrtype_print(type, type_text));
    e->pending_more.records--;
    e->pending_more.bytes -= len + (ptrdiff_t)sizeof(uint16_t);
    return 0;
}

void edit_abort(struct edit **edit)
{
    struct edit *e = *edit;
    if (!e)
        return;
    trie_fini(&e->trie);
    snapshot_unref(e->since);
    family_write_end(e->family);
    family_unref(e->family);
    node_builder_free(&e->builder);
    arena_free(&e->arena);
    mem_free(&e->late);
    mem_free(edit);
}

int edit_seal(struct edit **edit, struct snapshot **snapshot, struct changeset **changes,
              struct why *why)
{
    struct edit *e = *edit;
    edit_settle_all(e);
    if (!e->error)
        edit_check_limits(e, family_apex(e->family));
    int rc = e->error ? edit_fail(e, why) : 0;
    if (!rc) {
        struct snapshot *made = snapshot_new(e->family, &e->trie, e->names, e->records, e->bytes);
        if (changes)
            *changes = changeset_between(e->since, made);
        *snapshot = made;
    }
    edit_abort(edit);
    return rc;
}

size_t edit_records(const struct edit *e)
{
    return e->added;
}
