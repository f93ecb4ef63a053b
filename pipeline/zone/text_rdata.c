/* text_rdata: ldns, and what has to stand around it.
 *
 * ldns knows the text forms of some ninety types; weir does not write them again. But ldns is
 * forgiving where a zone must not be: "MX 70000 a." becomes preference 4464, an unknown type in an
 * NSEC bitmap becomes type 0, half a hexadecimal octet is filled up, a name that begins with the
 * label "@" becomes the origin, rdata text over 65,534 characters is cut off without a word. So
 * every token that has one field to itself is looked at before (check_*) and every number is
 * compared with the octets that came out of it after (guard_*): what is not understood is refused.
 *
 * The generic form is read here, since ldns counts its hexadecimal digits in 16 bits.
 *
 * Printing is distrusted in the same way: unless the text is plain (letters, digits, no escapes, a
 * common type), it is read back, by the very code that reads files, and when the octets are not the
 * same the generic form is printed.
 */
#include "pipeline/zone/text_rdata.h"
#include "pipeline/base/alloc.h"
#include "pipeline/zone/name.h"
#include "pipeline/zone/rrtype.h"
#include "pipeline/zone/text.h"

#include <ctype.h>
#include <ldns/ldns.h>
#include <stdlib.h>
#include <string.h>

enum { LDNS_TEXT_MAX = LDNS_MAX_PACKETLEN - 1 };

struct text_rdata {
    ldns_rdf *origin;
    ldns_buffer *line; /* what ldns is asked to read */
    ldns_buffer *out;  /* what it printed */
    char *generic;
    struct text_entry entry; /* for reading back */
    uint8_t *octets;
};

struct text_rdata *text_rdata_new(void)
{
    struct text_rdata *t = mem_zalloc(sizeof(*t));
    t->line = ldns_buffer_new(1024);
    t->out = ldns_buffer_new(1024);
    ASSERT(t->line && t->out);
    text_entry_init(&t->entry);
    text_rdata_origin(t, name_root);
    return t;
}

void text_rdata_free(struct text_rdata **t)
{
    if (!*t)
        return;
    ldns_rdf_deep_free((*t)->origin);
    ldns_buffer_free((*t)->line);
    ldns_buffer_free((*t)->out);
    mem_free(&(*t)->generic);
    mem_free(&(*t)->octets);
    text_entry_fini(&(*t)->entry);
    mem_free(t);
}

void text_rdata_origin(struct text_rdata *t, const uint8_t *origin)
{
    ldns_rdf_deep_free(t->origin);
    t->origin = ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, name_len(origin), origin);
    ASSERT(t->origin);
}

int text_period(const char *s, uint32_t *out)
{
    uint64_t sum = 0;
    if (!*s)
        return -E_FORMAT;
    while (*s) {
        uint64_t v = 0;
        if (!isdigit((unsigned char)*s))
            return -E_FORMAT;
        for (; isdigit((unsigned char)*s); s++)
            if ((v = v * 10 + (uint64_t)(*s - '0')) > UINT32_MAX)
                return -E_LIMIT;
        switch (tolower((unsigned char)*s)) {
        case 'w':
            v *= 7;
            __attribute__((fallthrough));
        case 'd':
            v *= 24;
            __attribute__((fallthrough));
        case 'h':
            v *= 60;
            __attribute__((fallthrough));
        case 'm':
            v *= 60;
            __attribute__((fallthrough));
        case 's':
            s++;
            break;
        case '\0':
            break;
        default:
            return -E_FORMAT;
        }
        if ((sum += v) > UINT32_MAX)
            return -E_LIMIT;
    }
    *out = (uint32_t)sum;
    return 0;
}

/* ---- the generic form ---- */

static int hex_digit(char c)
{
    return isdigit((unsigned char)c)    ? c - '0'
           : isxdigit((unsigned char)c) ? (c | 0x20) - 'a' + 10
                                        : -1;
}

static int number_parse(const char *s, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    if (!*s)
        return -E_FORMAT;
    for (; *s; s++) {
        if (!isdigit((unsigned char)*s))
            return -E_FORMAT;
        v = v * 10 + (uint64_t)(*s - '0');
        if (v > max)
            return -E_LIMIT;
    }
    *out = v;
    return 0;
}

