/* nsec3_record: one NSEC3, and what is said of it alone. */
#include "stages/validate/nsec3.h"

#include <stdio.h>
#include <string.h>

struct nsec3 nsec3_parse(struct rdata rdata)
{
    struct rbuf r = rbuf_open(rdata.data, rdata.len);
    struct nsec3 out = {0};
    out.algorithm = rbuf_u8(&r);
    out.flags = rbuf_u8(&r);
    out.params.iterations = rbuf_u16(&r);
    out.params.salt_len = rbuf_u8(&r);
    out.params.salt = rbuf_take(&r, out.params.salt_len);
    out.next_len = rbuf_u8(&r);
    out.next = rbuf_take(&r, out.next_len);
    out.bitmap = r.p;
    out.bitmap_len = rbuf_left(&r);
    ASSERT(!r.bad); /* what is in a snapshot is well formed */
    return out;
}

bool nsec3_has_params(const struct nsec3 *nsec3, const struct nsec3_params *params)
{
    return nsec3->algorithm == 1 && nsec3->params.iterations == params->iterations &&
           nsec3->params.salt_len == params->salt_len &&
           memcmp(nsec3->params.salt, params->salt, params->salt_len) == 0;
}

unsigned nsec3_find(const struct node *node, const struct nsec3_params *params, struct nsec3 *out)
{
    struct rrset set;
    struct rdata rdata;
    unsigned same = 0;
    if (!node || !node_rrset(node, RR_NSEC3, 0, &set))
        return 0;
    for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &rdata);) {
        struct nsec3 nsec3 = nsec3_parse(rdata);
        if (nsec3_has_params(&nsec3, params) && same++ == 0)
            *out = nsec3;
    }
    return same;
}

/* --- judging --- */

bool there_read(struct chain3 *chain, const struct node *node, struct there *out)
{
    struct check *check = chain->check;
    const uint8_t *owner = node_name(node);
    *out = (struct there){.node = node};
    unsigned same = nsec3_find(node, &chain->params, &out->nsec3);
    if (same == 0)
        return false;
    if (same > 1)
        finding_add(check->run->findings, NSEC3_MULTIPLE, owner, RR_NSEC3, same, 0, NULL);
    if (name_labels(owner) == check->apex_labels + 1 && dnssec_nsec3_parse(owner, out->hash))
        return true;
    finding_add(check->run->findings, NSEC3_OWNER, owner, RR_NSEC3, 0, 0, NULL);
    return false;
}

void there_check(struct chain3 *chain, const struct there *there)
{
    struct check *check = chain->check;
    const uint8_t *owner = node_name(there->node);
    struct rrset set;
    if (node_rrset(there->node, RR_NSEC3, 0, &set) && set.ttl != check->nsec_ttl)
        tally_add(&check->tally[TALLY_NSEC3_TTL], 0, owner, RR_NSEC3);
    if (there->nsec3.flags > 1)
        finding_add(check->run->findings, NSEC3_FLAGS, owner, RR_NSEC3, there->nsec3.flags, 0,
                    NULL);
}

void there_check_link(struct chain3 *chain, const struct there *there, const struct there *next)
{
    if (there->nsec3.next_len == HASH && memcmp(there->nsec3.next, next->hash, HASH) == 0)
        return;
    char is[HASH_TEXT + 1] = "a hash of another length", should[HASH_TEXT + 1], text[128];
    if (there->nsec3.next_len == HASH)
        dnssec_nsec3_print(there->nsec3.next, is);
    dnssec_nsec3_print(next->hash, should);
    snprintf(text, sizeof(text), "%s, the next is %s", is, should);
    finding_add(chain->check->run->findings, NSEC3_NEXT, node_name(there->node), RR_NSEC3, 0, 0,
                text);
}

void wanted_check_match(struct chain3 *chain, const struct wanted *want, const struct there *there)
{
    char words[BITMAP_TEXT_MAX], owner[NAME_TEXT_MAX], text[BITMAP_TEXT_MAX + NAME_TEXT_MAX + 8];
    if (bitmap_check(want->node, want->cut ? BITMAP_CUT : BITMAP_ALL, true, there->nsec3.bitmap,
                     there->nsec3.bitmap_len, words))
        return;
    snprintf(text, sizeof(text), "of %s %s", name_print(want->name, owner), words);
    finding_add(chain->check->run->findings, NSEC3_BITMAP, node_name(there->node), RR_NSEC3, 0, 0,
                text);
}

void wanted_report_gap(struct chain3 *chain, const struct wanted *want)
{
    char hash[HASH_TEXT + 1], text[HASH_TEXT + 16];
    dnssec_nsec3_print(want->hash, hash);
    snprintf(text, sizeof(text), "hash %s", hash);
    finding_add(chain->check->run->findings, NSEC3_MISSING, want->name, RR_NSEC3, 0, 0, text);
}

void there_report_extra(struct chain3 *chain, const struct there *there)
{
    finding_add(chain->check->run->findings, NSEC3_EXTRA, node_name(there->node), RR_NSEC3, 0, 0,
                NULL);
}
