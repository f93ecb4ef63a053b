/* place: see the header.
 *
 * For each word the zone is walked once, and of all that fit one is kept, each with the same chance: the nth takes the
 * place of the one before with a chance of one in n.
 */
#include "tests/lib/place.h"

#include "pipeline/base/alloc.h"

#include <check.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHOSEN = 8, WORD_MAX = 16, TEXT_MAX = NAME_TEXT_MAX + RRTYPE_TEXT_MAX };

struct chosen {
    char word[WORD_MAX]; /* "host2" */
    char text[TEXT_MAX];
};
struct places {
    const struct snapshot *s;
    const struct signer *signer;
    struct random *random;
    unsigned n;
    struct chosen chosen[CHOSEN];
};
struct spot { /* a name, as the walk comes past it */
    const uint8_t *name;
    const struct node *node; /* NULL: an empty non-terminal */
    enum name_status status;
    bool by_cut; /* if occluded */
    bool apex, leaf, record_only;
};
struct draw {
    struct places *p;
    const char *kind;
    unsigned fit;
    char text[TEXT_MAX];
};

/* --- what fits --- */

static bool has(const struct spot *spot, uint16_t type)
{
    return spot->node && node_has(spot->node, type);
}

static bool own(const struct spot *spot)
{
    return spot->status == NAME_AUTHORITATIVE && spot->node && !spot->record_only;
}

static bool is_cut(const struct spot *spot)
{
    return spot->status == NAME_CUT;
}

static bool has_record(const struct places *p, const uint8_t *name)
{
    uint8_t owner[NAME_MAX_OCTETS];
    signer_nsec3_owner(p->signer, snapshot_apex_name(p->s), name, owner);
    const struct node *node = snapshot_get(p->s, owner);
    return node && node_has(node, RR_NSEC3);
}

static bool hashed(const struct places *p, const struct spot *spot)
{
    return p->signer->nsec3 && !spot->record_only && spot->status != NAME_OCCLUDED &&
           has_record(p, spot->name);
}

static bool fits_host(const struct spot *spot)
{
    return own(spot) && !spot->apex && has(spot, RR_A) && !name_is_wildcard(spot->name);
}

