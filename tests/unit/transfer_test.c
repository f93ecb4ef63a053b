/* transfer: streams that give a zone, and one stream for every rule that refuses, with the words it is refused in. */
#include <stdlib.h>
#include <string.h>

#include "pipeline/zone/message.h"
#include "pipeline/zone/transfer.h"
#include "tests/lib/random.h"
#include "tests/lib/suite.h"

enum { ID = 4711, MESSAGES = 300 };

static const uint8_t apex[] = "\7example";
static struct {
    size_t len;
    uint8_t octets[2000];
} message[MESSAGES];
static unsigned messages;
static struct msg_writer writer;
static uint16_t flags = MSG_QR | MSG_AA, id = ID;

static void begin(void)
{
    ck_assert_uint_lt(messages, MESSAGES);
    msg_begin(&writer, message[messages].octets, sizeof message[0].octets, id, flags);
}

static void end(void)
{
    message[messages++].len = msg_end(&writer);
}

static void ask(const char *name, uint16_t type, uint16_t class)
{
    uint8_t wire[NAME_MAX_OCTETS];
    ck_assert_int_gt(name_parse(name, wire, NULL), 0);
    ck_assert(msg_put_question(&writer, wire, type, class));
}

static void begin_asked(void)
{
    begin();
    ask("example.", RR_AXFR, CLASS_IN);
}

static void put_in(unsigned section, const char *owner, uint16_t type, uint16_t class, uint32_t ttl,
                   const void *rdata, size_t len)
{
    uint8_t wire[NAME_MAX_OCTETS];
    ck_assert_int_gt(name_parse(owner, wire, NULL), 0);
    ck_assert(msg_put_rr(&writer, section, wire, type, class, ttl, rdata, (uint16_t)len));
}

static void put(const char *owner, uint16_t type, const void *rdata, size_t len)
{
    put_in(SECTION_ANSWER, owner, type, CLASS_IN, 300, rdata, len);
}

static void soa_as(const char *owner, uint32_t serial, uint32_t ttl, char contact)
{
    uint8_t rdata[] = "\2ns\7example\0\1h\7example\0"
                      "SERI\0\0\16\20\0\0\3\204\0\11\72\200\0\0\1\54";
    rdata[13] = (uint8_t)contact;
    put_u32(rdata + 23, serial);
    put_in(SECTION_ANSWER, owner, RR_SOA, CLASS_IN, ttl, rdata, sizeof rdata - 1);
}

static void soa(uint32_t serial)
{
    soa_as("example.", serial, 3600, 'h');
}

static void a(const char *owner, uint32_t v)
{
    uint8_t rdata[4];
    put_u32(rdata, v);
    put(owner, RR_A, rdata, 4);
}

static void opt(unsigned rcode)
{
    ck_assert(msg_put_opt(&writer, 1232, rcode, false, NULL, 0));
}

/* A message made of octets behind a head with one answer record (and no question). */
static void raw(const char *octets, size_t n)
{
    uint8_t *m = message[messages].octets;
    memset(m, 0, MSG_HEADER);
    put_u16(m, ID);
    put_u16(m + 2, MSG_QR);
    put_u16(m + 6, 1);
    memcpy(m + MSG_HEADER, octets, n);
    message[messages++].len = MSG_HEADER + n;
}
#define RAW(s) raw(s, sizeof(s) - 1)

static void opening(void)
{
    begin_asked();
    soa(7);
    a("www.example.", 1);
    end();
}

/* Feeds what is built. The last answer; *fed: how many messages were taken. */
static int feed(struct transfer *t, struct why *why, unsigned *fed)
{
    int rc = 0;
    *fed = 0;
    for (unsigned i = 0; i < messages && rc >= 0; i++) {
        uint8_t *copy =
            malloc(message[i].len + 1); /* its own block: a sanitizer sees what is read */
        memcpy(copy, message[i].octets, message[i].len);
        rc = transfer_feed(t, copy, message[i].len, why);
        free(copy);
        *fed += rc >= 0;
    }
    return rc;
}

/* --- what is taken --- */

