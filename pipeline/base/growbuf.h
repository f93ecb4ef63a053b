/* growbuf: octets in network order, as many as come.
 *
 * OWNS   `p` is mem_alloc'ed; whoever takes it frees it. A zeroed struct is an empty one.
 */
#ifndef WEIR_BASE_GROWBUF_H
#define WEIR_BASE_GROWBUF_H

#include "pipeline/base/alloc.h"
#include "pipeline/base/buf.h"

struct growbuf {
    uint8_t *p;
    size_t len, cap;
};

/* Room for n octets more, which the caller writes. */
static inline uint8_t *growbuf_take(struct growbuf *b, size_t n)
{
    if (b->cap - b->len < n) {
        b->cap = (b->len + n) * 2 < 256 ? 256 : (b->len + n) * 2;
        b->p = mem_resize(b->p, b->cap);
    }
    uint8_t *at = b->p + b->len;
    b->len += n;
    return at;
}
static inline void growbuf_put(struct growbuf *b, const void *src, size_t n)
{
    if (n)
        memcpy(growbuf_take(b, n), src, n);
}
static inline void growbuf_u8(struct growbuf *b, uint8_t v)
{
    *growbuf_take(b, 1) = v;
}
static inline void growbuf_u16(struct growbuf *b, uint16_t v)
{
    put_u16(growbuf_take(b, 2), v);
}
static inline void growbuf_u32(struct growbuf *b, uint32_t v)
{
    put_u32(growbuf_take(b, 4), v);
}
static inline void growbuf_u64(struct growbuf *b, uint64_t v)
{
    put_u64(growbuf_take(b, 8), v);
}

#endif
