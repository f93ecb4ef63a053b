/* pedantic: asserts the contract that every stage relies on. A test stage; put it anywhere in a
 * chain.
 *
 * It changes nothing, but as a changing stage does it, so that it sees `out` too: the delta is
 * mirrored onto an output that must equal the input. What it asserts, before it believes anything:
 *
 *   - the delta is in strict canonical order, no pair is empty or equal, and it leads from prev to
 * next exactly, nothing more and nothing less;
 *   - prev is the version seen at the last accepted run, octet for octet: neither another version,
 * nor changed since;
 *   - the output opens as the last accepted output;
 *   - counts and serials agree with what they count;
 *   - prev, state and a delta from nothing go together.
 *
 * All of it is work linear in the zone, hence STAGE_WHOLE_ZONE: it is for tests.
 */
#include "pipeline/stage.h"

enum { PEDANTIC_SEEN };

static const struct finding_type pedantic_findings[] = {
    [PEDANTIC_SEEN] = {"seen", STAGE_PASS, "woken with {n0} changed names",
                       "The stage was called because its own wake-up had come."},
    {NULL, STAGE_PASS, NULL, NULL},
};

struct pedantic_state {
    uint64_t digest;
    size_t names;
};

static uint64_t pedantic_mix(uint64_t digest, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        digest = (digest ^ p[i]) * 0x100000001b3; /* FNV-1a */
    return digest;
}

/* The content of a node, not its place in memory. */
static uint64_t pedantic_mix_node(uint64_t digest, const struct node *node)
{
    digest = pedantic_mix(digest, node_name(node), node->name_len);
    for (unsigned i = 0; i < node->nrrsets; i++) {
        struct rrset set;
        node_rrset_at(node, i, &set);
        uint8_t head[8];
        put_u16(head, set.type);
        put_u16(head + 2, set.covered);
        put_u32(head + 4, set.ttl);
        digest = pedantic_mix(digest, head, sizeof(head));
        digest = pedantic_mix(digest, set.rdata, (size_t)(set.end - set.rdata));
    }
    return digest;
}

/* Digest of a version; asserts order and counts on the way. */
static uint64_t pedantic_digest(const struct snapshot *s)
{
    uint64_t digest = 0xcbf29ce484222325;
    size_t names = 0, records = 0;
    const struct node *before = NULL;
    struct snapshot_iter it;
    for (const struct node *node = snapshot_first(&it, s); node; node = snapshot_next(&it)) {
        ASSERT(!before || name_cmp(node_name(before), node_name(node)) < 0);
        ASSERT(name_at_or_below(node_name(node), snapshot_apex_name(s)));
        ASSERT(node->nrrsets > 0);
        names++;
        records += node->records;
        digest = pedantic_mix_node(digest, node);
        before = node;
    }
    ASSERT(names == s->names);
    ASSERT(records == s->records);
    return digest;
}

static bool pedantic_same(const struct node *a, const struct node *b)
{
    return a == b || (a && b && node_equal(a, b));
}

static void pedantic_check_serials(const struct stage_run *run)
{
    struct soa soa;
    ASSERT(run->delta->has_to == snapshot_soa(run->next, &soa));
    ASSERT(!run->delta->has_to || run->delta->to == soa.serial);
    if (!run->prev) {
        ASSERT(!run->delta->has_from);
        return;
    }
    ASSERT(run->delta->has_from == snapshot_soa(run->prev, &soa));
    ASSERT(!run->delta->has_from || run->delta->from == soa.serial);
}

/* Each pair of the delta is what the two versions hold at that name. */
static void pedantic_check_pairs(const struct stage_run *run)
{
    for (size_t i = 0; i < run->delta->n; i++) {
        const struct change *change = &run->delta->change[i];
        const uint8_t *owner = change_name(change);
        ASSERT(change->was || change->now);
        ASSERT(!pedantic_same(change->was, change->now));
        ASSERT(i == 0 || name_cmp(change_name(&run->delta->change[i - 1]), owner) < 0);
        ASSERT(pedantic_same(change->now, snapshot_get(run->next, owner)));
        ASSERT(pedantic_same(change->was, run->prev ? snapshot_get(run->prev, owner) : NULL));
    }
}

/* Walks both versions side by side: whatever differs is in the delta. */
static void pedantic_check_complete(const struct stage_run *run)
{
    struct snapshot_iter prev_it, next_it;
    const struct node *was = run->prev ? snapshot_first(&prev_it, run->prev) : NULL;
    const struct node *now = snapshot_first(&next_it, run->next);
    size_t seen = 0;
    while (was || now) {
        int order = !was ? 1 : !now ? -1 : name_cmp(node_name(was), node_name(now));
        if (order != 0 || !pedantic_same(was, now)) {
            ASSERT(seen < run->delta->n);
            const struct change *change = &run->delta->change[seen++];
            ASSERT(pedantic_same(change->was, order <= 0 ? was : NULL));
            ASSERT(pedantic_same(change->now, order >= 0 ? now : NULL));
        }
        if (order <= 0)
            was = snapshot_next(&prev_it);
        if (order >= 0)
            now = snapshot_next(&next_it);
    }
    ASSERT(seen == run->delta->n);
}

/* The output holds what prev holds, and nothing yet of what is new. */
static void pedantic_check_out(const struct stage_run *run)
{
    struct snapshot_iter it;
    const struct node *node = run->prev ? snapshot_first(&it, run->prev) : NULL;
    for (; node; node = snapshot_next(&it))
        ASSERT(pedantic_same(node, edit_get(run->out, node_name(node))));
    for (size_t i = 0; i < run->delta->n; i++)
        ASSERT(run->delta->change[i].was ||
               !edit_get(run->out, change_name(&run->delta->change[i])));
}

static void pedantic_run(struct stage_run *run)
{
    const struct pedantic_state *state = run->state;
    ASSERT(run->next && run->delta && run->out && run->scratch && run->findings);
    ASSERT((run->prev != NULL) == (state != NULL));
    ASSERT(run->next_state == run->state && run->wake_at == 0 && run->visited == 0);
    ASSERT(!run->prev || name_equal(snapshot_apex_name(run->prev), snapshot_apex_name(run->next)));
    if (run->prev) {
        ASSERT(state->names == run->prev->names);
        ASSERT(state->digest == pedantic_digest(run->prev));
    }
    uint64_t digest = pedantic_digest(run->next);
    pedantic_check_serials(run);
    pedantic_check_pairs(run);
    pedantic_check_complete(run);
    pedantic_check_out(run);

    for (size_t i = 0; i < run->delta->n; i++) {
        const struct change *change = &run->delta->change[i];
        if (change->now)
            edit_put(run->out, node_ref(change->now));
        else
            ASSERT(edit_remove(run->out, change_name(change)));
    }
    if (run->woken)
        finding_add(run->findings, PEDANTIC_SEEN, NULL, 0, (int64_t)run->delta->n, 0, NULL);
    struct pedantic_state *next = mem_alloc(sizeof(*next));
    *next = (struct pedantic_state){.digest = digest, .names = run->next->names};
    run->next_state = next;
    run->visited = run->next->names;
}

static void pedantic_state_free(void *state)
{
    mem_free_ptr(&state);
}

const struct stage_type stage_pedantic = {
    .name = "pedantic",
    .summary = "asserts the contract between the chain and its stages, and passes everything on",
    .flags = STAGE_TEST | STAGE_WHOLE_ZONE,
    .findings = pedantic_findings,
    .run = pedantic_run,
    .state_free = pedantic_state_free,
};
