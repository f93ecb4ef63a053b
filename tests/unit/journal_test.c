/* journal: random histories of zones through a table, with restarts in between: what is restored is what was accepted, for chains that only
 * check, that change records, and that change themselves; and what damage costs. */
#include "pipeline/run/journal.h"

#include "pipeline/base/log.h"
#include "pipeline/base/pool.h"
#include "pipeline/run/journal_record.h"
#include "pipeline/run/zone_table.h"
#include "pipeline/zone/octets.h"
#include "tests/lib/expect.h"
#include "tests/lib/journal_world.h"
#include "tests/lib/suite.h"
#include "tests/lib/zonegen.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- stages: one counts its runs in its state, one adds a record to every name, one cannot save its state ---- */
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
        hand_in(world_zone(&w, i), &source[i]);
    }
    zone_table_drain(w.table);
    for (unsigned n = 0; n < steps; n++) {
        unsigned i = (unsigned)random_below(&random, ZONES);
        for (unsigned more = (unsigned)random_below(&random, 3) + 1; more; more--) {
            source_step(&source[i], 1 + (unsigned)random_below(&random, changes));
            hand_in(world_zone(&w, i), &source[i]);
            zone_table_drain(w.table);
        }
        if (random_below(&random, 100) >= leave_percent)
            continue;
        for (unsigned k = 0; k < ZONES; k++)
            world_expect(&w, k, &want[k]);
        world_leave(&w);
        int before = atomic_load(&world_fresh_runs);
        world_enter(&w);
        zone_table_drain(w.table);
        struct journal_stats stats;
        journal_stats(w.journal, &stats);
        EXPECT_EQ(stats.damaged, 0);
        EXPECT_EQ(atomic_load(&world_fresh_runs), before);
        for (unsigned k = 0; k < ZONES; k++)
            world_found_as(&w, k, &want[k]);
    }
    for (unsigned i = 0; i < ZONES; i++) {
        struct growbuf octets = {0};
        snapshot_octets(source[i].now, &octets);
        world_expect(&w, i, &want[i]);
        EXPECT(octets_same(&octets, &want[i].input));
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

/* A world with one zone, and where its versions come from. */
struct one {
    struct random random;
    struct world w;
    struct source s;
    struct expected want;
};

/* A version more, with so many changes; what becomes of it has become. */
static void one_step(struct one *o, unsigned changes)
{
    source_step(&o->s, changes);
    hand_in(world_zone(&o->w, 1), &o->s);
    zone_table_drain(o->w.table);
}

static struct one *one_open(unsigned slots)
{
    struct one *o = mem_zalloc(sizeof *o);
    o->random = random_open();
    o->w = world_make();
    world_enter(&o->w);
    o->s = source_make(&o->random, 1, slots);
    hand_in(world_zone(&o->w, 1), &o->s);
    zone_table_drain(o->w.table);
    return o;
}

static void one_again(struct one *o)
{
    world_leave(&o->w);
    world_enter(&o->w);
}

static void one_end(struct one *o)
{
    chain_unref(o->w.other);
    expected_free(&o->want);
    world_leave(&o->w);
    source_free(&o->s);
    world_end(&o->w);
    mem_free(&o);
}

/* Compaction lets go of what it replaced: the file does not grow with the number of versions. */
START_TEST(test_the_file_stays_bounded)
{
    struct one *o = one_open(2000);
    struct journal_stats stats;
    size_t early = 0;
    for (int i = 0; i < 400; i++) {
        one_step(o, 200);
        if (i != 100)
            continue;
        journal_wait(o->w.journal);
        journal_stats(o->w.journal, &stats);
        early = stats.size;
    }
    journal_wait(o->w.journal);
    journal_stats(o->w.journal, &stats);
    EXPECT(stats.images > 5);
    ck_assert_msg(stats.size < 2 * early, "%zu octets after 100 changes, %zu after 400", early,
                  stats.size);
    EXPECT_EQ(stats.waiting, 0);
    EXPECT_EQ(stats.failures, 0);
    one_end(o);
}
END_TEST

/* Another chain, or a stage that cannot save its state: what was accepted is served, and judged anew. */
START_TEST(test_another_chain)
{
    struct one *o = one_open(50);
    world_expect(&o->w, 1, &o->want);
    static const struct stage_type *const types[3] = {&stage_forget};
    for (int round = 0; round < 2; round++) {
        world_leave(&o->w);
        if (!o->w.other)
            o->w.other = chain_make(types);
        int before = atomic_load(&world_fresh_runs);
        world_enter(&o->w);
        struct version *v = zone_version(world_zone(&o->w, 1));
        ck_assert_ptr_nonnull(v);
        version_unref(v);
        zone_table_drain(o->w.table);
        EXPECT_EQ(atomic_load(&world_fresh_runs), before + 1);
        o->want.good_until = 4000000001; /* of its first run */
        world_found_as(&o->w, 1, &o->want);
        one_step(o, 3);
        world_expect(&o->w, 1, &o->want);
        EXPECT_EQ(o->want.steps, round + 1);
    }
    one_end(o);
}
END_TEST

/* What changes the input and not what is served is a step in the journal, and none of the history. */
START_TEST(test_steps_that_are_not_served)
{
    struct one *o = one_open(50);
    static const struct stage_type *const types[3] = {&even};
    world_leave(&o->w);
    o->w.other = chain_make(types);
    world_enter(&o->w);
    zone_table_drain(o->w.table);
    for (int i = 0; i < 60; i++) {
        one_step(o, 2);
        world_expect(&o->w, 1, &o->want);
        if (i % 3)
            continue;
        one_again(o);
        world_found_as(&o->w, 1, &o->want);
    }
    EXPECT(o->want.steps > 10);
    one_end(o);
}
END_TEST

/* With more or fewer layers than before there is a new image of each; the history of what is served goes on. */
START_TEST(test_history_goes_on_with_other_layers)
{
    struct one *o = one_open(50);
    static const struct stage_type *const types[][3] = {
        {&even, &even}, {&stage_count}, {&even}, {&even, &even, &even}};
    for (unsigned i = 0; i < 4; i++) {
        world_leave(&o->w);
        chain_unref(o->w.other);
        o->w.other = chain_make(types[i]);
        world_enter(&o->w);
        zone_table_drain(o->w.table);
        for (int k = 0; k < 4; k++) {
            one_step(o, 2);
            world_expect(&o->w, 1, &o->want);
            one_again(o);
            world_found_as(&o->w, 1, &o->want);
        }
        EXPECT(o->want.steps > 2 * i);
    }
    one_end(o);
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
    hand_in(world_zone(&w, 1), &s);
    zone_table_drain(w.table);
    journal_wait(w.journal);
    struct source small = source_make(&random, 1, 3000);
    small.gen.serial = s.gen.serial;
    disk_full(true);
    for (int k = 0; k < 3; k++) {
        source_step(&small, 2);
        hand_in(world_zone(&w, 1), &small);
        zone_table_drain(w.table);
    }
    disk_full(false);
    journal_wait(w.journal);
    journal_stats(w.journal, &stats);
    EXPECT(stats.images >= 2);
    world_expect(&w, 1, &want);
    world_leave(&w);
    world_enter(&w);
    world_found_as(&w, 1, &want);
    expected_free(&want);
    world_leave(&w);
    source_free(&s);
    source_free(&small);
    world_end(&w);
}
END_TEST

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
    hand_in(world_zone(&w, 1), &s);
    zone_table_drain(w.table);
    journal_wait(w.journal);
    world_expect(&w, 1, &first);
    struct source back = {s.gen, family_ref(s.family), snapshot_ref(s.now)};
    disk_full(true);
    for (int i = 0; i < 40; i++) { /* enough for a new image */
        source_step(&s, 300);
        hand_in(world_zone(&w, 1), &s);
        zone_table_drain(w.table);
    }
    w.without = 1u << 1;
    world_configure(&w, w.without);
    w.without = 0;
    world_configure(&w, w.without);
    world_found_as(&w, 1, &first);
    source_step(&back, 3);
    hand_in(world_zone(&w, 1), &back);
    zone_table_drain(w.table);
    disk_full(false);
    journal_wait(w.journal);
    source_step(&back, 3);
    hand_in(world_zone(&w, 1), &back);
    zone_table_drain(w.table);
    world_expect(&w, 1, &want);
    world_leave(&w);
    world_enter(&w);
    journal_stats(w.journal, &stats);
    EXPECT_EQ(stats.damaged, 0);
    world_found_as(&w, 1, &want);
    expected_free(&first);
    expected_free(&want);
    world_leave(&w);
    source_free(&s);
    source_free(&back);
    world_end(&w);
}
END_TEST

