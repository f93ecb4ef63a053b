/* answer_state: what the parts of answer share while one query is answered.
 *
 * WHAT   answer.c reads the query and sends it to its part; each part writes records and sets
 * flags, rcode and EDE; answer.c closes the reply. Only answer*.c include this.
 *
 *   answer ─ answer_query         the octets: question, OPT, TSIG, the SOA of IXFR and NOTIFY
 *          ├ answer_zone          RFC 1034 4.3.2: exact, wildcard, chains, referrals
 *          │   └ answer_denial    what is not there: SOA, NSEC, NSEC3
 *          ├ answer_transfer      AXFR, IXFR, NOTIFY: who may
 *          ├ answer_chaos         version.bind and its like
 *          └ answer_edns, _tsig   OPT, NSID, extended errors; signed queries
 *
 * WHO    One thread; lives on answer()'s stack.
 */
#ifndef WEIR_NET_ANSWER_STATE_H
#define WEIR_NET_ANSWER_STATE_H

#include "pipeline/net/answer.h"

/* RFC 8914 4: the codes that are sent. */
enum ede {
    EDE_NONE = -1,
    EDE_SIGNATURE_EXPIRED = 7,
    EDE_NOT_READY = 14,
    EDE_PROHIBITED = 18,
    EDE_NOT_AUTHORITATIVE = 20,
    EDE_INVALID_DATA = 24,
    EDE_NSEC3_ITERATIONS = 27, /* RFC 9276 */
    EDE_INVALID_QUERY_TYPE = 30, /* RFC 9824 */
};
enum denial_kind { DENIAL_UNKNOWN, DENIAL_NONE, DENIAL_NSEC, DENIAL_NSEC3 };

enum { PROOFS_MAX = 3 * (ANSWER_CHAIN_MAX + 2) };

struct answer_state {
    struct answer_work *work;
    const struct answer_query *query;
    struct answer_result *result;
    struct msg_writer *w;

    uint16_t id, flags; /* of the query */
    uint16_t count[4];
    unsigned opcode;
    bool has_question; /* the three that follow are good */
    const uint8_t *qname;
    uint16_t qtype, qclass;
    bool well_formed;
    struct edns edns;
    bool wants_nsid, wants_expire;
    bool has_serial; /* of the SOA in an IXFR's authority or a NOTIFY's answer section */
    uint32_t serial;

    uint8_t *reply;
    size_t limit;         /* octets that the reply may have, OPT included, TSIG not */
    uint16_t reply_flags; /* MSG_AA, MSG_TC */
    unsigned rcode;
    enum ede ede;
    const char *ede_text;

    const struct version *version;
    const struct snapshot *zone;
    const struct node *apex; /* NULL until state_apex */
    enum denial_kind denial;
    struct rdata nsec3_param; /* the chain, when denial is DENIAL_NSEC3 */
    unsigned hash_blocks;     /* of SHA-1, spent on NSEC3 */
    unsigned chain_steps;     /* over NSEC3 records of another chain */
    unsigned nproofs;
    const struct node *proof[PROOFS_MAX]; /* NSEC and NSEC3 owners that are in the reply */

    bool has_tsig;              /* the query; it is in work */
    const struct tsig_key *key; /* that signed the query, and it is good; NULL: none */
    size_t tsig_room;           /* that the reply's TSIG will take; 0: it gets none */
    struct msg_mark question;   /* with tsig_room: behind the question */
};

/* answer.c */
void answer_fail(struct answer_state *s, unsigned rcode);
void answer_fail_why(struct answer_state *s, unsigned rcode, enum ede ede, const char *text);
/* Opens the zone's version; false: there is none to serve, and the reply says so. */
bool answer_open_zone(struct answer_state *s, struct zone *zone);
const struct node *answer_apex(struct answer_state *s);
/* An rrset of node under `owner`, and with DO its signatures: both or none. False: no room. */
bool answer_put(struct answer_state *s, unsigned section, const uint8_t *owner,
                const struct node *node, const struct rrset *set);

/* answer_query.c: fills the query's fields; well_formed tells whether all of it was good. */
void answer_parse(struct answer_state *s);

/* answer_edns.c */
/* An OPT's fixed fields and options; the first one of a query. */
void edns_read(struct answer_state *s, uint16_t class, uint32_t ttl, const uint8_t *rdata,
               size_t len);
size_t edns_room(const struct answer_state *s); /* octets that the reply's OPT will take */
void edns_write(struct answer_state *s);

/* answer_tsig.c */
void tsig_check(struct answer_state *s); /* sets key, tsig_room, and what the reply says if it is wrong */
/* A reply that is cut has nothing but question, OPT and TSIG (RFC 8945 5.3). Before OPT is written. */
void tsig_cut(struct answer_state *s);

/* answer_zone.c, answer_chaos.c, answer_transfer.c */
void answer_from_zone(struct answer_state *s);
void answer_chaos(struct answer_state *s);
void answer_transfer(struct answer_state *s);
void answer_notify(struct answer_state *s);

/* answer_denial.c. All into the authority section; false: no room. Without DO, or in an unsigned
 * zone, the proofs are empty. `name` is what was looked for; encloser_labels its closest
 * encloser's. */
bool denial_soa(struct answer_state *s);
bool denial_of_name(struct answer_state *s, const uint8_t *name, unsigned encloser_labels);
/* node: that has no such type; NULL: an empty non-terminal. */
bool denial_of_type(struct answer_state *s, const uint8_t *name, const struct node *node);
/* A wildcard gave the answer: that nothing closer exists. */
bool denial_of_closer(struct answer_state *s, const uint8_t *name, unsigned encloser_labels);
/* A wildcard matches and has no such type; wildcard NULL: it is an empty non-terminal. */
bool denial_at_wildcard(struct answer_state *s, const uint8_t *name, unsigned encloser_labels,
                        const struct node *wildcard);
bool denial_of_ds(struct answer_state *s, const struct node *cut);

#endif
