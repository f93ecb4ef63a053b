/* journal, with a disk that fails: a fixed script of changes runs in a child that dies at its n-th call on the journal's file, for every n; or
 * whose calls fail. What is there afterwards is, record by record, what was accepted, never older than what had been seen; its
 * history leads back to versions that were; it goes on; and nothing is left over for good.
 *
 * The journal is built with small sizes here (JOURNAL_SHRINK): images go in slices, layers are compacted, the map grows.
 * The child is this program again: journal_crash_test child FOLDER SEED ASYNC SCRIPT ORDERS */
#include "tests/faults/faults.h"
#include "tests/lib/expect.h"
#include "tests/lib/journal_world.h"
#include "tests/lib/suite.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 11, VERSIONS_MAX = 40, CALLS_MAX = 4000, FAILING_MAX = 300 };

/* ---- the script ---- */

struct play {
    struct world w;
    struct source source[ALL_ZONES];
};

static struct play play_open(uint64_t seed)
{
    static const unsigned slots[ALL_ZONES] = {12, 25, 12, 120, 12};
    struct random random = {seed};
    struct play p = {0};
    for (unsigned i = 0; i < ALL_ZONES; i++)
        p.source[i] = source_make(&random, i, slots[i]);
    return p;
}

static void play_close(struct play *p)
{
    for (unsigned i = 0; i < ALL_ZONES; i++)
        source_free(&p->source[i]);
}

/* The held one is approved, thrown away, or left to be superseded. */
static void operator_decides(struct play *p, unsigned round)
{
    struct zone *z = world_zone(&p->w, ZONE_HOLDS);
    struct why why;
    if (round % 3 == 0)
        (void)!zone_approve(z, NULL, &why);
    if (round % 3 == 1)
        (void)!zone_discard(z, NULL, &why);
    zone_table_drain(p->w.table);
}

static void timers_move(struct zone *z, unsigned round)
{
    pthread_mutex_lock(&z->lock);
    z->checked_at = time(NULL) - (time_t)round;
    pthread_mutex_unlock(&z->lock);
    atomic_store(&z->expires_at, time(NULL) + 100000 + (time_t)round);
    zone_timers_keep(z);
}

static void round_play(struct play *p, unsigned round)
{
    static const unsigned changes[ALL_ZONES] = {1, 2, 3, 40, 2};
    for (unsigned i = 0; i < ALL_ZONES; i++) {
        if (round)
            source_step(&p->source[i], round == 6 && i == 1 ? 200 : changes[i]);
        struct zone *z = world_zone(&p->w, i);
        if (!z)
            continue;
        hand_in(z, &p->source[i]);
        if (round % 2)
            timers_move(z, round);
        if (round == 8)
            zone_table_drain(p->w.table); /* a transaction each; else they may share one */
    }
    zone_table_drain(p->w.table);
    operator_decides(p, round);
    if (round == 4 || round == 7) {
        world_configure(&p->w, round == 4 ? 1u << 3 | 1u << 0 : 0);
        zone_table_drain(p->w.table);
    }
}

static void script_play(struct play *p)
{
    for (unsigned round = 0; round < ROUNDS; round++)
        round_play(p, round);
    journal_wait(p->w.journal);
}

/* Another script: a version that is held, and then approved; of an image in slices. What comes before the approval is not counted. */
static void hold_play(struct play *p)
{
    struct source *s = &p->source[ZONE_HOLDS];
    struct zone *z = world_zone(&p->w, ZONE_HOLDS);
    do {
        hand_in(z, s);
        zone_table_drain(p->w.table);
        source_step(s, (s->gen.serial + 1) % 5 ? 2 : 200);
    } while (s->gen.serial % 5);
    hand_in(z, s);
    zone_table_drain(p->w.table);
    journal_wait(p->w.journal);
}

static void approval_play(struct play *p, const char *orders)
{
    struct why why;
    hold_play(p);
    faults_set(orders);
    ck_assert_int_eq(zone_approve(world_zone(&p->w, ZONE_HOLDS), NULL, &why), 0);
    zone_table_drain(p->w.table);
    journal_wait(p->w.journal);
}

/* … and one of a zone that is dropped, and purged. */
static void purge_play(struct play *p, const char *orders)
{
    struct why why;
    uint8_t name[NAME_MAX_OCTETS];
    for (unsigned i = 2; i < 4; i++)
        for (int k = 0; k < 12; k++) {
            hand_in(world_zone(&p->w, i), &p->source[i]);
            zone_table_drain(p->w.table);
            source_step(&p->source[i], 3);
        }
    journal_wait(p->w.journal);
    world_configure(&p->w, 1u << 3);
    faults_set(orders);
    ck_assert_int_gt(name_parse(world_names[3], name, NULL), 0);
    ck_assert_int_eq(journal_purge(p->w.journal, name, &why), 0);
    journal_wait(p->w.journal);
}

