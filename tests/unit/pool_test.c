/* pool: every job once, every index once, worker numbers never shared, no deadlock whatever is
 * nested. */
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/base/alloc.h"
#include "pipeline/base/assert.h"
#include "pipeline/base/pool.h"
#include "pipeline/base/rcu.h"
#include "tests/lib/random.h"
#include "tests/lib/suite.h"

enum { SUBMITTERS = 4, JOBS_EACH = 2000, WIDTH_MAX = 8 };

/* --- jobs --- */

struct task {
    struct job job;
    struct pool *pool;
    unsigned again; /* submits itself so many times more */
};

static _Atomic unsigned tasks_run;

static void task_run(struct job *job)
{
    struct task *task = (struct task *)job;
    ASSERT(rcu_thread_state() == RCU_OFFLINE);
    rcu_online(); /* as a job does that reads a published pointer */
    rcu_offline();
    atomic_fetch_add(&tasks_run, 1);
    if (task->again-- > 0)
        pool_submit(task->pool, &task->job);
    else
        mem_free(&task);
}

static void task_submit(struct pool *pool, unsigned again)
{
    struct task *task = mem_alloc(sizeof *task);
    *task = (struct task){.job.run = task_run, .pool = pool, .again = again};
    pool_submit(pool, &task->job);
}

static void *submitter_main(void *arg)
{
    for (unsigned i = 0; i < JOBS_EACH; i++)
        task_submit(arg, i % 3);
    return NULL;
}

START_TEST(many_submitters)
{
    static const unsigned sizes[] = {0, 1, 2, 5};
    struct pool *pool = pool_new(sizes[_i]);
    ck_assert_uint_eq(pool_threads(pool), sizes[_i]);
    pthread_t threads[SUBMITTERS];
    for (int i = 0; i < SUBMITTERS; i++)
        pthread_create(&threads[i], NULL, submitter_main, pool);
    for (int i = 0; i < SUBMITTERS; i++)
        pthread_join(threads[i], NULL);
    pool_free(&pool); /* what is queued still runs, and what that submits */
    ck_assert_ptr_null(pool);
    unsigned want = 0;
    for (unsigned i = 0; i < JOBS_EACH; i++)
        want += SUBMITTERS * (1 + i % 3);
    ck_assert_uint_eq(atomic_load(&tasks_run), want);
    pool_free(&pool);
}
END_TEST

struct order {
    struct job job;
    struct pool *pool;
    int depth;
};
static int order_log[8], order_len;

static void order_run(struct job *job)
{
    struct order *order = (struct order *)job;
    if (order->depth < 2) {
        order[1].depth = order->depth + 1;
        order[1].job.run = order_run;
        order[1].pool = order->pool;
        pool_submit(order->pool, &order[1].job);
    }
    order_log[order_len++] = order->depth; /* before what it submitted */
}

START_TEST(inline_pool)
{
    struct pool *pool = pool_new(0);
    struct order orders[3] = {{.job.run = order_run, .pool = pool}};
    for (int state = RCU_OUTSIDE; state <= RCU_ONLINE; state++) {
        if (state == RCU_OFFLINE)
            rcu_thread_start(), rcu_offline();
        if (state == RCU_ONLINE)
            rcu_online();
        order_len = 0;
        pool_submit(pool, &orders[0].job);
        ck_assert_int_eq(order_len, 3); /* at once */
        for (int i = 0; i < 3; i++)
            ck_assert_int_eq(order_log[i], i);
        atomic_store(&tasks_run, 0);
        task_submit(pool, 5);
        ck_assert_uint_eq(atomic_load(&tasks_run), 6);
        ck_assert_int_eq((int)rcu_thread_state(), state);
    }
    rcu_thread_stop();
    pool_free(&pool);
}
END_TEST

/* --- par_map --- */

struct coverage {
    struct par *par;
    size_t n, chunk;
    _Atomic(unsigned char) *hit;
    _Atomic bool inside[WIDTH_MAX];
    unsigned depth;
    uint64_t scratch[WIDTH_MAX];
};

