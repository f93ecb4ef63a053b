/* message_write: building messages, names compressed.
 *
 * The table knows, by hash, where suffixes of names lie in the message; a find is confirmed against
 * the message itself. Slots carry the generation of the message that they belong to, so a new
 * message empties the table by counting up. Entries are listed in order of entry: going back to a
 * mark takes out those entered since, last first, which is why open addressing needs no tombstones
 * here.
 *
 * An owner equal to the one before, which is most of a transfer, is a pointer without hashing.
 */
#include "pipeline/zone/message.h"
#include "pipeline/base/assert.h"
#include "pipeline/zone/node.h"

#include <string.h>

enum { REACH = 0x4000, RECORD_FIXED = 10 };

void msg_writer_init(struct msg_writer *w)
{
    memset(w, 0, sizeof *w);
}

void msg_begin(struct msg_writer *w, uint8_t *buf, size_t cap, uint16_t id, uint16_t flags)
{
    ASSERT(cap >= MSG_HEADER && cap <= MSG_MAX);
    if (++w->generation == 0) {
        memset(w->table, 0, sizeof w->table);
        w->generation = 1;
    }
    w->msg = buf;
    w->cap = cap;
    w->len = MSG_HEADER;
    memset(buf, 0, MSG_HEADER);
    put_u16(buf, id);
    put_u16(buf + 2, flags);
    memset(w->count, 0, sizeof w->count);
    w->section = SECTION_QUESTION;
    w->last_owner_at = 0;
    w->names = 0;
}

size_t msg_end(struct msg_writer *w)
{
    for (unsigned i = 0; i < 4; i++)
        put_u16(w->msg + 4 + 2 * i, w->count[i]);
    return w->len;
}

struct msg_mark msg_mark(const struct msg_writer *w)
{
    struct msg_mark mark = {.len = w->len, .names = w->names, .section = w->section};
    memcpy(mark.count, w->count, sizeof mark.count);
    return mark;
}

void msg_rewind(struct msg_writer *w, const struct msg_mark *mark)
{
    ASSERT(mark->len <= w->len && mark->names <= w->names);
    while (w->names > mark->names)
        w->table[w->entered[--w->names]].generation = w->generation - 1;
    w->len = mark->len;
    w->section = mark->section;
    memcpy(w->count, mark->count, sizeof w->count);
    if (w->last_owner_at >= w->len)
        w->last_owner_at = 0;
}

/* Does this very name, octet for octet, lie at `at` of the message? */
static bool name_lies_at(const struct msg_writer *w, size_t at, const uint8_t *name)
{
    for (;;) {
        const uint8_t *p = w->msg + at;
        if (p[0] >= 0xc0) {
            at = (size_t)(p[0] & 0x3f) << 8 | p[1];
            continue;
        }
        if (p[0] != name[0] || memcmp(p + 1, name + 1, p[0]) != 0)
            return false;
        if (p[0] == 0)
            return true;
        at += 1u + p[0];
        name += 1 + name[0];
    }
}

/* The slot of this suffix, or the free one where it belongs. */
static struct msg_slot *slot_find(struct msg_writer *w, uint32_t hash, const uint8_t *suffix)
{
    for (uint32_t i = hash;; i++) {
        struct msg_slot *s = &w->table[i % MSG_TABLE];
        if (s->generation != w->generation || (s->hash == hash && name_lies_at(w, s->at, suffix)))
            return s;
    }
}

static void slot_enter(struct msg_writer *w, uint32_t hash, size_t at)
{
    if (at >= REACH || w->names == MSG_NAMES_MAX)
        return;
    uint32_t i = hash % MSG_TABLE;
    while (w->table[i].generation == w->generation)
        i = (i + 1) % MSG_TABLE;
    w->table[i] = (struct msg_slot){w->generation, hash, (uint16_t)at};
    w->entered[w->names++] = (uint16_t)i;
}

static uint64_t load(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    memcpy(&v, p, n);
    return v;
}

static uint64_t mix(uint64_t h)
{
    h *= 0x9e3779b97f4a7c15u;
    return h ^ h >> 32;
}

/* Takes a label into a hash, eight octets a step: most of a transfer's time is spent on names. The last step overlaps
 * the one before it, so that nothing past the label is read. */
static uint64_t label_hash(uint64_t h, const uint8_t *label)
{
    const size_t n = label[0];
    const uint8_t *p = label + 1;
    h ^= n << 56;
    if (n >= 8) {
        for (size_t i = 0; i + 8 < n; i += 8)
            h = mix(h ^ load(p + i, 8));
        return mix(h ^ load(p + n - 8, 8));
    }
    if (n >= 4)
        return mix(h ^ (load(p, 4) | load(p + n - 4, 4) << 32));
    return mix(h ^ (p[0] | (uint64_t)p[n / 2] << 8 | (uint64_t)p[n - 1] << 16));
}

/* Hashes of the name's suffixes, from each label to the end; returns the number of labels. */
static unsigned suffix_hashes(const uint8_t *name, uint8_t at[NAME_MAX_LABELS],
                              uint32_t hash[NAME_MAX_LABELS])
{
    unsigned n = 0, i = 0;
    for (; name[i]; i += 1u + name[i])
        at[n++] = (uint8_t)i;
    uint64_t h = 0;
    for (unsigned k = n; k-- > 0;) {
        h = label_hash(h, name + at[k]);
        hash[k] = (uint32_t)h;
    }
    return n;
}

static bool put_octets(struct msg_writer *w, const uint8_t *p, size_t n)
{
    if (w->cap < w->len || w->cap - w->len < n)
        return false;
    if (n)
        memcpy(w->msg + w->len, p, n);
    w->len += n;
    return true;
}

