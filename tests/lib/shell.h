/* shell: other people's tools, run by a test in a folder of its own.
 *
 * WHAT   A folder under /tmp that is made and removed, and commands that run in it. A command that fails ends the test with
 *        what it said.
 * OWNS   Texts that come back are malloc'ed.
 */
#ifndef WEIR_TESTS_SHELL_H
#define WEIR_TESTS_SHELL_H

#include <stdbool.h>
#include <stddef.h>

struct shell {
    char dir[64];
};
struct shell shell_open(const char *name);
void shell_close(struct shell *s);     /* removes the folder */
/* Runs in the folder. Its standard output; what it says on standard error is shown only when it fails. */
char *shell_run(const struct shell *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void shell_do(const struct shell *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Files in the folder. */
char *shell_read(const struct shell *s, const char *name, size_t *len);
void shell_write(const struct shell *s, const char *name, const char *text);

#endif
