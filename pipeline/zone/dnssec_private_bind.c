/* dnssec_private_bind: BIND's private key files, which dnssec-keygen and ldns-keygen write.
 *
 *      Private-key-format: v1.3                    v1.2 is the same without times
 *      Algorithm: 13 (ECDSAP256SHA256)             the number counts
 *      PrivateKey: base64                          RSA: the eight numbers of PKCS#1, each on a line
 *      Created: 20261124184526                     times and whatever else: not ours
 *
 * No error text has a word of a value.
 */
#include "pipeline/zone/dnssec_parts.h"

#include <ctype.h>
#include <strings.h>

enum { FORMAT_MINOR_MIN = 2 };

static const char *const rsa_field[PRIVATE_NUMBERS] = {
    "Modulus", "PublicExponent", "PrivateExponent", "Prime1",
    "Prime2",  "Exponent1",      "Exponent2",       "Coefficient"};
static const char *const curve_field[PRIVATE_NUMBERS] = {"PrivateKey"};

struct line { /* "name: value", both without blanks around; pointers into the text */
    const char *name, *value;
    size_t name_len, value_len;
    unsigned at;
};

/* ---- lines ---- */

/* False at the end. A line without a colon has no name. */
static bool line_next(const char **p, const char *end, struct line *l)
{
    if (*p == end)
        return false;
    const char *s = *p, *nl = memchr(s, '\n', (size_t)(end - s));
    size_t len = (size_t)((nl ? nl : end) - s), name = 0;
    *p = nl ? nl + 1 : end;
    while (len && isspace((unsigned char)s[len - 1]))
        len--;
    while (name < len && s[name] != ':')
        name++;
    size_t value = name < len ? name + 1 : 0;
    while (value < len && isspace((unsigned char)s[value]))
        value++;
    l->at++;
    l->name = s;
    l->name_len = name < len ? name : 0;
    l->value = s + value;
    l->value_len = len - value;
    return true;
}

static bool line_is(const struct line *l, const char *name)
{
    return l->name_len == strlen(name) && strncasecmp(l->name, name, l->name_len) == 0;
}

/* Digits at the front of the value; 0: none, or too many. */
static unsigned value_number(const char *s, size_t len)
{
    unsigned n = 0;
    for (size_t i = 0; i < len && isdigit((unsigned char)s[i]); i++) {
        if (i == 3)
            return 0;
        n = n * 10 + (unsigned)(s[i] - '0');
    }
    return n;
}

static int sextet(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

static bool base64(const char *s, size_t len, struct private_number *out)
{
    size_t pad = len >= 2 && s[len - 1] == '=' ? 1u + (s[len - 2] == '=') : 0;
    if (len % 4 || len == 0 || len / 4 * 3 - pad > PRIVATE_NUMBER_MAX)
        return false;
    uint32_t bits = 0;
    for (size_t i = 0; i < len; i++) {
        int v = i < len - pad ? sextet(s[i]) : 0;
        if (v < 0)
            return false;
        bits = bits << 6 | (uint32_t)v;
        if (i % 4 == 3)
            for (int shift = 16; shift >= 0 && out->len < len / 4 * 3 - pad; shift -= 8)
                out->octets[out->len++] = (uint8_t)(bits >> shift);
    }
    return true;
}

/* ---- the file ---- */

static int head_read(const char **p, const char *end, const struct algorithm *want,
                     struct private_numbers *f, struct line *l, struct why *why)
{
    if (!line_next(p, end, l) || !line_is(l, "Private-key-format") || l->value_len < 4 ||
        memcmp(l->value, "v1.", 3) != 0)
        return why_set(why, -E_FORMAT, "line 1: not \"Private-key-format: v1.…\"");
    if (value_number(l->value + 3, l->value_len - 3) < FORMAT_MINOR_MIN)
        return why_set(why, -E_UNSUPPORTED,
                       "line 1: a version before v1.2 of the private key format");
    if (!line_next(p, end, l) || !line_is(l, "Algorithm"))
        return why_set(why, -E_FORMAT, "line 2: not \"Algorithm: …\"");
    unsigned code = value_number(l->value, l->value_len);
    f->algorithm = private_algorithm(code < 256 ? (uint8_t)code : 0, why);
    if (!f->algorithm)
        return -E_UNSUPPORTED;
    if (want && want != f->algorithm)
        return why_set(why, -E_FORMAT, "line 2: the key is of %s, not of %s",
                       f->algorithm->mnemonic, want->mnemonic);
    return 0;
}

static int fields_read(const char **p, const char *end, struct private_numbers *f, struct line *l,
                       struct why *why)
{
    const char *const *field = f->algorithm->family == FAMILY_RSA ? rsa_field : curve_field;
    while (line_next(p, end, l)) {
        if (!l->name_len && l->value_len)
            return why_set(why, -E_FORMAT, "line %u: not \"name: value\"", l->at);
        if (line_is(l, "Label") || line_is(l, "Engine"))
            return why_set(why, -E_UNSUPPORTED, "line %u: the key is in an HSM: name it by its URI",
                           l->at);
        for (unsigned i = 0; i < PRIVATE_NUMBERS && field[i]; i++) {
            if (!line_is(l, field[i]))
                continue;
            if (f->number[i].len)
                return why_set(why, -E_FORMAT, "line %u: %s is there twice", l->at, field[i]);
            if (!base64(l->value, l->value_len, &f->number[i]))
                return why_set(why, -E_FORMAT, "line %u: %s is not base64 of 1 to %d octets", l->at,
                               field[i], PRIVATE_NUMBER_MAX);
        }
    }
    for (unsigned i = 0; i < PRIVATE_NUMBERS && field[i]; i++)
        if (!f->number[i].len)
            return why_set(why, -E_FORMAT, "%s is missing", field[i]);
    return 0;
}

int private_bind_read(const char *text, size_t len, const struct algorithm *want,
                      struct private_numbers *out, struct why *why)
{
    struct line l = {.at = 0};
    const char *p = text, *end = text + len;
    int err = head_read(&p, end, want, out, &l, why);
    return err ? err : fields_read(&p, end, out, &l, why);
}
