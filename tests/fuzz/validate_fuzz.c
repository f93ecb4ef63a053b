/* validate_fuzz: any octets as a play upon a small signed zone, and validate, which knows the version before, must find
 * what it finds from nothing.
 *
 * The first octet chooses the zone's denial and the options. Then each move is an octet, which says what is done and
 * by its highest bit that more is to come before the next look, and the octets that it asks for: which name, rrset,
 * record or octet. Some moves damage the version that is to be judged, some mend a name; others turn the
 * signer's keys, denial or times, or the unsigned zone, and the next version is as it should be again.
 *
 * At each look the version is judged from the last one that was accepted, and from nothing. The verdicts are the same,
 * what is found from the last one is found from nothing as well, and the next wake-up comes no later. When time
 * has come to the wake-up of a version that was accepted, the same holds for that.
 */
#include "tests/lib/crypto_memo.h"
#include "tests/lib/signer.h"
#include "tests/lib/stageplay.h"

#include "pipeline/run/registry.h"
#include "pipeline/zone/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BEGIN = 1700000000, LOOKS_MAX = 24, NAMES_MAX = 400, TTL = 300 };

static const uint8_t apex[] = "\7example";
static const char zone_text[] =
    "@ 300 SOA ns1 host 1 3600 600 86400 300\n@ 300 NS ns1\nns1 300 A 192.0.2.1\n"
    "a 300 A 192.0.2.2\na 300 TXT a\nb.a 300 A 192.0.2.3\n*.w 300 TXT w\nx.ent 300 TXT x\n"
    "d 300 DNAME other.\nc 300 NS ns.c\nns.c 300 A 192.0.2.4\n"
    "c 300 DS 1 13 2 C988EC423E3880EB8DD8A46FE06CA230EE23F35B578D64E78B29C3E1C83D245A\n"
    "i 300 NS ns1\nj.i2 300 NS ns1\n";

static const struct start {
    bool nsec, nsec3, opt_out;
} starts[] = {{true, false, false}, {false, true, false}, {false, true, true}, {true, true, false}};
static const char *const options[] = {
    "denial=any",
    "denial=any signatures=any-key",
    "denial=any min_remaining=0",
    "denial=nsec-only",
    "denial=nsec3-only",
    "denial=any max_signatures=2 max_keys_per_tag=1 max_keys=3 max_iterations=0",
    "denial=any trust_anchor=", /* of the key that the zone begins with */
};
enum {
    STARTS = sizeof(starts) / sizeof(starts[0]),
    OPTIONS = sizeof(options) / sizeof(options[0])
};

/* Keys that may be added; those in pairs have one tag, the last pair once its first key is revoked. */
enum { KEY_SEEDS = 8 };
static struct key_seed {
    uint16_t flags;
    uint8_t algorithm;
    uint32_t seed;
} key_seeds[KEY_SEEDS] = {
    {DNSKEY_ZONE | DNSKEY_SEP, ALG_ED25519, 3},   {DNSKEY_ZONE, ALG_ED25519, 5},
    {DNSKEY_ZONE | DNSKEY_SEP, ALG_ECDSAP256, 7}, {DNSKEY_ZONE, ALG_ECDSAP256, 9},
    {DNSKEY_ZONE | DNSKEY_SEP, ALG_ED25519, 0},   {DNSKEY_ZONE | DNSKEY_SEP, ALG_ED25519, 0},
    {DNSKEY_ZONE | DNSKEY_SEP, ALG_ED25519, 0},   {DNSKEY_ZONE | DNSKEY_SEP, ALG_ED25519, 0},
};

static struct family *plain_family, *family;
static struct snapshot *plain_start, *whole_start[STARTS];
static char anchor_options[256];

struct game {
    const uint8_t *p, *end;
    struct signer signer;
    struct snapshot *plain, *whole,
        *before;           /* unsigned; signed as it should be, and so the last time */
    struct snapshot *seen; /* what is judged */
    struct stageplay play, fresh;
    time_t now, wake_at;
    unsigned looks;
};

/* --- what all games begin with --- */

