/* signatures: an rrset and the RRSIGs over it.
 *
 * A worker collects rrsets with their signatures in a batch, and the signatures that pass
 * everything cheap become jobs of dnssec_verify_batch, for many at once cost a quarter of one by
 * one. When the batch is full, or the worker at its end, the jobs are verified and then each rrset
 * is judged:
 *
 *   - A signature is good if names, labels, original TTL and times are right and it verifies under
 * a key of the apex DNSKEY set with its tag and algorithm. If several keys share the tag, each is
 * tried before it is called bogus.
 *   - The rrset is satisfied if each algorithm of the DNSKEY set has a good signature (RFC
 * 4035 2.2), or under signatures = any-key if there is one at all, which is what a resolver needs
 * (RFC 6840 5.11).
 *   - A bad signature whose algorithm is satisfied by another one is a note; else it is reported as
 * what it is.
 *   - A signature of an algorithm that cannot be checked here satisfies that algorithm, but never
 * alone an rrset; unless there is no key of another kind, which keys.c has told, and policy decides.
 *
 * The work is bounded (CVE-2023-50387). Each signature is tried with the first key of its tag. For
 * tries with others an rrset of n signatures has max_keys_per_tag - 1 and (n - 1) / 2, and none is
 * spent once the algorithm has its good signature. So one signature under any key of its tag is
 * always found; and a zone made to be slow costs at most three times what as many well-made records
 * cost, where half of all are signatures and each is tried once: n + 2 + (n - 1) / 2 tries for n + 1
 * records, while max_keys_per_tag is 3. The DNSKEY set is tried in full: there is one, and which keys
 * sign it matters.
 *
 * The rrset lives until the first algorithm has no good signature left. The smallest such moment of
 * all rrsets is kept, for the next wake-up.
 */
#include "stages/validate/validate.h"

#include <inttypes.h>
#include <stdio.h>

enum { BATCH_JOBS = 512, BATCH_SETS = 512, SIGS_MAX = 64 };

enum { SIG_GOOD = -1 }; /* else an enum validate_code */

struct sig {
    struct rrsig view;
    const uint8_t *rdata;
    uint16_t len;
    int16_t key; /* index of the candidate that is tried, or -1 */
    int job;     /* index, or -1 */
    int code;
};
struct signed_set {
    const struct node *node;
    struct rrset set;
    bool trusted;      /* it and its signatures are as they were when they were verified */
    bool cut_off;      /* there are more signatures than are looked at */
    unsigned first, n; /* its signatures */
};
struct signatures {
    struct dnssec_scratch *scratch;
    unsigned sets, sigs, jobs;
    struct signed_set set[BATCH_SETS];
    struct sig sig[BATCH_JOBS];
    struct dnssec_job job[BATCH_JOBS];
};

struct signatures *signatures_new(void)
{
    struct signatures *s = mem_alloc(sizeof(*s));
    s->scratch = dnssec_scratch_new();
    s->sets = s->sigs = s->jobs = 0;
    return s;
}

void signatures_free(struct signatures **signatures)
{
    if (!*signatures)
        return;
    dnssec_scratch_free(&(*signatures)->scratch);
    mem_free(signatures);
}

/* --- one signature --- */

/* Seconds from now to a time of RRSIG, by serial arithmetic. */
static int64_t sig_seconds_to(const struct check *check, uint32_t when)
{
    return (int32_t)(when - (uint32_t)check->run->now);
}

/* The next candidate key after `from`, or -1. A revoked key may still sign the DNSKEY set (RFC
 * 5011). */
static int sig_candidate(const struct check *check, const struct rrsig *view, int from)
{
    for (unsigned i = (unsigned)(from + 1); i < check->keys.n; i++) {
        const struct zone_key *key = &check->keys.key[i];
        if (key->tag == view->tag && key->algorithm == view->algorithm &&
            (key->may_sign || (key->revoked && view->covered == RR_DNSKEY)))
            return (int)i;
    }
    return -1;
}

