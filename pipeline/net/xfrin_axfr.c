/* A transfer: the query, the stream, the parser, and the zone that comes out.
 *
 * The parser (zone/transfer.h) opens its edit at the first good message and is the family's writer
 * until it is done; a zone has one transfer or one file job at a time, so there is never a second.
 * Parsing runs on the control loop, message by message as they arrive: the kernel's buffer hides the
 * turns, and nothing is copied or handed between threads.
 *
 * The serial that the primary told may be another one's behind the same address: what counts is the
 * one in the stream, and one that is not newer than ours ends the transfer at its first message. */
#include "pipeline/net/xfrin_p.h"

#include "pipeline/base/alloc.h"
#include "pipeline/base/log.h"
#include "pipeline/zone/transfer.h"

#include <stdlib.h>

struct xfrin_axfr {
    struct xfrin_zone *xz;
    struct xfrin_stream *stream;
    struct transfer *transfer;
    struct snapshot *held;   /* or NULL */
    struct tsig_chain *tsig; /* or NULL: the primary has no key */
    bool serial_checked, complete;
    double began;
};

void axfr_stop(struct xfrin_zone *xz)
{
    struct xfrin_axfr *a = xz->axfr;
    if (!a)
        return;
    xz->axfr = NULL;
    stream_close(&a->stream);
    transfer_free(&a->transfer);
    tsig_chain_free(&a->tsig);
    snapshot_unref(a->held);
    mem_free(&a);
}

static int serial_check(struct xfrin_axfr *a, struct why *why)
{
    struct transfer_stats stats;
    uint32_t ours;
    transfer_stats(a->transfer, &stats);
    if (a->serial_checked || !stats.has_serial)
        return 0;
    a->serial_checked = true;
    if (a->xz->round.force || !xfrin_our_serial(a->xz, &ours) || serial_newer(stats.serial, ours))
        return 0;
    return why_set(why, -E_MISMATCH,
                   "message 1: serial %u is not newer than ours, %u, though the primary had told a "
                   "newer one",
                   stats.serial, ours);
}

static int on_message(void *ctx, const uint8_t *msg, size_t len, struct why *why)
{
    struct xfrin_axfr *a = ctx;
    int err = xfrin_verify(a->xz, a->tsig, msg, len, why);
    if (err == 0)
        err = transfer_feed(a->transfer, msg, len, why);
    if (err < 0)
        return err;
    int wrong = err == TRANSFER_COMPLETE ? xfrin_verify_end(a->xz, a->tsig, why) : 0;
    if (wrong)
        return wrong;
    a->complete = err == TRANSFER_COMPLETE;
    wrong = serial_check(a, why);
    return wrong ? wrong : err;
}

static void axfr_failed(struct xfrin_axfr *a, const struct why *why)
{
    struct xfrin_zone *xz = a->xz;
    struct transfer_stats stats;
    struct why said = *why;
    transfer_stats(a->transfer, &stats);
    why_add(&said, "; cut after %zu messages, %zu records, %zu octets in %.1f s", stats.messages,
            stats.records, stats.bytes, xfrin_now() - a->began);
    axfr_stop(xz);
    round_failed(xz, "transfer failed", &said);
}

static void axfr_complete(struct xfrin_axfr *a)
{
    struct xfrin_zone *xz = a->xz;
    struct snapshot *snapshot, *held = a->held;
    struct changeset *changes;
    struct transfer_stats stats;
    struct why why = {""};
    char who[ADDRESS_TEXT_MAX];
    if (transfer_take(a->transfer, &snapshot, &changes, &why)) {
        axfr_failed(a, &why);
        return;
    }
    transfer_stats(a->transfer, &stats);
    double seconds = xfrin_now() - a->began;
    address_print(&round_primary(xz)->address, who);
    log_info("transfer complete", LOG_KV("zone", LOG_S(xz->zone->text)),
             LOG_KV("primary", LOG_S(who)), LOG_KV("serial", LOG_U(stats.serial)),
             LOG_KV("messages", LOG_U(stats.messages)), LOG_KV("records", LOG_U(stats.records)),
             LOG_KV("octets", LOG_U(stats.bytes)), LOG_KV("seconds", LOG_F(seconds)),
             LOG_KV("changed_names", LOG_U(changes->n)));
    a->held = NULL;
    axfr_stop(xz);
    round_received(xz, snapshot, held, changes, who);
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
    else if (err == -E_CLOSED && transfer_end_of_stream(a->transfer, &missing))
        axfr_failed(a, &missing);
    else
        axfr_failed(a, why);
}

void axfr_start(struct xfrin_zone *xz)
{
    const struct xfrin_primary *p = round_primary(xz);
    const struct zone_conf *conf = xz->conf;
    struct xfrin_axfr *a = mem_zalloc(sizeof *a);
    uint8_t query[XFRIN_QUERY_MAX];
    uint16_t id = (uint16_t)arc4random();
    ASSERT(!xz->axfr);
    xz->axfr = a;
    a->xz = xz;
    a->began = xfrin_now();
    struct version *v = zone_version(xz->zone);
    a->held = v ? snapshot_ref(v->input) : NULL;
    version_unref(v);
    a->transfer = transfer_new(&(struct transfer_config){
        .family = xz->zone->family,
        .held = a->held,
        .id = id,
        .limits = {.max_records = (size_t)conf->max_records, .max_bytes = (size_t)conf->max_bytes},
    });
    a->stream = stream_open(&(struct xfrin_stream_config){
        .x = xz->x,
        .to = &p->address,
        .source = &p->source,
        .query = query,
        .query_len = xfrin_sign(xz, query, xfrin_query(xz, RR_AXFR, id, query), &a->tsig),
        .max_s = (double)conf->max_time_s,
        .max_name = "max_time",
        .min_rate = conf->min_rate,
        .capture = true,
        .ctx = a,
        .message = on_message,
        .end = on_end,
    });
}

char *axfr_doing(struct xfrin_zone *xz)
{
    struct transfer_stats stats;
    char who[ADDRESS_TEXT_MAX];
    transfer_stats(xz->axfr->transfer, &stats);
    return mem_printf("transferring from %s: %zu records, %zu octets, %.1f s",
                      address_print(&round_primary(xz)->address, who), stats.records, stats.bytes,
                      xfrin_now() - xz->axfr->began);
}
