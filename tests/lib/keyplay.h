/* keyplay: keys for tests, and what each of them does.
 *
 * WHAT   Keys are made, or read from a folder of BIND's files; a test gives them roles and asks for the keyset that says so.
 * WHO    One thread.
 */
#ifndef WEIR_TESTS_KEYPLAY_H
#define WEIR_TESTS_KEYPLAY_H

#include "pipeline/zone/keyset.h"

struct keyplay {
    unsigned n;
    struct keyset_key key[KEYSET_KEYS_MAX]; /* roles are the test's to set; private may be taken away */
    struct dnssec_private *made[KEYSET_KEYS_MAX]; /* the private half, wherever it is said to be */
};
/* Roles: letters of "pkzd": publish, signs keys, signs zone, DS. Returns its index. */
unsigned keyplay_make(struct keyplay *play, uint16_t flags, uint8_t algorithm, const char *roles);
/* One that is there; takes over the reference. */
unsigned keyplay_take(struct keyplay *play, struct dnssec_private *private, uint16_t flags, const char *roles);
unsigned keyplay_read(struct keyplay *play, const char *folder, const char *zone, unsigned tag, const char *roles);
void keyplay_roles(struct keyplay *play, unsigned i, const char *roles);
/* With those that have a role, and room for so many prepared sets; a reference for the caller. */
struct keyset *keyplay_set(const struct keyplay *play, unsigned prepared);
void keyplay_close(struct keyplay *play);

#endif
