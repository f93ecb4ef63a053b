/* notify: what secondaries hear, and what becomes of their answers. The secondaries are sockets of the test; zones come
 * from files. Time-outs are the shortest that can be configured. */
#include "pipeline/net/notify.h"

#include "pipeline/base/alloc.h"
#include "pipeline/base/json.h"
#include "tests/lib/daemon.h"
#include "tests/lib/home.h"
#include "tests/lib/suite.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define Z  "a.example."
#define S1 "HOST1@15440"
#define S2 "HOST1@15441"

static struct daemon d;
static char dir[64], path[128];
static unsigned port6 = 53; /* on ::1, of which there is one for all */
static struct msg_reader reader;

static void setup(void)
{
    snprintf(dir, sizeof dir, "/tmp/weir-notify-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/zone", dir);
}

static void teardown(void)
{
    unlink(path);
    rmdir(dir);
}

static void zone_write(unsigned serial)
{
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fprintf(f, "$TTL 300\n@ SOA Ns h %u 1 1 1 1\n@ NS Ns\n", serial);
    ck_assert_int_eq(fclose(f), 0);
}

static const char *conf_of(unsigned nzones, const char *notify, const char *more)
{
    static char *text;
    size_t len;
    free(text);
    FILE *f = open_memstream(&text, &len);
    fprintf(f,
            "server = { listen = (\"127.0.0.1@15499\"); };\n"
            "remotes = ( { name = \"s1\"; address = \"" S1 "\"; },\n"
            "            { name = \"s2\"; address = \"" S2 "\"; source = \"HOST3\"; },\n"
            "            { name = \"s6\"; address = \"::1@%u\"; source = \"::1\"; } );\n"
            "zones = (\n",
            port6);
    for (unsigned i = 0; i < nzones; i++) {
        char name[32] = Z;
        if (i)
            snprintf(name, sizeof name, "z%u.example.", i);
        fprintf(f, "%s{ name = \"%s\"; file = \"%s\"; notify = (%s); chain = (); %s }",
                i ? ",\n" : "", name, path, notify, more);
    }
    fprintf(f, ");\n");
    fclose(f);
    return text;
}

/* ---- a secondary */

struct heard {
    struct address from;
    uint8_t msg[1024];
    size_t len;
    uint32_t serial;
};

static int secondary(const char *at)
{
    struct address a;
    struct why why;
    ck_assert_int_eq(address_parse(home(at), 53, &a, &why), 0);
    int fd = socket(a.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, &a.sa, a.len), 0);
    return fd;
}

static int secondary6(void)
{
    struct address a = {.v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT},
                        .len = sizeof a.v6};
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, &a.sa, a.len), 0);
    ck_assert_int_eq(getsockname(fd, &a.sa, &a.len), 0);
    port6 = ntohs(a.v6.sin6_port);
    return fd;
}

/* Reads one NOTIFY and checks its form. False: there is none now. */
static bool hears(int fd, struct heard *h)
{
    uint8_t name[NAME_MAX_OCTETS];
    uint16_t type, class;
    struct rr rr;
    struct why why;
    h->from.len = sizeof h->from.v6;
    ssize_t n = recvfrom(fd, h->msg, sizeof h->msg, 0, &h->from.sa, &h->from.len);
    if (n < 0)
        return false;
    h->len = (size_t)n;
    ck_assert_int_eq(msg_open(&reader, h->msg, h->len, &why), 0);
    ck_assert_uint_eq(reader.flags, OPCODE_NOTIFY << 11 | MSG_AA);
    ck_assert_uint_eq(reader.count[SECTION_QUESTION], 1);
    ck_assert_uint_eq(reader.count[SECTION_ANSWER], 1);
    ck_assert_uint_eq(reader.count[SECTION_AUTHORITY] + reader.count[SECTION_ADDITIONAL], 0);
    ck_assert_int_gt(msg_question(&reader, name, &type, &class, &why), 0);
    ck_assert_uint_eq(type, RR_SOA);
    ck_assert_uint_eq(class, CLASS_IN);
    ck_assert_int_eq(msg_next(&reader, &rr, &why), 1);
    ck_assert(name_equal(rr.owner, name) && rr.type == RR_SOA && rr.ttl == 300);
    ck_assert(memcmp(rr.rdata, "\2Ns", 3) == 0); /* as in the zone, case too */
    h->serial = get_u32(rr.rdata + rr.len - 20);
    ck_assert_int_eq(msg_next(&reader, &rr, &why), 0);
    return true;
}

