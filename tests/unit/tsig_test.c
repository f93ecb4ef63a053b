/* TSIG against Python's hmac (tsig_vectors.inc, by make-tsig-vectors), and every rule of RFC 8945 that a message can break.
 * Names of tests carry the section. */
#include "pipeline/zone/tsig.h"

#include "pipeline/zone/message.h"
#include "pipeline/zone/tsig_parts.h"
#include "tests/lib/expect.h"
#include "tests/lib/suite.h"

#include <inttypes.h>
#include <string.h>

enum { ANSWERS_MAX = 8, NOW = 1700000000, AR_COUNT = 10 };

struct octets {
    const uint8_t *p;
    size_t len;
};
struct vector {
    const char *label, *name, *algorithm;
    uint64_t when;
    struct octets secret, query;
    size_t n;
    struct octets answer[ANSWERS_MAX];
};
#define OCTETS(s)                                                                                  \
    {                                                                                              \
        (const uint8_t *)s, sizeof s - 1                                                           \
    }
static const struct vector vectors[] = {
#include "tests/unit/tsig_vectors.inc"
};
enum { VECTORS = sizeof vectors / sizeof *vectors };

static struct tsig_key *key_of(const char *name, const char *algorithm, const void *secret,
                               size_t len)
{
    uint8_t wire[NAME_MAX_OCTETS];
    struct tsig_key *key = NULL;
    struct why why = {""};
    ck_assert_int_gt(name_parse(name, wire, NULL), 0);
    ck_assert_msg(tsig_key_new(wire, algorithm, secret, len, &key, &why) == 0, "%s", why.text);
    return key;
}

static struct tsig_key *vector_key(const struct vector *v)
{
    return key_of(v->name, v->algorithm, v->secret.p, v->secret.len);
}

static struct tsig_key *key_k(void)
{
    return key_of("k.example.", "hmac-sha256", "0123456789abcdef", 16);
}

/* A message as it was before its TSIG. */
static size_t bare_of(const struct octets *msg, uint8_t out[MSG_MAX])
{
    struct tsig_rr rr;
    memcpy(out, msg->p, msg->len);
    if (tsig_read(msg->p, msg->len, &rr, NULL) != 1)
        return msg->len;
    put_u16(out + AR_COUNT, (uint16_t)(get_u16(out + AR_COUNT) - 1));
    return rr.at;
}

static void expect_same_signature(const struct vector *v, const uint8_t *msg, size_t len,
                                  const struct octets *want)
{
    struct tsig_rr a, b;
    EXPECT_EQ(tsig_read(msg, len, &a, NULL), 1);
    EXPECT_EQ(tsig_read(want->p, want->len, &b, NULL), 1);
    ck_assert_msg(len == want->len && a.mac_len == b.mac_len &&
                      memcmp(a.mac, b.mac, a.mac_len) == 0,
                  "%s: another MAC than Python's", v->label);
    /* All of it is the same but for the case of the key's name. */
    EXPECT_EQ(memcmp(msg, want->p, a.at), 0);
    EXPECT(name_equal(msg + a.at, want->p + b.at));
    size_t behind = a.at + name_len(msg + a.at);
    EXPECT_EQ(memcmp(msg + behind, want->p + behind, len - behind), 0);
}

static struct tsig_request request_of(const struct tsig_key *key, const uint8_t *msg, size_t len,
                                      uint64_t now)
{
    struct tsig_key *held[] = {tsig_key_ref(key)};
    const struct tsig_keys keys = {1, held};
    struct tsig_request q;
    struct why why = {""};
    ck_assert_msg(tsig_read(msg, len, &q.rr, &why) == 1, "%s", why.text);
    bool good = tsig_request_check(&q, &keys, msg, now);
    EXPECT_EQ(good, q.verdict == 0);
    tsig_key_unref(held[0]);
    return q;
}

static void take(struct tsig_chain *chain, const struct octets *msg, uint64_t now)
{
    struct why why = {""};
    ck_assert_msg(tsig_chain_take(chain, msg->p, msg->len, now, &why) == 0, "%s", why.text);
}

START_TEST(s4_3_query_as_python_signs_it)
{
    const struct vector *v = &vectors[_i];
    struct tsig_key *key = vector_key(v);
    uint8_t msg[MSG_MAX];
    struct tsig_mac mac;
    size_t len = bare_of(&v->query, msg);
    len = tsig_sign(key, msg, len, sizeof msg, v->when, &mac);
    expect_same_signature(v, msg, len, &v->query);
    struct tsig_request q = request_of(key, v->query.p, v->query.len, v->when);
    ck_assert_int_eq(q.verdict, 0);
    ck_assert_uint_eq(q.mac.len, mac.len);
    ck_assert_mem_eq(q.mac.octets, mac.octets, mac.len);
    tsig_key_unref(key);
}
END_TEST

/* 4.3.1, 5.3.1: the first answer stands on the query's MAC, the next ones on the one before and timers only. */
START_TEST(s5_3_1_answers_as_python_signs_them)
{
    const struct vector *v = &vectors[_i];
    struct tsig_key *key = vector_key(v);
    struct tsig_request q = request_of(key, v->query.p, v->query.len, v->when);
    struct tsig_chain *in = tsig_chain_new(key, &q.mac), *out = tsig_chain_new(key, &q.mac);
    bool all_signed = true;
    for (size_t i = 0; i < v->n; i++) {
        struct tsig_rr rr;
        uint8_t msg[MSG_MAX];
        take(in, &v->answer[i], v->when);
        all_signed = all_signed && tsig_read(v->answer[i].p, v->answer[i].len, &rr, NULL) == 1;
        if (!all_signed) /* we sign every one */
            continue;
        size_t len = bare_of(&v->answer[i], msg);
        len = tsig_chain_sign(out, msg, len, sizeof msg, rr.time);
        expect_same_signature(v, msg, len, &v->answer[i]);
    }
    ck_assert_int_eq(tsig_chain_end(in, NULL), 0);
    tsig_chain_free(&in);
    tsig_chain_free(&out);
    tsig_key_unref(key);
}
END_TEST

