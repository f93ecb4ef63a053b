/* mutation: see the header. */
#include "tests/lib/mutation.h"

#include "pipeline/base/alloc.h"
#include "pipeline/zone/text.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct mutation {
    struct edit *e;
    const struct snapshot *s;
    const struct signer *signer;
    const uint8_t *apex;
    const char *command; /* for messages */
};

/* --- words --- */

static void owner_of(const struct mutation *m, const char *word, uint8_t out[NAME_MAX_OCTETS])
{
    char text[2 * NAME_TEXT_MAX], apex[NAME_TEXT_MAX];
    const char *name = word + (*word == '#');
    name_print(m->apex, apex);
    snprintf(text, sizeof(text), "%s%s%s", strcmp(name, "@") == 0 ? "" : name,
             strcmp(name, "@") == 0 ? "" : ".", apex);
    ck_assert_msg(name_parse(text, out, NULL) > 0, "%s", m->command);
    if (*word == '#')
        signer_nsec3_owner(m->signer, m->apex, out, out);
}

struct what {
    uint16_t type, covered;
    bool all;
};

static struct what what_of(const struct mutation *m, const char *word)
{
    struct what w = {.all = strcmp(word, "*") == 0};
    const char *colon = strchr(word, ':');
    if (colon)
        w.type = RR_RRSIG;
    const char *name = colon ? colon + 1 : word;
    uint16_t *to = colon ? &w.covered : &w.type;
    ck_assert_msg(w.all || rrtype_parse(name, to) == 0, "%s: no type %s", m->command, name);
    return w;
}

/* --- pieces --- */

static bool skip_what(void *ctx, const struct rrset *set)
{
    const struct what *w = ctx;
    return set->type == w->type && set->covered == w->covered;
}

/* Takes the rrset out, and gives it: the node is held by *kept. */
static struct rrset take_out(struct mutation *m, const uint8_t *owner, struct what w,
                             struct node **kept)
{
    struct rrset set;
    *kept = node_ref(edit_get(m->e, owner));
    ck_assert_msg(node_rrset(*kept, w.type, w.covered, &set), "%s: it is not there", m->command);
    struct node_builder *b = node_builder_new();
    node_builder_begin(b, owner);
    node_builder_add_node(b, *kept, skip_what, &w);
    struct node *made = node_builder_seal(b);
    if (made)
        edit_put(m->e, made);
    else
        edit_remove(m->e, owner);
    node_builder_free(&b);
    return set;
}

static void put_record(struct mutation *m, const uint8_t *owner, uint16_t type, uint32_t ttl,
                       const uint8_t *rdata, size_t len)
{
    struct why why;
    ck_assert_msg(edit_add(m->e, owner, type, ttl, rdata, (uint16_t)len, &why) == 0, "%s: %s",
                  m->command, why.text);
}

static void read_text(struct edit *e, const uint8_t *apex, const char *text, const char *what)
{
    char path[64];
    struct why why = {""};
    int fd = memfd_create("zone", 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    ck_assert_msg(text_read(path, e, apex, &why) == 0, "%s: %s", what, why.text);
    close(fd);
}

static void add_text(struct mutation *m, const uint8_t *owner, uint32_t ttl, const char *rest)
{
    char line[4096], name[NAME_TEXT_MAX];
    snprintf(line, sizeof(line), "%s %u %s\n", name_print(owner, name), ttl, rest);
    read_text(m->e, m->apex, line, m->command);
}

/* --- signatures --- */

enum field {
    F_COVERED,
    F_ALGORITHM,
    F_LABELS,
    F_TTL,
    F_EXPIRATION,
    F_INCEPTION,
    F_TAG,
    F_SIGNER,
    F_OCTET,
    F_SHORT
};

static enum field field_of(const struct mutation *m, const char *word)
{
    static const char *const words[] = {"covered",   "algorithm", "labels", "ttl",   "expiration",
                                        "inception", "tag",       "signer", "octet", "short"};
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(words[i], word) == 0)
            return (enum field)i;
    ck_abort_msg("%s", m->command);
}

static size_t sig_alter(uint8_t *rdata, size_t len, enum field field, const char *value)
{
    uint32_t n = value ? (uint32_t)strtoul(value, NULL, 10) : 0;
    uint16_t type = 0;
    switch (field) {
    case F_COVERED:
        ck_assert_int_eq(rrtype_parse(value, &type), 0);
        put_u16(rdata, type);
        break;
    case F_ALGORITHM:
        rdata[2] = (uint8_t)n;
        break;
    case F_LABELS:
        rdata[3] = (uint8_t)n;
        break;
    case F_TTL:
        put_u32(rdata + 4, n);
        break;
    case F_EXPIRATION:
        put_u32(rdata + 8, n);
        break;
    case F_INCEPTION:
        put_u32(rdata + 12, n);
        break;
    case F_TAG:
        put_u16(rdata + 16, (uint16_t)n);
        break;
    case F_SIGNER:
        rdata[19] ^= 3; /* its first letter is another */
        break;
    case F_OCTET:
        rdata[len - 1] ^= 1;
        break;
    case F_SHORT:
        len--;
        break;
    }
    return len;
}

