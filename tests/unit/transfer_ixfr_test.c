/* transfer, the incremental form (RFC 1995): histories that come in by differences are what a full transfer gives, and one stream
 * for every way in which differences do not fit, with the words it is refused in. */
#include <stdlib.h>
#include <string.h>

#include "pipeline/base/alloc.h"
#include "pipeline/zone/difference.h"
#include "tests/lib/expect.h"
#include "tests/lib/random.h"
#include "tests/lib/suite.h"
#include "tests/lib/xfr_stream.h"
#include "tests/lib/zonegen.h"

static const uint8_t apex[] = "\7example";
static struct random rnd;

/* ---- histories */

static void same_changes(const struct changeset *a, const struct changeset *b)
{
    EXPECT_EQ(a->n, b->n);
    EXPECT(a->has_from == b->has_from && a->has_to == b->has_to && a->from == b->from &&
           a->to == b->to);
    for (size_t i = 0; i < a->n; i++) {
        const struct change *x = &a->change[i], *y = &b->change[i];
        EXPECT(!x->was == !y->was && (!x->was || node_equal(x->was, y->was)));
        EXPECT(!x->now == !y->now && (!x->now || node_equal(x->now, y->now)));
    }
}

static struct snapshot *taken(struct xfr_stream *s, const struct transfer_config *config,
                              struct changeset **changes, struct transfer_stats *stats)
{
    struct transfer *t = transfer_new(config);
    struct why why = {{0}};
    size_t fed;
    struct snapshot *out = NULL;
    int rc = xfr_feed(s, t, &why, &fed);
    if (rc != TRANSFER_COMPLETE || transfer_take(t, &out, changes, &why))
        ck_abort_msg("%d: %s", rc, why.text);
    EXPECT_EQ(transfer_end_of_stream(t, &why), 0);
    transfer_stats(t, stats);
    EXPECT(stats->ended && stats->messages == s->n);
    transfer_free(&t);
    return out;
}

/* From version[0] to version[n - 1]: condensed, or a difference a version, and in full. */
static void history_comes_in(struct family *family, struct snapshot *const *version, size_t n)
{
    struct changeset *want = changeset_between(version[0], version[n - 1]);
    for (unsigned form = 0; form < 5; form++) {
        struct xfr_stream s;
        struct transfer_stats stats;
        struct changeset *got = NULL;
        bool axfr = form == 3, full = form >= 3, condensed = form == 0;
        unsigned most = 1 + (unsigned)random_below(&rnd, 60);
        enum stream_ttl ttl = form == 2 ? STREAM_TTL_ADDS : STREAM_TTL_REPLACES;
        xfr_open(&s, apex, axfr ? RR_AXFR : RR_IXFR, most, form == 1 ? NULL : &rnd);
        xfr_soa_of(&s, version[n - 1]);
        for (size_t i = 0; !full && i + 1 < n; i = condensed ? n : i + 1)
            xfr_difference(&s, version[i], version[condensed ? n - 1 : i + 1], ttl);
        if (full)
            xfr_zone(&s, version[n - 1]);
        xfr_soa_of(&s, version[n - 1]);
        struct snapshot *out =
            taken(&s,
                  &(struct transfer_config){
                      .family = family, .held = version[0], .id = STREAM_ID, .incremental = !axfr},
                  &got, &stats);
        EXPECT(stats.form == (full ? TRANSFER_FULL : TRANSFER_INCREMENTAL));
        EXPECT_EQ(stats.sequences, full ? 0 : condensed ? 1 : n - 1);
        same_changes(got, want);
        struct changeset *rest = changeset_between(version[n - 1], out);
        EXPECT_EQ(rest->n, 0);
        EXPECT(out->names == version[n - 1]->names && out->records == version[n - 1]->records);
        changeset_unref(rest);
        changeset_unref(got);
        snapshot_unref(out);
        xfr_free(&s);
    }
    changeset_unref(want);
}

