/* zone_history: see the header. */
#include "tests/lib/zone_history.h"

#include "tests/lib/signer.h"
#include "tests/lib/zonegen.h"

enum { BEGIN = 1700000000 };

/* --- damage --- */

static const struct node *damage_pick(struct random *random, const struct snapshot *s)
{
    struct snapshot_iter it;
    const struct node *node = snapshot_first(&it, s);
    for (uint64_t skip = random_below(random, s->names); skip > 0; skip--)
        node = snapshot_next(&it);
    return node;
}

static void damage_add(struct edit *e, const uint8_t *owner, uint16_t type, uint32_t ttl,
                       const uint8_t *rdata, size_t len)
{
    int rc = edit_add(e, owner, type, ttl, rdata, (uint16_t)len, NULL);
    ASSERT(rc == 0);
}

/* One octet of one record, as long as it still parses; else the record goes. */
static void damage_octet(struct random *random, struct edit *e, const uint8_t *owner,
                         const struct rrset *set, struct rdata rdata)
{
    uint8_t copy[65535];
    memcpy(copy, rdata.data, rdata.len);
    int rc = edit_del(e, owner, set->type, copy, rdata.len, NULL);
    ASSERT(rc == 0);
    if (rdata.len == 0)
        return;
    copy[random_below(random, rdata.len)] ^= (uint8_t)(1 << random_below(random, 8));
    if (rdata_valid(set->type, copy, rdata.len, NULL) == 0)
        damage_add(e, owner, set->type, set->ttl, copy, rdata.len);
}

static bool skip_set(void *ctx, const struct rrset *set)
{
    const struct rrset *skip = ctx;
    return set->type == skip->type && set->covered == skip->covered;
}

/* The whole rrset goes, or comes back with another TTL. */
static void damage_set(struct edit *e, const struct node *node, const struct rrset *set, bool ttl)
{
    struct node_builder *builder = node_builder_new();
    node_builder_begin(builder, node_name(node));
    struct rrset changed = *set;
    node_builder_add_node(builder, node, skip_set, &changed);
    changed.ttl++;
    if (ttl)
        node_builder_add_rrset(builder, &changed);
    struct node *made = node_builder_seal(builder);
    if (made)
        edit_put(e, made);
    else
        edit_remove(e, node_name(node));
    node_builder_free(&builder);
}

struct snapshot *zone_history_damage(struct random *random, struct family *family,
                                     const struct snapshot *s)
{
    const struct node *node = damage_pick(random, s);
    const uint8_t *owner = node_name(node), *other = node_name(damage_pick(random, s));
    struct edit *e = edit_open(family, s, s);
    struct rrset set;
    struct rdata rdata = {0};
    node_rrset_at(node, (unsigned)random_below(random, node->nrrsets), &set);
    const uint8_t *p = set.rdata;
    for (uint64_t skip = random_below(random, set.count) + 1; skip > 0; skip--)
        rrset_next(&set, &p, &rdata);
    uint8_t address[4] = {192, 0, 2, 9}, below[NAME_MAX_OCTETS] = {3, 'n', 'e', 'w'};
    switch (random_below(random, 10)) {
    case 0:
    case 1:
    case 2:
        damage_octet(random, e, owner, &set, rdata);
        break;
    case 3:
        damage_set(e, node, &set, true);
        break;
    case 4:
    case 5:
        damage_set(e, node, &set, false);
        break;
    case 6:
        edit_remove(e, owner);
        break;
    case 7: /* a record where it was not */
        damage_add(e, other, set.type, set.ttl, rdata.data, rdata.len);
        break;
    case 8: /* a delegation above whatever is there */
        damage_add(e, owner, RR_NS, 300, other, name_len(other));
        break;
    default: /* a name that nobody signed */
        if (name_len(owner) + 4 <= NAME_MAX_OCTETS)
            name_copy(below + 4, owner);
        damage_add(e, name_len(owner) + 4 <= NAME_MAX_OCTETS ? below : owner, RR_A, 300, address,
                   4);
        break;
    }
    struct snapshot *made;
    int rc = edit_seal(&e, &made, NULL, NULL);
    ASSERT(rc == 0);
    return made;
}

