/* answer_fuzz: any octets as a query to a small set of zones.
 *
 * The first octet chooses UDP or TCP, the client's address, the size of the reply buffer, and whether the query is signed by a
 * key that is known. Whatever comes: the reply keeps to its
 * limit, reads back as a whole message, carries the query's ID, opcode and question, has OPT only if the query had an
 * additional record, and TC over TCP only in a buffer that is too small. An IXFR is answered by one SOA, or by a difference
 * or a zone that is whole and reads back. The answer to a query that is rightly signed is signed, or cut to nothing.
 */
#include "tests/lib/held.h"

#include "pipeline/base/log.h"
#include "pipeline/net/answer.h"
#include "pipeline/net/xfrout.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SOA(serial) "$TTL 3600\n@ SOA ns host " serial " 7200 3600 1209600 300\n"
#define BODY                                                                                       \
    "@ NS ns\n@ NS ns.sub\n@ MX 1 ns\n"                                                            \
    "ns A 192.0.2.1\nns AAAA 2001:db8::1\na A 192.0.2.2\na TXT x\na.b.ent TXT y\n*.w A "           \
    "192.0.2.3\n"                                                                                  \
    "h.w TXT z\n*.wc CNAME b.wc\nx.*.we TXT x\nc CNAME a\nl CNAME m\nm CNAME l\ng DNAME g.g\nd "   \
    "DNAME w\n"                                                                                    \
    "o CNAME o.other.\nsub NS ns.sub\nsub NS ns\nns.sub A 192.0.2.4\ns NS ns.sub\ns DS 1 13 2 "    \
    "00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF\n_s._t SRV 0 0 1 ns\n"       \
    "e DNAME "                                                                                     \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb."     \
    "ccccccccccccccccccccccccccccccccccccccccccccccccccccc.dddddddddddddddddddddddddddd.e\n"

static const char child_text[] =
    "$TTL 3600\n@ SOA ns host 1 1 1 1 1\n@ NS ns\nns A 192.0.2.9\n* TXT w\n";

static const struct held_zone zones[] = {
    {.name = "z.",
     .text = SOA("5") BODY,
     .later = {SOA("7") BODY "new A 192.0.2.9\n", SOA("8") BODY "NEW A 192.0.2.9\n"},
     .signed_ = true,
     .options = "allow_transfer = (\"192.0.2.1\"); allow_notify = (\"192.0.2.1\");"},
    {.name = "sub.z.", .text = child_text},
    {.name = "n3.", .text = SOA("5") BODY, .signed_ = true, .denial = FORGE_NSEC3},
    {.name = "oo.", .text = SOA("5") BODY, .signed_ = true, .denial = FORGE_OPTOUT},
    {.name = "none.", .state = HELD_NOT_READY},
};
static struct held held;
static struct answer_work work;

static void open_once(void)
{
    static bool opened;
    if (opened)
        return;
    opened = true;
    log_open(LOG_ERROR, STDERR_FILENO);
    held.keys = "{ name = \"k.\"; algorithm = \"hmac-sha256\"; secret = \"c2VjcmV0\"; }";
    held_open(&held, "identity = \"fuzz\"; version = \"fuzz\";", NULL, zones,
              sizeof zones / sizeof zones[0]);
    answer_work_init(&work);
}

static void expect_reply(const struct answer_query *q, const uint8_t *reply, size_t cap,
                         const struct answer_result *r)
{
    static struct msg_reader reader;
    struct why why;
    struct rr rr;
    uint8_t name[NAME_MAX_OCTETS];
    uint16_t type, class;
    int more = msg_open(&reader, reply, r->reply_len, &why);
    ASSERT(more >= 0 && r->reply_len <= cap);
    ASSERT(get_u16(reply) == get_u16(q->msg) && reader.flags & MSG_QR);
    ASSERT(msg_opcode(reader.flags) == msg_opcode(get_u16(q->msg + 2)));
    ASSERT(!(reader.flags & (MSG_RA | MSG_AD)) && msg_rcode(reader.flags) == (r->rcode & 15));
    ASSERT(!(reader.flags & MSG_TC) || !q->tcp || cap < MSG_MAX);
    ASSERT(reader.count[0] <= 1);
    if (reader.count[0]) {
        ASSERT(msg_question(&reader, name, &type, &class, &why) > 0);
        size_t n = name_len(name);
        ASSERT(q->len >= MSG_HEADER + n + 4 && memcmp(q->msg + MSG_HEADER, name, n) == 0);
        ASSERT(get_u16(q->msg + MSG_HEADER + n) == type);
    }
    while ((more = msg_next(&reader, &rr, &why)) > 0)
        ASSERT(rr.type != RR_OPT || (get_u16(q->msg + 10) && r->edns));
    ASSERT(more == 0);
    ASSERT(q->tcp || r->reply_len <= (r->edns ? 1232 : 512));
}

