/* text_rdata: what ldns knows, and what is better read here.
 *
 * ldns knows of some ninety types which fields they have, and how to read and write the odd ones
 * (base64, LOC, APL, service parameters); weir does not write that again. But ldns reads whole
 * records forgivingly: "MX 70000 a." becomes preference 4464, an unknown type in an NSEC bitmap
 * becomes type 0, half a hexadecimal octet is filled up, a name that begins with the label "@"
 * becomes the origin, text over 65,534 characters is cut off without a word. So its table of fields
 * is walked here; names, numbers, types, bitmaps, times and strings are read by weir, the rest field
 * by field by ldns, after a look at what it would take and should not (check_*).
 *
 * The generic form is read here, since ldns counts its hexadecimal digits in 16 bits.
 *
 * Printing by ldns is distrusted in the same way: unless the text is plain (letters, digits, no
 * escapes, a common type), it is read back, by the code that reads files, and when the octets are
 * not the same the generic form is printed.
 */
#include "pipeline/zone/text_rdata.h"
#include "pipeline/base/alloc.h"
#include "pipeline/zone/name.h"
#include "pipeline/zone/rrtype.h"
#include "pipeline/zone/text_field.h"

#include <ctype.h>
#include <ldns/ldns.h>
#include <stdlib.h>
#include <string.h>

struct text_rdata {
    uint8_t origin[NAME_MAX_OCTETS];
    ldns_buffer *line; /* what ldns is asked to read, when it is several tokens */
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
    ldns_buffer_free((*t)->line);
    ldns_buffer_free((*t)->out);
    mem_free(&(*t)->generic);
    mem_free(&(*t)->octets);
    text_entry_fini(&(*t)->entry);
    mem_free(t);
}

void text_rdata_origin(struct text_rdata *t, const uint8_t *origin)
{
    name_copy(t->origin, origin);
}

/* ---- the generic form ---- */

static int hex_digit(char c)
{
    return isdigit((unsigned char)c)    ? c - '0'
           : isxdigit((unsigned char)c) ? (c | 0x20) - 'a' + 10
                                        : -1;
}

static int generic_parse(const struct text_token *token, unsigned n, uint8_t *out, uint16_t *len,
                         struct why *why)
{
    uint64_t want;
    size_t digits = 0;
    if (n < 2 || text_number(token[1].s, RDATA_MAX_OCTETS, &want))
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

/* ---- records ---- */

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

static int fields_parse(struct text_rdata *t, const ldns_rr_descriptor *d,
                        const struct text_token *token, unsigned n, struct wbuf *out,
                        struct why *why)
{
    unsigned i = 0, at = 0;
    for (; at < n && field_kind(d, i) != LDNS_RDF_TYPE_NONE; i++) {
        struct text_field f = {.kind = field_kind(d, i),
                               .token = token + at,
                               .n = n - at,
                               .last = i + 1 >= ldns_rr_descriptor_maximum(d),
                               .origin = t->origin,
                               .line = t->line,
                               .out = out};
        int took = text_field_parse(&f, why);
        if (took < 0)
            return took;
        if (out->bad)
            return why_set(why, -E_LIMIT, "rdata of more than %d octets", RDATA_MAX_OCTETS);
        at += (unsigned)took;
    }
    if (at < n)
        return why_set(why, -E_FORMAT, "\"%.60s\" is one field too many", token[at].s);
    if (i < ldns_rr_descriptor_minimum(d))
        return why_set(why, -E_FORMAT, "fields: %u, needed: at least %zu", i,
                       ldns_rr_descriptor_minimum(d));
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
        struct wbuf w = wbuf_open(out, RDATA_MAX_OCTETS);
        err = fields_parse(t, d, token, n, &w, why);
        got = (uint16_t)wbuf_len(&w);
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
    uint8_t origin[NAME_MAX_OCTETS];
    name_copy(origin, t->origin);
    text_rdata_origin(t, name_root);
    bool same = text_entry_read(&t->entry, in, &line, NULL) == 1 &&
                text_rdata_parse(t, type, t->entry.token, t->entry.n, t->octets, &got, NULL) == 0 &&
                got == len && memcmp(t->octets, rdata, len) == 0 &&
                text_entry_read(&t->entry, in, &line, NULL) == 0;
    text_rdata_origin(t, origin);
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
    return n && n < TEXT_ENTRY_MAX / 2 ? text : NULL;
}

const char *text_rdata_print(struct text_rdata *t, uint16_t type, const uint8_t *rdata,
                             uint16_t len)
{
    const char *text = ldns_print(t, type, rdata, len);
    if (text && (is_plain(type, rdata, text) || reads_back(t, type, text, rdata, len)))
        return text;
    return generic_print(t, rdata, len);
}
