/* parent: rounds of questions.
 *
 * A zone is known here from the first time that parent_watch names servers for it. Between rounds it costs a timer and its last view.
 * A round opens all questions, and ends when the last of them has ended. What it came to is told once, whole: a view never mixes
 * answers of two rounds, so "all agree" is true of one moment, not of an hour.
 *
 * The next round comes after check_s, 10 % left to chance. When a server did not answer it comes earlier, after retry_ms, doubled each
 * time up to check_s; all are asked again then, since what the others said is old by that time. */
#include "pipeline/net/parent_p.h"

#include "pipeline/base/alloc.h"
#include "pipeline/base/log.h"

#include <stdlib.h>
#include <string.h>

enum { DOUBLINGS_MAX = 20 };

static void round_start(struct parent_zone *pz);

/* ---- the log */

static void report_server(const struct parent_question *q, const struct parent_server *row)
{
    char where[ADDRESS_TEXT_MAX];
    if (q->failures & (q->failures - 1))
        return;
    log_warn("parent server did not tell the zone's DS", LOG_KV("zone", LOG_S(q->pz->zone->text)),
             LOG_KV("server", LOG_S(q->name)),
             LOG_KV("address", LOG_S(address_print(&row->address, where))),
             LOG_KV("why", LOG_S(row->error)), LOG_KV("failures_in_a_row", LOG_U(q->failures)));
}

static void report_view(const struct parent_zone *pz)
{
    char *text = parent_view_text(pz->last);
    log_info(pz->last->agreed ? "parent's servers agree on the zone's DS"
                              : "parent's servers do not agree on the zone's DS",
             LOG_KV("zone", LOG_S(pz->zone->text)), LOG_KV("they_say", LOG_S(text)));
    mem_free(&text);
}

/* ---- rounds */

static double chance(double s)
{
    return s * (0.9 + 0.2 * (double)arc4random() / 4294967295.0);
}

static void due_arm(struct parent_zone *pz)
{
    double wait = (double)pz->check_s;
    if (pz->failures) {
        double retry = pz->p->tuning.retry_ms / 1e3;
        for (unsigned i = 1; i < pz->failures && i < DOUBLINGS_MAX && retry < wait; i++)
            retry *= 2;
        wait = retry < wait ? retry : wait;
    }
    ev_timer_stop(pz->p->ev, &pz->due);
    if (!pz->wanted)
        return;
    ev_now_update(pz->p->ev);
    ev_timer_set(&pz->due, chance(wait), 0);
    ev_timer_start(pz->p->ev, &pz->due);
}

static void round_end(struct parent_zone *pz)
{
    bool failed = false;
    for (unsigned i = 0; i < pz->n; i++)
        failed |= pz->view->server[i].said == PARENT_NO_ANSWER;
    parent_view_judge(pz->view);
    bool news = !parent_view_same(pz->view, pz->last);
    parent_view_unref(pz->last);
    pz->last = pz->view;
    pz->view = NULL;
    pz->failures = failed ? pz->failures + 1 : 0;
    if (news)
        report_view(pz);
    due_arm(pz);
    pz->p->told(pz->p->ctx, pz->zone, pz->last);
    if (pz->again)
        round_start(pz);
}

static struct parent_server *row_of(const struct parent_question *q)
{
    return &q->pz->view->server[q - q->pz->question];
}

/* One of the round's questions is settled. */
static void question_close(struct parent_question *q)
{
    ASSERT(q->open && q->pz->open > 0);
    q->open = false;
    if (--q->pz->open == 0)
        round_end(q->pz);
}

static void question_failed(struct parent_question *q, const char *error)
{
    struct parent_server *row = row_of(q);
    row->said = PARENT_NO_ANSWER;
    row->error = mem_strdup(error);
    row->at = time(NULL);
    q->failures++;
    report_server(q, row);
    question_close(q);
}

