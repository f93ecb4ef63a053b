/* text_rdata: entries and rdata, from text and back. */
#include "pipeline/base/alloc.h"
#include "pipeline/zone/name.h"
#include "pipeline/zone/rrtype.h"
#include "pipeline/zone/text_field.h"
#include "pipeline/zone/text_rdata.h"
#include "tests/lib/random.h"
#include "tests/lib/suite.h"
#include "tests/lib/vectors.h"

#include <string.h>

static FILE *text_open(const char *text)
{
    FILE *in = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    ck_assert_ptr_nonnull(in);
    return in;
}

/* ---- entries ---- */

/* Each entry as "line[*]|token|token…", one a line; an error as "!line text". */
static void entries_print(const char *text, char *out, size_t cap)
{
    FILE *in = text_open(text);
    struct text_entry e;
    struct why why = {""};
    unsigned line = 1;
    size_t n = 0;
    int got;
    out[0] = '\0';
    text_entry_init(&e);
    while ((got = text_entry_read(&e, in, &line, &why)) > 0) {
        n += (size_t)snprintf(out + n, cap - n, "%u%s", e.line, e.owner_omitted ? "*" : "");
        for (unsigned i = 0; i < e.n; i++) {
            ck_assert_uint_eq(e.token[i].len, strlen(e.token[i].s));
            n += (size_t)snprintf(out + n, cap - n, "|%s", e.token[i].s);
        }
        n += (size_t)snprintf(out + n, cap - n, "\n");
    }
    if (got < 0)
        snprintf(out + n, cap - n, "!%u %d %s", e.line, got, why.text);
    text_entry_fini(&e);
    fclose(in);
}

START_TEST(test_entries)
{
    static const struct {
        const char *text, *want;
    } at[] = {
        {"a b c\n", "1|a|b|c\n"},
        {"a b c", "1|a|b|c\n"},
        {"\n\n  \n; all\n;\na b\n", "6|a|b\n"},
        {"  b\n\tc ; d e\nf;g\n", "1*|b\n2*|c\n3|f\n"},
        {"a\r\nb c\r\n\r\n d\r\n", "1|a\n2|b|c\n4*|d\n"},
        {"a ( b ; (\n c\n) d\ne\n", "1|a|b|c|d\n4|e\n"},
        {"a(b(c)d)e f\n", "1|a|b|c|d|e|f\n"},
        {"(\n a\n b )\nc\n", "1|a|b\n4|c\n"},
        {"a \"b ; ( c\" d\n", "1|a|\"b ; ( c\"|d\n"},
        {"a \"b\"\"c\" \"\"d\n", "1|a|\"b\"|\"c\"|\"\"|d\n"},
        {"a k=\"x y;z\"w b\n", "1|a|k=\"x y;z\"w|b\n"},
        {"a \\; b\\ c \\( \\\\ d\\\"\n", "1|a|\\;|b\\ c|\\(|\\\\|d\\\"\n"},
        {"a \"b\\\"c\\\\\" d\n", "1|a|\"b\\\"c\\\\\"|d\n"},
        {"", ""},
        {"a )\n", "!1 -1 ')' without '('"},
        {"x\na ( b\nc\n", "1|x\n!2 -1 '(' is not closed before the end of the file"},
        {"x\na \"b\nc\n", "1|x\n!2 -1 a quoted string is not closed on its line"},
        {"a \"b", "!1 -1 a quoted string is not closed on its line"},
        {"a b\\\n", "!1 -1 a line ends in a backslash"},
        {"a \"b\\\n", "!1 -1 a line ends in a backslash"},
        {"a b\\", "!1 -1 a line ends in a backslash"},
    };
    char out[512];
    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        entries_print(at[i].text, out, sizeof(out));
        ck_assert_str_eq(out, at[i].want);
    }
}
END_TEST

