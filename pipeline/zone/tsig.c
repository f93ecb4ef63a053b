/* tsig: the record, what it signs, and a single query with its answer.
 *
 *   rdata: algorithm | time signed 6 | fudge 2 | MAC size 2 | MAC
 *          | original ID 2 | error 2 | other length 2 | other
 *
 * The record stands behind all others, its name uncompressed, and is counted in the additional
 * section; taking it off again is lowering that count and cutting the message where it begins.
 */
#include "pipeline/zone/tsig_parts.h"

#include "pipeline/zone/message.h"

#include <openssl/crypto.h>

enum { RECORD_FIXED = 10, RDATA_FIXED = 16, MAC_MIN = 10 };

static void put_u48(uint8_t out[TSIG_TIME_OCTETS], uint64_t t)
{
    put_u16(out, (uint16_t)(t >> 32));
    put_u32(out + 2, (uint32_t)t);
}

static uint64_t get_u48(const uint8_t *p)
{
    return (uint64_t)get_u16(p) << 32 | get_u32(p + 2);
}

/* ---- reading */

int tsig_read_rdata(const uint8_t *rdata, size_t len, struct tsig_rr *out, struct why *why)
{
    struct rbuf r = rbuf_open(rdata, len);
    int n = name_valid(rdata, len); /* a pointer is refused: RFC 8945 4.2 */
    if (n < 0)
        return why_set(why, -E_FORMAT, "TSIG: the algorithm is no uncompressed name");
    out->algorithm = rbuf_take(&r, (size_t)n);
    out->algorithm_len = (uint16_t)n;
    const uint8_t *time = rbuf_take(&r, TSIG_TIME_OCTETS);
    out->fudge = rbuf_u16(&r);
    out->mac_len = rbuf_u16(&r);
    out->mac = rbuf_take(&r, out->mac_len);
    out->original_id = rbuf_u16(&r);
    out->error = rbuf_u16(&r);
    out->other_len = rbuf_u16(&r);
    out->other = rbuf_take(&r, out->other_len);
    if (r.bad || rbuf_left(&r))
        return why_set(why, -E_FORMAT, "TSIG: its %zu octets of rdata do not parse", len);
    out->time = get_u48(time);
    return 0;
}

/* Steps over a name without looking where it leads. */
static bool skip_name(const uint8_t *msg, size_t len, size_t *pos)
{
    size_t at = *pos;
    for (;;) {
        if (at >= len)
            return false;
        uint8_t n = msg[at];
        if (n >= 0xc0 || n == 0) {
            *pos = at + (n ? 2 : 1);
            return *pos <= len;
        }
        if (n > 63)
            return false;
        at += 1u + n;
    }
}

static int refuse_short(struct why *why)
{
    return why_set(why, -E_FORMAT, "the message ends within a record");
}

static bool skip_questions(const uint8_t *msg, size_t len, size_t *pos)
{
    for (unsigned n = get_u16(msg + 4); n; n--) {
        if (!skip_name(msg, len, pos) || len - *pos < 4)
            return false;
        *pos += 4;
    }
    return true;
}

int tsig_read(const uint8_t *msg, size_t len, struct tsig_rr *out, struct why *why)
{
    if (len < MSG_HEADER)
        return refuse_short(why);
    size_t pos = MSG_HEADER, rdata = 0, rdata_len = 0;
    size_t additional = get_u16(msg + 10),
           left = (size_t)get_u16(msg + 6) + get_u16(msg + 8) + additional;
    if (!skip_questions(msg, len, &pos))
        return refuse_short(why);
    for (; left; left--) {
        size_t at = pos;
        if (!skip_name(msg, len, &pos) || len - pos < RECORD_FIXED)
            return refuse_short(why);
        const uint8_t *p = msg + pos;
        rdata = pos + RECORD_FIXED;
        rdata_len = get_u16(p + 8);
        if (len - rdata < rdata_len)
            return refuse_short(why);
        pos = rdata + rdata_len;
        if (get_u16(p) != RR_TSIG)
            continue;
        if (left > 1 || additional == 0)
            return why_set(why, -E_FORMAT, "a TSIG that is not the last record of all");
        if (get_u16(p + 2) != CLASS_ANY || get_u32(p + 4) != 0)
            return why_set(why, -E_FORMAT, "a TSIG whose class is not ANY or whose TTL is not 0");
        if (pos != len)
            return why_set(why, -E_FORMAT, "octets behind the TSIG");
        out->at = at;
        if (name_unpack(msg, len, &at, out->name, why) < 0)
            return -E_FORMAT;
        int err = tsig_read_rdata(msg + rdata, rdata_len, out, why);
        return err ? err : 1;
    }
    return 0;
}

