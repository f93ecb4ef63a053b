/* Queries that are signed: who is let in, what the answer says, and that it is signed whatever it says and however small it has
 * to be. Sections are of RFC 8945. */
#include "pipeline/net/answer.h"

#include "pipeline/base/log.h"
#include "tests/lib/expect.h"
#include "tests/lib/held.h"
#include "tests/lib/suite.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#define OF_17  "01234567890123456"
#define OF_170 "\"" OF_17 OF_17 OF_17 OF_17 OF_17 OF_17 OF_17 OF_17 OF_17 OF_17 "\" "
#define OF_60  "a23456789-b23456789-c23456789-d23456789-e23456789-f23456789-"
#define LONG   OF_60 "1." OF_60 "2." OF_60 "3." OF_60 "."

static const struct held_zone zones[] = {
    {.name = "example.",
     .text = "$TTL 3600\n@ SOA ns host 1 7200 3600 1209600 300\n@ NS ns\nns A 192.0.2.70\n"
             "www A 192.0.2.71\nbig TXT " OF_170 OF_170 OF_170 "\nbig TXT \"2\" " OF_170 "\n" OF_60
             "1." OF_60 "2." OF_60 "3 TXT \"x\"\n",
     .options = "primaries = (\"signs\", \"signs-not\"); allow_notify = (\"key:b.\", \"192.0.2.9 "
                "key:a.\"); allow_transfer = (\"key:b.\", \"192.0.2.0/24 key:a.\");",
     .signed_ = true},
};
static const char *const keys =
    "{ name = \"A\"; algorithm = \"hmac-sha256\"; secret = \"AAAA\"; },"
    "{ name = \"b.\"; algorithm = \"hmac-sha512\"; secret = \"AAAB\"; },"
    "{ name = \"" LONG "\"; algorithm = \"hmac-sha512\"; secret = \"AAAB\"; }";

static struct held held;
static struct answer_work work;
static struct msg_writer writer;
static uint8_t reply[MSG_MAX];
static struct answer_result result;

static void open_all(void)
{
    log_open(LOG_ERROR, STDERR_FILENO);
    held.keys = keys;
    held_open(&held, "identity = \"ns1.weir\";",
              "{ name = \"signs\"; address = \"192.0.2.1\"; tsig = \"a.\"; },"
              "{ name = \"signs-not\"; address = \"192.0.2.2\"; }",
              zones, 1);
    answer_work_init(&work);
    msg_writer_init(&writer);
}

static struct tsig_key *key_of(const char *name, const char *algorithm, const char *secret)
{
    uint8_t wire[NAME_MAX_OCTETS];
    struct tsig_key *key = NULL;
    ck_assert_int_gt(name_parse(name, wire, NULL), 0);
    ck_assert_int_eq(tsig_key_new(wire, algorithm, (const uint8_t *)secret, 3, &key, NULL), 0);
    return key;
}

static struct tsig_key *key_a(void)
{
    return key_of("a.", "hmac-sha256", "\0\0\0");
}

static struct tsig_key *key_b(void)
{
    return key_of("b.", "hmac-sha512", "\0\0\1");
}

struct query {
    const char *name;
    uint16_t type, flags;
    uint16_t size; /* of EDNS; 0: none */
    unsigned version;
    bool tcp;
    const char *from;
    int64_t late_s; /* signed so long ago */
};

static uint8_t msg[2048];
static size_t len;
static struct tsig_mac mac;

static void build(const struct query *q)
{
    uint8_t name[NAME_MAX_OCTETS];
    ck_assert_int_gt(name_parse(q->name, name, NULL), 0);
    msg_begin(&writer, msg, sizeof msg, 77, q->flags);
    ck_assert(msg_put_question(&writer, name, q->type, CLASS_IN));
    if (q->size)
        ck_assert(msg_put_rr(&writer, SECTION_ADDITIONAL, name_root, RR_OPT, q->size,
                             q->version << 16 | 0x8000, NULL, 0));
    len = msg_end(&writer);
}

static void give(const struct query *q, size_t cap)
{
    struct address peer;
    ck_assert_int_eq(address_parse(q->from ? q->from : "198.51.100.7", 4000, &peer, NULL), 0);
    const struct answer_query query = {.zones = held.zones,
                                       .conf = &held.config->server,
                                       .peer = &peer,
                                       .tcp = q->tcp,
                                       .msg = msg,
                                       .len = len};
    answer(&work, &query, reply, cap, &result);
}

