/* snapshot: reading a version.
 *
 * Names above a name are prefixes of its key, so one descent of the trie passes all of them that have a node, and the
 * nearest key that it ends at tells the closest encloser without looking further: the labels that the two have in
 * common exist. Below a cut or a DNAME nothing is authoritative, whatever it holds; the topmost of the two on the way
 * decides, everything further down is only data that happens to lie there.
 *
 * Nodes with NSEC3 are marked in the trie. They lie among the other names, as one of them in a million or half of all, and
 * the one before a hash is what a denial and a check of the chain ask for. Nodes with signatures have a mark of their own: whether
 * there is one below an empty non-terminal tells, under opt-out, whether that has an NSEC3, however many delegations lie below it.
 */
#include "pipeline/zone/snapshot.h"

const struct node *snapshot_get(const struct snapshot *s, const uint8_t *name)
{
    struct trie_key key;
    name_key(name, &key);
    return trie_get(&s->trie, &key);
}

const struct node *snapshot_apex(const struct snapshot *s)
{
    return snapshot_get(s, snapshot_apex_name(s));
}

bool snapshot_soa(const struct snapshot *s, struct soa *out)
{
    enum { SOA_NUMBERS = 20, SOA_LEAST = SOA_NUMBERS + 2 };
    const struct node *apex = snapshot_apex(s);
    struct rrset set;
    struct rdata r;
    if (!apex || !node_rrset(apex, RR_SOA, 0, &set) || !rrset_first(&set, &r))
        return false;
    ASSERT(r.len >= SOA_LEAST);
    const uint8_t *p = r.data + r.len - SOA_NUMBERS; /* behind the two names */
    *out = (struct soa){.serial = get_u32(p),
                        .refresh = get_u32(p + 4),
                        .retry = get_u32(p + 8),
                        .expire = get_u32(p + 12),
                        .minimum = get_u32(p + 16),
                        .ttl = set.ttl};
    return true;
}

/* ---- where a name lies --------------------------------------------------------------------------------- */

/* The topmost on the path that hides what is below it. `name_node` is the node of the name itself, or NULL: a
 * DNAME there hides only what is below the name. */
struct cover {
    const struct node *cut, *dname;
};

static struct cover path_cover(const struct snapshot *s, const struct trie_path *path)
{
    unsigned apex_len = (unsigned)name_len(snapshot_apex_name(s));
    for (unsigned i = 0; i < path->n; i++) {
        const struct node *node = path->leaf[i];
        if (node->name_len > apex_len && node_has(node, RR_NS))
            return (struct cover){.cut = node};
        bool above = !path->exact || i + 1 < path->n;
        if (above && node_has(node, RR_DNAME))
            return (struct cover){.dname = node};
    }
    return (struct cover){0};
}

void snapshot_locate(const struct snapshot *s, const uint8_t *name, struct locate *out)
{
    struct trie_key key;
    struct trie_path path;
    name_key(name, &key);
    trie_find_path(&s->trie, &key, &path);
    struct cover cover = path_cover(s, &path);
    unsigned above = path.exact ? path.n - 1 : path.n;
    *out =
        (struct locate){.node = path.exact ? path.leaf[path.n - 1] : NULL,
                        .cut = cover.cut,
                        .dname = cover.dname,
                        .encloser = above > 0 ? path.leaf[above - 1] : NULL,
                        .exists = path.exact || (path.common == key.len && !trie_empty(&s->trie))};
    for (unsigned i = 0; i < path.common; i++)
        out->encloser_labels += key.digit[i] == 0; /* each label ends in one */
}

enum name_status snapshot_status(const struct snapshot *s, const struct node *node)
{
    struct trie_key key;
    struct trie_path path;
    name_key(node_name(node), &key);
    trie_find_path(&s->trie, &key, &path);
    struct cover cover = path_cover(s, &path);
    if (!cover.cut && !cover.dname)
        return NAME_AUTHORITATIVE;
    return cover.cut && name_equal(node_name(cover.cut), node_name(node)) ? NAME_CUT
                                                                          : NAME_OCCLUDED;
}

