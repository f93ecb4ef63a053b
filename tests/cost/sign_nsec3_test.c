/* sign_nsec3: what a change of a zone with opt-out costs, when one empty non-terminal stands above all of its delegations.
 *
 * The non-terminal has a record only while something below it is signed: the first DS brings it, the last one takes it away, and
 * between them nobody may look through the delegations. Counted, with a thousand and with many of them (30,000;
 * WEIR_COST_NAMES=1000000 for more): what sign and validate visit, SHA-1 hashes, and nodes that are built, by standing between weir and
 * its own functions.
 */
#include "tests/lib/keyplay.h"
#include "tests/lib/stageplay.h"
#include "tests/lib/suite.h"

#include "pipeline/run/registry.h"

enum { FEW = 1000, MANY = 30000, NOW = 1700000000 };

/* --- counts --- */

static struct count {
    uint64_t hashes, built, located;
} count;

void __real_dnssec_nsec3_hash(const uint8_t *name, uint16_t iterations, const uint8_t *salt,
                              size_t salt_len, uint8_t out[20]);
void __wrap_dnssec_nsec3_hash(const uint8_t *name, uint16_t iterations, const uint8_t *salt,
                              size_t salt_len, uint8_t out[20]);
void __wrap_dnssec_nsec3_hash(const uint8_t *name, uint16_t iterations, const uint8_t *salt,
                              size_t salt_len, uint8_t out[20])
{
    count.hashes++;
    __real_dnssec_nsec3_hash(name, iterations, salt, salt_len, out);
}

struct node *__real_node_builder_seal(struct node_builder *b);
struct node *__wrap_node_builder_seal(struct node_builder *b);
struct node *__wrap_node_builder_seal(struct node_builder *b)
{
    count.built++;
    return __real_node_builder_seal(b);
}

enum name_status __real_snapshot_status(const struct snapshot *s, const struct node *node);
enum name_status __wrap_snapshot_status(const struct snapshot *s, const struct node *node);
enum name_status __wrap_snapshot_status(const struct snapshot *s, const struct node *node)
{
    count.located++;
    return __real_snapshot_status(s, node);
}

/* --- a zone --- */

static const uint8_t apex[] = "\4cost\4test";

struct zone {
    struct family *family;
    struct snapshot *plain;
    struct keyplay keys;
    struct keyset *set;
    struct stageplay sign, judge;
    uint32_t serial;
};

static void owner_of(unsigned i, uint8_t out[NAME_MAX_OCTETS])
{
    char text[64];
    snprintf(text, sizeof(text), "d%u.under.cost.test.", i);
    ck_assert_int_gt(name_parse(text, out, NULL), 0);
}

static void put(struct edit *e, const uint8_t *owner, uint16_t type, const void *rdata, size_t len)
{
    ck_assert_int_eq(edit_add(e, owner, type, 300, rdata, (uint16_t)len, NULL), 0);
}

/* A delegation, with glue below it. */
static void put_cut(struct edit *e, unsigned i)
{
    uint8_t owner[NAME_MAX_OCTETS], server[NAME_MAX_OCTETS] = "\2ns";
    owner_of(i, owner);
    name_copy(server + 3, owner);
    put(e, owner, RR_NS, server, name_len(server));
    put(e, server, RR_A, "\300\0\2\1", 4);
}

static void put_ds(struct edit *e, unsigned i)
{
    static const uint8_t ds[4 + 32] = {0, 1, 13, 2};
    uint8_t owner[NAME_MAX_OCTETS];
    owner_of(i, owner);
    put(e, owner, RR_DS, ds, sizeof(ds));
}

static void remove_ds(struct edit *e, unsigned i)
{
    static const uint8_t ds[4 + 32] = {0, 1, 13, 2};
    uint8_t owner[NAME_MAX_OCTETS];
    owner_of(i, owner);
    ck_assert_int_eq(edit_del(e, owner, RR_DS, ds, sizeof(ds), NULL), 0);
}

static void remove_cut(struct edit *e, unsigned i)
{
    uint8_t owner[NAME_MAX_OCTETS], server[NAME_MAX_OCTETS] = "\2ns";
    owner_of(i, owner);
    name_copy(server + 3, owner);
    ck_assert(edit_remove(e, owner) && edit_remove(e, server));
}

static void put_soa(struct zone *z, struct edit *e)
{
    uint8_t soa[2 + 20] = {0};
    put_u32(soa + 2, z->serial);
    put_u32(soa + 18, 300);
    if (z->serial)
        ck_assert_int_eq(edit_del(e, apex, RR_SOA, soa, sizeof(soa), NULL), 0);
    put_u32(soa + 2, ++z->serial);
    put(e, apex, RR_SOA, soa, sizeof(soa));
}

static void seal(struct zone *z, struct edit *e)
{
    struct snapshot *next;
    put_soa(z, e);
    ck_assert_int_eq(edit_seal(&e, &next, NULL, NULL), 0);
    snapshot_unref(z->plain);
    z->plain = next;
}

struct cost {
    uint64_t sign, validate, changed;
    struct count count;
};

