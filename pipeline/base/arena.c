/* A bump allocator over chunks of 64 KiB.
 *
 *      full ──> [hdr|#########----] ─> [hdr|#############] ─> …   the head has the free room
 *      large ─> [hdr|###################] ─> …                    one request each
 *
 * A request above a quarter of a chunk gets a chunk of its own on the second list, and the head of
 * the first stays in use; so what is left over when a chunk is left for good is less than a
 * quarter.
 *
 * Under AddressSanitizer everything not handed out is poisoned, the rounding of each request to 16
 * octets included: overrunning an arena object or keeping one past a reset is reported like a heap
 * error. */
#include "pipeline/base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "pipeline/base/alloc.h"
#include "pipeline/base/assert.h"

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define ARENA_POISONS 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(ARENA_POISONS)
#include <sanitizer/asan_interface.h>
#define hide(p, n)   ASAN_POISON_MEMORY_REGION((p), (n))
#define reveal(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#else
#define hide(p, n)   ((void)(p), (void)(n))
#define reveal(p, n) ((void)(p), (void)(n))
#endif

enum { ALIGN = 16, CHUNK_BYTES = 64 * 1024, LARGE_BYTES = CHUNK_BYTES / 4 };

struct chunk {
    struct chunk *next;
    size_t bytes; /* of data */
    _Alignas(ALIGN) unsigned char data[];
};

struct arena {
    struct chunk *full; /* its head is the one in use */
    struct chunk *large;
    size_t used; /* octets of the head handed out */
    size_t held;
};

static size_t round_up(size_t bytes)
{
    ASSERT(bytes <= SIZE_MAX / 2);
    return (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

static void chunk_push(struct arena *arena, struct chunk **list, size_t bytes)
{
    struct chunk *chunk = mem_alloc(sizeof *chunk + bytes);
    chunk->bytes = bytes;
    chunk->next = *list;
    *list = chunk;
    arena->held += sizeof *chunk + bytes;
    hide(chunk->data, bytes);
}

static void chunk_pop(struct arena *arena, struct chunk **list)
{
    struct chunk *chunk = *list;
    *list = chunk->next;
    arena->held -= sizeof *chunk + chunk->bytes;
    reveal(chunk->data, chunk->bytes);
    mem_free(&chunk);
}

struct arena *arena_new(void)
{
    struct arena *arena = mem_zalloc(sizeof *arena);
    arena->held = sizeof *arena;
    return arena;
}

void arena_free(struct arena **arena)
{
    if (!*arena)
        return;
    while ((*arena)->large)
        chunk_pop(*arena, &(*arena)->large);
    while ((*arena)->full)
        chunk_pop(*arena, &(*arena)->full);
    mem_free(arena);
}

void arena_reset(struct arena *arena)
{
    while (arena->large)
        chunk_pop(arena, &arena->large);
    while (arena->full && arena->full->next)
        chunk_pop(arena, &arena->full);
    if (arena->full)
        hide(arena->full->data, arena->full->bytes);
    arena->used = 0;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    size_t room = round_up(bytes ? bytes : 1);
    if (room > LARGE_BYTES) {
        chunk_push(arena, &arena->large, room);
        reveal(arena->large->data, bytes);
        return arena->large->data;
    }
    if (!arena->full || arena->full->bytes - arena->used < room) {
        chunk_push(arena, &arena->full, CHUNK_BYTES);
        arena->used = 0;
    }
    void *p = arena->full->data + arena->used;
    arena->used += room;
    reveal(p, bytes);
    return p;
}

void *arena_zalloc(struct arena *arena, size_t bytes)
{
    void *p = arena_alloc(arena, bytes);
    memset(p, 0, bytes);
    return p;
}

void *arena_dup(struct arena *arena, const void *p, size_t bytes)
{
    void *q = arena_alloc(arena, bytes);
    if (bytes)
        memcpy(q, p, bytes);
    return q;
}

char *arena_printf(struct arena *arena, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    ASSERT(n >= 0);
    char *text = arena_alloc(arena, (size_t)n + 1);
    va_start(args, fmt);
    vsnprintf(text, (size_t)n + 1, fmt, args);
    va_end(args);
    return text;
}

size_t arena_bytes(const struct arena *arena)
{
    return arena->held;
}
