/* history: see the header. */
#include "tests/lib/history.h"

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

struct snapshot *history_damage(struct random *random, struct family *family,
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

/* --- turns --- */

static const char *turn(struct random *random, struct signer *signer, time_t now)
{
    switch (random_below(random, 8)) {
    case 0:
        if (signer->keys < 4) {
            signer_add_key(signer, DNSKEY_ZONE | (uint16_t)random_below(random, 2),
                           random_below(random, 2) ? ALG_ECDSAP256 : ALG_ED25519,
                           (uint32_t)random_u64(random));
            return "key added";
        }
        break;
    case 1:
        if (signer->keys > 1) {
            signer_remove_key(signer, (unsigned)random_below(random, signer->keys));
            return "key removed";
        }
        break;
    case 2:
        signer->nsec = !signer->nsec3;
        signer->nsec3 = !signer->nsec;
        return signer->nsec ? "NSEC" : "NSEC3";
    case 3:
        signer->nsec = !signer->nsec;
        signer->nsec3 = !signer->nsec;
        return "denial switched";
    case 4:
        signer->opt_out = !signer->opt_out;
        return "opt-out switched";
    case 5:
        signer->salt_len = (uint8_t)random_below(random, 9);
        random_octets(random, signer->salt, signer->salt_len);
        signer->iterations = (uint16_t)random_below(random, 3);
        return "new salt";
    default:
        break;
    }
    signer->inception = (uint32_t)now - 3600;
    signer->expiration = (uint32_t)now + 3600 + (uint32_t)random_below(random, 14 * 86400);
    return "new validity";
}

/* --- all --- */

struct history history_make(struct random *random, const struct history_kind *kind,
                            unsigned versions)
{
    ASSERT(versions <= HISTORY_MAX);
    struct history h = {.n = versions};
    struct zonegen gen = zonegen_open(random, "Weir.test.", kind->slots);
    name_copy(h.apex, gen.apex);
    h.plain = family_new(h.apex);
    h.family = family_new(h.apex);
    struct signer signer = signer_open(BEGIN, (uint32_t)random_u64(random));
    signer.opt_out = kind->opt_out;
    signer.nsec3 = kind->nsec3;
    signer.nsec = !kind->nsec3;
    struct snapshot *plain = NULL, *whole = NULL;
    time_t now = BEGIN;
    for (unsigned i = 0; i < versions; i++) {
        h.event[i] = "";
        now += (time_t)random_below(random, i % 8 == 7 ? 86400 : 600);
        if (i > 0 && random_below(random, 100) < kind->turns)
            h.event[i] = turn(random, &signer, now);
        struct snapshot *next = zonegen_version(&gen, h.plain, plain, kind->changes);
        snapshot_unref(plain);
        plain = next;
        next = kind->sign ? signer_sign(&signer, plain, h.family, whole) : snapshot_ref(plain);
        snapshot_unref(whole);
        whole = next;
        h.now[i] = now;
        if (random_below(random, 100) < kind->damage) {
            h.event[i] = "damaged";
            h.version[i] = history_damage(random, kind->sign ? h.family : h.plain, whole);
        } else {
            h.version[i] = snapshot_ref(whole);
        }
    }
    snapshot_unref(plain);
    snapshot_unref(whole);
    signer_close(&signer);
    return h;
}

void history_free(struct history *history)
{
    for (unsigned i = 0; i < history->n; i++)
        snapshot_unref(history->version[i]);
    family_unref(history->plain);
    family_unref(history->family);
}
