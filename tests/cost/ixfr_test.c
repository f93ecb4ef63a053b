/* ixfr_test: what a difference costs is what changed, not the zone. Counted at a thousand, a hundred thousand and a million
 * names: the changes that an IXFR looks at, the records that it compares and sends, its octets and messages, and the
 * memory that the history keeps. Nothing is looked up in the zone's trie on the way. */
#include "pipeline/net/xfrout.h"

#include <string.h>

#include "pipeline/base/alloc.h"
#include "pipeline/base/rcu.h"
#include "tests/lib/accepted.h"
#include "tests/lib/expect.h"
#include "tests/lib/suite.h"

enum { STEPS = 20, CHANGES = 10, SIZES = 3 };
static const uint32_t size[SIZES] = {1000, 100000, 1000000};
static const uint8_t apex[] = "\7example";

/* Counts calls of what reads a trie or a node (the linker puts these in their place). */
static uint64_t compared, looked_up;
int __real_rdata_cmp(uint16_t type, const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len);
int __wrap_rdata_cmp(uint16_t type, const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len);
int __wrap_rdata_cmp(uint16_t type, const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    compared++;
    return __real_rdata_cmp(type, a, a_len, b, b_len);
}
const struct node *__real_snapshot_get(const struct snapshot *s, const uint8_t *name);
const struct node *__wrap_snapshot_get(const struct snapshot *s, const uint8_t *name);
const struct node *__wrap_snapshot_get(const struct snapshot *s, const uint8_t *name)
{
    looked_up++;
    return __real_snapshot_get(s, name);
}

/* All of one length, so that octets can be compared. */
static void owner_name(uint32_t i, uint8_t out[24])
{
    out[0] = 8;
    for (unsigned k = 0; k < 8; k++, i >>= 4)
        out[1 + k] = (uint8_t)('a' + (i & 15));
    memcpy(out + 9, apex, sizeof apex);
}

static void soa_put(struct edit *e, uint32_t serial)
{
    uint8_t soa[22] = {0};
    struct node_builder *b = node_builder_new();
    put_u32(soa + 2, serial);
    node_builder_begin(b, apex);
    EXPECT_EQ(node_builder_add(b, RR_SOA, 60, soa, sizeof soa), 0);
    edit_put(e, node_builder_seal(b));
    node_builder_free(&b);
}

static struct version *zone_of(uint32_t n)
{
    struct family *family = family_new(apex);
    struct edit *e = edit_open(family, NULL, NULL);
    struct snapshot *s;
    struct why why;
    uint8_t owner[24];
    soa_put(e, 1);
    for (uint32_t i = 0; i < n; i++) {
        owner_name(i, owner);
        EXPECT_EQ(edit_add(e, owner, RR_A, 60, (const uint8_t *)"abcd", 4, &why), 0);
        EXPECT_EQ(edit_add(e, owner, RR_A, 60, (const uint8_t *)"efgh", 4, &why), 0);
    }
    EXPECT_EQ(edit_seal(&e, &s, NULL, &why), 0);
    family_unref(family);
    return version_accepted(s);
}

/* CHANGES names get one address more; the same ones at every size. */
static struct version *next_version(const struct version *v, uint32_t step)
{
    static const struct history_limits limits = {.steps = STEPS, .bytes = UINT64_MAX};
    struct edit *e = edit_open(v->served->family, v->served, v->served);
    struct snapshot *s;
    struct changeset *c;
    struct why why;
    uint8_t owner[24], address[4] = {1, 2, 3, (uint8_t)step};
    soa_put(e, 1 + step);
    for (uint32_t i = 0; i < CHANGES; i++) {
        owner_name(step * 7 + i * 40, owner);
        EXPECT_EQ(edit_add(e, owner, RR_A, 60, address, 4, &why), 0);
    }
    EXPECT_EQ(edit_seal(&e, &s, &c, &why), 0);
    struct version *next = version_accepted(s);
    next->history = history_append(v->history, c, next->served, 1, &limits);
    changeset_unref(c);
    return next;
}

struct cost {
    uint64_t append, compared, looked_up, records, octets, messages, kept, visited;
};

static struct cost cost_at(uint32_t n)
{
    static struct msg_writer writer;
    static uint8_t buf[MSG_MAX];
    static struct history_cursor cursors[STEPS];
    struct cost cost = {0};
    struct version *v = zone_of(n);
    for (uint32_t step = 1; step <= STEPS; step++) {
        compared = 0;
        struct version *next = next_version(v, step);
        version_unref(v);
        v = next;
        cost.append += compared; /* of the edit and of the history */
    }
    ck_assert_uint_eq(v->history->n, STEPS);
    cost.kept = v->history->kept_bytes;
    msg_writer_init(&writer);
    compared = looked_up = 0;
    for (uint32_t serial = 1; serial <= STEPS; serial++) {
        struct xfrout *x = xfrout_new(v, 1, apex, RR_IXFR, false);
        struct xfrout_stats stats;
        struct why why;
        ck_assert(xfrout_since(x, serial));
        while (!xfrout_done(x))
            ck_assert_int_ge(xfrout_next(x, &writer, buf, sizeof buf, &why), 0);
        xfrout_stats(x, &stats);
        cost.records += stats.records;
        cost.octets += stats.bytes;
        cost.messages += stats.messages;
        xfrout_free(&x);
        struct history_walk walk;
        struct change change;
        history_walk_begin(&walk, v->history, serial - 1, cursors);
        while (history_walk_next(&walk, &change))
            ;
        cost.visited += walk.visited;
    }
    cost.compared = compared;
    cost.looked_up = looked_up;
    version_unref(v);
    return cost;
}

START_TEST(flat)
{
    struct cost cost[SIZES];
    rcu_thread_start();
    for (unsigned i = 0; i < SIZES; i++) {
        cost[i] = cost_at(size[i]);
        fprintf(stderr,
                "%u names: append %llu, compared %llu, looked up %llu, records %llu, octets %llu, "
                "messages %llu, kept %llu, visited %llu\n",
                size[i], (unsigned long long)cost[i].append, (unsigned long long)cost[i].compared,
                (unsigned long long)cost[i].looked_up, (unsigned long long)cost[i].records,
                (unsigned long long)cost[i].octets, (unsigned long long)cost[i].messages,
                (unsigned long long)cost[i].kept, (unsigned long long)cost[i].visited);
    }
    for (unsigned i = 1; i < SIZES; i++)
        ck_assert_mem_eq(&cost[i], &cost[0], sizeof cost[0]);
    /* 20 + 19 + … + 1 steps of CHANGES names, of which some change again, and the apex; each looked at once a walk. */
    ck_assert_uint_eq(cost[0].visited, STEPS * (STEPS + 1) / 2 * (CHANGES + 1));
    ck_assert_uint_eq(cost[0].messages, STEPS);
    ck_assert_uint_eq(cost[0].looked_up, 0);
    ck_assert_uint_gt(cost[0].compared, 0);
    rcu_barrier_all();
    rcu_thread_stop();
}
END_TEST

int main(void)
{
    struct suite s = suite_open("ixfr cost");
    suite_add(s, flat);
    return suite_run(s);
}
