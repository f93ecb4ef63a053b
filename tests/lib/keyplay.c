/* keyplay: see the header. */
#include "tests/lib/keyplay.h"

#include "pipeline/base/alloc.h"
#include "pipeline/base/assert.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>

unsigned keyplay_take(struct keyplay *play, struct dnssec_private *private, uint16_t flags,
                      const char *roles)
{
    ASSERT(play->n < KEYSET_KEYS_MAX);
    unsigned i = play->n++;
    struct keyset_key *key = &play->key[i];
    *key = (struct keyset_key){.private = private};
    key->rdata = dnssec_private_dnskey(private, flags, &key->len);
    key->tag = dnssec_key_tag(key->rdata, key->len);
    key->algorithm = key->rdata[3];
    play->made[i] = private;
    keyplay_roles(play, i, roles);
    return i;
}

unsigned keyplay_make(struct keyplay *play, uint16_t flags, uint8_t algorithm, const char *roles)
{
    struct dnssec_private *private;
    struct why why;
    int rc = dnssec_private_generate(algorithm, 0, &private, &why);
    ASSERT(rc == 0);
    return keyplay_take(play, private, flags, roles);
}

enum { FILE_MAX = 8192 };

static void file_read(const char *path, char text[FILE_MAX])
{
    FILE *in = fopen(path, "r");
    ASSERT(in);
    size_t n = fread(text, 1, FILE_MAX - 1, in);
    fclose(in);
    text[n] = '\0';
}

unsigned keyplay_read(struct keyplay *play, const char *folder, const char *zone, unsigned tag,
                      const char *roles)
{
    char path[512], text[FILE_MAX];
    glob_t found;
    unsigned flags;
    struct dnssec_private *private;
    struct why why;
    snprintf(path, sizeof(path), "%s/K%s+*+%05u.private", folder, zone, tag);
    int rc = glob(path, 0, NULL, &found);
    ASSERT(rc == 0 && found.gl_pathc == 1);
    snprintf(path, sizeof(path), "%s", found.gl_pathv[0]);
    globfree(&found);
    file_read(path, text);
    rc = dnssec_private_parse(text, strlen(text), 0, &private, &why);
    ASSERT(rc == 0);
    memcpy(strstr(path, ".private"), ".key", sizeof(".key"));
    file_read(path, text);
    const char *at = strstr(text, "DNSKEY");
    ASSERT(at && sscanf(at, "DNSKEY %u", &flags) == 1);
    unsigned i = keyplay_take(play, private, (uint16_t)flags, roles);
    ASSERT(play->key[i].tag == tag);
    return i;
}

void keyplay_roles(struct keyplay *play, unsigned i, const char *roles)
{
    struct keyset_key *key = &play->key[i];
    key->publish = strchr(roles, 'p');
    key->signs_keys = strchr(roles, 'k');
    key->signs_zone = strchr(roles, 'z');
    key->ds = strchr(roles, 'd');
}

static bool has_role(const struct keyset_key *key)
{
    return key->publish || key->signs_keys || key->signs_zone || key->ds;
}

struct keyset *keyplay_set(const struct keyplay *play, unsigned prepared)
{
    unsigned n = 0;
    for (unsigned i = 0; i < play->n; i++)
        n += has_role(&play->key[i]);
    struct keyset *set = keyset_new(n, prepared, 0);
    n = 0;
    for (unsigned i = 0; i < play->n; i++) {
        if (!has_role(&play->key[i]))
            continue;
        set->key[n] = play->key[i];
        set->key[n].rdata = mem_dup(play->key[i].rdata, play->key[i].len);
        if (play->key[i].private)
            set->key[n].private = dnssec_private_ref(play->key[i].private);
        n++;
    }
    keyset_seal(set);
    return set;
}

void keyplay_close(struct keyplay *play)
{
    for (unsigned i = 0; i < play->n; i++) {
        mem_free(&play->key[i].rdata);
        dnssec_private_unref(play->made[i]);
    }
    *play = (struct keyplay){.n = 0};
}
