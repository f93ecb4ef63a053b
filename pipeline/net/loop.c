/* A loop is a libev loop, a queue of tasks, and the habit of going offline while it sleeps.
 *
 *   loop_post ──▶ tasks (newest first) ──ev_async──▶ loop's thread: take all, turn round, run
 *
 * Tasks are pushed with one compare-and-swap; the loop takes the whole list with one exchange, so
 * nothing is ever popped from a list that others push to, and no ABA question arises. The order of
 * one poster's tasks is kept, since the list is turned round before it is run.
 *
 * A wake-up cannot be lost: a task is pushed before ev_async_send(), and the loop takes the list
 * after libev has cleared the watcher's `sent` mark. libev merges wake-ups, which is what we want.
 *
 * libev calls release before its poll and acquire after it: there the thread goes offline and
 * online, so a writer's grace period never waits for a sleeping loop, and whatever a callback read
 * through RCU is good until that callback returns, and no longer. */
#include "pipeline/net/loop.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include "pipeline/base/alloc.h"
#include "pipeline/base/assert.h"
#include "pipeline/base/rcu.h"

enum { THREAD_NAME_MAX = 16 }; /* the kernel's */

struct loop {
    struct ev_loop *ev;
    ev_async wake;
    struct task *_Atomic tasks; /* newest first */
    _Atomic bool stop;
    bool started; /* loop_start's thread is there to be joined */
    pthread_t thread;
    char name[THREAD_NAME_MAX];
};

static void tasks_run(struct loop *loop)
{
    struct task *newest = atomic_exchange_explicit(&loop->tasks, NULL, memory_order_acquire);
    struct task *oldest = NULL;
    while (newest) {
        struct task *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        struct task *task = oldest;
        oldest = task->next; /* running it may free it */
        task->run(task);
    }
}

static void woken(struct ev_loop *ev, ev_async *wake, int events)
{
    (void)events;
    struct loop *loop = wake->data;
    tasks_run(loop);
    if (atomic_load_explicit(&loop->stop, memory_order_acquire))
        ev_break(ev, EVBREAK_ALL);
}

static void before_poll(struct ev_loop *ev) EV_NOEXCEPT
{
    (void)ev;
    rcu_offline();
}

static void after_poll(struct ev_loop *ev) EV_NOEXCEPT
{
    (void)ev;
    rcu_online();
}

struct loop *loop_new(const char *name)
{
    struct loop *loop = mem_zalloc(sizeof *loop);
    snprintf(loop->name, sizeof loop->name, "%s", name);
    loop->ev = ev_loop_new(EVFLAG_AUTO);
    ASSERT(loop->ev); /* no epoll and no descriptor for one: nothing can run */
    ev_set_loop_release_cb(loop->ev, before_poll, after_poll);
    ev_async_init(&loop->wake, woken);
    loop->wake.data = loop;
    ev_async_start(loop->ev, &loop->wake);
    return loop;
}

void loop_free(struct loop **loop)
{
    struct loop *l = *loop;
    if (!l)
        return;
    ASSERT(!l->started);
    while (atomic_load_explicit(&l->tasks, memory_order_relaxed))
        tasks_run(l);
    ev_async_stop(l->ev, &l->wake);
    ev_loop_destroy(l->ev);
    mem_free(loop);
}

struct ev_loop *loop_ev(struct loop *loop)
{
    return loop->ev;
}

/* The main thread is registered already when it comes here: it made the zone table. */
void loop_run(struct loop *loop)
{
    enum rcu_state before = rcu_thread_state();
    if (before == RCU_OUTSIDE)
        rcu_thread_start();
    else if (before == RCU_OFFLINE)
        rcu_online();
    if (!atomic_load_explicit(&loop->stop, memory_order_acquire))
        ev_run(loop->ev, 0);
    atomic_store_explicit(&loop->stop, false, memory_order_relaxed);
    if (before == RCU_OUTSIDE)
        rcu_thread_stop();
    else if (before == RCU_OFFLINE)
        rcu_offline();
}

static void *loop_thread(void *arg)
{
    loop_run(arg);
    return NULL;
}

/* Signals belong to the main thread: one that a query thread took would be lost on libev's way of
 * delivering it to the control loop. A thread inherits the mask of its maker. */
void loop_start(struct loop *loop)
{
    ASSERT(!loop->started);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&loop->thread, NULL, loop_thread, loop);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    ASSERT(error == 0);
    pthread_setname_np(loop->thread, loop->name);
    loop->started = true;
}

void loop_join(struct loop *loop)
{
    if (!loop->started)
        return;
    pthread_join(loop->thread, NULL);
    loop->started = false;
}

void loop_stop(struct loop *loop)
{
    atomic_store_explicit(&loop->stop, true, memory_order_release);
    ev_async_send(loop->ev, &loop->wake);
}

void loop_post(struct loop *loop, struct task *task)
{
    struct task *head = atomic_load_explicit(&loop->tasks, memory_order_relaxed);
    do {
        task->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&loop->tasks, &head, task, memory_order_release,
                                                    memory_order_relaxed));
    ev_async_send(loop->ev, &loop->wake);
}
