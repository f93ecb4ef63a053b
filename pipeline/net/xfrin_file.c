/* Zones from files: read on threads of their own, since a big one takes seconds, and some take for ever.
 *
 *   control loop: file_start ─▶ reader: text_read into an edit, seal ─▶ control loop: submit, or complain
 *
 * The job holds all it needs (zone, configuration, version) and finds its way back by the zone, whose
 * `net` is NULL when it was dropped meanwhile. `generation` tells a job whose source has been changed
 * under it. While a job is out, it is the family's writer, and `reading` keeps the next one waiting.
 *
 * A FIFO that nobody writes to, or a server that does not answer (NFS), holds its reader in the kernel, where nothing but the
 * end of the process helps. So readers are not the pool's workers, which chains need and which are joined at the
 * end; they are made as they are wanted, READERS_MAX of them, detached, and leave when there is nothing to read. At the
 * end there is a short wait; a reader that is not back then is left behind with what it holds, and
 * should it come back after all, it touches nothing that may have gone, and sleeps until the process ends.
 *
 * What the file says is taken, whatever its serial: the operator put it there. A changed zone with a
 * serial that did not rise is warned about, since secondaries will not fetch it. */
#include "pipeline/net/xfrin_p.h"

#include "pipeline/base/alloc.h"
#include "pipeline/base/log.h"
#include "pipeline/base/pool.h"
#include "pipeline/net/loop.h"
#include "pipeline/zone/edit.h"
#include "pipeline/zone/text.h"
#include "pipeline/zone/transfer.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

enum { READERS_MAX = 8 };

struct xfrin_files { /* left behind with the readers that do not come back */
    pthread_mutex_t lock;
    pthread_cond_t quiet;
    struct file_job *first, **last; /* that wait for a reader */
    unsigned readers;               /* that have not left */
    bool closed;
};

struct file_job {
    struct file_job *next;
    struct task task; /* the way home */
    struct server *server;
    struct zone *zone;
    struct config *config;
    const struct zone_conf *conf;
    uint64_t generation;
    struct snapshot *held;
    double began;
    int err;
    struct why why;
    struct snapshot *snapshot;
    struct changeset *changes;
};

static struct file_job *job_of_task(struct task *task)
{
    return (struct file_job *)(void *)((char *)task - offsetof(struct file_job, task));
}

static void job_free(struct file_job *j)
{
    snapshot_unref(j->held);
    snapshot_unref(j->snapshot);
    changeset_unref(j->changes);
    config_unref(j->config);
    zone_unref(j->zone);
    mem_free(&j);
}

/* ---- reader */

static int file_read(struct file_job *j)
{
    struct edit *e = edit_open(j->zone->family, NULL, j->held);
    struct edit_limits limits = {.max_records = (size_t)j->conf->max_records,
                                 .max_bytes = (size_t)j->conf->max_bytes};
    struct soa soa;
    edit_limit(e, &limits);
    int err = text_read(j->conf->file, e, j->zone->name, &j->why);
    if (!err)
        err = edit_seal(&e, &j->snapshot, &j->changes, &j->why);
    edit_abort(&e);
    if (!err && !snapshot_soa(j->snapshot, &soa))
        err = why_set(&j->why, -E_FORMAT, "%s: it has no SOA record at the apex", j->conf->file);
    return err;
}

static struct file_job *job_next(struct xfrin_files *files)
{
    struct file_job *j = files->first;
    if (j) {
        files->first = j->next;
        if (!files->first)
            files->last = &files->first;
    }
    return j;
}

static void *reader_main(void *arg)
{
    struct xfrin_files *files = arg;
    pthread_mutex_lock(&files->lock);
    for (struct file_job *j; (j = job_next(files));) {
        pthread_mutex_unlock(&files->lock);
        j->err = file_read(j);
        pthread_mutex_lock(&files->lock);
        while (files->closed) { /* nobody waits any more */
            pthread_mutex_unlock(&files->lock);
            pause();
            pthread_mutex_lock(&files->lock);
        }
        /* Within the lock: once no reader is left, the loop has all that will come. */
        loop_post(j->server->control_loop, &j->task);
    }
    if (--files->readers == 0)
        pthread_cond_broadcast(&files->quiet);
    pthread_mutex_unlock(&files->lock);
    return NULL;
}

/* ---- control loop */

