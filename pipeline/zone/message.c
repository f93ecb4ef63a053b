/* message: stepping over the records of a message.
 *
 * In a transfer most records have the owner of the record before, written as a pointer to where
 * that one lies. So the reader remembers where the last owner's first label lies; when the pointers
 * that a new owner begins with lead to that very place, it is the same name, and nothing is
 * unpacked or compared.
 *
 * Rdata of types whose names are never compressed is checked where it lies and lent from the
 * message; only the types of RFC 1035 and RFC 3597 4 are unpacked.
 */
#include "pipeline/zone/message.h"

#include <stdio.h>
#include <string.h>

enum { RECORD_FIXED = 10, OWNER_JUMPS = 8 };

const char *rcode_text(unsigned rcode)
{
    static const char *const known[] = {
        "NOERROR",  "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP",   "REFUSED",
        "YXDOMAIN", "YXRRSET", "NXRRSET",  "NOTAUTH",  "NOTZONE",  "DSOTYPENI",
        NULL,       NULL,      NULL,       NULL,       "BADVERS",  "BADKEY",
        "BADTIME",  "BADMODE", "BADNAME",  "BADALG",   "BADTRUNC", "BADCOOKIE",
    };
    static _Thread_local char other[16];
    if (rcode < sizeof known / sizeof *known && known[rcode])
        return known[rcode];
    snprintf(other, sizeof other, "RCODE%u", rcode & 0xffff);
    return other;
}

int msg_open(struct msg_reader *r, const uint8_t *msg, size_t len, struct why *why)
{
    if (len < MSG_HEADER)
        return why_set(why, -E_FORMAT, "%zu octets are no message", len);
    if (len > MSG_MAX)
        return why_set(why, -E_FORMAT, "%zu octets are more than a message has", len);
    r->msg = msg;
    r->len = len;
    r->pos = MSG_HEADER;
    r->id = get_u16(msg);
    r->flags = get_u16(msg + 2);
    for (unsigned i = 0; i < 4; i++)
        r->count[i] = get_u16(msg + 4 + 2 * i);
    r->section = SECTION_QUESTION;
    r->index = 0;
    r->owner_at = 0;
    r->owner_len = 0;
    return 0;
}

static int reader_bad(const struct msg_reader *r, const char *what, struct why *why)
{
    static const char *const section[] = {"question", "answer", "authority", "additional"};
    return why_set(why, -E_FORMAT, "%s record %u of %u at octet %zu: %s", section[r->section],
                   r->index + 1, r->count[r->section], r->pos, what);
}

int msg_question(struct msg_reader *r, uint8_t name[NAME_MAX_OCTETS], uint16_t *type,
                 uint16_t *class, struct why *why)
{
    struct why inner;
    if (r->section != SECTION_QUESTION || r->index >= r->count[SECTION_QUESTION])
        return why_set(why, -E_FORMAT, "no question is left");
    size_t pos = r->pos;
    int n = name_unpack(r->msg, r->len, &pos, name, &inner);
    if (n < 0)
        return reader_bad(r, inner.text, why);
    if (r->len - pos < 4)
        return reader_bad(r, "counted, but the message ends", why);
    *type = get_u16(r->msg + pos);
    *class = get_u16(r->msg + pos + 2);
    r->pos = pos + 4;
    r->index++;
    return n;
}

/* Where the octets of the name at r->pos begin, when a few plain jumps lead there; 0: not known. */
static size_t owner_origin(const struct msg_reader *r)
{
    size_t at = r->pos;
    for (unsigned jumps = 0; r->len - at >= 2 && r->msg[at] >= 0xc0; jumps++) {
        size_t target = (size_t)(r->msg[at] & 0x3f) << 8 | r->msg[at + 1];
        if (target >= at || jumps == OWNER_JUMPS)
            return 0;
        at = target;
    }
    return at;
}