START_TEST(test_entry_bounds)
{
    struct text_entry e;
    struct why why = {""};
    unsigned line = 1;
    char *text = mem_alloc(TEXT_ENTRY_MAX + 100);
    memset(text, 'a', TEXT_ENTRY_MAX + 99);
    text[TEXT_ENTRY_MAX + 99] = '\0';
    FILE *in = text_open(text);
    text_entry_init(&e);
    ck_assert_int_eq(text_entry_read(&e, in, &line, &why), -E_LIMIT);
    ck_assert_str_eq(why.text, "an entry of more than 524288 octets");
    fclose(in);

    in = fmemopen(text, 5, "r");
    text[2] = '\0';
    ck_assert_int_eq(text_entry_read(&e, in, &line, &why), -E_FORMAT);
    ck_assert_str_eq(why.text, "a zero octet: this is not a master file");
    fclose(in);

    in = fopen("/", "r");
    ck_assert_ptr_nonnull(in);
    ck_assert_int_eq(text_entry_read(&e, in, &line, &why), -E_IO);
    fclose(in);
    text_entry_fini(&e);
    mem_free(&text);
}
END_TEST

/* ---- rdata ---- */

static int rdata_read(struct text_rdata *t, uint16_t type, const char *text, uint8_t *out,
                      uint16_t *len, struct why *why)
{
    struct text_entry e;
    unsigned line = 1;
    text_entry_init(&e);
    e.n = 0;
    if (*text) {
        FILE *in = text_open(text);
        int got = text_entry_read(&e, in, &line, why);
        ck_assert_msg(got == 1, "%s: %s", text, why->text);
        fclose(in);
    }
    int err = text_rdata_parse(t, type, e.token, e.n, out, len, why);
    text_entry_fini(&e);
    return err;
}

