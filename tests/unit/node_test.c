/* node: a builder under random histories against a plain list, the layout of what it seals, its
 * bounds. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pipeline/zone/name.h"
#include "pipeline/zone/node.h"
#include "tests/lib/random.h"
#include "tests/lib/suite.h"

enum { MODEL_MAX = 4000 };

struct record {
    uint16_t type, covered;
    uint32_t ttl;
    bool mixed;
    uint16_t len;
    uint8_t rdata[24];
};
struct model {
    size_t n;
    struct record record[MODEL_MAX]; /* no duplicates, in order of arrival */
};
static struct model model;
static const uint8_t owner[] = "\3WwW\7example";

static int record_cmp(const void *a, const void *b)
{
    const struct record *x = a, *y = b;
    if (x->type != y->type)
        return x->type < y->type ? -1 : 1;
    if (x->covered != y->covered)
        return x->covered < y->covered ? -1 : 1;
    uint8_t cx[24], cy[24];
    rdata_canonical(x->type, x->rdata, x->len, cx);
    rdata_canonical(y->type, y->rdata, y->len, cy);
    int d = memcmp(cx, cy, x->len < y->len ? x->len : y->len);
    return d ? d : (int)x->len - y->len;
}

static struct record *model_find(const struct record *r)
{
    for (size_t i = 0; i < model.n; i++)
        if (record_cmp(&model.record[i], r) == 0)
            return &model.record[i];
    return NULL;
}

static void model_add(const struct record *r)
{
    struct record *have = model_find(r);
    if (!have) {
        ck_assert_uint_lt(model.n, MODEL_MAX);
        model.record[model.n++] = *r;
        return;
    }
    have->mixed |= have->ttl != r->ttl;
    have->ttl = have->ttl < r->ttl ? have->ttl : r->ttl;
}

static bool model_remove(const struct record *r)
{
    struct record *have = model_find(r);
    if (have)
        memmove(have, have + 1, (size_t)(&model.record[--model.n] - have) * sizeof *have);
    return have != NULL;
}

/* Few types, few rdata, case that varies: duplicates and equal names of another spelling are
 * common. */
static struct record some_record(struct random *random, unsigned wide)
{
    struct record r = {.ttl = random_below(random, 10) ? 300
                                                       : 100 + (uint32_t)random_below(random, 400)};
    unsigned v = (unsigned)random_below(random, wide);
    switch (random_below(random, 5)) {
    case 0:
        r.type = RR_A;
        r.len = 4;
        put_u32(r.rdata, v);
        break;
    case 1:
        r.type = RR_NS;
        r.len = 5;
        memcpy(r.rdata, "\3abc", 5);
        r.rdata[3] = (uint8_t)('a' + v % 26);
        for (unsigned i = 1; i < 4; i++)
            r.rdata[i] ^= random_below(random, 3) ? 0 : 0x20;
        break;
    case 2:
        r.type = RR_RRSIG;
        r.len = 22;
        r.covered = (uint16_t)(v % 3 ? RR_A : RR_NS);
        put_u16(r.rdata, r.covered);
        r.rdata[18] = 1;
        r.rdata[19] = random_below(random, 2) ? 'x' : 'X';
        r.rdata[21] = (uint8_t)v;
        break;
    case 3:
        r.type = RR_TXT;
        r.len = (uint16_t)(1 + v % 20);
        r.rdata[0] = (uint8_t)(v % 20);
        break;
    default:
        r.type = (uint16_t)(65280 + v % 40);
        r.len = 0;
    }
    return r;
}

static void builder_take(struct node_builder *b, const struct record *r)
{
    ck_assert_int_eq(node_builder_add(b, r->type, r->ttl, r->rdata, r->len), 0);
}

static void check_node(const struct node *node)
{
    static struct record sorted[MODEL_MAX];
    ck_assert_int_eq(node == NULL, model.n == 0);
    if (!node)
        return;
    ck_assert_int_eq(memcmp(node_name(node), owner, sizeof owner), 0);
    ck_assert_uint_eq(node->name_len, sizeof owner);
    ck_assert_uint_eq(node->records, model.n);
    memcpy(sorted, model.record, model.n * sizeof *sorted);
    qsort(sorted, model.n, sizeof *sorted, record_cmp);
    size_t i = 0;
    for (unsigned k = 0; k < node->nrrsets; k++) {
        struct rrset set, again;
        struct rdata r;
        node_rrset_at(node, k, &set);
        ck_assert(node_rrset(node, set.type, set.covered, &again) && again.rdata == set.rdata &&
                  again.end == set.end);
        ck_assert(node_has(node, set.type) && set.count > 0);
        uint32_t least = UINT32_MAX;
        bool mixed = false;
        uint16_t count = 0;
        size_t first = i;
        for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &r); i++, count++) {
            ck_assert_uint_lt(i, model.n);
            ck_assert(sorted[i].type == set.type && sorted[i].covered == set.covered);
            ck_assert(r.len == sorted[i].len &&
                      memcmp(r.data, sorted[i].rdata, r.len) == 0); /* the first spelling */
            mixed |= sorted[i].mixed || sorted[i].ttl != sorted[first].ttl;
            least = sorted[i].ttl < least ? sorted[i].ttl : least;
        }
        ck_assert(count == set.count && least == set.ttl && mixed == set.ttl_mixed);
        ck_assert(i == model.n || record_cmp(&sorted[i - 1], &sorted[i]) < 0);
        ck_assert(i == model.n || sorted[i].type != set.type || sorted[i].covered != set.covered);
    }
    ck_assert_uint_eq(i, model.n);
    struct rrset none = {.count = 77};
    ck_assert(!node_rrset(node, 9999, 0, &none) && !node_rrset(node, RR_A, 1, &none) &&
              none.count == 77);
    ck_assert(!node_has(node, 9999));
}

