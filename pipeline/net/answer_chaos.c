/* answer_chaos: who is this server? Class CHAOS, TXT, by configuration.
 *
 * version.bind and version.server give server.version, id.server (RFC 4892) and hostname.bind give
 * server.identity. What is not configured is refused: a server says nothing about itself that it
 * was not told to say.
 */
#include "pipeline/net/answer_state.h"

#include <string.h>

static const char *chaos_text(const struct answer_state *s)
{
    static const uint8_t version_bind[] = "\7version\4bind", version_server[] = "\7version\6server";
    static const uint8_t hostname_bind[] = "\10hostname\4bind", id_server[] = "\2id\6server";
    if (name_equal(s->qname, version_bind) || name_equal(s->qname, version_server))
        return s->query->conf->version;
    if (name_equal(s->qname, hostname_bind) || name_equal(s->qname, id_server))
        return s->query->conf->identity;
    return NULL;
}

void answer_chaos(struct answer_state *s)
{
    const char *text = chaos_text(s);
    if (!text || (s->qtype != RR_TXT && s->qtype != RR_ANY)) {
        answer_fail(s, RCODE_REFUSED);
        return;
    }
    uint8_t rdata[256];
    size_t n = strnlen(text, 255); /* one character-string */
    rdata[0] = (uint8_t)n;
    memcpy(rdata + 1, text, n);
    s->reply_flags |= MSG_AA;
    if (!msg_put_rr(s->w, SECTION_ANSWER, s->qname, RR_TXT, CLASS_CH, 0, rdata, (uint16_t)(n + 1)))
        s->reply_flags |= MSG_TC;
}
