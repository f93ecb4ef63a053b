/* The way of a version: accepted, refused, held, superseded, unchanged; and who is found for a name. The stage `gate`
 * gives the verdict that the serial's last digit names. */
#include "pipeline/base/log.h"
#include "pipeline/base/pool.h"
#include "pipeline/run/zone_table.h"
#include "tests/lib/suite.h"

#include <fcntl.h>
#include <semaphore.h>
#include <string.h>

enum { GATE_REJECT, GATE_HOLD, GATE_RETRY, GATE_NOTE };
static const struct finding_type gate_findings[] = {
    {"reject", STAGE_REJECT, "rejected", "-"},
    {"hold", STAGE_HOLD, "held", "-"},
    {"retry", STAGE_RETRY, "retried", "-"},
    {"note", STAGE_PASS, "noted", "-"},
    {NULL, STAGE_PASS, NULL, NULL},
};
static _Atomic int states_alive, runs;

static void gate_run(struct stage_run *r)
{
    struct soa soa;
    atomic_fetch_add(&runs, 1);
    ck_assert(snapshot_soa(r->next, &soa));
    unsigned digit = soa.serial % 10;
    if (digit < 3 && !r->woken)
        finding_add(r->findings, digit, NULL, 0, 0, 0, NULL);
    if (digit == 4)
        finding_add(r->findings, GATE_HOLD, NULL, RR_SOA, r->now, 0, NULL);
    atomic_fetch_add(&states_alive, 1);
    r->next_state = mem_alloc(1);
    r->wake_at = r->now + 5;
}

static void gate_state_free(void *state)
{
    atomic_fetch_sub(&states_alive, 1);
    mem_free(&state);
}

static const struct stage_type gate = {.name = "gate",
                                       .summary = "-",
                                       .flags = STAGE_CHECK_ONLY,
                                       .findings = gate_findings,
                                       .run = gate_run,
                                       .state_free = gate_state_free};

struct world {
    struct pool *pool;
    struct zone_table *table;
    struct config *config;
    _Atomic int events[ZONE_KEYS + 1];
    _Atomic uint32_t last_serial;
};

static void on_event(void *ctx, const struct zone_event *e)
{
    struct world *w = ctx;
    atomic_fetch_add(&w->events[e->outcome], 1);
    atomic_store(&w->last_serial, e->serial);
}

static struct config *config_make(const char *const *names, size_t n, bool observe)
{
    struct config *c = mem_zalloc(sizeof *c);
    struct why why;
    c->refs = 1;
    c->path = mem_strdup("test");
    c->nzones = n;
    c->zones = mem_array(n + 1, sizeof c->zones[0]);
    for (size_t i = 0; i < n; i++) {
        struct zone_conf *z = &c->zones[i];
        uint8_t name[NAME_MAX_OCTETS];
        ck_assert_int_gt(name_parse(names[i], name, &why), 0);
        z->name = mem_dup(name, name_len(name));
        z->text = mem_strdup(names[i]);
        z->chain = chain_new(1, 10);
        z->chain->stage[0].type = &gate;
        z->chain->stage[0].observe = observe;
        z->ixfr_history = 10;
        z->ixfr_history_bytes = 1 << 20;
    }
    return c;
}

static void world_open(struct world *w, unsigned threads)
{
    static const char *const names[] = {"example.", "child.example.", "other."};
    memset(w, 0, sizeof *w);
    log_open(LOG_ERROR, open("/dev/null", O_WRONLY));
    rcu_thread_start();
    w->pool = pool_new(threads);
    w->table = zone_table_new(w->pool);
    zone_table_listen(w->table, on_event, w);
    w->config = config_make((const char *const[]){names[0], names[1], names[2]}, 3, false);
    /* name order: example., child.example., other. */
    zone_table_apply(w->table, w->config, NULL);
}

static void world_close(struct world *w)
{
    zone_table_drain(w->table);
    rcu_barrier_all();
    zone_table_free(&w->table);
    rcu_barrier_all();
    pool_free(&w->pool);
    config_unref(w->config);
    rcu_thread_stop();
    ck_assert_int_eq(atomic_load(&states_alive), 0);
}