static struct snapshot *take(struct family *family, const struct snapshot *held,
                             struct changeset **changes)
{
    struct transfer_config config = {.family = family, .held = held, .id = ID};
    struct transfer *t = transfer_new(&config);
    struct why why = {{0}};
    unsigned fed;
    int rc = feed(t, &why, &fed);
    ck_assert_msg(rc == 1, "%s", why.text);
    ck_assert_int_eq(transfer_end_of_stream(t, &why), 0);
    struct snapshot *s = NULL;
    ck_assert_int_eq(transfer_take(t, &s, changes, &why), 0);
    struct transfer_stats stats;
    transfer_stats(t, &stats);
    size_t bytes = 0;
    for (unsigned i = 0; i < messages; i++)
        bytes += message[i].len;
    ck_assert(stats.messages == messages && stats.bytes == bytes && stats.has_serial &&
              stats.serial == 7);
    transfer_free(&t);
    ck_assert_ptr_null(t);
    return s;
}

static const struct node *node_at(const struct snapshot *s, const char *name)
{
    uint8_t wire[NAME_MAX_OCTETS];
    ck_assert_int_gt(name_parse(name, wire, NULL), 0);
    return snapshot_get(s, wire);
}

/* RFC 5936 2.2: many records a message or one, in any order, duplicates ignored; 2.2.2: no question after the first message; 2.1.5: OPT
 * anywhere; 3.1: all records; 3.4: case is kept. */
START_TEST(a_zone_in_many_forms)
{
    msg_writer_init(&writer);
    struct family *family = family_new(apex);
    /* 0 one message; 1 a message a record, no questions later; 2 SOA alone first, empty messages, OPT, authority, duplicates;
     * 3 question in every message, owners in other case and out of order */
    for (unsigned form = 0; form < 4; form++) {
        messages = 0;
        for (unsigned part = 0; part < 5; part++) {
            if (part == 0)
                begin_asked();
            else if (form) {
                begin();
                if (form == 3)
                    ask("EXAMPLE.", RR_AXFR, CLASS_IN);
            }
            if (part == 0 || part == 4)
                soa(7);
            if (part == 1)
                a(form == 3 ? "WWW.example." : "www.example.", 1);
            if (part == 2 && form == 2)
                a("www.example.", 1);
            if (part == 2)
                put("example.", RR_NS, "\2ns\3sub\7example", 16);
            if (part == 3)
                a(form == 3 ? "ns.SUB.example." : "ns.sub.example.", 3);
            if (form == 2) {
                put_in(SECTION_AUTHORITY, "elsewhere.", RR_A, CLASS_CH, 1, "x", 1);
                opt(0);
            }
            if (form || part == 4)
                end();
            if (form == 2 && part < 4) {
                begin(); /* as a padded XoT stream has them */
                opt(0);
                end();
            }
        }
        struct changeset *changes = NULL;
        struct snapshot *s = take(family, NULL, &changes);
        ck_assert_uint_eq(s->names, 3);
        ck_assert_uint_eq(s->records, 4);
        ck_assert_uint_eq(changes->n, 3);
        ck_assert(!changes->has_from && changes->has_to && changes->to == 7);
        struct rrset set;
        const struct node *www = node_at(s, "www.example.");
        ck_assert(www && node_rrset(www, RR_A, 0, &set) && set.count == 1 && set.ttl == 300);
        ck_assert_int_eq(node_name(www)[1], form == 3 ? 'W' : 'w'); /* case is kept */
        ck_assert(node_at(s, "ns.sub.example."));
        const struct node *top = snapshot_apex(s);
        ck_assert(top && node_rrset(top, RR_SOA, 0, &set) && set.count == 1 && set.ttl == 3600);
        ck_assert(node_rrset(top, RR_NS, 0, &set) && set.end - set.rdata == 2 + 16);
        changeset_unref(changes);
        snapshot_unref(s);
    }
    family_unref(family);
}
END_TEST

