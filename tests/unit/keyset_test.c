/* keyset: what of a zone's keys makes a difference, and what does not (pipeline/zone/keyset.h).
 */
#include "tests/lib/keyplay.h"
#include "tests/lib/suite.h"

#include "pipeline/base/alloc.h"

#include <string.h>

static const uint8_t one[] = {1, 0, 3, 13, 1, 1}, two[] = {1, 1, 3, 13, 2},
                     two_longer[] = {1, 1, 3, 13, 2, 0};
static const uint8_t ns1[] = "\3ns1\1z", ns1_upper[] = "\3NS1\1z", ns2[] = "\3ns2\1z",
                     below_ns1[] = "\1a\3ns1\1z";

static struct keyset *empty(void)
{
    return keyset_new(0, 0, 0);
}

static struct keyset *sealed(struct keyset *k)
{
    keyset_seal(k);
    return k;
}

/* Whatever the order in which they were added, and one that is there twice does what either does. */
START_TEST(foreign_keys_are_ordered_and_merged)
{
    struct keyset *a = empty(), *b = empty();
    keyset_add_foreign(a, two_longer, sizeof two_longer, 30)->csk = true;
    keyset_add_foreign(a, two, sizeof two, 300)->publish = true;
    keyset_add_foreign(a, one, sizeof one, 10)->ds = true;
    keyset_add_foreign(a, two, sizeof two, 600)->ds = true;
    keyset_add_foreign(b, one, sizeof one, 10)->ds = true;
    struct keyset_foreign *both = keyset_add_foreign(b, two, sizeof two, 600);
    both->publish = both->ds = true;
    keyset_add_foreign(b, two_longer, sizeof two_longer, 30)->csk = true;
    ck_assert_uint_eq(a->nforeign, 4);
    sealed(a);
    sealed(b);
    ck_assert_uint_eq(a->nforeign, 3);
    ck_assert(memcmp(a->foreign[0].rdata, one, sizeof one) == 0);
    ck_assert_uint_eq(a->foreign[1].len, sizeof two);
    ck_assert_uint_eq(a->foreign[1].ttl, 600);
    ck_assert(a->foreign[1].publish && a->foreign[1].ds && !a->foreign[1].csk);
    ck_assert_uint_eq(a->foreign[2].len, sizeof two_longer);
    ck_assert(keyset_same(a, b));
    keyset_unref(a);
    keyset_unref(b);
}
END_TEST

/* In canonical order; a name in other letters is the same name, and which letters stay does not hang on who came first. */
START_TEST(names_of_servers_are_ordered_and_merged)
{
    static const uint8_t *const orders[][4] = {{ns2, ns1, below_ns1, ns1_upper},
                                               {ns1_upper, below_ns1, ns2, ns1}};
    struct keyset *k[2];
    for (unsigned i = 0; i < 2; i++) {
        k[i] = empty();
        for (unsigned n = 0; n < 4; n++)
            keyset_add_ns(k[i], orders[i][n]);
        sealed(k[i]);
        ck_assert_uint_eq(k[i]->nns, 3);
        ck_assert(name_equal(k[i]->ns[0], ns1) && name_equal(k[i]->ns[1], below_ns1) &&
                  name_equal(k[i]->ns[2], ns2));
    }
    ck_assert(keyset_same(k[0], k[1]));
    keyset_unref(k[0]);
    keyset_unref(k[1]);
}
END_TEST

/* A keyset with a bit of everything, then one thing of it otherwise. */
static void nothing(struct keyset *k)
{
    (void)k;
}
static void foreign_gone(struct keyset *k)
{
    mem_free(&k->foreign[--k->nforeign].rdata);
}
static void foreign_more(struct keyset *k)
{
    keyset_add_foreign(k, two, sizeof two, 300);
}
static void foreign_other(struct keyset *k)
{
    k->foreign[0].rdata[4] ^= 1;
}
static void foreign_ttl(struct keyset *k)
{
    k->foreign[0].ttl++;
}
static void foreign_publish(struct keyset *k)
{
    k->foreign[0].publish ^= true;
}
static void foreign_ds(struct keyset *k)
{
    k->foreign[0].ds ^= true;
}
static void foreign_csk(struct keyset *k)
{
    k->foreign[0].csk ^= true;
}
static void ns_gone(struct keyset *k)
{
    mem_free(&k->ns[--k->nns]);
}
static void ns_more(struct keyset *k)
{
    keyset_add_ns(k, ns2);
}
static void ns_other(struct keyset *k)
{
    k->ns[0][3] = '9';
}
static void ns_letters(struct keyset *k)
{
    k->ns[0][1] = 'N';
}
static void csync(struct keyset *k)
{
    k->csync ^= true;
}
static void cds_delete(struct keyset *k)
{
    k->cds_delete ^= true;
}
static void publish(struct keyset *k)
{
    k->key[0].publish ^= true;
}
static void private_gone(struct keyset *k)
{
    dnssec_private_unref(k->key[0].private);
    k->key[0].private = NULL;
}

static const struct difference {
    const char *what;
    void (*make)(struct keyset *k);
    bool same;
} differences[] = {
    {"nothing", nothing, true},
    {"a foreign key less", foreign_gone, false},
    {"a foreign key more", foreign_more, false},
    {"another foreign key", foreign_other, false},
    {"its TTL", foreign_ttl, false},
    {"whether it is published", foreign_publish, false},
    {"whether the parent has its DS", foreign_ds, false},
    {"whether it signs the zone", foreign_csk, false},
    {"a name less", ns_gone, false},
    {"a name more", ns_more, false},
    {"another name", ns_other, false},
    {"a name in other letters", ns_letters, false}, /* they are served */
    {"CSYNC", csync, false},
    {"CDS that ask for removal", cds_delete, false},
    {"whether one of ours is published", publish, false},
    {"a private half that is gone", private_gone, false},
};

static struct keyset *some(const struct keyplay *play)
{
    struct keyset *k = keyplay_set(play, 0);
    keyset_add_foreign(k, one, sizeof one, 300)->publish = true;
    keyset_add_ns(k, ns1);
    return k;
}

START_TEST(what_makes_a_difference)
{
    const struct difference *d = &differences[_i];
    struct keyplay play = {.n = 0};
    keyplay_make(&play, DNSKEY_ZONE, ALG_ED25519, "pz");
    struct keyset *a = sealed(some(&play)), *b = some(&play);
    d->make(b);
    sealed(b);
    ck_assert_msg(keyset_same(a, b) == d->same, "%s", d->what);
    ck_assert_msg(keyset_same(b, a) == d->same, "%s", d->what);
    keyset_unref(a);
    keyset_unref(b);
    keyplay_close(&play);
}
END_TEST

START_TEST(none_is_equal_to_none_only)
{
    struct keyset *k = sealed(empty());
    ck_assert(keyset_same(NULL, NULL) && keyset_same(k, k));
    ck_assert(!keyset_same(k, NULL) && !keyset_same(NULL, k));
    keyset_unref(k);
    keyset_unref(NULL);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("keyset");
    suite_add(s, foreign_keys_are_ordered_and_merged);
    suite_add(s, names_of_servers_are_ordered_and_merged);
    tcase_add_loop_test(s.tcase, what_makes_a_difference, 0,
                        sizeof differences / sizeof differences[0]);
    suite_add(s, none_is_equal_to_none_only);
    return suite_run(s);
}
