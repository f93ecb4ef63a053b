/* Rounds of questions to the servers of a group.
 *
 * Between rounds a group costs a timer. A round opens all its servers, and ends when the last of them is settled. What it came to is
 * told once, whole: what is said of it is true of one moment, not of an hour.
 *
 * The next round comes after the interval, 10 % left to chance. When a server failed it comes earlier, after retry_ms, doubled each
 * time up to the interval; all are asked again then, since what the others said is old by that time. */
#include "pipeline/net/question.h"

#include "pipeline/base/alloc.h"

#include <stdlib.h>
#include <string.h>

enum { DOUBLINGS_MAX = 20 };

static void round_start(struct rounds *r);

/* ---- when */

static double chance(double s)
{
    return s * (0.9 + 0.2 * (double)arc4random() / 4294967295.0);
}

static void due_arm(struct rounds *r)
{
    struct ev_loop *ev = r->asker->ev;
    double wait = r->interval_s;
    if (r->failures) {
        double retry = r->asker->tuning.retry_ms / 1e3;
        for (unsigned i = 1; i < r->failures && i < DOUBLINGS_MAX && retry < wait; i++)
            retry *= 2;
        wait = retry < wait ? retry : wait;
    }
    ev_timer_stop(ev, &r->due);
    if (!r->on)
        return;
    ev_now_update(ev);
    ev_timer_set(&r->due, chance(wait), 0);
    ev_timer_start(ev, &r->due);
}

static void on_due(struct ev_loop *ev, ev_timer *w, int events)
{
    (void)ev;
    (void)events;
    round_start(w->data);
}

/* ---- rounds */

static void round_end(struct rounds *r)
{
    bool failed = false;
    for (unsigned i = 0; i < r->n; i++)
        failed |= r->server[i].failures > 0;
    r->failures = failed ? r->failures + 1 : 0;
    r->running = false;
    due_arm(r);
    r->ops->ended(r);
    if (r->again && !r->running)
        round_start(r);
}

/* A server has said all, or is given up. */
static void asked_settle(struct asked *s, const struct why *why)
{
    struct rounds *r = s->of;
    ASSERT(s->open && r->open > 0);
    s->failures = why ? s->failures + 1 : 0;
    r->ops->settled(r, (unsigned)(s - r->server), why);
    s->open = false;
    if (--r->open == 0)
        round_end(r);
}

/* Who waits for a server that gives no sign of life is not asked one by one. A round that begins meanwhile waits anew. */
static void silence_spread(struct asker_peer *peer, const struct why *why)
{
    struct xfrin_link waiting, *l;
    struct why said;
    link_init(&waiting);
    for (int i = 0; i < PATIENCES; i++)
        while ((l = peer->waiting[i].next) != &peer->waiting[i]) {
            link_remove(l);
            link_append(&waiting, l);
        }
    (void)why_set(&said, 0, "%s (seen when it was asked for another zone)", why->text);
    while ((l = waiting.next) != &waiting) {
        link_remove(l);
        asked_settle((struct asked *)(void *)l, &said);
    }
}

static bool asked_next(struct asked *s)
{
    return s->of->ops->next(s->of, (unsigned)(s - s->of->server), &s->question);
}

void asked_turn(struct asked *s)
{
    bool first = asked_next(s);
    ASSERT(first);
    query_start(s);
}

int asked_take(struct asked *s, struct msg_reader *answer, struct why *why)
{
    return s->of->ops->take(s->of, (unsigned)(s - s->of->server), answer, why);
}

void asked_end(struct asked *s, bool silent, const struct why *why)
{
    struct asker *a = s->of->asker;
    struct asker_peer *peer = s->peer;
    if (!why && asked_next(s)) {
        query_start(s);
        return;
    }
    peer->refs++; /* its last zone may go while the silence is spread */
    asked_leave(s, silent);
    asked_settle(s, why);
    if (silent)
        silence_spread(peer, why);
    asker_peer_unref(&peer);
    asker_run(a);
}

