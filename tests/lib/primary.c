/* primary: see primary.h. One thread polls its sockets; an answer that has to wait at a gate is kept as a query and
 * built when the gate opens, with what the play says then.
 */
#include "tests/lib/primary.h"

#include "pipeline/base/alloc.h"
#include "pipeline/base/assert.h"
#include "pipeline/run/address.h"
#include "pipeline/zone/message.h"
#include "pipeline/zone/transfer.h"
#include "tests/lib/home.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { CONNS = 64, WAITING = 512, OUT_MAX = 4 << 20, PER_MESSAGE = 50, DRIP_MS = 10 };

const struct primary_play primary_good = {
    .serial = 10, .refresh = 3600, .retry = 600, .expire = 86400, .records = 5};

struct query {
    struct address from; /* UDP */
    uint8_t msg[600];
    size_t len;
};
struct conn {
    int fd; /* -1: free */
    struct query query;
    bool asked, answered, transfer, hangs;
    bool first; /* of all connections */
    uint8_t *out;
    size_t out_len, sent, stop_at;
    bool close_at_stop, drip;
};
struct primary_private {
    pthread_t thread;
    pthread_mutex_t lock; /* for play */
    struct primary_play play;
    _Atomic bool end;
    int udp, listen, wake;
    struct conn conn[CONNS];
    struct query waiting[WAITING]; /* UDP, at the gate */
    size_t nwaiting;
    struct msg_writer writer;
    struct msg_reader reader;
};

static struct primary_play play_now(struct primary *p)
{
    pthread_mutex_lock(&p->private->lock);
    struct primary_play play = p->private->play;
    pthread_mutex_unlock(&p->private->lock);
    return play;
}

/* ---- what it says */

struct asked {
    uint8_t name[NAME_MAX_OCTETS];
    uint16_t id, type;
    bool edns, wants_expire;
    uint32_t serial; /* of an IXFR */
};

/* RFC 5936 2.1.1: one question, no answer, no authority; RFC 1995 3: but the client's SOA in an IXFR. */
static bool head_is_right(const struct msg_reader *r, const struct asked *a)
{
    return r->flags == 0 && r->count[SECTION_QUESTION] == 1 && r->count[SECTION_ANSWER] == 0 &&
           r->count[SECTION_AUTHORITY] == (a->type == RR_IXFR) &&
           (a->type == RR_IXFR || a->type == RR_AXFR || a->type == RR_SOA);
}

static bool asked_read(struct primary *p, const struct query *q, struct asked *out)
{
    struct msg_reader *r = &p->private->reader;
    struct rr rr;
    struct why why;
    uint16_t class;
    int more;
    *out = (struct asked){.edns = false};
    if (msg_open(r, q->msg, q->len, &why) ||
        msg_question(r, out->name, &out->type, &class, &why) <= 0)
        return false;
    out->id = r->id;
    bool odd = !head_is_right(r, out) || class != CLASS_IN;
    while ((more = msg_next(r, &rr, &why)) > 0) {
        bool soa =
            rr.type == RR_SOA && rr.section == SECTION_AUTHORITY && name_equal(rr.owner, out->name);
        bool opt = rr.type == RR_OPT && rr.section == SECTION_ADDITIONAL && !out->edns;
        odd |= !soa && !opt; /* RFC 5936 2.1.5; nobody here has a key */
        out->edns |= opt;
        out->wants_expire |= opt && rr.len == 4 && rr.rdata[1] == EDNS_EXPIRE;
        if (soa)
            out->serial = get_u32(rr.rdata + rr.len - 20);
    }
    if (odd || more < 0)
        atomic_fetch_add(&p->odd, 1);
    return true;
}

