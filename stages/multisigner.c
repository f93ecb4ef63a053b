/* multisigner: takes the keys of a zone's other signers into it (RFC 8901).
 *
 *      DNSKEY at the apex of what comes in  ─┐            ┌─▶ DNSKEY of others that we publish ─┐
 *      keys from a file or from their signer ┴─▶ [policy] ┴─▶ CDS, CDNSKEY of their KSKs       ─┴▶ sign: joins them with ours
 *
 * A resolver may take the DNSKEY set from one provider and a signature from another, so every
 * provider publishes the others' keys that sign the zone (RFC 8901 3), and all ask the parent for the same DS set (8). What
 * may be in the apex DNSKEY set is decided here; the set itself, with our own keys, and the
 * signatures are made by `sign`.
 *
 * A key that cannot be used as it should is a reason to refuse the whole version: to leave it out
 * would break its owner's half of the answers, to publish it may break ours (RFC 8901 4: all signers
 * use the same algorithms, since a DNSKEY set that has an algorithm wants every rrset signed by it).
 * Our own keys come back from other signers who publish them; they are no foreign keys.
 *
 * The output differs from the input at the apex alone. It depends on the apex and our own keys.
 */
#include "pipeline/stage.h"

#include <string.h>

enum include { INCLUDE_ALL, INCLUDE_ZSK };
struct multisigner_conf {
    int include; /* enum include */
    int64_t max_keys;
};

static const char *const include_words[] = {"all", "zsk", NULL};

#define FIELD(name) .offset = offsetof(struct multisigner_conf, name)
static const struct option multisigner_options[] = {
    {.name = "include",
     .kind = OPTION_ENUM,
     FIELD(include),
     .fallback = "all",
     .words = include_words,
     .help = "which keys of other signers join the DNSKEY set: all, or those that sign the zone "
             "(zsk); a signer that "
             "has one key for everything shows it by having no other, and then it always joins"},
    {.name = "max_foreign_keys",
     .kind = OPTION_INT,
     FIELD(max_keys),
     .fallback = "16",
     .min = 1,
     .max = KEYSET_KEYS_MAX,
     .help = "most keys of other signers; a version with more is refused"},
    {.name = NULL},
};

enum {
    FOREIGN_NONE,
    FOREIGN_TOO_MANY,
    FOREIGN_MALFORMED,
    FOREIGN_PROTOCOL,
    FOREIGN_NOT_ZONE_KEY,
    FOREIGN_REVOKED,
    FOREIGN_ALGORITHM,
    FOREIGN_SAME_TAG,
    OWN_KEYS_MISSING,
    APEX_FULL,
};
static const struct finding_type multisigner_findings[] = {
    [FOREIGN_NONE] =
        {"foreign-none", STAGE_PASS, "no key of another signer came with the zone",
         "The apex has no DNSKEY of another signer, so answers signed by others do not "
         "validate with our "
         "DNSKEY set. That is right only as long as there is no other signer."},
    [FOREIGN_TOO_MANY] =
        {"foreign-too-many", STAGE_REJECT,
         "{n0} keys of other signers or more, at most {n1} are taken",
         "Every key makes the DNSKEY set larger, and with it each resolver's work. "
         "Have old keys removed "
         "at the signer that still sends them, or raise max_foreign_keys."},
    [FOREIGN_MALFORMED] = {"foreign-malformed", STAGE_REJECT,
                           "key {n0} of another signer cannot be read: {text}",
                           "The DNSKEY record's public key is not one of its algorithm."},
    [FOREIGN_PROTOCOL] = {"foreign-protocol", STAGE_REJECT,
                          "key {n0} of another signer has protocol {n1}, not 3",
                          "RFC 4034 2.1.2: no resolver uses such a key."},
    [FOREIGN_NOT_ZONE_KEY] = {"foreign-not-zone-key", STAGE_REJECT,
                              "key {n0} of another signer has flags {n1}: not a zone key",
                              "RFC 4034 2.1.1: only keys with the zone flag (256) sign zones."},
    [FOREIGN_REVOKED] = {"foreign-revoked", STAGE_REJECT, "key {n0} of another signer is revoked",
                         "Its owner says that it must not be used any more (RFC 5011 2.1). Have it "
                         "removed there."},
    [FOREIGN_ALGORITHM] =
        {"foreign-algorithm", STAGE_REJECT,
         "key {n0} of another signer has algorithm {n1}, which none of ours has",
         "All signers of a zone use the same algorithms (RFC 8901 4). Give the zone a key of that "
         "algorithm first, or have the other signer go back to ours."},
    [FOREIGN_SAME_TAG] = {"foreign-same-tag", STAGE_PASS,
                          "key {n0} of another signer has the tag of one of ours",
                          "Right, but each resolver may try both keys."},
    [OWN_KEYS_MISSING] = {"own-keys-missing", STAGE_RETRY, "the zone has no keys of ours yet",
                          "Keys of others can be judged only beside ours. `weir key list ZONE` "
                          "shows what there is."},
    [APEX_FULL] = {"apex-full", STAGE_REJECT,
                   "the apex has {n0} records: no room for keys of others",
                   "65,535 records are the limit at a name. Nobody can use so many: the primary's "
                   "data is broken."},
    {NULL, STAGE_PASS, NULL, NULL},
};

