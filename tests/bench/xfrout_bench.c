/* xfrout: a signed TLD-like zone, streamed into a buffer: records a second, nanoseconds a record, octets, by where messages
 * end. The zone is made here: N delegations (250,000), two NS each, a fifth with glue of its own, 30 % with a DS,
 * NSEC and signatures of 64 octets.
 *
 * Then the same zone's IXFR from the oldest serial of a history that is as long as it may be: STEPS steps with as many changes
 * as fit the bounds, each a record more at some name. That is the most that one question can cost; it is shown as a
 * multiple of an AXFR's time.
 *
 * usage: xfrout_bench [DELEGATIONS [ROUNDS [FILL]]] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pipeline/base/alloc.h"
#include "pipeline/base/rcu.h"
#include "pipeline/net/xfrout.h"
#include "tests/lib/random.h"

enum { STEPS = 200, CHANGES_A_STEP = 8000 };
enum { OWNER_MAX = 48, TTL = 86400, DEFAULT_DELEGATIONS = 250000, DEFAULT_ROUNDS = 7 };

static const uint8_t apex[] = "\5bench";

struct zone_maker {
    struct edit *edit;
    struct random random;
    size_t n;
    uint8_t (*owner)[OWNER_MAX]; /* in canonical order */
};

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(const char *text)
{
    fprintf(stderr, "xfrout_bench: %s\n", text);
    exit(EXIT_FAILURE);
}

static void add(struct zone_maker *z, const uint8_t *owner, uint16_t type, const uint8_t *rdata,
                size_t len)
{
    struct why why;
    if (edit_add(z->edit, owner, type, TTL, rdata, (uint16_t)len, &why))
        fail(why.text);
}

static int owner_cmp(const void *a, const void *b)
{
    return name_cmp(a, b);
}

