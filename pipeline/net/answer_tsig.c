/* answer_tsig: queries that are signed, and the signature of their answers.
 *
 * The TSIG is judged before anything else of the query: an answer to a good one is signed whatever it
 * says, and one to a bad one says nothing but NOTAUTH (RFC 8945 5.2). FORMERR is for what does not
 * parse, and for MACs of impossible lengths; it is not signed.
 *
 * The room for the reply's TSIG is known from then on, and the reply is made in what is left. If not
 * even the question and OPT fit beside it (names at their longest, 512 octets), there is no TSIG: an
 * error stands alone, and an answer is cut to what sends the client to TCP.
 */
#include "pipeline/net/answer_state.h"

#include <time.h>

static bool fits_beside_question(const struct answer_state *s, size_t room)
{
    return MSG_HEADER + name_len(s->qname) + 4 + edns_room(s) + room <= s->limit;
}

void tsig_check(struct answer_state *s)
{
    struct tsig_request *q = &s->work->tsig;
    if (tsig_request_check(q, &s->query->conf->keys, s->query->msg, (uint64_t)time(NULL)))
        s->key = q->key;
    s->result->tsig = q;
    if (q->verdict)
        answer_fail(s, q->verdict < 0 ? RCODE_FORMERR : RCODE_NOTAUTH);
    if (q->verdict < 0)
        return;
    size_t room = tsig_request_room(q);
    if (fits_beside_question(s, room)) {
        s->tsig_room = room;
        s->limit -= room;
    } else if (!q->verdict) {
        s->limit = MSG_HEADER + name_len(s->qname) + 4 + edns_room(s);
    }
}

void tsig_cut(struct answer_state *s)
{
    msg_rewind(s->w, &s->question);
    s->rcode = RCODE_NOERROR;
}

size_t answer_seal(const struct answer_result *result, uint8_t *reply, size_t cap)
{
    if (!result->tsig)
        return result->reply_len;
    size_t len =
        tsig_request_answer(result->tsig, reply, result->reply_len, cap, (uint64_t)time(NULL));
    ASSERT(len);
    return len;
}
