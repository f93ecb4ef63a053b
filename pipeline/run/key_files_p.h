/* key_files_p: what the two files of key_files share; nobody else includes this.
 */
#ifndef WEIR_RUN_KEY_FILES_P_H
#define WEIR_RUN_KEY_FILES_P_H

#include "pipeline/run/key_files.h"

#include <sys/types.h>

enum { KEY_PATH_MAX = 4096 };

struct key_folder {
    char path[KEY_PATH_MAX];
    uint8_t apex[NAME_MAX_OCTETS];
    int dir, lock;
    bool locked;
    uid_t owner;
    gid_t group;
};

enum key_part { KEY_PUBLIC, KEY_PEM, KEY_BIND, KEY_URI, KEY_PARTS };
extern const char *const key_ending[KEY_PARTS]; /* ".key", … */

/* "example", or of the root "@"; -E_LIMIT: too long for a file. What is not a letter, digit, '-' or '_' is %XX, as BIND has it. */
int key_zone_text(const uint8_t *apex, char out[KEY_NAME_MAX], struct why *why);
/* Kexample.+013+02371 */
int key_name(const uint8_t *apex, const uint8_t *rdata, size_t len, char out[KEY_NAME_MAX],
             struct why *why);

/* A file in the folder `dir`, whose path is `path`, as terminated text, with room for one octet more: the caller wipes and frees. Checked first: that it is a regular file of
 * bounded size, whose it is (owner: who else but the one that runs), and that no others can read (secret) or write it. */
struct key_place {
    int dir;
    const char *path;
    uid_t owner;
    bool any_owner;
};
int key_text_read(const struct key_place *at, const char *name, bool secret, char **text,
                  size_t *len, struct why *why);
void key_text_free(char **text, size_t len);           /* NULL allowed */

#endif
