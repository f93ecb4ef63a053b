/* notify: one NOTIFY a secondary, sent until it is answered.
 *
 *   version accepted ─▶ one target a secondary ─send─▶ waits ─┬─ answer: acked
 *                              ▲                              ├─ NOTIMP, REFUSED: failed, no more tries
 *                              └─── time-out, doubled each ───┴─ tries used up: failed
 *
 * All go out through one socket for IPv4 and one for IPv6; a remote's `source` is set per datagram
 * (IP_PKTINFO), so the number of sockets does not grow with anything. An answer is matched by ID,
 * address and port, and zone; what does not match is dropped. To a remote with a key it goes signed, and an answer
 * that is not signed, or not rightly, is remembered as what was wrong and not believed (RFC 8945 5.4).
 *
 * A zone that changes all the time has one NOTIFY outstanding a secondary: while one was sent less than HOLD_MS ago and is
 * not answered, the next waits for the answer, or for that time to pass. So a secondary that answers is told as fast as it
 * answers, of the newest version at that moment.
 *
 * One change goes out at once. When many zones change together (a restart, a primary's mass update),
 * those past the first MASS in a second are spread at random over the next moments (RFC 1996 4.3).
 *
 * A dead secondary is in the log at its 1st, 2nd, 4th, 8th … failure in a row. */
#include "pipeline/net/notify.h"

#include "pipeline/base/alloc.h"
#include "pipeline/base/json.h"
#include "pipeline/base/log.h"
#include "pipeline/net/loop.h"
#include "pipeline/zone/message.h"
#include "pipeline/zone/tsig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    BUCKETS = 4096, /* of targets by ID */
    SOA_MAX = 2 * NAME_MAX_OCTETS + 20,
    MESSAGE_MAX = 1536,
    ANSWER_MAX = 4096,
    READS_MAX = 256,
    MASS = 100, /* zones a second that are not spread */
    SPREAD_MAX_MS = 5000,
    HOLD_MS = 100,
    FULL_MS = 50, /* the socket was full: once more after this */
    DOUBLINGS_MAX = 16,
};

enum target_state { TARGET_NONE, TARGET_SENT, TARGET_ACKED, TARGET_FAILED };

struct target { /* a secondary of a zone */
    struct notify_zone *nz;
    char *name;
    struct address address, source;
    struct tsig_key *key;    /* a reference, or NULL */
    struct tsig_chain *tsig; /* for the answer to the last try */
    enum target_state state;
    uint32_t serial;
    uint16_t id;
    struct target *next_same; /* in its bucket; in there while TARGET_SENT */
    ev_timer timer;
    unsigned tries;
    double sent;                 /* monotonic: the first try */
    bool newer;                  /* there is a newer version since: tell it when this is settled */
    time_t at;                   /* of the last try or the answer */
    time_t sent_at, answered_at; /* the last try, the last good answer, ever; 0: none */
    uint32_t answered_serial;
    char error[192];   /* of the last failure; empty after an answer */
    unsigned failures; /* versions in a row */
};
struct notify_zone {
    struct notify *n;
    struct zone *zone; /* a reference */
    struct notify_zone *prev, *next;
    double counted; /* in this of the seconds that zones are counted in */
    int64_t retries, timeout_s;
    uint32_t serial;      /* of what is announced */
    uint8_t soa[SOA_MAX]; /* its rdata */
    uint16_t soa_len;
    uint32_t soa_ttl;
    size_t ntargets;
    struct target *target;
};
struct notify_socket {
    int fd; /* -1: not opened, or not possible */
    ev_io io;
};
struct notify {
    struct server *server;
    struct ev_loop *ev;
    struct notify_socket socket[2]; /* IPv4, IPv6 */
    struct notify_zone *zones;
    struct target *bucket[BUCKETS];
    double second; /* of the count of zones */
    unsigned in_second;
    struct msg_writer writer;
    struct msg_reader reader;
};

static void target_begin(struct target *t, double wait);

static const char *const state_word[] = {"none", "sent", "acked", "failed"};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- targets by ID */

static struct target **bucket_of(struct notify *n, uint16_t id)
{
    return &n->bucket[id % BUCKETS];
}

static void target_stop(struct target *t)
{
    struct notify *n = t->nz->n;
    ev_timer_stop(n->ev, &t->timer);
    for (struct target **p = bucket_of(n, t->id); *p; p = &(*p)->next_same)
        if (*p == t) {
            *p = t->next_same;
            break;
        }
    t->next_same = NULL;
}

