/* tsig: what a signature costs, by algorithm, on one core.
 *
 *   answer   a signed query of an SOA is judged and its answer signed
 *   out      messages of a transfer, 16 KiB each, signed as they leave
 *   in       the same, verified as they come in
 *
 * usage: tsig_bench [SECONDS] */
#include "pipeline/zone/message.h"
#include "pipeline/zone/tsig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NOW = 1700000000, QUERY = 30, MESSAGE = 16384, BATCH = 64 };

static const uint8_t name[] = "\3xfr\7example";
static uint8_t query[1024], message[MSG_MAX], stream[BATCH][MSG_MAX];
static size_t len[BATCH];

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Nanoseconds a piece of what fn does BATCH pieces of. */
static double ns_of(void (*fn)(const struct tsig_key *, const struct tsig_mac *),
                    const struct tsig_key *key, const struct tsig_mac *mac, double seconds)
{
    double began = cpu_s(), now;
    size_t n = 0;
    do {
        fn(key, mac);
        n += BATCH;
        now = cpu_s();
    } while (now - began < seconds);
    return (now - began) / (double)n * 1e9;
}

static size_t query_len;

static void answer(const struct tsig_key *key, const struct tsig_mac *mac)
{
    (void)mac;
    struct tsig_key *held[] = {tsig_key_ref(key)};
    const struct tsig_keys keys = {1, held};
    for (unsigned i = 0; i < BATCH; i++) {
        struct tsig_request q;
        uint8_t reply[1024] = {0};
        bool good = tsig_read(query, query_len, &q.rr, NULL) == 1 &&
                    tsig_request_check(&q, &keys, query, NOW) &&
                    tsig_request_answer(&q, reply, 2 * QUERY, sizeof reply, NOW) > 0;
        ASSERT(good);
    }
    tsig_key_unref(held[0]);
}

static void out(const struct tsig_key *key, const struct tsig_mac *mac)
{
    struct tsig_chain *chain = tsig_chain_new(key, mac);
    for (unsigned i = 0; i < BATCH; i++) {
        put_u16(stream[i] + 10, 0);
        len[i] = tsig_chain_sign(chain, stream[i], MESSAGE, MSG_MAX, NOW);
        ASSERT(len[i]);
    }
    tsig_chain_free(&chain);
}

static void in(const struct tsig_key *key, const struct tsig_mac *mac)
{
    struct tsig_chain *chain = tsig_chain_new(key, mac);
    for (unsigned i = 0; i < BATCH; i++)
        if (tsig_chain_take(chain, stream[i], len[i], NOW, NULL))
            abort();
    tsig_chain_free(&chain);
}

/* Whole of records, as a transfer's messages are: they are stepped over to find the TSIG. */
static void message_make(void)
{
    static struct msg_writer w;
    uint8_t rdata[4] = {192, 0, 2, 1};
    msg_writer_init(&w);
    msg_begin(&w, message, MESSAGE, 1, MSG_QR | MSG_AA);
    while (w.len + 16 <= MESSAGE - 20)
        if (!msg_put_rr(&w, SECTION_ANSWER, name, RR_A, CLASS_IN, 1, rdata, sizeof rdata))
            break;
    uint8_t rest[64] = {0};
    size_t left = MESSAGE - w.len - 12;
    bool fits = msg_put_rr(&w, SECTION_ANSWER, name, 65400, CLASS_IN, 1, rest, (uint16_t)left);
    ASSERT(fits && msg_end(&w) == MESSAGE);
    for (unsigned i = 0; i < BATCH; i++)
        memcpy(stream[i], message, MESSAGE);
}

int main(int argc, char **argv)
{
    static const char *const algorithm[] = {"hmac-sha1", "hmac-sha224", "hmac-sha256",
                                            "hmac-sha384", "hmac-sha512"};
    const double seconds = argc > 1 ? strtod(argv[1], NULL) : 0.3;
    message_make();
    for (size_t i = 0; i < sizeof algorithm / sizeof *algorithm; i++) {
        struct tsig_key *key;
        struct tsig_mac mac;
        if (tsig_key_new(name, algorithm[i], (const uint8_t *)"0123456789abcdef", 16, &key, NULL))
            abort();
        memset(query, 0, sizeof query);
        query_len = tsig_sign(key, query, MSG_HEADER, sizeof query, NOW, &mac);
        double a = ns_of(answer, key, &mac, seconds), o = ns_of(out, key, &mac, seconds),
               t = ns_of(in, key, &mac, seconds);
        printf("tsig.%-12s answer %6.0f ns   out %6.0f ns, %5.0f MB/s   in %6.0f ns, %5.0f MB/s\n",
               algorithm[i], a, o, MESSAGE / o * 1e3, t, MESSAGE / t * 1e3);
        tsig_key_unref(key);
    }
    return 0;
}
