/* control: one request a connection over a Unix socket.
 *
 *   request   word NUL word NUL … NUL      (an empty word ends it; at most REQUEST_MAX octets)
 *   reply     "0\n" or "1\n", then text to the end of the stream
 *
 * The socket is made under a temporary umask, so there is no moment in which others could connect.
 * A socket file that nobody listens on (a crash) is replaced; one that answers belongs to a living
 * weir and is an error.
 */
#include "pipeline/net/control.h"

#include "pipeline/base/json.h"
#include "pipeline/base/log.h"
#include "pipeline/net/listen.h"
#include "pipeline/net/notify.h"
#include "pipeline/net/parent.h"
#include "pipeline/net/signer.h"
#include "pipeline/net/status.h"
#include "pipeline/net/xfrin.h"
#include "pipeline/run/registry.h"
#include "pipeline/run/zone_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { REQUEST_MAX = 4096, WORDS_MAX = 16, LOG_EVERY_S = 10 };
static const double client_time_s = 10;

struct client {
    ev_io io;
    ev_timer timer;
    struct control *control;
    struct client *next;
    size_t got;
    char *reply; /* NULL: still reading the request */
    size_t reply_len, sent;
    char request[REQUEST_MAX];
};

struct control {
    struct server *server;
    char *path;
    int fd;
    ev_io io;
    ev_timer resume; /* accepting again, after descriptors ran out */
    struct client *clients;
    unsigned nclients;
};

static struct ev_loop *control_ev(const struct control *c)
{
    return loop_ev(c->server->control_loop);
}

/* ---- commands
 * ------------------------------------------------------------------------------------------- */

struct command {
    struct server *server;
    int argc;
    char *argv[WORDS_MAX + 1];
};

static char *answer_ok(char *text)
{
    char *reply = mem_printf("0\n%s", text);
    mem_free(&text);
    return reply;
}

static char *answer_error(const char *text)
{
    return mem_printf("1\n%s\n", text);
}

static bool command_flag(struct command *c, const char *flag)
{
    for (int i = 1; i < c->argc; i++)
        if (!strcmp(c->argv[i], flag)) {
            memmove(&c->argv[i], &c->argv[i + 1], (size_t)(c->argc - i) * sizeof c->argv[0]);
            c->argc--;
            return true;
        }
    return false;
}

static struct zone *command_zone(const struct command *c, struct why *why)
{
    uint8_t name[NAME_MAX_OCTETS];
    if (c->argc < 2) {
        why_set(why, -E_FORMAT, "%s: which zone?", c->argv[0]);
        return NULL;
    }
    if (name_parse(c->argv[1], name, why) < 0)
        return NULL;
    struct zone *z = zone_table_get(c->server->zones, name);
    if (!z)
        why_set(why, -E_NOENT, "zone %s is not configured here", c->argv[1]);
    return z;
}

static char *do_status(struct command *c)
{
    bool json = command_flag(c, "--json"), findings = command_flag(c, "--findings");
    struct why why;
    if (c->argc < 2)
        return answer_ok(status_all(c->server, json));
    struct zone *z = command_zone(c, &why);
    return z ? answer_ok(status_zone(c->server, z, findings, json)) : answer_error(why.text);
}

static char *do_retransfer(struct command *c)
{
    struct why why;
    struct zone *z = command_zone(c, &why);
    if (!z)
        return answer_error(why.text);
    log_notice("retransfer asked for by the operator", LOG_KV("zone", LOG_S(z->text)));
    xfrin_retransfer(c->server->xfrin, z);
    return answer_ok(mem_printf("zone %s: asking for it now\n", z->text));
}

static char *do_notify(struct command *c)
{
    struct why why;
    struct zone *z = command_zone(c, &why);
    if (!z)
        return answer_error(why.text);
    notify_zone(c->server->notify, z);
    return answer_ok(mem_printf("zone %s: its secondaries are being notified\n", z->text));
}

static char *do_reload(struct command *c)
{
    struct why why;
    if (server_reload(c->server, &why))
        return answer_error(why.text);
    return answer_ok(mem_printf("reloaded: %zu zones\n", atomic_load(&c->server->config)->nzones));
}

