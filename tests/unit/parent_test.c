/* parent: what zones learn of their DS, from servers that are right, wrong, silent, slow, or not of one mind. */
#include "pipeline/net/parent_p.h"

#include "pipeline/base/alloc.h"
#include "pipeline/run/zone_parent.h"
#include "tests/lib/daemon.h"
#include "tests/lib/home.h"
#include "tests/lib/suite.h"
#include "tests/lib/upper.h"

#include <string.h>
#include <unistd.h>

#define Z  "a.example."
#define P1 "HOST1@15450"
#define P2 "HOST2@15451"
#define P3 "HOST3@15452"

static struct daemon d;
static struct parent *p;
static struct upper *u1, *u2, *u3;
static char dir[64], path[128];
static bool ns_wanted;

/* What was told last, and how often. */
static struct {
    struct zone *zone;
    struct parent_view *view;
    unsigned n, complete, agreed;
} told;

static void setup(void)
{
    snprintf(dir, sizeof dir, "/tmp/weir-parent-XXXXXX");
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

static void on_told(void *ctx, struct zone *zone, const struct parent_view *view)
{
    ck_assert_ptr_eq(ctx, &told);
    parent_view_unref(told.view);
    told.zone = zone;
    told.view = parent_view_ref(view);
    told.n++;
    told.complete += view->complete;
    told.agreed += view->agreed;
}

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
    ns_wanted = false;
    p = parent_new(&d.server, on_told, &told);
    p->asker.tuning.timeout_ms = 40;
    p->asker.tuning.tcp_ms = 400;
    u1 = upper_start(p->asker.ev, P1);
    u2 = upper_start(p->asker.ev, P2);
    u3 = upper_start(p->asker.ev, P3);
}

static void end(void)
{
    parent_free(&p);
    parent_view_unref(told.view);
    upper_stop(&u1);
    upper_stop(&u2);
    upper_stop(&u3);
    daemon_close(&d);
}

/* "a", "ab": these remotes. */
static const struct parent_conf *asks(const char *remotes, int64_t check_s)
{
    static const struct remote_conf *server[3];
    static struct parent_conf conf;
    conf = (struct parent_conf){strlen(remotes), server, check_s, ns_wanted};
    for (size_t i = 0; i < conf.n; i++)
        server[i] = &atomic_load(&d.server.config)->remotes[remotes[i] - 'a'];
    return &conf;
}

static void watch(const char *remotes, int64_t check_s)
{
    parent_watch(p, daemon_zone(&d, Z), asks(remotes, check_s), true);
}

static const struct upper_play good = {.nds = 2,
                                       .ds = {{1000, 13, 2, 1}, {2000, 8, 2, 2}},
                                       .ttl = 3600,
                                       .soa_ttl = 900,
                                       .soa_minimum = 600};

static struct upper_play way(enum upper_way how)
{
    struct upper_play play = good;
    play.way = how;
    return play;
}

static struct upper_play none(void)
{
    struct upper_play play = good;
    play.nds = 0;
    return play;
}

static const char *text_of(const struct parent_view *v)
{
    static char *text;
    mem_free(&text);
    text = parent_view_text(v);
    return text;
}

static const struct parent_server *row(unsigned i)
{
    return &told.view->server[i];
}

/* Asks once, of server 1 alone. */
static void once(const struct upper_play *play)
{
    open_zones(1);
    upper_play(u1, play);
    watch("a", 3600);
    UNTIL(&d, told.n == 1);
}

/* ---- one server */

START_TEST(the_set_and_its_ttl)
{
    time_t before = time(NULL);
    once(&good);
    ck_assert_ptr_eq(told.zone, daemon_zone(&d, Z));
    ck_assert(told.view->complete && told.view->agreed);
    ck_assert_uint_eq(told.view->all.n, 2);
    ck_assert_uint_eq(told.view->all.ttl, 3601); /* the larger of two */
    ck_assert(told.view->at >= before && told.view->at <= time(NULL));
    struct rrset set = parent_set_rrset(&told.view->all);
    struct rdata r;
    const uint8_t *at = set.rdata;
    ck_assert_uint_eq(set.count, 2);
    ck_assert(rrset_next(&set, &at, &r) && r.len == 36 && get_u16(r.data) == 1000);
    ck_assert(rrset_next(&set, &at, &r) && r.len == 36 && get_u16(r.data) == 2000);
    ck_assert(!rrset_next(&set, &at, &r));
    ck_assert_str_eq(text_of(told.view), "a: DS 1000 13 2 + 2000 8 2 (TTL 3601)");
    ck_assert_uint_eq(u1->udp, 1);
    ck_assert_uint_eq(u1->edns, 1);
    ck_assert_uint_eq(u1->tcp, 0);
    ck_assert_ptr_eq(parent_view_of(p, told.zone), told.view);
    ck_assert_uint_eq(daemon_said(&d,
                                  "info parent's servers agree on the zone's DS zone=a.example. "
                                  "they_say=\"a: DS 1000 13 2 + 2000 8 2 (TTL 3601)\""),
                      1);
    end();
}
END_TEST

