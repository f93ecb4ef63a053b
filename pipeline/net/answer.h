/* answer: query octets in, reply octets out.
 *
 * WHAT   A pure function: no sockets, no clock, no allocation. It reads the zone table (an RCU reader calls it) and
 *        writes into the caller's buffer. What it cannot finish itself (a transfer, a NOTIFY that counts) it names
 *        in the result, for udp and tcp to act on.
 *        Exact, NODATA, NXDOMAIN, referral with glue, wildcard, CNAME and DNAME chains inside the zone, DS at the cut,
 *        empty non-terminals; with DO: RRSIG and NSEC/NSEC3 proofs as they were transferred. A query that is signed (TSIG) has a
 *        signed answer.
 * WHO    Any online RCU reader. `work` belongs to one thread.
 * FAILS  Never: what is malformed gets FORMERR or silence (ANSWER_DROP: not a query, shorter than a header).
 * UNITS  cap is at least ANSWER_CAP_MIN octets; over TCP 65,535.
 * COST   one zone look-up, one descent a name; memory copies of the reply. A signed query: two HMACs, which allocate.
 * SPEC   RFC 1034 4.3.2, RFC 1995 2, RFC 2308, RFC 4035 3.1, RFC 4592, RFC 6672, RFC 6891, RFC 8020, RFC 8482 (ANY), RFC
 *        8914, RFC 8945 (TSIG), RFC 9619 (QDCOUNT).
 */
#ifndef WEIR_NET_ANSWER_H
#define WEIR_NET_ANSWER_H

#include "pipeline/run/zone_table.h"
#include "pipeline/zone/message.h"
#include "pipeline/zone/tsig.h"

enum { ANSWER_CAP_MIN = 512 };
enum { ANSWER_STEPS_MAX = 32 };      /* of a zone's history, for an IXFR over UDP */
enum { ANSWER_CHAIN_MAX = 16 };      /* CNAMEs and DNAMEs followed for one query; what is left the client asks again */

struct answer_work {                 /* per thread scratch */
    struct msg_writer writer;
    uint8_t qname[NAME_MAX_OCTETS];
    struct tsig_request tsig;
    uint8_t made[ANSWER_CHAIN_MAX + 1][NAME_MAX_OCTETS]; /* names that DNAMEs led to */
    struct history_cursor steps[ANSWER_STEPS_MAX];       /* of a difference over UDP */
};
struct answer_query {
    const struct zone_table *zones;
    const struct server_conf *conf;  /* identity, version, udp_size */
    const struct address *peer;
    bool tcp;
    const uint8_t *msg;
    size_t len;
};
enum answer_kind {
    ANSWER_DROP,                     /* send nothing */
    ANSWER_REPLY,                    /* reply_len octets are in the buffer */
    ANSWER_TRANSFER,                 /* TCP, AXFR or IXFR: allowed; stream `zone`'s version, or what changed since `serial`.
                                        The buffer holds a SERVFAIL of reply_len octets, for when it cannot be started */
};
struct answer_result {
    enum answer_kind kind;
    size_t reply_len;
    unsigned rcode;
    bool truncated;
    struct zone *zone;               /* that the question fell in, or NULL; borrowed under RCU */
    bool notify;                     /* a NOTIFY from an allowed source: tell xfrin (the reply is ready) */
    bool notify_dropped;             /* a NOTIFY that is not believed: */
    bool notify_unproved;            /* from a primary that has a key, without its signature; else from a stranger */
    bool has_serial;
    uint32_t serial;                 /* the hint in a NOTIFY; of an IXFR, the client's */
    enum fetch_kind fetch;           /* an IXFR that this reply answers, or NONE */
    uint32_t fetched;                /* the serial in it */
    uint16_t id, qtype;              /* of a transfer */
    const uint8_t *qname;            /* as asked, case kept; borrowed from work */
    bool edns;                       /* the query had OPT */
    const struct tsig_request *tsig; /* … and TSIG, judged; NULL: not, or one that does not parse. Borrowed from work */
};
void answer_work_init(struct answer_work *work);
void answer(struct answer_work *work, const struct answer_query *query, uint8_t *reply, size_t cap,
            struct answer_result *result);
/* The reply that an ANSWER_TRANSFER left in the buffer is wanted, perhaps with another RCODE: signs it if the query was signed.
 * Its whole length. */
size_t answer_seal(const struct answer_result *result, uint8_t *reply, size_t cap);

#endif