/* RFC 1995 4, 6: a difference a version, or several in one; what comes of it is what a full transfer gives. */
START_TEST(histories_come_in_as_in_full)
{
    enum { VERSIONS = 8 };
    const char *more = getenv("WEIR_ROUNDS");
    unsigned rounds = more ? (unsigned)strtoul(more, NULL, 10) : 60;
    for (unsigned round = 0; round < rounds; round++) {
        struct family *family = family_new(apex);
        struct snapshot *version[VERSIONS];
        size_t n = 2 + random_below(&rnd, VERSIONS - 1);
        unsigned slots = 1 + (unsigned)random_below(&rnd, round % 10 == 0 ? 3000 : 60);
        struct zonegen gen = zonegen_open(&rnd, "example.", slots);
        for (size_t i = 0; i < n; i++)
            version[i] = zonegen_version(&gen, family, i ? version[i - 1] : NULL,
                                         1 + (unsigned)random_below(&rnd, slots));
        history_comes_in(family, version, n);
        for (size_t i = 0; i < n; i++)
            snapshot_unref(version[i]);
        family_unref(family);
    }
}
END_TEST

/* ---- streams by hand. What is held: SOA 5, NS, www A 1 and 2, old A 1, mixed TXT of two TTLs, key DNSKEY and its RRSIG. */

static struct xfr_stream stream;
static struct family *family;
static struct snapshot *held;

static void name_of(const char *owner, uint8_t out[NAME_MAX_OCTETS])
{
    ck_assert_int_gt(name_parse(owner, out, NULL), 0);
}

static void put_as(const char *owner, uint16_t type, uint16_t class, uint32_t ttl,
                   const void *rdata, size_t len)
{
    uint8_t name[NAME_MAX_OCTETS];
    name_of(owner, name);
    xfr_put(&stream, name, type, class, ttl, rdata, len);
}

static size_t soa_rdata(uint32_t serial, char contact, uint8_t out[64])
{
    static const uint8_t rdata[] = "\2ns\7example\0\1h\7example\0"
                                   "SERI\0\0\16\20\0\0\3\204\0\11\72\200\0\0\1\54";
    memcpy(out, rdata, sizeof rdata - 1);
    out[13] = (uint8_t)contact;
    put_u32(out + 23, serial);
    return sizeof rdata - 1;
}

static void soa_as(const char *owner, uint32_t serial, uint32_t ttl, char contact)
{
    uint8_t rdata[64];
    put_as(owner, RR_SOA, CLASS_IN, ttl, rdata, soa_rdata(serial, contact, rdata));
}

static void soa(uint32_t serial)
{
    soa_as("example.", serial, 3600, 'h');
}

static void a_ttl(const char *owner, uint32_t v, uint32_t ttl)
{
    uint8_t rdata[4];
    put_u32(rdata, v);
    put_as(owner, RR_A, CLASS_IN, ttl, rdata, 4);
}

static void a(const char *owner, uint32_t v)
{
    a_ttl(owner, v, 300);
}

static void soas(const uint32_t *serial) /* until 0 */
{
    while (*serial)
        soa(*serial++);
}
#define SOAS(...) soas((const uint32_t[]){__VA_ARGS__, 0})

#define RRSIG_OF_DNSKEY                                                                            \
    "\0\60\15\1\0\0\16\20\150\0\0\0\140\0\0\0\60\71\7example\0SIGNATURESIGNATURESIGNATURE"
#define DNSKEY "\1\1\3\15KEYKEYKEYKEYKEYKEYKEYKEYKEYKEYKE"

static void hold(void)
{
    struct edit *e = edit_open(family, NULL, NULL);
    struct record {
        const char *owner;
        uint16_t type, len;
        uint32_t ttl;
        const void *rdata;
    } record[] = {
        {"example.", RR_NS, 12, 300, "\2ns\7example"},
        {"example.", RR_DNSKEY, sizeof DNSKEY - 1, 300, DNSKEY},
        {"example.", RR_RRSIG, sizeof RRSIG_OF_DNSKEY - 1, 300, RRSIG_OF_DNSKEY},
        {"www.example.", RR_A, 4, 300, "\0\0\0\1"},
        {"www.example.", RR_A, 4, 300, "\0\0\0\2"},
        {"old.example.", RR_A, 4, 300, "\0\0\0\1"},
        {"alias.example.", RR_CNAME, 13, 300, "\3WWW\7example"},
        {"mixed.example.", RR_TXT, 2, 60, "\1x"},
        {"mixed.example.", RR_TXT, 2, 90, "\1y"},
    };
    uint8_t rdata[64], name[NAME_MAX_OCTETS];
    size_t len = soa_rdata(5, 'h', rdata);
    ck_assert_int_eq(edit_add(e, apex, RR_SOA, 3600, rdata, (uint16_t)len, NULL), 0);
    for (size_t i = 0; i < sizeof record / sizeof *record; i++) {
        struct record *r = &record[i];
        name_of(r->owner, name);
        ck_assert_int_eq(edit_add(e, name, r->type, r->ttl, r->rdata, r->len, NULL), 0);
    }
    ck_assert_int_eq(edit_seal(&e, &held, NULL, NULL), 0);
}

