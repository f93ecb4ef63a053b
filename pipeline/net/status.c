/* status: one zone on a line, one zone in full, everything as JSON.
 *
 * The states a zone can be in, as an operator thinks of them:
 *   serving   a version is served and nothing newer is in question
 *   refused   a newer version was refused; the last good one is served (or none: see "serves")
 *   held      a newer version waits for the operator
 *   expired   the primaries were silent for longer than SOA expire, or the version's signatures have ended and its chain
 *             says that it must not be served on (validate's at_expiry): SERVFAIL
 *   waiting   nothing has come in yet: SERVFAIL
 */
#include "pipeline/net/status_p.h"

#include "pipeline/net/notify.h"
#include "pipeline/net/parent.h"
#include "pipeline/net/tcp_limits.h"
#include "pipeline/net/xfrin.h"
#include "pipeline/run/keyring_ds.h"
#include "pipeline/run/zone_guard.h"
#include "pipeline/run/zone_parent.h"
#include "pipeline/run/zone_signers.h"
#include "pipeline/zone/message.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SECONDARIES_SHOWN = 64 };

struct out {
    FILE *file;
    char *text;
    size_t len;
};

static void out_open(struct out *o)
{
    o->file = open_memstream(&o->text, &o->len);
    ASSERT(o->file);
}

static char *out_close(struct out *o)
{
    fclose(o->file);
    return o->text;
}

