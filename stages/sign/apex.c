/* apex: what only the apex has, and the last step of a run.
 *
 *      input's apex ─▶ + DNSKEY, CDS, CDNSKEY, serial ─▶ + denial's own ─▶ + signatures ─▶ output
 *
 * DNSKEY, CDS and CDNSKEY are what the keyset says, with those of other signers that came in (RFC 8901); or, with a KSK that is
 * offline, the sets and signatures that it made for this time.
 *
 * The serial changes if anything else does. So the apex is made with the serial that it had; only if something differs, there or
 * elsewhere, it is made once more with the next one. A digest of the zone (RFC 8976) is over all of the new version, serial included,
 * so it comes last, and the apex is made a third time.
 */
#include "stages/sign/sign.h"

enum { SOA_NUMBERS = 20, ZONEMD_HEAD = 6, ZONEMD_SIMPLE = 1, CDS_DELETE_ALGORITHM = 0 };

static bool replaces(void *ctx, const struct rrset *set)
{
    return set->type == RR_SOA || set->type == RR_DNSKEY || set->type == RR_CDS ||
           set->type == RR_CDNSKEY || prepared_is_input(ctx, set);
}

static void add(struct node_builder *b, uint16_t type, uint32_t ttl, const uint8_t *rdata,
                size_t len)
{
    int rc = node_builder_add(b, type, ttl, rdata, (uint16_t)len);
    ASSERT(rc == 0); /* apex_fits */
}

static void add_soa(const struct signing *s, struct node_builder *b, uint32_t serial)
{
    struct rrset set;
    struct rdata rdata;
    uint8_t soa[2 * NAME_MAX_OCTETS + SOA_NUMBERS];
    bool any = node_rrset(s->apex, RR_SOA, 0, &set) && rrset_first(&set, &rdata);
    ASSERT(any && rdata.len <= sizeof(soa));
    memcpy(soa, rdata.data, rdata.len);
    put_u32(soa + rdata.len - SOA_NUMBERS, serial);
    add(b, RR_SOA, set.ttl, soa, rdata.len);
}

/* --- the sets that keys are in --- */

/* The TTL of a set that we and others put records into: the largest (RFC 8901 6). */
static uint32_t joined_ttl(const struct signing *s, uint16_t type)
{
    struct rrset set;
    uint32_t ttl = (uint32_t)s->conf->dnskey_ttl;
    return node_rrset(s->apex, type, 0, &set) && set.ttl > ttl ? set.ttl : ttl;
}

static void add_of_others(const struct signing *s, struct node_builder *b, uint16_t type,
                          uint32_t ttl)
{
    struct rrset set;
    struct rdata rdata;
    if (!node_rrset(s->apex, type, 0, &set))
        return;
    for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &rdata);)
        add(b, type, ttl, rdata.data, rdata.len);
}

static void add_cds(const struct signing *s, struct node_builder *b, const struct keyset_key *key,
                    uint32_t ttl)
{
    static const uint8_t digests[] = {2, 4};
    for (unsigned i = 0; i < 2; i++) {
        uint8_t ds[DNSSEC_DS_MAX];
        if (s->conf->cds_digest != CDS_BOTH && s->conf->cds_digest != (int)i)
            continue;
        add(b, RR_CDS, ttl, ds, dnssec_ds_make(s->apex_name, key->rdata, key->len, digests[i], ds));
    }
}

static void add_keys(const struct signing *s, struct node_builder *b)
{
    static const uint8_t cds_delete[] = {0, 0, 0, 0, 0}, cdnskey_delete[] = {0, 0, 3, 0, 0};
    uint32_t ttl = joined_ttl(s, RR_DNSKEY), cds_ttl = joined_ttl(s, RR_CDS),
             cdnskey_ttl = joined_ttl(s, RR_CDNSKEY);
    add_of_others(s, b, RR_DNSKEY, ttl);
    for (unsigned i = 0; i < s->keys.n; i++) {
        const struct keyset_key *key = s->keys.key[i].key;
        if (key->publish)
            add(b, RR_DNSKEY, ttl, key->rdata, key->len);
    }
    if (s->run->keys->cds_delete) {
        add(b, RR_CDS, cds_ttl, cds_delete, sizeof(cds_delete));
        add(b, RR_CDNSKEY, cdnskey_ttl, cdnskey_delete, sizeof(cdnskey_delete));
        return;
    }
    add_of_others(s, b, RR_CDS, cds_ttl);
    add_of_others(s, b, RR_CDNSKEY, cdnskey_ttl);
    for (unsigned i = 0; i < s->run->keys->n; i++) {
        const struct keyset_key *key = &s->run->keys->key[i];
        if (!key->ds)
            continue;
        add_cds(s, b, key, cds_ttl);
        add(b, RR_CDNSKEY, cdnskey_ttl, key->rdata, key->len);
    }
}