static void coverage_check(struct par *par, size_t n, size_t chunk, unsigned depth);

static void cover(void *ctx, unsigned worker, size_t begin, size_t end)
{
    struct coverage *c = ctx;
    ASSERT(worker < par_width(c->par));
    ASSERT(begin < end && end <= c->n && end - begin <= c->chunk);
    ASSERT(begin % c->chunk == 0 && (end - begin == c->chunk || end == c->n));
    ASSERT(!atomic_exchange_explicit(&c->inside[worker], true, memory_order_relaxed));
    for (size_t i = begin; i < end; i++)
        ASSERT(!atomic_exchange_explicit(&c->hit[i], 1, memory_order_relaxed));
    c->scratch[worker] += end - begin; /* not atomic: two threads of one number would race */
    if (c->depth > 0)
        coverage_check(c->par, 1 + begin % 7, 1 + begin % 3, c->depth - 1);
    atomic_store_explicit(&c->inside[worker], false, memory_order_relaxed);
}

static void coverage_check(struct par *par, size_t n, size_t chunk, unsigned depth)
{
    struct coverage c = {.par = par, .n = n, .chunk = chunk, .depth = depth};
    void *hit = mem_array(n, sizeof *c.hit);
    c.hit = hit;
    par_map(par, n, chunk, cover, &c);
    uint64_t total = 0;
    for (unsigned w = 0; w < WIDTH_MAX; w++)
        total += c.scratch[w]; /* the caller sees what the helpers wrote */
    ASSERT(total == n);
    mem_free(&hit);
}

static void coverage_random(struct par *par, struct random *random, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        size_t n =
            random_below(random, 10) == 0 ? random_below(random, 20000) : random_below(random, 60);
        size_t chunk = 1 + random_below(random, random_below(random, 2) ? 8 : 500);
        coverage_check(par, n, chunk, n < 60 ? (unsigned)random_below(random, 3) : 0);
    }
}

START_TEST(random_maps)
{
    struct random random = random_open();
    for (unsigned threads = 0; threads <= 5; threads++) {
        struct pool *pool = pool_new(threads);
        struct par *par = pool_par(pool);
        ck_assert_uint_eq(par_width(par), threads + 1);
        coverage_random(par, &random, 500);
        pool_free(&pool);
    }
    ck_assert_uint_eq(par_width(NULL), 1);
    coverage_random(NULL, &random, 50);
}
END_TEST

START_TEST(huge_chunk)
{
    struct pool *pool = pool_new(2);
    coverage_check(pool_par(pool), 1000, SIZE_MAX, 0);
    coverage_check(pool_par(pool), 1000, SIZE_MAX - 500, 0);
    coverage_check(pool_par(pool), 0, 1, 0);
    pool_free(&pool);
}
END_TEST

struct caller {
    struct pool *pool;
    struct random random;
};

static void *caller_main(void *arg)
{
    struct caller *caller = arg;
    coverage_random(pool_par(caller->pool), &caller->random, 600);
    return NULL;
}

struct map_job {
    struct job job;
    struct caller caller;
};

static void map_job_run(struct job *job)
{
    struct map_job *map_job = (struct map_job *)job;
    coverage_random(pool_par(map_job->caller.pool), &map_job->caller.random, 20);
    mem_free(&map_job);
}

/* Callers from outside, callers that are jobs, and small jobs in between, all at once. */
START_TEST(everything_at_once)
{
    struct random random = random_open();
    struct pool *pool = pool_new(3);
    struct caller callers[3];
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        callers[i] = (struct caller){pool, random_fork(&random)};
        pthread_create(&threads[i], NULL, caller_main, &callers[i]);
    }
    for (int i = 0; i < 20; i++) {
        struct map_job *map_job = mem_alloc(sizeof *map_job);
        *map_job = (struct map_job){{.run = map_job_run}, {pool, random_fork(&random)}};
        pool_submit(pool, &map_job->job);
        task_submit(pool, 3);
    }
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    pool_free(&pool);
    ck_assert_uint_eq(atomic_load(&tasks_run), 20 * 4);
}
END_TEST