/* Labels of an owner as RRSIG counts them: without root and a leading "*" (RFC 4034 3.1.3). */
static unsigned sig_owner_labels(const uint8_t *owner)
{
    return name_labels(owner) - (name_is_wildcard(owner) ? 1 : 0);
}

/* All that can be said without public key operations. */
static int sig_look(const struct check *check, const struct signed_set *set, struct sig *sig)
{
    const struct rrsig *view = &sig->view;
    bool parsed = rrsig_parse(sig->rdata, sig->len, &sig->view);
    ASSERT(parsed); /* what is in a snapshot is well formed */
    if (!name_equal(view->signer, check->apex_name))
        return SIG_SIGNER;
    if (view->labels != sig_owner_labels(node_name(set->node)))
        return SIG_LABELS;
    if (view->original_ttl != set->set.ttl)
        return SIG_ORIGINAL_TTL;
    if (sig_seconds_to(check, view->expiration) < 0)
        return SIG_EXPIRED;
    if (sig_seconds_to(check, view->inception) > check->conf->max_clock_skew)
        return SIG_EARLY;
    sig->key = (int16_t)sig_candidate(check, view, -1);
    if (sig->key < 0)
        return SIG_UNKNOWN_KEY;
    return check->keys.key[sig->key].key ? SIG_GOOD : SIG_UNSUPPORTED;
}

/* Tries the next key of its tag. */
static void sig_try(struct check *check, struct signatures *s, const struct signed_set *set,
                    struct sig *sig)
{
    sig->key = (int16_t)sig_candidate(check, &sig->view, sig->key);
    ASSERT(sig->key >= 0);
    const struct dnssec_key *public = check->keys.key[sig->key].key;
    if (public && dnssec_verify(s->scratch, public, node_name(set->node), &set->set, sig->rdata,
                                sig->len) == DNSSEC_VALID)
        sig->code = SIG_GOOD;
}

static void sig_settle(const struct signatures *s, struct sig *sig)
{
    if (sig->job >= 0) {
        enum dnssec_result result = s->job[sig->job].result;
        sig->code = result == DNSSEC_VALID   ? SIG_GOOD
                    : result == DNSSEC_BOGUS ? SIG_BOGUS
                                             : SIG_UNSUPPORTED;
    }
}

/* Is there a good signature that makes trying further keys for this one pointless? */
static bool set_has_good(const struct check *check, const struct sig *sig, unsigned n,
                         uint8_t algorithm)
{
    for (unsigned i = 0; i < n; i++)
        if (sig[i].code == SIG_GOOD && !check->keys.key[sig[i].key].revoked &&
            (check->conf->signatures == SIGNATURES_ANY_KEY || sig[i].view.algorithm == algorithm))
            return true;
    return false;
}

/* The keys of a tag in turn, each with every signature that is still open: so one that is bogus does
 * not use up the tries of one that is not. False: there was nothing to try. */
static bool set_try(struct check *check, struct signatures *s, const struct signed_set *set,
                    struct sig *sig, unsigned *tries)
{
    bool keys = set->set.type == RR_DNSKEY, tried = false;
    for (unsigned i = 0; i < set->n; i++) {
        if (sig[i].code != SIG_BOGUS || sig_candidate(check, &sig[i].view, sig[i].key) < 0 ||
            (!keys && set_has_good(check, sig, set->n, sig[i].view.algorithm)))
            continue;
        if (!keys && *tries == 0) {
            sig[i].code = SIG_TRIES;
            continue;
        }
        *tries -= !keys;
        sig_try(check, s, set, &sig[i]);
        tried = true;
    }
    return tried;
}