static void round_start(struct rounds *r)
{
    bool nested = r->asker->scheduling;
    ASSERT(!r->running && r->n);
    ev_timer_stop(r->asker->ev, &r->due);
    r->again = false;
    r->running = true;
    r->open = r->n;
    r->ops->begun(r);
    r->asker->scheduling = true; /* a question may end at once: not before all are open */
    for (unsigned i = 0; i < r->n; i++) {
        r->server[i].open = true;
        asked_wait(&r->server[i]);
    }
    r->asker->scheduling = nested;
    asker_run(r->asker);
}

void rounds_ask(struct rounds *r)
{
    if (r->running || !r->n)
        r->again = r->n > 0;
    else
        round_start(r);
}

/* ---- groups */

/* Drops what is going on, without a word. */
static void round_cut(struct rounds *r)
{
    ev_timer_stop(r->asker->ev, &r->due);
    r->again = false;
    if (!r->running)
        return;
    for (unsigned i = 0; i < r->n; i++) {
        struct asked *s = &r->server[i];
        if (s->query) {
            query_stop(s);
            asked_leave(s, s->peer->silent);
        }
        link_remove(&s->queue);
        s->open = false;
    }
    r->open = 0;
    r->running = false;
    r->ops->cut(r);
}

void rounds_clear(struct rounds *r)
{
    round_cut(r);
    for (unsigned i = 0; i < r->n; i++) {
        struct asked *s = &r->server[i];
        mem_free(&s->name);
        tsig_key_unref(s->key);
        asker_peer_unref(&s->peer);
    }
    mem_free(&r->server);
    r->n = 0;
    r->failures = 0;
}

static bool servers_same(const struct rounds *r, size_t n, const struct remote_conf *const *server)
{
    if (r->n != n)
        return false;
    for (unsigned i = 0; i < n; i++) {
        const struct asked *s = &r->server[i];
        const struct remote_conf *remote = server[i];
        if (strcmp(s->name, remote->name) != 0 ||
            !address_equal(&s->peer->address, &remote->address) ||
            !address_equal(&s->peer->source, &remote->source) ||
            !tsig_key_equal(s->key, remote->key))
            return false;
    }
    return true;
}

bool rounds_set(struct rounds *r, size_t n, const struct remote_conf *const *server)
{
    if (servers_same(r, n, server))
        return false;
    rounds_clear(r);
    r->server = mem_array(n, sizeof r->server[0]);
    r->n = (unsigned)n;
    for (unsigned i = 0; i < r->n; i++) {
        const struct remote_conf *remote = server[i];
        struct asked *s = &r->server[i];
        link_init(&s->queue);
        s->of = r;
        s->name = mem_strdup(remote->name);
        s->key = remote->key ? tsig_key_ref(remote->key) : NULL;
        s->peer = asker_peer_ref(r->asker, remote);
    }
    return true;
}

void rounds_pace(struct rounds *r, bool on, bool hurry, double interval_s)
{
    bool sooner = interval_s < r->interval_s;
    bool hurries = hurry && !r->hurry;
    r->on = on;
    r->hurry = hurry;
    r->interval_s = interval_s;
    for (unsigned i = 0; hurries && i < r->n; i++)
        if (!link_alone(&r->server[i].queue)) { /* to the others that are in a hurry */
            link_remove(&r->server[i].queue);
            asked_wait(&r->server[i]);
        }
    if (!on)
        ev_timer_stop(r->asker->ev, &r->due);
    else if (sooner && ev_is_active(&r->due))
        due_arm(r);
}

void rounds_init(struct rounds *r, struct asker *a, struct zone *zone, const struct rounds_ops *ops,
                 void *owner)
{
    r->asker = a;
    r->zone = zone;
    r->ops = ops;
    r->owner = owner;
    ev_timer_init(&r->due, on_due, 0, 0);
    r->due.data = r;
}
