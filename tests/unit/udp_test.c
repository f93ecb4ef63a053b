/* udp: real sockets on loopback, answer() replaced by one that does what the query's first letter
 * says, and sendmmsg() by one that can fail. */
#include "pipeline/net/udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pipeline/base/alloc.h"
#include "pipeline/base/rcu.h"
#include "pipeline/net/answer.h"
#include "pipeline/net/xfrin.h"
#include "tests/lib/suite.h"

enum { DEADLINE_MS = 20000, BIG = 3000, QUERY_LEN = 20 };

/* A query: header, one question whose name is one label "<letter>x", type, class. */
static size_t query_make(uint8_t *q, uint16_t id, char letter)
{
    static const uint8_t form[QUERY_LEN] = {0, 0, 0, 0, 0,   1, 0, 0, 0, 0,
                                            0, 0, 2, 0, 'x', 0, 0, 1, 0, 1};
    memcpy(q, form, QUERY_LEN);
    put_u16(q, id);
    q[13] = (uint8_t)letter;
    return QUERY_LEN;
}

void answer_work_init(struct answer_work *work)
{
    memset(work, 0, sizeof *work);
}

static _Atomic unsigned answered;

void answer(struct answer_work *work, const struct answer_query *query, uint8_t *reply, size_t cap,
            struct answer_result *result)
{
    (void)work;
    atomic_fetch_add(&answered, 1);
    result->kind = ANSWER_DROP;
    if (query->tcp || query->len != QUERY_LEN || query->msg[13] == 'D')
        return;
    memset(reply, 0xaa, BIG);
    memcpy(reply, query->msg, QUERY_LEN);
    reply[2] |= 0x80;
    result->kind = ANSWER_REPLY;
    result->rcode = RCODE_NOERROR;
    result->reply_len = QUERY_LEN;
    if (query->msg[13] == 'B') {
        put_u16(reply + 6, 7); /* so many answers */
        result->reply_len = BIG;
    }
    ck_assert_uint_le(result->reply_len, cap);
    result->notify = query->msg[13] == 'N';
    result->serial = 4711;
    result->has_serial = true;
}

static struct address notify_from;
static uint32_t notify_serial;
void xfrin_notify(struct xfrin *x, struct zone *zone, const struct address *from, bool has_serial,
                  uint32_t serial)
{
    (void)x;
    (void)zone;
    notify_from = *from;
    notify_serial = has_serial ? serial : 0;
}

/* What sendmmsg does next; 0: its work. */
static _Atomic int fail_errno, fail_times;
static _Atomic unsigned send_calls;
int sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
    atomic_fetch_add(&send_calls, 1);
    if (atomic_load(&fail_errno) == EMSGSIZE) { /* as the kernel: those before go out */
        unsigned fit = 0;
        while (fit < n && msgs[fit].msg_hdr.msg_iov->iov_len < BIG)
            fit++;
        if (fit == 0) {
            errno = EMSGSIZE;
            return -1;
        }
        n = fit;
    } else if (atomic_load(&fail_errno) && atomic_fetch_sub(&fail_times, 1) > 0) {
        errno = atomic_load(&fail_errno);
        return -1;
    }
    return (int)syscall(SYS_sendmmsg, fd, msgs, n, flags);
}

struct bench {
    struct server server;
    struct config config;
    struct query_thread thread[2];
    unsigned nthreads;
};

static struct address at(const char *text)
{
    struct address a;
    struct why why;
    ck_assert_int_eq(address_parse(text, 53, &a, &why), 0);
    return a;
}

static void bench_start(struct bench *b, unsigned nthreads, const struct address *listen, size_t n)
{
    struct why why = {""};
    memset(b, 0, sizeof *b);
    atomic_store(&answered, 0);
    atomic_store(&send_calls, 0);
    atomic_store(&fail_errno, 0);
    atomic_store(&b->server.config, &b->config);
    b->nthreads = nthreads;
    for (unsigned i = 0; i < nthreads; i++) {
        struct query_thread *t = &b->thread[i];
        t->server = &b->server;
        t->loop = loop_new("udp");
        ck_assert_msg(udp_new(t, listen, n, &t->udp, &why) == 0, "%s", why.text);
    }
    for (unsigned i = 0; i < nthreads; i++)
        loop_start(b->thread[i].loop);
}

static void bench_stop(struct bench *b)
{
    for (unsigned i = 0; i < b->nthreads; i++) {
        loop_stop(b->thread[i].loop);
        loop_join(b->thread[i].loop);
        udp_free(&b->thread[i].udp);
        ck_assert_ptr_null(b->thread[i].udp);
        loop_free(&b->thread[i].loop);
    }
}

static int client_open(const struct address *to)
{
    int fd = socket(to->sa.sa_family, SOCK_DGRAM, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, &to->sa, to->len), 0); /* takes replies from there only */
    return fd;
}

