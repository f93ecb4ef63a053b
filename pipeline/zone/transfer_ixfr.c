/* transfer: the incremental form of an answer to IXFR (RFC 1995 4).
 *
 *     SOA n            opening: where all of this leads
 *     SOA a, records   to be deleted from version a
 *     SOA b, records   to be added, which gives version b
 *     SOA b, records   …
 *     SOA n, records   which gives version n
 *     SOA n            closing: the opening SOA again
 *
 * The SOAs are a chain that can be checked without looking at a record: the first is ours, octet for octet;
 * each difference begins where the one before ended; each leads to something newer; the last leads to what
 * was announced. Primaries that condense their history send one difference, others one a version; both are the
 * same to us. So the SOA itself changes once, from ours to the opening one, however many there were on the way.
 *
 * The records between them wait in a difference (difference.h) and reach the edit in batches; a short transfer touches
 * nothing before it is whole. What does not fit is -E_UNFIT: our version and the primary's history have no
 * common past, whatever their serials say, and only the full zone mends that.
 */
#include "pipeline/zone/transfer_p.h"

#include "pipeline/base/alloc.h"

static uint32_t serial_of(const struct transfer_soa *soa)
{
    return transfer_serial(soa->rdata, soa->len);
}

static bool soa_is(const struct transfer_soa *soa, const struct rr *rr)
{
    return rdata_cmp(RR_SOA, soa->rdata, soa->len, rr->rdata, rr->len) == 0;
}

bool ixfr_newer(const struct transfer *t)
{
    return !t->at.rdata || serial_newer(t->stats.serial, serial_of(&t->at));
}

int ixfr_opening(struct transfer *t, const struct rr *rr, struct why *why)
{
    struct rrset set;
    struct rdata ours;
    const struct node *apex = t->held ? snapshot_apex(t->held) : NULL;
    t->phase = PHASE_SECOND;
    if (!t->held)
        return 0;
    if (!apex || !node_rrset(apex, RR_SOA, 0, &set) || !rrset_first(&set, &ours))
        return transfer_refuse_record(t, rr, why, -E_UNFIT, "what we hold has no SOA");
    t->at = (struct transfer_soa){mem_dup(ours.data, ours.len), ours.len, set.ttl};
    return 0;
}

static int sequence_begin(struct transfer *t, const struct rr *rr, struct why *why)
{
    struct why text;
    uint32_t from = transfer_serial(rr->rdata, rr->len), at = serial_of(&t->at);
    bool first = t->stats.sequences == 0;
    if (t->limits.max_sequences && t->stats.sequences >= t->limits.max_sequences) {
        why_set(&text, 0, "more than %zu differences", t->limits.max_sequences);
        return transfer_refuse_record(t, rr, why, -E_LIMIT, text.text);
    }
    if (from != at && first)
        why_set(&text, 0, "the first difference leads from serial %u; we hold %u", from, at);
    else if (from != at)
        why_set(&text, 0, "a difference from serial %u, but the one before led to %u", from, at);
    else if (!soa_is(&t->at, rr))
        why_set(&text, 0, "a difference from an SOA with serial %u, like %s, but other content", at,
                first ? "ours" : "the one before, which led to it");
    else {
        t->stats.sequences++;
        t->phase = PHASE_DELETING;
        transfer_soa_set(&t->leaving, rr);
        return 0;
    }
    return transfer_refuse_record(t, rr, why, -E_UNFIT, text.text);
}

/* The SOA between the records that go and those that come. */
static int sequence_turn(struct transfer *t, const struct rr *rr, struct why *why)
{
    struct why text;
    uint32_t from = serial_of(&t->leaving), to = transfer_serial(rr->rdata, rr->len);
    if (!serial_newer(to, from)) {
        why_set(&text, 0, "a difference from serial %u to %u, which is not newer", from, to);
        return transfer_refuse_record(t, rr, why, -E_UNFIT, text.text);
    }
    if (to == t->stats.serial && (!soa_is(&t->opening, rr) || rr->ttl != t->opening.ttl)) {
        why_set(&text, 0, "a difference to serial %u, as announced, but to another SOA", to);
        return transfer_refuse_record(t, rr, why, -E_UNFIT, text.text);
    }
    transfer_soa_set(&t->at, rr);
    t->phase = PHASE_ADDING;
    return 0;
}

