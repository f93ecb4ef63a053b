/* rcu: readers never see freed memory, deferred calls run once and all, and misuse stops at once.
 *
 * The torture is worth most under ThreadSanitizer and AddressSanitizer, yet it also fails without
 * them when an object is freed too early: its words are overwritten first. */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/base/alloc.h"
#include "pipeline/base/assert.h"
#include "pipeline/base/rcu.h"
#include "tests/lib/random.h"
#include "tests/lib/suite.h"

enum { READERS = 3, WRITERS = 2, SWAPS = 20000, WORDS = 24 };

struct object {
    struct rcu_item rcu;
    uint64_t word[WORDS]; /* all equal while it lives */
};

static _Atomic(struct object *) published;
static _Atomic unsigned freed, writers_left;
static _Atomic uint64_t reads;

static struct object *object_new(uint64_t value)
{
    struct object *object = mem_alloc(sizeof *object);
    for (int i = 0; i < WORDS; i++)
        object->word[i] = value;
    return object;
}

static void object_free(struct rcu_item *item)
{
    struct object *object = (struct object *)item;
    for (int i = 0; i < WORDS; i++)
        object->word[i] = (uint64_t)i;
    mem_free(&object);
    atomic_fetch_add(&freed, 1);
}

static void *reader_main(void *arg)
{
    struct random *random = arg;
    rcu_thread_start();
    while (atomic_load(&writers_left) > 0) {
        rcu_offline();
        if (random_below(random, 4) == 0)
            sched_yield();
        rcu_online();
        for (uint64_t n = random_below(random, 20); n > 0; n--) {
            const struct object *object = rcu_read(&published);
            uint64_t first = object->word[0];
            if (random_below(random, 50) == 0)
                sched_yield();
            for (int i = 0; i < WORDS; i++)
                ASSERT(object->word[i] == first);
            atomic_fetch_add_explicit(&reads, 1, memory_order_relaxed);
        }
    }
    rcu_thread_stop();
    return NULL;
}

static void *writer_main(void *arg)
{
    struct random *random = arg;
    rcu_thread_start();
    rcu_offline(); /* defers from both states */
    for (int i = 0; i < SWAPS; i++) {
        struct object *next = object_new(random_u64(random));
        bool online = random_below(random, 2);
        if (online)
            rcu_online();
        struct object *old = rcu_swap(&published, next);
        rcu_defer(&old->rcu, object_free);
        if (online)
            rcu_offline();
        if (random_below(random, 8) == 0)
            sched_yield();
    }
    atomic_fetch_sub(&writers_left, 1);
    rcu_thread_stop();
    return NULL;
}

START_TEST(readers_and_writers)
{
    struct random random = random_open(), own[READERS + WRITERS];
    pthread_t threads[READERS + WRITERS];
    atomic_store(&published, object_new(1));
    atomic_store(&writers_left, WRITERS);
    for (int i = 0; i < READERS + WRITERS; i++) {
        own[i] = random_fork(&random);
        pthread_create(&threads[i], NULL, i < READERS ? reader_main : writer_main, &own[i]);
    }
    for (int i = 0; i < READERS + WRITERS; i++)
        pthread_join(threads[i], NULL);
    rcu_thread_start();
    rcu_barrier_all();
    ck_assert_uint_eq(atomic_load(&freed), WRITERS * SWAPS);
    ck_assert_uint_gt(atomic_load(&reads), 0);
    rcu_thread_stop();
    struct object *last = atomic_load(&published);
    mem_free(&last);
}
END_TEST

static sem_t is_ready, may_leave;

static void *holding_reader(void *arg)
{
    (void)arg;
    rcu_thread_start();
    sem_post(&is_ready);
    sem_wait(&may_leave);
    ASSERT(atomic_load(&freed) == 0); /* deferred while we were online */
    rcu_thread_stop();
    return NULL;
}

START_TEST(online_reader_holds_back)
{
    pthread_t reader;
    sem_init(&is_ready, 0, 0);
    sem_init(&may_leave, 0, 0);
    rcu_thread_start();
    rcu_offline();
    pthread_create(&reader, NULL, holding_reader, NULL);
    sem_wait(&is_ready);
    rcu_defer(&object_new(1)->rcu, object_free);
    for (int i = 0; i < 2000; i++) {
        sched_yield();
        ck_assert_uint_eq(atomic_load(&freed), 0);
    }
    sem_post(&may_leave);
    rcu_barrier_all();
    ck_assert_uint_eq(atomic_load(&freed), 1);
    pthread_join(reader, NULL);
    rcu_thread_stop();
}
END_TEST

static void *sleeping_reader(void *arg)
{
    (void)arg;
    rcu_thread_start();
    rcu_offline();
    sem_post(&is_ready);
    sem_wait(&may_leave);
    rcu_thread_stop();
    return NULL;
}

