/* The journal's keys and values.
 *
 *   row     u8 format | u64 zone | u64 oldest | u64 newest | u32 history | u8 layers
 *           | each: u64 image, u64 image step, u64 image octets, u64 step octets, u32 chunks | about
 *   about   i64 accepted at | u8 len, origin | u32 len, chain | u8 stages
 *           | each: u8 len, name | u8 layer | i64 wake at, good until, serve until | u32 len + 1, state, or 0: none, or ~0: lost | findings
 *           | u32 len, caches (caches_record.c)
 *   step    u64 step | i64 at | u8 has from | u32 from, to, input | u8 len, origin | u64 notes, names, records
 *           | u8 layers | each: u8 has delta | u64 octets | the deltas (octets.h)
 *   chunk   u32 nodes | the nodes (octets.h)
 *   held    u64 step that it is based on | u8 len, origin | changeset
 *   timers  i64 checked at | i64 expires at
 *
 * and behind each of them its u64 checksum. */
#include "pipeline/run/journal_record.h"

#include "pipeline/base/checksum.h"

#include <string.h>

enum { SUM_OCTETS = 8 };
static const uint32_t STATE_LOST = UINT32_MAX;

/* ---- keys ---- */

struct journal_key journal_key(enum journal_kind kind)
{
    return (struct journal_key){.octets = {(uint8_t)kind}, .len = 1};
}

struct journal_key journal_key_format(unsigned copy)
{
    struct journal_key key = journal_key(JOURNAL_VERSION);
    if (copy)
        key.octets[key.len++] = 2;
    return key;
}

struct journal_key journal_key_id(enum journal_kind kind, uint64_t id)
{
    struct journal_key key = journal_key(kind);
    put_u64(key.octets + 1, id);
    key.len = 9;
    return key;
}

struct journal_key journal_key_step(uint64_t zone, uint64_t step)
{
    struct journal_key key = journal_key_id(JOURNAL_STEP, zone);
    put_u64(key.octets + 9, step);
    key.len = 17;
    return key;
}

struct journal_key journal_key_chunk(uint64_t image, uint32_t number)
{
    struct journal_key key = journal_key_id(JOURNAL_CHUNK, image);
    put_u32(key.octets + 9, number);
    key.len = 13;
    return key;
}

struct journal_key journal_key_row(const uint8_t *name)
{
    struct journal_key key = journal_key(JOURNAL_ROW);
    key.len = 1 + name_copy_lower(key.octets + 1, name);
    return key;
}

bool journal_key_has_id(const struct db_item *item, enum journal_kind kind, uint64_t *id,
                        uint64_t *rest)
{
    if (item->key_len < 9 || item->key[0] != (uint8_t)kind)
        return false;
    *id = get_u64(item->key + 1);
    if (rest)
        *rest = item->key_len == 17   ? get_u64(item->key + 9)
                : item->key_len == 13 ? get_u32(item->key + 9)
                                      : 0;
    return true;
}

/* ---- sums ---- */

void journal_seal(struct growbuf *value, const struct journal_key *key)
{
    uint64_t seed = checksum64(0, key->octets, key->len);
    growbuf_u64(value, checksum64(seed, value->p, value->len));
}

int journal_unseal(const struct db_item *item, struct rbuf *out, struct why *why)
{
    if (item->value_len < SUM_OCTETS)
        return why_set(why, -E_FORMAT, "a record of %zu octets is none", item->value_len);
    size_t n = item->value_len - SUM_OCTETS;
    uint64_t seed = checksum64(0, item->key, item->key_len);
    if (checksum64(seed, item->value, n) != get_u64(item->value + n))
        return why_set(why, -E_FORMAT,
                       "the checksum of a record of kind '%c' and %zu octets is wrong",
                       item->key_len ? item->key[0] : '?', item->value_len);
    *out = rbuf_open(item->value, n);
    return 0;
}

/* ---- small things ---- */

static void short_text_save(const char *text, struct growbuf *out)
{
    size_t n = strlen(text);
    ASSERT(n < 256);
    growbuf_u8(out, (uint8_t)n);
    growbuf_put(out, text, n);
}

static void origin_load(struct rbuf *in, char origin[96])
{
    size_t n = rbuf_u8(in);
    const uint8_t *p = rbuf_take(in, n);
    origin[0] = 0;
    if (!p)
        return;
    if (n > 95)
        n = 95;
    memcpy(origin, p, n);
    origin[n] = 0;
}

static int malformed(struct why *why, const char *what)
{
    return why_set(why, -E_FORMAT, "%s is malformed", what);
}

/* ---- row ---- */

void journal_row_save(const struct journal_row *row, const uint8_t *about, size_t about_len,
                      struct growbuf *out)
{
    growbuf_u8(out, JOURNAL_FORMAT);
    growbuf_u64(out, row->zone);
    growbuf_u64(out, row->oldest);
    growbuf_u64(out, row->newest);
    growbuf_u32(out, row->history);
    growbuf_u8(out, (uint8_t)row->nlayers);
    for (unsigned i = 0; i < row->nlayers; i++) {
        const struct journal_layer *l = &row->layer[i];
        growbuf_u64(out, l->image);
        growbuf_u64(out, l->image_step);
        growbuf_u64(out, l->image_octets);
        growbuf_u64(out, l->step_octets);
        growbuf_u32(out, l->chunks);
    }
    growbuf_put(out, about, about_len);
}