/* As many chunks as threads, each waiting for all the others: it ends only when every worker helps.
 */
static void meet(void *ctx, unsigned worker, size_t begin, size_t end)
{
    (void)worker, (void)begin, (void)end;
    pthread_barrier_wait(ctx);
}

START_TEST(all_workers_help)
{
    for (unsigned threads = 1; threads <= 6; threads++) {
        struct pool *pool = pool_new(threads);
        pthread_barrier_t barrier;
        pthread_barrier_init(&barrier, NULL, threads + 1);
        for (int round = 0; round < 50; round++)
            par_map(pool_par(pool), threads + 1, 1, meet, &barrier);
        pool_free(&pool);
        pthread_barrier_destroy(&barrier);
    }
}
END_TEST

/* One worker helps a long map; a job comes; the worker must leave the map for it. The caller waits
 * in its first chunk until the job has run, so only the helper could have taken chunks by then. */
struct interruption {
    struct job job;
    struct pool *pool;
    sem_t helper_in, submitted, job_ran;
    _Atomic size_t chunks_done, chunks_at_job;
};

static void interruption_run(struct job *job)
{
    struct interruption *in = (struct interruption *)job;
    atomic_store(&in->chunks_at_job, atomic_load(&in->chunks_done));
    sem_post(&in->job_ran);
}

static void interrupted(void *ctx, unsigned worker, size_t begin, size_t end)
{
    struct interruption *in = ctx;
    (void)end;
    if (worker == 1 && atomic_load(&in->chunks_done) == 0) {
        sem_post(&in->helper_in);
        sem_wait(&in->submitted);
    } else if (worker == 0 && begin < 2) { /* the caller's first chunk is 0 or 1 */
        sem_wait(&in->helper_in);
        pool_submit(in->pool, &in->job);
        sem_post(&in->submitted);
        sem_wait(&in->job_ran);
    }
    atomic_fetch_add(&in->chunks_done, 1);
}

START_TEST(job_before_map)
{
    struct interruption in = {.job.run = interruption_run, .pool = pool_new(1)};
    sem_init(&in.helper_in, 0, 0);
    sem_init(&in.submitted, 0, 0);
    sem_init(&in.job_ran, 0, 0);
    par_map(pool_par(in.pool), 1000, 1, interrupted, &in);
    ck_assert_uint_eq(atomic_load(&in.chunks_done), 1000);
    ck_assert_uint_eq(atomic_load(&in.chunks_at_job), 1);
    pool_free(&in.pool);
}
END_TEST

/* --- misuse --- */

static void stays_online(struct job *job)
{
    (void)job;
    rcu_online();
}

START_TEST(job_ends_online)
{
    struct pool *pool = pool_new(1);
    struct job job = {.run = stays_online};
    pool_submit(pool, &job);
    pool_free(&pool);
}
END_TEST

START_TEST(chunk_of_nothing)
{
    par_map(NULL, 10, 0, cover, NULL);
}
END_TEST

static struct pool *own_pool;

static void frees_its_pool(struct job *job)
{
    (void)job;
    pool_free(&own_pool);
}

START_TEST(freed_by_its_worker)
{
    own_pool = pool_new(1);
    struct job job = {.run = frees_its_pool};
    pool_submit(own_pool, &job);
    sem_t never;
    sem_init(&never, 0, 0);
    sem_wait(&never);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("pool");
    tcase_add_loop_test(s.tcase, many_submitters, 0, 4);
    suite_add(s, inline_pool);
    suite_add(s, random_maps);
    suite_add(s, huge_chunk);
    suite_add(s, everything_at_once);
    suite_add(s, all_workers_help);
    suite_add(s, job_before_map);
    suite_add_abort(s, job_ends_online);
    suite_add_abort(s, chunk_of_nothing);
    suite_add_abort(s, freed_by_its_worker);
    return suite_run(s);
}
