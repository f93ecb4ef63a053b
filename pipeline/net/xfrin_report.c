/* What is said of a zone's failures: in the log, in last_error, in status.
 *
 * The log has a failure when it is new; while it stays the same, at its 2nd, 4th, 8th … time, with
 * the number of times. Status has it as long as it stands, per primary and for the zone. */
#include "pipeline/net/xfrin_p.h"

#include "pipeline/base/alloc.h"
#include "pipeline/base/json.h"
#include "pipeline/base/log.h"

#include <string.h>
#include <time.h>

/* Numbers are left out: "12 records" and "13 records" of a stream that dies every time are the same
 * complaint. */
static uint32_t text_hash(const char *sentence, const char *why)
{
    uint32_t h = 0x811c9dc5u;
    const char *text[] = {sentence, why};
    for (int i = 0; i < 2; i++)
        for (const char *p = text[i]; *p; p++)
            if (*p < '0' || *p > '9')
                h = (h ^ (uint8_t)*p) * 0x01000193u;
    return h ? h : 1;
}

void report_failure(struct xfrin_zone *xz, struct xfrin_primary *p, const char *sentence,
                    const struct why *why)
{
    struct zone *z = xz->zone;
    char who[ADDRESS_TEXT_MAX] = "";
    struct why whole;
    if (p->peer)
        address_print(primary_address(p), who);
    (void)why_set(&whole, 0, "%s: %s%s%s", sentence, who, *who ? ": " : "", why->text);
    mem_free(&p->error);
    p->error = mem_printf("%s: %s", sentence, why->text);
    pthread_mutex_lock(&z->lock);
    mem_free(&z->last_error);
    z->last_error = mem_strdup(whole.text);
    z->last_error_at = time(NULL);
    pthread_mutex_unlock(&z->lock);

    uint32_t hash = text_hash(sentence, why->text);
    p->error_times = p->error_hash == hash ? p->error_times + 1 : 1;
    p->error_hash = hash;
    if (p->error_times & (p->error_times - 1))
        return;
    struct log_pair pair[6] = {LOG_KV("zone", LOG_S(xz->zone->text))};
    unsigned n = 1;
    if (*who)
        pair[n++] = (struct log_pair)LOG_KV("primary", LOG_S(who));
    else
        pair[n++] = (struct log_pair)LOG_KV("file", LOG_S(xz->conf->file));
    pair[n++] = (struct log_pair)LOG_KV("why", LOG_S(why->text));
    if (p->error_times > 1)
        pair[n++] = (struct log_pair)LOG_KV("times", LOG_U(p->error_times));
    log_line(LOG_WARN, sentence, pair);
}

void report_success(struct xfrin_zone *xz, struct xfrin_primary *p)
{
    char who[ADDRESS_TEXT_MAX];
    if (p->error_times && p->peer)
        log_info("primary answers again", LOG_KV("zone", LOG_S(xz->zone->text)),
                 LOG_KV("primary", LOG_S(address_print(primary_address(p), who))),
                 LOG_KV("failures", LOG_U(p->error_times)));
    mem_free(&p->error);
    p->error_hash = 0;
    p->error_times = 0;
}

void report_clear(struct xfrin_zone *xz)
{
    pthread_mutex_lock(&xz->zone->lock);
    mem_free(&xz->zone->last_error);
    pthread_mutex_unlock(&xz->zone->lock);
}

/* ---- status */

