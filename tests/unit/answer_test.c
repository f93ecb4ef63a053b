/* Replies, as text, for a table of queries.
 *
 * tests/unit/answer_test.cases holds the table: a line "? QNAME QTYPE words…", then what is expected up to an empty
 * line. Zones are in answer_test.zones. GEN=1 writes the file anew with what comes out; read the difference before you
 * keep it. The reply is read by msg_reader, never by what wrote it.
 *
 *   words: ch any (class) · tcp · edns do size=N ver=N nsid (or) expire · rd cd ad tc · from=ADDRESS · notify update op=N ·
 *          serial=N (SOA of an IXFR or NOTIFY) · also=N (another SOA) · soa-of=NAME · soa-cut soa-long (its rdata) ·
 *          ns-a (an A record in authority) · tsig
 *   reply: KIND when it is not REPLY · RCODE flags · opt … · one line a record, RRSIG and NSEC3 cut short
 *
 * The rest tests what such lines cannot say: octets that are no query, limits, work that is used again.
 */
#include "tests/lib/expect.h"
#include "tests/lib/held.h"
#include "tests/lib/random.h"
#include "tests/lib/suite.h"

#include "pipeline/base/alloc.h"
#include "pipeline/base/log.h"
#include "pipeline/net/answer.h"
#include "pipeline/zone/text.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CASES "tests/unit/answer_test.cases"
#define ZONES "tests/unit/answer_test.zones/"

/* For zones with one thing that matters. */
#define SMALL "$TTL 3600\n@ SOA ns host 1 7200 3600 1209600 300\n@ NS ns\nns A 192.0.2.70\n"

/* Of serial N, and large enough that a change is worth a difference. */
#define MOVED(n)                                                                                   \
    "$TTL 3600\n@ SOA ns host " n " 7200 3600 1209600 300\n@ NS ns\nns A 192.0.2.70\n"             \
    "filler TXT " OF_170 OF_170 OF_170 OF_170 OF_170 OF_170 "\n"

/* A string of 170 octets. */
#define OF_17  "01234567890123456"
#define OF_170 "\"" OF_17 OF_17 OF_17 OF_17 OF_17 OF_17 OF_17 OF_17 OF_17 OF_17 "\" "

static const struct held_zone zones[] = {
    {.name = "example.",
     .path = ZONES "example.",
     .options = "allow_transfer = (\"192.0.2.53\"); allow_notify = (\"192.0.2.54\"); "
                "primaries = (\"primary\");",
     .signed_ = true},
    {.name = "held.example.", .path = ZONES "held.example.", .signed_ = true},
    {.name = "below.cut.example.", .path = ZONES "below.cut.example."},
    {.name = "plain.", .path = ZONES "plain."},
    {.name = "hashed.", .path = ZONES "hashed.", .signed_ = true, .denial = FORGE_NSEC3},
    {.name = "optout.", .path = ZONES "optout.", .signed_ = true, .denial = FORGE_OPTOUT},
    {.name = "both.", .text = SMALL "@ NSEC ns NS SOA\n", .signed_ = true, .denial = FORGE_NSEC3},
    {.name = "flagged.", .text = SMALL "@ NSEC3PARAM 1 1 0 -\n", .signed_ = true},
    {.name = "slow.", .text = SMALL "@ NSEC3PARAM 1 0 501 -\n*.w TXT " OF_170 OF_170 OF_170 "\n"},
    {.name = "notready.", .state = HELD_NOT_READY, .options = "allow_transfer = (\"192.0.2.53\");"},
    {.name = "child.notready.", .path = ZONES "plain.child"},
    {.name = "refused.", .state = HELD_REFUSED},
    {.name = "moved.",
     .text = MOVED("5") "gone A 192.0.2.1\nstays A 192.0.2.2\n",
     .later = {MOVED("6") "came A 192.0.2.3\nstays A 192.0.2.2\n",
               MOVED("9") "came 60 A 192.0.2.3\nSTAYS A 192.0.2.2\n@ TXT \"x\"\n"},
     .options = "allow_transfer = (\"192.0.2.53\");"},
    {.name = "grew.",
     .text = MOVED("5"),
     .later = {MOVED("6") "a TXT " OF_170 OF_170 "\nb TXT " OF_170 OF_170 "\n"},
     .options = "allow_transfer = (\"192.0.2.53\"); ixfr_history_bytes = \"1M\";"},
    {.name = "expired.", .path = ZONES "expired.", .state = HELD_EXPIRED},
};

