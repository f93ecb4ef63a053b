/* What the other signers' servers and files, the parent, and our own version say.
 *
 * A view counts when every server answered, and each answer is proved: its DNSKEY set by an anchor, by a key that the operator took, or by
 * the DS at the parent; SOA, NS, CDS and CDNSKEY by a key of that set. Where anchors are configured, a DS at the parent is believed only of
 * a key that was in a proved set of this signer before, so that rollovers go on, and a parent's answer that is forged brings nobody in.
 * Of a view that does not count nothing is taken but why: one server that lies, or is down, changes nothing.
 *
 * Whose a key is: the signer's at whose servers a signature by it stands; else whose file has it; else whom alone CDS or CDNSKEY show as
 * naming it; else who shows it alone, when all others were looked at since. What counts more replaces what counts less, and never the other
 * way. A key that several show, and that signs nowhere yet, is nobody's: it stays in our set as long as anybody has it.
 */
#include "pipeline/run/signers_p.h"

#include "pipeline/base/alloc.h"
#include "pipeline/zone/trust.h"

#include <stdio.h>

enum {
    DNSKEY_HEAD_OCTETS = 4,
    DNSSEC_PROTOCOL = 3,
    PROVED_OCTETS_MAX = 48 << 10,
    RDATA_MAX = DNSSEC_PUBLIC_MAX + 4
};

/* ---- names and sets */

bool names_have(uint8_t *const *names, unsigned n, const uint8_t *name)
{
    for (unsigned i = 0; i < n; i++)
        if (name_equal(names[i], name))
            return true;
    return false;
}

void names_clear(uint8_t **names, unsigned *n)
{
    for (unsigned i = 0; i < *n; i++)
        mem_free(&names[i]);
    *n = 0;
}

static void names_add(uint8_t **names, unsigned *n, const uint8_t *name)
{
    uint8_t lower[NAME_MAX_OCTETS];
    if (*n == SIGNER_NS_MAX || names_have(names, *n, name))
        return;
    size_t len = name_copy_lower(lower, name);
    names[(*n)++] = mem_dup(lower, len);
}

bool rrset_has(const struct rrset *set, const uint8_t *rdata, uint16_t len)
{
    struct rdata r;
    for (const uint8_t *p = set->rdata; rrset_next(set, &p, &r);)
        if (r.len == len && memcmp(r.data, rdata, len) == 0)
            return true;
    return false;
}

bool ns_set_has(const struct rrset *set, const uint8_t *name)
{
    struct rdata r;
    for (const uint8_t *p = set->rdata; rrset_next(set, &p, &r);)
        if (name_equal(r.data, name))
            return true;
    return false;
}

/* ---- our keys */

static bool is_ours(const struct keyring *ring, const uint8_t *rdata, uint16_t len)
{
    for (unsigned i = 0; i < ring->n; i++)
        if (ring->key[i].len == len && memcmp(ring->key[i].rdata, rdata, len) == 0)
            return true;
    return false;
}

/* Also when the DNSKEY is made elsewhere, and the ring has nothing but a ZSK. */
static bool is_our_algorithm(const struct keyring *ring, uint8_t algorithm)
{
    for (unsigned i = 0; i < ring->n; i++)
        if (ring->key[i].state != KEY_REMOVED && ring->key[i].algorithm == algorithm)
            return true;
    return false;
}

/* May it be in our DNSKEY set? why: NULL, or why not. */
static bool key_fits(const struct keyring *ring, const struct book_key *k, struct why *why)
{
    uint16_t flags = get_u16(k->rdata);
    struct dnssec_key *open;
    struct why inner;
    if (flags & DNSKEY_REVOKE)
        why_set(why, 0, "key %u is revoked", k->tag);
    else if (!(flags & DNSKEY_ZONE))
        why_set(why, 0, "key %u has flags %u: not a zone key", k->tag, flags);
    else if (k->rdata[2] != DNSSEC_PROTOCOL)
        why_set(why, 0, "key %u has protocol %u, not 3", k->tag, k->rdata[2]);
    else if (!is_our_algorithm(ring, k->algorithm))
        why_set(why, 0, "key %u has algorithm %u, which none of ours has", k->tag, k->algorithm);
    else if (dnssec_key_open(k->rdata, k->len, &open, &inner) != 0)
        why_set(why, 0, "key %u cannot be read: %.80s", k->tag, inner.text);
    else {
        dnssec_key_close(&open);
        return true;
    }
    return false;
}

