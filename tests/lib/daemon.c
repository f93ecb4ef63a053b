/* daemon: see daemon.h. */
#include "tests/lib/daemon.h"

#include "pipeline/base/alloc.h"
#include "pipeline/base/log.h"
#include "pipeline/base/pool.h"
#include "pipeline/net/loop.h"
#include "pipeline/net/notify.h"
#include "pipeline/run/chain.h"
#include "tests/lib/home.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { VERDICT_REJECT, VERDICT_HOLD, VERDICT_RETRY };
static const struct finding_type digit_findings[] = {
    {"reject", STAGE_REJECT, "rejected", "-"},
    {"hold", STAGE_HOLD, "held", "-"},
    {"retry", STAGE_RETRY, "retried", "-"},
    {NULL, STAGE_PASS, NULL, NULL},
};

static void digit_run(struct stage_run *r)
{
    struct soa soa;
    bool there = snapshot_soa(r->next, &soa);
    ASSERT(there);
    unsigned digit = soa.serial % 10;
    if (digit >= 7)
        finding_add(r->findings, 9 - digit, NULL, 0, 0, 0, NULL);
    if (digit == 6 && !r->woken)
        r->wake_at = r->now + 1;
}

static const struct stage_type digit = {.name = "digit",
                                        .summary = "-",
                                        .flags = STAGE_CHECK_ONLY,
                                        .findings = digit_findings,
                                        .run = digit_run};

static struct config *config_make(const char *text)
{
    struct config *c;
    struct why why;
    text = home(text);
    if (config_parse(text, strlen(text), "test.conf", &c, &why))
        ck_abort_msg("%s", why.text);
    struct chain *chain = chain_new(1, 10);
    chain->stage[0].type = &digit;
    for (size_t i = 0; i < c->nzones; i++) {
        chain_unref(c->zones[i].chain);
        c->zones[i].chain = chain_ref(chain);
    }
    chain_unref(chain);
    return c;
}

/* ---- what server.c does */

struct event_task {
    struct task task;
    struct daemon *daemon;
    struct zone_event event;
};

static void event_arrive(struct task *task)
{
    struct event_task *e = (struct event_task *)(void *)task;
    struct server *s = &e->daemon->server;
    if (s->xfrin)
        xfrin_outcome(s->xfrin, &e->event);
    if (s->notify && e->event.outcome == ZONE_ACCEPTED)
        notify_zone(s->notify, e->event.zone);
    atomic_fetch_add(&e->daemon->events[e->event.outcome], 1);
    zone_unref(e->event.zone);
    mem_free(&e);
}

static void event_post(void *ctx, const struct zone_event *event)
{
    struct daemon *d = ctx;
    struct event_task *e = mem_zalloc(sizeof *e);
    *e = (struct event_task){{.run = event_arrive}, d, *event};
    zone_ref(event->zone);
    loop_post(d->server.control_loop, &e->task);
}

static void on_added(void *ctx, struct zone *z)
{
    xfrin_add(((struct daemon *)ctx)->server.xfrin, z);
}

static void on_dropped(void *ctx, struct zone *z)
{
    struct daemon *d = ctx;
    notify_drop(d->server.notify, z);
    xfrin_drop(d->server.xfrin, z);
}

static void on_changed(void *ctx, struct zone *z)
{
    xfrin_change(((struct daemon *)ctx)->server.xfrin, z);
}

static void apply(struct daemon *d, struct config *config)
{
    struct zone_table_diff diff = {on_added, on_dropped, on_changed, d};
    zone_table_apply(d->server.zones, config, &diff);
}

static void on_tick(struct ev_loop *ev, ev_timer *w, int events)
{
    (void)ev;
    (void)events;
    loop_stop(w->data);
}

