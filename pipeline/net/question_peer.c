/* Who waits for an address, and how many are asked at once.
 *
 * An address has a queue, in which those in a hurry (a key waits for the answer) go before the rest, but for every fourth turn. Of it
 * no more than at_once have their turn, and no more than all_at_once of all. Addresses take turns, so one that is slow, or has ten
 * thousand zones, does not keep the others waiting for more than a turn.
 *
 * A server that is down would hold each question for twenty seconds, and ten thousand zones for a day. So when a question ends without
 * a sign of life, those that wait end with it, and until something comes from there only one has its turn at a time.
 *
 * asker_run starts what may start. Starting can fail on the spot and come back here: that finds `scheduling` set and leaves the rest
 * to the loop that is running. */
#include "pipeline/net/question.h"

#include "pipeline/base/alloc.h"

enum { PATIENT_EVERY = 4 };

#define OF(type, member, link) ((type *)(void *)((char *)(link)-offsetof(type, member)))

void asker_init(struct asker *a, struct server *server, unsigned all_at_once, unsigned at_once)
{
    a->server = server;
    a->ev = loop_ev(server->control_loop);
    a->tuning = (struct asker_tuning){
        .tries = 3,
        .timeout_ms = 1500,
        .tcp_ms = 10000,
        .all_at_once = all_at_once,
        .at_once = at_once,
        .retry_ms = 60000,
    };
    msg_writer_init(&a->writer);
    link_init(&a->peers);
}

struct asker_peer *asker_peer_ref(struct asker *a, const struct remote_conf *remote)
{
    struct asker_peer *peer;
    for (struct xfrin_link *l = a->peers.next; l != &a->peers; l = l->next) {
        peer = OF(struct asker_peer, link, l);
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
    link_init(&peer->waiting[HURRIED]);
    link_init(&peer->waiting[PATIENT]);
    link_append(&a->peers, &peer->link);
    return peer;
}

static bool nobody_waits(const struct asker_peer *peer)
{
    return link_alone(&peer->waiting[HURRIED]) && link_alone(&peer->waiting[PATIENT]);
}

static struct asked *peer_take(struct asker_peer *peer)
{
    bool patient = link_alone(&peer->waiting[HURRIED]) ||
                   (++peer->turns % PATIENT_EVERY == 0 && !link_alone(&peer->waiting[PATIENT]));
    struct asked *s = OF(struct asked, queue, peer->waiting[patient ? PATIENT : HURRIED].next);
    link_remove(&s->queue);
    return s;
}

void asker_peer_unref(struct asker_peer **peer)
{
    struct asker_peer *p = *peer;
    *peer = NULL;
    if (--p->refs)
        return;
    ASSERT(p->asking == 0 && nobody_waits(p));
    link_remove(&p->link);
    mem_free(&p);
}

static bool peer_may(const struct asker *a, const struct asker_peer *peer)
{
    return !nobody_waits(peer) && peer->asking < (peer->silent ? 1 : a->tuning.at_once);
}

static struct asker_peer *peer_next(struct asker *a)
{
    for (struct xfrin_link *l = a->peers.next; l != &a->peers; l = l->next)
        if (peer_may(a, OF(struct asker_peer, link, l)))
            return OF(struct asker_peer, link, l);
    return NULL;
}

void asker_run(struct asker *a)
{
    struct asker_peer *peer;
    if (a->scheduling)
        return;
    a->scheduling = true;
    while (a->asking < a->tuning.all_at_once && (peer = peer_next(a))) {
        struct asked *s = peer_take(peer);
        link_remove(&peer->link);
        link_append(&a->peers, &peer->link);
        a->asking++;
        peer->asking++;
        asked_turn(s);
    }
    a->scheduling = false;
}

void asked_wait(struct asked *s)
{
    link_append(&s->peer->waiting[s->of->hurry ? HURRIED : PATIENT], &s->queue);
    asker_run(s->of->asker);
}

void asked_leave(struct asked *s, bool silent)
{
    struct asker *a = s->of->asker;
    ASSERT(a->asking > 0 && s->peer->asking > 0);
    a->asking--;
    s->peer->asking--;
    s->peer->silent = silent;
}
