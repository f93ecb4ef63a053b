/* weir replay: captured transfers through the chains of a configuration.
 *
 * Messages are handed to zone/transfer, the same code that the daemon feeds from its sockets, with the time of the transfer's
 * last packet as the clock. A zone's family has one writer, so the transfers of a zone stand in a queue in the order in which
 * their first answers came: the first is fed as its messages come, the others keep theirs until those before them have ended.
 *
 * An IXFR leads from what came in before it, also when the chain refused that: the question is what the chain says of every version
 * that the primary had.
 */
#include "pipeline/command.h"

#include "pipeline/base/json.h"
#include "pipeline/net/capture.h"
#include "pipeline/zone/text.h"
#include "pipeline/zone/transfer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { KEPT_MAX = 1 << 30 };

struct replay_zone {
    const struct zone_conf *conf;
    struct judge *judge;
    struct snapshot
        *newest; /* came in last, whatever the chain said of it: what an IXFR leads from */
    struct replay_transfer *first, **last; /* the queue; the first has the family */
};
struct message {
    struct message *next;
    size_t len;
    uint8_t data[];
};
struct replay_transfer {
    struct replay_transfer *next;
    struct replay_zone *zone;
    struct capture_transfer about;
    struct transfer *transfer; /* NULL: waits */
    bool queued, ended;
    size_t messages;
    int state;                     /* of transfer_feed: 0 more must come, 1 complete, < 0 refused */
    struct why why;                /* refused: by which rule */
    char *problem;                 /* what the capture reader has to say at its end, or NULL */
    struct message *first, **last; /* kept until it has the family */
};
struct replay {
    const struct config *config;
    const char *config_path, *zone, *write_dir;
    time_t at; /* 0: the packets' own */
    bool json_wanted, write_failed;
    struct json *json;
    struct pool *pool;
    struct replay_zone *zones; /* one a zone of the configuration */
    size_t passed, refused, incomplete, skipped, current, kept;
    uint8_t only[NAME_MAX_OCTETS];
};

/* NULL: not one to judge, for the reason in why. */
static struct replay_zone *zone_of(struct replay *r, const uint8_t *name, struct why *why)
{
    const struct zone_conf *conf = config_zone(r->config, name);
    if (!conf || (r->zone && !name_equal(name, r->only))) {
        why_set(why, -E_NOENT, "not in the configuration, or not asked for");
        return NULL;
    }
    struct replay_zone *z = &r->zones[conf - r->config->zones];
    if (!z->judge) {
        if (judge_new(conf, r->config->server.state, r->pool, &z->judge, why))
            return NULL;
        z->conf = conf;
        z->last = &z->first;
    }
    return z;
}

static void *skip(struct replay *r, const struct capture_transfer *c, const char *why)
{
    char name[NAME_TEXT_MAX];
    if (!r->json)
        printf("transfer %u: %s: %s: skipped\n", c->number, name_print(c->zone, name), why);
    r->skipped++;
    return NULL;
}

static void *on_begin(void *ctx, const struct capture_transfer *c)
{
    struct replay *r = ctx;
    struct why why;
    struct replay_zone *z = zone_of(r, c->zone, &why);
    if (!z)
        return skip(r, c, why.text);
    struct replay_transfer *t = mem_zalloc(sizeof *t);
    t->zone = z;
    t->about = *c;
    t->last = &t->first;
    return t;
}

/* ---- verdicts -------------------------------------------------------------------------------------------- */

static void print_refusal(struct replay *r, const struct replay_transfer *t, const char *from,
                          bool incomplete)
{
    if (incomplete)
        r->incomplete++;
    else
        r->refused++;
    if (r->json) {
        json_string(r->json, "zone", t->zone->conf->text);
        json_string(r->json, "from", from);
        json_int(r->json, "at", t->about.ended.tv_sec);
        json_string(r->json, "verdict", incomplete ? "incomplete" : "malformed");
        json_string(r->json, "why", t->why.text);
    } else {
        printf("%s from %s: %s: %s\n", t->zone->conf->text, from,
               incomplete ? "INCOMPLETE in the capture" : "REFUSED as a transfer", t->why.text);
    }
}

static void write_zone(struct replay *r, const struct replay_transfer *t)
{
    const struct version *v = judge_version(t->zone->judge);
    char *name = mem_printf("%s%u.zone", t->zone->conf->text, v->soa.serial);
    for (char *slash = name; (slash = strchr(slash, '/'));) /* 0/25.2.0.192.in-addr.arpa. */
        *slash = '_';
    char *path = mem_printf("%s/%s", r->write_dir, name);
    FILE *f = fopen(path, "we");
    bool failed = !f;
    if (f) {
        text_print_snapshot(f, v->served);
        failed = ferror(f);
        failed = fclose(f) || failed;
    }
    if (failed) {
        fprintf(stderr, "weir replay: cannot write %s: %s\n", path, strerror(errno));
        r->write_failed = true;
    }
    mem_free(&path);
    mem_free(&name);
}

