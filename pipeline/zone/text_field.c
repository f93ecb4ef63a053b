/* text_field: what one field says.
 *
 * Names, numbers, types, bitmaps, times and strings are read here; base64, hexadecimal, addresses, LOC, APL, service
 * parameters and other rare forms by ldns, after a look at what it would take and should not (check_field).
 */
#include "pipeline/zone/text_field.h"
#include "pipeline/zone/name.h"
#include "pipeline/zone/rrtype.h"
#include "pipeline/zone/text.h"
#include "pipeline/zone/text_rdata.h"

#include <ctype.h>
#include <string.h>

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

/* "a." is absolute, "a\." is not. */
static bool is_absolute(const char *s, size_t len)
{
    size_t slashes = 0;
    if (!len || s[len - 1] != '.')
        return false;
    while (slashes + 1 < len && s[len - 2 - slashes] == '\\')
        slashes++;
    return slashes % 2 == 0;
}

int text_name(const struct text_token *token, const uint8_t *origin, uint8_t out[NAME_MAX_OCTETS],
              struct why *why)
{
    struct why inner = {""};
    if (strcmp(token->s, "@") == 0)
        return (int)name_copy(out, origin);
    int len = name_parse(token->s, out, &inner);
    if (len < 0)
        return why_set(why, len, "the name \"%s\": %s", token->s, inner.text);
    if (is_absolute(token->s, token->len))
        return len;
    if ((size_t)len - 1 + name_len(origin) > NAME_MAX_OCTETS)
        return why_set(why, -E_FORMAT, "the name \"%s\" with its origin is over 255 octets",
                       token->s);
    return len - 1 + (int)name_copy(out + len - 1, origin);
}

int text_number(const char *s, uint64_t max, uint64_t *out)
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

/* ---- fields that weir reads itself ---- */

/* Quotes off, escapes (\X, \DDD) read. Returns the octets written, or -E_FORMAT. */
static int string_parse(const char *s, uint8_t *out, size_t cap, struct why *why)
{
    size_t n = 0;
    bool quoted = *s == '"';
    for (s += quoted; *s && !(quoted && *s == '"'); s++) {
        unsigned c = (uint8_t)*s;
        if (c == '\\' && isdigit((unsigned char)s[1])) {
            if (!isdigit((unsigned char)s[2]) || !isdigit((unsigned char)s[3]))
                return why_set(why, -E_FORMAT, "an escape of less than three digits");
            c = (unsigned)((s[1] - '0') * 100 + (s[2] - '0') * 10 + (s[3] - '0'));
            s += 3;
        } else if (c == '\\') {
            c = (uint8_t) * ++s;
        }
        if (c > UINT8_MAX)
            return why_set(why, -E_FORMAT, "an escape over \\255");
        if (n == cap)
            return why_set(why, -E_LIMIT, "a string of more than %zu octets", cap);
        out[n++] = (uint8_t)c;
    }
    return (int)n;
}

static int put_string(struct text_field *f, struct why *why)
{
    uint8_t octets[UINT8_MAX];
    int n = string_parse(f->token->s, octets, sizeof(octets), why);
    if (n < 0)
        return -E_FORMAT;
    wbuf_u8(f->out, (uint8_t)n);
    wbuf_put(f->out, octets, (size_t)n);
    return 1;
}

static int put_long_string(struct text_field *f, struct why *why)
{
    int n = string_parse(f->token->s, f->out->p, (size_t)(f->out->end - f->out->p), why);
    if (n < 0)
        return n;
    f->out->p += n;
    return 1;
}

static int put_number(struct text_field *f, unsigned octets, struct why *why)
{
    uint64_t v;
    if (text_number(f->token->s, (UINT64_C(1) << 8 * octets) - 1, &v))
        return why_set(why, -E_FORMAT, "\"%s\" is not a number of %u bits", f->token->s,
                       8 * octets);
    for (unsigned i = octets; i-- > 0;)
        wbuf_u8(f->out, (uint8_t)(v >> 8 * i));
    return 1;
}

static int put_time(struct text_field *f, struct why *why)
{
    time_t time;
    if (text_time(f->token->s, &time) || (f->token->len != 14 && time > UINT32_MAX))
        return why_set(why, -E_FORMAT, "\"%s\" is not a time", f->token->s);
    wbuf_u32(f->out, (uint32_t)time);
    return 1;
}

static int put_period(struct text_field *f, struct why *why)
{
    uint32_t period;
    if (text_period(f->token->s, &period))
        return why_set(why, -E_FORMAT, "\"%s\" is not a time span below 2^32 seconds", f->token->s);
    wbuf_u32(f->out, period);
    return 1;
}

static int type_parse(const char *s, uint16_t *out, struct why *why)
{
    return rrtype_parse(s, out) ? why_set(why, -E_FORMAT, "unknown type \"%s\"", s) : 0;
}

static int put_type(struct text_field *f, struct why *why)
{
    uint16_t type;
    int err = type_parse(f->token->s, &type, why);
    if (!err)
        wbuf_u16(f->out, type);
    return err ? err : 1;
}