static void ask(const struct tsig_key *key, const struct query *q)
{
    build(q);
    if (key)
        len = tsig_sign(key, msg, len, sizeof msg, (uint64_t)(time(NULL) - q->late_s), &mac);
    give(q, sizeof reply);
}

/* The reply's TSIG, if any, and what the client thinks of it. */
static bool reply_tsig(struct tsig_rr *rr)
{
    struct why why = {""};
    int there = tsig_read(reply, result.reply_len, rr, &why);
    ck_assert_msg(there >= 0, "%s", why.text);
    return there;
}

static int client_takes(const struct tsig_key *key)
{
    struct why why = {""};
    struct tsig_chain *chain = tsig_chain_new(key, &mac);
    int err = tsig_chain_take(chain, reply, result.reply_len, (uint64_t)time(NULL), &why);
    tsig_chain_free(&chain);
    return err;
}

START_TEST(s5_3_every_answer_to_a_signed_query_is_signed)
{
    static const struct {
        struct query q;
        unsigned rcode;
    } row[] = {
        {{.name = "www.example.", .type = RR_A}, RCODE_NOERROR},
        {{.name = "www.example.", .type = RR_A, .size = 1232}, RCODE_NOERROR},
        {{.name = "example.", .type = RR_SOA, .tcp = true}, RCODE_NOERROR},
        {{.name = "nx.example.", .type = RR_A, .size = 1232}, RCODE_NXDOMAIN},
        {{.name = "www.other.", .type = RR_A}, RCODE_REFUSED},
        {{.name = "www.example.", .type = RR_A, .size = 1232, .version = 1}, RCODE_BADVERS},
        {{.name = "example.", .type = RR_SOA, .flags = OPCODE_UPDATE << 11}, RCODE_NOTIMP},
        {{.name = "example.", .type = RR_AXFR, .tcp = true},
         RCODE_REFUSED}, /* key a, not from there */
        {{.name = "other.", .type = RR_AXFR, .tcp = true}, RCODE_NOTAUTH},
        {{.name = "example.", .type = RR_AXFR, .from = "192.0.2.5"}, RCODE_NOTIMP},
    };
    open_all();
    struct tsig_key *key = key_a(), *b = key_b();
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct tsig_rr rr;
        ask(key, &row[i].q);
        ck_assert_int_eq(result.kind, ANSWER_REPLY);
        ck_assert_msg(result.rcode == row[i].rcode, "row %zu: %s", i, rcode_text(result.rcode));
        ck_assert_ptr_nonnull(result.tsig);
        ck_assert_int_eq(result.tsig->verdict, 0);
        ck_assert(reply_tsig(&rr));
        ck_assert_uint_eq(rr.error, 0);
        ck_assert_msg(client_takes(key) == 0, "row %zu", i);
        ck_assert_int_lt(client_takes(b), 0);
        ask(NULL, &row[i].q); /* and to others it is not */
        ck_assert_ptr_null(result.tsig);
        ck_assert(!reply_tsig(&rr));
    }
    tsig_key_unref(key);
    tsig_key_unref(b);
    held_close(&held);
}
END_TEST

