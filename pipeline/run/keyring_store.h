/* keyring_store: a zone's ring, the book of its other signers, and the folder that both are kept in.
 *
 *        open ─▶ [lock ─▶ step, operator's word, keys made or imported ─▶ save ─▶ unlock] … ─▶ close
 *
 * WHAT   The folder is the truth: every turn takes its lock and looks whether somebody else has changed the state since, so that a daemon
 *        and commands beside it work on the same keys. A key's files are there before the state that names it is written, and go after
 *        a state that has it as removed was; a key that no state names is one whose maker died, and is used before another is made.
 *        The book is in the file `signers`, for a zone that has, or had, other signers. Of the two files it is written first: what the ring
 *        does may follow from what the book knows, and never the other way round. A book that cannot be read is as a state that cannot: no
 *        turn is taken until somebody has mended it, and what was made of the keys before is served on.
 * WHO    One thread a store; never a loop: files and HSMs take their time.
 * FAILS  As key_files do; -E_FORMAT also when the state says something else than weir writes.
 */
#ifndef WEIR_RUN_KEYRING_STORE_H
#define WEIR_RUN_KEYRING_STORE_H

#include "pipeline/run/config.h"
#include "pipeline/run/key_files.h"
#include "pipeline/run/keyring_offline.h"
#include "pipeline/run/signers.h"

#include <sys/stat.h>

struct keyring_store {
    char *state;                         /* the daemon's state folder */
    uint8_t apex[NAME_MAX_OCTETS];
    struct key_folder *folder;           /* locked; NULL between turns */
    struct keyring *ring;                /* as of the last turn; NULL before the first */
    char *text;                          /* of the state file, as it was last seen */
    struct signers *book;                /* as of the last turn; NULL: there is none */
    char *book_text;                     /* of its file, as it was last seen */
    unsigned missing;                    /* keys in use whose private half cannot be had, … */
    struct why missing_why;              /* … and why not, of one of them */
    struct keyring_offline offline;      /* as the file was when it was last good */
    struct timespec offline_at;          /* its time of change then; a file is read when it has another */
    off_t offline_len;
};
void keyring_store_init(struct keyring_store *s, const char *state, const uint8_t *apex);
void keyring_store_clear(struct keyring_store *s);
/* make: a folder that is missing is made, and a zone that has no state yet begins one. Otherwise -E_NOENT. */
int keyring_store_lock(struct keyring_store *s, bool make, unsigned wait_ms, struct why *why) MUST_CHECK;
/* keyring_step, and the keys that it misses are made. */
int keyring_store_step(struct keyring_store *s, const struct keyring_policy *policy, const struct keyring_facts *facts,
                       struct keyring_plan *plan, struct why *why) MUST_CHECK;
/* A key that the folder has not: into both. uri as in key_folder_add. */
int keyring_store_add(struct keyring_store *s, enum keyring_role role, const struct dnssec_private *private, const char *uri, bool in_use,
                      time_t now, struct keyring_key **out, struct why *why) MUST_CHECK;
/* Makes one, with a tag that none has. */
int keyring_store_generate(struct keyring_store *s, const struct keyring_policy *policy, enum keyring_role role, time_t now,
                           struct keyring_key **out, struct why *why) MUST_CHECK;
/* Writes the book and the state, where they are others, and removes the files of keys that are removed. */
int keyring_store_save(struct keyring_store *s, struct why *why) MUST_CHECK;
void keyring_store_unlock(struct keyring_store *s);
/* What was not written has not happened: the next turn reads both again. */
void keyring_store_forget(struct keyring_store *s);
/* What the ring's keys do, with what was made elsewhere and what there is of other signers. On failure the sets that were good before are
 * in it, and why says what is wrong. */
int keyring_store_keyset(struct keyring_store *s, const struct zone_conf *zone, struct keyset **out, struct why *why) MUST_CHECK;

/* Of a zone that has no keys of ours: what was made elsewhere alone. Without a lock. As above. */
int keyring_store_given(struct keyring_store *s, const struct keys_conf *conf, struct keyset **out, struct why *why) MUST_CHECK;

struct keyring_time keyring_time_now(void);
/* The keys as they are, for who only looks: of a zone that has none, keys made in memory alone. */
int keyring_store_borrow(const char *state, const struct zone_conf *zone, struct keyset **out, struct why *why) MUST_CHECK;

#endif
