/* The steps of a turn, and the operator's word.
 *
 * A signer is at the first step of its way whose condition does not hold (signers_wait.c). So it goes on when what it waits for is seen,
 * and back when that is undone; what nobody can say now sends nobody back. Two steps are final: who has joined is not set back (an
 * alarm is raised), and who has left has to be told to join again.
 *
 * What a step does it does while, or since, the signer is at it:
 *
 *   exchange-keys   its keys are in our DNSKEY set              from then on, until it has left
 *   parent-ds       our CDS and CDNSKEY name its KSKs           from then on, until remove-ds
 *   exchange-ns     our NS set has its servers (ns = "union")   until it leaves, or is set back
 *   parent-ns       CSYNC (csync = "waiting")                   while a signer is at it
 */
#include "pipeline/run/signers_p.h"

#include "pipeline/base/alloc.h"

#include <stdarg.h>
#include <stdio.h>

enum { ALARM_AFTER_S = 3600, ALARM_AGAIN_S = 86400, PASSES_MAX = SIGNER_STEPS };

const char *signer_step_text(enum signer_step step)
{
    static const char *const text[SIGNER_STEPS] = {
        [JOIN_PROVE] = "prove",
        [JOIN_EXCHANGE_KEYS] = "exchange-keys",
        [JOIN_PARENT_DS] = "parent-ds",
        [JOIN_WAIT_CACHES] = "wait-caches",
        [JOIN_EXCHANGE_NS] = "exchange-ns",
        [JOIN_PARENT_NS] = "parent-ns",
        [JOINED] = "joined",
        [LEAVE_REMOVE_NS] = "remove-ns",
        [LEAVE_PARENT_NS] = "parent-ns",
        [LEAVE_NS_WAIT] = "ns-wait",
        [LEAVE_STOP_ANSWERING] = "stop-answering",
        [LEAVE_REMOVE_DS] = "remove-ds",
        [LEAVE_DS_WAIT] = "ds-wait",
        [LEFT] = "left",
    };
    return text[step];
}

/* ---- the book */

struct signers *signers_new(const uint8_t *apex)
{
    struct signers *book = mem_zalloc(sizeof *book);
    name_copy_lower(book->apex, apex);
    book->tick = -1;
    book->parent_ds = book->parent_ns = -1;
    return book;
}

void book_key_clear(struct book_key *k)
{
    mem_free(&k->rdata);
}

void book_signer_clear(struct book_signer *s)
{
    names_clear(s->ns, &s->nns);
    names_clear(s->own, &s->nown);
    node_unref(s->proved);
    mem_free(&s->name);
    *s = (struct book_signer){0};
}

void signers_free(struct signers **book)
{
    if (!*book)
        return;
    EACH_BOOK_KEY(*book, k) book_key_clear(k);
    EACH_SIGNER(*book, s) book_signer_clear(s);
    mem_free(&(*book)->key);
    mem_free(book);
}

struct book_signer *book_signer(struct signers *book, const char *name)
{
    EACH_SIGNER(book, s)
    if (strcmp(s->name, name) == 0)
        return s;
    return NULL;
}

struct book_key *book_key(const struct signers *book, const uint8_t *rdata, uint16_t len)
{
    EACH_BOOK_KEY(book, k)
    if (k->len == len && memcmp(k->rdata, rdata, len) == 0)
        return k;
    return NULL;
}

struct book_key *book_key_add(struct signers *book, const uint8_t *rdata, uint16_t len, time_t now)
{
    if (book->nkeys == BOOK_KEYS_MAX)
        return NULL;
    book->key = mem_resize(book->key, (book->nkeys + 1) * sizeof book->key[0]);
    struct book_key *k = &book->key[book->nkeys++];
    *k = (struct book_key){.rdata = mem_dup(rdata, len),
                           .len = len,
                           .tag = dnssec_key_tag(rdata, len),
                           .algorithm = rdata[3],
                           .owner = OWNER_NOBODY,
                           .known_at = book->clock,
                           .idle_at = -1,
                           .since = now};
    return k;
}

