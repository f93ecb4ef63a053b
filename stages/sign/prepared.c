/* prepared: DNSKEY, CDS and CDNSKEY sets whose signatures were made elsewhere, by a KSK that is not here.
 *
 *      of the keyset, for periods to come ─┐
 *      at the apex of what comes in ───────┴─▶ valid now ─▶ the one that was signed last ─▶ has it our keys? ─▶ served as it is
 *
 * They come from the keyring, which has proved them, or with the zone, where the stage multisigner has (RFC 8901 model 1). What is chosen
 * is served octet for octet. It must have every key that signs the zone, or no resolver could use our signatures; and no algorithm
 * that we do not sign with, or none would have to (RFC 4035 2.2). Past the last of them nothing goes out.
 */
#include "stages/sign/sign.h"

static bool is_key_type(uint16_t type)
{
    return type == RR_DNSKEY || type == RR_CDS || type == RR_CDNSKEY;
}

bool prepared_is_input(const struct signing *s, const struct rrset *set)
{
    return s->run->keys->ksk_elsewhere && set->type == RR_RRSIG && is_key_type(set->covered);
}

static bool is_no_key_set(void *ctx, const struct rrset *set)
{
    (void)ctx;
    return !is_key_type(set->type == RR_RRSIG ? set->covered : set->type);
}

/* In which all its signatures are valid. Times are compared as RRSIGs have them (RFC 4034 3.1.5). */
static void prepared_narrow(struct keyset_prepared *p, const struct rrset *sigs, time_t now)
{
    struct rdata rdata;
    struct rrsig sig;
    for (const uint8_t *at = sigs->rdata; rrset_next(sigs, &at, &rdata);) {
        if (!rrsig_parse(rdata.data, rdata.len, &sig))
            continue;
        time_t from = now + (int32_t)(sig.inception - (uint32_t)now);
        time_t until = now + (int32_t)(sig.expiration - (uint32_t)now);
        p->from = from > p->from ? from : p->from;
        p->until = until < p->until ? until : p->until;
    }
}

/* What came in with the zone; node NULL: nothing. */
static struct keyset_prepared prepared_input(const struct signing *s)
{
    struct keyset_prepared p = {.from = 0, .until = (time_t)NEVER};
    struct rrset sigs;
    if (!s->run->keys->ksk_elsewhere || !node_rrset(s->apex, RR_RRSIG, RR_DNSKEY, &sigs))
        return p;
    struct node_builder *b = node_builder_new();
    node_builder_begin(b, node_name(s->apex));
    node_builder_add_node(b, s->apex, is_no_key_set, NULL);
    p.node = node_builder_seal(b);
    node_builder_free(&b);
    for (unsigned i = 0; i < p.node->nrrsets; i++) {
        node_rrset_at(p.node, i, &sigs);
        if (sigs.type == RR_RRSIG)
            prepared_narrow(&p, &sigs, s->run->now);
    }
    return p;
}

static bool prepared_has(const struct keyset_prepared *prepared, const struct keyset_key *key)
{
    struct rrset set;
    struct rdata rdata;
    if (!node_rrset(prepared->node, RR_DNSKEY, 0, &set))
        return false;
    for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &rdata);)
        if (rdata.len == key->len && memcmp(rdata.data, key->rdata, key->len) == 0)
            return true;
    return false;
}

/* A key that signs no more and is not in the set that is valid now might as well be gone: its signatures do not verify. */
static void keys_absent_leave(struct sign_keys *keys)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < keys->n; i++)
        if (keys->key[i].key->signs_zone || prepared_has(keys->prepared, keys->key[i].key))
            keys->key[kept++] = keys->key[i];
    keys->n = kept;
}

static void prepared_refuse(struct signing *s, enum sign_code code, int64_t n0, int64_t n1)
{
    finding_add(s->run->findings, code, s->apex_name, RR_DNSKEY, n0, n1, NULL);
    s->failed = true;
}

/* Has the set our keys, and do we sign with all its algorithms? */
static void prepared_judge(struct signing *s)
{
    const struct keyset *keys = s->run->keys;
    struct rrset set;
    struct rdata rdata;
    for (unsigned i = 0; i < keys->n; i++)
        if (keys->key[i].signs_zone && keys->key[i].publish &&
            !prepared_has(s->keys.prepared, &keys->key[i]))
            prepared_refuse(s, SIGN_PREPARED_KEY, keys->key[i].tag, keys->key[i].algorithm);
    if (!node_rrset(s->keys.prepared->node, RR_DNSKEY, 0, &set))
        return;
    for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &rdata);)
        if (!memchr(s->keys.algorithm, rdata.data[3], s->keys.nalgorithms))
            prepared_refuse(s, SIGN_PREPARED_ALGORITHM, dnssec_key_tag(rdata.data, rdata.len),
                            rdata.data[3]);
}

/* Is this one to be served now, or when is it? */
static void prepared_look(struct sign_keys *keys, const struct keyset_prepared *p, time_t now,
                          int64_t *last)
{
    if (p->from > now && p->from < keys->prepared_next)
        keys->prepared_next = p->from;
    if (p->from <= now && now <= p->until && (!keys->prepared || p->from >= keys->prepared->from))
        keys->prepared = p;
    if (p->until > *last)
        *last = p->until;
}

void prepared_choose(struct signing *s)
{
    const struct keyset *set = s->run->keys;
    struct sign_keys *keys = &s->keys;
    int64_t last = 0, now = s->run->now, warn = s->conf->prepared_warn;
    keys->input = prepared_input(s);
    for (unsigned i = 0; i < set->nprepared; i++)
        prepared_look(keys, &set->prepared[i], s->run->now, &last);
    if (keys->input.node)
        prepared_look(keys, &keys->input, s->run->now, &last);
    unsigned n = set->nprepared + (keys->input.node != NULL);
    if (n == 0)
        prepared_refuse(s, SIGN_NO_KSK, 0, 0);
    else if (!keys->prepared)
        prepared_refuse(s, SIGN_PREPARED_NONE, n, 0);
    if (!keys->prepared)
        return;
    prepared_judge(s);
    keys_absent_leave(keys);
    bool news = !s->run->prev || s->run->woken || s->run->delta->n > 0;
    if (news && last - now < warn)
        finding_add(s->run->findings, SIGN_PREPARED_ENDS, s->apex_name, RR_DNSKEY, last - now, 0,
                    NULL);
    if (last - now >= warn && last - warn + 1 < keys->prepared_next)
        keys->prepared_next = last - warn + 1; /* to say so */
}
