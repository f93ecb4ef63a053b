/* A file is read as a small zone of its own, so that text is text everywhere.
 *
 * A file that is being written while it is looked at may be half of it: then it is wrong, or has fewer keys, until the next look. Who writes
 * it is told to rename it into its place, as weir does with its own.
 */
#include "pipeline/run/signer_keys.h"

#include "pipeline/base/alloc.h"
#include "pipeline/zone/text.h"

#include <errno.h>
#include <string.h>

static int sets_check(const char *path, const struct snapshot *s, struct why *why)
{
    const struct node *node = snapshot_apex(s);
    if (!node || !node_has(node, RR_DNSKEY))
        return why_set(why, -E_FORMAT, "%s: there is no DNSKEY in it", path);
    return 0;
}

static int file_read(const char *path, const uint8_t *apex, struct node **out, struct why *why)
{
    static const uint16_t types[] = {RR_DNSKEY, RR_CDS, RR_CDNSKEY, RR_RRSIG};
    struct family *family = family_new(apex);
    struct edit *e = edit_open(family, NULL, NULL);
    struct snapshot *s = NULL;
    edit_limit(e, &(struct edit_limits){SIGNER_KEYS_RECORDS_MAX, SIGNER_KEYS_FILE_MAX});
    int err = text_read_apex(path, e, apex, types, sizeof types / sizeof types[0], why);
    if (err) {
        edit_abort(&e);
    } else {
        struct why reason;
        err = edit_seal(&e, &s, NULL, &reason);
        if (err)
            why_set(why, err, "%s: %s", path, reason.text);
    }
    if (!err)
        err = sets_check(path, s, why);
    if (!err)
        *out = node_ref(snapshot_apex(s));
    snapshot_unref(s);
    family_unref(family);
    return err;
}

static bool same_file(const struct signer_keys *k, const struct stat *st)
{
    return k->seen && st->st_size == k->len && st->st_ino == k->inode &&
           st->st_mtim.tv_sec == k->at.tv_sec && st->st_mtim.tv_nsec == k->at.tv_nsec;
}

static int look(struct signer_keys *k, const uint8_t *apex, struct why *why)
{
    struct stat st;
    struct node *node;
    if (stat(k->path, &st)) {
        k->seen = false;
        return why_set(why, -E_IO, "%s: %s", k->path, strerror(errno));
    }
    if (same_file(k, &st)) {
        if (k->err)
            *why = k->why;
        return k->err;
    }
    if (!S_ISREG(st.st_mode))
        return why_set(why, -E_IO, "%s is not a regular file", k->path);
    if (st.st_size > SIGNER_KEYS_FILE_MAX)
        return why_set(why, -E_LIMIT, "%s has %lld octets, and no more than %d are read", k->path,
                       (long long)st.st_size, SIGNER_KEYS_FILE_MAX);
    int err = file_read(k->path, apex, &node, why);
    if (!err) {
        node_unref(k->node);
        k->node = node;
    }
    k->seen = err != -E_IO;
    k->at = st.st_mtim;
    k->len = st.st_size;
    k->inode = st.st_ino;
    return err;
}

int signer_keys_look(struct signer_keys *k, const char *path, const uint8_t *apex, struct why *why)
{
    if (k->path && strcmp(k->path, path) != 0)
        signer_keys_clear(k);
    if (!k->path)
        k->path = mem_strdup(path);
    k->err = look(k, apex, why);
    if (k->err)
        k->why = *why;
    return k->err;
}

void signer_keys_clear(struct signer_keys *k)
{
    mem_free(&k->path);
    node_unref(k->node);
    *k = (struct signer_keys){.path = NULL};
}
