/* name: how names are compared, keyed, read and printed.
 *
 * Two facts carry this file. A length octet is at most 63 and 'A' is 65, so a whole name, lengths
 * included, may be lower-cased octet by octet without knowing where its labels lie. And the
 * canonical order looks at labels from the right, while the wire has them from the left, so
 * whatever orders names first notes where the labels begin.
 *
 * Keys. A label's octets become digits so that digits order as lower-cased octets do:
 *
 *     octets      0..44   -    . /   0..9    : .. ^   _    `    a..z     { .. 255
 *     digit       1       2    3     4..13   14       15   16   17..42   43 44 45
 *     second      1..45        1 2           1..37         1             1..49 each
 *
 * The octets of host names take one digit; the rest take an escape digit and a second one, which is
 * never 0. Digit 0 ends every label, so a label orders before every longer one that begins with it,
 * and a key ends where its name's key as an ancestor would end. An octet costs at most two digits,
 * a length octet one, the root none.
 */
#include "pipeline/zone/name.h"

#include <string.h>

enum { LABEL_MAX = 63, POINTER = 0xc0, JUMPS_MAX = 256 };

_Static_assert(2 * (NAME_MAX_OCTETS - 1) <= TRIE_KEY_MAX, "the longest name has a key");

#define LOWER(c) ((c) >= 'A' && (c) <= 'Z' ? (c) + 32 : (c))
#define FIRST_OF(l)                                                                                \
    ((l) < '-'    ? 1                                                                              \
     : (l) == '-' ? 2                                                                              \
     : (l) < '0'  ? 3                                                                              \
     : (l) <= '9' ? 4 + (l) - '0'                                                                  \
     : (l) < '_'  ? 14                                                                             \
     : (l) == '_' ? 15                                                                             \
     : (l) < 'a'  ? 16                                                                             \
     : (l) <= 'z' ? 17 + (l) - 'a'                                                                 \
                  : 43 + ((l) - '{') / 49)
#define SECOND_OF(l)                                                                               \
    ((l) < '-'    ? 1 + (l)                                                                        \
     : (l) == '-' ? 0                                                                              \
     : (l) < '0'  ? 1 + (l) - '.'                                                                  \
     : (l) <= '9' ? 0                                                                              \
     : (l) < '_'  ? 1 + (l) - ':'                                                                  \
     : (l) == '_' ? 0                                                                              \
     : (l) < 'a'  ? 1                                                                              \
     : (l) <= 'z' ? 0                                                                              \
                  : 1 + ((l) - '{') % 49)
#define ROW4(f, c)   f(c), f((c) + 1), f((c) + 2), f((c) + 3)
#define ROW16(f, c)  ROW4(f, c), ROW4(f, (c) + 4), ROW4(f, (c) + 8), ROW4(f, (c) + 12)
#define ROW64(f, c)  ROW16(f, c), ROW16(f, (c) + 16), ROW16(f, (c) + 32), ROW16(f, (c) + 48)
#define ROW256(f)    ROW64(f, 0), ROW64(f, 64), ROW64(f, 128), ROW64(f, 192)
#define LOWER_ROW(c) (uint8_t) LOWER(c)
#define DIGIT_ROW(c)                                                                               \
    {                                                                                              \
        (uint8_t) FIRST_OF(LOWER(c)), (uint8_t)SECOND_OF(LOWER(c))                                 \
    }

const uint8_t name_root[1] = {0};
const uint8_t name_lower_table[256] = {ROW256(LOWER_ROW)};
static const uint8_t digits[256][2] = {ROW256(DIGIT_ROW)};

/* Where each label begins, leftmost first; returns how many, the root not counted. */
static unsigned label_starts(const uint8_t *name, uint8_t at[NAME_MAX_LABELS])
{
    unsigned n = 0, i = 0;
    while (name[i]) {
        ASSERT(n < NAME_MAX_LABELS);
        at[n++] = (uint8_t)i;
        i += 1u + name[i];
    }
    return n;
}

size_t name_len(const uint8_t *name)
{
    size_t n = 0;
    while (name[n])
        n += 1u + name[n];
    return n + 1;
}

unsigned name_labels(const uint8_t *name)
{
    unsigned n = 0;
    for (; name[0]; name += 1 + name[0])
        n++;
    return n;
}

static int label_cmp(const uint8_t *a, const uint8_t *b)
{
    unsigned n = a[0] < b[0] ? a[0] : b[0];
    for (unsigned i = 1; i <= n; i++) {
        int d = name_lower_table[a[i]] - name_lower_table[b[i]];
        if (d)
            return d;
    }
    return a[0] - b[0];
}