/* ---- in order ------------------------------------------------------------------------------------------ */

const struct node *snapshot_first(struct snapshot_iter *it, const struct snapshot *s)
{
    return trie_first(&it->it, &s->trie);
}

const struct node *snapshot_last(struct snapshot_iter *it, const struct snapshot *s)
{
    return trie_last(&it->it, &s->trie);
}

const struct node *snapshot_next(struct snapshot_iter *it)
{
    return trie_next(&it->it);
}

const struct node *snapshot_prev(struct snapshot_iter *it)
{
    return trie_prev(&it->it);
}

const struct node *snapshot_seek_le(struct snapshot_iter *it, const struct snapshot *s,
                                    const uint8_t *name, bool *exact)
{
    struct trie_key key;
    name_key(name, &key);
    *exact = trie_seek_le(&it->it, &s->trie, &key);
    return it->it.leaf;
}

const struct node *snapshot_seek_ge(struct snapshot_iter *it, const struct snapshot *s,
                                    const uint8_t *name, bool *exact)
{
    struct trie_key key;
    name_key(name, &key);
    *exact = trie_seek_ge(&it->it, &s->trie, &key);
    return it->it.leaf;
}

bool snapshot_has_below(const struct snapshot *s, const uint8_t *name)
{
    struct snapshot_iter it;
    bool exact;
    const struct node *node = snapshot_seek_ge(&it, s, name, &exact);
    if (exact)
        node = snapshot_next(&it);
    return node && name_at_or_below(node_name(node), name);
}

const struct node *snapshot_authoritative_before(const struct snapshot *s, const uint8_t *name)
{
    struct snapshot_iter it;
    struct trie_key key;
    struct trie_path path;
    bool exact;
    const struct node *node = snapshot_seek_le(&it, s, name, &exact);
    if (exact)
        node = snapshot_prev(&it);
    if (!node)
        return snapshot_first(&it, s);
    /* What covers the node lies before it, and all between the two is covered, too: one jump is enough. */
    name_key(node_name(node), &key);
    trie_find_path(&s->trie, &key, &path);
    struct cover cover = path_cover(s, &path);
    return cover.cut ? cover.cut : cover.dname ? cover.dname : node;
}

const struct node *snapshot_nsec3_before(const struct snapshot *s, const uint8_t *name)
{
    struct trie_key key;
    name_key(name, &key);
    return trie_marked_lt(&s->trie, &key, NODE_MARK_NSEC3);
}

const struct node *snapshot_nsec3_at_or_before(const struct snapshot *s, const uint8_t *name)
{
    struct trie_key key;
    name_key(name, &key);
    return trie_marked_le(&s->trie, &key, NODE_MARK_NSEC3);
}

const struct node *snapshot_nsec3_after(const struct snapshot *s, const uint8_t *name)
{
    struct trie_key key;
    name_key(name, &key);
    return trie_marked_gt(&s->trie, &key, NODE_MARK_NSEC3);
}

const struct node *snapshot_nsec3_first(const struct snapshot *s)
{
    return trie_marked_first(&s->trie, NODE_MARK_NSEC3);
}

const struct node *snapshot_nsec3_last(const struct snapshot *s)
{
    return trie_marked_last(&s->trie, NODE_MARK_NSEC3);
}

const struct node *snapshot_signed_after(const struct snapshot *s, const uint8_t *name)
{
    struct trie_key key;
    name_key(name, &key);
    return trie_marked_gt(&s->trie, &key, NODE_MARK_SIGNED);
}

void status_walk_begin(struct status_walk *w, const struct snapshot *s)
{
    *w = (struct status_walk){.apex = snapshot_apex_name(s)};
}

enum name_status status_walk_step(struct status_walk *w, const struct node *node)
{
    if (w->over && name_at_or_below(node_name(node), node_name(w->over)))
        return NAME_OCCLUDED;
    bool is_cut = node_has(node, RR_NS) && !name_equal(node_name(node), w->apex);
    w->over = is_cut || node_has(node, RR_DNAME) ? node : NULL;
    return is_cut ? NAME_CUT : NAME_AUTHORITATIVE;
}