static bool is_listed(const struct world *w, unsigned i, size_t *n)
{
    struct journal_reader *r;
    struct journal_zones zones;
    struct journal_listing list;
    struct why why = {""};
    uint8_t name[NAME_MAX_OCTETS];
    bool found = false;
    ck_assert_int_gt(name_parse(world_names[i], name, NULL), 0);
    ck_assert_msg(journal_reader_open(w->folder, &r, &why) == 0, "%s", why.text);
    ck_assert_int_eq(journal_reader_zones(r, &zones, &why), 0);
    for (size_t k = 0; k < zones.n; k++) {
        const struct journal_zone_listed *z = &zones.zone[k];
        EXPECT(!z->damage.text[0]);
        if (!name_equal(z->name, name))
            continue;
        found = true;
        ck_assert_int_eq(journal_reader_list(r, name, &list, &why), 0);
        EXPECT_EQ(z->serial, list.version[0].serial);
        EXPECT_EQ(z->versions, list.n);
        EXPECT(z->octets > list.image_octets);
        mem_free(&list.version);
    }
    *n = zones.n;
    mem_free(&zones.zone);
    journal_reader_close(&r);
    return found;
}

static int purge(struct world *w, unsigned i)
{
    struct why why = {""};
    uint8_t name[NAME_MAX_OCTETS];
    ck_assert_int_gt(name_parse(world_names[i], name, NULL), 0);
    return journal_purge(w->journal, name, &why);
}