static int generic_parse(const struct text_token *token, unsigned n, uint8_t *out, uint16_t *len,
                         struct why *why)
{
    uint64_t want;
    size_t digits = 0;
    if (n < 2 || number_parse(token[1].s, RDATA_MAX_OCTETS, &want))
        return why_set(why, -E_FORMAT, "\\# needs a length from 0 to 65535");
    for (unsigned i = 2; i < n; i++)
        for (const char *s = token[i].s; *s; s++, digits++) {
            int v = hex_digit(*s);
            if (v < 0)
                return why_set(why, -E_FORMAT, "\"%c\" is not a hexadecimal digit", *s);
            if (digits >= 2 * want)
                return why_set(why, -E_FORMAT, "more octets than the %u that \\# announces",
                               (unsigned)want);
            out[digits / 2] = (uint8_t)(digits & 1 ? out[digits / 2] | v : v << 4);
        }
    if (digits != 2 * want)
        return why_set(why, -E_FORMAT,
                       "%zu hexadecimal digits for the %u octets that \\# announces", digits,
                       (unsigned)want);
    *len = (uint16_t)want;
    return 0;
}

/* ---- before ldns ---- */

static ldns_rdf_type field_kind(const ldns_rr_descriptor *d, unsigned i)
{
    return i < ldns_rr_descriptor_maximum(d) ? ldns_rr_descriptor_field_type(d, i)
                                             : LDNS_RDF_TYPE_NONE;
}

static bool ldns_has_text(const ldns_rr_descriptor *d)
{
    return d && d->_name && field_kind(d, 0) != LDNS_RDF_TYPE_UNKNOWN &&
           field_kind(d, 0) != LDNS_RDF_TYPE_NONE;
}

/* Does this kind, as the last field, take all tokens that are left? */
static bool takes_the_rest(ldns_rdf_type kind)
{
    switch (kind) {
    case LDNS_RDF_TYPE_B64:
    case LDNS_RDF_TYPE_HEX:
    case LDNS_RDF_TYPE_NSEC:
    case LDNS_RDF_TYPE_LOC:
    case LDNS_RDF_TYPE_WKS:
    case LDNS_RDF_TYPE_IPSECKEY:
    case LDNS_RDF_TYPE_AMTRELAY:
    case LDNS_RDF_TYPE_SVCPARAMS:
    case LDNS_RDF_TYPE_HIP:
    case LDNS_RDF_TYPE_APL:
        return true;
    default:
        return false;
    }
}

/* ldns takes a name whose first label is "@", escaped or not, for the origin. */
static int check_name(const char *s, struct why *why)
{
    static const char *const at[] = {"\\@", "\\064", "@"};
    for (int i = 0; i < 3; i++) {
        size_t n = strlen(at[i]);
        if (strncmp(s, at[i], n) == 0 && (s[n] == '.' || (s[n] == '\0' && i < 2)))
            return why_set(why, -E_UNSUPPORTED,
                           "a name that begins with the label \"@\" in rdata needs the generic "
                           "form: \\# length "
                           "hexadecimal");
    }
    return 0;
}

static int check_hex(const struct text_token *token, unsigned n, struct why *why)
{
    size_t digits = 0;
    for (unsigned i = 0; i < n; i++)
        digits += token[i].len;
    return digits % 2 ? why_set(why, -E_FORMAT, "an odd number of hexadecimal digits") : 0;
}

/* IPSECKEY "10 3 2 gateway key", AMTRELAY "10 0 3 relay": ldns reads the numbers by atoi and takes
 * a relative name as absolute. type_at: which field says that a name (3) follows. */
static int check_gateway(const struct text_token *token, unsigned n, unsigned type_at,
                         struct why *why)
{
    uint64_t v, kind = 0;
    for (unsigned i = 0; i < 3; i++) {
        if (i >= n || number_parse(token[i].s, UINT8_MAX, &v))
            return why_set(why, -E_FORMAT, "the first three fields must be numbers up to 255");
        if (i == type_at)
            kind = v;
    }
    if (kind == 3 && n > 3 && token[3].s[token[3].len - 1] != '.')
        return why_set(why, -E_FORMAT, "the name \"%s\" must end in a dot", token[3].s);
    return 0;
}

/* "2 hit key server …": the servers are names. */
static int check_hip(const struct text_token *token, unsigned n, struct why *why)
{
    uint64_t v;
    if (n && number_parse(token[0].s, UINT8_MAX, &v))
        return why_set(why, -E_FORMAT, "\"%s\" is not a number up to 255", token[0].s);
    for (unsigned i = 3; i < n; i++) {
        int err = check_name(token[i].s, why);
        if (err)
            return err;
    }
    return 0;
}

