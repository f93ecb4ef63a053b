/* nsec3: the NSEC3 chains of a version (RFC 5155 7.1, RFC 9276).
 *
 * Two sorted lists are laid side by side:
 *
 *   wanted   the hash of each name of the zone, and of each empty non-terminal above one; sorted
 * here there    the NSEC3 records with these parameters; already in order, for base32hex keeps it
 *
 * Same hash: the record must list what is at the name. Wanted only: a gap, unless the name is a
 * delegation without DS (or a non-terminal with nothing else below it) and the record whose span
 * covers the hash has opt-out. There only: left over. Each record must lead to the next one that is
 * there, the last to the first.
 *
 * Each NSEC3PARAM announces a whole chain, so each is checked; while a zone changes its salt there
 * are two. Records of no announced chain are counted.
 *
 * The work is bounded before it is begun (CVE-2023-50868): NSEC3_CHAINS chains, max_iterations each;
 * and what names of 127 labels, each with its own non-terminals, or a salt of 255 octets would add
 * to that: blocks of SHA-1 a name of the zone, and hashes a name of the zone.
 */
#include "stages/validate/validate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HASHES_PER_NAME = 16, HASHES_FREE = 100, BLOCK = 64, BLOCK_PADDING = 9 };
enum { NSEC3_CHAINS = 2, HASH = 20, HASH_TEXT = 32, HASH_CHUNK = 256 };

struct nsec3_params {
    uint16_t iterations;
    uint8_t salt_len;
    const uint8_t *salt;
};
struct nsec3 { /* a view of NSEC3 rdata */
    uint8_t algorithm, flags;
    struct nsec3_params params;
    const uint8_t *next;
    uint8_t next_len;
    const uint8_t *bitmap;
    size_t bitmap_len;
};
struct wanted {
    uint8_t hash[HASH];
    bool optional; /* opt-out may cover it */
    bool cut;
    const uint8_t *name;
    const struct node *node; /* NULL: an empty non-terminal */
};
struct there {
    uint8_t hash[HASH];
    const struct node *node;
    struct nsec3 nsec3;
};
struct chain3 { /* one chain under judgement */
    struct check *check;
    struct nsec3_params params;
    size_t wanted, there;
    struct wanted *want;
    struct there *have;
};

static struct nsec3 nsec3_parse(struct rdata rdata)
{
    struct rbuf r = rbuf_open(rdata.data, rdata.len);
    struct nsec3 out = {0};
    out.algorithm = rbuf_u8(&r);
    out.flags = rbuf_u8(&r);
    out.params.iterations = rbuf_u16(&r);
    out.params.salt_len = rbuf_u8(&r);
    out.params.salt = rbuf_take(&r, out.params.salt_len);
    out.next_len = rbuf_u8(&r);
    out.next = rbuf_take(&r, out.next_len);
    out.bitmap = r.p;
    out.bitmap_len = rbuf_left(&r);
    ASSERT(!r.bad); /* what is in a snapshot is well formed */
    return out;
}

static bool nsec3_has_params(const struct nsec3 *nsec3, const struct nsec3_params *params)
{
    return nsec3->algorithm == 1 && nsec3->params.iterations == params->iterations &&
           nsec3->params.salt_len == params->salt_len &&
           memcmp(nsec3->params.salt, params->salt, params->salt_len) == 0;
}

bool nsec3_only(const struct node *node)
{
    bool has = false;
    for (unsigned i = 0; i < node->nrrsets; i++) {
        uint16_t type = node->head[i].type == RR_RRSIG ? node->head[i].covered : node->head[i].type;
        if (type != RR_NSEC3)
            return false;
        has |= node->head[i].type == RR_NSEC3;
    }
    return has;
}

/* --- base32hex (RFC 4648 7), without padding: 20 octets are 32 letters --- */

static void hash_print(const uint8_t hash[HASH], char out[HASH_TEXT + 1])
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuv";
    for (unsigned i = 0; i < HASH_TEXT; i++) {
        unsigned bit = i * 5, octet = bit / 8;
        unsigned two = (unsigned)hash[octet] << 8 | (octet + 1 < HASH ? hash[octet + 1] : 0);
        out[i] = letters[two >> (11 - bit % 8) & 31];
    }
    out[HASH_TEXT] = '\0';
}

