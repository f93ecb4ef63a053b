/* multisigner: takes the keys of a zone's other signers into it (RFC 8901).
 *
 *      DNSKEY at the apex of what comes in  ─┐            ┌─▶ DNSKEY of others that we publish ─┐
 *      keys from a file or from their signer ┼─▶ [policy] ┼─▶ CDS, CDNSKEY of their KSKs       ─┼▶ sign: joins them with ours
 *      names of their servers               ─┘            └─▶ NS, CSYNC                        ─┘
 *
 * A resolver may take the DNSKEY set from one provider and a signature from another, so every
 * provider publishes the others' keys that sign the zone (RFC 8901 3), and all ask the parent for the same DS set (8). What
 * may be in the apex DNSKEY set is decided here; the set itself, with our own keys, and the
 * signatures are made by `sign`.
 *
 * With a KSK that is elsewhere (model 1) its holder makes the set, and nothing is merged (imported.c).
 *
 * A key that cannot be used as it should is a reason to refuse the whole version (judge.c).
 *
 * The output differs from the input at the apex alone. It depends on the apex, on the keyset, and, for CSYNC, on whether the servers
 * that are in the zone have addresses there.
 */
#include "stages/multisigner/multisigner.h"

static void put(struct edit *out, struct node *node)
{
    const struct node *held = edit_get(out, node_name(node));
    if (held && node_equal(held, node))
        node_unref(node);
    else
        edit_put(out, node);
}

/* All but the apex goes out as it came in. */
static void mirror(struct stage_run *run, const uint8_t *apex)
{
    for (size_t i = 0; i < run->delta->n; i++) {
        const struct change *change = &run->delta->change[i];
        const uint8_t *owner = change_name(change);
        if (name_equal(owner, apex))
            continue;
        if (change->now)
            put(run->out, node_ref(change->now));
        else
            edit_remove(run->out, owner);
    }
    run->visited += run->delta->n;
}

/* The keys that come from elsewhere are judged beside those of ours that are in use. */
static bool keys_ready(const struct keyset *keys)
{
    bool ready = keys && keys->unsigned_zone;
    for (unsigned i = 0; keys && i < keys->n; i++)
        ready |= keys->key[i].publish || keys->key[i].signs_zone;
    return ready;
}

static void multisigner_run(struct stage_run *run)
{
    struct merge m = {.run = run,
                      .conf = run->conf,
                      .apex_name = snapshot_apex_name(run->next),
                      .apex = snapshot_apex(run->next)};
    if (!keys_ready(run->keys)) {
        finding_add(run->findings, OWN_KEYS_MISSING, m.apex_name, RR_DNSKEY, 0, 0, NULL);
        return;
    }
    run->visited = 1;
    if (!m.apex || !node_has(m.apex, RR_SOA)) {
        finding_add(run->findings, APEX_WITHOUT_SOA, m.apex_name, RR_SOA, 0, 0, NULL);
        return;
    }
    if (!run->keys->unsigned_zone) {
        if (run->keys->ksk_elsewhere) {
            imported_judge(&m);
        } else {
            foreign_collect(&m);
            foreign_judge(&m);
        }
    }
    servers_judge(&m);
    merge_measure(&m);
    if (m.refused)
        return;
    mirror(run, m.apex_name);
    put(run->out, merge_apex(&m));
}

const struct stage_type stage_multisigner = {
    .name = "multisigner",
    .summary = "takes the keys of a zone's other signers into its DNSKEY set (RFC 8901)",
    .flags = STAGE_DNSSEC_ONLY | STAGE_JOINS_NS,
    .conf_size = sizeof(struct multisigner_conf),
    .options = multisigner_options,
    .findings = multisigner_findings,
    .run = multisigner_run,
};
