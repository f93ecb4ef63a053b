/* key_files: the folder, its lock, and what is written into it.
 *
 * A new pair is written private half first: a crash in between leaves a secret without a name, which
 * the list shows as what it is, and never a DNSKEY that seems to be of a key kept elsewhere. To remove
 * goes the other way round for the same reason: first the secret is gone, then the name.
 *
 * Every file comes to be by rename, so a reader without a lock (an operator's cp, say) sees whole
 * files too. What a crash left unfinished is swept away by the next one who has the lock.
 */
#include "pipeline/run/key_files_p.h"
#include "pipeline/base/alloc.h"
#include "pipeline/zone/rrtype.h"
#include "pipeline/zone/text_rdata.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_RETRY_MS = 10, ZONE_TEXT_MAX = 200 };
static const char temporary[] = ".new-";

const char *const key_ending[KEY_PARTS] = {
    [KEY_PUBLIC] = ".key", [KEY_PEM] = ".pem", [KEY_BIND] = ".private", [KEY_URI] = ".uri"};

/* ---- names ---- */

int key_zone_text(const uint8_t *apex, char out[KEY_NAME_MAX], struct why *why)
{
    size_t n = 0;
    for (const uint8_t *label = apex; *label; label = name_parent(label)) {
        for (unsigned i = 1; i <= label[0]; i++) {
            unsigned c = name_lower_table[label[i]];
            bool plain = isascii((int)c) && (isalnum((int)c) || c == '-' || c == '_');
            if (n + 4 > ZONE_TEXT_MAX)
                return why_set(why, -E_LIMIT, "the zone's name is too long for the name of a file");
            n += (size_t)snprintf(out + n, KEY_NAME_MAX - n, plain ? "%c" : "%%%02X", c);
        }
        out[n++] = '.';
    }
    if (n)
        n--;
    else
        out[n++] = '@';
    out[n] = '\0';
    return 0;
}

int key_name(const uint8_t *apex, const uint8_t *rdata, size_t len, char out[KEY_NAME_MAX],
             struct why *why)
{
    char zone[KEY_NAME_MAX];
    int err = key_zone_text(apex, zone, why);
    if (!err)
        snprintf(out, KEY_NAME_MAX, "K%.*s.+%03u+%05u", ZONE_TEXT_MAX, *apex ? zone : "", rdata[3],
                 dnssec_key_tag(rdata, len));
    return err;
}

/* ---- open ---- */

static int user_is(char *out, size_t cap, uid_t uid)
{
    char buf[1024];
    struct passwd pwd, *found = NULL;
    if (getpwuid_r(uid, &pwd, buf, sizeof(buf), &found) == 0 && found)
        return snprintf(out, cap, "%s", pwd.pw_name);
    return snprintf(out, cap, "uid %u", (unsigned)uid);
}

/* What root makes belongs to whose the folder above is. */
static int folder_make(const char *path, mode_t mode, const struct stat *above, struct why *why)
{
    if (mkdir(path, mode) == 0) {
        if (geteuid() == 0 && above && chown(path, above->st_uid, above->st_gid))
            return why_set(why, -E_IO, "%s: cannot be given to uid %u: %s", path,
                           (unsigned)above->st_uid, strerror(errno));
        return 0;
    }
    return errno == EEXIST
               ? 0
               : why_set(why, -E_IO, "%s: cannot make the folder: %s", path, strerror(errno));
}

static int folders_make(const char *state, const char *keys, const char *zone, struct why *why)
{
    struct stat st;
    int err = folder_make(state, 0750, NULL, why);
    if (!err && stat(state, &st))
        err = why_set(why, -E_IO, "%s: %s", state, strerror(errno));
    if (!err)
        err = folder_make(keys, 0700, &st, why);
    return err ? err : folder_make(zone, 0700, &st, why);
}