struct merge {
    struct stage_run *run;
    const struct multisigner_conf *conf;
    const uint8_t *apex_name;
    const struct node *apex; /* of next */
    struct rdata *foreign;   /* DNSKEY that are not ours, none twice */
    unsigned n;
    uint32_t ttl; /* the largest that any of them had */
    bool zsk;     /* one of them is a ZSK */
    bool refused;
};

static uint16_t key_flags(struct rdata key)
{
    return get_u16(key.data);
}

static bool key_equal(struct rdata key, const uint8_t *rdata, size_t len)
{
    return key.len == len && memcmp(key.data, rdata, len) == 0;
}

/* A foreign key, unless it is one of ours, which the other signers publish, or known already. */
static void key_take(struct merge *m, struct rdata key, uint32_t ttl)
{
    const struct keyset *keys = m->run->keys;
    for (unsigned i = 0; i < keys->n; i++)
        if (key_equal(key, keys->key[i].rdata, keys->key[i].len))
            return;
    m->ttl = ttl > m->ttl ? ttl : m->ttl;
    for (unsigned i = 0; i < m->n; i++)
        if (key_equal(key, m->foreign[i].data, m->foreign[i].len))
            return;
    m->zsk |= !(key_flags(key) & DNSKEY_SEP);
    m->foreign[m->n++] = key;
}

/* From the transfer, and from elsewhere. One more than allowed is enough to know. */
static void keys_collect(struct merge *m)
{
    const struct keyset *keys = m->run->keys;
    unsigned room = (unsigned)m->conf->max_keys + 1;
    struct rrset set;
    struct rdata key;
    m->foreign = arena_alloc(m->run->scratch, room * sizeof(m->foreign[0]));
    for (unsigned i = 0; i < keys->nforeign && m->n < room; i++)
        key_take(m, (struct rdata){keys->foreign[i].rdata, keys->foreign[i].len},
                 keys->foreign[i].ttl);
    if (!node_rrset(m->apex, RR_DNSKEY, 0, &set))
        return;
    for (const uint8_t *p = set.rdata; m->n < room && rrset_next(&set, &p, &key);)
        key_take(m, key, set.ttl);
}

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

/* False: the version is refused. */
static bool keys_judge(struct merge *m)
{
    enum { EACH = 3 }; /* DNSKEY, CDS, CDNSKEY */
    if (m->n > (uint64_t)m->conf->max_keys)
        refuse(m, FOREIGN_TOO_MANY, m->n, m->conf->max_keys, NULL);
    else
        for (unsigned i = 0; i < m->n; i++)
            key_judge(m, m->foreign[i]);
    if (m->n == 0)
        finding_add(m->run->findings, FOREIGN_NONE, m->apex_name, RR_DNSKEY, 0, 0, NULL);
    if (m->apex->records + EACH * m->n > NODE_RECORDS_MAX || m->apex->bytes > NODE_BYTES_MAX / 2)
        refuse(m, APEX_FULL, m->apex->records, 0, NULL);
    return !m->refused;
}