static void keys_judge(struct book_turn *t)
{
    const struct keyring *ring = t->facts->ring;
    EACH_BOOK_KEY(t->book, k)
    {
        bool fits = key_fits(ring, k, NULL), ours = k->ours || is_ours(ring, k->rdata, k->len);
        t->plan->changed |= fits != k->fits || ours != k->ours;
        k->fits = fits;
        k->ours = ours;
    }
}

/* ---- an answer, proved */

struct answer {
    const struct signer_server *server;
    struct trust *trust;
    uint64_t soa, dnskey; /* keys that sign these sets */
    bool cdnskey, cds, ns;
};

/* Keys that the signer was proved to have: in its DNSKEY set, or, for a KSK whose DS goes first (RFC 7583 3.3.2), named by its CDS or CDNSKEY.
 * When the parent has the DS of one, it proves the set. */
static int proof_anchors(const struct book_turn *t, const struct book_signer *s,
                         struct trust_anchor *out)
{
    int n = 0;
    const struct rrset *at_parent = NULL;
    struct rrset ds;
    if (t->facts->parent && t->facts->parent->complete) {
        ds = parent_set_rrset(&t->facts->parent->all);
        at_parent = &ds;
    }
    EACH_BOOK_KEY(t->book, k)
    {
        bool had = k->member || k->cds & book_bit(t->book, s);
        bool known = book_owns(t->book, s, k) && had && at_parent, named = false;
        struct rdata r;
        for (const uint8_t *p = known ? at_parent->rdata : NULL;
             known && rrset_next(at_parent, &p, &r);)
            named |=
                dnssec_ds_matches(t->book->apex, k->rdata, k->len, r.data, r.len) == DNSSEC_VALID;
        if (k->pinned & book_bit(t->book, s) || named)
            out[n++] = (struct trust_anchor){false, k->len, k->rdata};
    }
    return n;
}

/* Is the DNSKEY set what it should be? */
static int answer_prove(struct book_turn *t, struct book_signer *s, struct answer *a,
                        struct why *why)
{
    const struct signer_policy *p = s->policy;
    struct trust_anchor anchor[BOOK_KEYS_MAX];
    unsigned own = p->nanchors;
    struct rrset ds, *at_parent = NULL;
    int err = trust_open(a->server->apex, t->facts->time.now, &a->trust, why);
    if (err)
        return err;
    unsigned kept = (unsigned)proof_anchors(t, s, anchor);
    if (!own && t->facts->parent && t->facts->parent->complete) {
        ds = parent_set_rrset(&t->facts->parent->all);
        at_parent = ds.count ? &ds : NULL;
    }
    if (own && !trust_prove(a->trust, p->anchor, own, NULL, why))
        return 0;
    struct why second;
    err = trust_prove(a->trust, anchor, kept, at_parent, own ? &second : why);
    return err && own ? -E_NOENT : err;
}

/* A set that need not be there, but if it is must be signed. */
static int answer_look(struct answer *a, uint16_t type, bool *there, struct why *why)
{
    uint64_t by;
    int err = trust_signers(a->trust, type, &by, why);
    *there = !err;
    return err == -E_NOENT ? 0 : err;
}