/* NODATA and NXDOMAIN, each with the smaller of SOA TTL and minimum (RFC 2308 5). */
START_TEST(no_ds)
{
    struct upper_play play = none();
    play.nxdomain = _i & 1;
    if (_i & 2)
        play.soa_minimum = 100000;
    once(&play);
    ck_assert(told.view->complete && told.view->agreed);
    ck_assert_uint_eq(told.view->all.n, 0);
    ck_assert_uint_eq(told.view->any.n, 0);
    ck_assert_int_eq(row(0)->said, PARENT_NO_DS);
    ck_assert_uint_eq(told.view->all.ttl, _i & 2 ? 900 : 600);
    end();
}
END_TEST

/* What is wrong, in words, and how often it takes to find that out. */
START_TEST(no_answer)
{
    static const struct {
        enum upper_way way;
        const char *error;
        unsigned udp, tcp;
        bool empty; /* no DS in it */
    } lie[] = {
        {UPPER_ALWAYS_WRONG_ID,
         "it answered with another ID or another question; 3 datagrams with another ID or question "
         "were ignored",
         3, 1, false},
        {UPPER_WRONG_NAME,
         "it answered with another ID or another question; 3 datagrams with another ID or question "
         "were ignored",
         3, 1, false},
        {UPPER_WRONG_TYPE,
         "it answered with another ID or another question; 3 datagrams with another ID or question "
         "were ignored",
         3, 1, false},
        {UPPER_NO_QR,
         "it answered with another ID or another question; 3 datagrams with another ID or question "
         "were ignored",
         3, 1, false},
        {UPPER_HALF_A_HEADER,
         "it answered with another ID or another question; 3 datagrams with another ID or question "
         "were ignored",
         3, 1, false},
        {UPPER_TRUNCATES_ALWAYS, "over TCP: its answer has TC set", 1, 1, false},
        {UPPER_NO_AA,
         "its answer is not authoritative (no AA): is it a resolver, or a secondary that expired?",
         1, 0, false},
        {UPPER_NO_AA,
         "its answer is not authoritative (no AA): is it a resolver, or a secondary that expired?",
         1, 0, true},
        {UPPER_REFERRAL, "it answered with a referral to example.: it does not serve the parent", 1,
         0, true},
        {UPPER_IS_THE_CHILD,
         "it answered from the zone itself: it serves the zone, but not the parent", 1, 0, true},
        {UPPER_IS_A_STRANGER, "it answered with the SOA of far.away., which is not above", 1, 0,
         true},
        {UPPER_SAYS_NOTHING,
         "it answered with neither a DS nor an SOA, so that it may be none of the parent's servers",
         1, 0, true},
        {UPPER_ALIAS, "it answered with an alias (CNAME or DNAME)", 1, 0, false},
        {UPPER_SERVFAIL, "it answered with RCODE SERVFAIL", 1, 0, false},
        {UPPER_REFUSED, "it answered with RCODE REFUSED", 1, 0, false},
        {UPPER_BADVERS, "it answered with RCODE BADVERS", 1, 0, false},
        {UPPER_NXDOMAIN_WITH_DS, "it answered with DS records and NXDOMAIN", 1, 0, false},
        {UPPER_SHORT_DS, "answer record 1", 1, 0, false},
        {UPPER_TOO_MANY_DS, "more than 64 records of one set", 1, 0, false},
        {UPPER_CUT_RECORD, "record", 1, 0, false},
        {UPPER_CLOSES, "over TCP: it closed the connection without an answer", 1, 1, false},
        {UPPER_SILENT, "not complete after 0 s (the time for a question over TCP)", 3, 1, false},
    };
    struct upper_play play = way(lie[_i].way);
    if (lie[_i].empty)
        play.nds = 0;
    once(&play);
    ck_assert(!told.view->complete && !told.view->agreed);
    ck_assert_uint_eq(told.view->all.n + told.view->any.n, 0);
    ck_assert_int_eq(row(0)->said, PARENT_NO_ANSWER);
    ck_assert_uint_eq(row(0)->set.n, 0);
    ck_assert_msg(strstr(row(0)->error, lie[_i].error), "%s", row(0)->error);
    ck_assert_uint_eq(u1->udp, lie[_i].udp);
    ck_assert_uint_eq(u1->tcp, lie[_i].tcp);
    ck_assert_msg(daemon_said(&d, "warn parent server did not tell the zone's DS "
                                  "zone=a.example. server=a address=" P1 " why=") == 1,
                  "%s", daemon_log(&d));
    end();
}
END_TEST
enum { LIES = 22 };

