/* registry: what the benches of stages share: the zone that registries have, a chain's run on it, and figures.
 *
 * WHAT   N delegations of two servers each, three in ten with DS, names of 4 to 14 letters and a number in no order; with `glue` a fifth has
 *        its servers below itself. Whatever cannot be done ends the bench, with its name and why.
 * WHO    One thread. Included by one .c file of a bench.
 */
#ifndef WEIR_BENCH_REGISTRY_H
#define WEIR_BENCH_REGISTRY_H

#include "pipeline/run/chain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint8_t apex[NAME_MAX_OCTETS] = "\5bench";
static bool missed; /* a figure by more than 25 % */

static inline void figure(const char *bench, const char *name, double ours, double target)
{
    printf("%s.%-24s %10.2f %10.2f %6.2f\n", bench, name, ours, target, ours / target);
    fflush(stdout);
    missed |= ours > target * 1.25;
}

static inline double now_s(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline void must(int rc, const struct why *why)
{
    if (rc == 0)
        return;
    fprintf(stderr, "%s: %s\n", program_invocation_short_name, why->text);
    exit(EXIT_FAILURE);
}

/* --- the zone --- */

static inline void add(struct edit *e, const uint8_t *owner, uint16_t type, const void *rdata, size_t len)
{
    struct why why;
    must(edit_add(e, owner, type, 3600, rdata, (uint16_t)len, &why), &why);
}

static inline void delegation_name(unsigned i, uint8_t out[NAME_MAX_OCTETS])
{
    char text[24];
    uint64_t x = (i + 1) * 0x9e3779b97f4a7c15u;
    int n = 0;
    for (unsigned k = 0; k < 4 + x % 11; k++)
        text[n++] = "abcdefghijklmnopqrstuvwxyz0123456789"[(x >> (k * 5)) % 36];
    n += snprintf(text + n, sizeof(text) - (size_t)n, "%x", i);
    out[0] = (uint8_t)n;
    memcpy(out + 1, text, (size_t)n);
    name_copy(out + 1 + n, apex);
}

static inline void put_ds(struct edit *e, const uint8_t *owner, unsigned salt)
{
    uint8_t ds[36] = {0, 1, 13, 2};
    put_u32(ds + 4, salt);
    memcpy(ds + 8, owner, owner[0] < 28 ? owner[0] : 28u);
    add(e, owner, RR_DS, ds, sizeof(ds));
}

static inline void put_delegation(struct edit *e, unsigned i, bool glue)
{
    uint8_t owner[NAME_MAX_OCTETS], server[NAME_MAX_OCTETS + 4] = "\3ns1\7example";
    bool below = glue && i % 5 == 0;
    delegation_name(i, owner);
    if (below)
        name_copy(server + 4, owner);
    for (unsigned k = 0; k < 2; k++) {
        server[3] = (uint8_t)('1' + k);
        add(e, owner, RR_NS, server, name_len(server));
        if (below)
            add(e, server, RR_A, "\300\0\2\1", 4);
    }
    if (i % 10 < 3)
        put_ds(e, owner, i);
}

static inline struct snapshot *zone_of_delegations(struct family *family, unsigned n, bool glue)
{
    static const uint8_t soa[] = "\3ns1\5bench\0\4host\5bench\0\0\0\0\1\0\0\7\10\0\0\3\204\0\11\72\200\0\0\3\204";
    struct edit *e = edit_open(family, NULL, NULL);
    struct snapshot *plain;
    struct why why;
    add(e, apex, RR_SOA, soa, sizeof(soa) - 1);
    add(e, apex, RR_NS, "\2ns\4test", 9);
    for (unsigned i = 0; i < n; i++)
        put_delegation(e, i, glue);
    must(edit_seal(&e, &plain, NULL, &why), &why);
    return plain;
}

static inline size_t signatures_in(const struct snapshot *s)
{
    size_t n = 0;
    struct snapshot_iter it;
    for (const struct node *node = snapshot_first(&it, s); node; node = snapshot_next(&it))
        for (unsigned i = 0; i < node->nrrsets; i++)
            n += node->head[i].type == RR_RRSIG;
    return n;
}

/* --- a run that is accepted --- */

static inline struct version *accepted(const struct chain *chain, const struct version *before, const struct chain_input *in,
                                       time_t now, struct pool *pool)
{
    struct candidate *c = chain_run(chain, before, in, now, pool_par(pool));
    if (c->verdict != STAGE_PASS) {
        struct why why;
        why_set(&why, -1, "%s", c->findings->n ? finding_print(&c->findings->list[0]) : "refused");
        must(-1, &why);
    }
    struct version *v = candidate_take(c);
    v->accepted_at = now;
    candidate_free(&c);
    return v;
}

#endif