static bool fits_name(const struct places *p, const char *kind, const struct spot *spot)
{
    const struct {
        const char *kind;
        bool fits;
    } table[] = {
        {"name", own(spot) && !has(spot, RR_CNAME)},
        {"host", fits_host(spot)},
        {"leaf", fits_host(spot) && spot->leaf},
        {"wild", own(spot) && name_is_wildcard(spot->name)},
        {"alias", own(spot) && has(spot, RR_CNAME)},
        {"dname", own(spot) && has(spot, RR_DNAME)},
        {"cut", is_cut(spot)},
        {"secure", is_cut(spot) && has(spot, RR_DS)},
        {"insecure", is_cut(spot) && !has(spot, RR_DS)},
        {"bare", is_cut(spot) && !has(spot, RR_DS) && spot->leaf},
        {"glue", spot->status == NAME_OCCLUDED && spot->by_cut && has(spot, RR_A)},
        {"hidden", spot->status == NAME_OCCLUDED && !spot->by_cut},
        {"ent", !spot->node && (!p->signer->nsec3 || hashed(p, spot))},
        {"nsec", has(spot, RR_NSEC)},
        {"lower", has(spot, RR_NSEC) && !spot->apex},
        {"last", has(spot, RR_NSEC)}, /* draw_one keeps the last */
        {"hashed", hashed(p, spot)},
        {"free", (own(spot) || !spot->node) && !has(spot, RR_DNAME)}, /* and goes below it */
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (strcmp(table[i].kind, kind) == 0)
            return table[i].fits;
    ck_abort_msg("no such place: %%%s", kind);
}

static bool nameless(const struct rrset *set)
{
    return set->type == RR_A || set->type == RR_AAAA || set->type == RR_TXT || set->type == RR_DS ||
           (set->type >= 65280 && set->end > set->rdata + 2u * set->count);
}

static bool fits_set(const char *kind, const struct spot *spot, const struct rrset *set)
{
    bool chain = set->type == RR_NSEC || set->type == RR_NSEC3;
    if (strcmp(kind, "set") == 0)
        return true;
    if (strcmp(kind, "data") == 0)
        return nameless(set);
    if (strcmp(kind, "many") == 0)
        return set->count > 1 && !chain;
    return set->type > 255 && own(spot);
}

static bool of_sets(const char *kind)
{
    return strcmp(kind, "set") == 0 || strcmp(kind, "data") == 0 || strcmp(kind, "many") == 0 ||
           strcmp(kind, "odd") == 0;
}

/* --- drawing --- */

static void name_write(const struct places *p, const uint8_t *name, char out[TEXT_MAX])
{
    char apex[NAME_TEXT_MAX];
    name_print(name, out);
    size_t n = strlen(out), apex_n = strlen(name_print(snapshot_apex_name(p->s), apex));
    if (n == apex_n)
        strcpy(out, "@");
    else
        out[n - apex_n - 1] = '\0';
}

/* A name below this one that is not there. */
static void name_below(const struct places *p, char text[TEXT_MAX])
{
    char below[TEXT_MAX + 32], full[3 * TEXT_MAX], apex[NAME_TEXT_MAX];
    uint8_t name[NAME_MAX_OCTETS];
    name_print(snapshot_apex_name(p->s), apex);
    do {
        snprintf(below, sizeof(below), "%c%u%s%s", (char)('a' + random_below(p->random, 26)),
                 (unsigned)random_below(p->random, 100000), *text == '@' ? "" : ".",
                 *text == '@' ? "" : text);
        snprintf(full, sizeof(full), "%s.%s", below, apex);
        ck_assert_int_gt(name_parse(full, name, NULL), 0);
    } while (snapshot_get(p->s, name));
    ck_assert_uint_lt(strlen(below), TEXT_MAX);
    strcpy(text, below);
}

/* "host" of "host2". */
static size_t kind_len(const char *word)
{
    return strcspn(word, "0123456789");
}

static bool taken(const struct draw *d, const char *text)
{
    for (unsigned i = 0; i < d->p->n; i++) {
        const struct chosen *c = &d->p->chosen[i];
        size_t n = kind_len(c->word);
        if (strlen(d->kind) == n && memcmp(c->word, d->kind, n) == 0 && strcmp(c->text, text) == 0)
            return true;
    }
    return false;
}

static void draw_one(struct draw *d, const char *text)
{
    if (taken(d, text))
        return;
    d->fit++;
    if (strcmp(d->kind, "last") == 0 || random_below(d->p->random, d->fit) == 0)
        strcpy(d->text, text);
}

static void draw_spot(struct draw *d, const struct spot *spot)
{
    char text[TEXT_MAX], type[RRTYPE_TEXT_MAX];
    if (!of_sets(d->kind)) {
        if (!fits_name(d->p, d->kind, spot))
            return;
        name_write(d->p, spot->name, text);
        draw_one(d, text);
        return;
    }
    for (unsigned i = 0; spot->node && i < spot->node->nrrsets; i++) {
        struct rrset set, sigs;
        node_rrset_at(spot->node, i, &set);
        if (set.type == RR_RRSIG || set.type == RR_DNSKEY || spot->status == NAME_OCCLUDED ||
            !node_rrset(spot->node, RR_RRSIG, set.type, &sigs) || !fits_set(d->kind, spot, &set))
            continue;
        name_write(d->p, spot->name, text);
        snprintf(text + strlen(text), sizeof(text) - strlen(text), " %s",
                 rrtype_print(set.type, type));
        draw_one(d, text);
    }
}

/* The empty non-terminals between a name and the one before it. */
static void draw_above(struct draw *d, const uint8_t *before, const uint8_t *name)
{
    unsigned labels = name_labels(name), shared = name_common_labels(before, name);
    for (unsigned n = shared + 1; n < labels; n++)
        draw_spot(d, &(struct spot){.name = name_strip(name, labels - n)});
}

static void draw_all(struct draw *d)
{
    const struct snapshot *s = d->p->s;
    const uint8_t *apex = snapshot_apex_name(s), *before = apex;
    struct snapshot_iter it;
    struct status_walk walk;
    status_walk_begin(&walk, s);
    const struct node *next, *node = snapshot_first(&it, s);
    for (; node; node = next) {
        next = snapshot_next(&it);
        struct spot spot = {.name = node_name(node),
                            .node = node,
                            .status = status_walk_step(&walk, node),
                            .apex = name_equal(node_name(node), apex),
                            .leaf = !next || !name_at_or_below(node_name(next), node_name(node)),
                            .record_only = node_has(node, RR_NSEC3)};
        spot.by_cut = spot.status == NAME_OCCLUDED && node_has(walk.over, RR_NS);
        if (spot.status != NAME_OCCLUDED && !spot.record_only) {
            draw_above(d, before, spot.name);
            before = spot.name;
        }
        draw_spot(d, &spot);
    }
}

/* --- words --- */

/* NULL: there is none. */
static const char *place_of(struct places *p, const char *word)
{
    for (unsigned i = 0; i < p->n; i++)
        if (strcmp(p->chosen[i].word, word) == 0)
            return p->chosen[i].text;
    char kind[WORD_MAX];
    snprintf(kind, sizeof(kind), "%.*s", (int)kind_len(word), word);
    struct draw d = {.p = p, .kind = kind};
    draw_all(&d);
    if (d.fit == 0)
        return NULL;
    if (strcmp(kind, "free") == 0)
        name_below(p, d.text);
    ck_assert_uint_lt(p->n, CHOSEN);
    struct chosen *c = &p->chosen[p->n++];
    snprintf(c->word, sizeof(c->word), "%s", word);
    strcpy(c->text, d.text);
    return c->text;
}

char *places_fill(struct places *places, const char *script)
{
    char *out = NULL;
    size_t len;
    FILE *to = open_memstream(&out, &len);
    bool all = true;
    while (*script) {
        char word[WORD_MAX];
        unsigned n = 0;
        if (*script != '%') {
            fputc(*script++, to);
            continue;
        }
        for (script++; n + 1 < WORD_MAX && isalnum((unsigned char)*script); script++)
            word[n++] = *script;
        word[n] = '\0';
        const char *place = place_of(places, word);
        all &= place != NULL;
        fputs(place ? place : "", to);
    }
    fclose(to);
    if (!all) {
        free(out);
        out = NULL;
    }
    return out;
}

struct places *places_new(const struct snapshot *s, const struct signer *signer,
                          struct random *random)
{
    struct places *p = mem_zalloc(sizeof(*p));
    p->s = s;
    p->signer = signer;
    p->random = random;
    return p;
}

void places_free(struct places **places)
{
    mem_free(places);
}

void places_forget(struct places *places)
{
    places->n = 0;
}
