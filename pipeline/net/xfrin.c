/* xfrin: rounds.
 *
 * A round goes through the zone's primaries and ends at the first of these:
 *   a primary has our serial             the zone is current: refresh timer
 *   a transfer came in and was accepted  likewise, by the new SOA's timers
 *   a file was read                      no timers: the next reload reads it again
 *   all primaries have been tried        refused content: back-off; a primary answered: refresh; else retry
 *
 * One thing at a time a zone: what asks for a round while one goes on (a NOTIFY, the operator) is
 * remembered in `again` and gives exactly one more, however often it was said. A NOTIFY whose round
 * brought nothing keeps the next one waiting for a moment, unless that one promises a newer serial
 * and the one before kept its promise: so a quick succession of real changes is followed at once,
 * and a flood of repeated or invented ones costs one query a second.
 *
 * "Refused" is remembered per primary and serial. The serial check goes on at its usual pace, so a
 * mended version is seen at once; the same serial is fetched again only when the back-off is over,
 * also when another primary has what we serve, or brings something that is newer than that and older
 * than what was refused. It is forgotten when the primary tells our serial (then it took the bad one
 * back, and what it has next may be mended), and when something as new is accepted.
 *
 * A serial older than ours is never followed by itself (RFC 1982 has no "back"): the operator
 * decides, by retransfer. */
#include "pipeline/net/xfrin_p.h"

#include "pipeline/base/alloc.h"
#include "pipeline/base/log.h"
#include "pipeline/net/loop.h"
#include "pipeline/zone/transfer.h"

#include <stdlib.h>
#include <string.h>

enum { NOTIFY_LOG_EVERY_S = 10 };

static struct xfrin_zone *zone_of(struct zone *zone)
{
    return zone->net;
}

bool xfrin_our_serial(struct xfrin_zone *xz, uint32_t *serial)
{
    struct version *v = zone_version(xz->zone);
    struct soa soa;
    bool have = v && snapshot_soa(v->input, &soa);
    if (have)
        *serial = soa.serial;
    version_unref(v);
    return have;
}

/* ---- sources */

static void conf_hold(struct xfrin_zone *xz)
{
    const struct zone_config *c = rcu_read(&xz->zone->config);
    struct config *old = xz->config;
    xz->config = config_ref(c->config);
    xz->conf = c->zone;
    if (old)
        config_unref(old);
}

static void primaries_free(struct xfrin_primary **primary, size_t n)
{
    mem_free(&(*primary)[0].error);
    for (size_t i = 0; i < n; i++) {
        peer_unref(&(*primary)[i].peer);
        mem_free(&(*primary)[i].error);
        tsig_key_unref((*primary)[i].key);
    }
    mem_free(primary);
}

/* What is known of a primary that stays is kept. */
static void primaries_set(struct xfrin_zone *xz)
{
    struct xfrin_primary *old = xz->primary;
    size_t nold = xz->nprimaries;
    xz->nprimaries = (unsigned)xz->conf->nprimaries;
    xz->primary = mem_array(xz->nprimaries ? xz->nprimaries : 1, sizeof xz->primary[0]);
    for (size_t i = 0; i < xz->nprimaries; i++) {
        const struct remote_conf *r = xz->conf->primaries[i];
        struct xfrin_primary *p = &xz->primary[i];
        for (size_t j = 0; j < nold; j++)
            if (address_equal(primary_address(&old[j]), &r->address)) {
                *p = old[j];
                old[j].error = NULL;
            }
        p->key = r->key ? tsig_key_ref(r->key) : NULL;
        p->peer = peer_ref(xz->x, &r->address);
    }
    if (old)
        primaries_free(&old, nold);
}

static bool sources_same(const struct xfrin_zone *xz, const struct zone_conf *conf)
{
    if (!xz->conf->file != !conf->file || conf->nprimaries != xz->nprimaries)
        return false;
    if (conf->file && strcmp(xz->conf->file, conf->file) != 0)
        return false;
    for (size_t i = 0; i < conf->nprimaries; i++)
        if (!address_equal(&conf->primaries[i]->address, primary_address(&xz->primary[i])) ||
            !address_equal(&conf->primaries[i]->source, primary_source(xz, &xz->primary[i])) ||
            !tsig_key_equal(conf->primaries[i]->key, xz->primary[i].key))
            return false;
    return true;
}

