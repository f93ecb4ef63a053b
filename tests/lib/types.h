/* types: a set of record types, and the bitmap that NSEC and NSEC3 make of it.
 *
 * SPEC   RFC 4034 4.1.2. Written apart from stages/validate/bitmap.c, that neither hides the other's faults.
 */
#ifndef WEIR_TESTS_TYPES_H
#define WEIR_TESTS_TYPES_H

#include "pipeline/base/buf.h"

struct types {
    uint8_t bit[8192]; /* a bit for each type there is */
    bool window[256];  /* that may have any: few do, and there are many names */
};

void types_set(struct types *types, uint16_t type);
void types_flip(struct types *types, uint16_t type);
/* Sets those that a bitmap lists. */
void types_read(struct types *types, const uint8_t *bitmap, size_t len);
void types_write(const struct types *types, struct wbuf *out);

#endif
