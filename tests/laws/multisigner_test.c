/* multisigner: random histories of a zone that several sign, through the chain of mode multi-signer, beside a model of what each policy wants.
 *
 *      transfer: names, NS, DNSKEY of others ─┐
 *      keyset: ours; keys and servers of others ┴─▶ strip ─▶ multisigner ─▶ sign ─▶ validate ─▶ the apex sets of the model
 *
 * Keys of others come and go, in the transfer, in the keyset, in both; so do servers and the wish for CSYNC; ours roll; names change; now
 * and then a key is one that no zone may have. After every step
 *   - a version is refused if, and only if, the model says so, and the one before is served on;
 *   - DNSKEY, CDS, CDNSKEY, NS and CSYNC are the model's, the first three with one signature by our KSK and no other;
 *   - validate, behind sign in the chain, is content, and so is the chain's check of content;
 *   - from nothing, and stepping over the version before, the same comes out;
 *   - multisigner has looked at what changed, and at the servers.
 */
#include "tests/lib/keyplay.h"
#include "tests/lib/stageplay.h"
#include "tests/lib/suite.h"
#include "tests/lib/zonegen.h"

#include "pipeline/run/chain.h"
#include "pipeline/run/registry.h"

#include <stdio.h>
#include <string.h>

enum { BEGIN = 1700000000, STEPS = 320, TTL_OWN = 3600, SLOTS = 12 };
enum { OTHERS = 8, SERVERS = 6, STRIP = 0, MERGE = 1, SIGN = 2, VALIDATE = 3, STAGES = 4 };

enum csync { NO, WAITING, ALWAYS };
static const struct variant {
    const char *merge, *sign;
    bool all, joins;
    enum csync csync;
    unsigned max;
} variants[] = {
    {"", "", true, false, NO, 16},
    {"include=zsk ns=union csync=waiting", "denial=nsec3", false, true, WAITING, 16},
    {"max_foreign_keys=6 ns=union csync=always", "serial=unixtime", true, true, ALWAYS, 6},
    {"include=zsk csync=always", "denial=nsec3 opt_out=true", false, false, ALWAYS, 16},
};

/* A key of another signer: where it is known from, and what is wanted of it there. */
struct other {
    const uint8_t *rdata;
    uint16_t len;
    bool sep, came, told, publish, ds, csk;
    uint32_t ttl;
};

struct world {
    const struct variant *variant;
    struct random random;
    struct zonegen gen;
    struct family *family;
    struct snapshot *plain, *input;
    struct keyplay own, foreign;
    unsigned ksk, zsk, idle; /* of own: in use; one that does nothing */
    struct other other[OTHERS];
    uint32_t came_ttl;
    bool own_come_back, garbage, csync, server[SERVERS];
    int bad; /* one of other, which no zone may have; -1: none */
    uint8_t spoilt[128];
    struct keyset *keys;
    struct chain *chain;
    struct version *v, *before;
    time_t now;
    char event[64];
    unsigned accepted, refused;
};

static const char *const servers[SERVERS] = {"ns.a.test.",     "ns.b.test.",     "NS.c.test.",
                                             "ns1.weir.test.", "ns2.weir.test.", "weir.test."};

static void server_name(unsigned i, uint8_t out[NAME_MAX_OCTETS])
{
    ck_assert_int_gt(name_parse(servers[i], out, NULL), 0);
}

/* --- the world as keyset and as transfer --- */

static void keys_set(struct world *w)
{
    keyset_unref(w->keys);
    w->keys = keyset_new(w->own.n, 0, 0);
    for (unsigned i = 0; i < w->own.n; i++) { /* those that do nothing, too: they are ours */
        w->keys->key[i] = w->own.key[i];
        w->keys->key[i].rdata = mem_dup(w->own.key[i].rdata, w->own.key[i].len);
        w->keys->key[i].private = dnssec_private_ref(w->own.key[i].private);
    }
    for (unsigned i = 0; i < OTHERS; i++) {
        const struct other *o = &w->other[i];
        if (!o->told)
            continue;
        struct keyset_foreign *f = keyset_add_foreign(w->keys, o->rdata, o->len, o->ttl);
        f->publish = o->publish;
        f->ds = o->ds;
        f->csk = o->csk;
    }
    for (unsigned i = 0; i < SERVERS; i++) {
        uint8_t name[NAME_MAX_OCTETS];
        server_name(i, name);
        if (w->server[i])
            keyset_add_ns(w->keys, name);
    }
    w->keys->csync = w->csync;
    keyset_seal(w->keys);
}

