/* question: asking servers, in rounds, what they say of a zone. Private to pipeline/net/{question,parent,signer}*.c and their tests.
 *
 *          rounds ── asked: server 1 ─ waits ─▶ its turn at the address ─▶ question, question, … ─▶ settled ─┐
 *                 └─ asked: server 2 ─ waits ─▶ …                                                            ├─▶ ended ─▶ wait ─▶ again
 *
 * WHAT     question.c         one question to one server: UDP, then TCP
 *          question_answer.c  is this the answer to it? pure
 *          question_peer.c    who waits for an address, and how many are asked at once
 *          question_rounds.c  the servers of a group, asked all at once and each for itself, again and again
 *
 *        A server has its turn for all its questions of a round, one after the other, so that its answers are of one moment.
 *        What an answer says is its owner's business: parent.c (the DS, and the delegation's NS), signer.c (another signer's keys).
 *        Ten thousand zones may have one server: an address has no more than `at_once` servers of rounds asked at one time, all
 *        addresses together `all_at_once`; when one is found to be silent, whoever waits for it is told so at once.
 * WHO    The control loop.
 * SPEC   RFC 1035 4.2, RFC 6891 7, RFC 7766 5, RFC 8945.
 */
#ifndef WEIR_NET_QUESTION_H
#define WEIR_NET_QUESTION_H

#include "pipeline/net/xfrin_p.h"

struct question {
    const uint8_t *name;      /* borrowed until it is answered or given up */
    uint16_t type;
    bool dnssec;              /* DO: signatures are wanted, so a server without EDNS is no use */
};

/* ---- question_answer.c: octets in, words out; no state, no clock */

/* Is this an answer to the question that went out with this ID? Leaves the reader behind the question. An answer without a question
 * counts only where its RCODE says that the server could not read ours, or did not believe our TSIG (NSD leaves the question out then). */
bool question_answered(struct msg_reader *r, const uint8_t *msg, size_t len, const struct question *q, uint16_t id);
enum question_word {
    QUESTION_WORD,            /* for the owner to read */
    QUESTION_CUT,             /* TC */
    QUESTION_PLAIN,           /* the server does not know EDNS */
};
enum question_word question_word(const struct msg_reader *r, bool edns);   /* after question_answered. edns: the question had it */

/* ---- who asks */

struct asker_tuning {         /* not for operators; tests shrink them */
    unsigned tries;           /* over UDP */
    unsigned timeout_ms;      /* of the first try; doubles */
    unsigned tcp_ms;          /* a whole question over TCP */
    unsigned all_at_once, at_once;   /* servers that have their turn: in all (a socket each), and of one address */
    unsigned retry_ms;        /* the first wait after a round in which somebody did not answer; doubles, up to the interval */
};
struct asker {
    struct server *server;
    struct ev_loop *ev;
    struct asker_tuning tuning;
    struct xfrin_link peers;
    unsigned asking;          /* servers, now */
    bool scheduling;          /* peers_run is on the stack, or is not wanted */
    struct msg_reader reader; /* big, and used within one call only */
    struct msg_writer writer;
};
void asker_init(struct asker *a, struct server *server, unsigned all_at_once, unsigned at_once);

enum { HURRIED, PATIENT, PATIENCES };
/* An address that is asked, from one source, shared by all zones. */
struct asker_peer {
    struct xfrin_link link;   /* among all; moved to the end when it was served: they take turns */
    struct address address, source;
    size_t refs;              /* servers of rounds */
    unsigned asking;
    unsigned turns;           /* that were given while somebody was in a hurry */
    bool silent;              /* the last question ended without a sign of life */
    bool no_edns;             /* answered FORMERR or NOTIMP to EDNS */
    struct xfrin_link waiting[PATIENCES];
};

/* ---- rounds */

struct rounds;
struct query;
/* One of the servers of a group. */
struct asked {
    struct xfrin_link queue;  /* first; while it waits for its peer */
    struct rounds *of;
    char *name;               /* of the remote */
    struct tsig_key *key;     /* a reference, or NULL */
    struct asker_peer *peer;
    struct question question; /* that it is asked now */
    struct query *query;      /* while it is */
    bool open;                /* waits or is asked, in this round */
    unsigned failures;        /* rounds in a row */
};
/* What the owner does. Server i is that of the configuration. Nothing of rounds_* may be called from within, but for `ended`. */
struct rounds_ops {
    void (*begun)(struct rounds *r);                                   /* a place for what will come */
    /* The next question to it; false: it was asked all. There is a first one always. */
    bool (*next)(struct rounds *r, unsigned i, struct question *out);
    /* The answer: ours, proved, whole; RCODE NOERROR or NXDOMAIN unless TC is not set. The reader stands behind the question.
     * < 0 with a why: it is no use, and nothing more is asked. */
    int (*take)(struct rounds *r, unsigned i, struct msg_reader *answer, struct why *why);
    void (*settled)(struct rounds *r, unsigned i, const struct why *why);   /* NULL: it was asked all; else why not. failures is set */
    void (*ended)(struct rounds *r);                                   /* all are settled; may call rounds_ask */
    void (*cut)(struct rounds *r);                                     /* instead of `ended`: forget what came */
};
struct rounds {
    struct asker *asker;
    struct zone *zone;        /* the owner's reference */
    const struct rounds_ops *ops;
    void *owner;
    double interval_s;        /* between two rounds */
    bool on;                  /* after that a round is due; else only when it is asked for */
    bool hurry;               /* its servers go before those of rounds that are in none */
    bool running, again;      /* a round is going on; one more is wanted after it */
    unsigned n, open;         /* servers; those that are not settled yet in this round */
    struct asked *server;
    unsigned failures;        /* rounds in a row in which a server failed */
    ev_timer due;
};
void rounds_init(struct rounds *r, struct asker *a, struct zone *zone, const struct rounds_ops *ops, void *owner);
/* Whom to ask. False: the same as before. Otherwise what was going on is cut. */
bool rounds_set(struct rounds *r, size_t n, const struct remote_conf *const *server);
/* When to ask. A round that is going on goes on. */
void rounds_pace(struct rounds *r, bool on, bool hurry, double interval_s);
void rounds_ask(struct rounds *r);             /* now; while a round is going on: another one after it, for its answers may be old */
void rounds_clear(struct rounds *r);           /* cuts, and forgets its servers */

/* ---- between the files of question */

/* question_rounds.c */
void asked_turn(struct asked *s);              /* its turn has come */
int asked_take(struct asked *s, struct msg_reader *answer, struct why *why) MUST_CHECK;   /* rounds_ops.take */
/* The question has ended. why NULL: its answer was taken; silent: there was no sign of life. */
void asked_end(struct asked *s, bool silent, const struct why *why);

/* question_peer.c */
struct asker_peer *asker_peer_ref(struct asker *a, const struct remote_conf *remote);
void asker_peer_unref(struct asker_peer **peer);
void asked_wait(struct asked *s);              /* and is asked when its turn has come; may end before this returns */
void asked_leave(struct asked *s, bool silent);    /* it was asked, and that has ended */
void asker_run(struct asker *a);               /* whose turn has come */

/* question.c */
void query_start(struct asked *s);             /* s->question */
void query_stop(struct asked *s);              /* without a word; NULL query allowed */

#endif
