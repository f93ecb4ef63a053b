/* What libconfig 1.5 would do to an operator's text, and must not.
 *
 * - An integer over 32 bits without an L behind it is cut to 32 bits without a word: max_bytes =
 * 4294967296 would mean 0. Here it gets its L, so nobody needs to know of it; what does not fit 64
 * bits is refused.
 * - An octet 0 ends the text: what follows would be ignored. Refused.
 * - @include makes its scanner read files by itself, and a read that fails (a folder, a bad disk)
 * calls exit(). A reload must not end the daemon. Refused.
 * - A comment in the last line without a newline is a syntax error. It gets its newline.
 * - A string that is not closed is reported at the end of the file, and leaks. Refused where it
 * begins.
 *
 * What is left to it: a refused text in which a string stands where none may leaks that string's
 * buffer, 64 octets or the string. Only a parser of our own could tell; it takes an operator's
 * reload each time.
 *
 * So the text is copied with one pass over strings, comments, words and numbers. Lines stay what
 * they were.
 */
#include "pipeline/run/config_text.h"

#include "pipeline/base/alloc.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct scan {
    const char *p, *end;
    char *out;
    const char *path;
    unsigned line;
    struct why *why;
};

static char peek(const struct scan *s, size_t ahead)
{
    return (size_t)(s->end - s->p) > ahead ? s->p[ahead] : '\0';
}

static void copy(struct scan *s, size_t n)
{
    for (; n && s->p < s->end; n--) {
        s->line += *s->p == '\n';
        *s->out++ = *s->p++;
    }
}

static int copy_string(struct scan *s)
{
    unsigned begun = s->line;
    copy(s, 1);
    while (s->p < s->end && *s->p != '"')
        copy(s, *s->p == '\\' ? 2 : 1);
    if (s->p == s->end)
        return why_set(s->why, -E_CONF, "%s:%u: the string that begins here is not closed", s->path,
                       begun);
    copy(s, 1);
    return 0;
}

static void copy_comment_line(struct scan *s)
{
    while (s->p < s->end && *s->p != '\n')
        copy(s, 1);
}

static int copy_comment_block(struct scan *s)
{
    unsigned begun = s->line;
    copy(s, 2);
    while (s->p < s->end && !(peek(s, 0) == '*' && peek(s, 1) == '/'))
        copy(s, 1);
    if (s->p == s->end)
        return why_set(s->why, -E_CONF, "%s:%u: the comment that begins here is not closed",
                       s->path, begun);
    copy(s, 2);
    return 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '*';
}

static void copy_word(struct scan *s)
{
    while (is_letter(peek(s, 0)) || is_digit(peek(s, 0)) || peek(s, 0) == '-' || peek(s, 0) == '_')
        copy(s, 1);
}

static unsigned hex_digit(char c)
{
    return is_digit(c) ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
}

/* Octets of the number's digits in base 10 or 16 at digits; *fits: no more than max. */
static size_t span_digits(const char *digits, const char *end, unsigned base, uint64_t max,
                          bool *fits)
{
    uint64_t v = 0;
    size_t n = 0;
    *fits = true;
    for (; digits + n < end; n++) {
        char c = digits[n];
        if (!is_digit(c) && !(base == 16 && ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')))
            break;
        if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, hex_digit(c), &v) ||
            v > max)
            *fits = false;
        if (!*fits)
            v = 0;
    }
    return n;
}

static int copy_number(struct scan *s, bool negative)
{
    bool hex = peek(s, 0) == '0' && (peek(s, 1) | 0x20) == 'x';
    unsigned base = hex ? 16 : 10;
    const char *digits = s->p + (hex ? 2 : 0);
    bool fits_32, fits_64;
    uint64_t max_32 = (uint64_t)INT32_MAX + negative, max_64 = (uint64_t)INT64_MAX + negative;
    size_t n = span_digits(digits, s->end, base, max_32, &fits_32);
    span_digits(digits, s->end, base, max_64, &fits_64);
    size_t len = n + (hex ? 2 : 0);
    char next = peek(s, len);
    bool real = !hex && (next == '.' || next == 'e' || next == 'E');
    if (!fits_64 && !real)
        return why_set(s->why, -E_CONF, "%s:%u: %.*s: expected an integer of at most 64 bits",
                       s->path, s->line, (int)(len < 40 ? len : 40), s->p);
    copy(s, len);
    if (real) {
        while (is_digit(peek(s, 0)) || peek(s, 0) == '.' || (peek(s, 0) | 0x20) == 'e')
            copy(s, 1);
    } else if (!fits_32 && next != 'L') {
        *s->out++ = 'L';
    }
    return 0;
}

static int copy_token(struct scan *s)
{
    char c = peek(s, 0), next = peek(s, 1);
    if (c == '@')
        return why_set(s->why, -E_CONF, "%s:%u: @include is not supported", s->path, s->line);
    if (c == '"')
        return copy_string(s);
    if (c == '#' || (c == '/' && next == '/'))
        copy_comment_line(s);
    else if (c == '/' && next == '*')
        return copy_comment_block(s);
    else if (is_letter(c))
        copy_word(s);
    else if (is_digit(c))
        return copy_number(s, false);
    else if (c == '-' && is_digit(next)) {
        copy(s, 1);
        return copy_number(s, true);
    } else
        copy(s, 1);
    return 0;
}

int config_text_prepare(const char *text, size_t len, const char *path, char **out, struct why *why)
{
    /* An L is added only behind ten octets or more, so twice the text is room enough. */
    char *room = mem_alloc(2 * len + 2);
    struct scan s = {
        .p = text, .end = text + len, .out = room, .path = path, .line = 1, .why = why};
    int err = 0;
    if (memchr(text, '\0', len))
        err = why_set(why, -E_CONF, "%s: expected text, and there is an octet 0 in it", path);
    while (!err && s.p < s.end)
        err = copy_token(&s);
    if (err) {
        mem_free(&room);
        return err;
    }
    *s.out++ = '\n';
    *s.out = '\0';
    *out = room;
    return 0;
}