static void open_test(void)
{
    family = family_new(apex);
    hold();
}

static void close_test(void)
{
    snapshot_unref(held);
    family_unref(family);
}

static void begin(void)
{
    xfr_open(&stream, apex, RR_IXFR, 1000, NULL);
}

static struct transfer_config asked(void)
{
    return (struct transfer_config){
        .family = family, .held = held, .id = STREAM_ID, .incremental = true};
}

/* One difference from 5 to 7 around what `inner` puts. */
static void one(void (*deleted)(void), void (*added)(void))
{
    SOAS(7, 5);
    if (deleted)
        deleted();
    soa(7);
    if (added)
        added();
    soa(7);
}

/* --- what is taken */

static struct snapshot *take_stream(struct transfer_stats *stats)
{
    struct changeset *changes = NULL;
    struct transfer_config config = asked();
    struct snapshot *s = taken(&stream, &config, &changes, stats);
    changeset_unref(changes);
    xfr_free(&stream);
    return s;
}

static bool set_at(const struct snapshot *s, const char *owner, uint16_t type, uint16_t covered,
                   struct rrset *set)
{
    uint8_t name[NAME_MAX_OCTETS];
    name_of(owner, name);
    const struct node *n = snapshot_get(s, name);
    return n && node_rrset(n, type, covered, set);
}

static void ttl_by_replacing_deleted(void)
{
    a("www.example.", 1);
    a_ttl("www.example.", 2, 86400); /* RFC 1995 4: which TTL a deleted record has says nothing */
}
static void ttl_by_replacing_added(void)
{
    a_ttl("www.example.", 1, 60);
    a_ttl("www.example.", 2, 60);
}

START_TEST(changed_ttls)
{
    struct transfer_stats stats;
    struct rrset set;
    open_test();
    for (int adds_only = 0; adds_only < 2; adds_only++) {
        begin();
        one(adds_only ? NULL : ttl_by_replacing_deleted, ttl_by_replacing_added);
        struct snapshot *s = take_stream(&stats);
        ck_assert(set_at(s, "www.example.", RR_A, 0, &set) && set.count == 2 && set.ttl == 60 &&
                  !set.ttl_mixed);
        ck_assert_uint_eq(stats.deleted, adds_only ? 0 : 2);
        ck_assert_uint_eq(stats.added, 2);
        snapshot_unref(s);
    }
    /* One record with another TTL: the smallest counts (RFC 2181 5.2), as after a full transfer. */
    begin();
    SOAS(7, 5, 7);
    a_ttl("www.example.", 2, 60);
    soa(7);
    struct snapshot *s = take_stream(&stats);
    ck_assert(set_at(s, "www.example.", RR_A, 0, &set) && set.count == 2 && set.ttl == 60 &&
              set.ttl_mixed);
    snapshot_unref(s);
    /* All of a set that came with different TTLs: nothing of the old one is left to wonder about. */
    begin();
    SOAS(7, 5);
    put_as("mixed.example.", RR_TXT, CLASS_IN, 60, "\1x", 2);
    put_as("mixed.example.", RR_TXT, CLASS_IN, 60, "\1y", 2);
    soa(7);
    put_as("mixed.example.", RR_TXT, CLASS_IN, 90, "\1y", 2);
    soa(7);
    s = take_stream(&stats);
    ck_assert(set_at(s, "mixed.example.", RR_TXT, 0, &set) && set.ttl == 90 && !set.ttl_mixed);
    snapshot_unref(s);
    close_test();
}
END_TEST