/* Keys that sign a DNSKEY set that nothing proves: the operator may say that he knows them. */
static void claims_note(struct book_turn *t, struct book_signer *s, struct answer *a)
{
    uint64_t by = 0;
    unsigned n = 0;
    uint8_t bit = book_bit(t->book, s);
    EACH_BOOK_KEY(t->book, k) n += (k->claims & bit) != 0;
    if (!a->trust || trust_signers(a->trust, RR_DNSKEY, &by, NULL))
        return;
    for (unsigned i = 0; i < trust_keys(a->trust) && n < BOOK_CLAIMS_MAX; i++) {
        struct rdata r = trust_key(a->trust, i);
        struct book_key *k = book_key(t->book, r.data, r.len);
        if (!(by >> i & 1) || (k && (k->claims & bit || k->ours)))
            continue;
        k = k ? k : book_key_add(t->book, r.data, r.len, t->facts->time.now);
        if (!k)
            return;
        k->claims |= bit;
        n++;
    }
}

static int answer_read(struct book_turn *t, struct book_signer *s, struct answer *a,
                       struct why *why)
{
    if (a->server->said != SIGNER_ANSWERED || !a->server->apex)
        return why_set(why, -E_NOENT, "%s",
                       a->server->error                       ? a->server->error
                       : a->server->said == SIGNER_NOT_SERVED ? "it does not serve the zone"
                                                              : "no answer");
    if (!name_equal(node_name(a->server->apex), t->book->apex))
        return why_set(why, -E_MISMATCH, "the answer is of another zone");
    int err = answer_prove(t, s, a, why);
    if (err) {
        claims_note(t, s, a);
        return err;
    }
    err = trust_signers(a->trust, RR_DNSKEY, &a->dnskey, why);
    err = err ? err : trust_signers(a->trust, RR_SOA, &a->soa, why);
    err = err ? err : answer_look(a, RR_NS, &a->ns, why);
    err = err ? err : answer_look(a, RR_CDNSKEY, &a->cdnskey, why);
    return err ? err : answer_look(a, RR_CDS, &a->cds, why);
}

/* ---- a view */

struct union_of {
    unsigned n;
    struct rdata key[SIGNER_KEYS_MAX];
};

static bool union_add(struct union_of *u, struct rdata r)
{
    for (unsigned i = 0; i < u->n; i++)
        if (u->key[i].len == r.len && memcmp(u->key[i].data, r.data, r.len) == 0)
            return true;
    if (u->n == SIGNER_KEYS_MAX)
        return false;
    u->key[u->n++] = r;
    return true;
}

static bool union_add_set(struct union_of *u, const struct node *apex, uint16_t type)
{
    struct rrset set;
    struct rdata r;
    if (!apex || !node_rrset(apex, type, 0, &set))
        return true;
    for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &r);)
        if (r.len > DNSKEY_HEAD_OCTETS && r.len <= RDATA_MAX && r.data[3] != 0 && !union_add(u, r))
            return false;
    return true;
}

/* Takes all keys of these sets up, or none. */
static int keys_admit(struct book_turn *t, const struct union_of *u, struct why *why)
{
    unsigned fresh = 0;
    for (unsigned i = 0; i < u->n; i++)
        fresh += !book_key(t->book, u->key[i].data, u->key[i].len);
    if (t->book->nkeys + fresh > BOOK_KEYS_MAX)
        return why_set(why, -E_LIMIT, "%u keys more than the %d that are kept of a zone",
                       t->book->nkeys + fresh - BOOK_KEYS_MAX, BOOK_KEYS_MAX);
    for (unsigned i = 0; i < u->n; i++)
        if (!book_key(t->book, u->key[i].data, u->key[i].len))
            (void)!book_key_add(t->book, u->key[i].data, u->key[i].len, t->facts->time.now);
    t->plan->changed |= fresh > 0;
    return 0;
}

