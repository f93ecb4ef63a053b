/* Keys come, and the operator speaks. Both only say what is wanted: what becomes of it, and when, is keyring.c's. */
#include "pipeline/run/keyring_p.h"

#include "pipeline/base/alloc.h"

#include <string.h>

int64_t keyring_passed(int64_t *tick, uint64_t *boot, const struct keyring_time *t)
{
    bool known = *tick >= 0 && *boot == t->boot && t->tick > *tick;
    int64_t passed = known ? t->tick - *tick : 0;
    *tick = t->tick;
    *boot = t->boot;
    return passed;
}

void keyring_advance(struct keyring *ring, const struct keyring_time *t)
{
    ring->clock += keyring_passed(&ring->tick, &ring->boot, t);
}

bool keyring_busy(const struct keyring *ring, enum keyring_role role)
{
    for (const struct keyring_key *k = ring->key; k < ring->key + ring->n; k++)
        if (!gone(k) && !k->wanted && k->role & role)
            return true;
    return false;
}

struct keyring_key *keyring_wanted(struct keyring *ring, enum keyring_role role, uint8_t algorithm)
{
    struct keyring_key *found = NULL;
    EACH_KEY(ring, k)
    if (k->wanted && k->role == role && (!algorithm || k->algorithm == algorithm))
        found = k;
    return found;
}

bool keyring_settled(const struct keyring_key *k)
{
    return present(&k->dnskey) && (!(k->role & KEYRING_KSK) || present(&k->ds)) &&
           (!(k->role & KEYRING_ZSK) || present(&k->zone) || k->covers);
}

/* ---- keys come, and the operator's word
 * ------------------------------------------------------------------- */

struct keyring *keyring_new(const uint8_t *apex)
{
    struct keyring *ring = mem_zalloc(sizeof *ring);
    memcpy(ring->apex, apex, name_len(apex));
    ring->tick = -1;
    return ring;
}

static void key_clear(struct keyring_key *k)
{
    mem_free(&k->rdata);
    dnssec_private_unref(k->private);
    k->private = NULL;
}

void keyring_free(struct keyring **ring)
{
    if (!*ring)
        return;
    for (unsigned i = 0; i < (*ring)->n; i++)
        key_clear(&(*ring)->key[i]);
    mem_free(ring);
}

bool keyring_has_tag(const struct keyring *ring, uint8_t algorithm, uint16_t tag)
{
    for (unsigned i = 0; i < ring->n; i++)
        if (ring->key[i].algorithm == algorithm && ring->key[i].tag == tag)
            return true;
    return false;
}

/* The oldest of those that are removed is forgotten when they are many. */
static void forget_some(struct keyring *ring)
{
    unsigned removed = 0, oldest = ring->n;
    for (unsigned i = ring->n; i-- > 0;)
        if (gone(&ring->key[i])) {
            removed++;
            oldest = i;
        }
    if (removed <= KEYRING_REMOVED_KEPT)
        return;
    key_clear(&ring->key[oldest]);
    memmove(&ring->key[oldest], &ring->key[oldest + 1],
            (ring->n - oldest - 1) * sizeof ring->key[0]);
    ring->n--;
}

int keyring_add(struct keyring *ring, enum keyring_role role, const uint8_t *rdata, uint16_t len,
                struct dnssec_private *private, bool in_use, time_t now, struct keyring_key **out,
                struct why *why)
{
    uint16_t tag = dnssec_key_tag(rdata, len);
    if (keyring_has_tag(ring, rdata[3], tag))
        return why_set(why, -E_EXISTS, "a key of algorithm %u with tag %u is there already",
                       rdata[3], tag);
    if (keyring_busy(ring, role))
        return why_set(why, -E_AGAIN,
                       "a rollover of the %s is going on: a key is still on its way out",
                       keyring_role_text(role));
    forget_some(ring);
    if (ring->n == KEYRING_KEYS_MAX)
        return why_set(why, -E_LIMIT, "the zone has %d keys, which is as many as there may be",
                       KEYRING_KEYS_MAX);
    EACH_KEY(ring, k) if (k->wanted && k->role == role && k->algorithm == rdata[3])
    {
        k->wanted = false;
        k->roll = false;
    }
    struct keyring_key *k = &ring->key[ring->n++];
    *k = (struct keyring_key){.rdata = mem_dup(rdata, len),
                              .len = len,
                              .tag = tag,
                              .algorithm = rdata[3],
                              .role = role,
                              .wanted = true,
                              .created = now,
                              .active_at = -1,
                              .private = private ? dnssec_private_ref(private) : NULL};
    cell_set(&k->dnskey, in_use ? CELL_PRESENT : CELL_ABSENT);
    cell_set(&k->zone, in_use && role & KEYRING_ZSK ? CELL_COMING : CELL_ABSENT);
    cell_set(&k->ds, in_use && role & KEYRING_KSK ? CELL_PRESENT : CELL_ABSENT);
    k->covers = in_use && role & KEYRING_ZSK;
    k->published = in_use;
    *out = k;
    return 0;
}