static void target_wait(struct target *t, double s)
{
    struct ev_loop *ev = t->nz->n->ev;
    ev_timer_stop(ev, &t->timer);
    ev_now_update(ev);
    ev_timer_set(&t->timer, s, 0);
    ev_timer_start(ev, &t->timer);
}

/* ---- outcomes */

static void target_log(const struct target *t, const char *sentence, const char *why)
{
    char who[ADDRESS_TEXT_MAX];
    if (t->failures & (t->failures - 1))
        return;
    log_warn(sentence, LOG_KV("zone", LOG_S(t->nz->zone->text)),
             LOG_KV("secondary", LOG_S(t->name)),
             LOG_KV("address", LOG_S(address_print(&t->address, who))),
             LOG_KV("serial", LOG_U(t->serial)), LOG_KV("tries", LOG_U(t->tries)),
             LOG_KV("why", LOG_S(why)), LOG_KV("failures_in_a_row", LOG_U(t->failures)));
}

static void target_failed(struct target *t)
{
    target_stop(t);
    t->state = TARGET_FAILED;
    t->failures++;
    atomic_fetch_add(&t->nz->zone->counters.notify_out_failed, 1);
    target_log(t, "secondary was not notified: given up until the next version", t->error);
    if (t->newer)
        target_begin(t, 0);
}

static void target_acked(struct target *t)
{
    char who[ADDRESS_TEXT_MAX];
    target_stop(t);
    t->state = TARGET_ACKED;
    t->at = t->answered_at = time(NULL);
    t->answered_serial = t->serial;
    t->error[0] = 0;
    t->failures = 0;
    log_info("secondary notified", LOG_KV("zone", LOG_S(t->nz->zone->text)),
             LOG_KV("secondary", LOG_S(t->name)),
             LOG_KV("address", LOG_S(address_print(&t->address, who))),
             LOG_KV("serial", LOG_U(t->serial)), LOG_KV("tries", LOG_U(t->tries)));
    if (t->newer)
        target_begin(t, 0);
}

/* ---- sending */

static void on_readable(struct ev_loop *ev, ev_io *w, int events);

static int socket_of(struct notify *n, int family)
{
    struct notify_socket *s = &n->socket[family == AF_INET6];
    int one = 1;
    if (s->fd >= 0)
        return s->fd;
    s->fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0)
        return -1;
    if (family == AF_INET6)
        (void)setsockopt(s->fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    ev_io_init(&s->io, on_readable, s->fd, EV_READ);
    s->io.data = n;
    ev_io_start(n->ev, &s->io);
    return s->fd;
}

static size_t message_build(struct target *t, uint8_t msg[MESSAGE_MAX])
{
    const struct notify_zone *nz = t->nz;
    struct msg_writer *w = &nz->n->writer;
    const uint8_t *name = nz->zone->name;
    msg_begin(w, msg, MESSAGE_MAX, t->id, OPCODE_NOTIFY << 11 | MSG_AA);
    bool fits =
        msg_put_question(w, name, RR_SOA, CLASS_IN) &&
        msg_put_rr(w, SECTION_ANSWER, name, RR_SOA, CLASS_IN, nz->soa_ttl, nz->soa, nz->soa_len);
    ASSERT(fits);
    size_t len = msg_end(w);
    if (t->key) {
        struct tsig_mac mac;
        len = tsig_sign(t->key, msg, len, MESSAGE_MAX, (uint64_t)time(NULL), &mac);
        ASSERT(len);
        tsig_chain_free(&t->tsig);
        t->tsig = tsig_chain_new(t->key, &mac);
    }
    return len;
}

/* "Send from here", for a socket that is bound to nothing. */
static size_t source_put(const struct address *source, struct cmsghdr *c)
{
    if (source->sa.sa_family == AF_INET) {
        struct in_pktinfo info = {.ipi_spec_dst = source->v4.sin_addr};
        c->cmsg_level = IPPROTO_IP;
        c->cmsg_type = IP_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof info);
        memcpy(CMSG_DATA(c), &info, sizeof info);
        return CMSG_SPACE(sizeof info);
    }
    struct in6_pktinfo info = {.ipi6_addr = source->v6.sin6_addr,
                               .ipi6_ifindex = source->v6.sin6_scope_id};
    c->cmsg_level = IPPROTO_IPV6;
    c->cmsg_type = IPV6_PKTINFO;
    c->cmsg_len = CMSG_LEN(sizeof info);
    memcpy(CMSG_DATA(c), &info, sizeof info);
    return CMSG_SPACE(sizeof info);
}

