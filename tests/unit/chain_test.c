/* chain: a stage that has nothing to change passes on what came in, and begins when there is something; a stage is woken
 * by its own wake-up only; one that should touch DNSSEC's records only is held to it; a chain that was changed makes anew what the change concerns.
 */
#include "tests/lib/suite.h"

#include "pipeline/run/chain.h"
#include "pipeline/run/registry.h"

#include <string.h>

static const uint8_t apex[] = "\1z", www[] = "\3www\1z", sub[] = "\3sub\1z";
static const uint8_t address[4] = {192, 0, 2, 1}, some[40] = {0};

/* How often all of a zone was made a change, which costs the zone (see Makefile: --wrap). */
static unsigned from_nothing;
struct changeset *__real_changeset_between(const struct snapshot *was, const struct snapshot *now);
struct changeset *__wrap_changeset_between(const struct snapshot *was, const struct snapshot *now);
struct changeset *__wrap_changeset_between(const struct snapshot *was, const struct snapshot *now)
{
    from_nothing += !was;
    return __real_changeset_between(was, now);
}

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

/* Two stages, one that checks and one that copies, which tell what they were called with. */
struct scribe_conf {
    int64_t what, pace;
};
static struct seen {
    unsigned calls;
    bool from_nothing, has_state;
    size_t changes;
    int64_t pace;
} scribe_seen[3]; /* by `what` of ten */

static void scribe_run(struct stage_run *run)
{
    const struct scribe_conf *conf = run->conf;
    struct seen *seen = &scribe_seen[conf->what / 10];
    *seen = (struct seen){seen->calls + 1, !run->prev, run->state, run->delta->n, conf->pace};
    for (size_t i = 0; run->out && i < run->delta->n; i++)
        if (run->delta->change[i].now)
            edit_put(run->out, node_ref(run->delta->change[i].now));
        else
            edit_remove(run->out, change_name(&run->delta->change[i]));
    static char state;
    run->next_state = &state;
}

static const struct option scribe_options[] = {
    {.name = "what",
     .kind = OPTION_INT,
     .offset = offsetof(struct scribe_conf, what),
     .fallback = "0",
     .max = 100,
     .help = "-"},
    {.name = "pace",
     .kind = OPTION_INT,
     .offset = offsetof(struct scribe_conf, pace),
     .fallback = "0",
     .max = 100,
     .help = "-"},
    {.name = NULL},
};
static const char *const scribe_later[] = {"pace", NULL};
static const struct stage_type scribe = {.name = "scribe",
                                         .conf_size = sizeof(struct scribe_conf),
                                         .options = scribe_options,
                                         .later = scribe_later,
                                         .run = scribe_run},
                               reader = {.name = "reader",
                                         .flags = STAGE_CHECK_ONLY,
                                         .conf_size = sizeof(struct scribe_conf),
                                         .options = scribe_options,
                                         .later = scribe_later,
                                         .run = scribe_run};

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
        from_nothing = 0;
        struct version *next = run_one(chain, v, input, 1, false, &changes);
        ck_assert_uint_eq(from_nothing, i == 0 || i == 2); /* it began */
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

struct scribe_row {
    const struct stage_type *type;
    struct scribe_conf conf;
};

static struct chain *scribe_chain(const struct scribe_row *row, unsigned n)
{
    struct chain *chain = chain_new(n, 10);
    for (unsigned i = 0; i < n; i++) {
        chain->stage[i].type = row[i].type;
        chain->stage[i].conf = mem_dup(&row[i].conf, sizeof row[i].conf);
    }
    return chain;
}

