/* weir journal, weir dump: what the journal has, of all zones, or of one. They read it themselves: beside a running weir, or without one. Only
 * which zones are configured is a running weir's to say. */
#include "pipeline/command.h"

#include "pipeline/base/json.h"
#include "pipeline/net/control.h"
#include "pipeline/run/journal.h"
#include "pipeline/zone/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int journal_beside(const struct config *config, struct journal_reader **out, struct why *why)
{
    char *folder = mem_printf("%s/journal", config->server.state);
    int err = journal_reader_open(folder, out, why);
    mem_free(&folder);
    return err;
}

static int journal_find(const char *path, const char *zone, uint8_t name[NAME_MAX_OCTETS],
                        struct journal_reader **out, struct why *why)
{
    struct config *config;
    if (name_parse(zone, name, why) < 0)
        return -E_FORMAT;
    int err = config_load_server(command_config_path(path), &config, why);
    if (err)
        return err;
    err = journal_beside(config, out, why);
    config_unref(config);
    return err;
}

/* ---- all zones ---- */

struct configured {
    bool known;
    size_t n;
    uint8_t (*name)[NAME_MAX_OCTETS]; /* in order */
};

static struct configured configured_ask(const struct config *config)
{
    struct configured c = {false, 0, NULL};
    char *text = NULL, *rest = NULL, *word = (char[]){"zones"};
    size_t len = 0, lines = 0;
    struct why why;
    FILE *f = open_memstream(&text, &len);
    c.known = config->server.control &&
              control_ask(config->server.control, 1, (char *[]){word, NULL}, f, &why) == 0;
    fclose(f);
    for (size_t i = 0; i < len; i++)
        lines += text[i] == '\n';
    c.name = mem_array(lines + 1, sizeof c.name[0]);
    for (char *line = strtok_r(text, "\n", &rest); c.known && line;
         line = strtok_r(NULL, "\n", &rest))
        if (name_parse(line, c.name[c.n], &why) > 0)
            c.n++;
    free(text);
    return c;
}

static int name_order(const void *a, const void *b)
{
    return name_cmp(a, b);
}

static int zone_order(const void *a, const void *b)
{
    const struct journal_zone_listed *x = a, *y = b;
    return name_cmp(x->name, y->name);
}

static bool is_configured(const struct configured *c, const uint8_t *name)
{
    return bsearch(name, c->name, c->n, sizeof c->name[0], name_order) != NULL;
}

static void zones_text(const struct journal_zones *zones, const struct configured *c)
{
    char text[NAME_TEXT_MAX];
    for (size_t i = 0; i < zones->n; i++) {
        const struct journal_zone_listed *z = &zones->zone[i];
        printf("%s  serial %u  %" PRIu64 " versions  %" PRIu64 " octets", name_print(z->name, text),
               z->serial, z->versions, z->octets);
        if (c->known)
            printf("  %s", is_configured(c, z->name) ? "configured" : "not configured");
        if (z->damage.text[0])
            printf("  damaged: %s", z->damage.text);
        putchar('\n');
    }
    if (!c->known)
        printf("no weir answers: which of them are configured is not known\n");
}

static void zones_json(const struct journal_zones *zones, const struct configured *c)
{
    char text[NAME_TEXT_MAX];
    struct json *j = json_new();
    json_object(j, NULL);
    json_array(j, "zones");
    for (size_t i = 0; i < zones->n; i++) {
        const struct journal_zone_listed *z = &zones->zone[i];
        json_object(j, NULL);
        json_string(j, "zone", name_print(z->name, text));
        json_uint(j, "serial", z->serial);
        json_uint(j, "versions", z->versions);
        json_uint(j, "octets", z->octets);
        if (c->known)
            json_bool(j, "configured", is_configured(c, z->name));
        if (z->damage.text[0])
            json_string(j, "damage", z->damage.text);
        json_end(j);
    }
    json_end(j);
    json_end(j);
    size_t len;
    printf("%s\n", json_text(j, &len));
    json_free(&j);
}

static int zones_list(const char *path, bool as_json)
{
    struct config *config;
    struct journal_reader *reader = NULL;
    struct journal_zones zones = {0};
    struct why why;
    if (config_load_server(command_config_path(path), &config, &why))
        return command_fail("journal", &why);
    int err = journal_beside(config, &reader, &why);
    if (!err)
        err = journal_reader_zones(reader, &zones, &why);
    journal_reader_close(&reader);
    if (!err) {
        struct configured c = configured_ask(config);
        if (zones.n)
            qsort(zones.zone, zones.n, sizeof zones.zone[0], zone_order);
        if (as_json)
            zones_json(&zones, &c);
        else
            zones_text(&zones, &c);
        mem_free(&c.name);
        mem_free(&zones.zone);
    }
    config_unref(config);
    return err ? command_fail("journal", &why) : EXIT_YES;
}

/* ---- one zone ---- */

static const char *when(time_t at, char out[32])
{
    struct tm tm;
    if (!gmtime_r(&at, &tm) || !strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm))
        return "?";
    return out;
}

