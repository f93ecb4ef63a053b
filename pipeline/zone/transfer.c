/* transfer: reading an AXFR (RFC 5936 2.2) or an answer to IXFR, and refusing what is none.
 *
 *     message 1: question, SOA, records …      opening SOA first, whatever the message holds besides
 *     message 2: [question], records …         the question may be left out from here on
 *     message n: records …, SOA                the opening SOA again, and nothing after it
 *
 * A second SOA is either that closing one or the end of the transfer in error: SOAs in the middle, another
 * serial at the end because the primary changed zones halfway, and an IXFR that nobody asked for all
 * look alike, and none of them gives a zone that ever was. When IXFR was asked for, the second record
 * decides (RFC 1995 4): an SOA begins differences (transfer_ixfr.c), anything else is the zone in full, and a message
 * that has but an SOA that is not newer than ours is the whole answer: we are current. One that is newer, alone in its
 * message, is the beginning of a transfer whose second record comes in the next.
 *
 * Everything is checked before it touches the edit, and the edit is only sealed after the closing SOA, so a refusal
 * at any record leaves nothing behind. Duplicates are the node builder's to drop. Records of the authority
 * and additional sections must parse and are otherwise ignored, except that an OPT may carry the upper half of an
 * RCODE, and EXPIRE.
 */
#include "pipeline/zone/transfer_p.h"

#include "pipeline/base/alloc.h"

#include <string.h>

enum { EMPTY_MAX = 100, UNPACKED_FACTOR = 4 };

struct transfer *transfer_new(const struct transfer_config *config)
{
    struct transfer *t = mem_zalloc(sizeof *t);
    t->family = family_ref(config->family);
    t->held = config->held ? snapshot_ref(config->held) : NULL;
    t->apex = family_apex(t->family);
    t->id = config->id;
    t->incremental = config->incremental;
    t->limits = config->limits;
    ASSERT(!t->incremental || !t->held || t->held->family == t->family);
    return t;
}

void transfer_free(struct transfer **t)
{
    if (!*t)
        return;
    edit_abort(&(*t)->edit);
    snapshot_unref((*t)->held);
    family_unref((*t)->family);
    difference_free(&(*t)->difference);
    mem_free(&(*t)->opening.rdata);
    mem_free(&(*t)->at.rdata);
    mem_free(&(*t)->leaving.rdata);
    mem_free(t);
}

void transfer_stats(const struct transfer *t, struct transfer_stats *out)
{
    *out = t->stats;
}

const char *transfer_form_text(enum transfer_form form)
{
    static const char *const text[] = {"nothing", "AXFR", "IXFR", "SOA"};
    return text[form];
}

void transfer_soa_set(struct transfer_soa *soa, const struct rr *rr)
{
    mem_free(&soa->rdata);
    *soa = (struct transfer_soa){mem_dup(rr->rdata, rr->len), rr->len, rr->ttl};
}

void transfer_edit_open(struct transfer *t, const struct snapshot *base)
{
    t->edit = edit_open(t->family, base, t->held);
    struct edit_limits limits = {.max_records = base ? t->limits.max_records : 0};
    if (t->limits.max_bytes)
        limits.max_bytes = t->limits.max_bytes > SIZE_MAX / UNPACKED_FACTOR
                               ? SIZE_MAX
                               : t->limits.max_bytes * UNPACKED_FACTOR;
    edit_limit(t->edit, &limits);
}

/* Refuses because of the message as a whole. */
static int refuse(const struct transfer *t, struct why *why, int code, const char *what)
{
    return why_set(why, code, "message %zu: %s", t->stats.messages, what);
}

/* Refuses because of one record of the answer section; rr->owner NULL: not even that could be read. */
int transfer_refuse_record(const struct transfer *t, const struct rr *rr, struct why *why, int code,
                           const char *what)
{
    char owner[NAME_TEXT_MAX], type[RRTYPE_TEXT_MAX];
    if (!rr->owner)
        return why_set(why, code, "message %zu, record %u: %s", t->stats.messages, t->record, what);
    name_print(rr->owner, owner);
    if (!rr->type && !rr->rdata)
        return why_set(why, code, "message %zu, record %u (%.200s): %s", t->stats.messages,
                       t->record, owner, what);
    return why_set(why, code, "message %zu, record %u (%.200s %s): %s", t->stats.messages,
                   t->record, owner, rrtype_print(rr->type, type), what);
}

