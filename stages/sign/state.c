/* state: what is kept from run to run.
 *
 * Its size does not depend on the zone's: a place in a walk, and counts. Saved, it is a format number, then the fields in network order;
 * what cannot be read is as good as none, and then all of the zone is signed anew.
 */
#include "stages/sign/sign.h"

enum {
    STATE_FORMAT = 3,
    STATE_FORMAT_2 = 2,
    STATE_FORMAT_1 = 1,
    STATE_SIGNED = 1,
    STATE_SWEEPING = 2
};
enum {
    STATE_HEAD = 1 + 1 + 4 + 8 + 8 + 4 + 4 + 8 + 8 + 8 + 8 + 8 + 1 + 1 + 4 + 8 + 8 +
                 8 * EXPIRY_SLOTS + 1 + 1,
    STATE_ALGORITHM = 1 + 8,
    STATE_KEY = 2 + 1 + 8 + 8 + 8
};

struct sign_state *sign_state_new(const struct sign_conf *conf, int64_t now)
{
    struct sign_state *state = mem_zalloc(sizeof(*state));
    state->seen = now;
    state->keys_end = NEVER;
    state->expiries.width = expiries_width(conf);
    state->expiries.far_from = NEVER;
    cursor_begin(&state->cursor, cursor_period(conf), now);
    return state;
}

void sign_state_free(void *state)
{
    struct sign_state *s = state;
    mem_free(&s);
}

uint8_t *sign_state_save(const void *state, size_t *len)
{
    const struct sign_state *s = state;
    size_t room = STATE_HEAD + (size_t)s->cursor.at_len + s->sweep_len +
                  s->nalgorithms * (size_t)STATE_ALGORITHM + s->nkeys * (size_t)STATE_KEY;
    uint8_t *octets = mem_alloc(room);
    struct wbuf out = wbuf_open(octets, room);
    wbuf_u8(&out, STATE_FORMAT);
    wbuf_u8(&out,
            (uint8_t)((s->is_signed ? STATE_SIGNED : 0) | (s->sweeping ? STATE_SWEEPING : 0)));
    wbuf_u32(&out, s->resigns);
    wbuf_u64(&out, (uint64_t)s->seen);
    wbuf_u64(&out, (uint64_t)s->keys_end);
    wbuf_u32(&out, s->nsec_ttl);
    wbuf_u32(&out, s->ttl_max);
    wbuf_u64(&out, s->rrsets);
    wbuf_u64(&out, (uint64_t)s->cursor.began);
    wbuf_u64(&out, (uint64_t)s->cursor.period);
    wbuf_u64(&out, (uint64_t)s->cursor.after);
    wbuf_u64(&out, s->cursor.behind);
    wbuf_u8(&out, s->cursor.at_len);
    wbuf_put(&out, s->cursor.at, s->cursor.at_len);
    wbuf_u8(&out, s->sweep_len);
    wbuf_put(&out, s->sweep, s->sweep_len);
    wbuf_u32(&out, s->expiries.width);
    wbuf_u64(&out, (uint64_t)s->expiries.far_from);
    wbuf_u64(&out, s->expiries.far);
    for (unsigned i = 0; i < EXPIRY_SLOTS; i++)
        wbuf_u64(&out, s->expiries.count[i]);
    wbuf_u8(&out, (uint8_t)s->nalgorithms);
    wbuf_u8(&out, (uint8_t)s->nkeys);
    for (unsigned i = 0; i < s->nalgorithms; i++) {
        wbuf_u8(&out, s->algorithm[i].algorithm);
        wbuf_u64(&out, s->algorithm[i].rrsets);
    }
    for (unsigned i = 0; i < s->nkeys; i++) {
        wbuf_u16(&out, s->key[i].use.tag);
        wbuf_u8(&out, s->key[i].use.algorithm);
        wbuf_u64(&out, s->key[i].use.signatures);
        wbuf_u64(&out, (uint64_t)s->key[i].use.last_expiration);
        wbuf_u64(&out, s->key[i].print);
    }
    ASSERT(!out.bad && wbuf_len(&out) == room);
    *len = room;
    return octets;
}

/* A whole name, or none at all. False: something else. */
static bool take_name(struct rbuf *in, uint8_t *name, uint8_t *len)
{
    *len = rbuf_u8(in);
    const uint8_t *octets = rbuf_take(in, *len);
    if (!octets || *len == 0)
        return !in->bad;
    memcpy(name, octets, *len);
    return name_valid(octets, *len) == *len;
}

