/* transfer_fuzz: streams of length-prefixed messages, as TCP brings them, taken as an AXFR of "example." with ID 1.
 *
 * A stream that is accepted must give a zone in order, whole and inside its apex; the same stream on top of the
 * version that it gave must change nothing and share every node.
 */
#include "pipeline/base/buf.h"
#include "pipeline/zone/transfer.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t apex[] = "\7example";

static struct snapshot *run(struct family *family, const struct snapshot *held, const uint8_t *data,
                            size_t size, struct changeset **changes)
{
    struct transfer_config config = {.family = family,
                                     .held = held,
                                     .id = 1,
                                     .limits = {.max_records = 20000, .max_bytes = 1 << 20}};
    struct transfer *t = transfer_new(&config);
    struct rbuf in = rbuf_open(data, size);
    struct snapshot *s = NULL;
    struct why why = {{0}};
    int rc = 0;
    while (rc == 0 && rbuf_left(&in)) {
        uint16_t len = rbuf_u16(&in);
        const uint8_t *msg = rbuf_take(&in, len);
        if (!msg)
            break;
        rc = transfer_feed(t, msg, len, &why);
        ASSERT(rc >= 0 || strncmp(why.text, "message ", 8) == 0);
    }
    ASSERT(transfer_end_of_stream(t, &why) == (rc == 1 ? 0 : -E_CLOSED));
    if (rc == 1 && transfer_take(t, &s, changes, &why) < 0)
        ASSERT(why.text[0] && !s);
    transfer_free(&t);
    return s;
}

static void check(const struct snapshot *s)
{
    struct snapshot_iter it;
    const struct node *last = NULL;
    size_t names = 0, records = 0;
    for (const struct node *n = snapshot_first(&it, s); n; last = n, n = snapshot_next(&it)) {
        ASSERT(name_at_or_below(node_name(n), apex));
        ASSERT(!last || name_cmp(node_name(last), node_name(n)) < 0);
        names++;
        records += n->records;
    }
    struct soa soa;
    ASSERT(names == s->names && records == s->records && snapshot_soa(s, &soa));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct family *family = family_new(apex);
    struct changeset *changes = NULL;
    struct snapshot *first = run(family, NULL, data, size, &changes);
    if (first) {
        check(first);
        ASSERT(changes->n == first->names);
        changeset_unref(changes);
        changes = NULL;
        struct snapshot *second = run(family, first, data, size, &changes);
        ASSERT(second && changes->n == 0 && second->records == first->records);
        changeset_unref(changes);
        snapshot_unref(second);
        snapshot_unref(first);
    }
    family_unref(family);
    return 0;
}
