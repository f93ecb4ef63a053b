/* trie_test: the trie against a sorted array, under random histories of many versions.
 *
 * Keys are short and of few digits, so that every shape (forks, growth, shrinking, leaves at the
 * root, prefixes) turns up within a few steps. After each step one version is compared with its
 * model in full, and the counts of all branches and leaves are checked against what really points
 * to them. */
#include "pipeline/base/alloc.h"
#include "pipeline/base/trie_p.h"
#include "tests/lib/expect.h"
#include "tests/lib/random.h"
#include "tests/lib/suite.h"

static struct random seed, random_state;

static uint32_t rng(uint32_t below)
{
    return (uint32_t)random_below(&random_state, below);
}

/* ---- leaves
 * -------------------------------------------------------------------------------------------- */

struct leaf {
    uint32_t refs, held; /* held: by the models */
    uint32_t seen;       /* pointers found by the count check */
    uint16_t len;
    unsigned marks;
    uint8_t digit[];
};
static size_t leaves_alive;

static void leaf_key(const void *leaf, struct trie_key *out)
{
    const struct leaf *l = leaf;
    out->len = l->len;
    memcpy(out->digit, l->digit, l->len);
}
static void leaf_ref(void *leaf)
{
    ((struct leaf *)leaf)->refs++;
}
static void leaf_unref(void *leaf)
{
    struct leaf *l = leaf;
    EXPECT(l->refs > 0);
    if (--l->refs == 0) {
        leaves_alive--;
        mem_free(&l);
    }
}
static unsigned leaf_marks(const void *leaf)
{
    return ((const struct leaf *)leaf)->marks;
}
static const struct trie_leaf_ops ops = {leaf_key, leaf_ref, leaf_unref, leaf_marks};

static struct leaf *leaf_new(const struct trie_key *key)
{
    struct leaf *l = mem_zalloc(sizeof *l + key->len);
    l->refs = 1;
    l->len = key->len;
    l->marks = (unsigned)(rng(4) == 0) | (unsigned)(rng(3) == 0) << 1;
    memcpy(l->digit, key->digit, key->len);
    leaves_alive++;
    return l;
}

/* Order as the header says: digit by digit, endless zeros behind. */
static int digits_cmp(const uint8_t *a, unsigned an, const uint8_t *b, unsigned bn)
{
    for (unsigned i = 0; i < an || i < bn; i++) {
        int x = i < an ? a[i] : 0, y = i < bn ? b[i] : 0;
        if (x != y)
            return x - y;
    }
    return 0;
}
static int leaf_cmp(const struct leaf *l, const struct trie_key *key)
{
    return digits_cmp(l->digit, l->len, key->digit, key->len);
}

/* ---- keys
 * ---------------------------------------------------------------------------------------------- */

static bool words;      /* keys are made of words: what trie_find_path asks for */
static uint32_t digits; /* … and of so many digits */

static void random_key(struct trie_key *key)
{
    key->len = 0;
    if (words) {
        for (unsigned n = rng(4); n > 0; n--) {
            for (unsigned i = 1 + rng(3); i > 0; i--)
                key->digit[key->len++] = (uint8_t)(1 + rng(digits));
            key->digit[key->len++] = 0;
        }
    } else {
        unsigned n = rng(6);
        for (unsigned i = 0; i < n; i++)
            key->digit[key->len++] = (uint8_t)(rng(4) ? rng(3) : TRIE_DIGITS - 1);
        if (n > 0 && key->digit[n - 1] == 0)
            key->digit[n - 1] = 1; /* no key is another one padded with zeros */
    }
}

/* ---- model
 * --------------------------------------------------------------------------------------------- */

enum { MODEL_MAX = 4096, VERSIONS = 8 };
struct version {
    bool live;
    unsigned pool;
    struct trie trie;
    unsigned n;
    struct leaf *leaf[MODEL_MAX]; /* sorted */
};

static unsigned model_place(const struct version *v, const struct trie_key *key, bool *exact)
{
    unsigned i = 0;
    while (i < v->n && leaf_cmp(v->leaf[i], key) < 0)
        i++;
    *exact = i < v->n && leaf_cmp(v->leaf[i], key) == 0;
    return i;
}

static void model_hold(struct leaf *l)
{
    l->refs++;
    l->held++;
}
static void model_let_go(struct leaf *l)
{
    l->held--;
    leaf_unref(l);
}

