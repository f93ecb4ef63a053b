/* buf: bounded reading and writing of octets in network order.
 *
 * WHAT   A reader that latches: the first read past the end sets `bad`, and from then on every read
 *        gives zero, so a parser checks once at its end. A writer that latches in the same way.
 * OWNS   Both borrow the memory they are opened on.
 */
#ifndef WEIR_BASE_BUF_H
#define WEIR_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t get_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}
static inline uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline void put_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}
static inline void put_u32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static inline uint64_t get_u64(const uint8_t *p)
{
    return (uint64_t)get_u32(p) << 32 | get_u32(p + 4);
}
static inline void put_u64(uint8_t *p, uint64_t v)
{
    put_u32(p, (uint32_t)(v >> 32));
    put_u32(p + 4, (uint32_t)v);
}

struct rbuf {
    const uint8_t *p, *end;
    bool bad;
};

static inline struct rbuf rbuf_open(const void *p, size_t n)
{
    const uint8_t *b = p;
    return (struct rbuf){b, b + n, false};
}
static inline size_t rbuf_left(const struct rbuf *r)
{
    return (size_t)(r->end - r->p);
}
/* Borrows n octets and steps over them; NULL (and bad) when fewer are left. */
static inline const uint8_t *rbuf_take(struct rbuf *r, size_t n)
{
    if (r->bad || rbuf_left(r) < n) {
        r->bad = true;
        return NULL;
    }
    const uint8_t *p = r->p;
    r->p += n;
    return p;
}
static inline uint8_t rbuf_u8(struct rbuf *r)
{
    const uint8_t *p = rbuf_take(r, 1);
    return p ? p[0] : 0;
}
static inline uint16_t rbuf_u16(struct rbuf *r)
{
    const uint8_t *p = rbuf_take(r, 2);
    return p ? get_u16(p) : 0;
}
static inline uint32_t rbuf_u32(struct rbuf *r)
{
    const uint8_t *p = rbuf_take(r, 4);
    return p ? get_u32(p) : 0;
}

static inline uint64_t rbuf_u64(struct rbuf *r)
{
    const uint8_t *p = rbuf_take(r, 8);
    return p ? get_u64(p) : 0;
}

struct wbuf {
    uint8_t *start, *p, *end;
    bool bad;
};

static inline struct wbuf wbuf_open(void *p, size_t n)
{
    uint8_t *b = p;
    return (struct wbuf){b, b, b + n, false};
}
static inline size_t wbuf_len(const struct wbuf *w)
{
    return (size_t)(w->p - w->start);
}
static inline uint8_t *wbuf_take(struct wbuf *w, size_t n)
{
    if (w->bad || (size_t)(w->end - w->p) < n) {
        w->bad = true;
        return NULL;
    }
    uint8_t *p = w->p;
    w->p += n;
    return p;
}
static inline void wbuf_put(struct wbuf *w, const void *src, size_t n)
{
    uint8_t *p = wbuf_take(w, n);
    if (p && n)
        memcpy(p, src, n);
}
static inline void wbuf_u8(struct wbuf *w, uint8_t v)
{
    wbuf_put(w, &v, 1);
}
static inline void wbuf_u16(struct wbuf *w, uint16_t v)
{
    uint8_t *p = wbuf_take(w, 2);
    if (p)
        put_u16(p, v);
}
static inline void wbuf_u32(struct wbuf *w, uint32_t v)
{
    uint8_t *p = wbuf_take(w, 4);
    if (p)
        put_u32(p, v);
}

static inline void wbuf_u64(struct wbuf *w, uint64_t v)
{
    uint8_t *p = wbuf_take(w, 8);
    if (p)
        put_u64(p, v);
}

#endif
