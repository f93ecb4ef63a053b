/* chain: a stage that has nothing to change passes on what came in, and begins when there is something; a stage is woken
 * by its own wake-up only; one that should touch DNSSEC's records only is held to it.
 */
#include "tests/lib/suite.h"

#include "pipeline/run/chain.h"
#include "pipeline/run/registry.h"

#include <string.h>

static const uint8_t apex[] = "\1z", www[] = "\3www\1z", sub[] = "\3sub\1z";
static const uint8_t address[4] = {192, 0, 2, 1}, some[40] = {0};

static struct {
    unsigned calls, woken;
} sleeper_seen[2];

static void sleeper_run(struct stage_run *run)
{
    const int64_t *pause = run->conf;
    unsigned which = *pause == 10;
    sleeper_seen[which].calls++;
    sleeper_seen[which].woken += run->woken;
    if (run->prev == NULL || run->woken || run->delta->n)
        run->wake_at = run->now + (time_t)*pause;
}

static const struct option sleeper_options[] = {
    {.name = "pause",
     .kind = OPTION_SECONDS,
     .offset = 0,
     .fallback = "10",
     .max = 1000,
     .help = "-"},
    {.name = NULL},
};
static const struct stage_type sleeper = {.name = "sleeper",
                                          .flags = STAGE_CHECK_ONLY,
                                          .conf_size = sizeof(int64_t),
                                          .options = sleeper_options,
                                          .run = sleeper_run};

/* Says that it has to do with DNSSEC only, and gives www another TTL. */
static void liar_run(struct stage_run *run)
{
    for (size_t i = 0; i < run->delta->n; i++) {
        const struct node *node = run->delta->change[i].now;
        if (!node) {
            edit_remove(run->out, change_name(&run->delta->change[i]));
        } else if (!name_equal(node_name(node), www)) {
            edit_put(run->out, node_ref(node));
        } else {
            struct why why;
            ck_assert_int_eq(edit_add(run->out, www, RR_A, 77, address, 4, &why), 0);
        }
    }
}
static const struct stage_type liar = {.name = "liar", .flags = STAGE_DNSSEC_ONLY, .run = liar_run};

struct zone_text {
    uint8_t serial;
    bool www, dnssec, sub;
};

static struct snapshot *version(struct family *family, const struct snapshot *since,
                                const struct zone_text *zone)
{
    struct edit *e = edit_open(family, NULL, since);
    struct why why = {""};
    struct snapshot *s;
    uint8_t soa[24] = "\1m";
    soa[7] = zone->serial;
    int err = edit_add(e, apex, RR_SOA, 300, soa, sizeof soa, &why);
    if (zone->www)
        err |= edit_add(e, www, RR_A, 300, address, 4, &why);
    if (zone->dnssec)
        err |= edit_add(e, www, RR_RRSIG, 300, some, 40, &why);
    if (zone->sub)
        err |= edit_add(e, sub, RR_A, 300, address, 4, &why);
    ck_assert_msg(err == 0, "%s", why.text);
    err = edit_seal(&e, &s, NULL, &why);
    ck_assert_msg(err == 0, "%s", why.text);
    return s;
}

static struct version *run_one(struct chain *chain, struct version *prev, struct snapshot *input,
                               time_t now, bool woken, size_t *changes)
{
    struct chain_input in = {.snapshot = input, .origin = "test", .woken = woken};
    struct candidate *c = chain_run(chain, prev, &in, now, NULL);
    ck_assert_int_eq(c->verdict, STAGE_PASS);
    struct version *v = candidate_take(c);
    *changes = c->changes->n;
    candidate_free(&c);
    return v;
}

START_TEST(nothing_to_change_is_passed_on)
{
    static const struct step {
        struct zone_text zone;
        bool passed;
        size_t names, changes;
    } steps[] = {
        {{1, true, false, false}, true, 2, 2}, {{2, true, false, true}, true, 3, 2},
        {{3, true, true, true}, false, 3, 1},  /* the first DNSSEC record */
        {{4, false, true, true}, false, 2, 2}, /* www has no more than that: it vanishes */
        {{5, true, false, true}, false, 3, 2}, /* an own output stays one */
    };
    struct family *family = family_new(apex);
    struct chain *chain = chain_new(1, 10);
    chain->stage[0].type = registry_find("strip");
    chain->stage[0].conf = mem_zalloc(chain->stage[0].type->conf_size);
    struct version *v = NULL;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        const struct step *step = &steps[i];
        struct snapshot *input = version(family, v ? v->input : NULL, &step->zone);
        size_t changes, all;
        struct version *next = run_one(chain, v, input, 1, false, &changes);
        ck_assert_msg((next->served == input) == step->passed, "step %zu", i);
        ck_assert_uint_eq(next->served->names, step->names);
        ck_assert_uint_eq(changes, step->changes);
        struct version *anew = run_one(chain, NULL, input, 1, false, &all);
        struct changeset *differ = changeset_between(anew->served, next->served);
        ck_assert_uint_eq(differ->n, 0);
        changeset_unref(differ);
        version_unref(anew);
        version_unref(v);
        snapshot_unref(input);
        v = next;
    }
    version_unref(v);
    chain_unref(chain);
    family_unref(family);
}
END_TEST

START_TEST(a_stage_is_woken_by_its_own_time)
{
    struct family *family = family_new(apex);
    struct chain *chain = chain_new(2, 10);
    static const int64_t pause[2] = {10, 25};
    for (unsigned i = 0; i < 2; i++) {
        chain->stage[i].type = &sleeper;
        chain->stage[i].conf = mem_dup(&pause[i], sizeof pause[i]);
    }
    memset(sleeper_seen, 0, sizeof sleeper_seen);
    struct snapshot *input = version(family, NULL, &(struct zone_text){1, true, false, false});
    size_t changes;
    struct version *v = run_one(chain, NULL, input, 100, false, &changes);
    ck_assert_int_eq(version_wake_at(v), 110);
    struct version *next = run_one(chain, v, input, 110, true, &changes);
    version_unref(v);
    ck_assert_uint_eq(sleeper_seen[1].calls, 2);
    ck_assert_uint_eq(sleeper_seen[1].woken, 1);
    ck_assert_uint_eq(sleeper_seen[0].calls, 2);
    ck_assert_uint_eq(sleeper_seen[0].woken, 0);
    version_unref(next);
    snapshot_unref(input);
    chain_unref(chain);
    family_unref(family);
}
END_TEST

START_TEST(data_is_not_dnssec)
{
    struct family *family = family_new(apex);
    struct chain *chain = chain_new(1, 10);
    chain->stage[0].type = &liar;
    struct snapshot *input = version(family, NULL, &(struct zone_text){1, true, false, false});
    struct chain_input in = {.snapshot = input, .origin = "test"};
    struct candidate *c = chain_run(chain, NULL, &in, 1, NULL);
    ck_assert_int_eq(c->verdict, STAGE_REJECT);
    ck_assert_uint_eq(c->findings->n, 1);
    char *text = finding_print(&c->findings->list[0]);
    ck_assert_str_eq(text, "www.z. A: stage liar: this set was changed");
    mem_free(&text);
    candidate_free(&c);
    snapshot_unref(input);
    chain_unref(chain);
    family_unref(family);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("chain");
    suite_add(s, nothing_to_change_is_passed_on);
    suite_add(s, a_stage_is_woken_by_its_own_time);
    suite_add(s, data_is_not_dnssec);
    return suite_run(s);
}