int name_cmp(const uint8_t *a, const uint8_t *b)
{
    uint8_t at_a[NAME_MAX_LABELS], at_b[NAME_MAX_LABELS];
    unsigned na = label_starts(a, at_a), nb = label_starts(b, at_b);
    while (na && nb) {
        int d = label_cmp(a + at_a[--na], b + at_b[--nb]);
        if (d)
            return d;
    }
    return (int)na - (int)nb;
}

static bool octets_equal_nocase(const uint8_t *a, const uint8_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (name_lower_table[a[i]] != name_lower_table[b[i]])
            return false;
    return true;
}

bool name_equal(const uint8_t *a, const uint8_t *b)
{
    size_t n = name_len(a);
    return n == name_len(b) && (memcmp(a, b, n) == 0 || octets_equal_nocase(a, b, n));
}

bool name_at_or_below(const uint8_t *name, const uint8_t *apex)
{
    size_t n = name_len(name), m = name_len(apex);
    if (n < m)
        return false;
    /* The tail counts only if it begins at a label. */
    const uint8_t *tail = name + (n - m);
    while (name < tail)
        name += 1 + name[0];
    return name == tail && octets_equal_nocase(tail, apex, m);
}

unsigned name_common_labels(const uint8_t *a, const uint8_t *b)
{
    uint8_t at_a[NAME_MAX_LABELS], at_b[NAME_MAX_LABELS];
    unsigned na = label_starts(a, at_a), nb = label_starts(b, at_b), n = 0;
    while (n < na && n < nb && label_cmp(a + at_a[na - n - 1], b + at_b[nb - n - 1]) == 0)
        n++;
    return n;
}

const uint8_t *name_strip(const uint8_t *name, unsigned n)
{
    for (; n; n--) {
        ASSERT(name[0]);
        name += 1 + name[0];
    }
    return name;
}

bool name_is_wildcard(const uint8_t *name)
{
    return name[0] == 1 && name[1] == '*';
}

bool name_wildcard_of(const uint8_t *parent, uint8_t out[NAME_MAX_OCTETS])
{
    size_t n = name_len(parent);
    if (n + 2 > NAME_MAX_OCTETS)
        return false;
    memmove(out + 2, parent, n);
    out[0] = 1;
    out[1] = '*';
    return true;
}

size_t name_copy(uint8_t *out, const uint8_t *name)
{
    size_t n = name_len(name);
    memcpy(out, name, n);
    return n;
}

size_t name_copy_lower(uint8_t *out, const uint8_t *name)
{
    size_t n = name_len(name);
    for (size_t i = 0; i < n; i++)
        out[i] = name_lower_table[name[i]];
    return n;
}

uint32_t name_hash(const uint8_t *name, uint32_t seed)
{
    uint64_t h = seed ^ 0x9e3779b97f4a7c15u;
    size_t n = name_len(name);
    for (size_t i = 0; i < n; i++)
        h = (h ^ name_lower_table[name[i]]) * 0x100000001b3u;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    return (uint32_t)(h >> 32);
}

void name_key(const uint8_t *name, struct trie_key *out)
{
    uint8_t at[NAME_MAX_LABELS];
    unsigned n = label_starts(name, at);
    uint8_t *d = out->digit;
    while (n) {
        const uint8_t *label = name + at[--n];
        for (const uint8_t *p = label + 1, *end = p + label[0]; p < end; p++) {
            const uint8_t *pair = digits[*p];
            /* Without a branch: the second digit is overwritten when there is none. */
            d[0] = pair[0];
            d[1] = pair[1];
            d += 1 + (pair[1] != 0);
        }
        *d++ = 0;
    }
    out->len = (uint16_t)(d - out->digit);
}

int name_valid(const uint8_t *p, size_t n)
{
    size_t i = 0;
    for (;;) {
        if (i >= n || i >= NAME_MAX_OCTETS || p[i] > LABEL_MAX)
            return -E_FORMAT;
        if (p[i] == 0)
            return (int)(i + 1);
        i += 1u + p[i];
    }
}

/* One jump: the pointer at `at` in a piece of the name that began at `began`. The target, or
 * -E_FORMAT. */
static int pointer_target(const uint8_t *msg, size_t msg_len, size_t at, size_t began,
                          struct why *why)
{
    if (msg_len - at < 2)
        return why_set(why, -E_FORMAT, "name runs past the end at octet %zu", at);
    size_t target = (size_t)(msg[at] & 0x3f) << 8 | msg[at + 1];
    if (target > at)
        return why_set(why, -E_FORMAT, "forward pointer at octet %zu (to %zu)", at, target);
    if (target >= began)
        return why_set(why, -E_FORMAT, "compression loop: pointer at octet %zu to %zu", at, target);
    return (int)target;
}