static struct signer signer_start(unsigned start)
{
    struct signer signer = {.inception = BEGIN - 86400,
                            .expiration = BEGIN + 86400,
                            .nsec = starts[start].nsec,
                            .nsec3 = starts[start].nsec3,
                            .opt_out = starts[start].opt_out,
                            .other = {.salt_len = 1, .salt = {0xaa}}};
    signer_add_key(&signer, DNSKEY_ZONE | DNSKEY_SEP, ALG_ED25519, 1);
    return signer;
}

static struct snapshot *sealed(struct edit *e)
{
    struct snapshot *made;
    struct why why;
    int rc = edit_seal(&e, &made, NULL, &why);
    ASSERT(rc == 0);
    return made;
}

static void anchor_open(void)
{
    struct signer signer = signer_start(0);
    char base64[64];
    EVP_EncodeBlock((unsigned char *)base64, signer.key[0].rdata + 4, signer.key[0].len - 4);
    snprintf(anchor_options, sizeof(anchor_options), "%s257~3~15~%s", options[OPTIONS - 1], base64);
    signer_close(&signer);
}

static void open_once(void)
{
    if (family)
        return;
    plain_family = family_new(apex);
    family = family_new(apex);
    struct edit *e = edit_open(plain_family, NULL, NULL);
    char path[64];
    struct why why;
    int fd = memfd_create("zone", 0);
    ASSERT(fd >= 0 && write(fd, zone_text, sizeof(zone_text) - 1) == sizeof(zone_text) - 1);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int rc = text_read(path, e, apex, &why);
    ASSERT(rc == 0);
    close(fd);
    plain_start = sealed(e);
    for (unsigned i = 0; i < STARTS; i++) {
        struct signer signer = signer_start(i);
        whole_start[i] = signer_sign(&signer, plain_start, family, NULL);
        signer_close(&signer);
    }
    for (unsigned pair = 4; pair < KEY_SEEDS; pair += 2) {
        uint32_t seeds[2];
        signer_same_tag(key_seeds[pair].flags, ALG_ED25519, pair == 6, 11, seeds);
        key_seeds[pair].seed = seeds[0];
        key_seeds[pair + 1].seed = seeds[1];
    }
    anchor_open();
}

/* --- choosing --- */

static unsigned take(struct game *g)
{
    return g->p < g->end ? *g->p++ : 0;
}

static const struct node *take_node(struct game *g, const struct snapshot *s)
{
    struct snapshot_iter it;
    const struct node *node = snapshot_first(&it, s);
    for (size_t skip = take(g) % s->names; skip > 0; skip--)
        node = snapshot_next(&it);
    return node;
}

static struct rrset take_set(struct game *g, const struct node *node)
{
    struct rrset set;
    node_rrset_at(node, take(g) % node->nrrsets, &set);
    return set;
}

static struct rdata take_record(struct game *g, const struct rrset *set)
{
    struct rdata rdata = {0};
    const uint8_t *p = set->rdata;
    for (unsigned skip = take(g) % set->count + 1; skip > 0; skip--)
        rrset_next(set, &p, &rdata);
    return rdata;
}

static void join(const char *label, uint8_t name[NAME_MAX_OCTETS])
{
    uint8_t below[NAME_MAX_OCTETS];
    size_t n = strlen(label), len = name_copy(below, name);
    name[0] = (uint8_t)n;
    memcpy(name + 1, label, n);
    memcpy(name + 1 + n, below, len);
}

/* A name that is there, or one below it, at times with a non-terminal between; or the hash of any of these. */
static void take_owner(struct game *g, const struct snapshot *s, uint8_t out[NAME_MAX_OCTETS])
{
    static const char *const labels[] = {"*", "0", "n", "zz"};
    unsigned how = take(g);
    size_t len = name_copy(out, node_name(take_node(g, s)));
    if (how & 1 && len < 100) {
        if (how & 32)
            join("e", out);
        join(labels[how >> 2 & 3], out);
    }
    if (how & 2)
        signer_nsec3_owner(&g->signer, apex, out, out);
}

/* --- moves upon a version --- */

static void add(struct edit *e, const uint8_t *owner, uint16_t type, uint32_t ttl,
                const uint8_t *rdata, size_t len)
{
    int rc = edit_add(e, owner, type, ttl, rdata, (uint16_t)len, NULL);
    ASSERT(rc == 0);
}

static bool skip_set(void *ctx, const struct rrset *set)
{
    const struct rrset *skip = ctx;
    return set->type == skip->type && set->covered == skip->covered;
}