/* The primary says no, and that is all it says. */
static int refused(struct transfer *t, struct why *why, unsigned rcode)
{
    t->stats.rcode = rcode;
    t->stats.ended = true;
    return why_set(why, -E_REFUSED, "message %zu: the primary answered %s", t->stats.messages,
                   rcode_text(rcode));
}

static int check_header(struct transfer *t, struct why *why)
{
    const struct msg_reader *r = &t->reader;
    struct why text;
    if (r->id != t->id) {
        why_set(&text, 0, "ID is %u, not that of the query, %u", r->id, t->id);
        return refuse(t, why, -E_MISMATCH, text.text);
    }
    if (!(r->flags & MSG_QR))
        return refuse(t, why, -E_MISMATCH, "QR is not set: a query, not a response");
    if (msg_opcode(r->flags) != OPCODE_QUERY) {
        why_set(&text, 0, "opcode is %u, not QUERY", msg_opcode(r->flags));
        return refuse(t, why, -E_MISMATCH, text.text);
    }
    t->stats.has_opt = r->count[SECTION_ADDITIONAL] > 0;
    if (msg_rcode(r->flags) != RCODE_NOERROR)
        return refused(t, why, msg_rcode(r->flags));
    if (r->flags & MSG_TC)
        return refuse(t, why, -E_FORMAT, "TC is set: truncated");
    return 0;
}

static int check_question(struct transfer *t, struct why *why)
{
    struct msg_reader *r = &t->reader;
    uint8_t name[NAME_MAX_OCTETS];
    uint16_t type, class;
    struct why text;
    if (r->count[SECTION_QUESTION] == 0 && t->stats.messages > 1)
        return 0;
    if (r->count[SECTION_QUESTION] != 1) {
        why_set(&text, 0, "%u questions instead of the one asked", r->count[SECTION_QUESTION]);
        return refuse(t, why, -E_MISMATCH, text.text);
    }
    int rc = msg_question(r, name, &type, &class, &text);
    if (rc < 0)
        return refuse(t, why, rc, text.text);
    char owner[NAME_TEXT_MAX], what[RRTYPE_TEXT_MAX];
    if (name_equal(name, t->apex) && type == (t->incremental ? RR_IXFR : RR_AXFR) &&
        class == CLASS_IN)
        return 0;
    why_set(&text, 0, "question is %.200s class %u %s, not what was asked", name_print(name, owner),
            class, rrtype_print(type, what));
    return refuse(t, why, -E_MISMATCH, text.text);
}

static int take_opening(struct transfer *t, const struct rr *rr, struct why *why)
{
    if (rr->type != RR_SOA)
        return transfer_refuse_record(t, rr, why, -E_FORMAT, "the first record is not the SOA");
    transfer_soa_set(&t->opening, rr);
    name_copy(t->opening_owner, rr->owner);
    t->stats.serial = transfer_serial(rr->rdata, rr->len);
    t->stats.has_serial = true;
    return 0;
}

static int take_data(struct transfer *t, const struct rr *rr, struct why *why)
{
    struct why text = {{0}};
    if (t->limits.max_records && t->stats.records >= t->limits.max_records) {
        why_set(&text, 0, "more than max_records, %zu", t->limits.max_records);
        return transfer_refuse_record(t, rr, why, -E_LIMIT, text.text);
    }
    t->stats.records++;
    int rc = edit_add(t->edit, rr->owner, rr->type, rr->ttl, rr->rdata, rr->len, &text);
    return rc < 0 ? transfer_refuse_record(t, rr, why, rc, text.text) : 0;
}

