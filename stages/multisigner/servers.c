/* servers: the NS set at the apex, with the names of the other signers' servers, and the CSYNC that asks the parent to take it over.
 *
 *      NS that came in ─┐
 *      names we are told ┴─▶ union ─▶ in the zone? then with an address? ─▶ NS ─▶ CSYNC (RFC 7477): NS, and A and AAAA for glue
 *
 * Every name that came in stays: names are added, none is taken away, and to a zone that came without NS nothing is added, so
 * that it is refused for it. Which names join, and when, the book of the signers decides (run/signers.h).
 *
 * CSYNC has the flag `immediate` alone: the parent need not wait for a person, and looks at no serial, which is ours and moves with
 * every signature (RFC 7477 2.1.1). It is not published while it would have the parent delegate to a server in the zone without address.
 */
#include "stages/multisigner/multisigner.h"

enum { CSYNC_HEAD = 6, CSYNC_IMMEDIATE = 1, CSYNC_BITMAP_MAX = 2 + 32 };

static bool came_in(const struct merge *m, const uint8_t *name)
{
    struct rdata ns;
    for (const uint8_t *p = m->servers.set.rdata; rrset_next(&m->servers.set, &p, &ns);)
        if (name_equal(ns.data, name))
            return true;
    return false;
}

static void servers_join(struct merge *m)
{
    const struct keyset *keys = m->run->keys;
    struct servers *s = &m->servers;
    s->more = arena_alloc(m->run->scratch, (keys->nns + 1) * sizeof(s->more[0]));
    for (unsigned i = 0; i < keys->nns; i++)
        if (!came_in(m, keys->ns[i]))
            s->more[s->nmore++] = keys->ns[i];
}

/* A server whose name is in the zone needs an address there. Returns 1 if it lacks it. */
static unsigned server_judge(struct merge *m, const uint8_t *name)
{
    if (!name_at_or_below(name, m->apex_name))
        return 0;
    const struct node *node = snapshot_get(m->run->next, name);
    m->servers.in_zone = true;
    m->run->visited++;
    if (node && (node_has(node, RR_A) || node_has(node, RR_AAAA)))
        return 0;
    finding_add(m->run->findings, NS_NO_ADDRESS, name, RR_NS, 0, 0, NULL);
    return 1;
}

static unsigned all_judge(struct merge *m)
{
    struct servers *s = &m->servers;
    struct rdata ns;
    unsigned lacking = 0;
    for (const uint8_t *p = s->set.rdata; rrset_next(&s->set, &p, &ns);)
        lacking += server_judge(m, ns.data);
    for (unsigned i = 0; i < s->nmore; i++)
        lacking += server_judge(m, s->more[i]);
    return lacking;
}

void servers_judge(struct merge *m)
{
    const struct keyset *keys = m->run->keys;
    struct servers *s = &m->servers;
    bool joins = m->conf->ns == NS_UNION && keys->nns > 0;
    bool csync = !keys->unsigned_zone && (m->conf->csync == CSYNC_ALWAYS ||
                                          (m->conf->csync == CSYNC_WAITING && keys->csync));
    if (node_has(m->apex, RR_CSYNC))
        finding_add(m->run->findings, CSYNC_CAME, m->apex_name, RR_CSYNC, 0, 0, NULL);
    if (!(joins || csync) || !node_rrset(m->apex, RR_NS, 0, &s->set))
        return;
    if (s->set.count <= SERVERS_MAX && joins)
        servers_join(m);
    unsigned n = s->set.count + s->nmore;
    if (n > SERVERS_MAX) {
        finding_add(m->run->findings, NS_TOO_MANY, m->apex_name, RR_NS, n, SERVERS_MAX, NULL);
        m->refused = true;
        return;
    }
    unsigned lacking = all_judge(m);
    s->csync = csync && lacking == 0;
    if (csync && lacking > 0)
        finding_add(m->run->findings, CSYNC_WITHHELD, m->apex_name, RR_CSYNC, lacking, 0, NULL);
}

/* Only types of window 0. */
static void bitmap_set(uint8_t *bitmap, uint16_t type)
{
    unsigned octet = type / 8u;
    bitmap[1] = bitmap[1] > octet ? bitmap[1] : (uint8_t)(octet + 1);
    bitmap[2 + octet] |= (uint8_t)(0x80 >> type % 8u);
}

static void add(struct node_builder *builder, uint16_t type, uint32_t ttl, const uint8_t *rdata,
                size_t len)
{
    int rc = node_builder_add(builder, type, ttl, rdata, (uint16_t)len);
    ASSERT(rc == 0); /* merge_measure has seen that there is room */
}

void servers_add(const struct merge *m, struct node_builder *builder)
{
    const struct servers *s = &m->servers;
    uint8_t csync[CSYNC_HEAD + CSYNC_BITMAP_MAX] = {0}, *bitmap = csync + CSYNC_HEAD;
    for (unsigned i = 0; i < s->nmore; i++)
        add(builder, RR_NS, s->set.ttl, s->more[i], name_len(s->more[i]));
    if (!s->csync)
        return;
    put_u16(csync + 4, CSYNC_IMMEDIATE);
    bitmap_set(bitmap, RR_NS);
    if (s->in_zone) {
        bitmap_set(bitmap, RR_A);
        bitmap_set(bitmap, RR_AAAA);
    }
    add(builder, RR_CSYNC, s->set.ttl, csync, CSYNC_HEAD + 2u + bitmap[1]);
}
