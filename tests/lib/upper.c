/* upper: see upper.h. */
#include "tests/lib/upper.h"

#include "pipeline/base/alloc.h"
#include "tests/lib/home.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WAITING_MAX = 256, ASKED_MAX = 1024 };

struct asked {
    struct upper_client *client; /* NULL: over UDP */
    struct address from;
    uint8_t msg[ASKED_MAX];
    size_t len;
};
struct upper_client {
    struct upper *u;
    struct upper_client *next;
    ev_io io;
    uint8_t in[ASKED_MAX];
    size_t len;
};
struct upper_private {
    struct ev_loop *ev;
    ev_io udp, tcp;
    struct upper_client *clients;
    struct asked waiting[WAITING_MAX];
    struct msg_reader reader;
    struct msg_writer writer;
    struct tsig_request tsig;
    bool is_signed;
    uint16_t type;      /* that is asked for */
    enum upper_way way; /* that it goes for that */
};

static const uint8_t elsewhere[] = "\3far\4away";

/* ---- what it says */

static void soa_put(struct upper *u, const uint8_t *owner)
{
    uint8_t rdata[2 * NAME_MAX_OCTETS + 20];
    size_t n = name_copy(rdata, owner);
    n += name_copy(rdata + n, owner);
    const uint32_t field[] = {1, 3600, 600, 86400, u->play.soa_minimum};
    for (int i = 0; i < 5; i++, n += 4)
        put_u32(rdata + n, field[i]);
    ASSERT(msg_put_rr(&u->private->writer, SECTION_AUTHORITY, owner, RR_SOA, CLASS_IN,
                      u->play.soa_ttl, rdata, (uint16_t)n));
}

static void ds_put(struct upper *u, const uint8_t *owner, const struct upper_ds *ds, size_t len,
                   uint32_t ttl)
{
    uint8_t rdata[36];
    put_u16(rdata, ds->tag);
    rdata[2] = ds->algorithm;
    rdata[3] = ds->digest_type;
    memset(rdata + 4, ds->fill, 32);
    ASSERT(msg_put_rr(&u->private->writer, SECTION_ANSWER, owner, RR_DS, CLASS_IN, ttl, rdata,
                      (uint16_t)len));
}

static void set_put(struct upper *u, const uint8_t *owner)
{
    const struct upper_play *play = &u->play;
    size_t len = play->way == UPPER_SHORT_DS ? 3 : 36;
    for (unsigned i = play->nds; i-- > 0;) /* the last first: order is the client's business */
        ds_put(u, owner, &play->ds[i], len, i ? play->ttl : play->ttl + 1);
    for (uint16_t i = 0; play->way == UPPER_TOO_MANY_DS && i < 70; i++)
        ds_put(u, owner, &(struct upper_ds){.tag = i, .algorithm = 13, .digest_type = 2}, len, 300);
}

static void ns_put(struct upper *u, unsigned section, const uint8_t *owner)
{
    uint8_t name[] = "\3n00\4AWAY";
    for (unsigned i = u->play.nns; i-- > 0;) {
        name[2] = (uint8_t)('0' + i / 10);
        name[3] = (uint8_t)('0' + i % 10);
        ASSERT(msg_put_rr(&u->private->writer, section, owner, RR_NS, CLASS_IN,
                          i ? u->play.ns_ttl : u->play.ns_ttl + 1, name, sizeof name));
    }
}

static void ns_answer(struct upper *u, const uint8_t *zone)
{
    switch (u->play.ns_way) {
    case UPPER_NS_REFERS:
    case UPPER_NS_WITH_AA:
    case UPPER_NS_NXDOMAIN:
        ns_put(u, SECTION_AUTHORITY, zone);
        break;
    case UPPER_NS_MIXED:
        ns_put(u, SECTION_AUTHORITY, zone);
        ns_put(u, SECTION_AUTHORITY, elsewhere);
        break;
    case UPPER_NS_HAS_CHILD:
    case UPPER_NS_OF_CACHE:
        ns_put(u, SECTION_ANSWER, zone);
        break;
    case UPPER_NS_NONE:
        soa_put(u, name_parent(zone));
        break;
    case UPPER_NS_ELSEWHERE:
        ns_put(u, SECTION_AUTHORITY, name_parent(zone));
        break;
    case UPPER_NS_REFUSED:
    case UPPER_NS_SILENT:
        break;
    }
}

