/* xfrout: every record of random zones, once, in order, between two SOAs, read back by our own reader; and taken in again
 * by zone/transfer, where an equal snapshot must come out. */
#include "pipeline/net/xfrout.h"

#include <stdio.h>
#include <string.h>

#include "pipeline/base/alloc.h"
#include "pipeline/base/rcu.h"
#include "pipeline/zone/transfer.h"
#include "tests/lib/accepted.h"
#include "tests/lib/random.h"
#include "tests/lib/suite.h"

enum { ID = 0xbeef, LABELS = 30 };

static const uint8_t apex[] = "\7eXample\4TesT";  /* as the zone has it */
static const uint8_t asked[] = "\7ExAmPlE\4tEsT"; /* as the client asks */
static const uint8_t soa_rdata[] =
    "\2nS\7eXample\4TesT\0\1h\0\0\0\0\7\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5";
static struct msg_writer writer;
static uint8_t buf[MSG_MAX];

/* ---- zones ---- */

static struct edit *zone_open(struct family *family)
{
    struct why why;
    struct edit *e = edit_open(family, NULL, NULL);
    ck_assert_int_eq(edit_add(e, apex, RR_SOA, 3600, soa_rdata, sizeof soa_rdata - 1, &why), 0);
    return e;
}

static void add(struct edit *e, const uint8_t *owner, uint16_t type, uint32_t ttl,
                const uint8_t *rdata, size_t len)
{
    struct why why = {""};
    ck_assert_msg(edit_add(e, owner, type, ttl, rdata, (uint16_t)len, &why) == 0, "%s", why.text);
}

static struct version *version_of(struct edit *e)
{
    struct snapshot *s;
    struct why why = {""};
    ck_assert_msg(edit_seal(&e, &s, NULL, &why) == 0, "%s", why.text);
    return version_accepted(s);
}

/* A name below the apex, of labels that repeat, in any case; the apex's own case varies too. */
static void random_name(struct random *r, uint8_t out[NAME_MAX_OCTETS])
{
    static const char *const label[] = {
        "a", "b", "ns", "www", "mail", "host", "x-1", "_tcp", "long-label-that-takes-room", "*"};
    size_t n = 0, labels = random_below(r, 5);
    for (size_t i = 0; i < labels; i++) {
        char text[64];
        if (random_below(r, 3))
            snprintf(text, sizeof text, "%s%u", label[random_below(r, 10)],
                     (unsigned)random_below(r, 40));
        else
            snprintf(text, sizeof text, "%s", label[random_below(r, 10)]);
        out[n] = (uint8_t)strlen(text);
        memcpy(out + n + 1, text, out[n]);
        n += 1u + out[n];
    }
    memcpy(out + n, random_below(r, 4) ? apex : asked, sizeof apex);
    for (uint8_t *p = out; *p && random_below(r, 4) == 0; p += 1 + *p)
        if (p[1] >= 'a' && p[1] <= 'z')
            p[1] = (uint8_t)(p[1] - 'a' + 'A');
}

static void add_random(struct edit *e, struct random *r)
{
    static const uint16_t opaque[] = {65400, 65401, 65500};
    uint8_t owner[NAME_MAX_OCTETS], rdata[1000 + NAME_MAX_OCTETS];
    unsigned kind = (unsigned)random_below(r, 6);
    uint32_t ttl = 100000 + kind; /* one a set: the nodes must come out equal to a flag */
    random_name(r, owner);
    switch (kind) {
    case 0:
        random_octets(r, rdata, 4);
        add(e, owner, RR_A, ttl, rdata, 4);
        break;
    case 1:
        random_name(r, rdata);
        add(e, owner, RR_NS, ttl, rdata, name_len(rdata)); /* cuts: what is below is occluded */
        break;
    case 2:
        put_u16(rdata, 10);
        random_name(r, rdata + 2);
        add(e, owner, RR_MX, ttl, rdata, 2 + name_len(rdata + 2));
        break;
    case 3:
        random_name(r, rdata);
        memcpy(rdata + name_len(rdata), "\0\1\x40", 3);
        add(e, owner, RR_NSEC, ttl, rdata, name_len(rdata) + 3);
        break;
    default: {
        size_t len = random_below(r, random_below(r, 10) ? 60 : 1000);
        random_octets(r, rdata, len);
        add(e, owner, opaque[(kind + len) % 3], 3600, rdata, len);
    }
    }
}

/* ---- reading a transfer back ---- */

