/* answer_zone: RFC 1034 4.3.2 in one zone.
 *
 * One name is looked up at a time (a link); a CNAME or a DNAME leads to the next one, until an end:
 *
 *    link ── at or below a cut ────────────▶ referral (DS at the cut itself: the cut answers)
 *         ├─ below a DNAME: synthesise ────▶ next link, or YXDOMAIN
 *         ├─ the name or its wildcard is ──▶ records, or CNAME to the next link, or NODATA
 *         └─ neither ──────────────────────▶ NXDOMAIN (of the last link: RFC 6604)
 *
 * The answer section grows from link to link; authority and additional are written once, at the
 * end. A chain ends without more where it leaves the zone, meets a name again, or is
 * ANSWER_CHAIN_MAX long; the client asks on from there. AA speaks of the first name: it is clear
 * only when the first link already is a referral.
 *
 * What does not fit: a set of the answer, its denial, its referral or the addresses below the cut
 * that a referral cannot do without (RFC 9471) sets TC, and nothing more is written. Other
 * addresses are left out silently.
 *
 * ANY and RRSIG over UDP get one set (RFC 8482 4.1): the first by type that is no DNSSEC
 * bookkeeping, the same one each time, so that a forged source gains nothing. TCP proves the
 * source, and there all of it is given.
 */
#include "pipeline/net/answer_state.h"

#include "pipeline/base/buf.h"

#include <string.h>

enum outcome { FOLLOW, ANSWERED, NODATA, NXDOMAIN, REFERRAL, YXDOMAIN, TRUNCATED, STOPPED };

enum { ADDITIONAL_MAX = 16 }; /* targets whose optional addresses are looked up */

struct link {
    const uint8_t *name;
    const struct node *
        node; /* that answers: of the name, of the wildcard, or the cut; NULL: empty non-terminal */
    const struct node *dname; /* whose record is in the answer */
    unsigned encloser_labels;
    bool wild; /* a wildcard stood in */
};
struct chase {
    struct answer_state *s;
    unsigned n;         /* links; the last one is under way */
    struct rrset final; /* that answered; type 0: none */
    struct link link[ANSWER_CHAIN_MAX + 1];
};

static bool is_hash_name(const struct node *node)
{
    struct rrset set;
    if (!node_rrset(node, RR_NSEC3, 0, &set))
        return false;
    for (unsigned i = 0; i < node->nrrsets; i++)
        if (node->head[i].type != RR_NSEC3 && node->head[i].type != RR_RRSIG)
            return false;
    return true;
}

/* What only carries an NSEC3 record is no name of the zone, unless others lie below it: then it is
 * an empty non-terminal (RFC 5155 7.2.8). */
static void locate(struct answer_state *s, const uint8_t *name, struct locate *at)
{
    snapshot_locate(s->zone, name, at);
    const struct node *hash = at->node ? at->node : at->exists ? NULL : at->encloser;
    if (!hash || !is_hash_name(hash))
        return;
    bool non_terminal = snapshot_has_below(s->zone, node_name(hash));
    if (at->node) {
        at->node = NULL;
        at->exists = non_terminal;
    }
    if (non_terminal)
        return;
    at->encloser = answer_apex(s);
    at->encloser_labels = name_labels(snapshot_apex_name(s->zone));
}

/* The part of name that is the node's name, in the spelling of name: a pointer when written. */
static const uint8_t *as_asked(const uint8_t *name, const struct node *node)
{
    return name + (name_len(name) - node->name_len);
}

static bool asks_for(const struct answer_state *s, const struct rrset *set)
{
    return s->qtype == RR_ANY || (s->qtype == RR_RRSIG && set->type == RR_RRSIG);
}

static bool is_bookkeeping(uint16_t type)
{
    return type == RR_RRSIG || type == RR_NSEC || type == RR_NSEC3;
}

