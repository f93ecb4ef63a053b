/* xfrin_p: what the files of xfrin share. Private to pipeline/net/xfrin*.c and their tests, and to parent*.c, whose questions go out the
 * same way.
 *
 * WHAT   A round is one attempt to bring a zone up to date: its primaries in order (the one that sent a NOTIFY first),
 *        each asked for its serial and, if that is worth it, for the zone. It ends with the first primary that settles
 *        the matter, or after the last.
 *
 *          xfrin.c           zones, rounds, and what a round concludes
 *          xfrin_schedule.c  who waits for a check or a transfer, and how many go on at once
 *          xfrin_soa.c       asking a primary for its serial: UDP, then TCP
 *          xfrin_stream.c    one query over TCP and the messages that come back
 *          xfrin_tsig.c      signing queries, and the signatures of what comes back
 *          xfrin_conn.c      connections kept for the next query
 *          xfrin_axfr.c      a transfer over such a stream, by IXFR where that may do, else by AXFR
 *          xfrin_file.c      zones from files, read on threads of their own
 *          xfrin_timers.c    refresh, retry, expire, wake-ups
 *          xfrin_report.c    the log, last_error, status
 *
 * WHO    The control loop, all of it, but for xfrin_notify and the reader's half of xfrin_file.c.
 */
#ifndef WEIR_NET_XFRIN_P_H
#define WEIR_NET_XFRIN_P_H

#include "pipeline/net/xfrin.h"
#include "pipeline/zone/changeset.h"
#include "pipeline/zone/message.h"
#include "pipeline/zone/transfer.h"
#include "pipeline/zone/tsig.h"

#include <ev.h>
#include <string.h>

static inline bool address_equal(const struct address *a, const struct address *b)
{
    return a->len == b->len && memcmp(&a->sa, &b->sa, a->len) == 0;
}

struct xfrin_link {                      /* a member of a ring; alone: linked to itself */
    struct xfrin_link *prev, *next;
};
static inline void link_init(struct xfrin_link *l)
{
    l->prev = l->next = l;
}
static inline bool link_alone(const struct xfrin_link *l)
{
    return l->next == l;
}
static inline void link_remove(struct xfrin_link *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    link_init(l);
}
static inline void link_append(struct xfrin_link *ring, struct xfrin_link *l)
{
    l->prev = ring->prev;
    l->next = ring;
    ring->prev->next = l;
    ring->prev = l;
}

enum { PRIORITY_NOTIFIED, PRIORITY_STALE, PRIORITIES };

/* An address that zones come from, shared by all of them. */
struct xfrin_peer {
    struct xfrin_link link;              /* among all peers; moved to the end when it was served: they take turns */
    struct address address;
    size_t refs;                         /* primaries of zones */
    unsigned transfers;                  /* going on */
    struct xfrin_link waiting[PRIORITIES]; /* zones, for a transfer from here */
};

struct xfrin_tuning {                    /* not for operators; tests shrink them */
    unsigned soa_tries;                  /* over UDP */
    unsigned soa_timeout_ms;             /* of the first try; doubles */
    unsigned connect_ms;                 /* TCP connect; also a whole serial check over TCP */
    unsigned idle_ms;                    /* a stream without an octet is cut */
    unsigned rate_window_ms;             /* min_rate is averaged over this */
    unsigned checks_max;                 /* at once: sockets */
    unsigned checks_stale_max;           /* of those, without a NOTIFY: the rest is kept free for NOTIFYed zones */
    unsigned notify_gap_ms;              /* after a NOTIFY that led to nothing new */
    unsigned file_wait_ms;               /* at the end, for files that are being read */
    unsigned keep_ms;                    /* a connection without a query */
    unsigned keep_max;                   /* of those, in all */
};

struct xfrin {
    struct server *server;
    struct ev_loop *ev;
    struct xfrin_tuning tuning;
    struct xfrin_link zones, peers;
    struct xfrin_link check_waiting[PRIORITIES];
    unsigned checks, transfers;          /* going on */
    struct xfrin_link conns;             /* kept connections */
    unsigned kept;
    bool scheduling;                     /* schedule_run is on the stack */
    struct msg_reader reader;            /* of checks; big, and used within one call only */
    struct msg_writer writer;            /* of all queries, likewise */
    struct xfrin_files *files;
};