static void version_put(struct version *v, const struct trie_key *key)
{
    struct leaf *l = leaf_new(key);
    bool exact;
    unsigned at = model_place(v, key, &exact);
    struct leaf *old = trie_put(&v->trie, key, l);
    EXPECT_PTR(old, exact ? v->leaf[at] : NULL);
    model_hold(l);
    if (exact) {
        leaf_unref(old); /* what trie_put gave back */
        model_let_go(v->leaf[at]);
        v->leaf[at] = l;
        return;
    }
    EXPECT(v->n < MODEL_MAX);
    memmove(v->leaf + at + 1, v->leaf + at, (v->n - at) * sizeof v->leaf[0]);
    v->leaf[at] = l;
    v->n++;
}

static void version_remove(struct version *v, const struct trie_key *key)
{
    struct trie_stats before, after;
    bool exact;
    unsigned at = model_place(v, key, &exact);
    trie_pool_stats(v->trie.pool, &before);
    struct leaf *old = trie_remove(&v->trie, key);
    trie_pool_stats(v->trie.pool, &after);
    EXPECT_PTR(old, exact ? v->leaf[at] : NULL);
    if (!exact) {
        EXPECT_EQ(before.copies, after.copies);
        return;
    }
    leaf_unref(old);
    model_let_go(v->leaf[at]);
    memmove(v->leaf + at, v->leaf + at + 1, (v->n - at - 1) * sizeof v->leaf[0]);
    v->n--;
}

static void version_drop(struct version *v)
{
    trie_fini(&v->trie);
    for (unsigned i = 0; i < v->n; i++)
        model_let_go(v->leaf[i]);
    v->live = false;
}

static void version_copy(struct version *dst, const struct version *src)
{
    *dst = *src;
    trie_copy(&dst->trie, &src->trie);
    for (unsigned i = 0; i < dst->n; i++)
        model_hold(dst->leaf[i]);
}

/* ---- comparisons
 * --------------------------------------------------------------------------------------- */

static void check_walks(const struct version *v)
{
    struct trie_iter it;
    unsigned i = 0;
    for (const void *l = trie_first(&it, &v->trie); l; l = trie_next(&it), i++) {
        EXPECT(i < v->n);
        EXPECT_PTR(l, v->leaf[i]);
        EXPECT_PTR(it.leaf, l);
    }
    EXPECT_EQ(i, v->n);
    EXPECT(!trie_next(&it));
    EXPECT(!it.leaf);
    for (const void *l = trie_last(&it, &v->trie); l; l = trie_prev(&it))
        EXPECT_PTR(l, v->leaf[--i]);
    EXPECT_EQ(i, 0);
    EXPECT(!trie_prev(&it));
    EXPECT_EQ(trie_empty(&v->trie), v->n == 0);
}

static void check_seeks(const struct version *v, const struct trie_key *key)
{
    struct trie_iter it;
    bool exact;
    unsigned at = model_place(v, key, &exact);
    EXPECT_PTR(trie_get(&v->trie, key), exact ? v->leaf[at] : NULL);

    EXPECT_EQ(trie_seek_ge(&it, &v->trie, key), exact);
    EXPECT_PTR(it.leaf, at < v->n ? v->leaf[at] : NULL);
    if (it.leaf && rng(2))
        EXPECT_PTR(trie_prev(&it), at > 0 ? v->leaf[at - 1] : NULL);
    else
        EXPECT_PTR(trie_next(&it), at + 1 < v->n ? v->leaf[at + 1] : NULL);

    EXPECT_EQ(trie_seek_le(&it, &v->trie, key), exact);
    unsigned le = exact ? at + 1 : at; /* one past the leaf wanted */
    EXPECT_PTR(it.leaf, le > 0 ? v->leaf[le - 1] : NULL);
    if (it.leaf && rng(2))
        EXPECT_PTR(trie_next(&it), le < v->n ? v->leaf[le] : NULL);
    else
        EXPECT_PTR(trie_prev(&it), le > 1 ? v->leaf[le - 2] : NULL);
}

/* The nearest leaf with the mark from `at` on in one direction. */
static const struct leaf *model_marked(const struct version *v, unsigned mark, int at, int step)
{
    while (at >= 0 && at < (int)v->n && !(v->leaf[at]->marks >> mark & 1))
        at += step;
    return at >= 0 && at < (int)v->n ? v->leaf[at] : NULL;
}