static struct zone *get(struct world *w, const char *text)
{
    uint8_t name[NAME_MAX_OCTETS];
    ck_assert_int_gt(name_parse(text, name, NULL), 0);
    return zone_table_get(w->table, name);
}

static const char *found(struct world *w, const char *text)
{
    uint8_t name[NAME_MAX_OCTETS];
    ck_assert_int_gt(name_parse(text, name, NULL), 0);
    struct zone *z = zone_table_find(w->table, name);
    return z ? z->text : "none";
}

static void submit(struct zone *z, uint32_t serial)
{
    struct edit *e = edit_open(z->family, NULL, NULL);
    uint8_t rdata[2 + 20] = {0};
    struct snapshot *s;
    put_u32(rdata + 2, serial);
    ck_assert_int_eq(edit_add(e, z->name, RR_SOA, 60, rdata, sizeof rdata, NULL), 0);
    ck_assert_int_eq(edit_seal(&e, &s, NULL, NULL), 0);
    zone_submit(z, s, NULL, NULL, "test");
    snapshot_unref(s);
}

static uint32_t served(struct zone *z)
{
    struct version *v = zone_version(z);
    uint32_t serial = v ? v->soa.serial : 0;
    version_unref(v);
    return serial;
}

START_TEST(test_find)
{
    struct world w;
    world_open(&w, 0);
    ck_assert_str_eq(found(&w, "example."), "example.");
    ck_assert_str_eq(found(&w, "www.EXAMPLE."), "example.");
    ck_assert_str_eq(found(&w, "a.b.child.example."), "child.example.");
    ck_assert_str_eq(found(&w, "achild.example."), "example.");
    ck_assert_str_eq(found(&w, "."), "none");
    ck_assert_str_eq(found(&w, "nowhere."), "none");
    world_close(&w);
}
END_TEST

START_TEST(test_verdicts)
{
    struct world w;
    struct why why;
    world_open(&w, 0);
    struct zone *z = get(&w, "example.");

    submit(z, 10); /* rejected, nothing to serve */
    ck_assert_uint_eq(served(z), 0);
    ck_assert(atomic_load(&z->has_refused));
    submit(z, 15);
    ck_assert_uint_eq(served(z), 15);
    ck_assert(!atomic_load(&z->has_refused));
    ck_assert_ptr_null(z->refused);
    submit(z, 20); /* rejected: the last good one stays */
    ck_assert_uint_eq(served(z), 15);
    ck_assert_ptr_nonnull(z->refused);
    ck_assert_uint_eq(z->refused->serial, 20);
    ck_assert_uint_eq(z->refused->findings->n, 1);
    submit(z, 22); /* retried */
    ck_assert_uint_eq(served(z), 15);
    ck_assert_int_eq(z->refused->verdict, STAGE_RETRY);
    submit(z, 15); /* the primary is back at what is served */
    ck_assert_ptr_null(z->refused);

    submit(z, 31); /* held */
    ck_assert_uint_eq(served(z), 15);
    uint32_t wrong = 32, right = 31;
    ck_assert_int_eq(zone_approve(z, &wrong, &why), -E_MISMATCH);
    ck_assert_int_eq(zone_approve(z, &right, &why), 0);
    ck_assert_uint_eq(served(z), 31);
    ck_assert_int_eq(zone_approve(z, NULL, &why), -E_NOENT);
    submit(z, 41);
    ck_assert_int_eq(zone_discard(z, NULL, &why), 0);
    ck_assert_uint_eq(served(z), 31);
    submit(z, 51); /* held, then superseded */
    submit(z, 55);
    ck_assert_ptr_null(z->held);
    ck_assert_uint_eq(served(z), 55);

    ck_assert_int_eq(w.events[ZONE_ACCEPTED], 3);
    ck_assert_int_eq(w.events[ZONE_REFUSED], 2);
    ck_assert_int_eq(w.events[ZONE_RETRY], 1);
    ck_assert_int_eq(w.events[ZONE_HELD], 3);
    ck_assert_int_eq(w.events[ZONE_UNCHANGED], 1);
    world_close(&w);
}
END_TEST