static int view_admit(struct book_turn *t, const struct answer *a, unsigned n, struct why *why)
{
    struct union_of u = {0};
    for (unsigned i = 0; i < n; i++) {
        struct rrset ns;
        const struct node *apex = a[i].server->apex;
        bool fits = union_add_set(&u, apex, RR_DNSKEY) && union_add_set(&u, apex, RR_CDNSKEY);
        if (!fits)
            return why_set(why, -E_LIMIT, "%s: more than %d keys", a[i].server->name,
                           SIGNER_KEYS_MAX);
        if (node_rrset(apex, RR_NS, 0, &ns) && ns.count > SIGNER_NS_MAX)
            return why_set(why, -E_LIMIT, "%s: %u NS records, at most %d are looked at",
                           a[i].server->name, ns.count, SIGNER_NS_MAX);
    }
    return keys_admit(t, &u, why);
}

static bool cds_names(const struct book_turn *t, const struct answer *a, const struct book_key *k)
{
    struct rrset set;
    struct rdata r;
    const struct node *apex = a->server->apex;
    if (a->cdnskey && node_rrset(apex, RR_CDNSKEY, 0, &set) && rrset_has(&set, k->rdata, k->len))
        return true;
    if (!a->cds || !node_rrset(apex, RR_CDS, 0, &set))
        return false;
    for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &r);)
        if (dnssec_ds_matches(t->book->apex, k->rdata, k->len, r.data, r.len) == DNSSEC_VALID)
            return true;
    return false;
}

/* Does it say which DS there should be? "None at all" (RFC 8078 4) is not said for the whole zone by one of several signers. */
static bool cds_speaks(const struct answer *a)
{
    struct rrset set;
    struct rdata r;
    if (a->cdnskey && node_rrset(a->server->apex, RR_CDNSKEY, 0, &set) && rrset_first(&set, &r))
        return r.len > DNSKEY_HEAD_OCTETS && r.data[3] != 0;
    return a->cds && node_rrset(a->server->apex, RR_CDS, 0, &set) && rrset_first(&set, &r) &&
           r.len > DNSKEY_HEAD_OCTETS && r.data[2] != 0;
}

/* What one server shows of the key, as bits of what. */
enum { SHOWS_SET = 1, SHOWS_ZONE = 2, SHOWS_KEYS = 4, SHOWS_CDS = 8 };
static unsigned answer_shows(const struct book_turn *t, const struct answer *a,
                             const struct book_key *k)
{
    unsigned shows = cds_names(t, a, k) ? SHOWS_CDS : 0;
    for (unsigned i = 0; i < trust_keys(a->trust); i++) {
        struct rdata r = trust_key(a->trust, i);
        if (r.len != k->len || memcmp(r.data, k->rdata, r.len) != 0)
            continue;
        shows |=
            SHOWS_SET | (a->soa >> i & 1 ? SHOWS_ZONE : 0) | (a->dnskey >> i & 1 ? SHOWS_KEYS : 0);
    }
    return shows;
}

static bool mask_set(uint8_t *mask, uint8_t bit, bool on)
{
    uint8_t was = *mask;
    *mask = (uint8_t)(on ? *mask | bit : *mask & ~bit);
    return *mask != was;
}

static void key_see(struct book_turn *t, const struct book_signer *s, struct book_key *k,
                    const struct answer *a, unsigned n, bool speaks)
{
    uint8_t bit = book_bit(t->book, s);
    unsigned any = 0, all = SHOWS_SET;
    for (unsigned i = 0; i < n; i++) {
        unsigned shows = answer_shows(t, &a[i], k);
        any |= shows;
        all &= shows;
    }
    bool changed = mask_set(&k->all, bit, all & SHOWS_SET);
    changed |= mask_set(&k->any, bit, any & SHOWS_SET);
    changed |= mask_set(&k->zone, bit, any & SHOWS_ZONE);
    changed |= mask_set(&k->keys, bit, any & SHOWS_KEYS);
    changed |= mask_set(&k->claims, bit, false);
    /* Where the sets are gone again, as they may be once the parent has followed, what they said last stays, of keys that stay. */
    if (speaks || !(any & SHOWS_SET))
        changed |= mask_set(&k->cds, bit, any & SHOWS_CDS);
    t->plan->changed |= changed;
}

