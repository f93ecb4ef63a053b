/* validate_fuzz: a small signed zone under a row of changes; after each, validate judges it from the last version that it took, and
 * from nothing, and must come to the same verdict.
 *
 * Four octets a change: what is done, and three to pick where. Damage as in the laws, a name signed anew as it is (as authoritative or
 * as a cut), a change of the plain zone signed as a signer does, keys and kinds of denial that come and go, time.
 */
#include "tests/lib/history.h"
#include "tests/lib/signer.h"
#include "tests/lib/stageplay.h"
#include "tests/lib/zonegen.h"

#include "pipeline/run/registry.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BEGIN = 1700000000, STEPS = 12, SLOTS = 5 };

struct fuzz {
    uint8_t apex[NAME_MAX_OCTETS];
    struct family *plain_family, *family;
    struct zonegen gen;
    struct signer signer;
    struct snapshot *plain, *version, *whole; /* whole: as it was last signed */
    struct stageplay play, fresh;
    time_t now;
};

static void take(struct snapshot **to, struct snapshot *s)
{
    snapshot_unref(*to);
    *to = s;
}

static void sign_all(struct fuzz *f)
{
    take(&f->whole, signer_sign(&f->signer, f->plain, f->family, f->whole));
    take(&f->version, snapshot_ref(f->whole));
}

static void open_all(struct fuzz *f, uint8_t how)
{
    struct random random = {.state = 5};
    f->gen = zonegen_open(&random, "fuzz.test.", SLOTS);
    f->gen.delegations = how & 4 ? 60 : 0;
    name_copy(f->apex, f->gen.apex);
    f->now = BEGIN;
    f->plain_family = family_new(f->apex);
    f->family = family_new(f->apex);
    f->signer = signer_open(BEGIN, 1);
    f->signer.nsec3 = how & 1;
    f->signer.nsec = !f->signer.nsec3;
    f->signer.opt_out = how & 2;
    struct why why;
    int rc = stageplay_open(&f->play, registry_find("validate"), f->apex, "denial=any", &why) +
             stageplay_open(&f->fresh, registry_find("validate"), f->apex, "denial=any", &why);
    ASSERT(rc == 0);
    f->plain = zonegen_version(&f->gen, f->plain_family, NULL, 0);
    sign_all(f);
}

static void close_all(struct fuzz *f)
{
    stageplay_close(&f->play);
    stageplay_close(&f->fresh);
    snapshot_unref(f->plain);
    snapshot_unref(f->version);
    snapshot_unref(f->whole);
    signer_close(&f->signer);
    family_unref(f->plain_family);
    family_unref(f->family);
}

/* One name gets signatures for what it holds now. */
static void sign_one(struct fuzz *f, unsigned pick, bool cut)
{
    struct edit *e = edit_open(f->family, f->version, f->version);
    struct snapshot_iter it;
    const struct node *node = snapshot_first(&it, f->version);
    for (size_t skip = pick % f->version->names; skip > 0; skip--)
        node = snapshot_next(&it);
    struct snapshot *next;
    signer_put(&f->signer, e, f->apex, node, cut);
    int rc = edit_seal(&e, &next, NULL, NULL);
    ASSERT(rc == 0);
    take(&f->version, next);
}

static void turn_signer(struct fuzz *f, const uint8_t octet[3])
{
    struct signer *signer = &f->signer;
    switch (octet[0] % 8) {
    case 0:
        if (signer->keys < SIGNER_KEYS)
            signer_add_key(signer, (uint16_t)(DNSKEY_ZONE | (octet[1] & DNSKEY_SEP)),
                           octet[1] & 2 ? ALG_ECDSAP256 : ALG_ED25519, octet[2]);
        break;
    case 1:
        if (signer->keys > 1)
            signer_remove_key(signer, octet[1] % signer->keys);
        break;
    case 2:
        signer->key[octet[1] % signer->keys].publish ^= 1;
        break;
    case 3:
        signer->key[octet[1] % signer->keys].sign ^= 1;
        break;
    case 4:
        signer->nsec = octet[1] & 1;
        signer->nsec3 = octet[1] & 2;
        break;
    case 5:
        signer->opt_out ^= 1;
        break;
    case 6:
        signer->fault = (enum signer_fault)(octet[1] % FAULTS);
        signer->fault_lot = octet[2];
        break;
    default:
        signer->lazy = octet[1] % 101;
        signer->expiration = (uint32_t)f->now + octet[2] * 3600u;
        break;
    }
}

static void change(struct fuzz *f, const uint8_t octet[4])
{
    struct random random = {.state = (uint64_t)octet[1] << 16 | (uint64_t)octet[2] << 8 | octet[3]};
    switch (octet[0] % 8) {
    case 0:
    case 1:
        take(&f->version, history_damage(&random, f->family, f->version));
        break;
    case 2:
    case 3:
        sign_one(f, (unsigned)octet[1] << 8 | octet[2], octet[3] & 1);
        break;
    case 4:
    case 5:
        take(&f->plain, zonegen_version(&f->gen, f->plain_family, f->plain, 1 + octet[1] % 3));
        sign_all(f);
        break;
    case 6:
        turn_signer(f, octet + 1);
        sign_all(f);
        break;
    default:
        f->now += octet[1] * 600;
        break;
    }
}

static void judge(struct fuzz *f, bool woken)
{
    struct stageresult part = stageplay_run(&f->play, f->version, f->now, woken, NULL);
    struct stageresult whole = stageplay_run(&f->fresh, f->version, f->now, false, NULL);
    /* where nothing changed and no time has come, there is nothing to say */
    struct changeset *delta = changeset_between(f->play.prev, f->version);
    bool silent = !woken && part.findings->total == 0 && f->play.prev && delta->n == 0;
    changeset_unref(delta);
    if (!silent && part.verdict != whole.verdict) {
        char *x = stageresult_print(&part), *y = stageresult_print(&whole);
        fprintf(stderr, "from the last version:\n%sfrom nothing:\n%s", x, y);
        abort();
    }
    stageplay_drop(&f->fresh, &whole);
    if (part.verdict == STAGE_PASS)
        stageplay_accept(&f->play, &part);
    else
        stageplay_drop(&f->play, &part);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz f = {0};
    if (size == 0)
        return 0;
    open_all(&f, data[0]);
    judge(&f, false);
    for (size_t at = 1, step = 0; at + 4 <= size && step < STEPS; at += 4, step++) {
        change(&f, data + at);
        judge(&f, data[at] % 8 == 7);
    }
    close_all(&f);
    return 0;
}