/* The first chain made a version of three names, which the second one judges again. */
START_TEST(another_chain_makes_anew_what_it_must)
{
    static const struct scribe_row first[2] = {{&scribe, {0, 1}}, {&reader, {10, 1}}};
    static const struct {
        struct scribe_row row[3];
        unsigned n;
        bool fresh[3]; /* by `what` of ten */
    } other[] = {
        {{{&scribe, {0, 2}}, {&reader, {10, 3}}}, 2, {false, false}},
        {{{&scribe, {1, 1}}, {&reader, {10, 1}}}, 2, {true, false}},
        {{{&scribe, {0, 1}}, {&reader, {11, 1}}}, 2, {false, true}},
        {{{&scribe, {0, 2}}, {&reader, {10, 1}}, {&reader, {20, 1}}}, 3, {false, false, true}},
        {{{&reader, {10, 1}}, {&scribe, {0, 1}}}, 2, {true, true}},
        {{{&scribe, {0, 2}}}, 1, {false}},
    };
    for (unsigned i = 0; i < sizeof other / sizeof other[0]; i++) {
        struct family *family = family_new(apex);
        struct chain *a = scribe_chain(first, 2), *b = scribe_chain(other[i].row, other[i].n);
        struct snapshot *input = version(family, NULL, &(struct zone_text){1, true, false, true});
        size_t changes, names = input->names;
        struct version *v = run_one(a, NULL, input, 1, false, &changes);
        ck_assert(scribe_seen[0].from_nothing && scribe_seen[0].changes == names);
        memset(scribe_seen, 0, sizeof scribe_seen);
        struct version *next = run_one(b, v, input, 1, true, &changes);
        ck_assert_uint_eq(changes, 0);
        ck_assert_uint_eq(next->served->names, names);
        for (unsigned s = 0; s < other[i].n; s++) {
            const struct scribe_conf *conf = &other[i].row[s].conf;
            const struct seen *seen = &scribe_seen[conf->what / 10];
            bool fresh = other[i].fresh[conf->what / 10];
            ck_assert_uint_eq(seen->calls, 1);
            ck_assert_int_eq(seen->pace, conf->pace);
            ck_assert_msg(seen->from_nothing == fresh && seen->has_state == !fresh,
                          "chain %u, stage %u", i, s);
            ck_assert_uint_eq(seen->changes, fresh ? names : 0);
        }
        version_unref(v);
        version_unref(next);
        snapshot_unref(input);
        chain_unref(a);
        chain_unref(b);
        family_unref(family);
    }
}
END_TEST

/* Also from a chain of no stages, and to one, the changes are those of what is served. */
START_TEST(changes_lead_from_what_was_served)
{
    static const struct scribe_row row = {&scribe, {0, 1}};
    struct family *family = family_new(apex);
    struct chain *chain[] = {scribe_chain(NULL, 0), scribe_chain(NULL, 0), scribe_chain(&row, 1),
                             scribe_chain(NULL, 0)};
    struct snapshot *input = version(family, NULL, &(struct zone_text){1, true, false, true});
    struct version *v = NULL;
    for (unsigned i = 0; i < 4; i++) {
        size_t changes;
        struct version *next = run_one(chain[i], v, input, 1, true, &changes);
        ck_assert_uint_eq(changes, i ? 0 : input->names);
        version_unref(v);
        v = next;
        chain_unref(chain[i]);
    }
    version_unref(v);
    snapshot_unref(input);
    family_unref(family);
}
END_TEST

/* Text of a chain: the part that a version can go on from, and all of it. */
START_TEST(text_says_what_follows)
{
    static const struct scribe_row rows[][1] = {
        {{&scribe, {1, 1}}}, {{&scribe, {1, 2}}}, {{&scribe, {2, 1}}}};
    char *text[3];
    size_t follows[3];
    for (unsigned i = 0; i < 3; i++) {
        struct chain *chain = scribe_chain(rows[i], 1);
        text[i] = chain_print(chain, &follows[i]);
        chain_unref(chain);
    }
    ck_assert_str_eq(text[0], "scribe!{what=1;}\npace=1;;");
    ck_assert_str_ne(text[0], text[1]);
    ck_assert_uint_eq(follows[0], strlen("scribe!{what=1;}\n"));
    ck_assert(!strncmp(text[0], text[1], follows[0]) && strncmp(text[0], text[2], follows[0]));
    for (unsigned i = 0; i < 3; i++)
        mem_free(&text[i]);
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
    suite_add(s, another_chain_makes_anew_what_it_must);
    suite_add(s, changes_lead_from_what_was_served);
    suite_add(s, text_says_what_follows);
    suite_add(s, data_is_not_dnssec);
    return suite_run(s);
}
