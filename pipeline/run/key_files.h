/* key_files: a zone's keys, as files in a folder of its own.
 *
 *        STATE/keys/example/                      0700; all in it 0600
 *            lock                                 flock'ed while somebody reads or changes the folder; holds his pid
 *            Kexample.+013+02371.key              the DNSKEY, as dnssec-keygen and ldns-keygen write it
 *            Kexample.+013+02371.pem              the private half: PEM, or .private (BIND's format), or .uri (one line that names
 *                                                 a key of an HSM: "pkcs11:…")
 *            state                                whatever the keyring keeps: key_folder_read, key_folder_write
 *
 * WHAT   Opens and locks the folder, lists what is in it with what is wrong with each, adds and removes keys, keeps small files.
 *        Whatever is written is there as a whole or not at all, also after a crash: a temporary file, fsync, rename, fsync of the
 *        folder. What root adds belongs to the folder's owner.
 * WHO    One thread a folder that is open. The lock is exclusive, for readers too, so nobody sees half a change: keep it as long as
 *        the reading or changing takes. Never from a loop: files and HSMs take their time.
 * OWNS   key_folder_close gives the lock back. key_files_free wipes and frees what key_folder_list gave.
 * FAILS  -E_NOENT: no such folder or file; -E_EXISTS; -E_TIMEOUT: locked by another (why names him); -E_CONF: owner or permissions
 *        (why has the chmod or chown that mends it); -E_FORMAT, -E_UNSUPPORTED, -E_MISMATCH (wrong zone, wrong name, halves that
 *        disagree), -E_LIMIT: what a file says; -E_IO. Every text names the file; none has a word of a secret.
 */
#ifndef WEIR_RUN_KEY_FILES_H
#define WEIR_RUN_KEY_FILES_H

#include "pipeline/zone/dnssec_private.h"
#include "pipeline/zone/name.h"

enum {
    KEY_FILE_MAX = 64 << 10,           /* octets of any file in it that is read */
    KEY_FOLDER_KEYS_MAX = 256,         /* keys of one zone */
    KEY_NAME_MAX = 256,
};

struct key_folder;
/* state: the daemon's state folder. make: the folder is made if it is missing, otherwise -E_NOENT. wait_ms: so long for the lock. */
int key_folder_open(const char *state, const uint8_t *apex, bool make, unsigned wait_ms, struct key_folder **out,
                    struct why *why) MUST_CHECK;
void key_folder_close(struct key_folder **folder);         /* NULL allowed */
const char *key_folder_path(const struct key_folder *folder);

struct key_file {
    char name[KEY_NAME_MAX];           /* of its files, without the ending: Kexample.+013+02371 */
    uint8_t *rdata;                    /* DNSKEY; NULL: the .key file is missing or no good (err says) */
    uint16_t len, tag;
    uint8_t algorithm;
    struct dnssec_private *private;    /* NULL: there is none (err 0: a key whose private half is elsewhere), or not to be had (err) */
    bool hsm;                          /* it is a .uri */
    int err;                           /* why the key, or its private half, cannot be used: 0 or as above */
    struct why why;
};
/* All keys, ordered by algorithm, tag, name. What is wrong with one is in its err and why; the list itself fails only when the folder
 * cannot be read. */
int key_folder_list(struct key_folder *folder, struct key_file **out, size_t *n, struct why *why) MUST_CHECK;
void key_files_free(struct key_file **files, size_t n);

/* Adds a key; uri NULL: as PEM. *name (may be NULL) gets its name. -E_EXISTS: there is one of that algorithm and tag. */
int key_folder_add(struct key_folder *folder, const struct dnssec_private *key, uint16_t flags, const char *uri,
                   char name[KEY_NAME_MAX], struct why *why) MUST_CHECK;
/* Adds a public key only (a KSK that stays offline). */
int key_folder_add_public(struct key_folder *folder, const uint8_t *rdata, size_t len, char name[KEY_NAME_MAX],
                          struct why *why) MUST_CHECK;
/* Removes all files of a key, the private half first. -E_NOENT: there is none. */
int key_folder_remove(struct key_folder *folder, const char *name, struct why *why) MUST_CHECK;

/* A key from files elsewhere, for import: path is that of any of its files, or without the ending. The same checks as in the folder,
 * but for its name. key_file_clear gives back what is in *out. */
int key_file_read(const char *path, const uint8_t *apex, struct key_file *out, struct why *why) MUST_CHECK;
/* The same of a private half that stands alone (as Knot keeps them): its DNSKEY is made of it. algorithm: 0 as in
 * dnssec_private_parse. */
int key_file_read_private(const char *path, const uint8_t *apex, uint8_t algorithm, uint16_t flags, struct key_file *out,
                          struct why *why) MUST_CHECK;
void key_file_clear(struct key_file *file);

/* A small text file in the folder (name: "state"). The text is mem_alloc'ed and terminated; -E_NOENT: there is none. */
int key_folder_read(struct key_folder *folder, const char *name, char **text, size_t *len, struct why *why) MUST_CHECK;
int key_folder_write(struct key_folder *folder, const char *name, const char *text, size_t len, struct why *why) MUST_CHECK;

#endif
