/* signer: what is learnt of a zone from its other signers' servers, be they right, wrong, silent, slow, or moving on. */
#include "pipeline/net/signer_p.h"

#include "pipeline/base/alloc.h"
#include "tests/lib/daemon.h"
#include "tests/lib/home.h"
#include "tests/lib/suite.h"
#include "tests/lib/upper.h"

#include <string.h>
#include <unistd.h>

#define Z  "a.example."
#define P1 "HOST1@15460"
#define P2 "HOST2@15461"
#define P3 "HOST3@15462"

static struct daemon d;
static struct signer_poller *p;
static struct upper *u1, *u2, *u3;
static char dir[64], path[128];

/* What was told last, and how often. */
static struct {
    struct zone *zone;
    struct signer_view *view;
    unsigned n;
    const struct zone *awaited;
    unsigned place; /* of the awaited one among all that were told */
} told;

/* What the servers have. */
static struct {
    uint32_t serial;
    unsigned moves;            /* serial: so often, when the SOA is asked for the second time */
    unsigned soas;             /* that were asked for */
    unsigned keys, signatures; /* DNSKEY records, and RRSIGs over each set */
    uint16_t key_octets;
    bool no_cds, no_soa_with_none, strangers, two_soas;
    uint16_t claims; /* instead of the number of records */
} has;

static void setup(void)
{
    snprintf(dir, sizeof dir, "/tmp/weir-signer-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/zone", dir);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fprintf(f, "$TTL 300\n@ SOA ns h 10 1 1 1 1\n@ NS ns\n");
    ck_assert_int_eq(fclose(f), 0);
}

static void teardown(void)
{
    unlink(path);
    rmdir(dir);
}

static void on_told(void *ctx, struct zone *zone, const struct signer_view *view)
{
    ck_assert_ptr_eq(ctx, &told);
    signer_view_unref(told.view);
    told.zone = zone;
    told.view = signer_view_ref(view);
    told.n++;
    if (zone == told.awaited && !told.place)
        told.place = told.n;
}

/* ---- the servers */

static const uint8_t ns_name[] = "\2n1\7Example";

static void put(struct msg_writer *w, unsigned section, const uint8_t *owner, uint16_t type,
                uint32_t ttl, const void *rdata, size_t len)
{
    ASSERT(msg_put_rr(w, section, owner, type, CLASS_IN, ttl, rdata, (uint16_t)len));
}

static void put_soa(struct msg_writer *w, unsigned section, const uint8_t *owner, uint32_t serial)
{
    uint8_t rdata[2 * NAME_MAX_OCTETS + 20];
    size_t n = name_copy(rdata, owner);
    n += name_copy(rdata + n, owner);
    const uint32_t field[] = {serial, 3600, 600, 86400, 60};
    for (int i = 0; i < 5; i++, n += 4)
        put_u32(rdata + n, field[i]);
    put(w, section, owner, RR_SOA, 600, rdata, n);
}

static void put_signatures(struct msg_writer *w, const uint8_t *owner, uint16_t covered, unsigned n)
{
    uint8_t rdata[18 + NAME_MAX_OCTETS + 8] = {0};
    put_u16(rdata, covered);
    rdata[2] = 13;
    rdata[3] = 2;
    size_t len = 18 + name_copy(rdata + 18, owner);
    for (unsigned i = 0; i < n; i++) {
        put_u32(rdata + len, i);
        put(w, SECTION_ANSWER, owner, RR_RRSIG, 600, rdata, len + 8);
    }
}

static void put_keys(struct msg_writer *w, const uint8_t *owner)
{
    static uint8_t rdata[4 + 1024] = {1, 1, 3, 13};
    for (unsigned i = 0; i < has.keys; i++) {
        put_u16(rdata + 4, (uint16_t)i);
        put(w, SECTION_ANSWER, owner, RR_DNSKEY, i ? 7200 : 3600, rdata, 4u + has.key_octets);
    }
}

/* Records that are none of what is asked for, in all places where one may lie. */
static void put_strangers(struct msg_writer *w, const uint8_t *zone, uint16_t type)
{
    static const uint8_t key[] = {1, 0, 3, 13, 6, 6, 6}, other[] = "\1b\7example";
    put(w, SECTION_ANSWER, other, RR_DNSKEY, 1, key, sizeof key);
    put(w, SECTION_ANSWER, name_parent(zone), RR_NS, 1, ns_name, sizeof ns_name);
    ASSERT(msg_put_rr(w, SECTION_ANSWER, zone, RR_DNSKEY, CLASS_CH, 1, key, sizeof key));
    if (type != RR_DNSKEY)
        put(w, SECTION_ANSWER, zone, RR_DNSKEY, 1, key, sizeof key);
    put_signatures(w, zone, RR_A, 1);
    put_signatures(w, other, type, 1);
}

