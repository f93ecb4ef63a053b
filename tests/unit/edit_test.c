/* edit_test: edits, changesets and diffs against a sorted array, under random histories of many versions.
 *
 * Few names and few records, so that owners come back late, nodes empty out, and versions differ in all ways. */
#include "tests/lib/expect.h"
#include "tests/lib/random.h"
#include "tests/lib/suite.h"
#include "tests/lib/zone_model.h"

#include <string.h>

static struct random rnd;

static unsigned below(unsigned n)
{
    return (unsigned)random_below(&rnd, n);
}

static const uint8_t apex[] = "\1z";

/* The same name always in the same case, so that the order of records does not decide whose case is kept. */
static void random_name(uint8_t *out)
{
    static const char *const label[] = {"a", "B", "ab", "abc", "*", "x-y", "_t", "b\001"};
    uint8_t *p = out;
    for (unsigned n = below(4); n > 0; n--) {
        const char *l = label[below(sizeof label / sizeof label[0])];
        *p = (uint8_t)strlen(l);
        memcpy(p + 1, l, *p);
        p += 1 + *p;
    }
    memcpy(p, apex, sizeof apex);
}

struct record {
    uint8_t owner[NAME_MAX_OCTETS];
    uint16_t type, len;
    uint32_t ttl;
    uint8_t rdata[40];
};

static void random_record(struct record *r)
{
    static const uint8_t host[] = "\1h\1z";
    random_name(r->owner);
    r->type = below(2) ? RR_A : below(2) ? RR_TXT : RR_NS;
    r->ttl =
        r->type; /* one TTL a set: of several, a node keeps the smallest, and then order would count */
    if (r->type == RR_A) {
        memcpy(r->rdata, "\300\0\2", 3);
        r->rdata[3] = (uint8_t)below(4);
        r->len = 4;
    } else if (r->type == RR_TXT) {
        r->rdata[0] = (uint8_t)below(3);
        memset(r->rdata + 1, 't', r->rdata[0]);
        r->len = 1u + r->rdata[0];
    } else {
        memcpy(r->rdata, host, sizeof host);
        r->len = sizeof host;
    }
}

static void soa_rdata(uint8_t out[24], uint32_t serial)
{
    memset(out, 0, 24);
    memcpy(out, "\1m", 3); /* mname m., rname the root */
    put_u32(out + 4, serial);
}

static int add(struct edit *e, const struct record *r)
{
    return edit_add(e, r->owner, r->type, r->ttl, r->rdata, r->len, NULL);
}

/* ---- histories ----------------------------------------------------------------------------------------- */

enum { VERSIONS = 8 };
struct version {
    struct snapshot *s;
    struct zone_model m;
};
static struct version version[VERSIONS];

static void edit_add_some(struct edit *e, struct zone_model *m)
{
    struct record r[16];
    unsigned n = 1 + below(16);
    for (unsigned i = 0; i < n; i++) {
        random_record(&r[i]);
        if (i > 0 && below(2))
            memcpy(r[i].owner, r[below(i)].owner, sizeof r[i].owner);
        EXPECT_EQ(add(e, &r[i]), 0);
        model_add(m, r[i].owner, r[i].type, r[i].ttl, r[i].rdata, r[i].len);
    }
}

static void edit_step(struct edit *e, struct zone_model *m)
{
    struct record r;
    random_record(&r);
    if (m->n > 0 && below(3))
        name_copy(r.owner, node_name(m->node[below(m->n)]));
    switch (below(8)) {
    case 0: {
        const struct node *a = edit_get(e, r.owner), *b = model_get(m, r.owner);
        EXPECT(a == b || (a && b && node_equal(a, b)));
        break;
    }
    case 1: {
        struct node_builder *b = node_builder_new();
        node_builder_begin(b, r.owner);
        EXPECT_EQ(node_builder_add(b, r.type, r.ttl, r.rdata, r.len), 0);
        struct node *node = node_builder_seal(b);
        node_builder_free(&b);
        model_put(m, node_ref(node));
        edit_put(e, node);
        break;
    }
    case 2:
        EXPECT_EQ(edit_remove(e, r.owner), model_remove(m, r.owner));
        break;
    case 3:
    case 4:
        for (unsigned n = 1 + below(6); n > 0; n--) {
            int rc = edit_del(e, r.owner, r.type, r.rdata, r.len, NULL);
            EXPECT_EQ(rc, model_del(m, r.owner, r.type, r.rdata, r.len) ? 0 : -E_NOENT);
            uint8_t owner[NAME_MAX_OCTETS];
            name_copy(owner, r.owner);
            random_record(&r);
            if (below(4))
                name_copy(r.owner, owner);
        }
        break;
    default:
        edit_add_some(e, m);
    }
}