static bool hash_parse(const uint8_t *label, uint8_t out[HASH])
{
    if (label[0] != HASH_TEXT)
        return false;
    unsigned bits = 0, held = 0;
    for (unsigned i = 1; i <= HASH_TEXT; i++) {
        uint8_t c = name_lower_table[label[i]];
        unsigned value;
        if (c >= '0' && c <= '9')
            value = c - '0';
        else if (c >= 'a' && c <= 'v')
            value = c - 'a' + 10u;
        else
            return false;
        bits = (bits << 5 | value) & 0xfff;
        held += 5;
        if (held >= 8) {
            held -= 8;
            *out++ = (uint8_t)(bits >> held);
        }
    }
    return true;
}

/* --- what is wanted --- */

static void wanted_add(struct chain3 *chain, const uint8_t *name, const struct item *item)
{
    struct wanted *want = &chain->want[chain->wanted++];
    *want = (struct wanted){.name = name};
    if (!item) {
        want->optional = true; /* until a name below it is not */
        return;
    }
    want->node = item->node;
    want->cut = item->status == NAME_CUT;
    want->optional = want->cut && !node_has(item->node, RR_DS);
}

/* Walks the names in order and lists them, the empty non-terminals between included. `open` are the
 * non-terminals above the name at hand, by depth; they are wanted for certain as soon as one name
 * below is. With want NULL it only counts. */
static size_t wanted_list(struct chain3 *chain, bool count_only)
{
    const struct check *check = chain->check;
    size_t open[NAME_MAX_LABELS], nopen = 0, n = 0;
    unsigned depth[NAME_MAX_LABELS];
    const uint8_t *before = check->apex_name;
    for (size_t i = 0; i < check->items; i++) {
        const struct item *item = &check->item[i];
        if (item->status == NAME_OCCLUDED || item->nsec3_only)
            continue;
        const uint8_t *name = node_name(item->node);
        unsigned labels = name_labels(name), shared = name_common_labels(before, name);
        while (nopen > 0 && depth[nopen - 1] > shared)
            nopen--;
        for (unsigned d = shared + 1; d < labels; d++) {
            n++;
            if (count_only)
                continue;
            depth[nopen] = d;
            open[nopen++] = chain->wanted;
            wanted_add(chain, name_strip(name, labels - d), NULL);
        }
        n++;
        before = name;
        if (count_only)
            continue;
        wanted_add(chain, name, item);
        bool optional = chain->want[chain->wanted - 1].optional;
        for (size_t o = nopen; !optional && o > 0 && chain->want[open[o - 1]].optional; o--)
            chain->want[open[o - 1]].optional = false;
    }
    return n;
}

static void wanted_hash(void *ctx, unsigned worker, size_t begin, size_t end)
{
    const struct chain3 *chain = ctx;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        dnssec_nsec3_hash(chain->want[i].name, chain->params.iterations, chain->params.salt,
                          chain->params.salt_len, chain->want[i].hash);
}

static int wanted_cmp(const void *a, const void *b)
{
    return memcmp(((const struct wanted *)a)->hash, ((const struct wanted *)b)->hash, HASH);
}

/* --- what is there --- */

/* The NSEC3 of a node with the chain's parameters. False: it has none. */
static bool there_find(struct chain3 *chain, const struct node *node, struct nsec3 *out)
{
    struct rrset set;
    struct rdata rdata;
    unsigned same = 0;
    if (!node_rrset(node, RR_NSEC3, 0, &set))
        return false;
    for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &rdata);) {
        struct nsec3 nsec3 = nsec3_parse(rdata);
        if (nsec3_has_params(&nsec3, &chain->params) && same++ == 0)
            *out = nsec3;
    }
    if (same > 1)
        finding_add(chain->check->run->findings, NSEC3_MULTIPLE, node_name(node), RR_NSEC3, same, 0,
                    NULL);
    return same > 0;
}

