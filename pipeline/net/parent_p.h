/* parent_p: what the files of parent share. Private to pipeline/net/parent*.c and their tests.
 *
 * WHAT     parent.c         zones, rounds, and what they come to
 *          parent_peer.c    who waits for an address, and how many are asked at once
 *          parent_query.c   one question to one server: UDP, then TCP
 *          parent_answer.c  what an answer says; pure
 *
 * WHO    The control loop.
 */
#ifndef WEIR_NET_PARENT_P_H
#define WEIR_NET_PARENT_P_H

#include "pipeline/net/parent.h"
#include "pipeline/net/xfrin_p.h"

/* ---- parent_answer.c: octets in, words out; no state, no clock */

/* Is this an answer to the question for zone's DS that went out with this ID? Leaves the reader behind the question. An answer without
 * a question counts only where its RCODE says that the server could not read ours. */
bool parent_answer_is_ours(struct msg_reader *r, const uint8_t *msg, size_t len, const uint8_t *zone, uint16_t id);
enum parent_word {
    PARENT_WORD_SET,          /* a DS set, or that there is none */
    PARENT_WORD_CUT,          /* TC */
    PARENT_WORD_PLAIN,        /* the server does not know EDNS */
    PARENT_WORD_BAD,          /* anything else: why says what */
};
/* What it says, after parent_answer_is_ours. edns: the question had it. set: zeroed; filled for PARENT_WORD_SET alone. */
enum parent_word parent_answer_read(struct msg_reader *r, const uint8_t *zone, bool edns, struct parent_set *set, struct why *why);

/* ---- the rest */

struct parent_tuning {        /* not for operators; tests shrink them */
    unsigned tries;           /* over UDP */
    unsigned timeout_ms;      /* of the first try; doubles */
    unsigned tcp_ms;          /* a whole question over TCP */
    unsigned questions_max, at_once;
    unsigned retry_ms;        /* the first wait after a round in which somebody did not answer; doubles, up to check_s */
};
struct parent {
    struct server *server;
    struct ev_loop *ev;
    struct parent_tuning tuning;
    void (*told)(void *ctx, struct zone *zone, const struct parent_view *view);
    void *ctx;
    struct xfrin_link zones, peers;
    unsigned questions;       /* going on */
    bool scheduling;          /* peers_run is on the stack */
    struct msg_reader reader; /* big, and used within one call only */
    struct msg_writer writer;
};
/* An address that is asked, from one source, shared by all zones. */
struct parent_peer {
    struct xfrin_link link;   /* among all; moved to the end when it was served: they take turns */
    struct address address, source;
    size_t refs;              /* servers of zones */
    unsigned questions;       /* going on */
    bool silent;              /* the last question ended without a sign of life */
    bool no_edns;             /* answered FORMERR or NOTIMP to EDNS */
    struct xfrin_link waiting;
};
struct parent_query;
struct parent_zone;
/* One of a zone's parent servers. */
struct parent_question {
    struct xfrin_link queue;  /* while it waits for its peer */
    struct parent_zone *pz;
    char *name;
    struct tsig_key *key;     /* a reference, or NULL */
    struct parent_peer *peer;
    struct parent_query *query; /* while it is asked */
    bool open;                /* waits or is asked, in this round */
    unsigned failures;        /* rounds in a row */
};
struct parent_zone {
    struct xfrin_link link;   /* first; among all */
    struct parent *p;
    struct zone *zone;        /* a reference */
    int64_t check_s;
    bool wanted;
    bool again;               /* one more round is wanted after this one */
    unsigned n, open;         /* questions; those of this round that have not ended */
    struct parent_question *question;
    struct parent_view *view, *last; /* of this round; of the one before */
    unsigned failures;        /* rounds in a row */
    ev_timer due;
};

/* parent.c: the question has ended. set is taken (NULL: why says why there is none); silent: there was no sign of life. */
void question_end(struct parent_question *q, struct parent_set *set, bool silent, const struct why *why);

/* parent_peer.c */
struct parent_peer *parent_peer_ref(struct parent *p, const struct remote_conf *remote);
void parent_peer_unref(struct parent_peer **peer);
void peer_wait(struct parent_question *q);     /* and is asked when its turn has come; may end before this returns */
void peer_leave(struct parent_question *q, bool silent);   /* it was asked, and that has ended */
void peers_run(struct parent *p);

/* parent_query.c */
void query_start(struct parent_question *q);
void query_stop(struct parent_question *q);    /* without a word; NULL query allowed */

#endif