/* There and back within one stream; whole names; letters; a signature of the DNSKEYs (NSD 4.15 fell over it). */
START_TEST(many_differences)
{
    struct transfer_stats stats;
    struct rrset set;
    open_test();
    begin();
    SOAS(9, 5);
    a("www.example.", 1);
    put_as("example.", RR_RRSIG, CLASS_IN, 300, RRSIG_OF_DNSKEY, sizeof RRSIG_OF_DNSKEY - 1);
    soa(6);
    a("new.example.", 1);
    soa(6);
    a("new.example.", 1);
    a("OLD.Example.", 1);
    soa(8);
    a("www.example.", 1);
    a("www.example.", 3);
    soa(8);
    put_as("alias.example.", RR_CNAME, CLASS_IN, 300, "\3www\7EXAMPLE", 13);
    soa(9);
    put_as("alias.example.", RR_CNAME, CLASS_IN, 300, "\3new\7example", 13);
    soa(9);
    struct snapshot *s = take_stream(&stats);
    ck_assert(set_at(s, "www.example.", RR_A, 0, &set) && set.count == 3);
    ck_assert(!set_at(s, "old.example.", RR_A, 0, &set));
    ck_assert(!set_at(s, "new.example.", RR_A, 0, &set));
    ck_assert(!set_at(s, "example.", RR_RRSIG, RR_DNSKEY, &set));
    ck_assert(set_at(s, "example.", RR_DNSKEY, 0, &set));
    ck_assert(set_at(s, "alias.example.", RR_CNAME, 0, &set) && set.count == 1);
    ck_assert(set_at(s, "example.", RR_SOA, 0, &set) && set.count == 1);
    ck_assert_uint_eq(s->names, held->names - 1);
    ck_assert_uint_eq(s->records, held->records - 1);
    ck_assert(stats.sequences == 3 && stats.deleted == 5 && stats.added == 4 && stats.serial == 9);
    snapshot_unref(s);
    close_test();
}
END_TEST

/* RFC 1995 2, 4: one SOA that is not newer is the whole answer; a newer one is a beginning, whatever its message ends with. */
START_TEST(single_soa)
{
    open_test();
    for (uint32_t serial = 4; serial <= 6; serial++) {
        struct transfer_config config = asked();
        struct transfer *t = transfer_new(&config);
        struct transfer_stats stats;
        struct why why = {{0}};
        size_t fed;
        begin();
        soa(serial);
        int rc = xfr_feed(&stream, t, &why, &fed);
        transfer_stats(t, &stats);
        ck_assert_uint_eq(stats.serial, serial);
        if (serial <= 5) {
            ck_assert_int_eq(rc, TRANSFER_CURRENT);
            ck_assert(stats.form == TRANSFER_SINGLE_SOA && stats.ended);
            ck_assert_int_eq(transfer_end_of_stream(t, &why), 0);
        } else {
            ck_assert_int_eq(rc, TRANSFER_MORE);
            ck_assert(!stats.ended);
            ck_assert_int_eq(transfer_end_of_stream(t, &why), -E_CLOSED);
            ck_assert_str_eq(why.text, "the stream ended after message 1 and one SOA (serial 6), "
                                       "which is newer than ours: what leads to it is missing");
        }
        transfer_free(&t);
        xfr_free(&stream);
    }
    close_test();
}
END_TEST

/* RFC 1995 4: the second record tells the form, in whichever message it comes. */
START_TEST(answered_in_full)
{
    struct transfer_stats stats;
    struct rrset set;
    open_test();
    for (int alone = 0; alone < 2; alone++) {
        begin();
        soa(7);
        if (alone)
            xfr_cut(&stream);
        a("only.example.", 1);
        soa(7);
        struct snapshot *s = take_stream(&stats);
        ck_assert(stats.form == TRANSFER_FULL && stats.records == 2);
        ck_assert_uint_eq(s->names, 2);
        ck_assert(set_at(s, "only.example.", RR_A, 0, &set));
        snapshot_unref(s);
    }
    close_test();
}
END_TEST

/* A batch is applied while the stream still comes; what a name gets back and forth costs one node a batch. */
START_TEST(more_than_a_batch)
{
    enum { SEQUENCES = DIFFERENCE_BATCH };
    struct transfer_stats stats;
    struct rrset set;
    open_test();
    begin();
    soa(5 + SEQUENCES);
    for (uint32_t i = 0; i < SEQUENCES; i++) {
        soa(5 + i);
        a("www.example.", 1 + i % 2);
        if (i)
            a("www.example.", 100 + i - 1);
        soa(6 + i);
        a("www.example.", 1 + i % 2);
        a("www.example.", 100 + i);
        a("more.example.", i);
    }
    soa(5 + SEQUENCES);
    struct snapshot *s = take_stream(&stats);
    ck_assert(set_at(s, "more.example.", RR_A, 0, &set) && set.count == SEQUENCES);
    ck_assert(set_at(s, "www.example.", RR_A, 0, &set) && set.count == 3);
    ck_assert_uint_eq(stats.sequences, SEQUENCES);
    snapshot_unref(s);
    close_test();
}
END_TEST

