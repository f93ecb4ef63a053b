/* loop: tasks from many threads arrive once each and in each poster's order; a loop reads through
 * RCU what another thread replaces and frees; stopping is orderly, whenever it is asked for. Meant
 * for TSan. */
#include "pipeline/net/loop.h"

#include <check.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/base/alloc.h"
#include "pipeline/base/assert.h"
#include "pipeline/base/rcu.h"

enum { POSTERS = 4, POSTS = 5000 };

struct board { /* touched by the loop's thread alone: TSan would tell */
    unsigned next[POSTERS];
    unsigned total, disorder;
    struct loop *loop;
};
struct note {
    struct task task;
    struct board *board;
    unsigned poster, number;
};
struct poster {
    pthread_t thread;
    struct board *board;
    unsigned number;
};

static void note_run(struct task *task)
{
    struct note *note = (struct note *)task;
    struct board *board = note->board;
    if (board->next[note->poster] != note->number)
        board->disorder++;
    board->next[note->poster] = note->number + 1;
    mem_free(&note); /* a task may free itself */
    if (++board->total == POSTERS * POSTS)
        loop_stop(board->loop);
}

static void *poster_main(void *arg)
{
    struct poster *poster = arg;
    for (unsigned i = 0; i < POSTS; i++) {
        struct note *note = mem_zalloc(sizeof *note);
        *note = (struct note){{.run = note_run}, poster->board, poster->number, i};
        loop_post(poster->board->loop, &note->task);
    }
    return NULL;
}

START_TEST(many_posters)
{
    struct board board = {.loop = loop_new("posts")};
    struct poster poster[POSTERS];
    loop_start(board.loop);
    for (unsigned i = 0; i < POSTERS; i++) {
        poster[i] = (struct poster){.board = &board, .number = i};
        pthread_create(&poster[i].thread, NULL, poster_main, &poster[i]);
    }
    for (unsigned i = 0; i < POSTERS; i++)
        pthread_join(poster[i].thread, NULL);
    loop_join(board.loop);
    ck_assert_uint_eq(board.total, POSTERS * POSTS);
    ck_assert_uint_eq(board.disorder, 0);
    loop_free(&board.loop);
    ck_assert_ptr_null(board.loop);
}
END_TEST

/* A writer replaces an object and defers freeing it, while a loop keeps reading it: what the loop
 * sees is always whole, and never the freed one (ASan, TSan, and the poison below). */
enum { SWAPS = 3000, POISON = 0xdead };

struct thing {
    struct rcu_item rcu;
    uint64_t a, b;
};
static struct thing *_Atomic published;
static _Atomic unsigned freed;

static void thing_free(struct rcu_item *item)
{
    struct thing *thing = (struct thing *)item;
    thing->a = POISON;
    thing->b = 0;
    mem_free(&thing);
    atomic_fetch_add(&freed, 1);
}

struct reading {
    struct task task;
    struct loop *loop;
    _Atomic bool end;
    unsigned reads, torn;
    uint64_t last;
};

static void reading_run(struct task *task)
{
    struct reading *r = (struct reading *)task;
    ASSERT(rcu_thread_state() == RCU_ONLINE);
    for (unsigned i = 0; i < 10; i++) {
        const struct thing *thing = rcu_read(&published);
        if (thing->a != thing->b || thing->a < r->last)
            r->torn++;
        r->last = thing->a;
        r->reads++;
    }
    if (atomic_load(&r->end))
        loop_stop(r->loop);
    else
        loop_post(r->loop, &r->task); /* by way of the poll, so it goes offline between */
}

START_TEST(reader_and_writer)
{
    struct thing *thing = mem_zalloc(sizeof *thing);
    atomic_store(&published, thing);
    atomic_store(&freed, 0);
    struct reading r = {.task.run = reading_run, .loop = loop_new("reader")};
    loop_post(r.loop, &r.task);
    loop_start(r.loop);
    rcu_thread_start();
    for (unsigned i = 1; i <= SWAPS; i++) {
        thing = mem_zalloc(sizeof *thing);
        thing->a = thing->b = i;
        thing = rcu_swap(&published, thing);
        rcu_defer(&thing->rcu, thing_free);
        rcu_offline();
        rcu_online();
    }
    rcu_barrier_all(); /* comes back only if the loop passes through its poll */
    ck_assert_uint_eq(atomic_load(&freed), SWAPS);
    atomic_store(&r.end, true);
    rcu_offline();
    loop_join(r.loop);
    rcu_online();
    ck_assert_uint_gt(r.reads, 0);
    ck_assert_uint_eq(r.torn, 0);
    thing = rcu_swap(&published, NULL);
    rcu_defer(&thing->rcu, thing_free);
    rcu_barrier_all();
    rcu_thread_stop();
    loop_free(&r.loop);
}
END_TEST

