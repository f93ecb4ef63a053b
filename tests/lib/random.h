/* random: numbers for tests that can be had again.
 *
 * WHAT   random_open() takes the seed from WEIR_SEED, or the clock, and prints it once for each
 *        test process, so that a failure can be repeated: WEIR_SEED=… build/tests/unit/x_test
 * WHO    One thread a struct; random_fork() gives another thread its own.
 */
#ifndef WEIR_TESTS_RANDOM_H
#define WEIR_TESTS_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct random {
    uint64_t state;
};

struct random random_open(void);
struct random random_fork(struct random *random);
uint64_t random_u64(struct random *random);
uint64_t random_below(struct random *random, uint64_t n); /* 0..n-1; n > 0 */
void random_octets(struct random *random, void *p, size_t n);

#endif
