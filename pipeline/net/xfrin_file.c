/* Zones from files: read by a job on a worker, since a big one takes seconds.
 *
 *   control loop: file_start ─▶ worker: text_read into an edit, seal ─▶ control loop: submit, or complain
 *
 * The job holds all it needs (zone, configuration, version) and finds its way back by the zone, whose
 * `net` is NULL when it was dropped meanwhile. `generation` tells a job whose source has been changed
 * under it. While a job is out, it is the family's writer, and `reading` keeps the next one waiting.
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

#include <time.h>

struct file_job {
    struct job job;   /* first: the pool hands it back */
    struct task task; /* the way home */
    struct server *server;
    struct xfrin *x; /* outlives the job, not the task */
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

/* ---- worker */

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

static void job_run(struct job *job)
{
    struct file_job *j = (struct file_job *)(void *)job;
    struct xfrin *x = j->x;
    j->err = file_read(j);
    /* Posted within the lock: once `reading` is 0, the loop has all that will come. */
    pthread_mutex_lock(&x->lock);
    loop_post(j->server->control_loop, &j->task);
    if (--x->reading == 0)
        pthread_cond_broadcast(&x->quiet);
    pthread_mutex_unlock(&x->lock);
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
    report_success(xz, &xz->file);
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

void file_start(struct xfrin_zone *xz)
{
    struct xfrin *x = xz->x;
    struct file_job *j = mem_zalloc(sizeof *j);
    struct version *v = zone_version(xz->zone);
    j->job.run = job_run;
    j->task.run = job_home;
    j->server = x->server;
    j->x = x;
    j->zone = zone_ref(xz->zone);
    j->config = config_ref(xz->config);
    j->conf = xz->conf;
    j->generation = ++xz->generation;
    j->held = v ? snapshot_ref(v->input) : NULL;
    j->began = xfrin_now();
    version_unref(v);
    xz->state = XFRIN_FILE;
    xz->reading = true;
    pthread_mutex_lock(&x->lock);
    x->reading++;
    pthread_mutex_unlock(&x->lock);
    pool_submit(x->server->pool, &j->job);
}

void file_wait_all(struct xfrin *x)
{
    pthread_mutex_lock(&x->lock);
    while (x->reading)
        pthread_cond_wait(&x->quiet, &x->lock);
    pthread_mutex_unlock(&x->lock);
}
