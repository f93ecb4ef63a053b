/* primary: a primary that does as it is told.
 *
 * WHAT   Serves SOA (UDP and TCP), AXFR and IXFR for whatever zone it is asked for: SOA, NS, and `records` addresses. Any number
 *        of queries on a connection, one after another.
 *        A play says how well or badly it does so, and may be changed at any time. It counts what it was asked.
 * WHO    A thread of its own answers; primary_play and the counters: any thread.
 */
#ifndef WEIR_TESTS_PRIMARY_H
#define WEIR_TESTS_PRIMARY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum primary_soa {
    PRIMARY_TELLS,
    PRIMARY_SILENT,         /* over UDP; TCP answers */
    PRIMARY_WRONG_ID,       /* UDP: a wrong ID, then the right answer */
    PRIMARY_ALWAYS_WRONG_ID,
    PRIMARY_WRONG_QUESTION, /* UDP and TCP */
    PRIMARY_TRUNCATES,      /* UDP */
    PRIMARY_KNOWS_NO_EDNS,  /* FORMERR to a query with OPT */
    PRIMARY_NO_SOA,
    PRIMARY_NO_AA,
    PRIMARY_SAYS_REFUSED,
};
enum primary_axfr {
    PRIMARY_SENDS,
    PRIMARY_DIES,           /* closes after half of the octets */
    PRIMARY_DIES_BETWEEN,   /* closes after a whole message */
    PRIMARY_DRIPS,          /* an octet every 10 ms */
    PRIMARY_STALLS,         /* half of it, then nothing */
    PRIMARY_NOT_IT,         /* first record is no SOA */
    PRIMARY_OUTSIDE,        /* a record of another zone */
    PRIMARY_CHAOS_CLASS,
    PRIMARY_RCODE,
    PRIMARY_XFR_WRONG_ID,
    PRIMARY_XFR_WRONG_QUESTION,
    PRIMARY_TC,
    PRIMARY_OTHER_SERIAL_LAST,
    PRIMARY_EMPTY_MESSAGE,
    PRIMARY_SHORT_RDATA,
    PRIMARY_SERVES_OLDER,   /* serial - 5 in the transfer */
};
enum primary_ixfr {
    PRIMARY_IXFR_NOTIMP,
    PRIMARY_IXFR_SENDS,     /* one difference from the client's serial: the SOA changes */
    PRIMARY_IXFR_FULL,      /* the whole zone */
    PRIMARY_IXFR_ABSENT,    /* deletes what nobody has */
    PRIMARY_IXFR_CURRENT,   /* one SOA, with the client's serial */
    PRIMARY_IXFR_CLOSES,    /* without a word */
    PRIMARY_IXFR_DIES,      /* after half of the octets */
    PRIMARY_IXFR_FORMERR,   /* without OPT */
    PRIMARY_IXFR_SERVFAIL,
    PRIMARY_IXFR_REFUSED,
    PRIMARY_IXFR_BEHIND,    /* a difference to serial - 1, over the first connection */
    PRIMARY_IXFR_LATE_END,  /* the right answer, and a message more */
};
struct primary_play {
    uint32_t serial, refresh, retry, expire;
    unsigned records;
    enum primary_soa soa;
    enum primary_axfr axfr;
    enum primary_ixfr ixfr;
    bool has_expire;        /* the EXPIRE option, if it was asked for: */
    uint32_t expire_in_s;
    bool closes;            /* each connection after one answer */
    bool tcp_formerr;       /* to a query with OPT, over TCP */
    bool gate_soa, gate_axfr; /* the answer (to AXFR, not to IXFR) waits until a play without it */
};
extern const struct primary_play primary_good; /* serial 10, a handful of records */

struct primary {
    _Atomic unsigned soa_udp, soa_tcp, axfr, ixfr; /* queries */
    _Atomic unsigned connections;            /* TCP */
    _Atomic uint32_t ixfr_serial;            /* of the last IXFR query */
    _Atomic unsigned edns;                   /* of those over UDP, with OPT */
    _Atomic unsigned odd;                    /* queries that are not what RFC 5936 2.1 and RFC 1995 3 say; primary_stop wants none */
    _Atomic unsigned transfers_now, transfers_most;
    _Atomic int64_t soa_at_us;               /* monotonic, of the last SOA query */
    struct primary_private *private;
};
struct primary *primary_start(const char *address); /* "HOST1@15410" (home.h): UDP and TCP */
void primary_stop(struct primary **p);
void primary_play(struct primary *p, const struct primary_play *play);

#endif
