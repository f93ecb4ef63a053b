/* tsig: messages signed with a secret that both sides have.
 *
 * WHAT   A key (name, algorithm, secret); the TSIG record of a message, read and checked; messages signed; and chains, which
 *        carry the signature of one message into the next over a whole transfer.
 *
 *          query   ── tsig_sign ──────────▶ primary       chain_new(query's MAC) ◀── message, message, … tsig_chain_take
 *          client  ──▶ tsig_request_check   tsig_request_answer ──▶ one answer
 *                                           chain_new(query's MAC) ── tsig_chain_sign ──▶ message, message, …
 *
 *        A TSIG is appended to the octets of a finished message, so that what is signed is what is sent.
 *        What is digested:  prior MAC with its length  (of the query for the first answer, else of the message before)
 *                           the message as it was before the TSIG came in, with its original ID
 *                           the TSIG's variables; from the second message of an answer on only time and fudge
 *        MACs are sent whole and wanted whole: a shorter one is BADTRUNC where RFC 8945 leaves it to us, FORMERR where it
 *        does not. The SHOULD of 5.2.3, to remember the latest time that a key was used at, is left out: secondaries that
 *        share a key, or datagrams that overtake each other, would be refused for it.
 * WHO    A key: any thread, immutable, refcounted. Everything else: one thread.
 * OWNS   struct tsig_rr and tsig_request borrow the message. Secrets are wiped when they are freed, and never printed.
 * UNITS  Times are seconds since 1970, 48 bits on the wire; the clock is an argument.
 * FAILS  Where a peer is at fault, why says what it did and what that means ("it answered BADTIME: its clock is 417 s
 *        ahead of ours (key xfr.example.)"), to go behind the peer's name.
 * COST   Linear in the message; a signature made or checked begins with a copy of the keyed state, which allocates: 0.8 us.
 * SPEC   RFC 8945.
 */
#ifndef WEIR_ZONE_TSIG_H
#define WEIR_ZONE_TSIG_H

#include "pipeline/base/buf.h"
#include "pipeline/zone/name.h"

enum { TSIG_MAC_MAX = 64, TSIG_SECRET_MAX = 512, TSIG_FUDGE_S = 300, TSIG_UNSIGNED_MAX = 99, TSIG_TIME_OCTETS = 6 };
enum { TSIG_BADSIG = 16, TSIG_BADKEY = 17, TSIG_BADTIME = 18, TSIG_BADTRUNC = 22 };
const char *tsig_error_text(unsigned error);                   /* "BADSIG"; "error 4711" for what nobody knows (static) */

/* ---- keys */
struct tsig_key;
/* algorithm: "hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384" or "hmac-sha512", any case, a final dot or none. -E_CONF:
 * unknown, or hmac-md5, which RFC 8945 6 forbids; the secret is empty. */
int tsig_key_new(const uint8_t *name, const char *algorithm, const uint8_t *secret, size_t len, struct tsig_key **out,
                 struct why *why) MUST_CHECK;
struct tsig_key *tsig_key_ref(const struct tsig_key *key);
void tsig_key_unref(struct tsig_key *key);                     /* NULL allowed */
const uint8_t *tsig_key_name(const struct tsig_key *key);      /* in lower case */
const char *tsig_key_text(const struct tsig_key *key);         /* "xfr.example." */
const char *tsig_key_algorithm(const struct tsig_key *key);    /* "hmac-sha256" */
bool tsig_key_equal(const struct tsig_key *a, const struct tsig_key *b); /* name, algorithm and secret; NULLs are equal */
/* Base64, white space at both ends ignored, into octets. -E_CONF with a why that holds nothing of the text. The caller wipes. */
int tsig_secret_parse(const char *text, size_t len, uint8_t out[TSIG_SECRET_MAX], size_t *n, struct why *why) MUST_CHECK;
void tsig_wipe(void *p, size_t n);                             /* zeroes that no optimiser takes away */

struct tsig_keys {                   /* in name order, no two of one name */
    size_t n;
    struct tsig_key **key;
};
const struct tsig_key *tsig_keys_find(const struct tsig_keys *keys, const uint8_t *name); /* NULL: none; any case */

