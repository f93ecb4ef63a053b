/* When the next round is due, when a zone expires, when a stage wants to be woken.
 *
 *   refresh   SOA refresh within refresh_min and refresh_max
 *   retry     SOA retry within retry_min and retry_max, doubled for every failed round, never longer than
 *             the refresh (or, without a version, FIRST_MAX: an operator is waiting for it)
 *   refused   the same, doubled for every time the same serial was refused, up to refresh_max; until then
 *             the serial is still asked for as often as the refresh wants it
 *   expire    SOA expire (refresh and retry at least), or expire_max if that is less, after the last check that went well; and
 *             no later than the primaries' own copies expire, if they say (EDNS EXPIRE, RFC 7314)
 *
 * All but the wake-up are intervals and run by the monotonic clock; 10 % either way is left to chance,
 * so that zones that were loaded together do not stay together. A stage's wake_at is a date (a signature
 * ends), so it runs by the calendar.
 *
 * A check went well when a primary told its serial and we had that or something newer, or when the
 * newer zone came in whole: RFC 1034 4.3.5 expires a copy when the serial cannot be checked, not when
 * our chain dislikes what it would be replaced by. But a zone that has expired comes back only with data
 * that the primary has now. */
#include "pipeline/net/xfrin_p.h"

#include "pipeline/base/log.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

enum { FIRST_MAX_S = 300, DOUBLINGS_MAX = 20, WAKE_MAX_S = 3600 };

double xfrin_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double jitter(double s)
{
    return s * (0.9 + 0.2 * (double)arc4random() / 4294967295.0);
}

static double clamp(double s, int64_t min, int64_t max)
{
    return s < (double)min ? (double)min : s > (double)max ? (double)max : s;
}

static double doubled(double s, unsigned times, double max)
{
    for (unsigned i = 1; i < times && i < DOUBLINGS_MAX && s < max; i++)
        s *= 2;
    return s < max ? s : max;
}

static bool served_soa(struct xfrin_zone *xz, struct soa *soa)
{
    struct version *v = zone_version(xz->zone);
    bool have = v != NULL;
    if (have)
        *soa = v->soa;
    version_unref(v);
    return have;
}

static void arm(struct xfrin_zone *xz, ev_timer *timer, double after_s)
{
    ev_timer_stop(xz->x->ev, timer);
    ev_now_update(xz->x->ev); /* a long callback (a chain in this thread, a big read) lies behind */
    ev_timer_set(timer, after_s > 0 ? after_s : 0, 0);
    ev_timer_start(xz->x->ev, timer);
}

static void due_in(struct xfrin_zone *xz, double after_s)
{
    arm(xz, &xz->due, after_s);
    pthread_mutex_lock(&xz->zone->lock);
    xz->zone->check_at = time(NULL) + (time_t)(after_s + 0.5);
    pthread_mutex_unlock(&xz->zone->lock);
}

void timers_soon(struct xfrin_zone *xz, double after_s)
{
    if (!ev_is_active(&xz->due) || ev_timer_remaining(xz->x->ev, &xz->due) > after_s)
        due_in(xz, after_s);
}

static double refresh_interval(const struct xfrin_zone *xz, const struct soa *soa)
{
    return clamp(soa->refresh, xz->conf->refresh_min_s, xz->conf->refresh_max_s);
}

static double retry_interval(const struct xfrin_zone *xz, const struct soa *soa)
{
    return clamp(soa ? soa->retry : 0, xz->conf->retry_min_s, xz->conf->retry_max_s);
}

/* Less than a refresh and a retry would expire a zone whose primary is well (as BIND has it); an expire of 0 is one
 * that nobody could serve. */
static int64_t expire_interval(const struct xfrin_zone *xz, const struct soa *soa)
{
    int64_t least =
        (int64_t)(1.1 * refresh_interval(xz, soa) + retry_interval(xz, soa)); /* jitter */
    int64_t expire = soa->expire > least ? soa->expire : least, most = xz->conf->expire_max_s;
    return most && expire > most ? most : expire;
}