/* No octet can change unseen. What may: the header's ID, which forwarders replace (5.5), and the case of names. */
START_TEST(s5_2_2_every_octet_counts)
{
    const struct vector *v = &vectors[0];
    struct tsig_key *key = vector_key(v);
    uint8_t msg[MSG_MAX];
    struct tsig_key *held[] = {key};
    const struct tsig_keys keys = {1, held};
    struct tsig_rr whole;
    ck_assert_int_eq(tsig_read(v->query.p, v->query.len, &whole, NULL), 1);
    unsigned good = 0;
    for (size_t i = 2; i < v->query.len; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            struct tsig_request q;
            memcpy(msg, v->query.p, v->query.len);
            msg[i] ^= (uint8_t)(1u << bit);
            if (tsig_read(msg, v->query.len, &q.rr, NULL) != 1 ||
                !tsig_request_check(&q, &keys, msg, v->when))
                continue;
            good++;
            EXPECT(i >= whole.at && bit == 5); /* a letter of the key's or algorithm's name */
        }
    ck_assert_uint_eq(good, 7 + 3 + 7); /* "Example", "Xfr", "hmac-sha1": their letters */
    memcpy(msg, v->query.p, v->query.len);
    msg[0] ^= 0xff;
    ck_assert_int_eq(request_of(key, msg, v->query.len, v->when).verdict, 0);
    tsig_key_unref(key);
}
END_TEST

/* ---- the record: messages made by hand */

struct made {
    uint8_t msg[2048];
    size_t len;
};

static void add(struct made *m, const void *p, size_t n)
{
    ck_assert_uint_le(m->len + n, sizeof m->msg);
    memcpy(m->msg + m->len, p, n);
    m->len += n;
}

static struct made query_made(void)
{
    struct made m = {.len = 0};
    const uint8_t q[] = "\x12\x34\0\0\0\1\0\0\0\0\0\0\7example\0\0\6\0\1";
    add(&m, q, sizeof q - 1);
    return m;
}

#define RDATA "\13hmac-sha256\0\0\0\1\2\3\4\1\x2c\0\4MACS\x12\x34\0\0\0\0"
static void add_tsig(struct made *m, unsigned section, uint16_t class, uint32_t ttl,
                     const void *rdata, size_t len)
{
    uint8_t head[] = "\1k\7example\0\0\xfa\0\0\0\0\0\0\0\0";
    size_t at = sizeof head - 1 - 10;
    put_u16(head + at + 2, class);
    put_u32(head + at + 4, ttl);
    put_u16(head + at + 8, (uint16_t)len);
    add(m, head, sizeof head - 1);
    add(m, rdata, len);
    uint8_t *count = m->msg + 4 + 2 * section;
    put_u16(count, (uint16_t)(get_u16(count) + 1));
}

static void expect_malformed(const struct made *m, const char *words)
{
    struct tsig_rr rr;
    struct why why = {""};
    ck_assert_msg(tsig_read(m->msg, m->len, &rr, &why) == -E_FORMAT, "%s is taken", words);
    ck_assert_str_eq(why.text, words);
}

START_TEST(s4_2_class_any_ttl_0_names_uncompressed)
{
    struct tsig_rr rr;
    struct made m = query_made();
    ck_assert_int_eq(tsig_read(m.msg, m.len, &rr, NULL), 0);
    add_tsig(&m, SECTION_ADDITIONAL, CLASS_ANY, 0, RDATA, sizeof RDATA - 1);
    ck_assert_int_eq(tsig_read(m.msg, m.len, &rr, NULL), 1);
    ck_assert_uint_eq(rr.at, query_made().len);
    ck_assert_uint_eq(rr.time, 0x01020304);
    ck_assert_uint_eq(rr.fudge, 300);
    ck_assert_uint_eq(rr.mac_len, 4);
    ck_assert_uint_eq(rr.original_id, 0x1234);
    m = query_made();
    add_tsig(&m, SECTION_ADDITIONAL, CLASS_IN, 0, RDATA, sizeof RDATA - 1);
    expect_malformed(&m, "a TSIG whose class is not ANY or whose TTL is not 0");
    m = query_made();
    add_tsig(&m, SECTION_ADDITIONAL, CLASS_ANY, 1, RDATA, sizeof RDATA - 1);
    expect_malformed(&m, "a TSIG whose class is not ANY or whose TTL is not 0");
    static const char pointer[] = "\xc0\x0c\0\0\1\2\3\4\1\x2c\0\4MACS\x12\x34\0\0\0\0";
    m = query_made();
    add_tsig(&m, SECTION_ADDITIONAL, CLASS_ANY, 0, pointer, sizeof pointer - 1);
    expect_malformed(&m, "TSIG: the algorithm is no uncompressed name");
    for (size_t cut = 13; cut < sizeof RDATA - 1; cut++) {
        char words[64];
        m = query_made();
        add_tsig(&m, SECTION_ADDITIONAL, CLASS_ANY, 0, RDATA, cut);
        snprintf(words, sizeof words, "TSIG: its %zu octets of rdata do not parse", cut);
        expect_malformed(&m, words);
    }
    m = query_made();
    add_tsig(&m, SECTION_ADDITIONAL, CLASS_ANY, 0, RDATA, sizeof RDATA); /* one octet more */
    expect_malformed(&m, "TSIG: its 34 octets of rdata do not parse");
}
END_TEST

