/* weir journal, weir dump: what the journal has of a zone. They read it themselves: beside a running weir, or without one. */
#include "pipeline/command.h"

#include "pipeline/base/json.h"
#include "pipeline/run/journal.h"
#include "pipeline/zone/text.h"

#include <inttypes.h>
#include <stdlib.h>

static int journal_find(const char *path, const char *zone, uint8_t name[NAME_MAX_OCTETS],
                        struct journal_reader **out, struct why *why)
{
    struct config *config;
    if (name_parse(zone, name, why) < 0)
        return -E_FORMAT;
    int err = config_load_server(command_config_path(path), &config, why);
    if (err)
        return err;
    char *folder = mem_printf("%s/journal", config->server.state);
    err = journal_reader_open(folder, out, why);
    mem_free(&folder);
    config_unref(config);
    return err;
}

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
    if (argc != 2)
        return command_usage(&command_journal, "expected one zone");
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
    "journal", "[-c FILE] ZONE [--json]", "the versions of a zone that the journal keeps", journal};
const struct command_type command_dump = {"dump", "[-c FILE] ZONE [--serial N]",
                                          "print a version of a zone, as served, as a zone file",
                                          dump};