/* The rrset goes; instead may be NULL. */
static void put_instead(struct edit *e, const struct node *node, struct rrset *set,
                        const struct rrset *instead)
{
    struct node_builder *builder = node_builder_new();
    node_builder_begin(builder, node_name(node));
    node_builder_add_node(builder, node, skip_set, set);
    if (instead)
        node_builder_add_rrset(builder, instead);
    struct node *made = node_builder_seal(builder);
    if (made)
        edit_put(e, made);
    else
        edit_remove(e, node_name(node));
    node_builder_free(&builder);
}

static void move_octet(struct game *g, struct edit *e, const struct node *node)
{
    uint8_t copy[65535];
    struct rrset set = take_set(g, node);
    struct rdata rdata = take_record(g, &set);
    if (rdata.len == 0)
        return;
    memcpy(copy, rdata.data, rdata.len);
    unsigned at = take(g);
    copy[at % rdata.len] ^= (uint8_t)(1 << take(g) % 8);
    if (rdata_valid(set.type, copy, rdata.len, NULL) != 0)
        return;
    int rc = edit_del(e, node_name(node), set.type, rdata.data, rdata.len, NULL);
    ASSERT(rc == 0);
    add(e, node_name(node), set.type, set.ttl, copy, rdata.len);
}

static void move_lose(struct game *g, struct edit *e, const struct node *node)
{
    struct rrset set = take_set(g, node);
    unsigned how = take(g);
    if (how % 4 == 0) {
        edit_remove(e, node_name(node));
    } else if (how % 4 == 1) {
        struct rdata rdata = take_record(g, &set);
        int rc = edit_del(e, node_name(node), set.type, rdata.data, rdata.len, NULL);
        ASSERT(rc == 0);
    } else {
        put_instead(e, node, &set, NULL);
    }
}

static void move_ttl(struct game *g, struct edit *e, const struct node *node)
{
    struct rrset set = take_set(g, node), other = set;
    other.ttl ^= 1u << take(g) % 10;
    put_instead(e, node, &set, &other);
}

static void move_copy(struct game *g, struct edit *e, const struct node *node)
{
    uint8_t owner[NAME_MAX_OCTETS];
    struct rrset set = take_set(g, node);
    struct rdata rdata = take_record(g, &set);
    take_owner(g, g->seen, owner);
    add(e, owner, set.type, set.ttl, rdata.data, rdata.len);
}

static void move_add(struct game *g, struct edit *e, const struct snapshot *s)
{
    static const struct {
        uint16_t type, len;
        const char *rdata;
    } records[] = {
        {RR_A, 4, "\300\0\2\011"},     {RR_TXT, 2, "\1t"},
        {RR_NS, 13, "\3ns1\7example"}, {RR_DS, 36, "\0\1\15\2abcdefghijklmnopqrstuvwxyzabcdef"},
        {RR_DNAME, 7, "\5other"},      {RR_CNAME, 13, "\3ns1\7example"},
    };
    uint8_t owner[NAME_MAX_OCTETS];
    unsigned i = take(g) % (sizeof(records) / sizeof(records[0]));
    take_owner(g, s, owner);
    add(e, owner, records[i].type, TTL, (const uint8_t *)records[i].rdata, records[i].len);
}

/* One name as it should be. */
static void move_mend(struct game *g, struct edit *e, const struct snapshot *names)
{
    const uint8_t *name = node_name(take_node(g, names));
    const struct node *right = snapshot_get(g->whole, name);
    if (right)
        edit_put(e, node_ref(right));
    else
        edit_remove(e, name);
}

static void move_sign(struct game *g, struct edit *e, const struct node *node)
{
    bool cut = node_has(node, RR_NS) && !name_equal(node_name(node), apex);
    signer_put(&g->signer, e, apex, node, cut != (take(g) % 4 == 1));
}

/* --- moves of the signer --- */

static void sign_again(struct game *g)
{
    struct snapshot *made = signer_sign(&g->signer, g->plain, family, g->whole);
    snapshot_unref(g->before);
    snapshot_unref(g->seen);
    g->before = g->whole;
    g->whole = made;
    g->seen = snapshot_ref(made);
}

static void plain_take(struct game *g, struct edit *e)
{
    snapshot_unref(g->plain);
    g->plain = sealed(e);
    sign_again(g);
}