/* 5.2: else FORMERR, see answer_test */
START_TEST(s5_1_last_of_additional_and_only_one)
{
    static const char last[] = "a TSIG that is not the last record of all";
    static const uint8_t opt[] = {0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0};
    struct made m = query_made();
    add_tsig(&m, SECTION_ADDITIONAL, CLASS_ANY, 0, RDATA, sizeof RDATA - 1);
    add_tsig(&m, SECTION_ADDITIONAL, CLASS_ANY, 0, RDATA, sizeof RDATA - 1);
    expect_malformed(&m, last);
    m = query_made();
    add_tsig(&m, SECTION_ADDITIONAL, CLASS_ANY, 0, RDATA, sizeof RDATA - 1);
    add(&m, opt, sizeof opt);
    put_u16(m.msg + AR_COUNT, 2);
    expect_malformed(&m, last);
    for (unsigned section = SECTION_ANSWER; section <= SECTION_AUTHORITY; section++) {
        m = query_made();
        add_tsig(&m, section, CLASS_ANY, 0, RDATA, sizeof RDATA - 1);
        expect_malformed(&m, last);
    }
    m = query_made();
    add_tsig(&m, SECTION_ADDITIONAL, CLASS_ANY, 0, RDATA, sizeof RDATA - 1);
    for (size_t len = 0; len < m.len; len++) {
        struct made cut = m;
        struct tsig_rr rr;
        cut.len = len;
        EXPECT_EQ(tsig_read(cut.msg, cut.len, &rr, NULL), -E_FORMAT);
    }
    add(&m, "x", 1);
    expect_malformed(&m, "octets behind the TSIG");
}
END_TEST

/* ---- what a server says */

static size_t signed_query(const struct tsig_key *key, uint64_t now, uint8_t msg[MSG_MAX],
                           struct tsig_mac *mac)
{
    struct made m = query_made();
    memcpy(msg, m.msg, m.len);
    size_t len = tsig_sign(key, msg, m.len, MSG_MAX, now, mac);
    ck_assert_uint_gt(len, m.len);
    return len;
}

/* Where the MAC of a message lies in it. */
static uint8_t *mac_at(uint8_t *msg, size_t len, struct tsig_rr *rr)
{
    ck_assert_int_eq(tsig_read(msg, len, rr, NULL), 1);
    return msg + (rr->mac - msg);
}

/* Gives the TSIG's MAC another length, the octets behind it moved. */
static size_t mac_resize(uint8_t *msg, size_t len, uint16_t n)
{
    struct tsig_rr rr;
    uint8_t *mac = mac_at(msg, len, &rr), rest[6];
    memcpy(rest, mac + rr.mac_len, sizeof rest);
    if (n > rr.mac_len)
        memset(mac + rr.mac_len, 0, n - rr.mac_len);
    memcpy(mac + n, rest, sizeof rest);
    put_u16(mac - 2, n);
    uint8_t *rdlen = msg + (rr.algorithm - msg) - 2;
    put_u16(rdlen, (uint16_t)(get_u16(rdlen) + n - rr.mac_len));
    return len + n - rr.mac_len;
}

/* 5.2.1, 5.2.2, 5.2.3, 5.2.4 in that order */
START_TEST(s5_2_order_key_mac_time_truncation)
{
    struct tsig_key *key = key_k(), *other = key_of("o.example.", "hmac-sha256", "x", 1);
    struct tsig_key *sha1 = key_of("k.example.", "hmac-sha1", "0123456789abcdef", 16);
    uint8_t msg[MSG_MAX], wrong[MSG_MAX];
    struct tsig_mac mac;
    struct tsig_rr rr;
    size_t len = signed_query(key, NOW, msg, &mac), cut;
    ck_assert_int_eq(request_of(key, msg, len, NOW).verdict, 0);
    /* all four are wrong */
    memcpy(wrong, msg, len);
    mac_at(wrong, len, &rr)[0] ^= 1;
    cut = mac_resize(wrong, len, 20);
    ck_assert_int_eq(request_of(other, wrong, cut, 1).verdict, TSIG_BADKEY);
    ck_assert_int_eq(request_of(sha1, wrong, cut, 1).verdict, TSIG_BADKEY); /* 5.2.1 */
    /* MAC, time, truncation */
    ck_assert_int_eq(request_of(key, wrong, cut, 1).verdict, TSIG_BADSIG);
    /* time, truncation */
    memcpy(wrong, msg, len);
    cut = mac_resize(wrong, len, 20);
    ck_assert_int_eq(request_of(key, wrong, cut, 1).verdict, TSIG_BADTIME);
    ck_assert_int_eq(request_of(key, wrong, cut, NOW).verdict, TSIG_BADTRUNC);
    /* 5.2.2.1: no length of a MAC; but the key comes first */
    for (unsigned n = 0; n <= 40; n++) {
        memcpy(wrong, msg, len);
        cut = mac_resize(wrong, len, (uint16_t)n);
        int want = n < 16 || n > 32 ? -E_FORMAT : n < 32 ? TSIG_BADTRUNC : 0;
        EXPECT_EQ(request_of(key, wrong, cut, NOW).verdict, want);
        EXPECT_EQ(request_of(other, wrong, cut, NOW).verdict, TSIG_BADKEY);
    }
    tsig_key_unref(key);
    tsig_key_unref(other);
    tsig_key_unref(sha1);
}
END_TEST

