/* rrtype: each row against ldns, canonical form and order against ldns and slow models, refusals by
 * field. */
#include <stdbool.h> /* before ldns, which makes a bool of its own otherwise */
#include <ldns/ldns.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pipeline/base/buf.h"
#include "pipeline/zone/name.h"
#include "pipeline/zone/rrtype.h"
#include "tests/lib/random.h"
#include "tests/lib/suite.h"

static const struct rrtype table[] = {
#define RRTYPE(mnemonic, code, layout, flags) {#mnemonic, code, layout, flags},
#include "pipeline/zone/rrtypes.def"
#undef RRTYPE
};
enum { ROWS = sizeof table / sizeof *table };

/* What a row's layout may say where ldns has this kind of field. */
static const char *field_of_ldns(ldns_rdf_type kind)
{
    switch (kind) {
    case LDNS_RDF_TYPE_DNAME:
        return "C N";
    case LDNS_RDF_TYPE_INT8:
    case LDNS_RDF_TYPE_ALG:
    case LDNS_RDF_TYPE_CERTIFICATE_USAGE:
    case LDNS_RDF_TYPE_SELECTOR:
    case LDNS_RDF_TYPE_MATCHING_TYPE:
        return "1";
    case LDNS_RDF_TYPE_INT16:
    case LDNS_RDF_TYPE_TYPE:
    case LDNS_RDF_TYPE_CERT_ALG:
        return "2";
    case LDNS_RDF_TYPE_INT32:
    case LDNS_RDF_TYPE_TIME:
    case LDNS_RDF_TYPE_PERIOD:
    case LDNS_RDF_TYPE_A:
        return "4";
    case LDNS_RDF_TYPE_AAAA:
        return "16";
    case LDNS_RDF_TYPE_EUI48:
        return "6";
    case LDNS_RDF_TYPE_EUI64:
    case LDNS_RDF_TYPE_ILNP64:
        return "8";
    case LDNS_RDF_TYPE_STR:
        return "S s T";
    case LDNS_RDF_TYPE_NSEC:
        return "B";
    case LDNS_RDF_TYPE_NSEC3_SALT:
        return "G";
    case LDNS_RDF_TYPE_NSEC3_NEXT_OWNER:
    case LDNS_RDF_TYPE_TAG:
        return "g";
    case LDNS_RDF_TYPE_B64:
    case LDNS_RDF_TYPE_HEX:
    case LDNS_RDF_TYPE_UNKNOWN:
    case LDNS_RDF_TYPE_LONG_STR:
    case LDNS_RDF_TYPE_NSAP:
        return "O R";
    case LDNS_RDF_TYPE_LOC:
        return "L";
    case LDNS_RDF_TYPE_APL:
        return "P";
    case LDNS_RDF_TYPE_HIP:
        return "H";
    case LDNS_RDF_TYPE_SVCPARAMS:
        return "V";
    default:
        return "";
    }
}

/* Rows that say it another way than ldns, and why that is right. */
static bool differs_knowingly(uint16_t code)
{
    switch (code) {
    case RR_WKS:      /* ldns: address, and the rest as one */
    case RR_NSAP_PTR: /* ldns: a string; RFC 1348: a name */
    case RR_NXT:      /* ldns: the old bitmap as a new one */
    case RR_A6:       /* ldns: opaque */
    case RR_SINK:     /* ldns: two numbers and data of a draft that expired */
    case RR_ATMA:     /* ldns: one opaque field; RFC-less form has a format octet first */
    case RR_IPSECKEY: /* ldns: one field for what the gateway type governs */
    case RR_AMTRELAY: /* the same */
    case RR_URI: /* ldns: a string that may be empty; RFC 7553 4.4 forbids it; both octets to the
                    end */
    case RR_HIP: /* ldns: names as variable fields */
        return true;
    default:
        return false;
    }
}

static bool word_in(const char *word, size_t n, const char *list)
{
    for (const char *s = list; *s; s += strcspn(s, " "), s += *s == ' ')
        if (strcspn(s, " ") == n && memcmp(s, word, n) == 0)
            return true;
    return false;
}