static void records_put(struct upper *u, const uint8_t *zone)
{
    struct msg_writer *w = &u->private->writer;
    const uint8_t *parent = name_parent(zone);
    static const uint8_t ns[] = "\2ns\4away";
    switch (u->private->way) {
    case UPPER_REFERRAL:
        ASSERT(msg_put_rr(w, SECTION_AUTHORITY, parent, RR_NS, CLASS_IN, 300, ns, sizeof ns));
        return;
    case UPPER_IS_THE_CHILD:
        soa_put(u, zone);
        return;
    case UPPER_IS_A_STRANGER:
        soa_put(u, elsewhere);
        return;
    case UPPER_ALIAS:
        ASSERT(msg_put_rr(w, SECTION_ANSWER, zone, RR_CNAME, CLASS_IN, 300, ns, sizeof ns));
        soa_put(u, parent);
        return;
    case UPPER_SAYS_NOTHING:
    case UPPER_SERVFAIL:
    case UPPER_REFUSED:
    case UPPER_BADVERS:
    case UPPER_NOTAUTH:
    case UPPER_FORMERR:
        return;
    case UPPER_NXDOMAIN:
        soa_put(u, parent);
        return;
    default:
        if (u->play.records) {
            u->play.records(u, w, zone, u->private->type);
            return;
        }
        if (u->private->type == RR_NS) {
            ns_answer(u, zone);
            return;
        }
        set_put(u, u->play.way == UPPER_OF_ANOTHER ? elsewhere : zone);
        if (!u->play.nds || u->play.way == UPPER_OF_ANOTHER)
            soa_put(u, parent);
    }
}

static enum upper_way way_for(const struct upper *u, uint16_t type)
{
    return !u->play.type || u->play.type == type ? u->play.way : UPPER_TELLS;
}

static unsigned rcode_of(const struct upper *u, bool edns)
{
    const struct upper_play *play = &u->play;
    bool ns = u->private->type == RR_NS && !play->records;
    switch (u->private->way) {
    case UPPER_NXDOMAIN_WITH_DS:
    case UPPER_NXDOMAIN:
        return RCODE_NXDOMAIN;
    case UPPER_SERVFAIL:
        return RCODE_SERVFAIL;
    case UPPER_REFUSED:
        return RCODE_REFUSED;
    case UPPER_NOTAUTH:
        return RCODE_NOTAUTH;
    case UPPER_FORMERR:
        return RCODE_FORMERR;
    case UPPER_KNOWS_NO_EDNS:
        return edns ? RCODE_FORMERR : RCODE_NOERROR;
    default:
        if (ns && play->ns_way == UPPER_NS_REFUSED)
            return RCODE_REFUSED;
        return play->nxdomain || (ns && play->ns_way == UPPER_NS_NXDOMAIN) ? RCODE_NXDOMAIN
                                                                           : RCODE_NOERROR;
    }
}

static uint16_t flags_of(const struct upper *u, bool tcp, bool edns)
{
    enum upper_way way = u->private->way;
    enum upper_ns_way ns_way = u->play.ns_way;
    bool ns = u->private->type == RR_NS && !u->play.records;
    uint16_t flags = way == UPPER_NO_QR ? 0 : MSG_QR;
    if (way != UPPER_NO_AA && way != UPPER_REFERRAL &&
        (!ns || ns_way == UPPER_NS_HAS_CHILD || ns_way == UPPER_NS_NONE ||
         ns_way == UPPER_NS_WITH_AA))
        flags |= MSG_AA;
    if (way == UPPER_TRUNCATES_ALWAYS ||
        (!tcp && (way == UPPER_TRUNCATES || way == UPPER_CLOSES || way == UPPER_STALLS)))
        flags |= MSG_TC;
    return flags | (uint16_t)rcode_of(u, edns);
}

/* What is asked, and how it will go about it. */
static bool question_read(struct upper *u, const struct asked *a, uint8_t zone[NAME_MAX_OCTETS])
{
    struct msg_reader *r = &u->private->reader;
    uint16_t class;
    struct rr rr;
    struct why why;
    struct edns edns = {0};
    ASSERT(!msg_open(r, a->msg, a->len, &why));
    ASSERT(msg_question(r, zone, &u->private->type, &class, &why) > 0 && class == CLASS_IN);
    ASSERT(!(r->flags & MSG_RD));
    while (msg_next(r, &rr, &why) > 0)
        if (rr.type == RR_OPT)
            msg_edns(&edns, &rr);
    u->private->way = way_for(u, u->private->type);
    u->edns += edns.present;
    u->dnssec += edns.dnssec_ok;
    return edns.present;
}

