/* key_files_load: a key from its files, and the list of all.
 *
 * A key is what its .key file says: the DNSKEY, and whose it is. The private half is found beside it
 * under the same name and must fit. Whatever is wrong stays with the one key: an operator who lists
 * his keys sees all of them, each with its own trouble.
 */
#include "pipeline/run/key_files_p.h"
#include "pipeline/base/alloc.h"
#include "pipeline/zone/rrtype.h"
#include "pipeline/zone/text_rdata.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- .key ---- */

/* Puts the file before what is wrong with it. */
static int in_file(const struct key_place *at, const char *name, int err, struct why *why)
{
    if (!why)
        return err;
    struct why what = *why;
    return why_set(why, err, "%s/%s: %s", at->path, name, what.text);
}

static bool all_digits(const char *s)
{
    return *s && s[strspn(s, "0123456789")] == '\0';
}

/* owner [TTL] [IN] DNSKEY …: the DNSKEY's tokens begin at the index that is returned. */
static int front_read(const struct text_entry *e, const uint8_t *apex, unsigned *rdata,
                      struct why *why)
{
    uint8_t owner[NAME_MAX_OCTETS];
    char is[NAME_TEXT_MAX], wanted[NAME_TEXT_MAX];
    unsigned i = 1;
    if (e->owner_omitted)
        return why_set(why, -E_FORMAT, "line %u: the record has no owner", e->line);
    int len = name_parse(e->token[0].s, owner, why);
    if (len < 0)
        return why_set(why, -E_FORMAT, "line %u: its owner is no name", e->line);
    while (i < e->n && (all_digits(e->token[i].s) || strcasecmp(e->token[i].s, "IN") == 0))
        i++;
    if (i == e->n || strcasecmp(e->token[i].s, "DNSKEY") != 0)
        return why_set(why, -E_FORMAT, "line %u: not a DNSKEY record", e->line);
    if (!name_equal(owner, apex))
        return why_set(why, -E_MISMATCH, "the key is of the zone %s, not of %s",
                       name_print(owner, is), name_print(apex, wanted));
    *rdata = i + 1;
    return 0;
}

static int dnskey_check(const uint8_t *rdata, uint16_t len, struct why *why)
{
    struct dnssec_key *key = NULL;
    int err = dnssec_key_open(rdata, len, &key, why);
    if (err)
        return err;
    const struct dnssec_key_info *info = dnssec_key_info(key);
    if (info->protocol != 3 || !(info->flags & DNSKEY_ZONE))
        err = why_set(why, -E_FORMAT, "flags %u, protocol %u: not a key of a zone", info->flags,
                      info->protocol);
    dnssec_key_close(&key);
    return err;
}

static int record_read(FILE *in, const uint8_t *apex, struct text_entry *e, uint8_t *rdata,
                       uint16_t *len, struct why *why)
{
    unsigned line = 1, at = 0;
    int got = text_entry_read(e, in, &line, why);
    if (got <= 0)
        return got ? got : why_set(why, -E_FORMAT, "no record in it");
    int err = front_read(e, apex, &at, why);
    if (err)
        return err;
    if (at == e->n)
        return why_set(why, -E_FORMAT, "line %u: the DNSKEY has no data", e->line);
    struct text_rdata *reader = text_rdata_new();
    err = text_rdata_parse(reader, RR_DNSKEY, e->token + at, e->n - at, rdata, len, why);
    text_rdata_free(&reader);
    if (err)
        return err;
    got = text_entry_read(e, in, &line, why);
    return got < 0   ? got
           : got > 0 ? why_set(why, -E_FORMAT, "line %u: more than one record", e->line)
                     : dnskey_check(rdata, *len, why);
}

static int public_read(const struct key_place *at, const char *name, const uint8_t *apex,
                       struct key_file *out, struct why *why)
{
    char *text;
    size_t len;
    int err = key_text_read(at, name, false, &text, &len, why);
    if (err)
        return err;
    text[len++] = '\n'; /* fmemopen takes no empty text; key_text_read leaves room for this */
    FILE *in = fmemopen(text, len, "r");
    ASSERT(in);
    struct text_entry e;
    uint8_t *rdata = mem_alloc(RDATA_MAX_OCTETS);
    uint16_t rdata_len;
    text_entry_init(&e);
    err = record_read(in, apex, &e, rdata, &rdata_len, why);
    text_entry_fini(&e);
    fclose(in);
    key_text_free(&text, len);
    if (err) {
        in_file(at, name, err, why);
    } else {
        out->rdata = mem_dup(rdata, rdata_len);
        out->len = rdata_len;
        out->tag = dnssec_key_tag(rdata, rdata_len);
        out->algorithm = rdata[3];
    }
    mem_free(&rdata);
    return err;
}