static void put_strangers_behind(struct msg_writer *w, const uint8_t *zone)
{
    static const uint8_t key[] = {1, 0, 3, 13, 7, 7, 7};
    put(w, SECTION_AUTHORITY, zone, RR_DNSKEY, 1, key, sizeof key);
    put(w, SECTION_ADDITIONAL, zone, RR_DNSKEY, 1, key, sizeof key);
    put(w, SECTION_ADDITIONAL, zone, RR_CDS, 1, key, sizeof key);
}

static void put_set(struct msg_writer *w, const uint8_t *zone, uint16_t type)
{
    static const uint8_t cds[] = {0, 1, 13, 2, 9, 9, 9}, cdnskey[] = {1, 1, 3, 13, 0, 0},
                         csync[] = {0, 0, 0, 1, 0, 3, 0, 1, 0x20};
    switch (type) {
    case RR_SOA:
        has.serial += ++has.soas % 2 == 0 && has.moves ? has.moves--, 1 : 0;
        put_soa(w, SECTION_ANSWER, zone, has.serial);
        if (has.two_soas)
            put_soa(w, SECTION_ANSWER, zone, has.serial + 1);
        break;
    case RR_DNSKEY:
        put_keys(w, zone);
        break;
    case RR_NS:
        put(w, SECTION_ANSWER, zone, type, 300, ns_name, sizeof ns_name);
        break;
    case RR_CDS:
        put(w, SECTION_ANSWER, zone, type, 300, cds, sizeof cds);
        break;
    case RR_CDNSKEY:
        put(w, SECTION_ANSWER, zone, type, 300, cdnskey, sizeof cdnskey);
        break;
    case RR_CSYNC:
        put(w, SECTION_ANSWER, zone, type, 300, csync, sizeof csync);
        break;
    default:
        ck_abort_msg("asked for type %u", type);
    }
    put_signatures(w, zone, type, has.signatures);
}

static void records(struct upper *u, struct msg_writer *w, const uint8_t *zone, uint16_t type)
{
    (void)u;
    bool none = (has.no_cds && (type == RR_CDS || type == RR_CDNSKEY || type == RR_CSYNC)) ||
                (type == RR_DNSKEY && !has.keys);
    if (has.strangers)
        put_strangers(w, zone, type);
    if (!none)
        put_set(w, zone, type);
    else if (!has.no_soa_with_none)
        put_soa(w, SECTION_AUTHORITY, zone, has.serial);
    if (has.strangers)
        put_strangers_behind(w, zone);
    if (has.claims && type == RR_DNSKEY)
        w->count[SECTION_ANSWER] = has.claims;
}

static const struct upper_play good = {
    .records = records, .ttl = 3600, .soa_ttl = 600, .soa_minimum = 60};

static struct upper_play way(enum upper_way how, uint16_t type)
{
    struct upper_play play = good;
    play.way = how;
    play.type = type;
    return play;
}

/* ---- zones */

static void open_zones(unsigned nzones)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    fprintf(f, "server = { listen = (\"127.0.0.1@15499\"); };\n"
               "tsig = ( { name = \"k.example.\"; algorithm = \"hmac-sha256\"; secret = "
               "\"MDEyMzQ1Njc4OWFiY2RlZg==\"; } );\n"
               "remotes = ( { name = \"a\"; address = \"" P1 "\"; },\n"
               "            { name = \"b\"; address = \"" P2 "\"; source = \"HOST4\"; },\n"
               "            { name = \"c\"; address = \"" P3 "\"; tsig = \"k.example.\"; } );\n"
               "zones = (\n");
    for (unsigned i = 0; i < nzones; i++) {
        char name[32] = Z;
        if (i)
            snprintf(name, sizeof name, "z%u.example.", i);
        fprintf(f, "%s{ name = \"%s\"; file = \"%s\"; chain = (); }", i ? ",\n" : "", name, path);
    }
    fprintf(f, ");\n");
    fclose(f);
    daemon_open(&d, 1, text, NULL);
    free(text);
    memset(&told, 0, sizeof told);
    memset(&has, 0, sizeof has);
    has.serial = 7;
    has.keys = 2;
    has.key_octets = 64;
    has.signatures = 2;
    p = signer_poller_new(&d.server, on_told, &told);
    p->asker.tuning.timeout_ms = 40;
    p->asker.tuning.tcp_ms = 400;
    u1 = upper_start(p->asker.ev, P1);
    u2 = upper_start(p->asker.ev, P2);
    u3 = upper_start(p->asker.ev, P3);
    upper_play(u1, &good);
    upper_play(u2, &good);
    upper_play(u3, &good);
}

static void end(void)
{
    signer_poller_free(&p);
    signer_view_unref(told.view);
    upper_stop(&u1);
    upper_stop(&u2);
    upper_stop(&u3);
    daemon_close(&d);
}

