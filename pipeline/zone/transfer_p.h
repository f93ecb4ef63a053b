/* transfer_p: what the files of transfer share. Private to pipeline/zone/transfer*.c.
 *
 *          transfer.c        messages, their headers, the full form
 *          transfer_ixfr.c   the incremental form: where a difference begins and ends
 *
 * What differences say is collected and applied by difference.h.
 */
#ifndef WEIR_ZONE_TRANSFER_P_H
#define WEIR_ZONE_TRANSFER_P_H

#include "pipeline/zone/difference.h"
#include "pipeline/zone/message.h"
#include "pipeline/zone/transfer.h"

enum transfer_phase {
    PHASE_OPENING,                     /* the first SOA is wanted */
    PHASE_SECOND,                      /* of an answer to IXFR: the record that tells its form is wanted */
    PHASE_RECORDS,                     /* full form */
    PHASE_DELETING, PHASE_ADDING,      /* incremental form */
    PHASE_CLOSED, PHASE_TAKEN, PHASE_DEAD,
};
struct transfer_soa {                  /* rdata NULL: none yet */
    uint8_t *rdata;
    uint16_t len;
    uint32_t ttl;
};
struct transfer {
    struct family *family;
    struct snapshot *held;
    const uint8_t *apex;
    uint16_t id;
    bool incremental;                  /* IXFR was asked for */
    struct transfer_limits limits;
    enum transfer_phase phase;
    struct edit *edit;                 /* full: from the opening SOA to the take; incremental: from the first batch on */
    struct transfer_soa opening;
    uint8_t opening_owner[NAME_MAX_OCTETS]; /* its letters are the apex node's */
    struct transfer_soa at;            /* incremental: to which version the differences have led so far */
    struct transfer_soa leaving;       /* … and the one that the present difference leads from */
    struct difference *difference;
    unsigned empty;                    /* messages without an answer record in a row */
    unsigned record;                   /* of the answer section, being read; counted from 1 */
    struct transfer_stats stats;
    struct msg_reader reader;
};

static inline uint32_t transfer_serial(const uint8_t *rdata, uint16_t len)
{
    return get_u32(rdata + len - 20);
}
/* Refuses because of one record of the answer section; rr->owner NULL: not even that could be read. */
int transfer_refuse_record(const struct transfer *t, const struct rr *rr, struct why *why, int code, const char *what);
void transfer_edit_open(struct transfer *t, const struct snapshot *base);
void transfer_soa_set(struct transfer_soa *soa, const struct rr *rr);
/* An answer to IXFR. After its opening SOA; at the record after that, which may turn out to be of the full form; at those that
 * follow in the incremental form; and at the end, before the edit is sealed. */
int ixfr_opening(struct transfer *t, const struct rr *rr, struct why *why) MUST_CHECK;
int ixfr_second(struct transfer *t, const struct rr *rr, struct why *why) MUST_CHECK;
int ixfr_record(struct transfer *t, const struct rr *rr, struct why *why) MUST_CHECK;
int ixfr_finish(struct transfer *t, struct why *why) MUST_CHECK;
bool ixfr_newer(const struct transfer *t);       /* is the opening SOA newer than what we hold? */

#endif