int journal_row_load(struct rbuf *in, struct journal_row *row, struct rbuf *about, struct why *why)
{
    *row = (struct journal_row){0};
    unsigned format = rbuf_u8(in);
    if (format != JOURNAL_FORMAT)
        return why_set(why, -E_UNSUPPORTED, "the zone's row has format %u; this weir reads %d",
                       format, JOURNAL_FORMAT);
    row->zone = rbuf_u64(in);
    row->oldest = rbuf_u64(in);
    row->newest = rbuf_u64(in);
    row->history = rbuf_u32(in);
    row->nlayers = rbuf_u8(in);
    if (in->bad || row->nlayers == 0 || row->nlayers > JOURNAL_LAYERS_MAX || row->newest == 0 ||
        row->oldest > row->newest + 1 || row->history > row->newest + 1 - row->oldest)
        return malformed(why, "the zone's row");
    for (unsigned i = 0; i < row->nlayers; i++) {
        struct journal_layer *l = &row->layer[i];
        l->image = rbuf_u64(in);
        l->image_step = rbuf_u64(in);
        l->image_octets = rbuf_u64(in);
        l->step_octets = rbuf_u64(in);
        l->chunks = rbuf_u32(in);
        if (l->image_step > row->newest || l->image_step + 1 < row->oldest)
            return malformed(why, "a layer of the zone's row");
    }
    if (in->bad)
        return malformed(why, "the zone's row");
    *about = *in;
    return 0;
}

/* ---- about ---- */

static void stage_save(const struct version *v, unsigned i, unsigned layer, struct growbuf *out)
{
    const struct stage_result *r = &v->result[i];
    size_t len = 0;
    uint8_t *state;
    bool kept = version_state_save(v, i, &state, &len);
    short_text_save(v->chain->stage[i].type->name, out);
    growbuf_u8(out, (uint8_t)layer);
    growbuf_u64(out, (uint64_t)r->wake_at);
    growbuf_u64(out, (uint64_t)r->good_until);
    growbuf_u64(out, (uint64_t)r->serve_until);
    growbuf_u32(out, !kept ? STATE_LOST : state ? (uint32_t)len + 1 : 0);
    growbuf_put(out, state, state ? len : 0);
    mem_free(&state);
}

void journal_about_save(const struct version *v, const unsigned *layer, struct growbuf *out)
{
    ASSERT(v->n <= JOURNAL_STAGES_MAX);
    char *chain = chain_print(v->chain, NULL);
    growbuf_u64(out, (uint64_t)v->accepted_at);
    short_text_save(v->origin, out);
    growbuf_u32(out, (uint32_t)strlen(chain));
    growbuf_put(out, chain, strlen(chain));
    mem_free(&chain);
    growbuf_u8(out, (uint8_t)v->n);
    for (unsigned i = 0; i < v->n; i++)
        stage_save(v, i, layer[i], out);
    journal_findings_save(v->findings, out);
    growbuf_u32(out, (uint32_t)v->caches_len);
    growbuf_put(out, v->caches, v->caches_len);
}

static void stage_load(struct rbuf *in, struct journal_stage *s)
{
    s->name_len = rbuf_u8(in);
    s->name = (const char *)rbuf_take(in, s->name_len);
    s->layer = rbuf_u8(in);
    s->wake_at = (int64_t)rbuf_u64(in);
    s->good_until = (int64_t)rbuf_u64(in);
    s->serve_until = (int64_t)rbuf_u64(in);
    uint32_t len = rbuf_u32(in);
    s->state_lost = len == STATE_LOST;
    if (s->state_lost)
        len = 0;
    s->state_len = len ? len - 1 : 0;
    s->state = len ? rbuf_take(in, s->state_len) : NULL;
}

int journal_about_load(struct rbuf *in, struct journal_about *about, struct why *why)
{
    *about = (struct journal_about){0};
    about->accepted_at = (int64_t)rbuf_u64(in);
    origin_load(in, about->origin);
    about->chain_len = rbuf_u32(in);
    about->chain = (const char *)rbuf_take(in, about->chain_len);
    about->nstages = rbuf_u8(in);
    if (in->bad || about->nstages > JOURNAL_STAGES_MAX)
        return malformed(why, "what is known of the version");
    for (unsigned i = 0; i < about->nstages; i++) {
        stage_load(in, &about->stage[i]);
        if (about->stage[i].layer >= JOURNAL_LAYERS_MAX)
            return malformed(why, "what is known of the version's stages");
    }
    if (in->bad)
        return malformed(why, "what is known of the version's stages");
    about->findings = *in;
    return 0;
}

/* ---- step ---- */

