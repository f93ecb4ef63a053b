/* signer_fuzz: what another signer's server may send, to who asked for what it has at a.example.
 *
 * Whatever comes, the answer is a set of the type that was asked for with signatures over that type, within their bounds, all of them
 * from the answer section, or a reason in words.
 */
#include "pipeline/net/signer_p.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct msg_reader reader;
static struct node_builder *builder;
static const uint8_t apex[] = "\1a\7example";
static const uint16_t types[] = {RR_SOA, RR_DNSKEY, RR_CDNSKEY, RR_CDS, RR_NS, RR_CSYNC};

/* Is it in the message, at the apex? */
static bool is_said(const uint8_t *data, size_t size, uint16_t type, const struct rdata *r)
{
    struct rr rr;
    struct why why;
    ASSERT(!msg_open(&reader, data, size, &why));
    while (msg_next(&reader, &rr, &why) > 0)
        if (rr.section == SECTION_ANSWER && rr.type == type && rr.class == CLASS_IN &&
            name_equal(rr.owner, apex) && rr.len == r->len &&
            memcmp(rr.rdata, r->data, r->len) == 0)
            return true;
    return false;
}

static void check_sets(const struct node *node, uint16_t type, const uint8_t *data, size_t size)
{
    size_t octets = 0;
    for (unsigned i = 0; i < node->nrrsets; i++) {
        struct rrset set;
        struct rdata r;
        node_rrset_at(node, i, &set);
        ASSERT(set.type == RR_RRSIG ? set.covered == type : set.type == type);
        ASSERT(set.count <= SIGNER_SET_RECORDS);
        for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &r);) {
            ASSERT(!rdata_valid(set.type, r.data, r.len, NULL));
            ASSERT(is_said(data, size, set.type, &r));
            octets += r.len;
        }
    }
    ASSERT(octets <= SIGNER_SET_OCTETS);
    ASSERT(name_equal(node_name(node), apex));
}

static void check_type(const uint8_t *data, size_t size, uint16_t type)
{
    struct question q = {.name = apex, .type = type, .dnssec = true};
    struct why why = {""}, again = {""};
    uint32_t serial = 0, serial_again = 0;
    if (!question_answered(&reader, data, size, &q, get_u16(data)))
        return;
    if (question_word(&reader, true) != QUESTION_WORD)
        return;
    struct msg_reader start = reader;
    node_builder_begin(builder, apex);
    int err = signer_answer_read(&reader, apex, type, builder, &serial, &why);
    struct node *node = node_builder_seal(builder);
    reader = start;
    ASSERT(signer_answer_read(&reader, apex, type, NULL, &serial_again, &again) == err);
    ASSERT(serial == serial_again && strcmp(why.text, again.text) == 0);
    if (err) {
        ASSERT(why.text[0]);
    } else {
        ASSERT(start.flags & MSG_AA && msg_rcode(start.flags) == RCODE_NOERROR);
        struct rrset set;
        ASSERT(type != RR_SOA || (node && node_rrset(node, RR_SOA, 0, &set) && set.count == 1));
        if (node)
            check_sets(node, type, data, size);
    }
    node_unref(node);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    if (!builder)
        builder = node_builder_new();
    for (unsigned i = 0; i < sizeof types / sizeof types[0]; i++)
        check_type(data, size, types[i]);
    return 0;
}
