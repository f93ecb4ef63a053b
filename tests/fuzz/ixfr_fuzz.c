/* ixfr_fuzz: streams of length-prefixed messages, as TCP brings them, taken as the answer to an IXFR of "example." with ID 1 from
 * serial 5.
 *
 * A stream that is accepted must give a zone in order, whole and inside its apex, and a changeset that leads to it and is
 * what a comparison of the two versions finds; inverted, it leads back. On top of what it gave, the same stream is
 * refused or says "current": nobody gets from a version to that version. What is held stays as it was.
 */
#include "tests/lib/fed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct snapshot *hold(struct family *family)
{
    static const uint8_t soa[] = "\2ns\7example\0\1h\7example\0"
                                 "\0\0\0\5\0\0\16\20\0\0\3\204\0\11\72\200\0\0\1\54";
    static const struct {
        const char *owner;
        uint16_t type, len;
        uint32_t ttl;
        const char *rdata;
    } record[] = {
        {"\7example", RR_NS, 12, 300, "\2ns\7example"},
        {"\3www\7example", RR_A, 4, 300, "\0\0\0\1"},
        {"\3www\7example", RR_A, 4, 300, "\0\0\0\2"},
        {"\3old\7example", RR_A, 4, 300, "\0\0\0\1"},
        {"\5mixed\7example", RR_TXT, 2, 60, "\1x"},
        {"\5mixed\7example", RR_TXT, 2, 90, "\1y"},
    };
    struct edit *e = edit_open(family, NULL, NULL);
    struct snapshot *s = NULL;
    ASSERT(edit_add(e, fed_apex, RR_SOA, 3600, soa, sizeof soa - 1, NULL) == 0);
    for (size_t i = 0; i < sizeof record / sizeof *record; i++)
        ASSERT(edit_add(e, (const uint8_t *)record[i].owner, record[i].type, record[i].ttl,
                        (const uint8_t *)record[i].rdata, record[i].len, NULL) == 0);
    ASSERT(edit_seal(&e, &s, NULL, NULL) == 0);
    return s;
}

static void check_changes(const struct snapshot *was, const struct snapshot *now,
                          const struct changeset *c)
{
    struct changeset *again = changeset_between(was, now), *back = changeset_between(now, was);
    struct changeset *inverted = changeset_invert(c);
    ASSERT(again->n == c->n && back->n == inverted->n);
    for (size_t i = 0; i < c->n; i++) {
        ASSERT(again->change[i].was == c->change[i].was &&
               again->change[i].now == c->change[i].now);
        ASSERT(inverted->change[i].was == back->change[i].was &&
               inverted->change[i].now == back->change[i].now);
    }
    changeset_unref(again);
    changeset_unref(back);
    changeset_unref(inverted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct family *family = family_new(fed_apex);
    struct snapshot *held = hold(family), *before = snapshot_ref(held), *now = NULL, *more = NULL;
    struct changeset *changes = NULL, *none = NULL;
    if (fed_run(family, held, true, data, size, &now, &changes) == TRANSFER_COMPLETE) {
        fed_check(now);
        check_changes(held, now, changes);
        changeset_unref(changes);
        ASSERT(fed_run(family, now, true, data, size, &more, &none) != TRANSFER_COMPLETE);
        snapshot_unref(now);
    }
    struct snapshot *again = hold(family);
    none = changeset_between(before, again);
    ASSERT(none->n == 0);
    changeset_unref(none);
    snapshot_unref(again);
    snapshot_unref(before);
    snapshot_unref(held);
    family_unref(family);
    return 0;
}