static void reply(int fd, struct heard *h, unsigned rcode)
{
    h->msg[2] |= 0x80;
    h->msg[3] = (uint8_t)rcode;
    ck_assert_int_eq(sendto(fd, h->msg, h->len, 0, &h->from.sa, h->from.len), (ssize_t)h->len);
}

static const char *json_of(const char *zone)
{
    static struct json *j;
    json_free(&j);
    j = json_new();
    json_object(j, NULL);
    notify_json(d.server.notify, daemon_zone(&d, zone), j);
    json_end(j);
    return json_text(j, NULL);
}

static bool json_has(const char *zone, const char *text)
{
    return strstr(json_of(zone), home(text)) != NULL;
}

/* ---- tests */

/* RFC 1996 4.2: only what is published is told; 3.7: with the new SOA. */
START_TEST(told_and_acknowledged)
{
    struct heard h;
    int fd = secondary(S1);
    zone_write(10);
    daemon_open(&d, 1, conf_of(1, "\"s1\"", ""), NULL);
    ck_assert_str_eq(json_of(Z), "{\"secondaries\":[]}");
    UNTIL(&d, hears(fd, &h));
    ck_assert_uint_eq(h.serial, 10);
    ck_assert(daemon_serves(&d, Z, 10)); /* it is published before it is told */
    ck_assert(json_has(Z,
                       "{\"name\":\"s1\",\"address\":\"" S1 "\",\"state\":\"sent\",\"serial\":10,"
                       "\"tries\":1,"));
    reply(fd, &h, RCODE_NOERROR);
    UNTIL(&d, json_has(Z, "\"state\":\"acked\""));
    ck_assert_uint_eq(daemon_said(&d, "info secondary notified zone=a.example. secondary=s1"), 1);
    ck_assert_uint_eq(daemon_zone(&d, Z)->counters.notify_out, 1);
    ck_assert_uint_eq(daemon_zone(&d, Z)->counters.notify_out_failed, 0);
    close(fd);
    daemon_close(&d);
}
END_TEST

/* RFC 1996 3.6: again until answered; its defaults are in config_test. */
START_TEST(sent_again_until_answered)
{
    struct heard h, again;
    int fd = secondary(S1);
    zone_write(10);
    daemon_open(&d, 1, conf_of(1, "\"s1\"", "notify_timeout = 1;"), NULL);
    UNTIL(&d, hears(fd, &h));
    double first = daemon_now();
    UNTIL(&d, hears(fd, &again));
    double second = daemon_now();
    UNTIL(&d, hears(fd, &again));
    ck_assert(second - first > 0.95 && daemon_now() - second > 1.95); /* 1 s, 2 s */
    ck_assert_uint_eq(get_u16(h.msg), get_u16(again.msg));
    ck_assert(json_has(Z, "\"tries\":3"));
    reply(fd, &h, RCODE_NOERROR); /* a late answer to the first try is an answer */
    UNTIL(&d, json_has(Z, "\"state\":\"acked\""));
    ck_assert_uint_eq(daemon_zone(&d, Z)->counters.notify_out, 1);
    close(fd);
    daemon_close(&d);
}
END_TEST

