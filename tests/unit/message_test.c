/* message: what the writer puts, the reader and ldns give back; what is malformed is refused with
 * its place. */
#include <stdbool.h> /* before ldns, which makes a bool of its own otherwise */
#include <ldns/ldns.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/zone/message.h"
#include "pipeline/zone/node.h"
#include "tests/lib/random.h"
#include "tests/lib/suite.h"

enum { RECORDS = 6000 };

struct record {
    uint8_t owner[NAME_MAX_OCTETS];
    uint16_t type;
    uint32_t ttl;
    uint16_t len;
    uint8_t rdata[600];
};
static struct record kept[RECORDS];
static struct msg_writer writer;
static struct msg_reader reader;
static uint8_t buffer[MSG_MAX];

/* Names that share suffixes, some in different case. */
static void some_name(struct random *random, uint8_t out[NAME_MAX_OCTETS])
{
    static const char *const zones[] = {"example.",         "EXAMPLE.", "de.",
                                        "a.b.c.d.example.", "Example.", "."};
    char text[200];
    size_t n = 0;
    for (uint64_t labels = random_below(random, 4); labels; labels--)
        n += (size_t)snprintf(text + n, sizeof text - n, "%c%u.",
                              random_below(random, 3) ? 'n' : 'N',
                              (unsigned)random_below(random, 12));
    snprintf(text + n, sizeof text - n, "%s", zones[random_below(random, 6)]);
    if (text[n] == '.' && n) /* "x." and "." */
        text[n] = 0;
    ck_assert_int_gt(name_parse(text, out, NULL), 0);
}

static void some_record(struct random *random, struct record *r, const struct record *before)
{
    uint8_t name[NAME_MAX_OCTETS];
    if (before && random_below(random, 2))
        memcpy(r->owner, before->owner, sizeof r->owner);
    else
        some_name(random, r->owner);
    r->ttl = (uint32_t)random_below(random, 0x80000000u);
    size_t n = 0;
    switch (random_below(random, 6)) {
    case 0:
        r->type = RR_NS;
        some_name(random, name);
        n = name_copy(r->rdata, name);
        break;
    case 1:
        r->type = RR_MX;
        random_octets(random, r->rdata, 2);
        some_name(random, name);
        n = 2 + name_copy(r->rdata + 2, name);
        break;
    case 2:
        r->type = RR_SOA;
        some_name(random, name);
        n = name_copy(r->rdata, name);
        some_name(random, name);
        n += name_copy(r->rdata + n, name);
        random_octets(random, r->rdata + n, 20);
        n += 20;
        break;
    case 3:
        r->type = RR_SRV;
        random_octets(random, r->rdata, 6);
        some_name(random, name);
        n = 6 + name_copy(r->rdata + 6, name);
        break;
    case 4:
        r->type = 65400;
        n = random_below(random, random_below(random, 10) ? 40 : sizeof r->rdata);
        random_octets(random, r->rdata, n);
        break;
    default:
        r->type = RR_A;
        n = 4;
        random_octets(random, r->rdata, n);
    }
    r->len = (uint16_t)n;
}

static bool put(struct msg_writer *w, const struct record *r)
{
    return msg_put_rr(w, SECTION_ANSWER, r->owner, r->type, CLASS_IN, r->ttl, r->rdata, r->len);
}

static void read_back(const uint8_t *msg, size_t len, const struct record *want, size_t n)
{
    struct why why = {{0}};
    struct rr rr;
    int rc = msg_open(&reader, msg, len, &why);
    ck_assert_int_eq(rc, 0);
    for (size_t i = 0; i < n; i++) {
        rc = msg_next(&reader, &rr, &why);
        ck_assert_msg(rc == 1, "record %zu: %s", i, why.text);
        size_t m = name_len(want[i].owner);
        ck_assert(rr.owner_len == m && memcmp(rr.owner, want[i].owner, m) == 0);
        bool same = i && name_len(want[i - 1].owner) == m &&
                    memcmp(want[i - 1].owner, want[i].owner, m) == 0;
        ck_assert_int_eq(rr.same_owner, same);
        ck_assert_uint_eq(rr.type, want[i].type);
        ck_assert_uint_eq(rr.class, CLASS_IN);
        ck_assert_uint_eq(rr.ttl, want[i].ttl);
        ck_assert_uint_eq(rr.len, want[i].len);
        ck_assert_int_eq(memcmp(rr.rdata, want[i].rdata, rr.len), 0);
        ck_assert_uint_eq(rr.section, SECTION_ANSWER);
    }
    rc = msg_next(&reader, &rr, &why);
    ck_assert_msg(rc == 0, "%s", why.text);
    ck_assert_int_eq(msg_next(&reader, &rr, &why), 0);
}

