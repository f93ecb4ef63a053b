/* answer_denial: what is not there, with the records that prove it.
 *
 * The records are those that came with the zone, octet for octet (lessons.md 43); nothing is made
 * up here. A proof that the zone does not contain is left out, and the client sees that the zone is
 * broken.
 *
 * NSEC (RFC 4035 3.1.3): the record of the name, or of the nearest authoritative name before it.
 * NSEC3 (RFC 5155 7.2): the same with hashes in the place of names. Hash names lie in the zone's
 * trie among all others, directly below the apex; the one before a hash is one descent away,
 * whatever lies between. What one answer may cost is bounded (CVE-2023-50868): so many blocks of SHA-1,
 * and so many records of another chain stepped over (while a zone changes its salt there are two);
 * past that the proof is left out.
 *
 *   denied           NSEC                          NSEC3
 *   name             before(name)                  match(encloser), cover(next closer),
 *                    before(*.encloser)            cover(*.encloser)
 *   type             at(name); ENT: before(name)   match(name); opt-out: as ds
 *   closer than      before(name)                  cover(next closer)
 *     a wildcard
 *   type at          before(name), at(wildcard)    match(encloser), cover(next closer),
 *     a wildcard                                   match(wildcard)
 *   ds of a cut      at(cut)                       match(cut); opt-out:
 *                                                  match(encloser), cover(next closer)
 *
 * One record often proves two things; each is written once. With opt-out the encloser is the closest
 * one that has a record, and "*" is looked for there, too: a validator knows of no other.
 */
#include "pipeline/net/answer_state.h"

#include "pipeline/base/buf.h"
#include "pipeline/zone/dnssec.h"

#include <string.h>

bool denial_soa(struct answer_state *s)
{
    struct rrset soa;
    const struct node *apex = answer_apex(s);
    if (!apex || !node_rrset(apex, RR_SOA, 0, &soa))
        return true;
    const struct soa *fields = &s->version->soa;
    if (soa.ttl > fields->minimum)
        soa.ttl = fields->minimum; /* RFC 2308 3; answer_put gives its signature the same */
    return answer_put(s, SECTION_AUTHORITY, snapshot_apex_name(s->zone), apex, &soa);
}

/* The node's NSEC or NSEC3 record and its signature, unless they are in the reply or not in the
 * zone. */
static bool put_proof(struct answer_state *s, const struct node *node, uint16_t type)
{
    struct rrset set;
    if (!node || !node_rrset(node, type, 0, &set))
        return true;
    for (unsigned i = 0; i < s->nproofs; i++)
        if (s->proof[i] == node)
            return true;
    ASSERT(s->nproofs < PROOFS_MAX);
    s->proof[s->nproofs++] = node;
    return answer_put(s, SECTION_AUTHORITY, node_name(node), node, &set);
}

/* NSEC */

/* Does one of the proofs in the reply already span the name? Saves a descent: often one record
 * denies all. */
static bool nsec_spans(const struct answer_state *s, const uint8_t *name)
{
    struct rrset set;
    struct rdata r;
    for (unsigned i = 0; i < s->nproofs; i++) {
        const struct node *node = s->proof[i];
        if (!node_rrset(node, RR_NSEC, 0, &set) || !rrset_first(&set, &r) ||
            name_cmp(node_name(node), name) >= 0)
            continue;
        if (name_cmp(name, r.data) < 0 || name_equal(r.data, snapshot_apex_name(s->zone)))
            return true;
    }
    return false;
}

static bool nsec_before(struct answer_state *s, const uint8_t *name)
{
    return nsec_spans(s, name) ||
           put_proof(s, snapshot_authoritative_before(s->zone, name), RR_NSEC);
}

static const uint8_t *encloser_of(const uint8_t *name, unsigned encloser_labels)
{
    return name_strip(name, name_labels(name) - encloser_labels);
}

/* "*." before the closest encloser; false when it would be too long to exist. */
static bool wildcard_at(const uint8_t *name, unsigned encloser_labels, uint8_t out[NAME_MAX_OCTETS])
{
    return name_wildcard_of(encloser_of(name, encloser_labels), out);
}

static bool nsec_of_wildcard(struct answer_state *s, const uint8_t *name, unsigned encloser_labels)
{
    uint8_t wildcard[NAME_MAX_OCTETS];
    return !wildcard_at(name, encloser_labels, wildcard) || nsec_before(s, wildcard);
}

/* NSEC3 */

/* Blocks of SHA-1: what four hashes cost at the most iterations. A proof has three where every name
 * has its record. */
enum {
    HASH_OCTETS = DNSSEC_NSEC3_HASH,
    HASH_LABEL = DNSSEC_NSEC3_TEXT,
    HASH_BLOCK = 64,
    HASH_PADDING = 9
};
enum { BLOCKS_MAX = 4 * (DNSSEC_NSEC3_ITERATIONS_MAX + 1), STEPS_MAX = 256 };

