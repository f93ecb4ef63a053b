/* keys: the zone's keys, before anything is signed with them.
 *
 * A keyset says what each key does; whether it can is found out here: its private half is there, and is its own; no two keys can be
 * mistaken for each other. Nothing is signed by half of the keys: either all that should sign can, or the run ends with a finding and
 * the last version stays.
 *
 * Whose signatures stay: those of keys that are published or sign. A signature names its key by tag and algorithm only, so the state
 * has a print of the DNSKEY that they meant: if another key has come to that tag, its namesake's signatures are not taken for its own.
 */
#include "stages/sign/sign.h"

enum { CLOCK_LEAST = 1577836800 }; /* 2020: older than this weir */

static void keys_refuse(struct signing *s, enum sign_code code, const struct keyset_key *key)
{
    finding_add(s->run->findings, code, s->apex_name, RR_DNSKEY, key ? key->tag : 0,
                key ? key->algorithm : 0, NULL);
    s->failed = true;
}

const struct sign_key *sign_keys_find(const struct sign_keys *keys, uint8_t algorithm, uint16_t tag)
{
    for (unsigned i = 0; i < keys->n; i++)
        if (keys->key[i].key->tag == tag && keys->key[i].key->algorithm == algorithm)
            return &keys->key[i];
    return NULL;
}

static const struct key_tally *tally_of(const struct sign_state *state,
                                        const struct keyset_key *key)
{
    for (unsigned i = 0; state && i < state->nkeys; i++)
        if (state->key[i].use.tag == key->tag && state->key[i].use.algorithm == key->algorithm)
            return &state->key[i];
    return NULL;
}

static void key_take(struct signing *s, const struct keyset_key *key)
{
    struct sign_keys *keys = &s->keys;
    struct sign_key *k = &keys->key[keys->n++];
    *k = (struct sign_key){.key = key, .print = checksum64(0, key->rdata, key->len)};
    const struct key_tally *tally = tally_of(s->last, key);
    k->trusted = s->last && (!tally || tally->use.signatures == 0 || tally->print == k->print);
    if (key->signs_zone && !memchr(keys->algorithm, key->algorithm, keys->nalgorithms))
        keys->algorithm[keys->nalgorithms++] = key->algorithm;
}

static bool acts(const struct keyset_key *key)
{
    return key->publish || key->signs_keys || key->signs_zone;
}

/* Can the key do what it is to do? */
static void key_judge(struct signing *s, const struct keyset *set, unsigned i)
{
    const struct keyset_key *key = &set->key[i];
    for (unsigned j = 0; j < i; j++)
        if (acts(&set->key[j]) && set->key[j].tag == key->tag &&
            set->key[j].algorithm == key->algorithm)
            keys_refuse(s, SIGN_KEY_SAME_TAG, key);
    if (!key->signs_zone && (!key->signs_keys || set->nprepared > 0 || set->ksk_elsewhere))
        return;
    if (!key->private)
        keys_refuse(s, SIGN_KEY_ABSENT, key);
    else if (!dnssec_private_fits(key->private, key->rdata, key->len))
        keys_refuse(s, SIGN_KEY_UNFIT, key);
}

/* --- all of them --- */

/* Signatures that exist begin inception_offset before they were made; earlier than that the clock cannot be right. */
static void clock_judge(struct signing *s)
{
    int64_t least = s->last ? s->last->seen - s->conf->inception_offset : 0;
    least = least < CLOCK_LEAST ? CLOCK_LEAST : least;
    if (s->run->now >= least)
        return;
    finding_add(s->run->findings, SIGN_CLOCK, NULL, 0, s->run->now, least, NULL);
    s->failed = true;
}

bool sign_keys_open(struct signing *s)
{
    const struct keyset *set = s->run->keys;
    unsigned ksks = 0, zsks = 0;
    s->keys.prepared_next = NEVER;
    clock_judge(s);
    if (!set || (set->n == 0 && !set->unsigned_zone))
        keys_refuse(s, SIGN_NO_KEYS, NULL);
    if (s->failed || set->unsigned_zone)
        return !s->failed;
    for (unsigned i = 0; i < set->n; i++) {
        if (!acts(&set->key[i]))
            continue;
        key_judge(s, set, i);
        key_take(s, &set->key[i]);
        ksks += set->key[i].signs_keys;
        zsks += set->key[i].signs_zone;
    }
    if (zsks == 0)
        keys_refuse(s, SIGN_NO_ZSK, NULL);
    if (set->nprepared > 0 || set->ksk_elsewhere)
        prepared_choose(s);
    else if (ksks == 0)
        keys_refuse(s, SIGN_NO_KSK, NULL);
    return !s->failed;
}

void sign_keys_trust(struct sign_keys *keys)
{
    for (unsigned i = 0; i < keys->n; i++)
        keys->key[i].trusted = true;
}

static uint64_t rrsets_of(const struct sign_state *state, uint8_t algorithm)
{
    for (unsigned i = 0; i < state->nalgorithms; i++)
        if (state->algorithm[i].algorithm == algorithm)
            return state->algorithm[i].rrsets;
    return 0;
}

bool sign_keys_turned(const struct signing *s)
{
    const struct sign_state *last = s->last;
    for (unsigned i = 0; i < last->nkeys; i++) {
        const struct key_use *use = &last->key[i].use;
        const struct sign_key *key = sign_keys_find(&s->keys, use->algorithm, use->tag);
        if (use->signatures > 0 && (!key || !key->trusted))
            return true;
    }
    for (unsigned i = 0; i < s->keys.n; i++) {
        const struct keyset_key *key = s->keys.key[i].key;
        if (key->publish && memchr(s->keys.algorithm, key->algorithm, s->keys.nalgorithms) &&
            rrsets_of(last, key->algorithm) < last->rrsets)
            return true;
    }
    return false;
}