static struct held held;
static struct answer_work work;
static uint8_t reply[MSG_MAX];

static void open_all(void)
{
    log_open(LOG_ERROR, STDERR_FILENO);
    held_open(&held, "identity = \"ns1.weir\"; version = \"weir test\"; udp_size = 1232;",
              "{ name = \"primary\"; address = \"192.0.2.1@53\"; }", zones,
              sizeof zones / sizeof zones[0]);
    answer_work_init(&work);
}

static void close_all(void)
{
    held_close(&held);
}

/* ---- a query from words ---- */

struct asked {
    uint8_t msg[2048];
    size_t len;
    bool tcp;
    struct address peer;
};
struct words {
    uint16_t class, flags, size;
    unsigned version;
    bool edns, dnssec_ok, nsid, expire, tsig, tcp, has_serial, has_also, ns_a;
    uint32_t serial, also;
    uint16_t soa_len;
    char soa_of[64];
    char from[64];
};

static uint32_t number(const char *word)
{
    return (uint32_t)strtoul(strchr(word, '=') + 1, NULL, 10);
}

static bool flag_word(const char *word, struct words *w)
{
    static const struct {
        const char *word;
        uint16_t flag;
    } flags[] = {{"rd", MSG_RD},
                 {"cd", MSG_CD},
                 {"ad", MSG_AD},
                 {"tc", MSG_TC},
                 {"notify", OPCODE_NOTIFY << 11 | MSG_AA},
                 {"update", OPCODE_UPDATE << 11}};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (strcmp(word, flags[i].word) == 0) {
            w->flags |= flags[i].flag;
            return true;
        }
    return false;
}

static void word_read(const char *word, struct words *w)
{
    if (flag_word(word, w))
        return;
    if (strcmp(word, "ch") == 0)
        w->class = CLASS_CH;
    else if (strcmp(word, "any") == 0)
        w->class = CLASS_ANY;
    else if (strcmp(word, "tcp") == 0)
        w->tcp = true;
    else if (strcmp(word, "edns") == 0)
        w->edns = true;
    else if (strcmp(word, "do") == 0)
        w->edns = w->dnssec_ok = true;
    else if (strcmp(word, "nsid") == 0)
        w->edns = w->nsid = true;
    else if (strcmp(word, "expire") == 0)
        w->edns = w->expire = true;
    else if (strcmp(word, "tsig") == 0)
        w->tsig = true;
    else if (strncmp(word, "size=", 5) == 0)
        w->edns = true, w->size = (uint16_t)number(word);
    else if (strncmp(word, "ver=", 4) == 0)
        w->edns = true, w->version = number(word);
    else if (strncmp(word, "op=", 3) == 0)
        w->flags |= (uint16_t)(number(word) << 11);
    else if (strncmp(word, "class=", 6) == 0)
        w->class = (uint16_t)number(word);
    else if (strncmp(word, "serial=", 7) == 0)
        w->has_serial = true, w->serial = number(word);
    else if (strncmp(word, "also=", 5) == 0)
        w->has_also = true, w->also = number(word);
    else if (strncmp(word, "soa-of=", 7) == 0)
        snprintf(w->soa_of, sizeof w->soa_of, "%s", word + 7);
    else if (strcmp(word, "soa-cut") == 0)
        w->soa_len = 21;
    else if (strcmp(word, "soa-long") == 0)
        w->soa_len = 23;
    else if (strcmp(word, "ns-a") == 0)
        w->ns_a = true;
    else if (strncmp(word, "from=", 5) == 0)
        snprintf(w->from, sizeof w->from, "%s", word + 5);
    else
        ck_abort_msg("word %s", word);
}

static void put_serial(struct msg_writer *writer, const uint8_t *qname, const struct words *w,
                       uint32_t serial)
{
    uint8_t soa[23] = {0, 0}, owner[NAME_MAX_OCTETS];
    bool notify = msg_opcode(w->flags) == OPCODE_NOTIFY;
    put_u32(soa + 2, serial);
    if (w->soa_of[0])
        EXPECT(name_parse(w->soa_of, owner, NULL) > 0);
    else
        name_copy(owner, qname);
    /* An opaque type's rdata is written as it is; then it is made an SOA. */
    EXPECT(msg_put_rr(writer, notify ? SECTION_ANSWER : SECTION_AUTHORITY, owner, 65400, CLASS_IN,
                      0, soa, w->soa_len ? w->soa_len : 22));
    size_t at = writer->len - (w->soa_len ? w->soa_len : 22u) - 10;
    put_u16(writer->msg + at, RR_SOA);
}

