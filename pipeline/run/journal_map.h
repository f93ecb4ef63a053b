/* journal_map: what the disk cannot read of a file that is mapped is an error, and no SIGBUS.
 *
 * WHAT   All pages of the journal are read by pread when it is opened, but a sector may go bad, or the file be cut, while it is open; then
 *        LMDB's next look at such a page would end the process. Here the page becomes one of zeros, which LMDB calls corrupted, and the
 *        map is lost: map_lost() says so, and no transaction may be committed that began before. Inside a commit (map_commit_begin) there is
 *        no way back: then the process ends, with words, and the crash argument holds.
 * WHO    map_watch, map_unwatch: who opens and closes the map, while nobody uses it. The rest: any thread.
 * COST   watch: a read of /proc/self/maps. Where that is missing, or too many are watched, a SIGBUS is one.
 */
#ifndef WEIR_RUN_JOURNAL_MAP_H
#define WEIR_RUN_JOURNAL_MAP_H

#include "pipeline/base/errors.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map {                             /* zeroed: nothing is watched */
    _Atomic uintptr_t at;
    _Atomic size_t len;
    _Atomic bool lost;                   /* until it is watched anew */
    _Atomic uint64_t lost_at;            /* the octet of the file */
};
/* The map of the whole file that fd is open on. Watched again: as if it were another. */
void map_watch(struct map *m, int fd);
void map_unwatch(struct map *m);
/* 0: all that was wanted of it could be read. -E_FORMAT, with words. */
int map_lost(const struct map *m, struct why *why) MUST_CHECK;
void map_commit_begin(void);             /* of the calling thread */
void map_commit_end(void);

#endif
