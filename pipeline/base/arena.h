/* arena: memory that dies together.
 *
 * WHAT   A bump allocator for one message or one chain run. Nothing is freed piecemeal.
 * WHO    One thread at a time: par_map bodies take one arena a worker index.
 * OWNS   arena_reset() keeps the first chunk for reuse, arena_free() drops all.
 * COST   O(1) an allocation; of each 64 KiB chunk less than a quarter is wasted. A request above 16 KiB
 *        gets memory of its own size.
 */
#ifndef WEIR_BASE_ARENA_H
#define WEIR_BASE_ARENA_H

#include <stddef.h>

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena **arena);
void arena_reset(struct arena *arena);
void *arena_alloc(struct arena *arena, size_t bytes);              /* 16-aligned, uninitialised */
void *arena_zalloc(struct arena *arena, size_t bytes);
void *arena_dup(struct arena *arena, const void *p, size_t bytes);
char *arena_printf(struct arena *arena, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
size_t arena_bytes(const struct arena *arena);                     /* held now, for tests and limits */

#endif