/* What is forged is passed over, what is cut or lost is asked again over TCP. */
START_TEST(told_in_the_end)
{
    static const struct {
        enum upper_way way;
        unsigned udp, tcp, edns;
    } row_[] = {
        {UPPER_WRONG_ID, 1, 0, 1},
        {UPPER_TRUNCATES, 1, 1, 2},
        {UPPER_SILENT_UDP, 3, 1, 1},
        {UPPER_KNOWS_NO_EDNS, 2, 0, 1},
    };
    struct upper_play play = way(row_[_i].way);
    once(&play);
    ck_assert(told.view->agreed);
    ck_assert_uint_eq(told.view->all.n, 2);
    ck_assert_uint_eq(u1->udp, row_[_i].udp);
    ck_assert_uint_eq(u1->tcp, row_[_i].tcp);
    ck_assert_uint_eq(u1->edns, row_[_i].edns);
    end();
}
END_TEST

START_TEST(ds_of_another_name_is_none_of_ours)
{
    struct upper_play play = way(UPPER_OF_ANOTHER);
    once(&play);
    ck_assert(told.view->agreed);
    ck_assert_int_eq(row(0)->said, PARENT_NO_DS);
    end();
}
END_TEST

START_TEST(nobody_listens)
{
    open_zones(1);
    p->asker.tuning.retry_ms = 50;
    upper_stop(&u1);
    watch("a", 3600);
    UNTIL(&d, told.n == 1);
    ck_assert_str_eq(row(0)->error, "cannot connect: Connection refused");
    u1 = upper_start(p->asker.ev, P1);
    upper_play(u1, &good);
    UNTIL(&d, told.agreed); /* much earlier than in an hour */
    end();
}
END_TEST

START_TEST(signed_questions)
{
    open_zones(1);
    struct tsig_keys keys = atomic_load(&d.server.config)->server.keys, no_keys = {0};
    u3->keys = &keys;
    upper_play(u3, &good);
    watch("c", 3600);
    UNTIL(&d, told.n == 1);
    ck_assert(told.view->agreed);
    ck_assert_uint_eq(u3->tcp, 0);
    u3->keys = NULL; /* an answer without a signature is not believed, nor over TCP */
    parent_ask(p, told.zone);
    UNTIL(&d, told.n == 2);
    ck_assert(!told.view->complete);
    ck_assert_msg(strstr(row(0)->error, "k.example."), "%s", row(0)->error);
    ck_assert_uint_eq(u3->tcp, 1);
    u3->keys = &no_keys;
    parent_ask(p, told.zone);
    UNTIL(&d, told.n == 3);
    ck_assert_msg(strstr(row(0)->error, "BADKEY"), "%s", row(0)->error);
    ck_assert_uint_ge(told.zone->counters.tsig_failed, 4);
    end();
}
END_TEST

/* ---- the delegation's NS */

static void once_ns(const struct upper_play *play)
{
    open_zones(1);
    upper_play(u1, play);
    ns_wanted = true;
    watch("a", 3600);
    UNTIL(&d, told.n == 1);
}

static struct upper_play ns_way(enum upper_ns_way how, unsigned nns)
{
    struct upper_play play = good;
    play.ns_way = how;
    play.nns = nns;
    play.ns_ttl = 7200;
    return play;
}

START_TEST(ns_of_a_referral)
{
    struct upper_play play = ns_way(UPPER_NS_REFERS, 2);
    once_ns(&play);
    const struct parent_view *v = told.view;
    ck_assert(v->agreed && v->ns_asked && v->ns_complete && v->ns_agreed);
    ck_assert_int_eq(row(0)->ns_said, PARENT_NS);
    ck_assert_uint_eq(v->ns_all.n, 2);
    ck_assert_uint_eq(v->ns_all.ttl, 7201);
    ck_assert(parent_set_has(&v->ns_all, (const uint8_t *)"\3n00\4away", 10)); /* lower case */
    ck_assert_uint_eq(parent_set_ns(&v->ns_all).type, RR_NS);
    ck_assert_str_eq(text_of(v), "a: DS 1000 13 2 + 2000 8 2 (TTL 3601), "
                                 "NS n00.away. + n01.away. (TTL 7201)");
    ck_assert_uint_eq(u1->udp, 2);
    ns_wanted = false; /* no longer: the next view has none */
    watch("a", 3600);
    parent_ask(p, told.zone);
    UNTIL(&d, told.n == 2);
    ck_assert(!told.view->ns_asked && row(0)->ns_said == PARENT_NS_UNASKED);
    ck_assert_uint_eq(u1->udp, 3);
    ns_wanted = true; /* wanted now: at once */
    watch("a", 3600);
    UNTIL(&d, told.n == 3);
    ck_assert(told.view->ns_agreed);
    end();
}
END_TEST