/* The reader sleeps until the barrier is through: it would hang if an offline thread counted. */
START_TEST(offline_reader_holds_nothing)
{
    pthread_t reader;
    sem_init(&is_ready, 0, 0);
    sem_init(&may_leave, 0, 0);
    rcu_thread_start();
    pthread_create(&reader, NULL, sleeping_reader, NULL);
    sem_wait(&is_ready);
    rcu_defer(&object_new(1)->rcu, object_free);
    rcu_barrier_all();
    ck_assert_uint_eq(atomic_load(&freed), 1);
    sem_post(&may_leave);
    pthread_join(reader, NULL);
    rcu_thread_stop();
}
END_TEST

/* A deferred function that defers the next link: a barrier waits for the whole chain. */
struct link {
    struct rcu_item rcu;
    struct link *rest;
};

static _Atomic unsigned links_run;

static void link_run(struct rcu_item *item)
{
    struct link *link = (struct link *)item;
    ASSERT(rcu_thread_state() == RCU_ONLINE);
    if (link->rest)
        rcu_defer(&link->rest->rcu, link_run);
    atomic_fetch_add(&links_run, 1);
    mem_free(&link);
}

START_TEST(barrier_covers_chains)
{
    rcu_thread_start();
    for (unsigned length = 1; length < 7; length++) {
        struct link *chain = NULL;
        for (unsigned i = 0; i < length; i++) {
            struct link *link = mem_alloc(sizeof *link);
            link->rest = chain;
            chain = link;
        }
        atomic_store(&links_run, 0);
        rcu_defer(&chain->rcu, link_run);
        rcu_barrier_all();
        ck_assert_uint_eq(atomic_load(&links_run), length);
    }
    ck_assert_int_eq(rcu_thread_state(), RCU_ONLINE);
    rcu_thread_stop();
}
END_TEST

START_TEST(states)
{
    ck_assert_int_eq(rcu_thread_state(), RCU_OUTSIDE);
    for (int i = 0; i < 3; i++) {
        rcu_thread_start();
        ck_assert_int_eq(rcu_thread_state(), RCU_ONLINE);
        rcu_offline();
        ck_assert_int_eq(rcu_thread_state(), RCU_OFFLINE);
        if (i == 1)
            rcu_online();
        rcu_thread_stop(); /* from either state */
        ck_assert_int_eq(rcu_thread_state(), RCU_OUTSIDE);
    }
}
END_TEST

static struct object spare;

static void nothing(struct rcu_item *item)
{
    (void)item;
}
static void barrier_inside(struct rcu_item *item)
{
    (void)item;
    rcu_barrier_all();
}
static void leaves_offline(struct rcu_item *item)
{
    (void)item;
    rcu_offline();
}
static void *never_stops(void *arg)
{
    rcu_thread_start();
    return arg;
}

START_TEST(outside_stop)
{
    rcu_thread_stop();
}
END_TEST
START_TEST(outside_offline)
{
    rcu_offline();
}
END_TEST
START_TEST(outside_online)
{
    rcu_online();
}
END_TEST
START_TEST(outside_defer)
{
    rcu_defer(&spare.rcu, nothing);
}
END_TEST
START_TEST(outside_barrier)
{
    rcu_barrier_all();
}
END_TEST
START_TEST(start_twice)
{
    rcu_thread_start();
    rcu_thread_start();
}
END_TEST
START_TEST(offline_twice)
{
    rcu_thread_start();
    rcu_offline();
    rcu_offline();
}
END_TEST
START_TEST(online_twice)
{
    rcu_thread_start();
    rcu_online();
}
END_TEST
START_TEST(barrier_in_deferred)
{
    rcu_thread_start();
    rcu_defer(&spare.rcu, barrier_inside);
    rcu_barrier_all();
}
END_TEST
START_TEST(deferred_left_offline)
{
    rcu_thread_start();
    rcu_defer(&spare.rcu, leaves_offline);
    rcu_barrier_all();
}
END_TEST
START_TEST(thread_ends_registered)
{
    pthread_t thread;
    pthread_create(&thread, NULL, never_stops, NULL);
    pthread_join(thread, NULL);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("rcu");
    suite_add(s, readers_and_writers);
    suite_add(s, online_reader_holds_back);
    suite_add(s, offline_reader_holds_nothing);
    suite_add(s, barrier_covers_chains);
    suite_add(s, states);
    suite_add_abort(s, outside_stop);
    suite_add_abort(s, outside_offline);
    suite_add_abort(s, outside_online);
    suite_add_abort(s, outside_defer);
    suite_add_abort(s, outside_barrier);
    suite_add_abort(s, start_twice);
    suite_add_abort(s, offline_twice);
    suite_add_abort(s, online_twice);
    suite_add_abort(s, barrier_in_deferred);
    suite_add_abort(s, deferred_left_offline);
    suite_add_abort(s, thread_ends_registered);
    return suite_run(s);
}