/* --- blemishes --- */

static bool key_published(const struct node *apex, uint16_t tag)
{
    struct rrset set;
    struct rdata rdata;
    if (!node_rrset(apex, RR_DNSKEY, 0, &set))
        return false;
    for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &rdata);)
        if (dnssec_key_tag(rdata.data, rdata.len) == tag)
            return true;
    return false;
}

/* A copy of each signature of some names, with another octet in the signature or in the time of its end: what a signer
 * that does not clear up leaves behind. */
static void blemish_node(struct edit *e, const struct node *apex, const struct node *node,
                         unsigned kind)
{
    for (unsigned i = 0; i < node->nrrsets; i++) {
        struct rrset set;
        struct rdata rdata = {0}, next;
        uint8_t copy[512];
        node_rrset_at(node, i, &set);
        const uint8_t *p = set.rdata;
        while (set.type == RR_RRSIG && rrset_next(&set, &p, &next))
            if (!rdata.data || !key_published(apex, get_u16(next.data + 16)))
                rdata = next;
        if (!rdata.data)
            continue;
        memcpy(copy, rdata.data, rdata.len);
        if (kind == 0)
            copy[rdata.len - 1] ^= 1; /* bogus */
        else if (kind == 1)
            put_u32(copy + 8, BEGIN - 86400 * 10); /* expired */
        else if (kind == 2 && !key_published(apex, get_u16(copy + 16)))
            copy[rdata.len - 1] ^= 1; /* bogus, by a key that is to come, and the only one by it */
        else if (kind == 2)
            put_u16(copy + 16, (uint16_t)(get_u16(copy + 16) + 1)); /* by a key that is not there */
        else
            copy[2] = 200; /* an algorithm that nobody knows */
        if (kind == 2 && get_u16(copy + 16) == get_u16(rdata.data + 16)) {
            int rc = edit_del(e, node_name(node), RR_RRSIG, rdata.data, rdata.len, NULL);
            ASSERT(rc == 0);
        }
        damage_add(e, node_name(node), RR_RRSIG, set.ttl, copy, rdata.len);
    }
}

static struct snapshot *blemish(struct family *family, const struct snapshot *s,
                                const struct snapshot *before, unsigned spot)
{
    struct edit *e = edit_open(family, s, before);
    struct snapshot *made;
    struct snapshot_iter it;
    for (const struct node *node = snapshot_first(&it, s); node; node = snapshot_next(&it)) {
        unsigned lot = spot;
        for (const uint8_t *p = node_name(node); *p; p++)
            lot = lot * 31 + *p;
        if (lot % 7 == 0)
            blemish_node(e, snapshot_apex(s), node, spot % 4);
    }
    int rc = edit_seal(&e, &made, NULL, NULL);
    ASSERT(rc == 0);
    return made;
}

/* --- rolls --- */

enum roll {
    ROLL_NONE,
    ROLL_ZSK_AHEAD,
    ROLL_ZSK_DOUBLE,
    ROLL_KSK,
    ROLL_ALGORITHM,
    ROLL_STANDBY,
    ROLL_REVOKE,
    ROLL_SAME_TAG,
    ROLL_REVOKE_SAME_TAG,
    ROLL_SALT,
    ROLL_DENIAL,
    ROLLS
};

struct signing_state {
    struct signer signer;
    unsigned spot; /* where blemishes are; 0: nowhere */
    enum roll roll;
    unsigned step;
    uint32_t pair[2]; /* seeds of two keys of one tag */
};

/* The key of this role that has signed longest, or a new one, so that there is one. */
static unsigned key_of(struct signer *signer, uint16_t flags, uint32_t seed)
{
    for (unsigned i = 0; i < signer->keys; i++)
        if (signer->key[i].publish && get_u16(signer->key[i].rdata) == flags)
            return i;
    return signer_add_key(signer, flags, signer->key[0].rdata[3], seed);
}

