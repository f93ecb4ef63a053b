/* family: who may write, and who buries the dead.
 *
 * Branch counts are plain integers, so all that changes them must be one thread at a time: an edit, or the freeing
 * of dead snapshots. The family's state says which goes on: idle, editing, reaping. A mutex guards state and the
 * list of dead only, for a few instructions; nobody holds it while he works, and nobody has two. So a few mutexes
 * do for all families: a server has one or more of these a zone, and ten thousands of zones.
 *
 * The last unref of a snapshot puts it on the list. If somebody is writing, that one finds it: nobody becomes idle
 * before he saw the list empty under the mutex, so none is forgotten. If the family is idle, the thread of
 * the unref sees to it: through hand_over if there is one (asked for once, until a reap has begun), else itself.
 *
 * Every snapshot holds its family, the dead included, so a family dies after its last snapshot was freed, and the pool
 * is empty then.
 */
#include "pipeline/zone/family.h"

#include "pipeline/base/alloc.h"

#include <pthread.h>
#include <stdatomic.h>

enum family_state { FAMILY_IDLE, FAMILY_EDITING, FAMILY_REAPING };

struct family {
    _Atomic uint32_t refs;
    /* all below but pool and apex: by the gate's mutex */
    uint8_t state;          /* enum family_state */
    bool handed_over;       /* somebody was asked to reap and has not begun */
    struct trie_pool *pool; /* of whoever took the state from idle */
    pthread_t editor;       /* who opened the edit */
    struct snapshot *dead;  /* by next_dead */
    void (*hand_over)(void *ctx, struct family *family);
    void *hand_over_ctx;
    uint8_t apex[];
};

enum { GATES = 16 };
static struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t idle; /* some family of those that share the gate has become idle */
} gates[GATES] = {[0 ... GATES - 1] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER}};

static struct gate *gate_of(const struct family *f)
{
    return &gates[((uintptr_t)f >> 4) * 0x9E3779B97F4A7C15u >> 60];
}
static void family_lock(const struct family *f)
{
    pthread_mutex_lock(&gate_of(f)->mutex);
}
static void family_unlock(const struct family *f)
{
    pthread_mutex_unlock(&gate_of(f)->mutex);
}

struct family *family_new(const uint8_t *apex)
{
    struct family *f = mem_zalloc(sizeof *f + name_len(apex));
    atomic_init(&f->refs, 1);
    f->pool = trie_pool_new(&node_leaf_ops);
    name_copy(f->apex, apex);
    return f;
}

struct family *family_beside(struct family *family)
{
    struct family *f = family_new(family->apex);
    family_lock(family);
    f->hand_over = family->hand_over;
    f->hand_over_ctx = family->hand_over_ctx;
    family_unlock(family);
    return f;
}

struct family *family_ref(struct family *family)
{
    uint32_t was = atomic_fetch_add_explicit(&family->refs, 1, memory_order_relaxed);
    ASSERT(was > 0 && was < UINT32_MAX);
    return family;
}

void family_unref(struct family *family)
{
    if (!family)
        return;
    uint32_t was = atomic_fetch_sub_explicit(&family->refs, 1, memory_order_acq_rel);
    ASSERT(was > 0);
    if (was > 1)
        return;
    ASSERT(family->state == FAMILY_IDLE && !family->dead);
    trie_pool_free(&family->pool);
    mem_free(&family);
}

const uint8_t *family_apex(const struct family *family)
{
    return family->apex;
}

void family_set_hand_over(struct family *family, void (*fn)(void *ctx, struct family *family),
                          void *ctx)
{
    family_lock(family);
    family->hand_over = fn;
    family->hand_over_ctx = ctx;
    family_unlock(family);
}

void family_stats(struct family *family, struct trie_stats *out)
{
    trie_pool_stats(family->pool, out);
}

static void bury(struct snapshot *dead)
{
    while (dead) {
        struct snapshot *s = dead;
        dead = s->next_dead;
        trie_fini(&s->trie);
        family_unref(s->family); /* never the last: the caller has one */
        mem_free(&s);
    }
}

/* With the gate held, the state not idle and a reference on the family; all are given up but the reference. */
static void bury_and_become_idle(struct family *f)
{
    while (f->dead) {
        struct snapshot *dead = f->dead;
        f->dead = NULL;
        family_unlock(f);
        bury(dead);
        family_lock(f);
    }
    f->state = FAMILY_IDLE;
    f->handed_over = false;
    pthread_cond_broadcast(&gate_of(f)->idle);
    family_unlock(f);
}

/* With the gate held; gives it up. */
static void reap(struct family *f)
{
    family_ref(f);
    f->state = FAMILY_REAPING;
    bury_and_become_idle(f);
    family_unref(f);
}

void family_reap(struct family *family)
{
    family_lock(family);
    if (family->state == FAMILY_IDLE && family->dead)
        reap(family);
    else
        family_unlock(family);
}

struct trie_pool *family_write_begin(struct family *family)
{
    family_lock(family);
    while (family->state != FAMILY_IDLE) {
        ASSERT(family->state == FAMILY_REAPING || !pthread_equal(family->editor, pthread_self()));
        pthread_cond_wait(&gate_of(family)->idle, &gate_of(family)->mutex);
    }
    family->state = FAMILY_EDITING;
    family->editor = pthread_self();
    family_unlock(family);
    return family->pool;
}

void family_write_end(struct family *family)
{
    family_lock(family);
    ASSERT(family->state == FAMILY_EDITING);
    bury_and_become_idle(family);
}

static void snapshot_die(struct snapshot *s)
{
    struct family *f = s->family;
    family_lock(f);
    s->next_dead = f->dead;
    f->dead = s;
    if (f->state != FAMILY_IDLE || f->handed_over) {
        family_unlock(f);
    } else if (f->hand_over) {
        void (*fn)(void *ctx, struct family *family) = f->hand_over;
        void *ctx = f->hand_over_ctx;
        f->handed_over = true;
        family_ref(f); /* a reap elsewhere may free the last snapshot meanwhile */
        family_unlock(f);
        fn(ctx, f);
        family_unref(f);
    } else {
        reap(f);
    }
}

struct snapshot *snapshot_new(struct family *family, struct trie *trie, size_t names,
                              size_t records, size_t bytes)
{
    struct snapshot *s = mem_zalloc(sizeof *s);
    atomic_init(&s->refs, 1);
    s->family = family_ref(family);
    s->trie = *trie;
    s->names = names;
    s->records = records;
    s->bytes = bytes;
    trie->root = 0;
    return s;
}

struct snapshot *snapshot_ref(const struct snapshot *s)
{
    /* Counting is the one thing that holders of a const snapshot change. */
    struct snapshot *own = (struct snapshot *)(uintptr_t)s;
    uint32_t was = atomic_fetch_add_explicit(&own->refs, 1, memory_order_relaxed);
    ASSERT(was > 0 && was < UINT32_MAX);
    return own;
}

void snapshot_unref(struct snapshot *s)
{
    if (!s)
        return;
    uint32_t was = atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel);
    ASSERT(was > 0);
    if (was == 1)
        snapshot_die(s);
}
