/* loop: one thread, one libev loop, and a way in for other threads.
 *
 * WHAT   Wraps an ev_loop so that its thread is an RCU reader: online while callbacks run, offline around the poll
 *        (ev_set_loop_release_cb), so a sleeping loop never delays a writer. Tasks posted from other threads run
 *        on the loop's thread, in order.
 * WHO    loop_post, loop_stop: any thread. The rest: the loop's own thread (or before it runs, or after).
 * OWNS   A task is embedded in the caller's object and must live until it has run; it may free itself then.
 */
#ifndef WEIR_NET_LOOP_H
#define WEIR_NET_LOOP_H

#include <ev.h>

struct loop;
struct task {
    void (*run)(struct task *task);
    struct task *next;
};
struct loop *loop_new(const char *name);           /* the name shows in top -H, unless it is the main thread's */
void loop_free(struct loop **loop);                /* tasks still posted are run first, here */
struct ev_loop *loop_ev(struct loop *loop);
/* Returns after loop_stop (also one that came before), and may then run again. Registers with rcu, unless
 * the thread is registered already. What was posted before loop_stop has run, or runs in loop_free. */
void loop_run(struct loop *loop);
void loop_start(struct loop *loop);                /* loop_run on a thread of its own, all signals blocked */
void loop_join(struct loop *loop);                 /* waits for loop_start's thread */
void loop_stop(struct loop *loop);
void loop_post(struct loop *loop, struct task *task);

#endif