/* xfrin_now at which the zone is obsolete. */
static double expires_at(const struct xfrin_zone *xz, const struct soa *soa)
{
    double at = xz->checked + (double)expire_interval(xz, soa);
    return xz->expires_max > 0 && xz->expires_max < at ? xz->expires_max : at;
}

void timers_refresh(struct xfrin_zone *xz)
{
    struct soa soa;
    if (served_soa(xz, &soa)) {
        double refresh = refresh_interval(xz, &soa), left = expires_at(xz, &soa) - xfrin_now();
        if (xz->expires_max > 0 &&
            left < refresh) /* before it is too late, if there is still time for it */
            refresh = clamp(left / 2, (int64_t)retry_interval(xz, &soa), (int64_t)refresh);
        due_in(xz, jitter(refresh));
    } else
        timers_retry(
            xz); /* a primary has an older serial than what was dropped: nothing to refresh */
}

void timers_retry(struct xfrin_zone *xz)
{
    struct soa soa;
    bool have = served_soa(xz, &soa);
    double retry = retry_interval(xz, have ? &soa : NULL);
    double most = have ? refresh_interval(xz, &soa) : FIRST_MAX_S;
    if (most < retry)
        most = retry;
    due_in(xz, jitter(doubled(retry, xz->failures, most)));
}

void timers_refused(struct xfrin_zone *xz, bool judged)
{
    struct soa soa;
    bool have = served_soa(xz, &soa);
    double retry = retry_interval(xz, have ? &soa : NULL), now = xfrin_now();
    if (judged)
        xz->refused_until =
            now + jitter(doubled(retry, xz->refusals, (double)xz->conf->refresh_max_s));
    double wait = xz->refused_until - now;
    double check = jitter(have ? refresh_interval(xz, &soa) : FIRST_MAX_S);
    due_in(xz, wait < check ? wait : check);
}

/* ---- expiry */

static void on_expire(struct ev_loop *ev, ev_timer *w, int events)
{
    (void)ev;
    (void)events;
    struct xfrin_zone *xz = w->data;
    struct soa soa;
    if (!served_soa(xz, &soa) || atomic_exchange(&xz->zone->expired, true))
        return;
    pthread_mutex_lock(&xz->zone->lock);
    time_t checked = xz->zone->checked_at;
    pthread_mutex_unlock(&xz->zone->lock);
    log_error("zone expired: no primary could be asked for its serial for so long that the copy "
              "counts as obsolete; queries get SERVFAIL until one can",
              LOG_KV("zone", LOG_S(xz->zone->text)), LOG_KV("serial", LOG_U(soa.serial)),
              LOG_KV("soa_expire_s", LOG_U(soa.expire)),
              LOG_KV("last_check_s_ago", LOG_I(checked ? time(NULL) - checked : -1)));
}

static void check_note(struct xfrin_zone *xz)
{
    xz->checked = xfrin_now();
    pthread_mutex_lock(&xz->zone->lock);
    xz->zone->checked_at = time(NULL);
    pthread_mutex_unlock(&xz->zone->lock);
}

/* The journal knows when the version that it brought back was last current, and until when it may be served; both are by the calendar. */
static void check_restore(struct xfrin_zone *xz)
{
    pthread_mutex_lock(&xz->zone->lock);
    time_t at = xz->zone->checked_at, now = time(NULL);
    time_t expires = atomic_load(&xz->zone->expires_at);
    pthread_mutex_unlock(&xz->zone->lock);
    if (!at) {
        check_note(xz);
        return;
    }
    xz->checked = xfrin_now() - (double)(now > at ? now - at : 0);
    xz->expires_max = expires ? xfrin_now() + (double)(expires - now) : 0;
}

/* RFC 7314 4: what a transfer brought begins with the primary's time; at a refresh the longer of its time and ours counts. Without
 * the option the primary is one that cannot tell, or the source itself: the SOA alone counts. */
static void expire_note(struct xfrin_zone *xz, bool fresh, const struct xfrin_told *told)
{
    struct soa soa;
    double was = xz->checked && served_soa(xz, &soa) ? expires_at(xz, &soa) : 0;
    xz->expires_max = 0;
    if (!told || !told->has_expire)
        return;
    xz->expires_max = xfrin_now() + told->expire_s;
    if (!fresh && was > xz->expires_max)
        xz->expires_max = was;
}

