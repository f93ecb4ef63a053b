/* The server block: where weir listens, where it keeps things, and its bounds. */
#include "pipeline/run/config_part.h"

#include "pipeline/base/log.h"

#include <sys/un.h>

static const char *const log_words[] = {
    [LOG_DEBUG] = "debug", [LOG_INFO] = "info",   [LOG_NOTICE] = "notice",
    [LOG_WARN] = "warn",   [LOG_ERROR] = "error", [LOG_ERROR + 1] = NULL,
};

static const char *const durability_words[] = {
    [DURABILITY_COMMIT] = "commit", [DURABILITY_ASYNC] = "async", [DURABILITY_ASYNC + 1] = NULL};

#define FIELD(field) offsetof(struct server_conf, field)
static const struct option server_options[] = {
    {"threads", OPTION_INT, FIELD(threads), "2", 1, 256, NULL, "Threads that answer queries."},
    {"workers", OPTION_INT, FIELD(workers), "0", 0, 256, NULL,
     "Threads that run chains and check signatures; 0 is one a core."},
    {"state", OPTION_STRING, FIELD(state), "/var/lib/weir", 0, 0, NULL,
     "Folder for what must outlive a restart; made when missing."},
    {"durability", OPTION_ENUM, FIELD(durability), "commit", 0, 0, durability_words,
     "commit: a version is on disk before anybody sees it; async: it is seen at once, and on disk "
     "soon."},
    {"control", OPTION_STRING, FIELD(control), NULL, 0, 0, NULL,
     "Socket that `weir status` and its like talk to; none when not set."},
    {"user", OPTION_STRING, FIELD(user), NULL, 0, 0, NULL,
     "User to become once the sockets are bound."},
    {"identity", OPTION_STRING, FIELD(identity), NULL, 0, 0, NULL,
     "Answer to id.server and hostname.bind in class CHAOS; refused when not set."},
    {"version", OPTION_STRING, FIELD(version), NULL, 0, 0, NULL,
     "Answer to version.server and version.bind in class CHAOS; refused when not set."},
    {"capture", OPTION_STRING, FIELD(capture), NULL, 0, 0, NULL,
     "Folder for captures (pcap) of the transfers that come in; none when not set."},
    {"capture_max", OPTION_BYTES, FIELD(capture_max_bytes), "256M", 65536, INT64_C(1) << 40, NULL,
     "Size at which a capture file is closed and the next one begun."},
    {"log_level", OPTION_ENUM, FIELD(log_level), "info", 0, 0, log_words,
     "The least important lines that are logged."},
    {"udp_size", OPTION_INT, FIELD(udp_size), "1232", 512, 4096, NULL,
     "Largest UDP answer, and what weir offers by EDNS."},
    {"tcp_clients", OPTION_INT, FIELD(tcp_clients), "1000", 1, 65535, NULL,
     "TCP connections in all."},
    {"tcp_per_client", OPTION_INT, FIELD(tcp_per_client), "50", 1, 65535, NULL,
     "TCP connections of one address (IPv6: of one /64)."},
    {"tcp_idle", OPTION_SECONDS, FIELD(tcp_idle_s), "10s", 1, 3600, NULL,
     "A connection without a query is closed after this time."},
    {"tcp_slow", OPTION_SECONDS, FIELD(tcp_slow_s), "30s", 1, 3600, NULL,
     "Time over which tcp_min_rate is averaged while output waits for a client."},
    {"tcp_min_rate", OPTION_BYTES, FIELD(tcp_min_rate), "1k", 0, INT64_C(1) << 30, NULL,
     "A client that takes fewer octets a second than this is cut; 0 is one that takes none."},
    {"tcp_memory", OPTION_BYTES, FIELD(tcp_memory_bytes), "64M", 1 << 20, INT64_C(1) << 40, NULL,
     "Memory for output that clients have not taken yet, of all connections; past it, the client "
     "that has let its output wait for longest is cut."},
    {"tcp_pipeline", OPTION_INT, FIELD(tcp_pipeline), "64", 1, 4096, NULL,
     "Queries under way on one connection."},
    {"transfers_in", OPTION_INT, FIELD(transfers_in), "32", 1, 4096, NULL,
     "Transfers in at one time, in all."},
    {"transfers_in_per_primary", OPTION_INT, FIELD(transfers_in_per_primary), "8", 1, 4096, NULL,
     "Transfers in at one time from one primary."},
    {"transfers_out", OPTION_INT, FIELD(transfers_out), "64", 1, 4096, NULL,
     "Transfers out at one time, in all."},
    {"transfers_out_per_client", OPTION_INT, FIELD(transfers_out_per_client), "8", 1, 4096, NULL,
     "Transfers out at one time to one address."},
    {"transfer_out_max", OPTION_SECONDS, FIELD(transfer_out_max_s), "1h", 1, 604800, NULL,
     "A transfer out that takes longer is cut; until then it holds its version in memory."},
    {.name = NULL},
};

