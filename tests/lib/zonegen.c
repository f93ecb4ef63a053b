/* zonegen: see the header. Names and rdata are made directly in wire form.
 *
 * Slot i's name is "s<i>" below the apex, or below slot i/3 for some i, so the tree is a few levels
 * deep. What a slot may write lies at or directly around its name; other slots' names there begin
 * with "s", and its own extras do not.
 */
#include "tests/lib/zonegen.h"

#include <stdio.h>

enum { TTL = 300, DEEPEST = 8 };

enum kind {
    KIND_NOTHING,
    KIND_HOST,
    KIND_MANY,
    KIND_CUT,
    KIND_CUT_DS,
    KIND_CUT_GLUE,
    KIND_NON_TERMINAL,
    KIND_WILDCARD,
    KIND_CNAME,
    KIND_DNAME,
    KIND_ODD,
    KIND_CASE,
    KINDS
};

struct zonegen zonegen_open(struct random *random, const char *apex, unsigned slots)
{
    struct zonegen gen = {.random = random_fork(random), .slots = slots, .serial = 1};
    int len = name_parse(apex, gen.apex, NULL);
    ASSERT(len > 0);
    return gen;
}

/* label "." below, into out. */
static void zonegen_join(const char *label, const uint8_t *below, uint8_t out[NAME_MAX_OCTETS])
{
    size_t n = strlen(label);
    uint8_t rest[NAME_MAX_OCTETS];
    size_t len = name_copy(rest, below);
    ASSERT(n > 0 && n < 64 && n + 1 + len <= NAME_MAX_OCTETS);
    out[0] = (uint8_t)n;
    memcpy(out + 1, label, n);
    memcpy(out + 1 + n, rest, len);
}

static unsigned zonegen_depth(unsigned slot)
{
    return slot % 4 == 3 ? 1 + zonegen_depth(slot / 3) : 0;
}

static void zonegen_name(const struct zonegen *gen, unsigned slot, uint8_t out[NAME_MAX_OCTETS])
{
    char label[64];
    if (slot % 4 == 3 && zonegen_depth(slot) < DEEPEST)
        zonegen_name(gen, slot / 3, out);
    else
        name_copy(out, gen->apex);
    snprintf(label, sizeof(label), slot % 5 ? "s%u" : "S%u", slot);
    zonegen_join(label, out, out);
}

static void zonegen_add(struct edit *e, const uint8_t *owner, uint16_t type, const void *rdata,
                        size_t len)
{
    struct why why;
    int rc = edit_add(e, owner, type, TTL, rdata, (uint16_t)len, &why);
    ASSERT(rc == 0);
}

static void zonegen_add_random(struct zonegen *gen, struct edit *e, const uint8_t *owner,
                               uint16_t type, size_t len)
{
    uint8_t rdata[256];
    random_octets(&gen->random, rdata, len);
    zonegen_add(e, owner, type, rdata, len);
}

/* A random slot's name, as a target. */
static size_t zonegen_target(struct zonegen *gen, uint8_t out[NAME_MAX_OCTETS])
{
    zonegen_name(gen, (unsigned)random_below(&gen->random, gen->slots), out);
    return name_len(out);
}

static void zonegen_add_addresses(struct zonegen *gen, struct edit *e, const uint8_t *owner)
{
    for (uint64_t n = 1 + random_below(&gen->random, 3); n > 0; n--)
        zonegen_add_random(gen, e, owner, RR_A, 4);
    if (random_below(&gen->random, 2))
        zonegen_add_random(gen, e, owner, RR_AAAA, 16);
}

static void zonegen_add_text(struct zonegen *gen, struct edit *e, const uint8_t *owner)
{
    uint8_t rdata[128];
    rdata[0] = (uint8_t)(1 + random_below(&gen->random, 100));
    random_octets(&gen->random, rdata + 1, rdata[0]);
    zonegen_add(e, owner, RR_TXT, rdata, 1u + rdata[0]);
}

static void zonegen_add_many(struct zonegen *gen, struct edit *e, const uint8_t *owner)
{
    uint8_t rdata[2 * NAME_MAX_OCTETS];
    zonegen_add_addresses(gen, e, owner);
    zonegen_add_text(gen, e, owner);
    for (unsigned i = 0; i < 3; i++) {
        put_u16(rdata, (uint16_t)random_below(&gen->random, 100));
        zonegen_add(e, owner, RR_MX, rdata, 2 + zonegen_target(gen, rdata + 2));
    }
    put_u16(rdata, 0);
    put_u16(rdata + 2, 5);
    put_u16(rdata + 4, 443);
    zonegen_add(e, owner, RR_SRV, rdata, 6 + zonegen_target(gen, rdata + 6));
    zonegen_add(e, owner, RR_CAA, "\0\5issueexample", 14);
    uint16_t unknown = (uint16_t)(65280 + random_below(&gen->random, 200));
    zonegen_add_random(gen, e, owner, unknown, random_below(&gen->random, 40));
}