static const struct {
    uint16_t type;
    const char *text;
    const char *hex;   /* NULL: must fail, */
    const char *error; /* with this in the why */
} cases[] = {
    {RR_A, "192.0.2.1", "C0000201", NULL},
    {RR_A, "192.0.2", NULL, "ldns: "},
    {RR_A, "192.0.2.1 192.0.2.2", NULL, "\"192.0.2.2\" is one field too many"},
    {RR_A, "", NULL, "fields: 0, needed: at least 1"},
    {RR_A, "\\# 4 C0000201", "C0000201", NULL},
    {RR_A, "\\# 4 C0 00 02 01", "C0000201", NULL},
    {RR_A, "\\# 4 C 000 0201", "C0000201", NULL},
    {RR_A, "\\# 3 C00002", NULL, ""},
    {RR_A, "\\# 4 C00002", NULL, "6 hexadecimal digits for the 4 octets"},
    {RR_A, "\\# 4 C000020101", NULL, "more octets than the 4"},
    {RR_A, "\\# 4 C000020G", NULL, "\"G\" is not a hexadecimal digit"},
    {RR_A, "\\#", NULL, "\\# needs a length"},
    {RR_A, "\\# x 00", NULL, "\\# needs a length"},
    {RR_A, "\\# 65536 00", NULL, "\\# needs a length"},
    {RR_AAAA, "2001:db8::1", "20010DB8000000000000000000000001", NULL},
    {RR_NS, "NS1", "034E533104456C736500", NULL}, /* origin Else. */
    {RR_NS, "ns1.Example.", "036E7331074578616D706C6500", NULL},
    {RR_NS, "@", "04456C736500", NULL},
    {RR_NS, ".", "00", NULL},
    {RR_NS, "\\@.Example.", "0140074578616D706C6500", NULL},
    {RR_NS, "@.Example.", "0140074578616D706C6500", NULL},
    {RR_NS, "\\064", "014004456C736500", NULL},
    {RR_NS, "\\064\\064.", "02404000", NULL},
    {RR_NS, "a\\.b.", "03612E6200", NULL},
    {RR_NS, "a..b.", NULL, "the name \"a..b.\": empty label"},
    {RR_MX, "65535 Mail.", "FFFF044D61696C00", NULL},
    {RR_MX, "65536 mail.", NULL, "\"65536\" is not a number"},
    {RR_MX, "70000 mail.", NULL, "\"70000\" is not a number"},
    {RR_MX, "-1 mail.", NULL, "\"-1\" is not a number"},
    {RR_MX, "10", NULL, "fields: 1, needed: at least 2"},
    {RR_SOA, "a. b. 4294967295 1h 2m 1w 3s", "016100016200FFFFFFFF00000E100000007800093A8000000003",
     NULL},
    {RR_SOA, "a. b. 4294967296 1 2 3 4", NULL, "\"4294967296\" is not a number"},
    {RR_SOA, "a. b. 1 4294967296 2 3 4", NULL, "\"4294967296\" is not a time span"},
    {RR_SOA, "a. b. 1 2 3 4", NULL, "fields: 6, needed: at least 7"},
    {RR_TXT, "a \"b c\" \"\" d\\;\\\"\\065", "0161036220630004643B2241", NULL},
    {RR_TXT, "\\25", NULL, "an escape of less than three digits"},
    {RR_TXT, "\\256", NULL, "an escape over"},
    {RR_TXT, "\"Case Kept\"", "0943617365204B657074", NULL},
    {RR_TXT, "\"a;b(c)\"", "06613B62286329", NULL},
    {RR_SRV, "1 2 3 T.", "000100020003015400", NULL},
    {RR_DS, "1 13 2 aa bb", "00010D02AABB", NULL},
    {RR_DS, "1 ECDSAP256SHA256 2 AABB", "00010D02AABB", NULL},
    {RR_DS, "1 13 256 AABB", NULL, "\"256\" is not a number"},
    {RR_DS, "1 13 2 AAB", NULL, "odd number"},
    {RR_DS, "1 13 2 AAB G", NULL, "ldns: "},
    {RR_DNSKEY, "256 3 13 AQ ID", "0100030D010203", NULL},
    {RR_RRSIG, "A 13 2 300 20240101000000 20231201000000 7 Example. AQID",
     "00010D020000012C65920080656922000007074578616D706C6500010203", NULL},
    {RR_RRSIG, "ZONEMD 13 2 300 1 4294967295 7 . AQID",
     "003F0D020000012C00000001FFFFFFFF000700010203", NULL},
    {RR_RRSIG, "NOSUCH 13 2 300 1 2 7 . AQID", NULL, "unknown type \"NOSUCH\""},
    {RR_RRSIG, "A 13 2 300 20240231000000 1 7 . AQID", NULL, "\"20240231000000\" is not a time"},
    {RR_RRSIG, "A 13 2 300 4294967296 1 7 . AQID", NULL, "\"4294967296\" is not a time"},
    {RR_NSEC, "B.Example. A RRSIG TYPE65400",
     "0142074578616D706C65000006400000000002FF1000000000000000000000000000000080", NULL},
    {RR_NSEC, "b. A NOSUCH", NULL, "unknown type \"NOSUCH\""},
    {RR_NSEC, "b. A TYPE0", "0162000001C0", NULL},
    {RR_NSEC, "b. A RESINFO", "016200000140010104", NULL},
    {RR_NSEC3PARAM, "1 0 0 -", "0100000000", NULL},
    {RR_NSEC3PARAM, "1 0 12 aabb", "0100000C02AABB", NULL},
    {RR_NSEC3, "1 1 0 - 0P9MHAVEQVM6T7VBL5LOP2U3T2RP3TOM A",
     "010100000014065368ABEED7EC6E9FEBA96B8C8BC3E8B791F716000140", NULL},
    {RR_CAA, "0 issue \"CA.example\"", "0005697373756543412E6578616D706C65", NULL},
    {RR_CAA, "256 issue \"x\"", NULL, "\"256\" is not a number"},
    {RR_TLSA, "3 1 1 AABB", "030101AABB", NULL},
    {RR_IPSECKEY, "10 1 2 192.0.2.38 AQID", "0A0102C0000226010203", NULL},
    {RR_IPSECKEY, "266 1 2 192.0.2.38 AQID", NULL, "numbers up to 255"},
    {RR_IPSECKEY, "10 3 2 gw AQID", NULL, "must end in a dot"},
    {RR_RESINFO, "qnamemin", NULL, "has no text form for this type"},
    {RR_RESINFO, "\\# 9 08716E616D656D696E", "08716E616D656D696E", NULL},
    {65400, "foo", NULL, "has no text form for this type"},
    {65400, "\\# 0", "", NULL},
    {65400, "\\# 2 abCD", "ABCD", NULL},
    {RR_NULL, "\\# 1 00", "00", NULL},
    {RR_APL, "", "", NULL},
};

