/* Who waits for an address, and how many questions go on at once.
 *
 * An address has a queue. Of it no more than at_once questions are out, and no more than questions_max of all. Addresses take turns,
 * so one that is slow, or has ten thousand zones, does not keep the others waiting for more than a question.
 *
 * A server that is down would hold each question for twenty seconds, and ten thousand zones for a day. So when a question ends without
 * a sign of life, those that wait end with it, and until something comes from there only one is out at a time.
 *
 * peers_run starts what may start. Starting can fail on the spot and come back here: that finds `scheduling` set and leaves the rest
 * to the loop that is running. */
#include "pipeline/net/parent_p.h"

#include "pipeline/base/alloc.h"

#define OF(type, member, link) ((type *)(void *)((char *)(link)-offsetof(type, member)))

struct parent_peer *parent_peer_ref(struct parent *p, const struct remote_conf *remote)
{
    struct parent_peer *peer;
    for (struct xfrin_link *l = p->peers.next; l != &p->peers; l = l->next) {
        peer = OF(struct parent_peer, link, l);
        if (address_equal(&peer->address, &remote->address) &&
            address_equal(&peer->source, &remote->source)) {
            peer->refs++;
            return peer;
        }
    }
    peer = mem_zalloc(sizeof *peer);
    peer->address = remote->address;
    peer->source = remote->source;
    peer->refs = 1;
    link_init(&peer->waiting);
    link_append(&p->peers, &peer->link);
    return peer;
}

void parent_peer_unref(struct parent_peer **peer)
{
    struct parent_peer *p = *peer;
    *peer = NULL;
    if (--p->refs)
        return;
    ASSERT(p->questions == 0 && link_alone(&p->waiting));
    link_remove(&p->link);
    mem_free(&p);
}

static bool peer_may(const struct parent *p, const struct parent_peer *peer)
{
    return !link_alone(&peer->waiting) && peer->questions < (peer->silent ? 1 : p->tuning.at_once);
}

static struct parent_peer *peer_next(struct parent *p)
{
    for (struct xfrin_link *l = p->peers.next; l != &p->peers; l = l->next)
        if (peer_may(p, OF(struct parent_peer, link, l)))
            return OF(struct parent_peer, link, l);
    return NULL;
}

void peers_run(struct parent *p)
{
    struct parent_peer *peer;
    if (p->scheduling)
        return;
    p->scheduling = true;
    while (p->questions < p->tuning.questions_max && (peer = peer_next(p))) {
        struct parent_question *q = OF(struct parent_question, queue, peer->waiting.next);
        link_remove(&q->queue);
        link_remove(&peer->link);
        link_append(&p->peers, &peer->link);
        p->questions++;
        peer->questions++;
        query_start(q);
    }
    p->scheduling = false;
}

void peer_wait(struct parent_question *q)
{
    link_append(&q->peer->waiting, &q->queue);
    peers_run(q->pz->p);
}

void peer_leave(struct parent_question *q, bool silent)
{
    struct parent *p = q->pz->p;
    ASSERT(p->questions > 0 && q->peer->questions > 0);
    p->questions--;
    q->peer->questions--;
    q->peer->silent = silent;
}
