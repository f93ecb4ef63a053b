/* server: start, run, reload, stop.
 *
 * The order of starting is the order of what can fail: sockets and folders first, while nothing
 * runs and root's rights (if any) are still there; then the user is switched; then zones are made
 * and threads started. Every step that fails undoes the ones before it by server_stop, which takes
 * a server in any state.
 *
 * The order of stopping: query threads (no new work, transfers cut, their references dropped),
 * transfers in, control socket; then chains drain, deferred frees run, and the zones go.
 */
#include "pipeline/net/server.h"

#include "pipeline/base/log.h"
#include "pipeline/net/capture.h"
#include "pipeline/net/control.h"
#include "pipeline/net/descriptors.h"
#include "pipeline/net/keytimer.h"
#include "pipeline/net/listen.h"
#include "pipeline/net/notify.h"
#include "pipeline/net/parent.h"
#include "pipeline/net/signer.h"
#include "pipeline/net/systemd.h"
#include "pipeline/net/tcp.h"
#include "pipeline/net/udp.h"
#include "pipeline/net/xfrin.h"
#include "pipeline/run/zone_keys.h"
#include "pipeline/run/zone_parent.h"
#include "pipeline/run/zone_signers.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct server_signals {
    ev_signal hangup, terminate, interrupt;
};

/* ---- start
 * ---------------------------------------------------------------------------------------------- */

static int folder_make(const char *path, const char *what, struct why *why)
{
    char part[4096];
    if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part)
        return why_set(why, -E_CONF, "%s: the path is too long", what);
    for (char *p = part + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = 0;
        if (mkdir(part, 0755) && errno != EEXIST)
            return why_set(why, -E_IO, "%s: cannot make folder %s: %s", what, part,
                           strerror(errno));
        *p = '/';
    }
    struct stat st;
    if (mkdir(part, 0750) && errno != EEXIST)
        return why_set(why, -E_IO, "%s: cannot make folder %s: %s", what, part, strerror(errno));
    if (stat(part, &st) || !S_ISDIR(st.st_mode))
        return why_set(why, -E_IO, "%s: %s is not a folder", what, part);
    return 0;
}

static int user_find(const char *name, struct passwd **out, struct why *why)
{
    errno = 0;
    struct passwd *pw = getpwnam(name);
    if (!pw)
        return why_set(why, -E_CONF, "server.user = \"%s\": %s", name,
                       errno ? strerror(errno) : "there is no such user");
    *out = pw;
    return 0;
}

/* The state and capture folders must belong to whom weir will run as. */
static int folders_open(const struct server_conf *conf, struct why *why)
{
    const char *path[] = {conf->state, conf->capture}, *what[] = {"server.state", "server.capture"};
    struct passwd *pw = NULL;
    int err = conf->user && geteuid() == 0 ? user_find(conf->user, &pw, why) : 0;
    for (int i = 0; !err && i < 2; i++) {
        if (!path[i])
            continue;
        err = folder_make(path[i], what[i], why);
        if (!err && pw && chown(path[i], pw->pw_uid, pw->pw_gid))
            err = why_set(why, -E_IO, "%s: cannot give %s to user %s: %s", what[i], path[i],
                          conf->user, strerror(errno));
    }
    return err;
}

static int user_become(const struct server_conf *conf, struct why *why)
{
    struct passwd *pw;
    if (!conf->user)
        return 0;
    int err = user_find(conf->user, &pw, why);
    if (err)
        return err;
    if (geteuid() != 0) {
        if (pw->pw_uid == geteuid())
            return 0;
        return why_set(why, -E_CONF, "server.user = \"%s\": only root can become another user",
                       conf->user);
    }
    if (conf->control && chown(conf->control, pw->pw_uid, pw->pw_gid))
        return why_set(why, -E_IO, "cannot give %s to user %s: %s", conf->control, conf->user,
                       strerror(errno));
    if (initgroups(pw->pw_name, pw->pw_gid) || setgid(pw->pw_gid) || setuid(pw->pw_uid))
        return why_set(why, -E_IO, "cannot become user %s: %s", conf->user, strerror(errno));
    return 0;
}

static unsigned worker_count(const struct server_conf *conf)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return conf->workers ? (unsigned)conf->workers : cores > 0 ? (unsigned)cores : 1;
}

static int descriptors_open(struct server *s, const struct server_conf *conf, struct why *why)
{
    int64_t room;
    int err = descriptors_share(conf, worker_count(conf), &room, why);
    if (!err)
        atomic_store(&s->tcp_room, room);
    return err;
}

