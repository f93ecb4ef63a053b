/* A disk that fails where it is told to: libc's functions, with an ear for the journal's file.
 *
 * The definitions here come before libc's for this program and for liblmdb, whose calls go through the dynamic table; what is theirs is
 * found with RTLD_NEXT, so sanitizers keep their own in between. */
#include "tests/faults/faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&(name)))(void *)dlsym(RTLD_NEXT, #name))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char orders[128];
static unsigned calls;
static _Atomic unsigned folder_syncs;

enum verdict { GO_ON, HALF, HALF_AND_DIE, FAIL };

void faults_set(const char *text)
{
    pthread_mutex_lock(&lock);
    snprintf(orders, sizeof orders, "%s", text);
    calls = 0;
    pthread_mutex_unlock(&lock);
}

unsigned faults_calls(void)
{
    pthread_mutex_lock(&lock);
    unsigned n = calls;
    pthread_mutex_unlock(&lock);
    return n;
}

unsigned faults_folder_syncs(void)
{
    return atomic_load(&folder_syncs);
}

static bool is_journal(int fd)
{
    char link[40], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 9)
        return false;
    path[n] = 0;
    return strcmp(path + n - 9, "/data.mdb") == 0;
}

/* With the lock held. */
static void orders_load(const char *file)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, orders, sizeof orders - 1);
    orders[n > 0 ? n : 0] = 0;
    if (fd >= 0)
        close(fd);
}

/* With the lock held. */
static void orders_read(const char *name, size_t octets)
{
    const char *file = getenv("WEIR_FAULTS");
    if (!file)
        return;
    char path[512], line[64];
    snprintf(path, sizeof path, "%s.calls", file);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    int len = snprintf(line, sizeof line, "%u %s %zu\n", calls, name, octets);
    if (fd >= 0) {
        if (NEXT(write)(fd, line, (size_t)len) != len)
            abort();
        close(fd);
    }
    orders_load(file);
}

/* "EIO", or of "EIO/ENOSPC" the one whose turn it is. */
static int errno_named(const char *both, unsigned turn)
{
    char text[16];
    const char *slash = strchr(both, '/');
    if (slash && turn % 2)
        snprintf(text, sizeof text, "%s", slash + 1);
    else
        snprintf(text, sizeof text, "%.*s", slash ? (int)(slash - both) : 15, both);
    static const struct {
        const char *name;
        int number;
    } known[] = {{"ENOSPC", ENOSPC}, {"EIO", EIO}, {"EROFS", EROFS}, {"EDQUOT", EDQUOT}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].name, text) == 0)
            return known[i].number;
    fprintf(stderr, "faults: no such order: %s\n", text);
    abort();
}

static enum verdict judge(const char *name, size_t octets)
{
    char verb[16] = "", only[16] = "";
    unsigned from = 0, until = 0;
    enum verdict verdict = GO_ON;
    pthread_mutex_lock(&lock);
    calls++;
    orders_read(name, octets);
    int n = sscanf(orders, "%15s %u %u %15s", verb, &from, &until, only);
    if (n >= 2 && calls == from && strcmp(verb, "kill") == 0)
        raise(SIGKILL);
    if (n == 2 && calls == from && strcmp(verb, "half") == 0)
        verdict = HALF_AND_DIE;
    else if (n >= 3 && strcmp(verb, "unreadable") != 0 && calls >= from && calls < until &&
             (n < 4 || strcmp(only, name) == 0))
        verdict = strcmp(verb, "short") == 0 ? HALF : FAIL;
    int number = verdict == FAIL ? errno_named(verb, calls) : 0;
    pthread_mutex_unlock(&lock);
    if (verdict == FAIL)
        errno = number;
    return verdict;
}

/* Half of the octets, through `one`; or all of it, or nothing. */
static ssize_t flat_write(const char *name, int fd, const void *p, size_t n, off_t at, bool has_at)
{
    enum verdict v = is_journal(fd) ? judge(name, n) : GO_ON;
    if (v == FAIL)
        return -1;
    if (v != GO_ON)
        n = n / 2 ? n / 2 : n;
    ssize_t done = has_at ? NEXT(pwrite)(fd, p, n, at) : NEXT(write)(fd, p, n);
    if (v == HALF_AND_DIE)
        raise(SIGKILL);
    return done;
}

