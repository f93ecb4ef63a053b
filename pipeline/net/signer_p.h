/* signer_p: what the files of signer share. Private to pipeline/net/signer*.c and their tests.
 *
 * WHAT     signer.c         zones, their signers, and what the rounds (question.h) come to
 *          signer_answer.c  what an answer says; pure
 *
 * WHO    The control loop.
 */
#ifndef WEIR_NET_SIGNER_P_H
#define WEIR_NET_SIGNER_P_H

#include "pipeline/net/question.h"
#include "pipeline/net/signer.h"

/* ---- signer_answer.c: octets in, words out; no state, no clock */

/* Reads an answer to the question for the records of this type at the apex; the reader is as question_answered left it. They go into
 * `into` (begun for the apex; NULL: nowhere) with the signatures over them; there may be none, unless type is SOA. serial: of an SOA, else
 * untouched; NULL allowed.
 * -E_REFUSED: a clear word that it does not serve the zone. -E_FORMAT, -E_LIMIT, -E_MISMATCH, -E_UNSUPPORTED: no answer to make sense of.
 * Then `into` may hold a part. */
int signer_answer_read(struct msg_reader *r, const uint8_t *apex, uint16_t type, struct node_builder *into, uint32_t *serial,
                       struct why *why) MUST_CHECK;

/* ---- signer.c */

enum { SIGNER_PASSES = 3 };   /* over the sets of a server whose serial moves */

struct signer_poller {
    struct asker asker;
    void (*told)(void *ctx, struct zone *zone, const struct signer_view *view);
    void *ctx;
    struct xfrin_link zones;
};
struct signer_zone {
    struct xfrin_link link;   /* first; among all */
    struct signer_poller *p;
    struct zone *zone;        /* a reference */
    struct xfrin_link signers;
};
/* How far a server has come with its questions in this round. */
struct signer_turn {
    unsigned step, pass;
    uint32_t serial;          /* at the first question of this pass */
    struct node_builder *sets;
};
struct signer_watched {
    struct xfrin_link link;   /* first; among the zone's */
    struct signer_zone *of;
    char *name;
    bool named;               /* in the configuration that is being applied */
    bool wanted;
    struct rounds rounds;
    struct signer_turn *turn; /* one a server; during a round */
    struct signer_view *view, *last; /* of this round; of the one before */
};

#endif
