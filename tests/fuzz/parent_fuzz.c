/* parent_fuzz: what a parent's server may send, to who asked for the DS or the NS of a.example.
 *
 * Whatever comes, the answer is a set in order, without doubles and within its bounds, or a reason in words; and the set that was
 * taken is the one that is in the message.
 */
#include "pipeline/net/parent_p.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct msg_reader reader;
static uint8_t canonical[MSG_MAX];
static const uint8_t zone[] = "\1a\7example";

static void check_set(const struct parent_set *set, uint16_t type)
{
    struct rrset view = type == RR_DS ? parent_set_rrset(set) : parent_set_ns(set);
    struct rdata r, before = {0};
    unsigned n = 0;
    ASSERT(view.type == type);
    for (const uint8_t *p = view.rdata; rrset_next(&view, &p, &r); before = r, n++) {
        ASSERT(parent_set_has(set, r.data, r.len));
        ASSERT(type == RR_DS ? r.len >= 5 : name_valid(r.data, r.len) == r.len);
        ASSERT(!n || rdata_cmp(type, before.data, before.len, r.data, r.len) < 0);
    }
    ASSERT(n == set->n && n <= PARENT_DS_MAX);
}

/* Each record of the section that is the zone's is in the set. */
static void check_message(const uint8_t *data, size_t size, const struct parent_set *set,
                          uint16_t type, unsigned section)
{
    struct rr rr;
    struct why why;
    ASSERT(!msg_open(&reader, data, size, &why));
    while (msg_next(&reader, &rr, &why) > 0)
        if (rr.section == section && rr.type == type && rr.class == CLASS_IN &&
            name_equal(rr.owner, zone)) {
            rdata_canonical(type, rr.rdata, rr.len, canonical);
            ASSERT(parent_set_has(set, canonical, rr.len) && rr.ttl <= set->ttl);
        }
}

static void check_type(const uint8_t *data, size_t size, uint16_t type)
{
    struct question q = {.name = zone, .type = type};
    struct parent_set set = {0};
    struct why why = {""};
    bool child = false, edns = size & 1;
    if (!question_answered(&reader, data, size, &q, get_u16(data)))
        return;
    enum question_word word = question_word(&reader, edns);
    ASSERT(word != QUESTION_PLAIN || edns);
    if (word != QUESTION_WORD)
        return;
    uint16_t flags = reader.flags;
    int err = type == RR_DS ? parent_ds_read(&reader, zone, &set, &why)
                            : parent_ns_read(&reader, zone, &set, &child, &why);
    if (err) {
        ASSERT(!set.n && !set.octets && !child && why.text[0]);
        return;
    }
    ASSERT(flags & MSG_AA || (type == RR_NS && set.n && !child));
    check_set(&set, type);
    check_message(data, size, &set, type, flags & MSG_AA ? SECTION_ANSWER : SECTION_AUTHORITY);
    parent_set_clear(&set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    check_type(data, size, RR_DS);
    check_type(data, size, RR_NS);
    return 0;
}
