/* journal: random histories of zones through a table, with restarts in between: what is restored is what was accepted, for chains that only
 * check, that change records, and that change themselves; and what damage costs. */
#include "pipeline/run/journal.h"

#include "pipeline/base/log.h"
#include "pipeline/base/pool.h"
#include "pipeline/run/zone_table.h"
#include "pipeline/zone/octets.h"
#include "tests/lib/expect.h"
#include "tests/lib/suite.h"
#include "tests/lib/zonegen.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- stages: one counts its runs in its state, one adds a record to every name, one cannot save its state ---- */

static _Atomic int runs, fresh_runs, states_alive;

static void count_run(struct stage_run *r)
{
    const uint32_t *was = r->state;
    atomic_fetch_add(&runs, 1);
    atomic_fetch_add(&fresh_runs, r->prev == NULL);
    EXPECT(!r->prev == !was);
    uint32_t *next = mem_alloc(sizeof *next);
    *next = (was ? *was : 0) + 1;
    r->next_state = next;
    r->good_until = 4000000000 + *next;
    atomic_fetch_add(&states_alive, 1);
}
static void count_free(void *state)
{
    atomic_fetch_sub(&states_alive, 1);
    mem_free_ptr(&state);
}
static uint8_t *count_save(const void *state, size_t *len)
{
    *len = sizeof(uint32_t);
    return mem_dup(state, *len);
}
static void *count_load(const uint8_t *octets, size_t len)
{
    if (len != sizeof(uint32_t))
        return NULL;
    atomic_fetch_add(&states_alive, 1);
    return mem_dup(octets, len);
}
static const struct stage_type count = {.name = "count",
                                        .summary = "-",
                                        .flags = STAGE_CHECK_ONLY,
                                        .run = count_run,
                                        .state_free = count_free,
                                        .state_save = count_save,
                                        .state_load = count_load};
static const struct stage_type forget = {.name = "forget",
                                         .summary = "-",
                                         .flags = STAGE_CHECK_ONLY,
                                         .run = count_run,
                                         .state_free = count_free};

static void mark_run(struct stage_run *r)
{
    static const uint8_t rdata[] = {4, 'm', 'a', 'r', 'k'};
    struct node_builder *builder = node_builder_new();
    for (size_t i = 0; i < r->delta->n; i++) {
        const struct change *c = &r->delta->change[i];
        if (!c->now) {
            edit_remove(r->out, change_name(c));
            continue;
        }
        node_builder_begin(builder, change_name(c));
        node_builder_add_node(builder, c->now, NULL, NULL);
        int err = node_builder_add(builder, RR_TXT, 60, rdata, sizeof rdata);
        EXPECT(err == 0);
        edit_put(r->out, node_builder_seal(builder));
    }
    node_builder_free(&builder);
}
static const struct stage_type mark = {.name = "mark", .summary = "-", .run = mark_run};

/* Passes changes on when the serial is even; else what is served stays. */
static void even_run(struct stage_run *r)
{
    struct soa soa;
    EXPECT(snapshot_soa(r->next, &soa));
    for (size_t i = 0; i < r->delta->n && (!r->prev || soa.serial % 2 == 0); i++) {
        const struct change *c = &r->delta->change[i];
        if (c->now)
            edit_put(r->out, node_ref(c->now));
        else
            edit_remove(r->out, change_name(c));
    }
}
static const struct stage_type even = {.name = "even", .summary = "-", .run = even_run};

/* ---- a world that can be left and entered again ---- */

enum { ZONES = 4 };
static const char *const names[ZONES] = {"a.example.", "b.example.", "c.example.", "d.example."};
static const struct stage_type *const chains[ZONES][3] = {
    {NULL}, {&count, NULL}, {&count, &mark, NULL}, {&mark, &mark, &count}};

struct world {
    char folder[64];
    struct pool *pool;
    struct journal *journal;
    struct zone_table *table;
    struct config *config;
    struct chain *other; /* for zone 1, instead of its own */
    bool without;        /* zone 1 */
    bool async;
};