START_TEST(ns_of_no_delegation)
{
    struct upper_play play = ns_way(UPPER_NS_NONE, 0);
    once_ns(&play);
    ck_assert(told.view->ns_complete && told.view->ns_agreed && !told.view->ns_any.n);
    ck_assert_int_eq(row(0)->ns_said, PARENT_NO_NS);
    ck_assert_str_eq(text_of(told.view), "a: DS 1000 13 2 + 2000 8 2 (TTL 3601), no NS (TTL 600)");
    end();
}
END_TEST

START_TEST(ns_that_are_no_word)
{
    static const struct {
        enum upper_ns_way way;
        unsigned nns;
        const char *error;
    } lie[] = {
        {UPPER_NS_WITH_AA, 2,
         "it answered with neither an NS nor an SOA, so that it may be none of the parent's "
         "servers"},
        {UPPER_NS_OF_CACHE, 2,
         "its answer is not authoritative (no AA): is it a resolver, or a secondary that expired?"},
        {UPPER_NS_ELSEWHERE, 2,
         "it answered with a referral to example.: it does not serve the parent"},
        {UPPER_NS_MIXED, 2,
         "it answered with a referral to far.away.: it does not serve the parent"},
        {UPPER_NS_NXDOMAIN, 2, "it answered with a referral to a.example."},
        {UPPER_NS_REFUSED, 0, "it answered with RCODE REFUSED"},
        {UPPER_NS_REFERS, 0,
         "its answer is not authoritative (no AA): is it a resolver, or a secondary that expired?"},
        {UPPER_NS_REFERS, 65, "more than 64 records of one set"},
        {UPPER_NS_SILENT, 0, "not complete after 0 s (the time for a question over TCP)"},
    };
    struct upper_play play = ns_way(lie[_i].way, lie[_i].nns);
    once_ns(&play);
    ck_assert(told.view->complete && told.view->agreed); /* the DS is known all the same */
    ck_assert(told.view->ns_asked && !told.view->ns_complete && !told.view->ns_agreed);
    ck_assert_uint_eq(told.view->ns_all.n + told.view->ns_any.n + row(0)->ns.n, 0);
    ck_assert_int_eq(row(0)->said, PARENT_DS);
    ck_assert_int_eq(row(0)->ns_said, PARENT_NS_NO_ANSWER);
    ck_assert_msg(strstr(row(0)->ns_error, lie[_i].error), "%s", row(0)->ns_error);
    ck_assert_msg(strstr(text_of(told.view), "(TTL 3601), no answer to NS ("), "%s",
                  text_of(told.view));
    ck_assert_msg(daemon_said(&d, "warn parent server did not tell the zone's NS "
                                  "zone=a.example. server=a address=" P1 " why=") == 1,
                  "%s", daemon_log(&d));
    end();
}
END_TEST
enum { NS_LIES = 9 };

/* What real servers answered: those of the parent alone, and those that have the zone, too. */
START_TEST(real_ns)
{
    static const char *const server[] = {"knot", "nsd", "bind"};
    static struct msg_reader r;
    const uint8_t zone[] = "\1a\7example";
    for (unsigned both = 0; both < 2; both++) {
        struct question q = {zone, RR_NS, false};
        struct parent_set set = {0};
        struct why why = {""};
        char name[128];
        uint8_t msg[4096];
        bool child;
        snprintf(name, sizeof name, "tests/fuzz/parent_fuzz.in/%s-ns%s", server[_i],
                 both ? "-both" : "");
        FILE *f = fopen(name, "r");
        ck_assert_msg(f, "%s", name);
        size_t n = fread(msg, 1, sizeof msg, f);
        fclose(f);
        ck_assert(question_answered(&r, msg, n, &q, get_u16(msg)));
        ck_assert_msg(!parent_ns_read(&r, zone, &set, &child, &why), "%s: %s", name, why.text);
        ck_assert(child == both);
        ck_assert_uint_eq(set.n, both ? 1 : 2);
        ck_assert_uint_eq(set.ttl, 300);
        ck_assert(parent_set_has(&set, (const uint8_t *)"\2ns\1a\7example", 14));
        parent_set_clear(&set);
    }
}
END_TEST

/* Who did not tell the DS is not asked for the NS. */
START_TEST(no_ns_without_ds)
{
    struct upper_play play = ns_way(UPPER_NS_REFERS, 2);
    play.way = UPPER_NO_AA;
    once_ns(&play);
    ck_assert(!told.view->ns_complete);
    ck_assert_int_eq(row(0)->ns_said, PARENT_NS_UNASKED);
    ck_assert_uint_eq(u1->udp, 1);
    end();
}
END_TEST

