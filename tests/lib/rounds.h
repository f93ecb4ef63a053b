/* rounds: a weir and its primaries, p1 and p2, as the tests of xfrin play them.
 *
 * WHAT   The zone is a.example. Included by a test program, which is then the one that has them; each test begins with none
 *        and ends with end().
 */
#ifndef WEIR_TESTS_ROUNDS_H
#define WEIR_TESTS_ROUNDS_H

#include "tests/lib/daemon.h"
#include "tests/lib/home.h"
#include "tests/lib/primary.h"
#include "tests/lib/suite.h"

#define Z  "a.example."
#define P1 "HOST1@15410"
#define P2 "HOST2@15411"

static struct daemon d;
static struct primary *p1, *p2;

static inline void play(struct primary *p, struct primary_play play)
{
    primary_play(p, &play);
}

static inline struct primary_play good(uint32_t serial)
{
    struct primary_play p = primary_good;
    p.serial = serial;
    return p;
}

/* Nothing is asked twice because the machine is slow. */
static inline void patient(struct xfrin_tuning *t)
{
    t->soa_timeout_ms = 20000;
    t->connect_ms = 20000;
}

static inline void no_gap(struct xfrin_tuning *t)
{
    patient(t);
    t->notify_gap_ms = 0;
}

/* For primaries that do not answer. */
static inline void impatient(struct xfrin_tuning *t)
{
    t->soa_timeout_ms = 40;
    t->connect_ms = 2000;
    t->notify_gap_ms = 0;
}

static inline const struct zone_counters *counters(void)
{
    return &daemon_zone(&d, Z)->counters;
}

/* The serial is served, and nothing is left to do. */
static inline void arrived(uint32_t serial)
{
    UNTIL(&d, daemon_serves(&d, Z, serial) && daemon_idle(&d, Z));
}

static inline void end(void)
{
    daemon_close(&d);
    if (p1)
        primary_stop(&p1);
    if (p2)
        primary_stop(&p2);
}

#endif
