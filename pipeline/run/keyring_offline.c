/* Each period is read as a small zone of its own, so that text is text everywhere, and judged before anything is made of it.
 */
#include "pipeline/run/keyring_offline.h"

#include "pipeline/base/alloc.h"
#include "pipeline/zone/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PERIODS_MAX = 4096, FILE_MAX_OCTETS = 64 << 20 };

struct reading {
    const char *path; /* NULL: it is no file */
    const uint8_t *apex;
    unsigned line;  /* at which the period begins */
    unsigned first; /* of its text */
    struct keyring_offline *out;
};

static int refuse(const struct reading *r, int code, struct why *why, const char *what)
{
    if (!r->path)
        return why_set(why, code, "%s", what);
    return why_set(why, code, "%s:%u: the keys of the period that begins here: %s", r->path,
                   r->line, what);
}

/* ---- is it good?
 * ------------------------------------------------------------------------------------------- */

static bool is_key_type(uint16_t type)
{
    return type == RR_DNSKEY || type == RR_CDS || type == RR_CDNSKEY;
}

/* By a SEP key of the DNSKEY set? */
static bool signature_holds(const struct reading *r, struct dnssec_scratch *scratch,
                            const struct rrset *keys, const struct rrset *set,
                            const struct rdata *rrsig)
{
    struct rrsig sig;
    struct rdata key;
    bool good = false;
    if (!rrsig_parse(rrsig->data, rrsig->len, &sig) || !name_equal(sig.signer, r->apex))
        return false;
    for (const uint8_t *p = keys->rdata; !good && rrset_next(keys, &p, &key);) {
        struct dnssec_key *open;
        if (!(get_u16(key.data) & DNSKEY_SEP) || dnssec_key_tag(key.data, key.len) != sig.tag ||
            key.data[3] != sig.algorithm || dnssec_key_open(key.data, key.len, &open, NULL))
            continue;
        good = dnssec_verify(scratch, open, r->apex, set, rrsig->data, rrsig->len) == DNSSEC_VALID;
        dnssec_key_close(&open);
    }
    return good;
}

static void period_narrow(struct keyset_prepared *p, const struct rdata *rrsig)
{
    struct rrsig sig;
    if (!rrsig_parse(rrsig->data, rrsig->len, &sig))
        return;
    if (!p->from || (time_t)sig.inception > p->from)
        p->from = (time_t)sig.inception;
    if (!p->until || (time_t)sig.expiration < p->until)
        p->until = (time_t)sig.expiration;
}

static int set_judge(const struct reading *r, const struct node *node, const struct rrset *keys,
                     const struct rrset *set, struct keyset_prepared *p, struct why *why)
{
    struct rrset sigs;
    struct rdata rrsig;
    if (!is_key_type(set->type))
        return refuse(r, -E_MISMATCH, why, "only DNSKEY, CDS, CDNSKEY and their RRSIG belong here");
    if (!node_rrset(node, RR_RRSIG, set->type, &sigs))
        return refuse(r, -E_MISMATCH, why, "a set is not signed");
    struct dnssec_scratch *scratch = dnssec_scratch_new();
    bool all = true;
    for (const uint8_t *at = sigs.rdata; rrset_next(&sigs, &at, &rrsig);) {
        all = all && signature_holds(r, scratch, keys, set, &rrsig);
        period_narrow(p, &rrsig);
    }
    dnssec_scratch_free(&scratch);
    return all ? 0
               : refuse(r, -E_MISMATCH, why,
                        "a signature is not one by a KSK (flags 257) of the DNSKEY set");
}

static int node_judge(const struct reading *r, const struct node *node, struct keyset_prepared *p,
                      struct why *why)
{
    struct rrset keys, set;
    if (!node_rrset(node, RR_DNSKEY, 0, &keys))
        return refuse(r, -E_MISMATCH, why, "there is no DNSKEY");
    *p = (struct keyset_prepared){0};
    for (unsigned i = 0; i < node->nrrsets; i++) {
        node_rrset_at(node, i, &set);
        if (set.type == RR_RRSIG && is_key_type(set.covered) && node_has(node, set.covered))
            continue;
        int err = set_judge(r, node, &keys, &set, p, why);
        if (err)
            return err;
    }
    if (p->from > p->until)
        return refuse(r, -E_MISMATCH, why, "there is no moment at which all signatures are valid");
    p->node = node_ref(node);
    return 0;
}

static int period_judge(const struct reading *r, const struct snapshot *s,
                        struct keyset_prepared *p, struct why *why)
{
    const struct node *node = snapshot_apex(s);
    if (!node || s->names != 1)
        return refuse(r, -E_MISMATCH, why, "expected records of the zone's apex only");
    return node_judge(r, node, p, why);
}

/* ---- text
 * -------------------------------------------------------------------------------------------------- */

static bool is_empty(const char *text, size_t len)
{
    bool comment = false;
    for (size_t i = 0; i < len; i++) {
        comment = text[i] == ';' || (comment && text[i] != '\n');
        if (!comment && !strchr(" \t\r\n", text[i]))
            return false;
    }
    return true;
}

/* "/proc/self/fd/7:2: reason" says which line of the period; people have the file. */
static int refuse_text(const struct reading *r, int code, struct why *why, const char *path,
                       const char *reason)
{
    size_t n = strlen(path);
    char *rest = NULL;
    if (strncmp(reason, path, n) == 0 && reason[n] == ':') {
        unsigned long line = strtoul(reason + n + 1, &rest, 10);
        if (*rest == ':')
            return why_set(why, code, "%s:%lu%s", r->path, r->first + line - 1, rest);
    }
    return refuse(r, code, why, reason);
}

