/* xfrout, differences: whoever holds any version of the history and applies what we send has the version that is served,
 * octet for octet, case and TTLs too. The reader here shares nothing with the writer but the reader of messages: records are
 * strings of octets in a sorted array. RFC 1995 4. */
#include "pipeline/net/xfrout.h"

#include <stdlib.h>
#include <string.h>

#include "pipeline/base/alloc.h"
#include "pipeline/base/rcu.h"
#include "tests/lib/accepted.h"
#include "tests/lib/expect.h"
#include "tests/lib/random.h"
#include "tests/lib/suite.h"
#include "tests/lib/zonegen.h"

enum { ID = 0xbeef, RECORD_MAX = 2 * NAME_MAX_OCTETS + 1024, VERSIONS = 40 };

static const uint8_t asked[] = "\7ExAmPlE";
static struct msg_writer writer;
static uint8_t buf[MSG_MAX];

/* ---- a zone as a sorted array of records */

struct record {
    size_t len;
    uint8_t octets[]; /* TTL, type, length of the owner, owner, rdata */
};
struct records {
    size_t n, room;
    struct record **list;
};

static int record_cmp(const void *a, const void *b)
{
    const struct record *x = *(const struct record *const *)a;
    const struct record *y = *(const struct record *const *)b;
    if (x->len != y->len)
        return x->len < y->len ? -1 : 1;
    return memcmp(x->octets, y->octets, x->len);
}

static struct record *record_new(const uint8_t *owner, uint16_t type, uint32_t ttl,
                                 const uint8_t *rdata, size_t len)
{
    size_t owner_len = name_len(owner);
    struct record *r = mem_alloc(sizeof *r + 8 + owner_len + len);
    r->len = 8 + owner_len + len;
    put_u32(r->octets, ttl);
    put_u16(r->octets + 4, type);
    put_u16(r->octets + 6, (uint16_t)owner_len);
    memcpy(r->octets + 8, owner, owner_len);
    if (len)
        memcpy(r->octets + 8 + owner_len, rdata, len);
    return r;
}

static void records_add(struct records *s, struct record *r)
{
    if (s->n == s->room) {
        s->room = s->room ? 2 * s->room : 64;
        s->list = mem_resize(s->list, s->room * sizeof s->list[0]);
    }
    s->list[s->n++] = r;
}

static void records_sort(struct records *s)
{
    if (s->n)
        qsort(s->list, s->n, sizeof s->list[0], record_cmp);
}

static bool records_have(const struct records *s, const struct record *r)
{
    return s->n && bsearch(&r, s->list, s->n, sizeof s->list[0], record_cmp);
}

static void records_free(struct records *s)
{
    for (size_t i = 0; i < s->n; i++)
        mem_free(&s->list[i]);
    mem_free(&s->list);
    *s = (struct records){0};
}

static struct records records_of(const struct snapshot *zone)
{
    struct records s = {0};
    struct snapshot_iter it;
    for (const struct node *n = snapshot_first(&it, zone); n; n = snapshot_next(&it))
        for (unsigned i = 0; i < n->nrrsets; i++) {
            struct rrset set;
            struct rdata r;
            node_rrset_at(n, i, &set);
            for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &r);)
                records_add(&s, record_new(node_name(n), set.type, set.ttl, r.data, r.len));
        }
    records_sort(&s);
    return s;
}

/* ---- an answer */

struct answered {
    struct records list; /* in order */
    size_t messages, later;
};

static bool is_soa(const struct record *r)
{
    return get_u16(r->octets + 4) == RR_SOA;
}

static uint32_t soa_serial(const struct record *r)
{
    return get_u32(r->octets + r->len - 20);
}

static void message_read(struct answered *a, size_t len, bool edns)
{
    static struct msg_reader reader;
    struct why why = {""};
    struct rr rr;
    int more;
    ck_assert_int_eq(msg_open(&reader, buf, len, &why), 0);
    EXPECT_EQ(reader.id, ID);
    EXPECT_EQ(reader.flags, MSG_QR | MSG_AA);
    EXPECT_EQ(reader.count[SECTION_QUESTION], a->messages == 0);
    EXPECT(reader.count[SECTION_ANSWER] > 0);
    EXPECT_EQ(reader.count[SECTION_ADDITIONAL], a->messages == 0 && edns);
    while ((more = msg_next(&reader, &rr, &why)) > 0) {
        if (rr.section != SECTION_ANSWER)
            continue;
        EXPECT_EQ(rr.class, CLASS_IN);
        records_add(&a->list, record_new(rr.owner, rr.type, rr.ttl, rr.rdata, rr.len));
    }
    ck_assert_msg(more == 0, "%s", why.text);
    a->messages++;
}

