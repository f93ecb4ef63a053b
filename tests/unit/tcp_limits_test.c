/* tcp_limits: counts in all and a host, against a plain model, and from several threads. */
#include "pipeline/net/tcp_limits.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "tests/lib/random.h"
#include "tests/lib/suite.h"

static struct address at(const char *text)
{
    struct address a;
    struct why why;
    ck_assert_int_eq(address_parse(text, 53, &a, &why), 0);
    return a;
}

START_TEST(what_a_host_is)
{
    struct tcp_limits *l = tcp_limits_new();
    struct address v4 = at("192.0.2.1@1"), v4_other = at("192.0.2.2@1"),
                   mapped = at("::ffff:192.0.2.1@1");
    struct address v6 = at("2001:db8::1@1"), v6_near = at("2001:db8::ffff:1@9"),
                   v6_far = at("2001:db8:0:1::1@1");
    ck_assert_int_eq(tcp_limits_connect(l, &v4, 9, 1), TCP_ADMITTED);
    ck_assert_int_eq(tcp_limits_connect(l, &v4, 9, 1), TCP_HOST_FULL);
    ck_assert_int_eq(tcp_limits_connect(l, &mapped, 9, 1), TCP_HOST_FULL);
    ck_assert_int_eq(tcp_limits_connect(l, &v4_other, 9, 1), TCP_ADMITTED);
    ck_assert_int_eq(tcp_limits_connect(l, &v6, 9, 1), TCP_ADMITTED);
    ck_assert_int_eq(tcp_limits_connect(l, &v6_near, 9, 1), TCP_HOST_FULL);
    ck_assert_int_eq(tcp_limits_connect(l, &v6_far, 9, 1), TCP_ADMITTED);
    ck_assert_int_eq(tcp_limits_connect(l, &v4, 4, 9), TCP_FULL);
    ck_assert_int_eq(tcp_limits_transfer_begin(l, &v4, 1, 1), TCP_ADMITTED); /* counted apart */
    ck_assert_int_eq(tcp_limits_transfer_begin(l, &v4_other, 1, 1), TCP_FULL);
    tcp_limits_disconnect(l, &mapped);
    ck_assert_int_eq(tcp_limits_transfer_begin(l, &v4, 9, 1),
                     TCP_HOST_FULL); /* outlives the connection */
    tcp_limits_transfer_end(l, &v4);
    tcp_limits_disconnect(l, &v4_other);
    tcp_limits_disconnect(l, &v6_near);
    tcp_limits_disconnect(l, &v6_far);
    tcp_limits_free(&l);
    ck_assert_ptr_null(l);
}
END_TEST

/* 3,000 hosts in 1,024 buckets, begun and ended in any order. */
START_TEST(model)
{
    enum { HOSTS = 3000, MOST = 4000, MOST_HOST = 3, STEPS = 200000 };
    static int held[HOSTS];
    static struct address host[HOSTS];
    struct random random = random_open();
    struct tcp_limits *l = tcp_limits_new();
    int total = 0;
    for (unsigned i = 0; i < HOSTS; i++) {
        char text[ADDRESS_TEXT_MAX];
        snprintf(text, sizeof text, i % 2 ? "10.0.%u.%u@5" : "2001:db8:%x:%x::1@5", i / 250,
                 i % 250);
        host[i] = at(text);
    }
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned i = (unsigned)random_below(&random, HOSTS);
        bool begin = random_below(&random, 100) < (step < STEPS / 2 ? 70 : 40);
        if (begin) {
            enum tcp_admission want = held[i] == MOST_HOST ? TCP_HOST_FULL
                                      : total == MOST      ? TCP_FULL
                                                           : TCP_ADMITTED;
            ck_assert_int_eq(tcp_limits_connect(l, &host[i], MOST, MOST_HOST), want);
            held[i] += want == TCP_ADMITTED;
            total += want == TCP_ADMITTED;
        } else if (held[i]) {
            tcp_limits_disconnect(l, &host[i]);
            held[i]--;
            total--;
        }
    }
    for (unsigned i = 0; i < HOSTS; i++)
        for (; held[i]; held[i]--)
            tcp_limits_disconnect(l, &host[i]);
    tcp_limits_free(&l); /* asserts that nothing is held */
}
END_TEST

struct crowd {
    struct tcp_limits *limits;
    pthread_t thread;
    unsigned admitted;
};
enum { ROUNDS = 20000, SEATS = 3 };
static _Atomic int inside;

static void *crowd_main(void *arg)
{
    struct crowd *c = arg;
    struct address a = at("192.0.2.7@1");
    for (unsigned i = 0; i < ROUNDS; i++)
        if (tcp_limits_transfer_begin(c->limits, &a, SEATS, SEATS) == TCP_ADMITTED) {
            c->admitted++;
            ASSERT(atomic_fetch_add(&inside, 1) < SEATS);
            atomic_fetch_sub(&inside, 1);
            tcp_limits_transfer_end(c->limits, &a);
        }
    return NULL;
}

START_TEST(threads)
{
    struct crowd crowd[6];
    struct tcp_limits *l = tcp_limits_new();
    for (unsigned i = 0; i < 6; i++) {
        crowd[i] = (struct crowd){.limits = l};
        pthread_create(&crowd[i].thread, NULL, crowd_main, &crowd[i]);
    }
    unsigned admitted = 0;
    for (unsigned i = 0; i < 6; i++) {
        pthread_join(crowd[i].thread, NULL);
        admitted += crowd[i].admitted;
    }
    ck_assert_uint_ge(admitted, ROUNDS);
    tcp_limits_free(&l);
}
END_TEST

START_TEST(end_without_begin)
{
    struct tcp_limits *l = tcp_limits_new();
    struct address a = at("192.0.2.7@1");
    tcp_limits_disconnect(l, &a);
}
END_TEST

START_TEST(free_while_held)
{
    struct tcp_limits *l = tcp_limits_new();
    struct address a = at("192.0.2.7@1");
    if (tcp_limits_connect(l, &a, 1, 1) == TCP_ADMITTED)
        tcp_limits_free(&l);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("tcp_limits");
    suite_add(s, what_a_host_is);
    suite_add(s, model);
    suite_add(s, threads);
    suite_add_abort(s, end_without_begin);
    suite_add_abort(s, free_while_held);
    return suite_run(s);
}
