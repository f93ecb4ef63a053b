/* validate_bench: what validate costs, on the zone that registries have, and for other algorithms.
 *
 * 250,000 delegations, 1.25 million records, P-256, NSEC. Judged from nothing; then ten delegations get another DS, as an IXFR
 * would bring it: branch copies of the edit, and CPU time of edit, chain and all (best of a few). Then zones of Ed25519 and RSA,
 * against OpenSSL's own verification of as many signatures on as many threads. Prints `name ours target ratio`; the
 * exit code is 1 when a figure is missed by more than 25 %.
 *
 * usage: validate_bench [DELEGATIONS] */
#include "tests/bench/registry.h"
#include "tests/lib/random.h"
#include "tests/lib/signer.h"

#include "pipeline/base/alloc.h"
#include "pipeline/run/chain.h"
#include "pipeline/run/option.h"
#include "pipeline/run/registry.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NOW = 1700000000, CHANGED = 10, ROUNDS = 5, THREADS = 2, SMALL = 15000 };

static struct random rnd = {.state = 7};

/* --- zones --- */

struct zone {
    struct family *plain_family, *family;
    struct signer signer;
    struct snapshot *plain, *version;
};

static struct zone zone_open(uint8_t algorithm, unsigned n)
{
    struct zone z = {.plain_family = family_new(apex),
                     .family = family_new(apex),
                     .signer = signer_open(NOW, 1)};
    signer_remove_key(&z.signer, 0);
    signer_add_key(&z.signer, DNSKEY_ZONE | DNSKEY_SEP, algorithm, 1);
    z.plain = zone_of_delegations(z.plain_family, n, false);
    z.version = signer_sign(&z.signer, z.plain, z.family, NULL);
    return z;
}

static void zone_close(struct zone *z)
{
    snapshot_unref(z->version);
    snapshot_unref(z->plain);
    signer_close(&z->signer);
    family_unref(z->plain_family);
    family_unref(z->family);
}

/* --- the chain --- */

static struct chain *chain_validate(void)
{
    struct chain *chain = chain_new(1, 100);
    const struct stage_type *type = registry_find("validate");
    chain->stage[0].type = type;
    chain->stage[0].conf = option_conf_new(type->options, type->conf_size);
    return chain;
}

static struct version *judge(const struct chain *chain, const struct version *before,
                             const struct snapshot *input, const struct snapshot *since,
                             const struct changeset *changes, struct pool *pool)
{
    struct chain_input in = {.snapshot = input, .since = since, .changes = changes};
    return accepted(chain, before, &in, NOW, pool);
}

/* Ten delegations get another DS, the rest stays: as a changeset, signed. */
static struct changeset *change_make(struct zone *z, unsigned n, unsigned round)
{
    struct edit *e = edit_open(z->plain_family, z->plain, z->plain);
    struct snapshot *plain;
    struct why why;
    for (unsigned i = 0; i < CHANGED; i++) {
        uint8_t owner[NAME_MAX_OCTETS];
        delegation_name((unsigned)random_below(&rnd, n) / 10 * 10, owner);
        put_ds(e, owner, 1000000 + round * CHANGED + i);
    }
    must(edit_seal(&e, &plain, NULL, &why), &why);
    snapshot_unref(z->plain);
    z->plain = plain;
    struct snapshot *next = signer_sign(&z->signer, plain, z->family, z->version);
    struct changeset *changes = changeset_between(z->version, next);
    snapshot_unref(next);
    return changes;
}

static void bench_change(struct zone *z, const struct chain *chain, struct version **version,
                         unsigned n, struct pool *pool)
{
    double cpu = 1e9;
    uint64_t copies = 0;
    size_t names = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct changeset *changes = change_make(z, n, round), *made;
        struct trie_stats before, after;
        struct snapshot *next;
        struct why why;
        family_reap(z->family);
        family_stats(z->family, &before);
        double start = now_s(CLOCK_PROCESS_CPUTIME_ID);
        struct edit *e = edit_open(z->family, z->version, z->version);
        for (size_t i = 0; i < changes->n; i++)
            edit_put(e, node_ref(changes->change[i].now));
        must(edit_seal(&e, &next, &made, &why), &why);
        struct version *v = judge(chain, *version, next, z->version, made, pool);
        double spent = now_s(CLOCK_PROCESS_CPUTIME_ID) - start;
        family_stats(z->family, &after);
        cpu = spent < cpu ? spent : cpu;
        copies = after.copies - before.copies > copies ? after.copies - before.copies : copies;
        names = changes->n;
        version_unref(*version);
        *version = v;
        snapshot_unref(z->version);
        z->version = next;
        changeset_unref(changes);
        changeset_unref(made);
    }
    printf("validate.changed_names            %10zu\n", names);
    figure("validate", "change_cpu_ms", cpu * 1000, 5);
    figure("validate", "change_copies", (double)copies, 200);
}