static void move_plain_lose(struct game *g)
{
    const struct node *node = take_node(g, g->plain);
    struct rrset set = take_set(g, node);
    if (set.type == RR_SOA)
        return;
    struct edit *e = edit_open(plain_family, g->plain, g->plain);
    put_instead(e, node, &set, NULL);
    plain_take(g, e);
}

static void move_plain_add(struct game *g)
{
    struct edit *e = edit_open(plain_family, g->plain, g->plain);
    move_add(g, e, g->plain);
    plain_take(g, e);
}

/* The next serial; now and then another minimum, and so another TTL of denial. */
static void move_soa(struct game *g)
{
    const struct node *node = snapshot_apex(g->plain);
    struct rrset set;
    struct rdata rdata;
    uint8_t copy[2 * NAME_MAX_OCTETS + 20];
    bool any = node_rrset(node, RR_SOA, 0, &set) && rrset_first(&set, &rdata);
    ASSERT(any);
    memcpy(copy, rdata.data, rdata.len);
    uint8_t *serial = copy + rdata.len - 20, *minimum = copy + rdata.len - 4;
    put_u32(serial, get_u32(serial) + 1);
    put_u32(minimum, take(g) % 4 == 1 ? 60 : 300);
    struct edit *e = edit_open(plain_family, g->plain, g->plain);
    put_instead(e, node, &set, NULL);
    add(e, apex, RR_SOA, set.ttl, copy, rdata.len);
    plain_take(g, e);
}

static void move_key(struct game *g)
{
    struct signer *signer = &g->signer;
    unsigned what = take(g), which = what / 8;
    struct signer_key *key = &signer->key[which % signer->keys];
    const struct key_seed *seed = &key_seeds[which % KEY_SEEDS];
    switch (what % 8) {
    case 0:
        if (signer->keys > 1)
            signer_remove_key(signer, which % signer->keys);
        break;
    case 1:
        key->publish = !key->publish;
        break;
    case 2:
        key->sign = !key->sign;
        break;
    case 3:
        signer_revoke_key(signer, which % signer->keys);
        break;
    default:
        if (signer->keys == SIGNER_KEYS)
            break;
        key = &signer->key[signer_add_key(signer, seed->flags, seed->algorithm, seed->seed)];
        key->publish = what % 4 != 1;
        key->sign = what % 4 != 2;
        break;
    }
    sign_again(g);
}

static void move_denial(struct game *g)
{
    struct signer *signer = &g->signer;
    unsigned what = take(g);
    signer->nsec = what & 1;
    signer->nsec3 = what & 2;
    signer->opt_out = what & 4;
    signer->other.there = what & 8;
    signer->other.announced = what & 16;
    if (what & 32) { /* the chains change places */
        struct signer_chain other = signer->other;
        signer->other.iterations = signer->iterations;
        signer->other.salt_len = signer->salt_len;
        memcpy(signer->other.salt, signer->salt, sizeof(signer->salt));
        signer->iterations = other.iterations;
        signer->salt_len = other.salt_len;
        memcpy(signer->salt, other.salt, sizeof(signer->salt));
    }
    sign_again(g);
}

static void move_fault(struct game *g)
{
    struct signer *signer = &g->signer;
    signer->fault = (enum signer_fault)(1 + take(g) % (FAULTS - 1));
    signer->fault_lot = take(g);
    snapshot_unref(g->seen);
    g->seen = signer_sign(signer, g->plain, family, g->before);
    signer->fault = FAULT_NONE;
}

static void move_validity(struct game *g)
{
    g->signer.inception = (uint32_t)g->now - 3600;
    g->signer.expiration = (uint32_t)g->now + 600 * (1 + take(g));
    g->signer.lazy = take(g) % 101;
    sign_again(g);
}

/* --- looking --- */

_Noreturn static void fail(const char *what, const struct stageresult *part,
                           const struct stageresult *whole)
{
    char *x = stageresult_print(part), *y = stageresult_print(whole);
    fprintf(stderr,
            "%s\nfrom the last version: %s, to be woken at %ld\n%s"
            "from nothing: %s, to be woken at %ld\n%s",
            what, verdict_text(part->verdict), (long)part->wake_at, x, verdict_text(whole->verdict),
            (long)whole->wake_at, y);
    abort();
}