static size_t answer_make(struct upper *u, const struct asked *a, uint8_t *out)
{
    struct upper_private *x = u->private;
    struct msg_reader *r = &x->reader;
    struct msg_writer *w = &x->writer;
    uint8_t zone[NAME_MAX_OCTETS];
    bool edns = question_read(u, a, zone);
    enum upper_way way = x->way;
    uint16_t flags = flags_of(u, a->client, edns);
    msg_begin(w, out, MSG_MAX, way == UPPER_ALWAYS_WRONG_ID ? r->id + 1 : r->id, flags);
    bool fits = msg_put_question(w, way == UPPER_WRONG_NAME ? elsewhere : zone,
                                 way == UPPER_WRONG_TYPE ? RR_A : x->type, CLASS_IN);
    ASSERT(fits);
    if (!(flags & MSG_TC) && !(way == UPPER_KNOWS_NO_EDNS && edns))
        records_put(u, zone);
    if (edns && way != UPPER_KNOWS_NO_EDNS)
        ASSERT(msg_put_opt(w, 1232, way == UPPER_BADVERS ? RCODE_BADVERS : 0, false, NULL, 0));
    size_t len = msg_end(w);
    if (way == UPPER_CUT_RECORD)
        len -= 3;
    if (way == UPPER_HALF_A_HEADER)
        len = 11;
    return len;
}

/* Signs as it was asked to; 0: the question's own TSIG is read. */
static bool tsig_read_question(struct upper *u, const struct asked *a)
{
    struct upper_private *x = u->private;
    struct why why;
    x->tsig = (struct tsig_request){0};
    x->is_signed = u->keys && tsig_read(a->msg, a->len, &x->tsig.rr, &why) == 1;
    return x->is_signed && tsig_request_check(&x->tsig, u->keys, a->msg, (uint64_t)time(NULL));
}

static size_t tsig_put(struct upper *u, uint8_t *out, size_t len)
{
    return u->private->is_signed
               ? tsig_request_answer(&u->private->tsig, out, len, MSG_MAX, (uint64_t)time(NULL))
               : len;
}

/* ---- ways out */

static void client_close(struct upper_client *c)
{
    struct upper_private *x = c->u->private;
    struct upper_client **p = &x->clients;
    while (*p != c)
        p = &(*p)->next;
    *p = c->next;
    for (unsigned i = 0; i < c->u->waiting; i++)
        if (x->waiting[i].client == c)
            x->waiting[i--] = x->waiting[--c->u->waiting];
    ev_io_stop(x->ev, &c->io);
    close(c->io.fd);
    mem_free(&c);
}

static void tell(struct upper *u, const struct asked *a)
{
    static uint8_t out[2 + MSG_MAX];
    bool good = tsig_read_question(u, a);
    size_t len = answer_make(u, a, out + 2);
    if (u->private->is_signed && !good) { /* NOTAUTH, and nothing else */
        put_u16(out + 2 + 2, MSG_QR | RCODE_NOTAUTH);
        put_u16(out + 2 + 6, 0);
        put_u16(out + 2 + 8, 0);
        put_u16(out + 2 + 10, 0);
        len = MSG_HEADER + name_len(out + 2 + MSG_HEADER) + 4;
    }
    len = tsig_put(u, out + 2, len);
    if (!a->client) {
        if (u->private->way == UPPER_WRONG_ID) {
            put_u16(out + 2, get_u16(out + 2) + 1);
            (void)!sendto(u->private->udp.fd, out + 2, len, 0, &a->from.sa, a->from.len);
            put_u16(out + 2, get_u16(out + 2) - 1);
            out[2 + MSG_HEADER + 1] ^= 1;
            (void)!sendto(u->private->udp.fd, out + 2, len, 0, &a->from.sa, a->from.len);
            out[2 + MSG_HEADER + 1] ^= 1;
        }
        (void)!sendto(u->private->udp.fd, out + 2, len, 0, &a->from.sa, a->from.len);
        return;
    }
    put_u16(out, (uint16_t)len);
    if (u->private->way == UPPER_STALLS)
        len /= 2;
    ASSERT(send(a->client->io.fd, out, 2 + len, MSG_NOSIGNAL) == (ssize_t)(2 + len));
}