/* RFC 1996 3.6: a number of tries. */
START_TEST(given_up)
{
    struct heard h;
    int fd = secondary(S1);
    zone_write(10);
    daemon_open(&d, 1, conf_of(1, "\"s1\"", "notify_timeout = 1; notify_retries = 1;"), NULL);
    UNTIL(&d, json_has(Z, "\"state\":\"failed\""));
    ck_assert(hears(fd, &h) && hears(fd, &h) && !hears(fd, &h));
    ck_assert(json_has(Z, "\"error\":\"no answer\""));
    ck_assert_uint_eq(daemon_zone(&d, Z)->counters.notify_out_failed, 1);
    ck_assert_uint_eq(daemon_said(&d, "warn secondary was not notified"), 1);
    ck_assert_uint_eq(daemon_said(&d, "serial=10 tries=2 why=\"no answer\" failures_in_a_row=1"),
                      1);
    reply(fd, &h, RCODE_NOERROR); /* nobody waits for it any more */
    zone_write(11);
    daemon_reload(&d, conf_of(1, "\"s1\"", ""));
    UNTIL(&d, hears(fd, &h) && h.serial == 11); /* the next version tries again */
    close(fd);
    daemon_close(&d);
}
END_TEST

/* RFC 1996 4.7: an answer ends it, whatever it says; but a failure may pass. */
START_TEST(answers_that_are_no)
{
    static const struct {
        unsigned rcode;
        bool stops;
        const char *error;
    } row[] = {
        {RCODE_REFUSED, true, "it answered with RCODE REFUSED"},
        {RCODE_NOTIMP, true, "it answered with RCODE NOTIMP"},
        {RCODE_SERVFAIL, false, "it answered with RCODE SERVFAIL"},
    };
    struct heard h;
    int fd = secondary(S1);
    zone_write(10);
    daemon_open(&d, 1, conf_of(1, "\"s1\"", "notify_timeout = 1;"), NULL);
    UNTIL(&d, hears(fd, &h));
    reply(fd, &h, row[_i].rcode);
    UNTIL(&d, json_has(Z, row[_i].error));
    ck_assert(json_has(Z, row[_i].stops ? "\"state\":\"failed\"" : "\"state\":\"sent\""));
    ck_assert_uint_eq(daemon_zone(&d, Z)->counters.notify_out_failed, row[_i].stops);
    if (!row[_i].stops) {
        UNTIL(&d, hears(fd, &h));
        reply(fd, &h, RCODE_NOERROR);
        UNTIL(&d, json_has(Z, "\"state\":\"acked\""));
        ck_assert(!json_has(Z, "error"));
    }
    close(fd);
    daemon_close(&d);
}
END_TEST

/* RFC 1996 4.7, 4.8: only the secondary's own answer to this NOTIFY counts. */
START_TEST(forged_answers_are_dropped)
{
    struct heard h, forged;
    int fd = secondary(S1), other = secondary(S2);
    zone_write(10);
    daemon_open(&d, 1, conf_of(2, "\"s1\"", ""), NULL);
    UNTIL(&d, hears(fd, &h));
    bool is_a = h.msg[13] == 'a';
    const char *zone = is_a ? Z : "z1.example.", *other_zone = is_a ? "z1.example." : Z;
    forged = h;
    put_u16(forged.msg, (uint16_t)(get_u16(h.msg) + 1)); /* another ID */
    reply(fd, &forged, RCODE_NOERROR);
    forged = h;
    reply(other, &forged, RCODE_NOERROR); /* another port */
    forged = h;
    forged.msg[13] ^= 1; /* another zone */
    reply(fd, &forged, RCODE_NOERROR);
    forged = h;
    forged.len = 11; /* half a header */
    reply(fd, &forged, RCODE_NOERROR);
    forged = h;
    forged.msg[2] = 0x80; /* another opcode */
    reply(fd, &forged, RCODE_NOERROR);
    struct heard second; /* the other zone's answer shows that all of them have been read */
    UNTIL(&d, hears(fd, &second));
    reply(fd, &second, RCODE_NOERROR);
    UNTIL(&d, json_has(other_zone, "\"state\":\"acked\""));
    ck_assert(json_has(zone, "\"state\":\"sent\""));
    reply(fd, &h, RCODE_NOERROR);
    UNTIL(&d, json_has(zone, "\"state\":\"acked\""));
    close(fd);
    close(other);
    daemon_close(&d);
}
END_TEST