START_TEST(shares_with_the_held_version)
{
    msg_writer_init(&writer);
    struct family *family = family_new(apex);
    messages = 0;
    opening();
    begin();
    a("b.example.", 2);
    soa(7);
    end();
    struct changeset *changes = NULL;
    struct snapshot *held = take(family, NULL, &changes);
    changeset_unref(changes);
    struct snapshot *same = take(family, held, &changes);
    ck_assert_uint_eq(changes->n, 0);
    ck_assert_ptr_eq(node_at(same, "www.example."), node_at(held, "www.example."));
    changeset_unref(changes);
    snapshot_unref(same);
    messages = 0;
    opening();
    begin();
    a("b.example.", 3);
    soa(7);
    end();
    struct snapshot *other = take(family, held, &changes);
    ck_assert_uint_eq(changes->n, 1);
    ck_assert(name_equal(change_name(&changes->change[0]), (const uint8_t *)"\1b\7example"));
    changeset_unref(changes);
    snapshot_unref(other);
    snapshot_unref(held);
    family_unref(family);
}
END_TEST

static void ns(const char *owner, const char *target)
{
    uint8_t wire[NAME_MAX_OCTETS];
    ck_assert_int_gt(name_parse(target, wire, NULL), 0);
    put(owner, RR_NS, wire, name_len(wire));
}

/* RFC 5936 3.2: delegations as the primary has them; 3.3: glue, of names beside the zone's cut and below it; 3.5: what a cut or a
 * DNAME hides is part of the zone. All of it comes in, whatever it is for a resolver. */
START_TEST(what_is_below_a_cut_stays)
{
    static const char *const there[] = {
        "sub.example.",        "ns.sub.example.", "hidden.sub.example.", "cut.sub.example.",
        "ns.cut.sub.example.", "old.example.",    "x.old.example.",
    };
    msg_writer_init(&writer);
    struct family *family = family_new(apex);
    messages = 0;
    begin_asked();
    soa(7);
    ns("sub.example.", "ns.sub.example.");
    ns("sub.example.", "ns.elsewhere.test.");
    a("ns.sub.example.", 1);
    a("hidden.sub.example.", 2);
    ns("cut.sub.example.", "ns.cut.sub.example.");
    a("ns.cut.sub.example.", 3);
    put("old.example.", RR_DNAME, "\3new\7example", 13);
    a("x.old.example.", 4);
    soa(7);
    end();
    struct changeset *changes = NULL;
    struct snapshot *s = take(family, NULL, &changes);
    for (size_t i = 0; i < sizeof there / sizeof *there; i++)
        ck_assert_msg(node_at(s, there[i]) != NULL, "%s", there[i]);
    ck_assert_uint_eq(s->records, 9);
    struct rrset set;
    ck_assert(node_rrset(node_at(s, "sub.example."), RR_NS, 0, &set) && set.count == 2);
    changeset_unref(changes);
    snapshot_unref(s);
    family_unref(family);
}
END_TEST

/* --- what is refused --- */

