/* What an answer to "what has the zone of this type at its apex?" says.
 *
 *   AA, records of the type at the apex                    the set, with what signs it
 *   AA, none, the SOA of the zone itself                   there is none (NODATA)
 *   AA, none, the SOA of another zone                      it does not serve the zone, but one above
 *   no AA: a referral, a cache, a copy that expired        it does not serve the zone
 *   REFUSED, SERVFAIL, NOTAUTH, NXDOMAIN                   it does not serve the zone
 *   an alias, another RCODE, a record that does not parse, more than the bounds allow: no answer
 *
 * Signatures count as those over the type only where they say so; whatever else is in the answer is passed over. */
#include "pipeline/net/signer_p.h"

enum { SOA_NUMBERS = 20 }; /* octets, after its names */

struct seen {
    const uint8_t *apex;
    uint16_t type;
    struct node_builder *into;
    unsigned records, signatures;
    size_t octets;
    uint32_t serial;
    bool alias, soa, referral;
    uint8_t authority[NAME_MAX_OCTETS]; /* owner of the SOA or the NS there */
    struct edns edns;
};

static int answer_take(struct seen *s, const struct rr *rr, struct why *why)
{
    char type[RRTYPE_TEXT_MAX];
    if (!name_equal(rr->owner, s->apex))
        return 0;
    bool is_set = rr->type == s->type;
    s->alias |= rr->type == RR_CNAME;
    if (!is_set && (rr->type != RR_RRSIG || get_u16(rr->rdata) != s->type))
        return 0;
    s->octets += rr->len;
    unsigned n = is_set ? ++s->records : ++s->signatures;
    if (n > SIGNER_SET_RECORDS)
        return why_set(why, -E_LIMIT, "it answered with more than %d %s%s", SIGNER_SET_RECORDS,
                       rrtype_print(s->type, type), is_set ? " records" : " signatures");
    if (s->octets > SIGNER_SET_OCTETS)
        return why_set(why, -E_LIMIT, "it answered with more than %d octets of %s records",
                       SIGNER_SET_OCTETS, rrtype_print(s->type, type));
    if (rr->type == RR_SOA)
        s->serial = get_u32(rr->rdata + rr->len - SOA_NUMBERS);
    return s->into ? node_builder_add(s->into, rr->type, rr->ttl, rr->rdata, rr->len) : 0;
}

static void authority_take(struct seen *s, const struct rr *rr)
{
    if (s->soa || (rr->type != RR_SOA && rr->type != RR_NS))
        return;
    s->soa = rr->type == RR_SOA;
    s->referral = rr->type == RR_NS;
    name_copy(s->authority, rr->owner);
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

static int rcode_judge(unsigned rcode, struct why *why)
{
    bool not_here = rcode == RCODE_REFUSED || rcode == RCODE_SERVFAIL || rcode == RCODE_NOTAUTH ||
                    rcode == RCODE_NXDOMAIN;
    return rcode == RCODE_NOERROR ? 0
                                  : why_set(why, not_here ? -E_REFUSED : -E_UNSUPPORTED,
                                            "it answered with RCODE %s", rcode_text(rcode));
}

static int judge(const struct seen *s, uint16_t flags, struct why *why)
{
    char owner[NAME_TEXT_MAX], type[RRTYPE_TEXT_MAX];
    if (!(flags & MSG_AA) && s->referral && !s->records)
        return why_set(why, -E_REFUSED,
                       "it answered with a referral to %s: it does not serve the zone",
                       name_print(s->authority, owner));
    if (!(flags & MSG_AA))
        return why_set(why, -E_REFUSED,
                       "its answer is not authoritative (no AA): is it a resolver, or a secondary "
                       "that expired?");
    if (s->alias)
        return why_set(why, -E_MISMATCH, "it answered with an alias (CNAME)");
    if (s->records > 1 && s->type == RR_SOA)
        return why_set(why, -E_FORMAT, "it answered with %u SOA records", s->records);
    if (s->records)
        return 0;
    if (s->soa && !name_equal(s->authority, s->apex))
        return why_set(why, -E_REFUSED,
                       "it answered with the SOA of %s: it does not serve the zone",
                       name_print(s->authority, owner));
    if (!s->soa || s->type == RR_SOA)
        return why_set(why, -E_MISMATCH, "it answered with neither %s records nor an SOA",
                       rrtype_print(s->type, type));
    return 0;
}

int signer_answer_read(struct msg_reader *r, const uint8_t *apex, uint16_t type,
                       struct node_builder *into, uint32_t *serial, struct why *why)
{
    struct seen s = {.apex = apex, .type = type, .into = into};
    int err = rcode_judge(msg_rcode(r->flags), why);
    if (!err)
        err = records_take(r, &s, why);
    if (!err)
        err = rcode_judge(s.edns.rcode, why);
    if (!err)
        err = judge(&s, r->flags, why);
    if (!err && type == RR_SOA && serial)
        *serial = s.serial;
    return err;
}
