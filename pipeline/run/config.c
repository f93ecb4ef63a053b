/* The operator's file, whole: read into memory, made safe for libconfig (config_text.c), parsed,
 * and each part handed to its reader. libconfig's tree is gone before config_load returns; what is
 * kept is plain structs.
 *
 * Order matters in one place: zones name remotes, and both name keys, so keys are read first, then
 * remotes, wherever they stand in the file.
 */
#include "pipeline/run/config.h"

#include "pipeline/base/log.h"
#include "pipeline/run/config_part.h"
#include "pipeline/run/config_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static const char *const parts[] = {"server", "tsig", "remotes", "templates", "zones"};

static int check_parts(const struct source *src, const setting *root, struct why *why)
{
    struct words known = {0};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        words_add(&known, parts[i]);
    for (unsigned i = 0; i < setting_count(root); i++)
        if (!words_has(&known, setting_at(root, i)->name))
            return setting_unknown(src, setting_at(root, i), &known, why);
    return 0;
}

static int refuse_no_server(const struct source *src, const setting *root, struct why *why)
{
    return setting_refuse(src, root, why, "expected server = { listen = (\"ADDRESS@PORT\"); ... }");
}

static int read_server(const struct source *src, const setting *root, struct config *out,
                       struct why *why)
{
    const setting *server = config_setting_get_member(root, "server");
    return server ? server_conf_read(src, server, &out->server, why)
                  : refuse_no_server(src, root, why);
}

static int read_parts(const struct source *src, const setting *root, struct config *out,
                      struct why *why)
{
    const setting *keys = config_setting_get_member(root, "tsig");
    const setting *remotes = config_setting_get_member(root, "remotes");
    const setting *templates = config_setting_get_member(root, "templates");
    const setting *zones = config_setting_get_member(root, "zones");
    int err = check_parts(src, root, why);
    if (err)
        return err;
    if (!config_setting_get_member(root, "server"))
        return refuse_no_server(src, root, why);
    if (!zones)
        return setting_refuse(src, root, why, "expected zones = ( { name = ...; }, ... )");
    err = read_server(src, root, out, why);
    if (!err && keys)
        err = keys_read(src, keys, out, why);
    if (!err && remotes)
        err = remotes_read(src, remotes, out, why);
    if (!err)
        err = zones_read(src, zones, templates, out, why);
    return err;
}

static int refuse_syntax(const char *path, const config_t *tree, struct why *why)
{
    const char *text = config_error_text(tree);
    if (strcmp(text, "syntax error") == 0)
        text = "syntax error; is a ; or , missing just before, or a bracket open?";
    return why_set(why, -E_CONF, "%s:%d: %s", path, config_error_line(tree), text);
}

typedef int reader(const struct source *, const setting *, struct config *, struct why *);

static int parse_in(const char *folder, const char *text, size_t len, const char *path,
                    reader *read, struct config **out, struct why *why)
{
    char *safe;
    int err = config_text_prepare(text, len, path, &safe, why);
    if (err)
        return err;
    struct source src = {path, folder};
    struct config *c = mem_zalloc(sizeof *c);
    c->refs = 1;
    c->path = mem_strdup(path);
    config_t tree;
    config_init(&tree);
    if (config_read_string(&tree, safe))
        err = read(&src, config_root_setting(&tree), c, why);
    else
        err = refuse_syntax(path, &tree, why);
    config_destroy(&tree);
    tsig_wipe(safe, strlen(safe));
    mem_free(&safe);
    if (err) {
        config_unref(c);
        return err;
    }
    *out = c;
    return 0;
}

/* The folder of a path: everything before its last slash. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return mem_strdup(".");
    if (slash == path)
        return mem_strdup("/");
    return mem_printf("%.*s", (int)(slash - path), path);
}

int config_parse(const char *text, size_t len, const char *path, struct config **out,
                 struct why *why)
{
    char *folder = folder_of(path);
    int err = parse_in(folder, text, len, path, read_parts, out, why);
    mem_free(&folder);
    return err;
}

enum { FILE_MAX_BYTES = 1 << 28 };

/* To the end, whatever kind of file it is: a pipe has no size to ask for. */
static int read_all(FILE *file, const char *path, char **out, size_t *len, struct why *why)
{
    size_t cap = 65536, n = 0, got;
    char *text = mem_alloc(cap);
    while ((got = fread(text + n, 1, cap - n, file)) > 0) {
        n += got;
        if (n == FILE_MAX_BYTES)
            break;
        if (n == cap)
            text = mem_resize(text, cap *= 2);
    }
    int err = 0;
    if (n == FILE_MAX_BYTES)
        err = why_set(why, -E_LIMIT, "%s: expected a file under %d octets", path, FILE_MAX_BYTES);
    else if (ferror(file))
        err = why_set(why, -E_IO, "%s: %s", path, strerror(errno));
    if (err) {
        mem_free(&text);
        return err;
    }
    *out = text;
    *len = n;
    return 0;
}

static int load(const char *path, reader *read, struct config **out, struct why *why)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return why_set(why, -E_IO, "%s: %s", path, strerror(errno));
    char *text;
    size_t len;
    int err = read_all(file, path, &text, &len, why);
    struct stat st;
    bool open_to_all = fstat(fileno(file), &st) == 0 && st.st_mode & S_IROTH;
    fclose(file);
    if (err)
        return err;
    /* Absolute, so that paths in it hold after a chdir. */
    char *folder = folder_of(path), *real = realpath(folder, NULL);
    err = parse_in(real ? real : folder, text, len, path, read, out, why);
    free(real);
    mem_free(&folder);
    tsig_wipe(text, len);
    mem_free(&text);
    if (!err && open_to_all && (*out)->server.keys_inline)
        log_warn("everybody may read the configuration, and TSIG secrets are in it: say chmod "
                 "o-rwx, or use secret_file",
                 LOG_KV("file", LOG_S(path)));
    return err;
}

int config_load(const char *path, struct config **out, struct why *why)
{
    return load(path, read_parts, out, why);
}

int config_load_server(const char *path, struct config **out, struct why *why)
{
    return load(path, read_server, out, why);
}

struct config *config_ref(const struct config *c)
{
    struct config *held = (struct config *)(uintptr_t)c;
    atomic_fetch_add_explicit(&held->refs, 1, memory_order_relaxed);
    return held;
}

void config_unref(struct config *c)
{
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    zones_clear(c);
    remotes_clear(c);
    keys_clear(&c->server);
    server_conf_clear(&c->server);
    mem_free(&c->path);
    mem_free(&c);
}

static int name_vs_zone(const void *name, const void *zone)
{
    const struct zone_conf *z = zone;
    return name_cmp(name, z->name);
}

const struct zone_conf *config_zone(const struct config *c, const uint8_t *name)
{
    if (c->nzones == 0)
        return NULL;
    return bsearch(name, c->zones, c->nzones, sizeof *c->zones, name_vs_zone);
}
