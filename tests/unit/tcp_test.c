/* tcp: real sockets on loopback; answer() and xfrout replaced by ones that do as the query says, so that a transfer can be
 * as long as a test wants and nothing but tcp is judged. Waits are for conditions, with a deadline. */
#include "pipeline/net/tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "pipeline/base/alloc.h"
#include "pipeline/net/answer.h"
#include "pipeline/net/tcp_conn.h"
#include "pipeline/net/tcp_limits.h"
#include "pipeline/net/xfrin.h"
#include "pipeline/net/xfrout.h"
#include "tests/lib/random.h"
#include "tests/lib/suite.h"

enum { DEADLINE_S = 40, BIG = 60000, TRANSFER_OCTETS = 16000, ENDLESS = 65535, FAILS_AT = 5000 };
enum { QUERY_LEN = 20, FRAME_LEN = 2 + QUERY_LEN };

/* ---- what tcp leans on, made of wood ---- */

static char zone_text[] = "example.";
static struct zone zone = {.text = zone_text};
static struct snapshot served;
static struct version version = {.served = &served};
static _Atomic int zone_refs, version_refs;
static _Atomic uint32_t notify_serial;

struct zone *zone_ref(struct zone *z)
{
    atomic_fetch_add(&zone_refs, 1);
    return z;
}
void zone_unref(struct zone *z)
{
    ck_assert_ptr_eq(z, &zone);
    ck_assert_int_gt(atomic_fetch_sub(&zone_refs, 1), 0);
}
struct version *zone_version(struct zone *z)
{
    (void)z;
    atomic_fetch_add(&version_refs, 1);
    return &version;
}
struct version *version_ref(const struct version *v)
{
    ck_assert_ptr_eq(v, &version);
    atomic_fetch_add(&version_refs, 1);
    return &version;
}
void version_unref(struct version *v)
{
    if (v)
        ck_assert_int_gt(atomic_fetch_sub(&version_refs, 1), 0);
}

/* A transfer of qtype messages; octets 4..7 of each say which it is. RR_IXFR is that number too: a difference, in which
 * each message is found at the third try. */
struct xfrout {
    struct version *version;
    uint16_t id;
    uint32_t total, tries;
    struct xfrout_stats stats;
};
struct xfrout *xfrout_new(const struct version *v, uint16_t id, const uint8_t *qname,
                          uint16_t qtype, bool edns)
{
    (void)edns;
    ck_assert_uint_eq(qname[1], 'T');
    struct xfrout *x = mem_zalloc(sizeof *x);
    *x = (struct xfrout){.version = version_ref(v), .id = id, .total = qtype};
    return x;
}
void xfrout_free(struct xfrout **x)
{
    version_unref((*x)->version);
    mem_free(x);
}
int xfrout_next(struct xfrout *x, struct msg_writer *w, uint8_t *buf, size_t cap, struct why *why)
{
    (void)w;
    ck_assert_uint_eq(cap, MSG_MAX);
    if (x->stats.messages == x->total)
        return 0;
    if (x->total == RR_IXFR && ++x->tries % 3)
        return 0;
    if (x->total == FAILS_AT && x->stats.messages == 3)
        return why_set(why, -E_LIMIT, "a record that fits no message");
    memset(buf, 0xaa, TRANSFER_OCTETS);
    put_u16(buf, x->id);
    put_u32(buf + 4, (uint32_t)x->stats.messages++);
    x->stats.bytes += TRANSFER_OCTETS;
    return TRANSFER_OCTETS;
}
bool xfrout_done(const struct xfrout *x)
{
    return x->stats.messages == x->total;
}
bool xfrout_since(struct xfrout *x, uint32_t serial)
{
    ck_assert_uint_eq(serial, 4711);
    return x->total == RR_IXFR;
}
void xfrout_stats(const struct xfrout *x, struct xfrout_stats *out)
{
    *out = x->stats;
}

void xfrin_notify(struct xfrin *x, struct zone *z, const struct address *from, bool has_serial,
                  uint32_t serial)
{
    (void)x;
    (void)z;
    ck_assert(from->len && has_serial);
    atomic_store(&notify_serial, serial);
}

void answer_work_init(struct answer_work *work)
{
    memset(work, 0, sizeof *work);
}

/* E: the query with QR. B: the same, long. D: nothing. T: a transfer. R: REFUSED. N: a NOTIFY. */
void answer(struct answer_work *work, const struct answer_query *query, uint8_t *reply, size_t cap,
            struct answer_result *result)
{
    ck_assert(query->tcp && query->peer->len && cap == MSG_MAX);
    result->kind = ANSWER_DROP;
    if (query->len < QUERY_LEN || query->msg[13] == 'D')
        return;
    char letter = (char)query->msg[13];
    memset(reply, 0xaa, BIG);
    memcpy(reply, query->msg, QUERY_LEN);
    memcpy(work->qname, query->msg + 12, 4);
    reply[2] |= 0x80;
    *result = (struct answer_result){
        .kind = letter == 'T' ? ANSWER_TRANSFER : ANSWER_REPLY,
        .reply_len = letter == 'B' ? BIG : QUERY_LEN,
        .rcode = letter == 'R'   ? RCODE_REFUSED
                 : letter == 'T' ? RCODE_SERVFAIL
                                 : RCODE_NOERROR,
        .zone = &zone,
        .notify = letter == 'N',
        .has_serial = true,
        .serial = 4711,
        .id = get_u16(query->msg),
        .qtype = get_u16(query->msg + 16),
        .qname = work->qname,
    };
    reply[3] = (uint8_t)result->rcode;
}

