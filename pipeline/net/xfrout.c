/* A transfer out is a place in a version: which node, which rrset of it, which record.
 *
 *   OPEN ── SOA ──▶ NODES ── every record but the SOA, in the order of the trie ──▶ CLOSE ── SOA ──▶ DONE
 *     └ the client's serial is in the history ──▶ CHANGES ── see condensed.h ──▶ DONE
 *
 * Each call writes one message: it begins an empty one, puts records until one does not fit, and
 * ends it there; the place then stands on the record that did not fit. A message is filled to
 * `fill`; only a record that is larger than that alone gets the whole buffer.
 *
 * All records of an owner are put with the same pointer (the node's own name), by which the writer
 * knows without comparing that it has this name already. Nothing else is remembered between
 * messages, so a transfer costs its version's reference and a cursor.
 *
 * The question goes into the first message only (RFC 5936 2.2.2). A record that came in by a transfer fits a
 * message on the way out as well: its owner was written out there too. One from a file need not fit; then the
 * transfer ends, since leaving the record out would be a lie. */
#include "pipeline/net/xfrout.h"

#include "pipeline/base/alloc.h"
#include "pipeline/net/condensed.h"

enum xfrout_phase { XFROUT_OPEN, XFROUT_NODES, XFROUT_CLOSE, XFROUT_CHANGES, XFROUT_DONE };

enum {
    OPT_OCTETS = 11,
    UDP_SIZE = 1232,
    CHANGES_A_MESSAGE = 2048, /* of steps that are looked at: some may have nothing to send */
};

struct xfrout {
    struct version *version;
    const struct node *apex;
    struct xfrout_stats stats;
    size_t fill;
    enum xfrout_phase phase;
    uint16_t id, qtype;
    bool edns;

    const struct node *node;    /* NODES: where we stand */
    const uint8_t *rdata, *end; /* in the open rrset; equal: open the next one */
    unsigned rrset;             /* index of the next rrset */
    uint16_t type;              /* of the open rrset */
    uint32_t ttl;
    struct snapshot_iter iter;

    struct condensed condensed; /* CHANGES */
    struct history_cursor *cursors;
    uint8_t qname[NAME_MAX_OCTETS];
};

struct xfrout *xfrout_new(const struct version *version, uint16_t id, const uint8_t *qname,
                          uint16_t qtype, bool edns)
{
    struct xfrout *x = mem_zalloc(sizeof *x);
    x->version = version_ref(version);
    x->apex = snapshot_apex(version->served);
    ASSERT(x->apex && node_has(x->apex, RR_SOA));
    x->id = id;
    x->qtype = qtype;
    x->edns = edns;
    x->fill = XFROUT_FILL;
    name_copy(x->qname, qname);
    x->node = snapshot_first(&x->iter, version->served);
    return x;
}

bool xfrout_since(struct xfrout *x, uint32_t serial)
{
    const struct history *h = x->version->history;
    unsigned first = h ? history_find(h, serial) : 0;
    ASSERT(x->phase == XFROUT_OPEN && x->stats.messages == 0);
    if (!h || first == h->n)
        return false;
    x->cursors = mem_array(h->n - first, sizeof x->cursors[0]);
    condensed_begin(&x->condensed, x->version, first, x->cursors);
    x->phase = XFROUT_CHANGES;
    return true;
}

void xfrout_free(struct xfrout **x)
{
    if (!*x)
        return;
    mem_free(&(*x)->cursors);
    version_unref((*x)->version);
    mem_free(x);
}

void xfrout_fill(struct xfrout *x, size_t octets)
{
    x->fill = octets > MSG_HEADER ? octets : MSG_HEADER;
}

void xfrout_stats(const struct xfrout *x, struct xfrout_stats *out)
{
    *out = x->stats;
    if (x->cursors)
        out->records = x->condensed.put;
}

bool xfrout_done(const struct xfrout *x)
{
    return x->phase == XFROUT_DONE;
}

static bool put_soa(struct xfrout *x, struct msg_writer *w)
{
    struct rrset set;
    struct rdata soa;
    bool there = node_rrset(x->apex, RR_SOA, 0, &set) && rrset_first(&set, &soa);
    ASSERT(there);
    if (!msg_put_rr(w, SECTION_ANSWER, node_name(x->apex), RR_SOA, CLASS_IN, set.ttl, soa.data,
                    soa.len))
        return false;
    x->stats.records++;
    return true;
}