/* "a", "ab": these remotes. */
static struct signer_polled signer(const char *name, const char *remotes, int64_t check_s)
{
    static const struct remote_conf *slots[8][3];
    static unsigned turn;
    const struct remote_conf **server = slots[turn++ % 8];
    for (size_t i = 0; remotes[i]; i++)
        server[i] = &atomic_load(&d.server.config)->remotes[remotes[i] - 'a'];
    return (struct signer_polled){
        .name = name, .n = strlen(remotes), .server = server, .check_s = check_s};
}

static void watch(const char *remotes, int64_t check_s, bool wanted)
{
    struct signer_polled s = signer("s", remotes, check_s);
    s.wanted = wanted;
    signer_watch(p, daemon_zone(&d, Z), &s, 1);
}

static const struct signer_server *row(unsigned i)
{
    return &told.view->server[i];
}

/* Asks once, of server 1 alone. */
static void once(const struct upper_play *play)
{
    upper_play(u1, play);
    watch("a", 3600, false);
    UNTIL(&d, told.n == 1);
}

static unsigned count(uint16_t type, uint16_t covered)
{
    struct rrset set;
    return node_rrset(row(0)->apex, type, covered, &set) ? set.count : 0;
}

/* ---- one server */

START_TEST(all_sets)
{
    static const uint16_t types[] = {RR_SOA, RR_DNSKEY, RR_CDNSKEY, RR_CDS, RR_NS, RR_CSYNC};
    struct rrset set;
    time_t before = time(NULL);
    open_zones(1);
    once(&good);
    ck_assert_ptr_eq(told.zone, daemon_zone(&d, Z));
    ck_assert_str_eq(told.view->signer, "s");
    ck_assert_uint_eq(told.view->n, 1);
    ck_assert(told.view->at >= before && told.view->at <= time(NULL));
    ck_assert_str_eq(row(0)->name, "a");
    ck_assert_int_eq(row(0)->said, SIGNER_ANSWERED);
    ck_assert(!row(0)->moved && !row(0)->error && row(0)->at >= before);
    for (unsigned i = 0; i < 6; i++) {
        ck_assert_uint_eq(count(types[i], 0), types[i] == RR_DNSKEY ? 2 : 1);
        ck_assert_uint_eq(count(RR_RRSIG, types[i]), 2);
    }
    ck_assert_uint_eq(row(0)->apex->nrrsets, 12);
    ck_assert(node_rrset(row(0)->apex, RR_DNSKEY, 0, &set) && set.ttl == 3600 && set.ttl_mixed);
    ck_assert(name_equal(node_name(row(0)->apex), told.zone->name));
    ck_assert_uint_eq(u1->udp, 7);
    ck_assert_uint_eq(u1->dnssec, 7);
    ck_assert_uint_eq(u1->tcp, 0);
    ck_assert_ptr_eq(signer_view_of(p, told.zone, "s"), told.view);
    ck_assert_ptr_null(signer_view_of(p, told.zone, "t"));
    ck_assert(!signer_asking(p, told.zone));
    ck_assert_uint_eq(daemon_said(&d, "signer's server"), 0);
    end();
}
END_TEST

START_TEST(sets_that_are_not_there)
{
    open_zones(1);
    has.no_cds = true;
    has.keys = 0;
    once(&good);
    ck_assert_int_eq(row(0)->said, SIGNER_ANSWERED);
    ck_assert_uint_eq(row(0)->apex->nrrsets, 4); /* SOA, NS, what signs them */
    ck_assert_uint_eq(count(RR_NS, 0), 1);
    end();
}
END_TEST

/* Over TCP, and with what is forged passed over, the same. */
START_TEST(told_in_the_end)
{
    static const struct {
        enum upper_way way;
        uint16_t type;
        unsigned udp, tcp;
    } at[] = {
        {UPPER_TRUNCATES, 0, 7, 7},
        {UPPER_TRUNCATES, RR_DNSKEY, 7, 1},
        {UPPER_SILENT_UDP, 0, 21, 7},
        {UPPER_WRONG_ID, 0, 7, 0},
    };
    struct upper_play play = way(at[_i].way, at[_i].type);
    open_zones(1);
    once(&play);
    ck_assert_int_eq(row(0)->said, SIGNER_ANSWERED);
    ck_assert_uint_eq(row(0)->apex->nrrsets, 12);
    ck_assert_uint_eq(u1->udp, at[_i].udp);
    ck_assert_uint_eq(u1->tcp, at[_i].tcp);
    end();
}
END_TEST

