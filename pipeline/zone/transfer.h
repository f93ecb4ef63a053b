/* transfer: a zone out of a stream of messages.
 *
 * WHAT   The pure half of a transfer in: messages go in one by one, a snapshot and a changeset come out, or a
 *        refusal that names message, record and rule. No sockets, no clock: the daemon, `weir replay` and the
 *        fuzzers all feed the same code.
 * WHO    One thread at a time; holds the family's writer (an edit) from the opening SOA on.
 * OWNS   The held version (for sharing) is referenced. Results are handed over once, by transfer_take.
 * FAILS  Everything remote is -E_FORMAT, -E_LIMIT, -E_REFUSED or -E_MISMATCH with a why such as
 *        "message 3, record 17 (www.example. A): owner is outside the zone".
 *        After an error the transfer is dead; free it. The last good version was never touched.
 * COST   O(records) and one trie path a name; memory: the new version less what it shares with the held one.
 * SPEC   RFC 5936 2.2, 3.5 (occluded names stay), RFC 1982; lessons.md 32-41.
 */
#ifndef WEIR_ZONE_TRANSFER_H
#define WEIR_ZONE_TRANSFER_H

#include "pipeline/zone/edit.h"

struct transfer;
struct transfer_limits {               /* 0 = no bound */
    size_t max_records, max_bytes;     /* records: duplicates count; bytes: of all messages. What compression saved may
                                          make the zone larger, but not larger than 4 * max_bytes */
};
struct transfer_config {
    struct family *family;
    const struct snapshot *held;       /* last accepted input, or NULL */
    uint16_t id;                       /* of the query; every message must carry it */
    struct transfer_limits limits;
};
struct transfer *transfer_new(const struct transfer_config *config);
void transfer_free(struct transfer **t);           /* NULL inside allowed; aborts what is open */
/* One message (no length prefix). 0: more must come; 1: the closing SOA was read, call transfer_take; < 0 refused. */
int transfer_feed(struct transfer *t, const uint8_t *msg, size_t len, struct why *why) MUST_CHECK;
/* After 1. Both outputs get a reference for the caller. */
int transfer_take(struct transfer *t, struct snapshot **snapshot, struct changeset **changes, struct why *why) MUST_CHECK;

/* The stream ended. 0: it had closed properly; -E_CLOSED: why says what is missing. */
int transfer_end_of_stream(const struct transfer *t, struct why *why) MUST_CHECK;

struct transfer_stats {
    size_t messages, records, bytes;   /* records: of the zone, the closing SOA not counted */
    uint32_t serial;                   /* of the opening SOA */
    bool has_serial;
};
void transfer_stats(const struct transfer *t, struct transfer_stats *out);

/* Serial arithmetic (RFC 1982 3.2): is a newer than b? Undefined distances (2^31) count as not newer. */
static inline bool serial_newer(uint32_t a, uint32_t b)
{
    return a != b && (uint32_t)(a - b) < 0x80000000u;
}

#endif
