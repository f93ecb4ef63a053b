/* text: whole master files, in and out. */
#include "pipeline/base/alloc.h"
#include "pipeline/zone/dnssec.h"
#include "pipeline/zone/name.h"
#include "pipeline/zone/text.h"
#include "tests/lib/suite.h"
#include "tests/lib/vectors.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static void dir_make(void)
{
    strcpy(dir, "/tmp/weir-text-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void dir_drop(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void file_write(const char *name, const char *text)
{
    FILE *out = fopen(path_of(name), "w");
    ck_assert_ptr_nonnull(out);
    fputs(text, out);
    ck_assert_int_eq(fclose(out), 0);
}

static int zone_read(const char *path, const char *apex_text, const struct edit_limits *limits,
                     struct snapshot **out, struct why *why)
{
    uint8_t apex[NAME_MAX_OCTETS];
    ck_assert_int_gt(name_parse(apex_text, apex, NULL), 0);
    struct family *family = family_new(apex);
    struct edit *e = edit_open(family, NULL, NULL);
    if (limits)
        edit_limit(e, limits);
    int err = text_read(path, e, apex, why);
    if (err)
        edit_abort(&e);
    else
        err = edit_seal(&e, out, NULL, why);
    family_unref(family);
    return err;
}

static struct snapshot *zone_load(const char *path, const char *apex)
{
    struct snapshot *s = NULL;
    struct why why = {""};
    ck_assert_msg(zone_read(path, apex, NULL, &s, &why) == 0, "%s", why.text);
    return s;
}

static char *zone_text(const struct snapshot *s)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    ck_assert_ptr_nonnull(out);
    text_print_snapshot(out, s);
    fclose(out);
    return text;
}

/* ---- what a file may say ---- */

START_TEST(test_whole_file)
{
    dir_make();
    file_write("zone", "; a zone\n"
                       "@ IN SOA Ns.Example.ORG. host ( 2024 ; serial\n"
                       "    1h 15m 2w 5m ) ; no TTL: the minimum\n"
                       "  NS ns\n"
                       "  600 IN NS Other.Test.\n"
                       "  IN 700 MX 10 Mail\n"
                       "Ns A 192.0.2.1\n"
                       "$TTL 1d\n"
                       "  CLASS1 AAAA 2001:db8::1\n"
                       "$ORIGIN Sub\n"
                       "@ TXT \"at \\\"sub\\\"\" x\n"
                       "*.W TYPE16 \\# 3 026869\n"
                       "$ORIGIN .\n"
                       "odd\\.dot.example.org in 5 TYPE65400 \\# 2 BEEF\n"
                       "\\065bc.EXAMPLE.org. A 192.0.2.7\n"
                       "$INCLUDE more X.Example.org.\n"
                       "  A 192.0.2.8\n");
    file_write("more", "y A 192.0.2.9\n$ORIGIN z\nw A 192.0.2.10\n");
    struct snapshot *s = zone_load(path_of("zone"), "example.org.");
    char *text = zone_text(s);
    ck_assert_str_eq(
        text,
        "example.org.\t300\tIN\tSOA\tNs.Example.ORG. host.example.org. 2024 3600 900 1209600 300\n"
        "example.org.\t300\tIN\tNS\tns.example.org.\n"
        "example.org.\t300\tIN\tNS\tOther.Test.\n"
        "example.org.\t700\tIN\tMX\t10 Mail.example.org.\n"
        "Abc.EXAMPLE.org.\t86400\tIN\tA\t192.0.2.7\n"
        "Abc.EXAMPLE.org.\t86400\tIN\tA\t192.0.2.8\n"
        "Ns.example.org.\t700\tIN\tA\t192.0.2.1\n"
        "Ns.example.org.\t86400\tIN\tAAAA\t2001:db8::1\n"
        "odd\\.dot.example.org.\t5\tIN\tTYPE65400\t\\# 2 BEEF\n"
        "Sub.example.org.\t86400\tIN\tTXT\t\"at \\\"sub\\\"\" \"x\"\n"
        "*.W.Sub.example.org.\t86400\tIN\tTXT\t\"hi\"\n"
        "y.X.Example.org.\t86400\tIN\tA\t192.0.2.9\n"
        "w.z.X.Example.org.\t86400\tIN\tA\t192.0.2.10\n");
    mem_free(&text);
    snapshot_unref(s);
    dir_drop();
}
END_TEST

/* ---- what it must not ---- */

static void check_error(const char *text, int code, const char *want)
{
    struct snapshot *s = NULL;
    struct why why = {""};
    char full[512];
    file_write("zone", text);
    ck_assert_int_eq(zone_read(path_of("zone"), "example.", NULL, &s, &why), code);
    snprintf(full, sizeof(full), want[0] == '@' ? "%s%s" : "%s:%s", path_of("zone"),
             want + (want[0] == '@'));
    ck_assert_str_eq(why.text, full);
}

START_TEST(test_errors)
{
    static const struct {
        const char *text, *want;
    } at[] = {
        {" A 192.0.2.1\n", "1: the first record has no owner"},
        {"a A 192.0.2.1\n", "1: A of a.example.: no TTL, and no $TTL before"},
        {"\n\na.test. 1 A 192.0.2.1\n", "3: a.test. is outside of the zone example."},
        {"a 1 CH A 192.0.2.1\n", "1: class CH, only IN is taken"},
        {"a 1 CLASS3 A 192.0.2.1\n", "1: class CLASS3, only IN is taken"},
        {"a 1 IN\n", "1: a record without a type"},
        {"a 1 IN NOSUCH x\n", "1: \"NOSUCH\" is neither a TTL nor a class nor a type"},
        {"a 1 IN IN A x\n", "1: \"IN\" is neither a TTL nor a class nor a type"},
        {"a 1 ANY x\n", "1: class ANY, only IN is taken"},
        {"a 1 IN AXFR x\n", "1: type AXFR has no place in a zone"},
        {"a 1 TYPE0 \\# 0\n", "1: type TYPE0 has no place in a zone"},
        {"a 1 TYPE41 \\# 0\n", "1: type TYPE41 has no place in a zone"},
        {"a 2147483648 A 192.0.2.1\n", "1: the TTL \"2147483648\" is over 2147483647"},
        {"a 99999999999 A 192.0.2.1\n", "1: the TTL \"99999999999\" is over 2147483647"},
        {"a 1y A 192.0.2.1\n", "1: \"1y\" is not a TTL"},
        {"$TTL x\n", "1: \"x\" is not a TTL"},
        {"$TTL\n", "1: $TTL wants one value"},
        {"$ORIGIN a b\n", "1: $ORIGIN wants one value"},
        {"$ORIGIN a..b\n", "1: the name \"a..b\": empty label"},
        {"$GENERATE 1-9 a$ A 192.0.2.$\n", "1: the directive $GENERATE is not known"},
        {"$INCLUDE\n", "1: $INCLUDE wants a file and maybe an origin"},
        {"$INCLUDE /etc/passwd\n",
         "1: $INCLUDE \"/etc/passwd\": only paths relative to this file are taken"},
        {"$INCLUDE \"../x\"\n", "1: $INCLUDE \"../x\": \"..\" is not taken"},
        {"$INCLUDE a/../x\n", "1: $INCLUDE \"a/../x\": \"..\" is not taken"},
        {"$INCLUDE a/..\n", "1: $INCLUDE \"a/..\": \"..\" is not taken"},
        {"$INCLUDE \"\"\n", "1: $INCLUDE \"\": not a file name"},
        {"a 1 MX 10\n", "1: MX of a.example.: fields: 1, needed: at least 2"},
        {"a 1 MX ( 66000\n b )\nc\n", "1: MX of a.example.: \"66000\" is not a number of 16 bits"},
        {"x..y 1 A 192.0.2.1\n", "1: the name \"x..y\": empty label"},
        {"a 1 A 192.0.2.1\nb 1 A 192.0.2.256\n",
         "2: A of b.example.: \"192.0.2.256\": ldns: Conversion error, ip4 addr expected"},
        {"a 1 TXT \"x\n", "1: a quoted string is not closed on its line"},
        {"a 1 WALLET x\n",
         "1: WALLET of a.example.: ldns 1.8.3 has no text form for this type; the generic form "
         "serves: \\# length hexadecimal"},
    };
    dir_make();
    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++)
        check_error(at[i].text, -E_FORMAT, at[i].want);
    dir_drop();
}
END_TEST

