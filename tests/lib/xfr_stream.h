/* xfr_stream: answers to AXFR and IXFR, record by record, cut into messages as the test likes.
 *
 * WHAT   Records are put one after another; messages of at most `most` records (random sizes where a random struct is
 *        given) come out. xfr_difference writes what differs between two versions as RFC 1995 4 has it; it compares
 *        record with record and knows nothing of changesets, so it is a second opinion on them.
 * WHO    One thread. xfr_open zeroes; xfr_free when done.
 */
#ifndef WEIR_TESTS_XFR_STREAM_H
#define WEIR_TESTS_XFR_STREAM_H

#include "pipeline/zone/message.h"
#include "pipeline/zone/snapshot.h"
#include "pipeline/zone/transfer.h"
#include "tests/lib/random.h"

enum { STREAM_ID = 4711, STREAM_ROOM = 16384 };
struct stream_message {
    uint8_t *octets;
    size_t len;
};
struct xfr_stream {
    const uint8_t *apex;
    uint16_t qtype, flags, id;
    unsigned most, left;               /* records a message; of the open one */
    struct random *random;             /* NULL: all messages are full */
    bool open;
    struct stream_message *message;
    size_t n, room;
    struct msg_writer writer;
};
void xfr_open(struct xfr_stream *s, const uint8_t *apex, uint16_t qtype, unsigned most, struct random *random);
void xfr_free(struct xfr_stream *s);
void xfr_put(struct xfr_stream *s, const uint8_t *owner, uint16_t type, uint16_t class, uint32_t ttl, const void *rdata, size_t len);
void xfr_cut(struct xfr_stream *s); /* what comes now stands in the next message */

/* How a primary writes a set whose TTL changed, nothing else: */
enum stream_ttl { STREAM_TTL_REPLACES /* deleted, then added: BIND, Knot, NSD */, STREAM_TTL_ADDS /* added again, alone */ };
void xfr_soa_of(struct xfr_stream *s, const struct snapshot *version);
void xfr_difference(struct xfr_stream *s, const struct snapshot *was, const struct snapshot *now, enum stream_ttl ttl);
void xfr_zone(struct xfr_stream *s, const struct snapshot *version); /* all but the SOA */

/* Feeds it all, each message in a block of its own. The last answer; *fed: how many messages were taken. */
int xfr_feed(struct xfr_stream *s, struct transfer *t, struct why *why, size_t *fed);

#endif