static struct answered answer_of(struct xfrout *x, bool edns)
{
    struct answered a = {0};
    struct why why = {""};
    struct xfrout_stats stats;
    size_t octets = 0;
    while (!xfrout_done(x)) {
        int len = xfrout_next(x, &writer, buf, sizeof buf, &why);
        ck_assert_msg(len >= 0, "%s", why.text);
        octets += (size_t)len;
        if (len)
            message_read(&a, (size_t)len, edns);
        else
            a.later++;
    }
    ck_assert_int_eq(xfrout_next(x, &writer, buf, sizeof buf, &why), 0);
    xfrout_stats(x, &stats);
    ck_assert_uint_eq(stats.records, a.list.n);
    ck_assert_uint_eq(stats.bytes, octets);
    ck_assert_uint_eq(stats.messages, a.messages);
    return a;
}

/* One side of the difference: its records are in `in` and not in `out`, each once. Returns where it ended. */
static size_t side(const struct answered *a, size_t i, const struct records *in,
                   const struct records *out, struct records *kept)
{
    for (; i < a->list.n && !is_soa(a->list.list[i]); i++) {
        const struct record *r = a->list.list[i];
        EXPECT(records_have(in, r));
        EXPECT(!records_have(out, r));
        struct record *copy = mem_dup(r, sizeof *r + r->len);
        records_add(kept, copy);
    }
    records_sort(kept);
    for (size_t k = 1; k < kept->n; k++)
        EXPECT(record_cmp(&kept->list[k - 1], &kept->list[k]) < 0);
    return i;
}

static void expect_equal(const struct records *a, const struct records *b)
{
    ck_assert_uint_eq(a->n, b->n);
    for (size_t i = 0; i < a->n; i++)
        EXPECT_EQ(record_cmp(&a->list[i], &b->list[i]), 0);
}

/* What `a` makes of `was` is `now`. */
static void expect_difference(const struct answered *a, const struct records *was,
                              const struct records *now)
{
    struct records gone = {0}, came = {0}, made = {0};
    struct record **r = a->list.list;
    ck_assert_uint_ge(a->list.n, 4);
    EXPECT(is_soa(r[0]) && records_have(now, r[0]));
    EXPECT(is_soa(r[1]) && records_have(was, r[1]));
    size_t i = side(a, 2, was, now, &gone);
    EXPECT(i < a->list.n && record_cmp(&r[i], &r[0]) == 0);
    EXPECT(soa_serial(r[i]) != soa_serial(r[1]));
    i = side(a, i + 1, now, was, &came);
    EXPECT(i + 1 == a->list.n && record_cmp(&r[i], &r[0]) == 0);

    for (size_t k = 0; k < was->n; k++)
        if (!is_soa(was->list[k]) && !records_have(&gone, was->list[k]))
            records_add(&made, mem_dup(was->list[k], sizeof(struct record) + was->list[k]->len));
    for (size_t k = 0; k < came.n; k++)
        records_add(&made, mem_dup(came.list[k], sizeof(struct record) + came.list[k]->len));
    records_add(&made, mem_dup(r[0], sizeof(struct record) + r[0]->len));
    records_sort(&made);
    expect_equal(&made, now);
    records_free(&gone);
    records_free(&came);
    records_free(&made);
}

/* ---- versions with history */

static const struct history_limits plenty = {.steps = 1000, .bytes = UINT64_MAX};

static struct version *version_of(struct snapshot *s, const struct version *before)
{
    struct version *v = version_accepted(s);
    if (before) {
        struct changeset *changes = changeset_between(before->served, v->served);
        v->history = history_append(before->history, changes, v->served, 1, &plenty);
        changeset_unref(changes);
    }
    return v;
}