/* What waits for a server that gives no sign of life is not asked one by one. */
static void silence_spread(struct parent_peer *peer, const struct why *why)
{
    struct xfrin_link waiting, *l;
    struct why said;
    link_init(&waiting);
    while ((l = peer->waiting.next) !=
           &peer->waiting) { /* a round that begins meanwhile waits anew */
        link_remove(l);
        link_append(&waiting, l);
    }
    (void)why_set(&said, 0, "%s (seen when it was asked for another zone)", why->text);
    while ((l = waiting.next) != &waiting) {
        link_remove(l);
        question_failed((struct parent_question *)(void *)l, said.text);
    }
}

void question_end(struct parent_question *q, struct parent_set *set, bool silent,
                  const struct why *why)
{
    struct parent *p = q->pz->p;
    struct parent_peer *peer = q->peer;
    peer->refs++; /* its last zone may go while the silence is spread */
    peer_leave(q, silent);
    if (set) {
        struct parent_server *row = row_of(q);
        row->said = set->n ? PARENT_DS : PARENT_NO_DS;
        row->set = *set;
        row->at = time(NULL);
        q->failures = 0;
        question_close(q);
    } else {
        question_failed(q, why->text);
        if (silent)
            silence_spread(peer, why);
    }
    parent_peer_unref(&peer);
    peers_run(p);
}

static void round_start(struct parent_zone *pz)
{
    bool nested = pz->p->scheduling;
    ASSERT(!pz->view && pz->n);
    ev_timer_stop(pz->p->ev, &pz->due);
    pz->again = false;
    pz->view = parent_view_new(pz->n);
    pz->open = pz->n;
    pz->p->scheduling = true; /* a question may end at once: not before all are open */
    for (unsigned i = 0; i < pz->n; i++) {
        struct parent_question *q = &pz->question[i];
        pz->view->server[i].name = mem_strdup(q->name);
        pz->view->server[i].address = q->peer->address;
        q->open = true;
        peer_wait(q);
    }
    pz->p->scheduling = nested;
    peers_run(pz->p);
}

/* Drops what is going on, without a word. */
static void round_cut(struct parent_zone *pz)
{
    ev_timer_stop(pz->p->ev, &pz->due);
    pz->again = false;
    if (!pz->view)
        return;
    for (unsigned i = 0; i < pz->n; i++) {
        struct parent_question *q = &pz->question[i];
        if (q->query) {
            query_stop(q);
            peer_leave(q, q->peer->silent);
        }
        link_remove(&q->queue);
        q->open = false;
    }
    pz->open = 0;
    parent_view_unref(pz->view);
    pz->view = NULL;
}

static void on_due(struct ev_loop *ev, ev_timer *w, int events)
{
    (void)ev;
    (void)events;
    round_start(w->data);
}

/* ---- zones */

static void questions_clear(struct parent_zone *pz)
{
    for (unsigned i = 0; i < pz->n; i++) {
        struct parent_question *q = &pz->question[i];
        mem_free(&q->name);
        tsig_key_unref(q->key);
        parent_peer_unref(&q->peer);
    }
    mem_free(&pz->question);
    pz->n = 0;
}

static void questions_set(struct parent_zone *pz, const struct parent_conf *conf)
{
    pz->question = mem_array(conf->n, sizeof pz->question[0]);
    pz->n = (unsigned)conf->n;
    for (unsigned i = 0; i < pz->n; i++) {
        const struct remote_conf *remote = conf->server[i];
        struct parent_question *q = &pz->question[i];
        link_init(&q->queue);
        q->pz = pz;
        q->name = mem_strdup(remote->name);
        q->key = remote->key ? tsig_key_ref(remote->key) : NULL;
        q->peer = parent_peer_ref(pz->p, remote);
    }
}