static bool refusals_forget(struct xfrin_zone *xz)
{
    bool any = xz->refusals > 0;
    for (size_t i = 0; i < xz->nprimaries; i++) {
        any |= xz->primary[i].refused;
        xz->primary[i].refused = false;
    }
    xz->refusals = 0;
    xz->refused_until = 0;
    return any;
}

static bool refusals_left(const struct xfrin_zone *xz)
{
    for (size_t i = 0; i < xz->nprimaries; i++)
        if (xz->primary[i].refused)
            return true;
    return false;
}

/* Now that `serial` was accepted, what is not newer is no longer in question; the rest keeps its back-off. True: something went. */
static bool refusals_settle(struct xfrin_zone *xz, uint32_t serial)
{
    bool any = false;
    for (size_t i = 0; i < xz->nprimaries; i++) {
        struct xfrin_primary *p = &xz->primary[i];
        if (!p->refused || serial_newer(p->refused_serial, serial))
            continue;
        p->refused = false;
        any = true;
    }
    if (any && !refusals_left(xz))
        refusals_forget(xz);
    return any;
}

/* ---- rounds */

struct xfrin_primary *round_primary(struct xfrin_zone *xz)
{
    const struct xfrin_round *r = &xz->round;
    size_t i = r->step;
    if (r->first >= 0) {
        size_t first = (size_t)r->first;
        i = r->step == 0 ? first : r->step - 1 < first ? r->step - 1 : r->step;
    }
    ASSERT(i < xz->nprimaries);
    return &xz->primary[i];
}

/* Did the last NOTIFY name a serial that is newer than what we hold? */
static bool hint_is_newer(struct xfrin_zone *xz)
{
    uint32_t ours;
    return xz->has_hint && (!xfrin_our_serial(xz, &ours) || serial_newer(xz->hint, ours));
}

/* The NOTIFY tells a newer serial: the answer to IXFR tells the true one, so there is no need to ask for it before. One that lied
 * the last time is asked as any other. */
static bool hint_will_do(struct xfrin_zone *xz)
{
    const struct xfrin_primary *p = round_primary(xz);
    if (!xz->round.notified || xz->round.force || xz->hint_lied || !hint_is_newer(xz))
        return false;
    bool known_bad = p->refused && p->refused_serial == xz->hint && !xz->round.retry_refused;
    return !known_bad && !p->no_ixfr && axfr_may_be_ixfr(xz);
}

static void round_begin(struct xfrin_zone *xz)
{
    ASSERT(xz->state == XFRIN_IDLE);
    ev_timer_stop(xz->x->ev, &xz->due);
    if (xz->reading) { /* the family has its writer; round_file_dropped comes back here */
        xz->again = true;
        return;
    }
    xz->round = (struct xfrin_round){
        .first = xz->again ? xz->again_first : -1,
        .notified = xz->again,
        .force = xz->again_force,
        .retry_refused = xfrin_now() >= xz->refused_until,
    };
    xz->again = xz->again_force = false;
    xz->again_first = -1;
    if (xz->round.force)
        refusals_forget(xz);
    if (xz->conf->file) {
        file_start(xz);
    } else if (xz->nprimaries && hint_will_do(xz)) {
        xz->round.hinted = true;
        schedule_transfer(xz);
    } else if (xz->nprimaries) {
        schedule_check(xz);
    }
}

/* `again` is set: now, or when the gap after a NOTIFY in vain is over. */
static void round_want(struct xfrin_zone *xz)
{
    double gap = xz->x->tuning.notify_gap_ms / 1e3, now = xfrin_now();
    bool credible = hint_is_newer(xz) && !xz->hint_lied;
    if (xz->fruitless_at > 0 && now < xz->fruitless_at + gap && !xz->again_force && !credible)
        timers_soon(xz, xz->fruitless_at + gap - now);
    else
        round_begin(xz);
}