static struct snapshot *next_zone(struct zonegen *gen, struct random *r, struct family *family,
                                  const struct snapshot *before)
{
    struct edit *e = edit_open(family, before, before);
    struct snapshot *made;
    struct why why;
    gen->serial += (uint32_t)random_below(r, 3);
    zonegen_step(gen, e, (unsigned)random_below(r, 5));
    zonegen_restyle(gen, e, (unsigned)random_below(r, 5));
    ck_assert_int_eq(edit_seal(&e, &made, NULL, &why), 0);
    return made;
}

static void set_up(void)
{
    rcu_thread_start();
    msg_writer_init(&writer);
}

static void tear_down(void)
{
    rcu_barrier_all();
    rcu_thread_stop();
}

static void check_from(struct random *r, const struct version *v, const struct records *was,
                       uint32_t serial, const struct records *now)
{
    bool edns = random_below(r, 2);
    struct xfrout *x = xfrout_new(v, ID, asked, RR_IXFR, edns);
    if (random_below(r, 3))
        xfrout_fill(x, 12 + random_below(r, 2000));
    ck_assert(xfrout_since(x, serial));
    struct answered a = answer_of(x, edns);
    expect_difference(&a, was, now);
    records_free(&a.list);
    xfrout_free(&x);
}

/* RFC 1995 4: every serial in the history of every version; 6: one condensed difference; what is in no history gets the whole zone. */
START_TEST(random_histories)
{
    struct random r = random_open();
    unsigned longest = 0;
    set_up();
    for (unsigned round = 0; round < 12; round++) {
        struct zonegen gen = zonegen_open(&r, "eXample.", 20 + (unsigned)random_below(&r, 300));
        struct family *family = family_new(gen.apex);
        struct version *v[VERSIONS];
        struct records zone[VERSIONS];
        v[0] = version_of(zonegen_version(&gen, family, NULL, 0), NULL);
        zone[0] = records_of(v[0]->served);
        for (unsigned i = 1; i < VERSIONS; i++) {
            v[i] = version_of(next_zone(&gen, &r, family, v[i - 1]->served), v[i - 1]);
            zone[i] = records_of(v[i]->served);
            unsigned known = v[i]->history ? v[i]->history->n : 0;
            longest = known > longest ? known : longest;
            for (unsigned k = i - known; k < i; k++)
                check_from(&r, v[i], &zone[k], v[k]->soa.serial, &zone[i]);
            struct xfrout *x = xfrout_new(v[i], ID, asked, RR_IXFR, false);
            ck_assert(!xfrout_since(x, v[i]->soa.serial));
            ck_assert(!xfrout_since(x, v[0]->soa.serial - 1));
            struct answered a = answer_of(x, false);
            ck_assert_uint_eq(a.list.n, zone[i].n + 1);
            records_free(&a.list);
            xfrout_free(&x);
        }
        for (unsigned i = 0; i < VERSIONS; i++) {
            version_unref(v[i]);
            records_free(&zone[i]);
        }
        family_unref(family);
    }
    ck_assert_uint_gt(longest, 15);
    tear_down();
}
END_TEST

/* ---- what comes and goes */

static void put(struct edit *e, const char *owner, uint16_t type, uint32_t ttl, const char *octets,
                size_t len)
{
    uint8_t name[NAME_MAX_OCTETS];
    struct why why = {""};
    ck_assert_int_gt(name_parse(owner, name, &why), 0);
    ck_assert_msg(edit_add(e, name, type, ttl, (const uint8_t *)octets, (uint16_t)len, &why) == 0,
                  "%s", why.text);
}

static struct snapshot *seal(struct edit *e, uint32_t serial)
{
    struct snapshot *s;
    struct why why;
    uint8_t soa[] = "\0\0\0\0\0\0\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5";
    const uint8_t apex[] = "\7example";
    struct node_builder *b = node_builder_new();
    put_u32(soa + 2, serial);
    node_builder_begin(b, apex);
    ck_assert_int_eq(node_builder_add(b, RR_SOA, 60, soa, 22), 0);
    edit_put(e, node_builder_seal(b));
    node_builder_free(&b);
    ck_assert_int_eq(edit_seal(&e, &s, NULL, &why), 0);
    return s;
}

