/* snapshot_test: where names lie, against looking at every node; and versions that die while others are read and made.
 */
#include "pipeline/base/alloc.h"
#include "tests/lib/expect.h"
#include "tests/lib/random.h"
#include "tests/lib/suite.h"
#include "tests/lib/zone_model.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

static struct random rnd;

static unsigned below(unsigned n)
{
    return (unsigned)random_below(&rnd, n);
}

static uint8_t apex[NAME_MAX_OCTETS] = "\1z";

/* At or below the apex; up to four labels, of few kinds, one a prefix of another, one sorting before all. */
static void random_name(uint8_t *out)
{
    static const char *const label[] = {"a", "B", "ab", "*", "\001", "b-"};
    uint8_t *p = out;
    for (unsigned n = below(5); n > 0; n--) {
        const char *l = label[below(sizeof label / sizeof label[0])];
        *p = (uint8_t)strlen(l);
        memcpy(p + 1, l, *p);
        p += 1 + *p;
    }
    name_copy(p, apex);
}

static void model_add_type(struct zone_model *m, const uint8_t *owner, uint16_t type)
{
    static const uint8_t target[] = "\1t\1z", soa[24] = "\1m";
    static const uint8_t address[4] = {10, 0, 0, 1};
    if (type == RR_A)
        model_add(m, owner, type, 60, address, sizeof address);
    else if (type == RR_SOA)
        model_add(m, owner, type, 60, soa, sizeof soa);
    else
        model_add(m, owner, type, 60, target, sizeof target);
}

static struct snapshot *snapshot_of(struct family *family, const struct zone_model *m)
{
    struct snapshot *s;
    struct edit *e = edit_open(family, NULL, NULL);
    for (unsigned i = 0; i < m->n; i++)
        edit_put(e, node_ref(m->node[i]));
    EXPECT_EQ(edit_seal(&e, &s, NULL, NULL), 0);
    return s;
}

/* ---- where names lie, the long way --------------------------------------------------------------------- */

static bool model_exists(const struct zone_model *m, const uint8_t *name)
{
    for (unsigned i = 0; i < m->n; i++)
        if (name_at_or_below(node_name(m->node[i]), name))
            return true;
    return false;
}

static void model_locate(const struct zone_model *m, const uint8_t *name, struct locate *out)
{
    *out = (struct locate){.node = model_get(m, name), .exists = model_exists(m, name)};
    unsigned labels = name_labels(name), apex_labels = name_labels(apex);
    for (unsigned n = 0; n <= labels; n++) { /* down from the root */
        const uint8_t *above = name_strip(name, labels - n);
        const struct node *node = model_get(m, above);
        if (model_exists(m, above))
            out->encloser_labels = n;
        if (n < labels && node)
            out->encloser = node;
        if (!node || out->cut || out->dname)
            continue;
        if (n > apex_labels && node_has(node, RR_NS))
            out->cut = node;
        else if (n < labels && node_has(node, RR_DNAME))
            out->dname = node;
    }
}

static enum name_status model_status(const struct zone_model *m, const struct node *node)
{
    struct locate at;
    model_locate(m, node_name(node), &at);
    return at.cut == node ? NAME_CUT : at.cut || at.dname ? NAME_OCCLUDED : NAME_AUTHORITATIVE;
}

static const struct node *model_before(const struct zone_model *m, const uint8_t *name)
{
    const struct node *before = m->n > 0 ? m->node[0] : NULL;
    for (unsigned i = 0; i < m->n && name_cmp(node_name(m->node[i]), name) < 0; i++)
        if (model_status(m, m->node[i]) != NAME_OCCLUDED)
            before = m->node[i];
    return before;
}

static bool model_has_below(const struct zone_model *m, const uint8_t *name)
{
    for (unsigned i = 0; i < m->n; i++)
        if (name_at_or_below(node_name(m->node[i]), name) &&
            !name_equal(node_name(m->node[i]), name))
            return true;
    return false;
}

