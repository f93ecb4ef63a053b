/* transfer_test: an IXFR costs what it changes, not what the zone holds (design.md 5). Counted at a thousand, a hundred thousand
 * and a million names: branch copies of the trie, for ten records in one difference and in a thousand differences that
 * go back and forth; and branches made, which are those copies and no more. */
#include "pipeline/zone/edit.h"
#include "tests/lib/expect.h"
#include "tests/lib/random.h"
#include "tests/lib/suite.h"
#include "tests/lib/xfr_stream.h"

#include <string.h>

enum { CHANGES = 10, SIZES = 3, SEQUENCES = 1000 };
static const uint32_t size[SIZES] = {1000, 100000, 1000000};
static const uint8_t apex[] = "\7example";
static struct random rnd;

static void owner_name(uint32_t i, uint8_t out[32])
{
    uint32_t x = i * 2654435761u; /* odd: no two i give the same */
    uint8_t *p = out + 1;
    for (uint32_t k = 0; k < 5 || x > 0; k++, x /= 26)
        *p++ = (uint8_t)('a' + x % 26);
    *out = (uint8_t)(p - out - 1);
    memcpy(p, apex, sizeof apex);
}

static size_t soa_rdata(uint32_t serial, uint8_t out[32])
{
    memset(out, 0, 22);
    put_u32(out + 2, serial);
    return 22;
}

static struct snapshot *zone_of(struct family *family, uint32_t n)
{
    uint8_t owner[32], rdata[32];
    struct edit *e = edit_open(family, NULL, NULL);
    struct snapshot *s;
    EXPECT_EQ(edit_add(e, apex, RR_SOA, 60, rdata, (uint16_t)soa_rdata(1, rdata), NULL), 0);
    for (uint32_t i = 0; i < n; i++) {
        owner_name(i, owner);
        put_u32(rdata, i);
        EXPECT_EQ(edit_add(e, owner, RR_A, 60, rdata, 4, NULL), 0);
    }
    EXPECT_EQ(edit_seal(&e, &s, NULL, NULL), 0);
    return s;
}

static void put_soa(struct xfr_stream *s, uint32_t serial)
{
    uint8_t rdata[32];
    xfr_put(s, apex, RR_SOA, CLASS_IN, 60, rdata, soa_rdata(serial, rdata));
}

static void put_address(struct xfr_stream *s, uint32_t i, uint32_t address)
{
    uint8_t owner[32], rdata[4];
    owner_name(i, owner);
    put_u32(rdata, address);
    xfr_put(s, owner, RR_A, CLASS_IN, 60, rdata, 4);
}

/* Ten names get another address, and (sequences > 1) another one with every difference. */
static uint64_t cost_of(uint32_t n, uint32_t sequences)
{
    struct family *family = family_new(apex);
    struct snapshot *held = zone_of(family, n), *now;
    struct changeset *changes;
    struct trie_stats before, after;
    struct xfr_stream stream;
    struct why why = {{0}};
    uint32_t at[CHANGES];
    size_t fed;
    family_stats(family, &before);
    for (uint32_t i = 0; i < CHANGES; i++)
        at[i] = i * (n / CHANGES) + (uint32_t)random_below(&rnd, n / CHANGES);
    xfr_open(&stream, apex, RR_IXFR, 100, NULL);
    put_soa(&stream, 1 + sequences);
    for (uint32_t s = 0; s < sequences; s++) {
        put_soa(&stream, 1 + s);
        for (uint32_t i = 0; i < CHANGES; i++)
            put_address(&stream, at[i], s ? n + s - 1 : at[i]);
        put_soa(&stream, 2 + s);
        for (uint32_t i = 0; i < CHANGES; i++)
            put_address(&stream, at[i], n + s);
    }
    put_soa(&stream, 1 + sequences);
    struct transfer *t = transfer_new(&(struct transfer_config){
        .family = family, .held = held, .id = STREAM_ID, .incremental = true});
    EXPECT_EQ(xfr_feed(&stream, t, &why, &fed), TRANSFER_COMPLETE);
    EXPECT_EQ(transfer_take(t, &now, &changes, &why), 0);
    transfer_free(&t);
    EXPECT_EQ(changes->n, CHANGES + 1);
    EXPECT_EQ(now->records, n + 1);
    family_stats(family, &after);
    uint64_t copies = after.copies - before.copies;
    EXPECT_EQ(after.branches, before.branches + copies); /* nothing else was made */
    xfr_free(&stream);
    changeset_unref(changes);
    snapshot_unref(held);
    snapshot_unref(now);
    family_unref(family);
    return copies;
}

static void expect_flat(const char *what, uint32_t sequences, uint64_t most)
{
    uint64_t cost[SIZES];
    for (unsigned i = 0; i < SIZES; i++)
        cost[i] = cost_of(size[i], sequences);
    printf("%s: %llu %llu %llu, at most %llu\n", what, (unsigned long long)cost[0],
           (unsigned long long)cost[1], (unsigned long long)cost[2], (unsigned long long)most);
    fflush(stdout);
    for (unsigned i = 0; i < SIZES; i++)
        EXPECT(cost[i] > 0 && cost[i] <= most);
    EXPECT(cost[2] <= 4 * cost[0] + 4 * CHANGES);
}

START_TEST(ixfr_is_flat)
{
    expect_flat("branch copies of an IXFR", 1, 200);
    /* Twenty thousand records in batches: what a batch touches was copied by the first. */
    expect_flat("branch copies of a thousand differences", SEQUENCES, 200);
}
END_TEST

int main(void)
{
    rnd = random_open();
    struct suite s = suite_open("transfer cost");
    suite_add(s, ixfr_is_flat);
    return suite_run(s);
}
