/* Who waits, and how many go on at once.
 *
 *   checks:    two queues, NOTIFYed zones before the others. A check is a socket, so their number is
 *              bounded; a part of it is kept free of zones that were not NOTIFYed, so that ten
 *              thousand zones whose primary is dead do not delay the one that has news.
 *   transfers: two queues a peer, bounded in all and a peer. Peers take turns, so one with many zones
 *              (or slow ones) does not starve the rest; all NOTIFYed zones go first. Of eight slots or more one in four is kept
 *              free for them, in all and at each peer, since a large zone may hold its slot for minutes.
 *
 * schedule_run starts what may start. Starting can fail on the spot and come back here with the next
 * primary: that finds `scheduling` set, only queues, and is taken up by the loop that is running. */
#include "pipeline/net/xfrin_p.h"

#include "pipeline/base/alloc.h"

#include <string.h>

#define OF(type, member, link) ((type *)(void *)((char *)(link)-offsetof(type, member)))

struct xfrin_peer *peer_ref(struct xfrin *x, const struct address *address)
{
    struct xfrin_peer *peer;
    for (struct xfrin_link *l = x->peers.next; l != &x->peers; l = l->next) {
        peer = OF(struct xfrin_peer, link, l);
        if (address_equal(&peer->address, address)) {
            peer->refs++;
            return peer;
        }
    }
    peer = mem_zalloc(sizeof *peer);
    peer->address = *address;
    peer->refs = 1;
    for (int i = 0; i < PRIORITIES; i++)
        link_init(&peer->waiting[i]);
    link_append(&x->peers, &peer->link);
    return peer;
}

void peer_unref(struct xfrin_peer **peer)
{
    struct xfrin_peer *p = *peer;
    *peer = NULL;
    if (!p || --p->refs)
        return;
    ASSERT(p->transfers == 0);
    link_remove(&p->link);
    mem_free(&p);
}

static struct xfrin_link *zone_queue(struct xfrin_zone *xz)
{
    int priority = xz->round.notified ? PRIORITY_NOTIFIED : PRIORITY_STALE;
    return xz->state == XFRIN_CHECK_WAIT ? &xz->x->check_waiting[priority]
                                         : &round_primary(xz)->peer->waiting[priority];
}

void schedule_check(struct xfrin_zone *xz)
{
    xz->state = XFRIN_CHECK_WAIT;
    link_append(zone_queue(xz), &xz->queue);
    schedule_run(xz->x);
}

void schedule_transfer(struct xfrin_zone *xz)
{
    xz->state = XFRIN_TRANSFER_WAIT;
    link_append(zone_queue(xz), &xz->queue);
    schedule_run(xz->x);
}

void schedule_raise(struct xfrin_zone *xz)
{
    if (xz->round.notified)
        return;
    xz->round.notified = true;
    if (xz->state != XFRIN_CHECK_WAIT && xz->state != XFRIN_TRANSFER_WAIT)
        return;
    link_remove(&xz->queue);
    link_append(zone_queue(xz), &xz->queue);
}

void schedule_leave(struct xfrin_zone *xz)
{
    link_remove(&xz->queue);
    if (xz->state == XFRIN_CHECK) {
        ASSERT(xz->x->checks > 0);
        xz->x->checks--;
    } else if (xz->state == XFRIN_TRANSFER) {
        struct xfrin_peer *peer = round_primary(xz)->peer;
        ASSERT(xz->x->transfers > 0 && peer->transfers > 0);
        xz->x->transfers--;
        peer->transfers--;
    }
    xz->state = XFRIN_IDLE;
}

static struct xfrin_zone *queue_take(struct xfrin_link *queue)
{
    struct xfrin_link *l = queue->next;
    link_remove(l);
    return OF(struct xfrin_zone, queue, l);
}

static bool checks_run(struct xfrin *x)
{
    const unsigned most[PRIORITIES] = {x->tuning.checks_max, x->tuning.checks_stale_max};
    bool any = false;
    for (int i = 0; i < PRIORITIES; i++)
        while (!link_alone(&x->check_waiting[i]) && x->checks < most[i]) {
            struct xfrin_zone *xz = queue_take(&x->check_waiting[i]);
            xz->state = XFRIN_CHECK;
            x->checks++;
            check_start(xz);
            any = true;
        }
    return any;
}

static struct xfrin_peer *peer_next(struct xfrin *x, int priority, unsigned most)
{
    for (struct xfrin_link *l = x->peers.next; l != &x->peers; l = l->next) {
        struct xfrin_peer *peer = OF(struct xfrin_peer, link, l);
        if (!link_alone(&peer->waiting[priority]) && peer->transfers < most)
            return peer;
    }
    return NULL;
}

static unsigned without_reserve(int priority, unsigned most)
{
    return priority == PRIORITY_NOTIFIED || most < 8 ? most : most - most / 4;
}

static bool transfers_run(struct xfrin *x)
{
    const struct server_conf *conf = &rcu_read(&x->server->config)->server;
    unsigned most = (unsigned)conf->transfers_in,
             most_peer = (unsigned)conf->transfers_in_per_primary;
    bool any = false;
    struct xfrin_peer *peer;
    for (int i = 0; i < PRIORITIES; i++)
        while (x->transfers < without_reserve(i, most) &&
               (peer = peer_next(x, i, without_reserve(i, most_peer)))) {
            struct xfrin_zone *xz = queue_take(&peer->waiting[i]);
            link_remove(&peer->link);
            link_append(&x->peers, &peer->link);
            xz->state = XFRIN_TRANSFER;
            x->transfers++;
            peer->transfers++;
            axfr_start(xz);
            any = true;
        }
    return any;
}

void schedule_run(struct xfrin *x)
{
    if (x->scheduling)
        return;
    x->scheduling = true;
    bool any;
    do {
        any = checks_run(x);
        any |= transfers_run(x);
    } while (any);
    x->scheduling = false;
}
