/* parent_view: what the parent's servers say of a zone's DS, and of the NS of its delegation.
 *
 *          server 1 ── DS A, B; TTL 3600 ─┐          complete: all have answered
 *          server 2 ── DS A;    TTL 7200 ─┼─▶  all = {A}, any = {A, B}, TTL 7200
 *          server 3 ── DS A;    TTL 3600 ─┘          agreed: complete, and all = any
 *
 * WHAT   The answers of one round of questions (net/parent.h asks them), one row a server, and what they come to. Of a complete view
 *        `all` and `any` are facts on which a key may be retired; a server that did not answer leaves both unknown.
 *        The NS are asked for only when somebody wants them, and judged in the same way, apart: they may be unknown where the DS is not.
 *        A server that has the zone itself answers with the zone's own NS: the delegation's are seen by nobody there, so it has no voice,
 *        but somebody of the others must.
 * WHO    Made by one thread; immutable, and any thread's, once parent_view_judge has run.
 * OWNS   parent_view_ref/unref. A view owns its strings and sets.
 * UNITS  Times are seconds since 1970 by the system's clock.
 * SPEC   RFC 1034 4.2.1, RFC 7344 5, RFC 7583 3.3: a DS is there when all of the parent's servers have it, gone when none has.
 */
#ifndef WEIR_RUN_PARENT_VIEW_H
#define WEIR_RUN_PARENT_VIEW_H

#include "pipeline/base/json.h"
#include "pipeline/run/address.h"
#include "pipeline/zone/node.h"

#include <stdatomic.h>
#include <time.h>

/* A DS set, or an NS set (lower case): rdata in canonical order, none twice. Of none (n 0): the parent says that there is none. */
enum { PARENT_DS_MAX = 64, PARENT_NS_MAX = PARENT_DS_MAX };  /* of one set: more is no answer to make sense of */
struct parent_set {
    uint16_t n;
    uint32_t ttl;                        /* caches keep it no longer than this; of none: the negative answer (RFC 2308 5) */
    uint32_t len;
    uint8_t *octets;                     /* n times (u16 length, rdata), as in a node */
};
struct rrset parent_set_rrset(const struct parent_set *set);  /* of DS; borrows; count may be 0 */
struct rrset parent_set_ns(const struct parent_set *set);     /* the same, of NS */
bool parent_set_equal(const struct parent_set *a, const struct parent_set *b);  /* TTLs aside */
bool parent_set_has(const struct parent_set *set, const uint8_t *rdata, uint16_t len);
/* Puts rdata where it belongs, unless it is there. -E_LIMIT: there are PARENT_DS_MAX. */
int parent_set_add(struct parent_set *set, const uint8_t *rdata, uint16_t len, struct why *why) MUST_CHECK;
void parent_set_clear(struct parent_set *set);

enum parent_said { PARENT_UNASKED, PARENT_DS, PARENT_NO_DS, PARENT_NO_ANSWER };
enum parent_ns_said {
    PARENT_NS_UNASKED,                   /* not wanted, or it did not tell the DS */
    PARENT_NS,
    PARENT_NO_NS,                        /* there is no delegation */
    PARENT_NS_OF_CHILD,                  /* it has the zone, too: `ns` is the zone's own set, not the delegation's */
    PARENT_NS_NO_ANSWER,
};
struct parent_server {
    char *name;                          /* of the remote */
    struct address address;
    enum parent_said said;
    time_t at;                           /* when it said so, or was given up */
    struct parent_set set;
    char *error;                         /* of PARENT_NO_ANSWER: why */
    enum parent_ns_said ns_said;
    struct parent_set ns;
    char *ns_error;                      /* of PARENT_NS_NO_ANSWER: why */
};
struct parent_view {
    _Atomic uint32_t refs;
    bool complete;                       /* all have answered; only then: */
    bool agreed;                         /* … all == any */
    struct parent_set all, any;          /* … what each of them has, what one at least has. ttl: the largest that one gave */
    bool ns_asked;                       /* the NS were wanted */
    bool ns_complete;                    /* all have answered, one of them at least as the parent; only then: */
    bool ns_agreed;                      /* … ns_all == ns_any */
    struct parent_set ns_all, ns_any;    /* … of those that answered as the parent. ttl: the largest that one gave, or has of the zone itself */
    time_t at;                           /* of the last answer: each server said what it said at this time or before */
    unsigned n;
    struct parent_server *server;        /* in the order of the configuration */
};
struct parent_view *parent_view_new(unsigned n);
struct parent_view *parent_view_ref(const struct parent_view *v);
void parent_view_unref(struct parent_view *v);   /* NULL allowed */
void parent_view_judge(struct parent_view *v);   /* the rows are filled: sets all else */
/* Do both say the same, server by server? Times and TTLs aside. NULL is equal to NULL only. */
bool parent_view_same(const struct parent_view *a, const struct parent_view *b);
/* One line for a person: "all 2 servers: DS 20326 13 2 (TTL 3600), NS a.example. + b.example. (TTL 7200)", "a1: DS 20326 13 2 (TTL
 * 3600); a2: no DS (TTL 900); a3: no answer (time-out)". Caller frees. */
char *parent_view_text(const struct parent_view *v);
void parent_view_json(const struct parent_view *v, struct json *json);   /* fields into the open object */

#endif
