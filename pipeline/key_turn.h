/* key_turn: one command's turn on a zone's keys.
 *
 * WHAT   Reads the configuration, finds the zone, locks its folder; at the end a running weir is told that its keys have changed.
 * OWNS   key_turn_close gives all back, also after a key_turn_open that failed.
 */
#ifndef WEIR_KEY_TURN_H
#define WEIR_KEY_TURN_H

#include "pipeline/command.h"
#include "pipeline/run/keyring_store.h"

struct key_turn {
    struct config *config;
    const struct zone_conf *zone;
    struct keyring_store store;          /* ring NULL: the zone has no keys yet (only when nothing is to change) */
    bool changed;
    const char *word, *signer;           /* what a running weir is told that the operator said; NULL: nothing but that there is a change */
    bool force;
};
int key_turn_open(struct key_turn *t, const char *config_path, const char *zone, bool to_change, struct why *why) MUST_CHECK;
int key_turn_save(struct key_turn *t, struct why *why) MUST_CHECK;
void key_turn_close(struct key_turn *t);
/* What a running weir knows of the parent's servers, as status_parent has it. NULL: none runs with this configuration. Caller frees. */
char *key_turn_parent(const struct key_turn *t, bool json);
/* The keys of other signers in the DNSKEY set that a running weir serves, as status_foreign has them. NULL: none runs. Caller frees. */
char *key_turn_foreign(const struct key_turn *t, bool json);
/* How far the zone's other signers are, as status_signers has it. NULL: none runs. Caller frees. */
char *key_turn_signers(const struct key_turn *t, bool json);
/* How the zone may go on to another mode, as status_modes has it. NULL: none runs. Caller frees. */
char *key_turn_modes(const struct key_turn *t, bool all, bool json);
/* Has it ask the parent's servers now, and waits until they have answered or been given up. Without the lock: what they say is a turn of its own. */
int key_turn_ask_parent(const char *config_path, const char *zone, struct why *why) MUST_CHECK;

#endif
