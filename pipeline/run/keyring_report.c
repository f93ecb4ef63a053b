/* What the cells mean to people: a state by RFC 7583, what is waited for, and what comes then.
 */
#include "pipeline/run/keyring.h"

static const char *const event_text[] = {
    [EVENT_PUBLISHED] = "key is published: its DNSKEY goes out",
    [EVENT_READY] = "key is in every cache: it may be used",
    [EVENT_SIGNS] = "key signs the zone from now on",
    [EVENT_SUBMITTED] = "the key's DS belongs at the parent now: CDS and CDNSKEY ask for it",
    [EVENT_DS_SEEN] = "the key's DS is at the parent and in every cache",
    [EVENT_ACTIVE] = "key is active",
    [EVENT_ROLL] = "key is to be replaced: a rollover begins",
    [EVENT_WITHDRAWN] = "the key's DS should go from the parent now",
    [EVENT_RETIRED] = "key signs the zone no longer: its signatures are replaced one by one",
    [EVENT_UNPUBLISHED] = "key is withdrawn: its DNSKEY goes",
    [EVENT_DS_GONE] = "the key's DS is gone from the parent and from every cache",
    [EVENT_REMOVED] = "key is removed: nothing anywhere needs it any more",
    [EVENT_SET_BACK] =
        "what is served or at the parent is not what the key's state says: it waits anew",
};

const char *keyring_event_text(enum keyring_event_kind kind)
{
    return event_text[kind];
}

const char *keyring_role_text(enum keyring_role role)
{
    return role == KEYRING_CSK ? "CSK" : role == KEYRING_KSK ? "KSK" : "ZSK";
}

const char *keyring_state_text(enum keyring_state state)
{
    static const char *const text[KEY_STATES] = {
        [KEY_GENERATED] = "generated", [KEY_PUBLISHED] = "published", [KEY_READY] = "ready",
        [KEY_ACTIVE] = "active",       [KEY_RETIRED] = "retired",     [KEY_DEAD] = "dead",
        [KEY_REMOVED] = "removed"};
    return text[state];
}

bool keyring_is_secure(const struct keyring *ring)
{
    for (unsigned i = 0; i < ring->n; i++)
        if (ring->key[i].ds.state != CELL_ABSENT)
            return true;
    return false;
}

/* Was it seen there, and not yet seen to be gone? */
static bool ds_at_parent(const struct keyring *ring)
{
    for (unsigned i = 0; i < ring->n; i++) {
        const struct keyring_cell *c = &ring->key[i].ds;
        if (c->state == CELL_PRESENT || (c->state == CELL_COMING && c->at >= 0) ||
            (c->state == CELL_GOING && c->at < 0))
            return true;
    }
    return false;
}

const char *keyring_status(const struct keyring *ring)
{
    if (ring->wish == KEYRING_ENABLED)
        return ds_at_parent(ring) ? "active" : "pending";
    return ring->wish == KEYRING_DISABLED && keyring_is_secure(ring) ? "pending-disabled"
                                                                     : "disabled";
}

const struct keyring_key *keyring_ds_key(const struct keyring *ring)
{
    const struct keyring_key *found = NULL;
    for (unsigned i = 0; i < ring->n; i++) {
        const struct keyring_key *k = &ring->key[i];
        if (k->wanted && k->role & KEYRING_KSK && k->state != KEY_REMOVED)
            found = k;
    }
    return found;
}

struct words {
    const char *before, *after, *next; /* not seen yet; seen, and now time has to pass */
};

static const struct words coming[] = {
    {"its DNSKEY must be in the version that is served", "its DNSKEY must reach every cache",
     "it may be used"},
    {"the whole zone must be signed with it", "its signatures must reach every cache",
     "other keys may leave"},
    {"its DS must be at all of the parent's servers", "its DS must reach every cache",
     "it is what the zone is trusted by"},
};
static const struct words going[] = {
    {"its DNSKEY must be gone from what is served", "its DNSKEY must be gone from every cache",
     "it is removed"},
    {"its last signatures must be replaced", "its signatures must be gone from every cache",
     "its DNSKEY is withdrawn"},
    {"its DS must be gone from all of the parent's servers", "its DS must be gone from every cache",
     "it leaves"},
};

/* As coming[0], where others sign the zone. */
static const struct words coming_everywhere = {
    "its DNSKEY must be served by all other signers of the zone, too",
    "its DNSKEY must reach every cache, from all signers of the zone", "it may be used"};

/* As the first rows, where the KSK is elsewhere: its holder makes the DNSKEY set. */
static const struct words coming_elsewhere = {
    "its DNSKEY must be in the set that the holder of the KSK signs: `weir key export` prints it",
    "its DNSKEY must reach every cache", "it may be used"};
static const struct words going_elsewhere = {
    "the holder of the KSK must take its DNSKEY out of the set",
    "its DNSKEY must be gone from every cache", "it is removed"};

static const struct words *words_of(const struct keyring *ring, const struct keyring_policy *policy,
                                    const struct keyring_key *k, int cell, bool comes)
{
    if (cell == 0 && policy->offline_ksk && !(k->dnskey.at < 0 && k->lacking))
        return comes ? &coming_elsewhere : &going_elsewhere;
    if (!comes)
        return &going[cell];
    bool everywhere = k->dnskey.at < 0 ? k->lacking : ring->others && k->role & KEYRING_ZSK;
    return cell == 0 && everywhere ? &coming_everywhere : &coming[cell];
}

struct keyring_wait keyring_waits(const struct keyring *ring, const struct keyring_policy *policy,
                                  const struct keyring_key *key, time_t now)
{
    const struct keyring_cell *cell[] = {&key->dnskey, &key->zone, &key->ds};
    if (key->state == KEY_REMOVED)
        return (struct keyring_wait){0};
    for (int i = 0; i < 3; i++) {
        enum keyring_cell_state state = cell[i]->state;
        if (state != CELL_COMING && state != CELL_GOING)
            continue;
        if (i == 1 && state == CELL_COMING && key->covers)
            continue; /* the last key's signatures do as well */
        const struct words *w = words_of(ring, policy, key, i, state == CELL_COMING);
        int64_t due = keyring_due_in(ring, policy, key, cell[i]);
        return (struct keyring_wait){due < 0 ? w->before : w->after,
                                     due < 0 ? 0 : now + (time_t)due, w->next};
    }
    if (key->roll)
        return (struct keyring_wait){"a key that takes its place must be made", 0,
                                     "the rollover goes on"};
    if (!key->wanted)
        return (struct keyring_wait){"the key that takes its place must be in use", 0, "it leaves"};
    if (key->state != KEY_ACTIVE)
        return (struct keyring_wait){"what it depends on must be in every cache", 0,
                                     "it goes on to the next state"};
    int64_t life = key->role & KEYRING_KSK ? policy->ksk_lifetime_s : policy->zsk_lifetime_s;
    if (!life || key->active_at < 0 || !policy->generate)
        return (struct keyring_wait){0};
    int64_t left = key->active_at + life - ring->clock;
    return (struct keyring_wait){"it is in use for its lifetime",
                                 now + (time_t)(left > 0 ? left : 0), "it is rolled over"};
}
