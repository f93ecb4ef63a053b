/* A transfer: the query, the stream, the parser, and the zone that comes out.
 *
 *   held version? ─yes─▶ IXFR ─differences, or the whole zone─▶ complete
 *        │no              │ RCODE, does not fit, broken answer
 *        └──▶ AXFR ◀──────┘
 *
 * IXFR is asked for when there is a version that differences could lead from, unless the remote has `ixfr = false`, the
 * operator wants the whole zone (retransfer), the zone is pinned (`primary_pin`) and its version came from another
 * primary, or the last IXFR from here broke off. Whatever is wrong with an answer to IXFR, the whole zone is fetched
 * in its place, from the same primary, over the same connection if that is in step. There is no way back from AXFR to IXFR
 * within a round, so there is no loop. What the network does (time-outs, a cut) is no reason to ask for more at
 * once: the round goes on, and the next transfer from here is in full.
 *
 * The parser (zone/transfer.h) opens its edit at the first good message (of the full form) and is the family's writer
 * until it is done; a zone has one transfer or one file job at a time, so there is never a second.
 * Parsing runs on the control loop, message by message as they arrive: the kernel's buffer hides the
 * turns, and nothing is copied or handed between threads.
 *
 * The serial that the primary told may be another one's behind the same address: what counts is the
 * one in the stream, and one that is not newer than ours ends the transfer at its first message. */
#include "pipeline/net/xfrin_p.h"

#include "pipeline/base/alloc.h"
#include "pipeline/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SEQUENCES_MAX = 100000 };

struct xfrin_axfr {
    struct xfrin_zone *xz;
    struct xfrin_stream *stream;
    struct transfer *transfer;
    struct snapshot *held;   /* or NULL */
    struct tsig_chain *tsig; /* or NULL: the primary has no key */
    bool ixfr;               /* was asked for */
    bool serial_checked, complete, current;
    bool unproved;  /* a signature is wrong or missing */
    bool known_bad; /* it is of a serial that our chain refused */
    bool old;       /* its serial is not newer than ours, though a newer one was told of */
    int dropped;    /* < 0: what was said is not taken, for this kind of reason */
    double began;
};

static void transfer_begin(struct xfrin_zone *xz, bool ixfr);

static void axfr_drop(struct xfrin_axfr *a, bool keep)
{
    if (keep)
        stream_release(&a->stream);
    else
        stream_close(&a->stream);
    a->xz->axfr = NULL;
    transfer_free(&a->transfer);
    tsig_chain_free(&a->tsig);
    snapshot_unref(a->held);
    mem_free(&a);
}

void axfr_stop(struct xfrin_zone *xz)
{
    if (xz->axfr)
        axfr_drop(xz->axfr, false);
}

/* ---- messages */

static int serial_check(struct xfrin_axfr *a, struct why *why)
{
    struct xfrin_zone *xz = a->xz;
    const struct xfrin_primary *p = round_primary(xz);
    struct transfer_stats stats;
    uint32_t ours;
    transfer_stats(a->transfer, &stats);
    if (a->serial_checked || !stats.has_serial)
        return 0;
    a->serial_checked = true;
    if (xz->round.hinted && p->refused && p->refused_serial == stats.serial &&
        !xz->round.retry_refused) {
        a->known_bad = true;
        return -E_MISMATCH;
    }
    if (a->current || xz->round.force || !xfrin_our_serial(xz, &ours) ||
        serial_newer(stats.serial, ours))
        return 0;
    a->old = true;
    return why_set(why, -E_MISMATCH,
                   "message 1: serial %u is not newer than ours, %u, though the primary had told a "
                   "newer one",
                   stats.serial, ours);
}