/* Who has the zone itself has no voice, but somebody must. */
START_TEST(ns_and_the_child)
{
    struct upper_play parents = ns_way(UPPER_NS_REFERS, 2), both = ns_way(UPPER_NS_HAS_CHILD, 1);
    both.ns_ttl = 90000;
    open_zones(1);
    upper_play(u1, &parents);
    upper_play(u2, &both);
    ns_wanted = true;
    watch("ab", 3600);
    UNTIL(&d, told.n == 1);
    ck_assert(told.view->ns_complete && told.view->ns_agreed);
    ck_assert_uint_eq(told.view->ns_all.n, 2);
    ck_assert_uint_eq(told.view->ns_all.ttl, 90001); /* caches may have that, too */
    ck_assert_int_eq(row(1)->ns_said, PARENT_NS_OF_CHILD);
    ck_assert_uint_eq(row(1)->ns.n, 1);
    ck_assert_msg(strstr(text_of(told.view), "; b: DS 1000 13 2 + 2000 8 2 (TTL 3601), has the "
                                             "zone itself: NS n00.away. (TTL 90001)"),
                  "%s", text_of(told.view));
    upper_play(u1, &both);
    parent_ask(p, told.zone);
    UNTIL(&d, told.n == 2);
    ck_assert(told.view->agreed && !told.view->ns_complete && !told.view->ns_agreed);
    ck_assert_uint_eq(told.view->ns_any.n, 0);
    end();
}
END_TEST

/* Without the word of one there is no fact. */
START_TEST(ns_of_one_are_not_known)
{
    struct upper_play two = ns_way(UPPER_NS_REFERS, 2), refused = ns_way(UPPER_NS_REFUSED, 0);
    open_zones(1);
    upper_play(u1, &two);
    upper_play(u2, &refused);
    ns_wanted = true;
    watch("ab", 3600);
    UNTIL(&d, told.n == 1);
    ck_assert(told.view->agreed && !told.view->ns_complete && !told.view->ns_agreed);
    ck_assert_uint_eq(told.view->ns_all.n + told.view->ns_any.n, 0);
    refused.way = UPPER_REFUSED; /* nor where it did not even tell the DS */
    upper_play(u2, &refused);
    parent_ask(p, told.zone);
    UNTIL(&d, told.n == 2);
    ck_assert(!told.view->complete && !told.view->ns_complete && !told.view->ns_agreed);
    ck_assert_int_eq(row(0)->ns_said, PARENT_NS);
    end();
}
END_TEST

START_TEST(ns_that_differ)
{
    struct upper_play two = ns_way(UPPER_NS_REFERS, 2), three = ns_way(UPPER_NS_REFERS, 3),
                      gone = ns_way(UPPER_NS_NONE, 0);
    open_zones(1);
    upper_play(u1, &two);
    upper_play(u2, &three);
    ns_wanted = true;
    watch("ab", 3600);
    UNTIL(&d, told.n == 1);
    ck_assert(told.view->agreed && told.view->ns_complete && !told.view->ns_agreed);
    ck_assert_uint_eq(told.view->ns_all.n, 2);
    ck_assert_uint_eq(told.view->ns_any.n, 3);
    ck_assert_uint_eq(daemon_said(&d, "parent's servers agree on the zone's DS, but not on its NS"),
                      1);
    upper_play(u1, &gone);
    parent_ask(p, told.zone);
    UNTIL(&d, told.n == 2);
    ck_assert(told.view->ns_complete && !told.view->ns_agreed && !told.view->ns_all.n);
    ck_assert_uint_eq(told.view->ns_any.n, 3);
    struct json *j = json_new();
    json_object(j, NULL);
    parent_view_json(told.view, j);
    json_end(j);
    const char *text = json_text(j, NULL);
    ck_assert_msg(strstr(text, "\"ns_agreed\":false"), "%s", text);
    ck_assert_msg(strstr(text, "\"ns_said\":\"no-ns\",\"ns\":[],\"ns_ttl\":600"), "%s", text);
    ck_assert_msg(strstr(text, "\"ns_said\":\"ns\",\"ns\":[\"n00.away.\",\"n01.away.\","
                               "\"n02.away.\"],\"ns_ttl\":7201"),
                  "%s", text);
    json_free(&j);
    end();
}
END_TEST

/* ---- several servers */

