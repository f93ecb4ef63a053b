/* scope: what a change, or time, can have made wrong since the last version that was accepted.
 *
 *                                            names              signatures            NSEC3
 *   the first version; too many doubts       all                all                   all
 *   records changed                          walk_changed       those that changed    nsec3_change.c
 *   DNSKEY records changed
 *     and no signature names their tags      as above           as above              as above
 *     and some do                            all                theirs, too           as above
 *     and an algorithm is new                all                theirs, too           as above
 *   NSEC came or went                        all                those that changed    as above
 *   NSEC3PARAM changed                       all                those that changed    all
 *   time: a wake-up, or signatures are       all                those that changed    as above
 *     about to expire
 *
 * Looking at all names without verifying their signatures is quick, and needs no more than that: what was found good
 * once stays so until a key or the time makes it bad, and both are looked at each time. Between a wake-up for
 * signatures that are about to expire and their renewal, every change looks at all names.
 */
#include "stages/validate/validate.h"

static bool rrsets_equal(const struct node *a, const struct node *b, uint16_t type)
{
    struct rrset x, y;
    bool has_x = node_rrset(a, type, 0, &x), has_y = node_rrset(b, type, 0, &y);
    return has_x == has_y && (!has_x || rrset_equal(&x, &y, true));
}

static bool rrset_has(const struct rrset *set, struct rdata wanted)
{
    struct rdata rdata;
    for (const uint8_t *p = set->rdata; rrset_next(set, &p, &rdata);)
        if (rdata.len == wanted.len && memcmp(rdata.data, wanted.data, wanted.len) == 0)
            return true;
    return false;
}

static void turned_add(struct scope *scope, struct rdata rdata)
{
    struct key_id id = {dnssec_key_tag(rdata.data, rdata.len), rdata.data[3]};
    for (unsigned i = 0; i < scope->turned; i++)
        if (scope->key[i].tag == id.tag && scope->key[i].algorithm == id.algorithm)
            return;
    scope->key[scope->turned++] = id;
}

/* The keys of `set` that are not in `other`. */
static void turned_collect(struct scope *scope, const struct rrset *set, const struct rrset *other)
{
    struct rdata rdata;
    for (const uint8_t *p = set->rdata; rrset_next(set, &p, &rdata);)
        if (!rrset_has(other, rdata))
            turned_add(scope, rdata);
}

static bool algorithm_among(const struct rrset *keys, uint8_t algorithm)
{
    struct rdata rdata;
    for (const uint8_t *p = keys->rdata; rrset_next(keys, &p, &rdata);)
        if (rdata.data[3] == algorithm && get_u16(rdata.data) & DNSKEY_ZONE &&
            !(get_u16(rdata.data) & DNSKEY_REVOKE) && rdata.data[2] == 3)
            return true;
    return false;
}

/* Collects the keys that came or went. Is any name but the apex concerned? */
static bool keys_concern_names(struct check *check, const struct node *before)
{
    struct scope *scope = &check->scope;
    struct rrset was, now;
    if (!node_rrset(before, RR_DNSKEY, 0, &was) || !node_rrset(check->apex, RR_DNSKEY, 0, &now))
        return true;
    scope->key =
        arena_alloc(check->run->scratch, ((size_t)was.count + now.count) * sizeof(scope->key[0]));
    turned_collect(scope, &was, &now);
    turned_collect(scope, &now, &was);
    bool concern = check->keys.usable != check->state->usable;
    for (unsigned i = 0; i < scope->turned; i++)
        concern |= claims_any(&check->state->claims, scope->key[i].tag, scope->key[i].algorithm);
    for (unsigned i = 0; i < check->keys.algorithms; i++)
        concern |= !algorithm_among(&was, check->keys.algorithm[i]);
    return concern;
}

void scope_decide(struct check *check)
{
    const struct stage_run *run = check->run;
    const struct validate_state *state = check->state;
    const struct node *before = state && run->prev ? snapshot_apex(run->prev) : NULL;
    struct scope *scope = &check->scope;
    if (!before || (state->doubts && state->doubts->overflow)) {
        *scope = (struct scope){.all = true, .nsec3_all = true};
        return;
    }
    scope->trust = true;
    scope->nsec3_all =
        check->nsec3 && (!state->nsec3 || !rrsets_equal(before, check->apex, RR_NSEC3PARAM));
    scope->all = keys_concern_names(check, before) || scope->nsec3_all || run->woken ||
                 check->nsec != state->nsec || check->nsec3 != state->nsec3;
    scope->all |=
        state->earliest != NEVER && run->now > state->earliest - check->conf->min_remaining;
}
