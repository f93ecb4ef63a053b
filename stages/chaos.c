/* chaos: a changing stage without sense but with manners, to stress the chain. A test stage.
 *
 * Names vanish, gain a record, or pass, and versions pass, hold or are rejected: by a hash of
 * `seed` and the name, or of `seed` and the serial. So it looks random, yet output and verdict
 * depend on the arguments alone, and it keeps the laws as any stage must. The SOA and the apex NS
 * stay, so that what comes out is still a zone. State and wake-ups are there to be carried about:
 * the state must come back as it was left, or the stage stops.
 */
#include "pipeline/stage.h"

enum { CHAOS_HOLD, CHAOS_RETRY, CHAOS_REJECT, CHAOS_NOTE, CHAOS_WOKEN };

static const struct finding_type chaos_findings[] = {
    [CHAOS_HOLD] = {"hold", STAGE_HOLD, "serial {n0} is held", "The dice said so."},
    [CHAOS_RETRY] = {"retry", STAGE_RETRY, "serial {n0} is to be fetched again",
                     "The dice said so."},
    [CHAOS_REJECT] = {"reject", STAGE_REJECT, "serial {n0} is rejected", "The dice said so."},
    [CHAOS_NOTE] = {"note", STAGE_PASS, "a record was added", "The dice said so."},
    [CHAOS_WOKEN] = {"woken", STAGE_PASS, "woken at serial {n0}",
                     "The wake-up of the last run came."},
    {NULL, STAGE_PASS, NULL, NULL},
};

struct chaos_conf {
    int64_t seed;
    int64_t calm; /* percent of versions and names that are left alone */
    int64_t wake; /* seconds to the next wake-up; 0 = none */
};

static const struct option chaos_options[] = {
    {.name = "seed",
     .kind = OPTION_INT,
     .offset = offsetof(struct chaos_conf, seed),
     .fallback = "1",
     .min = 0,
     .max = INT32_MAX,
     .help = "another seed, other accidents"},
    {.name = "calm",
     .kind = OPTION_INT,
     .offset = offsetof(struct chaos_conf, calm),
     .fallback = "50",
     .min = 0,
     .max = 100,
     .help = "percent of names and of versions that are left alone"},
    {.name = "wake",
     .kind = OPTION_SECONDS,
     .offset = offsetof(struct chaos_conf, wake),
     .fallback = "0",
     .min = 0,
     .max = 86400,
     .help = "ask to be called again after this time; 0: never"},
    {.name = NULL},
};

struct chaos_state {
    uint32_t serial;
    bool has_serial;
};

/* 0..99, and a second throw in the upper bits. */
static uint32_t chaos_throw(const struct chaos_conf *conf, const uint8_t *name, uint32_t salt)
{
    return name_hash(name, (uint32_t)conf->seed * 0x9e3779b1U ^ salt * 0x85ebca6bU);
}

static bool chaos_calm(const struct chaos_conf *conf, uint32_t thrown)
{
    return (int64_t)(thrown % 100) < conf->calm;
}

/* "chaos" as TXT; on a NODE that has a CNAME it would be wrong data, which is what chaos is for. */
static struct node *chaos_add_record(const struct node *node, struct node_builder *builder)
{
    static const uint8_t rdata[] = {5, 'c', 'h', 'a', 'o', 's'};
    node_builder_begin(builder, node_name(node));
    node_builder_add_node(builder, node, NULL, NULL);
    if (node_builder_add(builder, RR_TXT, 60, rdata, sizeof(rdata)) != 0) {
        /* The name is at its bound: leave it as it is. */
        node_builder_begin(builder, node_name(node));
        return node_ref(node);
    }
    return node_builder_seal(builder);
}

/* What becomes of a name: with a reference, or NULL. A function of seed and node alone. */
static struct node *chaos_name(const struct chaos_conf *conf, const struct node *node, bool at_apex,
                               struct node_builder *builder)
{
    uint32_t thrown = chaos_throw(conf, node_name(node), 0);
    if (chaos_calm(conf, thrown))
        return node_ref(node);
    if (thrown >> 31 && !at_apex)
        return NULL;
    return chaos_add_record(node, builder);
}

static void chaos_judge(struct stage_run *run, uint32_t serial)
{
    const struct chaos_conf *conf = run->conf;
    uint32_t thrown = chaos_throw(conf, snapshot_apex_name(run->next), serial);
    if (chaos_calm(conf, thrown))
        return;
    static const unsigned code[] = {CHAOS_HOLD, CHAOS_RETRY, CHAOS_REJECT, CHAOS_NOTE};
    finding_add(run->findings, code[thrown >> 30], NULL, 0, serial, 0, NULL);
}

static void chaos_run(struct stage_run *run)
{
    const struct chaos_conf *conf = run->conf;
    const struct chaos_state *state = run->state;
    struct soa soa = {0};
    if (run->prev) {
        bool had_serial = snapshot_soa(run->prev, &soa);
        ASSERT(state && state->has_serial == had_serial);
        ASSERT(!had_serial || state->serial == soa.serial);
    }
    bool has_serial = snapshot_soa(run->next, &soa);
    const uint8_t *apex = snapshot_apex_name(run->next);
    struct node_builder *builder = node_builder_new();
    for (size_t i = 0; i < run->delta->n; i++) {
        const struct change *change = &run->delta->change[i];
        const uint8_t *owner = change_name(change);
        struct node *node =
            change->now ? chaos_name(conf, change->now, name_equal(owner, apex), builder) : NULL;
        if (node)
            edit_put(run->out, node);
        else
            edit_remove(run->out, owner);
    }
    node_builder_free(&builder);
    if (run->delta->n > 0)
        chaos_judge(run, soa.serial);
    if (run->woken)
        finding_add(run->findings, CHAOS_WOKEN, NULL, 0, soa.serial, 0, NULL);

    struct chaos_state *next = mem_alloc(sizeof(*next));
    *next = (struct chaos_state){.serial = soa.serial, .has_serial = has_serial};
    run->next_state = next;
    run->wake_at = conf->wake ? run->now + conf->wake : 0;
    run->visited = run->delta->n;
}

static void chaos_state_free(void *state)
{
    mem_free_ptr(&state);
}

const struct stage_type stage_chaos = {
    .name = "chaos",
    .summary = "adds, removes, holds and rejects by dice that always fall the same",
    .flags = STAGE_TEST,
    .conf_size = sizeof(struct chaos_conf),
    .options = chaos_options,
    .findings = chaos_findings,
    .run = chaos_run,
    .state_free = chaos_state_free,
};
