/* parent_view: rows, and what they come to.
 *
 * A set is one block of octets in a fixed order, so that two are the same when their octets are. Sets are small (two or three DS, in a
 * rollover), so they are kept in order by insertion. */
#include "pipeline/run/parent_view.h"

#include "pipeline/base/alloc.h"
#include "pipeline/base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PREFIX = 2 };

/* ---- sets */

struct rrset parent_set_rrset(const struct parent_set *set)
{
    return (struct rrset){.type = RR_DS,
                          .ttl = set->ttl,
                          .count = set->n,
                          .rdata = set->octets,
                          .end = set->len ? set->octets + set->len : set->octets};
}

struct rrset parent_set_ns(const struct parent_set *set)
{
    struct rrset ns = parent_set_rrset(set);
    ns.type = RR_NS;
    return ns;
}

static int rdata_order(const uint8_t *a, uint16_t a_len, const uint8_t *b, uint16_t b_len)
{
    int c = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return c ? c : a_len - b_len;
}

/* Where rdata is (true) or would go. */
static bool set_find(const struct parent_set *set, const uint8_t *rdata, uint16_t len,
                     size_t *place)
{
    struct rrset view = parent_set_rrset(set);
    struct rdata r;
    const uint8_t *p = view.rdata;
    for (*place = 0; rrset_next(&view, &p, &r); *place = (size_t)(p - view.rdata)) {
        int c = rdata_order(r.data, r.len, rdata, len);
        if (c >= 0)
            return c == 0;
    }
    return false;
}

bool parent_set_has(const struct parent_set *set, const uint8_t *rdata, uint16_t len)
{
    size_t place;
    return set_find(set, rdata, len, &place);
}

bool parent_set_equal(const struct parent_set *a, const struct parent_set *b)
{
    return a->n == b->n && a->len == b->len &&
           (a->len == 0 || memcmp(a->octets, b->octets, a->len) == 0);
}

int parent_set_add(struct parent_set *set, const uint8_t *rdata, uint16_t len, struct why *why)
{
    size_t place;
    if (set_find(set, rdata, len, &place))
        return 0;
    if (set->n == PARENT_DS_MAX)
        return why_set(why, -E_LIMIT, "more than %d records of one set", PARENT_DS_MAX);
    uint32_t more = PREFIX + (uint32_t)len;
    set->octets = mem_resize(set->octets, set->len + more);
    uint8_t *here = set->octets + place;
    memmove(here + more, here, set->len - place);
    put_u16(here, len);
    memcpy(here + PREFIX, rdata, len);
    set->len += more;
    set->n++;
    return 0;
}

void parent_set_clear(struct parent_set *set)
{
    mem_free(&set->octets);
    *set = (struct parent_set){0};
}

/* ---- views */

struct parent_view *parent_view_new(unsigned n)
{
    struct parent_view *v = mem_zalloc(sizeof *v);
    v->refs = 1;
    v->n = n;
    v->server = mem_array(n, sizeof v->server[0]);
    return v;
}

struct parent_view *parent_view_ref(const struct parent_view *v)
{
    union {
        const struct parent_view *given;
        struct parent_view *counted;
    } u = {v}; /* the count is not part of what is immutable */
    atomic_fetch_add(&u.counted->refs, 1);
    return u.counted;
}

void parent_view_unref(struct parent_view *v)
{
    if (!v || atomic_fetch_sub(&v->refs, 1) != 1)
        return;
    for (unsigned i = 0; i < v->n; i++) {
        mem_free(&v->server[i].name);
        mem_free(&v->server[i].error);
        mem_free(&v->server[i].ns_error);
        parent_set_clear(&v->server[i].set);
        parent_set_clear(&v->server[i].ns);
    }
    parent_set_clear(&v->all);
    parent_set_clear(&v->any);
    parent_set_clear(&v->ns_all);
    parent_set_clear(&v->ns_any);
    mem_free(&v->server);
    mem_free(&v);
}

static bool answered(const struct parent_server *s)
{
    return s->said == PARENT_DS || s->said == PARENT_NO_DS;
}

/* Is it in every server's set? */
static bool everywhere(const struct parent_view *v, const struct rdata *r)
{
    for (unsigned i = 0; i < v->n; i++)
        if (!parent_set_has(&v->server[i].set, r->data, r->len))
            return false;
    return true;
}

