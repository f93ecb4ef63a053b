/* arena: every piece is aligned, ours alone, and lasts until the reset; memory held is what the
 * header says. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/base/arena.h"
#include "tests/lib/random.h"
#include "tests/lib/suite.h"

enum { PIECES = 3000, CHUNK = 64 * 1024 };

struct piece {
    unsigned char *p;
    size_t bytes;
    unsigned char fill;
};

static int by_address(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;
    return x->p < y->p ? -1 : x->p > y->p;
}

static size_t some_size(struct random *random)
{
    switch (random_below(random, 20)) {
    case 0:
        return random_below(random, 4 * CHUNK);
    case 1:
        return 16 * 1024 - 17 + random_below(random, 34); /* about the limit of a large request */
    case 2:
        return 0;
    default:
        return random_below(random, 300);
    }
}

static void fill_and_check(struct random *random, struct arena *arena, struct piece *pieces)
{
    for (size_t i = 0; i < PIECES; i++) {
        struct piece *piece = &pieces[i];
        piece->bytes = some_size(random);
        piece->fill = (unsigned char)random_u64(random);
        piece->p = arena_alloc(arena, piece->bytes);
        ck_assert_uint_eq((uintptr_t)piece->p % 16, 0);
        memset(piece->p, piece->fill, piece->bytes);
    }
    for (size_t i = 0; i < PIECES; i++)
        for (size_t k = 0; k < pieces[i].bytes; k++)
            if (pieces[i].p[k] != pieces[i].fill)
                ck_abort_msg("piece %zu of %zu octets changed at %zu", i, pieces[i].bytes, k);
    qsort(pieces, PIECES, sizeof *pieces, by_address);
    for (size_t i = 1; i < PIECES; i++)
        ck_assert(pieces[i].p > pieces[i - 1].p); /* pieces of 0 octets differ, too */
}

START_TEST(random_pieces)
{
    struct random random = random_open();
    struct piece *pieces = calloc(PIECES, sizeof *pieces);
    struct arena *arena = arena_new();
    for (int round = 0; round < 5; round++) {
        fill_and_check(&random, arena, pieces);
        arena_reset(arena);
        ck_assert_uint_le(arena_bytes(arena), CHUNK + 256);
    }
    arena_free(&arena);
    ck_assert_ptr_null(arena);
    arena_free(&arena);
    free(pieces);
}
END_TEST

START_TEST(reset_keeps_one_chunk)
{
    struct arena *arena = arena_new();
    char *first = arena_alloc(arena, 100);
    size_t one = arena_bytes(arena);
    for (int i = 0; i < 1000; i++)
        ck_assert_ptr_nonnull(arena_alloc(arena, 1000));
    ck_assert_uint_gt(arena_bytes(arena), one * 15);
    arena_reset(arena);
    ck_assert_uint_eq(arena_bytes(arena), one);
    ck_assert_ptr_eq(arena_alloc(arena, 100), first);
    ck_assert_uint_eq(arena_bytes(arena), one);
    arena_free(&arena);
}
END_TEST

START_TEST(large_requests_cost_their_size)
{
    struct arena *arena = arena_new();
    char *small = arena_alloc(arena, 16);
    size_t before = arena_bytes(arena);
    char *large = arena_zalloc(arena, 10 * CHUNK);
    ck_assert_int_eq(large[10 * CHUNK - 1], 0);
    ck_assert_uint_le(arena_bytes(arena) - before, 10 * CHUNK + 64);
    ck_assert_ptr_eq(arena_alloc(arena, 16), small + 16); /* the chunk in use stayed in use */
    arena_free(&arena);
}
END_TEST

START_TEST(zeroed_copied_printed)
{
    struct arena *arena = arena_new();
    memset(arena_alloc(arena, 4096), 0xff, 4096);
    arena_reset(arena);
    const unsigned char *zeros = arena_zalloc(arena, 4096);
    for (int i = 0; i < 4096; i++)
        ck_assert_uint_eq(zeros[i], 0);
    ck_assert_mem_eq(arena_dup(arena, "a\0b", 3), "a\0b", 3);
    ck_assert_ptr_nonnull(arena_dup(arena, NULL, 0));
    ck_assert_str_eq(arena_printf(arena, "%s-%d", "x", 7), "x-7");
    ck_assert_uint_eq(strlen(arena_printf(arena, "%*d", 5000, 7)), 5000);
    arena_free(&arena);
}
END_TEST

START_TEST(absurd_request)
{
    struct arena *arena = arena_new();
    ck_assert_ptr_nonnull(arena_alloc(arena, SIZE_MAX - 3));
}
END_TEST

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
START_TEST(sanitizer_sees_strays)
{
    struct arena *arena = arena_new();
    char *p = arena_alloc(arena, 10), *large = arena_alloc(arena, 50001);
    ck_assert(!__asan_address_is_poisoned(p + 9));
    ck_assert(__asan_address_is_poisoned(p + 10));
    ck_assert(!__asan_address_is_poisoned(large + 50000));
    ck_assert(__asan_address_is_poisoned(large + 50001));
    arena_reset(arena);
    ck_assert(__asan_address_is_poisoned(p));
    arena_free(&arena);
}
END_TEST
#endif

int main(void)
{
    struct suite s = suite_open("arena");
    suite_add(s, random_pieces);
    suite_add(s, reset_keeps_one_chunk);
    suite_add(s, large_requests_cost_their_size);
    suite_add(s, zeroed_copied_printed);
    suite_add_abort(s, absurd_request);
#ifdef __SANITIZE_ADDRESS__
    suite_add(s, sanitizer_sees_strays);
#endif
    return suite_run(s);
}
