/* cursor: the pace at which signatures are renewed.
 *
 *      │◀──────────────────────── validity ────────────────────────▶│
 *      made                                          renewed         ends
 *      │◀─────────── period ──────────▶│◀─ slack ─▶│◀─ jitter ─▶│◀─ refresh ─▶│
 *
 * The cursor walks all names in canonical order, once a period, and makes anew every signature that would have less than the margin
 * left when it comes again. It goes by rrsets, not by names, so that each hour has the same work; what is behind it is counted to the
 * rrset, also when names come and go, so it need not hurry at the end of a round. The first signing of a zone makes all signatures at
 * once, and already the first round spreads them over the period.
 *
 * Slack is what a wake-up may be late without anybody noticing. If more was lost (weir was down, the zone became many times larger
 * in front of the cursor), renew.c sweeps.
 */
#include "stages/sign/sign.h"

enum {
    STEPS_MANY = 128, /* of a round */
    STEPS_FEW = 32,   /* of a small zone's: each is a new version */
    STEP_SMALL = 32,  /* rrsets a step */
    STEP_LARGE = 1000
};

int64_t cursor_period(const struct sign_conf *conf)
{
    int64_t slack = 2 * (int64_t)expiries_width(conf) + 2;
    return conf->validity - conf->refresh - conf->jitter - slack;
}

/* rrsets of all that should be behind after so many seconds of a round. */
static uint64_t cursor_target(uint64_t rrsets, int64_t period, int64_t passed)
{
    if (passed <= 0)
        return 0;
    if (passed >= period)
        return rrsets;
    return (uint64_t)((unsigned __int128)rrsets * (uint64_t)passed / (uint64_t)period);
}

uint64_t cursor_quota(const struct cursor *c, uint64_t rrsets, int64_t now)
{
    uint64_t target = cursor_target(rrsets, c->period, now - c->began);
    if (now - c->began >= c->period)
        return UINT64_MAX; /* to the end, whatever was counted */
    return target > c->behind ? target - c->behind : 0;
}

/* rrsets a step, when all goes by plan. */
static uint64_t cursor_step_size(uint64_t rrsets)
{
    uint64_t few = rrsets / STEPS_FEW, many = rrsets / STEPS_MANY;
    few = few < 1 ? 1 : few > STEP_SMALL ? STEP_SMALL : few;
    return many < few ? few : many > STEP_LARGE ? STEP_LARGE : many;
}

int64_t cursor_due(const struct cursor *c, uint64_t rrsets)
{
    uint64_t step = cursor_step_size(rrsets);
    if (rrsets == 0 || c->behind + step >= rrsets)
        return c->began + c->period;
    unsigned __int128 passed = (unsigned __int128)(c->behind + step) * (uint64_t)c->period;
    return c->began + (int64_t)((passed + rrsets - 1) / rrsets);
}

void cursor_begin(struct cursor *c, int64_t period, int64_t now)
{
    *c = (struct cursor){.began = now, .period = period, .after = period};
}

/* Rounds follow each other by plan, so that small delays do not add up; a plan that was missed by more than a round is none. */
void cursor_turn(struct cursor *c, int64_t period, int64_t now)
{
    int64_t began = c->began + c->period, next = c->after;
    *c = (struct cursor){
        .began = now - began > next ? now - next : began, .period = next, .after = period};
}

/* A round that should be shorter is so from where it is. One that may be longer is not yet: the signatures in front of the cursor, and those that
 * it has just passed, were made to last for a round as it was. */
void cursor_pace(struct cursor *c, uint64_t rrsets, int64_t period, int64_t now)
{
    int64_t was = c->period;
    c->after = c->after == 0 || c->after > period ? period : c->after;
    if (was && was <= period)
        return;
    c->period = period;
    if (was && rrsets && c->behind <= rrsets)
        c->began = now - (int64_t)((unsigned __int128)c->behind * (uint64_t)period / rrsets);
}
