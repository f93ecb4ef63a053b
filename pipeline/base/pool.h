/* pool: worker threads for chains and signatures.
 *
 * WHAT   A job queue with a fixed number of threads, and par_map(): the caller and the idle workers
 *        share the indices 0..n-1 in chunks; it returns when all are done. Nested par_map is allowed
 *        (the caller always works itself, so it cannot deadlock).
 *        Jobs go first: a worker leaves a par_map between two chunks when a job waits.
 * WHO    pool_submit, par_map: any thread. Jobs and helpers of a par_map run on workers, which are
 *        registered with rcu and offline, since a job may take seconds and must not hold back what
 *        others deferred. A job that reads a published pointer says rcu_online() first, takes a
 *        reference, and says rcu_offline() before it goes on; it must end offline. A par_fn works on
 *        what the caller of par_map holds.
 *        A pool of 0 threads runs a job in the caller, made offline meanwhile: treat pool_submit as
 *        the end of a read section. A job submitted by such a job runs when that one has ended.
 * OWNS   A job is embedded in the caller's object and must live until its function has begun; the
 *        function may free it or submit it again. pool_free comes after the last pool_submit and
 *        par_map from outside; jobs may submit more until the queue is empty.
 * FAILS  Never; a system that has no thread to give ends the process, like one without memory.
 * COST   pool_submit O(1). par_map: one atomic step a chunk.
 */
#ifndef WEIR_BASE_POOL_H
#define WEIR_BASE_POOL_H

#include <stddef.h>

struct pool;
struct job {
    void (*run)(struct job *job);
    struct job *next;
};

struct pool *pool_new(unsigned threads);   /* 0: everything runs in the caller (tests, `weir check`) */
void pool_free(struct pool **pool);        /* runs what is queued, then joins */
void pool_submit(struct pool *pool, struct job *job);
unsigned pool_threads(const struct pool *pool);

/* struct par is what a stage gets: the pool behind a narrow door. */
struct par;
struct par *pool_par(struct pool *pool);
/* fn(ctx, worker, begin, end): worker is 0..par_width()-1, unique among the threads that are in this
 * par_map at one time, for per-thread scratch (two par_maps at one time need two sets of scratch).
 * Chunk i is [i * chunk, (i + 1) * chunk), cut at n. par NULL runs in the caller. */
typedef void par_fn(void *ctx, unsigned worker, size_t begin, size_t end);
void par_map(struct par *par, size_t n, size_t chunk, par_fn *fn, void *ctx);
unsigned par_width(const struct par *par);

#endif