static void zonegen_add_ds(struct zonegen *gen, struct edit *e, const uint8_t *owner)
{
    uint8_t ds[36] = {0x12, 0x34, 13, 2};
    random_octets(&gen->random, ds + 4, 32);
    zonegen_add(e, owner, RR_DS, ds, sizeof(ds));
}

static void zonegen_add_cut(struct zonegen *gen, struct edit *e, const uint8_t *owner,
                            enum kind kind)
{
    uint8_t ns[NAME_MAX_OCTETS];
    zonegen_add(e, owner, RR_NS, ns, zonegen_target(gen, ns));
    if (kind == KIND_CUT_GLUE) {
        zonegen_join("ns", owner, ns);
        zonegen_add(e, owner, RR_NS, ns, name_len(ns));
        zonegen_add_addresses(gen, e, ns);
        zonegen_add(e, owner, RR_NS, owner, name_len(owner)); /* glue at the cut itself */
        zonegen_add_addresses(gen, e, owner);
    }
    if (kind == KIND_CUT_DS || random_below(&gen->random, 4) == 0)
        zonegen_add_ds(gen, e, owner);
}

/* Octets that are rare in names, an upper-case label, the longest label. */
static void zonegen_add_odd(struct zonegen *gen, struct edit *e, const uint8_t *owner)
{
    uint8_t odd[NAME_MAX_OCTETS];
    zonegen_join("\x01\xff. _*", owner, odd);
    zonegen_add_text(gen, e, odd);
    zonegen_join("*", odd, odd);
    zonegen_add_text(gen, e, odd);
    zonegen_join("_443._TcP", owner, odd); /* one label with a dot in it */
    zonegen_add_addresses(gen, e, odd);
    zonegen_join("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", owner, odd);
    zonegen_add_text(gen, e, odd);
}

static const char *const zonegen_extras[] = {
    "ns",
    "mid",
    "*",
    "below",
    "\x01\xff. _*",
    "_443._TcP",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
};

/* Takes away all that any kind may have written for this slot. */
static void zonegen_clear(const uint8_t *owner, struct edit *e)
{
    uint8_t name[NAME_MAX_OCTETS], deeper[NAME_MAX_OCTETS];
    edit_remove(e, owner);
    for (size_t i = 0; i < sizeof(zonegen_extras) / sizeof(zonegen_extras[0]); i++) {
        zonegen_join(zonegen_extras[i], owner, name);
        edit_remove(e, name);
        zonegen_join("*", name, deeper);
        edit_remove(e, deeper);
        zonegen_join("deep", name, deeper);
        edit_remove(e, deeper);
    }
}

static void zonegen_add_around(struct zonegen *gen, struct edit *e, const uint8_t *owner,
                               enum kind kind)
{
    uint8_t name[NAME_MAX_OCTETS];
    switch (kind) {
    case KIND_NON_TERMINAL:
        zonegen_join("mid", owner, name);
        zonegen_join("deep", name, name);
        zonegen_add_text(gen, e, name);
        break;
    case KIND_WILDCARD:
        zonegen_join("*", owner, name);
        zonegen_add_addresses(gen, e, name);
        break;
    case KIND_DNAME:
        zonegen_add(e, owner, RR_DNAME, name, zonegen_target(gen, name));
        zonegen_join("below", owner, name);
        if (random_below(&gen->random, 2))
            zonegen_add_addresses(gen, e, name);
        break;
    default:
        UNREACHABLE();
    }
}

static enum kind zonegen_kind(struct zonegen *gen)
{
    if (gen->delegations > 0 && random_below(&gen->random, 100) < gen->delegations)
        return KIND_CUT + (enum kind)random_below(&gen->random, 3);
    return (enum kind)random_below(&gen->random, KINDS);
}

