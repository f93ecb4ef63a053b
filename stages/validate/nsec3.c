/* nsec3: which chains a version has, and how each is judged (RFC 5155 4, RFC 9276).
 *
 * Each NSEC3PARAM announces a whole chain, so each is checked; while a zone changes its salt there
 * are two. Records of no announced chain are counted. The first version's chains are judged whole
 * (nsec3_chain.c), and so are those whose announcement changed; after that, what a change can have
 * made wrong (nsec3_change.c), unless it takes all of the chain to tell.
 */
#include "stages/validate/nsec3.h"

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

/* NSEC3 records of none of these chains, among the names that are looked at. */
static size_t stray_count(const struct check *check, const struct nsec3_params *params, unsigned n)
{
    size_t stray = 0;
    for (size_t i = 0; i < check->items.n; i++) {
        const struct item *item = &check->items.item[i];
        struct rrset set;
        struct rdata rdata;
        if (item->status == NAME_OCCLUDED || !node_rrset(item->node, RR_NSEC3, 0, &set))
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

static void chain_judge(struct check *check, const struct nsec3_params *params)
{
    struct chain3 chain = {.check = check, .params = *params};
    if (!check->scope.nsec3_all && chain_check_change(&chain))
        return;
    struct items all = check->items;
    if (!check->scope.all)
        all = walk_all(check);
    chain = (struct chain3){.check = check, .params = *params};
    chain_check(&chain, &all);
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
            chain_judge(check, &params[i]);
    }
    if (check->nsec3_tolerated || n < announced.count)
        return; /* of a chain that is not checked (told above), nothing is stray */
    size_t stray = stray_count(check, params, n);
    if (stray > 0)
        finding_add(check->run->findings, NSEC3_STRAY, check->apex_name, RR_NSEC3, (int64_t)stray,
                    0, NULL);
}