static void put_soa(struct msg_writer *w, const struct asked *a, const struct primary_play *play,
                    uint32_t serial)
{
    uint8_t rdata[2 * NAME_MAX_OCTETS + 20];
    size_t n = name_copy(rdata, a->name);
    n += name_copy(rdata + n, a->name);
    const uint32_t field[] = {serial, play->refresh, play->retry, play->expire, 300};
    for (int i = 0; i < 5; i++, n += 4)
        put_u32(rdata + n, field[i]);
    ASSERT(msg_put_rr(w, SECTION_ANSWER, a->name, RR_SOA, CLASS_IN, 3600, rdata, (uint16_t)n));
}

static void put_expire(struct msg_writer *w, const struct asked *a, const struct primary_play *play)
{
    uint8_t option[8] = {0, EDNS_EXPIRE, 0, 4};
    put_u32(option + 4, play->expire_in_s);
    if (play->has_expire && a->wants_expire)
        ASSERT(msg_put_opt(w, 1232, 0, false, option, sizeof option));
}

static size_t soa_answer(struct primary *p, const struct asked *a, const struct primary_play *play,
                         bool tcp, uint8_t *out)
{
    struct msg_writer *w = &p->private->writer;
    static const uint8_t other[] = {5, 'o', 't', 'h', 'e', 'r', 0};
    uint16_t flags = MSG_QR | (play->soa == PRIMARY_NO_AA ? 0 : MSG_AA);
    bool formerr = play->soa == PRIMARY_KNOWS_NO_EDNS && a->edns;
    if (play->soa == PRIMARY_TRUNCATES && !tcp)
        flags |= MSG_TC;
    if (play->soa == PRIMARY_SAYS_REFUSED)
        flags |= RCODE_REFUSED;
    if (formerr)
        flags |= RCODE_FORMERR;
    msg_begin(w, out, MSG_MAX, a->id, flags);
    bool fits = msg_put_question(w, play->soa == PRIMARY_WRONG_QUESTION ? other : a->name, RR_SOA,
                                 CLASS_IN);
    ASSERT(fits);
    if (!formerr && play->soa != PRIMARY_NO_SOA && play->soa != PRIMARY_SAYS_REFUSED &&
        !(flags & MSG_TC))
        put_soa(w, a, play, play->serial);
    if (!formerr)
        put_expire(w, a, play);
    return msg_end(w);
}

/* ---- AXFR */

struct stream {
    struct msg_writer *w;
    struct conn *c;
    const struct asked *a;
    const struct primary_play *play;
    unsigned messages;
};

static void message_begin(struct stream *s)
{
    const struct primary_play *play = s->play;
    static const uint8_t other[] = {5, 'o', 't', 'h', 'e', 'r', 0};
    uint16_t flags = MSG_QR | MSG_AA, id = s->a->id;
    if (play->axfr == PRIMARY_XFR_WRONG_ID)
        id++;
    if (play->axfr == PRIMARY_TC && s->messages == 1)
        flags |= MSG_TC;
    if (play->axfr == PRIMARY_RCODE)
        flags |= RCODE_SERVFAIL;
    msg_begin(s->w, s->c->out + s->c->out_len + 2, MSG_MAX, id, flags);
    bool fits = msg_put_question(
        s->w, play->axfr == PRIMARY_XFR_WRONG_QUESTION ? other : s->a->name, s->a->type, CLASS_IN);
    ASSERT(fits);
}

static void message_end(struct stream *s)
{
    if (s->messages == 0)
        put_expire(s->w, s->a, s->play);
    size_t len = msg_end(s->w);
    put_u16(s->c->out + s->c->out_len, (uint16_t)len);
    s->c->out_len += 2 + len;
    s->messages++;
    if (s->play->axfr == PRIMARY_EMPTY_MESSAGE && s->messages == 1) {
        put_u16(s->c->out + s->c->out_len, 0);
        s->c->out_len += 2;
    }
    ASSERT(s->c->out_len < OUT_MAX - 2 * MSG_MAX);
}