static void set_serial(struct edit *e, struct zone_model *m, uint32_t serial)
{
    uint8_t rdata[24];
    soa_rdata(rdata, serial);
    struct node_builder *b = node_builder_new();
    node_builder_begin(b, apex);
    EXPECT_EQ(node_builder_add(b, RR_SOA, 3600, rdata, sizeof rdata), 0);
    struct node *node = node_builder_seal(b);
    node_builder_free(&b);
    model_put(m, node_ref(node));
    edit_put(e, node);
}

static void expect_serials(const struct changeset *c, const struct version *was,
                           const struct version *now)
{
    struct soa soa;
    EXPECT_EQ(c->has_from, was && was->s && snapshot_soa(was->s, &soa));
    if (c->has_from)
        EXPECT_EQ(c->from, soa.serial);
    EXPECT_EQ(c->has_to, snapshot_soa(now->s, &soa));
    if (c->has_to)
        EXPECT_EQ(c->to, soa.serial);
}

/* Nodes equal to those of `since` are those of `since`. */
static void expect_twins(const struct snapshot *since, const struct snapshot *s)
{
    struct snapshot_iter it;
    for (const struct node *node = snapshot_first(&it, s); node; node = snapshot_next(&it)) {
        const struct node *twin = snapshot_get(since, node_name(node));
        if (twin && node_equal(twin, node))
            EXPECT_PTR(twin, node);
    }
}

static void version_drop(struct version *v)
{
    snapshot_unref(v->s);
    v->s = NULL;
    model_clear(&v->m);
}

static void version_make(struct family *family[2], struct version *v, uint32_t serial)
{
    static const struct zone_model nothing;
    struct version *base = &version[below(VERSIONS)],
                   *since = below(3) ? base : &version[below(VERSIONS)];
    static struct zone_model m;
    struct family *f = base->s ? base->s->family : family[below(2)];
    bool from_base = base->s && below(4);
    model_copy(&m, from_base ? &base->m : &nothing);
    struct edit *e = edit_open(f, from_base ? base->s : NULL, since->s);
    for (unsigned n = below(12); n > 0; n--)
        edit_step(e, &m);
    if (below(4))
        set_serial(e, &m, serial);
    if (below(8) == 0) {
        edit_abort(&e);
        EXPECT(!e);
        model_clear(&m);
        return;
    }
    struct version made = {.m = m};
    struct changeset *c = NULL;
    EXPECT_EQ(edit_seal(&e, &made.s, below(4) ? &c : NULL, NULL), 0);
    EXPECT(!e);
    model_expect_snapshot(&made.m, made.s);
    if (c) {
        model_expect_changes(since->s ? &since->m : &nothing, &made.m, c);
        expect_serials(c, since, &made);
        changeset_unref(c);
    }
    if (since->s && !from_base)
        expect_twins(since->s, made.s);
    if (v->s)
        version_drop(v);
    *v = made;
}

/* between, compose and invert say the same of three versions. */
static void laws_of_changes(const struct version *x, const struct version *y,
                            const struct version *z)
{
    struct changeset *xy = changeset_between(x->s, y->s), *yz = changeset_between(y->s, z->s);
    struct changeset *xz = changeset_between(x->s, z->s), *zx = changeset_between(z->s, x->s);
    struct changeset *composed = changeset_compose(xy, yz), *inverted = changeset_invert(xz);
    struct changeset *there_and_back = changeset_compose(xz, zx);
    model_expect_changes(&x->m, &y->m, xy);
    expect_changes_equal(composed, xz);
    expect_changes_equal(inverted, zx);
    EXPECT_EQ(there_and_back->n, 0);
    changeset_unref(xy);
    changeset_unref(yz);
    changeset_unref(xz);
    changeset_unref(zx);
    changeset_unref(composed);
    changeset_unref(inverted);
    changeset_unref(there_and_back);
}