/* ---- the record */
struct tsig_mac {
    uint8_t len;                     /* 0: none */
    uint8_t octets[TSIG_MAC_MAX];
};
struct tsig_rr {
    size_t at;                       /* where the record begins in its message: what is before is signed */
    const uint8_t *algorithm;        /* all but the name: in the message */
    const uint8_t *mac, *other;
    uint16_t algorithm_len, mac_len, other_len;
    uint16_t fudge, original_id, error;
    uint64_t time;
    uint8_t name[NAME_MAX_OCTETS];
};
/* The TSIG of a message. 1: there is one; 0: there is none; -E_FORMAT: records that do not parse, a TSIG that is not the
 * last record of the additional section, or whose class, TTL or rdata is wrong. */
int tsig_read(const uint8_t *msg, size_t len, struct tsig_rr *out, struct why *why) MUST_CHECK;
/* Rdata alone: all fields but at and name. */
int tsig_read_rdata(const uint8_t *rdata, size_t len, struct tsig_rr *out, struct why *why) MUST_CHECK;

/* What is wrong with it, the first thing in the order key, MAC, time, truncation (5.2): 0, TSIG_BADKEY, TSIG_BADSIG,
 * TSIG_BADTIME, TSIG_BADTRUNC, or -E_FORMAT: the MAC has a length that no MAC has. key NULL: BADKEY. prior NULL: none. */
int tsig_verify(const struct tsig_key *key, const struct tsig_mac *prior, const uint8_t *msg, const struct tsig_rr *rr,
                uint64_t now) MUST_CHECK;

/* ---- signing */
size_t tsig_room(const struct tsig_key *key);                  /* octets that a TSIG by this key takes at most */
/* Signs a query, or anything else that answers nothing. The new length; 0: no room. mac: what answers must prove to know. */
size_t tsig_sign(const struct tsig_key *key, uint8_t *msg, size_t len, size_t cap, uint64_t now, struct tsig_mac *mac);

/* ---- a query with a TSIG, and the one message that answers it */
struct tsig_request {
    struct tsig_rr rr;
    const struct tsig_key *key;      /* that signed it; NULL: unknown */
    int verdict;                     /* as from tsig_verify */
    struct tsig_mac mac;             /* len 0: not verified */
};
/* rr is there; fills the rest. True: good. */
bool tsig_request_check(struct tsig_request *q, const struct tsig_keys *keys, const uint8_t *msg, uint64_t now) MUST_CHECK;
size_t tsig_request_room(const struct tsig_request *q);
/* Signs the answer, or says what was wrong with the query: BADKEY and BADSIG without a MAC, BADTIME and BADTRUNC signed
 * (5.3.2). The new length; 0: no room. Not after -E_FORMAT. */
size_t tsig_request_answer(const struct tsig_request *q, uint8_t *msg, size_t len, size_t cap, uint64_t now);

/* ---- answers of any number of messages */
struct tsig_chain;
struct tsig_chain *tsig_chain_new(const struct tsig_key *key, const struct tsig_mac *query);
void tsig_chain_free(struct tsig_chain **chain);               /* NULL inside allowed */
const struct tsig_key *tsig_chain_key(const struct tsig_chain *chain);
/* Out: every message is signed. The new length; 0: no room. */
size_t tsig_chain_sign(struct tsig_chain *chain, uint8_t *msg, size_t len, size_t cap, uint64_t now);
/* In. 0: good, or without a signature where that may be (5.3.1: not the first, and at most 99 in a row); what an unsigned one
 * holds is proved by the next that is signed. < 0: -E_FORMAT malformed, -E_REFUSED: the peer says that our TSIG is wrong,
 * -E_MISMATCH: its own is, or is missing. After an error over a stream the chain is of no use; a first message that was not
 * taken changes nothing, so that over UDP the next one may be tried. */
int tsig_chain_take(struct tsig_chain *chain, const uint8_t *msg, size_t len, uint64_t now, struct why *why) MUST_CHECK;
/* The message taken last was the last of the answer: -E_MISMATCH when it had no signature. */
int tsig_chain_end(const struct tsig_chain *chain, struct why *why) MUST_CHECK;

#endif