/* Whether it serves the zone: a clear word, in words. */
START_TEST(not_served)
{
    static const struct {
        enum upper_way way;
        const char *error;
    } no[] = {
        {UPPER_REFUSED, "it answered with RCODE REFUSED"},
        {UPPER_SERVFAIL, "it answered with RCODE SERVFAIL"},
        {UPPER_NOTAUTH, "it answered with RCODE NOTAUTH"},
        {UPPER_NXDOMAIN, "it answered with RCODE NXDOMAIN"},
        {UPPER_NO_AA,
         "its answer is not authoritative (no AA): is it a resolver, or a secondary that expired?"},
        {UPPER_REFERRAL, "it answered with a referral to example.: it does not serve the zone"},
        {UPPER_IS_A_STRANGER, "it answered with the SOA of far.away.: it does not serve the zone"},
    };
    struct upper_play play = way(no[_i].way, 0);
    open_zones(1);
    once(&play);
    ck_assert_int_eq(row(0)->said, SIGNER_NOT_SERVED);
    ck_assert_ptr_null(row(0)->apex);
    ck_assert_str_eq(row(0)->error, no[_i].error);
    ck_assert_uint_eq(u1->udp, 1);
    ck_assert_uint_eq(u1->tcp, 0);
    ck_assert_msg(daemon_said(&d, "warn signer's server does not serve the zone zone=a.example. "
                                  "signer=s server=a address=" P1 " why=\"") == 1,
                  "%s", daemon_log(&d));
    end();
}
END_TEST
enum { NOT_SERVED = 7 };

/* What tells nothing, least of all that it does not serve the zone. */
START_TEST(no_answer)
{
    static const char foreign[] = "it answered with another ID or another question; 3 datagrams "
                                  "with another ID or question were ignored";
    static const struct {
        enum upper_way way;
        uint16_t type;
        const char *error;
        unsigned udp, tcp;
    } lie[] = {
        {UPPER_ALWAYS_WRONG_ID, 0, foreign, 3, 1},
        {UPPER_WRONG_NAME, 0, foreign, 3, 1},
        {UPPER_WRONG_TYPE, 0, foreign, 3, 1},
        {UPPER_NO_QR, 0, foreign, 3, 1},
        {UPPER_HALF_A_HEADER, 0, foreign, 3, 1},
        {UPPER_TRUNCATES_ALWAYS, 0, "over TCP: its answer has TC set", 1, 1},
        {UPPER_KNOWS_NO_EDNS, 0, "it answered EDNS with RCODE FORMERR: it has no signatures", 1, 0},
        {UPPER_FORMERR, 0, "it answered with RCODE FORMERR (when asked for SOA)", 1, 0},
        {UPPER_BADVERS, 0, "it answered with RCODE BADVERS (when asked for SOA)", 1, 0},
        {UPPER_SAYS_NOTHING, 0,
         "it answered with neither SOA records nor an SOA (when asked for SOA)", 1, 0},
        {UPPER_ALIAS, 0, "it answered with an alias (CNAME) (when asked for SOA)", 1, 0},
        {UPPER_CUT_RECORD, 0, "(when asked for SOA)", 1, 0},
        {UPPER_CLOSES, 0, "over TCP: it closed the connection without an answer", 1, 1},
        {UPPER_STALLS, 0, "not complete after 0 s (the time for a question over TCP)", 1, 1},
        {UPPER_SILENT, 0, "not complete after 0 s (the time for a question over TCP)", 3, 1},
        {UPPER_REFUSED, RR_DNSKEY, "it answered with RCODE REFUSED (when asked for DNSKEY)", 2, 0},
        {UPPER_NO_AA, RR_CDS, "(when asked for CDS)", 4, 0},
        {UPPER_SAYS_NOTHING, RR_CSYNC,
         "it answered with neither CSYNC records nor an SOA (when asked for CSYNC)", 6, 0},
        {UPPER_IS_A_STRANGER, RR_CDNSKEY, "(when asked for CDNSKEY)", 3, 0},
        {UPPER_STALLS, RR_NS, "not complete after 0 s (the time for a question over TCP)", 5, 1},
    };
    struct upper_play play = way(lie[_i].way, lie[_i].type);
    open_zones(1);
    once(&play);
    ck_assert_int_eq(row(0)->said, SIGNER_NO_ANSWER);
    ck_assert_ptr_null(row(0)->apex);
    ck_assert_msg(strstr(row(0)->error, lie[_i].error), "%s", row(0)->error);
    ck_assert_uint_eq(u1->udp, lie[_i].udp);
    ck_assert_uint_eq(u1->tcp, lie[_i].tcp);
    ck_assert_msg(daemon_said(&d, "warn signer's server did not tell what the zone has "
                                  "zone=a.example. signer=s server=a address=" P1 " why=") == 1,
                  "%s", daemon_log(&d));
    end();
}
END_TEST
enum { NO_ANSWER = 20 };