START_TEST(rows_against_ldns)
{
    unsigned compared = 0;
    for (unsigned i = 0; i < ROWS; i++) {
        const struct rrtype *t = rrtype_get(table[i].code);
        ck_assert(t && t->code == table[i].code && t->layout &&
                  strcmp(t->layout, table[i].layout) == 0);
        const ldns_rr_descriptor *d = ldns_rr_descript(t->code);
        if (!d || !d->_name || d->_type != t->code)
            continue; /* newer than this ldns */
        ck_assert_str_eq(t->mnemonic, d->_name);
        compared++;
        if (differs_knowingly(t->code))
            continue;
        size_t field = 0, most = ldns_rr_descriptor_maximum(d);
        for (const char *s = t->layout; *s; s += strcspn(s, " "), s += *s == ' ', field++) {
            ldns_rdf_type kind = ldns_rr_descriptor_field_type(d, field);
            ck_assert_msg(word_in(s, strcspn(s, " "), field_of_ldns(kind)),
                          "%s, field %zu: %s; ldns has kind %d", t->mnemonic, field + 1, s,
                          (int)kind);
        }
        bool open = d->_variable != LDNS_RDF_TYPE_NONE;
        ck_assert_msg(open || field == most, "%s: %zu fields; ldns has %zu", t->mnemonic, field,
                      most);
        bool names = strpbrk(t->layout, "CN");
        ck_assert_msg(names == (d->_dname_count > 0), "%s: names", t->mnemonic);
        /* ldns lets RP and AFSDB be compressed as well; RFC 3597 4 does not. */
        if (t->code != RR_RP && t->code != RR_AFSDB)
            ck_assert_msg(!(t->flags & RRTYPE_COMPRESS) == (d->_compress != LDNS_RR_COMPRESS),
                          "%s: compression", t->mnemonic);
    }
    ck_assert_uint_gt(compared, 70);
}
END_TEST

/* The lists of the RFCs, written out a second time. */
START_TEST(flags_against_the_rfcs)
{
    static const uint16_t compress[] = {RR_NS, RR_MD, RR_MF,  RR_CNAME, RR_SOA, RR_MB,
                                        RR_MG, RR_MR, RR_PTR, RR_MINFO, RR_MX};
    static const uint16_t unpack[] = {RR_RP, RR_AFSDB, RR_RT,    RR_SIG,
                                      RR_PX, RR_NXT,   RR_NAPTR, RR_SRV};
    static const uint16_t lower[] = {RR_NS,    RR_MD,  RR_MF,    RR_CNAME, RR_SOA,  RR_MB,
                                     RR_MG,    RR_MR,  RR_PTR,   RR_MINFO, RR_MX,   RR_RP,
                                     RR_AFSDB, RR_RT,  RR_SIG,   RR_PX,    RR_NXT,  RR_NAPTR,
                                     RR_KX,    RR_SRV, RR_DNAME, RR_A6,    RR_RRSIG};
    for (unsigned i = 0; i < ROWS; i++) {
        uint16_t code = table[i].code;
        bool c = false, u = false, l = false;
        for (size_t k = 0; k < sizeof compress / sizeof *compress; k++)
            c |= compress[k] == code;
        for (size_t k = 0; k < sizeof unpack / sizeof *unpack; k++)
            u |= unpack[k] == code;
        for (size_t k = 0; k < sizeof lower / sizeof *lower; k++)
            l |= lower[k] == code;
        ck_assert_msg(c == !!(table[i].flags & RRTYPE_COMPRESS), "%s: compressed on output",
                      table[i].mnemonic);
        ck_assert_msg((c || u) == rrtype_may_compress(code), "%s: unpacked on input",
                      table[i].mnemonic);
        ck_assert_msg(l == !!(table[i].flags & RRTYPE_LOWER), "%s: lower-cased", table[i].mnemonic);
        ck_assert_int_eq(!!(table[i].flags & RRTYPE_SINGLE),
                         code == RR_SOA || code == RR_CNAME || code == RR_DNAME);
    }
}
END_TEST