static struct chain *chain_make(const struct stage_type *const *types)
{
    unsigned n = 0;
    while (n < 3 && types[n])
        n++;
    struct chain *c = chain_new(n, 10);
    for (unsigned i = 0; i < n; i++)
        c->stage[i].type = types[i];
    return c;
}

static struct config *config_make(const struct world *w)
{
    struct config *c = mem_zalloc(sizeof *c);
    c->refs = 1;
    c->path = mem_strdup("test");
    c->zones = mem_array(ZONES, sizeof c->zones[0]);
    for (size_t i = 0; i < ZONES; i++) {
        if (i == 1 && w->without)
            continue;
        struct zone_conf *z = &c->zones[c->nzones++];
        ck_assert_int_gt(name_parse(names[i], z->name, NULL), 0);
        z->text = mem_strdup(names[i]);
        z->chain = i == 1 && w->other ? chain_ref(w->other) : chain_make(chains[i]);
        z->ixfr_history = 20;
        z->ixfr_history_bytes = 1 << 24;
    }
    return c;
}

static void world_enter(struct world *w)
{
    struct why why = {""};
    rcu_thread_start();
    w->pool = pool_new(2);
    ck_assert_msg(journal_open(w->folder, &w->journal, &why) == 0, "%s", why.text);
    w->table = zone_table_new(w->pool);
    zone_table_journal(w->table, w->journal, w->async);
    w->config = config_make(w);
    zone_table_apply(w->table, w->config, NULL);
}

static void world_leave(struct world *w)
{
    zone_table_drain(w->table);
    journal_close(&w->journal);
    rcu_barrier_all();
    zone_table_free(&w->table);
    rcu_barrier_all();
    pool_free(&w->pool);
    config_unref(w->config);
    rcu_thread_stop();
    EXPECT_EQ(atomic_load(&states_alive), 0);
}

static struct world world_make(void)
{
    struct world w = {.folder = "/tmp/weir-journal-XXXXXX"};
    ck_assert_ptr_nonnull(mkdtemp(w.folder));
    if (!getenv("WEIR_LOG"))
        log_open(LOG_ERROR, open("/dev/null", O_WRONLY));
    return w;
}

static void world_end(struct world *w)
{
    char command[160];
    snprintf(command, sizeof command, "rm -rf %s %s.damaged", w->folder, w->folder);
    if (system(command))
        ck_abort_msg("rm");
}

static struct zone *zone_at(struct world *w, unsigned i)
{
    uint8_t name[NAME_MAX_OCTETS];
    ck_assert_int_gt(name_parse(names[i], name, NULL), 0);
    return zone_table_get(w->table, name);
}

/* ---- what a zone should be ---- */

struct expected {
    struct growbuf served, input, history;
    unsigned steps;
    time_t good_until;
    uint32_t serial;
};

static void snapshot_octets(const struct snapshot *s, struct growbuf *out)
{
    struct snapshot_iter it;
    out->len = 0;
    for (const struct node *n = snapshot_first(&it, s); n; n = snapshot_next(&it))
        node_save(n, out);
}

static void expect(struct world *w, unsigned i, struct expected *e)
{
    struct version *v = zone_version(zone_at(w, i));
    ck_assert_ptr_nonnull(v);
    snapshot_octets(v->served, &e->served);
    snapshot_octets(v->input, &e->input);
    e->history.len = 0;
    e->steps = v->history ? v->history->n : 0;
    for (unsigned k = 0; k < e->steps; k++)
        changeset_save(v->history->step[k].changes, &e->history);
    e->good_until = v->good_until;
    e->serial = v->soa.serial;
    version_unref(v);
}

static bool same(const struct growbuf *a, const struct growbuf *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->p, b->p, a->len) == 0);
}

static void expected_free(struct expected *e)
{
    mem_free(&e->served.p);
    mem_free(&e->input.p);
    mem_free(&e->history.p);
}

