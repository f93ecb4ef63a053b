/* rekey: gives a zone that its owner signed another DNSKEY set, which the holder of its KSK signed (RFC 8901 model 1).
 *
 *      zone with the owner's signatures ─┐
 *      DNSKEY, CDS, CDNSKEY and RRSIGs   ┴─▶ these sets at the apex in the place of the owner's; all else octet for octet as it came
 *
 * A zone that moves from one provider to another needs both providers' ZSKs in its DNSKEY set before the first answer of the new one and
 * until the last of the old one has left the caches, and neither provider may be able to change what it serves. The sets come with
 * the keyset (zone/keyset.h: prepared), and were proved when they were read; the stage validate behind this one judges the whole.
 *
 * What the owner's signatures do not allow is refused. The types at the apex are in its NSEC or NSEC3: no CDS where there was none, and
 * a set of the owner's stays where none is given. A ZONEMD is over the DNSKEY set. And the serial is signed: when other sets are given
 * while it stands, no secondary would hear of them, so they wait for the owner's next version, as long as those that are
 * served have not ended.
 *
 * The output differs from the input at the apex alone.
 */
#include "pipeline/stage.h"

#include <string.h>

struct rekey_conf {
    int64_t warn;
};

static const struct option rekey_options[] = {
    {.name = "warn",
     .kind = OPTION_SECONDS,
     .offset = offsetof(struct rekey_conf, warn),
     .fallback = "7d",
     .min = 0,
     .max = INT64_C(400) * 86400,
     .help = "so long before the last of the given DNSKEY sets ends there is an alarm"},
    {.name = NULL},
};

enum {
    REKEY_NONE,
    REKEY_NOT_VALID,
    REKEY_TYPE,
    REKEY_ZONEMD,
    REKEY_WAITS,
    REKEY_SERIAL,
    REKEY_ENDS,
};
static const struct finding_type rekey_findings[] = {
    [REKEY_NONE] =
        {"none", STAGE_RETRY, "no DNSKEY set is given to take the place of the owner's",
         "The file that keys.offline_ksk names cannot be read, or has nothing good in it: "
         "the log says why. Nothing goes out with the owner's own set, for its keys may "
         "not be all that are needed."},
    [REKEY_NOT_VALID] = {"not-valid", STAGE_RETRY,
                         "none of the {n0} DNSKEY sets that are given is valid now",
                         "Have the holder of the KSK sign a set for the time to come, and put it "
                         "into the file that "
                         "keys.offline_ksk names."},
    [REKEY_TYPE] = {"type", STAGE_RETRY, "a {text} set is given, and the owner's zone has none",
                    "The owner's NSEC or NSEC3 record of the apex says which types are there, and "
                    "it is signed: "
                    "a resolver could prove that the set does not exist. Leave it out of the file, "
                    "or have the "
                    "owner publish one."},
    [REKEY_ZONEMD] = {"zonemd", STAGE_RETRY,
                      "the zone has a ZONEMD, which another DNSKEY set makes wrong",
                      "RFC 8976: the digest is over the DNSKEY set as well, and the owner signed "
                      "it. Have the owner "
                      "leave ZONEMD out while the zone moves."},
    [REKEY_WAITS] =
        {"waits-for-serial", STAGE_PASS,
         "other DNSKEY sets are given than are served, and go out with the next serial after {n0}",
         "The serial is the owner's and signed. Other records under the same serial would reach no "
         "secondary that has this version, so what is served stays until the owner has a newer "
         "one. To "
         "hasten it, have the owner sign or touch the zone."},
    [REKEY_SERIAL] = {"serial-stands", STAGE_PASS,
                      "the DNSKEY set that was served has ended, and another one goes out under "
                      "the same serial {n0}",
                      "Secondaries that have this serial do not fetch it again by themselves: have "
                      "the owner raise "
                      "it, or transfer the zone anew there."},
    [REKEY_ENDS] =
        {"ends", STAGE_PASS, "the last of the DNSKEY sets that are given ends in {n0} s",
         "Have the holder of the KSK sign a set for the time after. Past it no new version "
         "goes out."},
    {NULL, STAGE_PASS, NULL, NULL},
};

struct rekey {
    struct stage_run *run;
    const uint8_t *apex_name;
    const struct node *apex;             /* as it comes in; NULL: there is none */
    const struct keyset_prepared *given; /* that is valid now */
    time_t last;                         /* the end of the last one */
    time_t next;                         /* when there is something to do; 0: never */
};

static uint16_t key_type(const struct rrset *set)
{
    uint16_t type = set->type == RR_RRSIG ? set->covered : set->type;
    return type == RR_DNSKEY || type == RR_CDS || type == RR_CDNSKEY ? type : 0;
}

static void find(struct rekey *r, unsigned code, uint16_t type, int64_t n0, const char *text)
{
    finding_add(r->run->findings, code, r->apex_name, type, n0, 0, text);
}

static void wake(struct rekey *r, time_t at)
{
    if (at > r->run->now && (!r->next || at < r->next))
        r->next = at;
}

/* The one that is valid now and was signed last. */
static void choose(struct rekey *r)
{
    const struct keyset *keys = r->run->keys;
    time_t now = r->run->now;
    for (unsigned i = 0; keys && i < keys->nprepared; i++) {
        const struct keyset_prepared *p = &keys->prepared[i];
        wake(r, p->from);
        if (p->from <= now && now <= p->until)
            r->given = p; /* they are ordered by `from` */
        if (p->until > r->last)
            r->last = p->until;
    }
    if (!keys || keys->nprepared == 0)
        find(r, REKEY_NONE, RR_DNSKEY, 0, NULL);
    else if (!r->given)
        find(r, REKEY_NOT_VALID, RR_DNSKEY, keys->nprepared, NULL);
    if (r->given)
        wake(r, r->given->until + 1);
}

