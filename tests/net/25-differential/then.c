/* then: preloaded, it tells a program that the time is $THEN (seconds since 1970), and stays so: a signature in its last second must not end
 * because the machine is busy. For dnssec-verify, which has no option for it; libfaketime does not get along with it.
 * With $AHEAD the clock goes, so many seconds ahead.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *t)
{
    if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)
        return (int)syscall(SYS_clock_gettime, clock, t);
    const char *ahead = getenv("AHEAD");
    int rc = ahead ? (int)syscall(SYS_clock_gettime, clock, t) : 0;
    if (ahead)
        t->tv_sec += strtol(ahead, NULL, 10);
    else
        *t = (struct timespec){.tv_sec = strtol(getenv("THEN"), NULL, 10)};
    return rc;
}

time_t time(time_t *out)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (out)
        *out = t.tv_sec;
    return t.tv_sec;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    struct timespec t;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &t);
    *out = (struct timeval){t.tv_sec, t.tv_nsec / 1000};
    return 0;
}