/* RFC 1996 4.4 */
START_TEST(newer_version_replaces_what_is_outstanding)
{
    struct heard old, new;
    int fd = secondary(S1);
    zone_write(10);
    daemon_open(&d, 1, conf_of(1, "\"s1\"", ""), NULL);
    UNTIL(&d, hears(fd, &old));
    zone_write(11);
    daemon_reload(&d, conf_of(1, "\"s1\"", ""));
    UNTIL(&d, hears(fd, &new));
    ck_assert_uint_eq(new.serial, 11);
    if (get_u16(old.msg) != get_u16(new.msg)) {
        reply(fd, &old, RCODE_NOERROR);
        for (int i = 0; i < 20; i++)
            daemon_turn(&d);
        ck_assert(json_has(Z, "\"state\":\"sent\",\"serial\":11,\"tries\":1"));
    }
    reply(fd, &new, RCODE_NOERROR);
    UNTIL(&d, json_has(Z, "\"state\":\"acked\",\"serial\":11"));
    close(fd);
    daemon_close(&d);
}
END_TEST

START_TEST(source_and_ipv6)
{
    struct heard h;
    char text[ADDRESS_TEXT_MAX];
    int fd1 = secondary(S1), fd2 = secondary(S2), fd6 = secondary6();
    zone_write(10);
    daemon_open(&d, 1, conf_of(1, "\"s1\", \"s2\", \"s6\"", ""), NULL);
    UNTIL(&d, hears(fd1, &h));
    ck_assert_str_eq(address_print_host(&h.from, text), "127.0.0.1");
    reply(fd1, &h, RCODE_NOERROR);
    UNTIL(&d, hears(fd2, &h));
    ck_assert_str_eq(address_print_host(&h.from, text), home("HOST3"));
    reply(fd2, &h, RCODE_NOERROR);
    UNTIL(&d, hears(fd6, &h));
    ck_assert_str_eq(address_print_host(&h.from, text), "::1");
    reply(fd6, &h, RCODE_NOERROR);
    UNTIL(&d, daemon_said(&d, "info secondary notified") == 3);
    close(fd1);
    close(fd2);
    close(fd6);
    daemon_close(&d);
}
END_TEST

/* ---- versions by the dozen */

/* Serials end in 0, or the chain would not pass them. */
static void submit(uint32_t serial)
{
    struct zone *z = daemon_zone(&d, Z);
    struct edit *e = edit_open(z->family, NULL, NULL);
    uint8_t rdata[] = "\2Ns\0\0\0\0\0\0\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1";
    struct snapshot *s;
    put_u32(rdata + 5, serial);
    ck_assert_int_eq(edit_add(e, z->name, RR_SOA, 300, rdata, 25, NULL), 0);
    ck_assert_int_eq(edit_seal(&e, &s, NULL, NULL), 0);
    zone_submit(z, s, NULL, NULL, "test");
    snapshot_unref(s);
}

/* RFC 1996 4.2: after it is published; and at once. The best of a few, for the machine may have other things to do. */
START_TEST(told_within_a_millisecond)
{
    struct heard h;
    double best = 1;
    int fd = secondary(S1);
    zone_write(10);
    daemon_open(&d, 1, conf_of(1, "\"s1\"", ""), NULL);
    UNTIL(&d, hears(fd, &h));
    for (uint32_t serial = 20; serial < 500; serial += 10) {
        reply(fd, &h, RCODE_NOERROR);
        UNTIL(&d, json_has(Z, "\"state\":\"acked\""));
        submit(serial);
        double began = daemon_now();
        UNTIL(&d, hears(fd, &h));
        best = daemon_now() - began < best ? daemon_now() - began : best;
        ck_assert_uint_eq(h.serial, serial);
        ck_assert(daemon_serves(&d, Z, serial));
    }
    ck_assert_msg(best < 0.001, "%.6f s", best);
    close(fd);
    daemon_close(&d);
}
END_TEST