static void found_as(struct world *w, unsigned i, const struct expected *want)
{
    struct expected got = {0};
    expect(w, i, &got);
    EXPECT_EQ(got.serial, want->serial);
    EXPECT(same(&got.input, &want->input));
    EXPECT(same(&got.served, &want->served));
    EXPECT_EQ(got.steps, want->steps);
    EXPECT(same(&got.history, &want->history));
    EXPECT_EQ(got.good_until, want->good_until);
    expected_free(&got);
}

struct source {
    struct zonegen gen;
    struct family *family;
    struct snapshot *now;
};

static struct source source_make(struct random *random, unsigned i, unsigned slots)
{
    struct source s = {.gen = zonegen_open(random, names[i], slots)};
    uint8_t name[NAME_MAX_OCTETS];
    ck_assert_int_gt(name_parse(names[i], name, NULL), 0);
    s.family = family_new(name);
    s.now = zonegen_version(&s.gen, s.family, NULL, 0);
    return s;
}

static void source_step(struct source *s, unsigned changes)
{
    struct snapshot *next = zonegen_version(&s->gen, s->family, s->now, changes);
    snapshot_unref(s->now);
    s->now = next;
}

/* As a transfer would bring it: in the zone's own family. */
static void hand_in(struct zone *z, const struct source *s)
{
    struct snapshot_iter it;
    struct snapshot *input;
    struct edit *e = edit_open(z->family, NULL, NULL);
    for (const struct node *n = snapshot_first(&it, s->now); n; n = snapshot_next(&it))
        edit_put(e, node_ref(n));
    ck_assert_int_eq(edit_seal(&e, &input, NULL, NULL), 0);
    zone_submit(z, input, NULL, NULL, "test@1");
    snapshot_unref(input);
}

static void source_free(struct source *s)
{
    snapshot_unref(s->now);
    family_unref(s->family);
}

static void histories(unsigned slots, unsigned steps, unsigned changes, unsigned leave_percent,
                      bool async)
{
    struct random random = random_open();
    struct world w = world_make();
    struct source source[ZONES];
    struct expected want[ZONES] = {0};
    w.async = async;
    world_enter(&w);
    for (unsigned i = 0; i < ZONES; i++) {
        source[i] = source_make(&random, i, slots);
        hand_in(zone_at(&w, i), &source[i]);
    }
    zone_table_drain(w.table);
    for (unsigned n = 0; n < steps; n++) {
        unsigned i = (unsigned)random_below(&random, ZONES);
        for (unsigned more = (unsigned)random_below(&random, 3) + 1; more; more--) {
            source_step(&source[i], 1 + (unsigned)random_below(&random, changes));
            hand_in(zone_at(&w, i), &source[i]);
            zone_table_drain(w.table);
        }
        if (random_below(&random, 100) >= leave_percent)
            continue;
        for (unsigned k = 0; k < ZONES; k++)
            expect(&w, k, &want[k]);
        world_leave(&w);
        int before = atomic_load(&fresh_runs);
        world_enter(&w);
        zone_table_drain(w.table);
        struct journal_stats stats;
        journal_stats(w.journal, &stats);
        EXPECT_EQ(stats.damaged, 0);
        EXPECT_EQ(atomic_load(&fresh_runs), before);
        for (unsigned k = 0; k < ZONES; k++)
            found_as(&w, k, &want[k]);
    }
    for (unsigned i = 0; i < ZONES; i++) {
        struct growbuf octets = {0};
        snapshot_octets(source[i].now, &octets);
        expect(&w, i, &want[i]);
        EXPECT(same(&octets, &want[i].input));
        mem_free(&octets.p);
        expected_free(&want[i]);
        source_free(&source[i]);
    }
    world_leave(&w);
    world_end(&w);
}

START_TEST(test_small_zones)
{
    histories(20, 150, 4, 25, false);
}
END_TEST

