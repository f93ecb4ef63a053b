/* held: see held.h. The configuration is written as text and read by the real reader, so the zones are configured as
 * an operator's are; the records come through the real chain (an empty one).
 */
#include "tests/lib/held.h"

#include "pipeline/base/alloc.h"
#include "pipeline/base/pool.h"
#include "pipeline/zone/text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void must(int err, const struct why *why, const char *what)
{
    if (err) {
        fprintf(stderr, "held: %s: %s\n", what, why->text);
        abort();
    }
}

static struct config *config_of(const char *server, const char *keys, const char *remotes,
                                const struct held_zone *zones, size_t n)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    ASSERT(out);
    fprintf(out,
            "server = { listen = (\"127.0.0.1@5353\"); %s };\ntsig = ( %s );\nremotes = ( %s );\n"
            "zones = (\n",
            server ? server : "", keys ? keys : "", remotes ? remotes : "");
    for (size_t i = 0; i < n; i++)
        fprintf(out, "%s{ name = \"%s\"; %s chain = (); %s }\n", i ? "," : "", zones[i].name,
                zones[i].options && strstr(zones[i].options, "primaries") ? "" : "file = \"none\";",
                zones[i].options ? zones[i].options : "");
    fprintf(out, ");\n");
    fclose(out);
    struct config *config;
    struct why why;
    must(config_parse(text, len, "held.conf", &config, &why), &why, "configuration");
    free(text);
    return config;
}

/* text NULL: the row's path. */
static void read_text(const struct held_zone *row, const char *text, struct edit *e,
                      const uint8_t *apex)
{
    char path[64];
    int fd = -1;
    struct why why;
    if (text) {
        fd = memfd_create("zone", 0);
        ASSERT(fd >= 0);
        size_t len = strlen(text);
        ASSERT(write(fd, text, len) == (ssize_t)len);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    must(text_read(text ? path : row->path, e, apex, &why), &why, row->name);
    if (fd >= 0)
        close(fd);
}

static void load(const struct held_zone *row, const char *text, struct zone *z)
{
    struct edit *e = edit_open(z->family, NULL, NULL);
    struct snapshot *plain, *input;
    struct why why;
    read_text(row, text, e, z->name);
    must(edit_seal(&e, &plain, NULL, &why), &why, row->name);
    input = row->signed_ ? forge_sign(plain, row->denial) : snapshot_ref(plain);
    zone_submit(z, input, NULL, NULL, "test");
    snapshot_unref(input);
    snapshot_unref(plain);
}

void held_open(struct held *h, const char *server, const char *remotes,
               const struct held_zone *zones, size_t n)
{
    rcu_thread_start();
    h->pool = pool_new(0);
    h->config = config_of(server, h->keys, remotes, zones, n);
    h->zones = zone_table_new(h->pool);
    zone_table_apply(h->zones, h->config, NULL);
    for (size_t i = 0; i < n; i++) {
        uint8_t name[NAME_MAX_OCTETS];
        struct why why;
        int len = name_parse(zones[i].name, name, &why);
        must(len < 0 ? len : 0, &why, zones[i].name);
        struct zone *z = zone_table_get(h->zones, name);
        ASSERT(z);
        atomic_store(&z->expired, zones[i].state == HELD_EXPIRED);
        atomic_store(&z->has_refused, zones[i].state == HELD_REFUSED);
        if (zones[i].state != HELD_READY && zones[i].state != HELD_EXPIRED)
            continue;
        load(&zones[i], zones[i].text, z);
        for (unsigned v = 0; v < 4 && zones[i].later[v]; v++)
            load(&zones[i], zones[i].later[v], z);
    }
}

void held_close(struct held *h)
{
    zone_table_drain(h->zones);
    rcu_barrier_all(); /* versions that were replaced die here, and their snapshots on the pool */
    zone_table_drain(h->zones);
    zone_table_free(&h->zones);
    rcu_barrier_all();
    config_unref(h->config);
    pool_free(&h->pool);
    rcu_thread_stop();
}
