/* hosts: see the header. */
#include "tests/lib/hosts.h"

#include "pipeline/base/assert.h"
#include "pipeline/base/buf.h"

#include <stdarg.h>
#include <stdio.h>

enum { TTL = 300, SOA_NUMBERS = 20 };

void hosts_add(struct edit *e, const uint8_t *owner, uint16_t type, const void *rdata, size_t len)
{
    int rc = edit_add(e, owner, type, TTL, rdata, (uint16_t)len, NULL);
    ASSERT(rc == 0);
}

void hosts_put(struct edit *e, const uint8_t *owner, uint32_t address)
{
    uint8_t rdata[4];
    put_u32(rdata, address);
    edit_remove(e, owner);
    hosts_add(e, owner, RR_A, rdata, sizeof(rdata));
}

void hosts_name(const struct hosts *h, uint8_t owner[NAME_MAX_OCTETS], const char *format, ...)
{
    char label[64];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(label, sizeof(label), format, args);
    va_end(args);
    ASSERT(n > 0 && n < 64);
    owner[0] = (uint8_t)n;
    for (int i = 0; i < n; i++)
        owner[1 + i] = (uint8_t)label[i];
    name_copy(owner + 1 + n, h->apex);
}

static void put_soa(struct hosts *h, struct edit *e)
{
    uint8_t soa[] = "\2ns\4test\0\1h\4test\0\0\0\0\1\0\0\16\20\0\0\2\130\0\1\121\200\0\0\1\54";
    uint16_t len = sizeof(soa) - 1;
    if (h->serial) {
        put_u32(soa + len - SOA_NUMBERS, h->serial);
        int rc = edit_del(e, h->apex, RR_SOA, soa, len, NULL);
        ASSERT(rc == 0);
    }
    put_u32(soa + len - SOA_NUMBERS, ++h->serial);
    hosts_add(e, h->apex, RR_SOA, soa, len);
}

struct edit *hosts_same_serial(struct hosts *h)
{
    return edit_open(h->family, h->version, h->version);
}

struct edit *hosts_next(struct hosts *h)
{
    struct edit *e = hosts_same_serial(h);
    put_soa(h, e);
    return e;
}

void hosts_seal(struct hosts *h, struct edit *e)
{
    struct snapshot *next;
    int rc = edit_seal(&e, &next, NULL, NULL);
    ASSERT(rc == 0);
    snapshot_unref(h->version);
    h->version = next;
}

void hosts_open(struct hosts *h, const char *apex, unsigned n)
{
    uint8_t owner[NAME_MAX_OCTETS];
    *h = (struct hosts){.n = n};
    int rc = name_parse(apex, h->apex, NULL);
    ASSERT(rc > 0);
    h->family = family_new(h->apex);
    struct edit *e = hosts_next(h);
    hosts_add(e, h->apex, RR_NS, "\2ns\5other", 10);
    for (unsigned i = 0; i < n; i++) {
        hosts_name(h, owner, "h%u", i);
        hosts_put(e, owner, i);
    }
    hosts_seal(h, e);
}

void hosts_close(struct hosts *h)
{
    snapshot_unref(h->version);
    family_unref(h->family);
}