static struct book_signer *signer_add(struct signers *book, const char *name, time_t now)
{
    for (struct book_signer *s = book->signer; s < book->signer + SIGNERS_MAX; s++)
        if (!s->name) {
            *s = (struct book_signer){.name = mem_strdup(name),
                                      .step_since = now,
                                      .step_at = book->clock,
                                      .keys_at = -1,
                                      .ds_at = -1,
                                      .ns_at = -1,
                                      .stop_at = -1,
                                      .gone_at = -1,
                                      .broken_at = -1,
                                      .seen = -1,
                                      .due = -1};
            return s;
        }
    return NULL;
}

/* It shows nothing any more. */
static void keys_hide(struct signers *book, const struct book_signer *s)
{
    uint8_t others = (uint8_t)~book_bit(book, s);
    EACH_BOOK_KEY(book, k)
    {
        uint8_t *const mask[] = {&k->all, &k->any,  &k->zone,   &k->keys,
                                 &k->cds, &k->file, &k->claims, &k->pinned};
        for (unsigned i = 0; i < sizeof mask / sizeof mask[0]; i++)
            *mask[i] &= others;
    }
}

static bool owns_any(const struct signers *book, const struct book_signer *s)
{
    EACH_BOOK_KEY(book, k)
    if (book_owns(book, s, k))
        return true;
    return false;
}
void book_signer_forget(struct signers *book, struct book_signer *s)
{
    keys_hide(book, s);
    EACH_BOOK_KEY(book, k)
    {
        if (!book_owns(book, s, k))
            continue;
        k->owner = OWNER_NOBODY;
        k->by = BY_NOTHING;
        k->member = k->gone = false;
        k->idle_at = -1;
    }
    book_signer_clear(s);
}

/* ---- what is told */

void book_say(struct book_turn *t, struct book_signer *s, bool back, bool alarm, const char *fmt,
              ...)
{
    struct signers_plan *plan = t->plan;
    plan->changed = true;
    if (plan->nevents == SIGNERS_EVENTS_MAX)
        return;
    char *text = plan->text[plan->nevents];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof plan->text[0], fmt, ap);
    va_end(ap);
    plan->event[plan->nevents++] = (struct signers_event){s->name, s->step, back, text, alarm};
}

void book_wake(struct book_turn *t, int64_t at)
{
    int64_t in = at - t->book->clock;
    if (in < 1)
        in = 1;
    if (!t->plan->wake_in || in < t->plan->wake_in)
        t->plan->wake_in = in;
}

/* An alarm is told when it comes, when it becomes another one, and once a day. */
static void alarm_set(struct book_turn *t, struct book_signer *s, const char *text)
{
    bool again = text[0] && t->book->clock - s->alarm_at >= ALARM_AGAIN_S;
    if (strcmp(text, s->alarm) == 0 && !again)
        return;
    t->plan->changed = true;
    snprintf(s->alarm, sizeof s->alarm, "%s", text);
    s->alarm_at = t->book->clock;
    if (text[0])
        book_say(t, s, false, true, "%s", text);
}

/* ---- who there is */

static void signer_restart(struct signers *book, struct book_signer *s, enum signer_wish wish,
                           time_t now)
{
    s->wish = wish;
    s->unconfigured = false;
    s->step = wish == SIGNER_JOINS ? JOIN_PROVE : LEAVE_REMOVE_NS;
    s->step_since = now;
    s->step_at = book->clock;
    s->exposed = s->exposed && !s->stopped;
    s->stopped = s->waited = false;
    s->forced = 0;
    s->keys_at = s->ds_at = s->ns_at = s->gone_at = s->broken_at = s->due = -1;
    s->waits[0] = 0;
}

static void unconfigured(struct book_turn *t, struct book_signer *s)
{
    if (s->wish == SIGNER_LEAVES)
        return;
    signer_restart(t->book, s, SIGNER_LEAVES, t->facts->time.now);
    s->unconfigured = true;
    book_say(t, s, false, true,
             "it is configured no longer, so it leaves; its keys stay until nothing in a cache can "
             "need them");
}

