/* imported: the zone's KSK is elsewhere (RFC 8901 2.1.1, model 1), and the DNSKEY set that its holder signed came with the zone.
 *
 *      DNSKEY, CDS, CDNSKEY and their RRSIGs at the apex ─▶ each signature verifies? one by a KSK over each? ─▶ sign serves them as they are
 *
 * Each provider signs the zone with its own ZSK, and all of them serve this one set, which has the ZSKs of all. Nobody adds to it: keys of
 * other signers that are known from elsewhere are the holder's business. Whether the set is valid now, and has our ZSK, `sign` finds
 * out, which has the prepared sets beside it; whose KSK it is, `validate` behind it, if it is told a trust anchor.
 */
#include "stages/multisigner/multisigner.h"

static const uint16_t types[] = {RR_DNSKEY, RR_CDS, RR_CDNSKEY};
enum { TYPES = sizeof(types) / sizeof(types[0]) };

struct proof {
    struct merge *m;
    struct dnssec_scratch *scratch;
    struct rrset keys;
    struct dnssec_key **key; /* opened, as many as there are keys; NULL: it cannot be read */
};

static void refuse(struct proof *p, unsigned code, uint16_t type, int64_t n0, int64_t n1)
{
    char text[RRTYPE_TEXT_MAX];
    finding_add(p->m->run->findings, code, p->m->apex_name, type, n0, n1, rrtype_print(type, text));
    p->m->refused = true;
}

/* The key that made the signature; NULL: none did. */
static const struct dnssec_key *signer_of(const struct proof *p, const struct rrset *set,
                                          struct rdata rdata, const struct rrsig *sig)
{
    for (unsigned i = 0; i < p->keys.count; i++) {
        const struct dnssec_key_info *info = p->key[i] ? dnssec_key_info(p->key[i]) : NULL;
        if (info && info->tag == sig->tag && info->algorithm == sig->algorithm &&
            dnssec_verify(p->scratch, p->key[i], p->m->apex_name, set, rdata.data, rdata.len) ==
                DNSSEC_VALID)
            return p->key[i];
    }
    return NULL;
}

/* A set goes out with the signatures that it has, so each of them must be right, and one of them a KSK's. */
static void set_judge(struct proof *p, uint16_t type)
{
    struct rrset set, sigs = {.count = 0};
    struct rdata rdata;
    bool by_ksk = false;
    if (!node_rrset(p->m->apex, type, 0, &set))
        return;
    if (node_rrset(p->m->apex, RR_RRSIG, type, &sigs) && sigs.count > p->keys.count) {
        refuse(p, IMPORTED_TOO_MANY, type, sigs.count, p->keys.count);
        return;
    }
    for (const uint8_t *at = sigs.rdata; sigs.count > 0 && rrset_next(&sigs, &at, &rdata);) {
        struct rrsig sig = {.tag = 0};
        const struct dnssec_key *by = NULL;
        if (rrsig_parse(rdata.data, rdata.len, &sig) && name_equal(sig.signer, p->m->apex_name))
            by = signer_of(p, &set, rdata, &sig);
        if (!by)
            refuse(p, IMPORTED_BOGUS, type, sig.tag, sig.algorithm);
        by_ksk |= by && dnssec_key_info(by)->flags & DNSKEY_SEP;
    }
    if (!by_ksk && !p->m->refused)
        refuse(p, IMPORTED_UNSIGNED, type, 0, 0);
}

static void keys_open(struct proof *p)
{
    struct rdata rdata;
    unsigned n = 0;
    p->key = arena_zalloc(p->m->run->scratch, p->keys.count * sizeof(struct dnssec_key *));
    for (const uint8_t *at = p->keys.rdata; rrset_next(&p->keys, &at, &rdata); n++)
        if (dnssec_key_open(rdata.data, rdata.len, &p->key[n], NULL))
            p->key[n] = NULL;
}

void imported_judge(struct merge *m)
{
    struct proof p = {.m = m};
    struct rrset sigs;
    int64_t most = m->conf->max_keys + m->run->keys->n;
    m->imported = node_rrset(m->apex, RR_DNSKEY, 0, &p.keys) &&
                  node_rrset(m->apex, RR_RRSIG, RR_DNSKEY, &sigs);
    if (!m->imported && m->run->keys->nprepared == 0)
        refuse(&p, IMPORTED_NONE, RR_DNSKEY, 0, 0);
    if (m->imported && p.keys.count > most)
        refuse(&p, IMPORTED_TOO_MANY, RR_DNSKEY, p.keys.count, most);
    if (m->refused || !m->imported)
        return;
    p.scratch = dnssec_scratch_new();
    keys_open(&p);
    for (unsigned i = 0; i < TYPES; i++)
        set_judge(&p, types[i]);
    for (unsigned i = 0; i < p.keys.count; i++)
        dnssec_key_close(&p.key[i]);
    dnssec_scratch_free(&p.scratch);
}
