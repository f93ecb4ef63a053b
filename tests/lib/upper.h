/* upper: a server of the parent zone, or of the zone itself, that does as it is told.
 *
 * WHAT   Answers questions for the DS and the NS of any zone, or what else a test has for it, over UDP and TCP, well or badly, as its
 *        play says. It counts what it was asked, and can hold questions back to see how many come at one time.
 * WHO    The test's thread: its watchers are on the loop that the test turns (daemon.h).
 */
#ifndef WEIR_TESTS_UPPER_H
#define WEIR_TESTS_UPPER_H

#include "pipeline/run/address.h"
#include "pipeline/zone/message.h"

#include <ev.h>

enum upper_way {
    UPPER_TELLS,
    UPPER_SILENT_UDP,         /* TCP answers */
    UPPER_SILENT,             /* TCP connects, and that is all */
    UPPER_WRONG_ID,           /* UDP: two lies, with another ID and another question, then the right answer */
    UPPER_ALWAYS_WRONG_ID,    /* UDP and TCP */
    UPPER_WRONG_NAME,         /* UDP and TCP */
    UPPER_WRONG_TYPE,
    UPPER_NO_QR,
    UPPER_TRUNCATES,          /* UDP */
    UPPER_TRUNCATES_ALWAYS,
    UPPER_KNOWS_NO_EDNS,      /* FORMERR to a question with OPT */
    UPPER_NO_AA,
    UPPER_REFERRAL,
    UPPER_IS_THE_CHILD,       /* the zone's own SOA */
    UPPER_IS_A_STRANGER,      /* the SOA of a zone elsewhere */
    UPPER_SAYS_NOTHING,       /* NOERROR, and no record */
    UPPER_ALIAS,
    UPPER_SERVFAIL,
    UPPER_REFUSED,
    UPPER_BADVERS,
    UPPER_NXDOMAIN_WITH_DS,
    UPPER_OF_ANOTHER,         /* DS records at another name: an SOA as well, so there is none at this one */
    UPPER_SHORT_DS,           /* rdata of three octets */
    UPPER_TOO_MANY_DS,
    UPPER_CUT_RECORD,         /* the message ends within the last record */
    UPPER_HALF_A_HEADER,
    UPPER_CLOSES,             /* UDP says TC, TCP closes */
    UPPER_STALLS,             /* UDP says TC, TCP stops in the middle of the answer */
    UPPER_NOTAUTH,
    UPPER_FORMERR,            /* whatever is asked */
    UPPER_NXDOMAIN,           /* with the SOA of the parent */
};
enum { UPPER_DS_MAX = 8, UPPER_NS_MAX = 70 };
/* How it answers for NS. */
enum upper_ns_way {
    UPPER_NS_REFERS,
    UPPER_NS_HAS_CHILD,       /* AA, in the answer */
    UPPER_NS_NONE,            /* AA, the SOA of the parent */
    UPPER_NS_WITH_AA,         /* a referral that claims to be an authority's */
    UPPER_NS_OF_CACHE,        /* no AA, in the answer */
    UPPER_NS_ELSEWHERE,       /* a referral to the parent itself */
    UPPER_NS_MIXED,           /* a referral to the zone, and one to elsewhere */
    UPPER_NS_NXDOMAIN,        /* a referral, and NXDOMAIN */
    UPPER_NS_REFUSED,
    UPPER_NS_SILENT,
};
struct upper;
struct upper_play {
    enum upper_way way;
    unsigned nds;
    struct upper_ds {
        uint16_t tag;
        uint8_t algorithm, digest_type, fill; /* 32 octets of fill */
    } ds[UPPER_DS_MAX];
    uint32_t ttl, soa_ttl, soa_minimum;
    enum upper_ns_way ns_way;
    unsigned nns;             /* n1.away … */
    uint32_t ns_ttl;
    /* Not a parent: puts what it has itself, where its way does not say otherwise. */
    void (*records)(struct upper *u, struct msg_writer *w, const uint8_t *zone, uint16_t type);
    uint16_t type;            /* it goes its way for this type only, and does well else; 0: for all */
    bool nxdomain;            /* instead of NODATA */
    bool held;                /* questions wait for a play without it */
};

struct upper {
    struct upper_play play;
    const struct tsig_keys *keys; /* NULL: TSIG is not looked at */
    unsigned udp, tcp, edns, dnssec, waiting, waiting_most; /* of udp and tcp: with EDNS, with DO */
    struct upper_private *private;
};
struct upper *upper_start(struct ev_loop *ev, const char *address);  /* "HOST1@15410" (home.h) */
void upper_stop(struct upper **u);
void upper_play(struct upper *u, const struct upper_play *play);

#endif