/* Two zones, the second with a large image; then a world without that. */
static void two_zones(struct world *w, struct random *random, struct expected want[2])
{
    *w = world_make();
    world_enter(w);
    for (unsigned i = 0; i < 2; i++) {
        struct source s = source_make(random, i, i ? 3000 : 30);
        for (int k = 0; k < 3; k++) {
            hand_in(world_zone(w, i), &s);
            zone_table_drain(w->table);
            source_step(&s, 3);
        }
        world_expect(w, i, &want[i]);
        source_free(&s);
    }
    journal_wait(w->journal);
    world_configure(w, 1u << 1);
    zone_table_drain(w->table);
}

START_TEST(test_purge)
{
    struct random random = random_open();
    struct world w;
    struct expected want[2] = {0};
    struct journal_stats stats;
    size_t n;
    two_zones(&w, &random, want);
    journal_stats(w.journal, &stats);
    size_t before = stats.used;
    world_leave(&w);
    EXPECT(is_listed(&w, 1, &n) && n == 2);
    world_enter(&w);
    EXPECT_EQ(purge(&w, 2), -E_NOENT);
    EXPECT_EQ(purge(&w, 1), 0);
    journal_wait(w.journal);
    EXPECT_EQ(purge(&w, 1), -E_NOENT);
    journal_stats(w.journal, &stats);
    ck_assert_msg(stats.used < before / 4, "%zu octets of %zu", stats.used, before);
    world_leave(&w);
    EXPECT(!is_listed(&w, 1, &n) && n == 1);
    w.without = 0;
    world_enter(&w);
    journal_stats(w.journal, &stats);
    EXPECT_EQ(stats.damaged, 0);
    EXPECT(zone_version(world_zone(&w, 1)) == NULL);
    world_found_as(&w, 0, &want[0]);
    struct source s = source_make(&random, 1, 30); /* and it begins anew */
    hand_in(world_zone(&w, 1), &s);
    zone_table_drain(w.table);
    world_expect(&w, 1, &want[1]);
    world_leave(&w);
    world_enter(&w);
    world_found_as(&w, 1, &want[1]);
    world_leave(&w);
    source_free(&s);
    for (unsigned i = 0; i < 2; i++)
        expected_free(&want[i]);
    world_end(&w);
}
END_TEST

