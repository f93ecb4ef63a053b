/* Worker threads: a queue of jobs, and a list of par_maps that want help.
 *
 *      jobs   job ─> job ─> job             taken first, oldest first
 *      maps   map ─> map                    joined by workers that find no job
 *
 * A par_map lives on its caller's stack. The caller puts it on the list, works through the chunks
 * like everybody else, takes it off again when no chunk is left, and waits for the helpers that are
 * still in their last one. Chunks are claimed with one atomic addition, so a slow chunk delays
 * nobody.
 *
 * Why it cannot deadlock: a thread waits only for helpers of a map that it made itself, and only
 * after they began a chunk; a helper in turn waits only for helpers of a map made inside that
 * chunk. The nesting is finite and the innermost waits for nobody. A waiting caller does not pick
 * up other work, so no thread is in one map twice, and its own number tells the threads in any map
 * apart: 0 is a caller from outside, 1..threads are the workers.
 *
 * Why jobs go first: the par_map of a large zone takes seconds and gets on without help, its caller
 * works; the small change of another zone that waits in the queue would not. A helper therefore
 * looks at the queue's length between two chunks and leaves the map when there is a job. */
#include "pipeline/base/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/base/alloc.h"
#include "pipeline/base/assert.h"
#include "pipeline/base/log.h"
#include "pipeline/base/rcu.h"

struct map {
    struct map *next;
    par_fn *fn;
    void *ctx;
    size_t n, chunk, chunks;
    _Atomic size_t claimed;     /* chunks handed out; runs past `chunks` by one a thread */
    unsigned helpers;           /* under the pool's lock: workers inside */
    pthread_cond_t helpers_out; /* helpers fell to 0 */
};

struct queue {
    struct job *head, *tail;
};

struct worker {
    struct pool *pool;
    unsigned index; /* 1..threads */
    pthread_t thread;
};

struct par {
    struct pool *pool;
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t work; /* a job or a map came, or stopping */
    struct queue jobs;
    _Atomic size_t waiting; /* jobs queued; read without the lock by helpers */
    struct map *maps, **maps_end;
    unsigned idle; /* workers waiting for `work` */
    bool stopping;
    struct par par;
    unsigned threads;
    struct worker workers[];
};

static _Thread_local struct worker *self; /* NULL: not a worker */

static void queue_put(struct queue *queue, struct job *job)
{
    job->next = NULL;
    if (queue->head)
        queue->tail->next = job;
    else
        queue->head = job;
    queue->tail = job;
}

static struct job *queue_take(struct queue *queue)
{
    struct job *job = queue->head;
    if (job)
        queue->head = job->next;
    return job;
}

static bool map_has_work(struct map *map)
{
    return atomic_load_explicit(&map->claimed, memory_order_relaxed) < map->chunks;
}

/* Claims chunks until none is left or, for a helper, a job waits. The lock that helpers and caller
 * pass orders their data; the claim itself need not. */
static void map_work(struct map *map, unsigned index, const _Atomic size_t *jobs_waiting)
{
    for (;;) {
        size_t c = atomic_fetch_add_explicit(&map->claimed, 1, memory_order_relaxed);
        if (c >= map->chunks)
            return;
        size_t begin = c * map->chunk;
        size_t end = map->n - begin < map->chunk ? map->n : begin + map->chunk;
        map->fn(map->ctx, index, begin, end);
        if (jobs_waiting && atomic_load_explicit(jobs_waiting, memory_order_relaxed))
            return;
    }
}

static struct map *map_wanting_help(struct pool *pool)
{
    struct map *map = pool->maps;
    while (map && !map_has_work(map))
        map = map->next;
    return map;
}

static void map_unlink(struct pool *pool, const struct map *map)
{
    struct map **at = &pool->maps;
    while (*at != map)
        at = &(*at)->next;
    *at = map->next;
    if (!*at)
        pool->maps_end = at;
}

static void job_run(struct job *job)
{
    job->run(job); /* the job may be gone now */
    ASSERT(rcu_thread_state() == RCU_OFFLINE);
}

/* Called and returns with the lock held. */
static void map_help(struct pool *pool, struct map *map, unsigned index)
{
    map->helpers++;
    pthread_mutex_unlock(&pool->lock);
    map_work(map, index, &pool->waiting);
    ASSERT(rcu_thread_state() == RCU_OFFLINE);
    pthread_mutex_lock(&pool->lock);
    if (--map->helpers == 0)
        pthread_cond_signal(&map->helpers_out);
}