static int datagram_send(struct target *t)
{
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(struct in6_pktinfo))] = {0};
    uint8_t msg[MESSAGE_MAX];
    struct iovec iov = {msg, message_build(t, msg)};
    struct msghdr h = {.msg_name = &t->address.sa,
                       .msg_namelen = t->address.len,
                       .msg_iov = &iov,
                       .msg_iovlen = 1};
    int fd = socket_of(t->nz->n, t->address.sa.sa_family);
    if (t->source.len) {
        h.msg_control = control;
        h.msg_controllen = source_put(&t->source, (struct cmsghdr *)(void *)control);
    }
    return fd >= 0 && sendmsg(fd, &h, MSG_NOSIGNAL) >= 0 ? 0 : errno;
}

static void target_send(struct target *t)
{
    int error = datagram_send(t);
    if (error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS || error == EINTR) {
        target_wait(t, FULL_MS / 1e3);
        return;
    }
    double wait = (double)t->nz->timeout_s;
    for (unsigned i = 0; i < t->tries && i < DOUBLINGS_MAX; i++)
        wait *= 2;
    if (t->tries++ == 0)
        t->sent = now_s();
    t->at = t->sent_at = time(NULL);
    if (error)
        (void)snprintf(t->error, sizeof t->error, "cannot send: %s", strerror(error));
    target_wait(t, wait);
}

/* The zone's version of now, after `wait`. */
static void target_begin(struct target *t, double wait)
{
    struct notify_zone *nz = t->nz;
    target_stop(t);
    t->newer = false;
    t->serial = nz->serial;
    t->id = (uint16_t)arc4random();
    t->state = TARGET_SENT;
    t->tries = 0;
    t->error[0] = 0;
    t->next_same = *bucket_of(nz->n, t->id);
    *bucket_of(nz->n, t->id) = t;
    atomic_fetch_add(&nz->zone->counters.notify_out, 1);
    if (wait > 0)
        target_wait(t, wait);
    else
        target_send(t);
}

/* There is a newer version than the one that t is about. */
static void target_renew(struct target *t, double wait)
{
    double left = t->sent + HOLD_MS / 1e3 - now_s();
    if (t->state != TARGET_SENT || t->tries != 1 || left <= 0) {
        target_begin(t, wait);
        return;
    }
    t->newer = true;
    target_wait(t, left > wait ? left : wait);
}

static void on_timer(struct ev_loop *ev, ev_timer *w, int events)
{
    (void)ev;
    (void)events;
    struct target *t = w->data;
    if (t->newer) {
        target_begin(t, 0);
        return;
    }
    if (t->tries && !t->error[0])
        (void)snprintf(t->error, sizeof t->error, "no answer");
    if ((int64_t)t->tries > t->nz->retries)
        target_failed(t);
    else
        target_send(t);
}

/* ---- answers */

static bool answers(struct notify *n, const struct target *t, const struct address *from,
                    const uint8_t *name)
{
    (void)n;
    if (!name_equal(name, t->nz->zone->name) || !address_same_host(from, &t->address))
        return false;
    return from->sa.sa_family == AF_INET ? from->v4.sin_port == t->address.v4.sin_port
                                         : from->v6.sin6_port == t->address.v6.sin6_port;
}

static struct target *answer_target(struct notify *n, const uint8_t *msg, size_t len,
                                    const struct address *from)
{
    struct msg_reader *r = &n->reader;
    uint8_t name[NAME_MAX_OCTETS];
    uint16_t type, class;
    struct why why;
    if (msg_open(r, msg, len, &why) || !(r->flags & MSG_QR) ||
        msg_opcode(r->flags) != OPCODE_NOTIFY || r->count[SECTION_QUESTION] != 1 ||
        msg_question(r, name, &type, &class, &why) <= 0 || type != RR_SOA || class != CLASS_IN)
        return NULL;
    for (struct target *t = *bucket_of(n, r->id); t; t = t->next_same)
        if (t->id == r->id && t->tries && answers(n, t, from, name))
            return t;
    return NULL;
}

static void answer_take(struct notify *n, const uint8_t *msg, size_t len,
                        const struct address *from)
{
    struct target *t = answer_target(n, msg, len, from);
    if (!t)
        return;
    struct why why = {""};
    if (t->tsig && tsig_chain_take(t->tsig, msg, len, (uint64_t)time(NULL), &why)) {
        atomic_fetch_add(&t->nz->zone->counters.tsig_failed, 1);
        (void)snprintf(t->error, sizeof t->error, "%s", why.text);
        return;
    }
    unsigned rcode = msg_rcode(n->reader.flags);
    if (rcode == RCODE_NOERROR) {
        target_acked(t);
        return;
    }
    (void)snprintf(t->error, sizeof t->error, "it answered with RCODE %s", rcode_text(rcode));
    if (rcode == RCODE_NOTIMP || rcode == RCODE_REFUSED)
        target_failed(t);
}

