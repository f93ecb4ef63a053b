/* Reading a zone's journal: a restart's first half, and what `weir dump` prints (journal_reader.c).
 *
 *   row ─▶ for each layer: image ─▶ edit ─▶ changes of the steps behind it ─▶ snapshot
 *      └─▶ history: the changes of the last steps       └─▶ stages: their states
 *
 * Each change must fit: what it says was there before has to be there. Where it does, the node that the edit has takes the place of the
 * one that was read, so that history and version share memory as they did before the restart. */
#include "pipeline/run/journal_p.h"

#include "pipeline/base/log.h"

#include <stdio.h>
#include <string.h>

int row_read(struct db_txn *txn, const uint8_t *name, struct journal_row *row, struct rbuf *about,
             struct why *why)
{
    struct journal_key key = journal_key_row(name);
    struct db_item item;
    struct rbuf in = {0};
    int err = db_get(txn, key.octets, key.len, &item, why);
    char text[NAME_TEXT_MAX];
    if (err == -E_NOENT)
        return why_set(why, err, "the journal has nothing of zone %s", name_print(name, text));
    if (err)
        return err;
    item.key = key.octets;
    err = journal_unseal(&item, &in, why);
    return err ? err : journal_row_load(&in, row, about, why);
}

/* ---- a layer ---- */

struct layer_reading {
    struct db_txn *txn;
    const uint8_t *apex;
    const struct journal_row *row;
    unsigned layer;
    struct edit *edit;
    struct journal_change
        *change;     /* the history: room for row->history changes; NULL: not of this layer */
    uint64_t first;  /* the step that it begins with */
    struct why lost; /* why it does not begin earlier; empty: it is whole */
};

int value_get(struct db_txn *txn, const struct journal_key *key, struct rbuf *out, struct why *why)
{
    struct db_item item;
    int err = db_get(txn, key->octets, key->len, &item, why);
    if (err)
        return err == -E_NOENT
                   ? why_set(why, -E_FORMAT, "a record of kind '%c' is missing", key->octets[0])
                   : err;
    item.key = key->octets;
    return journal_unseal(&item, out, why);
}

static int chunk_read(const struct layer_reading *r, uint32_t number, struct why *why)
{
    const struct journal_layer *l = &r->row->layer[r->layer];
    struct journal_key key = journal_key_chunk(l->image, number);
    struct rbuf in = {0};
    int err = value_get(r->txn, &key, &in, why);
    if (err)
        return err;
    for (uint32_t n = rbuf_u32(&in); n; n--) {
        struct node *node;
        err = node_load(&in, r->apex, &node, why);
        if (err)
            return err;
        edit_put(r->edit, node);
    }
    return in.bad || rbuf_left(&in) ? why_set(why, -E_FORMAT, "a chunk has not what it says it has")
                                    : 0;
}

static int image_read(const struct layer_reading *r, struct why *why)
{
    int err = 0;
    for (uint32_t i = 0; !err && i < r->row->layer[r->layer].chunks; i++)
        err = chunk_read(r, i, why);
    return err;
}

static void node_swap(const struct node **held, const struct node *same)
{
    struct node *now = node_ref(same);
    node_unref((struct node *)(uintptr_t)*held);
    *held = now;
}

int change_apply(struct edit *e, struct changeset *c, struct why *why)
{
    for (size_t i = 0; i < c->n; i++) {
        struct change *change = &c->change[i];
        const struct node *there = edit_get(e, change_name(change));
        if (!there != !change->was || (there && !node_equal(there, change->was))) {
            char name[NAME_TEXT_MAX];
            return why_set(why, -E_FORMAT, "the change to serial %u does not fit at %s", c->to,
                           name_print(change_name(change), name));
        }
        if (there)
            node_swap(&change->was, there);
        if (change->now)
            edit_put(e, node_ref(change->now));
        else
            edit_remove(e, change_name(change));
    }
    return 0;
}

int step_read(struct db_txn *txn, const struct journal_row *row, uint64_t number,
              struct journal_step *step, struct rbuf *in, struct why *why)
{
    struct journal_key key = journal_key_step(row->zone, number);
    int err = value_get(txn, &key, in, why);
    if (!err)
        err = journal_step_load(in, step, why);
    if (!err && step->step != number)
        err = why_set(why, -E_FORMAT, "step %llu says that it is %llu", (unsigned long long)number,
                      (unsigned long long)step->step);
    return err;
}