struct expected { /* walks the version as a transfer should */
    const struct version *version;
    struct snapshot_iter iter;
    const struct node *node;
    struct rrset set;
    const uint8_t *p;
    unsigned rrset;
    size_t records;
    bool closed;
};

static void expect_soa(const struct expected *x, const struct rr *rr)
{
    ck_assert_uint_eq(rr->type, RR_SOA);
    ck_assert_int_eq(memcmp(rr->owner, node_name(snapshot_apex(x->version->served)), sizeof apex),
                     0);
    ck_assert_uint_eq(rr->len, sizeof soa_rdata - 1);
    ck_assert_int_eq(memcmp(rr->rdata, soa_rdata, rr->len), 0);
}

/* The next record of the version that is not the SOA; false: none is left. */
static bool expected_next(struct expected *x, struct rdata *r)
{
    while (!x->p || !rrset_next(&x->set, &x->p, r)) {
        while (x->node && x->rrset == x->node->nrrsets) {
            x->node = snapshot_next(&x->iter);
            x->rrset = 0;
        }
        if (!x->node)
            return false;
        node_rrset_at(x->node, x->rrset++, &x->set);
        x->p = x->set.type == RR_SOA ? x->set.end : x->set.rdata;
    }
    return true;
}

static void expect_record(struct expected *x, const struct rr *rr)
{
    struct rdata want;
    ck_assert(!x->closed);
    ck_assert_uint_eq(rr->section, SECTION_ANSWER);
    ck_assert_uint_eq(rr->class, CLASS_IN);
    if (x->records++ == 0) {
        expect_soa(x, rr);
    } else if (!expected_next(x, &want)) {
        expect_soa(x, rr);
        x->closed = true;
    } else {
        ck_assert_uint_eq(rr->type, x->set.type);
        ck_assert_uint_eq(rr->ttl, x->set.ttl);
        ck_assert_uint_eq(rr->owner_len, x->node->name_len);
        ck_assert_int_eq(memcmp(rr->owner, node_name(x->node), rr->owner_len), 0); /* case kept */
        ck_assert_uint_eq(rr->len, want.len);
        ck_assert(want.len == 0 || memcmp(rr->rdata, want.data, want.len) == 0);
    }
}

static void expect_message(struct expected *x, const uint8_t *msg, size_t len, bool first,
                           uint16_t qtype, bool edns)
{
    static struct msg_reader r;
    struct why why = {""};
    struct rr rr;
    bool opt = false;
    int more;
    ck_assert_int_eq(msg_open(&r, msg, len, &why), 0);
    ck_assert_uint_eq(r.id, ID);
    ck_assert_uint_eq(r.flags, MSG_QR | MSG_AA);
    ck_assert_uint_eq(r.count[SECTION_QUESTION], first);
    ck_assert_uint_gt(r.count[SECTION_ANSWER], 0);
    ck_assert_uint_eq(r.count[SECTION_AUTHORITY], 0);
    if (first) {
        uint8_t name[NAME_MAX_OCTETS];
        uint16_t type, class;
        ck_assert_int_ge(msg_question(&r, name, &type, &class, &why), 0);
        ck_assert_int_eq(memcmp(name, asked, sizeof asked), 0);
        ck_assert_uint_eq(type, qtype);
        ck_assert_uint_eq(class, CLASS_IN);
    }
    while ((more = msg_next(&r, &rr, &why)) > 0) {
        if (rr.type == RR_OPT) {
            ck_assert(!opt && rr.section == SECTION_ADDITIONAL);
            opt = true;
        } else {
            expect_record(x, &rr);
        }
    }
    ck_assert_msg(more == 0, "%s", why.text);
    ck_assert_int_eq(opt, first && edns);
}

struct course {
    uint16_t qtype;
    bool edns;
    size_t fill, cap;
};

static struct xfrout_stats run(const struct version *v, const struct course *c)
{
    struct expected x = {.version = v};
    struct xfrout_stats stats;
    struct why why = {""};
    x.node = snapshot_first(&x.iter, v->served);
    struct xfrout *out = xfrout_new(v, ID, asked, c->qtype, c->edns);
    if (c->fill)
        xfrout_fill(out, c->fill);
    int len;
    bool first = true;
    size_t octets = 0, largest = 0;
    for (; (len = xfrout_next(out, &writer, buf, c->cap, &why)) > 0; first = false) {
        ck_assert_uint_le((size_t)len, c->cap);
        expect_message(&x, buf, (size_t)len, first, c->qtype, c->edns);
        octets += (size_t)len;
        largest = (size_t)len > largest ? (size_t)len : largest;
    }
    ck_assert_msg(len == 0, "%s", why.text);
    ck_assert(x.closed);
    ck_assert_uint_eq(x.records, v->served->records + 1);
    ck_assert_int_eq(xfrout_next(out, &writer, buf, c->cap, &why), 0); /* and stays so */
    xfrout_stats(out, &stats);
    ck_assert_uint_eq(stats.records, x.records);
    ck_assert_uint_eq(stats.bytes, octets);
    xfrout_free(&out);
    ck_assert_ptr_null(out);
    return stats;
}