static void there_list(struct chain3 *chain)
{
    struct check *check = chain->check;
    for (size_t i = 0; i < check->items; i++) {
        const struct item *item = &check->item[i];
        struct there there = {.node = item->node};
        if (item->status == NAME_OCCLUDED || !there_find(chain, item->node, &there.nsec3))
            continue;
        const uint8_t *owner = node_name(item->node);
        if (name_labels(owner) != check->apex_labels + 1 || !hash_parse(owner, there.hash)) {
            finding_add(check->run->findings, NSEC3_OWNER, owner, RR_NSEC3, 0, 0, NULL);
            continue;
        }
        struct rrset set;
        if (node_rrset(item->node, RR_NSEC3, 0, &set) && set.ttl != check->nsec_ttl)
            tally_add(&check->tally[TALLY_NSEC3_TTL], 0, owner, RR_NSEC3);
        if (there.nsec3.flags > 1)
            finding_add(check->run->findings, NSEC3_FLAGS, owner, RR_NSEC3, there.nsec3.flags, 0,
                        NULL);
        chain->have[chain->there++] = there;
    }
}

/* --- side by side --- */

static void chain_check_links(const struct chain3 *chain)
{
    for (size_t i = 0; i < chain->there; i++) {
        const struct there *there = &chain->have[i];
        const struct there *next = &chain->have[i + 1 < chain->there ? i + 1 : 0];
        if (there->nsec3.next_len == HASH && memcmp(there->nsec3.next, next->hash, HASH) == 0)
            continue;
        char is[HASH_TEXT + 1] = "a hash of another length", should[HASH_TEXT + 1], text[128];
        if (there->nsec3.next_len == HASH)
            hash_print(there->nsec3.next, is);
        hash_print(next->hash, should);
        snprintf(text, sizeof(text), "%s, the next is %s", is, should);
        finding_add(chain->check->run->findings, NSEC3_NEXT, node_name(there->node), RR_NSEC3, 0, 0,
                    text);
    }
}

static void chain_check_match(const struct chain3 *chain, const struct wanted *want,
                              const struct there *there)
{
    char words[BITMAP_TEXT_MAX], owner[NAME_TEXT_MAX], text[BITMAP_TEXT_MAX + NAME_TEXT_MAX + 8];
    if (bitmap_check(want->node, want->cut ? BITMAP_CUT : BITMAP_ALL, true, there->nsec3.bitmap,
                     there->nsec3.bitmap_len, words))
        return;
    snprintf(text, sizeof(text), "of %s %s", name_print(want->name, owner), words);
    finding_add(chain->check->run->findings, NSEC3_BITMAP, node_name(there->node), RR_NSEC3, 0, 0,
                text);
}

/* have[at] is the first record behind the hash; so the one before it covers the hash. */
static void chain_check_gap(const struct chain3 *chain, const struct wanted *want, size_t at)
{
    const struct there *cover = &chain->have[at > 0 ? at - 1 : chain->there - 1];
    if (want->optional && cover->nsec3.flags & 1)
        return;
    char hash[HASH_TEXT + 1], text[HASH_TEXT + 16];
    hash_print(want->hash, hash);
    snprintf(text, sizeof(text), "hash %s", hash);
    finding_add(chain->check->run->findings, NSEC3_MISSING, want->name, RR_NSEC3, 0, 0, text);
}

static void chain_compare(const struct chain3 *chain)
{
    size_t w = 0, t = 0;
    while (w < chain->wanted || t < chain->there) {
        int order = w == chain->wanted  ? 1
                    : t == chain->there ? -1
                                        : memcmp(chain->want[w].hash, chain->have[t].hash, HASH);
        if (order == 0)
            chain_check_match(chain, &chain->want[w++], &chain->have[t++]);
        else if (order < 0)
            chain_check_gap(chain, &chain->want[w++], t);
        else
            finding_add(chain->check->run->findings, NSEC3_EXTRA, node_name(chain->have[t++].node),
                        RR_NSEC3, 0, 0, NULL);
    }
}

/* May n names be hashed? Twice as many blocks of SHA-1 a name as max_iterations asks for (0 to 99: as
 * 99; 200 blocks are about two signatures), and so many hashes a name. */
static bool chain_affordable(const struct chain3 *chain, size_t n)
{
    const struct check *check = chain->check;
    uint64_t names = check->run->next->names + HASHES_FREE;
    uint64_t iterations = check->conf->max_iterations > 99 ? check->conf->max_iterations : 99;
    uint64_t blocks = 1 + (HASH + chain->params.salt_len + BLOCK_PADDING - 1u) / BLOCK;
    return n <= HASHES_PER_NAME * names &&
           n * blocks * (chain->params.iterations + 1u) <= 2 * (iterations + 1) * names;
}