/* ---- what should be: as accepted in a run without faults ---- */

static struct truth {
    size_t n[ALL_ZONES];
    struct expected version[ALL_ZONES][VERSIONS_MAX];
    size_t file_octets, used_octets;
    unsigned calls;
} truth;
static pthread_mutex_t truth_lock = PTHREAD_MUTEX_INITIALIZER;

static unsigned zone_number(const struct zone *z)
{
    for (unsigned i = 0; i < ALL_ZONES; i++)
        if (strcmp(z->text, world_names[i]) == 0)
            return i;
    ck_abort_msg("%s", z->text);
}

static void on_truth(void *ctx, const struct zone_event *e)
{
    (void)ctx;
    if (e->outcome != ZONE_ACCEPTED)
        return;
    unsigned i = zone_number(e->zone);
    struct version *v = zone_version(e->zone);
    pthread_mutex_lock(&truth_lock);
    ck_assert_uint_lt(truth.n[i], VERSIONS_MAX);
    struct expected *want = &truth.version[i][truth.n[i]++];
    want->serial = v->soa.serial;
    snapshot_octets(v->served, &want->served);
    snapshot_octets(v->input, &want->input);
    pthread_mutex_unlock(&truth_lock);
    version_unref(v);
}

static const struct expected *truth_of(unsigned i, uint32_t serial)
{
    for (size_t k = 0; k < truth.n[i]; k++)
        if (truth.version[i][k].serial == serial)
            return &truth.version[i][k];
    ck_abort_msg("%s: serial %u was never accepted", world_names[i], serial);
}

static size_t file_octets(const struct world *w)
{
    char path[96];
    struct stat st;
    snprintf(path, sizeof path, "%s/data.mdb", w->folder);
    return stat(path, &st) ? 0 : (size_t)st.st_size;
}

static void truth_make(uint64_t seed, bool async)
{
    struct play p = play_open(seed);
    p.w = world_make();
    p.w.async = async;
    p.w.listen = on_truth;
    faults_set("");
    world_enter(&p.w);
    script_play(&p);
    struct journal_stats stats;
    journal_stats(p.w.journal, &stats);
    truth.used_octets = stats.used;
    world_leave(&p.w);
    truth.calls = faults_calls();
    truth.file_octets = file_octets(&p.w);
    world_end(&p.w);
    play_close(&p);
    for (unsigned i = 0; i < ALL_ZONES; i++)
        ck_assert_uint_gt(truth.n[i], 4);
}

static void truth_free(void)
{
    for (unsigned i = 0; i < ALL_ZONES; i++)
        for (size_t k = 0; k < truth.n[i]; k++)
            expected_free(&truth.version[i][k]);
    truth = (struct truth){0};
}

/* ---- the child ---- */

enum { REPORT_FD = 3 };
struct report {
    uint32_t zone, serial;
};

static void on_report(void *ctx, const struct zone_event *e)
{
    (void)ctx;
    struct report r = {zone_number(e->zone), 0};
    if (e->outcome != ZONE_ACCEPTED)
        return;
    struct version *v = zone_version(e->zone);
    r.serial = v->soa.serial;
    version_unref(v);
    if (write(REPORT_FD, &r, sizeof r) != sizeof r)
        abort();
}

static char **child_words;

START_TEST(test_child)
{
    char **argv = child_words;
    struct play p = play_open(strtoull(argv[1], NULL, 10));
    p.w = world_make();
    rmdir(p.w.folder);
    snprintf(p.w.folder, sizeof p.w.folder, "%s", argv[0]);
    p.w.async = argv[2][0] == '1';
    p.w.listen = on_report;
    bool changes = strcmp(argv[3], "changes") == 0;
    faults_set(changes ? argv[4] : "");
    world_enter(&p.w);
    if (changes)
        script_play(&p);
    else if (strcmp(argv[3], "approval") == 0)
        approval_play(&p, argv[4]);
    else
        purge_play(&p, argv[4]);
    world_leave(&p.w);
    play_close(&p);
}
END_TEST

