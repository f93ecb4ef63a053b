/* A KSK that is elsewhere: what else a zone then cannot have, and what it needs.
 *
 *      keys = { ksk = "elsewhere"; }        its holder's DNSKEY sets come with the transfer (mode "multi-signer"), …
 *      keys = { offline_ksk = "FILE"; }     … or are in this file, or both; of a zone that its owner signs they take the place of his
 */
#include "pipeline/run/config_part.h"

static const char elsewhere[] = "elsewhere";

bool ksk_is_elsewhere(const setting *group)
{
    const char *word;
    if (!group || config_setting_type(group) != CONFIG_TYPE_GROUP)
        return false;
    return (config_setting_lookup_string(group, "ksk", &word) && strcmp(word, elsewhere) == 0) ||
           ksk_has_file(group);
}

bool ksk_has_file(const setting *group)
{
    return group && config_setting_type(group) == CONFIG_TYPE_GROUP &&
           config_setting_get_member(group, "offline_ksk");
}

/* A zone that is signed elsewhere as a whole: nothing is said of keys but where the sets are. */
static int owner_check(const struct source *src, const setting *group, struct why *why)
{
    for (unsigned i = 0; i < setting_count(group); i++) {
        const setting *s = setting_at(group, i);
        if (strcmp(s->name, "offline_ksk") != 0 && strcmp(s->name, "ksk") != 0)
            return setting_refuse(src, s, why,
                                  "%s: expected no such word beside offline_ksk: the zone's owner "
                                  "signs it, and weir has no keys of it",
                                  s->name);
    }
    return 0;
}

int ksk_check_include(const struct source *src, const setting *multisigner, struct why *why)
{
    const setting *s = NULL;
    if (multisigner && config_setting_type(multisigner) == CONFIG_TYPE_GROUP)
        s = config_setting_get_member(multisigner, "include");
    if (!s)
        return 0;
    return setting_unexpected(src, s, why,
                              "expected no such word, for the KSK is elsewhere: who holds it "
                              "decides which keys are in the DNSKEY set");
}

int ksk_check(const struct source *src, const setting *group, const struct zone_conf *z,
              struct why *why)
{
    static const char *const of_ksk[] = {"ksk_lifetime", "ksk_roll"};
    const struct keys_conf *keys = &z->keys;
    const setting *ksk = config_setting_get_member(group, "ksk");
    const setting *csk = config_setting_get_member(group, "csk");
    if (!ksk_is_elsewhere(group))
        return 0;
    if (ksk && keys->ksk != KSK_ELSEWHERE)
        return setting_unexpected(src, ksk, why,
                                  "expected \"elsewhere\", for offline_ksk names its signed sets");
    if (z->rekeys && !z->signs)
        return owner_check(src, group, why);
    if (csk && keys->policy.csk)
        return setting_unexpected(src, csk, why,
                                  "expected false, for the KSK is elsewhere: weir has ZSKs only");
    for (size_t i = 0; i < sizeof of_ksk / sizeof *of_ksk; i++) {
        const setting *s = config_setting_get_member(group, of_ksk[i]);
        if (s)
            return setting_unexpected(src, s, why,
                                      "expected no such word, for the KSK is elsewhere: who holds "
                                      "it rolls it over");
    }
    if (ksk && z->chain && z->signs && !keys->offline_ksk && !z->shared)
        return setting_unexpected(src, ksk, why,
                                  "expected mode = \"multi-signer\", which takes the DNSKEY set of "
                                  "the KSK's holder from the transfer, or offline_ksk, a file of "
                                  "such sets");
    return 0;
}