static int query_threads_open(struct server *s, const struct server_conf *conf, struct why *why)
{
    s->query = mem_array((size_t)conf->threads, sizeof s->query[0]);
    for (; s->nquery < (unsigned)conf->threads; s->nquery++) {
        struct query_thread *t = &s->query[s->nquery];
        char name[16];
        snprintf(name, sizeof name, "weir-query-%u", s->nquery % 1000);
        t->server = s;
        t->loop = loop_new(name);
        int err = udp_new(t, conf->listen, conf->nlisten, &t->udp, why);
        if (!err)
            err = tcp_new(t, conf->listen, conf->nlisten, &t->tcp, why);
        if (err) {
            udp_free(&t->udp);
            loop_free(&t->loop);
            return err;
        }
    }
    return 0;
}

/* A chain has spoken, on a worker: carry it to the control loop. */
struct event_task {
    struct task task;
    struct server *server;
    struct zone_event event;
};

static void event_arrive(struct task *task)
{
    struct event_task *e = (struct event_task *)(void *)task;
    struct server *s = e->server;
    struct zone *z = e->event.zone;
    bool held = zone_table_get(s->zones, z->name) == z; /* not dropped since */
    if (held && s->notify && e->event.outcome == ZONE_ACCEPTED)
        notify_zone(s->notify, z); /* first: secondaries wait for it */
    if (held && s->xfrin && e->event.outcome == ZONE_ACCEPTED)
        zone_keys_turn(z, true); /* not when weir stops: its end would find no loop to tell it to */
    if (held && s->xfrin && e->event.outcome == ZONE_KEYS)
        keytimer_look(s, z);
    if (held && s->xfrin)
        xfrin_outcome(s->xfrin, &e->event);
    zone_unref(z);
    mem_free(&e);
}

static void event_post(void *ctx, const struct zone_event *event)
{
    struct server *s = ctx;
    struct event_task *e = mem_zalloc(sizeof *e);
    e->task.run = event_arrive;
    e->server = s;
    e->event = *event;
    zone_ref(e->event.zone);
    loop_post(s->control_loop, &e->task);
}

/* ---- the parent, and other signers */

/* Whom to ask, and whether, may have changed. */
static void parent_look(struct server *s, struct zone *z)
{
    const struct zone_conf *conf = zone_conf_of(z);
    bool ns = zone_parent_ns_wanted(z);
    struct parent_conf servers = {conf->nparent, conf->parent, conf->parent_check_s, ns};
    parent_watch(s->parent, z, &servers, ns || zone_parent_wanted(z));
}

static void signers_look(struct server *s, struct zone *z)
{
    const struct zone_conf *conf = zone_conf_of(z);
    struct signer_polled polled[SIGNERS_MAX];
    for (unsigned i = 0; i < conf->nsigners; i++) {
        const struct signer_conf *c = &conf->signers[i];
        polled[i] = (struct signer_polled){.name = c->name,
                                           .n = c->nservers,
                                           .server = c->servers,
                                           .check_s = conf->signer_check_s,
                                           .wanted = zone_signers_wanted(z)};
    }
    signer_watch(s->signers, z, polled, conf->nsigners);
}

struct want_task {
    struct task task; /* first: the loop hands it back */
    struct server *server;
    struct zone *zone;
};

static void want_arrive(struct task *task)
{
    struct want_task *w = (struct want_task *)(void *)task;
    struct server *s = w->server;
    if (s->parent && zone_table_get(s->zones, w->zone->name) == w->zone) {
        parent_look(s, w->zone);
        signers_look(s, w->zone);
    }
    zone_unref(w->zone);
    mem_free(&w);
}

static void want_post(void *ctx, struct zone *zone)
{
    struct server *s = ctx;
    struct want_task *w = mem_zalloc(sizeof *w);
    *w = (struct want_task){{.run = want_arrive}, s, zone_ref(zone)};
    loop_post(s->control_loop, &w->task);
}

static void parent_told(void *ctx, struct zone *zone, const struct parent_view *view)
{
    (void)ctx;
    zone_parent_told(zone, view);
}

static void signer_told(void *ctx, struct zone *zone, const struct signer_view *view)
{
    (void)ctx;
    zone_signers_told(zone, view);
}

/* A version that was accepted, but that weir died before its secondaries were told of, is one that they are told of now. */
static void on_added(void *ctx, struct zone *z)
{
    struct server *s = ctx;
    xfrin_add(s->xfrin, z);
    keytimer_look(s, z);
    parent_look(s, z);
    signers_look(s, z);
    if (rcu_read(&z->version))
        notify_zone(s->notify, z);
}

static void on_dropped(void *ctx, struct zone *z)
{
    struct server *s = ctx;
    log_notice("zone is no longer configured: it is dropped", LOG_KV("zone", LOG_S(z->text)));
    notify_drop(s->notify, z);
    parent_drop(s->parent, z);
    signer_drop(s->signers, z);
    keytimer_drop(s, z);
    xfrin_drop(s->xfrin, z);
}

