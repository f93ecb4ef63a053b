/* UDP of one query thread: a socket a listen address, and room for one batch.
 *
 *   readable ─▶ recvmmsg: up to 64 queries ─▶ answer() each ─▶ sendmmsg: the replies ─▶ again, up
 * to ROUNDS
 *
 * All memory is there from the start. A packet has a fixed place: query i is read into place i, and
 * its reply goes out from place i, to the address and with the control message that came with it; a
 * query without a reply leaves a gap that the send array skips.
 *
 * On a wildcard address the control message tells at which of our addresses the query came in. It
 * goes back with the reply: the kernel takes the same structure as "send from here".
 *
 * Nothing waits: what the kernel does not take at once is dropped and counted, as a full line would
 * do it; the client asks again. A reply that is too large for the way out (EMSGSIZE) is sent once
 * more as nothing but header and question, with TC set, so that the client comes by TCP.
 *
 * A wake-up ends after ROUNDS batches though more may wait: libev comes back at once, after TCP had
 * its turn. */
#include "pipeline/net/udp.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "pipeline/base/alloc.h"
#include "pipeline/net/answer.h"
#include "pipeline/net/listen.h"
#include "pipeline/net/tsig_count.h"
#include "pipeline/net/xfrin.h"
#include "pipeline/net/xfrout_report.h"

enum {
    BATCH = 64,
    ROUNDS = 4,
    QUERY_MAX = 4096, /* no honest query is longer: cut ones are dropped */
    REPLY_MAX = 4096,
    PITCH_MORE = 192, /* between places: equal offsets in equal pages would share cache sets */
    CONTROL_BYTES = CMSG_SPACE(sizeof(struct in6_pktinfo)),
    RCODE_BITS = 0x0f,
    TC_BIT = 0x02, /* in the third octet of the header */
};

struct udp_socket {
    ev_io io;
    struct udp *udp;
    bool wildcard;
};
struct udp_place {
    struct sockaddr_storage peer;
    _Alignas(struct cmsghdr) uint8_t control[CONTROL_BYTES];
    struct iovec query_iov, reply_iov;
    uint8_t query[QUERY_MAX + PITCH_MORE];
    uint8_t reply[REPLY_MAX];
};
struct udp {
    struct query_thread *thread;
    struct ev_loop *ev;
    struct answer_work work;
    size_t nsockets;
    struct udp_socket *sockets;
    struct mmsghdr in[BATCH], out[BATCH];
    struct udp_place place[BATCH];
};

static void places_reset(struct udp *udp, bool wildcard, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct udp_place *place = &udp->place[i];
        struct msghdr *h = &udp->in[i].msg_hdr;
        h->msg_name = &place->peer;
        h->msg_namelen = sizeof place->peer;
        h->msg_iov = &place->query_iov;
        h->msg_iovlen = 1;
        h->msg_control = wildcard ? place->control : NULL;
        h->msg_controllen = wildcard ? sizeof place->control : 0;
        h->msg_flags = 0;
        place->query_iov = (struct iovec){place->query, QUERY_MAX};
    }
}

/* The interface by which a query came need not be the way back, except for addresses that mean
 * nothing without one. */
static void control_turn(struct msghdr *h)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            info.ipi_ifindex = 0;
            memcpy(CMSG_DATA(c), &info, sizeof info);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
                info.ipi6_ifindex = 0;
            memcpy(CMSG_DATA(c), &info, sizeof info);
        }
    }
}

static void count_result(struct udp *udp, const struct answer_result *result,
                         const struct address *peer)
{
    struct query_counters *counters = &udp->thread->counters;
    if (result->kind != ANSWER_DROP)
        counter_add(&counters->rcode[result->rcode & RCODE_BITS], 1);
    if (result->truncated)
        counter_add(&counters->udp_truncated, 1);
    if (result->tsig)
        tsig_count(udp->thread, result, peer);
    if (result->fetch)
        xfrout_report_answer(result, peer);
    if (result->notify_dropped)
        xfrin_notify_dropped(result->zone, peer, result->notify_unproved);
    if (result->notify)
        xfrin_notify(udp->thread->server->xfrin, result->zone, peer, result->has_serial,
                     result->serial);
}

/* Answers query i of a batch. The length of the reply; 0: none. */
static size_t udp_answer(struct udp *udp, const struct server_conf *conf, unsigned i)
{
    struct udp_place *place = &udp->place[i];
    const struct msghdr *h = &udp->in[i].msg_hdr;
    if (h->msg_flags & MSG_TRUNC || h->msg_namelen > sizeof(struct sockaddr_in6))
        return 0;
    struct address peer;
    memset(&peer, 0, sizeof peer);
    memcpy(&peer.sa, &place->peer, h->msg_namelen);
    peer.len = h->msg_namelen;
    struct answer_result result = {.kind = ANSWER_DROP};
    const struct answer_query query = {
        .zones = udp->thread->server->zones,
        .conf = conf,
        .peer = &peer,
        .tcp = false,
        .msg = place->query,
        .len = udp->in[i].msg_len,
    };
    answer(&udp->work, &query, place->reply, REPLY_MAX, &result);
    ASSERT(result.kind != ANSWER_TRANSFER && result.reply_len <= REPLY_MAX);
    count_result(udp, &result, &peer);
    return result.kind == ANSWER_REPLY ? result.reply_len : 0;
}

