/* signersplay: a zone, its other signers and its parent, around a book (run/signers.h), for tests that play a join and a leave.
 *
 * WHAT   Each signer has two servers, each the parent too. Sets are lists that a test changes; play_look asks everybody and takes a turn,
 *        play_serve has the stages make of the keyset what we serve. Signatures are real, of Ed25519.
 * WHO    One thread.
 */
#ifndef WEIR_TESTS_SIGNERSPLAY_H
#define WEIR_TESTS_SIGNERSPLAY_H

#include "tests/lib/provider.h"

#include "pipeline/run/signers_p.h"
#include "pipeline/zone/trust.h"

enum { PLAY_OTHERS = 3, PLAY_KEYS = 48, PLAY_NS = 12 };
extern const uint8_t play_apex[];
/* Servers of side 0 (we), 1, …: two each. */
extern const uint8_t *const play_servers[PLAY_OTHERS + 1][2];
struct play_set {                      /* of DNSKEYs */
    unsigned n;
    struct rdata key[PLAY_KEYS];
};
struct play_names {
    unsigned n;
    const uint8_t *name[PLAY_NS];
};
void set_put(struct play_set *s, struct rdata key);            /* unless it is there */
void set_drop(struct play_set *s, struct rdata key);
bool set_has(const struct play_set *s, struct rdata key);
void names_put(struct play_names *s, const uint8_t *name);
void names_drop(struct play_names *s, const uint8_t *name);

struct play_side {                     /* who signs the zone: we, or another */
    struct signer signer;
    unsigned ksk, zsk;                 /* its keys that sign */
    struct play_set dnskey, cds;
    struct play_names ns;
    uint32_t dnskey_ttl, ns_ttl;
};
struct play_other {
    char name[8];
    struct play_side side;
    struct trust_anchor anchor;        /* its KSK, if `anchored` */
    bool polled, anchored, filed;
    bool unasked;                      /* play_look has no view of it */
    enum signer_said said;             /* all of its servers, … */
    enum signer_said second;           /* … if this is SIGNER_ANSWERED; else of the second one */
    bool lies;                         /* the second one's signature over its DNSKEY set is wrong */
    struct rdata lacks;                /* the second one does not have this key */
    const uint8_t *lacks_ns;           /* … this name */
};
struct play {
    struct signers *book;
    struct keyring *ring;
    struct signers_policy policy;
    struct signer_policy signer_policy[PLAY_OTHERS];
    unsigned n;
    struct play_other other[PLAY_OTHERS];
    struct play_side us;
    struct play_names ours_in;         /* NS that come with the transfer */
    struct node *apex;                 /* that is served; NULL: not known */
    struct play_set ds, ds_second;     /* at the parent; its second server's, … */
    bool ds_split;                     /* … when it has another one */
    struct play_names parent_ns;
    const uint8_t *parent_lacks_ns;    /* its second server does not have this name */
    uint32_t ds_ttl, parent_ns_ttl;
    bool parent_silent;
    struct parent_view *parent;        /* the last view; NULL: none */
    time_t now;
    int64_t tick;
    uint64_t boot;
    uint32_t zone_ttl;
    struct signers_plan plan;          /* of the last turn */
    bool trace;                        /* WEIR_TRACE */
};

/* `n` others, with servers, trusted by anchors; nobody has met. */
void play_open(struct play *p, unsigned n);
void play_close(struct play *p);
void play_restart(struct play *p);     /* the book through its text, which must not change it */
void play_pass(struct play *p, int64_t seconds);
void play_turn(struct play *p);        /* with no news */
void play_look(struct play *p);        /* with everybody's */
void play_serve(struct play *p);       /* what the keyset has the stages make, and a turn */
void play_serve_cds(struct play *p, const struct play_set *cds);  /* the same; CDS of our own keys */
void play_settle(struct play *p);      /* look and serve until nothing moves */
/* All others import what all have that they must have; the parent what CDS and the NS set ask. */
void play_import(struct play *p);
void play_parent_ds(struct play *p);
void play_parent_ns(struct play *p);
struct node *play_node(const struct play_side *side);
struct rdata play_ksk(const struct play_side *side);
struct rdata play_zsk(const struct play_side *side);
struct rdata play_key_new(struct play_side *side, uint16_t flags, unsigned *index);
struct book_signer *play_signer(const struct play *p, unsigned i);
enum signer_step play_step(const struct play *p, unsigned i);
/* Time and looks until the signer is at the step; fails when it does not get there. */
void play_reach(struct play *p, unsigned i, enum signer_step step);
bool play_publishes(const struct play *p, struct rdata key);   /* the keyset has it in the DNSKEY set */
bool play_asks_ds(const struct play *p, struct rdata key);
bool play_alarmed(const struct play *p, const char *words);    /* an alarm of the last turn has them */

#endif
