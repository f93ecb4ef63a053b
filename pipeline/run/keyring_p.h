/* keyring_p: what the parts of the keyring share. Private to pipeline/run/keyring*.c.
 */
#ifndef WEIR_RUN_KEYRING_P_H
#define WEIR_RUN_KEYRING_P_H

#include "pipeline/run/keyring.h"

static inline bool gone(const struct keyring_key *k)
{
    return k->state == KEY_REMOVED;
}

/* Shown, or about to be. */
static inline bool is_in(const struct keyring_cell *c)
{
    return c->state == CELL_COMING || c->state == CELL_PRESENT;
}

static inline bool present(const struct keyring_cell *c)
{
    return c->state == CELL_PRESENT;
}

static inline bool absent(const struct keyring_cell *c)
{
    return c->state == CELL_ABSENT;
}

#define EACH_KEY(ring, k)                                                                          \
    for (struct keyring_key *k = (ring)->key; k < (ring)->key + (ring)->n; k++)                    \
        if (!gone(k))

static inline void cell_set(struct keyring_cell *c, enum keyring_cell_state state)
{
    *c = (struct keyring_cell){state, -1};
}

/* A key with one of these tasks is on its way out. */
bool keyring_busy(const struct keyring *ring, enum keyring_role role);
/* It does all that it is there for, everywhere. */
bool keyring_settled(const struct keyring_key *k);
/* The newest of that role and algorithm (0: any); NULL: there is none. */
struct keyring_key *keyring_wanted(struct keyring *ring, enum keyring_role role, uint8_t algorithm);
void keyring_advance(struct keyring *ring, const struct keyring_time *t);

#endif
