/* zone_book: what a turn on a zone's keys has to do with the zone's other signers. A part of zone_keys.
 *
 *        views of their servers ─┐
 *        their files of keys    ─┼─▶ [zone_book_step] ─▶ the store's book ─▶ what the ring is told of others, and the keyset has of them
 *        the parent's view      ─┘
 *
 * WHO    zone_book_view: any thread. The others: who has the turn.
 */
#ifndef WEIR_RUN_ZONE_BOOK_H
#define WEIR_RUN_ZONE_BOOK_H

#include "pipeline/run/keyring_store.h"
#include "pipeline/run/zone_signers.h"

enum { ZONE_BOOK_FILES_S = 60 };         /* so often, at least, a keys_file is looked at */
struct zone_book;
struct zone_book *zone_book_new(void);
void zone_book_free(struct zone_book **book);              /* NULL inside allowed */
/* To be taken in by the next step; a newer one of the same signer takes its place. */
void zone_book_view(struct zone_book *b, const struct signer_view *view);
/* Steps the store's book, which is begun when the first signer is configured. facts: of the ring, of the same turn. v: what is served, or
 * NULL. */
void zone_book_step(struct zone_book *b, struct zone *z, struct keyring_store *store, const struct zone_conf *conf,
                    const struct keyring_facts *facts, const struct version *v, struct signers_plan *plan);
/* What has happened is written: tell people. */
void zone_book_tell(const struct zone *z, const struct signers_plan *plan);
/* The turn has ended well: what is shown of the book is what is in the store now. */
void zone_book_end(struct zone_book *b, const struct signers *now);
struct signers *zone_book_copy(struct zone_book *b, const uint8_t *apex);   /* as of the last turn; NULL: there is none */

#endif
