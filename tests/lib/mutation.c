/* mutation: see the header.
 *
 * A command is a verb and words; the table at the end says which function does it. What a verb does not find there
 * ends the test with the command as it was written.
 */
#include "tests/lib/mutation.h"
#include "tests/lib/types.h"

#include "pipeline/base/alloc.h"
#include "pipeline/zone/text.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WORDS = 5, RDATA_MAX = 65535 };

struct mutation {
    struct edit *e;
    const struct snapshot *s;
    const struct signer *signer;
    const uint8_t *apex;
    const char *command; /* for messages */
    bool digest;
};
struct command {
    uint8_t owner[NAME_MAX_OCTETS]; /* of the first word */
    const char *word[WORDS];        /* "": there is none */
    const char *rest[WORDS];        /* from this word on */
};

/* --- words --- */

static bool has_nsec(const struct node *node)
{
    return node_has(node, RR_NSEC);
}

static bool name_before(const struct snapshot *s, uint8_t name[NAME_MAX_OCTETS])
{
    struct snapshot_iter it;
    bool exact;
    const struct node *node = snapshot_seek_le(&it, s, name, &exact);
    if (exact)
        node = snapshot_prev(&it);
    while (node && !has_nsec(node))
        node = snapshot_prev(&it);
    if (node)
        name_copy(name, node_name(node));
    return node;
}

static bool hash_before(const struct snapshot *s, uint8_t name[NAME_MAX_OCTETS])
{
    const struct node *node = snapshot_nsec3_before(s, name);
    node = node ? node : snapshot_nsec3_last(s);
    if (node)
        name_copy(name, node_name(node));
    return node;
}

bool mutation_owner(const char *word, const struct snapshot *s, const struct signer *signer,
                    uint8_t out[NAME_MAX_OCTETS])
{
    char text[2 * NAME_TEXT_MAX], apex[NAME_TEXT_MAX];
    bool before = *word == '<', hash = word[before] == '#';
    const char *name = word + before + hash;
    bool at_apex = strcmp(name, "@") == 0;
    name_print(snapshot_apex_name(s), apex);
    snprintf(text, sizeof(text), "%s%s%s", at_apex ? "" : name, at_apex ? "" : ".", apex);
    if (name_parse(text, out, NULL) <= 0)
        return false;
    if (hash)
        signer_nsec3_owner(signer, snapshot_apex_name(s), out, out);
    return !before || (hash ? hash_before(s, out) : name_before(s, out));
}

static void owner_of(const struct mutation *m, const char *word, uint8_t out[NAME_MAX_OCTETS])
{
    ck_assert_msg(mutation_owner(word, m->s, m->signer, out), "%s: no owner %s", m->command, word);
}

struct what {
    uint16_t type, covered;
};

static struct what what_of(const struct mutation *m, const char *word)
{
    struct what w = {0};
    const char *colon = strchr(word, ':');
    if (colon)
        w.type = RR_RRSIG;
    const char *name = colon ? colon + 1 : word;
    ck_assert_msg(rrtype_parse(name, colon ? &w.covered : &w.type) == 0, "%s: no type %s",
                  m->command, name);
    return w;
}

static struct what signatures_over(const struct mutation *m, const char *word)
{
    return (struct what){.type = RR_RRSIG, .covered = what_of(m, word).type};
}

static long number_of(const struct mutation *m, const char *word)
{
    char *end;
    long n = strtol(word, &end, 10);
    ck_assert_msg(*word && !*end, "%s: no number %s", m->command, word);
    return n;
}

/* "+3" and "-3" are from what is there. */
static uint32_t number_from(const struct mutation *m, const char *word, uint32_t was)
{
    long n = number_of(m, word);
    return (*word == '+' || *word == '-' ? was : 0) + (uint32_t)n;
}

/* --- pieces --- */

static bool skip_what(void *ctx, const struct rrset *set)
{
    const struct what *w = ctx;
    return set->type == w->type && set->covered == w->covered;
}