START_TEST(test_rdata_cases)
{
    static uint8_t out[RDATA_MAX_OCTETS], want[RDATA_MAX_OCTETS];
    struct text_rdata *t = text_rdata_new();
    text_rdata_origin(t, (const uint8_t *)"\4Else");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct why why = {""};
        uint16_t len = 0;
        int err = rdata_read(t, cases[i].type, cases[i].text, out, &len, &why);
        if (!cases[i].hex) {
            ck_assert_msg(err < 0, "%s is taken", cases[i].text);
            ck_assert_msg(why.text[0] && strstr(why.text, cases[i].error), "%s: \"%s\", not \"%s\"",
                          cases[i].text, why.text, cases[i].error);
            continue;
        }
        ck_assert_msg(err == 0, "%s: %s", cases[i].text, why.text);
        size_t want_len = hex_decode(cases[i].hex, want, sizeof(want));
        ck_assert_msg(len == want_len && !memcmp(out, want, len), "%s gives other octets (%u)",
                      cases[i].text, len);
    }
    text_rdata_free(&t);
}
END_TEST

START_TEST(test_salt_and_length_bounds)
{
    static uint8_t out[RDATA_MAX_OCTETS];
    static char text[140000];
    struct text_rdata *t = text_rdata_new();
    struct why why = {""};
    uint16_t len;
    int head = sprintf(text, "1 0 1 ");
    memset(text + head, 'a', 512);
    ck_assert_int_eq(rdata_read(t, RR_NSEC3PARAM, text, out, &len, &why), -E_FORMAT);
    ck_assert_str_eq(why.text, "a salt of more than 255 octets");
    text[head + 510] = '\0';
    ck_assert_int_eq(rdata_read(t, RR_NSEC3PARAM, text, out, &len, &why), 0);
    ck_assert_uint_eq(len, 260);

    memset(text, 'a', 256);
    text[256] = '\0';
    ck_assert_int_eq(rdata_read(t, RR_TXT, text, out, &len, &why), -E_FORMAT);
    ck_assert_str_eq(why.text, "a string of more than 255 octets");
    ck_assert_int_eq(rdata_read(t, RR_TXT, text + 1, out, &len, &why), 0);
    ck_assert_uint_eq(len, 256);
    for (int i = 0; i < 256; i++)
        text[256 * i + 255] = ' ', memset(text + 256 * i, 'a', 255);
    text[65535] = '\0';
    ck_assert_int_eq(rdata_read(t, RR_TXT, text, out, &len, &why), -E_LIMIT);
    ck_assert_str_eq(why.text, "rdata of more than 65535 octets");
    head = sprintf(text, "1 2 \"");
    memset(text + head, 'a', 65532);
    strcpy(text + head + 65532, "\"");
    ck_assert_int_eq(rdata_read(t, RR_URI, text, out, &len, &why), -E_LIMIT);
    strcpy(text + head + 65531, "\"");
    ck_assert_int_eq(rdata_read(t, RR_URI, text, out, &len, &why), 0);
    ck_assert_uint_eq(len, 65535);
    head = sprintf(text, "\\# 65535 ");
    memset(text + head, 'e', 131070);
    text[head + 131070] = '\0';
    ck_assert_int_eq(rdata_read(t, RR_NULL, text, out, &len, &why), 0);
    ck_assert_uint_eq(len, 65535);
    ck_assert_uint_eq(out[65534], 0xee);
    text_rdata_free(&t);
}
END_TEST

