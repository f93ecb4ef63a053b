/* answer_transfer: AXFR, IXFR and NOTIFY: who may, and what they hear.
 *
 * Order of refusals for a transfer: a zone that is not held by exactly this name is NOTAUTH (RFC
 * 5936 2.2.1); a client that is not in allow_transfer is REFUSED, over UDP too; then a zone without
 * a version is SERVFAIL. AXFR over UDP is NOTIMP: it has no meaning there (RFC 5936 4.2), and it is
 * the answer that makes a client try nothing else. An IXFR over UDP is answered there if the
 * difference fits, else it gets the single SOA that tells the client to come back over TCP (RFC 1995
 * 2), which also is the answer to one who is current or ahead. Ahead is by serial arithmetic; a
 * distance of 2^31, where it is undefined, gets a transfer, so that nobody is stuck there.
 *
 * A NOTIFY is believed when it comes from a host that is one of the zone's primaries, signed with that one's
 * key if it has one, or in allow_notify. From anybody else it is counted and not answered (RFC 1996 3.10), so that forged
 * sources make no traffic. The SOA in it is a hint; xfrin asks the primary itself.
 */
#include "pipeline/net/answer_state.h"

#include "pipeline/net/condensed.h"
#include "pipeline/zone/transfer.h"

enum { UDP_CHANGES_MAX = 64 }; /* names in the steps that are looked at: more do not fit */

static void count_up(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void put_single_soa(struct answer_state *s)
{
    struct rrset soa;
    if (!node_rrset(answer_apex(s), RR_SOA, 0, &soa)) {
        answer_fail(s, RCODE_SERVFAIL);
        return;
    }
    s->reply_flags |= MSG_AA;
    if (!msg_put_rrset(s->w, SECTION_ANSWER, s->qname, &soa))
        s->reply_flags |= MSG_TC;
}

static bool client_is_current(const struct answer_state *s)
{
    uint32_t ours = s->version->soa.serial;
    return s->serial == ours || serial_newer(s->serial, ours);
}

/* The whole difference, if there is one and it fits; else the message is as before. */
static bool put_difference(struct answer_state *s)
{
    const struct history *h = s->version->history;
    unsigned first = h ? history_find(h, s->serial) : 0;
    size_t changes = 0;
    if (!h || first == h->n || h->n - first > ANSWER_STEPS_MAX)
        return false;
    for (unsigned i = first; i < h->n; i++)
        changes += h->step[i].changes->n;
    if (changes > UDP_CHANGES_MAX)
        return false;
    struct msg_mark mark = msg_mark(s->w);
    struct condensed d;
    condensed_begin(&d, s->version, first, s->work->steps);
    if (condensed_put(&d, s->w, UDP_CHANGES_MAX + 1) != CONDENSED_ENDED) {
        msg_rewind(s->w, &mark);
        return false;
    }
    s->reply_flags |= MSG_AA;
    return true;
}

static void answer_ixfr(struct answer_state *s)
{
    struct answer_result *result = s->result;
    result->fetched = s->version->soa.serial;
    if (client_is_current(s))
        result->fetch = FETCH_CURRENT;
    else if (put_difference(s))
        result->fetch = FETCH_IXFR;
    else
        result->fetch = FETCH_COME_BY_TCP;
    if (result->fetch != FETCH_IXFR)
        put_single_soa(s);
}

void answer_transfer(struct answer_state *s)
{
    struct zone *zone = zone_table_get(s->query->zones, s->qname);
    s->result->zone = zone;
    if (!zone) {
        answer_fail(s, RCODE_NOTAUTH);
        return;
    }
    if (!acl_allows(&zone_conf_of(zone)->allow_transfer, s->query->peer, s->key)) {
        count_up(&fetches_counters(&zone->fetches)->refused);
        answer_fail_why(s, RCODE_REFUSED, EDE_PROHIBITED, NULL);
        return;
    }
    if (s->qtype == RR_AXFR && !s->query->tcp) {
        answer_fail(s, RCODE_NOTIMP);
        return;
    }
    if (s->qtype == RR_IXFR && (!s->has_serial || s->count[SECTION_AUTHORITY] != 1)) {
        answer_fail(s, RCODE_FORMERR); /* RFC 1995 3: the client's SOA */
        return;
    }
    if (!answer_open_zone(s, zone))
        return;
    s->result->has_serial = s->has_serial;
    s->result->serial = s->serial;
    if (s->qtype == RR_IXFR && (!s->query->tcp || client_is_current(s))) {
        answer_ixfr(s);
        return;
    }
    s->result->kind = ANSWER_TRANSFER;
    answer_fail_why(s, RCODE_SERVFAIL, EDE_NONE, NULL);
}

static bool signed_as_wanted(const struct remote_conf *remote, const struct tsig_key *key)
{
    return !remote->key || (key && name_equal(tsig_key_name(remote->key), tsig_key_name(key)));
}

/* *unproved: it is not, and would be if it were signed. */
static bool notify_allowed(const struct zone_conf *conf, const struct address *peer,
                           const struct tsig_key *key, bool *unproved)
{
    bool primary = false;
    for (size_t i = 0; i < conf->nprimaries; i++)
        if (address_same_host(&conf->primaries[i]->address, peer)) {
            if (signed_as_wanted(conf->primaries[i], key))
                return true;
            primary = true;
        }
    bool allowed = acl_allows(&conf->allow_notify, peer, key);
    *unproved = primary && !allowed;
    return allowed;
}

void answer_notify(struct answer_state *s)
{
    struct zone *zone = s->qclass == CLASS_IN ? zone_table_get(s->query->zones, s->qname) : NULL;
    struct answer_result *result = s->result;
    result->zone = zone;
    if (!zone) {
        answer_fail(s, RCODE_NOTAUTH);
        return;
    }
    if (!notify_allowed(zone_conf_of(zone), s->query->peer, s->key, &result->notify_unproved)) {
        count_up(&zone->counters.notify_in_refused);
        result->notify_dropped = true;
        result->kind = ANSWER_DROP;
        return;
    }
    if (s->qtype != RR_SOA) {
        answer_fail(s, RCODE_NOTIMP);
        return;
    }
    count_up(&zone->counters.notify_in);
    result->notify = true;
    result->has_serial = s->has_serial;
    result->serial = s->serial;
    s->reply_flags |= MSG_AA;
}