START_TEST(test_wake)
{
    struct world w;
    world_open(&w, 0);
    struct zone *z = get(&w, "example.");
    zone_wake(z); /* nothing to judge: nothing happens */
    submit(z, 15);
    ck_assert_int_ne(zone_wake_at(z), 0);
    submit(z, 20);
    submit(z, 31);
    int before = atomic_load(&runs);
    zone_wake(z);
    /* The version is judged again, and the held one beside the new version; the refusal stays on record. */
    ck_assert_int_eq(atomic_load(&runs), before + 2);
    ck_assert_uint_eq(served(z), 15);
    ck_assert_ptr_nonnull(z->held);
    ck_assert_uint_eq(z->held->serial, 31);
    ck_assert_ptr_nonnull(z->refused);
    world_close(&w);
}
END_TEST

/* What the operator has said yes to does not wait for him again because time has passed; a newer version that has it does. */
START_TEST(test_wake_of_what_was_approved)
{
    struct world w;
    struct why why;
    world_open(&w, 0);
    struct zone *z = get(&w, "example.");
    submit(z, 15);
    submit(z, 24); /* held, also when woken */
    ck_assert_uint_eq(served(z), 15);
    zone_wake(z); /* 15 is good without it, and 24 still waits */
    ck_assert_ptr_nonnull(z->held);
    ck_assert_int_eq(zone_approve(z, NULL, &why), 0);
    ck_assert_uint_eq(served(z), 24);
    int accepted = w.events[ZONE_ACCEPTED];
    zone_wake(z);
    ck_assert_int_eq(w.events[ZONE_ACCEPTED], accepted + 1);
    ck_assert_ptr_null(z->held);
    submit(z, 34);
    ck_assert_uint_eq(served(z), 24);
    ck_assert_ptr_nonnull(z->held);
    world_close(&w);
}
END_TEST

/* What happens while a chain runs: its clock is looked at just before. */
struct meanwhile {
    struct world *w;
    struct zone *z;
    void (*act)(struct meanwhile *m);
};

static time_t clock_acts(void *ctx)
{
    struct meanwhile *m = ctx;
    void (*act)(struct meanwhile *) = m->act;
    m->act = NULL;
    if (act)
        act(m);
    return 1000;
}

static void approve_31(struct meanwhile *m)
{
    uint32_t serial = 31;
    struct why why;
    ck_assert_int_eq(zone_approve(m->z, &serial, &why), 0);
}

static void submit_45(struct meanwhile *m)
{
    submit(m->z, 45);
}

static void drop_all(struct meanwhile *m)
{
    struct config *next = config_make((const char *const[]){"else."}, 1, false);
    zone_table_apply(m->w->table, next, NULL);
    config_unref(next);
}

/* The operator says yes to the version that he sees; another one is held in its place before it comes to that. */
START_TEST(test_approval_is_of_what_was_seen)
{
    struct world w;
    world_open(&w, 0);
    struct meanwhile m = {.z = get(&w, "example.")};
    zone_table_clock(w.table, clock_acts, &m);
    submit(m.z, 15);
    submit(m.z, 31);
    m.act = approve_31;
    submit(m.z, 41);
    ck_assert_uint_eq(served(m.z), 15);
    ck_assert_ptr_nonnull(m.z->held);
    ck_assert_uint_eq(m.z->held->serial, 41);
    world_close(&w);
}
END_TEST

/* A held version that must be judged again does not push out a newer input that waits. */
START_TEST(test_held_yields)
{
    struct world w;
    world_open(&w, 0);
    struct meanwhile m = {.z = get(&w, "example.")};
    zone_table_clock(w.table, clock_acts, &m);
    submit(m.z, 15);
    submit(m.z, 31);
    m.act = submit_45;
    zone_wake(m.z);
    ck_assert_uint_eq(served(m.z), 45);
    ck_assert_ptr_null(m.z->held);
    world_close(&w);
}
END_TEST

/* Dropped while its chain runs: nothing is accepted, and nobody is told. */
START_TEST(test_dropped_while_running)
{
    struct world w;
    world_open(&w, 0);
    struct meanwhile m = {.w = &w, .z = zone_ref(get(&w, "example.")), .act = drop_all};
    zone_table_clock(w.table, clock_acts, &m);
    submit(m.z, 15);
    ck_assert_uint_eq(served(m.z), 0);
    ck_assert_int_eq(w.events[ZONE_ACCEPTED], 0);
    zone_unref(m.z);
    world_close(&w);
}
END_TEST

