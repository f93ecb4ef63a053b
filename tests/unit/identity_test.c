/* identity: what a stage that has to do with DNSSEC only may do to a zone, and what not.
 */
#include "tests/lib/suite.h"

#include "pipeline/run/identity.h"
#include "pipeline/zone/edit.h"

#include <string.h>

static const uint8_t apex[] = "\1z", www[] = "\3www\1z", www_upper[] = "\3WWW\1z",
                     sub[] = "\3sub\1z", hash[] = "\4hash\1z";
static const uint8_t soa[24] = "\1m\0\0\0\0\0\1", soa_next[24] = "\1m\0\0\0\0\0\2";
static const uint8_t soa_other[24] = "\1m\0\0\0\0\0\2\1";
static const uint8_t one[4] = {192, 0, 2, 1}, two[4] = {192, 0, 2, 2};
static const uint8_t some[30] = {0};

struct record {
    const uint8_t *owner;
    uint16_t type;
    uint32_t ttl;
    const uint8_t *rdata;
    uint16_t len;
};
static const struct record zone[] = {
    {apex, RR_SOA, 300, soa, sizeof soa},
    {apex, RR_DS, 300, some, 30},
    {www, RR_A, 300, one, 4},
    {www, RR_TXT, 300, (const uint8_t *)"\1t", 2},
    {sub, RR_DS, 300, some, 30},
    {NULL, 0, 0, NULL, 0},
};

static struct snapshot *make(struct family *family, const struct snapshot *since,
                             const struct record *records, struct changeset **changes)
{
    struct edit *e = edit_open(family, NULL, since);
    struct why why = {""};
    struct snapshot *s;
    for (const struct record *r = records; r->owner; r++) {
        int err = edit_add(e, r->owner, r->type, r->ttl, r->rdata, r->len, &why);
        ck_assert_msg(err == 0, "%s", why.text);
    }
    int err = edit_seal(&e, &s, changes, &why);
    ck_assert_msg(err == 0, "%s", why.text);
    return s;
}

static const struct row {
    const char *what; /* NULL: it holds */
    const uint8_t *owner;
    uint16_t type;
    struct record out[12];
} rows[] = {
    {.what = NULL, /* signed: another serial, keys, a chain, no DS at the apex */
     .out = {{apex, RR_SOA, 300, soa_next, sizeof soa},
             {apex, RR_DNSKEY, 60, some, 30},
             {apex, RR_NSEC3PARAM, 0, some, 5},
             {www, RR_A, 300, one, 4},
             {www, RR_TXT, 300, (const uint8_t *)"\1t", 2},
             {www, RR_RRSIG, 300, some, 30},
             {www, RR_NSEC, 300, some, 5},
             {sub, RR_DS, 300, some, 30},
             {hash, RR_NSEC3, 300, some, 30}}},
    {.what = "was changed",
     .owner = www,
     .type = RR_A,
     .out = {{apex, RR_SOA, 300, soa_next, sizeof soa},
             {www, RR_A, 300, two, 4},
             {www, RR_TXT, 300, (const uint8_t *)"\1t", 2},
             {sub, RR_DS, 300, some, 30}}},
    {.what = "was changed", /* a TTL */
     .owner = www,
     .type = RR_TXT,
     .out = {{apex, RR_SOA, 300, soa_next, sizeof soa},
             {www, RR_A, 300, one, 4},
             {www, RR_TXT, 301, (const uint8_t *)"\1t", 2},
             {sub, RR_DS, 300, some, 30}}},
    {.what = "was changed", /* a timer of the SOA */
     .owner = apex,
     .type = RR_SOA,
     .out = {{apex, RR_SOA, 300, soa_other, sizeof soa},
             {www, RR_A, 300, one, 4},
             {www, RR_TXT, 300, (const uint8_t *)"\1t", 2},
             {sub, RR_DS, 300, some, 30}}},
    {.what = "is lacking",
     .owner = www,
     .type = RR_TXT,
     .out = {{apex, RR_SOA, 300, soa, sizeof soa},
             {www, RR_A, 300, one, 4},
             {sub, RR_DS, 300, some, 30}}},
    {.what = "is lacking", /* DS below the apex is data */
     .owner = sub,
     .type = RR_DS,
     .out = {{apex, RR_SOA, 300, soa, sizeof soa},
             {www, RR_A, 300, one, 4},
             {www, RR_TXT, 300, (const uint8_t *)"\1t", 2}}},
    {.what = "was added",
     .owner = hash,
     .type = RR_A,
     .out = {{apex, RR_SOA, 300, soa, sizeof soa},
             {www, RR_A, 300, one, 4},
             {www, RR_TXT, 300, (const uint8_t *)"\1t", 2},
             {sub, RR_DS, 300, some, 30},
             {hash, RR_A, 300, one, 4}}},
    {.what = "is written in other letters",
     .owner = www,
     .type = 0,
     .out = {{apex, RR_SOA, 300, soa, sizeof soa},
             {www_upper, RR_A, 300, one, 4},
             {www_upper, RR_TXT, 300, (const uint8_t *)"\1t", 2},
             {sub, RR_DS, 300, some, 30}}},
};

