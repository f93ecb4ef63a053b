/* strip: takes DNSSEC out of a zone, so that weir may sign it afresh.
 *
 * What goes (modes R2): signatures, denial records and their parameters, keys, and the records that
 * only make sense with the keys that go: CDS, CDNSKEY, CSYNC, ZONEMD. What is to be served as somebody
 * else's KSK signed it may stay. DS below the apex is the
 * parent's statement about a child and stays; at the apex it has no meaning and goes. A name that
 * loses all its records vanishes (NSEC3 owners do).
 *
 * Output is a function of each input node alone. So the delta is mirrored name by name onto the
 * last output, and nothing else is looked at: O(d log n). A node with nothing to strip is not
 * copied but shared with the input, and a zone with nothing to strip is passed on as it is.
 */
#include "pipeline/stage.h"

struct strip_conf {
    bool keep_apex_dnskey, keep_key_sets;
};

static const struct option strip_options[] = {
    {.name = "keep_apex_dnskey",
     .kind = OPTION_BOOL,
     .offset = offsetof(struct strip_conf, keep_apex_dnskey),
     .fallback = "false",
     .help = "leave the DNSKEY set at the apex, so that a multi-signer stage can take the keys of "
             "others from it"},
    {.name = "keep_key_sets",
     .kind = OPTION_BOOL,
     .offset = offsetof(struct strip_conf, keep_key_sets),
     .fallback = "false",
     .help = "leave the DNSKEY, CDS and CDNSKEY sets at the apex with their signatures, as the "
             "holder of the zone's KSK made them (RFC 8901 model 1)"},
    {.name = NULL},
};

struct strip_rule {
    bool at_apex, keep_dnskey, keep_key_sets;
};

static bool is_key_set(const struct rrset *set)
{
    uint16_t type = set->type == RR_RRSIG ? set->covered : set->type;
    return type == RR_DNSKEY || type == RR_CDS || type == RR_CDNSKEY;
}

/* True: this rrset goes. */
static bool strip_goes(void *ctx, const struct rrset *set)
{
    const struct strip_rule *rule = ctx;
    if (rule->at_apex && rule->keep_key_sets && is_key_set(set))
        return false;
    switch (set->type) {
    case RR_RRSIG:
    case RR_NSEC:
    case RR_NSEC3:
    case RR_NSEC3PARAM:
    case RR_CDS:
    case RR_CDNSKEY:
    case RR_CSYNC:
    case RR_ZONEMD:
        return true;
    case RR_DNSKEY:
        return !(rule->at_apex && rule->keep_dnskey);
    case RR_DS:
        return rule->at_apex;
    default:
        return false;
    }
}

static unsigned strip_count(const struct node *node, struct strip_rule *rule)
{
    unsigned gone = 0;
    for (unsigned i = 0; i < node->nrrsets; i++) {
        struct rrset set;
        node_rrset_at(node, i, &set);
        gone += strip_goes(rule, &set);
    }
    return gone;
}

/* What of a node is left, with a reference for the caller; NULL: nothing. */
static struct node *strip_node(const struct node *node, struct strip_rule *rule,
                               struct node_builder *builder)
{
    unsigned gone = strip_count(node, rule);
    if (gone == 0)
        return node_ref(node);
    if (gone == node->nrrsets)
        return NULL;
    node_builder_begin(builder, node_name(node));
    node_builder_add_node(builder, node, strip_goes, rule);
    return node_builder_seal(builder);
}

static struct strip_rule strip_rule_of(const struct stage_run *run, const uint8_t *owner)
{
    const struct strip_conf *conf = run->conf;
    return (struct strip_rule){.at_apex = name_equal(owner, snapshot_apex_name(run->next)),
                               .keep_dnskey = conf->keep_apex_dnskey,
                               .keep_key_sets = conf->keep_key_sets};
}

/* Most primaries of a zone that is signed here send no DNSSEC at all. */
static bool strip_passes(const struct stage_run *run)
{
    for (size_t i = 0; i < run->delta->n; i++) {
        const struct node *node = run->delta->change[i].now;
        struct strip_rule rule = strip_rule_of(run, change_name(&run->delta->change[i]));
        if (node && strip_count(node, &rule))
            return false;
    }
    return true;
}

static void strip_run(struct stage_run *run)
{
    struct node_builder *builder = node_builder_new();
    for (size_t i = 0; i < run->delta->n; i++) {
        const struct change *change = &run->delta->change[i];
        const uint8_t *owner = change_name(change);
        struct strip_rule rule = strip_rule_of(run, owner);
        struct node *node = change->now ? strip_node(change->now, &rule, builder) : NULL;
        const struct node *held = edit_get(run->out, owner);
        if (!node)
            edit_remove(run->out, owner);
        else if (held && node_equal(held, node))
            node_unref(node); /* only what is stripped differed: the output does not change */
        else
            edit_put(run->out, node);
    }
    run->visited = run->delta->n;
    node_builder_free(&builder);
}

const struct stage_type stage_strip = {
    .name = "strip",
    .summary = "removes DNSSEC records, so that a zone can be signed afresh",
    .flags = STAGE_DNSSEC_ONLY,
    .conf_size = sizeof(struct strip_conf),
    .options = strip_options,
    .run = strip_run,
    .passes = strip_passes,
};