/* RFC 4034 4.1.2: for each block of 256 types that occur, its number, length and bits. */
static int put_bitmap(struct text_field *f, struct why *why)
{
    uint8_t bits[256][32], len[256] = {0};
    for (unsigned i = 0; i < f->n; i++) {
        uint16_t type;
        int err = type_parse(f->token[i].s, &type, why);
        if (err)
            return err;
        unsigned block = type >> 8, octet = (type & 0xff) >> 3;
        if (!len[block])
            memset(bits[block], 0, sizeof(bits[block]));
        if (len[block] <= octet)
            len[block] = (uint8_t)(octet + 1);
        bits[block][octet] |= (uint8_t)(0x80 >> (type & 7));
    }
    for (unsigned block = 0; block < 256; block++)
        if (len[block]) {
            wbuf_u8(f->out, (uint8_t)block);
            wbuf_u8(f->out, len[block]);
            wbuf_put(f->out, bits[block], len[block]);
        }
    return (int)f->n;
}

static int put_name(struct text_field *f, struct why *why)
{
    uint8_t name[NAME_MAX_OCTETS];
    int len = text_name(f->token, f->origin, name, why);
    if (len < 0)
        return len;
    wbuf_put(f->out, name, (size_t)len);
    return 1;
}

/* ---- fields that ldns reads ---- */

struct converter {
    ldns_rdf_type kind;
    ldns_status (*read)(ldns_rdf **out, const char *text);
    enum {
        ONE,
        ALL,
        ALL_PACKED,
        THREE
    } tokens; /* PACKED: without blanks between; ALL only in the last field */
};

static const struct converter converters[] = {
    {LDNS_RDF_TYPE_A, ldns_str2rdf_a, ONE},
    {LDNS_RDF_TYPE_AAAA, ldns_str2rdf_aaaa, ONE},
    {LDNS_RDF_TYPE_B64, ldns_str2rdf_b64, ALL_PACKED},
    {LDNS_RDF_TYPE_HEX, ldns_str2rdf_hex, ALL_PACKED},
    {LDNS_RDF_TYPE_ALG, ldns_str2rdf_alg, ONE},
    {LDNS_RDF_TYPE_NSEC3_SALT, ldns_str2rdf_nsec3_salt, ONE},
    {LDNS_RDF_TYPE_NSEC3_NEXT_OWNER, ldns_str2rdf_b32_ext, ONE},
    {LDNS_RDF_TYPE_B32_EXT, ldns_str2rdf_b32_ext, ONE},
    {LDNS_RDF_TYPE_CERT_ALG, ldns_str2rdf_cert_alg, ONE},
    {LDNS_RDF_TYPE_CERTIFICATE_USAGE, ldns_str2rdf_certificate_usage, ONE},
    {LDNS_RDF_TYPE_SELECTOR, ldns_str2rdf_selector, ONE},
    {LDNS_RDF_TYPE_MATCHING_TYPE, ldns_str2rdf_matching_type, ONE},
    {LDNS_RDF_TYPE_APL, ldns_str2rdf_apl, ONE},
    {LDNS_RDF_TYPE_LOC, ldns_str2rdf_loc, ALL},
    {LDNS_RDF_TYPE_WKS, ldns_str2rdf_wks, ALL},
    {LDNS_RDF_TYPE_SERVICE, ldns_str2rdf_service, ONE},
    {LDNS_RDF_TYPE_NSAP, ldns_str2rdf_nsap, ALL_PACKED},
    {LDNS_RDF_TYPE_ATMA, ldns_str2rdf_atma, ONE},
    {LDNS_RDF_TYPE_IPSECKEY, ldns_str2rdf_ipseckey, ALL},
    {LDNS_RDF_TYPE_AMTRELAY, ldns_str2rdf_amtrelay, ALL},
    {LDNS_RDF_TYPE_HIP, ldns_str2rdf_hip, THREE},
    {LDNS_RDF_TYPE_ILNP64, ldns_str2rdf_ilnp64, ONE},
    {LDNS_RDF_TYPE_EUI48, ldns_str2rdf_eui48, ONE},
    {LDNS_RDF_TYPE_EUI64, ldns_str2rdf_eui64, ONE},
    {LDNS_RDF_TYPE_TAG, ldns_str2rdf_tag, ONE},
    {LDNS_RDF_TYPE_SVCPARAMS, ldns_str2rdf_svcparams, ALL},
};

static const struct converter *converter_get(ldns_rdf_type kind)
{
    for (size_t i = 0; i < sizeof(converters) / sizeof(converters[0]); i++)
        if (converters[i].kind == kind)
            return &converters[i];
    return NULL;
}

/* IPSECKEY "10 3 2 gateway key", AMTRELAY "10 0 3 relay": ldns reads the numbers by atoi and takes a
 * relative name as absolute. type_at: which field says that a name (3) follows. */
