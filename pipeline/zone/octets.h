/* octets: nodes and changesets as octets, for the journal.
 *
 * WHAT   A node:       owner as received | u16 rrsets | each: u16 type, u16 covered, u32 TTL, u8 1 = TTLs were mixed,
 *                      u16 records | each record: u16 length, rdata
 *        A changeset:  u8 1 = has a from, 2 = has a to | u32 from | u32 to | u32 changes | each: u8 1 = was, 2 = now |
 *                      the nodes
 *        All numbers in network order. What is loaded has been checked as a transfer is: names, types, rdata, order;
 *        so octets from anywhere give a node that a zone may have, or none.
 * FAILS  -E_FORMAT with a why that names owner, type and rule.
 * COST   O(octets); one allocation a node.
 */
#ifndef WEIR_ZONE_OCTETS_H
#define WEIR_ZONE_OCTETS_H

#include "pipeline/base/growbuf.h"
#include "pipeline/zone/changeset.h"

size_t node_octets(const struct node *node);             /* so many node_save adds */
void node_save(const struct node *node, struct growbuf *out);
/* The next node of r, at or below the apex. One reference for the caller. */
int node_load(struct rbuf *r, const uint8_t *apex, struct node **out, struct why *why) MUST_CHECK;

size_t changeset_octets(const struct changeset *c);
void changeset_save(const struct changeset *c, struct growbuf *out);
int changeset_load(struct rbuf *r, const uint8_t *apex, struct changeset **out, struct why *why) MUST_CHECK;

#endif
