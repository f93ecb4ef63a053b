/* A version's way into a transaction.
 *
 * The zone's run encodes what changed; the journal's thread numbers nothing and decides little: it writes the step, moves the zone's
 * row on to it, and lets go of steps that neither the newest version nor the history needs any more. A layer that cannot be
 * told as a change (the first version, another chain), or whose change is larger than itself, gets an image. */
#include "pipeline/run/journal_p.h"

#include <stdio.h>
#include <string.h>

void write_free(struct journal_write **wp)
{
    struct journal_write *w = *wp;
    struct journal *j = w->zone->journal;
    pthread_mutex_lock(&j->lock);
    j->stats.behind_octets -= w->behind_octets;
    pthread_mutex_unlock(&j->lock);
    for (unsigned i = 0; i < w->nlayers; i++)
        snapshot_unref(w->layer[i].snapshot);
    mem_free(&w->value.p);
    mem_free(&w->about.p);
    journal_zone_unref(w->zone);
    mem_free(wp);
}

/* ---- the zone's run ---- */

static struct journal_write *write_new(struct journal_zone *jz, int kind, unsigned nlayers)
{
    struct journal_write *w = mem_zalloc(sizeof *w + nlayers * sizeof w->layer[0]);
    w->nlayers = nlayers;
    atomic_fetch_add_explicit(&jz->refs, 1, memory_order_relaxed);
    w->zone = jz;
    w->kind = kind;
    return w;
}

/* What it holds in memory: what is encoded, and what an image will be made of. */
static size_t write_octets(const struct journal_write *w)
{
    size_t octets = w->value.len + w->about.len;
    for (unsigned i = 0; i < w->nlayers; i++)
        octets += w->layer[i].image ? w->layer[i].snapshot->bytes : 0;
    return octets;
}

static void write_queue(struct journal_write *w)
{
    struct journal *j = w->zone->journal;
    if (!w->done)
        w->behind_octets = write_octets(w);
    pthread_mutex_lock(&j->lock);
    j->stats.behind_octets += w->behind_octets;
    if (w->kind == WRITE_ACCEPT) {
        w->zone->waiting++;
        j->stats.waiting++;
    }
    *j->queue_end = w;
    j->queue_end = &w->next;
    pthread_cond_signal(&j->work);
    pthread_mutex_unlock(&j->lock);
}

unsigned journal_waiting(struct journal_zone *jz)
{
    pthread_mutex_lock(&jz->journal->lock);
    unsigned n = jz->waiting;
    pthread_mutex_unlock(&jz->journal->lock);
    return n;
}

bool journal_behind(struct journal_zone *jz)
{
    struct journal *j = jz->journal;
    pthread_mutex_lock(&j->lock);
    bool behind = jz->waiting >= BEHIND_VERSIONS_MAX || j->stats.behind_octets >= BEHIND_OCTETS_MAX;
    pthread_mutex_unlock(&j->lock);
    return behind;
}

void served_step_add(struct journal_zone *jz, uint64_t step)
{
    if (jz->nserved == jz->served_cap) {
        jz->served_cap = jz->served_cap ? 2 * jz->served_cap : 16;
        jz->served_step = mem_resize(jz->served_step, jz->served_cap * sizeof step);
    }
    jz->served_step[jz->nserved++] = step;
}

/* The step: who, when, and the change of every layer that is told as one. */
static void step_encode(struct journal_write *w, const struct journal_accept *what)
{
    const struct version *v = what->version;
    const struct changeset *served = what->layer[what->nlayers - 1].delta;
    struct soa input = {0};
    struct journal_step step = {
        .step = w->step,
        .at = v->accepted_at,
        .has_from = served && served->has_from,
        .from = served ? served->from : 0,
        .to = v->soa.serial,
        .notes = v->findings->by_verdict[STAGE_PASS],
        .names = v->served->names,
        .records = v->served->records,
        .nlayers = what->nlayers,
    };
    snprintf(step.origin, sizeof step.origin, "%s", v->origin);
    if (snapshot_soa(v->input, &input))
        step.input = input.serial;
    for (unsigned i = 0; i < what->nlayers; i++) {
        const struct journal_layer_change *l = &what->layer[i];
        uint64_t octets = l->delta ? changeset_octets(l->delta) : 0;
        step.has_delta[i] = l->delta && octets <= l->snapshot->bytes + CHUNK_OCTETS &&
                            step.octets + octets <= STEP_OCTETS_MAX;
        w->layer[i].image = !step.has_delta[i] || w->zone->nlayers != what->nlayers;
        w->layer[i].octets = step.has_delta[i] ? octets : 0;
        step.octets += w->layer[i].octets;
    }
    journal_step_save(&step, &w->value);
    for (unsigned i = 0; i < what->nlayers; i++)
        if (step.has_delta[i])
            changeset_save(what->layer[i].delta, &w->value);
    if (!step.has_delta[what->nlayers - 1])
        w->zone->nserved = 0;
    else if (served->n)
        served_step_add(w->zone, w->step);
}

