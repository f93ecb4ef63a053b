/* The list `signers` of a zone or template: who else signs the zone, and how it is known what they do.
 */
#include "pipeline/run/config_part.h"

#include "pipeline/run/signers.h"
#include "pipeline/zone/trust.h"

#include <ctype.h>

enum { SIGNER_NAME_MAX = 63, SIGNER_SERVERS_MAX = 16, SIGNER_TRUST_MAX = 16 };
#define EXAMPLE "{ name = \"NAME\"; servers = (\"REMOTE\", ...); }"

/* In the text that is kept of it, in the words of the command line, and where a key's owner is told. */
static bool name_fits(const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("-_.", name[i]))
            return false;
    return n > 0 && n <= SIGNER_NAME_MAX && isalnum((unsigned char)name[0]);
}

static int read_name(const struct source *src, const setting *group, const struct zone_conf *z,
                     struct signer_conf *out, struct why *why)
{
    const setting *s = config_setting_get_member(group, "name");
    const char *name;
    if (!s)
        return setting_refuse(src, group, why, "signers: expected name = \"NAME\"");
    int err = setting_string(src, s, &name, why);
    if (err)
        return err;
    if (!name_fits(name))
        return setting_unexpected(
            src, s, why,
            "expected 1 to %d letters, digits, '-', '_' and '.', of which the "
            "first is a letter or digit",
            SIGNER_NAME_MAX);
    if (strcmp(name, "ours") == 0 || strcmp(name, "transfer") == 0)
        return setting_unexpected(src, s, why,
                                  "expected another name: weir says this of keys that are no "
                                  "configured signer's");
    for (const struct signer_conf *o = z->signers; o < out; o++)
        if (strcmp(o->name, name) == 0)
            return setting_unexpected(src, s, why, "expected each signer once");
    out->name = mem_strdup(name);
    return 0;
}

static int read_file(const struct source *src, const setting *s, struct signer_conf *out,
                     struct why *why)
{
    const char *path;
    int err = setting_string(src, s, &path, why);
    if (err)
        return err;
    if (!*path)
        return setting_unexpected(src, s, why, "expected a path");
    out->keys_file = mem_strdup(path);
    source_resolve(src, &out->keys_file);
    return 0;
}

static int read_servers(const struct source *src, const setting *s, const struct config *config,
                        struct signer_conf *out, struct why *why)
{
    int err = remotes_pick(src, s, config, &out->servers, &out->nservers, why);
    if (!err && out->nservers > SIGNER_SERVERS_MAX)
        err = setting_unexpected(src, s, why, "expected at most %d servers", SIGNER_SERVERS_MAX);
    return err;
}

static int read_trust(const struct source *src, const setting *list, struct signer_conf *out,
                      struct why *why)
{
    int err = setting_is_strings(src, list, why);
    if (!err && setting_count(list) > SIGNER_TRUST_MAX)
        err = setting_unexpected(src, list, why, "expected at most %d DS or DNSKEY",
                                 SIGNER_TRUST_MAX);
    if (err)
        return err;
    out->trust = mem_array(setting_count(list) + 1, sizeof *out->trust);
    for (unsigned i = 0; i < setting_count(list); i++) {
        const setting *s = setting_at(list, i);
        struct why reason;
        if (trust_anchor_parse(config_setting_get_string(s), &out->trust[i], &reason))
            return setting_refuse(src, s, why, "trust: %s", reason.text);
        out->ntrust++;
    }
    return 0;
}

static int read_signer(const struct source *src, const setting *group, const struct config *config,
                       const struct zone_conf *z, struct signer_conf *out, struct why *why)
{
    struct words known = {0};
    words_add(&known, "name");
    words_add(&known, "servers");
    words_add(&known, "keys_file");
    words_add(&known, "trust");
    int err = read_name(src, group, z, out, why);
    for (unsigned i = 0; !err && i < setting_count(group); i++) {
        const setting *s = setting_at(group, i);
        if (strcmp(s->name, "servers") == 0)
            err = read_servers(src, s, config, out, why);
        else if (strcmp(s->name, "keys_file") == 0)
            err = read_file(src, s, out, why);
        else if (strcmp(s->name, "trust") == 0)
            err = read_trust(src, s, out, why);
        else if (!words_has(&known, s->name))
            err = setting_unknown(src, s, &known, why);
    }
    if (!err && !out->nservers && !out->keys_file)
        err = setting_refuse(src, group, why,
                             "signer %s: expected servers = (\"REMOTE\", ...), or keys_file = "
                             "\"PATH\", or both: its keys cannot be known otherwise",
                             out->name);
    return err;
}

int signers_read(const struct source *src, const setting *list, const struct config *config,
                 struct zone_conf *z, struct why *why)
{
    int err = setting_is_groups(src, list, EXAMPLE, why);
    if (err)
        return err;
    unsigned n = setting_count(list);
    if (n > SIGNERS_MAX)
        return setting_unexpected(src, list, why, "expected at most %d signers", SIGNERS_MAX);
    z->signers = mem_array(n + 1, sizeof *z->signers);
    while (!err && z->nsigners < n) {
        struct signer_conf *out = &z->signers[z->nsigners];
        err = read_signer(src, setting_at(list, z->nsigners++), config, z, out, why);
    }
    return err;
}

void signers_clear(struct zone_conf *z)
{
    for (unsigned i = 0; i < z->nsigners; i++) {
        struct signer_conf *s = &z->signers[i];
        mem_free(&s->name);
        mem_free(&s->servers);
        mem_free(&s->keys_file);
        while (s->ntrust)
            trust_anchor_clear(&s->trust[--s->ntrust]);
        mem_free(&s->trust);
    }
    mem_free(&z->signers);
    z->nsigners = 0;
}