static void expect(const struct row *row, bool holds, const struct identity_breach *breach)
{
    ck_assert_int_eq(holds, row->what == NULL);
    if (holds)
        return;
    ck_assert_str_eq(breach->what, row->what);
    ck_assert(name_equal(breach->owner, row->owner));
    ck_assert_uint_eq(breach->type, row->type);
}

static bool holds(const struct snapshot *in, const struct changeset *in_changes,
                  const struct snapshot *out, const struct changeset *out_changes,
                  const struct keyset *joins, struct identity_breach *breach)
{
    struct identity_versions versions = {
        .in = in, .out = out, .in_changes = in_changes, .out_changes = out_changes, .joins = joins};
    return identity_holds(&versions, breach);
}

/* From nothing, and as a change on the output's side, or on the input's, alone. */
START_TEST(every_row)
{
    const struct row *row = &rows[_i];
    struct family *fi = family_new(apex), *fo = family_beside(fi);
    struct identity_breach breach;
    struct changeset *in_all, *out_all, *out_changes, *in_changes;
    struct snapshot *in = make(fi, NULL, zone, &in_all), *out = make(fo, NULL, row->out, &out_all);
    expect(row, holds(in, in_all, out, out_all, NULL, &breach), &breach);

    struct snapshot *same = make(fo, NULL, zone, NULL);
    struct snapshot *out2 = make(fo, same, row->out, &out_changes);
    struct changeset *none = changeset_new(0);
    expect(row, holds(in, none, out2, out_changes, NULL, &breach), &breach);

    struct snapshot *other = make(fi, NULL, row->out, NULL);
    struct snapshot *in2 = make(fi, other, zone, &in_changes);
    expect(row, holds(in2, in_changes, out, none, NULL, &breach), &breach);

    struct snapshot *all[] = {in, out, same, out2, other, in2};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        snapshot_unref(all[i]);
    changeset_unref(in_all);
    changeset_unref(out_all);
    changeset_unref(out_changes);
    changeset_unref(in_changes);
    changeset_unref(none);
    family_unref(fi);
    family_unref(fo);
}
END_TEST

/* --- key sets alone --- */

#define RRSIG_OF(type) ((const uint8_t[30]){0, type})
#define OWNERS_SOA                                                                                 \
    {                                                                                              \
        apex, RR_SOA, 300, soa, sizeof soa                                                         \
    }
#define OWNERS_SOA_RRSIG                                                                           \
    {                                                                                              \
        apex, RR_RRSIG, 300, RRSIG_OF(RR_SOA), 30                                                  \
    }
#define OWNERS_APEX                                                                                \
    OWNERS_SOA, OWNERS_SOA_RRSIG,                                                                  \
    {                                                                                              \
        apex, RR_NSEC, 300, some, 10                                                               \
    }
#define OWNERS_WWW                                                                                 \
    {www, RR_A, 300, one, 4},                                                                      \
    {                                                                                              \
        www, RR_RRSIG, 300, RRSIG_OF(RR_A), 30                                                     \
    }
#define KEYS(key)                                                                                  \
    {apex, RR_DNSKEY, 300, key, 20},                                                               \
    {                                                                                              \
        apex, RR_RRSIG, 300, RRSIG_OF(RR_DNSKEY), 30                                               \
    }

