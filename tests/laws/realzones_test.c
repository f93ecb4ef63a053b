/* realzones: real zones, signed by others, validate as of their own time; and each of them, changed at one record or one
 * octet, gives the finding that says so.
 */
#include "tests/lib/stageplay.h"
#include "tests/lib/suite.h"
#include "tests/lib/vectors.h"

#include "pipeline/run/registry.h"
#include "pipeline/zone/text.h"

#include <string.h>

static const struct zone {
    const char *file, *apex, *at, *options;
    size_t records;
    const char *notes; /* the findings that the zone itself gives */
} zones[] = {
    {"root-2018080101.zone.xz", ".", "20180801160100", "", 22540, ""},
    {"root-2018080200.zone.xz", ".", "20180802040100", "", 22540, ""},
    {"root-2024072600.zone.xz", ".", "20240726040100", "", 24974, ""},
    {"root-2024073100.zone.xz", ".", "20240731040100", "", 25018, ""},
    {"opendnssec.se-2013b.zone", "opendnssec.se.", "20131008071137", "", 50, ""},
    {"nsd-nsec3-resalt-old.zone", "example.net.", "20170615005100", "denial=nsec3-only", 39,
     "pass nsec3-iterations-high: example.net. NSEC3PARAM: 8 NSEC3 iterations; 0 is recommended\n"},
    {"nsd-nsec3-resalt-new.zone", "example.net.", "20170615005100", "denial=any", 39,
     "pass nsec3-iterations-high: example.net. NSEC3PARAM: 8 NSEC3 iterations; 0 is recommended\n"},
    {"uri.arpa-rfc8976.zone", "uri.arpa.", "20210120232540", "", 35, ""},
};

struct loaded {
    const struct zone *zone;
    uint8_t apex[NAME_MAX_OCTETS];
    struct family *family;
    struct snapshot *version;
    struct stageplay play;
    time_t now;
};

