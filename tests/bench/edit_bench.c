/* edit_bench: loading a registry's zone record by record, as transfers do.
 *
 * 250,000 signed delegations, 1.25 million records: in canonical order; again over the version held; owners in random order;
 * and every record away from its like. CPU time a record, best of a few; memory a record. Prints
 * `name ours target ratio`; the exit code is 1 when a figure is missed by more than 25 %. */
#include "pipeline/base/alloc.h"
#include "pipeline/zone/edit.h"
#include "tests/lib/random.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OWNERS = 250000, PER_OWNER = 5, RECORDS = OWNERS * PER_OWNER, ROUNDS = 3 };

static const uint8_t apex[] = "\7example";
static struct random rnd;
static bool missed;

static void figure(const char *name, double ours, double target)
{
    printf("edit.%-26s %10.1f %10.1f %6.2f\n", name, ours, target, ours / target);
    missed |= ours > target * 1.25;
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

struct owner {
    uint8_t name[32];
    uint8_t ns[2][40];
    uint8_t ns_len[2];
    uint8_t signature[2][120];
    uint8_t nsec[40];
    uint8_t nsec_len;
};
static struct owner *owner;

static int owner_cmp(const void *a, const void *b)
{
    return name_cmp(((const struct owner *)a)->name, ((const struct owner *)b)->name);
}

/* The names made here are short. */
static size_t parse(const char *text, uint8_t *out)
{
    uint8_t name[NAME_MAX_OCTETS];
    if (name_parse(text, name, NULL) < 0)
        abort();
    return name_copy(out, name);
}

static void owners_make(void)
{
    static const uint8_t bitmap[] = {0, 6, 0x20, 0, 0, 0, 0, 3};
    owner = mem_array(OWNERS, sizeof *owner);
    for (unsigned i = 0; i < OWNERS; i++) {
        char text[64];
        for (unsigned k = 0; k < 2; k++) {
            snprintf(text, sizeof text, "ns%u.host%u.example.", k,
                     (unsigned)random_below(&rnd, 5000));
            owner[i].ns_len[k] = (uint8_t)parse(text, owner[i].ns[k]);
            random_octets(&rnd, owner[i].signature[k], sizeof owner[i].signature[k]);
        }
        snprintf(text, sizeof text, "%c%c%x.example.", 'a' + (int)random_below(&rnd, 26),
                 'a' + (int)random_below(&rnd, 26), i * 16 + (unsigned)random_below(&rnd, 16));
        parse(text, owner[i].name);
    }
    qsort(owner, OWNERS, sizeof *owner, owner_cmp);
    for (unsigned i = 0; i < OWNERS; i++) {
        size_t n = name_copy(owner[i].nsec, owner[(i + 1) % OWNERS].name);
        memcpy(owner[i].nsec + n, bitmap, sizeof bitmap);
        owner[i].nsec_len = (uint8_t)(n + sizeof bitmap);
        put_u16(owner[i].signature[0], RR_DS);
        put_u16(owner[i].signature[1], RR_NSEC);
    }
}

static int add(struct edit *e, const struct owner *o, unsigned which)
{
    switch (which) {
    case 0:
    case 1:
        return edit_add(e, o->name, RR_NS, 3600, o->ns[which], o->ns_len[which], NULL);
    case 2:
        return edit_add(e, o->name, RR_DS, 3600, o->signature[0] + 40, 36, NULL);
    case 3:
        return edit_add(e, o->name, RR_NSEC, 3600, o->nsec, o->nsec_len, NULL);
    default:
        return edit_add(e, o->name, RR_RRSIG, 3600, o->signature[1], sizeof o->signature[1], NULL);
    }
}

enum order { CANONICAL, OWNERS_SHUFFLED, RECORDS_APART };

static struct snapshot *load(struct family *family, const struct snapshot *since, enum order order,
                             const uint32_t *shuffled, double *ns)
{
    double start = now_ns();
    struct edit *e = edit_open(family, NULL, since);
    struct snapshot *s;
    struct changeset *c;
    for (unsigned i = 0; i < RECORDS; i++) {
        const struct owner *o = order == RECORDS_APART ? &owner[i % OWNERS] : &owner[i / PER_OWNER];
        if (order == OWNERS_SHUFFLED)
            o = &owner[shuffled[i / PER_OWNER]];
        if (add(e, o, order == RECORDS_APART ? i / OWNERS : i % PER_OWNER))
            abort();
    }
    if (edit_seal(&e, &s, &c, NULL) || s->records != RECORDS || c->n != (since ? 0 : OWNERS))
        abort();
    changeset_unref(c);
    double took = (now_ns() - start) / RECORDS;
    *ns = took < *ns ? took : *ns;
    return s;
}

int main(void)
{
    rnd = random_open();
    owners_make();
    uint32_t *shuffled = mem_array(OWNERS, sizeof *shuffled);
    for (uint32_t i = 0; i < OWNERS; i++) {
        uint32_t j = (uint32_t)random_below(&rnd, i + 1);
        shuffled[i] = shuffled[j];
        shuffled[j] = i;
    }
    struct family *family = family_new(apex);
    double first = 1e9, again = 1e9, random = 1e9, apart = 1e9, drop = 1e9, octets = 0, get = 1e9;
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t before = mallinfo2().uordblks;
        struct snapshot *held = load(family, NULL, CANONICAL, shuffled, &first), *s;
        octets = (double)(mallinfo2().uordblks - before) / RECORDS;
        s = load(family, held, CANONICAL, shuffled, &again);
        snapshot_unref(s);
        for (unsigned k = 0; k < 20; k++) {
            double start = now_ns();
            for (unsigned i = 0; i < 10000; i++)
                if (!snapshot_get(held, owner[random_below(&rnd, OWNERS)].name))
                    abort();
            double took = (now_ns() - start) / 10000;
            get = took < get ? took : get;
        }
        double start = now_ns();
        snapshot_unref(held);
        double took = (now_ns() - start) / RECORDS;
        drop = took < drop ? took : drop;
        snapshot_unref(load(family, NULL, OWNERS_SHUFFLED, shuffled, &random));
        snapshot_unref(load(family, NULL, RECORDS_APART, shuffled, &apart));
    }
    family_unref(family);
    figure("ns_a_record", first, 200);
    figure("ns_a_record_held", again, 300);
    figure("ns_a_record_shuffled", random, 400);
    figure("ns_a_record_apart", apart, 1500);
    figure("ns_a_record_dropped", drop, 100);
    figure("octets_a_record", octets, 90);
    figure("ns_a_get", get, 500);
    mem_free(&shuffled);
    mem_free(&owner);
    return missed ? EXIT_FAILURE : EXIT_SUCCESS;
}
