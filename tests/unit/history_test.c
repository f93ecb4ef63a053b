/* history: against a model that keeps every step there ever was, and looks for the longest end of it that a history may be. */
#include "pipeline/run/history.h"

#include <string.h>

#include "pipeline/base/alloc.h"
#include "pipeline/base/rcu.h"
#include "pipeline/zone/transfer.h"
#include "tests/lib/expect.h"
#include "tests/lib/suite.h"
#include "tests/lib/zonegen.h"

enum { VERSIONS = 120 };

struct model {
    unsigned n; /* steps since the last break */
    struct changeset *changes[VERSIONS];
    time_t at[VERSIONS];
    uint64_t wire[VERSIONS], kept[VERSIONS];
};

static void model_break(struct model *m)
{
    while (m->n > 0)
        changeset_unref(m->changes[--m->n]);
}

/* Is the record in the node, octet for octet, under the same owner? */
static bool has_record(const struct node *node, const uint8_t *owner, const struct rrset *set,
                       const struct rdata *want)
{
    struct rrset other;
    struct rdata r;
    if (!node || memcmp(node_name(node), owner, name_len(owner)) != 0 ||
        !node_rrset(node, set->type, set->covered, &other) || other.ttl != set->ttl)
        return false;
    for (const uint8_t *p = other.rdata; rrset_next(&other, &p, &r);)
        if (r.len == want->len && memcmp(r.data, want->data, r.len) == 0)
            return true;
    return false;
}

/* Octets of what a has and b has not; and that record_walk finds just that, in this order. */
static uint64_t missing(const struct node *a, const struct node *b)
{
    struct record_walk walk;
    struct rdata r, found;
    uint64_t octets = 0;
    record_walk_begin(&walk, a, b);
    for (unsigned i = 0; a && i < a->nrrsets; i++) {
        struct rrset set;
        node_rrset_at(a, i, &set);
        for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &r);) {
            if (has_record(b, node_name(a), &set, &r))
                continue;
            EXPECT(record_walk_next(&walk, &found));
            EXPECT_PTR(found.data, r.data);
            EXPECT_EQ(walk.set.type, set.type);
            EXPECT_EQ(walk.set.ttl, set.ttl);
            octets += set.type == RR_SOA ? 0 : 12u + r.len;
        }
    }
    EXPECT(!record_walk_next(&walk, &found));
    return octets ? octets + a->name_len : 0;
}

static void model_step(struct model *m, const struct changeset *c, time_t at)
{
    uint64_t wire = 0, kept = sizeof *c + c->n * sizeof c->change[0];
    for (size_t i = 0; i < c->n; i++) {
        const struct change *x = &c->change[i];
        wire += missing(x->was, x->now) + missing(x->now, x->was);
        kept += x->was ? x->was->bytes : 0;
    }
    m->changes[m->n] = changeset_ref(c);
    m->at[m->n] = at;
    m->wire[m->n] = wire;
    m->kept[m->n++] = kept;
}

/* May the history begin with step i? */
static bool model_may(const struct model *m, unsigned i, const struct history_limits *l,
                      const struct snapshot *served, time_t now)
{
    uint64_t wire = 0, kept = 0, changes = 0;
    uint32_t newest = m->changes[m->n - 1]->to;
    for (unsigned k = i; k < m->n; k++) {
        wire += m->wire[k];
        kept += m->kept[k];
        changes += m->changes[k]->n;
        if (l->age_s && now - m->at[k] > l->age_s)
            return false;
        if (!serial_newer(newest, m->changes[k]->from))
            return false;
    }
    return m->n - i <= l->steps && wire <= served->bytes && kept <= l->bytes &&
           kept <= history_kept_max(served) && changes <= history_changes_max(served);
}

static void expect_history(const struct model *m, const struct history *h,
                           const struct history_limits *l, const struct snapshot *served,
                           time_t now)
{
    unsigned first = m->n;
    while (first > 0 && model_may(m, first - 1, l, served, now))
        first--;
    EXPECT_EQ(h ? h->n : 0, m->n - first);
    if (!h)
        return;
    uint64_t wire = 0, kept = 0;
    for (unsigned i = 0; i < h->n; i++) {
        EXPECT_PTR(h->step[i].changes, m->changes[first + i]);
        EXPECT_EQ(h->step[i].at, m->at[first + i]);
        EXPECT_EQ(h->step[i].wire_bytes, m->wire[first + i]);
        EXPECT_EQ(h->step[i].kept_bytes, m->kept[first + i]);
        wire += m->wire[first + i];
        kept += m->kept[first + i];
        EXPECT_EQ(history_find(h, h->step[i].changes->from), i);
        EXPECT_EQ(history_find(h, h->step[i].changes->from - 1),
                  i > 0 && h->step[i - 1].changes->from == h->step[i].changes->from - 1 ? i - 1
                                                                                        : h->n);
    }
    EXPECT_EQ(h->wire_bytes, wire);
    EXPECT_EQ(h->kept_bytes, kept);
    EXPECT_EQ(history_find(h, h->step[h->n - 1].changes->to), h->n);
    EXPECT_EQ(history_find(h, h->step[h->n - 1].changes->to + 1), h->n);
    EXPECT_EQ(history_find(h, h->step[h->n - 1].changes->to + UINT32_C(0x80000000)), h->n);
}