static void add(struct edit *e, const uint8_t *owner, uint16_t type, uint32_t ttl,
                const uint8_t *rdata, size_t len)
{
    struct why why = {""};
    int rc = edit_add(e, owner, type, ttl, rdata, (uint16_t)len, &why);
    ck_assert_msg(rc == 0, "%s", why.text);
}

/* The zone's data with what a signer who sends it has at the apex. */
static void input_set(struct world *w)
{
    static const uint8_t csync[] = {0, 0, 0, 1, 0, 3, 0, 1, 0x60}, cds[] = {0, 1, 13, 2, 5, 5};
    struct edit *e = edit_open(w->family, w->plain, w->plain);
    for (unsigned i = 0; i < OTHERS; i++)
        if (w->other[i].came)
            add(e, w->gen.apex, RR_DNSKEY, w->came_ttl, w->other[i].rdata, w->other[i].len);
    for (unsigned i = 0; w->own_come_back && i < w->own.n; i++)
        add(e, w->gen.apex, RR_DNSKEY, w->came_ttl, w->own.key[i].rdata, w->own.key[i].len);
    if (w->garbage) {
        add(e, w->gen.apex, RR_CSYNC, 60, csync, sizeof csync);
        add(e, w->gen.apex, RR_CDS, 60, cds, sizeof cds);
    }
    snapshot_unref(w->input);
    ck_assert_int_eq(edit_seal(&e, &w->input, NULL, NULL), 0);
}

/* --- the model --- */

struct want {
    bool refused, csync, in_zone;
    unsigned ndnskey, nds, nns;
    struct rdata dnskey[OTHERS + 4], ds[OTHERS + 4];
    uint8_t ns[SERVERS + 8][NAME_MAX_OCTETS];
    uint32_t ttl, cds_ttl;
};

static bool set_has(const struct rrset *set, const uint8_t *rdata, size_t len)
{
    struct rdata r;
    for (const uint8_t *p = set->rdata; rrset_next(set, &p, &r);)
        if (r.len == len && memcmp(r.data, rdata, len) == 0)
            return true;
    return false;
}

static bool has_address(const struct world *w, const uint8_t *name)
{
    const struct node *node = snapshot_get(w->plain, name);
    struct rrset set;
    return node && (node_rrset(node, RR_A, 0, &set) || node_rrset(node, RR_AAAA, 0, &set));
}

static void want_ns(const struct world *w, struct want *want)
{
    struct rrset set = {.count = 0};
    struct rdata r;
    bool addresses = true;
    node_rrset(snapshot_apex(w->plain), RR_NS, 0, &set);
    for (const uint8_t *p = set.rdata; set.count && rrset_next(&set, &p, &r);)
        memcpy(want->ns[want->nns++], r.data, r.len);
    for (unsigned i = 0; i < SERVERS && w->variant->joins && set.count; i++) {
        bool known = false;
        server_name(i, want->ns[want->nns]);
        for (unsigned k = 0; k < want->nns; k++)
            known |= name_equal(want->ns[k], want->ns[want->nns]);
        want->nns += w->server[i] && !known;
    }
    for (unsigned i = 0; i < want->nns; i++) {
        bool inside = name_at_or_below(want->ns[i], w->gen.apex);
        want->in_zone |= inside;
        addresses = addresses && (!inside || has_address(w, want->ns[i]));
    }
    bool asked = w->variant->csync == ALWAYS || (w->variant->csync == WAITING && w->csync);
    want->csync = asked && want->nns > 0 && addresses;
}

