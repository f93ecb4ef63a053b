/* options: what an operator may set, and which settings cannot be kept together.
 */
#include "stages/sign/sign.h"

#include <inttypes.h>

static const char *const denial_words[] = {"nsec", "nsec3", NULL};
static const char *const serial_words[] = {"keep", "increment", "unixtime", "dateserial", NULL};
static const char *const zonemd_words[] = {"none", "sha384", "sha512", NULL};
static const char *const cds_words[] = {"sha256", "sha384", "both", NULL};

enum { LONGEST = 400 * 86400, LEAST_PERIOD = 4 };

#define FIELD(name) .offset = offsetof(struct sign_conf, name)
const struct option sign_options[] = {
    {.name = "denial",
     .kind = OPTION_ENUM,
     FIELD(denial),
     .fallback = "nsec",
     .words = denial_words,
     .help = "how the zone says what is not there; nsec3 hides its names from who would list them, "
             "and is without salt and iterations (RFC 9276)"},
    {.name = "opt_out",
     .kind = OPTION_BOOL,
     FIELD(opt_out),
     .fallback = "false",
     .help = "with nsec3: delegations without DS have no record of their own (RFC 5155 6)"},
    {.name = "validity",
     .kind = OPTION_SECONDS,
     FIELD(validity),
     .fallback = "14d",
     .min = 32,
     .max = LONGEST,
     .help = "how long a signature is valid from the moment at which it is made"},
    {.name = "refresh",
     .kind = OPTION_SECONDS,
     FIELD(refresh),
     .fallback = "4d",
     .min = 1,
     .max = LONGEST,
     .help = "no signature goes out that has less time left than this: the time in which a fault "
             "must be found and mended"},
    {.name = "jitter",
     .kind = OPTION_SECONDS,
     FIELD(jitter),
     .fallback = "1h",
     .min = 0,
     .max = LONGEST,
     .help = "signatures made at one time end within so long of each other"},
    {.name = "inception_offset",
     .kind = OPTION_SECONDS,
     FIELD(inception_offset),
     .fallback = "1h",
     .min = 0,
     .max = 86400,
     .help = "signatures begin so long before they are made, for resolvers whose clocks are slow"},
    {.name = "dnskey_ttl",
     .kind = OPTION_SECONDS,
     FIELD(dnskey_ttl),
     .fallback = "1h",
     .min = 0,
     .max = 7 * 86400,
     .help = "TTL of the DNSKEY, CDS and CDNSKEY sets"},
    {.name = "dnskey_validity",
     .kind = OPTION_SECONDS,
     FIELD(dnskey_validity),
     .fallback = "14d",
     .min = 32,
     .max = LONGEST,
     .help =
         "as validity, for the signatures over DNSKEY, CDS and CDNSKEY; they are made anew when "
         "the same share of it is left that refresh is of validity"},
    {.name = "prepared_warn",
     .kind = OPTION_SECONDS,
     FIELD(prepared_warn),
     .fallback = "7d",
     .min = 0,
     .max = LONGEST,
     .help = "with an offline KSK: so long before the last of its DNSKEY sets ends there is an "
             "alarm"},
    {.name = "serial",
     .kind = OPTION_ENUM,
     FIELD(serial),
     .fallback = "increment",
     .words = serial_words,
     .help =
         "SOA serial that goes out when the zone or its signatures changed: the one that came in "
         "(keep), one more than what is served (increment), seconds since 1970 (unixtime), or "
         "YYYYMMDDnn (dateserial); never one that is not after what is served (RFC 1982), then "
         "it is one more"},
    {.name = "zonemd",
     .kind = OPTION_ENUM,
     FIELD(zonemd),
     .fallback = "none",
     .words = zonemd_words,
     .help =
         "a digest of the zone in the zone (RFC 8976): all of the zone is hashed then, at every "
         "change"},
    {.name = "cds_digest",
     .kind = OPTION_ENUM,
     FIELD(cds_digest),
     .fallback = "sha256",
     .words = cds_words,
     .help = "digest type of CDS records (RFC 7344): 2 (sha256), 4 (sha384), or one of each"},
    {.name = NULL},
};

uint32_t expiries_width(const struct sign_conf *conf)
{
    return (uint32_t)(conf->validity / (EXPIRY_SLOTS / 2));
}

int sign_conf_check(void *conf, const uint8_t *apex, struct why *why)
{
    const struct sign_conf *c = conf;
    (void)apex;
    if (c->denial == SIGN_NSEC3)
        return why_set(why, -E_CONF, "denial = \"nsec3\" is not built into this weir yet");
    if (c->opt_out && c->denial != SIGN_NSEC3)
        return why_set(why, -E_CONF, "opt_out is of NSEC3: it wants denial = \"nsec3\"");
    if (cursor_period(c) < c->validity / 4 || cursor_period(c) < LEAST_PERIOD)
        return why_set(why, -E_CONF,
                       "refresh (%" PRId64 " s) and jitter (%" PRId64
                       " s) leave too little of validity (%" PRId64
                       " s) to renew signatures in: together they may be two thirds of it at most",
                       c->refresh, c->jitter, c->validity);
    if (keys_margin(c) < 1)
        return why_set(why, -E_CONF,
                       "dnskey_validity (%" PRId64
                       " s) is so short that no margin is left: refresh is %" PRId64
                       " s of %" PRId64 " s",
                       c->dnskey_validity, c->refresh, c->validity);
    if (c->dnskey_ttl >= keys_margin(c))
        return why_set(why, -E_CONF,
                       "dnskey_ttl (%" PRId64
                       " s) must be less than what signatures over DNSKEY have left when "
                       "they are renewed (%" PRId64
                       " s), or caches keep keys whose signatures ended",
                       c->dnskey_ttl, keys_margin(c));
    return 0;
}
