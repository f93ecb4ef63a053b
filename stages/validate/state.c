/* state: what is kept from run to run, so that the next one need not look at everything.
 *
 * Saved, it is a format number, then the fields below in network order; what cannot be read is as good as none, and the
 * next version is judged whole. It holds nothing a name or signature but the doubts, of which there are few.
 */
#include "stages/validate/validate.h"

#include <stdlib.h>

enum { STATE_FORMAT = 2 };
enum {
    STATE_NSEC = 1,
    STATE_NSEC3 = 2,
    STATE_USABLE = 4,
    STATE_CLAIMS_OVER = 8,
    STATE_DOUBTS_OVER = 16
};
enum { STATE_HEAD = 1 + 1 + 8 + 4 + 2 + 2, STATE_CLAIM = 2 + 1 + 8 };

static void doubts_keep(struct doubts *doubts, const uint8_t *owner)
{
    uint8_t *copy = mem_alloc(name_len(owner));
    name_copy(copy, owner);
    doubts->owner[doubts->n++] = copy;
}

static int item_order(const void *name, const void *item)
{
    return name_cmp(name, node_name(((const struct item *)item)->node));
}

static bool items_have(const struct items *items, const uint8_t *name)
{
    return items->n > 0 && bsearch(name, items->item, items->n, sizeof(items->item[0]), item_order);
}

/* The doubts of before that were not looked at again, and those of this run. */
static void state_doubts(struct validate_state *state, const struct check *check)
{
    struct doubts all = check->doubts;
    const struct doubts *before = check->scope.all ? NULL : check->state->doubts;
    for (unsigned i = 0; before && i < before->n; i++) {
        const uint8_t *owner = before->owner[i];
        if (!items_have(&check->items, owner) && snapshot_get(check->run->next, owner))
            doubts_add(&all, owner);
    }
    doubts_sort(&all);
    if (all.n == 0 && !all.overflow)
        return;
    state->doubts = mem_zalloc(sizeof(*state->doubts));
    state->doubts->overflow = all.overflow;
    for (unsigned i = 0; i < all.n; i++)
        doubts_keep(state->doubts, all.owner[i]);
}

static void state_claims(struct validate_state *state, const struct check *check)
{
    const struct changeset *delta = check->run->delta;
    state->claims = check->claims;
    if (check->scope.all)
        return;
    state->claims = check->state->claims;
    for (size_t i = 0; i < delta->n; i++) {
        if (delta->change[i].now)
            claims_count(&state->claims, delta->change[i].now, 1);
        if (delta->change[i].was)
            claims_count(&state->claims, delta->change[i].was, -1);
    }
}

struct validate_state *state_new(const struct check *check, int64_t earliest)
{
    struct validate_state *state = mem_zalloc(sizeof(*state));
    state->earliest = earliest;
    if (!check->scope.all && check->state->earliest < earliest)
        state->earliest = check->state->earliest;
    state->nsec = check->nsec;
    state->nsec3 = check->nsec3;
    state->usable = check->keys.usable;
    state_claims(state, check);
    state_doubts(state, check);
    return state;
}

void state_free(void *state)
{
    struct validate_state *s = state;
    for (unsigned i = 0; s->doubts && i < s->doubts->n; i++) {
        void *owner = (void *)(uintptr_t)s->doubts->owner[i];
        mem_free_ptr(&owner);
    }
    mem_free(&s->doubts);
    mem_free(&s);
}