START_TEST(test_origin_too_long)
{
    char text[512] = "$ORIGIN ", label[64];
    memset(label, 'a', 60);
    label[60] = '\0';
    for (int i = 0; i < 3; i++)
        sprintf(text + strlen(text), "%s.", label);
    sprintf(text + strlen(text), "example.\n%s 1 A 192.0.2.1\n", label);
    dir_make();
    file_write("zone", text);
    struct snapshot *s = NULL;
    struct why why = {""};
    ck_assert_int_eq(zone_read(path_of("zone"), "example.", NULL, &s, &why), 0); /* 253 octets */
    snapshot_unref(s);
    sprintf(text + strlen(text) - strlen(" 1 A 192.0.2.1\n"), "aaa 1 A 192.0.2.1\n");
    file_write("zone", text);
    ck_assert_int_eq(zone_read(path_of("zone"), "example.", NULL, &s, &why), -E_FORMAT);
    ck_assert_ptr_nonnull(strstr(why.text, "with its origin is over 255 octets"));
    dir_drop();
}
END_TEST

START_TEST(test_files_that_cannot_be_read)
{
    struct snapshot *s = NULL;
    struct why why = {""};
    dir_make();
    ck_assert_int_eq(zone_read(path_of("none"), "example.", NULL, &s, &why), -E_IO);
    ck_assert_ptr_nonnull(strstr(why.text, "/none: cannot open: No such file or directory"));
    ck_assert_int_eq(zone_read(dir, "example.", NULL, &s, &why), -E_IO);
    ck_assert_ptr_nonnull(strstr(why.text, ":1: cannot read: Is a directory"));
    dir_drop();
}
END_TEST

