/* Memory that is there, or the end: see the header for why giving up is right.
 *
 * A request of 0 octets gives a pointer of its own, as malloc(3) of glibc does, so that callers
 * need no case for empty rdata or empty lists. */
#include "pipeline/base/alloc.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pipeline/base/assert.h"

_Noreturn static void out_of_memory(size_t bytes)
{
    char text[96];
    int n = snprintf(text, sizeof text, "weir: out of memory: %zu octets wanted\n", bytes);
    ssize_t written = write(STDERR_FILENO, text, n > 0 ? (size_t)n : 0);
    (void)written;
    abort();
}

void *mem_alloc(size_t bytes)
{
    void *p = malloc(bytes ? bytes : 1);
    if (!p)
        out_of_memory(bytes);
    return p;
}

void *mem_zalloc(size_t bytes)
{
    return mem_array(1, bytes);
}

void *mem_array(size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes))
        out_of_memory(SIZE_MAX);
    void *p = calloc(1, bytes ? bytes : 1);
    if (!p)
        out_of_memory(bytes);
    return p;
}

void *mem_resize(void *p, size_t bytes)
{
    void *q = realloc(p, bytes ? bytes : 1);
    if (!q)
        out_of_memory(bytes);
    return q;
}

void *mem_aligned(size_t align, size_t bytes)
{
    void *p;
    if (posix_memalign(&p, align, bytes ? bytes : 1) != 0)
        out_of_memory(bytes);
    return p;
}

void *mem_dup(const void *p, size_t bytes)
{
    void *q = mem_alloc(bytes);
    if (bytes)
        memcpy(q, p, bytes);
    return q;
}

char *mem_strdup(const char *s)
{
    return mem_dup(s, strlen(s) + 1);
}

char *mem_printf(const char *fmt, ...)
{
    va_list args;
    char *text = NULL;
    va_start(args, fmt);
    int n = vasprintf(&text, fmt, args);
    va_end(args);
    if (n < 0) /* our formats are literals, so memory is all that can be missing */
        out_of_memory(strlen(fmt));
    return text;
}

void mem_return(void)
{
    malloc_trim(0);
}

void mem_free_ptr(void *pp)
{
    /* pp is a T ** of any T; copying the pointer's octets keeps the aliasing rules out of this. */
    void *p;
    memcpy(&p, pp, sizeof p);
    free(p);
    p = NULL;
    memcpy(pp, &p, sizeof p);
}