static void ldns_reads(const uint8_t *msg, size_t len, size_t n)
{
    ldns_pkt *pkt = NULL;
    ldns_status status = ldns_wire2pkt(&pkt, msg, len);
    ck_assert_msg(status == LDNS_STATUS_OK, "ldns: %s", ldns_get_errorstr_by_id(status));
    ck_assert_uint_eq(ldns_rr_list_rr_count(ldns_pkt_answer(pkt)), n);
    ldns_pkt_free(pkt);
}

START_TEST(written_and_read)
{
    struct random random = random_open();
    msg_writer_init(&writer);
    for (unsigned round = 0; round < 150; round++) {
        size_t cap = round % 3 ? 100 + random_below(&random, 3000) : MSG_MAX, n = 0;
        msg_begin(&writer, buffer, cap, 7, MSG_QR);
        while (n < RECORDS) {
            some_record(&random, &kept[n], n ? &kept[n - 1] : NULL);
            struct msg_mark mark = msg_mark(&writer);
            static uint8_t before[MSG_MAX];
            memcpy(before, buffer, writer.len);
            if (!put(&writer, &kept[n])) {
                ck_assert(writer.len == mark.len && writer.count[SECTION_ANSWER] == n &&
                          writer.names == mark.names);
                ck_assert_int_eq(memcmp(before, buffer, writer.len), 0);
                if (n > 0 && random_below(&random, 8) == 0)
                    break;
                continue; /* a smaller one may fit */
            }
            n++;
        }
        size_t len = msg_end(&writer);
        ck_assert(len <= cap && n > 0);
        uint8_t *copy = malloc(len); /* its own block: a sanitizer sees what is read */
        memcpy(copy, buffer, len);
        read_back(copy, len, kept, n);
        if (round < 30)
            ldns_reads(copy, len, n);
        free(copy);
    }
}
END_TEST

START_TEST(there_and_back)
{
    struct random random = random_open();
    msg_writer_init(&writer);
    for (unsigned round = 0; round < 300; round++) {
        size_t n = 0;
        msg_begin(&writer, buffer, 20000, 7, MSG_QR);
        for (unsigned step = 0; step < 60; step++) {
            struct msg_mark mark = msg_mark(&writer);
            size_t was = n;
            for (uint64_t k = random_below(&random, 8); k && n < RECORDS; k--) {
                some_record(&random, &kept[n], n ? &kept[n - 1] : NULL);
                n += put(&writer, &kept[n]);
            }
            if (random_below(&random, 2)) {
                msg_rewind(&writer, &mark);
                n = was;
            }
        }
        read_back(buffer, msg_end(&writer), kept, n);
    }
}
END_TEST

static struct node *some_rrset(struct random *random, const uint8_t *owner, uint16_t type)
{
    struct node_builder *b = node_builder_new();
    node_builder_begin(b, owner);
    for (unsigned i = 0; i < 20; i++) {
        uint8_t name[NAME_MAX_OCTETS];
        some_name(random, name);
        ck_assert_int_eq(node_builder_add(b, type, 300, name, (uint16_t)name_len(name)), 0);
    }
    struct node *node = node_builder_seal(b);
    node_builder_free(&b);
    return node;
}

