/* Two sorted lists of changed names, merged; at each name two short sorted lists of rrsets, merged.
 */
#include "pipeline/run/identity.h"

#include "pipeline/base/buf.h"

#include <string.h>

enum { SOA_AFTER_NAMES = 20 }; /* octets of the SOA's numbers; the serial is the first four */

/* What is let go at a name. */
struct scope {
    bool at_apex, key_sets_only;
    const struct keyset *joins; /* of the apex only */
};

static bool is_key_set(const struct rrset *set)
{
    uint16_t type = set->type == RR_RRSIG ? set->covered : set->type;
    return type == RR_DNSKEY || type == RR_CDS || type == RR_CDNSKEY;
}

static bool is_dnssec(uint16_t type, bool at_apex)
{
    switch (type) {
    case RR_RRSIG:
    case RR_NSEC:
    case RR_NSEC3:
    case RR_NSEC3PARAM:
    case RR_DNSKEY:
    case RR_CDS:
    case RR_CDNSKEY:
    case RR_CSYNC:
    case RR_ZONEMD:
        return true;
    case RR_DS:
        return at_apex;
    default:
        return false;
    }
}

/* The next rrset of data, from *i on. False: there is none. */
static bool data_next(const struct node *node, unsigned *i, const struct scope *scope,
                      struct rrset *out)
{
    while (node && *i < node->nrrsets) {
        node_rrset_at(node, (*i)++, out);
        bool may_differ = scope->key_sets_only ? scope->at_apex && is_key_set(out)
                                               : is_dnssec(out->type, scope->at_apex);
        if (!may_differ)
            return true;
    }
    return false;
}

static bool soa_equal(const struct rrset *a, const struct rrset *b)
{
    struct rdata x, y;
    if (a->count != 1 || b->count != 1 || a->ttl != b->ttl || !rrset_first(a, &x) ||
        !rrset_first(b, &y) || x.len != y.len || x.len < SOA_AFTER_NAMES)
        return rrset_equal(a, b, true);
    size_t serial = (size_t)x.len - SOA_AFTER_NAMES;
    return memcmp(x.data, y.data, serial) == 0 &&
           memcmp(x.data + serial + 4, y.data + serial + 4, SOA_AFTER_NAMES - 4) == 0;
}

static bool set_has(const struct rrset *set, struct rdata wanted)
{
    struct rdata r;
    for (const uint8_t *p = set->rdata; rrset_next(set, &p, &r);)
        if (r.len == wanted.len && memcmp(r.data, wanted.data, r.len) == 0)
            return true;
    return false;
}

static bool set_has_name(const struct rrset *set, const uint8_t *name)
{
    struct rdata r;
    for (const uint8_t *p = set->rdata; rrset_next(set, &p, &r);)
        if (name_equal(r.data, name))
            return true;
    return false;
}

/* Is b just a and those names of the keyset that a does not have? */
static bool ns_joined(const struct rrset *a, const struct rrset *b, const struct keyset *joins)
{
    struct rdata ns;
    unsigned more = 0;
    if (a->ttl != b->ttl || b->count < a->count || b->count > a->count + joins->nns)
        return false;
    for (const uint8_t *p = a->rdata; rrset_next(a, &p, &ns);)
        if (!set_has(b, ns))
            return false;
    for (unsigned i = 0; i < joins->nns; i++) {
        const uint8_t *name = joins->ns[i];
        if (set_has_name(a, name))
            continue;
        if (!set_has(b, (struct rdata){name, (uint16_t)name_len(name)}))
            return false;
        more++;
    }
    return b->count == a->count + more;
}

static bool data_equal(const struct rrset *a, const struct rrset *b, const struct scope *scope)
{
    if (a->type == RR_SOA && !scope->key_sets_only)
        return soa_equal(a, b);
    return rrset_equal(a, b, true) ||
           (a->type == RR_NS && scope->joins && ns_joined(a, b, scope->joins));
}

/* As sets are ordered in a node. */
static int set_order(const struct rrset *a, const struct rrset *b)
{
    return a->type != b->type ? (int)a->type - (int)b->type : (int)a->covered - (int)b->covered;
}

static bool breach_set(struct identity_breach *breach, const struct node *node, uint16_t type,
                       const char *what)
{
    *breach = (struct identity_breach){node_name(node), type, what};
    return false;
}

static bool nodes_say_the_same(const struct node *in, const struct node *out,
                               const struct scope *scope, struct identity_breach *breach)
{
    unsigned i = 0, j = 0;
    struct rrset a, b;
    bool has_a = data_next(in, &i, scope, &a), has_b = data_next(out, &j, scope, &b);
    bool some = has_a && has_b;
    while (has_a || has_b) {
        if (!has_b || (has_a && set_order(&a, &b) < 0))
            return breach_set(breach, in, a.type, "is lacking");
        if (!has_a || set_order(&b, &a) < 0)
            return breach_set(breach, out, b.type, "was added");
        if (!data_equal(&a, &b, scope))
            return breach_set(breach, in, a.type, "was changed");
        has_a = data_next(in, &i, scope, &a);
        has_b = data_next(out, &j, scope, &b);
    }
    if (some && memcmp(node_name(in), node_name(out), in->name_len) != 0)
        return breach_set(breach, in, 0, "is written in other letters");
    return true;
}

bool identity_holds(const struct identity_versions *v, struct identity_breach *breach)
{
    const uint8_t *apex = snapshot_apex_name(v->in);
    const struct changeset *ins = v->in_changes, *outs = v->out_changes;
    size_t i = 0, j = 0;
    const struct scope at_apex = {true, v->key_sets_only, v->joins};
    const struct scope elsewhere = {.key_sets_only = v->key_sets_only};
    if (v->joins &&
        !nodes_say_the_same(snapshot_apex(v->in), snapshot_apex(v->out), &at_apex, breach))
        return false;
    while (i < ins->n || j < outs->n) {
        const struct change *a = i < ins->n ? &ins->change[i] : NULL;
        const struct change *b = j < outs->n ? &outs->change[j] : NULL;
        int order = !a ? 1 : !b ? -1 : name_cmp(change_name(a), change_name(b));
        const uint8_t *name = change_name(order <= 0 ? a : b);
        i += order <= 0;
        j += order >= 0;
        const struct node *was_in = order <= 0 ? a->now : snapshot_get(v->in, name);
        const struct node *is_out = order >= 0 ? b->now : snapshot_get(v->out, name);
        const struct scope *scope = name_equal(name, apex) ? &at_apex : &elsewhere;
        if (!nodes_say_the_same(was_in, is_out, scope, breach))
            return false;
    }
    return true;
}