/* There is room for as many as can be configured; those that still leave may take it. */
static void no_room(struct book_turn *t, const char *name)
{
    struct signers_plan *plan = t->plan;
    if (plan->nevents == SIGNERS_EVENTS_MAX)
        return;
    char *text = plan->text[plan->nevents];
    snprintf(text, sizeof plan->text[0],
             "it waits until one of the %d signers that are known has left", SIGNERS_MAX);
    plan->event[plan->nevents++] = (struct signers_event){name, JOIN_PROVE, false, text, true};
}

static void attend(struct book_turn *t)
{
    struct signers *book = t->book;
    time_t now = t->facts->time.now;
    EACH_SIGNER(book, s) s->policy = NULL;
    for (unsigned i = 0; i < t->policy->n; i++) {
        const struct signer_policy *p = &t->policy->signer[i];
        struct book_signer *s = book_signer(book, p->name);
        if (!s) {
            s = signer_add(book, p->name, now);
            if (s)
                book_say(t, s, false, false, "it is new: it joins");
            else
                no_room(t, p->name);
        } else if (s->unconfigured) {
            signer_restart(book, s, SIGNER_JOINS, now);
            book_say(t, s, false, false, "it is configured again: it joins");
        }
        if (s) {
            t->plan->changed |= s->polled != p->polled;
            s->polled = p->polled;
            s->policy = p;
        }
    }
    EACH_SIGNER(book, s)
    {
        if (s->policy)
            continue;
        bool over = s->step == LEFT && !owns_any(book, s);
        if (over || (s->step == JOIN_PROVE && !s->taken)) {
            book_signer_forget(book, s);
            t->plan->changed = true;
            continue;
        }
        unconfigured(t, s);
    }
}

/* ---- steps */

static enum signer_step first_of(const struct book_signer *s)
{
    return s->wish == SIGNER_JOINS ? JOIN_PROVE : LEAVE_REMOVE_NS;
}

static enum signer_step last_of(const struct book_signer *s)
{
    return s->wish == SIGNER_JOINS ? JOINED : LEFT;
}

/* The first step whose condition does not hold. */
static enum signer_step step_now(struct book_turn *t, struct book_signer *s, enum held *held)
{
    enum signer_step last = last_of(s);
    for (enum signer_step step = first_of(s); step < last; step++) {
        *held = book_held(t, s, step);
        if (*held == BROKEN || (*held == UNKNOWN && step >= s->step))
            return step;
    }
    *held = HOLDS;
    return last;
}

/* What goes with being at a step. */
static void step_enter(struct book_turn *t, struct book_signer *s)
{
    struct signers *book = t->book;
    if (s->wish == SIGNER_JOINS) {
        s->taken |= s->step >= JOIN_EXCHANGE_KEYS;
        s->asks_ds |= s->step >= JOIN_PARENT_DS;
        s->exposed |= s->step >= JOIN_EXCHANGE_NS;
        s->waited &= s->step > JOIN_WAIT_CACHES;
        return;
    }
    s->stopped = s->step > LEAVE_STOP_ANSWERING;
    s->asks_ds &= s->step < LEAVE_REMOVE_DS;
    if (s->step != LEFT)
        return;
    s->taken = s->exposed = s->stopped = s->has_cds = s->ns_agreed = false;
    names_clear(s->ns, &s->nns);
    names_clear(s->own, &s->nown);
    keys_hide(book, s); /* others may show its keys yet: they stay known for its own */
}