/* Do the owner's signatures allow the sets? */
static bool allowed(struct rekey *r)
{
    char text[RRTYPE_TEXT_MAX];
    bool good = true;
    for (unsigned i = 0; i < r->given->node->nrrsets; i++) {
        struct rrset set;
        node_rrset_at(r->given->node, i, &set);
        if (set.type == RR_RRSIG || (r->apex && node_has(r->apex, set.type)))
            continue;
        find(r, REKEY_TYPE, set.type, 0, rrtype_print(set.type, text));
        good = false;
    }
    if (r->apex && node_has(r->apex, RR_ZONEMD)) {
        find(r, REKEY_ZONEMD, RR_ZONEMD, 0, NULL);
        good = false;
    }
    return good;
}

static bool is_replaced(void *ctx, const struct rrset *set)
{
    const struct node *given = ctx;
    uint16_t type = key_type(set);
    return type && node_has(given, type);
}

static bool is_no_key_set(void *ctx, const struct rrset *set)
{
    (void)ctx;
    return !key_type(set);
}

/* The owner's apex with these key sets, wherever they are taken from. */
static struct node *apex_with(const struct rekey *r, const struct node *sets)
{
    struct node_builder *b = node_builder_new();
    node_builder_begin(b, node_name(r->apex));
    node_builder_add_node(b, r->apex, is_replaced, (void *)(uintptr_t)sets);
    node_builder_add_node(b, sets, is_no_key_set, NULL);
    struct node *made = node_builder_seal(b);
    node_builder_free(&b);
    return made;
}

static bool same_key_sets(const struct node *a, const struct node *b)
{
    for (int pass = 0; pass < 2; pass++) {
        for (unsigned i = 0; i < a->nrrsets; i++) {
            struct rrset x, y;
            node_rrset_at(a, i, &x);
            if (key_type(&x) &&
                !(node_rrset(b, x.type, x.covered, &y) && rrset_equal(&x, &y, true)))
                return false;
        }
        const struct node *other = a;
        a = b;
        b = other;
    }
    return true;
}

/* When the first signature over the key sets ends. */
static time_t key_sets_end(const struct node *node, time_t now)
{
    time_t end = now + INT32_MAX;
    for (unsigned i = 0; i < node->nrrsets; i++) {
        struct rrset set;
        struct rdata rdata;
        struct rrsig sig;
        node_rrset_at(node, i, &set);
        if (set.type != RR_RRSIG || !key_type(&set))
            continue;
        for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &rdata);) {
            if (!rrsig_parse(rdata.data, rdata.len, &sig))
                continue;
            time_t until = now + (int32_t)(sig.expiration - (uint32_t)now);
            end = until < end ? until : end;
        }
    }
    return end;
}

static bool serial_stands(const struct stage_run *run, uint32_t *serial)
{
    struct soa was, is;
    if (!run->prev || !snapshot_soa(run->prev, &was) || !snapshot_soa(run->next, &is))
        return false;
    *serial = is.serial;
    return was.serial == is.serial;
}

/* What goes out under a serial that is served already is what is served. */
static struct node *apex_made(struct rekey *r)
{
    const struct node *held = edit_get(r->run->out, r->apex_name);
    struct node *made = apex_with(r, r->given->node);
    uint32_t serial;
    if (!held || !serial_stands(r->run, &serial) || same_key_sets(held, made))
        return made;
    time_t end = key_sets_end(held, r->run->now);
    if (end < r->run->now) {
        find(r, REKEY_SERIAL, RR_SOA, serial, NULL);
        return made;
    }
    find(r, REKEY_WAITS, RR_SOA, serial, NULL);
    wake(r, end + 1);
    node_unref(made);
    return apex_with(r, held);
}

static void put(struct edit *out, struct node *node)
{
    const struct node *held = edit_get(out, node_name(node));
    if (held && node_equal(held, node))
        node_unref(node);
    else
        edit_put(out, node);
}

static void mirror(struct rekey *r)
{
    struct stage_run *run = r->run;
    for (size_t i = 0; i < run->delta->n; i++) {
        const struct change *change = &run->delta->change[i];
        const uint8_t *owner = change_name(change);
        if (name_equal(owner, r->apex_name))
            continue;
        if (change->now)
            put(run->out, node_ref(change->now));
        else
            edit_remove(run->out, owner);
    }
    run->visited = run->delta->n + 1;
}

static void times_set(struct rekey *r)
{
    struct stage_run *run = r->run;
    int64_t warn = ((const struct rekey_conf *)run->conf)->warn, left = r->last - run->now;
    bool news = !run->prev || run->woken || run->delta->n > 0;
    if (news && left < warn)
        find(r, REKEY_ENDS, RR_DNSKEY, left, NULL);
    wake(r, r->last - warn + 1);
    run->wake_at = r->next;
}

static void rekey_run(struct stage_run *run)
{
    struct rekey r = {
        .run = run, .apex_name = snapshot_apex_name(run->next), .apex = snapshot_apex(run->next)};
    choose(&r);
    if (!r.given || !allowed(&r))
        return;
    mirror(&r);
    put(run->out, apex_made(&r));
    times_set(&r);
}

const struct stage_type stage_rekey = {
    .name = "rekey",
    .summary = "replaces the DNSKEY set of a zone that its owner signed (RFC 8901 model 1)",
    .flags = STAGE_KEY_SETS_ONLY,
    .conf_size = sizeof(struct rekey_conf),
    .options = rekey_options,
    .findings = rekey_findings,
    .run = rekey_run,
};
