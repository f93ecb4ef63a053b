/* tsig_chain: the messages of one answer, each signature standing on the one before.
 *
 *   MAC of the query ─▶ message 1, all variables ─▶ MAC 1
 *   MAC 1 ─▶ message 2, message 3 (both unsigned), message 4, timers ─▶ MAC 4 ─▶ …
 *
 * Coming in, messages without a signature go into an open digest as they arrive, so nothing of them
 * is kept. The first message of an answer is checked before anything of the chain changes.
 *
 * Time Signed may not go back within an answer (5.3.1), and each is held against our clock.
 */
#include "pipeline/zone/tsig_parts.h"

#include "pipeline/base/alloc.h"
#include "pipeline/zone/message.h"

#include <inttypes.h>
#include <stdio.h>

struct tsig_chain {
    struct tsig_key *key; /* a reference */
    struct tsig_mac prior;
    bool begun;         /* a message was signed or taken */
    unsigned unsigned_; /* in a row, up to now */
    uint64_t time;      /* of the last signature */
    EVP_MAC_CTX *open;  /* in: prior and what came unsigned since; NULL: nothing came */
};

struct tsig_chain *tsig_chain_new(const struct tsig_key *key, const struct tsig_mac *query)
{
    struct tsig_chain *c = mem_zalloc(sizeof *c);
    c->key = tsig_key_ref(key);
    c->prior = *query;
    return c;
}

void tsig_chain_free(struct tsig_chain **cp)
{
    struct tsig_chain *c = *cp;
    if (!c)
        return;
    EVP_MAC_CTX_free(c->open);
    tsig_key_unref(c->key);
    mem_free(cp);
}

const struct tsig_key *tsig_chain_key(const struct tsig_chain *chain)
{
    return chain->key;
}

static EVP_MAC_CTX *open_with_prior(const struct tsig_chain *c)
{
    EVP_MAC_CTX *ctx = tsig_mac_open(c->key);
    tsig_mac_put_prior(ctx, &c->prior);
    return ctx;
}

size_t tsig_chain_sign(struct tsig_chain *c, uint8_t *msg, size_t len, size_t cap, uint64_t now)
{
    size_t algorithm_len;
    const uint8_t *algorithm = tsig_key_algorithm_name(c->key, &algorithm_len);
    if (now < c->time) /* our clock was set back */
        now = c->time;
    const struct tsig_variables v = {.time = now, .fudge = TSIG_FUDGE_S};
    EVP_MAC_CTX *ctx = open_with_prior(c);
    tsig_mac_put_message(ctx, msg, len, get_u16(msg), false);
    tsig_mac_put_variables(ctx, c->key, &v, c->begun);
    tsig_mac_close(&ctx, &c->prior);
    c->begun = true;
    c->time = now;
    return tsig_append(tsig_key_name(c->key), algorithm, algorithm_len, &v, &c->prior, msg, len,
                       cap);
}

/* ---- coming in */

static int take_unsigned(struct tsig_chain *c, const uint8_t *msg, size_t len, struct why *why)
{
    const char *key = tsig_key_text(c->key);
    if (!c->begun)
        return why_set(why, -E_MISMATCH,
                       "its answer (%s) is not signed, though our query was, with key %s: does it "
                       "have the key for this zone?",
                       rcode_text(msg_rcode(get_u16(msg + 2))), key);
    if (c->unsigned_ == TSIG_UNSIGNED_MAX)
        return why_set(why, -E_MISMATCH,
                       "more than %d messages in a row are not signed (key %s): RFC 8945 5.3.1",
                       TSIG_UNSIGNED_MAX, key);
    if (!c->open)
        c->open = open_with_prior(c);
    tsig_mac_put(c->open, msg, len);
    c->unsigned_++;
    return 0;
}

static uint64_t time_of(const uint8_t *p)
{
    return (uint64_t)get_u16(p) << 32 | get_u32(p + 2);
}

/* "417 s ahead of" */
static const char *clock_text(uint64_t theirs, uint64_t ours, char out[48])
{
    bool ahead = theirs > ours;
    snprintf(out, 48, "%" PRIu64 " s %s", ahead ? theirs - ours : ours - theirs,
             ahead ? "ahead of" : "behind");
    return out;
}