int name_unpack(const uint8_t *msg, size_t msg_len, size_t *pos, uint8_t out[NAME_MAX_OCTETS],
                struct why *why)
{
    size_t at = *pos, began = at, after = 0, n = 0;
    unsigned jumps = 0;
    for (;;) {
        if (at >= msg_len)
            return why_set(why, -E_FORMAT, "name runs past the end at octet %zu", at);
        uint8_t c = msg[at];
        if (c >= POINTER) {
            int target = pointer_target(msg, msg_len, at, began, why);
            if (target < 0)
                return target;
            if (++jumps > JUMPS_MAX)
                return why_set(why, -E_FORMAT, "too many compression pointers at octet %zu", *pos);
            if (!after)
                after = at + 2;
            at = began = (size_t)target;
            continue;
        }
        if (c > LABEL_MAX)
            return why_set(why, -E_FORMAT, "reserved label type 0x%02x at octet %zu", c, at);
        if (msg_len - at <= c)
            return why_set(why, -E_FORMAT, "name runs past the end at octet %zu", at);
        if (n + 1 + c > NAME_MAX_OCTETS)
            return why_set(why, -E_FORMAT, "name over 255 octets at octet %zu", *pos);
        memcpy(out + n, msg + at, 1u + c);
        n += 1u + c;
        at += 1u + c;
        if (c == 0)
            break;
    }
    *pos = after ? after : at;
    return (int)n;
}

/* Printed with a backslash: what a master file would read as something else. */
static bool needs_backslash(uint8_t c)
{
    return c == '.' || c == '\\' || c == '"' || c == ';' || c == '(' || c == ')' || c == '@' ||
           c == '$';
}

char *name_print(const uint8_t *name, char out[NAME_TEXT_MAX])
{
    char *o = out;
    if (name[0] == 0)
        *o++ = '.';
    for (; name[0]; name += 1 + name[0]) {
        for (unsigned i = 1; i <= name[0]; i++) {
            uint8_t c = name[i];
            if (c <= ' ' || c >= 0x7f) {
                *o++ = '\\';
                *o++ = (char)('0' + c / 100);
                *o++ = (char)('0' + c / 10 % 10);
                *o++ = (char)('0' + c % 10);
                continue;
            }
            if (needs_backslash(c))
                *o++ = '\\';
            *o++ = (char)c;
        }
        *o++ = '.';
    }
    *o = 0;
    return out;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* One octet of a label, escapes undone: steps *text over it. The octet, or -E_FORMAT. */
static int parse_octet(const char **text, struct why *why)
{
    const char *s = *text;
    if (s[0] != '\\') {
        *text = s + 1;
        return (uint8_t)s[0];
    }
    if (s[1] == 0)
        return why_set(why, -E_FORMAT, "name ends in a lone backslash");
    if (!is_digit(s[1])) {
        *text = s + 2;
        return (uint8_t)s[1];
    }
    if (!is_digit(s[2]) || !is_digit(s[3]))
        return why_set(why, -E_FORMAT, "\\ and a digit must be followed by two more digits");
    int v = (s[1] - '0') * 100 + (s[2] - '0') * 10 + (s[3] - '0');
    if (v > 255)
        return why_set(why, -E_FORMAT, "\\%d is not an octet", v);
    *text = s + 4;
    return v;
}

int name_parse(const char *text, uint8_t out[NAME_MAX_OCTETS], struct why *why)
{
    if (text[0] == 0)
        return why_set(why, -E_FORMAT, "empty name");
    if (text[0] == '.' && text[1] == 0) {
        out[0] = 0;
        return 1;
    }
    size_t n = 0;
    while (*text) {
        size_t label = n++;
        while (*text && *text != '.') {
            int c = parse_octet(&text, why);
            if (c < 0)
                return c;
            if (n - label > LABEL_MAX)
                return why_set(why, -E_FORMAT, "label over 63 octets");
            if (n >= NAME_MAX_OCTETS - 1) /* one octet is the root's */
                return why_set(why, -E_FORMAT, "name over 255 octets");
            out[n++] = (uint8_t)c;
        }
        if (n == label + 1)
            return why_set(why, -E_FORMAT, "empty label");
        out[label] = (uint8_t)(n - label - 1);
        text += *text == '.';
    }
    out[n] = 0;
    return (int)(n + 1);
}