static void judge_transfer(struct replay *r, struct replay_transfer *t, const char *from)
{
    struct snapshot *s;
    if (transfer_take(t->transfer, &s, NULL, &t->why)) {
        print_refusal(r, t, from, false);
        return;
    }
    snapshot_unref(t->zone->newest);
    t->zone->newest = snapshot_ref(s);
    struct judge_report report =
        judge_input(t->zone->judge, s, from, r->at ? r->at : t->about.ended.tv_sec,
                    r->json ? NULL : stdout, r->json);
    snapshot_unref(s);
    if (report.verdict != STAGE_PASS) {
        r->refused++;
        return;
    }
    r->passed++;
    if (r->write_dir)
        write_zone(r, t);
}

/* An IXFR that was answered by one SOA: there is nothing to judge. */
static void print_current(struct replay *r, const struct replay_transfer *t, const char *from)
{
    struct transfer_stats stats;
    transfer_stats(t->transfer, &stats);
    r->current++;
    if (r->json) {
        json_string(r->json, "zone", t->zone->conf->text);
        json_string(r->json, "from", from);
        json_int(r->json, "at", t->about.ended.tv_sec);
        json_string(r->json, "verdict", "current");
        json_uint(r->json, "serial", stats.serial);
    } else {
        printf("%s from %s: CURRENT: serial %u\n", t->zone->conf->text, from, stats.serial);
    }
}

/* What is not a whole transfer, in words; true when the capture, not the primary, is to blame. */
static bool explain(struct replay_transfer *t)
{
    if (t->state < 0)
        return false;
    if (!t->messages)
        (void)why_set(&t->why, -E_CLOSED, "not answered: %s",
                      t->problem ? t->problem : "the primary closed the connection");
    else if (t->problem)
        (void)why_set(&t->why, -E_CLOSED, "%s", t->problem);
    else
        t->state = transfer_end_of_stream(t->transfer, &t->why);
    return t->problem != NULL;
}

/* The transfer has ended, and it is its turn. */
static void conclude(struct replay *r, struct replay_transfer *t)
{
    char address[ADDRESS_TEXT_MAX];
    char *from =
        mem_printf("transfer %u, %s", t->about.number, address_print(&t->about.primary, address));
    if (r->json)
        json_object(r->json, NULL);
    if (t->state == TRANSFER_COMPLETE)
        judge_transfer(r, t, from);
    else if (t->state == TRANSFER_CURRENT)
        print_current(r, t, from);
    else
        print_refusal(r, t, from, explain(t));
    if (r->json)
        json_end(r->json);
    mem_free(&from);
}

/* ---- messages -------------------------------------------------------------------------------------------- */

static void transfer_start(struct replay_transfer *t)
{
    const struct snapshot *held = t->zone->newest;
    struct soa soa;
    if (t->about.has_client_serial && held && snapshot_soa(held, &soa) &&
        soa.serial != t->about.client_serial)
        held = NULL; /* asked by somebody who has another version: an answer in full is as good */
    struct transfer_config config = {
        .family = judge_family(t->zone->judge),
        .held = held,
        .id = t->about.id,
        .incremental = t->about.qtype == RR_IXFR,
        .limits = {(size_t)t->zone->conf->max_records, (size_t)t->zone->conf->max_bytes, 0},
    };
    t->transfer = transfer_new(&config);
}

static void transfer_message(struct replay_transfer *t, const uint8_t *msg, size_t len)
{
    if (t->state == 0)
        t->state = transfer_feed(t->transfer, msg, len, &t->why);
}

static void message_keep(struct replay *r, struct replay_transfer *t, const uint8_t *msg,
                         size_t len)
{
    if (t->state < 0)
        return;
    if (r->kept + len > KEPT_MAX) {
        t->state = why_set(
            &t->why, -E_LIMIT,
            "it overlaps another transfer of its zone, and more than 1 GiB would have to wait");
        return;
    }
    struct message *m = mem_alloc(sizeof *m + len);
    m->next = NULL;
    m->len = len;
    memcpy(m->data, msg, len);
    *t->last = m;
    t->last = &m->next;
    r->kept += len;
}

static void kept_feed(struct replay *r, struct replay_transfer *t)
{
    while (t->first) {
        struct message *m = t->first;
        t->first = m->next;
        transfer_message(t, m->data, m->len);
        r->kept -= m->len;
        mem_free(&m);
    }
    t->last = &t->first;
}

static void transfer_drop(struct replay_transfer *t)
{
    transfer_free(&t->transfer);
    mem_free(&t->problem);
    mem_free(&t);
}

/* The first of the queue has the family; those that have ended go. */
static void queue_advance(struct replay *r, struct replay_zone *z)
{
    struct replay_transfer *t;
    while ((t = z->first)) {
        if (!t->transfer) {
            transfer_start(t);
            kept_feed(r, t);
        }
        if (!t->ended)
            return;
        conclude(r, t);
        z->first = t->next;
        if (!z->first)
            z->last = &z->first;
        transfer_drop(t);
    }
}