START_TEST(test_small_zones_async)
{
    histories(20, 150, 4, 25, true);
}
END_TEST

/* Beyond SMALL_OCTETS: images in slices, and compaction beside the changes. */
START_TEST(test_large_zones)
{
    histories(3000, 40, 900, 20, false);
}
END_TEST

START_TEST(test_large_zones_async)
{
    histories(3000, 40, 900, 20, true);
}
END_TEST

/* ---- the pieces ---- */

static void one_zone(struct world *w, struct source *s, struct random *random, unsigned slots)
{
    *w = world_make();
    world_enter(w);
    *s = source_make(random, 1, slots);
    hand_in(zone_at(w, 1), s);
    zone_table_drain(w->table);
}

/* Compaction lets go of what it replaced: the file does not grow with the number of versions. */
START_TEST(test_the_file_stays_bounded)
{
    struct random random = random_open();
    struct world w;
    struct source s;
    struct journal_stats stats;
    one_zone(&w, &s, &random, 2000);
    size_t early = 0;
    for (int i = 0; i < 400; i++) {
        source_step(&s, 200);
        hand_in(zone_at(&w, 1), &s);
        zone_table_drain(w.table);
        if (i != 100)
            continue;
        journal_wait(w.journal);
        journal_stats(w.journal, &stats);
        early = stats.size;
    }
    journal_wait(w.journal);
    journal_stats(w.journal, &stats);
    EXPECT(stats.images > 5);
    ck_assert_msg(stats.size < 2 * early, "%zu octets after 100 changes, %zu after 400", early,
                  stats.size);
    EXPECT_EQ(stats.waiting, 0);
    EXPECT_EQ(stats.failures, 0);
    world_leave(&w);
    source_free(&s);
    world_end(&w);
}
END_TEST

/* Another chain, or a stage that cannot save its state: what was accepted is served, and judged anew. */
START_TEST(test_another_chain)
{
    struct random random = random_open();
    struct world w;
    struct source s;
    struct expected want = {0};
    one_zone(&w, &s, &random, 50);
    expect(&w, 1, &want);
    static const struct stage_type *const types[3] = {&forget};
    for (int round = 0; round < 2; round++) {
        world_leave(&w);
        if (!w.other)
            w.other = chain_make(types);
        int before = atomic_load(&fresh_runs);
        world_enter(&w);
        struct version *v = zone_version(zone_at(&w, 1));
        ck_assert_ptr_nonnull(v);
        version_unref(v);
        zone_table_drain(w.table);
        EXPECT_EQ(atomic_load(&fresh_runs), before + 1);
        want.good_until = 4000000001; /* of its first run */
        found_as(&w, 1, &want);
        source_step(&s, 3);
        hand_in(zone_at(&w, 1), &s);
        zone_table_drain(w.table);
        expect(&w, 1, &want);
        EXPECT_EQ(want.steps, round + 1);
    }
    chain_unref(w.other);
    expected_free(&want);
    world_leave(&w);
    source_free(&s);
    world_end(&w);
}
END_TEST

/* What changes the input and not what is served is a step in the journal, and none of the history. */
START_TEST(test_steps_that_are_not_served)
{
    struct random random = random_open();
    struct world w;
    struct source s;
    struct expected want = {0};
    static const struct stage_type *const types[3] = {&even};
    one_zone(&w, &s, &random, 50);
    world_leave(&w);
    w.other = chain_make(types);
    world_enter(&w);
    zone_table_drain(w.table);
    for (int i = 0; i < 60; i++) {
        source_step(&s, 2);
        hand_in(zone_at(&w, 1), &s);
        zone_table_drain(w.table);
        expect(&w, 1, &want);
        if (i % 3)
            continue;
        world_leave(&w);
        world_enter(&w);
        found_as(&w, 1, &want);
    }
    EXPECT(want.steps > 10);
    chain_unref(w.other);
    expected_free(&want);
    world_leave(&w);
    source_free(&s);
    world_end(&w);
}
END_TEST