static void owners_make(struct zone_maker *z)
{
    static const char abc[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    z->owner = mem_array(z->n, sizeof *z->owner);
    for (size_t i = 0; i < z->n; i++) {
        char label[OWNER_MAX];
        size_t len = 4 + random_below(&z->random, 11);
        for (size_t k = 0; k < len; k++)
            label[k] = abc[random_below(&z->random, sizeof abc - 1)];
        len += (size_t)snprintf(label + len, sizeof label - len, "%zx", i);
        z->owner[i][0] = (uint8_t)len;
        memcpy(z->owner[i] + 1, label, len);
        memcpy(z->owner[i] + 1 + len, apex, sizeof apex);
    }
    qsort(z->owner, z->n, sizeof *z->owner, owner_cmp);
}

static void add_signature(struct zone_maker *z, const uint8_t *owner, uint16_t covered)
{
    uint8_t rdata[18 + sizeof apex + 64] = {0};
    put_u16(rdata, covered);
    rdata[2] = 13;
    rdata[3] = (uint8_t)name_labels(owner);
    put_u32(rdata + 4, TTL);
    memcpy(rdata + 18, apex, sizeof apex);
    random_octets(&z->random, rdata + 18 + sizeof apex, 64);
    add(z, owner, RR_RRSIG, rdata, sizeof rdata);
}

static void add_nsec(struct zone_maker *z, const uint8_t *owner, const uint8_t *next, bool ds)
{
    uint8_t rdata[OWNER_MAX + 16];
    size_t n = name_copy(rdata, next);
    memcpy(rdata + n, "\0\6\40\0\0\0\0\3", 8); /* NS RRSIG NSEC */
    if (ds)
        rdata[n + 7] |= 0x10;
    add(z, owner, RR_NSEC, rdata, n + 8);
    add_signature(z, owner, RR_NSEC);
}

static void add_delegation(struct zone_maker *z, const uint8_t *owner, const uint8_t *next)
{
    uint8_t ns[OWNER_MAX + 8], ds[36] = {0, 1, 13, 2}, address[4];
    bool glue = random_below(&z->random, 5) == 0, has_ds = random_below(&z->random, 10) < 3;
    unsigned host = (unsigned)random_below(&z->random, 1000);
    for (unsigned i = 1; i <= 2; i++) {
        memcpy(ns, "\3ns", 3);
        ns[3] = (uint8_t)('0' + i);
        if (glue) {
            name_copy(ns + 4, owner);
        } else {
            int n = snprintf((char *)ns + 5, 10, "host%u", host);
            ns[4] = (uint8_t)n;
            memcpy(ns + 5 + n, "\7example", 9);
        }
        add(z, owner, RR_NS, ns, name_len(ns));
        if (!glue)
            continue;
        random_octets(&z->random, address, sizeof address);
        add(z, ns, RR_A, address, sizeof address);
    }
    if (has_ds) {
        random_octets(&z->random, ds + 4, sizeof ds - 4);
        add(z, owner, RR_DS, ds, sizeof ds);
        add_signature(z, owner, RR_DS);
    }
    add_nsec(z, owner, next, has_ds);
}

static void add_apex(struct zone_maker *z)
{
    uint8_t soa[2 * (5 + sizeof apex) + 20];
    size_t n = 0;
    for (unsigned i = 0; i < 2; i++) {
        memcpy(soa + n, i ? "\4host" : "\4mail", 5);
        memcpy(soa + n + 5, apex, sizeof apex);
        n += 5 + sizeof apex;
    }
    memset(soa + n, 1, 20);
    add(z, apex, RR_SOA, soa, n + 20);
    add_signature(z, apex, RR_SOA);
    add(z, apex, RR_NS, soa, 5 + sizeof apex);
    add_signature(z, apex, RR_NS);
    add_nsec(z, apex, z->owner[0], false);
}

static struct version *version_of(struct snapshot *s)
{
    struct chain *chain = chain_new(0, 1);
    const struct chain_input input = {.snapshot = s, .origin = "bench"};
    struct candidate *c = chain_run(chain, NULL, &input, 1, NULL);
    struct version *v = candidate_take(c);
    candidate_free(&c);
    chain_unref(chain);
    return v;
}

static struct version *version_make(size_t n)
{
    struct zone_maker z = {.n = n, .random = random_open()};
    struct family *family = family_new(apex);
    struct snapshot *s;
    struct why why;
    z.edit = edit_open(family, NULL, NULL);
    owners_make(&z);
    add_apex(&z);
    for (size_t i = 0; i < n; i++)
        add_delegation(&z, z.owner[i], i + 1 < n ? z.owner[i + 1] : apex);
    if (edit_seal(&z.edit, &s, NULL, &why))
        fail(why.text);
    mem_free(&z.owner);
    family_unref(family);
    struct version *v = version_of(s);
    snapshot_unref(s);
    return v;
}
static struct xfrout_stats stream(const struct version *v, struct msg_writer *w, uint8_t *buf,
                                  size_t fill)
{
    struct why why;
    struct xfrout_stats stats;
    struct xfrout *x = xfrout_new(v, 1, apex, RR_AXFR, false);
    int n;
    xfrout_fill(x, fill);
    while ((n = xfrout_next(x, w, buf, MSG_MAX, &why)) > 0)
        ;
    if (n < 0)
        fail(why.text);
    xfrout_stats(x, &stats);
    xfrout_free(&x);
    return stats;
}

static void measure(const struct version *v, size_t fill, unsigned rounds)
{
    static struct msg_writer writer;
    static uint8_t buf[MSG_MAX];
    struct xfrout_stats stats = {0};
    double best = 1e9;
    msg_writer_init(&writer);
    for (unsigned i = 0; i < rounds; i++) {
        double began = cpu_s();
        stats = stream(v, &writer, buf, fill);
        double took = cpu_s() - began;
        best = took < best ? took : best;
    }
    printf("%9zu %9zu %11zu %8zu %12.0f %10.1f %9.3f\n", fill, stats.records, stats.bytes,
           stats.messages, (double)stats.records / best, best / (double)stats.records * 1e9, best);
}

/* A version later: a record more at every so many names, from one chosen at random on. */
static struct version *version_next(const struct version *v, struct random *r)
{
    static const struct history_limits limits = {.steps = STEPS, .bytes = UINT64_MAX};
    struct edit *e = edit_open(v->served->family, v->served, v->served);
    struct snapshot_iter it;
    struct snapshot *s;
    struct changeset *changes;
    struct why why;
    uint8_t octets[8];
    size_t every = v->served->names / CHANGES_A_STEP + 1, i = random_below(r, every);
    for (const struct node *n = snapshot_first(&it, v->served); n; n = snapshot_next(&it), i++) {
        random_octets(r, octets, sizeof octets);
        if (n == snapshot_apex(v->served) || i % every)
            continue;
        if (edit_add(e, node_name(n), 65400, TTL, octets, sizeof octets, &why))
            fail(why.text);
    }
    struct rrset soa;
    struct rdata old = {0};
    uint8_t rdata[200];
    node_rrset(snapshot_apex(v->served), RR_SOA, 0, &soa);
    rrset_first(&soa, &old);
    memcpy(rdata, old.data, old.len);
    put_u32(rdata + old.len - 20, v->soa.serial + 1);
    if (edit_del(e, apex, RR_SOA, old.data, old.len, &why) ||
        edit_add(e, apex, RR_SOA, TTL, rdata, old.len, &why) || edit_seal(&e, &s, &changes, &why))
        fail(why.text);
    struct version *next = version_of(s);
    next->history = history_append(v->history, changes, s, 1, &limits);
    changeset_unref(changes);
    snapshot_unref(s);
    return next;
}

static void measure_ixfr(struct version *v, unsigned rounds)
{
    static struct msg_writer writer;
    static uint8_t buf[MSG_MAX];
    struct random r = random_open();
    struct xfrout_stats stats = {0};
    double best = 1e9, longest = 0, axfr = 1e9;
    struct why why;
    version_ref(v);
    for (unsigned i = 0; i < STEPS; i++) {
        struct version *next = version_next(v, &r);
        version_unref(v);
        v = next;
    }
    const struct history *h = v->history;
    size_t changes = 0;
    for (unsigned i = 0; h && i < h->n; i++)
        changes += h->step[i].changes->n;
    if (!h)
        fail("no history");
    msg_writer_init(&writer);
    for (unsigned i = 0; i < rounds; i++) {
        double began = cpu_s();
        stream(v, &writer, buf, XFROUT_FILL);
        axfr = cpu_s() - began < axfr ? cpu_s() - began : axfr;
        struct xfrout *x = xfrout_new(v, 1, apex, RR_IXFR, false);
        if (!xfrout_since(x, h->step[0].changes->from))
            fail("no difference");
        double all = 0;
        while (!xfrout_done(x)) {
            began = cpu_s();
            if (xfrout_next(x, &writer, buf, MSG_MAX, &why) < 0)
                fail(why.text);
            double took = cpu_s() - began;
            all += took;
            longest = took > longest ? took : longest;
        }
        best = all < best ? all : best;
        xfrout_stats(x, &stats);
        xfrout_free(&x);
    }
    printf("ixfr over %u steps, %zu changes: %zu records, %zu octets, %.3f s, %.2f of an AXFR, "
           "%.0f ns a change, longest message %.2f ms\n",
           h->n, changes, stats.records, stats.bytes, best, best / axfr,
           best / (double)changes * 1e9, longest * 1e3);
    version_unref(v);
}

int main(int argc, char **argv)
{
    size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : DEFAULT_DELEGATIONS;
    unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : DEFAULT_ROUNDS;
    static const size_t fills[] = {XFROUT_FILL, 20480, 32768, MSG_MAX};
    rcu_thread_start();
    struct version *v = version_make(n ? n : 1);
    printf("%9s %9s %11s %8s %12s %10s %9s\n", "fill", "records", "octets", "messages", "records/s",
           "ns/record", "seconds");
    if (argc > 3)
        measure(v, strtoul(argv[3], NULL, 10), rounds);
    else
        for (size_t i = 0; i < sizeof fills / sizeof *fills; i++)
            measure(v, fills[i], rounds);
    measure_ixfr(v, rounds);
    version_unref(v);
    rcu_barrier_all();
    rcu_thread_stop();
    return 0;
}