/* The version's history is `steps` long; so many of the journal's newest steps hold it. Some of those may change nothing of what is
 * served: the input alone, or another layer. A history with too many of them is shortened, for they would only be kept for it. */
static unsigned history_steps(struct journal_zone *jz, unsigned steps)
{
    unsigned gone = jz->nserved > steps ? jz->nserved - steps : 0;
    while (gone < jz->nserved &&
           jz->last_step - jz->served_step[gone] >= jz->nserved - gone + EMPTY_MAX)
        gone++;
    jz->nserved -= gone;
    if (jz->nserved == 0)
        return 0;
    memmove(jz->served_step, jz->served_step + gone, jz->nserved * sizeof jz->served_step[0]);
    return (unsigned)(jz->last_step + 1 - jz->served_step[0]);
}

void journal_accept(struct journal_zone *jz, const struct journal_accept *what)
{
    ASSERT(what->nlayers > 0 && what->nlayers <= JOURNAL_LAYERS_MAX);
    struct journal_write *w = write_new(jz, WRITE_ACCEPT, what->nlayers);
    bool changed = !what->by_time || jz->nlayers != what->nlayers;
    w->done = what->done;
    w->ctx = what->ctx;
    w->unhold = what->unhold;
    for (unsigned i = 0; i < what->nlayers; i++)
        w->layer[i].snapshot = snapshot_ref(what->layer[i].snapshot);
    journal_about_save(what->version, what->stage_layer, &w->about);
    if (changed) {
        w->step = ++jz->last_step;
        step_encode(w, what);
        jz->nlayers = what->nlayers;
    }
    w->history = history_steps(jz, what->history);
    write_queue(w);
}

void journal_hold(struct journal_zone *jz, const struct changeset *input, const char *origin)
{
    if (changeset_octets(input) > STEP_OCTETS_MAX) { /* it will be fetched again */
        journal_unhold(jz);
        return;
    }
    struct journal_write *w = write_new(jz, WRITE_HOLD, 0);
    growbuf_u64(&w->value, jz->last_step);
    growbuf_u8(&w->value, (uint8_t)strlen(origin));
    growbuf_put(&w->value, origin, strlen(origin));
    changeset_save(input, &w->value);
    write_queue(w);
}

void journal_unhold(struct journal_zone *jz)
{
    write_queue(write_new(jz, WRITE_UNHOLD, 0));
}

void journal_ahead(struct journal_zone *jz, const struct snapshot *layer)
{
    if (layer->bytes <= SMALL_OCTETS)
        return;
    struct journal_write *w = write_new(jz, WRITE_AHEAD, 1);
    w->layer[0].snapshot = snapshot_ref(layer);
    write_queue(w);
}

void journal_ahead_drop(struct journal_zone *jz)
{
    write_queue(write_new(jz, WRITE_AHEAD_DROP, 0));
}

void write_purge(struct journal_zone *jz)
{
    write_queue(write_new(jz, WRITE_PURGE, 0));
}

/* ---- the journal's thread ---- */

/* The layer's new row. An image that is small is written here and now. */
static int layer_apply(struct journal *j, struct db_txn *txn, struct journal_write *w, unsigned i,
                       const struct journal_layer *before, struct journal_layer *out,
                       struct why *why)
{
    struct write_layer *l = &w->layer[i];
    if (before)
        *out = *before;
    out->step_octets += l->octets;
    bool small = l->snapshot->bytes <= SMALL_OCTETS;
    if (!l->image && !(small && image_due(out)))
        return 0;
    if (l->imaged) {
        *out = l->made;
    } else {
        struct journal_image *im = image_new(j, l->snapshot);
        int err = image_write(j, txn, im, SIZE_MAX / 2, why);
        image_layer(im, w->step, out);
        image_free(&im);
        if (err)
            return err;
    }
    if (before)
        garbage_add(j, JOURNAL_CHUNK, before->image, 0, UINT64_MAX);
    return 0;
}