enum { FLEETING = 6000, FILLERS = 160, CALLS_MAX = 2 * 2 * FLEETING / 1000 };

/* 6,000 names that one step brings and the next takes away: each call looks at some of them and gives the thread back, though
 * there is nothing to send yet; the difference is four SOAs. */
START_TEST(what_came_and_went)
{
    set_up();
    struct family *family = family_new((const uint8_t *)"\7example");
    struct edit *e = edit_open(family, NULL, NULL);
    static const char filler[60000];
    for (unsigned i = 0; i < FILLERS; i++) { /* or the history would be more work than the zone */
        char owner[32];
        snprintf(owner, sizeof owner, "filler%u.example.", i);
        put(e, owner, 65400, 60, filler, sizeof filler);
    }
    struct version *v[3];
    v[0] = version_of(seal(e, 1), NULL);
    e = edit_open(family, v[0]->served, v[0]->served);
    for (unsigned i = 0; i < FLEETING; i++) {
        char owner[32];
        snprintf(owner, sizeof owner, "n%u.example.", i);
        put(e, owner, RR_A, 60, "abcd", 4);
    }
    v[1] = version_of(seal(e, 2), v[0]);
    e = edit_open(family, v[1]->served, v[1]->served);
    for (unsigned i = 0; i < FLEETING; i++) {
        char owner[32];
        uint8_t name[NAME_MAX_OCTETS];
        snprintf(owner, sizeof owner, "n%u.example.", i);
        ck_assert_int_gt(name_parse(owner, name, NULL), 0);
        ck_assert(edit_remove(e, name));
    }
    v[2] = version_of(seal(e, 3), v[1]);
    ck_assert_uint_eq(v[2]->history->n, 2);
    struct xfrout *x = xfrout_new(v[2], ID, asked, RR_IXFR, true);
    ck_assert(xfrout_since(x, 1));
    struct answered a = answer_of(x, true);
    ck_assert_uint_eq(a.list.n, 4);
    ck_assert_uint_ge(a.messages, 1);
    ck_assert_uint_gt(a.later, 5);
    ck_assert_uint_lt(a.later, CALLS_MAX);
    struct records was = records_of(v[0]->served), now = records_of(v[2]->served);
    expect_difference(&a, &was, &now);
    records_free(&was);
    records_free(&now);
    records_free(&a.list);
    xfrout_free(&x);
    for (unsigned i = 0; i < 3; i++)
        version_unref(v[i]);
    family_unref(family);
    tear_down();
}
END_TEST

/* The first message says that this is a difference: its second record is the old SOA (RFC 1995 4), however large the first
 * change is; and it belongs to the transfer, not to the zone, whoever lets go of the version. */
START_TEST(first_message)
{
    static const char large[65000];
    set_up();
    struct family *family = family_new((const uint8_t *)"\7example");
    struct edit *e = edit_open(family, NULL, NULL);
    put(e, "z.example.", 65400, 60, large, sizeof large);
    put(e, "y.example.", 65400, 60, large, sizeof large);
    struct version *was = version_of(seal(e, 1), NULL);
    e = edit_open(family, was->served, was->served);
    put(e, "a.example.", 65400, 60, large, sizeof large);
    struct version *v = version_of(seal(e, 2), was);
    struct xfrout *x = xfrout_new(v, ID, asked, RR_IXFR, true);
    ck_assert(xfrout_since(x, 1));
    version_unref(was);
    version_unref(v);
    struct answered a = {0};
    struct why why;
    int len = xfrout_next(x, &writer, buf, sizeof buf, &why);
    ck_assert_int_gt(len, 0);
    message_read(&a, (size_t)len, true);
    ck_assert_uint_ge(a.list.n, 2);
    ck_assert(is_soa(a.list.list[1]));
    ck_assert_uint_eq(soa_serial(a.list.list[0]), 2);
    ck_assert_uint_eq(soa_serial(a.list.list[1]), 1);
    records_free(&a.list);
    xfrout_free(&x); /* in the middle */
    family_unref(family);
    tear_down();
}
END_TEST

int main(void)
{
    struct suite s = suite_open("xfrout_ixfr");
    suite_add(s, random_histories);
    suite_add(s, what_came_and_went);
    suite_add(s, first_message);
    return suite_run(s);
}
