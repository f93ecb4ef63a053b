/* signer: zones, their signers, and what the rounds of questions to those come to.
 *
 * A server is asked for the SOA first: whether it serves the zone is told by that alone, since servers exist that refuse types they
 * have not heard of. Then for each set, then for the SOA again. When its serial is another one, the sets may be of two versions: all
 * that came is thrown away, and a new pass begins; after the third what came stands, with a note.
 *
 * While a server has its turn its sets lie in a builder; a node of them is made when all are there. */
#include "pipeline/net/signer_p.h"

#include "pipeline/base/alloc.h"
#include "pipeline/base/log.h"

#include <string.h>

/* In this order. The set of keys comes right before what is said of them to the parent. */
static const uint16_t asks[] = {RR_SOA, RR_DNSKEY, RR_CDNSKEY, RR_CDS, RR_NS, RR_CSYNC, RR_SOA};
enum { STEPS = sizeof asks / sizeof asks[0] };

/* ---- rounds */

static void report_server(const struct signer_watched *w, const struct signer_server *row,
                          unsigned failures)
{
    char where[ADDRESS_TEXT_MAX];
    if (failures & (failures - 1))
        return;
    log_warn(row->said == SIGNER_NOT_SERVED ? "signer's server does not serve the zone"
                                            : "signer's server did not tell what the zone has",
             LOG_KV("zone", LOG_S(w->of->zone->text)), LOG_KV("signer", LOG_S(w->name)),
             LOG_KV("server", LOG_S(row->name)),
             LOG_KV("address", LOG_S(address_print(&row->address, where))),
             LOG_KV("why", LOG_S(row->error)), LOG_KV("failures_in_a_row", LOG_U(failures)));
}

static void turns_free(struct signer_watched *w)
{
    for (unsigned i = 0; w->turn && i < w->view->n; i++)
        node_builder_free(&w->turn[i].sets);
    mem_free(&w->turn);
}

static void on_begun(struct rounds *r)
{
    struct signer_watched *w = r->owner;
    ASSERT(!w->view && !w->turn);
    w->view = signer_view_new(w->name, r->n);
    w->turn = mem_array(r->n, sizeof w->turn[0]);
    for (unsigned i = 0; i < r->n; i++) {
        w->view->server[i].name = mem_strdup(r->server[i].name);
        w->view->server[i].address = r->server[i].peer->address;
    }
}

static bool on_next(struct rounds *r, unsigned i, struct question *out)
{
    struct signer_watched *w = r->owner;
    struct signer_turn *t = &w->turn[i];
    if (t->step == STEPS)
        return false;
    if (t->step == 0) {
        if (!t->sets)
            t->sets = node_builder_new();
        node_builder_begin(t->sets, r->zone->name);
    }
    *out = (struct question){.name = r->zone->name, .type = asks[t->step], .dnssec = true};
    return true;
}

static int on_take(struct rounds *r, unsigned i, struct msg_reader *answer, struct why *why)
{
    struct signer_watched *w = r->owner;
    struct signer_turn *t = &w->turn[i];
    bool first = t->step == 0, last = t->step == STEPS - 1;
    char type[RRTYPE_TEXT_MAX];
    uint32_t serial = 0;
    int err = signer_answer_read(answer, r->zone->name, asks[t->step], last ? NULL : t->sets,
                                 &serial, why);
    if (err) {
        if (first && err == -E_REFUSED)
            w->view->server[i].said = SIGNER_NOT_SERVED;
        else
            why_add(why, " (when asked for %s)", rrtype_print(asks[t->step], type));
        return err;
    }
    if (first)
        t->serial = serial;
    t->step++;
    if (last && serial != t->serial && ++t->pass < SIGNER_PASSES)
        t->step = 0;
    else if (last)
        w->view->server[i].moved = serial != t->serial;
    return 0;
}

static void on_settled(struct rounds *r, unsigned i, const struct why *why)
{
    struct signer_watched *w = r->owner;
    struct signer_turn *t = &w->turn[i];
    struct signer_server *row = &w->view->server[i];
    row->at = time(NULL);
    if (!why) {
        row->said = SIGNER_ANSWERED;
        row->apex = node_builder_seal(t->sets);
        ASSERT(row->apex); /* it has an SOA */
    } else {
        if (row->said == SIGNER_UNASKED)
            row->said = SIGNER_NO_ANSWER;
        row->error = mem_strdup(why->text);
        report_server(w, row, r->server[i].failures);
    }
    node_builder_free(&t->sets);
    if (row->at > w->view->at)
        w->view->at = row->at;
}

static void on_ended(struct rounds *r)
{
    struct signer_watched *w = r->owner;
    turns_free(w);
    signer_view_unref(w->last);
    w->last = w->view;
    w->view = NULL;
    w->of->p->told(w->of->p->ctx, w->of->zone, w->last);
}

static void on_cut(struct rounds *r)
{
    struct signer_watched *w = r->owner;
    turns_free(w);
    signer_view_unref(w->view);
    w->view = NULL;
}

static const struct rounds_ops ops = {
    .begun = on_begun,
    .next = on_next,
    .take = on_take,
    .settled = on_settled,
    .ended = on_ended,
    .cut = on_cut,
};

/* ---- signers of a zone */

