/* Each kind has a counter of its own, since an operator's first question is whether secondaries get differences:
 * transfers_out is axfr, ixfr and ixfr_full together, of which some failed; current and come_by_tcp are answers of one SOA
 * and no transfers.
 *
 * A transfer over TCP has a line in the log. Over UDP anybody can ask in an allowed host's name, so those lines pass a gate,
 * and that somebody is up to date is no news at all. */
#include "pipeline/net/xfrout_report.h"

#include "pipeline/base/log.h"
#include "pipeline/net/answer.h"
#include "pipeline/net/xfrout.h"

enum { LOG_EVERY_S = 1 };

static void count_zone(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void count_kind(struct zone *zone, enum fetch_kind kind)
{
    struct fetch_counters *c = fetches_counters(&zone->fetches);
    count_zone(&c->by_kind[kind]);
    if (kind == FETCH_AXFR || kind == FETCH_IXFR || kind == FETCH_IXFR_FULL)
        count_zone(&c->transfers);
}

void xfrout_report_begin(struct zone *zone, enum fetch_kind kind)
{
    count_kind(zone, kind);
}

static void end_log(const struct zone *zone, const struct xfrout_course *course,
                    const struct xfrout_stats *stats, const char *reason)
{
    const struct fetch *f = &course->fetch;
    char peer[ADDRESS_TEXT_MAX];
    struct log_pair pairs[14];
    size_t n = 0;
    pairs[n++] = (struct log_pair)LOG_KV("zone", LOG_S(zone->text));
    pairs[n++] = (struct log_pair)LOG_KV("client", LOG_S(address_print(&f->host, peer)));
    pairs[n++] = (struct log_pair)LOG_KV("kind", LOG_S(fetch_kind_word[f->kind]));
    if (f->kind != FETCH_AXFR)
        pairs[n++] = (struct log_pair)LOG_KV("from", LOG_U(f->from));
    pairs[n++] = (struct log_pair)LOG_KV("serial", LOG_U(f->to));
    pairs[n++] = (struct log_pair)LOG_KV("records", LOG_U(stats->records));
    if (course->records)
        pairs[n++] = (struct log_pair)LOG_KV("of", LOG_U(course->records));
    pairs[n++] = (struct log_pair)LOG_KV("messages", LOG_U(stats->messages));
    pairs[n++] = (struct log_pair)LOG_KV("octets", LOG_U(stats->bytes));
    pairs[n++] = (struct log_pair)LOG_KV("seconds", LOG_F(course->seconds));
    if (reason)
        pairs[n++] = (struct log_pair)LOG_KV("reason", LOG_S(reason));
    pairs[n] = (struct log_pair){0};
    if (reason)
        log_line(LOG_WARN, "transfer out cut", pairs);
    else
        log_line(LOG_INFO, "transfer out finished", pairs);
}

void xfrout_report_end(struct zone *zone, struct xfrout_course *course, const char *reason)
{
    struct xfrout_stats stats;
    xfrout_stats(course->x, &stats);
    end_log(zone, course, &stats, reason);
    if (reason) {
        count_zone(&fetches_counters(&zone->fetches)->failed);
        return;
    }
    course->fetch.octets = stats.bytes;
    course->fetch.at = time(NULL);
    fetches_note(&zone->fetches, &course->fetch);
}

void xfrout_report_answer(const struct answer_result *result, const struct address *peer)
{
    static struct log_gate gate;
    struct zone *zone = result->zone;
    uint64_t skipped = 0;
    char text[ADDRESS_TEXT_MAX];
    struct fetch fetch = {.host = *peer,
                          .kind = result->fetch,
                          .from = result->serial,
                          .to = result->fetched,
                          .octets = result->reply_len,
                          .at = time(NULL)};
    count_kind(zone, fetch.kind);
    if (fetch.kind != FETCH_COME_BY_TCP)
        fetches_note(&zone->fetches, &fetch);
    if (fetch.kind == FETCH_IXFR && log_gate_open(&gate, LOG_EVERY_S, &skipped))
        log_info("transfer out by one message over UDP", LOG_KV("zone", LOG_S(zone->text)),
                 LOG_KV("client", LOG_S(address_print(peer, text))),
                 LOG_KV("kind", LOG_S(fetch_kind_word[fetch.kind])),
                 LOG_KV("from", LOG_U(fetch.from)), LOG_KV("serial", LOG_U(fetch.to)),
                 LOG_KV("octets", LOG_U(fetch.octets)), LOG_KV("skipped", LOG_U(skipped)));
}