static unsigned key_add(struct signer *signer, uint16_t flags, uint8_t algorithm, uint32_t seed,
                        bool publish, bool sign)
{
    unsigned index = signer_add_key(signer, flags, algorithm, seed);
    signer->key[index].publish = publish;
    signer->key[index].sign = sign;
    return index;
}

static void keys_drop_but_last(struct signer *signer)
{
    while (signer->keys > 1)
        signer_remove_key(signer, 0);
}

static const char *roll_zsk(struct signing_state *s, uint32_t seed, bool ahead)
{
    struct signer *signer = &s->signer;
    unsigned last = signer->keys - 1;
    switch (s->step++) {
    case 0:
        key_of(signer, DNSKEY_ZONE | DNSKEY_SEP, seed);
        key_of(signer, DNSKEY_ZONE, seed + 1);
        return "KSK and ZSK";
    case 1:
        key_add(signer, DNSKEY_ZONE, signer->key[key_of(signer, DNSKEY_ZONE, 0)].rdata[3], seed,
                true, !ahead);
        return ahead ? "ZSK published" : "ZSK doubled";
    case 2:
        signer->key[key_of(signer, DNSKEY_ZONE, 0)].sign = !ahead;
        signer->key[last].sign = true;
        signer->lazy = ahead ? 50 : 0;
        return ahead ? "ZSK half in use" : "";
    case 3:
        signer->lazy = 0;
        return "ZSK in use";
    default:
        signer_remove_key(signer, key_of(signer, DNSKEY_ZONE, 0));
        s->roll = ROLL_NONE;
        return "ZSK withdrawn";
    }
}

static const char *roll_ksk(struct signing_state *s, uint32_t seed, bool revoke)
{
    struct signer *signer = &s->signer;
    unsigned old = key_of(signer, DNSKEY_ZONE | DNSKEY_SEP, seed + 1);
    switch (s->step++) {
    case 0:
        key_of(signer, DNSKEY_ZONE, seed + 2);
        key_add(signer, DNSKEY_ZONE | DNSKEY_SEP, signer->key[old].rdata[3], seed, true, true);
        return "KSK doubled";
    case 1:
        if (revoke)
            signer_revoke_key(signer, old);
        return revoke ? "KSK revoked" : "";
    default:
        for (unsigned i = 0; revoke && i < signer->keys; i++)
            if (signer->key[i].rdata[1] & DNSKEY_REVOKE)
                old = i;
        signer_remove_key(signer, old);
        s->roll = ROLL_NONE;
        return "KSK withdrawn";
    }
}

/* RFC 6781 4.1.4: what is new is signed before it is published, and what is old is withdrawn before its signatures are. */
static const char *roll_algorithm(struct signing_state *s, uint32_t seed)
{
    struct signer *signer = &s->signer;
    unsigned last = signer->keys - 1;
    switch (s->step++) {
    case 0:
        keys_drop_but_last(signer);
        signer->key[0].publish = signer->key[0].sign = true;
        return "one key";
    case 1:
        signer->spoil_to_come = seed % 2;
        key_add(signer, DNSKEY_ZONE | DNSKEY_SEP,
                signer->key[0].rdata[3] == ALG_ECDSAP256 ? ALG_ED25519 : ALG_ECDSAP256, seed, false,
                true);
        return "signatures of an algorithm to come";
    case 2:
        signer->key[last].publish = true;
        signer->spoil_to_come = false;
        return "a new algorithm";
    case 3:
        signer->key[0].publish = false;
        return "an algorithm withdrawn";
    default:
        keys_drop_but_last(signer);
        s->roll = ROLL_NONE;
        return "signatures of an algorithm gone";
    }
}

static const char *roll_standby(struct signing_state *s, uint32_t seed)
{
    if (s->step++ == 0) {
        key_add(&s->signer, DNSKEY_ZONE | (seed & DNSKEY_SEP), s->signer.key[0].rdata[3], seed,
                true, false);
        return "a standby key";
    }
    signer_remove_key(&s->signer, s->signer.keys - 1);
    s->roll = ROLL_NONE;
    return "no standby key";
}

