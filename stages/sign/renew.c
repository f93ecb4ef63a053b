/* renew: signatures whose time has come.
 *
 * cursor   passes all names once a period (cursor.c has the pace) and makes anew what would not last until it comes back.
 * sweep    the count of signatures by when they end says that one has less left than the margin, so something is late: weir was
 *          down, or the zone grew so fast that the cursor cannot be in time. All names are looked at, many at a time, and only what
 *          is late is made anew.
 * all      a key is gone whose signatures must not stay, or an algorithm lacks some that is published already: all names at once.
 *
 * The output itself is what is walked, not the input: names of NSEC3 are among its names, and what must be signed at a name is
 * what is signed there. The apex is left to apex.c.
 */
#include "stages/sign/sign.h"

enum {
    RRSETS_STEP =
        2000, /* most for a wake-up of the cursor, when it is on time: twice what cursor.c plans */
    RRSETS_LATE = 8000, /* and when it is not; of the sweep */
    NAMES_STEP = 16384, /* looked at, whether or not there is something to do */
    SOON_S = 1
};

struct renewal {
    size_t n;
    int64_t keep;
    const struct node **node;
};

static struct node *renewal_build(void *ctx, struct signing *s, struct worker *w, size_t i)
{
    const struct renewal *r = ctx;
    return name_renew(s, w, r->node[i], r->keep);
}

static bool renewal_flush(struct signing *s, struct renewal *r)
{
    size_t n = r->n;
    r->n = 0;
    return n == 0 || batch_run(s, n, renewal_build, r);
}

static struct renewal renewal_open(const struct signing *s, int64_t keep)
{
    return (struct renewal){
        .keep = keep, .node = arena_alloc(s->run->scratch, BATCH_MAX * sizeof(struct node *))};
}

static uint64_t signed_rrsets(const struct signing *s, const struct node *node)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < node->nrrsets; i++)
        n += node->head[i].type == RR_RRSIG && !is_key_set(s, node, node->head[i].covered);
    return n;
}

/* The first name behind this one; of length 0: of all. */
static const struct node *node_behind(const struct snapshot *view, const uint8_t *name, uint8_t len,
                                      struct snapshot_iter *it)
{
    bool exact;
    if (len == 0)
        return snapshot_first(it, view);
    const struct node *node = snapshot_seek_ge(it, view, name, &exact);
    return exact ? snapshot_next(it) : node;
}

/* Walks on behind `at` (at_len 0: from the first name), renewing what ends before `keep`, until so many rrsets have been passed or
 * names looked at. The end was reached: *end. at moves on. Changes of the output end an iterator, so names are renewed a batch at a
 * time, and the walk goes on behind the last. */
static bool renew_walk(struct signing *s, uint8_t *at, uint8_t *at_len, uint64_t rrsets,
                       size_t names, int64_t keep, uint64_t *passed, bool *end)
{
    struct renewal r = renewal_open(s, keep);
    bool good = true;
    *passed = 0;
    *end = false;
    while (good && !*end && *passed < rrsets && names > 0) {
        struct snapshot_iter it;
        const struct node *node = node_behind(edit_view(s->run->out), at, *at_len, &it);
        const struct node *last = NULL;
        for (; node && r.n < BATCH_MAX && *passed < rrsets && names > 0;
             node = snapshot_next(&it), names--) {
            uint64_t has = signed_rrsets(s, node);
            last = node;
            s->run->visited++;
            *passed += has;
            if (has > 0 && !name_equal(node_name(node), s->apex_name))
                r.node[r.n++] = node;
        }
        *end = !node;
        if (last)
            *at_len = (uint8_t)name_copy(at, node_name(last));
        good = renewal_flush(s, &r);
    }
    return good;
}

bool renew_all(struct signing *s)
{
    uint8_t at[NAME_MAX_OCTETS], at_len = 0;
    uint64_t passed;
    bool end;
    return renew_walk(s, at, &at_len, UINT64_MAX, SIZE_MAX, keep_touched(s), &passed, &end);
}

static bool cursor_step(struct signing *s, int64_t *apex_keep)
{
    struct sign_state *state = s->state;
    struct cursor *c = &state->cursor;
    int64_t now = s->run->now;
    if (now < cursor_due(c, state->rrsets))
        return true;
    uint64_t quota = cursor_quota(c, state->rrsets, now), passed;
    uint64_t most = quota > RRSETS_STEP ? RRSETS_LATE : RRSETS_STEP;
    bool end;
    s->apex_passed = c->at_len == 0;
    if (s->apex_passed)
        *apex_keep = keep_passed(s);
    s->passing = true;
    bool good = renew_walk(s, c->at, &c->at_len, quota < most ? quota : most, NAMES_STEP,
                           keep_passed(s), &passed, &end);
    s->passing = false;
    if (!good)
        return false;
    c->behind = end ? state->rrsets : c->behind + passed;
    if (!end || now - c->began < c->period)
        return true;
    cursor_turn(c, cursor_period(s->conf), now);
    return true;
}

/* When the first signature has no more than the margin left. */
static int64_t sweep_at(const struct signing *s)
{
    int64_t first = expiries_first(&s->state->expiries, s->run->now);
    return first == NEVER ? NEVER : first - s->conf->refresh;
}

static bool sweep_step(struct signing *s, int64_t *apex_keep)
{
    struct sign_state *state = s->state;
    if (!state->sweeping && s->run->now < sweep_at(s))
        return true;
    uint64_t passed;
    bool end;
    int64_t keep = keep_touched(s) + state->expiries.width;
    if (*apex_keep < keep)
        *apex_keep = keep;
    state->sweeping = true;
    if (!renew_walk(s, state->sweep, &state->sweep_len, RRSETS_LATE, NAMES_STEP, keep, &passed,
                    &end))
        return false;
    if (end) {
        state->sweeping = false;
        state->sweep_len = 0;
    }
    return true;
}

bool renew_run(struct signing *s, int64_t *apex_keep)
{
    return cursor_step(s, apex_keep) && sweep_step(s, apex_keep);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

time_t renew_wake_at(const struct signing *s)
{
    const struct sign_state *state = s->state;
    int64_t at = cursor_due(&state->cursor, state->rrsets);
    if (state->sweeping)
        at = s->run->now;
    at = earlier(at, sweep_at(s));
    if (s->keys.prepared) {
        at = earlier(at, s->keys.prepared->until + 1);
        at = earlier(at, s->keys.prepared_next);
    } else if (state->keys_end != NEVER) {
        at = earlier(at, state->keys_end - keys_margin(s->conf) + 1);
    }
    return (time_t)(at > s->run->now ? at : s->run->now + SOON_S);
}