static void first_is_no_soa(void)
{
    begin_asked();
    a("www.example.", 1);
    end();
}
static void soa_not_of_the_apex(void)
{
    begin_asked();
    soa_as("www.example.", 7, 1, 'h');
    end();
}
static void other_serial(void)
{
    opening();
    begin();
    soa(8);
    end();
}
static void other_content(void)
{
    opening();
    begin();
    soa_as("example.", 7, 3600, 'x');
    end();
}
static void other_ttl(void)
{
    opening();
    begin();
    soa_as("example.", 7, 3601, 'h');
    end();
}
static void soa_in_the_middle(void)
{
    begin_asked();
    soa(7);
    soa(7);
    a("www.example.", 1);
    soa(7);
    end();
}
static void soa_below_the_apex(void)
{
    opening();
    begin();
    soa_as("www.example.", 7, 3600, 'h');
    end();
}
static void incremental(void)
{
    begin_asked();
    soa(7);
    soa(6);
    a("www.example.", 1);
    soa(7);
    soa(7);
    end();
}
static void message_after_the_end(void)
{
    opening();
    begin();
    soa(7);
    end();
    begin();
    a("www.example.", 1);
    end();
}
static void outside(void)
{
    opening();
    begin();
    a("ok.example.", 1);
    a("example.com.", 1);
    end();
}
static void nearly_inside(void)
{
    opening();
    begin();
    a("wwwexample.", 1);
    end();
}
static void class_ch(void)
{
    opening();
    begin();
    put_in(SECTION_ANSWER, "c.example.", RR_TXT, CLASS_CH, 1, "\1x", 2);
    end();
}
static void class_any_for_an_address(void)
{
    opening();
    begin();
    put_in(SECTION_ANSWER, "c.example.", RR_A, CLASS_ANY, 1, NULL, 0);
    end();
}
static void bad_rdata(void)
{
    opening();
    begin();
    a("ok.example.", 1);
    put("bad.example.", RR_AAAA, "\1\2\3\4", 4);
    end();
}
static void loop(void)
{
    opening();
    RAW("\1x\xc0\x0c\0\1\0\1\0\0\0\1\0\4\1\2\3\4");
}
static void loop_in_rdata(void)
{
    opening();
    RAW("\1x\7example\0\0\2\0\1\0\0\0\1\0\4\1y\xc0\x21");
}
static void forward(void)
{
    opening();
    RAW("\1x\xc0\x18\0\1\0\1\0\0\0\1\0\4\1a\0\0");
}
static void name_too_long(void)
{
    opening();
    uint8_t name[300];
    size_t n = 0;
    for (; n < 256; n += 64) {
        name[n] = 63;
        memset(name + n + 1, 'a', 63);
    }
    memcpy(name + n, "\0\0\1\0\1\0\0\0\1\0\4\1\2\3\4", 15);
    raw((const char *)name, n + 15);
}
static void more_counted(void)
{
    opening();
    begin();
    a("x.example.", 1);
    end();
    message[messages - 1].octets[7]++;
}
static void fewer_counted(void)
{
    opening();
    begin();
    a("x.example.", 1);
    a("y.example.", 1);
    end();
    message[messages - 1].octets[7]--;
}
static void cut(void)
{
    opening();
    begin();
    a("x.example.", 1);
    end();
    message[messages - 1].len--;
}
static void too_short(void)
{
    opening();
    message[messages++].len = 11;
}
static void truncated_flag(void)
{
    opening();
    flags |= MSG_TC;
    begin();
    end();
}
static void refused(void)
{
    flags |= RCODE_REFUSED;
    begin_asked();
    end();
}
static void notauth_later(void)
{
    opening();
    flags |= RCODE_NOTAUTH;
    begin();
    end();
}
static void badvers(void)
{
    begin_asked();
    opt(RCODE_BADVERS);
    end();
}
static void query(void)
{
    flags = 0;
    begin_asked();
    end();
}
static void notify(void)
{
    flags |= OPCODE_NOTIFY << 11;
    begin_asked();
    end();
}
static void other_id(void)
{
    opening();
    id = ID + 1;
    begin();
    end();
}
static void other_name(void)
{
    begin();
    ask("example.com.", RR_AXFR, CLASS_IN);
    soa(7);
    end();
}
static void other_type(void)
{
    opening();
    begin();
    ask("example.", RR_IXFR, CLASS_IN);
    end();
}
static void other_class(void)
{
    begin();
    ask("example.", RR_AXFR, CLASS_CH);
    end();
}
static void no_question(void)
{
    begin();
    soa(7);
    end();
}
static void two_questions(void)
{
    begin_asked();
    ask("example.", RR_AXFR, CLASS_IN);
    end();
}
static void bad_question(void)
{
    begin_asked();
    end();
    message[0].len = MSG_HEADER + 3;
}
static void opt_in_the_answer(void)
{
    opening();
    begin();
    put_in(SECTION_ANSWER, ".", RR_OPT, CLASS_IN, 0, NULL, 0);
    end();
}
static void tsig_in_the_answer(void)
{
    opening();
    begin();
    put_in(SECTION_ANSWER, "key.example.", RR_TSIG, CLASS_ANY, 0, "x", 1);
    end();
}
static void nxname(void)
{
    opening();
    begin();
    put("x.example.", RR_NXNAME, NULL, 0);
    end();
}
static void type_0(void)
{
    opening();
    begin();
    put("x.example.", 0, NULL, 0);
    end();
}
static void bad_additional(void)
{
    opening();
    begin();
    a("x.example.", 1);
    put_in(SECTION_ADDITIONAL, "elsewhere.", RR_A, CLASS_IN, 1, "x", 1);
    end();
}
static void bad_authority(void)
{
    opening();
    begin();
    put_in(SECTION_AUTHORITY, "elsewhere.", RR_A, CLASS_IN, 1, "x", 1);
    end();
}
static void many_records(void)
{
    opening();
    begin();
    for (uint32_t i = 0; i < 9; i++)
        a("x.example.", i);
    end();
}
static void many_octets(void)
{
    opening();
    for (unsigned k = 0; k < 3; k++) {
        begin();
        for (uint32_t i = 0; i < 100; i++)
            a("x.example.", i);
        end();
    }
}
static void many_empty(void)
{
    opening();
    for (unsigned k = 0; k < 101; k++) {
        begin();
        opt(0);
        end();
    }
}

