/* What the parent's servers answer.
 *
 * To "what is the DS of this zone?":
 *
 *   AA, DS records at the zone's name                      the set
 *   AA, no DS, an SOA from above the zone                  there is none (NODATA, or NXDOMAIN: not even a delegation)
 *   AA, no DS, the SOA of the zone itself                  the server has the zone, but not its parent (RFC 4035 3.1.4.1): no answer
 *   a referral                                             the server has neither: no answer
 *   no AA                                                  a cache, or a copy that expired: no answer
 *   an alias, another RCODE, a record that does not parse  no answer
 *
 * To "what are the NS of this zone?", of a server that answered the first question:
 *
 *   no AA, a referral to the zone                          the delegation's set (RFC 1034 4.2.1)
 *   AA, NS records at the zone's name                      the server has the zone, too: the zone's own set hides the delegation's
 *   AA, no NS, an SOA from above the zone                  there is no delegation
 *   anything else                                          no answer
 *
 * All that is not a clear word of the parent is no answer: on a DS that is said to be there, or gone, a key is given up. */
#include "pipeline/net/parent_p.h"

#include "pipeline/base/alloc.h"

enum { DS_MIN = 5, SOA_MINIMUM = 4 };

/* What stands in an answer. */
struct seen {
    const uint8_t *zone;
    uint16_t type;              /* that was asked for */
    struct parent_set *set;     /* of that type, in the answer */
    struct parent_set referred; /* NS at the zone's name, in the authority section */
    bool alias, referral, soa;
    uint8_t authority[NAME_MAX_OCTETS]; /* owner of the SOA or the NS */
    uint32_t negative_ttl;
    struct edns edns;
};

static const char *type_text(const struct seen *s)
{
    return s->type == RR_DS ? "a DS" : "an NS";
}

static int set_take(struct parent_set *set, const struct rr *rr, struct why *why)
{
    uint8_t name[NAME_MAX_OCTETS];
    const uint8_t *rdata = rr->rdata;
    if (rr->ttl > set->ttl || !set->n)
        set->ttl = rr->ttl;
    if (rr->type == RR_NS) {
        name_copy_lower(name, rdata);
        rdata = name;
    }
    return parent_set_add(set, rdata, rr->len, why);
}

static int answer_take(struct seen *s, const struct rr *rr, struct why *why)
{
    if (rr->type == RR_CNAME || rr->type == RR_DNAME)
        s->alias = true;
    if (rr->type != s->type || !name_equal(rr->owner, s->zone))
        return 0;
    if (rr->type == RR_DS && rr->len < DS_MIN)
        return why_set(why, -E_FORMAT, "a DS of %u octets", rr->len);
    return set_take(s->set, rr, why);
}

static int authority_take(struct seen *s, const struct rr *rr, struct why *why)
{
    if (rr->type == RR_SOA && !s->soa) {
        uint32_t minimum = get_u32(rr->rdata + rr->len - SOA_MINIMUM);
        s->soa = true;
        s->negative_ttl = rr->ttl < minimum ? rr->ttl : minimum;
        name_copy(s->authority, rr->owner);
    } else if (rr->type == RR_NS && !s->soa) {
        s->referral = true;
        name_copy(s->authority, rr->owner);
        if (s->type == RR_NS && name_equal(rr->owner, s->zone))
            return set_take(&s->referred, rr, why);
    }
    return 0;
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
            err = authority_take(s, &rr, why);
    }
    return err;
}

static int none_judge(const struct seen *s, struct why *why)
{
    char owner[NAME_TEXT_MAX];
    if (!s->soa)
        return why_set(why, -E_REFUSED,
                       "it answered with neither %s nor an SOA, so that it may be none of the "
                       "parent's servers",
                       type_text(s));
    if (name_equal(s->authority, s->zone))
        return why_set(why, -E_REFUSED,
                       "it answered from the zone itself: it serves the zone, but not the parent");
    if (!name_at_or_below(s->zone, s->authority))
        return why_set(why, -E_REFUSED, "it answered with the SOA of %s, which is not above",
                       name_print(s->authority, owner));
    return 0;
}

/* 0: the set (of none: with its TTL) is a word of an authority. */
static int judge(const struct seen *s, uint16_t flags, struct why *why)
{
    char owner[NAME_TEXT_MAX];
    if (s->alias)
        return why_set(why, -E_REFUSED, "it answered with an alias (CNAME or DNAME)");
    if (s->set->n && msg_rcode(flags) == RCODE_NXDOMAIN)
        return why_set(why, -E_REFUSED, "it answered with %s records and NXDOMAIN",
                       s->type == RR_DS ? "DS" : "NS");
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

/* Reads all of it. */
static int seen_fill(struct seen *s, struct msg_reader *r, struct why *why)
{
    unsigned rcode = msg_rcode(r->flags);
    if (rcode != RCODE_NOERROR && rcode != RCODE_NXDOMAIN)
        return why_set(why, -E_REFUSED, "it answered with RCODE %s", rcode_text(rcode));
    int err = records_take(r, s, why);
    if (!err && s->edns.rcode)
        err = why_set(why, -E_REFUSED, "it answered with RCODE %s",
                      rcode_text(rcode | s->edns.rcode));
    return err;
}

int parent_ds_read(struct msg_reader *r, const uint8_t *zone, struct parent_set *ds,
                   struct why *why)
{
    struct seen s = {.zone = zone, .type = RR_DS, .set = ds};
    int err = seen_fill(&s, r, why);
    if (!err)
        err = judge(&s, r->flags, why);
    if (err)
        parent_set_clear(ds);
    else if (!ds->n)
        ds->ttl = s.negative_ttl;
    return err;
}

static bool is_referral_here(const struct seen *s, uint16_t flags)
{
    return !(flags & MSG_AA) && msg_rcode(flags) == RCODE_NOERROR && s->referred.n && !s->set->n &&
           !s->alias && !s->soa && name_equal(s->authority, s->zone);
}

int parent_ns_read(struct msg_reader *r, const uint8_t *zone, struct parent_set *ns, bool *child,
                   struct why *why)
{
    struct seen s = {.zone = zone, .type = RR_NS, .set = ns};
    int err = seen_fill(&s, r, why);
    bool delegation = !err && is_referral_here(&s, r->flags);
    if (!err && !delegation)
        err = judge(&s, r->flags, why);
    *child = !err && ns->n;
    if (err) {
        parent_set_clear(ns);
    } else if (delegation) {
        *ns = s.referred;
        s.referred = (struct parent_set){0};
    } else if (!ns->n) {
        ns->ttl = s.negative_ttl;
    }
    parent_set_clear(&s.referred);
    return err;
}