static void on_changed(void *ctx, struct zone *z)
{
    struct server *s = ctx;
    xfrin_change(s->xfrin, z);
    parent_look(s, z);
    signers_look(s, z);
    notify_change(s->notify, z);
}

static void server_apply(struct server *s, struct config *config)
{
    struct zone_table_diff diff = {
        .added = on_added, .dropped = on_dropped, .changed = on_changed, .ctx = s};
    zone_table_apply(s->zones, config, &diff);
}

static int journal_start(struct server *s, const struct server_conf *conf, struct why *why)
{
    char *folder = mem_printf("%s/journal", conf->state);
    int err = journal_open(folder, &s->journal, why);
    mem_free(&folder);
    return err;
}

static int server_open(struct server *s, const struct server_conf *conf, struct why *why)
{
    int err = descriptors_open(s, conf, why);
    if (!err)
        err = folders_open(conf, why);
    for (size_t i = 0; !err && i < conf->nlisten; i++)
        err = listen_is_free(&conf->listen[i], why);
    if (!err)
        err = query_threads_open(s, conf, why);
    if (!err && conf->control)
        err = control_new(s, conf->control, &s->control, why);
    if (!err)
        err = user_become(conf, why);
    if (!err)
        err = journal_start(s, conf, why);
    if (!err && conf->capture)
        err = capture_open(conf->capture, (size_t)conf->capture_max_bytes, &s->capture, why);
    return err;
}

static void on_hangup(struct ev_loop *ev, ev_signal *w, int events)
{
    (void)ev;
    (void)events;
    struct why why;
    (void)!server_reload(w->data, &why);
}

static void on_end(struct ev_loop *ev, ev_signal *w, int events)
{
    (void)ev;
    (void)events;
    struct server *s = w->data;
    log_notice("stopping", LOG_KV("signal", LOG_S(w->signum == SIGTERM ? "SIGTERM" : "SIGINT")));
    systemd_tell("STOPPING=1");
    loop_stop(s->control_loop);
}

static void signal_watch(struct server *s, ev_signal *w, int signum,
                         void (*fn)(struct ev_loop *, ev_signal *, int))
{
    ev_signal_init(w, fn, signum);
    w->data = s;
    ev_signal_start(loop_ev(s->control_loop), w);
}

/* From here on SIGHUP means reload, though it waits until the server runs. */
static void signals_open(struct server *s)
{
    s->signals = mem_zalloc(sizeof *s->signals);
    signal(SIGPIPE, SIG_IGN);
    signal_watch(s, &s->signals->hangup, SIGHUP, on_hangup);
    signal_watch(s, &s->signals->terminate, SIGTERM, on_end);
    signal_watch(s, &s->signals->interrupt, SIGINT, on_end);
}

static void signals_close(struct server *s)
{
    ev_signal_stop(loop_ev(s->control_loop), &s->signals->hangup);
    ev_signal_stop(loop_ev(s->control_loop), &s->signals->terminate);
    ev_signal_stop(loop_ev(s->control_loop), &s->signals->interrupt);
    mem_free(&s->signals);
}

int server_start(struct server **out, struct config *config, struct why *why)
{
    const struct server_conf *conf = &config->server;
    struct server *s = mem_zalloc(sizeof *s);
    s->started_at = time(NULL);
    s->config_path = mem_strdup(config->path);
    atomic_store(&s->config, config_ref(config));
    rcu_thread_start();
    s->control_loop = loop_new("weir-control");
    signals_open(s);
    s->tcp_limits = tcp_limits_new();
    int err = server_open(s, conf, why);
    if (err) {
        server_stop(&s);
        return err;
    }
    s->pool = pool_new(worker_count(conf));
    s->zones = zone_table_new(s->pool);
    zone_table_listen(s->zones, event_post, s);
    zone_table_keys(s->zones, conf->state);
    zone_table_listen_parent(s->zones, want_post, s);
    zone_table_journal(s->zones, s->journal, conf->durability == DURABILITY_ASYNC);
    s->notify = notify_new(s);
    s->xfrin = xfrin_new(s);
    s->parent = parent_new(s, parent_told, s);
    s->signers = signer_poller_new(s, signer_told, s);
    server_apply(s, config);
    for (unsigned i = 0; i < s->nquery; i++)
        loop_start(s->query[i].loop);
    *out = s;
    return 0;
}

/* ---- run
 * ------------------------------------------------------------------------------------------------
 */

