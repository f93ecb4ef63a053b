/* splitmix64: a counter and a mixing function, good enough for tests and every seed is as good as
 * another. */
#include "tests/lib/random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct random random_open(void)
{
    const char *given = getenv("WEIR_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct random random = {(uint64_t)now.tv_sec * 1000000007u + (uint64_t)now.tv_nsec};
    random.state ^= (uint64_t)getpid() << 40;
    if (given)
        random.state = strtoull(given, NULL, 0);
    printf("WEIR_SEED=%" PRIu64 "\n", random.state);
    fflush(stdout);
    return random;
}

struct random random_fork(struct random *random)
{
    return (struct random){random_u64(random)};
}

uint64_t random_u64(struct random *random)
{
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t random_below(struct random *random, uint64_t n)
{
    return random_u64(random) % n;
}

void random_octets(struct random *random, void *p, size_t n)
{
    unsigned char *out = p;
    while (n--)
        *out++ = (unsigned char)random_u64(random);
}