/* The change of one layer out of a step; NULL: it has none. */
static int delta_read(const struct journal_step *step, struct rbuf *in, const uint8_t *apex,
                      unsigned layer, struct changeset **out, struct why *why)
{
    *out = NULL;
    for (unsigned i = 0; i < step->nlayers && i <= layer; i++) {
        if (!step->has_delta[i])
            continue;
        struct changeset *c;
        int err = changeset_load(in, apex, &c, why);
        if (err)
            return err;
        if (i == layer)
            *out = c;
        else
            changeset_unref(c);
    }
    return 0;
}

/* A step that the layer's image has already is wanted for the history alone. */
static int old_step_read(struct layer_reading *r, uint64_t n, struct why *why)
{
    struct journal_step step;
    struct rbuf in = {0};
    struct changeset *c = NULL;
    int err = step_read(r->txn, r->row, n, &step, &in, why);
    if (!err)
        err = delta_read(&step, &in, r->apex, step.nlayers - 1, &c, why);
    if (!err && !c)
        err = why_set(why, -E_FORMAT, "step %llu of the history has no change",
                      (unsigned long long)n);
    if (!err)
        r->change[n - r->first] = (struct journal_change){step.at, c};
    return err;
}

static int new_step_read(struct layer_reading *r, uint64_t n, struct why *why)
{
    const struct journal_row *row = r->row;
    struct journal_step step;
    struct rbuf in = {0};
    struct changeset *c = NULL;
    int err = step_read(r->txn, row, n, &step, &in, why);
    /* What is served is the last layer, also of a chain that had more or fewer. */
    if (!err)
        err = delta_read(&step, &in, r->apex, r->change ? step.nlayers - 1 : r->layer, &c, why);
    if (err)
        return err;
    err = c ? change_apply(r->edit, c, why)
            : why_set(why, -E_FORMAT, "step %llu has no change", (unsigned long long)n);
    if (!err && r->change && n >= r->first)
        r->change[n - r->first] = (struct journal_change){step.at, changeset_ref(c)};
    changeset_unref(c);
    return err;
}

/* What is before step n cannot be led from any more. */
static void history_cut(struct layer_reading *r, uint64_t n)
{
    for (; r->first < n; r->first++, r->change++)
        changeset_unref(r->change->changes);
}

/* One layer as of the newest step, and what led there. An old step that cannot be read costs the history before it, no more. */
static int layer_read(struct layer_reading *r, struct snapshot **out, struct why *why)
{
    uint64_t newest = r->row->newest, image = r->row->layer[r->layer].image_step;
    int err = image_read(r, why);
    for (uint64_t n = r->first; !err && r->change && n <= image && n <= newest; n++)
        if (old_step_read(r, n, &r->lost))
            history_cut(r, n + 1);
    for (uint64_t n = image + 1; !err && n <= newest; n++)
        err = new_step_read(r, n, why);
    return err ? err : edit_seal(&r->edit, out, NULL, why);
}

/* ---- a zone ---- */

void journal_loaded_free(struct journal_loaded **lp)
{
    struct journal_loaded *l = *lp;
    if (!l)
        return;
    version_unref(l->version);
    snapshot_unref(l->input);
    snapshot_unref(l->served);
    snapshot_unref(l->held);
    for (size_t i = 0; i < l->nchanges; i++)
        changeset_unref(l->change[i].changes);
    mem_free(&l->change);
    mem_free(&l->caches);
    mem_free(lp);
}

struct zone_reading {
    struct journal *journal; /* that is told of damage; NULL: somebody else's */
    const uint8_t *name;
    struct db_txn *txn;
    struct journal_row row;
    struct journal_about about;
    struct snapshot *layer[JOURNAL_LAYERS_MAX];
};

static void damage_tell(const struct zone_reading *z, const char *what, const struct why *why)
{
    if (z->journal)
        journal_damaged(z->journal, z->name, what, why);
}

/* The layer that is served has the history. */
static int served_read(struct zone_reading *z, struct layer_reading *r, struct journal_loaded *l,
                       struct snapshot **out, struct why *why)
{
    l->change = mem_array(z->row.history + 1u, sizeof l->change[0]);
    l->nchanges = z->row.history;
    r->change = l->change;
    r->first = z->row.newest + 1 - z->row.history;
    int err = layer_read(r, out, why);
    size_t gone = (size_t)(r->change - l->change);
    l->nchanges -= gone;
    memmove(l->change, r->change, l->nchanges * sizeof l->change[0]);
    if (!err && gone)
        damage_tell(z,
                    "journal: old versions of a zone cannot be read; IXFR from those is answered "
                    "in full",
                    &r->lost);
    return err;
}