static char *do_held(struct command *c, int (*fn)(struct zone *, const uint32_t *, struct why *),
                     const char *done)
{
    struct why why;
    struct zone *z = command_zone(c, &why);
    if (!z)
        return answer_error(why.text);
    uint32_t serial = 0;
    if (c->argc > 2) {
        char *end;
        unsigned long long v = strtoull(c->argv[2], &end, 10);
        if (*end || !*c->argv[2] || v > UINT32_MAX)
            return answer_error("the serial must be a number from 0 to 4294967295");
        serial = (uint32_t)v;
    }
    if (fn(z, c->argc > 2 ? &serial : NULL, &why))
        return answer_error(why.text);
    return answer_ok(mem_printf("zone %s: the held version is %s\n", z->text, done));
}

/* Somebody has changed them on disk. keys ZONE (join | leave) SIGNER [--force]: that is what the operator said. */
static char *do_keys(struct command *c)
{
    bool force = command_flag(c, "--force");
    struct why why;
    struct zone *z = command_zone(c, &why);
    if (!z)
        return answer_error(why.text);
    if (c->argc > 3)
        log_line(force ? LOG_WARN : LOG_NOTICE,
                 force ? "forced by the operator: what another signer's step waits for is taken as "
                         "given"
                       : "asked of another signer by the operator",
                 (const struct log_pair[]){LOG_KV("zone", LOG_S(z->text)),
                                           LOG_KV("signer", LOG_S(c->argv[3])),
                                           LOG_KV("word", LOG_S(c->argv[2])),
                                           {0}});
    zone_keys_turn(z, false);
    return answer_ok(mem_printf("zone %s: its keys are looked at\n", z->text));
}

/* What the parent's servers say; ask: they are asked now, whatever the keys wait for. */
static char *do_parent(struct command *c)
{
    bool json = command_flag(c, "--json"), ask = command_flag(c, "ask");
    struct why why;
    struct zone *z = command_zone(c, &why);
    if (!z)
        return answer_error(why.text);
    if (ask && !zone_conf_of(z)->nparent)
        return answer_error("no server of the zone's parent is configured (keys.parent)");
    if (ask)
        parent_ask(c->server->parent, z);
    return answer_ok(status_parent(c->server, z, json));
}

static char *do_foreign(struct command *c)
{
    bool json = command_flag(c, "--json");
    struct why why;
    struct zone *z = command_zone(c, &why);
    return z ? answer_ok(status_foreign(z, json)) : answer_error(why.text);
}

/* ask: their servers are asked now. */
static char *do_signers(struct command *c)
{
    bool json = command_flag(c, "--json"), ask = command_flag(c, "ask");
    struct why why;
    struct zone *z = command_zone(c, &why);
    if (!z)
        return answer_error(why.text);
    if (ask)
        signer_ask(c->server->signers, z);
    return answer_ok(status_signers(c->server, z, json));
}

static char *do_modes(struct command *c)
{
    bool json = command_flag(c, "--json"), all = command_flag(c, "all");
    struct why why;
    struct zone *z = command_zone(c, &why);
    return z ? answer_ok(status_modes(z, all, json)) : answer_error(why.text);
}

static char *do_approve(struct command *c)
{
    return do_held(c, zone_approve, "approved");
}

static char *do_discard(struct command *c)
{
    return do_held(c, zone_discard, "discarded");
}

static char *do_purge(struct command *c)
{
    struct why why;
    uint8_t name[NAME_MAX_OCTETS];
    if (c->argc < 2)
        return answer_error("purge: which zone?");
    if (name_parse(c->argv[1], name, &why) < 0)
        return answer_error(why.text);
    if (zone_table_get(c->server->zones, name)) {
        why_set(&why, -E_EXISTS,
                "zone %s is configured: only what is kept of zones that are not can be purged",
                c->argv[1]);
        return answer_error(why.text);
    }
    if (journal_purge(c->server->journal, name, &why))
        return answer_error(why.text);
    log_notice("purge asked for by the operator", LOG_KV("zone", LOG_S(c->argv[1])));
    return answer_ok(
        mem_printf("zone %s: what the journal has of it is being deleted\n", c->argv[1]));
}

static char *do_zones(struct command *c)
{
    size_t n, len = 0;
    char *text = NULL;
    FILE *f = open_memstream(&text, &len);
    struct zone **list = zone_table_list(c->server->zones, &n);
    for (size_t i = 0; i < n; i++) {
        fprintf(f, "%s\n", list[i]->text);
        zone_unref(list[i]);
    }
    mem_free(&list);
    fclose(f);
    char *reply = mem_printf("0\n%s", text);
    free(text);
    return reply;
}

