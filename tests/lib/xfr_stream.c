/* xfr_stream: see xfr_stream.h. */
#include "tests/lib/xfr_stream.h"

#include "pipeline/base/alloc.h"
#include "tests/lib/expect.h"

#include <stdlib.h>
#include <string.h>

void xfr_open(struct xfr_stream *s, const uint8_t *apex, uint16_t qtype, unsigned most,
              struct random *random)
{
    *s = (struct xfr_stream){.apex = apex,
                             .qtype = qtype,
                             .flags = MSG_QR | MSG_AA,
                             .id = STREAM_ID,
                             .most = most,
                             .random = random};
    msg_writer_init(&s->writer);
}

void xfr_free(struct xfr_stream *s)
{
    for (size_t i = 0; i < s->n; i++)
        mem_free(&s->message[i].octets);
    mem_free(&s->message);
    s->n = s->room = 0;
    s->open = false;
}

void xfr_cut(struct xfr_stream *s)
{
    if (s->open)
        s->message[s->n - 1].len = msg_end(&s->writer);
    s->open = false;
}

static void message_begin(struct xfr_stream *s)
{
    if (s->n == s->room) {
        s->room = s->room ? 2 * s->room : 16;
        s->message = mem_resize(s->message, s->room * sizeof s->message[0]);
    }
    struct stream_message *m = &s->message[s->n++];
    m->octets = mem_alloc(STREAM_ROOM);
    msg_begin(&s->writer, m->octets, STREAM_ROOM, s->id, s->flags);
    bool asks = s->n == 1 || !s->random || random_below(s->random, 2);
    EXPECT(!asks || msg_put_question(&s->writer, s->apex, s->qtype, CLASS_IN));
    s->left = s->random ? 1 + (unsigned)random_below(s->random, s->most) : s->most;
    s->open = true;
}

void xfr_put(struct xfr_stream *s, const uint8_t *owner, uint16_t type, uint16_t class,
             uint32_t ttl, const void *rdata, size_t len)
{
    if (!s->open)
        message_begin(s);
    if (!s->left ||
        !msg_put_rr(&s->writer, SECTION_ANSWER, owner, type, class, ttl, rdata, (uint16_t)len)) {
        xfr_cut(s);
        message_begin(s);
        EXPECT(
            msg_put_rr(&s->writer, SECTION_ANSWER, owner, type, class, ttl, rdata, (uint16_t)len));
    }
    s->left--;
}

static void put_set(struct xfr_stream *s, const struct node *n, const struct rrset *set)
{
    const uint8_t *p = set->rdata;
    struct rdata r;
    while (rrset_next(set, &p, &r))
        xfr_put(s, node_name(n), set->type, CLASS_IN, set->ttl, r.data, r.len);
}

void xfr_soa_of(struct xfr_stream *s, const struct snapshot *version)
{
    struct rrset set;
    const struct node *apex = snapshot_apex(version);
    EXPECT(apex && node_rrset(apex, RR_SOA, 0, &set) && set.count == 1);
    put_set(s, apex, &set);
}

void xfr_zone(struct xfr_stream *s, const struct snapshot *version)
{
    struct snapshot_iter it;
    for (const struct node *n = snapshot_first(&it, version); n; n = snapshot_next(&it))
        for (unsigned i = 0; i < n->nrrsets; i++) {
            struct rrset set;
            node_rrset_at(n, i, &set);
            if (set.type != RR_SOA)
                put_set(s, n, &set);
        }
}

static bool has(const struct rrset *set, const struct rdata *wanted)
{
    const uint8_t *p = set->rdata;
    struct rdata r;
    while (rrset_next(set, &p, &r))
        if (r.len == wanted->len && memcmp(r.data, wanted->data, r.len) == 0)
            return true;
    return false;
}

/* The records of `node` that `other` (of the same name, or NULL) has not. A name in other letters is another one here: a
 * difference that leaves one of its records alone could not tell of them. */
static void put_records_missing(struct xfr_stream *s, const struct node *node,
                                const struct node *other, bool adding, enum stream_ttl how)
{
    if (other && memcmp(node_name(node), node_name(other), name_len(node_name(node))) != 0)
        other = NULL;
    for (unsigned i = 0; i < node->nrrsets; i++) {
        struct rrset set, there = {0};
        struct rdata r;
        node_rrset_at(node, i, &set);
        bool both = other && node_rrset(other, set.type, set.covered, &there);
        bool other_ttl = both && there.ttl != set.ttl;
        if (set.type == RR_SOA)
            continue;
        for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &r);)
            if (!both || !has(&there, &r) || (other_ttl && (adding || how == STREAM_TTL_REPLACES)))
                xfr_put(s, node_name(node), set.type, CLASS_IN, set.ttl, r.data, r.len);
    }
}

static void put_missing(struct xfr_stream *s, const struct snapshot *from,
                        const struct snapshot *in, bool adding, enum stream_ttl how)
{
    struct snapshot_iter it;
    for (const struct node *n = snapshot_first(&it, from); n; n = snapshot_next(&it)) {
        const struct node *other = snapshot_get(in, node_name(n));
        if (n != other)
            put_records_missing(s, n, other, adding, how);
    }
}

void xfr_difference(struct xfr_stream *s, const struct snapshot *was, const struct snapshot *now,
                    enum stream_ttl ttl)
{
    xfr_soa_of(s, was);
    put_missing(s, was, now, false, ttl);
    xfr_soa_of(s, now);
    put_missing(s, now, was, true, ttl);
}

int xfr_feed(struct xfr_stream *s, struct transfer *t, struct why *why, size_t *fed)
{
    int rc = 0;
    xfr_cut(s);
    *fed = 0;
    for (size_t i = 0; i < s->n && rc >= 0; i++) {
        uint8_t *copy = malloc(s->message[i].len + 1); /* a sanitizer sees what is read */
        memcpy(copy, s->message[i].octets, s->message[i].len);
        rc = transfer_feed(t, copy, s->message[i].len, why);
        free(copy);
        *fed += rc >= 0;
    }
    return rc;
}