static struct rrset set_at(const struct mutation *m, const struct node *node, struct what w)
{
    struct rrset set;
    ck_assert_msg(node && node_rrset(node, w.type, w.covered, &set), "%s: it is not there",
                  m->command);
    return set;
}

/* Takes the rrset out, and gives it: the node is held by *kept. */
static struct rrset take_out(struct mutation *m, const uint8_t *owner, struct what w,
                             struct node **kept)
{
    const struct node *node = edit_get(m->e, owner);
    struct rrset set = set_at(m, node, w);
    *kept = node_ref(node);
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
    int rc = edit_add(m->e, owner, type, ttl, rdata, (uint16_t)len, &why);
    ck_assert_msg(rc == 0, "%s: %s", m->command, why.text);
}

static void put_set(struct mutation *m, const uint8_t *owner, const struct rrset *set, uint32_t ttl)
{
    struct rdata rdata;
    for (const uint8_t *p = set->rdata; rrset_next(set, &p, &rdata);)
        put_record(m, owner, set->type, ttl, rdata.data, rdata.len);
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

/* As the signer does; or all there is, whatever it is. */
static void sign_name(struct mutation *m, const uint8_t *owner, bool all)
{
    struct node *node = node_ref(edit_get(m->e, owner));
    ck_assert_msg(node, "%s: no such name", m->command);
    bool cut = node_has(node, RR_NS) && !name_equal(owner, m->apex);
    signer_put(m->signer, m->e, m->apex, node, cut && !all);
    node_unref(node);
}

/* --- records --- */

static void do_del(struct mutation *m, const struct command *c)
{
    struct node *kept;
    if (strcmp(c->word[1], "*") == 0) {
        ck_assert_msg(edit_remove(m->e, c->owner), "%s: no such name", m->command);
        return;
    }
    take_out(m, c->owner, what_of(m, c->word[1]), &kept);
    node_unref(kept);
}

static void do_one(struct mutation *m, const struct command *c)
{
    struct what w = what_of(m, c->word[1]);
    struct node *node = node_ref(edit_get(m->e, c->owner));
    struct rrset set = set_at(m, node, w);
    struct rdata rdata;
    ck_assert_msg(set.count > 1 && rrset_first(&set, &rdata), "%s: it is one record", m->command);
    int rc = edit_del(m->e, c->owner, w.type, rdata.data, rdata.len, NULL);
    ck_assert_int_eq(rc, 0);
    node_unref(node);
}

static void do_add(struct mutation *m, const struct command *c)
{
    add_text(m, c->owner, (uint32_t)number_of(m, c->word[1]), c->rest[2]);
}

static void do_set(struct mutation *m, const struct command *c)
{
    struct node *kept;
    struct rrset set = take_out(m, c->owner, what_of(m, c->word[1]), &kept);
    add_text(m, c->owner, set.ttl, c->rest[1]);
    node_unref(kept);
}

static void ttl_set(struct mutation *m, const uint8_t *owner, struct what w, const char *value)
{
    struct node *kept;
    struct rrset set = take_out(m, owner, w, &kept);
    put_set(m, owner, &set, number_from(m, value, set.ttl));
    node_unref(kept);
}

static void do_ttl(struct mutation *m, const struct command *c)
{
    ttl_set(m, c->owner, what_of(m, c->word[1]), c->word[2]);
}

static void octet_turn(struct mutation *m, const uint8_t *owner, struct what w, long at,
                       unsigned bits)
{
    struct node *kept;
    struct rrset set = take_out(m, owner, w, &kept);
    struct rdata rdata;
    unsigned i = 0;
    for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &rdata);) {
        uint8_t copy[RDATA_MAX];
        long to = at < 0 ? rdata.len + at : at;
        memcpy(copy, rdata.data, rdata.len);
        ck_assert_msg(to >= 0 && to < rdata.len, "%s: no such octet", m->command);
        if (++i == set.count)
            copy[to] ^= (uint8_t)bits;
        put_record(m, owner, w.type, set.ttl, copy, rdata.len);
    }
    node_unref(kept);
}