START_TEST(nobody_listens)
{
    open_zones(1);
    p->asker.tuning.retry_ms = 50;
    upper_stop(&u1);
    watch("a", 3600, false);
    UNTIL(&d, told.n == 1);
    ck_assert_int_eq(row(0)->said, SIGNER_NO_ANSWER);
    ck_assert_str_eq(row(0)->error, "cannot connect: Connection refused");
    u1 = upper_start(p->asker.ev, P1);
    upper_play(u1, &good);
    UNTIL(&d, row(0)->said == SIGNER_ANSWERED); /* much earlier than in an hour */
    unsigned rounds = told.n;
    for (int i = 0; i < 100; i++)
        daemon_turn(&d);
    ck_assert_uint_eq(told.n, rounds);
    end();
}
END_TEST

/* What is not the set asked for stays out, wherever it lies. */
START_TEST(records_of_others)
{
    open_zones(1);
    has.strangers = true;
    once(&good);
    ck_assert_int_eq(row(0)->said, SIGNER_ANSWERED);
    ck_assert_uint_eq(row(0)->apex->nrrsets, 12);
    ck_assert_uint_eq(count(RR_DNSKEY, 0), 2);
    ck_assert_uint_eq(count(RR_CDS, 0), 1);
    ck_assert_uint_eq(count(RR_RRSIG, RR_DNSKEY), 2);
    ck_assert_uint_eq(count(RR_RRSIG, RR_A), 0);
    end();
}
END_TEST

START_TEST(bounds)
{
    static const struct {
        unsigned keys, signatures;
        uint16_t octets, claims;
        const char *error; /* NULL: within them */
    } at[] = {
        {64, 2, 64, 0, NULL},
        {65, 2, 64, 0, "it answered with more than 64 DNSKEY records (when asked for DNSKEY)"},
        {3600, 0, 2, 0, "it answered with more than 64 DNSKEY records (when asked for DNSKEY)"},
        {2, 64, 64, 0, NULL},
        {2, 65, 64, 0, "it answered with more than 64 SOA signatures (when asked for SOA)"},
        {15, 2, 1024, 0, NULL},
        {17, 2, 1024, 0, "it answered with more than 16384 octets of DNSKEY records"},
        {1, 0, 64, 65000, "(when asked for DNSKEY)"},
        {0, 0, 64, 65000, "(when asked for DNSKEY)"},
    };
    struct upper_play play = way(UPPER_TRUNCATES, 0);
    open_zones(1);
    has.keys = at[_i].keys;
    has.signatures = at[_i].signatures;
    has.key_octets = at[_i].octets;
    has.claims = at[_i].claims;
    once(&play);
    if (at[_i].error) {
        ck_assert_int_eq(row(0)->said, SIGNER_NO_ANSWER);
        ck_assert_msg(strstr(row(0)->error, at[_i].error), "%s", row(0)->error);
    } else {
        ck_assert_msg(row(0)->said == SIGNER_ANSWERED, "%s", row(0)->error);
        ck_assert_uint_eq(count(RR_DNSKEY, 0), at[_i].keys);
        ck_assert_uint_eq(count(RR_RRSIG, RR_DNSKEY), at[_i].signatures);
    }
    end();
}
END_TEST
enum { BOUNDS = 9 };

START_TEST(two_soas)
{
    open_zones(1);
    has.two_soas = true;
    once(&good);
    ck_assert_int_eq(row(0)->said, SIGNER_NO_ANSWER);
    ck_assert_str_eq(row(0)->error, "it answered with 2 SOA records (when asked for SOA)");
    end();
}
END_TEST

/* NODATA without the zone's SOA is no word. */
START_TEST(none_without_soa)
{
    open_zones(1);
    has.no_cds = has.no_soa_with_none = true;
    once(&good);
    ck_assert_int_eq(row(0)->said, SIGNER_NO_ANSWER);
    ck_assert_str_eq(
        row(0)->error,
        "it answered with neither CDNSKEY records nor an SOA (when asked for CDNSKEY)");
    end();
}
END_TEST

/* The sets are of one version, unless it moves on each time. */
START_TEST(serial_that_moves)
{
    struct rdata r;
    struct rrset set;
    open_zones(1);
    has.moves = (unsigned)_i;
    once(&good);
    ck_assert_int_eq(row(0)->said, SIGNER_ANSWERED);
    ck_assert(row(0)->moved == (_i >= SIGNER_PASSES));
    ck_assert_uint_eq(u1->udp, 7u * (_i < SIGNER_PASSES ? (unsigned)_i + 1 : SIGNER_PASSES));
    ck_assert(node_rrset(row(0)->apex, RR_SOA, 0, &set) && set.count == 1 && rrset_first(&set, &r));
    ck_assert_uint_eq(get_u32(r.data + r.len - 20),
                      7u + (_i < SIGNER_PASSES ? (unsigned)_i : SIGNER_PASSES - 1));
    ck_assert_uint_eq(row(0)->apex->nrrsets, 12);
    struct json *j = json_new();
    json_object(j, NULL);
    signer_view_json(told.view, j);
    json_end(j);
    ck_assert(!strstr(json_text(j, NULL), "\"moved\":true") == !row(0)->moved);
    json_free(&j);
    end();
}
END_TEST