/* Servers of its own that it has taken out of its NS set, while it keeps others. An NS set with none of them is one of ours that it took over
 * too early, or as one that leaves should. */
static void own_names_drop(struct book_turn *t, struct book_signer *s)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < s->nown; i++)
        kept += names_have(s->ns, s->nns, s->own[i]);
    for (unsigned i = s->nown; kept && i-- > 0;)
        if (!names_have(s->ns, s->nns, s->own[i])) {
            mem_free(&s->own[i]);
            s->own[i] = s->own[--s->nown];
            t->plan->changed = true;
        }
}

/* The servers of its own: what is in its NS set, and not ours nor another's. */
static void own_names(struct book_turn *t, struct book_signer *s)
{
    struct rrset ours;
    bool known = t->facts->apex && node_rrset(t->facts->apex, RR_NS, 0, &ours);
    if (s->wish == SIGNER_JOINS)
        own_names_drop(t, s);
    for (unsigned i = 0; known && i < s->nns; i++) {
        bool others = ns_set_has(&ours, s->ns[i]);
        EACH_SIGNER(t->book, o)
        others |= o != s && names_have(o->own, o->nown, s->ns[i]);
        if (others || names_have(s->own, s->nown, s->ns[i]))
            continue;
        names_add(s->own, &s->nown, s->ns[i]);
        t->plan->changed = true;
    }
}

static bool names_are(uint8_t *const *names, unsigned n, const struct rrset *set)
{
    struct rdata r;
    for (const uint8_t *p = set->rdata; rrset_next(set, &p, &r);)
        if (!names_have(names, n, r.data))
            return false;
    return set->count == n;
}

static void ns_see(struct book_turn *t, struct book_signer *s, const struct answer *a, unsigned n)
{
    struct rrset set = {0}, first = {0};
    struct rdata r;
    uint32_t ttl = 0;
    bool agreed = true;
    for (unsigned i = 0; i < n; i++) {
        bool there = a[i].ns && node_rrset(a[i].server->apex, RR_NS, 0, &set);
        if (i == 0 && there) {
            first = set;
            if (!names_are(s->ns, s->nns, &set)) {
                names_clear(s->ns, &s->nns);
                for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &r);)
                    names_add(s->ns, &s->nns, r.data);
                t->plan->changed = true;
            }
        }
        agreed = agreed && there && first.count && names_are(s->ns, s->nns, &set);
        ttl = there && set.ttl > ttl ? set.ttl : ttl;
    }
    t->plan->changed |= agreed != s->ns_agreed;
    s->ns_agreed = agreed;
    t->plan->changed |=
        keyring_ttl_note(&s->ns_ttl, ttl, t->book->clock, t->policy->propagation_delay_s);
    if (agreed)
        own_names(t, s);
}

static bool is_other_set(void *unused, const struct rrset *set)
{
    (void)unused;
    uint16_t type = set->type == RR_RRSIG ? set->covered : set->type;
    return type != RR_DNSKEY && type != RR_CDS && type != RR_CDNSKEY;
}

/* Where the KSK is elsewhere, its DNSKEY set is imported as it is (RFC 8901 2.1.1). */
static void proved_keep(struct book_turn *t, struct book_signer *s, const struct node *apex)
{
    if (apex->bytes > PROVED_OCTETS_MAX)
        return;
    struct node_builder *b = node_builder_new();
    node_builder_begin(b, node_name(apex));
    node_builder_add_node(b, apex, is_other_set, NULL);
    struct node *kept = node_builder_seal(b);
    node_builder_free(&b);
    if (s->proved && kept && node_equal(kept, s->proved)) {
        node_unref(kept);
        return;
    }
    node_unref(s->proved);
    s->proved = kept;
    t->plan->changed = true;
}

