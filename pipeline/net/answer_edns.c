/* answer_edns: OPT in, OPT out.
 *
 * A reply has OPT exactly when the query had (RFC 6891 6.1.1), also when the query's OPT was one of
 * two or its options were broken: a FORMERR without OPT would say that we do not speak EDNS. Of the
 * client's options NSID is obeyed, if an identity is configured, and EXPIRE (RFC 7314); all others are unknown to an
 * authoritative server and may be ignored. The room for OPT is set aside before the answer is
 * written; extended errors come with replies that are short, or they do not come.
 */
#include "pipeline/net/answer_state.h"

#include "pipeline/base/buf.h"

#include <string.h>
#include <time.h>

enum {
    OPTION_NSID = 3,
    OPTION_EXPIRE = 9,
    OPTION_EDE = 15,
    EXPIRE_ROOM = 4 + 4,
    NSID_MAX = 128,
    OPT_FIXED = 11,
    EDE_FIXED = 6
};

void edns_read(struct answer_state *s, uint16_t class, uint32_t ttl, const uint8_t *rdata,
               size_t len)
{
    s->edns.present = true;
    s->edns.udp_size = class;
    s->edns.version = (uint8_t)(ttl >> 16);
    s->edns.dnssec_ok = ttl & 0x8000;
    struct rbuf r = rbuf_open(rdata, len);
    while (rbuf_left(&r) && !r.bad) {
        uint16_t code = rbuf_u16(&r);
        uint16_t octets = rbuf_u16(&r);
        rbuf_take(&r, octets);
        if (code == OPTION_NSID)
            s->wants_nsid = true;
        if (code == OPTION_EXPIRE && octets == 0)
            s->wants_expire = true;
    }
    s->edns.bad = r.bad;
}

static size_t nsid_len(const struct answer_state *s)
{
    if (!s->wants_nsid || !s->query->conf->identity)
        return 0;
    size_t n = strlen(s->query->conf->identity);
    return n < NSID_MAX ? n : NSID_MAX;
}

size_t edns_room(const struct answer_state *s)
{
    if (!s->edns.present)
        return 0;
    size_t nsid = nsid_len(s);
    return OPT_FIXED + (nsid ? 4 + nsid : 0) + (s->wants_expire ? EXPIRE_ROOM : 0);
}

/* For how many seconds may the copy that is served be used (RFC 7314 2)? Of a zone that we are the primary of, what the SOA says;
 * never longer than what its stages vouch for, a validated zone's signatures. -1: nothing is promised, as after that moment. */
static int64_t expire_seconds(const struct answer_state *s)
{
    const struct version *v = s->version;
    if (!s->wants_expire || !v || s->qtype != RR_SOA || s->rcode != RCODE_NOERROR)
        return -1;
    time_t now = time(NULL), at = atomic_load(&s->result->zone->expires_at);
    int64_t left = at ? (int64_t)(at - now) : (int64_t)v->soa.expire;
    if (v->good_until && v->good_until - now < left)
        left = v->good_until - now;
    return left;
}

void edns_write(struct answer_state *s)
{
    uint8_t options[4 + NSID_MAX + EXPIRE_ROOM + EDE_FIXED + 64];
    struct wbuf o = wbuf_open(options, sizeof options);
    size_t nsid = nsid_len(s);
    if (nsid) {
        wbuf_u16(&o, OPTION_NSID);
        wbuf_u16(&o, (uint16_t)nsid);
        wbuf_put(&o, s->query->conf->identity, nsid);
    }
    int64_t expire = expire_seconds(s);
    if (expire >= 0) {
        wbuf_u16(&o, OPTION_EXPIRE);
        wbuf_u16(&o, 4);
        wbuf_u32(&o, (uint32_t)expire);
    }
    size_t text = s->ede_text ? strlen(s->ede_text) : 0;
    if (s->ede != EDE_NONE && s->limit - s->w->len >= OPT_FIXED + wbuf_len(&o) + EDE_FIXED + text) {
        wbuf_u16(&o, OPTION_EDE);
        wbuf_u16(&o, (uint16_t)(2 + text));
        wbuf_u16(&o, (uint16_t)s->ede);
        wbuf_put(&o, s->ede_text, text);
    }
    ASSERT(!o.bad);
    bool fits = msg_put_opt(s->w, (uint16_t)s->query->conf->udp_size, s->rcode, s->edns.dnssec_ok,
                            options, (uint16_t)wbuf_len(&o));
    ASSERT(fits);
}