START_TEST(whole_rrsets)
{
    struct random random = random_open();
    uint8_t owner[NAME_MAX_OCTETS];
    name_parse("www.n1.example.", owner, NULL);
    struct node *node = some_rrset(&random, owner, RR_NS);
    struct rrset set;
    ck_assert(node_rrset(node, RR_NS, 0, &set));
    msg_writer_init(&writer);
    unsigned fitted = 0;
    for (size_t cap = 40; cap < 900; cap++) {
        msg_begin(&writer, buffer, cap, 1, 0);
        ck_assert(msg_put_question(&writer, owner, RR_NS, CLASS_IN));
        size_t len = writer.len;
        bool fits = msg_put_rrset(&writer, SECTION_ANSWER, owner, &set);
        fitted += fits;
        ck_assert_uint_eq(writer.count[SECTION_ANSWER], fits ? set.count : 0);
        ck_assert(fits || writer.len == len);
        ck_assert(fits || !fitted); /* more room never fits less */
        if (!fits)
            continue;
        ck_assert_int_eq(msg_open(&reader, buffer, msg_end(&writer), NULL), 0);
        const uint8_t *p = set.rdata;
        struct rdata want;
        struct rr rr;
        while (rrset_next(&set, &p, &want)) {
            ck_assert_int_eq(msg_next(&reader, &rr, NULL), 1);
            ck_assert(name_equal(rr.owner, owner) && rr.len == want.len &&
                      memcmp(rr.rdata, want.data, want.len) == 0);
        }
        ck_assert_int_eq(msg_next(&reader, &rr, NULL), 0);
    }
    ck_assert_uint_gt(fitted, 100);
    node_unref(node);
}
END_TEST

/* What may be compressed, and how small it gets: the octets themselves. */
START_TEST(compression_to_the_octet)
{
    uint8_t owner[NAME_MAX_OCTETS], rdata[300];
    name_parse("www.example.", owner, NULL);
    msg_writer_init(&writer);
    msg_begin(&writer, buffer, 512, 0x1234, MSG_QR | MSG_AA);
    ck_assert(msg_put_question(&writer, owner, RR_A, CLASS_IN));
    ck_assert(msg_put_rr(&writer, SECTION_ANSWER, owner, RR_A, CLASS_IN, 1,
                         (const uint8_t *)"\1\2\3\4", 4));
    size_t n = (size_t)name_parse("ns.www.example.", rdata, NULL);
    ck_assert(msg_put_rr(&writer, SECTION_ANSWER, owner, RR_NS, CLASS_IN, 1, rdata, (uint16_t)n));
    ck_assert(
        msg_put_rr(&writer, SECTION_ANSWER, owner, RR_DNAME, CLASS_IN, 1, rdata, (uint16_t)n));
    owner[1] = 'W'; /* Www.example.: only example. may be shared */
    ck_assert(msg_put_rr(&writer, SECTION_AUTHORITY, owner, RR_A, CLASS_IN, 1,
                         (const uint8_t *)"\1\2\3\4", 4));
    static const uint8_t want[] = "\x12\x34\x84\0\0\1\0\3\0\1\0\0"
                                  "\3www\7example\0\0\1\0\1"
                                  "\xc0\x0c\0\1\0\1\0\0\0\1\0\4\1\2\3\4"
                                  "\xc0\x0c\0\2\0\1\0\0\0\1\0\5\2ns\xc0\x0c"
                                  "\xc0\x0c\0\x27\0\1\0\0\0\1\0\x10\2ns\3www\7example\0"
                                  "\3Www\xc0\x10\0\1\0\1\0\0\0\1\0\4\1\2\3\4";
    size_t len = msg_end(&writer);
    ck_assert_uint_eq(len, sizeof want - 1);
    ck_assert_int_eq(memcmp(buffer, want, len), 0);
    msg_add_flags(&writer, MSG_TC);
    ck_assert_uint_eq(get_u16(buffer + 2), MSG_QR | MSG_AA | MSG_TC);
}
END_TEST

START_TEST(every_prefix_is_refused)
{
    struct random random = random_open();
    msg_writer_init(&writer);
    msg_begin(&writer, buffer, 1500, 7, MSG_QR);
    uint8_t name[NAME_MAX_OCTETS];
    some_name(&random, name);
    ck_assert(msg_put_question(&writer, name, RR_AXFR, CLASS_IN));
    for (size_t n = 0; n < 40; n++) {
        some_record(&random, &kept[0], NULL);
        (void)put(&writer, &kept[0]);
    }
    size_t len = msg_end(&writer);
    for (size_t cut = 0; cut <= len; cut++) {
        uint8_t *copy = malloc(cut + 1);
        memcpy(copy, buffer, cut);
        struct why why = {{0}};
        struct rr rr;
        int rc = msg_open(&reader, copy, cut, &why);
        while (rc >= 0 && (rc = msg_next(&reader, &rr, &why)) > 0)
            ;
        ck_assert_int_eq(rc, cut < len ? -E_FORMAT : 0);
        ck_assert(cut == len || why.text[0]);
        free(copy);
    }
}
END_TEST

