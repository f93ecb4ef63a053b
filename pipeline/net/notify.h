/* notify: telling secondaries that there is something new.
 *
 * WHAT   After a version is accepted, one NOTIFY (with the new SOA) to each of the zone's `notify` remotes; retried with
 *        doubling time-outs until answered or given up; a newer version replaces what is outstanding, or follows when that is
 *        answered. What each of them was told, answered and fetched last is for `weir status`.
 * WHO    The control loop.
 * SPEC   RFC 1996 3.6 (60 s, 5 tries), 3.7, 4.2 (after the version is published), 4.7.
 */
#ifndef WEIR_NET_NOTIFY_H
#define WEIR_NET_NOTIFY_H

#include "pipeline/net/server.h"

struct json;

struct notify *notify_new(struct server *server);
void notify_free(struct notify **n);
void notify_zone(struct notify *n, struct zone *zone);       /* its current version */
/* Its configuration was replaced: another list of secondaries is told at once, and who is no longer on it no more. */
void notify_change(struct notify *n, struct zone *zone);
void notify_drop(struct notify *n, struct zone *zone);       /* forget what is outstanding */
/* What is known of each of the zone's secondaries. Strings are borrowed until the loop turns. At most `most` rows; how many. */
struct notify_row {
    const char *name, *state, *error;
    const struct address *address;
    uint32_t serial, answered_serial;
    time_t sent_at, answered_at;        /* 0: never */
};
size_t notify_list(struct notify *n, struct zone *zone, struct notify_row *row, size_t most);
void notify_json(struct notify *n, struct zone *zone, struct json *json); /* per secondary: array into the open object */

#endif