START_TEST(signed_questions)
{
    open_zones(1);
    struct tsig_keys keys = atomic_load(&d.server.config)->server.keys, no_keys = {0};
    u3->keys = &keys;
    watch("c", 3600, false);
    UNTIL(&d, told.n == 1);
    ck_assert_int_eq(row(0)->said, SIGNER_ANSWERED);
    ck_assert_uint_eq(u3->tcp, 0);
    u3->keys =
        NULL; /* an answer without a signature is not believed, nor over TCP; nor is a word that it is not served */
    for (int i = 0; i < 2; i++) {
        struct upper_play play = way(i ? UPPER_REFUSED : UPPER_TELLS, 0);
        upper_play(u3, &play);
        signer_ask(p, told.zone);
        UNTIL(&d, told.n == 2u + (unsigned)i);
        ck_assert_int_eq(row(0)->said, SIGNER_NO_ANSWER);
        ck_assert_msg(strstr(row(0)->error, "k.example."), "%s", row(0)->error);
        ck_assert_uint_eq(u3->tcp, 1u + (unsigned)i);
    }
    u3->keys = &no_keys; /* NOTAUTH is of the key here, not of the zone */
    signer_ask(p, told.zone);
    UNTIL(&d, told.n == 4);
    ck_assert_int_eq(row(0)->said, SIGNER_NO_ANSWER);
    ck_assert_msg(strstr(row(0)->error, "BADKEY"), "%s", row(0)->error);
    ck_assert_uint_ge(told.zone->counters.tsig_failed, 6);
    end();
}
END_TEST

/* What real servers of a signed zone answered, with NSEC or without, and in what order they may: octets of theirs. */
START_TEST(real_answers)
{
    static const char *const server[] = {"knot", "nsd", "bind"};
    static const struct {
        const char *what;
        uint16_t type;
        int err;
        unsigned sets;
    } at[] = {
        {"soa", RR_SOA, 0, 2},     {"dnskey", RR_DNSKEY, 0, 2}, {"ns", RR_NS, 0, 2},
        {"csync", RR_CSYNC, 0, 2}, {"cds", RR_CDS, 0, 0},       {"above", RR_SOA, -E_REFUSED, 0},
    };
    static struct msg_reader r;
    uint8_t apex[] = "\1a\7example", msg[4096];
    struct node_builder *builder = node_builder_new();
    for (unsigned i = 0; i < 6; i++) {
        char name[128];
        struct question q = {apex, at[i].type, true};
        uint32_t serial = 7;
        struct why why = {""};
        snprintf(name, sizeof name, "tests/fuzz/signer_fuzz.in/%s-%s", server[_i], at[i].what);
        FILE *f = fopen(name, "r");
        ck_assert_msg(f, "%s", name);
        size_t n = fread(msg, 1, sizeof msg, f);
        fclose(f);
        ck_assert(question_answered(&r, msg, n, &q, get_u16(msg)));
        ck_assert_int_eq(question_word(&r, true), QUESTION_WORD);
        node_builder_begin(builder, apex);
        int err = signer_answer_read(&r, apex, at[i].type, builder, &serial, &why);
        ck_assert_msg(err == at[i].err, "%s: %s", name, why.text);
        ck_assert_uint_eq(serial, 7);
        struct node *node = node_builder_seal(builder);
        ck_assert_msg((node ? node->nrrsets : 0) == at[i].sets, "%s", name);
        node_unref(node);
    }
    node_builder_free(&builder);
}
END_TEST

/* ---- several servers, several signers */

START_TEST(each_for_itself)
{
    struct upper_play silent = way(UPPER_SILENT, 0);
    open_zones(1);
    upper_play(u2, &silent);
    watch("ab", 3600, false);
    UNTIL(&d, told.n == 1);
    ck_assert_uint_eq(told.view->n, 2);
    ck_assert_int_eq(row(0)->said, SIGNER_ANSWERED);
    ck_assert_int_eq(row(1)->said, SIGNER_NO_ANSWER);
    ck_assert_str_eq(row(1)->name, "b");
    end();
}
END_TEST