/* ---- the private half ---- */

static int uri_open(char *text, uint8_t algorithm, struct dnssec_private **out, struct why *why)
{
    text[strcspn(text, "\r\n")] = '\0';
    return dnssec_private_open(text, algorithm, out, why);
}

static int private_read(const struct key_place *at, const char *name, bool uri, uint8_t algorithm,
                        struct dnssec_private **out, struct why *why)
{
    char *text;
    size_t len;
    int err = key_text_read(at, name, true, &text, &len, why);
    if (err)
        return err;
    err = uri ? uri_open(text, algorithm, out, why)
              : dnssec_private_parse(text, len, algorithm, out, why);
    key_text_free(&text, len);
    return err ? in_file(at, name, err, why) : 0;
}

/* Which of the forms of a private half there is: KEY_PUBLIC for none. */
static int private_find(const struct key_place *at, const char *name, enum key_part *part,
                        struct why *why)
{
    *part = KEY_PUBLIC;
    for (int i = KEY_PEM; i < KEY_PARTS; i++) {
        char file[KEY_NAME_MAX + 16];
        struct stat st;
        snprintf(file, sizeof(file), "%s%s", name, key_ending[i]);
        if (fstatat(at->dir, file, &st, AT_SYMLINK_NOFOLLOW)) {
            if (errno != ENOENT)
                return why_set(why, -E_IO, "%s/%s: %s", at->path, file, strerror(errno));
            continue;
        }
        if (*part != KEY_PUBLIC)
            return why_set(why, -E_CONF, "%s/%s%s and %s: two private halves: remove one", at->path,
                           name, key_ending[*part], key_ending[i]);
        *part = (enum key_part)i;
    }
    return 0;
}

static int pair_read(const struct key_place *at, const char *name, const uint8_t *apex,
                     struct key_file *out, struct why *why)
{
    char file[KEY_NAME_MAX + 16];
    enum key_part part;
    snprintf(file, sizeof(file), "%s%s", name, key_ending[KEY_PUBLIC]);
    int err = public_read(at, file, apex, out, why);
    if (err)
        return err;
    err = private_find(at, name, &part, why);
    if (err || part == KEY_PUBLIC)
        return err;
    out->hsm = part == KEY_URI;
    snprintf(file, sizeof(file), "%s%s", name, key_ending[part]);
    err = private_read(at, file, out->hsm, out->algorithm, &out->private, why);
    if (!err && !dnssec_private_fits(out->private, out->rdata, out->len)) {
        dnssec_private_unref(out->private);
        out->private = NULL;
        err = why_set(why, -E_MISMATCH, "%s/%s is not the private half of %s%s", at->path, file,
                      name, key_ending[KEY_PUBLIC]);
    }
    return err;
}

/* ---- the list ---- */

/* Is it one of a key's files? Then the name without its ending. */
static bool is_key_file(const char *file, char name[KEY_NAME_MAX])
{
    const char *dot = strrchr(file, '.');
    if (file[0] != 'K' || !dot || dot - file >= KEY_NAME_MAX)
        return false;
    for (int part = 0; part < KEY_PARTS; part++)
        if (strcmp(dot, key_ending[part]) == 0) {
            snprintf(name, KEY_NAME_MAX, "%.*s", (int)(dot - file), file);
            return true;
        }
    return false;
}

static int names_read(const struct key_folder *f, struct key_file *files, size_t *n,
                      struct why *why)
{
    int fd = openat(f->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return why_set(why, -E_IO, "%s: %s", f->path, strerror(errno));
    }
    for (struct dirent *entry; !err && (entry = readdir(dir));) {
        char name[KEY_NAME_MAX];
        size_t i = 0;
        if (!is_key_file(entry->d_name, name))
            continue;
        while (i < *n && strcmp(files[i].name, name) != 0)
            i++;
        if (i < *n)
            continue;
        if (*n == KEY_FOLDER_KEYS_MAX)
            err = why_set(why, -E_LIMIT, "%s has more than %d keys", f->path, KEY_FOLDER_KEYS_MAX);
        else
            memcpy(files[(*n)++].name, name, sizeof(name));
    }
    closedir(dir);
    return err;
}