static void on_readable(struct ev_loop *ev, ev_io *w, int events)
{
    (void)ev;
    (void)events;
    struct notify *n = w->data;
    uint8_t msg[ANSWER_MAX];
    for (int i = 0; i < READS_MAX; i++) {
        struct address from = {.len = sizeof from.v6};
        ssize_t len = recvfrom(w->fd, msg, sizeof msg, 0, &from.sa, &from.len);
        if (len < 0 && errno != EINTR)
            return;
        if (len >= 0)
            answer_take(n, msg, (size_t)len, &from);
    }
}

/* ---- zones */

static void targets_free(struct target **target, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        target_stop(&(*target)[i]);
        mem_free(&(*target)[i].name);
        tsig_key_unref((*target)[i].key);
        tsig_chain_free(&(*target)[i].tsig);
    }
    mem_free(target);
}

/* As the configuration has them now. What is known of one is kept; what is outstanding is not: a newer version replaces it. */
static void targets_set(struct notify_zone *nz, const struct zone_conf *conf)
{
    struct target *old = nz->target;
    size_t nold = nz->ntargets;
    nz->ntargets = conf->nnotify;
    nz->target = mem_array(conf->nnotify + 1, sizeof nz->target[0]);
    for (size_t i = 0; i < conf->nnotify; i++) {
        const struct remote_conf *r = conf->notify[i];
        struct target *t = &nz->target[i];
        t->nz = nz;
        t->name = mem_strdup(r->name);
        t->address = r->address;
        t->source = r->source;
        t->key = r->key ? tsig_key_ref(r->key) : NULL;
        ev_timer_init(&t->timer, on_timer, 0, 0);
        t->timer.data = t;
        for (size_t j = 0; j < nold; j++)
            if (address_same_host(&old[j].address, &r->address) &&
                strcmp(old[j].name, r->name) == 0) {
                t->failures = old[j].failures;
                t->sent_at = old[j].sent_at;
                t->answered_at = old[j].answered_at;
                t->answered_serial = old[j].answered_serial;
            }
    }
    targets_free(&old, nold);
}

static void zone_forget(struct notify_zone *nz)
{
    struct notify *n = nz->n;
    targets_free(&nz->target, nz->ntargets);
    if (nz->prev)
        nz->prev->next = nz->next;
    else
        n->zones = nz->next;
    if (nz->next)
        nz->next->prev = nz->prev;
    nz->zone->net_notify = NULL;
    zone_unref(nz->zone);
    mem_free(&nz);
}

static struct notify_zone *zone_find(struct notify *n, struct zone *zone)
{
    struct notify_zone *nz = zone->net_notify;
    if (nz)
        return nz;
    nz = mem_zalloc(sizeof *nz);
    nz->n = n;
    nz->zone = zone_ref(zone);
    nz->next = n->zones;
    if (nz->next)
        nz->next->prev = nz;
    n->zones = nz;
    zone->net_notify = nz;
    return nz;
}

/* How long this zone waits before its first try. */
static double spread(struct notify *n, struct notify_zone *nz)
{
    double now = now_s();
    if (now - n->second >= 1) {
        n->second = now;
        n->in_second = 0;
    }
    if (nz->counted == n->second)
        return 0; /* one that changes all the time is not many */
    nz->counted = n->second;
    if (++n->in_second <= MASS)
        return 0;
    unsigned most = (n->in_second - MASS) * 10;
    return arc4random_uniform(most < SPREAD_MAX_MS ? most : SPREAD_MAX_MS) / 1e3;
}

static bool soa_take(struct notify_zone *nz)
{
    struct version *v = zone_version(nz->zone);
    const struct node *apex = v ? snapshot_apex(v->served) : NULL;
    struct rrset set;
    struct rdata rdata;
    bool there = apex && node_rrset(apex, RR_SOA, 0, &set) && rrset_first(&set, &rdata);
    if (there) {
        ASSERT(rdata.len <= SOA_MAX);
        memcpy(nz->soa, rdata.data, rdata.len);
        nz->soa_len = rdata.len;
        nz->soa_ttl = set.ttl;
        nz->serial = v->soa.serial;
    }
    version_unref(v);
    return there;
}