const char *signer_step_next(enum signer_step step)
{
    static const char *const text[SIGNER_STEPS] = {
        [JOIN_PROVE] = "its keys go into our DNSKEY set",
        [JOIN_EXCHANGE_KEYS] = "our CDS and CDNSKEY name its KSKs",
        [JOIN_PARENT_DS] = "caches have to learn of keys and DS",
        [JOIN_WAIT_CACHES] = "NS sets are made the same",
        [JOIN_EXCHANGE_NS] = "the parent has to follow",
        [JOIN_PARENT_NS] = "it has joined",
        [LEAVE_REMOVE_NS] = "the parent has to follow",
        [LEAVE_PARENT_NS] = "caches have to forget its servers",
        [LEAVE_NS_WAIT] = "it has to stop answering",
        [LEAVE_STOP_ANSWERING] = "our CDS and CDNSKEY name its KSKs no longer",
        [LEAVE_REMOVE_DS] = "caches have to forget its DS and signatures",
        [LEAVE_DS_WAIT] = "its keys leave our DNSKEY set",
    };
    return text[step];
}

static void step_set(struct book_turn *t, struct book_signer *s, enum signer_step step)
{
    enum signer_step was = s->step;
    bool back = step < was;
    s->step = step;
    s->step_since = t->facts->time.now;
    s->step_at = t->book->clock;
    if (back) /* what was forced from here on has to be forced again */
        s->forced &= (1u << step) - 1;
    step_enter(t, s);
    if (back)
        book_say(t, s, true, false, "%s: set back to %s: %.100s", signer_step_text(was),
                 signer_step_text(step), s->waits);
    else
        book_say(t, s, false, false, "%s: done; next: %s", signer_step_text(was),
                 signer_step_text(step));
}

/* One that has joined stays, whatever comes; while another joins or leaves, NS sets differ for good reasons. */
static enum signer_step stays_joined(struct book_turn *t, struct book_signer *s,
                                     enum signer_step step)
{
    bool moving = false;
    EACH_SIGNER(t->book, o)
    moving |= o->step != JOINED && o->step != LEFT && o->step >= JOIN_EXCHANGE_NS;
    if (step >= JOIN_EXCHANGE_NS && moving)
        step = JOINED;
    bool broken = step != JOINED;
    if (broken == (s->broken_at < 0)) {
        s->broken_at = broken ? t->book->clock : -1;
        t->plan->changed = true;
    }
    if (!broken)
        s->waits[0] = 0;
    s->due = -1;
    return JOINED;
}

/* True: something moved. */
static bool signer_go(struct book_turn *t, struct book_signer *s)
{
    char waits[BOOK_WORDS];
    int64_t due = s->due;
    enum held held;
    if (s->step == LEFT)
        return false;
    memcpy(waits, s->waits, sizeof waits);
    s->due = -1;
    s->urgent = false;
    enum signer_step step = step_now(t, s, &held);
    if (held == HOLDS)
        s->waits[0] = 0;
    if (s->step == JOINED)
        step = stays_joined(t, s, step);
    t->plan->changed |= strcmp(waits, s->waits) != 0 || due != s->due;
    if (step == s->step)
        return false;
    step_set(t, s, step);
    return true;
}

/* Whom to ask often now. */
static void asks(struct book_turn *t, const struct book_signer *s)
{
    struct signers_plan *plan = t->plan;
    bool proof = is_polled(s) && s->error[0] && s->step < LEAVE_STOP_ANSWERING;
    plan->ask_parent |= proof; /* its DS may be new there */
    switch (s->step) {
    case JOIN_PROVE:
    case JOIN_EXCHANGE_KEYS:
    case JOIN_EXCHANGE_NS:
    case LEAVE_REMOVE_NS:
    case LEAVE_STOP_ANSWERING:
        plan->ask_signers |= is_polled(s);
        plan->ask_parent |= s->step == JOIN_PROVE;
        break;
    case JOIN_PARENT_DS:
    case LEAVE_REMOVE_DS:
        plan->ask_parent = true;
        break;
    case JOIN_PARENT_NS:
    case LEAVE_PARENT_NS:
        plan->ask_parent = plan->ask_parent_ns = true;
        break;
    default:
        break;
    }
    plan->ask_parent |= plan->ask_parent_ns;
}