START_TEST(agreement)
{
    struct upper_play other = good, two;
    open_zones(1);
    other.ttl = 7200;
    upper_play(u1, &good);
    upper_play(u2, &other);
    watch("ab", 3600);
    UNTIL(&d, told.n == 1);
    ck_assert(told.view->agreed);
    ck_assert_uint_eq(told.view->all.ttl, 7201); /* the largest */
    ck_assert_str_eq(text_of(told.view), "all 2 servers: DS 1000 13 2 + 2000 8 2 (TTL 7201)");
    two = good;
    two.nds = 3;
    two.ds[0].fill = 9; /* another digest, and one more */
    two.ds[2] = (struct upper_ds){3000, 13, 4, 3};
    upper_play(u2, &two);
    parent_ask(p, told.zone);
    UNTIL(&d, told.n == 2);
    ck_assert(told.view->complete && !told.view->agreed);
    ck_assert_uint_eq(told.view->all.n, 1); /* 2000 */
    ck_assert_uint_eq(told.view->any.n, 4);
    ck_assert(parent_set_has(&told.view->any, told.view->all.octets + 2, 36));
    ck_assert_str_eq(text_of(told.view), "a: DS 1000 13 2 + 2000 8 2 (TTL 3601); "
                                         "b: DS 1000 13 2 + 2000 8 2 + 3000 13 4 (TTL 3601)");
    two = none();
    upper_play(u2, &two);
    parent_ask(p, told.zone);
    UNTIL(&d, told.n == 3);
    ck_assert(told.view->complete && !told.view->agreed && !told.view->all.n);
    ck_assert_uint_eq(told.view->any.n, 2);
    ck_assert_uint_eq(daemon_said(&d, "info parent's servers do not agree on the zone's DS "), 2);
    end();
}
END_TEST

/* Without the word of one server there is no fact, and the others are heard all the same. */
START_TEST(one_is_silent)
{
    struct upper_play silent = way(UPPER_SILENT);
    open_zones(1);
    p->asker.tuning.retry_ms = 50;
    upper_play(u1, &good);
    upper_play(u2, &silent);
    watch("ab", 3600);
    UNTIL(&d, told.n == 1);
    ck_assert(!told.view->complete);
    ck_assert_uint_eq(told.view->all.n + told.view->any.n, 0);
    ck_assert_int_eq(row(0)->said, PARENT_DS);
    ck_assert_int_eq(row(1)->said, PARENT_NO_ANSWER);
    upper_play(u2, &good);
    UNTIL(&d, told.agreed == 1); /* backed off, not for an hour */
    unsigned rounds = told.n, udp = u1->udp;
    for (int i = 0; i < 200; i++)
        daemon_turn(&d);
    ck_assert_uint_eq(told.n, rounds); /* now for an hour */
    ck_assert_uint_eq(u1->udp, udp);
    end();
}
END_TEST

/* ---- when */

START_TEST(back_off)
{
    struct upper_play refused = way(UPPER_REFUSED);
    open_zones(1);
    p->asker.tuning.retry_ms = 50;
    upper_play(u1, &refused);
    double began = daemon_now();
    watch("a", 3600);
    UNTIL(&d, told.n == 5);
    double took = daemon_now() - began; /* 50 + 100 + 200 + 400 ms */
    ck_assert_msg(took > 0.9 * 0.75, "%f", took);
    ck_assert_uint_eq(daemon_said(&d, "warn parent server did not tell"), 3); /* 1st, 2nd, 4th */
    ck_assert_uint_eq(daemon_said(&d, "failures_in_a_row=4"), 1);
    end();
}
END_TEST

START_TEST(again_after_the_interval)
{
    open_zones(1);
    upper_play(u1, &good);
    watch("a", 1);
    double began = daemon_now();
    UNTIL(&d, told.n == 3);
    ck_assert(daemon_now() - began > 1.7);
    ck_assert_uint_eq(daemon_said(&d, "info parent's servers agree"), 1); /* no news, no line */
    parent_watch(p, told.zone, asks("a", 1), false);
    double until = daemon_now() + 1.3;
    while (daemon_now() < until)
        daemon_turn(&d);
    ck_assert_uint_eq(told.n, 3);
    parent_ask(p, told.zone); /* once, for the operator */
    UNTIL(&d, told.n == 4);
    parent_watch(p, told.zone, asks("a", 1), true);
    ck_assert(parent_asking(p, told.zone));
    UNTIL(&d, told.n == 5);
    parent_watch(p, told.zone, asks("a", 1), true); /* nothing new */
    ck_assert(!parent_asking(p, told.zone));
    end();
}
END_TEST

/* An answer that was on its way when the operator asked does not count for him. */
START_TEST(asked_during_a_round)
{
    struct upper_play held = none();
    held.held = true;
    open_zones(1);
    upper_play(u1, &held);
    p->asker.tuning.timeout_ms = 5000;
    watch("a", 3600);
    UNTIL(&d, u1->waiting == 1);
    parent_ask(p, daemon_zone(&d, Z));
    struct upper_play empty = none();
    upper_play(u1, &empty);
    UNTIL(&d, told.n == 2);
    ck_assert_uint_eq(u1->udp, 2);
    end();
}
END_TEST