/* The chain to answer from. Flags that are not 0 announce nothing (RFC 5155 4.1.2). */
static bool nsec3_param(struct answer_state *s, const struct node *apex)
{
    struct rdata *r = &s->nsec3_param;
    struct rrset set;
    bool found = false, slow = false;
    if (!node_rrset(apex, RR_NSEC3PARAM, 0, &set))
        return false;
    for (const uint8_t *p = set.rdata; !found && rrset_next(&set, &p, r);) {
        bool known = r->data[0] == 1 && r->data[1] == 0;
        found = known && get_u16(r->data + 2) <= DNSSEC_NSEC3_ITERATIONS_MAX;
        slow |= known && !found;
    }
    if (slow && !found)
        s->ede = EDE_NSEC3_ITERATIONS;
    return found;
}

/* Of NSEC3PARAM and NSEC the first counts: it says that its chain is whole, while the NSEC of a
 * zone that has both are coming or going (RFC 5155 10.4, 10.5). */
static enum denial_kind denial_kind(struct answer_state *s)
{
    if (!s->edns.dnssec_ok)
        return DENIAL_NONE;
    if (s->denial == DENIAL_UNKNOWN) {
        const struct node *apex = answer_apex(s);
        s->denial = !apex                     ? DENIAL_NONE
                    : nsec3_param(s, apex)    ? DENIAL_NSEC3
                    : node_has(apex, RR_NSEC) ? DENIAL_NSEC
                                              : DENIAL_NONE;
    }
    return s->denial;
}

/* The NSEC3 record of this node is of the chain: algorithm, iterations and salt agree. */
static bool nsec3_in_chain(const struct answer_state *s, const struct node *node)
{
    const struct rdata *param = &s->nsec3_param;
    struct rrset set;
    struct rdata r;
    if (!node_rrset(node, RR_NSEC3, 0, &set))
        return false;
    const uint8_t *p = set.rdata;
    while (rrset_next(&set, &p, &r))
        if (r.len >= param->len && r.data[0] == param->data[0] &&
            memcmp(r.data + 2, param->data + 2, param->len - 2u) == 0)
            return true;
    return false;
}

/* Blocks of SHA-1 for so many octets. */
static unsigned hash_blocks(size_t octets)
{
    return (unsigned)(octets + HASH_PADDING + HASH_BLOCK - 1) / HASH_BLOCK;
}

/* The owner that the name's NSEC3 record has or would have; false: too long to exist, or the answer
 * has hashed enough. */
static bool nsec3_owner(struct answer_state *s, const uint8_t *name, uint8_t out[NAME_MAX_OCTETS])
{
    const uint8_t *apex = snapshot_apex_name(s->zone), *salt = s->nsec3_param.data + 5;
    unsigned iterations = get_u16(s->nsec3_param.data + 2), salt_len = s->nsec3_param.data[4];
    uint8_t hash[HASH_OCTETS];
    if (name_len(apex) + 1 + HASH_LABEL > NAME_MAX_OCTETS)
        return false;
    s->hash_blocks +=
        hash_blocks(name_len(name) + salt_len) + iterations * hash_blocks(HASH_OCTETS + salt_len);
    if (s->hash_blocks > BLOCKS_MAX) {
        s->ede = EDE_NSEC3_ITERATIONS;
        return false;
    }
    dnssec_nsec3_hash(name, (uint16_t)iterations, salt, salt_len, hash);
    return dnssec_nsec3_owner(hash, apex, out);
}

/* The record of that very owner, or NULL. */
static const struct node *nsec3_at_owner(struct answer_state *s, const uint8_t *owner)
{
    const struct node *node = snapshot_get(s->zone, owner);
    return node && nsec3_in_chain(s, node) ? node : NULL;
}

static const struct node *nsec3_match(struct answer_state *s, const uint8_t *name)
{
    uint8_t owner[NAME_MAX_OCTETS];
    return nsec3_owner(s, name, owner) ? nsec3_at_owner(s, owner) : NULL;
}

/* The last hash name at or before `owner`; NULL: none, or too many of another chain on the way. */
static const struct node *nsec3_before(struct answer_state *s, const uint8_t *owner)
{
    const struct node *node = snapshot_nsec3_at_or_before(s->zone, owner);
    while (node && !nsec3_in_chain(s, node))
        node =
            s->chain_steps++ < STEPS_MAX ? snapshot_nsec3_before(s->zone, node_name(node)) : NULL;
    return node;
}

/* The record that spans `owner`, which is overwritten. None spans what has a record itself: RFC 5155
 * 7.2.9 fears it of a collision; it is what becomes of a wildcard beside names that opt-out hides. */