static void do_sig(struct mutation *m, const uint8_t *owner, const char *type, const char *field,
                   const char *value)
{
    struct what w = {.type = RR_RRSIG, .covered = what_of(m, type).type};
    struct node *kept;
    struct rrset set = take_out(m, owner, w, &kept);
    struct rdata rdata;
    for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &rdata);) {
        uint8_t copy[1024];
        memcpy(copy, rdata.data, rdata.len);
        size_t len = sig_alter(copy, rdata.len, field_of(m, field), value);
        put_record(m, owner, RR_RRSIG, set.ttl, copy, len);
    }
    node_unref(kept);
}

/* n bogus signatures for each there is. */
static void do_flood(struct mutation *m, const uint8_t *owner, const char *type, unsigned n)
{
    struct node *kept = node_ref(edit_get(m->e, owner));
    struct rrset set;
    struct rdata rdata;
    ck_assert_msg(node_rrset(kept, RR_RRSIG, what_of(m, type).type, &set), "%s", m->command);
    for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &rdata);)
        for (unsigned i = 1; i <= n; i++) {
            uint8_t copy[1024];
            memcpy(copy, rdata.data, rdata.len);
            copy[rdata.len - 1] = (uint8_t)(copy[rdata.len - 1] + i);
            put_record(m, owner, RR_RRSIG, set.ttl, copy, rdata.len);
        }
    node_unref(kept);
}

static void do_sign(struct mutation *m, const uint8_t *owner, bool cut)
{
    struct node *node = node_ref(edit_get(m->e, owner));
    ck_assert_msg(node, "%s: no such name", m->command);
    signer_put(m->signer, m->e, m->apex, node, cut);
    node_unref(node);
}

/* --- records --- */

static void do_octet(struct mutation *m, const uint8_t *owner, struct what w, long at, int value)
{
    struct node *kept;
    struct rrset set = take_out(m, owner, w, &kept);
    struct rdata rdata;
    unsigned i = 0;
    for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &rdata);) {
        uint8_t copy[4096];
        memcpy(copy, rdata.data, rdata.len);
        if (++i == set.count) {
            uint8_t *octet = &copy[at < 0 ? rdata.len + at : at];
            *octet = value < 0 ? *octet ^ 1 : (uint8_t)value;
        }
        put_record(m, owner, w.type, set.ttl, copy, rdata.len);
    }
    node_unref(kept);
}

static void do_ttl(struct mutation *m, const uint8_t *owner, struct what w, uint32_t ttl)
{
    struct node *kept;
    struct rrset set = take_out(m, owner, w, &kept);
    struct rdata rdata;
    for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &rdata);)
        put_record(m, owner, w.type, ttl, rdata.data, rdata.len);
    node_unref(kept);
}

static void do_one(struct mutation *m, const uint8_t *owner, struct what w)
{
    struct rrset set;
    struct rdata rdata;
    const struct node *node = edit_get(m->e, owner);
    uint8_t copy[4096];
    ck_assert_msg(node && node_rrset(node, w.type, w.covered, &set) && set.count > 1 &&
                      rrset_first(&set, &rdata),
                  "%s", m->command);
    memcpy(copy, rdata.data, rdata.len);
    ck_assert_int_eq(edit_del(m->e, owner, w.type, copy, rdata.len, NULL), 0);
}

static void do_del(struct mutation *m, const uint8_t *owner, struct what w)
{
    struct node *kept;
    if (w.all) {
        ck_assert_msg(edit_remove(m->e, owner), "%s", m->command);
        return;
    }
    take_out(m, owner, w, &kept);
    node_unref(kept);
}

static void do_set(struct mutation *m, const uint8_t *owner, const char *type, const char *rest)
{
    struct node *kept;
    struct rrset set = take_out(m, owner, what_of(m, type), &kept);
    char text[2048];
    snprintf(text, sizeof(text), "%s %s", type, rest);
    add_text(m, owner, set.ttl, text);
    node_unref(kept);
}

static void do_copy3(struct mutation *m, const uint8_t *from, const uint8_t *to)
{
    struct rrset set;
    struct rdata rdata;
    struct node *node = node_ref(edit_get(m->e, from));
    ck_assert_msg(node_rrset(node, RR_NSEC3, 0, &set) && rrset_first(&set, &rdata), "%s",
                  m->command);
    put_record(m, to, RR_NSEC3, set.ttl, rdata.data, rdata.len);
    node_unref(node);
    do_sign(m, to, false);
}