static bool skip_txt(void *ctx, const struct rrset *set)
{
    return set->type == *(const uint16_t *)ctx;
}

/* What a node does to its sets: one TTL each, and the memory that there were more. */
static void model_one_ttl(void)
{
    static struct record was[MODEL_MAX];
    memcpy(was, model.record, model.n * sizeof *was);
    for (size_t i = 0; i < model.n; i++)
        for (size_t j = 0; j < model.n; j++) {
            struct record *r = &model.record[i];
            if (was[i].type != was[j].type || was[i].covered != was[j].covered)
                continue;
            r->mixed |= was[i].ttl != was[j].ttl || was[j].mixed;
            r->ttl = r->ttl < was[j].ttl ? r->ttl : was[j].ttl;
        }
}

START_TEST(random_histories)
{
    struct random random = random_open();
    struct node_builder *b = node_builder_new();
    for (unsigned round = 0; round < 400; round++) {
        unsigned wide = round % 4 ? 6 : 900,
                 steps = (unsigned)random_below(&random, round % 4 ? 60 : 1500);
        node_builder_begin(b, owner);
        model.n = 0;
        for (unsigned k = 0; k < steps; k++) {
            struct record r = some_record(&random, wide);
            unsigned what = (unsigned)random_below(&random, 100);
            if (what < 70) {
                builder_take(b, &r);
                model_add(&r);
            } else if (what < 97) {
                ck_assert_int_eq(node_builder_remove(b, r.type, r.rdata, r.len), model_remove(&r));
            } else {
                /* Through a node and back, one type left out. */
                struct node *node = node_builder_seal(b);
                check_node(node);
                if (!node)
                    continue;
                uint16_t skip = RR_TXT;
                node_builder_add_node(b, node, skip_txt, &skip);
                node_unref(node);
                size_t kept = 0;
                for (size_t i = 0; i < model.n; i++)
                    if (model.record[i].type != skip)
                        model.record[kept++] = model.record[i];
                model.n = kept;
                model_one_ttl();
            }
        }
        struct node *node = node_builder_seal(b);
        check_node(node);
        node_unref(node);
    }
    node_builder_free(&b);
    ck_assert_ptr_null(b);
}
END_TEST

static struct node *node_of(const uint8_t *name, const struct record *r, size_t n)
{
    struct node_builder *b = node_builder_new();
    node_builder_begin(b, name);
    for (size_t i = 0; i < n; i++)
        builder_take(b, &r[i]);
    struct node *node = node_builder_seal(b);
    node_builder_free(&b);
    return node;
}

START_TEST(equality)
{
    struct record lower = {.type = RR_NS, .ttl = 5, .len = 5, .rdata = "\3abc"}, upper = lower,
                  other = lower, later = lower;
    memcpy(upper.rdata, "\3ABC", 5);
    memcpy(other.rdata, "\3abd", 5);
    later.ttl = 6;
    struct node *a = node_of(owner, &lower, 1), *same = node_of(owner, &lower, 1),
                *b = node_of(owner, &upper, 1), *c = node_of(owner, &other, 1),
                *d = node_of(owner, &later, 1),
                *e = node_of((const uint8_t *)"\3www\7example", &lower, 1);
    struct rrset sa, sb, sc, sd, se;
    node_rrset_at(a, 0, &sa);
    node_rrset_at(b, 0, &sb);
    node_rrset_at(c, 0, &sc);
    node_rrset_at(d, 0, &sd);
    node_rrset_at(e, 0, &se);
    ck_assert(node_equal(a, a) && node_equal(a, same));
    ck_assert(!node_equal(a, b) && !node_equal(a, c) && !node_equal(a, d) && !node_equal(a, e));
    ck_assert(rrset_equal(&sa, &sb, false) && !rrset_equal(&sa, &sb, true));
    ck_assert(!rrset_equal(&sa, &sc, false) && !rrset_equal(&sa, &sd, false) &&
              rrset_equal(&sa, &se, true));
    struct rdata first;
    ck_assert(rrset_first(&sa, &first) && first.len == 5);
    struct node *all[] = {a, same, b, c, d, e};
    for (size_t i = 0; i < 6; i++)
        node_unref(all[i]);
    node_unref(NULL);
}
END_TEST

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void take_number(struct node_builder *b, uint32_t v, int want)
{
    uint8_t rdata[4];
    put_u32(rdata, v);
    ck_assert_int_eq(node_builder_add(b, RR_A, 1, rdata, 4), want);
}