static void check_marked(const struct version *v, const struct trie_key *key)
{
    bool exact;
    int at = (int)model_place(v, key, &exact), behind = exact ? at + 1 : at, last = (int)v->n - 1;
    for (unsigned mark = 0; mark < TRIE_MARKS; mark++) {
        EXPECT_PTR(trie_marked_lt(&v->trie, key, mark), model_marked(v, mark, at - 1, -1));
        EXPECT_PTR(trie_marked_le(&v->trie, key, mark), model_marked(v, mark, behind - 1, -1));
        EXPECT_PTR(trie_marked_gt(&v->trie, key, mark), model_marked(v, mark, behind, 1));
        EXPECT_PTR(trie_marked_first(&v->trie, mark), model_marked(v, mark, 0, 1));
        EXPECT_PTR(trie_marked_last(&v->trie, mark), model_marked(v, mark, last, -1));
    }
}

static void check_path(const struct version *v, const struct trie_key *key)
{
    struct trie_path path;
    trie_find_path(&v->trie, key, &path);
    unsigned n = 0, common = 0;
    bool exact;
    model_place(v, key, &exact);
    for (unsigned i = 0; i < v->n; i++) {
        const struct leaf *l = v->leaf[i];
        unsigned same = 0;
        while (same < l->len && same < key->len && l->digit[same] == key->digit[same])
            same++;
        common = same > common ? same : common;
        if (same == l->len) { /* prefixes sort by length */
            EXPECT(n < path.n);
            EXPECT_PTR(path.leaf[n++], l);
        }
    }
    EXPECT_EQ(path.n, n);
    EXPECT_EQ(path.exact, exact);
    EXPECT_EQ(path.common, common);
}

struct diff_check {
    const struct version *was, *now;
    unsigned i, j;
};

/* Steps both models to their next difference, which must be the one reported. */
static void diff_step(void *ctx, const void *was, const void *now)
{
    struct diff_check *d = ctx;
    while (d->i < d->was->n && d->j < d->now->n && d->was->leaf[d->i] == d->now->leaf[d->j])
        d->i++, d->j++;
    const struct leaf *a = d->i < d->was->n ? d->was->leaf[d->i] : NULL;
    const struct leaf *b = d->j < d->now->n ? d->now->leaf[d->j] : NULL;
    int c = !a ? 1 : !b ? -1 : digits_cmp(a->digit, a->len, b->digit, b->len);
    EXPECT(a || b);
    EXPECT_PTR(was, c <= 0 ? a : NULL);
    EXPECT_PTR(now, c >= 0 ? b : NULL);
    d->i += c <= 0;
    d->j += c >= 0;
}

static void check_diff(const struct version *was, const struct version *now)
{
    struct diff_check d = {was, now, 0, 0};
    trie_diff(&was->trie, &now->trie, diff_step, &d);
    while (d.i < was->n && d.j < now->n && was->leaf[d.i] == now->leaf[d.j])
        d.i++, d.j++;
    EXPECT_EQ(d.i, was->n);
    EXPECT_EQ(d.j, now->n);
}

/* Every branch is reached once here, whatever the number of versions that share it. */
struct census {
    struct branch *branch[MODEL_MAX * VERSIONS];
    uint32_t seen[MODEL_MAX * VERSIONS];
    unsigned n;
    struct leaf *leaf[MODEL_MAX * VERSIONS];
    unsigned leaves;
};
static struct census census;

static void census_twig(uintptr_t twig, unsigned least_offset)
{
    if (!twig_is_branch(twig)) {
        struct leaf *l = twig_leaf(twig);
        EXPECT_EQ(twig & TWIG_MARKS, l->marks * TWIG_MARK);
        if (l->seen++ == 0)
            census.leaf[census.leaves++] = l;
        return;
    }
    struct branch *b = twig_branch(twig);
    EXPECT_EQ(twig & TWIG_MARKS, branch_marks(b));
    for (unsigned i = 0; i < census.n; i++)
        if (census.branch[i] == b) {
            census.seen[i]++;
            return;
        }
    census.branch[census.n] = b;
    census.seen[census.n++] = 1;
    EXPECT(b->offset >= least_offset);
    EXPECT(b->count >= BRANCH_MIN);
    EXPECT_EQ(b->count, (unsigned)__builtin_popcountll(b->map));
    for (unsigned i = 0; i < b->count; i++)
        census_twig(b->twig[i], b->offset + 1u);
}

