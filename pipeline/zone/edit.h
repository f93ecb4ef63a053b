/* edit: the one mutable thing.
 *
 * WHAT   Opened on a snapshot (or on nothing), changed, then sealed into a snapshot and the changeset that
 *        leads to it from `since`; they are made from the same trie, so they cannot disagree. Aborting is free.
 *        Records may come in any order. Those of one owner that follow each other are built into one node;
 *        those that come back later are kept aside and merged once, at the seal, so no order of records
 *        makes a load quadratic.
 * WHO    One thread at a time; the edit is its family's writer until it is sealed or aborted.
 * OWNS   Takes references as it needs; `since` and `twin` are held.
 * FAILS  -E_LIMIT from the bounds in struct edit_limits or of a node, with a why that names the owner. It stays: the
 *        edit left a record out, so every later add, del and the seal fail, too. Bounds are checked as records
 *        come; of one owner's records duplicates count until its node is built.
 * COST   put/remove/add: O(name) trie path, copied where shared. seal: O(what is not shared with `since`).
 *        get, view, put, remove and del first build what waits: the current owner, and every owner with late records (its node
 *        anew). del opens its owner's node and keeps it open while del and add stay with that owner; going back and
 *        forth between owners builds a node a turn. A load should use add alone.
 */
#ifndef WEIR_ZONE_EDIT_H
#define WEIR_ZONE_EDIT_H

#include "pipeline/zone/changeset.h"

struct edit;

struct edit_limits {                  /* 0 = no bound */
    size_t max_records, max_bytes;
};

/* base NULL: starts empty. since: what the changeset leads from, NULL for "from nothing". For a full transfer:
 * base NULL, since = the version held. A node equal to the one at the same name in `since` is replaced by that
 * one while the records come in, so a transfer that changes little holds little. */
/* base must be of this family, since may be of any. Waits for another thread's edit on the family; a second edit of the
 * same thread is a bug. */
struct edit *edit_open(struct family *family, const struct snapshot *base, const struct snapshot *since);
void edit_limit(struct edit *e, const struct edit_limits *limits);

const struct node *edit_get(struct edit *e, const uint8_t *name);        /* as of now; borrowed until the next change; NULL */
/* All of it as of now, for the functions that look around in a snapshot: borrowed until the next change, and not to be referenced. */
const struct snapshot *edit_view(struct edit *e);
void edit_put(struct edit *e, struct node *node);                        /* whole name; takes over one reference */
bool edit_remove(struct edit *e, const uint8_t *name);                   /* whole name; false: was not there */
/* One record. Owner must be at or below the apex and rdata valid: checked by the caller (transfer, text). */
int edit_add(struct edit *e, const uint8_t *owner, uint16_t type, uint32_t ttl, const uint8_t *rdata, uint16_t len,
             struct why *why) MUST_CHECK;
/* Takes one record out (canonical comparison). -E_NOENT: it is not there. */
int edit_del(struct edit *e, const uint8_t *owner, uint16_t type, const uint8_t *rdata, uint16_t len, struct why *why) MUST_CHECK;

/* Both outputs get one reference for the caller; changes may be NULL if not wanted. The edit is gone afterwards, also
 * when it fails; then no output is set. */
int edit_seal(struct edit **e, struct snapshot **snapshot, struct changeset **changes, struct why *why) MUST_CHECK;
void edit_abort(struct edit **e);                                        /* NULL inside allowed */

size_t edit_records(const struct edit *e);                               /* added so far, duplicates counted */

#endif