static int file_order(const void *left, const void *right)
{
    const struct key_file *a = left, *b = right;
    if (a->algorithm != b->algorithm)
        return a->algorithm < b->algorithm ? -1 : 1;
    if (a->tag != b->tag)
        return a->tag < b->tag ? -1 : 1;
    return strcmp(a->name, b->name);
}

/* A key under another's name would be written and removed under its own. */
static int named_rightly(const struct key_folder *f, const struct key_file *file, struct why *why)
{
    char name[KEY_NAME_MAX];
    int err = key_name(f->apex, file->rdata, file->len, name, why);
    if (err || strcmp(name, file->name) == 0)
        return err;
    return why_set(why, -E_MISMATCH, "%s/%s.key holds the key %s: rename its files to that",
                   f->path, file->name, name);
}

int key_folder_list(struct key_folder *folder, struct key_file **out, size_t *n, struct why *why)
{
    const struct key_place at = {folder->dir, folder->path, folder->owner, false};
    struct key_file *files = mem_array(KEY_FOLDER_KEYS_MAX, sizeof(*files));
    size_t count = 0;
    int err = names_read(folder, files, &count, why);
    if (err) {
        mem_free(&files);
        return err;
    }
    for (size_t i = 0; i < count; i++) {
        struct key_file *file = &files[i];
        file->err = pair_read(&at, file->name, folder->apex, file, &file->why);
        if (!file->err)
            file->err = named_rightly(folder, file, &file->why);
    }
    qsort(files, count, sizeof(*files), file_order);
    *out = mem_resize(files, (count ? count : 1) * sizeof(*files));
    *n = count;
    return 0;
}

void key_file_clear(struct key_file *file)
{
    mem_free(&file->rdata);
    dnssec_private_unref(file->private);
    file->private = NULL;
}

void key_files_free(struct key_file **files, size_t n)
{
    for (size_t i = 0; *files && i < n; i++)
        key_file_clear(&(*files)[i]);
    mem_free(files);
}

/* ---- from elsewhere ---- */

/* Cuts a path in two, and opens the folder. */
static int place_open(const char *path, char folder[KEY_PATH_MAX], char name[KEY_NAME_MAX],
                      struct key_place *at, struct why *why)
{
    const char *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path;
    size_t len = slash ? (size_t)(slash - path) : 0;
    if (len >= KEY_PATH_MAX || strlen(last) >= KEY_NAME_MAX || !*last)
        return why_set(why, -E_CONF, "\"%.200s\" is not the name of a file, or too long", path);
    snprintf(folder, KEY_PATH_MAX, "%.*s", (int)len, path);
    if (!len)
        snprintf(folder, KEY_PATH_MAX, "%s", slash ? "/" : ".");
    snprintf(name, KEY_NAME_MAX, "%s", last);
    /* who is root brings whose keys he likes */
    *at = (struct key_place){.dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                             .path = folder,
                             .owner = geteuid(),
                             .any_owner = geteuid() == 0};
    return at->dir >= 0 ? 0
                        : why_set(why, errno == ENOENT ? -E_NOENT : -E_IO, "%s: %s", folder,
                                  strerror(errno));
}

int key_file_read(const char *path, const uint8_t *apex, struct key_file *out, struct why *why)
{
    char folder[KEY_PATH_MAX], name[KEY_NAME_MAX];
    struct key_place at;
    int err = place_open(path, folder, name, &at, why);
    if (err)
        return err;
    *out = (struct key_file){.err = 0};
    if (!is_key_file(name, out->name))
        memcpy(out->name, name, sizeof(name));
    err = pair_read(&at, out->name, apex, out, why);
    close(at.dir);
    if (err)
        key_file_clear(out);
    return err;
}

int key_file_read_private(const char *path, const uint8_t *apex, uint8_t algorithm, uint16_t flags,
                          struct key_file *out, struct why *why)
{
    char folder[KEY_PATH_MAX], name[KEY_NAME_MAX];
    struct key_place at;
    int err = place_open(path, folder, name, &at, why);
    if (err)
        return err;
    *out = (struct key_file){.err = 0};
    const char *dot = strrchr(name, '.');
    out->hsm = dot && strcmp(dot, key_ending[KEY_URI]) == 0;
    err = private_read(&at, name, out->hsm, algorithm, &out->private, why);
    close(at.dir);
    if (err)
        return err;
    out->rdata = dnssec_private_dnskey(out->private, flags, &out->len);
    out->tag = dnssec_key_tag(out->rdata, out->len);
    out->algorithm = dnssec_private_algorithm(out->private);
    err = key_name(apex, out->rdata, out->len, out->name, why);
    if (err)
        key_file_clear(out);
    return err;
}