START_TEST(random_histories)
{
    for (int round = 0; round < 100; round++) {
        struct family *family[2] = {family_new(apex), family_new(apex)};
        for (uint32_t i = 0; i < 120; i++) {
            struct version *v = &version[below(VERSIONS)];
            if (v->s && below(5) == 0)
                version_drop(v);
            else
                version_make(family, v, i);
            struct version *x = &version[below(VERSIONS)], *y = &version[below(VERSIONS)],
                           *z = &version[below(VERSIONS)];
            if (x->s && y->s && z->s)
                laws_of_changes(x, y, z);
            if (x->s)
                model_expect_snapshot(&x->m, x->s);
        }
        for (unsigned i = 0; i < VERSIONS; i++)
            if (version[i].s)
                version_drop(&version[i]);
        for (unsigned i = 0; i < 2; i++) {
            struct trie_stats stats;
            family_stats(family[i], &stats);
            EXPECT_EQ(stats.branches, 0);
            family_unref(family[i]);
        }
    }
}
END_TEST

/* ---- loads --------------------------------------------------------------------------------------------- */

/* Records of all owners in turns: none of them follows its like. The same zone comes out as from any other order. */
START_TEST(interleaved_owners)
{
    enum { OWNERS = 50, RECORDS = 200 };
    struct family *family = family_new(apex);
    struct snapshot *s[2];
    for (unsigned order = 0; order < 2; order++) {
        struct edit *e = edit_open(family, NULL, order ? s[0] : NULL);
        for (unsigned i = 0; i < OWNERS * RECORDS; i++) {
            unsigned o = order ? i % OWNERS : i / RECORDS, r = order ? i / OWNERS : i % RECORDS;
            uint8_t owner[] = "\2??\1z", rdata[] = {10, (uint8_t)o, 0, (uint8_t)r};
            owner[1] = (uint8_t)('a' + o / 10);
            owner[2] = (uint8_t)('a' + o % 10);
            EXPECT_EQ(edit_add(e, owner, RR_A, 60, rdata, sizeof rdata, NULL), 0);
        }
        EXPECT_EQ(edit_records(e), OWNERS * RECORDS);
        struct changeset *c;
        EXPECT_EQ(edit_seal(&e, &s[order], &c, NULL), 0);
        EXPECT_EQ(s[order]->names, OWNERS);
        EXPECT_EQ(s[order]->records, OWNERS * RECORDS);
        EXPECT_EQ(c->n, order ? 0 : OWNERS);
        changeset_unref(c);
    }
    expect_twins(s[0], s[1]);
    snapshot_unref(s[0]);
    snapshot_unref(s[1]);
    family_unref(family);
}
END_TEST

/* Late records are seen by every function that looks. */
START_TEST(late_records_are_seen)
{
    static const uint8_t a[] = "\1a\1z", b[] = "\1b\1z";
    struct family *family = family_new(apex);
    struct edit *e = edit_open(family, NULL, NULL);
    EXPECT_EQ(edit_add(e, a, RR_A, 1, (const uint8_t *)"\1\1\1\1", 4, NULL), 0);
    EXPECT_EQ(edit_add(e, b, RR_A, 1, (const uint8_t *)"\1\1\1\1", 4, NULL), 0);
    EXPECT_EQ(edit_add(e, a, RR_A, 1, (const uint8_t *)"\2\2\2\2", 4, NULL), 0);
    EXPECT_EQ(edit_get(e, a)->records, 2);
    EXPECT_EQ(edit_add(e, a, RR_A, 1, (const uint8_t *)"\3\3\3\3", 4, NULL), 0);
    EXPECT_EQ(edit_add(e, b, RR_A, 1, (const uint8_t *)"\3\3\3\3", 4, NULL), 0);
    EXPECT_EQ(edit_del(e, a, RR_A, (const uint8_t *)"\3\3\3\3", 4, NULL), 0);
    EXPECT_EQ(edit_del(e, a, RR_A, (const uint8_t *)"\3\3\3\3", 4, NULL), -E_NOENT);
    EXPECT_EQ(edit_del(e, b, RR_A, (const uint8_t *)"\3\3\3\3", 4, NULL), 0);
    EXPECT_EQ(edit_get(e, a)->records, 2);
    EXPECT_EQ(edit_add(e, b, RR_A, 1, (const uint8_t *)"\4\4\4\4", 4, NULL), 0);
    EXPECT(edit_remove(e, b));
    EXPECT(!edit_get(e, b));
    EXPECT(!edit_remove(e, b));
    struct snapshot *s;
    EXPECT_EQ(edit_seal(&e, &s, NULL, NULL), 0);
    EXPECT_EQ(s->names, 1);
    EXPECT_EQ(s->records, 2);
    snapshot_unref(s);
    family_unref(family);
}
END_TEST