static void expect_located(const struct zone_model *m, const struct snapshot *s,
                           const uint8_t *name)
{
    struct locate want, got;
    model_locate(m, name, &want);
    snapshot_locate(s, name, &got);
    EXPECT_PTR(got.node, want.node);
    EXPECT_PTR(got.cut, want.cut);
    EXPECT_PTR(got.dname, want.dname);
    EXPECT_PTR(got.encloser, want.encloser);
    EXPECT_EQ(got.encloser_labels, want.encloser_labels);
    EXPECT_EQ(got.exists, want.exists);
    EXPECT_EQ(snapshot_has_below(s, name), model_has_below(m, name));
    EXPECT_PTR(snapshot_get(s, name), want.node);
    EXPECT_PTR(snapshot_authoritative_before(s, name), model_before(m, name));
}

static void expect_seeks(const struct zone_model *m, const struct snapshot *s, const uint8_t *name)
{
    struct snapshot_iter it;
    bool exact;
    unsigned at = 0;
    while (at < m->n && name_cmp(node_name(m->node[at]), name) < 0)
        at++;
    bool there = at < m->n && name_equal(node_name(m->node[at]), name);
    EXPECT_PTR(snapshot_seek_ge(&it, s, name, &exact), at < m->n ? m->node[at] : NULL);
    EXPECT_EQ(exact, there);
    EXPECT_PTR(snapshot_seek_le(&it, s, name, &exact), there    ? m->node[at]
                                                       : at > 0 ? m->node[at - 1]
                                                                : NULL);
    EXPECT_EQ(exact, there);
}

START_TEST(names_are_located)
{
    static const uint8_t apexes[][4] = {"\1z", "", "\2*z"};
    static struct zone_model m;
    unsigned seen[3] = {0};
    for (int round = 0; round < 600; round++) {
        name_copy(apex, apexes[round % 3]);
        struct family *family = family_new(apex);
        static const uint16_t type[] = {RR_A, RR_A, RR_A, RR_NS, RR_DNAME};
        if (below(8))
            model_add_type(&m, apex, below(2) ? RR_SOA : RR_NS);
        if (below(16) == 0)
            model_add_type(&m, apex, RR_DNAME);
        for (unsigned n = below(below(2) ? 60 : 8); n > 0; n--) {
            uint8_t owner[NAME_MAX_OCTETS];
            random_name(owner);
            if (!name_equal(owner, apex))
                model_add_type(&m, owner, type[below(round % 2 ? 4 : 5)]);
        }
        struct snapshot *s = snapshot_of(family, &m);
        model_expect_snapshot(&m, s);
        for (unsigned n = 0; n < 60; n++) {
            uint8_t name[NAME_MAX_OCTETS];
            random_name(name);
            expect_located(&m, s, name);
            expect_seeks(&m, s, name);
        }
        struct status_walk walk;
        status_walk_begin(&walk, s);
        for (unsigned i = 0; i < m.n; i++) {
            enum name_status want = model_status(&m, m.node[i]);
            EXPECT_EQ(snapshot_status(s, m.node[i]), want);
            EXPECT_EQ(status_walk_step(&walk, m.node[i]), want);
            expect_located(&m, s, node_name(m.node[i]));
            seen[want]++;
        }
        snapshot_unref(s);
        family_unref(family);
        model_clear(&m);
    }
    EXPECT(seen[NAME_AUTHORITATIVE] > 1000 && seen[NAME_CUT] > 1000 && seen[NAME_OCCLUDED] > 1000);
    name_copy(apex, apexes[0]);
}
END_TEST

/* What a walk over all nodes says. */
static void expect_nsec3_around(const struct snapshot *s, const uint8_t *name)
{
    const struct node *first = NULL, *last = NULL, *before = NULL, *upto = NULL, *after = NULL;
    const struct node *signed_after = NULL;
    struct snapshot_iter it;
    for (const struct node *node = snapshot_first(&it, s); node; node = snapshot_next(&it)) {
        int where = name_cmp(node_name(node), name);
        if (where > 0 && !signed_after && node_has(node, RR_RRSIG))
            signed_after = node;
        if (!node_has(node, RR_NSEC3))
            continue;
        first = first ? first : node;
        last = node;
        before = where < 0 ? node : before;
        upto = where <= 0 ? node : upto;
        after = where > 0 && !after ? node : after;
    }
    EXPECT_PTR(snapshot_nsec3_first(s), first);
    EXPECT_PTR(snapshot_nsec3_last(s), last);
    EXPECT_PTR(snapshot_nsec3_before(s, name), before);
    EXPECT_PTR(snapshot_nsec3_at_or_before(s, name), upto);
    EXPECT_PTR(snapshot_nsec3_after(s, name), after);
    EXPECT_PTR(snapshot_signed_after(s, name), signed_after);
}

