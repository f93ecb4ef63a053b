/* options: what an operator may set.
 */
#include "stages/multisigner/multisigner.h"

static const char *const include_words[] = {"all", "zsk", NULL};
static const char *const ns_words[] = {"transfer", "union", NULL};
static const char *const csync_words[] = {"no", "waiting", "always", NULL};

#define FIELD(name) .offset = offsetof(struct multisigner_conf, name)
const struct option multisigner_options[] = {
    {.name = "include",
     .kind = OPTION_ENUM,
     FIELD(include),
     .fallback = "all",
     .words = include_words,
     .help = "which keys of other signers join the DNSKEY set: all, or those that sign the zone "
             "(zsk); a key that does everything at its signer always joins: it is seen to sign "
             "there, or came with no other"},
    {.name = "max_foreign_keys",
     .kind = OPTION_INT,
     FIELD(max_keys),
     .fallback = "16",
     .min = 1,
     .max = KEYSET_KEYS_MAX,
     .help = "most keys of other signers; a version with more is refused"},
    {.name = "ns",
     .kind = OPTION_ENUM,
     FIELD(ns),
     .fallback = "transfer",
     .words = ns_words,
     .help = "the NS set at the apex: as it comes in the transfer, or with the names of the other "
             "signers' servers (union)"},
    {.name = "csync",
     .kind = OPTION_ENUM,
     FIELD(csync),
     .fallback = "no",
     .words = csync_words,
     .help = "a CSYNC record asks the parent to take over the NS set (RFC 7477): never, while a "
             "signer's joining or leaving waits for the parent, or always"},
    {.name = NULL},
};