/* RFC 7314 */
START_TEST(expire_option)
{
    static const uint8_t option[] = "\0\3\0\1x\0\11\0\4\0\0\4\322", empty[] = "\0\11\0\0";
    open_test();
    for (int with = 0; with < 2; with++) {
        struct transfer_config config = asked();
        struct transfer *t = transfer_new(&config);
        struct transfer_stats stats;
        struct why why = {{0}};
        size_t fed;
        begin();
        soa(5);
        ck_assert(msg_put_opt(&stream.writer, 1232, 0, false, with ? option : empty,
                              with ? sizeof option - 1 : sizeof empty - 1));
        ck_assert_int_eq(xfr_feed(&stream, t, &why, &fed), TRANSFER_CURRENT);
        transfer_stats(t, &stats);
        ck_assert(stats.has_expire == (with == 1) && stats.expire_s == (with ? 1234 : 0));
        transfer_free(&t);
        xfr_free(&stream);
    }
    close_test();
}
END_TEST

/* --- what is refused, and by which rule */

static void del_absent_name(void)
{
    a("www.example.", 1);
    a("nowhere.example.", 1);
}
static void del_absent_record(void)
{
    a("www.example.", 3);
}
static void del_twice(void)
{
    a("www.example.", 1);
    a("www.example.", 1);
}
static void del_mixed(void)
{
    put_as("mixed.example.", RR_TXT, CLASS_IN, 60, "\1x", 2);
}
static void add_present(void)
{
    a("www.example.", 2);
}
static void add_twice(void)
{
    a("new.example.", 2);
    a("new.example.", 2);
}
static void add_class_ch(void)
{
    put_as("new.example.", RR_TXT, CLASS_CH, 300, "\1x", 2);
}
static void add_class_none(void)
{
    put_as("www.example.", RR_A, 254, 300, "\0\0\0\1", 4);
}
static void add_outside(void)
{
    a("example.com.", 2);
}
static void del_outside(void)
{
    a("xexample.", 2);
}
static void add_meta(void)
{
    put_as("new.example.", RR_ANY, CLASS_IN, 300, "", 0);
}
static void add_soa_below(void)
{
    soa_as("sub.example.", 6, 300, 'h');
}
static void add_bad_rdata(void)
{
    put_as("new.example.", RR_A, CLASS_IN, 300, "\1\2\3", 3);
}

static void two_soas(void)
{
    SOAS(7, 7);
}
static void wrong_start(void)
{
    SOAS(7, 4, 7, 7);
}
static void wrong_start_content(void)
{
    soa(7);
    soa_as("example.", 5, 3600, 'x');
    SOAS(7, 7);
}
static void gap(void)
{
    SOAS(9, 5, 6);
    a("new.example.", 1);
    SOAS(7, 9, 9);
}
static void gap_content(void)
{
    SOAS(9, 5, 6);
    soa_as("example.", 6, 3600, 'x');
    SOAS(9, 9);
}
static void backwards(void)
{
    SOAS(9, 5, 4, 4, 9, 9);
}
static void nowhere(void)
{
    SOAS(9, 5, 5, 5, 9, 9);
}
static void other_target(void)
{
    SOAS(7, 5);
    soa_as("example.", 7, 3600, 'x');
    soa(7);
}
static void other_target_ttl(void)
{
    SOAS(7, 5);
    soa_as("example.", 7, 3601, 'h');
    soa(7);
}
static void not_to_the_announced(void)
{
    SOAS(9, 5, 7, 9);
}
static void goes_on_after_the_announced(void)
{
    SOAS(7, 5, 7, 8, 9, 7);
}
static void closing_content(void)
{
    SOAS(7, 5, 7);
    soa_as("example.", 7, 3600, 'x');
}
static void closing_ttl(void)
{
    SOAS(7, 5, 7);
    soa_as("example.", 7, 1, 'h');
}
static void after_the_end(void)
{
    SOAS(7, 5, 7, 7);
    a("new.example.", 1);
}
static void message_after_the_end(void)
{
    SOAS(7, 5, 7, 7);
    xfr_cut(&stream);
    a("new.example.", 1);
}
static void second_difference_after_the_end(void)
{
    SOAS(7, 5, 7, 7, 5, 7);
}
static void not_newer_but_more(void)
{
    SOAS(5, 4, 5, 5);
}
static void older_in_full(void)
{
    soa(4);
    a("www.example.", 1);
    soa(4);
}
static void same_in_full(void)
{
    soa(5);
    a("www.example.", 1);
    soa(5);
}
static void no_soa(void)
{
    a("www.example.", 1);
}
static void full_with_other_end(void)
{
    soa(7);
    a("www.example.", 1);
    soa(8);
}
static void empty_answer(void)
{
    for (int i = 0; i < 102; i++) {
        xfr_cut(&stream);
        soa(7);
        xfr_cut(&stream);
        /* the record is taken out again: a message with a question alone */
        put_u16(stream.message[stream.n - 1].octets + 6, 0);
        stream.message[stream.n - 1].len = MSG_HEADER + sizeof apex + 4;
    }
}
static void asked_for_axfr(void)
{
    stream.qtype = RR_AXFR;
    soa(7);
}
static void many_sequences(void)
{
    SOAS(9, 5, 6, 6, 7, 7, 8, 8, 9, 9);
}
static void many_records(void)
{
    SOAS(7, 5, 7);
    for (uint32_t i = 0; i < 11; i++)
        a("new.example.", i);
    soa(7);
}
static void zone_grows_too_large(void)
{
    SOAS(7, 5, 7);
    for (uint32_t i = 0; i < 9; i++)
        a("new.example.", i);
    soa(7);
}
static void many_octets(void)
{
    SOAS(7, 5);
    for (int i = 0; i < 60; i++) {
        a("www.example.", 1);
        if (i % 20 == 0)
            xfr_cut(&stream);
    }
}
static void says(unsigned rcode)
{
    stream.flags |= (uint16_t)rcode;
    soa(7);
    xfr_cut(&stream);
}
static void refused(void)
{
    says(RCODE_REFUSED);
}
static void notimp(void)
{
    says(RCODE_NOTIMP);
}
static void servfail_later(void)
{
    SOAS(7, 5);
    xfr_cut(&stream);
    says(RCODE_SERVFAIL);
}
static void truncated(void)
{
    stream.flags |= MSG_TC;
    SOAS(7, 5, 7, 7);
}