static void zonegen_write(struct zonegen *gen, struct edit *e, unsigned slot)
{
    uint8_t owner[NAME_MAX_OCTETS], name[NAME_MAX_OCTETS];
    zonegen_name(gen, slot, owner);
    enum kind kind = zonegen_kind(gen);
    switch (kind) {
    case KIND_HOST:
        zonegen_add_addresses(gen, e, owner);
        break;
    case KIND_MANY:
        zonegen_add_many(gen, e, owner);
        break;
    case KIND_CUT:
    case KIND_CUT_DS:
    case KIND_CUT_GLUE:
        zonegen_add_cut(gen, e, owner, kind);
        break;
    case KIND_CNAME:
        zonegen_add(e, owner, RR_CNAME, name, zonegen_target(gen, name));
        break;
    case KIND_ODD:
        zonegen_add_odd(gen, e, owner);
        break;
    case KIND_CASE:
        owner[1] ^= 0x20;
        zonegen_add_addresses(gen, e, owner);
        break;
    case KIND_NON_TERMINAL:
    case KIND_WILDCARD:
    case KIND_DNAME:
        zonegen_add_around(gen, e, owner, kind);
        break;
    case KIND_NOTHING:
    case KINDS:
        break;
    }
}

/* --- one thing comes or goes, and all else around the slot stays --- */

static bool zonegen_has(struct edit *e, const uint8_t *owner, uint16_t type)
{
    const struct node *node = edit_get(e, owner);
    return node && node_has(node, type);
}

static bool skip_type(void *ctx, const struct rrset *set)
{
    return set->type == *(const uint16_t *)ctx;
}

static void zonegen_del(struct edit *e, const uint8_t *owner, uint16_t type)
{
    const struct node *node = edit_get(e, owner);
    if (!node)
        return;
    struct node_builder *builder = node_builder_new();
    node_builder_begin(builder, node_name(node));
    node_builder_add_node(builder, node, skip_type, &type);
    struct node *made = node_builder_seal(builder);
    if (made)
        edit_put(e, made);
    else
        edit_remove(e, owner);
    node_builder_free(&builder);
}

static void zonegen_flip_delegation(struct zonegen *gen, struct edit *e, const uint8_t *owner)
{
    uint8_t ns[NAME_MAX_OCTETS];
    if (!zonegen_has(e, owner, RR_NS)) {
        zonegen_del(e, owner, RR_DNAME);
        zonegen_add(e, owner, RR_NS, ns, zonegen_target(gen, ns));
        return;
    }
    zonegen_del(e, owner, RR_DS);
    zonegen_del(e, owner, RR_NS);
}

static void zonegen_flip_ds(struct zonegen *gen, struct edit *e, const uint8_t *owner)
{
    if (zonegen_has(e, owner, RR_DS))
        zonegen_del(e, owner, RR_DS);
    else if (zonegen_has(e, owner, RR_NS))
        zonegen_add_ds(gen, e, owner);
}

static void zonegen_flip_dname(struct zonegen *gen, struct edit *e, const uint8_t *owner)
{
    uint8_t target[NAME_MAX_OCTETS];
    if (zonegen_has(e, owner, RR_DNAME))
        zonegen_del(e, owner, RR_DNAME);
    else if (!zonegen_has(e, owner, RR_NS))
        zonegen_add(e, owner, RR_DNAME, target, zonegen_target(gen, target));
}

static void zonegen_flip_below(struct zonegen *gen, struct edit *e, const uint8_t *owner,
                               const char *label, const char *over)
{
    uint8_t name[NAME_MAX_OCTETS];
    zonegen_join(label, owner, name);
    if (over)
        zonegen_join(over, name, name);
    if (!edit_remove(e, name))
        zonegen_add_text(gen, e, name);
}

static void zonegen_flip(struct zonegen *gen, struct edit *e, unsigned slot)
{
    uint8_t owner[NAME_MAX_OCTETS];
    zonegen_name(gen, slot, owner);
    bool alias = zonegen_has(e, owner, RR_CNAME);
    switch (random_below(&gen->random, 6)) {
    case 0:
    case 1:
        zonegen_flip_ds(gen, e, owner);
        break;
    case 2:
        if (!alias)
            zonegen_flip_delegation(gen, e, owner);
        break;
    case 3:
        if (!alias)
            zonegen_flip_dname(gen, e, owner);
        break;
    case 4:
        zonegen_flip_below(gen, e, owner, "mid", "deep");
        break;
    default:
        zonegen_flip_below(gen, e, owner, "*", NULL);
        break;
    }
}

static void zonegen_write_soa(struct zonegen *gen, struct edit *e, uint32_t serial)
{
    uint8_t rdata[2 * NAME_MAX_OCTETS + 20];
    zonegen_join("ns1", gen->apex, rdata);
    size_t at = name_len(rdata);
    zonegen_join("Host.Master", gen->apex, rdata + at);
    at += name_len(rdata + at);
    const uint32_t fields[] = {serial, 3600, 600, 86400, 300};
    for (unsigned i = 0; i < 5; i++, at += 4)
        put_u32(rdata + at, fields[i]);
    zonegen_add(e, gen->apex, RR_SOA, rdata, at);
}