START_TEST(bounds)
{
    struct family *family = family_new(apex);
    uint8_t owner[] = "\1a\1z", rdata[] = {0, 0, 0, 0};
    for (unsigned kind = 0; kind < 2; kind++)
        for (unsigned order = 0; order < 3; order++) {
            struct edit *e = edit_open(family, NULL, NULL);
            struct edit_limits limits = {.max_records = kind ? 0 : 100,
                                         .max_bytes = kind ? 1000 : 0};
            struct snapshot *s = NULL;
            struct why why = {""};
            edit_limit(e, &limits);
            unsigned n = 0;
            int rc = 0;
            for (; n < 1000 && !rc; n++) {
                owner[1] = (uint8_t)('a' + (order == 0 ? 0 : order == 1 ? n % 3 : n / 30));
                rdata[2] = (uint8_t)(n >> 8);
                rdata[3] = (uint8_t)n;
                rc = edit_add(e, owner, RR_A, 60, rdata, sizeof rdata, &why);
            }
            EXPECT_EQ(rc, -E_LIMIT);
            EXPECT_EQ(why.text[1], '.'); /* names the owner */
            if (kind == 0)
                EXPECT_EQ(n, 101);
            else
                EXPECT(n > (order == 1 ? 5 : 50) && n <= 167);
            EXPECT_EQ(edit_add(e, owner, RR_A, 60, rdata, sizeof rdata, &why), -E_LIMIT);
            EXPECT_EQ(edit_seal(&e, &s, NULL, &why), -E_LIMIT);
            EXPECT(!e && !s);
        }
    family_unref(family);
}
END_TEST

/* Small records of two long names in turn: what waits is bounded as memory, not as rdata. */
START_TEST(bounds_count_what_waits)
{
    enum { LABEL = 63, MAX_BYTES = 100000 };
    struct family *family = family_new(apex);
    uint8_t owner[3 * (1 + LABEL) + 3] = {0}, rdata[] = {0, 0, 0, 0};
    for (unsigned i = 0; i < 3; i++) {
        memset(owner + i * (1 + LABEL), 'x', 1 + LABEL);
        owner[i * (1 + LABEL)] = LABEL;
    }
    memcpy(owner + sizeof owner - 3, "\1z", 3);
    struct edit *e = edit_open(family, NULL, NULL);
    struct edit_limits limits = {.max_bytes = MAX_BYTES};
    struct why why = {""};
    edit_limit(e, &limits);
    unsigned n = 0;
    int rc = 0;
    for (; n < MAX_BYTES && !rc; n++) {
        owner[1] = (uint8_t)('a' + n % 2);
        rdata[2] = (uint8_t)(n >> 8);
        rdata[3] = (uint8_t)n;
        rc = edit_add(e, owner, RR_A, 60, rdata, sizeof rdata, &why);
    }
    EXPECT_EQ(rc, -E_LIMIT);
    EXPECT(n <= MAX_BYTES / sizeof owner + 2);
    edit_abort(&e);
    family_unref(family);
}
END_TEST

/* A full zone may still exchange records: what was taken out makes room. */
START_TEST(bounds_leave_room_for_exchange)
{
    struct family *family = family_new(apex);
    const uint8_t owner[] = "\1a\1z";
    uint8_t rdata[] = {0, 0, 0, 0};
    struct edit *e = edit_open(family, NULL, NULL);
    struct edit_limits limits = {.max_records = 50};
    struct snapshot *s;
    edit_limit(e, &limits);
    for (rdata[0] = 0; rdata[0] < 50; rdata[0]++)
        EXPECT_EQ(edit_add(e, owner, RR_A, 60, rdata, 4, NULL), 0);
    EXPECT_EQ(edit_seal(&e, &s, NULL, NULL), 0);
    e = edit_open(family, s, s);
    edit_limit(e, &limits);
    for (rdata[0] = 0; rdata[0] < 50; rdata[0]++)
        EXPECT_EQ(edit_del(e, owner, RR_A, rdata, 4, NULL), 0);
    for (rdata[0] = 100; rdata[0] < 150; rdata[0]++)
        EXPECT_EQ(edit_add(e, owner, RR_A, 60, rdata, 4, NULL), 0);
    snapshot_unref(s);
    EXPECT_EQ(edit_seal(&e, &s, NULL, NULL), 0);
    EXPECT_EQ(s->records, 50);
    snapshot_unref(s);
    family_unref(family);
}
END_TEST

