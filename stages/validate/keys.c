/* keys: the apex DNSKEY set, made ready to verify with.
 *
 * Every signature of the zone names its key by algorithm and a tag of 16 bits. Tags collide, by
 * chance and by design (KeyTrap), so all keys of a tag are candidates; how many is bounded here,
 * once, and with it the work of every rrset. A key without the zone flag, of another protocol, or
 * revoked may not sign zone data. A key of an algorithm that OpenSSL here does not know stays in
 * the list without a public key: what it should have signed is still known.
 */
#include "stages/validate/validate.h"

static void keys_note_algorithm(struct keys *keys, uint8_t algorithm)
{
    for (unsigned i = 0; i < keys->algorithms; i++)
        if (keys->algorithm[i] == algorithm)
            return;
    keys->algorithm[keys->algorithms++] = algorithm;
}

static void key_read(struct check *check, struct keys *keys, struct rdata rdata)
{
    struct findings *findings = check->run->findings;
    struct zone_key *key = &keys->key[keys->n++];
    uint16_t flags = get_u16(rdata.data);
    uint8_t protocol = rdata.data[2];
    *key = (struct zone_key){.tag = dnssec_key_tag(rdata.data, rdata.len),
                             .algorithm = rdata.data[3],
                             .sep = flags & DNSKEY_SEP,
                             .revoked = flags & DNSKEY_REVOKE,
                             .may_sign = (flags & DNSKEY_ZONE) && !(flags & DNSKEY_REVOKE) &&
                                         protocol == 3};
    if (protocol != 3)
        finding_add(findings, DNSKEY_PROTOCOL, check->apex_name, RR_DNSKEY, key->tag, protocol,
                    NULL);
    keys->has_revoked |= key->revoked;
    if (key->revoked)
        finding_add(findings, DNSKEY_REVOKED, check->apex_name, RR_DNSKEY, key->tag, key->algorithm,
                    NULL);
    if (!(flags & DNSKEY_ZONE))
        finding_add(findings, DNSKEY_NOT_ZONE_KEY, check->apex_name, RR_DNSKEY, key->tag, flags,
                    NULL);
    if (!(flags & DNSKEY_ZONE))
        return; /* not a zone key: nothing is verified with it, so it may be anything */
    struct why why;
    int rc = dnssec_key_open(rdata.data, rdata.len, &key->key, &why);
    if (rc == -E_UNSUPPORTED && dnssec_supported(key->algorithm))
        finding_add(findings, DNSKEY_LIMITS, check->apex_name, RR_DNSKEY, key->tag, key->algorithm,
                    why.text);
    else if (rc == -E_UNSUPPORTED)
        finding_add(findings, DNSKEY_UNSUPPORTED, check->apex_name, RR_DNSKEY, key->tag,
                    key->algorithm, NULL);
    else if (rc != 0)
        finding_add(findings, DNSKEY_MALFORMED, check->apex_name, RR_DNSKEY, key->tag,
                    key->algorithm, why.text);
    keys->has_sep |= key->sep; /* a revoked one too: the DS may still name what it was */
    if (!key->may_sign)
        return;
    keys_note_algorithm(keys, key->algorithm);
    keys->usable |= key->key != NULL;
    key->anchor = anchors_name(check, rdata);
    keys->anchored |= key->anchor;
}

/* Keys that share tag and algorithm, told once for each such group. False: more than anybody should
 * try. */
static bool keys_check_tags(struct check *check, const struct keys *keys)
{
    bool bounded = true;
    for (unsigned i = 0; i < keys->n; i++) {
        unsigned same = 0, before = 0;
        for (unsigned j = 0; j < keys->n; j++) {
            if (keys->key[j].tag != keys->key[i].tag ||
                keys->key[j].algorithm != keys->key[i].algorithm)
                continue;
            same++;
            before += j < i;
        }
        if (same == 1 || before > 0)
            continue;
        bool flood = same > (unsigned)check->conf->max_keys_per_tag;
        finding_add(check->run->findings, flood ? DNSKEY_TAG_FLOOD : DNSKEY_SAME_TAG,
                    check->apex_name, RR_DNSKEY, keys->key[i].tag, same, NULL);
        bounded &= !flood;
    }
    return bounded;
}

bool keys_open(struct check *check)
{
    struct findings *findings = check->run->findings;
    struct keys *keys = &check->keys;
    struct rrset set;
    if (!node_rrset(check->apex, RR_DNSKEY, 0, &set)) {
        finding_add(findings, DNSKEY_MISSING, check->apex_name, RR_DNSKEY, 0, 0, NULL);
        return false;
    }
    if (set.count > check->conf->max_keys) {
        finding_add(findings, DNSKEY_TOO_MANY, check->apex_name, RR_DNSKEY, set.count,
                    check->conf->max_keys, NULL);
        return false;
    }
    keys->key = arena_zalloc(check->run->scratch, set.count * sizeof(keys->key[0]));
    struct rdata rdata;
    for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &rdata);)
        key_read(check, keys, rdata);
    if (!keys_check_tags(check, keys))
        return false;
    if (keys->algorithms == 0) {
        finding_add(findings, DNSKEY_NO_ZONE_KEY, check->apex_name, RR_DNSKEY, keys->n, 0, NULL);
        return false;
    }
    if (!keys->usable)
        finding_add(findings, DNSKEY_UNSUPPORTED_ONLY, check->apex_name, RR_DNSKEY, 0, 0, NULL);
    if (check->conf->anchors > 0 && !keys->anchored)
        finding_add(findings, TRUST_ANCHOR_MISSING, check->apex_name, RR_DNSKEY,
                    (int64_t)check->conf->anchors, keys->n, NULL);
    return true;
}

void keys_close(struct keys *keys)
{
    for (unsigned i = 0; i < keys->n; i++)
        if (keys->key[i].key)
            dnssec_key_close(&keys->key[i].key);
}

/* Where an algorithm has keys with and without SEP, those without sign all but the DNSKEY set. */
void keys_expect(struct keys *keys, size_t signatures)
{
    for (unsigned i = 0; i < keys->n; i++) {
        struct zone_key *key = &keys->key[i];
        bool other = false;
        for (unsigned j = 0; j < keys->n; j++)
            other |= keys->key[j].may_sign && !keys->key[j].sep &&
                     keys->key[j].algorithm == key->algorithm;
        if (key->key && key->may_sign)
            dnssec_key_expect(key->key, key->sep && other ? 1 : signatures);
    }
}
