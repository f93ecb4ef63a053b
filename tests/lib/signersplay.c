/* signersplay: see the header. A side's sets are signed anew for each look; that is the same each time, for Ed25519 has no chance in it. */
#include "tests/lib/signersplay.h"

#include "pipeline/base/alloc.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

const uint8_t play_apex[] = "\4play\4test";
const uint8_t *const play_servers[PLAY_OTHERS + 1][2] = {
    {(const uint8_t *)"\2a1\4test", (const uint8_t *)"\2a2\4test"},
    {(const uint8_t *)"\2b1\4test", (const uint8_t *)"\2b2\4test"},
    {(const uint8_t *)"\2c1\4test", (const uint8_t *)"\2c2\4test"},
    {(const uint8_t *)"\2d1\4test", (const uint8_t *)"\2d2\4test"},
};

/* ---- sets */

static bool same(struct rdata a, struct rdata b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

bool set_has(const struct play_set *s, struct rdata key)
{
    for (unsigned i = 0; i < s->n; i++)
        if (same(s->key[i], key))
            return true;
    return false;
}

void set_put(struct play_set *s, struct rdata key)
{
    if (set_has(s, key))
        return;
    ck_assert_uint_lt(s->n, PLAY_KEYS);
    s->key[s->n++] = key;
}

void set_drop(struct play_set *s, struct rdata key)
{
    for (unsigned i = s->n; i-- > 0;)
        if (same(s->key[i], key))
            s->key[i] = s->key[--s->n];
}

void names_put(struct play_names *s, const uint8_t *name)
{
    for (unsigned i = 0; i < s->n; i++)
        if (name_equal(s->name[i], name))
            return;
    ck_assert_uint_lt(s->n, PLAY_NS);
    s->name[s->n++] = name;
}

void names_drop(struct play_names *s, const uint8_t *name)
{
    for (unsigned i = s->n; i-- > 0;)
        if (name_equal(s->name[i], name))
            s->name[i] = s->name[--s->n];
}

/* ---- sides */

struct rdata play_ksk(const struct play_side *side)
{
    return provider_key(&side->signer, side->ksk);
}

struct rdata play_zsk(const struct play_side *side)
{
    return provider_key(&side->signer, side->zsk);
}

struct rdata play_key_new(struct play_side *side, uint16_t flags, unsigned *index)
{
    static uint32_t seed = 1000;
    *index = signer_add_key(&side->signer, flags, ALG_ED25519, seed++);
    return provider_key(&side->signer, *index);
}

static void side_open(struct play_side *side, unsigned i, time_t now)
{
    *side = (struct play_side){.dnskey_ttl = 600, .ns_ttl = 900};
    side->signer = signer_open(now, 100 + i);
    side->signer.expiration = (uint32_t)now + 3 * 365 * 86400;
    set_put(&side->dnskey, play_key_new(side, 257, &side->ksk));
    set_put(&side->dnskey, play_key_new(side, 256, &side->zsk));
    set_put(&side->cds, play_ksk(side));
    for (int j = 0; j < 2; j++)
        names_put(&side->ns, play_servers[i][j]);
}

struct node *play_node(const struct play_side *side)
{
    return provider_node(&(struct provider_apex){.apex = play_apex,
                                                 .signer = &side->signer,
                                                 .ksk = side->ksk,
                                                 .zsk = side->zsk,
                                                 .ndnskey = side->dnskey.n,
                                                 .dnskey = side->dnskey.key,
                                                 .ncds = side->cds.n,
                                                 .cds = side->cds.key,
                                                 .nns = side->ns.n,
                                                 .ns = side->ns.name,
                                                 .dnskey_ttl = side->dnskey_ttl,
                                                 .ns_ttl = side->ns_ttl,
                                                 .serial = 1});
}

static void ring_open(struct play *p)
{
    const enum keyring_role role[] = {KEYRING_KSK, KEYRING_ZSK};
    const struct rdata key[] = {play_ksk(&p->us), play_zsk(&p->us)};
    struct why why;
    p->ring = keyring_new(play_apex);
    for (int i = 0; i < 2; i++) {
        struct keyring_key *k;
        int err =
            keyring_add(p->ring, role[i], key[i].data, key[i].len, NULL, true, p->now, &k, &why);
        ck_assert_msg(!err, "%s", why.text);
    }
}

void play_open(struct play *p, unsigned n)
{
    *p = (struct play){.n = n,
                       .now = 1764000000,
                       .tick = 5000,
                       .boot = 1,
                       .zone_ttl = 1200,
                       .ds_ttl = 300,
                       .parent_ns_ttl = 1800};
    p->trace = getenv("WEIR_TRACE");
    p->book = signers_new(play_apex);
    side_open(&p->us, 0, p->now);
    p->ours_in = p->us.ns;
    p->parent_ns = p->us.ns;
    set_put(&p->ds, play_ksk(&p->us));
    ring_open(p);
    p->policy = (struct signers_policy){.n = n,
                                        .signer = p->signer_policy,
                                        .propagation_delay_s = 10,
                                        .ds_ttl_s = 60,
                                        .parent_known = true,
                                        .ns_union = true,
                                        .csync_waiting = true};
    for (unsigned i = 0; i < n; i++) {
        struct play_other *o = &p->other[i];
        snprintf(o->name, sizeof o->name, "%c", 'b' + (int)i);
        side_open(&o->side, i + 1, p->now);
        o->said = o->second = SIGNER_ANSWERED;
        o->polled = o->anchored = true;
        struct rdata ksk = play_ksk(&o->side);
        o->anchor = (struct trust_anchor){false, ksk.len, mem_dup(ksk.data, ksk.len)};
        p->signer_policy[i].name = o->name;
    }
    p->apex = play_node(&p->us);
}

void play_close(struct play *p)
{
    signers_free(&p->book);
    keyring_free(&p->ring);
    node_unref(p->apex);
    parent_view_unref(p->parent);
    signer_close(&p->us.signer);
    for (unsigned i = 0; i < p->n; i++) {
        signer_close(&p->other[i].side.signer);
        trust_anchor_clear(&p->other[i].anchor);
    }
}

void play_restart(struct play *p)
{
    struct signers *again;
    struct why why;
    char *text = signers_print(p->book);
    int err = signers_parse(text, strlen(text), play_apex, &again, &why);
    ck_assert_msg(!err, "%s in\n%s", why.text, text);
    char *printed = signers_print(again);
    ck_assert_str_eq(text, printed);
    const struct keyring_others *was = signers_others(p->book), *is = signers_others(again);
    ck_assert_msg(!was == !is && (!was || (was->n == is->n && was->dnskey_ttl == is->dnskey_ttl)),
                  "the keyring is told something else after a restart\n%s", text);
    mem_free(&text);
    mem_free(&printed);
    signers_free(&p->book);
    p->book = again;
}

void play_pass(struct play *p, int64_t seconds)
{
    p->now += seconds;
    p->tick += seconds;
}

/* ---- turns */

static struct node *second_node(const struct play_other *o)
{
    struct play_side side = o->side;
    if (o->lacks.len)
        set_drop(&side.dnskey, o->lacks);
    if (o->lacks_ns)
        names_drop(&side.ns, o->lacks_ns);
    struct node *node = play_node(&side);
    return o->lies ? provider_spoil(node, RR_DNSKEY) : node;
}

static struct signer_view *view_of(const struct play *p, const struct play_other *o)
{
    struct signer_view *v = signer_view_new(o->name, 2);
    v->at = p->now;
    for (int i = 0; i < 2; i++) {
        struct signer_server *s = &v->server[i];
        s->name = mem_printf("%s-%d", o->name, i + 1);
        s->at = p->now;
        s->said = i == 1 && o->said == SIGNER_ANSWERED ? o->second : o->said;
        if (s->said == SIGNER_ANSWERED)
            s->apex = i ? second_node(o) : play_node(&o->side);
        else
            s->error = mem_strdup(s->said == SIGNER_NOT_SERVED ? "REFUSED" : "time-out");
    }
    return v;
}

static void ds_add(struct parent_set *set, struct rdata key)
{
    uint8_t ds[DNSSEC_DS_MAX];
    size_t n = dnssec_ds_make(play_apex, key.data, key.len, 2, ds);
    struct why why;
    int err = parent_set_add(set, ds, (uint16_t)n, &why);
    ck_assert_msg(!err, "%s", why.text);
}

static struct parent_view *parent_view_of(const struct play *p)
{
    struct parent_view *v = parent_view_new(2);
    struct why why;
    v->ns_asked = true;
    for (int i = 0; i < 2; i++) {
        const struct play_set *ds = i && p->ds_split ? &p->ds_second : &p->ds;
        struct parent_server *s = &v->server[i];
        s->name = mem_printf("p-%d", i + 1);
        s->at = p->now;
        s->said = p->parent_silent ? PARENT_NO_ANSWER : ds->n ? PARENT_DS : PARENT_NO_DS;
        s->ns_said = p->parent_silent ? PARENT_NS_NO_ANSWER : PARENT_NS;
        s->set.ttl = p->ds_ttl;
        s->ns.ttl = p->parent_ns_ttl;
        for (unsigned j = 0; !p->parent_silent && j < ds->n; j++)
            ds_add(&s->set, ds->key[j]);
        for (unsigned j = 0; !p->parent_silent && j < p->parent_ns.n; j++) {
            const uint8_t *name = p->parent_ns.name[j];
            if (i && p->parent_lacks_ns && name_equal(p->parent_lacks_ns, name))
                continue;
            ck_assert(!parent_set_add(&s->ns, name, (uint16_t)name_len(name), &why));
        }
    }
    parent_view_judge(v);
    return v;
}

static void tell(const struct play *p)
{
    for (unsigned i = 0; i < p->plan.nevents; i++) {
        const struct signers_event *e = &p->plan.event[i];
        if (p->trace)
            printf("%ld %s%s %s: %s\n", (long)p->tick, e->alarm ? "ALARM " : "", e->signer,
                   signer_step_text(e->step), e->text);
        ck_assert(e->signer && e->text[0]);
    }
    fflush(stdout);
}

static void turn(struct play *p, unsigned nviews, const struct signer_view *const *view)
{
    struct signer_file file[PLAY_OTHERS];
    struct node *node[PLAY_OTHERS];
    unsigned nfiles = 0;
    for (unsigned i = 0; i < p->n; i++) {
        struct play_other *o = &p->other[i];
        p->signer_policy[i].polled = o->polled;
        p->signer_policy[i].nanchors = o->anchored;
        p->signer_policy[i].anchor = o->anchored ? &o->anchor : NULL;
        if (!o->filed)
            continue;
        node[nfiles] = play_node(&o->side);
        file[nfiles] = (struct signer_file){o->name, node[nfiles]};
        nfiles++;
    }
    struct signers_facts facts = {.time = {p->now, p->tick, p->boot},
                                  .nviews = nviews,
                                  .view = view,
                                  .nfiles = nfiles,
                                  .file = file,
                                  .parent = p->parent,
                                  .apex = p->apex,
                                  .ring = p->ring,
                                  .zone_ttl_max = p->zone_ttl};
    signers_step(p->book, &p->policy, &facts, &p->plan);
    tell(p);
    for (unsigned i = 0; i < nfiles; i++)
        node_unref(node[i]);
}

void play_turn(struct play *p)
{
    turn(p, 0, NULL);
}

void play_look(struct play *p)
{
    const struct signer_view *view[PLAY_OTHERS];
    struct signer_view *made[PLAY_OTHERS];
    unsigned n = 0;
    for (unsigned i = 0; i < p->n; i++)
        if (p->other[i].polled && !p->other[i].unasked)
            view[n] = made[n] = view_of(p, &p->other[i]), n++;
    play_pass(p, 1); /* no two looks at one time */
    parent_view_unref(p->parent);
    p->parent = parent_view_of(p);
    turn(p, n, view);
    for (unsigned i = 0; i < n; i++)
        signer_view_unref(made[i]);
}

static struct keyset *keyset_of(const struct play *p)
{
    struct keyset *k = keyset_new(0, 0, 0);
    signers_keyset(p->book, &p->policy, k);
    keyset_seal(k);
    return k;
}

/* Of foreign keys those that sign the zone, as with `include = "zsk"`. */
void play_serve_cds(struct play *p, const struct play_set *cds)
{
    struct keyset *k = keyset_of(p);
    struct play_side side = p->us;
    side.cds = *cds;
    side.ns = p->ours_in;
    for (unsigned i = 0; i < k->nforeign; i++) {
        const struct keyset_foreign *f = &k->foreign[i];
        struct rdata key = {0};
        for (unsigned o = 0; o < p->n; o++)
            for (unsigned j = 0; j < p->other[o].side.signer.keys; j++)
                if (same(provider_key(&p->other[o].side.signer, j),
                         (struct rdata){f->rdata, f->len}))
                    key = provider_key(&p->other[o].side.signer, j);
        ck_assert_msg(key.len, "a foreign key that nobody made");
        if (f->publish && (f->csk || !(get_u16(f->rdata) & DNSKEY_SEP)))
            set_put(&side.dnskey, key);
        if (f->ds)
            set_put(&side.cds, key);
    }
    for (unsigned i = 0; i < k->nns; i++)
        for (unsigned a = 0; a < 4; a++)
            for (int b = 0; b < 2; b++)
                if (name_equal(play_servers[a][b], k->ns[i]))
                    names_put(&side.ns, play_servers[a][b]);
    keyset_unref(k);
    p->us.ns = side.ns;
    node_unref(p->apex);
    p->apex = play_node(&side);
    play_turn(p);
}

void play_serve(struct play *p)
{
    struct play_set cds = {1, {play_ksk(&p->us)}};
    play_serve_cds(p, &cds);
}

void play_settle(struct play *p)
{
    for (int i = 0; i < 4; i++) {
        play_look(p);
        play_serve(p);
    }
}

/* ---- what the others do */

void play_import(struct play *p)
{
    for (unsigned i = 0; i < p->n; i++) {
        struct play_side *s = &p->other[i].side;
        for (unsigned j = 0; j < p->us.dnskey.n; j++)
            if (!(get_u16(p->us.dnskey.key[j].data) & DNSKEY_SEP))
                set_put(&s->dnskey, p->us.dnskey.key[j]);
        for (unsigned o = 0; o < p->n; o++)
            if (o != i)
                set_put(&s->dnskey, play_zsk(&p->other[o].side));
    }
}

static struct rdata key_at(const struct play *p, struct rdata key)
{
    for (unsigned j = 0; j < p->us.signer.keys; j++)
        if (same(provider_key(&p->us.signer, j), key))
            return provider_key(&p->us.signer, j);
    for (unsigned o = 0; o < p->n; o++)
        for (unsigned j = 0; j < p->other[o].side.signer.keys; j++)
            if (same(provider_key(&p->other[o].side.signer, j), key))
                return provider_key(&p->other[o].side.signer, j);
    ck_abort_msg("a key that nobody made");
}

void play_parent_ds(struct play *p)
{
    struct rrset cds;
    struct rdata r;
    p->ds = (struct play_set){0};
    ck_assert(node_rrset(p->apex, RR_CDNSKEY, 0, &cds));
    for (const uint8_t *at = cds.rdata; rrset_next(&cds, &at, &r);)
        set_put(&p->ds, key_at(p, r));
}

void play_parent_ns(struct play *p)
{
    p->parent_ns = p->us.ns;
}

struct book_signer *play_signer(const struct play *p, unsigned i)
{
    struct book_signer *s = book_signer(p->book, p->other[i].name);
    ck_assert_ptr_nonnull(s);
    return s;
}

enum signer_step play_step(const struct play *p, unsigned i)
{
    return play_signer(p, i)->step;
}

static void help(struct play *p, enum signer_step step)
{
    if (step == JOIN_EXCHANGE_KEYS)
        play_import(p);
    if (step == JOIN_PARENT_DS || step == LEAVE_REMOVE_DS)
        play_parent_ds(p);
    if (step == JOIN_EXCHANGE_NS)
        for (unsigned i = 0; i < p->n; i++)
            if (play_step(p, i) >= JOIN_EXCHANGE_NS && play_step(p, i) <= JOINED)
                p->other[i].side.ns = p->us.ns;
    if (step == JOIN_PARENT_NS || step == LEAVE_PARENT_NS)
        play_parent_ns(p);
}

void play_reach(struct play *p, unsigned i, enum signer_step step)
{
    play_settle(p);
    for (int n = 0; play_step(p, i) != step && n < 200; n++) {
        struct book_signer *s = play_signer(p, i);
        help(p, s->step);
        if (s->step == LEAVE_REMOVE_NS)
            for (unsigned o = 0; o < p->n; o++)
                for (unsigned j = 0; j < s->nown; j++)
                    names_drop(&p->other[o].side.ns, s->own[j]);
        if (s->step == LEAVE_STOP_ANSWERING)
            p->other[i].said = SIGNER_NOT_SERVED;
        if (s->due >= 0)
            play_pass(p, s->due - p->book->clock);
        play_settle(p);
    }
    ck_assert_msg(play_step(p, i) == step, "%s is at %s and not at %s: %s", p->other[i].name,
                  signer_step_text(play_step(p, i)), signer_step_text(step),
                  play_signer(p, i)->waits);
}

/* ---- what is told */

static bool keyset_says(const struct play *p, struct rdata key, bool ds)
{
    struct keyset *k = keyset_of(p);
    bool says = false;
    for (unsigned i = 0; i < k->nforeign; i++)
        if (same(key, (struct rdata){k->foreign[i].rdata, k->foreign[i].len}))
            says = ds ? k->foreign[i].ds : k->foreign[i].publish;
    keyset_unref(k);
    return says;
}

bool play_publishes(const struct play *p, struct rdata key)
{
    return keyset_says(p, key, false);
}

bool play_asks_ds(const struct play *p, struct rdata key)
{
    return keyset_says(p, key, true);
}

bool play_alarmed(const struct play *p, const char *words)
{
    for (unsigned i = 0; i < p->plan.nevents; i++)
        if (p->plan.event[i].alarm && strstr(p->plan.event[i].text, words))
            return true;
    return false;
}