static void zonegen_write_apex(struct zonegen *gen, struct edit *e)
{
    uint8_t name[NAME_MAX_OCTETS], rdata[NAME_MAX_OCTETS + 2];
    edit_remove(e, gen->apex);
    zonegen_write_soa(gen, e, gen->serial);
    zonegen_join("ns1", gen->apex, name);
    zonegen_add(e, gen->apex, RR_NS, name, name_len(name));
    zonegen_add(e, gen->apex, RR_NS, rdata, zonegen_target(gen, rdata));
    put_u16(rdata, 10);
    name_copy(rdata + 2, name);
    zonegen_add(e, gen->apex, RR_MX, rdata, 2 + name_len(name));
}

void zonegen_fill(struct zonegen *gen, struct edit *e)
{
    uint8_t name[NAME_MAX_OCTETS];
    zonegen_write_apex(gen, e);
    zonegen_join("ns1", gen->apex, name);
    zonegen_add_addresses(gen, e, name);
    for (unsigned i = 0; i < gen->slots; i++)
        zonegen_write(gen, e, i);
}

void zonegen_step(struct zonegen *gen, struct edit *e, unsigned changes)
{
    uint8_t owner[NAME_MAX_OCTETS];
    gen->serial++;
    zonegen_write_apex(gen, e);
    for (unsigned i = 0; i < changes; i++) {
        unsigned slot = (unsigned)random_below(&gen->random, gen->slots);
        if (random_below(&gen->random, 3) == 0) {
            zonegen_flip(gen, e, slot);
            continue;
        }
        zonegen_name(gen, slot, owner);
        zonegen_clear(owner, e);
        zonegen_write(gen, e, slot);
    }
}

static void flip_case(struct zonegen *gen, uint8_t *name)
{
    for (uint8_t *label = name; *label; label += 1 + *label)
        for (uint8_t *c = label + 1; c <= label + *label; c++)
            if ((*c | 0x20) >= 'a' && (*c | 0x20) <= 'z' && random_below(&gen->random, 3) == 0)
                *c ^= 0x20;
}

static void restyle_rrset(struct zonegen *gen, struct node_builder *b, const struct rrset *set,
                          bool ttl, bool letters)
{
    const uint8_t *p = set->rdata;
    struct rdata r;
    while (rrset_next(set, &p, &r)) {
        uint8_t rdata[1024];
        struct rdata_name name[2];
        ASSERT(r.len <= sizeof rdata);
        memcpy(rdata, r.data, r.len);
        for (unsigned n = letters ? rdata_names(set->type, r.data, r.len, name) : 0; n-- > 0;)
            flip_case(gen, rdata + name[n].at);
        int rc = node_builder_add(b, set->type, set->ttl + ttl, rdata, r.len);
        ASSERT(rc == 0);
    }
}

static void restyle_node(struct zonegen *gen, struct edit *e, const struct node *node)
{
    struct node_builder *b = node_builder_new();
    uint8_t owner[NAME_MAX_OCTETS];
    unsigned kind = (unsigned)random_below(&gen->random, 3);
    unsigned chosen = (unsigned)random_below(&gen->random, node->nrrsets);
    name_copy(owner, node_name(node));
    if (kind == 0)
        flip_case(gen, owner);
    node_builder_begin(b, owner);
    for (unsigned i = 0; i < node->nrrsets; i++) {
        struct rrset set;
        node_rrset_at(node, i, &set);
        restyle_rrset(gen, b, &set, kind == 1 && i == chosen, kind == 2 && i == chosen);
    }
    struct node *made = node_builder_seal(b);
    node_builder_free(&b);
    edit_put(e, made);
}

void zonegen_restyle(struct zonegen *gen, struct edit *e, unsigned changes)
{
    uint8_t owner[NAME_MAX_OCTETS];
    if (random_below(&gen->random, 8) == 0) {
        flip_case(gen, gen->apex);
        zonegen_write_apex(gen, e);
    }
    for (unsigned i = 0; i < changes; i++) {
        zonegen_name(gen, (unsigned)random_below(&gen->random, gen->slots), owner);
        const struct node *node = edit_get(e, owner);
        if (node)
            restyle_node(gen, e, node);
    }
}

struct snapshot *zonegen_version(struct zonegen *gen, struct family *family,
                                 const struct snapshot *before, unsigned changes)
{
    struct edit *e = edit_open(family, before, before);
    struct snapshot *made;
    struct why why;
    if (before)
        zonegen_step(gen, e, changes);
    else
        zonegen_fill(gen, e);
    int rc = edit_seal(&e, &made, NULL, &why);
    ASSERT(rc == 0);
    return made;
}
