/* dnssec_base32: a hash as the first label of its NSEC3's owner (RFC 5155 1.3): base32hex of RFC 4648 7, without padding.
 *
 * Five octets are eight letters, and the order of the octets is the order of the letters, so the chain lies in the zone in
 * its own order.
 */
#include "pipeline/zone/dnssec.h"

void dnssec_nsec3_print(const uint8_t hash[DNSSEC_NSEC3_HASH], char out[DNSSEC_NSEC3_TEXT + 1])
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuv";
    for (unsigned i = 0; i < DNSSEC_NSEC3_HASH; i += 5) {
        uint64_t five = (uint64_t)hash[i] << 32 | get_u32(hash + i + 1);
        for (int shift = 35; shift >= 0; shift -= 5)
            *out++ = letters[five >> shift & 31];
    }
    *out = '\0';
}

bool dnssec_nsec3_parse(const uint8_t *owner, uint8_t out[DNSSEC_NSEC3_HASH])
{
    if (owner[0] != DNSSEC_NSEC3_TEXT)
        return false;
    unsigned bits = 0, held = 0;
    for (unsigned i = 1; i <= DNSSEC_NSEC3_TEXT; i++) {
        uint8_t c = name_lower_table[owner[i]];
        unsigned value;
        if (c >= '0' && c <= '9')
            value = c - '0';
        else if (c >= 'a' && c <= 'v')
            value = c - 'a' + 10u;
        else
            return false;
        bits = (bits << 5 | value) & 0xfff;
        held += 5;
        if (held >= 8) {
            held -= 8;
            *out++ = (uint8_t)(bits >> held);
        }
    }
    return true;
}

bool dnssec_nsec3_owner(const uint8_t hash[DNSSEC_NSEC3_HASH], const uint8_t *apex,
                        uint8_t out[NAME_MAX_OCTETS])
{
    char text[DNSSEC_NSEC3_TEXT + 1];
    if (1 + DNSSEC_NSEC3_TEXT + name_len(apex) > NAME_MAX_OCTETS)
        return false;
    dnssec_nsec3_print(hash, text);
    out[0] = DNSSEC_NSEC3_TEXT;
    memcpy(out + 1, text, DNSSEC_NSEC3_TEXT);
    name_copy(out + 1 + DNSSEC_NSEC3_TEXT, apex);
    return true;
}
