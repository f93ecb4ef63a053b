/* text_time: the two ways RFC 4034 3.2 writes a time: fourteen digits are a date, fewer are seconds.
 */
#include "pipeline/zone/text.h"

#include <ctype.h>

static int digits(const char *s, int n)
{
    int v = 0;
    for (int i = 0; i < n; i++)
        v = v * 10 + (s[i] - '0');
    return v;
}

int text_time(const char *s, time_t *out)
{
    enum { SECONDS_MAX_DIGITS = 13 };
    size_t n = 0;
    while (isdigit((unsigned char)s[n]))
        n++;
    if (!n || s[n] || n > 14)
        return -E_FORMAT;
    if (n <= SECONDS_MAX_DIGITS) {
        time_t v = 0;
        for (; *s; s++)
            v = v * 10 + (*s - '0');
        *out = v;
        return 0;
    }
    struct tm tm = {
        .tm_year = digits(s, 4) - 1900,
        .tm_mon = digits(s + 4, 2) - 1,
        .tm_mday = digits(s + 6, 2),
        .tm_hour = digits(s + 8, 2),
        .tm_min = digits(s + 10, 2),
        .tm_sec = digits(s + 12, 2),
    };
    struct tm same = tm;
    time_t v = timegm(&same); /* brings what does not exist, a 31 February, to what does */
    if (same.tm_mon != tm.tm_mon || same.tm_mday != tm.tm_mday || same.tm_hour != tm.tm_hour ||
        same.tm_min != tm.tm_min || same.tm_sec != tm.tm_sec || same.tm_year != tm.tm_year || v < 0)
        return -E_FORMAT;
    *out = v;
    return 0;
}