START_TEST(codes_and_mnemonics)
{
    char text[RRTYPE_TEXT_MAX], lower[RRTYPE_TEXT_MAX];
    unsigned known = 0;
    for (unsigned code = 0; code < 65536; code++) {
        uint16_t back = 1;
        const struct rrtype *t = rrtype_get((uint16_t)code);
        known += t != NULL;
        ck_assert(!t || t->code == code);
        rrtype_print((uint16_t)code, text);
        ck_assert_int_eq(rrtype_parse(text, &back), 0);
        ck_assert_uint_eq(back, code);
        for (unsigned i = 0; i < sizeof text; i++)
            lower[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 32) : text[i];
        ck_assert_int_eq(rrtype_parse(lower, &back), 0);
        ck_assert_uint_eq(back, code);
    }
    ck_assert_uint_eq(known, ROWS);
    uint16_t code;
    ck_assert_int_eq(rrtype_parse("TYPE1", &code), 0);
    ck_assert_uint_eq(code, RR_A);
    ck_assert_str_eq(rrtype_print(RR_NSAP_PTR, text), "NSAP-PTR");
    ck_assert_str_eq(rrtype_print(RR_AXFR, text), "AXFR");
    ck_assert_str_eq(rrtype_print(65400, text), "TYPE65400");
    static const char *const wrong[] = {"",       "TYPE",   "TYPE65536", "TYPE99999999999999999999",
                                        "TYPE1x", "TYPE-1", "AX",        "NSAP_PTR"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(rrtype_parse(wrong[i], &code) == -E_NOENT, "%s", wrong[i]);
    for (unsigned c = 0; c < 65536; c++)
        ck_assert_int_eq(rrtype_is_meta((uint16_t)c), c == 0 || c == 41 || (c >= 128 && c < 256));
}
END_TEST

static void some_name(struct random *random, struct wbuf *w)
{
    for (uint64_t labels = random_below(random, 4); labels; labels--) {
        uint8_t label[4] = {1 + (uint8_t)random_below(random, 3), 'a', 'B', 'c'};
        for (unsigned i = 1; i < 4; i++)
            label[i] ^= random_below(random, 2) ? 0x20 : 0;
        wbuf_put(w, label, 1u + label[0]);
    }
    wbuf_u8(w, 0);
}

static void some_octets(struct random *random, struct wbuf *w, size_t n)
{
    for (; n; n--)
        wbuf_u8(w, random_below(random, 3) ? (uint8_t)('A' + random_below(random, 60))
                                           : (uint8_t)random_u64(random));
}

static void some_counted(struct random *random, struct wbuf *w, size_t least)
{
    uint8_t n = (uint8_t)(least + random_below(random, 12));
    wbuf_u8(w, n);
    some_octets(random, w, n);
}

static void some_bitmap(struct random *random, struct wbuf *w)
{
    for (unsigned window = (unsigned)random_below(random, 3); window < 256;
         window += 1 + (unsigned)random_below(random, 200)) {
        uint8_t n = 1 + (uint8_t)random_below(random, 32);
        wbuf_u8(w, (uint8_t)window);
        wbuf_u8(w, n);
        some_octets(random, w, n - 1u);
        wbuf_u8(w, 1 + (uint8_t)random_below(random, 255));
    }
}

static void some_special(struct random *random, struct wbuf *w, char kind)
{
    unsigned n = (unsigned)random_below(random, 4), gateway, prefix, key = 0;
    switch (kind) {
    case 'W':
    case 'w':
        gateway = w->start[1] = (uint8_t)(kind == 'w' && random_below(random, 2) ? 0x80 | n : n);
        gateway &= 0x7f;
        if (gateway == 3)
            some_name(random, w);
        else
            some_octets(random, w, gateway == 1 ? 4 : gateway == 2 ? 16 : 0);
        break;
    case 'L':
        wbuf_u8(w, 0);
        some_octets(random, w, 15);
        break;
    case 'I':
        prefix = (unsigned)random_below(random, 129);
        wbuf_u8(w, (uint8_t)prefix);
        some_octets(random, w, (128 - prefix + 7) / 8);
        if (prefix)
            some_name(random, w);
        break;
    case 'P':
        for (; n; n--) {
            uint8_t len = (uint8_t)random_below(random, 5);
            some_octets(random, w, 3);
            wbuf_u8(w, (uint8_t)(len | (n & 1) << 7));
            some_octets(random, w, len);
        }
        break;
    case 'H':
        wbuf_put(w, "\3\2\0\5HITthkey", 12);
        for (; n; n--)
            some_name(random, w);
        break;
    default:
        ck_assert_int_eq(kind, 'V');
        for (; n; n--) {
            key += 1 + (unsigned)random_below(random, 9);
            uint16_t len = (uint16_t)random_below(random, 9);
            wbuf_u16(w, (uint16_t)key);
            wbuf_u16(w, len);
            some_octets(random, w, len);
        }
    }
}

/* Rdata that fits the layout. */
static size_t some_rdata(struct random *random, const char *layout, uint8_t *out, size_t cap)
{
    struct wbuf w = wbuf_open(out, cap);
    for (const char *s = layout; *s; s += strcspn(s, " "), s += *s == ' ') {
        switch (*s) {
        case 'C':
        case 'N':
            some_name(random, &w);
            break;
        case 'S':
        case 'G':
            some_counted(random, &w, 0);
            break;
        case 's':
            if (random_below(random, 2))
                some_counted(random, &w, 0);
            break;
        case 'g':
            some_counted(random, &w, 1);
            break;
        case 'T':
            do
                some_counted(random, &w, 0);
            while (random_below(random, 2));
            break;
        case 'B':
            some_bitmap(random, &w);
            break;
        case 'R':
            some_octets(random, &w, random_below(random, 20));
            break;
        case 'O':
            some_octets(random, &w, 1 + random_below(random, 20));
            break;
        default:
            if (*s >= '0' && *s <= '9')
                some_octets(random, &w, (size_t)atoi(s));
            else
                some_special(random, &w, *s);
        }
    }
    ck_assert(!w.bad);
    return wbuf_len(&w);
}

/* The layouts whose every proper prefix is malformed: they end in something of fixed or told
 * length. */
static bool prefixes_are_bad(const char *layout)
{
    return !strpbrk(layout, "TBROsPHVWL");
}

START_TEST(whatever_fits_is_taken)
{
    struct random random = random_open();
    for (unsigned i = 0; i < ROWS; i++)
        for (unsigned round = 0; round < 60; round++) {
            static uint8_t rdata[20000], out[20000];
            struct why why = {{0}};
            size_t n = some_rdata(&random, table[i].layout, rdata, sizeof rdata);
            uint8_t *copy = malloc(n + 1); /* its own block: a sanitizer sees what is read */
            memcpy(copy, rdata, n);
            ck_assert_msg(rdata_valid(table[i].code, copy, n, &why) == 0, "%s: %s",
                          table[i].mnemonic, why.text);
            int m = rdata_unpack(table[i].code, rdata, n, 0, (uint16_t)n, out, sizeof out, &why);
            ck_assert_msg(m == (int)n && memcmp(out, rdata, n) == 0, "%s: %s", table[i].mnemonic,
                          why.text);
            if (n)
                ck_assert_int_eq(
                    rdata_unpack(table[i].code, rdata, n, 0, (uint16_t)n, out, n - 1, &why),
                    -E_SPACE);
            struct rdata_name name[2];
            unsigned names = rdata_names(table[i].code, copy, n, name);
            for (unsigned k = 0; k < names; k++)
                ck_assert_int_eq(name_valid(copy + name[k].at, n - name[k].at), name[k].len);
            free(copy);
            for (size_t cut = 0; cut < n; cut++) {
                copy = malloc(cut + 1);
                memcpy(copy, rdata, cut);
                why.text[0] = 0;
                int rc = rdata_valid(table[i].code, copy, cut, &why);
                ck_assert(rc == 0 || (rc == -E_FORMAT && strstr(why.text, "octet")));
                ck_assert_msg(rc < 0 || !prefixes_are_bad(table[i].layout), "%s cut to %zu of %zu",
                              table[i].mnemonic, cut, n);
                free(copy);
            }
        }
}
END_TEST

/* Canonical form, by ldns: the rdata of the record it makes of ours. -1: ldns does not take it. */
static int ldns_canonical(uint16_t type, const uint8_t *rdata, size_t len, uint8_t *out, size_t cap)
{
    static uint8_t wire[70000];
    struct wbuf w = wbuf_open(wire, sizeof wire);
    wbuf_put(&w, "\1a", 3);
    wbuf_u16(&w, type);
    wbuf_put(&w, "\0\1\0\0\0\1", 6);
    wbuf_u16(&w, (uint16_t)len);
    wbuf_put(&w, rdata, len);
    ldns_rr *rr = NULL;
    size_t pos = 0;
    if (ldns_wire2rr(&rr, wire, wbuf_len(&w), &pos, LDNS_SECTION_ANSWER) != LDNS_STATUS_OK)
        return -1;
    ldns_buffer *buffer = ldns_buffer_new(70000);
    ck_assert(buffer &&
              ldns_rr2buffer_wire_canonical(buffer, rr, LDNS_SECTION_ANSWER) == LDNS_STATUS_OK);
    size_t n = ldns_buffer_position(buffer) - 13;
    ck_assert(n <= cap);
    memcpy(out, ldns_buffer_begin(buffer) + 13, n);
    ldns_buffer_free(buffer);
    ldns_rr_free(rr);
    return (int)n;
}

START_TEST(canonical_form_of_ldns)
{
    struct random random = random_open();
    for (unsigned i = 0; i < ROWS; i++) {
        /* ldns 1.8 holds A6 opaque, though RFC 4034 6.2 lists it, NSAP-PTR a string,
         * and loses octets of a SINK that is short. */
        if (table[i].code == RR_A6 || table[i].code == RR_NSAP_PTR || table[i].code == RR_SINK ||
            ldns_rr_descript(table[i].code)->_type != table[i].code)
            continue;
        unsigned compared = 0;
        for (unsigned round = 0; round < 50; round++) {
            static uint8_t rdata[20000], ours[20000], theirs[20000];
            size_t n = some_rdata(&random, table[i].layout, rdata, sizeof rdata);
            rdata_canonical(table[i].code, rdata, n, ours);
            int m = ldns_canonical(table[i].code, rdata, n, theirs, sizeof theirs);
            if (m < 0)
                continue; /* stricter than we are about this one */
            compared++;
            ck_assert_msg((size_t)m == n && memcmp(ours, theirs, n) == 0, "%s", table[i].mnemonic);
        }
        ck_assert_msg(compared > 10 || table[i].code == RR_NXT, "%s: %u taken by ldns",
                      table[i].mnemonic, compared);
    }
}
END_TEST

START_TEST(order_of_canonical_forms)
{
    struct random random = random_open();
    for (unsigned i = 0; i < ROWS; i++)
        for (unsigned round = 0; round < 300; round++) {
            static uint8_t a[20000], b[20000], ca[20000], cb[20000];
            size_t n = some_rdata(&random, table[i].layout, a, sizeof a), m;
            if (random_below(&random, 3)) {
                /* The same, letters of its names turned; then perhaps one letter more. */
                memcpy(b, a, m = n);
                struct rdata_name name[2];
                unsigned names = rdata_names(table[i].code, b, m, name);
                for (unsigned k = 0; k < names; k++)
                    for (unsigned j = 0; j < name[k].len; j++) {
                        uint8_t *c = &b[name[k].at + j];
                        if (*c >= 'A' && random_below(&random, 2))
                            *c ^= 0x20;
                    }
                if (names && name[0].len > 1 && random_below(&random, 2))
                    b[name[0].at + 1] ^= 1;
            } else {
                m = some_rdata(&random, table[i].layout, b, sizeof b);
            }
            rdata_canonical(table[i].code, a, n, ca);
            rdata_canonical(table[i].code, b, m, cb);
            int want = memcmp(ca, cb, n < m ? n : m);
            want = want ? want : (n > m) - (n < m);
            int got = rdata_cmp(table[i].code, a, n, b, m);
            ck_assert_msg((want > 0) - (want < 0) == (got > 0) - (got < 0), "%s: %d, wanted %d",
                          table[i].mnemonic, got, want);
            got = rdata_cmp(table[i].code, b, m, a, n);
            ck_assert_int_eq((want < 0) - (want > 0), (got > 0) - (got < 0));
        }
}
END_TEST

#define OCTETS(s) s, sizeof(s) - 1

START_TEST(refusals)
{
    static const struct {
        uint16_t type;
        const char *octets;
        size_t n;
        const char *why;
    } cases[] = {
        {RR_A, OCTETS("\1\2\3"), "field 1 (octet 0 of the rdata): 4 octets wanted, 3 left"},
        {RR_A, OCTETS("\1\2\3\4\5"), "1 octets left over after octet 4"},
        {RR_NS, OCTETS("\1a"), "field 1 (octet 0 of the rdata): name runs past the end"},
        {RR_NS, OCTETS("\100a\0"), "reserved label type"},
        {RR_MX, OCTETS("\0"), "field 1 (octet 0 of the rdata): 2 octets wanted, 1 left"},
        {RR_MX, OCTETS("\0\1\1a\0\0"), "1 octets left over after octet 5"},
        {RR_SOA,
         OCTETS("\0\0"
                "123456789012345678"),
         "field 7 (octet 18 of the rdata): 4 octets wanted, 2 left"},
        {RR_TXT, OCTETS(""), "field 1 (octet 0 of the rdata): missing"},
        {RR_TXT, OCTETS("\1a\2b"), "field 1 (octet 2 of the rdata): 3 octets wanted, 2 left"},
        {RR_DNAME, OCTETS("\xc0\0"), "a compressed name is not allowed in this type"},
        {RR_DS, OCTETS("\0\1\2\3"), "field 4 (octet 4 of the rdata): missing"},
        {RR_NSEC, OCTETS("\0\0\0"),
         "field 2 (octet 1 of the rdata): type bitmap: window length is not 1..32"},
        {RR_NSEC, OCTETS("\0\0\41"), "type bitmap: window length is not 1..32"},
        {RR_NSEC, OCTETS("\0\0"), "type bitmap: window without a length"},
        {RR_NSEC, OCTETS("\0\0\2\1"), "4 octets wanted, 3 left"},
        {RR_NSEC, OCTETS("\0\0\1\0"), "type bitmap: trailing zero octet"},
        {RR_NSEC, OCTETS("\0\1\1\1\1\1\1"),
         "field 2 (octet 4 of the rdata): type bitmap: windows out of order"},
        {RR_NSEC3, OCTETS("\1\0\0\0\0\0"), "field 5 (octet 5 of the rdata): must not be empty"},
        {RR_CAA, OCTETS("\0\0"), "field 2 (octet 1 of the rdata): must not be empty"},
        {RR_LOC,
         OCTETS("\0"
                "12345678901234"),
         "16 octets wanted, 15 left"},
        {RR_A6, OCTETS("\201"), "prefix length over 128"},
        {RR_A6, OCTETS("\200"), "name runs past the end"},
        {RR_APL, OCTETS("\0\1\30"), "4 octets wanted, 3 left"},
        {RR_APL, OCTETS("\0\1\30\3\1\2"), "7 octets wanted, 6 left"},
        {RR_IPSECKEY, OCTETS("\1\1\1\1\2\3"),
         "field 4 (octet 3 of the rdata): 4 octets wanted, 3 left"},
        {RR_IPSECKEY, OCTETS("\1\3\1\xc0\0"), "a compressed name is not allowed"},
        {RR_AMTRELAY, OCTETS("\1\202\1\2\3"), "16 octets wanted, 3 left"},
        {RR_AMTRELAY, OCTETS("\1\0\1"), "1 octets left over"},
        {RR_HIP, OCTETS("\1\2\0"), "lengths are missing"},
        {RR_HIP, OCTETS("\0\2\0\1x"), "empty HIT or public key"},
        {RR_HIP, OCTETS("\1\2\0\1xy\1a"), "name runs past the end"},
        {RR_SVCB, OCTETS("\0\1\0\0\2\0\0\0\1\0\0"),
         "field 3 (octet 7 of the rdata): parameter keys out of order"},
        {RR_SVCB, OCTETS("\0\1\0\0\2\0\0\0\2\0\0"), "parameter keys out of order"},
        {RR_SVCB, OCTETS("\0\1\0\0\2\0"), "parameter without key or length"},
        {RR_HTTPS, OCTETS("\0\1\0\0\2\0\1"), "5 octets wanted, 4 left"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct why why = {{0}};
        uint8_t *copy = malloc(cases[i].n + 1);
        memcpy(copy, cases[i].octets, cases[i].n);
        ck_assert_int_eq(rdata_valid(cases[i].type, copy, cases[i].n, &why), -E_FORMAT);
        ck_assert_msg(strstr(why.text, cases[i].why), "case %zu: %s", i, why.text);
        free(copy);
    }
    /* Not ours to judge. */
    ck_assert_int_eq(rdata_valid(65400, NULL, 0, NULL), 0);
    ck_assert_int_eq(rdata_valid(RR_LOC, (const uint8_t *)"\1x", 2, NULL), 0);
    ck_assert_int_eq(rdata_valid(RR_IPSECKEY, (const uint8_t *)"\1\201\1x", 4, NULL), 0);
    ck_assert_int_eq(rdata_valid(RR_NULL, NULL, 0, NULL), 0);
}
END_TEST

START_TEST(unpacking)
{
    static const uint8_t msg[] = "\0\1a\2bc\0"    /* a.bc. at 1 */
                                 "\0\12\1x\xc0\1" /* MX at 7 */
                                 "\xc0\1\xc0\3"   /* SOA at 13 */
                                 "12345678901234567890"
                                 "\0\1\0\2\0\3\xc0\1"; /* SRV at 37 */
    uint8_t out[100];
    struct why why = {{0}};
    ck_assert_int_eq(rdata_unpack(RR_MX, msg, sizeof msg - 1, 7, 6, out, sizeof out, &why), 10);
    ck_assert_int_eq(memcmp(out, "\0\12\1x\1a\2bc", 10), 0);
    ck_assert_int_eq(rdata_unpack(RR_SOA, msg, sizeof msg - 1, 13, 24, out, sizeof out, &why),
                     6 + 4 + 20);
    ck_assert_int_eq(memcmp(out,
                            "\1a\2bc\0\2bc\0"
                            "12345678901234567890",
                            30),
                     0);
    ck_assert_int_eq(rdata_unpack(RR_SRV, msg, sizeof msg - 1, 37, 8, out, sizeof out, &why), 12);
    ck_assert_int_eq(rdata_unpack(RR_SRV, msg, sizeof msg - 1, 37, 8, out, 11, &why), -E_SPACE);
    ck_assert_int_eq(rdata_unpack(RR_MX, msg, sizeof msg - 1, 7, 5, out, sizeof out, &why),
                     -E_FORMAT);
    ck_assert(strstr(why.text, "field 2 (octet 2 of the rdata): name runs past the end"));
    ck_assert_int_eq(rdata_unpack(RR_MX, msg, sizeof msg - 1, 7, 7, out, sizeof out, &why),
                     -E_FORMAT);
    ck_assert_int_eq(rdata_unpack(RR_A, msg, sizeof msg - 1, 43, 4, out, sizeof out, &why),
                     -E_FORMAT);
    ck_assert(strstr(why.text, "runs past the end of the message"));
}
END_TEST

START_TEST(bitmaps)
{
    struct random random = random_open();
    for (unsigned round = 0; round < 20; round++) {
        static bool in[65536];
        static uint8_t map[256 * 34];
        memset(in, 0, sizeof in);
        size_t n = 0;
        for (unsigned window = 0; window < 256; window++) {
            if (random_below(&random, 3) == 0)
                continue;
            uint8_t bits[32] = {0};
            unsigned last = 0;
            for (unsigned k = 0; k < 5; k++) {
                unsigned t = (unsigned)random_below(&random, 256);
                in[window << 8 | t] = true;
                bits[t >> 3] |= (uint8_t)(0x80 >> (t & 7));
                last = t >> 3 > last ? t >> 3 : last;
            }
            map[n++] = (uint8_t)window;
            map[n++] = (uint8_t)(last + 1);
            memcpy(map + n, bits, last + 1);
            n += last + 1;
        }
        for (unsigned t = 0; t < 65536; t++)
            ck_assert_int_eq(type_bitmap_has(map, n, (uint16_t)t), in[t]);
    }
}
END_TEST

int main(void)
{
    struct suite s = suite_open("rrtype");
    suite_add(s, rows_against_ldns);
    suite_add(s, flags_against_the_rfcs);
    suite_add(s, codes_and_mnemonics);
    suite_add(s, whatever_fits_is_taken);
    suite_add(s, canonical_form_of_ldns);
    suite_add(s, order_of_canonical_forms);
    suite_add(s, refusals);
    suite_add(s, unpacking);
    suite_add(s, bitmaps);
    return suite_run(s);
}
