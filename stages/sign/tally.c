/* tally: what of the output is counted as it changes, node by node, and never by a walk.
 *
 * Signatures over DNSKEY, CDS and CDNSKEY are left out: there are three sets of them, made anew as a whole whenever their keys or
 * their time ask for it.
 */
#include "stages/sign/sign.h"

enum { RRSIG_ALGORITHM = 2, RRSIG_EXPIRATION = 8, RRSIG_TAG = 16 }; /* where the fields are */

void expiries_add(struct expiries *e, int64_t end, int sign)
{
    uint64_t *count =
        end >= e->far_from ? &e->far : &e->count[(uint64_t)end / e->width % EXPIRY_SLOTS];
    *count += (uint64_t)(int64_t)sign;
}

int64_t expiries_first(const struct expiries *e, int64_t now)
{
    int64_t slot = now / e->width - EXPIRY_SLOTS / 4;
    for (int i = 0; i < EXPIRY_SLOTS; i++, slot++)
        if (slot >= 0 && e->count[slot % EXPIRY_SLOTS] > 0)
            return slot * e->width;
    return e->far > 0 ? e->far_from : NEVER;
}

static void tally_algorithm(struct sign_state *state, uint8_t algorithm, int sign)
{
    unsigned i = 0;
    while (i < state->nalgorithms && state->algorithm[i].algorithm != algorithm)
        i++;
    if (i == state->nalgorithms) {
        ASSERT(sign > 0 && i < ALGORITHMS_MAX);
        state->algorithm[state->nalgorithms++] = (struct algorithm_tally){.algorithm = algorithm};
    }
    state->algorithm[i].rrsets += (uint64_t)(int64_t)sign;
}

/* Room is made by a key of which nothing is left but a memory; there are no more that sign than there is room for. */
static struct key_tally *tally_key_new(struct sign_state *state)
{
    if (state->nkeys < TALLY_KEYS_MAX)
        return &state->key[state->nkeys++];
    struct key_tally *oldest = NULL;
    for (unsigned i = 0; i < state->nkeys; i++) {
        struct key_tally *k = &state->key[i];
        if (k->use.signatures == 0 &&
            (!oldest || k->use.last_expiration < oldest->use.last_expiration))
            oldest = k;
    }
    ASSERT(oldest);
    return oldest;
}

static void tally_key(struct signing *s, uint8_t algorithm, uint16_t tag, int64_t end, int sign)
{
    struct sign_state *state = s->state;
    struct key_tally *k = NULL;
    for (unsigned i = 0; i < state->nkeys && !k; i++)
        if (state->key[i].use.algorithm == algorithm && state->key[i].use.tag == tag)
            k = &state->key[i];
    if (!k) {
        ASSERT(sign > 0);
        k = tally_key_new(state);
        *k = (struct key_tally){.use = {.tag = tag, .algorithm = algorithm}};
    }
    k->use.signatures += (uint64_t)(int64_t)sign;
    if (sign < 0)
        return;
    const struct sign_key *key = sign_keys_find(&s->keys, algorithm, tag);
    if (key)
        k->print = key->print;
    if (end > k->use.last_expiration)
        k->use.last_expiration = end;
}

/* As the seconds that they are: in an RRSIG they begin anew every 136 years (RFC 4034 3.1.5), where no slot does. */
static int64_t end_of(const struct signing *s, uint32_t expiration)
{
    return s->run->now + (int32_t)(expiration - (uint32_t)s->run->now);
}

static void tally_signatures(struct signing *s, const struct rrset *sigs, int sign)
{
    struct rdata rdata;
    uint8_t seen[ALGORITHMS_MAX] = {0};
    unsigned n = 0;
    s->state->rrsets += (uint64_t)(int64_t)sign;
    for (const uint8_t *p = sigs->rdata; rrset_next(sigs, &p, &rdata);) {
        uint8_t algorithm = rdata.data[RRSIG_ALGORITHM];
        int64_t end = end_of(s, get_u32(rdata.data + RRSIG_EXPIRATION));
        tally_key(s, algorithm, get_u16(rdata.data + RRSIG_TAG), end, sign);
        expiries_add(&s->state->expiries, end, sign);
        if (!memchr(seen, algorithm, n)) {
            ASSERT(n < ALGORITHMS_MAX);
            seen[n++] = algorithm;
            tally_algorithm(s->state, algorithm, sign);
        }
    }
}

void tally_expiries(struct signing *s)
{
    struct snapshot_iter it;
    struct expiries made = {.width = expiries_width(s->conf)};
    made.far_from = (s->run->now / made.width + EXPIRY_SLOTS * 3 / 4) * made.width;
    for (const struct node *node = snapshot_first(&it, edit_view(s->run->out)); node;
         node = snapshot_next(&it)) {
        s->run->visited++;
        for (unsigned i = 0; i < node->nrrsets; i++) {
            struct rrset set;
            struct rdata rdata;
            node_rrset_at(node, i, &set);
            if (set.type != RR_RRSIG || is_key_set(s, node, set.covered))
                continue;
            for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &rdata);)
                expiries_add(&made, end_of(s, get_u32(rdata.data + RRSIG_EXPIRATION)), 1);
        }
    }
    s->state->expiries = made;
}

void tally_node(struct signing *s, const struct node *node, int sign)
{
    struct sign_state *state = s->state;
    const struct cursor *c = &state->cursor;
    uint64_t before = state->rrsets;
    for (unsigned i = 0; i < node->nrrsets; i++) {
        struct rrset set;
        node_rrset_at(node, i, &set);
        if (sign > 0 && set.ttl > state->ttl_max)
            state->ttl_max = set.ttl;
        if (set.type == RR_RRSIG && !is_key_set(s, node, set.covered))
            tally_signatures(s, &set, sign);
    }
    if (c->at_len && name_cmp(node_name(node), c->at) <= 0)
        state->cursor.behind += state->rrsets - before;
}