static const uint8_t key_a[20] = {1}, key_b[20] = {1, 1};
static const struct record owners[] = {OWNERS_APEX, OWNERS_WWW, KEYS(key_a), {NULL, 0, 0, NULL, 0}};
static const struct row key_set_rows[] = {
    {.what = NULL, .out = {OWNERS_APEX, OWNERS_WWW, KEYS(key_a)}},
    {.what = NULL, .out = {OWNERS_APEX, OWNERS_WWW, KEYS(key_b)}},
    {.what = NULL,
     .out = {OWNERS_APEX,
             OWNERS_WWW,
             {apex, RR_CDS, 60, some, 20},
             {apex, RR_CDNSKEY, 60, some, 20},
             {apex, RR_RRSIG, 60, RRSIG_OF(RR_CDS), 30}}},
    /* the serial and its signature are the owner's, and so is denial */
    {.what = "was changed",
     .owner = apex,
     .type = RR_SOA,
     .out = {{apex, RR_SOA, 300, soa_next, sizeof soa},
             OWNERS_SOA_RRSIG,
             {apex, RR_NSEC, 300, some, 10},
             OWNERS_WWW,
             KEYS(key_b)}},
    {.what = "is lacking",
     .owner = apex,
     .type = RR_RRSIG,
     .out = {OWNERS_SOA, {apex, RR_NSEC, 300, some, 10}, OWNERS_WWW, KEYS(key_b)}},
    {.what = "was changed",
     .owner = apex,
     .type = RR_NSEC,
     .out =
         {OWNERS_SOA, OWNERS_SOA_RRSIG, {apex, RR_NSEC, 300, some, 11}, OWNERS_WWW, KEYS(key_b)}},
    {.what = "was added",
     .owner = apex,
     .type = RR_ZONEMD,
     .out = {OWNERS_APEX, {apex, RR_ZONEMD, 300, some, 30}, OWNERS_WWW, KEYS(key_b)}},
    /* and keys elsewhere than at the apex, and signatures over anything else */
    {.what = "was added",
     .owner = www,
     .type = RR_DNSKEY,
     .out = {OWNERS_APEX, OWNERS_WWW, {www, RR_DNSKEY, 300, key_b, 20}, KEYS(key_a)}},
    {.what = "was added",
     .owner = www,
     .type = RR_RRSIG,
     .out = {OWNERS_APEX, OWNERS_WWW, {www, RR_RRSIG, 300, RRSIG_OF(RR_AAAA), 30}, KEYS(key_a)}},
    {.what = "was changed",
     .owner = www,
     .type = RR_A,
     .out = {OWNERS_APEX,
             {www, RR_A, 300, two, 4},
             {www, RR_RRSIG, 300, RRSIG_OF(RR_A), 30},
             KEYS(key_b)}},
};

START_TEST(key_sets_alone)
{
    const struct row *row = &key_set_rows[_i];
    struct family *fi = family_new(apex), *fo = family_beside(fi);
    struct identity_breach breach;
    struct changeset *in_all, *out_all, *out_changes, *none = changeset_new(0);
    struct snapshot *in = make(fi, NULL, owners, &in_all);
    struct snapshot *out = make(fo, NULL, row->out, &out_all);
    struct snapshot *same = make(fo, NULL, owners, NULL);
    struct snapshot *out2 = make(fo, same, row->out, &out_changes);
    struct identity_versions from_nothing = {in, out, in_all, out_all, true, NULL};
    struct identity_versions as_a_change = {in, out2, none, out_changes, true, NULL};
    expect(row, identity_holds(&from_nothing, &breach), &breach);
    expect(row, identity_holds(&as_a_change, &breach), &breach);
    struct snapshot *all[] = {in, out, same, out2};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        snapshot_unref(all[i]);
    changeset_unref(in_all);
    changeset_unref(out_all);
    changeset_unref(out_changes);
    changeset_unref(none);
    family_unref(fi);
    family_unref(fo);
}
END_TEST

/* --- names of servers that may join the NS set at the apex --- */

static const uint8_t ns_a[] = "\1a\1m", ns_a_upper[] = "\1A\1m", ns_b[] = "\1b\1m",
                     ns_c[] = "\1c\1m", ns_d[] = "\1d\1m";

