/* signer: asking the servers of a zone's other signers (RFC 8901) what they have at the apex.
 *
 *          signer 1 ── round: each server SOA, DNSKEY, CDS, CDNSKEY, NS, CSYNC, SOA ─▶ signer_view ─▶ told ─▶ wait ─┐
 *                        ▲                                                                                          │
 *                        └──────────────────────────────────────────────────────────────────────────────────────────┘
 *          signer 2 ── …
 *
 * WHAT   A round asks each server of one signer, all at once and each for itself; a server is asked one thing after the other, UDP, then
 *        TCP, with DO. Its answers become one node at the apex. The SOA is asked for first and last: when its serial moved in
 *        between, all is asked again, so that the sets are of one version, but not for ever (signer_view.h: `moved`).
 *        Rounds go on as long as a signer is watched: every check_s, or SIGNER_WANTED_S while somebody waits for what it says. When one
 *        of its servers does not answer, sooner: after a minute, doubled up to the interval.
 *        Nothing is proved here; but only what a server says as an authority counts (AA), and its TSIG, where the remote has a key.
 *        All sizes are bounded: SIGNER_SET_RECORDS of a set, as many signatures over it, SIGNER_SET_OCTETS of both.
 *        Ten thousand zones may have one signer: for what that means see question.h.
 * WHO    The control loop.
 * FAILS  Nothing is returned: who did not answer, and why, is in the view; the log has the first of a row of failures.
 * SPEC   RFC 8901 6, RFC 4035 3.1, RFC 7344 4, RFC 7477 2, RFC 8945.
 */
#ifndef WEIR_NET_SIGNER_H
#define WEIR_NET_SIGNER_H

#include "pipeline/net/server.h"
#include "pipeline/run/signer_view.h"

enum { SIGNER_QUESTIONS = 64, SIGNER_AT_ONCE = 8 };   /* at one time: sockets in all; of one address */
enum { SIGNER_WANTED_S = 27 };                        /* with the tenth that is left to chance no more than 30 */
enum { SIGNER_SET_RECORDS = 64, SIGNER_SET_OCTETS = 16384 };

struct signer_poller;
/* told: a round has ended. The view is borrowed; nothing of this header may be called from within. */
struct signer_poller *signer_poller_new(struct server *server,
                                        void (*told)(void *ctx, struct zone *zone, const struct signer_view *view), void *ctx);
void signer_poller_free(struct signer_poller **p);    /* cuts what is going on; before xfrin_free */

/* A signer that is to be asked: one without servers is left out. Copied. */
struct signer_polled {
    const char *name;
    size_t n;
    const struct remote_conf *const *server;
    int64_t check_s;                                  /* between two rounds … */
    bool wanted;                                      /* … unless somebody waits for it */
};
/* Whom to ask. May be called again whenever that may have changed: costs nothing when it has not. A new signer, other servers than
 * before, or wanted where it was not: a round begins now. A signer that is left out is forgotten. */
void signer_watch(struct signer_poller *p, struct zone *zone, const struct signer_polled *signer, size_t n);
void signer_ask(struct signer_poller *p, struct zone *zone);          /* all that are watched, now */
void signer_drop(struct signer_poller *p, struct zone *zone);
/* What the last round came to; borrowed until the loop turns. NULL: there was none. */
const struct signer_view *signer_view_of(struct signer_poller *p, const struct zone *zone, const char *signer);
bool signer_asking(struct signer_poller *p, const struct zone *zone); /* is a round going on, of any of them? */

#endif