/* Steps that nobody needs: before what the history leads from, and in every layer's image already. */
static int steps_drop(struct db_txn *txn, struct journal_row *row, struct why *why)
{
    uint64_t keep = row->newest -
                    row->history; /* one more, so that what the history leads from is listed, too */
    for (unsigned i = 0; i < row->nlayers; i++)
        if (row->layer[i].image_step + 1 < keep)
            keep = row->layer[i].image_step + 1;
    for (unsigned n = 0; row->oldest < keep && n < GARBAGE_SLICE; n++, row->oldest++) {
        struct journal_key key = journal_key_step(row->zone, row->oldest);
        int err = db_del(txn, key.octets, key.len, why);
        if (err)
            return err;
    }
    return 0;
}

static int unhold_apply(struct db_txn *txn, const struct journal_zone *jz, struct why *why)
{
    struct journal_key key = journal_key_id(JOURNAL_HELD, jz->row->zone);
    return db_del(txn, key.octets, key.len, why);
}

static int accept_apply(struct journal *j, struct db_txn *txn, struct journal_write *w,
                        struct why *why)
{
    struct journal_zone *jz = w->zone;
    struct journal_row was = row_unpack(jz->row), now = was, *row = &now;
    int err = 0;
    if (w->step) {
        row->nlayers = w->nlayers;
        row->newest = w->step;
        for (unsigned i = 0; !err && i < w->nlayers; i++) {
            row->layer[i] = (struct journal_layer){0};
            err = layer_apply(j, txn, w, i, i < was.nlayers ? &was.layer[i] : NULL, &row->layer[i],
                              why);
        }
        for (unsigned i = w->nlayers; i < was.nlayers; i++)
            garbage_add(j, JOURNAL_CHUNK, was.layer[i].image, 0, UINT64_MAX);
        struct journal_key key = journal_key_step(row->zone, w->step);
        size_t len = w->value.len;
        if (!err)
            err = value_put(j, txn, &key, &w->value, why);
        w->value.len = len; /* without the sum, in case it is done again */
    }
    row->history = w->history;
    if (row->history > row->newest + 1 - row->oldest)
        row->history = (uint32_t)(row->newest + 1 - row->oldest);
    if (!err)
        err = steps_drop(txn, row, why);
    if (!err && w->unhold)
        err = unhold_apply(txn, jz, why);
    if (err)
        return err;
    row_change(j, jz, row);
    j->scratch.len = 0;
    journal_row_save(row, w->about.p, w->about.len, &j->scratch);
    struct journal_key key = journal_key_row(jz->name);
    return value_put(j, txn, &key, &j->scratch, why);
}

int write_apply(struct journal *j, struct db_txn *txn, struct journal_write *w, struct why *why)
{
    struct journal_key key = journal_key_id(JOURNAL_HELD, w->zone->row->zone);
    size_t len = w->value.len;
    int err;
    if (atomic_load(&w->zone->retired)) {
        for (unsigned i = 0; i < w->nlayers; i++)
            if (w->layer[i].imaged)
                garbage_add(j, JOURNAL_CHUNK, w->layer[i].made.image, 0, UINT64_MAX);
        return 0;
    }
    switch (w->kind) {
    case WRITE_ACCEPT:
        return accept_apply(j, txn, w, why);
    case WRITE_HOLD:
        err = value_put(j, txn, &key, &w->value, why);
        w->value.len = len;
        return err;
    case WRITE_UNHOLD:
        return unhold_apply(txn, w->zone, why);
    case WRITE_PURGE:
        return purge_apply(j, txn, w->zone, why);
    case WRITE_AHEAD:
    case WRITE_AHEAD_DROP: /* write_prepare has done it */
        break;
    }
    UNREACHABLE();
}

/* Of the layers that are due, the one with the oldest image: so each has its turn, even where every version makes all of them due. -1: none. */
static int layer_due(const struct journal_row *row)
{
    int due = -1;
    for (unsigned i = 0; i < row->nlayers; i++)
        if (image_due(&row->layer[i]) &&
            (due < 0 || row->layer[i].image_step < row->layer[due].image_step))
            due = (int)i;
    return due;
}

void write_compact(struct journal *j, const struct journal_write *w)
{
    struct journal_zone *jz = w->zone;
    if (w->kind != WRITE_ACCEPT || !w->step || atomic_load(&jz->retired) || jz->compacting ||
        w->step != jz->row->newest)
        return;
    struct journal_row row = row_unpack(jz->row);
    int due = layer_due(&row);
    if (due < 0)
        return;
    const struct journal_layer *l = &row.layer[due];
    struct journal_image *im = image_new(j, w->layer[due].snapshot);
    im->zone = jz;
    atomic_fetch_add_explicit(&jz->refs, 1, memory_order_relaxed);
    im->layer = (unsigned)due;
    im->step = w->step;
    im->step_octets = l->step_octets;
    im->replaces = l->image;
    *j->images_end = im;
    j->images_end = &im->next;
    jz->compacting = true;
}
