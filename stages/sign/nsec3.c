/* nsec3: denial by NSEC3.
 *
 * Each name of the zone, and each empty non-terminal above one, has a record at its hash, which leads to the next hash and lists
 * what is at the name. With opt-out, delegations without DS have none, nor have the non-terminals that are there for nothing else
 * (RFC 5155 7.1). There is one chain at a time: other parameters are another chain of stages, and then all is made anew.
 *
 * Names were made and put before; this part comes behind them and makes what has names of its own. A record lists what is signed at
 * the name, which follows from what comes in, so nothing is read off the names that were made. Only of the last chain its neighbours
 * are asked, and the types of records whose name nobody mentioned.
 *
 * Two names of one hash cannot both have a record: then nothing goes out. A delegation that opt-out leaves out is not compared with
 * those that have one; no list of their hashes is kept, and it is only its own denial that would suffer.
 *
 * A hash is a name like any other, and somebody may have registered it: then node and record share an owner, and neither speaks of
 * the other.
 */
#include "stages/sign/nsec3.h"

#include <stdio.h>

enum { NSEC3_SHA1 = 1, NSEC3_OPT_OUT = 1, PARAM_TTL = 0 };

void nsec3_hash_name(const struct signing *s, const uint8_t *name, uint8_t out[HASH])
{
    dnssec_nsec3_hash(name, (uint16_t)s->conf->nsec3_iterations, s->conf->salt, s->conf->salt_len,
                      out);
}

void nsec3_owner_of(const struct signing *s, const uint8_t hash[HASH], uint8_t out[NAME_MAX_OCTETS])
{
    bool fits = dnssec_nsec3_owner(hash, s->apex_name, out);
    ASSERT(fits); /* sign_conf_check saw to it */
}

int nsec3_link_order(const void *a, const void *b)
{
    return memcmp(((const struct nsec3_link *)a)->hash, ((const struct nsec3_link *)b)->hash, HASH);
}

void nsec3_collision(struct signing *s, const uint8_t hash[HASH], const uint8_t *name,
                     const uint8_t *other)
{
    char text[NAME_TEXT_MAX + HASH_TEXT + 16], hash_text[HASH_TEXT + 1], name_text[NAME_TEXT_MAX];
    dnssec_nsec3_print(hash, hash_text);
    snprintf(text, sizeof(text), "%s (%s)", other ? name_print(other, name_text) : "another name",
             hash_text);
    finding_add(s->run->findings, SIGN_NSEC3_COLLISION, name, RR_NSEC3, 0, 0, text);
    s->failed = true;
}

/* --- one record --- */

static void params_write(const struct signing *s, struct wbuf *out, uint8_t flags)
{
    wbuf_u8(out, NSEC3_SHA1);
    wbuf_u8(out, flags);
    wbuf_u16(out, (uint16_t)s->conf->nsec3_iterations);
    wbuf_u8(out, s->conf->salt_len);
    wbuf_put(out, s->conf->salt, s->conf->salt_len);
}

static bool is_apex(const struct signing *s, const struct node *node)
{
    return node->name_len == name_len(s->apex_name); /* no other name is so short */
}

/* Whatever is authoritative is signed; at a cut that is its DS. */
static void types_of(const struct signing *s, struct type_set *types, const struct node *node)
{
    typeset_begin(types);
    if (!node)
        return;
    bool apex = is_apex(s, node), cut = !apex && node_has(node, RR_NS);
    typeset_add_node(types, apex ? s->apex_plain : node, cut ? NAME_CUT : NAME_AUTHORITATIVE);
    if (apex)
        typeset_add(types, RR_NSEC3PARAM);
    if (!cut || node_has(node, RR_DS))
        typeset_add(types, RR_RRSIG);
}