void daemon_open(struct daemon *d, unsigned workers, const char *config,
                 void (*tune)(struct xfrin_tuning *t))
{
    memset(d, 0, sizeof *d);
    struct server *s = &d->server;
    d->log = memfd_create("log", MFD_CLOEXEC);
    int err = fcntl(d->log, F_SETFL, O_APPEND); /* two threads may write at one time */
    ASSERT(!err);
    log_open(LOG_DEBUG, d->log);
    rcu_thread_start();
    atomic_store(&s->config, config_make(config));
    s->control_loop = loop_new("control");
    s->pool = pool_new(workers);
    s->zones = zone_table_new(s->pool);
    zone_table_listen(s->zones, event_post, d);
    s->notify = notify_new(s);
    s->xfrin = xfrin_new(s);
    if (tune)
        tune(&s->xfrin->tuning);
    ev_timer_init(&d->tick, on_tick, 0.001, 0.001);
    d->tick.data = s->control_loop;
    ev_timer_start(loop_ev(s->control_loop), &d->tick);
    apply(d, atomic_load(&s->config));
}

struct config_drop {
    struct rcu_item rcu; /* first: rcu hands it back */
    struct config *config;
};

static void config_drop(struct rcu_item *item)
{
    struct config_drop *drop = (struct config_drop *)(void *)item;
    config_unref(drop->config);
    mem_free(&drop);
}

void daemon_reload(struct daemon *d, const char *config)
{
    struct config_drop *drop = mem_zalloc(sizeof *drop);
    struct config *next = config_make(config);
    drop->config = rcu_swap(&d->server.config, next);
    rcu_defer(&drop->rcu, config_drop);
    apply(d, next);
}

void daemon_close(struct daemon *d)
{
    struct server *s = &d->server;
    ev_timer_stop(loop_ev(s->control_loop), &d->tick);
    xfrin_free(&s->xfrin);
    notify_free(&s->notify);
    zone_table_drain(s->zones);
    loop_free(&s->control_loop);
    rcu_barrier_all();
    zone_table_free(&s->zones);
    rcu_barrier_all();
    pool_free(&s->pool);
    config_unref(atomic_load(&s->config));
    rcu_thread_stop();
    log_open(LOG_INFO, 2);
    close(d->log);
    mem_free(&d->log_text);
}

void daemon_turn(struct daemon *d)
{
    loop_run(d->server.control_loop);
}

double daemon_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- looking */

struct zone *daemon_zone(struct daemon *d, const char *name)
{
    uint8_t wire[NAME_MAX_OCTETS];
    struct why why;
    ck_assert_int_gt(name_parse(name, wire, &why), 0);
    struct zone *z = zone_table_get(d->server.zones, wire);
    ck_assert_ptr_nonnull(z);
    return z;
}

struct xfrin_zone *daemon_in(struct daemon *d, const char *name)
{
    return daemon_zone(d, name)->net;
}

bool daemon_serves(struct daemon *d, const char *name, uint32_t serial)
{
    struct version *v = zone_version(daemon_zone(d, name));
    bool yes = v && v->soa.serial == serial;
    version_unref(v);
    return yes;
}

bool daemon_idle(struct daemon *d, const char *name)
{
    const struct xfrin_zone *xz = daemon_in(d, name);
    return xz->state == XFRIN_IDLE && !xz->reading;
}

void daemon_notify(struct daemon *d, const char *name, const char *from, const uint32_t *serial)
{
    struct address a;
    struct why why;
    ck_assert_int_eq(address_parse(home(from), 53, &a, &why), 0);
    xfrin_notify(d->server.xfrin, daemon_zone(d, name), &a, serial != NULL, serial ? *serial : 0);
}

const char *daemon_log(struct daemon *d)
{
    struct stat st;
    ck_assert_int_eq(fstat(d->log, &st), 0);
    off_t len = st.st_size;
    d->log_text = mem_resize(d->log_text, (size_t)len + 1);
    ssize_t n = pread(d->log, d->log_text, (size_t)len, 0);
    d->log_text[n > 0 ? n : 0] = 0;
    return d->log_text;
}

unsigned daemon_said(struct daemon *d, const char *text)
{
    unsigned n = 0;
    text = home(text);
    for (const char *line = daemon_log(d); *line;) {
        const char *end = strchrnul(line, '\n'), *hit = strstr(line, text);
        n += hit && hit < end;
        line = *end ? end + 1 : end;
    }
    return n;
}