START_TEST(other_servers)
{
    struct upper_play held = good;
    held.held = true;
    open_zones(1);
    p->asker.tuning.timeout_ms = 5000;
    upper_play(u1, &held);
    upper_play(u2, &good);
    watch("a", 3600);
    UNTIL(&d, u1->waiting == 1);
    watch("b", 3600); /* what is going on is cut */
    UNTIL(&d, told.n == 1);
    ck_assert_str_eq(row(0)->name, "b");
    upper_play(u1, &good);
    for (int i = 0; i < 50; i++)
        daemon_turn(&d);
    ck_assert_uint_eq(told.n, 1);
    watch("", 3600);
    ck_assert_ptr_null(parent_view_of(p, told.zone));
    parent_drop(p, told.zone);
    ck_assert(link_alone(&p->zones) && link_alone(&p->asker.peers));
    parent_drop(p, told.zone);
    end();
}
END_TEST

START_TEST(dropped_while_asked)
{
    struct upper_play held = good;
    held.held = true;
    open_zones(30);
    upper_play(u1, &held);
    for (unsigned i = 1; i < 30; i++) {
        char name[32];
        snprintf(name, sizeof name, "z%u.example.", i);
        parent_watch(p, daemon_zone(&d, name), asks("ab", 3600), true);
    }
    UNTIL(&d, u1->waiting == 8);
    parent_drop(p, daemon_zone(&d, "z1.example."));  /* asked */
    parent_drop(p, daemon_zone(&d, "z29.example.")); /* waits */
    UNTIL(&d, u1->waiting == 9);                     /* who waited has moved up */
    end();
}
END_TEST

/* ---- many zones */

enum { ZONES = 400 };

static void watch_all(const char *remotes)
{
    for (unsigned i = 0; i < ZONES; i++) {
        char name[32] = Z;
        if (i)
            snprintf(name, sizeof name, "z%u.example.", i);
        parent_watch(p, daemon_zone(&d, name), asks(remotes, 3600), true);
    }
}

START_TEST(one_parent_of_many_zones)
{
    struct upper_play held = good;
    open_zones(ZONES);
    held.held = true;
    p->asker.tuning.timeout_ms = 10000;
    upper_play(u1, &held);
    upper_play(u2, &good);
    watch_all("ab");
    UNTIL(&d, u1->waiting == PARENT_AT_ONCE && u2->udp == ZONES); /* b is not kept by a */
    for (int i = 0; i < 50; i++)
        daemon_turn(&d);
    ck_assert_uint_eq(u1->udp, PARENT_AT_ONCE);
    ck_assert_uint_eq(told.n, 0);
    upper_play(u1, &good);
    UNTIL(&d, told.n == ZONES);
    ck_assert_uint_eq(told.agreed, ZONES);
    ck_assert_uint_eq(u1->udp, ZONES);
    ck_assert_uint_eq(u1->waiting_most, PARENT_AT_ONCE);
    end();
}
END_TEST

/* Silence is found once, not four hundred times; and when the server is back, all hear of it. */
START_TEST(a_dead_parent_of_many_zones)
{
    struct upper_play silent = way(UPPER_SILENT);
    open_zones(ZONES);
    p->asker.tuning.retry_ms = 2000;
    upper_play(u1, &silent);
    double began = daemon_now();
    watch_all("a");
    UNTIL(&d, told.n == ZONES);
    ck_assert_uint_le(u1->udp, 3 * PARENT_AT_ONCE);
    ck_assert_msg(daemon_now() - began < 20, "%f", daemon_now() - began);
    ck_assert_uint_ge(daemon_said(&d, "(seen when it was asked for another zone)"),
                      ZONES - PARENT_AT_ONCE);
    upper_play(u1, &good);
    UNTIL(&d, told.agreed == ZONES);
    end();
}
END_TEST

/* ---- the seam to the zone's keys */

static unsigned wants, stops;

static void on_want(void *ctx, struct zone *zone)
{
    ck_assert_ptr_eq(ctx, &d);
    *(zone_parent_wanted(zone) ? &wants : &stops) += 1;
    parent_watch(p, zone, asks("a", 3600), zone_parent_wanted(zone));
}