/* Types that ldns prints and reads: in their own form, one example each. */
static const char *const samples[] = {
    "a. A 192.0.2.1",
    "a. NS b.",
    "a. CNAME B.c.",
    "a. SOA a. b. 1 2 3 4 5",
    "a. PTR b.",
    "a. HINFO \"x\" \"y z\"",
    "a. MINFO a. b.",
    "a. MX 10 b.",
    "a. TXT \"one\" \"two \\\" ; three\"",
    "a. RP a. b.",
    "a. AFSDB 1 b.",
    "a. X25 \"311061700956\"",
    "a. RT 1 b.",
    "a. KEY 256 3 5 AQID",
    "a. PX 1 a. b.",
    "a. AAAA 2001:db8::1",
    "a. LOC 52 14 05.000 N 00 08 50.000 E 10.00m 1m 10000m 10m",
    "a. SRV 1 2 3 b.",
    "a. NAPTR 1 2 \"U\" \"E2U+sip\" \"!^.*$!sip:a@b!\" .",
    "a. KX 1 b.",
    "a. CERT 1 2 5 AQID",
    "a. DNAME b.",
    "a. APL 1:192.168.32.0/21 !1:192.168.38.0/28",
    "a. DS 1 13 2 AABB",
    "a. SSHFP 1 2 AABB",
    "a. RRSIG A 13 1 300 20240101000000 20231201000000 7 b. AQID",
    "a. NSEC b. A NS TYPE65400",
    "a. DNSKEY 257 3 13 AQID",
    "a. DHCID AQID",
    "a. NSEC3 1 1 5 AABB 0P9MHAVEQVM6T7VBL5LOP2U3T2RP3TOM A",
    "a. NSEC3PARAM 1 0 0 -",
    "a. TLSA 3 1 1 AABB",
    "a. SMIMEA 3 1 1 AABB",
    "a. CDS 0 0 0 00",
    "a. CDNSKEY 0 3 0 AA==",
    "a. OPENPGPKEY AQID",
    "a. CSYNC 66 3 A NS AAAA",
    "a. ZONEMD 1 1 1 AABB",
    "a. SPF \"v=spf1\"",
    "a. NID 1 0014:4fff:ff20:ee64",
    "a. L32 1 192.0.2.1",
    "a. L64 1 2001:0db8:1140:1000",
    "a. LP 1 b.",
    "a. EUI48 00-00-5e-00-53-2a",
    "a. EUI64 00-00-5e-ef-10-00-00-2a",
    "a. URI 1 2 \"ftp://x/\"",
    "a. CAA 0 issue \"x\"",
};
enum { SAMPLES = sizeof(samples) / sizeof(samples[0]) };

START_TEST(test_samples_print_in_their_own_form)
{
    static uint8_t out[RDATA_MAX_OCTETS];
    struct text_rdata *t = text_rdata_new();
    for (int i = 0; i < SAMPLES; i++) {
        struct record r = record_of(samples[i]);
        struct why why = {""};
        uint16_t len;
        char *text = mem_strdup(text_rdata_print(t, r.type, r.rdata, r.len));
        ck_assert_msg(strncmp(text, "\\#", 2) != 0, "%s is printed as %s", samples[i], text);
        ck_assert_msg(rdata_read(t, r.type, text, out, &len, &why) == 0, "%s: %s", text, why.text);
        ck_assert_uint_eq(len, r.len);
        ck_assert_mem_eq(out, r.rdata, len);
        mem_free(&text);
        record_free(&r);
    }
    text_rdata_free(&t);
}
END_TEST

/* ---- any rdata at all: what is printed reads back, octet for octet ---- */

static size_t random_name(struct random *random, uint8_t *out)
{
    static const uint8_t odd[] = "@.\\\"();$ \t#*-_aZ09\0\n\177\200\377";
    size_t n = 0, labels = random_below(random, 4);
    for (size_t i = 0; i < labels; i++) {
        size_t len = 1 + random_below(random, random_below(random, 10) ? 6 : 63);
        if (n + len + 2 > 255)
            break;
        out[n++] = (uint8_t)len;
        for (size_t j = 0; j < len; j++)
            out[n++] = random_below(random, 3) ? (uint8_t)('a' + random_below(random, 26))
                                               : odd[random_below(random, sizeof(odd) - 1)];
    }
    out[n++] = 0;
    return n;
}