START_TEST(signers_come_and_go)
{
    open_zones(1);
    struct zone *z = daemon_zone(&d, Z);
    struct signer_polled of[3] = {signer("s", "a", 3600), signer("none", "", 3600),
                                  signer("t", "b", 3600)};
    signer_watch(p, z, of, 3);
    UNTIL(&d, told.n == 2);
    ck_assert_str_eq(signer_view_of(p, z, "s")->server[0].name, "a");
    ck_assert_str_eq(signer_view_of(p, z, "t")->server[0].name, "b");
    ck_assert_ptr_null(signer_view_of(p, z, "none"));
    signer_watch(p, z, of, 3); /* nothing new */
    ck_assert(!signer_asking(p, z));
    signer_ask(p, z);
    ck_assert(signer_asking(p, z));
    UNTIL(&d, told.n == 4);
    of[2] = signer("t", "ba", 3600); /* one server more */
    signer_watch(p, z, of, 3);
    ck_assert_ptr_null(signer_view_of(p, z, "t"));
    UNTIL(&d, told.n == 5);
    ck_assert_uint_eq(told.view->n, 2);
    signer_watch(p, z, of + 2, 1); /* s is left out */
    ck_assert_ptr_null(signer_view_of(p, z, "s"));
    ck_assert_ptr_nonnull(signer_view_of(p, z, "t"));
    signer_watch(p, z, NULL, 0);
    ck_assert(!z->net_signer && link_alone(&p->zones) && link_alone(&p->asker.peers));
    signer_ask(p, z);
    signer_drop(p, z);
    end();
}
END_TEST

START_TEST(dropped_while_asked)
{
    struct upper_play held = good;
    held.held = true;
    open_zones(30);
    upper_play(u1, &held);
    p->asker.tuning.timeout_ms = 5000;
    for (unsigned i = 1; i < 30; i++) {
        char name[32];
        snprintf(name, sizeof name, "z%u.example.", i);
        struct signer_polled s = signer("s", "ab", 3600);
        signer_watch(p, daemon_zone(&d, name), &s, 1);
    }
    UNTIL(&d, u1->waiting == SIGNER_AT_ONCE);
    signer_drop(p, daemon_zone(&d, "z1.example."));  /* asked */
    signer_drop(p, daemon_zone(&d, "z29.example.")); /* waits */
    UNTIL(&d, u1->waiting == SIGNER_AT_ONCE + 1);    /* who waited has moved up */
    end();
}
END_TEST

/* ---- when */

START_TEST(again_after_the_interval)
{
    open_zones(1);
    double began = daemon_now();
    watch("a", 1, false);
    UNTIL(&d, told.n == 3);
    ck_assert(daemon_now() - began > 1.7);
    end();
}
END_TEST

/* Until the next round of the zone's first signer. */
static double due_in(void)
{
    struct signer_zone *sz = daemon_zone(&d, Z)->net_signer;
    struct signer_watched *w = (struct signer_watched *)(void *)sz->signers.next;
    ck_assert(ev_is_active(&w->rounds.due));
    return ev_timer_remaining(p->asker.ev, &w->rounds.due);
}

START_TEST(sooner_while_wanted)
{
    open_zones(1);
    watch("a", 3600, false);
    UNTIL(&d, told.n == 1);
    ck_assert(due_in() > 3000);
    watch("a", 3600, true); /* now, and then soon again */
    UNTIL(&d, told.n == 2);
    double left = due_in();
    ck_assert_msg(left > 20 && left <= 30, "%f", left);
    watch("a", 3600, true); /* nothing new */
    ck_assert(!signer_asking(p, told.zone));
    watch("a", 5, true);
    ck_assert(due_in() < 6);
    watch("a", 3600, false); /* the round that is due comes; the one after it in an hour */
    ck_assert(!signer_asking(p, told.zone));
    signer_ask(p, told.zone);
    UNTIL(&d, told.n == 3);
    ck_assert(due_in() > 3000);
    end();
}
END_TEST

/* An answer that was on its way when somebody asked does not count for him. */
START_TEST(asked_during_a_round)
{
    struct upper_play held = good;
    held.held = true;
    open_zones(1);
    p->asker.tuning.timeout_ms = 5000;
    upper_play(u1, &held);
    watch("a", 3600, false);
    UNTIL(&d, u1->waiting == 1);
    signer_ask(p, daemon_zone(&d, Z));
    upper_play(u1, &good);
    UNTIL(&d, told.n == 2);
    ck_assert_uint_eq(u1->udp, 14);
    end();
}
END_TEST

START_TEST(back_off)
{
    struct upper_play refused = way(UPPER_REFUSED, 0);
    open_zones(1);
    p->asker.tuning.retry_ms = 50;
    upper_play(u1, &refused);
    double began = daemon_now();
    watch("a", 3600, false);
    UNTIL(&d, told.n == 5);
    double took = daemon_now() - began; /* 50 + 100 + 200 + 400 ms */
    ck_assert_msg(took > 0.9 * 0.75, "%f", took);
    ck_assert_uint_eq(daemon_said(&d, "warn signer's server does not"), 3); /* 1st, 2nd, 4th */
    end();
}
END_TEST

/* ---- many zones */

enum { ZONES = 400, PATIENT_TURNS = 4 };

static void watch_zone(unsigned i, const char *remotes, bool wanted)
{
    char name[32] = Z;
    if (i)
        snprintf(name, sizeof name, "z%u.example.", i);
    struct signer_polled s = signer("s", remotes, 3600);
    s.wanted = wanted;
    signer_watch(p, daemon_zone(&d, name), &s, 1);
}