/* Signs and judges the version, accepts both. */
static struct cost step(struct zone *z)
{
    struct cost cost;
    count = (struct count){0};
    struct stageresult made = stageplay_run(&z->sign, z->plain, NOW, false, NULL);
    ck_assert_msg(made.verdict == STAGE_PASS, "%s", stageresult_print(&made));
    struct stageresult judged = stageplay_run(&z->judge, made.out, NOW, false, NULL);
    ck_assert_msg(judged.verdict == STAGE_PASS, "%s", stageresult_print(&judged));
    cost = (struct cost){made.visited, judged.visited, made.changes->n, count};
    stageplay_accept(&z->judge, &judged);
    stageplay_accept(&z->sign, &made);
    return cost;
}

static bool has_record(const struct zone *z, const char *name)
{
    uint8_t wire[NAME_MAX_OCTETS], hash[20], owner[NAME_MAX_OCTETS];
    ck_assert_int_gt(name_parse(name, wire, NULL), 0);
    __real_dnssec_nsec3_hash(wire, 0, NULL, 0, hash);
    dnssec_nsec3_owner(hash, apex, owner);
    const struct node *node = snapshot_get(z->sign.out, owner);
    return node && node_has(node, RR_NSEC3);
}

/* --- changes --- */

static void a_delegation_comes(struct edit *e)
{
    put_cut(e, 10000000);
}
static void a_ds_comes(struct edit *e)
{
    put_ds(e, 500);
}
static void another_ds_comes(struct edit *e)
{
    put_ds(e, 10000000);
}
static void the_first_ds_goes(struct edit *e)
{
    remove_ds(e, 500);
}
static void the_last_ds_goes(struct edit *e)
{
    remove_ds(e, 10000000);
}
static void a_delegation_goes(struct edit *e)
{
    remove_cut(e, 10000000);
}
static const struct happening {
    const char *what;
    void (*make)(struct edit *e);
    bool non_terminal; /* has a record then */
} changes[] = {
    {"a delegation comes", a_delegation_comes, false},
    {"a DS comes", a_ds_comes, true},
    {"another DS comes", another_ds_comes, true},
    {"the first DS goes", the_first_ds_goes, true},
    {"the last DS goes", the_last_ds_goes, false},
    {"a delegation goes", a_delegation_goes, false},
};
enum { CHANGES = sizeof(changes) / sizeof(changes[0]) };

static void measure(unsigned n, struct cost cost[CHANGES])
{
    struct zone z = {.family = family_new(apex)};
    struct why why;
    int rc =
        stageplay_open(&z.sign, registry_find("sign"), apex, "denial=nsec3 opt_out=true", &why);
    ck_assert_msg(rc == 0, "%s", why.text);
    rc = stageplay_open(&z.judge, registry_find("validate"), apex, "denial=nsec3-only", &why);
    ck_assert_msg(rc == 0, "%s", why.text);
    keyplay_make(&z.keys, DNSKEY_ZONE | DNSKEY_SEP, ALG_ECDSAP256, "pkz");
    z.set = keyplay_set(&z.keys, 0);
    z.sign.keys = z.set;
    struct edit *e = edit_open(z.family, NULL, NULL);
    put(e, apex, RR_NS, "\2ns\7example", 12);
    for (unsigned i = 0; i < n; i++)
        put_cut(e, i);
    seal(&z, e);
    struct cost whole = step(&z);
    ck_assert_uint_gt(whole.validate, n);
    for (unsigned i = 0; i < CHANGES; i++) {
        e = edit_open(z.family, z.plain, z.plain);
        changes[i].make(e);
        seal(&z, e);
        cost[i] = step(&z);
        ck_assert_msg(has_record(&z, "under.cost.test.") == changes[i].non_terminal, "%s",
                      changes[i].what);
    }
    stageplay_close(&z.sign);
    stageplay_close(&z.judge);
    keyset_unref(z.set);
    keyplay_close(&z.keys);
    snapshot_unref(z.plain);
    family_unref(z.family);
}

static unsigned many(void)
{
    return getenv("WEIR_COST_NAMES") ? (unsigned)atoi(getenv("WEIR_COST_NAMES")) : MANY;
}

START_TEST(test_one_non_terminal_above_all)
{
    struct cost few[CHANGES], lots[CHANGES];
    measure(FEW, few);
    measure(many(), lots);
    for (unsigned i = 0; i < CHANGES; i++) {
        const struct cost *a = &few[i], *b = &lots[i];
        printf("%-20s sign %lu, validate %lu, hashes %lu, nodes %lu, changed %lu\n",
               changes[i].what, b->sign, b->validate, b->count.hashes, b->count.built, b->changed);
        ck_assert_msg(a->sign == b->sign && a->validate == b->validate &&
                          a->changed == b->changed && a->count.hashes == b->count.hashes &&
                          a->count.built == b->count.built && a->count.located == b->count.located,
                      "%s", changes[i].what);
        ck_assert_uint_le(b->sign, 20);
        ck_assert_uint_le(b->validate, 60);
        ck_assert_uint_le(b->count.hashes, 20);
        ck_assert_uint_le(b->count.built, 20);
    }
}
END_TEST

int main(void)
{
    struct suite s = suite_open("sign_nsec3");
    suite_add(s, test_one_non_terminal_above_all);
    return suite_run(s);
}
