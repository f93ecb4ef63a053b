/* transfer: a zone out of a stream of messages.
 *
 * WHAT   The pure half of a transfer in: messages go in one by one, a snapshot and a changeset come out, or a
 *        refusal that names message, record and rule. No sockets, no clock: the daemon, `weir replay` and the
 *        fuzzers all feed the same code. The answer to an IXFR is taken in each of its three forms: differences, the
 *        whole zone, or one SOA that says we have it.
 * WHO    One thread at a time; holds the family's writer (an edit) from the opening SOA of the full form on, and from the
 *        first DIFFERENCE_BATCH records of the incremental form on (so, mostly, for the last message alone).
 * OWNS   The held version (for sharing) is referenced. Results are handed over once, by transfer_take.
 * FAILS  Everything remote is -E_FORMAT, -E_LIMIT, -E_REFUSED, -E_MISMATCH or -E_UNFIT with a why such as
 *        "message 3, record 17 (www.example. A): owner is outside the zone".
 *        -E_UNFIT: well-formed differences that do not lead from what we hold to what was announced. The whole zone is
 *        what helps then, as it is after anything else that is wrong with an answer to IXFR.
 *        After an error the transfer is dead; free it. The last good version was never touched.
 * COST   Full: O(records) and one trie path a name; memory: the new version less what it shares with the held one.
 *        Incremental: see difference.h; nothing grows with the zone.
 * SPEC   RFC 5936 2.2, 3.5 (occluded names stay), RFC 1982, RFC 1995 4, RFC 7314; lessons.md 32-44.
 */
#ifndef WEIR_ZONE_TRANSFER_H
#define WEIR_ZONE_TRANSFER_H

#include "pipeline/zone/edit.h"

struct transfer;
struct transfer_limits {               /* 0 = no bound */
    size_t max_records, max_bytes;     /* records: duplicates count, and so does each that a difference deletes or adds;
                                          bytes: of all messages. What compression saved may make the zone larger, but not
                                          larger than 4 * max_bytes */
    size_t max_sequences;              /* differences in one incremental transfer */
};
struct transfer_config {
    struct family *family;
    const struct snapshot *held;       /* last accepted input, or NULL */
    uint16_t id;                       /* of the query; every message must carry it */
    bool incremental;                  /* IXFR was asked for, with the serial of `held`, which is of this family then; without
                                          one, only an answer in full can be taken */
    struct transfer_limits limits;
};
struct transfer *transfer_new(const struct transfer_config *config);
void transfer_free(struct transfer **t);           /* NULL inside allowed; aborts what is open */
/* One message (no length prefix). < 0 refused, or: */
enum { TRANSFER_MORE = 0, TRANSFER_COMPLETE = 1 /* call transfer_take */, TRANSFER_CURRENT = 2 /* what is held is current */ };
int transfer_feed(struct transfer *t, const uint8_t *msg, size_t len, struct why *why) MUST_CHECK;
/* After TRANSFER_COMPLETE. Both outputs get a reference for the caller. */
int transfer_take(struct transfer *t, struct snapshot **snapshot, struct changeset **changes, struct why *why) MUST_CHECK;

/* The stream ended. 0: it had closed properly; -E_CLOSED: why says what is missing. */
int transfer_end_of_stream(const struct transfer *t, struct why *why) MUST_CHECK;

enum transfer_form { TRANSFER_NO_FORM, TRANSFER_FULL, TRANSFER_INCREMENTAL, TRANSFER_SINGLE_SOA };
struct transfer_stats {
    size_t messages, records, bytes;   /* records: the closing SOA, and those that frame differences, not counted */
    size_t sequences, deleted, added;  /* of the incremental form */
    enum transfer_form form;           /* as far as it is known */
    uint32_t serial;                   /* of the opening SOA */
    uint32_t expire_s;                 /* a message had the EXPIRE option (RFC 7314) */
    unsigned rcode;                    /* that it refused with */
    bool has_serial, has_expire;
    bool ended;                        /* the primary has nothing more to say: it closed the transfer, or refused */
    bool has_opt;                      /* the last message had an OPT */
};
void transfer_stats(const struct transfer *t, struct transfer_stats *out);
const char *transfer_form_text(enum transfer_form form);   /* "AXFR", "IXFR", … as logs and status have it */

/* Serial arithmetic (RFC 1982 3.2): is a newer than b? Undefined distances (2^31) count as not newer. */
static inline bool serial_newer(uint32_t a, uint32_t b)
{
    return a != b && (uint32_t)(a - b) < 0x80000000u;
}

#endif