/* --- the apex as it is going to be, without denial and signatures --- */

/* Which digest; 0: none. */
static uint8_t zonemd_hash(const struct signing *s)
{
    return s->conf->zonemd == ZONEMD_SHA384 ? 1 : s->conf->zonemd == ZONEMD_SHA512 ? 2 : 0;
}

static struct node *apex_plain(struct signing *s, uint32_t serial, const uint8_t *digest)
{
    struct node_builder *b = worker_first(s)->builder;
    node_builder_begin(b, node_name(s->apex));
    node_builder_add_node(b, s->apex, replaces, s);
    add_soa(s, b, serial);
    if (s->keys.prepared)
        node_builder_add_node(b, s->keys.prepared->node, NULL, NULL);
    else
        add_keys(s, b);
    if (zonemd_hash(s)) {
        uint8_t rdata[ZONEMD_HEAD + DNSSEC_ZONEMD_MAX] = {0};
        put_u32(rdata, serial);
        rdata[4] = ZONEMD_SIMPLE;
        rdata[5] = zonemd_hash(s);
        size_t len = dnssec_zonemd_len(zonemd_hash(s));
        if (digest)
            memcpy(rdata + ZONEMD_HEAD, digest, len);
        add(b, RR_ZONEMD, s->soa.ttl, rdata, ZONEMD_HEAD + len);
    }
    return node_builder_seal(b);
}

/* Is there room for all that is put beside what came in? Signatures find out for themselves. */
bool apex_fits(struct signing *s)
{
    enum {
        EACH = 4,
        BESIDE = 8
    }; /* of a key: DNSKEY, two CDS, CDNSKEY; and SOA, ZONEMD, what asks for deletion */
    size_t more =
        s->keys.prepared ? s->keys.prepared->node->records : (size_t)s->run->keys->n * EACH;
    if (s->apex->records + more + BESIDE <= NODE_RECORDS_MAX &&
        s->apex->bytes <= NODE_BYTES_MAX / 2)
        return true;
    finding_add(s->run->findings, SIGN_TOO_MANY_RECORDS, s->apex_name, 0, 0, 0, NULL);
    s->failed = true;
    return false;
}

struct node *apex_types(struct signing *s)
{
    return apex_plain(s, s->soa.serial, NULL);
}

/* The digest that a version has, if it is of this kind. */
static const uint8_t *digest_of(const struct signing *s, const struct node *apex)
{
    struct rrset set;
    struct rdata rdata;
    if (!apex || !zonemd_hash(s) || !node_rrset(apex, RR_ZONEMD, 0, &set) ||
        !rrset_first(&set, &rdata) || rdata.data[5] != zonemd_hash(s))
        return NULL;
    return rdata.data + ZONEMD_HEAD;
}

/* NULL: the run has failed. was: whose signatures may be kept. */
static struct node *apex_build(struct signing *s, uint32_t serial, const uint8_t *digest,
                               const struct node *was, int64_t keep)
{
    struct worker *w = worker_first(s);
    struct node *plain = apex_plain(s, serial, digest);
    struct owner owner = {.node = plain, .next = nsec_owner_after(s->run->next, s->apex)};
    struct rrset more;
    bool any = s->denial->at_name(s, w, &owner, &more);
    struct node *made = name_sign(s, w, plain, any ? &more : NULL, NAME_AUTHORITATIVE, was, keep);
    node_unref(plain);
    w->visited++;
    return signing_failed(s) ? NULL : made;
}

/* --- the serial --- */

static uint32_t serial_of(const struct node *apex)
{
    struct rrset set;
    struct rdata rdata;
    bool any = node_rrset(apex, RR_SOA, 0, &set) && rrset_first(&set, &rdata);
    ASSERT(any);
    return get_u32(rdata.data + rdata.len - SOA_NUMBERS);
}

static uint32_t serial_new(const struct signing *s)
{
    const struct soa *served = s->run->served;
    return serial_next((enum sign_serial)s->conf->serial, s->soa.serial,
                       served ? &served->serial : NULL, s->run->now);
}