static const struct {
    void (*build)(void);
    int rc;
    unsigned good; /* messages taken before */
    const char *why;
} cases[] = {
    {first_is_no_soa, -E_FORMAT, 0,
     "message 1, record 1 (www.example. A): the first record is not the SOA"},
    {soa_not_of_the_apex, -E_FORMAT, 0,
     "message 1, record 1 (www.example. SOA): SOA below the apex"},
    {other_serial, -E_FORMAT, 1,
     "message 2, record 1 (example. SOA): a second SOA with serial 8; the transfer began with "
     "serial 7"},
    {other_content, -E_FORMAT, 1,
     "message 2, record 1 (example. SOA): a second SOA with serial 7, like the first, but other "
     "content"},
    {other_ttl, -E_FORMAT, 1,
     "message 2, record 1 (example. SOA): the closing SOA (serial 7) has TTL 3601, the opening one "
     "3600"},
    {soa_in_the_middle, -E_FORMAT, 0,
     "message 1, record 3 (www.example. A): record after the closing SOA (serial 7)"},
    {soa_below_the_apex, -E_FORMAT, 1,
     "message 2, record 1 (www.example. SOA): SOA below the apex"},
    {incremental, -E_FORMAT, 0,
     "message 1, record 2 (example. SOA): a second SOA with serial 6; the transfer began with "
     "serial 7"},
    {message_after_the_end, -E_FORMAT, 2, "message 3: message after the closing SOA"},
    {outside, -E_FORMAT, 1, "message 2, record 2 (example.com. A): owner is outside the zone"},
    {nearly_inside, -E_FORMAT, 1, "message 2, record 1 (wwwexample. A): owner is outside the zone"},
    {class_ch, -E_FORMAT, 1, "message 2, record 1 (c.example. TXT): class is 3, not IN"},
    {class_any_for_an_address, -E_FORMAT, 1,
     "message 2, record 1 (c.example. A): class is 255, not IN"},
    {bad_rdata, -E_FORMAT, 1,
     "message 2, record 2 (bad.example. AAAA): answer record 2 of 2 at octet 54: rdata of AAAA "
     "does not parse: field 1 (octet 0 of the rdata): 16 octets wanted, 4 left"},
    {loop, -E_FORMAT, 1,
     "message 2, record 1: answer record 1 of 1 at octet 12: compression loop: pointer at octet 14 "
     "to 12"},
    {loop_in_rdata, -E_FORMAT, 1,
     "message 2, record 1 (x.example. NS): answer record 1 of 1 at octet 33: rdata of NS does not "
     "parse: field 1 (octet 0 of the rdata): compression loop: pointer at octet 35 to 33"},
    {forward, -E_FORMAT, 1,
     "message 2, record 1: answer record 1 of 1 at octet 12: forward pointer at octet 14 (to 24)"},
    {name_too_long, -E_FORMAT, 1,
     "message 2, record 1: answer record 1 of 1 at octet 12: name over 255 octets"},
    {more_counted, -E_FORMAT, 1,
     "message 2, record 2: answer record 2 of 2 at octet 37: counted, but the message ends"},
    {fewer_counted, -E_FORMAT, 1,
     "message 2: 18 octets are left over after the last record, at octet 37"},
    {cut, -E_FORMAT, 1,
     "message 2, record 1 (x.example. A): answer record 1 of 1 at octet 23: rdata runs past the "
     "end of the message"},
    {too_short, -E_FORMAT, 1, "message 2: 11 octets are no message"},
    {truncated_flag, -E_FORMAT, 1, "message 2: TC is set: truncated"},
    {refused, -E_REFUSED, 0, "message 1: the primary answered REFUSED"},
    {notauth_later, -E_REFUSED, 1, "message 2: the primary answered NOTAUTH"},
    {badvers, -E_REFUSED, 0, "message 1: the primary answered BADVERS"},
    {query, -E_MISMATCH, 0, "message 1: QR is not set: a query, not a response"},
    {notify, -E_MISMATCH, 0, "message 1: opcode is 4, not QUERY"},
    {other_id, -E_MISMATCH, 1, "message 2: ID is 4712, not that of the query, 4711"},
    {other_name, -E_MISMATCH, 0,
     "message 1: question is example.com. class 1 AXFR, not what was asked"},
    {other_type, -E_MISMATCH, 1,
     "message 2: question is example. class 1 IXFR, not what was asked"},
    {other_class, -E_MISMATCH, 0,
     "message 1: question is example. class 3 AXFR, not what was asked"},
    {no_question, -E_MISMATCH, 0, "message 1: 0 questions instead of the one asked"},
    {two_questions, -E_MISMATCH, 0, "message 1: 2 questions instead of the one asked"},
    {bad_question, -E_FORMAT, 0,
     "message 1: question record 1 of 1 at octet 12: name runs past the end at octet 12"},
    {opt_in_the_answer, -E_FORMAT, 1, "message 2, record 1 (. OPT): a meta type is no zone data"},
    {tsig_in_the_answer, -E_FORMAT, 1,
     "message 2, record 1 (key.example. TSIG): a meta type is no zone data"},
    {nxname, -E_FORMAT, 1, "message 2, record 1 (x.example. NXNAME): a meta type is no zone data"},
    {type_0, -E_FORMAT, 1, "message 2, record 1 (x.example. TYPE0): a meta type is no zone data"},
    {bad_additional, -E_FORMAT, 1,
     "message 2: additional record 1 of 1 at octet 58: rdata of A does not parse"},
    {bad_authority, -E_FORMAT, 1,
     "message 2: authority record 1 of 1 at octet 33: rdata of A does not parse"},
    {many_records, -E_LIMIT, 1, "message 2, record 9 (x.example. A): more than max_records, 10"},
    {many_octets, -E_LIMIT, 3, "message 4: more octets than max_bytes, 4000"},
    {many_empty, -E_LIMIT, 101, "message 102: too many messages in a row without a record"},
};