/* ---- what is digested */

void tsig_mac_put_message(EVP_MAC_CTX *ctx, const uint8_t *msg, size_t end, uint16_t original_id,
                          bool had_tsig)
{
    uint8_t head[MSG_HEADER];
    memcpy(head, msg, sizeof head);
    put_u16(head, original_id);
    if (had_tsig)
        put_u16(head + 10, (uint16_t)(get_u16(head + 10) - 1));
    tsig_mac_put(ctx, head, sizeof head);
    tsig_mac_put(ctx, msg + MSG_HEADER, end - MSG_HEADER);
}

void tsig_mac_put_variables(EVP_MAC_CTX *ctx, const struct tsig_key *key,
                            const struct tsig_variables *v, bool timers_only)
{
    uint8_t out[2 * NAME_MAX_OCTETS + 32];
    struct wbuf o = wbuf_open(out, sizeof out);
    size_t algorithm_len;
    const uint8_t *algorithm = tsig_key_algorithm_name(key, &algorithm_len);
    if (!timers_only) {
        wbuf_put(&o, tsig_key_name(key), name_len(tsig_key_name(key)));
        wbuf_u16(&o, CLASS_ANY);
        wbuf_u32(&o, 0);
        wbuf_put(&o, algorithm, algorithm_len);
    }
    uint8_t *time = wbuf_take(&o, TSIG_TIME_OCTETS);
    ASSERT(time);
    put_u48(time, v->time);
    wbuf_u16(&o, v->fudge);
    if (!timers_only) {
        wbuf_u16(&o, v->error);
        wbuf_u16(&o, v->other_len);
    }
    ASSERT(!o.bad);
    tsig_mac_put(ctx, out, wbuf_len(&o));
    if (!timers_only)
        tsig_mac_put(ctx, v->other, v->other_len);
}

/* ---- checking */

bool tsig_rr_is_by(const struct tsig_rr *rr, const struct tsig_key *key)
{
    size_t len;
    const uint8_t *algorithm = tsig_key_algorithm_name(key, &len);
    return name_equal(rr->name, tsig_key_name(key)) && name_equal(rr->algorithm, algorithm);
}

int tsig_rr_check_mac(const struct tsig_rr *rr, const struct tsig_mac *want)
{
    size_t least = want->len / 2 > MAC_MIN ? want->len / 2 : MAC_MIN;
    if (rr->mac_len > want->len || rr->mac_len < least)
        return -E_FORMAT;
    if (CRYPTO_memcmp(rr->mac, want->octets, rr->mac_len) != 0)
        return TSIG_BADSIG;
    return rr->mac_len < want->len ? TSIG_BADTRUNC : 0;
}

bool tsig_rr_in_time(const struct tsig_rr *rr, uint64_t now)
{
    return (now > rr->time ? now - rr->time : rr->time - now) <= rr->fudge;
}

static struct tsig_variables variables_of(const struct tsig_rr *rr)
{
    return (struct tsig_variables){.time = rr->time,
                                   .fudge = rr->fudge,
                                   .error = rr->error,
                                   .other = rr->other,
                                   .other_len = rr->other_len};
}

int tsig_verify(const struct tsig_key *key, const struct tsig_mac *prior, const uint8_t *msg,
                const struct tsig_rr *rr, uint64_t now)
{
    if (!key || !tsig_rr_is_by(rr, key))
        return TSIG_BADKEY;
    struct tsig_mac want;
    struct tsig_variables v = variables_of(rr);
    EVP_MAC_CTX *ctx = tsig_mac_open(key);
    tsig_mac_put_prior(ctx, prior);
    tsig_mac_put_message(ctx, msg, rr->at, rr->original_id, true);
    tsig_mac_put_variables(ctx, key, &v, false);
    tsig_mac_close(&ctx, &want);
    int wrong = tsig_rr_check_mac(rr, &want);
    if (wrong && wrong != TSIG_BADTRUNC)
        return wrong;
    return tsig_rr_in_time(rr, now) ? wrong : TSIG_BADTIME;
}

/* ---- signing */