void round_due(struct xfrin_zone *xz)
{
    round_begin(xz);
}

/* Something newer came in, but not as new as the NOTIFY had promised, perhaps from a process that the primary has replaced: one more
 * round, over fresh connections. */
static void hint_follow(struct xfrin_zone *xz)
{
    if (xz->conf->file || xz->again || !hint_is_newer(xz))
        return;
    if (!xz->round.orphan && xz->round.step == xz->nprimaries)
        return; /* it came and was not taken: the back-off says when to ask again */
    if (xz->hint_lied || xz->round.orphan || !xz->round.notified) {
        xz->has_hint = false; /* it is old, or not to be trusted */
        return;
    }
    xz->again = true;
    xz->again_first = xz->round.first;
    conn_forget(xz->x, primary_address(round_primary(xz)));
}

/* The timers are set. */
static void round_over(struct xfrin_zone *xz)
{
    xz->state = XFRIN_IDLE;
    if (xz->round.brought) {
        hint_follow(xz);
        xz->fruitless_at = 0;
        xz->hint_lied = false;
    } else if (xz->round.notified && !xz->round.force) {
        xz->fruitless_at = xfrin_now();
        xz->hint_lied = hint_is_newer(xz);
    }
    if (xz->again)
        round_want(xz);
}

/* We have the zone of a primary. Another may have a newer one that was refused, whose back-off goes on. */
static void timers_current(struct xfrin_zone *xz, bool fresh, const struct xfrin_told *told)
{
    timers_checked(xz, true, fresh, told);
    if (refusals_left(xz))
        timers_refused(xz, xz->round.judged);
    else
        timers_refresh(xz);
}

/* This primary tells our serial. */
static void round_current(struct xfrin_zone *xz, struct xfrin_primary *p,
                          const struct xfrin_told *told)
{
    char who[ADDRESS_TEXT_MAX];
    report_success(xz, p);
    p->refused = false;
    zone_withdrawn(xz->zone, address_print(primary_address(p), who), p->serial);
    xz->failures = 0;
    report_clear(xz);
    timers_current(xz, false, told);
    round_over(xz);
}

/* Every primary was tried, and none settled it. */
static void round_exhausted(struct xfrin_zone *xz)
{
    if (xz->round.refused) {
        xz->failures = 0;
        timers_refused(xz, xz->round.judged);
    } else if (xz->round.good) {
        xz->failures = 0;
        timers_refresh(xz);
    } else {
        xz->failures++;
        timers_retry(xz);
    }
    round_over(xz);
}

static void round_step(struct xfrin_zone *xz)
{
    xz->state = XFRIN_IDLE;
    xz->round.full = xz->round.hinted = xz->round.doubted = false;
    if (++xz->round.step < xz->nprimaries)
        schedule_check(xz);
    else
        round_exhausted(xz);
}

static void primary_is_behind(struct xfrin_zone *xz, const struct xfrin_told *told, uint32_t ours)
{
    struct why why;
    (void)why_set(
        &why, 0,
        "it has serial %u and we hold %u: its zone is behind or went backwards; it is not "
        "followed unless you say `weir retransfer`",
        told->serial, ours);
    report_failure(xz, round_primary(xz), "serial of the primary is older than ours", &why);
    xz->round.good = true;
    timers_checked(xz, false, false, told);
    round_step(xz);
}

void round_answered(struct xfrin_zone *xz, const struct xfrin_told *told)
{
    struct xfrin_primary *p = round_primary(xz);
    uint32_t ours = 0, serial = told->serial;
    bool have = xfrin_our_serial(xz, &ours);
    schedule_leave(xz);
    atomic_fetch_add(&xz->zone->counters.checks_ok, 1);
    p->has_serial = true;
    p->serial = serial;
    bool wanted = xz->round.force || !have || serial_newer(serial, ours);
    if (!wanted && serial != ours) {
        primary_is_behind(xz, told, ours);
    } else if (!wanted) {
        round_current(xz, p, told);
    } else if (p->refused && p->refused_serial == serial && !xz->round.retry_refused) {
        xz->round.refused = true;
        timers_checked(xz, false, false, told);
        round_step(xz);
    } else {
        schedule_transfer(xz);
    }
    schedule_run(xz->x);
}

