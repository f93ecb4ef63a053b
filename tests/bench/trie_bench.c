/* trie_bench: the three figures of the trie (design.md section 3), at a million names.
 *
 * Memory and lookups for two shapes of zone: a registry (one long-tailed level of words) and a provider (many hosts under
 * few domains, deep names). Prints `name ours target ratio`; the exit code is 1 when a figure is missed by more than
 * 25 %. */
#include "pipeline/base/alloc.h"
#include "pipeline/base/trie.h"
#include "pipeline/zone/name.h"
#include "tests/lib/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NAMES = 1000000, LOOKUPS = 50000, ROUNDS = 40, CHANGES = 10 };

/* A leaf is a name in wire form, aligned as a twig must be. */
static void leaf_key(const void *leaf, struct trie_key *out)
{
    name_key(leaf, out);
}
static void leaf_none(void *leaf)
{
    (void)leaf;
}
static const struct trie_leaf_ops ops = {leaf_key, leaf_none, leaf_none, NULL};

static struct random rnd;
static bool missed;

static void figure(const char *shape, const char *name, double ours, double target)
{
    printf("%s.%-22s %10.1f %10.1f %6.2f\n", shape, name, ours, target, ours / target);
    missed |= ours > target * 1.25;
}

/* Syllables, some far more common than others, so that prefixes are shared as in real names. */
static size_t word(char *out, unsigned syllables)
{
    static const char *const part[] = {"a",   "en",  "ing",  "ma", "to", "shop", "re", "bau",
                                       "web", "le",  "net",  "ko", "st", "on",   "hu", "vi",
                                       "pro", "sch", "tech", "ra", "di", "haus", "lo", "-",
                                       "ber", "x",   "qu",   "ze", "4",  "24",   "mu", "fy"};
    char *p = out;
    while (syllables-- > 0) {
        uint64_t a = random_below(&rnd, 32), b = random_below(&rnd, 32);
        const char *s = part[a < b ? a : b];
        if (p == out && *s == '-')
            s = "j";
        size_t n = strlen(s);
        memcpy(p, s, n);
        p += n;
    }
    *p = '\0';
    return (size_t)(p - out);
}

static void text_tld(char *out, unsigned i)
{
    char w[64];
    word(w, 2 + (unsigned)random_below(&rnd, 5));
    (void)i;
    snprintf(out, 128, "%s.example.", w);
}

static void text_host(char *out, unsigned i)
{
    char w[64];
    word(w, 2);
    snprintf(out, 128, "%s%u.rack%u.site%u.cust%u.example.net.", w, i % 7,
             (unsigned)random_below(&rnd, 16), (unsigned)random_below(&rnd, 40),
             (unsigned)random_below(&rnd, 900));
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double best(double a, double b)
{
    return a < b ? a : b;
}

/* What is asked for lies in a row, as packets do; each lookup waits for the answer of the one before, so that they do
 * not overlap. Best of several rounds, in CPU time: others use the machine, too. */
static void bench_lookups(const char *shape, const struct trie *trie, uint8_t *const *name)
{
    static uint8_t want[LOOKUPS][128];
    static struct trie_path path;
    struct trie_key key;
    double get_ns = 1e9, path_ns = 1e9;
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t found = 0;
        for (unsigned i = 0; i < LOOKUPS; i++)
            name_copy(want[i], name[random_below(&rnd, NAMES)]);
        double start = now_ns();
        for (unsigned i = 0; i < LOOKUPS; i++) {
            name_key(want[found], &key);
            found += trie_get(trie, &key) != NULL;
        }
        get_ns = best(get_ns, (now_ns() - start) / LOOKUPS);
        for (unsigned i = 0; i < LOOKUPS; i++)
            name_copy(want[i], name[random_below(&rnd, NAMES)]);
        start = now_ns();
        for (unsigned i = 0; i < LOOKUPS; i++) {
            name_key(want[found - LOOKUPS], &key);
            trie_find_path(trie, &key, &path);
            found += path.exact;
        }
        path_ns = best(path_ns, (now_ns() - start) / LOOKUPS);
        if (found != 2 * LOOKUPS)
            abort();
    }
    figure(shape, "ns_a_lookup", get_ns, 400);
    figure(shape, "ns_a_path", path_ns, 400);
}

static void run(const char *shape, void (*text)(char *out, unsigned i))
{
    struct trie_pool *pool = trie_pool_new(&ops);
    struct trie trie, next;
    struct trie_key key;
    struct trie_stats stats, after;
    uint8_t **name = mem_array(NAMES, sizeof *name);
    uint8_t wire[NAME_MAX_OCTETS];
    char line[128];
    trie_init(&trie, pool);
    for (unsigned n = 0; n < NAMES;) {
        text(line, n);
        int len = name_parse(line, wire, NULL);
        if (len < 0)
            abort();
        name_key(wire, &key);
        if (trie_get(&trie, &key))
            continue;
        /* 250 octets of room, as a node would have: names do not lie side by side */
        name[n] = mem_alloc(250);
        memcpy(name[n], wire, (size_t)len);
        (void)!trie_put(&trie, &key, name[n++]);
    }
    trie_pool_stats(pool, &stats);
    figure(shape, "octets_a_name", (double)stats.branch_bytes / NAMES, 24);
    figure(shape, "held_octets_a_name", (double)stats.held_bytes / NAMES, 24);
    figure(shape, "copies_of_bulk_load", (double)stats.copies + 1, 1);

    bench_lookups(shape, &trie, name);

    trie_copy(&next, &trie);
    for (unsigned i = 0; i < CHANGES; i++) {
        uint8_t *leaf = name[random_below(&rnd, NAMES)];
        name_key(leaf, &key);
        (void)!trie_put(&next, &key, leaf);
    }
    trie_pool_stats(pool, &after);
    figure(shape, "copies_for_10_changes", (double)(after.copies - stats.copies), 200);
    trie_fini(&trie);
    trie_fini(&next);

    trie_pool_free(&pool);
    for (unsigned i = 0; i < NAMES; i++)
        mem_free(&name[i]);
    mem_free(&name);
}

/* What one access to memory that is in no cache costs here and now: a lookup has two or three of them. */
static void bench_memory(void)
{
    enum { LINE = 64, LINES = 1 << 22, STEPS = 100000 };
    uint32_t(*line)[LINE / sizeof(uint32_t)] = mem_array(LINES, LINE);
    uint32_t at = 0;
    double ns = 1e9;
    for (uint32_t i = 0; i < LINES; i++)
        line[i][0] = (i * 2654435761u + 12345) % LINES; /* one cycle through all: Hull and Dobell */
    for (unsigned round = 0; round < ROUNDS; round++) {
        double start = now_ns();
        for (unsigned i = 0; i < STEPS; i++)
            at = line[at][0];
        ns = best(ns, (now_ns() - start) / STEPS);
    }
    printf("machine.ns_a_cache_miss %17.1f          -      -%s\n", ns, at > LINES ? "?" : "");
    mem_free(&line);
}

int main(void)
{
    rnd = random_open();
    bench_memory();
    run("registry", text_tld);
    run("provider", text_host);
    return missed ? EXIT_FAILURE : EXIT_SUCCESS;
}
