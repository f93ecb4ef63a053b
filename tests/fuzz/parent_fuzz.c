/* parent_fuzz: what a parent's server may send, to who asked for the DS of a.example.
 *
 * Whatever comes, the answer is a set in order, without doubles and within its bounds, or a reason in words; and the set that was
 * taken is the one that is in the message.
 */
#include "pipeline/net/parent_p.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct msg_reader reader;
static const uint8_t zone[] = "\1a\7example";

static void check_set(const struct parent_set *set)
{
    struct rrset view = parent_set_rrset(set);
    struct rdata r, before = {0};
    unsigned n = 0;
    for (const uint8_t *p = view.rdata; rrset_next(&view, &p, &r); before = r, n++) {
        ASSERT(r.len >= 5 && parent_set_has(set, r.data, r.len));
        ASSERT(!n || rdata_cmp(RR_DS, before.data, before.len, r.data, r.len) < 0);
    }
    ASSERT(n == set->n && n <= PARENT_DS_MAX);
}

/* Each DS of the message that is the zone's is in the set. */
static void check_message(const uint8_t *data, size_t size, const struct parent_set *set)
{
    struct rr rr;
    struct why why;
    ASSERT(!msg_open(&reader, data, size, &why));
    while (msg_next(&reader, &rr, &why) > 0)
        if (rr.section == SECTION_ANSWER && rr.type == RR_DS && rr.class == CLASS_IN &&
            name_equal(rr.owner, zone))
            ASSERT(parent_set_has(set, rr.rdata, rr.len) && rr.ttl <= set->ttl);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    if (!parent_answer_is_ours(&reader, data, size, zone, get_u16(data)))
        return 0;
    struct parent_set set = {0};
    struct why why = {""};
    bool edns = size & 1;
    switch (parent_answer_read(&reader, zone, edns, &set, &why)) {
    case PARENT_WORD_SET:
        check_set(&set);
        check_message(data, size, &set);
        break;
    case PARENT_WORD_PLAIN:
        ASSERT(edns && !set.n);
        break;
    case PARENT_WORD_CUT:
        ASSERT(!set.n);
        break;
    case PARENT_WORD_BAD:
        ASSERT(!set.n && !set.octets && why.text[0]);
        break;
    }
    parent_set_clear(&set);
    return 0;
}