static void listing_text(const struct journal_listing *list)
{
    char at[32];
    for (size_t i = 0; i < list->n; i++) {
        const struct journal_listed *v = &list->version[i];
        printf("serial %-10u  %s  from %s  %" PRIu64 " records at %" PRIu64 " names", v->serial,
               when(v->at, at), v->origin, v->records, v->names);
        if (v->input_serial != v->serial)
            printf("  input serial %u", v->input_serial);
        if (v->has_from)
            printf("  change of %" PRIu64 " octets from serial %u", v->change_octets,
                   v->from_serial);
        printf("  accepted, %" PRIu64 " notes%s\n", v->notes, v->ixfr ? "" : "  not for IXFR");
    }
    if (list->checked_at)
        printf("checked %s", when(list->checked_at, at));
    if (list->expires_at)
        printf(", expires %s", when(list->expires_at, at));
    if (list->checked_at)
        printf("\n");
    if (list->held)
        printf("a newer version is held\n");
    if (list->cut.text[0])
        printf("older ones cannot be read: %s\n", list->cut.text);
}

static void listing_json(const char *zone, const struct journal_listing *list)
{
    struct json *j = json_new();
    json_object(j, NULL);
    json_string(j, "zone", zone);
    json_array(j, "versions");
    for (size_t i = 0; i < list->n; i++) {
        const struct journal_listed *v = &list->version[i];
        json_object(j, NULL);
        json_uint(j, "serial", v->serial);
        if (v->has_from)
            json_uint(j, "from_serial", v->from_serial);
        json_uint(j, "input_serial", v->input_serial);
        json_int(j, "accepted_at", v->at);
        json_string(j, "from", v->origin);
        json_uint(j, "names", v->names);
        json_uint(j, "records", v->records);
        json_uint(j, "change_octets", v->change_octets);
        json_string(j, "verdict", "pass");
        json_uint(j, "notes", v->notes);
        json_bool(j, "ixfr", v->ixfr);
        json_end(j);
    }
    json_end(j);
    json_uint(j, "image_octets", list->image_octets);
    if (list->checked_at)
        json_int(j, "checked_at", list->checked_at);
    if (list->expires_at)
        json_int(j, "expires_at", list->expires_at);
    json_bool(j, "held", list->held);
    if (list->cut.text[0])
        json_string(j, "cut", list->cut.text);
    json_end(j);
    size_t len;
    printf("%s\n", json_text(j, &len));
    json_free(&j);
}

static int journal(int argc, char **argv)
{
    const char *path = NULL;
    bool as_json = false;
    const struct command_option options[] = {
        {"-c", &path, NULL}, {"--json", NULL, &as_json}, {NULL, NULL, NULL}};
    int err = command_options(&command_journal, &argc, argv, options);
    if (err)
        return err;
    if (argc == 1)
        return zones_list(path, as_json);
    if (argc != 2)
        return command_usage(&command_journal, "expected one zone, or none");
    struct why why;
    uint8_t name[NAME_MAX_OCTETS];
    char text[NAME_TEXT_MAX];
    struct journal_reader *reader;
    struct journal_listing list;
    if (journal_find(path, argv[1], name, &reader, &why))
        return command_fail("journal", &why);
    err = journal_reader_list(reader, name, &list, &why);
    journal_reader_close(&reader);
    if (err)
        return command_fail("journal", &why);
    if (as_json)
        listing_json(name_print(name, text), &list);
    else
        listing_text(&list);
    mem_free(&list.version);
    return EXIT_YES;
}

static int serial_parse(const char *text, uint32_t *out, struct why *why)
{
    char *end;
    unsigned long long v = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || v > UINT32_MAX)
        return why_set(why, -E_FORMAT, "--serial %s: expected a number 0..4294967295", text);
    *out = (uint32_t)v;
    return 0;
}

static int dump(int argc, char **argv)
{
    const char *path = NULL, *wanted = NULL;
    const struct command_option options[] = {
        {"-c", &path, NULL}, {"--serial", &wanted, NULL}, {NULL, NULL, NULL}};
    int err = command_options(&command_dump, &argc, argv, options);
    if (err)
        return err;
    if (argc != 2)
        return command_usage(&command_dump, "expected one zone");
    struct why why;
    uint32_t serial = 0;
    uint8_t name[NAME_MAX_OCTETS];
    struct journal_reader *reader;
    struct snapshot *s;
    if ((wanted && serial_parse(wanted, &serial, &why)) ||
        journal_find(path, argv[1], name, &reader, &why))
        return command_fail("dump", &why);
    err = journal_reader_get(reader, name, wanted ? &serial : NULL, &s, &why);
    journal_reader_close(&reader);
    if (err)
        return command_fail("dump", &why);
    text_print_snapshot(stdout, s);
    snapshot_unref(s);
    if (fflush(stdout) || ferror(stdout)) {
        (void)why_set(&why, -E_IO, "standard output cannot be written");
        return command_fail("dump", &why);
    }
    return EXIT_YES;
}

const struct command_type command_journal = {
    "journal", "[-c FILE] [ZONE] [--json]",
    "what the journal keeps: all zones, or the versions of one", journal};
const struct command_type command_dump = {"dump", "[-c FILE] ZONE [--serial N]",
                                          "print a version of a zone, as served, as a zone file",
                                          dump};