/* One key signs all: the first of a pair of one tag. */
static void key_replace_all(struct signing_state *s, uint32_t seed, bool revoked)
{
    signer_same_tag(DNSKEY_ZONE | DNSKEY_SEP, ALG_ED25519, revoked, seed, s->pair);
    key_add(&s->signer, DNSKEY_ZONE | DNSKEY_SEP, ALG_ED25519, s->pair[0], true, true);
    keys_drop_but_last(&s->signer);
}

/* The signer tells its own signatures by tag and times, and so keeps the other key's for its own; most times it signs with
 * other times. */
static void tag_sign_anew(struct signer *signer, uint32_t seed)
{
    signer->inception -= seed % 4 > 0;
}

static const char *roll_same_tag(struct signing_state *s, uint32_t seed)
{
    struct signer *signer = &s->signer;
    switch (s->step++) {
    case 0:
        key_replace_all(s, seed, false);
        return "another key";
    case 1:
        key_add(signer, DNSKEY_ZONE | DNSKEY_SEP, ALG_ED25519, s->pair[1], true, false);
        return "a key of the same tag";
    case 2:
        signer->key[0].sign = false;
        signer->key[1].sign = true;
        signer->lazy = seed % 2 ? 50 : 0;
        tag_sign_anew(signer, seed);
        return "the other key of the tag in use";
    case 3:
        signer->lazy = 0;
        return "";
    default:
        signer_remove_key(signer, 0);
        tag_sign_anew(signer, seed);
        s->roll = ROLL_NONE;
        return "a key of the tag withdrawn";
    }
}

/* The old key has, once it is revoked, the tag of the new one, and signs on with it for a while. */
static const char *roll_revoke_same_tag(struct signing_state *s, uint32_t seed)
{
    struct signer *signer = &s->signer;
    switch (s->step++) {
    case 0:
        key_replace_all(s, seed, true);
        return "another key";
    case 1:
        key_add(signer, DNSKEY_ZONE | DNSKEY_SEP, ALG_ED25519, s->pair[1], true, true);
        return "a key of the tag that another one will have";
    case 2:
        signer_revoke_key(signer, 0);
        return "a key revoked that then has another one's tag";
    case 3:
        signer->key[0].sign = seed % 2;
        return "";
    default:
        signer_remove_key(signer, 0);
        tag_sign_anew(signer, seed);
        s->roll = ROLL_NONE;
        return "a revoked key of the tag withdrawn";
    }
}

static void chain_new(struct random *random, struct signer *signer, struct signer_chain *out)
{
    do {
        out->salt_len = (uint8_t)random_below(random, 9);
        random_octets(random, out->salt, out->salt_len);
        out->iterations = (uint16_t)random_below(random, 3);
    } while (out->iterations == signer->iterations && out->salt_len == signer->salt_len &&
             memcmp(out->salt, signer->salt, out->salt_len) == 0);
}

/* The first chain and the other one change places. */
static void chains_swap(struct signer *signer)
{
    struct signer_chain other = signer->other;
    signer->other.iterations = signer->iterations;
    signer->other.salt_len = signer->salt_len;
    memcpy(signer->other.salt, signer->salt, sizeof(signer->salt));
    signer->iterations = other.iterations;
    signer->salt_len = other.salt_len;
    memcpy(signer->salt, other.salt, sizeof(signer->salt));
}

/* A second chain is whole before it is announced, and the first one is announced no longer before it goes. */
static const char *roll_salt(struct random *random, struct signing_state *s)
{
    struct signer *signer = &s->signer;
    switch (s->step++) {
    case 0:
        if (!signer->nsec3)
            break;
        signer->other = (struct signer_chain){.there = true};
        chain_new(random, signer, &signer->other);
        return "a second NSEC3 chain";
    case 1:
        signer->other.announced = true;
        return "a second NSEC3PARAM";
    case 2:
        chains_swap(signer);
        signer->other.announced = false;
        return "the first NSEC3PARAM withdrawn";
    default:
        break;
    }
    signer->other.there = false;
    s->roll = ROLL_NONE;
    return "one NSEC3 chain at most";
}