/* More records than a node holds, all of them late: found out at the seal. */
START_TEST(node_overflows_late)
{
    struct family *family = family_new(apex);
    static const uint8_t a[] = "\1a\1z", b[] = "\1b\1z";
    struct edit *e = edit_open(family, NULL, NULL);
    struct snapshot *s = NULL;
    struct changeset *c = NULL;
    struct why why = {""};
    int rc = edit_add(e, a, RR_A, 1, (const uint8_t *)"\1\1\1\1", 4, NULL);
    EXPECT_EQ(rc, 0);
    for (uint32_t i = 0; i < 70000; i++) {
        uint8_t rdata[4];
        put_u32(rdata, i);
        EXPECT_EQ(edit_add(e, i == 0 ? b : a, RR_A, 1, rdata, 4, NULL), 0);
    }
    EXPECT_EQ(edit_seal(&e, &s, &c, &why), -E_LIMIT);
    EXPECT(strstr(why.text, "a.z."));
    EXPECT(!e && !s && !c);
    family_unref(family);
}
END_TEST

struct seen {
    unsigned n;
    uint16_t type[4];
    bool was[4], now[4];
};
static void note(void *ctx, const uint8_t *owner, const struct rrset *was, const struct rrset *now)
{
    struct seen *seen = ctx;
    EXPECT(seen->n < 4 && owner[1] == 'a');
    seen->type[seen->n] = now ? now->type : was->type;
    seen->was[seen->n] = was;
    seen->now[seen->n++] = now;
}

START_TEST(changed_rrsets)
{
    static const uint8_t a[] = "\1a\1z";
    struct node_builder *b = node_builder_new();
    struct node *was, *now;
    node_builder_begin(b, a);
    EXPECT_EQ(node_builder_add(b, RR_A, 1, (const uint8_t *)"\1\1\1\1", 4), 0);
    EXPECT_EQ(node_builder_add(b, RR_TXT, 1, (const uint8_t *)"\1x", 2), 0);
    EXPECT_EQ(node_builder_add(b, RR_NS, 1, a, sizeof a), 0);
    was = node_builder_seal(b);
    node_builder_begin(b, a);
    EXPECT_EQ(node_builder_add(b, RR_A, 2, (const uint8_t *)"\1\1\1\1", 4), 0);
    EXPECT_EQ(node_builder_add(b, RR_TXT, 1, (const uint8_t *)"\1x", 2), 0);
    EXPECT_EQ(node_builder_add(b, RR_AAAA, 1, (const uint8_t *)"0123456789abcdef", 16), 0);
    now = node_builder_seal(b);
    node_builder_free(&b);
    struct seen seen = {0};
    struct change change = {was, now};
    change_rrsets(&change, note, &seen);
    EXPECT_EQ(seen.n, 3);
    EXPECT(seen.type[0] == RR_A && seen.was[0] && seen.now[0]);
    EXPECT(seen.type[1] == RR_NS && seen.was[1] && !seen.now[1]);
    EXPECT(seen.type[2] == RR_AAAA && !seen.was[2] && seen.now[2]);
    node_unref(was);
    node_unref(now);
}
END_TEST

int main(void)
{
    rnd = random_open();
    struct suite s = suite_open("edit");
    suite_add(s, random_histories);
    suite_add(s, interleaved_owners);
    suite_add(s, late_records_are_seen);
    suite_add(s, bounds);
    suite_add(s, bounds_count_what_waits);
    suite_add(s, bounds_leave_room_for_exchange);
    suite_add(s, node_overflows_late);
    suite_add(s, changed_rrsets);
    return suite_run(s);
}
