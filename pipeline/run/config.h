/* config: what the operator wrote.
 *
 * WHAT   Reads a libconfig file into one immutable, checked object. Every option is a row in a table (option.h), so
 *        that help, defaults and errors agree. Unknown keys, bad values and impossible combinations are refused
 *        with file, line, word, value and what was expected. Templates (`template = "name"`) are resolved.
 * WHO    Immutable after config_load; any thread; refcounted.
 * OWNS   config_ref/unref. All strings and structs belong to the config.
 * SPEC   design.md section 8.
 */
#ifndef WEIR_RUN_CONFIG_H
#define WEIR_RUN_CONFIG_H

#include "pipeline/run/address.h"
#include "pipeline/run/chain.h"
#include "pipeline/run/keyring.h"

enum durability { DURABILITY_COMMIT, DURABILITY_ASYNC };

struct server_conf {
    size_t nlisten;
    struct address *listen;
    int64_t threads;                     /* query threads, 1.. ; default 2 */
    int64_t workers;                     /* chain workers; 0 = one a core */
    char *state;                         /* folder, made if missing */
    int durability;                      /* enum durability */
    char *control;                       /* path of the control socket; NULL: none */
    char *user;                          /* switch to it after binding; NULL: stay */
    char *identity;                      /* id.server / hostname.bind; NULL: refused */
    char *version;                       /* version.bind / version.server; NULL: refused */
    char *capture;                       /* folder for captures of what comes in; NULL: none */
    int64_t capture_max_bytes;           /* a file of it */
    int log_level;                       /* enum log_level */
    int64_t udp_size;                    /* EDNS, 1232 */
    int64_t tcp_clients;                 /* connections in all */
    int64_t tcp_per_client;              /* a host (v6: /64) */
    int64_t tcp_idle_s;                  /* without a query */
    int64_t tcp_slow_s;                  /* while output waits: windows of so long, …  */
    int64_t tcp_min_rate;                /* … in each of which the client must take so many octets a second; 0: one octet */
    int64_t tcp_memory_bytes;            /* output that waits for clients, of all connections */
    int64_t tcp_pipeline;                /* queries in flight a connection */
    int64_t transfers_in, transfers_in_per_primary;
    int64_t transfers_out, transfers_out_per_client;
    int64_t transfer_out_max_s;          /* a transfer out holds a version's memory no longer than this */
    struct tsig_keys keys;               /* of the part `tsig`; here, so that query threads have them with the rest */
    bool keys_inline;                    /* one of them is in the configuration file itself */
};

struct remote_conf {
    char *name;
    struct address address;
    struct address source;               /* len 0: the system's choice */
    struct tsig_key *key;                /* signs what goes there, and must sign what comes from there; NULL: none */
    bool ixfr;                           /* as a primary: ask it for differences */
};

enum ksk_roll { KSK_DOUBLE_DS, KSK_DOUBLE_KSK };
enum ksk_place { KSK_HERE, KSK_ELSEWHERE };
struct keys_conf {                       /* of a zone whose chain signs */
    struct keyring_policy policy;
    char *algorithm;                     /* as written; policy has the number */
    int64_t bits;
    int ksk_roll;                        /* enum ksk_roll */
    int ksk;                             /* enum ksk_place, as written; policy.offline_ksk is what counts */
    int64_t parent_check_s, signer_check_s; /* go into the zone's */
    char *offline_ksk;                   /* file of sets made elsewhere; NULL: there is none */
};

struct trust_anchor;                     /* zone/trust.h */
/* Another provider that signs the zone (RFC 8901): its servers are asked, or its keys come from a file, or both. */
struct signer_conf {
    char *name;
    size_t nservers;
    const struct remote_conf **servers;  /* of its copy of the zone, as their authorities */
    char *keys_file;                     /* its DNSKEY records; NULL: none; resolved against the config's folder */
    unsigned ntrust;
    struct trust_anchor *trust;          /* what proves its DNSKEY set; none: the DS set at the parent */
};

struct zone_conf {
    uint8_t *name;
    char *text;                          /* the name, printed */
    size_t nprimaries;
    const struct remote_conf **primaries;/* ordered */
    char *file;                          /* instead of primaries; NULL otherwise; resolved against the config's folder */
    size_t nnotify;
    const struct remote_conf **notify;
    size_t nparent;
    const struct remote_conf **parent;   /* who is asked for the zone's DS, when its keys wait for that */
    int64_t parent_check_s;              /* … how often */
    struct acl allow_transfer, allow_notify;
    struct chain *chain;                 /* may be empty (n == 0): what comes in is served */
    char *mode;                          /* "pre-signed" …, or NULL for a chain of its own */
    int64_t max_records, max_bytes;      /* of a transfer in */
    int64_t max_time_s, min_rate;        /* octets a second, averaged over 10 s */
    int64_t refresh_min_s, refresh_max_s, retry_min_s, retry_max_s; /* clamp the SOA's timers */
    int64_t expire_max_s;                /* 0: the SOA's */
    bool primary_pin;                    /* differences only from the primary that the version came from */
    int64_t keep_findings;
    int64_t notify_retries, notify_timeout_s;  /* RFC 1996 3.6: 5 tries, 60 s */
    bool signs;                          /* its chain has a stage that needs keys */
    bool rekeys;                         /* … one that needs DNSKEY sets made elsewhere, and no keys: those of keys.offline_ksk */
    bool prepares;                       /* … has none, but has keys, which other signers are to know before the mode changes */
    struct keys_conf keys;
    bool shared;                         /* … one that takes keys of other signers */
    unsigned nsigners;
    struct signer_conf *signers;         /* in the order of the file; none unless `shared` */
    int64_t signer_check_s;              /* how often their servers are asked while nothing waits for them */
    int64_t ixfr_history, ixfr_history_bytes, ixfr_history_age_s; /* see struct history_limits */
};

struct config {
    _Atomic uint32_t refs;
    char *path;
    struct server_conf server;
    size_t nremotes;
    struct remote_conf *remotes;
    size_t nzones;
    struct zone_conf *zones;             /* in name order, no two of one name */
};
/* -E_IO: the file cannot be read; -E_CONF: "FILE:LINE: word = value: expected …". (Not config_read: libconfig has that.) */
int config_load(const char *path, struct config **out, struct why *why) MUST_CHECK;
/* Its server block alone, without remotes and zones, which may be wrong: for who only wants to talk to a running weir. */
int config_load_server(const char *path, struct config **out, struct why *why) MUST_CHECK;
/* The whole from text; `path` is what errors name and what relative paths start from. */
int config_parse(const char *text, size_t len, const char *path, struct config **out, struct why *why) MUST_CHECK;
struct config *config_ref(const struct config *c);
void config_unref(struct config *c);
const struct zone_conf *config_zone(const struct config *c, const uint8_t *name);  /* exact; NULL */

#endif
