/* The ring as text: what is kept over a restart, in lines that a person can read.
 *
 *   weir keys 1
 *   zone example.
 *   wish enabled 1764009418
 *   clock 86400 tick 1234 boot 5678
 *   dnskey-ttl 3600 3600 90000             served now, largest in a cache, of which something is there until then (by `clock`)
 *   zone-ttl …, ds-ttl …
 *   others counted 3600 3600 90000         or "others left"; the DNSKEY TTL of the other signers. No such line: nothing of any is in a cache
 *   ds-checked 1764009418
 *   resigned 2 1764009418                  so often, and last at; no such line: never
 *   key CSK wanted - - published active 7 dnskey present -1 zone present -1 ds coming 86400 state 2 times … rdata 0101…
 *                                          before "active", where it is so: "lacking"
 *   end
 *
 * A text that is not exactly this is refused as a whole: with half of it, keys would do the wrong thing at the wrong time.
 */
#include "pipeline/run/keyring.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const wish_words[] = {"enabled", "disabled", "deleted"};
static const char *const cell_words[] = {"absent", "coming", "present", "going"};

static void put(struct growbuf *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct growbuf *out, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    ASSERT(n >= 0 && (size_t)n < sizeof text);
    growbuf_put(out, text, (size_t)n);
}

static void put_ttl(struct growbuf *out, const char *word, const struct keyring_ttl *t)
{
    put(out, "%s %u %u %" PRId64 "\n", word, t->served, t->ttl, t->until);
}

static bool others_matter(const struct keyring *ring)
{
    return ring->others || ring->others_ttl.ttl || ring->others_ttl.served;
}

static void put_key(struct growbuf *out, const struct keyring_key *k)
{
    put(out, "key %s %s %s %s %s%s active %" PRId64, keyring_role_text(k->role),
        k->wanted ? "wanted" : "-", k->roll ? "roll" : "-", k->covers ? "covers" : "-",
        k->published ? "published" : "-", k->lacking ? " lacking" : "", k->active_at);
    put(out, " dnskey %s %" PRId64 " zone %s %" PRId64 " ds %s %" PRId64,
        cell_words[k->dnskey.state], k->dnskey.at, cell_words[k->zone.state], k->zone.at,
        cell_words[k->ds.state], k->ds.at);
    put(out, " state %d times %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64, k->state,
        (int64_t)k->created, (int64_t)k->publish, (int64_t)k->ready, (int64_t)k->active,
        (int64_t)k->retire);
    put(out, " %" PRId64 " %" PRId64 " rdata ", (int64_t)k->dead, (int64_t)k->remove);
    for (unsigned i = 0; i < k->len; i++)
        put(out, "%02x", k->rdata[i]);
    put(out, "\n");
}

char *keyring_print(const struct keyring *ring)
{
    struct growbuf out = {0};
    char apex[NAME_TEXT_MAX];
    name_print(ring->apex, apex);
    put(&out, "weir keys 1\nzone ");
    growbuf_put(&out, apex, strlen(apex));
    put(&out, "\nwish %s %" PRId64 "\n", wish_words[ring->wish], (int64_t)ring->wish_at);
    put(&out, "clock %" PRId64 " tick %" PRId64 " boot %" PRIu64 "\n", ring->clock, ring->tick,
        ring->boot);
    put_ttl(&out, "dnskey-ttl", &ring->dnskey_ttl);
    put_ttl(&out, "zone-ttl", &ring->zone_ttl);
    put_ttl(&out, "ds-ttl", &ring->ds_ttl);
    if (others_matter(ring))
        put_ttl(&out, ring->others ? "others counted" : "others left", &ring->others_ttl);
    put(&out, "ds-checked %" PRId64 "\n", (int64_t)ring->ds_checked);
    if (ring->resigns)
        put(&out, "resigned %u %" PRId64 "\n", ring->resigns, (int64_t)ring->resigned_at);
    for (unsigned i = 0; i < ring->n; i++)
        put_key(&out, &ring->key[i]);
    put(&out, "end\n");
    growbuf_u8(&out, 0);
    return (char *)out.p;
}

