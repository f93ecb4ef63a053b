/* control: the socket behind `weir status`, `retransfer`, `notify`, `reload`, `approve`, `discard`, `purge`; and `zones`, which `weir journal` asks
 * for: the names of all zones that are configured, in order, a line each.
 *
 * WHAT   A Unix stream socket (mode 0600, owner only). One request a connection: words separated by NUL, ended by an empty word;
 *        the reply is a line "0\n" or "1\n" (exit code) and then text until the end of the stream.
 *        Requests and replies are bounded; a client that does not read or write in time is cut. When there are no
 *        descriptors left, clients wait in the socket's queue until there are.
 * WHO    The control loop serves; control_ask() is the client, in another process.
 * FAILS  control_new: -E_IO with the path (also when another weir serves there).
 */
#ifndef WEIR_NET_CONTROL_H
#define WEIR_NET_CONTROL_H

#include "pipeline/net/server.h"

#include <stdio.h>

enum { CONTROL_CLIENTS = 32 };       /* at one time */
int control_new(struct server *server, const char *path, struct control **out, struct why *why) MUST_CHECK;
void control_free(struct control **c);
/* Sends a request, copies the reply to out. Returns the exit code in the reply, or -E_*. */
int control_ask(const char *path, int argc, char *const *argv, FILE *out, struct why *why) MUST_CHECK;

#endif