static void on_message(void *ctx, void *handle, const struct capture_transfer *c,
                       const uint8_t *msg, size_t len)
{
    struct replay *r = ctx;
    struct replay_transfer *t = handle;
    (void)c;
    t->messages++;
    if (!t->queued) {
        t->queued = true;
        *t->zone->last = t;
        t->zone->last = &t->next;
        queue_advance(r, t->zone);
    }
    if (t->transfer)
        transfer_message(t, msg, len);
    else
        message_keep(r, t, msg, len);
}

static void on_end(void *ctx, void *handle, const struct capture_transfer *c, const char *problem)
{
    struct replay *r = ctx;
    struct replay_transfer *t = handle;
    t->about = *c;
    t->ended = true;
    t->problem = problem ? mem_strdup(problem) : NULL;
    if (t->queued) {
        queue_advance(r, t->zone);
        return;
    }
    conclude(r, t);
    transfer_drop(t);
}

/* ---- command --------------------------------------------------------------------------------------------- */

static int replay_file(struct replay *r, const char *path, struct why *why)
{
    static const struct capture_handler handler = {on_begin, on_message, on_end};
    struct capture_summary s;
    int err = capture_read(path, &handler, r, &s, why);
    if (!r->json)
        printf(
            "%s: %zu packets (%zu ignored), %zu connections (%zu began before it), %zu transfers; "
            "segments: %zu retransmitted, %zu reordered; octets: %zu lost, %zu not readable\n",
            path, s.packets, s.ignored_packets, s.connections, s.headless, s.transfers,
            s.retransmitted, s.reordered, s.lost_octets, s.unread_octets);
    return err;
}

static int replay_files(struct replay *r, int n, char **files)
{
    struct why why;
    int code = EXIT_YES;
    r->pool = pool_new(
        (unsigned)(sysconf(_SC_NPROCESSORS_ONLN) > 1 ? sysconf(_SC_NPROCESSORS_ONLN) - 1 : 0));
    r->zones = mem_array(r->config->nzones + 1, sizeof r->zones[0]);
    r->json = r->json_wanted ? json_new() : NULL;
    if (r->json)
        json_array(r->json, NULL);
    for (int i = 0; i < n && code == EXIT_YES; i++)
        if (replay_file(r, files[i], &why))
            code = command_fail("replay", &why);
    if (r->json) {
        json_end(r->json);
        printf("%s\n", json_text(r->json, NULL));
        json_free(&r->json);
    } else {
        printf("%zu passed, %zu refused or held, %zu incomplete, %zu skipped", r->passed,
               r->refused, r->incomplete, r->skipped);
        if (r->current)
            printf(", %zu current", r->current);
        printf("\n");
    }
    for (size_t i = 0; i < r->config->nzones; i++) {
        snapshot_unref(r->zones[i].newest);
        judge_free(&r->zones[i].judge);
    }
    mem_free(&r->zones);
    pool_free(&r->pool);
    if (code != EXIT_YES)
        return code;
    if (r->passed + r->refused + r->incomplete == 0) {
        why_set(&why, -E_NOENT, "no transfer to judge in %s", n == 1 ? files[0] : "these captures");
        return command_fail("replay", &why);
    }
    return r->write_failed ? EXIT_CANNOT : r->refused + r->incomplete ? EXIT_NO : EXIT_YES;
}

static int replay(int argc, char **argv)
{
    struct replay r = {0};
    const char *at = NULL;
    const struct command_option options[] = {
        {"-c", &r.config_path, NULL},    {"--zone", &r.zone, NULL},        {"--at", &at, NULL},
        {"--write", &r.write_dir, NULL}, {"--json", NULL, &r.json_wanted}, {NULL, NULL, NULL}};
    struct why why;
    struct config *config;
    int code = command_options(&command_replay, &argc, argv, options);
    if (code)
        return code;
    if (at && text_time(at, &r.at))
        return command_usage(&command_replay,
                             "--at %s: expected YYYYMMDDHHMMSS (UTC) or seconds since 1970", at);
    if (argc < 2)
        return command_usage(&command_replay, "which capture?");
    if (r.zone && name_parse(r.zone, r.only, &why) < 0)
        return command_fail("replay", &why);
    if (config_load(command_config_path(r.config_path), &config, &why))
        return command_fail("replay", &why);
    r.config = config;
    if (r.zone && !config_zone(config, r.only)) {
        why_set(&why, -E_NOENT, "%s: zone %s is not in it", config->path, r.zone);
        code = command_fail("replay", &why);
    } else {
        rcu_thread_start();
        code = replay_files(&r, argc - 1, argv + 1);
        rcu_thread_stop();
    }
    config_unref(config);
    return code;
}

const struct command_type command_replay = {
    "replay", "[-c FILE] [--zone ZONE] [--at TIME] [--write DIR] [--json] CAPTURE…",
    "run captured transfers through the chains: exit 0 all passed, 1 some refused, held or "
    "incomplete, 2 cannot",
    replay};
