/* signers: the book of a zone's other signers (RFC 8901): whose key is whose, who serves what since when, and how far each has joined or left.
 *
 *        policy, facts, now ─▶ signers_step ─▶ next steps, what each waits for, wake_at ─┬─▶ signers_keyset: foreign keys, NS, CSYNC for the stages
 *                                                                                        └─▶ signers_others: what the keyring may rely on
 *
 *        join:  prove ─▶ exchange-keys ─▶ parent-ds ─▶ wait-caches ─▶ exchange-ns ─▶ parent-ns ─▶ joined
 *        leave: remove-ns ─▶ parent-ns ─▶ ns-wait ─▶ stop-answering ─▶ remove-ds ─▶ ds-wait ─▶ left
 *
 * WHAT   A step is left when what it waits for is seen to be so, never by the clock alone; waits are counted as the keyring counts them,
 *        on a clock that only a steady clock moves. What is seen to be otherwise sets a step back. Before a signer has joined its keys are
 *        published and it is asked of nobody that a resolver find them; after it began to leave they stay until nothing in a cache can need them.
 *        A signer that is silent changes nothing: what was known of it stays, with its age.
 * WHO    One caller at a time (run/zone_keys.c). Pure: no I/O, no clock, no random numbers.
 * OWNS   A book owns all that is in it. Facts are borrowed for the call.
 * SPEC   RFC 8901; draft-ietf-dnsop-dnssec-automation (JOIN, LEAVE, ZSK ROLL); RFC 7344 4.1; RFC 7477.
 */
#ifndef WEIR_RUN_SIGNERS_H
#define WEIR_RUN_SIGNERS_H

#include "pipeline/run/keyring.h"
#include "pipeline/run/parent_view.h"
#include "pipeline/run/signer_view.h"

enum { SIGNERS_MAX = 8, SIGNER_KEYS_MAX = 32, SIGNER_NS_MAX = 32 };
enum signer_wish { SIGNER_JOINS, SIGNER_LEAVES };
enum signer_step {
    JOIN_PROVE, JOIN_EXCHANGE_KEYS, JOIN_PARENT_DS, JOIN_WAIT_CACHES, JOIN_EXCHANGE_NS, JOIN_PARENT_NS, JOINED,
    LEAVE_REMOVE_NS, LEAVE_PARENT_NS, LEAVE_NS_WAIT, LEAVE_STOP_ANSWERING, LEAVE_REMOVE_DS, LEAVE_DS_WAIT, LEFT,
};
enum { SIGNER_STEPS = LEFT + 1 };
const char *signer_step_text(enum signer_step step);            /* "exchange-keys" */

/* What is configured of a signer. Borrowed by the calls. */
struct signer_policy {
    const char *name;
    bool polled;                         /* it has servers */
    unsigned nanchors;                   /* what proves its DNSKEY set; 0: the DS set at the parent */
    const struct trust_anchor *anchor;   /* zone/trust.h */
};
struct signers_policy {
    unsigned n;
    const struct signer_policy *signer;
    int64_t propagation_delay_s, ds_ttl_s;   /* as keyring_policy */
    bool parent_known;                   /* the configuration names the parent's servers */
    bool ns_union, csync_waiting;        /* options of the stage: `ns = "union"`, `csync = "waiting"` */
};

/* What is so. What is not known is left out, and then what hangs on it waits. */
struct signers_facts {
    struct keyring_time time;
    unsigned nviews;                     /* newest of each signer that was asked since the last step; any order */
    const struct signer_view *const *view;
    unsigned nfiles;                     /* keys_file of each signer that has one and could be read: DNSKEY sets at the apex */
    const struct signer_file { const char *signer; const struct node *keys; } *file;
    const struct parent_view *parent;    /* newest; NULL: never asked */
    const struct node *apex;             /* of the version that is served; NULL: none */
    const struct keyring *ring;          /* which keys are ours, published or not */
    uint32_t zone_ttl_max;               /* no record served has a larger one; 0: not known */
};

struct signers_event {
    const char *signer;                  /* points into the book */
    enum signer_step step;               /* it is at now */
    bool back;                           /* … set back to */
    const char *text;                    /* "exchange-keys: done; next: …" or an alarm; points into the plan */
    bool alarm;
};
enum { SIGNERS_EVENTS_MAX = 64 };
struct signers_plan {
    bool changed;                        /* something is other than before, but for the clock: to be saved */
    int64_t wake_in;                     /* seconds until the next step can be due; 0: time alone brings nothing */
    bool ask_parent;                     /* a step waits for a word of the parent's servers, … */
    bool ask_parent_ns;                  /* … also on the NS of the delegation */
    bool ask_signers;                    /* … of the signers: ask often */
    unsigned nevents;
    struct signers_event event[SIGNERS_EVENTS_MAX];
    char text[SIGNERS_EVENTS_MAX][160];
};

struct signers;                          /* run/signers_p.h */
struct signers *signers_new(const uint8_t *apex);
void signers_free(struct signers **book);
void signers_step(struct signers *book, const struct signers_policy *policy, const struct signers_facts *facts, struct signers_plan *out);

/* Appends to a keyset that is not sealed yet: foreign keys, NS names, CSYNC, as the steps have it. */
void signers_keyset(const struct signers *book, const struct signers_policy *policy, struct keyset *out);
/* What the keyring is told (keyring_facts.others): borrowed from the book until its next step. NULL: no signer counts. */
const struct keyring_others *signers_others(const struct signers *book);

/* ---- the operator's word: -E_NOENT: there is no such signer; -E_MISMATCH with a why when it is not so, or would be too early. */
int signers_join(struct signers *book, const char *signer, time_t now, struct why *why) MUST_CHECK;
int signers_leave(struct signers *book, const char *signer, time_t now, struct why *why) MUST_CHECK;
/* Takes what the signer's present step waits for as given. */
int signers_force(struct signers *book, const struct signers_policy *policy, const char *signer, time_t now, struct why *why) MUST_CHECK;

/* ---- for people (signers_report.c) */
char *signers_text(const struct signers *book, const struct signers_policy *policy, time_t now);  /* lines: signer, step, waits for what, until, next; its keys. Caller frees */
void signers_json(const struct signers *book, const struct signers_policy *policy, time_t now, struct json *json);  /* fields into the open object */
/* DNSKEY, CDS and CDNSKEY with their RRSIGs as they were at the signer's servers when it was last seen whole and proved, borrowed until the
 * next step; at: when. NULL: it never was. Where our KSK is held there, this is what we serve (RFC 8901 2.1.1). */
const struct node *signers_proved(const struct signers *book, const char *signer, time_t *at);
/* Whose is this DNSKEY? NULL: ours, or nobody's that is known. */
const char *signers_owner(const struct signers *book, const uint8_t *rdata, uint16_t len, time_t *since);

/* ---- kept (signers_text.c) */
char *signers_print(const struct signers *book);                /* caller frees */
int signers_parse(const char *text, size_t len, const uint8_t *apex, struct signers **out, struct why *why) MUST_CHECK;   /* -E_FORMAT with the line */

#endif