/* ---- back
 * ------------------------------------------------------------------------------------------------- */

/* Of the ring's clock: what is added to it and taken from it then stays within its type. */
#define CLOCK_MAX (INT64_MAX / 4)

struct scan {
    const char *p, *end;
    unsigned line;
    const char *expected; /* of the first thing that was wrong; NULL: all is well */
};

static void wrong(struct scan *s, const char *expected)
{
    if (!s->expected)
        s->expected = expected;
}

/* The next word of the line. Words are parted by one blank, lines end with \n. */
static size_t word(struct scan *s, const char **out)
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

static bool peek(const struct scan *s, const char *text)
{
    size_t n = strlen(text);
    return (size_t)(s->end - s->p) > n && memcmp(s->p, text, n) == 0 &&
           (s->p[n] == ' ' || s->p[n] == '\n');
}

static void literal(struct scan *s, const char *text)
{
    const char *p;
    size_t n = word(s, &p);
    if (!is_word(p, n, text))
        wrong(s, text);
}

static bool flag(struct scan *s, const char *text)
{
    const char *p;
    size_t n = word(s, &p);
    if (!is_word(p, n, text) && !is_word(p, n, "-"))
        wrong(s, text);
    return is_word(p, n, text);
}

static int one_of(struct scan *s, const char *const *words, int n)
{
    const char *p;
    size_t len = word(s, &p);
    for (int i = 0; i < n; i++)
        if (is_word(p, len, words[i]))
            return i;
    wrong(s, words[0]);
    return 0;
}

static int64_t number(struct scan *s, int64_t min, int64_t max)
{
    const char *p;
    char text[32], *end;
    size_t n = word(s, &p);
    if (n == 0 || n >= sizeof text) {
        wrong(s, "a number");
        return min;
    }
    memcpy(text, p, n);
    text[n] = 0;
    long long v = strtoll(text, &end, 10);
    if (end != text + n || v < min || v > max) {
        wrong(s, "a number in its range");
        return min;
    }
    return v;
}

static void line_end(struct scan *s)
{
    if (s->p < s->end && *s->p == '\n' && !s->expected) {
        s->p++;
        s->line++;
        return;
    }
    wrong(s, "the end of the line");
}

static void scan_ttl_values(struct scan *s, struct keyring_ttl *t)
{
    t->served = (uint32_t)number(s, 0, UINT32_MAX);
    t->ttl = (uint32_t)number(s, 0, UINT32_MAX);
    t->until = number(s, 0, CLOCK_MAX);
    line_end(s);
}

static void scan_ttl(struct scan *s, const char *name, struct keyring_ttl *t)
{
    literal(s, name);
    scan_ttl_values(s, t);
}

static void scan_others(struct scan *s, struct keyring *ring)
{
    static const char *const words[] = {"left", "counted"};
    literal(s, "others");
    ring->others = one_of(s, words, 2) == 1;
    scan_ttl_values(s, &ring->others_ttl);
}