static const struct node *nsec3_cover_owner(struct answer_state *s, uint8_t *owner)
{
    const struct node *node = nsec3_before(s, owner);
    if (node)
        return name_equal(node_name(node), owner) ? NULL : node;
    /* Before the first hash: the last one's record goes round the end and covers it. */
    memset(owner + 1, 'v', HASH_LABEL);
    return nsec3_before(s, owner);
}

static const struct node *nsec3_cover(struct answer_state *s, const uint8_t *name)
{
    uint8_t owner[NAME_MAX_OCTETS];
    return nsec3_owner(s, name, owner) ? nsec3_cover_owner(s, owner) : NULL;
}

/* RFC 5155 7.2.1: the closest encloser that has a record, and that the next closer name has none.
 * Looked for from the name's last *labels labels upwards, as under opt-out a name that exists may
 * have none; *labels becomes what can be proved, for that is all that a validator will know of. With
 * all of the name's labels: the name's own record, or why it need not have one. */
static bool nsec3_encloser(struct answer_state *s, const uint8_t *name, unsigned *labels)
{
    unsigned apex_labels = name_labels(snapshot_apex_name(s->zone)), n = *labels;
    uint8_t owner[NAME_MAX_OCTETS], closer[NAME_MAX_OCTETS];
    const struct node *match;
    for (;; n--) {
        if (!nsec3_owner(s, encloser_of(name, n), owner))
            return true;
        match = nsec3_at_owner(s, owner);
        if (match || n == apex_labels)
            break;
        name_copy(closer, owner);
    }
    bool met = n < *labels; /* the next closer name has been hashed on the way */
    *labels = n;
    if (!put_proof(s, match, RR_NSEC3))
        return false;
    if (n == name_labels(name) || (!met && !nsec3_owner(s, encloser_of(name, n + 1), closer)))
        return true;
    return put_proof(s, nsec3_cover_owner(s, closer), RR_NSEC3);
}

/* The name exists: its record, or under opt-out the proof that it may have none (RFC 5155 7.2.4;
 * erratum 3441 for other types than DS). */
static bool nsec3_at(struct answer_state *s, const uint8_t *name)
{
    unsigned labels = name_labels(name);
    return nsec3_encloser(s, name, &labels);
}

static bool nsec3_no_name(struct answer_state *s, const uint8_t *name, unsigned encloser_labels)
{
    uint8_t wildcard[NAME_MAX_OCTETS];
    return nsec3_encloser(s, name, &encloser_labels) &&
           (!wildcard_at(name, encloser_labels, wildcard) ||
            put_proof(s, nsec3_cover(s, wildcard), RR_NSEC3));
}

static bool nsec3_at_wildcard(struct answer_state *s, const uint8_t *name, unsigned encloser_labels)
{
    uint8_t wildcard[NAME_MAX_OCTETS];
    unsigned labels = encloser_labels;
    return nsec3_encloser(s, name, &labels) && (!wildcard_at(name, encloser_labels, wildcard) ||
                                                put_proof(s, nsec3_match(s, wildcard), RR_NSEC3));
}

/* What is asked of this file */

bool denial_of_name(struct answer_state *s, const uint8_t *name, unsigned encloser_labels)
{
    enum denial_kind kind = denial_kind(s);
    if (kind == DENIAL_NSEC)
        return nsec_before(s, name) && nsec_of_wildcard(s, name, encloser_labels);
    return kind == DENIAL_NONE || nsec3_no_name(s, name, encloser_labels);
}

bool denial_of_type(struct answer_state *s, const uint8_t *name, const struct node *node)
{
    enum denial_kind kind = denial_kind(s);
    if (kind == DENIAL_NSEC)
        return node ? put_proof(s, node, RR_NSEC) : nsec_before(s, name);
    return kind == DENIAL_NONE || nsec3_at(s, name);
}

bool denial_of_closer(struct answer_state *s, const uint8_t *name, unsigned encloser_labels)
{
    enum denial_kind kind = denial_kind(s);
    if (kind == DENIAL_NSEC)
        return nsec_before(s, name);
    return kind == DENIAL_NONE ||
           put_proof(s, nsec3_cover(s, encloser_of(name, encloser_labels + 1)), RR_NSEC3);
}

bool denial_at_wildcard(struct answer_state *s, const uint8_t *name, unsigned encloser_labels,
                        const struct node *wildcard)
{
    enum denial_kind kind = denial_kind(s);
    if (kind == DENIAL_NSEC)
        return nsec_before(s, name) && (wildcard ? put_proof(s, wildcard, RR_NSEC)
                                                 : nsec_of_wildcard(s, name, encloser_labels));
    return kind == DENIAL_NONE || nsec3_at_wildcard(s, name, encloser_labels);
}

bool denial_of_ds(struct answer_state *s, const struct node *cut)
{
    return denial_of_type(s, node_name(cut), cut);
}
