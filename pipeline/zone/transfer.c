/* transfer: reading an AXFR (RFC 5936 2.2), and refusing what is none.
 *
 *     message 1: question, SOA, records …      opening SOA first, whatever the message holds besides
 *     message 2: [question], records …         the question may be left out from here on
 *     message n: records …, SOA                the opening SOA again, and nothing after it
 *
 * A second SOA is either that closing one or the end of the transfer in error: SOAs in the middle, another
 * serial at the end because the primary changed zones halfway, and an IXFR that nobody asked for all
 * look alike, and none of them gives a zone that ever was.
 *
 * Everything is checked before it touches the edit, and the edit is only sealed after the closing SOA, so a refusal
 * at any record leaves nothing behind. Duplicates are the node builder's to drop. Records of the authority
 * and additional sections must parse and are otherwise ignored, except that an OPT may carry the upper half of an
 * RCODE.
 */
#include "pipeline/zone/transfer.h"
#include "pipeline/base/alloc.h"
#include "pipeline/zone/message.h"

#include <string.h>

enum { EMPTY_MAX = 100, UNPACKED_FACTOR = 4 };

enum phase { PHASE_OPENING, PHASE_RECORDS, PHASE_CLOSED, PHASE_TAKEN, PHASE_DEAD };

struct transfer {
    struct family *family;
    struct snapshot *held;
    const uint8_t *apex;
    uint16_t id;
    struct transfer_limits limits;
    enum phase phase;
    struct edit *edit; /* from the opening SOA to the take */
    uint8_t *soa;      /* rdata of the opening SOA */
    uint16_t soa_len;
    uint32_t soa_ttl;
    unsigned empty;  /* messages without an answer record in a row */
    unsigned record; /* of the answer section, being read; counted from 1 */
    struct transfer_stats stats;
    struct msg_reader reader;
};

struct transfer *transfer_new(const struct transfer_config *config)
{
    struct transfer *t = mem_zalloc(sizeof *t);
    t->family = family_ref(config->family);
    t->held = config->held ? snapshot_ref(config->held) : NULL;
    t->apex = family_apex(t->family);
    t->id = config->id;
    t->limits = config->limits;
    return t;
}

void transfer_free(struct transfer **t)
{
    if (!*t)
        return;
    edit_abort(&(*t)->edit);
    snapshot_unref((*t)->held);
    family_unref((*t)->family);
    mem_free(&(*t)->soa);
    mem_free(t);
}

void transfer_stats(const struct transfer *t, struct transfer_stats *out)
{
    *out = t->stats;
}

/* Refuses because of the message as a whole. */
static int refuse(const struct transfer *t, struct why *why, int code, const char *what)
{
    return why_set(why, code, "message %zu: %s", t->stats.messages, what);
}

/* Refuses because of one record of the answer section; rr->owner NULL: not even that could be read. */
static int refuse_record(const struct transfer *t, const struct rr *rr, struct why *why, int code,
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

static int check_header(const struct transfer *t, struct why *why)
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
    if (msg_rcode(r->flags) != RCODE_NOERROR) {
        why_set(&text, 0, "the primary answered %s", rcode_text(msg_rcode(r->flags)));
        return refuse(t, why, -E_REFUSED, text.text);
    }
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
    if (name_equal(name, t->apex) && type == RR_AXFR && class == CLASS_IN)
        return 0;
    why_set(&text, 0, "question is %.200s class %u %s, not what was asked", name_print(name, owner),
            class, rrtype_print(type, what));
    return refuse(t, why, -E_MISMATCH, text.text);
}

static uint32_t soa_serial(const uint8_t *rdata, uint16_t len)
{
    return get_u32(rdata + len - 20);
}

