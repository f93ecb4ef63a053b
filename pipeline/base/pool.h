/* pool: worker threads for chains and signatures.
 *
 * WHAT   A job queue with a fixed number of threads, and par_map(): the caller and the idle workers
 *        share the indices 0..n-1 in chunks; it returns when all are done. Nested par_map is allowed
 *        (the caller always works itself, so it cannot deadlock).
 * WHO    pool_submit, par_map: any thread. Jobs run on a worker registered with rcu (offline).
 * OWNS   A job is embedded in the caller's object and must live until its function has begun.
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
/* fn(ctx, worker, begin, end): worker is 0..par_width()-1, unique among the threads in it at one time,
 * for per-thread scratch. Chunks are at most `chunk` wide; par NULL runs in the caller. */
typedef void par_fn(void *ctx, unsigned worker, size_t begin, size_t end);
void par_map(struct par *par, size_t n, size_t chunk, par_fn *fn, void *ctx);
unsigned par_width(const struct par *par);

#endif
