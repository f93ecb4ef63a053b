/* sign_bench: what sign costs, on the zone that registries have.
 *
 * 250,000 delegations, 650 thousand records, P-256, NSEC; or a zone file. Signed from nothing on two threads, beside as many bare
 * signatures by OpenSSL on as many threads, so that what is not cryptography can be told from it. Then one name gets another
 * address, as an IXFR would bring it: CPU time of edit, chain of sign and validate, and all (best of a few). Then a wake-up of the cursor.
 * Prints `name ours target ratio`; the exit code is 1 when a figure is missed by more than 25 %.
 *
 * usage: sign_bench [DELEGATIONS | FILE ORIGIN] */
#include "tests/bench/registry.h"
#include "tests/lib/keyplay.h"

#include "pipeline/base/alloc.h"
#include "pipeline/run/option.h"
#include "pipeline/run/registry.h"
#include "pipeline/zone/text.h"

enum { NOW = 1700000000, ROUNDS = 5, THREADS = 2, DAY = 86400 };

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
    struct version *made = accepted(chain, *v, &in, NOW + round, pool);
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
    struct version *v = accepted(chain, NULL, &in, NOW, pool);
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
        figure("sign", "first_to_bare", took / bare, 3.8 / 3.1);
        figure("sign", "first_to_bare_cpu", cpu / bare_cpu, 3.8 / 3.1);
    }
    double least = 1e9;
    uint64_t copies = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        double spent = change_cpu(&v, chain, family, &plain, keys, round, pool, &copies);
        least = spent < least ? spent : least;
    }
    snprintf(row, sizeof(row), "%s_change_cpu_ms", tag);
    figure("sign", row, least * 1000, 3);
    printf("sign.%s_change_copies %lu\n", tag, (unsigned long)copies);
    time_t due = version_wake_at(v);
    struct chain_input wake = {.snapshot = plain, .since = plain, .woken = true, .keys = keys};
    cpu = now_s(CLOCK_PROCESS_CPUTIME_ID);
    struct version *woken = accepted(chain, v, &wake, due, pool);
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
                 : zone_of_delegations(
                       family, argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 250000, true);
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
