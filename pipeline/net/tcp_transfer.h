/* tcp_transfer: the transfers out of one connection; private to tcp*.c.
 *
 * WHAT   A few at once; their messages go out in turn. Each holds a reference on its version and
 *        its zone, and one admission of tcp_limits. A zone's and the thread's counters are kept
 *        here, and what became of a transfer is logged.
 * WHO    The query thread.
 */
#ifndef WEIR_NET_TCP_TRANSFER_H
#define WEIR_NET_TCP_TRANSFER_H

#include "pipeline/net/xfrout.h"
#include "pipeline/run/zone_table.h"
#include "pipeline/zone/tsig.h"

enum { TCP_TRANSFERS = 8 }; /* on one connection */

struct answer_result;
struct tcp_conn;
struct tcp_transfer {
    struct xfrout *x;
    struct tsig_chain *tsig; /* signs each message; NULL: the client did not */
    struct zone *zone;
    enum fetch_kind kind;
    uint32_t from, serial;
    size_t records; /* that it will have in all; 0: a difference, of which that is not known */
    double began_at;
    bool complete; /* all messages are made; finished when the kernel has them */
};
struct tcp_transfers {
    unsigned n, turn;
    struct tcp_transfer list[TCP_TRANSFERS];
};

/* RCODE_NOERROR: it is under way. REFUSED: a limit; SERVFAIL: the version is gone. */
unsigned tcp_transfer_begin(struct tcp_conn *conn, const struct answer_result *result) MUST_CHECK;
/* The next message (its length before it) of the transfer whose turn it is. 0: none has one now. <
 * 0: one cannot go on. */
int tcp_transfer_next(struct tcp_conn *conn, uint8_t *buf, struct why *why) MUST_CHECK;
bool tcp_transfer_more(const struct tcp_conn *conn); /* is there one that is not complete? */
void tcp_transfer_settle(
    struct tcp_conn *conn); /* all output is with the kernel: end those complete */
double tcp_transfer_oldest(const struct tcp_conn *conn); /* when it began; INFINITY without any */
void tcp_transfer_cut(struct tcp_conn *conn, const char *reason); /* all of them */

#endif
