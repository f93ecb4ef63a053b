/* multisigner: what the parts of this stage share. Nothing outside stages/multisigner/ includes it, but its tests.
 *
 *        multisigner.c  the stage, and what one run does
 *        options.c      what an operator may set
 *        findings.c     the table of findings
 *        foreign.c      the keys of other signers: which there are, and what becomes of each
 *        judge.c        what a key must be to join ours
 *        imported.c     the sets of a KSK that is elsewhere
 *        servers.c      the names of the other signers' servers, and CSYNC
 *        apex.c         the apex that goes out
 *
 * WHO    One run on one thread.
 * OWNS   All of struct merge lives in the run's arena.
 */
#ifndef WEIR_MULTISIGNER_H
#define WEIR_MULTISIGNER_H

#include "pipeline/stage.h"

enum multisigner_include { INCLUDE_ALL, INCLUDE_ZSK };
enum multisigner_ns { NS_TRANSFER, NS_UNION };
enum multisigner_csync { CSYNC_NO, CSYNC_WAITING, CSYNC_ALWAYS };
enum { SERVERS_MAX = 256 }; /* at an apex whose NS set is looked at */

struct multisigner_conf {
    int include; /* enum multisigner_include */
    int ns;      /* enum multisigner_ns */
    int csync;   /* enum multisigner_csync */
    int64_t max_keys;
};
extern const struct option multisigner_options[];

/* In the order of findings.c. */
enum multisigner_code {
    FOREIGN_NONE,
    FOREIGN_TOO_MANY,
    FOREIGN_MALFORMED,
    FOREIGN_PROTOCOL,
    FOREIGN_NOT_ZONE_KEY,
    FOREIGN_REVOKED,
    FOREIGN_ALGORITHM,
    FOREIGN_SAME_TAG,
    OWN_KEYS_MISSING,
    APEX_FULL,
    IMPORTED_NONE,
    IMPORTED_TOO_MANY,
    IMPORTED_BOGUS,
    IMPORTED_UNSIGNED,
    NS_TOO_MANY,
    NS_NO_ADDRESS,
    CSYNC_WITHHELD,
    CSYNC_CAME,
    APEX_WITHOUT_SOA,
};
extern const struct finding_type multisigner_findings[];

/* --- one run --- */

/* A key of another signer. One that came with the transfer joins by default; what is wanted of one that is known from elsewhere was
 * said there. One that both have does what either wants. */
struct foreign {
    struct rdata key; /* DNSKEY */
    bool publish, ds; /* wanted in the DNSKEY set; by the parent */
    bool csk;         /* has the SEP flag, and is known to sign all else, too */
    bool came, told;  /* with the transfer; by the keyset */
};
struct servers {
    struct rrset set; /* NS of what came in; count 0: none */
    unsigned nmore;
    const uint8_t **more; /* names that join it */
    bool in_zone;         /* one of all these is at the apex or below */
    bool csync;           /* a CSYNC goes out */
};
struct merge {
    struct stage_run *run;
    const struct multisigner_conf *conf;
    const uint8_t *apex_name;
    const struct node *apex; /* of next */
    struct foreign *foreign; /* none twice, none of ours */
    unsigned n;
    uint32_t ttl;            /* the largest that any of them had */
    bool zsk_came, zsk_told; /* there is a ZSK among those */
    struct servers servers;
    bool imported; /* the key sets that came in, and their signatures, go out as they are */
    bool refused; /* a finding says why nothing of this version goes out */
};

/* --- the keys (foreign.c, judge.c) --- */

/* From the transfer, and from elsewhere. */
void foreign_collect(struct merge *m);
/* Is the key in the DNSKEY set? */
bool foreign_joins(const struct merge *m, const struct foreign *f);
void foreign_judge(struct merge *m);
uint16_t key_flags(struct rdata key);

/* --- a KSK that is elsewhere (imported.c) --- */

/* Says whether its sets came with the zone. */
void imported_judge(struct merge *m);

/* --- NS and CSYNC (servers.c) --- */

void servers_judge(struct merge *m);
void servers_add(const struct merge *m, struct node_builder *builder);

/* --- the apex (apex.c) --- */

/* Is there room for all that joins? */
void merge_measure(struct merge *m);
/* With the keys that join, what asks the parent for their DS, the servers. With a reference for the caller. */
struct node *merge_apex(const struct merge *m);

#endif