static void take(struct upper *u, const struct asked *a)
{
    uint16_t type = get_u16(a->msg + MSG_HEADER + name_len(a->msg + MSG_HEADER));
    enum upper_way way = way_for(u, type);
    if (way == UPPER_SILENT || (way == UPPER_SILENT_UDP && !a->client) ||
        (type == RR_NS && !u->play.records && u->play.ns_way == UPPER_NS_SILENT))
        return;
    if (!u->play.held) {
        tell(u, a);
        return;
    }
    ASSERT(u->waiting < WAITING_MAX);
    u->private->waiting[u->waiting++] = *a;
    if (u->waiting > u->waiting_most)
        u->waiting_most = u->waiting;
}

/* ---- ways in */

static void on_udp(struct ev_loop *ev, ev_io *w, int events)
{
    struct upper *u = w->data;
    struct asked a = {.from.len = sizeof a.from.v6};
    ssize_t n;
    (void)ev;
    (void)events;
    while ((n = recvfrom(w->fd, a.msg, sizeof a.msg, 0, &a.from.sa, &a.from.len)) >= 0) {
        a.len = (size_t)n;
        u->udp++;
        take(u, &a);
        a.from.len = sizeof a.from.v6;
    }
}

static void on_client(struct ev_loop *ev, ev_io *w, int events)
{
    struct upper_client *c = w->data;
    struct upper *u = c->u;
    ssize_t n = recv(w->fd, c->in + c->len, sizeof c->in - c->len, 0);
    (void)ev;
    (void)events;
    if (n <= 0) {
        client_close(c);
        return;
    }
    c->len += (size_t)n;
    if (c->len < 2 || c->len < 2u + get_u16(c->in))
        return;
    struct asked a = {.client = c, .len = get_u16(c->in)};
    memcpy(a.msg, c->in + 2, a.len);
    c->len = 0;
    u->tcp++;
    if (u->play.way == UPPER_CLOSES)
        client_close(c);
    else
        take(u, &a);
}

static void on_accept(struct ev_loop *ev, ev_io *w, int events)
{
    struct upper *u = w->data;
    int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    (void)events;
    if (fd < 0)
        return;
    struct upper_client *c = mem_zalloc(sizeof *c);
    c->u = u;
    c->next = u->private->clients;
    u->private->clients = c;
    ev_io_init(&c->io, on_client, fd, EV_READ);
    c->io.data = c;
    ev_io_start(ev, &c->io);
}

void upper_play(struct upper *u, const struct upper_play *play)
{
    u->play = *play;
    if (play->held)
        return;
    unsigned n = u->waiting;
    u->waiting = 0;
    for (unsigned i = 0; i < n; i++)
        take(u, &u->private->waiting[i]);
}

static int socket_at(const struct address *a, int type)
{
    int one = 1, fd = socket(a->sa.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ASSERT(fd >= 0);
    ASSERT(type == SOCK_DGRAM || !setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
    if (bind(fd, &a->sa, a->len)) {
        perror("upper: bind");
        abort();
    }
    return fd;
}

struct upper *upper_start(struct ev_loop *ev, const char *at)
{
    struct upper *u = mem_zalloc(sizeof *u);
    struct upper_private *x = u->private = mem_zalloc(sizeof *x);
    struct address a;
    struct why why;
    int err = address_parse(home(at), 53, &a, &why);
    ASSERT(!err);
    x->ev = ev;
    msg_writer_init(&x->writer);
    ev_io_init(&x->udp, on_udp, socket_at(&a, SOCK_DGRAM), EV_READ);
    ev_io_init(&x->tcp, on_accept, socket_at(&a, SOCK_STREAM), EV_READ);
    ASSERT(!listen(x->tcp.fd, 64));
    x->udp.data = x->tcp.data = u;
    ev_io_start(ev, &x->udp);
    ev_io_start(ev, &x->tcp);
    return u;
}

void upper_stop(struct upper **up)
{
    struct upper *u = *up;
    struct upper_private *x = u->private;
    while (x->clients)
        client_close(x->clients);
    ev_io_stop(x->ev, &x->udp);
    ev_io_stop(x->ev, &x->tcp);
    close(x->udp.fd);
    close(x->tcp.fd);
    mem_free(&u->private);
    mem_free(up);
}