void round_check(struct xfrin_zone *xz)
{
    schedule_leave(xz);
    xz->round.hinted = false;
    schedule_check(xz);
    schedule_run(xz->x);
}

void round_known_bad(struct xfrin_zone *xz)
{
    schedule_leave(xz);
    xz->round.refused = true;
    round_step(xz);
    schedule_run(xz->x);
}

void round_failed(struct xfrin_zone *xz, const char *sentence, const struct why *why)
{
    bool transfer = xz->state == XFRIN_TRANSFER;
    schedule_leave(xz);
    atomic_fetch_add(
        transfer ? &xz->zone->counters.transfers_failed : &xz->zone->counters.checks_failed, 1);
    report_failure(xz, round_primary(xz), sentence, why);
    round_step(xz);
    schedule_run(xz->x);
}

void round_received(struct xfrin_zone *xz, const struct snapshot *input,
                    const struct snapshot *since, const struct changeset *changes,
                    const char *origin, const struct xfrin_told *told)
{
    struct soa soa = {0};
    snapshot_soa(input, &soa);
    if (xz->state == XFRIN_TRANSFER) {
        schedule_leave(xz);
        atomic_fetch_add(&xz->zone->counters.transfers_ok, 1);
        report_success(xz, round_primary(xz));
        report_clear(xz);
        timers_checked(xz, false, false, told);
    }
    xz->told = told ? *told : (struct xfrin_told){0};
    xz->round.brought = true;
    xz->state = XFRIN_CHAIN;
    xz->submitted = soa.serial;
    zone_submit(xz->zone, input, since, changes, origin);
    schedule_run(xz->x);
}

void round_file_failed(struct xfrin_zone *xz, const struct why *why)
{
    atomic_fetch_add(&xz->zone->counters.transfers_failed, 1);
    report_failure(xz, &xz->primary[0], "zone file was not taken", why);
    round_over(xz);
}

void round_file_dropped(struct xfrin_zone *xz)
{
    if (xz->state == XFRIN_IDLE && xz->again)
        round_begin(xz);
}

/* Ends what can be ended. What is with the chain comes back by itself. */
static void round_abort(struct xfrin_zone *xz)
{
    if (xz->state == XFRIN_CHAIN) {
        xz->round.orphan = true;
        return;
    }
    check_stop(xz);
    axfr_stop(xz);
    schedule_leave(xz);
    xz->generation++;
    xz->state = XFRIN_IDLE;
}

/* ---- what the chain said */

static void chain_took(struct xfrin_zone *xz)
{
    xz->failures = 0;
    if (!xz->conf->file) {
        if (!xz->round.orphan)
            round_primary(xz)->refused = false;
        refusals_settle(xz, xz->submitted);
        timers_current(xz, true, &xz->told);
    }
    round_over(xz);
}

static void chain_refused(struct xfrin_zone *xz)
{
    if (xz->conf->file || xz->round.orphan) {
        round_over(xz);
        return;
    }
    struct xfrin_primary *p = round_primary(xz);
    p->refused = true;
    p->refused_serial = xz->submitted;
    if (!xz->round.judged) {
        xz->refusals = xz->refusals && xz->refused_serial == xz->submitted ? xz->refusals + 1 : 1;
        xz->refused_serial = xz->submitted;
    }
    xz->round.refused = xz->round.judged = true;
    round_step(xz);
}

static void chain_could_not_judge(struct xfrin_zone *xz)
{
    if (xz->has_hint && !serial_newer(xz->hint, xz->submitted))
        xz->has_hint = false; /* what was promised came: the back-off says when to ask again */
    xz->failures++;
    timers_retry(xz);
    round_over(xz);
}

/* Not about what this round handed in: a wake-up, a reload, the operator's approval. */
static void chain_spoke_unasked(struct xfrin_zone *xz, const struct zone_event *event)
{
    if (event->outcome != ZONE_ACCEPTED)
        return;
    if (!xz->conf->file)
        timers_expiry(xz);
    if (xz->state == XFRIN_IDLE && refusals_settle(xz, event->serial) && !xz->conf->file)
        timers_refresh(xz);
}

