/* signer_keys: a file with the keys of another signer of a zone, watched.
 *
 *        example. 3600 IN DNSKEY 256 3 13 …        as `weir key export` of another weir has it, or `dig` and `cat`: DNSKEY at the zone's
 *        example. 3600 IN CDNSKEY 257 3 13 …       apex, and CDS, CDNSKEY and RRSIG if there are some
 *
 * WHAT   Looks at a file, which is read when it is another than it was: another time of change, size or inode. What it said when it was last
 *        good stays when it is wrong, or gone.
 * WHO    One thread a file; never a loop.
 * OWNS   signer_keys_clear. The node stays the file's until it is looked at again.
 * FAILS  -E_IO, -E_LIMIT, -E_FORMAT with the file, the line and what is wrong with it. Nothing of such a file is used.
 */
#ifndef WEIR_RUN_SIGNER_KEYS_H
#define WEIR_RUN_SIGNER_KEYS_H

#include "pipeline/zone/node.h"

#include <sys/stat.h>

enum { SIGNER_KEYS_FILE_MAX = 64 << 10, SIGNER_KEYS_RECORDS_MAX = 256 };
struct signer_keys {
    char *path;
    struct node *node;                   /* at the apex; NULL: it was never good */
    bool seen;                           /* it was read, and then it had: */
    struct timespec at;
    off_t len;
    ino_t inode;
    int err;                             /* what came of it; why says it again each time */
    struct why why;
};
/* Another path: what the other file said is forgotten. */
int signer_keys_look(struct signer_keys *k, const char *path, const uint8_t *apex, struct why *why) MUST_CHECK;
void signer_keys_clear(struct signer_keys *k);

#endif
