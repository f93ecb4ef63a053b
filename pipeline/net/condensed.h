/* condensed: the answer section of an incremental transfer, as far as a message has room.
 *
 * WHAT   One condensed difference from a step of a version's history to the version itself:
 *
 *          newest SOA │ old SOA, what went, in order of names │ newest SOA, what came, in order │ newest SOA
 *
 *        What went and what came is decided record by record and octet by octet: an rrset whose TTL changed goes and comes
 *        whole, so does everything at a name that is spelled in other case now; so who applies it to the old zone has the new
 *        one, to the octet. Made while it is sent: nothing is kept but a place in the history.
 * WHO    One thread at a time. Borrows the version and the cursors until it is done with.
 * COST   each condensed_put: the records that it puts and at most `work` changes of steps.
 * SPEC   RFC 1995 4, 6 (one difference, condensed).
 */
#ifndef WEIR_NET_CONDENSED_H
#define WEIR_NET_CONDENSED_H

#include "pipeline/run/chain.h"
#include "pipeline/zone/message.h"

enum condensed_phase {
    CONDENSED_NEWEST,
    CONDENSED_OLD_SOA,
    CONDENSED_WENT,
    CONDENSED_NEW_SOA,
    CONDENSED_CAME,
    CONDENSED_CLOSE,
    CONDENSED_DONE,
};
struct condensed {
    const struct history *history;
    unsigned first; /* step */
    enum condensed_phase phase;
    const struct node *was, *now; /* apexes */
    struct history_cursor *cursors;
    struct history_walk walk;
    struct record_walk records; /* of the change that is open */
    struct rdata record;        /* that did not fit */
    bool waits;                 /* it is there */
    size_t put;                 /* records so far */
};

/* first: a step of the version's history; cursors: room for one each from that step on. */
void condensed_begin(struct condensed *d, const struct version *version, unsigned first,
                      struct history_cursor *cursors);

enum condensed_stop { CONDENSED_FULL, CONDENSED_PAUSED, CONDENSED_ENDED };
/* Puts records until one does not fit, or `work` changes were looked at, or all is there. */
enum condensed_stop condensed_put(struct condensed *d, struct msg_writer *w, unsigned work);
/* What did not fit: for errors. */
const uint8_t *condensed_owner(const struct condensed *d);
uint16_t condensed_type(const struct condensed *d);

#endif
