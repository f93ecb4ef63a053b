/* multisigner: what the parts of this stage share. Nothing outside stages/multisigner/ includes it, but its tests.
 *
 *        multisigner.c  the stage, and what one run does
 *        options.c      what an operator may set
 *        findings.c     the table of findings
 *        foreign.c      the keys of other signers: which there are, and what becomes of each
 *        judge.c        what a key must be to join ours
 *        imported.c     the sets of a KSK that is elsewhere
 *        apex.c         the apex that goes out
 *
 * WHO    One run on one thread.
 * OWNS   All of struct merge lives in the run's arena.
 */
#ifndef WEIR_MULTISIGNER_H
#define WEIR_MULTISIGNER_H

#include "pipeline/stage.h"

enum multisigner_include { INCLUDE_ALL, INCLUDE_ZSK };

struct multisigner_conf {
    int include; /* enum multisigner_include */
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
};
extern const struct finding_type multisigner_findings[];

/* --- one run --- */

struct merge {
    struct stage_run *run;
    const struct multisigner_conf *conf;
    const uint8_t *apex_name;
    const struct node *apex; /* of next */
    struct rdata *foreign;   /* DNSKEY that are not ours, none twice */
    unsigned n;
    uint32_t ttl; /* the largest that any of them had */
    bool zsk;     /* one of them is a ZSK */
    bool imported; /* the key sets that came in, and their signatures, go out as they are */
    bool refused; /* a finding says why nothing of this version goes out */
};

/* --- the keys (foreign.c, judge.c) --- */

/* From the transfer, and from elsewhere. */
void foreign_collect(struct merge *m);
/* Is the key in the DNSKEY set? */
bool foreign_joins(const struct merge *m, struct rdata key);
/* Is the parent to have its DS? */
bool foreign_wants_ds(struct rdata key);
/* False: the version is refused. */
bool foreign_judge(struct merge *m);
uint16_t key_flags(struct rdata key);

/* --- a KSK that is elsewhere (imported.c) --- */

/* Says whether its sets came with the zone. False: the version is refused. */
bool imported_judge(struct merge *m);

/* --- the apex (apex.c) --- */

/* With the keys that join, and what asks the parent for their DS. With a reference for the caller. */
struct node *merge_apex(const struct merge *m);

#endif