/* Opens the next rrset, of this node or a later one. False: there are no more. */
static bool rrset_open(struct xfrout *x)
{
    struct rrset set;
    do {
        while (x->node && x->rrset == x->node->nrrsets) {
            x->node = snapshot_next(&x->iter);
            x->rrset = 0;
        }
        if (!x->node)
            return false;
        node_rrset_at(x->node, x->rrset++, &set);
    } while (set.type == RR_SOA && x->node == x->apex);
    x->rdata = set.rdata;
    x->end = set.end;
    x->type = set.type;
    x->ttl = set.ttl;
    return true;
}

/* Puts records until one does not fit (false) or there are no more (true). */
static bool put_nodes(struct xfrout *x, struct msg_writer *w)
{
    for (;;) {
        if (x->rdata == x->end && !rrset_open(x))
            return true;
        const uint8_t *owner = node_name(x->node), *p = x->rdata, *end = x->end;
        size_t put = 0;
        while (p < end) {
            uint16_t len = get_u16(p);
            if (!msg_put_rr(w, SECTION_ANSWER, owner, x->type, CLASS_IN, x->ttl, p + 2, len))
                break;
            p += 2 + (size_t)len;
            put++;
        }
        x->rdata = p;
        x->stats.records += put;
        if (p < end)
            return false;
    }
}

/* True: nothing more for this message, though there would be room. */
static bool put_all(struct xfrout *x, struct msg_writer *w)
{
    if (x->phase == XFROUT_CHANGES) {
        enum condensed_stop stop = condensed_put(&x->condensed, w, CHANGES_A_MESSAGE);
        if (stop == CONDENSED_ENDED)
            x->phase = XFROUT_DONE;
        return stop == CONDENSED_PAUSED;
    }
    if (x->phase == XFROUT_OPEN && put_soa(x, w))
        x->phase = XFROUT_NODES;
    if (x->phase == XFROUT_NODES && put_nodes(x, w))
        x->phase = XFROUT_CLOSE;
    if (x->phase == XFROUT_CLOSE && put_soa(x, w))
        x->phase = XFROUT_DONE;
    return false;
}

static int no_room(const struct xfrout *x, struct why *why)
{
    const uint8_t *name = node_name(x->phase == XFROUT_NODES ? x->node : x->apex);
    uint16_t of = x->phase == XFROUT_NODES ? x->type : RR_SOA;
    char owner[NAME_TEXT_MAX], type[RRTYPE_TEXT_MAX];
    if (x->phase == XFROUT_CHANGES) {
        name = condensed_owner(&x->condensed);
        of = condensed_type(&x->condensed);
    }
    name_print(name, owner);
    return why_set(why, -E_LIMIT, "%s %s: a record that fits no message", owner,
                   rrtype_print(of, type));
}

enum filled {
    FILLED,
    FILLED_NOT,
    FILLED_LATER
}; /* not even one record fits; none was found so far */

/* Begins a message and fills it up to `fill`. */
static enum filled message_fill(struct xfrout *x, struct msg_writer *w, uint8_t *buf, size_t fill)
{
    bool first = x->stats.messages == 0;
    size_t opt = first && x->edns ? OPT_OCTETS : 0;
    msg_begin(w, buf, fill, x->id, MSG_QR | MSG_AA);
    if (first && !msg_put_question(w, x->qname, x->qtype, CLASS_IN))
        return FILLED_NOT;
    if (w->len + opt > fill)
        return FILLED_NOT;
    w->cap = fill - opt;
    bool later = put_all(x, w);
    w->cap = fill;
    if (w->count[SECTION_ANSWER] == 0)
        return later ? FILLED_LATER : FILLED_NOT;
    return !opt || msg_put_opt(w, UDP_SIZE, 0, false, NULL, 0) ? FILLED : FILLED_NOT;
}

int xfrout_next(struct xfrout *x, struct msg_writer *w, uint8_t *buf, size_t cap, struct why *why)
{
    if (x->phase == XFROUT_DONE)
        return 0;
    ASSERT(cap >= MSG_HEADER);
    if (cap > MSG_MAX)
        cap = MSG_MAX;
    enum filled filled = message_fill(x, w, buf, x->fill < cap ? x->fill : cap);
    if (filled == FILLED_NOT)
        filled = message_fill(x, w, buf, cap);
    if (filled == FILLED_NOT)
        return no_room(x, why);
    if (filled == FILLED_LATER)
        return 0;
    size_t len = msg_end(w);
    x->stats.messages++;
    x->stats.bytes += len;
    return (int)len;
}