static int read_listen(const struct source *src, const setting *list, struct server_conf *out,
                       struct why *why)
{
    int err = setting_is_strings(src, list, why);
    if (err)
        return err;
    unsigned n = setting_count(list);
    if (n == 0)
        return setting_unexpected(src, list, why,
                                  "expected at least one address, such as (\"127.0.0.1@53\")");
    out->listen = mem_array(n, sizeof *out->listen);
    for (unsigned i = 0; i < n; i++) {
        const setting *s = setting_at(list, i);
        struct address *a = &out->listen[i];
        struct why reason = {""};
        if (address_parse(config_setting_get_string(s), 53, a, &reason))
            return setting_unexpected(src, s, why, "%s", reason.text);
        for (size_t j = 0; j < out->nlisten; j++)
            if (out->listen[j].len == a->len && memcmp(&out->listen[j].sa, &a->sa, a->len) == 0)
                return setting_unexpected(src, s, why, "expected each address once");
        out->nlisten++;
    }
    return 0;
}

/* A path that was written must be one. */
static int check_path(const struct source *src, const setting *group, const char *word, char **path,
                      struct why *why)
{
    if (*path && **path == '\0')
        return setting_unexpected(src, config_setting_get_member(group, word), why,
                                  "expected a path");
    source_resolve(src, path);
    return 0;
}

static int check_paths(const struct source *src, const setting *group, struct server_conf *out,
                       struct why *why)
{
    int err = check_path(src, group, "state", &out->state, why);
    if (!err)
        err = check_path(src, group, "control", &out->control, why);
    if (!err)
        err = check_path(src, group, "capture", &out->capture, why);
    const size_t room = sizeof((struct sockaddr_un *)NULL)->sun_path;
    if (!err && out->control && strlen(out->control) >= room)
        err = setting_unexpected(src, config_setting_get_member(group, "control"), why,
                                 "expected a path of at most %zu octets; this one is %s", room - 1,
                                 out->control);
    return err;
}

int server_conf_read(const struct source *src, const setting *group, struct server_conf *out,
                     struct why *why)
{
    option_defaults(server_options, out, sizeof *out);
    int err = setting_is_group(src, group, why);
    struct words known = {0};
    words_add(&known, "listen");
    words_add_table(&known, server_options);
    for (unsigned i = 0; !err && i < setting_count(group); i++) {
        const setting *s = setting_at(group, i);
        if (strcmp(s->name, "listen") == 0)
            err = read_listen(src, s, out, why);
        else if (option_find(server_options, s->name))
            err = setting_apply(src, s, server_options, out, why);
        else
            err = setting_unknown(src, s, &known, why);
    }
    if (!err && !out->listen)
        err = setting_refuse(src, group, why, "server: expected listen = (\"ADDRESS@PORT\", ...)");
    return err ? err : check_paths(src, group, out, why);
}

void server_conf_clear(struct server_conf *server)
{
    option_clear(server_options, server);
    mem_free(&server->listen);
    server->nlisten = 0;
}