/* 5.2.1, 5.2.2, 5.2.3: NOTAUTH with BADKEY, BADSIG, unsigned, and BADTIME, signed (5.3.2) */
START_TEST(s5_2_errors)
{
    const struct {
        const char *name, *algorithm, *secret;
        int64_t late_s;
        unsigned error;
    } row[] = {
        {"c.", "hmac-sha256", "\0\0\0", 0, TSIG_BADKEY},
        {"a.", "hmac-sha1", "\0\0\0", 0, TSIG_BADKEY},
        {"a.", "hmac-sha256", "\0\0\1", 0, TSIG_BADSIG},
        {"a.", "hmac-sha256", "\0\0\1", 9999, TSIG_BADSIG},
        {"a.", "hmac-sha256", "\0\0\0", 400, TSIG_BADTIME},
        {"A.", "HMAC-SHA256", "\0\0\0", -400, TSIG_BADTIME},
    };
    open_all();
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        static const uint16_t type[] = {RR_A, RR_AXFR, RR_SOA};
        for (unsigned k = 0; k < 3; k++) {
            struct tsig_key *key = key_of(row[i].name, row[i].algorithm, row[i].secret);
            struct tsig_rr rr;
            ask(key, &(struct query){.name = "example.",
                                     .type = type[k],
                                     .size = 1232,
                                     .tcp = k == 1,
                                     .flags = k == 2 ? OPCODE_NOTIFY << 11 : 0,
                                     .from = "192.0.2.1",
                                     .late_s = row[i].late_s});
            ck_assert_int_eq(result.kind, ANSWER_REPLY);
            ck_assert_uint_eq(result.rcode, RCODE_NOTAUTH);
            ck_assert(!result.notify);
            ck_assert_uint_eq(get_u32(reply + 6), 0); /* no answer, no authority */
            ck_assert_uint_eq(get_u16(reply + 10), 2);
            ck_assert(reply_tsig(&rr));
            ck_assert_uint_eq(rr.error, row[i].error);
            ck_assert_int_eq(rr.mac_len > 0, row[i].error == TSIG_BADTIME);
            ck_assert_uint_eq(rr.other_len, row[i].error == TSIG_BADTIME ? 6 : 0);
            ck_assert_int_eq(client_takes(key), -E_REFUSED);
            tsig_key_unref(key);
        }
    }
    held_close(&held);
}
END_TEST

START_TEST(s5_2_2_1_macs_of_impossible_length_are_formerr)
{
    static const uint8_t tsig[] = "\1a\0\0\xfa\0\xff\0\0\0\0\0\x21\13hmac-sha256\0\0\0\1\2\3\4"
                                  "\1\x2c\0\4MACS\0\x4d\0\0\0\0";
    struct tsig_rr rr;
    open_all();
    build(&(struct query){.name = "www.example.", .type = RR_A});
    memcpy(msg + len, tsig, sizeof tsig - 1);
    len += sizeof tsig - 1;
    put_u16(msg + 10, 1);
    give(&(struct query){0}, sizeof reply);
    ck_assert_int_eq(result.kind, ANSWER_REPLY);
    ck_assert_uint_eq(result.rcode, RCODE_FORMERR);
    ck_assert_uint_eq(get_u32(reply + 6), 0);
    ck_assert(!reply_tsig(&rr));
    held_close(&held);
}
END_TEST

/* 5.3: what does not fit with its TSIG is cut to question and TSIG, with TC and NOERROR. */
START_TEST(s5_3_no_limit_is_crossed)
{
    static const char *const name[] = {"www.example.", "big.example.", "nx.example."};
    unsigned whole = 0, cut = 0;
    open_all();
    struct tsig_key *key = key_b();
    for (size_t i = 0; i < sizeof name / sizeof *name; i++)
        for (uint16_t size = 512; size <= 1232; size++) {
            struct tsig_rr rr;
            ask(key, &(struct query){.name = name[i], .type = RR_TXT, .size = size});
            EXPECT(result.kind == ANSWER_REPLY && result.reply_len <= size);
            EXPECT(reply_tsig(&rr) && client_takes(key) == 0);
            EXPECT_EQ(!!(get_u16(reply + 2) & MSG_TC), result.truncated);
            if (!result.truncated) {
                whole++;
                continue;
            }
            cut++;
            EXPECT_EQ(msg_rcode(get_u16(reply + 2)), RCODE_NOERROR);
            EXPECT(get_u32(reply + 6) == 0 && get_u16(reply + 10) == 2);
        }
    ck_assert_uint_gt(whole, 800);
    ck_assert_uint_gt(cut, 400);
    tsig_key_unref(key);
    held_close(&held);
}
END_TEST

