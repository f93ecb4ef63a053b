/* parent: asking the parent's servers for a zone's DS, and for the NS of its delegation.
 *
 *                      wanted ─▶ round ─all servers have answered or been given up─▶ view ─▶ told ─▶ wait check_s ─┐
 *                                  ▲                                                 (one was given up: backed off) │
 *                                  └────────────────────────────────────────────────────────────────────────────────┘
 *
 * WHAT   A round asks each of a zone's parent servers, all at once and each for itself: UDP, then TCP. What they say becomes one
 *        parent_view. Rounds go on while the zone's keys wait for a DS to come or to go; when they do not, one is made when the
 *        operator asks for it. Nothing is asked of a zone that is content. The NS are asked for where they are wanted.
 *        Ten thousand zones may have one parent: for what that means see question.h.
 *        Only what a server says as an authority counts (AA). A resolver does not: it would say what was, and not for how long
 *        others may still believe it. The NS of a delegation come in a referral, which has no AA, from who told the DS as an authority.
 * WHO    The control loop.
 * FAILS  Nothing is returned: who did not answer, and why, is in the view; the log has the first of a row of failures.
 * SPEC   RFC 1034 4.2.1, RFC 4034 5, RFC 4035 3.1.4.1, RFC 2308, RFC 7583 3.3, RFC 8945.
 */
#ifndef WEIR_NET_PARENT_H
#define WEIR_NET_PARENT_H

#include "pipeline/net/server.h"
#include "pipeline/run/parent_view.h"

enum { PARENT_QUESTIONS = 64, PARENT_AT_ONCE = 8 };  /* at one time: sockets in all; of one address */

struct parent;
/* told: a round has ended. The view is borrowed; nothing of this header may be called from within. */
struct parent *parent_new(struct server *server, void (*told)(void *ctx, struct zone *zone, const struct parent_view *view),
                          void *ctx);
void parent_free(struct parent **p);             /* cuts what is going on; before xfrin_free */

struct parent_conf {
    size_t n;                                    /* 0: the zone has none configured */
    const struct remote_conf *const *server;     /* copied */
    int64_t check_s;                             /* between two rounds */
    bool ns;                                     /* for the delegation's NS, too */
};
/* Whom to ask, for what, and whether. May be called again whenever one of these may have changed: costs nothing when none has. Other
 * servers than before, or more wanted than was: a round begins now. */
void parent_watch(struct parent *p, struct zone *zone, const struct parent_conf *conf, bool wanted);
void parent_ask(struct parent *p, struct zone *zone);         /* now, wanted or not, of those that parent_watch named */
void parent_drop(struct parent *p, struct zone *zone);
/* What the last round came to; borrowed until the loop turns. NULL: there was none. */
const struct parent_view *parent_view_of(struct parent *p, const struct zone *zone);
bool parent_asking(struct parent *p, const struct zone *zone);   /* is a round going on? */

#endif