static void *worker_main(void *arg)
{
    self = arg;
    struct pool *pool = self->pool;
    rcu_thread_start();
    rcu_offline();
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        struct job *job = queue_take(&pool->jobs);
        struct map *map;
        if (job) {
            atomic_fetch_sub_explicit(&pool->waiting, 1, memory_order_relaxed);
            pthread_mutex_unlock(&pool->lock);
            job_run(job);
            pthread_mutex_lock(&pool->lock);
        } else if ((map = map_wanting_help(pool))) {
            map_help(pool, map, self->index);
        } else if (pool->stopping) {
            break;
        } else {
            pool->idle++;
            pthread_cond_wait(&pool->work, &pool->lock);
            pool->idle--;
        }
    }
    pthread_mutex_unlock(&pool->lock);
    rcu_thread_stop();
    return NULL;
}

/* Workers take no signals: those are for the loops. */
static void workers_start(struct pool *pool)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (unsigned i = 0; i < pool->threads; i++) {
        struct worker *worker = &pool->workers[i];
        worker->pool = pool;
        worker->index = i + 1;
        int e = pthread_create(&worker->thread, NULL, worker_main, worker);
        if (e) {
            log_error("cannot start a worker thread", LOG_KV("error", LOG_S(strerror(e))),
                      LOG_KV("wanted", LOG_U(pool->threads)), LOG_KV("started", LOG_U(i)));
            abort();
        }
        char name[16];
        snprintf(name, sizeof name, "weir-work-%u", worker->index % 10000);
        pthread_setname_np(worker->thread, name);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct pool *pool_new(unsigned threads)
{
    struct pool *pool = mem_zalloc(sizeof *pool + threads * sizeof pool->workers[0]);
    pool->threads = threads;
    pool->par.pool = pool;
    pool->maps_end = &pool->maps;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    workers_start(pool);
    return pool;
}

void pool_free(struct pool **pool_pp)
{
    struct pool *pool = *pool_pp;
    if (!pool)
        return;
    ASSERT(!self || self->pool != pool);
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->threads; i++)
        pthread_join(pool->workers[i].thread, NULL);
    ASSERT(!pool->jobs.head && !pool->maps);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    mem_free(pool_pp);
}

/* A pool of no threads: the job runs here, in the same rcu state as on a worker. A job that submits
 * one gets it run after itself, as on a pool of one thread, and not inside itself. */
static void run_inline(struct job *job)
{
    static _Thread_local struct queue queue;
    static _Thread_local bool running;
    queue_put(&queue, job);
    if (running)
        return;
    running = true;
    enum rcu_state before = rcu_thread_state();
    if (before == RCU_OUTSIDE)
        rcu_thread_start();
    if (before != RCU_OFFLINE)
        rcu_offline();
    while ((job = queue_take(&queue)))
        job_run(job);
    if (before == RCU_ONLINE)
        rcu_online();
    else if (before == RCU_OUTSIDE)
        rcu_thread_stop();
    running = false;
}

void pool_submit(struct pool *pool, struct job *job)
{
    ASSERT(job->run);
    if (pool->threads == 0) {
        run_inline(job);
        return;
    }
    pthread_mutex_lock(&pool->lock);
    ASSERT(!pool->stopping || (self && self->pool == pool)); /* others would come too late */
    queue_put(&pool->jobs, job);
    atomic_fetch_add_explicit(&pool->waiting, 1, memory_order_relaxed);
    pthread_cond_signal(&pool->work);
    pthread_mutex_unlock(&pool->lock);
}

unsigned pool_threads(const struct pool *pool)
{
    return pool->threads;
}

struct par *pool_par(struct pool *pool)
{
    return &pool->par;
}

unsigned par_width(const struct par *par)
{
    return par ? par->pool->threads + 1 : 1;
}

static void map_offer(struct pool *pool, struct map *map)
{
    pthread_mutex_lock(&pool->lock);
    *pool->maps_end = map;
    pool->maps_end = &map->next;
    size_t wake = map->chunks - 1;
    if (wake > pool->idle)
        wake = pool->idle;
    while (wake--)
        pthread_cond_signal(&pool->work);
    pthread_mutex_unlock(&pool->lock);
}

void par_map(struct par *par, size_t n, size_t chunk, par_fn *fn, void *ctx)
{
    ASSERT(chunk > 0);
    struct pool *pool = par ? par->pool : NULL;
    unsigned index = pool && self && self->pool == pool ? self->index : 0;
    struct map map = {.fn = fn, .ctx = ctx, .n = n, .chunk = chunk};
    map.chunks = n / chunk + (n % chunk != 0);
    if (!pool || pool->threads == 0 || map.chunks < 2) {
        map_work(&map, index, NULL);
        return;
    }
    pthread_cond_init(&map.helpers_out, NULL);
    map_offer(pool, &map);
    map_work(&map, index, NULL);
    pthread_mutex_lock(&pool->lock);
    map_unlink(pool, &map);
    while (map.helpers)
        pthread_cond_wait(&map.helpers_out, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    pthread_cond_destroy(&map.helpers_out);
}
