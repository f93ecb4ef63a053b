/* text: master files.
 *
 * RFC 1035 5 and RFC 2308 4. text_entry cuts a file into entries, this file understands directives
 * and what stands before the rdata (owner, TTL, class, type), text_rdata has ldns read the rest.
 *
 * Directives: $ORIGIN, $TTL, and $INCLUDE with a path below the folder of the file that says it, so
 * that a zone file can never be made to read what the operator did not put beside it. Origin and
 * owner go back to what they were behind an included file, as RFC 1035 wants; $TTL does not.
 *
 * A record without a TTL takes $TTL's; without that, the last one that was given (RFC 1035); and if
 * it is the SOA, with nothing before it, its own minimum.
 */
#include "pipeline/zone/text.h"
#include "pipeline/base/alloc.h"
#include "pipeline/zone/name.h"
#include "pipeline/zone/rrtype.h"
#include "pipeline/zone/text_field.h"
#include "pipeline/zone/text_rdata.h"

#include <ctype.h>
#include <errno.h>
#include <strings.h>

enum { INCLUDE_DEPTH_MAX = 8, TTL_MAX = 0x7fffffff }; /* RFC 2181 8 */

struct reader {
    struct edit *edit;
    const uint8_t *apex;
    const uint16_t *types; /* at the apex; NULL: any, anywhere */
    unsigned ntypes;
    struct text_rdata *rdata;
    uint8_t *octets;
    uint8_t origin[NAME_MAX_OCTETS], owner[NAME_MAX_OCTETS];
    bool has_owner, has_ttl, has_default;
    bool broken_in_include; /* the error comes from inside an included file */
    uint32_t ttl, default_ttl;
    unsigned depth;
};

struct front { /* what stands before the rdata */
    bool has_ttl;
    uint32_t ttl;
    uint16_t type;
    unsigned rdata; /* index of its first token */
};

static int file_read(struct reader *r, const char *path, struct why *why);

static int ttl_read(const char *s, uint32_t *out, struct why *why)
{
    int err = text_period(s, out);
    if (err == -E_LIMIT || (!err && *out > TTL_MAX))
        return why_set(why, -E_FORMAT, "the TTL \"%s\" is over 2147483647", s);
    return err ? why_set(why, -E_FORMAT, "\"%s\" is not a TTL", s) : 0;
}

/* ---- records ---- */

static bool is_class(const char *s)
{
    static const char *const classes[] = {"IN", "CH", "HS", "CS", "ANY", "NONE"};
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
        if (strcasecmp(s, classes[i]) == 0)
            return true;
    return strncasecmp(s, "CLASS", 5) == 0 && isdigit((unsigned char)s[5]);
}

static int type_read(const char *s, uint16_t *out, struct why *why)
{
    if (rrtype_parse(s, out))
        return why_set(why, -E_FORMAT, "\"%s\" is neither a TTL nor a class nor a type", s);
    if (rrtype_is_meta(*out) || *out == 0)
        return why_set(why, -E_FORMAT, "type %s has no place in a zone", s);
    return 0;
}

static int front_read(struct reader *r, const struct text_entry *e, struct front *f,
                      struct why *why)
{
    unsigned i = 0;
    bool has_class = false;
    *f = (struct front){.has_ttl = false};
    if (!e->owner_omitted) {
        int len = text_name(&e->token[i++], r->origin, r->owner, why);
        if (len < 0)
            return len;
        r->has_owner = true;
    }
    if (!r->has_owner)
        return why_set(why, -E_FORMAT, "the first record has no owner");
    for (; i < e->n; i++) {
        const char *s = e->token[i].s;
        if (!f->has_ttl && isdigit((unsigned char)s[0])) {
            int err = ttl_read(s, &f->ttl, why);
            if (err)
                return err;
            f->has_ttl = true;
        } else if (!has_class && is_class(s)) {
            if (strcasecmp(s, "IN") != 0 && strcasecmp(s, "CLASS1") != 0)
                return why_set(why, -E_FORMAT, "class %s, only IN is taken", s);
            has_class = true;
        } else {
            break;
        }
    }
    if (i == e->n)
        return why_set(why, -E_FORMAT, "a record without a type");
    f->rdata = i + 1;
    return type_read(e->token[i].s, &f->type, why);
}