static bool targets_same(const struct notify_zone *nz, const struct zone_conf *conf)
{
    if (nz->ntargets != conf->nnotify)
        return false;
    for (size_t i = 0; i < conf->nnotify; i++) {
        const struct remote_conf *r = conf->notify[i];
        const struct target *t = &nz->target[i];
        if (strcmp(t->name, r->name) != 0 ||
            memcmp(&t->address, &r->address, sizeof r->address) != 0 ||
            memcmp(&t->source, &r->source, sizeof r->source) != 0 ||
            !tsig_key_equal(t->key, r->key))
            return false;
    }
    return true;
}

void notify_zone(struct notify *n, struct zone *zone)
{
    const struct zone_conf *conf = zone_conf_of(zone);
    if (!conf->nnotify && !zone->net_notify)
        return;
    struct notify_zone *nz = zone_find(n, zone);
    nz->retries = conf->notify_retries;
    nz->timeout_s = conf->notify_timeout_s;
    if (!targets_same(nz, conf))
        targets_set(nz, conf);
    if (!nz->ntargets || !soa_take(nz))
        return;
    double wait = spread(n, nz);
    for (size_t i = 0; i < nz->ntargets; i++)
        target_renew(&nz->target[i], wait);
}

void notify_change(struct notify *n, struct zone *zone)
{
    const struct zone_conf *conf = zone_conf_of(zone);
    const struct notify_zone *nz = zone->net_notify;
    if (nz ? !targets_same(nz, conf) : conf->nnotify > 0)
        notify_zone(n, zone);
}

void notify_drop(struct notify *n, struct zone *zone)
{
    (void)n;
    if (zone->net_notify)
        zone_forget(zone->net_notify);
}

static void fetch_json(const struct fetch *f, struct json *json)
{
    json_object(json, "last_transfer");
    json_string(json, "kind", fetch_kind_word[f->kind]);
    if (f->kind != FETCH_AXFR)
        json_uint(json, "from", f->from);
    json_uint(json, "serial", f->to);
    json_uint(json, "octets", f->octets);
    json_int(json, "at", f->at);
    json_end(json);
}

void notify_json(struct notify *n, struct zone *zone, struct json *json)
{
    const struct notify_zone *nz = n ? zone->net_notify : NULL;
    char who[ADDRESS_TEXT_MAX];
    struct fetch fetch;
    json_array(json, "secondaries");
    for (size_t i = 0; nz && i < nz->ntargets; i++) {
        const struct target *t = &nz->target[i];
        json_object(json, NULL);
        json_string(json, "name", t->name);
        json_string(json, "address", address_print(&t->address, who));
        if (t->key)
            json_string(json, "key", tsig_key_text(t->key));
        json_string(json, "state", state_word[t->state]);
        if (t->state != TARGET_NONE) {
            json_uint(json, "serial", t->serial);
            json_uint(json, "tries", t->tries);
            json_int(json, "at", t->at);
        }
        if (t->sent_at)
            json_int(json, "sent_at", t->sent_at);
        if (t->answered_at) {
            json_int(json, "answered_at", t->answered_at);
            json_uint(json, "answered_serial", t->answered_serial);
        }
        if (t->error[0])
            json_string(json, "error", t->error);
        if (fetches_find(&zone->fetches, &t->address, &fetch))
            fetch_json(&fetch, json);
        json_end(json);
    }
    json_end(json);
}

size_t notify_list(struct notify *n, struct zone *zone, struct notify_row *row, size_t most)
{
    const struct notify_zone *nz = n ? zone->net_notify : NULL;
    size_t i = 0;
    for (; nz && i < nz->ntargets && i < most; i++) {
        const struct target *t = &nz->target[i];
        row[i] = (struct notify_row){
            .name = t->name,
            .address = &t->address,
            .state = state_word[t->state],
            .serial = t->serial,
            .sent_at = t->sent_at,
            .answered_at = t->answered_at,
            .answered_serial = t->answered_serial,
            .error = t->error,
        };
    }
    return i;
}

struct notify *notify_new(struct server *server)
{
    struct notify *n = mem_zalloc(sizeof *n);
    n->server = server;
    n->ev = loop_ev(server->control_loop);
    n->socket[0].fd = n->socket[1].fd = -1;
    msg_writer_init(&n->writer);
    return n;
}

void notify_free(struct notify **np)
{
    struct notify *n = *np;
    if (!n)
        return;
    while (n->zones)
        zone_forget(n->zones);
    for (int i = 0; i < 2; i++)
        if (n->socket[i].fd >= 0) {
            ev_io_stop(n->ev, &n->socket[i].io);
            close(n->socket[i].fd);
        }
    mem_free(np);
}