static void put_query(struct asked *q, const uint8_t *qname, uint16_t qtype, const struct words *w)
{
    static struct msg_writer writer;
    msg_writer_init(&writer);
    msg_begin(&writer, q->msg, sizeof q->msg, 0x1234, w->flags);
    EXPECT(msg_put_question(&writer, qname, qtype, w->class));
    if (w->ns_a)
        EXPECT(msg_put_rr(&writer, SECTION_AUTHORITY, qname, RR_A, CLASS_IN, 0,
                          (const uint8_t *)"abcd", 4));
    if (w->has_serial)
        put_serial(&writer, qname, w, w->serial);
    if (w->has_also)
        put_serial(&writer, qname, w, w->also);
    if (w->edns) {
        const uint8_t nsid[4] = {0, w->expire ? 9 : 3, 0, 0};
        uint32_t ttl = w->version << 16 | (w->dnssec_ok ? 0x8000u : 0);
        EXPECT(msg_put_rr(&writer, SECTION_ADDITIONAL, name_root, RR_OPT, w->size, ttl, nsid,
                          w->nsid || w->expire ? 4 : 0));
    }
    if (w->tsig) {
        static const uint8_t key[] = "\3key\4test";
        uint8_t tsig[] = "\13hmac-sha256\0\0\0\1\2\3\4\1\x2c\0\4MACS\x12\x34\0\0\0\0";
        EXPECT(msg_put_rr(&writer, SECTION_ADDITIONAL, key, RR_TSIG, CLASS_ANY, 0, tsig,
                          sizeof tsig - 1));
    }
    q->len = msg_end(&writer);
}

/* "QNAME QTYPE words…" */
static struct asked asked_of(const char *line)
{
    struct asked q = {.len = 0};
    struct words w = {.class = CLASS_IN, .size = 1232, .from = "198.51.100.7"};
    char copy[512], *save = NULL;
    uint8_t qname[NAME_MAX_OCTETS];
    uint16_t qtype;
    struct why why;
    snprintf(copy, sizeof copy, "%s", line);
    const char *name = strtok_r(copy, " \n", &save), *type = strtok_r(NULL, " \n", &save);
    if (name_parse(name, qname, &why) < 0 || rrtype_parse(type, &qtype) < 0)
        ck_abort_msg("%s: %s", line, why.text);
    for (const char *word; (word = strtok_r(NULL, " \n", &save));)
        word_read(word, &w);
    ck_assert_int_eq(address_parse(w.from, 12345, &q.peer, &why), 0);
    q.tcp = w.tcp;
    put_query(&q, qname, qtype, &w);
    return q;
}

/* ---- a reply as words ---- */

static void print_options(FILE *out, const struct rr *rr)
{
    for (struct rbuf r = rbuf_open(rr->rdata, rr->len); rbuf_left(&r);) {
        uint16_t code = rbuf_u16(&r), len = rbuf_u16(&r);
        const uint8_t *p = rbuf_take(&r, len);
        EXPECT(p && !r.bad);
        if (code == 15)
            fprintf(out, " ede=%u%s%.*s", get_u16(p), len > 2 ? ":" : "", len - 2, p + 2);
        else if (code == 9 && len == 4)
            fprintf(out, " expire=%u", get_u32(p));
        else
            fprintf(out, " option%u=%.*s", code, len, p);
    }
}

