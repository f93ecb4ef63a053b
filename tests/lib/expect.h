/* expect: what a random test checks millions of times.
 *
 * WHAT   Like Check's assertions, but a check that holds costs a comparison and nothing else
 * (Check's write a record to a file each time).
 */
#ifndef WEIR_TESTS_EXPECT_H
#define WEIR_TESTS_EXPECT_H

#include <check.h>

#define EXPECT(x) ((x) ? (void)0 : ck_abort_msg("%s", #x))
#define EXPECT_EQ(a, b)                                                                            \
    do {                                                                                           \
        long long expect_a = (long long)(a), expect_b = (long long)(b);                            \
        if (expect_a != expect_b)                                                                  \
            ck_abort_msg("%s == %s: %lld, %lld", #a, #b, expect_a, expect_b);                      \
    } while (0)
#define EXPECT_PTR(a, b) EXPECT((const void *)(a) == (const void *)(b))

#endif
