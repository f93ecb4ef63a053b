/* The memory as octets, kept beside the version that it ends with:
 *
 *   u8 format | i64 clock, tick | u64 boot | u8 world, before | i64 switched at | u8 overflow | DNSKEY TTL, zone TTL: each u32 served, u32 ttl, i64 until
 *   | i64 asked, watched
 *   | u8 keys    | each: u8 flags (1 in, 2 own, 4 DS) | i64 since, left | u16 len, rdata
 *   | u8 signers | each: u16 tag | u8 algorithm | u8 flags (1 in, 2 switched) | i64 since, until
 *   | u8 KSKs    | each: u16 tag | u8 algorithm
 *   | u8 DS sets | each: u8 in | i64 last | u32 ttl | u16 n | u32 len, octets
 *
 * What is not exactly this is none: then all that matters was served just now, and is waited for.
 */
#include "pipeline/run/caches_p.h"

#include "pipeline/base/alloc.h"

enum {
    CACHES_FORMAT = 1,
    FLAG_IN = 1,
    FLAG_OTHER = 2,
    FLAG_DS = 4,
    KEY_LEN_MIN = 5,
    DS_LEN_MIN = 5
};

static void put_i64(struct growbuf *out, int64_t v)
{
    growbuf_u64(out, (uint64_t)v);
}

static void put_ttl(struct growbuf *out, const struct keyring_ttl *t)
{
    growbuf_u32(out, t->served);
    growbuf_u32(out, t->ttl);
    put_i64(out, t->until);
}

static uint8_t flags_of(bool in, bool other)
{
    return (uint8_t)((in ? FLAG_IN : 0) | (other ? FLAG_OTHER : 0));
}

static void put_head(const struct caches *c, struct growbuf *out)
{
    growbuf_u8(out, CACHES_FORMAT);
    put_i64(out, c->clock);
    put_i64(out, c->tick);
    growbuf_u64(out, c->boot);
    growbuf_u8(out, (uint8_t)c->world);
    growbuf_u8(out, (uint8_t)c->before);
    put_i64(out, c->switched_at);
    growbuf_u8(out, c->overflow);
    put_ttl(out, &c->dnskey_ttl);
    put_ttl(out, &c->zone_ttl);
    put_i64(out, c->asked);
    put_i64(out, c->watched);
}

void caches_save(const struct caches *c, struct growbuf *out)
{
    put_head(c, out);
    growbuf_u8(out, (uint8_t)c->nkeys);
    for (unsigned i = 0; i < c->nkeys; i++) {
        const struct caches_key *k = &c->key[i];
        growbuf_u8(out, (uint8_t)(flags_of(k->in, k->own) | (k->ds ? FLAG_DS : 0)));
        put_i64(out, k->since);
        put_i64(out, k->left);
        growbuf_u16(out, k->len);
        growbuf_put(out, k->rdata, k->len);
    }
    growbuf_u8(out, (uint8_t)c->nsigners);
    for (unsigned i = 0; i < c->nsigners; i++) {
        const struct caches_signer *s = &c->signer[i];
        growbuf_u16(out, s->tag);
        growbuf_u8(out, s->algorithm);
        growbuf_u8(out, flags_of(s->in, s->switched));
        put_i64(out, s->since);
        put_i64(out, s->until);
    }
    growbuf_u8(out, (uint8_t)c->nksk);
    for (unsigned i = 0; i < c->nksk; i++) {
        growbuf_u16(out, c->ksk[i].tag);
        growbuf_u8(out, c->ksk[i].algorithm);
    }
    growbuf_u8(out, (uint8_t)c->nds);
    for (unsigned i = 0; i < c->nds; i++) {
        const struct caches_ds *d = &c->ds[i];
        growbuf_u8(out, d->in);
        put_i64(out, d->last);
        growbuf_u32(out, d->set.ttl);
        growbuf_u16(out, d->set.n);
        growbuf_u32(out, d->set.len);
        growbuf_put(out, d->set.octets, d->set.len);
    }
}

/* ---- back
 * ------------------------------------------------------------------------------------------------- */

/* Times are far from where sums of them could overflow. */
static int64_t take_time(struct rbuf *in)
{
    int64_t v = (int64_t)rbuf_u64(in);
    if (v < -1 || v > INT64_MAX / 4)
        in->bad = true;
    return v;
}

static void take_ttl(struct rbuf *in, struct keyring_ttl *t)
{
    t->served = rbuf_u32(in);
    t->ttl = rbuf_u32(in);
    t->until = take_time(in);
}