static void two_letters(uint8_t out[NAME_MAX_OCTETS])
{
    out[0] = 2;
    out[1] = (uint8_t)('a' + below(26));
    out[2] = (uint8_t)('a' + below(26));
    name_copy(out + 3, apex);
}

/* Names of two letters below the apex, with and without NSEC3, with and without a signature: new, gone, replaced, and all but NSEC3 kept. */
static void change_nsec3(struct edit *e, unsigned changes, unsigned one_in)
{
    static const uint8_t nsec3[] = {1, 0, 0, 0, 0, 1, 9}, a[] = {192, 0, 2, 1}, rrsig[20] = {0, 1};
    for (; changes > 0; changes--) {
        uint8_t name[NAME_MAX_OCTETS];
        two_letters(name);
        const struct node *was = edit_get(e, name);
        bool had = was && node_has(was, RR_NSEC3);
        if (below(2))
            edit_remove(e, name);
        else
            EXPECT_EQ(edit_del(e, name, RR_NSEC3, nsec3, sizeof nsec3, NULL), had ? 0 : -E_NOENT);
        if (below(4) > 0)
            EXPECT_EQ(edit_add(e, name, RR_A, 300, a, sizeof a, NULL), 0);
        if (below(one_in) == 0)
            EXPECT_EQ(edit_add(e, name, RR_NSEC3, 300, nsec3, sizeof nsec3, NULL), 0);
        if (below(2 * one_in) == 0)
            EXPECT_EQ(edit_add(e, name, RR_RRSIG, 300, rrsig, sizeof rrsig, NULL), 0);
    }
}

START_TEST(nsec3_neighbours)
{
    enum { NODES = 200, ROUNDS = 40, STEPS = 25, CHANGES = 3, NAMES = 20 };
    unsigned without = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct family *family = family_new(apex);
        struct snapshot *s = NULL;
        uint8_t look[NAME_MAX_OCTETS];
        unsigned one_in = 1u << below(10);
        for (unsigned step = 0; step < STEPS; step++) {
            struct edit *e = edit_open(family, s, s);
            struct snapshot *next;
            change_nsec3(e, step ? CHANGES : NODES, one_in);
            two_letters(look);
            expect_nsec3_around(edit_view(e), look); /* while it is being changed, too */
            change_nsec3(e, step ? CHANGES : 0, one_in);
            EXPECT_EQ(edit_seal(&e, &next, NULL, NULL), 0);
            snapshot_unref(s);
            s = next;
            without += !snapshot_nsec3_first(s);
            for (unsigned i = 0; i < NAMES; i++) {
                uint8_t name[NAME_MAX_OCTETS];
                const struct node *some;
                (i % 4 ? two_letters : random_name)(name);
                expect_nsec3_around(s, name);
                if ((some = snapshot_nsec3_after(s, name)))
                    expect_nsec3_around(s, node_name(some));
            }
        }
        snapshot_unref(s);
        family_unref(family);
    }
    EXPECT(without > 0 && without < ROUNDS * STEPS / 2);
}
END_TEST

START_TEST(soa_fields)
{
    static const uint8_t rdata[] = "\2ns\1z\0\1h\0"
                                   "\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5";
    struct family *family = family_new(apex);
    struct snapshot *s;
    struct soa soa;
    struct edit *e = edit_open(family, NULL, NULL);
    EXPECT_EQ(edit_seal(&e, &s, NULL, NULL), 0);
    EXPECT(!snapshot_soa(s, &soa) && !snapshot_apex(s) && s->names == 0);
    snapshot_unref(s);
    e = edit_open(family, NULL, NULL);
    EXPECT_EQ(edit_add(e, apex, RR_SOA, 77, rdata, sizeof rdata - 1, NULL), 0);
    EXPECT_EQ(edit_seal(&e, &s, NULL, NULL), 0);
    EXPECT(snapshot_soa(s, &soa));
    EXPECT(soa.serial == 1 && soa.refresh == 2 && soa.retry == 3 && soa.expire == 4 &&
           soa.minimum == 5 && soa.ttl == 77);
    snapshot_unref(s);
    family_unref(family);
}
END_TEST

