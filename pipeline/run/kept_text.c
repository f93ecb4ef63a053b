/* kept_text: words and lines. */
#include "pipeline/run/kept_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void kept_put(struct growbuf *out, const char *fmt, ...)
{
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    ASSERT(n >= 0 && (size_t)n < sizeof text);
    growbuf_put(out, text, (size_t)n);
}

void kept_put_hex(struct growbuf *out, const uint8_t *octets, size_t n)
{
    static const char digit[] = "0123456789abcdef";
    uint8_t *at = growbuf_take(out, 2 * n);
    for (size_t i = 0; i < n; i++) {
        *at++ = (uint8_t)digit[octets[i] >> 4];
        *at++ = (uint8_t)digit[octets[i] & 15];
    }
}

void kept_put_ttl(struct growbuf *out, const char *word, const struct keyring_ttl *t)
{
    kept_put(out, "%s %u %u %" PRId64 "\n", word, t->served, t->ttl, t->until);
}

/* ---- back */

struct kept_scan kept_open(const char *text, size_t len)
{
    return (struct kept_scan){text, text + len, 1, NULL};
}

void kept_wrong(struct kept_scan *s, const char *expected)
{
    if (!s->expected)
        s->expected = expected;
}

int kept_close(struct kept_scan *s, struct why *why)
{
    if (s->p != s->end)
        kept_wrong(s, "nothing more");
    if (!s->expected)
        return 0;
    return why_set(why, -E_FORMAT, "line %u: expected %s", s->line, s->expected);
}

size_t kept_word(struct kept_scan *s, const char **out)
{
    *out = s->p;
    while (s->p < s->end && *s->p != ' ' && *s->p != '\n')
        s->p++;
    size_t n = (size_t)(s->p - *out);
    if (s->p < s->end && *s->p == ' ')
        s->p++;
    return n;
}

static bool is_word(const char *p, size_t n, const char *text)
{
    return strlen(text) == n && memcmp(p, text, n) == 0;
}

bool kept_peek(const struct kept_scan *s, const char *text)
{
    size_t n = strlen(text);
    return (size_t)(s->end - s->p) > n && memcmp(s->p, text, n) == 0 &&
           (s->p[n] == ' ' || s->p[n] == '\n');
}

void kept_literal(struct kept_scan *s, const char *text)
{
    const char *p;
    size_t n = kept_word(s, &p);
    if (!is_word(p, n, text))
        kept_wrong(s, text);
}

bool kept_flag(struct kept_scan *s, const char *text)
{
    const char *p;
    size_t n = kept_word(s, &p);
    if (!is_word(p, n, text) && !is_word(p, n, "-"))
        kept_wrong(s, text);
    return is_word(p, n, text);
}

int kept_one_of(struct kept_scan *s, const char *const *words, int n)
{
    const char *p;
    size_t len = kept_word(s, &p);
    for (int i = 0; i < n; i++)
        if (is_word(p, len, words[i]))
            return i;
    kept_wrong(s, words[0]);
    return 0;
}

int64_t kept_number(struct kept_scan *s, int64_t min, int64_t max)
{
    const char *p;
    char text[32], *end;
    size_t n = kept_word(s, &p);
    if (n == 0 || n >= sizeof text) {
        kept_wrong(s, "a number");
        return min;
    }
    memcpy(text, p, n);
    text[n] = 0;
    long long v = strtoll(text, &end, 10);
    if (*end || v < min || v > max) {
        kept_wrong(s, "a number in its range");
        return min;
    }
    return v;
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

uint8_t *kept_hex(struct kept_scan *s, size_t min, size_t max, size_t *len, const char *expected)
{
    const char *p;
    size_t n = kept_word(s, &p);
    if (n % 2 || n < 2 * min || n > 2 * max) {
        kept_wrong(s, expected);
        return NULL;
    }
    uint8_t *out = mem_alloc(n / 2 + 1);
    for (*len = 0; *len < n / 2; ++*len) {
        int high = digit(p[2 * *len]), low = digit(p[2 * *len + 1]);
        if (high < 0 || low < 0) {
            kept_wrong(s, expected);
            mem_free(&out);
            return NULL;
        }
        out[*len] = (uint8_t)((unsigned)high << 4 | (unsigned)low);
    }
    return out;
}

void kept_ttl(struct kept_scan *s, struct keyring_ttl *t)
{
    t->served = (uint32_t)kept_number(s, 0, UINT32_MAX);
    t->ttl = (uint32_t)kept_number(s, 0, UINT32_MAX);
    t->until = kept_number(s, 0, KEPT_CLOCK_MAX);
}

void kept_line_end(struct kept_scan *s)
{
    if (s->p < s->end && *s->p == '\n' && !s->expected) {
        s->p++;
        s->line++;
        return;
    }
    kept_wrong(s, "the end of the line");
}

void kept_rest(struct kept_scan *s, char *out, size_t cap)
{
    size_t n = 0;
    for (; s->p < s->end && *s->p != '\n'; s->p++) {
        if (*s->p < ' ' || *s->p > '~' || n + 1 == cap) {
            kept_wrong(s, "printable words, not too many");
            break;
        }
        out[n++] = *s->p;
    }
    out[n] = 0;
}