/* Header and question of a reply, with TC: all that fits where the whole does not. */
static size_t reply_cut(uint8_t *reply, size_t len)
{
    size_t at = MSG_HEADER;
    if (len < MSG_HEADER)
        return len;
    reply[2] |= TC_BIT;
    memset(reply + 6, 0, MSG_HEADER - 6); /* no answer, authority, additional */
    if (get_u16(reply + 4) != 1)
        return len;
    while (at < len && reply[at] != 0 && reply[at] < 0xc0)
        at += 1u + reply[at];
    at += 1 + 4;
    return at < len ? at : len;
}

/* Sends out[0..n). What cannot go is dropped and counted. */
static void batch_send(struct udp *udp, int fd, unsigned n)
{
    struct query_counters *counters = &udp->thread->counters;
    unsigned done = 0;
    bool cut = false; /* out[done] is its short form already */
    while (done < n) {
        int sent = sendmmsg(fd, udp->out + done, n - done, MSG_NOSIGNAL);
        if (sent > 0) {
            counter_add(&counters->udp_replies, (uint64_t)sent);
            done += (unsigned)sent;
            cut = false;
            continue;
        }
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EMSGSIZE && !cut) {
            struct iovec *iov = udp->out[done].msg_hdr.msg_iov;
            iov->iov_len = reply_cut(iov->iov_base, iov->iov_len);
            cut = true;
            continue;
        }
        /* A full socket or line: those behind would fare no better. Else only this one's way is
         * barred. */
        bool full = sent == 0 || errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS ||
                    errno == ENOMEM;
        unsigned dropped = full ? n - done : 1;
        counter_add(&counters->udp_dropped, dropped);
        done += dropped;
        cut = false;
    }
}

static void batch_answer(struct udp *udp, int fd, unsigned n)
{
    const struct server_conf *conf = &rcu_read(&udp->thread->server->config)->server;
    unsigned replies = 0;
    counter_add(&udp->thread->counters.udp_queries, n);
    for (unsigned i = 0; i < n; i++) {
        size_t len = udp_answer(udp, conf, i);
        if (len == 0) {
            counter_add(&udp->thread->counters.udp_dropped, 1);
            continue;
        }
        struct udp_place *place = &udp->place[i];
        struct msghdr *h = &udp->out[replies++].msg_hdr;
        *h = udp->in[i].msg_hdr;
        control_turn(h);
        place->reply_iov = (struct iovec){place->reply, len};
        h->msg_iov = &place->reply_iov;
        h->msg_flags = 0;
    }
    if (replies)
        batch_send(udp, fd, replies);
}

static void udp_ready(struct ev_loop *ev, ev_io *io, int events)
{
    (void)ev;
    (void)events;
    struct udp_socket *s = io->data;
    unsigned used = BATCH;
    for (unsigned round = 0; round < ROUNDS; round++) {
        places_reset(s->udp, s->wildcard, used);
        int n = recvmmsg(io->fd, s->udp->in, BATCH, MSG_DONTWAIT, NULL);
        if (n <= 0)
            return;
        used = (unsigned)n;
        batch_answer(s->udp, io->fd, used);
        if (used < BATCH)
            return;
    }
}

int udp_new(struct query_thread *thread, const struct address *listen, size_t n, struct udp **out,
            struct why *why)
{
    struct udp *udp = mem_zalloc(sizeof *udp);
    udp->thread = thread;
    udp->ev = loop_ev(thread->loop);
    udp->sockets = mem_array(n, sizeof *udp->sockets);
    answer_work_init(&udp->work);
    for (size_t i = 0; i < n; i++) {
        int fd, error = listen_udp(&listen[i], &fd, why);
        if (error) {
            udp_free(&udp);
            return error;
        }
        struct udp_socket *s = &udp->sockets[udp->nsockets++];
        s->udp = udp;
        s->wildcard = listen_is_wildcard(&listen[i]);
        ev_io_init(&s->io, udp_ready, fd, EV_READ);
        s->io.data = s;
        ev_io_start(udp->ev, &s->io);
    }
    *out = udp;
    return 0;
}

void udp_free(struct udp **udp)
{
    struct udp *u = *udp;
    if (!u)
        return;
    for (size_t i = 0; i < u->nsockets; i++) {
        ev_io_stop(u->ev, &u->sockets[i].io);
        close(u->sockets[i].io.fd);
    }
    mem_free(&u->sockets);
    mem_free(udp);
}
