/* rrtype: the table of types, and the one reader of its layouts.
 *
 * Every question about rdata (does it parse? where are its names? what is its canonical form?) is
 * put to the layout string of the type's row. Checking and unpacking are one walk: a walk with an
 * output copies what it steps over and unfolds compressed names, a walk without one only looks. A
 * type without a row has no layout and any octets are right.
 *
 * Order without building canonical forms: up to the first octet where two canonical forms differ,
 * names lie at the same places in both, so the places found in one of them serve for both.
 */
#include "pipeline/zone/rrtype.h"
#include "pipeline/base/buf.h"
#include "pipeline/zone/name.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Rows by code: those below SLOT_LOW directly, then the block at 32768. */
enum { SLOT_LOW = 272, SLOT_HIGH = 32768, SLOTS = SLOT_LOW + 2 };
#define SLOT(code) ((code) < SLOT_LOW ? (code) : SLOT_LOW + (code)-SLOT_HIGH)

enum row {
    ROW_NONE,
#define RRTYPE(mnemonic, code, layout, flags) ROW_##mnemonic,
#include "pipeline/zone/rrtypes.def"
#undef RRTYPE
    ROWS,
};
_Static_assert(ROWS <= 256, "a row number is one octet");

static const struct rrtype rows[ROWS] = {
    {NULL, 0, NULL, 0},
#define RRTYPE(mnemonic, code, layout, flags)                                                      \
    {(code) == RR_NSAP_PTR ? "NSAP-PTR" : #mnemonic, code, layout, flags},
#include "pipeline/zone/rrtypes.def"
#undef RRTYPE
};
static const uint8_t row_of[SLOTS] = {
#define RRTYPE(mnemonic, code, layout, flags) [SLOT(code)] = ROW_##mnemonic,
#include "pipeline/zone/rrtypes.def"
#undef RRTYPE
};

static const struct {
    const char *mnemonic;
    uint16_t code;
} meta[] = {
    {"OPT", RR_OPT},     {"NXNAME", RR_NXNAME}, {"TKEY", RR_TKEY},
    {"TSIG", RR_TSIG},   {"IXFR", RR_IXFR},     {"AXFR", RR_AXFR},
    {"MAILB", RR_MAILB}, {"MAILA", RR_MAILA},   {"ANY", RR_ANY},
};

const struct rrtype *rrtype_get(uint16_t code)
{
    unsigned row = 0;
    if (code < SLOT_LOW)
        row = row_of[code];
    else if (code >= SLOT_HIGH && code < SLOT_HIGH + SLOTS - SLOT_LOW)
        row = row_of[SLOT_LOW + code - SLOT_HIGH];
    return row ? &rows[row] : NULL;
}

char *rrtype_print(uint16_t code, char out[RRTYPE_TEXT_MAX])
{
    const struct rrtype *t = rrtype_get(code);
    const char *mnemonic = t ? t->mnemonic : NULL;
    for (size_t i = 0; !mnemonic && i < sizeof meta / sizeof *meta; i++)
        if (meta[i].code == code)
            mnemonic = meta[i].mnemonic;
    if (mnemonic)
        snprintf(out, RRTYPE_TEXT_MAX, "%s", mnemonic);
    else
        snprintf(out, RRTYPE_TEXT_MAX, "TYPE%u", code);
    return out;
}

int rrtype_parse(const char *text, uint16_t *code)
{
    if (strncasecmp(text, "TYPE", 4) == 0 && text[4] >= '0' && text[4] <= '9') {
        unsigned long v = 0;
        for (const char *s = text + 4; *s; s++) {
            if (*s < '0' || *s > '9' || v > 65535)
                return -E_NOENT;
            v = v * 10 + (unsigned long)(*s - '0');
        }
        if (v > 65535)
            return -E_NOENT;
        *code = (uint16_t)v;
        return 0;
    }
    for (unsigned i = 1; i < ROWS; i++)
        if (strcasecmp(text, rows[i].mnemonic) == 0) {
            *code = rows[i].code;
            return 0;
        }
    for (size_t i = 0; i < sizeof meta / sizeof *meta; i++)
        if (strcasecmp(text, meta[i].mnemonic) == 0) {
            *code = meta[i].code;
            return 0;
        }
    return -E_NOENT;
}

bool rrtype_is_meta(uint16_t code)
{
    return code == 0 || code == RR_OPT || (code >= 128 && code <= 255);
}

struct walk {
    const uint8_t *msg;
    size_t start, pos, end; /* the rdata is msg[start..end) */
    uint8_t *out;           /* NULL: only look; names are not compressed then */
    size_t n, cap;
    unsigned field; /* counted from 1 */
    struct why *why;
};

static int walk_bad(struct walk *w, const char *what)
{
    return why_set(w->why, -E_FORMAT, "field %u (octet %zu of the rdata): %s", w->field,
                   w->pos - w->start, what);
}

static size_t walk_left(const struct walk *w)
{
    return w->end - w->pos;
}

static int walk_emit(struct walk *w, const uint8_t *p, size_t n)
{
    if (w->cap - w->n < n)
        return why_set(w->why, -E_SPACE, "rdata over %zu octets", w->cap);
    if (n)
        memcpy(w->out + w->n, p, n);
    w->n += n;
    return 0;
}

static int walk_take(struct walk *w, size_t n)
{
    if (walk_left(w) < n)
        return why_set(w->why, -E_FORMAT,
                       "field %u (octet %zu of the rdata): %zu octets wanted, %zu left", w->field,
                       w->pos - w->start, n, walk_left(w));
    int rc = w->out ? walk_emit(w, w->msg + w->pos, n) : 0;
    w->pos += n;
    return rc;
}

static int walk_plain_name(struct walk *w)
{
    int n = name_valid(w->msg + w->pos, walk_left(w));
    if (n >= 0)
        return walk_take(w, (size_t)n);
    for (size_t i = 0; i < walk_left(w) && i < NAME_MAX_OCTETS; i += 1u + w->msg[w->pos + i]) {
        if (w->msg[w->pos + i] >= 0xc0)
            return walk_bad(w, "a compressed name is not allowed in this type");
        if (w->msg[w->pos + i] > 63)
            return walk_bad(w, "reserved label type");
    }
    return walk_bad(w, walk_left(w) < NAME_MAX_OCTETS ? "name runs past the end"
                                                      : "name over 255 octets");
}

static int walk_packed_name(struct walk *w)
{
    uint8_t name[NAME_MAX_OCTETS];
    size_t pos = w->pos;
    struct why inner = {{0}};
    /* The rdata's end bounds what lies here; what a pointer leads to lies before anyway. */
    int n = name_unpack(w->msg, w->end, &pos, name, &inner);
    if (n < 0)
        return walk_bad(w, inner.text);
    w->pos = pos;
    return walk_emit(w, name, (size_t)n);
}

/* One octet of length, then that many. */
static int walk_counted(struct walk *w, size_t least)
{
    if (walk_left(w) < 1)
        return walk_bad(w, "missing");
    size_t n = w->msg[w->pos];
    if (n < least)
        return walk_bad(w, "must not be empty");
    return walk_take(w, 1 + n);
}

static int walk_strings(struct walk *w)
{
    int rc;
    do {
        rc = walk_counted(w, 0);
    } while (rc == 0 && walk_left(w));
    return rc;
}

static int walk_bitmap(struct walk *w)
{
    int last = -1, rc = 0;
    while (rc == 0 && walk_left(w)) {
        const uint8_t *p = w->msg + w->pos;
        if (walk_left(w) < 2)
            return walk_bad(w, "type bitmap: window without a length");
        unsigned n = p[1];
        if (p[0] <= last)
            return walk_bad(w, "type bitmap: windows out of order");
        if (n < 1 || n > 32)
            return walk_bad(w, "type bitmap: window length is not 1..32");
        if (walk_left(w) >= 2 + n && p[1 + n] == 0)
            return walk_bad(w, "type bitmap: trailing zero octet");
        last = p[0];
        rc = walk_take(w, 2 + n);
    }
    return rc;
}

/* Gateway of IPSECKEY (RFC 4025 2.5), relay of AMTRELAY (RFC 8777 4.2.4): octet 1 says what it is.
 */
static int walk_gateway(struct walk *w, uint8_t mask)
{
    switch (w->msg[w->start + 1] & mask) {
    case 0:
        return 0;
    case 1:
        return walk_take(w, 4);
    case 2:
        return walk_take(w, 16);
    case 3:
        return walk_plain_name(w);
    default: /* not assigned: nobody knows where it ends */
        return walk_take(w, walk_left(w));
    }
}

/* RFC 1876 2: a version other than 0 has a form that must not be guessed. */
static int walk_loc(struct walk *w)
{
    if (walk_left(w) && w->msg[w->pos])
        return walk_take(w, walk_left(w));
    return walk_take(w, 16);
}

/* RFC 2874 3.1: the prefix length says how many octets of suffix and whether a name follows. */
static int walk_a6(struct walk *w)
{
    unsigned prefix = walk_left(w) ? w->msg[w->pos] : 0;
    if (prefix > 128)
        return walk_bad(w, "prefix length over 128");
    int rc = walk_take(w, 1 + (128 - prefix + 7) / 8);
    if (rc == 0 && prefix)
        rc = walk_plain_name(w);
    return rc;
}

/* RFC 3123 4: (family, prefix, negation and length, address part)*. */
static int walk_apl(struct walk *w)
{
    int rc = 0;
    while (rc == 0 && walk_left(w)) {
        size_t n = walk_left(w) < 4 ? 0 : w->msg[w->pos + 3] & 0x7f;
        rc = walk_take(w, 4 + n);
    }
    return rc;
}

/* RFC 8005 5: lengths, algorithm, HIT, public key, then names of rendezvous servers. */
static int walk_hip(struct walk *w)
{
    const uint8_t *p = w->msg + w->pos;
    if (walk_left(w) < 4)
        return walk_bad(w, "lengths are missing");
    if (p[0] == 0 || get_u16(p + 2) == 0)
        return walk_bad(w, "empty HIT or public key");
    int rc = walk_take(w, 4u + p[0] + get_u16(p + 2));
    while (rc == 0 && walk_left(w))
        rc = walk_plain_name(w);
    return rc;
}

/* RFC 9460 2.2: (key, length, value)*, keys strictly increasing. */
static int walk_params(struct walk *w)
{
    int last = -1, rc = 0;
    while (rc == 0 && walk_left(w)) {
        if (walk_left(w) < 4)
            return walk_bad(w, "parameter without key or length");
        int key = get_u16(w->msg + w->pos);
        if (key <= last)
            return walk_bad(w, "parameter keys out of order");
        last = key;
        rc = walk_take(w, 4u + get_u16(w->msg + w->pos + 2));
    }
    return rc;
}

static int walk_field(struct walk *w, char kind)
{
    switch (kind) {
    case 'C':
        return w->out ? walk_packed_name(w) : walk_plain_name(w);
    case 'N':
        return walk_plain_name(w);
    case 'S':
        return walk_counted(w, 0);
    case 's':
        return walk_left(w) ? walk_counted(w, 0) : 0;
    case 'T':
        return walk_strings(w);
    case 'B':
        return walk_bitmap(w);
    case 'G':
        return walk_counted(w, 0);
    case 'g':
        return walk_counted(w, 1);
    case 'R':
        return walk_take(w, walk_left(w));
    case 'O':
        return walk_left(w) ? walk_take(w, walk_left(w)) : walk_bad(w, "missing");
    case 'W':
        return walk_gateway(w, 0xff);
    case 'w':
        return walk_gateway(w, 0x7f);
    case 'L':
        return walk_loc(w);
    case 'I':
        return walk_a6(w);
    case 'P':
        return walk_apl(w);
    case 'H':
        return walk_hip(w);
    case 'V':
        return walk_params(w);
    default:
        UNREACHABLE();
    }
}

/* The number that a layout shows at *s, stepped over. */
static size_t layout_number(const char **s)
{
    size_t n = 0;
    for (; **s >= '0' && **s <= '9'; (*s)++)
        n = n * 10 + (size_t)(**s - '0');
    return n;
}

static int walk_layout(struct walk *w, const char *layout)
{
    for (const char *s = layout; *s;) {
        if (*s == ' ') {
            s++;
            continue;
        }
        w->field++;
        int rc;
        if (*s >= '0' && *s <= '9')
            rc = walk_take(w, layout_number(&s));
        else
            rc = walk_field(w, *s++);
        if (rc < 0)
            return rc;
    }
    if (walk_left(w))
        return why_set(w->why, -E_FORMAT, "%zu octets left over after octet %zu of the rdata",
                       walk_left(w), w->pos - w->start);
    return 0;
}

int rdata_unpack(uint16_t type, const uint8_t *msg, size_t msg_len, size_t pos, uint16_t rdlen,
                 uint8_t *out, size_t cap, struct why *why)
{
    if (pos > msg_len || msg_len - pos < rdlen)
        return why_set(why, -E_FORMAT, "rdata runs past the end of the message");
    struct walk w = {.msg = msg,
                     .start = pos,
                     .pos = pos,
                     .end = pos + rdlen,
                     .out = out,
                     .cap = cap,
                     .why = why};
    const struct rrtype *t = rrtype_get(type);
    int rc = walk_layout(&w, t ? t->layout : "R");
    return rc < 0 ? rc : (int)w.n;
}

int rdata_valid(uint16_t type, const uint8_t *rdata, size_t len, struct why *why)
{
    if (len > UINT16_MAX)
        return why_set(why, -E_FORMAT, "rdata over 65535 octets");
    const struct rrtype *t = rrtype_get(type);
    if (!t)
        return 0;
    struct walk w = {.msg = rdata, .end = len, .why = why};
    return walk_layout(&w, t->layout);
}

bool rrtype_may_compress(uint16_t code)
{
    const struct rrtype *t = rrtype_get(code);
    return t && strchr(t->layout, 'C');
}

unsigned rdata_names(uint16_t type, const uint8_t *rdata, size_t len, struct rdata_name out[2])
{
    const struct rrtype *t = rrtype_get(type);
    unsigned n = 0;
    size_t at = 0;
    for (const char *s = t ? t->layout : ""; *s && n < 2;) {
        bool name = false;
        if (*s >= '0' && *s <= '9') {
            at += layout_number(&s);
            continue;
        }
        switch (*s++) {
        case ' ':
            continue;
        case 'S':
            at += 1u + rdata[at];
            continue;
        case 'C':
        case 'N':
            name = true;
            break;
        case 'I':
            name = rdata[0] != 0;
            at = 1 + (128u - rdata[0] + 7) / 8;
            break;
        case 'W':
            name = rdata[1] == 3;
            break;
        case 'w':
            name = (rdata[1] & 0x7f) == 3;
            break;
        default:
            break;
        }
        if (!name)
            break;
        out[n].at = (uint16_t)at;
        out[n].len = (uint16_t)name_len(rdata + at);
        at += out[n++].len;
    }
    ASSERT(at <= len);
    return n;
}

void rdata_canonical(uint16_t type, const uint8_t *rdata, size_t len, uint8_t *out)
{
    if (len)
        memcpy(out, rdata, len);
    const struct rrtype *t = rrtype_get(type);
    if (!t || !(t->flags & RRTYPE_LOWER))
        return;
    struct rdata_name name[2];
    unsigned n = rdata_names(type, rdata, len, name);
    for (unsigned i = 0; i < n; i++)
        name_copy_lower(out + name[i].at, rdata + name[i].at);
}

static int lower_cmp(const uint8_t *a, const uint8_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int d = name_lower_table[a[i]] - name_lower_table[b[i]];
        if (d)
            return d;
    }
    return 0;
}

