/* TSIG keys: `tsig = ( { name; algorithm; secret or secret_file; } )`.
 *
 * A secret never gets into words that a person reads: what is wrong with one is told without it. A
 * file of a secret that everybody on the machine may read is refused; whoever could read it could
 * sign. The copies made here are wiped; of a secret in the configuration itself libconfig keeps one
 * that nobody can wipe, which is one more reason for secret_file.
 */
#include "pipeline/run/config_part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXAMPLE                                                                                    \
    "{ name = \"xfr.example.\"; algorithm = \"hmac-sha256\"; secret_file = \"xfr.key\"; }"

enum { FILE_MAX_BYTES = 4096 };

struct row {
    const setting *name, *algorithm, *secret, *secret_file;
};

static int read_row(const struct source *src, const setting *group, struct row *row,
                    struct why *why)
{
    const struct words known = {4, {"name", "algorithm", "secret", "secret_file"}};
    const setting **place[] = {&row->name, &row->algorithm, &row->secret, &row->secret_file};
    for (unsigned i = 0; i < setting_count(group); i++) {
        const setting *s = setting_at(group, i);
        unsigned w = 0;
        while (w < known.n && strcmp(known.word[w], s->name) != 0)
            w++;
        if (w == known.n)
            return setting_unknown(src, s, &known, why);
        if (config_setting_type(s) != CONFIG_TYPE_STRING)
            return setting_refuse(src, s, why, "%s: expected a string", s->name);
        *place[w] = s;
    }
    if (!row->name || !row->algorithm || (!row->secret && !row->secret_file))
        return setting_refuse(src, group, why, "tsig: expected " EXAMPLE);
    if (row->secret && row->secret_file)
        return setting_refuse(src, row->secret_file, why,
                              "secret and secret_file: expected one of them, not both");
    return 0;
}

/* Why this file holds no secret of ours; NULL: it may. */
static int check_file(const char *path, const struct stat *st, struct why *why)
{
    if (!S_ISREG(st->st_mode))
        return why_set(why, -E_CONF, "%s: expected a file", path);
    if (st->st_mode & S_IROTH)
        return why_set(why, -E_CONF,
                       "everybody may read %s (mode %04o): expected a file for its owner and group "
                       "only; say `chmod o-rwx`, and make a new secret if anybody could have seen "
                       "this one",
                       path, (unsigned)st->st_mode & 07777);
    if (st->st_size > FILE_MAX_BYTES)
        return why_set(why, -E_CONF,
                       "%s: expected a secret in base64, nothing else, in at most %d "
                       "octets",
                       path, FILE_MAX_BYTES);
    return 0;
}

static int read_file(const char *path, char text[FILE_MAX_BYTES], size_t *len, struct why *why)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return why_set(why, -E_IO, "%s: %s", path, strerror(errno));
    int err = fstat(fd, &st) ? why_set(why, -E_IO, "%s: %s", path, strerror(errno))
                             : check_file(path, &st, why);
    *len = 0;
    for (ssize_t n = 1; !err && n > 0 && *len<FILE_MAX_BYTES; *len += n> 0 ? (size_t)n : 0) {
        n = read(fd, text + *len, FILE_MAX_BYTES - *len);
        if (n < 0)
            err = why_set(why, -E_IO, "%s: %s", path, strerror(errno));
    }
    close(fd);
    return err;
}

static int secret_from_file(const struct source *src, const setting *s,
                            uint8_t secret[TSIG_SECRET_MAX], size_t *len, struct why *why)
{
    char *path = mem_strdup(config_setting_get_string(s)), text[FILE_MAX_BYTES];
    size_t n = 0;
    struct why reason = {""};
    int err = *path ? 0 : why_set(&reason, -E_CONF, "expected a path");
    source_resolve(src, &path);
    if (!err)
        err = read_file(path, text, &n, &reason);
    if (!err && tsig_secret_parse(text, n, secret, len, &reason)) {
        struct why inner = reason;
        err = why_set(&reason, -E_CONF, "%s: %s", path, inner.text);
    }
    tsig_wipe(text, sizeof text);
    mem_free(&path);
    return err ? setting_unexpected(src, s, why, "%s", reason.text) : 0;
}

