/* alloc: memory that is there, or the end.
 *
 * WHAT   malloc and friends that never return NULL. Running out of memory aborts with a message:
 *        everything remote is bounded by configuration long before.
 * OWNS   mem_free() takes a pointer to the pointer and nulls it.
 */
#ifndef WEIR_BASE_ALLOC_H
#define WEIR_BASE_ALLOC_H

#include <stddef.h>

#define ALLOC_RETURNS __attribute__((malloc, returns_nonnull, warn_unused_result))

void *mem_alloc(size_t bytes) ALLOC_RETURNS;                /* uninitialised */
void *mem_zalloc(size_t bytes) ALLOC_RETURNS;               /* zeroed */
void *mem_array(size_t n, size_t size) ALLOC_RETURNS;       /* zeroed; overflow aborts */
void *mem_resize(void *p, size_t bytes) __attribute__((returns_nonnull, warn_unused_result));
void *mem_aligned(size_t align, size_t bytes) ALLOC_RETURNS; /* a power of two; uninitialised */
void *mem_dup(const void *p, size_t bytes) ALLOC_RETURNS;
char *mem_strdup(const char *s) ALLOC_RETURNS;
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2), returns_nonnull));
void mem_return(void);                                      /* what was freed and is in whole pages, to the system */
void mem_free_ptr(void *pp);                                /* *pp is freed and set to NULL */
#define mem_free(pp) ((void)sizeof(**(pp)), mem_free_ptr(pp))

#endif
