/* imported_fuzz: a zone `example.` of hostile text comes in, whose KSK is elsewhere: what of its DNSKEY, CDS and CDNSKEY sets goes on to `sign`.
 *
 * Through strip, which leaves these sets with their signatures, and multisigner, which proves them. Held against what comes out: what is
 * refused has a reason; what passes has at its apex just the key sets that came in, each with signatures, and no other signature anywhere.
 */
#include "tests/lib/stageplay.h"

#include "pipeline/run/registry.h"
#include "pipeline/zone/text.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW = 1704844800 };
static const uint8_t apex[] = "\7example";

/* A ZSK of ours that is published, which is all that is asked of it here. */
static struct keyset *keys_new(void)
{
    static const uint8_t zsk[36] = {1, 0, 3, ALG_ED25519, 1};
    struct keyset *keys = keyset_new(1, 0, 0);
    keys->ksk_elsewhere = true;
    keys->key[0] = (struct keyset_key){
        .rdata = mem_dup(zsk, sizeof zsk), .len = sizeof zsk, .publish = true, .signs_zone = true};
    keyset_seal(keys);
    return keys;
}

static struct snapshot *zone_read(const uint8_t *data, size_t size, struct family *family)
{
    char path[64];
    struct why why;
    struct snapshot *s = NULL;
    struct edit *e = edit_open(family, NULL, NULL);
    int fd = memfd_create("zone", MFD_CLOEXEC);
    ASSERT(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int err = text_read(path, e, apex, &why);
    close(fd);
    if (err)
        edit_abort(&e);
    else if (edit_seal(&e, &s, NULL, &why))
        return NULL;
    return s;
}

static uint16_t key_type(const struct rrset *set)
{
    uint16_t type = set->type == RR_RRSIG ? set->covered : set->type;
    return type == RR_DNSKEY || type == RR_CDS || type == RR_CDNSKEY ? type : 0;
}

static void check_apex(const struct node *in, const struct node *out)
{
    struct rrset set, other;
    ASSERT(node_has(out, RR_DNSKEY));
    for (unsigned i = 0; i < out->nrrsets; i++) {
        node_rrset_at(out, i, &set);
        ASSERT(set.type != RR_RRSIG || key_type(&set));
        if (!key_type(&set))
            continue;
        ASSERT(node_rrset(in, set.type, set.covered, &other) && rrset_equal(&set, &other, true));
        ASSERT(set.type == RR_RRSIG || node_rrset(out, RR_RRSIG, set.type, &other));
    }
}

static void check_out(const struct snapshot *in, const struct snapshot *out)
{
    struct snapshot_iter it;
    for (const struct node *node = snapshot_first(&it, out); node; node = snapshot_next(&it))
        if (name_equal(node_name(node), apex))
            check_apex(snapshot_apex(in), node);
        else
            ASSERT(!node_has(node, RR_RRSIG));
}

/* A reference for the caller; NULL: it was refused, with a finding that says so. */
static struct snapshot *pass(struct stageplay *play, const struct snapshot *in)
{
    struct stageresult r = stageplay_run(play, in, NOW, false, NULL);
    struct snapshot *out = NULL;
    if (r.verdict == STAGE_PASS)
        out = snapshot_ref(r.out);
    else
        ASSERT(r.findings->by_verdict[r.verdict] > 0);
    stageplay_drop(play, &r);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stageplay strip, multisigner;
    struct why why;
    struct keyset *keys = keys_new();
    struct family *family = family_new(apex);
    struct snapshot *in = zone_read(data, size, family), *bare = NULL, *out = NULL;
    int err = stageplay_open(&strip, registry_find("strip"), apex, "keep_key_sets=true", &why) ||
              stageplay_open(&multisigner, registry_find("multisigner"), apex, NULL, &why);
    ASSERT(!err);
    strip.keys = multisigner.keys = keys;
    if (in && snapshot_apex(in))
        bare = pass(&strip, in);
    if (bare && snapshot_apex(bare))
        out = pass(&multisigner, bare);
    if (out)
        check_out(in, out);
    snapshot_unref(out);
    snapshot_unref(bare);
    snapshot_unref(in);
    stageplay_close(&strip);
    stageplay_close(&multisigner);
    family_unref(family);
    keyset_unref(keys);
    return 0;
}
