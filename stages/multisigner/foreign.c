/* foreign: the keys of other signers, whichever way they came, and what becomes of each.
 *
 * Our own keys come back from other signers who publish them; they are no foreign keys.
 */
#include "stages/multisigner/multisigner.h"

#include <string.h>

uint16_t key_flags(struct rdata key)
{
    return get_u16(key.data);
}

static bool key_equal(struct rdata key, const uint8_t *rdata, size_t len)
{
    return key.len == len && memcmp(key.data, rdata, len) == 0;
}

/* A foreign key, unless it is one of ours, which the other signers publish, or known already. */
static void key_take(struct merge *m, struct rdata key, uint32_t ttl)
{
    const struct keyset *keys = m->run->keys;
    for (unsigned i = 0; i < keys->n; i++)
        if (key_equal(key, keys->key[i].rdata, keys->key[i].len))
            return;
    m->ttl = ttl > m->ttl ? ttl : m->ttl;
    for (unsigned i = 0; i < m->n; i++)
        if (key_equal(key, m->foreign[i].data, m->foreign[i].len))
            return;
    m->zsk |= !(key_flags(key) & DNSKEY_SEP);
    m->foreign[m->n++] = key;
}

/* One more than allowed is enough to know. */
void foreign_collect(struct merge *m)
{
    const struct keyset *keys = m->run->keys;
    unsigned room = (unsigned)m->conf->max_keys + 1;
    struct rrset set;
    struct rdata key;
    m->foreign = arena_alloc(m->run->scratch, room * sizeof(m->foreign[0]));
    for (unsigned i = 0; i < keys->nforeign && m->n < room; i++)
        key_take(m, (struct rdata){keys->foreign[i].rdata, keys->foreign[i].len},
                 keys->foreign[i].ttl);
    if (!node_rrset(m->apex, RR_DNSKEY, 0, &set))
        return;
    for (const uint8_t *p = set.rdata; m->n < room && rrset_next(&set, &p, &key);)
        key_take(m, key, set.ttl);
}

/* Is it one that signs the zone, or one of a policy that takes all? A KSK beside no ZSK at all signs everything. */
bool foreign_joins(const struct merge *m, struct rdata key)
{
    return m->conf->include == INCLUDE_ALL || !(key_flags(key) & DNSKEY_SEP) || !m->zsk;
}

bool foreign_wants_ds(struct rdata key)
{
    return key_flags(key) & DNSKEY_SEP;
}