static void ask(int fd, uint16_t id, char letter)
{
    uint8_t q[QUERY_LEN];
    ck_assert_int_eq(send(fd, q, query_make(q, id, letter), 0), QUERY_LEN);
}

/* The next reply's length; its ID in *id. */
static size_t reply(int fd, uint8_t *buf, size_t cap, uint16_t *id)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    ck_assert_msg(poll(&p, 1, DEADLINE_MS) == 1, "no reply in time");
    ssize_t n = recv(fd, buf, cap, 0);
    ck_assert_int_ge(n, 12);
    ck_assert_int_eq(buf[2] & 0x80, 0x80);
    *id = get_u16(buf);
    return (size_t)n;
}

static uint16_t reply_id(int fd)
{
    uint8_t buf[65536];
    uint16_t id;
    reply(fd, buf, sizeof buf, &id);
    return id;
}

/* More than a wake-up takes, on both families; nothing is lost or doubled. */
START_TEST(batches)
{
    enum { BURST = 500, ROUNDS = 4 };
    struct address listen[2] = {at("127.0.0.1@15300"), at("::1@15300")};
    struct bench b;
    bench_start(&b, 1, listen, 2);
    for (unsigned k = 0; k < 2; k++) {
        int fd = client_open(&listen[k]), room = 1 << 22;
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
        for (unsigned round = 0; round < ROUNDS; round++) {
            bool seen[BURST] = {false};
            for (unsigned i = 0; i < BURST / 5; i++) /* what a default buffer holds */
                ask(fd, (uint16_t)i, 'E');
            for (unsigned i = 0; i < BURST / 5; i++) {
                uint16_t id = reply_id(fd);
                ck_assert(id < BURST && !seen[id]);
                seen[id] = true;
            }
        }
        close(fd);
    }
    bench_stop(&b);
    ck_assert_uint_eq(b.thread[0].counters.udp_queries, 2 * ROUNDS * BURST / 5);
    ck_assert_uint_eq(b.thread[0].counters.udp_replies, 2 * ROUNDS * BURST / 5);
    ck_assert_uint_eq(b.thread[0].counters.rcode[0], 2 * ROUNDS * BURST / 5);
    ck_assert_uint_eq(b.thread[0].counters.udp_dropped, 0);
}
END_TEST

/* A connected client sees only replies from the address that it asked; both wildcards share the
 * port. */
START_TEST(wildcard_replies_from_the_address_asked)
{
    struct address listen[2] = {at("0.0.0.0@15301"), at("::@15301")};
    struct address to[3] = {at("127.0.0.2@15301"), at("127.9.8.7@15301"), at("::1@15301")};
    struct bench b;
    bench_start(&b, 1, listen, 2);
    for (unsigned k = 0; k < 3; k++) {
        int fd = client_open(&to[k]);
        ask(fd, (uint16_t)(k + 40), 'E');
        ck_assert_uint_eq(reply_id(fd), k + 40);
        close(fd);
    }
    bench_stop(&b);
}
END_TEST

START_TEST(two_threads_share_an_address)
{
    enum { CLIENTS = 64 };
    struct address listen = at("127.0.0.1@15302");
    struct bench b;
    bench_start(&b, 2, &listen, 1);
    int fd[CLIENTS];
    for (unsigned i = 0; i < CLIENTS; i++) {
        fd[i] = client_open(&listen);
        ask(fd[i], (uint16_t)i, 'E');
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        ck_assert_uint_eq(reply_id(fd[i]), i);
        close(fd[i]);
    }
    bench_stop(&b);
    uint64_t one = b.thread[0].counters.udp_queries, two = b.thread[1].counters.udp_queries;
    ck_assert_uint_eq(one + two, CLIENTS);
    ck_assert_uint_gt(one, 0); /* 2^-64 that a fair hash fails here */
    ck_assert_uint_gt(two, 0);
}
END_TEST

/* No reply for what answer() drops, for the overlong (answer() never sees it), for the empty. */
START_TEST(dropped)
{
    struct address listen = at("127.0.0.1@15303");
    struct bench b;
    bench_start(&b, 1, &listen, 1);
    int fd = client_open(&listen);
    uint8_t overlong[5000] = {0};
    query_make(overlong, 3, 'E');
    ask(fd, 1, 'D');
    ck_assert_int_eq(send(fd, overlong, sizeof overlong, 0), sizeof overlong);
    ck_assert_int_eq(send(fd, overlong, 0, 0), 0);
    ask(fd, 2, 'E');
    ck_assert_uint_eq(reply_id(fd), 2); /* loopback keeps the order */
    close(fd);
    bench_stop(&b);
    ck_assert_uint_eq(b.thread[0].counters.udp_queries, 4);
    ck_assert_uint_eq(b.thread[0].counters.udp_dropped, 3);
    ck_assert_uint_eq(atomic_load(&answered), 3);
}
END_TEST