static unsigned take_count(struct rbuf *in, unsigned max)
{
    unsigned n = rbuf_u8(in);
    if (n > max)
        in->bad = true;
    return in->bad ? 0 : n;
}

static void take_head(struct rbuf *in, struct caches *c)
{
    if (rbuf_u8(in) != CACHES_FORMAT)
        in->bad = true;
    c->clock = take_time(in);
    c->tick = take_time(in);
    c->boot = rbuf_u64(in);
    unsigned world = rbuf_u8(in), before = rbuf_u8(in);
    c->switched_at = take_time(in);
    c->overflow = rbuf_u8(in);
    take_ttl(in, &c->dnskey_ttl);
    take_ttl(in, &c->zone_ttl);
    c->asked = take_time(in);
    c->watched = take_time(in);
    if (world >= WORLDS || before >= WORLDS || c->clock < 0)
        in->bad = true;
    c->world = in->bad ? WORLD_UNKNOWN : (enum caches_world)world;
    c->before = in->bad ? WORLD_UNKNOWN : (enum caches_world)before;
}

static void take_key(struct rbuf *in, struct caches *c)
{
    unsigned flags = rbuf_u8(in);
    struct caches_key k = {.in = flags & FLAG_IN, .own = flags & FLAG_OTHER, .ds = flags & FLAG_DS};
    k.since = take_time(in);
    k.left = take_time(in);
    k.len = rbuf_u16(in);
    const uint8_t *rdata = rbuf_take(in, k.len);
    if (!rdata || k.len < KEY_LEN_MIN) {
        in->bad = true;
        return;
    }
    k.rdata = mem_dup(rdata, k.len);
    k.tag = dnssec_key_tag(rdata, k.len);
    k.algorithm = rdata[3];
    *caches_key_room(c) = k;
}

static void take_signer(struct rbuf *in, struct caches *c)
{
    struct caches_signer *s = caches_signer_room(c);
    *s = (struct caches_signer){.tag = 0};
    s->tag = rbuf_u16(in);
    s->algorithm = rbuf_u8(in);
    unsigned flags = rbuf_u8(in);
    s->in = flags & FLAG_IN;
    s->switched = flags & FLAG_OTHER;
    s->since = take_time(in);
    s->until = take_time(in);
}

/* Records as a set has them: u16 length, rdata, n times. */
static bool ds_set_good(const uint8_t *p, uint32_t len, unsigned n)
{
    struct rbuf in = rbuf_open(p, len);
    for (unsigned i = 0; i < n; i++) {
        unsigned rdlen = rbuf_u16(&in);
        if (!rbuf_take(&in, rdlen) || rdlen < DS_LEN_MIN)
            return false;
    }
    return !rbuf_left(&in);
}

static void take_ds(struct rbuf *in, struct caches *c)
{
    struct caches_ds d = {.in = rbuf_u8(in)};
    d.last = take_time(in);
    d.set.ttl = rbuf_u32(in);
    d.set.n = rbuf_u16(in);
    d.set.len = rbuf_u32(in);
    const uint8_t *octets = rbuf_take(in, d.set.len);
    if (!octets || d.set.n > PARENT_DS_MAX || !ds_set_good(octets, d.set.len, d.set.n)) {
        in->bad = true;
        return;
    }
    d.set.octets = d.set.len ? mem_dup(octets, d.set.len) : NULL;
    *caches_ds_room(c) = d;
}

struct caches *caches_load(const uint8_t *octets, size_t len)
{
    struct rbuf in = rbuf_open(octets, len);
    struct caches *c = caches_new();
    take_head(&in, c);
    for (unsigned n = take_count(&in, CACHES_KEYS_MAX); n && !in.bad; n--)
        take_key(&in, c);
    for (unsigned n = take_count(&in, CACHES_SIGNERS_MAX); n && !in.bad; n--)
        take_signer(&in, c);
    struct caches_id ksk[CACHES_SIGNERS_MAX] = {{0}};
    unsigned nksk = take_count(&in, CACHES_SIGNERS_MAX);
    for (unsigned i = 0; i < nksk; i++) {
        ksk[i].tag = rbuf_u16(&in);
        ksk[i].algorithm = rbuf_u8(&in);
    }
    caches_ksk_set(c, ksk, nksk);
    for (unsigned n = take_count(&in, CACHES_DS_MAX); n && !in.bad; n--)
        take_ds(&in, c);
    if (in.bad || rbuf_left(&in))
        caches_free(&c);
    return c;
}