static void do_octet(struct mutation *m, const struct command *c)
{
    octet_turn(m, c->owner, what_of(m, c->word[1]), number_of(m, c->word[2]),
               *c->word[3] ? (unsigned)number_of(m, c->word[3]) : 1);
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
    ck_abort_msg("%s: no field %s", m->command, word);
}

/* Returns its new length. */
static size_t sig_alter(const struct mutation *m, uint8_t *rdata, size_t len, enum field field,
                        const char *value)
{
    uint16_t type = 0;
    switch (field) {
    case F_COVERED:
        ck_assert_msg(rrtype_parse(value, &type) == 0, "%s", m->command);
        put_u16(rdata, type);
        break;
    case F_ALGORITHM:
        rdata[2] = (uint8_t)number_from(m, value, rdata[2]);
        break;
    case F_LABELS:
        rdata[3] = (uint8_t)number_from(m, value, rdata[3]);
        break;
    case F_TTL:
        put_u32(rdata + 4, number_from(m, value, get_u32(rdata + 4)));
        break;
    case F_EXPIRATION:
        put_u32(rdata + 8, number_from(m, value, get_u32(rdata + 8)));
        break;
    case F_INCEPTION:
        put_u32(rdata + 12, number_from(m, value, get_u32(rdata + 12)));
        break;
    case F_TAG:
        put_u16(rdata + 16, (uint16_t)number_from(m, value, get_u16(rdata + 16)));
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

static unsigned key_of(const struct mutation *m, const struct rrsig *view)
{
    for (unsigned i = 0; i < m->signer->keys; i++)
        if (m->signer->key[i].tag == view->tag && m->signer->key[i].rdata[3] == view->algorithm)
            return i;
    ck_abort_msg("%s: a signature by a key that the signer does not have", m->command);
}

/* again: what it then says is signed. */
static void sigs_alter(struct mutation *m, const struct command *c, bool again)
{
    struct node *kept;
    struct rrset set = take_out(m, c->owner, signatures_over(m, c->word[1]), &kept);
    struct rrset over = set_at(m, kept, what_of(m, c->word[1]));
    struct rdata rdata;
    for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &rdata);) {
        uint8_t copy[SIGNER_RRSIG_MAX];
        struct rrsig view;
        memcpy(copy, rdata.data, rdata.len);
        ck_assert(rrsig_parse(rdata.data, rdata.len, &view));
        size_t len = sig_alter(m, copy, rdata.len, field_of(m, c->word[2]), c->word[3]);
        if (again)
            len =
                signer_rrsig_end(m->signer, key_of(m, &view), c->owner, &over, copy, view.head_len);
        put_record(m, c->owner, RR_RRSIG, set.ttl, copy, len);
    }
    node_unref(kept);
}

static void do_sig(struct mutation *m, const struct command *c)
{
    sigs_alter(m, c, false);
}

static void do_resig(struct mutation *m, const struct command *c)
{
    sigs_alter(m, c, true);
}

static void do_sigttl(struct mutation *m, const struct command *c)
{
    ttl_set(m, c->owner, signatures_over(m, c->word[1]), c->word[2]);
}

static void do_unsign(struct mutation *m, const struct command *c)
{
    struct node *kept;
    take_out(m, c->owner, signatures_over(m, c->word[1]), &kept);
    node_unref(kept);
}

static void do_without(struct mutation *m, const struct command *c)
{
    struct node *kept;
    struct rrset set = take_out(m, c->owner, signatures_over(m, c->word[1]), &kept);
    struct rdata rdata;
    for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &rdata);)
        if (rdata.data[2] != number_of(m, c->word[2]))
            put_record(m, c->owner, RR_RRSIG, set.ttl, rdata.data, rdata.len);
    node_unref(kept);
}

static void do_flood(struct mutation *m, const struct command *c)
{
    struct node *kept = node_ref(edit_get(m->e, c->owner));
    struct rrset set = set_at(m, kept, signatures_over(m, c->word[1]));
    struct rdata rdata;
    for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &rdata);)
        for (long i = 1; i <= number_of(m, c->word[2]); i++) {
            uint8_t copy[SIGNER_RRSIG_MAX];
            memcpy(copy, rdata.data, rdata.len);
            copy[rdata.len - 2] = (uint8_t)(copy[rdata.len - 2] + i);
            put_record(m, c->owner, RR_RRSIG, set.ttl, copy, rdata.len);
        }
    node_unref(kept);
}

