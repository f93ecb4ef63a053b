/* parent: zones, and what the rounds of questions to their parent's servers come to.
 *
 * A zone is known here from the first time that parent_watch names servers for it. Between rounds it costs a timer and its last view.
 * A view never mixes answers of two rounds. A server is asked for the DS first; only if it told that as the parent's is it asked for
 * the NS of the delegation, since a referral carries no AA to tell a server from a cache. */
#include "pipeline/net/parent_p.h"

#include "pipeline/base/alloc.h"
#include "pipeline/base/log.h"

/* ---- the log */

static void report_server(const struct parent_zone *pz, const struct parent_server *row, bool ns,
                          unsigned failures)
{
    char where[ADDRESS_TEXT_MAX];
    if (failures & (failures - 1))
        return;
    log_warn(ns ? "parent server did not tell the zone's NS"
                : "parent server did not tell the zone's DS",
             LOG_KV("zone", LOG_S(pz->zone->text)), LOG_KV("server", LOG_S(row->name)),
             LOG_KV("address", LOG_S(address_print(&row->address, where))),
             LOG_KV("why", LOG_S(ns ? row->ns_error : row->error)),
             LOG_KV("failures_in_a_row", LOG_U(failures)));
}

static void report_view(const struct parent_zone *pz)
{
    const struct parent_view *v = pz->last;
    char *text = parent_view_text(v);
    log_info(v->agreed ? v->ns_asked && !v->ns_agreed
                             ? "parent's servers agree on the zone's DS, but not on its NS"
                             : "parent's servers agree on the zone's DS"
                       : "parent's servers do not agree on the zone's DS",
             LOG_KV("zone", LOG_S(pz->zone->text)), LOG_KV("they_say", LOG_S(text)));
    mem_free(&text);
}

/* ---- rounds */

static void on_begun(struct rounds *r)
{
    struct parent_zone *pz = r->owner;
    ASSERT(!pz->view);
    pz->view = parent_view_new(r->n);
    pz->view->ns_asked = pz->ns;
    for (unsigned i = 0; i < r->n; i++) {
        pz->view->server[i].name = mem_strdup(r->server[i].name);
        pz->view->server[i].address = r->server[i].peer->address;
    }
}

static bool on_next(struct rounds *r, unsigned i, struct question *out)
{
    const struct parent_zone *pz = r->owner;
    const struct parent_server *row = &pz->view->server[i];
    *out = (struct question){.name = pz->zone->name, .type = RR_DS};
    if (row->said == PARENT_UNASKED)
        return true;
    out->type = RR_NS;
    return pz->view->ns_asked && row->ns_said == PARENT_NS_UNASKED;
}

static int on_take(struct rounds *r, unsigned i, struct msg_reader *answer, struct why *why)
{
    struct parent_zone *pz = r->owner;
    struct parent_server *row = &pz->view->server[i];
    bool child, first = row->said == PARENT_UNASKED;
    int err = first ? parent_ds_read(answer, pz->zone->name, &row->set, why)
                    : parent_ns_read(answer, pz->zone->name, &row->ns, &child, why);
    if (err)
        return err;
    if (first)
        row->said = row->set.n ? PARENT_DS : PARENT_NO_DS;
    else
        row->ns_said = child ? PARENT_NS_OF_CHILD : row->ns.n ? PARENT_NS : PARENT_NO_NS;
    row->at = time(NULL);
    return 0;
}

static void on_settled(struct rounds *r, unsigned i, const struct why *why)
{
    struct parent_zone *pz = r->owner;
    struct parent_server *row = &pz->view->server[i];
    if (!why)
        return;
    bool ns = row->said != PARENT_UNASKED;
    if (ns) {
        row->ns_said = PARENT_NS_NO_ANSWER;
        row->ns_error = mem_strdup(why->text);
    } else {
        row->said = PARENT_NO_ANSWER;
        row->error = mem_strdup(why->text);
    }
    row->at = time(NULL);
    report_server(pz, row, ns, r->server[i].failures);
}

static void on_ended(struct rounds *r)
{
    struct parent_zone *pz = r->owner;
    parent_view_judge(pz->view);
    bool news = !parent_view_same(pz->view, pz->last);
    parent_view_unref(pz->last);
    pz->last = pz->view;
    pz->view = NULL;
    if (news)
        report_view(pz);
    pz->p->told(pz->p->ctx, pz->zone, pz->last);
}

static void on_cut(struct rounds *r)
{
    struct parent_zone *pz = r->owner;
    parent_view_unref(pz->view);
    pz->view = NULL;
}

static const struct rounds_ops ops = {
    .begun = on_begun,
    .next = on_next,
    .take = on_take,
    .settled = on_settled,
    .ended = on_ended,
    .cut = on_cut,
};

/* ---- zones */

static struct parent_zone *zone_new(struct parent *p, struct zone *zone)
{
    struct parent_zone *pz = mem_zalloc(sizeof *pz);
    pz->p = p;
    pz->zone = zone_ref(zone);
    link_init(&pz->link);
    link_append(&p->zones, &pz->link);
    rounds_init(&pz->rounds, &p->asker, zone, &ops, pz);
    zone->net_parent = pz;
    return pz;
}

static void zone_forget(struct parent_zone *pz)
{
    struct zone *zone = pz->zone;
    rounds_clear(&pz->rounds);
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
    bool more = (wanted && !pz->rounds.on) || (conf->ns && !pz->ns);
    pz->ns = conf->ns;
    if (rounds_set(&pz->rounds, conf->n, conf->server)) {
        parent_view_unref(pz->last);
        pz->last = NULL;
        more = true;
    }
    rounds_pace(&pz->rounds, wanted, wanted, (double)conf->check_s);
    if (wanted && more)
        rounds_ask(&pz->rounds);
    asker_run(&p->asker); /* what was cut has made room */
}

void parent_ask(struct parent *p, struct zone *zone)
{
    struct parent_zone *pz = zone->net_parent;
    (void)p;
    if (pz)
        rounds_ask(&pz->rounds);
}

void parent_drop(struct parent *p, struct zone *zone)
{
    if (zone->net_parent)
        zone_forget(zone->net_parent);
    asker_run(&p->asker);
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
    return pz && pz->rounds.running;
}

struct parent *
parent_new(struct server *server,
           void (*told)(void *ctx, struct zone *zone, const struct parent_view *view), void *ctx)
{
    struct parent *p = mem_zalloc(sizeof *p);
    asker_init(&p->asker, server, PARENT_QUESTIONS, PARENT_AT_ONCE);
    p->told = told;
    p->ctx = ctx;
    link_init(&p->zones);
    return p;
}

void parent_free(struct parent **pp)
{
    struct parent *p = *pp;
    if (!p)
        return;
    p->asker.scheduling = true; /* nothing new */
    while (!link_alone(&p->zones))
        zone_forget((struct parent_zone *)(void *)p->zones.next);
    mem_free(pp);
}