/* From NSEC to NSEC3 by way of both, or back. */
static const char *roll_denial(struct random *random, struct signing_state *s)
{
    struct signer *signer = &s->signer;
    bool to_nsec3 = signer->nsec;
    switch (s->step++) {
    case 0:
        if (signer->nsec && signer->nsec3)
            break;
        chain_new(random, signer, &signer->other);
        signer->other.there = to_nsec3;
        signer->other.announced = false;
        signer->nsec = true;
        return to_nsec3 ? "NSEC3 to come" : "NSEC beside NSEC3";
    case 1:
        chains_swap(signer);
        signer->other.there = signer->nsec3;
        signer->nsec3 = !signer->nsec3;
        return signer->nsec3 ? "NSEC3 beside NSEC" : "NSEC3PARAM withdrawn";
    default:
        break;
    }
    signer->other.there = false;
    signer->nsec = !signer->nsec3;
    s->roll = ROLL_NONE;
    return "one kind of denial";
}

static const char *roll_on(struct random *random, struct signing_state *s, uint32_t seed)
{
    switch (s->roll) {
    case ROLL_ZSK_AHEAD:
        return roll_zsk(s, seed, true);
    case ROLL_ZSK_DOUBLE:
        return roll_zsk(s, seed, false);
    case ROLL_KSK:
        return roll_ksk(s, seed, false);
    case ROLL_REVOKE:
        return roll_ksk(s, seed, true);
    case ROLL_ALGORITHM:
        return roll_algorithm(s, seed);
    case ROLL_STANDBY:
        return roll_standby(s, seed);
    case ROLL_REVOKE_SAME_TAG:
        return roll_revoke_same_tag(s, seed);
    case ROLL_SALT:
        return roll_salt(random, s);
    case ROLL_DENIAL:
        return roll_denial(random, s);
    default:
        return roll_same_tag(s, seed);
    }
}

/* --- turns --- */

static const char *turn(struct random *random, struct signing_state *s, time_t now)
{
    struct signer *signer = &s->signer;
    uint32_t seed = (uint32_t)random_u64(random) >> 8;
    if (s->roll != ROLL_NONE && random_below(random, 4) > 0)
        return roll_on(random, s, seed);
    switch (random_below(random, 9)) {
    case 0:
    case 1:
    case 2:
        if (s->roll != ROLL_NONE || signer->keys > SIGNER_KEYS - 4)
            break;
        s->roll = (enum roll)(1 + random_below(random, ROLLS - 1));
        s->step = 0;
        signer->lazy = random_below(random, 4)
                           ? 0
                           : signer->lazy; /* else what it keeps may be refused all along */
        return roll_on(random, s, seed);
    case 3:
        signer->nsec = !signer->nsec3;
        signer->nsec3 = !signer->nsec;
        return signer->nsec ? "NSEC" : "NSEC3";
    case 4:
        signer->nsec = !signer->nsec;
        signer->nsec3 = !signer->nsec || random_below(random, 3) == 0;
        return "denial switched";
    case 5:
        signer->opt_out = !signer->opt_out;
        return "opt-out switched";
    case 6:
        if (s->roll == ROLL_SALT || s->roll == ROLL_DENIAL)
            break;
        chain_new(random, signer, &signer->other);
        chains_swap(signer);
        return "new salt";
    default:
        break;
    }
    signer->lazy = s->roll == ROLL_NONE ? (unsigned)random_below(random, 100) : signer->lazy;
    signer->inception = (uint32_t)now - 3600;
    signer->expiration =
        (uint32_t)now + 3600 +
        (uint32_t)random_below(random, random_below(random, 3) ? 14 * 86400 : 3600);
    return "new validity";
}

/* --- all --- */

static const char *const fault_events[FAULTS] = {
    [FAULT_LEFT_OUT] = "a name denied",
    [FAULT_EXTRA] = "an NSEC3 for a name that is not there",
    [FAULT_OPT_OUT] = "one NSEC3's opt-out",
    [FAULT_BITMAP] = "a bitmap",
    [FAULT_NEXT] = "denial leads too far",
    [FAULT_BELOW_SIGNED] = "hidden names still signed",
    [FAULT_BELOW_UNSIGNED] = "names in sight not signed yet",
    [FAULT_DS_UNSEEN] = "a DS not seen",
    [FAULT_OLD_DENIAL] = "denial as it was before",
    [FAULT_NON_TERMINALS] = "empty non-terminals as before",
    [FAULT_KEY_GONE] = "a key not published",
    [FAULT_KEY_IDLE] = "an algorithm that signs nothing",
    [FAULT_KEY_SKIPS] = "an rrset that a key does not sign",
    [FAULT_OLD_SIGNATURES] = "old signatures over one rrset",
};