static void do_sign(struct mutation *m, const struct command *c)
{
    sign_name(m, c->owner, false);
}

static void do_oversign(struct mutation *m, const struct command *c)
{
    sign_name(m, c->owner, true);
}

/* --- denial --- */

/* The NSEC or NSEC3 at a name: what stands before its bitmap, and the bitmap. */
struct denial {
    uint16_t type;
    uint32_t ttl;
    size_t head, next; /* octets before the bitmap; where the next name or hash begins */
    uint8_t rdata[NAME_MAX_OCTETS + 256 * 34];
    size_t len;
};

static struct denial denial_take(struct mutation *m, const uint8_t *owner)
{
    const struct node *node = edit_get(m->e, owner);
    ck_assert_msg(node, "%s: no such name", m->command);
    struct denial d = {.type = has_nsec(node) ? RR_NSEC : RR_NSEC3};
    struct node *kept;
    struct rrset set = take_out(m, owner, (struct what){.type = d.type}, &kept);
    struct rdata rdata;
    ck_assert(set.count == 1 && rrset_first(&set, &rdata) && rdata.len <= sizeof(d.rdata));
    memcpy(d.rdata, rdata.data, rdata.len);
    d.len = rdata.len;
    d.ttl = set.ttl;
    d.next = d.type == RR_NSEC ? 0 : 6u + rdata.data[4];
    d.head = d.type == RR_NSEC ? name_len(rdata.data) : d.next + rdata.data[d.next - 1];
    node_unref(kept);
    return d;
}

static void denial_put(struct mutation *m, const uint8_t *owner, const struct denial *d)
{
    put_record(m, owner, d->type, d->ttl, d->rdata, d->len);
    sign_name(m, owner, false);
}

static void do_bitmap(struct mutation *m, const struct command *c)
{
    struct denial d = denial_take(m, c->owner);
    struct types types = {0};
    types_read(&types, d.rdata + d.head, d.len - d.head);
    types_flip(&types, what_of(m, c->word[1]).type);
    struct wbuf w = wbuf_open(d.rdata + d.head, sizeof(d.rdata) - d.head);
    types_write(&types, &w);
    d.len = d.head + wbuf_len(&w);
    denial_put(m, c->owner, &d);
}

/* The 20 octets that the first label of an NSEC3's owner stands for. */
static void hash_read(const uint8_t *owner, uint8_t hash[20])
{
    memset(hash, 0, 20);
    for (unsigned i = 0; i < 32; i++) {
        char c = (char)owner[1 + i];
        int value = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
        for (unsigned bit = 0; bit < 5; bit++)
            if (value & 16 >> bit)
                hash[(i * 5 + bit) / 8] |= (uint8_t)(0x80 >> (i * 5 + bit) % 8);
    }
}

static void denial_lead(struct mutation *m, const uint8_t *owner, const uint8_t *next)
{
    struct denial d = denial_take(m, owner);
    uint8_t bitmap[256 * 34];
    size_t n = d.len - d.head;
    memcpy(bitmap, d.rdata + d.head, n);
    if (d.type == RR_NSEC)
        d.head = name_copy(d.rdata, next);
    else
        hash_read(next, d.rdata + d.next);
    memcpy(d.rdata + d.head, bitmap, n);
    d.len = d.head + n;
    denial_put(m, owner, &d);
}

static void do_leads(struct mutation *m, const struct command *c)
{
    uint8_t next[NAME_MAX_OCTETS];
    owner_of(m, c->word[1], next);
    denial_lead(m, c->owner, next);
}