static void put_host(struct stream *s, unsigned i)
{
    uint8_t owner[NAME_MAX_OCTETS], address[4] = {192, 0, (uint8_t)(i >> 8), (uint8_t)i};
    uint16_t class = CLASS_IN, len = 4;
    owner[0] = (uint8_t)snprintf((char *)owner + 1, 16, "h%u", i);
    name_copy(owner + 1 + owner[0], s->a->name);
    if (i == 1 && s->play->axfr == PRIMARY_OUTSIDE)
        name_copy(owner + 1 + owner[0], (const uint8_t *)"\7outside\7invalid");
    if (i == 1 && s->play->axfr == PRIMARY_CHAOS_CLASS)
        class = CLASS_CH;
    if (i == 1 && s->play->axfr == PRIMARY_SHORT_RDATA)
        len = 3;
    bool fits = msg_put_rr(s->w, SECTION_ANSWER, owner, RR_A, class, 300, address, len);
    ASSERT(fits);
}

static void axfr_answer(struct primary *p, struct conn *c, const struct asked *a,
                        const struct primary_play *play)
{
    struct stream s = {&p->private->writer, c, a, play, 0};
    bool other_last = play->axfr == PRIMARY_OTHER_SERIAL_LAST;
    uint32_t serial = play->axfr == PRIMARY_SERVES_OLDER ? play->serial - 5 : play->serial;
    size_t first = 0;
    message_begin(&s);
    if (play->axfr != PRIMARY_RCODE) {
        if (play->axfr == PRIMARY_NOT_IT)
            put_host(&s, 0);
        put_soa(s.w, a, play, serial);
        uint8_t ns[NAME_MAX_OCTETS] = {2, 'n', 's'};
        name_copy(ns + 3, a->name);
        bool fits = msg_put_rr(s.w, SECTION_ANSWER, a->name, RR_NS, CLASS_IN, 300, ns,
                               (uint16_t)name_len(ns));
        ASSERT(fits);
        for (unsigned i = 0; i < play->records; i++) {
            if (i && i % PER_MESSAGE == 0) {
                message_end(&s);
                first = first ? first : c->out_len;
                message_begin(&s);
            }
            put_host(&s, i);
        }
        put_soa(s.w, a, play, other_last ? serial + 1 : serial);
    }
    message_end(&s);
    c->stop_at = c->out_len;
    c->drip = play->axfr == PRIMARY_DRIPS;
    c->hangs = play->axfr == PRIMARY_STALLS;
    if (play->axfr == PRIMARY_DIES || play->axfr == PRIMARY_STALLS)
        c->stop_at = c->out_len / 2;
    if (play->axfr == PRIMARY_DIES_BETWEEN)
        c->stop_at = first;
    c->close_at_stop |= play->axfr == PRIMARY_DIES || play->axfr == PRIMARY_DIES_BETWEEN;
}

/* ---- IXFR */

static void rcode_answer(struct stream *s, uint16_t rcode)
{
    msg_begin(s->w, s->c->out + 2, MSG_MAX, s->a->id, MSG_QR | MSG_AA | rcode);
    bool fits = msg_put_question(s->w, s->a->name, s->a->type, CLASS_IN) &&
                (rcode == RCODE_FORMERR || msg_put_opt(s->w, 1232, 0, false, NULL, 0));
    ASSERT(fits);
    size_t len = msg_end(s->w);
    put_u16(s->c->out, (uint16_t)len);
    s->c->out_len = s->c->stop_at = 2 + len;
}