static ssize_t vector_write(const char *name, int fd, const struct iovec *iov, int count, off_t at,
                            bool has_at)
{
    size_t all = 0;
    for (int i = 0; i < count; i++)
        all += iov[i].iov_len;
    enum verdict v = is_journal(fd) ? judge(name, all) : GO_ON;
    if (v == FAIL)
        return -1;
    ssize_t done;
    if (v == GO_ON) {
        done = has_at ? NEXT(pwritev)(fd, iov, count, at) : NEXT(writev)(fd, iov, count);
    } else {
        uint8_t *flat = malloc(all), *p = flat;
        if (!flat)
            abort();
        for (int i = 0; i < count; i++) {
            memcpy(p, iov[i].iov_base, iov[i].iov_len);
            p += iov[i].iov_len;
        }
        done = has_at ? NEXT(pwrite)(fd, flat, all / 2, at) : NEXT(write)(fd, flat, all / 2);
        free(flat);
    }
    if (v == HALF_AND_DIE)
        raise(SIGKILL);
    return done;
}

ssize_t write(int fd, const void *p, size_t n)
{
    return flat_write("write", fd, p, n, 0, false);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    return flat_write("pwrite", fd, p, n, at, true);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off_t at)
{
    return flat_write("pwrite", fd, p, n, at, true);
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
    return vector_write("writev", fd, iov, count, 0, false);
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t at)
{
    return vector_write("pwritev", fd, iov, count, at, true);
}

ssize_t pwritev64(int fd, const struct iovec *iov, int count, off_t at)
{
    return vector_write("pwritev", fd, iov, count, at, true);
}

static bool unreadable(int fd, size_t n, off_t at)
{
    const char *file = getenv("WEIR_FAULTS");
    unsigned long from = 0, until = 0, inode = 0;
    struct stat st;
    pthread_mutex_lock(&lock);
    if (file)
        orders_load(file);
    bool bad = sscanf(orders, "unreadable %lu %lu %lu", &from, &until, &inode) == 3;
    pthread_mutex_unlock(&lock);
    return bad && fstat(fd, &st) == 0 && st.st_ino == inode && (size_t)at < until &&
           (size_t)at + n > from;
}

ssize_t pread(int fd, void *p, size_t n, off_t at)
{
    if (is_journal(fd) && unreadable(fd, n, at)) {
        errno = EIO;
        return -1;
    }
    return NEXT(pread)(fd, p, n, at);
}

ssize_t pread64(int fd, void *p, size_t n, off_t at)
{
    return pread(fd, p, n, at);
}

static int plain(enum verdict v, int (*one)(int fd), int fd)
{
    if (v == FAIL)
        return -1;
    int rc = one(fd);
    if (v == HALF_AND_DIE)
        raise(SIGKILL);
    return rc;
}

int fdatasync(int fd)
{
    return plain(is_journal(fd) ? judge("fdatasync", 0) : GO_ON, NEXT(fdatasync), fd);
}

int fsync(int fd)
{
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        atomic_fetch_add(&folder_syncs, 1);
    return plain(is_journal(fd) ? judge("fsync", 0) : GO_ON, NEXT(fsync), fd);
}

static int cut(int fd, off_t len)
{
    enum verdict v = is_journal(fd) ? judge("ftruncate", 0) : GO_ON;
    if (v == FAIL)
        return -1;
    int rc = NEXT(ftruncate)(fd, len);
    if (v == HALF_AND_DIE)
        raise(SIGKILL);
    return rc;
}

int ftruncate(int fd, off_t len)
{
    return cut(fd, len);
}

int ftruncate64(int fd, off_t len)
{
    return cut(fd, len);
}

int rename(const char *from, const char *to)
{
    size_t n = strlen(from);
    bool ours = n >= 9 && strcmp(from + n - 9, "/data.mdb") == 0;
    enum verdict v = ours ? judge("rename", 0) : GO_ON;
    if (v == FAIL)
        return -1;
    int rc = NEXT(rename)(from, to);
    if (v == HALF_AND_DIE)
        raise(SIGKILL);
    return rc;
}
