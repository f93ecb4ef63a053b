/* Nodes and changesets as octets.
 *
 * Loading a node goes over the octets twice: once to check them and to learn how large the block will be, once to copy. What
 * the block holds behind its heads is what was saved, octet for octet, so the second time is a few memcpy an rrset. */
#include "pipeline/zone/octets.h"

#include "pipeline/base/alloc.h"
#include "pipeline/zone/name.h"

#include <stdatomic.h>

enum { RRSET_HEAD_OCTETS = 2 + 2 + 4 + 1 + 2, CHANGE_WAS = 1, CHANGE_NOW = 2 };

/* ---- a node ---- */

size_t node_octets(const struct node *node)
{
    /* Of each rrset the block has a count of two octets beside its records. */
    size_t heads = (size_t)node->nrrsets * sizeof node->head[0];
    return node->bytes - sizeof *node - heads + 2u + node->nrrsets * (RRSET_HEAD_OCTETS - 2u);
}

void node_save(const struct node *node, struct growbuf *out)
{
    uint8_t *p = growbuf_take(out, node_octets(node)), *start = p;
    p += name_copy(p, node_name(node));
    put_u16(p, node->nrrsets);
    p += 2;
    for (unsigned i = 0; i < node->nrrsets; i++) {
        struct rrset set;
        node_rrset_at(node, i, &set);
        put_u16(p, set.type);
        put_u16(p + 2, set.covered);
        put_u32(p + 4, set.ttl);
        p[8] = set.ttl_mixed;
        put_u16(p + 9, set.count);
        size_t n = (size_t)(set.end - set.rdata);
        memcpy(p + RRSET_HEAD_OCTETS, set.rdata, n);
        p += RRSET_HEAD_OCTETS + n;
    }
    ASSERT((size_t)(p - start) == node_octets(node));
}

static int node_bad(const uint8_t *name, uint16_t type, const char *rule, struct why *why)
{
    char owner[NAME_TEXT_MAX], mnemonic[RRTYPE_TEXT_MAX];
    return why_set(why, -E_FORMAT, "%s %s: %s", name_print(name, owner),
                   type ? rrtype_print(type, mnemonic) : "as a whole", rule);
}

struct set_octets {
    uint16_t type, covered, count;
    uint32_t ttl;
    bool mixed;
    const uint8_t *records;
    size_t len;
};

static bool covers(uint16_t type)
{
    return type == RR_RRSIG || type == RR_SIG;
}

static int set_read(struct rbuf *r, const uint8_t *name, struct set_octets *out, struct why *why)
{
    out->type = rbuf_u16(r);
    out->covered = rbuf_u16(r);
    out->ttl = rbuf_u32(r);
    uint8_t mixed = rbuf_u8(r);
    out->mixed = mixed;
    out->count = rbuf_u16(r);
    out->records = r->p;
    if (r->bad)
        return node_bad(name, 0, "ends within an rrset", why);
    if (rrtype_is_meta(out->type) || mixed > 1 || out->count == 0)
        return node_bad(name, out->type, "no such rrset can be", why);
    const uint8_t *last = NULL;
    uint16_t last_len = 0;
    for (unsigned i = 0; i < out->count; i++) {
        uint16_t len = rbuf_u16(r);
        const uint8_t *rdata = rbuf_take(r, len);
        struct why field;
        if (!rdata)
            return node_bad(name, out->type, "ends within a record", why);
        if (rdata_valid(out->type, rdata, len, &field))
            return node_bad(name, out->type, field.text, why);
        if (out->covered != (covers(out->type) ? get_u16(rdata) : 0))
            return node_bad(name, out->type, "covers another type than its rrset", why);
        if (last && rdata_cmp(out->type, last, last_len, rdata, len) >= 0)
            return node_bad(name, out->type, "records are not in order", why);
        last = rdata;
        last_len = len;
    }
    out->len = (size_t)(r->p - out->records);
    return 0;
}

/* Checks what set_read has no need to know. r is behind the owner. */
static int node_measure(struct rbuf *r, const uint8_t *name, unsigned nrrsets, size_t *octets,
                        size_t *records, struct why *why)
{
    uint32_t last = 0;
    for (unsigned i = 0; i < nrrsets; i++) {
        struct set_octets set = {0};
        int err = set_read(r, name, &set, why);
        if (err)
            return err;
        uint32_t key = (uint32_t)set.type << 16 | set.covered;
        if (i && key <= last)
            return node_bad(name, set.type, "rrsets are not in order", why);
        last = key;
        *octets += set.len;
        *records += set.count;
        if (*octets > NODE_BYTES_MAX || *records > NODE_RECORDS_MAX)
            return node_bad(name, 0, "more than one name can hold", why);
    }
    return 0;
}