/* With more or fewer layers than before there is a new image of each; the history of what is served goes on. */
START_TEST(test_history_goes_on_with_other_layers)
{
    struct random random = random_open();
    struct world w;
    struct source s;
    struct expected want = {0};
    static const struct stage_type *const types[][3] = {
        {&even, &even}, {&count}, {&even}, {&even, &even, &even}};
    one_zone(&w, &s, &random, 50);
    for (unsigned i = 0; i < 4; i++) {
        world_leave(&w);
        chain_unref(w.other);
        w.other = chain_make(types[i]);
        world_enter(&w);
        zone_table_drain(w.table);
        for (int k = 0; k < 4; k++) {
            source_step(&s, 2);
            hand_in(zone_at(&w, 1), &s);
            zone_table_drain(w.table);
            expect(&w, 1, &want);
            world_leave(&w);
            world_enter(&w);
            found_as(&w, 1, &want);
        }
        EXPECT(want.steps > 2 * i);
    }
    chain_unref(w.other);
    expected_free(&want);
    world_leave(&w);
    source_free(&s);
    world_end(&w);
}
END_TEST

static void disk_full(bool full)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = full ? 0 : limit.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A change that is larger than the zone is written as an image, over many transactions; what comes after it waits for it. */
START_TEST(test_no_write_overtakes_another)
{
    struct random random = random_open();
    struct world w;
    struct expected want = {0};
    struct journal_stats stats;
    w = world_make();
    w.async = true;
    world_enter(&w);
    struct source s = source_make(&random, 1, 10000);
    hand_in(zone_at(&w, 1), &s);
    zone_table_drain(w.table);
    journal_wait(w.journal);
    struct source small = source_make(&random, 1, 3000);
    small.gen.serial = s.gen.serial;
    disk_full(true);
    for (int k = 0; k < 3; k++) {
        source_step(&small, 2);
        hand_in(zone_at(&w, 1), &small);
        zone_table_drain(w.table);
    }
    disk_full(false);
    journal_wait(w.journal);
    journal_stats(w.journal, &stats);
    EXPECT(stats.images >= 2);
    expect(&w, 1, &want);
    world_leave(&w);
    world_enter(&w);
    found_as(&w, 1, &want);
    expected_free(&want);
    world_leave(&w);
    source_free(&s);
    source_free(&small);
    world_end(&w);
}
END_TEST

static void world_configure(struct world *w)
{
    struct config *old = w->config;
    w->config = config_make(w);
    zone_table_apply(w->table, w->config, NULL);
    config_unref(old);
}

/* A zone is dropped while the journal still has to write of it, and comes back: the two do not get in each other's way. */
START_TEST(test_dropped_and_back)
{
    struct random random = random_open();
    struct world w;
    struct expected first = {0}, want = {0};
    struct journal_stats stats;
    w = world_make();
    w.async = true;
    world_enter(&w);
    struct source s = source_make(&random, 1, 3000);
    hand_in(zone_at(&w, 1), &s);
    zone_table_drain(w.table);
    journal_wait(w.journal);
    expect(&w, 1, &first);
    struct source back = {s.gen, family_ref(s.family), snapshot_ref(s.now)};
    disk_full(true);
    for (int i = 0; i < 40; i++) { /* enough for a new image */
        source_step(&s, 300);
        hand_in(zone_at(&w, 1), &s);
        zone_table_drain(w.table);
    }
    w.without = true;
    world_configure(&w);
    w.without = false;
    world_configure(&w);
    found_as(&w, 1, &first);
    source_step(&back, 3);
    hand_in(zone_at(&w, 1), &back);
    zone_table_drain(w.table);
    disk_full(false);
    journal_wait(w.journal);
    source_step(&back, 3);
    hand_in(zone_at(&w, 1), &back);
    zone_table_drain(w.table);
    expect(&w, 1, &want);
    world_leave(&w);
    world_enter(&w);
    journal_stats(w.journal, &stats);
    EXPECT_EQ(stats.damaged, 0);
    found_as(&w, 1, &want);
    expected_free(&first);
    expected_free(&want);
    world_leave(&w);
    source_free(&s);
    source_free(&back);
    world_end(&w);
}
END_TEST