/* RFC 5936 2.2: SOA first, the same SOA last, none between, one RCODE ends it; 2.2.1: QR, opcode, ID, TC; 2.2.2: the question; 3.1: one serial. */
START_TEST(refusals)
{
    msg_writer_init(&writer);
    struct family *family = family_new(apex);
    messages = 0;
    opening();
    begin();
    soa(7);
    end();
    struct changeset *changes = NULL;
    struct snapshot *held = take(family, NULL, &changes);
    changeset_unref(changes);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        messages = 0;
        flags = MSG_QR | MSG_AA;
        id = ID;
        cases[i].build();
        struct transfer_config config = {.family = family, .held = held, .id = ID};
        if (cases[i].build == many_records)
            config.limits.max_records = 10;
        if (cases[i].build == many_octets)
            config.limits.max_bytes = 4000;
        struct transfer *t = transfer_new(&config);
        struct why why = {{0}};
        unsigned fed;
        int rc = feed(t, &why, &fed);
        ck_assert_msg(rc == cases[i].rc && fed == cases[i].good &&
                          strncmp(why.text, cases[i].why, strlen(cases[i].why)) == 0,
                      "case %zu: %d after %u good messages: %s\nwanted: %s", i, rc, fed, why.text,
                      cases[i].why);
        ck_assert_int_eq(transfer_end_of_stream(t, &why), -E_CLOSED);
        transfer_free(&t);
    }
    /* The held version is as it was, and its family has no writer left. */
    flags = MSG_QR | MSG_AA;
    id = ID;
    messages = 0;
    opening();
    begin();
    soa(7);
    end();
    struct snapshot *again = take(family, held, &changes);
    ck_assert_uint_eq(changes->n, 0);
    changeset_unref(changes);
    snapshot_unref(again);
    snapshot_unref(held);
    family_unref(family);
}
END_TEST

