/* serial: the SOA serial that goes out.
 *
 * Inbound and outbound serials are two things: weir changes a zone when its primary does not (signatures are renewed, keys roll), and
 * a primary that was set up anew may begin again at 1. What goes out is always after what is served (RFC 1982), by one where the
 * policy has nothing better to say.
 */
#include "stages/sign/sign.h"

bool serial_after(uint32_t a, uint32_t b)
{
    return a != b && a - b < 1u << 31;
}

/* 0 is a serial like any other (RFC 1982), but not to all software. */
static uint32_t successor(uint32_t serial)
{
    return serial == UINT32_MAX ? 1 : serial + 1;
}

/* YYYYMMDD00, of the day in UTC. */
static uint32_t serial_of_day(time_t now)
{
    struct tm day;
    gmtime_r(&now, &day);
    return (uint32_t)(((day.tm_year + 1900) * 100 + day.tm_mon + 1) * 100 + day.tm_mday) * 100;
}

uint32_t serial_next(enum sign_serial policy, uint32_t input, const uint32_t *served, time_t now)
{
    uint32_t wanted = input;
    if (policy == SERIAL_UNIXTIME)
        wanted = (uint32_t)now;
    else if (policy == SERIAL_DATE)
        wanted = serial_of_day(now);
    else if (policy == SERIAL_INCREMENT && served)
        wanted = successor(*served);
    return !served || serial_after(wanted, *served) ? wanted : successor(*served);
}
