/* fed: see fed.h. */
#include "tests/lib/fed.h"

#include "pipeline/base/buf.h"

#include <string.h>

const uint8_t fed_apex[9] = "\7example";

int fed_run(struct family *family, const struct snapshot *held, bool incremental,
            const uint8_t *data, size_t size, struct snapshot **out, struct changeset **changes)
{
    struct transfer_config config = {
        .family = family,
        .held = held,
        .id = 1,
        .incremental = incremental,
        .limits = {.max_records = 20000, .max_bytes = 1 << 20, .max_sequences = 1000}};
    struct transfer *t = transfer_new(&config);
    struct rbuf in = rbuf_open(data, size);
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
    ASSERT(transfer_end_of_stream(t, &why) == (rc > 0 ? 0 : -E_CLOSED));
    if (rc == TRANSFER_COMPLETE && transfer_take(t, out, changes, &why) < 0) {
        ASSERT(why.text[0] && !*out);
        rc = -1;
    }
    transfer_free(&t);
    return rc;
}

void fed_check(const struct snapshot *s)
{
    struct snapshot_iter it;
    const struct node *last = NULL;
    size_t names = 0, records = 0;
    for (const struct node *n = snapshot_first(&it, s); n; last = n, n = snapshot_next(&it)) {
        ASSERT(name_at_or_below(node_name(n), fed_apex));
        ASSERT(!last || name_cmp(node_name(last), node_name(n)) < 0);
        names++;
        records += n->records;
    }
    struct soa soa;
    ASSERT(names == s->names && records == s->records && snapshot_soa(s, &soa));
}