static int on_message(void *ctx, const uint8_t *msg, size_t len, struct why *why)
{
    struct xfrin_axfr *a = ctx;
    int err = xfrin_verify(a->xz, a->tsig, msg, len, why);
    a->unproved = err < 0;
    if (err == 0)
        err = transfer_feed(a->transfer, msg, len, why);
    if (err > 0 && xfrin_verify_end(a->xz, a->tsig, why) < 0) {
        a->unproved = true;
        err = -E_MISMATCH;
    }
    a->complete = err == TRANSFER_COMPLETE;
    a->current = err == TRANSFER_CURRENT;
    int wrong = err < 0 ? 0 : serial_check(a, why);
    if (!a->unproved && (err < 0 || wrong < 0))
        a->dropped = err < 0 ? err : wrong;
    return err < 0 ? err : wrong < 0 ? wrong : err != TRANSFER_MORE;
}

static struct xfrin_told told_of(const struct transfer_stats *stats)
{
    return (struct xfrin_told){
        .serial = stats->serial, .has_expire = stats->has_expire, .expire_s = stats->expire_s};
}

/* ---- ends */

/* In full, then; but not for a NOTIFY's word alone. */
static void in_full(struct xfrin_axfr *a, bool keep)
{
    struct xfrin_zone *xz = a->xz;
    struct transfer_stats stats;
    transfer_stats(a->transfer, &stats);
    axfr_drop(a, keep);
    xz->round.full = true;
    if (xz->round.hinted && !stats.has_serial)
        round_check(xz);
    else
        transfer_begin(xz, false);
}

/* RFC 1995 4: the answer to IXFR is not taken. True: the whole zone is on its way. */
static bool ixfr_failed(struct xfrin_axfr *a, int err, const struct why *why)
{
    struct xfrin_zone *xz = a->xz;
    struct xfrin_primary *p = round_primary(xz);
    struct transfer_stats stats;
    char who[ADDRESS_TEXT_MAX];
    transfer_stats(a->transfer, &stats);
    address_print(primary_address(p), who);
    /* "What you want is newer", and not another word: as if it were UDP. */
    bool lone = stats.has_serial && stats.form == TRANSFER_NO_FORM;
    if (a->dropped == -E_REFUSED) {
        atomic_fetch_add(&xz->zone->counters.ixfr_refused, 1);
        if (!p->no_ixfr)
            log_notice("primary does not answer IXFR, so zones come from it in full",
                       LOG_KV("zone", LOG_S(xz->zone->text)), LOG_KV("primary", LOG_S(who)),
                       LOG_KV("why", LOG_S(why->text)));
        p->no_ixfr = true;
    } else if (a->dropped || (err == -E_CLOSED && !stream_heard(a->stream)) || lone) {
        atomic_fetch_add(&xz->zone->counters.ixfr_dropped, 1);
        log_warn("answer to IXFR dropped: the whole zone is fetched instead",
                 LOG_KV("zone", LOG_S(xz->zone->text)), LOG_KV("primary", LOG_S(who)),
                 LOG_KV("kind", LOG_S(error_text(a->dropped ? a->dropped : err))),
                 LOG_KV("why", LOG_S(why->text)));
    } else {
        p->axfr_next = true;
        return false;
    }
    in_full(a, stats.ended);
    return true;
}

/* What a kept connection says is older than what was told of: a process from before the primary's reload, perhaps. True: it is asked
 * again over a fresh one. */
static bool asked_afresh(struct xfrin_axfr *a)
{
    struct xfrin_zone *xz = a->xz;
    bool ixfr = a->ixfr;
    if (!stream_was_kept(a->stream) || xz->round.doubted)
        return false;
    xz->round.doubted = true;
    axfr_drop(a, false);
    conn_forget(xz->x, primary_address(round_primary(xz)));
    transfer_begin(xz, ixfr);
    return true;
}

