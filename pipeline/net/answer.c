/* answer: from a query's octets to a reply's, the way in and the way out.
 *
 * The query is read once, strictly: whatever is malformed, says one thing in a count and another in
 * its octets, or has octets left over, is FORMERR, and nothing behind the reader looks at the
 * query's octets again. The reply is then started (header, question as asked), one part fills it,
 * and the end adds OPT and TSIG, whose room was set aside before the part began, so that they always fit.
 *
 * Names in the reply that are the question's or an ancestor of it are written from the question, so
 * that they become pointers whatever the client's case.
 */
#include "pipeline/net/answer_state.h"

#include <time.h>

#include "pipeline/base/buf.h"

void answer_work_init(struct answer_work *work)
{
    msg_writer_init(&work->writer);
}

void answer_fail_why(struct answer_state *s, unsigned rcode, enum ede ede, const char *text)
{
    s->rcode = rcode;
    s->ede = ede;
    s->ede_text = text;
}

void answer_fail(struct answer_state *s, unsigned rcode)
{
    answer_fail_why(s, rcode, EDE_NONE, NULL);
}

bool answer_open_zone(struct answer_state *s, struct zone *zone)
{
    s->result->zone = zone;
    const struct version *v = rcu_read(&zone->version);
    if (atomic_load_explicit(&zone->expired, memory_order_relaxed)) {
        answer_fail_why(s, RCODE_SERVFAIL, EDE_INVALID_DATA, "zone expired");
    } else if (v && v->serve_until && time(NULL) > v->serve_until) {
        answer_fail_why(s, RCODE_SERVFAIL, EDE_SIGNATURE_EXPIRED, "signatures of the zone expired");
    } else if (v) {
        s->version = v;
        s->zone = v->served;
        s->apex = NULL;
        s->denial = DENIAL_UNKNOWN;
        return true;
    } else if (atomic_load_explicit(&zone->has_refused, memory_order_relaxed)) {
        answer_fail_why(s, RCODE_SERVFAIL, EDE_INVALID_DATA, "zone content refused");
    } else {
        answer_fail_why(s, RCODE_SERVFAIL, EDE_NOT_READY, "zone not loaded");
    }
    return false;
}

const struct node *answer_apex(struct answer_state *s)
{
    if (!s->apex)
        s->apex = snapshot_apex(s->zone);
    return s->apex;
}

bool answer_put(struct answer_state *s, unsigned section, const uint8_t *owner,
                const struct node *node, const struct rrset *set)
{
    struct rrset sig;
    if (!s->edns.dnssec_ok || !node_rrset(node, RR_RRSIG, set->type, &sig))
        return msg_put_rrset(s->w, section, owner, set);
    struct msg_mark mark = msg_mark(s->w);
    if (!msg_put_rrset(s->w, section, owner, set))
        return false;
    sig.ttl = set->ttl;
    if (msg_put_rrset(s->w, section, owner, &sig))
        return true;
    msg_rewind(s->w, &mark);
    return false;
}

/* Types that are asked for and never held. NXNAME: RFC 9824 3.4. */
static bool qtype_refused(struct answer_state *s)
{
    if (s->qtype == RR_NXNAME) {
        answer_fail_why(s, RCODE_FORMERR, EDE_INVALID_QUERY_TYPE, NULL);
        return true;
    }
    if (s->qtype == RR_ANY || !rrtype_is_meta(s->qtype))
        return false;
    answer_fail(s, s->qtype == RR_OPT ? RCODE_FORMERR : RCODE_NOTIMP);
    return true;
}

static void answer_standard(struct answer_state *s)
{
    bool transfer = s->qtype == RR_AXFR || s->qtype == RR_IXFR;
    if (s->count[SECTION_ANSWER] || (s->count[SECTION_AUTHORITY] && s->qtype != RR_IXFR))
        answer_fail(s, RCODE_FORMERR);
    else if (s->qclass == CLASS_CH && !transfer)
        answer_chaos(s);
    else if (s->qclass != CLASS_IN && (s->qclass != CLASS_ANY || transfer))
        answer_fail(s, RCODE_REFUSED);
    else if (transfer)
        answer_transfer(s);
    else if (!qtype_refused(s))
        answer_from_zone(s);
}