/* The query with a TSIG behind it, if there is room for one. */
static size_t sign(const uint8_t *msg, size_t len, uint8_t *out, struct tsig_mac *mac)
{
    const struct tsig_key *key = held.config->server.keys.key[0];
    memcpy(out, msg, len);
    size_t whole =
        len < MSG_HEADER ? 0 : tsig_sign(key, out, len, MSG_MAX, (uint64_t)time(NULL), mac);
    return whole ? whole : len;
}

static void expect_signed(const uint8_t *reply, const struct answer_result *r,
                          const struct tsig_mac *mac)
{
    struct why why;
    struct tsig_rr rr;
    int there = tsig_read(reply, r->reply_len, &rr, &why);
    ASSERT(there >= 0);
    if (!there) { /* names that leave no room for one */
        ASSERT(r->truncated || get_u32(reply + 6) == 0);
        return;
    }
    struct tsig_chain *chain = tsig_chain_new(r->tsig->key, mac);
    ASSERT(tsig_chain_take(chain, reply, r->reply_len, (uint64_t)time(NULL), &why) == 0);
    tsig_chain_free(&chain);
    ASSERT(!r->truncated || get_u32(reply + 6) == 0);
}

/* A transfer, to its end: between SOAs, two of them in all or four. */
static void expect_transfer(const struct answer_result *r)
{
    static struct msg_writer writer;
    static struct msg_reader reader;
    static uint8_t buf[MSG_MAX];
    struct version *v = zone_version(r->zone);
    struct xfrout *x = xfrout_new(v, r->id, r->qname, r->qtype, r->edns);
    bool difference = r->qtype == RR_IXFR && xfrout_since(x, r->serial);
    unsigned soas = 0, records = 0;
    struct why why;
    struct rr rr;
    msg_writer_init(&writer);
    while (!xfrout_done(x)) {
        int len = xfrout_next(x, &writer, buf, sizeof buf, &why), more = 0;
        ASSERT(len > 0 && msg_open(&reader, buf, (size_t)len, &why) == 0);
        while ((more = msg_next(&reader, &rr, &why)) > 0)
            if (rr.section == SECTION_ANSWER) {
                ASSERT(rr.type == RR_SOA || records > 0);
                soas += rr.type == RR_SOA;
                records++;
            }
        ASSERT(more == 0);
    }
    ASSERT(soas == (difference ? 4 : 2));
    xfrout_free(&x);
    version_unref(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    open_once();
    if (size < 1 || size > MSG_MAX)
        return 0;
    struct address peer = {.len = sizeof peer.v4};
    peer.v4.sin_family = AF_INET;
    peer.v4.sin_addr.s_addr = htonl(data[0] & 2 ? 0xc0000201 : 0xc6336401);
    size_t cap = data[0] & 4 ? ANSWER_CAP_MIN : MSG_MAX;
    struct answer_query q = {.zones = held.zones,
                             .conf = &held.config->server,
                             .peer = &peer,
                             .tcp = data[0] & 1,
                             .msg = data + 1,
                             .len = size - 1};
    static uint8_t signed_query[MSG_MAX];
    struct tsig_mac mac = {.len = 0};
    if (data[0] & 8) {
        q.len = sign(q.msg, q.len, signed_query, &mac);
        q.msg = signed_query;
    }
    uint8_t *reply = malloc(cap);
    ASSERT(reply);
    struct answer_result r;
    answer(&work, &q, reply, cap, &r);
    if (r.kind == ANSWER_DROP)
        ASSERT(q.len < MSG_HEADER || q.msg[2] & 0x80 ||
               msg_opcode(get_u16(q.msg + 2)) == OPCODE_NOTIFY);
    else
        expect_reply(&q, reply, cap, &r);
    if (r.kind == ANSWER_REPLY && r.tsig && r.tsig->verdict == 0)
        expect_signed(reply, &r, &mac);
    if (r.kind == ANSWER_TRANSFER)
        expect_transfer(&r);
    if (r.fetch)
        ASSERT(r.truncated || get_u16(reply + 6) == 1 ||
               (get_u16(reply + 6) >= 4 && r.fetch == FETCH_IXFR));
    free(reply);
    return 0;
}
