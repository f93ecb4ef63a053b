/* weir replay: captured transfers through the chains of a configuration.
 *
 * Transfers of one zone are judged in the order in which they began; messages are handed to zone/transfer, the same
 * code that the daemon feeds from its sockets, with the time of the transfer's last packet as the clock. A zone's family has one
 * writer, so a transfer that begins while another of its zone is open keeps its messages until that one ends.
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
    struct replay_transfer *busy; /* whose transfer has the family */
};
struct message {
    struct message *next;
    size_t len;
    uint8_t data[];
};
struct replay_transfer {
    struct replay_zone *zone;
    struct transfer *transfer; /* NULL: waits, or refused */
    int state;                 /* 0 more must come, 1 complete, < 0 refused */
    struct why why;
    struct message *first, **last; /* kept while another has the family */
};
struct replay {
    const struct config *config;
    const char *config_path, *zone, *write_dir;
    time_t at; /* 0: the packets' own */
    bool json_wanted;
    struct json *json;
    struct pool *pool;
    struct replay_zone *zones; /* one a zone of the configuration */
    size_t passed, refused, skipped, kept;
    uint8_t only[NAME_MAX_OCTETS];
};

static struct replay_zone *zone_of(struct replay *r, const uint8_t *name)
{
    const struct zone_conf *conf = config_zone(r->config, name);
    if (!conf || (r->zone && !name_equal(name, r->only)))
        return NULL;
    struct replay_zone *z = &r->zones[conf - r->config->zones];
    if (!z->judge) {
        z->conf = conf;
        z->judge = judge_new(conf, r->pool);
    }
    return z;
}

static void transfer_start(struct replay_transfer *t, uint16_t id)
{
    const struct version *v = judge_version(t->zone->judge);
    struct transfer_config config = {
        .family = judge_family(t->zone->judge),
        .held = v ? v->input : NULL,
        .id = id,
        .limits = {(size_t)t->zone->conf->max_records, (size_t)t->zone->conf->max_bytes},
    };
    t->zone->busy = t;
    t->transfer = transfer_new(&config);
}

static void *on_begin(void *ctx, const struct capture_transfer *c)
{
    struct replay *r = ctx;
    struct replay_zone *z = zone_of(r, c->zone);
    char name[NAME_TEXT_MAX];
    if (!z) {
        if (!r->json)
            printf("transfer %u: %s is not in the configuration, or not asked for: skipped\n",
                   c->number, name_print(c->zone, name));
        r->skipped++;
        return NULL;
    }
    struct replay_transfer *t = mem_zalloc(sizeof *t);
    t->zone = z;
    t->last = &t->first;
    if (!z->busy)
        transfer_start(t, c->id);
    return t;
}

static void transfer_message(struct replay_transfer *t, const uint8_t *msg, size_t len)
{
    if (t->state == 0)
        t->state = transfer_feed(t->transfer, msg, len, &t->why);
}

static void on_message(void *ctx, void *handle, const struct capture_transfer *c,
                       const uint8_t *msg, size_t len)
{
    struct replay *r = ctx;
    struct replay_transfer *t = handle;
    (void)c;
    if (t->transfer) {
        transfer_message(t, msg, len);
        return;
    }
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
        if (t->transfer)
            transfer_message(t, m->data, m->len);
        r->kept -= m->len;
        mem_free(&m);
    }
}

static void print_refusal(struct replay *r, const struct replay_transfer *t,
                          const struct capture_transfer *c, const char *from)
{
    r->refused++;
    if (r->json) {
        json_string(r->json, "zone", t->zone->conf->text);
        json_string(r->json, "from", from);
        json_int(r->json, "at", c->ended.tv_sec);
        json_string(r->json, "verdict", "malformed");
        json_string(r->json, "why", t->why.text);
    } else {
        printf("%s from %s: REFUSED as a transfer: %s\n", t->zone->conf->text, from, t->why.text);
    }
}

static void write_zone(const struct replay *r, const struct replay_transfer *t)
{
    const struct version *v = judge_version(t->zone->judge);
    char *path = mem_printf("%s/%s%u.zone", r->write_dir, t->zone->conf->text, v->soa.serial);
    FILE *f = fopen(path, "w");
    if (f)
        text_print_snapshot(f, v->served);
    if (!f || fclose(f))
        fprintf(stderr, "weir replay: cannot write %s: %s\n", path, strerror(errno));
    mem_free(&path);
}

static void judge_transfer(struct replay *r, struct replay_transfer *t,
                           const struct capture_transfer *c, const char *from)
{
    struct snapshot *s;
    if (transfer_take(t->transfer, &s, NULL, &t->why)) {
        print_refusal(r, t, c, from);
        return;
    }
    struct judge_report report = judge_input(
        t->zone->judge, s, from, r->at ? r->at : c->ended.tv_sec, r->json ? NULL : stdout, r->json);
    snapshot_unref(s);
    if (report.verdict != STAGE_PASS) {
        r->refused++;
        return;
    }
    r->passed++;
    if (r->write_dir)
        write_zone(r, t);
}

static void on_end(void *ctx, void *handle, const struct capture_transfer *c, const char *problem)
{
    struct replay *r = ctx;
    struct replay_transfer *t = handle;
    char address[ADDRESS_TEXT_MAX];
    char *from = mem_printf("transfer %u, %s", c->number, address_print(&c->primary, address));
    if (!t->transfer && t->state == 0) {
        if (t->zone->busy)
            t->state = why_set(
                &t->why, -E_LIMIT,
                "it ended while another transfer of its zone that began before it was still open");
        else
            transfer_start(t, c->id);
    }
    kept_feed(r, t);
    if (t->state == 0 && problem)
        t->state = why_set(&t->why, -E_CLOSED, "%s", problem);
    else if (t->state == 0)
        t->state = transfer_end_of_stream(t->transfer, &t->why);
    if (r->json)
        json_object(r->json, NULL);
    if (t->state == 1)
        judge_transfer(r, t, c, from);
    else
        print_refusal(r, t, c, from);
    if (r->json)
        json_end(r->json);
    transfer_free(&t->transfer);
    if (t->zone->busy == t)
        t->zone->busy = NULL;
    mem_free(&from);
    mem_free(&t);
}

static int replay_file(struct replay *r, const char *path, struct why *why)
{
    static const struct capture_handler handler = {on_begin, on_message, on_end};
    struct capture_summary s;
    int err = capture_read(path, &handler, r, &s, why);
    if (!r->json)
        printf("%s: %zu packets, %zu connections, %zu transfers, %zu segments retransmitted, %zu "
               "reordered, %zu octets lost, %zu packets "
               "ignored\n",
               path, s.packets, s.connections, s.transfers, s.retransmitted, s.reordered,
               s.lost_octets, s.ignored_packets);
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
        printf("%zu passed, %zu refused or held, %zu skipped\n", r->passed, r->refused, r->skipped);
    }
    for (size_t i = 0; i < r->config->nzones; i++)
        judge_free(&r->zones[i].judge);
    mem_free(&r->zones);
    pool_free(&r->pool);
    return code != EXIT_YES ? code : r->refused ? EXIT_NO : EXIT_YES;
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
    "run captured transfers through the chains: exit 0 all passed, 1 some refused or held, 2 "
    "cannot",
    replay};