static int folder_check(struct key_folder *f, struct why *why)
{
    struct stat st;
    char is[64], me[64];
    if (fstat(f->dir, &st))
        return why_set(why, -E_IO, "%s: %s", f->path, strerror(errno));
    f->owner = st.st_uid;
    f->group = st.st_gid;
    user_is(is, sizeof(is), st.st_uid);
    user_is(me, sizeof(me), geteuid());
    if (st.st_uid != geteuid() && geteuid() != 0)
        return why_set(why, -E_CONF, "%s belongs to %s and weir runs as %s: chown -R %s %s",
                       f->path, is, me, me, f->path);
    if (st.st_mode & 077)
        return why_set(why, -E_CONF,
                       "%s has mode %04o, and keys are for their owner alone: chmod 700 %s",
                       f->path, (unsigned)st.st_mode & 07777, f->path);
    return 0;
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* "process 1234 (weir)", as the one who has the lock wrote it. */
static void holder_is(int lock, char *out, size_t cap)
{
    char text[32] = "", path[64], name[32] = "";
    ssize_t n = pread(lock, text, sizeof(text) - 1, 0);
    unsigned long pid = n > 0 ? strtoul(text, NULL, 10) : 0;
    snprintf(out, cap, "another process");
    if (!pid)
        return;
    snprintf(path, sizeof(path), "/proc/%lu/comm", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd >= 0 ? read(fd, name, sizeof(name) - 1) : 0;
    if (fd >= 0)
        close(fd);
    name[n > 0 ? n : 0] = '\0';
    name[strcspn(name, "\n")] = '\0';
    if (name[0])
        snprintf(out, cap, "process %lu (%s)", pid, name);
    else
        snprintf(out, cap, "process %lu", pid);
}

static int folder_lock(struct key_folder *f, unsigned wait_ms, struct why *why)
{
    uint64_t end = now_ms() + wait_ms;
    f->lock = openat(f->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (f->lock < 0)
        return why_set(why, -E_IO, "%s/lock: %s", f->path, strerror(errno));
    if (geteuid() == 0 && fchown(f->lock, f->owner, f->group))
        return why_set(why, -E_IO, "%s/lock: cannot be given to uid %u: %s", f->path,
                       (unsigned)f->owner, strerror(errno));
    while (flock(f->lock, LOCK_EX | LOCK_NB)) {
        char holder[96];
        if (errno != EWOULDBLOCK && errno != EINTR)
            return why_set(why, -E_IO, "%s/lock: %s", f->path, strerror(errno));
        if (now_ms() >= end) {
            holder_is(f->lock, holder, sizeof(holder));
            return why_set(why, -E_TIMEOUT, "%s is locked by %s", f->path, holder);
        }
        nanosleep(&(struct timespec){0, LOCK_RETRY_MS * 1000000L}, NULL);
    }
    f->locked = true;
    char pid[24];
    int n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
    if (ftruncate(f->lock, 0) || pwrite(f->lock, pid, (size_t)n, 0) != n)
        return why_set(why, -E_IO, "%s/lock: %s", f->path, strerror(errno));
    return 0;
}

static int folder_sweep(struct key_folder *f, struct why *why)
{
    int fd = openat(f->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return why_set(why, -E_IO, "%s: %s", f->path, strerror(errno));
    }
    for (struct dirent *entry; (entry = readdir(dir));)
        if (strncmp(entry->d_name, temporary, sizeof(temporary) - 1) == 0)
            unlinkat(f->dir, entry->d_name, 0);
    closedir(dir);
    return 0;
}

int key_folder_open(const char *state, const uint8_t *apex, bool make, unsigned wait_ms,
                    struct key_folder **out, struct why *why)
{
    char zone[KEY_NAME_MAX], keys[KEY_PATH_MAX];
    int err = key_zone_text(apex, zone, why);
    if (err)
        return err;
    struct key_folder *f = mem_zalloc(sizeof(*f));
    f->dir = f->lock = -1;
    name_copy(f->apex, apex);
    int n = snprintf(f->path, sizeof(f->path), "%s/keys/%s", state, zone);
    snprintf(keys, sizeof(keys), "%s/keys", state);
    if (n >= (int)sizeof(f->path))
        err = why_set(why, -E_CONF, "%s/keys: the path is too long", state);
    if (!err && make)
        err = folders_make(state, keys, f->path, why);
    if (!err && (f->dir = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        err = why_set(why, errno == ENOENT ? -E_NOENT : -E_IO, "%s: %s", f->path, strerror(errno));
    if (!err)
        err = folder_check(f, why);
    if (!err)
        err = folder_lock(f, wait_ms, why);
    if (!err)
        err = folder_sweep(f, why);
    if (err)
        key_folder_close(&f);
    else
        *out = f;
    return err;
}

void key_folder_close(struct key_folder **folder)
{
    struct key_folder *f = *folder;
    if (!f)
        return;
    if (f->locked) { /* a number that stays behind names nobody while the lock is free */
        bool cleared = ftruncate(f->lock, 0) == 0;
        (void)cleared;
    }
    if (f->lock >= 0)
        close(f->lock);
    if (f->dir >= 0)
        close(f->dir);
    mem_free(folder);
}

const char *key_folder_path(const struct key_folder *folder)
{
    return folder->path;
}

/* ---- reading a file ---- */

static int open_failed(const struct key_place *at, const char *name, struct why *why)
{
    int no = errno;
    struct stat st;
    char is[64], me[64];
    why_set(why, 0, "%s/%s: %s", at->path, name, strerror(no));
    if (no == EACCES && fstatat(at->dir, name, &st, 0) == 0) {
        user_is(is, sizeof(is), st.st_uid);
        user_is(me, sizeof(me), geteuid());
        why_add(why, ": it belongs to %s, and weir runs as %s", is, me);
    }
    return no == ENOENT ? -E_NOENT : no == EACCES ? -E_CONF : -E_IO;
}

static int file_check(const struct key_place *at, const char *name, const struct stat *st,
                      bool secret, struct why *why)
{
    char is[64], me[64];
    if (!S_ISREG(st->st_mode))
        return why_set(why, -E_CONF, "%s/%s is not a regular file", at->path, name);
    if (st->st_size > KEY_FILE_MAX)
        return why_set(why, -E_LIMIT, "%s/%s has %lld octets, more than %d are no key", at->path,
                       name, (long long)st->st_size, KEY_FILE_MAX);
    if (!at->any_owner && st->st_uid != geteuid() && st->st_uid != at->owner && st->st_uid != 0) {
        user_is(is, sizeof(is), st->st_uid);
        user_is(me, sizeof(me), at->owner);
        return why_set(why, -E_CONF, "%s/%s belongs to %s: chown %s %s/%s", at->path, name, is, me,
                       at->path, name);
    }
    if (secret && (st->st_mode & 077))
        return why_set(why, -E_CONF,
                       "%s/%s has mode %04o, and a private key is for its owner alone: chmod 600 "
                       "%s/%s",
                       at->path, name, (unsigned)st->st_mode & 07777, at->path, name);
    if (st->st_mode & 022)
        return why_set(why, -E_CONF,
                       "%s/%s has mode %04o, so others can write it: chmod go-w %s/%s", at->path,
                       name, (unsigned)st->st_mode & 07777, at->path, name);
    return 0;
}

int key_text_read(const struct key_place *at, const char *name, bool secret, char **text,
                  size_t *len, struct why *why)
{
    struct stat st;
    int fd = openat(at->dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return open_failed(at, name, why);
    int err = fstat(fd, &st) ? why_set(why, -E_IO, "%s/%s: %s", at->path, name, strerror(errno))
                             : file_check(at, name, &st, secret, why);
    char *got = NULL;
    size_t n = 0;
    for (ssize_t more = 1; !err && more;) {
        if (!got)
            got = mem_alloc(KEY_FILE_MAX + 2); /* one to see that it is too long; and the end */
        more = read(fd, got + n, KEY_FILE_MAX + 1 - n);
        if (more < 0 && errno != EINTR)
            err = why_set(why, -E_IO, "%s/%s: %s", at->path, name, strerror(errno));
        n += more > 0 ? (size_t)more : 0;
        if (n > KEY_FILE_MAX)
            err = why_set(why, -E_LIMIT, "%s/%s grew over %d octets while it was read", at->path,
                          name, KEY_FILE_MAX);
    }
    close(fd);
    if (err) {
        key_text_free(&got, n);
        return err;
    }
    got[n] = '\0';
    *text = got;
    *len = n;
    return 0;
}

void key_text_free(char **text, size_t len)
{
    if (*text)
        explicit_bzero(*text, len);
    mem_free(text);
}

/* ---- writing ---- */

static int write_failed(const struct key_folder *f, const char *name, struct why *why)
{
    return why_set(why, -E_IO, "%s/%s: cannot be written: %s", f->path, name, strerror(errno));
}

static int folder_sync(const struct key_folder *f, struct why *why)
{
    return fsync(f->dir) ? why_set(why, -E_IO, "%s: %s", f->path, strerror(errno)) : 0;
}

static bool write_all(int fd, const char *text, size_t len)
{
    while (len) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        text += n;
        len -= (size_t)n;
    }
    return true;
}

static int file_write(const struct key_folder *f, const char *name, const char *text, size_t len,
                      struct why *why)
{
    char new[KEY_NAME_MAX + 16];
    snprintf(new, sizeof(new), "%s%s", temporary, name);
    int fd = openat(f->dir, new, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return write_failed(f, name, why);
    bool ok = (geteuid() != 0 || fchown(fd, f->owner, f->group) == 0) && write_all(fd, text, len) &&
              fsync(fd) == 0;
    int no = errno;
    close(fd);
    if (ok && renameat(f->dir, new, f->dir, name) == 0)
        return folder_sync(f, why);
    errno = ok ? errno : no;
    int err = write_failed(f, name, why);
    unlinkat(f->dir, new, 0);
    return err;
}

static int is_free(const struct key_folder *f, const char *name, struct why *why)
{
    for (int part = 0; part < KEY_PARTS; part++) {
        char file[KEY_NAME_MAX + 16];
        struct stat st;
        snprintf(file, sizeof(file), "%s%s", name, key_ending[part]);
        if (fstatat(f->dir, file, &st, AT_SYMLINK_NOFOLLOW) == 0)
            return why_set(why, -E_EXISTS, "%s/%s is there already", f->path, file);
    }
    return 0;
}

static int public_write(const struct key_folder *f, const char *name, const uint8_t *rdata,
                        size_t len, struct why *why)
{
    char file[KEY_NAME_MAX + 16], owner[NAME_TEXT_MAX];
    struct text_rdata *printer = text_rdata_new();
    char *text = mem_printf("; %s key %u, %s\n%s IN DNSKEY %s\n",
                            rdata[1] & DNSKEY_SEP ? "key-signing" : "zone-signing",
                            dnssec_key_tag(rdata, len), dnssec_algorithm_text(rdata[3]),
                            name_print(f->apex, owner),
                            text_rdata_print(printer, RR_DNSKEY, rdata, (uint16_t)len));
    snprintf(file, sizeof(file), "%s%s", name, key_ending[KEY_PUBLIC]);
    int err = file_write(f, file, text, strlen(text), why);
    mem_free(&text);
    text_rdata_free(&printer);
    return err;
}

int key_folder_add_public(struct key_folder *folder, const uint8_t *rdata, size_t len,
                          char name[KEY_NAME_MAX], struct why *why)
{
    char made[KEY_NAME_MAX];
    struct dnssec_key *key = NULL;
    int err = dnssec_key_open(rdata, len, &key, why);
    if (err)
        return err;
    dnssec_key_close(&key);
    err = key_name(folder->apex, rdata, len, made, why);
    if (!err)
        err = is_free(folder, made, why);
    if (!err)
        err = public_write(folder, made, rdata, len, why);
    if (!err && name)
        memcpy(name, made, sizeof(made));
    return err;
}

static int private_write(const struct key_folder *f, const char *name,
                         const struct dnssec_private *key, const char *uri, struct why *why)
{
    char file[KEY_NAME_MAX + 16];
    char *text = NULL;
    size_t len;
    snprintf(file, sizeof(file), "%s%s", name, key_ending[uri ? KEY_URI : KEY_PEM]);
    int err = 0;
    if (uri)
        len = strlen(text = mem_printf("%s\n", uri));
    else
        err = dnssec_private_pem(key, &text, &len, why);
    if (!err) {
        err = file_write(f, file, text, len, why);
        key_text_free(&text, len);
    }
    return err;
}

int key_folder_add(struct key_folder *folder, const struct dnssec_private *key, uint16_t flags,
                   const char *uri, char name[KEY_NAME_MAX], struct why *why)
{
    char made[KEY_NAME_MAX];
    uint16_t len;
    uint8_t *rdata = dnssec_private_dnskey(key, flags, &len);
    int err = key_name(folder->apex, rdata, len, made, why);
    if (!err)
        err = is_free(folder, made, why);
    if (!err)
        err = private_write(folder, made, key, uri, why);
    if (!err)
        err = public_write(folder, made, rdata, len, why);
    if (!err && name)
        memcpy(name, made, sizeof(made));
    mem_free(&rdata);
    return err;
}

int key_folder_remove(struct key_folder *folder, const char *name, struct why *why)
{
    bool any = false;
    if (name[0] != 'K' || strchr(name, '/') || strlen(name) >= KEY_NAME_MAX)
        return why_set(why, -E_NOENT, "\"%s\" is not the name of a key", name);
    for (int part = KEY_PARTS; part-- > 0;) {
        char file[KEY_NAME_MAX + 16];
        snprintf(file, sizeof(file), "%s%s", name, key_ending[part]);
        if (part == KEY_PUBLIC && any) {
            int err = folder_sync(folder, why);
            if (err)
                return err;
        }
        if (unlinkat(folder->dir, file, 0) == 0)
            any = true;
        else if (errno != ENOENT)
            return why_set(why, -E_IO, "%s/%s: cannot be removed: %s", folder->path, file,
                           strerror(errno));
    }
    return any ? folder_sync(folder, why)
               : why_set(why, -E_NOENT, "%s has no key %s", folder->path, name);
}

/* ---- other files ---- */

static bool is_other(const char *name)
{
    return name[0] && name[0] != 'K' && name[0] != '.' && !strchr(name, '/') &&
           strcmp(name, "lock") != 0 && strlen(name) < KEY_NAME_MAX;
}

int key_folder_read(struct key_folder *folder, const char *name, char **text, size_t *len,
                    struct why *why)
{
    ASSERT(is_other(name));
    const struct key_place at = {folder->dir, folder->path, folder->owner, false};
    return key_text_read(&at, name, false, text, len, why);
}

int key_folder_write(struct key_folder *folder, const char *name, const char *text, size_t len,
                     struct why *why)
{
    ASSERT(is_other(name));
    if (len > KEY_FILE_MAX)
        return why_set(why, -E_LIMIT, "%s/%s would have %zu octets, more than %d", folder->path,
                       name, len, KEY_FILE_MAX);
    return file_write(folder, name, text, len, why);
}
