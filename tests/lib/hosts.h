/* hosts: an unsigned zone of many hosts with an address each, and its next versions.
 *
 * WHAT   Apex with SOA and NS; hosts h0, h1 … below it. A test opens the next version, with the next serial or with the same, puts and
 *        takes away in it, and seals it; the one before is let go.
 * WHO    One thread.
 */
#ifndef WEIR_TESTS_HOSTS_H
#define WEIR_TESTS_HOSTS_H

#include "pipeline/zone/edit.h"

struct hosts {
    uint8_t apex[NAME_MAX_OCTETS];
    unsigned n;
    uint32_t serial;
    struct family *family;
    struct snapshot *version;
};
/* apex as text. */
void hosts_open(struct hosts *h, const char *apex, unsigned n);
void hosts_close(struct hosts *h);
struct edit *hosts_next(struct hosts *h);        /* the next serial */
struct edit *hosts_same_serial(struct hosts *h);
void hosts_seal(struct hosts *h, struct edit *e);
/* The name of a label below the apex, as printf makes it: hosts_name(h, owner, "h%u", 7). */
void hosts_name(const struct hosts *h, uint8_t owner[NAME_MAX_OCTETS], const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void hosts_add(struct edit *e, const uint8_t *owner, uint16_t type, const void *rdata, size_t len);
/* Nothing but this address is at the name then. */
void hosts_put(struct edit *e, const uint8_t *owner, uint32_t address);

#endif
