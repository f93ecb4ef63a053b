/* nsec3: what the three NSEC3 files share.
 *
 *        nsec3.c          which chains there are, and how each is judged
 *        nsec3_record.c   one record
 *        nsec3_chain.c    a whole chain: the hashes of all names against all records
 *        nsec3_change.c   what a change can have made wrong in a chain
 *
 * SPEC   RFC 5155 3, 7.1; RFC 9276.
 */
#ifndef WEIR_VALIDATE_NSEC3_H
#define WEIR_VALIDATE_NSEC3_H

#include "stages/validate/validate.h"

enum { HASH = DNSSEC_NSEC3_HASH, HASH_TEXT = DNSSEC_NSEC3_TEXT, NSEC3_CHAINS = 2 };

struct nsec3_params {
    uint16_t iterations;
    uint8_t salt_len;
    const uint8_t *salt;
};
struct nsec3 { /* a view of NSEC3 rdata */
    uint8_t algorithm, flags;
    struct nsec3_params params;
    const uint8_t *next;
    uint8_t next_len;
    const uint8_t *bitmap;
    size_t bitmap_len;
};
struct wanted { /* a name that has an NSEC3, or may have one */
    uint8_t hash[HASH];
    bool optional; /* opt-out may cover it */
    bool cut;
    const uint8_t *name;
    const struct node *node; /* NULL: an empty non-terminal */
};
struct there { /* a record of the chain */
    uint8_t hash[HASH];
    const struct node *node;
    struct nsec3 nsec3;
};
struct chain3 { /* one chain under judgement */
    struct check *check;
    struct nsec3_params params;
    size_t wanted, there;
    struct wanted *want;
    struct there *have;
};

/* --- records --- */

struct nsec3 nsec3_parse(struct rdata rdata);
bool nsec3_has_params(const struct nsec3 *nsec3, const struct nsec3_params *params);
/* How many NSEC3 with these parameters are at the node? out: the first. */
unsigned nsec3_find(const struct node *node, const struct nsec3_params *params, struct nsec3 *out);
static inline bool nsec3_opt_out(const struct nsec3 *nsec3)
{
    return nsec3->flags & 1;
}

/* --- judging --- */

/* The record of the chain at a node that is judged now. False: there is none, or not at a hash (a finding says so). */
bool there_read(struct chain3 *chain, const struct node *node, struct there *out);
/* Findings about one record or name; none if it is right. */
void there_check(struct chain3 *chain, const struct there *there);
void there_check_link(struct chain3 *chain, const struct there *there, const struct there *next);
void wanted_check_match(struct chain3 *chain, const struct wanted *want, const struct there *there);
void wanted_report_gap(struct chain3 *chain, const struct wanted *want);
void there_report_extra(struct chain3 *chain, const struct there *there);

void wanted_hash(const struct chain3 *chain, struct wanted *want);
/* May n names be hashed? */
bool chain_affordable(const struct chain3 *chain, size_t n);

/* All of it; items: all names of the version. */
void chain_check(struct chain3 *chain, const struct items *items);
/* What the change can have made wrong. False: that cannot be told without all of it (nothing was reported). */
bool chain_check_change(struct chain3 *chain);

#endif
