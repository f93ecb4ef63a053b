/* validate: refuses a signed zone in which anything would not validate.
 *
 * One run: is it a zone at all (SOA, NS, keys) · which denial · every name in parallel: what is
 * there, signatures, NSEC · the NSEC3 chains · when to look again. The parts are in the files that
 * validate.h lists.
 *
 * The first version is judged whole; after it only what a change, or time, can have made wrong (scope.c,
 * walk.c). What passed stays right until time makes it wrong, so the state (state.c) holds when that will be: the
 * first moment at which an rrset has no good signature left. The stage asks to be woken min_remaining
 * before, and then at that moment. Without a change and without a wake-up there is nothing to say.
 *
 * After a part only, `earliest` is the smaller of the old one and the part's: never too late. It may
 * be the end of a signature that is gone; then one look at all of it too many is the price.
 */
#include "stages/validate/validate.h"

enum { NAMES_CHUNK = 256, LOOK_AGAIN_S = 60 };

static const char *const denial_words[] = {"nsec-only", "nsec3-only", "any", NULL};
static const char *const zonemd_words[] = {"require", "if-present", "ignore", NULL};
static const char *const at_expiry_words[] = {"serve", "servfail", NULL};
static const char *const signatures_words[] = {"per-algorithm", "any-key", NULL};

#define FIELD(name) .offset = offsetof(struct validate_conf, name)
static const struct option validate_options[] = {
    {.name = "denial",
     .kind = OPTION_ENUM,
     FIELD(denial),
     .fallback = "nsec-only",
     .words = denial_words,
     .help = "kind of denial that the zone may use; any also accepts both at once, or none"},
    {.name = "signatures",
     .kind = OPTION_ENUM,
     FIELD(signatures),
     .fallback = "per-algorithm",
     .words = signatures_words,
     .help = "per-algorithm: each algorithm of the DNSKEY set signs every rrset (RFC 4035 2.2); "
             "any-key: one good "
             "signature is enough, as it is for resolvers"},
    {.name = "zonemd",
     .kind = OPTION_ENUM,
     FIELD(zonemd),
     .fallback = "if-present",
     .words = zonemd_words,
     .help = "the digest of the zone (RFC 8976): require one that verifies, verify it if it is "
             "there (all of the zone is hashed then, at every change), or do not look at it"},
    {.name = "max_clock_skew",
     .kind = OPTION_SECONDS,
     FIELD(max_clock_skew),
     .fallback = "5m",
     .min = 0,
     .max = 86400,
     .help = "how far in the future a signature may begin"},
    {.name = "min_remaining",
     .kind = OPTION_SECONDS,
     FIELD(min_remaining),
     .fallback = "1h",
     .min = 0,
     .max = INT32_MAX,
     .help = "a signature with less time left than this is reported as expiring"},
    {.name = "at_expiry",
     .kind = OPTION_ENUM,
     FIELD(at_expiry),
     .fallback = "serve",
     .words = at_expiry_words,
     .help = "what becomes of the version that is served when the first of its signatures ends: "
             "serve it on, or answer "
             "SERVFAIL until there is a better one"},
    {.name = "max_keys",
     .kind = OPTION_INT,
     FIELD(max_keys),
     .fallback = "32",
     .min = 1,
     .max = 256,
     .help = "most DNSKEY records at the apex"},
    {.name = "max_keys_per_tag",
     .kind = OPTION_INT,
     FIELD(max_keys_per_tag),
     .fallback = "3",
     .min = 1,
     .max = 16,
     .help = "most keys with the same tag and algorithm; it also bounds how many tries with "
             "other keys of a tag one rrset is worth"},
    {.name = "max_signatures",
     .kind = OPTION_INT,
     FIELD(max_signatures),
     .fallback = "16",
     .min = 1,
     .max = 64,
     .help = "most signatures over one rrset"},
    {.name = "max_iterations",
     .kind = OPTION_INT,
     FIELD(max_iterations),
     .fallback = "100",
     .min = 0,
     .max = DNSSEC_NSEC3_ITERATIONS_MAX,
     .help = "most additional NSEC3 iterations"},
    {.name = "trust_anchor",
     .kind = OPTION_LIST,
     FIELD(trust_anchor),
     .help = "the DNSKEY set must be signed by one of these keys: \"TAG ALGORITHM DIGESTTYPE HEX\" "
             "(a DS, SHA-256 or SHA-384) or \"FLAGS 3 ALGORITHM BASE64\" (a DNSKEY)"},
    {.name = NULL},
};

/* --- one run --- */

/* SOA and NS at the apex. False: nothing more can be said. */
static bool apex_check(struct check *check)
{
    struct findings *findings = check->run->findings;
    struct rrset set;
    check->apex = snapshot_apex(check->run->next);
    if (!check->apex || !node_rrset(check->apex, RR_SOA, 0, &set)) {
        finding_add(findings, SOA_MISSING, check->apex_name, RR_SOA, 0, 0, NULL);
        return false;
    }
    bool any = snapshot_soa(check->run->next, &check->soa);
    ASSERT(any);
    check->nsec_ttl = check->soa.minimum < check->soa.ttl ? check->soa.minimum : check->soa.ttl;
    if (set.count != 1)
        finding_add(findings, SOA_MULTIPLE, check->apex_name, RR_SOA, set.count, 0, NULL);
    if (!node_has(check->apex, RR_NS))
        finding_add(findings, NS_MISSING, check->apex_name, RR_NS, 0, 0, NULL);
    return true;
}

