/* sign: an unsigned zone comes in, a signed one goes out.
 *
 *      keys ─▶ may they sign? (keys.c)
 *      delta ─▶ names that it touched (walk.c) ─▶ each with denial and signatures (name.c, rrset.c) ─┐
 *      time ─▶ signatures whose turn it is (renew.c) ────────────────────────────────────────────────┼─▶ output (batch.c)
 *      and at last the apex: keys, serial, digest (apex.c) ──────────────────────────────────────────┘
 *
 * The first version is signed whole, over the worker pool. After it a change costs what it touches: an rrset that is as it was keeps
 * its signatures. Time costs what its passing brings: a batch of names now and then, each name once a period (cursor.c). Keys cost
 * nothing but the sets that they are in, unless one is gone whose signatures must go with it.
 *
 * Either all of a version is signed or there is a finding and the version before stays. Nothing is verified here: that is the
 * stage validate's, behind this one.
 */
#include "stages/sign/sign.h"

/* A signature that no KSK elsewhere made (prepared.c)? */
static bool is_signed(const struct signing *s, const struct node *node)
{
    for (unsigned i = 0; i < node->nrrsets; i++) {
        struct rrset set;
        node_rrset_at(node, i, &set);
        bool apex = set.type == RR_RRSIG && name_equal(node_name(node), s->apex_name);
        if (set.type == RR_RRSIG && !(apex && prepared_is_input(s, &set)))
            return true;
    }
    return false;
}

static void name_judge(struct signing *s, const struct node *node)
{
    static const uint16_t types[] = {RR_RRSIG, RR_NSEC, RR_NSEC3, RR_NSEC3PARAM};
    char text[RRTYPE_TEXT_MAX];
    for (unsigned t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
        if (types[t] == RR_RRSIG ? !is_signed(s, node) : !node_has(node, types[t]))
            continue;
        finding_add(s->run->findings, SIGN_INPUT_SIGNED, node_name(node), types[t], 0, 0,
                    rrtype_print(types[t], text));
        s->failed = true;
    }
}

/* Is there something that only a signer puts into a zone? While the zone went out unsigned nobody asked. */
static bool input_judge(struct signing *s)
{
    const struct changeset *delta = s->run->delta;
    struct snapshot_iter it;
    if (s->last && !s->last->is_signed)
        for (const struct node *node = snapshot_first(&it, s->run->next); node;
             node = snapshot_next(&it))
            name_judge(s, node);
    else
        for (size_t i = 0; i < delta->n; i++)
            if (delta->change[i].now)
                name_judge(s, delta->change[i].now);
    if (node_has(s->apex, RR_ZONEMD)) {
        finding_add(s->run->findings, SIGN_INPUT_SIGNED, s->apex_name, RR_ZONEMD, 0, 0, "ZONEMD");
        s->failed = true;
    }
    return !s->failed;
}

/* Nothing is known of the last output, or nothing of it is to stay: it is made from nothing. */
static void output_clear(struct signing *s)
{
    struct snapshot_iter it;
    const struct node *node;
    while ((node = snapshot_first(&it, edit_view(s->run->out))))
        edit_remove(s->run->out, node_name(node));
    s->changed = true;
}

/* The options that say when may be others than those that the output was made with (stage_sign.later): what there is stays. */
static void options_follow(struct signing *s)
{
    struct expiries *e = &s->state->expiries;
    bool comes_far = e->far_from != NEVER && s->run->now + s->conf->validity >= e->far_from;
    if (e->width != expiries_width(s->conf) || (comes_far && e->far > 0))
        tally_expiries(s);
    if (e->far == 0)
        e->far_from = NEVER;
    cursor_pace(&s->state->cursor, s->state->rrsets, cursor_period(s->conf), s->run->now);
}

static bool signing_open(struct signing *s)
{
    struct stage_run *run = s->run;
    const struct sign_state *last = run->state;
    s->apex = snapshot_apex(run->next);
    if (!s->apex || !snapshot_soa(run->next, &s->soa)) {
        finding_add(run->findings, SIGN_SOA_MISSING, s->apex_name, RR_SOA, 0, 0, NULL);
        return false;
    }
    s->nsec_ttl = s->soa.minimum < s->soa.ttl ? s->soa.minimum : s->soa.ttl;
    /* The operator has said that nothing of it is to stay: clocks were wrong, and so are its times. */
    bool anew = last && run->keys && last->resigns != run->keys->resigns;
    if (run->prev && last && !anew)
        s->last = last;
    if (!sign_keys_open(s))
        return false;
    s->workers = par_width(run->par);
    s->worker = arena_zalloc(run->scratch, s->workers * sizeof(s->worker[0]));
    s->state = sign_state_new(s->conf, run->now);
    if (s->last)
        memcpy(s->state, s->last, sizeof(*s->state));
    s->state->seen = run->now;
    s->state->resigns = run->keys->resigns;
    if (s->last)
        options_follow(s);
    else
        output_clear(s);
    return true;
}