static void differences(struct stream *s)
{
    struct primary_play behind = *s->play, *play = &behind;
    if (play->ixfr == PRIMARY_IXFR_BEHIND && s->c->first)
        behind.serial--;
    bool current = play->ixfr == PRIMARY_IXFR_CURRENT || !serial_newer(play->serial, s->a->serial);
    message_begin(s);
    put_soa(s->w, s->a, play, current ? s->a->serial : play->serial);
    if (!current) {
        put_soa(s->w, s->a, play, s->a->serial);
        if (play->ixfr == PRIMARY_IXFR_ABSENT)
            put_host(s, 999999);
        put_soa(s->w, s->a, play, play->serial);
        put_soa(s->w, s->a, play, play->serial);
    }
    message_end(s);
    if (play->ixfr == PRIMARY_IXFR_LATE_END) {
        message_begin(s);
        put_host(s, 1);
        message_end(s);
    }
    s->c->stop_at = s->c->out_len;
    if (play->ixfr == PRIMARY_IXFR_DIES) {
        s->c->close_at_stop = true;
        s->c->stop_at /= 2;
    }
}

static void ixfr_answer(struct primary *p, struct conn *c, const struct asked *a,
                        const struct primary_play *play)
{
    struct stream s = {&p->private->writer, c, a, play, 0};
    switch (play->ixfr) {
    case PRIMARY_IXFR_NOTIMP:
        rcode_answer(&s, RCODE_NOTIMP);
        return;
    case PRIMARY_IXFR_FORMERR:
        rcode_answer(&s, RCODE_FORMERR);
        return;
    case PRIMARY_IXFR_SERVFAIL:
        rcode_answer(&s, RCODE_SERVFAIL);
        return;
    case PRIMARY_IXFR_REFUSED:
        rcode_answer(&s, RCODE_REFUSED);
        return;
    case PRIMARY_IXFR_CLOSES:
        c->close_at_stop = true;
        return;
    case PRIMARY_IXFR_FULL:
        axfr_answer(p, c, a, play);
        return;
    default:
        differences(&s);
        return;
    }
}

/* ---- UDP */

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

static void udp_reply(struct primary *p, const struct query *q)
{
    struct primary_play play = play_now(p);
    struct asked a;
    uint8_t out[MSG_MAX];
    if (!asked_read(p, q, &a) || play.soa == PRIMARY_SILENT)
        return;
    size_t len = soa_answer(p, &a, &play, false, out);
    if (play.soa == PRIMARY_WRONG_ID || play.soa == PRIMARY_ALWAYS_WRONG_ID) {
        put_u16(out, (uint16_t)(a.id + 1));
        (void)!sendto(p->private->udp, out, len, 0, &q->from.sa, q->from.len);
        put_u16(out, a.id);
        if (play.soa == PRIMARY_ALWAYS_WRONG_ID)
            return;
    }
    (void)!sendto(p->private->udp, out, len, 0, &q->from.sa, q->from.len);
}

static void udp_read(struct primary *p)
{
    struct primary_private *x = p->private;
    struct query q = {.from.len = sizeof q.from.v6};
    struct asked a;
    ssize_t n;
    while ((n = recvfrom(x->udp, q.msg, sizeof q.msg, 0, &q.from.sa, &q.from.len)) >= 0) {
        q.len = (size_t)n;
        atomic_store(&p->soa_at_us, now_us());
        if (asked_read(p, &q, &a)) {
            atomic_fetch_add(&p->edns, a.edns);
            atomic_fetch_add(&p->odd, a.type != RR_SOA); /* RFC 5936 4.2: no AXFR over UDP */
        }
        atomic_fetch_add(&p->soa_udp, 1); /* before the answer: who has that may look */
        if (play_now(p).gate_soa) {
            ASSERT(x->nwaiting < WAITING);
            x->waiting[x->nwaiting++] = q;
        } else {
            udp_reply(p, &q);
        }
        q.from.len = sizeof q.from.v6;
    }
}

/* ---- TCP */

static void conn_close(struct primary *p, struct conn *c)
{
    if (c->transfer)
        atomic_fetch_sub(&p->transfers_now, 1);
    close(c->fd);
    mem_free(&c->out);
    *c = (struct conn){.fd = -1};
}