static struct want want_of(const struct world *w)
{
    struct want want = {.ttl = TTL_OWN, .cds_ttl = TTL_OWN};
    bool zsk_came = false, zsk_told = false;
    uint32_t largest = 0;
    unsigned n = 0;
    for (unsigned i = 0; i < w->own.n; i++) {
        const struct keyset_key *own = &w->own.key[i];
        if (own->publish)
            want.dnskey[want.ndnskey++] = (struct rdata){own->rdata, own->len};
        if (own->ds)
            want.ds[want.nds++] = (struct rdata){own->rdata, own->len};
    }
    for (unsigned i = 0; i < OTHERS; i++) {
        const struct other *o = &w->other[i];
        zsk_came |= o->came && !o->sep;
        zsk_told |= o->told && o->publish && !o->sep;
    }
    for (unsigned i = 0; i < OTHERS; i++) {
        const struct other *o = &w->other[i];
        bool told = o->told && (o->publish || o->ds);
        if (!(o->came || told))
            continue;
        n++;
        want.refused |= (int)i == w->bad;
        largest = o->came && w->came_ttl > largest ? w->came_ttl : largest;
        largest = told && o->ttl > largest ? o->ttl : largest;
        bool signs = !o->sep || (told && o->csk) || (o->came && !zsk_came) || (told && !zsk_told);
        if ((o->came || o->publish) && (w->variant->all || signs))
            want.dnskey[want.ndnskey++] = (struct rdata){o->rdata, o->len};
        if ((o->came && o->sep) || (told && o->ds))
            want.ds[want.nds++] = (struct rdata){o->rdata, o->len};
    }
    want.refused |= n > w->variant->max;
    want_ns(w, &want);
    bool foreign_dnskey = false, foreign_ds = false;
    for (unsigned i = 0; i < OTHERS; i++) {
        for (unsigned k = 0; k < want.ndnskey; k++)
            foreign_dnskey |= want.dnskey[k].data == w->other[i].rdata;
        for (unsigned k = 0; k < want.nds; k++)
            foreign_ds |= want.ds[k].data == w->other[i].rdata;
    }
    want.ttl = foreign_dnskey && largest > TTL_OWN ? largest : TTL_OWN;
    want.cds_ttl = foreign_ds && largest > TTL_OWN ? largest : TTL_OWN;
    return want;
}

/* --- what is checked of a version --- */

static struct rrset set_of(const struct snapshot *s, uint16_t type, uint16_t covered)
{
    struct rrset set = {.count = 0};
    node_rrset(snapshot_apex(s), type, covered, &set);
    return set;
}

static void check_signed_by(const struct world *w, const struct snapshot *s, uint16_t type,
                            unsigned key)
{
    struct rrset sigs = set_of(s, RR_RRSIG, type);
    struct rdata rdata;
    struct rrsig sig;
    ck_assert_msg(sigs.count == 1, "%s: %u signatures over type %u", w->event, sigs.count, type);
    ck_assert(rrset_first(&sigs, &rdata) && rrsig_parse(rdata.data, rdata.len, &sig));
    ck_assert_uint_eq(sig.tag, w->own.key[key].tag);
}

static void check_key_sets(const struct world *w, const struct snapshot *s, const struct want *want)
{
    struct rrset keys = set_of(s, RR_DNSKEY, 0), cds = set_of(s, RR_CDS, 0),
                 cdnskey = set_of(s, RR_CDNSKEY, 0);
    ck_assert_msg(keys.count == want->ndnskey && keys.ttl == want->ttl,
                  "%s: DNSKEY: %u under %u, wanted %u under %u", w->event, keys.count, keys.ttl,
                  want->ndnskey, want->ttl);
    for (unsigned i = 0; i < want->ndnskey; i++)
        ck_assert_msg(set_has(&keys, want->dnskey[i].data, want->dnskey[i].len), "%s: DNSKEY %u",
                      w->event, i);
    ck_assert_msg(cds.count == want->nds && cdnskey.count == want->nds, "%s: CDS %u, %u, wanted %u",
                  w->event, cds.count, cdnskey.count, want->nds);
    ck_assert(cds.ttl == want->cds_ttl && cdnskey.ttl == want->cds_ttl);
    for (unsigned i = 0; i < want->nds; i++) {
        uint8_t ds[DNSSEC_DS_MAX];
        size_t len = dnssec_ds_make(w->gen.apex, want->ds[i].data, want->ds[i].len, 2, ds);
        ck_assert(set_has(&cds, ds, len));
        ck_assert(set_has(&cdnskey, want->ds[i].data, want->ds[i].len));
    }
    check_signed_by(w, s, RR_DNSKEY, w->ksk);
    check_signed_by(w, s, RR_CDS, w->ksk);
    check_signed_by(w, s, RR_CDNSKEY, w->ksk);
}