const struct nsec3_types *nsec3_types_of(struct arena *arena, const struct node *node)
{
    struct rrset set;
    struct rdata rdata;
    if (!node || !node_rrset(node, RR_NSEC3, 0, &set) || !rrset_first(&set, &rdata))
        return NULL;
    struct rbuf r = rbuf_open(rdata.data, rdata.len);
    rbuf_take(&r, 4);
    rbuf_take(&r, rbuf_u8(&r));
    rbuf_take(&r, rbuf_u8(&r));
    ASSERT(!r.bad); /* what is in a snapshot is well formed */
    struct nsec3_types *types = arena_alloc(arena, sizeof(*types) + rbuf_left(&r));
    types->len = rbuf_left(&r);
    memcpy(types->octets, r.p, types->len);
    return types;
}

struct makings {
    const struct nsec3_making *making;
};

static struct node *link_build(void *ctx, struct signing *s, struct worker *w, size_t i)
{
    const struct nsec3_making *m = &((const struct makings *)ctx)->making[i];
    uint8_t owner[NAME_MAX_OCTETS];
    nsec3_owner_of(s, m->link->hash, owner);
    const struct node *was = s->last ? snapshot_get(s->view, owner) : NULL;
    const struct node *here = snapshot_get(s->run->next, owner);
    struct wbuf rdata = worker_set_begin(w);
    params_write(s, &rdata, s->conf->opt_out ? NSEC3_OPT_OUT : 0);
    wbuf_u8(&rdata, HASH);
    wbuf_put(&rdata, m->next, HASH);
    if (m->types) {
        wbuf_put(&rdata, m->types->octets, m->types->len);
    } else {
        types_of(s, &w->types, m->link->node);
        typeset_write(&w->types, &rdata);
    }
    struct rrset set = worker_set_end(w, RR_NSEC3, s->nsec_ttl, &rdata);
    if (here)
        return name_sign(s, w, here, &set, snapshot_status(s->run->next, here), was,
                         keep_touched(s));
    node_builder_begin(w->builder, owner);
    node_builder_add_rrset(w->builder, &set);
    return rrset_sign(s, w, owner, &set, was, false, keep_touched(s))
               ? node_builder_seal(w->builder)
               : NULL;
}

bool nsec3_make(struct signing *s, const struct nsec3_making *making, size_t n)
{
    for (size_t i = 0; i < n; i += BATCH_MAX) {
        struct makings makings = {making + i};
        if (!batch_run(s, n - i < BATCH_MAX ? n - i : BATCH_MAX, link_build, &makings))
            return false;
    }
    return true;
}

bool nsec3_remove(struct signing *s, const uint8_t hash[HASH])
{
    uint8_t owner[NAME_MAX_OCTETS];
    nsec3_owner_of(s, hash, owner);
    const struct node *here = snapshot_get(s->run->next, owner);
    if (!here) {
        output_remove(s, owner);
        return true;
    }
    struct node *made =
        name_sign(s, worker_first(s), here, NULL, snapshot_status(s->run->next, here),
                  edit_get(s->run->out, owner), keep_touched(s));
    if (!signing_failed(s))
        output_put(s, made);
    return !s->failed;
}

/* --- what the stage asks for --- */

static bool nsec3_at_name(const struct signing *s, struct worker *w, const struct owner *owner,
                          struct rrset *out)
{
    if (!is_apex(s, owner->node))
        return false;
    struct wbuf rdata = worker_set_begin(w);
    params_write(s, &rdata, 0);
    *out = worker_set_end(w, RR_NSEC3PARAM, PARAM_TTL, &rdata);
    return true;
}

static bool nsec3_finish(struct signing *s)
{
    struct node *apex = apex_types(s);
    s->apex_plain = apex;
    bool good = s->all ? nsec3_chain(s) : nsec3_change(s);
    s->apex_plain = NULL;
    node_unref(apex);
    return good;
}

const struct denial denial_nsec3 = {
    .begin = nsec3_change_begin, .at_name = nsec3_at_name, .finish = nsec3_finish};