/* EMSGSIZE for one reply of several: it goes out as header and question with TC, the others as they
 * are. */
START_TEST(too_large_for_the_way)
{
    struct address listen = at("127.0.0.1@15304");
    struct bench b;
    bench_start(&b, 1, &listen, 1);
    atomic_store(&fail_errno, EMSGSIZE);
    int fd = client_open(&listen);
    ask(fd, 1, 'E');
    ask(fd, 2, 'B');
    ask(fd, 3, 'E');
    for (uint16_t want = 1; want <= 3; want++) {
        uint8_t buf[65536];
        uint16_t id;
        ck_assert_uint_eq(reply(fd, buf, sizeof buf, &id), QUERY_LEN);
        ck_assert_uint_eq(id, want);
        ck_assert_int_eq((buf[2] & 2) != 0, want == 2);
        ck_assert_uint_eq(get_u16(buf + 4), 1);
        ck_assert_uint_eq(get_u16(buf + 6), 0);
        ck_assert_uint_eq(buf[12], 2);
    }
    close(fd);
    bench_stop(&b);
    ck_assert_uint_eq(b.thread[0].counters.udp_replies, 3);
}
END_TEST

/* A full socket: the batch is dropped after one try, and the next one is answered. */
START_TEST(full_socket_drops)
{
    struct address listen = at("127.0.0.1@15305");
    struct bench b;
    bench_start(&b, 1, &listen, 1);
    int fd = client_open(&listen);
    atomic_store(&fail_times, 1);
    atomic_store(&fail_errno, EAGAIN);
    ask(fd, 1, 'E');
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (atomic_load(&send_calls) == 0)
        ck_assert_int_ge(poll(&p, 1, 1), 0);
    ask(fd, 2, 'E');
    ck_assert_uint_eq(reply_id(fd), 2);
    atomic_store(&fail_times, 1);
    atomic_store(&fail_errno, ENETUNREACH); /* of one client: the next is served */
    ask(fd, 3, 'E');
    while (atomic_load(&fail_times) == 1)
        ck_assert_int_ge(poll(&p, 1, 1), 0);
    ask(fd, 4, 'E');
    ck_assert_uint_eq(reply_id(fd), 4);
    close(fd);
    bench_stop(&b);
    ck_assert_uint_eq(atomic_load(&send_calls), 4);
    ck_assert_uint_eq(b.thread[0].counters.udp_dropped, 2);
    ck_assert_uint_eq(b.thread[0].counters.udp_replies, 2);
}
END_TEST

START_TEST(notify_is_passed_on)
{
    struct address listen = at("127.0.0.1@15306");
    struct bench b;
    bench_start(&b, 1, &listen, 1);
    int fd = client_open(&listen);
    struct address self = {.len = sizeof self.v6};
    getsockname(fd, &self.sa, &self.len);
    ask(fd, 9, 'N');
    ck_assert_uint_eq(reply_id(fd), 9);
    close(fd);
    bench_stop(&b);
    ck_assert_uint_eq(notify_serial, 4711);
    ck_assert(address_same_host(&notify_from, &self));
    ck_assert_uint_eq(notify_from.v4.sin_port, self.v4.sin_port);
}
END_TEST

START_TEST(address_taken)
{
    struct address listen[2] = {at("127.0.0.1@15307"), at("127.0.0.1@15308")};
    struct why why = {""};
    int fd = socket(AF_INET, SOCK_DGRAM, 0); /* without SO_REUSEPORT */
    ck_assert_int_eq(bind(fd, &listen[1].sa, listen[1].len), 0);
    struct server server = {0};
    struct query_thread thread = {.server = &server, .loop = loop_new("udp")};
    ck_assert_int_eq(udp_new(&thread, listen, 2, &thread.udp, &why), -E_IO);
    ck_assert_ptr_nonnull(strstr(why.text, "UDP 127.0.0.1@15308"));
    ck_assert_ptr_nonnull(strstr(why.text, strerror(EADDRINUSE)));
    ck_assert_ptr_null(thread.udp);
    close(fd);
    ck_assert_int_eq(udp_new(&thread, listen, 2, &thread.udp, &why), 0);
    udp_free(&thread.udp);
    loop_free(&thread.loop);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("udp");
    suite_add(s, batches);
    suite_add(s, wildcard_replies_from_the_address_asked);
    suite_add(s, two_threads_share_an_address);
    suite_add(s, dropped);
    suite_add(s, too_large_for_the_way);
    suite_add(s, full_socket_drops);
    suite_add(s, notify_is_passed_on);
    suite_add(s, address_taken);
    return suite_run(s);
}