/* The next name that has an NSEC, round the end. */
static const uint8_t *nsec_after(const struct snapshot *s, const uint8_t *name)
{
    struct snapshot_iter it;
    bool exact;
    const struct node *node = snapshot_seek_ge(&it, s, name, &exact);
    if (exact)
        node = snapshot_next(&it);
    while (node && !has_nsec(node))
        node = snapshot_next(&it);
    return node ? node_name(node) : snapshot_apex_name(s);
}

static const uint8_t *nsec3_after(const struct snapshot *s, const uint8_t *name)
{
    const struct node *node = snapshot_nsec3_after(s, name);
    return node_name(node ? node : snapshot_nsec3_first(s));
}

static void do_skip(struct mutation *m, const struct command *c)
{
    bool nsec = has_nsec(edit_get(m->e, c->owner));
    const uint8_t *next = nsec ? nsec_after(m->s, c->owner) : nsec3_after(m->s, c->owner);
    denial_lead(m, c->owner, nsec ? nsec_after(m->s, next) : nsec3_after(m->s, next));
}

static void do_link(struct mutation *m, const struct command *c)
{
    uint8_t before[NAME_MAX_OCTETS];
    name_copy(before, c->owner);
    ck_assert_msg(hash_before(m->s, before), "%s: there is no NSEC3", m->command);
    denial_lead(m, c->owner, nsec3_after(m->s, c->owner));
    denial_lead(m, before, c->owner);
}

static void do_flag(struct mutation *m, const struct command *c)
{
    octet_turn(m, c->owner, (struct what){.type = RR_NSEC3}, 1, (unsigned)number_of(m, c->word[1]));
    sign_name(m, c->owner, false);
}

static void do_flags(struct mutation *m, const struct command *c)
{
    for (const struct node *node = snapshot_nsec3_first(m->s); node;
         node = snapshot_nsec3_after(m->s, node_name(node))) {
        octet_turn(m, node_name(node), (struct what){.type = RR_NSEC3}, 1,
                   (unsigned)number_of(m, c->word[0]));
        sign_name(m, node_name(node), false);
    }
}

static void do_nsec(struct mutation *m, const struct command *c)
{
    char next[NAME_TEXT_MAX], text[2048];
    name_print(nsec_after(m->s, c->owner), next);
    snprintf(text, sizeof(text), "NSEC %s %s", next, c->rest[1]);
    add_text(m, c->owner, 300, text);
}

static void do_copy3(struct mutation *m, const struct command *c)
{
    uint8_t to[NAME_MAX_OCTETS];
    owner_of(m, c->word[1], to);
    struct node *node = node_ref(edit_get(m->e, c->owner));
    struct rrset set = set_at(m, node, (struct what){.type = RR_NSEC3});
    put_set(m, to, &set, set.ttl);
    node_unref(node);
    sign_name(m, to, false);
}

/* --- keys --- */

static void put_key(struct mutation *m, const uint8_t *rdata, size_t len)
{
    struct rrset set;
    const struct node *apex = edit_get(m->e, m->apex);
    bool any = apex && node_rrset(apex, RR_DNSKEY, 0, &set);
    put_record(m, m->apex, RR_DNSKEY, any ? set.ttl : 300, rdata, len);
}

static void do_keys(struct mutation *m, const struct command *c)
{
    uint8_t rdata[4 + 64] = {1, 1, 3, 13};
    for (long i = 0; i < number_of(m, c->word[0]); i++) {
        put_u32(rdata + 4, (uint32_t)i + 1);
        put_key(m, rdata, sizeof(rdata));
    }
}

static void do_addkey(struct mutation *m, const struct command *c)
{
    struct signer other = {0};
    signer_add_key(&other, (uint16_t)number_of(m, c->word[0]), (uint8_t)number_of(m, c->word[1]),
                   (uint32_t)number_of(m, c->word[2]));
    put_key(m, other.key[0].rdata, other.key[0].len);
    signer_close(&other);
}

static const struct signer_key *key_at(const struct mutation *m, const char *word)
{
    long n = number_of(m, word);
    ck_assert_msg(n >= 0 && n < (long)m->signer->keys, "%s: no such key", m->command);
    return &m->signer->key[n];
}