static void compare(struct game *g, const struct snapshot *version, time_t at, bool woken)
{
    struct stageresult part = stageplay_run(&g->play, version, at, woken, NULL);
    struct stageresult whole = stageplay_run(&g->fresh, version, at, false, NULL);
    if (part.verdict != whole.verdict)
        fail("verdicts differ", &part, &whole);
    if (part.verdict != STAGE_PASS && part.findings->by_verdict[part.verdict] == 0)
        fail("refused for no reason", &part, &whole);
    if (stageresult_found_only(&part, &whole))
        fail("something is found from the last version only", &part, &whole);
    bool late = whole.wake_at && (!part.wake_at || part.wake_at > whole.wake_at);
    if (whole.verdict == STAGE_PASS && late)
        fail("the wake-up comes too late", &part, &whole);
    if (part.verdict == STAGE_PASS) {
        g->wake_at = part.wake_at;
        stageplay_accept(&g->play, &part);
    } else {
        g->wake_at = woken ? 0 : g->wake_at;
        stageplay_drop(&g->play, &part);
    }
    stageplay_drop(&g->fresh, &whole);
}

static void look(struct game *g)
{
    while (g->wake_at && g->wake_at <= g->now)
        compare(g, g->play.prev, g->wake_at, true);
    struct changeset *delta = changeset_between(g->play.prev, g->seen);
    if (delta->n > 0) {
        compare(g, g->seen, g->now, false);
        g->looks++;
    }
    changeset_unref(delta);
}

/* --- playing --- */

enum { MOVES = 16 };

static void move_version(struct game *g, unsigned move)
{
    const struct node *node = move < 7 ? take_node(g, g->seen) : NULL;
    struct edit *e = edit_open(family, g->seen, g->seen);
    switch (move) {
    case 0:
    case 1:
        move_octet(g, e, node);
        break;
    case 2:
        move_lose(g, e, node);
        break;
    case 3:
        move_ttl(g, e, node);
        break;
    case 4:
        move_copy(g, e, node);
        break;
    case 5:
    case 6:
        move_sign(g, e, node);
        break;
    case 7:
        move_add(g, e, g->seen);
        break;
    default:
        move_mend(g, e, take(g) % 2 ? g->seen : g->whole);
        break;
    }
    snapshot_unref(g->seen);
    g->seen = sealed(e);
}

static void move(struct game *g, unsigned move)
{
    switch (move) {
    case 9:
        move_plain_add(g);
        break;
    case 10:
        move_plain_lose(g);
        break;
    case 11:
        move_soa(g);
        break;
    case 12:
        move_key(g);
        break;
    case 13:
        move_denial(g);
        break;
    case 14:
        move_fault(g);
        break;
    case 15:
        if (take(g) % 2)
            move_validity(g);
        else
            g->now += 120 * (1 + (time_t)take(g));
        break;
    default:
        move_version(g, move);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    open_once();
    struct game g = {.p = data, .end = data + size, .now = BEGIN};
    unsigned first = take(&g), start = first % STARTS, chosen = first / STARTS % OPTIONS;
    const char *with = chosen == OPTIONS - 1 ? anchor_options : options[chosen];
    struct why why;
    int rc = stageplay_open(&g.play, registry_find("validate"), apex, with, &why);
    rc = rc ? rc : stageplay_open(&g.fresh, registry_find("validate"), apex, with, &why);
    ASSERT(rc == 0);
    g.signer = signer_start(start);
    g.plain = snapshot_ref(plain_start);
    g.whole = snapshot_ref(whole_start[start]);
    g.seen = snapshot_ref(g.whole);
    look(&g);
    while (g.p < g.end && g.looks < LOOKS_MAX && g.seen->names < NAMES_MAX) {
        unsigned octet = take(&g);
        move(&g, octet % MOVES);
        if (g.seen->names == 0)
            break;
        if (!(octet & 0x80))
            look(&g);
    }
    stageplay_close(&g.play);
    stageplay_close(&g.fresh);
    signer_close(&g.signer);
    snapshot_unref(g.plain);
    snapshot_unref(g.whole);
    snapshot_unref(g.before);
    snapshot_unref(g.seen);
    family_reap(family);
    return 0;
}