static void check_counts(const struct version *v, unsigned n, struct trie_pool *const pool[2])
{
    struct trie_stats s[2];
    size_t bytes = 0;
    census.n = census.leaves = 0;
    for (unsigned i = 0; i < n; i++)
        if (v[i].live && v[i].trie.root)
            census_twig(v[i].trie.root, 0);
    for (unsigned i = 0; i < census.n; i++) {
        EXPECT_EQ(census.branch[i]->refs, census.seen[i]);
        bytes += branch_bytes(census.branch[i]->count);
    }
    for (unsigned i = 0; i < census.leaves; i++) {
        struct leaf *l = census.leaf[i];
        EXPECT_EQ(l->refs, l->seen + l->held);
        l->seen = 0;
    }
    for (unsigned i = 0; i < 2; i++) {
        trie_pool_stats(pool[i], &s[i]);
        EXPECT(s[i].held_bytes >= s[i].branch_bytes);
    }
    EXPECT_EQ(s[0].branches + s[1].branches, census.n);
    EXPECT_EQ(s[0].branch_bytes + s[1].branch_bytes, bytes);
}

/* ---- histories
 * ----------------------------------------------------------------------------------------- */

static struct version version[VERSIONS];

static void history_step(struct trie_pool *const pool[2])
{
    struct version *v = &version[rng(VERSIONS)], *other = &version[rng(VERSIONS)];
    struct trie_key key;
    unsigned what = rng(100);
    random_key(&key);
    if (!v->live) {
        if (what < 30 && other->live) {
            version_copy(v, other);
        } else {
            *v = (struct version){.live = true, .pool = rng(2)};
            trie_init(&v->trie, pool[v->pool]);
        }
    } else if (what < 55) {
        version_put(v, &key);
    } else if (what < 80) {
        if (v->n > 0 && rng(4))
            leaf_key(v->leaf[rng(v->n)], &key);
        version_remove(v, &key);
    } else if (what < 85) {
        version_drop(v);
        return;
    } else if (what < 90 && v != other) {
        if (other->live)
            version_drop(other);
        version_copy(other, v);
    }
    random_key(&key);
    check_seeks(v, &key);
    check_marked(v, &key);
    if (words)
        check_path(v, &key);
    if (rng(8) == 0) {
        check_walks(v);
        for (unsigned i = 0; i < v->n; i++) {
            leaf_key(v->leaf[i], &key);
            check_seeks(v, &key);
            check_marked(v, &key);
            if (words)
                check_path(v, &key);
        }
        if (other->live)
            check_diff(v, other);
    }
}

static void history(unsigned steps)
{
    struct trie_pool *pool[2] = {trie_pool_new(&ops), trie_pool_new(&ops)};
    for (unsigned i = 0; i < steps; i++) {
        history_step(pool);
        if (rng(16) == 0)
            check_counts(version, VERSIONS, pool);
    }
    for (unsigned i = 0; i < VERSIONS; i++) { /* in random order */
        unsigned j = rng(VERSIONS);
        if (version[j].live)
            version_drop(&version[j]);
        check_counts(version, VERSIONS, pool);
    }
    for (unsigned i = 0; i < VERSIONS; i++)
        if (version[i].live)
            version_drop(&version[i]);
    EXPECT_EQ(leaves_alive, 0);
    for (unsigned i = 0; i < 2; i++) {
        struct trie_stats s;
        trie_pool_stats(pool[i], &s);
        EXPECT_EQ(s.branches, 0);
        EXPECT_EQ(s.branch_bytes, 0);
        EXPECT(s.held_bytes <= 2 * POOL_PAGE_BYTES); /* the front page and the spare */
        trie_pool_free(&pool[i]);
        EXPECT(!pool[i]);
    }
}

START_TEST(random_histories)
{
    words = _i & 1;
    digits = _i & 2 ? 3 : TRIE_DIGITS - 1;
    random_state = (struct random){seed.state + (uint64_t)_i};
    for (int i = 0; i < 30; i++)
        history(20 + rng(1500));
}
END_TEST

/* ---- shapes
 * -------------------------------------------------------------------------------------------- */

