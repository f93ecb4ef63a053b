/* held: a zone table that holds zones out of text, without files, threads or sockets.
 *
 * WHAT   Each zone is a piece of master file, plain or made to look signed (forge.h), put into the state that is asked
 *        for, with options in the words of a configuration.
 * WHO    The thread that opens it is a registered, online reader until held_close.
 * FAILS  Bad text ends the process: it is part of the test.
 */
#ifndef WEIR_TESTS_HELD_H
#define WEIR_TESTS_HELD_H

#include "tests/lib/forge.h"

#include "pipeline/run/zone_table.h"

enum held_state { HELD_READY, HELD_NOT_READY, HELD_REFUSED, HELD_EXPIRED };

struct held_zone {
    const char *name;
    const char *text; /* master file; NULL: `path` */
    const char *path;
    const char *later[4]; /* texts of the versions after it */
    const char *options; /* "allow_transfer = (\"192.0.2.1\");" or NULL */
    enum held_state state;
    bool signed_;
    enum forge_denial denial; /* when signed */
};
struct held {
    struct pool *pool;
    struct config *config;
    struct zone_table *zones;
    const char *keys; /* rows of tsig; set before held_open; NULL: none */
};
/* server: options of the server block, or NULL; remotes: rows of the list of remotes, or NULL. */
void held_open(struct held *h, const char *server, const char *remotes,
               const struct held_zone *zones, size_t n);
void held_close(struct held *h);

#endif