/* RFC 5936 2.2, 2.3: without the closing SOA there is no zone. */
START_TEST(streams_that_end_early)
{
    static const struct {
        unsigned fed;
        const char *why;
    } ends[] = {
        {0, "the stream ended after 0 messages, before the opening SOA"},
        {1,
         "the stream ended after message 1 and 2 records: the closing SOA (serial 7) is missing"},
        {2,
         "the stream ended after message 2 and 3 records: the closing SOA (serial 7) is missing"},
    };
    msg_writer_init(&writer);
    struct family *family = family_new(apex);
    messages = 0;
    opening();
    begin();
    a("b.example.", 1);
    end();
    for (size_t i = 0; i < 3; i++) {
        struct transfer_config config = {.family = family, .id = ID};
        struct transfer *t = transfer_new(&config);
        struct why why = {{0}};
        unsigned fed;
        messages = ends[i].fed;
        ck_assert_int_eq(feed(t, &why, &fed), 0);
        ck_assert_int_eq(transfer_end_of_stream(t, &why), -E_CLOSED);
        ck_assert_str_eq(why.text, ends[i].why);
        transfer_free(&t);
        messages = 2;
    }
    family_unref(family);
}
END_TEST

/* Any one octet of a good stream changed: refused, or taken as another zone; never anything worse. */
START_TEST(one_octet_changed)
{
    msg_writer_init(&writer);
    struct random random = random_open();
    struct family *family = family_new(apex);
    messages = 0;
    opening();
    begin();
    put("example.", RR_NS, "\2ns\3sub\7example", 16);
    put("mx.example.", RR_MX, "\0\12\2mx\7example", 14);
    a("ns.sub.example.", 1);
    soa(7);
    end();
    unsigned taken = 0, refused_ = 0;
    for (unsigned m = 0; m < 2; m++)
        for (size_t i = 0; i < message[m].len; i++) {
            uint8_t was = message[m].octets[i];
            message[m].octets[i] ^= (uint8_t)(1 + random_below(&random, 255));
            struct transfer_config config = {.family = family, .id = ID};
            struct transfer *t = transfer_new(&config);
            struct why why = {{0}};
            unsigned fed;
            int rc = feed(t, &why, &fed);
            ck_assert(rc <= 1 && (rc >= 0 || strncmp(why.text, "message ", 8) == 0));
            if (rc == 1) {
                struct snapshot *s = NULL;
                ck_assert_int_eq(transfer_take(t, &s, NULL, &why), 0);
                ck_assert_uint_ge(s->records, 4);
                snapshot_unref(s);
                taken++;
            } else {
                refused_++;
            }
            transfer_free(&t);
            message[m].octets[i] = was;
        }
    ck_assert(taken > 20 && refused_ > 60);
    family_unref(family);
}
END_TEST

START_TEST(serials)
{
    ck_assert(serial_newer(1, 0) && serial_newer(0, 0xffffffff) && serial_newer(0x7fffffff, 0));
    ck_assert(!serial_newer(0, 0) && !serial_newer(0, 1) && !serial_newer(0xffffffff, 0));
    ck_assert(!serial_newer(0x80000000, 0) && !serial_newer(0, 0x80000000));
}
END_TEST

int main(void)
{
    struct suite s = suite_open("transfer");
    suite_add(s, a_zone_in_many_forms);
    suite_add(s, shares_with_the_held_version);
    suite_add(s, what_is_below_a_cut_stays);
    suite_add(s, refusals);
    suite_add(s, streams_that_end_early);
    suite_add(s, one_octet_changed);
    suite_add(s, serials);
    return suite_run(s);
}