static void print_rr(FILE *out, const struct rr *rr)
{
    static const char *const sections[] = {"qd", "an", "ns", "ar"};
    char owner[NAME_TEXT_MAX], type[RRTYPE_TEXT_MAX];
    if (rr->type == RR_OPT) {
        fprintf(out, "opt size=%u%s ext=%u ver=%u", rr->class, rr->ttl & 0x8000 ? " do" : "",
                rr->ttl >> 24, rr->ttl >> 16 & 255);
        print_options(out, rr);
        fprintf(out, "\n");
        return;
    }
    fprintf(out, "%s %s %u %s%s", sections[rr->section], name_print(rr->owner, owner), rr->ttl,
            rr->class == CLASS_IN   ? ""
            : rr->class == CLASS_CH ? "CH "
                                    : "?? ",
            rrtype_print(rr->type, type));
    if (rr->type == RR_RRSIG) {
        EXPECT(rr->len > 18);
        fprintf(out, " %s labels=%u\n", rrtype_print(get_u16(rr->rdata), type), rr->rdata[2 + 1]);
        return;
    }
    if (rr->type == RR_TSIG) {
        size_t at = name_len(rr->rdata) + 8;
        fprintf(out, " mac=%u error=%u\n", get_u16(rr->rdata + at), get_u16(rr->rdata + at + 4));
        return;
    }
    char *line = text_print_rr(rr->owner, rr->type, rr->ttl, rr->rdata, rr->len);
    const char *p = line; /* owner, TTL, class, type: said already */
    for (int i = 0; i < 4; i++)
        p = strpbrk(p, " \t") + strspn(strpbrk(p, " \t"), " \t");
    if (strlen(p) > 70)
        fprintf(out, " %.60s…%s\n", p, strrchr(p, ' ') ? strrchr(p, ' ') : "");
    else
        fprintf(out, " %s\n", p);
    mem_free(&line);
}

static void print_header(FILE *out, const struct msg_reader *r, const struct answer_result *result)
{
    static const struct {
        uint16_t flag;
        const char *word;
    } flags[] = {{MSG_AA, "aa"}, {MSG_TC, "tc"}, {MSG_RD, "rd"},
                 {MSG_RA, "ra"}, {MSG_AD, "ad"}, {MSG_CD, "cd"}};
    ck_assert_int_eq(r->id, 0x1234);
    EXPECT(r->flags & MSG_QR);
    EXPECT_EQ(msg_rcode(r->flags), result->rcode & 15);
    EXPECT_EQ((bool)(r->flags & MSG_TC), result->truncated);
    fprintf(out, "%s", rcode_text(result->rcode));
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (r->flags & flags[i].flag)
            fprintf(out, " %s", flags[i].word);
    if (msg_opcode(r->flags))
        fprintf(out, " opcode=%u", msg_opcode(r->flags));
    fprintf(out, "\n");
}

static void print_reply(FILE *out, const struct asked *q, const struct answer_result *result)
{
    static struct msg_reader r;
    struct why why;
    struct rr rr;
    uint8_t name[NAME_MAX_OCTETS], wanted[NAME_MAX_OCTETS];
    uint16_t type, class;
    int more;
    ck_assert_int_eq(msg_open(&r, reply, result->reply_len, &why), 0);
    print_header(out, &r, result);
    if (r.count[0]) { /* the question comes back as it was put */
        size_t pos = MSG_HEADER;
        EXPECT(msg_question(&r, name, &type, &class, &why) > 0);
        int n = name_unpack(q->msg, q->len, &pos, wanted, NULL);
        EXPECT(n > 0);
        EXPECT(memcmp(name, wanted, (size_t)n) == 0);
        EXPECT(type == get_u16(q->msg + pos) && class == get_u16(q->msg + pos + 2));
    } else {
        fprintf(out, "no question\n");
    }
    while ((more = msg_next(&r, &rr, &why)) > 0)
        print_rr(out, &rr);
    if (more < 0)
        ck_abort_msg("%s", why.text);
}

static struct answer_result ask_octets(const struct asked *q, size_t cap)
{
    struct answer_query query = {.zones = held.zones,
                                 .conf = &held.config->server,
                                 .peer = &q->peer,
                                 .tcp = q->tcp,
                                 .len = q->len};
    /* As large as the query and no larger, so that a sanitizer sees what is read. */
    uint8_t *exact = malloc(q->len ? q->len : 1);
    EXPECT(exact);
    memcpy(exact, q->msg, q->len);
    query.msg = exact;
    struct answer_result result;
    answer(&work, &query, reply, cap, &result);
    free(exact);
    EXPECT(result.reply_len <= cap);
    return result;
}

/* The caller frees. */
static char *ask(const char *line)
{
    struct asked q = asked_of(line);
    struct answer_result result = ask_octets(&q, sizeof reply);
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    EXPECT(out);
    if (result.kind == ANSWER_TRANSFER)
        fprintf(out, "TRANSFER %s\n", result.zone->text);
    if (result.notify)
        fprintf(out, "NOTIFY %s serial=%s%u\n", result.zone->text, result.has_serial ? "" : "none ",
                result.serial);
    if (result.kind == ANSWER_DROP)
        fprintf(out, "DROP\n");
    else
        print_reply(out, &q, &result);
    fclose(out);
    return text;
}