int rdata_cmp(uint16_t type, const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    size_t least = a_len < b_len ? a_len : b_len, at = 0;
    int d = least ? memcmp(a, b, least) : 0;
    const struct rrtype *t = rrtype_get(type);
    if (d && t && t->flags & RRTYPE_LOWER) {
        struct rdata_name name[2];
        unsigned n = rdata_names(type, a, a_len, name);
        for (unsigned i = 0; i < n && at < least; i++) {
            size_t begin = name[i].at < least ? name[i].at : least;
            size_t end = begin + name[i].len < least ? begin + name[i].len : least;
            d = memcmp(a + at, b + at, begin - at);
            if (d == 0)
                d = lower_cmp(a + begin, b + begin, end - begin);
            if (d)
                return d;
            at = end;
        }
        d = memcmp(a + at, b + at, least - at);
    }
    return d ? d : (a_len > b_len) - (a_len < b_len);
}

bool type_bitmap_has(const uint8_t *bitmap, size_t len, uint16_t type)
{
    for (size_t i = 0; i + 2 <= len; i += 2u + bitmap[i + 1]) {
        if (bitmap[i] < type >> 8)
            continue;
        unsigned octet = type >> 3 & 31;
        return bitmap[i] == type >> 8 && octet < bitmap[i + 1] &&
               bitmap[i + 2 + octet] & 0x80 >> (type & 7);
    }
    return false;
}