/* Names so long that 512 octets hold no TSIG beside the question. */
START_TEST(where_no_tsig_fits)
{
    static const char *const name = OF_60 "1." OF_60 "2." OF_60 "3.example.";
    struct tsig_rr rr;
    open_all();
    struct tsig_key *key = key_of(LONG, "hmac-sha512", "\0\0\1"),
                    *stranger = key_of(OF_60 "1." OF_60 "2." OF_60 "3." OF_60 "4.", "hmac-sha512",
                                       "\0\0\2");
    ask(key, &(struct query){.name = name, .type = RR_TXT, .size = 512});
    ck_assert(result.truncated && !reply_tsig(&rr));
    ck_assert_uint_eq(result.rcode, RCODE_NOERROR);
    ck_assert_uint_eq(get_u32(reply + 6), 0);
    ask(stranger, &(struct query){.name = OF_60 "1." OF_60 "2." OF_60 "3.example-example.",
                                  .type = RR_A,
                                  .size = 512});
    ck_assert(!result.truncated && !reply_tsig(&rr));
    ck_assert_uint_eq(result.rcode, RCODE_NOTAUTH);
    ask(key, &(struct query){.name = name, .type = RR_TXT, .size = 512, .tcp = true});
    ck_assert(!result.truncated && client_takes(key) == 0);
    ck_assert_uint_eq(get_u16(reply + 6), 2); /* it is there, with its RRSIG */
    tsig_key_unref(key);
    tsig_key_unref(stranger);
    held_close(&held);
}
END_TEST

/* RFC 5936 5: by address, by key, by both; 2.1.5, 2.2.5: TSIG in the query, and in what refuses it. */
START_TEST(transfers_by_key_and_by_both)
{
    const struct {
        const char *from;
        struct tsig_key *key;
        bool allowed;
    } row[] = {
        {"192.0.2.5", NULL, false},       {"192.0.2.5", key_a(), true},
        {"198.51.100.7", key_a(), false}, {"198.51.100.7", key_b(), true},
        {"2001:db8::1", key_b(), true},   {"198.51.100.7", NULL, false},
    };
    open_all();
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct query q = {.name = "example.", .type = RR_AXFR, .tcp = true, .from = row[i].from};
        ask(row[i].key, &q);
        ck_assert_msg((result.kind == ANSWER_TRANSFER) == row[i].allowed, "row %zu", i);
        if (row[i]
                .allowed) { /* a limit is reached: the reply has another RCODE than the one made */
            put_u16(reply + 2, (uint16_t)((get_u16(reply + 2) & ~15) | RCODE_REFUSED));
            result.reply_len = answer_seal(&result, reply, sizeof reply);
            ck_assert_int_eq(client_takes(row[i].key), 0);
        }
        tsig_key_unref(row[i].key);
    }
    held_close(&held);
}
END_TEST

/* RFC 1996 3.10 */
START_TEST(notify_by_primaries_and_by_key)
{
    const struct {
        const char *from;
        struct tsig_key *key;
        bool allowed;
    } row[] = {
        {"192.0.2.1", NULL, false}, /* its remote has a key */
        {"192.0.2.1", key_a(), true},    {"192.0.2.2", NULL, true},
        {"192.0.2.2", key_a(), true},    {"192.0.2.3", key_a(), false},
        {"192.0.2.9", key_a(), true},    {"192.0.2.9", NULL, false},
        {"198.51.100.7", key_b(), true}, {"198.51.100.7", NULL, false},
    };
    open_all();
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct query q = {
            .name = "example.", .type = RR_SOA, .flags = OPCODE_NOTIFY << 11, .from = row[i].from};
        ask(row[i].key, &q);
        ck_assert_msg(result.notify == row[i].allowed, "row %zu", i);
        ck_assert_int_eq(result.kind, row[i].allowed ? ANSWER_REPLY : ANSWER_DROP);
        ck_assert_int_eq(result.notify_dropped, !row[i].allowed);
        ck_assert_int_eq(result.notify_unproved,
                         !row[i].allowed && strcmp(row[i].from, "192.0.2.1") == 0);
        if (row[i].allowed && row[i].key)
            ck_assert_int_eq(client_takes(row[i].key), 0);
        tsig_key_unref(row[i].key);
    }
    held_close(&held);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("answer_tsig");
    suite_add(s, s5_3_every_answer_to_a_signed_query_is_signed);
    suite_add(s, s5_2_errors);
    suite_add(s, s5_2_2_1_macs_of_impossible_length_are_formerr);
    suite_add(s, s5_3_no_limit_is_crossed);
    suite_add(s, where_no_tsig_fits);
    suite_add(s, transfers_by_key_and_by_both);
    suite_add(s, notify_by_primaries_and_by_key);
    return suite_run(s);
}