/* There may be more than PARENT_DS_MAX in all, of servers that lie: those past it are left out, and the servers do not agree. */
static void sets_merge(struct parent_view *v)
{
    for (unsigned i = 0; i < v->n; i++) {
        struct rrset set = parent_set_rrset(&v->server[i].set);
        struct rdata r;
        for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &r);) {
            (void)!parent_set_add(&v->any, r.data, r.len, NULL);
            if (i == 0 && everywhere(v, &r))
                (void)!parent_set_add(&v->all, r.data, r.len, NULL);
        }
    }
}

static bool speaks_of_ns(const struct parent_server *s)
{
    return s->ns_said == PARENT_NS || s->ns_said == PARENT_NO_NS;
}

static bool ns_everywhere(const struct parent_view *v, const struct rdata *r)
{
    for (unsigned i = 0; i < v->n; i++)
        if (speaks_of_ns(&v->server[i]) && !parent_set_has(&v->server[i].ns, r->data, r->len))
            return false;
    return true;
}

static void ns_judge(struct parent_view *v)
{
    unsigned voices = 0;
    uint32_t ttl = 0;
    for (unsigned i = 0; i < v->n; i++) {
        const struct parent_server *s = &v->server[i];
        if (!speaks_of_ns(s) && s->ns_said != PARENT_NS_OF_CHILD)
            return;
        voices += speaks_of_ns(s);
        if (s->ns.ttl > ttl)
            ttl = s->ns.ttl;
    }
    v->ns_complete = voices > 0;
    for (unsigned i = 0; v->ns_complete && i < v->n; i++) {
        struct rrset set = parent_set_ns(&v->server[i].ns);
        struct rdata r;
        for (const uint8_t *p = set.rdata;
             speaks_of_ns(&v->server[i]) && rrset_next(&set, &p, &r);) {
            (void)!parent_set_add(&v->ns_any, r.data, r.len, NULL);
            if (ns_everywhere(v, &r))
                (void)!parent_set_add(&v->ns_all, r.data, r.len, NULL);
        }
    }
    v->ns_all.ttl = v->ns_any.ttl = ttl;
    v->ns_agreed = v->ns_complete && parent_set_equal(&v->ns_all, &v->ns_any);
}

void parent_view_judge(struct parent_view *v)
{
    uint32_t ttl = 0;
    v->complete = v->n > 0;
    for (unsigned i = 0; i < v->n; i++) {
        const struct parent_server *s = &v->server[i];
        v->complete = v->complete && answered(s);
        if (s->set.ttl > ttl)
            ttl = s->set.ttl;
        if (s->at > v->at)
            v->at = s->at;
    }
    ns_judge(v);
    if (!v->complete)
        return;
    sets_merge(v);
    v->all.ttl = v->any.ttl = ttl;
    v->agreed = parent_set_equal(&v->all, &v->any);
}

bool parent_view_same(const struct parent_view *a, const struct parent_view *b)
{
    if (!a || !b || a->n != b->n)
        return a == b;
    for (unsigned i = 0; i < a->n; i++) {
        const struct parent_server *x = &a->server[i], *y = &b->server[i];
        if (strcmp(x->name, y->name) != 0 || x->said != y->said ||
            !parent_set_equal(&x->set, &y->set) || x->ns_said != y->ns_said ||
            !parent_set_equal(&x->ns, &y->ns))
            return false;
    }
    return true;
}

/* ---- words */

static void ds_print(FILE *f, const struct parent_set *set)
{
    struct rrset view = parent_set_rrset(set);
    struct rdata r;
    const char *before = "DS ";
    for (const uint8_t *p = view.rdata; rrset_next(&view, &p, &r); before = " + ")
        fprintf(f, "%s%u %u %u", before, get_u16(r.data), r.data[2], r.data[3]);
    if (!set->n)
        fputs("no DS", f);
    fprintf(f, " (TTL %u)", set->ttl);
}

static void ns_print(FILE *f, const struct parent_set *set)
{
    struct rrset view = parent_set_ns(set);
    struct rdata r;
    char name[NAME_TEXT_MAX];
    const char *before = "NS ";
    for (const uint8_t *p = view.rdata; rrset_next(&view, &p, &r); before = " + ")
        fprintf(f, "%s%s", before, name_print(r.data, name));
    if (!set->n)
        fputs("no NS", f);
    fprintf(f, " (TTL %u)", set->ttl);
}