/* What is not as it should be, though nothing is done about it. What comes and goes while keys are rolled over, or a server is started anew, is
 * given an hour. */
static void alarms(struct book_turn *t, struct book_signer *s)
{
    char text[BOOK_WORDS] = "";
    int64_t hour_ago = t->book->clock - ALARM_AFTER_S;
    bool wrong = is_polled(s) && s->seen_at && s->error[0] && s->step < LEAVE_STOP_ANSWERING;
    if (wrong && s->lies)
        snprintf(text, sizeof text, "%.*s", BOOK_WORDS - 1, s->error);
    else if (wrong && s->seen <= hour_ago)
        snprintf(text, sizeof text, "not seen for an hour or more: %.110s", s->error);
    else if (s->broken_at >= 0 && (s->urgent || s->broken_at <= hour_ago))
        snprintf(text, sizeof text, "%.*s", BOOK_WORDS - 1, s->waits);
    else if (s->unconfigured && s->step != LEFT)
        snprintf(text, sizeof text, "it is configured no longer, and has not left yet (%s)",
                 signer_step_text(s->step));
    alarm_set(t, s, text);
    if (text[0])
        book_wake(t, s->alarm_at + ALARM_AGAIN_S);
    else if (wrong)
        book_wake(t, s->seen + ALARM_AFTER_S);
    else if (s->broken_at >= 0)
        book_wake(t, s->broken_at + ALARM_AFTER_S);
}

/* ---- keys that their signer has given up */

/* Have all been looked at since, who may use it? */
static bool all_seen(const struct signers *book, const struct book_key *k, int64_t due)
{
    EACH_SIGNER(book, s)
    {
        bool may = k->owner == OWNER_NOBODY ? s->taken : k->owner == s - book->signer;
        if (may && s->polled && s->seen < due)
            return false;
    }
    return true;
}

static bool may_leave(const struct signers *book, const struct book_key *k)
{
    if (k->ours || k->idle_at < 0 || k->gone || !k->member || !book->zone_ttl.ttl)
        return false;
    return k->owner == OWNER_NOBODY || book->signer[k->owner].taken;
}

static void keys_leave(struct book_turn *t)
{
    struct signers *book = t->book;
    int64_t ttl = book_dnskey_ttl(book);
    ttl = book->zone_ttl.ttl > ttl ? book->zone_ttl.ttl : ttl;
    EACH_BOOK_KEY(book, k)
    {
        if (!may_leave(book, k))
            continue;
        int64_t due = k->idle_at + ttl + t->policy->propagation_delay_s + 1;
        if (book->clock < due) {
            book_wake(t, due);
        } else if (!all_seen(book, k, due)) {
            t->plan->ask_signers = true;
        } else {
            k->gone = true;
            t->plan->changed = true;
            if (k->owner != OWNER_NOBODY)
                book_say(t, &book->signer[k->owner], false, false,
                         "its key %u is out of use everywhere: it leaves our set", k->tag);
        }
    }
}

/* Its servers may be found: they are delegated to, or in our NS set, or have no names of their own there. */
static void exposure(struct book_turn *t, struct book_signer *s)
{
    struct rrset ours = {0};
    bool found = s->wish == SIGNER_JOINS && s->ns_agreed && s->nns && !s->nown;
    const struct parent_view *v = t->facts->parent;
    if (t->facts->apex)
        (void)node_rrset(t->facts->apex, RR_NS, 0, &ours);
    for (unsigned i = 0; i < s->nown; i++) {
        struct rrset any = v && v->ns_complete ? parent_set_ns(&v->ns_any) : (struct rrset){0};
        found |= ns_set_has(&ours, s->own[i]) || ns_set_has(&any, s->own[i]);
    }
    if (!found || s->exposed || s->stopped || s->step == LEFT)
        return;
    s->exposed = true;
    t->plan->changed = true;
}