/* "3m12s", "2d4h": the two largest units. */
static char *span_print(int64_t s, char out[AGO_MAX])
{
    static const struct {
        int64_t s;
        char unit;
    } unit[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    if (s < 0)
        s = 0;
    unsigned i = 0;
    while (i < 3 && s < unit[i].s)
        i++;
    int64_t rest = i < 3 ? s % unit[i].s / unit[i + 1].s : 0;
    if (rest)
        snprintf(out, AGO_MAX, "%" PRId64 "%c%" PRId64 "%c", s / unit[i].s, unit[i].unit, rest,
                 unit[i + 1].unit);
    else
        snprintf(out, AGO_MAX, "%" PRId64 "%c", s / unit[i].s, unit[i].unit);
    return out;
}

char *ago(time_t at, char out[AGO_MAX])
{
    return span_print((int64_t)(time(NULL) - at), out);
}

static const char *zone_state(const struct zone *z, const struct version *v)
{
    if (atomic_load(&z->expired))
        return "expired";
    if (v && v->serve_until && v->serve_until < time(NULL))
        return "expired";
    if (z->held)
        return "held";
    if (z->refused)
        return "refused";
    return v ? "serving" : "waiting";
}

static void zone_line(FILE *f, struct zone *z, int width)
{
    char a[AGO_MAX];
    struct version *v = zone_version(z);
    pthread_mutex_lock(&z->lock);
    fprintf(f, "%-*s  %-8s", width, z->text, zone_state(z, v));
    if (v)
        fprintf(f, "  serial %-10u  %9zu records  accepted %s ago from %s", v->soa.serial,
                v->served->records, ago(v->accepted_at, a), v->origin);
    else
        fprintf(f, "  serves nothing");
    if (z->refused)
        fprintf(f, "; serial %u refused %s ago: %zu findings", z->refused->serial,
                ago(z->refused->at, a), z->refused->findings->total);
    if (z->held)
        fprintf(f, "; serial %u held since %s", z->held->serial, ago(z->held->at, a));
    if (z->last_error)
        fprintf(f, "; %s ago: %s", ago(z->last_error_at, a), z->last_error);
    pthread_mutex_unlock(&z->lock);
    fputc('\n', f);
    version_unref(v);
}

struct query_totals {
    uint64_t udp, tcp, dropped, truncated, connections, refused, timeouts, rests, transfers;
    uint64_t cut_for_memory;
    uint64_t rcode[16];
    uint64_t tsig_good, tsig_badkey, tsig_badsig, tsig_badtime, tsig_badtrunc;
};

static struct query_totals query_totals(const struct server *s)
{
    struct query_totals t = {0};
    for (unsigned i = 0; i < s->nquery; i++) {
        const struct query_counters *c = &s->query[i].counters;
        t.udp += atomic_load(&c->udp_queries);
        t.tcp += atomic_load(&c->tcp_queries);
        t.dropped += atomic_load(&c->udp_dropped);
        t.truncated += atomic_load(&c->udp_truncated);
        t.connections += atomic_load(&c->tcp_connections);
        t.refused += atomic_load(&c->tcp_refused);
        t.timeouts += atomic_load(&c->tcp_timeouts);
        t.rests += atomic_load(&c->tcp_rests);
        t.cut_for_memory += atomic_load(&c->tcp_cut_for_memory);
        t.transfers += atomic_load(&c->transfers);
        t.tsig_good += atomic_load(&c->tsig_good);
        t.tsig_badkey += atomic_load(&c->tsig_badkey);
        t.tsig_badsig += atomic_load(&c->tsig_badsig);
        t.tsig_badtime += atomic_load(&c->tsig_badtime);
        t.tsig_badtrunc += atomic_load(&c->tsig_badtrunc);
        for (int r = 0; r < 16; r++)
            t.rcode[r] += atomic_load(&c->rcode[r]);
    }
    return t;
}

static void server_line(FILE *f, const struct server *s, size_t nzones)
{
    char a[AGO_MAX];
    struct query_totals t = query_totals(s);
    struct journal_stats journal;
    journal_stats(s->journal, &journal);
    fprintf(f,
            "weir: up %s, %zu zones, %" PRIu64 " UDP and %" PRIu64 " TCP queries, %" PRIu64
            " transfers out, %" PRIu64 " reloads (%" PRIu64 " failed)",
            ago(s->started_at, a), nzones, t.udp, t.tcp, t.transfers, s->reloads,
            s->reloads_failed);
    if (t.rests + s->control_rests)
        fprintf(f, ", %" PRIu64 " times without a descriptor to accept with",
                t.rests + s->control_rests);
    fputc('\n', f);
    if (journal.error[0])
        fprintf(f, "journal: cannot be written since %s: %s; %zu versions wait\n",
                ago(journal.error_at, a), journal.error, journal.waiting);
}

/* ---- JSON
 * -----------------------------------------------------------------------------------------------
 */

static void findings_json(struct json *j, const char *key, const struct findings *f)
{
    json_array(j, key);
    for (size_t i = 0; i < f->n; i++)
        finding_json(&f->list[i], j);
    json_end(j);
}

static void candidate_json(struct json *j, const char *key, const struct candidate *c,
                           bool findings)
{
    if (!c)
        return;
    json_object(j, key);
    json_uint(j, "serial", c->serial);
    json_string(j, "verdict", verdict_text(c->verdict));
    json_int(j, "at", c->at);
    json_string(j, "from", c->origin);
    json_real(j, "chain_seconds", c->seconds);
    json_uint(j, "findings_total", c->findings->total);
    if (findings)
        findings_json(j, "findings", c->findings);
    json_end(j);
}

static void version_json(struct json *j, const struct version *v, bool findings)
{
    struct soa soa;
    json_uint(j, "serial", v->soa.serial);
    if (snapshot_soa(v->input, &soa))
        json_uint(j, "input_serial", soa.serial);
    json_uint(j, "records", v->served->records);
    json_uint(j, "names", v->served->names);
    json_uint(j, "bytes", v->served->bytes);
    json_int(j, "accepted_at", v->accepted_at);
    json_string(j, "from", v->origin);
    json_uint(j, "notes", v->findings->total);
    if (findings)
        findings_json(j, "findings", v->findings);
}

static void counters_json(struct json *j, const struct zone_counters *c,
                          const struct fetch_counters *out)
{
    const struct {
        const char *name;
        const _Atomic uint64_t *value;
    } row[] = {
        {"accepted", &c->accepted},
        {"refused", &c->refused},
        {"held", &c->held},
        {"retried", &c->retried},
        {"unchanged", &c->unchanged},
        {"transfers_ok", &c->transfers_ok},
        {"transfers_failed", &c->transfers_failed},
        {"transfers_ixfr", &c->transfers_ixfr},
        {"transfers_axfr", &c->transfers_axfr},
        {"ixfr_refused", &c->ixfr_refused},
        {"ixfr_dropped", &c->ixfr_dropped},
        {"checks_ok", &c->checks_ok},
        {"checks_failed", &c->checks_failed},
        {"tsig_failed", &c->tsig_failed},
        {"notify_in", &c->notify_in},
        {"notify_in_refused", &c->notify_in_refused},
        {"notify_out", &c->notify_out},
        {"notify_out_failed", &c->notify_out_failed},
        {"transfers_out", &out->transfers},
        {"transfers_out_refused", &out->refused},
        {"transfers_out_failed", &out->failed},
        {"transfers_out_axfr", &out->by_kind[FETCH_AXFR]},
        {"transfers_out_ixfr", &out->by_kind[FETCH_IXFR]},
        {"transfers_out_ixfr_full", &out->by_kind[FETCH_IXFR_FULL]},
        {"ixfr_out_current", &out->by_kind[FETCH_CURRENT]},
        {"ixfr_out_come_by_tcp", &out->by_kind[FETCH_COME_BY_TCP]},
    };
    json_object(j, "counters");
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
        json_uint(j, row[i].name, atomic_load(row[i].value));
    json_end(j);
}

static void parent_json(struct server *s, struct zone *z, struct json *j)
{
    const struct parent_view *view = parent_view_of(s->parent, z);
    json_bool(j, "asking", parent_asking(s->parent, z));
    json_bool(j, "wanted", zone_parent_wanted(z));
    if (view)
        parent_view_json(view, j);
}

static void zone_json(struct server *s, struct zone *z, bool findings, struct json *j)
{
    struct version *v = zone_version(z);
    json_string(j, "zone", z->text);
    pthread_mutex_lock(&z->lock);
    json_string(j, "state", zone_state(z, v));
    json_bool(j, "served", v && strcmp(zone_state(z, v), "expired") != 0);
    candidate_json(j, "refused", z->refused, findings);
    candidate_json(j, "held", z->held, findings);
    if (z->checked_at)
        json_int(j, "checked_at", z->checked_at);
    if (z->check_at)
        json_int(j, "check_at", z->check_at);
    if (z->expires_at)
        json_int(j, "expires_at", z->expires_at);
    if (v && v->good_until)
        json_int(j, "good_until", v->good_until);
    if (v && v->serve_until)
        json_int(j, "serve_until", v->serve_until);
    if (z->last_error) {
        json_string(j, "last_error", z->last_error);
        json_int(j, "last_error_at", z->last_error_at);
    }
    pthread_mutex_unlock(&z->lock);
    if (v)
        version_json(j, v, findings);
    counters_json(j, &z->counters, fetches_counted(&z->fetches));
    xfrin_json(s->xfrin, z, j);
    notify_json(s->notify, z, j);
    if (zone_conf_of(z)->nparent) {
        json_object(j, "parent");
        parent_json(s, z, j);
        json_end(j);
    }
    if (signers_known(z)) {
        json_object(j, "signers");
        signers_status_json(j, s, z);
        json_end(j);
    }
    version_unref(v);
}

static void journal_json(const struct server *s, struct json *j)
{
    struct journal_stats t;
    journal_stats(s->journal, &t);
    json_object(j, "journal");
    json_uint(j, "commits", t.commits);
    json_uint(j, "versions", t.versions);
    json_uint(j, "images", t.images);
    json_uint(j, "octets_written", t.octets);
    json_uint(j, "failures", t.failures);
    json_uint(j, "damaged", t.damaged);
    json_real(j, "slowest_commit_seconds", (double)t.slowest_us / 1e6);
    json_uint(j, "waiting", t.waiting);
    json_uint(j, "behind_octets", t.behind_octets);
    json_uint(j, "file_octets", t.size);
    json_uint(j, "used_octets", t.used);
    if (t.error[0]) {
        json_string(j, "error", t.error);
        json_int(j, "error_at", t.error_at);
    }
    json_end(j);
}

static void server_json(const struct server *s, struct json *j)
{
    struct query_totals t = query_totals(s);
    json_int(j, "started_at", s->started_at);
    json_uint(j, "query_threads", s->nquery);
    json_uint(j, "workers", pool_threads(s->pool));
    json_uint(j, "reloads", s->reloads);
    json_uint(j, "reloads_failed", s->reloads_failed);
    json_uint(j, "control_rests", s->control_rests);
    json_object(j, "queries");
    json_uint(j, "udp", t.udp);
    json_uint(j, "tcp", t.tcp);
    json_uint(j, "udp_dropped", t.dropped);
    json_uint(j, "udp_truncated", t.truncated);
    json_uint(j, "tcp_connections", t.connections);
    json_uint(j, "tcp_refused", t.refused);
    json_uint(j, "tcp_timeouts", t.timeouts);
    json_uint(j, "tcp_rests", t.rests);
    json_int(j, "tcp_waiting_bytes", tcp_limits_held(s->tcp_limits));
    json_uint(j, "tcp_cut_for_memory", t.cut_for_memory);
    json_uint(j, "transfers_out", t.transfers);
    json_object(j, "tsig");
    json_uint(j, "good", t.tsig_good);
    json_uint(j, "badkey", t.tsig_badkey);
    json_uint(j, "badsig", t.tsig_badsig);
    json_uint(j, "badtime", t.tsig_badtime);
    json_uint(j, "badtrunc", t.tsig_badtrunc);
    json_end(j);
    json_object(j, "rcodes");
    for (unsigned r = 0; r < 16; r++)
        if (t.rcode[r])
            json_uint(j, rcode_text(r), t.rcode[r]);
    json_end(j);
    json_end(j);
    journal_json(s, j);
}

static char *json_close(struct json *j)
{
    size_t len;
    json_end(j);
    const char *text = json_text(j, &len);
    char *copy = mem_printf("%s\n", text);
    json_free(&j);
    return copy;
}

/* ---- the two views
 * -------------------------------------------------------------------------------------- */

char *status_all(struct server *s, bool json)
{
    size_t n;
    struct zone **zones = zone_table_list(s->zones, &n);
    char *text;
    if (json) {
        struct json *j = json_new();
        json_object(j, NULL);
        server_json(s, j);
        json_array(j, "zones");
        for (size_t i = 0; i < n; i++) {
            json_object(j, NULL);
            zone_json(s, zones[i], false, j);
            json_end(j);
        }
        json_end(j);
        text = json_close(j);
    } else {
        struct out o;
        int width = 4;
        out_open(&o);
        server_line(o.file, s, n);
        for (size_t i = 0; i < n; i++)
            if ((int)strlen(zones[i]->text) > width && strlen(zones[i]->text) < 60)
                width = (int)strlen(zones[i]->text);
        for (size_t i = 0; i < n; i++)
            zone_line(o.file, zones[i], width);
        text = out_close(&o);
    }
    for (size_t i = 0; i < n; i++)
        zone_unref(zones[i]);
    mem_free(&zones);
    return text;
}

static void findings_text(FILE *f, const struct findings *list)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct finding *x = &list->list[i];
        char *what = finding_print(x);
        fprintf(f, "  %-6s  %s.%s%s  %s\n", verdict_text(x->observed ? x->would : x->verdict),
                x->stage->name, x->type->code, x->observed ? " (observed)" : "", what);
        mem_free(&what);
    }
    if (list->total > list->n)
        fprintf(f, "  … and %zu more\n", list->total - list->n);
}