static int secret_from_text(const struct source *src, const setting *s,
                            uint8_t secret[TSIG_SECRET_MAX], size_t *len, struct why *why)
{
    struct why reason = {""};
    const char *text = config_setting_get_string(s);
    if (tsig_secret_parse(text, strlen(text), secret, len, &reason))
        return setting_refuse(src, s, why, "secret: %s", reason.text);
    return 0;
}

static int make_key(const struct source *src, const struct row *row, const uint8_t *name,
                    struct tsig_key **out, struct why *why)
{
    uint8_t secret[TSIG_SECRET_MAX];
    size_t len = 0;
    struct why reason = {""};
    int err = row->secret ? secret_from_text(src, row->secret, secret, &len, why)
                          : secret_from_file(src, row->secret_file, secret, &len, why);
    if (!err &&
        tsig_key_new(name, config_setting_get_string(row->algorithm), secret, len, out, &reason))
        err = setting_unexpected(src, row->algorithm, why, "%s", reason.text);
    tsig_wipe(secret, sizeof secret);
    return err;
}

static int read_key(const struct source *src, const setting *group, struct server_conf *server,
                    struct why *why)
{
    struct row row = {0};
    uint8_t name[NAME_MAX_OCTETS];
    struct why reason = {""};
    struct tsig_keys *keys = &server->keys;
    int err = read_row(src, group, &row, why);
    if (err)
        return err;
    const char *text = config_setting_get_string(row.name);
    if (*text == '\0' || name_parse(text, name, &reason) < 0)
        return setting_unexpected(src, row.name, why, "expected a domain name%s%s",
                                  *reason.text ? ": " : "", reason.text);
    size_t at = 0;
    while (at < keys->n && name_cmp(tsig_key_name(keys->key[at]), name) < 0)
        at++;
    if (at < keys->n && name_equal(tsig_key_name(keys->key[at]), name))
        return setting_unexpected(src, row.name, why, "expected each key once");
    struct tsig_key *key;
    err = make_key(src, &row, name, &key, why);
    if (err)
        return err;
    memmove(keys->key + at + 1, keys->key + at, (keys->n - at) * sizeof(struct tsig_key *));
    keys->key[at] = key;
    keys->n++;
    server->keys_inline = server->keys_inline || row.secret;
    return 0;
}

int keys_read(const struct source *src, const setting *list, struct config *config, struct why *why)
{
    int err = 0;
    if (config_setting_type(list) == CONFIG_TYPE_STRING) /* might be a secret: it is not repeated */
        return setting_refuse(src, list, why, "tsig: expected a list of groups: ( " EXAMPLE " )");
    err = setting_is_groups(src, list, EXAMPLE, why);
    if (err)
        return err;
    unsigned n = setting_count(list);
    config->server.keys.key = mem_array(n + 1, sizeof(struct tsig_key *));
    for (unsigned i = 0; !err && i < n; i++)
        err = read_key(src, setting_at(list, i), &config->server, why);
    return err;
}

void keys_clear(struct server_conf *server)
{
    for (size_t i = 0; i < server->keys.n; i++)
        tsig_key_unref(server->keys.key[i]);
    mem_free(&server->keys.key);
    server->keys.n = 0;
}

static int refuse_key(const struct source *src, const setting *s, const struct tsig_keys *keys,
                      const char *text, struct why *why)
{
    struct words known = {0};
    for (size_t i = 0; i < keys->n && i < 200; i++)
        words_add(&known, tsig_key_text(keys->key[i]));
    const char *near = words_nearest(&known, text);
    if (near)
        return setting_unexpected(src, s, why, "expected the name of a key; is \"%s\" meant?",
                                  near);
    return setting_unexpected(src, s, why,
                              "expected the name of a key; none of that name is in "
                              "tsig");
}

int keys_pick(const struct source *src, const setting *s, const struct config *config,
              const char *text, struct tsig_key **out, struct why *why)
{
    uint8_t name[NAME_MAX_OCTETS];
    const struct tsig_keys *keys = &config->server.keys;
    const struct tsig_key *key =
        *text && name_parse(text, name, NULL) > 0 ? tsig_keys_find(keys, name) : NULL;
    if (!key)
        return refuse_key(src, s, keys, text, why);
    *out = tsig_key_ref(key);
    return 0;
}
