/* batch: work shared out over the pool, and the one door to the output.
 *
 * Names are made BATCH_MAX at a time: in parallel, into an array; then put in order, one by one, since an edit has one writer. So
 * memory does not grow with the zone, and what is put is what is counted. A node that is equal to the one that is there changes
 * nothing.
 *
 * Once a worker has failed the others stop, nothing more is put, and the run ends: the edit is thrown away with all that is in it.
 */
#include "stages/sign/sign.h"

enum { CHUNK = 64 };

static void worker_open(struct worker *w)
{
    if (w->builder)
        return;
    w->builder = node_builder_new();
    w->scratch = dnssec_scratch_new();
    w->signer = dnssec_signer_new();
}

struct worker *worker_first(struct signing *s)
{
    worker_open(&s->worker[0]);
    return &s->worker[0];
}

void workers_close(struct signing *s)
{
    for (unsigned i = 0; i < s->workers; i++) {
        struct worker *w = &s->worker[i];
        s->run->visited += w->visited;
        node_builder_free(&w->builder);
        dnssec_scratch_free(&w->scratch);
        dnssec_signer_free(&w->signer);
    }
}

void worker_fail(struct worker *w, enum sign_code code, const uint8_t *owner, uint16_t type,
                 uint16_t tag, uint8_t algorithm, const struct why *why)
{
    if (w->failed)
        return;
    w->failed = true;
    w->code = code;
    name_copy(w->failed_at, owner);
    w->failed_type = type;
    w->failed_tag = tag;
    w->failed_algorithm = algorithm;
    w->why = why ? *why : (struct why){""};
}

bool signing_failed(struct signing *s)
{
    for (unsigned i = 0; i < s->workers && !s->failed; i++) {
        struct worker *w = &s->worker[i];
        if (!w->failed)
            continue;
        finding_add(s->run->findings, w->code, w->failed_at, w->failed_type, w->failed_tag,
                    w->failed_algorithm, w->why.text[0] ? w->why.text : NULL);
        s->failed = true;
    }
    return s->failed;
}

struct batch {
    struct signing *s;
    build_fn *build;
    void *ctx;
};

static void batch_build(void *ctx, unsigned worker, size_t begin, size_t end)
{
    const struct batch *b = ctx;
    struct worker *w = &b->s->worker[worker];
    worker_open(w);
    for (size_t i = begin; i < end; i++) {
        w->visited++;
        b->s->batch[i] = w->failed ? NULL : b->build(b->ctx, b->s, w, i);
    }
}

bool batch_run(struct signing *s, size_t n, build_fn *build, void *ctx)
{
    struct batch b = {s, build, ctx};
    ASSERT(n <= BATCH_MAX);
    if (!s->batch)
        s->batch = arena_alloc(s->run->scratch, BATCH_MAX * sizeof(s->batch[0]));
    s->view = edit_view(s->run->out);
    par_map(s->run->par, n, CHUNK, batch_build, &b);
    bool failed = signing_failed(s);
    for (size_t i = 0; i < n; i++) {
        if (s->batch[i] && !failed)
            output_put(s, s->batch[i]);
        else
            node_unref(s->batch[i]);
    }
    return !failed;
}

void output_put(struct signing *s, struct node *node)
{
    const struct node *was = s->empty ? NULL : edit_get(s->run->out, node_name(node));
    if (was && node_equal(was, node)) {
        node_unref(node);
        return;
    }
    if (was)
        tally_node(s, was, -1);
    tally_node(s, node, 1);
    edit_put(s->run->out, node);
    s->changed = true;
}

void output_remove(struct signing *s, const uint8_t *name)
{
    const struct node *was = edit_get(s->run->out, name);
    if (!was)
        return;
    tally_node(s, was, -1);
    edit_remove(s->run->out, name);
    s->changed = true;
}