/* It is the full form: the opening SOA is the first record of the zone. */
static int take_full(struct transfer *t, struct why *why)
{
    const struct rr soa = {.owner = t->opening_owner,
                           .type = RR_SOA,
                           .class = CLASS_IN,
                           .ttl = t->opening.ttl,
                           .rdata = t->opening.rdata,
                           .len = t->opening.len};
    t->stats.form = TRANSFER_FULL;
    t->phase = PHASE_RECORDS;
    transfer_edit_open(t, NULL);
    return take_data(t, &soa, why);
}

static int take_closing(struct transfer *t, const struct rr *rr, struct why *why)
{
    struct why text;
    uint32_t serial = transfer_serial(rr->rdata, rr->len);
    if (serial != t->stats.serial)
        why_set(&text, 0, "a second SOA with serial %u; the transfer began with serial %u", serial,
                t->stats.serial);
    else if (rdata_cmp(RR_SOA, rr->rdata, rr->len, t->opening.rdata, t->opening.len) != 0)
        why_set(&text, 0, "a second SOA with serial %u, like the first, but other content", serial);
    else if (rr->ttl != t->opening.ttl)
        why_set(&text, 0, "the closing SOA (serial %u) has TTL %u, the opening one %u", serial,
                rr->ttl, t->opening.ttl);
    else {
        t->phase = PHASE_CLOSED;
        return 0;
    }
    return transfer_refuse_record(t, rr, why, -E_FORMAT, text.text);
}

static int check_record(const struct transfer *t, const struct rr *rr, struct why *why)
{
    struct why text;
    if (t->phase == PHASE_CLOSED) {
        why_set(&text, 0, "record after the closing SOA (serial %u)", t->stats.serial);
        return transfer_refuse_record(t, rr, why, -E_FORMAT, text.text);
    }
    if (rrtype_is_meta(rr->type)) /* before the class, of which OPT and TSIG make something else */
        return transfer_refuse_record(t, rr, why, -E_FORMAT, "a meta type is no zone data");
    if (rr->class != CLASS_IN) {
        why_set(&text, 0, "class is %u, not IN", rr->class);
        return transfer_refuse_record(t, rr, why, -E_FORMAT, text.text);
    }
    if (!rr->same_owner && !name_at_or_below(rr->owner, t->apex))
        return transfer_refuse_record(t, rr, why, -E_FORMAT, "owner is outside the zone");
    if (rr->type == RR_SOA && !name_equal(rr->owner, t->apex))
        return transfer_refuse_record(t, rr, why, -E_FORMAT, "SOA below the apex");
    return 0;
}

static int take_record(struct transfer *t, const struct rr *rr, struct why *why)
{
    int rc = check_record(t, rr, why);
    if (rc < 0)
        return rc;
    switch (t->phase) {
    case PHASE_OPENING:
        rc = take_opening(t, rr, why);
        if (rc < 0 || t->incremental)
            return rc < 0 ? rc : ixfr_opening(t, rr, why);
        return take_full(t, why);
    case PHASE_SECOND:
        rc = ixfr_second(t, rr, why);
        if (rc < 0 || rr->type == RR_SOA)
            return rc;
        rc = take_full(t, why);
        return rc < 0 ? rc : take_data(t, rr, why);
    case PHASE_RECORDS:
        return rr->type == RR_SOA ? take_closing(t, rr, why) : take_data(t, rr, why);
    case PHASE_DELETING:
    case PHASE_ADDING:
        return ixfr_record(t, rr, why);
    default:
        UNREACHABLE();
    }
}

static int take_records(struct transfer *t, struct why *why)
{
    struct edns edns = {0};
    struct why text = {{0}};
    struct rr rr;
    int rc;
    for (t->record = 1;;) {
        rr = (struct rr){0};
        rc = msg_next(&t->reader, &rr, &text);
        if (rc <= 0)
            break;
        if (rr.section == SECTION_ANSWER) {
            rc = take_record(t, &rr, why);
            if (rc < 0)
                return rc;
            t->record++;
        } else if (rr.type == RR_OPT) {
            msg_edns(&edns, &rr);
        }
    }
    if (rc < 0)
        return t->reader.section == SECTION_ANSWER
                   ? transfer_refuse_record(t, &rr, why, rc, text.text)
                   : refuse(t, why, rc, text.text);
    if (edns.rcode)
        return refused(t, why, edns.rcode);
    if (edns.has_expire && !edns.bad) {
        t->stats.has_expire = true;
        t->stats.expire_s = edns.expire_s;
    }
    t->empty = t->record > 1 ? 0 : t->empty + 1;
    if (t->empty > EMPTY_MAX)
        return refuse(t, why, -E_LIMIT, "too many messages in a row without a record");
    return 0;
}

