/* fed: octets, any octets, taken as a transfer of "example." with ID 1; for fuzzers.
 *
 * WHAT   fed_run reads length-prefixed messages, as TCP brings them, until the transfer has enough, and takes what it gives.
 *        fed_check: a zone that was taken is in order, whole and inside its apex.
 * FAILS  Whatever may never happen ends in an ASSERT; a stream that is no transfer is the usual case, and a result below TRANSFER_COMPLETE.
 */
#ifndef WEIR_TESTS_FED_H
#define WEIR_TESTS_FED_H

#include "pipeline/zone/transfer.h"

extern const uint8_t fed_apex[9];

/* What transfer_feed said last; -1: a stream that came to its end, and gave no zone all the same. */
int fed_run(struct family *family, const struct snapshot *held, bool incremental, const uint8_t *data, size_t size,
            struct snapshot **out, struct changeset **changes);
void fed_check(const struct snapshot *s);

#endif
