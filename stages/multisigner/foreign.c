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

static bool is_ours(const struct merge *m, struct rdata key)
{
    const struct keyset *keys = m->run->keys;
    for (unsigned i = 0; i < keys->n; i++)
        if (key_equal(key, keys->key[i].rdata, keys->key[i].len))
            return true;
    return false;
}

/* Joins what is known of it already. False: there is no room for one more. */
static bool foreign_take(struct merge *m, unsigned room, const struct foreign *f, uint32_t ttl)
{
    unsigned i = 0;
    if (is_ours(m, f->key))
        return true;
    while (i < m->n && !key_equal(f->key, m->foreign[i].key.data, m->foreign[i].key.len))
        i++;
    if (i == room)
        return false;
    if (i == m->n)
        m->foreign[m->n++].key = f->key;
    struct foreign *known = &m->foreign[i];
    known->publish |= f->publish;
    known->ds |= f->ds;
    known->csk |= f->csk;
    known->came |= f->came;
    known->told |= f->told;
    m->ttl = ttl > m->ttl ? ttl : m->ttl;
    bool zsk = f->publish && !(key_flags(f->key) & DNSKEY_SEP);
    m->zsk_came |= zsk && f->came;
    m->zsk_told |= zsk && f->told;
    return true;
}

/* One more than allowed is enough to know. */
void foreign_collect(struct merge *m)
{
    const struct keyset *keys = m->run->keys;
    unsigned room = (unsigned)m->conf->max_keys + 1;
    bool fits = true;
    struct rrset set;
    struct rdata key;
    m->foreign = arena_zalloc(m->run->scratch, room * sizeof(m->foreign[0]));
    for (unsigned i = 0; i < keys->nforeign && fits; i++) {
        const struct keyset_foreign *k = &keys->foreign[i];
        struct foreign f = {.key = {k->rdata, k->len},
                            .publish = k->publish,
                            .ds = k->ds,
                            .csk = k->csk,
                            .told = true};
        if (k->publish || k->ds)
            fits = foreign_take(m, room, &f, k->ttl);
    }
    if (!node_rrset(m->apex, RR_DNSKEY, 0, &set))
        return;
    for (const uint8_t *p = set.rdata; fits && rrset_next(&set, &p, &key);) {
        struct foreign f = {
            .key = key, .publish = true, .ds = key_flags(key) & DNSKEY_SEP, .came = true};
        fits = foreign_take(m, room, &f, set.ttl);
    }
}

/* Does it sign its zone's data? Who has no other key to do it with does it with a KSK. */
static bool signs_data(const struct merge *m, const struct foreign *f)
{
    return !(key_flags(f->key) & DNSKEY_SEP) || f->csk || (f->came && !m->zsk_came) ||
           (f->told && !m->zsk_told);
}

bool foreign_joins(const struct merge *m, const struct foreign *f)
{
    return f->publish && (m->conf->include == INCLUDE_ALL || signs_data(m, f));
}