/* The signatures of one algorithm go. */
static void do_without(struct mutation *m, const uint8_t *owner, const char *type,
                       unsigned algorithm)
{
    struct node *kept;
    struct rrset set = take_out(
        m, owner, (struct what){.type = RR_RRSIG, .covered = what_of(m, type).type}, &kept);
    struct rdata rdata;
    for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &rdata);)
        if (rdata.data[2] != algorithm)
            put_record(m, owner, RR_RRSIG, set.ttl, rdata.data, rdata.len);
    node_unref(kept);
}

static void do_flags(struct mutation *m, const struct snapshot *s, int flags)
{
    for (const struct node *node = snapshot_nsec3_first(s); node;
         node = snapshot_nsec3_after(s, node_name(node))) {
        do_octet(m, node_name(node), (struct what){.type = RR_NSEC3}, 1, flags);
        do_sign(m, node_name(node), false);
    }
}

static void do_keys(struct mutation *m, unsigned n)
{
    uint8_t rdata[4 + 64] = {1, 1, 3, 13};
    struct rrset set;
    ck_assert(node_rrset(edit_get(m->e, m->apex), RR_DNSKEY, 0, &set));
    for (unsigned i = 0; i < n; i++) {
        put_u32(rdata + 4, i + 1);
        put_record(m, m->apex, RR_DNSKEY, 300, rdata, sizeof(rdata));
    }
}

/* --- scripts --- */

enum { WORDS = 4 };

static void command_run(struct mutation *m, char *command)
{
    char *rest = command, *word[WORDS] = {0};
    uint8_t owner[NAME_MAX_OCTETS], other[NAME_MAX_OCTETS];
    char *verb = strsep(&rest, " ");
    char *after_owner = NULL, *after_two = NULL;
    for (unsigned i = 0; i < WORDS && rest; i++) {
        word[i] = strsep(&rest, " ");
        if (i == 1)
            after_two = rest ? strdupa(rest) : NULL;
        if (i == 0)
            after_owner = rest ? strdupa(rest) : NULL;
    }
    if (strcmp(verb, "keys") == 0) {
        do_keys(m, (unsigned)atoi(word[0]));
        return;
    }
    if (strcmp(verb, "flags") == 0) {
        do_flags(m, m->s, atoi(word[0]));
        return;
    }
    owner_of(m, word[0], owner);
    if (strcmp(verb, "del") == 0)
        do_del(m, owner, what_of(m, word[1]));
    else if (strcmp(verb, "one") == 0)
        do_one(m, owner, what_of(m, word[1]));
    else if (strcmp(verb, "add") == 0)
        add_text(m, owner, (uint32_t)atoi(word[1]), after_two);
    else if (strcmp(verb, "set") == 0)
        do_set(m, owner, word[1], after_two);
    else if (strcmp(verb, "ttl") == 0)
        do_ttl(m, owner, what_of(m, word[1]), (uint32_t)atoi(word[2]));
    else if (strcmp(verb, "octet") == 0)
        do_octet(m, owner, what_of(m, word[1]), atol(word[2]), -1);
    else if (strcmp(verb, "flag") == 0)
        do_octet(m, owner, (struct what){.type = RR_NSEC3}, 1, atoi(word[1]));
    else if (strcmp(verb, "sig") == 0)
        do_sig(m, owner, word[1], word[2], word[3]);
    else if (strcmp(verb, "without") == 0)
        do_without(m, owner, word[1], (unsigned)atoi(word[2]));
    else if (strcmp(verb, "double") == 0)
        do_flood(m, owner, word[1], 1);
    else if (strcmp(verb, "flood") == 0)
        do_flood(m, owner, word[1], (unsigned)atoi(word[2]));
    else if (strcmp(verb, "sign") == 0 || strcmp(verb, "signcut") == 0)
        do_sign(m, owner, strcmp(verb, "signcut") == 0);
    else if (strcmp(verb, "copy3") == 0) {
        owner_of(m, word[1], other);
        do_copy3(m, owner, other);
    } else
        ck_abort_msg("no command %s (%s)", verb, after_owner ? after_owner : "");
}

struct snapshot *mutation_apply(const char *script, const struct snapshot *s, struct family *family,
                                const struct signer *signer)
{
    struct mutation m = {

        .e = edit_open(family, s, s), .s = s, .signer = signer, .apex = snapshot_apex_name(s)};
    char *copy = mem_strdup(script), *rest = copy;
    for (char *command; (command = strsep(&rest, ";"));) {
        while (*command == ' ')
            command++;
        char *shown = mem_strdup(command);
        m.command = shown;
        if (*command)
            command_run(&m, command);
        mem_free(&shown);
    }
    mem_free(&copy);
    struct snapshot *made;
    struct why why;
    ck_assert_msg(edit_seal(&m.e, &made, NULL, &why) == 0, "%s: %s", script, why.text);
    return made;
}

struct snapshot *mutation_zone(const char *text, struct family *family)
{
    struct edit *e = edit_open(family, NULL, NULL);
    struct snapshot *made;
    read_text(e, family_apex(family), text, "zone");
    ck_assert_int_eq(edit_seal(&e, &made, NULL, NULL), 0);
    return made;
}
