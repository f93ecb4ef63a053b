/* A JSON writer (RFC 8259), compact, into one growing buffer.
 *
 * Two bits a level are all the state: is it an object, has it a member yet. Brackets that do not
 * match, a key where none belongs, or two values at the top are our bugs and ASSERT.
 *
 * Strings come from zones and peers, so any octet may be in them, while JSON must be UTF-8.
 * Whatever is not a well-formed UTF-8 sequence (Unicode 15, table 3-7: no overlong forms, no
 * surrogates, nothing above U+10FFFF) becomes U+FFFD, one for each longest beginning of a sequence
 * that was broken off. */
#include "pipeline/base/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/base/alloc.h"
#include "pipeline/base/assert.h"

enum { DEPTH_MAX = 63 };

struct json {
    char *text;
    size_t len, room;
    unsigned depth;
    uint64_t is_object, has_item; /* bit = depth; bit 0 is the top */
};

static void put(struct json *json, const char *s, size_t n)
{
    if (json->room - json->len < n) {
        json->room = (json->len + n) * 2;
        json->text = mem_resize(json->text, json->room);
    }
    memcpy(json->text + json->len, s, n);
    json->len += n;
}

static uint64_t level(const struct json *json)
{
    return UINT64_C(1) << json->depth;
}

/* Octets of the well-formed sequence at p; 0 and *bad = octets to replace when there is none. The
 * terminating zero is no continuation octet, so nothing is read past it. */
static size_t utf8_step(const unsigned char *p, size_t *bad)
{
    unsigned char low = 0x80, high = 0xbf; /* of the second octet */
    size_t more;
    *bad = 1;
    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        more = 1;
    } else if ((p[0] & 0xf0) == 0xe0) {
        more = 2;
        low = p[0] == 0xe0 ? 0xa0 : low;
        high = p[0] == 0xed ? 0x9f : high;
    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        more = 3;
        low = p[0] == 0xf0 ? 0x90 : low;
        high = p[0] == 0xf4 ? 0x8f : high;
    } else {
        return 0;
    }
    for (size_t i = 1; i <= more; i++, low = 0x80, high = 0xbf) {
        if (p[i] < low || p[i] > high) {
            *bad = i;
            return 0;
        }
    }
    return more + 1;
}

static void put_control(struct json *json, unsigned char c)
{
    static const char *const known[0x20] = {
        ['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n", ['\f'] = "\\f", ['\r'] = "\\r"};
    if (known[c]) {
        put(json, known[c], 2);
        return;
    }
    char hex[8];
    int n = snprintf(hex, sizeof hex, "\\u%04x", c);
    put(json, hex, (size_t)n);
}

static void put_quoted(struct json *json, const char *s)
{
    const unsigned char *p = (const unsigned char *)s;
    put(json, "\"", 1);
    while (*p) {
        size_t bad, n = utf8_step(p, &bad);
        if (n == 0)
            put(json, "\xef\xbf\xbd", 3);
        else if (*p < 0x20)
            put_control(json, *p);
        else if (*p == '"' || *p == '\\')
            put(json, (char[]){'\\', (char)*p}, 2);
        else
            put(json, (const char *)p, n);
        p += n ? n : bad;
    }
    put(json, "\"", 1);
}

/* What comes before every value: the comma, and the key inside an object. */
static void begin_item(struct json *json, const char *key)
{
    bool in_object = json->is_object & level(json);
    bool later = json->has_item & level(json);
    ASSERT(in_object == (key != NULL));
    ASSERT(json->depth > 0 || !later);
    if (later)
        put(json, ",", 1);
    json->has_item |= level(json);
    if (key) {
        put_quoted(json, key);
        put(json, ":", 1);
    }
}

static void put_item(struct json *json, const char *key, const char *text)
{
    begin_item(json, key);
    put(json, text, strlen(text));
}

static void open_level(struct json *json, const char *key, bool object)
{
    put_item(json, key, object ? "{" : "[");
    ASSERT(json->depth < DEPTH_MAX);
    json->depth++;
    json->has_item &= ~level(json);
    json->is_object = object ? json->is_object | level(json) : json->is_object & ~level(json);
}

struct json *json_new(void)
{
    return mem_zalloc(sizeof(struct json));
}

void json_free(struct json **json)
{
    if (!*json)
        return;
    mem_free(&(*json)->text);
    mem_free(json);
}

const char *json_text(struct json *json, size_t *len)
{
    ASSERT(json->depth == 0 && json->len > 0);
    put(json, "", 1);
    json->len--;
    if (len)
        *len = json->len;
    return json->text;
}

void json_object(struct json *json, const char *key)
{
    open_level(json, key, true);
}

void json_array(struct json *json, const char *key)
{
    open_level(json, key, false);
}

void json_end(struct json *json)
{
    ASSERT(json->depth > 0);
    put(json, json->is_object & level(json) ? "}" : "]", 1);
    json->depth--;
}

void json_string(struct json *json, const char *key, const char *value)
{
    if (!value) {
        put_item(json, key, "null");
        return;
    }
    begin_item(json, key);
    put_quoted(json, value);
}

void json_uint(struct json *json, const char *key, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    put_item(json, key, text);
}

void json_int(struct json *json, const char *key, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    put_item(json, key, text);
}

/* The shorter of the two forms that reads back as the same number. */
void json_real(struct json *json, const char *key, double value)
{
    char text[32];
    if (!isfinite(value)) {
        put_item(json, key, "null");
        return;
    }
    snprintf(text, sizeof text, "%.15g", value);
    if (strtod(text, NULL) < value || strtod(text, NULL) > value)
        snprintf(text, sizeof text, "%.17g", value);
    put_item(json, key, text);
}

void json_raw(struct json *json, const char *key, const char *text)
{
    put_item(json, key, text);
}

void json_bool(struct json *json, const char *key, bool value)
{
    put_item(json, key, value ? "true" : "false");
}