static int ttl_choose(struct reader *r, const struct front *f, uint16_t len, uint32_t *out,
                      struct why *why)
{
    if (f->has_ttl) {
        r->ttl = f->ttl;
        r->has_ttl = true;
        *out = f->ttl;
    } else if (r->has_default) {
        *out = r->default_ttl;
    } else if (r->has_ttl) {
        *out = r->ttl;
    } else if (f->type == RR_SOA) {
        *out = get_u32(r->octets + len - 4);
        if (*out > TTL_MAX)
            return why_set(why, -E_FORMAT, "the SOA's minimum, its TTL here, is over 2147483647");
        r->ttl = *out;
        r->has_ttl = true;
    } else {
        return why_set(why, -E_FORMAT, "no TTL, and no $TTL before");
    }
    return 0;
}

static int place_check(const struct reader *r, const struct front *f, struct why *why)
{
    char owner[NAME_TEXT_MAX], apex[NAME_TEXT_MAX], type[RRTYPE_TEXT_MAX];
    if (!name_at_or_below(r->owner, r->apex))
        return why_set(why, -E_FORMAT, "%s is outside of the zone %s", name_print(r->owner, owner),
                       name_print(r->apex, apex));
    if (!r->types)
        return 0;
    if (!name_equal(r->owner, r->apex))
        return why_set(why, -E_FORMAT, "a record of %s: expected those of %s alone",
                       name_print(r->owner, owner), name_print(r->apex, apex));
    for (unsigned i = 0; i < r->ntypes; i++)
        if (r->types[i] == f->type)
            return 0;
    why_set(why, -E_FORMAT, "a record of type %s: expected", rrtype_print(f->type, type));
    for (unsigned i = 0; i < r->ntypes; i++)
        why_add(why, "%s %s", i ? "," : "", rrtype_print(r->types[i], type));
    return -E_FORMAT;
}

static int record_read(struct reader *r, const struct text_entry *e, struct why *why)
{
    struct front f;
    struct why inner = {""};
    uint16_t len;
    uint32_t ttl = 0;
    int err = front_read(r, e, &f, why);
    if (err)
        return err;
    err = place_check(r, &f, why);
    if (err)
        return err;
    err = text_rdata_parse(r->rdata, f.type, e->token + f.rdata, e->n - f.rdata, r->octets, &len,
                           &inner);
    if (!err)
        err = ttl_choose(r, &f, len, &ttl, &inner);
    if (err) {
        char type[RRTYPE_TEXT_MAX], owner[NAME_TEXT_MAX];
        return why_set(why, err == -E_LIMIT ? err : -E_FORMAT, "%s of %s: %s",
                       rrtype_print(f.type, type), name_print(r->owner, owner), inner.text);
    }
    return edit_add(r->edit, r->owner, f.type, ttl, r->octets, len, why);
}

/* ---- directives ---- */

static int origin_set(struct reader *r, const struct text_token *token, struct why *why)
{
    uint8_t origin[NAME_MAX_OCTETS];
    int len = text_name(token, r->origin, origin, why);
    if (len < 0)
        return len;
    name_copy(r->origin, origin);
    text_rdata_origin(r->rdata, r->origin);
    return 0;
}

/* Without its quotes; then it must be relative and must not climb. */
static int include_name(struct text_token *token, const char **out, struct why *why)
{
    char *s = token->s;
    if (s[0] == '"') {
        s[token->len - 1] = '\0';
        s++;
    }
    *out = s;
    if (!*s || strchr(s, '\\'))
        return why_set(why, -E_FORMAT, "$INCLUDE \"%s\": not a file name", s);
    if (s[0] == '/')
        return why_set(why, -E_FORMAT,
                       "$INCLUDE \"%s\": only paths relative to this file are taken", s);
    for (const char *p = s; p; p = strchr(p, '/')) {
        p += *p == '/';
        if (strncmp(p, "..", 2) == 0 && (p[2] == '/' || p[2] == '\0'))
            return why_set(why, -E_FORMAT, "$INCLUDE \"%s\": \"..\" is not taken", s);
    }
    return 0;
}

