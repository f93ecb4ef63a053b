/* dnssec_zonemd: the simple example of RFC 8976 A.1, and what the digest depends on and what not. Real zones are in
 * tests/laws/realzones_test, zones digested by ldns-signzone among the golden cases. */
#include "tests/lib/suite.h"
#include "tests/lib/vectors.h"

#include "pipeline/zone/dnssec.h"

#include <string.h>

static const char *const apex_lines[] = {
    "example. 86400 IN SOA ns1.example. admin.example. 2018031900 1800 900 604800 86400",
    "example. 86400 IN NS ns1.example.",
    "example. 86400 IN NS ns2.example.",
    "example. 86400 IN ZONEMD 2018031900 1 1 "
    "c68090d90a7aed716bc459f9340e3d7c1370d4d24b7e2fc3a1ddc0b9a87153b9a9713b3c9ae5cc27777f98b8e73004"
    "4c",
};
static const char *const rrsig_lines[] = {
    "example. 86400 IN RRSIG ZONEMD 13 1 86400 20240131000000 20240101000000 44461 example. AAAA",
    "ns1.example. 3600 IN RRSIG ZONEMD 13 1 86400 20240131000000 20240101000000 44461 example. "
    "AAAA",
};
static const char *const ns_lines[] = {"ns1.example. 3600 IN A 203.0.113.63",
                                       "ns2.example. 3600 IN AAAA 2001:db8::63"};
enum { APEX_LINES = sizeof(apex_lines) / sizeof(apex_lines[0]) };

/* The example, with up to three of its lines replaced, and more at the apex and at ns1. */
struct zone {
    const char *apex[APEX_LINES + 2], *ns1[2], *ns2[2];
    uint8_t hash;
};

static struct zone zone_example(void)
{
    struct zone zone = {.ns1 = {ns_lines[0]}, .ns2 = {ns_lines[1]}, .hash = 1};
    memcpy(zone.apex, apex_lines, sizeof(apex_lines));
    return zone;
}

static void digest_add(struct dnssec_zonemd *digest, const char *const *line)
{
    struct record record[APEX_LINES + 2] = {0};
    size_t n = 0;
    for (; n < APEX_LINES + 2 && line[n]; n++)
        record[n] = record_of(line[n]);
    struct node *node = node_of(record, n);
    dnssec_zonemd_add(digest, node);
    node_unref(node);
    while (n > 0)
        record_free(&record[--n]);
}

static void zone_digest(const struct zone *zone, uint8_t out[DNSSEC_ZONEMD_MAX])
{
    static const uint8_t apex[] = "\7EXAMPLE";
    const char *ns2[3] = {zone->ns2[0], zone->ns2[1]}, *ns1[3] = {zone->ns1[0], zone->ns1[1]};
    const char *top[APEX_LINES + 3] = {0};
    memcpy(top, zone->apex, sizeof(zone->apex));
    memset(out, 0, DNSSEC_ZONEMD_MAX);
    struct dnssec_zonemd *digest = dnssec_zonemd_begin(apex, zone->hash);
    digest_add(digest, top);
    digest_add(digest, ns1);
    digest_add(digest, ns2);
    ck_assert(dnssec_zonemd_end(&digest, out));
    ck_assert_ptr_null(digest);
}

static bool same_as_example(const struct zone *zone)
{
    uint8_t got[DNSSEC_ZONEMD_MAX], want[DNSSEC_ZONEMD_MAX];
    struct zone example = zone_example();
    zone_digest(&example, want);
    zone_digest(zone, got);
    return memcmp(got, want, sizeof(got)) == 0;
}

START_TEST(test_example)
{
    struct zone zone = zone_example();
    uint8_t got[DNSSEC_ZONEMD_MAX];
    zone_digest(&zone, got);
    struct record zonemd = record_of(apex_lines[3]);
    ck_assert_uint_eq(zonemd.len, 6 + dnssec_zonemd_len(1));
    ck_assert_mem_eq(got, zonemd.rdata + 6, dnssec_zonemd_len(1));
    record_free(&zonemd);
    ck_assert_uint_eq(dnssec_zonemd_len(0), 0);
    ck_assert_uint_eq(dnssec_zonemd_len(2), 64);
    ck_assert_uint_eq(dnssec_zonemd_len(3), 0);
}
END_TEST

START_TEST(test_left_out)
{
    struct zone zone = zone_example();
    zone.apex[3] = NULL; /* no ZONEMD */
    ck_assert(same_as_example(&zone));
    zone = zone_example();
    zone.apex[4] = rrsig_lines[0];
    ck_assert(same_as_example(&zone));
    zone = zone_example();
    zone.apex[0] =
        "eXample. 86400 IN SOA NS1.example. admin.EXAMPLE. 2018031900 1800 900 604800 86400";
    ck_assert(same_as_example(&zone)); /* the case of letters */
    zone = zone_example();
    zone.apex[4] = apex_lines[1]; /* twice the same */
    ck_assert(same_as_example(&zone));
}
END_TEST

START_TEST(test_counts)
{
    struct zone zone = zone_example();
    zone.ns1[1] =
        rrsig_lines[1]; /* a signature over ZONEMD below the apex is data like any other */
    ck_assert(!same_as_example(&zone));
    zone = zone_example();
    zone.ns1[0] = "ns1.example. 3601 IN A 203.0.113.63";
    ck_assert(!same_as_example(&zone));
    zone = zone_example();
    zone.ns1[0] = "ns1.example. 3600 IN A 203.0.113.62";
    ck_assert(!same_as_example(&zone));
    zone = zone_example();
    zone.ns2[1] = "ns2.example. 3600 IN ZONEMD 2018031900 1 1 c68090d90a7aed716bc459f9";
    ck_assert(!same_as_example(&zone));
    zone = zone_example();
    zone.hash = 2;
    ck_assert(!same_as_example(&zone));
}
END_TEST

int main(void)
{
    struct suite s = suite_open("dnssec_zonemd");
    suite_add(s, test_example);
    suite_add(s, test_left_out);
    suite_add(s, test_counts);
    return suite_run(s);
}
