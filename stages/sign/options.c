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
     .help = "how the zone says what is not there; nsec3 hides its names from who would list them "
             "(RFC 5155)"},
    {.name = "opt_out",
     .kind = OPTION_BOOL,
     FIELD(opt_out),
     .fallback = "false",
     .help = "with nsec3: delegations without DS have no record of their own (RFC 5155 6)"},
    {.name = "nsec3_iterations",
     .kind = OPTION_INT,
     FIELD(nsec3_iterations),
     .fallback = "0",
     .min = 0,
     .max = 50,
     .help = "how often a name is hashed once more; RFC 9276 wants 0, and resolvers take a zone of "
             "more than 50 for unsigned"},
    {.name = "nsec3_salt",
     .kind = OPTION_STRING,
     FIELD(nsec3_salt),
     .help = "hexadecimal octets that are hashed with each name, 32 at most; RFC 9276 wants none"},
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
    return (uint32_t)((conf->validity + EXPIRY_SLOTS / 2 - 1) / (EXPIRY_SLOTS / 2));
}

static bool salt_read(struct sign_conf *c)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = c->nsec3_salt ? strlen(c->nsec3_salt) : 0;
    if (n % 2 || n > 2 * sizeof(c->salt))
        return false;
    for (size_t i = 0; i < n; i++) {
        const char *digit = strchr(digits, name_lower_table[(uint8_t)c->nsec3_salt[i]]);
        if (!digit)
            return false;
        c->salt[i / 2] = (uint8_t)(c->salt[i / 2] << 4 | (digit - digits));
    }
    c->salt_len = (uint8_t)(n / 2);
    return true;
}

static int nsec3_conf_check(struct sign_conf *c, const uint8_t *apex, struct why *why)
{
    uint8_t hash[DNSSEC_NSEC3_HASH] = {0}, owner[NAME_MAX_OCTETS];
    const char *of_nsec3 = c->opt_out            ? "opt_out"
                           : c->nsec3_salt       ? "nsec3_salt"
                           : c->nsec3_iterations ? "nsec3_iterations"
                                                 : NULL;
    if (of_nsec3 && c->denial != SIGN_NSEC3)
        return why_set(why, -E_CONF, "%s is of NSEC3: it wants denial = \"nsec3\"", of_nsec3);
    if (!salt_read(c))
        return why_set(why, -E_CONF,
                       "nsec3_salt = \"%s\": hexadecimal octets, two digits each and %zu octets at "
                       "most, are expected",
                       c->nsec3_salt, sizeof(c->salt));
    if (c->denial == SIGN_NSEC3 && !dnssec_nsec3_owner(hash, apex, owner))
        return why_set(why, -E_CONF,
                       "the zone's name has %zu octets, which leaves no room for the label of a "
                       "hash: denial = \"nsec\" is possible",
                       name_len(apex));
    return 0;
}

int sign_conf_check(void *conf, const uint8_t *apex, struct why *why)
{
    struct sign_conf *c = conf;
    int rc = nsec3_conf_check(c, apex, why);
    if (rc)
        return rc;
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
