/* judge: what a key of another signer must be to join ours.
 *
 * A key that cannot be used as it should is a reason to refuse the whole version: to leave it out
 * would break its owner's half of the answers, to publish it may break ours (RFC 8901 4: all signers
 * use the same algorithms, since a DNSKEY set that has an algorithm wants every rrset signed by it).
 */
#include "stages/multisigner/multisigner.h"

static void refuse(struct merge *m, unsigned code, int64_t n0, int64_t n1, const char *text)
{
    finding_add(m->run->findings, code, m->apex_name, RR_DNSKEY, n0, n1, text);
    m->refused = true;
}

/* The algorithm must be one of ours; and the tag had better not. */
static void key_beside_ours(struct merge *m, uint16_t tag, uint8_t algorithm)
{
    bool known = false, same_tag = false;
    for (unsigned i = 0; i < m->run->keys->n; i++) {
        const struct keyset_key *own = &m->run->keys->key[i];
        if (own->algorithm != algorithm || !(own->publish || own->signs_zone))
            continue;
        known = true;
        same_tag |= own->tag == tag;
    }
    if (!known)
        refuse(m, FOREIGN_ALGORITHM, tag, algorithm, NULL);
    if (same_tag)
        finding_add(m->run->findings, FOREIGN_SAME_TAG, m->apex_name, RR_DNSKEY, tag, 0, NULL);
}

static void key_judge(struct merge *m, struct rdata key)
{
    uint16_t tag = dnssec_key_tag(key.data, key.len);
    struct dnssec_key *opened = NULL;
    struct why why = {""};
    if (key.data[2] != 3)
        refuse(m, FOREIGN_PROTOCOL, tag, key.data[2], NULL);
    else if (!(key_flags(key) & DNSKEY_ZONE))
        refuse(m, FOREIGN_NOT_ZONE_KEY, tag, key_flags(key), NULL);
    else if (key_flags(key) & DNSKEY_REVOKE)
        refuse(m, FOREIGN_REVOKED, tag, 0, NULL);
    else if (dnssec_key_open(key.data, key.len, &opened, &why) == -E_FORMAT)
        refuse(m, FOREIGN_MALFORMED, tag, 0, why.text);
    else
        key_beside_ours(m, tag, key.data[3]);
    dnssec_key_close(&opened);
}

void foreign_judge(struct merge *m)
{
    if (m->n > (uint64_t)m->conf->max_keys)
        refuse(m, FOREIGN_TOO_MANY, m->n, m->conf->max_keys, NULL);
    else
        for (unsigned i = 0; i < m->n; i++)
            key_judge(m, m->foreign[i].key);
    if (m->n == 0)
        finding_add(m->run->findings, FOREIGN_NONE, m->apex_name, RR_DNSKEY, 0, 0, NULL);
}