/* 65,535 records fit, one more does not; worst orders cost about what the best do. */
START_TEST(most_records_of_a_name)
{
    struct node_builder *b = node_builder_new();
    double start = seconds();
    for (unsigned order = 0; order < 3; order++) {
        node_builder_begin(b, owner);
        for (uint32_t i = 0; i < 65535; i++)
            take_number(b, order == 0 ? i : order == 1 ? 70000 - i : i * 2654435761u, 0);
        take_number(b, 0x7fffffff, -E_LIMIT);
        struct node *node = node_builder_seal(b);
        ck_assert_uint_eq(node->records, 65535);
        struct rrset set;
        node_rrset_at(node, 0, &set);
        ck_assert_uint_eq(set.count, 65535);
        struct rdata r;
        uint32_t last = 0;
        for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &r); last = get_u32(r.data))
            ck_assert(p == set.rdata + 6 || get_u32(r.data) > last);
        node_unref(node);
    }
    /* Duplicates without end are sorted out, and do not count. */
    node_builder_begin(b, owner);
    for (uint32_t i = 0; i < 2000000; i++)
        take_number(b, i % 40000, 0);
    struct node *node = node_builder_seal(b);
    ck_assert_uint_eq(node->records, 40000);
    node_unref(node);
    /* Removing and adding in turn at a full name. */
    node_builder_begin(b, owner);
    for (uint32_t i = 0; i < 40000; i++)
        take_number(b, i, 0);
    for (uint32_t i = 0; i < 40000; i++) {
        uint8_t rdata[4];
        put_u32(rdata, i);
        ck_assert(node_builder_remove(b, RR_A, rdata, 4) &&
                  !node_builder_remove(b, RR_A, rdata, 4));
        take_number(b, 100000 + i, 0);
    }
    node = node_builder_seal(b);
    ck_assert_uint_eq(node->records, 40000);
    node_unref(node);
    /* 65,535 types. */
    node_builder_begin(b, owner);
    for (unsigned type = 65535; type > 0; type--)
        ck_assert_int_eq(node_builder_add(b, RR_RRSIG, 1,
                                          (const uint8_t[22]){(uint8_t)(type >> 8), (uint8_t)type},
                                          20),
                         0);
    node = node_builder_seal(b);
    ck_assert_uint_eq(node->nrrsets, 65535);
    struct rrset set;
    ck_assert(node_rrset(node, RR_RRSIG, 4711, &set) && set.count == 1 && set.covered == 4711);
    node_unref(node);
    node_builder_free(&b);
    ck_assert_msg(seconds() - start < 60, "%.1f s",
                  seconds() - start); /* quadratic would be minutes */
}
END_TEST

START_TEST(most_octets_of_a_name)
{
    static uint8_t rdata[65535];
    struct node_builder *b = node_builder_new();
    node_builder_begin(b, owner);
    int rc = 0;
    unsigned n = 0;
    for (; rc == 0 && n < 5000; n++) {
        put_u32(rdata, n);
        rc = node_builder_add(b, 65400, 1, rdata, 65535);
    }
    ck_assert_int_eq(rc, -E_LIMIT);
    ck_assert(n > 4000);
    node_builder_free(&b);
}
END_TEST

static void *ref_and_unref(void *p)
{
    struct node *node = p;
    for (unsigned i = 0; i < 20000; i++) {
        struct node *mine = node_ref(node);
        ck_assert(node_has(mine, RR_A));
        node_unref(mine);
    }
    node_unref(node);
    return NULL;
}

START_TEST(held_by_threads)
{
    struct record r = {.type = RR_A, .ttl = 5, .len = 4};
    struct node *node = node_of(owner, &r, 1);
    pthread_t thread[4];
    for (unsigned i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, ref_and_unref, node_ref(node)), 0);
    node_unref(node); /* whoever is last frees it */
    for (unsigned i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
}
END_TEST

START_TEST(leaf_of_a_trie)
{
    struct record r = {.type = RR_A, .ttl = 5, .len = 4};
    struct node *node = node_of(owner, &r, 1);
    struct trie_key a, b;
    node_leaf_ops.key(node, &a);
    name_key(owner, &b);
    ck_assert(a.len == b.len && memcmp(a.digit, b.digit, a.len) == 0);
    node_leaf_ops.ref(node);
    ck_assert_uint_eq(node->refs, 2);
    node_leaf_ops.unref(node);
    ck_assert_uint_eq(node->refs, 1);
    node_unref(node);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("node");
    suite_add(s, random_histories);
    suite_add(s, equality);
    suite_add(s, most_records_of_a_name);
    suite_add(s, most_octets_of_a_name);
    suite_add(s, held_by_threads);
    suite_add(s, leaf_of_a_trie);
    return suite_run(s);
}
