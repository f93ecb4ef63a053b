/* Counting descriptors.
 *
 * A loop has three (epoll, its wake-up, and a timer that tells it of a clock that was set), an address two a thread (UDP
 * and TCP). Of a thread's clients one may be there that is only just being turned away.
 *
 * Where there are too few for all that the configuration allows, work comes before clients, but takes no more than half of
 * what base leaves: a machine with very little still serves. */
#include "pipeline/net/descriptors.h"

#include "pipeline/base/log.h"
#include "pipeline/net/control.h"
#include "pipeline/net/parent.h"
#include "pipeline/net/signer.h"
#include "pipeline/net/xfrin.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    OF_A_LOOP = 3,
    OF_AN_ADDRESS = 2,
    OF_THE_PROCESS = 8, /* standard streams, the control socket, what libraries open */
    OF_NOTIFY = 2,
    OF_OTHERS = 8, /* capture, the configuration at a reload */
};

struct descriptors descriptors_plan(const struct server_conf *conf, int64_t workers, int64_t limit)
{
    struct descriptors d = {
        .base = OF_THE_PROCESS + OF_A_LOOP +
                conf->threads * (OF_A_LOOP + OF_AN_ADDRESS * (int64_t)conf->nlisten),
        .work = CONTROL_CLIENTS + XFRIN_CHECKS + XFRIN_KEPT + conf->transfers_in + OF_NOTIFY +
                PARENT_QUESTIONS + SIGNER_QUESTIONS + workers + OF_OTHERS,
        .clients = conf->tcp_clients + conf->threads,
    };
    int64_t left = limit - d.base, half = left / 2;
    int64_t most = left - (d.work < half ? d.work : half) - conf->threads;
    d.let_in = most < conf->tcp_clients ? most : conf->tcp_clients;
    return d;
}

/* The soft limit after raising it. */
static int limit_raise(int64_t *out, struct why *why)
{
    struct rlimit lim;
    if (getrlimit(RLIMIT_NOFILE, &lim))
        return why_set(why, -E_IO, "cannot tell the limit on open files: %s", strerror(errno));
    rlim_t soft = lim.rlim_cur;
    lim.rlim_cur = lim.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &lim)) {
        log_warn("cannot raise the limit on open files to what the system allows",
                 LOG_KV("limit", LOG_U(soft)), LOG_KV("allowed", LOG_U(lim.rlim_max)),
                 LOG_KV("why", LOG_S(strerror(errno))));
        lim.rlim_cur = soft;
    }
    /* RLIM_INFINITY is the largest of its type. */
    *out = lim.rlim_cur < INT32_MAX ? (int64_t)lim.rlim_cur : INT32_MAX;
    return 0;
}

int descriptors_share(const struct server_conf *conf, int64_t workers, int64_t *clients,
                      struct why *why)
{
    int64_t limit = 0;
    int err = limit_raise(&limit, why);
    if (err)
        return err;
    struct descriptors d = descriptors_plan(conf, workers, limit);
    if (d.let_in < 1)
        return why_set(why, -E_IO,
                       "the limit on open files is %" PRId64 ", and server.threads and "
                       "server.listen alone take %" PRId64 ": raise it (LimitNOFILE= in the "
                       "systemd unit, or ulimit -Hn)",
                       limit, d.base);
    if (d.let_in < conf->tcp_clients)
        log_warn(
            "the limit on open files is too low for the configuration: fewer TCP clients are "
            "let in; raise it (LimitNOFILE= in the systemd unit, or ulimit -Hn) or lower "
            "server.tcp_clients",
            LOG_KV("limit", LOG_I(limit)), LOG_KV("needed", LOG_I(d.base + d.work + d.clients)),
            LOG_KV("tcp_clients", LOG_I(conf->tcp_clients)), LOG_KV("let_in", LOG_I(d.let_in)));
    *clients = d.let_in;
    return 0;
}