static void candidate_text(FILE *f, const char *what, const struct candidate *c, bool findings)
{
    char a[AGO_MAX];
    if (!c)
        return;
    fprintf(f, "%s: serial %u from %s, %s ago, %zu findings\n", what, c->serial, c->origin,
            ago(c->at, a), c->findings->total);
    if (findings)
        findings_text(f, c->findings);
}

static void timers_text(FILE *f, const struct zone *z)
{
    char a[AGO_MAX];
    time_t now = time(NULL);
    if (z->checked_at)
        fprintf(f, "checked: %s ago\n", ago(z->checked_at, a));
    if (z->check_at)
        fprintf(f, "next check: %s%s\n", z->check_at > now ? "in " : "",
                z->check_at > now ? span_print(z->check_at - now, a) : "now");
    if (z->expires_at)
        fprintf(f, "expires: %s%s\n", z->expires_at > now ? "in " : "has expired ",
                span_print(labs(z->expires_at - now), a));
    if (z->last_error)
        fprintf(f, "last error: %s ago: %s\n", ago(z->last_error_at, a), z->last_error);
}

static void good_until_text(FILE *f, const struct version *v)
{
    char a[AGO_MAX];
    time_t now = time(NULL);
    if (!v->good_until)
        return;
    fprintf(f, "signatures: %s%s", v->good_until >= now ? "the first end in " : "some ended ",
            span_print(labs(v->good_until - now), a));
    fprintf(f, "%s%s\n", v->good_until >= now ? "" : " ago",
            v->serve_until ? "; from then on SERVFAIL is answered" : "");
}

