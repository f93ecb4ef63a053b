/* parent_p: what the files of parent share. Private to pipeline/net/parent*.c and their tests.
 *
 * WHAT     parent.c         zones, and what the rounds (question.h) come to
 *          parent_answer.c  what an answer says; pure
 *
 * WHO    The control loop.
 */
#ifndef WEIR_NET_PARENT_P_H
#define WEIR_NET_PARENT_P_H

#include "pipeline/net/parent.h"
#include "pipeline/net/question.h"

/* ---- parent_answer.c: octets in, words out; no state, no clock. The reader is as question_answered left it. Sets come zeroed, and are
 * filled on success alone: of none, with the TTL of that. -E_REFUSED, -E_FORMAT, -E_LIMIT: it is no word of the parent, and why not. */

int parent_ds_read(struct msg_reader *r, const uint8_t *zone, struct parent_set *ds, struct why *why) MUST_CHECK;
/* *child: the names are those of the zone itself, which the server has, too. */
int parent_ns_read(struct msg_reader *r, const uint8_t *zone, struct parent_set *ns, bool *child, struct why *why) MUST_CHECK;

/* ---- parent.c */

struct parent {
    struct asker asker;
    void (*told)(void *ctx, struct zone *zone, const struct parent_view *view);
    void *ctx;
    struct xfrin_link zones;
};
struct parent_zone {
    struct xfrin_link link;   /* first; among all */
    struct parent *p;
    struct zone *zone;        /* a reference */
    bool ns;                  /* the delegation's NS are wanted, too */
    struct rounds rounds;
    struct parent_view *view, *last; /* of this round; of the one before */
};

#endif
