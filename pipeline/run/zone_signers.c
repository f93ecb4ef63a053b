/* zone_signers: see zone_signers.h. */
#include "pipeline/run/zone_signers.h"

#include "pipeline/run/option.h"
#include "pipeline/run/zone_keys.h"
#include "pipeline/run/zone_run_p.h"

#include <string.h>

void zone_signers_want(struct zone *z, bool want)
{
    struct zone_shared *shared = z->run->shared;
    if (atomic_exchange(&z->signers_wanted, want) != want && shared->parent_listen)
        shared->parent_listen(shared->parent_ctx, z);
}

void zone_signers_told(struct zone *z, const struct signer_view *view)
{
    zone_keys_signer(z, view);
}

/* An option of the stage that takes what others have. */
static bool stage_says(const struct zone_conf *zone, const char *option, const char *word)
{
    for (unsigned i = 0; zone->chain && i < zone->chain->n; i++) {
        const struct chain_stage *s = &zone->chain->stage[i];
        int value;
        if (strcmp(s->type->name, "multisigner") != 0)
            continue;
        const struct option *o = option_find(s->type->options, option);
        if (!o || o->kind != OPTION_ENUM)
            return false;
        memcpy(&value, (const char *)s->conf + o->offset, sizeof value);
        return strcmp(o->words[value], word) == 0;
    }
    return false;
}

void signers_conf_of(const struct zone_conf *zone, struct signers_conf *out)
{
    for (unsigned i = 0; i < zone->nsigners; i++) {
        const struct signer_conf *s = &zone->signers[i];
        out->signer[i] = (struct signer_policy){s->name, s->nservers > 0, s->ntrust, s->trust};
    }
    out->policy = (struct signers_policy){
        .n = zone->nsigners,
        .signer = out->signer,
        .propagation_delay_s = zone->keys.policy.propagation_delay_s,
        .ds_ttl_s = zone->keys.policy.ds_ttl_s,
        .parent_known = zone->nparent > 0,
        .ns_union = stage_says(zone, "ns", "union"),
        .csync_waiting = stage_says(zone, "csync", "waiting"),
    };
}
