/* One timer a zone that has keys. It counts seconds, not the time of day: so do the keys.
 */
#include "pipeline/net/keytimer.h"

#include "pipeline/run/zone_keys.h"

struct keytimer {
    ev_timer timer;
    struct zone *zone; /* no reference: the zone goes first to keytimer_drop */
};

static void on_due(struct ev_loop *ev, ev_timer *w, int events)
{
    (void)ev;
    (void)events;
    struct keytimer *k = w->data;
    zone_keys_turn(k->zone, false);
}

void keytimer_look(struct server *s, struct zone *z)
{
    struct ev_loop *ev = loop_ev(s->control_loop);
    struct zone_keys_need need;
    struct keytimer *k = z->net_keys;
    if (!zone_keys_need(z, &need))
        return;
    if (!k) {
        z->net_keys = k = mem_zalloc(sizeof *k);
        k->zone = z;
        k->timer.data = k;
        ev_timer_init(&k->timer, on_due, 0, 0);
    }
    ev_timer_stop(ev, &k->timer);
    if (!need.wake_in)
        return;
    ev_now_update(ev);
    ev_timer_set(&k->timer, (double)need.wake_in, 0);
    ev_timer_start(ev, &k->timer);
}

void keytimer_drop(struct server *s, struct zone *z)
{
    struct keytimer *k = z->net_keys;
    if (!k)
        return;
    ev_timer_stop(loop_ev(s->control_loop), &k->timer);
    z->net_keys = NULL;
    mem_free(&k);
}

void keytimer_drop_all(struct server *s)
{
    size_t n;
    struct zone **list = zone_table_list(s->zones, &n);
    for (size_t i = 0; i < n; i++) {
        keytimer_drop(s, list[i]);
        zone_unref(list[i]);
    }
    mem_free(&list);
}