/* At the end, what cannot be written is given up; and what would build on it is, too. */
START_TEST(test_nothing_builds_on_what_was_given_up)
{
    struct random random = random_open();
    struct world w;
    struct source s;
    struct expected want = {0};
    struct journal_stats stats;
    one_zone(&w, &s, &random, 50);
    expect(&w, 1, &want);
    disk_full(true);
    source_step(&s, 3);
    hand_in(zone_at(&w, 1), &s);
    journal_closing(w.journal);
    zone_table_drain(w.table);
    disk_full(false);
    source_step(&s, 3);
    hand_in(zone_at(&w, 1), &s);
    zone_table_drain(w.table);
    found_as(&w, 1, &want);
    world_leave(&w);
    world_enter(&w);
    found_as(&w, 1, &want);
    journal_stats(w.journal, &stats);
    EXPECT_EQ(stats.damaged, 0);
    expected_free(&want);
    world_leave(&w);
    source_free(&s);
    world_end(&w);
}
END_TEST

static void by_another_chain(struct world *w, const struct stage_type *type)
{
    const struct stage_type *const types[3] = {type};
    world_leave(w);
    chain_unref(w->other);
    w->other = chain_make(types);
    world_enter(w);
    zone_table_drain(w->table);
}

/* Judged by a chain that refuses it, at every start: it is served on, and no longer than the chain that took it allowed. */
static void refuse_run(struct stage_run *r)
{
    finding_add(r->findings, 0, NULL, 0, 0, 0, NULL);
}
static const struct finding_type refuse_findings[] = {{"no", STAGE_REJECT, "no", "-"},
                                                      {NULL, STAGE_PASS, NULL, NULL}};
static const struct finding_type hold_findings[] = {{"wait", STAGE_HOLD, "wait", "-"},
                                                    {NULL, STAGE_PASS, NULL, NULL}};
static const struct stage_type refuse = {.name = "refuse",
                                         .summary = "-",
                                         .flags = STAGE_CHECK_ONLY,
                                         .findings = refuse_findings,
                                         .run = refuse_run};
static const struct stage_type hold = {.name = "hold",
                                       .summary = "-",
                                       .flags = STAGE_CHECK_ONLY,
                                       .findings = hold_findings,
                                       .run = refuse_run};

START_TEST(test_times_outlive_the_chain)
{
    struct random random = random_open();
    struct world w;
    struct source s;
    one_zone(&w, &s, &random, 50);
    for (int round = 0; round < 2; round++) {
        by_another_chain(&w, &refuse);
        struct version *v = zone_version(zone_at(&w, 1));
        ck_assert_ptr_nonnull(v);
        EXPECT_EQ(v->good_until, 4000000001);
        EXPECT(zone_at(&w, 1)->refused);
        version_unref(v);
    }
    chain_unref(w.other);
    world_leave(&w);
    source_free(&s);
    world_end(&w);
}
END_TEST

/* A candidate is held when the chain changes: both it and what is served are judged by the new one. */
START_TEST(test_held_and_another_chain)
{
    struct random random = random_open();
    struct world w;
    struct source s;
    one_zone(&w, &s, &random, 50);
    by_another_chain(&w, &hold); /* the version is held, woken: it stays */
    source_step(&s, 3);
    hand_in(zone_at(&w, 1), &s);
    zone_table_drain(w.table);
    ck_assert_ptr_nonnull(zone_at(&w, 1)->held);
    int before = atomic_load(&fresh_runs), all = atomic_load(&runs);
    by_another_chain(&w, &forget);
    struct version *v = zone_version(zone_at(&w, 1));
    EXPECT_EQ(v->soa.serial, s.gen.serial);
    EXPECT(v->chain == w.config->zones[1].chain);
    EXPECT_EQ(atomic_load(&fresh_runs), before + 1);
    EXPECT(atomic_load(&runs) > all);
    version_unref(v);
    by_another_chain(&w, &refuse);
    EXPECT(zone_at(&w, 1)->refused);
    chain_unref(w.other);
    world_leave(&w);
    source_free(&s);
    world_end(&w);
}
END_TEST