static void workers_open(struct check *check)
{
    check->workers = par_width(check->run->par);
    check->worker = arena_zalloc(check->run->scratch, check->workers * sizeof(check->worker[0]));
    for (unsigned i = 0; i < check->workers; i++)
        check->worker[i] = (struct worker){.signatures = signatures_new(), .earliest = NEVER};
}

/* Returns the earliest end of all. */
static int64_t workers_close(struct check *check)
{
    int64_t earliest = NEVER;
    for (unsigned i = 0; i < check->workers; i++) {
        struct worker *worker = &check->worker[i];
        signatures_free(&worker->signatures);
        earliest = worker->earliest < earliest ? worker->earliest : earliest;
        check->run->visited += worker->visited;
        for (unsigned kind = 0; kind < TALLIES; kind++)
            tally_merge(&check->tally[kind], &worker->tally[kind]);
        claims_merge(&check->claims, &worker->claims);
        doubts_merge(&check->doubts, &worker->doubts);
    }
    return earliest;
}

static void names_check(void *ctx, unsigned worker, size_t begin, size_t end)
{
    struct check *check = ctx;
    for (size_t i = begin; i < end; i++)
        owner_check(check, &check->worker[worker], &check->items.item[i]);
    signatures_flush(check, &check->worker[worker]);
}

static void tallies_report(const struct check *check)
{
    tally_report(check, TALLY_EXPIRING, SIG_EXPIRING,
                 check->tally[TALLY_EXPIRING].value - check->run->now);
    tally_report(check, TALLY_NSEC_TTL, NSEC_TTL, check->nsec_ttl);
    tally_report(check, TALLY_NSEC3_TTL, NSEC3_TTL, check->nsec_ttl);
}

/* The next version is asked for when refresh is over; if that fails, once more after retry. */
static void time_check(const struct check *check, int64_t earliest)
{
    if (earliest == NEVER)
        return;
    int64_t left = earliest - check->run->now;
    int64_t wait = (int64_t)check->soa.refresh + check->soa.retry;
    if (left < wait)
        finding_add(check->run->findings, SIG_END_BEFORE_REFRESH, check->apex_name, RR_SOA, left,
                    wait, NULL);
}

/* min_remaining before the earliest end; when that is over, the end itself (one second past it, it
 * is expired). */
static time_t wake_at(const struct stage_run *run, int64_t earliest)
{
    const struct validate_conf *conf = run->conf;
    if (earliest == NEVER)
        return 0;
    if (earliest - conf->min_remaining >= run->now)
        return (time_t)(earliest - conf->min_remaining) + 1;
    return earliest >= run->now ? (time_t)earliest + 1 : 0;
}

static void times_set(struct stage_run *run, int64_t earliest)
{
    const struct validate_conf *conf = run->conf;
    run->wake_at = wake_at(run, earliest);
    run->good_until = earliest == NEVER ? 0 : (time_t)earliest;
    run->serve_until = conf->at_expiry == EXPIRY_SERVFAIL ? run->good_until : 0;
}

/* About how many signatures will be verified. */
static size_t signatures_expected(const struct check *check)
{
    const struct scope *scope = &check->scope;
    return scope->trust && !(scope->all && scope->turned > 0) ? 2 * check->fresh.n : check->items.n;
}

static void version_check(struct check *check)
{
    scope_decide(check);
    if (check->scope.trust)
        check->fresh = walk_changed(check);
    check->items = check->scope.all ? walk_all(check) : check->fresh;
    keys_expect(&check->keys, signatures_expected(check));
    workers_open(check);
    par_map(check->run->par, check->items.n, NAMES_CHUNK, names_check, check);
    int64_t earliest = workers_close(check);
    nsec3_check_all(check);
    tallies_report(check);
    struct validate_state *next = state_new(check, earliest);
    time_check(check, next->earliest);
    check->run->next_state = next;
    times_set(check->run, next->earliest);
}

static void validate_run(struct stage_run *run)
{
    const struct validate_state *state = run->state;
    if (run->prev && run->delta->n == 0 && !run->woken) {
        if (state)
            times_set(run, state->earliest);
        return;
    }
    run->next_state = NULL; /* what cannot be judged is no ground for the next one */
    if (run->keys && run->keys->unsigned_zone)
        return; /* the operator has the zone go out without DNSSEC */
    struct check check = {
        .run = run, .conf = run->conf, .state = state, .apex_name = snapshot_apex_name(run->next)};
    check.apex_labels = name_labels(check.apex_name);
    if (!apex_check(&check))
        return;
    denial_decide(&check);
    if (keys_open(&check)) {
        cds_check(&check);
        zonemd_check(&check);
        version_check(&check);
    }
    keys_close(&check.keys);
}

static int validate_conf_check(void *conf, const uint8_t *apex, struct why *why)
{
    const struct validate_conf *c = conf;
    (void)apex;
    if (c->at_expiry == EXPIRY_SERVFAIL && c->min_remaining < LOOK_AGAIN_S)
        return why_set(
            why, -E_CONF,
            "at_expiry = \"servfail\" wants a min_remaining of %d s at least: so long before a "
            "signature ends all are looked at again",
            LOOK_AGAIN_S);
    return anchors_open(conf, why);
}

static void validate_conf_close(void *conf)
{
    anchors_close(conf);
}

const struct stage_type stage_validate = {
    .name = "validate",
    .summary = "refuses a signed zone in which anything would not validate",
    .flags = STAGE_CHECK_ONLY,
    .conf_size = sizeof(struct validate_conf),
    .options = validate_options,
    .findings = validate_findings,
    .conf_check = validate_conf_check,
    .conf_close = validate_conf_close,
    .run = validate_run,
    .state_free = state_free,
    .state_save = state_save,
    .state_load = state_load,
    .signed_by = state_signed_by,
};