static void check_servers(const struct world *w, const struct snapshot *s, const struct want *want)
{
    static const uint8_t outside[] = {0, 0, 0, 0, 0, 1, 0, 1, 0x20},
                         inside[] = {0, 0, 0, 0, 0, 1, 0, 4, 0x60, 0, 0, 8};
    struct rrset ns = set_of(s, RR_NS, 0), csync = set_of(s, RR_CSYNC, 0),
                 came = set_of(w->plain, RR_NS, 0);
    ck_assert_msg(ns.count == want->nns, "%s: NS %u, wanted %u", w->event, ns.count, want->nns);
    ck_assert(ns.count == 0 || ns.ttl == came.ttl);
    for (unsigned i = 0; i < want->nns; i++)
        ck_assert(set_has(&ns, want->ns[i], name_len(want->ns[i])));
    ck_assert_msg(csync.count == want->csync, "%s: CSYNC %u", w->event, csync.count);
    if (!want->csync)
        return;
    ck_assert(want->in_zone ? set_has(&csync, inside, sizeof inside)
                            : set_has(&csync, outside, sizeof outside));
    ck_assert_uint_eq(set_of(s, RR_RRSIG, RR_CSYNC).count, 1);
}

/* The same sets under the same TTLs, but for signatures and serial. */
static void check_same(const struct world *w, const struct snapshot *a, const struct snapshot *b)
{
    struct snapshot_iter i, j;
    const struct node *x = snapshot_first(&i, a), *y = snapshot_first(&j, b);
    for (; x && y; x = snapshot_next(&i), y = snapshot_next(&j)) {
        char name[NAME_TEXT_MAX];
        name_print(node_name(x), name);
        ck_assert_msg(name_equal(node_name(x), node_name(y)), "%s: %s", w->event, name);
        ck_assert_msg(x->nrrsets == y->nrrsets, "%s: %s: %u, %u sets", w->event, name, x->nrrsets,
                      y->nrrsets);
        for (unsigned k = 0; k < x->nrrsets; k++) {
            struct rrset p, q;
            node_rrset_at(x, k, &p);
            node_rrset_at(y, k, &q);
            bool inexact = p.type == RR_RRSIG || p.type == RR_SOA;
            ck_assert_msg(p.type == q.type && p.covered == q.covered && p.ttl == q.ttl &&
                              p.count == q.count && (inexact || rrset_equal(&p, &q, true)),
                          "%s: %s: type %u", w->event, name, p.type);
        }
    }
    ck_assert(!x && !y);
}

static struct candidate *run_from(const struct world *w, const struct version *prev)
{
    struct chain_input in = {.snapshot = w->input,
                             .origin = "test",
                             .woken = prev && prev->input == w->input,
                             .keys = w->keys};
    return chain_run(w->chain, prev, &in, w->now, NULL);
}

static void check_verdict(const struct world *w, const struct candidate *c, const struct want *want)
{
    enum verdict verdict = want->refused ? STAGE_REJECT : STAGE_PASS;
    if (c->verdict == verdict) {
        ck_assert(!want->refused || c->stage == MERGE);
        return;
    }
    for (size_t i = 0; i < c->findings->n; i++) {
        char *text = finding_print(&c->findings->list[i]);
        fprintf(stderr, "%s\n", text);
        free(text);
    }
    ck_abort_msg("%s: %s", w->event, verdict_text(c->verdict));
}

static void check_from(const struct world *w, const struct version *prev, const struct want *want,
                       const struct candidate *made)
{
    struct candidate *c = run_from(w, prev);
    check_verdict(w, c, want);
    if (!want->refused)
        check_same(w, c->version->served, made->version->served);
    candidate_free(&c);
}

/* What changed on multisigner's input is no more than what changed on the chain's, and the apex. */
static void check_cost(const struct world *w, const struct candidate *made)
{
    struct changeset *delta = changeset_between(w->v ? w->v->input : NULL, w->input);
    ck_assert_uint_le(made->version->result[MERGE].visited, delta->n + 1 + SERVERS + 4);
    changeset_unref(delta);
}

static void step(struct world *w)
{
    keys_set(w);
    input_set(w);
    struct want want = want_of(w);
    const struct snapshot *served = w->v ? w->v->served : NULL;
    struct candidate *dropped = run_from(w, w->v), *made = run_from(w, w->v);
    check_verdict(w, made, &want);
    ck_assert_int_eq(dropped->verdict, made->verdict);
    candidate_free(&dropped);
    check_from(w, NULL, &want, made);
    if (w->before)
        check_from(w, w->before, &want, made);
    w->accepted += !want.refused;
    w->refused += want.refused;
    if (want.refused) {
        ck_assert_ptr_eq(w->v ? w->v->served : NULL, served);
        candidate_free(&made);
        return;
    }
    check_key_sets(w, made->version->served, &want);
    check_servers(w, made->version->served, &want);
    check_cost(w, made);
    version_unref(w->before);
    w->before = w->v;
    w->v = candidate_take(made);
    candidate_free(&made);
}