static void secondaries_text(FILE *f, struct server *s, struct zone *z)
{
    struct notify_row row[SECONDARIES_SHOWN];
    char who[ADDRESS_TEXT_MAX], a[AGO_MAX];
    struct fetch fetch;
    size_t n = notify_list(s->notify, z, row, SECONDARIES_SHOWN);
    for (size_t i = 0; i < n; i++) {
        const struct notify_row *r = &row[i];
        fprintf(f, "secondary: %s %s", r->name, address_print(r->address, who));
        if (r->sent_at)
            fprintf(f, "; told serial %u %s ago", r->serial, ago(r->sent_at, a));
        if (r->answered_at)
            fprintf(f, "; answered for %u %s ago", r->answered_serial, ago(r->answered_at, a));
        if (strcmp(r->state, "failed") == 0)
            fprintf(f, "; given up");
        if (r->error[0])
            fprintf(f, " (%s)", r->error);
        if (fetches_find(&z->fetches, r->address, &fetch))
            fprintf(f, "; took serial %u by %s %s ago", fetch.to, fetch_kind_word[fetch.kind],
                    ago(fetch.at, a));
        fputc('\n', f);
    }
}

/* Nothing of a zone that has no servers of its parent configured. */
static void parent_text(FILE *f, struct server *s, struct zone *z)
{
    const struct parent_view *view = parent_view_of(s->parent, z);
    char a[AGO_MAX];
    if (!zone_conf_of(z)->nparent)
        return;
    fputs(parent_asking(s->parent, z) ? "asking: " : "parent: ", f);
    if (view) {
        char *said = parent_view_text(view);
        fprintf(f, "%s, %s ago\n", said, ago(view->at, a));
        mem_free(&said);
    } else {
        fprintf(f, "its servers were not asked yet\n");
    }
}