static int layers_read(struct zone_reading *z, struct family *family, struct journal_loaded *l,
                       struct why *why)
{
    int err = 0;
    struct soa soa;
    for (unsigned i = 0; !err && i < z->row.nlayers; i++) {
        struct family *own = i ? family_beside(family) : family_ref(family);
        struct layer_reading r = {
            .txn = z->txn, .apex = family_apex(family), .row = &z->row, .layer = i};
        r.edit = edit_open(own, NULL, NULL);
        err = i + 1 == z->row.nlayers ? served_read(z, &r, l, &z->layer[i], why)
                                      : layer_read(&r, &z->layer[i], why);
        edit_abort(&r.edit);
        family_unref(own);
        if (!err && !snapshot_soa(z->layer[i], &soa))
            err = why_set(why, -E_FORMAT, "no SOA at the apex");
    }
    if (err)
        return err;
    l->input = snapshot_ref(z->layer[0]);
    l->served = snapshot_ref(z->layer[z->row.nlayers - 1]);
    return 0;
}

/* The version as this chain would have made it, or can go on with; NULL: another chain did. */
static struct version *version_read(const struct zone_reading *z, const struct chain *chain,
                                    const struct journal_loaded *l)
{
    size_t follows;
    char *now = chain_print(chain, &follows);
    bool equal =
        strlen(now) == z->about.chain_len && memcmp(now, z->about.chain, z->about.chain_len) == 0;
    bool same = z->about.chain_len >= follows && memcmp(now, z->about.chain, follows) == 0 &&
                z->about.nstages == chain->n;
    mem_free(&now);
    for (unsigned i = 0; same && i < chain->n; i++)
        same = z->about.stage[i].layer < z->row.nlayers && !z->about.stage[i].state_lost;
    if (!same)
        return NULL;
    struct version *v = version_restore(chain, l->input, l->served, z->about.origin);
    for (unsigned i = 0; i < chain->n; i++) {
        const struct journal_stage *s = &z->about.stage[i];
        same &= version_restore_stage(v, i, z->layer[s->layer], s->state, s->state_len);
        v->result[i].wake_at = (time_t)s->wake_at;
        v->result[i].good_until = (time_t)s->good_until;
        v->result[i].serve_until = (time_t)s->serve_until;
    }
    if (!same) { /* a state of another weir: its stage would take the zone for new and the change for nothing */
        version_unref(v);
        return NULL;
    }
    version_times(v);
    if (!equal)
        version_restore_later(v, 1);
    struct rbuf findings = z->about.findings;
    v->findings = journal_findings_load(&findings);
    if (!v->findings) {
        v->findings = findings_new(0);
        findings_close(v->findings);
    }
    v->accepted_at = (time_t)z->about.accepted_at;
    return v;
}

/* Older versions have none. */
static void caches_read(const struct zone_reading *z, struct journal_loaded *l)
{
    struct rbuf rest = z->about.findings;
    struct findings *f = journal_findings_load(&rest);
    size_t len = f && rbuf_left(&rest) ? rbuf_u32(&rest) : 0;
    const uint8_t *octets = len ? rbuf_take(&rest, len) : NULL;
    findings_unref(f);
    if (!octets)
        return;
    l->caches = mem_dup(octets, len);
    l->caches_len = len;
}

int timers_get(struct db_txn *txn, uint64_t zone, time_t *checked_at, time_t *expires_at,
               struct why *why)
{
    struct journal_key key = journal_key_id(JOURNAL_TIMERS, zone);
    struct db_item item;
    struct rbuf in = {0};
    int err = db_get(txn, key.octets, key.len, &item, why);
    if (err)
        return err;
    item.key = key.octets;
    err = journal_unseal(&item, &in, why);
    if (err)
        return err;
    *checked_at = (time_t)rbuf_u64(&in);
    *expires_at = (time_t)rbuf_u64(&in);
    return 0;
}

static void timers_read(const struct zone_reading *z, struct journal_loaded *l)
{
    struct why why;
    int err = timers_get(z->txn, z->row.zone, &l->checked_at, &l->expires_at, &why);
    if (err && err != -E_NOENT)
        damage_tell(z,
                    "journal: when a zone was last current cannot be read; it may be served for "
                    "its SOA's expire from now on",
                    &why);
}

