/* A handler for SIGBUS, and the maps that it may mend.
 *
 * SIGBUS comes to the thread whose instruction touched the page, at that instruction, so whatever the handler does is done between two
 * instructions of LMDB's. It maps a page of zeros over the one that cannot be read (mmap is a plain system call on Linux) and returns; the
 * instruction reads zeros. LMDB looks at a page's kind before anything else in it, and zeros are of none: MDB_CORRUPTED. What is further
 * on in a large value is covered by the value's sum. Only LMDB's own list of free pages has no sum: it may hand out any page then,
 * but for a transaction that is never committed.
 *
 * A SIGBUS elsewhere (the disk with the program itself is failing) goes to whoever had the signal before, as if we were not there. */
#include "pipeline/run/journal_map.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { MAPS_MAX = 8 };
static struct map *_Atomic maps[MAPS_MAX];
static struct sigaction before;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local bool committing;

static struct map *map_of(uintptr_t at)
{
    for (unsigned i = 0; i < MAPS_MAX; i++) {
        struct map *m = atomic_load(&maps[i]);
        if (m && at - atomic_load(&m->at) < atomic_load(&m->len))
            return m;
    }
    return NULL;
}

static void on_bus(int sig, siginfo_t *info, void *context)
{
    static const char words[] =
        "weir: the disk cannot read the journal's file, in the midst of a commit: see what the "
        "next start says\n";
    (void)context;
    uintptr_t page_size = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)info->si_addr;
    uintptr_t page = at & ~(page_size - 1);
    struct map *m = info->si_code > 0 ? map_of(at) : NULL; /* not what kill(2) sends */
    int saved = errno;
    if (m && !committing) {
        atomic_store(&m->lost_at, page - atomic_load(&m->at));
        atomic_store(&m->lost, true);
        void *zeros = mmap((void *)page, page_size, PROT_READ,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        errno = saved;
        if (zeros != MAP_FAILED)
            return;
    }
    if (m) {
        ssize_t written = write(STDERR_FILENO, words, sizeof words - 1);
        (void)written;
    }
    sigaction(sig, &before, NULL); /* the instruction, or the signal, comes again */
    if (info->si_code <= 0)
        raise(sig);
    errno = saved;
}

static void install(void)
{
    struct sigaction act = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigemptyset(&act.sa_mask);
    sigaction(SIGBUS, &act, &before);
}

/* Where the file lies, beginning with its first octet. */
static bool map_find(int fd, uintptr_t *at, size_t *len)
{
    struct stat st;
    char line[512];
    FILE *f = fstat(fd, &st) ? NULL : fopen("/proc/self/maps", "re");
    bool found = false;
    while (f && !found && fgets(line, sizeof line, f)) {
        uintptr_t begin, end;
        unsigned long offset, inode;
        unsigned major_dev, minor_dev;
        found = sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*s %lx %x:%x %lu", &begin, &end, &offset,
                       &major_dev, &minor_dev, &inode) == 6 &&
                inode == st.st_ino && major_dev == major(st.st_dev) &&
                minor_dev == minor(st.st_dev) && offset == 0;
        *at = begin;
        *len = end - begin;
    }
    if (f)
        fclose(f);
    return found;
}

void map_watch(struct map *m, int fd)
{
    uintptr_t at;
    size_t len;
    map_unwatch(m);
    if (!map_find(fd, &at, &len))
        return;
    pthread_once(&once, install);
    atomic_store(&m->at, at);
    atomic_store(&m->len, len);
    for (unsigned i = 0; i < MAPS_MAX; i++) {
        struct map *none = NULL;
        if (atomic_compare_exchange_strong(&maps[i], &none, m))
            return;
    }
}

void map_unwatch(struct map *m)
{
    for (unsigned i = 0; i < MAPS_MAX; i++) {
        struct map *ours = m;
        (void)atomic_compare_exchange_strong(&maps[i], &ours, NULL);
    }
    atomic_store(&m->lost, false);
}

int map_lost(const struct map *m, struct why *why)
{
    if (!atomic_load(&m->lost))
        return 0;
    return why_set(why, -E_FORMAT, "cannot read the file at octet %" PRIu64 ": Input/output error",
                   atomic_load(&m->lost_at));
}

void map_commit_begin(void)
{
    committing = true;
}

void map_commit_end(void)
{
    committing = false;
}