/* Is it one that signs the zone, or one of a policy that takes all? A KSK beside no ZSK at all signs everything. */
static bool key_joins(const struct merge *m, struct rdata key)
{
    return m->conf->include == INCLUDE_ALL || !(key_flags(key) & DNSKEY_SEP) || !m->zsk;
}

static bool is_merged(void *ctx, const struct rrset *set)
{
    (void)ctx;
    return set->type == RR_DNSKEY || set->type == RR_CDS || set->type == RR_CDNSKEY;
}

static void add(struct node_builder *builder, uint16_t type, uint32_t ttl, const uint8_t *rdata,
                size_t len)
{
    int rc = node_builder_add(builder, type, ttl, rdata, (uint16_t)len);
    ASSERT(rc == 0); /* keys_judge has seen that there is room */
}

/* The apex with the keys that join, and what asks the parent for their DS. A zone that goes out unsigned has none. */
static struct node *apex_build(const struct merge *m)
{
    enum { SHA256 = 2 };
    struct node_builder *builder = node_builder_new();
    node_builder_begin(builder, node_name(m->apex));
    node_builder_add_node(builder, m->apex, is_merged, NULL);
    for (unsigned i = 0; i < m->n; i++) {
        struct rdata key = m->foreign[i];
        if (key_joins(m, key))
            add(builder, RR_DNSKEY, m->ttl, key.data, key.len);
        if (!(key_flags(key) & DNSKEY_SEP))
            continue;
        uint8_t ds[DNSSEC_DS_MAX];
        size_t len = dnssec_ds_make(m->apex_name, key.data, key.len, SHA256, ds);
        add(builder, RR_CDS, m->ttl, ds, len);
        add(builder, RR_CDNSKEY, m->ttl, key.data, key.len);
    }
    struct node *made = node_builder_seal(builder);
    node_builder_free(&builder);
    return made;
}

static void put(struct edit *out, struct node *node)
{
    const struct node *held = edit_get(out, node_name(node));
    if (held && node_equal(held, node))
        node_unref(node);
    else
        edit_put(out, node);
}

/* All but the apex goes out as it came in. */
static void mirror(struct stage_run *run, const uint8_t *apex)
{
    for (size_t i = 0; i < run->delta->n; i++) {
        const struct change *change = &run->delta->change[i];
        const uint8_t *owner = change_name(change);
        if (name_equal(owner, apex))
            continue;
        if (change->now)
            put(run->out, node_ref(change->now));
        else
            edit_remove(run->out, owner);
    }
    run->visited = run->delta->n + 1;
}

/* The keys that come from elsewhere are judged beside those of ours that are in use. */
static bool keys_ready(const struct keyset *keys)
{
    bool ready = keys && keys->unsigned_zone;
    for (unsigned i = 0; keys && i < keys->n; i++)
        ready |= keys->key[i].publish || keys->key[i].signs_zone;
    return ready;
}

static void multisigner_run(struct stage_run *run)
{
    struct merge m = {.run = run,
                      .conf = run->conf,
                      .apex_name = snapshot_apex_name(run->next),
                      .apex = snapshot_apex(run->next)};
    if (!keys_ready(run->keys)) {
        finding_add(run->findings, OWN_KEYS_MISSING, m.apex_name, RR_DNSKEY, 0, 0, NULL);
        return;
    }
    ASSERT(m.apex); /* the chain saw its SOA */
    if (!run->keys->unsigned_zone) {
        keys_collect(&m);
        if (!keys_judge(&m))
            return;
    }
    mirror(run, m.apex_name);
    put(run->out, apex_build(&m));
}

const struct stage_type stage_multisigner = {
    .name = "multisigner",
    .summary = "takes the keys of a zone's other signers into its DNSKEY set (RFC 8901)",
    .flags = STAGE_DNSSEC_ONLY,
    .conf_size = sizeof(struct multisigner_conf),
    .options = multisigner_options,
    .findings = multisigner_findings,
    .run = multisigner_run,
};