void journal_step_save(const struct journal_step *s, struct growbuf *out)
{
    growbuf_u64(out, s->step);
    growbuf_u64(out, (uint64_t)s->at);
    growbuf_u8(out, s->has_from);
    growbuf_u32(out, s->from);
    growbuf_u32(out, s->to);
    growbuf_u32(out, s->input);
    short_text_save(s->origin, out);
    growbuf_u64(out, s->notes);
    growbuf_u64(out, s->names);
    growbuf_u64(out, s->records);
    growbuf_u8(out, (uint8_t)s->nlayers);
    for (unsigned i = 0; i < s->nlayers; i++)
        growbuf_u8(out, s->has_delta[i]);
    growbuf_u64(out, s->octets);
}

int journal_step_load(struct rbuf *in, struct journal_step *s, struct why *why)
{
    *s = (struct journal_step){0};
    s->step = rbuf_u64(in);
    s->at = (int64_t)rbuf_u64(in);
    s->has_from = rbuf_u8(in);
    s->from = rbuf_u32(in);
    s->to = rbuf_u32(in);
    s->input = rbuf_u32(in);
    origin_load(in, s->origin);
    s->notes = rbuf_u64(in);
    s->names = rbuf_u64(in);
    s->records = rbuf_u64(in);
    s->nlayers = rbuf_u8(in);
    if (in->bad || s->nlayers == 0 || s->nlayers > JOURNAL_LAYERS_MAX)
        return malformed(why, "a step");
    for (unsigned i = 0; i < s->nlayers; i++)
        s->has_delta[i] = rbuf_u8(in);
    s->octets = rbuf_u64(in);
    return in->bad ? malformed(why, "a step") : 0;
}

/* ---- findings ----
 * u32 findings | each: u8 len, stage | u8 len, code | u8 verdict | u8 observed | u8 would | u8 has owner, owner | u16 type
 * | u64 n0 | u64 n1 | u32 len + 1 or 0, text; then u64 totals of the four verdicts */

void journal_findings_save(const struct findings *f, struct growbuf *out)
{
    size_t n = f ? f->n : 0;
    growbuf_u32(out, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        const struct finding *x = &f->list[i];
        short_text_save(x->stage->name, out);
        short_text_save(x->type->code, out);
        growbuf_u8(out, (uint8_t)x->verdict);
        growbuf_u8(out, x->observed);
        growbuf_u8(out, (uint8_t)x->would);
        growbuf_u8(out, x->owner != NULL);
        if (x->owner)
            growbuf_put(out, x->owner, name_len(x->owner));
        growbuf_u16(out, x->rrtype);
        growbuf_u64(out, (uint64_t)x->n0);
        growbuf_u64(out, (uint64_t)x->n1);
        growbuf_u32(out, x->text ? (uint32_t)strlen(x->text) + 1 : 0);
        growbuf_put(out, x->text, x->text ? strlen(x->text) : 0);
    }
    for (int v = 0; v < 4; v++)
        growbuf_u64(out, f ? f->by_verdict[v] : 0);
}

/* A word of a table, as a string of at most 255 octets. */
static bool word_load(struct rbuf *in, char word[256])
{
    size_t n = rbuf_u8(in);
    const uint8_t *p = rbuf_take(in, n);
    if (!p)
        return false;
    memcpy(word, p, n);
    word[n] = 0;
    return true;
}

static bool finding_load(struct rbuf *in, struct findings *f)
{
    char stage[256], code[256];
    struct finding x = {0};
    if (!word_load(in, stage) || !word_load(in, code))
        return false;
    unsigned verdict = rbuf_u8(in);
    x.observed = rbuf_u8(in);
    unsigned would = rbuf_u8(in);
    if (rbuf_u8(in)) {
        int n = name_valid(in->p, rbuf_left(in));
        if (n < 0)
            return false;
        x.owner = (uint8_t *)(uintptr_t)rbuf_take(in, (size_t)n);
    }
    x.rrtype = rbuf_u16(in);
    x.n0 = (int64_t)rbuf_u64(in);
    x.n1 = (int64_t)rbuf_u64(in);
    uint32_t len = rbuf_u32(in);
    const uint8_t *text = len ? rbuf_take(in, len - 1) : NULL;
    if (in->bad || verdict > STAGE_REJECT || would > STAGE_REJECT)
        return false;
    x.verdict = (enum verdict)verdict;
    x.would = (enum verdict)would;
    char *copy = NULL;
    if (text) {
        copy = mem_alloc(len);
        memcpy(copy, text, len - 1);
        copy[len - 1] = 0;
    }
    x.text = copy;
    findings_restore(f, stage, code, &x);
    mem_free(&copy);
    return true;
}

struct findings *journal_findings_load(struct rbuf *in)
{
    uint32_t n = rbuf_u32(in);
    if (in->bad || n > rbuf_left(in))
        return NULL;
    struct findings *f = findings_new(n);
    bool good = true;
    for (uint32_t i = 0; good && i < n; i++)
        good = finding_load(in, f);
    size_t total[4];
    for (int v = 0; v < 4; v++)
        total[v] = rbuf_u64(in);
    findings_close(f);
    if (!good || in->bad) {
        findings_unref(f);
        return NULL;
    }
    f->total = 0;
    for (int v = 0; v < 4; v++)
        f->total += f->by_verdict[v] = total[v];
    findings_share(&f);
    return f;
}
