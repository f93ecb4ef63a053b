/* nsec3: what the NSEC3 files share.
 *
 *        nsec3.c          parameters; which names have a record; how records are made
 *        nsec3_chain.c    a whole chain
 *        nsec3_change.c   what a change asks of it: which records come, go or list other types
 *        nsec3_link.c     who leads to whom then
 *
 * SPEC   RFC 5155 3, 4, 6, 7.1; RFC 9276; RFC 9077.
 */
#ifndef WEIR_SIGN_NSEC3_H
#define WEIR_SIGN_NSEC3_H

#include "stages/sign/sign.h"

enum { HASH = DNSSEC_NSEC3_HASH, HASH_TEXT = DNSSEC_NSEC3_TEXT, HASH_CHUNK = 64 };

struct nsec3_link {                /* a record of the chain */
    uint8_t hash[HASH];
    const uint8_t *name;           /* whose hash it is; NULL: not known, and the types are as they were */
    const struct node *node;       /* at the name, as it comes in; NULL: an empty non-terminal */
};
struct nsec3_types {               /* a bitmap */
    size_t len;
    uint8_t octets[];
};
struct nsec3_making {              /* one that is made anew */
    const struct nsec3_link *link;
    const struct nsec3_types *types; /* as they were; NULL: of the name */
    uint8_t next[HASH];
};

void nsec3_hash_name(const struct signing *s, const uint8_t *name, uint8_t out[HASH]);
void nsec3_owner_of(const struct signing *s, const uint8_t hash[HASH], uint8_t out[NAME_MAX_OCTETS]);
int nsec3_link_order(const void *a, const void *b);       /* by hash */
static inline bool nsec3_is_insecure(const struct signing *s, const struct node *cut)
{
    return s->conf->opt_out && !node_has(cut, RR_DS);
}
/* Two names have one hash: a finding. other NULL: one that is not at hand. */
void nsec3_collision(struct signing *s, const uint8_t hash[HASH], const uint8_t *name, const uint8_t *other);

/* The types that a node's record lists; NULL: it has none. */
const struct nsec3_types *nsec3_types_of(struct arena *arena, const struct node *node);
/* Records made, signed and put. False: the run has failed. */
bool nsec3_make(struct signing *s, const struct nsec3_making *making, size_t n);
/* A record that has no name any more leaves the output. */
bool nsec3_remove(struct signing *s, const uint8_t hash[HASH]);

/* The two ways to a whole chain: from nothing, and from the last one, of which begin takes down what will not be there later. False:
 * a finding was made. */
bool nsec3_chain(struct signing *s);
void nsec3_change_begin(struct signing *s);
bool nsec3_change(struct signing *s);

/* --- a change --- */

struct nsec3_touch {               /* a name; or a record, of whatever name, whose owner is a name that is made anew */
    struct nsec3_link link;
    bool had, has;                 /* a record in the last version, in this one */
    const struct nsec3_types *lost; /* of such a record */
};
struct nsec3_change {
    struct signing *s;
    const struct snapshot *view;   /* the output as it is now */
    size_t names, touched, links, leaves, makings;
    const uint8_t **name;
    struct nsec3_touch *touch;
    struct nsec3_link *link;       /* in order: records that come, or whose types may have changed */
    const struct nsec3_types **types; /* of each of them: as they were, or NULL */
    struct nsec3_link *leave;      /* in order: records that go */
    struct nsec3_making *make;
};
bool nsec3_there(const struct nsec3_change *c, const uint8_t hash[HASH]); /* is there a record? */
/* What must be made: the records in `link`, and those before one that comes or goes. */
void nsec3_makings(struct nsec3_change *c);

#endif