/* It answered that our TSIG is wrong. Whether that is signed matters little: nothing is built on it. */
static int refused(const struct tsig_chain *c, const struct tsig_rr *rr, uint64_t now,
                   struct why *why)
{
    const char *key = tsig_key_text(c->key), *algorithm = tsig_key_algorithm(c->key);
    char clock[48];
    switch (rr->error) {
    case TSIG_BADKEY:
        return why_set(why, -E_REFUSED, "it answered BADKEY: it does not know key %s with %s", key,
                       algorithm);
    case TSIG_BADSIG:
        return why_set(why, -E_REFUSED,
                       "it answered BADSIG: key %s has another secret there than here", key);
    case TSIG_BADTIME:
        if (rr->other_len == TSIG_TIME_OCTETS)
            return why_set(why, -E_REFUSED, "it answered BADTIME: its clock is %s ours (key %s)",
                           clock_text(time_of(rr->other), now, clock), key);
        return why_set(why, -E_REFUSED,
                       "it answered BADTIME without its own time: its clock and ours differ (key "
                       "%s)",
                       key);
    case TSIG_BADTRUNC:
        return why_set(why, -E_REFUSED,
                       "it answered BADTRUNC: a whole %s is too short for it (key %s)", algorithm,
                       key);
    default:
        return why_set(why, -E_REFUSED, "it answered with TSIG %s (key %s)",
                       tsig_error_text(rr->error), key);
    }
}

static int refuse_foreign(const struct tsig_chain *c, const struct tsig_rr *rr, struct why *why)
{
    char name[NAME_TEXT_MAX], algorithm[NAME_TEXT_MAX];
    return why_set(why, -E_MISMATCH,
                   "its answer is signed with key %.120s and %.60s, not with %.120s and %s",
                   name_print(rr->name, name), name_print(rr->algorithm, algorithm),
                   tsig_key_text(c->key), tsig_key_algorithm(c->key));
}

static int refuse_mac(const struct tsig_chain *c, const struct tsig_rr *rr, int wrong,
                      struct why *why)
{
    const char *key = tsig_key_text(c->key);
    if (wrong == -E_FORMAT)
        return why_set(why, -E_FORMAT, "its signature has %u octets, which no %s has (key %s)",
                       rr->mac_len, tsig_key_algorithm(c->key), key);
    if (wrong == TSIG_BADTRUNC)
        return why_set(why, -E_MISMATCH,
                       "its signature is cut to %u octets, and a whole %s is wanted (key %s)",
                       rr->mac_len, tsig_key_algorithm(c->key), key);
    return why_set(why, -E_MISMATCH,
                   "its signature is wrong: key %s has another secret there, or the message was "
                   "changed on the way",
                   key);
}

static int check_time(const struct tsig_chain *c, const struct tsig_rr *rr, uint64_t now,
                      struct why *why)
{
    char clock[48];
    if (c->begun && rr->time < c->time)
        return why_set(why, -E_MISMATCH, "its signatures go back in time by %" PRIu64 " s (key %s)",
                       c->time - rr->time, tsig_key_text(c->key));
    if (!tsig_rr_in_time(rr, now))
        return why_set(why, -E_MISMATCH,
                       "its answer was signed at another time: its clock is %s ours, and %u s are "
                       "allowed (key %s)",
                       clock_text(rr->time, now, clock), rr->fudge, tsig_key_text(c->key));
    return 0;
}

static int take_signed(struct tsig_chain *c, const uint8_t *msg, const struct tsig_rr *rr,
                       uint64_t now, struct why *why)
{
    struct tsig_mac want;
    const struct tsig_variables v = {.time = rr->time,
                                     .fudge = rr->fudge,
                                     .error = rr->error,
                                     .other = rr->other,
                                     .other_len = rr->other_len};
    bool foreign = !tsig_rr_is_by(rr, c->key);
    if (rr->mac_len == 0 && rr->error) /* 5.3.2: of BADKEY and BADSIG */
        return refused(c, rr, now, why);
    if (foreign)
        return refuse_foreign(c, rr, why);
    EVP_MAC_CTX *ctx = c->open ? c->open : open_with_prior(c);
    c->open = NULL;
    tsig_mac_put_message(ctx, msg, rr->at, rr->original_id, true);
    tsig_mac_put_variables(ctx, c->key, &v, c->begun);
    tsig_mac_close(&ctx, &want);
    int wrong = tsig_rr_check_mac(rr, &want);
    if (wrong)
        return refuse_mac(c, rr, wrong, why);
    if (rr->error)
        return refused(c, rr, now, why);
    wrong = check_time(c, rr, now, why);
    if (wrong)
        return wrong;
    c->prior = want;
    c->begun = true;
    c->unsigned_ = 0;
    c->time = rr->time;
    return 0;
}

int tsig_chain_take(struct tsig_chain *c, const uint8_t *msg, size_t len, uint64_t now,
                    struct why *why)
{
    struct tsig_rr rr;
    struct why inner = {""};
    int there = tsig_read(msg, len, &rr, &inner);
    if (there < 0)
        return why_set(why, there, "its answer cannot be verified (key %s): %s",
                       tsig_key_text(c->key), inner.text);
    return there ? take_signed(c, msg, &rr, now, why) : take_unsigned(c, msg, len, why);
}

int tsig_chain_end(const struct tsig_chain *c, struct why *why)
{
    if (c->begun && c->unsigned_ == 0)
        return 0;
    return why_set(why, -E_MISMATCH,
                   "the last message of its answer is not signed (key %s): RFC 8945 5.3.1",
                   tsig_key_text(c->key));
}