/* ---- tests ---- */

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

/* RFC 5936 2.2: the SOA, every record of the version once (3.1; delegations and occluded names as they are held: 3.2, 3.3,
 * 3.5), that SOA; 2.2.1: one ID, AA, no TC; 2.2.2: the question in the first message alone; 2.1.5: OPT back. */
START_TEST(random_zones)
{
    struct random r = random_open();
    set_up();
    for (unsigned round = 0; round < 60; round++) {
        struct family *family = family_new(apex);
        struct edit *e = zone_open(family);
        size_t n = random_below(&r, round % 10 ? 300 : 8000);
        for (size_t i = 0; i < n; i++)
            add_random(e, &r);
        struct version *v = version_of(e);
        for (unsigned k = 0; k < 4; k++) {
            const struct course c = {
                .qtype = k % 2 ? RR_IXFR : RR_AXFR,
                .edns = random_below(&r, 2),
                .fill = k == 0 ? 0 : 12 + random_below(&r, k == 1 ? 300 : MSG_MAX),
                .cap = MSG_MAX,
            };
            run(v, &c);
        }
        version_unref(v);
        family_unref(family);
    }
    tear_down();
}
END_TEST

START_TEST(only_an_soa)
{
    set_up();
    struct family *family = family_new(apex);
    struct version *v = version_of(zone_open(family));
    struct xfrout_stats s = run(v, &(struct course){RR_AXFR, true, 0, MSG_MAX});
    ck_assert_uint_eq(s.messages, 1);
    ck_assert_uint_eq(s.records, 2);
    version_unref(v);
    family_unref(family);
    tear_down();
}
END_TEST

/* Messages are filled: none but the last leaves room for a record of its size, and the default is near 16 KiB. */
START_TEST(messages_are_full)
{
    enum { RECORDS = 20000, RECORD = 2 + 10 + 100 };
    set_up();
    struct family *family = family_new(apex);
    struct edit *e = zone_open(family);
    uint8_t rdata[100] = {0};
    for (uint32_t i = 0; i < RECORDS; i++) { /* one rrset that no message holds */
        put_u32(rdata, i);
        add(e, apex, 65400, 60, rdata, sizeof rdata);
    }
    struct version *v = version_of(e);
    struct xfrout_stats s = run(v, &(struct course){RR_AXFR, false, 0, MSG_MAX});
    size_t per_message = (XFROUT_FILL - 12 - sizeof apex) / RECORD;
    ck_assert_uint_ge(s.messages, RECORDS / (per_message + 1));
    ck_assert_uint_le(s.messages, RECORDS / (per_message - 1) + 1);
    s = run(v, &(struct course){RR_AXFR, false, MSG_MAX, MSG_MAX});
    ck_assert_uint_le(s.messages, RECORDS / (MSG_MAX / 130) + 1);
    version_unref(v);
    family_unref(family);
    tear_down();
}
END_TEST

/* RFC 5936 3.4: owners and names in rdata are pointers where they were written before; case kept, see random_zones. */
START_TEST(names_are_compressed)
{
    enum { HOSTS = 100 };
    set_up();
    struct family *family = family_new(apex);
    struct edit *e = zone_open(family);
    for (unsigned i = 0; i < HOSTS; i++) {
        uint8_t owner[NAME_MAX_OCTETS], ns[NAME_MAX_OCTETS];
        snprintf((char *)owner, sizeof owner, "%cdelegation%05u", 15, i);
        memcpy(owner + 16, apex, sizeof apex);
        memcpy(ns, "\2ns", 3);
        name_copy(ns + 3, owner);
        add(e, owner, RR_NS, 60, ns, name_len(ns));
        add(e, ns, RR_A, 60, (const uint8_t *)"abcd", 4);
    }
    struct version *v = version_of(e);
    struct xfrout_stats s = run(v, &(struct course){RR_AXFR, false, 0, MSG_MAX});
    /* NS: label and pointer, rdata label and pointer; A: a pointer. */
    size_t names = 16 + 2 + 3 + 2 + 2, fixed = 10 + 10 + 4;
    ck_assert_uint_le(s.bytes, HOSTS * (names + fixed) + 200);
    version_unref(v);
    family_unref(family);
    tear_down();
}
END_TEST