#define STREAM(f)  #f, f, NULL, NULL
#define DELETED(f) #f, NULL, f, NULL
#define ADDED(f)   #f, NULL, NULL, f
static const struct {
    const char *name;
    void (*build)(void); /* the whole stream, or (deleted or added) the middle of one from 5 to 7 */
    void (*deleted)(void), (*added)(void);
    int rc;
    bool ended; /* the connection may be used again */
    const char *why;
} cases[] = {
    /* RFC 1995 4: what is deleted must be there, what is added must not */
    {DELETED(del_absent_name), -E_UNFIT, true,
     "message 1, record 4 (nowhere.example. A): to be deleted, but we do not have it"},
    {DELETED(del_absent_record), -E_UNFIT, true,
     "message 1, record 3 (www.example. A): to be deleted, but we do not have it"},
    {DELETED(del_twice), -E_UNFIT, true,
     "message 1, record 4 (www.example. A): to be deleted, but we do not have it"},
    {ADDED(add_present), -E_UNFIT, true,
     "message 1, record 4 (www.example. A): to be added, but we have it already"},
    {ADDED(add_twice), -E_UNFIT, true,
     "message 1, record 5 (new.example. A): to be added, but we have it already"},
    /* RFC 2181 5.2 */
    {DELETED(del_mixed), -E_UNFIT, true,
     "message 1, record 3 (mixed.example. TXT): records leave a set that came with different TTLs "
     "(RFC 2181 5.2): which of them stays is not known"},
    /* RFC 1995 4: the chain of SOAs */
    {STREAM(two_soas), -E_UNFIT, false,
     "message 1, record 2 (example. SOA): the announced SOA twice: no difference, and no zone"},
    {STREAM(wrong_start), -E_UNFIT, false,
     "message 1, record 2 (example. SOA): the first difference leads from serial 4; we hold 5"},
    {STREAM(wrong_start_content), -E_UNFIT, false,
     "message 1, record 2 (example. SOA): a difference from an SOA with serial 5, like ours, but "
     "other content"},
    {STREAM(gap), -E_UNFIT, false,
     "message 1, record 5 (example. SOA): a difference from serial 7, but the one before led to "
     "6"},
    {STREAM(gap_content), -E_UNFIT, false,
     "message 1, record 4 (example. SOA): a difference from an SOA with serial 6, like the one "
     "before, which led to it, but other content"},
    {STREAM(backwards), -E_UNFIT, false,
     "message 1, record 3 (example. SOA): a difference from serial 5 to 4, which is not newer"},
    {STREAM(nowhere), -E_UNFIT, false,
     "message 1, record 3 (example. SOA): a difference from serial 5 to 5, which is not newer"},
    {STREAM(other_target), -E_UNFIT, false,
     "message 1, record 3 (example. SOA): a difference to serial 7, as announced, but to another "
     "SOA"},
    {STREAM(other_target_ttl), -E_UNFIT, false,
     "message 1, record 3 (example. SOA): a difference to serial 7, as announced, but to another "
     "SOA"},
    {STREAM(not_to_the_announced), -E_UNFIT, false,
     "message 1, record 4 (example. SOA): a difference from serial 9, but the one before led to "
     "7"},
    {STREAM(goes_on_after_the_announced), -E_UNFIT, false,
     "message 1, record 4 (example. SOA): the differences have led to serial 7, as announced, but "
     "go on with serial 8"},
    {STREAM(closing_content), -E_UNFIT, false,
     "message 1, record 4 (example. SOA): the closing SOA (serial 7) has other content than the "
     "opening one"},
    {STREAM(closing_ttl), -E_UNFIT, false,
     "message 1, record 4 (example. SOA): the closing SOA (serial 7) has TTL 1, the opening one "
     "3600"},
    /* RFC 5936 2.2, as for a full transfer */
    {STREAM(after_the_end), -E_FORMAT, false,
     "message 1, record 5 (new.example. A): record after the closing SOA (serial 7)"},
    {STREAM(message_after_the_end), -E_FORMAT, true, "message 2: message after the closing SOA"},
    {STREAM(second_difference_after_the_end), -E_FORMAT, false,
     "message 1, record 5 (example. SOA): record after the closing SOA (serial 7)"},
    {ADDED(add_class_ch), -E_FORMAT, false,
     "message 1, record 4 (new.example. TXT): class is 3, not IN"},
    {DELETED(add_class_none), -E_FORMAT, false,
     "message 1, record 3 (www.example. A): class is 254, not IN"},
    {ADDED(add_outside), -E_FORMAT, false,
     "message 1, record 4 (example.com. A): owner is outside the zone"},
    {DELETED(del_outside), -E_FORMAT, false,
     "message 1, record 3 (xexample. A): owner is outside the zone"},
    {ADDED(add_meta), -E_FORMAT, false,
     "message 1, record 4 (new.example. ANY): a meta type is no zone data"},
    {ADDED(add_soa_below), -E_FORMAT, false,
     "message 1, record 4 (sub.example. SOA): SOA below the apex"},
    {ADDED(add_bad_rdata), -E_FORMAT, false,
     "message 1, record 4 (new.example. A): answer record 4 of 5 at octet 154: rdata of A does not "
     "parse"},
    {STREAM(no_soa), -E_FORMAT, false,
     "message 1, record 1 (www.example. A): the first record is not the SOA"},
    {STREAM(full_with_other_end), -E_FORMAT, false,
     "message 1, record 3 (example. SOA): a second SOA with serial 8; the transfer began with "
     "serial 7"},
    {STREAM(empty_answer), -E_LIMIT, false,
     "message 101: too many messages in a row without a record"},
    /* RFC 1995 2 */
    {STREAM(not_newer_but_more), -E_MISMATCH, false,
     "message 1, record 2 (example. SOA): serial 5 is not newer than ours, 5, and yet more than "
     "the SOA comes"},
    {STREAM(older_in_full), -E_MISMATCH, false,
     "message 1, record 2 (www.example. A): serial 4 is not newer than ours, 5, and yet more than "
     "the SOA comes"},
    {STREAM(same_in_full), -E_MISMATCH, false,
     "message 1, record 2 (www.example. A): serial 5 is not newer than ours, 5, and yet more than "
     "the SOA comes"},
    {STREAM(asked_for_axfr), -E_MISMATCH, false,
     "message 1: question is example. class 1 AXFR, not what was asked"},
    {STREAM(refused), -E_REFUSED, true, "message 1: the primary answered REFUSED"},
    {STREAM(notimp), -E_REFUSED, true, "message 1: the primary answered NOTIMP"},
    {STREAM(servfail_later), -E_REFUSED, true, "message 2: the primary answered SERVFAIL"},
    {STREAM(truncated), -E_FORMAT, false, "message 1: TC is set: truncated"},
    /* bounds */
    {STREAM(many_sequences), -E_LIMIT, false,
     "message 1, record 8 (example. SOA): more than 3 differences"},
    {STREAM(many_records), -E_LIMIT, false,
     "message 1, record 14 (new.example. A): more than max_records, 10"},
    {STREAM(zone_grows_too_large), -E_LIMIT, true,
     "after message 1: example.: zone has more than 10 records"},
    {STREAM(many_octets), -E_LIMIT, false, "message 3: more octets than max_bytes, 600"},
};

