/* The group `keys` of a zone or template: which keys sign the zone, and when they change.
 */
#include "pipeline/run/config_part.h"

#include <stdlib.h>
#include <strings.h>

static const char *const roll_words[] = {"double-ds", "double-ksk", NULL};
static const char *const place_words[] = {"here", "elsewhere", NULL};

#define FIELD(field) offsetof(struct keys_conf, field)
#define DAYS(n)      ((n)*INT64_C(86400))
static const struct option keys_options[] = {
    {"algorithm", OPTION_STRING, FIELD(algorithm), "13", 0, 0, NULL,
     "Number or name: 8 RSASHA256, 10 RSASHA512, 13 ECDSAP256SHA256, 14 ECDSAP384SHA384, 15 "
     "ED25519, 16 ED448. Another one than the keys have begins an algorithm rollover."},
    {"csk", OPTION_BOOL, FIELD(policy.csk), "true", 0, 0, NULL,
     "One key (CSK) signs all; false: a KSK signs the keys, and ZSKs that change without the "
     "parent "
     "sign all else."},
    {"ksk", OPTION_ENUM, FIELD(ksk), "here", 0, 0, place_words,
     "elsewhere: its holder signs the DNSKEY set, which comes with the transfer (mode "
     "\"multi-signer\", RFC 8901 model 1) or in the file of offline_ksk; weir has ZSKs only."},
    {"rsa_bits", OPTION_INT, FIELD(bits), "2048", 2048, 4096, NULL,
     "Size of RSA keys that are made."},
    {"zsk_lifetime", OPTION_SECONDS, FIELD(policy.zsk_lifetime_s), "90d", 0, DAYS(3650), NULL,
     "A ZSK that has signed for so long is rolled over; 0 is only when the operator says so."},
    {"ksk_lifetime", OPTION_SECONDS, FIELD(policy.ksk_lifetime_s), "0", 0, DAYS(36500), NULL,
     "The same of a KSK or CSK, which needs the parent; 0 is only when the operator says so."},
    {"ksk_roll", OPTION_ENUM, FIELD(ksk_roll), "double-ds", 0, 0, roll_words,
     "How a KSK is rolled: the DS of the next key first (RFC 7583 3.3.2), or its DNSKEY (3.3.1). A "
     "CSK's DNSKEY always comes first."},
    {"propagation_delay", OPTION_SECONDS, FIELD(policy.propagation_delay_s), "1h", 0, DAYS(30),
     NULL, "All secondaries serve a version no later than this after weir does."},
    {"parent_check", OPTION_SECONDS, FIELD(parent_check_s), "5m", 1, DAYS(7), NULL,
     "How often the parent's servers are asked for the DS while one is waited for."},
    {"signer_check", OPTION_SECONDS, FIELD(signer_check_s), "5m", 1, DAYS(7), NULL,
     "How often the servers of other signers are asked for their keys; every 30 s or less while a "
     "step waits for them."},
    {"ds_ttl", OPTION_SECONDS, FIELD(policy.ds_ttl_s), "1d", 0, DAYS(30), NULL,
     "TTL of the DS at the parent, while no answer of its servers tells it."},
    {"generate", OPTION_BOOL, FIELD(policy.generate), "true", 0, 0, NULL,
     "A zone that has no keys gets them by itself, and so do rollovers whose time has come."},
    {"offline_ksk", OPTION_STRING, FIELD(offline_ksk), NULL, 0, 0, NULL,
     "File of DNSKEY, CDS and CDNSKEY sets with signatures by a KSK that is not here; weir has "
     "ZSKs "
     "only."},
    {.name = NULL},
};

static int read_algorithm(const struct source *src, const setting *s, struct keys_conf *keys,
                          struct why *why)
{
    static const uint8_t known[] = {8, 10, 13, 14, 15, 16};
    for (size_t i = 0; i < sizeof known; i++) {
        char number[4];
        snprintf(number, sizeof number, "%u", known[i]);
        if (strcmp(keys->algorithm, number) == 0 ||
            strcasecmp(keys->algorithm, dnssec_algorithm_text(known[i])) == 0) {
            keys->policy.algorithm = known[i];
            return 0;
        }
    }
    return setting_unexpected(src, s, why,
                              "expected one of 8, 10, 13, 14, 15, 16, or the name of it, such as "
                              "\"ECDSAP256SHA256\"");
}

/* A number does as well as a word. */
static int apply_algorithm(const struct source *src, const setting *s, struct keys_conf *keys,
                           struct why *why)
{
    if (config_setting_type(s) != CONFIG_TYPE_INT)
        return setting_apply(src, s, keys_options, keys, why);
    mem_free(&keys->algorithm);
    keys->algorithm = mem_printf("%d", config_setting_get_int(s));
    return 0;
}

/* Other signers must show a new ZSK before it signs (RFC 8901 6.2). Where somebody has to give it to one of them, none comes by itself. */
void zone_keys_defaults(struct zone_conf *z, bool by_hand)
{
    struct keys_conf *keys = &z->keys;
    option_defaults(keys_options, keys, sizeof *keys);
    if (by_hand)
        keys->policy.zsk_lifetime_s = 0;
    keys->policy.algorithm = ALG_ECDSAP256;
    keys->policy.double_ds = true;
    z->signer_check_s = keys->signer_check_s;
}

int zone_keys_read(const struct source *src, const setting *group, const struct config *config,
                   struct zone_conf *z, struct why *why)
{
    struct keys_conf *keys = &z->keys;
    struct words known = {0};
    words_add(&known, "parent");
    words_add_table(&known, keys_options);
    int err = setting_is_group(src, group, why);
    for (unsigned i = 0; !err && i < setting_count(group); i++) {
        const setting *s = setting_at(group, i);
        if (strcmp(s->name, "parent") == 0)
            err = remotes_pick(src, s, config, &z->parent, &z->nparent, why);
        else if (strcmp(s->name, "algorithm") == 0)
            err = apply_algorithm(src, s, keys, why);
        else if (option_find(keys_options, s->name))
            err = setting_apply(src, s, keys_options, keys, why);
        else
            err = setting_unknown(src, s, &known, why);
        if (!err && strcmp(s->name, "algorithm") == 0)
            err = read_algorithm(src, s, keys, why);
        if (!err && strcmp(s->name, "offline_ksk") == 0 && !*keys->offline_ksk)
            err = setting_unexpected(src, s, why, "expected a path");
    }
    if (err)
        return err;
    source_resolve(src, &keys->offline_ksk);
    z->parent_check_s = keys->parent_check_s;
    z->signer_check_s = keys->signer_check_s;
    bool rsa = keys->policy.algorithm == ALG_RSASHA256 || keys->policy.algorithm == ALG_RSASHA512;
    keys->policy.bits = rsa ? (unsigned)keys->bits : 0;
    keys->policy.double_ds = keys->ksk_roll == KSK_DOUBLE_DS;
    keys->policy.offline_ksk = ksk_is_elsewhere(group);
    return ksk_check(src, group, z, why);
}

void zone_keys_clear(struct keys_conf *keys)
{
    option_clear(keys_options, keys);
}
