/* signer_view: one round of questions to a signer, a row a server. */
#include "pipeline/run/signer_view.h"

#include "pipeline/base/alloc.h"
#include "pipeline/zone/dnssec.h"

struct signer_view *signer_view_new(const char *signer, unsigned n)
{
    struct signer_view *v = mem_zalloc(sizeof *v);
    v->refs = 1;
    v->signer = mem_strdup(signer);
    v->n = n;
    v->server = mem_array(n, sizeof v->server[0]);
    return v;
}

struct signer_view *signer_view_ref(const struct signer_view *v)
{
    union {
        const struct signer_view *given;
        struct signer_view *counted;
    } u = {v}; /* the count is not part of what is immutable */
    atomic_fetch_add(&u.counted->refs, 1);
    return u.counted;
}

void signer_view_unref(struct signer_view *v)
{
    if (!v || atomic_fetch_sub(&v->refs, 1) != 1)
        return;
    for (unsigned i = 0; i < v->n; i++) {
        mem_free(&v->server[i].name);
        mem_free(&v->server[i].error);
        node_unref(v->server[i].apex);
    }
    mem_free(&v->server);
    mem_free(&v->signer);
    mem_free(&v);
}

/* The tags, and how the set is to be had: what a person compares between servers. */
static void keys_json(const struct node *apex, struct json *json)
{
    struct rrset set;
    struct rdata r;
    if (!node_rrset(apex, RR_DNSKEY, 0, &set))
        return;
    json_array(json, "keys");
    for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &r);)
        if (r.len > 4)
            json_uint(json, NULL, dnssec_key_tag(r.data, r.len));
    json_end(json);
    json_uint(json, "ttl", set.ttl);
}

void signer_view_json(const struct signer_view *v, struct json *json)
{
    static const char *const word[] = {"unasked", "answered", "not-served", "no-answer"};
    char where[ADDRESS_TEXT_MAX];
    json_int(json, "at", v->at);
    json_array(json, "servers");
    for (unsigned i = 0; i < v->n; i++) {
        const struct signer_server *s = &v->server[i];
        json_object(json, NULL);
        json_string(json, "name", s->name);
        json_string(json, "address", address_print(&s->address, where));
        json_string(json, "said", word[s->said]);
        json_int(json, "at", s->at);
        if (s->apex)
            keys_json(s->apex, json);
        if (s->moved)
            json_bool(json, "moved", true);
        if (s->error)
            json_string(json, "error", s->error);
        json_end(json);
    }
    json_end(json);
}