START_TEST(test_limits)
{
    struct snapshot *s = NULL;
    struct why why = {""};
    dir_make();
    file_write("zone", "a 1 A 192.0.2.1\na 1 A 192.0.2.2\na 1 A 192.0.2.3\n");
    struct edit_limits limits = {.max_records = 3};
    ck_assert_int_eq(zone_read(path_of("zone"), "example.", &limits, &s, &why), 0);
    snapshot_unref(s);
    limits.max_records = 2;
    ck_assert_int_eq(zone_read(path_of("zone"), "example.", &limits, &s, &why), -E_LIMIT);
    ck_assert_ptr_nonnull(strstr(why.text, "/zone:3: "));
    dir_drop();
}
END_TEST

/* ---- included files ---- */

START_TEST(test_include_errors)
{
    char want[512];
    struct snapshot *s = NULL;
    struct why why = {""};
    dir_make();
    mkdir(path_of("sub"), 0700);
    file_write("sub/one", "\n$INCLUDE two\n");
    file_write("sub/two", "\n\nx 1 A bad\n");
    file_write("zone", "$INCLUDE sub/one\n");
    ck_assert_int_eq(zone_read(path_of("zone"), "example.", NULL, &s, &why), -E_FORMAT);
    snprintf(want, sizeof(want),
             "%s/sub/two:3: A of x.example.: \"bad\": ldns: Conversion error, ip4 addr expected, "
             "included "
             "by %s/sub/one:2, "
             "included by %s/zone:1",
             dir, dir, dir);
    ck_assert_str_eq(why.text, want);

    file_write("zone", "a 1 A 192.0.2.1\n$INCLUDE sub/none\n");
    ck_assert_int_eq(zone_read(path_of("zone"), "example.", NULL, &s, &why), -E_IO);
    snprintf(want, sizeof(want),
             "%s/sub/none: cannot open: No such file or directory, included by %s/zone:2", dir,
             dir);
    ck_assert_str_eq(why.text, want);

    file_write("zone", "$INCLUDE zone\n"); /* itself */
    ck_assert_int_eq(zone_read(path_of("zone"), "example.", NULL, &s, &why), -E_FORMAT);
    ck_assert_ptr_nonnull(
        strstr(why.text, "/zone:1: $INCLUDE \"zone\": more than 8 files deep, included by "));
    dir_drop();
}
END_TEST

START_TEST(test_include_scope)
{
    dir_make();
    file_write("zone",
               "@ 1 SOA a b 1 2 3 4 5\na 1 A 192.0.2.1\n$ORIGIN o\n$INCLUDE \"inner\"\n AAAA ::1\n"
               "c A 192.0.2.3\n");
    file_write("inner", " TXT owner\nb A 192.0.2.2\n$ORIGIN deep\n$TTL 9\nd A 192.0.2.4\n");
    struct snapshot *s = zone_load(path_of("zone"), "example.");
    char *text = zone_text(s);
    ck_assert_str_eq(text, "example.\t1\tIN\tSOA\ta.example. b.example. 1 2 3 4 5\n"
                           "a.example.\t1\tIN\tA\t192.0.2.1\n"
                           "a.example.\t1\tIN\tTXT\t\"owner\"\n"
                           "a.example.\t9\tIN\tAAAA\t::1\n"
                           "b.o.example.\t1\tIN\tA\t192.0.2.2\n"
                           "c.o.example.\t9\tIN\tA\t192.0.2.3\n"
                           "d.deep.o.example.\t9\tIN\tA\t192.0.2.4\n");
    mem_free(&text);
    snapshot_unref(s);
    dir_drop();
}
END_TEST