static void answer_dispatch(struct answer_state *s)
{
    if (s->rcode != RCODE_NOERROR)
        return; /* its TSIG */
    if (s->opcode != OPCODE_QUERY && s->opcode != OPCODE_NOTIFY)
        answer_fail(s, RCODE_NOTIMP);
    else if (!s->well_formed)
        answer_fail(s, RCODE_FORMERR);
    else if (s->edns.present && s->edns.version != 0)
        answer_fail(s, RCODE_BADVERS);
    else if (s->opcode == OPCODE_NOTIFY)
        answer_notify(s);
    else
        answer_standard(s);
}

static size_t reply_limit(const struct answer_state *s, size_t cap)
{
    size_t limit = MSG_MAX;
    if (!s->query->tcp) {
        size_t ours = (size_t)s->query->conf->udp_size;
        limit = ANSWER_CAP_MIN;
        if (s->edns.present && s->edns.udp_size > limit)
            limit = s->edns.udp_size < ours ? s->edns.udp_size : ours;
        if (limit < ANSWER_CAP_MIN)
            limit = ANSWER_CAP_MIN;
    }
    return limit < cap ? limit : cap;
}

static void reply_begin(struct answer_state *s, size_t cap)
{
    s->limit = reply_limit(s, cap);
    if (s->has_tsig && s->well_formed)
        tsig_check(s);
    msg_begin(s->w, s->reply, s->limit - edns_room(s), s->id, 0);
    if (s->has_question) {
        bool fits = msg_put_question(s->w, s->qname, s->qtype, s->qclass);
        ASSERT(fits);
    }
    if (s->tsig_room)
        s->question = msg_mark(s->w);
}

static void reply_end(struct answer_state *s)
{
    struct answer_result *result = s->result;
    if (s->tsig_room && s->reply_flags & MSG_TC)
        tsig_cut(s);
    s->w->cap = s->limit;
    if (s->edns.present)
        edns_write(s);
    result->reply_len = msg_end(s->w);
    uint16_t flags = MSG_QR | (uint16_t)(s->opcode << 11) | (s->flags & (MSG_RD | MSG_CD)) |
                     s->reply_flags | (s->rcode & 15);
    put_u16(s->reply + 2, flags);
    if (s->tsig_room && result->kind == ANSWER_REPLY)
        result->reply_len = answer_seal(result, s->reply, s->limit + s->tsig_room);
    result->rcode = s->rcode;
    result->truncated = s->reply_flags & MSG_TC;
}

void answer(struct answer_work *work, const struct answer_query *query, uint8_t *reply, size_t cap,
            struct answer_result *result)
{
    ASSERT(cap >= ANSWER_CAP_MIN);
    *result = (struct answer_result){.kind = ANSWER_DROP};
    if (query->len < MSG_HEADER || get_u16(query->msg + 2) & MSG_QR)
        return;

    struct answer_state s;
    s.work = work;
    s.query = query;
    s.result = result;
    s.w = &work->writer;
    s.reply = reply;
    s.reply_flags = 0;
    s.rcode = RCODE_NOERROR;
    s.ede = EDE_NONE;
    s.ede_text = NULL;
    s.version = NULL;
    s.zone = NULL;
    s.apex = NULL;
    s.denial = DENIAL_UNKNOWN;
    s.hash_blocks = 0;
    s.chain_steps = 0;
    s.nproofs = 0;
    answer_parse(&s);

    result->kind = ANSWER_REPLY;
    result->id = s.id;
    result->qtype = s.qtype;
    result->qname = s.qname;
    result->edns = s.edns.present;
    reply_begin(&s, cap);
    answer_dispatch(&s);
    if (result->kind != ANSWER_DROP)
        reply_end(&s);
}