/* One of a zone's primaries, as the zone sees it. */
struct xfrin_primary {
    struct tsig_key *key;                /* a reference, or NULL */
    struct xfrin_peer *peer;             /* its address; NULL: of a file */
    bool no_edns;                        /* answered FORMERR to EDNS */
    bool axfr_next;                      /* an IXFR from here broke off: the next transfer is in full */
    bool no_ixfr;                        /* refused the last one (and the log has it) */
    bool said_not_authoritative;
    bool has_serial;
    bool refused;                        /* our chain did not take this serial from it: */
    uint32_t refused_serial;
    uint32_t serial;                     /* that it had last */
    unsigned error_times;                /* the last failure that was logged, and how often it came in a row: */
    uint32_t error_hash;
    char *error;                         /* NULL: the last exchange went well */
    time_t asked_at, answered_at;
};

enum xfrin_state { XFRIN_IDLE, XFRIN_CHECK_WAIT, XFRIN_CHECK, XFRIN_TRANSFER_WAIT, XFRIN_TRANSFER, XFRIN_FILE, XFRIN_CHAIN };

struct xfrin_round {
    int first;                           /* index of the primary to ask first, or -1 */
    unsigned step;                       /* primaries done with */
    bool notified, force;
    bool full;                           /* the primary that it is at failed to answer IXFR */
    bool doubted;                        /* what it said over a kept connection was asked again over a fresh one */
    bool hinted;                         /* a NOTIFY named a newer serial: the IXFR goes out without a check before it */
    bool retry_refused;                  /* the back-off of refused content is over: fetch it again */
    bool good;                           /* a primary answered, and had nothing for us */
    bool refused;                        /* a primary has content that our chain does not take */
    bool judged;                         /* … and it was fetched and judged in this round */
    bool brought;                        /* something came in */
    bool orphan;                         /* the configuration changed under it: its outcome says nothing about a primary */
};

/* What a primary said of its zone. */
struct xfrin_told {
    uint32_t serial;
    uint32_t expire_s;                   /* its copy expires in (RFC 7314) */
    bool has_expire;
};
/* The last transfer that came in, for status. */
struct xfrin_last {
    time_t at;                           /* 0: none since start */
    struct xfrin_peer *from;             /* a reference */
    double seconds;
    struct transfer_stats stats;
    uint32_t from_serial;                /* of an incremental one */
    bool asked_ixfr;
};
/* A stage's wake-ups. */
struct xfrin_wake {
    ev_periodic timer;
    ev_tstamp woken_at;
    unsigned in_vain;                    /* since a version was accepted */
};

struct xfrin_check;
struct xfrin_axfr;
struct xfrin_zone {                      /* there may be ten thousands: no holes, and what few have is made when it is needed */
    struct xfrin_link link;              /* among all zones */
    struct xfrin_link queue;             /* while in a state that waits */
    struct xfrin *x;
    struct zone *zone;                   /* a reference */
    struct config *config;               /* a reference; conf is in it */
    const struct zone_conf *conf;
    struct xfrin_primary *primary;       /* a file zone has none, and one here all the same, for its error fields */
    unsigned nprimaries;

    enum xfrin_state state;
    struct xfrin_round round;
    uint32_t submitted;                  /* in XFRIN_CHAIN: the serial */
    struct xfrin_check *check;           /* in XFRIN_CHECK */
    struct xfrin_axfr *axfr;             /* in XFRIN_TRANSFER */
    uint64_t generation;                 /* of its sources: the result of a file job of an older one is dropped */
    struct xfrin_told told;              /* … and what came with `submitted` */
    struct xfrin_last last;

    bool reading;                        /* a file job is out, perhaps one whose result is dropped */
    bool again, again_force;             /* one more round is wanted after this one (or after the gap) */
    bool hint_lied;                      /* a NOTIFY had promised a newer serial, and led to nothing */
    bool has_hint;                       /* of the last NOTIFY: */
    uint32_t hint;
    int again_first;
    unsigned failures;                   /* rounds in a row */
    unsigned refusals;                   /* of one serial in a row */
    uint32_t refused_serial;
    ev_tstamp refused_until;
    ev_tstamp fruitless_at;              /* xfrin_now at which a NOTIFY had led to nothing new; 0: never */

