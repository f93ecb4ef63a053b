/* What journal tests play: zones in a table over a journal that can be left and entered again, and what they should be. */
#include "tests/lib/journal_world.h"

#include "pipeline/base/log.h"
#include "pipeline/zone/octets.h"
#include "tests/lib/expect.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- stages: one counts its runs in its state, one adds a record to every name, one cannot save its state, one holds ---- */

static _Atomic int states_alive;
_Atomic int world_runs, world_fresh_runs;

static void count_run(struct stage_run *r)
{
    const uint32_t *was = r->state;
    atomic_fetch_add(&world_runs, 1);
    atomic_fetch_add(&world_fresh_runs, r->prev == NULL);
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
const struct stage_type stage_count = {.name = "count",
                                       .summary = "-",
                                       .flags = STAGE_CHECK_ONLY,
                                       .run = count_run,
                                       .state_free = count_free,
                                       .state_save = count_save,
                                       .state_load = count_load};
const struct stage_type stage_forget = {.name = "forget",
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
static const struct finding_type fifth_findings[] = {{"fifth", STAGE_HOLD, "held", "-"},
                                                     {NULL, STAGE_PASS, NULL, NULL}};

static void fifth_run(struct stage_run *r)
{
    struct soa soa;
    ck_assert(snapshot_soa(r->next, &soa));
    if (soa.serial % 5 == 0)
        finding_add(r->findings, 0, NULL, 0, 0, 0, NULL);
}
static const struct stage_type fifth = {.name = "fifth",
                                        .summary = "-",
                                        .flags = STAGE_CHECK_ONLY,
                                        .findings = fifth_findings,
                                        .run = fifth_run};

static const struct stage_type mark = {.name = "mark", .summary = "-", .run = mark_run};

/* ---- a world that can be left and entered again ---- */

const char *const world_names[ALL_ZONES] = {"a.example.", "b.example.", "c.example.", "d.example.",
                                            "e.example."};
static const struct stage_type *const chains[ALL_ZONES][3] = {{NULL},
                                                              {&stage_count, NULL},
                                                              {&stage_count, &mark, NULL},
                                                              {&mark, &mark, &stage_count},
                                                              {&fifth, NULL}};

struct chain *chain_make(const struct stage_type *const *types)
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
    c->zones = mem_array(ALL_ZONES, sizeof c->zones[0]);
    for (size_t i = 0; i < ALL_ZONES; i++) {
        if (w->without & 1u << i)
            continue;
        struct zone_conf *z = &c->zones[c->nzones++];
        uint8_t name[NAME_MAX_OCTETS];
        ck_assert_int_gt(name_parse(world_names[i], name, NULL), 0);
        z->name = mem_dup(name, name_len(name));
        z->text = mem_strdup(world_names[i]);
        z->chain = i == 1 && w->other ? chain_ref(w->other) : chain_make(chains[i]);
        z->ixfr_history = 20;
        z->ixfr_history_bytes = 1 << 24;
    }
    return c;
}

void world_enter(struct world *w)
{
    struct why why = {""};
    rcu_thread_start();
    w->pool = pool_new(2);
    ck_assert_msg(journal_open(w->folder, &w->journal, &why) == 0, "%s", why.text);
    w->table = zone_table_new(w->pool);
    zone_table_journal(w->table, w->journal, w->async);
    if (w->listen)
        zone_table_listen(w->table, w->listen, w->listen_ctx);
    w->config = config_make(w);
    zone_table_apply(w->table, w->config, NULL);
}

void world_configure(struct world *w, unsigned without)
{
    struct config *before = w->config;
    w->without = without;
    w->config = config_make(w);
    zone_table_apply(w->table, w->config, NULL);
    config_unref(before);
}

void world_leave(struct world *w)
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

struct world world_make(void)
{
    /* In memory, where there is such a place: it is the calls that matter here, not the disk. */
    struct world w = {.folder = "/dev/shm/weir-journal-XXXXXX"};
    if (access("/dev/shm", W_OK))
        snprintf(w.folder, sizeof w.folder, "/tmp/weir-journal-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(w.folder));
    if (!getenv("WEIR_LOG"))
        log_open(LOG_ERROR, open("/dev/null", O_WRONLY));
    return w;
}

void world_end(struct world *w)
{
    char command[160];
    snprintf(command, sizeof command, "rm -rf %s %s.damaged", w->folder, w->folder);
    if (system(command))
        ck_abort_msg("rm");
}

struct zone *world_zone(struct world *w, unsigned i)
{
    uint8_t name[NAME_MAX_OCTETS];
    ck_assert_int_gt(name_parse(world_names[i], name, NULL), 0);
    return zone_table_get(w->table, name);
}

/* ---- what a zone should be ---- */

void snapshot_octets(const struct snapshot *s, struct growbuf *out)
{
    struct snapshot_iter it;
    out->len = 0;
    for (const struct node *n = snapshot_first(&it, s); n; n = snapshot_next(&it))
        node_save(n, out);
}

void world_expect(struct world *w, unsigned i, struct expected *e)
{
    struct version *v = zone_version(world_zone(w, i));
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

bool octets_same(const struct growbuf *a, const struct growbuf *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->p, b->p, a->len) == 0);
}

void expected_free(struct expected *e)
{
    mem_free(&e->served.p);
    mem_free(&e->input.p);
    mem_free(&e->history.p);
}

static struct expected version_found_as(struct world *w, unsigned i, const struct expected *want)
{
    struct expected got = {0};
    world_expect(w, i, &got);
    EXPECT_EQ(got.serial, want->serial);
    EXPECT(octets_same(&got.input, &want->input));
    EXPECT(octets_same(&got.served, &want->served));
    return got;
}

void world_serves_as(struct world *w, unsigned i, const struct expected *want)
{
    struct expected got = version_found_as(w, i, want);
    expected_free(&got);
}

void world_found_as(struct world *w, unsigned i, const struct expected *want)
{
    struct expected got = version_found_as(w, i, want);
    EXPECT_EQ(got.steps, want->steps);
    EXPECT(octets_same(&got.history, &want->history));
    EXPECT_EQ(got.good_until, want->good_until);
    expected_free(&got);
}

struct source source_make(struct random *random, unsigned i, unsigned slots)
{
    struct source s = {.gen = zonegen_open(random, world_names[i], slots)};
    uint8_t name[NAME_MAX_OCTETS];
    ck_assert_int_gt(name_parse(world_names[i], name, NULL), 0);
    s.family = family_new(name);
    s.now = zonegen_version(&s.gen, s.family, NULL, 0);
    return s;
}

void source_step(struct source *s, unsigned changes)
{
    struct snapshot *next = zonegen_version(&s->gen, s->family, s->now, changes);
    snapshot_unref(s->now);
    s->now = next;
}

/* As a transfer would bring it: in the zone's own family. */
void hand_in(struct zone *z, const struct source *s)
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

void source_free(struct source *s)
{
    snapshot_unref(s->now);
    family_unref(s->family);
}