char *xfrin_doing(struct xfrin *x, struct zone *zone)
{
    struct xfrin_zone *xz = zone->net;
    char who[ADDRESS_TEXT_MAX];
    if (!x || !xz)
        return mem_strdup("nothing");
    switch (xz->state) {
    case XFRIN_IDLE:
        return mem_strdup("idle");
    case XFRIN_CHECK_WAIT:
        return mem_printf("waiting for its turn to ask %s for its serial",
                          address_print(primary_address(round_primary(xz)), who));
    case XFRIN_CHECK:
        return mem_printf("asking %s for its serial",
                          address_print(primary_address(round_primary(xz)), who));
    case XFRIN_TRANSFER_WAIT:
        return mem_printf("waiting for its turn to transfer from %s",
                          address_print(primary_address(round_primary(xz)), who));
    case XFRIN_TRANSFER:
        return axfr_doing(xz);
    case XFRIN_FILE:
        return mem_printf("reading %s", xz->conf->file);
    case XFRIN_CHAIN:
        return zone->journal && journal_waiting(zone->journal)
                   ? mem_printf("serial %u waits for the journal to have it on disk", xz->submitted)
                   : mem_printf("serial %u is in the chain", xz->submitted);
    }
    UNREACHABLE();
}

static void primary_json(const struct xfrin_primary *p, struct json *json)
{
    char who[ADDRESS_TEXT_MAX];
    json_object(json, NULL);
    json_string(json, "address", address_print(primary_address(p), who));
    if (p->key)
        json_string(json, "key", tsig_key_text(p->key));
    if (p->has_serial)
        json_uint(json, "serial", p->serial);
    if (p->asked_at)
        json_int(json, "asked_at", p->asked_at);
    if (p->answered_at)
        json_int(json, "answered_at", p->answered_at);
    if (p->refused)
        json_uint(json, "refused_serial", p->refused_serial);
    if (p->error) {
        json_string(json, "error", p->error);
        json_uint(json, "error_times", p->error_times);
    }
    json_end(json);
}

char *xfrin_brought(struct xfrin *x, struct zone *zone)
{
    const struct xfrin_zone *xz = x ? zone->net : NULL;
    if (!xz || !xz->last.at)
        return NULL;
    const struct xfrin_last *last = &xz->last;
    const struct transfer_stats *s = &last->stats;
    char from[ADDRESS_TEXT_MAX];
    address_print(&last->from->address, from);
    if (s->form == TRANSFER_INCREMENTAL)
        return mem_printf("IXFR from %s: serial %u to %u in %zu differences, %zu records deleted, "
                          "%zu added, %zu octets, %.3f s",
                          from, last->from_serial, s->serial, s->sequences, s->deleted, s->added,
                          s->bytes, last->seconds);
    return mem_printf("AXFR from %s%s: serial %u, %zu records, %zu octets, %.3f s", from,
                      last->asked_ixfr ? " in answer to IXFR" : "", s->serial, s->records, s->bytes,
                      last->seconds);
}

static void last_json(const struct xfrin_last *last, struct json *json)
{
    const struct transfer_stats *s = &last->stats;
    json_object(json, "last_transfer");
    json_int(json, "at", last->at);
    char from[ADDRESS_TEXT_MAX];
    json_string(json, "from", address_print(&last->from->address, from));
    json_string(json, "asked", last->asked_ixfr ? "IXFR" : "AXFR");
    json_string(json, "got", transfer_form_text(s->form));
    json_uint(json, "serial", s->serial);
    if (s->form == TRANSFER_INCREMENTAL) {
        json_uint(json, "from_serial", last->from_serial);
        json_uint(json, "differences", s->sequences);
        json_uint(json, "deleted", s->deleted);
        json_uint(json, "added", s->added);
    }
    json_uint(json, "messages", s->messages);
    json_uint(json, "records", s->records);
    json_uint(json, "octets", s->bytes);
    json_real(json, "seconds", last->seconds);
    json_end(json);
}

void xfrin_json(struct xfrin *x, struct zone *zone, struct json *json)
{
    struct xfrin_zone *xz = zone->net;
    char *doing = xfrin_doing(x, zone);
    json_string(json, "doing", doing);
    mem_free(&doing);
    if (!x || !xz)
        return;
    if (xz->conf->file)
        json_string(json, "file", xz->conf->file);
    json_uint(json, "failed_rounds", xz->failures);
    if (xz->last.at)
        last_json(&xz->last, json);
    json_array(json, "primaries");
    for (size_t i = 0; i < xz->nprimaries; i++)
        primary_json(&xz->primary[i], json);
    json_end(json);
}
