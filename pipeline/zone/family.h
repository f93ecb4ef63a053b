/* family: the writer's side of a family of snapshots. For edit.c; everything else is in snapshot.h.
 *
 * WHAT   One trie pool, and the right to write to it, which one edit has at a time.
 * WHO    family_write_begin waits while another thread writes. Waiting for an edit that the same thread has open
 *        would be for ever: that is a bug and stops.
 */
#ifndef WEIR_ZONE_FAMILY_H
#define WEIR_ZONE_FAMILY_H

#include "pipeline/zone/snapshot.h"

struct trie_pool *family_write_begin(struct family *family);
void family_write_end(struct family *family); /* frees the dead first */

/* Takes over the trie's reference. One reference for the caller. */
struct snapshot *snapshot_new(struct family *family, struct trie *trie, size_t names,
                              size_t records, size_t bytes);

#endif