static void serial_warn(const struct file_job *j, const struct soa *soa)
{
    struct soa ours;
    if (!j->held || !snapshot_soa(j->held, &ours) || j->changes->n == 0 ||
        serial_newer(soa->serial, ours.serial))
        return;
    log_warn("zone file has changed but its serial did not rise: secondaries will not fetch it",
             LOG_KV("zone", LOG_S(j->zone->text)), LOG_KV("file", LOG_S(j->conf->file)),
             LOG_KV("serial", LOG_U(soa->serial)), LOG_KV("serial_before", LOG_U(ours.serial)),
             LOG_KV("changed_names", LOG_U(j->changes->n)));
}

static void job_take(struct file_job *j, struct xfrin_zone *xz)
{
    struct soa soa;
    if (j->err) {
        round_file_failed(xz, &j->why);
        return;
    }
    bool soa_there = snapshot_soa(j->snapshot, &soa);
    ASSERT(soa_there);
    log_info("zone file read", LOG_KV("zone", LOG_S(xz->zone->text)),
             LOG_KV("file", LOG_S(j->conf->file)), LOG_KV("serial", LOG_U(soa.serial)),
             LOG_KV("records", LOG_U(j->snapshot->records)),
             LOG_KV("changed_names", LOG_U(j->changes->n)),
             LOG_KV("seconds", LOG_F(xfrin_now() - j->began)));
    serial_warn(j, &soa);
    pthread_mutex_lock(&xz->zone->lock);
    xz->zone->checked_at = time(NULL);
    xz->zone->check_at = 0;
    pthread_mutex_unlock(&xz->zone->lock);
    report_success(xz, &xz->primary[0]);
    report_clear(xz);
    round_received(xz, j->snapshot, j->held, j->changes, j->conf->file, NULL);
}

static void job_home(struct task *task)
{
    struct file_job *j = job_of_task(task);
    struct xfrin_zone *xz = j->server->xfrin ? j->zone->net : NULL;
    if (xz) {
        xz->reading = false;
        if (xz->state == XFRIN_FILE && xz->generation == j->generation)
            job_take(j, xz);
        else
            round_file_dropped(xz);
    }
    job_free(j);
}

static void job_hand_out(struct xfrin_files *files, struct file_job *j)
{
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the control loop's */
    pthread_mutex_lock(&files->lock);
    *files->last = j;
    files->last = &j->next;
    /* Those that there are may be stuck; one too many finds nothing and leaves. */
    if (files->readers < READERS_MAX && !pthread_create(&thread, NULL, reader_main, files)) {
        pthread_detach(thread);
        files->readers++;
    }
    ASSERT(files->readers > 0);
    pthread_mutex_unlock(&files->lock);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void file_start(struct xfrin_zone *xz)
{
    struct xfrin *x = xz->x;
    struct file_job *j = mem_zalloc(sizeof *j);
    struct version *v = zone_version(xz->zone);
    j->task.run = job_home;
    j->server = x->server;
    j->zone = zone_ref(xz->zone);
    j->config = config_ref(xz->config);
    j->conf = xz->conf;
    j->generation = ++xz->generation;
    j->held = v ? snapshot_ref(v->input) : NULL;
    j->began = xfrin_now();
    version_unref(v);
    xz->state = XFRIN_FILE;
    xz->reading = true;
    if (pool_threads(x->server->pool) == 0) { /* everything runs in the caller */
        j->err = file_read(j);
        loop_post(x->server->control_loop, &j->task);
        return;
    }
    job_hand_out(x->files, j);
}

/* ---- begin, end */

struct xfrin_files *files_new(void)
{
    struct xfrin_files *files = mem_zalloc(sizeof *files);
    pthread_mutex_init(&files->lock, NULL);
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&files->quiet, &clock);
    pthread_condattr_destroy(&clock);
    files->last = &files->first;
    return files;
}

void files_free(struct xfrin *x)
{
    struct xfrin_files *files = x->files;
    struct timespec until;
    struct file_job *j;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += x->tuning.file_wait_ms / 1000;
    until.tv_nsec += x->tuning.file_wait_ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    pthread_mutex_lock(&files->lock);
    while ((j = job_next(files)))
        job_free(j);
    while (files->readers && !pthread_cond_timedwait(&files->quiet, &files->lock, &until))
        ;
    unsigned left = files->readers;
    files->closed = left > 0;
    pthread_mutex_unlock(&files->lock);
    x->files = NULL;
    if (left) {
        log_warn("zone files were still being read and are left behind: a pipe that nobody writes "
                 "to, or a file server that does not answer?",
                 LOG_KV("files", LOG_U(left)));
        return;
    }
    pthread_mutex_destroy(&files->lock);
    pthread_cond_destroy(&files->quiet);
    mem_free(&files);
}
