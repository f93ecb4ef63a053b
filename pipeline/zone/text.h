/* text: zones as master files, through ldns. The cold path.
 *
 * WHAT   Reads a master file into an edit; prints nodes and snapshots as text. $ORIGIN, $TTL, $INCLUDE (below
 *        the file's folder only), the generic form \# and unknown types; the other forms as far as ldns
 *        knows them. Owner and rdata case are kept. What is printed reads back to the same octets.
 * FAILS  -E_FORMAT with file, line and reason; -E_IO with errno; -E_LIMIT. Bounds as in edit_limits.
 * COST   about 1.3 µs a record in, 2.5 µs out.
 * SPEC   RFC 1035 5; RFC 2308 4; RFC 3597 5; RFC 4034 3.2 (times).
 */
#ifndef WEIR_ZONE_TEXT_H
#define WEIR_ZONE_TEXT_H

#include "pipeline/zone/edit.h"
#include <stdio.h>
#include <time.h>

/* Reads all records of `path` into e. Origin is the zone's apex. */
int text_read(const char *path, struct edit *e, const uint8_t *apex, struct why *why) MUST_CHECK;
/* The same of a file that has records of these types at the apex, and no others. */
int text_read_apex(const char *path, struct edit *e, const uint8_t *apex, const uint16_t *types, unsigned ntypes,
                   struct why *why) MUST_CHECK;
/* One record as a master-file line without newline, into a growing static-free buffer: the caller frees it. */
char *text_print_rr(const uint8_t *owner, uint16_t type, uint32_t ttl, const uint8_t *rdata,
                    uint16_t len);
void text_print_node(FILE *out, const struct node *node);
void text_print_snapshot(FILE *out, const struct snapshot *s); /* SOA first, then canonical order */
/* The time of a YYYYMMDDHHMMSS or seconds string; -E_FORMAT. */
int text_time(const char *s, time_t *out);

#endif