/* --- what happens --- */

static bool lot(struct world *w, unsigned of)
{
    return random_below(&w->random, of) == 0;
}

static void names_change(struct world *w)
{
    struct edit *e = edit_open(w->plain->family, w->plain, w->plain);
    uint8_t name[NAME_MAX_OCTETS];
    struct snapshot *next;
    if (lot(w, 3))
        zonegen_restyle(&w->gen, e, 3);
    else
        zonegen_step(&w->gen, e, 1 + (unsigned)random_below(&w->random, 3));
    server_name(3 + (unsigned)random_below(&w->random, 2), name);
    if (!edit_remove(e, name))
        add(e, name, lot(w, 2) ? RR_A : RR_TXT, 300, (const uint8_t *)"\3\0\2\1", 4);
    ck_assert_int_eq(edit_seal(&e, &next, NULL, NULL), 0);
    snapshot_unref(w->plain);
    w->plain = next;
}

static void key_comes_or_goes(struct world *w)
{
    struct other *o = &w->other[random_below(&w->random, OTHERS)];
    o->came ^= true;
    if (lot(w, 3))
        w->came_ttl = 300 << random_below(&w->random, 8);
    w->own_come_back = lot(w, 4);
    w->garbage = lot(w, 4);
}

static void key_is_told(struct world *w)
{
    struct other *o = &w->other[random_below(&w->random, OTHERS)];
    o->told = !o->told || lot(w, 2);
    o->publish = !lot(w, 3);
    o->ds = (o->sep || lot(w, 4)) && !lot(w, 3); /* a DS may name any key of a zone */
    o->csk = o->sep && lot(w, 4);
    o->ttl = 300 << random_below(&w->random, 8);
}

static void servers_change(struct world *w)
{
    w->server[random_below(&w->random, SERVERS)] ^= true;
    w->csync = lot(w, 2);
}

/* A next ZSK, published; it signs, and the last one goes when it has no signature left. */
static void own_rolls(struct world *w)
{
    struct key_uses uses = {0};
    if (!w->v || !version_keys_used(w->v, &uses))
        return;
    if (!w->own.key[w->idle].publish) {
        keyplay_roles(&w->own, w->idle, "p");
    } else if (!w->own.key[w->idle].signs_zone) {
        keyplay_roles(&w->own, w->idle, "pz");
        keyplay_roles(&w->own, w->zsk, "p");
    } else {
        for (unsigned i = 0; i < uses.n; i++)
            if (uses.use[i].tag == w->own.key[w->zsk].tag && uses.use[i].signatures > 0)
                return;
        keyplay_roles(&w->own, w->zsk, "");
        unsigned old = w->zsk;
        w->zsk = w->idle;
        w->idle = old;
    }
}

static void time_passes(struct world *w)
{
    time_t until = w->now + (time_t)random_below(&w->random, 3 * 86400);
    while (w->v && version_wake_at(w->v) && version_wake_at(w->v) <= until) {
        w->now = version_wake_at(w->v);
        struct candidate *c = run_from(w, w->v);
        if (c->verdict != STAGE_PASS) { /* what it was made with is refused now */
            candidate_free(&c);
            break;
        }
        version_unref(w->before);
        w->before = w->v;
        w->v = candidate_take(c);
        candidate_free(&c);
    }
    w->now = until;
}

/* One of them is spoilt; the next step finds it gone. */
static void spoil(struct world *w)
{
    unsigned i = (unsigned)random_below(&w->random, OTHERS);
    struct other *o = &w->other[i];
    memcpy(w->spoilt, o->rdata, o->len);
    switch (random_below(&w->random, 5)) {
    case 0:
        w->spoilt[2] = 2;
        break;
    case 1:
        w->spoilt[0] = 0;
        break;
    case 2:
        put_u16(w->spoilt, get_u16(w->spoilt) | DNSKEY_REVOKE);
        break;
    case 3:
        w->spoilt[3] = ALG_ED448;
        break;
    case 4:
        o->len--;
        break;
    }
    o->rdata = w->spoilt;
    o->came = lot(w, 2);
    o->told = !o->came;
    o->publish = lot(w, 2);
    o->ds = o->sep = false;
    o->ds = !o->publish;
    w->bad = (int)i;
}