/* ---- the table ---- */

static void check_case(const char *query, const char *want, FILE *gen)
{
    char *got = ask(query);
    if (gen)
        fprintf(gen, "%s", got);
    else if (strcmp(got, want) != 0)
        ck_abort_msg("? %s\nexpected\n%sgot\n%s", query, want, got);
    free(got);
}

START_TEST(test_cases)
{
    open_all();
    FILE *in = fopen(CASES, "r");
    ck_assert_msg(in != NULL, CASES);
    FILE *gen = getenv("GEN") ? fopen(CASES ".new", "w") : NULL;
    char line[1024], query[512] = "", want[65536] = "";
    unsigned n = 0;
    for (bool more = true; more;) {
        more = fgets(line, sizeof line, in) != NULL;
        bool text = more && line[0] != '\n' && line[0] != '?' && line[0] != '#';
        if (text && query[0]) {
            snprintf(want + strlen(want), sizeof want - strlen(want), "%s", line);
            continue;
        }
        if (query[0])
            check_case(query, want, gen);
        query[0] = want[0] = 0;
        if (more && gen)
            fprintf(gen, "%s", line);
        if (more && line[0] == '?') {
            snprintf(query, sizeof query, "%.*s", (int)strcspn(line + 2, "\n"), line + 2);
            n++;
        }
    }
    fclose(in);
    if (gen) {
        fclose(gen);
        ck_assert_int_eq(rename(CASES ".new", CASES), 0);
    }
    ck_assert_uint_gt(n, 100);
    close_all();
}
END_TEST

/* ---- octets that are no good query ---- */

static struct answer_result ask_raw(const uint8_t *msg, size_t len)
{
    struct asked q = asked_of("www.example. A");
    ck_assert_uint_le(len, sizeof q.msg);
    if (len)
        memcpy(q.msg, msg, len);
    q.len = len;
    return ask_octets(&q, sizeof reply);
}

START_TEST(test_dropped)
{
    open_all();
    struct asked q = asked_of("www.example. A");
    for (size_t n = 0; n < MSG_HEADER; n++)
        ck_assert_int_eq(ask_raw(q.msg, n).kind, ANSWER_DROP);
    q.msg[2] |= 0x80;
    ck_assert_int_eq(ask_raw(q.msg, q.len).kind, ANSWER_DROP);
    close_all();
}
END_TEST

static void expect_formerr(const char *what, const uint8_t *msg, size_t len, unsigned questions)
{
    struct answer_result r = ask_raw(msg, len);
    if (r.kind != ANSWER_REPLY || r.rcode != RCODE_FORMERR || get_u16(reply + 4) != questions ||
        get_u16(reply + 6) || get_u16(reply + 8) || get_u16(reply) != get_u16(msg))
        ck_abort_msg("%s: kind %d, %s, %u questions, %u answers", what, r.kind, rcode_text(r.rcode),
                     get_u16(reply + 4), get_u16(reply + 6));
}

START_TEST(test_cut_anywhere)
{
    open_all();
    struct asked q = asked_of("www.example. A do nsid tsig");
    size_t question = MSG_HEADER + 13 + 4;
    for (size_t n = MSG_HEADER; n < q.len; n++)
        expect_formerr("cut", q.msg, n, n >= question);
    q.msg[q.len] = 0;
    expect_formerr("an octet left over", q.msg, q.len + 1, 1);
    close_all();
}
END_TEST

/* RFC 9619; RFC 5936 2.1.1 of transfers, too */
START_TEST(test_counts)
{
    open_all();
    for (unsigned section = 0; section < 4; section++)
        for (unsigned n = 0; n < 3; n++) {
            struct asked q = asked_of("www.example. A edns");
            put_u16(q.msg + 4 + 2 * section, (uint16_t)n);
            bool right = section == 0 || section == 3 ? n == 1 : n == 0;
            if (!right)
                expect_formerr("count", q.msg, q.len, section != 0);
        }
    /* A record where a query has none. */
    struct asked q = asked_of("www.example. A serial=1");
    expect_formerr("authority", q.msg, q.len, 1);
    put_u16(q.msg + 6, 1), put_u16(q.msg + 8, 0);
    expect_formerr("answer", q.msg, q.len, 1);
    close_all();
}
END_TEST