/* Cannot say anything without keys. come: they come while it runs. */
static struct zone *come;

static struct keyset *keys_any(void)
{
    struct keyset *keys = keyset_new(0, 0, 0);
    keys->unsigned_zone = true;
    keyset_seal(keys);
    return keys;
}

static void keys_come(struct zone *z)
{
    struct keyset *keys = keys_any();
    zone_set_keys(z, keys);
    keyset_unref(keys);
}

static void locked_run(struct stage_run *r)
{
    if (come)
        keys_come(come);
    if (!r->keys)
        finding_add(r->findings, GATE_RETRY, NULL, 0, 0, 0, NULL);
}

static const struct stage_type locked = {.name = "locked",
                                         .summary = "-",
                                         .flags = STAGE_CHECK_ONLY,
                                         .findings = gate_findings,
                                         .run = locked_run};

/* What could not be judged for want of keys, while nothing is served, is judged when they come: before its run, while it runs, or after. */
START_TEST(test_keys_come_after_the_input)
{
    struct world w;
    world_open(&w, 0);
    w.config->zones[0].chain->stage[0].type = &locked;
    struct zone *z = get(&w, "example.");
    come = NULL;
    if (_i == 0)
        keys_come(z);
    if (_i == 1)
        come = z;
    submit(z, 15);
    ck_assert_uint_eq(served(z), _i == 2 ? 0 : 15);
    ck_assert_int_eq(w.events[ZONE_RETRY], _i > 0);
    come = NULL;
    keys_come(z);
    ck_assert_uint_eq(served(z), 15);
    ck_assert_ptr_null(z->refused);
    ck_assert_int_eq(w.events[ZONE_ACCEPTED], 1);
    world_close(&w);
}
END_TEST

/* … the newest of what came, and no longer when something else has been served since. */
START_TEST(test_keys_come_late)
{
    struct world w;
    world_open(&w, 0);
    w.config->zones[0].chain->stage[0].type = &locked;
    struct zone *z = get(&w, "example.");
    submit(z, 15);
    submit(z, 16);
    keys_come(z);
    ck_assert_uint_eq(served(z), 16);
    submit(z, 17);
    struct keyset *other = keys_any();
    other->cds_delete = true;
    zone_set_keys(z, other); /* judges what is served, and nothing else */
    keyset_unref(other);
    ck_assert_uint_eq(served(z), 17);
    ck_assert_int_eq(w.events[ZONE_ACCEPTED], 3);
    world_close(&w);
}
END_TEST

/* Gives out the serial that comes in, and a thousand; and a second name, so that the trie has a branch. */
static void bump_run(struct stage_run *r)
{
    struct soa soa;
    static const uint8_t text[] = "\4text", second[] = "\6second\7example";
    uint8_t rdata[2 + 20] = {0};
    struct why why;
    ck_assert(snapshot_soa(r->next, &soa));
    put_u32(rdata + 2, soa.serial + 1000);
    (void)edit_remove(r->out, snapshot_apex_name(r->next));
    ck_assert_int_eq(
        edit_add(r->out, snapshot_apex_name(r->next), RR_SOA, 60, rdata, sizeof rdata, &why), 0);
    if (!edit_get(r->out, second))
        ck_assert_int_eq(edit_add(r->out, second, RR_TXT, 60, text, 5, &why), 0);
}

static const struct stage_type bump = {.name = "bump", .summary = "-", .run = bump_run};

struct gatekeeper {
    struct job job;
    sem_t shut, open;
};

static void gatekeeper_run(struct job *job)
{
    struct gatekeeper *g = (struct gatekeeper *)(void *)job;
    sem_post(&g->shut);
    sem_wait(&g->open);
}