/* RFC 1995 4: the chain of SOAs, what is deleted must be there, what is added must not; nothing before the end. */
START_TEST(refusals)
{
    open_test();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct transfer_config config = asked();
        config.limits.max_sequences = 3;
        config.limits.max_records = 10;
        config.limits.max_bytes = 600;
        begin();
        if (cases[i].build)
            cases[i].build();
        else
            one(cases[i].deleted, cases[i].added);
        if (cases[i].build == empty_answer)
            config.limits.max_bytes = 0;
        if (cases[i].build == many_octets)
            config.limits.max_records = 0;
        struct transfer *t = transfer_new(&config);
        struct transfer_stats stats;
        struct snapshot *s = NULL;
        struct why why = {{0}};
        size_t fed;
        int rc = xfr_feed(&stream, t, &why, &fed);
        if (rc == TRANSFER_COMPLETE)
            rc = transfer_take(t, &s, NULL, &why);
        transfer_stats(t, &stats);
        ck_assert_msg(rc == cases[i].rc && stats.ended == cases[i].ended &&
                          strncmp(why.text, cases[i].why, strlen(cases[i].why)) == 0,
                      "%s: %d, ended %d: %s\nwanted: %d, %s", cases[i].name, rc, stats.ended,
                      why.text, cases[i].rc, cases[i].why);
        ck_assert_ptr_null(s);
        transfer_free(&t);
        xfr_free(&stream);
    }
    /* What is held is as it was, and its family has no writer left. */
    struct snapshot *before = held;
    hold();
    struct changeset *none = changeset_between(before, held);
    ck_assert_uint_eq(none->n, 0);
    changeset_unref(none);
    snapshot_unref(before);
    close_test();
}
END_TEST