static bool questions_same(const struct parent_zone *pz, const struct parent_conf *conf)
{
    if (pz->n != conf->n)
        return false;
    for (unsigned i = 0; i < pz->n; i++) {
        const struct parent_question *q = &pz->question[i];
        const struct remote_conf *remote = conf->server[i];
        if (strcmp(q->name, remote->name) != 0 ||
            !address_equal(&q->peer->address, &remote->address) ||
            !address_equal(&q->peer->source, &remote->source) ||
            !tsig_key_equal(q->key, remote->key))
            return false;
    }
    return true;
}

static struct parent_zone *zone_new(struct parent *p, struct zone *zone)
{
    struct parent_zone *pz = mem_zalloc(sizeof *pz);
    pz->p = p;
    pz->zone = zone_ref(zone);
    link_init(&pz->link);
    link_append(&p->zones, &pz->link);
    ev_timer_init(&pz->due, on_due, 0, 0);
    pz->due.data = pz;
    zone->net_parent = pz;
    return pz;
}

static void zone_forget(struct parent_zone *pz)
{
    struct zone *zone = pz->zone;
    round_cut(pz);
    questions_clear(pz);
    parent_view_unref(pz->last);
    link_remove(&pz->link);
    zone->net_parent = NULL;
    mem_free(&pz);
    zone_unref(zone);
}

void parent_watch(struct parent *p, struct zone *zone, const struct parent_conf *conf, bool wanted)
{
    struct parent_zone *pz = zone->net_parent;
    wanted = wanted && conf->n;
    if (!pz && !conf->n)
        return;
    if (!pz)
        pz = zone_new(p, zone);
    bool same = questions_same(pz, conf), sooner = conf->check_s < pz->check_s;
    bool begins = wanted && (!pz->wanted || !same);
    if (!same) {
        round_cut(pz);
        questions_clear(pz);
        questions_set(pz, conf);
        parent_view_unref(pz->last);
        pz->last = NULL;
        pz->failures = 0;
    }
    pz->wanted = wanted;
    pz->check_s = conf->check_s;
    if (begins)
        parent_ask(p, zone);
    else if (!wanted)
        ev_timer_stop(p->ev, &pz->due); /* a round that is going on may end */
    else if (sooner && ev_is_active(&pz->due))
        due_arm(pz);
    peers_run(p); /* what was cut has made room */
}

void parent_ask(struct parent *p, struct zone *zone)
{
    struct parent_zone *pz = zone->net_parent;
    (void)p;
    if (!pz || !pz->n)
        return;
    if (pz->view)
        pz->again = true; /* some of its answers are from before */
    else
        round_start(pz);
}

void parent_drop(struct parent *p, struct zone *zone)
{
    if (zone->net_parent)
        zone_forget(zone->net_parent);
    peers_run(p);
}

const struct parent_view *parent_view_of(struct parent *p, const struct zone *zone)
{
    const struct parent_zone *pz = zone->net_parent;
    (void)p;
    return pz ? pz->last : NULL;
}

bool parent_asking(struct parent *p, const struct zone *zone)
{
    const struct parent_zone *pz = zone->net_parent;
    (void)p;
    return pz && pz->view;
}

struct parent *
parent_new(struct server *server,
           void (*told)(void *ctx, struct zone *zone, const struct parent_view *view), void *ctx)
{
    struct parent *p = mem_zalloc(sizeof *p);
    p->server = server;
    p->ev = loop_ev(server->control_loop);
    p->told = told;
    p->ctx = ctx;
    p->tuning = (struct parent_tuning){
        .tries = 3,
        .timeout_ms = 1500,
        .tcp_ms = 10000,
        .questions_max = PARENT_QUESTIONS,
        .at_once = PARENT_AT_ONCE,
        .retry_ms = 60000,
    };
    msg_writer_init(&p->writer);
    link_init(&p->zones);
    link_init(&p->peers);
    return p;
}

void parent_free(struct parent **pp)
{
    struct parent *p = *pp;
    if (!p)
        return;
    p->scheduling = true; /* nothing new */
    while (!link_alone(&p->zones))
        zone_forget((struct parent_zone *)(void *)p->zones.next);
    mem_free(pp);
}
