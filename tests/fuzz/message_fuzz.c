/* message_fuzz: messages out of hostile octets.
 *
 * Every record that the reader gives is held against what it promises, and written into a new message. Reading that
 * one must give the same records again: reader and writer agree, compression or not.
 */
#include "pipeline/zone/message.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct msg_reader reader, again;
static struct msg_writer writer;
static uint8_t written[MSG_MAX], canonical[MSG_MAX];

static void check_record(const struct rr *rr)
{
    struct why why;
    ASSERT(name_valid(rr->owner, rr->owner_len) == rr->owner_len);
    if (rr->class != CLASS_IN)
        return;
    ASSERT(rdata_valid(rr->type, rr->rdata, rr->len, &why) == 0);
    struct rdata_name name[2];
    unsigned n = rdata_names(rr->type, rr->rdata, rr->len, name);
    for (unsigned i = 0; i < n; i++)
        ASSERT(name_valid(rr->rdata + name[i].at, (size_t)rr->len - name[i].at) == name[i].len);
    rdata_canonical(rr->type, rr->rdata, rr->len, canonical);
    ASSERT(rdata_valid(rr->type, canonical, rr->len, &why) == 0);
    ASSERT(rdata_cmp(rr->type, rr->rdata, rr->len, canonical, rr->len) == 0);
}

static bool rr_equal(const struct rr *a, const struct rr *b)
{
    return a->owner_len == b->owner_len && memcmp(a->owner, b->owner, a->owner_len) == 0 &&
           a->section == b->section && a->type == b->type && a->class == b->class &&
           a->ttl == b->ttl && a->len == b->len &&
           (a->len == 0 || memcmp(a->rdata, b->rdata, a->len) == 0) &&
           a->same_owner == b->same_owner;
}

/* Reads data again beside what was written of it: `n` records fitted. */
static void compare(const uint8_t *data, size_t size, size_t n)
{
    struct rr x, y;
    struct why why;
    ASSERT(msg_open(&again, written, msg_end(&writer), &why) == 0);
    ASSERT(msg_open(&reader, data, size, &why) == 0);
    for (; n; n--) {
        ASSERT(msg_next(&reader, &x, &why) == 1 && msg_next(&again, &y, &why) == 1);
        ASSERT(rr_equal(&x, &y));
    }
    ASSERT(msg_next(&again, &y, &why) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct why why = {{0}};
    if (msg_open(&reader, data, size, &why) < 0)
        return 0;
    msg_writer_init(&writer);
    msg_begin(&writer, written, sizeof written, reader.id, reader.flags);
    uint8_t question[NAME_MAX_OCTETS];
    uint16_t type, class;
    for (unsigned left = reader.count[SECTION_QUESTION]; left; left--) {
        if (msg_question(&reader, question, &type, &class, &why) < 0)
            return 0;
        if (!msg_put_question(&writer, question, type, class))
            return 0;
    }
    struct edns edns = {0};
    struct rr rr;
    size_t n = 0;
    int rc;
    while ((rc = msg_next(&reader, &rr, &why)) > 0) {
        check_record(&rr);
        if (rr.type == RR_OPT)
            msg_edns(&edns, &rr);
        struct msg_mark mark = msg_mark(&writer);
        bool fits =
            msg_put_rr(&writer, rr.section, rr.owner, rr.type, rr.class, rr.ttl, rr.rdata, rr.len);
        if (fits && (n & 7) == 7) { /* once in a while: there, back, and there again */
            size_t len = writer.len;
            msg_rewind(&writer, &mark);
            fits = msg_put_rr(&writer, rr.section, rr.owner, rr.type, rr.class, rr.ttl, rr.rdata,
                              rr.len);
            ASSERT(!fits || writer.len >= len);
        }
        if (!fits)
            break;
        n++;
    }
    ASSERT(rc >= 0 || (rc == -E_FORMAT && why.text[0]));
    compare(data, size, n);
    return 0;
}
