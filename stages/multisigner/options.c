/* options: what an operator may set.
 */
#include "stages/multisigner/multisigner.h"

static const char *const include_words[] = {"all", "zsk", NULL};

#define FIELD(name) .offset = offsetof(struct multisigner_conf, name)
const struct option multisigner_options[] = {
    {.name = "include",
     .kind = OPTION_ENUM,
     FIELD(include),
     .fallback = "all",
     .words = include_words,
     .help = "which keys of other signers join the DNSKEY set: all, or those that sign the zone "
             "(zsk); a signer that "
             "has one key for everything shows it by having no other, and then it always joins"},
    {.name = "max_foreign_keys",
     .kind = OPTION_INT,
     FIELD(max_keys),
     .fallback = "16",
     .min = 1,
     .max = KEYSET_KEYS_MAX,
     .help = "most keys of other signers; a version with more is refused"},
    {.name = NULL},
};