/* Over UDP: the one set that stands for all. False: it does not fit; *any: there was one. */
static bool put_one_of_all(struct answer_state *s, const uint8_t *owner, const struct node *node,
                           bool *any)
{
    struct rrset set, found;
    *any = false;
    for (unsigned i = 0; i < node->nrrsets && !(*any && !is_bookkeeping(found.type)); i++) {
        node_rrset_at(node, i, &set);
        if (asks_for(s, &set) && (!*any || !is_bookkeeping(set.type))) {
            found = set;
            *any = true;
        }
    }
    return !*any || (found.type == RR_RRSIG ? msg_put_rrset(s->w, SECTION_ANSWER, owner, &found)
                                            : answer_put(s, SECTION_ANSWER, owner, node, &found));
}

static bool put_all(struct answer_state *s, const uint8_t *owner, const struct node *node,
                    bool *any)
{
    struct rrset set;
    *any = false;
    for (unsigned i = 0; i < node->nrrsets; i++) {
        node_rrset_at(node, i, &set);
        if (!asks_for(s, &set))
            continue;
        *any = true;
        if (!msg_put_rrset(s->w, SECTION_ANSWER, owner, &set))
            return false;
    }
    return true;
}

/* The node of the name, or of a wildcard that stands for it, has been found. */
static enum outcome answer_at(struct chase *c, struct link *l, const uint8_t **next)
{
    struct answer_state *s = c->s;
    const struct node *node = l->node;
    struct rrset set;
    if (s->qtype == RR_ANY || s->qtype == RR_RRSIG) {
        bool any, fits = s->query->tcp ? put_all(s, l->name, node, &any)
                                       : put_one_of_all(s, l->name, node, &any);
        if (any)
            return fits ? ANSWERED : TRUNCATED;
    }
    if (node_rrset(node, s->qtype, 0, &set)) {
        if (!answer_put(s, SECTION_ANSWER, l->name, node, &set))
            return TRUNCATED;
        c->final = set;
        return ANSWERED;
    }
    struct rdata target;
    if (!node_rrset(node, RR_CNAME, 0, &set) || !rrset_first(&set, &target))
        return NODATA;
    if (!answer_put(s, SECTION_ANSWER, l->name, node, &set))
        return TRUNCATED;
    *next = target.data;
    return FOLLOW;
}

static bool dname_is_put(const struct chase *c, const struct node *node)
{
    for (unsigned i = 0; i + 1 < c->n; i++)
        if (c->link[i].dname == node)
            return true;
    return false;
}

/* RFC 6672 2.2, 3.1: the labels above the DNAME's owner, before its target; a CNAME with the
 * DNAME's TTL. */
static enum outcome answer_dname(struct chase *c, struct link *l, const struct node *node,
                                 const uint8_t **next)
{
    struct answer_state *s = c->s;
    struct rrset set;
    struct rdata target;
    bool found = node_rrset(node, RR_DNAME, 0, &set) && rrset_first(&set, &target);
    ASSERT(found);
    const uint8_t *owner = as_asked(l->name, node);
    l->dname = node;
    if (!dname_is_put(c, node) && !answer_put(s, SECTION_ANSWER, owner, node, &set))
        return TRUNCATED;
    size_t kept = (size_t)(owner - l->name);
    if (kept + target.len > NAME_MAX_OCTETS)
        return YXDOMAIN;
    uint8_t *made = s->work->made[c->n - 1];
    memcpy(made, l->name, kept);
    memcpy(made + kept, target.data, target.len);
    if (!msg_put_rr(s->w, SECTION_ANSWER, l->name, RR_CNAME, CLASS_IN, set.ttl, made,
                    (uint16_t)(kept + target.len)))
        return TRUNCATED;
    *next = made;
    return s->qtype == RR_CNAME || s->qtype == RR_ANY ? ANSWERED : FOLLOW;
}

/* Neither the name nor a delegation or DNAME above it: RFC 4592 3.3.1. */
static enum outcome answer_wildcard(struct chase *c, struct link *l, const uint8_t **next)
{
    struct answer_state *s = c->s;
    const uint8_t *encloser = name_strip(l->name, name_labels(l->name) - l->encloser_labels);
    uint8_t wildcard[NAME_MAX_OCTETS];
    struct locate at;
    if (!name_wildcard_of(encloser, wildcard))
        return NXDOMAIN;
    locate(s, wildcard, &at);
    if (!at.exists)
        return NXDOMAIN;
    l->wild = true;
    l->node = at.node;
    return at.node ? answer_at(c, l, next) : NODATA;
}