/* Times and counts that no zone ever has would only overflow later. */
enum { REASON_BITS = 40 };

static bool within_reason(int64_t n)
{
    return n >= 0 && n >> REASON_BITS == 0;
}

static bool state_reasonable(const struct sign_state *s)
{
    bool good = s->expiries.width > 0 && s->nalgorithms <= ALGORITHMS_MAX &&
                s->nkeys <= KEYSET_KEYS_MAX && within_reason(s->seen) &&
                (s->keys_end == NEVER || within_reason(s->keys_end)) &&
                within_reason(s->cursor.began) && within_reason(s->cursor.period) &&
                within_reason(s->cursor.after) && within_reason((int64_t)s->rrsets) &&
                within_reason((int64_t)s->cursor.behind) &&
                (s->expiries.far_from == NEVER || within_reason(s->expiries.far_from));
    for (unsigned i = 0; good && i < s->nkeys; i++)
        good = within_reason(s->key[i].use.last_expiration);
    return good;
}

static void take_counts(struct rbuf *in, struct sign_state *s)
{
    for (unsigned i = 0; i < s->nalgorithms; i++) {
        s->algorithm[i].algorithm = rbuf_u8(in);
        s->algorithm[i].rrsets = rbuf_u64(in);
    }
    for (unsigned i = 0; i < s->nkeys; i++) {
        struct key_tally *key = &s->key[i];
        key->use.tag = rbuf_u16(in);
        key->use.algorithm = rbuf_u8(in);
        key->use.signatures = rbuf_u64(in);
        key->use.last_expiration = (int64_t)rbuf_u64(in);
        key->print = rbuf_u64(in);
    }
}

void *sign_state_load(const uint8_t *octets, size_t len)
{
    struct rbuf in = rbuf_open(octets, len);
    struct sign_state *s = mem_zalloc(sizeof(*s));
    unsigned format = rbuf_u8(&in), flags = rbuf_u8(&in);
    s->is_signed = flags & STATE_SIGNED;
    s->sweeping = flags & STATE_SWEEPING;
    s->resigns = format == STATE_FORMAT_1 ? 0 : rbuf_u32(&in); /* one that nobody knew of */
    s->seen = (int64_t)rbuf_u64(&in);
    s->keys_end = (int64_t)rbuf_u64(&in);
    s->nsec_ttl = rbuf_u32(&in);
    s->ttl_max = rbuf_u32(&in);
    s->rrsets = rbuf_u64(&in);
    s->cursor.began = (int64_t)rbuf_u64(&in);
    s->cursor.period =
        format == STATE_FORMAT_1 ? 0 : (int64_t)rbuf_u64(&in); /* as of the options */
    s->cursor.after = format == STATE_FORMAT_1 ? 0 : (int64_t)rbuf_u64(&in);
    s->cursor.behind = rbuf_u64(&in);
    bool good = format >= STATE_FORMAT_1 && format <= STATE_FORMAT &&
                take_name(&in, s->cursor.at, &s->cursor.at_len) &&
                take_name(&in, s->sweep, &s->sweep_len);
    s->expiries.width = rbuf_u32(&in);
    s->expiries.far_from = format <= STATE_FORMAT_2 ? NEVER : (int64_t)rbuf_u64(&in);
    s->expiries.far = format <= STATE_FORMAT_2 ? 0 : rbuf_u64(&in);
    for (unsigned i = 0; i < EXPIRY_SLOTS; i++)
        s->expiries.count[i] = rbuf_u64(&in);
    s->nalgorithms = rbuf_u8(&in);
    s->nkeys = rbuf_u8(&in);
    if (s->nalgorithms <= ALGORITHMS_MAX && s->nkeys <= KEYSET_KEYS_MAX)
        take_counts(&in, s);
    if (good && state_reasonable(s) && !in.bad && rbuf_left(&in) == 0)
        return s;
    sign_state_free(s);
    return NULL;
}

void sign_state_keys_used(const void *state, struct key_uses *out)
{
    const struct sign_state *s = state;
    out->rrsets = s->rrsets;
    out->ttl_max = s->ttl_max;
    out->n = s->nkeys;
    for (unsigned i = 0; i < s->nkeys; i++)
        out->use[i] = s->key[i].use;
}