static int include_read(struct reader *r, const struct text_entry *e, const char *path,
                        struct why *why)
{
    uint8_t origin[NAME_MAX_OCTETS], owner[NAME_MAX_OCTETS];
    bool has_owner = r->has_owner;
    const char *name;
    int err = include_name(&e->token[1], &name, why);
    if (err)
        return err;
    if (r->depth == INCLUDE_DEPTH_MAX)
        return why_set(why, -E_FORMAT, "$INCLUDE \"%s\": more than %d files deep", name,
                       INCLUDE_DEPTH_MAX);
    name_copy(origin, r->origin);
    if (has_owner)
        name_copy(owner, r->owner);
    if (e->n == 3 && (err = origin_set(r, &e->token[2], why)))
        return err;

    const char *slash = strrchr(path, '/');
    char *inner = slash ? mem_printf("%.*s/%s", (int)(slash - path), path, name) : mem_strdup(name);
    r->depth++;
    err = file_read(r, inner, why);
    r->broken_in_include = err != 0;
    r->depth--;
    mem_free(&inner);

    name_copy(r->origin, origin);
    text_rdata_origin(r->rdata, r->origin);
    if (has_owner)
        name_copy(r->owner, owner);
    r->has_owner = has_owner;
    return err;
}

static int directive_read(struct reader *r, const struct text_entry *e, const char *path,
                          struct why *why)
{
    const char *s = e->token[0].s;
    if (strcasecmp(s, "$INCLUDE") == 0) {
        if (e->n != 2 && e->n != 3)
            return why_set(why, -E_FORMAT, "$INCLUDE wants a file and maybe an origin");
        return include_read(r, e, path, why);
    }
    if (strcasecmp(s, "$ORIGIN") != 0 && strcasecmp(s, "$TTL") != 0)
        return why_set(why, -E_FORMAT, "the directive %s is not known", s);
    if (e->n != 2)
        return why_set(why, -E_FORMAT, "%s wants one value", s);
    if (strcasecmp(s, "$ORIGIN") == 0)
        return origin_set(r, &e->token[1], why);
    int err = ttl_read(e->token[1].s, &r->default_ttl, why);
    r->has_default |= !err;
    return err;
}

/* ---- files ---- */

static int entry_take(struct reader *r, const struct text_entry *e, const char *path,
                      struct why *why)
{
    struct why inner = {""};
    bool directive = !e->owner_omitted && e->token[0].s[0] == '$';
    int err = directive ? directive_read(r, e, path, &inner) : record_read(r, e, &inner);
    if (!err)
        return 0;
    if (r->broken_in_include) /* the words say where already */
        return why_set(why, err, "%s, included by %s:%u", inner.text, path, e->line);
    return why_set(why, err, "%s:%u: %s", path, e->line, inner.text);
}

static int file_read(struct reader *r, const char *path, struct why *why)
{
    struct text_entry e;
    struct why inner = {""};
    unsigned line = 1;
    FILE *in = fopen(path, "re");
    if (!in)
        return why_set(why, -E_IO, "%s: cannot open: %s", path, strerror(errno));
    text_entry_init(&e);
    int err;
    while ((err = text_entry_read(&e, in, &line, &inner)) > 0) {
        err = entry_take(r, &e, path, why);
        if (err)
            goto close;
    }
    if (err < 0)
        why_set(why, err, "%s:%u: %s", path, e.line, inner.text);
close:
    text_entry_fini(&e);
    fclose(in);
    return err;
}

static int read_all(struct reader *r, const char *path, struct why *why)
{
    r->rdata = text_rdata_new();
    r->octets = mem_alloc(RDATA_MAX_OCTETS);
    name_copy(r->origin, r->apex);
    text_rdata_origin(r->rdata, r->apex);
    int err = file_read(r, path, why);
    mem_free(&r->octets);
    text_rdata_free(&r->rdata);
    return err;
}

int text_read(const char *path, struct edit *e, const uint8_t *apex, struct why *why)
{
    struct reader r = {.edit = e, .apex = apex};
    return read_all(&r, path, why);
}

int text_read_apex(const char *path, struct edit *e, const uint8_t *apex, const uint16_t *types,
                   unsigned ntypes, struct why *why)
{
    struct reader r = {.edit = e, .apex = apex, .types = types, .ntypes = ntypes};
    return read_all(&r, path, why);
}