static void set_settle(struct check *check, struct signatures *s, const struct signed_set *set,
                       struct sig *sig)
{
    unsigned tries =
        (unsigned)check->conf->max_keys_per_tag - 1 + (set->n > 0 ? (set->n - 1) / 2 : 0);
    for (unsigned i = 0; i < set->n; i++)
        sig_settle(s, &sig[i]);
    while (set_try(check, s, set, sig, &tries))
        continue;
    for (unsigned i = 0; i < set->n; i++)
        if (sig[i].code == SIG_GOOD && check->keys.key[sig[i].key].revoked)
            sig[i].code = SIG_REVOKED_KEY; /* right, and of no use to a resolver */
}

/* The numbers and words of a finding about this signature. */
static void sig_report(struct check *check, const struct signed_set *set, const struct sig *sig)
{
    char text[NAME_TEXT_MAX] = "";
    int64_t n1 = sig->view.algorithm;
    switch (sig->code) {
    case SIG_SIGNER:
        name_print(sig->view.signer, text);
        break;
    case SIG_LABELS:
        n1 = sig->view.labels;
        break;
    case SIG_ORIGINAL_TTL:
        n1 = sig->view.original_ttl;
        snprintf(text, sizeof(text), "the rrset has %" PRIu32, set->set.ttl);
        break;
    case SIG_EXPIRED:
        n1 = -sig_seconds_to(check, sig->view.expiration);
        break;
    case SIG_EARLY:
        n1 = sig_seconds_to(check, sig->view.inception);
        break;
    default:
        break;
    }
    finding_add(check->run->findings, (unsigned)sig->code, node_name(set->node), set->set.type,
                sig->view.tag, n1, text[0] ? text : NULL);
}

static void sig_report_extra(struct check *check, const struct signed_set *set,
                             const struct sig *sig)
{
    const char *words = sig->code == SIG_SIGNER         ? "names another signer"
                        : sig->code == SIG_LABELS       ? "is for another name"
                        : sig->code == SIG_ORIGINAL_TTL ? "has another original TTL"
                        : sig->code == SIG_EXPIRED      ? "expired"
                        : sig->code == SIG_EARLY        ? "is not valid yet"
                        : sig->code == SIG_UNKNOWN_KEY ? "is by a key that is not in the DNSKEY set"
                        : sig->code == SIG_BOGUS       ? "does not verify"
                        : sig->code == SIG_TRIES       ? "was not tried with every key of its tag"
                                                       : "cannot be checked here";
    finding_add(check->run->findings, SIG_EXTRA, node_name(set->node), set->set.type, sig->view.tag,
                sig->view.algorithm, words);
}

/* --- one rrset --- */

struct satisfied {
    bool by_algorithm[SIGS_MAX]; /* for each signature: is its algorithm satisfied? */
    bool all;
    int64_t until; /* seconds since 1970 */
};

/* The best good signature of an algorithm (0: of any): when does it end? -1: there is none. */
static int64_t set_best(const struct check *check, const struct sig *sig, unsigned n,
                        uint8_t algorithm)
{
    int64_t best = -1;
    for (unsigned i = 0; i < n; i++) {
        bool unknown_counts = algorithm || !check->keys.usable;
        bool good = sig[i].code == SIG_GOOD || (unknown_counts && sig[i].code == SIG_UNSUPPORTED);
        if (!good || (algorithm && sig[i].view.algorithm != algorithm))
            continue;
        int64_t end = check->run->now + sig_seconds_to(check, sig[i].view.expiration);
        if (end > best)
            best = end;
    }
    return best;
}

static void set_satisfy(struct check *check, const struct signed_set *set, const struct sig *sig,
                        struct satisfied *out)
{
    bool per_algorithm = check->conf->signatures == SIGNATURES_PER_ALGORITHM;
    int64_t any = set_best(check, sig, set->n, 0);
    out->all = any >= 0;
    out->until = any >= 0 ? any : NEVER;
    for (unsigned a = 0; per_algorithm && a < check->keys.algorithms; a++) {
        int64_t best = set_best(check, sig, set->n, check->keys.algorithm[a]);
        out->all &= best >= 0;
        if (best >= 0 && best < out->until)
            out->until = best;
    }
    for (unsigned i = 0; i < set->n; i++)
        out->by_algorithm[i] =
            per_algorithm ? set_best(check, sig, set->n, sig[i].view.algorithm) >= 0 && any >= 0
                          : any >= 0;
}