size_t tsig_append(const uint8_t *name, const uint8_t *algorithm, size_t algorithm_len,
                   const struct tsig_variables *v, const struct tsig_mac *mac, uint8_t *msg,
                   size_t len, size_t cap)
{
    size_t rdata_len = algorithm_len + RDATA_FIXED + mac->len + v->other_len;
    uint16_t count = get_u16(msg + 10);
    if (cap < len || count == UINT16_MAX)
        return 0;
    struct wbuf o = wbuf_open(msg + len, cap - len);
    wbuf_put(&o, name, name_len(name));
    wbuf_u16(&o, RR_TSIG);
    wbuf_u16(&o, CLASS_ANY);
    wbuf_u32(&o, 0);
    wbuf_u16(&o, (uint16_t)rdata_len);
    wbuf_put(&o, algorithm, algorithm_len);
    uint8_t time[TSIG_TIME_OCTETS];
    put_u48(time, v->time);
    wbuf_put(&o, time, sizeof time);
    wbuf_u16(&o, v->fudge);
    wbuf_u16(&o, mac->len);
    wbuf_put(&o, mac->octets, mac->len);
    wbuf_u16(&o, get_u16(msg));
    wbuf_u16(&o, v->error);
    wbuf_u16(&o, v->other_len);
    wbuf_put(&o, v->other, v->other_len);
    if (o.bad)
        return 0;
    put_u16(msg + 10, (uint16_t)(count + 1));
    return len + wbuf_len(&o);
}

size_t tsig_room(const struct tsig_key *key)
{
    size_t algorithm_len;
    (void)tsig_key_algorithm_name(key, &algorithm_len);
    return name_len(tsig_key_name(key)) + RECORD_FIXED + algorithm_len + RDATA_FIXED +
           tsig_key_mac_len(key) + TSIG_TIME_OCTETS;
}

static size_t sign(const struct tsig_key *key, const struct tsig_mac *prior,
                   const struct tsig_variables *v, uint8_t *msg, size_t len, size_t cap,
                   struct tsig_mac *mac)
{
    size_t algorithm_len;
    const uint8_t *algorithm = tsig_key_algorithm_name(key, &algorithm_len);
    EVP_MAC_CTX *ctx = tsig_mac_open(key);
    tsig_mac_put_prior(ctx, prior);
    tsig_mac_put_message(ctx, msg, len, get_u16(msg), false);
    tsig_mac_put_variables(ctx, key, v, false);
    tsig_mac_close(&ctx, mac);
    return tsig_append(tsig_key_name(key), algorithm, algorithm_len, v, mac, msg, len, cap);
}

size_t tsig_sign(const struct tsig_key *key, uint8_t *msg, size_t len, size_t cap, uint64_t now,
                 struct tsig_mac *mac)
{
    struct tsig_variables v = {.time = now, .fudge = TSIG_FUDGE_S};
    return sign(key, NULL, &v, msg, len, cap, mac);
}

/* ---- a query and its answer */

bool tsig_request_check(struct tsig_request *q, const struct tsig_keys *keys, const uint8_t *msg,
                        uint64_t now)
{
    q->key = tsig_keys_find(keys, q->rr.name);
    q->mac.len = 0;
    q->verdict = tsig_verify(q->key, NULL, msg, &q->rr, now);
    if (q->verdict == 0 || q->verdict == TSIG_BADTIME || q->verdict == TSIG_BADTRUNC) {
        q->mac.len = (uint8_t)q->rr.mac_len;
        memcpy(q->mac.octets, q->rr.mac, q->rr.mac_len);
    }
    return q->verdict == 0;
}

size_t tsig_request_room(const struct tsig_request *q)
{
    if (q->mac.len)
        return tsig_room(q->key);
    return name_len(q->rr.name) + RECORD_FIXED + q->rr.algorithm_len + RDATA_FIXED;
}

size_t tsig_request_answer(const struct tsig_request *q, uint8_t *msg, size_t len, size_t cap,
                           uint64_t now)
{
    struct tsig_mac mac = {.len = 0};
    struct tsig_variables v = {.time = now, .fudge = TSIG_FUDGE_S, .error = (uint16_t)q->verdict};
    uint8_t server_time[TSIG_TIME_OCTETS];
    ASSERT(q->verdict >= 0);
    if (q->verdict && q->verdict != TSIG_BADTRUNC) { /* the client's own: 5.2.3 for BADTIME */
        v.time = q->rr.time;
        v.fudge = q->rr.fudge;
    }
    if (q->verdict == TSIG_BADTIME) {
        put_u48(server_time, now);
        v.other = server_time;
        v.other_len = sizeof server_time;
    }
    if (q->mac.len)
        return sign(q->key, &q->mac, &v, msg, len, cap, &mac);
    return tsig_append(q->rr.name, q->rr.algorithm, q->rr.algorithm_len, &v, &mac, msg, len, cap);
}
