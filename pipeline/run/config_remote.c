/* Remotes: the servers weir talks to, by the names that zones use for them. */
#include "pipeline/run/config_part.h"

#include <stdlib.h>

#define EXAMPLE "{ name = \"primary\"; address = \"192.0.2.1@53\"; }"

static int read_address(const struct source *src, const setting *s, uint16_t default_port,
                        struct address *out, struct why *why)
{
    const char *text;
    struct why reason = {""};
    int err = setting_string(src, s, &text, why);
    if (!err && address_parse(text, default_port, out, &reason))
        err = setting_unexpected(src, s, why, "%s", reason.text);
    return err;
}

static int read_remote(const struct source *src, const setting *group, const struct config *config,
                       struct remote_conf *out, struct why *why)
{
    struct words known = {5, {"name", "address", "source", "tsig", "ixfr"}};
    const setting *source = NULL;
    int err = 0;
    out->ixfr = true;
    for (unsigned i = 0; !err && i < setting_count(group); i++) {
        const setting *s = setting_at(group, i);
        const char *name;
        if (strcmp(s->name, "name") == 0) {
            err = setting_string(src, s, &name, why);
            if (!err && *name == '\0')
                err = setting_unexpected(src, s, why, "expected a name");
            if (!err)
                out->name = mem_strdup(name);
        } else if (strcmp(s->name, "address") == 0) {
            err = read_address(src, s, 53, &out->address, why);
        } else if (strcmp(s->name, "source") == 0) {
            source = s;
            err = read_address(src, s, 0, &out->source, why);
        } else if (strcmp(s->name, "tsig") == 0) {
            err = setting_string(src, s, &name, why);
            if (!err)
                err = keys_pick(src, s, config, name, &out->key, why);
        } else if (strcmp(s->name, "ixfr") == 0) {
            if (config_setting_type(s) != CONFIG_TYPE_BOOL)
                err = setting_unexpected(src, s, why, "expected true or false");
            else
                out->ixfr = config_setting_get_bool(s);
        } else {
            err = setting_unknown(src, s, &known, why);
        }
    }
    if (err)
        return err;
    if (!out->name || !out->address.len)
        return setting_refuse(src, group, why, "remote: expected name and address: " EXAMPLE);
    if (source && out->source.sa.sa_family != out->address.sa.sa_family)
        return setting_unexpected(src, source, why,
                                  "expected the same family (IPv4 or IPv6) as the address has");
    return 0;
}

static int remote_cmp(const void *a, const void *b)
{
    const struct remote_conf *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int name_vs_remote(const void *name, const void *remote)
{
    const struct remote_conf *r = remote;
    return strcmp(name, r->name);
}

static const struct remote_conf *find(const struct config *config, const char *name)
{
    if (config->nremotes == 0)
        return NULL;
    return bsearch(name, config->remotes, config->nremotes, sizeof *config->remotes,
                   name_vs_remote);
}

/* The second setting of this name, in the order of the file. */
static const setting *second(const setting *list, const char *name)
{
    const setting *found = NULL;
    for (unsigned i = 0; i < setting_count(list); i++) {
        const setting *s = config_setting_get_member(setting_at(list, i), "name");
        if (strcmp(config_setting_get_string(s), name) == 0) {
            if (found)
                return s;
            found = s;
        }
    }
    UNREACHABLE();
}

int remotes_read(const struct source *src, const setting *list, struct config *config,
                 struct why *why)
{
    int err = setting_is_groups(src, list, EXAMPLE, why);
    if (err)
        return err;
    unsigned n = setting_count(list);
    config->remotes = mem_array(n + 1, sizeof *config->remotes);
    for (unsigned i = 0; i < n; i++) {
        config->nremotes++;
        err = read_remote(src, setting_at(list, i), config, &config->remotes[i], why);
        if (err)
            return err;
    }
    qsort(config->remotes, n, sizeof *config->remotes, remote_cmp);
    for (unsigned i = 1; i < n; i++)
        if (remote_cmp(&config->remotes[i - 1], &config->remotes[i]) == 0)
            return setting_unexpected(src, second(list, config->remotes[i].name), why,
                                      "expected each remote once");
    return 0;
}

void remotes_clear(struct config *config)
{
    for (size_t i = 0; i < config->nremotes; i++) {
        mem_free(&config->remotes[i].name);
        tsig_key_unref(config->remotes[i].key);
    }
    mem_free(&config->remotes);
    config->nremotes = 0;
}

static int refuse_name(const struct source *src, const setting *s, const struct config *config,
                       struct why *why)
{
    struct words known = {0};
    for (size_t i = 0; i < config->nremotes && i < 200; i++)
        words_add(&known, config->remotes[i].name);
    const char *near = words_nearest(&known, config_setting_get_string(s));
    if (near)
        return setting_unexpected(src, s, why, "expected the name of a remote; is \"%s\" meant?",
                                  near);
    return setting_unexpected(src, s, why,
                              "expected the name of a remote; none of that name is in remotes");
}

int remotes_pick(const struct source *src, const setting *names, const struct config *config,
                 const struct remote_conf ***out, size_t *n, struct why *why)
{
    int err = setting_is_strings(src, names, why);
    if (err)
        return err;
    unsigned count = setting_count(names);
    if (count > config->nremotes)
        count = (unsigned)config->nremotes + 1; /* one of them is unknown or there twice */
    const struct remote_conf **picked = mem_array(count + 1, sizeof(const struct remote_conf *));
    for (unsigned i = 0; !err && i < count; i++) {
        const setting *s = setting_at(names, i);
        picked[i] = find(config, config_setting_get_string(s));
        if (!picked[i])
            err = refuse_name(src, s, config, why);
        for (unsigned j = 0; !err && j < i; j++)
            if (picked[j] == picked[i])
                err = setting_unexpected(src, s, why, "expected each remote once");
    }
    if (err) {
        mem_free(&picked);
        return err;
    }
    *out = picked;
    *n = count;
    return 0;
}