/* Who drops the last reference (a query thread, after a transfer out) does not free a stage's output: a worker does. */
START_TEST(test_outputs_die_on_workers)
{
    struct world w;
    struct gatekeeper g = {.job.run = gatekeeper_run};
    struct trie_stats before, after;
    world_open(&w, 1);
    w.config->zones[0].chain->stage[0].type = &bump;
    struct zone *z = get(&w, "example.");
    submit(z, 15);
    zone_table_drain(w.table);
    struct version *old = zone_version(z);
    struct family *family = family_ref(old->served->family);
    submit(z, 16);
    zone_table_drain(w.table);
    rcu_barrier_all();

    sem_init(&g.shut, 0, 0);
    sem_init(&g.open, 0, 0);
    pool_submit(w.pool, &g.job);
    sem_wait(&g.shut); /* the only worker is busy */
    family_stats(family, &before);
    version_unref(old);
    family_stats(family, &after);
    ck_assert_uint_eq(after.branches, before.branches);
    sem_post(&g.open);
    zone_table_drain(w.table);
    family_stats(family, &after);
    ck_assert_uint_lt(after.branches, before.branches);
    family_unref(family);
    world_close(&w);
    sem_destroy(&g.shut);
    sem_destroy(&g.open);
}
END_TEST

/* Events are about inputs, whatever the chain makes of their serials. */
START_TEST(test_event_serial)
{
    struct world w;
    world_open(&w, 0);
    struct config *next =
        config_make((const char *const[]){"example.", "child.example.", "other."}, 3, false);
    next->zones[0].chain->stage[0].type = &bump;
    zone_table_apply(w.table, next, NULL);
    config_unref(w.config);
    w.config = next;
    struct zone *z = get(&w, "example.");
    submit(z, 15);
    ck_assert_uint_eq(served(z), 1015);
    ck_assert_uint_eq(w.last_serial, 15);
    submit(z, 15);
    ck_assert_int_eq(w.events[ZONE_UNCHANGED], 1);
    ck_assert_uint_eq(w.last_serial, 15);
    world_close(&w);
}
END_TEST

static int seen_added, seen_dropped, seen_changed;
static void on_added(void *ctx, struct zone *z)
{
    (void)ctx;
    (void)z;
    seen_added++;
}
static void on_dropped(void *ctx, struct zone *z)
{
    (void)ctx;
    ck_assert_str_eq(z->text, "child.example.");
    seen_dropped++;
}
static void on_changed(void *ctx, struct zone *z)
{
    (void)ctx;
    (void)z;
    seen_changed++;
}

START_TEST(test_apply)
{
    struct world w;
    world_open(&w, 0);
    struct zone *z = get(&w, "example.");
    submit(z, 15);
    submit(get(&w, "child.example."), 15);
    int before = atomic_load(&runs);
    struct config *next =
        config_make((const char *const[]){"example.", "new.", "other."}, 3, false);
    struct zone_table_diff diff = {on_added, on_dropped, on_changed, NULL};
    zone_table_apply(w.table, next, &diff);
    ck_assert_int_eq(seen_added, 1);
    ck_assert_int_eq(seen_dropped, 1);
    ck_assert_int_eq(seen_changed, 2);
    ck_assert_ptr_eq(get(&w, "example."), z);
    ck_assert_ptr_null(get(&w, "child.example."));
    ck_assert_str_eq(found(&w, "x.child.example."), "example.");
    ck_assert_str_eq(found(&w, "x.new."), "new.");
    ck_assert_int_eq(atomic_load(&runs), before); /* the same chain: nothing is judged again */
    ck_assert_uint_eq(served(z), 15);
    submit(z, 20); /* rejected by this chain … */
    ck_assert_uint_eq(served(z), 15);
    config_unref(w.config);
    w.config = next;

    next = config_make((const char *const[]){"example.", "new.", "other."}, 3, true);
    zone_table_apply(w.table, next, NULL);
    ck_assert_int_eq(atomic_load(&runs),
                     before + 2); /* … another chain: the version is judged by it */
    submit(z, 30);                /* and an observing stage decides nothing */
    ck_assert_uint_eq(served(z), 30);
    config_unref(w.config);
    w.config = next;
    world_close(&w);
}
END_TEST

/* Many inputs from many threads: the last one that is accepted is one that was submitted, every outcome is told, and readers see
 * versions that are whole. */