static uint32_t random_rise(struct random *r)
{
    switch (random_below(r, 40)) {
    case 0:
        return UINT32_C(0x7fffffff); /* as far as it goes */
    case 1:
        return (uint32_t)random_below(r, UINT32_C(0x60000000));
    case 2:
        return (uint32_t)-random_below(r, 50); /* back, or not at all */
    default:
        return 1 + (uint32_t)random_below(r, 2);
    }
}

static struct snapshot *next_version(struct zonegen *gen, struct random *r, struct family *family,
                                     const struct snapshot *before)
{
    struct edit *e = edit_open(family, before, before);
    struct snapshot *made;
    struct why why;
    gen->serial += random_rise(r) - 1; /* the step adds one */
    zonegen_step(gen, e, (unsigned)random_below(r, 4));
    zonegen_restyle(gen, e, (unsigned)random_below(r, 4));
    ck_assert_int_eq(edit_seal(&e, &made, NULL, &why), 0);
    return made;
}

/* RFC 1995 5: what would be larger than the zone is not kept. */
START_TEST(random_histories)
{
    struct random r = random_open();
    unsigned longest = 0, breaks = 0;
    rcu_thread_start();
    for (unsigned round = 0; round < 60; round++) {
        struct zonegen gen = zonegen_open(&r, "Example.", 10 + (unsigned)random_below(&r, 200));
        struct family *family = family_new(gen.apex);
        struct snapshot *was = zonegen_version(&gen, family, NULL, 0);
        struct history_limits limits = {
            .steps = random_below(&r, 4) ? 1 + random_below(&r, 30) : 200,
            .bytes = random_below(&r, 3) ? UINT64_MAX : random_below(&r, 20000),
            .age_s = random_below(&r, 3) ? 0 : (time_t)random_below(&r, 100)};
        struct model m = {0};
        struct history *h = NULL;
        time_t now = 1000;
        for (unsigned i = 1; i < VERSIONS; i++) {
            struct snapshot *made = next_version(&gen, &r, family, was);
            struct changeset *c = changeset_between(was, made);
            now += (time_t)random_below(&r, 20) - 2; /* clocks are set back, too */
            if (random_below(&r, 30) == 0)
                limits.steps = random_below(&r, 30); /* a reload */
            if (serial_newer(c->to, c->from) && limits.steps) {
                model_step(&m, c, now);
            } else {
                model_break(&m);
                breaks++;
            }
            struct history *next = history_append(h, c, made, now, &limits);
            history_unref(h);
            h = next;
            if (m.n)
                expect_history(&m, h, &limits, made, now);
            else
                EXPECT(!h);
            /* What is out of the history does not come back when the zone grows or a bound does. */
            unsigned gone = m.n - (h ? h->n : 0);
            for (unsigned k = 0; k < m.n; k++) {
                if (k < gone) {
                    changeset_unref(m.changes[k]);
                    continue;
                }
                m.changes[k - gone] = m.changes[k];
                m.at[k - gone] = m.at[k];
                m.wire[k - gone] = m.wire[k];
                m.kept[k - gone] = m.kept[k];
            }
            m.n -= gone;
            longest = h && h->n > longest ? h->n : longest;
            changeset_unref(c);
            snapshot_unref(was);
            was = made;
        }
        model_break(&m);
        history_unref(h);
        snapshot_unref(was);
        family_unref(family);
    }
    ck_assert_uint_gt(longest, 20);
    ck_assert_uint_gt(breaks, 60);
    rcu_barrier_all();
    rcu_thread_stop();
}
END_TEST

/* Names that come and go cost little on the wire and nothing but the looking at; a history has no more of them than make
 * that cheaper than to send the zone. And what one step has too many of is no step. */