static enum outcome answer_link(struct chase *c, struct link *l, const uint8_t **next)
{
    struct answer_state *s = c->s;
    struct locate at;
    locate(s, l->name, &at);
    l->encloser_labels = at.encloser_labels;
    l->node = at.node;
    if (at.cut && !(s->qtype == RR_DS && at.cut == at.node)) {
        l->node = at.cut;
        return REFERRAL;
    }
    if (at.dname)
        return answer_dname(c, l, at.dname, next);
    if (at.node)
        return answer_at(c, l, next);
    return at.exists ? NODATA : answer_wildcard(c, l, next);
}

static bool was_met(const struct chase *c, const uint8_t *name)
{
    for (unsigned i = 0; i < c->n; i++)
        if (name_equal(c->link[i].name, name))
            return true;
    return false;
}

static enum outcome chase(struct chase *c)
{
    const uint8_t *name = c->s->qname;
    for (;;) {
        struct link *l = &c->link[c->n++];
        *l = (struct link){.name = name};
        enum outcome end = answer_link(c, l, &name);
        if (end != FOLLOW)
            return end;
        if (c->n > ANSWER_CHAIN_MAX || was_met(c, name) ||
            !name_at_or_below(name, snapshot_apex_name(c->s->zone)))
            return STOPPED;
    }
}

/* Addresses of one name; false: not all of them fit. */
static bool put_addresses(struct answer_state *s, const uint8_t *name)
{
    static const uint16_t types[] = {RR_A, RR_AAAA};
    const struct node *node = snapshot_get(s->zone, name);
    struct rrset set;
    if (!node)
        return true;
    for (unsigned i = 0; i < 2; i++)
        if (node_rrset(node, types[i], 0, &set) &&
            !answer_put(s, SECTION_ADDITIONAL, name, node, &set))
            return false;
    return true;
}

/* Where the name lies in rdata that earns an additional section (RFC 1035 3.3.9, 3.3.11; RFC 2782).
 */
static int target_offset(uint16_t type)
{
    return type == RR_NS ? 0 : type == RR_MX ? 2 : type == RR_SRV ? 6 : -1;
}

static bool was_target(const struct rrset *set, const uint8_t *upto, const uint8_t *name)
{
    const uint8_t *p = set->rdata;
    struct rdata r;
    while (p < upto && rrset_next(set, &p, &r))
        if (r.data + target_offset(set->type) != name &&
            name_equal(r.data + target_offset(set->type), name))
            return true;
    return false;
}

/* Addresses of targets in the zone, but not below `not_below`, while there is room. */
static void put_optional(struct answer_state *s, const struct rrset *set, const uint8_t *not_below)
{
    int offset = target_offset(set->type);
    const uint8_t *p = set->rdata, *before = p;
    struct rdata r;
    for (unsigned i = 0; i < ADDITIONAL_MAX && rrset_next(set, &p, &r); i++, before = p) {
        const uint8_t *name = r.data + offset;
        if (!name_at_or_below(name, snapshot_apex_name(s->zone)) ||
            (not_below && name_at_or_below(name, not_below)) ||
            (set->type != RR_NS && was_target(set, before, name)))
            continue;
        if (!put_addresses(s, name))
            return;
    }
}

/* Addresses of the cut's own name servers below it: without them nobody gets there. */
static bool put_required(struct answer_state *s, const struct rrset *ns, const uint8_t *cut)
{
    const uint8_t *p = ns->rdata;
    struct rdata r;
    while (rrset_next(ns, &p, &r))
        if (name_at_or_below(r.data, cut) && !put_addresses(s, r.data))
            return false;
    return true;
}

/* Whether the child is signed, and by which key. A DS that the zone does not sign is no use to anybody. */
static bool put_security(struct answer_state *s, const struct node *cut, const uint8_t *owner)
{
    struct rrset ds, sig;
    if (!node_rrset(cut, RR_DS, 0, &ds))
        return denial_of_ds(s, cut);
    return !node_rrset(cut, RR_RRSIG, RR_DS, &sig) ||
           answer_put(s, SECTION_AUTHORITY, owner, cut, &ds);
}