static void conn_accept(struct primary *p)
{
    struct primary_private *x = p->private;
    int fd = accept4(x->listen, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        atomic_fetch_add(&p->connections, 1);
    for (int i = 0; fd >= 0 && i < CONNS; i++)
        if (x->conn[i].fd < 0) {
            x->conn[i] = (struct conn){
                .fd = fd, .out = mem_alloc(OUT_MAX), .first = atomic_load(&p->connections) == 1};
            return;
        }
    ASSERT(fd < 0);
}

static void conn_answer(struct primary *p, struct conn *c)
{
    struct primary_play play = play_now(p);
    struct asked a;
    struct query q = {.len = c->query.len - 2};
    memcpy(q.msg, c->query.msg + 2, q.len);
    if (!asked_read(p, &q, &a)) {
        conn_close(p, c);
        return;
    }
    if (!c->asked) {
        c->asked = true;
        c->transfer = a.type == RR_AXFR || a.type == RR_IXFR;
        if (c->transfer) {
            unsigned now = atomic_fetch_add(&p->transfers_now, 1) + 1;
            if (now > atomic_load(&p->transfers_most))
                atomic_store(&p->transfers_most, now);
        }
        atomic_fetch_add(a.type == RR_IXFR ? &p->ixfr : c->transfer ? &p->axfr : &p->soa_tcp, 1);
        if (a.type == RR_IXFR)
            atomic_store(&p->ixfr_serial, a.serial);
    }
    if (a.type == RR_AXFR ? play.gate_axfr : a.type == RR_SOA && play.gate_soa)
        return;
    c->answered = true;
    c->close_at_stop = play.closes;
    if (play.tcp_formerr && a.edns) {
        struct stream s = {&p->private->writer, c, &a, &play, 0};
        rcode_answer(&s, RCODE_FORMERR);
        return;
    }
    if (a.type == RR_IXFR) {
        ixfr_answer(p, c, &a, &play);
        return;
    }
    if (c->transfer) {
        axfr_answer(p, c, &a, &play);
        return;
    }
    size_t len = soa_answer(p, &a, &play, true, c->out + 2);
    put_u16(c->out, (uint16_t)len);
    c->out_len = c->stop_at = 2 + len;
}

static void conn_look(struct primary *p, struct conn *c);

static void conn_read(struct primary *p, struct conn *c)
{
    ssize_t n = recv(c->fd, c->query.msg + c->query.len, sizeof c->query.msg - c->query.len, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        conn_close(p, c);
        return;
    }
    c->query.len += (size_t)n;
    conn_look(p, c);
}

/* All of an answer is out: the connection is ready for another query, which may be there already. */
static void conn_ready(struct primary *p, struct conn *c)
{
    size_t first = 2u + get_u16(c->query.msg);
    if (c->transfer)
        atomic_fetch_sub(&p->transfers_now, 1);
    c->asked = c->answered = c->transfer = c->drip = false;
    c->out_len = c->sent = c->stop_at = 0;
    c->query.len -= first;
    memmove(c->query.msg, c->query.msg + first, c->query.len);
    conn_look(p, c);
}

static void conn_look(struct primary *p, struct conn *c)
{
    if (!c->asked && c->query.len >= 2 && c->query.len >= 2u + get_u16(c->query.msg))
        conn_answer(p, c);
}

static void conn_write(struct primary *p, struct conn *c)
{
    size_t left = c->stop_at - c->sent;
    ssize_t n = send(c->fd, c->out + c->sent, c->drip ? 1 : left, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        conn_close(p, c);
        return;
    }
    if (n > 0)
        c->sent += (size_t)n;
    if (c->sent == c->stop_at && c->close_at_stop)
        conn_close(p, c);
    else if (c->sent == c->stop_at && !c->hangs)
        conn_ready(p, c);
}

/* ---- the thread */

static void gate_look(struct primary *p)
{
    struct primary_private *x = p->private;
    if (!play_now(p).gate_soa) {
        for (size_t i = 0; i < x->nwaiting; i++)
            udp_reply(p, &x->waiting[i]);
        x->nwaiting = 0;
    }
    for (int i = 0; i < CONNS; i++)
        if (x->conn[i].fd >= 0 && x->conn[i].asked && !x->conn[i].answered)
            conn_answer(p, &x->conn[i]);
}

static void *primary_main(void *arg)
{
    struct primary *p = arg;
    struct primary_private *x = p->private;
    while (!atomic_load(&x->end)) {
        struct pollfd fd[3 + CONNS] = {{.fd = x->udp, .events = POLLIN},
                                       {.fd = x->listen, .events = POLLIN},
                                       {.fd = x->wake, .events = POLLIN}};
        int timeout = -1;
        for (int i = 0; i < CONNS; i++) {
            const struct conn *c = &x->conn[i];
            bool more = c->fd >= 0 && c->answered && c->sent < c->stop_at;
            fd[3 + i] = (struct pollfd){
                .fd = c->fd, .events = (short)(more && !c->drip ? POLLIN | POLLOUT : POLLIN)};
            if (more && c->drip)
                timeout = DRIP_MS;
        }
        (void)poll(fd, 3 + CONNS, timeout);
        uint64_t n;
        if (read(x->wake, &n, sizeof n) == sizeof n)
            gate_look(p);
        udp_read(p);
        conn_accept(p);
        for (int i = 0; i < CONNS; i++) {
            struct conn *c = &x->conn[i];
            if (c->fd >= 0 && fd[3 + i].fd == c->fd && fd[3 + i].revents)
                conn_read(p, c);
            if (c->fd >= 0 && c->answered && c->sent < c->stop_at)
                conn_write(p, c);
            else if (c->fd >= 0 && c->answered && c->close_at_stop)
                conn_close(p, c);
        }
    }
    return NULL;
}

void primary_play(struct primary *p, const struct primary_play *play)
{
    pthread_mutex_lock(&p->private->lock);
    p->private->play = *play;
    pthread_mutex_unlock(&p->private->lock);
    ASSERT(eventfd_write(p->private->wake, 1) == 0);
}

static int socket_at(const struct address *a, int type)
{
    int one = 1, fd = socket(a->sa.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ASSERT(fd >= 0);
    ASSERT(type == SOCK_DGRAM || !setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
    if (bind(fd, &a->sa, a->len)) {
        perror("primary: bind");
        abort();
    }
    return fd;
}

struct primary *primary_start(const char *address)
{
    struct address a;
    struct why why;
    struct primary *p = mem_zalloc(sizeof *p);
    struct primary_private *x = p->private = mem_zalloc(sizeof *x);
    int err = address_parse(home(address), 53, &a, &why);
    ASSERT(err == 0);
    msg_writer_init(&x->writer);
    pthread_mutex_init(&x->lock, NULL);
    x->play = primary_good;
    for (int i = 0; i < CONNS; i++)
        x->conn[i].fd = -1;
    x->udp = socket_at(&a, SOCK_DGRAM);
    x->listen = socket_at(&a, SOCK_STREAM);
    ASSERT(listen(x->listen, CONNS) == 0);
    x->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    ASSERT(pthread_create(&x->thread, NULL, primary_main, p) == 0);
    return p;
}

void primary_stop(struct primary **pp)
{
    struct primary *p = *pp;
    struct primary_private *x = p->private;
    ASSERT(atomic_load(&p->odd) == 0);
    atomic_store(&x->end, true);
    ASSERT(eventfd_write(x->wake, 1) == 0);
    pthread_join(x->thread, NULL);
    for (int i = 0; i < CONNS; i++)
        if (x->conn[i].fd >= 0)
            conn_close(p, &x->conn[i]);
    close(x->udp);
    close(x->listen);
    close(x->wake);
    pthread_mutex_destroy(&x->lock);
    mem_free(&p->private);
    mem_free(pp);
}
