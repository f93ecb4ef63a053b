/* types: see the header. */
#include "tests/lib/types.h"

#include "pipeline/base/assert.h"

enum { WINDOWS = 256, WINDOW = 32 };

void types_set(struct types *types, uint16_t type)
{
    types->bit[type / 8] |= (uint8_t)(0x80 >> type % 8);
    types->window[type / 256] = true;
}

void types_flip(struct types *types, uint16_t type)
{
    types->bit[type / 8] ^= (uint8_t)(0x80 >> type % 8);
    types->window[type / 256] = true;
}

void types_read(struct types *types, const uint8_t *bitmap, size_t len)
{
    for (size_t at = 0; at < len; at += 2u + bitmap[at + 1]) {
        ASSERT(at + 2 + bitmap[at + 1] <= len && bitmap[at + 1] <= WINDOW);
        types->window[bitmap[at]] = true;
        for (unsigned i = 0; i < bitmap[at + 1]; i++)
            types->bit[bitmap[at] * WINDOW + i] |= bitmap[at + 2 + i];
    }
}

void types_write(const struct types *types, struct wbuf *out)
{
    for (unsigned window = 0; window < WINDOWS; window++) {
        const uint8_t *octets = &types->bit[window * WINDOW];
        unsigned n = types->window[window] ? WINDOW : 0;
        while (n > 0 && octets[n - 1] == 0)
            n--;
        if (n == 0)
            continue;
        wbuf_u8(out, (uint8_t)window);
        wbuf_u8(out, (uint8_t)n);
        wbuf_put(out, octets, n);
    }
}
