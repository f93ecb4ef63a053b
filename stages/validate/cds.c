/* cds: what the zone asks its parent to put into the DS set (RFC 7344, RFC 8078 4).
 *
 * CDS and CDNSKEY say the same thing in two ways, so where both are, each names what the other
 * names; and a parent that does as it is asked must not end with a DS whose key is not there, or
 * the zone goes dark. A request to remove the DS (algorithm 0) stands alone. All of it is a note:
 * the parent decides, and a standby key that is not published yet may be named on purpose. Where weir signs the zone it knows whether
 * that is so: the next KSK (RFC 7583 3.3.2), the KSK of another signer (RFC 8901).
 *
 * Each digest costs a hash; how many there are is bounded by max_keys.
 */
#include "stages/validate/validate.h"

#include <string.h>

enum { CDS_PER_KEY = 4 }; /* digests of one key that are looked at */

struct request { /* a CDS or CDNSKEY */
    uint16_t type, tag;
    uint8_t algorithm; /* 0: remove */
    struct rdata rdata;
};

static struct request request_read(uint16_t type, struct rdata rdata)
{
    bool is_ds = type == RR_CDS;
    return (struct request){.type = type,
                            .rdata = rdata,
                            .tag =
                                is_ds ? get_u16(rdata.data) : dnssec_key_tag(rdata.data, rdata.len),
                            .algorithm = rdata.data[is_ds ? 2 : 3]};
}

/* Does the request name the key in this DNSKEY or CDNSKEY? A digest that cannot be made here counts
 * by tag and algorithm. */
static bool request_names(const struct check *check, const struct request *request,
                          struct rdata key)
{
    if (request->type == RR_CDS)
        return dnssec_ds_matches(check->apex_name, key.data, key.len, request->rdata.data,
                                 request->rdata.len) != DNSSEC_BOGUS;
    return request->rdata.len == key.len && memcmp(request->rdata.data, key.data, key.len) == 0;
}

static bool requests_agree(const struct check *check, const struct request *a,
                           const struct request *b)
{
    if (a->algorithm == 0 || b->algorithm == 0)
        return a->algorithm == b->algorithm;
    return a->type == RR_CDS ? request_names(check, a, b->rdata)
                             : request_names(check, b, a->rdata);
}

/* Does the keyset say so? */
static bool is_meant(const struct check *check, const struct request *request)
{
    const struct keyset *set = check->run->keys;
    for (unsigned i = 0; set && i < set->n; i++)
        if (set->key[i].ds &&
            request_names(check, request, (struct rdata){set->key[i].rdata, set->key[i].len}))
            return true;
    for (unsigned i = 0; set && i < set->nforeign; i++)
        if (set->foreign[i].ds &&
            request_names(check, request,
                          (struct rdata){set->foreign[i].rdata, set->foreign[i].len}))
            return true;
    return false;
}

static void key_check(struct check *check, const struct request *request)
{
    struct rrset keys;
    struct rdata key;
    if (!node_rrset(check->apex, RR_DNSKEY, 0, &keys) || is_meant(check, request))
        return;
    for (const uint8_t *p = keys.rdata; rrset_next(&keys, &p, &key);)
        if (request_names(check, request, key))
            return;
    finding_add(check->run->findings, CDS_NO_KEY, check->apex_name, request->type, request->tag,
                request->algorithm, NULL);
}

static void disagree(struct check *check, const struct request *request, const char *words)
{
    finding_add(check->run->findings, CDS_DISAGREE, check->apex_name, request->type, request->tag,
                request->algorithm, words);
}

/* One set against the keys, itself and the other set. */
static void set_check(struct check *check, const struct rrset *set, const struct rrset *other)
{
    struct rdata rdata;
    for (const uint8_t *p = set->rdata; rrset_next(set, &p, &rdata);) {
        struct request request = request_read(set->type, rdata);
        bool found = other->count == 0;
        if (request.algorithm != 0)
            key_check(check, &request);
        else if (set->count > 1)
            disagree(check, &request, "is to be removed and to be set at once");
        for (const uint8_t *q = other->rdata; !found && rrset_next(other, &q, &rdata);) {
            struct request another = request_read(other->type, rdata);
            found = requests_agree(check, &request, &another);
        }
        if (!found)
            disagree(check, &request,
                     set->type == RR_CDS ? "is named by no CDNSKEY" : "is named by no CDS");
    }
}

void cds_check(struct check *check)
{
    struct rrset cds = {0}, cdnskey = {0};
    node_rrset(check->apex, RR_CDS, 0, &cds);
    node_rrset(check->apex, RR_CDNSKEY, 0, &cdnskey);
    if (cdnskey.count > check->conf->max_keys || cds.count > CDS_PER_KEY * check->conf->max_keys) {
        finding_add(check->run->findings, CDS_TOO_MANY, check->apex_name,
                    cdnskey.count > check->conf->max_keys ? RR_CDNSKEY : RR_CDS,
                    cds.count + cdnskey.count, 0, NULL);
        return;
    }
    if (cds.count > 0)
        set_check(check, &cds, &cdnskey);
    if (cdnskey.count > 0)
        set_check(check, &cdnskey, &cds);
}
