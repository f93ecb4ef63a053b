/* checksum: 64 bits over octets, against damage, not against malice.
 *
 * WHAT   Eight octets a step: mixed in by a multiplication whose upper half is folded back, so each bit of the input
 *        reaches all of the sum within two steps. The length is part of it. `seed` ties a sum to a place.
 * COST   About 2 GB/s.
 */
#ifndef WEIR_BASE_CHECKSUM_H
#define WEIR_BASE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t checksum_mix(uint64_t sum, uint64_t word)
{
    unsigned __int128 m = (unsigned __int128)(sum ^ word) * 0x9e3779b97f4a7c15u;
    return ((uint64_t)m ^ (uint64_t)(m >> 64)) + 0xd1b54a32d192ed03u;
}

static inline uint64_t checksum64(uint64_t seed, const void *octets, size_t n)
{
    const uint8_t *p = octets;
    uint64_t sum = checksum_mix(seed, n), word;
    for (; n >= 8; n -= 8, p += 8) {
        memcpy(&word, p, 8);
        sum = checksum_mix(sum, word);
    }
    word = 0;
    if (n)
        memcpy(&word, p, n);
    return checksum_mix(sum, word);
}

#endif