/* A type's name, as ldns knows it whatever its age. */
static int put_type(struct text_rdata *t, const char *s, struct why *why)
{
    uint16_t code;
    if (rrtype_parse(s, &code))
        return why_set(why, -E_FORMAT, "unknown type \"%s\"", s);
    ldns_buffer_printf(t->line, " TYPE%u", code);
    return 0;
}

static int check_rest(ldns_rdf_type kind, const struct text_token *token, unsigned n,
                      struct why *why)
{
    switch (kind) {
    case LDNS_RDF_TYPE_HEX:
        return check_hex(token, n, why);
    case LDNS_RDF_TYPE_IPSECKEY:
        return check_gateway(token, n, 1, why);
    case LDNS_RDF_TYPE_AMTRELAY:
        return check_gateway(token, n, 2, why);
    case LDNS_RDF_TYPE_HIP:
        return check_hip(token, n, why);
    default:
        return 0;
    }
}

/* Puts the record's line together and looks at each token that has a field to itself. */
static int line_build(struct text_rdata *t, const ldns_rr_descriptor *d, uint16_t type,
                      const struct text_token *token, unsigned n, struct why *why)
{
    ldns_buffer_clear(t->line);
    ldns_buffer_printf(t->line, ". 0 IN TYPE%u", type);
    size_t rdata_at = ldns_buffer_position(t->line);
    ldns_rdf_type kind = LDNS_RDF_TYPE_NONE;
    bool rest = false;
    for (unsigned i = 0; i < n; i++) {
        int err = 0;
        if (!rest) {
            kind = field_kind(d, i);
            rest = takes_the_rest(kind) && (i + 1U >= d->_maximum || kind == LDNS_RDF_TYPE_HIP);
            err = rest ? check_rest(kind, token + i, n - i, why) : 0;
        }
        if (kind == LDNS_RDF_TYPE_DNAME)
            err = check_name(token[i].s, why);
        if (!err && (kind == LDNS_RDF_TYPE_TYPE || kind == LDNS_RDF_TYPE_NSEC))
            err = put_type(t, token[i].s, why);
        else if (!err)
            ldns_buffer_printf(t->line, " %s", token[i].s);
        if (err)
            return err;
        if (ldns_buffer_position(t->line) - rdata_at > LDNS_TEXT_MAX)
            return why_set(
                why, -E_LIMIT,
                "rdata of more than %d characters needs the generic form: \\# length hexadecimal",
                LDNS_TEXT_MAX);
    }
    ASSERT(ldns_buffer_status_ok(t->line));
    return 0;
}

/* ---- after ldns ---- */

static uint32_t rdf_number(const ldns_rdf *f)
{
    uint32_t v = 0;
    for (size_t i = 0; i < ldns_rdf_size(f); i++)
        v = v << 8 | ldns_rdf_data(f)[i];
    return v;
}

/* Is the number that ldns made what the token says? */
static bool number_is(ldns_rdf_type kind, const char *s, uint32_t got)
{
    uint64_t v;
    uint32_t period;
    time_t time;
    switch (kind) {
    case LDNS_RDF_TYPE_PERIOD:
        return text_period(s, &period) == 0 && period == got;
    case LDNS_RDF_TYPE_TIME:
        return text_time(s, &time) == 0 && (uint32_t)time == got &&
               (strlen(s) == 14 || time <= UINT32_MAX);
    case LDNS_RDF_TYPE_ALG:
    case LDNS_RDF_TYPE_CERT_ALG:
    case LDNS_RDF_TYPE_CERTIFICATE_USAGE:
    case LDNS_RDF_TYPE_SELECTOR:
    case LDNS_RDF_TYPE_MATCHING_TYPE:
        if (isalpha((unsigned char)s[0]))
            return true; /* a mnemonic that ldns found */
        __attribute__((fallthrough));
    default:
        return number_parse(s, UINT32_MAX, &v) == 0 && v == got;
    }
}