static bool put_pointer(struct msg_writer *w, size_t target)
{
    const uint8_t p[2] = {(uint8_t)(0xc0 | target >> 8), (uint8_t)target};
    return put_octets(w, p, 2);
}

/* Puts a name, its longest known suffix as a pointer. *lies: where the whole name lies now, 0: out
 * of reach. */
static bool put_name(struct msg_writer *w, const uint8_t *name, uint16_t *lies)
{
    uint8_t at[NAME_MAX_LABELS];
    uint32_t hash[NAME_MAX_LABELS];
    unsigned n = suffix_hashes(name, at, hash), known = 0;
    size_t start = w->len, target = 0;
    for (; known < n; known++) {
        const struct msg_slot *s = slot_find(w, hash[known], name + at[known]);
        if (s->generation == w->generation) {
            target = s->at;
            break;
        }
    }
    size_t plain = known < n ? at[known] : n ? at[n - 1] + 1u + name[at[n - 1]] : 0;
    if (!put_octets(w, name, plain) ||
        !(target ? put_pointer(w, target) : put_octets(w, name_root, 1)))
        return false;
    for (unsigned i = 0; i < known; i++)
        slot_enter(w, hash[i], start + at[i]);
    if (known == 0 && target)
        start = target;
    *lies = n && start < REACH ? (uint16_t)start : 0;
    return true;
}

static bool put_owner(struct msg_writer *w, const uint8_t *owner)
{
    if (w->last_owner_at && name_lies_at(w, w->last_owner_at, owner))
        return put_pointer(w, w->last_owner_at);
    return put_name(w, owner, &w->last_owner_at);
}

static bool put_rdata_names(struct msg_writer *w, uint16_t type, const uint8_t *rdata, uint16_t len)
{
    struct rdata_name name[2];
    unsigned n = rdata_names(type, rdata, len, name);
    size_t done = 0;
    uint16_t lies;
    for (unsigned i = 0; i < n; i++) {
        if (!put_octets(w, rdata + done, name[i].at - done) ||
            !put_name(w, rdata + name[i].at, &lies))
            return false;
        done = (size_t)name[i].at + name[i].len;
    }
    return put_octets(w, rdata + done, len - done);
}

/* All of a record behind its owner. */
static bool put_body(struct msg_writer *w, uint16_t type, uint16_t class, uint32_t ttl,
                     const uint8_t *rdata, uint16_t len, bool compress)
{
    if (w->cap < w->len || w->cap - w->len < RECORD_FIXED)
        return false;
    uint8_t *p = w->msg + w->len;
    put_u16(p, type);
    put_u16(p + 2, class);
    put_u32(p + 4, ttl);
    put_u16(p + 8, len);
    w->len += RECORD_FIXED;
    if (!compress)
        return put_octets(w, rdata, len);
    if (!put_rdata_names(w, type, rdata, len))
        return false;
    put_u16(p + 8, (uint16_t)(w->msg + w->len - p - RECORD_FIXED));
    return true;
}

static bool may_be_compressed(uint16_t type)
{
    const struct rrtype *t = rrtype_get(type);
    return t && t->flags & RRTYPE_COMPRESS;
}

static void enter_section(struct msg_writer *w, unsigned section)
{
    ASSERT(section >= w->section && section <= SECTION_ADDITIONAL);
    w->section = section;
}

bool msg_put_question(struct msg_writer *w, const uint8_t *name, uint16_t type, uint16_t class)
{
    ASSERT(w->section == SECTION_QUESTION);
    struct msg_mark mark = msg_mark(w);
    uint8_t tail[4];
    put_u16(tail, type);
    put_u16(tail + 2, class);
    if (!put_owner(w, name) || !put_octets(w, tail, sizeof tail)) {
        msg_rewind(w, &mark);
        return false;
    }
    w->count[SECTION_QUESTION]++;
    return true;
}

bool msg_put_rr(struct msg_writer *w, unsigned section, const uint8_t *owner, uint16_t type,
                uint16_t class, uint32_t ttl, const uint8_t *rdata, uint16_t len)
{
    struct msg_mark mark = msg_mark(w);
    enter_section(w, section);
    if (!put_owner(w, owner) ||
        !put_body(w, type, class, ttl, rdata, len, class == CLASS_IN && may_be_compressed(type))) {
        msg_rewind(w, &mark);
        return false;
    }
    w->count[section]++;
    return true;
}

bool msg_put_rrset(struct msg_writer *w, unsigned section, const uint8_t *owner,
                   const struct rrset *set)
{
    struct msg_mark mark = msg_mark(w);
    enter_section(w, section);
    bool compress = may_be_compressed(set->type), known = false;
    const uint8_t *p = set->rdata;
    struct rdata r;
    while (rrset_next(set, &p, &r)) {
        /* After the first record the owner is known without looking. */
        bool fits = known ? put_pointer(w, w->last_owner_at) : put_owner(w, owner);
        if (!fits || !put_body(w, set->type, CLASS_IN, set->ttl, r.data, r.len, compress)) {
            msg_rewind(w, &mark);
            return false;
        }
        known = w->last_owner_at != 0;
        w->count[section]++;
    }
    return true;
}

bool msg_put_opt(struct msg_writer *w, uint16_t udp_size, unsigned rcode, bool dnssec_ok,
                 const uint8_t *options, uint16_t len)
{
    uint32_t ttl = (uint32_t)(rcode >> 4 & 0xff) << 24 | (dnssec_ok ? 0x8000u : 0);
    return msg_put_rr(w, SECTION_ADDITIONAL, name_root, RR_OPT, udp_size, ttl, options, len);
}