static void append(struct asked *q, const void *p, size_t n, unsigned section)
{
    memcpy(q->msg + q->len, p, n);
    q->len += n;
    put_u16(q->msg + 4 + 2 * section, (uint16_t)(get_u16(q->msg + 4 + 2 * section) + 1));
}

/* RFC 6891 6.1.1; RFC 8945 5.2: TSIG is the last record, or the query is FORMERR */
START_TEST(test_bad_records)
{
    static const uint8_t opt[] = "\0\0\51\4\320\0\0\0\0\0", named[] = "\1x\0\0\51\4\320\0\0\0\0\0";
    static const uint8_t past[] = "\0\0\51\4\320\0\0\0\0\0\5\0\3\0\2x";
    static const uint8_t loop[] = "\300\37\0\1\0\1\0\0\0\0\0\0",
                         forward[] = "\300\77\0\1\0\1\0\0\0\0\0\0";
    static const uint8_t plain[] = "\0\0\1\0\1\0\0\0\0\0";
    struct asked q;
    open_all();
    q = asked_of("www.example. A edns"), append(&q, opt, sizeof opt, 3);
    expect_formerr("two OPTs", q.msg, q.len, 1);
    ck_assert_uint_eq(get_u16(reply + 10), 1); /* one OPT comes back */
    q = asked_of("www.example. A"), append(&q, named, sizeof named, 3);
    expect_formerr("OPT with an owner", q.msg, q.len, 1);
    q = asked_of("www.example. A"), append(&q, opt, sizeof opt, 1);
    expect_formerr("OPT as answer", q.msg, q.len, 1);
    q = asked_of("www.example. A"), append(&q, past, sizeof past - 1, 3);
    expect_formerr("option past the end", q.msg, q.len, 1);
    q = asked_of("www.example. A"), append(&q, loop, sizeof loop, 3);
    ck_assert_uint_eq(q.len - sizeof loop, 29); /* the pointer is to itself or beyond */
    expect_formerr("pointer loop", q.msg, q.len, 1);
    q = asked_of("www.example. A"), append(&q, forward, sizeof forward, 3);
    expect_formerr("forward pointer", q.msg, q.len, 1);
    q = asked_of("www.example. A tsig"), append(&q, plain, sizeof plain, 3);
    expect_formerr("TSIG not last", q.msg, q.len, 1);
    q = asked_of("www.example. A"), q.msg[MSG_HEADER] = 0xc0, q.msg[MSG_HEADER + 1] = MSG_HEADER;
    expect_formerr("pointer as question", q.msg, q.len, 0);
    q = asked_of("www.example. A"), q.msg[MSG_HEADER] = 0x40;
    expect_formerr("label type", q.msg, q.len, 0);
    close_all();
}
END_TEST

/* ---- limits ---- */

static const char *const limited[] = {
    "big.example. TXT",      "www.glue.example. A", "www.sibling.example. A",
    "c1.example. A",         "nothing.example. A",  "foo.wild.example. AAAA",
    "gone.example. A",       "www.sub.example. A",  "www.signed.example. A",
    "foo.wcname.example. A", "a.www.hashed. A",     "foo.wild.hashed. A",
    "q.grow.example. A",     "example. MX",         "www.sub.optout. A",
    "x.y.z.example. A",      "tosub.example. A",    "_sip._tcp.example. SRV",
};

/* Whatever the limit: nothing is cut through, and a reply without TC has all that the full one has. */
START_TEST(test_every_limit)
{
    static struct msg_reader r;
    open_all();
    for (size_t i = 0; i < sizeof limited / sizeof limited[0]; i++)
        for (unsigned size = 512; size <= 1400; size++) {
            char line[128];
            uint16_t full[2];
            snprintf(line, sizeof line, "%s do tcp", limited[i]);
            struct asked q = asked_of(line);
            struct answer_result result = ask_octets(&q, sizeof reply);
            EXPECT(!result.truncated);
            full[0] = get_u16(reply + 6), full[1] = get_u16(reply + 8);
            snprintf(line, sizeof line, "%s do size=%u", limited[i], size);
            q = asked_of(line);
            result = ask_octets(&q, sizeof reply);
            EXPECT(result.reply_len <= (size < 1232 ? size : 1232));
            EXPECT(get_u16(reply + 6) <= full[0] && get_u16(reply + 8) <= full[1]);
            if (!result.truncated)
                EXPECT(get_u16(reply + 6) == full[0] && get_u16(reply + 8) == full[1]);
            struct rr rr;
            bool opt = false;
            int more = msg_open(&r, reply, result.reply_len, NULL);
            while (more >= 0 && (more = msg_next(&r, &rr, NULL)) > 0)
                opt |= rr.type == RR_OPT;
            EXPECT(more == 0 && opt);
        }
    close_all();
}
END_TEST