static size_t random_bitmap(struct random *random, uint8_t *out)
{
    size_t n = 0;
    for (unsigned window = (unsigned)random_below(random, 2); window < 256;
         window += 1 + (unsigned)random_below(random, 200)) {
        size_t len = 1 + random_below(random, 32);
        out[n++] = (uint8_t)window;
        out[n++] = (uint8_t)len;
        random_octets(random, out + n, len);
        n += len;
        out[n - 1] |= 1;
        if (window == 0)
            out[n - len] &= 0x7f; /* type 0 */
    }
    return n;
}

/* By the layout's letters; forms of their own come from the samples, mutated. 0: not this type. */
static size_t random_rdata(struct random *random, const char *layout, uint8_t *out)
{
    size_t n = 0, len;
    for (; *layout; layout++) {
        switch (*layout) {
        case ' ':
            continue;
        case 'N':
        case 'C':
            n += random_name(random, out + n);
            continue;
        case 'B':
            n += random_bitmap(random, out + n);
            continue;
        case 'S':
        case 'G':
        case 'g':
        case 'T':
            for (size_t i = *layout == 'T' ? 1 + random_below(random, 3) : 1; i > 0; i--) {
                out[n++] = (uint8_t)(len = (*layout == 'g') + random_below(random, 20));
                random_octets(random, out + n, len);
                n += len;
            }
            continue;
        case 'R':
        case 'O':
            len = (*layout == 'O') + random_below(random, 40);
            random_octets(random, out + n, len);
            n += len;
            continue;
        default:
            if (*layout < '1' || *layout > '9')
                return 0;
            len = strtoul(layout, NULL, 10);
            layout += len > 9;
            random_octets(random, out + n, len);
            n += len;
        }
    }
    return n;
}

static size_t random_mutation(struct random *random, uint16_t type, uint8_t *out)
{
    size_t n = 0;
    struct record r = record_of(samples[random_below(random, SAMPLES)]);
    if (r.type == type) {
        n = r.len;
        memcpy(out, r.rdata, n);
        for (size_t i = random_below(random, 4); n && i > 0; i--)
            out[random_below(random, n)] = (uint8_t)random_u64(random);
    }
    record_free(&r);
    return n;
}

static unsigned check_back(struct text_rdata *t, uint16_t type, const uint8_t *rdata, size_t n)
{
    static uint8_t out[RDATA_MAX_OCTETS];
    struct why why = {""};
    uint16_t len;
    char *text = mem_strdup(text_rdata_print(t, type, rdata, (uint16_t)n));
    ck_assert_msg(!strchr(text, '\n'), "type %u: %s", type, text);
    ck_assert_msg(rdata_read(t, type, text, out, &len, &why) == 0, "type %u: %s: %s", type, text,
                  why.text);
    ck_assert_msg(len == n && !memcmp(out, rdata, n), "type %u: %s", type, text);
    bool own = strncmp(text, "\\#", 2) != 0;
    mem_free(&text);
    return own;
}

START_TEST(test_any_rdata_reads_back)
{
    struct random random = random_open();
    struct text_rdata *t = text_rdata_new();
    uint8_t rdata[8192];
    unsigned checked = 0, own = 0;
    for (int i = 0; i < 60000; i++) {
        uint16_t type =
            (uint16_t)(random_below(&random, 8) ? random_below(&random, 300) : random_u64(&random));
        const struct rrtype *known = rrtype_get(type);
        if (rrtype_is_meta(type))
            continue;
        size_t n = random_below(&random, 4)
                       ? random_rdata(&random, known ? known->layout : "R", rdata)
                       : random_mutation(&random, type, rdata);
        if (rdata_valid(type, rdata, n, NULL))
            continue;
        checked++;
        own += check_back(t, type, rdata, n);
    }
    ck_assert_uint_gt(checked, 10000);
    ck_assert_uint_gt(own, checked / 10);
    text_rdata_free(&t);
}
END_TEST