/* A version that goes back in serials has no history, and is there. */
START_TEST(test_serial_backwards)
{
    struct random random = random_open();
    struct world w;
    struct source s;
    struct expected want = {0};
    one_zone(&w, &s, &random, 50);
    source_step(&s, 3);
    hand_in(zone_at(&w, 1), &s);
    zone_table_drain(w.table);
    s.gen.serial -= 7;
    source_step(&s, 3);
    hand_in(zone_at(&w, 1), &s);
    zone_table_drain(w.table);
    expect(&w, 1, &want);
    EXPECT_EQ(want.steps, 0);
    world_leave(&w);
    world_enter(&w);
    found_as(&w, 1, &want);
    expected_free(&want);
    world_leave(&w);
    source_free(&s);
    world_end(&w);
}
END_TEST

START_TEST(test_timers)
{
    struct random random = random_open();
    struct world w;
    struct source s;
    one_zone(&w, &s, &random, 20);
    struct zone *z = zone_at(&w, 1);
    time_t now = time(NULL);
    z->checked_at = now - 100;
    atomic_store(&z->expires_at, now + 1000);
    zone_timers_keep(z);
    world_leave(&w);
    world_enter(&w);
    z = zone_at(&w, 1);
    EXPECT_EQ(z->checked_at, now - 100);
    EXPECT_EQ(atomic_load(&z->expires_at), now + 1000);
    EXPECT(!atomic_load(&z->expired));
    atomic_store(&z->expires_at, now - 1);
    zone_timers_keep(z);
    world_leave(&w);
    world_enter(&w);
    z = zone_at(&w, 1);
    EXPECT(atomic_load(&z->expired));
    /* The clock was set back by an hour: nothing is served for longer than it would have been. */
    z->checked_at = now + 3600;
    atomic_store(&z->expires_at, now + 3600 + 500);
    zone_timers_keep(z);
    world_leave(&w);
    world_enter(&w);
    z = zone_at(&w, 1);
    EXPECT(z->checked_at >= now && z->checked_at <= now + 60);
    EXPECT(atomic_load(&z->expires_at) >= now + 500 && atomic_load(&z->expires_at) <= now + 560);
    world_leave(&w);
    source_free(&s);
    world_end(&w);
}
END_TEST

/* ---- damage ---- */

static void data_file(const struct world *w, char path[96])
{
    snprintf(path, 96, "%s/data.mdb", w->folder);
}

/* Every page in turn is overwritten with garbage, with zeroes, or the file is cut there: weir starts each time, and each zone is whole
 * or not there. */