static bool zone_sign(struct signing *s)
{
    const struct sign_state *last = s->last;
    int64_t apex_keep = keep_touched(s);
    if (!input_judge(s) || !apex_fits(s))
        return false;
    s->all = !last || !last->is_signed || last->nsec_ttl != s->nsec_ttl;
    s->empty = !s->last;
    if (s->all && (!last || !last->is_signed))
        cursor_begin(&s->state->cursor, cursor_period(s->conf), s->run->now);
    s->state->is_signed = true;
    s->state->nsec_ttl = s->nsec_ttl;
    if (!names_sign(s))
        return false;
    bool ended = last && s->run->now > last->seen + s->conf->validity;
    if (!s->all && (ended || sign_keys_turned(s)) && !renew_all(s))
        return false;
    if (last && !renew_run(s, &apex_keep))
        return false;
    s->passing = s->apex_passed;
    return apex_sign(s, apex_keep);
}

static bool zone_mirror(struct signing *s)
{
    s->all = !s->last || s->last->is_signed;
    s->empty = !s->last;
    s->state->is_signed = false;
    s->state->sweeping = false;
    s->state->sweep_len = 0;
    s->state->keys_end = NEVER;
    names_mirror(s);
    s->empty = false;
    apex_mirror(s);
    return true;
}

/* Keys that have no signature any more are remembered until the last that they made has ended. */
static void keys_forget(struct signing *s)
{
    struct sign_state *state = s->state;
    unsigned kept = 0, taken = 0;
    for (unsigned i = 0; i < state->nkeys; i++)
        taken += state->key[i].use.signatures > 0;
    for (unsigned i = 0; i < state->nkeys; i++) {
        struct key_use *use = &state->key[i].use;
        bool room = taken < KEYSET_KEYS_MAX && use->last_expiration >= s->run->now;
        if (use->signatures == 0 && !room)
            continue;
        taken += use->signatures == 0;
        state->key[kept++] = state->key[i];
    }
    memset(state->key + kept, 0, (state->nkeys - kept) * sizeof(state->key[0]));
    state->nkeys = kept;
}

static void times_set(struct signing *s)
{
    struct stage_run *run = s->run;
    if (!s->state->is_signed)
        return;
    int64_t first = expiries_first(&s->state->expiries, run->now);
    run->wake_at = renew_wake_at(s);
    run->good_until = (time_t)(first < s->state->keys_end ? first : s->state->keys_end);
}

/* A state that says the same is not a new one. */
static void state_keep(struct signing *s)
{
    keys_forget(s);
    int64_t seen = s->state->seen;
    if (s->last) {
        s->state->seen = s->last->seen;
        if (!s->changed && memcmp(s->state, s->last, sizeof(*s->state)) == 0)
            return;
    }
    s->state->seen = seen;
    s->run->next_state = s->state;
    s->state = NULL;
}

static void sign_run(struct stage_run *run)
{
    static const struct denial *const denials[] = {
        [SIGN_NSEC] = &denial_nsec,
        [SIGN_NSEC3] = &denial_nsec3,
    };
    struct signing s = {.run = run, .conf = run->conf, .apex_name = snapshot_apex_name(run->next)};
    s.denial = denials[s.conf->denial];
    if (signing_open(&s)) {
        bool good = run->keys->unsigned_zone ? zone_mirror(&s) : zone_sign(&s);
        if (good) {
            times_set(&s);
            state_keep(&s);
        }
    }
    workers_close(&s);
    node_unref(s.keys.input.node);
    mem_free(&s.state);
}

/* What is signed is signed until its time comes, and the apex is made at each run. A digest of the zone is not among these: it is in the types
 * that are denied. */
static const char *const later[] = {
    "validity",        "refresh",       "jitter", "inception_offset", "dnskey_ttl",
    "dnskey_validity", "prepared_warn", "serial", "cds_digest",       NULL};

const struct stage_type stage_sign = {
    .name = "sign",
    .summary = "signs a zone, and keeps its signatures fresh",
    .flags = STAGE_DNSSEC_ONLY | STAGE_INEXACT,
    .conf_size = sizeof(struct sign_conf),
    .options = sign_options,
    .later = later,
    .findings = sign_findings,
    .conf_check = sign_conf_check,
    .run = sign_run,
    .state_free = sign_state_free,
    .state_save = sign_state_save,
    .state_load = sign_state_load,
    .keys_used = sign_state_keys_used,
};