/* What only a restart can change. Returns the first such option that differs, or NULL. */
static const char *restart_needed(const struct server_conf *a, const struct server_conf *b)
{
    if (a->nlisten != b->nlisten)
        return "listen";
    for (size_t i = 0; i < a->nlisten; i++)
        if (a->listen[i].len != b->listen[i].len ||
            memcmp(&a->listen[i].sa, &b->listen[i].sa, a->listen[i].len) != 0)
            return "listen";
    if (a->threads != b->threads)
        return "threads";
    if (a->workers != b->workers)
        return "workers";
    const char *x[] = {a->state, a->control, a->user, a->capture},
               *y[] = {b->state, b->control, b->user, b->capture};
    static const char *const name[] = {"state", "control", "user", "capture"};
    for (int i = 0; i < 4; i++)
        if (x[i] && y[i] ? strcmp(x[i], y[i]) != 0 : x[i] != y[i])
            return name[i];
    return NULL;
}

struct config_drop {
    struct rcu_item rcu; /* first: rcu hands it back */
    struct config *config;
};

static void config_drop(struct rcu_item *item)
{
    struct config_drop *d = (struct config_drop *)(void *)item;
    config_unref(d->config);
    mem_free(&d);
}

int server_reload(struct server *s, struct why *why)
{
    struct config *config;
    systemd_tell("RELOADING=1");
    int err = config_load(s->config_path, &config, why);
    if (err) {
        s->reloads_failed++;
        log_error("reload refused: the configuration in force stays",
                  LOG_KV("why", LOG_S(why->text)));
        systemd_tell("READY=1");
        return err;
    }
    struct config *old = atomic_load(&s->config);
    const char *word = restart_needed(&old->server, &config->server);
    if (word)
        log_warn("a change of the server block needs a restart and is not in force yet",
                 LOG_KV("option", LOG_S(word)));
    log_open((enum log_level)config->server.log_level, 2);
    struct why room;
    if (descriptors_open(s, &config->server, &room)) /* of threads or listen: not in force yet */
        log_warn("a restart with this configuration would fail", LOG_KV("why", LOG_S(room.text)));
    struct config_drop *d = mem_zalloc(sizeof *d);
    d->config = rcu_swap(&s->config, config);
    rcu_defer(&d->rcu, config_drop);
    zone_table_async(s->zones, config->server.durability == DURABILITY_ASYNC);
    server_apply(s, config);
    s->reloads++;
    log_notice("configuration reloaded", LOG_KV("zones", LOG_U(config->nzones)),
               LOG_KV("config", LOG_S(s->config_path)));
    systemd_tell("READY=1");
    return 0;
}

static void server_greet(const struct server *s)
{
    const struct config *config = atomic_load(&s->config);
    for (size_t i = 0; i < config->server.nlisten; i++) {
        char text[ADDRESS_TEXT_MAX];
        address_print(&config->server.listen[i], text);
        log_info("listening", LOG_KV("address", LOG_S(text)));
    }
    log_notice("weir is up", LOG_KV("zones", LOG_U(config->nzones)),
               LOG_KV("query_threads", LOG_U(s->nquery)),
               LOG_KV("workers", LOG_U(pool_threads(s->pool))),
               LOG_KV("config", LOG_S(s->config_path)));
}

void server_run(struct server *s)
{
    server_greet(s);
    systemd_tell("READY=1");
    loop_run(s->control_loop);
    signals_close(s); /* a second SIGTERM ends the process at once */
}

/* ---- stop
 * -----------------------------------------------------------------------------------------------
 */

static void query_threads_close(struct server *s)
{
    for (unsigned i = 0; i < s->nquery; i++)
        loop_stop(s->query[i].loop);
    for (unsigned i = 0; i < s->nquery; i++)
        loop_join(s->query[i].loop);
    for (unsigned i = 0; i < s->nquery; i++) {
        tcp_free(&s->query[i].tcp);
        udp_free(&s->query[i].udp);
        loop_free(&s->query[i].loop);
    }
    mem_free(&s->query);
}

void server_stop(struct server **sp)
{
    struct server *s = *sp;
    if (s->signals)
        signals_close(s);
    query_threads_close(s);
    control_free(&s->control);
    if (s->zones) {
        keytimer_drop_all(s);
        signer_poller_free(&s->signers); /* this one and the next use connections of xfrin's */
        parent_free(&s->parent);
        xfrin_free(&s->xfrin);
        notify_free(&s->notify);
        journal_closing(s->journal); /* what cannot be written now is not waited for */
        zone_table_drain(s->zones);
        journal_close(
            &s->journal); /* writes what is still waiting; its versions go while their zones are there */
    }
    loop_free(&s->control_loop); /* runs the events still posted */
    rcu_barrier_all();
    zone_table_free(&s->zones);
    rcu_barrier_all();
    journal_close(&s->journal);
    if (s->pool)
        pool_free(&s->pool);
    capture_close(&s->capture);
    tcp_limits_free(&s->tcp_limits);
    config_unref(atomic_load(&s->config));
    mem_free(&s->config_path);
    rcu_thread_stop();
    mem_free(sp);
}