char *status_parent(struct server *s, struct zone *z, bool json)
{
    struct out o;
    if (json) {
        struct json *j = json_new();
        json_object(j, NULL);
        parent_json(s, z, j);
        return json_close(j);
    }
    out_open(&o);
    parent_text(o.file, s, z);
    return out_close(&o);
}

char *status_signers(struct server *s, struct zone *z, bool json)
{
    struct out o;
    if (json) {
        struct json *j = json_new();
        json_object(j, NULL);
        signers_status_json(j, s, z);
        return json_close(j);
    }
    out_open(&o);
    signers_status_text(o.file, s, z);
    return out_close(&o);
}

char *status_foreign(struct zone *z, bool json)
{
    static const struct keyset none = {.n = 0};
    struct version *v = zone_version(z);
    struct rrset set = {.count = 0};
    struct out o = {0};
    struct json *j = json ? json_new() : NULL;
    const struct keyset *keys = v && v->keys ? v->keys : &none;
    struct signers *book = zone_signers_book(z);
    if (v)
        node_rrset(snapshot_apex(v->served), RR_DNSKEY, 0, &set);
    if (json) {
        json_array(j, NULL);
        keyring_foreign_json(&set, keys, book, j);
    } else {
        out_open(&o);
        keyring_foreign_text(&set, keys, book, o.file);
    }
    signers_free(&book);
    version_unref(v);
    return json ? json_close(j) : out_close(&o);
}

char *status_modes(struct zone *z, bool all, bool json)
{
    if (!json)
        return zone_guard_text(z, all);
    struct json *j = json_new();
    json_object(j, NULL);
    zone_guard_json(z, j);
    return json_close(j);
}

char *status_zone(struct server *s, struct zone *z, bool findings, bool json)
{
    if (json) {
        struct json *j = json_new();
        json_object(j, NULL);
        zone_json(s, z, findings, j);
        return json_close(j);
    }
    struct out o;
    char a[AGO_MAX];
    out_open(&o);
    struct version *v = zone_version(z);
    char *doing = xfrin_doing(s->xfrin, z), *brought = xfrin_brought(s->xfrin, z);
    pthread_mutex_lock(&z->lock);
    fprintf(o.file, "zone: %s\nstate: %s\n", z->text, zone_state(z, v));
    if (v)
        fprintf(o.file, "serves: serial %u, %zu records at %zu names, accepted %s ago from %s\n",
                v->soa.serial, v->served->records, v->served->names, ago(v->accepted_at, a),
                v->origin);
    else
        fprintf(o.file, "serves: nothing (SERVFAIL)\n");
    candidate_text(o.file, "refused", z->refused, findings);
    candidate_text(o.file, "held", z->held, findings);
    timers_text(o.file, z);
    if (v)
        good_until_text(o.file, v);
    pthread_mutex_unlock(&z->lock);
    if (brought)
        fprintf(o.file, "last transfer: %s\n", brought);
    fprintf(o.file, "doing: %s\n", doing);
    secondaries_text(o.file, s, z);
    parent_text(o.file, s, z);
    signers_status_text(o.file, s, z);
    if (v && findings && v->findings->total) {
        fprintf(o.file, "notes on the version that is served:\n");
        findings_text(o.file, v->findings);
    }
    mem_free(&doing);
    mem_free(&brought);
    version_unref(v);
    return out_close(&o);
}