    double expires_max;                  /* xfrin_now at which the primaries' own copies expire, by EXPIRE; 0: they do not say */
    double checked;                      /* xfrin_now at the last check that went well (zone->checked_at is for people); 0: never */
    ev_timer due, expire;
    struct xfrin_wake *wake;             /* NULL: no stage has wanted any */
};
/* Of one that is no file. */
static inline const struct address *primary_address(const struct xfrin_primary *p)
{
    return &p->peer->address;
}
static inline const struct address *primary_source(const struct xfrin_zone *xz, const struct xfrin_primary *p)
{
    return &xz->conf->primaries[p - xz->primary]->source;
}

/* ---- xfrin.c */
struct xfrin_primary *round_primary(struct xfrin_zone *xz);      /* that it is at now */
const struct zone_conf *xfrin_conf(const struct xfrin_zone *xz);
void round_due(struct xfrin_zone *xz);                           /* the due timer has fired */
void round_answered(struct xfrin_zone *xz, const struct xfrin_told *told);  /* the primary has told its serial */
void round_check(struct xfrin_zone *xz);                         /* a hint was not borne out: ask the same primary for its serial */
void round_known_bad(struct xfrin_zone *xz);                     /* the transfer is of what our chain refused, too early */
void round_failed(struct xfrin_zone *xz, const char *sentence, const struct why *why); /* check or transfer: on to the next primary */
/* An input is complete. References stay with the caller. `since` and `told` may be NULL. */
void round_received(struct xfrin_zone *xz, const struct snapshot *input, const struct snapshot *since,
                    const struct changeset *changes, const char *origin, const struct xfrin_told *told);
void round_file_failed(struct xfrin_zone *xz, const struct why *why);
void round_file_dropped(struct xfrin_zone *xz);                  /* a job ended whose result nobody wants */
bool xfrin_our_serial(struct xfrin_zone *xz, uint32_t *serial);  /* of the version's input; false: no version */

/* ---- xfrin_schedule.c */
struct xfrin_peer *peer_ref(struct xfrin *x, const struct address *address);
void peer_unref(struct xfrin_peer **peer);                        /* NULL inside allowed */
void schedule_check(struct xfrin_zone *xz);
void schedule_transfer(struct xfrin_zone *xz);
void schedule_raise(struct xfrin_zone *xz);                      /* it waits, and a NOTIFY came */
void schedule_leave(struct xfrin_zone *xz);                      /* out of its queue, or out of its slot */
void schedule_run(struct xfrin *x);                              /* starts what may start */

/* ---- xfrin_soa.c */
/* A query for the zone at its present primary, with EDNS and EXPIRE unless that does not know it. from: of an IXFR, the version
 * whose SOA goes with it (RFC 1995 3); else NULL. Returns its length. */
enum { XFRIN_QUERY_MAX = 1536 };
size_t xfrin_query(struct xfrin_zone *xz, uint16_t type, const struct snapshot *from, uint16_t id, uint8_t query[XFRIN_QUERY_MAX]);
void check_start(struct xfrin_zone *xz);
void check_stop(struct xfrin_zone *xz);

/* ---- xfrin_stream.c */
struct xfrin_stream;
struct xfrin_stream_config {
    struct xfrin *x;
    const struct address *to;
    const struct address *source;        /* copied: a reload may leave the stream alone */
    const uint8_t *query;                /* without length prefix; copied */
    size_t query_len;
    double max_s;                        /* for everything, connect included … */
    const char *max_name;                /* … and what that bound is called */
    int64_t min_rate;                    /* octets a second; 0: none */
    bool capture;
    void *ctx;
    /* 0: go on; 1: that was the last; < 0: refused, with why. Must not close the stream. */
    int (*message)(void *ctx, const uint8_t *msg, size_t len, struct why *why);
    /* Called once, the last thing the stream does by itself: err as from message (1 is 0 here), or -E_CLOSED when the
     * peer closed in order, -E_IO, -E_TIMEOUT, -E_LIMIT. Closes the stream, or lets its owner do so. */
    void (*end)(void *ctx, int err, const struct why *why);
};
/* Always ends by a call of end, never from within stream_open. */
struct xfrin_stream *stream_open(const struct xfrin_stream_config *config);
bool stream_heard(const struct xfrin_stream *stream);   /* has an octet come? */
bool stream_was_kept(const struct xfrin_stream *stream); /* did it come over a kept connection? */
void stream_close(struct xfrin_stream **stream);
/* The same, but the connection is kept for another query if the stream ended with a whole message and nothing behind it. For
 * who knows that the primary has nothing more to say. */