static void axfr_failed(struct xfrin_axfr *a, int err, const struct why *why)
{
    struct xfrin_zone *xz = a->xz;
    struct xfrin_primary *p = round_primary(xz);
    struct transfer_stats stats;
    struct why said = *why;
    transfer_stats(a->transfer, &stats);
    if (a->known_bad) {
        axfr_drop(a, false);
        round_known_bad(xz);
        return;
    }
    if (a->old && asked_afresh(a))
        return;
    if (a->ixfr && !a->unproved && ixfr_failed(a, err, why))
        return;
    if (!a->unproved && (stats.rcode == RCODE_FORMERR || stats.rcode == RCODE_NOTIMP) &&
        !stats.has_opt && !p->no_edns) { /* as in xfrin_soa.c */
        p->no_edns = true;
        in_full(a, stats.ended);
        return;
    }
    why_add(&said, "; cut after %zu messages, %zu records, %zu octets in %.1f s", stats.messages,
            stats.records, stats.bytes, xfrin_now() - a->began);
    axfr_drop(a, stats.ended && !a->unproved);
    round_failed(xz, "transfer failed", &said);
}

/* One SOA that is not newer, though a NOTIFY or the primary itself had told of a newer one: the NOTIFY may have lied, or the
 * primary's differences may be behind its zone. */
static void axfr_current(struct xfrin_axfr *a)
{
    struct xfrin_zone *xz = a->xz;
    struct transfer_stats stats;
    char who[ADDRESS_TEXT_MAX];
    transfer_stats(a->transfer, &stats);
    if (asked_afresh(a))
        return;
    if (xz->round.hinted) {
        axfr_drop(a, true);
        round_check(xz);
        return;
    }
    atomic_fetch_add(&xz->zone->counters.ixfr_dropped, 1);
    log_warn("answer to IXFR is an SOA that is not newer than ours, though the primary had told a "
             "newer one: the whole zone is fetched instead",
             LOG_KV("zone", LOG_S(xz->zone->text)),
             LOG_KV("primary", LOG_S(address_print(primary_address(round_primary(xz)), who))),
             LOG_KV("serial", LOG_U(stats.serial)));
    in_full(a, true);
}

static void note_last(struct xfrin_axfr *a, const struct transfer_stats *stats)
{
    struct xfrin_last *last = &a->xz->last;
    struct soa soa = {0};
    if (a->held)
        snapshot_soa(a->held, &soa);
    peer_unref(&last->from);
    *last = (struct xfrin_last){.at = time(NULL),
                                .from = peer_ref(a->xz->x, primary_address(round_primary(a->xz))),
                                .asked_ixfr = a->ixfr,
                                .from_serial = soa.serial,
                                .seconds = xfrin_now() - a->began,
                                .stats = *stats};
}

static void log_complete(const struct xfrin_axfr *a, size_t changed)
{
    const struct xfrin_last *last = &a->xz->last;
    const struct transfer_stats *stats = &last->stats;
    char from[ADDRESS_TEXT_MAX];
    log_info("transfer complete", LOG_KV("zone", LOG_S(a->xz->zone->text)),
             LOG_KV("primary", LOG_S(address_print(&last->from->address, from))),
             LOG_KV("serial", LOG_U(stats->serial)),
             LOG_KV("asked", LOG_S(a->ixfr ? "IXFR" : "AXFR")),
             LOG_KV("got", LOG_S(transfer_form_text(stats->form))),
             LOG_KV("messages", LOG_U(stats->messages)), LOG_KV("records", LOG_U(stats->records)),
             LOG_KV("octets", LOG_U(stats->bytes)), LOG_KV("seconds", LOG_F(last->seconds)),
             LOG_KV("changed_names", LOG_U(changed)));
}

static void axfr_complete(struct xfrin_axfr *a)
{
    struct xfrin_zone *xz = a->xz;
    struct xfrin_primary *p = round_primary(xz);
    struct snapshot *snapshot, *held = a->held;
    struct changeset *changes;
    struct transfer_stats stats;
    struct why why = {""};
    int err = transfer_take(a->transfer, &snapshot, &changes, &why);
    if (err) {
        a->dropped = err;
        axfr_failed(a, err, &why);
        return;
    }
    transfer_stats(a->transfer, &stats);
    note_last(a, &stats);
    log_complete(a, changes->n);
    atomic_fetch_add(stats.form == TRANSFER_INCREMENTAL ? &xz->zone->counters.transfers_ixfr
                                                        : &xz->zone->counters.transfers_axfr,
                     1);
    struct xfrin_told told = told_of(&stats);
    p->axfr_next = false;
    p->has_serial = true;
    p->serial = stats.serial;
    if (stats.form == TRANSFER_INCREMENTAL)
        p->no_ixfr = false;
    a->held = NULL;
    axfr_drop(a, true);
    char from[ADDRESS_TEXT_MAX];
    round_received(xz, snapshot, held, changes, address_print(&xz->last.from->address, from),
                   &told);
    snapshot_unref(held);
    snapshot_unref(snapshot);
    changeset_unref(changes);
}

