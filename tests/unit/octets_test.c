/* octets: what is saved comes back octet for octet, and what was damaged is refused or is still a node that a zone may have. */
#include "pipeline/zone/octets.h"

#include "tests/lib/expect.h"
#include "tests/lib/suite.h"
#include "tests/lib/zonegen.h"

static const uint8_t apex[] = "\7example";

static struct snapshot *zone_make(struct random *random, struct zonegen *gen, unsigned slots)
{
    *gen = zonegen_open(random, "example.", slots);
    struct family *family = family_new(apex);
    struct snapshot *s = zonegen_version(gen, family, NULL, 0);
    family_unref(family);
    return s;
}

START_TEST(test_nodes_come_back)
{
    struct random random = random_open();
    struct zonegen gen;
    struct snapshot *s = zone_make(&random, &gen, 500);
    struct snapshot_iter it;
    struct growbuf out = {0};
    for (const struct node *n = snapshot_first(&it, s); n; n = snapshot_next(&it)) {
        size_t before = out.len;
        node_save(n, &out);
        EXPECT_EQ(out.len - before, node_octets(n));
    }
    struct rbuf in = rbuf_open(out.p, out.len);
    for (const struct node *n = snapshot_first(&it, s); n; n = snapshot_next(&it)) {
        struct node *back;
        struct why why = {""};
        ck_assert_msg(node_load(&in, apex, &back, &why) == 0, "%s", why.text);
        EXPECT(node_equal(n, back));
        EXPECT_EQ(n->records, back->records);
        node_unref(back);
    }
    EXPECT_EQ(rbuf_left(&in), 0);
    mem_free(&out.p);
    snapshot_unref(s);
}
END_TEST

START_TEST(test_changesets_come_back)
{
    struct random random = random_open();
    struct zonegen gen;
    struct snapshot *was = zone_make(&random, &gen, 300);
    for (int i = 0; i < 50; i++) {
        struct snapshot *now =
            zonegen_version(&gen, was->family, was, 1 + (unsigned)random_below(&random, 30));
        struct changeset *c = changeset_between(i % 5 ? was : NULL, now), *back;
        struct growbuf out = {0};
        struct why why = {""};
        changeset_save(c, &out);
        EXPECT_EQ(out.len, changeset_octets(c));
        struct rbuf in = rbuf_open(out.p, out.len);
        ck_assert_msg(changeset_load(&in, apex, &back, &why) == 0, "%s", why.text);
        EXPECT_EQ(rbuf_left(&in), 0);
        EXPECT(back->n == c->n && back->has_from == c->has_from && back->has_to == c->has_to &&
               back->from == c->from && back->to == c->to);
        for (size_t k = 0; k < c->n; k++) {
            EXPECT(!c->change[k].was == !back->change[k].was &&
                   !c->change[k].now == !back->change[k].now);
            EXPECT(!c->change[k].was || node_equal(c->change[k].was, back->change[k].was));
            EXPECT(!c->change[k].now || node_equal(c->change[k].now, back->change[k].now));
        }
        changeset_unref(back);
        changeset_unref(c);
        mem_free(&out.p);
        snapshot_unref(was);
        was = now;
    }
    snapshot_unref(was);
}
END_TEST

/* Every prefix, and every octet changed: an error with words, or a node that saves to what it was loaded from. */
START_TEST(test_damage)
{
    struct random random = random_open();
    struct zonegen gen;
    struct snapshot *s = zone_make(&random, &gen, 40);
    struct snapshot_iter it;
    unsigned refused = 0;
    for (const struct node *n = snapshot_first(&it, s); n; n = snapshot_next(&it)) {
        struct growbuf good = {0};
        node_save(n, &good);
        for (size_t i = 0; i < 2 * good.len; i++) {
            uint8_t *copy = mem_dup(good.p, good.len);
            size_t len = i < good.len ? i : good.len;
            if (i >= good.len)
                copy[i - good.len] ^= (uint8_t)(1 + random_below(&random, 255));
            struct rbuf in = rbuf_open(copy, len);
            struct node *back;
            struct why why = {""};
            if (node_load(&in, apex, &back, &why)) {
                EXPECT(why.text[0]);
                refused++;
            } else {
                struct growbuf again = {0};
                node_save(back, &again);
                EXPECT(again.len == (size_t)(in.p - copy) && memcmp(again.p, copy, again.len) == 0);
                mem_free(&again.p);
                node_unref(back);
            }
            mem_free(&copy);
        }
        mem_free(&good.p);
    }
    ck_assert_uint_gt(refused, 1000);
    snapshot_unref(s);
}
END_TEST

struct bad {
    const char *octets;
    size_t len;
    const char *why;
};
#define BAD(octets, why)                                                                           \
    {                                                                                              \
        octets, sizeof octets - 1, why                                                             \
    }

START_TEST(test_refusals)
{
    static const struct bad bad[] = {
        BAD("", "expected an owner name"),
        BAD("\5other\0\0\1", "is outside the zone"),
        BAD("\7example\0\0\0", "has no rrset"),
        BAD("\7example\0\0\1", "ends within an rrset"),
        BAD("\7example\0\0\1\0\1\0\0\0\0\1\54\0\0\0", "no such rrset can be"),
        BAD("\7example\0\0\1\0\377\0\0\0\0\1\54\0\0\1\0\0", "no such rrset can be"),
        BAD("\7example\0\0\1\0\1\0\0\0\0\1\54\0\0\1\0\4\300\0", "ends within a record"),
        BAD("\7example\0\0\1\0\1\0\0\0\0\1\54\0\0\1\0\3\300\0\2", "A"),
        BAD("\7example\0\0\1\0\1\0\2\0\0\1\54\0\0\1\0\4\300\0\2\1",
            "covers another type than its rrset"),
        BAD("\7example\0\0\1\0\1\0\0\0\0\1\54\0\0\2\0\4\300\0\2\2\0\4\300\0\2\1",
            "records are not in order"),
        BAD("\7example\0\0\1\0\1\0\0\0\0\1\54\0\0\2\0\4\300\0\2\2\0\4\300\0\2\2",
            "records are not in order"),
        BAD("\7example\0\0\2\0\34\0\0\0\0\1\54\0\0\1\0\0200123456789abcdef"
            "\0\1\0\0\0\0\1\54\0\0\1\0\4\300\0\2\2",
            "rrsets are not in order"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct rbuf in = rbuf_open(bad[i].octets, bad[i].len);
        struct node *node;
        struct why why = {""};
        ck_assert_int_eq(node_load(&in, apex, &node, &why), -E_FORMAT);
        ck_assert_msg(strstr(why.text, bad[i].why) != NULL, "%zu: %s", i, why.text);
    }
}
END_TEST

int main(void)
{
    struct suite s = suite_open("octets");
    suite_add(s, test_nodes_come_back);
    suite_add(s, test_changesets_come_back);
    suite_add(s, test_damage);
    suite_add(s, test_refusals);
    return suite_run(s);
}