static int feed(struct transfer *t, const uint8_t *msg, size_t len, struct why *why)
{
    struct why text;
    if (t->phase == PHASE_CLOSED)
        return refuse(t, why, -E_FORMAT, "message after the closing SOA");
    if (t->limits.max_bytes && t->stats.bytes > t->limits.max_bytes) {
        why_set(&text, 0, "more octets than max_bytes, %zu", t->limits.max_bytes);
        return refuse(t, why, -E_LIMIT, text.text);
    }
    int rc = msg_open(&t->reader, msg, len, &text);
    if (rc < 0)
        return refuse(t, why, rc, text.text);
    if ((rc = check_header(t, why)) < 0 || (rc = check_question(t, why)) < 0 ||
        (rc = take_records(t, why)) < 0)
        return rc;
    if (t->phase == PHASE_SECOND && !ixfr_newer(t)) {
        t->stats.form = TRANSFER_SINGLE_SOA;
        t->stats.ended = true;
        t->phase = PHASE_TAKEN;
        return TRANSFER_CURRENT;
    }
    t->stats.ended = t->phase == PHASE_CLOSED;
    return t->phase == PHASE_CLOSED ? TRANSFER_COMPLETE : TRANSFER_MORE;
}

int transfer_feed(struct transfer *t, const uint8_t *msg, size_t len, struct why *why)
{
    ASSERT(t->phase != PHASE_DEAD && t->phase != PHASE_TAKEN);
    t->stats.messages++;
    t->stats.bytes += len;
    int rc = feed(t, msg, len, why);
    if (rc < 0) {
        t->phase = PHASE_DEAD;
        edit_abort(&t->edit); /* the family is free for another primary's transfer at once */
    }
    return rc;
}

int transfer_end_of_stream(const struct transfer *t, struct why *why)
{
    switch (t->phase) {
    case PHASE_OPENING:
        return why_set(why, -E_CLOSED,
                       "the stream ended after %zu messages, before the opening SOA",
                       t->stats.messages);
    case PHASE_SECOND:
        return why_set(
            why, -E_CLOSED,
            "the stream ended after message %zu and one SOA (serial %u)%s: what leads to "
            "it is missing",
            t->stats.messages, t->stats.serial, t->held ? ", which is newer than ours" : "");
    case PHASE_RECORDS:
    case PHASE_DELETING:
    case PHASE_ADDING:
        return why_set(why, -E_CLOSED,
                       "the stream ended after message %zu and %zu records: the closing SOA "
                       "(serial %u) is missing",
                       t->stats.messages, t->stats.records, t->stats.serial);
    case PHASE_DEAD:
        return why_set(why, -E_CLOSED, "the transfer was refused before");
    default:
        return 0;
    }
}

int transfer_take(struct transfer *t, struct snapshot **snapshot, struct changeset **changes,
                  struct why *why)
{
    ASSERT(t->phase == PHASE_CLOSED);
    struct why text = {{0}};
    int rc = t->stats.form == TRANSFER_INCREMENTAL ? ixfr_finish(t, why) : 0;
    if (!rc) {
        rc = edit_seal(&t->edit, snapshot, changes, &text);
        if (rc < 0)
            why_set(why, rc, "after message %zu: %s", t->stats.messages, text.text);
    }
    if (rc < 0) {
        t->phase = PHASE_DEAD;
        edit_abort(&t->edit);
        return rc;
    }
    t->phase = PHASE_TAKEN;
    return 0;
}
