/* keytimer: wakes a zone's keys when a wait of theirs is over (run/zone_keys.h).
 *
 * WHO    The control loop.
 */
#ifndef WEIR_NET_KEYTIMER_H
#define WEIR_NET_KEYTIMER_H

#include "pipeline/net/server.h"

/* When the keys are due may have changed. */
void keytimer_look(struct server *server, struct zone *zone);
void keytimer_drop(struct server *server, struct zone *zone);
void keytimer_drop_all(struct server *server);   /* at the end */

#endif