static void set_report_missing(struct check *check, const struct signed_set *set,
                               const struct sig *sig)
{
    for (unsigned a = 0; a < check->keys.algorithms; a++) {
        unsigned there = 0;
        for (unsigned i = 0; i < set->n; i++)
            there += sig[i].view.algorithm == check->keys.algorithm[a];
        if (there == 0)
            finding_add(check->run->findings, SIG_ALGORITHM_MISSING, node_name(set->node),
                        set->set.type, check->keys.algorithm[a], 0, NULL);
    }
}

/* Where trust begins: at an anchor if there are any, else at a key with SEP. RFC 4034 2.1.1: the
 * flag is a hint only, but the parent's DS nearly always names a key that has it. */
static void set_check_entry(struct check *check, const struct signed_set *set,
                            const struct sig *sig)
{
    if (set->trusted)
        return; /* nothing changed, and which key each is by was not looked at */
    bool by_any = false, by_sep = false, by_anchor = false;
    for (unsigned i = 0; i < set->n; i++) {
        by_any |= sig[i].code == SIG_GOOD;
        by_sep |= sig[i].code == SIG_GOOD && check->keys.key[sig[i].key].sep;
        by_anchor |= sig[i].code == SIG_GOOD && check->keys.key[sig[i].key].anchor;
    }
    if (check->conf->anchors > 0) {
        if (by_any && !by_anchor && check->keys.anchored)
            finding_add(check->run->findings, TRUST_ANCHOR_UNSIGNED, node_name(set->node),
                        RR_DNSKEY, 0, 0, NULL);
    } else if (by_any && !by_sep && check->keys.has_sep)
        finding_add(check->run->findings, DNSKEY_SEP_UNSIGNED, node_name(set->node), RR_DNSKEY, 0,
                    0, NULL);
}

/* May one of its signatures become good, or bad, although it stays as it is and so do the keys? */
static bool set_doubtful(const struct signed_set *set, const struct sig *sig)
{
    bool doubtful = set->cut_off;
    for (unsigned i = 0; i < set->n; i++)
        doubtful |= sig[i].code == SIG_BOGUS || sig[i].code == SIG_TRIES ||
                    sig[i].code == SIG_EXPIRED || sig[i].code == SIG_EARLY;
    return doubtful;
}

static void set_judge(struct check *check, struct worker *worker, const struct signed_set *set)
{
    struct signatures *s = worker->signatures;
    struct sig *sig = &s->sig[set->first];
    set_settle(check, s, set, sig);
    if (set_doubtful(set, sig))
        doubts_add(&worker->doubts, node_name(set->node));
    struct satisfied satisfied;
    set_satisfy(check, set, sig, &satisfied);
    for (unsigned i = 0; i < set->n; i++) {
        if (sig[i].code < 0)
            continue;
        bool required = false;
        for (unsigned a = 0; a < check->keys.algorithms; a++)
            required |= check->keys.algorithm[a] == sig[i].view.algorithm;
        bool harmless = required ? satisfied.by_algorithm[i] : satisfied.all;
        if ((sig[i].code == SIG_UNSUPPORTED || sig[i].code == SIG_REVOKED_KEY) && harmless)
            continue; /* that its algorithm cannot be checked, or its key is revoked, is told once, with the key */
        if (harmless)
            sig_report_extra(check, set, &sig[i]);
        else
            sig_report(check, set, &sig[i]);
    }
    if (!satisfied.all && check->conf->signatures == SIGNATURES_PER_ALGORITHM)
        set_report_missing(check, set, sig);
    if (set->set.type == RR_DNSKEY)
        set_check_entry(check, set, sig);
    if (!satisfied.all)
        return;
    if (satisfied.until < worker->earliest)
        worker->earliest = satisfied.until;
    if (satisfied.until - check->run->now < check->conf->min_remaining)
        tally_add(&worker->tally[TALLY_EXPIRING], satisfied.until, node_name(set->node),
                  set->set.type);
}