void signers_step(struct signers *book, const struct signers_policy *policy,
                  const struct signers_facts *facts, struct signers_plan *out)
{
    struct book_turn t = {book, policy, facts, out};
    *out = (struct signers_plan){0};
    book->clock += keyring_passed(&book->tick, &book->boot, &facts->time);
    attend(&t);
    if (!facts->ring)
        return; /* whose keys are whose is not to be told */
    book_take_facts(&t);
    EACH_SIGNER(book, s) exposure(&t, s);
    bool moved = true;
    for (unsigned pass = 0; moved && pass < PASSES_MAX; pass++) {
        moved = false;
        EACH_SIGNER(book, s) moved |= signer_go(&t, s);
    }
    if (moved)
        book_wake(&t, book->clock);
    keys_leave(&t);
    EACH_SIGNER(book, s)
    {
        if (s->due >= 0)
            book_wake(&t, s->due);
        asks(&t, s);
        alarms(&t, s);
    }
    book_others_make(book);
}

/* ---- the operator's word */

int signers_join(struct signers *book, const char *signer, time_t now, struct why *why)
{
    struct book_signer *s = book_signer(book, signer);
    if (!s)
        return why_set(why, -E_NOENT, "there is no signer %s", signer);
    if (s->wish == SIGNER_JOINS)
        return why_set(why, -E_MISMATCH, "%s %s already (%s)", signer,
                       s->step == JOINED ? "has joined" : "is joining", signer_step_text(s->step));
    if (s->unconfigured)
        return why_set(why, -E_MISMATCH,
                       "%s is configured no longer: it joins when it is configured again", signer);
    signer_restart(book, s, SIGNER_JOINS, now);
    book_others_make(book);
    return 0;
}

int signers_leave(struct signers *book, const char *signer, time_t now, struct why *why)
{
    struct book_signer *s = book_signer(book, signer);
    if (!s)
        return why_set(why, -E_NOENT, "there is no signer %s", signer);
    if (s->wish == SIGNER_LEAVES)
        return why_set(why, -E_MISMATCH, "%s %s already (%s)", signer,
                       s->step == LEFT ? "has left" : "is leaving", signer_step_text(s->step));
    signer_restart(book, s, SIGNER_LEAVES, now);
    book_others_make(book);
    return 0;
}

static int force_proof(struct signers *book, struct book_signer *s, struct why *why)
{
    uint8_t bit = book_bit(book, s);
    unsigned n = 0;
    EACH_BOOK_KEY(book, k)
    if (k->claims & bit) {
        k->pinned |= bit;
        n++;
    }
    if (n)
        return 0;
    return why_set(why, -E_MISMATCH,
                   "no server of %s has shown a DNSKEY set that is signed by one of its own keys: "
                   "there is nothing to take as given%s%s",
                   s->name, s->waits[0] ? "; " : "", s->waits);
}

int signers_force(struct signers *book, const struct signers_policy *policy, const char *signer,
                  time_t now, struct why *why)
{
    struct book_signer *s = book_signer(book, signer);
    int64_t *const from[SIGNER_STEPS] = {
        [JOIN_EXCHANGE_KEYS] = s ? &s->keys_at : NULL,
        [JOIN_PARENT_DS] = s ? &s->ds_at : NULL,
        [LEAVE_PARENT_NS] = s ? &s->ns_at : NULL,
        [LEAVE_REMOVE_DS] = s ? &s->gone_at : NULL,
    };
    (void)policy;
    if (!s)
        return why_set(why, -E_NOENT, "there is no signer %s", signer);
    if (s->step == JOINED || s->step == LEFT)
        return why_set(why, -E_MISMATCH, "%s has %s: it waits for nothing", signer,
                       signer_step_text(s->step));
    if (s->step == JOIN_PROVE) {
        int err = force_proof(book, s, why);
        if (err)
            return err;
    } else {
        s->forced |= 1u << s->step;
    }
    if (from[s->step] && *from[s->step] < 0)
        *from[s->step] = book->clock;
    s->forced_step = s->step;
    s->forced_at = now;
    return 0;
}