static int take_opening(struct transfer *t, const struct rr *rr, struct why *why)
{
    if (rr->type != RR_SOA)
        return refuse_record(t, rr, why, -E_FORMAT, "the first record is not the SOA");
    t->soa = mem_dup(rr->rdata, rr->len);
    t->soa_len = rr->len;
    t->soa_ttl = rr->ttl;
    t->stats.serial = soa_serial(rr->rdata, rr->len);
    t->stats.has_serial = true;
    t->edit = edit_open(t->family, NULL, t->held);
    if (t->limits.max_bytes) {
        struct edit_limits limits = {.max_bytes = t->limits.max_bytes > SIZE_MAX / UNPACKED_FACTOR
                                                      ? SIZE_MAX
                                                      : t->limits.max_bytes * UNPACKED_FACTOR};
        edit_limit(t->edit, &limits);
    }
    t->phase = PHASE_RECORDS;
    return 0;
}

static int take_closing(struct transfer *t, const struct rr *rr, struct why *why)
{
    struct why text;
    uint32_t serial = soa_serial(rr->rdata, rr->len);
    if (serial != t->stats.serial)
        why_set(&text, 0, "a second SOA with serial %u; the transfer began with serial %u", serial,
                t->stats.serial);
    else if (rdata_cmp(RR_SOA, rr->rdata, rr->len, t->soa, t->soa_len) != 0)
        why_set(&text, 0, "a second SOA with serial %u, like the first, but other content", serial);
    else if (rr->ttl != t->soa_ttl)
        why_set(&text, 0, "the closing SOA (serial %u) has TTL %u, the opening one %u", serial,
                rr->ttl, t->soa_ttl);
    else {
        t->phase = PHASE_CLOSED;
        return 0;
    }
    return refuse_record(t, rr, why, -E_FORMAT, text.text);
}

static int check_record(const struct transfer *t, const struct rr *rr, struct why *why)
{
    struct why text;
    if (t->phase == PHASE_CLOSED) {
        why_set(&text, 0, "record after the closing SOA (serial %u)", t->stats.serial);
        return refuse_record(t, rr, why, -E_FORMAT, text.text);
    }
    if (rrtype_is_meta(rr->type)) /* before the class, of which OPT and TSIG make something else */
        return refuse_record(t, rr, why, -E_FORMAT, "a meta type is no zone data");
    if (rr->class != CLASS_IN) {
        why_set(&text, 0, "class is %u, not IN", rr->class);
        return refuse_record(t, rr, why, -E_FORMAT, text.text);
    }
    if (!rr->same_owner && !name_at_or_below(rr->owner, t->apex))
        return refuse_record(t, rr, why, -E_FORMAT, "owner is outside the zone");
    if (rr->type == RR_SOA && !name_equal(rr->owner, t->apex))
        return refuse_record(t, rr, why, -E_FORMAT, "SOA below the apex");
    return 0;
}

static int take_record(struct transfer *t, const struct rr *rr, struct why *why)
{
    struct why text = {{0}};
    int rc = check_record(t, rr, why);
    if (rc < 0)
        return rc;
    if (t->phase == PHASE_RECORDS && rr->type == RR_SOA)
        return take_closing(t, rr, why);
    if (t->limits.max_records && t->stats.records >= t->limits.max_records) {
        why_set(&text, 0, "more than max_records, %zu", t->limits.max_records);
        return refuse_record(t, rr, why, -E_LIMIT, text.text);
    }
    if (t->phase == PHASE_OPENING) {
        rc = take_opening(t, rr, why);
        if (rc < 0)
            return rc;
    }
    t->stats.records++;
    rc = edit_add(t->edit, rr->owner, rr->type, rr->ttl, rr->rdata, rr->len, &text);
    return rc < 0 ? refuse_record(t, rr, why, rc, text.text) : 0;
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
        return t->reader.section == SECTION_ANSWER ? refuse_record(t, &rr, why, rc, text.text)
                                                   : refuse(t, why, rc, text.text);
    if (edns.rcode) {
        why_set(&text, 0, "the primary answered %s", rcode_text(edns.rcode));
        return refuse(t, why, -E_REFUSED, text.text);
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
    return t->phase == PHASE_CLOSED;
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
    case PHASE_RECORDS:
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
    int rc = edit_seal(&t->edit, snapshot, changes, &text);
    if (rc < 0) {
        t->phase = PHASE_DEAD;
        edit_abort(&t->edit);
        return why_set(why, rc, "after message %zu: %s", t->stats.messages, text.text);
    }
    t->phase = PHASE_TAKEN;
    return 0;
}