/* ---- death --------------------------------------------------------------------------------------------- */

static struct snapshot *version_after(struct family *family, const struct snapshot *s, uint32_t n)
{
    struct snapshot *next;
    struct edit *e = edit_open(family, s, s);
    for (unsigned i = 0; i < 8; i++) {
        uint8_t owner[NAME_MAX_OCTETS], rdata[4];
        uint8_t *p = owner;
        *p++ = 2;
        *p++ = (uint8_t)('a' + (n * 7 + i) % 23);
        *p++ = (uint8_t)('a' + (n + i * 5) % 19);
        name_copy(p, apex);
        put_u32(rdata, n);
        edit_remove(e, owner);
        if ((n + i) % 5)
            EXPECT_EQ(edit_add(e, owner, RR_A, 60, rdata, sizeof rdata, NULL), 0);
    }
    EXPECT_EQ(edit_seal(&e, &next, NULL, NULL), 0);
    return next;
}

static size_t family_branches(struct family *family)
{
    struct trie_stats stats;
    family_stats(family, &stats);
    return stats.branches;
}

static void count_hand_over(void *ctx, struct family *family)
{
    (void)family;
    (*(unsigned *)ctx)++;
}

START_TEST(who_buries)
{
    unsigned asked = 0;
    struct family *family = family_new(apex);
    struct snapshot *a = version_after(family, NULL, 1), *b = version_after(family, a, 2), *c;
    /* Nobody writes, nobody to hand over to: on the spot. */
    size_t both = family_branches(family);
    snapshot_unref(a);
    EXPECT(family_branches(family) < both);
    /* Handed over, once until it is done. */
    family_set_hand_over(family, count_hand_over, &asked);
    c = version_after(family, b, 3);
    both = family_branches(family);
    snapshot_unref(b);
    EXPECT_EQ(asked, 1);
    EXPECT_EQ(family_branches(family), both);
    b = version_after(family, NULL, 4); /* an edit's end buries, too */
    a = version_after(family, c, 5);
    both = family_branches(family);
    snapshot_unref(c);
    EXPECT_EQ(asked, 2);
    snapshot_unref(b);
    EXPECT_EQ(asked, 2);
    family_reap(family);
    EXPECT(family_branches(family) < both);
    /* An edit is open: its end buries, family_reap does not. */
    struct edit *e = edit_open(family, NULL, NULL);
    both = family_branches(family);
    snapshot_unref(a);
    family_reap(family);
    EXPECT_EQ(family_branches(family), both);
    edit_abort(&e);
    EXPECT_EQ(family_branches(family), 0);
    EXPECT_EQ(asked, 2);
    family_unref(family);
}
END_TEST

START_TEST(second_edit_of_a_thread)
{
    struct family *family = family_new(apex);
    struct edit *e = edit_open(family, NULL, NULL);
    (void)e;
    (void)edit_open(family, NULL, NULL);
}
END_TEST

/* ---- threads ------------------------------------------------------------------------------------------- */

enum { READERS = 4, WRITES = 400, HELD = 4 };

struct stage {
    struct family *family;
    pthread_mutex_t mutex; /* of current */
    pthread_cond_t wanted; /* the reaper's */
    struct snapshot *current;
    unsigned to_reap;
    bool over;
    struct random seed;
};

static struct snapshot *stage_take(struct stage *t)
{
    pthread_mutex_lock(&t->mutex);
    struct snapshot *s = t->current ? snapshot_ref(t->current) : NULL;
    pthread_mutex_unlock(&t->mutex);
    return s;
}

static bool stage_over(struct stage *t)
{
    pthread_mutex_lock(&t->mutex);
    bool over = t->over;
    pthread_mutex_unlock(&t->mutex);
    return over;
}