void xfrin_outcome(struct xfrin *x, const struct zone_event *event)
{
    struct xfrin_zone *xz = zone_of(event->zone);
    if (!xz)
        return;
    if (event->outcome == ZONE_ACCEPTED)
        timers_wake_useful(xz);
    timers_wake(xz);
    if (xz->state != XFRIN_CHAIN || event->serial != xz->submitted) {
        chain_spoke_unasked(xz, event);
        return;
    }
    switch (event->outcome) {
    case ZONE_KEYS: /* says nothing of a version */
        break;
    case ZONE_ACCEPTED:
    case ZONE_UNCHANGED:
        chain_took(xz);
        break;
    case ZONE_HELD:
    case ZONE_REFUSED:
        chain_refused(xz);
        break;
    case ZONE_RETRY:
        chain_could_not_judge(xz);
        break;
    }
    schedule_run(x);
}

/* ---- the operator and the primaries */

void xfrin_add(struct xfrin *x, struct zone *zone)
{
    struct xfrin_zone *xz = mem_zalloc(sizeof *xz);
    ASSERT(!zone->net);
    xz->x = x;
    xz->zone = zone_ref(zone);
    xz->again_first = -1;
    zone->net = xz;
    link_append(&x->zones, &xz->link);
    link_init(&xz->queue);
    conf_hold(xz);
    primaries_set(xz);
    timers_init(xz);
    timers_expiry(xz);
    timers_wake(xz);
    round_begin(xz);
    schedule_run(x);
}

static void zone_forget(struct xfrin_zone *xz)
{
    round_abort(xz);
    timers_stop(xz);
    link_remove(&xz->link);
    xz->zone->net = NULL;
    primaries_free(&xz->primary, xz->nprimaries);
    peer_unref(&xz->last.from);
    config_unref(xz->config);
    zone_unref(xz->zone);
    mem_free(&xz);
}

void xfrin_drop(struct xfrin *x, struct zone *zone)
{
    if (!zone->net)
        return;
    zone_forget(zone_of(zone));
    schedule_run(x);
}

void xfrin_change(struct xfrin *x, struct zone *zone)
{
    struct xfrin_zone *xz = zone_of(zone);
    if (!xz)
        return;
    bool same = sources_same(xz, rcu_read(&zone->config)->zone);
    if (!same)
        round_abort(xz);
    conf_hold(xz);
    if (!same)
        primaries_set(xz);
    bool refused = refusals_forget(xz), failing = xz->failures > 0;
    timers_expiry(xz);
    if (same && !xz->conf->file && !refused && !failing)
        return;
    xz->failures = 0;
    xz->fruitless_at = 0;
    xz->again_first = -1;
    if (xz->state == XFRIN_IDLE)
        round_begin(xz);
    else if (xz->state == XFRIN_FILE || xz->state == XFRIN_CHAIN)
        xz->again = true;
    schedule_run(x);
}

void xfrin_retransfer(struct xfrin *x, struct zone *zone)
{
    struct xfrin_zone *xz = zone_of(zone);
    if (!xz)
        return;
    if (xz->state == XFRIN_CHECK_WAIT || xz->state == XFRIN_CHECK) {
        refusals_forget(xz);
        xz->round.force = true;
        schedule_raise(xz);
    } else {
        xz->again = xz->again_force = true;
        xz->again_first = -1;
        if (xz->state == XFRIN_IDLE)
            round_begin(xz);
    }
    schedule_run(x);
}

/* Which primary said it? Ports tell nothing: of several at one host, the first that works. */
static int primary_of(const struct xfrin_zone *xz, const struct address *from)
{
    int found = -1;
    for (size_t i = 0; i < xz->nprimaries; i++) {
        bool same = address_same_host(primary_address(&xz->primary[i]), from);
        if (same && !xz->primary[i].error)
            return (int)i;
        if (same && found < 0)
            found = (int)i;
    }
    return found;
}

