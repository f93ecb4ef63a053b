/* status: what `weir status` shows, as text for people and JSON for programs.
 *
 * WHO    The control loop.
 * OWNS   The texts are the caller's to free.
 */
#ifndef WEIR_NET_STATUS_H
#define WEIR_NET_STATUS_H

#include "pipeline/net/server.h"

/* All zones, a line each, under a line about the server. */
char *status_all(struct server *server, bool json);
/* One zone in full; findings of the last refused, held and accepted version when asked for. */
char *status_zone(struct server *server, struct zone *zone, bool findings, bool json);
/* What the parent's servers say of its DS: a line that begins with "parent: ", or "asking: " while they are being asked; JSON: an object. */
char *status_parent(struct server *server, struct zone *zone, bool json);
/* The keys of other signers in the DNSKEY set that is served, and whose they are: lines, or a JSON array. */
char *status_foreign(struct zone *zone, bool json);
/* How far each of the zone's other signers has joined or left, and what its servers said last: lines, or a JSON object. */
char *status_signers(struct server *server, struct zone *zone, bool json);
/* How the zone may go on to another mode (run/zone_guard.h): lines, perhaps none, or a JSON object. */
char *status_modes(struct zone *zone, bool all, bool json);

#endif