static int check_gateway(const struct text_field *f, unsigned type_at, struct why *why)
{
    uint64_t v, kind = 0;
    for (unsigned i = 0; i < 3; i++) {
        if (i >= f->n || text_number(f->token[i].s, UINT8_MAX, &v))
            return why_set(why, -E_FORMAT, "the first three fields must be numbers up to 255");
        if (i == type_at)
            kind = v;
    }
    if (kind == 3 && f->n > 3 && f->token[3].s[f->token[3].len - 1] != '.')
        return why_set(why, -E_FORMAT, "the name \"%s\" must end in a dot", f->token[3].s);
    return 0;
}

/* What ldns would take and should not; text is what it is going to read. */
static int check_field(const struct text_field *f, const char *text, struct why *why)
{
    uint64_t v;
    switch (f->kind) {
    case LDNS_RDF_TYPE_HEX:
        return strlen(text) % 2 ? why_set(why, -E_FORMAT, "an odd number of hexadecimal digits")
                                : 0;
    case LDNS_RDF_TYPE_NSEC3_SALT:
        return strlen(text) > 510 ? why_set(why, -E_FORMAT, "a salt of more than 255 octets") : 0;
    case LDNS_RDF_TYPE_NSEC3_NEXT_OWNER: /* ldns writes a wrong length for anything but whole groups */
        return strlen(text) % 8 || strchr(text, '=')
                   ? why_set(why, -E_FORMAT, "\"%s\" is not a hash of whole groups of 8 digits",
                             text)
                   : 0;
    case LDNS_RDF_TYPE_IPSECKEY:
        return check_gateway(f, 1, why);
    case LDNS_RDF_TYPE_AMTRELAY:
        return check_gateway(f, 2, why);
    case LDNS_RDF_TYPE_HIP:
        return text_number(f->token[0].s, UINT8_MAX, &v)
                   ? why_set(why, -E_FORMAT, "\"%s\" is not a number of 8 bits", f->token[0].s)
                   : 0;
    default:
        return 0;
    }
}

/* The field's tokens as one text. */
static const char *field_text(struct text_field *f, unsigned n, bool packed)
{
    if (n == 1)
        return f->token[0].s;
    ldns_buffer *b = f->line;
    ldns_buffer_clear(b);
    for (unsigned i = 0; i < n; i++)
        ldns_buffer_printf(b, packed || !i ? "%s" : " %s", f->token[i].s);
    ASSERT(ldns_buffer_status_ok(b));
    return (const char *)ldns_buffer_begin(b);
}

static int put_converted(struct text_field *f, const struct converter *c, struct why *why)
{
    unsigned n = c->tokens == THREE ? 3 : c->tokens != ONE && f->last ? f->n : 1;
    if (n > f->n)
        n = f->n;
    const char *text = field_text(f, n, c->tokens == ALL_PACKED);
    int err = check_field(f, text, why);
    if (err)
        return err;
    ldns_rdf *rdf = NULL;
    ldns_status status = c->read(&rdf, text);
    if (status != LDNS_STATUS_OK)
        return why_set(why, -E_FORMAT, "\"%.60s\": ldns: %s", text,
                       ldns_get_errorstr_by_id(status));
    wbuf_put(f->out, ldns_rdf_data(rdf), ldns_rdf_size(rdf));
    ldns_rdf_deep_free(rdf);
    return (int)n;
}

int text_field_parse(struct text_field *f, struct why *why)
{
    const struct converter *c;
    bool digits = isdigit((unsigned char)f->token->s[0]);
    switch (f->kind) {
    case LDNS_RDF_TYPE_DNAME:
        return put_name(f, why);
    case LDNS_RDF_TYPE_INT8:
        return put_number(f, 1, why);
    case LDNS_RDF_TYPE_INT16:
        return put_number(f, 2, why);
    case LDNS_RDF_TYPE_INT32:
        return put_number(f, 4, why);
    case LDNS_RDF_TYPE_STR:
        return put_string(f, why);
    case LDNS_RDF_TYPE_LONG_STR:
        return put_long_string(f, why);
    case LDNS_RDF_TYPE_TYPE:
        return put_type(f, why);
    case LDNS_RDF_TYPE_NSEC:
        return put_bitmap(f, why);
    case LDNS_RDF_TYPE_TIME:
        return put_time(f, why);
    case LDNS_RDF_TYPE_PERIOD:
        return put_period(f, why);
    case LDNS_RDF_TYPE_ALG:
    case LDNS_RDF_TYPE_CERTIFICATE_USAGE:
    case LDNS_RDF_TYPE_SELECTOR:
    case LDNS_RDF_TYPE_MATCHING_TYPE:
        if (digits) /* else a mnemonic, which ldns knows */
            return put_number(f, 1, why);
        break;
    case LDNS_RDF_TYPE_CERT_ALG:
        if (digits)
            return put_number(f, 2, why);
        break;
    default:
        break;
    }
    c = converter_get(f->kind);
    return c ? put_converted(f, c, why)
             : why_set(why, -E_UNSUPPORTED, "a field that weir does not read");
}