/* The zone is configured again before it could be purged. */
START_TEST(test_purge_and_back)
{
    struct random random = random_open();
    struct world w;
    struct expected want[2] = {0};
    struct journal_stats stats;
    size_t n;
    two_zones(&w, &random, want);
    disk_full(true);
    EXPECT_EQ(purge(&w, 1), 0);
    EXPECT_EQ(purge(&w, 1), 0); /* a second word does no harm */
    do
        journal_stats(w.journal, &stats);
    while (!stats.failures);
    world_configure(&w, 0);
    zone_table_drain(w.table);
    world_found_as(&w, 1, &want[1]);
    disk_full(false);
    journal_wait(w.journal);
    world_found_as(&w, 1, &want[1]);
    world_leave(&w);
    EXPECT(is_listed(&w, 1, &n) && n == 2);
    world_enter(&w);
    journal_stats(w.journal, &stats);
    EXPECT_EQ(stats.damaged, 0);
    for (unsigned i = 0; i < 2; i++) {
        world_found_as(&w, i, &want[i]);
        expected_free(&want[i]);
    }
    world_leave(&w);
    world_end(&w);
}
END_TEST

/* At the end, what cannot be written is given up; and what would build on it is, too. */
START_TEST(test_nothing_builds_on_what_was_given_up)
{
    struct one *o = one_open(50);
    struct journal_stats stats;
    world_expect(&o->w, 1, &o->want);
    disk_full(true);
    source_step(&o->s, 3);
    hand_in(world_zone(&o->w, 1), &o->s);
    journal_closing(o->w.journal);
    zone_table_drain(o->w.table);
    disk_full(false);
    one_step(o, 3);
    world_found_as(&o->w, 1, &o->want);
    one_again(o);
    world_found_as(&o->w, 1, &o->want);
    journal_stats(o->w.journal, &stats);
    EXPECT_EQ(stats.damaged, 0);
    one_end(o);
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
    struct one *o = one_open(50);
    for (int round = 0; round < 2; round++) {
        by_another_chain(&o->w, &refuse);
        struct version *v = zone_version(world_zone(&o->w, 1));
        ck_assert_ptr_nonnull(v);
        EXPECT_EQ(v->good_until, 4000000001);
        EXPECT(world_zone(&o->w, 1)->refused);
        version_unref(v);
    }
    one_end(o);
}
END_TEST

/* A candidate is held when the chain changes: both it and what is served are judged by the new one. */
START_TEST(test_held_and_another_chain)
{
    struct one *o = one_open(50);
    by_another_chain(&o->w, &hold); /* the version is held, woken: it stays */
    one_step(o, 3);
    ck_assert_ptr_nonnull(world_zone(&o->w, 1)->held);
    int before = atomic_load(&world_fresh_runs), all = atomic_load(&world_runs);
    by_another_chain(&o->w, &stage_forget);
    struct version *v = zone_version(world_zone(&o->w, 1));
    EXPECT_EQ(v->soa.serial, o->s.gen.serial);
    EXPECT(v->chain == o->w.config->zones[1].chain);
    EXPECT_EQ(atomic_load(&world_fresh_runs), before + 1);
    EXPECT(atomic_load(&world_runs) > all);
    version_unref(v);
    by_another_chain(&o->w, &refuse);
    EXPECT(world_zone(&o->w, 1)->refused);
    one_end(o);
}
END_TEST

/* A version that goes back in serials has no history, and is there. */
START_TEST(test_serial_backwards)
{
    struct one *o = one_open(50);
    one_step(o, 3);
    o->s.gen.serial -= 7;
    one_step(o, 3);
    world_expect(&o->w, 1, &o->want);
    EXPECT_EQ(o->want.steps, 0);
    one_again(o);
    world_found_as(&o->w, 1, &o->want);
    one_end(o);
}
END_TEST

