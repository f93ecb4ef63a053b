/* store_test: what a change costs is the change's size, not the zone's. Counted, at a thousand, a hundred thousand and a million
 * names.
 *
 * The trie with counting leaves: branch copies, and leaves touched (keys made, references taken and dropped) by an edit,
 * by the diff, and by dropping the old version. The zone store: branch copies and blocks made. */
#include "pipeline/base/alloc.h"
#include "pipeline/zone/edit.h"
#include "tests/lib/expect.h"
#include "tests/lib/random.h"
#include "tests/lib/suite.h"

#include <string.h>

enum { CHANGES = 10, SIZES = 3 };
static const uint32_t size[SIZES] = {1000, 100000, 1000000};
static struct random rnd;

/* Registry-like: five to eight letters, one level. */
static void owner_name(uint32_t i, uint8_t out[32])
{
    static const uint8_t apex[] = "\7example";
    uint32_t x = i * 2654435761u; /* odd: no two i give the same */
    uint8_t *p = out + 1;
    for (uint32_t k = 0; k < 5 || x > 0; k++, x /= 26)
        *p++ = (uint8_t)('a' + x % 26);
    *out = (uint8_t)(p - out - 1);
    memcpy(p, apex, sizeof apex);
}

static struct {
    uint64_t keys, refs, unrefs;
} touched;

static void leaf_key(const void *leaf, struct trie_key *out)
{
    touched.keys++;
    name_key(leaf, out);
}
static void leaf_ref(void *leaf)
{
    (void)leaf;
    touched.refs++;
}
static void leaf_unref(void *leaf)
{
    (void)leaf;
    touched.unrefs++;
}
static const struct trie_leaf_ops ops = {leaf_key, leaf_ref, leaf_unref, NULL};

static void count_change(void *ctx, const void *was, const void *now)
{
    EXPECT(was && now && was != now);
    ++*(unsigned *)ctx;
}

struct cost {
    uint64_t copies, edit, diff, drop;
};

static struct cost trie_cost(uint32_t n)
{
    struct trie_pool *pool = trie_pool_new(&ops);
    uint8_t(*name)[32] = mem_array(n + CHANGES, sizeof *name);
    struct trie was, now;
    struct trie_key key;
    struct trie_stats before, after;
    struct cost cost;
    trie_init(&was, pool);
    for (uint32_t i = 0; i < n; i++) {
        owner_name(i, name[i]);
        name_key(name[i], &key);
        EXPECT(!trie_put(&was, &key, name[i]));
    }
    trie_pool_stats(pool, &before);
    EXPECT_EQ(before.copies, 0);

    memset(&touched, 0, sizeof touched);
    trie_copy(&now, &was);
    for (uint32_t i = 0; i < CHANGES; i++) {
        uint32_t at = i * (n / CHANGES) + (uint32_t)random_below(&rnd, n / CHANGES);
        memcpy(name[n + i], name[at], sizeof *name);
        name_key(name[n + i], &key);
        EXPECT_PTR(trie_put(&now, &key, name[n + i]), name[at]);
    }
    trie_pool_stats(pool, &after);
    cost.copies = after.copies - before.copies;
    cost.edit = touched.keys + touched.refs + touched.unrefs;

    unsigned changes = 0;
    memset(&touched, 0, sizeof touched);
    trie_diff(&was, &now, count_change, &changes);
    EXPECT_EQ(changes, CHANGES);
    cost.diff = touched.keys;
    EXPECT_EQ(touched.refs + touched.unrefs, 0);

    memset(&touched, 0, sizeof touched);
    trie_fini(&was);
    cost.drop = touched.keys + touched.refs + touched.unrefs;
    trie_fini(&now);
    trie_pool_free(&pool);
    mem_free(&name);
    return cost;
}

static void expect_flat(const char *what, const uint64_t cost[SIZES], uint64_t most)
{
    printf("%s: %llu %llu %llu, at most %llu\n", what, (unsigned long long)cost[0],
           (unsigned long long)cost[1], (unsigned long long)cost[2], (unsigned long long)most);
    fflush(stdout);
    for (unsigned i = 0; i < SIZES; i++)
        EXPECT(cost[i] <= most);
    /* A thousand times the names: a few levels more, nothing like a thousand times the work. */
    EXPECT(cost[2] <= 4 * cost[0] + 4 * CHANGES);
}

START_TEST(trie_is_flat)
{
    uint64_t copies[SIZES], edit[SIZES], diff[SIZES], drop[SIZES];
    for (unsigned i = 0; i < SIZES; i++) {
        struct cost c = trie_cost(size[i]);
        copies[i] = c.copies;
        edit[i] = c.edit;
        diff[i] = c.diff;
        drop[i] = c.drop;
    }
    expect_flat("branch copies", copies, 200);
    expect_flat("leaves touched by ten changes", edit, CHANGES * 60);
    expect_flat("keys made by the diff", diff, 2 * 200 + 2 * CHANGES);
    expect_flat("leaves touched by the drop", drop, CHANGES * 60);
}
END_TEST

static int add_address(struct edit *e, uint32_t i, uint32_t address)
{
    uint8_t owner[32], rdata[4];
    owner_name(i, owner);
    put_u32(rdata, address);
    return edit_add(e, owner, RR_A, 60, rdata, sizeof rdata, NULL);
}

/* Ten owners get one record more each. */
static uint64_t zone_cost(uint32_t n)
{
    static const uint8_t apex[] = "\7example";
    struct family *family = family_new(apex);
    struct snapshot *was, *now;
    struct changeset *c;
    struct trie_stats before, after;
    struct edit *e = edit_open(family, NULL, NULL);
    for (uint32_t i = 0; i < n; i++)
        EXPECT_EQ(add_address(e, i, i), 0);
    EXPECT_EQ(edit_seal(&e, &was, NULL, NULL), 0);
    family_stats(family, &before);
    EXPECT_EQ(before.copies, 0);

    e = edit_open(family, was, was);
    for (uint32_t i = 0; i < CHANGES; i++)
        EXPECT_EQ(
            add_address(e, i * (n / CHANGES) + (uint32_t)random_below(&rnd, n / CHANGES), n + i),
            0);
    EXPECT_EQ(edit_seal(&e, &now, &c, NULL), 0);
    EXPECT_EQ(c->n, CHANGES);
    EXPECT_EQ(now->records, n + CHANGES);
    family_stats(family, &after);
    uint64_t copies = after.copies - before.copies;
    EXPECT_EQ(after.branches, before.branches + copies); /* nothing else was made */

    /* The old version dies: what the ten changes replaced goes, and that is all. */
    snapshot_unref(was);
    family_stats(family, &after);
    EXPECT_EQ(after.branches, before.branches);
    changeset_unref(c);
    snapshot_unref(now);
    family_unref(family);
    return copies;
}

START_TEST(zone_is_flat)
{
    uint64_t copies[SIZES];
    for (unsigned i = 0; i < SIZES; i++)
        copies[i] = zone_cost(size[i]);
    expect_flat("branch copies of an edit", copies, 200);
}
END_TEST

int main(void)
{
    rnd = random_open();
    struct suite s = suite_open("store cost");
    suite_add(s, trie_is_flat);
    suite_add(s, zone_is_flat);
    return suite_run(s);
}