/* Any one octet of a good stream changed: refused, or taken as another difference; never anything worse. */
START_TEST(one_octet_changed)
{
    unsigned taken_ = 0, current = 0, refused_ = 0;
    open_test();
    begin();
    SOAS(7, 5);
    a("www.example.", 1);
    a("old.example.", 1);
    soa(6);
    a("new.example.", 9);
    xfr_cut(&stream);
    soa(6);
    soa(7);
    put_as("mx.example.", RR_MX, CLASS_IN, 300, "\0\12\2mx\7example", 14);
    soa(7);
    xfr_cut(&stream);
    for (size_t m = 0; m < stream.n; m++)
        for (size_t i = 0; i < stream.message[m].len; i++) {
            uint8_t *octet = &stream.message[m].octets[i], was = *octet;
            *octet ^= (uint8_t)(1 + random_below(&rnd, 255));
            struct transfer_config config = asked();
            struct transfer *t = transfer_new(&config);
            struct snapshot *s = NULL;
            struct why why = {{0}};
            size_t fed;
            int rc = xfr_feed(&stream, t, &why, &fed);
            if (rc == TRANSFER_COMPLETE)
                rc = transfer_take(t, &s, NULL, &why) ? -1 : rc;
            EXPECT(rc >= 0 || strncmp(why.text, "message ", 8) == 0);
            taken_ += rc == TRANSFER_COMPLETE;
            current += rc == TRANSFER_CURRENT;
            refused_ += rc < 0;
            snapshot_unref(s);
            transfer_free(&t);
            *octet = was;
        }
    xfr_free(&stream);
    close_test();
    ck_assert_msg(taken_ > 5 && refused_ > 60, "%u taken, %u current, %u refused", taken_, current,
                  refused_);
}
END_TEST

int main(void)
{
    rnd = random_open();
    struct suite s = suite_open("transfer_ixfr");
    suite_add(s, histories_come_in_as_in_full);
    suite_add(s, changed_ttls);
    suite_add(s, many_differences);
    suite_add(s, single_soa);
    suite_add(s, answered_in_full);
    suite_add(s, more_than_a_batch);
    suite_add(s, expire_option);
    suite_add(s, refusals);
    suite_add(s, one_octet_changed);
    return suite_run(s);
}