START_TEST(test_timers)
{
    struct one *o = one_open(20);
    struct zone *z = world_zone(&o->w, 1);
    time_t now = time(NULL);
    z->checked_at = now - 100;
    atomic_store(&z->expires_at, now + 1000);
    zone_timers_keep(z);
    one_again(o);
    z = world_zone(&o->w, 1);
    EXPECT_EQ(z->checked_at, now - 100);
    EXPECT_EQ(atomic_load(&z->expires_at), now + 1000);
    EXPECT(!atomic_load(&z->expired));
    atomic_store(&z->expires_at, now - 1);
    zone_timers_keep(z);
    one_again(o);
    z = world_zone(&o->w, 1);
    EXPECT(atomic_load(&z->expired));
    /* The clock was set back by an hour: nothing is served for longer than it would have been. */
    z->checked_at = now + 3600;
    atomic_store(&z->expires_at, now + 3600 + 500);
    zone_timers_keep(z);
    one_again(o);
    z = world_zone(&o->w, 1);
    EXPECT(z->checked_at >= now && z->checked_at <= now + 60);
    EXPECT(atomic_load(&z->expires_at) >= now + 500 && atomic_load(&z->expires_at) <= now + 560);
    one_end(o);
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
        hand_in(world_zone(&w, i), &one);
        zone_table_drain(w.table);
        source_step(&one, 3);
        hand_in(world_zone(&w, i), &one);
        zone_table_drain(w.table);
        world_expect(&w, i, &want[i]);
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
                struct version *v = zone_version(world_zone(&w, i));
                bool there = v != NULL;
                version_unref(v);
                if (there)
                    world_found_as(&w, i, &want[i]);
                else if (kind != 2 || at) /* an empty file is a new one */
                    ck_assert_msg(stats.damaged > 0, "page %zu, kind %d", at / 4096, kind);
                whole += there;
            }
            /* What was lost is fetched again, and kept. */
            hand_in(world_zone(&w, 1), &s);
            zone_table_drain(w.table);
            journal_stats(w.journal, &stats);
            struct version *v = zone_version(world_zone(&w, 1));
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

/* A journal of a weir to come is left alone, and named. */
START_TEST(test_format_of_the_future)
{
    struct world w = world_make();
    struct db *db;
    struct db_txn *txn;
    struct journal *j = NULL;
    struct why why = {""};
    struct growbuf value = {0};
    world_enter(&w);
    world_leave(&w);
    ck_assert_int_eq(db_open(w.folder, false, &db, &why), 0);
    ck_assert_int_eq(db_begin(db, true, &txn, &why), 0);
    for (unsigned copy = 0; copy < 2; copy++) {
        struct journal_key key = journal_key_format(copy);
        value.len = 0;
        growbuf_u32(&value, JOURNAL_FORMAT + 1);
        journal_seal(&value, &key);
        ck_assert_int_eq(db_put(txn, key.octets, key.len, value.p, value.len, &why), 0);
    }
    ck_assert_int_eq(db_commit(&txn, &why), 0);
    db_close(&db);
    mem_free(&value.p);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(journal_open(w.folder, &j, &why), -E_UNSUPPORTED);
        ck_assert_msg(strstr(why.text, "the journal has format 2, and this weir reads 1") != NULL,
                      "%s", why.text);
    }
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
    suite_add(s, test_purge);
    suite_add(s, test_purge_and_back);
    suite_add(s, test_nothing_builds_on_what_was_given_up);
    suite_add(s, test_times_outlive_the_chain);
    suite_add(s, test_held_and_another_chain);
    suite_add(s, test_serial_backwards);
    suite_add(s, test_timers);
    suite_add(s, test_damaged_pages);
    suite_add(s, test_folder_that_cannot_be);
    suite_add(s, test_one_at_a_time);
    suite_add(s, test_format_of_the_future);
    return suite_run(s);
}