/* The largest record that a message can hold goes out; one octet more is an error that names it. */
START_TEST(largest_record)
{
    static uint8_t rdata[MSG_MAX];
    const size_t most = MSG_MAX - MSG_HEADER - sizeof apex - 10;
    set_up();
    for (unsigned more = 0; more < 2; more++) {
        struct family *family = family_new(apex);
        struct edit *e = zone_open(family);
        uint8_t below[NAME_MAX_OCTETS] = "\1b";
        memcpy(below + 2, apex, sizeof apex);
        add(e, apex, 65400, 60, rdata, most + more);
        add(e, below, RR_A, 60, (const uint8_t *)"abcd", 4);
        struct version *v = version_of(e);
        if (!more) {
            struct xfrout_stats s = run(v, &(struct course){RR_AXFR, true, 0, MSG_MAX});
            ck_assert_uint_eq(s.messages, 3);
        } else {
            struct xfrout *x = xfrout_new(v, ID, asked, RR_AXFR, false);
            struct why why = {""};
            ck_assert_int_gt(xfrout_next(x, &writer, buf, sizeof buf, &why), 0);
            ck_assert_int_eq(xfrout_next(x, &writer, buf, sizeof buf, &why), -E_LIMIT);
            ck_assert_ptr_nonnull(strstr(why.text, "eXample.TesT. TYPE65400"));
            ck_assert_int_eq(xfrout_next(x, &writer, buf, sizeof buf, &why), -E_LIMIT);
            xfrout_free(&x);
        }
        version_unref(v);
        family_unref(family);
    }
    tear_down();
}
END_TEST

/* RFC 5936 3.1, 6: of one version to its end, which lives as long as the transfer, whoever lets go of it first. */
START_TEST(holds_the_version)
{
    set_up();
    struct family *family = family_new(apex);
    struct version *v = version_of(zone_open(family));
    struct xfrout *x = xfrout_new(v, ID, asked, RR_AXFR, false);
    struct why why;
    ck_assert_uint_eq(atomic_load(&v->refs), 2);
    version_unref(v);
    ck_assert_int_gt(xfrout_next(x, &writer, buf, sizeof buf, &why), 0);
    xfrout_free(&x); /* under ASan: nothing is left, nothing is used after it */
    xfrout_free(&x);
    family_unref(family);
    tear_down();
}
END_TEST

/* Out and in again: what zone/transfer makes of it is the version that went out, octet for octet. */
START_TEST(round_trip)
{
    struct random r = random_open();
    set_up();
    for (unsigned round = 0; round < 40; round++) {
        struct family *family = family_new(apex), *other = family_new(apex);
        struct edit *e = zone_open(family);
        for (size_t n = random_below(&r, 2000), i = 0; i < n; i++)
            add_random(e, &r);
        struct version *v = version_of(e);
        struct xfrout *x = xfrout_new(v, ID, asked, RR_AXFR, round % 2);
        const struct transfer_config config = {.family = other, .id = ID};
        struct transfer *in = transfer_new(&config);
        struct why why = {""};
        struct snapshot *got;
        int len, state = 0;
        xfrout_fill(x, 100 + random_below(&r, MSG_MAX - 100));
        while ((len = xfrout_next(x, &writer, buf, sizeof buf, &why)) > 0) {
            ck_assert_int_eq(state, 0);
            state = transfer_feed(in, buf, (size_t)len, &why);
            ck_assert_msg(state >= 0, "%s", why.text);
        }
        ck_assert_int_eq(state, 1);
        ck_assert_int_eq(transfer_take(in, &got, NULL, &why), 0);
        struct snapshot_iter a, b;
        const struct node *p = snapshot_first(&a, v->served), *q = snapshot_first(&b, got);
        for (; p && q; p = snapshot_next(&a), q = snapshot_next(&b))
            ck_assert(node_equal(p, q));
        ck_assert(!p && !q);
        snapshot_unref(got);
        transfer_free(&in);
        xfrout_free(&x);
        version_unref(v);
        family_unref(family);
        family_unref(other);
    }
    tear_down();
}
END_TEST

int main(void)
{
    struct suite s = suite_open("xfrout");
    suite_add(s, random_zones);
    suite_add(s, only_an_soa);
    suite_add(s, messages_are_full);
    suite_add(s, names_are_compressed);
    suite_add(s, largest_record);
    suite_add(s, holds_the_version);
    suite_add(s, round_trip);
    return suite_run(s);
}