/* By the served SOA and the last check. An expired zone stays so. */
void timers_expiry(struct xfrin_zone *xz)
{
    struct zone *z = xz->zone;
    struct soa soa;
    if (xz->conf->file || !served_soa(xz, &soa)) {
        pthread_mutex_lock(&z->lock);
        z->expires_at = 0;
        pthread_mutex_unlock(&z->lock);
        ev_timer_stop(xz->x->ev, &xz->expire);
        atomic_store(&z->expired, false);
        return;
    }
    if (!xz->checked) /* a version from before the start */
        check_restore(xz);
    double left = expires_at(xz, &soa) - xfrin_now();
    pthread_mutex_lock(&z->lock);
    z->expires_at = time(NULL) + (time_t)ceil(left);
    pthread_mutex_unlock(&z->lock);
    zone_timers_keep(z);
    if (!atomic_load(&z->expired))
        arm(xz, &xz->expire, left);
}

void timers_checked(struct xfrin_zone *xz, bool current, bool fresh, const struct xfrin_told *told)
{
    struct zone *z = xz->zone;
    bool expired_there = told && told->has_expire && told->expire_s == 0;
    if (atomic_load(&z->expired) && (!current || expired_there))
        return;
    expire_note(xz, fresh, told);
    check_note(xz);
    if (atomic_exchange(&z->expired, false))
        log_notice("zone is no longer expired", LOG_KV("zone", LOG_S(z->text)));
    timers_expiry(xz);
}

/* ---- wake-ups */

static void on_wake(struct ev_loop *ev, ev_periodic *w, int events)
{
    (void)ev;
    (void)events;
    struct xfrin_zone *xz = w->data;
    xz->wake->woken_at = ev_time();
    xz->wake->in_vain++; /* until a version is accepted */
    zone_wake(xz->zone);
}

#define TICK_S .02

/* A wake_at that has passed and stays so although the stage was woken must not spin. What else happens meanwhile, a turn of keys or an
 * input that is refused, comes as often as it likes and puts no wake-up off. */
void timers_wake(struct xfrin_zone *xz)
{
    time_t at = zone_wake_at(xz->zone);
    struct xfrin_wake *wake = xz->wake;
    if (wake)
        ev_periodic_stop(xz->x->ev, &wake->timer);
    if (!at)
        return;
    if (!wake) {
        xz->wake = wake = mem_zalloc(sizeof *wake);
        ev_periodic_init(&wake->timer, on_wake, 0, 0, NULL);
        wake->timer.data = xz;
    }
    ev_tstamp when =
        (ev_tstamp)at + TICK_S;     /* time(2), which the stage is told, lags behind by a tick */
    if (wake->woken_at > ev_time()) /* the clock went back */
        wake->woken_at = ev_time();
    ev_tstamp soonest = wake->woken_at + doubled(1, wake->in_vain, WAKE_MAX_S);
    ev_periodic_set(&wake->timer, when > soonest ? when : soonest, 0, NULL);
    ev_periodic_start(xz->x->ev, &wake->timer);
}

void timers_wake_useful(struct xfrin_zone *xz)
{
    if (xz->wake)
        xz->wake->in_vain = 0;
}

static void on_due(struct ev_loop *ev, ev_timer *w, int events)
{
    (void)ev;
    (void)events;
    round_due(w->data);
}

void timers_init(struct xfrin_zone *xz)
{
    ev_timer_init(&xz->due, on_due, 0, 0);
    ev_timer_init(&xz->expire, on_expire, 0, 0);
    xz->due.data = xz->expire.data = xz;
}

void timers_stop(struct xfrin_zone *xz)
{
    ev_timer_stop(xz->x->ev, &xz->due);
    ev_timer_stop(xz->x->ev, &xz->expire);
    if (xz->wake)
        ev_periodic_stop(xz->x->ev, &xz->wake->timer);
    mem_free(&xz->wake);
}