void stream_release(struct xfrin_stream **stream);
/* A socket from `source` (any port) to `to`, non-blocking, connected (or, for SOCK_STREAM, connecting). */
int xfrin_connect(int type, const struct address *to, const struct address *source, int *fd, struct why *why) MUST_CHECK;

/* ---- xfrin_tsig.c */
/* Signs a query to the present primary, if that has a key. Its whole length. *chain: what there was is freed; then what the
 * answer is verified with, or NULL. */
size_t xfrin_sign(struct xfrin_zone *xz, uint8_t query[XFRIN_QUERY_MAX], size_t len, struct tsig_chain **chain);
/* Each message of the answer, before anything else looks at it, and at its end. chain NULL: 0. Failures are counted. */
int xfrin_verify(struct xfrin_zone *xz, struct tsig_chain *chain, const uint8_t *msg, size_t len, struct why *why) MUST_CHECK;
int xfrin_verify_end(struct xfrin_zone *xz, const struct tsig_chain *chain, struct why *why) MUST_CHECK;

/* ---- xfrin_conn.c */
int conn_take(struct xfrin *x, const struct address *to, const struct address *source);   /* -1: none is kept */
void conn_keep(struct xfrin *x, const struct address *to, const struct address *source, int fd);
void conn_forget(struct xfrin *x, const struct address *to);                              /* all that are kept to there */
void conn_close_all(struct xfrin *x);

/* ---- xfrin_axfr.c */
bool axfr_may_be_ixfr(struct xfrin_zone *xz);                    /* would a transfer from the present primary ask for differences? */
void axfr_start(struct xfrin_zone *xz);
void axfr_stop(struct xfrin_zone *xz);
char *axfr_doing(struct xfrin_zone *xz);

/* ---- xfrin_file.c */
struct xfrin_files *files_new(void);
void files_free(struct xfrin *x);                                /* waits for what is being read, but not for ever */
void file_start(struct xfrin_zone *xz);

/* ---- xfrin_timers.c */
void timers_init(struct xfrin_zone *xz);
void timers_stop(struct xfrin_zone *xz);
/* A primary was reached. current: we have what it has. fresh: since a moment ago, so that EXPIRE begins anew (RFC 7314 4). */
void timers_checked(struct xfrin_zone *xz, bool current, bool fresh, const struct xfrin_told *told);
void timers_refresh(struct xfrin_zone *xz);                      /* next round after SOA refresh */
void timers_retry(struct xfrin_zone *xz);                        /* … after SOA retry, backed off by xz->failures */
void timers_refused(struct xfrin_zone *xz, bool judged);         /* … judged: again, so refused_until moves on by xz->refusals */
void timers_soon(struct xfrin_zone *xz, double after_s);
void timers_wake(struct xfrin_zone *xz);                         /* to when the version's stages want it */
void timers_wake_useful(struct xfrin_zone *xz);                  /* a version was accepted: none was in vain */
void timers_expiry(struct xfrin_zone *xz);                       /* arms expire, by the last check */
double xfrin_now(void);                                          /* seconds, monotonic */

/* ---- xfrin_report.c */
void report_failure(struct xfrin_zone *xz, struct xfrin_primary *p, const char *sentence, const struct why *why);
void report_success(struct xfrin_zone *xz, struct xfrin_primary *p);   /* forgets the primary's error */
void report_clear(struct xfrin_zone *xz);                              /* the zone's last_error */

#endif