START_TEST(s5_2_2_1_ten_octets_are_the_least)
{
    struct tsig_key *key = key_of("k.example.", "hmac-sha1", "s", 1);
    for (unsigned n = 0; n <= 24; n++) {
        uint8_t msg[MSG_MAX];
        struct tsig_mac mac;
        size_t len = mac_resize(msg, signed_query(key, NOW, msg, &mac), (uint16_t)n);
        int want = n < 10 || n > 20 ? -E_FORMAT : n < 20 ? TSIG_BADTRUNC : 0;
        EXPECT_EQ(request_of(key, msg, len, NOW).verdict, want);
    }
    tsig_key_unref(key);
}
END_TEST

START_TEST(s5_2_3_the_fudge_is_the_clients)
{
    struct tsig_key *key = key_k();
    uint8_t msg[MSG_MAX];
    struct tsig_mac mac;
    size_t len = signed_query(key, NOW, msg, &mac);
    const struct {
        int64_t off;
        int want;
    } row[] = {{0, 0}, {300, 0}, {-300, 0}, {301, TSIG_BADTIME}, {-301, TSIG_BADTIME}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        ck_assert_int_eq(request_of(key, msg, len, (uint64_t)(NOW + row[i].off)).verdict,
                         row[i].want);
    tsig_key_unref(key);
}
END_TEST

/* The answer to a query that has this wrong; its TSIG. */
static struct tsig_rr answer_to(const struct tsig_request *q, uint8_t msg[MSG_MAX], size_t *len,
                                uint64_t now)
{
    struct made m = query_made();
    struct tsig_rr rr;
    put_u16(m.msg + 2, MSG_QR | (q->verdict ? RCODE_NOTAUTH : 0));
    memcpy(msg, m.msg, m.len);
    *len = tsig_request_answer(q, msg, m.len, m.len + tsig_request_room(q), now);
    ck_assert_uint_gt(*len, m.len);
    ck_assert_int_eq(tsig_read(msg, *len, &rr, NULL), 1);
    ck_assert_uint_eq(rr.error, q->verdict);
    ck_assert_uint_eq(rr.original_id, 0x1234);
    return rr;
}

/* What the client makes of an answer. */
static int client_takes(const struct tsig_key *key, const struct tsig_mac *mac, const uint8_t *msg,
                        size_t len, uint64_t now, struct why *why)
{
    struct tsig_chain *chain = tsig_chain_new(key, mac);
    int err = tsig_chain_take(chain, msg, len, now, why);
    tsig_chain_free(&chain);
    return err;
}

START_TEST(s5_3_an_answer_is_signed)
{
    struct tsig_key *key = key_k();
    uint8_t msg[MSG_MAX], back[MSG_MAX];
    struct tsig_mac mac;
    struct why why = {""};
    size_t len = signed_query(key, NOW, msg, &mac), back_len;
    struct tsig_request q = request_of(key, msg, len, NOW);
    struct tsig_rr rr = answer_to(&q, back, &back_len, NOW + 5);
    ck_assert_uint_eq(rr.time, NOW + 5);
    ck_assert_uint_eq(rr.mac_len, 32);
    ck_assert_int_eq(client_takes(key, &mac, back, back_len, NOW, &why), 0);
    struct tsig_mac another = mac; /* it answers that query and no other */
    another.octets[3] ^= 1;
    ck_assert_int_eq(client_takes(key, &another, back, back_len, NOW, &why), -E_MISMATCH);
    ck_assert_str_eq(why.text, "its signature is wrong: key k.example. has another secret there, "
                               "or the message was changed on the way");
    struct made m = query_made();
    memcpy(back, m.msg, m.len);
    ck_assert_uint_eq(tsig_request_answer(&q, back, m.len, back_len - 1, NOW), 0);
    ck_assert_uint_eq(get_u16(back + AR_COUNT), 0);
    tsig_key_unref(key);
}
END_TEST

START_TEST(s5_3_2_errors_of_key_and_mac_are_unsigned)
{
    struct tsig_key *key = key_k(), *liar = key_of("k.example.", "hmac-sha256", "another", 7),
                    *other = key_of("o.example.", "hmac-sha256", "x", 1);
    uint8_t msg[MSG_MAX], back[MSG_MAX];
    struct tsig_mac mac;
    struct why why = {""};
    size_t len = signed_query(key, NOW, msg, &mac), back_len;
    struct tsig_request q = request_of(other, msg, len, NOW + 4000);
    struct tsig_rr rr = answer_to(&q, back, &back_len, NOW + 4000);
    ck_assert_uint_eq(rr.error, TSIG_BADKEY);
    ck_assert_uint_eq(rr.mac_len, 0);
    ck_assert_uint_eq(rr.other_len, 0);
    ck_assert_uint_eq(rr.time, NOW);
    ck_assert_int_eq(client_takes(key, &mac, back, back_len, NOW, &why), -E_REFUSED);
    ck_assert_str_eq(why.text,
                     "it answered BADKEY: it does not know key k.example. with hmac-sha256");
    q = request_of(liar, msg, len, NOW + 4000);
    rr = answer_to(&q, back, &back_len, NOW + 4000);
    ck_assert_uint_eq(rr.error, TSIG_BADSIG);
    ck_assert_uint_eq(rr.mac_len, 0);
    ck_assert_int_eq(client_takes(key, &mac, back, back_len, NOW, &why), -E_REFUSED);
    ck_assert_str_eq(why.text,
                     "it answered BADSIG: key k.example. has another secret there than here");
    tsig_key_unref(key);
    tsig_key_unref(liar);
    tsig_key_unref(other);
}
END_TEST

START_TEST(s5_2_3_badtime_is_signed_and_tells_the_servers_time)
{
    struct tsig_key *key = key_k();
    uint8_t msg[MSG_MAX], back[MSG_MAX];
    struct tsig_mac mac;
    struct why why = {""};
    size_t len = signed_query(key, NOW, msg, &mac), back_len;
    struct tsig_request q = request_of(key, msg, len, NOW + 417);
    struct tsig_rr rr = answer_to(&q, back, &back_len, NOW + 417);
    ck_assert_uint_eq(rr.error, TSIG_BADTIME);
    ck_assert_uint_eq(rr.mac_len, 32);
    ck_assert_uint_eq(rr.time, NOW);  /* the client's, so that it can verify this */
    ck_assert_uint_eq(rr.fudge, 300); /* likewise */
    ck_assert_uint_eq(rr.other_len, 6);
    ck_assert_uint_eq(get_u16(rr.other), 0);
    ck_assert_uint_eq(get_u32(rr.other + 2), NOW + 417);
    ck_assert_int_eq(client_takes(key, &mac, back, back_len, NOW, &why), -E_REFUSED);
    ck_assert_str_eq(why.text, "it answered BADTIME: its clock is 417 s ahead of ours (key "
                               "k.example.)");
    ck_assert_int_eq(client_takes(key, &mac, back, back_len, NOW + 500, &why), -E_REFUSED);
    ck_assert_str_eq(why.text,
                     "it answered BADTIME: its clock is 83 s behind ours (key k.example.)");
    back[back_len - 1] ^= 1; /* the time that it tells is under its signature */
    ck_assert_int_eq(client_takes(key, &mac, back, back_len, NOW, &why), -E_MISMATCH);
    tsig_key_unref(key);
}
END_TEST

START_TEST(s5_2_4_badtrunc_is_signed)
{
    struct tsig_key *key = key_k();
    uint8_t msg[MSG_MAX], back[MSG_MAX];
    struct tsig_mac mac;
    struct why why = {""};
    size_t len = mac_resize(msg, signed_query(key, NOW, msg, &mac), 24), back_len;
    struct tsig_request q = request_of(key, msg, len, NOW);
    struct tsig_rr rr = answer_to(&q, back, &back_len, NOW + 1);
    ck_assert_uint_eq(rr.error, TSIG_BADTRUNC);
    ck_assert_uint_eq(rr.mac_len, 32);
    ck_assert_uint_eq(rr.other_len, 0);
    ck_assert_uint_eq(rr.time, NOW + 1);
    mac.len = 24; /* the query's MAC as it was sent */
    ck_assert_int_eq(client_takes(key, &mac, back, back_len, NOW, &why), -E_REFUSED);
    ck_assert_str_eq(why.text, "it answered BADTRUNC: a whole hmac-sha256 is too short for it (key "
                               "k.example.)");
    tsig_key_unref(key);
}
END_TEST

/* ---- what a client takes */

/* A message of a transfer; i 0: the first. */
static size_t part_made(uint8_t msg[MSG_MAX], unsigned i)
{
    struct made m = query_made();
    put_u16(m.msg + 2, MSG_QR);
    m.msg[13] = (uint8_t)('a' + i % 26); /* they differ */
    memcpy(msg, m.msg, m.len);
    return m.len;
}

struct stream {
    struct tsig_key *key;
    struct tsig_mac mac;
    struct tsig_chain *primary, *ours;
};

static struct stream stream_open(void)
{
    uint8_t msg[MSG_MAX];
    struct stream s = {.key = key_k()};
    size_t len = signed_query(s.key, NOW, msg, &s.mac);
    struct tsig_request q = request_of(s.key, msg, len, NOW);
    s.primary = tsig_chain_new(s.key, &q.mac);
    s.ours = tsig_chain_new(s.key, &s.mac);
    return s;
}

static void stream_close(struct stream *s)
{
    tsig_chain_free(&s->primary);
    tsig_chain_free(&s->ours);
    tsig_key_unref(s->key);
}

static int stream_signed(struct stream *s, unsigned i, uint64_t at, uint64_t now, struct why *why)
{
    uint8_t msg[MSG_MAX];
    size_t len = tsig_chain_sign(s->primary, msg, part_made(msg, i), MSG_MAX, at);
    return tsig_chain_take(s->ours, msg, len, now, why);
}

static int stream_unsigned(struct stream *s, unsigned i, struct why *why)
{
    uint8_t msg[MSG_MAX];
    size_t len = part_made(msg, i);
    return tsig_chain_take(s->ours, msg, len, NOW, why);
}

START_TEST(s5_3_1_the_first_message_must_be_signed)
{
    struct stream s = stream_open();
    struct why why = {""};
    uint8_t msg[MSG_MAX];
    size_t len = part_made(msg, 0);
    put_u16(msg + 2, MSG_QR | RCODE_REFUSED);
    ck_assert_int_eq(tsig_chain_end(s.ours, &why), -E_MISMATCH);
    ck_assert_int_eq(tsig_chain_take(s.ours, msg, len, NOW, &why), -E_MISMATCH);
    ck_assert_str_eq(why.text, "its answer (REFUSED) is not signed, though our query was, with key "
                               "k.example.: does it have the key for this zone?");
    /* over UDP whatever was not taken does no harm to what comes after it */
    ck_assert_int_eq(stream_signed(&s, 0, NOW, NOW, &why), 0);
    ck_assert_int_eq(tsig_chain_end(s.ours, &why), 0);
    stream_close(&s);
}
END_TEST

/* A message that a primary signs after it sent `skipped` ones without, the first of them number 1; MAC 1 is in `prior`. */
static size_t late_signed(const struct stream *s, const struct tsig_mac *prior, unsigned skipped,
                          uint64_t at, uint8_t msg[MSG_MAX])
{
    const struct tsig_variables v = {.time = at, .fudge = TSIG_FUDGE_S};
    struct tsig_mac mac;
    size_t algorithm_len, len;
    const uint8_t *algorithm = tsig_key_algorithm_name(s->key, &algorithm_len);
    EVP_MAC_CTX *ctx = tsig_mac_open(s->key);
    tsig_mac_put_prior(ctx, prior);
    for (unsigned i = 1; i <= skipped; i++) {
        len = part_made(msg, i);
        tsig_mac_put(ctx, msg, len);
    }
    len = part_made(msg, skipped + 1);
    tsig_mac_put(ctx, msg, len);
    tsig_mac_put_variables(ctx, s->key, &v, true);
    tsig_mac_close(&ctx, &mac);
    return tsig_append(tsig_key_name(s->key), algorithm, algorithm_len, &v, &mac, msg, len,
                       MSG_MAX);
}

/* The first message, signed and taken; its MAC. */
static struct tsig_mac stream_begin(struct stream *s)
{
    uint8_t msg[MSG_MAX];
    struct tsig_rr rr;
    struct tsig_mac mac;
    size_t len = tsig_chain_sign(s->primary, msg, part_made(msg, 0), MSG_MAX, NOW);
    struct octets all = {msg, len};
    take(s->ours, &all, NOW);
    ck_assert_int_eq(tsig_read(msg, len, &rr, NULL), 1);
    mac.len = (uint8_t)rr.mac_len;
    memcpy(mac.octets, rr.mac, rr.mac_len);
    return mac;
}

/* 99 between are taken into the digest of the next that is signed; the hundredth is one too many. */
START_TEST(s5_3_1_at_most_99_are_unsigned)
{
    struct why why = {""};
    for (unsigned between = 98; between <= 100; between++) {
        uint8_t msg[MSG_MAX];
        struct stream s = stream_open();
        struct tsig_mac prior = stream_begin(&s);
        for (unsigned i = 1; i <= 99 && i <= between; i++)
            ck_assert_int_eq(stream_unsigned(&s, i, &why), 0);
        ck_assert_int_eq(tsig_chain_end(s.ours, &why), -E_MISMATCH);
        ck_assert_str_eq(
            why.text,
            "the last message of its answer is not signed (key k.example.): RFC 8945 5.3.1");
        if (between == 100) {
            ck_assert_int_eq(stream_unsigned(&s, 100, &why), -E_MISMATCH);
            ck_assert_str_eq(why.text, "more than 99 messages in a row are not signed (key "
                                       "k.example.): RFC 8945 5.3.1");
        } else {
            size_t len = late_signed(&s, &prior, between, NOW, msg);
            ck_assert_int_eq(tsig_chain_take(s.ours, msg, len, NOW, &why), 0);
            ck_assert_int_eq(tsig_chain_end(s.ours, &why), 0);
            for (unsigned i = 1; i <= 99; i++) /* the count begins anew */
                ck_assert_int_eq(stream_unsigned(&s, i, &why), 0);
        }
        stream_close(&s);
    }
}
END_TEST

START_TEST(s5_3_1_unsigned_ones_are_under_the_next_signature)
{
    const struct vector *v = &vectors[VECTORS - 1];
    ck_assert_str_eq(v->label, "unsigned between");
    struct tsig_key *key = vector_key(v);
    struct tsig_request q = request_of(key, v->query.p, v->query.len, v->when);
    uint8_t msg[MSG_MAX];
    for (size_t left_out = 1; left_out <= 2; left_out++) { /* one of them is missing, or changed */
        for (unsigned change = 0; change < 2; change++) {
            struct tsig_chain *in = tsig_chain_new(key, &q.mac);
            struct why why = {""};
            int err = 0;
            for (size_t i = 0; i <= 3; i++) {
                memcpy(msg, v->answer[i].p, v->answer[i].len);
                if (i == left_out && !change)
                    continue;
                if (i == left_out)
                    msg[v->answer[i].len - 1] ^= 1;
                err = tsig_chain_take(in, msg, v->answer[i].len, v->when, &why);
                ck_assert_int_eq(err, i == 3 ? -E_MISMATCH : 0);
            }
            tsig_chain_free(&in);
        }
    }
    tsig_key_unref(key);
}
END_TEST

START_TEST(s5_3_1_order_and_time)
{
    struct why why = {""};
    uint8_t one[MSG_MAX], two[MSG_MAX];
    struct stream s = stream_open();
    /* exchanged, and said twice */
    size_t n1 = tsig_chain_sign(s.primary, one, part_made(one, 0), MSG_MAX, NOW),
           n2 = tsig_chain_sign(s.primary, two, part_made(two, 1), MSG_MAX, NOW);
    ck_assert_int_eq(tsig_chain_take(s.ours, two, n2, NOW, &why), -E_MISMATCH);
    ck_assert_int_eq(tsig_chain_take(s.ours, one, n1, NOW, &why), 0);
    ck_assert_int_eq(tsig_chain_take(s.ours, one, n1, NOW, &why), -E_MISMATCH);
    stream_close(&s);
    /* time goes back, which our own chain would not sign; then it stands still, and goes on */
    s = stream_open();
    struct tsig_mac prior = stream_begin(&s);
    n1 = late_signed(&s, &prior, 0, NOW - 7, one);
    ck_assert_int_eq(tsig_chain_take(s.ours, one, n1, NOW, &why), -E_MISMATCH);
    ck_assert_str_eq(why.text, "its signatures go back in time by 7 s (key k.example.)");
    stream_close(&s);
    s = stream_open();
    ck_assert_int_eq(stream_signed(&s, 0, NOW, NOW, &why), 0);
    ck_assert_int_eq(stream_signed(&s, 1, NOW, NOW, &why), 0);
    ck_assert_int_eq(stream_signed(&s, 2, NOW + 10, NOW, &why), 0);
    ck_assert_int_eq(stream_signed(&s, 3, NOW + 3, NOW, &why), 0); /* clamped on the way out */
    ck_assert_int_eq(stream_signed(&s, 4, NOW + 311, NOW, &why), -E_MISMATCH);
    ck_assert_str_eq(why.text,
                     "its answer was signed at another time: its clock is 311 s ahead of ours, "
                     "and 300 s are allowed (key k.example.)");
    stream_close(&s);
}
END_TEST

static void expect_refusal(const char *name, const char *algorithm, const char *words)
{
    struct stream s = stream_open();
    struct tsig_key *other = key_of(name, algorithm, "0123456789abcdef", 16);
    struct tsig_chain *primary = tsig_chain_new(other, &s.mac);
    struct why why = {""};
    uint8_t msg[MSG_MAX];
    size_t len = tsig_chain_sign(primary, msg, part_made(msg, 0), MSG_MAX, NOW);
    ck_assert_int_eq(tsig_chain_take(s.ours, msg, len, NOW, &why), -E_MISMATCH);
    ck_assert_str_eq(why.text, words);
    tsig_chain_free(&primary);
    tsig_key_unref(other);
    stream_close(&s);
}

START_TEST(s5_4_an_answer_by_another_key)
{
    expect_refusal("o.example.", "hmac-sha256",
                   "its answer is signed with key o.example. and hmac-sha256., not with "
                   "k.example. and hmac-sha256");
    expect_refusal("k.example.", "hmac-sha512",
                   "its answer is signed with key k.example. and hmac-sha512., not with "
                   "k.example. and hmac-sha256");
}
END_TEST

START_TEST(malformed_answers_are_named)
{
    struct stream s = stream_open();
    struct why why = {""};
    uint8_t msg[MSG_MAX];
    size_t len = tsig_chain_sign(s.primary, msg, part_made(msg, 0), MSG_MAX, NOW);
    ck_assert_int_eq(tsig_chain_take(s.ours, msg, len - 1, NOW, &why), -E_FORMAT);
    ck_assert_str_eq(why.text, "its answer cannot be verified (key k.example.): the message ends "
                               "within a record");
    len = mac_resize(msg, len, 33);
    ck_assert_int_eq(tsig_chain_take(s.ours, msg, len, NOW, &why), -E_FORMAT);
    ck_assert_str_eq(why.text,
                     "its signature has 33 octets, which no hmac-sha256 has (key k.example.)");
    stream_close(&s);
}
END_TEST

/* ---- keys */

START_TEST(s6_algorithms)
{
    static const char *const good[] = {"hmac-sha1",   "hmac-sha224",  "hmac-sha256",
                                       "hmac-sha384", "HMAC-SHA512.", "hmac-sha256."};
    static const char *const bad[] = {
        "", ".", "hmac", "sha256", "hmac-sha25", "hmac-sha256..", "hmac-sha256-128", "gss-tsig"};
    struct tsig_key *key = NULL;
    struct why why = {""};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        key = key_of("k.", good[i], "s", 1);
        ck_assert_int_eq(strncasecmp(tsig_key_algorithm(key), good[i], 8), 0);
        tsig_key_unref(key);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(
            tsig_key_new((const uint8_t *)"\1k", bad[i], (const uint8_t *)"s", 1, &key, &why),
            -E_CONF);
        ck_assert_str_eq(why.text, "expected \"hmac-sha256\", \"hmac-sha512\", \"hmac-sha384\", "
                                   "\"hmac-sha224\" or \"hmac-sha1\"");
    }
    static const char *const md5[] = {"hmac-md5", "HMAC-MD5.SIG-ALG.REG.INT."};
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(
            tsig_key_new((const uint8_t *)"\1k", md5[i], (const uint8_t *)"s", 1, &key, &why),
            -E_CONF);
        ck_assert_str_eq(why.text,
                         "hmac-md5 is broken and must not be used; expected \"hmac-sha256\", "
                         "\"hmac-sha512\", \"hmac-sha384\", \"hmac-sha224\" or \"hmac-sha1\"");
    }
    ck_assert_int_eq(tsig_key_new((const uint8_t *)"\1k", "hmac-sha1", NULL, 0, &key, &why),
                     -E_CONF);
}
END_TEST