START_TEST(keys_want_it)
{
    open_zones(1);
    struct zone *z = daemon_zone(&d, Z);
    zone_table_listen_parent(d.server.zones, on_want, &d);
    upper_play(u1, &good);
    ck_assert(!zone_parent_wanted(z));
    ck_assert_ptr_null(zone_parent_view(z));
    zone_parent_want(z, false);
    zone_parent_want(z, true);
    zone_parent_want(z, true);
    ck_assert(wants == 1 && stops == 0);
    UNTIL(&d, told.n == 1);
    zone_parent_told(z, told.view);
    zone_parent_told(z, told.view);
    struct parent_view *v = zone_parent_view(z);
    ck_assert_ptr_eq(v, told.view);
    parent_view_unref(v);
    zone_parent_want(z, false);
    ck_assert(wants == 1 && stops == 1);
    ck_assert(!zone_parent_ns_wanted(z));
    zone_parent_want_ns(z, true);
    zone_parent_want_ns(z, true);
    ck_assert(zone_parent_ns_wanted(z) && wants == 1 && stops == 2);
    end();
}
END_TEST

/* ---- the view */

START_TEST(sets)
{
    struct parent_set a = {0}, b = {0};
    uint8_t rdata[40] = {0};
    ck_assert(parent_set_equal(&a, &b) && !parent_set_has(&a, rdata, 5));
    for (int i = 0; i < PARENT_DS_MAX; i++) {
        rdata[0] = (uint8_t)(i * 37 % 64);
        ck_assert_int_eq(parent_set_add(&a, rdata, (uint16_t)(5 + i % 3), NULL), 0);
        rdata[0] = (uint8_t)(63 - i);
    }
    struct rrset set = parent_set_rrset(&a);
    struct rdata r;
    int before = -1;
    for (const uint8_t *at = set.rdata; rrset_next(&set, &at, &r); before = r.data[0]) {
        ck_assert_int_gt(r.data[0], before);
        ck_assert(parent_set_has(&a, r.data, r.len));
        ck_assert(!parent_set_has(&a, r.data, (uint16_t)(r.len - 1)));
        ck_assert_int_eq(parent_set_add(&b, r.data, r.len, NULL), 0);
    }
    ck_assert(parent_set_equal(&a, &b));
    rdata[0] = 5;
    rdata[1] = 77;
    struct why why;
    ck_assert_int_eq(parent_set_add(&a, rdata, 9, &why), -E_LIMIT);
    parent_set_clear(&a);
    parent_set_clear(&b);
}
END_TEST

START_TEST(json)
{
    struct upper_play one = good;
    open_zones(1);
    one.nds = 1;
    upper_play(u1, &one);
    upper_stop(&u2);
    watch("ab", 3600);
    UNTIL(&d, told.n == 1);
    struct json *j = json_new();
    json_object(j, NULL);
    parent_view_json(told.view, j);
    json_end(j);
    const char *text = json_text(j, NULL);
    ck_assert_msg(strstr(text, "\"agreed\":false"), "%s", text);
    ck_assert_msg(strstr(text, "\"said\":\"ds\""), "%s", text);
    ck_assert_msg(strstr(text,
                         "\"ds\":[\"1000 13 2 "
                         "0101010101010101010101010101010101010101010101010101010101010101\"],"
                         "\"ttl\":3601"),
                  "%s", text);
    ck_assert_msg(strstr(text, "\"said\":\"no-answer\""), "%s", text);
    ck_assert_msg(strstr(text, "\"error\":\"cannot connect: Connection refused\""), "%s", text);
    json_free(&j);
    u2 = upper_start(p->asker.ev, P2);
    end();
}
END_TEST

int main(void)
{
    struct suite s = suite_open("parent");
    tcase_add_checked_fixture(s.tcase, setup, teardown);
    suite_add(s, the_set_and_its_ttl);
    tcase_add_loop_test(s.tcase, no_ds, 0, 4);
    tcase_add_loop_test(s.tcase, no_answer, 0, LIES);
    tcase_add_loop_test(s.tcase, told_in_the_end, 0, 4);
    suite_add(s, ds_of_another_name_is_none_of_ours);
    suite_add(s, nobody_listens);
    suite_add(s, signed_questions);
    suite_add(s, ns_of_a_referral);
    suite_add(s, ns_of_no_delegation);
    tcase_add_loop_test(s.tcase, ns_that_are_no_word, 0, NS_LIES);
    tcase_add_loop_test(s.tcase, real_ns, 0, 3);
    suite_add(s, no_ns_without_ds);
    suite_add(s, ns_and_the_child);
    suite_add(s, ns_of_one_are_not_known);
    suite_add(s, ns_that_differ);
    suite_add(s, agreement);
    suite_add(s, one_is_silent);
    suite_add(s, back_off);
    suite_add(s, again_after_the_interval);
    suite_add(s, asked_during_a_round);
    suite_add(s, other_servers);
    suite_add(s, dropped_while_asked);
    suite_add(s, one_parent_of_many_zones);
    suite_add(s, a_dead_parent_of_many_zones);
    suite_add(s, keys_want_it);
    suite_add(s, sets);
    suite_add(s, json);
    return suite_run(s);
}
