/* Is this the answer to our question, and is it whole? What it says is its owner's to read. */
#include "pipeline/net/question.h"

static bool rejects_query(unsigned rcode)
{
    return rcode == RCODE_FORMERR || rcode == RCODE_NOTIMP;
}

bool question_answered(struct msg_reader *r, const uint8_t *msg, size_t len,
                       const struct question *q, uint16_t id)
{
    uint8_t name[NAME_MAX_OCTETS];
    uint16_t type, class;
    struct why why;
    if (msg_open(r, msg, len, &why) || r->id != id || !(r->flags & MSG_QR) ||
        msg_opcode(r->flags) != OPCODE_QUERY)
        return false;
    if (r->count[SECTION_QUESTION] == 0) {
        unsigned rcode = msg_rcode(r->flags);
        return rejects_query(rcode) || rcode == RCODE_NOTAUTH;
    }
    return r->count[SECTION_QUESTION] == 1 && msg_question(r, name, &type, &class, &why) > 0 &&
           type == q->type && class == CLASS_IN && name_equal(name, q->name);
}

enum question_word question_word(const struct msg_reader *r, bool edns)
{
    unsigned rcode = msg_rcode(r->flags);
    if (edns && rejects_query(rcode) && r->count[SECTION_ADDITIONAL] == 0)
        return QUESTION_PLAIN;
    if (rcode != RCODE_NOERROR && rcode != RCODE_NXDOMAIN)
        return QUESTION_WORD; /* whatever it leaves out, it has nothing for us */
    return r->flags & MSG_TC ? QUESTION_CUT : QUESTION_WORD;
}