static void scan_cell(struct scan *s, const char *name, struct keyring_cell *c)
{
    literal(s, name);
    c->state = (enum keyring_cell_state)one_of(s, cell_words, 4);
    c->at = number(s, -1, CLOCK_MAX);
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void scan_rdata(struct scan *s, struct keyring_key *k)
{
    const char *p;
    literal(s, "rdata");
    size_t n = word(s, &p);
    if (n % 2 || n < 10 || n > 2 * (DNSSEC_PUBLIC_MAX + 4)) {
        wrong(s, "a key's rdata");
        return;
    }
    k->len = (uint16_t)(n / 2);
    k->rdata = mem_alloc(k->len);
    for (unsigned i = 0; i < k->len; i++) {
        int high = digit(p[2 * i]), low = digit(p[2 * i + 1]);
        if (high < 0 || low < 0)
            wrong(s, "a key's rdata");
        k->rdata[i] = (uint8_t)((unsigned)high << 4 | (unsigned)low);
    }
    k->algorithm = k->rdata[3];
    k->tag = dnssec_key_tag(k->rdata, k->len);
}

static void scan_key(struct scan *s, struct keyring_key *k)
{
    static const char *const role[] = {"KSK", "ZSK", "CSK"};
    literal(s, "key");
    k->role = (enum keyring_role)(one_of(s, role, 3) + KEYRING_KSK);
    k->wanted = flag(s, "wanted");
    k->roll = flag(s, "roll");
    k->covers = flag(s, "covers");
    k->published = flag(s, "published");
    k->lacking = peek(s, "lacking") && flag(s, "lacking");
    literal(s, "active");
    k->active_at = number(s, -1, CLOCK_MAX);
    scan_cell(s, "dnskey", &k->dnskey);
    scan_cell(s, "zone", &k->zone);
    scan_cell(s, "ds", &k->ds);
    literal(s, "state");
    k->state = (enum keyring_state)number(s, 0, KEY_STATES - 1);
    literal(s, "times");
    time_t *time[] = {&k->created, &k->publish, &k->ready, &k->active,
                      &k->retire,  &k->dead,    &k->remove};
    for (int i = 0; i < 7; i++)
        *time[i] = (time_t)number(s, 0, INT64_MAX);
    scan_rdata(s, k);
    line_end(s);
}

static void scan_head(struct scan *s, struct keyring *ring, const char *apex)
{
    literal(s, "weir");
    literal(s, "keys");
    literal(s, "1");
    line_end(s);
    literal(s, "zone");
    literal(s, apex);
    line_end(s);
    literal(s, "wish");
    ring->wish = (enum keyring_wish)one_of(s, wish_words, 3);
    ring->wish_at = (time_t)number(s, 0, INT64_MAX);
    line_end(s);
    literal(s, "clock");
    ring->clock = number(s, 0, CLOCK_MAX);
    literal(s, "tick");
    ring->tick = number(s, -1, CLOCK_MAX);
    literal(s, "boot");
    ring->boot = (uint64_t)number(s, 0, INT64_MAX);
    line_end(s);
    scan_ttl(s, "dnskey-ttl", &ring->dnskey_ttl);
    scan_ttl(s, "zone-ttl", &ring->zone_ttl);
    scan_ttl(s, "ds-ttl", &ring->ds_ttl);
    if (peek(s, "others"))
        scan_others(s, ring);
    literal(s, "ds-checked");
    ring->ds_checked = (time_t)number(s, 0, INT64_MAX);
    line_end(s);
    if (!peek(s, "resigned"))
        return;
    literal(s, "resigned");
    ring->resigns = (uint32_t)number(s, 0, UINT32_MAX);
    ring->resigned_at = (time_t)number(s, 0, INT64_MAX);
    line_end(s);
}

int keyring_parse(const char *text, size_t len, const uint8_t *apex, struct keyring **out,
                  struct why *why)
{
    char name[NAME_TEXT_MAX];
    struct scan s = {text, text + len, 1, NULL};
    struct keyring *ring = keyring_new(apex);
    name_print(apex, name);
    scan_head(&s, ring, name);
    while (!s.expected && peek(&s, "key")) {
        if (ring->n == KEYRING_KEYS_MAX) {
            wrong(&s, "no more keys");
            break;
        }
        scan_key(&s, &ring->key[ring->n++]);
    }
    literal(&s, "end");
    line_end(&s);
    if (s.p != s.end)
        wrong(&s, "nothing more");
    if (s.expected) {
        keyring_free(&ring);
        return why_set(why, -E_FORMAT, "line %u: expected %s", s.line, s.expected);
    }
    *out = ring;
    return 0;
}