#define OCTETS(s) s, sizeof(s) - 1
#define HEAD      "\0\1\x80\0\0\0\0\1\0\0\0\0" /* one answer record */

START_TEST(refusals)
{
    static const struct {
        const char *octets;
        size_t n;
        const char *why;
    } cases[] = {
        {OCTETS("\0\1\x80\0\0\0\0\1\0\0\0"), "11 octets are no message"},
        {OCTETS(HEAD), "answer record 1 of 1 at octet 12: counted, but the message ends"},
        {OCTETS(HEAD "\1a\0\0\1\0\1\0\0\0\1\0\4\1\2\3\4\5"),
         "1 octets are left over after the last record, at octet 29"},
        {OCTETS(HEAD "\1a\0\0\1\0\1\0\0\0\1\0"),
         "answer record 1 of 1 at octet 15: record runs past the end"},
        {OCTETS(HEAD "\1a\0\0\1\0\1\0\0\0\1\0\4\1\2\3"), "rdata runs past the end of the message"},
        {OCTETS(HEAD "\1a\0\0\1\0\1\0\0\0\1\0\5\1\2\3\4\5"),
         "rdata of A does not parse: 1 octets left over after octet 4"},
        {OCTETS(HEAD "\1a\0\0\1\0\1\0\0\0\1\0\3\1\2\3"),
         "rdata of A does not parse: field 1 (octet 0 of the rdata): 4 octets wanted"},
        {OCTETS(HEAD "\xc0\x0c\0\1\0\1\0\0\0\1\0\4\1\2\3\4"),
         "compression loop: pointer at octet 12 to 12"},
        {OCTETS(HEAD "\xc0\x20\0\1\0\1\0\0\0\1\0\4\1\2\3\4"),
         "forward pointer at octet 12 (to 32)"},
        {OCTETS(HEAD "\1a\0\0\2\0\1\0\0\0\1\0\2\xc0\x19"),
         "rdata of NS does not parse: field 1 (octet 0 of the rdata): compression loop"},
        {OCTETS(HEAD "\1a\0\0\2\0\1\0\0\0\1\0\1\xc0\x0c"), "name runs past the end"},
        {OCTETS(HEAD "\1a\0\0\x27\0\1\0\0\0\1\0\2\xc0\x0c"),
         "rdata of DNAME does not parse: field 1 (octet 0 of the rdata): a compressed name is not "
         "allowed"},
        {OCTETS("\0\1\x80\0\0\1\0\0\0\0\0\0\1a\0\0\1\0"),
         "question record 1 of 1 at octet 12: counted, but the message ends"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct why why = {{0}};
        struct rr rr;
        uint8_t *copy = malloc(cases[i].n);
        memcpy(copy, cases[i].octets, cases[i].n);
        int rc = msg_open(&reader, copy, cases[i].n, &why);
        while (rc >= 0 && (rc = msg_next(&reader, &rr, &why)) > 0)
            ;
        ck_assert_int_eq(rc, -E_FORMAT);
        ck_assert_msg(strstr(why.text, cases[i].why), "case %zu: %s", i, why.text);
        free(copy);
    }
}
END_TEST

START_TEST(questions)
{
    static const uint8_t msg[] = "\0\1\0\0\0\2\0\0\0\0\0\0\1a\0\0\1\0\1\1b\xc0\x0c\0\x1c\0\3";
    uint8_t name[NAME_MAX_OCTETS];
    uint16_t type, class;
    struct rr rr;
    ck_assert_int_eq(msg_open(&reader, msg, sizeof msg - 1, NULL), 0);
    ck_assert_int_eq(msg_question(&reader, name, &type, &class, NULL), 3);
    ck_assert(type == RR_A && class == CLASS_IN);
    ck_assert_int_eq(msg_question(&reader, name, &type, &class, NULL), 5);
    ck_assert(type == RR_AAAA && class == CLASS_CH && memcmp(name, "\1b\1a", 5) == 0);
    ck_assert_int_eq(msg_question(&reader, name, &type, &class, NULL), -E_FORMAT);
    ck_assert_int_eq(msg_next(&reader, &rr, NULL), 0);
    /* Not asked for: stepped over. */
    ck_assert_int_eq(msg_open(&reader, msg, sizeof msg - 1, NULL), 0);
    ck_assert_int_eq(msg_next(&reader, &rr, NULL), 0);
}
END_TEST

START_TEST(ttl_class_and_same_owner)
{
    static const uint8_t msg[] =
        "\0\1\x80\0\0\0\0\4\0\0\0\0"
        "\1a\0\0\1\0\1\x80\0\0\1\0\4\1\2\3\4"    /* TTL with its top bit set, owner at 12 */
        "\xc0\x0c\0\1\0\3\x7f\xff\xff\xff\0\1\0" /* class CH: not an address of ours; pointer */
        "\1a\0\0\1\0\1\0\0\0\1\0\4\1\2\3\4"      /* written out again */
        "\1A\0\0\1\0\1\0\0\0\1\0\4\1\2\3\4";     /* other case */
    static const struct {
        uint32_t ttl;
        bool same;
        uint16_t class, len;
    } want[] = {{0, false, 1, 4}, {0x7fffffff, true, 3, 1}, {1, true, 1, 4}, {1, false, 1, 4}};
    struct rr rr;
    ck_assert_int_eq(msg_open(&reader, msg, sizeof msg - 1, NULL), 0);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(msg_next(&reader, &rr, NULL), 1);
        ck_assert_uint_eq(rr.ttl, want[i].ttl);
        ck_assert_int_eq(rr.same_owner, want[i].same);
        ck_assert_uint_eq(rr.class, want[i].class);
        ck_assert_uint_eq(rr.len, want[i].len);
    }
    ck_assert_int_eq(msg_next(&reader, &rr, NULL), 0);
}
END_TEST