static void zone_unpack(const struct zone *zone, char *path, size_t cap)
{
    char from[256], command[1024];
    snprintf(from, sizeof(from), "data/zones/%s", zone->file);
    snprintf(path, cap, "%s", shared_path(from));
    if (!strstr(zone->file, ".xz"))
        return;
    char packed[512];
    snprintf(packed, sizeof(packed), "%s", path);
    snprintf(path, cap, "/tmp/weir-realzones-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    snprintf(command, sizeof(command), "xz -dc '%s' >&%d", packed, fd);
    ck_assert_msg(system(command) == 0, "%s", command);
}

static struct loaded zone_load(const struct zone *zone)
{
    struct loaded l = {.zone = zone};
    struct why why = {""};
    char path[512];
    ck_assert_int_gt(name_parse(zone->apex, l.apex, &why), 0);
    ck_assert_int_eq(text_time(zone->at, &l.now), 0);
    l.family = family_new(l.apex);
    zone_unpack(zone, path, sizeof(path));
    struct edit *e = edit_open(l.family, NULL, NULL);
    ck_assert_msg(text_read(path, e, l.apex, &why) == 0, "%s: %s", path, why.text);
    ck_assert_msg(edit_seal(&e, &l.version, NULL, &why) == 0, "%s: %s", path, why.text);
    if (strstr(zone->file, ".xz"))
        remove(path);
    int rc = stageplay_open(&l.play, registry_find("validate"), l.apex, zone->options, &why);
    ck_assert_msg(rc == 0, "%s", why.text);
    return l;
}

static void zone_drop(struct loaded *l)
{
    stageplay_close(&l->play);
    snapshot_unref(l->version);
    family_unref(l->family);
}

START_TEST(test_real_zones_pass)
{
    const struct zone *zone = &zones[_i];
    struct loaded l = zone_load(zone);
    ck_assert_uint_eq(l.version->records, zone->records);
    struct pool *pool = pool_new(2);
    struct stageresult result = stageplay_run(&l.play, l.version, l.now, false, pool_par(pool));
    char *text = stageresult_print(&result);
    ck_assert_msg(result.verdict == STAGE_PASS, "%s:\n%s", zone->file, text);
    ck_assert_str_eq(text, zone->notes);
    ck_assert_int_gt(result.wake_at, l.now);
    free(text);
    stageplay_drop(&l.play, &result);
    pool_free(&pool);
    zone_drop(&l);
}
END_TEST

/* Two versions in a row, each at its time: the second as a change of the first. */
START_TEST(test_real_zones_in_a_row)
{
    struct loaded a = zone_load(&zones[2 * _i]), b = zone_load(&zones[2 * _i + 1]);
    struct stageresult result = stageplay_run(&a.play, a.version, a.now, false, NULL);
    stageplay_accept(&a.play, &result);
    result = stageplay_run(&a.play, b.version, b.now, false, NULL);
    char *text = stageresult_print(&result);
    ck_assert_msg(result.verdict == STAGE_PASS, "%s", text);
    free(text);
    stageplay_drop(&a.play, &result);
    zone_drop(&a);
    zone_drop(&b);
}
END_TEST

/* --- mutations --- */

static void mutate_del(struct edit *e, const uint8_t *owner, const struct rrset *set,
                       struct rdata rdata)
{
    struct why why;
    int rc = edit_del(e, owner, set->type, rdata.data, rdata.len, &why);
    ck_assert_msg(rc == 0, "%s", why.text);
}

/* Takes a record out and puts it back with one octet flipped, counted from the end (1 = last). */
static void mutate_octet(struct edit *e, const uint8_t *owner, const struct rrset *set,
                         struct rdata rdata, size_t from_end)
{
    uint8_t copy[4096];
    ck_assert_uint_le(rdata.len, sizeof(copy));
    memcpy(copy, rdata.data, rdata.len);
    copy[rdata.len - from_end] ^= 1;
    mutate_del(e, owner, set, rdata);
    ck_assert_int_eq(edit_add(e, owner, set->type, set->ttl, copy, rdata.len, NULL), 0);
}

enum blow { LOSE, FLIP_LAST, FLIP_TIME, FLIP_LABELS, ADD_A, ADD_NAME, ADD_NS, LOSE_NAME, RETTL };

static const struct mutation {
    const char *what;
    unsigned zone;
    const char *owner;
    uint16_t type, covered;
    enum blow blow;
    const char *want; /* "code: owner" that must be among the findings */
} mutations[] = {
    {"a signature lost", 3, "de.", RR_RRSIG, RR_DS, LOSE, "reject rrsig-missing: de. DS"},
    {"a signature's last octet", 3, "de.", RR_RRSIG, RR_DS, FLIP_LAST,
     "reject rrsig-bogus: de. DS"},
    {"a DS's last octet", 3, "se.", RR_DS, 0, FLIP_LAST, "reject rrsig-bogus: se. DS"},
    {"a DS lost", 3, "cz.", RR_DS, 0, LOSE, "reject nsec-bitmap: cz. NSEC"},
    {"a key lost", 3, ".", RR_DNSKEY, 0, LOSE, "reject rrsig-"},
    {"an NSEC lost", 3, "fr.", RR_NSEC, 0, LOSE, "reject nsec-missing: fr. NSEC"},
    {"a delegation lost", 3, "nl.", 0, 0, LOSE_NAME, "reject nsec-next: nissay. NSEC"},
    {"a name added", 3, "wei.", RR_A, 0, ADD_NAME, "reject nsec-missing: wei. NSEC"},
    {"a labels field", 3, "uk.", RR_RRSIG, RR_NSEC, FLIP_LABELS, "reject rrsig-labels: uk. NSEC"},
    {"a TTL", 3, "at.", RR_DS, 0, RETTL, "reject rrsig-original-ttl: at. DS"},
    {"an address beside a delegation lost is no fault", 1, "a.nic.de.", RR_A, 0, LOSE, NULL},
    {"but where the zone has a digest, it is", 3, "a.nic.de.", RR_A, 0, LOSE,
     "reject zonemd-mismatch: . ZONEMD"},
    {"another address", 3, "a.nic.de.", RR_AAAA, 0, FLIP_LAST, "reject zonemd-mismatch: . ZONEMD"},
    {"another TTL of a delegation", 3, "de.", RR_NS, 0, RETTL, "reject zonemd-mismatch: . ZONEMD"},
    {"the digest", 7, "uri.arpa.", RR_ZONEMD, 0, FLIP_LAST,
     "reject zonemd-mismatch: uri.arpa. ZONEMD"},
    {"a delegation above a name", 4, "www.opendnssec.se.", RR_NS, 0, ADD_NS,
     "reject nsec-bitmap: www.opendnssec.se. NSEC"},
    {"one of two algorithms lost", 4, "opendnssec.se.", RR_RRSIG, RR_SOA, LOSE,
     "reject rrsig-algorithm-missing: opendnssec.se. SOA"},
    {"an NSEC3 lost", 5, "@nsec3", 0, 0, LOSE_NAME, "reject nsec3-missing: "},
    {"an NSEC3 that leads elsewhere", 5, "@nsec3", RR_NSEC3, 0, FLIP_TIME, "reject nsec3-next: "},
    {"the hash parameters", 5, "example.net.", RR_NSEC3PARAM, 0, FLIP_LAST,
     "reject nsec3-chain-missing: example.net."},
    {"a signature of another zone", 7, "http.uri.arpa.", RR_RRSIG, RR_NAPTR, FLIP_LAST,
     "reject rrsig-bogus: http.uri.arpa. NAPTR"},
};

static const struct node *mutation_node(const struct loaded *l, const struct mutation *m)
{
    uint8_t owner[NAME_MAX_OCTETS];
    if (strcmp(m->owner, "@nsec3") != 0) {
        ck_assert_int_gt(name_parse(m->owner, owner, NULL), 0);
        return snapshot_get(l->version, owner);
    }
    struct snapshot_iter it;
    const struct node *node = snapshot_first(&it, l->version);
    while (node && !node_has(node, RR_NSEC3))
        node = snapshot_next(&it);
    return node;
}

static void mutate_ttl(struct edit *e, const uint8_t *owner, const struct rrset *set)
{
    struct rdata rdata;
    for (const uint8_t *p = set->rdata; rrset_next(set, &p, &rdata);)
        mutate_del(e, owner, set, rdata);
    for (const uint8_t *p = set->rdata; rrset_next(set, &p, &rdata);)
        ck_assert_int_eq(edit_add(e, owner, set->type, set->ttl + 1, rdata.data, rdata.len, NULL),
                         0);
}

static void mutate(const struct loaded *l, const struct mutation *m, struct edit *e)
{
    uint8_t owner[NAME_MAX_OCTETS];
    const struct node *node = mutation_node(l, m);
    if (m->blow == ADD_NAME || m->blow == ADD_NS) {
        ck_assert_int_gt(name_parse(m->owner, owner, NULL), 0);
        ck_assert(m->blow == ADD_NAME ? node == NULL : node != NULL);
        const uint8_t ns[] = {2, 'n', 's', 0};
        ck_assert_int_eq(edit_add(e, owner, m->type, 300, ns, sizeof(ns), NULL), 0);
        return;
    }
    ck_assert_msg(node != NULL, "%s: %s is not there", m->what, m->owner);
    name_copy(owner, node_name(node));
    if (m->blow == LOSE_NAME) {
        edit_remove(e, owner);
        return;
    }
    struct rrset set;
    struct rdata rdata = {0};
    ck_assert_msg(node_rrset(node, m->type, m->covered, &set), "%s", m->what);
    rrset_first(&set, &rdata);
    switch (m->blow) {
    case LOSE:
        mutate_del(e, owner, &set, rdata);
        break;
    case FLIP_LAST:
        mutate_octet(e, owner, &set, rdata, 1);
        break;
    case FLIP_LABELS: /* RRSIG: type, algorithm, labels */
        mutate_octet(e, owner, &set, rdata, rdata.len - 3u);
        break;
    case FLIP_TIME: /* NSEC3: an octet of the next hash, behind the salt and its own length */
        mutate_octet(e, owner, &set, rdata, rdata.len - (5u + rdata.data[4] + 1));
        break;
    case RETTL:
        mutate_ttl(e, owner, &set);
        break;
    default:
        ck_abort();
    }
}

/* From nothing, and as a change of the right version: the same verdict, the same words for what is wrong. */
START_TEST(test_mutations)
{
    const struct mutation *m = &mutations[_i];
    struct loaded l = zone_load(&zones[m->zone]);
    struct edit *e = edit_open(l.family, l.version, l.version);
    struct snapshot *mutant;
    mutate(&l, m, e);
    ck_assert_int_eq(edit_seal(&e, &mutant, NULL, NULL), 0);
    struct stageresult result;
    for (unsigned again = 0; again < 2; again++) {
        if (again) {
            result = stageplay_run(&l.play, l.version, l.now, false, NULL);
            ck_assert_int_eq(result.verdict, STAGE_PASS);
            stageplay_accept(&l.play, &result);
        }
        result = stageplay_run(&l.play, mutant, l.now, false, NULL);
        char *text = stageresult_print(&result);
        ck_assert_msg(result.verdict == (m->want ? STAGE_REJECT : STAGE_PASS), "%s: %s:\n%s",
                      m->what, verdict_text(result.verdict), text);
        ck_assert_msg(!m->want || strstr(text, m->want), "%s: wanted \"%s\" in\n%s", m->what,
                      m->want, text);
        free(text);
        stageplay_drop(&l.play, &result);
    }
    snapshot_unref(mutant);
    zone_drop(&l);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("realzones");
    tcase_add_loop_test(s.tcase, test_real_zones_pass, 0, sizeof(zones) / sizeof(zones[0]));
    tcase_add_loop_test(s.tcase, test_real_zones_in_a_row, 0, 2);
    tcase_add_loop_test(s.tcase, test_mutations, 0, sizeof(mutations) / sizeof(mutations[0]));
    return suite_run(s);
}
