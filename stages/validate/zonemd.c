/* zonemd: the digest of the zone that the zone carries (RFC 8976 4).
 *
 * Of the ZONEMD records at the apex those count whose scheme (SIMPLE) and hash (SHA-384, SHA-512)
 * are known here and which are alone with this pair, whose serial is the SOA's, and whose digest is
 * the zone's. One that counts is enough: then what is wrong with others is a note. If none does,
 * what is wrong with them is reported as what it is. What cannot be checked here is a note, and a
 * refusal only where the policy requires a digest.
 *
 * SIMPLE is over all of the zone: whoever publishes it makes every change cost a pass over the zone
 * (0.15 to 0.5 µs a record), here too. ZONEMD below the apex is data like any
 * other.
 */
#include "stages/validate/validate.h"

#include <string.h>

enum { ZONEMD_SIMPLE = 1, ZONEMD_HASHES = 3, ZONEMD_GOOD = -1, ZONEMD_UNKNOWN = -2 };

struct zonemd {
    uint32_t serial;
    uint8_t scheme, hash;
    const uint8_t *digest;
    size_t len;
    int code; /* what is wrong with it: an enum validate_code, or one of the above */
};

static struct zonemd zonemd_read(struct rdata rdata)
{
    return (struct zonemd){.serial = get_u32(rdata.data),
                           .scheme = rdata.data[4],
                           .hash = rdata.data[5],
                           .digest = rdata.data + 6,
                           .len = rdata.len - 6u};
}

static bool zonemd_known(const struct zonemd *z)
{
    return z->scheme == ZONEMD_SIMPLE && dnssec_zonemd_len(z->hash) > 0;
}

/* The digest of this version. False: the hash is not to be had on this system. */
static bool version_digest(struct check *check, uint8_t hash, uint8_t out[DNSSEC_ZONEMD_MAX])
{
    struct dnssec_zonemd *digest = dnssec_zonemd_begin(check->apex_name, hash);
    struct snapshot_iter it;
    for (const struct node *node = snapshot_first(&it, check->run->next); node;
         node = snapshot_next(&it))
        dnssec_zonemd_add(digest, node);
    check->run->visited += check->run->next->names;
    return dnssec_zonemd_end(&digest, out);
}

/* same: how many records have its scheme and hash. */
static int zonemd_judge(struct check *check, const struct zonemd *z, unsigned same)
{
    uint8_t digest[DNSSEC_ZONEMD_MAX];
    if (!zonemd_known(z))
        return ZONEMD_UNKNOWN;
    if (same > 1)
        return ZONEMD_DUPLICATE;
    if (z->serial != check->soa.serial)
        return ZONEMD_SERIAL;
    if (z->len != dnssec_zonemd_len(z->hash))
        return ZONEMD_MISMATCH;
    if (!version_digest(check, z->hash, digest))
        return ZONEMD_UNKNOWN;
    return memcmp(digest, z->digest, z->len) == 0 ? ZONEMD_GOOD : ZONEMD_MISMATCH;
}

static void zonemd_report(struct check *check, const struct zonemd *z, bool good)
{
    struct findings *findings = check->run->findings;
    if (z->code == ZONEMD_UNKNOWN) {
        finding_add(findings, ZONEMD_UNSUPPORTED, check->apex_name, RR_ZONEMD, z->scheme, z->hash,
                    NULL);
    } else if (good && z->code != ZONEMD_GOOD) {
        const char *words = z->code == ZONEMD_DUPLICATE ? "is there more than once"
                            : z->code == ZONEMD_SERIAL  ? "is for another serial"
                                                        : "is not the zone's";
        finding_add(findings, ZONEMD_EXTRA, check->apex_name, RR_ZONEMD, z->scheme, z->hash, words);
    } else if (z->code == ZONEMD_SERIAL) {
        finding_add(findings, ZONEMD_SERIAL, check->apex_name, RR_ZONEMD, z->serial,
                    check->soa.serial, NULL);
    } else if (z->code >= 0) {
        finding_add(findings, (unsigned)z->code, check->apex_name, RR_ZONEMD, z->scheme, z->hash,
                    NULL);
    }
}

static void zonemd_check_set(struct check *check, const struct rrset *set)
{
    struct zonemd *list = arena_alloc(check->run->scratch, set->count * sizeof(list[0]));
    unsigned n = 0, same[ZONEMD_HASHES] = {0};
    bool good = false, known = false;
    struct rdata rdata;
    for (const uint8_t *p = set->rdata; rrset_next(set, &p, &rdata); n++) {
        list[n] = zonemd_read(rdata);
        if (zonemd_known(&list[n]))
            same[list[n].hash]++;
    }
    for (unsigned i = 0; i < n; i++) {
        list[i].code =
            zonemd_judge(check, &list[i], zonemd_known(&list[i]) ? same[list[i].hash] : 0);
        good |= list[i].code == ZONEMD_GOOD;
        known |= list[i].code != ZONEMD_UNKNOWN;
    }
    for (unsigned i = 0; i < n; i++)
        zonemd_report(check, &list[i], good);
    if (!known && check->conf->zonemd == ZONEMD_REQUIRE)
        finding_add(check->run->findings, ZONEMD_UNVERIFIED, check->apex_name, RR_ZONEMD, n, 0,
                    NULL);
}

void zonemd_check(struct check *check)
{
    struct rrset set;
    if (check->conf->zonemd == ZONEMD_IGNORE || (check->run->prev && check->run->delta->n == 0))
        return;
    if (node_rrset(check->apex, RR_ZONEMD, 0, &set))
        zonemd_check_set(check, &set);
    else if (check->conf->zonemd == ZONEMD_REQUIRE)
        finding_add(check->run->findings, ZONEMD_MISSING, check->apex_name, RR_ZONEMD, 0, 0, NULL);
}