static void view_apply(struct book_turn *t, struct book_signer *s, const struct signer_view *v,
                       const struct answer *a)
{
    struct signers *book = t->book;
    uint32_t ttl = 0;
    bool speaks = false;
    for (unsigned i = 0; i < v->n; i++) {
        struct rrset set;
        if (node_rrset(a[i].server->apex, RR_DNSKEY, 0, &set) && set.ttl > ttl)
            ttl = set.ttl;
        speaks = speaks || cds_speaks(&a[i]);
    }
    EACH_BOOK_KEY(book, k)
    {
        key_see(t, s, k, a, v->n, speaks);
        if (k->any & book_bit(book, s) && ttl > k->ttl) {
            k->ttl = ttl;
            t->plan->changed = true;
        }
    }
    t->plan->changed |= speaks && !s->has_cds;
    s->has_cds = s->has_cds || speaks;
    t->plan->changed |=
        keyring_ttl_note(&s->dnskey_ttl, ttl, book->clock, t->policy->propagation_delay_s);
    ns_see(t, s, a, v->n);
    proved_keep(t, s, a[0].server->apex);
    t->plan->changed |= s->seen_at == 0;
    s->seen_at = v->at;
    s->seen = book->clock;
}

/* They all say that they do not serve the zone; or one does. A time-out is no word. */
static void stop_see(struct book_turn *t, struct book_signer *s, const struct signer_view *v)
{
    unsigned refused = 0, answered = 0;
    for (unsigned i = 0; i < v->n; i++) {
        refused += v->server[i].said == SIGNER_NOT_SERVED;
        answered += v->server[i].said == SIGNER_ANSWERED;
    }
    if (answered && s->stop_at >= 0) {
        s->stop_at = -1;
        t->plan->changed = true;
    } else if (v->n && refused == v->n && s->stop_at < 0) {
        s->stop_at = t->book->clock;
        t->plan->changed = true;
    }
}

/* Claims are of the last answers alone. */
static void claims_begin(struct book_turn *t, struct book_signer *s, const struct signer_view *v)
{
    bool answered = false;
    for (unsigned i = 0; i < v->n; i++)
        answered |= v->server[i].said == SIGNER_ANSWERED;
    EACH_BOOK_KEY(t->book, k)
    {
        k->claimed = k->claims;
        if (answered)
            k->claims &= (uint8_t)~book_bit(t->book, s);
    }
}

static void claims_end(struct book_turn *t)
{
    EACH_BOOK_KEY(t->book, k)
    {
        t->plan->changed |= k->claims != k->claimed;
        k->claimed = k->claims;
    }
}

static void view_take(struct book_turn *t, struct book_signer *s, const struct signer_view *v)
{
    struct why why = {""};
    char error[BOOK_WORDS] = "";
    struct answer *a = mem_array(v->n, sizeof a[0]);
    int err = v->n ? 0 : why_set(&why, -E_NOENT, "it has no servers");
    claims_begin(t, s, v);
    s->lies = false;
    for (unsigned i = 0; i < v->n; i++) {
        struct why inner = {""};
        a[i].server = &v->server[i];
        int rc = answer_read(t, s, &a[i], &inner);
        s->lies |= rc && v->server[i].said == SIGNER_ANSWERED;
        if (rc && !err)
            err = why_set(&why, rc, "%.60s: %.90s", v->server[i].name ? v->server[i].name : "?",
                          inner.text);
    }
    err = err ? err : view_admit(t, a, v->n, &why);
    if (err)
        snprintf(error, sizeof error, "%.*s", BOOK_WORDS - 1, why.text);
    else
        view_apply(t, s, v, a);
    stop_see(t, s, v);
    claims_end(t);
    t->plan->changed |= strcmp(error, s->error) != 0;
    memcpy(s->error, error, sizeof error);
    for (unsigned i = 0; i < v->n; i++)
        trust_close(&a[i].trust);
    mem_free(&a);
}

/* ---- files */