static int held_parse(struct rbuf *in, struct journal_loaded *l, struct why *why)
{
    struct changeset *c;
    size_t n = rbuf_u8(in);
    const uint8_t *origin = rbuf_take(in, n);
    if (!origin || n >= sizeof l->held_origin)
        return why_set(why, -E_FORMAT, "it is malformed");
    memcpy(l->held_origin, origin, n);
    int err = changeset_load(in, snapshot_apex_name(l->input), &c, why);
    if (err)
        return err;
    struct edit *e = edit_open(l->input->family, l->input, l->input);
    err = change_apply(e, c, why);
    if (!err)
        err = edit_seal(&e, &l->held, NULL, why);
    edit_abort(&e);
    changeset_unref(c);
    return err;
}

/* The candidate that was held, unless the accepted version has moved since. One that cannot be read is fetched, and held, again. */
static void held_read(const struct zone_reading *z, struct journal_loaded *l)
{
    struct journal_key key = journal_key_id(JOURNAL_HELD, z->row.zone);
    struct db_item item;
    struct rbuf in = {0};
    struct why why;
    int err = db_get(z->txn, key.octets, key.len, &item, &why);
    if (err == -E_NOENT)
        return;
    item.key = key.octets;
    if (!err)
        err = journal_unseal(&item, &in, &why);
    if (!err && rbuf_u64(&in) == z->row.newest)
        err = held_parse(&in, l, &why);
    if (err)
        damage_tell(z,
                    "journal: the version of a zone that was held cannot be read; it is fetched "
                    "again",
                    &why);
}

/* Of two times, 0 being never. */
static time_t earlier(time_t a, int64_t b)
{
    return b && (!a || b < a) ? (time_t)b : a;
}

static int zone_read(struct zone_reading *z, struct family *family, const struct chain *chain,
                     struct journal_loaded *l, struct why *why)
{
    struct rbuf about;
    int err = row_read(z->txn, z->name, &z->row, &about, why);
    if (!err)
        err = journal_about_load(&about, &z->about, why);
    if (!err)
        err = layers_read(z, family, l, why);
    if (err)
        return err;
    l->accepted_at = (time_t)z->about.accepted_at;
    memcpy(l->origin, z->about.origin, sizeof l->origin);
    for (unsigned i = 0; i < z->about.nstages; i++) {
        l->good_until = earlier(l->good_until, z->about.stage[i].good_until);
        l->serve_until = earlier(l->serve_until, z->about.stage[i].serve_until);
    }
    if (chain)
        l->version = version_read(z, chain, l);
    caches_read(z, l);
    timers_read(z, l);
    held_read(z, l);
    return 0;
}

int zone_records_read(struct journal *j, struct db *db, const uint8_t *name, struct family *family,
                      const struct chain *chain, struct journal_loaded **out, struct why *why)
{
    struct zone_reading *z = mem_zalloc(sizeof *z);
    struct journal_loaded *l = mem_zalloc(sizeof *l);
    z->journal = j;
    z->name = name;
    int err = db_begin(db, false, &z->txn, why);
    if (!err) {
        err = zone_read(z, family, chain, l, why);
        db_abort(&z->txn);
    }
    for (unsigned i = 0; i < JOURNAL_LAYERS_MAX; i++)
        snapshot_unref(z->layer[i]);
    mem_free(&z);
    if (err)
        journal_loaded_free(&l);
    else
        *out = l;
    return err;
}

int journal_load(struct journal_zone *jz, struct family *family, const struct chain *chain,
                 struct journal_loaded **out, struct why *why)
{
    struct journal *j = jz->journal;
    int err = jz->row->newest ? zone_records_read(j, j->db, jz->name, family, chain, out, why)
                              : why_set(why, -E_NOENT, "the journal has nothing of it");
    if (!err) {
        jz->nlayers = jz->row->nlayers;
        for (size_t i = 0; i < (*out)->nchanges; i++)
            if ((*out)->change[i].changes->n)
                served_step_add(jz, jz->row->newest + 1 - (*out)->nchanges + i);
    } else if (err != -E_NOENT) {
        journal_damaged(j, jz->name, JOURNAL_ZONE_LOST, why);
    }
    return err;
}

void journal_loaded_all(struct journal *j)
{
    db_forget(j->db);
}