/* A version read in whole counts what it says it holds. */
static void read_whole(const struct snapshot *s)
{
    struct snapshot_iter it;
    size_t names = 0, records = 0;
    for (const struct node *node = snapshot_first(&it, s); node; node = snapshot_next(&it)) {
        struct locate at;
        snapshot_locate(s, node_name(node), &at);
        EXPECT_PTR(at.node, node);
        names++;
        records += node->records;
    }
    EXPECT_EQ(names, s->names);
    EXPECT_EQ(records, s->records);
}

static void *reader(void *ctx)
{
    struct stage *t = ctx;
    struct snapshot *held[HELD] = {NULL};
    pthread_mutex_lock(&t->mutex);
    struct random own = random_fork(&t->seed);
    pthread_mutex_unlock(&t->mutex);
    while (!stage_over(t)) {
        unsigned i = (unsigned)random_below(&own, HELD), j = (unsigned)random_below(&own, HELD);
        snapshot_unref(held[i]);
        held[i] = stage_take(t);
        if (held[i])
            read_whole(held[i]);
        if (held[i] && held[j]) /* also compares versions whose successors are being made */
            changeset_unref(changeset_between(held[j], held[i]));
    }
    for (unsigned i = 0; i < HELD; i++)
        snapshot_unref(held[i]);
    return NULL;
}

static void wake_reaper(void *ctx, struct family *family)
{
    struct stage *t = ctx;
    EXPECT_PTR(family, t->family);
    pthread_mutex_lock(&t->mutex);
    t->to_reap++;
    pthread_cond_signal(&t->wanted);
    pthread_mutex_unlock(&t->mutex);
}

static void *reaper(void *ctx)
{
    struct stage *t = ctx;
    pthread_mutex_lock(&t->mutex);
    while (!t->over || t->to_reap) {
        if (!t->to_reap) {
            pthread_cond_wait(&t->wanted, &t->mutex);
            continue;
        }
        t->to_reap--;
        pthread_mutex_unlock(&t->mutex);
        family_reap(t->family);
        pthread_mutex_lock(&t->mutex);
    }
    pthread_mutex_unlock(&t->mutex);
    return NULL;
}

static void threads_run(bool hand_over)
{
    struct stage t = {.family = family_new(apex), .seed = rnd};
    pthread_t thread[READERS + 1];
    const unsigned threads = READERS + (hand_over ? 1u : 0u);
    pthread_mutex_init(&t.mutex, NULL);
    pthread_cond_init(&t.wanted, NULL);
    if (hand_over)
        family_set_hand_over(t.family, wake_reaper, &t);
    for (unsigned i = 0; i < threads; i++)
        EXPECT_EQ(pthread_create(&thread[i], NULL, i < READERS ? reader : reaper, &t), 0);
    for (uint32_t n = 0; n < WRITES; n++) {
        struct snapshot *next = version_after(t.family, n % 50 ? t.current : NULL, n), *old;
        pthread_mutex_lock(&t.mutex);
        old = t.current;
        t.current = next;
        pthread_mutex_unlock(&t.mutex);
        snapshot_unref(old);
    }
    pthread_mutex_lock(&t.mutex);
    t.over = true;
    pthread_cond_signal(&t.wanted);
    pthread_mutex_unlock(&t.mutex);
    for (unsigned i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
    family_set_hand_over(t.family, NULL, NULL);
    family_reap(t.family);
    snapshot_unref(t.current);
    EXPECT_EQ(family_branches(t.family), 0);
    family_unref(t.family);
    pthread_mutex_destroy(&t.mutex);
    pthread_cond_destroy(&t.wanted);
}

START_TEST(last_reference_on_any_thread)
{
    threads_run(false);
    threads_run(true);
}
END_TEST

int main(void)
{
    rnd = random_open();
    struct suite s = suite_open("snapshot");
    suite_add(s, names_are_located);
    suite_add(s, nsec3_neighbours);
    suite_add(s, soa_fields);
    suite_add(s, who_buries);
    suite_add(s, last_reference_on_any_thread);
    suite_add_abort(s, second_edit_of_a_thread);
    return suite_run(s);
}