static const struct {
    const char *name;
    char *(*run)(struct command *);
} commands[] = {
    {"status", do_status}, {"retransfer", do_retransfer}, {"notify", do_notify},
    {"reload", do_reload}, {"approve", do_approve},       {"discard", do_discard},
    {"keys", do_keys},     {"purge", do_purge},           {"zones", do_zones},
    {"parent", do_parent}, {"foreign", do_foreign},       {"signers", do_signers},
    {"modes", do_modes},
};

static char *command_run(struct server *server, char *request, size_t len)
{
    struct command c = {.server = server};
    for (char *p = request; p < request + len && *p; p += strlen(p) + 1) {
        if (c.argc == WORDS_MAX)
            return answer_error("too many words");
        c.argv[c.argc++] = p;
    }
    for (size_t i = 0; c.argc && i < sizeof commands / sizeof commands[0]; i++)
        if (!strcmp(commands[i].name, c.argv[0]))
            /* cppcheck-suppress returnDanglingLifetime ; the reply never points into c */
            return commands[i].run(&c);
    return answer_error("unknown request");
}

/* ---- clients
 * -------------------------------------------------------------------------------------------- */

static void client_close(struct client *cl)
{
    struct control *c = cl->control;
    ev_io_stop(control_ev(c), &cl->io);
    ev_timer_stop(control_ev(c), &cl->timer);
    close(cl->io.fd);
    for (struct client **p = &c->clients; *p; p = &(*p)->next)
        if (*p == cl) {
            *p = cl->next;
            break;
        }
    c->nclients--;
    free(cl->reply);
    mem_free(&cl);
}

static void client_late(struct ev_loop *ev, ev_timer *w, int events)
{
    (void)ev;
    (void)events;
    client_close(w->data);
}

static void client_write(struct client *cl)
{
    while (cl->sent < cl->reply_len) {
        ssize_t n = send(cl->io.fd, cl->reply + cl->sent, cl->reply_len - cl->sent, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0)
            break;
        cl->sent += (size_t)n;
        ev_timer_again(control_ev(cl->control), &cl->timer);
    }
    client_close(cl);
}

static bool request_complete(const char *p, size_t len)
{
    return len && !p[len - 1] && (len == 1 || !p[len - 2]);
}

static void client_read(struct client *cl)
{
    ssize_t n = recv(cl->io.fd, cl->request + cl->got, sizeof cl->request - cl->got, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        client_close(cl);
        return;
    }
    cl->got += (size_t)n;
    if (request_complete(cl->request, cl->got))
        cl->reply = command_run(cl->control->server, cl->request, cl->got);
    else if (cl->got == sizeof cl->request)
        cl->reply = answer_error("the request is too long");
    else
        return;
    cl->reply_len = strlen(cl->reply);
    ev_io_stop(control_ev(cl->control), &cl->io);
    ev_io_set(&cl->io, cl->io.fd, EV_WRITE);
    ev_io_start(control_ev(cl->control), &cl->io);
}

static void client_ready(struct ev_loop *ev, ev_io *w, int events)
{
    (void)ev;
    (void)events;
    struct client *cl = w->data;
    if (cl->reply)
        client_write(cl);
    else
        client_read(cl);
}

/* The socket stays readable while there is nobody to accept: look away, or the loop spins. */
static void control_rest(struct control *c, int error)
{
    static struct log_gate gate;
    uint64_t skipped = 0;
    c->server->control_rests++;
    if (log_gate_open(&gate, LOG_EVERY_S, &skipped))
        log_warn("cannot accept on the control socket for a while",
                 LOG_KV("socket", LOG_S(c->path)), LOG_KV("reason", LOG_S(strerror(error))),
                 LOG_KV("skipped", LOG_U(skipped)));
    ev_io_stop(control_ev(c), &c->io);
    ev_now_update(control_ev(c));
    ev_timer_set(&c->resume, LISTEN_REST_MS / 1e3, 0);
    ev_timer_start(control_ev(c), &c->resume);
}

static void control_resume(struct ev_loop *ev, ev_timer *timer, int events)
{
    (void)events;
    struct control *c = timer->data;
    ev_io_start(ev, &c->io);
}

static void control_accept(struct ev_loop *ev, ev_io *w, int events)
{
    (void)events;
    struct control *c = w->data;
    int fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (listen_exhausted(errno))
            control_rest(c, errno);
        return;
    }
    if (c->nclients == CONTROL_CLIENTS) {
        close(fd);
        return;
    }
    struct client *cl = mem_zalloc(sizeof *cl);
    cl->control = c;
    cl->next = c->clients;
    c->clients = cl;
    c->nclients++;
    cl->io.data = cl->timer.data = cl;
    ev_io_init(&cl->io, client_ready, fd, EV_READ);
    ev_io_start(ev, &cl->io);
    ev_init(&cl->timer, client_late);
    cl->timer.repeat = client_time_s;
    ev_timer_again(ev, &cl->timer);
}