START_TEST(work_is_bounded)
{
    static const struct history_limits limits = {.steps = 1000, .bytes = UINT64_MAX};
    static const uint8_t filler[60000];
    uint8_t name[] = "\4n000\7example", soa[22] = {0};
    struct why why;
    rcu_thread_start();
    struct family *family = family_new(name + 5);
    struct edit *e = edit_open(family, NULL, NULL);
    for (unsigned i = 0; i < 20; i++) {
        put_u16(name + 1, (uint16_t)i);
        ck_assert_int_eq(edit_add(e, name, 65400, 60, filler, sizeof filler, &why), 0);
    }
    ck_assert_int_eq(edit_add(e, name + 5, RR_SOA, 60, soa, sizeof soa, &why), 0);
    struct snapshot *was, *now;
    struct changeset *c;
    ck_assert_int_eq(edit_seal(&e, &was, NULL, &why), 0);
    size_t most = history_changes_max(was);
    ck_assert_uint_gt(most, 2500);
    ck_assert_uint_lt(most, 5000);
    struct history *h = NULL;
    unsigned longest = 0;
    for (unsigned step = 1; step <= 80; step++) {
        unsigned names = step == 60 ? 2 * (unsigned)most : 100,
                 from = step == 60 ? 20000 : 100 * step;
        e = edit_open(family, was, was);
        ck_assert_int_eq(edit_del(e, name + 5, RR_SOA, soa, sizeof soa, &why), 0);
        put_u32(soa + 2, step);
        ck_assert_int_eq(edit_add(e, name + 5, RR_SOA, 60, soa, sizeof soa, &why), 0);
        for (unsigned i = 0; i < names; i++) {
            put_u16(name + 1, (uint16_t)(from + i));
            ck_assert_int_eq(edit_add(e, name, RR_A, 60, filler, 4, &why), 0);
        }
        ck_assert_int_eq(edit_seal(&e, &now, &c, &why), 0);
        struct history *next = history_append(h, c, now, 1, &limits);
        if (step == 60)
            ck_assert_ptr_null(next);
        else
            ck_assert(next && next->changes <= history_changes_max(now) &&
                      (next->n == step % 60 || next->changes + 101 > history_changes_max(now)));
        history_unref(h);
        h = next;
        longest = h && h->n > longest ? h->n : longest;
        changeset_unref(c);
        snapshot_unref(was);
        was = now;
    }
    ck_assert_uint_ge(longest, most / 101);
    ck_assert_uint_lt(longest, 59);
    ck_assert_uint_eq(h->n, 20);
    history_unref(h);
    snapshot_unref(was);
    family_unref(family);
    rcu_barrier_all();
    rcu_thread_stop();
}
END_TEST

/* A small zone whose serial moves all day, and nothing else: nothing to send, and a node that is kept each time. */
START_TEST(memory_is_bounded)
{
    static const struct history_limits limits = {.steps = 10000, .bytes = UINT64_MAX};
    static const uint8_t apex[] = "\7example";
    struct history *h = NULL;
    struct snapshot *was = NULL;
    struct why why;
    rcu_thread_start();
    struct family *family = family_new(apex);
    for (uint32_t serial = 1; serial <= 1000; serial++) {
        uint8_t soa[22] = {0};
        struct edit *e = edit_open(family, NULL, was);
        struct snapshot *now;
        struct changeset *c;
        put_u32(soa + 2, serial);
        ck_assert_int_eq(edit_add(e, apex, RR_SOA, 60, soa, sizeof soa, &why), 0);
        ck_assert_int_eq(edit_seal(&e, &now, &c, &why), 0);
        if (was) {
            struct history *next = history_append(h, c, now, 1, &limits);
            ck_assert(next && next->wire_bytes == 0);
            uint64_t most = history_kept_max(now), one = next->step[0].kept_bytes;
            ck_assert_uint_le(next->kept_bytes, most);
            ck_assert(next->n == serial - 1 || next->kept_bytes + one > most);
            history_unref(h);
            h = next;
        }
        changeset_unref(c);
        snapshot_unref(was);
        was = now;
    }
    ck_assert_uint_lt(h->n, 100);
    ck_assert_uint_gt(h->n, 10);
    history_unref(h);
    snapshot_unref(was);
    family_unref(family);
    rcu_barrier_all();
    rcu_thread_stop();
}
END_TEST

int main(void)
{
    struct suite s = suite_open("history");
    suite_add(s, random_histories);
    suite_add(s, work_is_bounded);
    suite_add(s, memory_is_bounded);
    return suite_run(s);
}