static void file_take(struct book_turn *t, struct book_signer *s, const struct node *node)
{
    struct union_of u = {0};
    struct why why;
    struct rrset dnskey = {0}, cdnskey = {0}, cds = {0};
    uint8_t bit = book_bit(t->book, s);
    bool fits = union_add_set(&u, node, RR_DNSKEY) && union_add_set(&u, node, RR_CDNSKEY);
    int err = fits ? keys_admit(t, &u, &why)
                   : why_set(&why, -E_LIMIT, "its file has more than %d keys", SIGNER_KEYS_MAX);
    if (err) {
        t->plan->changed |= strcmp(s->error, why.text) != 0;
        snprintf(s->error, sizeof s->error, "%.*s", BOOK_WORDS - 1, why.text);
        return;
    }
    (void)node_rrset(node, RR_DNSKEY, 0, &dnskey);
    bool speaks = node_rrset(node, RR_CDNSKEY, 0, &cdnskey);
    speaks = node_rrset(node, RR_CDS, 0, &cds) || speaks;
    EACH_BOOK_KEY(t->book, k)
    {
        bool in = rrset_has(&dnskey, k->rdata, k->len),
             named = rrset_has(&cdnskey, k->rdata, k->len);
        struct rdata r;
        for (const uint8_t *p = cds.rdata; !named && rrset_next(&cds, &p, &r);)
            named =
                dnssec_ds_matches(t->book->apex, k->rdata, k->len, r.data, r.len) == DNSSEC_VALID;
        t->plan->changed |= mask_set(&k->file, bit, in);
        if (in && dnskey.ttl > k->ttl) {
            k->ttl = dnskey.ttl;
            t->plan->changed = true;
        }
        if (!is_polled(s) && speaks)
            t->plan->changed |= mask_set(&k->cds, bit, named);
    }
    if (!is_polled(s)) {
        t->plan->changed |= speaks != s->has_cds;
        s->has_cds = speaks;
        t->plan->changed |= keyring_ttl_note(&s->dnskey_ttl, dnskey.ttl, t->book->clock,
                                             t->policy->propagation_delay_s);
        if (s->error[0]) {
            s->error[0] = 0;
            t->plan->changed = true;
        }
    }
    t->plan->changed |= !s->filed;
    s->filed = true;
}

/* ---- whose key it is */

static int only(uint8_t mask)
{
    for (int i = 0; i < SIGNERS_MAX; i++)
        if (mask == 1u << i)
            return i;
    return OWNER_NOBODY;
}

/* Were all the others looked at since it was seen first? A signer's own key may be seen first where it was imported. */
static bool others_seen(const struct signers *book, const struct book_key *k)
{
    EACH_SIGNER(book, s)
    if (s->polled && s->step != LEFT && s->seen < k->known_at)
        return false;
    return true;
}

static void key_owner(struct book_turn *t, struct book_key *k)
{
    const struct {
        enum owner_by by;
        uint8_t mask;
    } evidence[] = {
        {BY_SIGNATURE, (uint8_t)(k->zone | k->keys)},
        {BY_FILE, k->file},
        {BY_CDS, k->cds},
        {BY_FIRST, others_seen(t->book, k) ? (uint8_t)(k->any | k->cds) : 0},
    };
    if (k->ours)
        return;
    for (unsigned i = 0; i < sizeof evidence / sizeof evidence[0] && evidence[i].by > k->by; i++) {
        int who = only(evidence[i].mask);
        if (who == OWNER_NOBODY)
            continue;
        k->by = evidence[i].by;
        if (k->owner != who) {
            k->owner = (int8_t)who;
            k->member = k->gone = false;
        }
        t->plan->changed = true;
    }
}

/* In its owner's set, or signing there; of nobody's key: in a set of one whose keys are in ours. */
static bool key_in_use(const struct signers *book, const struct book_key *k)
{
    uint8_t who = 0;
    EACH_SIGNER(book, s)
    if (k->owner == OWNER_NOBODY ? s->taken : k->owner == s - book->signer)
        who |= book_bit(book, s);
    return (k->any | k->zone | k->keys | k->file) & who;
}

