/* sign_bench: what sign costs, on the zone that registries have.
 *
 * 250,000 delegations, 650 thousand records, P-256, NSEC; or a zone file. Signed from nothing on two threads, beside as many bare
 * signatures by OpenSSL on as many threads, so that what is not cryptography can be told from it. Then one name gets another
 * address, as an IXFR would bring it: CPU time of edit, chain of sign and validate, and all (best of a few). Then a wake-up of the cursor.
 * Prints `name ours target ratio`; the exit code is 1 when a figure is missed by more than 25 %.
 *
 * usage: sign_bench [DELEGATIONS | FILE ORIGIN] */
#include "tests/lib/keyplay.h"

#include "pipeline/base/alloc.h"
#include "pipeline/run/chain.h"
#include "pipeline/run/option.h"
#include "pipeline/run/registry.h"
#include "pipeline/zone/text.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NOW = 1700000000, ROUNDS = 5, THREADS = 2, DAY = 86400 };

static uint8_t apex[NAME_MAX_OCTETS] = "\5bench";
static bool missed;

static void figure(const char *name, double ours, double target)
{
    printf("sign.%-24s %10.2f %10.2f %6.2f\n", name, ours, target, ours / target);
    fflush(stdout);
    missed |= ours > target * 1.25;
}

static double now_s(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void must(int rc, const struct why *why)
{
    if (rc == 0)
        return;
    fprintf(stderr, "sign_bench: %s\n", why->text);
    exit(EXIT_FAILURE);
}

/* --- zones --- */

static void add(struct edit *e, const uint8_t *owner, uint16_t type, const void *rdata, size_t len)
{
    struct why why;
    must(edit_add(e, owner, type, 3600, rdata, (uint16_t)len, &why), &why);
}

static void delegation_name(unsigned i, uint8_t out[32])
{
    char text[24];
    uint64_t x = (i + 1) * 0x9e3779b97f4a7c15u;
    int n = 0;
    for (unsigned k = 0; k < 4 + x % 11; k++)
        text[n++] = "abcdefghijklmnopqrstuvwxyz0123456789"[(x >> (k * 5)) % 36];
    n += snprintf(text + n, sizeof(text) - (size_t)n, "%x", i);
    out[0] = (uint8_t)n;
    memcpy(out + 1, text, (size_t)n);
    memcpy(out + 1 + n, apex, name_len(apex));
}

static void put_ds(struct edit *e, const uint8_t *owner, unsigned salt)
{
    uint8_t ds[36] = {0, 1, 13, 2};
    put_u32(ds + 4, salt);
    memcpy(ds + 8, owner, owner[0] < 28 ? owner[0] : 28u);
    add(e, owner, RR_DS, ds, sizeof(ds));
}

/* A fifth of the delegations has its servers below itself. */
static void put_delegation(struct edit *e, unsigned i)
{
    uint8_t owner[32], server[48] = "\3ns1\7example";
    delegation_name(i, owner);
    for (unsigned k = 0; k < 2; k++) {
        size_t len = 13;
        if (i % 5 == 0)
            len = 4 + name_copy(server + 4, owner);
        server[3] = (uint8_t)('1' + k);
        add(e, owner, RR_NS, server, len);
        if (i % 5 == 0)
            add(e, server, RR_A, "\300\0\2\1", 4);
    }
    if (i % 10 < 3)
        put_ds(e, owner, i);
}

static struct snapshot *zone_made(struct family *family, unsigned n)
{
    static const uint8_t soa[] =
        "\3ns1\5bench\0\4host\5bench\0\0\0\0\1\0\0\7\10\0\0\3\204\0\11\72\200\0\0\3\204";
    struct edit *e = edit_open(family, NULL, NULL);
    struct snapshot *plain;
    struct why why;
    add(e, apex, RR_SOA, soa, sizeof(soa) - 1);
    add(e, apex, RR_NS, "\2ns\4test", 9);
    for (unsigned i = 0; i < n; i++)
        put_delegation(e, i);
    must(edit_seal(&e, &plain, NULL, &why), &why);
    return plain;
}

static struct snapshot *zone_read(struct family *family, const char *path)
{
    struct edit *e = edit_open(family, NULL, NULL);
    struct snapshot *plain;
    struct why why;
    must(text_read(path, e, apex, &why), &why);
    must(edit_seal(&e, &plain, NULL, &why), &why);
    return plain;
}

/* --- the chain --- */

/* How a zone is signed. */
struct way {
    const char *tag;
    bool nsec3, opt_out, judged; /* judged: by validate, behind sign */
};
static const struct way ways[] = {
    {"sign", false, false, false},
    {"live", false, false, true},
    {"nsec3", true, false, true},
    {"nsec3_opt_out", true, true, true},
};

static void option_word(const struct chain_stage *stage, const char *name, const char *word)
{
    struct option_value value = {.kind = VALUE_STRING, .s = word};
    struct why why;
    if (strcmp(word, "true") == 0)
        value = (struct option_value){.kind = VALUE_BOOL, .b = true};
    must(option_set(option_find(stage->type->options, name), stage->conf, &value, &why), &why);
}

static struct chain *chain_of(const struct way *way)
{
    static const char *const names[] = {"sign", "validate"};
    unsigned n = way->judged ? 2 : 1;
    struct chain *chain = chain_new(n, 100);
    for (unsigned i = 0; i < n; i++) {
        const struct stage_type *type = registry_find(names[i]);
        chain->stage[i].type = type;
        if (type->conf_size)
            chain->stage[i].conf = option_conf_new(type->options, type->conf_size);
    }
    if (way->nsec3)
        option_word(&chain->stage[0], "denial", "nsec3");
    if (way->opt_out)
        option_word(&chain->stage[0], "opt_out", "true");
    if (way->judged)
        option_word(&chain->stage[1], "denial", "any");
    return chain;
}

static struct version *run(const struct chain *chain, const struct version *before,
                           const struct chain_input *in, time_t now, struct pool *pool)
{
    struct candidate *c = chain_run(chain, before, in, now, pool_par(pool));
    if (c->verdict != STAGE_PASS) {
        fprintf(stderr, "sign_bench: %s\n",
                c->findings->n ? finding_print(&c->findings->list[0]) : "?");
        exit(EXIT_FAILURE);
    }
    struct version *v = candidate_take(c);
    v->accepted_at = now;
    candidate_free(&c);
    return v;
}

/* --- bare signatures --- */

struct raw {
    const struct dnssec_private *key;
    struct dnssec_signer *signer[THREADS + 1];
};

static void raw_sign(void *ctx, unsigned worker, size_t begin, size_t end)
{
    const struct raw *raw = ctx;
    uint8_t text[200] = {0}, signature[DNSSEC_SIGNATURE_MAX];
    size_t len;
    struct why why;
    for (size_t i = begin; i < end; i++) {
        put_u32(text, (uint32_t)i);
        must(dnssec_sign(raw->signer[worker], raw->key, text, sizeof(text), signature, &len, &why),
             &why);
    }
}

static double raw_seconds(const struct dnssec_private *key, size_t n, struct pool *pool)
{
    struct raw raw = {.key = key};
    for (unsigned i = 0; i < par_width(pool_par(pool)); i++)
        raw.signer[i] = dnssec_signer_new();
    double start = now_s(CLOCK_MONOTONIC);
    par_map(pool_par(pool), n, 64, raw_sign, &raw);
    double spent = now_s(CLOCK_MONOTONIC) - start;
    for (unsigned i = 0; i < par_width(pool_par(pool)); i++)
        dnssec_signer_free(&raw.signer[i]);
    return spent;
}

static size_t signatures_in(const struct snapshot *s)
{
    size_t n = 0;
    struct snapshot_iter it;
    for (const struct node *node = snapshot_first(&it, s); node; node = snapshot_next(&it))
        for (unsigned i = 0; i < node->nrrsets; i++)
            n += node->head[i].type == RR_RRSIG;
    return n;
}

/* --- the benches --- */

/* One delegation gets another DS. */
static double change_cpu(struct version **v, const struct chain *chain, struct family *family,
                         struct snapshot **plain, const struct keyset *keys, unsigned round,
                         struct pool *pool, uint64_t *copies)
{
    struct snapshot_iter it;
    struct changeset *changes;
    struct snapshot *next;
    struct why why;
    struct trie_stats before, after;
    const struct node *node = snapshot_first(&it, *plain);
    for (unsigned i = 0; i < 1000 * (round + 1) || !node_has(node, RR_NS); i++)
        node = snapshot_next(&it);
    family_reap((*v)->result[0].out->family);
    family_stats((*v)->result[0].out->family, &before);
    double start = now_s(CLOCK_PROCESS_CPUTIME_ID);
    struct edit *e = edit_open(family, *plain, *plain);
    put_ds(e, node_name(node), 1000000 + round);
    must(edit_seal(&e, &next, &changes, &why), &why);
    struct chain_input in = {.snapshot = next, .since = *plain, .changes = changes, .keys = keys};
    struct version *made = run(chain, *v, &in, NOW + round, pool);
    double spent = now_s(CLOCK_PROCESS_CPUTIME_ID) - start;
    family_stats(made->result[0].out->family, &after);
    *copies = after.copies - before.copies;
    version_unref(*v);
    *v = made;
    changeset_unref(changes);
    snapshot_unref(*plain);
    *plain = next;
    return spent;
}

static void bench_chain(const struct way *way, struct family *family, const struct snapshot *zone,
                        const struct keyset *keys, struct pool *pool)
{
    const char *tag = way->tag;
    struct chain *chain = chain_of(way);
    struct snapshot *plain = snapshot_ref(zone);
    struct chain_input in = {.snapshot = plain, .keys = keys};
    char row[64];
    double start = now_s(CLOCK_MONOTONIC), cpu = now_s(CLOCK_PROCESS_CPUTIME_ID);
    struct version *v = run(chain, NULL, &in, NOW, pool);
    double took = now_s(CLOCK_MONOTONIC) - start;
    cpu = now_s(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    size_t signatures = signatures_in(v->served);
    printf("sign.%s: first version %.2f s, %.2f s of CPU, %zu names, %zu records, %zu signatures\n",
           tag, took, cpu, v->served->names, v->served->records, signatures);
    if (!way->judged) {
        const struct dnssec_private *key = keys->key[0].private;
        double bare_cpu = now_s(CLOCK_PROCESS_CPUTIME_ID);
        double bare = raw_seconds(key, signatures, pool);
        bare_cpu = now_s(CLOCK_PROCESS_CPUTIME_ID) - bare_cpu;
        printf("sign.bare_signatures %.2f s, %.2f s of CPU: %.0f a second\n", bare, bare_cpu,
               (double)signatures / bare);
        figure("first_to_bare", took / bare, 3.8 / 3.1);
        figure("first_to_bare_cpu", cpu / bare_cpu, 3.8 / 3.1);
    }
    double least = 1e9;
    uint64_t copies = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        double spent = change_cpu(&v, chain, family, &plain, keys, round, pool, &copies);
        least = spent < least ? spent : least;
    }
    snprintf(row, sizeof(row), "%s_change_cpu_ms", tag);
    figure(row, least * 1000, 3);
    printf("sign.%s_change_copies %lu\n", tag, (unsigned long)copies);
    time_t due = version_wake_at(v);
    struct chain_input wake = {.snapshot = plain, .since = plain, .woken = true, .keys = keys};
    cpu = now_s(CLOCK_PROCESS_CPUTIME_ID);
    struct version *woken = run(chain, v, &wake, due, pool);
    printf(
        "sign.%s_wake_up: after %ld s, %.2f ms of CPU, %lu looked at; the next one after %ld s\n",
        tag, (long)(due - NOW), (now_s(CLOCK_PROCESS_CPUTIME_ID) - cpu) * 1000,
        (unsigned long)woken->result[0].visited, (long)(version_wake_at(woken) - due));
    version_unref(woken);
    version_unref(v);
    snapshot_unref(plain);
    chain_unref(chain);
}

int main(int argc, char **argv)
{
    struct pool *pool = pool_new(THREADS);
    struct keyplay play = {.n = 0};
    if (argc > 2)
        name_parse(argv[2], apex, NULL);
    struct family *family = family_new(apex);
    struct snapshot *plain =
        argc > 2 ? zone_read(family, argv[1])
                 : zone_made(family, argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 250000);
    keyplay_make(&play, DNSKEY_ZONE | DNSKEY_SEP, ALG_ECDSAP256, "pkzd");
    struct keyset *keys = keyplay_set(&play, 0);
    printf("sign.zone: %zu names, %zu records\n", plain->names, plain->records);
    for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        if (!getenv("WEIR_ONLY") || strcmp(getenv("WEIR_ONLY"), ways[i].tag) == 0)
            bench_chain(&ways[i], family, plain, keys, pool);
    keyset_unref(keys);
    keyplay_close(&play);
    snapshot_unref(plain);
    family_unref(family);
    pool_free(&pool);
    return missed ? EXIT_FAILURE : EXIT_SUCCESS;
}
