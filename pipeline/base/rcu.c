/* RCU over liburcu's qsbr flavour; nothing else in weir includes liburcu.
 *
 * A thread is outside (never registered), offline or online. liburcu would take a call from an
 * outside thread, or a second offline, and break silently or much later; so each thread keeps its
 * own state here and every function ASSERTs what it needs.
 *
 * A deferred item is liburcu's head and our function, laid into the room of struct rcu_item.
 * liburcu's call_rcu thread waits for a grace period and calls item_run(), one item after another.
 * That thread registered itself with liburcu; item_run() tells our state so, and deferred functions
 * may defer again: a version drops its zone, which drops more.
 *
 * ThreadSanitizer sees the loads and stores of instrumented code only. Debian's liburcu is not, so
 * TSan takes a reader's last look at an object and the free() after the grace period for a race.
 * Under TSan one counter carries the order that liburcu guarantees: whoever ends a read section or
 * defers adds to it (release), item_run() reads it (acquire). Only real uses after a read section
 * are left to report. */
#include "pipeline/base/rcu.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <urcu/urcu-qsbr.h>

#include "pipeline/base/assert.h"

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define RCU_SHOWS_ORDER 1
#endif
#endif
#if defined(__SANITIZE_THREAD__) || defined(RCU_SHOWS_ORDER)
static _Atomic uint64_t order;
#define order_give() ((void)atomic_fetch_add_explicit(&order, 1, memory_order_release))
#define order_take() ((void)atomic_load_explicit(&order, memory_order_acquire))
#else
#define order_give() ((void)0)
#define order_take() ((void)0)
#endif

struct deferred {
    struct rcu_head head;
    void (*fn)(struct rcu_item *item);
} __attribute__((may_alias)); /* lies in rcu_item.room */

_Static_assert(sizeof(struct deferred) <= sizeof(struct rcu_item), "rcu_item has too little room");
_Static_assert(_Alignof(struct deferred) <= _Alignof(struct rcu_item), "rcu_item is badly aligned");
_Static_assert(offsetof(struct deferred, head) == 0, "item_run casts the head to the item");

static _Thread_local enum rcu_state state; /* RCU_OUTSIDE is 0 */
static _Thread_local bool runs_deferred;   /* liburcu's call_rcu thread */

static _Atomic uint64_t deferred_again; /* items deferred by deferred functions */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t stop_forgotten;

/* liburcu keeps the reader's record in thread-local memory: ending a registered thread corrupts it.
 */
static void thread_ended(void *started)
{
    (void)started;
    ASSERT(state == RCU_OUTSIDE);
}

static void start_once(void)
{
    ASSERT(pthread_key_create(&stop_forgotten, thread_ended) == 0);
}

enum rcu_state rcu_thread_state(void)
{
    return state;
}

void rcu_thread_start(void)
{
    ASSERT(state == RCU_OUTSIDE);
    pthread_once(&once, start_once);
    pthread_setspecific(stop_forgotten, &stop_forgotten);
    urcu_qsbr_register_thread();
    state = RCU_ONLINE;
}

void rcu_thread_stop(void)
{
    ASSERT(state != RCU_OUTSIDE && !runs_deferred);
    order_give();
    urcu_qsbr_unregister_thread();
    pthread_setspecific(stop_forgotten, NULL);
    state = RCU_OUTSIDE;
}

void rcu_offline(void)
{
    ASSERT(state == RCU_ONLINE);
    order_give();
    urcu_qsbr_thread_offline();
    state = RCU_OFFLINE;
}

void rcu_online(void)
{
    ASSERT(state == RCU_OFFLINE);
    urcu_qsbr_thread_online();
    state = RCU_ONLINE;
}

/* The thread that runs deferred functions inherits the signal mask of whoever defers first; the
 * process's signals are for the loops. */
static void deferred_thread_create(void)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    struct call_rcu_data *data = urcu_qsbr_get_default_call_rcu_data();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_setname_np(urcu_qsbr_get_call_rcu_thread(data), "weir-rcu");
}

static void item_run(struct rcu_head *head)
{
    struct deferred *deferred = (struct deferred *)head;
    order_take();
    state = RCU_ONLINE; /* liburcu registered this thread */
    runs_deferred = true;
    deferred->fn((struct rcu_item *)deferred); /* may free the item */
    ASSERT(state == RCU_ONLINE);
}

void rcu_defer(struct rcu_item *item, void (*fn)(struct rcu_item *item))
{
    static pthread_once_t created = PTHREAD_ONCE_INIT;
    ASSERT(state != RCU_OUTSIDE && fn);
    pthread_once(&created, deferred_thread_create);
    struct deferred *deferred = (struct deferred *)item;
    deferred->fn = fn;
    order_give();
    /* liburcu finds its queue inside a read section of its own, which an offline thread cannot
     * have. */
    bool offline = state == RCU_OFFLINE;
    if (offline)
        urcu_qsbr_thread_online();
    urcu_qsbr_call_rcu(&deferred->head, item_run);
    if (offline)
        urcu_qsbr_thread_offline();
    if (runs_deferred)
        atomic_fetch_add(&deferred_again, 1);
}

struct barrier {
    struct rcu_item rcu;
    sem_t reached;
};

static void barrier_reach(struct rcu_item *item)
{
    struct barrier *barrier = (struct barrier *)item;
    sem_post(&barrier->reached);
}

/* Items run in the order in which they were deferred, on one thread, so one more item is a barrier
 * for all before it. What those defer in turn was counted by the time it runs; then it takes
 * another. */
void rcu_barrier_all(void)
{
    ASSERT(state != RCU_OUTSIDE && !runs_deferred);
    bool online = state == RCU_ONLINE;
    if (online)
        rcu_offline();
    struct barrier barrier;
    sem_init(&barrier.reached, 0, 0);
    uint64_t seen;
    do {
        seen = atomic_load(&deferred_again);
        rcu_defer(&barrier.rcu, barrier_reach);
        while (sem_wait(&barrier.reached) != 0)
            ; /* EINTR */
    } while (atomic_load(&deferred_again) != seen);
    sem_destroy(&barrier.reached);
    if (online)
        rcu_online();
}