uint8_t *state_save(const void *state, size_t *len)
{
    static const struct doubts none;
    const struct validate_state *s = state;
    const struct doubts *doubts = s->doubts ? s->doubts : &none;
    size_t room = STATE_HEAD + s->claims.n * (size_t)STATE_CLAIM;
    for (unsigned i = 0; i < doubts->n; i++)
        room += name_len(doubts->owner[i]);
    uint8_t *octets = mem_alloc(room);
    struct wbuf out = wbuf_open(octets, room);
    wbuf_u8(&out, STATE_FORMAT);
    wbuf_u8(&out, (uint8_t)((s->nsec ? STATE_NSEC : 0) | (s->nsec3 ? STATE_NSEC3 : 0) |
                            (s->usable ? STATE_USABLE : 0) |
                            (s->claims.overflow ? STATE_CLAIMS_OVER : 0) |
                            (doubts->overflow ? STATE_DOUBTS_OVER : 0)));
    wbuf_u64(&out, (uint64_t)s->earliest);
    wbuf_u32(&out, s->claims.ttl_max);
    wbuf_u16(&out, (uint16_t)s->claims.n);
    wbuf_u16(&out, (uint16_t)doubts->n);
    for (unsigned i = 0; i < s->claims.n; i++) {
        wbuf_u16(&out, s->claims.claim[i].tag);
        wbuf_u8(&out, s->claims.claim[i].algorithm);
        wbuf_u64(&out, s->claims.claim[i].signatures);
    }
    for (unsigned i = 0; i < doubts->n; i++)
        wbuf_put(&out, doubts->owner[i], name_len(doubts->owner[i]));
    ASSERT(!out.bad && wbuf_len(&out) == room);
    *len = room;
    return octets;
}

/* A name with every octet in its place. False: that is none. */
static bool take_name(struct rbuf *in, uint8_t name[NAME_MAX_OCTETS])
{
    size_t n = 0;
    for (;;) {
        uint8_t label = rbuf_u8(in);
        const uint8_t *octets = rbuf_take(in, label);
        if (in->bad || label > 63 || n + 1 + label > NAME_MAX_OCTETS - (label ? 1u : 0))
            return false;
        name[n++] = label;
        if (label == 0)
            return true;
        memcpy(name + n, octets, label);
        n += label;
    }
}

static bool take_doubts(struct rbuf *in, struct doubts *doubts, unsigned n)
{
    uint8_t name[NAME_MAX_OCTETS];
    for (unsigned i = 0; i < n; i++) {
        if (!take_name(in, name) || (i > 0 && name_cmp(doubts->owner[i - 1], name) >= 0))
            return false;
        doubts_keep(doubts, name);
    }
    return true;
}

void *state_load(const uint8_t *octets, size_t len)
{
    struct rbuf in = rbuf_open(octets, len);
    struct validate_state *s = mem_zalloc(sizeof(*s));
    unsigned format = rbuf_u8(&in), flags = rbuf_u8(&in);
    s->nsec = flags & STATE_NSEC;
    s->nsec3 = flags & STATE_NSEC3;
    s->usable = flags & STATE_USABLE;
    s->claims.overflow = flags & STATE_CLAIMS_OVER;
    s->earliest = (int64_t)rbuf_u64(&in);
    s->claims.ttl_max = rbuf_u32(&in);
    unsigned claims = rbuf_u16(&in), doubts = rbuf_u16(&in);
    bool good = format == STATE_FORMAT && claims <= CLAIMS_MAX && doubts <= DOUBTS_MAX;
    for (unsigned i = 0; good && i < claims; i++) {
        struct claim *claim = &s->claims.claim[s->claims.n++];
        claim->tag = rbuf_u16(&in);
        claim->algorithm = rbuf_u8(&in);
        claim->signatures = rbuf_u64(&in);
    }
    if (good && (doubts > 0 || flags & STATE_DOUBTS_OVER)) {
        s->doubts = mem_zalloc(sizeof(*s->doubts));
        s->doubts->overflow = flags & STATE_DOUBTS_OVER;
        good = take_doubts(&in, s->doubts, doubts);
    }
    good = good && !in.bad && rbuf_left(&in) == 0;
    if (good)
        return s;
    state_free(s);
    return NULL;
}

_Static_assert((int)CLAIMS_MAX <= (int)KEYSET_KEYS_MAX, "each claim has a place");

bool state_signed_by(const void *state, struct key_uses *out)
{
    const struct claims *c = &((const struct validate_state *)state)->claims;
    out->ttl_max = c->ttl_max;
    out->n = c->overflow ? 0 : c->n;
    for (unsigned i = 0; i < out->n; i++)
        out->use[i] = (struct key_use){.tag = c->claim[i].tag,
                                       .algorithm = c->claim[i].algorithm,
                                       .signatures = c->claim[i].signatures};
    return !c->overflow;
}