START_TEST(test_damaged_pages)
{
    struct random random = random_open();
    struct world w;
    struct source s;
    char path[96];
    struct expected want[ZONES] = {0};
    w = world_make();
    world_enter(&w);
    for (unsigned i = 0; i < ZONES; i++) {
        struct source one = source_make(&random, i, i ? 30 : 1500);
        hand_in(zone_at(&w, i), &one);
        zone_table_drain(w.table);
        source_step(&one, 3);
        hand_in(zone_at(&w, i), &one);
        zone_table_drain(w.table);
        expect(&w, i, &want[i]);
        if (i == 1)
            s = one;
        else
            source_free(&one);
    }
    world_leave(&w);
    data_file(&w, path);
    int fd = open(path, O_RDONLY);
    struct stat st;
    ck_assert(fd >= 0 && fstat(fd, &st) == 0);
    size_t size = (size_t)st.st_size, damaged = 0, whole = 0;
    uint8_t *good = mem_alloc(size), *page = mem_alloc(4096);
    ck_assert_int_eq(read(fd, good, size), (ssize_t)size);
    close(fd);
    for (size_t at = 0; at < size; at += 4096)
        for (int kind = 0; kind < 3; kind++) {
            fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
            ck_assert_int_eq(write(fd, good, kind == 2 ? at : size),
                             (ssize_t)(kind == 2 ? at : size));
            random_octets(&random, page, 4096);
            if (kind == 1)
                memset(page, 0, 4096);
            if (kind < 2)
                ck_assert_int_eq(pwrite(fd, page, 4096, (off_t)at), 4096);
            close(fd);
            world_enter(&w);
            zone_table_drain(w.table);
            struct journal_stats stats;
            journal_stats(w.journal, &stats);
            damaged += stats.damaged > 0;
            for (unsigned i = 0; i < ZONES; i++) {
                struct version *v = zone_version(zone_at(&w, i));
                bool there = v != NULL;
                version_unref(v);
                if (there)
                    found_as(&w, i, &want[i]);
                else if (kind != 2 || at) /* an empty file is a new one */
                    ck_assert_msg(stats.damaged > 0, "page %zu, kind %d", at / 4096, kind);
                whole += there;
            }
            /* What was lost is fetched again, and kept. */
            hand_in(zone_at(&w, 1), &s);
            zone_table_drain(w.table);
            journal_stats(w.journal, &stats);
            struct version *v = zone_version(zone_at(&w, 1));
            ck_assert_msg(v != NULL, "page %zu, kind %d: %s", at / 4096, kind, stats.error);
            version_unref(v);
            world_leave(&w);
        }
    ck_assert_msg(damaged > 10 && whole > 10, "%zu starts found damage, %zu zones were whole",
                  damaged, whole);
    for (unsigned i = 0; i < ZONES; i++)
        expected_free(&want[i]);
    mem_free(&good);
    mem_free(&page);
    source_free(&s);
    world_end(&w);
}
END_TEST

START_TEST(test_folder_that_cannot_be)
{
    struct journal *j = NULL;
    struct why why = {""};
    ck_assert_int_eq(journal_open("/dev/null/journal", &j, &why), -E_IO);
    ck_assert_msg(strstr(why.text, "/dev/null/journal") != NULL, "%s", why.text);
    ck_assert_ptr_null(j);
}
END_TEST

START_TEST(test_one_at_a_time)
{
    struct world w = world_make();
    struct journal *second = NULL;
    struct why why = {""};
    char pid[32];
    world_enter(&w);
    snprintf(pid, sizeof pid, "process %ld)", (long)getpid());
    ck_assert_int_eq(journal_open(w.folder, &second, &why), -E_EXISTS);
    ck_assert_msg(strstr(why.text, pid) && strstr(why.text, w.folder), "%s", why.text);
    world_leave(&w);
    ck_assert_int_eq(journal_open(w.folder, &second, &why), 0);
    journal_close(&second);
    world_end(&w);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("journal");
    suite_add(s, test_small_zones);
    suite_add(s, test_small_zones_async);
    suite_add(s, test_large_zones);
    suite_add(s, test_large_zones_async);
    suite_add(s, test_the_file_stays_bounded);
    suite_add(s, test_another_chain);
    suite_add(s, test_steps_that_are_not_served);
    suite_add(s, test_history_goes_on_with_other_layers);
    suite_add(s, test_no_write_overtakes_another);
    suite_add(s, test_dropped_and_back);
    suite_add(s, test_nothing_builds_on_what_was_given_up);
    suite_add(s, test_times_outlive_the_chain);
    suite_add(s, test_held_and_another_chain);
    suite_add(s, test_serial_backwards);
    suite_add(s, test_timers);
    suite_add(s, test_damaged_pages);
    suite_add(s, test_folder_that_cannot_be);
    suite_add(s, test_one_at_a_time);
    return suite_run(s);
}
