/* tsig_fuzz: a query with a TSIG, and a stream of answers, out of hostile octets.
 *
 *   | len | query | len | answer | len | answer …
 *
 * The key is that of the first seeds, so that what the fuzzer leaves alone verifies. Held against what each message gives:
 * what is read lies inside of it; whatever was judged is answered as RFC 8945 5.3.2 has it, and that answer, read again,
 * says so; and a message without a TSIG, once signed by us, verifies.
 */
#include "pipeline/zone/message.h"
#include "pipeline/zone/tsig.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW = 1700000000 };
static uint8_t buffer[MSG_MAX];

static struct tsig_key *fuzz_key(void)
{
    static const uint8_t name[] = "\3xfr\7example";
    static struct tsig_key *key;
    uint8_t secret[32];
    for (unsigned i = 0; i < sizeof secret; i++)
        secret[i] = (uint8_t)(i + 2); /* of the vector "hmac-sha256" */
    if (!key && tsig_key_new(name, "hmac-sha256", secret, sizeof secret, &key, NULL))
        abort();
    return key;
}

static void check_inside(const uint8_t *msg, size_t len, const struct tsig_rr *rr)
{
    ASSERT(rr->at >= MSG_HEADER && rr->at < len);
    ASSERT(rr->algorithm > msg + rr->at && rr->algorithm + rr->algorithm_len <= rr->mac);
    ASSERT(rr->mac + rr->mac_len <= rr->other && rr->other + rr->other_len == msg + len);
    ASSERT(name_valid(rr->name, NAME_MAX_OCTETS) > 0);
}

static void answer_query(const struct tsig_request *q)
{
    static const uint8_t head[MSG_HEADER] = {0x12, 0x34, 0x84};
    struct tsig_rr rr;
    if (q->verdict < 0)
        return;
    memcpy(buffer, head, sizeof head);
    size_t len =
        tsig_request_answer(q, buffer, sizeof head, sizeof head + tsig_request_room(q), NOW);
    ASSERT(len > sizeof head && tsig_read(buffer, len, &rr, NULL) == 1);
    bool is_signed = q->verdict != TSIG_BADKEY && q->verdict != TSIG_BADSIG;
    ASSERT(rr.error == q->verdict && (rr.mac_len > 0) == is_signed);
    ASSERT(rr.other_len == (q->verdict == TSIG_BADTIME ? TSIG_TIME_OCTETS : 0));
    if (is_signed)
        ASSERT(tsig_verify(q->key, &q->mac, buffer, &rr, rr.time) == 0);
}

static void take_query(const uint8_t *msg, size_t len, struct tsig_mac *mac)
{
    struct tsig_key *held[] = {fuzz_key()};
    const struct tsig_keys keys = {1, held};
    struct tsig_request q;
    int there = tsig_read(msg, len, &q.rr, NULL);
    if (there == 1) {
        check_inside(msg, len, &q.rr);
        ASSERT(tsig_request_check(&q, &keys, msg, NOW) == (q.verdict == 0));
        *mac = q.mac;
        answer_query(&q);
    } else if (there == 0 && len + tsig_room(held[0]) <= MSG_MAX &&
               get_u16(msg + 10) < UINT16_MAX) {
        memcpy(buffer, msg, len);
        size_t n = tsig_sign(held[0], buffer, len, sizeof buffer, NOW, mac);
        ASSERT(n > len);
        if (tsig_read(buffer, n, &q.rr, NULL) == 1) /* not with octets behind the last record */
            ASSERT(q.rr.at != len || tsig_verify(held[0], NULL, buffer, &q.rr, NOW) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tsig_mac mac = {.len = 0};
    struct tsig_chain *chain = NULL;
    struct why why = {""};
    int err = 0;
    while (err == 0 && size >= 2) {
        size_t len = get_u16(data);
        len = len < size - 2 ? len : size - 2;
        uint8_t *msg = malloc(len + 1); /* of its own: a sanitizer sees what is read behind it */
        if (!msg)
            abort();
        memcpy(msg, data + 2, len);
        if (!chain) {
            take_query(msg, len, &mac);
            chain = tsig_chain_new(fuzz_key(), &mac);
        } else {
            err = tsig_chain_take(chain, msg, len, NOW, &why);
            ASSERT(err == 0 || (err < 0 && why.text[0]));
        }
        free(msg);
        data += 2 + len;
        size -= 2 + len;
    }
    tsig_chain_free(&chain);
    return 0;
}
