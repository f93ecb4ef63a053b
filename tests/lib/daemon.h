/* daemon: the control loop of a weir without its query threads, turned by the test.
 *
 * WHAT   Zone table, worker pool, transfers in and NOTIFY out on a loop that runs in the test's own thread while it waits
 *        for something. Zones are configured in the words of a configuration file; the chain of every zone is one
 *        stage whose verdict is the last digit of the serial: 9 rejects, 8 holds, 7 wants a retry, 6 passes and
 *        wants to be woken in a second. The log goes to memory. Texts may name HOST1 … (home.h).
 * WHO    One at a time, on the test's thread.
 */
#ifndef WEIR_TESTS_DAEMON_H
#define WEIR_TESTS_DAEMON_H

#include "pipeline/net/xfrin_p.h"

#include <check.h>

enum { DAEMON_DEADLINE_S = 30 };
struct daemon {
    struct server server;
    int log;
    char *log_text;
    _Atomic unsigned events[ZONE_KEYS + 1]; /* by enum zone_outcome */
    ev_timer tick;
};
/* tune: before zones are added; or NULL. */
void daemon_open(struct daemon *d, unsigned workers, const char *config,
                 void (*tune)(struct xfrin_tuning *t));
void daemon_reload(struct daemon *d, const char *config);
void daemon_close(struct daemon *d);
void daemon_turn(struct daemon *d); /* the loop, for a moment */
double daemon_now(void);

struct zone *daemon_zone(struct daemon *d, const char *name);
struct xfrin_zone *daemon_in(struct daemon *d, const char *name); /* its state in xfrin */
bool daemon_serves(struct daemon *d, const char *name, uint32_t serial);
bool daemon_idle(struct daemon *d, const char *name);
void daemon_notify(struct daemon *d, const char *name, const char *from, const uint32_t *serial);

/* The log so far; until the next call. */
const char *daemon_log(struct daemon *d);
unsigned daemon_said(struct daemon *d, const char *text); /* lines with it */

/* Runs the loop until the condition holds; past the deadline the log is shown and the test fails. */
#define UNTIL(d, cond)                                                                             \
    do {                                                                                           \
        double until_end = daemon_now() + DAEMON_DEADLINE_S;                                       \
        while (!(cond)) {                                                                          \
            if (daemon_now() > until_end)                                                          \
                ck_abort_msg("deadline passed: %s\n%s", #cond, daemon_log(d));                     \
            daemon_turn(d);                                                                        \
        }                                                                                          \
    } while (0)

#endif
