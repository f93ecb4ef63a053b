/* zonegen: random zones, and random histories of them.
 *
 * WHAT   A zone of `slots`. Each slot owns a name (some below the name of an earlier slot) and a
 *        little around it, and holds one kind of content: a host, a delegation with or without DS
 *        and glue, an empty non-terminal, a wildcard, CNAME, DNAME, unknown and odd types, or
 *        nothing. A step gives some slots another content, or lets one thing there come or go: the DS of a delegation,
 *        a delegation or DNAME over what is there, an empty non-terminal, a wildcard. Slots that have others below
 *        them become delegations and DNAMEs too, so whole subtrees change their status. The zone is unsigned;
 *        signer.h signs it.
 * WHO    One thread. Everything follows from the random struct at zonegen_open.
 */
#ifndef WEIR_TESTS_ZONEGEN_H
#define WEIR_TESTS_ZONEGEN_H

#include "pipeline/zone/edit.h"
#include "tests/lib/random.h"

struct zonegen {
    struct random random;
    uint8_t apex[NAME_MAX_OCTETS];
    unsigned slots;
    uint32_t serial;
    unsigned delegations; /* percent of slots that are given a delegation; 0 = as any other kind */
};

/* apex as text. */
struct zonegen zonegen_open(struct random *random, const char *apex, unsigned slots);
/* Fills an empty edit with apex and all slots. */
void zonegen_fill(struct zonegen *gen, struct edit *e);
/* The next version: `changes` slots at random get new content, now and then the apex NS too; serial
 * + 1. */
void zonegen_step(struct zonegen *gen, struct edit *e, unsigned changes);
/* Gives `changes` slots at random another TTL for one rrset, or another case of letters in their name or rdata: what
 * is the same zone to a resolver, and not to who must keep it octet for octet. Now and then the apex's case too. */
void zonegen_restyle(struct zonegen *gen, struct edit *e, unsigned changes);

/* The same, sealed. `before` may be NULL: then the zone is filled. The caller gets a reference. */
struct snapshot *zonegen_version(struct zonegen *gen, struct family *family,
                                 const struct snapshot *before, unsigned changes);

#endif