START_TEST(one_signer_of_many_zones)
{
    struct upper_play held = good;
    open_zones(ZONES);
    held.held = true;
    p->asker.tuning.timeout_ms = 10000;
    upper_play(u1, &held);
    for (unsigned i = 0; i < ZONES; i++)
        watch_zone(i, "ab", false);
    UNTIL(&d, u1->waiting == SIGNER_AT_ONCE && u2->udp == 7 * ZONES); /* b is not kept by a */
    ck_assert_uint_eq(u1->udp, SIGNER_AT_ONCE);
    ck_assert_uint_eq(told.n, 0);
    upper_play(u1, &good);
    UNTIL(&d, told.n == ZONES);
    ck_assert_uint_eq(u1->udp, 7 * ZONES);
    ck_assert_uint_eq(u1->waiting_most, SIGNER_AT_ONCE);
    end();
}
END_TEST

/* Silence is found once, not four hundred times. */
START_TEST(a_dead_signer_of_many_zones)
{
    struct upper_play silent = way(UPPER_SILENT, 0);
    open_zones(ZONES);
    p->asker.tuning.retry_ms = 2000;
    upper_play(u1, &silent);
    for (unsigned i = 0; i < ZONES; i++)
        watch_zone(i, "a", false);
    UNTIL(&d, told.n == ZONES);
    unsigned udp = u1->udp;
    ck_assert_uint_le(udp, 3 * SIGNER_AT_ONCE);
    UNTIL(&d, told.n == 2 * ZONES); /* from now on one looks at a time */
    ck_assert_uint_lt(u1->udp - udp, 3 * SIGNER_AT_ONCE);
    upper_play(u1, &good);
    UNTIL(&d, row(0)->said == SIGNER_ANSWERED);
    end();
}
END_TEST

/* Who waits for an answer goes before all whose turn it only is, also when it waits in the queue already. */
START_TEST(who_is_in_a_hurry)
{
    struct upper_play held = good;
    held.held = true;
    open_zones(ZONES);
    p->asker.tuning.timeout_ms = 10000;
    upper_play(u1, &held);
    for (unsigned i = 1; i < ZONES; i++)
        watch_zone(i, "a", false);
    UNTIL(&d, u1->waiting == SIGNER_AT_ONCE);
    if (_i)
        watch_zone(ZONES - 1, "a", true);
    watch_zone(0, "a", !_i);
    told.awaited = daemon_zone(&d, _i ? "z399.example." : Z);
    upper_play(u1, &good);
    UNTIL(&d, told.place);
    ck_assert_uint_le(told.place, 2 * SIGNER_AT_ONCE);
    end();
}
END_TEST

/* Nor do they keep the others out for good. */
START_TEST(who_is_in_none)
{
    struct upper_play held = good;
    held.held = true;
    open_zones(ZONES);
    p->asker.tuning.timeout_ms = 10000;
    upper_play(u1, &held);
    for (unsigned i = 1; i < ZONES; i++)
        watch_zone(i, "a", true);
    UNTIL(&d, u1->waiting == SIGNER_AT_ONCE);
    watch_zone(0, "a", false);
    told.awaited = daemon_zone(&d, Z);
    upper_play(u1, &good);
    UNTIL(&d, told.place);
    ck_assert_uint_le(told.place, 2 * SIGNER_AT_ONCE + PATIENT_TURNS);
    end();
}
END_TEST

int main(void)
{
    struct suite s = suite_open("signer");
    tcase_add_checked_fixture(s.tcase, setup, teardown);
    suite_add(s, all_sets);
    suite_add(s, sets_that_are_not_there);
    tcase_add_loop_test(s.tcase, told_in_the_end, 0, 4);
    tcase_add_loop_test(s.tcase, not_served, 0, NOT_SERVED);
    tcase_add_loop_test(s.tcase, no_answer, 0, NO_ANSWER);
    suite_add(s, nobody_listens);
    suite_add(s, records_of_others);
    tcase_add_loop_test(s.tcase, bounds, 0, BOUNDS);
    suite_add(s, two_soas);
    suite_add(s, none_without_soa);
    tcase_add_loop_test(s.tcase, serial_that_moves, 0, SIGNER_PASSES + 2);
    suite_add(s, signed_questions);
    tcase_add_loop_test(s.tcase, real_answers, 0, 3);
    suite_add(s, each_for_itself);
    suite_add(s, signers_come_and_go);
    suite_add(s, dropped_while_asked);
    suite_add(s, again_after_the_interval);
    suite_add(s, sooner_while_wanted);
    suite_add(s, asked_during_a_round);
    suite_add(s, back_off);
    suite_add(s, one_signer_of_many_zones);
    suite_add(s, a_dead_signer_of_many_zones);
    tcase_add_loop_test(s.tcase, who_is_in_a_hurry, 0, 2);
    suite_add(s, who_is_in_none);
    return suite_run(s);
}