static void *submitter(void *arg)
{
    rcu_thread_start();
    rcu_offline();
    for (uint32_t i = 0; i < 200; i++)
        submit(arg, 1000 + i * 10 + (i % 3 ? 5 : 0));
    rcu_online();
    rcu_thread_stop();
    return NULL;
}

START_TEST(test_threads)
{
    struct world w;
    pthread_t t[3];
    world_open(&w, 2);
    /* Edits of one family have one writer, so each thread has its zone. */
    const char *const names[] = {"example.", "child.example.", "other."};
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, submitter, get(&w, names[i])), 0);
    for (int n = 0; n < 2000; n++) {
        struct version *v = rcu_read(&get(&w, names[n % 3])->version);
        if (v)
            ck_assert_uint_eq(v->soa.serial % 10, 5);
    }
    rcu_offline();
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    zone_table_drain(w.table);
    rcu_online();
    for (int i = 0; i < 3; i++)
        ck_assert_uint_eq(served(get(&w, names[i])), 1000 + 199 * 10 + 5);
    world_close(&w);
}
END_TEST

static unsigned history_len(struct zone *z)
{
    struct version *v = zone_version(z);
    unsigned n = v->history ? v->history->n : 0;
    version_unref(v);
    return n;
}

/* A version has the history that leads to it: it grows with each one, stays when nothing but time has passed, starts again
 * when the serial does not rise, and keeps to a reloaded bound. What is refused or held is no part of it. */
START_TEST(test_history)
{
    struct world w;
    struct why why;
    world_open(&w, 0);
    struct zone *z = get(&w, "example.");
    submit(z, 15);
    ck_assert_uint_eq(history_len(z), 0);
    for (uint32_t i = 1; i <= 3; i++) {
        submit(z, 15 + 10 * i);
        ck_assert_uint_eq(history_len(z), i);
    }
    zone_wake(z);
    submit(z, 45);
    submit(z, 50); /* refused */
    submit(z, 51); /* held */
    ck_assert_uint_eq(history_len(z), 3);
    ck_assert_int_eq(zone_approve(z, NULL, &why), 0);
    ck_assert_uint_eq(served(z), 51);
    ck_assert_uint_eq(history_len(z), 4);
    struct version *v = zone_version(z);
    const struct history *h = v->history;
    const uint32_t from[] = {15, 25, 35, 45};
    for (unsigned i = 0; i < h->n; i++) {
        ck_assert_uint_eq(h->step[i].changes->from, from[i]);
        ck_assert_uint_eq(h->step[i].changes->to, i + 1 < h->n ? from[i + 1] : 51);
        ck_assert_uint_eq(h->step[i].changes->n, 1);
    }

    struct config *next =
        config_make((const char *const[]){"example.", "child.example.", "other."}, 3, false);
    next->zones[0].ixfr_history = 2;
    zone_table_apply(w.table, next, NULL);
    config_unref(w.config);
    w.config = next;
    ck_assert_uint_eq(history_len(z), 4);
    submit(z, 55);
    ck_assert_uint_eq(history_len(z), 2);
    ck_assert_uint_eq(h->n, 4); /* who holds the old version has its history */
    version_unref(v);

    submit(z, 35); /* a step back: what led to 55 leads nowhere now */
    ck_assert_uint_eq(served(z), 35);
    ck_assert_uint_eq(history_len(z), 0);
    submit(z, 45);
    ck_assert_uint_eq(history_len(z), 1);
    world_close(&w);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("zone_table");
    suite_add(s, test_find);
    suite_add(s, test_verdicts);
    suite_add(s, test_wake);
    suite_add(s, test_wake_of_what_was_approved);
    suite_add(s, test_approval_is_of_what_was_seen);
    suite_add(s, test_held_yields);
    suite_add(s, test_dropped_while_running);
    if (suite_wants("test_keys_come_after_the_input"))
        tcase_add_loop_test(s.tcase, test_keys_come_after_the_input, 0, 3);
    suite_add(s, test_keys_come_late);
    suite_add(s, test_event_serial);
    suite_add(s, test_outputs_die_on_workers);
    suite_add(s, test_history);
    suite_add(s, test_apply);
    suite_add(s, test_threads);
    return suite_run(s);
}