int keyring_enable(struct keyring *ring, time_t now, struct why *why)
{
    if (ring->wish == KEYRING_ENABLED)
        return why_set(why, -E_MISMATCH, "DNSSEC is enabled already");
    ring->wish = KEYRING_ENABLED;
    ring->wish_at = now;
    return 0;
}

int keyring_disable(struct keyring *ring, time_t now, struct why *why)
{
    if (ring->wish != KEYRING_ENABLED)
        return why_set(why, -E_MISMATCH, "DNSSEC is disabled already");
    if (ring->others)
        return why_set(
            why, -E_MISMATCH,
            "other signers of the zone serve it signed, and the word to the parent "
            "(CDS 0 0 0 00) would take their DS away, too: first they must have left (see "
            "`weir multisigner`)");
    ring->wish = KEYRING_DISABLED;
    ring->wish_at = now;
    EACH_KEY(ring, k) if (is_in(&k->ds)) cell_set(&k->ds, CELL_GOING);
    return 0;
}

int keyring_delete(struct keyring *ring, time_t now, struct why *why)
{
    if (ring->wish == KEYRING_DELETED)
        return why_set(why, -E_MISMATCH, "DNSSEC is deleted already");
    if (ring->wish != KEYRING_DISABLED || keyring_is_secure(ring))
        return why_set(why, -E_MISMATCH,
                       "DNSSEC is %s: first the DS must be gone from the parent and from the "
                       "caches of resolvers, or they would take the zone for bogus",
                       keyring_status(ring));
    if (ring->others)
        return why_set(why, -E_MISMATCH,
                       "other signers of the zone serve it signed: first they must have left (see "
                       "`weir multisigner`), or resolvers would take what is unsigned for bogus");
    ring->wish = KEYRING_DELETED;
    ring->wish_at = now;
    EACH_KEY(ring, k)
    {
        k->wanted = k->roll = k->covers = false;
        cell_set(&k->dnskey, CELL_ABSENT);
        cell_set(&k->zone, CELL_ABSENT);
        k->state = KEY_REMOVED;
        k->remove = now;
    }
    return 0;
}

int keyring_resign(struct keyring *ring, time_t now, struct why *why)
{
    if (ring->wish == KEYRING_DELETED)
        return why_set(why, -E_MISMATCH, "the zone is not signed: `weir dnssec ZONE enable` is");
    ring->resigns++;
    ring->resigned_at = now;
    return 0;
}

/* Of all cells of DS that wait to be seen in that state. */
static bool said(struct keyring *ring, enum keyring_cell_state state)
{
    bool any = false;
    EACH_KEY(ring, k) if (k->ds.state == state)
    {
        any = true;
        if (k->ds.at < 0)
            k->ds.at = ring->clock;
    }
    return any;
}

int keyring_ds_seen(struct keyring *ring, const struct keyring_time *time, struct why *why)
{
    keyring_advance(ring, time);
    if (said(ring, CELL_COMING))
        return 0;
    return why_set(why, -E_MISMATCH, "no DS is waited for");
}

int keyring_ds_gone(struct keyring *ring, const struct keyring_time *time, struct why *why)
{
    keyring_advance(ring, time);
    if (said(ring, CELL_GOING))
        return 0;
    return why_set(why, -E_MISMATCH, "no DS is waited for to go");
}

static int may_roll(const struct keyring *ring, const struct keyring_key *k, struct why *why)
{
    const char *role = keyring_role_text(k->role);
    if (keyring_busy(ring, k->role))
        return why_set(why, -E_AGAIN,
                       "a rollover of the %s is going on: a key is still on its way out", role);
    if (keyring_is_secure(ring) && !keyring_settled(k))
        return why_set(why, -E_AGAIN, "%s %u is not fully in use yet: see `weir dnssec`", role,
                       k->tag);
    return 0;
}

int keyring_roll(struct keyring *ring, enum keyring_role role, struct why *why)
{
    struct keyring_key *k = keyring_wanted(ring, role, 0);
    if (!k)
        return why_set(why, -E_NOENT, "the zone has no %s", keyring_role_text(role));
    int err = may_roll(ring, k, why);
    k->roll |= !err;
    return err;
}

int keyring_retire(struct keyring *ring, struct keyring_key *key, struct why *why)
{
    if (!key->wanted)
        return why_set(why, -E_MISMATCH, "%s %u is on its way out already",
                       keyring_role_text(key->role), key->tag);
    int err = may_roll(ring, key, why);
    key->roll |= !err;
    return err;
}