static const struct joining {
    const char *what; /* NULL: it holds */
    bool as_it_came;  /* so it does where none may join */
    const uint8_t *owner;
    uint32_t ttl; /* of what comes out */
    const uint8_t *in[4], *joins[4], *out[5];
} joinings[] = {
    {NULL, false, apex, 300, {ns_a}, {ns_b, ns_c}, {ns_a, ns_b, ns_c}},
    {NULL, false, apex, 300, {ns_a, ns_b}, {ns_b, ns_c}, {ns_a, ns_b, ns_c}},
    /* in the letters that came in */
    {NULL, false, apex, 300, {ns_a}, {ns_a_upper, ns_b}, {ns_a, ns_b}},
    /* by the stage's options none joins */
    {NULL, true, apex, 300, {ns_a}, {ns_b}, {ns_a}},
    {NULL, true, apex, 300, {ns_a}, {NULL}, {ns_a}},
    {NULL, true, apex, 300, {NULL}, {ns_b}, {NULL}},
    /* not all of them; one more; another one; none was to join */
    {"was changed", false, apex, 300, {ns_a}, {ns_b, ns_c}, {ns_a, ns_b}},
    {"was changed", false, apex, 300, {ns_a}, {ns_b}, {ns_a, ns_b, ns_d}},
    {"was changed", false, apex, 300, {ns_a}, {ns_b}, {ns_a, ns_d}},
    {"was changed", false, apex, 300, {ns_a}, {NULL}, {ns_a, ns_b}},
    /* one that came in is gone */
    {"was changed", false, apex, 300, {ns_a, ns_d}, {ns_b}, {ns_a, ns_b}},
    {"was changed", false, apex, 300, {ns_a, ns_d}, {ns_b}, {ns_a}},
    /* letters; TTL; to nothing; a delegation's */
    {"was changed", false, apex, 300, {ns_a}, {ns_a_upper}, {ns_a_upper}},
    {"was changed", false, apex, 301, {ns_a}, {ns_b}, {ns_a, ns_b}},
    {"was added", false, apex, 300, {NULL}, {ns_b}, {ns_b}},
    {"is lacking", false, apex, 300, {ns_a}, {ns_b}, {NULL}},
    {"was changed", false, sub, 300, {ns_a}, {ns_b}, {ns_a, ns_b}},
};

static struct snapshot *joining_make(struct family *family, const struct joining *j, uint32_t ttl,
                                     const uint8_t *const *names, struct changeset **changes)
{
    struct edit *e = edit_open(family, NULL, NULL);
    struct why why;
    struct snapshot *s;
    int err = edit_add(e, apex, RR_SOA, 300, soa, sizeof soa, &why);
    for (; !err && *names; names++)
        err = edit_add(e, j->owner, RR_NS, ttl, *names, (uint16_t)name_len(*names), &why);
    ck_assert(err == 0 && edit_seal(&e, &s, changes, &why) == 0);
    return s;
}

/* From nothing; and though nothing changed, for the names may have. A stage that may let none join may not. */
START_TEST(names_of_servers_join)
{
    const struct joining *j = &joinings[_i];
    struct family *fi = family_new(apex), *fo = family_beside(fi);
    struct keyset *joins = keyset_new(0, 0, 0);
    struct changeset *in_all, *out_all, *none = changeset_new(0);
    for (unsigned i = 0; j->joins[i]; i++)
        keyset_add_ns(joins, j->joins[i]);
    keyset_seal(joins);
    struct snapshot *in = joining_make(fi, j, 300, j->in, &in_all);
    struct snapshot *out = joining_make(fo, j, j->ttl, j->out, &out_all);
    struct row row = {.what = j->what, .owner = j->owner, .type = RR_NS};
    struct identity_breach breach;
    expect(&row, holds(in, in_all, out, out_all, joins, &breach), &breach);
    bool looked_at = j->owner == apex;
    if (!looked_at)
        row.what = NULL;
    expect(&row, holds(in, none, out, none, joins, &breach), &breach);
    row.what = j->what || j->as_it_came ? j->what : "was changed";
    expect(&row, holds(in, in_all, out, out_all, NULL, &breach), &breach);
    snapshot_unref(in);
    snapshot_unref(out);
    changeset_unref(in_all);
    changeset_unref(out_all);
    changeset_unref(none);
    keyset_unref(joins);
    family_unref(fi);
    family_unref(fo);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("identity");
    tcase_add_loop_test(s.tcase, every_row, 0, sizeof rows / sizeof rows[0]);
    tcase_add_loop_test(s.tcase, key_sets_alone, 0, sizeof key_set_rows / sizeof key_set_rows[0]);
    tcase_add_loop_test(s.tcase, names_of_servers_join, 0, sizeof joinings / sizeof joinings[0]);
    return suite_run(s);
}