/* ---- real zones ---- */

static const struct {
    const char *file, *apex;
    size_t records;
    unsigned signatures;
} zones[] = {
    {"root-2018080101.zone.xz", ".", 22540, 2942},
    {"root-2018080200.zone.xz", ".", 22540, 2942},
    {"root-2024072600.zone.xz", ".", 24974, 2795},
    {"root-2024073100.zone.xz", ".", 25018, 2795},
    {"opendnssec.se-2013b.zone", "opendnssec.se.", 50, 26},
    {"nsd-nsec3-resalt-old.zone", "example.net.", 39, 13},
    {"nsd-nsec3-resalt-new.zone", "example.net.", 39, 13},
    {"uri.arpa-rfc8976.zone", "uri.arpa.", 35, 15},
};
enum { ZONES = sizeof(zones) / sizeof(zones[0]) };

static void check_equal(const struct snapshot *a, const struct snapshot *b)
{
    struct snapshot_iter i, j;
    const struct node *x = snapshot_first(&i, a), *y = snapshot_first(&j, b);
    for (; x && y; x = snapshot_next(&i), y = snapshot_next(&j))
        ck_assert(node_equal(x, y));
    ck_assert(!x && !y);
}

/* Every record that ldns reads from the file is in the snapshot, octet for octet (case of names too). */
static void check_against_ldns(const char *path, const struct snapshot *s)
{
    size_t n;
    struct record *records = records_read(path, &n);
    for (size_t i = 0; i < n; i++) {
        const struct record *r = &records[i];
        const struct node *node = snapshot_get(s, r->owner);
        struct rrset set;
        struct rdata rdata;
        bool found = false;
        ck_assert_ptr_nonnull(node);
        ck_assert(node_rrset(node, r->type, r->type == RR_RRSIG ? get_u16(r->rdata) : 0, &set));
        ck_assert_uint_eq(set.ttl, r->ttl);
        for (const uint8_t *p = set.rdata; !found && rrset_next(&set, &p, &rdata);)
            found = rdata.len == r->len && !memcmp(rdata.data, r->rdata, r->len);
        ck_assert(found);
    }
    for (size_t i = 0; i < n; i++)
        record_free(&records[i]);
    mem_free(&records);
}

/* Verifies every signature of a version by whichever apex key has its tag. Returns how many there are. */
static unsigned check_signatures(const struct snapshot *s)
{
    struct dnssec_key *key[8];
    struct rrset keys, sigs, set;
    struct rdata r;
    unsigned nkeys = 0, checked = 0;
    ck_assert(node_rrset(snapshot_apex(s), RR_DNSKEY, 0, &keys));
    for (const uint8_t *p = keys.rdata; rrset_next(&keys, &p, &r);)
        ck_assert_int_eq(dnssec_key_open(r.data, r.len, &key[nkeys++], NULL), 0);
    struct dnssec_scratch *scratch = dnssec_scratch_new();
    struct snapshot_iter it;
    for (const struct node *node = snapshot_first(&it, s); node; node = snapshot_next(&it))
        for (unsigned i = 0; i < node->nrrsets; i++) {
            node_rrset_at(node, i, &sigs);
            if (sigs.type != RR_RRSIG || !node_rrset(node, sigs.covered, 0, &set))
                continue;
            for (const uint8_t *p = sigs.rdata; rrset_next(&sigs, &p, &r); checked++) {
                struct rrsig sig;
                enum dnssec_result result = DNSSEC_UNSUPPORTED;
                ck_assert(rrsig_parse(r.data, r.len, &sig));
                for (unsigned k = 0; k < nkeys && result != DNSSEC_VALID; k++)
                    if (dnssec_key_info(key[k])->tag == sig.tag)
                        result =
                            dnssec_verify(scratch, key[k], node_name(node), &set, r.data, r.len);
                ck_assert_int_eq(result, DNSSEC_VALID);
            }
        }
    while (nkeys)
        dnssec_key_close(&key[--nkeys]);
    dnssec_scratch_free(&scratch);
    return checked;
}

