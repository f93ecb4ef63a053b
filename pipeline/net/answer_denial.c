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
 * One record often proves two things; each is written once.
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

static enum denial_kind denial_kind(struct answer_state *s)
{
    if (s->denial == DENIAL_UNKNOWN) {
        const struct node *apex = answer_apex(s);
        s->denial = !apex                           ? DENIAL_NONE
                    : node_has(apex, RR_NSEC)       ? DENIAL_NSEC
                    : node_has(apex, RR_NSEC3PARAM) ? DENIAL_NSEC3
                                                    : DENIAL_NONE;
    }
    return s->denial;
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

/* Iterations: more than any resolver still accepts (RFC 9276 3.2; 150 when that was written, 50 later). Blocks: what four hashes,
 * the most that a proof has where every name has its record, cost at that; a hash takes one more for a long salt or name. */
enum { NSEC3_ITERATIONS_MAX = 500, HASH_OCTETS = 20, HASH_LABEL = 32 };
enum {
    HASH_BLOCK = 64,
    HASH_PADDING = 9,
    BLOCKS_MAX = 4 * (NSEC3_ITERATIONS_MAX + 1),
    STEPS_MAX = 256
};

static bool nsec3_param(struct answer_state *s, struct rdata *out)
{
    struct rrset set;
    const uint8_t *p;
    if (!node_rrset(answer_apex(s), RR_NSEC3PARAM, 0, &set))
        return false;
    p = set.rdata;
    while (rrset_next(&set, &p, out))
        if (out->data[0] == 1 && get_u16(out->data + 2) <= NSEC3_ITERATIONS_MAX)
            return true;
    return false;
}

/* The NSEC3 record of this node in the chain of `param`: algorithm, iterations and salt agree. */
static bool nsec3_in_chain(const struct node *node, const struct rdata *param)
{
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

/* Five octets are eight digits of base32hex (RFC 4648 7). */
static void put_hash_label(const uint8_t hash[HASH_OCTETS], uint8_t *label)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuv";
    *label++ = HASH_LABEL;
    for (unsigned i = 0; i < HASH_OCTETS; i += 5) {
        uint64_t v = (uint64_t)hash[i] << 32 | get_u32(hash + i + 1);
        for (int shift = 35; shift >= 0; shift -= 5)
            *label++ = (uint8_t)digits[v >> shift & 31];
    }
}

/* The owner that the name's NSEC3 record has or would have; false: too long to exist. */
static bool nsec3_owner(struct answer_state *s, const struct rdata *param, const uint8_t *name,
                        uint8_t out[NAME_MAX_OCTETS])
{
    const uint8_t *apex = snapshot_apex_name(s->zone);
    uint8_t hash[HASH_OCTETS];
    unsigned blocks = 1 + (HASH_OCTETS + param->data[4] + HASH_PADDING - 1u) / HASH_BLOCK;
    s->hash_blocks += blocks * (get_u16(param->data + 2) + 1u);
    if (name_len(apex) + 1 + HASH_LABEL > NAME_MAX_OCTETS || s->hash_blocks > BLOCKS_MAX)
        return false;
    dnssec_nsec3_hash(name, get_u16(param->data + 2), param->data + 5, param->data[4], hash);
    put_hash_label(hash, out);
    name_copy(out + 1 + HASH_LABEL, apex);
    return true;
}

static const struct node *nsec3_match(struct answer_state *s, const struct rdata *param,
                                      const uint8_t *name)
{
    uint8_t owner[NAME_MAX_OCTETS];
    if (!nsec3_owner(s, param, name, owner))
        return NULL;
    const struct node *node = snapshot_get(s->zone, owner);
    return node && nsec3_in_chain(node, param) ? node : NULL;
}

/* The last hash name at or before `owner`; NULL: none. */
static const struct node *nsec3_before(struct answer_state *s, const struct rdata *param,
                                       const uint8_t *owner)
{
    const struct node *node = snapshot_nsec3_at_or_before(s->zone, owner);
    for (unsigned steps = 0; node && !nsec3_in_chain(node, param); steps++)
        node = steps < STEPS_MAX ? snapshot_nsec3_before(s->zone, node_name(node)) : NULL;
    return node;
}

static const struct node *nsec3_cover(struct answer_state *s, const struct rdata *param,
                                      const uint8_t *name)
{
    uint8_t owner[NAME_MAX_OCTETS];
    if (!nsec3_owner(s, param, name, owner))
        return NULL;
    const struct node *node = nsec3_before(s, param, owner);
    if (node)
        return node;
    /* Before the first hash: the last one's record goes round the end and covers it. */
    memset(owner + 1, 'v', HASH_LABEL);
    return nsec3_before(s, param, owner);
}

/* RFC 5155 7.2.1: the closest encloser that has a record, and that the next closer name has none.
 * Under opt-out the closest encloser itself may have none, then one further up. */
static bool nsec3_encloser(struct answer_state *s, const struct rdata *param, const uint8_t *name,
                           unsigned encloser_labels)
{
    unsigned labels = encloser_labels, apex_labels = name_labels(snapshot_apex_name(s->zone));
    const struct node *match;
    while (!(match = nsec3_match(s, param, encloser_of(name, labels))) && labels > apex_labels)
        labels--;
    if (!put_proof(s, match, RR_NSEC3))
        return false;
    return put_proof(s, nsec3_cover(s, param, encloser_of(name, labels + 1)), RR_NSEC3);
}

/* The name exists: its record, or under opt-out the proof that it may have none. */
static bool nsec3_at(struct answer_state *s, const struct rdata *param, const uint8_t *name)
{
    const struct node *match = nsec3_match(s, param, name);
    if (match)
        return put_proof(s, match, RR_NSEC3);
    unsigned labels = name_labels(name);
    return labels <= name_labels(snapshot_apex_name(s->zone)) ||
           nsec3_encloser(s, param, name, labels - 1);
}

static bool nsec3_wildcard(struct answer_state *s, const struct rdata *param, const uint8_t *name,
                           unsigned encloser_labels, bool exists)
{
    uint8_t wildcard[NAME_MAX_OCTETS];
    if (!wildcard_at(name, encloser_labels, wildcard))
        return true;
    return put_proof(s, exists ? nsec3_match(s, param, wildcard) : nsec3_cover(s, param, wildcard),
                     RR_NSEC3);
}

/* What is asked of this file */

bool denial_of_name(struct answer_state *s, const uint8_t *name, unsigned encloser_labels)
{
    struct rdata param;
    if (!s->edns.dnssec_ok)
        return true;
    if (denial_kind(s) == DENIAL_NSEC)
        return nsec_before(s, name) && nsec_of_wildcard(s, name, encloser_labels);
    if (denial_kind(s) == DENIAL_NSEC3 && nsec3_param(s, &param))
        return nsec3_encloser(s, &param, name, encloser_labels) &&
               nsec3_wildcard(s, &param, name, encloser_labels, false);
    return true;
}

bool denial_of_type(struct answer_state *s, const uint8_t *name, const struct node *node)
{
    struct rdata param;
    if (!s->edns.dnssec_ok)
        return true;
    if (denial_kind(s) == DENIAL_NSEC)
        return node ? put_proof(s, node, RR_NSEC) : nsec_before(s, name);
    if (denial_kind(s) == DENIAL_NSEC3 && nsec3_param(s, &param))
        return nsec3_at(s, &param, name);
    return true;
}

bool denial_of_closer(struct answer_state *s, const uint8_t *name, unsigned encloser_labels)
{
    struct rdata param;
    if (!s->edns.dnssec_ok)
        return true;
    if (denial_kind(s) == DENIAL_NSEC)
        return nsec_before(s, name);
    if (denial_kind(s) == DENIAL_NSEC3 && nsec3_param(s, &param))
        return put_proof(s, nsec3_cover(s, &param, encloser_of(name, encloser_labels + 1)),
                         RR_NSEC3);
    return true;
}

bool denial_at_wildcard(struct answer_state *s, const uint8_t *name, unsigned encloser_labels,
                        const struct node *wildcard)
{
    struct rdata param;
    if (!s->edns.dnssec_ok)
        return true;
    if (denial_kind(s) == DENIAL_NSEC)
        return nsec_before(s, name) && (wildcard ? put_proof(s, wildcard, RR_NSEC)
                                                 : nsec_of_wildcard(s, name, encloser_labels));
    if (denial_kind(s) == DENIAL_NSEC3 && nsec3_param(s, &param))
        return nsec3_encloser(s, &param, name, encloser_labels) &&
               nsec3_wildcard(s, &param, name, encloser_labels, true);
    return true;
}

bool denial_of_ds(struct answer_state *s, const struct node *cut)
{
    return denial_of_type(s, node_name(cut), cut);
}
