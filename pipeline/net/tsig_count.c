/* A signature that is wrong is a clock, a key or an attack. The line says which it looks like, and
 * the numbers to tell by. */
#include "pipeline/net/tsig_count.h"

#include "pipeline/base/log.h"

#include <time.h>

enum { LOG_EVERY_S = 10 };

static _Atomic uint64_t *counter_of(struct query_counters *c, int verdict)
{
    switch (verdict) {
    case 0:
        return &c->tsig_good;
    case TSIG_BADKEY:
        return &c->tsig_badkey;
    case TSIG_BADSIG:
        return &c->tsig_badsig;
    case TSIG_BADTIME:
        return &c->tsig_badtime;
    default:
        return &c->tsig_badtrunc; /* or of a length that no MAC has */
    }
}

static const char *reason_of(const struct tsig_request *q)
{
    switch (q->verdict) {
    case TSIG_BADKEY:
        return q->key ? "the key has another algorithm here" : "there is no such key here";
    case TSIG_BADSIG:
        return "the key has another secret there, or the message was changed on the way";
    case TSIG_BADTIME:
        return "its clock and ours differ";
    default:
        return "its MAC is not whole";
    }
}

void tsig_count(struct query_thread *thread, const struct answer_result *result,
                const struct address *peer)
{
    static struct log_gate gate;
    const struct tsig_request *q = result->tsig;
    uint64_t skipped = 0;
    char who[ADDRESS_TEXT_MAX], key[NAME_TEXT_MAX];
    counter_add(counter_of(&thread->counters, q->verdict), 1);
    if (q->verdict == 0 || !log_gate_open(&gate, LOG_EVERY_S, &skipped))
        return;
    log_warn(
        "query with a wrong TSIG", LOG_KV("client", LOG_S(address_print(peer, who))),
        LOG_KV("key", LOG_S(name_print(q->rr.name, key))),
        LOG_KV("error", LOG_S(q->verdict < 0 ? "FORMERR" : tsig_error_text((unsigned)q->verdict))),
        LOG_KV("reason", LOG_S(reason_of(q))),
        LOG_KV("clock_ahead_s", LOG_I((int64_t)q->rr.time - (int64_t)time(NULL))),
        LOG_KV("skipped", LOG_U(skipped)));
}