struct count {
    struct task task;
    unsigned *runs;
    sem_t *done;
};
static void count_run(struct task *task)
{
    struct count *count = (struct count *)task;
    ++*count->runs;
    if (count->done)
        sem_post(count->done);
}

/* A loop that sleeps is offline: a grace period ends while it does nothing at all. */
START_TEST(sleeping_loop_delays_nobody)
{
    struct loop *loop = loop_new("sleeper");
    unsigned runs = 0;
    sem_t done;
    sem_init(&done, 0, 0);
    struct count count = {{.run = count_run}, &runs, &done};
    loop_start(loop);
    loop_post(loop, &count.task);
    while (sem_wait(&done) != 0)
        ;
    rcu_thread_start();
    atomic_store(&freed, 0);
    struct thing *thing = mem_zalloc(sizeof *thing);
    rcu_defer(&thing->rcu, thing_free);
    rcu_barrier_all(); /* would hang until Check's time-out */
    ck_assert_uint_eq(atomic_load(&freed), 1);
    rcu_thread_stop();
    loop_stop(loop);
    loop_join(loop);
    loop_free(&loop);
    sem_destroy(&done);
    ck_assert_uint_eq(runs, 1);
}
END_TEST

START_TEST(stop_before_run_and_again)
{
    struct loop *loop = loop_new("stopper");
    loop_stop(loop);
    loop_run(loop); /* returns at once */
    ck_assert_int_eq(rcu_thread_state(), RCU_OUTSIDE);
    unsigned runs = 0;
    struct count count = {{.run = count_run}, &runs, NULL};
    loop_post(loop, &count.task);
    loop_stop(loop);
    loop_run(loop);
    loop_free(&loop);
    ck_assert_uint_eq(runs, 1);
}
END_TEST

START_TEST(free_runs_what_was_posted)
{
    struct loop *loop = loop_new("posted");
    unsigned runs = 0;
    struct count count[3];
    for (unsigned i = 0; i < 3; i++) {
        count[i] = (struct count){{.run = count_run}, &runs, NULL};
        loop_post(loop, &count[i].task);
    }
    loop_free(&loop);
    ck_assert_uint_eq(runs, 3);
    loop_free(&loop); /* nothing there: allowed */
}
END_TEST

struct facts {
    struct task task;
    struct loop *loop;
    char name[16];
    bool blocked;
};
static void facts_run(struct task *task)
{
    struct facts *facts = (struct facts *)task;
    sigset_t mask;
    pthread_getname_np(pthread_self(), facts->name, sizeof facts->name);
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    facts->blocked = sigismember(&mask, SIGTERM) && sigismember(&mask, SIGHUP);
    loop_stop(facts->loop);
}

START_TEST(thread_has_a_name_and_no_signals)
{
    struct facts facts = {.task.run = facts_run, .loop = loop_new("weir-query-12345678")};
    loop_start(facts.loop);
    loop_post(facts.loop, &facts.task);
    loop_join(facts.loop);
    ck_assert(facts.blocked);
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    ck_assert(!sigismember(&mask, SIGTERM));
    ck_assert_int_eq(strncmp(facts.name, "weir-query-1234", 15), 0);
    loop_free(&facts.loop);
}
END_TEST

/* The main thread's case: registered before, still registered (and in the same state) after. */
START_TEST(run_on_a_registered_thread)
{
    struct loop *loop = loop_new("main");
    rcu_thread_start();
    loop_stop(loop);
    loop_run(loop);
    ck_assert_int_eq(rcu_thread_state(), RCU_ONLINE);
    rcu_offline();
    unsigned runs = 0;
    struct count count = {{.run = count_run}, &runs, NULL};
    loop_post(loop, &count.task);
    loop_stop(loop);
    loop_run(loop);
    ck_assert_int_eq(rcu_thread_state(), RCU_OFFLINE);
    rcu_thread_stop();
    loop_free(&loop);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loop");
    TCase *tc = tcase_create("loop");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, many_posters);
    tcase_add_test(tc, reader_and_writer);
    tcase_add_test(tc, sleeping_loop_delays_nobody);
    tcase_add_test(tc, stop_before_run_and_again);
    tcase_add_test(tc, free_runs_what_was_posted);
    tcase_add_test(tc, thread_has_a_name_and_no_signals);
    tcase_add_test(tc, run_on_a_registered_thread);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