static struct signer_watched *watched_find(const struct signer_zone *sz, const char *name)
{
    for (struct xfrin_link *l = sz->signers.next; l != &sz->signers; l = l->next) {
        struct signer_watched *w = (struct signer_watched *)(void *)l;
        if (strcmp(w->name, name) == 0)
            return w;
    }
    return NULL;
}

static struct signer_watched *watched_new(struct signer_zone *sz, const char *name)
{
    struct signer_watched *w = mem_zalloc(sizeof *w);
    w->of = sz;
    w->name = mem_strdup(name);
    link_init(&w->link);
    link_append(&sz->signers, &w->link);
    rounds_init(&w->rounds, &sz->p->asker, sz->zone, &ops, w);
    return w;
}

static void watched_forget(struct signer_watched *w)
{
    rounds_clear(&w->rounds);
    signer_view_unref(w->last);
    link_remove(&w->link);
    mem_free(&w->name);
    mem_free(&w);
}

static void watched_set(struct signer_watched *w, const struct signer_polled *conf)
{
    bool more = conf->wanted && !w->wanted;
    bool soon = conf->wanted && conf->check_s > SIGNER_WANTED_S;
    w->named = true;
    w->wanted = conf->wanted;
    if (rounds_set(&w->rounds, conf->n, conf->server)) {
        signer_view_unref(w->last);
        w->last = NULL;
        more = true;
    }
    rounds_pace(&w->rounds, true, conf->wanted, soon ? SIGNER_WANTED_S : (double)conf->check_s);
    if (more)
        rounds_ask(&w->rounds);
}

/* ---- zones */

static struct signer_zone *zone_new(struct signer_poller *p, struct zone *zone)
{
    struct signer_zone *sz = mem_zalloc(sizeof *sz);
    sz->p = p;
    sz->zone = zone_ref(zone);
    link_init(&sz->signers);
    link_init(&sz->link);
    link_append(&p->zones, &sz->link);
    zone->net_signer = sz;
    return sz;
}

static void zone_forget(struct signer_zone *sz)
{
    struct zone *zone = sz->zone;
    while (!link_alone(&sz->signers))
        watched_forget((struct signer_watched *)(void *)sz->signers.next);
    link_remove(&sz->link);
    zone->net_signer = NULL;
    mem_free(&sz);
    zone_unref(zone);
}

void signer_watch(struct signer_poller *p, struct zone *zone, const struct signer_polled *signer,
                  size_t n)
{
    struct signer_zone *sz = zone->net_signer;
    for (size_t i = 0; i < n; i++) {
        if (!signer[i].n)
            continue;
        if (!sz)
            sz = zone_new(p, zone);
        struct signer_watched *w = watched_find(sz, signer[i].name);
        watched_set(w ? w : watched_new(sz, signer[i].name), &signer[i]);
    }
    if (!sz)
        return;
    for (struct xfrin_link *l = sz->signers.next, *next; l != &sz->signers; l = next) {
        struct signer_watched *w = (struct signer_watched *)(void *)l;
        next = l->next;
        if (!w->named)
            watched_forget(w);
        else
            w->named = false;
    }
    if (link_alone(&sz->signers))
        zone_forget(sz);
    asker_run(&p->asker); /* what was cut has made room */
}

void signer_ask(struct signer_poller *p, struct zone *zone)
{
    struct signer_zone *sz = zone->net_signer;
    (void)p;
    for (struct xfrin_link *l = sz ? sz->signers.next : NULL; l && l != &sz->signers; l = l->next)
        rounds_ask(&((struct signer_watched *)(void *)l)->rounds);
}

void signer_drop(struct signer_poller *p, struct zone *zone)
{
    if (zone->net_signer)
        zone_forget(zone->net_signer);
    asker_run(&p->asker);
}

const struct signer_view *signer_view_of(struct signer_poller *p, const struct zone *zone,
                                         const char *signer)
{
    const struct signer_zone *sz = zone->net_signer;
    const struct signer_watched *w = sz ? watched_find(sz, signer) : NULL;
    (void)p;
    return w ? w->last : NULL;
}

bool signer_asking(struct signer_poller *p, const struct zone *zone)
{
    const struct signer_zone *sz = zone->net_signer;
    (void)p;
    for (struct xfrin_link *l = sz ? sz->signers.next : NULL; l && l != &sz->signers; l = l->next)
        if (((struct signer_watched *)(void *)l)->rounds.running)
            return true;
    return false;
}

struct signer_poller *signer_poller_new(struct server *server,
                                        void (*told)(void *ctx, struct zone *zone,
                                                     const struct signer_view *view),
                                        void *ctx)
{
    struct signer_poller *p = mem_zalloc(sizeof *p);
    asker_init(&p->asker, server, SIGNER_QUESTIONS, SIGNER_AT_ONCE);
    p->told = told;
    p->ctx = ctx;
    link_init(&p->zones);
    return p;
}

void signer_poller_free(struct signer_poller **pp)
{
    struct signer_poller *p = *pp;
    if (!p)
        return;
    p->asker.scheduling = true; /* nothing new */
    while (!link_alone(&p->zones))
        zone_forget((struct signer_zone *)(void *)p->zones.next);
    mem_free(pp);
}