/* In this very process, so that kill -9 kills it. */
static int child_main(char **argv)
{
    child_words = argv;
    unsetenv("WEIR_ONLY");
    struct suite s = suite_open("child");
    suite_add(s, test_child);
    SRunner *runner = srunner_create(s.suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_SILENT);
    TestResult **failed = srunner_failures(runner);
    for (int i = 0; i < srunner_ntests_failed(runner); i++)
        fprintf(stderr, "child %s %s: line %d: %s\n", argv[1], argv[4], tr_lno(failed[i]),
                tr_msg(failed[i]));
    int code = srunner_ntests_failed(runner) ? EXIT_FAILURE : EXIT_SUCCESS;
    free(failed);
    srunner_free(runner);
    return code;
}

struct seen {
    bool any[ALL_ZONES];
    uint32_t serial[ALL_ZONES];
    bool crashed;
};

static struct seen child_run(const struct world *w, uint64_t seed, const char *script,
                             const char *orders)
{
    char number[24];
    int pipe_fd[2], status;
    struct seen seen = {0};
    struct report r;
    snprintf(number, sizeof number, "%llu", (unsigned long long)seed);
    ck_assert_int_eq(pipe(pipe_fd), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(pipe_fd[1], REPORT_FD);
        if (pipe_fd[0] != REPORT_FD)
            close(pipe_fd[0]);
        if (pipe_fd[1] != REPORT_FD)
            close(pipe_fd[1]);
        execl("/proc/self/exe", "journal_crash_test", "child", w->folder, number,
              w->async ? "1" : "0", script, orders, NULL);
        _exit(99);
    }
    close(pipe_fd[1]);
    while (read(pipe_fd[0], &r, sizeof r) == sizeof r) {
        ck_assert_uint_lt(r.zone, ALL_ZONES);
        seen.any[r.zone] = true;
        seen.serial[r.zone] = r.serial;
    }
    close(pipe_fd[0]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    seen.crashed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    ck_assert_msg(seen.crashed || (WIFEXITED(status) && WEXITSTATUS(status) == 0),
                  "orders %s: the child ended with status %x", orders, (unsigned)status);
    return seen;
}

/* ---- afterwards ---- */

/* Every step of the history, backwards from what is served: each gives a version that was. */
static void history_leads_back(unsigned i, const struct version *v, const char *orders)
{
    struct snapshot *s = snapshot_ref(v->served);
    struct growbuf octets = {0};
    for (unsigned k = v->history ? v->history->n : 0; k; k--) {
        const struct changeset *c = v->history->step[k - 1].changes;
        struct snapshot *before;
        struct edit *e = edit_open(s->family, s, s);
        for (size_t n = 0; n < c->n; n++) {
            const struct change *change = &c->change[n];
            const struct node *there = edit_get(e, change_name(change));
            ck_assert_msg(!there == !change->now && (!there || node_equal(there, change->now)),
                          "%s: %s: step %u", orders, world_names[i], k);
            if (change->was)
                edit_put(e, node_ref(change->was));
            else
                edit_remove(e, change_name(change));
        }
        ck_assert_int_eq(edit_seal(&e, &before, NULL, NULL), 0);
        snapshot_unref(s);
        s = before;
        snapshot_octets(s, &octets);
        ck_assert_msg(octets_same(&octets, &truth_of(i, c->from)->served), "%s: %s: back to %u",
                      orders, world_names[i], c->from);
    }
    snapshot_unref(s);
    mem_free(&octets.p);
}

static void zone_is_one_of_those(struct play *p, unsigned i, const struct seen *seen,
                                 const char *orders)
{
    struct zone *z = world_zone(&p->w, i);
    struct version *v = zone_version(z);
    struct growbuf octets = {0};
    if (!v) {
        ck_assert_msg(p->w.async || !seen->any[i], "%s: %s is not there, and serial %u was seen",
                      orders, world_names[i], seen->serial[i]);
        return;
    }
    const struct expected *want = truth_of(i, v->soa.serial);
    ck_assert_msg(p->w.async || !seen->any[i] || v->soa.serial >= seen->serial[i],
                  "%s: %s has serial %u, and %u was seen", orders, world_names[i], v->soa.serial,
                  seen->serial[i]);
    snapshot_octets(v->served, &octets);
    ck_assert_msg(octets_same(&octets, &want->served), "%s: %s: served records of %u", orders,
                  world_names[i], v->soa.serial);
    snapshot_octets(v->input, &octets);
    ck_assert_msg(octets_same(&octets, &want->input), "%s: %s: input of %u", orders, world_names[i],
                  v->soa.serial);
    if (!seen->crashed && !p->w.async)
        ck_assert_uint_eq(v->soa.serial, truth.version[i][truth.n[i] - 1].serial);
    history_leads_back(i, v, orders);
    if (i == ZONE_HOLDS && z->held)
        ck_assert(z->held->serial % 5 == 0 && z->held->serial > v->soa.serial);
    version_unref(v);
    mem_free(&octets.p);
}

/* One more version for every zone, and it is there after one more restart. */
static void goes_on(struct play *p, const char *orders)
{
    uint32_t serial[ALL_ZONES];
    for (unsigned i = 0; i < ALL_ZONES; i++) {
        do
            source_step(&p->source[i], 3);
        while (p->source[i].gen.serial % 5 == 0);
        serial[i] = p->source[i].gen.serial;
        hand_in(world_zone(&p->w, i), &p->source[i]);
    }
    zone_table_drain(p->w.table);
    world_leave(&p->w);
    world_enter(&p->w);
    zone_table_drain(p->w.table);
    for (unsigned i = 0; i < ALL_ZONES; i++) {
        struct version *v = zone_version(world_zone(&p->w, i));
        ck_assert_msg(v && v->soa.serial == serial[i], "%s: %s does not go on", orders,
                      world_names[i]);
        version_unref(v);
    }
}

static void restart_and_look(struct world *w, uint64_t seed, const struct seen *seen,
                             const char *orders)
{
    struct play p = play_open(seed);
    struct journal_stats stats;
    for (unsigned round = 1; round < ROUNDS; round++) /* the primaries are where the script ends */
        for (unsigned i = 0; i < ALL_ZONES; i++)
            p.source[i].gen.serial++;
    p.w = *w;
    p.w.listen = NULL;
    faults_set("");
    world_enter(&p.w);
    zone_table_drain(p.w.table);
    journal_stats(p.w.journal, &stats);
    bool begun = seen->crashed;
    for (unsigned i = 0; i < ALL_ZONES; i++)
        begun &= !seen->any[i];
    ck_assert_msg(stats.damaged == 0 || begun, "%s: damage", orders);
    for (unsigned i = 0; i < ALL_ZONES; i++)
        zone_is_one_of_those(&p, i, seen, orders);
    goes_on(&p, orders);
    journal_wait(p.w.journal);
    world_leave(&p.w);
    play_close(&p);
}

/* ---- the tests ---- */

static void crash(uint64_t seed, bool async, const char *verb, unsigned first, unsigned stride)
{
    unsigned crashes = 0;
    char orders[64];
    /* Which zones share a transaction differs from run to run, so its calls are counted to where no child dies any more. */
    for (unsigned n = first, lived = 0; lived < 3 && n < CALLS_MAX; n += stride) {
        struct world w = world_make();
        w.async = async;
        snprintf(orders, sizeof orders, "%s %u", verb, n);
        struct seen seen = child_run(&w, seed, "changes", orders);
        crashes += seen.crashed;
        lived += !seen.crashed;
        restart_and_look(&w, seed, &seen, orders);
        ck_assert_msg(file_octets(&w) < 3 * truth.file_octets,
                      "%s: %zu octets, %zu without crashes", orders, file_octets(&w),
                      truth.file_octets);
        world_end(&w);
    }
    ck_assert_msg(crashes >= truth.calls / stride / 2 && crashes > 5, "%u crashes at %u calls",
                  crashes, truth.calls);
    printf("%s, %s: %u crashes, a script of %u calls\n", verb, async ? "async" : "commit", crashes,
           truth.calls);
}

/* About so many boundaries, evenly from a random one on; of WEIR_CRASHES=all at most `most`. */
static unsigned stride_for(unsigned rounds, unsigned most)
{
    unsigned n = getenv("WEIR_CRASHES") ? most : rounds;
    return truth.calls < n ? 1 : truth.calls / n;
}

static void crashes(bool async, const char *verb)
{
    struct random random = random_open();
    uint64_t seed = random_u64(&random);
    truth_make(seed, async);
    unsigned stride = stride_for(25, CALLS_MAX);
    crash(seed, async, verb, 1 + (unsigned)random_below(&random, stride), stride);
    truth_free();
}

/* RFC 1995 2: a version is on stable storage before anybody sees it, or gets differences from it. */
START_TEST(test_killed_before_a_call)
{
    crashes(false, "kill");
}
END_TEST

START_TEST(test_killed_within_a_call)
{
    crashes(false, "half");
}
END_TEST

START_TEST(test_killed_before_a_call_async)
{
    crashes(true, "kill");
}
END_TEST

START_TEST(test_killed_within_a_call_async)
{
    crashes(true, "half");
}
END_TEST

/* Nobody dies: all that was accepted is there in the end, whatever failed on the way, for one call or for some. */
static void failing(bool async)
{
    static const struct {
        const char *verb, *of;
    } faults[] = {{"ENOSPC", ""}, {"EIO", "fdatasync"}, {"EIO", "pwrite"},
                  {"EDQUOT", ""}, {"EROFS", ""},        {"short", ""}};
    struct random random = random_open();
    uint64_t seed = random_u64(&random);
    char orders[64];
    truth_make(seed, async);
    unsigned stride = stride_for(25, FAILING_MAX), k = 0;
    for (unsigned n = 5 + (unsigned)random_below(&random, stride); n < truth.calls;
         n += stride, k++) {
        struct world w = world_make();
        w.async = async;
        unsigned lasts = 1 + (unsigned)random_below(&random, 7);
        snprintf(orders, sizeof orders, "%s %u %u %s", faults[k % 6].verb, n, n + lasts,
                 faults[k % 6].of);
        struct seen seen = child_run(&w, seed, "changes", orders);
        ck_assert_msg(!seen.crashed, "%s", orders);
        restart_and_look(&w, seed, &seen, orders);
        world_end(&w);
    }
    printf("failing, %s: %u rounds, a script of %u calls\n", async ? "async" : "commit", k,
           truth.calls);
    truth_free();
}

START_TEST(test_failing_calls)
{
    failing(false);
}
END_TEST

START_TEST(test_failing_calls_async)
{
    failing(true);
}
END_TEST

/* One folder, crash upon crash: what each leaves behind is gone after the next. */
START_TEST(test_nothing_is_left_for_good)
{
    struct random random = random_open();
    uint64_t seed = random_u64(&random);
    struct world w = world_make();
    char orders[64];
    truth_make(seed, false);
    for (unsigned i = 0; i < 40; i++) {
        snprintf(orders, sizeof orders, "%s %u", i % 2 ? "kill" : "half",
                 1 + (unsigned)random_below(&random, truth.calls));
        child_run(&w, seed, "changes", orders);
    }
    faults_set("");
    world_enter(&w);
    zone_table_drain(w.table);
    journal_wait(w.journal);
    struct journal_stats stats;
    journal_stats(w.journal, &stats);
    ck_assert_uint_eq(stats.damaged, 0);
    ck_assert_msg(stats.used < 3 * truth.used_octets, "%zu octets, %zu without crashes", stats.used,
                  truth.used_octets);
    ck_assert_msg(stats.size < 10 * truth.file_octets, "a file of %zu octets, %zu without crashes",
                  stats.size, truth.file_octets);
    printf("40 crashes: %zu octets in use, %zu without; a file of %zu, %zu without\n", stats.used,
           truth.used_octets, stats.size, truth.file_octets);
    world_leave(&w);
    world_end(&w);
    truth_free();
}
END_TEST

/* A held version is approved, and weir dies on the way: it is held still, or served and no longer held. */
static void approval(bool async)
{
    struct random random = random_open();
    uint64_t seed = random_u64(&random);
    char orders[64];
    unsigned held = 0, served = 0;
    bool crashed = true;
    for (unsigned n = 1; crashed; n++) {
        struct play p = play_open(seed);
        p.w = world_make();
        p.w.async = async;
        snprintf(orders, sizeof orders, "kill %u", n);
        crashed = child_run(&p.w, seed, "approval", orders).crashed;
        faults_set("");
        world_enter(&p.w);
        zone_table_drain(p.w.table);
        struct zone *z = world_zone(&p.w, ZONE_HOLDS);
        struct version *v = zone_version(z);
        ck_assert_ptr_nonnull(v);
        ck_assert_msg((v->soa.serial % 5 != 0) == (z->held != NULL),
                      "%s: serial %u is served, and %s is held", orders, v->soa.serial,
                      z->held ? "one" : "none");
        held += z->held != NULL;
        served += z->held == NULL;
        version_unref(v);
        world_leave(&p.w);
        world_end(&p.w);
        play_close(&p);
    }
    ck_assert_msg(held > 1 && served > 1, "%u times held, %u times served", held, served);
}

START_TEST(test_killed_while_approved)
{
    approval(false);
}
END_TEST

START_TEST(test_killed_while_approved_async)
{
    approval(true);
}
END_TEST

/* A zone is purged, and weir dies on the way: it is there as a whole, or not at all, and in the end nothing is left of what is not. */
START_TEST(test_killed_while_purged)
{
    struct random random = random_open();
    uint64_t seed = random_u64(&random);
    unsigned whole = 0, gone = 0;
    bool crashed = true;
    size_t least = 0, most = 0;
    for (unsigned n = 1; crashed; n++) {
        struct play p = play_open(seed);
        struct journal_stats stats;
        char orders[64];
        p.w = world_make();
        snprintf(orders, sizeof orders, "kill %u", n);
        crashed = child_run(&p.w, seed, "purge", orders).crashed;
        faults_set("");
        world_enter(&p.w);
        zone_table_drain(p.w.table);
        journal_wait(p.w.journal);
        journal_stats(p.w.journal, &stats);
        struct version *v = zone_version(world_zone(&p.w, 3)),
                       *other = zone_version(world_zone(&p.w, 2));
        ck_assert_msg(stats.damaged == 0 && other && other->soa.serial == 12, "%s", orders);
        if (v) {
            EXPECT_EQ(v->soa.serial, 12);
            EXPECT(v->history && v->history->n > 0);
            whole++;
        } else {
            least = !gone || stats.used < least ? stats.used : least;
            most = stats.used > most ? stats.used : most;
            gone++;
        }
        version_unref(v);
        version_unref(other);
        world_leave(&p.w);
        world_end(&p.w);
        play_close(&p);
    }
    ck_assert_msg(whole > 1 && gone > 3, "%u times whole, %u times gone", whole, gone);
    ck_assert_msg(most < 2 * least, "%zu octets are in use afterwards, or %zu", least, most);
}
END_TEST

/* The disk cannot read a sector: what lies there is fetched again, its zone's alone if it is a value's, and nothing else is lost. */
START_TEST(test_sectors_that_cannot_be_read)
{
    struct random random = random_open();
    struct play p = play_open(random_u64(&random));
    struct expected want[ALL_ZONES] = {0};
    struct journal_stats stats;
    char orders[96], aside[96], file[96];
    unsigned of_zones = 0, of_all = 0;
    p.w = world_make();
    faults_set("");
    world_enter(&p.w);
    script_play(&p);
    for (unsigned i = 0; i < ALL_ZONES; i++)
        world_expect(&p.w, i, &want[i]);
    world_leave(&p.w);
    snprintf(aside, sizeof aside, "%s.damaged", p.w.folder);
    struct world copy = world_make();
    for (size_t at = 0, size = file_octets(&p.w); at < size; at += 4096) {
        char command[256];
        snprintf(command, sizeof command, "rm -rf %s.damaged && cp %s/data.mdb %s/", copy.folder,
                 p.w.folder, copy.folder);
        ck_assert_int_eq(system(command), 0);
        snprintf(aside, sizeof aside, "%s.damaged", copy.folder);
        struct stat st;
        snprintf(file, sizeof file, "%s/data.mdb", copy.folder);
        ck_assert_int_eq(stat(file, &st), 0);
        snprintf(orders, sizeof orders, "unreadable %zu %zu %lu", at, at + 4096,
                 (unsigned long)st.st_ino);
        faults_set(orders);
        world_enter(&copy);
        journal_stats(copy.journal, &stats);
        bool all = access(aside, F_OK) == 0;
        unsigned lost = 0;
        for (unsigned i = 0; i < ALL_ZONES; i++) {
            struct version *v = zone_version(world_zone(&copy, i));
            if (v)
                world_found_as(&copy, i, &want[i]);
            lost += !v;
            version_unref(v);
        }
        ck_assert_msg(all ? lost == ALL_ZONES && stats.damaged == 1 : lost == stats.damaged,
                      "%s: %u zones are lost, %llu counted", orders, lost,
                      (unsigned long long)stats.damaged);
        of_all += all;
        of_zones += !all && lost;
        world_leave(&copy);
    }
    ck_assert_msg(of_zones > 3 && of_all > 3, "%u cost zones, %u the journal", of_zones, of_all);
    faults_set("");
    for (unsigned i = 0; i < ALL_ZONES; i++)
        expected_free(&want[i]);
    world_end(&copy);
    world_end(&p.w);
    play_close(&p);
}
END_TEST

/* Every version changes most of all layers of a zone: each of them has its turn to be made an image of, and old steps go. */
START_TEST(test_layers_take_turns)
{
    struct random random = random_open();
    struct play p = play_open(random_u64(&random));
    struct journal_stats stats;
    size_t early = 0;
    p.w = world_make();
    faults_set("");
    world_enter(&p.w);
    for (unsigned i = 0; i < 80; i++) {
        source_step(&p.source[3], 60);
        hand_in(world_zone(&p.w, 3), &p.source[3]);
        zone_table_drain(p.w.table);
        journal_wait(p.w.journal);
        journal_stats(p.w.journal, &stats);
        if (i < 20 && stats.used > early)
            early = stats.used;
        ck_assert_msg(stats.used < 2 * early, "%zu octets are in use after %u versions, %zu early",
                      stats.used, i, early);
    }
    world_leave(&p.w);
    world_end(&p.w);
    play_close(&p);
}
END_TEST

/* ---- while the journal cannot be written ---- */

static void until_waiting(struct world *w, size_t n)
{
    struct journal_stats stats;
    for (int i = 0; i < 10000; i++) {
        journal_stats(w->journal, &stats);
        if (stats.waiting == n && stats.failures)
            return;
        usleep(1000);
    }
    ck_abort_msg("%zu versions wait, want %zu", stats.waiting, n);
}

static struct play stuck_play(struct random *random, bool async)
{
    struct play p = play_open(random_u64(random));
    p.w = world_make();
    p.w.async = async;
    faults_set("");
    world_enter(&p.w);
    hand_in(world_zone(&p.w, 3), &p.source[3]);
    zone_table_drain(p.w.table);
    journal_wait(p.w.journal);
    faults_set("ENOSPC 1 1000000");
    source_step(&p.source[3], 1000); /* nothing is left of it: it needs an image */
    hand_in(world_zone(&p.w, 3), &p.source[3]);
    return p;
}

typedef void found_fn(struct world *w, unsigned i, const struct expected *want);
static void restart_found_by(struct play *p, const struct expected *want, found_fn *found)
{
    struct journal_stats stats;
    world_leave(&p->w);
    world_enter(&p->w);
    journal_stats(p->w.journal, &stats);
    EXPECT_EQ(stats.damaged, 0);
    found(&p->w, 3, want);
    world_leave(&p->w);
    world_end(&p->w);
    play_close(p);
}

static void restart_finds(struct play *p, const struct expected *want)
{
    restart_found_by(p, want, world_found_as);
}

/* An image takes its time; changes that came after it stay behind it. */
START_TEST(test_changes_behind_an_image)
{
    struct random random = random_open();
    struct play p = stuck_play(&random, true);
    struct expected want = {0};
    zone_table_drain(p.w.table);
    for (int i = 0; i < 3; i++) {
        source_step(&p.source[3], 2);
        hand_in(world_zone(&p.w, 3), &p.source[3]);
        zone_table_drain(p.w.table);
    }
    until_waiting(&p.w, 4);
    world_expect(&p.w, 3, &want);
    faults_set("");
    restart_finds(&p, &want);
    expected_free(&want);
}
END_TEST

static size_t behind(const struct world *w)
{
    struct journal_stats stats;
    journal_stats(w->journal, &stats);
    return stats.behind_octets;
}

static void until_it_waits(struct zone *z, uint32_t serial)
{
    for (int i = 0; i < 10000; i++) {
        if (journal_waiting(z->journal) && journal_behind(z->journal)) {
            struct version *v = zone_version(z);
            EXPECT(v->soa.serial < serial);
            version_unref(v);
            return;
        }
        usleep(1000);
    }
    ck_abort_msg("serial %u should wait for the disk", serial);
}

/* With durability = "async", what is ahead of the disk has a bound in octets: then versions wait, and are seen when it can be written again. */
START_TEST(test_async_is_bounded)
{
    struct random random = random_open();
    struct play p = play_open(random_u64(&random));
    struct expected want = {0};
    struct zone *z;
    size_t before = 0, largest = 0;
    p.w = world_make();
    p.w.async = true;
    faults_set("");
    world_enter(&p.w);
    z = world_zone(&p.w, 3);
    hand_in(z, &p.source[3]);
    zone_table_drain(p.w.table);
    journal_wait(p.w.journal);
    EXPECT_EQ(behind(&p.w), 0);
    faults_set("ENOSPC 1 1000000");
    unsigned n = 0;
    for (; !journal_behind(z->journal); n++) {
        ck_assert_uint_lt(n, 900);
        source_step(&p.source[3], 60);
        hand_in(z, &p.source[3]);
        zone_table_drain(p.w.table);
        size_t now = behind(&p.w);
        largest = now - before > largest ? now - before : largest;
        before = now;
    }
    ck_assert_msg(before < (1 << 20) + largest && n > 3, "%zu octets, %u versions", before, n);
    for (int i = 0; i < 3; i++) {
        source_step(&p.source[3], 60);
        hand_in(z, &p.source[3]);
        until_it_waits(z, p.source[3].gen.serial);
        EXPECT_EQ(behind(&p.w), before);
    }
    faults_set("");
    zone_table_drain(p.w.table);
    journal_wait(p.w.journal);
    EXPECT_EQ(behind(&p.w), 0);
    world_expect(&p.w, 3, &want);
    EXPECT_EQ(want.serial, p.source[3].gen.serial);
    restart_found_by(&p, &want, world_serves_as); /* 60 changes may be more than the zone */
    expected_free(&want);
}
END_TEST

/* One held version after the other while nothing can be written: the last one is what waits. */
START_TEST(test_held_ones_do_not_pile_up)
{
    struct random random = random_open();
    struct play p = play_open(random_u64(&random));
    struct source *s = &p.source[ZONE_HOLDS];
    struct journal_stats stats;
    size_t one = 0;
    p.w = world_make();
    faults_set("");
    world_enter(&p.w);
    hold_play(&p);
    faults_set("ENOSPC 1 1000000");
    for (int i = 0; i < 60; i++) {
        do
            source_step(s, 3);
        while (s->gen.serial % 5);
        hand_in(world_zone(&p.w, ZONE_HOLDS), s);
        zone_table_drain(p.w.table);
        journal_stats(p.w.journal, &stats);
        for (uint64_t was = stats.failures; stats.failures < was + 2;) {
            usleep(1000); /* the journal has looked at what has come */
            journal_stats(p.w.journal, &stats);
        }
        one = i == 9 ? stats.behind_octets : one;
        ck_assert_msg(i < 10 || stats.behind_octets < 2 * one,
                      "%zu octets of %d held versions, %zu of 10", stats.behind_octets, i, one);
    }
    ck_assert_uint_gt(one, 0);
    faults_set("");
    journal_wait(p.w.journal);
    uint32_t held = s->gen.serial;
    world_leave(&p.w);
    world_enter(&p.w);
    zone_table_drain(p.w.table);
    struct zone *z = world_zone(&p.w, ZONE_HOLDS);
    ck_assert_ptr_nonnull(z->held);
    EXPECT_EQ(z->held->serial, held);
    world_leave(&p.w);
    world_end(&p.w);
    play_close(&p);
}
END_TEST

/* The zone is dropped while its version waits, and comes again: what waits is not written over what the new one writes. */
START_TEST(test_dropped_and_back_while_a_version_waits)
{
    struct random random = random_open();
    struct play p = stuck_play(&random, false);
    struct expected want = {0};
    until_waiting(&p.w, 1);
    struct version *v;
    world_configure(&p.w, 1u << 3);
    world_configure(&p.w, 0);
    v = zone_version(world_zone(&p.w, 3));
    ck_assert_ptr_nonnull(v); /* as the journal has it */
    ck_assert_uint_eq(v->soa.serial, p.source[3].gen.serial - 1);
    version_unref(v);
    source_step(&p.source[3], 2);
    hand_in(world_zone(&p.w, 3), &p.source[3]);
    faults_set("");
    zone_table_drain(p.w.table);
    world_expect(&p.w, 3, &want);
    EXPECT_EQ(want.serial, p.source[3].gen.serial);
    restart_finds(&p, &want);
    expected_free(&want);
}
END_TEST

/* It is not waited for: weir ends, with what it had. */
START_TEST(test_end_while_a_version_waits)
{
    struct random random = random_open();
    struct play p = stuck_play(&random, false);
    struct expected want = {0};
    until_waiting(&p.w, 1);
    world_expect(&p.w, 3, &want);
    journal_closing(p.w.journal);
    zone_table_drain(p.w.table);
    world_found_as(&p.w, 3, &want);
    restart_finds(&p, &want);
    expected_free(&want);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc == 7 && strcmp(argv[1], "child") == 0)
        return child_main(argv + 2);
    struct suite s = suite_open("journal_crash");
    if (getenv("WEIR_CRASHES"))
        tcase_set_timeout(s.tcase, 7200);
    suite_add(s, test_killed_before_a_call);
    suite_add(s, test_killed_within_a_call);
    suite_add(s, test_killed_before_a_call_async);
    suite_add(s, test_killed_within_a_call_async);
    suite_add(s, test_killed_while_approved);
    suite_add(s, test_killed_while_approved_async);
    suite_add(s, test_failing_calls);
    suite_add(s, test_failing_calls_async);
    suite_add(s, test_nothing_is_left_for_good);
    suite_add(s, test_killed_while_purged);
    suite_add(s, test_sectors_that_cannot_be_read);
    suite_add(s, test_layers_take_turns);
    suite_add(s, test_changes_behind_an_image);
    suite_add(s, test_async_is_bounded);
    suite_add(s, test_held_ones_do_not_pile_up);
    suite_add(s, test_dropped_and_back_while_a_version_waits);
    suite_add(s, test_end_while_a_version_waits);
    return suite_run(s);
}
