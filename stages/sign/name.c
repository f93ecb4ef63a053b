/* name: one name of the output.
 *
 *                 AUTHORITATIVE            CUT                      OCCLUDED
 *   as it comes   all                      all                      all
 *   signed        all                      DS, denial               nothing
 *   denial        yes                      yes                      no
 *
 * What comes in goes out, octet for octet, with signatures beside it. Glue and what a delegation or DNAME hides is not even copied:
 * the node that came in is the one that goes out.
 */
#include "stages/sign/sign.h"

struct wbuf worker_set_begin(struct worker *w)
{
    return wbuf_open(w->set + 2, sizeof(w->set) - 2);
}

struct rrset worker_set_end(struct worker *w, uint16_t type, uint32_t ttl, const struct wbuf *rdata)
{
    ASSERT(!rdata->bad && rdata->start == w->set + 2 && wbuf_len(rdata) <= UINT16_MAX);
    put_u16(w->set, (uint16_t)wbuf_len(rdata));
    return (struct rrset){.type = type, .ttl = ttl, .count = 1, .rdata = w->set, .end = rdata->p};
}

bool status_signs(enum name_status status, uint16_t type)
{
    if (status == NAME_AUTHORITATIVE)
        return type != RR_RRSIG;
    return status == NAME_CUT && (type == RR_DS || type == RR_NSEC || type == RR_NSEC3);
}

bool is_key_set(const struct signing *s, const struct node *node, uint16_t type)
{
    return (type == RR_DNSKEY || type == RR_CDS || type == RR_CDNSKEY) &&
           name_equal(node_name(node), s->apex_name);
}

int64_t keep_touched(const struct signing *s)
{
    return s->run->now + s->conf->refresh;
}

int64_t keep_passed(const struct signing *s)
{
    return s->run->now + s->conf->validity - s->conf->jitter;
}

/* They have a validity of their own, and the same share of it for a margin. */
int64_t keys_margin(const struct sign_conf *conf)
{
    return conf->dnskey_validity * conf->refresh / conf->validity;
}

static int64_t keep_keys(const struct signing *s)
{
    return s->run->now + keys_margin(s->conf);
}

static bool is_prepared(const struct signing *s, const struct node *node, uint16_t type)
{
    return s->keys.prepared && is_key_set(s, node, type);
}

/* Whose signatures over DNSKEY, CDS and CDNSKEY may be kept. */
static const struct node *was_keys(const struct node *node, const struct node *was)
{
    struct rrset now, before;
    bool same = was && node_rrset(node, RR_DNSKEY, 0, &now) &&
                node_rrset(was, RR_DNSKEY, 0, &before) && rrset_equal(&now, &before, false);
    return same ? was : NULL;
}

struct node *name_sign(struct signing *s, struct worker *w, const struct node *node,
                       const struct rrset *more, enum name_status status, const struct node *was,
                       int64_t keep)
{
    bool good = true;
    node_builder_begin(w->builder, node_name(node));
    node_builder_add_node(w->builder, node, NULL, NULL);
    if (more) {
        node_builder_add_rrset(w->builder, more);
        good = rrset_sign(s, w, node_name(node), more, was, false, keep);
    }
    for (unsigned i = 0; i < node->nrrsets && good; i++) {
        struct rrset set;
        node_rrset_at(node, i, &set);
        bool keys = is_key_set(s, node, set.type);
        if (status_signs(status, set.type) && !is_prepared(s, node, set.type))
            good = rrset_sign(s, w, node_name(node), &set, keys ? was_keys(node, was) : was, keys,
                              keys ? keep_keys(s) : keep);
    }
    return good ? node_builder_seal(w->builder) : NULL;
}

static bool skip_signatures(void *ctx, const struct rrset *set)
{
    (void)ctx;
    return set->type == RR_RRSIG;
}

/* What is signed in it is what has signatures, whatever the name is. */
struct node *name_renew(struct signing *s, struct worker *w, const struct node *node, int64_t keep)
{
    bool good = true;
    node_builder_begin(w->builder, node_name(node));
    node_builder_add_node(w->builder, node, skip_signatures, NULL);
    for (unsigned i = 0; i < node->nrrsets && good; i++) {
        struct rrset sigs, set;
        node_rrset_at(node, i, &sigs);
        if (sigs.type == RR_RRSIG && node_rrset(node, sigs.covered, 0, &set))
            good = rrset_sign(s, w, node_name(node), &set, node, false, keep);
    }
    return good ? node_builder_seal(w->builder) : NULL;
}
