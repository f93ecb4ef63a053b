/* Transfers out on a connection: admission, turns, and what is told of them.
 *
 * Only what answer() allowed comes here, so a stranger's question costs no admission. The zone and
 * its version are referenced before the thread goes back to its loop: from then on nothing here is
 * read through RCU.
 *
 * Turns: the message after one of transfer i is one of transfer i + 1, so that a large zone does
 * not hold up a small one that was asked for later on the same connection (RFC 7766 6.2.1.1, RFC
 * 9103 6.2). */
#include "pipeline/net/tcp_transfer.h"

#include <math.h>
#include <time.h>

#include "pipeline/base/log.h"
#include "pipeline/net/tcp_conn.h"
#include "pipeline/net/tcp_limits.h"
#include "pipeline/net/xfrout_report.h"

enum { LOG_EVERY_S = 10 };

static void count_zone(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void refusal_log(struct tcp_conn *conn, struct zone *zone, const char *reason)
{
    static struct log_gate gate;
    uint64_t skipped = 0;
    char peer[ADDRESS_TEXT_MAX];
    count_zone(&fetches_counters(&zone->fetches)->refused);
    if (log_gate_open(&gate, LOG_EVERY_S, &skipped))
        log_warn("transfer out refused", LOG_KV("zone", LOG_S(zone->text)),
                 LOG_KV("client", LOG_S(address_print(&conn->peer, peer))),
                 LOG_KV("reason", LOG_S(reason)), LOG_KV("skipped", LOG_U(skipped)));
}

static const char *admit(struct tcp_conn *conn)
{
    const struct server_conf *conf = tcp_conf(conn->tcp);
    if (conn->transfers.n == TCP_TRANSFERS)
        return "too many on this connection";
    switch (tcp_limits_transfer_begin(conn->tcp->thread->server->tcp_limits, &conn->peer,
                                      conf->transfers_out, conf->transfers_out_per_client)) {
    case TCP_FULL:
        return "transfers_out is reached";
    case TCP_HOST_FULL:
        return "transfers_out_per_client is reached";
    case TCP_ADMITTED:
        break;
    }
    return NULL;
}

unsigned tcp_transfer_begin(struct tcp_conn *conn, const struct answer_result *result)
{
    struct tcp *tcp = conn->tcp;
    const char *limit = admit(conn);
    if (limit) {
        refusal_log(conn, result->zone, limit);
        return RCODE_REFUSED;
    }
    struct version *version = zone_version(result->zone);
    if (!version) {
        tcp_limits_transfer_end(tcp->thread->server->tcp_limits, &conn->peer);
        return RCODE_SERVFAIL;
    }
    struct xfrout *x = xfrout_new(version, result->id, result->qname, result->qtype, result->edns);
    bool difference = result->qtype == RR_IXFR && xfrout_since(x, result->serial);
    enum fetch_kind kind = result->qtype == RR_AXFR ? FETCH_AXFR
                           : difference             ? FETCH_IXFR
                                                    : FETCH_IXFR_FULL;
    conn->transfers.list[conn->transfers.n++] = (struct tcp_transfer){
        .x = x,
        .tsig = result->tsig ? tsig_chain_new(result->tsig->key, &result->tsig->mac) : NULL,
        .zone = zone_ref(result->zone),
        .kind = kind,
        .from = result->serial,
        .serial = version->soa.serial,
        .records = difference ? 0 : version->served->records + 1, /* the closing SOA */
        .began_at = tcp_now(),
    };
    version_unref(version);
    tcp->active_transfers++;
    counter_add(&tcp->thread->counters.transfers, 1);
    xfrout_report_begin(result->zone, kind);
    return RCODE_NOERROR;
}

/* The next message of a transfer, signed if its client wants that. */
static int message_next(struct tcp_transfer *t, struct msg_writer *w, uint8_t *buf, struct why *why)
{
    size_t room = t->tsig ? tsig_room(tsig_chain_key(t->tsig)) : 0;
    int len = xfrout_next(t->x, w, buf, MSG_MAX - room, why);
    if (len <= 0 || !t->tsig)
        return len;
    size_t whole = tsig_chain_sign(t->tsig, buf, (size_t)len, MSG_MAX, (uint64_t)time(NULL));
    ASSERT(whole);
    return (int)whole;
}

bool tcp_transfer_more(const struct tcp_conn *conn)
{
    for (unsigned i = 0; i < conn->transfers.n; i++)
        if (!conn->transfers.list[i].complete)
            return true;
    return false;
}

int tcp_transfer_next(struct tcp_conn *conn, uint8_t *buf, struct why *why)
{
    struct tcp_transfers *all = &conn->transfers;
    struct query_counters *counters = &conn->tcp->thread->counters;
    for (unsigned i = 0; i < all->n; i++) {
        struct tcp_transfer *t = &all->list[all->turn++ % all->n];
        if (t->complete)
            continue;
        int len = message_next(t, &conn->tcp->work.writer, buf + 2, why);
        if (len < 0)
            return len;
        if (len == 0) {
            t->complete = xfrout_done(t->x);
            continue;
        }
        put_u16(buf, (uint16_t)len);
        counter_add(&counters->transfer_messages, 1);
        counter_add(&counters->transfer_bytes, (uint64_t)len);
        return 2 + len;
    }
    return 0;
}

static void transfer_end(struct tcp_conn *conn, struct tcp_transfer *t, const char *reason)
{
    struct xfrout_course course = {
        .x = t->x,
        .fetch = {.host = conn->peer, .kind = t->kind, .from = t->from, .to = t->serial},
        .records = t->records,
        .seconds = tcp_now() - t->began_at,
    };
    xfrout_report_end(t->zone, &course, reason);
    if (reason)
        counter_add(&conn->tcp->thread->counters.transfers_failed, 1);
    xfrout_free(&t->x);
    tsig_chain_free(&t->tsig);
    zone_unref(t->zone);
    tcp_limits_transfer_end(conn->tcp->thread->server->tcp_limits, &conn->peer);
    conn->tcp->active_transfers--;
}

void tcp_transfer_settle(struct tcp_conn *conn)
{
    struct tcp_transfers *all = &conn->transfers;
    unsigned kept = 0;
    for (unsigned i = 0; i < all->n; i++) {
        if (all->list[i].complete)
            transfer_end(conn, &all->list[i], NULL);
        else
            all->list[kept++] = all->list[i];
    }
    all->n = kept;
}

double tcp_transfer_oldest(const struct tcp_conn *conn)
{
    double oldest = INFINITY;
    for (unsigned i = 0; i < conn->transfers.n; i++)
        oldest = fmin(oldest, conn->transfers.list[i].began_at);
    return oldest;
}

void tcp_transfer_cut(struct tcp_conn *conn, const char *reason)
{
    for (unsigned i = 0; i < conn->transfers.n; i++)
        transfer_end(conn, &conn->transfers.list[i], reason);
    conn->transfers.n = 0;
}