static void notify_arrive(struct xfrin_zone *xz, const struct address *from, const uint32_t *serial)
{
    int first = primary_of(xz, from);
    if (xz->conf->file)
        return;
    xz->has_hint = serial != NULL;
    xz->hint = serial ? *serial : 0;
    if (xz->state == XFRIN_CHECK_WAIT && xz->round.step == 0) {
        if (first >= 0)
            xz->round.first = first;
        schedule_raise(xz);
        return;
    }
    schedule_raise(xz);
    xz->again = true;
    xz->again_first = first;
    if (xz->state == XFRIN_IDLE)
        round_want(xz);
}

/* A NOTIFY on its way to the control loop, where the zone's state lives. */
struct notify_task {
    struct task task; /* first: the loop hands it back */
    struct server *server;
    struct zone *zone;
    struct address from;
    bool has_serial;
    uint32_t serial;
};

static void notify_task_run(struct task *task)
{
    struct notify_task *n = (struct notify_task *)(void *)task;
    struct xfrin *x = n->server->xfrin;
    if (x && n->zone->net) {
        notify_arrive(n->zone->net, &n->from, n->has_serial ? &n->serial : NULL);
        schedule_run(x);
    }
    zone_unref(n->zone);
    mem_free(&n);
}

void xfrin_notify(struct xfrin *x, struct zone *zone, const struct address *from, bool has_serial,
                  uint32_t serial)
{
    struct notify_task *n = mem_zalloc(sizeof *n);
    *n = (struct notify_task){
        .task.run = notify_task_run,
        .server = x->server,
        .zone = zone_ref(zone),
        .from = *from,
        .has_serial = has_serial,
        .serial = serial,
    };
    loop_post(x->server->control_loop, &n->task);
}

void xfrin_notify_dropped(const struct zone *zone, const struct address *from, bool unproved)
{
    static struct log_gate gates[2]; /* strangers do not hide a primary */
    uint64_t skipped = 0;
    char who[ADDRESS_TEXT_MAX];
    if (!log_gate_open(&gates[unproved], NOTIFY_LOG_EVERY_S, &skipped))
        return;
    address_print(from, who);
    if (unproved)
        log_warn("NOTIFY from a primary dropped: it is not signed with the key that its remote has",
                 LOG_KV("zone", LOG_S(zone->text)), LOG_KV("primary", LOG_S(who)),
                 LOG_KV("skipped", LOG_U(skipped)));
    else
        log_notice("NOTIFY dropped: it is from none of the zone's primaries, nor in allow_notify",
                   LOG_KV("zone", LOG_S(zone->text)), LOG_KV("client", LOG_S(who)),
                   LOG_KV("skipped", LOG_U(skipped)));
}

/* ---- all zones */

struct xfrin *xfrin_new(struct server *server)
{
    struct xfrin *x = mem_zalloc(sizeof *x);
    x->server = server;
    x->ev = loop_ev(server->control_loop);
    x->tuning = (struct xfrin_tuning){
        .soa_tries = 3,
        .soa_timeout_ms = 1500,
        .connect_ms = 10000,
        .idle_ms = 60000,
        .rate_window_ms = 10000,
        .checks_max = XFRIN_CHECKS,
        .checks_stale_max = XFRIN_CHECKS / 4 * 3,
        .notify_gap_ms = 1000,
        .file_wait_ms = 2000,
        .keep_ms = 10000,
        .keep_max = XFRIN_KEPT,
    };
    msg_writer_init(&x->writer);
    link_init(&x->zones);
    link_init(&x->peers);
    link_init(&x->conns);
    for (int i = 0; i < PRIORITIES; i++)
        link_init(&x->check_waiting[i]);
    x->files = files_new();
    return x;
}

void xfrin_free(struct xfrin **xp)
{
    struct xfrin *x = *xp;
    if (!x)
        return;
    x->scheduling = true; /* nothing new */
    while (!link_alone(&x->zones))
        zone_forget((struct xfrin_zone *)(void *)x->zones.next);
    conn_close_all(x);
    files_free(x);
    mem_free(xp);
}