static void chain_check(struct check *check, const struct nsec3_params *params)
{
    struct chain3 chain = {.check = check, .params = *params};
    size_t n = wanted_list(&chain, true);
    chain.have = arena_alloc(check->run->scratch, (check->items + 1) * sizeof(chain.have[0]));
    there_list(&chain);
    if (chain.there == 0) {
        finding_add(check->run->findings, NSEC3_CHAIN_MISSING, check->apex_name, RR_NSEC3, 0, 0,
                    NULL);
        return;
    }
    if (!chain_affordable(&chain, n)) {
        finding_add(check->run->findings, NSEC3_WORK, check->apex_name, RR_NSEC3, (int64_t)n,
                    (int64_t)check->run->next->names, NULL);
        return;
    }
    chain.want = arena_alloc(check->run->scratch, (n + 1) * sizeof(chain.want[0]));
    wanted_list(&chain, false);
    ASSERT(chain.wanted == n);
    par_map(check->run->par, chain.wanted, HASH_CHUNK, wanted_hash, &chain);
    qsort(chain.want, chain.wanted, sizeof(chain.want[0]), wanted_cmp);
    chain_check_links(&chain);
    chain_compare(&chain);
}

/* --- which chains --- */

/* The chains that the apex announces. A finding for each that is not checked. */
static unsigned params_read(struct check *check, struct nsec3_params out[NSEC3_CHAINS])
{
    struct findings *findings = check->run->findings;
    struct rrset set;
    struct rdata rdata;
    unsigned n = 0;
    if (!node_rrset(check->apex, RR_NSEC3PARAM, 0, &set))
        return 0;
    if (set.count > NSEC3_CHAINS) {
        finding_add(findings, NSEC3_PARAM_MANY, check->apex_name, RR_NSEC3PARAM, set.count,
                    NSEC3_CHAINS, NULL);
        return 0;
    }
    for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &rdata);) {
        struct nsec3_params params = {.iterations = get_u16(rdata.data + 2),
                                      .salt_len = rdata.data[4],
                                      .salt = rdata.data + 5};
        if (rdata.data[0] != 1 || rdata.data[1] != 0) {
            finding_add(findings, NSEC3_PARAM, check->apex_name, RR_NSEC3PARAM, rdata.data[0],
                        rdata.data[1], NULL);
            continue;
        }
        if (params.iterations > check->conf->max_iterations) {
            finding_add(findings, NSEC3_ITERATIONS, check->apex_name, RR_NSEC3PARAM,
                        params.iterations, check->conf->max_iterations, NULL);
            continue;
        }
        if (params.iterations > 0)
            finding_add(findings, NSEC3_ITERATIONS_HIGH, check->apex_name, RR_NSEC3PARAM,
                        params.iterations, 0, NULL);
        out[n++] = params;
    }
    return n;
}

/* NSEC3 records of none of these chains. */
static size_t stray_count(const struct check *check, const struct nsec3_params *params, unsigned n)
{
    size_t stray = 0;
    for (size_t i = 0; i < check->items; i++) {
        struct rrset set;
        struct rdata rdata;
        if (check->item[i].status == NAME_OCCLUDED ||
            !node_rrset(check->item[i].node, RR_NSEC3, 0, &set))
            continue;
        for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &rdata);) {
            struct nsec3 nsec3 = nsec3_parse(rdata);
            bool announced = false;
            for (unsigned c = 0; c < n; c++)
                announced |= nsec3_has_params(&nsec3, &params[c]);
            stray += !announced;
        }
    }
    return stray;
}

void nsec3_check_all(struct check *check)
{
    struct nsec3_params params[NSEC3_CHAINS];
    struct rrset announced = {0};
    unsigned n = 0;
    if (check->nsec3) {
        node_rrset(check->apex, RR_NSEC3PARAM, 0, &announced);
        n = params_read(check, params);
        for (unsigned i = 0; i < n; i++)
            chain_check(check, &params[i]);
    }
    if (check->nsec3_tolerated || n < announced.count)
        return; /* of a chain that is not checked (told above), nothing is stray */
    size_t stray = stray_count(check, params, n);
    if (stray > 0)
        finding_add(check->run->findings, NSEC3_STRAY, check->apex_name, RR_NSEC3, (int64_t)stray,
                    0, NULL);
}