/* The cap of the buffer counts, too: TCP in a small buffer. */
START_TEST(test_small_buffer)
{
    open_all();
    struct asked q = asked_of("big.example. TXT tcp do");
    struct answer_result result = ask_octets(&q, ANSWER_CAP_MIN);
    ck_assert(result.truncated && result.reply_len <= ANSWER_CAP_MIN);
    close_all();
}
END_TEST

/* ---- what is counted, and what the result says ---- */

static struct zone *zone_of(const char *name)
{
    uint8_t wire[NAME_MAX_OCTETS];
    ck_assert_int_gt(name_parse(name, wire, NULL), 0);
    return zone_table_get(held.zones, wire);
}

START_TEST(test_counters)
{
    open_all();
    struct zone *z = zone_of("example.");
    free(ask("example. AXFR tcp"));
    free(ask("example. IXFR serial=1"));
    ck_assert_uint_eq(atomic_load(&fetches_counted(&z->fetches)->refused), 2);
    free(ask("example. AXFR tcp from=192.0.2.53"));
    ck_assert_uint_eq(atomic_load(&fetches_counted(&z->fetches)->refused), 2);
    free(ask("example. SOA notify from=192.0.2.1"));
    free(ask("example. SOA notify from=192.0.2.54 serial=3"));
    free(ask("example. SOA notify from=192.0.2.55"));
    ck_assert_uint_eq(atomic_load(&z->counters.notify_in), 2);
    ck_assert_uint_eq(atomic_load(&z->counters.notify_in_refused), 1);
    close_all();
}
END_TEST

START_TEST(test_result)
{
    open_all();
    struct asked q = asked_of("EXAMPLE. IXFR tcp edns serial=4 from=192.0.2.53");
    struct answer_result r = ask_octets(&q, sizeof reply);
    ck_assert_int_eq(r.kind, ANSWER_TRANSFER);
    ck_assert_uint_eq(r.id, 0x1234);
    ck_assert_uint_eq(r.qtype, RR_IXFR);
    ck_assert_mem_eq(r.qname, "\7EXAMPLE", 9);
    ck_assert(r.edns && r.zone == zone_of("example."));
    q = asked_of("www.held.example. A");
    r = ask_octets(&q, sizeof reply);
    ck_assert(!r.edns && r.zone == zone_of("held.example.") && !r.notify);
    q = asked_of("www.test. A");
    r = ask_octets(&q, sizeof reply);
    ck_assert(r.zone == NULL);
    close_all();
}
END_TEST

/* The same answer whatever was answered before with the same work. */
START_TEST(test_work_is_reused)
{
    struct random random = random_open();
    char *first[sizeof limited / sizeof limited[0]];
    size_t n = sizeof limited / sizeof limited[0];
    open_all();
    for (size_t i = 0; i < n; i++) {
        answer_work_init(&work);
        first[i] = ask(limited[i]);
    }
    for (unsigned round = 0; round < 20000; round++) {
        size_t i = random_below(&random, n);
        char *again = ask(limited[i]);
        EXPECT(strcmp(again, first[i]) == 0);
        free(again);
    }
    for (size_t i = 0; i < n; i++)
        free(first[i]);
    close_all();
}
END_TEST

int main(void)
{
    struct suite s = suite_open("answer");
    suite_add(s, test_cases);
    suite_add(s, test_dropped);
    suite_add(s, test_cut_anywhere);
    suite_add(s, test_counts);
    suite_add(s, test_bad_records);
    suite_add(s, test_every_limit);
    suite_add(s, test_small_buffer);
    suite_add(s, test_counters);
    suite_add(s, test_result);
    suite_add(s, test_work_is_reused);
    return suite_run(s);
}