/* RFC 1996 4.4: one is outstanding at a time: who does not answer is told of the newest ten times a second, who answers at once. */
START_TEST(versions_in_a_row)
{
    struct heard h;
    int fd = secondary(S1);
    zone_write(10);
    daemon_open(&d, 1, conf_of(1, "\"s1\"", ""), NULL);
    UNTIL(&d, hears(fd, &h));
    double began = daemon_now();
    unsigned heard = 1;
    for (uint32_t serial = 20; serial < 3020; serial += 10) {
        submit(serial);
        UNTIL(&d, daemon_serves(&d, Z, serial));
        heard += hears(fd, &h);
    }
    UNTIL(&d, h.serial == 3010 || hears(fd, &h));
    ck_assert_uint_le(heard, 2 + (unsigned)((daemon_now() - began) / 0.1));
    ck_assert(json_has(Z, "\"state\":\"sent\",\"serial\":3010,\"tries\":1"));
    ck_assert(!json_has(Z, "answered"));

    for (uint32_t serial = 3020; serial < 3120; serial += 10)
        submit(serial);
    UNTIL(&d, daemon_serves(&d, Z, 3110));
    began = daemon_now();
    reply(fd, &h, RCODE_NOERROR); /* for 3010: what waits goes out now */
    UNTIL(&d, hears(fd, &h));
    ck_assert_uint_eq(h.serial, 3110);
    ck_assert(json_has(Z, "\"answered_serial\":3010}"));
    reply(fd, &h, RCODE_NOERROR);
    UNTIL(&d, json_has(Z, "\"answered_serial\":3110}"));
    for (int i = 0; i < 20; i++)
        daemon_turn(&d);
    ck_assert(!hears(fd, &h));
    ck_assert_uint_eq(daemon_zone(&d, Z)->counters.notify_out_failed, 0);
    close(fd);
    daemon_close(&d);
}
END_TEST

/* RFC 1996 4.3: the first hundred at once, the others over the next moments, none is lost. */
START_TEST(mass_is_spread)
{
    enum { ZONES = 150 };
    struct heard h;
    unsigned heard = 0;
    int fd = secondary(S1), room = 4 << 20;
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room), 0);
    zone_write(10);
    daemon_open(&d, 1, conf_of(ZONES, "\"s1\"", ""), NULL);
    UNTIL(&d, d.events[ZONE_ACCEPTED] == ZONES);
    while (hears(fd, &h)) {
        heard++;
        reply(fd, &h, RCODE_NOERROR);
    }
    ck_assert_uint_ge(heard, 100);
    while (heard < ZONES) {
        UNTIL(&d, hears(fd, &h));
        reply(fd, &h, RCODE_NOERROR);
        heard++;
    }
    UNTIL(&d, daemon_said(&d, "info secondary notified") == ZONES);
    close(fd);
    daemon_close(&d);
}
END_TEST

START_TEST(dropped_while_outstanding)
{
    struct heard h;
    int fd = secondary(S1);
    zone_write(10);
    daemon_open(&d, 1, conf_of(2, "\"s1\"", ""), NULL);
    UNTIL(&d, hears(fd, &h));
    UNTIL(&d, d.events[ZONE_ACCEPTED] == 2);
    daemon_reload(&d, conf_of(1, "\"s1\"", ""));
    reply(fd, &h, RCODE_NOERROR);
    for (int i = 0; i < 20; i++)
        daemon_turn(&d);
    daemon_reload(&d, conf_of(1, "", "")); /* nobody is to be told any more */
    zone_write(11);
    daemon_reload(&d, conf_of(1, "", ""));
    UNTIL(&d, daemon_serves(&d, Z, 11));
    UNTIL(&d, !strcmp(json_of(Z), "{\"secondaries\":[]}"));
    close(fd);
    daemon_close(&d); /* the other one is still outstanding */
}
END_TEST

int main(void)
{
    struct suite s = suite_open("notify");
    tcase_add_checked_fixture(s.tcase, setup, teardown);
    suite_add(s, told_and_acknowledged);
    suite_add(s, sent_again_until_answered);
    suite_add(s, given_up);
    tcase_add_loop_test(s.tcase, answers_that_are_no, 0, 3);
    suite_add(s, forged_answers_are_dropped);
    suite_add(s, newer_version_replaces_what_is_outstanding);
    suite_add(s, source_and_ipv6);
    suite_add(s, told_within_a_millisecond);
    suite_add(s, versions_in_a_row);
    suite_add(s, mass_is_spread);
    suite_add(s, dropped_while_outstanding);
    return suite_run(s);
}