static int guard_field(ldns_rdf_type kind, const char *s, const ldns_rdf *f, struct why *why)
{
    switch (kind) {
    case LDNS_RDF_TYPE_INT8:
    case LDNS_RDF_TYPE_INT16:
    case LDNS_RDF_TYPE_INT32:
    case LDNS_RDF_TYPE_PERIOD:
    case LDNS_RDF_TYPE_TIME:
    case LDNS_RDF_TYPE_ALG:
    case LDNS_RDF_TYPE_CERT_ALG:
    case LDNS_RDF_TYPE_CERTIFICATE_USAGE:
    case LDNS_RDF_TYPE_SELECTOR:
    case LDNS_RDF_TYPE_MATCHING_TYPE:
        if (!number_is(kind, s, rdf_number(f)))
            return why_set(why, -E_FORMAT, "\"%s\" is not a number that fits its field", s);
        return 0;
    case LDNS_RDF_TYPE_NSEC3_SALT:
        if (strcmp(s, "-") != 0 && strlen(s) != 2 * (ldns_rdf_size(f) - 1))
            return why_set(why, -E_FORMAT, "a salt of more than 255 octets");
        return 0;
    case LDNS_RDF_TYPE_NSEC3_NEXT_OWNER: /* ldns writes a wrong length when it is not 8 digits for 5 octets */
        if (strlen(s) % 8 || strchr(s, '='))
            return why_set(why, -E_FORMAT, "\"%s\" is not a hash of whole groups of 8 digits", s);
        return 0;
    default:
        return 0;
    }
}

static int guard_fields(const ldns_rr_descriptor *d, const ldns_rr *rr,
                        const struct text_token *token, unsigned n, struct why *why)
{
    for (unsigned i = 0; i < n && i < ldns_rr_rd_count(rr); i++) {
        ldns_rdf_type kind = field_kind(d, i);
        if (takes_the_rest(kind) && i + 1U >= d->_maximum)
            break;
        int err = guard_field(kind, token[i].s, ldns_rr_rdf(rr, i), why);
        if (err)
            return err;
    }
    return 0;
}

static int rr_octets(const ldns_rr *rr, uint8_t *out, uint16_t *len, struct why *why)
{
    size_t n = 0;
    for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
        const ldns_rdf *f = ldns_rr_rdf(rr, i);
        if (n + ldns_rdf_size(f) > RDATA_MAX_OCTETS)
            return why_set(why, -E_LIMIT, "rdata of more than %d octets", RDATA_MAX_OCTETS);
        if (ldns_rdf_size(f))
            memcpy(out + n, ldns_rdf_data(f), ldns_rdf_size(f));
        n += ldns_rdf_size(f);
    }
    *len = (uint16_t)n;
    return 0;
}

int text_rdata_parse(struct text_rdata *t, uint16_t type, const struct text_token *token,
                     unsigned n, uint8_t out[RDATA_MAX_OCTETS], uint16_t *len, struct why *why)
{
    uint16_t got = 0;
    int err;
    if (n && strcmp(token[0].s, "\\#") == 0) {
        err = generic_parse(token, n, out, &got, why);
    } else {
        const ldns_rr_descriptor *d = ldns_rr_descript(type);
        if (!ldns_has_text(d))
            return why_set(why, -E_UNSUPPORTED,
                           "ldns %s has no text form for this type; the generic form serves: \\# "
                           "length hexadecimal",
                           ldns_version());
        err = line_build(t, d, type, token, n, why);
        if (err)
            return err;
        ldns_rr *rr;
        ldns_status status =
            ldns_rr_new_frm_str(&rr, (const char *)ldns_buffer_begin(t->line), 0, t->origin, NULL);
        if (status != LDNS_STATUS_OK)
            return why_set(why, -E_FORMAT, "ldns: %s", ldns_get_errorstr_by_id(status));
        err = guard_fields(d, rr, token, n, why);
        if (!err)
            err = rr_octets(rr, out, &got, why);
        ldns_rr_free(rr);
    }
    if (!err)
        err = rdata_valid(type, out, got, why);
    if (!err)
        *len = got;
    return err;
}

/* ---- printing ---- */

static const char *generic_print(struct text_rdata *t, const uint8_t *rdata, uint16_t len)
{
    static const char digit[] = "0123456789ABCDEF";
    t->generic = mem_resize(t->generic, 16 + 2 * (size_t)len);
    char *p = t->generic + sprintf(t->generic, len ? "\\# %u " : "\\# %u", len);
    for (size_t i = 0; i < len; i++) {
        *p++ = digit[rdata[i] >> 4];
        *p++ = digit[rdata[i] & 15];
    }
    *p = '\0';
    return t->generic;
}