static int reader_owner(struct msg_reader *r, struct rr *rr, struct why *why)
{
    size_t origin = owner_origin(r);
    rr->same_owner = origin && origin == r->owner_at;
    if (rr->same_owner) {
        r->pos += 2; /* it was a pointer: a name of its own would lie at a place of its own */
    } else {
        uint8_t name[NAME_MAX_OCTETS];
        struct why inner;
        size_t pos = r->pos;
        int n = name_unpack(r->msg, r->len, &pos, name, &inner);
        if (n < 0)
            return reader_bad(r, inner.text, why);
        rr->same_owner = n == r->owner_len && memcmp(name, r->owner, (size_t)n) == 0;
        if (!rr->same_owner)
            memcpy(r->owner, name, (size_t)n);
        r->owner_len = (uint8_t)n;
        r->owner_at = origin;
        r->pos = pos;
    }
    rr->owner = r->owner;
    rr->owner_len = r->owner_len;
    return 0;
}

static int reader_rdata(struct msg_reader *r, struct rr *rr, uint16_t rdlen, struct why *why)
{
    struct why inner;
    const uint8_t *p = r->msg + r->pos;
    int n = rdlen;
    rr->rdata = p;
    if (rr->class != CLASS_IN) {
        /* Layouts are those of class IN; OPT's class is a size, and TSIG's is ANY. */
    } else if (!rrtype_may_compress(rr->type)) {
        n = rdata_valid(rr->type, p, rdlen, &inner);
        n = n < 0 ? n : rdlen;
    } else {
        n = rdata_unpack(rr->type, r->msg, r->len, r->pos, rdlen, r->rdata, sizeof r->rdata,
                         &inner);
        rr->rdata = r->rdata;
    }
    if (n < 0) {
        char type[RRTYPE_TEXT_MAX];
        struct why whole;
        why_set(&whole, -E_FORMAT, "rdata of %s does not parse: %s", rrtype_print(rr->type, type),
                inner.text);
        return reader_bad(r, whole.text, why);
    }
    rr->len = (uint16_t)n;
    r->pos += rdlen;
    return 0;
}

int msg_next(struct msg_reader *r, struct rr *rr, struct why *why)
{
    uint8_t name[NAME_MAX_OCTETS];
    while (r->section == SECTION_QUESTION && r->index < r->count[SECTION_QUESTION]) {
        int rc = msg_question(r, name, &rr->type, &rr->class, why);
        if (rc < 0)
            return rc;
    }
    while (r->index >= r->count[r->section]) {
        if (r->section == SECTION_ADDITIONAL) {
            if (r->pos != r->len)
                return why_set(why, -E_FORMAT,
                               "%zu octets are left over after the last record, at octet %zu",
                               r->len - r->pos, r->pos);
            return 0;
        }
        r->section++;
        r->index = 0;
    }
    rr->at = r->pos;
    rr->section = (uint8_t)r->section;
    if (r->pos == r->len)
        return reader_bad(r, "counted, but the message ends", why);
    int rc = reader_owner(r, rr, why);
    if (rc < 0)
        return rc;
    if (r->len - r->pos < RECORD_FIXED)
        return reader_bad(r, "record runs past the end of the message", why);
    const uint8_t *p = r->msg + r->pos;
    rr->type = get_u16(p);
    rr->class = get_u16(p + 2);
    rr->ttl = get_u32(p + 4);
    if (rr->ttl >> 31 && rr->type != RR_OPT)
        rr->ttl = 0;
    uint16_t rdlen = get_u16(p + 8);
    if (r->len - r->pos - RECORD_FIXED < rdlen)
        return reader_bad(r, "rdata runs past the end of the message", why);
    r->pos += RECORD_FIXED;
    rc = reader_rdata(r, rr, rdlen, why);
    if (rc < 0)
        return rc;
    r->index++;
    return 1;
}

void msg_edns(struct edns *edns, const struct rr *opt)
{
    if (edns->present || opt->owner_len != 1 || opt->section != SECTION_ADDITIONAL)
        edns->bad = true;
    edns->present = true;
    edns->udp_size = opt->class;
    edns->rcode = opt->ttl >> 24 << 4;
    edns->version = (uint8_t)(opt->ttl >> 16);
    edns->dnssec_ok = opt->ttl & 0x8000;
    struct rbuf options = rbuf_open(opt->rdata, opt->len);
    while (rbuf_left(&options) && !options.bad) {
        uint16_t code = rbuf_u16(&options), len = rbuf_u16(&options);
        const uint8_t *value = rbuf_take(&options, len);
        if (code == EDNS_EXPIRE && value && len == 4) {
            edns->has_expire = true;
            edns->expire_s = get_u32(value);
        }
    }
    edns->bad |= options.bad;
}