/* Where something turned, half of the faults are about keys. */
static enum signer_fault fault_pick(struct random *random, bool turned)
{
    unsigned first = turned && random_below(random, 2) ? FAULT_KEYS : FAULT_NONE + 1;
    return (enum signer_fault)(first + random_below(random, FAULTS - first));
}

/* What arrives in the place of `whole`: that, or something wrong. before: the last one that was right. */
static struct snapshot *history_arrive(struct random *random, const struct history_kind *kind,
                                       struct zone_history *h, struct signing_state *s,
                                       const struct snapshot *plain, const struct snapshot *whole,
                                       const struct snapshot *before, unsigned i)
{
    bool turned = h->event[i][0];
    struct snapshot *made;
    if (kind->sign && random_below(random, 100) < kind->faults) {
        struct signer *signer = &s->signer;
        signer->fault = fault_pick(random, turned);
        signer->fault_lot = (uint32_t)random_u64(random) >> 4;
        h->event[i] = fault_events[signer->fault];
        made = signer_sign(signer, plain, h->family, before);
        signer->fault = FAULT_NONE;
        return made;
    }
    made = s->spot && kind->sign
               ? blemish(h->family, whole, i > 0 ? h->version[i - 1] : NULL, s->spot)
               : snapshot_ref(whole);
    if (random_below(random, 100) < kind->damage) {
        struct snapshot *good = made;
        h->event[i] = "damaged";
        made = zone_history_damage(random, kind->sign ? h->family : h->plain, good);
        snapshot_unref(good);
    }
    return made;
}

struct zone_history zone_history_make(struct random *random, const struct history_kind *kind,
                                      unsigned versions)
{
    ASSERT(versions <= HISTORY_MAX);
    struct zone_history h = {.n = versions, .sign = kind->sign};
    struct zonegen gen = zonegen_open(random, "Weir.test.", kind->slots);
    gen.delegations = kind->delegations;
    name_copy(h.apex, gen.apex);
    h.plain = family_new(h.apex);
    h.family = family_new(h.apex);
    struct signing_state s = {.signer = signer_open(BEGIN, (uint32_t)random_u64(random))};
    s.signer.opt_out = kind->opt_out;
    s.signer.nsec3 = kind->nsec3;
    s.signer.nsec = !kind->nsec3;
    struct snapshot *plain = NULL, *whole = NULL;
    time_t now = BEGIN;
    for (unsigned i = 0; i < versions; i++) {
        h.event[i] = "";
        now += (time_t)random_below(random, i % 8 == 7 ? 86400 : 600);
        h.now[i] = now;
        if (i > 0 && random_below(random, 100) < kind->turns)
            h.event[i] = turn(random, &s, now);
        if (random_below(random, 100) < kind->blemishes)
            s.spot = s.spot ? 0 : 1 + (unsigned)random_below(random, 1000);
        struct snapshot *next = zonegen_version(&gen, h.plain, plain, kind->changes);
        struct snapshot *before = whole;
        snapshot_unref(plain);
        plain = next;
        whole = kind->sign ? signer_sign(&s.signer, plain, h.family, before) : snapshot_ref(plain);
        h.version[i] = history_arrive(random, kind, &h, &s, plain, whole, before, i);
        snapshot_unref(before);
    }
    snapshot_unref(plain);
    snapshot_unref(whole);
    signer_close(&s.signer);
    return h;
}

void zone_history_free(struct zone_history *history)
{
    for (unsigned i = 0; i < history->n; i++)
        snapshot_unref(history->version[i]);
    family_unref(history->plain);
    family_unref(history->family);
}