START_TEST(test_real_zone)
{
    char command[1024], file[256];
    dir_make();
    snprintf(file, sizeof(file), "data/zones/%s", zones[_i].file);
    snprintf(command, sizeof(command), "%s %s > %s", strstr(file, ".xz") ? "xz -dc" : "cat",
             shared_path(file), path_of("zone"));
    ck_assert_int_eq(system(command), 0);
    struct snapshot *s = zone_load(path_of("zone"), zones[_i].apex);
    ck_assert_uint_eq(s->records, zones[_i].records);
    check_against_ldns(path_of("zone"), s);
    ck_assert_uint_eq(check_signatures(s), zones[_i].signatures);

    char *text = zone_text(s);
    file_write("again", text);
    struct snapshot *again = zone_load(path_of("again"), zones[_i].apex);
    check_equal(s, again);
    char *text_again = zone_text(again);
    ck_assert(strcmp(text, text_again) == 0);
    ck_assert(strstr(text, "\tSOA\t") < strchr(text, '\n'));
    mem_free(&text);
    mem_free(&text_again);
    snapshot_unref(s);
    snapshot_unref(again);
    dir_drop();
}
END_TEST

/* ---- printing ---- */

START_TEST(test_print_rr)
{
    struct record r = record_of("Www.Example. 300 IN MX 10 Mail.Example.");
    char *text = text_print_rr(r.owner, r.type, 4294967295u, r.rdata, r.len);
    ck_assert_str_eq(text, "Www.Example.\t4294967295\tIN\tMX\t10 Mail.Example.");
    mem_free(&text);
    text = text_print_rr(r.owner, 65400, 0, r.rdata, 2);
    ck_assert_str_eq(text, "Www.Example.\t0\tIN\tTYPE65400\t\\# 2 000A");
    mem_free(&text);
    record_free(&r);
}
END_TEST

START_TEST(test_print_node)
{
    struct record r[] = {record_of("a. 5 IN TXT \"x\""),
                         record_of("a. 6 IN RRSIG TXT 13 1 5 2 1 7 . AQID"),
                         record_of("a. 7 IN A 192.0.2.2"), record_of("a. 7 IN A 192.0.2.1")};
    struct node *node = node_of(r, 4);
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    text_print_node(out, node);
    fclose(out);
    ck_assert_str_eq(text,
                     "a.\t7\tIN\tA\t192.0.2.1\na.\t7\tIN\tA\t192.0.2.2\na.\t5\tIN\tTXT\t\"x\"\n"
                     "a.\t6\tIN\tRRSIG\tTXT 13 1 5 19700101000002 19700101000001 7 . AQID\n");
    mem_free(&text);
    node_unref(node);
    for (int i = 0; i < 4; i++)
        record_free(&r[i]);
}
END_TEST

START_TEST(test_time)
{
    static const struct {
        const char *text;
        int err;
        time_t want;
    } at[] = {
        {"0", 0, 0},
        {"1533139260", 0, 1533139260},
        {"20180801160100", 0, 1533139260},
        {"19700101000000", 0, 0},
        {"20240229235959", 0, 1709251199},
        {"21060207062816", 0, 4294967296},
        {"20230229000000", -E_FORMAT, 0},
        {"20241301000000", -E_FORMAT, 0},
        {"20240100000000", -E_FORMAT, 0},
        {"20240101240000", -E_FORMAT, 0},
        {"20240101006000", -E_FORMAT, 0},
        {"20240101000060", -E_FORMAT, 0},
        {"19691231235959", -E_FORMAT, 0},
        {"202401010000000", -E_FORMAT, 0},
        {"", -E_FORMAT, 0},
        {"-1", -E_FORMAT, 0},
        {"now", -E_FORMAT, 0},
        {"2024-01-01", -E_FORMAT, 0},
        {"1 ", -E_FORMAT, 0},
    };
    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        time_t got = 0;
        ck_assert_msg(text_time(at[i].text, &got) == at[i].err, "%s", at[i].text);
        ck_assert_int_eq(got, at[i].want);
    }
}
END_TEST

int main(void)
{
    struct suite s = suite_open("text");
    suite_add(s, test_whole_file);
    suite_add(s, test_errors);
    suite_add(s, test_origin_too_long);
    suite_add(s, test_files_that_cannot_be_read);
    suite_add(s, test_limits);
    suite_add(s, test_include_errors);
    suite_add(s, test_include_scope);
    tcase_add_loop_test(s.tcase, test_real_zone, 0, ZONES);
    suite_add(s, test_print_rr);
    suite_add(s, test_print_node);
    suite_add(s, test_time);
    return suite_run(s);
}