static void key_follow(struct book_turn *t, struct book_key *k)
{
    struct signers *book = t->book;
    if (k->ours)
        return;
    bool used = key_in_use(book, k), was = k->idle_at < 0;
    k->idle_at = used ? -1 : was ? book->clock : k->idle_at;
    t->plan->changed |= used != was || (used && (!k->member || k->gone));
    k->member = k->member || used;
    k->gone = k->gone && !used;
}

/* Nobody shows it any more, and nothing needs it. */
static bool key_is_over(const struct signers *book, const struct book_key *k)
{
    if (k->any | k->zone | k->keys | k->file | k->claims | k->cds || k->pinned)
        return false;
    if (k->ours)
        return true;
    bool taken = k->owner == OWNER_NOBODY || book->signer[k->owner].taken;
    return !k->ds && (k->gone || !k->member || !taken);
}

static void keys_settle(struct book_turn *t)
{
    struct signers *book = t->book;
    for (unsigned i = 0; i < book->nkeys;) {
        struct book_key *k = &book->key[i];
        key_owner(t, k);
        key_follow(t, k);
        if (!key_is_over(book, k)) {
            i++;
            continue;
        }
        book_key_clear(k);
        *k = book->key[--book->nkeys];
        t->plan->changed = true;
    }
}

/* ---- the parent, and what we serve */

static void parent_take(struct book_turn *t)
{
    struct signers *book = t->book;
    const struct parent_view *v = t->facts->parent;
    if (!v || v->at == book->parent_at)
        return;
    book->parent_at = v->at;
    if (v->complete) {
        book->parent_ds = book->clock;
        struct rrset any = parent_set_rrset(&v->any);
        struct rdata r;
        t->plan->changed |= keyring_ttl_note(&book->ds_ttl, v->any.ttl, book->clock, 0);
        EACH_BOOK_KEY(book, k)
        {
            bool there = false;
            for (const uint8_t *p = any.rdata; !there && rrset_next(&any, &p, &r);)
                there =
                    dnssec_ds_matches(book->apex, k->rdata, k->len, r.data, r.len) == DNSSEC_VALID;
            t->plan->changed |= there != k->ds;
            k->ds = there;
        }
    }
    if (v->ns_complete) {
        book->parent_ns = book->clock;
        t->plan->changed |= keyring_ttl_note(&book->parent_ns_ttl, v->ns_any.ttl, book->clock, 0);
    }
}

static void served_take(struct book_turn *t)
{
    struct signers *book = t->book;
    struct rrset set;
    int64_t delay = t->policy->propagation_delay_s;
    if (t->facts->apex && node_rrset(t->facts->apex, RR_DNSKEY, 0, &set))
        t->plan->changed |= keyring_ttl_note(&book->dnskey_ttl, set.ttl, book->clock, delay);
    if (t->facts->apex && node_rrset(t->facts->apex, RR_NS, 0, &set))
        t->plan->changed |= keyring_ttl_note(&book->ns_ttl, set.ttl, book->clock, delay);
    if (t->facts->zone_ttl_max)
        t->plan->changed |=
            keyring_ttl_note(&book->zone_ttl, t->facts->zone_ttl_max, book->clock, delay);
}

void book_take_facts(struct book_turn *t)
{
    const struct signers_facts *f = t->facts;
    served_take(t);
    parent_take(t);
    for (unsigned i = 0; i < f->nfiles; i++) {
        struct book_signer *s = book_signer(t->book, f->file[i].signer);
        if (s && s->policy && s->step != LEFT && f->file[i].keys)
            file_take(t, s, f->file[i].keys);
    }
    for (unsigned i = 0; i < f->nviews; i++) {
        struct book_signer *s = book_signer(t->book, f->view[i]->signer);
        if (s && is_polled(s) && s->step != LEFT)
            view_take(t, s, f->view[i]);
    }
    keys_judge(t);
    keys_settle(t);
}
