/* answer_query: reads the query, once and to its end.
 *
 * A query is a header, one question and, nearly always, nothing or an OPT; that path touches each
 * octet once. All other records are stepped over with every bound checked; two of them matter: the
 * SOA in an IXFR's authority section or a NOTIFY's answer section, of which the serial is kept, and
 * a TSIG, which must be the last record of all. What was read before the fault is kept
 * (has_question), so that a FORMERR can echo it.
 */
#include "pipeline/net/answer_state.h"

#include "pipeline/base/buf.h"

#include <string.h>

static bool read_question(struct answer_state *s, size_t *pos)
{
    const uint8_t *p = s->query->msg + *pos;
    size_t left = s->query->len - *pos;
    int len = name_valid(p, left); /* a pointer cannot be right in the first name of a message */
    if (len < 0 || left < (size_t)len + 4)
        return false;
    memcpy(s->work->qname, p, (size_t)len);
    s->qname = s->work->qname;
    s->qtype = get_u16(p + len);
    s->qclass = get_u16(p + len + 2);
    s->has_question = true;
    *pos += (size_t)len + 4;
    return true;
}

/* The serial of the SOA whose rdata is at [pos, end). */
static bool read_serial(struct answer_state *s, size_t pos, size_t end)
{
    uint8_t name[NAME_MAX_OCTETS];
    for (int i = 0; i < 2; i++)
        if (name_unpack(s->query->msg, end, &pos, name, NULL) < 0)
            return false;
    if (end - pos != 20)
        return false;
    s->serial = get_u32(s->query->msg + pos);
    s->has_serial = true;
    return true;
}

struct record {
    unsigned section;
    bool last; /* of the message */
    size_t at;
    const uint8_t *owner;
    uint16_t type, class;
    uint32_t ttl;
    size_t rdata, end;
};

static bool read_opt(struct answer_state *s, const struct record *r)
{
    if (r->section != SECTION_ADDITIONAL || s->edns.present || r->owner[0] != 0)
        return false;
    edns_read(s, r->class, r->ttl, s->query->msg + r->rdata, r->end - r->rdata);
    return !s->edns.bad;
}

static bool read_tsig(struct answer_state *s, const struct record *r)
{
    if (r->section != SECTION_ADDITIONAL || !r->last || r->class != CLASS_ANY || r->ttl != 0)
        return false;
    struct tsig_rr *rr = &s->work->tsig.rr;
    s->has_tsig = true;
    rr->at = r->at;
    name_copy(rr->name, r->owner);
    return tsig_read_rdata(s->query->msg + r->rdata, r->end - r->rdata, rr, NULL) == 0;
}

static bool read_record(struct answer_state *s, struct record *r, size_t *pos)
{
    const struct answer_query *q = s->query;
    uint8_t owner[NAME_MAX_OCTETS];
    r->owner = owner;
    r->at = *pos;
    if (*pos < q->len && q->msg[*pos] == 0) {
        owner[0] = 0;
        ++*pos;
    } else if (name_unpack(q->msg, q->len, pos, owner, NULL) < 0) {
        return false;
    }
    if (q->len - *pos < 10)
        return false;
    const uint8_t *p = q->msg + *pos;
    r->type = get_u16(p);
    r->class = get_u16(p + 2);
    r->ttl = get_u32(p + 4);
    r->rdata = *pos + 10;
    r->end = r->rdata + get_u16(p + 8);
    if (r->end > q->len)
        return false;
    *pos = r->end;
    if (r->type == RR_OPT)
        return read_opt(s, r);
    if (r->type == RR_TSIG)
        return read_tsig(s, r);
    unsigned wanted = s->opcode == OPCODE_NOTIFY ? SECTION_ANSWER : SECTION_AUTHORITY;
    if (r->type == RR_SOA && r->section == wanted && !s->has_serial && r->class == s->qclass &&
        name_equal(owner, s->qname))
        return read_serial(s, r->rdata, r->end);
    return true;
}

static bool read_records(struct answer_state *s, size_t pos)
{
    size_t left = (size_t)s->count[1] + s->count[2] + s->count[3];
    struct record r;
    for (r.section = SECTION_ANSWER; r.section <= SECTION_ADDITIONAL; r.section++)
        for (unsigned i = 0; i < s->count[r.section]; i++) {
            r.last = --left == 0;
            if (!read_record(s, &r, &pos))
                return false;
        }
    return pos == s->query->len;
}

void answer_parse(struct answer_state *s)
{
    const uint8_t *msg = s->query->msg;
    s->id = get_u16(msg);
    s->flags = get_u16(msg + 2);
    s->opcode = msg_opcode(s->flags);
    for (unsigned i = 0; i < 4; i++)
        s->count[i] = get_u16(msg + 4 + 2 * i);
    s->has_question = false;
    s->qname = NULL;
    s->qtype = s->qclass = 0;
    s->edns = (struct edns){0};
    s->wants_nsid = s->wants_expire = false;
    s->has_serial = false;
    s->serial = 0;
    s->has_tsig = false;
    s->key = NULL;
    s->tsig_room = 0;

    size_t pos = MSG_HEADER;
    s->well_formed = s->count[SECTION_QUESTION] == 1 && read_question(s, &pos) &&
                     read_records(s, pos) && !(s->flags & MSG_TC);
}
