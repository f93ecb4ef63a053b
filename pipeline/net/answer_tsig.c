/* answer_tsig: a signed query, refused.
 *
 * No keys are held here, so every key is an unknown one: NOTAUTH, and a TSIG with BADKEY and no MAC
 * that repeats the client's own time (RFC 8945 5.2.1, 5.3.2).
 *
 *   rdata: algorithm | time signed 6 | fudge 2 | MAC size 2 | MAC
 *          | original ID 2 | error 2 | other length 2 | other
 */
#include "pipeline/net/answer_state.h"

#include "pipeline/base/buf.h"

enum { BADKEY = 17 };

void tsig_check(struct answer_state *s)
{
    struct rbuf r = rbuf_open(s->query->msg + s->tsig.rdata, s->tsig.rdata_len);
    int algorithm = name_valid(r.p, rbuf_left(&r)); /* never compressed: RFC 8945 4.2 */
    if (algorithm > 0) {
        s->tsig.head = (size_t)algorithm + 8;
        rbuf_take(&r, s->tsig.head);
        rbuf_take(&r, rbuf_u16(&r)); /* MAC */
        rbuf_take(&r, 4);
        rbuf_take(&r, rbuf_u16(&r)); /* other data */
        if (!r.bad && rbuf_left(&r) == 0) {
            s->tsig.refused = true;
            answer_fail(s, RCODE_NOTAUTH);
            return;
        }
    }
    answer_fail(s, RCODE_FORMERR);
}

void tsig_write(struct answer_state *s)
{
    uint8_t out[NAME_MAX_OCTETS + 16];
    struct wbuf o = wbuf_open(out, sizeof out);
    wbuf_put(&o, s->query->msg + s->tsig.rdata, s->tsig.head);
    wbuf_u16(&o, 0);
    wbuf_u16(&o, s->id);
    wbuf_u16(&o, BADKEY);
    wbuf_u16(&o, 0);
    ASSERT(!o.bad);
    /* Names at their longest do not fit 512 octets; NOTAUTH then stands alone. */
    (void)msg_put_rr(s->w, SECTION_ADDITIONAL, s->tsig.owner, RR_TSIG, CLASS_ANY, 0, out,
                     (uint16_t)wbuf_len(&o));
}
