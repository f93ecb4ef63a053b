/* What a book says to people. */
#include "pipeline/run/signers_p.h"

#include "pipeline/base/alloc.h"

#include <stdio.h>
#include <stdlib.h>

static const struct book_signer *find(const struct signers *book, const char *name)
{
    for (const struct book_signer *s = book->signer; s < book->signer + SIGNERS_MAX; s++)
        if (s->name && strcmp(s->name, name) == 0)
            return s;
    return NULL;
}

const struct node *signers_proved(const struct signers *book, const char *signer, time_t *at)
{
    const struct book_signer *s = find(book, signer);
    if (!s || !s->proved)
        return NULL;
    *at = s->seen_at;
    return s->proved;
}

const char *signers_owner(const struct signers *book, const uint8_t *rdata, uint16_t len,
                          time_t *since)
{
    const struct book_key *k = book_key(book, rdata, len);
    if (!k || k->ours || k->owner == OWNER_NOBODY)
        return NULL;
    *since = k->since;
    return book->signer[k->owner].name;
}

static const char *time_text(time_t at, char out[32])
{
    struct tm tm;
    gmtime_r(&at, &tm);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return out;
}

static const char *does(const struct book_signer *s)
{
    return s->step == JOINED          ? "has joined"
           : s->step == LEFT          ? "has left"
           : s->wish == SIGNER_LEAVES ? "leaves"
                                      : "joins";
}

/* When time alone brings what it waits for; 0: it does not. */
static time_t due_at(const struct signers *book, const struct book_signer *s, time_t now)
{
    if (s->due < 0 || !s->waits[0])
        return 0;
    int64_t in = s->due - book->clock;
    return now + (time_t)(in > 0 ? in : 0);
}

static const char *role(const struct signers *book, const struct book_signer *s,
                        const struct book_key *k)
{
    return !key_is_sep(k) ? "ZSK" : key_signs_zone(book, s, k) ? "CSK" : "KSK";
}

static void print_key(FILE *f, const struct signers *book, const struct book_signer *s,
                      const struct book_key *k)
{
    char when[32];
    fprintf(f, "  key %u %s algorithm %u, known since %s", k->tag, role(book, s, k), k->algorithm,
            time_text(k->since, when));
    fputs(key_is_published(book, k) ? ", in our DNSKEY set" : "", f);
    fputs(s->asks_ds && key_wants_ds(book, s, k) ? ", in our CDS and CDNSKEY" : "", f);
    fputs(k->idle_at >= 0 ? ", out of use there" : "", f);
    fputs(k->fits ? "" : ", not fit for our DNSKEY set", f);
    fputs(k->pinned ? ", taken by the operator's word" : "", f);
    fputs("\n", f);
}

static void print_signer(FILE *f, const struct signers *book, const struct book_signer *s,
                         time_t now)
{
    char when[32];
    time_t due = due_at(book, s, now);
    fprintf(f, "%s %s: %s since %s\n", s->name, does(s), signer_step_text(s->step),
            time_text(s->step_since, when));
    if (s->waits[0])
        fprintf(f, "  waits: %s\n", s->waits);
    if (due)
        fprintf(f, "  until: %s\n", time_text(due, when));
    if (signer_step_next(s->step))
        fprintf(f, "  then: %s\n", signer_step_next(s->step));
    if (s->alarm[0])
        fprintf(f, "  ALARM: %s\n", s->alarm);
    if (s->forced_at)
        fprintf(f, "  forced: %s at %s\n", signer_step_text(s->forced_step),
                time_text(s->forced_at, when));
    if (!s->polled)
        fputs("  it has no servers that could be asked: what it serves of our keys is not known, "
              "and our keys do not wait for it\n",
              f);
    else if (s->seen_at)
        fprintf(f, "  seen: %s (%lld s ago)\n", time_text(s->seen_at, when),
                (long long)(now - s->seen_at));
    else
        fputs("  seen: never\n", f);
    if (s->error[0] && strcmp(s->error, s->waits) != 0 && strcmp(s->error, s->alarm) != 0)
        fprintf(f, "  last answer: %s\n", s->error);
}

char *signers_text(const struct signers *book, const struct signers_policy *policy, time_t now)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    ASSERT(f);
    (void)policy;
    for (const struct book_signer *s = book->signer; s < book->signer + SIGNERS_MAX; s++) {
        if (!s->name)
            continue;
        print_signer(f, book, s, now);
        EACH_BOOK_KEY(book, k)
        if (book_owns(book, s, k))
            print_key(f, book, s, k);
    }
    fclose(f);
    return text;
}

/* ---- JSON */

static void key_json(const struct signers *book, const struct book_signer *s,
                     const struct book_key *k, struct json *json)
{
    json_object(json, NULL);
    json_uint(json, "tag", k->tag);
    json_uint(json, "algorithm", k->algorithm);
    json_string(json, "role", role(book, s, k));
    json_bool(json, "published", key_is_published(book, k));
    json_bool(json, "ds", s->asks_ds && key_wants_ds(book, s, k));
    json_bool(json, "ds_at_parent", k->ds);
    json_bool(json, "in_use", k->idle_at < 0);
    json_bool(json, "fits", k->fits);
    json_bool(json, "forced", k->pinned);
    json_int(json, "since", k->since);
    json_end(json);
}

static void time_json(struct json *json, const char *key, time_t at)
{
    if (at)
        json_int(json, key, at);
    else
        json_raw(json, key, "null");
}

static void words_json(struct json *json, const char *key, const char *text)
{
    json_string(json, key, text && text[0] ? text : NULL);
}

static void signer_json(const struct signers *book, const struct book_signer *s, time_t now,
                        struct json *json)
{
    char name[NAME_TEXT_MAX];
    json_object(json, NULL);
    json_string(json, "name", s->name);
    json_string(json, "wish", s->wish == SIGNER_JOINS ? "join" : "leave");
    json_string(json, "step", signer_step_text(s->step));
    json_int(json, "since", s->step_since);
    words_json(json, "waits", s->waits);
    time_json(json, "until", due_at(book, s, now));
    words_json(json, "next", signer_step_next(s->step));
    words_json(json, "alarm", s->alarm);
    words_json(json, "error", s->error);
    json_bool(json, "polled", s->polled);
    json_bool(json, "counts", book_counts(s) && s->polled);
    time_json(json, "seen", s->seen_at);
    time_json(json, "forced_at", s->forced_at);
    words_json(json, "forced_step", s->forced_at ? signer_step_text(s->forced_step) : NULL);
    json_array(json, "ns");
    for (unsigned i = 0; i < s->nown; i++)
        json_string(json, NULL, name_print(s->own[i], name));
    json_end(json);
    json_array(json, "keys");
    EACH_BOOK_KEY(book, k)
    if (book_owns(book, s, k))
        key_json(book, s, k, json);
    json_end(json);
    json_end(json);
}

void signers_json(const struct signers *book, const struct signers_policy *policy, time_t now,
                  struct json *json)
{
    (void)policy;
    json_array(json, "signers");
    for (const struct book_signer *s = book->signer; s < book->signer + SIGNERS_MAX; s++)
        if (s->name)
            signer_json(book, s, now, json);
    json_end(json);
}
