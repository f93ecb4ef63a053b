/* signer_view: what the servers of another signer of a zone say (RFC 8901), as they say it.
 *
 *          server 1 ── DNSKEY, SOA, NS, CDS, CDNSKEY, CSYNC, with their RRSIGs ─▶ a node at the apex
 *          server 2 ── no answer: time-out                                      ─▶ why
 *
 * WHAT   One round of questions to one signer (net/signer.h asks them), one row a server. Nothing in it is proved: the book
 *        (run/signers.h) does that, since it knows what to trust.
 * WHO    Made by one thread; immutable, and any thread's, after that.
 * OWNS   signer_view_ref/unref. A view owns its strings and nodes.
 * UNITS  Times are seconds since 1970 by the system's clock.
 * SPEC   RFC 8901 6, RFC 7344 4.1; draft-ietf-dnsop-dnssec-automation.
 */
#ifndef WEIR_RUN_SIGNER_VIEW_H
#define WEIR_RUN_SIGNER_VIEW_H

#include "pipeline/base/json.h"
#include "pipeline/run/address.h"
#include "pipeline/zone/node.h"

#include <stdatomic.h>
#include <time.h>

enum signer_said {
    SIGNER_UNASKED,
    SIGNER_ANSWERED,                     /* as an authority (AA), all questions */
    SIGNER_NOT_SERVED,                   /* a clear word that it does not serve the zone: REFUSED, NOTAUTH, SERVFAIL, no AA, a referral, NXDOMAIN */
    SIGNER_NO_ANSWER,
};
struct signer_server {
    char *name;                          /* of the remote */
    struct address address;
    enum signer_said said;
    time_t at;                           /* when it said so, or was given up */
    struct node *apex;                   /* of SIGNER_ANSWERED: DNSKEY, SOA, NS, CDS, CDNSKEY, CSYNC and RRSIGs over these, no other set */
    bool moved;                          /* its serial moved each time that it was asked: sets may be of different versions */
    char *error;                         /* of the last two: why */
};
struct signer_view {
    _Atomic uint32_t refs;
    char *signer;                        /* its name in the configuration */
    time_t at;                           /* of the last answer */
    unsigned n;
    struct signer_server *server;        /* in the order of the configuration */
};
struct signer_view *signer_view_new(const char *signer, unsigned n);
struct signer_view *signer_view_ref(const struct signer_view *v);
void signer_view_unref(struct signer_view *v);   /* NULL allowed */
void signer_view_json(const struct signer_view *v, struct json *json);   /* fields into the open object */

#endif