static struct edns edns_of(const uint8_t *msg, size_t len)
{
    struct edns e = {0};
    struct rr rr;
    struct why why = {{0}};
    ck_assert_int_eq(msg_open(&reader, msg, len, &why), 0);
    int rc;
    while ((rc = msg_next(&reader, &rr, &why)) > 0)
        if (rr.type == RR_OPT)
            msg_edns(&e, &rr);
    ck_assert_msg(rc == 0, "%s", why.text);
    return e;
}

START_TEST(edns)
{
    uint8_t name[NAME_MAX_OCTETS];
    name_parse("example.", name, NULL);
    msg_writer_init(&writer);
    for (unsigned variant = 0; variant < 4; variant++) {
        msg_begin(&writer, buffer, 512, 1, 0);
        ck_assert(msg_put_question(&writer, name, RR_A, CLASS_IN));
        const uint8_t *options = (const uint8_t *)"\0\12\0\2ab\0\3\0\0";
        uint16_t len = variant == 1 ? 9 : 10; /* 1: the last option is cut */
        if (variant < 3)
            ck_assert(msg_put_opt(&writer, 1232, RCODE_BADVERS, true, options, len));
        if (variant == 2)
            ck_assert(msg_put_opt(&writer, 512, 0, false, NULL, 0));
        if (variant == 3)
            ck_assert(msg_put_rr(&writer, SECTION_ADDITIONAL, name, RR_OPT, 4096, 0, NULL, 0));
        struct edns e = edns_of(buffer, msg_end(&writer));
        ck_assert(e.present);
        ck_assert_int_eq(e.bad, variant == 1 || variant == 2 || variant == 3);
        if (variant == 0) {
            ck_assert_uint_eq(e.udp_size, 1232);
            ck_assert_uint_eq(e.rcode, RCODE_BADVERS);
            ck_assert_uint_eq(e.version, 0);
            ck_assert(e.dnssec_ok);
        }
    }
    msg_begin(&writer, buffer, 512, 1, 0);
    ck_assert(msg_put_rr(&writer, SECTION_ANSWER, name_root, RR_OPT, 4096, 0, NULL, 0));
    ck_assert(edns_of(buffer, msg_end(&writer)).bad); /* in the wrong section */
    ck_assert_str_eq(rcode_text(RCODE_REFUSED), "REFUSED");
    ck_assert_str_eq(rcode_text(RCODE_BADVERS), "BADVERS");
    ck_assert_str_eq(rcode_text(13), "RCODE13");
}
END_TEST

int main(void)
{
    struct suite s = suite_open("message");
    suite_add(s, written_and_read);
    suite_add(s, there_and_back);
    suite_add(s, whole_rrsets);
    suite_add(s, compression_to_the_octet);
    suite_add(s, every_prefix_is_refused);
    suite_add(s, refusals);
    suite_add(s, questions);
    suite_add(s, ttl_class_and_same_owner);
    suite_add(s, edns);
    return suite_run(s);
}