static int period_text(const struct reading *r, const char *text, size_t len, struct snapshot **out,
                       struct why *why)
{
    char path[64];
    struct why reason;
    int fd = memfd_create("weir-period", MFD_CLOEXEC);
    if (fd < 0 || write(fd, text, len) != (ssize_t)len) {
        int err = why_set(why, -E_IO, "%s: %s", r->path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return err;
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct family *family = family_new(r->apex);
    struct edit *e = edit_open(family, NULL, NULL);
    int err = text_read(path, e, r->apex, &reason);
    close(fd);
    if (err)
        edit_abort(&e);
    else
        err = edit_seal(&e, out, NULL, &reason);
    family_unref(family);
    return err ? refuse_text(r, err, why, path, reason.text) : 0;
}

static int period_take(struct reading *r, const char *text, size_t len, struct why *why)
{
    struct snapshot *s;
    struct keyring_offline *o = r->out;
    if (is_empty(text, len))
        return 0;
    if (o->n == PERIODS_MAX)
        return refuse(r, -E_LIMIT, why, "there are too many periods before it");
    int err = period_text(r, text, len, &s, why);
    if (err)
        return err;
    o->period = mem_resize(o->period, (o->n + 1) * sizeof o->period[0]);
    err = period_judge(r, s, &o->period[o->n], why);
    o->n += !err;
    snapshot_unref(s);
    return err;
}

static int periods_take(struct reading *r, const char *text, size_t len, struct why *why)
{
    const char *begin = text, *end = text + len;
    unsigned line = 1;
    int err = 0;
    r->line = r->first = 1;
    for (const char *p = text; !err && p < end;) {
        const char *next = memchr(p, '\n', (size_t)(end - p));
        next = next ? next + 1 : end;
        if (next - p >= 2 && p[0] == ';' && p[1] == ';') {
            err = period_take(r, begin, (size_t)(p - begin), why);
            begin = next;
            r->line = line;
            r->first = line + 1;
        }
        line++;
        p = next;
    }
    if (!err)
        err = period_take(r, begin, (size_t)(end - begin), why);
    if (!err && r->out->n == 0)
        err = why_set(why, -E_FORMAT, "%s: there are no keys in it", r->path);
    return err;
}

int keyring_offline_read(const char *path, const uint8_t *apex, struct keyring_offline *out,
                         struct why *why)
{
    *out = (struct keyring_offline){0};
    struct reading r = {.path = path, .apex = apex, .out = out};
    FILE *in = fopen(path, "re");
    if (!in)
        return why_set(why, -E_IO, "%s: %s", path, strerror(errno));
    char *text = NULL;
    size_t len = 0, room = 0;
    int err = 0;
    do {
        room = room ? 2 * room : 65536;
        text = mem_resize(text, room);
        len += fread(text + len, 1, room - len, in);
    } while (len == room && room < FILE_MAX_OCTETS);
    if (ferror(in))
        err = why_set(why, -E_IO, "%s: %s", path, strerror(errno));
    else if (len == room)
        err = why_set(why, -E_LIMIT, "%s: more than %d octets", path, FILE_MAX_OCTETS);
    fclose(in);
    if (!err)
        err = periods_take(&r, text, len, why);
    mem_free(&text);
    if (err)
        keyring_offline_clear(out);
    return err;
}

void keyring_offline_clear(struct keyring_offline *o)
{
    for (unsigned i = 0; i < o->n; i++)
        node_unref(o->period[i].node);
    mem_free(&o->period);
    o->n = 0;
}

void keyring_offline_attach(const struct keyring_offline *o, struct keyset *keys)
{
    ASSERT(keys->nprepared == 0);
    if (o->n == 0)
        return;
    mem_free(&keys->prepared);
    keys->prepared = mem_array(o->n, sizeof keys->prepared[0]);
    for (unsigned i = 0; i < o->n; i++) {
        keys->prepared[i] = o->period[i];
        keys->prepared[i].node = node_ref(o->period[i].node);
    }
    keys->nprepared = o->n;
    keyset_seal(keys);
}

static bool set_has(const struct rrset *set, const struct keyset_key *key)
{
    struct rdata r;
    for (const uint8_t *p = set->rdata; rrset_next(set, &p, &r);)
        if (r.len == key->len && memcmp(r.data, key->rdata, r.len) == 0)
            return true;
    return false;
}

int keyring_offline_attach_node(const struct node *node, const uint8_t *apex, struct keyset *keys,
                                struct why *why)
{
    struct reading r = {.apex = apex};
    struct keyset_prepared p;
    struct rrset set = {.count = 0};
    int err = node_judge(&r, node, &p, why);
    if (err)
        return err;
    node_rrset(node, RR_DNSKEY, 0, &set);
    for (unsigned i = 0; !err && i < keys->n; i++)
        if (keys->key[i].signs_zone && keys->key[i].publish && !set_has(&set, &keys->key[i]))
            err = why_set(why, -E_MISMATCH, "our key %u signs, and is not in its DNSKEY set",
                          keys->key[i].tag);
    if (err) {
        node_unref(p.node);
        return err;
    }
    keys->prepared = mem_resize(keys->prepared, (keys->nprepared + 1) * sizeof keys->prepared[0]);
    keys->prepared[keys->nprepared++] = p;
    keyset_seal(keys);
    return 0;
}