static void on_end(void *ctx, int err, const struct why *why)
{
    struct xfrin_axfr *a = ctx;
    struct why missing = {""};
    if (a->complete && !err)
        axfr_complete(a);
    else if (a->current && !err)
        axfr_current(a);
    else if (err == -E_CLOSED && !a->dropped && !a->unproved &&
             transfer_end_of_stream(a->transfer, &missing))
        axfr_failed(a, err, &missing);
    else
        axfr_failed(a, err, why);
}

/* ---- beginnings */

bool axfr_may_be_ixfr(struct xfrin_zone *xz)
{
    const struct xfrin_primary *p = round_primary(xz);
    const struct remote_conf *remote = xz->conf->primaries[p - xz->primary];
    char who[ADDRESS_TEXT_MAX];
    struct version *v = zone_version(xz->zone);
    struct soa soa;
    bool may = v && v->input->family == xz->zone->family && snapshot_soa(v->input, &soa) &&
               remote->ixfr && !p->axfr_next && !xz->round.force && !xz->round.full;
    if (may && xz->conf->primary_pin)
        may = strcmp(v->origin, address_print(primary_address(p), who)) == 0;
    version_unref(v);
    return may;
}

static void transfer_begin(struct xfrin_zone *xz, bool ixfr)
{
    const struct xfrin_primary *p = round_primary(xz);
    const struct zone_conf *conf = xz->conf;
    struct xfrin_axfr *a = mem_zalloc(sizeof *a);
    uint8_t query[XFRIN_QUERY_MAX];
    uint16_t id = (uint16_t)arc4random();
    ASSERT(!xz->axfr);
    xz->axfr = a;
    a->xz = xz;
    a->ixfr = ixfr;
    a->began = xfrin_now();
    struct version *v = zone_version(xz->zone);
    a->held = v ? snapshot_ref(v->input) : NULL;
    version_unref(v);
    a->transfer = transfer_new(&(struct transfer_config){
        .family = xz->zone->family,
        .held = a->held,
        .id = id,
        .incremental = ixfr,
        .limits = {.max_records = (size_t)conf->max_records,
                   .max_bytes = (size_t)conf->max_bytes,
                   .max_sequences = SEQUENCES_MAX},
    });
    size_t query_len = xfrin_query(xz, ixfr ? RR_IXFR : RR_AXFR, ixfr ? a->held : NULL, id, query);
    a->stream = stream_open(&(struct xfrin_stream_config){
        .x = xz->x,
        .to = primary_address(p),
        .source = primary_source(xz, p),
        .query = query,
        .query_len = xfrin_sign(xz, query, query_len, &a->tsig),
        .max_s = (double)conf->max_time_s,
        .max_name = "max_time",
        .min_rate = conf->min_rate,
        .capture = true,
        .ctx = a,
        .message = on_message,
        .end = on_end,
    });
}

void axfr_start(struct xfrin_zone *xz)
{
    transfer_begin(xz, axfr_may_be_ixfr(xz));
}

char *axfr_doing(struct xfrin_zone *xz)
{
    struct transfer_stats stats;
    char who[ADDRESS_TEXT_MAX];
    transfer_stats(xz->axfr->transfer, &stats);
    return mem_printf("transferring from %s by %s: %zu records, %zu octets, %.1f s",
                      address_print(primary_address(round_primary(xz)), who),
                      xz->axfr->ixfr ? "IXFR" : "AXFR", stats.records, stats.bytes,
                      xfrin_now() - xz->axfr->began);
}