START_TEST(secrets)
{
    const struct {
        const char *text, *want, *words;
    } row[] = {
        {"AA==", "00", NULL},
        {" AAEC\n", "000102", NULL},
        {"AAE=", "0001", NULL},
        {"+/+/abyz", "fbffbf69bcb3", NULL},
        {"", NULL, "expected a secret in base64; there is none"},
        {" \n", NULL, "expected a secret in base64; there is none"},
        {"AAE", NULL, "expected a secret in base64; 3 characters are not whole groups of four"},
        {"AA=A", NULL, "expected a secret in base64; character 3 is none of its letters"},
        {"A===", NULL, "expected a secret in base64; character 2 is none of its letters"},
        {"====", NULL, "expected a secret in base64; character 1 is none of its letters"},
        {"AA A", NULL, "expected a secret in base64; character 3 is none of its letters"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        uint8_t out[TSIG_SECRET_MAX];
        char hex[2 * TSIG_SECRET_MAX + 1] = "";
        size_t n;
        struct why why = {""};
        int err = tsig_secret_parse(row[i].text, strlen(row[i].text), out, &n, &why);
        ck_assert_int_eq(err, row[i].want ? 0 : -E_CONF);
        if (row[i].words)
            ck_assert_str_eq(why.text, row[i].words);
        for (size_t k = 0; !err && k < n; k++)
            snprintf(hex + 2 * k, 3, "%02x", out[k]);
        if (row[i].want)
            ck_assert_str_eq(hex, row[i].want);
    }
    char longest[4 * TSIG_SECRET_MAX];
    uint8_t out[TSIG_SECRET_MAX];
    size_t n;
    memset(longest, 'A', sizeof longest);
    ck_assert_int_eq(tsig_secret_parse(longest, TSIG_SECRET_MAX / 3 * 4, out, &n, NULL), 0);
    ck_assert_int_eq(tsig_secret_parse(longest, TSIG_SECRET_MAX / 3 * 4 + 4, out, &n, NULL),
                     -E_CONF);
}
END_TEST

START_TEST(keys_are_found_in_any_case_and_compared_whole)
{
    struct tsig_key *k[] = {key_of("a.example.", "hmac-sha1", "s", 1),
                            key_of("K.Example.", "hmac-sha256", "s", 1),
                            key_of("z.example.", "hmac-sha1", "s", 1)};
    const struct tsig_keys keys = {3, k};
    uint8_t name[NAME_MAX_OCTETS];
    ck_assert_int_gt(name_parse("k.EXAMPLE.", name, NULL), 0);
    ck_assert_ptr_eq(tsig_keys_find(&keys, name), k[1]);
    ck_assert_ptr_null(tsig_keys_find(&keys, name_root));
    ck_assert_ptr_null(tsig_keys_find(&(struct tsig_keys){0}, name));
    ck_assert_str_eq(tsig_key_text(k[1]), "k.example.");
    struct tsig_key *same = key_of("k.example.", "hmac-sha256", "s", 1),
                    *other = key_of("k.example.", "hmac-sha256", "t", 1);
    ck_assert(tsig_key_equal(k[1], same));
    ck_assert(!tsig_key_equal(k[1], other));
    ck_assert(!tsig_key_equal(k[0], k[2]));
    ck_assert(!tsig_key_equal(k[0], NULL));
    ck_assert(tsig_key_equal(NULL, NULL));
    tsig_key_unref(same);
    tsig_key_unref(other);
    for (size_t i = 0; i < 3; i++)
        tsig_key_unref(k[i]);
}
END_TEST

START_TEST(room_is_enough_and_no_more_than_that)
{
    for (size_t i = 0; i < VECTORS; i++) {
        struct tsig_key *key = vector_key(&vectors[i]);
        uint8_t msg[MSG_MAX];
        struct tsig_mac mac;
        struct made m = query_made();
        memcpy(msg, m.msg, m.len);
        size_t room = tsig_room(key) - TSIG_TIME_OCTETS; /* only BADTIME has other data */
        ck_assert_uint_eq(tsig_sign(key, msg, m.len, m.len + room - 1, NOW, &mac), 0);
        ck_assert_uint_eq(tsig_sign(key, msg, m.len, m.len + room, NOW, &mac), m.len + room);
        tsig_key_unref(key);
    }
}
END_TEST

int main(void)
{
    struct suite s = suite_open("tsig");
    tcase_add_loop_test(s.tcase, s4_3_query_as_python_signs_it, 0, VECTORS);
    tcase_add_loop_test(s.tcase, s5_3_1_answers_as_python_signs_them, 0, VECTORS);
    suite_add(s, s5_2_2_every_octet_counts);
    suite_add(s, s4_2_class_any_ttl_0_names_uncompressed);
    suite_add(s, s5_1_last_of_additional_and_only_one);
    suite_add(s, s5_2_order_key_mac_time_truncation);
    suite_add(s, s5_2_2_1_ten_octets_are_the_least);
    suite_add(s, s5_2_3_the_fudge_is_the_clients);
    suite_add(s, s5_3_an_answer_is_signed);
    suite_add(s, s5_3_2_errors_of_key_and_mac_are_unsigned);
    suite_add(s, s5_2_3_badtime_is_signed_and_tells_the_servers_time);
    suite_add(s, s5_2_4_badtrunc_is_signed);
    suite_add(s, s5_3_1_the_first_message_must_be_signed);
    suite_add(s, s5_3_1_at_most_99_are_unsigned);
    suite_add(s, s5_3_1_unsigned_ones_are_under_the_next_signature);
    suite_add(s, s5_3_1_order_and_time);
    suite_add(s, s5_4_an_answer_by_another_key);
    suite_add(s, malformed_answers_are_named);
    suite_add(s, s6_algorithms);
    suite_add(s, secrets);
    suite_add(s, keys_are_found_in_any_case_and_compared_whole);
    suite_add(s, room_is_enough_and_no_more_than_that);
    return suite_run(s);
}