static void do_twin(struct mutation *m, const struct command *c)
{
    const struct signer_key *key = key_at(m, c->word[0]);
    uint8_t rdata[SIGNER_KEY_MAX], *at = rdata + 4 + 2 * number_of(m, c->word[1]);
    memcpy(rdata, key->rdata, key->len);
    uint16_t one = get_u16(at), two = get_u16(at + 2);
    put_u16(at, two);
    put_u16(at + 2, one);
    ck_assert_msg(one != two && dnssec_key_tag(rdata, key->len) == key->tag, "%s", m->command);
    put_key(m, rdata, key->len);
}

static void do_dropkey(struct mutation *m, const struct command *c)
{
    const struct signer_key *key = key_at(m, c->word[0]);
    int rc = edit_del(m->e, m->apex, RR_DNSKEY, key->rdata, key->len, NULL);
    ck_assert_msg(rc == 0, "%s: it is not there", m->command);
    sign_name(m, m->apex, false);
}

/* The DNSKEY set as it is now gets one signature, by this key. */
static void keys_sign(struct mutation *m, const struct signer *signer, unsigned key)
{
    uint8_t rdata[SIGNER_RRSIG_MAX];
    struct node *kept;
    struct what over = {.type = RR_RRSIG, .covered = RR_DNSKEY};
    struct rrset sigs = take_out(m, m->apex, over, &kept);
    struct node *apex = node_ref(edit_get(m->e, m->apex));
    struct rrset set = set_at(m, apex, (struct what){.type = RR_DNSKEY});
    size_t len = signer_rrsig(signer, key, m->apex, m->apex, &set, rdata);
    put_record(m, m->apex, RR_RRSIG, sigs.ttl, rdata, len);
    node_unref(apex);
    node_unref(kept);
}

static void do_keysign(struct mutation *m, const struct command *c)
{
    keys_sign(m, m->signer, (unsigned)(key_at(m, c->word[0]) - m->signer->key));
}

static void do_revoke(struct mutation *m, const struct command *c)
{
    const struct signer_key *key = key_at(m, c->word[0]);
    unsigned index = (unsigned)(key - m->signer->key);
    struct signer other = *m->signer; /* borrows the keys */
    signer_revoke_key(&other, index);
    int rc = edit_del(m->e, m->apex, RR_DNSKEY, key->rdata, key->len, NULL);
    ck_assert_msg(rc == 0, "%s: it is not there", m->command);
    put_key(m, other.key[index].rdata, key->len);
    keys_sign(m, &other, index);
}

static void do_digest(struct mutation *m, const struct command *c)
{
    (void)c;
    m->digest = true;
}

/* --- scripts --- */

static const struct verb {
    const char *word;
    bool owner; /* the first word is one */
    void (*run)(struct mutation *m, const struct command *c);
} verbs[] = {
    {"del", true, do_del},          {"one", true, do_one},           {"add", true, do_add},
    {"set", true, do_set},          {"ttl", true, do_ttl},           {"octet", true, do_octet},
    {"sign", true, do_sign},        {"oversign", true, do_oversign}, {"unsign", true, do_unsign},
    {"without", true, do_without},  {"sig", true, do_sig},           {"resig", true, do_resig},
    {"sigttl", true, do_sigttl},    {"flood", true, do_flood},       {"bitmap", true, do_bitmap},
    {"leads", true, do_leads},      {"skip", true, do_skip},         {"link", true, do_link},
    {"flag", true, do_flag},        {"flags", false, do_flags},      {"nsec", true, do_nsec},
    {"copy3", true, do_copy3},      {"keys", false, do_keys},        {"addkey", false, do_addkey},
    {"twin", false, do_twin},       {"revoke", false, do_revoke},    {"dropkey", false, do_dropkey},
    {"keysign", false, do_keysign}, {"digest", false, do_digest},
};

static const struct verb *verb_of(const struct mutation *m, const char *word)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (strcmp(verbs[i].word, word) == 0)
            return &verbs[i];
    ck_abort_msg("%s: no command %s", m->command, word);
}