/* A common type and nothing in its text that could be read in two ways. */
static bool is_plain(uint16_t type, const uint8_t *rdata, const char *text)
{
    switch (type) {
    case RR_RRSIG: /* dates after 2038 are printed by ldns according to the clock */
        if ((rdata[8] | rdata[12]) & 0x80)
            return false;
        break;
    case RR_A:
    case RR_AAAA:
    case RR_NS:
    case RR_CNAME:
    case RR_PTR:
    case RR_DNAME:
    case RR_SOA:
    case RR_MX:
    case RR_TXT:
    case RR_SRV:
    case RR_DS:
    case RR_DNSKEY:
    case RR_NSEC:
    case RR_NSEC3:
    case RR_NSEC3PARAM:
    case RR_TLSA:
        break;
    default:
        return false;
    }
    const char *marks =
        type == RR_NSEC3 ? " -" : " .-_*+/=:"; /* a hash filled up by '=' is not plain */
    for (const char *s = text; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr(marks, *s) && !(*s == '"' && type == RR_TXT))
            return false;
    return true;
}

/* Reads the text by the code that reads files. */
static bool reads_back(struct text_rdata *t, uint16_t type, const char *text, const uint8_t *rdata,
                       uint16_t len)
{
    if (!t->octets)
        t->octets = mem_alloc(RDATA_MAX_OCTETS);
    size_t n = strlen(text);
    unsigned line = 1;
    uint16_t got;
    FILE *in = n ? fmemopen((void *)(uintptr_t)text, n, "r") : NULL;
    if (!in)
        return false;
    ldns_rdf *origin = t->origin;
    t->origin = NULL;
    text_rdata_origin(t, name_root);
    bool same = text_entry_read(&t->entry, in, &line, NULL) == 1 &&
                text_rdata_parse(t, type, t->entry.token, t->entry.n, t->octets, &got, NULL) == 0 &&
                got == len && memcmp(t->octets, rdata, len) == 0 &&
                text_entry_read(&t->entry, in, &line, NULL) == 0;
    ldns_rdf_deep_free(t->origin);
    t->origin = origin;
    fclose(in);
    return same;
}

/* The fields that ldns finds, if together they are the rdata and none is missing. */
static bool rr_fill(ldns_rr *rr, const ldns_rr_descriptor *d, const uint8_t *rdata, uint16_t len)
{
    uint8_t wire[2 + RDATA_MAX_OCTETS];
    size_t pos = 0, at = 0;
    put_u16(wire, len);
    memcpy(wire + 2, rdata, len);
    if (ldns_wire2rdf(rr, wire, 2 + (size_t)len, &pos) != LDNS_STATUS_OK ||
        ldns_rr_rd_count(rr) < ldns_rr_descriptor_minimum(d))
        return false;
    for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
        const ldns_rdf *f = ldns_rr_rdf(rr, i);
        if (at + ldns_rdf_size(f) > len ||
            memcmp(ldns_rdf_data(f), rdata + at, ldns_rdf_size(f)) != 0)
            return false;
        at += ldns_rdf_size(f);
    }
    return at == len;
}

/* The type's own text; NULL: ldns has none for these octets. */
static const char *ldns_print(struct text_rdata *t, uint16_t type, const uint8_t *rdata,
                              uint16_t len)
{
    const ldns_rr_descriptor *d = ldns_rr_descript(type);
    if (!ldns_has_text(d))
        return NULL;
    ldns_rr *rr = ldns_rr_new();
    ASSERT(rr);
    ldns_rr_set_type(rr, type);
    ldns_buffer_clear(t->out);
    bool ok = rr_fill(rr, d, rdata, len);
    for (size_t i = 0; ok && i < ldns_rr_rd_count(rr); i++) {
        if (i)
            ldns_buffer_printf(t->out, " ");
        ok = ldns_rdf2buffer_str(t->out, ldns_rr_rdf(rr, i)) == LDNS_STATUS_OK;
    }
    ldns_rr_free(rr);
    if (!ok)
        return NULL;
    size_t n = ldns_buffer_position(t->out);
    ldns_buffer_printf(t->out, "%s", ""); /* ends in a zero octet */
    char *text = (char *)ldns_buffer_begin(t->out);
    while (n && text[n - 1] == ' ')
        text[--n] = '\0';
    return n && n < LDNS_TEXT_MAX ? text : NULL;
}

const char *text_rdata_print(struct text_rdata *t, uint16_t type, const uint8_t *rdata,
                             uint16_t len)
{
    const char *text = ldns_print(t, type, rdata, len);
    if (text && (is_plain(type, rdata, text) || reads_back(t, type, text, rdata, len)))
        return text;
    return generic_print(t, rdata, len);
}