/* The common types are printed without a second look when their text is plain: here, that it is right. */
START_TEST(test_common_rdata_reads_back)
{
    static const uint16_t common[] = {
        RR_A,   RR_AAAA, RR_NS,     RR_CNAME, RR_PTR,   RR_DNAME,      RR_SOA,  RR_MX,   RR_TXT,
        RR_SRV, RR_DS,   RR_DNSKEY, RR_NSEC,  RR_NSEC3, RR_NSEC3PARAM, RR_TLSA, RR_RRSIG};
    struct random random = random_open();
    struct text_rdata *t = text_rdata_new();
    uint8_t rdata[8192];
    unsigned own = 0, checked = 0;
    for (int i = 0; i < 60000; i++) {
        uint16_t type = common[random_below(&random, sizeof(common) / sizeof(common[0]))];
        size_t n = random_rdata(&random, rrtype_get(type)->layout, rdata);
        if (type == RR_TXT)
            for (size_t j = 1; j < n; j++)
                rdata[j] = (uint8_t)(rdata[j] & 0x7f);
        if (rdata_valid(type, rdata, n, NULL))
            continue;
        checked++;
        own += check_back(t, type, rdata, n);
    }
    ck_assert_uint_gt(checked, 40000);
    ck_assert_uint_gt(own, checked / 2);
    text_rdata_free(&t);
}
END_TEST

START_TEST(test_large_rdata_reads_back)
{
    struct text_rdata *t = text_rdata_new();
    static uint8_t rdata[RDATA_MAX_OCTETS];
    memset(rdata, 'x', sizeof(rdata));
    for (size_t at = 0; at < sizeof(rdata); at += 256)
        rdata[at] = 255;
    rdata[65535 - 255] = 254;
    ck_assert_int_eq(rdata_valid(RR_TXT, rdata, 65535, NULL), 0);
    check_back(t, RR_TXT, rdata, 65535);
    for (size_t len = 256 * 250; len < 256 * 256; len += 256)
        check_back(t, RR_TXT, rdata, len);
    memset(rdata, 0xee, sizeof(rdata));
    check_back(t, RR_NULL, rdata, 65535);
    check_back(t, RR_DNSKEY, rdata, 65535);
    check_back(t, RR_DS, rdata, 32800);
    check_back(t, 65400, rdata, 0);
    text_rdata_free(&t);
}
END_TEST

START_TEST(test_period)
{
    static const struct {
        const char *text;
        int err;
        uint32_t want;
    } at[] = {
        {"0", 0, 0},
        {"3600", 0, 3600},
        {"1h30m", 0, 5400},
        {"1W2D3H4M5S", 0, 788645},
        {"2w", 0, 1209600},
        {"4294967295", 0, UINT32_MAX},
        {"4294967296", -E_LIMIT, 0},
        {"7102w", -E_LIMIT, 0},
        {"", -E_FORMAT, 0},
        {"h", -E_FORMAT, 0},
        {"1x", -E_FORMAT, 0},
        {"-1", -E_FORMAT, 0},
        {"1 ", -E_FORMAT, 0},
    };
    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        uint32_t got = 0;
        ck_assert_int_eq(text_period(at[i].text, &got), at[i].err);
        ck_assert_uint_eq(got, at[i].want);
    }
}
END_TEST

int main(void)
{
    struct suite s = suite_open("text_rdata");
    suite_add(s, test_entries);
    suite_add(s, test_entry_bounds);
    suite_add(s, test_rdata_cases);
    suite_add(s, test_salt_and_length_bounds);
    suite_add(s, test_samples_print_in_their_own_form);
    suite_add(s, test_any_rdata_reads_back);
    suite_add(s, test_common_rdata_reads_back);
    suite_add(s, test_large_rdata_reads_back);
    suite_add(s, test_period);
    return suite_run(s);
}
