/* transfer_fuzz: streams of length-prefixed messages, as TCP brings them, taken as an AXFR of "example." with ID 1.
 *
 * A stream that is accepted must give a zone in order, whole and inside its apex; the same stream on top of the
 * version that it gave must change nothing and share every node.
 */
#include "tests/lib/fed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct family *family = family_new(fed_apex);
    struct changeset *changes = NULL;
    struct snapshot *first = NULL, *second = NULL;
    if (fed_run(family, NULL, false, data, size, &first, &changes) == TRANSFER_COMPLETE) {
        fed_check(first);
        ASSERT(changes->n == first->names);
        changeset_unref(changes);
        ASSERT(fed_run(family, first, false, data, size, &second, &changes) == TRANSFER_COMPLETE);
        ASSERT(changes->n == 0 && second->records == first->records);
        changeset_unref(changes);
        snapshot_unref(second);
        snapshot_unref(first);
    }
    family_unref(family);
    return 0;
}