static void bench_registry(unsigned n, struct pool *pool)
{
    struct zone z = zone_open(ALG_ECDSAP256, n);
    struct chain *chain = chain_validate();
    double start = now_s(CLOCK_MONOTONIC);
    struct version *v = judge(chain, NULL, z.version, NULL, NULL, pool);
    printf("validate.first_s                  %10.2f   %zu records\n",
           now_s(CLOCK_MONOTONIC) - start, z.version->records);
    bench_change(&z, chain, &v, n, pool);
    struct chain_input wake = {.snapshot = z.version, .since = z.version, .woken = true};
    start = now_s(CLOCK_PROCESS_CPUTIME_ID);
    struct candidate *c = chain_run(chain, v, &wake, NOW, pool_par(pool));
    printf("validate.wake_up_cpu_s            %10.2f\n", now_s(CLOCK_PROCESS_CPUTIME_ID) - start);
    candidate_free(&c);
    version_unref(v);
    chain_unref(chain);
    zone_close(&z);
}

/* --- other algorithms --- */

struct raw {
    EVP_PKEY *key;
    const EVP_MD *md;
    uint8_t text[200], signature[256];
    size_t len;
};

static void raw_verify(void *ctx, unsigned worker, size_t begin, size_t end)
{
    const struct raw *raw = ctx;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        EVP_MD_CTX *md = EVP_MD_CTX_new();
        if (EVP_DigestVerifyInit(md, NULL, raw->md, NULL, raw->key) != 1 ||
            EVP_DigestVerify(md, raw->signature, raw->len, raw->text, sizeof(raw->text)) != 1)
            abort();
        EVP_MD_CTX_free(md);
    }
}

static double bench_raw(struct raw *raw, size_t n, struct pool *pool)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    raw->len = sizeof(raw->signature);
    if (EVP_DigestSignInit(md, NULL, raw->md, NULL, raw->key) != 1 ||
        EVP_DigestSign(md, raw->signature, &raw->len, raw->text, sizeof(raw->text)) != 1)
        abort();
    EVP_MD_CTX_free(md);
    double start = now_s(CLOCK_MONOTONIC);
    par_map(pool_par(pool), n, 64, raw_verify, raw);
    return now_s(CLOCK_MONOTONIC) - start;
}

static void bench_algorithm(const char *name, uint8_t algorithm, const EVP_MD *md,
                            struct pool *pool)
{
    struct zone z = zone_open(algorithm, SMALL);
    struct chain *chain = chain_validate();
    struct raw raw = {.key = z.signer.key[0].private, .md = md};
    size_t signatures = signatures_in(z.version);
    double ours = 1e9, theirs = 1e9;
    for (unsigned round = 0; round < ROUNDS; round++) {
        double start = now_s(CLOCK_MONOTONIC);
        struct version *v = judge(chain, NULL, z.version, NULL, NULL, pool);
        double spent = now_s(CLOCK_MONOTONIC) - start;
        version_unref(v);
        ours = spent < ours ? spent : ours;
        spent = bench_raw(&raw, signatures, pool);
        theirs = spent < theirs ? spent : theirs;
    }
    printf("validate.%s_signatures_per_s  %10.0f   OpenSSL %.0f\n", name, (double)signatures / ours,
           (double)signatures / theirs);
    char row[64];
    snprintf(row, sizeof(row), "%s_to_openssl", name);
    figure("validate", row, ours / theirs, 1.15);
    chain_unref(chain);
    zone_close(&z);
}

int main(int argc, char **argv)
{
    struct pool *pool = pool_new(THREADS);
    bench_algorithm("ed25519", ALG_ED25519, NULL, pool);
    bench_algorithm("rsasha256", ALG_RSASHA256, EVP_sha256(), pool);
    bench_registry(argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 250000, pool);
    pool_free(&pool);
    return missed ? EXIT_FAILURE : EXIT_SUCCESS;
}