/* Does the input's own serial want to go out, though nothing else differs? */
static bool serial_moves(const struct signing *s, const struct node *was)
{
    return s->conf->serial == SERIAL_KEEP && serial_after(s->soa.serial, serial_of(was));
}

/* --- the last step --- */

static bool zonemd_add(struct signing *s, uint32_t serial, int64_t keep)
{
    uint8_t digest[DNSSEC_ZONEMD_MAX];
    struct dnssec_zonemd *sum = dnssec_zonemd_begin(s->apex_name, zonemd_hash(s));
    struct snapshot_iter it;
    for (const struct node *node = snapshot_first(&it, edit_view(s->run->out)); node;
         node = snapshot_next(&it)) {
        dnssec_zonemd_add(sum, node);
        s->run->visited++;
    }
    bool good = dnssec_zonemd_end(&sum, digest);
    ASSERT(good);              /* a digest that OpenSSL always has */
    sign_keys_trust(&s->keys); /* the digest is over the very signatures that were made first */
    const struct node *held = edit_get(s->run->out, s->apex_name);
    struct node *was = node_ref(held), *made = apex_build(s, serial, digest, was, keep);
    node_unref(was);
    if (made)
        output_put(s, made);
    return made;
}

/* The first end of a signature over DNSKEY, CDS and CDNSKEY. */
static int64_t keys_end(const struct signing *s, const struct node *apex)
{
    int64_t first = NEVER;
    for (unsigned i = 0; i < apex->nrrsets; i++) {
        struct rrset sigs;
        struct rdata rdata;
        struct rrsig sig;
        node_rrset_at(apex, i, &sigs);
        if (sigs.type != RR_RRSIG || !is_key_set(s, apex, sigs.covered))
            continue;
        for (const uint8_t *p = sigs.rdata; rrset_next(&sigs, &p, &rdata);) {
            if (!rrsig_parse(rdata.data, rdata.len, &sig))
                continue;
            int64_t end = s->run->now + (int32_t)(sig.expiration - (uint32_t)s->run->now);
            first = end < first ? end : first;
        }
    }
    return first;
}

/* Nothing else changed. The apex with the serial that it has; NULL: the run has failed. */
static struct node *apex_unmoved(struct signing *s, const struct node *was, int64_t keep)
{
    return apex_build(s, serial_of(was), digest_of(s, was), was, keep);
}

static bool apex_move(struct signing *s, const struct node *was, int64_t keep)
{
    uint32_t serial = serial_new(s);
    struct node *made = apex_build(s, serial, NULL, was, keep);
    if (!made)
        return false;
    output_put(s, made);
    if (zonemd_hash(s) && !zonemd_add(s, serial, keep))
        return false;
    s->state->keys_end = keys_end(s, edit_get(s->run->out, s->apex_name));
    return true;
}

bool apex_sign(struct signing *s, int64_t keep)
{
    const struct node *held = s->last ? edit_get(s->run->out, s->apex_name) : NULL;
    struct node *was = held ? node_ref(held) : NULL;
    bool good = true, moves = true;
    if (was && !s->changed && !serial_moves(s, was)) {
        struct node *made = apex_unmoved(s, was, keep);
        good = made;
        moves = good && !node_equal(made, was);
        node_unref(was);
        was = made; /* whose signatures are good for the next one, too */
        sign_keys_trust(&s->keys);
    }
    if (good && moves)
        good = apex_move(s, was, keep);
    node_unref(was);
    return good;
}

/* --- of a zone that goes out unsigned --- */

static bool is_soa(void *ctx, const struct rrset *set)
{
    (void)ctx;
    return set->type == RR_SOA;
}

static struct node *apex_as_it_comes(struct signing *s, uint32_t serial)
{
    struct node_builder *b = worker_first(s)->builder;
    node_builder_begin(b, node_name(s->apex));
    node_builder_add_node(b, s->apex, is_soa, NULL);
    add_soa(s, b, serial);
    return node_builder_seal(b);
}

void apex_mirror(struct signing *s)
{
    const struct node *was = edit_get(s->run->out, s->apex_name);
    if (was && !s->changed && !serial_moves(s, was)) {
        struct node *made = apex_as_it_comes(s, serial_of(was));
        bool same = node_equal(made, was);
        node_unref(made);
        if (same)
            return;
    }
    output_put(s, apex_as_it_comes(s, serial_new(s)));
}