static enum outcome refer(struct answer_state *s, const struct link *l)
{
    const struct node *cut = l->node;
    const uint8_t *owner = as_asked(l->name, cut);
    struct rrset ns;
    bool found = node_rrset(cut, RR_NS, 0, &ns);
    ASSERT(found);
    if (!msg_put_rrset(s->w, SECTION_AUTHORITY, owner, &ns))
        return TRUNCATED;
    if (s->edns.dnssec_ok && !put_security(s, cut, owner))
        return TRUNCATED;
    if (!put_required(s, &ns, node_name(cut)))
        return TRUNCATED;
    put_optional(s, &ns, node_name(cut));
    return REFERRAL;
}

static bool deny(struct answer_state *s, const struct link *l, bool name_exists)
{
    if (!denial_soa(s))
        return false;
    if (!name_exists)
        return denial_of_name(s, l->name, l->encloser_labels);
    if (l->wild)
        return denial_at_wildcard(s, l->name, l->encloser_labels, l->node);
    return denial_of_type(s, l->name, l->node);
}

/* That nothing closer than the wildcards used exists. The last link speaks for itself when it is a
 * denial. */
static bool prove_wildcards(const struct chase *c, enum outcome end)
{
    unsigned n = end == NODATA || end == NXDOMAIN ? c->n - 1 : c->n;
    for (unsigned i = 0; i < n; i++)
        if (c->link[i].wild && !denial_of_closer(c->s, c->link[i].name, c->link[i].encloser_labels))
            return false;
    return true;
}

/* Authority and additional, once the answer section stands. */
static enum outcome finish(struct chase *c, enum outcome end)
{
    struct answer_state *s = c->s;
    const struct link *last = &c->link[c->n - 1];
    if (end == TRUNCATED)
        return end;
    if ((end == NODATA || end == NXDOMAIN) && !deny(s, last, end == NODATA))
        return TRUNCATED;
    if (!prove_wildcards(c, end))
        return TRUNCATED;
    if (end == REFERRAL)
        return refer(s, last);
    if (end == ANSWERED && target_offset(c->final.type) >= 0)
        put_optional(s, &c->final, NULL);
    return end;
}

/* A DS lives above the cut: the zone above answers if it is held, unless it has delegated on before
 * the name (then it knows nothing, and the child says so: RFC 4035 3.1.4.1). */
static struct zone *zone_of_question(const struct answer_state *s)
{
    struct zone *zone = zone_table_find(s->query->zones, s->qname);
    if (s->qtype != RR_DS || !zone || s->qname[0] == 0 || !name_equal(zone->name, s->qname))
        return zone;
    struct zone *above = zone_table_find(s->query->zones, name_parent(s->qname));
    const struct version *v = above ? rcu_read(&above->version) : NULL;
    if (!v)
        return above ? above : zone;
    struct locate at;
    snapshot_locate(v->served, s->qname, &at);
    return at.cut && at.cut != at.node ? zone : above;
}

void answer_from_zone(struct answer_state *s)
{
    struct zone *zone = zone_of_question(s);
    if (!zone) {
        answer_fail_why(s, RCODE_REFUSED, EDE_NOT_AUTHORITATIVE, NULL);
        return;
    }
    if (!answer_open_zone(s, zone))
        return;
    struct chase c;
    c.s = s;
    c.n = 0;
    c.final.type = 0;
    enum outcome end = chase(&c);
    bool referred = end == REFERRAL && c.n == 1;
    if (!referred && s->qclass == CLASS_IN)
        s->reply_flags |= MSG_AA;
    if (end == NXDOMAIN)
        answer_fail(s, RCODE_NXDOMAIN);
    else if (end == YXDOMAIN)
        answer_fail(s, RCODE_YXDOMAIN);
    if (finish(&c, end) == TRUNCATED)
        s->reply_flags |= MSG_TC;
}