static void server_ns_print(FILE *f, const struct parent_server *s)
{
    switch (s->ns_said) {
    case PARENT_NS:
    case PARENT_NO_NS:
        fputs(", ", f);
        ns_print(f, &s->ns);
        break;
    case PARENT_NS_OF_CHILD:
        fputs(", has the zone itself: ", f);
        ns_print(f, &s->ns);
        break;
    case PARENT_NS_NO_ANSWER:
        fprintf(f, ", no answer to NS (%s)", s->ns_error ? s->ns_error : "?");
        break;
    case PARENT_NS_UNASKED:
        break;
    }
}

static void server_print(FILE *f, const struct parent_server *s)
{
    fprintf(f, "%s: ", s->name);
    if (answered(s))
        ds_print(f, &s->set);
    else if (s->said == PARENT_NO_ANSWER)
        fprintf(f, "no answer (%s)", s->error ? s->error : "?");
    else
        fputs("not asked yet", f);
    server_ns_print(f, s);
}

/* Can they be put into one line? */
static bool of_one_mind(const struct parent_view *v)
{
    for (unsigned i = 0; i < v->n; i++)
        if (v->server[i].ns_said == PARENT_NS_OF_CHILD)
            return false;
    return v->agreed && (!v->ns_asked || v->ns_agreed);
}

char *parent_view_text(const struct parent_view *v)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    ASSERT(f);
    bool one = of_one_mind(v);
    if (one) {
        if (v->n > 1)
            fprintf(f, "all %u servers: ", v->n);
        else
            fprintf(f, "%s: ", v->server[0].name);
        ds_print(f, &v->all);
        if (v->ns_asked) {
            fputs(", ", f);
            ns_print(f, &v->ns_all);
        }
    }
    for (unsigned i = 0; !one && i < v->n; i++) {
        fputs(i ? "; " : "", f);
        server_print(f, &v->server[i]);
    }
    fclose(f);
    return text;
}

/* As in a zone file: "20326 13 2 E06D…". */
static char *ds_text(const uint8_t *rdata, uint16_t len)
{
    char *text = mem_alloc(32 + 2u * len);
    int n = sprintf(text, "%u %u %u ", get_u16(rdata), rdata[2], rdata[3]);
    for (uint16_t i = 4; i < len; i++)
        n += sprintf(text + n, "%02X", rdata[i]);
    return text;
}

static void ds_json(const struct parent_set *set, struct json *json)
{
    struct rrset view = parent_set_rrset(set);
    struct rdata r;
    json_array(json, "ds");
    for (const uint8_t *p = view.rdata; rrset_next(&view, &p, &r);) {
        char *text = ds_text(r.data, r.len);
        json_string(json, NULL, text);
        mem_free(&text);
    }
    json_end(json);
    json_uint(json, "ttl", set->ttl);
}

static void ns_json(const struct parent_set *set, struct json *json)
{
    struct rrset view = parent_set_ns(set);
    struct rdata r;
    char name[NAME_TEXT_MAX];
    json_array(json, "ns");
    for (const uint8_t *p = view.rdata; rrset_next(&view, &p, &r);)
        json_string(json, NULL, name_print(r.data, name));
    json_end(json);
    json_uint(json, "ns_ttl", set->ttl);
}

static void server_json(const struct parent_server *s, bool ns_asked, struct json *json)
{
    static const char *const word[] = {"unasked", "ds", "no-ds", "no-answer"};
    static const char *const ns_word[] = {"unasked", "ns", "no-ns", "of-child", "no-answer"};
    char where[ADDRESS_TEXT_MAX];
    json_object(json, NULL);
    json_string(json, "name", s->name);
    json_string(json, "address", address_print(&s->address, where));
    json_string(json, "said", word[s->said]);
    json_int(json, "at", s->at);
    if (answered(s))
        ds_json(&s->set, json);
    if (s->error)
        json_string(json, "error", s->error);
    if (ns_asked) {
        json_string(json, "ns_said", ns_word[s->ns_said]);
        if (speaks_of_ns(s) || s->ns_said == PARENT_NS_OF_CHILD)
            ns_json(&s->ns, json);
        if (s->ns_error)
            json_string(json, "ns_error", s->ns_error);
    }
    json_end(json);
}

void parent_view_json(const struct parent_view *v, struct json *json)
{
    json_bool(json, "agreed", v->agreed);
    json_int(json, "at", v->at);
    if (v->agreed)
        ds_json(&v->all, json);
    if (v->ns_asked)
        json_bool(json, "ns_agreed", v->ns_agreed);
    if (v->ns_agreed)
        ns_json(&v->ns_all, json);
    json_array(json, "servers");
    for (unsigned i = 0; i < v->n; i++)
        server_json(&v->server[i], v->ns_asked, json);
    json_end(json);
}