static void command_run(struct mutation *m)
{
    struct command c;
    char *words = mem_strdup(m->command), *rest = words;
    const char *at = m->command;
    const struct verb *verb = verb_of(m, strsep(&rest, " "));
    for (unsigned i = 0; i < WORDS; i++) {
        at = rest ? m->command + (rest - words) : "";
        c.rest[i] = at;
        c.word[i] = rest ? strsep(&rest, " ") : "";
    }
    if (verb->owner)
        owner_of(m, c.word[0], c.owner);
    verb->run(m, &c);
    mem_free(&words);
}

/* The digest is over all but itself and its signatures, so it can be put in afterwards. */
static struct snapshot *digest_put(const struct mutation *m, struct snapshot *made,
                                   struct family *family)
{
    enum { SIMPLE = 1, SHA384 = 1 };
    struct dnssec_zonemd *digest = dnssec_zonemd_begin(m->apex, SHA384);
    struct snapshot_iter it;
    struct soa soa;
    uint8_t rdata[6 + DNSSEC_ZONEMD_MAX];
    for (const struct node *node = snapshot_first(&it, made); node; node = snapshot_next(&it))
        dnssec_zonemd_add(digest, node);
    ck_assert(dnssec_zonemd_end(&digest, rdata + 6) && snapshot_soa(made, &soa));
    put_u32(rdata, soa.serial);
    rdata[4] = SIMPLE;
    rdata[5] = SHA384;
    struct mutation again = {.e = edit_open(family, made, made),
                             .s = made,
                             .signer = m->signer,
                             .apex = m->apex,
                             .command = "digest"};
    struct node *kept;
    struct rrset set = take_out(&again, m->apex, (struct what){.type = RR_ZONEMD}, &kept);
    struct rdata other;
    for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &other);)
        if (other.data[5] != SHA384)
            put_record(&again, m->apex, RR_ZONEMD, set.ttl, other.data, other.len);
    put_record(&again, m->apex, RR_ZONEMD, set.ttl, rdata, 6 + dnssec_zonemd_len(SHA384));
    node_unref(kept);
    struct what over = {.type = RR_RRSIG, .covered = RR_ZONEMD};
    struct rrset sigs = take_out(&again, m->apex, over, &kept);
    struct node *apex = node_ref(edit_get(again.e, m->apex));
    set = set_at(&again, apex, (struct what){.type = RR_ZONEMD});
    for (const uint8_t *p = sigs.rdata; rrset_next(&sigs, &p, &other);) {
        struct rrsig view;
        uint8_t sig[SIGNER_RRSIG_MAX];
        ck_assert(rrsig_parse(other.data, other.len, &view));
        size_t len = signer_rrsig(m->signer, key_of(m, &view), m->apex, m->apex, &set, sig);
        put_record(&again, m->apex, RR_RRSIG, sigs.ttl, sig, len);
    }
    node_unref(apex);
    node_unref(kept);
    snapshot_unref(made);
    ck_assert_int_eq(edit_seal(&again.e, &made, NULL, NULL), 0);
    return made;
}

struct snapshot *mutation_apply(const char *script, const struct snapshot *s, struct family *family,
                                const struct signer *signer)
{
    struct mutation m = {
        .e = edit_open(family, s, s), .s = s, .signer = signer, .apex = snapshot_apex_name(s)};
    char *copy = mem_strdup(script), *rest = copy;
    while ((m.command = strsep(&rest, ";"))) {
        m.command += strspn(m.command, " ");
        if (*m.command)
            command_run(&m);
    }
    mem_free(&copy);
    struct snapshot *made;
    ck_assert_int_eq(edit_seal(&m.e, &made, NULL, NULL), 0);
    m.command = script;
    return m.digest ? digest_put(&m, made, family) : made;
}

struct snapshot *mutation_zone(const char *text, struct family *family)
{
    struct edit *e = edit_open(family, NULL, NULL);
    struct snapshot *made;
    read_text(e, family_apex(family), text, "zone");
    ck_assert_int_eq(edit_seal(&e, &made, NULL, NULL), 0);
    return made;
}