/* 1, 11, 111, …: as deep as a key can make a trie. */
START_TEST(deepest)
{
    struct trie_pool *pool = trie_pool_new(&ops);
    struct trie t, copy;
    struct trie_key key = {.len = 0};
    struct trie_iter it;
    trie_init(&t, pool);
    for (unsigned i = 0; i < TRIE_KEY_MAX; i++) {
        key.digit[key.len++] = 1;
        EXPECT(!trie_put(&t, &key, leaf_new(&key)));
    }
    struct trie_stats s;
    trie_pool_stats(pool, &s);
    EXPECT_EQ(s.branches, TRIE_KEY_MAX - 1);
    EXPECT_EQ(s.copies, 0);
    unsigned n = 0;
    for (const struct leaf *l = trie_first(&it, &t); l; l = trie_next(&it))
        EXPECT_EQ(l->len, ++n);
    EXPECT_EQ(n, TRIE_KEY_MAX);
    /* The deepest leaf changes: all its ancestors are copied, once. */
    trie_copy(&copy, &t);
    leaf_unref(trie_put(&copy, &key, leaf_new(&key)));
    trie_pool_stats(pool, &s);
    EXPECT_EQ(s.copies, TRIE_KEY_MAX - 1);
    leaf_unref(trie_put(&copy, &key, leaf_new(&key)));
    trie_pool_stats(pool, &s);
    EXPECT_EQ(s.copies, TRIE_KEY_MAX - 1);
    trie_fini(&t);
    while (key.len > 0) {
        struct leaf *l = trie_remove(&copy, &key);
        EXPECT(l);
        leaf_unref(l);
        key.len--;
    }
    EXPECT(trie_empty(&copy));
    trie_pool_stats(pool, &s);
    EXPECT_EQ(s.branches, 0);
    trie_pool_free(&pool);
    EXPECT_EQ(leaves_alive, 0);
}
END_TEST

/* A branch of every digit, grown and shrunk twig by twig. */
START_TEST(widest)
{
    struct trie_pool *pool = trie_pool_new(&ops);
    struct trie t;
    struct trie_key key = {.len = 1};
    struct trie_iter it;
    struct trie_stats s;
    trie_init(&t, pool);
    for (unsigned i = 0; i < TRIE_DIGITS; i++) {
        key.digit[0] = (uint8_t)(i * 7 % TRIE_DIGITS);
        key.len = key.digit[0] > 0;
        EXPECT(!trie_put(&t, &key, leaf_new(&key)));
    }
    trie_pool_stats(pool, &s);
    EXPECT_EQ(s.branches, 1);
    EXPECT_EQ(s.branch_bytes, branch_bytes(TRIE_DIGITS));
    unsigned n = 0;
    for (const struct leaf *l = trie_first(&it, &t); l; l = trie_next(&it), n++)
        EXPECT_EQ(l->len ? l->digit[0] : 0u, n);
    EXPECT_EQ(n, TRIE_DIGITS);
    for (unsigned i = 0; i < TRIE_DIGITS; i++) {
        key.digit[0] = (uint8_t)(i * 3 % TRIE_DIGITS);
        key.len = key.digit[0] > 0;
        struct leaf *l = trie_remove(&t, &key);
        EXPECT(l);
        leaf_unref(l);
        EXPECT(!trie_get(&t, &key));
    }
    EXPECT(trie_empty(&t));
    trie_pool_free(&pool);
    EXPECT_EQ(leaves_alive, 0);
}
END_TEST

static void number_key(struct trie_key *key, uint32_t number)
{
    key->len = 0;
    for (uint32_t power = 24300000; power > 0; power /= 30)
        key->digit[key->len++] = (uint8_t)(1 + number / power % 30);
    key->digit[key->len++] = 0;
}

/* A whole version dies beside another: its pages go back, the other's stay. A bulk load copies
 * nothing. */
START_TEST(memory_returns)
{
    struct trie_pool *pool = trie_pool_new(&ops);
    struct trie t[2];
    struct trie_key key;
    struct trie_stats one, two, after;
    for (unsigned v = 0; v < 2; v++) {
        trie_init(&t[v], pool);
        for (uint32_t i = 0; i < 20000; i++) {
            number_key(&key, i * 30);
            struct leaf *old = trie_put(&t[v], &key, leaf_new(&key));
            EXPECT(!old);
        }
        trie_pool_stats(pool, v ? &two : &one);
    }
    EXPECT_EQ(two.copies, 0);
    trie_fini(&t[0]);
    trie_pool_stats(pool, &after);
    EXPECT_EQ(after.branches, one.branches);
    EXPECT(after.held_bytes <= one.held_bytes + one.held_bytes / 8);
    trie_fini(&t[1]);
    trie_pool_stats(pool, &after);
    EXPECT(after.held_bytes <= 2 * POOL_PAGE_BYTES);
    trie_pool_free(&pool);
    EXPECT_EQ(leaves_alive, 0);
}
END_TEST

int main(void)
{
    seed = random_open();
    struct suite s = suite_open("trie");
    tcase_add_loop_test(s.tcase, random_histories, 0, 8);
    suite_add(s, deepest);
    suite_add(s, widest);
    suite_add(s, memory_returns);
    return suite_run(s);
}
