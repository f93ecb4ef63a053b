/* What each step of joining and leaving waits for (draft-ietf-dnsop-dnssec-automation, JOIN and LEAVE).
 *
 * Each function looks at what is known now. HOLDS: it is so; BROKEN: it is seen not to be so; UNKNOWN: nobody has said yet, or not since the
 * step began, and then a step that was left already is not gone back to. What is not so is said in words, and when time alone brings it.
 *
 * The three waits for caches do not end by the clock alone: when their time is over, those on whom they hang must be seen once more as
 * they were. Who was silent all the while may have been anything to everybody else.
 */
#include "pipeline/run/signers_p.h"

#include <stdarg.h>
#include <stdio.h>

static enum held wait_for(struct book_signer *s, enum held held, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static enum held wait_for(struct book_signer *s, enum held held, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(s->waits, sizeof s->waits, fmt, ap);
    va_end(ap);
    s->due = -1;
    return held;
}

/* ---- what others ask, too */

bool book_counts(const struct book_signer *s)
{
    bool joining = s->step > JOIN_EXCHANGE_KEYS && s->step <= JOINED;
    return s->name && !s->stopped && (joining || s->exposed);
}

/* The largest that a DNSKEY set in a cache can have. */
int64_t book_dnskey_ttl(const struct signers *book)
{
    int64_t ttl = book->dnskey_ttl.ttl;
    for (const struct book_signer *s = book->signer; s < book->signer + SIGNERS_MAX; s++)
        if (s->name && s->dnskey_ttl.ttl > ttl)
            ttl = s->dnskey_ttl.ttl;
    return ttl;
}

static int64_t ns_ttl(const struct signers *book)
{
    int64_t ttl = book->ns_ttl.ttl;
    if (book->parent_ns_ttl.ttl > ttl)
        ttl = book->parent_ns_ttl.ttl;
    for (const struct book_signer *s = book->signer; s < book->signer + SIGNERS_MAX; s++)
        if (s->name && s->ns_ttl.ttl > ttl)
            ttl = s->ns_ttl.ttl;
    return ttl;
}

static int64_t ds_ttl(const struct book_turn *t)
{
    int64_t seen = t->book->ds_ttl.ttl;
    return seen > t->policy->ds_ttl_s ? seen : t->policy->ds_ttl_s;
}

/* A second that has begun is not one that has passed. */
static int64_t with_delay(const struct book_turn *t, int64_t ttl)
{
    return ttl + t->policy->propagation_delay_s + 1;
}

static bool is_shown(const struct signers *book, const struct book_signer *s,
                     const struct book_key *k)
{
    return (k->any | k->file) & book_bit(book, s);
}

static bool has_zsk(const struct signers *book, const struct book_signer *s)
{
    EACH_BOOK_KEY(book, k)
    if (book_owns(book, s, k) && is_shown(book, s, k) && !key_is_sep(k))
        return true;
    return false;
}

/* Of a signer that has no other keys, one with SEP is a CSK. */
bool key_signs_zone(const struct signers *book, const struct book_signer *owner,
                    const struct book_key *k)
{
    return !key_is_sep(k) || k->zone & book_bit(book, owner) || !has_zsk(book, owner);
}

bool key_wants_ds(const struct signers *book, const struct book_signer *owner,
                  const struct book_key *k)
{
    if (!k->fits)
        return false;
    return owner->has_cds ? k->cds & book_bit(book, owner)
                          : key_is_sep(k) && is_shown(book, owner, k);
}

/* ---- 1 prove */

static enum held keys_fit(struct book_turn *t, struct book_signer *s)
{
    unsigned n = 0;
    EACH_BOOK_KEY(t->book, k)
    {
        if (!book_owns(t->book, s, k) || !is_shown(t->book, s, k))
            continue;
        n++;
        if (!k->fits)
            return wait_for(s, BROKEN,
                            "key %u (algorithm %u, flags %u) may not be in our DNSKEY set: it must "
                            "be a zone key, not revoked, of an algorithm of ours",
                            k->tag, k->algorithm, get_u16(k->rdata));
    }
    return n ? HOLDS : wait_for(s, BROKEN, "no key is known to be its own");
}

static enum held is_proved(struct book_turn *t, struct book_signer *s)
{
    if (!s->policy || (!s->policy->polled && !s->filed))
        return wait_for(s, UNKNOWN,
                        "it has neither servers nor a file with keys that could be read");
    if (s->policy->polled && s->step == JOIN_PROVE && s->seen < s->step_at)
        return wait_for(s, BROKEN, "%s",
                        s->error[0] ? s->error : "its servers have not all answered yet");
    return keys_fit(t, s);
}

/* ---- 2 exchange-keys */

/* The first key that o's servers lack of those by which s signs the zone; NULL: none. */
static const struct book_key *lacking(const struct signers *book, const struct book_signer *o,
                                      const struct book_signer *s)
{
    EACH_BOOK_KEY(book, k)
    if (book_owns(book, s, k) && is_shown(book, s, k) && key_signs_zone(book, s, k) &&
        !(k->all & book_bit(book, o)))
        return k;
    return NULL;
}

/* Its keys in what we serve, ours in what it serves. */
static enum held keys_with_us(struct book_turn *t, struct book_signer *s)
{
    const struct signers *book = t->book;
    struct rrset set = {0};
    unsigned ours = 0;
    if (!node_rrset(t->facts->apex, RR_DNSKEY, 0, &set))
        return wait_for(s, BROKEN, "we serve no DNSKEY set");
    EACH_BOOK_KEY(book, k)
    if (book_owns(book, s, k) && is_shown(book, s, k) && key_signs_zone(book, s, k) &&
        !rrset_has(&set, k->rdata, k->len))
        return wait_for(s, BROKEN, "its key %u must be in the DNSKEY set that we serve", k->tag);
    for (unsigned i = 0; i < t->facts->ring->n; i++) {
        const struct keyring_key *r = &t->facts->ring->key[i];
        if (!(r->role & KEYRING_ZSK) || !rrset_has(&set, r->rdata, r->len))
            continue;
        ours++;
        const struct book_key *k = book_key(book, r->rdata, r->len);
        if (!is_polled(s) || (k && k->all & book_bit(book, s)))
            continue;
        s->urgent = r->zone.state != CELL_ABSENT;
        return wait_for(s, BROKEN, "our key %u must be in the DNSKEY set of all of its servers",
                        r->tag);
    }
    return ours ? HOLDS : wait_for(s, BROKEN, "we have no key that signs the zone yet");
}

static enum held keys_with(struct book_turn *t, struct book_signer *s, const struct book_signer *o)
{
    const struct book_key *k = NULL;
    const struct book_signer *at = o;
    if (is_polled(o))
        k = lacking(t->book, o, s);
    if (!k && is_polled(s)) {
        k = lacking(t->book, s, o);
        at = s;
    }
    if (!k)
        return HOLDS;
    s->urgent = k->zone;
    return wait_for(s, BROKEN, "%s's key %u must be in the DNSKEY set of all of %s's servers",
                    at == o ? s->name : o->name, k->tag, at->name);
}

static enum held keys_exchanged(struct book_turn *t, struct book_signer *s)
{
    if (!t->facts->apex)
        return wait_for(s, UNKNOWN, "what we serve is not known");
    enum held held = keys_with_us(t, s);
    EACH_SIGNER(t->book, o)
    if (held == HOLDS && o != s && book_counts(o))
        held = keys_with(t, s, o);
    if (held == BROKEN && s->keys_at >= 0) {
        s->keys_at = -1;
        t->plan->changed = true;
    } else if (held == HOLDS && s->keys_at < 0) {
        s->keys_at = t->book->clock;
        t->plan->changed = true;
    }
    return held;
}

/* ---- 3 parent-ds */

static bool ds_in(const struct book_turn *t, const struct parent_set *set, const uint8_t *rdata,
                  uint16_t len)
{
    struct rrset ds = parent_set_rrset(set);
    struct rdata r;
    for (const uint8_t *p = ds.rdata; rrset_next(&ds, &p, &r);)
        if (dnssec_ds_matches(t->book->apex, rdata, len, r.data, r.len) == DNSSEC_VALID)
            return true;
    return false;
}

static enum held ds_unknown(struct book_turn *t, struct book_signer *s)
{
    if (!t->policy->parent_known)
        return wait_for(s, UNKNOWN,
                        "nobody knows which DS the parent has: no parent servers are "
                        "configured; look there, and use --force");
    return wait_for(s, UNKNOWN, "the parent's servers have not all answered yet");
}

static enum held our_ds(struct book_turn *t, struct book_signer *s)
{
    struct rrset set;
    unsigned ksks = 0;
    bool known = t->facts->apex && node_rrset(t->facts->apex, RR_DNSKEY, 0, &set);
    for (unsigned i = 0; known && i < t->facts->ring->n; i++) {
        const struct keyring_key *r = &t->facts->ring->key[i];
        if (!(r->role & KEYRING_KSK) || !rrset_has(&set, r->rdata, r->len))
            continue;
        ksks++;
        if (ds_in(t, &t->facts->parent->all, r->rdata, r->len))
            return HOLDS;
    }
    return ksks ? wait_for(s, BROKEN, "the DS of our key must be on all of the parent's servers")
                : HOLDS; /* it is held elsewhere (RFC 8901 2.1.1) */
}

static enum held their_ds(struct book_turn *t, struct book_signer *s)
{
    const struct signers *book = t->book;
    uint8_t bit = book_bit(book, s);
    unsigned n = 0, leads = 0;
    EACH_BOOK_KEY(book, k)
    {
        bool there = ds_in(t, &t->facts->parent->all, k->rdata, k->len);
        leads += k->keys & bit && there;
        if (!book_owns(book, s, k) || !key_wants_ds(book, s, k))
            continue;
        n++;
        if (!there)
            return wait_for(s, BROKEN,
                            "the DS of its key %u must be on all of the parent's servers", k->tag);
    }
    if (is_polled(s) && !leads)
        return wait_for(s, BROKEN,
                        "a DS of a key that signs its DNSKEY set must be on all of the parent's "
                        "servers");
    return n || leads ? HOLDS : wait_for(s, BROKEN, "which key signs its DNSKEY set is not known");
}

static enum held ds_there(struct book_turn *t, struct book_signer *s)
{
    if (!t->facts->parent || !t->facts->parent->complete)
        return ds_unknown(t, s);
    enum held held = their_ds(t, s);
    held = held == HOLDS ? our_ds(t, s) : held;
    if (held == BROKEN && s->ds_at >= 0) {
        s->ds_at = -1;
        t->plan->changed = true;
    } else if (held == HOLDS && s->ds_at < 0) {
        s->ds_at = t->book->clock;
        t->plan->changed = true;
    }
    return held;
}

/* ---- 4 wait-caches */

static enum held wait_until(struct book_turn *t, struct book_signer *s, int64_t due,
                            const char *what)
{
    if (t->book->clock >= due)
        return HOLDS;
    wait_for(s, BROKEN, "%s", what);
    s->due = due;
    return BROKEN;
}

/* All of whom the wait for keys hangs on, seen when it was over. */
static enum held seen_since(struct book_turn *t, struct book_signer *s, int64_t due)
{
    EACH_SIGNER(t->book, o)
    if ((o == s || book_counts(o)) && is_polled(o) && o->seen < due) {
        t->plan->ask_signers = true;
        return wait_for(s, BROKEN, "the time is over: all of %s's servers must be seen once more",
                        o->name);
    }
    return HOLDS;
}

static enum held caches_waited(struct book_turn *t, struct book_signer *s)
{
    bool told = !(s->forced >> JOIN_PARENT_DS & 1);
    if (s->waited)
        return HOLDS;
    if (s->keys_at < 0 || s->ds_at < 0)
        return wait_for(s, UNKNOWN, "what came before is not known to be so any more");
    int64_t keys = s->keys_at + with_delay(t, book_dnskey_ttl(t->book));
    int64_t ds = s->ds_at + ds_ttl(t) + 1;
    enum held held =
        wait_until(t, s, keys > ds ? keys : ds,
                   keys > ds ? "DNSKEY sets without all keys must be gone from every cache"
                             : "DS sets without its key must be gone from every cache");
    held = held == HOLDS ? seen_since(t, s, keys) : held;
    if (held == HOLDS && told && t->book->parent_ds < ds) {
        t->plan->ask_parent = true;
        held =
            wait_for(s, BROKEN, "the time is over: the parent's servers must be asked once more");
    }
    if (held == HOLDS) {
        s->waited = true;
        t->plan->changed = true;
    }
    return held;
}

/* ---- 5, 6 exchange-ns, parent-ns */

/* A name of the one that is not in the other, as text; NULL: there is none. */
static const char *name_beyond(const struct rrset *set, uint8_t *const *names, unsigned n,
                               char out[NAME_TEXT_MAX])
{
    struct rdata r;
    for (const uint8_t *p = set->rdata; rrset_next(set, &p, &r);)
        if (!names_have(names, n, r.data))
            return name_print(r.data, out);
    return NULL;
}

static const char *name_missing(const struct rrset *set, uint8_t *const *names, unsigned n,
                                char out[NAME_TEXT_MAX])
{
    for (unsigned i = 0; i < n; i++)
        if (!ns_set_has(set, names[i]))
            return name_print(names[i], out);
    return NULL;
}

static enum held ns_exchanged(struct book_turn *t, struct book_signer *s)
{
    struct rrset ours = {0};
    char text[NAME_TEXT_MAX];
    const char *name;
    if (!t->facts->apex || !node_rrset(t->facts->apex, RR_NS, 0, &ours))
        return wait_for(s, UNKNOWN, "what we serve is not known");
    if ((name = name_missing(&ours, s->own, s->nown, text)))
        return wait_for(s, BROKEN, "its server %.60s must be in the NS set that we serve", name);
    if (!is_polled(s))
        return HOLDS;
    if (!s->ns_agreed)
        return wait_for(s, BROKEN, "all of its servers must have the same NS set");
    if ((name = name_beyond(&ours, s->ns, s->nns, text)))
        return wait_for(s, BROKEN, "%.60s must be in its NS set", name);
    if ((name = name_missing(&ours, s->ns, s->nns, text)))
        return wait_for(s, BROKEN, "%.60s of its NS set must be in the one that we serve", name);
    return HOLDS;
}

static enum held ns_unknown(struct book_turn *t, struct book_signer *s)
{
    if (!t->policy->parent_known)
        return wait_for(s, UNKNOWN,
                        "nobody knows which NS the parent has: no parent servers are "
                        "configured; look there, and use --force");
    return wait_for(s, UNKNOWN,
                    "the parent's servers have not all told the NS of the delegation yet");
}

static bool ns_told(const struct book_turn *t, const struct book_signer *s)
{
    return t->facts->parent && t->facts->parent->ns_complete && t->book->parent_ns >= s->step_at;
}

static enum held ns_delegated(struct book_turn *t, struct book_signer *s)
{
    struct rrset ours = {0};
    char text[NAME_TEXT_MAX];
    struct rdata r;
    if (!t->facts->apex || !node_rrset(t->facts->apex, RR_NS, 0, &ours))
        return wait_for(s, UNKNOWN, "what we serve is not known");
    if (!ns_told(t, s))
        return ns_unknown(t, s);
    struct rrset all = parent_set_ns(&t->facts->parent->ns_all),
                 any = parent_set_ns(&t->facts->parent->ns_any);
    for (const uint8_t *p = ours.rdata; rrset_next(&ours, &p, &r);)
        if (!ns_set_has(&all, r.data))
            return wait_for(s, BROKEN,
                            "%.60s must be in the delegation at all of the parent's servers",
                            name_print(r.data, text));
    for (const uint8_t *p = any.rdata; rrset_next(&any, &p, &r);)
        if (!ns_set_has(&ours, r.data))
            return wait_for(s, BROKEN,
                            "%.60s must be gone from the delegation, or be in the NS set",
                            name_print(r.data, text));
    return HOLDS;
}

/* ---- leaving: 1, 2, 3 */

static enum held ns_removed(struct book_turn *t, struct book_signer *s)
{
    struct rrset ours = {0};
    char text[NAME_TEXT_MAX];
    if (!s->exposed)
        return HOLDS;
    if (!t->facts->apex || !node_rrset(t->facts->apex, RR_NS, 0, &ours))
        return wait_for(s, UNKNOWN, "what we serve is not known");
    if (!s->nown)
        return wait_for(s, BROKEN,
                        "which servers are its own is not known: take them out of every NS "
                        "set, and use --force");
    for (unsigned i = 0; i < s->nown; i++) {
        if (ns_set_has(&ours, s->own[i]))
            return wait_for(s, BROKEN, "%.60s must be gone from the NS set that we serve",
                            name_print(s->own[i], text));
        EACH_SIGNER(t->book, o)
        if (is_polled(o) && (o == s ? s->stop_at < 0 : book_counts(o)) &&
            names_have(o->ns, o->nns, s->own[i]))
            return wait_for(s, BROKEN, "%.60s must be gone from the NS set of %s",
                            name_print(s->own[i], text), o->name);
    }
    return HOLDS;
}

static enum held ns_undelegated(struct book_turn *t, struct book_signer *s)
{
    char text[NAME_TEXT_MAX];
    enum held held = HOLDS;
    if (!s->exposed)
        return HOLDS;
    if (!ns_told(t, s))
        held = ns_unknown(t, s);
    else if (!s->nown)
        held = ns_delegated(t, s);
    for (unsigned i = 0; held == HOLDS && i < s->nown; i++) {
        struct rrset any = parent_set_ns(&t->facts->parent->ns_any);
        if (ns_set_has(&any, s->own[i]))
            held = wait_for(s, BROKEN, "%.60s must be gone from the delegation",
                            name_print(s->own[i], text));
    }
    if (held == BROKEN && s->ns_at >= 0) {
        s->ns_at = -1;
        t->plan->changed = true;
    } else if (held == HOLDS && s->ns_at < 0) {
        s->ns_at = t->book->clock;
        t->plan->changed = true;
    }
    return held;
}

static enum held ns_waited(struct book_turn *t, struct book_signer *s)
{
    if (!s->exposed)
        return HOLDS;
    if (s->ns_at < 0)
        return wait_for(s, UNKNOWN, "what came before is not known to be so any more");
    int64_t due = s->ns_at + with_delay(t, ns_ttl(t->book));
    enum held held =
        wait_until(t, s, due, "NS sets with its servers must be gone from every cache");
    if (held == HOLDS && !(s->forced >> LEAVE_PARENT_NS & 1) && t->book->parent_ns < due &&
        s->step <= LEAVE_NS_WAIT) {
        t->plan->ask_parent_ns = true;
        return wait_for(s, BROKEN,
                        "the time is over: the parent's servers must be asked once more");
    }
    return held;
}

/* ---- 4, 5, 6 */

/* It answers nobody any more, and what it answered last is in no cache: the DNSKEY sets by which its signatures were looked at. */
static enum held has_stopped(struct book_turn *t, struct book_signer *s)
{
    if (!s->exposed)
        return HOLDS;
    if (s->stop_at < 0)
        return wait_for(s, BROKEN, "%s",
                        is_polled(s)
                            ? "all of its servers must say that they do not serve the zone"
                            : "it cannot be asked: have it stop answering, and use --force");
    return wait_until(t, s, s->stop_at + with_delay(t, book_dnskey_ttl(t->book)),
                      "its DNSKEY sets must be gone from every cache");
}

static enum held ds_gone(struct book_turn *t, struct book_signer *s)
{
    const struct signers *book = t->book;
    enum held held = HOLDS;
    if (!t->facts->parent || !t->facts->parent->complete || book->parent_ds < s->step_at)
        held = ds_unknown(t, s);
    EACH_BOOK_KEY(book, k)
    if (held == HOLDS && book_owns(book, s, k) &&
        ds_in(t, &t->facts->parent->any, k->rdata, k->len))
        held =
            wait_for(s, BROKEN,
                     "the DS of its key %u must be gone from all of the parent's servers", k->tag);
    if (held == BROKEN && s->gone_at >= 0) {
        s->gone_at = -1;
        t->plan->changed = true;
    } else if (held == HOLDS && s->gone_at < 0) {
        s->gone_at = t->book->clock;
        t->plan->changed = true;
    }
    return held;
}

static enum held ds_waited(struct book_turn *t, struct book_signer *s)
{
    int64_t ttl = ds_ttl(t) + (ds_ttl(t) + 1) / 2, dnskey = book_dnskey_ttl(t->book);
    if (s->gone_at < 0)
        return wait_for(s, UNKNOWN, "what came before is not known to be so any more");
    if (!t->book->zone_ttl.ttl)
        return wait_for(s, UNKNOWN, "the largest TTL of the zone is not known");
    ttl = dnskey > ttl ? dnskey : ttl;
    ttl = t->book->zone_ttl.ttl > ttl ? t->book->zone_ttl.ttl : ttl;
    int64_t due = s->gone_at + with_delay(t, ttl);
    enum held held =
        wait_until(t, s, due, "its DS and its signatures must be gone from every cache");
    if (held == HOLDS && !(s->forced >> LEAVE_REMOVE_DS & 1) && t->book->parent_ds < due) {
        t->plan->ask_parent = true;
        return wait_for(s, BROKEN,
                        "the time is over: the parent's servers must be asked once more");
    }
    return held;
}

enum held book_held(struct book_turn *t, struct book_signer *s, enum signer_step step)
{
    static enum held (*const held[SIGNER_STEPS])(struct book_turn *, struct book_signer *) = {
        [JOIN_PROVE] = is_proved,          [JOIN_EXCHANGE_KEYS] = keys_exchanged,
        [JOIN_PARENT_DS] = ds_there,       [JOIN_WAIT_CACHES] = caches_waited,
        [JOIN_EXCHANGE_NS] = ns_exchanged, [JOIN_PARENT_NS] = ns_delegated,
        [LEAVE_REMOVE_NS] = ns_removed,    [LEAVE_PARENT_NS] = ns_undelegated,
        [LEAVE_NS_WAIT] = ns_waited,       [LEAVE_STOP_ANSWERING] = has_stopped,
        [LEAVE_REMOVE_DS] = ds_gone,       [LEAVE_DS_WAIT] = ds_waited,
    };
    if (s->forced >> step & 1)
        return HOLDS;
    return held[step] ? held[step](t, s) : HOLDS;
}