/* What is announced has been reached: this must say so again. */
static int sequence_close(struct transfer *t, const struct rr *rr, struct why *why)
{
    struct why text;
    uint32_t serial = transfer_serial(rr->rdata, rr->len);
    if (serial != t->stats.serial)
        why_set(&text, 0,
                "the differences have led to serial %u, as announced, but go on with serial %u",
                t->stats.serial, serial);
    else if (!soa_is(&t->opening, rr))
        why_set(&text, 0, "the closing SOA (serial %u) has other content than the opening one",
                serial);
    else if (rr->ttl != t->opening.ttl)
        why_set(&text, 0, "the closing SOA (serial %u) has TTL %u, the opening one %u", serial,
                rr->ttl, t->opening.ttl);
    else {
        t->phase = PHASE_CLOSED;
        return 0;
    }
    return transfer_refuse_record(t, rr, why, -E_UNFIT, text.text);
}

int ixfr_second(struct transfer *t, const struct rr *rr, struct why *why)
{
    struct why text;
    if (!ixfr_newer(t)) {
        why_set(&text, 0, "serial %u is not newer than ours, %u, and yet more than the SOA comes",
                t->stats.serial, serial_of(&t->at));
        return transfer_refuse_record(t, rr, why, -E_MISMATCH, text.text);
    }
    if (rr->type != RR_SOA)
        return 0;
    if (transfer_serial(rr->rdata, rr->len) == t->stats.serial)
        return transfer_refuse_record(t, rr, why, -E_UNFIT,
                                      "the announced SOA twice: no difference, and no zone");
    if (!t->held) {
        why_set(&text, 0, "a difference from serial %u, a version that we do not hold",
                transfer_serial(rr->rdata, rr->len));
        return transfer_refuse_record(t, rr, why, -E_UNFIT, text.text);
    }
    t->stats.form = TRANSFER_INCREMENTAL;
    t->difference = difference_new();
    return sequence_begin(t, rr, why);
}

static int batch_apply(struct transfer *t, struct why *why)
{
    if (!t->edit)
        transfer_edit_open(t, t->held);
    return difference_apply(t->difference, t->edit, why);
}

int ixfr_record(struct transfer *t, const struct rr *rr, struct why *why)
{
    bool adding = t->phase == PHASE_ADDING;
    if (rr->type == RR_SOA && !adding)
        return sequence_turn(t, rr, why);
    if (rr->type == RR_SOA)
        return serial_of(&t->at) == t->stats.serial ? sequence_close(t, rr, why)
                                                    : sequence_begin(t, rr, why);
    if (t->limits.max_records && t->stats.records >= t->limits.max_records) {
        struct why text;
        why_set(&text, 0, "more than max_records, %zu", t->limits.max_records);
        return transfer_refuse_record(t, rr, why, -E_LIMIT, text.text);
    }
    t->stats.records++;
    t->stats.added += adding;
    t->stats.deleted += !adding;
    difference_put(t->difference, &(struct difference_record){.owner = rr->owner,
                                                              .rdata = rr->rdata,
                                                              .type = rr->type,
                                                              .len = rr->len,
                                                              .ttl = rr->ttl,
                                                              .add = adding,
                                                              .message = t->stats.messages,
                                                              .record = t->record});
    return difference_full(t->difference) ? batch_apply(t, why) : 0;
}

static void put_soa(struct transfer *t, const uint8_t *rdata, uint16_t len, uint32_t ttl, bool add)
{
    difference_put(t->difference, &(struct difference_record){.owner = t->apex,
                                                              .rdata = rdata,
                                                              .type = RR_SOA,
                                                              .len = len,
                                                              .ttl = ttl,
                                                              .add = add,
                                                              .message = t->stats.messages,
                                                              .record = t->record - 1});
}

int ixfr_finish(struct transfer *t, struct why *why)
{
    struct rrset ours;
    struct rdata soa;
    bool there = node_rrset(snapshot_apex(t->held), RR_SOA, 0, &ours);
    ASSERT(there);
    const uint8_t *p = ours.rdata;
    while (rrset_next(&ours, &p, &soa)) /* one, unless a file had two */
        put_soa(t, soa.data, soa.len, ours.ttl, false);
    put_soa(t, t->opening.rdata, t->opening.len, t->opening.ttl, true);
    return batch_apply(t, why);
}
