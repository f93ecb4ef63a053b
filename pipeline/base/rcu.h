/* rcu: how a query reads what another thread replaces.
 *
 * WHAT   The one place that knows liburcu (flavour qsbr). A reader thread registers, goes offline
 *        around its poll, and between two polls reads published pointers freely. A writer replaces a
 *        pointer and hands the old object to rcu_defer(); it never waits for readers.
 *
 *          reader:  rcu_thread_start();  loop { rcu_offline(); poll; rcu_online(); p = rcu_read(&ptr); … }
 *          writer:  old = rcu_swap(&ptr, new);  rcu_defer(&old->rcu, old_free);
 *
 * WHO    A registered thread is a reader while online; it starts online, and offline and online alternate.
 *        What it read stops being safe at the next rcu_offline(). rcu_defer: any registered thread, online
 *        or not. Deferred functions run on a thread of their own, one after another; they are online
 *        there and may defer again. Stop every started thread before it ends.
 * OWNS   The item, and what it is embedded in, belongs to rcu from rcu_defer() until fn is called with it.
 * FAILS  Never; a call from a thread that never registered, or in the wrong state, is a bug (ASSERT).
 * COST   Two memory barriers an offline/online pair; nothing a read. rcu_defer is O(1) and never waits.
 */
#ifndef WEIR_BASE_RCU_H
#define WEIR_BASE_RCU_H

#include <stdatomic.h>

struct rcu_item {                       /* embed in what is deferred */
    _Alignas(8) unsigned char room[32]; /* a struct rcu_head and a function pointer; checked in rcu.c */
};

void rcu_thread_start(void);
void rcu_thread_stop(void);
void rcu_offline(void);
void rcu_online(void);
void rcu_defer(struct rcu_item *item, void (*fn)(struct rcu_item *item));
/* Waits for every deferred call so far, and for what those defer: shutdown and tests only. An online
 * caller's own read section ends. Not from a deferred function. */
void rcu_barrier_all(void);

enum rcu_state { RCU_OUTSIDE, RCU_OFFLINE, RCU_ONLINE };
enum rcu_state rcu_thread_state(void);  /* of the calling thread; for ASSERTs */

#define rcu_read(ptr)       atomic_load_explicit((ptr), memory_order_acquire)
#define rcu_swap(ptr, next) atomic_exchange_explicit((ptr), (next), memory_order_acq_rel)

#endif