static _Atomic int accept_errno;
static _Atomic unsigned accept_calls;
int accept4(int fd, struct sockaddr *restrict addr, socklen_t *restrict len, int flags)
{
    atomic_fetch_add(&accept_calls, 1);
    if (atomic_load(&accept_errno)) {
        errno = atomic_load(&accept_errno);
        return -1;
    }
    return (int)syscall(SYS_accept4, fd, addr, len, flags);
}

/* ---- the house ---- */

struct house {
    struct server server;
    struct config config;
    struct query_thread thread[2];
    unsigned nthreads;
    struct address listen;
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Waits for a condition that another thread brings about. */
#define AWAIT(condition)                                                                           \
    do {                                                                                           \
        double until_ = now_s() + DEADLINE_S;                                                      \
        while (!(condition)) {                                                                     \
            ck_assert_msg(now_s() < until_, "not in time: " #condition);                           \
            poll(NULL, 0, 1);                                                                      \
        }                                                                                          \
    } while (0)

static struct address at(const char *text)
{
    struct address a;
    struct why why;
    ck_assert_int_eq(address_parse(text, 53, &a, &why), 0);
    return a;
}

static void house_open(struct house *h, const char *listen)
{
    memset(h, 0, sizeof *h);
    h->listen = at(listen);
    h->nthreads = 1;
    h->config.server = (struct server_conf){
        .tcp_clients = 200,
        .tcp_per_client = 200,
        .tcp_idle_s = 600,
        .tcp_slow_s = 600,
        .tcp_min_rate = 1024,
        .tcp_memory_bytes = 64 << 20,
        .tcp_pipeline = 10,
        .transfers_out = 100,
        .transfers_out_per_client = 100,
        .transfer_out_max_s = 600,
    };
}

static void house_start(struct house *h)
{
    struct why why = {""};
    atomic_store(&h->server.config, &h->config);
    if (!h->server.tcp_room)
        h->server.tcp_room = INT64_MAX;
    h->server.tcp_limits = tcp_limits_new();
    for (unsigned i = 0; i < h->nthreads; i++) {
        struct query_thread *t = &h->thread[i];
        t->server = &h->server;
        t->loop = loop_new("tcp");
        ck_assert_msg(tcp_new(t, &h->listen, 1, &t->tcp, &why) == 0, "%s", why.text);
    }
    for (unsigned i = 0; i < h->nthreads; i++)
        loop_start(h->thread[i].loop);
}

/* Stops, and sees that nothing is held any more, neither here nor in the limits (which assert it). */
static void house_stop(struct house *h)
{
    for (unsigned i = 0; i < h->nthreads; i++) {
        loop_stop(h->thread[i].loop);
        loop_join(h->thread[i].loop);
        tcp_free(&h->thread[i].tcp);
        ck_assert_ptr_null(h->thread[i].tcp);
        loop_free(&h->thread[i].loop);
    }
    tcp_limits_free(&h->server.tcp_limits);
    ck_assert_int_eq(atomic_load(&zone_refs), 0);
    ck_assert_int_eq(atomic_load(&version_refs), 0);
}

#define COUNTER(h, name) (atomic_load(&(h)->thread[0].counters.name))

/* ---- a client ---- */

static int client_from(const struct house *h, const char *source)
{
    int fd = socket(h->listen.sa.sa_family, SOCK_STREAM, 0);
    ck_assert_int_ge(fd, 0);
    if (source) {
        struct address from = {.v4.sin_family = AF_INET, .len = sizeof from.v4};
        ck_assert_int_eq(inet_pton(AF_INET, source, &from.v4.sin_addr), 1);
        ck_assert_int_eq(bind(fd, &from.sa, from.len), 0);
    }
    ck_assert_int_eq(connect(fd, &h->listen.sa, h->listen.len), 0);
    return fd;
}

static int client(const struct house *h)
{
    return client_from(h, NULL);
}

static size_t frame(uint8_t *p, uint16_t id, char letter, uint16_t type)
{
    static const uint8_t form[FRAME_LEN] = {0, QUERY_LEN, 0, 0, 0, 0,   0, 1, 0, 0, 0,
                                            0, 0,         0, 2, 0, 'x', 0, 0, 1, 0, 1};
    memcpy(p, form, FRAME_LEN);
    put_u16(p + 2, id);
    p[15] = (uint8_t)letter;
    put_u16(p + 18, type);
    return FRAME_LEN;
}

static void ask(int fd, uint16_t id, char letter, uint16_t type)
{
    uint8_t p[FRAME_LEN];
    ck_assert_int_eq(send(fd, p, frame(p, id, letter, type), MSG_NOSIGNAL), FRAME_LEN);
}

/* Up to n octets; 0: the end (or a reset). */
static size_t read_some(int fd, uint8_t *p, size_t n)
{
    struct pollfd pfd = {.fd = fd, .events = POLLIN};
    ck_assert_msg(poll(&pfd, 1, DEADLINE_S * 1000) == 1, "nothing came in time");
    ssize_t got = recv(fd, p, n, 0);
    ck_assert(got >= 0 || errno == ECONNRESET);
    return got > 0 ? (size_t)got : 0;
}

struct reply {
    bool end; /* the connection is over */
    uint16_t id;
    unsigned rcode;
    size_t len;
    uint32_t number; /* of a transfer's message */
};

static struct reply hear(int fd)
{
    static uint8_t buf[TCP_MESSAGE_MAX];
    size_t have = 0, want = 2;
    while (have < want) {
        size_t got = read_some(fd, buf + have, want - have);
        if (got == 0) {
            ck_assert_uint_eq(have, 0); /* never in the middle of a message, unless cut */
            return (struct reply){.end = true};
        }
        have += got;
        if (have == 2)
            want = 2 + (size_t)get_u16(buf);
    }
    return (struct reply){false, get_u16(buf + 2), buf[5] & 15u, want - 2, get_u32(buf + 6)};
}

static void hear_reply(int fd, uint16_t id, size_t len, unsigned rcode)
{
    struct reply r = hear(fd);
    ck_assert(!r.end);
    ck_assert_uint_eq(r.id, id);
    ck_assert_uint_eq(r.len, len);
    ck_assert_uint_eq(r.rcode, rcode);
}

static void hear_transfer(int fd, uint16_t id, uint32_t messages)
{
    for (uint32_t i = 0; i < messages; i++) {
        struct reply r = hear(fd);
        ck_assert(!r.end);
        ck_assert_uint_eq(r.id, id);
        ck_assert_uint_eq(r.len, TRANSFER_OCTETS);
        ck_assert_uint_eq(r.number, i);
    }
}

/* As it comes, with somebody in it. */
static int house_and_client(struct house *h, const char *address)
{
    house_open(h, address);
    house_start(h);
    return client(h);
}

/* ---- tests ---- */

/* More queries than are in flight at once, sent in pieces that respect nothing. */
START_TEST(pipelining)
{
    enum { QUERIES = 500 };
    struct random random = random_open();
    struct house h;
    int fd = house_and_client(&h, "127.0.0.1@15310");
    static uint8_t stream[QUERIES * FRAME_LEN];
    for (unsigned i = 0; i < QUERIES; i++)
        frame(stream + i * FRAME_LEN, (uint16_t)i, 'E', 1);
    for (size_t done = 0; done < sizeof stream;) {
        size_t part = 1 + random_below(&random, 700);
        part = part < sizeof stream - done ? part : sizeof stream - done;
        ck_assert_int_eq(send(fd, stream + done, part, 0), (ssize_t)part);
        done += part;
    }
    for (unsigned i = 0; i < QUERIES; i++)
        hear_reply(fd, (uint16_t)i, QUERY_LEN, RCODE_NOERROR);
    close(fd);
    AWAIT(COUNTER(&h, tcp_open) == 0);
    house_stop(&h);
    ck_assert_uint_eq(COUNTER(&h, tcp_queries), QUERIES);
    ck_assert_uint_eq(COUNTER(&h, rcode[0]), QUERIES);
    ck_assert_uint_eq(COUNTER(&h, tcp_connections), 1);
}
END_TEST

/* Long replies to a client that first asks everything and then reads: nothing is lost, all in order. */
START_TEST(asks_all_then_reads)
{
    enum { QUERIES = 300 };
    struct house h;
    int fd = house_and_client(&h, "::1@15311");
    for (unsigned i = 0; i < QUERIES; i++)
        ask(fd, (uint16_t)i, i % 3 ? 'B' : 'E', 1);
    for (unsigned i = 0; i < QUERIES; i++)
        hear_reply(fd, (uint16_t)i, i % 3 ? BIG : QUERY_LEN, RCODE_NOERROR);
    close(fd);
    house_stop(&h);
}
END_TEST

/* RFC 5936 4.1.2: the connection serves on after a transfer, and another one. */
START_TEST(transfer)
{
    struct house h;
    int fd = house_and_client(&h, "127.0.0.1@15312");
    ask(fd, 7, 'T', 1000);
    hear_transfer(fd, 7, 1000);
    uint8_t
        both[2 * FRAME_LEN]; /* another on the same connection, and a plain query: ready first */
    frame(both, 8, 'T', 1);
    frame(both + FRAME_LEN, 9, 'E', 1);
    ck_assert_int_eq(send(fd, both, sizeof both, 0), sizeof both);
    hear_reply(fd, 9, QUERY_LEN, RCODE_NOERROR);
    hear_transfer(fd, 8, 1);
    AWAIT(atomic_load(&version_refs) == 0); /* released though the connection stays */
    close(fd);
    house_stop(&h);
    ck_assert_uint_eq(COUNTER(&h, transfers), 2);
    ck_assert_uint_eq(COUNTER(&h, transfers_failed), 0);
    ck_assert_uint_eq(COUNTER(&h, transfer_messages), 1001);
    ck_assert_uint_eq(COUNTER(&h, transfer_bytes), 1001 * TRANSFER_OCTETS);
    ck_assert_uint_eq(fetches_counted(&zone.fetches)->transfers, 2);
}
END_TEST

/* A difference may look at many changes that come to nothing: then there is no message this time, and the thread turns to
 * others before it goes on. */
START_TEST(a_difference_may_take_its_time)
{
    struct house h;
    int fd = house_and_client(&h, "127.0.0.1@15399");
    ask(fd, 3, 'T', RR_IXFR);
    hear_transfer(fd, 3, RR_IXFR);
    AWAIT(atomic_load(&version_refs) == 0);
    close(fd);
    house_stop(&h);
    ck_assert_uint_eq(COUNTER(&h, transfer_messages), RR_IXFR);
    ck_assert_uint_eq(fetches_counted(&zone.fetches)->transfers, 1);
    ck_assert_uint_eq(fetches_counted(&zone.fetches)->by_kind[FETCH_IXFR], 1);
    struct fetch fetch;
    struct address host;
    ck_assert_int_eq(address_parse("127.0.0.1", 53, &host, NULL), 0);
    ck_assert(fetches_find(&zone.fetches, &host, &fetch));
    ck_assert_int_eq(fetch.kind, FETCH_IXFR);
    ck_assert_uint_eq(fetch.from, 4711);
    ck_assert_uint_eq(fetch.octets, RR_IXFR * TRANSFER_OCTETS);
}
END_TEST

/* RFC 5936 4.1.2: the reply to a query comes between the messages of a transfer that is far from its end. */
START_TEST(queries_go_on_during_a_transfer)
{
    struct house h;
    int fd = house_and_client(&h, "127.0.0.1@15313");
    ask(fd, 1, 'T', ENDLESS);
    hear_transfer(fd, 1, 10);
    ask(fd, 2, 'E', 1);
    uint32_t messages = 10;
    struct reply r;
    while ((r = hear(fd)).id == 1) {
        ck_assert(!r.end);
        ck_assert_uint_eq(r.number, messages);
        ck_assert_uint_lt(++messages, 4000); /* 64 MB: more than any socket buffer */
    }
    ck_assert_uint_eq(r.id, 2);
    ck_assert_int_gt(atomic_load(&version_refs), 0);
    close(fd); /* in the middle */
    AWAIT(atomic_load(&version_refs) == 0);
    house_stop(&h);
    ck_assert_uint_eq(COUNTER(&h, transfers_failed), 1);
    ck_assert_uint_eq(fetches_counted(&zone.fetches)->failed, 1);
}
END_TEST

/* RFC 5936 4.1.2, RFC 7766 6.2.1.1: several transfers at once on a connection, told apart by their IDs. */
START_TEST(transfers_share_a_connection)
{
    struct house h;
    int fd = house_and_client(&h, "127.0.0.1@15314");
    ask(fd, 1, 'T', 2000);
    ask(fd, 2, 'T', 40);
    uint32_t heard[3] = {0}, short_done_at = 0;
    while (heard[1] < 2000 || heard[2] < 40) {
        struct reply r = hear(fd);
        ck_assert(!r.end && (r.id == 1 || r.id == 2));
        ck_assert_uint_eq(r.number, heard[r.id]++);
        if (r.id == 2 && heard[2] == 40)
            short_done_at = heard[1];
    }
    ck_assert_uint_lt(short_done_at, 1000); /* in turns: else it would have waited for all 2000 */
    close(fd);
    house_stop(&h);
}
END_TEST

START_TEST(too_many_transfers_on_a_connection)
{
    struct house h;
    int fd = house_and_client(&h, "127.0.0.1@15315");
    for (unsigned i = 0; i <= TCP_TRANSFERS; i++)
        ask(fd, (uint16_t)i, 'T', 3000);
    unsigned refused = 0, ended = 0;
    while (ended < TCP_TRANSFERS || !refused) {
        struct reply r = hear(fd);
        ck_assert(!r.end);
        if (r.len == QUERY_LEN) {
            ck_assert_uint_eq(r.rcode, RCODE_REFUSED);
            ck_assert_uint_eq(r.id, TCP_TRANSFERS);
            refused++;
        } else if (r.number == 2999) {
            ended++;
        }
    }
    ck_assert_uint_eq(refused, 1);
    close(fd);
    house_stop(&h);
    ck_assert_uint_eq(fetches_counted(&zone.fetches)->refused, 1);
}
END_TEST

/* The quota counts transfers that were allowed; strangers who are refused cannot use it up. */
START_TEST(transfer_quota)
{
    struct house h;
    house_open(&h, "127.0.0.1@15316");
    h.config.server.transfers_out = 3;
    h.config.server.transfers_out_per_client = 2;
    house_start(&h);
    int stranger = client(&h), fd[3];
    for (unsigned i = 0; i < 100; i++) {
        ask(stranger, (uint16_t)i, 'R', 252);
        hear_reply(stranger, (uint16_t)i, QUERY_LEN, RCODE_REFUSED);
    }
    for (unsigned i = 0; i < 2; i++) {
        fd[i] = client(&h);
        ask(fd[i], 1, 'T', ENDLESS);
        hear_transfer(fd[i], 1, 1);
    }
    fd[2] = client(&h);
    ask(fd[2], 5, 'T', 9);
    hear_reply(fd[2], 5, QUERY_LEN, RCODE_REFUSED);
    int other = client_from(&h, "127.0.0.2"), third = client_from(&h, "127.0.0.3");
    ask(other, 6, 'T', ENDLESS);
    hear_transfer(other, 6, 1);
    ask(third, 7, 'T', 9); /* all three are in use */
    hear_reply(third, 7, QUERY_LEN, RCODE_REFUSED);
    close(fd[0]);
    AWAIT(COUNTER(&h, transfers_failed) == 1);
    AWAIT(atomic_load(&zone_refs) == 2);
    ask(fd[2], 8, 'T', 9); /* the same connection asks again */
    hear_transfer(fd[2], 8, 9);
    house_stop(&h); /* cuts the two */
    ck_assert_uint_eq(COUNTER(&h, transfers_failed), 3);
    ck_assert_uint_eq(fetches_counted(&zone.fetches)->refused, 2);
    close(fd[1]);
    close(fd[2]);
    close(stranger);
    close(other);
    close(third);
}
END_TEST

START_TEST(idle_is_closed)
{
    struct house h;
    house_open(&h, "127.0.0.1@15317");
    h.config.server.tcp_idle_s = 1;
    house_start(&h);
    int fd = client(&h), dribble = client(&h), silent = client(&h);
    double began = now_s();
    ask(fd, 1, 'E', 1);
    hear_reply(fd, 1, QUERY_LEN, RCODE_NOERROR);
    /* Octets that make no query do not count. The last one may meet a closed connection. */
    for (unsigned i = 0; i < 200 && COUNTER(&h, tcp_timeouts) < 3; i++) {
        (void)send(dribble, "\1", 1, MSG_NOSIGNAL);
        poll(NULL, 0, 10);
    }
    ck_assert(hear(fd).end);
    ck_assert(hear(dribble).end);
    ck_assert(hear(silent).end);
    ck_assert(now_s() - began >= 0.99);
    ck_assert_uint_eq(COUNTER(&h, tcp_timeouts), 3);
    close(fd);
    close(dribble);
    close(silent);
    house_stop(&h);
}
END_TEST

/* A reader that stops in the middle of a transfer or of plain replies is reset, and holds nothing after that. */
START_TEST(slow_reader_is_cut)
{
    struct house h;
    house_open(&h, "127.0.0.1@15318");
    h.config.server.tcp_slow_s = 1;
    house_start(&h);
    int fd = client(&h), plain = client(&h);
    ask(fd, 1, 'T', ENDLESS);
    hear_transfer(fd, 1, 3);
    for (unsigned i = 0; i < 1500; i++) /* 90 MB of replies: more than any socket buffer */
        ask(plain, (uint16_t)i, 'B', 1);
    AWAIT(COUNTER(&h, tcp_timeouts) == 2);
    AWAIT(atomic_load(&version_refs) == 0);
    ck_assert_uint_eq(COUNTER(&h, transfers_failed), 1);
    static uint8_t rest[1 << 20];
    while (read_some(fd, rest, sizeof rest) > 0)
        ;
    int error = 0;
    socklen_t len = sizeof error;
    ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
    close(fd);
    close(plain);
    house_stop(&h);
}
END_TEST

/* Reads at a pace, octets a second, until it has read so much or the connection ends. True: it has. */
static bool read_at_pace(int fd, double rate, size_t octets)
{
    static uint8_t piece[4096];
    double began = now_s();
    for (size_t done = 0; done < octets;) {
        double ahead_s = (double)done / rate - (now_s() - began);
        if (ahead_s > 0)
            poll(NULL, 0, (int)(ahead_s * 1e3) + 1);
        struct pollfd pfd = {.fd = fd, .events = POLLIN};
        ck_assert_msg(poll(&pfd, 1, DEADLINE_S * 1000) == 1, "nothing came in time");
        ssize_t got = recv(fd, piece, sizeof piece, 0);
        if (got <= 0)
            return false;
        done += (size_t)got;
    }
    return true;
}

static int client_with_buffer(const struct house *h, int octets)
{
    int fd = socket(h->listen.sa.sa_family, SOCK_STREAM, 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &octets, sizeof octets), 0);
    ck_assert_int_eq(connect(fd, &h->listen.sa, h->listen.len), 0);
    return fd;
}

/* Some octets all the time, but too few. */
START_TEST(dribbling_reader_is_cut)
{
    struct house h;
    house_open(&h, "127.0.0.1@15330");
    h.config.server.tcp_slow_s = 1;
    h.config.server.tcp_min_rate = 1 << 20;
    house_start(&h);
    int fd = client_with_buffer(&h, 16384);
    double began = now_s();
    ask(fd, 1, 'T', ENDLESS);
    ck_assert(!read_at_pace(fd, 200e3, 8 << 20));
    ck_assert_double_ge(now_s() - began, 0.99);
    AWAIT(COUNTER(&h, tcp_timeouts) == 1);
    AWAIT(atomic_load(&version_refs) == 0);
    close(fd);
    house_stop(&h);
}
END_TEST

/* RFC 5936 2.3: to close is for those who abuse us. A client slower than the kernel's buffer is large: for seconds no octet moves out of our hands, but those that the kernel
 * has are taken all the time. */
START_TEST(slow_but_steady_reader_is_served)
{
    struct house h;
    house_open(&h, "127.0.0.1@15331");
    h.config.server.tcp_slow_s = 1;
    h.config.server.tcp_min_rate = 16 << 10;
    house_start(&h);
    int fd = client_with_buffer(&h, 16384);
    ask(fd, 1, 'T', ENDLESS);
    ck_assert(read_at_pace(fd, 100e3, 500e3));
    ck_assert_uint_eq(COUNTER(&h, tcp_timeouts), 0);
    close(fd);
    AWAIT(atomic_load(&version_refs) == 0);
    house_stop(&h);
}
END_TEST

/* Sixty clients that ask for megabytes and read nothing: what waits for them has a bound, those who have let it wait for
 * longest are cut for it, and who reads is served all the time. */
START_TEST(pending_output_is_bounded)
{
    enum { SILENT = 60, QUERIES = 400, BOUND = 8 << 20, EACH_MOST = 512 * 1024 + TCP_BURST_BYTES };
    struct house h;
    house_open(&h, "127.0.0.1@15332");
    h.config.server.tcp_memory_bytes = BOUND;
    house_start(&h);
    int silent[SILENT], reader = client(&h);
    int64_t most = 0;
    uint16_t id = 0;
    for (unsigned i = 0; i < SILENT; i++) {
        silent[i] = client_with_buffer(&h, 4096);
        for (unsigned k = 0; k < QUERIES; k++)
            ask(silent[i], (uint16_t)k, 'B', 1);
        for (unsigned k = 0; k < 5; k++) {
            ask(reader, ++id, 'B', 1);
            hear_reply(reader, id, BIG, RCODE_NOERROR);
            int64_t now = tcp_limits_held(h.server.tcp_limits);
            most = now > most ? now : most;
        }
    }
    AWAIT(COUNTER(&h, tcp_cut_for_memory) >= SILENT / 2);
    ck_assert_int_ge(most, BOUND / 2);         /* they did fill it */
    ck_assert_int_le(most, BOUND + EACH_MOST); /* a burst is made before room is made for it */
    ck_assert_uint_ge(SILENT - COUNTER(&h, tcp_cut_for_memory),
                      BOUND / EACH_MOST - 1); /* no more were cut than needed */
    ck_assert_uint_eq(COUNTER(&h, tcp_open), SILENT + 1 - COUNTER(&h, tcp_cut_for_memory));
    uint8_t octet; /* the first are those that were cut */
    ck_assert_int_eq(recv(silent[SILENT - 1], &octet, 1, 0), 1);
    ask(silent[SILENT - 1], 9998, 'E', 1);
    ask(reader, 9999, 'E', 1);
    hear_reply(reader, 9999, QUERY_LEN, RCODE_NOERROR);
    house_stop(&h);
    for (unsigned i = 0; i < SILENT; i++)
        close(silent[i]);
    close(reader);
}
END_TEST

/* What one client lets wait has a bound too, in the kernel and here. */
START_TEST(pending_output_of_one)
{
    struct house h;
    house_open(&h, "127.0.0.1@15333");
    house_start(&h);
    int fd = client_with_buffer(&h, 4096);
    ask(fd, 1, 'T', ENDLESS);
    AWAIT(tcp_limits_held(h.server.tcp_limits) > 256 * 1024);
    uint64_t sent, before = 0; /* until it stands still */
    for (unsigned same = 0; same < 50; before = sent) {
        poll(NULL, 0, 2);
        sent = COUNTER(&h, transfer_bytes);
        same = sent == before ? same + 1 : 0;
    }
    ck_assert_uint_lt(sent, 1 << 20); /* without a bound the kernel takes 2.5 MB */
    ck_assert_int_le(tcp_limits_held(h.server.tcp_limits), 512 * 1024 + TCP_BURST_BYTES);
    close(fd);
    AWAIT(tcp_limits_held(h.server.tcp_limits) == 0);
    house_stop(&h);
}
END_TEST

/* One that reads all the time, but too slowly to be done in time. */
START_TEST(endless_transfer_is_cut)
{
    struct house h;
    house_open(&h, "127.0.0.1@15319");
    h.config.server.transfer_out_max_s = 1;
    house_start(&h);
    int fd = client(&h);
    double began = now_s();
    ask(fd, 1, 'T', ENDLESS);
    uint8_t piece[512];
    while (COUNTER(&h, tcp_timeouts) == 0) {
        ck_assert(now_s() - began < DEADLINE_S);
        (void)recv(fd, piece, sizeof piece, MSG_DONTWAIT);
        poll(NULL, 0, 1);
    }
    ck_assert(now_s() - began >= 0.99);
    AWAIT(atomic_load(&version_refs) == 0);
    ck_assert_uint_eq(COUNTER(&h, transfers_failed), 1);
    close(fd);
    house_stop(&h);
}
END_TEST

START_TEST(half_closed_client_gets_its_answers)
{
    struct house h;
    int fd = house_and_client(&h, "127.0.0.1@15320");
    for (unsigned i = 0; i < 30; i++)
        ask(fd, (uint16_t)i, 'B', 1);
    ask(fd, 99, 'T', 700);
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    for (unsigned i = 0; i < 30; i++)
        hear_reply(fd, (uint16_t)i, BIG, RCODE_NOERROR);
    hear_transfer(fd, 99, 700);
    ck_assert(hear(fd).end);
    close(fd);
    int nothing =
        client(&h); /* and one that says goodbye at once, and one in the middle of a query */
    shutdown(nothing, SHUT_WR);
    ck_assert(hear(nothing).end);
    close(nothing);
    nothing = client(&h);
    ck_assert_int_eq(send(nothing, "\0\24abc", 5, 0), 5);
    shutdown(nothing, SHUT_WR);
    ck_assert(hear(nothing).end);
    close(nothing);
    house_stop(&h);
    ck_assert_uint_eq(COUNTER(&h, transfers_failed), 0);
}
END_TEST

START_TEST(full_house_drops_the_oldest_idle)
{
    enum { CLIENTS = 4 };
    struct house h;
    house_open(&h, "127.0.0.1@15321");
    h.config.server.tcp_clients = CLIENTS;
    house_start(&h);
    int fd[CLIENTS + 2];
    for (unsigned i = 0; i < CLIENTS; i++) {
        fd[i] = client(&h);
        ask(fd[i], (uint16_t)i, 'E', 1);
        hear_reply(fd[i], (uint16_t)i, QUERY_LEN, RCODE_NOERROR);
    }
    ask(fd[0], 9, 'E', 1); /* so that 1 is the oldest */
    hear_reply(fd[0], 9, QUERY_LEN, RCODE_NOERROR);
    fd[CLIENTS] = client(&h);
    ask(fd[CLIENTS], 10, 'E', 1);
    hear_reply(fd[CLIENTS], 10, QUERY_LEN, RCODE_NOERROR);
    ck_assert(hear(fd[1]).end);
    ck_assert_uint_eq(COUNTER(&h, tcp_refused), 0);
    /* When all are busy, the newcomer is turned away. */
    for (unsigned i = 0; i <= CLIENTS; i++)
        if (i != 1) {
            ask(fd[i], 11, 'T', ENDLESS);
            hear_transfer(fd[i], 11, 1);
        }
    fd[CLIENTS + 1] = client(&h);
    ck_assert(hear(fd[CLIENTS + 1]).end);
    ck_assert_uint_eq(COUNTER(&h, tcp_refused), 1);
    house_stop(&h);
    for (unsigned i = 0; i < CLIENTS + 2; i++)
        close(fd[i]);
}
END_TEST

/* There are descriptors for two clients, though the configuration would have more. */
START_TEST(no_more_clients_than_descriptors)
{
    struct house h;
    house_open(&h, "127.0.0.1@15329");
    h.server.tcp_room = 2;
    house_start(&h);
    int one = client(&h), two = client(&h);
    ask(one, 1, 'T', ENDLESS);
    hear_transfer(one, 1, 1);
    ask(two, 1, 'T', ENDLESS);
    hear_transfer(two, 1, 1);
    int three = client(&h);
    ck_assert(hear(three).end);
    ck_assert_uint_eq(COUNTER(&h, tcp_refused), 1);
    house_stop(&h);
    close(one);
    close(two);
    close(three);
}
END_TEST

START_TEST(a_host_has_its_share)
{
    struct house h;
    house_open(&h, "127.0.0.1@15322");
    h.config.server.tcp_per_client = 2;
    house_start(&h);
    int one = client(&h), two = client(&h), three = client(&h);
    ck_assert(hear(three).end);
    int other = client_from(&h, "127.0.0.2");
    ask(other, 1, 'E', 1);
    hear_reply(other, 1, QUERY_LEN, RCODE_NOERROR);
    close(one);
    AWAIT(COUNTER(&h, tcp_open) == 2);
    int four = client(&h);
    ask(four, 2, 'E', 1);
    hear_reply(four, 2, QUERY_LEN, RCODE_NOERROR);
    ask(two, 3, 'E', 1);
    hear_reply(two, 3, QUERY_LEN, RCODE_NOERROR);
    ck_assert_uint_eq(COUNTER(&h, tcp_refused), 1);
    close(two);
    close(three);
    close(other);
    close(four);
    house_stop(&h);
}
END_TEST

/* What is no query ends the connection, after the replies to what came before it. */
START_TEST(nonsense_ends_the_connection)
{
    struct house h;
    int fd = house_and_client(&h, "127.0.0.1@15323");
    uint8_t stream[3 * FRAME_LEN];
    frame(stream, 1, 'E', 1);
    frame(stream + FRAME_LEN, 2, 'D', 1);
    frame(stream + 2 * FRAME_LEN, 3, 'E', 1);
    ck_assert_int_eq(send(fd, stream, sizeof stream, 0), sizeof stream);
    struct reply r = hear(fd);
    if (!r.end) { /* the third frame, unread, may turn the close into a reset that overtakes */
        ck_assert_uint_eq(r.id, 1);
        ck_assert(hear(fd).end);
    }
    close(fd);
    house_stop(&h);
}
END_TEST

START_TEST(transfer_that_cannot_go_on)
{
    struct house h;
    int fd = house_and_client(&h, "127.0.0.1@15324");
    ask(fd, 1, 'T', FAILS_AT);
    hear_transfer(fd, 1, 3); /* what was made goes out; the end never comes */
    ck_assert(hear(fd).end);
    close(fd);
    AWAIT(COUNTER(&h, transfers_failed) == 1);
    house_stop(&h);
}
END_TEST

START_TEST(notify_is_passed_on)
{
    struct house h;
    int fd = house_and_client(&h, "127.0.0.1@15325");
    ask(fd, 1, 'N', 6);
    hear_reply(fd, 1, QUERY_LEN, RCODE_NOERROR);
    ck_assert_uint_eq(atomic_load(&notify_serial), 4711);
    close(fd);
    house_stop(&h);
}
END_TEST

/* No descriptors left: few tries while it lasts, and service afterwards. */
START_TEST(out_of_descriptors)
{
    struct house h;
    house_open(&h, "127.0.0.1@15326");
    house_start(&h);
    atomic_store(&accept_errno, EMFILE);
    int fd = client(&h); /* the kernel accepts for us */
    double began = now_s();
    AWAIT(atomic_load(&accept_calls) >= 3);
    double per_call_s = (now_s() - began) / 3;
    ck_assert(per_call_s > 0.1); /* a spin would take microseconds */
    ck_assert_uint_ge(COUNTER(&h, tcp_rests), 2);
    atomic_store(&accept_errno, 0);
    ask(fd, 1, 'E', 1);
    hear_reply(fd, 1, QUERY_LEN, RCODE_NOERROR);
    /* With an idle connection there, its descriptor is used instead of waiting. */
    atomic_store(&accept_errno, EMFILE);
    int next = client(&h);
    ck_assert(hear(fd).end);
    atomic_store(&accept_errno, 0);
    ask(next, 2, 'E', 1);
    hear_reply(next, 2, QUERY_LEN, RCODE_NOERROR);
    close(fd);
    close(next);
    house_stop(&h);
}
END_TEST

/* Many transfers on two threads, read in turn by one client thread. */
START_TEST(many_transfers_at_once)
{
    enum { CLIENTS = 60, MESSAGES = 100 };
    struct house h;
    house_open(&h, "127.0.0.1@15327");
    h.nthreads = 2;
    house_start(&h);
    int fd[CLIENTS];
    for (unsigned i = 0; i < CLIENTS; i++) {
        fd[i] = client(&h);
        ask(fd[i], (uint16_t)i, 'T', MESSAGES);
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        hear_transfer(fd[i], (uint16_t)i, MESSAGES);
    AWAIT(atomic_load(&version_refs) == 0);
    for (unsigned i = 0; i < CLIENTS; i++)
        close(fd[i]);
    house_stop(&h);
    uint64_t one = h.thread[0].counters.transfers, two = h.thread[1].counters.transfers;
    ck_assert_uint_eq(one + two, CLIENTS);
    ck_assert_uint_gt(one, 0);
    ck_assert_uint_gt(two, 0);
}
END_TEST

START_TEST(address_taken)
{
    struct house h;
    house_open(&h, "127.0.0.1@15328");
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, &h.listen.sa, h.listen.len), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    struct query_thread *t = &h.thread[0];
    struct why why = {""};
    t->loop = loop_new("tcp");
    ck_assert_int_eq(tcp_new(t, &h.listen, 1, &t->tcp, &why), -E_IO);
    ck_assert_ptr_nonnull(strstr(why.text, "TCP 127.0.0.1@15328"));
    close(fd);
    loop_free(&t->loop);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("tcp");
    suite_add(s, pipelining);
    suite_add(s, asks_all_then_reads);
    suite_add(s, transfer);
    suite_add(s, a_difference_may_take_its_time);
    suite_add(s, queries_go_on_during_a_transfer);
    suite_add(s, transfers_share_a_connection);
    suite_add(s, too_many_transfers_on_a_connection);
    suite_add(s, transfer_quota);
    suite_add(s, idle_is_closed);
    suite_add(s, slow_reader_is_cut);
    suite_add(s, dribbling_reader_is_cut);
    suite_add(s, slow_but_steady_reader_is_served);
    suite_add(s, pending_output_is_bounded);
    suite_add(s, pending_output_of_one);
    suite_add(s, endless_transfer_is_cut);
    suite_add(s, half_closed_client_gets_its_answers);
    suite_add(s, full_house_drops_the_oldest_idle);
    suite_add(s, no_more_clients_than_descriptors);
    suite_add(s, a_host_has_its_share);
    suite_add(s, nonsense_ends_the_connection);
    suite_add(s, transfer_that_cannot_go_on);
    suite_add(s, notify_is_passed_on);
    suite_add(s, out_of_descriptors);
    suite_add(s, many_transfers_at_once);
    suite_add(s, address_taken);
    return suite_run(s);
}