int node_load(struct rbuf *r, const uint8_t *apex, struct node **out, struct why *why)
{
    int name_octets = name_valid(r->p, rbuf_left(r));
    if (name_octets < 0)
        return why_set(why, -E_FORMAT, "expected an owner name, %zu octets before the end",
                       rbuf_left(r));
    const uint8_t *name = rbuf_take(r, (size_t)name_octets);
    unsigned nrrsets = rbuf_u16(r);
    if (!name_at_or_below(name, apex) || r->bad || nrrsets == 0)
        return node_bad(name, 0, r->bad || nrrsets == 0 ? "has no rrset" : "is outside the zone",
                        why);
    struct rbuf again = *r;
    size_t octets = 0, records = 0;
    int err = node_measure(r, name, nrrsets, &octets, &records, why);
    if (err)
        return err;

    size_t at = sizeof **out + nrrsets * sizeof(struct rrset_head) + (size_t)name_octets;
    size_t bytes = at + nrrsets * sizeof(uint16_t) + octets;
    struct node *node = mem_alloc(bytes);
    atomic_init(&node->refs, 1);
    node->bytes = (uint32_t)bytes;
    node->records = (uint32_t)records;
    node->nrrsets = (uint16_t)nrrsets;
    node->name_len = (uint8_t)name_octets;
    node->reserved = 0;
    memcpy(node->head + nrrsets, name, (size_t)name_octets);
    uint8_t *block = (uint8_t *)node;
    for (unsigned i = 0; i < nrrsets; i++) {
        const uint8_t *p = again.p;
        uint16_t count = get_u16(p + 9);
        node->head[i] = (struct rrset_head){get_u16(p), get_u16(p + 2), get_u32(p + 4),
                                            (uint32_t)at | (p[8] ? NODE_TTL_MIXED : 0)};
        memcpy(block + at, &count, sizeof count);
        const uint8_t *end = p += RRSET_HEAD_OCTETS;
        for (unsigned k = 0; k < count; k++)
            end += 2u + get_u16(end);
        memcpy(block + at + sizeof count, p, (size_t)(end - p));
        at += sizeof count + (size_t)(end - p);
        again.p = end;
    }
    ASSERT(at == bytes);
    *out = node;
    return 0;
}

/* ---- a changeset ---- */

size_t changeset_octets(const struct changeset *c)
{
    size_t n = 1 + 4 + 4 + 4 + c->n;
    for (size_t i = 0; i < c->n; i++)
        n += (c->change[i].was ? node_octets(c->change[i].was) : 0) +
             (c->change[i].now ? node_octets(c->change[i].now) : 0);
    return n;
}

void changeset_save(const struct changeset *c, struct growbuf *out)
{
    growbuf_u8(out, (uint8_t)(c->has_from | c->has_to << 1));
    growbuf_u32(out, c->from);
    growbuf_u32(out, c->to);
    growbuf_u32(out, (uint32_t)c->n);
    for (size_t i = 0; i < c->n; i++) {
        const struct change *change = &c->change[i];
        growbuf_u8(out, (uint8_t)((change->was ? CHANGE_WAS : 0) | (change->now ? CHANGE_NOW : 0)));
        if (change->was)
            node_save(change->was, out);
        if (change->now)
            node_save(change->now, out);
    }
}

static int change_load(struct rbuf *r, const uint8_t *apex, const uint8_t *last, struct change *out,
                       struct why *why)
{
    uint8_t sides = rbuf_u8(r);
    struct node *was = NULL, *now = NULL;
    int err = 0;
    if (sides == 0 || sides > (CHANGE_WAS | CHANGE_NOW))
        err = why_set(why, -E_FORMAT, "a change with neither before nor after");
    if (!err && sides & CHANGE_WAS)
        err = node_load(r, apex, &was, why);
    if (!err && sides & CHANGE_NOW)
        err = node_load(r, apex, &now, why);
    if (!err && was && now && (!name_equal(node_name(was), node_name(now)) || node_equal(was, now)))
        err = node_bad(node_name(now), 0, "before and after are not of one name, or equal", why);
    if (!err && last && name_cmp(last, node_name(now ? now : was)) >= 0)
        err = node_bad(node_name(now ? now : was), 0, "changes are not in order", why);
    if (err) {
        node_unref(was);
        node_unref(now);
        return err;
    }
    *out = (struct change){was, now};
    return 0;
}

int changeset_load(struct rbuf *r, const uint8_t *apex, struct changeset **out, struct why *why)
{
    uint8_t has = rbuf_u8(r);
    uint32_t from = rbuf_u32(r), to = rbuf_u32(r), n = rbuf_u32(r);
    if (r->bad || has > 3 || n > rbuf_left(r))
        return why_set(why, -E_FORMAT, "not a changeset");
    struct changeset *c = changeset_new(n);
    c->has_from = has & 1;
    c->has_to = has & 2;
    c->from = from;
    c->to = to;
    for (; c->n < n; c->n++) {
        const uint8_t *last = c->n ? change_name(&c->change[c->n - 1]) : NULL;
        int err = change_load(r, apex, last, &c->change[c->n], why);
        if (err) {
            changeset_unref(c);
            return err;
        }
    }
    *out = c;
    return 0;
}