/* --- the batch --- */

void signatures_flush(struct check *check, struct worker *worker)
{
    struct signatures *s = worker->signatures;
    dnssec_verify_batch(s->scratch, s->job, s->jobs);
    for (unsigned i = 0; i < s->sets; i++)
        set_judge(check, worker, &s->set[i]);
    s->sets = s->sigs = s->jobs = 0;
}

static bool key_turned(const struct scope *scope, const struct rrsig *view)
{
    for (unsigned i = 0; i < scope->turned; i++)
        if (scope->key[i].tag == view->tag && scope->key[i].algorithm == view->algorithm)
            return true;
    return false;
}

static void signatures_add_one(struct check *check, struct signatures *s, struct signed_set *set,
                               struct rdata rdata)
{
    struct sig *sig = &s->sig[s->sigs++];
    *sig = (struct sig){.rdata = rdata.data, .len = rdata.len, .key = -1, .job = -1};
    sig->code = sig_look(check, set, sig);
    set->n++;
    if (sig->code != SIG_GOOD || (set->trusted && !key_turned(&check->scope, &sig->view)))
        return;
    sig->job = (int)s->jobs;
    s->job[s->jobs++] = (struct dnssec_job){.key = check->keys.key[sig->key].key,
                                            .owner = node_name(set->node),
                                            .set = set->set,
                                            .rrsig = rdata.data,
                                            .rrsig_len = rdata.len};
}

/* Is all as it was when it was verified, and found good? */
static bool set_trusted(const struct check *check, const struct item *item, const struct rrset *set,
                        const struct rrset *sigs)
{
    struct rrset set_was, sigs_was;
    if (set->type == RR_DNSKEY && check->keys.has_revoked)
        return false; /* by which key each is counts, and another one may share the tag */
    if (!item->was || doubts_has(check->state->doubts, node_name(item->node)))
        return false;
    if (item->was == item->node)
        return true;
    return node_rrset(item->was, set->type, 0, &set_was) && rrset_equal(set, &set_was, true) &&
           node_rrset(item->was, RR_RRSIG, set->type, &sigs_was) &&
           rrset_equal(sigs, &sigs_was, true);
}

void signatures_add(struct check *check, struct worker *worker, const struct item *item,
                    const struct rrset *set)
{
    struct signatures *s = worker->signatures;
    const struct node *node = item->node;
    struct rrset sigs;
    if (!node_rrset(node, RR_RRSIG, set->type, &sigs)) {
        finding_add(check->run->findings, SIG_MISSING, node_name(node), set->type, 0, 0, NULL);
        return;
    }
    unsigned max = (unsigned)check->conf->max_signatures;
    ASSERT(max <= SIGS_MAX);
    if (sigs.count > max)
        finding_add(check->run->findings, SIG_TOO_MANY, node_name(node), set->type, sigs.count, max,
                    NULL);
    if (s->sets == BATCH_SETS || s->sigs + max > BATCH_JOBS)
        signatures_flush(check, worker);
    struct signed_set *signed_set = &s->set[s->sets++];
    *signed_set = (struct signed_set){.node = node,
                                      .set = *set,
                                      .trusted = set_trusted(check, item, set, &sigs),
                                      .cut_off = sigs.count > max,
                                      .first = s->sigs};
    struct rdata rdata;
    for (const uint8_t *p = sigs.rdata; signed_set->n < max && rrset_next(&sigs, &p, &rdata);)
        signatures_add_one(check, s, signed_set, rdata);
}
