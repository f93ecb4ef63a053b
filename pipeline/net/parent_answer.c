/* What an answer to "what is the DS of this zone?" says.
 *
 *   AA, DS records at the zone's name                      the set
 *   AA, no DS, an SOA from above the zone                  there is none (NODATA, or NXDOMAIN: not even a delegation)
 *   AA, no DS, the SOA of the zone itself                  the server has the zone, but not its parent (RFC 4035 3.1.4.1): no answer
 *   a referral                                             the server has neither: no answer
 *   no AA                                                  a cache, or a copy that expired: no answer
 *   an alias, another RCODE, a record that does not parse  no answer
 *
 * All that is not a clear word of the parent is no answer: on a DS that is said to be there, or gone, a key is given up. */
#include "pipeline/net/parent_p.h"

#include "pipeline/base/alloc.h"

enum { DS_MIN = 5, SOA_MINIMUM = 4 };

static bool rejects_query(unsigned rcode)
{
    return rcode == RCODE_FORMERR || rcode == RCODE_NOTIMP;
}

bool parent_answer_is_ours(struct msg_reader *r, const uint8_t *msg, size_t len,
                           const uint8_t *zone, uint16_t id)
{
    uint8_t name[NAME_MAX_OCTETS];
    uint16_t type, class;
    struct why why;
    if (msg_open(r, msg, len, &why) || r->id != id || !(r->flags & MSG_QR) ||
        msg_opcode(r->flags) != OPCODE_QUERY)
        return false;
    if (r->count[SECTION_QUESTION] == 0)
        return rejects_query(msg_rcode(r->flags));
    return r->count[SECTION_QUESTION] == 1 && msg_question(r, name, &type, &class, &why) > 0 &&
           type == RR_DS && class == CLASS_IN && name_equal(name, zone);
}

/* What stands in an answer besides the set. */
struct seen {
    const uint8_t *zone;
    struct parent_set *set;
    bool alias, referral, soa;
    uint8_t authority[NAME_MAX_OCTETS]; /* owner of the SOA or the NS */
    uint32_t negative_ttl;
    struct edns edns;
};

static int answer_take(struct seen *s, const struct rr *rr, struct why *why)
{
    if (rr->type == RR_CNAME || rr->type == RR_DNAME)
        s->alias = true;
    if (rr->type != RR_DS || !name_equal(rr->owner, s->zone))
        return 0;
    if (rr->len < DS_MIN)
        return why_set(why, -E_FORMAT, "a DS of %u octets", rr->len);
    if (rr->ttl > s->set->ttl || !s->set->n)
        s->set->ttl = rr->ttl;
    return parent_set_add(s->set, rr->rdata, rr->len, why);
}

static void authority_take(struct seen *s, const struct rr *rr)
{
    if (rr->type == RR_SOA && !s->soa) {
        uint32_t minimum = get_u32(rr->rdata + rr->len - SOA_MINIMUM);
        s->soa = true;
        s->negative_ttl = rr->ttl < minimum ? rr->ttl : minimum;
        name_copy(s->authority, rr->owner);
    } else if (rr->type == RR_NS && !s->soa) {
        s->referral = true;
        name_copy(s->authority, rr->owner);
    }
}

static int records_take(struct msg_reader *r, struct seen *s, struct why *why)
{
    struct rr rr;
    int more, err = 0;
    while (!err && (more = msg_next(r, &rr, why)) != 0) {
        if (more < 0)
            return more;
        if (rr.type == RR_OPT)
            msg_edns(&s->edns, &rr);
        else if (rr.class != CLASS_IN)
            continue;
        else if (rr.section == SECTION_ANSWER)
            err = answer_take(s, &rr, why);
        else if (rr.section == SECTION_AUTHORITY)
            authority_take(s, &rr);
    }
    return err;
}

static int none_judge(const struct seen *s, struct why *why)
{
    char owner[NAME_TEXT_MAX];
    if (!s->soa)
        return why_set(why, -E_REFUSED,
                       "it answered with neither a DS nor an SOA, so that it may be none of the "
                       "parent's servers");
    if (name_equal(s->authority, s->zone))
        return why_set(why, -E_REFUSED,
                       "it answered from the zone itself: it serves the zone, but not the parent");
    if (!name_at_or_below(s->zone, s->authority))
        return why_set(why, -E_REFUSED, "it answered with the SOA of %s, which is not above",
                       name_print(s->authority, owner));
    return 0;
}

/* 0: the set (of none: with its TTL) is a word of the parent. */
static int judge(const struct seen *s, uint16_t flags, struct why *why)
{
    char owner[NAME_TEXT_MAX];
    unsigned rcode = msg_rcode(flags);
    if (s->alias)
        return why_set(why, -E_REFUSED, "it answered with an alias (CNAME or DNAME)");
    if (s->set->n && rcode == RCODE_NXDOMAIN)
        return why_set(why, -E_REFUSED, "it answered with DS records and NXDOMAIN");
    if (!(flags & MSG_AA) && s->referral && !s->set->n && !s->soa)
        return why_set(why, -E_REFUSED,
                       "it answered with a referral to %s: it does not serve the parent",
                       name_print(s->authority, owner));
    if (!(flags & MSG_AA))
        return why_set(why, -E_REFUSED,
                       "its answer is not authoritative (no AA): is it a resolver, or a secondary "
                       "that expired?");
    return s->set->n ? 0 : none_judge(s, why);
}

enum parent_word parent_answer_read(struct msg_reader *r, const uint8_t *zone, bool edns,
                                    struct parent_set *set, struct why *why)
{
    struct seen s = {.zone = zone, .set = set};
    unsigned rcode = msg_rcode(r->flags);
    if (edns && rejects_query(rcode) && r->count[SECTION_ADDITIONAL] == 0)
        return PARENT_WORD_PLAIN;
    if (rcode != RCODE_NOERROR && rcode != RCODE_NXDOMAIN) {
        (void)why_set(why, 0, "it answered with RCODE %s", rcode_text(rcode));
        return PARENT_WORD_BAD;
    }
    if (r->flags & MSG_TC)
        return PARENT_WORD_CUT;
    int err = records_take(r, &s, why);
    if (!err && s.edns.rcode)
        err =
            why_set(why, -E_REFUSED, "it answered with RCODE %s", rcode_text(rcode | s.edns.rcode));
    if (!err)
        err = judge(&s, r->flags, why);
    if (err) {
        parent_set_clear(set);
        return PARENT_WORD_BAD;
    }
    if (!set->n)
        set->ttl = s.negative_ttl;
    return PARENT_WORD_SET;
}