static void mend(struct world *w)
{
    for (unsigned i = 0; i < OTHERS; i++) {
        const struct keyset_key *key = &w->foreign.key[i];
        w->other[i].rdata = key->rdata;
        w->other[i].len = key->len;
        w->other[i].sep = get_u16(key->rdata) & DNSKEY_SEP;
    }
    if (w->bad >= 0)
        w->other[w->bad].told = w->other[w->bad].came = false;
    w->bad = -1;
}

static void happens(struct world *w)
{
    static const struct {
        const char *what;
        void (*fn)(struct world *w);
    } events[] = {
        {"names change", names_change}, {"a key comes or goes", key_comes_or_goes},
        {"a key is told", key_is_told}, {"servers change", servers_change},
        {"ours rolls", own_rolls},      {"time passes", time_passes},
        {"a key is spoilt", spoil},
    };
    size_t n = strlen(strcpy(w->event, ""));
    mend(w);
    for (unsigned i = 0, some = 1 + lot(w, 3); i < some; i++) {
        unsigned k = (unsigned)random_below(&w->random, sizeof events / sizeof events[0]);
        if (events[k].fn == spoil && (w->bad >= 0 || !lot(w, 2)))
            k = 1;
        events[k].fn(w);
        n += (size_t)snprintf(w->event + n, sizeof w->event - n, "%s; ", events[k].what);
    }
}

static void chain_open(struct world *w)
{
    const char *const stages[STAGES][2] = {[STRIP] = {"strip", "keep_apex_dnskey=true"},
                                           [MERGE] = {"multisigner", w->variant->merge},
                                           [SIGN] = {"sign", w->variant->sign},
                                           [VALIDATE] = {"validate", "denial=any"}};
    struct why why;
    w->chain = chain_new(STAGES, 100);
    for (unsigned i = 0; i < STAGES; i++) {
        struct chain_stage *s = &w->chain->stage[i];
        s->type = registry_find(stages[i][0]);
        int rc = stageplay_conf(s->type, w->gen.apex, stages[i][1], &s->conf, &why);
        ck_assert_msg(rc == 0, "%s", why.text);
    }
}

static void world_open(struct world *w, const struct variant *variant)
{
    *w = (struct world){
        .variant = variant, .random = random_open(), .bad = -1, .now = BEGIN, .came_ttl = 300};
    w->gen = zonegen_open(&w->random, "weir.test.", SLOTS);
    w->family = family_new(w->gen.apex);
    w->plain = zonegen_version(&w->gen, w->family, NULL, 0);
    w->ksk = keyplay_make(&w->own, DNSKEY_ZONE | DNSKEY_SEP, ALG_ED25519, "pkd");
    w->zsk = keyplay_make(&w->own, DNSKEY_ZONE, ALG_ED25519, "pz");
    w->idle = keyplay_make(&w->own, DNSKEY_ZONE, ALG_ED25519, "");
    for (unsigned i = 0; i < OTHERS; i++)
        keyplay_make(&w->foreign, i % 2 ? DNSKEY_ZONE | DNSKEY_SEP : DNSKEY_ZONE, ALG_ED25519, "p");
    mend(w);
    chain_open(w);
}

static void world_close(struct world *w)
{
    version_unref(w->before);
    version_unref(w->v);
    chain_unref(w->chain);
    keyset_unref(w->keys);
    keyplay_close(&w->own);
    keyplay_close(&w->foreign);
    snapshot_unref(w->plain);
    snapshot_unref(w->input);
    family_unref(w->family);
}

START_TEST(test_histories)
{
    unsigned rounds = getenv("WEIR_ROUNDS") ? (unsigned)atoi(getenv("WEIR_ROUNDS")) : 1;
    for (unsigned round = 0; round < rounds; round++) {
        struct world w;
        world_open(&w, &variants[_i]);
        for (unsigned i = 0; i < STEPS; i++) {
            step(&w);
            happens(&w);
        }
        ck_assert_uint_gt(w.accepted, STEPS / 8); /* else nothing was shown */
        ck_assert_uint_gt(w.refused, STEPS / 40);
        world_close(&w);
    }
}
END_TEST

int main(void)
{
    struct suite s = suite_open("multisigner");
    tcase_set_timeout(s.tcase, getenv("WEIR_ROUNDS") ? 0 : 300);
    if (suite_wants("test_histories"))
        tcase_add_loop_test(s.tcase, test_histories, 0, sizeof variants / sizeof variants[0]);
    return suite_run(s);
}