/* ---- the socket
 * ----------------------------------------------------------------------------------------- */

static int socket_address(const char *path, struct sockaddr_un *out, struct why *why)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof out->sun_path)
        return why_set(why, -E_CONF, "the control socket's path is longer than %zu octets: %s",
                       sizeof out->sun_path - 1, path);
    memcpy(out->sun_path, path, strlen(path));
    return 0;
}

static int socket_connect(const struct sockaddr_un *at)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)at, sizeof *at)) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

static int socket_listen(const struct sockaddr_un *at, int *out, struct why *why)
{
    int living = socket_connect(at);
    if (living >= 0) {
        close(living);
        return why_set(why, -E_IO, "another weir listens on the control socket %s", at->sun_path);
    }
    /* connect() says the same of any other file: only a socket may be left over from a weir. */
    struct stat st;
    if (errno == ECONNREFUSED && !lstat(at->sun_path, &st) && S_ISSOCK(st.st_mode))
        unlink(at->sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    mode_t before = umask(0177);
    int failed = fd < 0 || bind(fd, (const struct sockaddr *)at, sizeof *at) || listen(fd, 16);
    umask(before);
    if (failed) {
        int err = why_set(why, -E_IO, "cannot open the control socket %s: %s", at->sun_path,
                          strerror(errno));
        if (fd >= 0)
            close(fd);
        return err;
    }
    *out = fd;
    return 0;
}

int control_new(struct server *server, const char *path, struct control **out, struct why *why)
{
    struct sockaddr_un at;
    int fd = -1;
    int err = socket_address(path, &at, why);
    if (!err)
        err = socket_listen(&at, &fd, why);
    if (err)
        return err;
    struct control *c = mem_zalloc(sizeof *c);
    c->server = server;
    c->path = mem_strdup(path);
    c->fd = fd;
    c->io.data = c->resume.data = c;
    ev_timer_init(&c->resume, control_resume, 0, 0);
    ev_io_init(&c->io, control_accept, fd, EV_READ);
    ev_io_start(control_ev(c), &c->io);
    *out = c;
    return 0;
}

void control_free(struct control **cp)
{
    struct control *c = *cp;
    if (!c)
        return;
    while (c->clients)
        client_close(c->clients);
    ev_io_stop(control_ev(c), &c->io);
    ev_timer_stop(control_ev(c), &c->resume);
    close(c->fd);
    unlink(c->path);
    mem_free(&c->path);
    mem_free(cp);
}

/* ---- the asking side
 * ------------------------------------------------------------------------------------ */

static int reply_copy(int fd, FILE *out, struct why *why)
{
    char buf[65536];
    int code = -1;
    size_t skip = 2;
    for (;;) {
        ssize_t n = read(fd, buf, sizeof buf);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        char *p = buf;
        if (code < 0)
            code = *p == '0' ? 0 : 1;
        while (n && skip) {
            p++;
            n--;
            skip--;
        }
        fwrite(p, 1, (size_t)n, out);
    }
    return code >= 0
               ? code
               : why_set(why, -E_CLOSED, "weir closed the control connection without an answer");
}

int control_ask(const char *path, int argc, char *const *argv, FILE *out, struct why *why)
{
    struct sockaddr_un at;
    char request[REQUEST_MAX];
    size_t len = 0;
    int err = socket_address(path, &at, why);
    if (err)
        return err;
    for (int i = 0; i < argc; i++) {
        size_t n = strlen(argv[i]) + 1;
        if (n == 1 || len + n + 1 > sizeof request)
            return why_set(why, -E_LIMIT, "the request is too long, or has an empty word");
        memcpy(request + len, argv[i], n);
        len += n;
    }
    request[len++] = 0;
    int fd = socket_connect(&at);
    if (fd < 0)
        return why_set(why, -E_IO,
                       "cannot reach weir at %s: %s (is it running with this configuration?)", path,
                       strerror(errno));
    err = send(fd, request, len, MSG_NOSIGNAL) == (ssize_t)len
              ? reply_copy(fd, out, why)
              : why_set(why, -E_IO, "cannot send to %s: %s", path, strerror(errno));
    close(fd);
    return err;
}
